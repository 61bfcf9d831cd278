/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside libexo-sqlite.
 *
 *	install.c	configuration, preloading, fallback to SQLite's own cache, fork, statistics
 *	cache.c		the methods that SQLite calls: hash tables, LRU, what is pinned
 *	revoke.c	giving frames back: on request, after use, and what was taken by force
 *	arena.c		seats: places in one view, with or without frames bound
 *
 * Every page of a purgeable cache has its content in a *cell* of a *seat*: one to 16 view pages
 * side by side, or an eighth to a half of one. So a page of 4096 bytes is one frame, larger ones
 * may be any frames at addresses that follow each other (that is why it is a view and not a
 * window), and what goes with the page (struct cache_page, SQLite's own extra bytes) is in ordinary
 * memory.
 *
 * One lock, pool.lock, guards everything; functions named _locked need it. It is not held while
 * frames are given back, so that SQLite waits for a revocation only as long as it takes to find the
 * victims. The handlers of events run in libexo's service thread.
 */
#ifndef EXO_SQLITE_INTERNAL_H
#define EXO_SQLITE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include <exo/libexo.h>
#include <exo/sqlite.h>

#define BENCH_PAGES 16U		/* 65536 bytes: SQLite's largest page */
#define SEAT_ORDERS 5		/* seats of 1, 2, 4, 8, 16 view pages */
#define CELLS_MAX 8		/* pages of 512 bytes in a seat */
#define SMALL_CLASSES 4		/* cells per seat: 1, 2, 4, 8 */

struct link {
	struct link *next, *prev;
};

static inline void link_init(struct link *list)
{
	list->next = list->prev = list;
}

static inline bool link_empty(const struct link *list)
{
	return list->next == list;
}

static inline void link_add(struct link *list, struct link *node)
{
	node->next = list->next;
	node->prev = list;
	list->next->prev = node;
	list->next = node;
}

/* Leaves node as an empty list: unlinking twice does no harm. */
static inline void link_del(struct link *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	link_init(node);
}

#define link_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

struct cache;
struct cache_page;

/**
 * enum seat_state - what is at a place in the view
 * @SEAT_EMPTY: nothing; in pool.empty
 * @SEAT_STOCK: frames, but no page; in pool.stock
 * @SEAT_USED: at least one page; in pool.partial if there is room for another
 * @SEAT_LEAVING: its frames are being given back; in no list
 * @SEAT_LOST: found without its frames, no page; in no list; revoke.c will read in the log why
 */
enum seat_state { SEAT_EMPTY, SEAT_STOCK, SEAT_USED, SEAT_LEAVING, SEAT_LOST };

/**
 * struct seat - a place in the view
 * @link: in the list that goes with the state
 * @page: first page in the view
 * @order: log2 of its view pages
 * @shift: log2 of its cells
 * @users: cells in use
 * @pinned: of these, with pinned pages
 * @cell: the pages
 */
struct seat {
	struct link link;
	uint32_t page;
	uint8_t state;
	uint8_t order;
	uint8_t shift;
	uint8_t users;
	uint8_t pinned;
	struct cache_page *cell[CELLS_MAX];
};

/* A run of BENCH_PAGES view pages, cut into seats of one order. */
struct bench {
	struct link free;	/* in pool.benches while it has no seats */
	uint32_t empty;		/* seats that are SEAT_EMPTY */
	uint8_t order;
	struct seat *seats;	/* NULL: not cut */
};

/**
 * struct cache_page - a page of a cache
 * @base: what SQLite sees; first, so that one pointer is both
 * @chain: in the cache's hash table
 * @lru, @cache_lru: in pool.lru and in cache->lru while it is not pinned; the oldest is last
 * @seat: NULL: in ordinary memory
 */
struct cache_page {
	sqlite3_pcache_page base;
	struct cache *cache;
	struct cache_page *chain;
	struct link lru;
	struct link cache_lru;
	struct seat *seat;
	uint32_t key;
	uint8_t cell;
	bool pinned;
};

struct cache {
	struct cache_page **table;
	uint32_t buckets;	/* a power of two */
	uint32_t pages;
	uint32_t pinned;
	uint32_t max;		/* SQLite's hint */
	uint32_t page_size;
	uint32_t extra;
	bool purgeable;
	bool framed;		/* pages may be in frames */
	uint8_t order;
	uint8_t shift;
	struct link lru;
};

/**
 * struct pool - everything
 * @limit: most frames held
 * @guaranteed: what revocation leaves: pinned pages stay within it
 * @held, @held_max, @pinned_frames, @stock_frames: frames
 * @owed: asked for, and not yet given because pages were pinned
 * @releasing: threads that are giving frames back, without the lock: none is allocated meanwhile
 * @rest_until_ns: no new frames before this time: they were just asked back, or there were none
 * @scarce: the last page that was to be in a frame found none
 * @outside_idle: unpinned pages in ordinary memory that could be in frames
 * @lru: unpinned pages in frames, over all caches
 * @forked: the child of a process that had @env: frames are the parent's, only ordinary memory is
 *	  used
 */
struct pool {
	pthread_mutex_t lock;
	struct exo_env *env;
	struct exo_view *view;
	const uint64_t *slots;
	uint32_t view_pages;
	uint32_t limit;
	uint32_t guaranteed;
	uint32_t held, held_max, pinned_frames, stock_frames;
	uint32_t owed;
	uint32_t releasing;
	uint64_t rest_until_ns;
	bool scarce;
	bool forked;

	struct bench *bench;
	uint32_t nr_benches;
	uint32_t benches_used;	/* those from here on were never cut */
	struct link benches;
	struct link empty[SEAT_ORDERS];
	struct link stock[SEAT_ORDERS];
	struct link partial[SMALL_CLASSES];

	struct link lru;
	uint32_t nr_caches;
	uint64_t in_heap, outside_idle, hits, misses, recycled, dropped;
};

extern struct pool pool;

/* arena.c ------------------------------------------------------------------------------------ */

/* Opens the environment and the view. 0 or -errno. */
int arena_open(uint32_t limit);
void arena_close(void);
/* A cell in a seat of this shape, for page: its address, or NULL if no frame is to be had. */
void *arena_take_locked(struct cache_page *page, uint32_t order, uint32_t shift);
/* page leaves its cell; a seat without pages is stock. */
void arena_put_locked(struct cache_page *page);
void arena_pin_locked(struct seat *seat);
void arena_unpin_locked(struct seat *seat);
/* May one more seat be pinned, within what is guaranteed? */
bool arena_may_pin_locked(const struct seat *seat, uint32_t order);
/* Are all frames of the seat still there? */
bool arena_intact(const struct seat *seat);
/* The seat at a page of the view, NULL if there is none. */
struct seat *arena_find_locked(uint32_t page);
/* A seat of stock becomes SEAT_LEAVING, or NULL. */
struct seat *arena_leave_any_locked(void);
/* The same for this one, which is in stock or lost. */
void arena_leave_locked(struct seat *seat);
/* The frames of seats that are leaving go back. Without the lock. */
void arena_release(struct seat **seats, uint32_t count);
/* How much is guaranteed now. Without the lock. */
uint32_t arena_guaranteed(void);
uint64_t arena_now_ns(void);

/* cache.c ------------------------------------------------------------------------------------ */

extern const sqlite3_pcache_methods2 cache_methods;

/* The page goes: out of its cache, its memory freed. Not pinned, or truncated. */
void cache_drop_locked(struct cache_page *page);

/* revoke.c ----------------------------------------------------------------------------------- */

void revoke_on_request(const struct exo_revoke *revoke, void *ctx);
void revoke_on_event(struct exo_env *env, const struct exo_event *event, void *ctx);
/*
 * Gives back frames until at least `frames` have gone, stock first, then the oldest pages: how
 * many.
 */
uint32_t revoke_give(uint32_t frames);
/* Gives back stock beyond what is worth keeping. */
void revoke_trim(uint32_t keep);

/* install.c ---------------------------------------------------------------------------------- */

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
