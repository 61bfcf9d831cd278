// SPDX-License-Identifier: GPL-2.0
/*
 * HARVEST: read, and clear, accessed and dirty bits.
 *
 * A dirty bit that is cleared is flushed before the call returns (INV-VIEW-6): a CPU whose TLB
 * still knows the page as dirty would write without setting the bit again. A cleared accessed bit
 * isn't: as elsewhere in Linux it may be missed for as long as the TLB keeps the translation.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/mm.h"
#include "compat/pgtable.h"
#include "mem/view.h"

/* Bits that are copied out at a time; no user memory is touched under locks. */
#define CHUNK_PAGES 512

/**
 * struct harvest - a harvest under way
 * @view: entered
 * @clear: EXO_OP_* to clear
 * @notify: there is a secondary MMU: it must ask again before it writes
 * @flush: a dirty bit was cleared
 */
struct harvest {
	struct exo_view *view;
	u16 clear;
	bool notify;
	bool flush;
};

static u16 pte_bits(pte_t pte)
{
	BUILD_BUG_ON(EXO_OP_ACCESSED != 1 || EXO_OP_DIRTY != 2);
	return exo_pte_accessed_dirty(pte);
}

/*
 * Clear what is to be cleared of a PTE that has some of it. Returns what it had. The page table is
 * locked.
 */
static u16 harvest_clear(struct harvest *h, unsigned long addr, pte_t *ptep, u16 bits)
{
	pte_t pte;

	/* One atomic operation, which leaves alone what a CPU sets meanwhile. */
	if (!(bits & h->clear & EXO_OP_DIRTY)) {
		clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&ptep->pte);
		return bits;
	}
	/* A CPU that looks now faults, waits for view->lock and tries again. */
	pte = ptep_get_and_clear(h->view->mm, addr, ptep);
	bits |= pte_bits(pte);
	if (h->clear & EXO_OP_ACCESSED)
		pte = pte_mkold(pte);
	exo_set_pte(h->view->mm, addr, ptep, pte_mkclean(pte));
	h->flush = true;
	return bits;
}

/*
 * Where a secondary MMU maps the page, too, it must ask again before it writes: zap. PTEs are
 * made read only and clean first, as in bind.c; what isn't to be cleared the slots keep.
 */
static void harvest_zap(struct harvest *h, struct exo_region *region, u32 page, u64 *slots, u32 n,
			u8 *bits)
{
	pte_t *pte = region->table + exo_view_pte_index(h->view, page);
	unsigned long start = exo_view_address(h->view, page);
	unsigned long addr = start;
	pte_t old;
	u64 keep;
	u32 i;

	spin_lock(region->ptl);
	for (i = 0; i < n; i++, pte++, addr += PAGE_SIZE) {
		if (!slots[i] || !pte_present(*pte))
			continue;
		old = ptep_get_and_clear(h->view->mm, addr, pte);
		exo_set_pte(h->view->mm, addr, pte, pte_mkclean(pte_wrprotect(old)));
		bits[i] = pte_bits(old);
		keep = bits[i] & ~h->clear;
		WRITE_ONCE(slots[i], slots[i] | keep << EXO_SLOT_KEPT_SHIFT);
	}
	spin_unlock(region->ptl);
	zap_special_vma_range(h->view->vma, start, (unsigned long)n << PAGE_SHIFT);
}

/* Add what the slots kept, and @all, which one entry for all of them has. */
static void harvest_slots(struct harvest *h, u64 *slots, u32 n, u16 all, u8 *bits)
{
	u64 kept = (u64)h->clear << EXO_SLOT_KEPT_SHIFT;
	u32 i;

	for (i = 0; i < n; i++) {
		if (!slots[i])
			continue;
		bits[i] |= all | exo_slot_kept(slots[i]);
		if (slots[i] & kept)
			WRITE_ONCE(slots[i], slots[i] & ~kept);
	}
}

/* Both in one pass: a page is some 15 instructions, and there are many. */
static void harvest_ptes(struct harvest *h, struct exo_region *region, u32 page, u64 *slots, u32 n,
			 u8 *bits)
{
	pte_t *ptep = region->table + exo_view_pte_index(h->view, page);
	unsigned long start = exo_view_address(h->view, page);
	u64 kept = (u64)h->clear << EXO_SLOT_KEPT_SHIFT;
	const u32 clear = h->clear;
	u64 slot, any_kept = EXO_SLOT_KEPT;
	u32 i, found;
	pte_t pte;

	/* Not to be made anew each time. */
	OPTIMIZER_HIDE_VAR(any_kept);
	spin_lock(region->ptl);
	for (i = 0; i < n; i++) {
		slot = slots[i];
		if (!slot)
			continue;
		pte = READ_ONCE(ptep[i]);
		found = native_pte_val(pte) & _PAGE_PRESENT ? pte_bits(pte) : 0;
		if (found & clear)
			found = harvest_clear(h, start + ((unsigned long)i << PAGE_SHIFT), ptep + i,
					      found);
		if (unlikely(slot & any_kept)) {
			found |= exo_slot_kept(slot);
			WRITE_ONCE(slots[i], slot & ~kept);
		}
		bits[i] = found;
	}
	spin_unlock(region->ptl);
}

