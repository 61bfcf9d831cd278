// SPDX-License-Identifier: GPL-2.0
/*
 * Thousands of random operations of three users and an admin, possible ones and impossible ones, on the engine and on
 * a model of arrays: same results, same errors, same state. EXO_TEST_ROUNDS: operations.
 */
#include "xn_twin.h"

#define BLOCKS 400U
#define LOG 96U
#define QUOTA 70U

static const u8 good_key[32] = { 1, 2, 3 };

static int want_create(const struct m_who *who, u32 template, u32 flags, u32 length, u64 max, const char *name)
{
	u64 block, run = 0;
	u32 i;

	if (template != twin.template)
		return -ENOENT;
	if (flags & ~EXO_XN_ROOT_TEMPORARY || length != EXO_XN_BLOCK)
		return -EINVAL;
	if (!who->admin && !m_room(&twin.m, who->uid))
		return -EDQUOT;
	(void)max;
	if (!*name)
		return -EINVAL;
	for (i = 0; i < M_ROOTS; i++)
		if (twin.m.now.root[i].used && !strcmp(twin.m.now.root[i].name, name))
			return -EEXIST;
	for (block = twin.m.first; block < twin.m.blocks && !run; block++)
		run = m_is_free(&twin.m, block);
	return run ? 0 : -ENOSPC;
}

static void do_create(void)
{
	struct m_who who = twin_who();
	struct exo_xn_who w = twin_who_of(&who);
	u32 template = unit_below(12) ? twin.template : 1 + unit_below(2000), number, i, at, other;
	u32 length = unit_below(12) ? EXO_XN_BLOCK : unit_below(20) * EXO_XN_BLOCK + unit_below(3);
	u32 flags = unit_below(4) ? 0 : unit_below(8) ? EXO_XN_ROOT_TEMPORARY : 8;
	u64 max = unit_below(3) ? 0 : 1 + unit_below(40);
	u8 bytes[20 * EXO_XN_BLOCK] = {};
	struct m_unit unit = { .mode = unit_below(8), .payload = (u32)unit_random() };
	char name[EXO_XN_NAME] = "";
	struct m_root *root;
	int want, ret;

	for (at = 0; at < M_ROOTS && (twin.m.now.root[at].used || twin.m.done.root[at].used); at++)
		;
	for (i = 0; i < M_UNITS && (twin.m.now.unit[i].root || twin.m.done.unit[i].root); i++)
		;
	other = twin_root();
	if (at == M_ROOTS || i == M_UNITS) {
		/* The model has no room for one more: a name that is taken is all that can be asked for. */
		if (!other)
			return;
		strcpy(name, twin.m.now.root[other - 1].name);
	} else if (unit_below(4)) {
		snprintf(name, sizeof(name), "root%u", twin.names++);
	} else if (unit_below(2) && other) {
		strcpy(name, twin.m.now.root[other - 1].name);
	}
	m_bytes(&unit, bytes);
	want = want_create(&who, template, flags, length, max, name);
	ret = exo_xn_root_create(twin.xn, &w, name, template, flags, 0, max, at % 2 ? good_key : NULL, bytes, length,
				 &number);
	twin_expect("create", ret, want);
	if (ret)
		return;
	root = &twin.m.now.root[at];
	*root = (struct m_root){ .used = true, .temporary = flags, .key = at % 2, .uid = who.uid,
				 .number = number, .max = max };
	strcpy(root->name, name);
	root->block = exo_xn_root(twin.xn, number)->block;
	CHECK(m_is_free(&twin.m, root->block));
	unit.root = at + 1;
	unit.block = root->block;
	twin.m.now.unit[i] = unit;
	twin.m.now.block[unit.block] = (struct m_block){ .root = at + 1, .refs = 1 };
	m_commit(&twin.m, at + 1);
}

static void do_delete(void)
{
	struct m_who who = twin_who();
	struct exo_xn_who w = twin_who_of(&who);
	u32 root = twin_root();

	if (!root || !unit_below(10)) {
		twin_expect("delete", exo_xn_root_delete(twin.xn, &w, EXO_XN_ROOTS - 3), -ENOENT);
		return;
	}
	if (!who.admin && who.uid != twin.m.now.root[root - 1].uid) {
		twin_expect("delete", exo_xn_root_delete(twin.xn, &w, twin.m.now.root[root - 1].number), -EACCES);
		return;
	}
	twin_expect("delete", exo_xn_root_delete(twin.xn, &w, twin.m.now.root[root - 1].number), 0);
	m_delete(&twin.m, root);
}

