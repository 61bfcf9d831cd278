// SPDX-License-Identifier: GPL-2.0
/*
 * Flushing, and breaking bindings from outside.
 *
 * One flush a batch. No kernel exports a flush of a whole address space, but tlb_finish_mmu()
 * does one when it finds that somebody else also has PTEs changed and not flushed yet
 * (mm_tlb_flush_nested()): this is what inc_tlb_flush_pending() says, an inline function, and it
 * is true. So a batch clears its PTEs, says so, and zaps nothing: no page, or where that would
 * not do, one behind the view that never has a page table. The flush is of everything, with
 * whatever this CPU needs for it (PCID, PTI, INVLPGB, lazy CPUs). Same in tlb_finish_mmu() of
 * 6.1, 6.12 and 7.2, and in what leads there; it does not depend on
 * tlb_single_page_flush_ceiling. That a kernel still does so is what the tests of stale reads
 * say.
 *
 * A secondary MMU (KVM, IOMMU) is told by mmu notifiers, which direct writes to PTEs don't send.
 * A batch in an mm that has notifiers zaps each run instead (bind.c). mmu_notifier_register()
 * takes the mmap lock for writing, so that can't change in the middle.
 */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/sched.h>

#include "compat/mm.h"
#include "dev.h"
#include "mem/view.h"

