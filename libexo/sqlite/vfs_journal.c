// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Journals and WALs: files that come and go with each transaction. Their blocks stay. Such a file is there if
 * its first block begins with 8 bytes that aren't all zero, so that making and deleting it is a write of a
 * block, not a change of units.
 *
 * V3: what a rollback journal says counts only up to a length, which stands in its first sector (struct
 * vfs_journal). Either all of it was durable before that was written, or there is a crc of all of it. So a
 * journal that was written in one request, and torn, isn't there: its database is untouched then. A WAL
 * has SQLite's own checksums and salts: it counts as as long as its blocks.
 * V4: a journal is zeroed durably, if it ever was durable: that is the moment of commit.
 */
#include <errno.h>

#include "vfs.h"

#define CHECK_BLOCKS 64U	/* so much is summed up rather than written in two steps */
#define HEAD_END (VFS_JOURNAL_AT + sizeof(struct vfs_journal))
#define KEEP_BLOCKS 8192U	/* that a file which isn't there keeps */

/* crc32c ------------------------------------------------------------------------------------- */

static uint32_t crc_slow(uint32_t crc, const uint8_t *at, size_t length)
{
	static uint32_t table[256];
	uint32_t i, k, value;

	if (!table[1]) {
		for (i = 0; i < 256; i++) {
			for (value = i, k = 0; k < 8; k++)
				value = value >> 1 ^ (value & 1 ? 0x82f63b78U : 0);
			table[i] = value;
		}
	}
	for (; length; length--)
		crc = crc >> 8 ^ table[(crc ^ *at++) & 255];
	return crc;
}

__attribute__((target("sse4.2")))
static uint32_t crc_fast(uint32_t crc, const uint8_t *at, size_t length)
{
	uint64_t sum = crc, word[4];

	for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
		memcpy(word, at, sizeof(word));
		sum = __builtin_ia32_crc32di(sum, word[0]);
		sum = __builtin_ia32_crc32di(sum, word[1]);
		sum = __builtin_ia32_crc32di(sum, word[2]);
		sum = __builtin_ia32_crc32di(sum, word[3]);
	}
	for (; length >= 8; at += 8, length -= 8) {
		memcpy(word, at, 8);
		sum = __builtin_ia32_crc32di(sum, word[0]);
	}
	for (; length; length--)
		sum = __builtin_ia32_crc32qi((uint32_t)sum, *at++);
	return (uint32_t)sum;
}

static uint32_t crc32c(uint32_t crc, const void *at, size_t length)
{
	static int fast;

	if (!fast)
		fast = __builtin_cpu_supports("sse4.2") ? 1 : -1;
	return fast > 0 ? crc_fast(crc, at, length) : crc_slow(crc, at, length);
}

/* What counts ---------------------------------------------------------------------------------- */

static bool is_zero(const char *memory)
{
	uint64_t first;

	memcpy(&first, memory, sizeof(first));
	return !first;
}

static uint32_t blocks_of(uint64_t size)
{
	return (uint32_t)((size + VFS_BLOCK - 1) / VFS_BLOCK);
}

/* Of all that counts but struct vfs_journal. Every block is read if need be. */
static int sum_up(struct file *file, uint64_t length, uint32_t *out_crc)
{
	uint32_t i, from, to, crc = ~0U;
	struct block *block;
	int ret;

	for (i = 0; i < blocks_of(length); i++) {
		ret = cache_read(file, i, 1, &block);
		if (ret)
			return ret;
		from = 0;
		to = (uint32_t)MIN(length - (uint64_t)i * VFS_BLOCK, VFS_BLOCK);
		if (!i) {
			crc = crc32c(crc, block->memory, VFS_JOURNAL_AT);
			from = MIN((uint32_t)HEAD_END, to);
		}
		crc = crc32c(crc, block->memory + from, to - from);
	}
	*out_crc = crc;
	return 0;
}

