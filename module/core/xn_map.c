// SPDX-License-Identifier: GPL-2.0
/*
 * The map: who has which block. Blocks of the map are loaded when somebody asks about what they
 * describe; while they are held, completions of data I/O look at them without a lock.
 */
#include "core/xn_core.h"

/**
 * exo_xn_is_system() - is a block exo's own by geometry?
 * @xn: disk
 * @block: any
 *
 * Context: disk lock. Return: true for superblocks, tables, log and map.
 */
bool exo_xn_is_system(const struct exo_xn *xn, u64 block)
{
	return block < EXO_XN_GROUP ? block < xn->first : block % EXO_XN_GROUP < EXO_XN_GROUP_MAPS;
}

/* Blocks of the map that a disk of @blocks has. */
u64 exo_xn_maps_of(u64 blocks)
{
	return (blocks + EXO_XN_GROUP - 1) / EXO_XN_GROUP * EXO_XN_GROUP_MAPS;
}

/* Blocks that are exo's by geometry on a disk of @blocks whose first other one is @first. */
u64 exo_xn_system_of(u64 blocks, u64 first)
{
	u64 groups = (blocks - 1) / EXO_XN_GROUP, last = blocks - groups * EXO_XN_GROUP;

	if (!groups)
		return first;
	return first + (groups - 1) * EXO_XN_GROUP_MAPS +
	       (last < EXO_XN_GROUP_MAPS ? last : EXO_XN_GROUP_MAPS);
}

/* Where block @index of the map stands. */
u64 exo_xn_map_home(u64 index)
{
	u64 group = index / EXO_XN_GROUP_MAPS;

	return group * EXO_XN_GROUP + index % EXO_XN_GROUP_MAPS + (group ? 0 : EXO_XN_MAP_AT);
}

/* The first block that block @index of the map describes. */
u64 exo_xn_map_first(u64 index)
{
	return index / EXO_XN_GROUP_MAPS * EXO_XN_GROUP +
	       index % EXO_XN_GROUP_MAPS * EXO_XN_MAP_ENTRIES;
}

static u64 index_of(u64 block)
{
	return block / EXO_XN_GROUP * EXO_XN_GROUP_MAPS + block % EXO_XN_GROUP / EXO_XN_MAP_ENTRIES;
}

/* The block of the map that describes @block, if it is loaded. Lock-free. */
static struct exo_xn_map_block *peek(const struct exo_xn *xn, u64 block)
{
	struct exo_xn_map_block **maps = __atomic_load_n(&xn->maps, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&maps[index_of(block)], __ATOMIC_ACQUIRE);
}

/**
 * exo_xn_map_span() - the part of a range that one block of the map describes
 * @xn: disk
 * @block: first; within the disk
 * @count: how many, at least 1
 * @map: set to the block of the map, NULL: not loaded
 * @slot: set to the entry of @block in it
 *
 * Context: disk lock, or blocks that are held. Return: how many of the range are in it.
 */
u32 exo_xn_map_span(const struct exo_xn *xn, u64 block, u64 count, struct exo_xn_map_block **map,
		    u32 *slot)
{
	u32 in = block % EXO_XN_GROUP, left;

	*map = peek(xn, block);
	*slot = in % EXO_XN_MAP_ENTRIES;
	left = EXO_XN_MAP_ENTRIES - *slot;
	if (left > EXO_XN_GROUP - in)
		left = EXO_XN_GROUP - in;
	return count < left ? count : left;
}

static int load_one(struct exo_xn *xn, u64 index)
{
	struct exo_xn_map_disk *disk = (void *)xn->io;
	u64 home = exo_xn_map_home(index);
	struct exo_xn_map_block *map;
	u32 i;
	int ret;

	map = exo_xn_alloc(xn, sizeof(*map));
	if (!map)
		return -ENOMEM;
	ret = exo_xn_read_blocks(xn, home, 1, disk);
	/* While the log is replayed, a torn one is one that the log repairs: INV-XN-12. */
	if (!ret && !exo_xn_map_parse(xn->host->crc, xn->seed, disk, home) && !xn->replaying)
		ret = -EIO;
	if (ret) {
		exo_xn_mem_free(xn, map);
		return ret;
	}
	map->index = index;
	for (i = 0; i < EXO_XN_MAP_ENTRIES; i++) {
		u32 entry = disk->entry[i];

		if (!(entry & EXO_XN_ENTRY_TAKEN))
			entry &= EXO_XN_ENTRY_ROOT;
		else if (!(entry & EXO_XN_ENTRY_REFS))
			entry |= EXO_XN_ENTRY_REF;
		if (entry & EXO_XN_ENTRY_INIT)
			map->durable[i / 64] |= 1ULL << i % 64;
		map->now[i] = entry & ~EXO_XN_ENTRY_INIT;
	}
	__builtin_memcpy(map->committed, map->now, sizeof(map->committed));
	__builtin_memcpy(map->readable, map->durable, sizeof(map->readable));
	exo_xn_list_add(&xn->clock_maps, &map->clock);
	xn->nr_maps_in++;
	xn->memory += sizeof(*map);
	__atomic_store_n(&xn->maps[index], map, __ATOMIC_RELEASE);
	return 0;
}

