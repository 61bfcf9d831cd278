// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Seats: places in one view, with or without frames bound.
 *
 *	EMPTY -> STOCK		stock_up_locked: frames allocated and bound, several seats at once
 *	STOCK -> USED		arena_take_locked
 *	USED -> STOCK		arena_put_locked, of the last page
 *	STOCK -> LOST		seat_from_stock_locked, when the frames were taken by force
 *	STOCK, LOST -> LEAVING	arena_leave_locked
 *	LEAVING -> EMPTY	arena_release
 *
 * Which frame is where stands in the view's own table and nowhere else; a frame that was taken by
 * force is gone from there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define STOCK_UP_FRAMES 32U	/* allocated at once */
#define RELEASE_FRAMES 512U	/* given back in one call */
#define SCARCE_NS 100000000ULL	/* until frames are asked for again when there were none */
#define VIEW_PAGES_MIN 65536U

struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint64_t arena_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * The minimum is the user's. Environments of one user keep parts of it in proportion to what they
 * hold.
 */
uint32_t arena_guaranteed(void)
{
	struct exo_env_status status;
	struct exo_quota quota;
	uint64_t mine;

	if (exo_env_status(pool.env, &status) < 0 ||
	    exo_quota_get(pool.env, status.out_uid, 0, &quota) < 0)
		return 0;
	mine = status.out_frames ? status.out_frames : 1;
	if (quota.out_frames <= mine)
		return quota.min;
	return (uint32_t)(quota.min * mine / quota.out_frames);
}

static void init_lists(void)
{
	unsigned int i;

	link_init(&pool.benches);
	link_init(&pool.lru);
	for (i = 0; i < SEAT_ORDERS; i++) {
		link_init(&pool.empty[i]);
		link_init(&pool.stock[i]);
	}
	for (i = 0; i < SMALL_CLASSES; i++)
		link_init(&pool.partial[i]);
}

/*
 * Places cost a few bytes each, so there are more of them than frames: room for a pool that grows,
 * and for seats of several sizes.
 */
static uint32_t places_wanted(const struct exo_info *info, const struct exo_table *table)
{
	uint64_t pages = table->present > table->target ? table->present : table->target;

	if (pool.limit < pages)
		pages = pool.limit;
	pages *= 4;
	if (pages < VIEW_PAGES_MIN)
		pages = VIEW_PAGES_MIN;
	if (pages > info->out_view_pages)
		pages = info->out_view_pages;
	return (uint32_t)pages & ~(BENCH_PAGES - 1);
}

static int open_view(void)
{
	const struct exo_table *table;
	int ret;

	ret = exo_env_table(pool.env, &table);
	if (ret < 0)
		return ret;
	if (!table->present && !table->target)
		return -ENOSPC;
	pool.view_pages = places_wanted(exo_env_info(pool.env), table);
	ret = exo_view_create(pool.env, &EXO_OPTS(exo_view, .pages = pool.view_pages), &pool.view);
	if (ret < 0)
		return ret;
	pool.slots = exo_view_table(pool.view);
	pool.nr_benches = pool.view_pages / BENCH_PAGES;
	pool.benches_used = 0;
	pool.bench = calloc(pool.nr_benches, sizeof(*pool.bench));
	if (!pool.bench) {
		exo_view_destroy(pool.view);
		pool.view = NULL;
		return -ENOMEM;
	}
	return 0;
}

int arena_open(uint32_t limit)
{
	int ret;

	if (pool.env)
		return 0;
	pool.limit = limit;
	ret = exo_env_open(&pool.env, NULL);
	if (ret < 0) {
		pool.env = NULL;
		return ret;
	}
	init_lists();
	ret = open_view();
	if (ret < 0)
		goto err_env;
	pool.guaranteed = arena_guaranteed();
	exo_env_on_revoke(pool.env, revoke_on_request, NULL);
	exo_env_on_event(pool.env, revoke_on_event, NULL);
	ret = exo_env_service_start(pool.env);
	if (ret < 0)
		goto err_view;
	return 0;

err_view:
	exo_view_destroy(pool.view);
	pool.view = NULL;
	free(pool.bench);
	pool.bench = NULL;
err_env:
	exo_env_close(pool.env);
	pool.env = NULL;
	return ret;
}

