// SPDX-License-Identifier: GPL-2.0
/*
 * Transactions. One has all changes of its roots since their last commits, and which blocks were
 * written: entries of the map, INIT, bytes of units, entries of the tables. It is built in two passes
 * over the same state (how long, then what), goes to the log in one write, and only then changes what
 * the engine takes for committed (INV-XN-8): an error before leaves all as it was.
 */
#include "core/xn_core.h"

/* Most bytes that the roots of one transaction take; as much again is left for the rest of it. */
u64 exo_xn_budget(const struct exo_xn *xn)
{
	return (u64)(xn->log_blocks / 2) * EXO_XN_LOG_BYTES;
}

/* Blocks of the map whose INIT bits go with one transaction, besides those that the roots paid for. */
u32 exo_xn_budget_init(const struct exo_xn *xn)
{
	u32 most = xn->log_blocks / 4 * EXO_XN_LOG_BYTES;

	return most / (EXO_XN_MAP_WORDS * (u32)sizeof(struct exo_xn_rec_init));
}

/* Bytes that a change of @count entries takes at most. */
u64 exo_xn_budget_map(u64 count)
{
	u64 maps = count / EXO_XN_MAP_ENTRIES + 2;

	return 3 * sizeof(struct exo_xn_rec_map) +
	       maps * EXO_XN_MAP_WORDS * sizeof(struct exo_xn_rec_init);
}

/* Bytes that a changed unit takes at most: as gaps of one word aren't worth a range, never more than all of it. */
u64 exo_xn_budget_unit(u32 blocks)
{
	return sizeof(struct exo_xn_rec_unit) + sizeof(struct exo_xn_range) +
	       (u64)blocks * EXO_XN_BLOCK + sizeof(struct exo_xn_rec_entry);
}

static void emit(struct exo_xn_tx *tx, const void *from, u32 length)
{
	const u8 *bytes = from;
	u32 at, n;

	if (!tx->blocks) {
		tx->bytes += length;
		return;
	}
	while (length) {
		at = tx->bytes % EXO_XN_LOG_BYTES;
		n = EXO_XN_LOG_BYTES - at < length ? EXO_XN_LOG_BYTES - at : length;
		__builtin_memcpy(tx->blocks + tx->bytes / EXO_XN_LOG_BYTES * EXO_XN_BLOCK +
				 sizeof(struct exo_xn_log_head) + at, bytes, n);
		bytes += n;
		length -= n;
		tx->bytes += n;
	}
}

static void emit_info(struct exo_xn_tx *tx)
{
	struct exo_xn_rec_info rec = {
		.head = { EXO_XN_REC_INFO, sizeof(rec) },
		.taken = tx->xn->taken_committed + tx->taken,
	};

	emit(tx, &rec, sizeof(rec));
}

/* What the log is to say of an entry; false: nothing, it never knew of it. */
static bool entry_of(const struct exo_xn_map_block *map, u32 slot, u32 root, u32 *entry)
{
	u32 now = map->now[slot], was = map->committed[slot];

	if ((now & EXO_XN_ENTRY_ROOT) != root)
		return false;
	if (now & EXO_XN_ENTRY_TAKEN)
		*entry = now | (was & EXO_XN_ENTRY_TAKEN ? EXO_XN_ENTRY_INIT : 0);
	else
		*entry = root;
	return now & EXO_XN_ENTRY_TAKEN || was & EXO_XN_ENTRY_TAKEN;
}

static void emit_run(struct exo_xn_tx *tx, u64 block, u32 count, u32 entry)
{
	struct exo_xn_rec_map rec = {
		.head = { EXO_XN_REC_MAP, sizeof(rec) },
		.block = block, .count = count, .entry = entry,
	};

	if (!count)
		return;
	emit(tx, &rec, sizeof(rec));
	tx->records++;
}

