// SPDX-License-Identifier: GPL-2.0
/* The buffer pool: misses, the clock, write-back. See pool.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pool.h"

#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)

static void *frame_memory(struct pool *pool, uint32_t frame)
{
	return pool->memory[frame - pool->lowest];
}

/* ---- eviction ---- */

/*
 * One turn of the clock over a stride of pages: those that were touched since the last time get
 * another round, the others are victims.
 */
static int find_victims(struct pool *pool, struct exo_mem_op *victims, uint32_t *frames,
			uint32_t *out_count)
{
	uint32_t i, page = pool->hand, count = pool->pages - page, n = 0;
	int ret;

	if (count > pool->stride)
		count = pool->stride;
	ret = exo_view_harvest(pool->view, page, count, EXO_HARVEST_CLEAR_ACCESSED, pool->bits,
			       NULL, NULL);
	if (ret < 0)
		return ret;
	for (i = 0; i < count; i++) {
		uint64_t slot = pool->table[page + i];

		if (!(slot & EXO_SLOT_BOUND) || (pool->bits[i] & EXO_OP_ACCESSED))
			continue;
		frames[n] = EXO_SLOT_FRAME(slot);
		victims[n++] = exo_op(page + i, 1, 0, 0);
	}
	pool->hand = page + count < pool->pages ? page + count : 0;
	*out_count = n;
	return 0;
}

/* The pages are unbound: nobody can store into them while they are written. */
static int write_back(struct pool *pool, const struct exo_mem_op *ops, const uint32_t *frames,
		      uint32_t count)
{
	struct io_page out[POOL_HARVEST];
	uint32_t i, n = 0;

	for (i = 0; i < count; i++) {
		if (!(ops[i].flags & EXO_OP_DIRTY))
			continue;
		out[n].page = ops[i].page;
		out[n++].memory = frame_memory(pool, frames[i]);
	}
	pool->writes += n;
	return n ? io_write(&pool->io, out, n) : 0;
}

static int evict(struct pool *pool, uint32_t want)
{
	struct exo_mem_op victims[POOL_HARVEST];
	uint32_t frames[POOL_HARVEST], count, turns = 0;
	int ret;

	while (pool->nfree < want) {
		/* After two rounds nothing has its accessed bit but what is in use right now. */
		if (turns++ > 3 * (pool->pages / pool->stride + 1))
			return -ENOSPC;
		ret = find_victims(pool, victims, frames, &count);
		if (ret)
			return ret;
		if (!count)
			continue;
		ret = exo_view_unbind(pool->view, victims, count, EXO_BATCH_REPORT, NULL);
		if (ret < 0)
			return ret;
		ret = write_back(pool, victims, frames, count);
		if (ret)
			return ret;
		memcpy(pool->free + pool->nfree, frames, count * sizeof(frames[0]));
		pool->nfree += count;
		pool->evictions += count;
	}
	return 0;
}

/* ---- misses ---- */

/* Neighbours in the file whose frames are neighbours, too, are one operation. */
static uint32_t add_op(struct exo_mem_op *ops, uint32_t n, uint32_t page, uint32_t frame)
{
	struct exo_mem_op *last = ops + n - 1;

	if (n && last->page + last->count == page && last->frame + last->count == frame) {
		last->count++;
		return n;
	}
	ops[n] = exo_op(page, 1, frame, RW);
	return n + 1;
}

/* Pages that are not in memory, each once. */
static int load(struct pool *pool, const uint32_t *pages, uint32_t count)
{
	struct exo_mem_op ops[IO_BATCH];
	struct io_page in[IO_BATCH];
	uint32_t i, n = 0;
	int ret;

	if (pool->nfree < count) {
		ret = evict(pool, count);
		if (ret)
			return ret;
	}
	for (i = 0; i < count; i++) {
		uint32_t frame = pool->free[pool->nfree - 1 - i];

		n = add_op(ops, n, pages[i], frame);
		in[i].page = pages[i];
		in[i].memory = frame_memory(pool, frame);
	}
	ret = io_read(&pool->io, in, count);
	if (ret)
		return ret;
	ret = exo_view_bind(pool->view, ops, n, NULL);
	if (ret < 0)
		return ret;
	pool->nfree -= count;
	pool->misses += count;
	return 0;
}

/* Until the pool was full for the first time, neighbours come along. */
static int on_fault(struct exo_fault *fault, void *ctx)
{
	struct pool *pool = ctx;
	uint32_t pages[POOL_READAHEAD], first, page, n = 0;

	if (fault->view != pool->view || fault->page >= pool->used)
		return -EFAULT;
	if (pool->evictions || pool->nfree < POOL_READAHEAD)
		return load(pool, &fault->page, 1);
	first = fault->page - fault->page % POOL_READAHEAD;
	for (page = first; page < first + POOL_READAHEAD && page < pool->used; page++)
		if (!pool_resident(pool, page))
			pages[n++] = page;
	return load(pool, pages, n);
}

static int contains(const uint32_t *pages, uint32_t count, uint32_t page)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (pages[i] == page)
			return 1;
	return 0;
}

int pool_prefetch(struct pool *pool, const uint32_t *pages, uint32_t count)
{
	uint32_t missing[IO_BATCH], i, n = 0;

	for (i = 0; i < count && n < IO_BATCH; i++)
		if (!pool_resident(pool, pages[i]) && !contains(missing, n, pages[i]))
			missing[n++] = pages[i];
	return n ? load(pool, missing, n) : 0;
}

