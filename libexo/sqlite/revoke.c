// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Giving frames back.
 *
 * The handlers run in libexo's service thread, so that a request is answered in time although the
 * database is idle. Victims: stock first, then the pages unused for longest, in whatever cache; all
 * pages of a seat go together. What can't be given because SQLite has it pinned is owed, and given
 * when it is unpinned (cache_unpin).
 *
 * A frame that was taken by force under a page that nobody uses costs a read. Under one that is in
 * use the data is lost, and then the process ends here: the file is as after any crash, SQLite
 * repairs it from its journal. It can only happen to a process that does not run for as long as the
 * deadline.
 */
#include <stdlib.h>

#include "internal.h"

#define GIVE_SEATS 256U
#define LOG_ENTRIES 128U
#define REST_NS 1000000000ULL	/* no new frames for this long after a request */

/* The seat of the oldest page that can go, with all its pages dropped; NULL: there is none. */
static struct seat *evict_locked(void)
{
	struct cache_page *page;
	struct link *node;
	struct seat *seat;
	unsigned int cell;

	for (node = pool.lru.prev; node != &pool.lru; node = node->prev) {
		page = link_entry(node, struct cache_page, lru);
		seat = page->seat;
		if (seat->pinned)
			continue;
		for (cell = 0; cell < CELLS_MAX; cell++) {
			if (!seat->cell[cell])
				continue;
			cache_drop_locked(seat->cell[cell]);
			pool.dropped++;
		}
		arena_leave_locked(seat);
		return seat;
	}
	return NULL;
}

uint32_t revoke_give(uint32_t frames)
{
	struct seat *seats[GIVE_SEATS];
	uint32_t count, given = 0, order;

	do {
		pthread_mutex_lock(&pool.lock);
		for (count = 0; count < GIVE_SEATS && given < frames && !pool.forked; count++) {
			seats[count] = arena_leave_any_locked();
			if (!seats[count])
				seats[count] = evict_locked();
			if (!seats[count])
				break;
			order = seats[count]->order;
			given += 1U << order;
			pool.owed -= pool.owed < 1U << order ? pool.owed : 1U << order;
		}
		pthread_mutex_unlock(&pool.lock);
		arena_release(seats, count);
	} while (count == GIVE_SEATS && given < frames);
	return given;
}

void revoke_trim(uint32_t keep)
{
	struct seat *seats[GIVE_SEATS];
	uint32_t count;

	do {
		pthread_mutex_lock(&pool.lock);
		for (count = 0; count < GIVE_SEATS && !pool.forked; count++) {
			if (pool.stock_frames <= keep)
				break;
			seats[count] = arena_leave_any_locked();
		}
		pthread_mutex_unlock(&pool.lock);
		arena_release(seats, count);
	} while (count == GIVE_SEATS);
}

void revoke_on_request(const struct exo_revoke *revoke, void *ctx)
{
	uint32_t guaranteed = arena_guaranteed();

	(void)ctx;
	pthread_mutex_lock(&pool.lock);
	pool.guaranteed = guaranteed;
	pool.rest_until_ns = arena_now_ns() + REST_NS;
	pool.owed = revoke->wanted;
	pthread_mutex_unlock(&pool.lock);
	revoke_give(revoke->wanted);
}

static void die(void)
{
	say("frames were taken by force while SQLite had pages in them in use, because this "
	    "process did not run until the deadline was over. It ends here, before it could work "
	    "with data that is gone; the database is safe: SQLite rolls back when it is opened "
	    "next. A longer deadline helps: exoctl quota set USER --deadline=MS");
	abort();
}

/* The seat of this page of the view, if it needs clearing away: true. */
static bool clear_away_locked(uint32_t view_page, struct seat **out_seat)
{
	struct seat *seat = arena_find_locked(view_page);
	unsigned int cell;

	*out_seat = seat;
	/* It may have been given frames anew since. */
	if (!seat || seat->state == SEAT_EMPTY || seat->state == SEAT_LEAVING || arena_intact(seat))
		return false;
	if (seat->pinned)
		die();
	for (cell = 0; cell < CELLS_MAX; cell++)
		if (seat->cell[cell])
			cache_drop_locked(seat->cell[cell]);
	arena_leave_locked(seat);
	return true;
}

static void clear_away(const struct exo_mem_taken *entries, uint32_t count)
{
	struct seat *seats[LOG_ENTRIES];
	uint32_t i, n = 0;
	int64_t page;

	pthread_mutex_lock(&pool.lock);
	for (i = 0; i < count; i++) {
		page = exo_view_page(pool.view, (const void *)(uintptr_t)entries[i].address);
		if (page >= 0 && clear_away_locked((uint32_t)page, &seats[n]))
			n++;
	}
	pthread_mutex_unlock(&pool.lock);
	arena_release(seats, n);
}

void revoke_on_event(struct exo_env *env, const struct exo_event *event, void *ctx)
{
	struct exo_mem_taken entries[LOG_ENTRIES];
	int ret;

	(void)ctx;
	if (event->type != EXO_EVENT_REPOSSESSED)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.owed = 0;
	pthread_mutex_unlock(&pool.lock);
	do {
		ret = exo_mem_log(env, entries, LOG_ENTRIES, NULL);
		if (ret > 0)
			clear_away(entries, (uint32_t)ret);
	} while (ret == (int)LOG_ENTRIES);
}
