// SPDX-License-Identifier: GPL-2.0
/*
 * Units in memory: a cache by first block, with the sets of what each part owns. A unit is loaded
 * through one that owns it, so its ancestors are in memory; a unit with several references owns no
 * units, so there is one chain of ancestors, and a cycle would show in it (INV-XN-4).
 */
#include "core/xn_core.h"

#define WORK_EXTENT 64U		/* of a set that is made: it is sorted, and compared */

static struct exo_xn_core_unit *core_of(const struct exo_xn_unit *unit)
{
	return (struct exo_xn_core_unit *)unit;
}

static u32 bucket(u64 block, u32 nr)
{
	return (block * 0x9e3779b97f4a7c15ULL >> 32) & (nr - 1);
}

/**
 * exo_xn_unit_at() - the unit that begins at a block
 * @xn: disk
 * @block: first block
 *
 * Context: disk lock. Return: it, or NULL: not in memory, or freed.
 */
struct exo_xn_core_unit *exo_xn_unit_at(const struct exo_xn *xn, u64 block)
{
	struct exo_xn_core_unit *unit = xn->units[bucket(block, xn->nr_buckets)];

	while (unit && unit->pub.block != block)
		unit = unit->hash;
	return unit;
}

/* Twice the buckets; without memory the chains are longer. */
static void grow_hash(struct exo_xn *xn)
{
	u32 i, nr = xn->nr_buckets * 2;
	struct exo_xn_core_unit **units, *unit, *next;

	units = exo_xn_alloc(xn, nr * sizeof(*units));
	if (!units)
		return;
	for (i = 0; i < xn->nr_buckets; i++) {
		for (unit = xn->units[i]; unit; unit = next) {
			next = unit->hash;
			unit->hash = units[bucket(unit->pub.block, nr)];
			units[bucket(unit->pub.block, nr)] = unit;
		}
	}
	exo_xn_mem_free(xn, xn->units);
	xn->units = units;
	xn->nr_buckets = nr;
}

/* Let it be found. Context: disk lock. */
void exo_xn_unit_insert(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	struct exo_xn_core_root *root = xn->roots[unit->pub.root];
	struct exo_xn_core_unit **head;

	if (xn->nr_units >= 2 * xn->nr_buckets && xn->nr_buckets < 1U << 22)
		grow_hash(xn);
	head = &xn->units[bucket(unit->pub.block, xn->nr_buckets)];
	unit->hash = *head;
	*head = unit;
	xn->nr_units++;
	if (root)
		exo_xn_list_add(&root->units, &unit->root);
	exo_xn_list_add(&xn->clock_units, &unit->clock);
	exo_xn_unit_charge(xn, unit);
	if (unit->parent)
		unit->parent->children++;
}

/* Let it be found no longer. Context: disk lock. */
void exo_xn_unit_remove(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	struct exo_xn_core_unit **at = &xn->units[bucket(unit->pub.block, xn->nr_buckets)];

	while (*at && *at != unit)
		at = &(*at)->hash;
	if (*at) {
		*at = unit->hash;
		xn->nr_units--;
	}
	exo_xn_unit_unstub(xn, unit);
	exo_xn_list_del(&unit->root);
	exo_xn_list_del(&unit->clock);
	exo_xn_unit_parent(unit, NULL);
}

/* It is reached through @parent from now on. Context: disk lock. */
void exo_xn_unit_parent(struct exo_xn_core_unit *unit, struct exo_xn_core_unit *parent)
{
	if (parent)
		parent->children++;
	if (unit->parent)
		unit->parent->children--;
	unit->parent = parent;
}

/**
 * exo_xn_unit_make() - a unit without bytes that nobody finds
 * @xn: disk
 * @root: number
 * @t: template, loaded
 * @block: first
 * @blocks: how many
 *
 * Context: disk lock; allocates. Return: it, or NULL.
 */
