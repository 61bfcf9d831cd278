// SPDX-License-Identifier: GPL-2.0
/*
 * BIND, UNBIND, REBIND, PROTECT: batches of operations on a view, one TLB flush at most.
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
 *    old value, under the page table's lock only. So whoever *changes* a PTE here takes that lock,
 *    else a translation that was just cleared could come back. Filling an empty PTE needs no
 *    lock: nobody writes to an empty one but we.
 *  - NUMA balancing, KSM, clear_refs, MADV_*, mbind, mlock, the OOM reaper: skip VM_PFNMAP or VM_IO.
 *    userfaultfd: refuses what isn't VM_MAYWRITE. mprotect, pkey_mprotect: refused by ->mprotect.
 *    DAMON: only ages pages on an LRU list.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/mm.h"
#include "mem/view.h"
#include "trace.h"

/* Up to so many pages in one run a zap is cheaper for the TLBs than a flush of everything. */
#define DIRECT_PAGES 8

/* Operations that fit on the stack. */
#define STACK_OPS 16

/**
 * struct batch - a batch under way
 * @view: entered
 * @env: its environment
 * @vma: its mapping
 * @seq: number of this batch, in view->seq, once it has taken something away; else 0
 * @bound: change of env->mem->nr_bound
 * @pages: named so far
 * @flags: EXO_OP_* of what the current operation has taken away
 * @report: the caller wants @flags
 * @direct: zap run by run: one small run, or there is a secondary MMU to be told
 * @pending: something was taken away that is not flushed
 * @must_flush: even if the view is lazy
 */
struct batch {
	struct exo_view *view;
	struct exo_env *env;
	struct vm_area_struct *vma;
	u64 seq;
	s64 bound;
	u32 pages;
	u16 flags;
	bool report;
	bool direct;
	bool pending;
	bool must_flush;
};

typedef int (*op_fn)(struct batch *b, const struct exo_mem_op *op);

static inline pte_t make_pte(struct page *page, bool write)
{
	return pte_mkspecial(pte_mkold(pfn_pte(page_to_pfn(page), exo_view_prot[write])));
}

static inline u16 pte_op_flags(pte_t pte)
{
	return (pte_young(pte) ? EXO_OP_ACCESSED : 0) | (pte_dirty(pte) ? EXO_OP_DIRTY : 0);
}

/* The number of this batch: at the first time it takes something away. */
static inline u64 batch_seq(struct batch *b)
{
	if (!b->seq)
		b->seq = ++b->view->seq;
	return b->seq;
}

static void batch_flush(struct batch *b)
{
	exo_view_flush(b->view);
	b->pending = false;
	b->must_flush = false;
}

/* Taking translations away ------------------------------------------------------------------ */

/* Clear PTEs of bound slots. */
static void take_ptes(struct batch *b, struct exo_region *region, u32 page, const u64 *slots, u32 n)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	pte_t old;
	u64 all = 0;
	u32 i;

	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE) {
		if (!slots[i])
			continue;
		old = ptep_get_and_clear(mm, addr, pte);
		all |= pte_val(old);
	}
	spin_unlock(region->ptl);
	b->flags |= pte_op_flags(__pte(all));
	if (all)
		b->pending = true;
}

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
		set_pte_at(mm, addr, pte, pte_mkold(pte_mkclean(pte_wrprotect(old))));
		flags = pte_op_flags(old);
		b->flags |= flags;
		if (keep)
			WRITE_ONCE(slots[i], slots[i] | (u64)flags << EXO_SLOT_KEPT_SHIFT);
	}
	spin_unlock(region->ptl);
}

/*
 * Zap pages of one segment: PTEs, TLBs, secondary MMUs. With @keep they stay bound, and their slots
 * keep the accessed and dirty bits.
 */
static void zap_pages(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n,
		      bool keep)
{
	if (region->table && (b->report || keep))
		tame_ptes(b, region, page, slots, n, keep);
	zap_special_vma_range(b->vma, exo_view_address(b->view, page),
			      (unsigned long)n << PAGE_SHIFT);
}

/*
 * Take the translations of a segment away. It has no page table that we know of when nothing was
 * touched there, when one entry maps it, or after a failed mremap(): then a zap is always right.
 */
