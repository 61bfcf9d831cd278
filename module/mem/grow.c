// SPDX-License-Identifier: GPL-2.0
/*
 * How frames come into the pool: from an admin who makes it larger, or back from Linux, which
 * borrowed them.
 *
 * 2 MiB frames are compound pages. If there is none, and the admin wants some, pages are moved out
 * of the way until there is one. Blocks of 4 KiB frames are one run of 512 pages if the buddy
 * allocator has one, else single pages, in physical order. No page is movable.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "compat/gfp.h"
#include "mem/fail.h"
#include "mem/pool.h"

/* One thread brings frames in at a time; no fault waits for it, and the shrinker doesn't. */
static DEFINE_MUTEX(grow_lock);
static struct page *grow_pages[EXO_BLOCK_FRAMES];	/* under grow_lock */

static bool follows(u32 nr, const struct page *page)
{
	const struct exo_frame *prev = exo_frame(nr);

	return prev && prev->page && page_to_pfn(prev->page) + 1 == page_to_pfn(page);
}

static bool precedes(const struct page *page, u32 nr)
{
	const struct exo_frame *next = exo_frame(nr);

	return next && next->page && page_to_pfn(page) + 1 == page_to_pfn(next->page);
}

/* absent -> taken, with no owner. pool_lock is held. */
static void install_locked(struct exo_pool *pool, u32 nr, struct page *page, u8 order)
{
	struct exo_frame *frame = exo_frame(nr);
	u16 colour = page_to_pfn(page) % exo_pool_colours();

	frame->page = page;
	frame->generation = exo_cap_next_generation();
	frame->last_owner = 0;
	frame->order = order;
	frame->phase = EXO_PHASE_FREE;
	exo_pool_add(pool, nr, colour, nr && follows(nr - 1, page), precedes(page, nr + 1));
}

static struct page *get_run(int nid, gfp_t gfp)
{
	return exo_fail(EXO_FAIL_GROW) ? NULL : alloc_pages_node(nid, gfp, EXO_HUGE_ORDER);
}

static int by_pfn(const void *a, const void *b)
{
	unsigned long x = page_to_pfn(*(struct page **)a), y = page_to_pfn(*(struct page **)b);

	return x < y ? -1 : x > y;
}

/* Up to @n pages of @nid into grow_pages, in physical order. Returns how many. */
static u32 get_small_pages(int nid, u32 n, gfp_t gfp)
{
	struct page *page;
	u32 i, got = 0, more;

	if (n == EXO_BLOCK_FRAMES) {
		page = get_run(nid, gfp | __GFP_NORETRY);
		if (page) {
			split_page(page, EXO_HUGE_ORDER);
			for (i = 0; i < n; i++)
				grow_pages[i] = page + i;
			return n;
		}
	}

	memset(grow_pages, 0, sizeof(grow_pages));
	do {
		if (exo_fail(EXO_FAIL_GROW))
			break;
		more = alloc_pages_bulk_node(gfp | __GFP_NORETRY, nid, n, grow_pages);
		swap(more, got);
	} while (got > more && got < n && !fatal_signal_pending(current));
	sort(grow_pages, got, sizeof(*grow_pages), by_pfn, NULL);
	return got;
}

/* Could the 512 pages from here on be moved away? */
static bool is_movable_run(int nid, unsigned long pfn)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + EXO_BLOCK_FRAMES - 1);

	/* Frames stay where they are: not in the zone of what can be moved. DMA is for others. */
	return first && last && page_zone(first) == page_zone(last) && page_to_nid(first) == nid &&
	       !is_zone_movable_page(first) && page_zonenum(first) >= ZONE_DMA32 &&
	       !PageReserved(first);
}

/*
 * Free 512 pages that alloc_contig_range() gave, each with a reference, as the one run that they
 * are: the reverse of split_page(). Page by page they would get lost in the allocator's lists for
 * each processor. False: somebody looks at one of them just now; they are freed all the same.
 */
static bool free_run(struct page *page)
{
	u32 i;

	for (i = 1; i < EXO_BLOCK_FRAMES; i++)
		if (!page_ref_freeze(page + i, 1))
			break;
	if (i == EXO_BLOCK_FRAMES) {
		__free_pages(page, EXO_HUGE_ORDER);
		return true;
	}
	while (--i)
		page_ref_unfreeze(page + i, 1);
	free_contig_range(page_to_pfn(page), EXO_BLOCK_FRAMES);
	return false;
}

/*
 * Free 512 pages of node @nid in a row, by moving what is there. alloc_contig_range() can't make a
 * compound page on every kernel: they are freed again for who asks next, who is most likely us.
 */
