/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Environments, the users they are charged to, capabilities, the event ring.
 *
 * An environment is one open file. Its memory is freed by RCU after the last reference: the file
 * holds one until release(); the revocation worker takes others. "dead" is set first in release(),
 * under envs_lock, and nothing new is done for a dead environment.
 */
#ifndef EXO_ENV_H
#define EXO_ENV_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <exo/exo.h>

struct cred;
struct eventfd_ctx;
struct file;
struct pid;
struct poll_table_struct;
struct vm_area_struct;
struct exo_graft_env;
struct exo_mem_env;
struct exo_xn_env;

/**
 * struct exo_user - a uid (of the outermost user namespace's owner) and its limits
 * @node: in the table of users
 * @uid: key, in the initial namespace
 * @refs: environments and quarantined frames, and one if it has limits of its own
 * @frames: frames charged: held and quarantined
 * @envs: environments
 * @views: views
 * @windows: mappings of windows and of the frame table, in all processes
 * @grafts: grafts, until their memory is freed
 * @graft_insns: their instructions, after lowering
 * @graft_jit: bytes of their machine code
 * @max_frames: limit, see struct exo_quota; READ_ONCE()
 * @min_frames: minimum that should be guaranteed; @reserved is what is
 * @deadline_ms: time between request and force; READ_ONCE()
 * @max_envs: limit
 * @max_views: limit
 * @max_grafts: limit; READ_ONCE()
 * @max_graft_insns: limit; READ_ONCE()
 * @max_graft_jit: limit; READ_ONCE()
 * @reserved: guaranteed minimum that is reserved in the pool now, for all environments of the uid
 *	together; READ_ONCE(). 0 without an environment, and if it didn't fit and CAP_SYS_ADMIN opened
 *	all the same
 * @own_limits: EXO_QUOTA_* of the limits that are not the defaults
 * @lock: guards @unused and the failures; a leaf
 * @held, @wanted: mem's: frames of living environments, and how many of these are asked back
 * @takers: mem's: workers that take frames from its environments now
 * @unused: what of @reserved is not charged to @frames
 * @failures: of capability checks, decaying; slows guessing down
 * @failure_jiffies: when the last was
 *
 * The limits, @envs, @views and @reserved change under users_lock (env/user.c).
 */
struct exo_user {
	struct hlist_node node;
	kuid_t uid;
	refcount_t refs;
	atomic_t frames;
	atomic_t envs;
	atomic_t held;
	atomic_t wanted;
	atomic_t takers;
	atomic_t views;
	atomic_t windows;
	atomic_t grafts;
	atomic_t graft_insns;
	atomic_t graft_jit;
	u32 max_frames;
	u32 min_frames;
	u32 deadline_ms;
	u32 max_envs;
	u32 max_views;
	u32 max_grafts;
	u32 max_graft_insns;
	u32 max_graft_jit;
	u32 reserved;
	u32 own_limits;
	spinlock_t lock;
	u32 unused;
	u32 failures;
	unsigned long failure_jiffies;
};

/**
 * struct exo_event_ring - the kernel's half of the event ring
 * @lock: guards @shared, @head, @overflow and @seq; a leaf
 * @shared: what user space maps; as long as the environment lives
 * @head: events ever posted: the truth, @shared->head is a copy
 * @overflow: events lost: the truth
 * @seq: number of the last event, lost ones included
 * @signal_lock: guards @eventfd
 * @signal_work: tells the readers; holds a reference to the environment while it is queued
 * @eventfd: signalled when there are events, or NULL
 * @wait: for poll
 */
struct exo_event_ring {
	spinlock_t lock;
	struct exo_ring *shared;
	u64 head;
	u64 overflow;
	u32 seq;
	struct mutex signal_lock;
	struct work_struct signal_work;
	struct eventfd_ctx *eventfd;
	wait_queue_head_t wait;
};

/**
 * struct exo_env - an environment: one open file
 * @number: never used again
 * @ref: the file's until release(), workers' others
 * @free_work: frees it a grace period after the last reference
 * @node: in exo_envs, under exo_envs_lock
 * @dead: release() has begun; set under exo_envs_lock
 * @user: who is charged
 * @opener: process that opened it
 * @ring: events
 * @mem: the mem noun's own
 * @graft: the graft noun's own
 * @xn: the xn noun's own
 * @tell: a keeper: no file, but an owner of frames inside the module, told so instead of by events. Under
 *	spinlocks; NULL for all others
 * @tell_arg: for @tell
 */