static void take_away(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n)
{
	if (unlikely(region->huge)) {
		if (n == PTRS_PER_PTE)
			b->flags |= exo_huge_zap(b->view, page);
		else
			b->flags |= exo_huge_split(b->view, page);
	} else if (unlikely(b->direct || !region->table)) {
		zap_pages(b, region, page, slots, n, false);
	} else {
		take_ptes(b, region, page, slots, n);
	}
}

static u16 slots_kept(const u64 *slots, u32 n)
{
	u64 all = 0;

	while (n--)
		all |= slots[n];
	return exo_slot_kept(all);
}

/*
 * The record of one page's binding goes. It can't say that it is stale if it isn't the frame's
 * first: then flush before.
 */
static void unrecord(struct batch *b, u32 page, u32 frame)
{
	if (b->pending && !exo_slot_is_inline(b->view, page, frame))
		batch_flush(b);
	exo_slot_unrecord(b->view, page, frame, batch_seq(b));
}

/* Segments of the caller's own frames, each bound once: the fast way ------------------------ */

/* Returns for how many pages from the first on it was done. */
static u32 unrecord_own(struct batch *b, u32 page, u64 *slots, u32 n)
{
	struct exo_mem_env *mem = b->env->mem;
	u32 i, number = b->view->number;
	u64 slot, seq = batch_seq(b);
	struct exo_frame *frame;
	s64 bound = 0;

	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++) {
		slot = slots[i];
		if (!slot)
			continue;
		frame = exo_frame(EXO_SLOT_FRAME(slot));
		if (unlikely(frame->owner != b->env || frame->bpage != page + i ||
			     frame->bview != number))
			break;
		frame->bpage = EXO_NO_PAGE;
		frame->stale = seq;
		WRITE_ONCE(slots[i], 0);
		bound++;
	}
	spin_unlock(&mem->frames_lock);
	b->bound -= bound;
	return i;
}

/* Returns how many pages from the first on were bound. All frames are in one block. */
static u32 bind_own(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n,
		    u32 nr, bool write)
{
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	unsigned long addr = exo_view_address(b->view, page);
	struct exo_frame *frame = exo_frame(nr);
	struct exo_mem_env *mem = b->env->mem;
	struct mm_struct *mm = b->view->mm;
	u32 i, number = b->view->number;
	u64 slot = exo_slot(nr, write);

	if (unlikely(!frame))
		return 0;
	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++, frame++, pte++, addr += PAGE_SIZE) {
		if (unlikely(slots[i] || frame->owner != b->env ||
			     frame->phase != EXO_PHASE_TAKEN || frame->bpage != EXO_NO_PAGE ||
			     (frame->bview != number && frame->stale)))
			break;
		frame->bview = number;
		frame->bpage = page + i;
		WRITE_ONCE(slots[i], slot + i);
		set_pte_at(mm, addr, pte, make_pte(frame->page, write));
	}
	spin_unlock(&mem->frames_lock);
	b->bound += i;
	return i;
}

/* UNBIND ------------------------------------------------------------------------------------ */

/* Unbind what is bound in a segment. Can't fail. */
static void unbind_segment(struct batch *b, u32 page, u64 *slots, u32 n)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u32 i = 0, frame;

	take_away(b, region, page, slots, n);
	if (b->report)
		b->flags |= slots_kept(slots, n);
	while (i < n) {
		i += unrecord_own(b, page + i, slots + i, n - i);
		if (i == n)
			break;
		frame = EXO_SLOT_FRAME(slots[i]);
		WRITE_ONCE(slots[i], 0);
		unrecord(b, page + i, frame);
		b->bound--;
		i++;
	}
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
		if (n >= PTRS_PER_PTE)
			cond_resched();
	}
}

static int unbind_op(struct batch *b, const struct exo_mem_op *op)
{
	unbind_run(b, op->page, op->count);
	return 0;
}

/* BIND -------------------------------------------------------------------------------------- */

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
	set_pte_at(view->mm, exo_view_address(view, page),
		   region->table + exo_view_pte_index(view, page),
		   make_pte(exo_frame(nr)->page, write));
	b->bound++;
	return 0;
}

