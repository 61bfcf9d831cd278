// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Dirty blocks go to the disk.
 *
 * V1: blocks of a database are written only when its journal's dirty blocks have been. V2: a journal's first
 * block is zeroed only when all dirty blocks of the database have been written. Both hold for what the
 * device has been given, so that they hold when the process dies; against a loss of power SQLite's
 * own xSync calls put flushes between.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs.h"


/* Between frames and a file's blocks, which may be in several runs. */
static int transfer(struct file *file, uint32_t index, const uint32_t *frames, uint32_t count,
		    int flags)
{
	struct run *run;
	uint32_t n;
	int ret = share_lost(file->volume->share) ? -EIO : 0;

	for (; !ret && count; index += n, frames += n, count -= n) {
		ret = extent_find(file, index, &run);
		if (ret)
			return ret;
		n = MIN(count, run->count - (index - run->start));
		n = MIN(n, EXO_XN_IO_BLOCKS);
		if (flags < 0) {
			ret = exo_xn_io_read(vfs.xn, run->binding, index - run->start, frames, n);
			vfs.stats.reads++;
			vfs.stats.blocks_read += n;
		} else {
			ret = exo_xn_io_write(vfs.xn, run->binding, index - run->start, frames, n,
					      (uint32_t)flags);
			vfs.stats.writes++;
			vfs.stats.blocks_written += n;
			vfs.stats.durable += flags ? 1 : 0;
		}
	}
	return ret;
}

int flush_read(struct file *file, uint32_t index, const uint32_t *frames, uint32_t count)
{
	return transfer(file, index, frames, count, -1);
}

int flush_write(struct file *file, uint32_t index, const uint32_t *frames, uint32_t count,
		bool durable)
{
	return transfer(file, index, frames, count, durable ? (int)EXO_XN_IO_DURABLE : 0);
}

/* All that was written before is durable. */
int flush_wait(struct file *file)
{
	struct run *run;
	int ret;

	if (!file->nr_runs)
		return 0;
	if (share_lost(file->volume->share))
		return -EIO;
	ret = extent_find(file, 0, &run);
	vfs.stats.flushes++;
	/* Before: what others write meanwhile may not be covered. */
	__atomic_store_n(&file->shared->unflushed, 0, __ATOMIC_SEQ_CST);
	if (!ret)
		ret = exo_xn_io_flush(vfs.xn, run->binding);
	if (ret)
		file->shared->unflushed = 1;
	return ret;
}

static int by_index(const void *a, const void *b)
{
	uint32_t x = (*(struct block *const *)a)->index, y = (*(struct block *const *)b)->index;

	return x < y ? -1 : x > y;
}

/* Sorted; SQLite mostly writes them so. */
static void sort(struct file *file)
{
	uint32_t i;

	for (i = 1; i < file->nr_dirty; i++)
		if (file->dirty[i - 1]->index > file->dirty[i]->index)
			break;
	if (i < file->nr_dirty)
		qsort(file->dirty, file->nr_dirty, sizeof(*file->dirty), by_index);
}

/* How many of the dirty blocks from the one at @at on are one after the other. */
static uint32_t run_at(const struct file *file, uint32_t at)
{
	uint32_t i;

	for (i = at + 1; i < file->nr_dirty && i - at < EXO_XN_IO_BLOCKS; i++)
		if (file->dirty[i]->index != file->dirty[i - 1]->index + 1)
			break;
	return i - at;
}

uint32_t flush_runs(struct file *file)
{
	uint32_t at, runs = 0;

	sort(file);
	for (at = 0; at < file->nr_dirty && runs <= FLUSH_FEW; at += run_at(file, at))
		runs++;
	return runs;
}

/* The first @done of the dirty blocks are dirty no more. */
static void settle(struct file *file, uint32_t done)
{
	uint32_t i;

	for (i = 0; i < done; i++)
		file->dirty[i]->dirty = false;
	file->nr_dirty -= done;
	memmove(file->dirty, file->dirty + done, file->nr_dirty * sizeof(*file->dirty));
}

int flush_dirty(struct file *file, bool durable)
{
	uint32_t frames[EXO_XN_IO_BLOCKS], at = 0, n, i;
	int ret = 0;

	sort(file);
	while (at < file->nr_dirty) {
		n = run_at(file, at);
		for (i = 0; i < n; i++)
			frames[i] = file->dirty[at + i]->frame;
		ret = flush_write(file, file->dirty[at]->index, frames, n, durable);
		if (ret)
			break;
		at += n;
	}
	if (at) {
		if (!durable)
			__atomic_store_n(&file->shared->unflushed, 1, __ATOMIC_SEQ_CST);
		n = file->dirty[at - 1]->index + 1;
		if (n > file->used)
			file->used = n;
	}
	settle(file, at);
	return ret;
}

/* Others have to read anew what they know of its blocks. */
void flush_tell(struct file *file)
{
	uint32_t now = __atomic_add_fetch(&file->shared->data, 1, __ATOMIC_ACQ_REL);

	if (now == file->data_seen + 1)
		file->data_seen = now;
}

/*
 * What is dirty of a file goes to the disk. FLUSH_DURABLE: and so does its size, and all of it is durable
 * when this returns. Where units changed one transaction, behind a flush, does it all.
 */
int flush_file(struct file *file, uint32_t flags)
{
	bool durable = flags & FLUSH_DURABLE, any = file->nr_dirty, fua;
	int ret = 0;

	if (file->deleted)
		return 0;
	if (file->kind == VFS_KIND_JOURNAL)
		return journal_flush(file, flags);
	if (any && file->journal && file->journal->nr_dirty)
		ret = journal_flush(file->journal, 0);
	if (ret)
		return ret;
	fua = durable && !file->shared->unflushed && !file->shared->uncommitted &&
	      (file->kind == VFS_KIND_WAL || file->size == file->said) &&
	      flush_runs(file) <= FLUSH_FEW;
	if (file->kind == VFS_KIND_WAL && any && !file->head)
		__atomic_store_n(&file->shared->state, SHARE_UNKNOWN, __ATOMIC_RELEASE);
	ret = flush_dirty(file, fua);
	if (!ret && any && file->kind == VFS_KIND_WAL)
		journal_there(file);
	if (any)
		flush_tell(file);
	if (!ret && file->kind == VFS_KIND_PLAIN && file->size != file->said)
		ret = extent_say_size(file);
	if (ret || !durable || fua)
		return ret;
	if (file->shared->uncommitted)
		return extent_commit(file);
	return file->shared->unflushed ? flush_wait(file) : 0;
}

int flush_back(struct file *file)
{
	if (file->nr_dirty || (file->kind == VFS_KIND_PLAIN && file->size != file->said))
		return flush_file(file, 0);
	return 0;
}
