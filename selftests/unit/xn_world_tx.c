// SPDX-License-Identifier: GPL-2.0
/* Changes of a root of the world: the steps, and what the model is afterwards. */
#include "unit.h"
#include "xn_world.h"

void w_tx_begin(struct w_tx *tx, struct world *w, struct w_root *root)
{
	memset(tx, 0, sizeof(*tx));
	tx->w = w;
	tx->root = root;
	w_state_copy(&tx->after, &root->now);
}

void w_tx_drop(struct w_tx *tx)
{
	u32 i;

	for (i = 0; i < tx->nr_keep; i++)
		free(tx->keep[i]);
	tx->nr_keep = 0;
	w_state_clear(&tx->after);
}

struct exo_xn_step_core *w_tx_step(struct w_tx *tx, u32 kind, u64 parent, u64 block, u32 count,
				   u32 slot)
{
	struct exo_xn_step_core *step = &tx->step[tx->nr];
	u32 i;

	if (tx->nr == W_STEPS)
		return NULL;
	/* A call moves, takes or gives up a block once. */
	for (i = 0; count && i < tx->nr; i++)
		if (block < tx->step[i].block + tx->step[i].count && tx->step[i].block < block + count)
			return NULL;
	tx->nr++;
	*step = (struct exo_xn_step_core){
		.kind = kind, .slot = slot, .parent = parent, .block = block, .count = count,
	};
	return step;
}

struct w_unit *w_tx_change(struct w_tx *tx, u64 block)
{
	struct w_unit *unit = w_unit(&tx->after, block);
	u32 i;

	if (!unit)
		return NULL;
	unit->bytes = w_bytes_own(unit->bytes);
	for (i = 0; i < tx->nr_touched; i++)
		if (tx->touched[i] == block)
			return unit;
	if (tx->nr_touched < W_UNITS)
		tx->touched[tx->nr_touched++] = block;
	return unit;
}

static bool points(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e)
{
	struct w_unit *unit = w_tx_change(tx, parent);
	u32 level = unit ? ((struct sim_unit *)unit->bytes->at)->level : 0;

	if (unit && unit->kind == SIM_TREE && e->slot != (level ? EXO_XN_SELF : EXO_XN_DATA))
		return false;
	return unit && !sim_insert(unit->kind, unit->bytes->at, unit->bytes->length, e);
}

static bool points_no_more(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e)
{
	struct w_unit *unit = w_tx_change(tx, parent);

	return unit && !sim_remove(unit->kind, unit->bytes->at, unit->bytes->length, e);
}

static void life_begins(struct w_tx *tx, u64 block, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		tx->after.life[block + i] = ++tx->w->life;
}

bool w_tx_data(struct w_tx *tx, u64 parent, u64 block, u32 count)
{
	struct exo_xn_extent e = { .block = block, .count = count, .slot = EXO_XN_DATA };

	if (!w_tx_step(tx, EXO_XN_ALLOC, parent, block, count, EXO_XN_DATA) || !points(tx, parent, &e))
		return false;
	life_begins(tx, block, count);
	return true;
}

bool w_tx_unit(struct w_tx *tx, u64 parent, u64 block, u32 blocks, u32 slot, u32 level)
{
	struct exo_xn_extent e = { .block = block, .count = blocks, .slot = slot };
	struct w_unit *above = w_unit(&tx->after, parent), *unit;
	struct sim_unit *head;

	if (!above || tx->after.nr == W_UNITS ||
	    !w_tx_step(tx, EXO_XN_ALLOC, parent, block, blocks, slot) ||
	    !w_tx_step(tx, EXO_XN_NEW, block, 0, 0, 0) || !points(tx, parent, &e))
		return false;
	above = w_unit(&tx->after, parent);
	unit = &tx->after.unit[tx->after.nr++];
	unit->block = block;
	unit->kind = slot == EXO_XN_SELF ? above->kind : SIM_TREE;
	unit->bytes = w_bytes_new(blocks * EXO_XN_BLOCK);
	head = (struct sim_unit *)unit->bytes->at;
	head->bytes = unit->bytes->length;
	head->level = level;
	head->payload[0] = (u32)++tx->w->seq;
	return true;
}