/* Bind a segment; @*done pages of it are bound when it fails. */
static int bind_segment(struct batch *b, u32 page, u32 n, u32 nr, bool write, u32 *done)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u64 *slots = exo_view_slot(b->view, page);
	int ret;
	u32 i;

	*done = 0;
	if (unlikely(!slots)) {
		if (!exo_slots_chunk(b->view, page))
			return -ENOMEM;
		slots = exo_view_slot(b->view, page);
	}
	if (unlikely(!region->table)) {
		if (region->huge)
			return -EBUSY;
		if (exo_huge_fits(b->view, page, n, nr)) {
			ret = exo_huge_bind(b->view, page, nr, write);
			*done = ret ? 0 : n;
			b->bound += *done;
			return ret;
		}
		if (!exo_region_learn(b->view, page))
			return -ENOMEM;
	}

	for (i = 0; i < n; *done = i) {
		u32 left = min(n - i, EXO_BLOCK_FRAMES - (nr + i) % EXO_BLOCK_FRAMES);
		u32 own = bind_own(b, region, page + i, slots + i, left, nr + i, write);

		i += own;
		if (likely(own == left))
			continue;
		*done = i;
		ret = bind_slow(b, region, page + i, slots + i, nr + i, write);
		if (ret)
			return ret;
		i++;
	}
	return 0;
}

static int bind_op(struct batch *b, const struct exo_mem_op *op)
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
		if (n >= PTRS_PER_PTE)
			cond_resched();
	}
	return 0;
}

/* REBIND ------------------------------------------------------------------------------------ */

/* Undo rebind_record() for the first @count pages. */
static void rebind_unrecord(struct batch *b, const struct exo_mem_op *op, u32 count)
{
	u64 *slot;
	u32 i;

	for (i = 0; i < count; i++) {
		slot = exo_view_slot(b->view, op->page + i);
		if (!*slot || EXO_SLOT_FRAME(*slot) != op->frame + i)
			exo_slot_unrecord(b->view, op->page + i, op->frame + i, 0);
	}
}

/*
 * The part that can fail: slots, page tables, and records of the new bindings. Nothing is visible yet; revocation
 * that finds a record waits for view->lock.
 */
static int rebind_record(struct batch *b, const struct exo_mem_op *op)
{
	bool write = op->rights & EXO_RIGHT_WRITE;
	struct exo_region *region;
	int ret = 0;
	u64 *slot;
	u32 i, page, nr;

	for (i = 0; i < op->count; i++) {
		page = op->page + i;
		nr = op->frame + i;
		region = exo_view_region(b->view, page);
		if (region->huge)
			exo_huge_split(b->view, page);
		ret = -ENOMEM;
		if (!exo_slots_chunk(b->view, page) || !exo_region_learn(b->view, page))
			break;
		slot = exo_view_slot(b->view, page);
		if (*slot && EXO_SLOT_FRAME(*slot) == nr)
			ret = exo_slot_may(b->view, nr, write);
		else
			ret = exo_slot_record(b->view, page, nr, write);
		if (ret)
			break;
		if (i % PTRS_PER_PTE == 0)
			cond_resched();
	}
	if (ret)
		rebind_unrecord(b, op, i);
	return ret;
}

/* Put the new frames in place of what a segment has, and drop the old records. Can't fail. */
static void rebind_segment(struct batch *b, u32 page, u32 n, u32 nr, bool write)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u64 *slots = exo_view_slot(b->view, page);
	struct exo_view *view = b->view;
	u32 i, old;

	take_away(b, region, page, slots, n);
	if (b->report)
		b->flags |= slots_kept(slots, n);
	for (i = 0; i < n; i++) {
		old = EXO_SLOT_FRAME(slots[i]);
		if (!slots[i])
			b->bound++;
		else if (old != nr + i)
			unrecord(b, page + i, old);
		WRITE_ONCE(slots[i], exo_slot(nr + i, write));
		set_pte_at(view->mm, exo_view_address(view, page + i),
			   region->table + exo_view_pte_index(view, page + i),
			   make_pte(exo_frame(nr + i)->page, write));
	}
}

