/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames: the pool, who owns what, and the records of where a frame is bound.
 *
 * A frame number is block << 9 | index. A block is 512 frames: one 2 MiB compound page ("huge"), or
 * 512 single pages (physically contiguous if the buddy allocator had them so).
 *
 * States, and the functions of each transition:
 *
 *	ABSENT -> FREE		fill_block (grow.c)
 *	FREE -> TAKEN		own (alloc.c): zeroed before, if the last owner was another
 *	TAKEN -> LEAVING	exo_frame_give_up_locked: new generation; no bind, fault or window
 *				from here
 *	LEAVING -> FREE		exo_frames_leave, after exo_frames_unmap, if nothing else holds it
 *	LEAVING -> QUARANTINED	exo_frames_leave, if I/O still pins it: still charged
 *	QUARANTINED -> FREE	release_one (leave.c): the pin is gone
 *	FREE -> ABSENT		exo_pool_give_idle, exo_pool_settle
 *
 * Locks, outermost first (docs/locking.md):
 *	leave_lock (mutex) -> view->lock (mutex) -> owner's mem->frames_lock (spin) -> pool lock
 *	mmap_lock or VMA lock -> view->lock
 *
 * The owner's frames_lock guards, for each frame that it owns: state, generation, owner and the
 * binding records. exo_frame_lock() finds and takes it. Only one frames_lock is ever held at a
 * time.
 */
#ifndef EXO_MEM_FRAME_H
#define EXO_MEM_FRAME_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "core/revoke.h"
#include "env/env.h"

#define EXO_FRAMES_MAX (1U << 30)	/* numbers: they are part of a window's mmap offset */
#define EXO_NO_PAGE (~0U)
#define EXO_VIEW_HINTS 32
#define EXO_BLOCK_SHIFT EXO_HUGE_ORDER
#define EXO_BLOCK_FRAMES EXO_HUGE_FRAMES

enum exo_frame_phase {
	EXO_PHASE_ABSENT,
	EXO_PHASE_FREE,
	EXO_PHASE_TAKEN,
	EXO_PHASE_LEAVING,
	EXO_PHASE_QUARANTINED,
};

struct exo_graft_attachment;
struct exo_view;

/**
 * struct exo_binding - a binding beyond a frame's first
 * @node: in the frame's @more
 * @view: number of the view
 * @page: page there
 *
 * Allocated with GFP_KERNEL_ACCOUNT before the locks are taken; at most EXO_BINDINGS_MAX a frame.
 */
struct exo_binding {
	struct list_head node;
	u32 view;
	u32 page;
};
#define EXO_BINDINGS_MAX 256

#define EXO_FRAME_SHARED (1U << 0)	/* imported by somebody since it was allocated */
#define EXO_FRAME_LOGGED (1U << 1)	/* being taken, and the log has an entry of it already */

/**
 * struct exo_frame - a page frame
 * @page: the page; of a 2 MiB frame each of the 512 entries has its own subpage
 * @owner: environment, NULL unless TAKEN or LEAVING
 * @generation: of capabilities for it (of a 2 MiB frame the first entry's counts)
 * @bview: the first binding: view number. Stays after an unbind: together with @stale it says
 *	which TLB may still hold a translation
 * @bpage: the first binding: page, EXO_NO_PAGE if there is none
 * @bound: both at once
 * @stale: view->seq of the last unbind or rebind from @bview; the translation is gone for sure when
 *	view->flushed >= stale, or that view is no more
 * @more: further bindings
 * @payer: QUARANTINED: the user that is charged, with a reference (then there are no bindings)
 * @last_owner: while it isn't TAKEN: number of the environment that last held it, 0: Linux
 * @mac: while @sealed: MAC of the capability that was made when the frame was allocated
 * @held: in owner's mem->held (2 MiB frame: only the first entry); QUARANTINED: in the list of
 *	those
 * @phase: enum exo_frame_phase
 * @order: 0, or EXO_HUGE_ORDER in all 512 entries
 * @nr: its number
 * @flags: EXO_FRAME_SHARED, EXO_FRAME_LOGGED; the module's own, not those of the table
 * @nr_more: how many are in @more
 * @sealed: first word of that capability; 0: none was made, or it was revoked
 */
