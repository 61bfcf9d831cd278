// SPDX-License-Identifier: GPL-2.0
/*
 * BIND and UNBIND of runs of pages, and what takes translations away. The rules of bind.c hold.
 *
 * A run is cut into segments, each in one chunk and in one region.
 */
#include <linux/sched.h>

#include "compat/mm.h"
#include "compat/pgtable.h"
#include "mem/batch.h"

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
 * Make PTEs read only and clean, and collect the bits that they had: what a CPU still writes
 * through its TLB before the flush goes to a page that was dirty already. They stay present, so
 * that a zap of them flushes.
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
 * A region has no page table that we know of when nothing was touched there, when one entry maps
 * it, or after a failed mremap(): then a zap is always right.
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
		if (unlikely(!batch_unrecord_own(exo_frame_known(EXO_SLOT_FRAME(slot)), b->env,
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
 * A segment without surprises: PTEs, records and slots in one go. Returns for how many pages from
 * the first on it was done.
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
		if (unlikely(!batch_unrecord_own(exo_frame_known(EXO_SLOT_FRAME(slot)), env, number,
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

/**
 * batch_unbind_run() - unbind what is bound in a run of pages
 * @b: the batch
 * @page: first page
 * @count: how many; all are in the view
 */
void batch_unbind_run(struct batch *b, u32 page, u32 count)
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

/* BIND -------------------------------------------------------------------------------------- */

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
	const u64 vacant = batch_bound_at(number, EXO_NO_PAGE);
	struct mm_struct *mm = b->view->mm;
	u64 slot = exo_slot(nr, write);
	u32 i;

	if (unlikely(!frame))
		return 0;
	spin_lock(lock);
	for (i = 0; i < n; i++, frame++, pte++, addr += PAGE_SIZE) {
		if (unlikely(slots[i] || !batch_is_free(frame, env, vacant)))
			break;
		frame->bound = batch_bound_at(number, page + i);
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
	ret = exo_slot_record(view, page, nr, write, b->offer);
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
		ret = exo_huge_bind(b->view, page, nr, write, b->offer);
		if (!ret) {
			b->bound += n;
			*done = n;
		}
		return ret;
	}
	return exo_region_learn(b->view, page) ? 0 : -ENOMEM;
}

/**
 * batch_bind_page() - bind one page to a frame that isn't the environment's own, or may not be
 * @b: the batch
 * @page: below view->pages
 * @nr: frame, as user space named it
 * @write: for writing, too
 *
 * Return: 0 or an error; then nothing has happened.
 */
int batch_bind_page(struct batch *b, u32 page, u32 nr, bool write)
{
	struct exo_region *region = exo_view_region(b->view, page);
	u32 done = 0;
	int ret;

	if (unlikely(!exo_view_slot(b->view, page) || !region->table)) {
		ret = bind_prepare(b, page, 1, nr, write, &done);
		if (ret)
			return ret;
	}
	return bind_slow(b, region, page, exo_view_slot(b->view, page), nr, write);
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

/**
 * batch_bind_run() - one BIND operation
 * @b: the batch
 * @op: checked
 *
 * Return: 0 or an error; then nothing of it has happened.
 */
int batch_bind_run(struct batch *b, const struct exo_mem_op *op)
{
	bool write = op->rights & EXO_RIGHT_WRITE;
	u32 n, done, i;
	int ret;

	for (i = 0; i < op->count; i += n) {
		n = exo_view_room(b->view, op->page + i, op->count - i);
		ret = bind_segment(b, op->page + i, n, op->frame + i, write, &done);
		if (unlikely(ret)) {
			/* Somebody may have touched what was bound already. */
			batch_unbind_run(b, op->page, i + done);
			return ret;
		}
		if (n >= PTRS_PER_PTE)
			cond_resched();
	}
	return 0;
}
