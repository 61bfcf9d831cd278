// SPDX-License-Identifier: GPL-2.0
/*
 * Visible revocation: ask, wait for the deadline, then take, and write down what was taken.
 *
 * Asking is possible from everywhere, the shrinker and the OOM notifier included: it takes leaf
 * locks only. Taking is done by a work item of the environment: it waits for the locks of that
 * environment and of those that it shares frames with, and a thread that holds one of these may be
 * out of CPU time for as long as its cgroup says. That is then the trouble of nobody else. For the
 * same reason the items of one uid may not occupy all workers there can be. Which frames are
 * taken, if the owner leaves that to it, and has no graft that says so: of the oldest ones first
 * those that are bound nowhere, then those that were held longest.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

#include "core/quota.h"
#include "dev.h"
#include "mem/fail.h"
#include "mem/graft.h"
#include "mem/pool.h"
#include "trace.h"

/* How many of the oldest frames are looked at for ones that are bound nowhere. */
#define VICTIM_LOOK 1024

/* How much of what is held may be under way to Linux at a time, and how many frames at least. */
#define WAY_PART 8
#define WAY_MIN 1024L

/* How many environments of a uid are taken from at a time, and when the others look again. */
#define TAKERS_MAX 16
#define TAKERS_WAIT_MS 10

/*
 * Guards nothing but the minimum: two workers that look at what a uid has and then choose victims
 * could together take too much. Outside of frames_lock.
 */
static DEFINE_SPINLOCK(choose_lock);

static struct workqueue_struct *revoke_wq;
static atomic_long_t held_total;	/* frames that living environments hold */
static atomic_long_t wanted_total;	/* frames that they are asked for */

static void deadline_reached(struct work_struct *work);

/**
 * exo_revoke_held() - an environment has more frames, or fewer
 * @mem: environment
 * @n: how many more
 *
 * Context: any but interrupts.
 */
void exo_revoke_held(struct exo_mem_env *mem, int n)
{
	atomic_add(n, &mem->env->user->held);
	atomic_long_add(n, &held_total);
}

/**
 * exo_revoke_possible() - how many frames owners could be asked for, about
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_revoke_possible(void)
{
	long kept = (long)exo_user_reserved_total() - exo_user_unused_total();
	long n = atomic_long_read(&held_total) - atomic_long_read(&wanted_total) - kept;

	return clamp_t(long, n, 0, UINT_MAX);
}

/**
 * exo_revoke_gently() - how many frames owners could be asked for while others are on their way
 *
 * Reclaim sees nothing come and asks for more and more, until everything is asked for. So there
 * is a limit to what is under way.
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_revoke_gently(void)
{
	long limit = max(atomic_long_read(&held_total) / WAY_PART, WAY_MIN);
	long room = limit - atomic_long_read(&wanted_total);

	return clamp_t(long, room, 0, exo_revoke_possible());
}

static u32 revocable(struct exo_mem_env *mem)
{
	struct exo_user *user = mem->env->user;

	return exo_revocable(READ_ONCE(mem->nr_held), READ_ONCE(mem->asks.total),
			     atomic_read(&user->held), atomic_read(&user->wanted),
			     READ_ONCE(user->reserved));
}

/* Under @mem's revoke_lock: what it is asked for and what its uid is change together. */
static void wanted_changed(struct exo_mem_env *mem, int n)
{
	atomic_add(n, &mem->env->user->wanted);
	atomic_long_add(n, &wanted_total);
}

/* The worker runs at the first deadline. The environment is alive: exo_mem_envs_lock is held. */
static void run_worker(struct exo_mem_env *mem, u64 deadline_ns)
{
	u64 now = ktime_get_ns();

	lockdep_assert_held(&exo_mem_envs_lock);
	/* Once: one that is put off again and again would never come. */
	if (mem->worker_ns == deadline_ns)
		return;
	mem->worker_ns = deadline_ns;
	mod_delayed_work(revoke_wq, &mem->deadline_work,
			 deadline_ns > now ? nsecs_to_jiffies(deadline_ns - now) + 1 : 0);
}

