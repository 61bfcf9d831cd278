// SPDX-License-Identifier: GPL-2.0
/*
 * Commits: which blocks were written is taken down, the transaction goes to the log, and what the
 * engine takes for committed follows it.
 */
#include "core/xn_core.h"

/* Take down which of a map block's blocks were written: of those that the log has, or gets now, as somebody's. */
static void snap(struct exo_xn *xn, struct exo_xn_map_block *map)
{
	u64 mask, left, any = 0;
	u32 i, slot;

	for (i = 0; i < EXO_XN_MAP_WORDS; i++) {
		mask = __atomic_load_n(&map->readable[i], __ATOMIC_ACQUIRE) & ~map->durable[i];
		for (left = mask; left; left &= left - 1) {
			struct exo_xn_core_root *root;

			slot = 64 * i + __builtin_ctzll(left);
			if (map->committed[slot] & EXO_XN_ENTRY_TAKEN)
				continue;
			root = exo_xn_root_at(xn, map->now[slot] & EXO_XN_ENTRY_ROOT);
			if (!(map->now[slot] & EXO_XN_ENTRY_TAKEN) || !root || !root->going ||
			    root->pub.flags & EXO_XN_ROOT_TEMPORARY)
				mask &= ~(left & -left);
		}
		map->snap[i] = mask;
		any |= mask;
	}
	if (any)
		exo_xn_list_add(&xn->snapped, &map->snapped);
}

static void snap_pending(void *to, struct exo_xn_core_root *root, u64 block, u64 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n;

	(void)root;
	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(to, block, count, &map, &slot);
		if (map)
			snap(to, map);
	}
}

/*
 * The queue of what was written. An element leaves it before its bits are read: a completion that comes later
 * queues it again.
 */
static void snap_all(struct exo_xn *xn)
{
	struct exo_xn_map_block *map, *next;
	u32 i, n = 0, most = exo_xn_budget_init(xn);

	map = __atomic_exchange_n(&xn->queue, NULL, __ATOMIC_ACQ_REL);
	if (xn->queue_rest) {
		/* Behind what waits already; that is short, and nobody else has it. */
		for (next = xn->queue_rest; next->queue; next = next->queue)
			;
		next->queue = map;
		map = xn->queue_rest;
	}
	for (; map && n < most; map = next, n++) {
		next = map->queue;
		map->queue = NULL;
		__atomic_store_n(&map->queued, 0, __ATOMIC_SEQ_CST);
		snap(xn, map);
	}
	xn->queue_rest = map;
	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i] && xn->roots[i]->going)
			exo_xn_each_pending(xn->roots[i], xn, snap_pending);
}

/* Nothing of it became durable: it is written, and not durable, as before. */
static void unsnap(struct exo_xn *xn, bool durable)
{
	struct exo_xn_map_block *map;
	u32 i;

	while (xn->snapped.next != &xn->snapped) {
		map = exo_xn_entry(xn->snapped.next, struct exo_xn_map_block, snapped);
		for (i = 0; durable && i < EXO_XN_MAP_WORDS; i++)
			if (map->snap[i])
				__atomic_fetch_or(&map->durable[i], map->snap[i], __ATOMIC_ACQ_REL);
		exo_xn_list_del(&map->snapped);
		if (durable)
			exo_xn_list_add(&xn->home_maps, &map->home);
		else
			exo_xn_map_queue(xn, map);
	}
}

static void publish_pending(void *to, struct exo_xn_core_root *root, u64 block, u64 count)
{
	bool temporary = root->pub.flags & EXO_XN_ROOT_TEMPORARY;
	struct exo_xn_map_block *map;
	struct exo_xn *xn = to;
	u32 slot, n, i;

	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		if (!map)
			continue;
		for (i = slot; i < slot + n; i++) {
			if ((map->now[i] & EXO_XN_ENTRY_ROOT) != root->pub.number)
				continue;
			if (!(map->now[i] & EXO_XN_ENTRY_TAKEN)) {
				/* What was taken and freed since the last commit is not in the log (INV-XN-12). */
				map->now[i] = map->committed[i] & EXO_XN_ENTRY_TAKEN ?
					      root->pub.number : map->committed[i];
				exo_xn_map_forget(map, i);
				xn->taken--;
				xn->waiting--;
			}
			if (!temporary)
				map->committed[i] = map->now[i];
		}
		if (!temporary)
			exo_xn_list_add(&xn->home_maps, &map->home);
	}
}

