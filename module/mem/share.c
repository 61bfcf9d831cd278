// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing: a capability that somebody presents becomes a grant, a frame that this environment may
 * bind with at most those rights. A grant is good for as long as the frame keeps its generation;
 * one that isn't stays until it is dropped, so that its holder is told ESTALE and not EACCES.
 *
 * An import first makes a grant without rights, which gives nothing; then does what can fail, a bind
 * included; and then fills the grant in. What is undone was never of use to anybody (INV-CAP-7).
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core/slot.h"
#include "dev.h"
#include "mem/message.h"
#include "mem/pool.h"
#include "trace.h"

/**
 * exo_frame_rights_locked() - what an environment may do with a frame
 * @env: environment
 * @nr: frame; any number of a 2 MiB frame
 * @frame: the same
 *
 * Context: the lock of the frame's owner is held, under rcu_read_lock().
 * Return: EXO_RIGHT_*; -EACCES if it is neither its own nor imported; -ESTALE if it was imported
 * and revoked, or is just leaving.
 */
int exo_frame_rights_locked(struct exo_env *env, u32 nr, struct exo_frame *frame)
{
	const struct exo_grant *grant;

	if (frame->owner == env)
		return frame->phase == EXO_PHASE_TAKEN ? EXO_RIGHTS_ALL : -ESTALE;
	nr = exo_frame_head(nr, frame);
	grant = xa_load(&exo_mem(env)->grants, nr);
	if (!grant)
		return -EACCES;
	if (frame->phase != EXO_PHASE_TAKEN ||
	    READ_ONCE(grant->generation) != exo_frame(nr)->generation)
		return -ESTALE;
	/* The rights of this generation or none, see grant_fill(). */
	smp_rmb();
	return READ_ONCE(grant->rights);
}

/**
 * exo_share_revoked() - tell those who imported frames that they have them no more
 * @frames: their numbers, of 2 MiB frames the first; they have new generations, or are LEAVING
 * @n: how many
 *
 * Context: any but interrupts; takes exo_mem_envs_lock. The owner's leave_lock is held.
 */
void exo_share_revoked(const u32 *frames, u32 n)
{
	struct exo_mem_env *mem;
	struct exo_grant *grant;
	u32 i;

	for (i = 0; i < n; i++) {
		struct exo_frame *frame = exo_frame(frames[i]);

		if (!(frame->flags & EXO_FRAME_SHARED))
			continue;
		spin_lock(&exo_mem_envs_lock);
		/* The new generation is there before a grant is looked at; see grant_fill(). */
		smp_mb__after_spinlock();
		rcu_read_lock();
		list_for_each_entry(mem, &exo_mem_envs, node) {
			grant = xa_load(&mem->grants, frames[i]);
			if (!grant || grant->generation == frame->generation ||
			    xchg(&grant->told, true))
				continue;
			exo_event_post(mem->env, EXO_EVENT_CAP_REVOKED, frames[i], 0, 0, 0);
		}
		rcu_read_unlock();
		spin_unlock(&exo_mem_envs_lock);
	}
}

