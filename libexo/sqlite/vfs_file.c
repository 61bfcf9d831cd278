// SPDX-License-Identifier: LGPL-2.1-or-later
/* What SQLite asks of an open file. */
#include <errno.h>
#include <stdlib.h>

#include "vfs.h"

static struct file *of(sqlite3_file *base)
{
	return ((struct conn *)base)->file;
}

static uint32_t blocks_of(uint64_t size)
{
	return (uint32_t)((size + VFS_BLOCK - 1) / VFS_BLOCK);
}

/* A write that nobody could be told of. */
static int late_error(struct file *file)
{
	int ret = file->error;

	file->error = 0;
	return ret;
}

/* A journal that this process is writing: nobody else can know more of it. */
static bool is_private(const struct file *file)
{
	return file->kind != VFS_KIND_PLAIN && file->nr_dirty;
}

int file_catch_up(struct file *file)
{
	uint32_t map = __atomic_load_n(&file->shared->map, __ATOMIC_ACQUIRE);
	uint32_t data = __atomic_load_n(&file->shared->data, __ATOMIC_ACQUIRE);
	int ret;

	if (share_lost(file->volume->share))
		return -EIO;
	if (map != file->map_seen) {
		ret = extent_load(file);
		if (ret)
			return ret;
		if (file->kind == VFS_KIND_PLAIN && !file->nr_dirty)
			file->size = file->said;
		cache_drop(file, file->blocks);
		file->map_seen = map;
	}
	if (data != file->data_seen) {
		cache_forget(file);
		file->data_seen = data;
	}
	return file->kind == VFS_KIND_PLAIN || is_private(file) ? 0 : journal_know(file);
}

/* Reading, writing --------------------------------------------------------------------------- */

static int read_bytes(struct file *file, char *to, uint32_t count, uint64_t at)
{
	struct block *block;
	uint32_t in, n;
	int ret;

	for (; count; to += n, at += n, count -= n) {
		in = (uint32_t)(at % VFS_BLOCK);
		n = MIN(count, VFS_BLOCK - in);
		ret = cache_read(file, (uint32_t)(at / VFS_BLOCK), blocks_of(in + count), &block);
		if (ret)
			return ret;
		memcpy(to, block->memory + in, n);
	}
	return 0;
}

static int on_read(sqlite3_file *base, void *to, int count, sqlite3_int64 at)
{
	struct file *file = of(base);
	uint64_t have;
	int ret;

	pthread_mutex_lock(&vfs.lock);
	ret = file_look(file);
	if (!ret) {
		have = (uint64_t)at < file->size ? file->size - (uint64_t)at : 0;
		have = MIN(have, (uint64_t)count);
		ret = read_bytes(file, to, (uint32_t)have, (uint64_t)at);
	}
	pthread_mutex_unlock(&vfs.lock);
	if (unlikely(ret))
		return vfs_code(ret, SQLITE_IOERR_READ);
	if (likely(have == (uint64_t)count))
		return SQLITE_OK;
	memset((char *)to + have, 0, (size_t)((uint64_t)count - have));
	return SQLITE_IOERR_SHORT_READ;
}

/* Between the end and where is written there are zeros. */
static int fill_hole(struct file *file, uint64_t at)
{
	uint32_t first = blocks_of(file->size), end = (uint32_t)(at / VFS_BLOCK), in, n;
	struct block *block;
	struct run *run;
	int ret = 0;

	in = (uint32_t)(file->size % VFS_BLOCK);
	if (in) {
		ret = cache_read(file, first - 1, 1, &block);
		if (ret)
			return ret;
		memset(block->memory + in, 0, VFS_BLOCK - in);
		ret = cache_dirty(block);
	}
	for (; !ret && first < end && first < file->used; first += n) {
		ret = share_lost(file->volume->share) ? -EIO : extent_find(file, first, &run);
		if (ret)
			break;
		n = MIN(run->count - (first - run->start), end - first);
		ret = exo_xn_io_zero(vfs.xn, run->binding, first - run->start, n, 0);
		__atomic_store_n(&file->shared->unflushed, 1, __ATOMIC_SEQ_CST);
	}
	return ret;
}

