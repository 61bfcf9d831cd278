// SPDX-License-Identifier: GPL-2.0
/*
 * Invocations. Preemption is disabled from the check that the graft may still run to the end of
 * the transaction: a grace period waits for all of that, and nobody that holds a graft lock sleeps.
 * What is interpreted may pause (helper_pause()).
 *
 * A run that is aborted leaves nothing (INV-GRAFT-32): its context and data are thrown away, the
 * state that it logged is restored, what it staged never happens.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/thread_info.h>
#include <linux/uaccess.h>

#include <asm/msr.h>
#include <asm/tsc.h>

#include "graft/graft.h"
#include "trace.h"

/* An environment hears of at most ten aborts a second of one graft. */
#define TELL_INTERVAL (HZ / 10)

/* At the latest after so many repetitions others may have the processor, and RCU is told. */
#define RESCHED_RUNS 64

/* Somebody waits for the processor, or there is a signal: in one word, because each repetition looks. */
#define WANTED (_TIF_NEED_RESCHED | _TIF_SIGPENDING)

/* The context of the hooks that EXO_GRAFT_RUN runs: [data, data_end,] arg[4], out[4]. */
#define NR_ARGS 4

static u64 *ctx_args(const struct exo_graft_window *win)
{
	u64 *ctx = win->ctx;

	return win->graft->prog.hook->data_cap ? ctx + 2 : ctx;
}

/**
 * exo_graft_set_data() - say how long the data is
 * @win: claimed; a hook without data has none
 * @size: bytes, at most the hook's data_cap
 */
void exo_graft_set_data(struct exo_graft_window *win, u32 size)
{
	const struct exo_graft *graft = win->graft;
	u64 *ctx = win->ctx;

	win->run.read_hi = graft->layout.read_hi;
	win->run.write_hi = graft->layout.write_hi;
	if (!graft->prog.hook->data_cap)
		return;
	ctx[0] = win->data_at;
	ctx[1] = win->data_at + size;
	win->run.read_hi = win->data_at + size;
	if (graft->prog.hook->flags & EXO_HOOK_DATA_WRITABLE)
		win->run.write_hi = win->run.read_hi;
}

/* What a graft may write to begins as zeros: four words of results, mostly. */
static __always_inline void clear(const struct exo_graft_window *win)
{
	u64 *at = win->clear;

	if (likely(win->nr_clear == 4)) {
		at[0] = 0;
		at[1] = 0;
		at[2] = 0;
		at[3] = 0;
	} else if (win->nr_clear) {
		memset(at, 0, win->nr_clear * sizeof(*at));
	}
}

/* The run itself; @budget is what is left after the entry was charged. Returns its result. */
static __always_inline u32 run(const struct exo_graft *graft, struct exo_graft_window *win,
			       s64 budget)
{
	clear(win);
	win->run.budget = budget;
	win->run.status = EXO_GRAFT_OK;
	win->run.killed = 0;
	/* Machine code has its instructions in it. */
	return graft->func(win->run.ctx, NULL);
}

/**
 * exo_graft_interpreted() - what stands in for the machine code of a graft that has none
 * @ctx: of its record
 * @insn: ignored
 *
 * Return: the result.
 */
unsigned int exo_graft_interpreted(const void *ctx, const struct bpf_insn *insn)
{
	struct exo_graft_run *run = (void *)ctx - sizeof(*run);
	const struct exo_graft_window *win = run->priv;

	return exo_graft_interpret(&win->graft->prog, &win->graft->layout, exo_graft_helpers, run);
}

/*
 * How it ended. Who was killed learns of it at a charge, and it depends on who killed. When a run was struck while
 * it began, it has lost that word, though not its empty budget; that its graft was killed is known still.
 */
static __always_inline u32 status_of(const struct exo_graft_window *win)
{
	u32 status = READ_ONCE(win->run.status);

	if (likely(!status))
		return EXO_GRAFT_OK;
	if (status == EXO_GRAFT_ABORT_BUDGET || status == EXO_GRAFT_ABORT_KILLED)
		return READ_ONCE(win->run.killed) ?:
		       (READ_ONCE(win->graft->stop) & EXO_GRAFT_STOP_KILLED ? EXO_GRAFT_ABORT_KILLED : status);
	return status;
}

