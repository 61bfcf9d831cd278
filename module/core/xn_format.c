// SPDX-License-Identifier: GPL-2.0
/*
 * On-disk structures: sealing them, and looking at them as at something that an enemy wrote. Parsing
 * says whether a structure is whole and every number in it possible; nothing else of the engine reads
 * a number from a disk that wasn't checked here (INV-XN-13).
 */
#include "core/xn_core.h"

static bool all_zero(const u8 *bytes, size_t length)
{
	size_t i = 0;
	u64 word;

	for (; length - i >= sizeof(word); i += sizeof(word)) {
		__builtin_memcpy(&word, bytes + i, sizeof(word));
		if (word)
			return false;
	}
	for (; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

/* The crc of a structure with its own word at @word left out: that is 0 meanwhile. */
static u32 crc_without(exo_xn_crc_fn crc, u32 seed, const void *from, size_t length, size_t word)
{
	static const u8 zero[4];
	const u8 *bytes = from;

	seed = crc(seed, bytes, word);
	seed = crc(seed, zero, sizeof(zero));
	return crc(seed, bytes + word + sizeof(zero), length - word - sizeof(zero));
}

/**
 * exo_xn_seed() - what all crcs of a disk begin with
 * @crc: crc32c
 * @uuid: of the disk
 *
 * Context: any. Return: the seed.
 */
u32 exo_xn_seed(exo_xn_crc_fn crc, const u8 uuid[16])
{
	return crc(~0U, uuid, 16);
}

/**
 * exo_xn_super_build() - seal a superblock
 * @crc: crc32c
 * @super: all but magic, version and crc is filled in
 *
 * Context: any.
 */
void exo_xn_super_build(exo_xn_crc_fn crc, struct exo_xn_super *super)
{
	super->magic = EXO_XN_MAGIC;
	super->version = EXO_XN_VERSION;
	super->crc = crc_without(crc, ~0U, super, sizeof(*super), offsetof(struct exo_xn_super, crc));
}

static bool quotas_valid(const struct exo_xn_quotas *quotas)
{
	u32 i;

	if (quotas->nr > EXO_XN_QUOTAS || quotas->reserved)
		return false;
	for (i = 1; i < quotas->nr; i++)
		if (quotas->uid[i] <= quotas->uid[i - 1])
			return false;
	return true;
}

/**
 * exo_xn_super_parse() - is this a superblock?
 * @crc: crc32c
 * @super: what was read
 * @blocks: that the device has
 *
 * Context: any. Return: true if it is whole and possible on such a device.
 */
bool exo_xn_super_parse(exo_xn_crc_fn crc, const struct exo_xn_super *super, u64 blocks)
{
	if (super->magic != EXO_XN_MAGIC || super->version != EXO_XN_VERSION)
		return false;
	if (super->crc != crc_without(crc, ~0U, super, sizeof(*super), offsetof(struct exo_xn_super, crc)))
		return false;
	if (super->blocks > blocks || super->blocks > EXO_XN_BLOCKS_MAX || !quotas_valid(&super->quotas))
		return false;
	if (super->log_blocks < EXO_XN_LOG_MIN || super->log_blocks > EXO_XN_LOG_MAX)
		return false;
	return super->blocks > EXO_XN_LOG_AT + super->log_blocks &&
	       super->tail < super->log_blocks && super->tail_seq && super->tail_seq < ~0ULL / 2 &&
	       super->seq < ~0ULL / 2 && super->taken <= super->blocks;
}

/**
 * exo_xn_map_build() - seal a block of the map
 * @crc: crc32c
 * @seed: of the disk
 * @map: its entries are filled in
 * @block: where it stands
 *
 * Context: any.
 */
void exo_xn_map_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_map_disk *map, u64 block)
{
	map->magic = EXO_XN_MAP_MAGIC;
	map->block = block;
	map->crc = crc_without(crc, seed, map, sizeof(*map), offsetof(struct exo_xn_map_disk, crc));
}

/**
 * exo_xn_map_parse() - is this a block of the map?
 * @crc: crc32c
 * @seed: of the disk
 * @map: what was read
 * @block: where
 *
 * Context: any. Return: true if it is. Entries may have any value even so.
 */
bool exo_xn_map_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_map_disk *map, u64 block)
{
	return map->magic == EXO_XN_MAP_MAGIC && map->block == block &&
	       map->crc == crc_without(crc, seed, map, sizeof(*map),
				       offsetof(struct exo_xn_map_disk, crc));
}

