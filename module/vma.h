/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every mapping of /dev/exo has in common: it is shared, is not inherited, dumped, expanded,
 * split, moved or mprotected, and never becomes writable or executable later (INV-VIEW-4).
 *
 * On 6.1 and 6.12 madvise(MADV_DOFORK) undoes VM_DONTCOPY unless it is VM_IO. A mapping whose
 * PTEs are changed by other means than unmap_mapping_range() must not be inherited: a view sets
 * VM_IO as well. The others may end up in a child, which shares the environment.
 */
#ifndef EXO_VMA_H
#define EXO_VMA_H

#include <linux/mm.h>

#include "compat/mm.h"

int exo_vma_init(struct vm_area_struct *vma, unsigned long bytes, bool write);
void exo_vma_map_vmalloc(struct vm_area_struct *vma, void *addr);

/* For vm_operations_struct; every exo mapping has these three. */
int exo_vma_mprotect(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     unsigned long newflags);
int exo_vma_mremap(struct vm_area_struct *vma);
int exo_vma_may_split(struct vm_area_struct *vma, unsigned long addr);

#define EXO_VMA_OPS \
	.mprotect = exo_vma_mprotect, \
	.mremap = exo_vma_mremap, \
	.may_split = exo_vma_may_split

#endif