/**
 * exo_xn_map_load() - have the map of a range in memory
 * @xn: disk
 * @block: first
 * @count: how many
 *
 * Context: disk lock; reads and allocates. Return: 0, -EINVAL (beyond the disk), -ENOMEM, -EIO (damaged, too).
 */
int exo_xn_map_load(struct exo_xn *xn, u64 block, u64 count)
{
	u64 index, last;
	int ret;

	if (!count || block >= xn->blocks || count > xn->blocks - block)
		return -EINVAL;
	last = index_of(block + count - 1);
	for (index = index_of(block); index <= last; index++) {
		if (xn->maps[index]) {
			xn->maps[index]->used = true;
			continue;
		}
		ret = load_one(xn, index);
		if (ret)
			return ret;
	}
	return 0;
}

static void hold(struct exo_xn *xn, u64 block, u64 count, u64 by)
{
	struct exo_xn_map_block *map;
	u32 slot, n;

	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		__atomic_fetch_add(&map->holds, by, __ATOMIC_RELEASE);
	}
}

/**
 * exo_xn_map_hold() - have the map of a range in memory, and keep it there
 * @xn: disk
 * @block: first
 * @count: how many; 0: nothing
 *
 * Context: disk lock; may read and allocate. Return: 0, -EINVAL (beyond the disk), -ENOMEM, -EIO.
 */
int exo_xn_map_hold(struct exo_xn *xn, u64 block, u64 count)
{
	int ret = count ? exo_xn_map_load(xn, block, count) : 0;

	if (!ret)
		hold(xn, block, count, 1);
	return ret;
}

/**
 * exo_xn_map_unhold() - that isn't needed any more
 * @xn: disk
 * @block: as it was held
 * @count: the same
 *
 * Context: any, without the disk's lock, too; whoever held it looks at it no longer.
 */
void exo_xn_map_unhold(struct exo_xn *xn, u64 block, u64 count)
{
	hold(xn, block, count, -1ULL);
}

/**
 * exo_xn_map_entry() - the entry of a block as everybody sees it
 * @xn: disk
 * @block: whose map is loaded
 *
 * Context: disk lock. Return: it, without INIT.
 */
u32 exo_xn_map_entry(const struct exo_xn *xn, u64 block)
{
	struct exo_xn_map_block *map;
	u32 slot;

	exo_xn_map_span(xn, block, 1, &map, &slot);
	return map->now[slot];
}

/* Behind so many blocks stands a map, which nobody has: to say no to more of them in a row nothing is loaded (INV-XN-25). */
static u64 in_group(u64 block)
{
	return EXO_XN_GROUP - block % EXO_XN_GROUP;
}

static int op_allowed(const struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u64 block, u32 entry)
{
	u32 refs = entry & EXO_XN_ENTRY_REFS;

	if (exo_xn_is_system(xn, block))
		return -EBUSY;
	if (op == EXO_XN_OP_TAKE)
		return entry & (EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REFS) ? -EBUSY : 0;
	if (!(entry & EXO_XN_ENTRY_TAKEN) || (entry & EXO_XN_ENTRY_ROOT) != root)
		return -EINVAL;
	if (op == EXO_XN_OP_GIVE)
		return refs == EXO_XN_ENTRY_REF ? 0 : -EBUSY;
	if (op == EXO_XN_OP_REF)
		return refs == EXO_XN_ENTRY_REFS ? -EINVAL : 0;
	return refs == EXO_XN_ENTRY_REF ? -EINVAL : 0;
}