/**
 * exo_xn_root_build() - the table's entry of a root
 * @crc: crc32c
 * @seed: of the disk
 * @entry: written
 * @root: it; one without EXO_XN_ROOT_USED in @state is an empty entry
 * @state: EXO_XN_ROOT_USED, EXO_XN_ROOT_DELETING
 *
 * Context: any.
 */
void exo_xn_root_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_root_entry *entry,
		       const struct exo_xn_root_core *root, u32 state)
{
	__builtin_memset(entry, 0, sizeof(*entry));
	entry->number = root->number;
	if (state & EXO_XN_ROOT_USED) {
		entry->flags = (root->flags & EXO_XN_ROOT_QUARANTINED) | state;
		entry->uid = root->uid;
		entry->template = root->template;
		entry->unit_blocks = root->unit_blocks;
		entry->block = root->block;
		entry->blocks = root->blocks;
		entry->max_blocks = root->max_blocks;
		__builtin_memcpy(entry->key_hash, root->key_hash, sizeof(entry->key_hash));
		__builtin_memcpy(entry->name, root->name, sizeof(entry->name));
	}
	entry->crc = crc_without(crc, seed, entry, sizeof(*entry), 0);
}

static bool name_valid(const char *name)
{
	u32 i;

	for (i = 0; i < EXO_XN_NAME && name[i]; i++)
		;
	return i && i < EXO_XN_NAME && all_zero((const u8 *)name + i, EXO_XN_NAME - i);
}

/**
 * exo_xn_name_copy() - take a name that people gave
 * @to: EXO_XN_NAME bytes; zeros behind it
 * @from: a string
 *
 * Context: any. Return: false: empty, or too long.
 */
bool exo_xn_name_copy(char *to, const char *from)
{
	u32 i;

	__builtin_memset(to, 0, EXO_XN_NAME);
	for (i = 0; i < EXO_XN_NAME - 1 && from[i]; i++)
		to[i] = from[i];
	return i && !from[i];
}

/**
 * exo_xn_root_parse() - look at an entry of the root table
 * @crc: crc32c
 * @seed: of the disk
 * @entry: what was read
 * @number: that it must have
 * @blocks: of the disk
 *
 * An entry that is all zeros is an empty one, too: so is a table made.
 *
 * Context: any. Return: 1: a root; 0: empty; -EINVAL: neither.
 */
int exo_xn_root_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_root_entry *entry, u32 number,
		      u64 blocks)
{
	u32 known = EXO_XN_ROOT_QUARANTINED | EXO_XN_ROOT_USED | EXO_XN_ROOT_DELETING;

	if (all_zero((const u8 *)entry, sizeof(*entry)))
		return 0;
	if (entry->crc != crc_without(crc, seed, entry, sizeof(*entry), 0) || entry->number != number)
		return -EINVAL;
	if (!(entry->flags & EXO_XN_ROOT_USED))
		return entry->flags ? -EINVAL : 0;
	if (entry->flags & ~known || !entry->template || entry->template > EXO_XN_TEMPLATES)
		return -EINVAL;
	if (!entry->unit_blocks || entry->unit_blocks > EXO_XN_UNIT_BLOCKS)
		return -EINVAL;
	if (entry->block >= blocks || entry->unit_blocks > blocks - entry->block)
		return -EINVAL;
	if (entry->blocks > blocks || !name_valid(entry->name))
		return -EINVAL;
	return 1;
}

/**
 * exo_xn_template_build() - the table's entry of a template
 * @crc: crc32c
 * @seed: of the disk
 * @entry: written
 * @t: it; with @blocks 0 it is an empty entry
 *
 * Context: any.
 */
