// SPDX-License-Identifier: GPL-2.0
/*
 * 2 MiB frames that one entry maps.
 *
 * Slots and records are as for 512 pages. While region->huge is set all of them are bound to one
 * 2 MiB frame, with the same rights, and there is no page table. The entry is put in by the first
 * fault: 6.1 never calls ->huge_fault of a VM_PFNMAP mapping, and vmf_insert_pfn_pmd() wants a
 * real fault. An operation on a part of it takes the entry away, and the rest comes back page by
 * page.
 *
 * gup-fast would pin a plain 2 MiB entry, whatever VM_PFNMAP says: 6.1 knows no special one, so
 * it gets one that looks like device memory, which gup-fast looks up in vain. Later kernels have
 * pmd_special().
 */
#include <linux/sched.h>

#include "compat/huge_mm.h"
#include "compat/mm.h"
#include "mem/view.h"

/* First page of the region; only for regions that lie in the view as a whole. */
static u32 base_page(const struct exo_view *view, u32 page)
{
	return page - exo_view_pte_index(view, page);
}

/* Where the region's entry is, or NULL. The mmap lock keeps the tables above it. */
static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return NULL;
	return pmd_offset(pud, addr);
}

static u16 pmd_op_flags(pmd_t pmd)
{
	return (pmd_young(pmd) ? EXO_OP_ACCESSED : 0) | (pmd_dirty(pmd) ? EXO_OP_DIRTY : 0);
}

/*
 * Take the region's entry away, from TLBs and secondary MMUs too. It is made read only and clean
 * first: what a CPU still writes through its TLB goes to a frame that was dirty already. Returns
 * its EXO_OP_* bits.
 */
static u16 zap_entry(struct exo_view *view, u32 page)
{
	unsigned long addr = exo_view_address(view, base_page(view, page));
	pmd_t *pmd = find_pmd(view->mm, addr);
	spinlock_t *ptl;
	u16 flags = 0;
	pmd_t old;

	if (!pmd)
		return 0;
	ptl = pmd_lock(view->mm, pmd);
	if (pmd_present(*pmd) && pmd_leaf(*pmd)) {
		old = pmdp_huge_get_and_clear(view->mm, addr, pmd);
		flags = pmd_op_flags(old);
		set_pmd_at(view->mm, addr, pmd, pmd_mkold(pmd_mkclean(pmd_wrprotect(old))));
	}
	spin_unlock(ptl);
	zap_special_vma_range(view->vma, addr, PMD_SIZE);
	return flags;
}

static void keep_flags(struct exo_view *view, u32 page, u16 flags)
{
	u64 *slots = exo_view_slot(view, base_page(view, page));
	u32 i;

	for (i = 0; flags && i < PTRS_PER_PTE; i++)
		WRITE_ONCE(slots[i], slots[i] | (u64)flags << EXO_SLOT_KEPT_SHIFT);
}

/**
 * exo_huge_present() - is there an entry that maps the region?
 * @view: locked; the mmap lock or the VMA's lock is held
 * @page: in the region
 *
 * After a failed mremap() there may be one that region->huge doesn't know of.
 *
 * Return: true if there is.
 */
bool exo_huge_present(struct exo_view *view, u32 page)
{
	pmd_t *pmd = find_pmd(view->mm, exo_view_address(view, page));

	return pmd && pmd_present(*pmd) && pmd_leaf(*pmd);
}

/**
 * exo_huge_fits() - can these pages be bound with one entry?
 * @view: locked
 * @page: first page of a segment
 * @count: length of the segment
 * @nr: frame for @page, as user space named it
 *
 * Return: true if it is a whole region and a whole 2 MiB frame, and there is no page table, not
 * even one that was forgotten in a failed mremap().
 */
bool exo_huge_fits(struct exo_view *view, u32 page, u32 count, u32 nr)
{
	struct exo_frame *frame;
	pmd_t *pmd;

	if (count != PTRS_PER_PTE || exo_view_pte_index(view, page) || nr % EXO_HUGE_FRAMES)
		return false;
	if (!(exo_views_features() & EXO_FEATURE_HUGE))
		return false;
	frame = exo_frame(nr);
	if (!frame || frame->order != EXO_HUGE_ORDER)
		return false;
	pmd = find_pmd(view->mm, exo_view_address(view, page));
	return !pmd || pmd_none(*pmd);
}