static void forget(struct w_tx *tx, u64 block)
{
	struct w_unit *unit = w_unit(&tx->after, block);

	w_bytes_put(unit->bytes);
	*unit = tx->after.unit[--tx->after.nr];
}

static void life_ends(struct w_tx *tx, const struct exo_xn_extent *e)
{
	memset(&tx->after.life[e->block], 0, e->count * sizeof(tx->after.life[0]));
}

bool w_tx_free(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e)
{
	static struct exo_xn_extent below[W_POINTERS];
	struct w_unit *unit;

	if (w_refs(&tx->after, e->block) != 1 ||
	    !w_tx_step(tx, EXO_XN_FREE_STEP, parent, e->block, e->count, e->slot) ||
	    !points_no_more(tx, parent, e))
		return false;
	if (e->slot == EXO_XN_DATA) {
		life_ends(tx, e);
		return true;
	}
	unit = w_unit(&tx->after, e->block);
	if (!unit || w_pointers(unit, below) || unit->bytes->length != e->count * EXO_XN_BLOCK)
		return false;
	forget(tx, e->block);
	return true;
}

bool w_tx_free_part(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e, u32 at, u32 count)
{
	struct exo_xn_extent left = { e->block, at, e->slot };
	struct exo_xn_extent gone = { e->block + at, count, e->slot };
	struct exo_xn_extent right = { e->block + at + count, e->count - at - count, e->slot };

	if (e->slot != EXO_XN_DATA || at + count > e->count || !count ||
	    w_refs(&tx->after, e->block) != 1 ||
	    !w_tx_step(tx, EXO_XN_FREE_STEP, parent, gone.block, gone.count, e->slot) ||
	    !points_no_more(tx, parent, e))
		return false;
	if ((left.count && !points(tx, parent, &left)) || (right.count && !points(tx, parent, &right)))
		return false;
	life_ends(tx, &gone);
	return true;
}

static bool same_format(struct w_tx *tx, u64 from, u64 to, const struct exo_xn_extent *e)
{
	struct w_unit *a = w_unit(&tx->after, from), *b = w_unit(&tx->after, to);

	return a && b && a != b && (e->slot == EXO_XN_DATA || (a->kind == b->kind && e->block != to));
}

static bool owns_nothing(struct w_tx *tx, const struct exo_xn_extent *e)
{
	static struct exo_xn_extent below[W_POINTERS];
	struct w_unit *unit;

	if (e->slot == EXO_XN_DATA)
		return true;
	unit = w_unit(&tx->after, e->block);
	return unit && !w_pointers(unit, below);
}

bool w_tx_move(struct w_tx *tx, u64 from, u64 to, const struct exo_xn_extent *e)
{
	struct exo_xn_step_core *step;

	/* A unit that owns nothing is nobody's ancestor. */
	if (!same_format(tx, from, to, e) || !owns_nothing(tx, e) || w_refs(&tx->after, e->block) != 1)
		return false;
	step = w_tx_step(tx, EXO_XN_MOVE, to, e->block, e->count, e->slot);
	if (!step)
		return false;
	step->from = from;
	return points_no_more(tx, from, e) && points(tx, to, e);
}

bool w_tx_link(struct w_tx *tx, u64 from, u64 to, const struct exo_xn_extent *e)
{
	struct exo_xn_step_core *step;

	if (!same_format(tx, from, to, e) || !owns_nothing(tx, e) || w_refs(&tx->after, e->block) != 1)
		return false;
	step = w_tx_step(tx, EXO_XN_LINK, to, e->block, e->count, e->slot);
	if (!step)
		return false;
	step->from = from;
	return points(tx, to, e);
}

bool w_tx_unlink(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e)
{
	return w_refs(&tx->after, e->block) > 1 &&
	       w_tx_step(tx, EXO_XN_UNLINK, parent, e->block, e->count, e->slot) &&
	       points_no_more(tx, parent, e);
}

bool w_tx_scribble(struct w_tx *tx, u64 block)
{
	struct w_unit *unit = w_tx_change(tx, block);
	struct sim_unit *head;
	u32 i, n;

	if (!unit)
		return false;
	head = (struct sim_unit *)unit->bytes->at;
	n = 1 + unit_below(3);
	for (i = 0; i < n; i++)
		head->payload[unit_below(11)] = (u32)++tx->w->seq;
	return true;
}

