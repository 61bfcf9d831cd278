// SPDX-License-Identifier: GPL-2.0
/*
 * How frames leave their owner: EXO_MEM_FREE, force, and death all come through here.
 *
 * The order is the point (INV-FRAME-4): a new generation, so that no capability is good any more;
 * the phase LEAVING, so that nothing new is bound or mapped; everything unmapped and flushed; and
 * only then the reference count. What I/O still pins, or a munmap has yet to flush, is quarantined:
 * charged to its user, taken in the table, looked at again by a worker until that is over.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "dev.h"
#include "mem/fail.h"
#include "mem/pool.h"
#include "trace.h"

#define QUARANTINE_FIRST_MS 100
#define QUARANTINE_MAX_MS 1000

static void quarantine_look(struct work_struct *work);

static DEFINE_SPINLOCK(quarantine_lock);
static LIST_HEAD(quarantine);		/* exo_frame.held; under quarantine_lock */
static u32 nr_quarantine;		/* entries of it; under quarantine_lock */
static unsigned int quarantine_ms = QUARANTINE_FIRST_MS;	/* under quarantine_lock */
static DECLARE_DELAYED_WORK(quarantine_work, quarantine_look);

/* Does anything but the pool hold the frame? */
static bool is_pinned(const struct exo_frame *frame)
{
	return page_count(compound_head(frame->page)) > 1 || exo_fail(EXO_FAIL_PIN);
}

/* May a TLB still have it? Its owner is locked, or it has none. */
static bool is_stale(const struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++)
		if (exo_frame_is_stale(&frame[i], NULL))
			return true;
	return false;
}

/**
 * exo_frame_give_up_locked() - first step: TAKEN -> LEAVING
 * @mem: the owner; frames_lock and leave_lock are held
 * @frame: the frame, of a 2 MiB frame the first entry
 */
void exo_frame_give_up_locked(struct exo_mem_env *mem, struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);

	lockdep_assert_held(&mem->leave_lock);
	lockdep_assert_held(&mem->frames_lock);
	exo_frame_renew(frame);
	for (i = 0; i < span; i++)
		frame[i].phase = EXO_PHASE_LEAVING;
	list_del_init(&frame->held);
	exo_revoke_held(mem, -(int)span);
}

/**
 * exo_frames_unmap() - second step: nothing reaches the frames any more, but through pins
 * @frames: their numbers, of 2 MiB frames the first; they were given up, or have new generations
 * @n: how many, at most EXO_FRAME_BATCH
 * @keep: environment whose own views keep them, or NULL
 * @fn: called for each binding that is broken, or NULL
 * @ctx: for @fn
 *
 * Who imported them is told.
 *
 * Context: sleeps; the owner's leave_lock is held, nothing else.
 */
void exo_frames_unmap(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn, void *ctx)
{
	u32 i, k, numbers[EXO_FRAME_BATCH];
	u32 fill = 0;

	if (!n)
		return;
	exo_share_revoked(frames, n);
	for (i = 0; i < n; i++)
		for (k = 0; k < exo_frame_span(exo_frame(frames[i])); k++) {
			numbers[fill++] = frames[i] + k;
			if (fill == EXO_FRAME_BATCH) {
				exo_views_unmap_frames(numbers, fill, keep, fn, ctx);
				fill = 0;
			}
		}
	exo_views_unmap_frames(numbers, fill, keep, fn, ctx);
	exo_window_unmap_frames(frames, n);
}

/* No TLB has it. */
static void forget_stale(struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++) {
		frame[i].bview = 0;
		frame[i].stale = 0;
	}
}

/* LEAVING -> FREE, not yet in the pool's lists. The owner's frames_lock is held. */
static void clean_locked(struct exo_frame *frame, u64 last_owner)
{
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++) {
		WARN_ON_ONCE(frame[i].bpage != EXO_NO_PAGE || frame[i].nr_more);
		frame[i].flags = 0;
		frame[i].last_owner = last_owner;
		frame[i].phase = EXO_PHASE_FREE;
		WRITE_ONCE(frame[i].owner, NULL);
	}
}

