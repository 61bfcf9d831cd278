// SPDX-License-Identifier: GPL-2.0
/*
 * BIND, UNBIND, REBIND, PROTECT: batches of operations on a view, one TLB flush at most.
 *
 * Operations of one page, on frames of the caller's own that are bound nowhere else, are by far the most. They
 * have their own way, whose instructions are counted (bench/), and leave everything else to the general one.
 *
 * Who may write a PTE of a view (INV-VIEW-9)
 * ------------------------------------------
 * We do, straight through learned page tables, with the mmap lock held for reading (so the VMA is
 * attached) and view->lock. What else in the kernel could, in 6.1, 6.12 and 7.2:
 *
 *  - munmap, exit, MAP_FIXED over it: detach the VMA under the mmap lock held for writing before they
 *    touch its tables, and wait for VMA locks; exo_view_enter() does not find a detached VMA.
 *    They are the only ones who free its page tables: khugepaged, MADV_COLLAPSE and PT_RECLAIM (7.x) leave
 *    VM_SPECIAL mappings alone, or come with MADV_DONTNEED, which refuses VM_PFNMAP.
 *  - mremap moves the tables before our ->mremap refuses, and moves them back, with the mmap lock held
 *    for writing; copy_vma() calls ->open first, where we forget them.
 *  - unmap_mapping_range(): only ours, with view->lock held.
 *  - the fault path: on an empty PTE it calls our ->fault, which takes view->lock, and ->map_pages does
 *    nothing. On a present one it compares the PTE with what it has read, and then sets accessed and
 *    dirty bits in that value, or (do_wp_page()) calls our ->pfn_mkwrite. That is a write of an
 *    old value, under the page table's lock only. So whoever *changes* a PTE here takes that lock
 *    (or see take_pte()), else a translation that was just cleared could come back. Filling an empty PTE needs no
 *    lock: nobody writes to an empty one but we.
 *  - NUMA balancing, KSM, clear_refs, MADV_*, mbind, mlock, the OOM reaper: skip VM_PFNMAP or VM_IO.
 *    userfaultfd: 6.12 takes any mapping, and is shut out in exo_view_enter() and the faults; the others refuse.
 *    mprotect, pkey_mprotect: refused by ->mprotect.
 *    DAMON: only ages pages on an LRU list.
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

/* After so many operations or pages locks are given back for a moment, and signals are looked at. */
#define BREATH 512

static void batch_flush(struct batch *b)
{
	exo_view_flush(b->view);
	/* What is taken away from here on is not flushed, and must not look as if it were. */
	b->seq = 0;
	b->pending = false;
	b->must_flush = false;
}

/* Taking translations away ------------------------------------------------------------------ */

/*
 * Make PTEs read only and clean, and collect the bits that they had: what a CPU still writes through its
 * TLB before the flush goes to a page that was dirty already. They stay present, so that a zap of
 * them flushes.
 */
static void tame_ptes(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n,
		      bool keep)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	pte_t old;
	u16 flags;
	u32 i;

	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE) {
		if (!slots[i] || !pte_present(*pte))
			continue;
		old = ptep_get_and_clear(mm, addr, pte);
		exo_set_pte(mm, addr, pte, pte_mkold(pte_mkclean(pte_wrprotect(old))));
		flags = pte_op_flags(old);
		b->flags |= flags;
		if (keep)
			WRITE_ONCE(slots[i], slots[i] | (u64)flags << EXO_SLOT_KEPT_SHIFT);
	}
	spin_unlock(region->ptl);
}

/**
 * batch_zap() - zap pages of one segment: PTEs, TLBs, secondary MMUs
 * @b: the batch
 * @region: of the segment; one entry does not map it
 * @page: first page
 * @slots: of the segment
 * @n: length
 * @keep: they stay bound, and their slots keep the accessed and dirty bits
 */
void batch_zap(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n, bool keep)
{
	if (region->table && (b->report || keep))
		tame_ptes(b, region, page, slots, n, keep);
	zap_special_vma_range(b->view->vma, exo_view_address(b->view, page),
			      (unsigned long)n << PAGE_SHIFT);
}

