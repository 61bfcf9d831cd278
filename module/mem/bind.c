// SPDX-License-Identifier: GPL-2.0
/*
 * BIND, UNBIND, REBIND, PROTECT: batches of operations on a view, one TLB flush at most.
 *
 * Operations of one page, on frames of the caller's own that are bound nowhere else, are by far
 * the most. They have their own way, whose instructions are counted (bench/), and leave
 * everything else to the general one.
 *
 * Who may write a PTE of a view (INV-VIEW-9)
 * ------------------------------------------
 * We do, straight through learned page tables, with the mmap lock held for reading (so the VMA is
 * attached) and view->lock. What else in the kernel could, in 6.1, 6.12 and 7.2:
 *
 *  - munmap, exit, MAP_FIXED over it: detach the VMA under the mmap lock held for writing before
 *    they touch its tables, and wait for VMA locks; exo_view_enter() does not find a detached
 *    VMA. They are the only ones who free its page tables: khugepaged, MADV_COLLAPSE and
 *    PT_RECLAIM (7.x) leave VM_SPECIAL mappings alone, or come with MADV_DONTNEED, which refuses
 *    VM_PFNMAP.
 *  - mremap moves the tables before our ->mremap refuses, and moves them back, with the mmap lock
 *    held for writing; copy_vma() calls ->open first, where we forget them.
 *  - unmap_mapping_range(): only ours, with view->lock held.
 *  - the fault path: on an empty PTE it calls our ->fault, which takes view->lock, and
 *    ->map_pages does nothing. On a present one it compares the PTE with what it has read, and
 *    then sets accessed and dirty bits in that value, or (do_wp_page()) calls our ->pfn_mkwrite.
 *    That is a write of an old value, under the page table's lock only. So whoever *changes* a
 *    PTE here takes that lock (or see take_pte()), else a translation that was just cleared could
 *    come back. Filling an empty PTE needs no lock: nobody writes to an empty one but we.
 *  - NUMA balancing, KSM, clear_refs, MADV_*, mbind, mlock, the OOM reaper: skip VM_PFNMAP or
 *    VM_IO. userfaultfd: 6.12 takes any mapping, and is shut out in exo_view_enter() and the
 *    faults; the others refuse. mprotect, pkey_mprotect: refused by ->mprotect. DAMON: only ages
 *    pages on an LRU list.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/mm.h"
#include "compat/pgtable.h"
#include "mem/batch.h"
#include "trace.h"

/* Up to so many pages in one run a zap is cheaper for the TLBs than a flush of everything. */
#define DIRECT_PAGES 8

/* Operations that fit on the stack. */
#define STACK_OPS 64

/* After so many operations locks are given back for a moment, and signals are looked at. */
#define BREATH 512

/* Operations of one page -------------------------------------------------------------------- */

/*
 * What follows is inlined, and gets what it needs of the view in locals: the compiler may not
 * keep it in registers by itself, with all those stores in between. False: nothing was done, and
 * the general way is to be taken. The environment's frames are locked.
 */

static __always_inline bool bind_page(struct exo_view *view, struct exo_env *env, u32 pages,
				      u32 number, u64 vacant, const struct exo_mem_op *op)
{
	u32 how = op->rights | (u32)op->flags << 16, page = op->page, nr = op->frame;
	struct exo_region *region;
	struct exo_frame *frame;
	u64 *slot, write;

	if (unlikely(op->count != 1 || page >= pages || nr >= exo_nr_frames ||
		     (how & ~EXO_RIGHT_WRITE) != EXO_RIGHT_READ))
		return false;
	region = exo_view_region_nospec(view, page);
	slot = region->slots;
	nr = array_index_nospec(nr, exo_nr_frames);
	frame = READ_ONCE(exo_blocks[nr >> EXO_BLOCK_SHIFT]);
	if (unlikely(!slot || !frame))
		return false;
	frame += nr % EXO_BLOCK_FRAMES;
	slot += page % PTRS_PER_PTE;
	if (unlikely(*slot || !batch_is_free(frame, env, vacant)))
		return false;
	frame->bound = batch_bound_at(number, page);
	write = how / EXO_RIGHT_WRITE;
	WRITE_ONCE(*slot, exo_slot(nr, false) | write * EXO_SLOT_WRITE);
	exo_set_pte(view->mm, exo_view_address(view, page), region->table + page % PTRS_PER_PTE,
		    exo_view_pte(frame, write));
	return true;
}

