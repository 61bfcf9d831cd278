// SPDX-License-Identifier: GPL-2.0
/*
 * One step of a change: may he, can it be, and doing it privately.
 */
#include "core/xn_apply.h"

#define WORK_BLOCK 2U		/* of a block in the map */
#define WORK_HOP 16U		/* from a unit to the one above it */

static int more_room(struct exo_xn_change *c)
{
	u32 max = c->max_touched ? c->max_touched * 2 : 8;
	struct exo_xn_touched *touched;

	if (c->nr_touched < c->max_touched)
		return 0;
	touched = exo_xn_alloc(c->xn, max * sizeof(*touched));
	if (!touched)
		return -ENOMEM;
	if (c->nr_touched)
		__builtin_memcpy(touched, c->touched, c->nr_touched * sizeof(*touched));
	exo_xn_mem_free(c->xn, c->touched);
	c->touched = touched;
	c->max_touched = max;
	return 0;
}

static int touch_unit(struct exo_xn_change *c, struct exo_xn_core_unit *unit, u32 *out)
{
	struct exo_xn_touched *touched;
	int ret;

	if (unit->touched) {
		*out = unit->touched;
		return 0;
	}
	ret = more_room(c);
	if (ret)
		return ret;
	touched = &c->touched[c->nr_touched];
	ret = exo_xn_template_load(c->xn, unit->pub.template, &touched->t);
	if (!ret)
		ret = exo_xn_change_hold(c, unit->charged - unit->held);
	if (ret)
		return ret;
	touched->unit = unit;
	touched->nr_extents = unit->nr_extents;
	touched->nr_units = unit->nr_units;
	unit->touched = ++c->nr_touched;
	*out = unit->touched;
	return 0;
}

/* The unit that begins at @block, one that this change allocates, too. -ENOENT: it isn't known. */
static int touch(struct exo_xn_change *c, u64 block, u32 *out)
{
	struct exo_xn_core_unit *unit = exo_xn_unit_at(c->xn, block);

	int ret;

	if (!unit || unit->pub.root != c->root->pub.number)
		return -ENOENT;
	ret = exo_xn_unit_wake(c->xn, unit);
	return ret ? ret : touch_unit(c, unit, out);
}

static struct exo_xn_touched *touched_of(struct exo_xn_change *c, u32 number)
{
	return &c->touched[number - 1];
}

/* What is new is its maker's; all else is asked of acl, with the bytes as they were before the change. */
static bool may(struct exo_xn_change *c, u32 number, u32 right, u32 slot, u64 block, u32 count)
{
	struct exo_xn_touched *touched = touched_of(c, number);

	return touched->fresh ||
	       exo_xn_may(c->xn, &touched->unit->pub, c->who, right, slot, block, count);
}

static int step_write(struct exo_xn_change *c, const struct exo_xn_step_core *step)
{
	struct exo_xn_touched *touched;
	u32 number, bytes, from, to;
	int ret;

	ret = touch(c, step->parent, &number);
	if (ret)
		return ret;
	touched = touched_of(c, number);
	bytes = touched->unit->pub.blocks * EXO_XN_BLOCK;
	if (touched->dies || touched->fresh != (step->kind == EXO_XN_NEW))
		return -EINVAL;
	if (!step->length || step->offset >= bytes || step->length > bytes - step->offset)
		return -EINVAL;
	if (!touched->may_write && !may(c, number, EXO_XN_MAY_WRITE, EXO_XN_SELF, step->parent,
					touched->unit->pub.blocks))
		return -EACCES;
	touched->may_write = true;
	if (!touched->after) {
		ret = exo_xn_change_hold(c, bytes);
		if (ret)
			return ret;
		touched->after = exo_xn_alloc(c->xn, bytes);
		if (!touched->after)
			return -ENOMEM;
		__builtin_memcpy(touched->after, touched->unit->pub.now, bytes);
	}
	__builtin_memcpy(touched->after + step->offset, step->bytes, step->length);
	to = exo_xn_part_at(touched->t, step->offset + step->length - 1);
	for (from = exo_xn_part_at(touched->t, step->offset); from <= to; from++)
		touched->parts[from / 64] |= 1ULL << from % 64;
	return 0;
}