/* Clear the PTEs of bound slots; the flush comes later. */
static void take_ptes(struct batch *b, struct exo_region *region, u32 page, const u64 *slots, u32 n)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	u64 all = 0;
	u32 i;

	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE)
		if (slots[i])
			all |= pte_val(ptep_get_and_clear(mm, addr, pte));
	spin_unlock(region->ptl);
	b->flags |= pte_op_flags(__pte(all));
	if (all)
		b->pending = true;
}

/**
 * batch_take_away() - take the translations of a segment away
 * @b: the batch
 * @page: first page
 * @slots: of the segment
 * @n: length
 *
 * A region has no page table that we know of when nothing was touched there, when one entry maps it, or
 * after a failed mremap(): then a zap is always right.
 */
void batch_take_away(struct batch *b, u32 page, u64 *slots, u32 n)
{
	struct exo_region *region = exo_view_region(b->view, page);

	if (unlikely(region->huge)) {
		if (n == PTRS_PER_PTE)
			b->flags |= exo_huge_zap(b->view, page);
		else
			b->flags |= exo_huge_split(b->view, page);
	} else if (b->direct || unlikely(!region->table)) {
		batch_zap(b, region, page, slots, n, false);
	} else {
		take_ptes(b, region, page, slots, n);
	}
}

/**
 * batch_slots_kept() - EXO_OP_* that slots have kept, or'ed
 * @slots: first of them
 * @n: how many
 *
 * Return: the bits.
 */
u16 batch_slots_kept(const u64 *slots, u32 n)
{
	u64 all = 0;

	while (n--)
		all |= slots[n];
	return exo_slot_kept(all);
}

/**
 * batch_unrecord() - the record of one page's binding goes
 * @b: the batch, which has taken the translation away
 * @page: the page
 * @frame: what was bound there
 *
 * A record can't say that it is stale if it isn't the frame's first: then flush before.
 */
void batch_unrecord(struct batch *b, u32 page, u32 frame)
{
	if (b->pending && !exo_slot_is_inline(b->view, page, frame))
		batch_flush(b);
	exo_slot_unrecord(b->view, page, frame, batch_seq(b));
}

/* UNBIND ------------------------------------------------------------------------------------ */

/* exo_frame.bound of a frame whose first binding is there. Little endian, as x86 is. */
static __always_inline u64 bound_at(u32 number, u32 page)
{
	return number | (u64)page << 32;
}

/*
 * Drop the record of an own frame whose first binding is here. False: it isn't such a one. Owner
 * locked, if it is @env.
 */
static __always_inline bool unrecord_own(struct exo_frame *frame, const struct exo_env *env,
					 u32 number, u32 page, u64 seq)
{
	if (unlikely(frame->owner != env || frame->bound != bound_at(number, page)))
		return false;
	frame->bpage = EXO_NO_PAGE;
	frame->stale = seq;
	return true;
}

/* The records of a segment whose translations are gone, and the slots. */
static void drop_segment(struct batch *b, u32 page, u64 *slots, u32 n)
{
	spinlock_t *lock = &b->env->mem->frames_lock;
	u64 slot, seq = batch_seq(b);
	u32 i;

	spin_lock(lock);
	for (i = 0; i < n; i++) {
		slot = slots[i];
		if (!slot)
			continue;
		if (unlikely(!unrecord_own(exo_frame_known(EXO_SLOT_FRAME(slot)), b->env,
					   b->view->number, page + i, seq))) {
			spin_unlock(lock);
			batch_unrecord(b, page + i, EXO_SLOT_FRAME(slot));
			spin_lock(lock);
		}
		WRITE_ONCE(slots[i], 0);
		b->bound--;
	}
	spin_unlock(lock);
}

/*
 * A segment without surprises: PTEs, records and slots in one go. Returns for how many pages from the
 * first on it was done.
 */