/* LEAVING -> QUARANTINED. The owner's frames_lock is held. */
static void quarantine_locked(struct exo_mem_env *mem, struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);
	unsigned long first = msecs_to_jiffies(QUARANTINE_FIRST_MS);
	bool hurry;

	clean_locked(frame, mem->env->number);
	exo_user_hold(mem->env->user);
	atomic_add(span, &mem->nr_quarantined);

	spin_lock(&quarantine_lock);
	frame->payer = mem->env->user;
	for (i = 0; i < span; i++)
		frame[i].phase = EXO_PHASE_QUARANTINED;
	list_add_tail(&frame->held, &quarantine);
	nr_quarantine++;
	hurry = quarantine_ms > QUARANTINE_FIRST_MS;
	quarantine_ms = QUARANTINE_FIRST_MS;
	spin_unlock(&quarantine_lock);
	/* Once: a look that is put off again and again would never come. */
	if (hurry)
		mod_delayed_work(exo_mem_wq, &quarantine_work, first);
	else
		queue_delayed_work(exo_mem_wq, &quarantine_work, first);
}

/**
 * exo_frames_leave() - last step: LEAVING -> FREE or QUARANTINED
 * @mem: the owner
 * @frames: their numbers, of 2 MiB frames the first; given up and unmapped under the same
 *	leave_lock
 * @n: how many, at most EXO_FRAME_BATCH
 *
 * Context: sleeps; leave_lock is held, nothing else.
 * Return: how many frames these are, in 4 KiB; for exo_held_drop(), when all else says that they
 * are gone.
 */
u32 exo_frames_leave(struct exo_mem_env *mem, const u32 *frames, u32 n)
{
	u32 i, out = 0, total = 0, freed = 0, settled[EXO_FRAME_BATCH];

	lockdep_assert_held(&mem->leave_lock);
	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++) {
		struct exo_frame *frame = exo_frame(frames[i]);

		total += exo_frame_span(frame);
		if (is_pinned(frame) || is_stale(frame)) {
			quarantine_locked(mem, frame);
			continue;
		}
		forget_stale(frame);
		freed += exo_frame_span(frame);
		clean_locked(frame, mem->env->number);
		settled[out++] = frames[i];
	}
	spin_unlock(&mem->frames_lock);

	exo_spares_drop(mem, total);
	/* First: a frame that its user is guaranteed pays no debt. */
	exo_user_uncharge_frames(mem->env->user, freed);
	exo_pool_settle(settled, out);
	return total;
}

/**
 * exo_held_drop() - an environment holds fewer frames
 * @mem: environment
 * @n: how many fewer
 *
 * Context: any but interrupts; takes frames_lock.
 */
void exo_held_drop(struct exo_mem_env *mem, u32 n)
{
	spin_lock(&mem->frames_lock);
	WRITE_ONCE(mem->nr_held, mem->nr_held - n);
	spin_unlock(&mem->frames_lock);
}

/* QUARANTINED -> FREE. The frame is in no list any more; the environment may be dead. */
static void release_one(struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);
	struct exo_user *payer = frame->payer;
	struct exo_env *env;

	env = exo_env_find(frame->last_owner);
	if (env) {
		atomic_sub(span, &exo_mem(env)->nr_quarantined);
		exo_env_put(env);
	}
	INIT_LIST_HEAD(&frame->more);
	forget_stale(frame);
	for (i = 1; i < span; i++)
		frame[i].phase = EXO_PHASE_FREE;
	exo_user_uncharge_frames(payer, span);
	exo_pool_settle(&frame->nr, 1);
	exo_user_put(payer);
}

/* The worker: look at every frame once, then less often as long as nothing changes. */
static void quarantine_look(struct work_struct *work)
{
	struct exo_frame *frame;
	unsigned int ms = 0;
	u32 left;

	spin_lock(&quarantine_lock);
	for (left = nr_quarantine; left; left--) {
		frame = list_first_entry(&quarantine, struct exo_frame, held);
		if (is_pinned(frame) || is_stale(frame)) {
			list_move_tail(&frame->held, &quarantine);
			if (left % EXO_FRAME_BATCH == 0)
				cond_resched_lock(&quarantine_lock);
			continue;
		}
		list_del_init(&frame->held);
		frame->phase = EXO_PHASE_FREE;
		nr_quarantine--;
		quarantine_ms = QUARANTINE_FIRST_MS / 2;
		spin_unlock(&quarantine_lock);
		release_one(frame);
		cond_resched();
		spin_lock(&quarantine_lock);
	}
	quarantine_ms = min(2 * quarantine_ms, QUARANTINE_MAX_MS);
	if (nr_quarantine)
		ms = quarantine_ms;
	spin_unlock(&quarantine_lock);
	if (ms)
		queue_delayed_work(exo_mem_wq, &quarantine_work, msecs_to_jiffies(ms));
}

