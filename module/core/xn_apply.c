// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a root's units: all steps, or none. See core/xn_apply.h.
 */
#include "core/xn_apply.h"

/* Sort what steps add and free by touched unit: two lists, each unit's part in a row. */
static int gather(struct exo_xn_change *c)
{
	const struct exo_xn_step_core *step;
	struct exo_xn_touched *t;
	u32 i, added = 0, freed = c->nr_steps;

	c->lists = exo_xn_alloc(c->xn, 2 * (size_t)c->nr_steps * sizeof(*c->lists));
	if (!c->lists)
		return -ENOMEM;
	for (i = 0; i < c->nr_steps; i++) {
		if (c->done[i].adds)
			c->touched[c->done[i].adds - 1].nr_added++;
		if (c->done[i].frees)
			c->touched[c->done[i].frees - 1].nr_freed++;
	}
	for (i = 0; i < c->nr_touched; i++) {
		t = &c->touched[i];
		t->added = added;
		t->freed = freed;
		added += t->nr_added;
		freed += t->nr_freed;
		t->nr_added = 0;
		t->nr_freed = 0;
	}
	for (i = 0; i < c->nr_steps; i++) {
		struct exo_xn_extent e;

		step = &c->steps[i];
		e = (struct exo_xn_extent){ step->block, step->count, step->slot };
		if (c->done[i].adds) {
			t = &c->touched[c->done[i].adds - 1];
			c->lists[t->added + t->nr_added++] = e;
		}
		if (c->done[i].frees) {
			t = &c->touched[c->done[i].frees - 1];
			c->lists[t->freed + t->nr_freed++] = e;
		}
	}
	return 0;
}

static bool part_touched(const struct exo_xn_touched *t, u32 part)
{
	return t->parts[part / 64] >> part % 64 & 1;
}

/**
 * exo_xn_change_hold() - may a change have more memory?
 * @c: the change
 * @bytes: that it is going to take; it has them until its own end, or the root's commit
 *
 * All uids together may have half of the disk's, whoever it is; above that each has a share.
 *
 * Context: disk lock. Return: 0; -ENOSPC: commit first.
 */
int exo_xn_change_hold(struct exo_xn_change *c, u64 bytes)
{
	c->held += bytes;
	if (c->xn->held + c->held <= c->xn->memory_max / 2 || c->held <= c->may_hold)
		return 0;
	c->may_hold = exo_xn_may_hold(c->xn, c->root->pub.uid);
	return c->held > c->may_hold ? -ENOSPC : 0;
}

/* Keep the new set of a part, if it is a new one. */
static int keep_set(struct exo_xn_change *c, struct exo_xn_touched *t, u32 part, struct exo_xn_part *to,
		    const struct exo_xn_extents *set)
{
	const struct exo_xn_part *was = &t->unit->part[part];
	int ret;

	t->nr_extents += set->nr - was->nr;
	t->nr_units += exo_xn_units_in(set->at, set->nr) - exo_xn_units_in(was->at, was->nr);
	if (set->nr == was->nr &&
	    (!set->nr || !__builtin_memcmp(set->at, was->at, set->nr * sizeof(*set->at))))
		return 0;
	to->own = true;
	to->nr = set->nr;
	if (!set->nr)
		return 0;
	ret = exo_xn_change_hold(c, set->nr * sizeof(*set->at));
	if (ret)
		return ret;
	to->at = exo_xn_alloc(c->xn, set->nr * sizeof(*set->at));
	if (!to->at)
		return -ENOMEM;
	__builtin_memcpy(to->at, set->at, set->nr * sizeof(*set->at));
	return 0;
}

/*
 * What the touched parts owned, and own now, as one set each: in xn->room. Extents of data of two parts may touch, so
 * both are tidied once more as wholes.
 */
