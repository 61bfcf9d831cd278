// SPDX-License-Identifier: GPL-2.0
/*
 * What mem keeps per environment, from open to death, and what it says about it.
 */
#include <linux/capability.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "dev.h"
#include "mem/fail.h"
#include "mem/pool.h"

LIST_HEAD(exo_mem_envs);
DEFINE_SPINLOCK(exo_mem_envs_lock);
struct workqueue_struct *exo_mem_wq;

/*
 * So many log entries more than are needed an environment keeps: who gives frames back and takes
 * others does not allocate each time.
 */
#define SPARES_KEPT 8

/* Rows of EXO_MEM_QUERY that are collected before they are copied out. */
#define QUERY_ROWS 16

static int spares_alloc(struct exo_mem_env *mem, u32 n)
{
	struct exo_log_entry *entry;
	LIST_HEAD(entries);
	u32 i;

	for (i = 0; i < n; i++) {
		entry = exo_log_entry_alloc();
		if (!entry) {
			exo_log_entries_free(&entries);
			return -ENOMEM;
		}
		list_add(&entry->node, &entries);
		if (i % EXO_BLOCK_FRAMES == EXO_BLOCK_FRAMES - 1)
			cond_resched();
	}
	spin_lock(&mem->revoke_lock);
	list_splice(&entries, &mem->spare);
	mem->nr_spare += n;
	mem->nr_need += n;
	spin_unlock(&mem->revoke_lock);
	return 0;
}

/**
 * exo_spares_add() - set log entries aside
 * @mem: environment
 * @n: how many more there must be
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int exo_spares_add(struct exo_mem_env *mem, u32 n)
{
	bool there;

	spin_lock(&mem->revoke_lock);
	there = mem->nr_spare >= mem->nr_need + n;
	if (there)
		mem->nr_need += n;
	spin_unlock(&mem->revoke_lock);
	return there ? 0 : spares_alloc(mem, n);
}

/**
 * exo_spares_drop() - fewer log entries are needed; those that were not written are freed, but for
 * a few
 * @mem: environment
 * @n: how many fewer
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_spares_drop(struct exo_mem_env *mem, u32 n)
{
	LIST_HEAD(entries);

	spin_lock(&mem->revoke_lock);
	mem->nr_need -= n;
	while (mem->nr_spare > mem->nr_need + SPARES_KEPT) {
		list_move(mem->spare.next, &entries);
		mem->nr_spare--;
	}
	spin_unlock(&mem->revoke_lock);
	exo_log_entries_free(&entries);
}

/**
 * exo_binding_alloc() - a binding beyond a frame's first
 * @env: in whose view it will be
 *
 * Context: may sleep.
 * Return: the binding, with room in the log set aside, or NULL without memory.
 */
struct exo_binding *exo_binding_alloc(struct exo_env *env)
{
	struct exo_binding *binding = kmalloc(sizeof(*binding), GFP_KERNEL_ACCOUNT);

	if (binding && exo_spares_add(exo_mem(env), 1)) {
		kfree(binding);
		return NULL;
	}
	return binding;
}

/**
 * exo_binding_free() - undo exo_binding_alloc()
 * @env: the same
 * @binding: in no list any more, or NULL
 *
 * Context: any but interrupts; takes revoke_lock, a leaf.
 */
void exo_binding_free(struct exo_env *env, struct exo_binding *binding)
{
	if (!binding)
		return;
	exo_spares_drop(exo_mem(env), 1);
	kfree(binding);
}

/**
 * exo_frames_env_init() - a new environment
 * @env: not yet visible
 *
 * Return: 0 or -ENOMEM.
 */
int exo_frames_env_init(struct exo_env *env)
{
	struct exo_mem_env *mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);
	struct exo_mem_env *prev;

	if (!mem)
		return -ENOMEM;
	mem->env = env;
	mem->bucket = exo_window_bucket();
	mutex_init(&mem->leave_lock);
	mutex_init(&mem->share_lock);
	spin_lock_init(&mem->frames_lock);
	spin_lock_init(&mem->revoke_lock);
	INIT_LIST_HEAD(&mem->held);
	INIT_LIST_HEAD(&mem->spare);
	INIT_LIST_HEAD(&mem->log);
	xa_init(&mem->grants);
	xa_init(&mem->views);
	exo_revoke_env_init(mem);
	env->mem = mem;

	spin_lock(&exo_mem_envs_lock);
	/* Two opens may get here in another order than they got their numbers. */
	list_for_each_entry_reverse(prev, &exo_mem_envs, node)
		if (prev->env->number < env->number)
			break;
	list_add(&mem->node, &prev->node);
	spin_unlock(&exo_mem_envs_lock);
	return 0;
}

/* Up to EXO_FRAME_BATCH of the frames that are left. Returns how many. */
static u32 give_up_some(struct exo_mem_env *mem, u32 *frames)
{
	struct exo_frame *frame;
	u32 n = 0;

	spin_lock(&mem->frames_lock);
	while (n < EXO_FRAME_BATCH && !list_empty(&mem->held)) {
		frame = list_first_entry(&mem->held, struct exo_frame, held);
		exo_frame_give_up_locked(mem, frame);
		frames[n++] = frame->nr;
	}
	spin_unlock(&mem->frames_lock);
	return n;
}

/**
 * exo_frames_env_exit() - an environment dies: give back every frame
 * @env: dead; no mapping and no request of it is left, and no view
 *
 * Context: sleeps.
 */
