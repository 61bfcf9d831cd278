// SPDX-License-Identifier: GPL-2.0
#include "core/bits.h"
#include "core/pool.h"

#define FRAME_MASK (EXO_HUGE_FRAMES - 1)

static unsigned int kind_of(const struct exo_block *block)
{
	return block->order ? EXO_POOL_HUGE_KIND : EXO_POOL_SMALL;
}

static struct exo_block *block_of(const struct exo_pool *pool, u32 nr)
{
	u32 at = nr >> EXO_HUGE_ORDER;

	return at < pool->nr_blocks ? pool->block[at] : NULL;
}

/* First block at or above @at of this kind and node with something free, or nr_blocks. */
static u32 block_next(const struct exo_pool *pool, unsigned int kind, u32 node, u32 at)
{
	for (; ; at++) {
		at = exo_bit_next(pool->some[kind], at, pool->nr_blocks);
		if (at == pool->nr_blocks || node == EXO_POOL_NODE_ANY ||
		    pool->block[at]->node == node)
			return at;
	}
}

/* What block_next() finds from here on is all there is; skip what is known to be empty. */
static u32 block_first(struct exo_pool *pool, unsigned int kind, u32 node)
{
	pool->low[kind] = exo_bit_next(pool->some[kind], pool->low[kind], pool->nr_blocks);
	return block_next(pool, kind, node, pool->low[kind]);
}

static void mark_free(struct exo_pool *pool, u32 at, u32 i)
{
	struct exo_block *block = pool->block[at];
	unsigned int kind = kind_of(block);

	exo_bit_set(block->free, i);
	block->entry[i].state = EXO_FRAME_FREE;
	block->nr_free++;
	block->measured = false;
	pool->free[kind]++;
	exo_bit_set(pool->some[kind], at);
	if (at < pool->low[kind])
		pool->low[kind] = at;
}

static inline void mark_taken(struct exo_pool *pool, u32 at, u32 i)
{
	struct exo_block *block = pool->block[at];
	unsigned int kind = kind_of(block);

	exo_bit_clear(block->free, i);
	block->entry[i].state = EXO_FRAME_TAKEN;
	block->nr_free--;
	block->measured = false;
	pool->free[kind]--;
	if (!block->nr_free)
		exo_bit_clear(pool->some[kind], at);
}

static void link_set(struct exo_block *block, u32 i, bool adjacent)
{
	if (adjacent) {
		exo_bit_set(block->next, i);
		block->entry[i].flags |= EXO_FRAME_CONTIG;
	} else {
		exo_bit_clear(block->next, i);
		block->entry[i].flags &= ~EXO_FRAME_CONTIG;
	}
	block->measured = false;
}

/* The link from frame @nr - 1 to @nr. */
static void link_prev(struct exo_pool *pool, u32 nr, bool adjacent)
{
	struct exo_block *block;

	if (!nr)
		return;
	block = block_of(pool, nr - 1);
	if (block)
		link_set(block, (nr - 1) & FRAME_MASK, adjacent);
}

/**
 * exo_pool_add() - a frame comes into the pool: absent -> taken
 * @pool: pool
 * @nr: its number; its block is there, with order and node
 * @colour: its colour
 * @after_prev: it is physically the frame after @nr - 1, which is present
 * @before_next: and the one before @nr + 1, which is present
 *
 * Of a 2 MiB frame each of the 512 is added. exo_pool_put() then makes it free.
 */
void exo_pool_add(struct exo_pool *pool, u32 nr, u16 colour, bool after_prev, bool before_next)
{
	struct exo_block *block = block_of(pool, nr);
	u32 i = nr & FRAME_MASK;

	exo_bit_set(block->present, i);
	block->nr_present++;
	pool->present[kind_of(block)]++;
	block->entry[i] = (struct exo_frame_entry) {
		.state = EXO_FRAME_TAKEN,
		.order = block->order,
		.node = block->node,
		.colour = colour,
	};
	block->sorted = false;
	link_prev(pool, nr, after_prev);
	link_set(block, i, before_next);
}

