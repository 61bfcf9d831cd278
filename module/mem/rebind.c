// SPDX-License-Identifier: GPL-2.0
/*
 * REBIND and PROTECT. The rules of bind.c hold. Each operation has a part that can fail and changes
 * nothing that anybody sees, and one that can't fail.
 */
#include <linux/sched.h>

#include "compat/mm.h"
#include "compat/pgtable.h"
#include "mem/batch.h"

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
 * The part that can fail: slots, page tables, and records of the new bindings. Nothing is visible
 * yet; revocation that finds a record waits for view->lock.
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
			ret = exo_slot_record(b->view, page, nr, write, NULL);
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

	batch_take_away(b, page, slots, n);
	if (b->report)
		b->flags |= batch_slots_kept(slots, n);
	for (i = 0; i < n; i++) {
		old = EXO_SLOT_FRAME(slots[i]);
		if (!slots[i])
			b->bound++;
		else if (old != nr + i)
			batch_unrecord(b, page + i, old);
		WRITE_ONCE(slots[i], exo_slot(nr + i, write));
		exo_set_pte(view->mm, exo_view_address(view, page + i),
			   region->table + exo_view_pte_index(view, page + i),
			   exo_view_pte(exo_frame_known(nr + i), write));
	}
}

/**
 * batch_rebind() - one REBIND operation
 * @b: the batch
 * @op: checked
 *
 * Return: 0 or an error; then nothing of it has happened.
 */
int batch_rebind(struct batch *b, const struct exo_mem_op *op)
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
		/*
		 * Own frames need no lock: one that is leaving is unmapped once we let go of
		 * view->lock.
		 */
		frame = exo_frame_known(EXO_SLOT_FRAME(*slot));
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
		exo_set_pte(mm, addr, pte, old);
	}
	spin_unlock(region->ptl);
	return less;
}

/*
 * Put back PTEs that were zapped while their slots stayed bound, with the bits that the slots kept.
 */
static void reinstall(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n)
{
	struct mm_struct *mm = b->view->mm;
	unsigned long addr = exo_view_address(b->view, page);
	pte_t *ptep = region->table + exo_view_pte_index(b->view, page);
	struct exo_frame *frame;
	pte_t pte;
	u16 kept;
	u32 i;

	for (i = 0; i < n; i++, ptep++, addr += PAGE_SIZE) {
		frame = exo_frame_known(EXO_SLOT_FRAME(slots[i]));
		pte = exo_view_pte(frame, exo_slot_write(slots[i]));
		kept = exo_slot_kept(slots[i]);
		if (kept & EXO_OP_ACCESSED)
			pte = pte_mkyoung(pte);
		if (kept & EXO_OP_DIRTY)
			pte = pte_mkdirty(pte);
		WRITE_ONCE(slots[i], slots[i] & ~EXO_SLOT_KEPT);
		exo_set_pte(mm, addr, ptep, pte);
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
		b->flags |= batch_slots_kept(slots, n);
	if (unlikely(region->huge)) {
		/* The next touch installs the entry with the new rights. */
		if (n == PTRS_PER_PTE)
			b->flags |= exo_huge_tame(b->view, page);
		else
			b->flags |= exo_huge_split(b->view, page);
	} else if (zapped) {
		batch_zap(b, region, page, slots, n, true);
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

/**
 * batch_protect() - one PROTECT operation
 * @b: the batch
 * @op: checked
 *
 * Return: 0 or an error; then nothing of it has happened.
 */
int batch_protect(struct batch *b, const struct exo_mem_op *op)
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
