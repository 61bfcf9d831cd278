// SPDX-License-Identifier: GPL-2.0
#include <linux/vmalloc.h>

#include "vma.h"

/**
 * exo_vma_init() - check a new mapping and give it the flags that all of ours have
 * @vma: in an mmap handler, so its mmap_lock is held for writing
 * @bytes: the length it must have, 0 for any
 * @write: may it be written? If not, it never will be
 *
 * Return: 0; -EINVAL if it is private, executable or of another length; -EACCES if it wants to write
 * and may not.
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

/**
 * exo_vma_insert_vmalloc() - fill a mapping with the pages of a vmalloc'ed area
 * @vma: in an mmap handler, after exo_vma_init()
 * @addr: start of the area; at least as long as @vma
 *
 * Like remap_vmalloc_range(), but the area need not come from vmalloc_user(), which can't charge
 * memcg. The mapping holds references on the pages: the area may be freed before it.
 *
 * Return: 0 or -ENOMEM; the caller of the mmap handler then unmaps what was inserted.
 */
int exo_vma_insert_vmalloc(struct vm_area_struct *vma, void *addr)
{
	unsigned long at;
	int ret;

	for (at = vma->vm_start; at < vma->vm_end; at += PAGE_SIZE, addr += PAGE_SIZE) {
		ret = vm_insert_page(vma, at, vmalloc_to_page(addr));
		if (ret)
			return ret;
	}
	return 0;
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

const struct vm_operations_struct exo_vma_static_ops = {
	EXO_VMA_OPS,
};
