// SPDX-License-Identifier: GPL-2.0
/*
 * EXO_MEM_ALLOC: the application says which frames, and gets those or an error.
 *
 * A step: charge the uid, set log entries aside, choose under the pool lock, zero what was somebody
 * else's, and only then say who the owner is: until that the frames are taken, but nobody's.
 *
 * Capabilities that are wanted with them are made of the generations that the frames had at that
 * moment: whatever another thread does to a frame then, its capability is stale and nobody else's
 * (INV-CAP-6).
 */
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/net.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dev.h"
#include "mem/message.h"
#include "mem/pool.h"
#include "mem/take.h"
#include "trace.h"

/*
 * A request after its checks. @rights: of the capabilities, 0: none; @message: room for all of them, to be
 * sent, or NULL.
 */
struct request {
	struct exo_mem_env *mem;
	u32 __user *user;
	struct exo_cap __user *caps;
	struct exo_cap *message;
	u16 rights;
	struct exo_take want;
};

/* As exo_take(), one 4 KiB frame, on any node. False: one may not, or none is free. */
static __always_inline bool take_one(u32 mine, u32 *nr)
{
	struct exo_pool *pool = exo_pool_begin();
	u32 kept = exo_user_unused_total();
	bool got;

	got = exo_pool_take_one(pool, kept - min(kept, mine), mine, nr);
	exo_pool_end();
	return got;
}

static void zero_frame(struct exo_frame *frame)
{
	u32 i, span = exo_frame_span(frame);

	for (i = 0; i < span; i++) {
		clear_highpage(frame[i].page);
		cond_resched();
	}
}

/* One of @span. frames_lock is held. Returns the generation that it has now. */
static __always_inline u64 own_locked(struct exo_mem_env *mem, struct exo_frame *frame, u32 span)
{
	u32 i;

	for (i = 0; i < span; i++) {
		frame[i].phase = EXO_PHASE_TAKEN;
		WRITE_ONCE(frame[i].owner, mem->env);
	}
	list_add_tail(&frame->held, &mem->held);
	WRITE_ONCE(mem->nr_held, mem->nr_held + span);
	return frame->generation;
}

/*
 * The frames are taken, charged, and have their log entries: make them the environment's.
 * @generations says which each has then.
 */
static void own(struct exo_mem_env *mem, const u32 *frames, u32 n, u64 *generations)
{
	u64 number = mem->env->number;
	struct exo_frame *frame;
	u32 i, span, total = 0;

	for (i = 0; i < n; i++) {
		frame = exo_frame(frames[i]);
		if (frame->last_owner != number)
			zero_frame(frame);
	}

	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++) {
		frame = exo_frame(frames[i]);
		span = exo_frame_span(frame);
		generations[i] = own_locked(mem, frame, span);
		total += span;
	}
	spin_unlock(&mem->frames_lock);
	exo_revoke_held(mem, total);
}

/* What the caller wasn't told of goes back, as if it had freed it. */
static void disown(struct exo_mem_env *mem, const u32 *frames, u32 n)
{
	struct exo_frame *frame;
	u32 i, left = 0, leaving[EXO_FRAME_BATCH];

	mutex_lock(&mem->leave_lock);
	spin_lock(&mem->frames_lock);
	for (i = 0; i < n; i++) {
		frame = exo_frame(frames[i]);
		if (frame->owner != mem->env || frame->phase != EXO_PHASE_TAKEN)
			continue;
		exo_frame_give_up_locked(mem, frame);
		leaving[left++] = frames[i];
	}
	spin_unlock(&mem->frames_lock);
	exo_frames_unmap(leaving, left, NULL, NULL, NULL);
	exo_held_drop(mem, exo_frames_leave(mem, leaving, left));
	mutex_unlock(&mem->leave_lock);
}

