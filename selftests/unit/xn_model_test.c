// SPDX-License-Identifier: GPL-2.0
/*
 * Thousands of random operations of three users and an admin, possible ones and impossible ones, on the engine and on
 * a model of arrays: same results, same errors, same state. EXO_TEST_ROUNDS: operations.
 */
#include "unit.h"
#include "xn_model.h"

#define BLOCKS 400U
#define LOG 96U
#define QUOTA 70U

static const u8 good_key[32] = { 1, 2, 3 };

struct run {
	struct model m;
	struct sim *sim;
	struct exo_xn *xn;
	u32 template;
	u32 names;
	u64 ops;
	u64 refused;
	u32 dirty[M_ROOTS];	/* changes since its last commit */
};

static struct run r;
static u64 seen[160];	/* by errno */

/* What the engine said, and what it had to say. */
static void expect(const char *what, int ret, int want)
{
	r.ops++;
	r.refused += want < 0;
	if (want < 0 && -want < 160)
		seen[-want]++;
	if (ret != want)
		unit_fail(__FILE__, __LINE__, "operation %llu, %s: %d, not %d", (unsigned long long)r.ops, what,
			  ret, want);
}

static struct m_who random_who(void)
{
	u32 which = unit_below(M_UIDS);

	return (struct m_who){ .uid = which == 3 ? 0 : 1000 + which, .admin = which == 3, .key = unit_below(2) };
}

static struct exo_xn_who who_of(const struct m_who *who)
{
	static const struct exo_xn_key keys[2] = { { { 9 } }, { { 1, 2, 3 } } };

	return (struct exo_xn_who){ .uid = who->uid, .admin = who->admin, .keys = keys,
				    .nr_keys = who->key ? 2 : 1 };
}

/* A root that is there, mostly; 1 + index. */
static u32 random_root(void)
{
	u32 i, root = unit_below(M_ROOTS);

	for (i = 0; i < M_ROOTS && !r.m.now.root[root].used; i++)
		root = (root + 1) % M_ROOTS;
	return r.m.now.root[root].used ? root + 1 : 0;
}

static struct m_unit *random_unit(u32 root)
{
	u32 i, at = unit_below(M_UNITS);

	for (i = 0; i < M_UNITS; i++, at = (at + 1) % M_UNITS)
		if (r.m.now.unit[at].root == root)
			return &r.m.now.unit[at];
	return NULL;
}

/* Free, mostly; else anything. */
static u64 random_block(u32 count)
{
	u64 block = r.m.first + unit_below(r.m.blocks - r.m.first), i, n;

	if (!unit_below(12))
		return unit_below(4) ? unit_below(r.m.blocks + 4) : unit_edge();
	for (i = 0; i < M_BLOCKS; i++, block = block + 1 < r.m.blocks ? block + 1 : r.m.first) {
		for (n = 0; n < count && m_is_free(&r.m, block + n); n++)
			;
		if (n == count)
			return block;
	}
	return block;
}

static u32 units_of(u32 root)
{
	u32 i, n = 0;

	for (i = 0; i < M_UNITS; i++)
		n += r.m.now.unit[i].root == root;
	return n;
}

/* Units need places in the model that nobody has, now or as committed: enough for one call. */
static bool room_for_units(void)
{
	u32 i, n = 0;

	for (i = 0; i < M_UNITS; i++)
		n += !r.m.now.unit[i].root && !r.m.done.unit[i].root;
	return n >= M_STEPS;
}

/* Changes ------------------------------------------------------------------------------------------- */

/* Everything of the root is known to the engine, as if it had been read. */
static void load_all(u32 root)
{
	u64 todo[M_UNITS * 2], parent[M_UNITS * 2], first = r.m.now.root[root - 1].block;
	struct exo_xn_unit *unit;
	struct m_unit *model;
	u32 nr = 1, i;
	u8 bytes[EXO_XN_BLOCK];

	todo[0] = parent[0] = first;
	while (nr--) {
		u64 block = todo[nr];

		CHECK_EQ(exo_xn_unit_load(r.xn, r.m.now.root[root - 1].number, parent[nr], block, &unit), 0);
		model = m_unit_at(&r.m.now, block);
		CHECK(model && model->root == root);
		m_bytes(model, bytes);
		if (memcmp(bytes, unit->now, sizeof(bytes)))
			unit_fail(__FILE__, __LINE__, "unit %llu has other bytes", (unsigned long long)block);
		for (i = 0; i < M_POINTERS; i++)
			if (model->at[i].count && model->at[i].slot == EXO_XN_SELF) {
				todo[nr] = model->at[i].block;
				parent[nr++] = block;
			}
	}
}