/* All caches are gone. The frames go with the environment. */
void arena_close(void)
{
	uint32_t i;

	if (!pool.env)
		return;
	exo_env_service_stop(pool.env);
	exo_view_destroy(pool.view);
	exo_env_close(pool.env);
	for (i = 0; i < pool.benches_used; i++)
		free(pool.bench[i].seats);
	free(pool.bench);
	pool.bench = NULL;
	pool.view = NULL;
	pool.env = NULL;
	pool.held = pool.pinned_frames = pool.stock_frames = pool.owed = pool.releasing = 0;
}

/* Benches ------------------------------------------------------------------------------------ */

static struct bench *bench_get_locked(void)
{
	struct bench *bench;

	if (!link_empty(&pool.benches)) {
		bench = link_entry(pool.benches.next, struct bench, free);
		link_del(&bench->free);
		return bench;
	}
	if (pool.benches_used == pool.nr_benches)
		return NULL;
	bench = &pool.bench[pool.benches_used++];
	link_init(&bench->free);
	return bench;
}

/* One bench more, cut into empty seats of this order. */
static bool bench_cut_locked(uint32_t order)
{
	uint32_t i, count = BENCH_PAGES >> order;
	struct bench *bench;
	struct seat *seat;

	bench = bench_get_locked();
	if (!bench)
		return false;
	bench->seats = calloc(count, sizeof(*bench->seats));
	if (!bench->seats) {
		link_add(&pool.benches, &bench->free);
		return false;
	}
	bench->order = (uint8_t)order;
	bench->empty = count;
	for (i = count; i-- > 0;) {
		seat = &bench->seats[i];
		seat->page = (uint32_t)(bench - pool.bench) * BENCH_PAGES + (i << order);
		seat->order = (uint8_t)order;
		seat->state = SEAT_EMPTY;
		link_add(&pool.empty[order], &seat->link);
	}
	return true;
}

static struct bench *bench_of(const struct seat *seat)
{
	return &pool.bench[seat->page / BENCH_PAGES];
}

static void seat_empty_locked(struct seat *seat)
{
	struct bench *bench = bench_of(seat);
	uint32_t i, count = BENCH_PAGES >> bench->order;

	seat->state = SEAT_EMPTY;
	link_add(&pool.empty[seat->order], &seat->link);
	if (++bench->empty < count)
		return;
	/* The last one: the bench may be cut another way next time. */
	for (i = 0; i < count; i++)
		link_del(&bench->seats[i].link);
	free(bench->seats);
	bench->seats = NULL;
	link_add(&pool.benches, &bench->free);
}

struct seat *arena_find_locked(uint32_t page)
{
	struct bench *bench;

	if (page / BENCH_PAGES >= pool.benches_used)
		return NULL;
	bench = &pool.bench[page / BENCH_PAGES];
	return bench->seats ? &bench->seats[page % BENCH_PAGES >> bench->order] : NULL;
}

bool arena_intact(const struct seat *seat)
{
	uint32_t i;

	for (i = 0; i < 1U << seat->order; i++)
		if (!(__atomic_load_n(&pool.slots[seat->page + i], __ATOMIC_RELAXED) &
		      EXO_SLOT_BOUND))
			return false;
	return true;
}

/* Frames ------------------------------------------------------------------------------------- */

/* Empty seats, up to max of them, out of their list. */
static uint32_t pick_empty_locked(struct seat **seats, uint32_t max, uint32_t order)
{
	uint32_t count = 0;

	while (count < max) {
		if (link_empty(&pool.empty[order]) && !bench_cut_locked(order))
			break;
		seats[count] = link_entry(pool.empty[order].next, struct seat, link);
		link_del(&seats[count]->link);
		bench_of(seats[count])->empty--;
		count++;
	}
	return count;
}

