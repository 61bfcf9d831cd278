// SPDX-License-Identifier: GPL-2.0
/*
 * The pool: where frames come from and where they go back to.
 *
 * Only the admin makes the pool larger (EXO_MEM_POOL), which sets the target. Linux may borrow free
 * frames (shrink.c); who finds too few then fetches some back, up to the target.
 *
 * What the pool owes: frames that were asked back from their owners for Linux's sake. A frame that
 * becomes free pays a debt before it becomes free for exo.
 *
 * 2 MiB frames are compound pages. Blocks of 4 KiB frames are one run of 512 pages if the buddy
 * allocator has one, else single pages. No page is movable.
 */
#include <linux/cpufeature.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "compat/cpuid.h"
#include "compat/gfp.h"
#include "dev.h"
#include "mem/pool.h"

#define MAX_FRAMES (1U << 30)

static uint pool_frames;
module_param(pool_frames, uint, 0444);
MODULE_PARM_DESC(pool_frames, "4 KiB frames to begin with (default: 0; exoctl pool grow adds some)");

static uint max_frames;
module_param(max_frames, uint, 0444);
MODULE_PARM_DESC(max_frames, "length of the frame table (default: all of memory)");

struct exo_frame **exo_blocks;
u32 exo_nr_frames;

static DEFINE_SPINLOCK(pool_lock);
static struct exo_pool pool;		/* under pool_lock */
static u32 target[2];			/* by kind; under pool_lock */
static u32 owed_linux;			/* the target stays; under pool_lock */
static u32 owed_shrink;			/* leaves the target, too; under pool_lock */
static atomic64_t released;		/* frames given to Linux, ever */
static u32 nr_colours;

/* One thread brings frames in at a time. Nothing else waits for it, and no fault or shrinker takes it. */
static DEFINE_MUTEX(grow_lock);
static struct page *grow_pages[EXO_BLOCK_FRAMES];

/**
 * exo_pool_begin() - lock the pool
 *
 * Context: any but interrupts; no sleeping until exo_pool_end().
 * Return: the pool, for core/pool.h.
 */
struct exo_pool *exo_pool_begin(void)
	__acquires(&pool_lock)
{
	spin_lock(&pool_lock);
	return &pool;
}

/**
 * exo_pool_end() - publish the sums and unlock the pool
 */
void exo_pool_end(void)
	__releases(&pool_lock)
{
	u32 small = pool.free[EXO_POOL_SMALL], huge = pool.free[EXO_POOL_HUGE_KIND];

	exo_table_set_counts(pool.present[EXO_POOL_SMALL] + pool.present[EXO_POOL_HUGE_KIND],
			     small + huge, huge >> EXO_HUGE_ORDER,
			     target[EXO_POOL_SMALL] + target[EXO_POOL_HUGE_KIND] - owed_shrink);
	spin_unlock(&pool_lock);
}

/**
 * exo_pool_present() - frames in the pool now
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_pool_present(void)
{
	return READ_ONCE(pool.present[EXO_POOL_SMALL]) + READ_ONCE(pool.present[EXO_POOL_HUGE_KIND]);
}

/**
 * exo_pool_idle() - free frames
 *
 * Context: any.
 * Return: frames, in 4 KiB.
 */
u32 exo_pool_idle(void)
{
	return READ_ONCE(pool.free[EXO_POOL_SMALL]) + READ_ONCE(pool.free[EXO_POOL_HUGE_KIND]);
}

/**
 * exo_pool_released() - frames given to Linux, ever
 *
 * Context: any.
 * Return: frames.
 */
u64 exo_pool_released(void)
{
	return atomic64_read(&released);
}

/**
 * exo_pool_colours() - number of page colours
 *
 * Context: any.
 * Return: at least 1.
 */
u32 exo_pool_colours(void)
{
	return nr_colours;
}

/* Pages that one way of the largest cache holds: as told by a cache leaf that lists all caches. */
static u32 colours_of_leaf(u32 leaf)
{
	u32 eax, ebx, ecx, edx, i, colours = 1;
	u64 way;

	for (i = 0; i < 8; i++) {
		cpuid_count(leaf, i, &eax, &ebx, &ecx, &edx);
		if (!(eax & 0x1f))
			break;
		/* Type 2 is an instruction cache. Line size and sets are stored minus one. */
		if ((eax & 0x1f) == 2)
			continue;
		way = ((ebx & 0xfff) + 1ULL) * (ecx + 1ULL);
		colours = clamp_t(u64, way >> PAGE_SHIFT, colours, U16_MAX);
	}
	return colours;
}

