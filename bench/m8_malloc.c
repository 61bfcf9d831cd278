// SPDX-License-Identifier: GPL-2.0
/*
 * M8 on allocated memory: a hash table from page to memory, as database systems have it, a clock over
 * reference bits, and the buffer pool's own io_uring code. Reading only: it need not know what is dirty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "m8.h"

#define NONE UINT32_MAX

/**
 * struct heap - a pool of allocated pages
 * @page, @place: the hash table: open addressing, linear probing, at most half full
 * @shift: of the hash
 * @mask: entries less one
 * @memory: place p is memory + p * PAGE
 * @holds: page in a place, NONE if none
 * @used: reference bit of a place
 * @hand: of the clock
 * @full: it was, once
 */
struct heap {
	struct io io;
	uint32_t *page;
	uint32_t *place;
	uint32_t shift;
	uint32_t mask;
	char *memory;
	uint32_t *holds;
	uint8_t *used;
	uint32_t frames;
	uint32_t pages;
	uint32_t *free;
	uint32_t nfree;
	uint32_t hand;
	int full;
	uint64_t misses;
};

static inline uint32_t home(const struct heap *heap, uint32_t page)
{
	return page * 2654435769U >> heap->shift;
}

static inline uint32_t find(const struct heap *heap, uint32_t page)
{
	uint32_t i;

	for (i = home(heap, page); heap->page[i] != page; i = (i + 1) & heap->mask)
		if (heap->page[i] == NONE)
			return NONE;
	return heap->place[i];
}

static void insert(struct heap *heap, uint32_t page, uint32_t place)
{
	uint32_t i = home(heap, page);

	while (heap->page[i] != NONE)
		i = (i + 1) & heap->mask;
	heap->page[i] = page;
	heap->place[i] = place;
}

/* Entries behind the hole that may move into it do. */
static void forget(struct heap *heap, uint32_t page)
{
	uint32_t hole = home(heap, page), i;

	while (heap->page[hole] != page)
		hole = (hole + 1) & heap->mask;
	for (i = (hole + 1) & heap->mask; heap->page[i] != NONE; i = (i + 1) & heap->mask) {
		if (((i - home(heap, heap->page[i])) & heap->mask) < ((i - hole) & heap->mask))
			continue;
		heap->page[hole] = heap->page[i];
		heap->place[hole] = heap->place[i];
		hole = i;
	}
	heap->page[hole] = NONE;
}

static void evict(struct heap *heap, uint32_t want)
{
	uint32_t place;

	heap->full = 1;
	while (heap->nfree < want) {
		place = heap->hand;
		heap->hand = place + 1 == heap->frames ? 0 : place + 1;
		if (heap->holds[place] == NONE)
			continue;
		if (heap->used[place]) {
			heap->used[place] = 0;
			continue;
		}
		forget(heap, heap->holds[place]);
		heap->holds[place] = NONE;
		heap->free[heap->nfree++] = place;
	}
}

static int load(struct heap *heap, const uint32_t *pages, uint32_t count)
{
	struct io_page in[IO_BATCH];
	uint32_t places[IO_BATCH], i;
	int ret;

	if (heap->nfree < count)
		evict(heap, count);
	for (i = 0; i < count; i++) {
		places[i] = heap->free[--heap->nfree];
		in[i].page = pages[i];
		in[i].memory = heap->memory + places[i] * PAGE;
	}
	ret = io_read(&heap->io, in, count);
	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		insert(heap, pages[i], places[i]);
		heap->holds[places[i]] = pages[i];
		heap->used[places[i]] = 1;
	}
	heap->misses += count;
	return 0;
}

static void miss(struct heap *heap, uint32_t page)
{
	uint32_t pages[M8_READAHEAD], first, other, n = 0;

	if (heap->full || heap->nfree < M8_READAHEAD) {
		bench_must(load(heap, &page, 1), "read");
		return;
	}
	first = page - page % M8_READAHEAD;
	for (other = first; other < first + M8_READAHEAD && other < heap->pages; other++)
		if (find(heap, other) == NONE)
			pages[n++] = other;
	bench_must(load(heap, pages, n), "read");
}