/* A call names a block once, and nothing that it gave up before. */
static bool fits(const struct m_step *steps, u32 nr, const struct m_step *s)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		const struct m_step *was = &steps[i];

		if (s->count && was->count && s->block < was->block + was->count &&
		    was->block < s->block + s->count)
			return false;
		if ((was->kind == EXO_XN_FREE_STEP || was->kind == EXO_XN_UNLINK) &&
		    (s->parent == was->block || s->from == was->block))
			return false;
		if ((s->kind == EXO_XN_FREE_STEP || s->kind == EXO_XN_UNLINK) &&
		    (was->parent == s->block || was->from == s->block))
			return false;
		if (s->kind == EXO_XN_WRITE && s->parent == was->parent)
			return false;
	}
	return true;
}

/* Something that can't be. */
static void spoil(struct m_step *s)
{
	switch (unit_below(8)) {
	case 0:
		s->parent = unit_below(2) ? unit_below(r.m.blocks) : s->block;
		break;
	case 1:
		s->slot = s->kind == EXO_XN_ALLOC || unit_below(2) ? 1 + unit_below(8) : s->slot ^ EXO_XN_DATA;
		break;
	case 2:
		s->count = unit_below(20);
		break;
	case 3:
		s->lie = true;
		break;
	default:
		s->block = random_block(1);
	}
}

static bool random_step(u32 root, struct m_step *s)
{
	struct m_unit *unit = random_unit(root), *other = random_unit(root);
	struct m_pointer *p = unit ? &unit->at[unit_below(M_POINTERS)] : NULL;
	u32 i;

	if (!unit)
		return false;
	memset(s, 0, sizeof(*s));
	s->parent = unit->block;
	for (i = 0; i < M_POINTERS && !p->count; i++)
		p = &unit->at[unit_below(M_POINTERS)];
	switch (unit_below(10)) {
	case 0: case 1: case 2:
		s->kind = EXO_XN_ALLOC;
		s->slot = EXO_XN_DATA;
		s->count = 1 + unit_below(4);
		s->block = random_block(s->count);
		break;
	case 3: case 4:
		s->kind = EXO_XN_ALLOC;
		s->slot = EXO_XN_SELF;
		s->count = 1;
		s->block = random_block(1);
		if (!room_for_units() || units_of(root) > 12)
			return false;
		break;
	case 5: case 6:
		s->kind = (p->block < M_BLOCKS && r.m.now.block[p->block].refs > 1) ^ !unit_below(8) ?
			  EXO_XN_UNLINK : EXO_XN_FREE_STEP;
		s->slot = p->slot;
		s->count = p->count;
		s->block = p->block;
		break;
	case 7:
		s->kind = EXO_XN_LINK;
		break;
	case 8:
		s->kind = EXO_XN_MOVE;
		break;
	default:
		s->kind = EXO_XN_WRITE;
		return true;
	}
	if (s->kind == EXO_XN_LINK || s->kind == EXO_XN_MOVE) {
		s->slot = p->slot;
		s->count = p->count;
		s->block = p->block;
		s->from = unit->block;
		s->parent = other->block;
	}
	return s->count;
}

/* The engine's steps: the model's, then new bytes of each unit that is another now. */
struct call {
	struct exo_xn_step_core step[4 * M_STEPS];
	u8 bytes[3 * M_STEPS][EXO_XN_BLOCK];
	u32 nr;
	u32 nr_bytes;
};

