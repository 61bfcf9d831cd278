/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shell around the engine of xn (core/xn.h): block devices, templates' functions, commands,
 * extent bindings and their I/O.
 *
 * Locks, outermost first (docs/locking.md):
 *	exo_xn_disks_lock (mutex): the table of disks; attach, detach, format, grow
 *	disk->lock (mutex): the engine, and the list of the disk's bindings. Nothing is copied from or
 *		to user space under it: a fault there may be on a view, and wait for a program that
 *		waits for the disk (INV-XN-16)
 *	the window of a template's function (mutex)
 *
 * The fast path takes none: a binding is found by RCU and counted in binding->inflight. Who makes
 * it stale sets binding->stale first and then waits until nothing is in flight (INV-XN-18).
 */
#ifndef EXO_XN_XN_H
#define EXO_XN_XN_H

#include <linux/bio.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat/blkdev.h"
#include "core/xn.h"
#include "env/env.h"
#include "xn/registry.h"

struct io_comp_batch;
struct io_uring_cmd;
struct exo_xn_wait;

#define EXO_XN_DISKS 64U	/* attached at a time */
#define EXO_XN_BINDINGS 65536U	/* of an environment */
#define EXO_XN_NEAR 64U	/* numbers that are looked up without the tree */
#define EXO_XN_CONTENT (1U << 20)	/* bytes of a template's stored content, at most */

/**
 * struct exo_xn_disk_dev - an attached disk
 * @ref: the table's, each binding's, each command's
 * @number: in the table
 * @bdev: the device, open exclusively
 * @lock: the engine takes one caller at a time
 * @xn: the engine; NULL: detached
 * @bindings: struct exo_xn_binding.node, under @lock
 * @by_block: the same by the blocks that they stand for: who frees one among many doesn't look at all
 * @nr_bindings: how many
 * @walk: a check that has begun, or NULL; under @lock
 * @walk_cursor: its number, under @lock
 * @requested: bit n: somebody waits for a commit of root n; under @lock
 * @seq: of the last transaction, under @lock
 * @bios: for all I/O; a struct exo_xn_req stands before each bio
 * @alone: who has it may wait for a bio while he has some (INV-XN-29); a mutex, without another inside
 * @later: commands whose data is written, and that a commit is needed for
 * @commit: makes it; with a reference
 * @polled: bios of rings that poll, under way on queues that are polled
 * @pollers: who is in bio_poll() on the device
 * @sweeping: @sweep is going to run
 * @sweep: polls for those whom nobody asks for
 * @reg: the buffer registry
 * @name: of the device
 */
struct exo_xn_disk_dev {
	struct kref ref;
	u32 number;
	struct exo_bdev bdev;
	struct mutex lock;
	struct exo_xn *xn;
	struct list_head bindings;
	struct rb_root_cached by_block;
	u32 nr_bindings;
	struct exo_xn_walk *walk;
	u64 walk_cursor;
	unsigned long requested[BITS_TO_LONGS(EXO_XN_ROOTS + 1)];
	u64 seq;
	struct bio_set bios;
	struct mutex alone;
	struct llist_head later;
	struct work_struct commit;
	atomic_t polled;
	atomic_t pollers;
	bool sweeping;
	struct delayed_work sweep;
	struct exo_xn_reg reg;
	char name[32];
};

/**
 * struct exo_xn_env - what xn keeps per environment
 * @bindings: number -> struct exo_xn_binding
 * @near: the same of numbers below EXO_XN_NEAR; changed with @bindings, under its lock
 * @cred: of the opener: acl asks for its groups
 */
struct exo_xn_env {
	struct xarray bindings;
	struct exo_xn_binding __rcu *near[EXO_XN_NEAR];
	const struct cred *cred;
};

/**
 * struct exo_xn_binding - an extent binding
 * @rcu: readers look without a lock
 * @node: in the disk's list, or empty: stale for ever
 * @by_block: in the disk's tree, as long as @node is in its list
 * @subtree_last: of that tree
 * @disk: with a reference
 * @unit: that owns the blocks, held; NULL when @node is empty
 * @generation: of the unit, when it was checked
 * @block: first
 * @count: blocks; 0: @unit itself, for the locks of its entry
 * @root: number
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE
 * @stale: its blocks were freed, or the disk is gone
 * @inflight: I/O under way, and who is just looking
 * @who: on whose behalf it was made; asked again when the unit changed
 * @keys: that @who presented
 * @hold: of its entry in the registry, or NULL
 */
struct exo_xn_binding {
	struct rcu_head rcu;
	struct list_head node;
	struct rb_node by_block;
	u64 subtree_last;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_unit *unit;
	u64 generation;
	u64 block;
	u32 count;
	u32 root;
	u32 rights;
	bool stale;
	atomic_t inflight;
	struct exo_xn_who who;
	struct exo_xn_key keys[EXO_XN_KEYS];
	struct exo_xn_hold *hold;
};

/**
 * struct exo_xn_req - one I/O; it stands before its first bio
 * @pending: bios under way, and the submitter
 * @error: of one that failed, or 0
 * @kind: EXO_XN_IO_READ or EXO_XN_IO_WRITE
 * @commit: the engine must commit before it is complete
 * @iopoll: of a ring that polls
 * @polled: its bio is polled
 * @binding: in flight
 * @block: first
 * @count: blocks
 * @ucmd: io_uring's request, or NULL: @wait
 * @wait: who waits for it
 * @bio: the first; it goes when the request is complete
 */
