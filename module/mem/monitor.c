// SPDX-License-Identifier: GPL-2.0
/*
 * Faults to a monitor thread: an event in the ring, and the faulting thread waits until
 * EXO_MEM_WAKE names its page, or the view is unmapped. Then it tries again.
 *
 * It waits without the lock of the fault, killably.
 */
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>

#include "compat/mm.h"
#include "mem/view.h"

/**
 * struct waiter - a waiting thread, on its stack
 * @node: in view->waiters
 * @page: where
 * @woken: try again
 */
struct waiter {
	struct list_head node;
	u32 page;
	bool woken;
};

/**
 * exo_monitor_wake() - threads that wait at these pages try again
 * @view: the view
 * @page: first page
 * @count: how many
 */
void exo_monitor_wake(struct exo_view *view, u32 page, u32 count)
{
	struct waiter *waiter;

	spin_lock(&view->wait.lock);
	list_for_each_entry(waiter, &view->waiters, node)
		if (waiter->page >= page && waiter->page - page < count)
			WRITE_ONCE(waiter->woken, true);
	wake_up_all_locked(&view->wait);
	spin_unlock(&view->wait.lock);
}

/* The fault may have been answered since it was looked at, before we were on the list. */
static bool is_answered(struct exo_view *view, u32 page, u32 fault)
{
	u64 *slot;
	bool ret;

	mutex_lock(&view->lock);
	slot = exo_view_slot(view, page);
	ret = !view->vma || (slot && *slot &&
			     (!(fault & EXO_FAULT_WRITE) || exo_slot_write(*slot)));
	mutex_unlock(&view->lock);
	return ret;
}

/**
 * exo_monitor_deliver() - let the monitor see to a fault, and wait
 * @view: of the fault
 * @vmf: the fault
 * @page: the page
 * @fault: EXO_FAULT_*
 *
 * Context: fault handler, view unlocked.
 * Return: VM_FAULT_RETRY: the lock was given back, try again; 0: no monitor here, or it can't wait.
 */
vm_fault_t exo_monitor_deliver(struct exo_view *view, struct vm_fault *vmf, u32 page, u32 fault)
{
	struct waiter waiter = { .page = page };
	struct exo_env *env = view->env;

	if (!(view->flags & EXO_VIEW_MONITOR) || !(vmf->flags & FAULT_FLAG_USER) ||
	    !(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return 0;

	/* Without the lock only this keeps the view; the environment may be gone when we wake. */
	kref_get(&view->ref);
	spin_lock(&view->wait.lock);
	list_add_tail(&waiter.node, &view->waiters);
	spin_unlock(&view->wait.lock);
	if (!is_answered(view, page, fault)) {
		exo_event_post_now(env, EXO_EVENT_FAULT, view->number, page, fault,
			       task_pid_nr_ns(current, ns_of_pid(env->opener)));
		release_fault_lock(vmf);
		wait_event_killable(view->wait, READ_ONCE(waiter.woken));
	} else {
		release_fault_lock(vmf);
	}
	spin_lock(&view->wait.lock);
	list_del(&waiter.node);
	spin_unlock(&view->wait.lock);
	exo_view_put(view);
	return VM_FAULT_RETRY;
}

/**
 * exo_mem_wake_op() - EXO_MEM_WAKE
 * @env: caller's
 * @arg: struct exo_mem_wake
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_mem_wake_op(struct exo_env *env, void *arg)
{
	struct exo_mem_wake *wake = arg;
	struct exo_view *view;
	int ret = -EINVAL;

	if (wake->flags || wake->reserved)
		return -EINVAL;
	view = exo_view_get(env, wake->view);
	if (!view)
		return -ENOENT;
	if (exo_range_ok(wake->page, wake->count, view->pages)) {
		exo_monitor_wake(view, wake->page, wake->count);
		ret = 0;
	}
	exo_view_put(view);
	return ret;
}
