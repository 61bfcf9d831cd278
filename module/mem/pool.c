// SPDX-License-Identifier: GPL-2.0
/*
 * The pool: where frames come from and where they go back to.
 *
 * Only the admin makes the pool larger (EXO_MEM_POOL), which sets the target. Linux may borrow free
 * frames (shrink.c); who finds too few then fetches some back, up to the target.
 *
 * What the pool owes: frames that were asked back from their owners for Linux's sake. A frame that
 * becomes free pays a debt before it becomes free for exo.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core/lend.h"
#include "dev.h"
#include "mem/pool.h"

static uint pool_frames;
module_param(pool_frames, uint, 0444);
MODULE_PARM_DESC(pool_frames, "4 KiB frames to begin with (default: 0; see exoctl pool grow)");

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
static struct exo_lend lend;		/* under pool_lock */
static u32 nr_colours;

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
	return READ_ONCE(pool.present[EXO_POOL_SMALL]) +
	       READ_ONCE(pool.present[EXO_POOL_HUGE_KIND]);
}

/**
 * exo_pool_idle() - free frames that Linux may have, about
 *
 * Context: any.
 * Return: frames, in 4 KiB.
 */
u32 exo_pool_idle(void)
{
	u64 idle = (u64)READ_ONCE(pool.free[EXO_POOL_SMALL]) +
		   READ_ONCE(pool.free[EXO_POOL_HUGE_KIND]);
	u32 kept = exo_user_unused_total();

	return idle > kept ? idle - kept : 0;
}

/**
 * exo_pool_available() - how many frames could somebody have now?
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @kept: what the others are guaranteed and don't have
 * @own: what it is guaranteed itself
 *
 * Context: any but interrupts; takes pool_lock.
 * Return: frames, in 4 KiB; of 2 MiB frames a part of one may be among them.
 */
u32 exo_pool_available(unsigned int kind, u32 kept, u32 own)
{
	u32 n;

	spin_lock(&pool_lock);
	n = exo_pool_allow(&pool, kind, kept, pool.free[kind], own);
	spin_unlock(&pool_lock);
	return n;
}

/**
 * exo_pool_owed() - frames that are to leave the pool when they become free
 *
 * Context: any.
 * Return: frames, in 4 KiB.
 */
u32 exo_pool_owed(void)
{
	return READ_ONCE(owed_linux) + READ_ONCE(owed_shrink);
}

/**
 * exo_pool_tell_lent() - how many frames did Linux get since this was asked last?
 *
 * Context: any but interrupts; takes pool_lock.
 * Return: frames, less those that came back, and none of long ago.
 */
u32 exo_pool_tell_lent(void)
{
	u32 n;

	spin_lock(&pool_lock);
	n = exo_lend_tell(&lend, ktime_get_ns());
	spin_unlock(&pool_lock);
	return n;
}

/**
 * exo_pool_returned_locked() - frames came back from Linux
 * @n: how many
 *
 * Context: between exo_pool_begin() and exo_pool_end().
 */