/* The same as told by AMD's older leaf, which has the level 3 cache in units of 512 KiB. */
static u32 colours_of_old_amd(void)
{
	static const u8 ways[16] = { 0, 1, 2, 0, 4, 0, 8, 0, 16, 0, 32, 48, 64, 96, 128 };
	u32 eax, ebx, ecx, edx, assoc, bytes;

	cpuid_count(0x80000006, 0, &eax, &ebx, &ecx, &edx);
	assoc = ways[edx >> 12 & 0xf];
	bytes = (edx >> 18) << 19;
	if (!assoc || !bytes) {
		assoc = ways[ecx >> 12 & 0xf];
		bytes = ecx >> 16 << 10;
	}
	return assoc ? clamp_t(u32, (bytes / assoc) >> PAGE_SHIFT, 1, U16_MAX) : 1;
}

/* Pages that are a multiple of this apart compete for the same sets of the largest cache. */
static u32 count_colours(void)
{
	if (boot_cpu_has(X86_FEATURE_TOPOEXT))
		return colours_of_leaf(0x8000001d);
	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD && boot_cpu_data.cpuid_level >= 4)
		return colours_of_leaf(4);
	if (boot_cpu_data.extended_cpuid_level >= 0x80000006)
		return colours_of_old_amd();
	return 1;
}

/* Bringing frames in ------------------------------------------------------------------------- */

static unsigned int kind_of_order(u8 order)
{
	return order ? EXO_POOL_HUGE_KIND : EXO_POOL_SMALL;
}

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
static void install_locked(u32 nr, struct page *page, u8 order)
{
	struct exo_frame *frame = exo_frame(nr);
	u16 colour = page_to_pfn(page) % nr_colours;

	lockdep_assert_held(&pool_lock);
	frame->page = page;
	frame->generation = exo_cap_next_generation();
	frame->last_owner = 0;
	frame->order = order;
	frame->node = page_to_nid(page);
	frame->colour = colour;
	frame->phase = EXO_PHASE_FREE;
	exo_pool_add(&pool, nr, colour, nr && follows(nr - 1, page), precedes(page, nr + 1));
}

/* taken -> absent. Returns the page, which the caller frees when it has no lock any more. */
static struct page *remove_locked(u32 nr)
{
	struct exo_frame *frame = exo_frame(nr);
	struct page *page = frame->page;
	u32 i, span = exo_frame_span(frame);

	lockdep_assert_held(&pool_lock);
	exo_pool_remove_taken(&pool, nr);
	for (i = 0; i < span; i++) {
		frame[i].phase = EXO_PHASE_ABSENT;
		frame[i].page = NULL;
		frame[i].order = 0;
	}
	atomic64_add(span, &released);
	return page;
}

static void free_frame_page(struct page *page, u8 order)
{
	/* A reference that somebody took for a moment keeps the page until it is dropped. */
	__free_pages(page, order);
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
		page = alloc_pages_node(nid, gfp | __GFP_NORETRY, EXO_HUGE_ORDER);
		if (page) {
			split_page(page, EXO_HUGE_ORDER);
			for (i = 0; i < n; i++)
				grow_pages[i] = page + i;
			return n;
		}
	}

	memset(grow_pages, 0, sizeof(grow_pages));
	do {
		more = alloc_pages_bulk_node(gfp | __GFP_NORETRY, nid, n, grow_pages);
		swap(more, got);
	} while (got > more && got < n && !fatal_signal_pending(current));
	sort(grow_pages, got, sizeof(*grow_pages), by_pfn, NULL);
	return got;
}

