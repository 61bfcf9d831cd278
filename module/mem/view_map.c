// SPDX-License-Identifier: GPL-2.0
/*
 * The mappings of a view: itself, its table, its software TLB.
 *
 * The VMA is VM_IO as well as VM_PFNMAP: MADV_DOFORK would otherwise undo VM_DONTCOPY. It is
 * VM_WRITE, and each PTE has its own rights; pfn_mkwrite keeps the core from raising them. 6.12's
 * userfaultfd write-protects any mapping, with markers in place of PTEs: while it is registered
 * for a view no operation and no fault is served.
 */
#include <linux/sched/mm.h>
#include <linux/vmalloc.h>

#include "compat/mm.h"
#include "mem/view.h"
#include "vma.h"

/* Every binding of a view that is no longer mapped goes. View locked. */
static void view_drop_bindings(struct exo_view *view)
{
	s64 dropped = 0;
	u32 page, i;
	u64 *chunk;

	for (page = 0; page < view->pages; page += EXO_CHUNK_SLOTS) {
		chunk = view->chunks[page / EXO_CHUNK_SLOTS];
		if (!chunk)
			continue;
		for (i = 0; i < EXO_CHUNK_SLOTS; i++) {
			if (!chunk[i])
				continue;
			exo_slot_unrecord(view, page + i, EXO_SLOT_FRAME(chunk[i]), view->flushed);
			WRITE_ONCE(chunk[i], 0);
			dropped++;
		}
		cond_resched();
	}
	atomic64_sub(dropped, &view->env->mem->nr_bound);
}

/* Only mremap() makes a copy, and moves everything back when our ->mremap refuses. */
static void view_vma_open(struct vm_area_struct *vma)
{
	struct exo_view *view = vma->vm_private_data;

	kref_get(&view->ref);
	mutex_lock(&view->lock);
	exo_regions_forget(view);
	mutex_unlock(&view->lock);
}

/*
 * The end of munmap(), or of the process. The translations that were there are flushed by now,
 * but not those that a lazy view's unbind has left behind. At the end of a process everything was
 * flushed.
 */
static void view_vma_close(struct vm_area_struct *vma)
{
	struct exo_view *view = vma->vm_private_data;
	struct mm_struct *mm = NULL;

	mutex_lock(&view->lock);
	exo_regions_forget(view);
	if (view->vma == vma) {
		if (view->flushed != view->seq && atomic_read(&view->mm->mm_users))
			exo_view_flush(view);
		WRITE_ONCE(view->flushed, view->seq);
		view_drop_bindings(view);
		mm = view->mm;
		view->mm = NULL;
		WRITE_ONCE(view->vma, NULL);
	}
	mutex_unlock(&view->lock);
	if (mm) {
		exo_monitor_wake(view, 0, view->pages);
		mmdrop(mm);
	}
	exo_view_put(view);
}

const struct vm_operations_struct exo_view_vm_ops = {
	EXO_VMA_OPS,
	.open = view_vma_open,
	.close = view_vma_close,
	.fault = exo_view_fault,
	.pfn_mkwrite = exo_view_pfn_mkwrite,
#ifdef CONFIG_PER_VMA_LOCK
	/* Says that ->fault needs no mmap lock. */
	.map_pages = exo_view_map_pages,
#endif
};

static int view_map(struct exo_view *view, struct vm_area_struct *vma)
{
	int ret;

	ret = exo_vma_init(vma, ((u64)view->pages << PAGE_SHIFT) + PMD_SIZE, true);
	if (ret)
		return ret;
	if ((vma->vm_flags & (VM_READ | VM_WRITE)) != (VM_READ | VM_WRITE))
		return -EINVAL;

	mutex_lock(&view->lock);
	ret = view->dead ? -ENOENT : view->vma ? -EBUSY : 0;
	if (!ret) {
		vm_flags_set(vma, VM_IO | VM_PFNMAP);
		vma->vm_ops = &exo_view_vm_ops;
		vma->vm_private_data = view;
		kref_get(&view->ref);
		mmgrab(vma->vm_mm);
		view->mm = vma->vm_mm;
		view->start = vma->vm_start;
		view->skew = (vma->vm_start >> PAGE_SHIFT) % PTRS_PER_PTE;
		WRITE_ONCE(view->vma, vma);
		WRITE_ONCE(view->env->mem->view_hints[view->number % EXO_VIEW_HINTS], view);
	}
	mutex_unlock(&view->lock);
	return ret;
}