static int rebind_op(struct batch *b, const struct exo_mem_op *op)
{
	u32 n, i;
	int ret;

	ret = rebind_record(b, op);
	if (ret)
		return ret;
	for (i = 0; i < op->count; i += n) {
		n = exo_view_room(b->view, op->page + i, op->count - i);
		rebind_segment(b, op->page + i, n, op->frame + i, op->rights & EXO_RIGHT_WRITE);
	}
	return 0;
}

/* PROTECT ----------------------------------------------------------------------------------- */

/* Is all of the run bound, by frames that allow it, and are its page tables known? */
static int protect_check(struct batch *b, const struct exo_mem_op *op)
{
	bool write = op->rights & EXO_RIGHT_WRITE;
	struct exo_frame *frame;
	u64 *slot;
	int ret;
	u32 i;

	for (i = 0; i < op->count; i++) {
		slot = exo_view_slot(b->view, op->page + i);
		if (!slot || !*slot)
			return -ENOENT;
		if (unlikely(!exo_view_region(b->view, op->page + i)->huge &&
			     !exo_region_learn(b->view, op->page + i)))
			return -ENOMEM;
		if (!write || exo_slot_write(*slot))
			continue;
		/* Own frames need no lock: one that is leaving is unmapped once we let go of view->lock. */
		frame = exo_frame(EXO_SLOT_FRAME(*slot));
		if (READ_ONCE(frame->owner) == b->env)
			continue;
		ret = exo_slot_may(b->view, EXO_SLOT_FRAME(*slot), true);
		if (ret)
			return ret;
	}
	return 0;
}

/* Change the rights of PTEs. Returns whether a TLB may still allow more than they do. */
static bool protect_ptes(struct batch *b, struct exo_region *region, u32 page, const u64 *slots,
			 u32 n, bool write)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *pte = region->table + exo_view_pte_index(b->view, page);
	bool less = false;
	pte_t old;
	u32 i;

	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE) {
		old = *pte;
		b->flags |= pte_op_flags(old);
		if (!pte_present(old) || !!pte_write(old) == write)
			continue;
		/* A CPU that looks now faults, waits for view->lock and tries again. */
		old = ptep_get_and_clear(mm, addr, pte);
		b->flags |= pte_op_flags(old);
		if (write) {
			old = pte_mkwrite_novma(old);
		} else {
			old = pte_wrprotect(old);
			less = true;
		}
		set_pte_at(mm, addr, pte, old);
	}
	spin_unlock(region->ptl);
	return less;
}

/* Put back PTEs that were zapped while their slots stayed bound, with the bits that the slots kept. */
static void reinstall(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *ptep = region->table + exo_view_pte_index(b->view, page);
	pte_t pte;
	u16 kept;
	u32 i;

	for (i = 0; i < n; i++, ptep++, addr += PAGE_SIZE) {
		pte = make_pte(exo_frame(EXO_SLOT_FRAME(slots[i]))->page, exo_slot_write(slots[i]));
		kept = exo_slot_kept(slots[i]);
		if (kept & EXO_OP_ACCESSED)
			pte = pte_mkyoung(pte);
		if (kept & EXO_OP_DIRTY)
			pte = pte_mkdirty(pte);
		WRITE_ONCE(slots[i], slots[i] & ~EXO_SLOT_KEPT);
		set_pte_at(mm, addr, ptep, pte);
	}
}

/* All slots are bound; unless one entry maps the region, its page table is known. Can't fail. */
static void protect_segment(struct batch *b, u32 page, u32 n, bool write)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u64 *slots = exo_view_slot(b->view, page);
	u64 flag = write ? EXO_SLOT_WRITE : 0;
	bool zapped = b->direct && !write && !region->huge;
	u32 i;

	if (b->report)
		b->flags |= slots_kept(slots, n);
	if (unlikely(region->huge)) {
		/* The next touch installs the entry with the new rights. */
		if (n == PTRS_PER_PTE)
			b->flags |= exo_huge_tame(b->view, page);
		else
			b->flags |= exo_huge_split(b->view, page);
	} else if (zapped) {
		zap_pages(b, region, page, slots, n, true);
	} else if (protect_ptes(b, region, page, slots, n, write)) {
		batch_seq(b);
		b->pending = true;
		b->must_flush = true;
	}

	for (i = 0; i < n; i++)
		WRITE_ONCE(slots[i], (slots[i] & ~EXO_SLOT_WRITE) | flag);
	if (zapped)
		reinstall(b, region, page, slots, n);
}