static void do_chown(void)
{
	u32 root = twin_root(), uid = M_UID + unit_below(M_USERS);
	struct m_root *m;
	int want = 0;

	if (!root)
		return;
	m = &twin.m.now.root[root - 1];
	if (uid != m->uid && m_blocks_of(&twin.m, root) > m_room(&twin.m, uid))
		want = -EDQUOT;
	twin_expect("chown", exo_xn_root_chown(twin.xn, m->number, uid), want);
	if (want)
		return;
	m->uid = uid;
	m_commit(&twin.m, root);
}

static void do_limit(void)
{
	u32 root = twin_root();
	u64 max = unit_below(2) ? 0 : unit_below(50);

	if (!root)
		return;
	twin_expect("limit", exo_xn_root_limit(twin.xn, twin.m.now.root[root - 1].number, max), 0);
	twin.m.now.root[root - 1].max = max;
	m_commit(&twin.m, root);
}

/* Limits of users, of all, and none. */
static void do_quota(void)
{
	u64 limit = unit_below(4) ? QUOTA / 2 + unit_below(QUOTA) : 0;
	u32 n = unit_below(M_USERS);

	switch (unit_below(4)) {
	case 0:
		twin_expect("quota of all", exo_xn_quota_all(twin.xn, limit), 0);
		twin.m.all = limit;
		break;
	case 1:
		twin_expect("no quota", exo_xn_quota_forget(twin.xn, M_UID + n), twin.m.own[n] ? 0 : -ENOENT);
		twin.m.own[n] = false;
		break;
	default:
		twin_expect("quota", exo_xn_quota_set(twin.xn, M_UID + n, limit), 0);
		twin.m.own[n] = true;
		twin.m.limit[n] = limit;
	}
}

static void commit_all(u32 which)
{
	u32 i;
	u64 seq;

	for (i = 0; i < M_ROOTS; i++)
		if (twin.m.now.root[i].used && which >> i & 1)
			exo_xn_root(twin.xn, twin.m.now.root[i].number)->requested = true;
	twin_expect("commit", exo_xn_commit(twin.xn, &seq), 0);
	for (i = 0; i < M_ROOTS; i++)
		if (twin.m.now.root[i].used && which >> i & 1) {
			m_commit(&twin.m, i + 1);
			twin.dirty[i] = 0;
		}
}

/* Its map is held, as by a binding of everything. */
static void hold_map(void)
{
	u8 map[M_BLOCKS];

	CHECK_EQ(exo_xn_map_show(twin.xn, 0, (u32)twin.m.blocks, 1, map), 0);
	exo_xn_map_hold(twin.xn, 0, twin.m.blocks);
}

static void do_again(void)
{
	struct exo_xn_stat stat;

	twin_expect("detach", exo_xn_detach(twin.xn), 0);
	exo_xn_free(twin.xn);
	CHECK_EQ(twin.sim->live, 0);
	twin_expect("attach", exo_xn_attach(&twin.sim->host, twin.sim, M_BLOCKS, 0, &twin.xn), 0);
	exo_xn_stat(twin.xn, &stat);
	CHECK_EQ(stat.quarantined, 0);
	CHECK_EQ(stat.replayed, 0);
	hold_map();
	m_again(&twin.m);
	memset(twin.dirty, 0, sizeof(twin.dirty));
	sim_settle(twin.sim);
	/* In half of the lives units are given back all the time. */
	exo_xn_limit(twin.xn, unit_below(2) ? 64 << 10 : EXO_XN_MEMORY);
}

static void do_grow(void)
{
	u64 blocks = unit_below(3) ? twin.m.blocks + unit_below(4) : twin.m.blocks - 1;
	int want = blocks < twin.m.blocks ? -EINVAL : blocks > twin.m.blocks && twin.m.grown == 8 ? -ENOSPC : 0;

	if (blocks > M_BLOCKS)
		return;
	twin_expect("grow", exo_xn_grow(twin.xn, blocks), want);
	if (want || blocks == twin.m.blocks)
		return;
	twin.m.grown++;
	twin.m.blocks = blocks;
}