void exo_xn_template_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_template_entry *entry,
			   const struct exo_xn_template_core *t)
{
	__builtin_memset(entry, 0, sizeof(*entry));
	entry->number = t->number;
	if (t->blocks) {
		entry->used = 1;
		entry->uid = t->uid;
		entry->head_bytes = t->head_bytes;
		entry->part_bytes = t->part_bytes;
		entry->blocks = t->blocks;
		entry->length = t->length;
		entry->block = t->block;
		__builtin_memcpy(entry->refs, t->refs, sizeof(entry->refs));
		__builtin_memcpy(entry->hash, t->hash, sizeof(entry->hash));
		__builtin_memcpy(entry->name, t->name, sizeof(entry->name));
	}
	entry->crc = crc_without(crc, seed, entry, sizeof(*entry), 0);
}

/**
 * exo_xn_parts_valid() - may a unit be parted like this?
 * @head_bytes: of part 0
 * @part_bytes: of each further one; 0: there is none, and @head_bytes must be 0, too
 *
 * Context: any. Return: true if a unit has at most EXO_XN_PARTS parts then.
 */
bool exo_xn_parts_valid(u32 head_bytes, u32 part_bytes)
{
	u32 most = EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK;

	if (!part_bytes)
		return !head_bytes;
	return !(head_bytes % 8) && !(part_bytes % 8) && head_bytes <= most &&
	       part_bytes >= EXO_XN_PART_MIN && part_bytes <= most;
}

/**
 * exo_xn_template_parse() - look at an entry of the template table
 * @crc: crc32c
 * @seed: of the disk
 * @entry: what was read
 * @number: that it must have
 * @blocks: of the disk
 *
 * Context: any. Return: 1: a template; 0: empty; -EINVAL: neither.
 */
int exo_xn_template_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_template_entry *entry,
			  u32 number, u64 blocks)
{
	u32 i;

	if (all_zero((const u8 *)entry, sizeof(*entry)))
		return 0;
	if (entry->crc != crc_without(crc, seed, entry, sizeof(*entry), 0) || entry->number != number)
		return -EINVAL;
	if (!entry->used)
		return 0;
	if (!exo_xn_parts_valid(entry->head_bytes, entry->part_bytes))
		return -EINVAL;
	if (!entry->length || entry->length > EXO_XN_CONTENT_MAX ||
	    entry->blocks != exo_xn_blocks_of(entry->length))
		return -EINVAL;
	if (entry->block >= blocks || entry->blocks > blocks - entry->block)
		return -EINVAL;
	for (i = 0; i < EXO_XN_REFS; i++)
		if (entry->refs[i] > EXO_XN_TEMPLATES)
			return -EINVAL;
	return name_valid(entry->name) ? 1 : -EINVAL;
}

/**
 * exo_xn_log_build() - seal a block of the log
 * @crc: crc32c
 * @chain: the crc of the transaction's block before, the disk's seed for its first; this one's afterwards
 * @head: of the block, the records behind it filled in, and zeros behind them
 * @seq: of the transaction
 * @index: of this block in it
 * @count: blocks that it has
 * @used: bytes of records in this one
 *
 * Context: any.
 */
void exo_xn_log_build(exo_xn_crc_fn crc, u32 *chain, struct exo_xn_log_head *head, u64 seq, u32 index,
		      u32 count, u32 used)
{
	head->magic = EXO_XN_LOG_MAGIC;
	head->seq = seq;
	head->index = index;
	head->count = count;
	head->used = used;
	head->zero = 0;
	head->crc = crc_without(crc, *chain, head, EXO_XN_BLOCK, offsetof(struct exo_xn_log_head, crc));
	*chain = head->crc;
}

/**
 * exo_xn_log_parse() - is this the block of the log that comes next?
 * @crc: crc32c
 * @chain: as for exo_xn_log_build()
 * @head: what was read, a whole block
 * @seq: that is expected
 * @index: that is expected
 * @count: that is expected; 0: any, this is a transaction's first
 *
 * Context: any. Return: true if it is; only then @chain has gone on.
 */