static noinline u32 unbind_own(struct batch *b, u32 page, u64 *slots, u32 n)
{
	struct exo_region *region = exo_view_region(b->view, page);
	spinlock_t *lock = &b->env->mem->frames_lock;
	struct exo_env *const env = b->env;
	const u32 number = b->view->number;
	unsigned long addr = exo_view_address(b->view, page);
	struct mm_struct *mm = b->view->mm;
	u64 slot, all = 0, seq = batch_seq(b);
	pte_t *pte;
	s64 bound = 0;
	u32 i;

	if (b->direct || unlikely(!region->table || region->huge))
		return 0;
	pte = region->table + exo_view_pte_index(b->view, page);
	spin_lock(lock);
	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE) {
		slot = slots[i];
		if (!slot)
			continue;
		if (unlikely(!unrecord_own(exo_frame_known(EXO_SLOT_FRAME(slot)), env, number,
					   page + i, seq)))
			break;
		all |= pte_val(ptep_get_and_clear(mm, addr, pte));
		WRITE_ONCE(slots[i], 0);
		bound++;
	}
	spin_unlock(region->ptl);
	spin_unlock(lock);
	b->bound -= bound;
	b->flags |= pte_op_flags(__pte(all));
	if (all)
		b->pending = true;
	return i;
}

/* Unbind what is bound in a segment. Can't fail. */
static void unbind_segment(struct batch *b, u32 page, u64 *slots, u32 n)
{
	u32 i;

	if (b->report)
		b->flags |= batch_slots_kept(slots, n);
	i = unbind_own(b, page, slots, n);
	if (i == n)
		return;
	batch_take_away(b, page + i, slots + i, n - i);
	drop_segment(b, page + i, slots + i, n - i);
}

static void unbind_run(struct batch *b, u32 page, u32 count)
{
	u64 *slots;
	u32 n;

	for (; count; page += n, count -= n) {
		n = exo_view_room(b->view, page, count);
		slots = exo_view_slot(b->view, page);
		if (slots)
			unbind_segment(b, page, slots, n);
		if (n >= BREATH)
			cond_resched();
	}
}

/* BIND -------------------------------------------------------------------------------------- */

/*
 * May this frame be bound as its first binding in the view whose bound_at() for no page @vacant is,
 * without a closer look? Owner locked, if it is @env.
 */
static __always_inline bool is_free(const struct exo_frame *frame, const struct exo_env *env,
				    u64 vacant)
{
	return frame->owner == env && frame->phase == EXO_PHASE_TAKEN &&
	       (frame->bound == vacant ||
		(frame->bpage == EXO_NO_PAGE && !frame->stale));
}

/* Returns how many pages from the first on were bound. All frames are in one block. */
static noinline u32 bind_own(struct batch *b, struct exo_region *region, u32 page, u64 *slots,
			     u32 n, u32 nr, bool write)
{
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	unsigned long addr = exo_view_address(b->view, page);
	spinlock_t *lock = &b->env->mem->frames_lock;
	struct exo_frame *frame = exo_frame(nr);
	struct exo_env *const env = b->env;
	const u32 number = b->view->number;
	const u64 vacant = bound_at(number, EXO_NO_PAGE);
	struct mm_struct *mm = b->view->mm;
	u64 slot = exo_slot(nr, write);
	u32 i;

	if (unlikely(!frame))
		return 0;
	spin_lock(lock);
	for (i = 0; i < n; i++, frame++, pte++, addr += PAGE_SIZE) {
		if (unlikely(slots[i] || !is_free(frame, env, vacant)))
			break;
		frame->bound = bound_at(number, page + i);
		WRITE_ONCE(slots[i], slot + i);
		exo_set_pte(mm, addr, pte, exo_view_pte(frame, write));
	}
	spin_unlock(lock);
	b->bound += i;
	return i;
}

/* One page whose frame is shared, bound elsewhere too, or wrong. */
static int bind_slow(struct batch *b, struct exo_region *region, u32 page, u64 *slot, u32 nr,
		     bool write)
{
	struct exo_view *view = b->view;
	int ret;

	if (*slot)
		return -EBUSY;
	ret = exo_slot_record(view, page, nr, write);
	if (ret)
		return ret;
	WRITE_ONCE(*slot, exo_slot(nr, write));
	exo_set_pte(view->mm, exo_view_address(view, page),
		    region->table + exo_view_pte_index(view, page),
		    exo_view_pte(exo_frame_known(nr), write));
	b->bound++;
	return 0;
}