/* A unit that this change allocates: found like any other, until the change fails. */
static int new_unit(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent)
{
	struct exo_xn_touched *touched = touched_of(c, parent);
	const struct exo_xn_template_core *t;
	struct exo_xn_core_unit *unit;
	u32 number, i;
	int ret;

	ret = exo_xn_template_load(c->xn, exo_xn_slot_template(touched->t, step->slot), &t);
	if (ret)
		return ret;
	ret = more_room(c);
	if (!ret)
		ret = exo_xn_change_hold(c, sizeof(*unit) + exo_xn_parts_of(t, step->count) * sizeof(*unit->part) +
					    step->count * EXO_XN_BLOCK);
	if (ret)
		return ret;
	unit = exo_xn_unit_make(c->xn, c->root->pub.number, t, step->block, step->count);
	if (!unit)
		return -ENOMEM;
	ret = touch_unit(c, unit, &number);
	if (ret) {
		exo_xn_unit_drop(c->xn, unit);
		return ret;
	}
	touched = touched_of(c, number);
	touched->fresh = true;
	for (i = 0; i < unit->nr_parts; i++)
		touched->parts[i / 64] |= 1ULL << i % 64;
	unit->parent = c->touched[parent - 1].unit;
	exo_xn_unit_insert(c->xn, unit);
	touched->after = exo_xn_alloc(c->xn, step->count * EXO_XN_BLOCK);
	return touched->after ? 0 : -ENOMEM;
}

static int step_alloc(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent)
{
	struct exo_xn_core_root *root = c->root;

	if (!may(c, parent, EXO_XN_MAY_ALLOC, step->slot, step->block, step->count))
		return -EACCES;
	/* INV-XN-27: what this change frees counts, too. */
	if (step->count > c->room)
		return -EDQUOT;
	if (root->pub.max_blocks && !c->who->admin &&
	    root->pub.blocks + root->pub.waiting + c->more + step->count > root->pub.max_blocks)
		return -EDQUOT;
	c->room -= step->count;
	c->more += step->count;
	return 0;
}

static int step_free(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent)
{
	struct exo_xn_touched *touched;
	u32 number;
	int ret;

	if (!may(c, parent, EXO_XN_MAY_FREE, step->slot, step->block, step->count))
		return -EACCES;
	if (step->kind == EXO_XN_UNLINK)
		return 0;
	if (step->slot != EXO_XN_DATA) {
		ret = touch(c, step->block, &number);
		if (ret)
			return ret;
		touched = touched_of(c, number);
		/* Those that are the root's first unit, or of this change, stay. */
		if (touched->fresh || touched->dies || step->block == c->root->pub.block ||
		    touched->unit->pub.blocks != step->count)
			return -EINVAL;
		touched->dies = true;
	}
	c->less += step->count;
	return 0;
}

/* Does @from own this, as the same template that @slot of @parent stands for? */
static int owned_by(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent, u32 from)
{
	const struct exo_xn_touched *to = touched_of(c, parent), *of = touched_of(c, from);
	const struct exo_xn_extent *e = exo_xn_unit_extent(of->unit, step->block, step->count);

	if (!e || (e->slot == EXO_XN_DATA) != (step->slot == EXO_XN_DATA))
		return -EINVAL;
	if (e->slot == EXO_XN_DATA)
		return 0;
	if (e->block != step->block || e->count != step->count)
		return -EINVAL;
	return exo_xn_slot_template(of->t, e->slot) == exo_xn_slot_template(to->t, step->slot) ?
	       0 : -EINVAL;
}

/* A unit owns a block once. */
static bool owns_any(struct exo_xn *xn, const struct exo_xn_core_unit *unit, u64 block, u32 count)
{
	const struct exo_xn_extent *e;
	u32 i, k;

	exo_xn_worked(xn, unit->nr_parts + unit->nr_extents);
	for (i = 0; i < unit->nr_parts; i++) {
		for (k = 0; k < unit->part[i].nr; k++) {
			e = &unit->part[i].at[k];
			if (e->block >= block + count)
				break;
			if (e->block + e->count > block)
				return true;
		}
	}
	return false;
}

/* Is @unit @under, or above it? There is one chain: INV-XN-4. */
static int above(struct exo_xn_change *c, const struct exo_xn_core_unit *unit,
		 const struct exo_xn_core_unit *under)
{
	for (; under; under = under->parent) {
		if (under == unit)
			return -EINVAL;
		if (exo_xn_spent(c->xn))
			return -E2BIG;
		exo_xn_worked(c->xn, WORK_HOP);
		if (under->pub.block == c->root->pub.block)
			return 0;
	}
	return -ENOENT;
}

static int step_link(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent,
		     struct exo_xn_done *done)
{
	bool move = step->kind == EXO_XN_MOVE;
	struct exo_xn_core_unit *child;
	u32 from, number;
	int ret;