bool exo_xn_log_parse(exo_xn_crc_fn crc, u32 *chain, const struct exo_xn_log_head *head, u64 seq,
		      u32 index, u32 count)
{
	u32 sum;

	if (head->magic != EXO_XN_LOG_MAGIC || head->seq != seq || head->index != index)
		return false;
	if (!head->count || (count && head->count != count) || index >= head->count)
		return false;
	if (head->used > EXO_XN_LOG_BYTES || head->used % 8 || head->zero)
		return false;
	if (index + 1U < head->count && head->used != EXO_XN_LOG_BYTES)
		return false;
	sum = crc_without(crc, *chain, head, EXO_XN_BLOCK, offsetof(struct exo_xn_log_head, crc));
	if (head->crc != sum)
		return false;
	*chain = sum;
	return true;
}

static bool in_disk(u64 block, u64 count, u64 first, u64 blocks)
{
	return count && block >= first && block < blocks && count <= blocks - block;
}

static bool unit_valid(const struct exo_xn_rec_unit *rec, u64 first, u64 blocks)
{
	u32 at = sizeof(*rec), length = rec->head.length, end;
	const struct exo_xn_range *range;

	if (!rec->blocks || rec->blocks > EXO_XN_UNIT_BLOCKS || rec->flags & ~EXO_XN_UNIT_FRESH)
		return false;
	if (!in_disk(rec->block, rec->blocks, first, blocks) || !rec->root ||
	    rec->root > EXO_XN_ROOTS || !rec->template || rec->template > EXO_XN_TEMPLATES)
		return false;
	end = rec->blocks * EXO_XN_BLOCK;
	while (at < length) {
		if (length - at < sizeof(*range))
			return false;
		range = (const void *)((const u8 *)rec + at);
		at += sizeof(*range);
		if (!range->length || range->offset % 8 || range->length % 8)
			return false;
		if (range->offset >= end || range->length > end - range->offset ||
		    range->length > length - at)
			return false;
		at += range->length;
	}
	return true;
}

/**
 * exo_xn_record_parse() - look at the next record of a transaction
 * @at: it, aligned to 8
 * @left: bytes to the end of the transaction
 * @first: smallest block that may be named
 * @blocks: of the disk
 *
 * Context: any.
 *
 * Return: its length: all of it is there, and all numbers in it are possible (but for the entry of a root or
 * template, which exo_xn_root_parse() and exo_xn_template_parse() look at). -EINVAL: not.
 */
int exo_xn_record_parse(const void *at, u64 left, u64 first, u64 blocks)
{
	const struct exo_xn_record *rec = at;
	const struct exo_xn_rec_map *map = at;
	const struct exo_xn_rec_info *info = at;
	const struct exo_xn_rec_init *init = at;
	bool valid = false;

	if (left < sizeof(*rec) || rec->length > left || rec->length < sizeof(*rec) ||
	    rec->length % 8 || rec->length > EXO_XN_BLOCK * (EXO_XN_UNIT_BLOCKS * 2 + 1))
		return -EINVAL;
	switch (rec->kind) {
	case EXO_XN_REC_INFO:
		valid = rec->length == sizeof(*info) && info->taken <= blocks;
		break;
	case EXO_XN_REC_MAP:
		valid = rec->length == sizeof(*map) && in_disk(map->block, map->count, first, blocks);
		break;
	case EXO_XN_REC_INIT:
		valid = rec->length == sizeof(*init) && init->block < blocks;
		break;
	case EXO_XN_REC_UNIT:
		valid = rec->length >= sizeof(struct exo_xn_rec_unit) && unit_valid(at, first, blocks);
		break;
	case EXO_XN_REC_ROOT:
	case EXO_XN_REC_TEMPLATE:
		valid = rec->length == sizeof(struct exo_xn_rec_entry);
		break;
	case EXO_XN_REC_UIDS:
		valid = rec->length == sizeof(struct exo_xn_rec_uids) &&
			quotas_valid(&((const struct exo_xn_rec_uids *)rec)->quotas);
		break;
	}
	return valid ? (int)rec->length : -EINVAL;
}