/* Ask one environment. It is alive: exo_mem_envs_lock is held. */
static void ask(struct exo_mem_env *mem, u32 n, u32 why, u32 deadline_ms)
{
	u64 deadline_ns, first;
	u32 total;

	if (!n)
		return;
	deadline_ms = deadline_ms ?: READ_ONCE(mem->env->user->deadline_ms);
	deadline_ns = ktime_get_ns() + (u64)deadline_ms * NSEC_PER_MSEC;

	/* Before anything counts as given: what comes then pays it, and nobody is asked for a debt that is left. */
	exo_pool_owe(n, why);
	spin_lock(&mem->revoke_lock);
	exo_asks_add(&mem->asks, n, deadline_ns, why);
	mem->asked += n;
	total = mem->asks.total;
	first = exo_asks_deadline(&mem->asks);
	wanted_changed(mem, n);
	spin_unlock(&mem->revoke_lock);

	exo_event_post(mem->env, EXO_EVENT_REVOKE, total, first, why & EXO_WHY_PUBLIC, 0);
	trace_exo_revoke(mem->env->number, n, total, first, why & EXO_WHY_PUBLIC);
	run_worker(mem, first);
}

/**
 * exo_revoke_ask_all() - ask everybody for frames, in proportion to what they can give
 * @n: how many
 * @why: EXO_WHY_*, EXO_WHY_SHRINK
 * @deadline_ms: time to give them, 0: each uid's own
 *
 * Context: any but interrupts; takes exo_mem_envs_lock and leaf locks. Allocates nothing.
 * Return: how many were asked for; guaranteed minima stay.
 */
u32 exo_revoke_ask_all(u32 n, u32 why, u32 deadline_ms)
{
	struct exo_mem_env *mem;
	u32 part, asked = 0;
	u64 all = 0;

	spin_lock(&exo_mem_envs_lock);
	list_for_each_entry(mem, &exo_mem_envs, node)
		all += revocable(mem);
	list_for_each_entry(mem, &exo_mem_envs, node) {
		if (asked >= n)
			break;
		part = min(exo_revoke_share(n, revocable(mem), all), n - asked);
		ask(mem, part, why, deadline_ms);
		asked += part;
	}
	spin_unlock(&exo_mem_envs_lock);
	return asked;
}

/**
 * exo_revoke_for_min() - somebody is guaranteed frames that others have: these are asked
 * @n: how many
 *
 * Not for those that are on their way already. Who allocates tries again.
 *
 * Context: any but interrupts; takes exo_mem_envs_lock and leaf locks.
 */
void exo_revoke_for_min(u32 n)
{
	long coming = atomic_long_read(&wanted_total) - exo_pool_owed();

	if (coming < 0)
		coming = 0;
	if (n > coming)
		exo_revoke_ask_all(n - coming, EXO_WHY_MIN, 0);
}

/**
 * exo_revoke_given() - an owner gave frames back
 * @mem: the owner
 * @n: how many
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_revoke_given(struct exo_mem_env *mem, u32 n)
{
	u32 given;

	if (!READ_ONCE(mem->asks.total))
		return;
	spin_lock(&mem->revoke_lock);
	given = exo_asks_give(&mem->asks, n);
	mem->given += given;
	wanted_changed(mem, -(int)given);
	spin_unlock(&mem->revoke_lock);
}

/**
 * exo_frames_wanted() - how many frames is a keeper asked for?
 * @env: keeper
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_frames_wanted(struct exo_env *env)
{
	return READ_ONCE(exo_mem(env)->asks.total);
}

/* What was asked for can't be had, or not any more. */
static void withdraw(struct exo_mem_env *mem, u32 n, u32 why)
{
	u32 gone;

	spin_lock(&mem->revoke_lock);
	gone = exo_asks_give(&mem->asks, n);
	mem->asked -= gone;
	wanted_changed(mem, -(int)gone);
	spin_unlock(&mem->revoke_lock);
	exo_pool_forgive(gone, why);
}

