// SPDX-License-Identifier: GPL-2.0
/*
 * Views: making and destroying them, their mappings, how an operation gets hold of one.
 *
 * A view is in exo_view_index (by number, for revocation) and in env->mem->views (for its owner).
 * It leaves both when it dies, and that needs it unmapped; so a view that is mapped is alive, and
 * so is its environment (the VMA holds the file).
 *
 * The VMA is VM_IO as well as VM_PFNMAP: MADV_DOFORK would otherwise undo VM_DONTCOPY. It is
 * VM_WRITE, and each PTE has its own rights; pfn_mkwrite keeps the core from raising them. 6.12's
 * userfaultfd write-protects any mapping, with markers in place of PTEs: while it is registered
 * for a view no operation and no fault is served.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <linux/vmalloc.h>

#include "compat/mm.h"
#include "compat/mmap_lock.h"
#include "core/stlb.h"
#include "mem/view.h"
#include "vma.h"

/* Every live view, by number. */
static DEFINE_XARRAY(exo_view_index);
static DEFINE_IDA(exo_view_numbers);

/*
 * New views start to count here: above whatever a view with the same number has left in frames.
 * Under the index's lock.
 */
static u64 seq_base;

static void view_free(struct kref *ref)
{
	struct exo_view *view = container_of(ref, struct exo_view, ref);
	u32 i;

	for (i = 0; i < exo_view_nr_chunks(view); i++)
		free_page((unsigned long)view->chunks[i]);
	kvfree(view->chunks);
	kvfree(view->regions);
	vfree(view->stlb);
	kfree_rcu(view, rcu);
}

/**
 * exo_view_put() - give back a reference
 * @view: the view
 *
 * Context: may sleep.
 */
void exo_view_put(struct exo_view *view)
{
	kref_put(&view->ref, view_free);
}

/**
 * exo_view_get() - a view of this environment
 * @env: the environment
 * @number: from user space
 *
 * Return: the view with a reference, or NULL.
 */
struct exo_view *exo_view_get(struct exo_env *env, u32 number)
{
	struct exo_view *view;

	rcu_read_lock();
	view = xa_load(&env->mem->views, number);
	if (view && !kref_get_unless_zero(&view->ref))
		view = NULL;
	rcu_read_unlock();
	return view;
}

/**
 * exo_view_peek() - a view by its number, whosever it is
 * @number: from a frame's record
 *
 * Context: under rcu_read_lock(), which is how long the view's memory is there for sure.
 * Return: the view, or NULL if it is dead.
 */
struct exo_view *exo_view_peek(u32 number)
{
	return xa_load(&exo_view_index, number);
}

/* A view of this environment that is mapped there. The mmap lock is held, and keeps it. */
static struct exo_view *view_at(struct exo_env *env, u32 number, unsigned long start)
{
	struct vm_area_struct *vma = vma_lookup(current->mm, start);
	struct exo_view *view;

	if (unlikely(!vma || vma->vm_ops != &exo_view_vm_ops))
		return NULL;
	view = vma->vm_private_data;
	if (unlikely(view->number != number || view->env != env))
		return NULL;
	return view;
}

/*
 * The same without a look at the tree of VMAs. view->vma is what ->mmap set and ->close will
 * clear. In between, a munmap that has detached the VMA holds the mmap lock, if only for reading,
 * until after ->close. So if nobody else holds it, the VMA is attached; and then it holds the
 * view.
 */
static struct exo_view *view_hinted(struct exo_env *env, u32 number)
{
	struct mm_struct *mm = current->mm;
	struct exo_view *view;

	if (!exo_mmap_lock_is_mine(mm))
		return NULL;
	rcu_read_lock();
	view = READ_ONCE(env->mem->view_hints[number % EXO_VIEW_HINTS]);
	if (view && (view->number != number || READ_ONCE(view->mm) != mm ||
		     !READ_ONCE(view->vma)))
		view = NULL;
	rcu_read_unlock();
	return view;
}

/* The general way. */
static noinline int view_search(struct exo_env *env, u32 number, struct exo_view **out_view)
{
	struct exo_view *view = exo_view_get(env, number);
	unsigned long start;

	if (!view)
		return -ENOENT;
	start = READ_ONCE(view->start);
	exo_view_put(view);
	*out_view = view_at(env, number, start);
	return *out_view ? 0 : -EACCES;
}