	ret = touch(c, step->from, &from);
	if (ret)
		return ret;
	if (from == parent || owns_any(c->xn, touched_of(c, parent)->unit, step->block, step->count))
		return -EINVAL;
	ret = owned_by(c, step, parent, from);
	if (ret)
		return ret;
	if (!may(c, from, move ? EXO_XN_MAY_FREE : EXO_XN_MAY_LINK, step->slot, step->block, step->count) ||
	    !may(c, parent, EXO_XN_MAY_ALLOC, step->slot, step->block, step->count))
		return -EACCES;
	done->frees = move ? from : 0;
	if (step->slot == EXO_XN_DATA)
		return 0;
	/* A unit is looked at, too: with several references it may own no units. */
	ret = touch(c, step->block, &number);
	if (ret || !move)
		return ret;
	child = touched_of(c, number)->unit;
	ret = above(c, child, touched_of(c, parent)->unit);
	if (ret)
		return ret;
	done->child = child;
	done->parent = child->parent;
	exo_xn_unit_parent(child, touched_of(c, parent)->unit);
	return 0;
}

/* UNLINK: who was reached through this parent is not, any more. */
static void unparent(struct exo_xn_change *c, const struct exo_xn_step_core *step, u32 parent,
		     struct exo_xn_done *done)
{
	struct exo_xn_core_unit *child = exo_xn_unit_at(c->xn, step->block);

	if (step->slot == EXO_XN_DATA || !child || child->parent != touched_of(c, parent)->unit)
		return;
	done->child = child;
	done->parent = child->parent;
	exo_xn_unit_parent(child, NULL);
}

/* ALLOC .. MOVE: whose sets change, who may, then the map. */
static int step_pointer(struct exo_xn_change *c, const struct exo_xn_step_core *step,
			struct exo_xn_done *done)
{
	bool less = step->kind == EXO_XN_FREE_STEP || step->kind == EXO_XN_UNLINK;
	struct exo_xn_touched *touched;
	u32 parent;
	int ret;

	ret = touch(c, step->parent, &parent);
	if (ret)
		return ret;
	touched = touched_of(c, parent);
	if (!step->count || (step->slot != EXO_XN_DATA && (step->count > EXO_XN_UNIT_BLOCKS ||
	    !exo_xn_slot_template(touched->t, step->slot))))
		return -EINVAL;
	if (step->kind == EXO_XN_ALLOC)
		ret = step_alloc(c, step, parent);
	else if (less)
		ret = step_free(c, step, parent);
	else
		ret = step_link(c, step, parent, done);
	if (ret)
		return ret;
	c->bad = step->block;
	if (step->kind != EXO_XN_MOVE) {
		exo_xn_worked(c->xn, (u64)step->count * WORK_BLOCK);
		ret = exo_xn_map_change(c->xn, exo_xn_step_op(step->kind), c->root->pub.number,
					step->block, step->count, &c->bad);
		if (ret)
			return ret;
		done->map = true;
		c->budget += exo_xn_budget_map(step->count) +
			     exo_xn_map_seams(c->xn, step->block, step->count) * sizeof(struct exo_xn_rec_map);
	}
	if (step->kind == EXO_XN_UNLINK)
		unparent(c, step, parent, done);
	if (less)
		done->frees = parent;
	else
		done->adds = parent;
	if (step->kind == EXO_XN_ALLOC && c->xn->broken & EXO_XN_BREAK_INIT)
		exo_xn_written(c->xn, step->block, step->count);
	if (step->kind == EXO_XN_ALLOC && step->slot != EXO_XN_DATA)
		return new_unit(c, step, parent);
	return 0;
}

/**
 * exo_xn_step() - do one step of a change privately
 * @c: the change; @c->bad is set with -EBUSY
 * @step: it
 * @done: what of it was done, after an error, too
 *
 * Context: disk lock; may read, allocates, runs grafts. Return: 0 or what exo_xn_apply() says.
 */
int exo_xn_step(struct exo_xn_change *c, const struct exo_xn_step_core *step, struct exo_xn_done *done)
{
	if (exo_xn_spent(c->xn))
		return -E2BIG;
	switch (step->kind) {
	case EXO_XN_WRITE:
	case EXO_XN_NEW:
		return step_write(c, step);
	case EXO_XN_ALLOC:
	case EXO_XN_FREE_STEP:
	case EXO_XN_LINK:
	case EXO_XN_UNLINK:
	case EXO_XN_MOVE:
		return step_pointer(c, step, done);
	default:
		return -EINVAL;
	}
}