static __always_inline void count(struct exo_graft_window *win, u32 runs, u32 status, u64 charged)
{
	win->runs += runs;
	if (unlikely(status))
		win->aborts[min_t(u32, status, EXO_GRAFT_ABORT_HELPER)]++;
	if (charged > win->charged)
		win->charged = charged;
}

/* What a run charged: of a proof without a budget only its entry is known. */
static __always_inline u64 charged(const struct exo_graft *graft, const struct exo_graft_window *win)
{
	s64 left = max_t(s64, READ_ONCE(win->run.budget), 0);

	return graft->prog.hook->budget - left;
}

/* An invocation without a transaction: a function of its input. The caller counts it. */
static __always_inline u32 run_pure(const struct exo_graft *graft, struct exo_graft_window *win,
				    u32 *result)
{
	u32 status;

	preempt_disable();
	if (unlikely(READ_ONCE(graft->stop))) {
		preempt_enable();
		return EXO_GRAFT_NOT_RUN;
	}
	*result = run(graft, win, graft->budget);
	status = status_of(win);
	preempt_enable();
	return status;
}

/**
 * exo_graft_run() - one invocation, with its transaction
 * @win: claimed, with its context and @env; of a hook with transactions
 * @commit: called when the run went well and has staged effects: makes all of them happen or none,
 *	and then the invocation is aborted. Doesn't sleep. NULL: nothing can be staged
 * @result: the graft's, if it was not aborted
 *
 * Context: may be preempted. Disables preemption meanwhile.
 * Return: enum exo_graft_status; EXO_GRAFT_NOT_RUN if it was stopped.
 */
u32 exo_graft_run(struct exo_graft_window *win, exo_graft_commit_fn commit, u32 *result)
{
	struct exo_graft *graft = win->graft;
	struct exo_txn *txn = win->own_txn;
	u32 status, locks;

	preempt_disable();
	if (unlikely(READ_ONCE(graft->stop))) {
		preempt_enable();
		return EXO_GRAFT_NOT_RUN;
	}
	win->txn = txn;
	txn->nr_staged = 0;
	exo_txn_begin(txn);
	*result = run(graft, win, graft->budget);
	status = status_of(win);
	if (unlikely(!status && txn->nr_staged && commit(win)))
		status = EXO_GRAFT_ABORT_HELPER;
	locks = likely(!status) ? exo_txn_commit(txn) : exo_txn_abort(txn);
	if (unlikely(locks))
		exo_graft_unlock(graft->env->graft, locks);
	preempt_enable();
	count(win, 1, status, charged(graft, win));
	return status;
}

/* The callee has a level of the transaction of its own, and the budget that the caller has left. */
static u32 run_inner(struct exo_graft_window *win, struct exo_graft_window *outer)
{
	struct exo_graft *graft = win->graft;
	struct exo_txn *txn = outer->txn;
	u32 result, status, locks;
	s64 first = READ_ONCE(outer->run.budget), budget = first - graft->prog.len;

	if (budget < 0 || exo_txn_begin(txn))
		return EXO_GRAFT_NOT_RUN;
	win->txn = txn;
	win->outer = outer;
	WRITE_ONCE(outer->inner, win);
	result = run(graft, win, budget);
	status = status_of(win);
	WRITE_ONCE(outer->inner, NULL);
	locks = status ? exo_txn_abort(txn) : exo_txn_commit(txn);
	if (locks)
		exo_graft_unlock(graft->env->graft, locks);
	/* A caller that was killed stays so. */
	budget = max_t(s64, READ_ONCE(win->run.budget), 0);
	if (!READ_ONCE(outer->run.killed))
		WRITE_ONCE(outer->run.budget, budget);
	win->outer = NULL;
	count(win, 1, status, first - budget);
	return status ? EXO_GRAFT_NOT_RUN : result;
}

/**
 * exo_graft_run_nested() - an invocation inside another one's transaction
 * @outer: the caller's window
 * @graft: of the same environment and of hook txn
 * @arg: arg[0]
 *
 * Context: inside an invocation.
 * Return: the result, or EXO_GRAFT_NOT_RUN if it was not run, or was aborted.
 */