static void add_bytes(struct call *c, u32 kind, const struct m_unit *unit)
{
	u32 i;

	/* Once is enough. */
	for (i = 0; i < c->nr; i++)
		if (c->step[i].length && c->step[i].parent == unit->block)
			return;
	m_bytes(unit, c->bytes[c->nr_bytes]);
	c->step[c->nr++] = (struct exo_xn_step_core){
		.kind = kind, .parent = unit->block, .length = EXO_XN_BLOCK,
		.bytes = c->bytes[c->nr_bytes++],
	};
}

static bool goes(const struct m_step *steps, u32 nr, u64 block)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (steps[i].kind == EXO_XN_FREE_STEP && steps[i].slot != EXO_XN_DATA && steps[i].block == block)
			return true;
	return false;
}

static void add_changed(struct call *c, const struct m_state *before, struct m_state *after, u32 root, u64 block)
{
	struct m_unit *was = m_unit_at((struct m_state *)before, block), *is = m_unit_at(after, block);

	if (is && is->root == root)
		add_bytes(c, was ? EXO_XN_WRITE : EXO_XN_NEW, is);
}

/* What would the units be, step by step, if nothing forbade it? */
static void imagine(u32 root, const struct m_step *steps, u32 nr, struct m_state *after)
{
	static const struct m_who admin = { .admin = true };
	static struct model trial;
	struct m_unit *unit;
	u32 i;

	trial = r.m;
	for (i = 0; i < nr; i++)
		if (steps[i].kind != EXO_XN_WRITE)
			m_apply(&trial, &admin, root, &steps[i], 1, NULL);
	*after = trial.now;
	for (i = 0; i < nr; i++) {
		unit = m_unit_at(after, steps[i].parent);
		if (steps[i].kind == EXO_XN_WRITE && unit) {
			unit->payload = (u32)unit_random();
			unit->mode = unit_below(4) ? unit->mode : unit_below(8);
		}
	}
}

/* The same steps for both; bytes as the model would have them if it were allowed. */
static void apply(const struct m_who *who, u32 root, const struct m_step *steps, u32 nr)
{
	static struct m_state before, after;
	static struct call c;
	struct exo_xn_who w = who_of(who);
	struct m_unit *unit;
	u32 i, out_step;
	bool either;
	u64 out_block;
	int want, ret;

	c.nr = c.nr_bytes = 0;
	before = r.m.now;
	imagine(root, steps, nr, &after);
	for (i = 0; i < nr; i++)
		if (steps[i].kind != EXO_XN_WRITE)
			c.step[c.nr++] = (struct exo_xn_step_core){
				.kind = steps[i].kind, .parent = steps[i].parent, .block = steps[i].block,
				.from = steps[i].from, .count = steps[i].count, .slot = steps[i].slot,
			};
	for (i = 0; i < nr; i++) {
		if (!goes(steps, nr, steps[i].parent))
			add_changed(&c, &before, &after, root, steps[i].parent);
		if (steps[i].kind == EXO_XN_MOVE && !goes(steps, nr, steps[i].from))
			add_changed(&c, &before, &after, root, steps[i].from);
		if (steps[i].kind == EXO_XN_ALLOC && steps[i].slot == EXO_XN_SELF &&
		    !m_unit_at(&before, steps[i].block))
			add_changed(&c, &before, &after, root, steps[i].block);
	}
	load_all(root);
	want = m_apply(&r.m, who, root, steps, nr, &either);
	ret = exo_xn_apply(r.xn, &w, r.m.now.root[root - 1].number, c.step, c.nr, &out_step, &out_block);
	if (either && (ret == -EBUSY || ret == -EINVAL)) {
		if (!want)
			r.m.now = before;
		want = ret;
	}
	expect("apply", ret, want);
	for (i = 0; !want && i < M_UNITS; i++) {
		if (r.m.now.unit[i].root != root)
			continue;
		unit = m_unit_at(&after, r.m.now.unit[i].block);
		r.m.now.unit[i].payload = unit->payload;
		r.m.now.unit[i].mode = unit->mode;
	}
	r.dirty[root - 1]++;
}

/* What this unit would own still, after these steps? */
static bool owns_more(const struct m_step *steps, u32 nr, u64 block)
{
	struct m_unit *unit = m_unit_at(&r.m.now, block);
	u32 i, left = 0;

	for (i = 0; unit && i < M_POINTERS; i++)
		left += !!unit->at[i].count;
	for (i = 0; i < nr; i++)
		left -= steps[i].kind == EXO_XN_MOVE ? steps[i].from == block :
			steps[i].kind != EXO_XN_ALLOC && steps[i].kind != EXO_XN_LINK && steps[i].parent == block;
	return left;
}