/* Record and slot go; *@out_region and *@out_slot say where the PTE is, and what was there. */
static __always_inline bool drop_page(struct exo_view *view, struct exo_env *env, u32 pages,
				      u32 number, u64 seq, const struct exo_mem_op *op,
				      struct exo_region **out_region, u64 *out_slot)
{
	struct exo_region *region;
	struct exo_frame *frame;
	u32 page = op->page;
	u64 *slot, old;

	if (unlikely(op->count != 1 || page >= pages || op->frame || op->rights || op->flags))
		return false;
	region = exo_view_region_nospec(view, page);
	slot = region->slots;
	if (unlikely(!slot))
		return false;
	slot += page % PTRS_PER_PTE;
	old = *slot;
	if (unlikely(!old))
		return false;
	frame = exo_frame_known(EXO_SLOT_FRAME(old));
	if (unlikely(!batch_unrecord_own(frame, env, number, page, seq)))
		return false;
	WRITE_ONCE(*slot, 0);
	*out_region = region;
	*out_slot = old;
	return true;
}

/*
 * Clear one PTE without its page table's lock. Only the fault path may be writing it, see above:
 * it compares and writes with the lock held. The exchange is a full barrier, so whoever takes the
 * lock after it finds the PTE empty and leaves it alone. And if the lock is free now, and the PTE
 * empty, then nobody who took the lock before has put the old one back, or will.
 */
static __always_inline pte_t take_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				      spinlock_t *ptl)
{
	pte_t pte = ptep_get_and_clear(mm, addr, ptep);

	if (likely(!spin_is_locked(ptl))) {
		/* Whoever gave the lock back has written before. */
		smp_rmb();
		if (likely(pte_none(READ_ONCE(*ptep))))
			return pte;
	}
	spin_lock(ptl);
	pte = __pte(pte_val(pte) | pte_val(ptep_get_and_clear(mm, addr, ptep)));
	spin_unlock(ptl);
	return pte;
}

/* Do the simple operations from ops[0] on; returns how many there were. */
static noinline u32 bind_simple(struct batch *b, const struct exo_mem_op *ops, u32 count)
{
	struct exo_view *const view = b->view;
	struct exo_env *const env = b->env;
	const u32 pages = view->pages, number = view->number;
	u64 vacant = batch_bound_at(number, EXO_NO_PAGE);
	u32 i;

	/* Not to be made anew each time. */
	OPTIMIZER_HIDE_VAR(vacant);
	spin_lock(&env->mem->frames_lock);
	for (i = 0; i < count; i++)
		if (!bind_page(view, env, pages, number, vacant, &ops[i]))
			break;
	spin_unlock(&env->mem->frames_lock);
	b->bound += i;
	return i;
}

static noinline u32 unbind_simple(struct batch *b, struct exo_mem_op *ops, u32 count)
{
	struct exo_view *const view = b->view;
	struct exo_env *const env = b->env;
	const u32 pages = view->pages, number = view->number;
	const bool report = b->report;
	const u64 seq = batch_seq(b);
	struct exo_region *region;
	u64 slot;
	pte_t pte;
	u32 i;

	spin_lock(&env->mem->frames_lock);
	for (i = 0; i < count; i++) {
		if (!drop_page(view, env, pages, number, seq, &ops[i], &region, &slot))
			break;
		pte = take_pte(view->mm, exo_view_address(view, ops[i].page),
			       region->table + ops[i].page % PTRS_PER_PTE, region->ptl);
		if (report)
			ops[i].flags = exo_slot_kept(slot) | pte_op_flags(pte);
	}
	spin_unlock(&env->mem->frames_lock);
	b->bound -= i;
	if (i)
		b->pending = true;
	return i;
}

/*
 * A batch of one such operation. A zap both clears the PTE and flushes; the record goes before
 * and says so, and nobody looks at that without view->lock.
 */
static __always_inline bool run_single(struct exo_view *view, struct exo_env *env,
				       enum exo_batch_kind kind, const struct exo_mem_op *op)
{
	struct exo_region *region;
	bool flushed, done;
	u64 slot;

