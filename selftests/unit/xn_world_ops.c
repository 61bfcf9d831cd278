// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_world_ops.h"

const char *const w_op_name[W_OPS] = {
	"data", "unit", "free", "free_unit", "move", "link", "scribble", "write", "write_fua",
	"write_slow", "root", "commit", "flush", "checkpoint", "commit_all",
};

#define W_OUT_OF_ROOM(ret) ((ret) == -ENOSPC)

u32 w_uid(u32 user)
{
	return 1000 + user;
}

struct w_root *w_root_of(struct world *w, u32 user)
{
	u32 i;

	for (i = 0; i < W_ROOTS; i++)
		if (w->root[i].used && w->root[i].now.exists && w->root[i].uid == w_uid(user))
			return &w->root[i];
	return NULL;
}

/* The first pointer of a unit to data, or to a unit. */
static bool first_pointer(const struct w_unit *unit, bool data, struct exo_xn_extent *out)
{
	static struct exo_xn_extent e[W_POINTERS];
	u32 nr = w_pointers(unit, e), i;

	for (i = 0; i < nr; i++)
		if ((e[i].slot == EXO_XN_DATA) == data) {
			*out = e[i];
			return true;
		}
	return false;
}

static int end(struct w_tx *tx, bool asked)
{
	int ret = 0;

	if (asked) {
		ret = w_tx_apply(tx, tx->root->uid);
		/* The log has no room for more at once: no fault. */
		ret = W_OUT_OF_ROOM(ret) ? 0 : ret ?: 1;
	}
	w_tx_drop(tx);
	return ret;
}

static int do_data(struct world *w, struct w_root *root)
{
	u64 block = w_find_free(w, 0, 1);
	struct w_tx tx;

	if (!block)
		return 0;
	w_tx_begin(&tx, w, root);
	return end(&tx, w_tx_data(&tx, root->block, block, 1));
}

static int do_unit(struct world *w, struct w_root *root)
{
	u64 block = w_find_free(w, 0, 1), data = block ? w_find_free(w, block + 1, 1) : 0;
	u32 slot = unit_below(2);
	struct w_tx tx;

	if (!data)
		return 0;
	w_tx_begin(&tx, w, root);
	return end(&tx, w_tx_unit(&tx, root->block, block, 1, slot, 0) &&
		   w_tx_data(&tx, block, data, 1));
}

static int do_free(struct world *w, struct w_root *root)
{
	struct exo_xn_extent e;
	struct w_tx tx;

	if (!first_pointer(w_root_unit(root), true, &e))
		return 0;
	w_tx_begin(&tx, w, root);
	if (w_refs(&root->now, e.block) > 1)
		return end(&tx, w_tx_unlink(&tx, root->block, &e));
	return end(&tx, w_tx_free(&tx, root->block, &e));
}

static bool free_below(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e, u32 depth)
{
	static struct exo_xn_extent pointers[8][W_POINTERS];
	struct exo_xn_extent *below = pointers[depth % 8];
	u32 nr, i;

	if (w_refs(&tx->after, e->block) > 1)
		return w_tx_unlink(tx, parent, e);
	if (e->slot != EXO_XN_DATA) {
		nr = w_pointers(w_unit(&tx->after, e->block), below);
		for (i = 0; i < nr; i++)
			if (depth == 7 || !free_below(tx, e->block, &below[i], depth + 1))
				return false;
	}
	return w_tx_free(tx, parent, e);
}

static int do_free_unit(struct world *w, struct w_root *root)
{
	struct exo_xn_extent e;
	struct w_tx tx;

	if (!first_pointer(w_root_unit(root), false, &e))
		return 0;
	w_tx_begin(&tx, w, root);
	return end(&tx, free_below(&tx, root->block, &e, 0));
}

static int do_move(struct world *w, struct w_root *root)
{
	struct exo_xn_extent below, e;
	struct w_tx tx;

	if (!first_pointer(w_root_unit(root), false, &below))
		return 0;
	w_tx_begin(&tx, w, root);
	if (first_pointer(w_root_unit(root), true, &e))
		return end(&tx, w_tx_move(&tx, root->block, below.block, &e));
	if (first_pointer(w_unit(&root->now, below.block), true, &e))
		return end(&tx, w_tx_move(&tx, below.block, root->block, &e));
	return end(&tx, false);
}