struct exo_frame {
	struct page *page;
	struct exo_env *owner;
	u64 generation;
	u64 stale;
	union {
		struct {
			u32 bview;
			u32 bpage;
		};
		u64 bound;
	};
	union {
		struct list_head more;
		struct exo_user *payer;
	};
	union {
		u64 last_owner;
		u64 mac;
	};
	struct list_head held;
	u8 phase;
	u8 order;
	u8 flags;
	u16 nr_more;
	u32 nr;
	u32 sealed;
};

/*
 * The blocks that are there; slots are filled under the pool's lock and never freed while loaded.
 */
extern struct exo_frame **exo_blocks;
extern u32 exo_nr_frames;	/* length of the frame table */

/* NULL if @nr is out of range or its block was never there. Speculation-safe. */
static inline struct exo_frame *exo_frame(u32 nr)
{
	struct exo_frame *block;

	if (unlikely(nr >= exo_nr_frames))
		return NULL;
	nr = array_index_nospec(nr, exo_nr_frames);
	block = READ_ONCE(exo_blocks[nr >> EXO_BLOCK_SHIFT]);
	return block ? block + (nr & (EXO_BLOCK_FRAMES - 1)) : NULL;
}

/* A frame by a number that comes from the pool or from a slot: it is there. */
static inline struct exo_frame *exo_frame_known(u32 nr)
{
	return exo_blocks[nr >> EXO_BLOCK_SHIFT] + (nr & (EXO_BLOCK_FRAMES - 1));
}

/* A new generation: capabilities that were made before are void. The owner is locked. */
static inline void exo_frame_renew(struct exo_frame *frame)
{
	WRITE_ONCE(frame->sealed, 0);
	/* Pairs with the first barrier of exo_frame_made(). */
	smp_wmb();
	WRITE_ONCE(frame->generation, exo_cap_next_generation());
}

/* The first word of a capability. */
static inline u64 exo_cap_head(const struct exo_cap *cap)
{
	return (u64)cap->reserved << 32 | (u32)cap->rights << 16 | cap->kind;
}

/* Remember the capability that is made with a frame. The environment that gets both is locked. */
static inline void exo_frame_seal(struct exo_frame *frame, const struct exo_cap *cap)
{
	WRITE_ONCE(frame->mac, cap->mac);
	/* Pairs with the second barrier of exo_frame_made(). */
	smp_wmb();
	WRITE_ONCE(frame->sealed, exo_cap_head(cap));
}

/*
 * Is this the capability that was made with the frame? Then it is authentic, and its MAC needn't be
 * computed again (INV-CAP-8). All of it is compared at once, in constant time (INV-CAP-4). Without a
 * lock: that the generation is the same before and after says that all belonged to it. Whether it
 * still is the frame's is to be looked at with the owner locked.
 */
static inline bool exo_frame_made(const struct exo_frame *frame, const struct exo_cap *cap)
{
	u64 sealed, diff = READ_ONCE(frame->generation) ^ cap->generation;

	smp_rmb();
	sealed = READ_ONCE(frame->sealed);
	smp_rmb();
	diff |= READ_ONCE(frame->mac) ^ cap->mac;
	smp_rmb();
	diff |= READ_ONCE(frame->generation) ^ cap->generation;
	diff |= (sealed ^ exo_cap_head(cap)) | (frame->nr ^ cap->object);
	/* Keeps the compiler from comparing piecewise. */
	OPTIMIZER_HIDE_VAR(diff);
	return !diff && sealed;
}