struct exo_xn_core_unit *exo_xn_unit_make(struct exo_xn *xn, u32 root,
					  const struct exo_xn_template_core *t, u64 block, u32 blocks)
{
	struct exo_xn_core_unit *unit = exo_xn_alloc(xn, sizeof(*unit));

	if (!unit)
		return NULL;
	unit->pub.block = block;
	unit->pub.blocks = blocks;
	unit->pub.root = root;
	unit->pub.template = t->number;
	unit->pub.generation = ++xn->generation;
	unit->nr_parts = exo_xn_parts_of(t, blocks);
	unit->part = exo_xn_alloc(xn, unit->nr_parts * sizeof(*unit->part));
	if (!unit->part) {
		exo_xn_mem_free(xn, unit);
		return NULL;
	}
	return unit;
}

/* Forget a unit's sets. Context: disk lock. */
void exo_xn_unit_forget(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	u32 i;

	for (i = 0; unit->part && i < unit->nr_parts; i++)
		if (unit->part[i].own)
			exo_xn_mem_free(xn, unit->part[i].at);
	exo_xn_mem_free(xn, unit->part);
	exo_xn_mem_free(xn, unit->slab);
	unit->part = NULL;
	unit->slab = NULL;
	unit->nr_slab = 0;
	unit->nr_own = 0;
	unit->nr_parts = 0;
	unit->nr_extents = 0;
	unit->nr_units = 0;
}

/**
 * exo_xn_unit_drop() - forget a unit
 * @xn: disk
 * @unit: found by nobody any more, in no list but @home and @dirty, which it leaves
 *
 * Its bytes go; what is left of it lives until the last exo_xn_unit_put(). Context: disk lock.
 */
void exo_xn_unit_drop(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	exo_xn_list_del(&unit->dirty);
	exo_xn_list_del(&unit->home);
	exo_xn_unit_uncharge(xn, unit);
	exo_xn_unit_forget(xn, unit);
	exo_xn_mem_free(xn, unit->pub.now);
	exo_xn_mem_free(xn, unit->base);
	unit->pub.now = NULL;
	unit->base = NULL;
	unit->flags = EXO_XN_UNIT_GONE;
	__atomic_store_n(&unit->pub.generation, ++xn->generation, __ATOMIC_RELEASE);
	if (!unit->holds)
		exo_xn_mem_free(xn, unit);
}

/**
 * exo_xn_unit_get() - keep a unit's memory
 * @unit: it
 *
 * Its @generation may then be looked at without the disk's lock. Context: disk lock.
 */
void exo_xn_unit_get(struct exo_xn_unit *unit)
{
	core_of(unit)->holds++;
}

/**
 * exo_xn_unit_put() - keep it no longer
 * @xn: disk
 * @unit: may be gone after this
 *
 * Context: disk lock.
 */
void exo_xn_unit_put(struct exo_xn *xn, struct exo_xn_unit *unit)
{
	struct exo_xn_core_unit *core = core_of(unit);

	if (!--core->holds && core->flags & EXO_XN_UNIT_GONE)
		exo_xn_mem_free(xn, core);
}

/* How many parts a unit has. */
u32 exo_xn_parts_of(const struct exo_xn_template_core *t, u32 blocks)
{
	u32 bytes = blocks * EXO_XN_BLOCK;

	if (!t->part_bytes || t->head_bytes >= bytes)
		return 1;
	return 1 + (bytes - t->head_bytes + t->part_bytes - 1) / t->part_bytes;
}

/* Which part has this byte. */
u32 exo_xn_part_at(const struct exo_xn_template_core *t, u32 offset)
{
	if (!t->part_bytes || offset < t->head_bytes)
		return 0;
	return 1 + (offset - t->head_bytes) / t->part_bytes;
}

/* What number a slot of a template stands for; 0: none. */
u32 exo_xn_slot_template(const struct exo_xn_template_core *t, u32 slot)
{
	if (slot == EXO_XN_SELF)
		return t->number;
	return slot <= EXO_XN_REFS ? t->refs[slot - 1] : 0;
}