static vm_fault_t table_fault(struct vm_fault *vmf)
{
	struct exo_view *view = vmf->vma->vm_private_data;
	u64 page = (u64)(vmf->pgoff - vmf->vma->vm_pgoff) * EXO_CHUNK_SLOTS;
	u64 *chunk = NULL;

	if (page >= view->pages)
		return VM_FAULT_SIGBUS;
	mutex_lock(&view->lock);
	chunk = exo_slots_chunk(view, page);
	if (chunk) {
		vmf->page = virt_to_page(chunk);
		get_page(vmf->page);
	}
	mutex_unlock(&view->lock);
	return chunk ? 0 : VM_FAULT_OOM;
}

static void table_open(struct vm_area_struct *vma)
{
	struct exo_view *view = vma->vm_private_data;

	kref_get(&view->ref);
}

static void table_close(struct vm_area_struct *vma)
{
	exo_view_put(vma->vm_private_data);
}

static const struct vm_operations_struct table_vm_ops = {
	EXO_VMA_OPS,
	.open = table_open,
	.close = table_close,
	.fault = table_fault,
};

static int view_table_map(struct exo_view *view, struct vm_area_struct *vma)
{
	int ret;

	ret = exo_vma_init(vma, PAGE_ALIGN((u64)view->pages * sizeof(u64)), false);
	if (ret)
		return ret;
	vma->vm_ops = &table_vm_ops;
	vma->vm_private_data = view;
	kref_get(&view->ref);
	return 0;
}

static vm_fault_t stlb_fault(struct vm_fault *vmf)
{
	struct exo_view *view = vmf->vma->vm_private_data;
	unsigned long offset = vmf->address - vmf->vma->vm_start;

	vmf->page = vmalloc_to_page((void *)view->stlb + offset);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct stlb_vm_ops = {
	EXO_VMA_OPS,
	.open = table_open,
	.close = table_close,
	.fault = stlb_fault,
};

static int view_stlb_map(struct exo_view *view, struct vm_area_struct *vma)
{
	int ret;

	if (!view->stlb)
		return -ENOENT;
	ret = exo_vma_init(vma, PAGE_ALIGN((u64)view->stlb_entries * sizeof(u64)), true);
	if (ret)
		return ret;
	vma->vm_ops = &stlb_vm_ops;
	vma->vm_private_data = view;
	kref_get(&view->ref);
	return 0;
}

/**
 * exo_view_mmap() - map a view, its table or its software TLB, or an environment's save pages
 * @env: of the file
 * @vma: new mapping
 *
 * Context: mmap handler.
 * Return: 0; -ENOENT: no such view, or it has no such thing; -EBUSY: the view is mapped already;
 * -EINVAL: another length or offset, private, or not as it must be mapped; -EACCES; -ENOMEM.
 */
int exo_view_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 kind = EXO_MMAP_KIND(offset) << EXO_MMAP_SHIFT;
	struct exo_view *view;
	int ret;

	if (kind == EXO_MMAP_SAVE)
		return exo_upcall_mmap(env, vma);

	offset -= kind;
	if (offset & ((1ULL << EXO_MMAP_VIEW_SHIFT) - 1))
		return -EINVAL;
	view = exo_view_get(env, offset >> EXO_MMAP_VIEW_SHIFT);
	if (!view)
		return -ENOENT;
	if (kind == EXO_MMAP_VIEW)
		ret = view_map(view, vma);
	else if (kind == EXO_MMAP_VIEW_TABLE)
		ret = view_table_map(view, vma);
	else
		ret = view_stlb_map(view, vma);
	exo_view_put(view);
	return ret;
}
