// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What processes share. See vfs_share.h.
 *
 * It is a file in memory (/dev/shm) that only the uid may open; its name has the disk's uuid, its number since it was attached, and the root. Byte
 * LOCKS_START of it is locked (OFD) while a process takes a seat, LOCKS_START + 1 + n as long as the process of seat n lives. Who
 * takes a seat and finds nobody begins with zeros: so nothing is left of a machine's or a user's last crash.
 *
 * Whoever has the guard changes locks in single stores, so that its death leaves nothing half done.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vfs.h"

#define MAGIC 0x3148534c5145ULL	/* of this layout: other versions must not meet */
#define SPINS 1000U
#define LOCKS_START 0x100000	/* byte of the file that stands for the first seat: beyond any content */

/**
 * struct shared - the beginning of what is shared
 * @magic: MAGIC
 * @guard: seat + 1
 * @dir_lock: seat + 1
 * @dir: version of the directory
 * @seats: seats that somebody took; whether they are alive says the kernel
 * @segments: taken segments of WAL memory
 */
struct shared {
	uint64_t magic;
	uint32_t guard;
	uint32_t dir_lock;
	uint32_t dir;
	uint32_t unused;
	uint64_t seats;
	uint64_t segments[SHARE_SEGMENTS / 64];
	uint8_t fill[512 - 32 - SHARE_SEGMENTS / 8];
	struct share_file file[VFS_FILES];
};

#define SHARED_BYTES sizeof(struct shared)

_Static_assert(SHARED_BYTES == 131072, "whole pages");

struct share {
	int fd;
	uint32_t seat;
	struct shared *at;
	void *segment[SHARE_SEGMENTS];
};

static int lock_byte(int fd, int command, short type, off_t at, struct flock *out)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	int ret;

	do {
		ret = fcntl(fd, command, &lock);
	} while (ret && errno == EINTR);
	if (out)
		*out = lock;
	return ret ? -errno : 0;
}

static bool seat_alive(const struct share *share, uint32_t seat)
{
	struct flock found;

	if (seat == share->seat)
		return true;
	/* If it can't be asked it counts as alive: nothing is taken away that might be somebody's. */
	return lock_byte(share->fd, F_OFD_GETLK, F_WRLCK, LOCKS_START + 1 + seat, &found) ||
	       found.l_type != F_UNLCK;
}

/* Guard -------------------------------------------------------------------------------------- */

