// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery. All transactions since the log's tail are applied in memory, in order; what was freed
 * meanwhile is dropped, for its next owner may have written data there. Each unit that is left is
 * looked at with its own functions before it is written home: does the map say what it owns? If not,
 * its root is quarantined, and nothing else suffers. Work is in proportion to what the log has.
 *
 * So is memory, whatever a log says that somebody made up (INV-XN-34): a transaction at a time is read, of all units
 * not more than a log may have, of the map as much, and one unit at a time is looked at.
 */
#include "core/xn_core.h"

/* Where replay is. */
struct replay {
	struct exo_xn *xn;
	u32 at;
	u32 done;		/* blocks of the log */
	u64 seq;
	u8 *blocks;		/* of the transaction; then its stream of records */
	u64 bytes;
};

static int read_log(struct replay *r, u32 at, u32 count, u8 *to)
{
	struct exo_xn *xn = r->xn;
	u32 n;
	int ret;

	for (; count; at += n, count -= n, to += n * EXO_XN_BLOCK) {
		at %= xn->log_blocks;
		n = count < EXO_XN_UNIT_BLOCKS ? count : EXO_XN_UNIT_BLOCKS;
		n = n < xn->log_blocks - at ? n : xn->log_blocks - at;
		ret = exo_xn_read_blocks(xn, EXO_XN_LOG_AT + at, n, to);
		if (ret)
			return ret;
	}
	return 0;
}

/* Read the next transaction. 1: it is there, in r->blocks; 0: the log ends; or an error. */
static int next_tx(struct replay *r)
{
	struct exo_xn *xn = r->xn;
	struct exo_xn_log_head *head = (void *)xn->io;
	u32 chain = xn->seed, count, i, used;
	int ret;

	if (r->done == xn->log_blocks)
		return 0;
	ret = read_log(r, r->at, 1, xn->io);
	if (ret)
		return ret;
	if (!exo_xn_log_parse(xn->host->crc, &chain, head, r->seq, 0, 0))
		return 0;
	count = head->count;
	if (count > xn->log_blocks - r->done)
		return 0;
	r->blocks = exo_xn_alloc(xn, (u64)count * EXO_XN_BLOCK);
	if (!r->blocks)
		return -ENOMEM;
	__builtin_memcpy(r->blocks, head, EXO_XN_BLOCK);
	ret = count > 1 ? read_log(r, r->at + 1, count - 1, r->blocks + EXO_XN_BLOCK) : 0;
	r->bytes = 0;
	for (i = 0; !ret && i < count; i++) {
		head = (void *)(r->blocks + (u64)i * EXO_XN_BLOCK);
		if (i && !exo_xn_log_parse(xn->host->crc, &chain, head, r->seq, i, count))
			break;
		used = head->used;
		__builtin_memmove(r->blocks + r->bytes, head + 1, used);
		r->bytes += used;
	}
	if (!ret && i == count) {
		r->at = (r->at + count) % xn->log_blocks;
		r->done += count;
		return 1;
	}
	exo_xn_mem_free(xn, r->blocks);
	r->blocks = NULL;
	return ret;
}

static void drop_unit(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	exo_xn_unit_remove(xn, unit);
	exo_xn_unit_drop(xn, unit);
}

/* These blocks were freed: what was replayed of them must not be written home (INV-XN-11). */
static void revoke(struct exo_xn *xn, u64 block, u32 count)
{
	struct exo_xn_core_unit *unit;
	struct exo_xn_link *at, *next;
	u32 i;

	if (xn->broken & EXO_XN_BREAK_REVOKE)
		return;
	if (count < xn->nr_units) {
		for (i = 0; i < count; i++) {
			unit = exo_xn_unit_at(xn, block + i);
			if (unit)
				drop_unit(xn, unit);
		}
		return;
	}
	for (at = xn->home_units.next; at != &xn->home_units; at = next) {
		next = at->next;
		unit = exo_xn_entry(at, struct exo_xn_core_unit, home);
		if (unit->pub.block >= block && unit->pub.block - block < count)
			drop_unit(xn, unit);
	}
}

static int replay_map(struct exo_xn *xn, const struct exo_xn_rec_map *rec)
{
	u32 entry = rec->entry & ~EXO_XN_ENTRY_INIT, slot, n, i, left = rec->count;
	struct exo_xn_map_block *map;
	u64 block = rec->block;
	int ret;

	/* A group begins with its map, which is nobody's. */
	if (left > EXO_XN_GROUP - block % EXO_XN_GROUP)
		return -EINVAL;
	ret = exo_xn_map_load(xn, block, left);
	if (ret)
		return ret;
	if (!(entry & EXO_XN_ENTRY_TAKEN)) {
		entry &= EXO_XN_ENTRY_ROOT;
		revoke(xn, block, left);
	} else if (!(entry & EXO_XN_ENTRY_REFS)) {
		return -EINVAL;
	}
	for (; left; block += n, left -= n) {
		n = exo_xn_map_span(xn, block, left, &map, &slot);
		for (i = slot; i < slot + n; i++) {
			map->now[i] = entry;
			map->committed[i] = entry;
			if (!(rec->entry & EXO_XN_ENTRY_INIT) || !(entry & EXO_XN_ENTRY_TAKEN))
				exo_xn_map_forget(map, i);
		}
		exo_xn_list_add(&xn->home_maps, &map->home);
	}
	return 0;
}