u32 exo_graft_run_nested(struct exo_graft_window *outer, struct exo_graft *graft, u64 arg)
{
	struct exo_graft_window *win;
	u32 i, result;

	if (READ_ONCE(graft->stop))
		return EXO_GRAFT_NOT_RUN;
	win = exo_graft_claim_nested(graft);
	if (!win)
		return EXO_GRAFT_NOT_RUN;
	win->env = outer->env;
	for (i = 0; i < NR_ARGS; i++)
		ctx_args(win)[i] = i ? 0 : arg;
	result = run_inner(win, outer);
	exo_graft_release(win);
	return result;
}

/**
 * exo_graft_report() - an invocation was aborted: tell who loaded the graft, now and then
 * @graft: graft
 * @status: enum exo_graft_status
 *
 * Context: not in interrupts. Never a message in the kernel's log: who runs grafts that are aborted
 * would fill it.
 */
void exo_graft_report(struct exo_graft *graft, u32 status)
{
	unsigned long told = READ_ONCE(graft->told);
	u64 aborts = 0;
	u32 cpu, i;

	trace_exo_graft_abort(graft->env->number, graft->number, status);
	if (time_before(jiffies, told + TELL_INTERVAL) ||
	    cmpxchg(&graft->told, told, jiffies) != told)
		return;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		const struct exo_graft_window *win = READ_ONCE(graft->windows[cpu]);

		for (i = 1; win && i < ARRAY_SIZE(win->aborts); i++)
			aborts += READ_ONCE(win->aborts[i]);
	}
	exo_event_post(graft->env, EXO_EVENT_GRAFT_ABORT, graft->number, status, aborts, 0);
}

/* EXO_GRAFT_RUN ----------------------------------------------------------------------------- */

/* Does somebody wait for the processor, or a signal for this task? */
static __always_inline bool is_wanted(void)
{
	return read_thread_flags() & WANTED;
}

/*
 * Between two runs, of which @left are left: should this go on? One may have taken its whole budget with
 * preemption disabled, and enabling it doesn't reschedule on most kernels: so whoever waits for the
 * processor, or has a signal for this task, is heard after each.
 */
static __always_inline bool go_on(u32 left)
{
	if (likely(left % RESCHED_RUNS && !is_wanted()))
		return true;
	cond_resched();
	return !fatal_signal_pending(current);
}

/* At most @left runs; how many are left is returned. */
static u32 repeat_pure(struct exo_graft_window *win, u32 left, u32 *status, u32 *result)
{
	const struct exo_graft *graft = win->graft;
	u32 n, how, value = 0;

	/* In portions, so that what go_on() does of itself now and then is not asked for after each. */
	do {
		n = min_t(u32, left, RESCHED_RUNS);
		left -= n;
		do {
			how = run_pure(graft, win, &value);
			if (unlikely(how))
				break;
		} while (--n && likely(!is_wanted()));
		left += n;
	} while (!how && left && go_on(0));
	*status = how;
	*result = value;
	return left;
}

/* The same; each is a transaction of its own. */
static u32 repeat_txn(struct exo_graft_window *win, u32 left, u32 *status, u32 *result)
{
	do {
		*status = exo_graft_run(win, NULL, result);
		if (unlikely(*status))
			break;
		left--;
	} while (left && go_on(left));
	return left;
}

/* The runs, and how long they took. */
static void repeat(struct exo_graft_window *win, struct exo_graft_invoke *cmd)
{
	const struct exo_graft *graft = win->graft;
	bool txn = exo_graft_has_txn(graft);
	u32 left, result = 0, status = 0;
	u64 cycles, ns;

	ns = ktime_get_ns();
	cycles = rdtsc_ordered();
	if (txn)
		left = repeat_txn(win, cmd->repeat, &status, &result);
	else
		left = repeat_pure(win, cmd->repeat, &status, &result);
	cmd->out_cycles = rdtsc_ordered() - cycles;
	cmd->out_ns = ktime_get_ns() - ns;
	cmd->out_runs = cmd->repeat - left + !!status;
	cmd->out_status = status;
	cmd->out_result = status ? 0 : result;
	cmd->out_charged = charged(graft, win);
	/* The same input again and again charges the same. */
	if (!txn)
		count(win, cmd->out_runs, status == EXO_GRAFT_NOT_RUN ? 0 : status, cmd->out_charged);
}