static void take(struct share *share, uint32_t *word)
{
	uint32_t mine = share->seat + 1, found, spins = 0;

	for (;;) {
		found = 0;
		if (__atomic_compare_exchange_n(word, &found, mine, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
		if (++spins % SPINS)
			continue;
		/* Whoever has it may be dead. Its last store is whole. */
		if (!seat_alive(share, found - 1) &&
		    __atomic_compare_exchange_n(word, &found, mine, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
		sched_yield();
	}
}

void share_guard(struct share *share)
{
	take(share, &share->at->guard);
}

void share_unguard(struct share *share)
{
	__atomic_store_n(&share->at->guard, 0, __ATOMIC_RELEASE);
}

void share_dir_lock(struct share *share)
{
	take(share, &share->at->dir_lock);
}

void share_dir_unlock(struct share *share)
{
	__atomic_store_n(&share->at->dir_lock, 0, __ATOMIC_RELEASE);
}

uint32_t share_dir_version(struct share *share)
{
	return __atomic_load_n(&share->at->dir, __ATOMIC_ACQUIRE);
}

void share_dir_changed(struct share *share)
{
	__atomic_fetch_add(&share->at->dir, 1, __ATOMIC_RELEASE);
}

/* Seats -------------------------------------------------------------------------------------- */

/* All that a seat had. */
static void reap(struct share *share, uint32_t seat)
{
	uint64_t keep = ~share_bit(seat);
	uint32_t i, k;

	for (i = 0; i < VFS_FILES; i++) {
		struct share_file *file = &share->at->file[i];

		file->shared &= keep;
		file->users &= keep;
		file->shm_users &= keep;
		if (file->exclusive == seat + 1)
			file->exclusive = 0;
		if (file->pending == seat + 1)
			file->pending = 0;
		if (file->reserved == seat + 1)
			file->reserved = 0;
		for (k = 0; k < SHARE_SHM_LOCKS; k++) {
			file->shm_shared[k] &= keep;
			if (file->shm_exclusive[k] == seat + 1)
				file->shm_exclusive[k] = 0;
		}
	}
	__atomic_and_fetch(&share->at->seats, keep, __ATOMIC_ACQ_REL);
}

uint64_t share_alive(struct share *share, uint64_t seats)
{
	uint64_t left = seats & ~share_bit(share->seat), alive = 0;
	uint32_t seat;

	for (; left; left &= left - 1) {
		seat = (uint32_t)__builtin_ctzll(left);
		if (seat_alive(share, seat))
			alive |= share_bit(seat);
		else
			reap(share, seat);
	}
	return alive;
}

/* What the last one on a seat held when it died. */
static void let_go(uint32_t *word, uint32_t seat)
{
	uint32_t found = seat + 1;

	__atomic_compare_exchange_n(word, &found, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* With LOCKS_START locked. */
static int take_seat(struct share *share)
{
	uint64_t alive = 0;
	uint32_t i, free = SHARE_SEATS;
	int ret;

	share->seat = SHARE_SEATS;
	for (i = 0; i < SHARE_SEATS; i++) {
		if (seat_alive(share, i))
			alive |= share_bit(i);
		else if (free == SHARE_SEATS)
			free = i;
	}
	if (free == SHARE_SEATS)
		return -EUSERS;
	ret = lock_byte(share->fd, F_OFD_SETLK, F_WRLCK, LOCKS_START + 1 + free, NULL);
	if (ret)
		return ret;
	share->seat = free;
	if (!alive) {
		memset(share->at, 0, SHARED_BYTES);
		share->at->magic = MAGIC;
	} else {
		if (share->at->magic != MAGIC)
			return -EPROTO;
		let_go(&share->at->guard, free);
		let_go(&share->at->dir_lock, free);
		share_guard(share);
		reap(share, free);
		share_unguard(share);
	}
	__atomic_or_fetch(&share->at->seats, share_bit(free), __ATOMIC_ACQ_REL);
	return 0;
}

static int open_file(const struct volume *volume)
{
	char path[96];
	struct stat st;
	int fd, n, i;

	n = snprintf(path, sizeof(path), "/dev/shm/exo-sqlite.%u.", (unsigned int)geteuid());
	for (i = 0; i < 16; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", vfs.uuid[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, ".%u.%u", exo_xn_number(vfs.xn), volume->root);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		n = errno;
		vfs_say(SQLITE_CANTOPEN, "%s: %s: processes that use \"%s\" must share it", path,
			strerror(n), volume->name);
		return -n;
	}
	/* In a directory that everybody may write somebody else may have been faster. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077 ||
	    (st.st_size < (off_t)SHARED_BYTES && ftruncate(fd, SHARED_BYTES))) {
		vfs_say(SQLITE_CANTOPEN, "%s is not a file of this user's alone", path);
		close(fd);
		return -EACCES;
	}
	return fd;
}

int share_open(struct volume *volume, struct share **out_share)
{
	struct share *share = calloc(1, sizeof(*share));
	int ret;

	if (!share)
		return -ENOMEM;
	share->fd = open_file(volume);
	if (share->fd < 0) {
		ret = share->fd;
		goto err_free;
	}
	share->at = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, share->fd, 0);
	ret = share->at == MAP_FAILED ? -errno : 0;
	if (ret)
		goto err_close;
	ret = lock_byte(share->fd, F_OFD_SETLKW, F_WRLCK, LOCKS_START, NULL);
	if (!ret)
		ret = take_seat(share);
	if (!ret)
		ret = lock_byte(share->fd, F_OFD_SETLK, F_UNLCK, LOCKS_START, NULL);
	if (ret == -EUSERS)
		vfs_say(SQLITE_CANTOPEN, "%u processes use \"%s\" already: one must end first",
			SHARE_SEATS, volume->name);
	if (ret)
		goto err_unmap;
	*out_share = share;
	return 0;

err_unmap:
	munmap(share->at, SHARED_BYTES);
err_close:
	close(share->fd);
err_free:
	free(share);
	return ret;
}

/* The parent's seat stays the parent's: it has the lock as long as it has its own descriptor. */
void share_forget(struct share *share)
{
	close(share->fd);
	share->fd = -1;
}

uint32_t share_seat(const struct share *share)
{
	return share->seat;
}

struct share_file *share_file(struct share *share, uint32_t index)
{
	return &share->at->file[index];
}

void share_file_reset(struct share *share, uint32_t index)
{
	struct share_file *file = &share->at->file[index];

	share_guard(share);
	file->state = SHARE_UNKNOWN;
	file->size = 0;
	file->users = 0;
	__atomic_fetch_add(&file->data, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&file->map, 1, __ATOMIC_RELEASE);
	share_unguard(share);
}

/* WAL memory --------------------------------------------------------------------------------- */

static off_t segment_at(uint32_t number)
{
	return (off_t)SHARED_BYTES + (off_t)number * SHARE_SEGMENT;
}

void *share_segment(struct share *share, uint32_t number)
{
	void *at;

	if (number >= SHARE_SEGMENTS)
		return NULL;
	if (!share->segment[number]) {
		at = mmap(NULL, SHARE_SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, share->fd,
			  segment_at(number));
		if (at == MAP_FAILED)
			return NULL;
		share->segment[number] = at;
	}
	return share->segment[number];
}

static int segment_take(struct share *share)
{
	uint64_t *words = share->at->segments;
	uint32_t i, number;

	for (i = 0; i < SHARE_SEGMENTS / 64; i++) {
		if (!~words[i])
			continue;
		number = 64 * i + (uint32_t)__builtin_ctzll(~words[i]);
		words[i] |= 1ULL << number % 64;
		return (int)number;
	}
	return -ENOSPC;
}

int share_segment_add(struct share *share, struct share_file *file)
{
	struct stat st;
	void *at;
	int number;

	if (file->nr_segments == SHARE_FILE_SEGMENTS)
		return -ENOSPC;
	number = segment_take(share);
	if (number < 0)
		return number;
	if (fstat(share->fd, &st) ||
	    (st.st_size < segment_at((uint32_t)number + 1) &&
	     posix_fallocate(share->fd, segment_at((uint32_t)number), SHARE_SEGMENT)))
		goto err;
	at = share_segment(share, (uint32_t)number);
	if (!at)
		goto err;
	memset(at, 0, SHARE_SEGMENT);
	file->segment[file->nr_segments] = (uint16_t)number;
	__atomic_store_n(&file->nr_segments, file->nr_segments + 1, __ATOMIC_RELEASE);
	return 0;

err:
	share->at->segments[number / 64] &= ~(1ULL << number % 64);
	return -ENOSPC;
}

void share_segments_free(struct share *share, struct share_file *file)
{
	uint32_t i, nr = file->nr_segments, number;

	file->nr_segments = 0;
	for (i = 0; i < nr; i++) {
		number = file->segment[i];
		share->at->segments[number / 64] &= ~(1ULL << number % 64);
	}
}