/**
 * exo_xn_unit_owns() - what a part of a unit owns
 * @xn: disk
 * @t: its template, loaded
 * @bytes: of the unit
 * @blocks: that it has
 * @part: which part
 * @block: its first block
 * @out: appended to; the new ones aren't sorted
 *
 * Whatever the function says is looked at: slots that the template has, extents within the disk, units of a
 * possible size. Context: disk lock; runs a graft. Return: 0, -EINVAL, -E2BIG: too many, or the change has done too much.
 */
int exo_xn_unit_owns(struct exo_xn *xn, const struct exo_xn_template_core *t, const u8 *bytes,
		     u32 blocks, u32 part, u64 block, struct exo_xn_extents *out)
{
	u32 from = part ? t->head_bytes + (part - 1) * t->part_bytes : 0, i = out->nr;
	u32 length = !part ? t->head_bytes : t->part_bytes, end = blocks * EXO_XN_BLOCK;
	const struct exo_xn_extent *e;
	int ret;

	if (!t->part_bytes || length > end - from)
		length = end - from;
	if (!length)
		return 0;
	if (exo_xn_spent(xn))
		return -E2BIG;
	ret = xn->host->owns(xn, t, bytes + from, length, part, block, out);
	exo_xn_worked(xn, (u64)(out->nr - i) * WORK_EXTENT);
	if (ret)
		return ret == -E2BIG ? -E2BIG : -EINVAL;
	for (; i < out->nr; i++) {
		e = &out->at[i];
		if (e->slot != EXO_XN_DATA &&
		    (!exo_xn_slot_template(t, e->slot) || e->count > EXO_XN_UNIT_BLOCKS))
			return -EINVAL;
		if (!e->count || e->block < xn->first || e->block >= xn->blocks ||
		    e->count > xn->blocks - e->block)
			return -EINVAL;
	}
	return 0;
}

/* Units among extents. */
u32 exo_xn_units_in(const struct exo_xn_extent *at, u32 nr)
{
	u32 i, units = 0;

	for (i = 0; i < nr; i++)
		units += at[i].slot != EXO_XN_DATA;
	return units;
}

/**
 * exo_xn_unit_learn() - find out what all parts of a unit own
 * @xn: disk
 * @unit: its sets are filled in; they must be empty
 * @t: its template, loaded
 * @bytes: of it
 *
 * Context: disk lock; allocates, runs grafts. Return: 0, -EINVAL (overlaps, too), -E2BIG, -ENOMEM: it has no sets.
 */
int exo_xn_unit_learn(struct exo_xn *xn, struct exo_xn_core_unit *unit,
		      const struct exo_xn_template_core *t, const u8 *bytes)
{
	struct exo_xn_extents all = { .at = xn->room[0], .max = EXO_XN_EXTENTS }, set;
	u32 i, nr = 0;
	int ret;

	for (i = 0; i < unit->nr_parts; i++) {
		ret = exo_xn_unit_owns(xn, t, bytes, unit->pub.blocks, i, unit->pub.block, &all);
		if (ret)
			return ret;
		set = (struct exo_xn_extents){ .at = all.at + nr, .nr = all.nr - nr };
		ret = exo_xn_extents_tidy(&set, xn->first, xn->blocks);
		if (ret)
			return ret;
		unit->part[i].nr = set.nr;
		nr += set.nr;
		all.nr = nr;
	}
	__builtin_memcpy(xn->room[1], all.at, nr * sizeof(*all.at));
	set = (struct exo_xn_extents){ .at = xn->room[1], .nr = nr };
	ret = exo_xn_extents_tidy(&set, xn->first, xn->blocks);
	if (ret)
		return ret;
	if (nr) {
		unit->slab = exo_xn_alloc(xn, nr * sizeof(*unit->slab));
		if (!unit->slab)
			return -ENOMEM;
		__builtin_memcpy(unit->slab, all.at, nr * sizeof(*unit->slab));
	}
	unit->nr_slab = nr;
	unit->nr_extents = nr;
	unit->nr_units = exo_xn_units_in(unit->slab, nr);
	for (i = 0, nr = 0; i < unit->nr_parts; nr += unit->part[i++].nr)
		unit->part[i].at = unit->slab ? unit->slab + nr : NULL;
	return 0;
}

