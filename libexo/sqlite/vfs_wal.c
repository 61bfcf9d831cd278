// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The WAL's index in memory that processes share, and its locks.
 *
 * V5: what one process has written of a WAL is on the disk before another can learn of it: before a barrier
 * returns and before an exclusive lock is given up. So a WAL's blocks may stay dirty until the commit,
 * which is one write then.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs.h"

/**
 * struct wal_memory - a database's WAL memory in this process
 * @refs: connections that have it
 * @shared: connections of this process that have each lock shared
 * @exclusive: locks that one of them has exclusively
 */
struct wal_memory {
	uint32_t refs;
	uint32_t shared[SHARE_SHM_LOCKS];
	uint16_t exclusive;
};

static int attach(struct conn *conn)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	int ret;

	if (!file->memory) {
		file->memory = calloc(1, sizeof(*file->memory));
		if (!file->memory)
			return -ENOMEM;
	}
	if (!file->memory->refs) {
		if (share_guard(share))
			return -EIO;
		/* The first one finds nothing: SQLite then makes the index from the WAL. */
		if (!share_alive(share, file->shared->shm_users))
			share_segments_free(share, file->shared);
		/* Before it counts as one who has them: who leaves lets them go. */
		ret = share_segments_get(share, file->shared);
		if (!ret)
			file->shared->shm_users |= share_bit(share_seat(share));
		else
			share_segments_put(share, file->shared);
		if (share_unguard(share))
			return -EIO;
		if (ret)
			return ret;
	}
	file->memory->refs++;
	conn->has_shm = true;
	return 0;
}

/* Somebody added a segment. */
static bool is_behind(const struct share_file *shared, const struct share *share)
{
	return __atomic_load_n(&shared->behind, __ATOMIC_ACQUIRE) & share_bit(share_seat(share));
}

static int map_locked(struct conn *conn, uint32_t region, bool extend, void volatile **out)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	void *at;
	int ret;

	if (region >= SHARE_FILE_SEGMENTS)
		return extend ? -ENOSPC : 0;
	ret = conn->has_shm ? 0 : attach(conn);
	if (!ret && extend && file->shared->nr_segments <= region) {
		ret = share_guard(share);
		if (ret)
			return ret;
		ret = share_segments_get(share, file->shared);
		while (!ret && file->shared->nr_segments <= region)
			ret = share_segment_add(share, file->shared);
		if (share_unguard(share))
			ret = -EIO;
	}
	if (!ret && is_behind(file->shared, share)) {
		ret = share_guard(share);
		if (ret)
			return ret;
		ret = share_segments_get(share, file->shared);
		if (share_unguard(share))
			ret = -EIO;
	}
	if (!ret && region < __atomic_load_n(&file->shared->nr_segments, __ATOMIC_ACQUIRE)) {
		ret = share_segment(share, file->shared->segment[region], &at);
		if (!ret)
			*out = at;
	}
	return share_lost(share) ? -EIO : ret;
}

int wal_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
	int ret;

	*out = NULL;
	if (size != SHARE_SEGMENT)
		return SQLITE_IOERR_SHMMAP;
	pthread_mutex_lock(&vfs.lock);
	ret = map_locked((struct conn *)base, (uint32_t)region, extend, out);
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_SHMMAP) : SQLITE_OK;
}

/* With the guard: does another process have one of these locks, against what is wanted? */
static bool taken(struct file *file, uint16_t mask, bool exclusive)
{
	struct share *share = file->volume->share;
	struct share_file *shared = file->shared;
	uint32_t i, seat = share_seat(share);

	for (i = 0; i < SHARE_SHM_LOCKS; i++) {
		if (!(mask >> i & 1))
			continue;
		if (shared->shm_exclusive[i] && shared->shm_exclusive[i] != seat + 1 &&
		    share_alive(share, share_bit(shared->shm_exclusive[i] - 1U)))
			return true;
		if (exclusive && shared->shm_shared[i] & ~share_bit(seat) &&
		    share_alive(share, shared->shm_shared[i]))
			return true;
	}
	return false;
}

/* -EIO: nobody here had them any more. */
static int give_up(struct conn *conn, uint16_t mask)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	struct wal_memory *memory = file->memory;
	uint64_t keep = ~share_bit(share_seat(share));
	uint32_t i;
	int ret;

	ret = share_guard(share);
	for (i = 0; i < SHARE_SHM_LOCKS; i++) {
		if (!(mask >> i & 1))
			continue;
		if (conn->shm_exclusive >> i & 1) {
			if (!ret)
				file->shared->shm_exclusive[i] = 0;
		} else if (conn->shm_shared >> i & 1 && !--memory->shared[i] && !ret) {
			file->shared->shm_shared[i] &= keep;
		}
	}
	if (!ret)
		ret = share_unguard(share);
	memory->exclusive &= (uint16_t)~(conn->shm_exclusive & mask);
	conn->shm_exclusive &= (uint16_t)~mask;
	conn->shm_shared &= (uint16_t)~mask;
	return ret;
}