static bool make_room(int nid, gfp_t gfp)
{
	static unsigned long at;	/* where to go on; under grow_lock */
	unsigned long first = ALIGN(node_start_pfn(nid), EXO_BLOCK_FRAMES);
	unsigned long end = ALIGN_DOWN(node_end_pfn(nid), EXO_BLOCK_FRAMES);
	unsigned long pfn, left;
	int ret;

	lockdep_assert_held(&grow_lock);
	if (exo_fail(EXO_FAIL_GROW))
		return false;
	for (left = first; left < end; left += EXO_BLOCK_FRAMES) {
		if (fatal_signal_pending(current))
			return false;
		cond_resched();
		pfn = at < first || at >= end ? first : at;
		at = pfn + EXO_BLOCK_FRAMES;
		if (!is_movable_run(nid, pfn))
			continue;
		ret = alloc_contig_range(pfn, at, ACR_FLAGS_NONE, gfp);
		if (!ret && free_run(pfn_to_page(pfn)))
			return true;
		/* No place to move anything to. */
		if (ret == -ENOMEM)
			return false;
	}
	return false;
}

/* @hard: it is worth moving others' pages. */
static u32 get_huge_page(int nid, gfp_t gfp, bool hard)
{
	struct page *page = get_run(nid, gfp | __GFP_COMP | (hard ? __GFP_RETRY_MAYFAIL :
								    __GFP_NORETRY));
	u32 i;

	if (!page && hard && make_room(nid, GFP_KERNEL | __GFP_NOWARN))
		page = get_run(nid, gfp | __GFP_COMP | __GFP_RETRY_MAYFAIL);
	if (!page)
		return 0;
	for (i = 0; i < EXO_BLOCK_FRAMES; i++)
		grow_pages[i] = page + i;
	return EXO_BLOCK_FRAMES;
}

/* The frames of a block that never was there; it stays for as long as the module is loaded. */
static int add_block(u32 at)
{
	struct exo_frame *frames;
	struct exo_block *block;
	struct exo_pool *pool;
	u32 i;

	lockdep_assert_held(&grow_lock);
	if (exo_blocks[at])
		return 0;
	frames = kvcalloc(EXO_BLOCK_FRAMES, sizeof(*frames), GFP_KERNEL);
	block = kzalloc(sizeof(*block), GFP_KERNEL);
	if (!frames || !block || exo_fail(EXO_FAIL_GROW))
		goto err_free;
	block->entry = exo_table_add_block(at);
	if (!block->entry)
		goto err_free;
	for (i = 0; i < EXO_BLOCK_FRAMES; i++) {
		INIT_LIST_HEAD(&frames[i].more);
		INIT_LIST_HEAD(&frames[i].held);
		frames[i].bpage = EXO_NO_PAGE;
		frames[i].nr = (at << EXO_BLOCK_SHIFT) + i;
	}

	pool = exo_pool_begin();
	pool->block[at] = block;
	/*
	 * Pairs with the dependent read in exo_frame(): whoever sees the block sees what is in it.
	 */
	smp_store_release(&exo_blocks[at], frames);
	exo_pool_end();
	exo_table_block_added(at);
	return 0;

err_free:
	kfree(block);
	kvfree(frames);
	return -ENOMEM;
}

/* Put @n of grow_pages into the absent places of a block, and free them; @raise the target, too. */
static void fill_block(u32 at, u8 order, u32 n, bool raise)
{
	u32 nr = at << EXO_BLOCK_SHIFT, done;
	struct exo_block *block;
	struct exo_pool *pool;

	lockdep_assert_held(&grow_lock);
	pool = exo_pool_begin();
	block = pool->block[at];
	if (!block->nr_present) {
		block->order = order;
		block->node = page_to_nid(grow_pages[0]);
	}
	for (done = 0; done < n; nr++) {
		if (exo_frame(nr)->page)
			continue;
		install_locked(pool, nr, grow_pages[done++], order);
		if (!order)
			exo_pool_put(pool, nr);
	}
	if (order)
		exo_pool_put(pool, at << EXO_BLOCK_SHIFT);
	if (raise)
		exo_pool_raise_locked(exo_pool_kind(order), n);
	else
		exo_pool_returned_locked(n);
	exo_pool_end();
}

/*
 * A new block, or @limit frames of one, on node @nid. Returns how many frames came; -ENOSPC if the
 * table is full, -ENOMEM.
 */
