// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The methods that SQLite calls (sqlite3_pcache_methods2).
 *
 * A page is in a frame or in ordinary memory:
 *
 * - pages of caches that SQLite calls not purgeable (databases in memory) hold the only copy of
 *   their data: never in a frame, because a frame can be taken;
 * - pinned pages are in frames as long as all of them fit what is guaranteed to the user, because
 *   then every request can be met with unpinned ones. Beyond that (a large transaction with little
 *   guaranteed) a page that gets pinned is made in ordinary memory; if an unpinned copy is in a
 *   frame, that is dropped, as SQLite allows at any time, and SQLite reads the page again;
 * - unpinned pages are in frames. One in ordinary memory goes as soon as there is room for it
 *   again, and few are kept while there is none: under pressure the cache is to become smaller, not
 *   to move.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define BUCKETS_MIN 64U
#define SLOP 32U	/* behind a page in ordinary memory, for readers of damaged records */
#define STOCK_KEEP 64U	/* frames without a page that are kept for the next one */
#define RECYCLE_TRIES 64U
#define OUTSIDE_KEEP 512U	/* unpinned pages in ordinary memory, while no frame is to be had */

/* The hash table ----------------------------------------------------------------------------- */

static struct cache_page **bucket(struct cache *cache, uint32_t key)
{
	return &cache->table[key & (cache->buckets - 1)];
}

static struct cache_page *lookup(struct cache *cache, uint32_t key)
{
	struct cache_page *page;

	for (page = *bucket(cache, key); page; page = page->chain)
		if (page->key == key)
			return page;
	return NULL;
}

static void table_add(struct cache *cache, struct cache_page *page)
{
	struct cache_page **head = bucket(cache, page->key);

	page->chain = *head;
	*head = page;
}

static void table_del(struct cache *cache, struct cache_page *page)
{
	struct cache_page **at = bucket(cache, page->key);

	while (*at != page)
		at = &(*at)->chain;
	*at = page->chain;
}

/* Twice the buckets. Without memory the chains just get longer. */
static void table_grow(struct cache *cache)
{
	struct cache_page **old = cache->table, **table, *page, *next;
	uint32_t buckets = cache->buckets, i;

	table = calloc((size_t)buckets * 2, sizeof(*table));
	if (!table)
		return;
	cache->table = table;
	cache->buckets = buckets * 2;
	for (i = 0; i < buckets; i++) {
		for (page = old[i]; page; page = next) {
			next = page->chain;
			table_add(cache, page);
		}
	}
	free(old);
}

/* Pages -------------------------------------------------------------------------------------- */

static void pin_locked(struct cache_page *page)
{
	if (page->pinned)
		return;
	page->pinned = true;
	page->cache->pinned++;
	link_del(&page->lru);
	link_del(&page->cache_lru);
	if (page->seat)
		arena_pin_locked(page->seat);
	else
		pool.outside_idle -= page->cache->framed;
}

static void unpin_locked(struct cache_page *page)
{
	struct cache *cache = page->cache;

	page->pinned = false;
	cache->pinned--;
	link_add(&cache->lru, &page->cache_lru);
	if (page->seat) {
		link_add(&pool.lru, &page->lru);
		arena_unpin_locked(page->seat);
	} else {
		pool.outside_idle += cache->framed;
	}
}

/* page is in no table. */
static void page_free_locked(struct cache_page *page)
{
	if (page->pinned)
		unpin_locked(page);
	link_del(&page->lru);
	link_del(&page->cache_lru);
	if (page->seat) {
		arena_put_locked(page);
	} else {
		free(page->base.pBuf);
		pool.in_heap--;
		pool.outside_idle -= page->cache->framed;
	}
	page->cache->pages--;
	free(page);
}

void cache_drop_locked(struct cache_page *page)
{
	table_del(page->cache, page);
	page_free_locked(page);
}

/* The page unused for longest, of this cache or (if it has none) of another. */
static bool recycle_locked(struct cache *cache)
{
	struct link *list = link_empty(&cache->lru) ? NULL : &cache->lru;

	if (list)
		cache_drop_locked(link_entry(list->prev, struct cache_page, cache_lru));
	else if (!link_empty(&pool.lru))
		cache_drop_locked(link_entry(pool.lru.prev, struct cache_page, lru));
	else
		return false;
	pool.recycled++;
	return true;
}

