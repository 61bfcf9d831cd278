// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: the memory of an invocation, in one piece as the graft sees it.
 *
 * In the sandbox and for the interpreter the regions lie behind each other as struct
 * exo_graft_layout says. Everything between them and around them, as far as an access that never
 * happened could reach, is one page of zeros, mapped again and again (INV-GRAFT-30). Proved code
 * works on real addresses: there a window is only the data.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include "graft/graft.h"

static struct page *zeros;

/* Windows that a nested run tries to claim: two for each level of nesting. */
#define NESTED_TRIES (2 * EXO_TXN_DEPTH)

/**
 * exo_graft_pages_alloc() - zeroed pages
 * @pages: zeroed
 * @nr: how many
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM; either way exo_graft_pages_free() is due.
 */
int exo_graft_pages_alloc(struct exo_graft_pages *pages, u32 nr)
{
	if (!nr)
		return 0;
	pages->page = kcalloc(nr, sizeof(*pages->page), GFP_KERNEL_ACCOUNT);
	if (!pages->page)
		return -ENOMEM;
	for (; pages->nr < nr; pages->nr++) {
		pages->page[pages->nr] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!pages->page[pages->nr])
			return -ENOMEM;
	}
	return 0;
}

/**
 * exo_graft_pages_free() - free pages; who still has them mapped or pinned has references
 * @pages: pages
 *
 * Context: any but interrupts.
 */
void exo_graft_pages_free(struct exo_graft_pages *pages)
{
	while (pages->nr)
		__free_page(pages->page[--pages->nr]);
	kfree(pages->page);
	pages->page = NULL;
}

/* Put @n of @pages, from @from on, where the graft sees address @at. */
static void place(struct page **all, u64 at, const struct exo_graft_pages *pages, u32 from, u32 n)
{
	u32 to = (at + EXO_GRAFT_GUARD) >> PAGE_SHIFT;

	memcpy(all + to, pages->page + from, n * sizeof(*all));
}