/**
 * exo_pool_put() - taken -> free
 * @pool: pool
 * @nr: frame; of a 2 MiB frame the first
 */
void exo_pool_put(struct exo_pool *pool, u32 nr)
{
	u32 n = block_of(pool, nr)->order ? EXO_HUGE_FRAMES : 1;

	for (; n; n--, nr++)
		mark_free(pool, nr >> EXO_HUGE_ORDER, nr & FRAME_MASK);
}

/**
 * exo_pool_remove_taken() - taken -> absent
 * @pool: pool
 * @nr: frame; of a 2 MiB frame the first
 */
void exo_pool_remove_taken(struct exo_pool *pool, u32 nr)
{
	struct exo_block *block = block_of(pool, nr);
	u32 n = block->order ? EXO_HUGE_FRAMES : 1;
	u32 i;

	for (; n; n--, nr++) {
		i = nr & FRAME_MASK;
		link_prev(pool, nr, false);
		link_set(block, i, false);
		exo_bit_clear(block->present, i);
		block->nr_present--;
		pool->present[kind_of(block)]--;
		block->entry[i] = (struct exo_frame_entry) { .state = EXO_FRAME_ABSENT };
	}
	block->sorted = false;
}

/**
 * exo_pool_take_any() - take whatever is free, in the order of frame numbers
 * @pool: pool
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @n: how many
 * @out: their numbers
 *
 * Low blocks fill up first, so that high ones stay whole for long runs, and can be given back.
 *
 * Return: how many there were.
 */
u32 exo_pool_take_any(struct exo_pool *pool, u32 node, u32 n, u32 *out)
{
	u32 at = block_first(pool, EXO_POOL_SMALL, node);
	u32 i, done = 0;

	while (done < n && at < pool->nr_blocks) {
		struct exo_block *block = pool->block[at];

		for (i = 0; done < n && block->nr_free; i++) {
			i = exo_bit_next(block->free, i, EXO_HUGE_FRAMES);
			mark_taken(pool, at, i);
			out[done++] = at << EXO_HUGE_ORDER | i;
		}
		if (done < n)
			at = block_next(pool, EXO_POOL_SMALL, node, at);
	}
	return done;
}

/**
 * exo_pool_take_this() - take this frame, or this 2 MiB frame
 * @pool: pool
 * @nr: frame; of a 2 MiB frame the first
 *
 * Return: 0; -EINVAL if it is in the middle of a 2 MiB frame; -ENOENT if it is absent; -EBUSY if it
 * is taken.
 */
int exo_pool_take_this(struct exo_pool *pool, u32 nr)
{
	struct exo_block *block = block_of(pool, nr);
	u32 i = nr & FRAME_MASK;
	u32 n;

	if (!block || !exo_bit_test(block->present, i))
		return -ENOENT;
	if (block->order && i)
		return -EINVAL;
	if (!exo_bit_test(block->free, i))
		return -EBUSY;
	for (n = block->order ? EXO_HUGE_FRAMES : 1; n; n--, i++)
		mark_taken(pool, nr >> EXO_HUGE_ORDER, i);
	return 0;
}

static bool colour_before(const struct exo_block *block, u16 a, u16 b)
{
	if (block->entry[a].colour != block->entry[b].colour)
		return block->entry[a].colour < block->entry[b].colour;
	return a < b;
}

static void sift_down(struct exo_block *block, u32 root, u32 n)
{
	u16 *v = block->by_colour;
	u32 child;
	u16 tmp;

	while ((child = 2 * root + 1) < n) {
		if (child + 1 < n && colour_before(block, v[child], v[child + 1]))
			child++;
		if (!colour_before(block, v[root], v[child]))
			return;
		tmp = v[root];
		v[root] = v[child];
		v[child] = tmp;
		root = child;
	}
}