static int both_sets(struct exo_xn_change *c, struct exo_xn_touched *t, struct exo_xn_extents *before,
		     struct exo_xn_extents *after)
{
	const struct exo_xn_core_unit *unit = t->unit;
	struct exo_xn *xn = c->xn;
	struct exo_xn_extents set;
	u32 i, nr = 0, kept = 0;
	int ret;

	for (i = 0; i < unit->nr_parts; i++) {
		if (!part_touched(t, i))
			continue;
		if (unit->part[i].nr)
			__builtin_memcpy(before->at + before->nr, unit->part[i].at,
					 unit->part[i].nr * sizeof(*before->at));
		before->nr += unit->part[i].nr;
		ret = exo_xn_unit_owns(xn, t->t, t->after, unit->pub.blocks, i, unit->pub.block, after);
		if (ret)
			return ret;
		set = (struct exo_xn_extents){ .at = after->at + nr, .nr = after->nr - nr };
		ret = exo_xn_extents_tidy(&set, xn->first, xn->blocks);
		if (!ret)
			ret = keep_set(c, t, i, &t->set[kept++], &set);
		if (ret)
			return ret;
		nr += set.nr;
		after->nr = nr;
	}
	if (t->nr_extents > EXO_XN_EXTENTS)
		return -E2BIG;
	ret = exo_xn_extents_tidy(before, xn->first, xn->blocks);
	return ret ? ret : exo_xn_extents_tidy(after, xn->first, xn->blocks);
}

/* All that a dying unit owned. */
static void all_of(const struct exo_xn_core_unit *unit, struct exo_xn_extents *before)
{
	u32 i;

	for (i = 0; i < unit->nr_parts; i++) {
		if (unit->part[i].nr)
			__builtin_memcpy(before->at + before->nr, unit->part[i].at,
					 unit->part[i].nr * sizeof(*before->at));
		before->nr += unit->part[i].nr;
	}
}

/* Several references and units under it: there would be several chains of ancestors (INV-XN-4). */
static bool shared_badly(struct exo_xn *xn, const struct exo_xn_touched *t)
{
	u32 refs = exo_xn_map_entry(xn, t->unit->pub.block) & EXO_XN_ENTRY_REFS;

	return refs > EXO_XN_ENTRY_REF && t->nr_units;
}

static int alloc_sets(struct exo_xn_change *c, struct exo_xn_touched *t)
{
	u64 left;
	u32 i;
	int ret;

	for (i = 0; i < EXO_XN_PART_WORDS; i++)
		for (left = t->parts[i]; left; left &= left - 1)
			t->nr_set++;
	if (!t->nr_set)
		return 0;
	ret = exo_xn_change_hold(c, t->nr_set * sizeof(*t->set));
	if (ret)
		return ret;
	t->set = exo_xn_alloc(c->xn, t->nr_set * sizeof(*t->set));
	return t->set ? 0 : -ENOMEM;
}

/**
 * exo_xn_worked() - what the disk's lock was held for
 * @xn: disk
 * @work: so much more, about in instructions of a function
 *
 * Context: disk lock.
 */
void exo_xn_worked(struct exo_xn *xn, u64 work)
{
	xn->work += work;
}

