/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processes that have a volume open share. Each has a *seat*; a lock is a seat's bit. A seat is
 * alive as long as the kernel says that its process is: who meets a lock of a dead one takes it away.
 * So taking a lock costs no system call, and locks die with their process.
 */
#ifndef EXO_SQLITE_VFS_SHARE_H
#define EXO_SQLITE_VFS_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "vfs_format.h"

#define SHARE_SEATS 64U
#define SHARE_SEGMENT 32768U	/* SQLite's unit of WAL memory */
#define SHARE_SEGMENTS 1024U
#define SHARE_FILE_SEGMENTS 96U
#define SHARE_SHM_LOCKS 8U

/* Of a journal or a WAL: is it there? */
#define SHARE_UNKNOWN 0U	/* its first block says so */
#define SHARE_THERE 1U
#define SHARE_ABSENT 2U

/**
 * struct share_file - of each file of a volume; 512 bytes
 * @size: journals: bytes that count
 * @data: rises when blocks of it were written
 * @map: rises when its units were changed
 * @state: SHARE_*
 * @unflushed: blocks were written, and nobody has waited until they are durable
 * @uncommitted: units were changed, and nobody has committed since
 * @reserved, @pending, @exclusive: seat + 1 that has the lock
 * @shared: seats that have SHARED
 * @users: seats that have it open
 * @shm_users: seats that have its WAL memory
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
	uint16_t reserved, pending, exclusive, unused;
	uint64_t shared;
	uint64_t users;
	uint64_t shm_users;
	uint64_t shm_shared[SHARE_SHM_LOCKS];
	uint16_t shm_exclusive[SHARE_SHM_LOCKS];
	uint16_t segment[SHARE_FILE_SEGMENTS];
	uint8_t fill[512 - 64 - 16 - 64 - 2 * SHARE_FILE_SEGMENTS];
};

_Static_assert(sizeof(struct share_file) == 512, "no holes");

struct share;
struct volume;

/* A seat at what a volume's processes share. 0 or -errno. */
int share_open(struct volume *volume, struct share **out_share);
/* In the child of a fork: nothing of it is ours. */
void share_forget(struct share *share);

struct share_file *share_file(struct share *share, uint32_t index);
/* Nobody's any more, but for the versions, which go on. */
void share_file_reset(struct share *share, uint32_t index);
uint32_t share_seat(const struct share *share);

/* Short: nothing is waited for while it is held. */
void share_guard(struct share *share);
void share_unguard(struct share *share);

/* With the guard: which of these seats are alive and not ours. Dead ones lose all they had. */
uint64_t share_alive(struct share *share, uint64_t seats);

/* Changes of the directory, one process at a time: waits. */
void share_dir_lock(struct share *share);
void share_dir_unlock(struct share *share);
uint32_t share_dir_version(struct share *share);
void share_dir_changed(struct share *share);

/* With the guard: one more zeroed segment for a file. -ENOSPC. */
int share_segment_add(struct share *share, struct share_file *file);
/* With the guard: all of them go. */
void share_segments_free(struct share *share, struct share_file *file);
/* Mapped here; NULL. Stays as long as the share. */
void *share_segment(struct share *share, uint32_t number);

static inline uint64_t share_bit(uint32_t seat)
{
	return 1ULL << seat;
}

#endif