/**
 * exo_revoke_env_init() - a new environment
 * @mem: not yet visible
 */
void exo_revoke_env_init(struct exo_mem_env *mem)
{
	INIT_DELAYED_WORK(&mem->deadline_work, deadline_reached);
}

/**
 * exo_revoke_env_stop() - an environment dies: nobody takes anything from it any more
 * @mem: environment, in no list any more, so that the worker doesn't come back
 *
 * Context: sleeps; no lock is held that the worker takes.
 */
void exo_revoke_env_stop(struct exo_mem_env *mem)
{
	cancel_delayed_work_sync(&mem->deadline_work);
}

/**
 * exo_revoke_env_exit() - an environment dies: nothing is wanted of it any more
 * @mem: environment, in no list any more
 *
 * What the pool owes stays as far as frames are coming.
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_revoke_env_exit(struct exo_mem_env *mem)
{
	const struct exo_ask *first = &mem->asks.ask[0];
	u32 held = READ_ONCE(mem->nr_held);

	/* Nobody else changes the requests: leave_lock is held. */
	while (mem->asks.total > held)
		withdraw(mem, min(first->frames, mem->asks.total - held), first->why);
	exo_revoke_given(mem, UINT_MAX);
}

/**
 * exo_revoke_hurry() - the OOM killer is about to act: deadlines become short
 * @deadline_ms: no deadline is further away than this
 *
 * Context: any but interrupts; takes exo_mem_envs_lock and leaf locks. Allocates nothing.
 * Return: is there anything to take?
 */
bool exo_revoke_hurry(u32 deadline_ms)
{
	struct exo_mem_env *mem;
	u64 first, end_ns = ktime_get_ns() + (u64)deadline_ms * NSEC_PER_MSEC;
	bool any = false;

	spin_lock(&exo_mem_envs_lock);
	list_for_each_entry(mem, &exo_mem_envs, node) {
		spin_lock(&mem->revoke_lock);
		exo_asks_cut(&mem->asks, end_ns, EXO_WHY_OOM);
		first = exo_asks_deadline(&mem->asks);
		spin_unlock(&mem->revoke_lock);
		if (first) {
			run_worker(mem, first);
			any = true;
		}
	}
	spin_unlock(&exo_mem_envs_lock);
	return any;
}

/* Force -------------------------------------------------------------------------------------- */

struct taking {
	struct exo_mem_env *mem;
	u64 now_ns;
	u32 why;
};

static bool is_bound(const struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++)
		if (frame[i].bpage != EXO_NO_PAGE || frame[i].nr_more)
			return true;
	return false;
}

/**
 * struct victims - frames that are being chosen
 * @want: frames wanted
 * @total: frames chosen
 * @n: how many numbers these are
 * @nr: the numbers
 */
struct victims {
	u32 want;
	u32 total;
	u32 n;
	u32 nr[EXO_FRAME_BATCH];
};

static bool victims_enough(const struct victims *victims)
{
	return victims->n == EXO_FRAME_BATCH || victims->total >= victims->want;
}

/* Not below what the uid is guaranteed: a 2 MiB frame may be more than was wanted. */
static void victim_locked(struct exo_mem_env *mem, struct exo_frame *frame, struct victims *victims)
{
	const struct exo_user *user = mem->env->user;
	u32 span = exo_frame_span(frame);

	lockdep_assert_held(&choose_lock);
	if (atomic_read(&user->held) < (u64)READ_ONCE(user->reserved) + span)
		return;
	victims->total += span;
	victims->nr[victims->n++] = frame->nr;
	exo_frame_give_up_locked(mem, frame);
}