static u32 op_apply(const struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u32 entry)
{
	switch (op) {
	case EXO_XN_OP_TAKE:
		return EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REF | root;
	case EXO_XN_OP_GIVE:
		return xn->broken & EXO_XN_BREAK_REUSE ? root : EXO_XN_ENTRY_REF | root;
	case EXO_XN_OP_REF:
		return entry + EXO_XN_ENTRY_REF;
	default:
		return entry - EXO_XN_ENTRY_REF;
	}
}

/* Whoever writes there next begins unreadable. Context: disk lock. */
void exo_xn_map_forget(struct exo_xn_map_block *map, u32 slot)
{
	__atomic_fetch_and(&map->readable[slot / 64], ~(1ULL << slot % 64), __ATOMIC_RELAXED);
	__atomic_fetch_and(&map->durable[slot / 64], ~(1ULL << slot % 64), __ATOMIC_RELAXED);
}

/**
 * exo_xn_map_change() - do something to all blocks of a range, or to none
 * @xn: disk
 * @op: what
 * @root: whose blocks they are, or become
 * @block: first
 * @count: how many
 * @bad: on error, the block that is at fault
 *
 * A block that was freed is free again only when the log has that (INV-XN-5); a block that becomes somebody's
 * reads as zeros (INV-XN-7).
 *
 * Context: disk lock; may read and allocate.
 *
 * Return: 0; -EBUSY: TAKE of what isn't free, GIVE of what has several references; -EINVAL: not @root's, or beyond
 * the disk, or references would go out of range; -ENOMEM; -EIO.
 */
int exo_xn_map_change(struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u64 block, u64 count,
		      u64 *bad)
{
	struct exo_xn_map_block *map;
	u64 at, left;
	u32 slot, n, i;
	int ret;

	*bad = block;
	if (block < xn->blocks && count <= xn->blocks - block && count > in_group(block)) {
		*bad = block + in_group(block);
		return -EBUSY;
	}
	ret = exo_xn_map_load(xn, block, count);
	if (ret)
		return ret;
	for (at = block, left = count; left; at += n, left -= n) {
		n = exo_xn_map_span(xn, at, left, &map, &slot);
		for (i = 0; i < n; i++) {
			ret = op_allowed(xn, op, root, at + i, map->now[slot + i]);
			if (ret) {
				*bad = at + i;
				return ret;
			}
		}
	}
	for (at = block, left = count; left; at += n, left -= n) {
		n = exo_xn_map_span(xn, at, left, &map, &slot);
		for (i = slot; i < slot + n; i++) {
			map->now[i] = op_apply(xn, op, root, map->now[i]);
			if (op == EXO_XN_OP_TAKE)
				exo_xn_map_forget(map, i);
		}
	}
	if (op == EXO_XN_OP_TAKE)
		xn->taken += count;
	if (op == EXO_XN_OP_GIVE)
		xn->waiting += count;
	return 0;
}

/**
 * exo_xn_map_seams() - how many blocks of a range have another entry than the one before
 * @xn: disk
 * @block: first; their map is loaded
 * @count: how many
 *
 * Context: disk lock. Return: it: a commit says so many times more what the range has become.
 */
u64 exo_xn_map_seams(const struct exo_xn *xn, u64 block, u64 count)
{
	u32 was = exo_xn_map_entry(xn, block), slot, n, i;
	struct exo_xn_map_block *map;
	u64 seams = 0;

	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		for (i = slot; i < slot + n; i++) {
			seams += map->now[i] != was;
			was = map->now[i];
		}
	}
	return seams;
}

/**
 * exo_xn_map_undo() - take back what exo_xn_map_change() did
 * @xn: disk
 * @op: as there, as all else; the last changes first
 * @root: the same
 * @block: the same
 * @count: the same
 *
 * Context: disk lock.
 */
void exo_xn_map_undo(struct exo_xn *xn, enum exo_xn_map_op op, u32 root, u64 block, u64 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n, i;

	if (op == EXO_XN_OP_TAKE)
		xn->taken -= count;
	if (op == EXO_XN_OP_GIVE)
		xn->waiting -= count;
	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		for (i = slot; i < slot + n; i++) {
			if (op == EXO_XN_OP_TAKE)
				map->now[i] = map->committed[i] & EXO_XN_ENTRY_ROOT;
			else if (op == EXO_XN_OP_GIVE)
				map->now[i] = EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REF | root;
			else if (op == EXO_XN_OP_REF)
				map->now[i] -= EXO_XN_ENTRY_REF;
			else
				map->now[i] += EXO_XN_ENTRY_REF;
		}
	}
}