static int do_link(struct world *w, struct w_root *root)
{
	struct exo_xn_extent below, e;
	struct w_tx tx;

	if (!first_pointer(w_root_unit(root), false, &below) ||
	    !first_pointer(w_unit(&root->now, below.block), true, &e))
		return 0;
	w_tx_begin(&tx, w, root);
	if (w_refs(&root->now, e.block) > 1)
		return end(&tx, w_tx_unlink(&tx, below.block, &e));
	return end(&tx, w_tx_link(&tx, below.block, root->block, &e));
}

static int do_scribble(struct world *w, struct w_root *root)
{
	struct w_tx tx;

	w_tx_begin(&tx, w, root);
	return end(&tx, w_tx_scribble(&tx, root->block));
}

/* The root's own data first, then what is below. */
static bool first_data(struct w_root *root, u64 *block)
{
	u32 i;

	for (i = 0; i < W_BLOCKS; i++)
		if (root->now.life[i]) {
			*block = i;
			return true;
		}
	return false;
}

static int do_write(struct world *w, struct w_root *root, enum w_op op)
{
	u64 block;

	if (!first_data(root, &block))
		return 0;
	if (w_in_flight(w, block)) {
		if (op != W_OP_WRITE_SLOW)
			return 0;
		w_write_end(w, block);
		return 1;
	}
	w_write_begin(w, root, block, op == W_OP_WRITE_FUA);
	if (op != W_OP_WRITE_SLOW)
		w_write_end(w, block);
	return 1;
}

static int do_root(struct world *w, u32 user)
{
	struct w_root *root = w_root_of(w, user);
	int ret;

	ret = root ? w_delete(w, root) : w_create(w, w_uid(user), SIM_LIST, &root);
	return W_OUT_OF_ROOM(ret) ? 0 : ret ?: 1;
}

static int do_commit_all(struct world *w)
{
	struct w_root *roots[W_ROOTS];
	u32 i, nr = 0;

	for (i = 0; i < W_ROOTS; i++)
		if (w->root[i].used && w->root[i].now.exists)
			roots[nr++] = &w->root[i];
	return w_commit(w, roots, nr) ?: 1;
}

int w_do(struct world *w, enum w_op op, u32 user)
{
	struct w_root *root = op < W_OPS_USER ? w_root_of(w, user) : NULL;

	if (op == W_OP_ROOT)
		return do_root(w, user);
	if (op < W_OPS_USER && !root)
		return 0;
	switch (op) {
	case W_OP_DATA:
		return do_data(w, root);
	case W_OP_UNIT:
		return do_unit(w, root);
	case W_OP_FREE:
		return do_free(w, root);
	case W_OP_FREE_UNIT:
		return do_free_unit(w, root);
	case W_OP_MOVE:
		return do_move(w, root);
	case W_OP_LINK:
		return do_link(w, root);
	case W_OP_SCRIBBLE:
		return do_scribble(w, root);
	case W_OP_WRITE:
	case W_OP_WRITE_FUA:
	case W_OP_WRITE_SLOW:
		return do_write(w, root, op);
	case W_OP_COMMIT:
		return w_commit(w, &root, 1) ?: 1;
	case W_OP_FLUSH:
		return w_flush(w) ?: 1;
	case W_OP_CHECKPOINT:
		return w_checkpoint(w) ?: 1;
	default:
		return do_commit_all(w);
	}
}

int w_steal(struct world *w, struct w_root *thief, u64 block)
{
	struct exo_xn_extent e = { .block = block, .count = 1, .slot = EXO_XN_DATA };
	struct w_unit *unit;
	struct w_tx tx;
	int ret = -ENOSPC;

	w_tx_begin(&tx, w, thief);
	unit = w_tx_change(&tx, thief->block);
	if (!sim_insert(unit->kind, unit->bytes->at, unit->bytes->length, &e))
		ret = w_tx_apply(&tx, thief->uid);
	w_tx_drop(&tx);
	return ret;
}

/* Random ------------------------------------------------------------------------------------------- */

static struct w_unit *random_unit(struct w_state *s)
{
	return &s->unit[unit_below(s->nr)];
}

static bool random_pointer(const struct w_unit *unit, struct exo_xn_extent *out)
{
	static struct exo_xn_extent e[W_POINTERS];
	u32 nr = w_pointers(unit, e);

	if (!nr)
		return false;
	*out = e[unit_below(nr)];
	return true;
}

/* A free run that this call has not taken yet. */
static u64 tx_find_free(struct w_tx *tx, u64 from, u32 count)
{
	u64 block = w_find_free(tx->w, from, count), i;

	while (block) {
		for (i = block; i < block + count && !w_has(&tx->after, i); i++)
			;
		if (i == block + count)
			return block;
		block = w_find_free(tx->w, i + 1, count);
	}
	return 0;
}

