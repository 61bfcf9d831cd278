// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: frame f stands at base + (f - first) * 4096, as ordinary memory that I/O can pin.
 *
 * Nothing is mapped until it is touched. The fault asks whether the environment may have the frame,
 * and inserts it, with exo_map_sem held for reading. Whoever takes a frame away first makes that
 * question have another answer (phase, generation), then takes exo_map_sem for writing, empty:
 * every fault that was told yes is over. What is mapped by then is unmapped.
 *
 * Each environment has a bucket, some bits of the page offset above the frame number, and mmap moves
 * a new window there. So unmapping a frame walks the windows of its owner and of those who imported
 * it, not those that strangers have over its number. Two environments may have the same bucket: it
 * costs time, nothing else.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>

#include "dev.h"
#include "mem/pool.h"
#include "vma.h"

/* Neighbours that are mapped with a frame that is touched: aligned runs of so many. */
#define AROUND (16 * PAGE_SIZE)

/* Most windows of a uid, and mappings of the table. */
#define MAPS_MAX 16384

/* The page offset of a window: kind, bucket, frame. */
#define FRAME_BITS ilog2(EXO_FRAMES_MAX)
#define BUCKET_BITS (EXO_MMAP_SHIFT - PAGE_SHIFT - FRAME_BITS)

/* Importers that are looked for at once. */
#define IMPORTERS 32

DECLARE_RWSEM(exo_map_sem);

/**
 * exo_map_barrier() - wait until every fault in a window or the table that runs now is over
 *
 * Context: sleeps; the caller holds no lock that such a fault waits for.
 */
void exo_map_barrier(void)
{
	down_write(&exo_map_sem);
	up_write(&exo_map_sem);
}

static u64 window_pgoff(u32 bucket, u32 frame)
{
	return (EXO_MMAP_WINDOW >> PAGE_SHIFT) + ((u64)bucket << FRAME_BITS) + frame;
}

static u32 window_frame(const struct vm_area_struct *vma, unsigned long address)
{
	return vma->vm_pgoff % EXO_FRAMES_MAX + ((address - vma->vm_start) >> PAGE_SHIFT);
}

/* The page to map, if @env may have frame @nr in a window that is writable, or is not. */
static struct page *window_page(struct exo_env *env, u32 nr, bool write)
{
	u16 need = EXO_RIGHT_READ | EXO_RIGHT_WINDOW | (write ? EXO_RIGHT_WRITE : 0);
	struct exo_frame *frame = exo_frame(nr);
	struct page *page = NULL;
	struct exo_env *owner;
	int rights;

	if (!frame)
		return NULL;
	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (owner) {
		rights = exo_frame_rights_locked(env, nr, frame);
		if (rights >= 0 && (rights & need) == need)
			page = frame->page;
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return page;
}

/*
 * Map what stands around a touched frame, as far as it may be; all of it is in one page table.
 * Errors don't matter: whoever touches those gets a fault of his own.
 */
static void window_around(struct vm_fault *vmf, struct exo_env *env)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long touched = vmf->address & PAGE_MASK;
	unsigned long at = max(touched & ~(AROUND - 1), vma->vm_start);
	unsigned long end = min((touched | (AROUND - 1)) + 1, vma->vm_end);
	struct page *page;

	for (; at < end; at += PAGE_SIZE) {
		if (at == touched)
			continue;
		page = window_page(env, window_frame(vma, at), vma->vm_flags & VM_WRITE);
		if (page)
			vm_insert_page(vma, at, page);
	}
}

static int no_op(pte_t *pte, unsigned long addr, void *data)
{
	return 0;
}

/**
 * exo_map_prepare() - make sure that there is a page table for a fault
 * @vmf: the fault
 *
 * So that nothing is allocated under exo_map_sem: revocation waits for it, and an allocation may
 * wait for revocation.
 *
 * Context: sleeps; in a fault handler, without exo_map_sem.
 * Return: 0 or -ENOMEM.
 */
int exo_map_prepare(struct vm_fault *vmf)
{
	if (!pmd_none(READ_ONCE(*vmf->pmd)))
		return 0;
	return apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK, PAGE_SIZE, no_op,
				   NULL);
}

/*
 * Not everything that the core calls -ENOMEM is one: 7.x frees an empty page table in
 * MADV_DONTNEED, and an insertion finds it gone. So try the access again, as one would after
 * VM_FAULT_OOM, but without its message; a task that dies must not go round for ever.
 */
static vm_fault_t no_table(void)
{
	return fatal_signal_pending(current) ? VM_FAULT_OOM : VM_FAULT_NOPAGE;
}

static vm_fault_t window_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct exo_env *env = vma->vm_file->private_data;
	struct page *page;
	int ret = -EACCES;

	if (exo_map_prepare(vmf))
		return no_table();

	down_read(&exo_map_sem);
	page = window_page(env, window_frame(vma, vmf->address), vma->vm_flags & VM_WRITE);
	if (page)
		ret = vm_insert_page(vma, vmf->address & PAGE_MASK, page);
	if (!ret)
		window_around(vmf, env);
	up_read(&exo_map_sem);

	/* EBUSY: another thread was faster. */
	if (!ret || ret == -EBUSY)
		return VM_FAULT_NOPAGE;
	return ret == -ENOMEM ? no_table() : VM_FAULT_SIGBUS;
}

static struct exo_user *map_user(const struct vm_area_struct *vma)
{
	const struct exo_env *env = vma->vm_file->private_data;

	return env->user;
}

/**
 * exo_map_charge() - one more window, or mapping of the table
 * @env: who maps it
 *
 * How many there are is limited: whoever takes a frame away goes through the windows of those
 * who imported it, and a new block through all that show the table.
 *
 * Context: any.
 * Return: 0, or -EOVERFLOW if the uid has MAPS_MAX.
 */
