// SPDX-License-Identifier: GPL-2.0
/*
 * Roots: made, changed, deleted. Each of these is durable when it returns.
 */
#include "core/xn_core.h"

#define WIPE_MAPS 256U		/* blocks of the map that are read, at most, while others wait */

/* A root that is there; NULL: none, or it is being deleted. Context: disk lock. */
struct exo_xn_core_root *exo_xn_root_at(const struct exo_xn *xn, u32 number)
{
	struct exo_xn_core_root *root;

	if (!number || number > EXO_XN_ROOTS)
		return NULL;
	root = xn->roots[number];
	return root && !(root->state & EXO_XN_ROOT_DELETING) ? root : NULL;
}

/**
 * exo_xn_root() - a root
 * @xn: disk
 * @number: any
 *
 * Context: disk lock. Return: it, or NULL.
 */
struct exo_xn_root_core *exo_xn_root(struct exo_xn *xn, u32 number)
{
	struct exo_xn_core_root *root = exo_xn_root_at(xn, number);

	return root ? &root->pub : NULL;
}

/* An empty one of this number; NULL: no memory. Context: disk lock. */
struct exo_xn_core_root *exo_xn_root_make(struct exo_xn *xn, u32 number)
{
	struct exo_xn_core_root *root = exo_xn_alloc(xn, sizeof(*root));

	if (!root)
		return NULL;
	root->pub.number = number;
	root->changes = ++xn->generation;
	root->state = EXO_XN_ROOT_USED;
	exo_xn_list_init(&root->units);
	exo_xn_list_init(&root->dirty);
	xn->roots[number] = root;
	if (number > xn->last_root)
		xn->last_root = number;
	return root;
}

static void drop_units(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	struct exo_xn_core_unit *unit;
	struct exo_xn_link *at;

	/* Children and parents are all of this root: none is left that points at another. */
	for (at = root->units.next; at != &root->units; at = at->next) {
		unit = exo_xn_entry(at, struct exo_xn_core_unit, root);
		exo_xn_unit_parent(unit, NULL);
	}
	while (root->units.next != &root->units) {
		unit = exo_xn_entry(root->units.next, struct exo_xn_core_unit, root);
		exo_xn_unit_remove(xn, unit);
		exo_xn_unit_drop(xn, unit);
	}
	while (root->dirty.next != &root->dirty)
		exo_xn_unit_drop(xn, exo_xn_entry(root->dirty.next, struct exo_xn_core_unit, dirty));
}

/* Forget a root and its units. Context: disk lock, or nobody uses the disk. */
void exo_xn_root_drop(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	drop_units(xn, root);
	exo_xn_pending_clear(xn, root);
	xn->budgets -= root->budget;
	xn->roots[root->pub.number] = NULL;
	while (xn->last_root && !xn->roots[xn->last_root])
		xn->last_root--;
	exo_xn_mem_free(xn, root);
}

/* Roots from their table. -EINVAL: damaged. Context: attach. */
int exo_xn_roots_load(struct exo_xn *xn)
{
	const struct exo_xn_root_entry *entry = (void *)xn->root_table;
	struct exo_xn_core_root *root;
	u32 i;
	int ret;

	for (i = 1; i <= EXO_XN_ROOTS; i++, entry++) {
		ret = exo_xn_root_parse(xn->host->crc, xn->seed, entry, i, xn->blocks);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		root = exo_xn_root_make(xn, i);
		if (!root)
			return -ENOMEM;
		root->committed = true;
		root->state = entry->flags & (EXO_XN_ROOT_USED | EXO_XN_ROOT_DELETING);
		root->pub.flags = entry->flags & EXO_XN_ROOT_QUARANTINED;
		root->pub.uid = entry->uid;
		root->pub.template = entry->template;
		root->pub.unit_blocks = entry->unit_blocks;
		root->pub.block = entry->block;
		root->pub.blocks = entry->blocks;
		root->pub.max_blocks = entry->max_blocks;
		__builtin_memcpy(root->pub.key_hash, entry->key_hash, sizeof(entry->key_hash));
		__builtin_memcpy(root->pub.name, entry->name, sizeof(entry->name));
		if (xn->templates[entry->template])
			xn->templates[entry->template]->users++;
		else
			exo_xn_quarantine(xn, root);
	}
	return 0;
}

/* A free number, if no root has the name. */
static int place(struct exo_xn *xn, const char *name, u32 *number)
{
	u32 i;

	*number = 0;
	for (i = EXO_XN_ROOTS; i; i--) {
		if (!xn->roots[i])
			*number = i;
		else if (!__builtin_memcmp(xn->roots[i]->pub.name, name, EXO_XN_NAME))
			return -EEXIST;
	}
	return *number ? 0 : -ENOSPC;
}