static bool write_range(struct w_tx *tx, u64 block, const u8 *bytes, u32 from, u32 to)
{
	struct exo_xn_step_core *step = w_tx_step(tx, EXO_XN_WRITE, block, 0, 0, 0);

	if (!step)
		return false;
	/* A copy of its own size: reading behind it is found. */
	tx->keep[tx->nr_keep] = malloc(to - from);
	memcpy(tx->keep[tx->nr_keep], bytes + from, to - from);
	step->bytes = tx->keep[tx->nr_keep++];
	step->offset = from;
	step->length = to - from;
	return true;
}

/* Byte ranges that make the unit what it is to be. */
static bool write_difference(struct w_tx *tx, const struct w_unit *before, const struct w_unit *after)
{
	const u8 *a = before->bytes->at, *b = after->bytes->at;
	u32 length = after->bytes->length, from = 0, to;

	while (from < length) {
		if (a[from] == b[from]) {
			from++;
			continue;
		}
		for (to = from + 1; to < length && (a[to] != b[to] || to % 16); to++)
			;
		if (tx->nr >= W_STEPS - 1)
			to = length;
		if (!write_range(tx, after->block, b, from, to))
			return false;
		from = to;
	}
	return true;
}

static bool complete_steps(struct w_tx *tx)
{
	struct w_unit *before, *after;
	u32 i;

	for (i = 0; i < tx->nr; i++) {
		struct exo_xn_step_core *step = &tx->step[i];

		if (step->kind != EXO_XN_NEW || step->bytes)
			continue;
		after = w_unit(&tx->after, step->parent);
		step->bytes = after->bytes->at;
		step->length = after->bytes->length;
	}
	for (i = 0; i < tx->nr_touched; i++) {
		before = w_unit(&tx->root->now, tx->touched[i]);
		after = w_unit(&tx->after, tx->touched[i]);
		/* Pointers vanish with the unit: it must own nothing before it is freed. */
		if (before && after && !write_difference(tx, before, after))
			return false;
	}
	return true;
}

static void new_lives(struct w_tx *tx)
{
	u32 i;

	for (i = 0; i < W_BLOCKS; i++)
		if (tx->after.life[i] && tx->after.life[i] != tx->root->now.life[i])
			tx->w->data[i] = (struct w_data){ .life = tx->after.life[i] };
}

static void new_waiting(struct w_tx *tx)
{
	u32 i;

	for (i = 0; i < W_BLOCKS; i++)
		tx->root->waiting[i] |= w_has(&tx->root->now, i) && !w_has(&tx->after, i);
}

/* All units of a root in the engine's memory: a unit can be named once its parent was read. */
static int load_all(struct world *w, struct w_root *root)
{
	static struct exo_xn_extent e[W_POINTERS];
	u64 todo[W_UNITS * 4], parent[W_UNITS * 4];
	struct exo_xn_unit *unit;
	u32 nr = 0, n, count;
	int ret;

	todo[0] = parent[0] = root->block;
	for (nr = 1; nr;) {
		const struct w_unit *model = w_unit(&root->now, todo[--nr]);

		if (!model)
			return -ENOENT;
		ret = exo_xn_unit_load(w->xn, root->number, parent[nr], todo[nr], &unit);
		if (ret)
			return ret;
		count = w_pointers(model, e);
		for (n = 0; n < count && nr < W_UNITS * 4; n++)
			if (e[n].slot != EXO_XN_DATA) {
				todo[nr] = e[n].block;
				parent[nr++] = model->block;
			}
	}
	return 0;
}

int w_tx_apply(struct w_tx *tx, u32 uid)
{
	struct exo_xn_who who = w_who(uid);
	int ret = load_all(tx->w, tx->root);

	if (ret)
		return ret;
	if (!complete_steps(tx))
		return -E2BIG;
	ret = exo_xn_apply(tx->w->xn, &who, tx->root->number, tx->step, tx->nr, &tx->out_step,
			   &tx->out_block);
	if (!ret) {
		new_lives(tx);
		new_waiting(tx);
		w_state_move(&tx->root->now, &tx->after);
	}
	return ret;
}