static int write_bytes(struct file *file, const char *from, uint32_t count, uint64_t at)
{
	struct block *block;
	uint32_t in, n, index;
	int ret;

	for (; count; from += n, at += n, count -= n) {
		index = (uint32_t)(at / VFS_BLOCK);
		in = (uint32_t)(at % VFS_BLOCK);
		n = MIN(count, VFS_BLOCK - in);
		if (n == VFS_BLOCK)
			ret = cache_new(file, index, false, &block);
		else if (at - in >= file->size)
			ret = cache_new(file, index, true, &block);
		else
			ret = cache_read(file, index, 1, &block);
		if (!ret)
			ret = cache_dirty(block);
		if (ret)
			return ret;
		memcpy(block->memory + in, from, n);
		if (at + n > file->size)
			file->size = at + n;
	}
	file->there = true;
	return 0;
}

/* journal_mode=persist: zeros in its head mean that it counts no more (V2). */
static bool kills(const struct file *file, const char *from, uint32_t count, uint64_t at)
{
	uint64_t first;

	if (file->kind != VFS_KIND_JOURNAL || at || count < sizeof(first))
		return false;
	memcpy(&first, from, sizeof(first));
	return !first;
}

static int write_locked(struct file *file, const char *from, uint32_t count, uint64_t at)
{
	int ret = late_error(file);

	if (!ret)
		ret = file_look(file);
	if (!ret && kills(file, from, count, at) && file->main && file->main->nr_dirty)
		ret = flush_file(file->main, 0);
	if (!ret && blocks_of(at + count) > file->blocks)
		ret = extent_grow(file, blocks_of(at + count));
	if (!ret && at > file->size)
		ret = fill_hole(file, at);
	return ret ? ret : write_bytes(file, from, count, at);
}

static int on_write(sqlite3_file *base, const void *from, int count, sqlite3_int64 at)
{
	struct file *file = of(base);
	int ret;

	if (at + count > (sqlite3_int64)UINT32_MAX * VFS_BLOCK)
		return SQLITE_FULL;
	pthread_mutex_lock(&vfs.lock);
	ret = ((struct conn *)base)->read_only ? -EROFS :
	      write_locked(file, from, (uint32_t)count, (uint64_t)at);
	pthread_mutex_unlock(&vfs.lock);
	return likely(!ret) ? SQLITE_OK : vfs_code(ret, SQLITE_IOERR_WRITE);
}

static int truncate_locked(struct conn *conn, struct file *file, uint64_t size)
{
	uint32_t keep = blocks_of(size);
	struct block *first;
	int ret = file_look(file);

	if (ret || size >= file->size)
		return ret;
	if (file->kind != VFS_KIND_PLAIN && !size) {
		ret = journal_zero(file);
		file->there = true;
		return ret;
	}
	cache_drop(file, keep);
	file->size = size;
	if (file->kind == VFS_KIND_JOURNAL) {
		ret = cache_read(file, 0, 1, &first);
		return ret ? ret : cache_dirty(first);
	}
	if (file->kind == VFS_KIND_PLAIN && file->blocks > 2 * keep + 256)
		ret = extent_cut(file, keep);
	(void)conn;
	return ret;
}

static int on_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct conn *conn = (struct conn *)base;
	int ret;

	if (conn->chunk > 0)
		size = (size + conn->chunk - 1) / conn->chunk * conn->chunk;
	pthread_mutex_lock(&vfs.lock);
	ret = truncate_locked(conn, conn->file, (uint64_t)size);
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_TRUNCATE) : SQLITE_OK;
}

static int on_sync(sqlite3_file *base, int flags)
{
	struct file *file = of(base);
	int ret;

	(void)flags;
	pthread_mutex_lock(&vfs.lock);
	ret = late_error(file);
	if (!ret)
		ret = flush_file(file, FLUSH_DURABLE);
	pthread_mutex_unlock(&vfs.lock);
	return likely(!ret) ? SQLITE_OK : vfs_code(ret, SQLITE_IOERR_FSYNC);
}

static int on_size(sqlite3_file *base, sqlite3_int64 *out_size)
{
	struct file *file = of(base);
	int ret;

	pthread_mutex_lock(&vfs.lock);
	ret = file_look(file);
	*out_size = (sqlite3_int64)file->size;
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_FSTAT) : SQLITE_OK;
}

/*
 * All of a database goes to the disk, so that it outlives the process. SQLite may have written the WAL's index, by which others
 * learn of the transaction, where nobody will find it (V8).
 */
static int write_all(struct file *file)
{
	int ret = file->wal && file->wal->nr_dirty ? flush_file(file->wal, 0) : 0;

	if (share_lost(file->volume->share))
		return -EIO;

	return ret ? ret : flush_back(file);
}

