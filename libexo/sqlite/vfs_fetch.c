// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pages in place (xFetch). A page that is more than a block is shown where its blocks' frames are side by side: they are read so, or,
 * if they are here already and apart, put so once. What is dirty, or used in place by another page size, stays where
 * it is: then SQLite reads, which copies.
 */
#include <errno.h>

#include "vfs.h"

#define AHEAD_MAX 32U
#define SPAN_MAX 16U	/* SQLite's largest page */

static struct block *known(const struct file *file, uint32_t index)
{
	return index < file->map_room ? file->map[index] : NULL;
}

static bool side_by_side(const struct file *file, uint32_t index, uint32_t count)
{
	const struct block *first = known(file, index);
	uint32_t i;

	for (i = 1; first && i < count; i++)
		if (known(file, index + i) != first + i)
			return false;
	return first;
}

static bool missing(const struct file *file, uint32_t index, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (known(file, index + i))
			return false;
	return true;
}

/* None of its blocks is here. Who reads on from where the last reading ended reads on: further such pages, too. */
static int read_pages(struct file *file, uint32_t index, uint32_t count)
{
	uint32_t frames[AHEAD_MAX], most = index == file->next_read ? AHEAD_MAX / count : 1, n, i;
	uint32_t end = (uint32_t)MIN(file->size / VFS_BLOCK, (uint64_t)file->blocks);
	struct block *got[AHEAD_MAX / 2];
	int ret = -ENOMEM;

	for (n = 0; n < most && index + (n + 1) * count <= end; n++) {
		got[n] = missing(file, index + n * count, count) ? cache_group(count) : NULL;
		if (!got[n])
			break;
		for (i = 0; i < count; i++)
			frames[n * count + i] = got[n][i].frame;
	}
	if (n)
		ret = flush_read(file, index, frames, n * count);
	for (i = 0; i < n; i++) {
		if (!ret)
			ret = cache_place(file, index + i * count, got[i], count);
		cache_unpin(got[i], count);
	}
	if (!ret)
		file->next_read = index + n * count;
	return ret;
}

/* Some are. */
static int gather(struct file *file, uint32_t index, uint32_t count)
{
	struct block *first, *old;
	uint32_t i;
	int ret = 0;

	for (i = 0; i < count; i++) {
		old = known(file, index + i);
		if (old && (old->dirty || old->pins))
			return -EBUSY;
	}
	first = cache_group(count);
	if (!first)
		return -ENOMEM;
	vfs.stats.copied++;
	for (i = 0; !ret && i < count; i++) {
		old = known(file, index + i);
		if (old)
			memcpy(first[i].memory, old->memory, VFS_BLOCK);
		else
			ret = flush_read(file, index + i, &first[i].frame, 1);
	}
	if (!ret)
		ret = cache_place(file, index, first, count);
	cache_unpin(first, count);
	return ret;
}

/* The first block of a page, with the others behind it, or NULL. */
static struct block *find(struct file *file, uint32_t index, uint32_t count)
{
	struct block *first;
	uint32_t i;
	int ret = 0;

	if (count == 1)
		return cache_read(file, index, 1, &first) ? NULL : first;
	if (!side_by_side(file, index, count))
		ret = missing(file, index, count) ? read_pages(file, index, count) :
						    gather(file, index, count);
	else
		vfs.stats.hits += count;
	if (ret)
		return NULL;
	first = file->map[index];
	if (first->pins && first->span != count)
		return NULL;
	for (i = 0; i < count; i++)
		first[i].used = true;
	return first;
}

static void *show(struct file *file, uint64_t at, uint32_t size)
{
	uint32_t in = (uint32_t)(at % VFS_BLOCK), count = (in + size + VFS_BLOCK - 1) / VFS_BLOCK, i;
	struct block *first;

	if (count > SPAN_MAX || (count > 1 && (in || size % VFS_BLOCK || count & (count - 1))))
		return NULL;
	first = find(file, (uint32_t)(at / VFS_BLOCK), count);
	if (!first)
		return NULL;
	first->span = count;
	for (i = 0; i < count; i++)
		first[i].pins++;
	vfs.stats.fetched++;
	return first->memory + in;
}

int fetch_page(sqlite3_file *base, sqlite3_int64 at, int count, void **out_page)
{
	struct conn *conn = (struct conn *)base;
	struct file *file = conn->file;
	int ret;

	*out_page = NULL;
	if (at + count > conn->mmap_size)
		return SQLITE_OK;
	pthread_mutex_lock(&vfs.lock);
	ret = file_look(file);
	/* If there is an error it will be read, and the error be seen, then. */
	if (!ret && (uint64_t)(at + count) <= file->size) {
		*out_page = show(file, (uint64_t)at, (uint32_t)count);
		vfs.stats.copied += !*out_page;
	}
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_MMAP) : SQLITE_OK;
}

int fetch_done(sqlite3_file *base, sqlite3_int64 at, void *page)
{
	struct file *file = ((struct conn *)base)->file;
	struct block *first;
	const char *memory;

	if (!page)
		return SQLITE_OK;
	memory = (const char *)page - at % VFS_BLOCK;
	pthread_mutex_lock(&vfs.lock);
	first = known(file, (uint32_t)(at / VFS_BLOCK));
	/* It may have left the file's table since. */
	if (unlikely(!first || first->memory != memory))
		first = cache_at(memory);
	if (first)
		cache_unpin(first, first->span);
	pthread_mutex_unlock(&vfs.lock);
	return SQLITE_OK;
}
