// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at grafts, and killing them.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "graft/graft.h"

/* Rows that are collected before they are copied out. */
#define LIST_ROWS 8

static bool is_admin(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
}

/* An own graft, or to CAP_SYS_ADMIN any. */
static struct exo_graft *graft_visible(struct exo_env *env, u32 number)
{
	struct exo_graft *graft = exo_graft_get(env, number);

	if (!graft && is_admin())
		graft = exo_graft_get_any(number);
	return graft;
}

static void fill_info(const struct exo_graft *graft, struct exo_graft_info *info)
{
	u32 cpu, i;

	info->graft = graft->number;
	info->out_hook = graft->prog.hook->id;
	info->out_env = graft->env->number;
	info->out_uid = from_kuid_munged(current_user_ns(), graft->env->user->uid);
	info->out_mode = graft->mode;
	info->out_flags = (graft->prog.mixed ? EXO_GRAFT_IS_MIXED : 0) |
			  (READ_ONCE(graft->stop) & EXO_GRAFT_STOP_KILLED ? EXO_GRAFT_IS_KILLED : 0) |
			  (graft->barriers ? EXO_GRAFT_IS_BARRED : 0);
	info->out_insns = graft->prog.len;
	info->out_lowered = graft->bpf ? graft->lowered : 0;
	info->out_jit_bytes = graft->jit_bytes;
	info->out_const_size = graft->prog.const_size;
	info->out_state_pages = graft->state.nr;
	info->out_attached = atomic_read(&graft->attached);
	info->out_worst = graft->prog.worst;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		const struct exo_graft_window *win = READ_ONCE(graft->windows[cpu]);

		if (!win)
			continue;
		info->out_runs += READ_ONCE(win->runs);
		for (i = 1; i < ARRAY_SIZE(win->aborts); i++)
			info->out_aborts[i] += READ_ONCE(win->aborts[i]);
		info->out_charged = max(info->out_charged, READ_ONCE(win->charged));
	}
	memcpy(info->out_name, graft->name, sizeof(info->out_name));
}

static void clear_info(struct exo_graft_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
}

/**
 * exo_graft_status_op() - EXO_GRAFT_STATUS
 * @env: who asks
 * @arg: struct exo_graft_info
 *
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_graft_status_op(struct exo_env *env, void *arg)
{
	struct exo_graft_info *info = arg;
	struct exo_graft *graft;

	if (info->flags)
		return -EINVAL;
	graft = graft_visible(env, info->graft);
	if (!graft)
		return -ENOENT;
	clear_info(info);
	fill_info(graft, info);
	exo_graft_put(graft);
	return 0;
}

/* The next rows above *@number, which moves on. Returns how many. */
static u32 list_rows(struct exo_env *env, bool all, unsigned long *number,
		     struct exo_graft_info *rows, u32 count)
{
	struct exo_graft *graft;
	u32 n = 0;

	rcu_read_lock();
	while (n < count) {
		graft = xa_find_after(&exo_grafts, number, EXO_GRAFTS_MAX, XA_PRESENT);
		if (!graft)
			break;
		if (!all && graft->env->user != env->user)
			continue;
		clear_info(&rows[n]);
		fill_info(graft, &rows[n++]);
	}
	rcu_read_unlock();
	return n;
}

/**
 * exo_graft_list_op() - EXO_GRAFT_LIST
 * @env: who asks
 * @arg: struct exo_graft_list
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -EFAULT; -ENOMEM; -EINTR.
 */