struct exo_env {
	u64 number;
	struct kref ref;
	struct rcu_work free_work;
	struct list_head node;
	bool dead;
	struct exo_user *user;
	struct pid *opener;
	struct exo_event_ring ring;
	struct exo_mem_env *mem;
	struct exo_graft_env *graft;
	struct exo_xn_env *xn;
	void (*tell)(void *arg, u32 type);
	void *tell_arg;
};

/* All live environments, in order of number. */
extern struct list_head exo_envs;
extern struct mutex exo_envs_lock;

/* For what an environment's end or its events need done later. */
extern struct workqueue_struct *exo_env_wq;

/* env/env.c */
struct exo_env *exo_env_create(struct file *file);	/* or ERR_PTR */
/* An owner of frames without a file; not in exo_envs. It ends with exo_frames_env_exit() and exo_env_put(). */
struct exo_env *exo_env_keeper(struct exo_user *user, void (*tell)(void *arg, u32 type), void *arg);
void exo_env_publish(struct exo_env *env);
void exo_env_abort(struct exo_env *env);
void exo_env_kill(struct exo_env *env);
void exo_env_release(struct exo_env *env);
struct exo_env *exo_env_get(struct exo_env *env);
void exo_env_put(struct exo_env *env);
/* Live environment by number, with a reference, or NULL. Sleeps. */
struct exo_env *exo_env_find(u64 number);
void exo_envs_flush(void);
int exo_envs_init(void);
void exo_envs_exit(void);

/* env/user.c */
kuid_t exo_user_of(const struct cred *cred);
struct exo_user *exo_user_get(kuid_t uid, bool create);	/* with a reference; ERR_PTR / NULL */
void exo_user_hold(struct exo_user *user);
void exo_user_put(struct exo_user *user);
int exo_user_charge_env(struct exo_user *user);
void exo_user_uncharge_env(struct exo_user *user);
int exo_user_charge_view(struct exo_user *user);
void exo_user_uncharge_view(struct exo_user *user);
/* Sum of the guaranteed minima that are reserved now. */
u32 exo_user_reserved_total(void);
u32 exo_user_default_min(void);
int exo_quota_get_op(struct exo_env *env, void *arg);
int exo_quota_set_op(struct exo_env *env, void *arg);
int exo_users_init(void);
void exo_users_exit(void);

/* env/charge.c */
int exo_user_charge_frames(struct exo_user *user, u32 n, u32 *own);	/* 0 or -EDQUOT */
void exo_user_took_own(u32 n);
void exo_user_uncharge_frames(struct exo_user *user, u32 n);
int exo_user_charge_graft(struct exo_user *user, u32 grafts, u32 insns, u32 jit);
void exo_user_uncharge_graft(struct exo_user *user, u32 grafts, u32 insns, u32 jit);
/* What of the minima that are reserved now their users have not allocated. */
u32 exo_user_unused_total(void);
void exo_user_unused_changed(struct exo_user *user);

/* env/ring.c: the first from any process context, also under a spinlock; the second sleeps */
void exo_event_post(struct exo_env *env, u32 type, u64 a0, u64 a1, u64 a2, u64 a3);
void exo_event_post_now(struct exo_env *env, u32 type, u64 a0, u64 a1, u64 a2, u64 a3);
int exo_event_ring_init(struct exo_event_ring *ring);
void exo_event_ring_exit(struct exo_event_ring *ring);
int exo_event_ring_mmap(struct exo_env *env, struct vm_area_struct *vma);
__poll_t exo_event_ring_poll(struct exo_env *env, struct file *file,
			     struct poll_table_struct *wait);
int exo_env_eventfd_op(struct exo_env *env, void *arg);

/* env/cap.c */
/* A generation never used before. Any context. */
u64 exo_cap_next_generation(void);
void exo_cap_seal(struct exo_cap *cap);		/* fills in the MAC */
/*
 * Is @cap well formed, of @kind, and is its MAC right? 0 or -EACCES; a failure is counted against
 * the caller's uid and may sleep, so no lock may be held. The generation is the caller's business,
 * after this.
 */
int exo_cap_authentic(struct exo_env *env, const struct exo_cap *cap, u16 kind);

/**
 * struct exo_cap_ops - what a kind of object tells env/cap.c
 * @generation: the object's generation now, 0 if there is no such object
 * @owned: 0 and the generation if @env owns it, else -EACCES
 * @revoke: give it a new generation and break every binding outside its owner; sleeps
 */
struct exo_cap_ops {
	u64 (*generation)(u64 object);
	int (*owned)(struct exo_env *env, u64 object, u64 *generation);
	int (*revoke)(struct exo_env *env_or_null, u64 object, u64 generation);
};
void exo_cap_register(u16 kind, const struct exo_cap_ops *ops);

#endif
