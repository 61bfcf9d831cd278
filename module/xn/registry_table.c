// SPDX-License-Identifier: GPL-2.0
/*
 * The table of a disk's entries, mapped read only into whoever asks. There are numbers of blocks,
 * frames and units in it, nothing that was in them.
 */
#include <linux/vmalloc.h>

#include "mem/pool.h"
#include "vma.h"
#include "xn/xn.h"

static vm_fault_t table_fault(struct vm_fault *vmf)
{
	struct exo_xn_disk_dev *disk = vmf->vma->vm_private_data;
	unsigned long offset = vmf->address - vmf->vma->vm_start;

	vmf->page = vmalloc_to_page((void *)disk->reg.table + offset);
	get_page(vmf->page);
	return 0;
}

static void table_open(struct vm_area_struct *vma)
{
	struct exo_xn_disk_dev *disk = vma->vm_private_data;

	exo_map_open(vma);
	kref_get(&disk->ref);
}

static void table_close(struct vm_area_struct *vma)
{
	exo_xn_disk_put(vma->vm_private_data);
	exo_map_close(vma);
}

static const struct vm_operations_struct table_vm_ops = {
	EXO_VMA_OPS,
	.open = table_open,
	.close = table_close,
	.fault = table_fault,
};

static int table_map(struct exo_env *env, struct exo_xn_disk_dev *disk,
		     struct vm_area_struct *vma)
{
	int ret;

	ret = exo_vma_init(vma, PAGE_ALIGN(EXO_XN_REG_BYTES), false);
	if (!ret)
		ret = exo_xn_reg_open(&disk->reg);
	if (!ret)
		ret = exo_map_charge(env);
	if (ret)
		return ret;
	vma->vm_private_data = disk;
	vma->vm_ops = &table_vm_ops;
	return 0;
}

/**
 * exo_xn_table_mmap() - EXO_MMAP_XN
 * @env: who maps it; it is the same for all
 * @vma: new mapping, of the whole table
 *
 * Context: mmap handler.
 * Return: 0; -EINVAL; -EACCES; -ENOENT: no such disk; -ENOMEM; -EOVERFLOW: the uid has too many windows and tables.
 */
int exo_xn_table_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) - EXO_MMAP_XN;
	struct exo_xn_disk_dev *disk;
	int ret;

	if (offset & ((1ULL << EXO_MMAP_VIEW_SHIFT) - 1))
		return -EINVAL;
	disk = exo_xn_disk_get(offset >> EXO_MMAP_VIEW_SHIFT);
	if (!disk)
		return -ENOENT;
	ret = table_map(env, disk, vma);
	if (ret)
		exo_xn_disk_put(disk);
	return ret;
}
