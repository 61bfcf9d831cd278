/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processes that have a volume open share, in frames of the buffer registry (vfs_frames.c). Each has a *seat*;
 * a lock is a seat's bit. A seat is alive as long as its process has an entry's lock of the kernel: who meets
 * a lock of a dead one takes it away. So taking a lock costs no system call, and locks die with their process.
 *
 * Frames may be taken by force. Whoever touches such a one has *lost* what is shared, all of it, and for good: from then
 * on he finds 0xff where the versions, the guard and the seats were, and writes nothing any more. As soon as he notices,
 * with vfs.lock, he gives his seat up, as if he were dead.
 */
#ifndef EXO_SQLITE_VFS_SHARE_H
#define EXO_SQLITE_VFS_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs_format.h"

#define SHARE_SEATS 64U
#define SHARE_SEGMENT 32768U	/* SQLite's unit of WAL memory */
#define SHARE_SEGMENTS 1024U
#define SHARE_FILE_SEGMENTS 96U
#define SHARE_SHM_LOCKS 8U

/* Pages of what is shared: the head, with all files' records, then the segments. */
#define SHARE_HEAD_PAGES 32U
#define SHARE_SEGMENT_PAGES (SHARE_SEGMENT / VFS_BLOCK)
#define SHARE_PAGES (SHARE_HEAD_PAGES + SHARE_SEGMENTS * SHARE_SEGMENT_PAGES)

/* Of a journal or a WAL: is it there? */
#define SHARE_UNKNOWN 0U	/* its first block says so */
#define SHARE_THERE 1U
#define SHARE_ABSENT 2U

/**
 * struct share_file - of each file of a volume; 512 bytes
 * @size: journals: bytes that count
 * @data: rises when blocks of it were written; never 0
 * @map: rises when its units were changed; never 0
 * @state: SHARE_*
 * @unflushed: blocks were written, and nobody has waited until they are durable
 * @uncommitted: units were changed, and nobody has committed since
 * @reserved, @pending, @exclusive: seat + 1 that has the lock
 * @begun: not 0; of a page that is new it is 0
 * @shared: seats that have SHARED
 * @users: seats that have it open
 * @shm_users: seats that have its WAL memory
 * @behind: of these, who doesn't have the frames of all segments yet
 * @shm_shared, @shm_exclusive: seats that have the WAL memory's locks
 * @nr_segments, @segment: its WAL memory
 */
struct share_file {
	uint64_t size;
	uint32_t data;
	uint32_t map;
	uint32_t state;
	uint32_t nr_segments;
	uint32_t unflushed, uncommitted;
	uint16_t reserved, pending, exclusive, begun;
	uint64_t shared;
	uint64_t users;
	uint64_t shm_users;
	uint64_t shm_shared[SHARE_SHM_LOCKS];
	uint16_t shm_exclusive[SHARE_SHM_LOCKS];
	uint16_t segment[SHARE_FILE_SEGMENTS];
	uint64_t behind;
	uint8_t fill[512 - 8 - 64 - 16 - 64 - 2 * SHARE_FILE_SEGMENTS];
};

_Static_assert(sizeof(struct share_file) == 512, "no holes");

struct volume;

/**
 * struct share - what processes share of a volume, in this process
 * @next: in a list that only grows: a signal handler goes through it
 * @volume: whose; with @base
 * @view: where its frames are bound
 * @base: of the view; NULL: not in use
 * @length: of its mapping
 * @lost: a frame that was touched is gone
 * @left: and the seat was given up
 * @seat: of this process
 * @entry: of each page its number in the registry, 0: not used here
 * @frame: with @entry
 */
struct share {
	struct share *next;
	struct volume *volume;
	struct exo_view *view;
	char *base;
	size_t length;
	int lost;
	bool left;
	uint32_t seat;
	uint32_t entry[SHARE_PAGES];
	uint32_t frame[SHARE_PAGES];
};

/* A seat at what a volume's processes share: volume->share. 0 or -errno. */
int share_open(struct volume *volume);
/* The seat goes, and what is mapped. NULL is nothing. */
void share_close(struct share *share);
/* In the child of a fork: nothing of it is ours. */
void share_forget(struct share *share);

struct share_file *share_file(struct share *share, uint32_t index);
/* Nobody's any more, but for the versions, which go on. */
void share_file_reset(struct share *share, uint32_t index);

/* This frame was taken from somebody: if it is one of these, all of them are lost. */
void frames_told(struct share *share, uint32_t frame);

/* What is shared is lost, and the seat given up: nothing may be written. With vfs.lock. */
void share_leave(struct share *share);
static inline bool share_lost(struct share *share)
{
	if (__builtin_expect(!share || !__atomic_load_n(&share->lost, __ATOMIC_ACQUIRE), 1))
		return false;
	share_leave(share);
	return true;
}

/* A capability of a frame was revoked, perhaps of one of these. With vfs.lock. */
static inline void share_told(struct share *share, uint32_t frame)
{
	if (share_lost(share))
		return;
	frames_told(share, frame);
	share_lost(share);
}

/*
 * Short: but for the kernel nothing is waited for while it is held. -EIO: lost; then it isn't held, or what was done with it
 * counts for nothing.
 */
int share_guard(struct share *share);
int share_unguard(struct share *share);

/* With the guard: which of these seats are alive and not ours. Dead ones lose all they had. */
uint64_t share_alive(struct share *share, uint64_t seats);

/* Changes of the directory, one process at a time: waits. -EIO: lost. */
int share_dir_lock(struct share *share);
void share_dir_unlock(struct share *share);
uint32_t share_dir_version(struct share *share);
void share_dir_changed(struct share *share);

/* With the guard: one more zeroed segment for a file. -ENOSPC, -EDQUOT, -EIO. */
int share_segment_add(struct share *share, struct share_file *file);
/* With the guard: all of them go. */
void share_segments_free(struct share *share, struct share_file *file);
/*
 * With the guard: the frames of all segments are held here, too. If nobody else held them all the while, SQLite is made to
 * write the index anew. 0 or -errno.
 */
int share_segments_get(struct share *share, struct share_file *file);
/* With the guard: they aren't used here any more. */
void share_segments_put(struct share *share, const struct share_file *file);
/* Where it is, until share_segments_put(). 0 or -errno. */
int share_segment(struct share *share, uint32_t number, void **out);

/* vfs_frames.c. 0 or -errno. */
int frames_open(struct volume *volume, struct share **out_share);
void frames_close(struct share *share);
/* A page's frame is bound from here on; its name is block @page of the volume's names. */
int frames_get(struct share *share, uint32_t page, uint32_t count);
void frames_put(struct share *share, uint32_t page, uint32_t count);
/* Before what is shared is touched in a thread of libexo, which has all signals blocked. */
void frames_in_thread(void);
/* All of it is 0xff or zeros, and this process' alone. Async-signal-safe. */
void frames_lose(struct share *share);

static inline uint64_t share_bit(uint32_t seat)
{
	return 1ULL << (seat & 63);
}

static inline uint32_t share_seat(const struct share *share)
{
	return share->seat;
}

#endif
