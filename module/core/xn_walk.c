// SPDX-License-Identifier: GPL-2.0
/*
 * A walk of everything: each root's units with their own functions, then the map. What is taken and was
 * not seen is leaked; a root that points where the map doesn't say so, or not as often, is bad.
 *
 * It goes on while the disk is used. A root that changes while it is walked is walked again, in one go;
 * one that changes later isn't compared with the map. Work per root is bounded by the blocks that the map gives to
 * it: a block is gone through once (INV-XN-14).
 */
#include "core/xn_core.h"

struct item {
	u64 block;
	u32 blocks;
	u32 template;
};

enum verdict {
	UNKNOWN,
	GOOD,
	UNREADABLE,
	BAD,
};

/* What is known of a root: pointers and references are compared as sums over both of a hash of the block. */
struct seen_root {
	enum verdict verdict;
	u64 blocks;
	u64 changes;
	u64 pointers;
	u64 references;
	bool lost;		/* blocks, and no commit has had that yet */
};

struct exo_xn_walk {
	struct exo_xn *xn;
	u32 flags;
	u64 blocks;		/* of the disk, at the beginning */
	u64 nr_groups;
	u16 **seen;		/* root that was seen to own the block; of a group, NULL: none */
	u32 root;		/* that is being walked */
	bool begun;
	bool partly;		/* something of it was seen */
	bool again;		/* it changed meanwhile: in one go now */
	bool mapping;
	bool done;
	u64 index;		/* of the map */
	bool counted;		/* what it describes, without memory to repair it */
	u8 *bytes;		/* EXO_XN_UNIT_BLOCKS blocks */
	struct item *stack;
	u32 nr;
	u32 max;
	struct seen_root *roots;
	u64 visited;
	u64 leaked;
	u64 bad;
	u64 errors;
};

static u64 mix(u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static bool is_seen(const struct exo_xn_walk *w, u64 block, u32 root)
{
	const u16 *group = w->seen[block / EXO_XN_GROUP];

	return group && group[block % EXO_XN_GROUP] == root;
}

static int see(struct exo_xn_walk *w, u64 block, u32 root)
{
	u16 **group = &w->seen[block / EXO_XN_GROUP];

	if (!*group)
		*group = exo_xn_alloc(w->xn, EXO_XN_GROUP * sizeof(**group));
	if (!*group)
		return -ENOMEM;
	(*group)[block % EXO_XN_GROUP] = root;
	w->visited++;
	return 0;
}

static int push(struct exo_xn_walk *w, const struct item *item)
{
	u32 max = w->max ? w->max * 2 : 64;
	struct item *stack;

	if (w->nr == w->max) {
		stack = exo_xn_alloc(w->xn, max * sizeof(*stack));
		if (!stack)
			return -ENOMEM;
		if (w->nr)
			__builtin_memcpy(stack, w->stack, w->nr * sizeof(*stack));
		exo_xn_mem_free(w->xn, w->stack);
		w->stack = stack;
		w->max = max;
	}
	w->stack[w->nr++] = *item;
	return 0;
}

/* A pointer. 1: the blocks weren't seen before; 0: they were, and have several references; -EINVAL: it is wrong. */
static int see_extent(struct exo_xn_walk *w, u64 block, u32 count, bool unit)
{
	u32 i, fresh = 0;
	int ret;

	ret = exo_xn_map_owned(w->xn, w->root, block, count);
	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		w->roots[w->root].pointers += mix(block + i);
		if (!is_seen(w, block + i, w->root)) {
			ret = see(w, block + i, w->root);
			if (ret)
				return ret;
			fresh++;
			w->roots[w->root].blocks++;
			continue;
		}
		if ((exo_xn_map_entry(w->xn, block + i) & EXO_XN_ENTRY_REFS) == EXO_XN_ENTRY_REF)
			return -EINVAL;
	}
	if (unit && fresh && fresh != count)
		return -EINVAL;
	return !!fresh;
}