/* Choose victims and give them up. */
static void choose_victims(struct exo_mem_env *mem, struct victims *victims)
{
	struct exo_frame *frame, *tmp;
	u32 i, n, named[EXO_FRAME_BATCH];
	u32 look = VICTIM_LOOK;

	n = exo_victim_graft(mem, victims->want, named, EXO_FRAME_BATCH);
	spin_lock(&choose_lock);
	spin_lock(&mem->frames_lock);
	for (i = 0; i < n && !victims_enough(victims); i++) {
		frame = exo_victim_frame_locked(mem, named[i]);
		if (frame)
			victim_locked(mem, frame, victims);
	}
	list_for_each_entry_safe(frame, tmp, &mem->held, held) {
		if (!look-- || victims_enough(victims))
			break;
		if (!is_bound(frame))
			victim_locked(mem, frame, victims);
	}
	look = VICTIM_LOOK;
	list_for_each_entry_safe(frame, tmp, &mem->held, held) {
		if (!look-- || victims_enough(victims))
			break;
		victim_locked(mem, frame, victims);
	}
	spin_unlock(&mem->frames_lock);
	spin_unlock(&choose_lock);
}

/* A binding of a frame that is being taken was broken. The owner's own ones are written down. */
static void binding_taken(u32 nr, u32 view, u64 address, void *ctx)
{
	const struct taking *taking = ctx;

	if (!xa_load(&taking->mem->views, view))
		return;
	exo_frame(nr)->flags |= EXO_FRAME_LOGGED;
	exo_log_write(taking->mem, &(struct exo_mem_taken) {
		.frame = nr,
		.view = view,
		.address = address,
		.time_ns = taking->now_ns,
		.why = taking->why & EXO_WHY_PUBLIC,
	});
}

/* Frames that were bound nowhere get an entry, too. Called when nothing is bound any more. */
static void unbound_taken(const struct taking *taking, u32 nr)
{
	const struct exo_frame *frame = exo_frame(nr);
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++)
		if (frame[i].flags & EXO_FRAME_LOGGED)
			return;
	exo_log_write(taking->mem, &(struct exo_mem_taken) {
		.frame = nr,
		.view = ~0U,
		.time_ns = taking->now_ns,
		.why = taking->why & EXO_WHY_PUBLIC,
	});
}

/* Take some of @want frames. Returns how many are gone; 0: there is nothing that may be taken. */
static u32 take_some(struct exo_mem_env *mem, u32 want, u32 why)
{
	struct taking taking = { .mem = mem, .now_ns = ktime_get_ns(), .why = why };
	struct victims victims = { .want = want };
	u32 i;

	lockdep_assert_held(&mem->leave_lock);
	choose_victims(mem, &victims);
	exo_frames_unmap(victims.nr, victims.n, NULL, binding_taken, &taking);
	for (i = 0; i < victims.n; i++)
		unbound_taken(&taking, victims.nr[i]);
	exo_frames_leave(mem, victims.nr, victims.n);
	return victims.total;
}

/* These frames are gone, and each status says all of that or nothing. */
static void repossessed(struct exo_mem_env *mem, u32 n)
{
	u32 due;

	spin_lock(&mem->frames_lock);
	spin_lock(&mem->revoke_lock);
	due = exo_asks_give(&mem->asks, n);
	/* A 2 MiB frame may be more than was asked for. */
	mem->asked += n - due;
	mem->taken += n;
	wanted_changed(mem, -(int)due);
	WRITE_ONCE(mem->nr_held, mem->nr_held - n);
	spin_unlock(&mem->revoke_lock);
	spin_unlock(&mem->frames_lock);
}