/* The extent of a unit that has these blocks. */
const struct exo_xn_extent *exo_xn_unit_extent(const struct exo_xn_core_unit *unit, u64 block, u32 count)
{
	const struct exo_xn_extent *e;
	struct exo_xn_extents set;
	u32 i;

	for (i = 0; i < unit->nr_parts; i++) {
		set = (struct exo_xn_extents){ .at = unit->part[i].at, .nr = unit->part[i].nr };
		e = exo_xn_extents_find(&set, block, count);
		if (e)
			return e;
	}
	return NULL;
}

/* Read a unit and find out what it owns; a quarantined root's may be as bad as it likes. */
static int read_unit(struct exo_xn *xn, struct exo_xn_core_unit *unit,
		     const struct exo_xn_template_core *t, bool bad)
{
	u32 bytes = unit->pub.blocks * EXO_XN_BLOCK;
	int ret;

	unit->pub.now = exo_xn_alloc(xn, bytes);
	if (!unit->pub.now)
		return -ENOMEM;
	ret = exo_xn_read_blocks(xn, unit->pub.block, unit->pub.blocks, unit->pub.now);
	if (ret)
		return ret;
	if (exo_xn_blocks_of(xn->host->size(xn, t, unit->pub.now, bytes)) != unit->pub.blocks && !bad)
		return -EINVAL;
	ret = exo_xn_unit_learn(xn, unit, t, unit->pub.now);
	if (ret && ret != -ENOMEM && bad) {
		exo_xn_unit_forget(xn, unit);
		ret = 0;
	}
	return ret;
}

/**
 * exo_xn_unit_wake() - have the bytes and sets of a unit that is known
 * @xn: disk
 * @unit: found by exo_xn_unit_at()
 *
 * They are what they were when they were given back: a unit that differs from its home isn't.
 *
 * Context: disk lock; reads, allocates, runs grafts. Return: 0; -EINVAL; -E2BIG; -EIO; -ENOMEM: it is a stub still.
 */
int exo_xn_unit_wake(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	struct exo_xn_core_root *root = xn->roots[unit->pub.root];
	const struct exo_xn_template_core *t;
	int ret;

	unit->used = true;
	if (!(unit->flags & EXO_XN_UNIT_STUB))
		return 0;
	ret = exo_xn_template_load(xn, unit->pub.template, &t);
	if (ret)
		return ret;
	unit->nr_parts = exo_xn_parts_of(t, unit->pub.blocks);
	unit->part = exo_xn_alloc(xn, unit->nr_parts * sizeof(*unit->part));
	ret = unit->part ? read_unit(xn, unit, t, root->pub.flags & EXO_XN_ROOT_QUARANTINED) : -ENOMEM;
	if (ret) {
		exo_xn_unit_forget(xn, unit);
		exo_xn_mem_free(xn, unit->pub.now);
		unit->pub.now = NULL;
		return ret;
	}
	exo_xn_unit_unstub(xn, unit);
	exo_xn_list_add(&xn->clock_units, &unit->clock);
	exo_xn_unit_charge(xn, unit);
	return 0;
}

/**
 * exo_xn_unit_again() - have the bytes of a unit that is held
 * @xn: disk
 * @unit: held; it may have been given back, or freed
 * @nowait: don't read it: -EAGAIN instead
 *
 * With its bytes its template is there, too: then acl can be asked without reading anything.
 *
 * Context: disk lock; may read, allocate, run grafts. Return: 0; -ESTALE: it was freed; -EAGAIN; as exo_xn_unit_wake().
 */
int exo_xn_unit_again(struct exo_xn *xn, struct exo_xn_unit *unit, bool nowait)
{
	struct exo_xn_core_unit *core = core_of(unit);

	if (core->flags & (EXO_XN_UNIT_DEAD | EXO_XN_UNIT_GONE))
		return -ESTALE;
	return nowait && core->flags & EXO_XN_UNIT_STUB ? -EAGAIN : exo_xn_unit_wake(xn, core);
}