static void publish_unit(struct exo_xn *xn, struct exo_xn_core_unit *unit, bool temporary)
{
	exo_xn_list_del(&unit->dirty);
	if (unit->flags & EXO_XN_UNIT_DEAD) {
		exo_xn_unit_drop(xn, unit);
		return;
	}
	exo_xn_mem_free(xn, unit->base);
	unit->base = NULL;
	unit->flags &= ~EXO_XN_UNIT_NEW;
	exo_xn_unit_charge(xn, unit);
	if (!temporary)
		exo_xn_list_add(&xn->home_units, &unit->home);
}

static void publish_root(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	bool temporary = root->pub.flags & EXO_XN_ROOT_TEMPORARY;
	struct exo_xn_root_entry *entry;

	exo_xn_each_pending(root, xn, publish_pending);
	exo_xn_pending_clear(xn, root);
	while (root->dirty.next != &root->dirty)
		publish_unit(xn, exo_xn_entry(root->dirty.next, struct exo_xn_core_unit, dirty),
			     temporary);
	if (root->entry && !temporary) {
		entry = (struct exo_xn_root_entry *)xn->root_table + (root->pub.number - 1);
		exo_xn_root_build(xn->host->crc, xn->seed, entry, &root->pub, root->state);
		xn->home_roots |= 1ULL << (root->pub.number - 1) / EXO_XN_ENTRIES;
		root->committed = root->state & EXO_XN_ROOT_USED;
	}
	root->entry = false;
	root->going = false;
	xn->budgets -= root->budget;
	root->budget = 0;
	root->pub.waiting = 0;
	root->pub.dirty = false;
}

static void publish_template(struct exo_xn *xn, struct exo_xn_template_core *t)
{
	struct exo_xn_template_entry *entry;
	struct exo_xn_map_block *map;
	u64 block = t->block, count;
	u32 slot, n, i;

	for (count = exo_xn_blocks_of(t->length); count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		for (i = slot; i < slot + n; i++) {
			if (!(map->now[i] & EXO_XN_ENTRY_TAKEN)) {
				map->now[i] = EXO_XN_SYSTEM_ROOT;
				xn->taken--;
				xn->waiting--;
			}
			map->committed[i] = map->now[i];
		}
		exo_xn_list_add(&xn->home_maps, &map->home);
	}
	entry = (struct exo_xn_template_entry *)xn->template_table + (t->number - 1);
	exo_xn_template_build(xn->host->crc, xn->seed, entry, t);
	xn->home_templates |= 1ULL << (t->number - 1) / EXO_XN_ENTRIES;
}

static void publish_owners(struct exo_xn *xn, const struct exo_xn_owners *owners)
{
	const struct exo_xn_owner *owner = owners->at;
	u32 i, at;

	for (i = 0; i < owners->nr; i++, owner++) {
		if (owner->to == owner->was)
			continue;
		at = owner->number - 1;
		exo_xn_owner_entry(xn, owner, (owner->root ? xn->root_table : xn->template_table) +
				   at * EXO_XN_TABLE_ENTRY);
		if (owner->root) {
			xn->roots[owner->number]->pub.uid = owner->to;
			xn->home_roots |= 1ULL << at / EXO_XN_ENTRIES;
		} else {
			xn->templates[owner->number]->uid = owner->to;
			xn->home_templates |= 1ULL << at / EXO_XN_ENTRIES;
		}
	}
	__builtin_memcpy(xn->machine, owners->machine, sizeof(xn->machine));
	__builtin_memcpy(xn->uids, owners->uids, sizeof(xn->uids));
	xn->quotas = owners->quotas;
}

static void publish(struct exo_xn_tx *tx)
{
	struct exo_xn *xn = tx->xn;
	u32 i;

	xn->taken_committed += tx->taken;
	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i] && xn->roots[i]->going)
			publish_root(xn, xn->roots[i]);
	if (tx->template)
		publish_template(xn, tx->template);
	if (tx->owners)
		publish_owners(xn, tx->owners);
}