int pool_new(struct pool *pool, uint32_t *out_page)
{
	uint32_t frame;
	int ret;

	if (pool->used == pool->pages)
		return -ENOSPC;
	ret = pool->nfree ? 0 : evict(pool, 1);
	if (ret)
		return ret;
	frame = pool->free[pool->nfree - 1];
	memset(frame_memory(pool, frame), 0, IO_PAGE);
	ret = exo_view_bind1(pool->view, pool->used, frame, RW);
	if (ret < 0)
		return ret;
	pool->nfree--;
	*out_page = pool->used++;
	return 0;
}

/* ---- write-back and shrinking ---- */

int pool_sync(struct pool *pool)
{
	struct io_page out[POOL_HARVEST];
	uint32_t page, i, count, n;
	int ret;

	for (page = 0; page < pool->used; page += count) {
		count = pool->used - page < POOL_HARVEST ? pool->used - page : POOL_HARVEST;
		ret = exo_view_harvest(pool->view, page, count, EXO_HARVEST_CLEAR_DIRTY, pool->bits,
				       NULL, NULL);
		if (ret < 0)
			return ret;
		for (i = 0, n = 0; i < count; i++) {
			if (!(pool->bits[i] & EXO_OP_DIRTY))
				continue;
			out[n].page = page + i;
			out[n++].memory = frame_memory(pool, EXO_SLOT_FRAME(pool->table[page + i]));
		}
		pool->writes += n;
		ret = n ? io_write(&pool->io, out, n) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

int pool_shrink(struct pool *pool, uint32_t count)
{
	uint32_t done;
	int ret;

	ret = evict(pool, count);
	if (ret)
		return ret;
	ret = exo_mem_free(pool->env, pool->free + pool->nfree - count, count, &done);
	if (ret < 0)
		return ret;
	pool->nfree -= done;
	pool->frames -= done;
	return (int)done;
}

/* ---- open and close ---- */

/* Every frame is touched once, so that no read or write has to fault it in. */
static int map_frames(struct pool *pool)
{
	uint32_t i, highest = pool->free[0];
	char *base;
	int ret;

	ret = exo_window_map_frames(pool->env, pool->free, pool->frames, PROT_READ | PROT_WRITE,
				    &pool->window);
	if (ret)
		return ret;
	base = exo_window_base(pool->window);
	pool->lowest = highest;
	for (i = 0; i < pool->frames; i++) {
		if (pool->free[i] < pool->lowest)
			pool->lowest = pool->free[i];
		if (pool->free[i] > highest)
			highest = pool->free[i];
	}
	pool->memory = calloc((size_t)highest - pool->lowest + 1, sizeof(*pool->memory));
	if (!pool->memory) {
		exo_window_unmap(pool->window);
		return -ENOMEM;
	}
	for (i = 0; i < pool->frames; i++)
		pool->memory[pool->free[i] - pool->lowest] = base + (size_t)i * IO_PAGE;
	for (i = 0; i < pool->frames; i++)
		(void)*(volatile char *)(base + (size_t)i * IO_PAGE);
	return 0;
}

/* The stack then gives ascending frames. */
static void reverse(uint32_t *frames, uint32_t count)
{
	uint32_t i, frame;

	for (i = 0; i < count / 2; i++) {
		frame = frames[i];
		frames[i] = frames[count - 1 - i];
		frames[count - 1 - i] = frame;
	}
}

static int make_view(struct pool *pool)
{
	int ret;

	ret = exo_view_create(pool->env, &EXO_OPTS(exo_view, .pages = pool->pages), &pool->view);
	if (ret)
		return ret;
	pool->base = exo_view_base(pool->view);
	pool->table = exo_view_table(pool->view);
	ret = exo_fault_register(pool->env, on_fault, pool,
				 &EXO_OPTS(exo_fault, .stack = 256 * 1024));
	if (ret)
		exo_view_destroy(pool->view);
	return ret;
}

int pool_open(struct pool *pool, struct exo_env *env, const struct pool_opts *opts)
{
	int ret;

	memset(pool, 0, sizeof(*pool));
	pool->env = env;
	pool->pages = opts->pages;
	pool->used = opts->used;
	pool->frames = opts->frames;
	pool->nfree = opts->frames;
	pool->stride = opts->pages / 64;
	if (pool->stride < 64)
		pool->stride = 64;
	if (pool->stride > POOL_HARVEST)
		pool->stride = POOL_HARVEST;
	pool->free = calloc(opts->frames, sizeof(*pool->free));
	if (!pool->free)
		return -ENOMEM;
	ret = io_open(&pool->io, opts->path, opts->first, 1);
	if (ret)
		goto err_free;
	ret = exo_mem_alloc_any(env, pool->free, pool->frames);
	if (ret)
		goto err_io;
	ret = map_frames(pool);
	if (ret)
		goto err_frames;
	reverse(pool->free, pool->frames);
	ret = make_view(pool);
	if (ret)
		goto err_window;
	return 0;

err_window:
	exo_window_unmap(pool->window);
	free(pool->memory);
err_frames:
	exo_mem_free(env, pool->free, pool->frames, NULL);
err_io:
	io_close(&pool->io);
err_free:
	free(pool->free);
	return ret;
}

void pool_close(struct pool *pool)
{
	uint32_t page;

	exo_fault_unregister(pool->env);
	for (page = 0; page < pool->used; page++)
		if (pool_resident(pool, page))
			pool->free[pool->nfree++] = EXO_SLOT_FRAME(pool->table[page]);
	exo_view_destroy(pool->view);
	exo_window_unmap(pool->window);
	exo_mem_free(pool->env, pool->free, pool->nfree, NULL);
	io_close(&pool->io);
	free(pool->memory);
	free(pool->free);
}