/*
 * What can't be, and is seen at once or when all is compared: alone in its call. A unit for one that has several parents;
 * the end of a unit that owns something.
 */
static bool ambiguous(const struct m_step *steps, u32 nr, const struct m_step *s)
{
	if (s->kind == EXO_XN_FREE_STEP && s->slot == EXO_XN_SELF)
		return owns_more(steps, nr, s->block);
	return s->kind == EXO_XN_MOVE && s->slot == EXO_XN_SELF && r.m.now.block[s->parent].refs > 1;
}

/* Scribbles come last: so do their bytes. */
static void do_apply(void)
{
	struct m_step steps[M_STEPS], scribble[M_STEPS], s;
	u32 root = random_root(), nr = 0, nr_scribbles = 0, want = unit_below(3) ? 1 : 1 + unit_below(M_STEPS), i;
	struct m_who who = random_who();

	if (!root)
		return;
	if (unit_below(3))
		who.uid = r.m.now.root[root - 1].uid;
	for (i = 0; i < want; i++) {
		if (!random_step(root, &s) || !fits(steps, nr, &s) || !fits(scribble, nr_scribbles, &s))
			continue;
		if (s.kind == EXO_XN_WRITE)
			scribble[nr_scribbles++] = s;
		else if (!ambiguous(steps, nr, &s))
			steps[nr++] = s;
		else if (!nr)
			steps[want = nr++] = s;
	}
	/* New units take places of the model: no more than there are. */
	if (nr == 1 && !nr_scribbles && !unit_below(4) &&
	    !(steps[0].kind == EXO_XN_ALLOC && steps[0].slot == EXO_XN_SELF))
		spoil(&steps[0]);
	for (i = 0; i < nr_scribbles; i++)
		steps[nr++] = scribble[i];
	if (nr)
		apply(&who, root, steps, nr);
}

/* Everything else ----------------------------------------------------------------------------------- */

static int want_create(const struct m_who *who, u32 template, u32 flags, u32 length, u64 max, const char *name)
{
	u64 block, run = 0;
	u32 i;

	if (template != r.template)
		return -ENOENT;
	if (flags & ~EXO_XN_ROOT_TEMPORARY || length != EXO_XN_BLOCK)
		return -EINVAL;
	if (r.m.uid_blocks && !who->admin && m_blocks_of_uid(&r.m, who->uid) + 1 > r.m.uid_blocks)
		return -EDQUOT;
	(void)max;
	if (!*name)
		return -EINVAL;
	for (i = 0; i < M_ROOTS; i++)
		if (r.m.now.root[i].used && !strcmp(r.m.now.root[i].name, name))
			return -EEXIST;
	for (block = r.m.first; block < r.m.blocks && !run; block++)
		run = m_is_free(&r.m, block);
	return run ? 0 : -ENOSPC;
}