/* Between claiming a window and giving it back. */
static int run_in(struct exo_graft_window *win, struct exo_graft_invoke *cmd)
{
	u64 *args = ctx_args(win);

	if (copy_from_user(win->data, u64_to_user_ptr(cmd->data), cmd->data_size))
		return -EFAULT;
	exo_graft_set_data(win, cmd->data_size);
	memcpy(args, cmd->arg, sizeof(cmd->arg));
	repeat(win, cmd);
	if (cmd->out_status == EXO_GRAFT_NOT_RUN)
		return -EACCES;
	if (cmd->out_status)
		return 0;
	memcpy(cmd->out, args + NR_ARGS, sizeof(cmd->out));
	if (cmd->data_out && copy_to_user(u64_to_user_ptr(cmd->data_out), win->data, cmd->data_size))
		return -EFAULT;
	return 0;
}

/**
 * exo_graft_run_function() - one invocation of a graft of exo_graft_make_function()
 * @graft: graft
 * @data: its data
 * @size: of that, at most the hook's data_cap
 * @args: what stands behind data and data_end in the context
 * @nr_args: how many
 * @priv: for the helpers, in the window
 * @result: out: its result, if it was not aborted
 * @cost: out: what it charged; of one that isn't counted, what its dearest run would
 *
 * Nothing of an earlier invocation's data is left behind @size: it may be somebody else's.
 *
 * Context: sleeps until the window is free, then disables preemption.
 * Return: enum exo_graft_status.
 */
u32 exo_graft_run_function(struct exo_graft *graft, const void *data, u32 size, const u64 *args,
			   u32 nr_args, void *priv, u32 *result, u64 *cost)
{
	bool counted = graft->mode != EXO_GRAFT_PROOF || graft->prog.mixed;
	struct exo_graft_window *win = graft->windows[cpumask_first(cpu_possible_mask)];
	u32 status;

	mutex_lock(&win->lock);
	win->priv = priv;
	memcpy(win->data, data, size);
	if (win->dirty > size)
		memset(win->data + size, 0, win->dirty - size);
	win->dirty = size;
	exo_graft_set_data(win, size);
	memcpy((u64 *)win->ctx + 2, args, nr_args * sizeof(*args));
	status = run_pure(graft, win, result);
	count(win, 1, status, charged(graft, win));
	*cost = counted ? charged(graft, win) : graft->prog.worst;
	exo_graft_release(win);
	return status;
}

static int invoke(struct exo_graft *graft, struct exo_graft_invoke *cmd)
{
	const struct exo_hook *hook = graft->prog.hook;
	struct exo_graft_window *win;
	int ret;

	if (!exo_graft_is_invoked(graft))
		return -EINVAL;
	if (cmd->data_size > hook->data_cap ||
	    (cmd->data_out && !(hook->flags & EXO_HOOK_DATA_WRITABLE)))
		return -EINVAL;
	win = exo_graft_claim(graft);
	if (!win)
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
	win->env = graft->env;
	ret = run_in(win, cmd);
	exo_graft_release(win);
	if (!ret && cmd->out_status)
		exo_graft_report(graft, cmd->out_status);
	return ret;
}

/**
 * exo_graft_run_op() - EXO_GRAFT_RUN
 * @env: who loaded it
 * @arg: struct exo_graft_invoke
 *
 * Context: sleeps.
 * Return: 0, also if a run was aborted; -EINVAL; -ENOENT; -EACCES: stopped; -EFAULT; -ENOMEM;
 * -EINTR.
 */
int exo_graft_run_op(struct exo_env *env, void *arg)
{
	struct exo_graft_invoke *cmd = arg;
	struct exo_graft *graft;
	int ret;

	memset_startat(cmd, 0, out);
	cmd->out_result = 0;
	if (cmd->flags || !cmd->repeat)
		return -EINVAL;
	graft = exo_graft_get(env, cmd->graft);
	if (!graft)
		return -ENOENT;
	ret = invoke(graft, cmd);
	exo_graft_put(graft);
	return ret;
}