static void do_trim(void)
{
	u64 start = unit_below(twin.m.blocks), count = unit_below(200), i, want = 0;

	for (i = start; i < start + count && i < twin.m.blocks; i++)
		want += m_is_free(&twin.m, i) && !twin.m.done.block[i].root;
	twin_expect("trim", (int)exo_xn_trim(twin.xn, start, count), (int)want);
}

static void do_check(void)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	int ret;

	CHECK_EQ(exo_xn_walk_begin(twin.xn, EXO_XN_CHECK_REPAIR | (unit_below(2) ? EXO_XN_CHECK_SCRUB : 0), &walk), 0);
	do
		ret = exo_xn_walk_step(walk, 1 + unit_below(20));
	while (ret == 1);
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	twin_expect("check", ret, 0);
	CHECK_EQ(check.out_leaked + check.out_bad + check.out_errors, 0);
}

static int want_bind(const struct m_who *who, struct m_unit *unit, u64 block, u32 count, u32 rights)
{
	u64 i;
	u32 k;

	if (!count || !rights)
		return -EINVAL;
	for (i = block; i < block + count; i++) {
		for (k = 0; k < M_POINTERS; k++)
			if (unit->at[k].count && unit->at[k].slot == EXO_XN_DATA && i >= unit->at[k].block &&
			    i - unit->at[k].block < unit->at[k].count)
				break;
		if (k == M_POINTERS)
			return -ENOENT;
	}
	if (rights & EXO_RIGHT_READ && !m_may(&twin.m.now, unit, who, EXO_XN_MAY_READ))
		return -EACCES;
	if (rights & EXO_RIGHT_WRITE && !m_may(&twin.m.now, unit, who, EXO_XN_MAY_WRITE))
		return -EACCES;
	return 0;
}

/* Bind, and write if that is allowed. */
static void do_bind(void)
{
	u32 root = twin_root(), rights = unit_below(4), count, i;
	struct m_unit *unit = root ? twin_unit(root) : NULL;
	struct m_who who = twin_who();
	struct exo_xn_who w = twin_who_of(&who);
	struct exo_xn_unit *core;
	struct m_pointer *p;
	int want;

	if (!unit)
		return;
	p = &unit->at[unit_below(M_POINTERS)];
	count = p->count + !unit_below(4);
	twin_load(root);
	core = exo_xn_unit_find(twin.xn, twin.m.now.root[root - 1].number, unit->block);
	CHECK(core);
	want = want_bind(&who, unit, p->block, count, rights);
	twin_expect("bind", exo_xn_bind_check(twin.xn, core, &w, p->block, count, rights), want);
	if (want || !(rights & EXO_RIGHT_WRITE))
		return;
	exo_xn_written(twin.xn, p->block, count);
	for (i = 0; i < count; i++)
		twin.m.now.block[p->block + i].written = true;
	if (!unit_below(3))
		twin_expect("commit_written", exo_xn_commit_written(twin.xn), 0);
}

static u8 want_map(u64 block, u32 uid)
{
	const struct m_block *b = &twin.m.now.block[block];
	u32 root = b->root ? b->root : b->waiting;

	if (block < twin.m.first || root > M_ROOTS)
		return EXO_XN_SYSTEM;
	if (!root)
		return EXO_XN_FREE;
	if (twin.m.now.root[root - 1].uid != uid)
		return EXO_XN_TAKEN;
	return b->root ? EXO_XN_MINE : EXO_XN_WAITING;
}

/* The map, numbers, references, what may be read: all of it. */
static void compare(void)
{
	u64 i, nr_free = 0, waiting = 0;
	u32 uid = M_UID + unit_below(M_USERS), entry, root;
	struct exo_xn_stat stat;
	u8 map[M_BLOCKS];

	CHECK_EQ(exo_xn_map_show(twin.xn, 0, (u32)twin.m.blocks, uid, map), 0);
	for (i = 0; i < twin.m.blocks; i++) {
		const struct m_block *b = &twin.m.now.block[i];

		nr_free += m_is_free(&twin.m, i);
		waiting += !!b->waiting;
		if (map[i] != want_map(i, uid))
			unit_fail(__FILE__, __LINE__, "operation %llu: block %llu is %u in the map, not %u",
				  (unsigned long long)twin.ops, (unsigned long long)i, map[i], want_map(i, uid));
		if (!b->root || b->root > M_ROOTS)
			continue;
		CHECK_EQ(exo_xn_map_look(twin.xn, i, &entry), 0);
		CHECK_EQ(entry & EXO_XN_ENTRY_ROOT, twin.m.now.root[b->root - 1].number);
		CHECK_EQ((entry & EXO_XN_ENTRY_REFS) / EXO_XN_ENTRY_REF, b->refs);
		if (!m_unit_at(&twin.m.now, i))
			CHECK_EQ(!!(entry & EXO_XN_ENTRY_INIT), b->written);
	}
	exo_xn_stat(twin.xn, &stat);
	CHECK_EQ(stat.free, nr_free);
	CHECK_EQ(stat.waiting, waiting);
	CHECK_EQ(exo_xn_uid_blocks(twin.xn, uid), m_blocks_of_uid(&twin.m, uid));
	CHECK_EQ(exo_xn_uid_room(twin.xn, uid), m_room(&twin.m, uid));
	for (root = 1; root <= M_ROOTS; root++)
		if (twin.m.now.root[root - 1].used)
			CHECK_EQ(exo_xn_root(twin.xn, twin.m.now.root[root - 1].number)->blocks, m_blocks_of(&twin.m, root));
}