static void emit_extent(struct exo_xn_tx *tx, u32 root, u64 block, u64 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n, i, entry = 0, run = 0, is = 0;

	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(tx->xn, block, count, &map, &slot);
		for (i = 0; i < n; i++) {
			bool any = map && entry_of(map, slot + i, root, &entry);

			if (any && !tx->blocks)
				tx->taken += !!(entry & EXO_XN_ENTRY_TAKEN) -
					     !!(map->committed[slot + i] & EXO_XN_ENTRY_TAKEN);
			if (any && run && entry == is) {
				run++;
				continue;
			}
			emit_run(tx, block + i - run, run, is);
			run = any;
			is = entry;
		}
	}
	emit_run(tx, block - run, run, is);
}

/*
 * Call with each stretch of the root's pending blocks once, although they overlap. Their map needn't be in memory: what one
 * change did another may have taken back, and then there is nothing to say of it.
 */
void exo_xn_each_pending(struct exo_xn_core_root *root, void *to,
			 void (*call)(void *to, struct exo_xn_core_root *root, u64 block, u64 count))
{
	u64 upto = 0, from, end;
	u32 i;

	exo_xn_extents_sort(&root->pending);
	for (i = 0; i < root->pending.nr; i++) {
		from = root->pending.at[i].block;
		end = from + root->pending.at[i].count;
		from = from > upto ? from : upto;
		if (from >= end)
			continue;
		call(to, root, from, end - from);
		upto = end;
	}
}

static void emit_pending(void *to, struct exo_xn_core_root *root, u64 block, u64 count)
{
	emit_extent(to, root->pub.number, block, count);
}

/* Whether any of eight words isn't what it was; @was NULL: zeros. */
static bool eight_differ(const u64 *now, const u64 *was)
{
	if (!was)
		return now[0] | now[1] | now[2] | now[3] | now[4] | now[5] | now[6] | now[7];
	return (now[0] ^ was[0]) | (now[1] ^ was[1]) | (now[2] ^ was[2]) | (now[3] ^ was[3]) |
	       (now[4] ^ was[4]) | (now[5] ^ was[5]) | (now[6] ^ was[6]) | (now[7] ^ was[7]);
}

static bool differs(const u64 *now, const u64 *was, u32 i)
{
	return now[i] != (was ? was[i] : 0);
}

/* The first word from @i on that differs, or @words: most of a unit is as it was. */
static u32 next_change(const u64 *now, const u64 *was, u32 i, u32 words)
{
	while (i < words && !differs(now, was, i)) {
		i++;
		while (i % 8 == 0 && i < words && !eight_differ(now + i, was ? was + i : NULL))
			i += 8;
	}
	return i;
}

/* Ranges of 64-bit words that differ; two that are one equal word apart are one. */
static void emit_unit(struct exo_xn_tx *tx, const struct exo_xn_core_unit *unit)
{
	bool fresh = unit->flags & EXO_XN_UNIT_NEW;
	const u64 *now = (const u64 *)unit->pub.now, *was = fresh ? NULL : (const u64 *)unit->base;
	u32 words = unit->pub.blocks * (EXO_XN_BLOCK / 8), i, from, end, pass;
	struct exo_xn_rec_unit rec = {
		.head = { EXO_XN_REC_UNIT, sizeof(rec) },
		.block = unit->pub.block, .root = unit->pub.root, .template = unit->pub.template,
		.blocks = unit->pub.blocks, .flags = fresh ? EXO_XN_UNIT_FRESH : 0,
	};
	struct exo_xn_range range;

	if (!fresh && !was)
		return;
	if (!exo_xn_listed(&unit->home))
		tx->units += unit->pub.blocks * EXO_XN_BLOCK;
	/* First its length, which stands before it. */
	for (pass = 0; pass < 2; pass++) {
		if (pass)
			emit(tx, &rec, sizeof(rec));
		for (i = 0; i < words; i = end) {
			from = next_change(now, was, i, words);
			end = from;
			if (from == words)
				break;
			while (end < words && (differs(now, was, end) ||
			       (end + 1 < words && differs(now, was, end + 1))))
				end++;
			range.offset = from * 8;
			range.length = (end - from) * 8;
			if (!pass) {
				rec.head.length += sizeof(range) + range.length;
				continue;
			}
			emit(tx, &range, sizeof(range));
			emit(tx, now + from, range.length);
		}
	}
	tx->records++;
}