/* One segment; @bits is zeroed. */
static int harvest_segment(struct harvest *h, u32 page, u32 n, u8 *bits)
{
	struct exo_region *region = exo_view_region(h->view, page);
	u64 *slots = exo_view_slot(h->view, page);

	if (!slots)
		return 0;
	if (region->huge && h->clear) {
		if (n == PTRS_PER_PTE)
			exo_huge_tame(h->view, page);
		else
			exo_huge_split(h->view, page);
	}
	if (region->huge) {
		harvest_slots(h, slots, n, exo_huge_harvest(h->view, page), bits);
		return 0;
	}
	if (!exo_region_learn(h->view, page))
		return -ENOMEM;
	if (h->notify && h->clear) {
		harvest_zap(h, region, page, slots, n, bits);
		harvest_slots(h, slots, n, 0, bits);
	} else {
		harvest_ptes(h, region, page, slots, n, bits);
	}
	return 0;
}

/* At most CHUNK_PAGES pages: all locks are taken and given back. */
static int harvest_chunk(struct exo_env *env, u32 number, u32 page, u32 count, u16 clear, u8 *bits)
{
	struct harvest h = { .clear = clear };
	struct exo_view *view;
	int ret;
	u32 n, i;

	memset(bits, 0, round_up(count, sizeof(u64)));
	ret = exo_view_enter(env, number, &view);
	if (ret)
		return ret;
	h.view = view;
	h.notify = mm_has_notifiers(view->mm);
	if (!exo_range_ok(page, count, view->pages))
		ret = -EINVAL;
	for (i = 0; !ret && i < count; i += n) {
		n = exo_view_room(view, page + i, count - i);
		ret = harvest_segment(&h, page + i, n, bits + i);
	}
	if (h.flush) {
		view->seq++;
		exo_view_flush(view);
	}
	exo_view_leave(view);
	return ret;
}

/* Bytes of @bits that have @bit. They are zero up to the next multiple of 8. */
static u32 count_pages(const u8 *bits, u32 n, u8 bit)
{
	const u64 *words = (const u64 *)bits;
	u64 mask = bit * 0x0101010101010101ULL;
	u32 i, count = 0;

	for (i = 0; i < DIV_ROUND_UP(n, sizeof(u64)); i++)
		count += hweight64(words[i] & mask);
	return count;
}

static int harvest_all
(struct exo_env *env, struct exo_mem_harvest *arg, u16 clear, u8 *bits)
{
	u8 __user *ubits = u64_to_user_ptr(arg->bits);
	u32 n, done;
	int ret;

	for (done = 0; done < arg->count; done += n) {
		n = min_t(u32, arg->count - done, CHUNK_PAGES);
		ret = harvest_chunk(env, arg->view, arg->page + done, n, clear, bits);
		if (ret)
			return ret;
		arg->out_accessed += count_pages(bits, n, EXO_OP_ACCESSED);
		arg->out_dirty += count_pages(bits, n, EXO_OP_DIRTY);
		if (arg->bits && copy_to_user(ubits + done, bits, n))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * exo_mem_harvest_op() - EXO_MEM_HARVEST
 * @env: caller's
 * @arg: struct exo_mem_harvest
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EACCES: not mapped here; -EFAULT; -EINTR; -ENOMEM.
 */
int exo_mem_harvest_op(struct exo_env *env, void *arg)
{
	struct exo_mem_harvest *harvest = arg;
	struct exo_view *view;
	u16 clear = 0;
	int ret = -EINVAL;
	u8 *bits;

	harvest->out_accessed = 0;
	harvest->out_dirty = 0;
	if ((harvest->flags & ~(EXO_HARVEST_CLEAR_ACCESSED | EXO_HARVEST_CLEAR_DIRTY)) ||
	    harvest->reserved)
		return -EINVAL;
	if (harvest->flags & EXO_HARVEST_CLEAR_ACCESSED)
		clear |= EXO_OP_ACCESSED;
	if (harvest->flags & EXO_HARVEST_CLEAR_DIRTY)
		clear |= EXO_OP_DIRTY;
	view = exo_view_get(env, harvest->view);
	if (!view)
		return -ENOENT;
	if (!exo_range_ok(harvest->page, harvest->count, view->pages))
		goto out;
	ret = -ENOMEM;
	bits = kmalloc(CHUNK_PAGES, GFP_KERNEL);
	if (!bits)
		goto out;
	ret = harvest_all(env, harvest, clear, bits);
	kfree(bits);
out:
	exo_view_put(view);
	return ret;
}
