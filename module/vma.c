// SPDX-License-Identifier: GPL-2.0
#include <linux/vmalloc.h>

#include "vma.h"

/**
 * exo_vma_init() - check a new mapping and give it the flags that all of ours have
 * @vma: in an mmap handler, so its mmap_lock is held for writing
 * @bytes: the length it must have, 0 for any
 * @write: may it be written? If not, it never will be
 *
 * Return: 0; -EINVAL if it is private, executable or of another length; -EACCES if it wants to
 * write and may not.
 */
int exo_vma_init(struct vm_area_struct *vma, unsigned long bytes, bool write)
{
	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	if (bytes && vma->vm_end - vma->vm_start != bytes)
		return -EINVAL;
	if (!write && (vma->vm_flags & VM_WRITE))
		return -EACCES;

	vm_flags_clear(vma, write ? VM_MAYEXEC : VM_MAYEXEC | VM_MAYWRITE);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	return 0;
}

static vm_fault_t vmalloc_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;

	vmf->page = vmalloc_to_page(vma->vm_private_data + (vmf->address - vma->vm_start));
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vmalloc_vm_ops = {
	EXO_VMA_OPS,
	.fault = vmalloc_fault,
};

/**
 * exo_vma_map_vmalloc() - show a vmalloc'ed area in a mapping
 * @vma: in an mmap handler, after exo_vma_init()
 * @addr: start of the area; at least as long as @vma, and freed after it
 *
 * Like remap_vmalloc_range(), but the area need not come from vmalloc_user(), which can't charge
 * memcg; and pages that madvise() drops come back.
 */
void exo_vma_map_vmalloc(struct vm_area_struct *vma, void *addr)
{
	vma->vm_private_data = addr;
	vma->vm_ops = &vmalloc_vm_ops;
}

/**
 * exo_vma_mprotect() - vm_ops->mprotect: no
 * @vma: mapping
 * @start: ignored
 * @end: ignored
 * @newflags: ignored
 *
 * mprotect applies the rights of the whole mapping to every PTE: a page that is bound read only
 * would become writable.
 *
 * Return: -EACCES.
 */
int exo_vma_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     unsigned long newflags)
{
	return -EACCES;
}

/**
 * exo_vma_mremap() - vm_ops->mremap: no
 * @vma: mapping
 *
 * Return: -EINVAL.
 */
int exo_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/**
 * exo_vma_may_split() - vm_ops->may_split: no
 * @vma: mapping
 * @addr: ignored
 *
 * Return: -EINVAL.
 */
int exo_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}