static int bind_locked(struct seat **seats, uint32_t count, uint32_t order, const uint32_t *frames)
{
	struct exo_mem_op ops[STOCK_UP_FRAMES];
	uint32_t i, j, n = 0;

	for (i = 0; i < count; i++)
		for (j = 0; j < 1U << order; j++, n++)
			ops[n] = exo_op(seats[i]->page + j, 1, frames[n],
					EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	return exo_view_bind(pool.view, ops, n, NULL);
}

/* How many seats of this order may get frames now. */
static uint32_t room_locked(uint32_t order)
{
	uint32_t room;

	if (pool.forked || pool.releasing || pool.held >= pool.limit)
		return 0;
	if (pool.rest_until_ns && arena_now_ns() < pool.rest_until_ns)
		return 0;
	pool.rest_until_ns = 0;
	room = pool.limit - pool.held;
	if (room > STOCK_UP_FRAMES)
		room = STOCK_UP_FRAMES;
	return room >> order;
}

static void stock_up_locked(uint32_t order)
{
	struct seat *seats[STOCK_UP_FRAMES];
	uint32_t frames[STOCK_UP_FRAMES];
	uint32_t count, got = 0, whole, i;

	count = pick_empty_locked(seats, room_locked(order), order);
	if (!count)
		return;
	/* Some frames are better than none. */
	exo_mem_alloc(pool.env, NULL, frames, count << order, &got);
	if (!got)
		pool.rest_until_ns = arena_now_ns() + SCARCE_NS;
	whole = got >> order;
	if (whole && bind_locked(seats, whole, order, frames) < 0) {
		struct exo_mem_op op = exo_op(seats[0]->page, 1, 0, 0);

		for (i = 0; i < whole << order; i++) {
			op.page = seats[i >> order]->page + (i & ((1U << order) - 1));
			exo_view_unbind(pool.view, &op, 1, 0, NULL);
		}
		whole = 0;
	}
	if (got > whole << order)
		exo_mem_free(pool.env, frames + (whole << order), got - (whole << order), NULL);
	for (i = 0; i < whole; i++) {
		seats[i]->state = SEAT_STOCK;
		link_add(&pool.stock[order], &seats[i]->link);
	}
	for (; i < count; i++)
		seat_empty_locked(seats[i]);
	pool.held += whole << order;
	pool.stock_frames += whole << order;
	if (pool.held > pool.held_max)
		pool.held_max = pool.held;
	pool.guaranteed = arena_guaranteed();
}

void arena_leave_locked(struct seat *seat)
{
	if (seat->state == SEAT_STOCK)
		pool.stock_frames -= 1U << seat->order;
	link_del(&seat->link);
	seat->state = SEAT_LEAVING;
}

struct seat *arena_leave_any_locked(void)
{
	struct seat *seat;
	unsigned int order;

	for (order = SEAT_ORDERS; order-- > 0;) {
		if (link_empty(&pool.stock[order]))
			continue;
		seat = link_entry(pool.stock[order].prev, struct seat, link);
		arena_leave_locked(seat);
		return seat;
	}
	return NULL;
}

/* A frame may be taken by force between the look and the call: go on behind it. */
static void free_frames(const uint32_t *frames, uint32_t count)
{
	uint32_t done;

	while (count) {
		done = 0;
		if (exo_mem_free(pool.env, frames, count, &done) >= 0)
			return;
		if (done >= count)
			return;
		frames += done + 1;
		count -= done + 1;
	}
}

/*
 * One unbind for all of them, which is one shootdown, then one call that frees. A frame that is taken by
 * force in between is not freed: it is not ours then, and it can't have become ours again, in the seat of
 * another page, because nothing is allocated while pool.releasing says that somebody is here.
 */
static void release_some(struct seat **seats, uint32_t count)
{
	struct exo_mem_op ops[RELEASE_FRAMES];
	uint32_t frames[RELEASE_FRAMES];
	uint32_t i, j, n = 0;
	uint64_t slot;

	for (i = 0; i < count; i++) {
		ops[i] = exo_op(seats[i]->page, 1U << seats[i]->order, 0, 0);
		for (j = 0; j < ops[i].count; j++) {
			slot = __atomic_load_n(&pool.slots[seats[i]->page + j], __ATOMIC_RELAXED);
			if (slot & EXO_SLOT_BOUND)
				frames[n++] = EXO_SLOT_FRAME(slot);
		}
	}
	exo_view_unbind(pool.view, ops, count, 0, NULL);
	free_frames(frames, n);
}

void arena_release(struct seat **seats, uint32_t count)
{
	uint32_t start = 0, end, n, i;

	if (pool.forked || !count)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.releasing++;
	pthread_mutex_unlock(&pool.lock);
	while (start < count) {
		n = 0;
		for (end = start; end < count; end++) {
			if (n + (1U << seats[end]->order) > RELEASE_FRAMES)
				break;
			n += 1U << seats[end]->order;
		}
		release_some(seats + start, end - start);
		pthread_mutex_lock(&pool.lock);
		for (i = start; i < end; i++)
			seat_empty_locked(seats[i]);
		pool.held -= n;
		pthread_mutex_unlock(&pool.lock);
		start = end;
	}
	pthread_mutex_lock(&pool.lock);
	pool.releasing--;
	pthread_mutex_unlock(&pool.lock);
}

/* Frames of stock that stand in seats of another size move: unbound there, bound here. */
static void rebind_stock_locked(uint32_t order)
{
	uint32_t frames[2 * BENCH_PAGES], n = 0, i, want = 1U << order;
	struct seat *seat, *from;
	struct exo_mem_op op;

	if (pool.forked || pool.stock_frames < want || pick_empty_locked(&seat, 1, order) != 1)
		return;
	while (n < want && (from = arena_leave_any_locked())) {
		op = exo_op(from->page, 1U << from->order, 0, 0);
		for (i = 0; i < op.count; i++)
			if (pool.slots[from->page + i] & EXO_SLOT_BOUND)
				frames[n++] = EXO_SLOT_FRAME(pool.slots[from->page + i]);
		exo_view_unbind(pool.view, &op, 1, 0, NULL);
		pool.held -= op.count;
		seat_empty_locked(from);
	}
	if (n >= want && bind_locked(&seat, 1, order, frames) >= 0) {
		pool.held += want;
		pool.stock_frames += want;
		seat->state = SEAT_STOCK;
		link_add(&pool.stock[order], &seat->link);
		free_frames(frames + want, n - want);
		return;
	}
	free_frames(frames, n);
	seat_empty_locked(seat);
}

/* Cells -------------------------------------------------------------------------------------- */

bool arena_may_pin_locked(const struct seat *seat, uint32_t order)
{
	if (seat && seat->pinned)
		return true;
	return pool.pinned_frames + (1U << order) <= pool.guaranteed;
}

void arena_pin_locked(struct seat *seat)
{
	if (!seat->pinned++)
		pool.pinned_frames += 1U << seat->order;
}

void arena_unpin_locked(struct seat *seat)
{
	if (!--seat->pinned)
		pool.pinned_frames -= 1U << seat->order;
}

static struct seat *seat_from_stock_locked(uint32_t order, uint32_t shift)
{
	struct seat *seat;

	if (link_empty(&pool.stock[order]))
		stock_up_locked(order);
	if (link_empty(&pool.stock[order]))
		rebind_stock_locked(order);
	for (;;) {
		if (link_empty(&pool.stock[order]))
			return NULL;
		seat = link_entry(pool.stock[order].next, struct seat, link);
		link_del(&seat->link);
		pool.stock_frames -= 1U << order;
		if (arena_intact(seat))
			break;
		seat->state = SEAT_LOST;
	}
	seat->state = SEAT_USED;
	seat->shift = (uint8_t)shift;
	return seat;
}

/* One that has pages already. What is lost of these, revoke.c drops. */
static struct seat *seat_with_room_locked(uint32_t shift)
{
	struct seat *seat;

	while (!link_empty(&pool.partial[shift])) {
		seat = link_entry(pool.partial[shift].next, struct seat, link);
		if (arena_intact(seat))
			return seat;
		link_del(&seat->link);
	}
	return NULL;
}

void *arena_take_locked(struct cache_page *page, uint32_t order, uint32_t shift)
{
	struct seat *seat;
	uint8_t cell = 0;

	seat = seat_with_room_locked(shift);
	if (!seat)
		seat = seat_from_stock_locked(order, shift);
	if (!seat)
		return NULL;
	while (seat->cell[cell])
		cell++;
	seat->cell[cell] = page;
	seat->users++;
	link_del(&seat->link);
	if (seat->users < 1U << shift)
		link_add(&pool.partial[shift], &seat->link);
	page->seat = seat;
	page->cell = cell;
	return (char *)exo_view_addr(pool.view, seat->page) + cell * (EXO_PAGE_SIZE >> shift);
}

void arena_put_locked(struct cache_page *page)
{
	struct seat *seat = page->seat;

	seat->cell[page->cell] = NULL;
	page->seat = NULL;
	link_del(&seat->link);
	if (--seat->users) {
		link_add(&pool.partial[seat->shift], &seat->link);
		return;
	}
	seat->state = SEAT_STOCK;
	link_add(&pool.stock[seat->order], &seat->link);
	pool.stock_frames += 1U << seat->order;
}