static void emit_entry(struct exo_xn_tx *tx, u32 kind, const void *entry)
{
	struct exo_xn_record head = { kind, sizeof(struct exo_xn_rec_entry) };

	emit(tx, &head, sizeof(head));
	emit(tx, entry, EXO_XN_TABLE_ENTRY);
	tx->records++;
}

static void emit_root(struct exo_xn_tx *tx, struct exo_xn_core_root *root)
{
	struct exo_xn *xn = tx->xn;
	struct exo_xn_root_entry entry;
	struct exo_xn_link *at;

	for (at = root->dirty.next; at != &root->dirty; at = at->next) {
		struct exo_xn_core_unit *unit = exo_xn_entry(at, struct exo_xn_core_unit, dirty);

		if (!(unit->flags & EXO_XN_UNIT_DEAD))
			emit_unit(tx, unit);
	}
	if (!root->entry)
		return;
	exo_xn_root_build(xn->host->crc, xn->seed, &entry, &root->pub, root->state);
	emit_entry(tx, EXO_XN_REC_ROOT, &entry);
}

static void emit_init(struct exo_xn_tx *tx)
{
	struct exo_xn_rec_init rec = { .head = { EXO_XN_REC_INIT, sizeof(rec) } };
	struct exo_xn_map_block *map;
	struct exo_xn_link *at;
	u32 i;

	for (at = tx->xn->snapped.next; at != &tx->xn->snapped; at = at->next) {
		map = exo_xn_entry(at, struct exo_xn_map_block, snapped);
		for (i = 0; i < EXO_XN_MAP_WORDS; i++) {
			if (!map->snap[i])
				continue;
			rec.block = exo_xn_map_first(map->index) + 64 * i;
			rec.mask = map->snap[i];
			emit(tx, &rec, sizeof(rec));
			tx->records++;
		}
	}
}

/* Whoever changes hands, and which map it was: the one isn't durable without the other (INV-XN-31). */
static void emit_owners(struct exo_xn_tx *tx)
{
	const struct exo_xn_owner *owner = tx->owners->at;
	struct exo_xn_rec_uids rec = { .head = { EXO_XN_REC_UIDS, sizeof(rec) } };
	u64 entry[EXO_XN_TABLE_ENTRY / 8];
	u32 i;

	for (i = 0; i < tx->owners->nr; i++, owner++) {
		if (owner->to == owner->was)
			continue;
		exo_xn_owner_entry(tx->xn, owner, entry);
		emit_entry(tx, owner->root ? EXO_XN_REC_ROOT : EXO_XN_REC_TEMPLATE, entry);
	}
	__builtin_memcpy(rec.machine, tx->owners->machine, sizeof(rec.machine));
	__builtin_memcpy(rec.uids, tx->owners->uids, sizeof(rec.uids));
	rec.quotas = tx->owners->quotas;
	emit(tx, &rec, sizeof(rec));
	tx->records++;
}

