// SPDX-License-Identifier: GPL-2.0
#include "xn_twin.h"

struct twin twin;

void twin_expect(const char *what, int ret, int want)
{
	twin.ops++;
	twin.refused += want < 0;
	if (want < 0 && -want < 160)
		twin.seen[-want]++;
	if (ret != want)
		unit_fail(__FILE__, __LINE__, "operation %llu, %s: %d, not %d", (unsigned long long)twin.ops, what,
			  ret, want);
}

struct m_who twin_who(void)
{
	u32 which = unit_below(M_USERS + 1);

	return (struct m_who){ .uid = which == M_USERS ? 0 : M_UID + which, .admin = which == M_USERS, .key = unit_below(2) };
}

struct exo_xn_who twin_who_of(const struct m_who *who)
{
	static const struct exo_xn_key keys[2] = { { { 9 } }, { { 1, 2, 3 } } };

	return (struct exo_xn_who){ .uid = who->uid, .admin = who->admin, .keys = keys,
				    .nr_keys = who->key ? 2 : 1 };
}

u32 twin_root(void)
{
	u32 i, root = unit_below(M_ROOTS);

	for (i = 0; i < M_ROOTS && !twin.m.now.root[root].used; i++)
		root = (root + 1) % M_ROOTS;
	return twin.m.now.root[root].used ? root + 1 : 0;
}

struct m_unit *twin_unit(u32 root)
{
	u32 i, at = unit_below(M_UNITS);

	for (i = 0; i < M_UNITS; i++, at = (at + 1) % M_UNITS)
		if (twin.m.now.unit[at].root == root)
			return &twin.m.now.unit[at];
	return NULL;
}

/* Free, mostly; else anything. */
static u64 random_block(u32 count)
{
	u64 block = twin.m.first + unit_below(twin.m.blocks - twin.m.first), i, n;

	if (!unit_below(12))
		return unit_below(4) ? unit_below(twin.m.blocks + 4) : unit_edge();
	for (i = 0; i < M_BLOCKS; i++, block = block + 1 < twin.m.blocks ? block + 1 : twin.m.first) {
		for (n = 0; n < count && m_is_free(&twin.m, block + n); n++)
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
		n += twin.m.now.unit[i].root == root;
	return n;
}

/* Units need places in the model that nobody has, now or as committed: enough for one call. */
static bool room_for_units(void)
{
	u32 i, n = 0;

	for (i = 0; i < M_UNITS; i++)
		n += !twin.m.now.unit[i].root && !twin.m.done.unit[i].root;
	return n >= M_STEPS;
}

/* Changes ------------------------------------------------------------------------------------------- */

void twin_load(u32 root)
{
	u64 todo[M_UNITS * 2], parent[M_UNITS * 2], first = twin.m.now.root[root - 1].block;
	struct exo_xn_unit *unit;
	struct m_unit *model;
	u32 nr = 1, i;
	u8 bytes[EXO_XN_BLOCK];

	todo[0] = parent[0] = first;
	while (nr--) {
		u64 block = todo[nr];

		CHECK_EQ(exo_xn_unit_load(twin.xn, twin.m.now.root[root - 1].number, parent[nr], block, &unit), 0);
		model = m_unit_at(&twin.m.now, block);
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
		s->parent = unit_below(2) ? unit_below(twin.m.blocks) : s->block;
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
	struct m_unit *unit = twin_unit(root), *other = twin_unit(root);
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
		s->kind = (p->block < M_BLOCKS && twin.m.now.block[p->block].refs > 1) ^ !unit_below(8) ?
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

	trial = twin.m;
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
	struct exo_xn_who w = twin_who_of(who);
	struct m_unit *unit;
	u32 i, out_step;
	bool either;
	u64 out_block;
	int want, ret;

	c.nr = c.nr_bytes = 0;
	before = twin.m.now;
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
	twin_load(root);
	want = m_apply(&twin.m, who, root, steps, nr, &either);
	ret = exo_xn_apply(twin.xn, &w, twin.m.now.root[root - 1].number, c.step, c.nr, &out_step, &out_block);
	if (either && (ret == -EBUSY || ret == -EINVAL)) {
		if (!want)
			twin.m.now = before;
		want = ret;
	}
	twin_expect("apply", ret, want);
	for (i = 0; !want && i < M_UNITS; i++) {
		if (twin.m.now.unit[i].root != root)
			continue;
		unit = m_unit_at(&after, twin.m.now.unit[i].block);
		twin.m.now.unit[i].payload = unit->payload;
		twin.m.now.unit[i].mode = unit->mode;
	}
	twin.dirty[root - 1]++;
}

/* What this unit would own still, after these steps? */
static bool owns_more(const struct m_step *steps, u32 nr, u64 block)
{
	struct m_unit *unit = m_unit_at(&twin.m.now, block);
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
	return s->kind == EXO_XN_MOVE && s->slot == EXO_XN_SELF && twin.m.now.block[s->parent].refs > 1;
}

/* Scribbles come last: so do their bytes. */
void twin_change(void)
{
	struct m_step steps[M_STEPS], scribble[M_STEPS], s;
	u32 root = twin_root(), nr = 0, nr_scribbles = 0, want = unit_below(3) ? 1 : 1 + unit_below(M_STEPS), i;
	struct m_who who = twin_who();

	if (!root)
		return;
	if (unit_below(3))
		who.uid = twin.m.now.root[root - 1].uid;
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