static int take_shared(struct conn *conn, uint16_t mask)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	uint32_t i = (uint32_t)__builtin_ctz(mask);
	int ret = SQLITE_OK;

	if (conn->shm_shared & mask)
		return SQLITE_OK;
	if (file->memory->exclusive & mask)
		return SQLITE_BUSY;
	if (!file->memory->shared[i]) {
		if (share_guard(share))
			return SQLITE_IOERR_SHMLOCK;
		if (taken(file, mask, false))
			ret = SQLITE_BUSY;
		else
			file->shared->shm_shared[i] |= share_bit(share_seat(share));
		if (share_unguard(share))
			return SQLITE_IOERR_SHMLOCK;
	}
	if (ret == SQLITE_OK) {
		file->memory->shared[i]++;
		conn->shm_shared |= mask;
	}
	return ret;
}

static int take_exclusive(struct conn *conn, uint16_t mask)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	int ret = SQLITE_OK;
	uint32_t i;

	if ((conn->shm_exclusive & mask) == mask)
		return SQLITE_OK;
	if (file->memory->exclusive & mask)
		return SQLITE_BUSY;
	for (i = 0; i < SHARE_SHM_LOCKS; i++)
		if (mask >> i & 1 && file->memory->shared[i])
			return SQLITE_BUSY;
	if (share_guard(share))
		return SQLITE_IOERR_SHMLOCK;
	if (taken(file, mask, true))
		ret = SQLITE_BUSY;
	for (i = 0; ret == SQLITE_OK && i < SHARE_SHM_LOCKS; i++)
		if (mask >> i & 1)
			file->shared->shm_exclusive[i] = (uint16_t)(share_seat(share) + 1);
	if (share_unguard(share))
		return SQLITE_IOERR_SHMLOCK;
	if (ret == SQLITE_OK) {
		file->memory->exclusive |= mask;
		conn->shm_exclusive |= mask;
	}
	return ret;
}

/* V5. The WAL first: what a checkpoint wrote comes from it. */
static int write_through(struct file *file)
{
	int ret = 0;

	if (file->wal && file->wal->nr_dirty)
		ret = flush_file(file->wal, 0);
	if (!ret && (file->nr_dirty || file->size != file->said))
		ret = flush_file(file, 0);
	return ret;
}

static int lock_locked(struct conn *conn, uint16_t mask, int flags)
{
	int ret = 0, err;

	if (flags & SQLITE_SHM_UNLOCK) {
		if (conn->shm_exclusive & mask)
			ret = write_through(conn->file);
		err = give_up(conn, mask);
		ret = ret ? ret : err;
		return ret ? vfs_code(ret, SQLITE_IOERR_SHMLOCK) : SQLITE_OK;
	}
	return flags & SQLITE_SHM_SHARED ? take_shared(conn, mask) : take_exclusive(conn, mask);
}

int wal_lock(sqlite3_file *base, int offset, int n, int flags)
{
	struct conn *conn = (struct conn *)base;
	int ret;

	if (!conn->has_shm)
		return SQLITE_IOERR_SHMLOCK;
	pthread_mutex_lock(&vfs.lock);
	ret = lock_locked(conn, (uint16_t)(((1U << n) - 1) << offset), flags);
	pthread_mutex_unlock(&vfs.lock);
	return ret;
}

void wal_barrier(sqlite3_file *base)
{
	struct file *file = ((struct conn *)base)->file;
	int ret;

	pthread_mutex_lock(&vfs.lock);
	ret = file->wal && file->wal->nr_dirty ? flush_file(file->wal, 0) : 0;
	if (ret)
		file->wal->error = ret;
	pthread_mutex_unlock(&vfs.lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What nobody has mapped is gone. */
static void leave_memory(struct file *file, struct share *share)
{
	if (share_guard(share))
		return;
	file->shared->shm_users &= ~share_bit(share_seat(share));
	file->shared->behind &= ~share_bit(share_seat(share));
	share_segments_put(share, file->shared);
	if (!share_alive(share, file->shared->shm_users))
		share_segments_free(share, file->shared);
	share_unguard(share);
}

int wal_unmap(sqlite3_file *base, int delete_it)
{
	struct conn *conn = (struct conn *)base;
	struct file *file = conn->file;
	struct share *share = file->volume->share;

	(void)delete_it;
	if (!conn->has_shm)
		return SQLITE_OK;
	pthread_mutex_lock(&vfs.lock);
	if (conn->shm_exclusive | conn->shm_shared)
		give_up(conn, conn->shm_exclusive | conn->shm_shared);
	conn->has_shm = false;
	if (!--file->memory->refs)
		leave_memory(file, share);
	pthread_mutex_unlock(&vfs.lock);
	return SQLITE_OK;
}