/* Take what is due of one environment, and tell its owner. */
static void take_due(struct exo_mem_env *mem)
{
	struct exo_env *env = mem->env;
	u32 n, due, why, taken = 0;

	for (;;) {
		mutex_lock(&mem->leave_lock);
		spin_lock(&mem->revoke_lock);
		due = exo_asks_due(&mem->asks, ktime_get_ns(), &why);
		spin_unlock(&mem->revoke_lock);
		if (!due) {
			mutex_unlock(&mem->leave_lock);
			break;
		}
		n = take_some(mem, due, why);
		if (n) {
			repossessed(mem, n);
			trace_exo_repossess(env->number, n, why & EXO_WHY_PUBLIC);
			taken += n;
		} else {
			withdraw(mem, due, why);
		}
		mutex_unlock(&mem->leave_lock);
		cond_resched();
	}
	if (taken)
		exo_event_post(env, EXO_EVENT_REPOSSESSED, taken, READ_ONCE(mem->nr_log), 0, 0);
}

/*
 * No reference to the environment is needed: who queues this has found it in the list of the
 * living, and its end waits for this.
 */
static void deadline_reached(struct work_struct *work)
{
	struct exo_mem_env *mem = container_of(to_delayed_work(work), struct exo_mem_env,
					       deadline_work);
	atomic_t *takers = &mem->env->user->takers;
	u64 again = 0, deadline_ns;

	if (atomic_inc_return(takers) <= TAKERS_MAX && !exo_fail(EXO_FAIL_TAKER))
		take_due(mem);
	else
		again = ktime_get_ns() + TAKERS_WAIT_MS * NSEC_PER_MSEC;
	atomic_dec(takers);

	spin_lock(&exo_mem_envs_lock);
	mem->worker_ns = 0;
	spin_lock(&mem->revoke_lock);
	deadline_ns = exo_asks_deadline(&mem->asks);
	spin_unlock(&mem->revoke_lock);
	if (deadline_ns && !list_empty(&mem->node))
		run_worker(mem, max(deadline_ns, again));
	spin_unlock(&exo_mem_envs_lock);
}

/* Ask one environment, if it is alive. Returns how many frames it is asked for. */
static u32 ask_one(struct exo_mem_env *mem, u32 n, u32 deadline_ms)
{
	spin_lock(&exo_mem_envs_lock);
	n = list_empty(&mem->node) ? 0 : min(n, revocable(mem));
	ask(mem, n, EXO_WHY_ADMIN, deadline_ms);
	spin_unlock(&exo_mem_envs_lock);
	return n;
}

/**
 * exo_mem_revoke_op() - EXO_MEM_REVOKE
 * @env: who asks, with CAP_SYS_ADMIN
 * @arg: struct exo_mem_revoke
 *
 * Return: 0, also if less was asked for than wanted; -EINVAL; -ENOENT if there is no such
 * environment.
 */
int exo_mem_revoke_op(struct exo_env *env, void *arg)
{
	struct exo_mem_revoke *cmd = arg;
	struct exo_env *target;

	cmd->out_asked = 0;
	if (cmd->flags || cmd->reserved || cmd->deadline_ms > EXO_DEADLINE_MAX_MS)
		return -EINVAL;
	if (!cmd->env) {
		cmd->out_asked = exo_revoke_ask_all(cmd->frames, EXO_WHY_ADMIN, cmd->deadline_ms);
		return 0;
	}
	target = exo_env_find(cmd->env);
	if (!target)
		return -ENOENT;
	cmd->out_asked = ask_one(exo_mem(target), cmd->frames, cmd->deadline_ms);
	exo_env_put(target);
	return 0;
}

/**
 * exo_revoke_init() - at module load
 *
 * Return: 0 or -ENOMEM.
 */
int exo_revoke_init(void)
{
	/*
	 * Of its own: frames in quarantine don't wait for workers that wait for locks. And without WQ_MEM_RECLAIM: its rescuer,
	 * who comes as soon as a new worker takes a while, would take all that is queued for himself, and wait with it for
	 * the first owner who is stuck.
	 */
	revoke_wq = alloc_workqueue("exo_revoke", WQ_UNBOUND, 0);
	return revoke_wq ? 0 : -ENOMEM;
}

/**
 * exo_revoke_exit() - at unload, when no environment is left
 */
void exo_revoke_exit(void)
{
	destroy_workqueue(revoke_wq);
}