static unsigned long first_pgoff(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static unsigned long last_pgoff(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

/* To look into exo_mapping->i_mmap: the core's own functions for it are not exported. */
INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long, shared.rb_subtree_last,
		     first_pgoff, last_pgoff, static inline, vma_tree)

/* The page behind the view, in pages from its start: in a 2 MiB region without a page table. */
static u32 guard_page(const struct exo_view *view)
{
	return round_up(view->skew + view->pages, PTRS_PER_PTE) - view->skew;
}

/**
 * exo_view_flush() - no TLB has a stale translation of this view any more
 * @view: locked and mapped; its mmap lock is held, or it is being closed
 *
 * Context: sleeps.
 */
void exo_view_flush(struct exo_view *view)
{
	struct mm_struct *mm = view->mm;

	inc_tlb_flush_pending(mm);
	zap_special_vma_range(view->vma, exo_view_address(view, guard_page(view)),
			      mm_has_notifiers(mm) ? PAGE_SIZE : 0);
	dec_tlb_flush_pending(mm);
	WRITE_ONCE(view->flushed, view->seq);
}

/* Is the view still in reach of unmap_mapping_range()? */
static bool view_is_linked(struct exo_view *view)
{
	unsigned long pgoff = exo_view_offset(view) >> PAGE_SHIFT;
	bool linked;

	i_mmap_lock_read(exo_mapping);
	linked = vma_tree_iter_first(&exo_mapping->i_mmap, pgoff, pgoff);
	i_mmap_unlock_read(exo_mapping);
	return linked;
}

/**
 * exo_view_flush_stale() - flush a view's stale translations, from any process
 * @view: the view, with a reference, unlocked
 * @stale: up to this batch
 *
 * Needs neither the mmap lock, which its process could hold for as long as it likes, nor a
 * reference to the address space: unmap_mapping_range() finds the VMA. If it doesn't, a munmap is
 * between unlinking the VMA and our ->close, which flushes. Nobody waits for that: what else is
 * closed before, say a file system's mapping, may take for ever. See exo_frame_is_stale().
 *
 * Context: sleeps.
 */
void exo_view_flush_stale(struct exo_view *view, u64 stale)
{
	loff_t guard;

	mutex_lock(&view->lock);
	if (view->vma && view->flushed < stale) {
		guard = exo_view_offset(view) + ((loff_t)guard_page(view) << PAGE_SHIFT);
		inc_tlb_flush_pending(view->mm);
		unmap_mapping_range(exo_mapping, guard, PAGE_SIZE, 1);
		dec_tlb_flush_pending(view->mm);
		if (view_is_linked(view))
			WRITE_ONCE(view->flushed, view->seq);
	}
	mutex_unlock(&view->lock);
}

/**
 * exo_frame_is_stale() - may a TLB still have a translation of a frame that is bound nowhere?
 * @frame: its owner is locked, or it has none
 * @keep: not in views of this environment, or NULL
 *
 * Context: any.
 * Return: true for as long as a munmap of the view where it was is in its way to the end.
 */
bool exo_frame_is_stale(const struct exo_frame *frame, const struct exo_env *keep)
{
	const struct exo_view *view;
	bool stale = false;

	if (!frame->stale)
		return false;
	rcu_read_lock();
	view = exo_view_peek(frame->bview);
	if (view && view->env != keep)
		stale = READ_ONCE(view->flushed) < frame->stale;
	rcu_read_unlock();
	return stale;
}

/**
 * exo_mem_flush_op() - EXO_MEM_FLUSH
 * @env: caller's
 * @arg: struct exo_mem_view
 *
 * Context: sleeps.
 * Return: 0; -ENOENT; -EACCES: not mapped here; -EINTR.
 */
int exo_mem_flush_op(struct exo_env *env, void *arg)
{
	struct exo_mem_view *flush = arg;
	struct exo_view *view;
	int ret;

	if (flush->flags || flush->reserved)
		return -EINVAL;
	ret = exo_view_enter(env, flush->view, &view);
	if (ret)
		return ret;
	if (view->flushed != view->seq)
		exo_view_flush(view);
	exo_view_leave(view);
	return 0;
}

/* Revocation -------------------------------------------------------------------------------- */

/**
 * struct where - a binding of a frame
 * @view: with a reference
 * @page: page there
 */
struct where {
	struct exo_view *view;
	u32 page;
};

/**
 * struct whose - which bindings are meant
 * @env: an environment, or NULL
 * @keep: all but those in its views; else only those
 */
struct whose {
	const struct exo_env *env;
	bool keep;
};

static bool is_meant(const struct exo_view *view, const struct whose *whose)
{
	return (view->env == whose->env) != whose->keep;
}

static bool take(struct where *where, u32 number, u32 page, const struct whose *whose)
{
	struct exo_view *view = exo_view_peek(number);

	if (!view || !is_meant(view, whose) || !kref_get_unless_zero(&view->ref))
		return false;
	where->view = view;
	where->page = page;
	return true;
}

/* A binding of the frame. */
static bool find_binding(struct exo_frame *frame, const struct whose *whose, struct where *where)
{
	struct exo_binding *binding;
	struct exo_env *owner;
	bool found = false;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (!owner)
		goto out;
	if (frame->bpage != EXO_NO_PAGE)
		found = take(where, frame->bview, frame->bpage, whose);
	list_for_each_entry(binding, &frame->more, node) {
		if (found)
			break;
		found = take(where, binding->view, binding->page, whose);
	}
	exo_frame_unlock(owner);
out:
	rcu_read_unlock();
	return found;
}

/* The view whose TLBs may have an old translation of the frame, with a reference. */
static struct exo_view *find_stale(struct exo_frame *frame, const struct whose *whose, u64 *stale)
{
	struct exo_view *view = NULL;
	struct exo_env *owner;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (!owner)
		goto out;
	if (frame->stale)
		view = exo_view_peek(frame->bview);
	if (view && (!is_meant(view, whose) || READ_ONCE(view->flushed) >= frame->stale ||
		     !kref_get_unless_zero(&view->ref)))
		view = NULL;
	*stale = frame->stale;
	exo_frame_unlock(owner);
out:
	rcu_read_unlock();
	return view;
}

/* How many of the frames stand one after the other in the view from @page on? View locked. */
static u32 run_length(struct exo_view *view, u32 page, const u32 *frames, u32 n)
{
	u32 i, room = min(n, view->pages - page);
	u64 *slot;

	for (i = 0; i < room; i++) {
		slot = exo_view_slot(view, page + i);
		if (!slot || !*slot || EXO_SLOT_FRAME(*slot) != frames[i])
			break;
	}
	return i;
}

/*
 * Break the binding of frames[0] at @where, and those of the frames after it that are bound next
 * to it. Slots first, so that no fault installs them again; then PTEs and TLBs; then records. If
 * a munmap has unlinked the VMA: it has flushed before that, see tlb_end_vma() and
 * tlb_free_vmas().
 */
static void break_run(const struct where *where, const u32 *frames, u32 n, exo_unmapped_fn fn,
		      void *ctx)
{
	struct exo_view *view = where->view;
	u32 i, run, page = where->page;

	mutex_lock(&view->lock);
	run = run_length(view, page, frames, n);
	for (i = 0; i < run; i++) {
		WRITE_ONCE(*exo_view_slot(view, page + i), 0);
		exo_view_region(view, page + i)->huge = false;
	}
	if (run)
		unmap_mapping_range(exo_mapping,
				    exo_view_offset(view) + ((loff_t)page << PAGE_SHIFT),
				    (loff_t)run << PAGE_SHIFT, 1);
	for (i = 0; i < run; i++) {
		/* Before the record goes, and with it the room in the log that it stands for. */
		if (fn)
			fn(frames[i], view->number, exo_view_address(view, page + i), ctx);
		exo_slot_unrecord(view, page + i, frames[i], 0);
	}
	if (run)
		atomic64_sub(run, &view->env->mem->nr_bound);
	mutex_unlock(&view->lock);
}

static void unmap_frames(const u32 *frames, u32 n, const struct whose *whose, exo_unmapped_fn fn,
			 void *ctx)
{
	struct exo_frame *frame;
	struct exo_view *view;
	struct where where;
	u64 stale;
	u32 i;

	for (i = 0; i < n; i++) {
		frame = exo_frame(frames[i]);
		while (find_binding(frame, whose, &where)) {
			break_run(&where, frames + i, n - i, fn, ctx);
			exo_view_put(where.view);
			cond_resched();
		}
		view = find_stale(frame, whose, &stale);
		if (view) {
			exo_view_flush_stale(view, stale);
			exo_view_put(view);
		}
		cond_resched();
	}
}

/**
 * exo_views_unmap_frames() - break bindings, see view.h
 * @frames: frames, each with an owner
 * @n: how many
 * @keep: environment whose own bindings stay, or NULL
 * @fn: called for each binding that is broken, under the view's lock; may be NULL
 * @ctx: for @fn
 *
 * Context: sleeps.
 */
void exo_views_unmap_frames(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn,
			    void *ctx)
{
	const struct whose whose = { .env = keep, .keep = true };

	unmap_frames(frames, n, &whose, fn, ctx);
}

/**
 * exo_views_unmap_own() - break the bindings in one environment's own views
 * @env: environment; it may make no new ones
 * @frames: frames, whoever has them
 * @n: how many
 *
 * Context: sleeps.
 */
void exo_views_unmap_own(const struct exo_env *env, const u32 *frames, u32 n)
{
	const struct whose whose = { .env = env, .keep = false };

	unmap_frames(frames, n, &whose, NULL, NULL);
}
