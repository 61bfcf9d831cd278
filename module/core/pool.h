/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which frames of the pool are free, and which of them a request gets.
 *
 * A block is 512 frame numbers in a row: order 0, each frame by itself, or order 9, one 2 MiB frame
 * that comes and goes as a whole. The caller has a lock; nothing here allocates. Every choice looks
 * at a block once at most, and takes the same time however many frames are in it.
 *
 * What this keeps true (INV-FRAME-1, INV-FRAME-8): a frame is absent, free or taken; the table that
 * everybody sees says the same as the bitmaps; present = free + taken.
 */
#ifndef EXO_CORE_POOL_H
#define EXO_CORE_POOL_H

#include "core/types.h"

#define EXO_POOL_WORDS (EXO_HUGE_FRAMES / 64)
#define EXO_POOL_NODE_ANY (~0U)

/* Kinds of block, as an index. */
#define EXO_POOL_SMALL 0
#define EXO_POOL_HUGE_KIND 1

/**
 * struct exo_block - 512 frames
 * @entry: their entries in the shared table
 * @free: bit i: frame i is free
 * @present: bit i: frame i is in the pool
 * @next: bit i: frame i and the frame with the next number are present and physically adjacent
 * @nr_free: bits in @free
 * @nr_present: bits in @present
 * @order: 0 or EXO_HUGE_ORDER; may change while nothing is present
 * @node: NUMA node of all of its frames
 * @sorted: @by_colour is right
 * @by_colour: indexes of the present frames, in order of colour
 * @measured: the four fields below are right
 * @head: length of the free contiguous run that begins at frame 0
 * @tail: length of the one that ends at frame 511
 * @best: length of the longest one
 * @best_at: where that begins
 */
struct exo_block {
	struct exo_frame_entry *entry;
	u64 free[EXO_POOL_WORDS];
	u64 present[EXO_POOL_WORDS];
	u64 next[EXO_POOL_WORDS];
	u16 nr_free;
	u16 nr_present;
	u8 order;
	u8 node;
	bool sorted;
	bool measured;
	u16 head;
	u16 tail;
	u16 best;
	u16 best_at;
	u16 by_colour[EXO_HUGE_FRAMES];
};

/**
 * struct exo_pool - all blocks
 * @block: by number; NULL where none was ever needed
 * @nr_blocks: length of @block
 * @some: for each kind, bit b: block b is of that kind and has something free
 * @low: for each kind, no block below this has its bit in @some
 * @free: for each kind, frames that are free
 * @present: for each kind, frames that are present
 */
struct exo_pool {
	struct exo_block **block;
	u32 nr_blocks;
	u64 *some[2];
	u32 low[2];
	u32 free[2];
	u32 present[2];
};

void exo_pool_add(struct exo_pool *pool, u32 nr, u16 colour, bool after_prev, bool before_next);
void exo_pool_put(struct exo_pool *pool, u32 nr);
void exo_pool_remove_taken(struct exo_pool *pool, u32 nr);

bool exo_pool_take_one(struct exo_pool *pool, u32 kept, u32 own, u32 *nr);
u32 exo_pool_take_any(struct exo_pool *pool, u32 node, u32 n, u32 *out);
int exo_pool_take_this(struct exo_pool *pool, u32 nr);
u32 exo_pool_take_colour(struct exo_pool *pool, u16 colour, u32 node, u32 n, u32 *out);
int exo_pool_take_contig(struct exo_pool *pool, u32 node, u32 n, u32 *first);
u32 exo_pool_take_huge(struct exo_pool *pool, u32 node, u32 n, u32 *out);
u32 exo_pool_take_idle(struct exo_pool *pool, unsigned int kind, u32 node, u32 n, u32 *out);

u32 exo_pool_spare(const struct exo_pool *pool, unsigned int kind, u32 kept);
u32 exo_pool_allow(const struct exo_pool *pool, unsigned int kind, u32 kept, u32 n, u32 own);
bool exo_pool_is_short(const struct exo_pool *pool, unsigned int kind, u32 kept);
u32 exo_pool_missing(const struct exo_pool *pool, u32 kept);
int exo_pool_hole(struct exo_pool *pool, u32 node, u32 *nr);
int exo_pool_empty_block(struct exo_pool *pool, u32 *block);

#endif