static int control_locked(struct conn *conn, int op, void *arg)
{
	struct file *file = conn->file;
	sqlite3_int64 wanted;
	int ret;

	switch (op) {
	case SQLITE_FCNTL_LOCKSTATE:
		*(int *)arg = conn->level;
		return SQLITE_OK;
	case SQLITE_FCNTL_SIZE_HINT:
		wanted = *(sqlite3_int64 *)arg;
		ret = file_look(file);
		if (!ret && wanted > 0 && blocks_of((uint64_t)wanted) > file->blocks)
			ret = extent_grow(file, blocks_of((uint64_t)wanted));
		return ret ? vfs_code(ret, SQLITE_IOERR_WRITE) : SQLITE_OK;
	case SQLITE_FCNTL_CHUNK_SIZE:
		conn->chunk = *(int *)arg;
		return SQLITE_OK;
	case SQLITE_FCNTL_PERSIST_WAL:
		if (*(int *)arg >= 0)
			conn->persist_wal = *(int *)arg != 0;
		*(int *)arg = conn->persist_wal;
		return SQLITE_OK;
	case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
		if (*(int *)arg >= 0)
			conn->powersafe_off = !*(int *)arg;
		*(int *)arg = !conn->powersafe_off;
		return SQLITE_OK;
	case SQLITE_FCNTL_HAS_MOVED:
		*(int *)arg = file->deleted;
		return SQLITE_OK;
	case SQLITE_FCNTL_MMAP_SIZE:
		wanted = *(sqlite3_int64 *)arg;
		*(sqlite3_int64 *)arg = conn->mmap_size;
		if (wanted >= 0)
			conn->mmap_size = wanted;
		return SQLITE_OK;
	case SQLITE_FCNTL_COMMIT_PHASETWO:
	case SQLITE_FCNTL_CKPT_DONE:
		ret = write_all(file);
		return ret ? vfs_code(ret, SQLITE_IOERR_WRITE) : SQLITE_OK;
	default:
		return SQLITE_NOTFOUND;
	}
}

static int on_control(sqlite3_file *base, int op, void *arg)
{
	int ret;

	if (op == SQLITE_FCNTL_VFSNAME) {
		*(char **)arg = vfs.calls.mprintf("exo");
		return SQLITE_OK;
	}
	pthread_mutex_lock(&vfs.lock);
	ret = control_locked((struct conn *)base, op, arg);
	pthread_mutex_unlock(&vfs.lock);
	return ret;
}

static int on_sector(sqlite3_file *base)
{
	(void)base;
	return VFS_BLOCK;
}

/*
 * SAFE_APPEND: a file's recorded length never covers what isn't durable. POWERSAFE_OVERWRITE: around what is
 * written the same bytes are written again. Nothing is promised of the order of writes.
 */
static int on_characteristics(sqlite3_file *base)
{
	int flags = SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;

	if (vfs.logical >= VFS_BLOCK)
		flags |= SQLITE_IOCAP_ATOMIC4K;
	if (!((struct conn *)base)->powersafe_off)
		flags |= SQLITE_IOCAP_POWERSAFE_OVERWRITE;
	return flags;
}

static int on_close(sqlite3_file *base)
{
	struct conn *conn = (struct conn *)base;
	struct file *file = conn->file;
	int ret = 0;

	pthread_mutex_lock(&vfs.lock);
	if (conn->level)
		ret = lock_give(conn, SQLITE_LOCK_NONE);
	if (conn->has_shm) {
		pthread_mutex_unlock(&vfs.lock);
		wal_unmap(base, 0);
		pthread_mutex_lock(&vfs.lock);
	}
	if (!--file->refs) {
		file->volume->refs--;
		if (!share_guard(file->volume->share)) {
			file->shared->users &= ~share_bit(share_seat(file->volume->share));
			share_unguard(file->volume->share);
		}
		if (file->kind == VFS_KIND_PLAIN && !file->deleted && !ret)
			ret = flush_back(file);
		if (file->deleted)
			file_free(file);
		else if (conn->delete_on_close && file->kind == VFS_KIND_PLAIN)
			ret = volume_delete(file);
	}
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_CLOSE) : SQLITE_OK;
}

const sqlite3_io_methods file_methods = {
	.iVersion = 3,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = lock_file,
	.xUnlock = lock_unlock,
	.xCheckReservedLock = lock_check_reserved,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_characteristics,
	.xShmMap = wal_map,
	.xShmLock = wal_lock,
	.xShmBarrier = wal_barrier,
	.xShmUnmap = wal_unmap,
	.xFetch = fetch_page,
	.xUnfetch = fetch_done,
};