/* First entry of the frame that @nr is part of: itself, or the head of its 2 MiB frame. */
static inline u32 exo_frame_head(u32 nr, const struct exo_frame *frame)
{
	return frame->order ? nr & ~(EXO_BLOCK_FRAMES - 1) : nr;
}

/**
 * struct exo_grant - a frame that this environment imported
 * @rcu: readers look without a lock
 * @generation: of the capability; the grant is good while it is the frame's
 * @rights: EXO_RIGHT_*
 * @order: of the frame
 * @told: its end was posted
 * @drops: DROPs that are unmapping it; under share_lock
 */
struct exo_grant {
	struct rcu_head rcu;
	u64 generation;
	u16 rights;
	u8 order;
	bool told;
	u32 drops;
};

/**
 * struct exo_offer - what a capability that is just being imported gives
 * @generation: of the capability; the offer is good while it is the frame's
 * @rights: EXO_RIGHT_*, those of a grant with the same generation included
 *
 * An import that binds (EXO_IMPORT_BIND) binds by it, and makes it a grant when nothing can fail
 * any more (INV-CAP-7).
 */
struct exo_offer {
	u64 generation;
	u16 rights;
};

/**
 * struct exo_mem_env - what mem keeps per environment
 * @env: the environment
 * @node: in the list of all, in order of env->number, under exo_mem_envs_lock
 * @bucket: where its windows are, see mem/window.c
 * @leave_lock: outermost, held while frames of this owner leave or their capabilities are
 *	revoked, so that a frame can't come back and be somebody else's in the middle of it. Nothing
 *	is allocated under it
 * @frames_lock: see the top of this file
 * @held: frames that it owns, oldest first
 * @nr_held: how many (a 2 MiB frame counts 512)
 * @nr_quarantined: given up, still pinned
 * @nr_bound: pages bound in its views
 * @grants: frame number -> struct exo_grant
 * @share_lock: guards changes of @grants
 * @views: view number -> struct exo_view, only this environment's
 * @view_hints: the view with that number, modulo EXO_VIEW_HINTS, or another, or NULL
 * @upcalls: the fault side's own
 * @victim: says what is taken, or NULL; under @leave_lock
 * @deadline_work: takes what is due; queued under exo_mem_envs_lock while @node is in the list
 * @worker_ns: when that is to run, 0: never; under exo_mem_envs_lock
 * @revoke_lock: a leaf; guards @asks, the counters, the log and @spare
 * @asks: what it was asked for and has not given yet
 * @asked: frames asked for, ever; asked = given + taken + asks.total (INV-REV-4)
 * @given: frames given when asked, ever
 * @taken: frames taken by force, ever
 * @log: struct exo_log_entry, of frames that were taken
 * @nr_log: how many
 * @spare: log entries set aside: one a frame held and one an exo_binding, and perhaps a few more
 * @nr_spare: how many there are
 * @nr_need: how many there must be
 *
 * It lives as long as the environment's memory (the noun's env_free), so that exo_frame_lock() may
 * use it.
 */
struct exo_mem_env {
	struct exo_env *env;
	struct list_head node;
	u32 bucket;
	struct mutex leave_lock;

	spinlock_t frames_lock;
	struct list_head held;
	u32 nr_held;
	atomic_t nr_quarantined;
	atomic64_t nr_bound;
	struct xarray grants;
	struct mutex share_lock;
	struct xarray views;
	struct exo_view *view_hints[EXO_VIEW_HINTS];
	struct exo_upcalls *upcalls;
	struct exo_graft_attachment *victim;

	struct delayed_work deadline_work;
	u64 worker_ns;
	spinlock_t revoke_lock;
	struct exo_asks asks;
	u64 asked;
	u64 given;
	u64 taken;
	struct list_head log;
	u32 nr_log;
	struct list_head spare;
	u32 nr_spare;
	u32 nr_need;
};