static u64 random_place(struct w_tx *tx, u32 count)
{
	u64 from = unit_below(3) ? unit_below(tx->w->sim->now.blocks) : 0;

	return tx_find_free(tx, from, count) ?: tx_find_free(tx, 0, count);
}

static bool random_step(struct w_tx *tx)
{
	struct w_unit *unit = random_unit(&tx->after), *other = random_unit(&tx->after);
	const struct sim_unit *head = (const struct sim_unit *)unit->bytes->at;
	u32 count = unit->kind == SIM_TREE || unit_below(2) ? 1 : 1 + unit_below(5), at, slot;
	u64 parent = unit->block, to = other->block, block;
	bool leaf = unit->kind == SIM_TREE && !head->level;
	struct exo_xn_extent e;

	switch (unit_below(10)) {
	case 0: case 1: case 2:
		block = random_place(tx, count);
		return block && (leaf || unit->kind != SIM_TREE) &&
		       w_tx_data(tx, parent, block, count);
	case 3: case 4:
		count = unit->kind == SIM_TREE ? 1 : 1 + unit_below(3);
		slot = unit->kind == SIM_TREE ? EXO_XN_SELF : unit_below(2);
		block = random_place(tx, count);
		return block && !leaf && w_refs(&tx->after, parent) < 2 &&
		       w_tx_unit(tx, parent, block, count, slot,
				 unit->kind == SIM_TREE ? head->level - 1 : unit_below(2));
	case 5:
		return random_pointer(unit, &e) && free_below(tx, parent, &e, 0);
	case 6:
		if (!random_pointer(unit, &e) || e.count < 2)
			return false;
		at = unit_below(e.count);
		return w_tx_free_part(tx, parent, &e, at, 1 + unit_below(e.count - at));
	case 7:
		return random_pointer(unit, &e) && !(other->kind == SIM_TREE && e.count > 1) &&
		       (e.slot == EXO_XN_DATA || w_refs(&tx->after, to) < 2) &&
		       w_tx_move(tx, parent, to, &e);
	case 8:
		return random_pointer(unit, &e) && !(other->kind == SIM_TREE && e.count > 1) &&
		       (e.slot == EXO_XN_DATA || w_refs(&tx->after, to) < 2) &&
		       w_tx_link(tx, parent, to, &e);
	default:
		return w_tx_scribble(tx, parent);
	}
}

static struct w_root *random_root(struct world *w)
{
	struct w_root *root = &w->root[unit_below(W_ROOTS)];

	return root->used && root->now.exists ? root : NULL;
}

static int random_change(struct world *w)
{
	struct w_root *root = random_root(w);
	struct w_tx tx;
	bool asked;
	u32 steps;

	if (!root)
		return 0;
	w_tx_begin(&tx, w, root);
	steps = unit_below(3) ? 1 : 1 + unit_below(6);
	do
		asked = random_step(&tx);
	while (asked && --steps);
	return end(&tx, asked);
}

static int random_write(struct world *w)
{
	struct w_root *root = random_root(w);
	u64 block = unit_below(W_BLOCKS), i;

	for (i = 0; root && i < W_BLOCKS; i++, block = (block + 1) % W_BLOCKS) {
		if (!root->now.life[block])
			continue;
		if (w_in_flight(w, block)) {
			w_write_end(w, block);
			return 1;
		}
		w_write_begin(w, root, block, unit_below(4) == 0);
		if (unit_below(4))
			w_write_end(w, block);
		return 1;
	}
	return 0;
}

static int random_create_or_delete(struct world *w)
{
	struct w_root *root = random_root(w);
	int ret;

	if (root)
		return unit_below(4) ? 0 : w_delete(w, root) ?: 1;
	ret = w_create(w, w_uid(unit_below(W_USERS)), unit_below(4) ? SIM_LIST : SIM_TREE, &root);
	return W_OUT_OF_ROOM(ret) ? 0 : ret ?: 1;
}

int w_do_random(struct world *w)
{
	struct w_root *root;

	switch (unit_below(16)) {
	case 0:
		return random_create_or_delete(w);
	case 1: case 2: case 3: case 4:
		return random_write(w);
	case 5:
		return w_do(w, W_OP_FLUSH, 0);
	case 6:
		root = random_root(w);
		return root ? w_commit(w, &root, 1) ?: 1 : 0;
	case 7:
		return w_do(w, unit_below(4) ? W_OP_COMMIT_ALL : W_OP_CHECKPOINT, 0);
	default:
		return random_change(w);
	}
}