	if (kind == EXO_BATCH_BIND) {
		spin_lock(&env->mem->frames_lock);
		done = bind_page(view, env, view->pages, view->number,
				 batch_bound_at(view->number, EXO_NO_PAGE), op);
		spin_unlock(&env->mem->frames_lock);
		if (likely(done))
			atomic64_inc(&env->mem->nr_bound);
		return done;
	}

	if (unlikely(view->flags & EXO_VIEW_LAZY))
		return false;
	spin_lock(&env->mem->frames_lock);
	done = drop_page(view, env, view->pages, view->number, view->seq + 1, op, &region, &slot);
	spin_unlock(&env->mem->frames_lock);
	if (unlikely(!done))
		return false;
	flushed = view->flushed == view->seq++;
	zap_special_vma_range(view->vma, exo_view_address(view, op->page), PAGE_SIZE);
	if (likely(flushed))
		WRITE_ONCE(view->flushed, view->seq);
	atomic64_dec(&env->mem->nr_bound);
	return true;
}

/* Batches ----------------------------------------------------------------------------------- */

/* The general way, for one operation. */
static noinline int run_op(struct batch *b, enum exo_batch_kind kind, struct exo_mem_op *op)
{
	int ret = 0;

	if (unlikely(!exo_op_ok(kind, op, b->view->pages)))
		return -EINVAL;
	b->pages += op->count;
	if (unlikely(b->pages > EXO_BATCH_MAX_PAGES))
		return -EINVAL;
	op->page = array_index_nospec(op->page, b->view->pages);
	b->flags = 0;
	switch (kind) {
	case EXO_BATCH_BIND:
		ret = batch_bind_run(b, op);
		break;
	case EXO_BATCH_UNBIND:
		batch_unbind_run(b, op->page, op->count);
		break;
	case EXO_BATCH_REBIND:
		ret = batch_rebind(b, op);
		break;
	case EXO_BATCH_PROTECT:
		ret = batch_protect(b, op);
		break;
	}
	op->flags = b->flags;
	return ret;
}

static u32 run_simple_ops(struct batch *b, enum exo_batch_kind kind, struct exo_mem_op *ops,
			  u32 count)
{
	count = min_t(u32, count, BREATH);
	if (kind == EXO_BATCH_BIND)
		return bind_simple(b, ops, count);
	if (kind == EXO_BATCH_UNBIND && !b->direct)
		return unbind_simple(b, ops, count);
	return 0;
}