static int grow_block(int nid, u8 order, u32 limit, bool raise)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_THISNODE;
	u32 at, n;
	int ret;

	/* Only this function makes a block non-empty, and only under grow_lock. */
	ret = exo_pool_empty_block(exo_pool_begin(), &at);
	exo_pool_end();
	if (!ret)
		ret = add_block(at);
	if (ret)
		return ret;

	if (order)
		n = get_huge_page(nid, gfp, raise);
	else
		n = get_small_pages(nid, limit, gfp);
	if (!n)
		return -ENOMEM;
	fill_block(at, order, n, raise);
	return n;
}

/* Up to @limit frames into a block that has others. Returns how many came, -ENOSPC or -ENOMEM. */
static int fill_holes(u32 node, u32 limit, bool raise)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | __GFP_THISNODE;
	struct exo_pool *pool;
	u32 nr, at, n;
	int ret, nid = 0;

	pool = exo_pool_begin();
	ret = exo_pool_hole(pool, node, &nr);
	at = nr >> EXO_BLOCK_SHIFT;
	if (!ret) {
		nid = pool->block[at]->node;
		limit = min(limit, EXO_BLOCK_FRAMES - (u32)pool->block[at]->nr_present);
	}
	exo_pool_end();
	if (ret)
		return ret;
	/* Frames may go meanwhile, and none come: there is room for as many as there was. */
	n = get_small_pages(nid, limit, gfp);
	if (!n)
		return -ENOMEM;
	fill_block(at, 0, n, raise);
	return n;
}

static int grow_step(int nid, u32 node, u8 order, u32 limit)
{
	int ret;

	if (mutex_lock_killable(&grow_lock))
		return -EINTR;
	ret = grow_block(nid, order, EXO_BLOCK_FRAMES, true);
	if (ret == -ENOSPC && !order)
		ret = fill_holes(node, min(limit, EXO_BLOCK_FRAMES), true);
	mutex_unlock(&grow_lock);
	cond_resched();
	return ret;
}

/**
 * exo_pool_grow() - more frames, and a higher target
 * @node: only on this node; EXO_POOL_NODE_ANY: on all in turn, until none has memory
 * @order: 0 or EXO_HUGE_ORDER
 * @frames: how many, in whole blocks
 * @done: how many came
 *
 * Context: may sleep; takes grow_lock, with nothing held.
 * Return: 0, -ENOMEM, -EOVERFLOW if the table is full, -EINTR.
 */
int exo_pool_grow(u32 node, u8 order, u32 frames, u32 *done)
{
	bool any = node == EXO_POOL_NODE_ANY;
	int nid = any ? first_node(node_states[N_MEMORY]) : node;
	int ret, failed = 0;

	while (*done < frames) {
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = grow_step(nid, node, order, frames - *done);
		if (ret < 0 && ret != -ENOMEM)
			return ret == -ENOSPC ? -EOVERFLOW : ret;
		if (ret > 0)
			*done += ret;
		failed = ret == EXO_BLOCK_FRAMES ? 0 : failed + 1;
		if (failed >= (any ? num_node_state(N_MEMORY) : 1) && *done < frames)
			return -ENOMEM;
		if (any)
			nid = next_node_in(nid, node_states[N_MEMORY]);
	}
	return 0;
}

static int refill_step(u32 node, u8 order, u32 limit)
{
	int ret, nid;

	if (!order) {
		ret = fill_holes(node, limit, false);
		if (ret != -ENOSPC)
			return ret;
	}
	if (node != EXO_POOL_NODE_ANY)
		return grow_block(node, order, limit, false);
	ret = grow_block(numa_mem_id(), order, limit, false);
	for_each_node_state(nid, N_MEMORY) {
		if (ret != -ENOMEM)
			break;
		ret = grow_block(nid, order, limit, false);
	}
	return ret;
}

/**
 * exo_pool_refill() - fetch frames back that Linux borrowed, up to the target
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @order: of the frames that are missing
 * @n: how many are missing, in 4 KiB
 *
 * Doesn't try hard: Linux may need them more.
 *
 * Context: may sleep; takes grow_lock, with nothing held.
 */
void exo_pool_refill(u32 node, u8 order, u32 n)
{
	unsigned int kind = exo_pool_kind(order);
	u32 limit;
	int ret;

	if (!exo_pool_deficit(kind) || mutex_lock_killable(&grow_lock))
		return;
	while (n) {
		limit = min3(n, exo_pool_deficit(kind), EXO_BLOCK_FRAMES);
		if (!limit || (order && limit < EXO_BLOCK_FRAMES))
			break;
		ret = refill_step(node, order, limit);
		if (ret <= 0)
			break;
		n -= min_t(u32, n, ret);
	}
	mutex_unlock(&grow_lock);
}