/* Does a journal on the disk count? */
static int judge(struct file *file, const char *memory, bool *out_there)
{
	struct vfs_journal head;
	uint32_t crc;
	int ret;

	*out_there = false;
	memcpy(&head, memory + VFS_JOURNAL_AT, sizeof(head));
	if (head.magic != VFS_JOURNAL_MAGIC || head.length > (uint64_t)file->blocks * VFS_BLOCK ||
	    head.length < HEAD_END)
		return 0;
	if (head.flags & VFS_JOURNAL_CHECKED) {
		if (blocks_of(head.length) > CHECK_BLOCKS)
			return 0;
		file->size = head.length;
		ret = sum_up(file, head.length, &crc);
		if (ret || crc != head.crc) {
			file->size = 0;
			return ret;
		}
	}
	file->size = head.length;
	*out_there = true;
	return 0;
}

static int look_at_disk(struct file *file)
{
	struct block *block;
	bool there;
	int ret = 0;

	file->size = 0;
	there = file->blocks != 0;
	if (there) {
		ret = cache_read(file, 0, 1, &block);
		if (ret)
			return ret;
		there = !is_zero(block->memory);
	}
	if (there && file->kind == VFS_KIND_WAL)
		file->size = (uint64_t)file->blocks * VFS_BLOCK;
	else if (there)
		ret = judge(file, block->memory, &there);
	file->there = file->head = there;
	return ret;
}

/**
 * journal_know() - find out whether it is there
 * @file: a journal or a WAL, of which this process has nothing that is dirty
 *
 * Return: 0 or -errno.
 */
int journal_know(struct file *file)
{
	struct share_file *shared = file->shared;
	int ret = 0;

	switch (__atomic_load_n(&shared->state, __ATOMIC_ACQUIRE)) {
	case SHARE_THERE:
		file->there = file->head = true;
		file->size = shared->size;
		break;
	case SHARE_ABSENT:
		file->there = file->head = false;
		file->size = 0;
		break;
	default:
		ret = look_at_disk(file);
	}
	/* Who left it may have made it durable. */
	file->synced = file->head;
	file->known = !ret;
	return ret;
}

void journal_make(struct file *file)
{
	cache_drop(file, 0);
	file->there = true;
	file->size = 0;
	file->synced = false;
	file->known = true;
}

void journal_there(struct file *file)
{
	file->there = true;
	file->head = true;
	__atomic_store_n(&file->shared->size, file->size, __ATOMIC_RELAXED);
	__atomic_store_n(&file->shared->state, SHARE_THERE, __ATOMIC_RELEASE);
}

/* Writing -------------------------------------------------------------------------------------- */

static void set_head(struct block *first, uint64_t length, uint32_t flags, uint32_t crc)
{
	struct vfs_journal head = {
		.magic = VFS_JOURNAL_MAGIC,
		.length = length,
		.flags = flags,
		.crc = crc,
	};

	memcpy(first->memory + VFS_JOURNAL_AT, &head, sizeof(head));
}

static bool all_here(const struct file *file, uint32_t count)
{
	uint32_t i;

	if (count > file->map_room)
		return false;
	for (i = 0; i < count; i++)
		if (!file->map[i])
			return false;
	return true;
}

/* All dirty blocks but the first of the file. */
static int write_rest(struct file *file, bool durable)
{
	struct block *first = NULL;
	uint32_t i;
	bool fua;
	int ret;

	for (i = 0; i < file->nr_dirty; i++)
		if (!file->dirty[i]->index)
			break;
	if (i < file->nr_dirty) {
		first = file->dirty[i];
		first->dirty = false;
		file->dirty[i] = file->dirty[--file->nr_dirty];
	}
	fua = durable && !file->shared->unflushed && !file->shared->uncommitted && flush_runs(file) <= FLUSH_FEW;
	ret = flush_dirty(file, fua);
	if (!ret && durable && file->shared->uncommitted)
		ret = extent_commit(file);
	else if (!ret && durable && file->shared->unflushed)
		ret = flush_wait(file);
	if (first)
		cache_dirty(first);	/* there is room: it was there before */
	return ret;
}

