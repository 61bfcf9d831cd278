// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that a disk takes. Units are read by whoever may, blocks of the map by whoever looks at
 * it: both are given back when they are more than the disk's share, those first that nobody used since
 * the clock's hand was there last.
 *
 * Of a unit its bytes and sets go; a stub stays and knows through whom it was reached, so that it comes
 * back by its number alone. Stubs are bounded, too: of the root that has most of them leaves are forgotten,
 * and whoever wants these again reads his way down from the root (-ENOENT).
 *
 * What differs from its home stays, until a checkpoint has written it. So does the map of blocks that are bound, at
 * which completions look without a lock (INV-XN-25). Of a binding's unit a stub stays, whose generation is looked at.
 */
#include "core/xn_core.h"

#define STUBS_PART 4U	/* of the memory that stubs may take */

/**
 * exo_xn_limit() - how much memory for units and map a disk may take
 * @xn: disk
 * @bytes: what is clean and not held is given back above it
 *
 * Context: disk lock.
 */
void exo_xn_limit(struct exo_xn *xn, u64 bytes)
{
	xn->memory_max = bytes;
	xn->memory_next = bytes;
}

/**
 * exo_xn_may_hold() - how much memory a uid's roots may have that stays until they are committed
 * @xn: disk
 * @uid: whose
 *
 * A quarter of the disk's; or as much as the log, if that is more, so that what fits into a commit can be changed.
 *
 * Context: disk lock. Return: bytes that may still be added.
 */
u64 exo_xn_may_hold(const struct exo_xn *xn, u32 uid)
{
	u64 most = xn->memory_max / 4, log = (u64)xn->log_blocks * EXO_XN_BLOCK, held = 0;
	u32 i;

	most = most > log ? most : log;
	most = most > EXO_XN_HOLD_MIN ? most : EXO_XN_HOLD_MIN;
	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i] && xn->roots[i]->pub.uid == uid)
			held += xn->roots[i]->held;
	return most > held ? most - held : 0;
}

/* Of a unit's memory so much stays until its root is committed. */
static void hold(struct exo_xn *xn, struct exo_xn_core_unit *unit, u64 bytes)
{
	if (bytes == unit->held)
		return;
	xn->roots[unit->pub.root]->held += bytes - unit->held;
	xn->held += bytes - unit->held;
	unit->held = bytes;
}

/* Count what a unit takes now, with all its sets, and for whom (INV-XN-32). Context: disk lock. */
void exo_xn_unit_charge(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	u64 copies = !!unit->pub.now + !!unit->base;
	u64 bytes = sizeof(*unit) + unit->nr_parts * sizeof(*unit->part) +
		    ((u64)unit->nr_slab + unit->nr_own) * sizeof(*unit->slab) +
		    copies * unit->pub.blocks * EXO_XN_BLOCK;

	xn->memory += bytes - unit->charged;
	unit->charged = bytes;
	hold(xn, unit, exo_xn_listed(&unit->dirty) ? bytes : 0);
}

/* It takes nothing any more. Context: disk lock. */
void exo_xn_unit_uncharge(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	exo_xn_list_del(&unit->clock);
	xn->memory -= unit->charged;
	unit->charged = 0;
	hold(xn, unit, 0);
}

/* It isn't found any more, or has its bytes again: no stub. Context: disk lock. */
void exo_xn_unit_unstub(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	if (!(unit->flags & EXO_XN_UNIT_STUB))
		return;
	unit->flags &= ~EXO_XN_UNIT_STUB;
	xn->nr_stubs--;
	xn->roots[unit->pub.root]->nr_stubs--;
}

/*
 * Of a unit that was freed, its bytes aren't wanted when they are those of its home: else who frees much and doesn't commit
 * keeps all of that in memory, and pays for a few entries of the map (INV-XN-25). Context: disk lock.
 */
void exo_xn_unit_bury(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	if (!(unit->flags & EXO_XN_UNIT_DEAD) || exo_xn_listed(&unit->home))
		return;
	exo_xn_mem_free(xn, unit->base);
	unit->base = NULL;
	exo_xn_unit_charge(xn, unit);
}

static bool unit_is_clean(const struct exo_xn_core_unit *unit)
{
	return unit->pub.now && !unit->base && !unit->touched &&
	       !(unit->flags & (EXO_XN_UNIT_NEW | EXO_XN_UNIT_DEAD)) &&
	       !exo_xn_listed(&unit->dirty) && !exo_xn_listed(&unit->home);
}

/* A temporary root's unit is nowhere else: on the disk its blocks are free, so they may have anything. */
static int write_temporary(struct exo_xn *xn, const struct exo_xn_core_unit *unit)
{
	return exo_xn_write_blocks(xn, unit->pub.block, unit->pub.blocks, unit->pub.now, 0);
}

static void unit_out(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	struct exo_xn_core_root *root = xn->roots[unit->pub.root];

	if (root->pub.flags & EXO_XN_ROOT_TEMPORARY && write_temporary(xn, unit))
		return;
	exo_xn_unit_forget(xn, unit);
	exo_xn_mem_free(xn, unit->pub.now);
	unit->pub.now = NULL;
	unit->flags |= EXO_XN_UNIT_STUB;
	xn->nr_stubs++;
	root->nr_stubs++;
	exo_xn_list_del(&unit->clock);
	exo_xn_unit_charge(xn, unit);
}