static void *place_in_frame_locked(struct cache *cache, struct cache_page *page)
{
	unsigned int tries;
	void *buf;

	if (!cache->framed || pool.forked || !arena_may_pin_locked(NULL, cache->order))
		return NULL;
	/* One that is recycled may be in ordinary memory or share its seat: it may take some. */
	buf = arena_take_locked(page, cache->order, cache->shift);
	for (tries = 0; !buf && tries < RECYCLE_TRIES && recycle_locked(cache); tries++)
		buf = arena_take_locked(page, cache->order, cache->shift);
	pool.scarce = !buf;
	return buf;
}

static struct cache_page *page_new_locked(struct cache *cache, uint32_t key)
{
	struct cache_page *page;

	page = calloc(1, sizeof(*page) + cache->extra);
	if (!page)
		return NULL;
	link_init(&page->lru);
	link_init(&page->cache_lru);
	page->cache = cache;
	page->key = key;
	page->base.pExtra = page + 1;
	page->base.pBuf = place_in_frame_locked(cache, page);
	if (!page->base.pBuf) {
		page->base.pBuf = calloc(1, (size_t)cache->page_size + SLOP);
		if (!page->base.pBuf) {
			free(page);
			return NULL;
		}
		pool.in_heap++;
		/* Until it is pinned below. */
		pool.outside_idle += cache->framed;
	}
	cache->pages++;
	if (cache->pages > cache->buckets)
		table_grow(cache);
	table_add(cache, page);
	pin_locked(page);
	return page;
}

/* Methods ------------------------------------------------------------------------------------ */

static sqlite3_pcache *cache_create(int page_size, int extra, int purgeable)
{
	struct cache *cache;

	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return NULL;
	cache->table = calloc(BUCKETS_MIN, sizeof(*cache->table));
	if (!cache->table) {
		free(cache);
		return NULL;
	}
	cache->buckets = BUCKETS_MIN;
	cache->page_size = (uint32_t)page_size;
	cache->extra = (uint32_t)extra;
	cache->purgeable = purgeable;
	cache->framed = purgeable && page_size >= 512 && page_size <= 65536 &&
			!(page_size & (page_size - 1));
	while (cache->framed && cache->page_size << cache->shift < EXO_PAGE_SIZE)
		cache->shift++;
	while (cache->framed && (uint32_t)EXO_PAGE_SIZE << cache->order < cache->page_size)
		cache->order++;
	link_init(&cache->lru);
	pthread_mutex_lock(&pool.lock);
	pool.nr_caches++;
	pthread_mutex_unlock(&pool.lock);
	return (sqlite3_pcache *)cache;
}

static void cache_cachesize(sqlite3_pcache *handle, int pages)
{
	struct cache *cache = (struct cache *)handle;

	pthread_mutex_lock(&pool.lock);
	cache->max = pages > 0 ? (uint32_t)pages : 0;
	while (cache->purgeable && cache->pages > cache->max && !link_empty(&cache->lru))
		recycle_locked(cache);
	pthread_mutex_unlock(&pool.lock);
	revoke_trim(STOCK_KEEP);
}

static int cache_pagecount(sqlite3_pcache *handle)
{
	struct cache *cache = (struct cache *)handle;
	int pages;

	pthread_mutex_lock(&pool.lock);
	pages = (int)cache->pages;
	pthread_mutex_unlock(&pool.lock);
	return pages;
}

/* Can this page be used where it is? If not it is dropped: see the top of this file. */
static bool usable_locked(struct cache_page *page)
{
	if (page->pinned || !page->seat)
		return true;
	return arena_intact(page->seat) && arena_may_pin_locked(page->seat, page->seat->order);
}