static void start(void)
{
	struct exo_xn_format_opts opts = { .blocks = BLOCKS, .log_blocks = LOG, .uid_blocks = QUOTA };
	struct sim_content content = { .magic = SIM_MAGIC, .kind = SIM_LIST };
	struct exo_xn_who admin = { .admin = true };
	u32 refs[EXO_XN_REFS] = {}, func;
	struct exo_graft_error err;
	struct exo_xn_stat stat;

	memset(&twin, 0, sizeof(twin));
	twin.sim = sim_new(M_BLOCKS);
	CHECK_EQ(exo_xn_format(&twin.sim->host, twin.sim, &opts), 0);
	CHECK_EQ(exo_xn_attach(&twin.sim->host, twin.sim, M_BLOCKS, 0, &twin.xn), 0);
	CHECK_EQ(exo_xn_template_add(twin.xn, &admin, "list", refs, SIM_PART, SIM_PART, &content, sizeof(content),
				     &err, &func, &twin.template), 0);
	exo_xn_stat(twin.xn, &stat);
	twin.m.blocks = BLOCKS;
	twin.m.first = stat.first;
	twin.m.all = QUOTA;
	/* The template's. */
	twin.m.now.block[stat.first].root = twin.m.done.block[stat.first].root = M_ROOTS + 1;
	hold_map();
}

static void operation(void)
{
	u32 i, dirty = 0;

	for (i = 0; i < M_ROOTS; i++)
		dirty |= (twin.dirty[i] > 40) << i;
	if (dirty) {
		commit_all(dirty);
		return;
	}
	switch (unit_below(64)) {
	case 0: case 1: case 2: case 3:
		do_create();
		break;
	case 4:
		do_delete();
		break;
	case 5:
		do_chown();
		break;
	case 6:
		do_limit();
		break;
	case 7: case 8: case 9:
		commit_all(unit_below(1 << M_ROOTS));
		break;
	case 10:
		do_again();
		break;
	case 11:
		do_grow();
		break;
	case 12:
		do_trim();
		break;
	case 13:
		do_check();
		break;
	case 14:
		if (!unit_below(4))
			do_quota();
		break;
	case 15: case 16: case 17: case 18: case 19:
		do_bind();
		break;
	default:
		twin_change();
	}
}

TEST(model__random_operations)
{
	u32 rounds = unit_rounds(6000), i;

	start();
	for (i = 0; i < rounds; i++) {
		operation();
		compare();
		if (twin.sim->nr_events > 500)
			sim_settle(twin.sim);
	}
	exo_xn_free(twin.xn);
	CHECK_EQ(twin.sim->live, 0);
	sim_free(twin.sim);
	printf("# %llu operations, %llu refused:", (unsigned long long)twin.ops, (unsigned long long)twin.refused);
	for (i = 0; i < 160; i++)
		if (twin.seen[i])
			printf(" %u: %llu", i, (unsigned long long)twin.seen[i]);
	printf("\n");
	/* Each error that the model knows was met, and most things are done. */
	if (rounds >= 6000) {
		CHECK(twin.seen[ENOENT] && twin.seen[EACCES] && twin.seen[EBUSY]);
		CHECK(twin.seen[EEXIST] && twin.seen[EINVAL] && twin.seen[EDQUOT]);
		CHECK(twin.refused < 2 * twin.ops / 3);
	}
}