/**
 * exo_huge_bind() - bind a 2 MiB frame with one entry
 * @view: locked
 * @page: first page; its chunk is there
 * @nr: first frame
 * @write: for writing, too
 * @offer: see exo_slot_record()
 *
 * Context: sleeps.
 * Return: 0 or as exo_slot_record(), or -EBUSY; then nothing is bound.
 */
int exo_huge_bind(struct exo_view *view, u32 page, u32 nr, bool write,
		  const struct exo_offer *offer)
{
	u64 *slots = exo_view_slot(view, page);
	int ret = 0;
	u32 i;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		ret = slots[i] ? -EBUSY : exo_slot_record(view, page + i, nr + i, write, offer);
		if (ret)
			goto err_unrecord;
	}
	/*
	 * Until the first record it could go, and single pages of the same owner come in its place.
	 */
	ret = -EACCES;
	if (exo_frame(nr)->order != EXO_HUGE_ORDER)
		goto err_unrecord;
	for (i = 0; i < PTRS_PER_PTE; i++)
		WRITE_ONCE(slots[i], exo_slot(nr + i, write));
	exo_view_region(view, page)->huge = true;
	return 0;

err_unrecord:
	while (i--)
		exo_slot_unrecord(view, page + i, nr + i, 0);
	return ret;
}

/**
 * exo_huge_zap() - take away the translation of a region that is unbound as a whole
 * @view: entered
 * @page: in the region
 *
 * Return: EXO_OP_* of the entry.
 */
u16 exo_huge_zap(struct exo_view *view, u32 page)
{
	exo_view_region(view, page)->huge = false;
	return zap_entry(view, page);
}

/**
 * exo_huge_split() - from now on page by page
 * @view: entered
 * @page: in the region
 *
 * Return: EXO_OP_* of the entry, which the slots keep.
 */
u16 exo_huge_split(struct exo_view *view, u32 page)
{
	u16 flags = zap_entry(view, page);

	exo_view_region(view, page)->huge = false;
	keep_flags(view, page, flags);
	return flags;
}

/**
 * exo_huge_tame() - take away the translation of a region that stays bound
 * @view: entered
 * @page: in the region
 *
 * Return: EXO_OP_* of the entry, which the slots keep.
 */
u16 exo_huge_tame(struct exo_view *view, u32 page)
{
	u16 flags = zap_entry(view, page);

	keep_flags(view, page, flags);
	return flags;
}

/**
 * exo_huge_harvest() - accessed and dirty bits of a region's entry
 * @view: entered
 * @page: in the region
 *
 * Return: EXO_OP_*.
 */
u16 exo_huge_harvest(struct exo_view *view, u32 page)
{
	pmd_t *pmd = find_pmd(view->mm, exo_view_address(view, page));
	u16 flags = 0;
	spinlock_t *ptl;

	if (!pmd)
		return 0;
	ptl = pmd_lock(view->mm, pmd);
	if (pmd_present(*pmd) && pmd_leaf(*pmd))
		flags = pmd_op_flags(*pmd);
	spin_unlock(ptl);
	return flags;
}

/**
 * exo_huge_install() - put in the entry of a region at a fault
 * @view: locked
 * @vmf: the fault
 * @page: where; its region is huge, its slot allows the access
 *
 * An entry for a load is read only even if the slot is not: so it says truly what is dirty.
 *
 * Return: VM_FAULT_NOPAGE, or what else the core said.
 */
vm_fault_t exo_huge_install(struct exo_view *view, struct vm_fault *vmf, u32 page)
{
	u64 slot = *exo_view_slot(view, base_page(view, page));
	struct exo_frame *frame = exo_frame_known(EXO_SLOT_FRAME(slot));

	return vmf_insert_pfn_pmd(vmf, page_to_pfn(frame->page), vmf->flags & FAULT_FLAG_WRITE);
}