static int write_first(struct file *file, bool durable)
{
	bool fua = durable && !file->shared->unflushed && !file->shared->uncommitted;
	int ret;

	ret = flush_dirty(file, fua);
	if (!ret && durable && file->shared->uncommitted)
		ret = extent_commit(file);
	else if (!ret && durable && file->shared->unflushed)
		ret = flush_wait(file);
	return ret;
}

/* The journal counts from here on, or more of it does (V3). */
static int write_live(struct file *file, struct block *first, bool durable)
{
	uint32_t count = blocks_of(file->size), crc, flags = 0;
	int ret;

	if (!file->head)
		__atomic_store_n(&file->shared->state, SHARE_UNKNOWN, __ATOMIC_RELEASE);
	if (!file->head && count <= CHECK_BLOCKS && all_here(file, count)) {
		ret = sum_up(file, file->size, &crc);
		flags = VFS_JOURNAL_CHECKED;
	} else {
		first->pins++;
		ret = write_rest(file, durable);
		first->pins--;
		crc = 0;
	}
	if (ret)
		return ret;
	set_head(first, file->size, flags, crc);
	ret = cache_dirty(first);
	if (!ret)
		ret = write_first(file, durable);
	if (!ret)
		journal_there(file);
	flush_tell(file);
	return ret;
}

/* Its first 8 bytes are zeros: SQLite did that (journal_mode=persist), or hasn't written them yet. */
static int write_dead(struct file *file, bool durable)
{
	int ret = 0;

	if (file->head && file->main) {
		/* It is dead in memory: there is nothing of it that must be written first. */
		file->main->journal = NULL;
		ret = flush_file(file->main, 0);
		file->main->journal = file;
	}
	if (ret)
		return ret;
	if (file->head)
		__atomic_store_n(&file->shared->state, SHARE_UNKNOWN, __ATOMIC_RELEASE);
	ret = write_first(file, durable);
	if (ret)
		return ret;
	file->head = false;
	__atomic_store_n(&file->shared->state, SHARE_ABSENT, __ATOMIC_RELEASE);
	flush_tell(file);
	return 0;
}

int journal_flush(struct file *file, uint32_t flags)
{
	bool durable = flags & FLUSH_DURABLE;
	struct block *first;
	int ret;

	if (!file->there)
		return 0;
	if (durable)
		file->synced = true;
	if (!file->nr_dirty)
		return durable && file->shared->unflushed ? flush_wait(file) : 0;
	if (flags & FLUSH_EVICT)
		return write_rest(file, false);
	if (!file->size)
		return 0;
	ret = cache_read(file, 0, 1, &first);
	if (ret)
		return ret;
	return is_zero(first->memory) ? write_dead(file, durable) : write_live(file, first, durable);
}

/* Much was written once: let others have it. It can wait until somebody commits. */
static int give_back(struct file *file)
{
	return file->blocks > KEEP_BLOCKS ? extent_cut(file, KEEP_BLOCKS) : 0;
}

int journal_zero(struct file *file)
{
	struct block *first;
	int ret = 0;

	if (file->head && file->main && file->main->nr_dirty)
		ret = flush_file(file->main, 0);
	if (ret)
		return ret;
	if (file->head) {
		cache_drop(file, 0);
		file->size = 0;
		ret = cache_new(file, 0, true, &first);
		if (!ret)
			ret = cache_dirty(first);
		if (ret)
			return ret;
		__atomic_store_n(&file->shared->state, SHARE_UNKNOWN, __ATOMIC_RELEASE);
		ret = write_first(file, file->synced || file->kind == VFS_KIND_WAL);
		if (ret)
			return ret;
		file->head = false;
		__atomic_store_n(&file->shared->state, SHARE_ABSENT, __ATOMIC_RELEASE);
		flush_tell(file);
	}
	cache_drop(file, 0);
	file->size = 0;
	return give_back(file);
}