/* INV-XN-3: what it owns changes exactly as the steps said. */
static int verify(struct exo_xn_change *c, struct exo_xn_touched *t)
{
	struct exo_xn *xn = c->xn;
	struct exo_xn_extents before = { .at = xn->room[0], .max = EXO_XN_EXTENTS };
	struct exo_xn_extents after = { .at = xn->room[1], .max = EXO_XN_EXTENTS };
	struct exo_xn_extents added = { .at = c->lists + t->added, .nr = t->nr_added };
	struct exo_xn_extents freed = { .at = c->lists + t->freed, .nr = t->nr_freed };
	u32 bytes = t->unit->pub.blocks * EXO_XN_BLOCK;
	u64 block;
	int ret;

	c->bad = t->unit->pub.block;
	ret = exo_xn_map_load(xn, t->unit->pub.block, 1);
	if (ret)
		return ret;
	ret = exo_xn_extents_tidy(&added, xn->first, xn->blocks);
	if (!ret)
		ret = exo_xn_extents_tidy(&freed, xn->first, xn->blocks);
	if (ret)
		return ret;
	if (t->dies) {
		all_of(t->unit, &before);
		ret = exo_xn_extents_tidy(&before, xn->first, xn->blocks);
		if (!ret && !exo_xn_delta_holds(&before, &after, &added, &freed, &block))
			ret = -EBUSY;
		return ret;
	}
	if (t->after) {
		ret = alloc_sets(c, t);
		if (!ret)
			ret = both_sets(c, t, &before, &after);
		if (!ret && exo_xn_blocks_of(xn->host->size(xn, t->t, t->after, bytes)) !=
			    t->unit->pub.blocks)
			ret = -EINVAL;
		if (ret)
			return ret;
	}
	if (EXO_XN_CHECKED && !(xn->broken & EXO_XN_BREAK_DELTA) &&
	    !exo_xn_delta_holds(&before, &after, &added, &freed, &block))
		return -EINVAL;
	return shared_badly(xn, t) ? -EINVAL : 0;
}

/* What isn't committed of the map stays in memory, too, and of temporary roots no log bounds it. */
static bool too_dirty(const struct exo_xn_change *c)
{
	const struct exo_xn *xn = c->xn;
	u64 most = xn->memory_max / 4, sum = c->budget;
	u32 i;

	if (xn->budgets + sum <= xn->memory_max / 2)
		return false;
	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i] && xn->roots[i]->pub.uid == c->root->pub.uid)
			sum += xn->roots[i]->budget;
	return sum > (most > exo_xn_budget(xn) ? most : exo_xn_budget(xn));
}

/* Room for what the commit will say: it must always fit into the log. */
static int afford(struct exo_xn_change *c)
{
	struct exo_xn_core_root *root = c->root;
	u32 i, ops = 0;
	int ret;

	for (i = 0; i < c->nr_touched; i++) {
		struct exo_xn_touched *t = &c->touched[i];

		if (t->after && !exo_xn_listed(&t->unit->dirty))
			c->budget += exo_xn_budget_unit(t->unit->pub.blocks);
	}
	for (i = 0; i < c->nr_steps; i++)
		ops += c->done[i].map;
	if (c->more || c->less)
		c->budget += root->entry ? 0 : sizeof(struct exo_xn_rec_entry);
	if (!(root->pub.flags & EXO_XN_ROOT_TEMPORARY) &&
	    root->budget + c->budget + EXO_XN_TABLE_ENTRY > exo_xn_budget(c->xn))
		return -ENOSPC;
	if (too_dirty(c))
		return -ENOSPC;
	ret = exo_xn_change_hold(c, exo_xn_pending_bytes(root, ops));
	return ret ? ret : exo_xn_pending_add(c->xn, root, ops);
}

/* Take back all steps, the last first. */
static void undo(struct exo_xn_change *c)
{
	struct exo_xn_touched *t;
	struct exo_xn *xn = c->xn;
	u32 i, k;

	for (i = c->nr_done; i--;) {
		const struct exo_xn_step_core *step = &c->steps[i];

		if (c->done[i].child)
			exo_xn_unit_parent(c->done[i].child, c->done[i].parent);
		if (c->done[i].map)
			exo_xn_map_undo(xn, exo_xn_step_op(step->kind), c->root->pub.number,
					step->block, step->count);
	}
	for (i = c->nr_touched; i--;) {
		t = &c->touched[i];
		for (k = 0; t->set && k < t->nr_set; k++)
			exo_xn_mem_free(xn, t->set[k].at);
		exo_xn_mem_free(xn, t->set);
		exo_xn_mem_free(xn, t->after);
		t->unit->touched = 0;
		if (!t->fresh)
			continue;
		exo_xn_unit_remove(xn, t->unit);
		exo_xn_unit_drop(xn, t->unit);
	}
}