static inline void *heap_page(struct heap *heap, uint32_t page)
{
	uint32_t place = find(heap, page);

	if (__builtin_expect(place == NONE, 0)) {
		miss(heap, page);
		place = find(heap, page);
	}
	heap->used[place] = 1;
	return heap->memory + place * PAGE;
}

static int heap_prefetch(struct heap *heap, const uint32_t *pages, uint32_t count)
{
	uint32_t missing[IO_BATCH], i, j, n = 0;

	for (i = 0; i < count && n < IO_BATCH; i++) {
		if (find(heap, pages[i]) != NONE)
			continue;
		for (j = 0; j < n && missing[j] != pages[i]; j++)
			;
		if (j == n)
			missing[n++] = pages[i];
	}
	return n ? load(heap, missing, n) : 0;
}

#define TREE_STORE struct heap
#define TREE_PAGE(store, page) heap_page(store, page)
#define TREE_NEW(store, out) (-EROFS)
#define TREE_PREFETCH(store, pages, n) heap_prefetch(store, pages, n)
#include "tree.h"
#include "m8_ops.h"

struct malloc_store {
	struct heap heap;
	struct tree tree;
};

static void *must_alloc(size_t count, size_t size)
{
	void *memory = aligned_alloc(PAGE, (count * size + PAGE - 1) & ~(PAGE - 1));

	if (!memory)
		bench_fail("out of memory");
	/* Present from the start, like frames. */
	memset(memory, 0, count * size);
	return memory;
}

static void heap_open(struct heap *heap, const struct m8 *m8)
{
	uint32_t i, bits = 1;

	bench_must(io_open(&heap->io, m8->path, m8->first, 0), "open the device");
	heap->frames = m8->frames;
	heap->pages = m8->pages;
	while (1U << bits < 2 * m8->frames)
		bits++;
	heap->shift = 32 - bits;
	heap->mask = (1U << bits) - 1;
	heap->page = must_alloc(heap->mask + 1, sizeof(*heap->page));
	heap->place = must_alloc(heap->mask + 1, sizeof(*heap->place));
	heap->memory = must_alloc(heap->frames, PAGE);
	heap->holds = must_alloc(heap->frames, sizeof(*heap->holds));
	heap->used = must_alloc(heap->frames, 1);
	heap->free = must_alloc(heap->frames, sizeof(*heap->free));
	memset(heap->page, 0xff, (heap->mask + 1) * sizeof(*heap->page));
	memset(heap->holds, 0xff, heap->frames * sizeof(*heap->holds));
	for (i = 0; i < heap->frames; i++)
		heap->free[heap->nfree++] = heap->frames - 1 - i;
}

static void *open_store(struct m8 *m8)
{
	struct malloc_store *store = calloc(1, sizeof(*store));

	if (!store)
		bench_fail("out of memory");
	heap_open(&store->heap, m8);
	bench_must(tree_open(&store->tree, &store->heap), "no tree on the device");
	return store;
}

static double run(void *handle, struct m8 *m8)
{
	return m8_ops(&((struct malloc_store *)handle)->tree, m8);
}

static uint64_t misses(void *handle)
{
	return ((struct malloc_store *)handle)->heap.misses;
}

static void close_store(void *handle)
{
	struct malloc_store *store = handle;
	struct heap *heap = &store->heap;

	io_close(&heap->io);
	free(heap->page);
	free(heap->place);
	free(heap->memory);
	free(heap->holds);
	free(heap->used);
	free(heap->free);
	free(store);
}

const struct m8_store m8_malloc = {
	.name = "malloc",
	.open = open_store,
	.run = run,
	.close = close_store,
	.misses = misses,
};