/* Chunk and page table of a segment, or the whole of it with one entry: then @*done is @n. */
static int bind_prepare(struct batch *b, u32 page, u32 n, u32 nr, bool write, u32 *done)
{
	struct exo_region *region = exo_view_region(b->view, page);
	int ret;

	if (!exo_slots_chunk(b->view, page))
		return -ENOMEM;
	if (region->table)
		return 0;
	if (region->huge)
		return -EBUSY;
	if (exo_huge_fits(b->view, page, n, nr)) {
		ret = exo_huge_bind(b->view, page, nr, write);
		if (!ret) {
			b->bound += n;
			*done = n;
		}
		return ret;
	}
	return exo_region_learn(b->view, page) ? 0 : -ENOMEM;
}

/* Bind a segment; @*done pages of it are bound when it fails. */
static int bind_segment(struct batch *b, u32 page, u32 n, u32 nr, bool write, u32 *done)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u64 *slots = exo_view_slot(b->view, page);
	u32 i, own, left;
	int ret;

	*done = 0;
	if (unlikely(!slots || !region->table)) {
		ret = bind_prepare(b, page, n, nr, write, done);
		if (ret || *done)
			return ret;
		slots = exo_view_slot(b->view, page);
	}
	for (i = 0; i < n; i += own) {
		left = min(n - i, EXO_BLOCK_FRAMES - (nr + i) % EXO_BLOCK_FRAMES);
		own = bind_own(b, region, page + i, slots + i, left, nr + i, write);
		if (likely(own == left))
			continue;
		*done = i + own;
		ret = bind_slow(b, region, page + *done, slots + *done, nr + *done, write);
		if (ret)
			return ret;
		own++;
	}
	return 0;
}

static int bind_run(struct batch *b, const struct exo_mem_op *op)
{
	bool write = op->rights & EXO_RIGHT_WRITE;
	u32 n, done, i;
	int ret;

	for (i = 0; i < op->count; i += n) {
		n = exo_view_room(b->view, op->page + i, op->count - i);
		ret = bind_segment(b, op->page + i, n, op->frame + i, write, &done);
		if (unlikely(ret)) {
			/* Somebody may have touched what was bound already. */
			unbind_run(b, op->page, i + done);
			return ret;
		}
		if (n >= BREATH)
			cond_resched();
	}
	return 0;
}

/* Operations of one page -------------------------------------------------------------------- */

/*
 * What follows is inlined, and gets what it needs of the view in locals: the compiler may not keep it
 * in registers by itself, with all those stores in between. False: nothing was done, and the general way
 * is to be taken. The environment's frames are locked.
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
	if (unlikely(*slot || !is_free(frame, env, vacant)))
		return false;
	frame->bound = bound_at(number, page);
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
	if (unlikely(!old || !unrecord_own(exo_frame_known(EXO_SLOT_FRAME(old)), env, number, page,
					   seq)))
		return false;
	WRITE_ONCE(*slot, 0);
	*out_region = region;
	*out_slot = old;
	return true;
}

/*
 * Clear one PTE without its page table's lock. Only the fault path may be writing it, see above: it compares
 * and writes with the lock held. The exchange is a full barrier, so whoever takes the lock after it
 * finds the PTE empty and leaves it alone. And if the lock is free now, and the PTE empty, then nobody
 * who took the lock before has put the old one back, or will.
 */
static __always_inline pte_t take_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
				      spinlock_t *ptl)
{
	pte_t pte = ptep_get_and_clear(mm, addr, ptep);

	if (likely(!spin_is_locked(ptl))) {
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
	u64 vacant = bound_at(number, EXO_NO_PAGE);
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
 * A batch of one such operation. A zap both clears the PTE and flushes; the record goes before and says so, and
 * nobody looks at that without view->lock.
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
				 bound_at(view->number, EXO_NO_PAGE), op);
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
		ret = bind_run(b, op);
		break;
	case EXO_BATCH_UNBIND:
		unbind_run(b, op->page, op->count);
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