/* Each is looked at twice at most: once to see that it was used, once to see that it wasn't again. */
static void units_out(struct exo_xn *xn, u64 target)
{
	struct exo_xn_core_unit *unit;
	u64 left = 2ULL * xn->nr_units;

	while (left-- && xn->memory > target && xn->clock_units.next != &xn->clock_units) {
		unit = exo_xn_entry(xn->clock_units.next, struct exo_xn_core_unit, clock);
		exo_xn_list_del(&unit->clock);
		exo_xn_list_add(&xn->clock_units, &unit->clock);
		if (!unit->used && unit_is_clean(unit))
			unit_out(xn, unit);
		unit->used = false;
	}
}

/* Leaves of one root: those that came last first, so that whole branches go. */
static void forget_stubs(struct exo_xn *xn, struct exo_xn_core_root *root, u64 leave)
{
	struct exo_xn_core_unit *unit;
	struct exo_xn_link *at, *before;

	for (at = root->units.prev; at != &root->units && root->nr_stubs > leave; at = before) {
		before = at->prev;
		unit = exo_xn_entry(at, struct exo_xn_core_unit, root);
		if (!(unit->flags & EXO_XN_UNIT_STUB) || unit->children || unit->touched || unit->holds)
			continue;
		exo_xn_unit_remove(xn, unit);
		exo_xn_unit_drop(xn, unit);
	}
}

static void stubs_out(struct exo_xn *xn, u64 target)
{
	struct exo_xn_core_root *most;
	u64 before;
	u32 i;

	do {
		most = NULL;
		before = xn->nr_stubs;
		for (i = 1; i <= xn->last_root; i++)
			if (xn->roots[i] && (!most || xn->roots[i]->nr_stubs > most->nr_stubs))
				most = xn->roots[i];
		if (most)
			forget_stubs(xn, most, most->nr_stubs / 2);
	} while (xn->nr_stubs > target && xn->nr_stubs < before);
}

static bool map_is_clean(const struct exo_xn_map_block *map)
{
	if (__atomic_load_n(&map->holds, __ATOMIC_ACQUIRE) || exo_xn_listed(&map->home) || exo_xn_listed(&map->snapped) ||
	    __atomic_load_n(&map->queued, __ATOMIC_ACQUIRE) ||
	    __builtin_memcmp(map->readable, map->durable, sizeof(map->readable)))
		return false;
	return !__builtin_memcmp(map->now, map->committed, sizeof(map->now));
}

static void maps_out(struct exo_xn *xn, u64 target)
{
	u64 left = 2 * xn->nr_maps_in;
	struct exo_xn_map_block *map;

	while (left-- && xn->memory > target && xn->clock_maps.next != &xn->clock_maps) {
		map = exo_xn_entry(xn->clock_maps.next, struct exo_xn_map_block, clock);
		exo_xn_list_del(&map->clock);
		if (map->used || !map_is_clean(map)) {
			map->used = false;
			exo_xn_list_add(&xn->clock_maps, &map->clock);
			continue;
		}
		__atomic_store_n(&xn->maps[map->index], NULL, __ATOMIC_RELEASE);
		exo_xn_mem_free(xn, map);
		xn->memory -= sizeof(*map);
		xn->nr_maps_in--;
	}
}

/**
 * exo_xn_map_bound() - give back of the map if it is more than recovery may have
 * @xn: disk that is being attached
 *
 * What was replayed of it goes home first, unfinished: replay makes the same of that as of what was there before,
 * so it doesn't matter if it doesn't come to its end (INV-XN-34).
 *
 * Context: attach; writes. Pointers to blocks of the map are void afterwards. Return: 0 or -EIO.
 */
int exo_xn_map_bound(struct exo_xn *xn)
{
	u64 bytes = xn->nr_maps_in * sizeof(struct exo_xn_map_block), most = exo_xn_log_most(xn);
	int ret;

	if (bytes <= most)
		return 0;
	ret = exo_xn_maps_home(xn);
	if (!ret)
		maps_out(xn, xn->memory - (bytes - most / 2));
	return ret;
}

/* Of what there is more first: who reads all of one thing doesn't take everything of the other. */
static void give_back(struct exo_xn *xn, u64 target)
{
	u64 stubs = xn->memory_max / STUBS_PART / sizeof(struct exo_xn_core_unit);

	if (xn->nr_maps_in * sizeof(struct exo_xn_map_block) > target / 2)
		maps_out(xn, target);
	units_out(xn, target);
	maps_out(xn, target);
	if (xn->nr_stubs > stubs)
		stubs_out(xn, stubs / 2);
}

/**
 * exo_xn_shrink() - give memory back if the disk has more than its share
 * @xn: disk
 *
 * If what is left only waits to be written home, it is. What can't be given back is not looked at again before there is
 * an eighth more.
 *
 * Context: disk lock; may write. Pointers to units that aren't held, and to blocks of the map, are void afterwards.
 */
void exo_xn_shrink(struct exo_xn *xn)
{
	u64 target = xn->memory_max - xn->memory_max / 8;

	if (xn->memory <= xn->memory_next || xn->replaying)
		return;
	give_back(xn, target);
	if (xn->memory > target && !exo_xn_checkpoint(xn))
		give_back(xn, target);
	xn->memory_next = xn->memory + xn->memory_max / 8;
	if (xn->memory_next < xn->memory_max)
		xn->memory_next = xn->memory_max;
}