/**
 * exo_xn_map_owned() - are all blocks of a range a root's?
 * @xn: disk
 * @root: number
 * @block: first
 * @count: how many
 *
 * Context: disk lock; may read and allocate. Return: 0; -EINVAL: not, or beyond the disk; -ENOMEM; -EIO.
 */
int exo_xn_map_owned(struct exo_xn *xn, u32 root, u64 block, u64 count)
{
	u32 mask = EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_ROOT;
	struct exo_xn_map_block *map;
	u32 slot, n, i;
	int ret;

	if (count > in_group(block))
		return -EINVAL;
	ret = exo_xn_map_load(xn, block, count);
	if (ret)
		return ret;
	for (; count; block += n, count -= n) {
		n = exo_xn_map_span(xn, block, count, &map, &slot);
		for (i = 0; i < n; i++)
			if ((map->now[slot + i] & mask) != (EXO_XN_ENTRY_TAKEN | root) ||
			    exo_xn_is_system(xn, block + i))
				return -EINVAL;
	}
	return 0;
}

/* Look for a run in [from, to). */
static int run_in(struct exo_xn *xn, u64 from, u64 to, u32 count, u64 *block)
{
	struct exo_xn_map_block *map;
	u32 slot, n, i, run = 0;
	int ret;

	while (from < to) {
		exo_xn_shrink(xn);
		ret = exo_xn_map_load(xn, from, 1);
		if (ret)
			return ret;
		n = exo_xn_map_span(xn, from, to - from, &map, &slot);
		for (i = 0; i < n; i++) {
			run = op_allowed(xn, EXO_XN_OP_TAKE, 0, from + i, map->now[slot + i]) ? 0 : run + 1;
			if (run == count) {
				*block = from + i + 1 - count;
				return 0;
			}
		}
		from += n;
	}
	return -ENOSPC;
}

/**
 * exo_xn_map_run() - find free blocks in a row
 * @xn: disk
 * @near: where to begin; 0: where the last look ended
 * @count: how many
 * @block: set to the first
 *
 * Context: disk lock; reads and allocates. Return: 0, -ENOSPC, -ENOMEM, -EIO.
 */
int exo_xn_map_run(struct exo_xn *xn, u64 near, u32 count, u64 *block)
{
	u64 from = near && near < xn->blocks ? near : xn->hint, to;
	int ret;

	ret = run_in(xn, from, xn->blocks, count, block);
	if (ret == -ENOSPC && from) {
		to = from + count - 1;
		ret = run_in(xn, 0, to < xn->blocks ? to : xn->blocks, count, block);
	}
	if (!ret)
		xn->hint = *block + count < xn->blocks ? *block + count : 0;
	return ret;
}

/* Of a block that isn't exo's by geometry. */
static u8 shown(const struct exo_xn *xn, u32 entry, u32 uid)
{
	u32 number = entry & EXO_XN_ENTRY_ROOT;
	const struct exo_xn_core_root *root = number <= EXO_XN_ROOTS ? xn->roots[number] : NULL;
	bool mine = root && root->pub.uid == uid;

	if (number == EXO_XN_SYSTEM_ROOT)
		return entry & EXO_XN_ENTRY_TAKEN ? EXO_XN_SYSTEM : EXO_XN_FREE;
	if (entry & EXO_XN_ENTRY_TAKEN)
		return mine ? EXO_XN_MINE : EXO_XN_TAKEN;
	if (entry & EXO_XN_ENTRY_REFS)
		return mine ? EXO_XN_WAITING : EXO_XN_TAKEN;
	return EXO_XN_FREE;
}

/**
 * exo_xn_map_show() - say who has which block
 * @xn: disk
 * @start: first block
 * @count: how many
 * @uid: who asks
 * @out: EXO_XN_FREE .. EXO_XN_WAITING, a byte each
 *
 * Who looks for free blocks asks for thousands; those of a run have the same entry.
 *
 * Context: disk lock; may read and allocate. Return: 0, -EINVAL (beyond the disk), -ENOMEM, -EIO.
 */