/* Write the numbers of new frames at @at of the caller's array. False: that faulted. */
static bool tell_frames(const struct request *req, u32 at, const u32 *frames, u32 n)
{
	u32 __user *user = req->user + at;
	u32 i;

	if (!user_write_access_begin(user, n * sizeof(*user)))
		return false;
	for (i = 0; i < n; i++)
		unsafe_put_user(frames[i], user + i, err_fault);
	user_write_access_end();
	return true;

err_fault:
	user_write_access_end();
	return false;
}

static __always_inline void make_cap(struct exo_cap *cap, u16 rights, u32 nr, u64 generation)
{
	*cap = (struct exo_cap) {
		.kind = EXO_CAP_FRAME,
		.rights = rights,
		.object = nr,
		.generation = generation,
	};
	exo_cap_seal(cap);
}

/* Those of some, if they are wanted. */
static bool tell_caps(const struct request *req, u32 at, const u32 *frames, u32 n,
		      const u64 *generations)
{
	struct exo_cap one, *cap = &one;
	u32 i;

	for (i = 0; req->rights && i < n; i++) {
		if (req->message)
			cap = req->message + at + i;
		make_cap(cap, req->rights, frames[i], generations[i]);
		if (!exo_cap_tell(req->caps + at + i, cap))
			return false;
	}
	return true;
}

/*
 * Charge @span frames of each of @n, or of as many as the quota lets. Returns how many; *@mine
 * 4 KiB of them are guaranteed.
 */
static u32 charge(struct exo_mem_env *mem, u32 n, u32 span, u32 *mine)
{
	for (; n; n /= 2)
		if (!exo_user_charge_frames(mem->env->user, n * span, mine))
			break;
	return n;
}

static void uncharge(struct exo_mem_env *mem, u32 frames)
{
	exo_spares_drop(mem, frames);
	exo_user_uncharge_frames(mem->env->user, frames);
}

/*
 * Up to @n frames of @span each. *@done says how many the caller has now; less than @n without an
 * error if the quota lets only some through at a time.
 */
static int alloc_step(const struct request *req, u32 n, u32 span, u32 *frames, u32 *done)
{
	/* Each that is read was written. */
	u64 generations[EXO_FRAME_BATCH] __attribute__((__uninitialized__));
	struct exo_mem_env *mem = req->mem;
	u32 got, charged, mine;
	int ret;

	charged = charge(mem, n, span, &mine);
	if (!charged)
		return -EDQUOT;
	ret = exo_spares_add(mem, charged * span);
	if (ret) {
		exo_user_uncharge_frames(mem->env->user, charged * span);
		exo_user_took_own(mine);
		return ret;
	}

	got = exo_take(&req->want, charged, mine, frames, &ret);
	if (got == charged)
		ret = 0;
	else
		uncharge(mem, (charged - got) * span);
	exo_user_took_own(mine);
	if (!got)
		return ret;
	own(mem, frames, got, generations);

	if ((req->want.how != EXO_ALLOC_THESE && !tell_frames(req, *done, frames, got)) ||
	    !tell_caps(req, *done, frames, got, generations)) {
		disown(mem, frames, got);
		return -EFAULT;
	}
	*done += got;
	return ret;
}