static int see_owned(struct exo_xn_walk *w, const struct exo_xn_core_unit *unit,
		     const struct exo_xn_template_core *t)
{
	const struct exo_xn_extent *e;
	u32 i;
	int ret;

	for (i = 0; i < unit->nr_extents; i++) {
		e = &unit->slab[i];
		ret = see_extent(w, e->block, e->count, e->slot != EXO_XN_DATA);
		if (ret > 0 && e->slot != EXO_XN_DATA) {
			struct item item = { e->block, e->count, exo_xn_slot_template(t, e->slot) };

			ret = push(w, &item);
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The unit's bytes as everybody sees them. */
static int bytes_of(struct exo_xn_walk *w, const struct item *item, const u8 **bytes)
{
	const struct exo_xn_core_unit *unit = exo_xn_unit_at(w->xn, item->block);

	if (unit && unit->pub.now && unit->pub.root == w->root && unit->pub.blocks == item->blocks) {
		*bytes = unit->pub.now;
		return 0;
	}
	*bytes = w->bytes;
	return exo_xn_read_blocks(w->xn, item->block, item->blocks, w->bytes);
}

static int walk_unit(struct exo_xn_walk *w, const struct item *item)
{
	const struct exo_xn_template_core *t;
	struct exo_xn_core_unit *unit;
	struct exo_xn *xn = w->xn;
	const u8 *bytes;
	int ret;

	ret = exo_xn_template_load(xn, item->template, &t);
	if (!ret)
		ret = bytes_of(w, item, &bytes);
	if (ret)
		return ret;
	if (exo_xn_blocks_of(xn->host->size(xn, t, bytes, item->blocks * EXO_XN_BLOCK)) !=
	    item->blocks)
		return -EINVAL;
	unit = exo_xn_unit_make(xn, w->root, t, item->block, item->blocks);
	if (!unit)
		return -ENOMEM;
	ret = exo_xn_unit_learn(xn, unit, t, bytes);
	if (!ret)
		ret = see_owned(w, unit, t);
	exo_xn_unit_drop(xn, unit);
	return ret;
}

static int begin_root(struct exo_xn_walk *w, const struct exo_xn_core_root *root)
{
	struct seen_root *seen = &w->roots[w->root];
	struct item item = { root->pub.block, root->pub.unit_blocks, root->pub.template };
	int ret;

	*seen = (struct seen_root){ .verdict = GOOD, .changes = root->changes };
	w->nr = 0;
	ret = see_extent(w, item.block, item.blocks, true);
	return ret < 0 ? ret : push(w, &item);
}

/* Forget what was seen of the root. */
static void unsee(struct exo_xn_walk *w)
{
	u64 group;
	u32 i;

	for (group = 0; group < w->nr_groups; group++) {
		for (i = 0; w->seen[group] && i < EXO_XN_GROUP; i++) {
			if (w->seen[group][i] != w->root)
				continue;
			w->seen[group][i] = 0;
			w->visited--;
		}
	}
}

/* Bytes that can't be read make nobody bad. -ENOMEM: this step didn't happen; try again. */
static int judge(struct exo_xn_walk *w, int ret)
{
	if (!ret || ret == -ENOMEM)
		return ret;
	w->nr = 0;
	if (ret == -EIO) {
		w->errors++;
		w->roots[w->root].verdict = UNREADABLE;
	} else {
		w->bad++;
		w->roots[w->root].verdict = BAD;
	}
	return 0;
}

/* Up to @units units of the root; all of them if it is walked again. 1: it is done. */
static int walk_units(struct exo_xn_walk *w, u32 units)
{
	const struct exo_xn_core_root *root = exo_xn_root_at(w->xn, w->root);
	struct seen_root *seen = &w->roots[w->root];
	struct item item;
	u32 done;
	int ret;

	if (!root) {
		seen->verdict = UNKNOWN;
		return 1;
	}
	if (!w->begun || seen->changes != root->changes) {
		w->again |= w->begun;
		if (w->partly)
			unsee(w);
		w->begun = true;
		w->partly = true;
		ret = judge(w, begin_root(w, root));
		w->begun = !ret;
		if (ret)
			return ret;
	}
	for (done = 0; w->nr && (done < units || w->again); done++) {
		exo_xn_shrink(w->xn);
		item = w->stack[--w->nr];
		ret = judge(w, walk_unit(w, &item));
		/* What it points at was seen in part: from the beginning, then. */
		w->begun = !ret;
		if (ret)
			return ret;
	}
	return !w->nr;
}

/* An allocated block that nobody has: the root of this number, or its ghost, gives it back. */
static int give_back(struct exo_xn_walk *w, struct exo_xn_core_root *root, struct exo_xn_map_block *map,
		     u32 slot, u64 block)
{
	int ret = exo_xn_pending_add(w->xn, root, 1);

	if (ret)
		return ret;
	map->now[slot] = EXO_XN_ENTRY_REF | root->pub.number;
	w->xn->waiting++;
	root->pub.waiting++;
	root->pub.blocks = w->roots[root->pub.number].blocks;
	root->pub.dirty = true;
	root->entry |= root->committed;
	root->pending.at[root->pending.nr++] = (struct exo_xn_extent){ block, 1, 0 };
	w->roots[root->pub.number].lost = true;
	return 0;
}

/* Whoever lost blocks in this block of the map, and nobody else: it is durable before the next one. */
static int commit_lost(struct exo_xn_walk *w)
{
	struct exo_xn_core_root *root;
	u32 i;
	int ret = 0;

	for (i = 1; !ret && i <= EXO_XN_ROOTS; i++) {
		root = w->xn->roots[i];
		if (!root || !w->roots[i].lost)
			continue;
		ret = exo_xn_commit_root(w->xn, root, NULL);
		w->roots[i].lost = ret;
	}
	return ret;
}

static void keep(void *to, struct exo_xn_core_root *root, u64 block, u64 count)
{
	struct exo_xn_map_block *map;
	struct exo_xn *xn = to;
	u32 slot, n, i;

	(void)root;
	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		for (i = slot; i < slot + n; i++)
			map->now[i] = map->committed[i];
		xn->waiting -= n;
	}
}

/* Nobody but this walk may see ghosts: what they have given back durably is free, all else is as it was. */
static void drop_ghosts(struct exo_xn_walk *w)
{
	struct exo_xn_core_root *root;
	u32 i;

	for (i = 1; i <= EXO_XN_ROOTS; i++) {
		root = w->xn->roots[i];
		if (!root || root->state)
			continue;
		exo_xn_each_pending(root, w->xn, keep);
		exo_xn_root_drop(w->xn, root);
		w->roots[i].lost = false;
	}
}

/* A taken block that no walk saw? */
static bool is_leaked(const struct exo_xn_walk *w, u32 entry, u64 block)
{
	u32 number = entry & EXO_XN_ENTRY_ROOT;
	const struct exo_xn_core_root *root;

	if (!(entry & EXO_XN_ENTRY_TAKEN) || exo_xn_is_system(w->xn, block))
		return false;
	if (number == EXO_XN_SYSTEM_ROOT)
		return !is_seen(w, block, number);
	root = number && number <= EXO_XN_ROOTS ? w->xn->roots[number] : NULL;
	if (!root || !root->state)
		return true;
	if (w->roots[number].verdict != GOOD || w->roots[number].changes != root->changes ||
	    root->state & EXO_XN_ROOT_DELETING)
		return false;
	return !is_seen(w, block, number);
}

static void count(struct exo_xn_walk *w, u32 entry, u64 block)
{
	u32 number = entry & EXO_XN_ENTRY_ROOT;

	if (!(entry & EXO_XN_ENTRY_TAKEN) || exo_xn_is_system(w->xn, block))
		return;
	if (is_leaked(w, entry, block))
		w->leaked++;
	else if (number <= EXO_XN_ROOTS)
		w->roots[number].references += mix(block) * ((entry & EXO_XN_ENTRY_REFS) / EXO_XN_ENTRY_REF);
}

/* Give back what is leaked in the first @n blocks that @map describes. */
static int repair(struct exo_xn_walk *w, struct exo_xn_map_block *map, u64 first, u32 n)
{
	struct exo_xn_core_root *root;
	u32 i, number;
	int ret = 0;

	for (i = 0; !ret && i < n; i++) {
		number = map->now[i] & EXO_XN_ENTRY_ROOT;
		if (!number || number > EXO_XN_ROOTS || !is_leaked(w, map->now[i], first + i))
			continue;
		root = w->xn->roots[number];
		if (!root) {
			root = exo_xn_root_make(w->xn, number);
			if (root)
				root->state = 0;
		}
		ret = root ? give_back(w, root, map, i, first + i) : -ENOMEM;
	}
	if (!ret)
		ret = commit_lost(w);
	drop_ghosts(w);
	return ret;
}

/* Read what is allocated, just to see that it can be. */
static void scrub(struct exo_xn_walk *w, u64 block, u32 count)
{
	u32 i;

	if (!count || !exo_xn_read_blocks(w->xn, block, count, w->bytes))
		return;
	for (i = 0; i < count; i++)
		w->errors += !!exo_xn_read_blocks(w->xn, block + i, 1, w->bytes);
}

static int walk_map(struct exo_xn_walk *w)
{
	u64 first = exo_xn_map_first(w->index);
	struct exo_xn_map_block *map;
	u32 slot, n, i, run = 0;
	int ret;

	if (first >= w->blocks)
		return 0;
	ret = exo_xn_map_load(w->xn, first, 1);
	if (ret == -EIO) {
		w->errors++;
		return 0;
	}
	if (ret)
		return ret;
	n = exo_xn_map_span(w->xn, first, w->blocks - first, &map, &slot);
	for (i = 0; !w->counted && i < n; i++) {
		count(w, map->now[i], first + i);
		if (!(w->flags & EXO_XN_CHECK_SCRUB))
			continue;
		run += !!(map->now[i] & EXO_XN_ENTRY_TAKEN);
		if (run == EXO_XN_UNIT_BLOCKS || (run && (i + 1 == n || !(map->now[i + 1] & EXO_XN_ENTRY_TAKEN)))) {
			scrub(w, first + i + 1 - run, run);
			run = 0;
		}
	}
	w->counted = true;
	return w->flags & EXO_XN_CHECK_REPAIR ? repair(w, map, first, n) : 0;
}

/* Compare what points with what the map counts; quarantine who is bad, if that is wanted. */
static int finish(struct exo_xn_walk *w)
{
	struct exo_xn_core_root *root;
	struct seen_root *seen;
	u32 i;
	int ret;

	for (i = 1; i <= EXO_XN_ROOTS; i++) {
		root = exo_xn_root_at(w->xn, i);
		seen = &w->roots[i];
		if (!root)
			continue;
		if (seen->verdict == GOOD && seen->changes == root->changes && !w->errors &&
		    seen->pointers != seen->references) {
			seen->verdict = BAD;
			w->bad++;
		}
		if (seen->verdict != BAD || !(w->flags & EXO_XN_CHECK_REPAIR) ||
		    root->pub.flags & EXO_XN_ROOT_QUARANTINED)
			continue;
		root->pub.flags |= EXO_XN_ROOT_QUARANTINED;
		root->entry = true;
		ret = exo_xn_commit_root(w->xn, root, NULL);
		if (ret) {
			root->pub.flags &= ~EXO_XN_ROOT_QUARANTINED;
			return ret;
		}
		exo_xn_root_ask(w->xn, root);
	}
	return 0;
}

static struct exo_xn_walk *walk_make(struct exo_xn *xn, u32 flags)
{
	struct exo_xn_walk *w = exo_xn_alloc(xn, sizeof(*w));

	if (!w)
		return NULL;
	w->xn = xn;
	w->flags = flags;
	w->blocks = xn->blocks;
	w->root = 1;
	w->nr_groups = (xn->blocks + EXO_XN_GROUP - 1) / EXO_XN_GROUP;
	w->seen = exo_xn_alloc(xn, w->nr_groups * sizeof(*w->seen));
	w->bytes = exo_xn_alloc(xn, EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK);
	w->roots = exo_xn_alloc(xn, (EXO_XN_ROOTS + 1) * sizeof(*w->roots));
	if (w->seen && w->bytes && w->roots)
		return w;
	exo_xn_walk_end(w);
	return NULL;
}

/* What templates are stored in is nobody's leak. */
static int see_templates(struct exo_xn_walk *w)
{
	const struct exo_xn_template_core *t;
	u32 i, k;
	int ret;

	for (i = 1; i <= EXO_XN_TEMPLATES; i++) {
		t = w->xn->templates[i];
		for (k = 0; t && k < t->blocks; k++) {
			ret = see(w, t->block + k, EXO_XN_SYSTEM_ROOT);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/**
 * exo_xn_walk_begin() - begin to walk a disk
 * @xn: disk; lives until exo_xn_walk_end()
 * @flags: EXO_XN_CHECK_REPAIR, EXO_XN_CHECK_SCRUB
 * @out: set to the walk
 *
 * Context: disk lock; allocates. Return: 0; -EINVAL; -ENOMEM.
 */
int exo_xn_walk_begin(struct exo_xn *xn, u32 flags, struct exo_xn_walk **out)
{
	if (flags & ~(EXO_XN_CHECK_REPAIR | EXO_XN_CHECK_SCRUB))
		return -EINVAL;
	*out = walk_make(xn, flags);
	return *out ? 0 : -ENOMEM;
}

/**
 * exo_xn_walk_step() - go on
 * @w: walk
 * @units: how far: units of roots, or blocks of the map
 *
 * Context: disk lock, which may have been let go meanwhile; reads, allocates, runs grafts; with REPAIR it writes.
 *
 * Return: 1: there is more; 0: done; -ENOMEM: go on later; -ESTALE: the disk has grown, begin again; -EIO: it is failed.
 */
int exo_xn_walk_step(struct exo_xn_walk *w, u32 units)
{
	int ret;

	if (w->done)
		return 0;
	if (w->blocks != w->xn->blocks)
		return -ESTALE;
	if (w->root <= EXO_XN_ROOTS) {
		while (w->root < EXO_XN_ROOTS && !w->begun && !exo_xn_root_at(w->xn, w->root))
			w->root++;
		ret = walk_units(w, units);
		if (ret <= 0)
			return ret < 0 ? ret : 1;
		w->root++;
		w->begun = false;
		w->partly = false;
		w->again = false;
		return 1;
	}
	if (!w->mapping) {
		ret = see_templates(w);
		if (ret)
			return ret;
	}
	w->mapping = true;
	for (; units && w->index < w->xn->nr_maps; units--, w->index++) {
		exo_xn_shrink(w->xn);
		ret = walk_map(w);
		if (ret)
			return ret;
		w->counted = false;
	}
	if (w->index < w->xn->nr_maps)
		return 1;
	ret = finish(w);
	w->done = !ret;
	return ret;
}

/**
 * exo_xn_walk_show() - how far a walk is
 * @w: walk
 * @out: its out_ fields are filled in
 *
 * Context: disk lock.
 */
void exo_xn_walk_show(const struct exo_xn_walk *w, struct exo_xn_check *out)
{
	out->out_done = w->done;
	out->out_visited = w->visited;
	out->out_total = w->xn->taken;
	out->out_leaked = w->leaked;
	out->out_bad = w->bad;
	out->out_errors = w->errors;
}

/**
 * exo_xn_walk_end() - forget a walk
 * @w: done, or not
 *
 * Context: disk lock.
 */
void exo_xn_walk_end(struct exo_xn_walk *w)
{
	struct exo_xn *xn = w->xn;
	u64 i;

	for (i = 0; w->seen && i < w->nr_groups; i++)
		exo_xn_mem_free(xn, w->seen[i]);
	exo_xn_mem_free(xn, w->seen);
	exo_xn_mem_free(xn, w->bytes);
	exo_xn_mem_free(xn, w->roots);
	exo_xn_mem_free(xn, w->stack);
	exo_xn_mem_free(xn, w);
}

/* Is one root right, as far as it can be said without the others? Errors as exo_xn_walk_step(); -EINVAL: no. */
int exo_xn_walk_root(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	struct exo_xn_walk *w = walk_make(xn, 0);
	int ret;

	if (!w)
		return -ENOMEM;
	w->root = root->pub.number;
	w->again = true;
	ret = walk_units(w, ~0U);
	if (ret > 0)
		ret = w->roots[w->root].verdict == GOOD ? 0 :
		      w->roots[w->root].verdict == BAD ? -EINVAL : -EIO;
	exo_xn_walk_end(w);
	return ret;
}