int exo_xn_map_show(struct exo_xn *xn, u64 start, u32 count, u32 uid, u8 *out)
{
	struct exo_xn_map_block *map;
	u32 slot, n, i, entry, last;
	u8 what;
	int ret;

	exo_xn_shrink(xn);
	ret = exo_xn_map_load(xn, start, count);
	if (ret)
		return ret;
	for (; count; start += n, count -= n) {
		n = exo_xn_map_span(xn, start, count, &map, &slot);
		last = map->now[slot];
		what = shown(xn, last, uid);
		for (i = 0; i < n; i++) {
			entry = map->now[slot + i];
			if (entry != last) {
				last = entry;
				what = shown(xn, entry, uid);
			}
			*out++ = exo_xn_is_system(xn, start + i) ? EXO_XN_SYSTEM : what;
		}
	}
	return 0;
}

static u64 bits(u32 from, u32 count)
{
	return (count < 64 ? (1ULL << count) - 1 : ~0ULL) << from;
}

/*
 * The part of a range whose bits are in one word of a block of the map. This is asked for every I/O, mostly for one
 * block, which is never in two. Lock-free; the map is held.
 */
static inline __attribute__((__always_inline__)) u32 word_span(const struct exo_xn *xn, u64 block, u32 count,
							       struct exo_xn_map_block **map, u32 *slot)
{
	struct exo_xn_map_block **maps = __atomic_load_n(&xn->maps, __ATOMIC_ACQUIRE);
	u32 in = block % EXO_XN_GROUP, nr = in / EXO_XN_MAP_ENTRIES, left;

	*map = __atomic_load_n(&maps[block / EXO_XN_GROUP * EXO_XN_GROUP_MAPS + nr], __ATOMIC_ACQUIRE);
	*slot = in - nr * EXO_XN_MAP_ENTRIES;
	if (count == 1)
		return 1;
	left = EXO_XN_MAP_ENTRIES - *slot;
	if (left > EXO_XN_GROUP - in)
		left = EXO_XN_GROUP - in;
	if (left > 64 - *slot % 64)
		left = 64 - *slot % 64;
	return count < left ? count : left;
}

/* Bits of a range that isn't in one word. */
static __attribute__((__noinline__)) u64 readable_words(const struct exo_xn *xn, u64 start, u32 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n, done;
	u64 out = 0, word;

	for (done = 0; done < count; done += n) {
		n = word_span(xn, start + done, count - done, &map, &slot);
		word = __atomic_load_n(&map->readable[slot / 64], __ATOMIC_ACQUIRE);
		out |= (word >> slot % 64 & bits(0, n)) << done;
	}
	return out;
}

/**
 * exo_xn_readable() - which blocks of a range may be read?
 * @xn: disk
 * @start: first; their map is held
 * @count: 1 to 64
 *
 * Context: any, without the disk's lock. Return: bit n: block @start + n; the others read as zeros (INV-XN-7).
 */
u64 exo_xn_readable(struct exo_xn *xn, u64 start, u32 count)
{
	struct exo_xn_map_block *map;
	u32 slot;

	if (count != 1)
		return readable_words(xn, start, count);
	word_span(xn, start, 1, &map, &slot);
	return __atomic_load_n(&map->readable[slot / 64], __ATOMIC_ACQUIRE) >> slot % 64 & 1;
}