void exo_pool_returned_locked(u32 n)
{
	lockdep_assert_held(&pool_lock);
	exo_lend_back(&lend, n);
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

/**
 * exo_pool_deficit() - how many frames may be fetched back from Linux
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 *
 * Context: any but interrupts; takes pool_lock.
 * Return: frames; none while Linux waits for some, or just got some because it was short of them.
 */
u32 exo_pool_deficit(unsigned int kind)
{
	u32 n = 0;

	spin_lock(&pool_lock);
	if (!owed_linux && !owed_shrink)
		n = exo_lend_refill(&lend, target[kind], pool.present[kind], ktime_get_ns());
	spin_unlock(&pool_lock);
	return n;
}

/**
 * exo_pool_raise_locked() - raise the target
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @n: frames, in 4 KiB
 *
 * Context: between exo_pool_begin() and exo_pool_end().
 */
void exo_pool_raise_locked(unsigned int kind, u32 n)
{
	lockdep_assert_held(&pool_lock);
	target[kind] += n;
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
	return page;
}

static void free_frame_page(struct page *page, u8 order)
{
	/* A reference that somebody took for a moment keeps the page until it is dropped. */
	__free_pages(page, order);
}

/**
 * exo_pool_give_idle() - give free frames to Linux, but those that are kept for minima
 * @kind: EXO_POOL_SMALL or EXO_POOL_HUGE_KIND
 * @node: only those of this node, or EXO_POOL_NODE_ANY
 * @n: how many frames, or 2 MiB frames
 * @lower: the target, too: they are not to come back
 *
 * Context: any but interrupts; takes pool_lock. Allocates nothing: the shrinker calls this.
 * Return: how many went, in 4 KiB.
 */
u32 exo_pool_give_idle(unsigned int kind, u32 node, u32 n, bool lower)
{
	u8 order = kind == EXO_POOL_HUGE_KIND ? EXO_HUGE_ORDER : 0;
	struct page *pages[EXO_FRAME_BATCH];
	u32 frames[EXO_FRAME_BATCH];
	u32 i, got, want, spare, done = 0;

	do {
		want = min_t(u32, n - done, EXO_FRAME_BATCH);
		spin_lock(&pool_lock);
		spare = exo_pool_spare(&pool, kind, exo_user_unused_total());
		got = exo_pool_take_idle(&pool, kind, node, min(want, spare >> order), frames);
		for (i = 0; i < got; i++)
			pages[i] = remove_locked(frames[i]);
		if (lower)
			target[kind] -= got << order;
		else
			exo_lend_out(&lend, got << order, ktime_get_ns());
		exo_pool_end();
		for (i = 0; i < got; i++)
			free_frame_page(pages[i], order);
		done += got;
	} while (got == want && done < n);
	return done << order;
}

/* Does the pool owe this frame, and can it do without? Then the debt is smaller now. */
static bool pay_locked(const struct exo_frame *frame)
{
	u32 span = exo_frame_span(frame);

	lockdep_assert_held(&pool_lock);
	if (exo_pool_is_short(&pool, exo_pool_kind(frame->order), exo_user_unused_total()))
		return false;
	if (owed_shrink) {
		owed_shrink -= min(owed_shrink, span);
		target[exo_pool_kind(frame->order)] -= span;
		return true;
	}
	if (owed_linux) {
		owed_linux -= min(owed_linux, span);
		exo_lend_out(&lend, span, ktime_get_ns());
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
 * @why: EXO_WHY_*, or EXO_WHY_SHRINK; nothing is owed to who only wants them free
 *
 * Context: any but interrupts; takes pool_lock.
 */
void exo_pool_owe(u32 n, u32 why)
{
	spin_lock(&pool_lock);
	if (why == EXO_WHY_SHRINK)
		owed_shrink += n;
	else if (exo_why_is_linux(why))
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
	else if (exo_why_is_linux(why))
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

/*
 * Move up to @want idle frames of a kind to Linux for good. Returns how many. What Linux has
 * borrowed counts, too, but is of no node.
 */
static u32 shrink_idle(unsigned int kind, u32 node, u32 want)
{
	u32 step = kind == EXO_POOL_HUGE_KIND ? 1 : EXO_BLOCK_FRAMES;
	u32 span = EXO_BLOCK_FRAMES / step;
	u32 n, done = 0;

	if (node == EXO_POOL_NODE_ANY)
		done = lower_target(kind, round_down(want, span));
	while (want - done >= span && !fatal_signal_pending(current)) {
		n = exo_pool_give_idle(kind, node, min((want - done) / span, step), true);
		/* None is idle any more, but the shrinker may have lent some meanwhile. */
		if (!n && node == EXO_POOL_NODE_ANY)
			n = lower_target(kind, round_down(want - done, span));
		if (!n)
			break;
		done += n;
		cond_resched();
	}
	return done;
}

/*
 * Of both kinds, unless only 2 MiB frames are meant. Owners are not asked for frames of a node:
 * which ones they give is theirs to say.
 */
static int pool_shrink(u32 node, u8 order, u32 frames, u32 *done)
{
	u32 want = round_down(min(frames, shrinkable()), EXO_BLOCK_FRAMES);
	u32 asked = 0;

	if (!order)
		*done = shrink_idle(EXO_POOL_SMALL, node, want);
	*done += shrink_idle(EXO_POOL_HUGE_KIND, node, want - *done);
	if (fatal_signal_pending(current))
		return -EINTR;
	if (*done < want && node == EXO_POOL_NODE_ANY)
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
 * A shrink on a node takes what is idle there.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EOVERFLOW if the table is full; -ENOSPC if owners can't be asked

 * for so many, or so many are not idle on the node; -EDQUOT if the guaranteed minima would be more
 * than half of the pool; -EINTR. out_done is how many moved in any case.
 */
int exo_mem_pool_op(struct exo_env *env, void *arg)
{
	struct exo_mem_pool *cmd = arg;
	u8 order = cmd->flags & EXO_POOL_HUGE ? EXO_HUGE_ORDER : 0;
	u32 node = EXO_POOL_NODE_ANY;
	u32 frames;

	cmd->out_done = 0;
	if (cmd->reserved || !cmd->frames || cmd->frames > EXO_FRAMES_MAX)
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
		return exo_pool_grow(node, order, frames, &cmd->out_done);
	case EXO_POOL_SHRINK:
	case EXO_POOL_SHRINK | EXO_POOL_NODE:
		return pool_shrink(node, order, frames, &cmd->out_done);
	default:
		return -EINVAL;
	}
}

/* Do the parameters make sense together? Says what to do if not. */
static bool params_ok(u64 frames)
{
	u32 most = frames / 2;

	if (max_frames > EXO_FRAMES_MAX) {
		pr_err("exo: max_frames=%u is too long a table: choose at most %u\n", max_frames,
		       EXO_FRAMES_MAX);
		return false;
	}
	if (pool_frames > frames) {
		pr_err("exo: pool_frames=%u does not fit a table of %llu frames: choose less, or a larger max_frames\n",
		       pool_frames, frames);
		return false;
	}
	/* All minima together are at most half of the pool (INV-ENV-6). */
	if (exo_user_default_min() > most) {
		pr_err("exo: default_min=%u can never be guaranteed: choose at most %u, half of the frame table\n",
		       exo_user_default_min(), most);
		return false;
	}
	return true;
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

	frames = min_t(u64, frames, EXO_FRAMES_MAX);
	if (!params_ok(frames))
		return -EINVAL;
	nr_colours = exo_colours_count();
	exo_nr_frames = frames;
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

	ret = exo_pool_grow(EXO_POOL_NODE_ANY, 0, round_up(pool_frames, EXO_BLOCK_FRAMES), &done);
	if (ret)
		pr_warn("exo: only %u of %u frames for the pool: error %d\n", done, pool_frames,
			ret);
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
