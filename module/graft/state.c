// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a graft, as its owner maps it: shared, readable and writable at any time, so that
 * the graft can believe nothing that it reads there.
 */
#include <linux/mm.h>

#include "graft/graft.h"
#include "vma.h"

static vm_fault_t state_fault(struct vm_fault *vmf)
{
	const struct exo_graft *graft = vmf->vma->vm_private_data;
	unsigned long at = vmf->pgoff - vmf->vma->vm_pgoff;

	if (at >= graft->state.nr)
		return VM_FAULT_SIGBUS;
	vmf->page = graft->state.page[at];
	get_page(vmf->page);
	return 0;
}

static void state_open(struct vm_area_struct *vma)
{
	struct exo_graft *graft = vma->vm_private_data;

	kref_get(&graft->ref);
}

static void state_close(struct vm_area_struct *vma)
{
	exo_graft_put(vma->vm_private_data);
}

static const struct vm_operations_struct state_vm_ops = {
	EXO_VMA_OPS,
	.open = state_open,
	.close = state_close,
	.fault = state_fault,
};

/**
 * exo_graft_mmap() - EXO_MMAP_GRAFT
 * @env: of the file
 * @vma: new mapping, of the whole state
 *
 * Context: mmap handler.
 * Return: 0; -ENOENT: no such graft of this environment, or it has no state; -EINVAL; -EACCES.
 */
int exo_graft_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) - EXO_MMAP_GRAFT;
	struct exo_graft *graft;
	int ret = -ENOENT;

	if (offset & ((1ULL << EXO_MMAP_VIEW_SHIFT) - 1))
		return -EINVAL;
	graft = exo_graft_get(env, offset >> EXO_MMAP_VIEW_SHIFT);
	if (!graft)
		return -ENOENT;
	if (graft->state.nr)
		ret = exo_vma_init(vma, (u64)graft->state.nr << PAGE_SHIFT, true);
	if (ret) {
		exo_graft_put(graft);
		return ret;
	}
	vma->vm_ops = &state_vm_ops;
	vma->vm_private_data = graft;
	return 0;
}