static void publish_sets(struct exo_xn *xn, struct exo_xn_touched *t)
{
	struct exo_xn_part *part;
	u32 i, kept = 0;

	for (i = 0; t->set && i < t->unit->nr_parts; i++) {
		if (!part_touched(t, i))
			continue;
		if (t->set[kept].own) {
			part = &t->unit->part[i];
			t->unit->nr_own += t->set[kept].nr - (part->own ? part->nr : 0);
			if (part->own)
				exo_xn_mem_free(xn, part->at);
			*part = t->set[kept];
		}
		kept++;
	}
	exo_xn_mem_free(xn, t->set);
	t->unit->nr_extents = t->nr_extents;
	t->unit->nr_units = t->nr_units;
}

/* Its blocks wait; who finds it later would find something else. What the log has of it stays until that is old. */
static void publish_death(struct exo_xn *xn, struct exo_xn_core_root *root, struct exo_xn_touched *t)
{
	struct exo_xn_core_unit *unit = t->unit;

	exo_xn_mem_free(xn, t->after);
	exo_xn_unit_remove(xn, unit);
	exo_xn_list_del(&unit->root);
	if (unit->flags & EXO_XN_UNIT_NEW || root->pub.flags & EXO_XN_ROOT_TEMPORARY) {
		exo_xn_unit_drop(xn, unit);
		return;
	}
	exo_xn_unit_forget(xn, unit);
	if (unit->base)
		exo_xn_mem_free(xn, unit->pub.now);
	else
		unit->base = unit->pub.now;
	unit->pub.now = NULL;
	unit->flags |= EXO_XN_UNIT_DEAD;
	unit->pub.generation = ++xn->generation;
	exo_xn_list_add(&root->dirty, &unit->dirty);
	exo_xn_unit_charge(xn, unit);
	exo_xn_unit_bury(xn, unit);
}

static void publish_bytes(struct exo_xn *xn, struct exo_xn_core_root *root, struct exo_xn_touched *t)
{
	struct exo_xn_core_unit *unit = t->unit;

	publish_sets(xn, t);
	if (!t->after)
		return;
	if (t->fresh)
		unit->flags |= EXO_XN_UNIT_NEW;
	else if (unit->base || unit->flags & EXO_XN_UNIT_NEW)
		exo_xn_mem_free(xn, unit->pub.now);
	else
		unit->base = unit->pub.now;
	unit->pub.now = t->after;
	unit->pub.generation = ++xn->generation;
	exo_xn_list_add(&root->dirty, &unit->dirty);
	exo_xn_unit_charge(xn, unit);
}

/* Nothing fails from here on. */
static void publish(struct exo_xn_change *c)
{
	struct exo_xn_core_root *root = c->root;
	const struct exo_xn_step_core *step;
	struct exo_xn *xn = c->xn;
	u32 i;

	for (i = 0; i < c->nr_steps; i++) {
		step = &c->steps[i];
		/* Units, too: the registry may have entries of theirs (INV-XN-20). */
		if (step->kind == EXO_XN_FREE_STEP)
			xn->host->drain(xn, step->block, step->count);
		if (c->done[i].map)
			root->pending.at[root->pending.nr++] =
				(struct exo_xn_extent){ step->block, step->count, 0 };
	}
	/* Before any of them is let go: a parent may go before its child. */
	for (i = 0; i < c->nr_touched; i++)
		if (c->touched[i].dies)
			exo_xn_unit_parent(c->touched[i].unit, NULL);
	for (i = 0; i < c->nr_touched; i++) {
		struct exo_xn_touched *t = &c->touched[i];

		t->unit->touched = 0;
		if (t->dies)
			publish_death(xn, root, t);
		else
			publish_bytes(xn, root, t);
	}
	root->pub.blocks += c->more - c->less;
	root->pub.waiting += c->less;
	root->pub.dirty = true;
	root->entry |= c->more || c->less;
	root->budget += c->budget;
	xn->budgets += c->budget;
	root->changes = ++xn->generation;
}

