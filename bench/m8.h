/* SPDX-License-Identifier: GPL-2.0 */
/*
 * M8: one B+tree (samples/bufpool/tree.h) over three stores of pages, on the same block device.
 *
 *	exo	samples/bufpool: frames bound in a view, upcalls, a clock over accessed bits
 *	mmap	the device mapped; the kernel decides
 *	malloc	allocated pages behind a hash table, a clock over reference bits; the same io_uring code
 *
 * An operation is one look-up of a uniformly drawn key, whose value is checked.
 */
#ifndef EXO_BENCH_M8_H
#define EXO_BENCH_M8_H

#include "bench.h"

/* Until a pool was full once, a miss reads its 32 neighbours, in both pools. */
#define M8_READAHEAD 32

/**
 * struct m8 - what is read and how
 * @path: block device
 * @first: where the tree starts, in pages
 * @pages: of the tree
 * @records: keys are 0 ... records - 1
 * @frames: memory for pages (exo, malloc)
 * @ops: operations in a run
 * @batch: look-ups at a time: 1, or TREE_MANY at most
 * @random: mmap: MADV_RANDOM
 * @rng: of the keys
 * @misses: out: pages read per operation, where the store knows
 */
struct m8 {
	const char *path;
	uint64_t first;
	uint32_t pages;
	uint64_t records;
	uint32_t frames;
	uint32_t ops;
	uint32_t batch;
	int random;
	struct bench_rng rng;
	double misses;
};

/* What a value starts with. */
static inline uint64_t m8_word(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15ULL + 1;
}

/* Makes the tree; sets pages. */
void m8_build(struct m8 *m8);

/**
 * struct m8_store - one of the three
 * @name: for rows
 * @open: a tree in a store without a page in memory
 * @run: ops operations; returns the figure per operation
 * @close: gives everything back
 * @misses: pages read ever
 */
struct m8_store {
	const char *name;
	void *(*open)(struct m8 *m8);
	double (*run)(void *store, struct m8 *m8);
	void (*close)(void *store);
	uint64_t (*misses)(void *store);
};

extern const struct m8_store m8_exo, m8_mmap, m8_malloc;

#endif
