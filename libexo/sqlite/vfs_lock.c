// SPDX-License-Identifier: LGPL-2.1-or-later
/* A file's locks, as SQLite has them: of this process in what is shared, of its connections here. */
#include "vfs.h"

static bool held_by_other(struct share *share, uint16_t holder)
{
	return holder && holder != share_seat(share) + 1 &&
	       share_alive(share, share_bit(holder - 1U));
}

/* This process' lock of the file; with the guard. */
static int lock_shared(struct file *file, struct share *share, int level)
{
	struct share_file *shared = file->shared;
	uint16_t me = (uint16_t)(share_seat(share) + 1);

	switch (level) {
	case SQLITE_LOCK_SHARED:
		if (held_by_other(share, shared->pending) ||
		    held_by_other(share, shared->exclusive))
			return SQLITE_BUSY;
		shared->shared |= share_bit(share_seat(share));
		return SQLITE_OK;
	case SQLITE_LOCK_RESERVED:
		if (held_by_other(share, shared->reserved))
			return SQLITE_BUSY;
		shared->reserved = me;
		return SQLITE_OK;
	default:
		if (held_by_other(share, shared->pending) ||
		    held_by_other(share, shared->reserved))
			return SQLITE_BUSY;
		shared->pending = me;
		file->level = SQLITE_LOCK_PENDING;
		if (share_alive(share, shared->shared))
			return SQLITE_BUSY;
		shared->exclusive = me;
		return SQLITE_OK;
	}
}

static int lock_locked(struct conn *conn, int level)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	int ret;

	if ((conn->level != file->level &&
	     (file->level >= SQLITE_LOCK_PENDING || level > SQLITE_LOCK_SHARED)))
		return SQLITE_BUSY;
	if (level == SQLITE_LOCK_SHARED &&
	    (file->level == SQLITE_LOCK_SHARED || file->level == SQLITE_LOCK_RESERVED)) {
		conn->level = SQLITE_LOCK_SHARED;
		file->nr_shared++;
		return SQLITE_OK;
	}
	if (share_guard(share))
		return SQLITE_IOERR_LOCK;
	if (level == SQLITE_LOCK_EXCLUSIVE && file->nr_shared > 1) {
		/* Readers in this process; nobody new may come. */
		ret = held_by_other(share, file->shared->pending) ||
		      held_by_other(share, file->shared->reserved);
		if (!ret) {
			file->shared->pending = (uint16_t)(share_seat(share) + 1);
			file->level = SQLITE_LOCK_PENDING;
		}
		ret = SQLITE_BUSY;
	} else {
		ret = lock_shared(file, share, level);
	}
	if (share_unguard(share))
		return SQLITE_IOERR_LOCK;
	if (ret == SQLITE_OK) {
		file->nr_shared += level == SQLITE_LOCK_SHARED;
		conn->level = file->level = level;
	} else if (file->level == SQLITE_LOCK_PENDING) {
		conn->level = SQLITE_LOCK_PENDING;
	}
	return ret;
}

int lock_file(sqlite3_file *base, int level)
{
	struct conn *conn = (struct conn *)base;
	int ret = SQLITE_OK;

	if (conn->level >= level)
		return SQLITE_OK;
	pthread_mutex_lock(&vfs.lock);
	ret = lock_locked(conn, level);
	pthread_mutex_unlock(&vfs.lock);
	return ret;
}

int lock_give(struct conn *conn, int level)
{
	struct file *file = conn->file;
	struct share *share = file->volume->share;
	struct share_file *shared = file->shared;
	int ret = 0;

	if (conn->level > SQLITE_LOCK_SHARED) {
		ret = flush_back(file);
		if (!share_guard(share)) {
			if (shared->exclusive == share_seat(share) + 1)
				shared->exclusive = 0;
			if (shared->pending == share_seat(share) + 1)
				shared->pending = 0;
			if (shared->reserved == share_seat(share) + 1)
				shared->reserved = 0;
			shared->shared |= share_bit(share_seat(share));
			share_unguard(share);
		}
		file->level = conn->level = SQLITE_LOCK_SHARED;
	}
	if (level == SQLITE_LOCK_NONE) {
		if (!--file->nr_shared) {
			if (!share_guard(share)) {
				shared->shared &= ~share_bit(share_seat(share));
				share_unguard(share);
			}
			file->level = SQLITE_LOCK_NONE;
		}
		conn->level = SQLITE_LOCK_NONE;
	}
	return ret;
}

int lock_unlock(sqlite3_file *base, int level)
{
	struct conn *conn = (struct conn *)base;
	int ret;

	if (conn->level <= level)
		return SQLITE_OK;
	pthread_mutex_lock(&vfs.lock);
	ret = lock_give(conn, level);
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_UNLOCK) : SQLITE_OK;
}

int lock_check_reserved(sqlite3_file *base, int *out_reserved)
{
	struct file *file = ((struct conn *)base)->file;
	struct share *share = file->volume->share;
	int ret = 0;

	pthread_mutex_lock(&vfs.lock);
	*out_reserved = file->level > SQLITE_LOCK_SHARED;
	if (!*out_reserved && file->shared->reserved) {
		ret = share_guard(share);
		if (!ret) {
			*out_reserved = held_by_other(share, file->shared->reserved);
			ret = share_unguard(share);
		}
	}
	pthread_mutex_unlock(&vfs.lock);
	return ret ? vfs_code(ret, SQLITE_IOERR_CHECKRESERVEDLOCK) : SQLITE_OK;
}
