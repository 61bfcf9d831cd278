/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A buffer pool on exo, in the manner of vmcache: a file of pages, far larger than the memory for it.
 *
 * Page p of the file is always at the same address, pool_page(pool, p): base + p * 4096. There is no
 * translation, no hash table and no pin count; a page that is in memory is a plain pointer. To touch
 * one that is not raises an upcall, which reads it (O_DIRECT, io_uring, into a frame seen through a
 * window) and binds the frame there. Which page goes when frames run out is the pool's decision: a
 * clock over the accessed bits. A page is written back when the page table says that it is dirty.
 *
 * One thread uses a pool: the one that opened it. A pointer to a page stays right for ever; the page
 * behind it may go and come back. Pages can't be passed to system calls.
 */
#ifndef BUFPOOL_POOL_H
#define BUFPOOL_POOL_H

#include <exo/libexo.h>

#include "io.h"

#define POOL_HARVEST 512 /* most pages whose accessed bits are read at once */
#define POOL_READAHEAD 32 /* pages read together until the pool was full once */

/**
 * struct pool - a buffer pool
 * @env: the environment
 * @view: page p of the file at page p
 * @window: all frames, for I/O
 * @base: of the view
 * @table: slots of the view: what is in memory
 * @io: the file
 * @pages: size of the view; page numbers are below it
 * @used: pages of the file that exist
 * @frames: frames held
 * @free: frames that hold no page; a stack
 * @nfree: how many
 * @lowest: lowest frame number
 * @memory: where frame lowest + i is in the window
 * @hand: of the clock
 * @stride: pages that the hand passes at once: a small part of the pool
 * @bits: accessed and dirty bits as harvested
 * @misses, @evictions, @writes: counters
 */
struct pool {
	struct exo_env *env;
	struct exo_view *view;
	struct exo_window *window;
	char *base;
	const uint64_t *table;
	struct io io;
	uint32_t pages;
	uint32_t used;
	uint32_t frames;
	uint32_t *free;
	uint32_t nfree;
	uint32_t lowest;
	char **memory;
	uint32_t hand;
	uint32_t stride;
	uint8_t bits[POOL_HARVEST];
	uint64_t misses;
	uint64_t evictions;
	uint64_t writes;
};

/**
 * struct pool_opts - what pool_open() needs
 * @path: file or block device
 * @first: page of the file that is page 0 of the pool
 * @frames: memory, in pages
 * @pages: most pages that the file can have
 * @used: pages that it has
 */
struct pool_opts {
	const char *path;
	uint64_t first;
	uint32_t frames;
	uint32_t pages;
	uint32_t used;
};

/* 0 or -errno. The calling thread's faults in env's views are the pool's from now on. */
int pool_open(struct pool *pool, struct exo_env *env, const struct pool_opts *opts);
/* Does not write back: pool_sync() first. */
void pool_close(struct pool *pool);

/* Where a page is. It may be read and written at once. */
static inline void *pool_page(struct pool *pool, uint32_t page)
{
	return pool->base + (uint64_t)page * IO_PAGE;
}

/* Is it in memory? */
static inline int pool_resident(const struct pool *pool, uint32_t page)
{
	return (pool->table[page] & EXO_SLOT_BOUND) != 0;
}

/* Reads those of the pages that are not in memory, all at once. 0 or -errno. */
int pool_prefetch(struct pool *pool, const uint32_t *pages, uint32_t count);
/* A new page at the end of the file, zeroed. */
int pool_new(struct pool *pool, uint32_t *out_page);
/* Writes back what is dirty. */
int pool_sync(struct pool *pool);
/* Gives count frames back to exo; clean pages go first. How many, or -errno. */
int pool_shrink(struct pool *pool, uint32_t count);

#endif
