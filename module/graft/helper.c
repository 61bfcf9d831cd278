// SPDX-License-Identifier: GPL-2.0
/*
 * What a graft may call, but for the helpers of the hooks' own nouns. All of them run inside an
 * invocation: with preemption disabled.
 */
#include <linux/ktime.h>
#include <linux/nospec.h>
#include <linux/processor.h>
#include <linux/sched.h>

#include "graft/graft.h"

/* How long a lock's holder may go on while somebody waits, and when the waiter gives up. */
#define LOCK_PATIENCE_NS (100 * NSEC_PER_USEC)
#define LOCK_LIMIT_NS (10 * NSEC_PER_MSEC)

static struct exo_graft_window *window_of(struct exo_graft_run *run)
{
	return run->priv;
}

static struct exo_graft_window *outermost(struct exo_graft_window *win)
{
	while (win->outer)
		win = win->outer;
	return win;
}

/**
 * exo_graft_doom() - abort an invocation, from one of its helpers
 * @run: the invocation
 * @status: enum exo_graft_status
 *
 * Return: what the helper returns: the graft sees it no more.
 */
u64 exo_graft_doom(struct exo_graft_run *run, u32 status)
{
	run->status = status;
	WRITE_ONCE(run->budget, -1);
	return 1;
}

static u64 helper_log(u64 at, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	if (exo_txn_log(window_of(run)->txn, (u64 *)at))
		return exo_graft_doom(run, EXO_GRAFT_ABORT_HELPER);
	return 0;
}

static u64 helper_trace(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	struct exo_graft *graft = window_of(run)->graft;

	spin_lock(&graft->log_lock);
	graft->log[graft->log_seq % EXO_GRAFT_TRACES] = (struct exo_graft_trace) {
		.time_ns = ktime_get_ns(),
		.arg = { a, b },
		.seq = graft->log_seq,
	};
	graft->log_seq++;
	spin_unlock(&graft->log_lock);
	return 0;
}

static u64 helper_now(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	return ktime_get_ns();
}

/* Locks ------------------------------------------------------------------------------------- */

static bool lock_try(struct exo_graft_lock *lock, struct exo_graft_window *win)
{
	bool taken;

	if (READ_ONCE(lock->holder))
		return false;
	spin_lock(&lock->guard);
	taken = !lock->holder;
	if (taken)
		WRITE_ONCE(lock->holder, win);
	spin_unlock(&lock->guard);
	return taken;
}

/*
 * Abort whoever holds the lock, and what is nested in it. It can't give the lock back meanwhile, so
 * it is this run that is hit; a nested one's window stays as long as preemption is disabled here.
 */
static void lock_abort_holder(struct exo_graft_lock *lock)
{
	struct exo_graft_window *win;

	spin_lock(&lock->guard);
	for (win = lock->holder; win; win = READ_ONCE(win->inner)) {
		WRITE_ONCE(win->run.killed, EXO_GRAFT_ABORT_LOCK);
		WRITE_ONCE(win->run.budget, -1);
	}
	spin_unlock(&lock->guard);
}

static u64 helper_lock(u64 n, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = window_of(run);
	struct exo_graft_lock *lock;
	u64 start = 0, waited;
	int ret;

	ret = n < EXO_GRAFT_LOCKS ? exo_txn_may_lock(win->txn, n) : -EINVAL;
	if (ret)
		return ret > 0 ? 0 : exo_graft_doom(run, EXO_GRAFT_ABORT_LOCK);
	n = array_index_nospec(n, EXO_GRAFT_LOCKS);
	lock = &win->graft->env->graft->locks[n];
	while (!lock_try(lock, outermost(win))) {
		start = start ?: ktime_get_ns();
		waited = ktime_get_ns() - start;
		if (waited > LOCK_PATIENCE_NS)
			lock_abort_holder(lock);
		if (waited > LOCK_LIMIT_NS)
			return exo_graft_doom(run, EXO_GRAFT_ABORT_LOCK);
		/* Killed meanwhile? */
		if (READ_ONCE(run->killed))
			return exo_graft_doom(run, READ_ONCE(run->killed));
		cpu_relax();
	}
	exo_txn_locked(win->txn, n);
	return 0;
}

/**
 * exo_graft_unlock() - give locks back
 * @graft_env: whose
 * @locks: bit n: lock n
 */
void exo_graft_unlock(struct exo_graft_env *graft_env, u32 locks)
{
	struct exo_graft_lock *lock;
	u32 n;

	for (n = 0; locks >> n; n++) {
		if (!(locks >> n & 1))
			continue;
		lock = &graft_env->locks[n];
		spin_lock(&lock->guard);
		WRITE_ONCE(lock->holder, NULL);
		spin_unlock(&lock->guard);
	}
}

/* Nested calls ------------------------------------------------------------------------------ */

static u64 helper_call(u64 number, u64 arg, u64 c, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = window_of(run);
	struct exo_graft *graft;

	/* No reference: it stays as long as preemption is disabled. */
	graft = number <= EXO_GRAFTS_MAX ? xa_load(&exo_grafts, number) : NULL;
	if (!graft || graft->env != win->graft->env || graft->prog.hook->id != EXO_HOOK_TXN)
		return EXO_GRAFT_NOT_RUN;
	return exo_graft_run_nested(win, graft, arg);
}

/* Long runs --------------------------------------------------------------------------------- */

/*
 * What the interpreter calls now and then. On most kernels nothing else takes the processor from a run.
 * This does, where nobody relies on the run being over a grace period after it was stopped but
 * EXO_GRAFT_KILL, which knows of it; and where no lock is held and no caller waits.
 */
static u64 helper_pause(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = window_of(run);

	if (!need_resched() || !exo_graft_is_invoked(win->graft) || win->outer ||
	    (win->txn && win->txn->locks))
		return 0;
	WRITE_ONCE(win->paused, true);
	preempt_enable();
	cond_resched();
	preempt_disable();
	WRITE_ONCE(win->paused, false);
	return READ_ONCE(win->graft->stop) & EXO_GRAFT_STOP_KILLED ?
		       exo_graft_doom(run, EXO_GRAFT_ABORT_KILLED) : 0;
}

/* The table --------------------------------------------------------------------------------- */

/* By enum exo_graft_helper. Nothing of it changes after the module was loaded. */
exo_helper_fn exo_graft_helpers[EXO_GRAFT_MAX_HELPERS] __ro_after_init = {
	[EXO_HELPER_PAUSE] = helper_pause,
	[EXO_HELPER_LOG] = helper_log,
	[EXO_HELPER_LOCK] = helper_lock,
	[EXO_HELPER_TRACE] = helper_trace,
	[EXO_HELPER_NOW] = helper_now,
	[EXO_HELPER_CALL] = helper_call,
};

/**
 * exo_graft_provide() - a noun's own helper
 * @helper: enum exo_graft_helper
 * @fn: what it does: inside an invocation, so it must not sleep
 *
 * Context: at module load only.
 */
void exo_graft_provide(u32 helper, exo_helper_fn fn)
{
	exo_graft_helpers[helper] = fn;
}
