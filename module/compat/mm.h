/* SPDX-License-Identifier: GPL-2.0 */
/* linux/mm.h: since 6.3 vm_flags is only written through helpers. */
#ifndef EXO_COMPAT_MM_H
#define EXO_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* 7.1 renamed it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 1, 0)
#define zap_special_vma_range(vma, address, size) zap_vma_ptes(vma, address, size)
#endif

/* Before 6.4 there is no VMA lock, so the lock of a fault is the mmap lock. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline void release_fault_lock(struct vm_fault *vmf)
{
	mmap_read_unlock(vmf->vma->vm_mm);
}
#endif

#endif