int exo_map_charge(struct exo_env *env)
{
	if (atomic_inc_return(&env->user->windows) <= MAPS_MAX)
		return 0;
	atomic_dec(&env->user->windows);
	return -EOVERFLOW;
}

/**
 * exo_map_open() - vm_ops->open of what is charged so
 * @vma: of a child, or for the time of a failing mremap()
 *
 * Only 6.1 and 6.12 let madvise(MADV_DOFORK) have them copied, and a copy can't be refused: who
 * makes too many that way is killed, and with that the fork fails.
 */
void exo_map_open(struct vm_area_struct *vma)
{
	int count = atomic_inc_return(&map_user(vma)->windows);

	if (count > MAPS_MAX && vma->vm_mm != current->mm)
		force_sig(SIGKILL);
}

/**
 * exo_map_close() - vm_ops->close of what is charged so
 * @vma: mapping
 */
void exo_map_close(struct vm_area_struct *vma)
{
	atomic_dec(&map_user(vma)->windows);
}

static const struct vm_operations_struct window_vm_ops = {
	EXO_VMA_OPS,
	.open = exo_map_open,
	.close = exo_map_close,
	.fault = window_fault,
};

/**
 * exo_window_mmap() - EXO_MMAP_WINDOW + first frame << 12
 * @env: who maps it
 * @vma: new mapping
 *
 * Which of these frames the environment may have is asked when they are touched.
 *
 * Return: 0; -EINVAL; -EACCES; -EOVERFLOW: the uid has too many.
 */
int exo_window_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_pgoff - (EXO_MMAP_WINDOW >> PAGE_SHIFT);
	int ret;

	if (first >= exo_nr_frames || vma_pages(vma) > exo_nr_frames - first)
		return -EINVAL;
	ret = exo_vma_init(vma, 0, vma->vm_flags & VM_WRITE);
	if (ret)
		return ret;
	ret = exo_map_charge(env);
	if (ret)
		return ret;
	vma->vm_pgoff = window_pgoff(exo_mem(env)->bucket, first);
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &window_vm_ops;
	return 0;
}

/**
 * exo_window_bucket() - where the windows of a new environment will be
 *
 * Nobody is told, so that a stranger can't choose the same.
 *
 * Return: a bucket.
 */
u32 exo_window_bucket(void)
{
	return get_random_u32() >> (32 - BUCKET_BITS);
}

static void unmap_bucket(u32 bucket, u32 first, u32 n)
{
	unmap_mapping_range(exo_mapping, window_pgoff(bucket, first) << PAGE_SHIFT,
			    (u64)n << PAGE_SHIFT, 1);
}

/**
 * exo_window_unmap_own() - unmap numbers from the windows of one environment
 * @env: environment; it has given up the right to them, or doesn't mind
 * @first: first number
 * @n: how many
 *
 * Context: sleeps; no lock that a fault takes may be held.
 */
void exo_window_unmap_own(struct exo_env *env, u32 first, u32 n)
{
	exo_map_barrier();
	unmap_bucket(exo_mem(env)->bucket, first, n);
}

/* Does anything but the pool hold this frame? A page in a window is one reference. */
static bool is_mapped(u32 nr)
{
	return page_count(compound_head(exo_frame(nr)->page)) > 1;
}

/*
 * The next buckets, behind environment *@after, of those who imported a frame; an environment that
 * dies meanwhile has no window any more. Returns how many.
 */
static u32 next_importers(u32 nr, u64 *after, u32 *buckets)
{
	struct exo_mem_env *mem;
	u32 n = 0;

	spin_lock(&exo_mem_envs_lock);
	rcu_read_lock();
	list_for_each_entry(mem, &exo_mem_envs, node) {
		if (n == IMPORTERS)
			break;
		if (mem->env->number <= *after || !xa_load(&mem->grants, nr))
			continue;
		*after = mem->env->number;
		buckets[n++] = mem->bucket;
	}
	rcu_read_unlock();
	spin_unlock(&exo_mem_envs_lock);
	return n;
}

/*
 * Unmap a run of numbers wherever @nr, one of them, may be. Nobody but the owner and who has a
 * grant, good or not, ever had it in a window: a grant goes only after its windows were unmapped.
 */
static void unmap_imported(u32 nr, u32 first, u32 n)
{
	u32 i, count, buckets[IMPORTERS];
	u64 after = 0;

	if (!(exo_frame(nr)->flags & EXO_FRAME_SHARED))
		return;
	while (is_mapped(nr) && (count = next_importers(nr, &after, buckets)))
		for (i = 0; i < count; i++)
			unmap_bucket(buckets[i], first, n);
}

/**
 * exo_window_unmap_frames() - unmap frames from every window
 * @frames: their numbers, of 2 MiB frames the first
 * @n: how many; they have one owner, whose leave_lock is held
 *
 * The caller has seen to it that nobody may map them any more, or doesn't mind who does. When this
 * returns no CPU and no secondary MMU reaches them through a window; pins remain.
 *
 * Context: sleeps; no lock that a fault takes may be held.
 */
void exo_window_unmap_frames(const u32 *frames, u32 n)
{
	u32 i, k, first, span;

	exo_map_barrier();
	for (i = 0; i < n; i = k) {
		k = i + 1;
		first = frames[i];
		if (!is_mapped(first))
			continue;
		span = exo_frame_span(exo_frame(first));
		for (; k < n && frames[k] == first + span; k++)
			span += exo_frame_span(exo_frame(frames[k]));
		unmap_bucket(exo_mem(exo_frame(first)->owner)->bucket, first, span);
		for (; i < k; i++)
			unmap_imported(frames[i], first, span);
	}
}