static u32 get_huge_page(int nid, gfp_t gfp)
{
	struct page *page = alloc_pages_node(nid, gfp | __GFP_COMP, EXO_HUGE_ORDER);
	u32 i;

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
	u32 i;

	lockdep_assert_held(&grow_lock);
	if (pool.block[at])
		return 0;
	frames = kvcalloc(EXO_BLOCK_FRAMES, sizeof(*frames), GFP_KERNEL);
	block = kzalloc(sizeof(*block), GFP_KERNEL);
	if (!frames || !block)
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

	spin_lock(&pool_lock);
	pool.block[at] = block;
	/* Pairs with the dependent read in exo_frame(): whoever sees the block sees what is in it. */
	smp_store_release(&exo_blocks[at], frames);
	spin_unlock(&pool_lock);
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
	struct exo_block *block = pool.block[at];
	u32 nr = at << EXO_BLOCK_SHIFT, done;

	lockdep_assert_held(&grow_lock);
	spin_lock(&pool_lock);
	if (!block->nr_present) {
		block->order = order;
		block->node = page_to_nid(grow_pages[0]);
	}
	for (done = 0; done < n; nr++) {
		if (exo_frame(nr)->page)
			continue;
		install_locked(nr, grow_pages[done++], order);
		if (!order)
			exo_pool_put(&pool, nr);
	}
	if (order)
		exo_pool_put(&pool, at << EXO_BLOCK_SHIFT);
	if (raise)
		target[kind_of_order(order)] += n;
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
	spin_lock(&pool_lock);
	ret = exo_pool_empty_block(&pool, &at);
	spin_unlock(&pool_lock);
	if (!ret)
		ret = add_block(at);
	if (ret)
		return ret;

	if (order)
		n = get_huge_page(nid, gfp | (raise ? __GFP_RETRY_MAYFAIL : __GFP_NORETRY));
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
	u32 nr, at, n;
	int ret, nid = 0;

	spin_lock(&pool_lock);
	ret = exo_pool_hole(&pool, node, &nr);
	at = nr >> EXO_BLOCK_SHIFT;
	if (!ret) {
		nid = pool.block[at]->node;
		limit = min(limit, EXO_BLOCK_FRAMES - (u32)pool.block[at]->nr_present);
	}
	spin_unlock(&pool_lock);
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

/* Without a node, blocks come from the nodes in turn, until none has memory. */
static int pool_grow(u32 node, u8 order, u32 frames, u32 *done)
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

/* How many frames may be fetched back; none while Linux waits for some. */
static u32 pool_deficit(unsigned int kind)
{
	u32 n = 0;

	spin_lock(&pool_lock);
	if (!owed_linux && !owed_shrink)
		n = target[kind] - pool.present[kind];
	spin_unlock(&pool_lock);
	return n;
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
	unsigned int kind = kind_of_order(order);
	u32 limit;
	int ret;

	if (!pool_deficit(kind) || mutex_lock_killable(&grow_lock))
		return;
	while (n) {
		limit = min3(n, pool_deficit(kind), EXO_BLOCK_FRAMES);
		if (!limit || (order && limit < EXO_BLOCK_FRAMES))
			break;
		ret = refill_step(node, order, limit);
		if (ret <= 0)
			break;
		n -= min_t(u32, n, ret);
	}
	mutex_unlock(&grow_lock);
}

/* Taking frames out ------------------------------------------------------------------------- */

/**
 * exo_pool_give_idle() - give free frames to Linux
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @n: how many frames, or 2 MiB frames
 * @lower: the target, too: they are not to come back
 *
 * Context: any but interrupts; takes pool_lock. Allocates nothing: the shrinker calls this.
 * Return: how many went, in 4 KiB.
 */
u32 exo_pool_give_idle(unsigned int kind, u32 n, bool lower)
{
	u8 order = kind == EXO_POOL_HUGE_KIND ? EXO_HUGE_ORDER : 0;
	struct page *pages[EXO_FRAME_BATCH];
	u32 frames[EXO_FRAME_BATCH];
	u32 i, got, want, done = 0;

	do {
		want = min_t(u32, n - done, EXO_FRAME_BATCH);
		spin_lock(&pool_lock);
		got = exo_pool_take_idle(&pool, kind, want, frames);
		for (i = 0; i < got; i++)
			pages[i] = remove_locked(frames[i]);
		if (lower)
			target[kind] -= got << order;
		exo_pool_end();
		for (i = 0; i < got; i++)
			free_frame_page(pages[i], order);
		done += got;
	} while (got == want && done < n);
	return done << order;
}

/* Does the pool owe this frame? Then the debt is smaller now. */
static bool pay_locked(const struct exo_frame *frame)
{
	u32 span = exo_frame_span(frame);

	lockdep_assert_held(&pool_lock);
	if (owed_shrink) {
		owed_shrink -= min(owed_shrink, span);
		target[kind_of_order(frame->order)] -= span;
		return true;
	}
	if (owed_linux) {
		owed_linux -= min(owed_linux, span);
		return true;
	}
	return false;
}

/**
 * exo_pool_settle() - frames that nobody has any more: free, or to Linux
 * @frames: their numbers, of 2 MiB frames the first; not mapped, not pinned, without an owner
 * @n: how many, at most EXO_FRAME_BATCH
 *
 * Context: any but interrupts; takes pool_lock.
 */
void exo_pool_settle(const u32 *frames, u32 n)
{
	struct page *pages[EXO_FRAME_BATCH];
	u8 orders[EXO_FRAME_BATCH];
	u32 i, out = 0;

	spin_lock(&pool_lock);
	for (i = 0; i < n; i++) {
		struct exo_frame *frame = exo_frame(frames[i]);

		if (pay_locked(frame)) {
			orders[out] = frame->order;
			pages[out++] = remove_locked(frames[i]);
		} else {
			exo_pool_put(&pool, frames[i]);
		}
	}
	exo_pool_end();
	for (i = 0; i < out; i++)
		free_frame_page(pages[i], orders[i]);
}

/**
 * exo_pool_owe() - frames were asked back: what becomes free goes to Linux
 * @n: how many
 * @why: EXO_WHY_*, or EXO_WHY_SHRINK; nothing is owed to an admin who only wants them free
 *
 * Context: any but interrupts; takes pool_lock.
 */
void exo_pool_owe(u32 n, u32 why)
{
	spin_lock(&pool_lock);
	if (why == EXO_WHY_SHRINK)
		owed_shrink += n;
	else if (why != EXO_WHY_ADMIN)
		owed_linux += n;
	exo_pool_end();
}

/**
 * exo_pool_forgive() - frames that were asked back can't be had
 * @n: how many
 * @why: as in exo_pool_owe()
 *
 * Context: any but interrupts; takes pool_lock.
 */
void exo_pool_forgive(u32 n, u32 why)
{
	spin_lock(&pool_lock);
	if (why == EXO_WHY_SHRINK)
		owed_shrink -= min(owed_shrink, n);
	else if (why != EXO_WHY_ADMIN)
		owed_linux -= min(owed_linux, n);
	exo_pool_end();
}

/* What Linux has borrowed already needs no moving. Returns how many frames. */
static u32 lower_target(unsigned int kind, u32 frames)
{
	u32 n;

	spin_lock(&pool_lock);
	n = min(frames, target[kind] - pool.present[kind]);
	target[kind] -= n;
	exo_pool_end();
	return n;
}

/* Half of the pool backs the guaranteed minima (INV-ENV-6). */
static u32 shrinkable(void)
{
	u64 keep = 2ULL * exo_user_reserved_total();
	u64 all;

	spin_lock(&pool_lock);
	all = (u64)target[EXO_POOL_SMALL] + target[EXO_POOL_HUGE_KIND] - owed_shrink;
	spin_unlock(&pool_lock);
	return all > keep ? all - keep : 0;
}

/* Move up to @want idle frames of a kind to Linux for good. Returns how many. */
static u32 shrink_idle(unsigned int kind, u32 want)
{
	u32 step = kind == EXO_POOL_HUGE_KIND ? 1 : EXO_BLOCK_FRAMES;
	u32 span = EXO_BLOCK_FRAMES / step;
	u32 n, done = lower_target(kind, round_down(want, span));

	while (want - done >= span && !fatal_signal_pending(current)) {
		n = exo_pool_give_idle(kind, min((want - done) / span, step), true);
		if (!n)
			break;
		done += n;
		cond_resched();
	}
	return done;
}

/* Of both kinds, unless only 2 MiB frames are meant. */
static int pool_shrink(u8 order, u32 frames, u32 *done)
{
	u32 want = round_down(min(frames, shrinkable()), EXO_BLOCK_FRAMES);
	u32 asked = 0;

	if (!order)
		*done = shrink_idle(EXO_POOL_SMALL, want);
	*done += shrink_idle(EXO_POOL_HUGE_KIND, want - *done);
	if (fatal_signal_pending(current))
		return -EINTR;
	if (*done < want)
		asked = exo_revoke_ask_all(want - *done, EXO_WHY_SHRINK, 0);
	if (want < frames)
		return -EDQUOT;
	return *done + asked < want ? -ENOSPC : 0;
}

/**
 * exo_mem_pool_op() - EXO_MEM_POOL
 * @env: who asks, with CAP_SYS_ADMIN
 * @arg: struct exo_mem_pool
 *
 * A shrink has no node: owners choose what they give.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EOVERFLOW if the table is full; -ENOSPC if owners can't be asked for so many;
 * -EDQUOT if the guaranteed minima would be more than half of the pool; -EINTR. out_done is how many
 * moved in any case.
 */
int exo_mem_pool_op(struct exo_env *env, void *arg)
{
	struct exo_mem_pool *cmd = arg;
	u8 order = cmd->flags & EXO_POOL_HUGE ? EXO_HUGE_ORDER : 0;
	u32 node = EXO_POOL_NODE_ANY;
	u32 frames;

	cmd->out_done = 0;
	if (cmd->reserved || !cmd->frames || cmd->frames > MAX_FRAMES)
		return -EINVAL;
	if (cmd->flags & EXO_POOL_NODE) {
		if (cmd->node >= MAX_NUMNODES || !node_state(cmd->node, N_MEMORY))
			return -EINVAL;
		node = cmd->node;
	}
	if (order && cmd->frames % EXO_BLOCK_FRAMES)
		return -EINVAL;
	frames = round_up(cmd->frames, EXO_BLOCK_FRAMES);

	switch (cmd->flags & ~EXO_POOL_HUGE) {
	case EXO_POOL_GROW:
	case EXO_POOL_GROW | EXO_POOL_NODE:
		return pool_grow(node, order, frames, &cmd->out_done);
	case EXO_POOL_SHRINK:
		return pool_shrink(order, frames, &cmd->out_done);
	default:
		return -EINVAL;
	}
}

/**
 * exo_pool_init() - at module load
 *
 * Return: 0, -EINVAL for a parameter that makes no sense, -ENOMEM.
 */
int exo_pool_init(void)
{
	u64 frames = round_up(max_frames ?: (u64)totalram_pages(), EXO_BLOCK_FRAMES);
	u32 done = 0;
	int ret;

	if (max_frames > MAX_FRAMES || pool_frames > MAX_FRAMES)
		return -EINVAL;
	nr_colours = count_colours();
	exo_nr_frames = min_t(u64, frames, MAX_FRAMES);
	pool.nr_blocks = exo_nr_frames >> EXO_BLOCK_SHIFT;

	exo_blocks = kvcalloc(pool.nr_blocks, sizeof(*exo_blocks), GFP_KERNEL);
	pool.block = kvcalloc(pool.nr_blocks, sizeof(*pool.block), GFP_KERNEL);
	pool.some[0] = kvcalloc(DIV_ROUND_UP(pool.nr_blocks, 64), sizeof(u64), GFP_KERNEL);
	pool.some[1] = kvcalloc(DIV_ROUND_UP(pool.nr_blocks, 64), sizeof(u64), GFP_KERNEL);
	ret = exo_table_init(exo_nr_frames);
	if (ret || !exo_blocks || !pool.block || !pool.some[0] || !pool.some[1]) {
		exo_pool_exit();
		return ret ?: -ENOMEM;
	}

	ret = pool_grow(EXO_POOL_NODE_ANY, 0, round_up(pool_frames, EXO_BLOCK_FRAMES), &done);
	if (ret)
		pr_warn("exo: only %u of %u frames for the pool: error %d\n", done, pool_frames, ret);
	return 0;
}

static void free_block(u32 at)
{
	struct exo_frame *frames = exo_blocks[at];
	u32 i;

	for (i = 0; frames && i < EXO_BLOCK_FRAMES; i += exo_frame_span(&frames[i]))
		if (frames[i].page)
			free_frame_page(frames[i].page, frames[i].order);
	kfree(pool.block[at]);
	kvfree(frames);
}

/**
 * exo_pool_exit() - at unload: everything goes back to Linux
 *
 * A frame that is still pinned goes when the pin does.
 */
void exo_pool_exit(void)
{
	u32 at;

	for (at = 0; exo_blocks && pool.block && at < pool.nr_blocks; at++)
		free_block(at);
	exo_table_exit();
	kvfree(pool.some[1]);
	kvfree(pool.some[0]);
	kvfree(pool.block);
	kvfree(exo_blocks);
}