static int protect_op(struct batch *b, const struct exo_mem_op *op)
{
	bool write = op->rights & EXO_RIGHT_WRITE;
	u32 n, i;
	int ret;

	ret = protect_check(b, op);
	for (i = 0; !ret && i < op->count; i += n) {
		n = exo_view_room(b->view, op->page + i, op->count - i);
		protect_segment(b, op->page + i, n, write);
	}
	return ret;
}

/* Batches ----------------------------------------------------------------------------------- */

static const op_fn op_fns[] = {
	[EXO_BATCH_BIND] = bind_op,
	[EXO_BATCH_UNBIND] = unbind_op,
	[EXO_BATCH_REBIND] = rebind_op,
	[EXO_BATCH_PROTECT] = protect_op,
};

static int run_ops(struct batch *b, enum exo_batch_kind kind, struct exo_mem_op *ops, u32 count,
		   u32 *done)
{
	op_fn fn = op_fns[kind];
	int ret = 0;
	u32 i;

	for (i = 0; i < count; i++) {
		if (i % 64 == 63) {
			cond_resched();
			ret = -EINTR;
			if (fatal_signal_pending(current))
				break;
		}
		ret = -EINVAL;
		if (unlikely(!exo_op_ok(kind, &ops[i], b->view->pages)))
			break;
		b->pages += ops[i].count;
		if (unlikely(b->pages > EXO_BATCH_MAX_PAGES))
			break;
		b->flags = 0;
		ret = fn(b, &ops[i]);
		if (unlikely(ret))
			break;
		ops[i].flags = b->flags;
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

static int run_batch(struct exo_env *env, struct exo_mem_batch *batch, enum exo_batch_kind kind,
		     struct exo_mem_op *ops)
{
	struct batch b = {
		.env = env,
		.report = batch->flags & EXO_BATCH_REPORT,
	};
	int ret;

	b.view = exo_view_get(env, batch->view);
	if (unlikely(!b.view))
		return -ENOENT;
	ret = exo_view_enter(b.view, &b.vma);
	if (ret)
		goto out;
	b.direct = batch->count == 1 && ops[0].count <= DIRECT_PAGES &&
		   !(b.view->flags & EXO_VIEW_LAZY);
	if (unlikely(mm_has_notifiers(b.view->mm)))
		b.direct = true;

	ret = run_ops(&b, kind, ops, batch->count, &batch->out_done);
	finish(&b);
	exo_view_leave(b.view);
out:
	exo_view_put(b.view);
	return ret;
}

static int copy_and_run(struct exo_env *env, struct exo_mem_batch *batch, enum exo_batch_kind kind,
			struct exo_mem_op *ops)
{
	void __user *uops = u64_to_user_ptr(batch->ops);
	int ret;

	if (copy_from_user(ops, uops, batch->count * sizeof(*ops)))
		return -EFAULT;
	ret = run_batch(env, batch, kind, ops);
	if ((batch->flags & EXO_BATCH_REPORT) &&
	    copy_to_user(uops, ops, batch->out_done * sizeof(*ops)))
		return -EFAULT;
	return ret;
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

static int batch_op(struct exo_env *env, struct exo_mem_batch *batch, enum exo_batch_kind kind)
{
	struct exo_mem_op ops[STACK_OPS];

	batch->out_done = 0;
	if (batch->flags & ~EXO_BATCH_REPORT || batch->reserved ||
	    batch->count > EXO_BATCH_MAX_OPS)
		return -EINVAL;
	/* Nothing is taken away by a bind. */
	if (kind == EXO_BATCH_BIND && batch->flags)
		return -EINVAL;
	if (!batch->count)
		return 0;
	if (batch->count <= STACK_OPS)
		return copy_and_run(env, batch, kind, ops);
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