/* Measure it, make room, write it. An error leaves the engine's state as it was. */
static int log_tx(struct exo_xn_tx *tx, bool preflush)
{
	struct exo_xn *xn = tx->xn;
	u64 bytes = tx->bytes, count = (bytes + EXO_XN_LOG_BYTES - 1) / EXO_XN_LOG_BYTES;
	int ret;

	if (count > xn->log_blocks)
		return -ENOSPC;
	if (xn->log_used + count > xn->log_blocks || xn->log_units + tx->units > exo_xn_log_most(xn)) {
		ret = exo_xn_checkpoint(xn);
		if (ret)
			return ret;
	}
	tx->blocks = xn->log;
	if (count > EXO_XN_LOG_SMALL)
		tx->blocks = exo_xn_alloc(xn, count * EXO_XN_BLOCK);
	else
		__builtin_memset(xn->log, 0, count * EXO_XN_BLOCK);
	if (!tx->blocks)
		return -ENOMEM;
	exo_xn_tx_emit(tx);
	ret = exo_xn_tx_write(xn, tx->blocks, count, bytes, preflush && !(xn->broken & EXO_XN_BREAK_PREFLUSH));
	if (count > EXO_XN_LOG_SMALL)
		exo_xn_mem_free(xn, tx->blocks);
	if (!ret)
		xn->log_units += tx->units;
	return ret;
}

/*
 * One transaction of all roots that are going, of @t or of @owners, and of what was written. That is taken down first and @wrote
 * afterwards: who completed a write set them the other way round, so what was taken down is flushed (INV-XN-6).
 */
static int commit(struct exo_xn *xn, struct exo_xn_template_core *t, const struct exo_xn_owners *owners)
{
	struct exo_xn_tx tx = { .xn = xn, .template = t, .owners = owners };
	bool wrote;
	int ret = 0;

	snap_all(xn);
	wrote = __atomic_exchange_n(&xn->wrote, 0, __ATOMIC_ACQ_REL);
	exo_xn_tx_emit(&tx);
	if (xn->failed)
		ret = -EIO;
	else if (tx.records)
		ret = log_tx(&tx, wrote);
	else if (wrote)
		ret = exo_xn_flush(xn);
	unsnap(xn, !ret);
	if (!ret)
		publish(&tx);
	else if (wrote)
		__atomic_store_n(&xn->wrote, 1, __ATOMIC_RELEASE);
	return ret;
}

/* Let roots go with the next transaction: as many of those that are wanted as it has room for. */
static bool choose(struct exo_xn *xn)
{
	u64 left = exo_xn_budget(xn), want;
	struct exo_xn_core_root *root;
	bool any = false;
	u32 i;

	for (i = 1; i <= xn->last_root; i++) {
		root = xn->roots[i];
		if (!root || !root->pub.requested)
			continue;
		if (!root->pub.dirty) {
			root->pub.requested = false;
			continue;
		}
		want = root->budget;
		if (any && want > left)
			continue;
		left -= want < left ? want : left;
		root->going = true;
		any = true;
	}
	return any;
}

static void stay(struct exo_xn *xn)
{
	u32 i;

	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i])
			xn->roots[i]->going = false;
}

/**
 * exo_xn_commit() - make durable what roots have changed so far, and all data that was written so far
 * @xn: disk
 * @out_seq: set to the last transaction's number
 *
 * Of the roots that are @requested. Each root is in one transaction with all it changed: what is found after a crash
 * is always a prefix of its changes (INV-XN-2). Blocks that they freed are free from here on.
 *
 * Context: disk lock; writes, allocates. Return: 0; -ENOMEM: as before; -EIO: the disk is failed.
 */
int exo_xn_commit(struct exo_xn *xn, u64 *out_seq)
{
	bool more;
	int ret;

	do {
		more = choose(xn);
		ret = commit(xn, NULL, NULL);
		if (ret) {
			stay(xn);
			return ret;
		}
	} while (more || xn->queue_rest);
	*out_seq = xn->log_seq - 1;
	return 0;
}

/**
 * exo_xn_commit_written() - make durable all data that was written so far, and that it was
 * @xn: disk
 *
 * Context: disk lock; writes, allocates. Return: 0; -ENOMEM; -EIO: the disk is failed.
 */
int exo_xn_commit_written(struct exo_xn *xn)
{
	int ret;

	do {
		ret = commit(xn, NULL, NULL);
	} while (!ret && xn->queue_rest);
	return ret;
}

/* One root, or a template that has changed, or both, at once. Errors as exo_xn_commit(). */
int exo_xn_commit_root(struct exo_xn *xn, struct exo_xn_core_root *root, struct exo_xn_template_core *t)
{
	int ret;

	if (root)
		root->going = true;
	ret = commit(xn, t, NULL);
	if (ret)
		stay(xn);
	return ret;
}

/* Owners, all at once. -ENOSPC: the log is too short; else errors as exo_xn_commit(). */
int exo_xn_commit_owners(struct exo_xn *xn, const struct exo_xn_owners *owners)
{
	return commit(xn, NULL, owners);
}