/* The order of the frame, if the capability is still good; it counts as shared from here on. */
static int import_check(struct exo_env *env, const struct exo_cap *cap, bool *own)
{
	struct exo_frame *frame;
	struct exo_env *owner;
	int ret = -ESTALE;

	rcu_read_lock();
	frame = exo_frame_object_lock(cap->object, &owner);
	if (frame) {
		*own = owner == env;
		if (frame->generation == cap->generation) {
			ret = frame->order;
			if (!*own)
				frame->flags |= EXO_FRAME_SHARED;
		}
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return ret;
}

/*
 * The grant of a frame, whatever its generation, or a new one without rights; NULL without memory.
 */
static struct exo_grant *grant_get(struct exo_mem_env *mem, u32 nr)
{
	struct exo_grant *grant;

	lockdep_assert_held(&mem->share_lock);
	grant = xa_load(&mem->grants, nr);
	if (likely(grant))
		return grant;
	grant = kzalloc(sizeof(*grant), GFP_KERNEL_ACCOUNT);
	if (grant && xa_err(xa_store(&mem->grants, nr, grant, GFP_KERNEL_ACCOUNT))) {
		kfree(grant);
		grant = NULL;
	}
	return grant;
}

/* Undo grant_get(), if it made this one: another may be what a window has its page by. */
static void grant_put(struct exo_mem_env *mem, u32 nr, struct exo_grant *grant)
{
	lockdep_assert_held(&mem->share_lock);
	if (grant->generation)
		return;
	xa_erase(&mem->grants, nr);
	kfree_rcu(grant, rcu);
}

/*
 * From here on the grant gives what the offer does. Readers have no lock: between two generations
 * it gives nothing. Revocation may have passed since the offer was found good, and have seen the
 * grant as it was before: then it is on us to tell.
 */
static void grant_fill(struct exo_mem_env *mem, const struct exo_frame *frame, u8 order,
		       struct exo_grant *grant, const struct exo_offer *offer)
{
	lockdep_assert_held(&mem->share_lock);
	if (grant->generation != offer->generation) {
		WRITE_ONCE(grant->rights, 0);
		smp_wmb();
		WRITE_ONCE(grant->generation, offer->generation);
		grant->order = order;
		WRITE_ONCE(grant->told, false);
		smp_wmb();
	}
	WRITE_ONCE(grant->rights, offer->rights);

	/* Pairs with the barrier of exo_share_revoked(), after the new generation. */
	smp_mb();
	if (unlikely(READ_ONCE(frame->generation) != offer->generation) &&
	    !xchg(&grant->told, true))
		exo_event_post(mem->env, EXO_EVENT_CAP_REVOKED, frame->nr, 0, 0, 0);
}

/* Bind what is imported; @view is entered. @offer is NULL if the frame is the caller's own. */
static noinline int import_bind(struct exo_view *view, const struct exo_mem_import *cmd, int order,
		       const struct exo_offer *offer)
{
	struct exo_mem_op op = {
		.page = cmd->page,
		.count = 1U << order,
		.frame = cmd->cap.object,
		.rights = cmd->rights,
	};

	return exo_view_bind_offer(view, &op, offer);
}

/* A frame that is not the caller's own. @offer: what the capability says, then what counts. */
static __always_inline int import_foreign(struct exo_env *env, const struct exo_mem_import *cmd,
					  struct exo_frame *frame, struct exo_view *view,
					  int order, struct exo_offer *offer)
{
	struct exo_mem_env *mem = exo_mem(env);
	u32 nr = cmd->cap.object, write = cmd->rights & EXO_RIGHT_WRITE;
	struct exo_grant *grant;
	int ret = -ENOMEM;

	mutex_lock(&mem->share_lock);
	grant = grant_get(mem, nr);
	if (unlikely(!grant))
		goto out;
	if (grant->generation == offer->generation)
		offer->rights |= grant->rights;
	ret = 0;
	if (view && !(likely(!(cmd->rights & ~offer->rights)) &&
		      likely(exo_view_bind_offered(view, cmd->page, frame, nr, write, offer))))
		ret = import_bind(view, cmd, order, offer);
	if (likely(!ret))
		grant_fill(mem, frame, order, grant, offer);
	else
		grant_put(mem, nr, grant);
out:
	mutex_unlock(&mem->share_lock);
	return ret;
}

/* The MAC is right. @view: entered, to bind there, or NULL. */
static __always_inline int import(struct exo_env *env, struct exo_mem_import *cmd,
				  struct exo_frame *frame, struct exo_view *view)
{
	struct exo_offer offer = { cmd->cap.generation, cmd->cap.rights };
	bool own = READ_ONCE(frame->owner) == env;
	int ret, order = READ_ONCE(frame->order);

	/*
	 * A bind by the offer looks at the generation by itself. If it is the capability's, then it
	 * was all the time, and so were order and owner: the capability is older than this call.
	 */
	if (!view || own) {
		order = import_check(env, &cmd->cap, &own);
		if (order < 0)
			return order;
	}
	if (likely(!own)) {
		ret = import_foreign(env, cmd, frame, view, order, &offer);
	} else {
		offer.rights = EXO_RIGHTS_ALL;
		ret = view ? import_bind(view, cmd, order, NULL) : 0;
	}
	if (ret)
		return ret;
	cmd->out_frame = cmd->cap.object;
	cmd->out_order = order;
	cmd->out_rights = offer.rights;
	return 0;
}

static noinline int import_only(struct exo_env *env, struct exo_mem_import *cmd,
				struct exo_frame *frame)
{
	return import(env, cmd, frame, NULL);
}

static bool import_ok(const struct exo_mem_import *cmd)
{
	if (cmd->flags & ~(EXO_IMPORT_BIND | EXO_IMPORT_RECEIVE | EXO_IMPORT_DONTWAIT))
		return false;
	if (cmd->flags & EXO_IMPORT_RECEIVE ? !exo_message_ok(cmd) :
	    cmd->flags & EXO_IMPORT_DONTWAIT || cmd->sock || cmd->count || cmd->caps_ptr)
		return false;
	if (cmd->flags & EXO_IMPORT_BIND)
		return exo_bind_rights_ok(cmd->rights);
	return !cmd->view && !cmd->page && !cmd->rights;
}

/**
 * exo_import_one() - import the capability that is in @cmd, and bind the frame, if that is wanted
 * @env: who presents the capability
 * @cmd: checked but for the capability; out_frame, out_rights and out_order are written on success
 *
 * The owner needs no grant, and gets none. Several capabilities for one frame add up. With
 * EXO_IMPORT_BIND all of it happens or nothing (INV-CAP-7).
 *
 * Context: sleeps; nothing is held that a fault takes.
 * Return: see exo_mem_import_op().
 */
int exo_import_one(struct exo_env *env, struct exo_mem_import *cmd)
{
	struct exo_frame *frame = exo_frame(cmd->cap.object);
	struct exo_view *view = NULL;
	int ret;

	/* Before any lock: it sleeps if the answer is no. */
	if (unlikely(!frame || !exo_frame_made(frame, &cmd->cap))) {
		ret = exo_cap_authentic(env, &cmd->cap, EXO_CAP_FRAME);
		if (ret)
			return ret;
	}
	if (!(cmd->flags & EXO_IMPORT_BIND))
		return import_only(env, cmd, frame);
	ret = exo_view_enter(env, cmd->view, &view);
	if (ret)
		return ret;
	ret = import(env, cmd, frame, view);
	exo_view_leave(view);
	trace_exo_bind(env->number, cmd->view, 1, !ret, ret);
	return ret;
}

/**
 * exo_mem_import_op() - EXO_MEM_IMPORT
 * @env: who presents the capability
 * @arg: struct exo_mem_import
 *
 * Context: sleeps; with EXO_IMPORT_RECEIVE it waits for another process, with nothing held.
 * Return: 0, -EINVAL, -EACCES, -ESTALE or -ENOMEM; with EXO_IMPORT_BIND also as EXO_MEM_BIND; with
 * EXO_IMPORT_RECEIVE also as exo_message_import().
 */
int exo_mem_import_op(struct exo_env *env, void *arg)
{
	struct exo_mem_import *cmd = arg;
	int ret;

	cmd->out_done = 0;
	cmd->out_received = 0;
	if (!import_ok(cmd))
		return -EINVAL;
	if (cmd->flags & EXO_IMPORT_RECEIVE)
		return exo_message_import(env, cmd);
	ret = exo_import_one(env, cmd);
	cmd->out_done = !ret;
	return ret;
}

static void drop_unmap(struct exo_env *env, u32 nr, u32 span)
{
	u32 i, k, numbers[EXO_FRAME_BATCH];

	for (i = 0; i < span; i += k) {
		for (k = 0; k < EXO_FRAME_BATCH && i + k < span; k++)
			numbers[k] = nr + i + k;
		exo_views_unmap_own(env, numbers, k);
	}
	exo_window_unmap_own(env, nr, span);
}

/*
 * The grant goes last: by the grants its owner finds the windows that have it (window.c). Nothing is
 * unmapped under share_lock, which is taken with a view locked; whoever imports the frame
 * meanwhile keeps the grant.
 */
static int drop_one(struct exo_env *env, u32 nr)
{
	struct exo_mem_env *mem = exo_mem(env);
	struct exo_grant *grant;
	u32 span;

	if (nr >= exo_nr_frames)
		return -EINVAL;
	mutex_lock(&mem->share_lock);
	grant = xa_load(&mem->grants, nr);
	if (!grant || (grant->drops && !grant->rights)) {
		mutex_unlock(&mem->share_lock);
		return -EACCES;
	}
	grant->drops++;
	WRITE_ONCE(grant->rights, 0);
	span = 1U << grant->order;
	mutex_unlock(&mem->share_lock);

	drop_unmap(env, nr, span);

	mutex_lock(&mem->share_lock);
	if (!--grant->drops && !grant->rights) {
		xa_erase(&mem->grants, nr);
		kfree_rcu(grant, rcu);
	}
	mutex_unlock(&mem->share_lock);
	return 0;
}

/**
 * exo_mem_drop_op() - EXO_MEM_DROP
 * @env: who imported
 * @arg: struct exo_mem_frames
 *
 * Return: 0; -EINVAL for a number out of range; -EACCES for a frame that was not imported; -EFAULT;
 * -EINTR. out_done frames are dropped in any case.
 */
int exo_mem_drop_op(struct exo_env *env, void *arg)
{
	struct exo_mem_frames *cmd = arg;
	u32 __user *user = u64_to_user_ptr(cmd->frames_ptr);
	int ret;
	u32 nr;

	cmd->out_done = 0;
	if (cmd->flags || !cmd->count || cmd->count > EXO_BATCH_MAX_PAGES)
		return -EINVAL;
	for (; cmd->out_done < cmd->count; cmd->out_done++) {
		if (get_user(nr, user + cmd->out_done))
			return -EFAULT;
		ret = drop_one(env, nr);
		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * exo_share_env_exit() - an environment dies: forget what it imported
 * @mem: of that environment, in no list any more; its views are gone
 */
void exo_share_env_exit(struct exo_mem_env *mem)
{
	struct exo_grant *grant;
	unsigned long nr;

	xa_for_each(&mem->grants, nr, grant)
		kfree_rcu(grant, rcu);
	xa_destroy(&mem->grants);
}