static int replay_init(struct exo_xn *xn, const struct exo_xn_rec_init *rec)
{
	struct exo_xn_map_block *map;
	u64 mask = rec->mask, left;
	u32 slot;
	int ret;

	ret = exo_xn_map_load(xn, rec->block, 1);
	if (ret)
		return ret;
	exo_xn_map_span(xn, rec->block, 1, &map, &slot);
	if (slot % 64)
		return -EINVAL;
	for (left = mask; left; left &= left - 1) {
		u32 i = slot + __builtin_ctzll(left);

		if (i >= EXO_XN_MAP_ENTRIES || !(map->committed[i] & EXO_XN_ENTRY_TAKEN))
			mask &= ~(left & -left);
	}
	map->durable[slot / 64] |= mask;
	map->readable[slot / 64] |= mask;
	exo_xn_list_add(&xn->home_maps, &map->home);
	return 0;
}

static struct exo_xn_core_unit *unit_of(struct exo_xn *xn, const struct exo_xn_rec_unit *rec)
{
	struct exo_xn_core_unit *unit = exo_xn_alloc(xn, sizeof(*unit));

	if (!unit)
		return NULL;
	xn->log_units += rec->blocks * EXO_XN_BLOCK;
	unit->pub.block = rec->block;
	unit->pub.blocks = rec->blocks;
	unit->pub.now = exo_xn_alloc(xn, rec->blocks * EXO_XN_BLOCK);
	if (!unit->pub.now) {
		exo_xn_mem_free(xn, unit);
		return NULL;
	}
	exo_xn_unit_insert(xn, unit);
	exo_xn_list_add(&xn->home_units, &unit->home);
	return unit;
}

static int replay_unit(struct exo_xn *xn, const struct exo_xn_rec_unit *rec)
{
	struct exo_xn_core_unit *unit = exo_xn_unit_at(xn, rec->block);
	const struct exo_xn_range *range;
	u32 at = sizeof(*rec);
	int ret = 0;

	if (unit && (unit->pub.blocks != rec->blocks || rec->flags & EXO_XN_UNIT_FRESH)) {
		drop_unit(xn, unit);
		unit = NULL;
	}
	if (!unit) {
		if (rec->blocks * EXO_XN_BLOCK > exo_xn_log_most(xn) - xn->log_units)
			return -EINVAL;
		unit = unit_of(xn, rec);
		if (!unit)
			return -ENOMEM;
		if (!(rec->flags & EXO_XN_UNIT_FRESH))
			ret = exo_xn_read_blocks(xn, rec->block, rec->blocks, unit->pub.now);
		if (ret)
			return ret;
	}
	unit->pub.root = rec->root;
	unit->pub.template = rec->template;
	while (at < rec->head.length) {
		range = (const void *)((const u8 *)rec + at);
		__builtin_memcpy(unit->pub.now + range->offset, range + 1, range->length);
		at += sizeof(*range) + range->length;
	}
	return 0;
}

/* Entries are checked when all is replayed. */
static int replay_entry(struct exo_xn *xn, const struct exo_xn_rec_entry *rec)
{
	bool root = rec->head.kind == EXO_XN_REC_ROOT;
	u32 number = root ? ((const struct exo_xn_root_entry *)rec->entry)->number :
			    ((const struct exo_xn_template_entry *)rec->entry)->number;
	u64 bit;

	if (!number || number > (root ? EXO_XN_ROOTS : EXO_XN_TEMPLATES))
		return -EINVAL;
	bit = 1ULL << (number - 1) / EXO_XN_ENTRIES;
	__builtin_memcpy((root ? xn->root_table : xn->template_table) + (number - 1) * EXO_XN_TABLE_ENTRY,
			 rec->entry, EXO_XN_TABLE_ENTRY);
	if (root)
		xn->home_roots |= bit;
	else
		xn->home_templates |= bit;
	return 0;
}

static void replay_uids(struct exo_xn *xn, const struct exo_xn_rec_uids *rec)
{
	__builtin_memcpy(xn->machine, rec->machine, sizeof(xn->machine));
	__builtin_memcpy(xn->uids, rec->uids, sizeof(xn->uids));
	xn->quotas = rec->quotas;
}

static int replay_tx(struct replay *r)
{
	struct exo_xn *xn = r->xn;
	const void *rec;
	u64 at = 0;
	int length, ret = 0;

	for (; !ret && at < r->bytes; at += length) {
		rec = r->blocks + at;
		length = exo_xn_record_parse(rec, r->bytes - at, xn->first, xn->blocks);
		if (length < 0)
			return length;
		switch (((const struct exo_xn_record *)rec)->kind) {
		case EXO_XN_REC_INFO:
			xn->taken_committed = ((const struct exo_xn_rec_info *)rec)->taken;
			break;
		case EXO_XN_REC_MAP:
			ret = replay_map(xn, rec);
			break;
		case EXO_XN_REC_INIT:
			ret = replay_init(xn, rec);
			break;
		case EXO_XN_REC_UNIT:
			ret = replay_unit(xn, rec);
			break;
		case EXO_XN_REC_UIDS:
			replay_uids(xn, rec);
			break;
		default:
			ret = replay_entry(xn, rec);
		}
		if (!ret)
			ret = exo_xn_map_bound(xn);
	}
	return ret;
}