/**
 * exo_view_enter() - begin an operation on a view that this process has mapped
 * @env: the environment
 * @number: from user space
 * @out_view: the view, until exo_view_leave()
 *
 * Each time it is made sure that the VMA is attached: a munmap that has begun has detached it,
 * but calls ->close only at its end. While the mmap lock is held nothing can detach it, and it
 * holds the view.
 *
 * Context: sleeps. Locks the mmap lock for reading and the view.
 * Return: 0; -ENOENT; -EACCES: not mapped in this process; -EINTR.
 */
int exo_view_enter(struct exo_env *env, u32 number, struct exo_view **out_view)
{
	struct mm_struct *mm = current->mm;
	struct exo_view *view;
	int ret;

	if (unlikely(!mm))
		return -EACCES;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	view = view_hinted(env, number);
	if (unlikely(!view)) {
		ret = view_search(env, number, &view);
		if (ret) {
			mmap_read_unlock(mm);
			return ret;
		}
	}
	if (unlikely(userfaultfd_wp(view->vma))) {
		mmap_read_unlock(mm);
		return -EACCES;
	}
	mutex_lock(&view->lock);
	*out_view = view;
	return 0;
}

/**
 * exo_view_leave() - end what exo_view_enter() began
 * @view: the view; not to be used any more without a reference
 */
void exo_view_leave(struct exo_view *view)
{
	mutex_unlock(&view->lock);
	mmap_read_unlock(current->mm);
}

/* Birth and death --------------------------------------------------------------------------- */

static struct exo_view *view_alloc(const struct exo_mem_view_create *arg)
{
	struct exo_view *view = kzalloc(sizeof(*view), GFP_KERNEL_ACCOUNT);