static int change(struct exo_xn_change *c, u32 *out_step, u64 *out_block)
{
	u32 i;
	int ret = 0;

	for (i = 0; !ret && i < c->nr_steps; i++) {
		*out_step = i;
		c->nr_done = i + 1;
		c->bad = c->steps[i].kind <= EXO_XN_WRITE || c->steps[i].kind == EXO_XN_NEW ?
			 c->steps[i].parent : c->steps[i].block;
		ret = exo_xn_step(c, &c->steps[i], &c->done[i]);
	}
	*out_block = c->bad;
	if (ret)
		return ret;
	*out_step = c->nr_steps;
	ret = gather(c);
	for (i = 0; !ret && i < c->nr_touched; i++)
		ret = verify(c, &c->touched[i]);
	*out_block = c->bad;
	return ret ? ret : afford(c);
}

/**
 * exo_xn_apply() - change units of a root: all steps or none
 * @xn: disk
 * @who: on whose behalf
 * @number: of the root
 * @steps: as struct exo_xn_step, their bytes copied. A unit is allocated before steps that name it as their parent
 * @nr_steps: at most EXO_XN_STEPS; 0: nothing changes
 * @out_step: on error, which one; @nr_steps: owns, or size, don't agree with the steps in unit @out_block
 * @out_block: on error, a unit, or the block that is at fault
 *
 * Every step is checked against what the ones before made of the map. Then owns of each touched part must have changed as
 * the steps said (INV-XN-3). Readers see all or nothing; it is durable with the root's next commit.
 *
 * Context: disk lock; may read, allocates, runs grafts; waits for data I/O on blocks that are freed.
 *
 * Return: 0; -ENOENT: no such root, or a unit has not been read, or was forgotten since; -EACCES: acl, or the root is quarantined; -EINVAL;
 * -EBUSY: a block isn't free, has several references, or a unit that is freed owns something; -E2BIG: owns of a unit says
 * too much, or all of it is more work than a call may make (EXO_XN_WORK, INV-XN-33): make several calls of it; -EDQUOT:
 * blocks that wait for a commit count; -ENOSPC: commit first, the log has no room for more, or its owner's changes take too
 * much memory; -ENOMEM; -EIO. The state is as before then.
 */
int exo_xn_apply(struct exo_xn *xn, const struct exo_xn_who *who, u32 number,
		 const struct exo_xn_step_core *steps, u32 nr_steps, u32 *out_step, u64 *out_block)
{
	struct exo_xn_change c = { .xn = xn, .who = who, .steps = steps, .nr_steps = nr_steps };
	int ret;

	*out_step = 0;
	*out_block = 0;
	c.root = exo_xn_root_at(xn, number);
	if (!c.root)
		return -ENOENT;
	if (nr_steps > EXO_XN_STEPS)
		return -EINVAL;
	if (xn->failed)
		return -EIO;
	if (c.root->pub.flags & EXO_XN_ROOT_QUARANTINED)
		return -EACCES;
	if (!nr_steps)
		return 0;
	c.room = who->admin ? ~0ULL : exo_xn_uid_room(xn, c.root->pub.uid);
	c.done = exo_xn_alloc(xn, nr_steps * sizeof(*c.done));
	if (!c.done)
		return -ENOMEM;
	xn->work_end = xn->work + EXO_XN_WORK;
	ret = change(&c, out_step, out_block);
	xn->work_end = ~0ULL;
	if (ret)
		undo(&c);
	else
		publish(&c);
	exo_xn_mem_free(xn, c.lists);
	exo_xn_mem_free(xn, c.touched);
	exo_xn_mem_free(xn, c.done);
	exo_xn_shrink(xn);
	return ret;
}