/* Does the map say of all that a unit owns that it is its root's? -ENOMEM, or any other error: no. */
static int verify_unit(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	const struct exo_xn_template_core *t;
	u32 bytes = unit->pub.blocks * EXO_XN_BLOCK, i;
	int ret;

	ret = exo_xn_template_load(xn, unit->pub.template, &t);
	if (ret)
		return ret;
	if (exo_xn_blocks_of(xn->host->size(xn, t, unit->pub.now, bytes)) != unit->pub.blocks)
		return -EINVAL;
	unit->nr_parts = exo_xn_parts_of(t, unit->pub.blocks);
	unit->part = exo_xn_alloc(xn, unit->nr_parts * sizeof(*unit->part));
	if (!unit->part)
		return -ENOMEM;
	ret = exo_xn_unit_learn(xn, unit, t, unit->pub.now);
	for (i = 0; !ret && i < unit->nr_extents; i++) {
		ret = exo_xn_map_owned(xn, unit->pub.root, unit->slab[i].block, unit->slab[i].count);
		if (!ret)
			ret = exo_xn_map_bound(xn);
	}
	exo_xn_unit_forget(xn, unit);
	return ret;
}

/* From now on the root can only be read, exported, deleted or, by an admin, released. Context: disk lock. */
void exo_xn_quarantine(struct exo_xn *xn, struct exo_xn_core_root *root)
{
	struct exo_xn_root_entry *entry;

	root->pub.flags |= EXO_XN_ROOT_QUARANTINED;
	entry = (struct exo_xn_root_entry *)xn->root_table + (root->pub.number - 1);
	exo_xn_root_build(xn->host->crc, xn->seed, entry, &root->pub, root->state);
	xn->home_roots |= 1ULL << (root->pub.number - 1) / EXO_XN_ENTRIES;
}

/* With the map of its blocks, which says from then on that they were written. */
static int to_home(struct exo_xn *xn, struct exo_xn_core_unit *unit)
{
	int ret = exo_xn_map_load(xn, unit->pub.block, unit->pub.blocks);

	if (!ret)
		ret = exo_xn_unit_home(xn, unit);
	if (!ret)
		drop_unit(xn, unit);
	return ret;
}

/* All that was replayed: whose blocks aren't its root's any more isn't written home; who is wrong is quarantined. */
static int verify(struct exo_xn *xn)
{
	struct exo_xn_core_unit *unit;
	struct exo_xn_core_root *root;
	struct exo_xn_link *at, *next;
	int ret;

	for (at = xn->home_units.next; at != &xn->home_units; at = next) {
		next = at->next;
		unit = exo_xn_entry(at, struct exo_xn_core_unit, home);
		root = exo_xn_root_at(xn, unit->pub.root);
		ret = root ? exo_xn_map_owned(xn, unit->pub.root, unit->pub.block, unit->pub.blocks) :
			     -EINVAL;
		if (ret == -ENOMEM)
			return ret;
		if (ret && !(xn->broken & EXO_XN_BREAK_REVOKE)) {
			if (root)
				exo_xn_quarantine(xn, root);
			drop_unit(xn, unit);
			continue;
		}
		ret = verify_unit(xn, unit);
		if (ret == -ENOMEM)
			return ret;
		if (ret && root)
			exo_xn_quarantine(xn, root);
		exo_xn_templates_bound(xn);
		ret = to_home(xn, unit);
		if (!ret)
			ret = exo_xn_map_bound(xn);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * exo_xn_replay() - recover from the log
 * @xn: disk that is being attached; its tables are as their homes have them
 * @tail: block of the log where to begin
 * @seq: transaction that is expected there
 *
 * A transaction counts if all its blocks are whole and its number is the next. The number after the last one isn't
 * used again: it may stand on the disk in part.
 *
 * Context: attach; reads, allocates, runs grafts, writes. Return: 0; -EINVAL: damaged; -ENOMEM; -EIO.
 */
int exo_xn_replay(struct exo_xn *xn, u32 tail, u64 seq)
{
	struct replay r = { .xn = xn, .at = tail, .seq = seq };
	int ret;

	xn->replaying = true;
	while ((ret = next_tx(&r)) > 0) {
		ret = replay_tx(&r);
		exo_xn_mem_free(xn, r.blocks);
		r.blocks = NULL;
		if (ret)
			return ret;
		xn->replayed++;
		r.seq++;
	}
	xn->replaying = false;
	if (!ret)
		ret = exo_xn_tables_load(xn);
	if (!ret)
		ret = verify(xn);
	if (ret)
		return ret;
	xn->taken = xn->taken_committed;
	xn->log_head = r.at;
	xn->log_seq = r.seq + 1;
	return exo_xn_checkpoint(xn);
}