int exo_graft_list_op(struct exo_env *env, void *arg)
{
	struct exo_graft_list *list = arg;
	struct exo_graft_info *rows;
	unsigned long number = list->start;
	bool all = is_admin();
	int ret = 0;
	u32 n;

	list->out_done = 0;
	if (list->flags)
		return -EINVAL;
	rows = kmalloc_array(LIST_ROWS, sizeof(*rows), GFP_KERNEL);
	if (!rows)
		return -ENOMEM;
	while (list->out_done < list->count && number < EXO_GRAFTS_MAX) {
		n = list_rows(env, all, &number, rows,
			      min_t(u32, list->count - list->out_done, LIST_ROWS));
		if (!n)
			break;
		if (copy_to_user(u64_to_user_ptr(list->rows) + list->out_done * sizeof(*rows), rows,
				 n * sizeof(*rows))) {
			ret = -EFAULT;
			break;
		}
		list->out_done += n;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	kfree(rows);
	return ret;
}

/* The entries from @start on that are still there, oldest first. Returns how many. */
static u32 log_copy(struct exo_graft *graft, u64 start, struct exo_graft_trace *to, u32 count)
{
	u64 seq, end;
	u32 n = 0;

	spin_lock(&graft->log_lock);
	end = graft->log_seq;
	seq = end > EXO_GRAFT_TRACES ? end - EXO_GRAFT_TRACES : 0;
	for (seq = max(seq, start); seq < end && n < count; seq++)
		to[n++] = graft->log[seq % EXO_GRAFT_TRACES];
	spin_unlock(&graft->log_lock);
	return n;
}

/**
 * exo_graft_log_op() - EXO_GRAFT_LOG
 * @env: who loaded it
 * @arg: struct exo_graft_log
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EFAULT; -ENOMEM.
 */
int exo_graft_log_op(struct exo_env *env, void *arg)
{
	struct exo_graft_log *cmd = arg;
	struct exo_graft_trace *entries;
	struct exo_graft *graft;
	int ret = -ENOMEM;
	u32 n;

	cmd->out_done = 0;
	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	graft = exo_graft_get(env, cmd->graft);
	if (!graft)
		return -ENOENT;
	entries = kmalloc_array(EXO_GRAFT_TRACES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		goto out;
	n = graft->log ? log_copy(graft, cmd->start, entries, cmd->count) : 0;
	ret = -EFAULT;
	if (!copy_to_user(u64_to_user_ptr(cmd->entries), entries, n * sizeof(*entries))) {
		cmd->out_done = n;
		ret = 0;
	}
	kfree(entries);
out:
	exo_graft_put(graft);
	return ret;
}

/* Abort what may be running. A run's own subtraction may overwrite it, so it is repeated. */
static void strike(struct exo_graft *graft)
{
	struct exo_graft_window *win;
	u32 cpu;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		win = READ_ONCE(graft->windows[cpu]);
		if (!win)
			continue;
		WRITE_ONCE(win->run.killed, EXO_GRAFT_ABORT_KILLED);
		WRITE_ONCE(win->run.budget, -1);
	}
}

static void strike_for_a_grace_period(struct exo_graft *graft)
{
	unsigned long grace = start_poll_synchronize_rcu();

	while (!poll_state_synchronize_rcu(grace)) {
		strike(graft);
		usleep_range(50, 200);
	}
}

static bool has_paused(const struct exo_graft *graft)
{
	const struct exo_graft_window *win;
	u32 cpu;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		win = READ_ONCE(graft->windows[cpu]);
		if (win && READ_ONCE(win->paused))
			return true;
	}
	return false;
}

/*
 * Whoever did not see graft->stop runs with preemption disabled, which a grace period awaits. Or it has
 * paused: then it sees it when it goes on, and is over a grace period later.
 */
static void kill_runs(struct exo_graft *graft)
{
	strike_for_a_grace_period(graft);
	if (graft->mode != EXO_GRAFT_INTERP)
		return;
	while (has_paused(graft))
		usleep_range(50, 200);
	strike_for_a_grace_period(graft);
}

/**
 * exo_graft_kill_op() - EXO_GRAFT_KILL
 * @env: who loaded it, or anyone with CAP_SYS_ADMIN
 * @arg: struct exo_graft_kill
 *
 * Context: sleeps.
 * Return: 0, also if it was killed before; -EINVAL; -ENOENT.
 */
int exo_graft_kill_op(struct exo_env *env, void *arg)
{
	const struct exo_graft_kill *cmd = arg;
	struct exo_graft *graft;

	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	graft = graft_visible(env, cmd->graft);
	if (!graft)
		return -ENOENT;
	/* The other bit is set under another lock. */
	mutex_lock(&graft->env->graft->lock);
	WRITE_ONCE(graft->stop, graft->stop | EXO_GRAFT_STOP_KILLED);
	mutex_unlock(&graft->env->graft->lock);
	kill_runs(graft);
	exo_graft_put(graft);
	return 0;
}
