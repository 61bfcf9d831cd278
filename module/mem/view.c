// SPDX-License-Identifier: GPL-2.0
/*
 * Views: making and destroying them, how an operation gets hold of one.
 *
 * A view is in exo_view_index (by number, for revocation) and in env->mem->views (for its owner).
 * It leaves both when it dies, and that needs it unmapped; so a view that is mapped is alive, and
 * so is its environment (the VMA holds the file).
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <linux/vmalloc.h>

#include "compat/mm.h"
#include "compat/mmap_lock.h"
#include "core/stlb.h"
#include "mem/graft.h"
#include "mem/view.h"

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
	rcu_read_lock_sched();
	view = READ_ONCE(env->mem->view_hints[number % EXO_VIEW_HINTS]);
	if (view && (view->number != number || READ_ONCE(view->mm) != mm ||
		     !READ_ONCE(view->vma)))
		view = NULL;
	rcu_read_unlock_sched();
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
	/* The attempt is cheaper than the killable lock, also where that doesn't wait. */
	if (!likely(mmap_read_trylock(mm)) && mmap_read_lock_killable(mm))
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
	exo_fault_graft_drop(view);
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
