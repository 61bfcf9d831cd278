// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What processes share. See vfs_share.h.
 *
 * Who takes a seat has lock START of the entry of the volume's directory meanwhile; who has seat n has lock n % 16 of the entry of
 * page n / 16 as long as he lives. Who takes a seat and finds nobody, or a page that is new, begins with zeros: so nothing is left of
 * one who died while he was doing that; of the others nothing is left anyway, their frames went with them.
 *
 * Whoever has the guard changes locks in single stores, so that its death leaves nothing half done.
 */
#include <errno.h>
#include <sched.h>

#include "vfs.h"

#define MAGIC 0x3348534c5145ULL	/* of this layout: other versions must not meet */
#define SPINS 1000U
#define START 1U	/* a lock, as a bit */

/**
 * struct shared - the beginning of what is shared
 * @magic: MAGIC
 * @guard: seat + 1
 * @dir_lock: seat + 1
 * @dir: version of the directory; never 0
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

_Static_assert(SHARED_BYTES == SHARE_HEAD_PAGES * VFS_BLOCK, "whole pages");
_Static_assert(SHARE_SEATS <= SHARE_HEAD_PAGES * EXO_XN_SLOTS, "a lock for each seat");

static struct shared *head(const struct share *share)
{
	return (struct shared *)share->base;
}

static int seats_lock(const struct share *share, uint32_t page, uint32_t slots, uint32_t mode)
{
	return exo_xn_entry_lock(vfs.xn, share->entry[page], slots, mode, EXO_XN_LOCK_TRY);
}

static int seat_lock(const struct share *share, uint32_t seat, uint32_t mode)
{
	return seats_lock(share, seat / EXO_XN_SLOTS, 1U << seat % EXO_XN_SLOTS, mode);
}

static bool seat_alive(const struct share *share, uint32_t seat)
{
	if (seat == share->seat)
		return true;
	/* If it can't be asked it counts as alive: nothing is taken away that might be somebody's. */
	if (seat >= SHARE_SEATS || seat_lock(share, seat, EXO_XN_SHARED))
		return true;
	seat_lock(share, seat, EXO_XN_UNLOCK);
	return false;
}

void share_leave(struct share *share)
{
	if (share->left)
		return;
	share->left = true;
	frames_put(share, 0, SHARE_PAGES);
	vfs_say(SQLITE_IOERR, "a frame that processes share was taken by force: close the databases of volume \"%s\", "
		"and open them anew", share->volume->name);
}

/* Guard -------------------------------------------------------------------------------------- */