/* Give up to EXO_FRAME_BATCH frames back. *@done says how many were the caller's. */
static int free_step(struct exo_mem_env *mem, const u32 *frames, u32 n, u32 *done)
{
	u32 i, total = 0;
	int ret = 0;

	mutex_lock(&mem->leave_lock);
	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++) {
		struct exo_frame *frame = exo_frame(frames[i]);

		if (!frame && frames[i] >= exo_nr_frames)
			ret = -EINVAL;
		else if (!frame || frame->owner != mem->env || frame->phase != EXO_PHASE_TAKEN)
			ret = -EACCES;
		else if (exo_frame_head(frames[i], frame) != frames[i])
			ret = -EINVAL;
		if (ret)
			break;
		exo_frame_give_up_locked(mem, frame);
		total += exo_frame_span(frame);
	}
	spin_unlock(&mem->frames_lock);
	exo_revoke_given(mem, total);
	exo_frames_unmap(frames, i, NULL, NULL, NULL);
	exo_held_drop(mem, exo_frames_leave(mem, frames, i));
	mutex_unlock(&mem->leave_lock);
	*done += i;
	return ret;
}

/**
 * exo_mem_free_op() - EXO_MEM_FREE
 * @env: the owner
 * @arg: struct exo_mem_frames
 *
 * Return: 0; -EINVAL for a number that is out of range or in the middle of a 2 MiB frame; -EACCES
 * for a frame of somebody else; -EFAULT; -EINTR. out_done frames are given back in any case.
 */
int exo_mem_free_op(struct exo_env *env, void *arg)
{
	struct exo_mem_frames *cmd = arg;
	u32 __user *user = u64_to_user_ptr(cmd->frames_ptr);
	u32 n, frames[EXO_FRAME_BATCH];
	int ret = 0;

	cmd->out_done = 0;
	if (cmd->flags || !cmd->count || cmd->count > EXO_BATCH_MAX_PAGES)
		return -EINVAL;
	while (!ret && cmd->out_done < cmd->count) {
		n = min_t(u32, cmd->count - cmd->out_done, EXO_FRAME_BATCH);
		if (copy_from_user(frames, user + cmd->out_done, n * sizeof(*frames)))
			ret = -EFAULT;
		else
			ret = free_step(exo_mem(env), frames, n, &cmd->out_done);
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	trace_exo_free(env->number, cmd->flags, cmd->count, cmd->out_done, ret);
	return ret;
}

/**
 * exo_leave_exit() - at unload: what is quarantined still is no longer charged
 *
 * Its pages go to Linux with the pool, and are free when they are unpinned.
 */
void exo_leave_exit(void)
{
	struct exo_frame *frame, *tmp;

	cancel_delayed_work_sync(&quarantine_work);
	list_for_each_entry_safe(frame, tmp, &quarantine, held) {
		list_del_init(&frame->held);
		exo_user_uncharge_frames(frame->payer, exo_frame_span(frame));
		exo_user_put(frame->payer);
	}
}

/**
 * exo_frame_quarantined() - is this frame given up and still pinned?
 * @nr: frame
 * @user: only if this one is charged for it; NULL: whoever is
 *
 * Context: any but interrupts; takes quarantine_lock.
 * Return: true if it is.
 */
bool exo_frame_quarantined(u32 nr, const struct exo_user *user)
{
	struct exo_frame *frame = exo_frame(nr);
	bool ret;

	if (!frame || READ_ONCE(frame->phase) != EXO_PHASE_QUARANTINED)
		return false;
	spin_lock(&quarantine_lock);
	frame = exo_frame(exo_frame_head(nr, frame));
	ret = frame->phase == EXO_PHASE_QUARANTINED && (!user || frame->payer == user);
	spin_unlock(&quarantine_lock);
	return ret;
}

/**
 * exo_frame_give() - a keeper gives a frame back, unless it is gone already
 * @env: keeper
 * @nr: frame
 * @generation: of it
 *
 * Context: sleeps; nothing is held that a fault takes.
 */
void exo_frame_give(struct exo_env *env, u32 nr, u64 generation)
{
	struct exo_mem_env *mem = exo_mem(env);
	struct exo_frame *frame = exo_frame(nr);
	bool mine;

	mutex_lock(&mem->leave_lock);
	spin_lock(&mem->frames_lock);
	mine = frame->owner == env && frame->phase == EXO_PHASE_TAKEN &&
	       frame->generation == generation;
	if (mine)
		exo_frame_give_up_locked(mem, frame);
	spin_unlock(&mem->frames_lock);
	if (mine) {
		exo_revoke_given(mem, 1);
		exo_frames_unmap(&nr, 1, NULL, NULL, NULL);
		exo_held_drop(mem, exo_frames_leave(mem, &nr, 1));
	}
	mutex_unlock(&mem->leave_lock);
}