static inline struct exo_mem_env *exo_mem(struct exo_env *env)
{
	return env->mem;
}

/*
 * Take the frames_lock of @frame's owner. Returns the owner with the lock held, or NULL with
 * nothing held if the frame has no owner. Call under rcu_read_lock() or
 * rcu_read_lock_sched(), which keep the owner's memory. sparse can't follow a lock that is taken sometimes: it doesn't get to see this one.
 */
static inline struct exo_env *exo_frame_lock(struct exo_frame *frame)
{
	struct exo_env *owner;

	for (;;) {
		owner = READ_ONCE(frame->owner);
		if (!owner)
			return NULL;
		spin_lock(&owner->mem->frames_lock);
		if (likely(frame->owner == owner)) {
			__release(&owner->mem->frames_lock);
			return owner;
		}
		spin_unlock(&owner->mem->frames_lock);
	}
}

static inline void exo_frame_unlock(struct exo_env *owner)
{
	__acquire(&owner->mem->frames_lock);
	spin_unlock(&owner->mem->frames_lock);
}

/*
 * What @env may do with frame @nr now: EXO_RIGHT_*, or -EACCES (not its own, not imported),
 * -ESTALE (imported and revoked). The frame's owner is locked.
 */
int exo_frame_rights_locked(struct exo_env *env, u32 nr, struct exo_frame *frame);

/*
 * A binding beyond a frame's first, in a view of @env, and with it the room for its entry in the
 * repossession log. alloc sleeps, NULL without memory; free may be called under spinlocks and
 * accepts NULL.
 */
struct exo_binding *exo_binding_alloc(struct exo_env *env);
void exo_binding_free(struct exo_env *env, struct exo_binding *binding);

/* The noun's first half; module/mem/pool.h has what its files share with each other. */
int exo_frames_init(void);
void exo_frames_exit(void);
int exo_frames_env_init(struct exo_env *env);	/* makes env->mem, grants and views empty */
void exo_frames_env_exit(struct exo_env *env);	/* after the views are gone: all frames leave */
void exo_frames_env_free(struct exo_env *env);	/* frees env->mem */
int exo_window_mmap(struct exo_env *env, struct vm_area_struct *vma);
int exo_table_mmap(struct exo_env *env, struct vm_area_struct *vma);
/*
 * Unmap frames of one owner, whose leave_lock is held, from every window; returns when no CPU can
 * reach them through one. Sleeps.
 */
void exo_window_unmap_frames(const u32 *frames, u32 n);

/* Frames of a keeper (exo_env_keeper()), one at a time. */
int exo_frame_take(struct exo_env *env, u32 *nr, u64 *generation);
void exo_frame_give(struct exo_env *env, u32 nr, u64 generation);
int exo_frame_shut(struct exo_env *env, u32 nr, u64 *generation);
struct page *exo_frame_pin(struct exo_env *env, u32 nr, u64 generation);
u32 exo_frames_wanted(struct exo_env *env);

/* Handlers (frame side). */
int exo_mem_pool_op(struct exo_env *env, void *arg);
int exo_mem_alloc_op(struct exo_env *env, void *arg);
int exo_mem_free_op(struct exo_env *env, void *arg);
int exo_mem_import_op(struct exo_env *env, void *arg);
int exo_mem_drop_op(struct exo_env *env, void *arg);
int exo_mem_revoke_op(struct exo_env *env, void *arg);
int exo_mem_log_op(struct exo_env *env, void *arg);
int exo_mem_query_op(struct exo_env *env, void *arg);
/* For EXO_ENV_STATUS and EXO_ENV_LIST: fill in the mem part. */
void exo_mem_fill_status(struct exo_env *env, struct exo_env_status *st);
/* For EXO_INFO and the quota: size of the pool and its properties. */
u32 exo_pool_present(void);
u32 exo_pool_available(unsigned int kind, u32 kept, u32 own);
u32 exo_pool_colours(void);

#endif