static int run_ops(struct batch *b, enum exo_batch_kind kind, struct exo_mem_op *ops, u32 count,
		   u32 *done)
{
	int ret = 0;
	u32 i, n;

	for (i = 0; i < count; ) {
		n = run_simple_ops(b, kind, ops + i, count - i);
		i += n;
		b->pages += n;
		if (i == count)
			break;
		ret = run_op(b, kind, &ops[i]);
		if (unlikely(ret))
			break;
		i++;
		if (i == count)
			break;
		cond_resched();
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	*done = i;
	return ret;
}

/* One flush for all of it, if something was taken away. */
static void finish(struct batch *b)
{
	struct exo_view *view = b->view;

	if (b->bound)
		atomic64_add(b->bound, &b->env->mem->nr_bound);
	if (b->pending && (b->must_flush || !(view->flags & EXO_VIEW_LAZY)))
		exo_view_flush(view);
	else if (b->seq && !b->pending && view->flushed == b->seq - 1)
		WRITE_ONCE(view->flushed, b->seq);
}

/* The view is entered. */
static noinline int run_batch(struct exo_env *env, struct exo_view *view,
			      struct exo_mem_batch *batch, enum exo_batch_kind kind,
			      struct exo_mem_op *ops)
{
	struct batch b = {
		.env = env,
		.view = view,
		.report = batch->flags & EXO_BATCH_REPORT,
	};
	int ret;

	b.direct = batch->count == 1 && ops[0].count <= DIRECT_PAGES &&
		   !(view->flags & EXO_VIEW_LAZY);
	if (unlikely(mm_has_notifiers(view->mm)))
		b.direct = true;
	ret = run_ops(&b, kind, ops, batch->count, &batch->out_done);
	finish(&b);
	return ret;
}

/**
 * exo_view_bind_offered() - exo_view_bind_offer() for one page, if nothing stands in the way
 * @view: entered
 * @page: from user space
 * @frame: a frame
 * @nr: its number
 * @write: for writing, too; @offer gives what is needed
 * @offer: what the capability gives
 *
 * That is: the frame is one of 4 KiB, belongs to somebody else, and no TLB but this view's may have
 * it; the page is empty, and its page table is there.
 *
 * Return: false if it is not so; nothing has happened then, and exo_view_bind_offer() finds out.
 */
bool exo_view_bind_offered(struct exo_view *view, u32 page, struct exo_frame *frame, u32 nr,
			   bool write, const struct exo_offer *offer)
{
	struct exo_region *region;
	struct exo_env *owner;
	bool done;
	u64 *slot;

	if (unlikely(page >= view->pages))
		return false;
	region = exo_view_region_nospec(view, page);
	slot = region->slots;
	if (unlikely(!slot))
		return false;
	slot += page % PTRS_PER_PTE;
	if (unlikely(*slot))
		return false;

	rcu_read_lock_sched();
	owner = exo_frame_lock(frame);
	done = owner && owner != view->env && !frame->order &&
	       frame->generation == offer->generation &&
	       batch_is_free(frame, owner, batch_bound_at(view->number, EXO_NO_PAGE));
	if (likely(done)) {
		frame->flags |= EXO_FRAME_SHARED;
		/* Revocation finds it from here on, and waits for the view's lock. */
		frame->bound = batch_bound_at(view->number, page);
	}
	if (likely(owner))
		exo_frame_unlock(owner);
	rcu_read_unlock_sched();
	if (unlikely(!done))
		return false;

	WRITE_ONCE(*slot, exo_slot(nr, write));
	exo_set_pte(view->mm, exo_view_address(view, page), region->table + page % PTRS_PER_PTE,
		    exo_view_pte(frame, write));
	atomic64_inc(&view->env->mem->nr_bound);
	return true;
}

/**
 * exo_view_bind_offer() - bind a frame that is just being imported
 * @view: entered
 * @op: frame and rights are checked; one page, or the 512 of a 2 MiB frame
 * @offer: what the capability gives; NULL: the frame is the environment's own
 *
 * Context: sleeps.
 * Return: 0 or an error, as EXO_MEM_BIND has; then nothing is bound that was not before.
 */
int exo_view_bind_offer(struct exo_view *view, struct exo_mem_op *op,
			const struct exo_offer *offer)
{
	struct batch b = {
		.env = view->env,
		.view = view,
		.offer = offer,
		.direct = mm_has_notifiers(view->mm),
	};
	int ret;

	if (unlikely(!exo_range_ok(op->page, op->count, view->pages)))
		return -EINVAL;
	op->page = array_index_nospec(op->page, view->pages);
	if (likely(op->count == 1))
		ret = batch_bind_page(&b, op->page, op->frame, op->rights & EXO_RIGHT_WRITE);
	else
		ret = batch_bind_run(&b, op);
	finish(&b);
	return ret;
}

/* One operation is copied in line: the checks of a copy of any length cost more than the copy. */
static int copy_op(struct exo_mem_op *op, const void __user *uop)
{
	u64 __user *from = (u64 __user *)uop;
	u64 words[sizeof(*op) / sizeof(u64)];

	BUILD_BUG_ON(sizeof(words) != sizeof(*op) || ARRAY_SIZE(words) != 2);
	if (!user_access_begin(from, sizeof(words)))
		return -EFAULT;
	unsafe_get_user(words[0], from, err_fault);
	unsafe_get_user(words[1], from + 1, err_fault);
	user_access_end();
	memcpy(op, words, sizeof(words));
	return 0;

err_fault:
	user_access_end();
	return -EFAULT;
}

static int copy_and_run(struct exo_env *env, struct exo_mem_batch *batch, enum exo_batch_kind kind,
			struct exo_mem_op *ops)
{
	void __user *uops = u64_to_user_ptr(batch->ops);
	struct exo_view *view;
	int ret;

	if (copy_from_user(ops, uops, batch->count * sizeof(*ops)))
		return -EFAULT;
	ret = exo_view_enter(env, batch->view, &view);
	if (ret)
		return ret;
	ret = run_batch(env, view, batch, kind, ops);
	exo_view_leave(view);
	if ((batch->flags & EXO_BATCH_REPORT) &&
	    copy_to_user(uops, ops, batch->out_done * sizeof(*ops)))
		return -EFAULT;
	return ret;
}

static __always_inline int copy_and_run_one(struct exo_env *env, struct exo_mem_batch *batch,
					    enum exo_batch_kind kind)
{
	void __user *uop = u64_to_user_ptr(batch->ops);
	struct exo_mem_op op __attribute__((__uninitialized__));
	struct exo_view *view;
	int ret;

	if (copy_op(&op, uop))
		return -EFAULT;
	ret = exo_view_enter(env, batch->view, &view);
	if (unlikely(ret))
		return ret;
	if (kind <= EXO_BATCH_UNBIND && !batch->flags && run_single(view, env, kind, &op))
		batch->out_done = 1;
	else
		ret = run_batch(env, view, batch, kind, &op);
	exo_view_leave(view);
	if ((batch->flags & EXO_BATCH_REPORT) &&
	    copy_to_user(uop, &op, batch->out_done * sizeof(op)))
		return -EFAULT;
	return ret;
}

static noinline int copy_and_run_some(struct exo_env *env, struct exo_mem_batch *batch,
				      enum exo_batch_kind kind)
{
	/* All that is used of it is copied from user space; clearing a KiB first would show. */
	struct exo_mem_op ops[STACK_OPS] __attribute__((__uninitialized__));

	return copy_and_run(env, batch, kind, ops);
}

static noinline int copy_and_run_many(struct exo_env *env, struct exo_mem_batch *batch,
				      enum exo_batch_kind kind)
{
	struct exo_mem_op *ops;
	int ret;

	ops = kvmalloc_array(batch->count, sizeof(*ops), GFP_KERNEL_ACCOUNT);
	if (!ops)
		return -ENOMEM;
	ret = copy_and_run(env, batch, kind, ops);
	kvfree(ops);
	return ret;
}

static __always_inline int batch_op(struct exo_env *env, struct exo_mem_batch *batch,
				    enum exo_batch_kind kind)
{
	batch->out_done = 0;
	if (batch->flags & ~EXO_BATCH_REPORT || batch->reserved ||
	    batch->count > EXO_BATCH_MAX_OPS)
		return -EINVAL;
	/* Nothing is taken away by a bind. */
	if (kind == EXO_BATCH_BIND && batch->flags)
		return -EINVAL;
	if (likely(batch->count == 1))
		return copy_and_run_one(env, batch, kind);
	if (!batch->count)
		return 0;
	if (batch->count <= STACK_OPS)
		return copy_and_run_some(env, batch, kind);
	return copy_and_run_many(env, batch, kind);
}

/**
 * exo_mem_bind_op() - EXO_MEM_BIND
 * @env: caller's
 * @arg: struct exo_mem_batch
 *
 * Context: sleeps.
 * Return: 0 or the error of the operation that failed, see uapi/exo/exo.h.
 */
int exo_mem_bind_op(struct exo_env *env, void *arg)
{
	struct exo_mem_batch *batch = arg;
	int ret = batch_op(env, batch, EXO_BATCH_BIND);

	trace_exo_bind(env->number, batch->view, batch->count, batch->out_done, ret);
	return ret;
}

/**
 * exo_mem_unbind_op() - EXO_MEM_UNBIND
 * @env: caller's
 * @arg: struct exo_mem_batch
 *
 * Context: sleeps.
 * Return: as exo_mem_bind_op().
 */
int exo_mem_unbind_op(struct exo_env *env, void *arg)
{
	struct exo_mem_batch *batch = arg;
	int ret = batch_op(env, batch, EXO_BATCH_UNBIND);

	trace_exo_unbind(env->number, batch->view, batch->count, batch->out_done, ret);
	return ret;
}

/**
 * exo_mem_rebind_op() - EXO_MEM_REBIND
 * @env: caller's
 * @arg: struct exo_mem_batch
 *
 * Context: sleeps.
 * Return: as exo_mem_bind_op().
 */
int exo_mem_rebind_op(struct exo_env *env, void *arg)
{
	return batch_op(env, arg, EXO_BATCH_REBIND);
}

/**
 * exo_mem_protect_op() - EXO_MEM_PROTECT
 * @env: caller's
 * @arg: struct exo_mem_batch
 *
 * Context: sleeps.
 * Return: as exo_mem_bind_op().
 */
int exo_mem_protect_op(struct exo_env *env, void *arg)
{
	return batch_op(env, arg, EXO_BATCH_PROTECT);
}
