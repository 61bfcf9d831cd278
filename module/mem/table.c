// SPDX-License-Identifier: GPL-2.0
/*
 * The frame table: what everybody may know of every frame, mapped read only into whoever asks.
 *
 * One page of entries a block, made with the block; where there is no block a page of zeros stands,
 * 512 times "absent". So the table costs memory only for what was ever in the pool.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dev.h"
#include "mem/pool.h"
#include "vma.h"

static struct exo_table *header;	/* one page */
static void *absent;			/* a page of zeros */
static struct exo_frame_entry **pages;	/* by block; filled under grow_lock, never freed */
static u32 nr_pages;

/* What stands at this page of the table. */
static void *table_page(unsigned long at)
{
	void *page;

	if (!at)
		return header;
	/* Pairs with exo_table_add_block(): the page was zeroed before. */
	page = smp_load_acquire(&pages[array_index_nospec(at - 1, nr_pages)]);
	return page ?: absent;
}

static vm_fault_t table_fault(struct vm_fault *vmf)
{
	unsigned long at = vmf->pgoff - (EXO_MMAP_TABLE >> PAGE_SHIFT);
	vm_fault_t ret;

	if (at > nr_pages)
		return VM_FAULT_SIGBUS;
	if (exo_map_prepare(vmf))
		return VM_FAULT_OOM;
	down_read(&exo_map_sem);
	ret = vmf_insert_pfn(vmf->vma, vmf->address,
			     page_to_pfn(virt_to_page(table_page(at))));
	up_read(&exo_map_sem);
	return ret;
}

static const struct vm_operations_struct table_vm_ops = {
	EXO_VMA_OPS,
	.open = exo_map_open,
	.close = exo_map_close,
	.fault = table_fault,
};

/**
 * exo_table_mmap() - EXO_MMAP_TABLE
 * @env: who maps it; it is the same for all
 * @vma: new mapping, of the whole table or its beginning
 *
 * Return: 0; -EINVAL; -EACCES; -EOVERFLOW: the uid has too many windows and tables.
 */
int exo_table_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	int ret;

	if (vma->vm_pgoff != EXO_MMAP_TABLE >> PAGE_SHIFT || vma_pages(vma) > nr_pages + 1UL)
		return -EINVAL;
	ret = exo_vma_init(vma, 0, false);
	if (ret)
		return ret;
	ret = exo_map_charge(env);
	if (ret)
		return ret;
	vm_flags_set(vma, VM_PFNMAP);
	vma->vm_ops = &table_vm_ops;
	return 0;
}

/**
 * exo_table_add_block() - entries for a block, all absent
 * @block: its number
 *
 * Until exo_table_block_added() those who have the table mapped may still see zeros.
 *
 * Context: may sleep; under the pool's grow lock.
 * Return: 512 entries, which live until exo_table_exit(), or NULL without memory.
 */
struct exo_frame_entry *exo_table_add_block(u32 block)
{
	struct exo_frame_entry *page;

	BUILD_BUG_ON(EXO_BLOCK_FRAMES * sizeof(*page) != PAGE_SIZE);

	if (pages[block])
		return pages[block];
	page = (void *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return NULL;
	/* Pairs with table_page(). */
	smp_store_release(&pages[block], page);
	return page;
}

/**
 * exo_table_block_added() - show the entries of a new block to those who saw zeros before
 * @block: its number
 *
 * Context: may sleep.
 */
void exo_table_block_added(u32 block)
{
	exo_map_barrier();
	unmap_mapping_range(exo_mapping, EXO_MMAP_TABLE + ((block + 1ULL) << PAGE_SHIFT), PAGE_SIZE,
			    1);
}

/**
 * exo_table_set_counts() - the sums in the first page
 * @present: frames in the pool
 * @free: of these, free
 * @free_huge: 2 MiB frames that are free
 * @target: frames that there should be
 *
 * Context: under the pool lock.
 */
void exo_table_set_counts(u64 present, u64 free, u64 free_huge, u64 target)
{
	WRITE_ONCE(header->present, present);
	WRITE_ONCE(header->free, free);
	WRITE_ONCE(header->free_huge, free_huge);
	WRITE_ONCE(header->target, target);
}

/**
 * exo_table_init() - at module load
 * @frames: length of the table
 *
 * Return: 0 or -ENOMEM.
 */
int exo_table_init(u32 frames)
{
	BUILD_BUG_ON(sizeof(struct exo_table) != PAGE_SIZE);

	nr_pages = frames >> EXO_BLOCK_SHIFT;
	header = (void *)get_zeroed_page(GFP_KERNEL);
	absent = (void *)get_zeroed_page(GFP_KERNEL);
	pages = kvcalloc(nr_pages, sizeof(*pages), GFP_KERNEL);
	if (!header || !absent || !pages) {
		exo_table_exit();
		return -ENOMEM;
	}
	header->frames = frames;
	return 0;
}

/**
 * exo_table_exit() - at unload; nobody has it mapped
 */
void exo_table_exit(void)
{
	u32 i;

	for (i = 0; pages && i < nr_pages; i++)
		free_page((unsigned long)pages[i]);
	kvfree(pages);
	free_page((unsigned long)absent);
	free_page((unsigned long)header);
	pages = NULL;
	absent = NULL;
	header = NULL;
}
