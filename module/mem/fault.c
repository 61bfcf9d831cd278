// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on views (INV-FAULT-1): a bound slot is installed; else the software TLB is asked,
 * then the view's graft, then the thread's upcall, then the monitor; else SIGBUS.
 *
 * A handler runs under the mmap lock or, from 6.4 on, under the VMA's own lock. Either keeps the
 * VMA, its page tables and with the file the environment. view->lock orders faults with batches
 * and revocation.
 */
#include <linux/userfaultfd_k.h>

#include "compat/mm.h"
#include "compat/pgtable.h"
#include "core/stlb.h"
#include "mem/graft.h"
#include "mem/view.h"
#include "trace.h"

/* The PTE of a bound slot, with the bits that the access itself would set. */
static pte_t slot_pte(u64 slot, bool write)
{
	pte_t pte = exo_view_pte(exo_frame_known(EXO_SLOT_FRAME(slot)), exo_slot_write(slot));

	return pte_mkyoung(write ? pte_mkdirty(pte) : pte);
}

/*
 * Install a bound slot that allows the access. The PTE may be there already, if another thread was
 * faster, and then at most lacks the right to write, if a PROTECT was.
 */
static vm_fault_t install(struct exo_view *view, struct vm_fault *vmf, u32 page, u64 slot,
			  bool write)
{
	struct exo_region *region = exo_view_region(view, page);
	unsigned long addr = exo_view_address(view, page);
	pte_t *pte;

	if (unlikely(region->huge)) {
		if (pmd_none(*vmf->pmd) || pmd_leaf(*vmf->pmd))
			return exo_huge_install(view, vmf, page);
		/* userfaultfd was here, and has left a page table. */
		region->huge = false;
	}
	if (unlikely(!exo_region_learn(view, page)))
		return VM_FAULT_OOM;
	pte = region->table + exo_view_pte_index(view, page);
	if (pte_none(*pte)) {
		exo_set_pte(view->mm, addr, pte, slot_pte(slot, write));
	} else if (write && !pte_write(*pte)) {
		spin_lock(region->ptl);
		exo_set_pte(view->mm, addr, pte, slot_pte(slot, write));
		spin_unlock(region->ptl);
	}
	return VM_FAULT_NOPAGE;
}

/*
 * Bind what the software TLB says, if it says enough and the environment may. Returns the slot or
 * 0.
 */
static u64 stlb_bind(struct exo_view *view, u32 page, bool write)
{
	u64 entry, slot;

	entry = READ_ONCE(view->stlb[exo_stlb_index(page, view->stlb_entries)]);
	if (!exo_stlb_hit(entry, page, write) || !exo_slots_chunk(view, page))
		return 0;
	if (exo_slot_record(view, page, EXO_STLB_FRAME(entry), entry & EXO_STLB_WRITE, NULL))
		return 0;
	slot = exo_slot(EXO_STLB_FRAME(entry), entry & EXO_STLB_WRITE);
	WRITE_ONCE(*exo_view_slot(view, page), slot);
	atomic64_inc(&view->env->mem->nr_bound);
	return slot;
}

/* What the module can answer by itself; 0 if somebody must be asked, and then why in @fault. */
static vm_fault_t resolve(struct exo_view *view, struct vm_fault *vmf, u32 page, u32 *fault)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret = 0;
	u64 *at, slot;

	*fault = write ? EXO_FAULT_WRITE : 0;
	mutex_lock(&view->lock);
	at = exo_view_slot(view, page);
	slot = at ? *at : 0;
	if (!slot && view->stlb)
		slot = stlb_bind(view, page, write);
	if (!slot && unlikely(view->graft))
		slot = exo_fault_graft(view, page, *fault);
	if (slot && write && !exo_slot_write(slot))
		*fault |= EXO_FAULT_PROT;
	else if (slot)
		ret = install(view, vmf, page, slot, write);
	mutex_unlock(&view->lock);
	return ret;
}

/**
 * exo_view_fault() - vm_ops->fault
 * @vmf: the fault
 *
 * Context: the mmap lock or the VMA's lock is held; sleeps.
 * Return: VM_FAULT_NOPAGE: try again; VM_FAULT_RETRY: the same, and the lock was given back;
 * VM_FAULT_SIGBUS; VM_FAULT_OOM.
 */
vm_fault_t exo_view_fault(struct vm_fault *vmf)
{
	struct exo_view *view = vmf->vma->vm_private_data;
	unsigned long page = vmf->pgoff - vmf->vma->vm_pgoff;
	u64 env = view->env->number;
	u32 number = view->number;
	vm_fault_t ret;
	u32 fault;

	if (unlikely(page >= view->pages || userfaultfd_wp(vmf->vma)))
		return VM_FAULT_SIGBUS;
	ret = resolve(view, vmf, page, &fault);
	if (!ret)
		ret = exo_upcall_deliver(view, vmf, page, fault);
	if (!ret)
		ret = exo_monitor_deliver(view, vmf, page, fault);
	if (!ret)
		ret = VM_FAULT_SIGBUS;
	trace_exo_fault(env, number, page, fault, (__force u32)ret);
	return ret;
}

/**
 * exo_view_pfn_mkwrite() - vm_ops->pfn_mkwrite: a store to a page whose PTE is read only
 * @vmf: the fault
 *
 * Without this the core would make the PTE writable. It must never hear that it may: what is due,
 * we do ourselves.
 *
 * Context, return: as exo_view_fault().
 */
vm_fault_t exo_view_pfn_mkwrite(struct vm_fault *vmf)
{
	return exo_view_fault(vmf) | VM_FAULT_NOPAGE;
}

/**
 * exo_view_map_pages() - vm_ops->map_pages: nothing
 * @vmf: the fault
 * @start: ignored
 * @end: ignored
 *
 * Its presence tells the core that ->fault is right under the VMA's own lock; without it every
 * fault is tried twice, the second time under the mmap lock.
 *
 * Return: 0: go on with ->fault.
 */
vm_fault_t exo_view_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}