	if (!view)
		return NULL;
	kref_init(&view->ref);
	mutex_init(&view->lock);
	init_waitqueue_head(&view->wait);
	INIT_LIST_HEAD(&view->waiters);
	view->pages = arg->pages;
	view->flags = arg->flags;
	view->stlb_entries = arg->stlb;
	/* One more than fit exactly: the start need not be aligned. */
	view->nr_regions = roundup_pow_of_two(DIV_ROUND_UP(arg->pages, PTRS_PER_PTE) + 1);
	view->region_mask = view->nr_regions - 1;
	view->chunks = kvcalloc(exo_view_nr_chunks(view), sizeof(*view->chunks),
				GFP_KERNEL_ACCOUNT);
	view->regions = kvcalloc(view->nr_regions, sizeof(*view->regions), GFP_KERNEL_ACCOUNT);
	if (!view->chunks || !view->regions)
		goto err_free;
	if (arg->stlb) {
		view->stlb = __vmalloc(arg->stlb * sizeof(u64),
				       GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
		if (!view->stlb)
			goto err_free;
	}
	return view;

err_free:
	kvfree(view->regions);
	kvfree(view->chunks);
	kfree(view);
	return NULL;
}

/* Give it a number and show it to everybody. */
static int view_publish(struct exo_env *env, struct exo_view *view)
{
	int ret;

	ret = ida_alloc_range(&exo_view_numbers, 1, EXO_VIEWS_MAX, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		return ret == -ENOSPC ? -EOVERFLOW : ret;
	view->number = ret;
	view->env = env;

	xa_lock(&exo_view_index);
	view->seq = seq_base;
	view->flushed = seq_base;
	ret = xa_err(__xa_store(&exo_view_index, view->number, view, GFP_KERNEL_ACCOUNT));
	xa_unlock(&exo_view_index);
	if (ret)
		goto err_number;
	ret = xa_err(xa_store(&env->mem->views, view->number, view, GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err_index;
	return 0;

err_index:
	xa_erase(&exo_view_index, view->number);
err_number:
	ida_free(&exo_view_numbers, view->number);
	return ret;
}

/**
 * exo_mem_view_create_op() - EXO_MEM_VIEW_CREATE
 * @env: caller's
 * @arg: struct exo_mem_view_create
 *
 * Context: sleeps.
 * Return: 0 or an error; then nothing is left.
 */
int exo_mem_view_create_op(struct exo_env *env, void *arg)
{
	struct exo_mem_view_create *create = arg;
	struct exo_view *view;
	int ret;

	if ((create->flags & ~(EXO_VIEW_LAZY | EXO_VIEW_MONITOR)) || create->reserved)
		return -EINVAL;
	if (!create->pages || create->pages > EXO_VIEW_MAX_PAGES ||
	    !exo_stlb_size_ok(create->stlb))
		return -EINVAL;

	ret = exo_user_charge_view(env->user);
	if (ret)
		return ret;
	ret = -ENOMEM;
	view = view_alloc(create);
	if (!view)
		goto err_charge;
	ret = view_publish(env, view);
	if (ret)
		goto err_view;

	create->out_view = view->number;
	create->out_offset = exo_view_offset(view);
	/* Behind the pages: an address without a page table, see exo_view_flush(). */
	create->out_length = ((u64)view->pages << PAGE_SHIFT) + PMD_SIZE;
	return 0;

err_view:
	exo_view_put(view);
err_charge:
	exo_user_uncharge_view(env->user);
	return ret;
}

/* Take a view out of the index. -EBUSY while it is mapped, -ENOENT if somebody else was faster. */
static int view_kill(struct exo_view *view)
{
	struct exo_env *env = view->env;

	mutex_lock(&view->lock);
	if (view->vma || view->dead) {
		mutex_unlock(&view->lock);
		return view->vma ? -EBUSY : -ENOENT;
	}
	view->dead = true;
	cmpxchg(&env->mem->view_hints[view->number % EXO_VIEW_HINTS], view, NULL);
	xa_erase(&env->mem->views, view->number);
	xa_lock(&exo_view_index);
	seq_base = max(seq_base, view->seq);
	__xa_erase(&exo_view_index, view->number);
	xa_unlock(&exo_view_index);
	ida_free(&exo_view_numbers, view->number);
	mutex_unlock(&view->lock);

	exo_user_uncharge_view(env->user);
	exo_view_put(view);
	return 0;
}

/**
 * exo_mem_view_destroy_op() - EXO_MEM_VIEW_DESTROY
 * @env: caller's
 * @arg: struct exo_mem_view
 *
 * Context: sleeps.
 * Return: 0; -ENOENT; -EBUSY while it is mapped.
 */
int exo_mem_view_destroy_op(struct exo_env *env, void *arg)
{
	struct exo_mem_view *destroy = arg;
	struct exo_view *view;
	int ret;

	if (destroy->flags || destroy->reserved)
		return -EINVAL;
	view = exo_view_get(env, destroy->view);
	if (!view)
		return -ENOENT;
	ret = view_kill(view);
	exo_view_put(view);
	return ret;
}

/* Mappings ---------------------------------------------------------------------------------- */

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

/* The noun ---------------------------------------------------------------------------------- */

/**
 * exo_views_init() - module load
 *
 * Return: 0; -EOPNOTSUPP in a Xen PV guest, whose page tables are not plain memory.
 */
int exo_views_init(void)
{
	if (boot_cpu_has(X86_FEATURE_XENPV))
		return -EOPNOTSUPP;
	exo_slots_init();
	exo_mmap_lock_init();
	return 0;
}

/**
 * exo_views_exit() - module unload; no environment is left
 *
 * Context: sleeps.
 */
void exo_views_exit(void)
{
	WARN_ON(!xa_empty(&exo_view_index));
	xa_destroy(&exo_view_index);
	ida_destroy(&exo_view_numbers);
}

/**
 * exo_views_env_init() - a new environment has no view and no upcall
 * @env: with env->mem
 *
 * Return: 0.
 */
int exo_views_env_init(struct exo_env *env)
{
	env->mem->upcalls = NULL;
	return 0;
}

/**
 * exo_views_env_exit() - views and upcalls of a dying environment go
 * @env: nothing of it is mapped, and no request of it runs
 *
 * Context: sleeps.
 */
void exo_views_env_exit(struct exo_env *env)
{
	struct exo_view *view;
	unsigned long number;

	xa_for_each(&env->mem->views, number, view)
		WARN_ON(view_kill(view));
	exo_upcalls_free(env);
}

/**
 * exo_views_features() - what views can do on this kernel and machine
 *
 * Return: EXO_FEATURE_*.
 */
u64 exo_views_features(void)
{
	u64 features = EXO_FEATURE_UPCALL | EXO_FEATURE_STLB | EXO_FEATURE_LAZY |
		       EXO_FEATURE_MONITOR;

	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && boot_cpu_has(X86_FEATURE_PSE))
		features |= EXO_FEATURE_HUGE;
	return features;
}

/**
 * exo_views_fill_status() - the part of the status that is about views
 * @env: the environment
 * @st: to fill in
 */
void exo_views_fill_status(struct exo_env *env, struct exo_env_status *st)
{
	struct exo_view *view;
	unsigned long number;

	rcu_read_lock();
	xa_for_each(&env->mem->views, number, view)
		st->out_views++;
	rcu_read_unlock();
	st->out_bound = atomic64_read(&env->mem->nr_bound);
}