void exo_frames_env_exit(struct exo_env *env)
{
	struct exo_mem_env *mem = exo_mem(env);
	u32 n, frames[EXO_FRAME_BATCH];

	spin_lock(&exo_mem_envs_lock);
	list_del_init(&mem->node);
	spin_unlock(&exo_mem_envs_lock);

	exo_revoke_env_stop(mem);
	mutex_lock(&mem->leave_lock);
	exo_revoke_env_exit(mem);
	while ((n = give_up_some(mem, frames))) {
		exo_frames_unmap(frames, n, NULL, NULL, NULL);
		exo_held_drop(mem, exo_frames_leave(mem, frames, n));
		cond_resched();
	}
	mutex_unlock(&mem->leave_lock);

	exo_share_env_exit(mem);
	exo_log_entries_free(&mem->log);
	exo_log_entries_free(&mem->spare);
	WARN_ON_ONCE(mem->nr_held || mem->nr_need || atomic64_read(&mem->nr_bound));
}

/**
 * exo_frames_env_free() - free what is only memory
 * @env: nobody has a reference
 */
void exo_frames_env_free(struct exo_env *env)
{
	kfree(env->mem);
	env->mem = NULL;
}

/**
 * exo_mem_fill_status() - the mem part of an environment's status
 * @env: alive, or the caller holds a reference
 * @st: to fill in
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_mem_fill_status(struct exo_env *env, struct exo_env_status *st)
{
	struct exo_mem_env *mem = exo_mem(env);

	st->out_quarantined = atomic_read(&mem->nr_quarantined);
	st->out_bound = atomic64_read(&mem->nr_bound);
	spin_lock(&mem->revoke_lock);
	st->out_frames = READ_ONCE(mem->nr_held);
	st->out_wanted = mem->asks.total;
	st->out_deadline_ns = exo_asks_deadline(&mem->asks);
	st->out_asked = mem->asked;
	st->out_given = mem->given;
	st->out_taken = mem->taken;
	st->out_log = mem->nr_log;
	spin_unlock(&mem->revoke_lock);
	exo_views_fill_status(env, st);
}

static u32 count_bindings(const struct exo_frame *frame)
{
	return (frame->bpage != EXO_NO_PAGE) + frame->nr_more;
}

static void fill_info(struct exo_env *env, u32 nr, bool admin, struct exo_frame_info *info)
{
	struct exo_frame *frame = exo_frame(nr);
	struct exo_env *owner;
	struct page *page;
	int rights;

	*info = (struct exo_frame_info) { .frame = nr };
	if (!frame)
		return;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (owner) {
		rights = exo_frame_rights_locked(env, nr, frame);
		if (rights > 0)
			info->rights = rights;
		if (owner == env) {
			info->hold = EXO_HOLD_OWNER;
			info->bindings = count_bindings(frame);
		} else if (rights > 0) {
			info->hold = EXO_HOLD_IMPORT;
		}
		if (owner->user == env->user)
			info->hold |= EXO_HOLD_UID;
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();

	if (exo_frame_quarantined(nr, admin ? NULL : env->user))
		info->hold |= EXO_HOLD_QUARANTINE;
	page = READ_ONCE(frame->page);
	if (admin && page)
		info->pfn = page_to_pfn(page);
}

/**
 * exo_mem_query_op() - EXO_MEM_QUERY
 * @env: who asks
 * @arg: struct exo_mem_query
 *
 * Return: 0, -EINVAL, -EFAULT or -EINTR.
 */
int exo_mem_query_op(struct exo_env *env, void *arg)
{
	struct exo_mem_query *cmd = arg;
	struct exo_frame_info __user *user = u64_to_user_ptr(cmd->infos);
	bool admin = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
	struct exo_frame_info rows[QUERY_ROWS];
	u32 i, n;

	cmd->out_done = 0;
	if (cmd->flags || cmd->reserved || cmd->count > EXO_BATCH_MAX_PAGES ||
	    cmd->frame > exo_nr_frames || cmd->count > exo_nr_frames - cmd->frame)
		return -EINVAL;
	while (cmd->out_done < cmd->count) {
		n = min_t(u32, cmd->count - cmd->out_done, QUERY_ROWS);
		for (i = 0; i < n; i++)
			fill_info(env, cmd->frame + cmd->out_done + i, admin, &rows[i]);
		if (copy_to_user(user + cmd->out_done, rows, n * sizeof(*rows)))
			return -EFAULT;
		cmd->out_done += n;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * exo_frames_init() - at module load
 *
 * Return: 0 or an error.
 */
int exo_frames_init(void)
{
	int ret;

	exo_mem_wq = alloc_workqueue("exo_mem", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!exo_mem_wq)
		return -ENOMEM;
	ret = exo_log_init();
	if (ret)
		goto err_wq;
	ret = exo_revoke_init();
	if (ret)
		goto err_log;
	ret = exo_pool_init();
	if (ret)
		goto err_revoke;
	ret = exo_shrink_init();
	if (ret)
		goto err_pool;
	exo_frame_cap_init();
	exo_fail_init();
	return 0;

err_pool:
	exo_pool_exit();
err_revoke:
	exo_revoke_exit();
err_log:
	exo_log_exit();
err_wq:
	destroy_workqueue(exo_mem_wq);
	return ret;
}

/**
 * exo_frames_exit() - at unload, when no environment is left
 */
void exo_frames_exit(void)
{
	exo_fail_exit();
	exo_shrink_exit();
	exo_revoke_exit();
	exo_leave_exit();
	exo_pool_exit();
	/* Grants are freed by RCU. */
	rcu_barrier();
	exo_log_exit();
	destroy_workqueue(exo_mem_wq);
}