/**
 * exo_xn_unit_find() - a unit that has been read, and not been forgotten since
 * @xn: disk
 * @root: number
 * @block: its first block
 *
 * Context: disk lock; may read, allocate, run grafts. Return: it, or NULL.
 */
struct exo_xn_unit *exo_xn_unit_find(struct exo_xn *xn, u32 root, u64 block)
{
	struct exo_xn_core_unit *unit = exo_xn_unit_at(xn, block);

	if (!unit || unit->pub.root != root || exo_xn_unit_wake(xn, unit))
		return NULL;
	return &unit->pub;
}

/* Known already: as what this parent says? */
static int known(struct exo_xn *xn, struct exo_xn_core_unit *unit, u32 template, u32 blocks,
		 struct exo_xn_unit **out)
{
	int ret;

	if (unit->pub.template != template || unit->pub.blocks != blocks)
		return -EINVAL;
	ret = exo_xn_unit_wake(xn, unit);
	if (!ret)
		*out = &unit->pub;
	return ret;
}

/**
 * exo_xn_unit_load() - have a unit in memory
 * @xn: disk
 * @root: number
 * @parent: first block of a unit of it that has been read and owns the unit; @block itself for the root's own
 * @block: its first block
 * @out: set to it; lives until the next call that loads anything, or with exo_xn_unit_get()
 *
 * The map decides whose the blocks are, whatever the parent says (INV-XN-1).
 *
 * Context: disk lock; reads, allocates, runs grafts.
 *
 * Return: 0; -ENOENT: no such root, or @parent is not known (any more) or doesn't own it as a unit; -EINVAL: the unit's bytes or
 * its template are bad, or the map says the blocks are someone else's; -EIO; -ENOMEM.
 */
int exo_xn_unit_load(struct exo_xn *xn, u32 root, u64 parent, u64 block, struct exo_xn_unit **out)
{
	struct exo_xn_core_root *r = exo_xn_root_at(xn, root);
	struct exo_xn_core_unit *unit, *from = NULL;
	const struct exo_xn_template_core *t;
	const struct exo_xn_extent *e;
	u32 template, blocks;
	int ret;

	exo_xn_shrink(xn);
	unit = exo_xn_unit_at(xn, block);
	if (!r || (unit && unit->pub.root != root))
		return -ENOENT;
	if (parent == block) {
		if (block != r->pub.block)
			return -ENOENT;
		template = r->pub.template;
		blocks = r->pub.unit_blocks;
	} else {
		from = exo_xn_unit_at(xn, parent);
		if (!from || from->pub.root != root)
			return -ENOENT;
		if (unit && unit->parent == from)
			return known(xn, unit, unit->pub.template, unit->pub.blocks, out);
		ret = exo_xn_unit_wake(xn, from);
		if (ret)
			return ret;
		e = exo_xn_unit_extent(from, block, 1);
		t = exo_xn_template(xn, from->pub.template);
		if (!e || !t || e->slot == EXO_XN_DATA || e->block != block)
			return -ENOENT;
		template = exo_xn_slot_template(t, e->slot);
		blocks = e->count;
	}
	if (unit) {
		ret = known(xn, unit, template, blocks, out);
		if (!ret && from && !unit->parent && block != r->pub.block)
			exo_xn_unit_parent(unit, from);
		return ret;
	}
	ret = exo_xn_template_load(xn, template, &t);
	if (ret)
		return ret;
	ret = exo_xn_map_owned(xn, root, block, blocks);
	if (ret)
		return ret;
	unit = exo_xn_unit_make(xn, root, t, block, blocks);
	if (!unit)
		return -ENOMEM;
	ret = read_unit(xn, unit, t, r->pub.flags & EXO_XN_ROOT_QUARANTINED);
	/* No change makes such a one: the disk comes from elsewhere. It could become its own ancestor (INV-XN-4). */
	if (!ret && unit->nr_units && (exo_xn_map_entry(xn, block) & EXO_XN_ENTRY_REFS) > EXO_XN_ENTRY_REF)
		ret = -EINVAL;
	if (ret) {
		exo_xn_unit_drop(xn, unit);
		return ret;
	}
	unit->parent = from;
	unit->used = true;
	exo_xn_unit_insert(xn, unit);
	*out = &unit->pub;
	return 0;
}

