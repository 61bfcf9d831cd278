/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libexo-sqlite: SQLite's page cache on exo frames. See exo_sqlite(7).
 *
 * Pages that SQLite has in use (pinned) stay within the frames that are guaranteed to the user; all
 * others are given back when exo asks. Link with -lexo-sqlite and call exo_sqlite_install() before
 * SQLite is initialised, or preload libexo-sqlite.so.0 under a program that links SQLite
 * dynamically.
 */
#ifndef EXO_SQLITE_H
#define EXO_SQLITE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct exo_sqlite_opts - options of exo_sqlite_install()
 * @sz: size of this struct
 * @frames: most frames that the caches hold together; 0: $EXO_SQLITE_FRAMES, else as many as
 *	    SQLite's cache_size and the user's quota allow
 */
struct exo_sqlite_opts {
	size_t sz;
	uint32_t frames;
	uint32_t reserved;
};

/*
 * Makes it SQLite's page cache. 0; -EBUSY: SQLite is initialised already; else why /dev/exo can't
 * be used (exo_open_hint() says what to do), and SQLite keeps its own cache. A second call does
 * nothing.
 */
int exo_sqlite_install(const struct exo_sqlite_opts *opts);

/**
 * struct exo_sqlite_stats - what the caches did
 * @held: frames held now
 * @held_max: most frames ever held
 * @pinned: of these, under pages that are in use
 * @guaranteed: frames that revocation leaves to this user
 * @in_heap: pages in ordinary memory now: databases in memory, and pinned pages beyond @guaranteed
 * @hits: pages found
 * @misses: pages not found and made
 * @recycled: pages dropped to make room for others
 * @dropped: pages dropped to give frames back
 * @asked: frames that exo asked for
 * @given: frames given back after that
 * @taken: frames taken by force
 */
struct exo_sqlite_stats {
	uint64_t held;
	uint64_t held_max;
	uint64_t pinned;
	uint64_t guaranteed;
	uint64_t in_heap;
	uint64_t hits;
	uint64_t misses;
	uint64_t recycled;
	uint64_t dropped;
	uint64_t asked;
	uint64_t given;
	uint64_t taken;
};

/* 0; -ENODEV: not installed, or SQLite is not initialised, or it runs on its own cache. */
int exo_sqlite_stats(struct exo_sqlite_stats *out_stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