static void do_create(void)
{
	struct m_who who = random_who();
	struct exo_xn_who w = who_of(&who);
	u32 template = unit_below(12) ? r.template : 1 + unit_below(2000), number, i, at, other;
	u32 length = unit_below(12) ? EXO_XN_BLOCK : unit_below(20) * EXO_XN_BLOCK + unit_below(3);
	u32 flags = unit_below(4) ? 0 : unit_below(8) ? EXO_XN_ROOT_TEMPORARY : 8;
	u64 max = unit_below(3) ? 0 : 1 + unit_below(40);
	u8 bytes[20 * EXO_XN_BLOCK] = {};
	struct m_unit unit = { .mode = unit_below(8), .payload = (u32)unit_random() };
	char name[EXO_XN_NAME] = "";
	struct m_root *root;
	int want, ret;

	for (at = 0; at < M_ROOTS && (r.m.now.root[at].used || r.m.done.root[at].used); at++)
		;
	for (i = 0; i < M_UNITS && (r.m.now.unit[i].root || r.m.done.unit[i].root); i++)
		;
	other = random_root();
	if (at == M_ROOTS || i == M_UNITS) {
		/* The model has no room for one more: a name that is taken is all that can be asked for. */
		if (!other)
			return;
		strcpy(name, r.m.now.root[other - 1].name);
	} else if (unit_below(4)) {
		snprintf(name, sizeof(name), "root%u", r.names++);
	} else if (unit_below(2) && other) {
		strcpy(name, r.m.now.root[other - 1].name);
	}
	m_bytes(&unit, bytes);
	want = want_create(&who, template, flags, length, max, name);
	ret = exo_xn_root_create(r.xn, &w, name, template, flags, 0, max, at % 2 ? good_key : NULL, bytes, length,
				 &number);
	expect("create", ret, want);
	if (ret)
		return;
	root = &r.m.now.root[at];
	*root = (struct m_root){ .used = true, .temporary = flags, .key = at % 2, .uid = who.uid,
				 .number = number, .max = max };
	strcpy(root->name, name);
	root->block = exo_xn_root(r.xn, number)->block;
	CHECK(m_is_free(&r.m, root->block));
	unit.root = at + 1;
	unit.block = root->block;
	r.m.now.unit[i] = unit;
	r.m.now.block[unit.block] = (struct m_block){ .root = at + 1, .refs = 1 };
	m_commit(&r.m, at + 1);
}

static void do_delete(void)
{
	struct m_who who = random_who();
	struct exo_xn_who w = who_of(&who);
	u32 root = random_root();

	if (!root || !unit_below(10)) {
		expect("delete", exo_xn_root_delete(r.xn, &w, EXO_XN_ROOTS - 3), -ENOENT);
		return;
	}
	if (!who.admin && who.uid != r.m.now.root[root - 1].uid) {
		expect("delete", exo_xn_root_delete(r.xn, &w, r.m.now.root[root - 1].number), -EACCES);
		return;
	}
	expect("delete", exo_xn_root_delete(r.xn, &w, r.m.now.root[root - 1].number), 0);
	m_delete(&r.m, root);
}

static void do_chown(void)
{
	u32 root = random_root(), uid = 1000 + unit_below(3);
	struct m_root *m;
	int want = 0;

	if (!root)
		return;
	m = &r.m.now.root[root - 1];
	if (uid != m->uid && m_blocks_of_uid(&r.m, uid) + m_blocks_of(&r.m, root) > r.m.uid_blocks)
		want = -EDQUOT;
	expect("chown", exo_xn_root_chown(r.xn, m->number, uid), want);
	if (want)
		return;
	m->uid = uid;
	m_commit(&r.m, root);
}

static void do_limit(void)
{
	u32 root = random_root();
	u64 max = unit_below(2) ? 0 : unit_below(50);

	if (!root)
		return;
	expect("limit", exo_xn_root_limit(r.xn, r.m.now.root[root - 1].number, max), 0);
	r.m.now.root[root - 1].max = max;
	m_commit(&r.m, root);
}

static void commit_all(u32 which)
{
	u32 i;
	u64 seq;

	for (i = 0; i < M_ROOTS; i++)
		if (r.m.now.root[i].used && which >> i & 1)
			exo_xn_root(r.xn, r.m.now.root[i].number)->requested = true;
	expect("commit", exo_xn_commit(r.xn, &seq), 0);
	for (i = 0; i < M_ROOTS; i++)
		if (r.m.now.root[i].used && which >> i & 1) {
			m_commit(&r.m, i + 1);
			r.dirty[i] = 0;
		}
}

/* Its map is held, as by a binding of everything. */
static void hold_map(void)
{
	u8 map[M_BLOCKS];

	CHECK_EQ(exo_xn_map_show(r.xn, 0, (u32)r.m.blocks, 1, map), 0);
	exo_xn_map_hold(r.xn, 0, r.m.blocks);
}