/* Let the next commit see that this block of the map has something that isn't durable. */
void exo_xn_map_queue(struct exo_xn *xn, struct exo_xn_map_block *map)
{
	struct exo_xn_map_block *head;

	if (__atomic_exchange_n(&map->queued, 1, __ATOMIC_ACQ_REL))
		return;
	head = __atomic_load_n(&xn->queue, __ATOMIC_RELAXED);
	do {
		map->queue = head;
	} while (!__atomic_compare_exchange_n(&xn->queue, &head, map, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

/**
 * exo_xn_written() - a write of data has completed
 * @xn: disk
 * @start: first block; their map is held
 * @count: how many
 *
 * From here on it may be read; that is durable with the next commit (INV-XN-6).
 *
 * Context: any, interrupts too; without the disk's lock.
 */
void exo_xn_written(struct exo_xn *xn, u64 start, u32 count)
{
	struct exo_xn_map_block *map;
	u64 mask, *word;
	u32 slot, n;

	/* Before the bits: a commit takes down the bits first, then this, and flushes. */
	if (!__atomic_load_n(&xn->wrote, __ATOMIC_ACQUIRE))
		__atomic_store_n(&xn->wrote, 1, __ATOMIC_RELEASE);
	for (; count; start += n, count -= n) {
		n = word_span(xn, start, count, &map, &slot);
		mask = bits(slot % 64, n);
		word = &map->readable[slot / 64];
		if (mask & ~__atomic_load_n(word, __ATOMIC_RELAXED))
			__atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL);
		if (mask & ~__atomic_load_n(&map->durable[slot / 64], __ATOMIC_ACQUIRE))
			exo_xn_map_queue(xn, map);
	}
}

/**
 * exo_xn_init_durable() - is it durable that these blocks were written?
 * @xn: disk
 * @start: first block; their map is held
 * @count: how many
 *
 * Context: any, without the disk's lock.
 *
 * Return: true; false: exo_xn_commit_written() makes it so, if the root's commit has had their allocation.
 */
bool exo_xn_init_durable(struct exo_xn *xn, u64 start, u32 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n;

	for (; count; start += n, count -= n) {
		n = word_span(xn, start, count, &map, &slot);
		if (bits(slot % 64, n) & ~__atomic_load_n(&map->durable[slot / 64], __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

/**
 * exo_xn_map_write_home() - write what the log has of a block of the map to its home
 * @xn: disk
 * @map: it
 *
 * Context: disk lock; writes. Return: 0 or -EIO.
 */
int exo_xn_map_write_home(struct exo_xn *xn, struct exo_xn_map_block *map)
{
	struct exo_xn_map_disk *disk = (void *)xn->io;
	u64 home = exo_xn_map_home(map->index);
	u32 i;

	for (i = 0; i < EXO_XN_MAP_ENTRIES; i++)
		disk->entry[i] = map->committed[i] |
				 (map->durable[i / 64] >> i % 64 & 1 ? EXO_XN_ENTRY_INIT : 0);
	exo_xn_map_build(xn->host->crc, xn->seed, disk, home);
	return exo_xn_write_blocks(xn, home, 1, disk, 0);
}

/**
 * exo_xn_trim() - discard what is free
 * @xn: disk
 * @start: first block
 * @count: how many
 *
 * Only what is free for everybody and durably so: no replay of the log gives it back to anybody (INV-XN-5).
 *
 * Context: disk lock; reads, allocates, discards. Return: blocks discarded; an error ends it early.
 */
u64 exo_xn_trim(struct exo_xn *xn, u64 start, u64 count)
{
	struct exo_xn_map_block *map;
	u64 run = 0, done = 0;
	u32 slot, n, i;

	if (start >= xn->blocks || xn->failed)
		return 0;
	if (count > xn->blocks - start)
		count = xn->blocks - start;
	for (; count; start += n, count -= n) {
		exo_xn_shrink(xn);
		if (exo_xn_map_load(xn, start, 1))
			break;
		n = exo_xn_map_span(xn, start, count, &map, &slot);
		for (i = 0; i < n; i++) {
			if (!op_allowed(xn, EXO_XN_OP_TAKE, 0, start + i, map->now[slot + i]) &&
			    !(map->committed[slot + i] & EXO_XN_ENTRY_TAKEN)) {
				run++;
				continue;
			}
			if (run)
				xn->host->discard(xn, start + i - run, run);
			done += run;
			run = 0;
		}
	}
	if (run)
		xn->host->discard(xn, start - run, run);
	return done + run;
}

/**
 * exo_xn_map_look() - the entry of a block as everybody sees it, for the shell
 * @xn: disk
 * @block: any
 * @entry: EXO_XN_ENTRY_*; INIT: it may be read now. A system block: TAKEN by EXO_XN_SYSTEM_ROOT
 *
 * Context: disk lock; may read and allocate. Return: 0, -EINVAL (beyond the disk), -ENOMEM, -EIO.
 */
int exo_xn_map_look(struct exo_xn *xn, u64 block, u32 *entry)
{
	struct exo_xn_map_block *map;
	u32 slot;
	int ret;

	exo_xn_shrink(xn);
	ret = exo_xn_map_load(xn, block, 1);
	if (ret)
		return ret;
	exo_xn_map_span(xn, block, 1, &map, &slot);
	*entry = map->now[slot];
	if (exo_xn_is_system(xn, block))
		*entry = EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REF | EXO_XN_SYSTEM_ROOT;
	else if (map->readable[slot / 64] >> slot % 64 & 1)
		*entry |= EXO_XN_ENTRY_INIT;
	return 0;
}