/* Its first unit: blocks, bytes, and that it owns nothing. */
static int first_unit(struct exo_xn *xn, struct exo_xn_core_root *root,
		      const struct exo_xn_template_core *t, u64 near, const void *bytes)
{
	u32 blocks = root->pub.unit_blocks;
	struct exo_xn_core_unit *unit;
	u64 bad;
	int ret;

	ret = exo_xn_pending_add(xn, root, 1);
	if (!ret)
		ret = exo_xn_map_run(xn, near, blocks, &root->pub.block);
	if (ret)
		return ret;
	unit = exo_xn_unit_make(xn, root->pub.number, t, root->pub.block, blocks);
	if (!unit)
		return -ENOMEM;
	ret = -ENOMEM;
	unit->pub.now = exo_xn_alloc(xn, blocks * EXO_XN_BLOCK);
	if (!unit->pub.now)
		goto err_unit;
	__builtin_memcpy(unit->pub.now, bytes, blocks * EXO_XN_BLOCK);
	ret = exo_xn_unit_learn(xn, unit, t, unit->pub.now);
	if (!ret && unit->nr_extents)
		ret = -EINVAL;
	if (!ret)
		ret = exo_xn_map_change(xn, EXO_XN_OP_TAKE, root->pub.number, root->pub.block, blocks,
					&bad);
	if (ret)
		goto err_unit;
	unit->flags = EXO_XN_UNIT_NEW;
	exo_xn_unit_insert(xn, unit);
	exo_xn_list_add(&root->dirty, &unit->dirty);
	exo_xn_unit_charge(xn, unit);
	root->pending.at[root->pending.nr++] = (struct exo_xn_extent){ root->pub.block, blocks, 0 };
	root->pub.blocks = blocks;
	root->pub.dirty = true;
	root->entry = true;
	return 0;

err_unit:
	exo_xn_unit_drop(xn, unit);
	return ret;
}

static int allowed(struct exo_xn *xn, const struct exo_xn_who *who, u32 flags,
		   const struct exo_xn_template_core *t, u64 max_blocks, const void *bytes, u32 length)
{
	u32 blocks = length / EXO_XN_BLOCK;

	if (flags & ~EXO_XN_ROOT_TEMPORARY)
		return -EINVAL;
	if (!blocks || length % EXO_XN_BLOCK || blocks > EXO_XN_UNIT_BLOCKS)
		return -EINVAL;
	if (exo_xn_blocks_of(xn->host->size(xn, t, bytes, length)) != blocks)
		return -EINVAL;
	if (max_blocks && max_blocks < blocks)
		return -EDQUOT;
	if (!who->admin && blocks > exo_xn_uid_room(xn, who->uid))
		return -EDQUOT;
	return xn->failed ? -EIO : 0;
}

/**
 * exo_xn_root_create() - a new root with its first unit
 * @xn: disk
 * @who: becomes its owner
 * @name: a string, shorter than EXO_XN_NAME
 * @template: of its first unit
 * @flags: EXO_XN_ROOT_TEMPORARY: never on the disk
 * @near: where it should lie; 0: anywhere
 * @max_blocks: quota; 0: none
 * @key: 32 bytes, or NULL, or zeros: none
 * @bytes: of the unit, which owns nothing
 * @length: of these
 * @out_root: its number
 *
 * Context: disk lock; writes, allocates, runs grafts.
 *
 * Return: 0; -ENOENT: template; -EINVAL; -E2BIG; -EEXIST: name; -EDQUOT; -ENOSPC: table or disk full; -ENOMEM; -EIO.
 */
int exo_xn_root_create(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
		       u32 template, u32 flags, u64 near, u64 max_blocks, const u8 *key,
		       const void *bytes, u32 length, u32 *out_root)
{
	static const u8 none[32];
	const struct exo_xn_template_core *t;
	struct exo_xn_core_root *root;
	char copy[EXO_XN_NAME];
	u32 number;
	int ret;

	exo_xn_shrink(xn);
	ret = exo_xn_template_load(xn, template, &t);
	if (ret)
		return ret == -EINVAL ? -ENOENT : ret;
	ret = allowed(xn, who, flags, t, max_blocks, bytes, length);
	if (!ret)
		ret = exo_xn_name_copy(copy, name) ? place(xn, copy, &number) : -EINVAL;
	if (ret)
		return ret;
	root = exo_xn_root_make(xn, number);
	if (!root)
		return -ENOMEM;
	root->pub.flags = flags;
	root->pub.uid = who->uid;
	root->pub.template = template;
	root->pub.unit_blocks = length / EXO_XN_BLOCK;
	root->pub.max_blocks = max_blocks;
	__builtin_memcpy(root->pub.name, copy, sizeof(root->pub.name));
	if (key && __builtin_memcmp(key, none, sizeof(none)))
		xn->host->hash(key, sizeof(none), root->pub.key_hash);
	ret = first_unit(xn, root, t, near, bytes);
	if (ret)
		goto err_root;
	ret = exo_xn_commit_root(xn, root, NULL);
	if (ret)
		goto err_map;
	xn->templates[template]->users++;
	*out_root = number;
	return 0;

err_map:
	exo_xn_map_undo(xn, EXO_XN_OP_TAKE, number, root->pub.block, root->pub.unit_blocks);
err_root:
	exo_xn_root_drop(xn, root);
	return ret;
}