struct exo_xn_req {
	atomic_t pending;
	int error;
	u32 kind;
	bool commit;
	bool iopoll;
	bool polled;
	struct exo_xn_binding *binding;
	u64 block;
	u32 count;
	struct io_uring_cmd *ucmd;
	struct exo_xn_wait *wait;
	struct bio bio;
};

/* xn/disk.c */
extern struct mutex exo_xn_disks_lock;
struct exo_xn_disk_dev *exo_xn_disk_get(u32 number);
void exo_xn_disk_put(struct exo_xn_disk_dev *disk);
int exo_xn_format_op(struct exo_env *env, void *arg);
int exo_xn_attach_op(struct exo_env *env, void *arg);
int exo_xn_detach_op(struct exo_env *env, void *arg);
int exo_xn_grow_op(struct exo_env *env, void *arg);
int exo_xn_check_op(struct exo_env *env, void *arg);
int exo_xn_trim_op(struct exo_env *env, void *arg);
int exo_xn_disk_op(struct exo_env *env, void *arg);
int exo_xn_map_op(struct exo_env *env, void *arg);

/* xn/quota.c */
int exo_xn_quota_op(struct exo_env *env, void *arg);

/* xn/owners.c */
int exo_xn_arrival_get(struct exo_xn_attach *cmd, struct exo_xn_arrival *arrival);
void exo_xn_arrival_put(struct exo_xn_arrival *arrival);
void exo_xn_arrival_say(struct exo_xn_attach *cmd, const struct exo_xn_arrival *arrival);

/* xn/io.c: the engine's surroundings */
extern const struct exo_xn_host exo_xn_host;
void exo_xn_drain(struct exo_xn *xn, u64 block, u64 count);

/* xn/template.c */
int exo_xn_template_compile(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content,
			    u32 length, struct exo_graft_error *err, u32 *func);
void exo_xn_template_release(struct exo_xn *xn, struct exo_xn_template_core *t);
int exo_xn_template_owns(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length, u32 part, u64 block,
			 struct exo_xn_extents *out);
bool exo_xn_template_acl(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length, const struct exo_xn_question *q,
			 const struct exo_xn_who *who);
u32 exo_xn_template_size(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length);
void exo_xn_templates_init(void);
int exo_xn_template_add_op(struct exo_env *env, void *arg);
int exo_xn_template_op(struct exo_env *env, void *arg);

/* xn/root.c */
void exo_xn_who(struct exo_env *env, struct exo_xn_who *who);
int exo_xn_who_keys(struct exo_env *env, struct exo_xn_who *who, u64 keys, u32 nr,
		    struct exo_xn_key *room);
int exo_xn_root_create_op(struct exo_env *env, void *arg);
int exo_xn_root_op(struct exo_env *env, void *arg);
int exo_xn_root_set_op(struct exo_env *env, void *arg);

/* xn/unit.c */
int exo_xn_read_op(struct exo_env *env, void *arg);
int exo_xn_apply_op(struct exo_env *env, void *arg);
int exo_xn_commit_op(struct exo_env *env, void *arg);

/* xn/bind.c */
struct exo_xn_binding *exo_xn_binding_begin(struct exo_env *env, u32 number, bool nowait);
void exo_xn_binding_end(struct exo_xn_binding *binding);
void exo_xn_bindings_drop(struct exo_xn_disk_dev *disk);
void exo_xn_bindings_settle(struct exo_xn_disk_dev *disk, u32 root);
struct exo_xn_binding *exo_xn_binding_new(struct exo_env *env, const struct exo_xn_bind *cmd);
int exo_xn_binding_make(struct exo_env *env, const struct exo_xn_bind *cmd,
			struct exo_xn_binding *binding, struct exo_xn_hold *hold, u32 *number);
bool exo_xn_binding_break(struct exo_env *env, u32 number);
bool exo_xn_binding_current(const struct exo_xn_binding *binding);
struct exo_xn_binding *exo_xn_binding_look(struct exo_env *env, u32 number);
int exo_xn_bind_op(struct exo_env *env, void *arg);
int exo_xn_unbind_op(struct exo_env *env, void *arg);
int exo_xn_env_init(struct exo_env *env);
void exo_xn_env_exit(struct exo_env *env);
void exo_xn_env_free(struct exo_env *env);

/* xn/data.c */
int exo_xn_io_op(struct exo_env *env, void *arg);
int exo_xn_io_uring(struct exo_env *env, void *arg, struct io_uring_cmd *ucmd,
		    unsigned int issue_flags);
void exo_xn_data_setup(struct exo_xn_disk_dev *disk);
int exo_xn_data_init(void);
void exo_xn_data_exit(void);

/* xn/poll.c */
void exo_xn_polled_setup(struct exo_xn_disk_dev *disk);
void exo_xn_polled_close(struct exo_xn_disk_dev *disk);
void exo_xn_polled_drain(struct exo_xn_disk_dev *disk);
int exo_xn_iopoll(struct io_uring_cmd *ucmd, struct io_comp_batch *iob, unsigned int flags);

#endif