/* One area for all regions. */
static int map_regions(struct exo_graft_window *win, u32 data_pages)
{
	const struct exo_graft *graft = win->graft;
	const struct exo_graft_layout *layout = &graft->layout;
	u32 i, nr = (layout->mask + 1 + 2 * EXO_GRAFT_GUARD) >> PAGE_SHIFT;
	u64 scratch = layout->start[EXO_REGION_CTX] & PAGE_MASK;
	struct page **all;
	u64 base;

	all = kvmalloc_array(nr, sizeof(*all), GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		all[i] = zeros;
	place(all, layout->start[EXO_REGION_CONST], &graft->consts, 0, graft->consts.nr);
	place(all, scratch, &win->pages, 0, 1);
	place(all, layout->start[EXO_REGION_STATE], &graft->state, 0, graft->state.nr);
	place(all, layout->start[EXO_REGION_DATA], &win->pages, 1, data_pages);
	win->area = vmap(all, nr, VM_MAP, PAGE_KERNEL);
	kvfree(all);
	if (!win->area)
		return -ENOMEM;

	base = (u64)win->area + EXO_GRAFT_GUARD;
	win->run.base = base;
	win->ctx = (void *)(base + layout->start[EXO_REGION_CTX]);
	win->data = (void *)(base + layout->start[EXO_REGION_DATA]);
	win->data_at = layout->start[EXO_REGION_DATA];
	return 0;
}

static int map_data(struct exo_graft_window *win, u32 data_pages)
{
	win->ctx = win->run.ctx;
	if (!data_pages)
		return 0;
	win->area = vmap(win->pages.page, data_pages, VM_MAP, PAGE_KERNEL);
	win->data = win->area;
	win->data_at = (u64)win->area;
	return win->area ? 0 : -ENOMEM;
}

static void window_free(struct exo_graft_window *win)
{
	if (!win)
		return;
	vunmap(win->area);
	exo_graft_pages_free(&win->pages);
	kfree(win->own_txn);
	kfree(win);
}

static struct exo_graft_window *window_alloc(struct exo_graft *graft)
{
	const struct exo_hook *hook = graft->prog.hook;
	bool proof = graft->mode == EXO_GRAFT_PROOF;
	u32 data_pages = DIV_ROUND_UP(hook->data_cap, PAGE_SIZE);
	static struct lock_class_key run_key, place_key, xn_key;
	struct exo_graft_window *win;
	int ret;

	win = kzalloc(sizeof(*win) + hook->ctx_size, GFP_KERNEL_ACCOUNT);
	if (!win)
		return NULL;
	mutex_init(&win->lock);
	/*
	 * EXO_GRAFT_RUN copies from and to user space with a window claimed. The fault may be on a
	 * view, and its graft claims a window, too, of another graft and another hook.
	 */
	lockdep_set_class(&win->lock, !graft->env ? &xn_key :
			  hook->id == EXO_HOOK_FAULT || hook->id == EXO_HOOK_VICTIM ? &place_key :
										      &run_key);
	win->graft = graft;
	win->run.priv = win;
	if (exo_graft_has_txn(graft)) {
		win->own_txn = kzalloc(sizeof(*win->own_txn), GFP_KERNEL_ACCOUNT);
		if (!win->own_txn)
			goto err_free;
	}
	if (exo_graft_pages_alloc(&win->pages, data_pages + !proof))
		goto err_free;
	ret = proof ? map_data(win, data_pages) : map_regions(win, data_pages);
	if (ret)
		goto err_free;
	win->clear = win->ctx + hook->ctx_write;
	win->nr_clear = (hook->ctx_size - hook->ctx_write) / sizeof(u64);
	/* The stack lies behind the context; in a proof it is the processor's. */
	if (!proof)
		win->nr_clear += graft->prog.stack / sizeof(u64);
	exo_graft_set_data(win, 0);
	return win;

err_free:
	window_free(win);
	return NULL;
}

/* This processor's window, made if there is none. */
static struct exo_graft_window *window_here(struct exo_graft *graft, u32 cpu)
{
	struct exo_graft_window *win, *old;

	win = READ_ONCE(graft->windows[cpu]);
	if (likely(win))
		return win;
	win = window_alloc(graft);
	if (!win)
		return NULL;
	old = cmpxchg(&graft->windows[cpu], NULL, win);
	if (old)
		window_free(win);
	return old ?: win;
}

/**
 * exo_graft_windows_make() - the windows that must be there before the first run
 * @graft: complete but for them
 *
 * A hook whose runs can't wait for memory gets all of them now: a victim graft runs while memory is
 * being freed, in one worker, and needs only one; a nested run begins with preemption disabled.
 * Of the others one is made, so that a graft that is loaded can run.
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM.
 */
int exo_graft_windows_make(struct exo_graft *graft)
{
	u32 cpu;

	graft->windows = kcalloc(nr_cpu_ids, sizeof(*graft->windows), GFP_KERNEL_ACCOUNT);
	if (!graft->windows)
		return -ENOMEM;
	if (graft->prog.hook->id != EXO_HOOK_TXN)
		return window_here(graft, cpumask_first(cpu_possible_mask)) ? 0 : -ENOMEM;
	for_each_possible_cpu(cpu)
		if (!window_here(graft, cpu))
			return -ENOMEM;
	return 0;
}

/**
 * exo_graft_windows_free() - free them
 * @graft: nobody runs it any more
 *
 * Context: sleeps.
 */
void exo_graft_windows_free(struct exo_graft *graft)
{
	u32 cpu;

	for (cpu = 0; graft->windows && cpu < nr_cpu_ids; cpu++)
		window_free(graft->windows[cpu]);
	kfree(graft->windows);
}

/**
 * exo_graft_claim() - claim a window for an invocation
 * @graft: with a reference
 *
 * Context: sleeps; a victim graft's claim doesn't wait for memory.
 * Return: the window, until exo_graft_release(); NULL without memory, or killed while waiting.
 */
struct exo_graft_window *exo_graft_claim(struct exo_graft *graft)
{
	u32 cpu = graft->prog.hook->id == EXO_HOOK_VICTIM ? cpumask_first(cpu_possible_mask) :
							    raw_smp_processor_id();
	struct exo_graft_window *win = window_here(graft, cpu);

	if (!win || mutex_lock_killable(&win->lock))
		return NULL;
	return win;
}

/**
 * exo_graft_claim_nested() - the same from inside an invocation
 * @graft: found in the index since preemption is disabled
 *
 * This processor's window is free but for recursion, and for who was moved away from here, or came here,
 * between claiming and running. So a few are tried, not all: what a call is charged is the same on a
 * machine of any size.
 *
 * Context: doesn't sleep; preemption is disabled.
 * Return: the window, or NULL if none of those tried is free.
 */
struct exo_graft_window *exo_graft_claim_nested(struct exo_graft *graft)
{
	u32 i, cpu = smp_processor_id();
	struct exo_graft_window *win;

	for (i = 0; i < NESTED_TRIES; i++) {
		win = READ_ONCE(graft->windows[cpu]);
		if (win && mutex_trylock(&win->lock))
			return win;
		cpu = cpumask_next(cpu, cpu_possible_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_possible_mask);
	}
	return NULL;
}

/**
 * exo_graft_release() - give a window back
 * @win: claimed
 */
void exo_graft_release(struct exo_graft_window *win)
{
	win->env = NULL;
	win->priv = NULL;
	mutex_unlock(&win->lock);
}

/**
 * exo_graft_windows_init() - module load
 *
 * Return: 0 or -ENOMEM.
 */
int exo_graft_windows_init(void)
{
	BUILD_BUG_ON(EXO_GRAFT_GUARD % PAGE_SIZE || EXO_GRAFT_BASE % PAGE_SIZE);

	zeros = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return zeros ? 0 : -ENOMEM;
}

/**
 * exo_graft_windows_exit() - module unload; no graft is left
 */
void exo_graft_windows_exit(void)
{
	__free_page(zeros);
}