static sqlite3_pcache_page *cache_fetch(sqlite3_pcache *handle, unsigned int key, int create)
{
	struct cache *cache = (struct cache *)handle;
	struct cache_page *page;

	pthread_mutex_lock(&pool.lock);
	page = lookup(cache, key);
	if (page && !usable_locked(page)) {
		cache_drop_locked(page);
		page = NULL;
	}
	if (page) {
		pool.hits++;
		pin_locked(page);
		goto out;
	}
	if (!create)
		goto out;
	/* SQLite will write a dirty page out, unpin it and ask again. */
	if (create == 1 && cache->purgeable && cache->pinned >= cache->max - cache->max / 10)
		goto out;
	pool.misses++;
	if (cache->purgeable && cache->pages >= cache->max && !link_empty(&cache->lru))
		recycle_locked(cache);
	page = page_new_locked(cache, key);
out:
	pthread_mutex_unlock(&pool.lock);
	return page ? &page->base : NULL;
}

/* A page in ordinary memory is not kept if it could be in a frame next time. */
static bool worth_keeping_locked(const struct cache_page *page)
{
	const struct cache *cache = page->cache;

	if (cache->purgeable && cache->pages > cache->max)
		return false;
	if (page->seat || !cache->framed || pool.forked)
		return true;
	if (pool.outside_idle >= OUTSIDE_KEEP)
		return false;
	return pool.scarce ||
	       pool.pinned_frames + (1U << cache->order) > pool.guaranteed - pool.guaranteed / 4;
}

static void cache_unpin(sqlite3_pcache *handle, sqlite3_pcache_page *base, int discard)
{
	struct cache_page *page = (struct cache_page *)base;
	uint32_t owed;

	(void)handle;
	pthread_mutex_lock(&pool.lock);
	if (discard || !worth_keeping_locked(page))
		cache_drop_locked(page);
	else
		unpin_locked(page);
	owed = pool.owed;
	pthread_mutex_unlock(&pool.lock);
	if (owed)
		revoke_give(owed);
}

static void cache_rekey(sqlite3_pcache *handle, sqlite3_pcache_page *base, unsigned int old_key,
			unsigned int new_key)
{
	struct cache_page *page = (struct cache_page *)base, *other;
	struct cache *cache = (struct cache *)handle;

	(void)old_key;
	pthread_mutex_lock(&pool.lock);
	other = lookup(cache, new_key);
	if (other && other != page)
		cache_drop_locked(other);
	table_del(cache, page);
	page->key = new_key;
	table_add(cache, page);
	pthread_mutex_unlock(&pool.lock);
}

static void truncate_locked(struct cache *cache, uint32_t limit)
{
	struct cache_page **at, *page;
	uint32_t i;

	for (i = 0; i < cache->buckets && cache->pages; i++) {
		for (at = &cache->table[i]; (page = *at);) {
			if (page->key < limit) {
				at = &page->chain;
				continue;
			}
			*at = page->chain;
			page_free_locked(page);
		}
	}
}

static void cache_truncate(sqlite3_pcache *handle, unsigned int limit)
{
	pthread_mutex_lock(&pool.lock);
	truncate_locked((struct cache *)handle, limit);
	pthread_mutex_unlock(&pool.lock);
	revoke_trim(STOCK_KEEP);
}

static void cache_destroy(sqlite3_pcache *handle)
{
	struct cache *cache = (struct cache *)handle;
	uint32_t left;

	pthread_mutex_lock(&pool.lock);
	truncate_locked(cache, 0);
	left = --pool.nr_caches;
	pthread_mutex_unlock(&pool.lock);
	free(cache->table);
	free(cache);
	revoke_trim(left ? STOCK_KEEP : 0);
}

static void cache_shrink(sqlite3_pcache *handle)
{
	struct cache *cache = (struct cache *)handle;

	pthread_mutex_lock(&pool.lock);
	while (cache->purgeable && !link_empty(&cache->lru))
		recycle_locked(cache);
	pthread_mutex_unlock(&pool.lock);
	revoke_trim(0);
}

const sqlite3_pcache_methods2 cache_methods = {
	.iVersion = 1,
	.xCreate = cache_create,
	.xCachesize = cache_cachesize,
	.xPagecount = cache_pagecount,
	.xFetch = cache_fetch,
	.xUnpin = cache_unpin,
	.xRekey = cache_rekey,
	.xTruncate = cache_truncate,
	.xDestroy = cache_destroy,
	.xShrink = cache_shrink,
};
