// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Configuration, preloading, fallback to SQLite's own cache, fork, statistics.
 *
 * SQLite is given the methods below. The environment is opened when SQLite is initialised, not when
 * the library is loaded: a preloaded library is in every child of a shell, too. Without /dev/exo
 * all calls go to SQLite's own methods.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define EXPORT __attribute__((visibility("default")))

static sqlite3_pcache_methods2 stock;	/* SQLite's own */
static const sqlite3_pcache_methods2 *methods;	/* those in use since xInit */
static bool installed;
static uint32_t limit = UINT32_MAX;

static bool env_is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value && strcmp(value, "0");
}

/* In one write: other threads may say something, too, or the process may be about to end. */
void say(const char *fmt, ...)
{
	char text[768] = "exo-sqlite: ";
	size_t len = strlen(text);
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vsnprintf(text + len, sizeof(text) - len - 1, fmt, ap);
	va_end(ap);
	if (ret < 0)
		return;
	len = strlen(text);
	text[len++] = '\n';
	if (write(STDERR_FILENO, text, len) < 0)
		return;
}

/* What to do about it, once a process. */
static void warn_stock(int err)
{
	static bool warned;
	const char *hint;

	if (warned || env_is_set("EXO_SQLITE_QUIET"))
		return;
	warned = true;
	hint = err == -ENOSPC ? "the pool of frames is empty: fill it (sudo exoctl pool grow 64M)" :
				exo_open_hint(err);
	say("using SQLite's own page cache: %s", hint);
}

/* fork: the frames stay the parent's; a child works in ordinary memory ------------------------- */

static void before_fork(void)
{
	pthread_mutex_lock(&pool.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&pool.lock);
}

/* The parent's environment is not held alive: what it owns goes back when the parent ends. */
static void after_fork_child(void)
{
	if (pool.env) {
		exo_env_close(pool.env);
		pool.env = NULL;
		pool.forked = true;
	}
	pthread_mutex_unlock(&pool.lock);
}

static int know_forks(void)
{
	static bool known;

	if (!known && pthread_atfork(before_fork, after_fork_parent, after_fork_child))
		return -ENOMEM;
	known = true;
	return 0;
}

/* Methods ------------------------------------------------------------------------------------ */

static int on_init(void *arg)
{
	int ret;

	(void)arg;
	ret = pool.forked ? -ENODEV : know_forks();
	if (!ret)
		ret = arena_open(limit);
	if (ret < 0) {
		if (!pool.forked)
			warn_stock(ret);
		methods = &stock;
		return stock.xInit ? stock.xInit(stock.pArg) : SQLITE_OK;
	}
	methods = &cache_methods;
	return SQLITE_OK;
}

static void print_stats(void);

static void on_shutdown(void *arg)
{
	(void)arg;
	if (methods == &stock) {
		if (stock.xShutdown)
			stock.xShutdown(stock.pArg);
	} else if (!pool.forked) {
		print_stats();
		arena_close();
	}
	methods = NULL;
}

static sqlite3_pcache *on_create(int page_size, int extra, int purgeable)
{
	return methods->xCreate(page_size, extra, purgeable);
}

static void on_cachesize(sqlite3_pcache *cache, int pages)
{
	methods->xCachesize(cache, pages);
}

static int on_pagecount(sqlite3_pcache *cache)
{
	return methods->xPagecount(cache);
}

static sqlite3_pcache_page *on_fetch(sqlite3_pcache *cache, unsigned int key, int create)
{
	return methods->xFetch(cache, key, create);
}

static void on_unpin(sqlite3_pcache *cache, sqlite3_pcache_page *page, int discard)
{
	methods->xUnpin(cache, page, discard);
}

static void on_rekey(sqlite3_pcache *cache, sqlite3_pcache_page *page, unsigned int old_key,
		     unsigned int new_key)
{
	methods->xRekey(cache, page, old_key, new_key);
}

static void on_truncate(sqlite3_pcache *cache, unsigned int key)
{
	methods->xTruncate(cache, key);
}

static void on_destroy(sqlite3_pcache *cache)
{
	methods->xDestroy(cache);
}

static void on_shrink(sqlite3_pcache *cache)
{
	methods->xShrink(cache);
}

static const sqlite3_pcache_methods2 installed_methods = {
	.iVersion = 1,
	.xInit = on_init,
	.xShutdown = on_shutdown,
	.xCreate = on_create,
	.xCachesize = on_cachesize,
	.xPagecount = on_pagecount,
	.xFetch = on_fetch,
	.xUnpin = on_unpin,
	.xRekey = on_rekey,
	.xTruncate = on_truncate,
	.xDestroy = on_destroy,
	.xShrink = on_shrink,
};

/* Installation ------------------------------------------------------------------------------- */