/* All of it, once to measure and once to write: in an order that replay can follow. */
void exo_xn_tx_emit(struct exo_xn_tx *tx)
{
	struct exo_xn_template_entry entry;
	struct exo_xn_core_root *root;
	struct exo_xn *xn = tx->xn;
	u32 i;

	tx->bytes = 0;
	tx->records = 0;
	tx->units = 0;
	emit_info(tx);
	for (i = 1; i <= xn->last_root; i++) {
		root = xn->roots[i];
		if (root && root->going && !(root->pub.flags & EXO_XN_ROOT_TEMPORARY))
			exo_xn_each_pending(root, tx, emit_pending);
	}
	if (tx->template)
		emit_extent(tx, EXO_XN_SYSTEM_ROOT, tx->template->block,
			    exo_xn_blocks_of(tx->template->length));
	emit_init(tx);
	for (i = 1; i <= xn->last_root; i++) {
		root = xn->roots[i];
		if (root && root->going && !(root->pub.flags & EXO_XN_ROOT_TEMPORARY))
			emit_root(tx, root);
	}
	if (tx->template) {
		exo_xn_template_build(xn->host->crc, xn->seed, &entry, tx->template);
		emit_entry(tx, EXO_XN_REC_TEMPLATE, &entry);
	}
	if (tx->owners)
		emit_owners(tx);
}

static u32 pending_max(const struct exo_xn_extents *set, u32 more)
{
	u32 max = set->max ? set->max : 16;

	if (more <= set->max - set->nr)
		return set->max;
	while (max - set->nr < more)
		max *= 2;
	return max;
}

/* Memory that exo_xn_pending_add() will take. Context: disk lock. */
u64 exo_xn_pending_bytes(const struct exo_xn_core_root *root, u32 more)
{
	u32 max = pending_max(&root->pending, more);

	return (u64)(max - root->pending.max) * sizeof(*root->pending.at);
}

/* Of all that was pending the log has what there is to say: its memory goes. Context: disk lock. */
void exo_xn_pending_clear(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	u64 bytes = (u64)root->pending.max * sizeof(*root->pending.at);

	exo_xn_mem_free(xn, root->pending.at);
	root->pending = (struct exo_xn_extents){};
	root->held -= bytes;
	xn->held -= bytes;
}

/**
 * exo_xn_pending_add() - have room for more changes of the map
 * @xn: disk
 * @root: whose
 * @more: entries
 *
 * Context: disk lock; allocates. Return: 0 or -ENOMEM.
 */
int exo_xn_pending_add(struct exo_xn *xn, struct exo_xn_core_root *root, u32 more)
{
	u64 bytes = exo_xn_pending_bytes(root, more);
	struct exo_xn_extents *set = &root->pending;
	u32 max = pending_max(set, more);
	struct exo_xn_extent *at;

	if (!bytes)
		return 0;
	at = exo_xn_alloc(xn, max * sizeof(*at));
	if (!at)
		return -ENOMEM;
	if (set->nr)
		__builtin_memcpy(at, set->at, set->nr * sizeof(*at));
	exo_xn_mem_free(xn, set->at);
	set->at = at;
	set->max = max;
	root->held += bytes;
	xn->held += bytes;
	return 0;
}

/* Seal @count blocks, and write them at the log's head. */
int exo_xn_tx_write(struct exo_xn *xn, u8 *blocks, u32 count, u64 bytes, bool preflush)
{
	u32 flags = preflush ? EXO_XN_PREFLUSH : 0, chain = xn->seed, i, n, used;
	int ret;

	if (!(xn->broken & EXO_XN_BREAK_FUA))
		flags |= EXO_XN_FUA;
	for (i = 0; i < count; i++) {
		used = bytes < EXO_XN_LOG_BYTES ? bytes : EXO_XN_LOG_BYTES;
		bytes -= used;
		exo_xn_log_build(xn->host->crc, &chain, (void *)(blocks + (u64)i * EXO_XN_BLOCK),
				 xn->log_seq, i, count, used);
	}
	n = xn->log_blocks - xn->log_head < count ? xn->log_blocks - xn->log_head : count;
	ret = exo_xn_write_blocks(xn, EXO_XN_LOG_AT + xn->log_head, n, blocks, flags);
	if (!ret && n < count)
		ret = exo_xn_write_blocks(xn, EXO_XN_LOG_AT, count - n,
					  blocks + (u64)n * EXO_XN_BLOCK, flags & EXO_XN_FUA);
	if (ret)
		return ret;
	xn->log_head = (xn->log_head + count) % xn->log_blocks;
	xn->log_used += count;
	xn->log_seq++;
	xn->commits++;
	return 0;
}