/* Log a changed entry, and all else that the root has. */
static int commit_entry(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	root->entry = true;
	return exo_xn_commit_root(xn, root, NULL);
}

/* What acl said isn't so any more: who has a unit finds that it changed, and asks again (INV-XN-18). */
void exo_xn_root_ask(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	struct exo_xn_core_unit *unit;
	struct exo_xn_link *at;

	for (at = root->units.next; at != &root->units; at = at->next) {
		unit = exo_xn_entry(at, struct exo_xn_core_unit, root);
		__atomic_store_n(&unit->pub.generation, ++xn->generation, __ATOMIC_RELEASE);
	}
}

/**
 * exo_xn_root_chown() - give a root away
 * @xn: disk
 * @number: of it
 * @uid: its owner from now on
 *
 * Nobody gets more than a uid may have by being given it.
 *
 * Context: disk lock; writes. Return: 0; -ENOENT; -EDQUOT; -ENOMEM; -EIO.
 */
int exo_xn_root_chown(struct exo_xn *xn, u32 number, u32 uid)
{
	struct exo_xn_core_root *root = exo_xn_root_at(xn, number);
	u32 was;
	int ret;

	if (!root)
		return -ENOENT;
	was = root->pub.uid;
	if (uid != was && root->pub.blocks > exo_xn_uid_room(xn, uid))
		return -EDQUOT;
	root->pub.uid = uid;
	ret = commit_entry(xn, root);
	if (ret)
		root->pub.uid = was;
	else
		exo_xn_root_ask(xn, root);
	return ret;
}

/**
 * exo_xn_root_limit() - set a root's quota
 * @xn: disk
 * @number: of it
 * @max_blocks: 0: none; it may have more now
 *
 * Context: disk lock; writes. Return: 0; -ENOENT; -ENOMEM; -EIO.
 */
int exo_xn_root_limit(struct exo_xn *xn, u32 number, u64 max_blocks)
{
	struct exo_xn_core_root *root = exo_xn_root_at(xn, number);
	u64 was;
	int ret;

	if (!root)
		return -ENOENT;
	was = root->pub.max_blocks;
	root->pub.max_blocks = max_blocks;
	ret = commit_entry(xn, root);
	if (ret)
		root->pub.max_blocks = was;
	return ret;
}

/* The blocks of a deleted root in one block of the map: nobody's from the next commit on. */
static int wipe_map(struct exo_xn *xn, struct exo_xn_core_root *root, u64 index, u64 *budget)
{
	u64 first = exo_xn_map_first(index), count, run;
	struct exo_xn_map_block *map;
	u32 slot, n, i;
	int ret;

	if (first >= xn->blocks)
		return 0;
	ret = exo_xn_map_load(xn, first, 1);
	if (!ret)
		ret = exo_xn_pending_add(xn, root, EXO_XN_MAP_ENTRIES / 2 + 1);
	if (ret)
		return ret;
	count = xn->blocks - first;
	n = exo_xn_map_span(xn, first, count, &map, &slot);
	for (i = 0; i < n; i += run ? run : 1) {
		for (run = 0; i + run < n; run++) {
			u32 *entry = &map->now[i + run];

			if ((*entry & EXO_XN_ENTRY_ROOT) != root->pub.number ||
			    !(*entry & (EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REFS)) ||
			    exo_xn_is_system(xn, first + i + run))
				break;
			if (*entry & EXO_XN_ENTRY_TAKEN) {
				xn->waiting++;
				root->pub.blocks -= !!root->pub.blocks;
				root->pub.waiting++;
			}
			*entry = EXO_XN_ENTRY_REF | root->pub.number;
		}
		if (!run)
			continue;
		xn->host->drain(xn, first + i, run);
		root->pending.at[root->pending.nr++] = (struct exo_xn_extent){ first + i, run, 0 };
		*budget += exo_xn_budget_map(run);
	}
	return 0;
}

/**
 * exo_xn_root_wipe() - free all blocks of a root that is being deleted, then itself
 * @xn: disk
 * @root: its entry says so, durably; it has no units in memory
 * @maps: look at so many blocks of the map only
 *
 * The map says what it has, its functions aren't asked. In several transactions if one is too small: the entry tells the
 * next attach to go on. Its own neighbourhood first, and no further than its count says, unless that can't be trusted.
 *
 * Context: disk lock; reads, writes, allocates. Return: 0; 1: there is more, and what was freed until now is durably so;
 * -ENOMEM; -EIO: it goes on at the next attach, or call.
 */