static void read_limit(uint32_t frames)
{
	const char *text = getenv("EXO_SQLITE_FRAMES");
	unsigned long long value;
	char *end;

	if (frames) {
		limit = frames;
		return;
	}
	if (!text || !*text)
		return;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !value || value > UINT32_MAX)
		say("EXO_SQLITE_FRAMES is \"%s\", which is no number of frames; ignoring it",
		    text);
	else
		limit = (uint32_t)value;
}

static int configure(void)
{
	int ret;

	ret = sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &stock);
	if (ret == SQLITE_OK)
		ret = sqlite3_config(SQLITE_CONFIG_PCACHE2, &installed_methods);
	if (ret != SQLITE_OK)
		return -EBUSY;
	installed = true;
	return 0;
}

/* As all options of libexo: an older caller's struct is shorter, a newer one's longer, with zeroes. */
static int read_opts(const struct exo_sqlite_opts *opts, struct exo_sqlite_opts *known)
{
	const unsigned char *bytes = (const void *)opts;
	size_t i;

	memset(known, 0, sizeof(*known));
	if (!opts)
		return 0;
	if (opts->sz < sizeof(opts->sz))
		return -EINVAL;
	for (i = sizeof(*known); i < opts->sz; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(known, opts, opts->sz < sizeof(*known) ? opts->sz : sizeof(*known));
	return known->reserved ? -EINVAL : 0;
}

/**
 * exo_sqlite_install() - make exo frames SQLite's page cache
 * @opts: options, or NULL
 *
 * Call it before sqlite3_initialize() and before any connection is opened, in one thread.
 *
 * Return: 0, also if it was installed before; -EBUSY: SQLite is initialised already; -EINVAL: bad
 * options; -E2BIG: options that this library does not know; -ENOSPC: the pool is empty; else what
 * exo_env_open() returned. After a failure SQLite keeps its own cache.
 */
EXPORT int exo_sqlite_install(const struct exo_sqlite_opts *opts)
{
	struct exo_sqlite_opts known;
	int ret;

	ret = read_opts(opts, &known);
	if (ret < 0)
		return ret;
	if (installed)
		return 0;
	read_limit(known.frames);
	ret = know_forks();
	if (!ret)
		ret = arena_open(limit);
	if (ret < 0)
		return ret;
	ret = configure();
	if (ret < 0)
		arena_close();
	return ret;
}

/* A preloaded library installs itself; one that is linked leaves that to the program. */
__attribute__((constructor)) static void on_load(void)
{
	const char *preload = getenv("LD_PRELOAD");

	if (!preload || !strstr(preload, "libexo-sqlite"))
		return;
	read_limit(0);
	configure();
}

/* Statistics --------------------------------------------------------------------------------- */

/**
 * exo_sqlite_stats() - what the caches did
 * @out_stats: the figures
 * @size: sizeof(*out_stats)
 *
 * Return: 0; -ENODEV: not installed, SQLite is not initialised, or it runs on its own cache.
 * Thread-safe.
 */
EXPORT int exo_sqlite_stats(struct exo_sqlite_stats *out_stats, size_t size)
{
	struct exo_env_status status;
	struct exo_sqlite_stats stats = { 0 };
	int ret;

	if (size > sizeof(stats))
		return -EINVAL;
	if (methods != &cache_methods || pool.forked)
		return -ENODEV;
	ret = exo_env_status(pool.env, &status);
	if (ret < 0)
		return ret;
	stats.asked = status.out_asked;
	stats.given = status.out_given;
	stats.taken = status.out_taken;
	pthread_mutex_lock(&pool.lock);
	stats.held = pool.held;
	stats.held_max = pool.held_max;
	stats.pinned = pool.pinned_frames;
	stats.guaranteed = pool.guaranteed;
	stats.in_heap = pool.in_heap;
	stats.hits = pool.hits;
	stats.misses = pool.misses;
	stats.recycled = pool.recycled;
	stats.dropped = pool.dropped;
	pthread_mutex_unlock(&pool.lock);
	memcpy(out_stats, &stats, size);
	return 0;
}

static void print_stats(void)
{
	struct exo_sqlite_stats stats;

	if (!env_is_set("EXO_SQLITE_STATS") || exo_sqlite_stats(&stats, sizeof(stats)) < 0)
		return;
	say("frames held %" PRIu64 ", at most %" PRIu64 "; pages found %" PRIu64 ", made %" PRIu64
	    ", recycled %" PRIu64 "; frames asked back %" PRIu64 ", given %" PRIu64 ", taken %"
	    PRIu64,
	    stats.held, stats.held_max, stats.hits, stats.misses, stats.recycled, stats.asked,
	    stats.given, stats.taken);
}

__attribute__((destructor)) static void on_unload(void)
{
	print_stats();
}