static u32 keys_of(struct exo_xn *xn, const struct exo_xn_core_root *root, const struct exo_xn_who *who)
{
	static const u8 none[32];
	u8 hash[32];
	u32 i;

	if (!__builtin_memcmp(root->pub.key_hash, none, sizeof(none)))
		return 0;
	for (i = 0; i < who->nr_keys; i++) {
		xn->host->hash(who->keys[i].key, sizeof(who->keys[i].key), hash);
		if (!__builtin_memcmp(hash, root->pub.key_hash, sizeof(hash)))
			return 1;
	}
	return 0;
}

/**
 * exo_xn_may() - ask a unit's acl
 * @xn: disk
 * @unit: in memory
 * @who: on whose behalf
 * @right: enum exo_xn_right
 * @slot: what it is about
 * @block: its first block
 * @count: blocks
 *
 * An admin may; of a quarantined root everybody may at most read; of nobody's root nobody else may anything, whatever acl says.
 *
 * Context: disk lock; may read and allocate (the template), runs a graft. Return: true: allowed.
 */
bool exo_xn_may(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		u32 right, u32 slot, u64 block, u32 count)
{
	struct exo_xn_core_root *root = exo_xn_root_at(xn, unit->root);
	const struct exo_xn_template_core *t;
	struct exo_xn_question q = {
		.right = right, .slot = slot, .block = block, .count = count, .uid = who->uid,
	};

	if (!root || !unit->now)
		return false;
	if (root->pub.flags & EXO_XN_ROOT_QUARANTINED && right != EXO_XN_MAY_READ)
		return false;
	if (who->admin || !EXO_XN_CHECKED)
		return true;
	t = root->pub.uid == EXO_XN_NOBODY ? NULL : exo_xn_template(xn, unit->template);
	if (!t)
		return false;
	q.owner = root->pub.uid;
	q.keys = keys_of(xn, root, who);
	return xn->host->acl(xn, t, unit->now, unit->blocks * EXO_XN_BLOCK, &q, who);
}

/**
 * exo_xn_bind_check() - may these blocks be bound?
 * @xn: disk
 * @unit: that should own them as data; held, may be gone
 * @who: on whose behalf
 * @block: first
 * @count: how many
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE
 *
 * Their map is in memory afterwards; exo_xn_map_hold() keeps it there.
 *
 * Context: disk lock; may read and allocate, runs grafts.
 *
 * Return: 0; -ENOENT: not owned as data; -EACCES; -EINVAL: nothing asked, or the map says someone else's; -EIO; -ENOMEM.
 */
int exo_xn_bind_check(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		      u64 block, u32 count, u32 rights)
{
	const struct exo_xn_extent *e;
	u64 at = block;
	u32 left = count, n;

	if (!count || !(rights & (EXO_RIGHT_READ | EXO_RIGHT_WRITE)))
		return -EINVAL;
	if (!unit->now)
		return -ENOENT;
	for (; left; at += n, left -= n) {
		e = exo_xn_unit_extent(core_of(unit), at, 1);
		if (!e || e->slot != EXO_XN_DATA)
			return -ENOENT;
		n = e->count - (u32)(at - e->block);
		n = n < left ? n : left;
	}
	if (rights & EXO_RIGHT_READ &&
	    !exo_xn_may(xn, unit, who, EXO_XN_MAY_READ, EXO_XN_DATA, block, count))
		return -EACCES;
	if (rights & EXO_RIGHT_WRITE &&
	    !exo_xn_may(xn, unit, who, EXO_XN_MAY_WRITE, EXO_XN_DATA, block, count))
		return -EACCES;
	return exo_xn_map_owned(xn, unit->root, block, count);
}
