/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/huge_mm.h: since 6.17 vmf_insert_pfn_pmd() takes the frame number as it is. Before 6.12
 * there is no special entry: one that looks like device memory keeps gup-fast away as well.
 */
#ifndef EXO_COMPAT_HUGE_MM_H
#define EXO_COMPAT_HUGE_MM_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>

static inline vm_fault_t exo_vmf_insert_pfn_pmd(struct vm_fault *vmf, unsigned long pfn, bool write)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV | PFN_MAP), write);
#else
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, 0), write);
#endif
}

#define vmf_insert_pfn_pmd exo_vmf_insert_pfn_pmd
#endif

#endif