static void do_again(void)
{
	struct exo_xn_stat stat;

	expect("detach", exo_xn_detach(r.xn), 0);
	exo_xn_free(r.xn);
	CHECK_EQ(r.sim->live, 0);
	expect("attach", exo_xn_attach(&r.sim->host, r.sim, M_BLOCKS, 0, &r.xn), 0);
	exo_xn_stat(r.xn, &stat);
	CHECK_EQ(stat.quarantined, 0);
	CHECK_EQ(stat.replayed, 0);
	hold_map();
	m_again(&r.m);
	memset(r.dirty, 0, sizeof(r.dirty));
	sim_settle(r.sim);
	/* In half of the lives units are given back all the time. */
	exo_xn_limit(r.xn, unit_below(2) ? 64 << 10 : EXO_XN_MEMORY);
}

static void do_grow(void)
{
	u64 blocks = unit_below(3) ? r.m.blocks + unit_below(4) : r.m.blocks - 1;
	int want = blocks < r.m.blocks ? -EINVAL : blocks > r.m.blocks && r.m.grown == 8 ? -ENOSPC : 0;

	if (blocks > M_BLOCKS)
		return;
	expect("grow", exo_xn_grow(r.xn, blocks), want);
	if (want || blocks == r.m.blocks)
		return;
	r.m.grown++;
	r.m.blocks = blocks;
}

static void do_trim(void)
{
	u64 start = unit_below(r.m.blocks), count = unit_below(200), i, want = 0;

	for (i = start; i < start + count && i < r.m.blocks; i++)
		want += m_is_free(&r.m, i) && !r.m.done.block[i].root;
	expect("trim", (int)exo_xn_trim(r.xn, start, count), (int)want);
}

static void do_check(void)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	int ret;

	CHECK_EQ(exo_xn_walk_begin(r.xn, EXO_XN_CHECK_REPAIR | (unit_below(2) ? EXO_XN_CHECK_SCRUB : 0), &walk), 0);
	do
		ret = exo_xn_walk_step(walk, 1 + unit_below(20));
	while (ret == 1);
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	expect("check", ret, 0);
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
	if (rights & EXO_RIGHT_READ && !m_may(&r.m.now, unit, who, EXO_XN_MAY_READ))
		return -EACCES;
	if (rights & EXO_RIGHT_WRITE && !m_may(&r.m.now, unit, who, EXO_XN_MAY_WRITE))
		return -EACCES;
	return 0;
}

/* Bind, and write if that is allowed. */
static void do_bind(void)
{
	u32 root = random_root(), rights = unit_below(4), count, i;
	struct m_unit *unit = root ? random_unit(root) : NULL;
	struct m_who who = random_who();
	struct exo_xn_who w = who_of(&who);
	struct exo_xn_unit *core;
	struct m_pointer *p;
	int want;

	if (!unit)
		return;
	p = &unit->at[unit_below(M_POINTERS)];
	count = p->count + !unit_below(4);
	load_all(root);
	core = exo_xn_unit_find(r.xn, r.m.now.root[root - 1].number, unit->block);
	CHECK(core);
	want = want_bind(&who, unit, p->block, count, rights);
	expect("bind", exo_xn_bind_check(r.xn, core, &w, p->block, count, rights), want);
	if (want || !(rights & EXO_RIGHT_WRITE))
		return;
	exo_xn_written(r.xn, p->block, count);
	for (i = 0; i < count; i++)
		r.m.now.block[p->block + i].written = true;
	if (!unit_below(3))
		expect("commit_written", exo_xn_commit_written(r.xn), 0);
}

static u8 want_map(u64 block, u32 uid)
{
	const struct m_block *b = &r.m.now.block[block];
	u32 root = b->root ? b->root : b->waiting;

	if (block < r.m.first || root > M_ROOTS)
		return EXO_XN_SYSTEM;
	if (!root)
		return EXO_XN_FREE;
	if (r.m.now.root[root - 1].uid != uid)
		return EXO_XN_TAKEN;
	return b->root ? EXO_XN_MINE : EXO_XN_WAITING;
}