/*
 * From here on its blocks have its bytes, whoever reads them: INIT says so. A map that isn't in memory was written home
 * since the unit was allocated, and so was the unit.
 */
static void unit_at_home(struct exo_xn *xn, const struct exo_xn_core_unit *unit)
{
	struct exo_xn_map_block *map;
	u64 block = unit->pub.block, bit;
	u32 left, slot, n, i;

	for (left = unit->pub.blocks; left; block += n, left -= n) {
		n = exo_xn_map_span(xn, block, left, &map, &slot);
		for (i = slot; map && i < slot + n; i++) {
			bit = 1ULL << i % 64;
			if (!(map->committed[i] & EXO_XN_ENTRY_TAKEN) || map->durable[i / 64] & bit)
				continue;
			__atomic_fetch_or(&map->readable[i / 64], bit, __ATOMIC_ACQ_REL);
			__atomic_fetch_or(&map->durable[i / 64], bit, __ATOMIC_ACQ_REL);
			exo_xn_list_add(&xn->home_maps, &map->home);
		}
	}
}

/* Write what the log has of a unit to its home. Context: disk lock; writes. Return: 0 or -EIO. */
int exo_xn_unit_home(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	int ret = exo_xn_write_blocks(xn, unit->pub.block, unit->pub.blocks,
				      unit->base ? unit->base : unit->pub.now, 0);

	if (ret)
		return ret;
	exo_xn_list_del(&unit->home);
	unit_at_home(xn, unit);
	exo_xn_unit_bury(xn, unit);
	return 0;
}

/* The same of all of the map. Context: disk lock; writes. Return: 0 or -EIO. */
int exo_xn_maps_home(struct exo_xn *xn)
{
	struct exo_xn_map_block *map;
	int ret;

	while (xn->home_maps.next != &xn->home_maps) {
		map = exo_xn_entry(xn->home_maps.next, struct exo_xn_map_block, home);
		ret = exo_xn_map_write_home(xn, map);
		if (ret)
			return ret;
		exo_xn_list_del(&map->home);
	}
	return 0;
}

static int write_homes(struct exo_xn *xn)
{
	int ret;

	while (xn->home_units.next != &xn->home_units) {
		ret = exo_xn_unit_home(xn, exo_xn_entry(xn->home_units.next, struct exo_xn_core_unit, home));
		if (ret)
			return ret;
	}
	return exo_xn_maps_home(xn);
}

static int write_table(struct exo_xn *xn, u64 *which, u64 at, const u8 *table)
{
	u32 i;
	int ret;

	for (; *which; *which &= *which - 1) {
		i = __builtin_ctzll(*which);
		ret = exo_xn_write_blocks(xn, at + i, 1, table + (u64)i * EXO_XN_BLOCK, 0);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * exo_xn_checkpoint() - write what the log has to where it belongs, and begin the log anew
 * @xn: disk
 *
 * The tail moves only when all of it is durable at home (INV-XN-10).
 *
 * Context: disk lock; writes. Return: 0 or -EIO: the disk is failed.
 */
int exo_xn_checkpoint(struct exo_xn *xn)
{
	int ret;

	if (xn->failed)
		return -EIO;
	ret = write_homes(xn);
	if (!ret)
		ret = write_table(xn, &xn->home_roots, EXO_XN_ROOTS_AT, xn->root_table);
	if (!ret)
		ret = write_table(xn, &xn->home_templates, EXO_XN_TEMPLATES_AT, xn->template_table);
	if (!ret && !(xn->broken & EXO_XN_BREAK_TAIL))
		ret = exo_xn_flush(xn);
	if (!ret)
		ret = exo_xn_super_write(xn);
	if (ret)
		return ret;
	xn->log_used = 0;
	xn->log_units = 0;
	return 0;
}