int exo_xn_root_wipe(struct exo_xn *xn, struct exo_xn_core_root *root, u64 maps)
{
	u64 start = root->pub.block / EXO_XN_GROUP * EXO_XN_GROUP_MAPS, budget = 0;
	bool all = root->pub.flags & EXO_XN_ROOT_QUARANTINED;
	int ret = 0;

	for (; root->wiped < xn->nr_maps && (all || root->pub.blocks); maps--) {
		if (!maps)
			return budget ? exo_xn_commit_root(xn, root, NULL) ?: 1 : 1;
		exo_xn_shrink(xn);
		/* A disk that has grown since has nothing of it behind its end then: no block is passed over. */
		ret = wipe_map(xn, root, (start + root->wiped) % xn->nr_maps, &budget);
		if (ret)
			return ret;
		root->wiped++;
		if (budget <= exo_xn_budget(xn) / 2)
			continue;
		ret = exo_xn_commit_root(xn, root, NULL);
		if (ret)
			return ret;
		budget = 0;
	}
	root->state = 0;
	ret = commit_entry(xn, root);
	if (ret) {
		root->state = EXO_XN_ROOT_USED | EXO_XN_ROOT_DELETING;
		return ret;
	}
	if (root->pub.template <= EXO_XN_TEMPLATES && xn->templates[root->pub.template])
		xn->templates[root->pub.template]->users--;
	exo_xn_root_drop(xn, root);
	return 0;
}

/**
 * exo_xn_root_delete() - delete a root; quarantined ones, too
 * @xn: disk
 * @who: its owner, or an admin
 * @number: of it
 *
 * It begins, and does a piece of it: others wait for the disk, and far blocks are found by a look at all of the map (INV-XN-35).
 *
 * Context: disk lock; reads, writes, allocates; waits for data I/O on its blocks. Return: 0; 1: exo_xn_root_delete_on();
 * -ENOENT; -EACCES; -ENOMEM: it may have begun; it goes on at the next call, or attach; -EIO.
 */
int exo_xn_root_delete(struct exo_xn *xn, const struct exo_xn_who *who, u32 number)
{
	struct exo_xn_core_root *root = number && number <= EXO_XN_ROOTS ? xn->roots[number] : NULL;
	int ret;

	if (!root)
		return -ENOENT;
	if (!who->admin && who->uid != root->pub.uid)
		return -EACCES;
	/* Else it was begun, and there was no memory to end it. */
	if (!(root->state & EXO_XN_ROOT_DELETING)) {
		root->state |= EXO_XN_ROOT_DELETING;
		ret = commit_entry(xn, root);
		if (ret) {
			root->state &= ~EXO_XN_ROOT_DELETING;
			return ret;
		}
		drop_units(xn, root);
	}
	return exo_xn_root_wipe(xn, root, WIPE_MAPS);
}

/**
 * exo_xn_root_delete_on() - go on with what exo_xn_root_delete() began
 * @xn: disk
 * @number: of the root; somebody else may have ended it, and another have the number
 *
 * Context: as there. Return: 0: it is gone; 1: there is more; -ENOMEM; -EIO: it goes on at the next attach.
 */
int exo_xn_root_delete_on(struct exo_xn *xn, u32 number)
{
	struct exo_xn_core_root *root = xn->roots[number];

	if (!root || !(root->state & EXO_XN_ROOT_DELETING))
		return 0;
	return exo_xn_root_wipe(xn, root, WIPE_MAPS);
}

/**
 * exo_xn_root_release() - let a root out of quarantine
 * @xn: disk
 * @number: of it
 *
 * Context: disk lock; walks all of it; writes. Return: 0; -ENOENT; -EINVAL: it isn't right, or not quarantined; -ENOMEM; -EIO.
 */
int exo_xn_root_release(struct exo_xn *xn, u32 number)
{
	struct exo_xn_core_root *root = exo_xn_root_at(xn, number);
	int ret;

	if (!root)
		return -ENOENT;
	if (!(root->pub.flags & EXO_XN_ROOT_QUARANTINED))
		return -EINVAL;
	/* Units that were read while their functions failed say that they own nothing. */
	drop_units(xn, root);
	ret = exo_xn_walk_root(xn, root);
	if (ret)
		return ret;
	root->pub.flags &= ~EXO_XN_ROOT_QUARANTINED;
	ret = commit_entry(xn, root);
	if (ret)
		root->pub.flags |= EXO_XN_ROOT_QUARANTINED;
	return ret;
}