/* The map, numbers, references, what may be read: all of it. */
static void compare(void)
{
	u64 i, nr_free = 0, waiting = 0;
	u32 uid = 1000 + unit_below(3), entry, root;
	struct exo_xn_stat stat;
	u8 map[M_BLOCKS];

	CHECK_EQ(exo_xn_map_show(r.xn, 0, (u32)r.m.blocks, uid, map), 0);
	for (i = 0; i < r.m.blocks; i++) {
		const struct m_block *b = &r.m.now.block[i];

		nr_free += m_is_free(&r.m, i);
		waiting += !!b->waiting;
		if (map[i] != want_map(i, uid))
			unit_fail(__FILE__, __LINE__, "operation %llu: block %llu is %u in the map, not %u",
				  (unsigned long long)r.ops, (unsigned long long)i, map[i], want_map(i, uid));
		if (!b->root || b->root > M_ROOTS)
			continue;
		CHECK_EQ(exo_xn_map_look(r.xn, i, &entry), 0);
		CHECK_EQ(entry & EXO_XN_ENTRY_ROOT, r.m.now.root[b->root - 1].number);
		CHECK_EQ((entry & EXO_XN_ENTRY_REFS) / EXO_XN_ENTRY_REF, b->refs);
		if (!m_unit_at(&r.m.now, i))
			CHECK_EQ(!!(entry & EXO_XN_ENTRY_INIT), b->written);
	}
	exo_xn_stat(r.xn, &stat);
	CHECK_EQ(stat.free, nr_free);
	CHECK_EQ(stat.waiting, waiting);
	CHECK_EQ(exo_xn_uid_blocks(r.xn, uid), m_blocks_of_uid(&r.m, uid));
	for (root = 1; root <= M_ROOTS; root++)
		if (r.m.now.root[root - 1].used)
			CHECK_EQ(exo_xn_root(r.xn, r.m.now.root[root - 1].number)->blocks, m_blocks_of(&r.m, root));
}

static void start(void)
{
	struct exo_xn_format_opts opts = { .blocks = BLOCKS, .log_blocks = LOG, .uid_blocks = QUOTA };
	struct sim_content content = { .magic = SIM_MAGIC, .kind = SIM_LIST };
	struct exo_xn_who admin = { .admin = true };
	u32 refs[EXO_XN_REFS] = {}, func;
	struct exo_graft_error err;
	struct exo_xn_stat stat;

	memset(&r, 0, sizeof(r));
	r.sim = sim_new(M_BLOCKS);
	CHECK_EQ(exo_xn_format(&r.sim->host, r.sim, &opts), 0);
	CHECK_EQ(exo_xn_attach(&r.sim->host, r.sim, M_BLOCKS, 0, &r.xn), 0);
	CHECK_EQ(exo_xn_template_add(r.xn, &admin, "list", refs, SIM_PART, SIM_PART, &content, sizeof(content),
				     &err, &func, &r.template), 0);
	exo_xn_stat(r.xn, &stat);
	r.m.blocks = BLOCKS;
	r.m.first = stat.first;
	r.m.uid_blocks = QUOTA;
	/* The template's. */
	r.m.now.block[stat.first].root = r.m.done.block[stat.first].root = M_ROOTS + 1;
	hold_map();
}

static void operation(void)
{
	u32 i, dirty = 0;

	for (i = 0; i < M_ROOTS; i++)
		dirty |= (r.dirty[i] > 40) << i;
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
	case 14: case 15: case 16: case 17: case 18: case 19:
		do_bind();
		break;
	default:
		do_apply();
	}
}

TEST(model__random_operations)
{
	u32 rounds = unit_rounds(6000), i;

	start();
	for (i = 0; i < rounds; i++) {
		operation();
		compare();
		if (r.sim->nr_events > 500)
			sim_settle(r.sim);
	}
	exo_xn_free(r.xn);
	CHECK_EQ(r.sim->live, 0);
	sim_free(r.sim);
	printf("# %llu operations, %llu refused:", (unsigned long long)r.ops, (unsigned long long)r.refused);
	for (i = 0; i < 160; i++)
		if (seen[i])
			printf(" %u: %llu", i, (unsigned long long)seen[i]);
	printf("\n");
	/* Each error that the model knows was met, and most things are done. */
	if (rounds >= 6000) {
		CHECK(seen[ENOENT] && seen[EACCES] && seen[EBUSY] && seen[EEXIST] && seen[EINVAL] && seen[EDQUOT]);
		CHECK(r.refused < 2 * r.ops / 3);
	}
}