/* Heap sort: the same time whatever the order of the pages, which a user has a hand in. */
static void sort_colours(struct exo_block *block)
{
	u16 *v = block->by_colour;
	u32 i, n = 0;
	u16 tmp;

	if (block->sorted)
		return;
	for (i = exo_bit_next(block->present, 0, EXO_HUGE_FRAMES); i < EXO_HUGE_FRAMES;
	     i = exo_bit_next(block->present, i + 1, EXO_HUGE_FRAMES))
		v[n++] = i;
	for (i = n / 2; i-- > 0; )
		sift_down(block, i, n);
	for (i = n; i-- > 1; ) {
		tmp = v[0];
		v[0] = v[i];
		v[i] = tmp;
		sift_down(block, 0, i);
	}
	block->sorted = true;
}

/* Where in by_colour the colour begins, or would. */
static u32 colour_start(const struct exo_block *block, u16 colour)
{
	u32 low = 0, high = block->nr_present, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (block->entry[block->by_colour[mid]].colour < colour)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/**
 * exo_pool_take_colour() - take frames of one colour
 * @pool: pool
 * @colour: their colour
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @n: how many
 * @out: their numbers
 *
 * Return: how many there were.
 */
u32 exo_pool_take_colour(struct exo_pool *pool, u16 colour, u32 node, u32 n, u32 *out)
{
	u32 at, i, k, done = 0;

	for (at = block_first(pool, EXO_POOL_SMALL, node); done < n && at < pool->nr_blocks;
	     at = block_next(pool, EXO_POOL_SMALL, node, at + 1)) {
		struct exo_block *block = pool->block[at];

		sort_colours(block);
		for (k = colour_start(block, colour); done < n && k < block->nr_present; k++) {
			i = block->by_colour[k];
			if (block->entry[i].colour != colour)
				break;
			if (!exo_bit_test(block->free, i))
				continue;
			mark_taken(pool, at, i);
			out[done++] = at << EXO_HUGE_ORDER | i;
		}
	}
	return done;
}

/* Find the free contiguous runs inside a block. */
static void measure(struct exo_block *block)
{
	u32 i, run = 0;

	if (block->measured)
		return;
	block->head = 0;
	block->best = 0;
	for (i = 0; i < EXO_HUGE_FRAMES; i++) {
		if (!exo_bit_test(block->free, i))
			run = 0;
		else if (run && exo_bit_test(block->next, i - 1))
			run++;
		else
			run = 1;
		if (run == i + 1)
			block->head = run;
		if (run > block->best) {
			block->best = run;
			block->best_at = i + 1 - run;
		}
	}
	block->tail = run;
	block->measured = true;
}

static void take_run(struct exo_pool *pool, u32 first, u32 n)
{
	for (; n; n--, first++)
		mark_taken(pool, first >> EXO_HUGE_ORDER, first & FRAME_MASK);
}

/**
 * exo_pool_take_contig() - take one physically contiguous run, which may cross blocks
 * @pool: pool
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @n: how many frames, at least 1
 * @first: number of the first; the others follow
 *
 * Return: 0; -ENOSPC if there is no such run, and then nothing is taken.
 */
int exo_pool_take_contig(struct exo_pool *pool, u32 node, u32 n, u32 *first)
{
	u32 expect = pool->nr_blocks;	/* the block that would continue the run */
	u32 carry = 0;			/* length of the run up to there */
	u32 at;

	for (at = block_first(pool, EXO_POOL_SMALL, node); at < pool->nr_blocks;
	     at = block_next(pool, EXO_POOL_SMALL, node, at + 1)) {
		struct exo_block *block = pool->block[at];

		measure(block);
		if (at != expect)
			carry = 0;
		if (carry && carry + block->head >= n) {
			*first = (at << EXO_HUGE_ORDER) - carry;
			take_run(pool, *first, n);
			return 0;
		}
		if (block->best >= n) {
			*first = (at << EXO_HUGE_ORDER) + block->best_at;
			take_run(pool, *first, n);
			return 0;
		}
		carry = block->head == EXO_HUGE_FRAMES ? carry + EXO_HUGE_FRAMES : block->tail;
		expect = exo_bit_test(block->next, FRAME_MASK) ? at + 1 : pool->nr_blocks;
	}
	return -ENOSPC;
}

/**
 * exo_pool_take_huge() - take 2 MiB frames
 * @pool: pool
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @n: how many
 * @out: the numbers of their first frames
 *
 * Return: how many there were.
 */
u32 exo_pool_take_huge(struct exo_pool *pool, u32 node, u32 n, u32 *out)
{
	u32 at = block_first(pool, EXO_POOL_HUGE_KIND, node);
	u32 done = 0;

	for (; done < n && at < pool->nr_blocks;
	     at = block_next(pool, EXO_POOL_HUGE_KIND, node, at + 1)) {
		out[done] = at << EXO_HUGE_ORDER;
		take_run(pool, out[done++], EXO_HUGE_FRAMES);
	}
	return done;
}

/* Last block below @end of this kind and node with something free, or nr_blocks. */
static u32 block_last(const struct exo_pool *pool, unsigned int kind, u32 node, u32 end)
{
	u32 at, word = (end + 63) / 64;
	u64 bits;

	while (word--) {
		bits = pool->some[kind][word];
		if (word == end / 64)
			bits &= (1ULL << (end % 64)) - 1;
		for (; bits; bits &= ~(1ULL << (at % 64))) {
			at = word * 64 + 63 - __builtin_clzll(bits);
			if (node == EXO_POOL_NODE_ANY || pool->block[at]->node == node)
				return at;
		}
	}
	return pool->nr_blocks;
}

/**
 * exo_pool_take_idle() - take free frames that are to leave the pool, highest blocks first
 * @pool: pool
 * @kind: EXO_POOL_SMALL: @n frames; EXO_POOL_HUGE_KIND: @n 2 MiB frames
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @n: how many
 * @out: their numbers
 *
 * Return: how many there were.
 */
u32 exo_pool_take_idle(struct exo_pool *pool, unsigned int kind, u32 node, u32 n, u32 *out)
{
	u32 at = block_last(pool, kind, node, pool->nr_blocks);
	u32 i, done = 0;

	for (; done < n && at < pool->nr_blocks; at = block_last(pool, kind, node, at)) {
		struct exo_block *block = pool->block[at];

		for (i = 0; done < n && block->nr_free; i++) {
			i = exo_bit_next(block->free, i, EXO_HUGE_FRAMES);
			out[done++] = at << EXO_HUGE_ORDER | i;
			take_run(pool, at << EXO_HUGE_ORDER | i,
				 block->order ? EXO_HUGE_FRAMES : 1);
		}
	}
	return done;
}

/*
 * Which frames back the guaranteed minima that nobody has allocated: those of 4 KiB, and only what
 * is more than there are of them, the 2 MiB ones.
 */
static u32 kept_of(const struct exo_pool *pool, unsigned int kind, u32 kept)
{
	u32 small = pool->present[EXO_POOL_SMALL];

	if (kind == EXO_POOL_SMALL)
		return kept < small ? kept : small;
	return kept < small ? 0 : kept - small;
}

/**
 * exo_pool_spare() - free frames that are not kept back for guaranteed minima
 * @pool: pool
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @kept: what all users together are guaranteed and don't have
 *
 * Return: frames, in 4 KiB.
 */
u32 exo_pool_spare(const struct exo_pool *pool, unsigned int kind, u32 kept)
{
	kept = kept_of(pool, kind, kept);
	return pool->free[kind] > kept ? pool->free[kind] - kept : 0;
}

/**
 * exo_pool_allow() - how many frames may somebody take?
 * @pool: pool
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @kept: what all users together are guaranteed and don't have, these frames not counted
 * @n: how many it wants, in 4 KiB
 * @own: of these, how many it is guaranteed
 *
 * Free is then still what the others are guaranteed (INV-ENV-6). Its own part one may have even if
 * that is not so, because a minimum was reserved when everything was taken.
 *
 * Return: frames, in 4 KiB; so many need not be free.
 */
u32 exo_pool_allow(const struct exo_pool *pool, unsigned int kind, u32 kept, u32 n, u32 own)
{
	u32 spare = exo_pool_spare(pool, kind, kept);

	if (spare < own)
		spare = own;
	return n < spare ? n : spare;
}

/**
 * exo_pool_take_one() - take the free 4 KiB frame with the lowest number
 * @pool: pool
 * @kept: see exo_pool_allow()
 * @own: see exo_pool_allow()
 * @nr: its number
 *
 * What exo_pool_allow() and exo_pool_take_any() do for one frame, on any node.
 *
 * Return: false if one may not, or none is free.
 */
bool exo_pool_take_one(struct exo_pool *pool, u32 kept, u32 own, u32 *nr)
{
	u32 i, at;

	if (!exo_pool_allow(pool, EXO_POOL_SMALL, kept, 1, own))
		return false;
	at = exo_bit_next(pool->some[EXO_POOL_SMALL], pool->low[EXO_POOL_SMALL], pool->nr_blocks);
	pool->low[EXO_POOL_SMALL] = at;
	if (at == pool->nr_blocks)
		return false;
	i = exo_bit_next(pool->block[at]->free, 0, EXO_HUGE_FRAMES);
	mark_taken(pool, at, i);
	*nr = at << EXO_HUGE_ORDER | i;
	return true;
}

/**
 * exo_pool_is_short() - are fewer frames free than what is kept back?
 * @pool: pool
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @kept: what all users together are guaranteed and don't have
 *
 * Return: true: a frame that becomes free is for them.
 */
bool exo_pool_is_short(const struct exo_pool *pool, unsigned int kind, u32 kept)
{
	return pool->free[kind] < kept_of(pool, kind, kept);
}

/**
 * exo_pool_missing() - how many frames are to become free, so that every minimum could be had?
 * @pool: pool
 * @kept: what all users together are guaranteed and don't have
 *
 * Return: frames, in 4 KiB.
 */
u32 exo_pool_missing(const struct exo_pool *pool, u32 kept)
{
	unsigned int kind;
	u32 want, n = 0;

	for (kind = EXO_POOL_SMALL; kind <= EXO_POOL_HUGE_KIND; kind++) {
		want = kept_of(pool, kind, kept);
		if (want > pool->free[kind])
			n += want - pool->free[kind];
	}
	return n;
}

/**
 * exo_pool_hole() - an absent frame in a block of order 0 where others are present
 * @pool: pool
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @nr: its number
 *
 * Return: 0 or -ENOSPC.
 */
int exo_pool_hole(struct exo_pool *pool, u32 node, u32 *nr)
{
	u32 at, word;

	for (at = 0; at < pool->nr_blocks; at++) {
		struct exo_block *block = pool->block[at];

		if (!block || block->order || !block->nr_present ||
		    block->nr_present == EXO_HUGE_FRAMES ||
		    (node != EXO_POOL_NODE_ANY && block->node != node))
			continue;
		for (word = 0; !~block->present[word]; word++)
			;
		*nr = (at << EXO_HUGE_ORDER) + word * 64 + __builtin_ctzll(~block->present[word]);
		return 0;
	}
	return -ENOSPC;
}

/**
 * exo_pool_empty_block() - a block that holds nothing
 * @pool: pool
 * @block: its number; it may have never been there
 *
 * Return: 0 or -ENOSPC.
 */
int exo_pool_empty_block(struct exo_pool *pool, u32 *block)
{
	u32 at;

	for (at = 0; at < pool->nr_blocks; at++)
		if (!pool->block[at] || !pool->block[at]->nr_present) {
			*block = at;
			return 0;
		}
	return -ENOSPC;
}