/* The frames that the caller named, one by one: each may be of another order. */
static int alloc_these(struct request *req, u32 count, u32 *done)
{
	struct exo_frame *frame;
	u32 nr;
	int ret;

	while (*done < count) {
		if (get_user(nr, req->user + *done))
			return -EFAULT;
		if (nr >= exo_nr_frames)
			return -EINVAL;
		nr = array_index_nospec(nr, exo_nr_frames);
		frame = exo_frame(nr);
		if (!frame)
			return -ENOENT;
		req->want.span = exo_frame_span(frame);
		ret = alloc_step(req, 1, req->want.span, &nr, done);
		if (ret && ret != -EAGAIN)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int alloc_some(const struct request *req, u32 count, u32 *done)
{
	u32 span = req->want.how == EXO_ALLOC_HUGE ? EXO_BLOCK_FRAMES : 1;
	u32 batch = req->want.how == EXO_ALLOC_HUGE ? 1 : EXO_FRAME_BATCH;
	/* Each that is read was written; clearing them first would show. */
	u32 frames[EXO_FRAME_BATCH] __attribute__((__uninitialized__));
	int ret;

	while (*done < count) {
		ret = alloc_step(req, min(count - *done, batch), span, frames, done);
		if (ret || *done == count)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* One run, all or nothing. */
static int alloc_run(const struct request *req, u32 count, u32 *done)
{
	u64 generations[EXO_FRAME_BATCH];
	struct exo_mem_env *mem = req->mem;
	u32 frames[EXO_FRAME_BATCH];
	u32 first, at, i, n, told, mine;
	bool fault = false;
	int ret;

	ret = exo_user_charge_frames(mem->env->user, count, &mine);
	if (ret)
		return ret;
	ret = exo_take_run(&req->want, count, mine, &first);
	if (ret)
		goto err_uncharge;
	/* After the run: how many there are bounds the room that is set aside. */
	ret = exo_spares_add(mem, count);
	if (ret)
		goto err_put;

	for (at = 0; at < count; at += n) {
		n = min_t(u32, count - at, EXO_FRAME_BATCH);
		for (i = 0; i < n; i++)
			frames[i] = first + at + i;
		own(mem, frames, n, generations);
		fault |= !tell_frames(req, at, frames, n) ||
			 !tell_caps(req, at, frames, n, generations);
	}
	exo_user_took_own(mine);
	if (!fault) {
		*done = count;
		return 0;
	}

	for (told = 0; told < count; told += n) {
		n = min_t(u32, count - told, EXO_FRAME_BATCH);
		for (i = 0; i < n; i++)
			frames[i] = first + told + i;
		disown(mem, frames, n);
	}
	return -EFAULT;

err_put:
	for (at = 0; at < count; at++) {
		n = first + at;
		exo_pool_settle(&n, 1);
	}
err_uncharge:
	exo_user_uncharge_frames(mem->env->user, count);
	exo_user_took_own(mine);
	return ret;
}

static int alloc_check(const struct exo_mem_alloc *cmd)
{
	u32 how = cmd->flags & EXO_ALLOC_HOW_MASK;
	u32 span = how == EXO_ALLOC_HUGE ? EXO_BLOCK_FRAMES : 1;

	if (!cmd->count || cmd->count > EXO_BATCH_MAX_PAGES / span)
		return -EINVAL;
	if (cmd->flags & ~(EXO_ALLOC_HOW_MASK | EXO_ALLOC_NODE | EXO_ALLOC_SEND) ||
	    how > EXO_ALLOC_HUGE || (!(cmd->flags & EXO_ALLOC_SEND) && cmd->sock))
		return -EINVAL;
	if (cmd->rights & ~EXO_RIGHTS_ALL || cmd->reserved || (cmd->caps_ptr && !cmd->rights))
		return -EINVAL;
	if (how == EXO_ALLOC_COLOUR ? cmd->colour >= exo_pool_colours() : cmd->colour)
		return -EINVAL;
	if (!(cmd->flags & EXO_ALLOC_NODE))
		return cmd->node ? -EINVAL : 0;
	if (how == EXO_ALLOC_THESE || cmd->node >= MAX_NUMNODES ||
	    !node_state(cmd->node, N_MEMORY))
		return -EINVAL;
	return 0;
}

/* The general way. @message: see struct request. */
static noinline int alloc(struct exo_env *env, struct exo_mem_alloc *cmd, struct exo_cap *message)
{
	struct request req = {
		.mem = exo_mem(env),
		.user = u64_to_user_ptr(cmd->frames_ptr),
		.caps = u64_to_user_ptr(cmd->caps_ptr),
		.message = message,
		.rights = cmd->rights,
		.want.how = cmd->flags & EXO_ALLOC_HOW_MASK,
		.want.node = EXO_POOL_NODE_ANY,
		.want.colour = cmd->colour,
	};
	int ret;

	ret = alloc_check(cmd);
	if (ret)
		return ret;
	if (cmd->flags & EXO_ALLOC_NODE)
		req.want.node = array_index_nospec(cmd->node, MAX_NUMNODES);
	/* Who never reads the log would make it grow for ever. */
	if (READ_ONCE(req.mem->nr_log) >= exo_nr_frames)
		return -EDQUOT;

	switch (req.want.how) {
	case EXO_ALLOC_THESE:
		ret = alloc_these(&req, cmd->count, &cmd->out_done);
		break;
	case EXO_ALLOC_CONTIG:
		ret = alloc_run(&req, cmd->count, &cmd->out_done);
		break;
	default:
		ret = alloc_some(&req, cmd->count, &cmd->out_done);
		break;
	}
	return ret;
}

/*
 * One 4 KiB frame, any, with a capability or without: nothing is asked for so often, and its
 * instructions are counted (bench/). What alloc() does, without what only others need.
 */
static __always_inline bool is_simple(const struct exo_mem_alloc *cmd)
{
	return cmd->count == 1 && !(cmd->flags & ~EXO_ALLOC_SEND) &&
	       !(cmd->colour | cmd->node | cmd->reserved) &&
	       !(cmd->rights & ~EXO_RIGHTS_ALL) && (cmd->rights || !cmd->caps_ptr) &&
	       (cmd->flags || !cmd->sock);
}

/* -EAGAIN: it is not that simple. @cap: written, if one is made. */
static __always_inline int alloc_one(struct exo_env *env, struct exo_mem_alloc *cmd,
				     struct exo_cap *cap)
{
	struct exo_cap __user *user_cap = u64_to_user_ptr(cmd->caps_ptr);
	u32 __user *user = u64_to_user_ptr(cmd->frames_ptr);
	struct exo_mem_env *mem = exo_mem(env);
	struct exo_frame *frame;
	u32 nr, mine;
	int ret;

	if (unlikely(READ_ONCE(mem->nr_log) >= exo_nr_frames ||
		     exo_user_charge_frames(env->user, 1, &mine)))
		return -EDQUOT;
	ret = exo_spares_add(mem, 1);
	if (unlikely(ret)) {
		exo_user_uncharge_frames(env->user, 1);
	} else if (unlikely(!take_one(mine, &nr))) {
		uncharge(mem, 1);
		ret = -EAGAIN;
	}
	exo_user_took_own(mine);
	if (unlikely(ret))
		return ret;

	frame = exo_frame_known(nr);
	if (unlikely(frame->last_owner != env->number))
		clear_highpage(frame->page);
	/* While it has no owner its generation doesn't change. */
	if (cmd->rights)
		make_cap(cap, cmd->rights, nr, frame->generation);
	spin_lock(&mem->frames_lock);
	if (cmd->rights)
		exo_frame_seal(frame, cap);
	own_locked(mem, frame, 1);
	spin_unlock(&mem->frames_lock);
	exo_revoke_held(mem, 1);

	if (likely(!put_user(nr, user) && (!cmd->rights || exo_cap_tell(user_cap, cap)))) {
		cmd->out_done = 1;
		return 0;
	}
	disown(mem, &nr, 1);
	return -EFAULT;
}

/* @caps: room for one capability, or, if they are to be sent, for all. */
static __always_inline int alloc_any(struct exo_env *env, struct exo_mem_alloc *cmd,
				     struct exo_cap *caps)
{
	int ret = -EAGAIN;

	if (likely(is_simple(cmd)))
		ret = alloc_one(env, cmd, caps);
	if (unlikely(ret == -EAGAIN))
		ret = alloc(env, cmd, cmd->flags & EXO_ALLOC_SEND ? caps : NULL);
	return ret;
}

/*
 * The socket is looked up, and the room for the message there, before anything is allocated; after that
 * nothing fails but what fails without a message, too. What is sent is the module's own copy
 * (INV-CAP-9).
 */
static __always_inline int alloc_send(struct exo_env *env, struct exo_mem_alloc *cmd)
{
	struct exo_cap one, *caps = &one;
	struct socket *sock;
	int ret = -ENOMEM;

	if (!cmd->count || cmd->count > EXO_MESSAGE_CAPS || !cmd->rights)
		return -EINVAL;
	sock = exo_message_socket(cmd->sock);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	if (cmd->count > 1)
		caps = kmalloc_array(cmd->count, sizeof(*caps), GFP_KERNEL_ACCOUNT);
	if (likely(caps))
		ret = alloc_any(env, cmd, caps);
	if (likely(!ret))
		cmd->out_sent = exo_message_send(sock, caps, cmd->count);
	if (caps != &one)
		kfree(caps);
	sockfd_put(sock);
	return ret;
}

static noinline int alloc_only(struct exo_env *env, struct exo_mem_alloc *cmd)
{
	struct exo_cap cap;

	return alloc_any(env, cmd, &cap);
}

/**
 * exo_mem_alloc_op() - EXO_MEM_ALLOC
 * @env: who gets the frames
 * @arg: struct exo_mem_alloc
 *
 * Return: 0; -EINVAL; -EFAULT; -EDQUOT, also if as many entries of the
 * repossession log are unread as there are frames; -ENOMEM for the room in the log; -ENOSPC if
 * not so many are free, or what is free is kept for others' guaranteed minima (if the caller's own
 * can't be had, others have been asked for it); for EXO_ALLOC_THESE -ENOENT if a frame is absent,
 * -EBUSY if it is taken; -EINTR. out_done frames are the environment's in any case, and the caller
 * was told of them and has their capabilities (INV-CAP-6). With EXO_ALLOC_SEND also -EBADF, -ENOTSOCK,
 * -EAFNOSUPPORT or -ENOMEM before anything is done; how the sending went is in out_sent only.
 */
int exo_mem_alloc_op(struct exo_env *env, void *arg)
{
	struct exo_mem_alloc *cmd = arg;
	int ret;

	cmd->out_done = 0;
	cmd->out_sent = 0;
	if (cmd->flags & EXO_ALLOC_SEND)
		ret = alloc_send(env, cmd);
	else
		ret = alloc_only(env, cmd);
	trace_exo_alloc(env->number, cmd->flags, cmd->count, cmd->out_done, ret);
	return ret;
}

/**
 * exo_frame_take() - a frame for a keeper
 * @env: keeper (exo_env_keeper())
 * @nr: its number
 * @generation: of it; when it is another the frame is gone
 *
 * Zeroed even if it was the keeper's before: it keeps frames for many.
 *
 * Context: sleeps.
 * Return: 0; -EDQUOT, -ENOSPC, -ENOMEM as EXO_MEM_ALLOC.
 */
int exo_frame_take(struct exo_env *env, u32 *nr, u64 *generation)
{
	const struct exo_take want = { .how = EXO_ALLOC_ANY, .node = EXO_POOL_NODE_ANY };
	struct exo_mem_env *mem = exo_mem(env);
	u32 mine;
	int ret;

	ret = exo_user_charge_frames(env->user, 1, &mine);
	if (ret)
		return ret;
	ret = exo_spares_add(mem, 1);
	if (ret)
		exo_user_uncharge_frames(env->user, 1);
	else if (exo_take(&want, 1, mine, nr, &ret) == 1)
		ret = 0;
	else
		uncharge(mem, 1);
	exo_user_took_own(mine);
	if (ret)
		return ret;
	exo_log_forget(mem);
	if (exo_frame(*nr)->last_owner == env->number)
		zero_frame(exo_frame(*nr));
	own(mem, nr, 1, generation);
	return 0;
}