static int take(struct share *share, uint32_t *word)
{
	uint32_t mine = share->seat + 1, found, spins = 0;

	for (;;) {
		found = 0;
		if (__atomic_compare_exchange_n(word, &found, mine, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			break;
		if (++spins % SPINS)
			continue;
		if (share_lost(share))
			return -EIO;
		/* Whoever has it may be dead. Its last store is whole. */
		if (found && !seat_alive(share, found - 1) &&
		    __atomic_compare_exchange_n(word, &found, mine, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			break;
		sched_yield();
	}
	/* It may be private memory by now. */
	return share_lost(share) ? -EIO : 0;
}

int share_guard(struct share *share)
{
	return take(share, &head(share)->guard);
}

int share_unguard(struct share *share)
{
	__atomic_store_n(&head(share)->guard, 0, __ATOMIC_RELEASE);
	return share_lost(share) ? -EIO : 0;
}

int share_dir_lock(struct share *share)
{
	return take(share, &head(share)->dir_lock);
}

void share_dir_unlock(struct share *share)
{
	__atomic_store_n(&head(share)->dir_lock, 0, __ATOMIC_RELEASE);
}

uint32_t share_dir_version(struct share *share)
{
	return __atomic_load_n(&head(share)->dir, __ATOMIC_ACQUIRE);
}

void share_dir_changed(struct share *share)
{
	__atomic_fetch_add(&head(share)->dir, 1, __ATOMIC_RELEASE);
}

/* Seats -------------------------------------------------------------------------------------- */

/* Which segments are taken: one who is dead may have been about to take one. */
static void segments_count(struct share *share)
{
	uint64_t *words = head(share)->segments;
	uint32_t i, k, number;

	memset(words, 0, sizeof(head(share)->segments));
	for (i = 0; i < VFS_FILES; i++) {
		const struct share_file *file = &head(share)->file[i];

		for (k = 0; k < file->nr_segments && k < SHARE_FILE_SEGMENTS; k++) {
			number = file->segment[k] % SHARE_SEGMENTS;
			words[number / 64] |= 1ULL << number % 64;
		}
	}
}

/* All that a seat had. */
static void reap(struct share *share, uint32_t seat)
{
	uint64_t keep = ~share_bit(seat);
	uint32_t i, k;

	for (i = 0; i < VFS_FILES; i++) {
		struct share_file *file = &head(share)->file[i];

		file->shared &= keep;
		file->users &= keep;
		file->shm_users &= keep;
		file->behind &= keep;
		if (!file->shm_users)
			file->nr_segments = 0;
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
	segments_count(share);
	__atomic_and_fetch(&head(share)->seats, keep, __ATOMIC_ACQ_REL);
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

/* Nobody uses what is shared. */
static void begin(struct share *share)
{
	uint32_t i;

	memset(head(share), 0, SHARED_BYTES);
	head(share)->magic = MAGIC;
	head(share)->dir = 1;
	for (i = 0; i < VFS_FILES; i++) {
		head(share)->file[i].data = head(share)->file[i].map = 1;
		head(share)->file[i].begun = 1;
	}
}

/*
 * Whoever uses what is shared has all pages of the head. If one of them is new, those whose seats are taken are about to end, and have
 * given some of their numbers up already: nothing that the other pages say is anybody's.
 */
static bool any_new(const struct share *share)
{
	uint32_t i;

	if (!head(share)->magic)
		return true;
	for (i = 0; i < VFS_FILES; i++)
		if (!head(share)->file[i].begun)
			return true;
	return false;
}

/*
 * One who died on it, and nobody has looked since? With somebody else there it would seem that he lives, and what
 * only he had were ours: better another seat.
 */
static bool has_rests(const struct share *share, uint32_t seat)
{
	return head(share)->magic == MAGIC && __atomic_load_n(&head(share)->seats, __ATOMIC_ACQUIRE) & share_bit(seat);
}

/* All seats of an entry at once: mostly nobody has any. */
static bool seats_free(struct share *share, uint32_t page, bool rests)
{
	uint32_t all = (1U << EXO_XN_SLOTS) - 1, keep = 0, i;

	if (seats_lock(share, page, all, EXO_XN_EXCLUSIVE))
		return false;
	for (i = 0; i < EXO_XN_SLOTS && share->seat == SHARE_SEATS; i++)
		if (rests || !has_rests(share, page * EXO_XN_SLOTS + i)) {
			share->seat = page * EXO_XN_SLOTS + i;
			keep = 1U << i;
		}
	seats_lock(share, page, all & ~keep, EXO_XN_UNLOCK);
	return true;
}

/* A seat that is free, one with somebody's rests if need be, and whether another is taken. With START. */
static int choose_seat(struct share *share, bool rests, bool *out_others)
{
	uint32_t i = 0;

	*out_others = false;
	share->seat = SHARE_SEATS;
	while (i < SHARE_SEATS && (share->seat == SHARE_SEATS || !*out_others)) {
		if (i % EXO_XN_SLOTS == 0 && seats_free(share, i / EXO_XN_SLOTS, rests)) {
			i += EXO_XN_SLOTS;
			continue;
		}
		if (share->seat == SHARE_SEATS && (rests || !has_rests(share, i)) &&
		    !seat_lock(share, i, EXO_XN_EXCLUSIVE))
			share->seat = i;
		else if (seat_alive(share, i))
			*out_others = true;
		i++;
	}
	if (share->seat == SHARE_SEATS)
		return rests ? -EUSERS : choose_seat(share, true, out_others);
	return 0;
}

/* With START. */
static int take_seat(struct share *share)
{
	bool others;
	int ret = choose_seat(share, false, &others);

	if (ret)
		return ret;
	if (!others || any_new(share)) {
		begin(share);
	} else {
		if (head(share)->magic != MAGIC)
			return share_lost(share) ? -EIO : -EPROTO;
		let_go(&head(share)->guard, share->seat);
		let_go(&head(share)->dir_lock, share->seat);
		ret = share_guard(share);
		if (ret)
			return ret;
		reap(share, share->seat);
		ret = share_unguard(share);
		if (ret)
			return ret;
	}
	__atomic_or_fetch(&head(share)->seats, share_bit(share->seat), __ATOMIC_ACQ_REL);
	return share_lost(share) ? -EIO : 0;
}

/* With START. */
static int open_started(struct volume *volume)
{
	struct share *share;
	int ret;

	ret = volume_names(volume);
	if (!ret)
		ret = frames_open(volume, &share);
	if (ret)
		return ret;
	ret = frames_get(share, 0, SHARE_HEAD_PAGES);
	if (!ret)
		ret = take_seat(share);
	if (ret) {
		frames_close(share);
		return ret;
	}
	volume->names->shared = share_file(share, volume->names->index);
	volume->names->map_seen = volume->names->shared->map;
	volume->names->data_seen = volume->names->shared->data;
	volume->share = share;
	return 0;
}

static void say_why(const struct volume *volume, int err)
{
	switch (err) {
	case -EUSERS:
		vfs_say(SQLITE_CANTOPEN, "%u processes use \"%s\" already: one must end first",
			SHARE_SEATS, volume->name);
		break;
	case -ESTALE:
	case -EIO:
		vfs_say(SQLITE_CANTOPEN, "a frame that the processes which use \"%s\" share was taken by force: all of "
			"them must close their databases, or end", volume->name);
		break;
	case -ENOSPC:
	case -EDQUOT:
		vfs_say(SQLITE_CANTOPEN, "\"%s\": there are no %u frames for what processes share, or no blocks for their "
			"names: see 'exoctl quota', 'exoctl root list'", volume->name, SHARE_HEAD_PAGES);
		break;
	}
}

int share_open(struct volume *volume)
{
	struct exo_xn_entry start;
	int ret;

	ret = exo_xn_entry(vfs.xn, volume->root, volume->block, volume->block,
			   EXO_RIGHT_READ | EXO_RIGHT_WRITE, EXO_XN_ENTRY_UNIT, &start);
	if (ret)
		return ret;
	do {
		ret = exo_xn_entry_lock(vfs.xn, start.out_entry, START, EXO_XN_EXCLUSIVE, 0);
	} while (ret == -EINTR);
	if (!ret)
		ret = open_started(volume);
	exo_xn_unbind(vfs.xn, start.out_entry);
	if (ret)
		say_why(volume, ret);
	return ret;
}

void share_close(struct share *share)
{
	if (share)
		frames_close(share);
}

/* The parent's seat stays the parent's: its lock is its environment's. */
void share_forget(struct share *share)
{
	share->left = true;
	frames_lose(share);
}

struct share_file *share_file(struct share *share, uint32_t index)
{
	return &head(share)->file[index];
}

void share_file_reset(struct share *share, uint32_t index)
{
	struct share_file *file = &head(share)->file[index];

	if (share_guard(share))
		return;
	file->state = SHARE_UNKNOWN;
	file->size = 0;
	file->users = 0;
	__atomic_fetch_add(&file->data, 1, __ATOMIC_RELEASE);
	__atomic_fetch_add(&file->map, 1, __ATOMIC_RELEASE);
	share_unguard(share);
}

/* WAL memory --------------------------------------------------------------------------------- */

static uint32_t page_of(uint32_t number)
{
	return SHARE_HEAD_PAGES + number * SHARE_SEGMENT_PAGES;
}

int share_segment(struct share *share, uint32_t number, void **out)
{
	uint32_t page = page_of(number);
	int ret;

	if (number >= SHARE_SEGMENTS)
		return -EIO;
	*out = share->base + (size_t)page * VFS_BLOCK;
	if (likely(share->entry[page + SHARE_SEGMENT_PAGES - 1]))
		return 0;
	ret = file_look(share->volume->names);
	return ret ? ret : frames_get(share, page, SHARE_SEGMENT_PAGES);
}

void share_segments_put(struct share *share, const struct share_file *file)
{
	uint32_t i;

	for (i = 0; i < file->nr_segments && i < SHARE_FILE_SEGMENTS; i++)
		frames_put(share, page_of(file->segment[i] % SHARE_SEGMENTS), SHARE_SEGMENT_PAGES);
}

static int segment_take(struct share *share)
{
	uint64_t *words = head(share)->segments;
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

/* There are blocks to name its pages by, and its frames are here. */
static int segment_make(struct share *share, uint32_t number, void **out)
{
	struct file *names = share->volume->names;
	int ret = file_look(names);

	if (!ret && names->blocks < page_of(number + 1))
		ret = extent_grow(names, page_of(number + 1));
	return ret ? ret : share_segment(share, number, out);
}

int share_segment_add(struct share *share, struct share_file *file)
{
	int number, ret;
	void *at;

	if (file->nr_segments >= SHARE_FILE_SEGMENTS)
		return -ENOSPC;
	number = segment_take(share);
	if (number < 0)
		return number;
	ret = segment_make(share, (uint32_t)number, &at);
	if (ret) {
		segments_count(share);
		return ret;
	}
	/* One who gave it up may not have come to its end yet. */
	memset(at, 0, SHARE_SEGMENT);
	file->behind |= file->shm_users & ~share_bit(share->seat);
	file->segment[file->nr_segments] = (uint16_t)number;
	__atomic_store_n(&file->nr_segments, file->nr_segments + 1, __ATOMIC_RELEASE);
	return 0;
}

#define INDEX_HEADER 96U	/* two copies of what SQLite believes its index by */

int share_segments_get(struct share *share, struct share_file *file)
{
	uint32_t i, nr = MIN(file->nr_segments, SHARE_FILE_SEGMENTS);
	void *at, *first = NULL;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = share_segment(share, file->segment[i] % SHARE_SEGMENTS, &at);
		if (ret)
			return ret;
		first = i ? first : at;
	}
	/* Who held all of them, and lives, held them while they were fetched here. */
	if (first && (file->shm_users & ~file->behind & share_bit(share->seat)) == 0 &&
	    !share_alive(share, file->shm_users & ~file->behind))
		memset(first, 0, INDEX_HEADER);
	file->behind &= ~share_bit(share->seat);
	return 0;
}

void share_segments_free(struct share *share, struct share_file *file)
{
	file->nr_segments = 0;
	segments_count(share);
}
