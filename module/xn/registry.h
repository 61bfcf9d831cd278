/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The buffer registry of a disk: entries (block -> frame, state, unit), their holders and locks.
 *
 * An entry is in @blocks from exo_xn_reg_enter() or a speculative read on, which happens under the disk's lock, until its
 * block is freed, the disk is detached, or nobody holds it and its frame goes. Its frames belong to
 * *keepers*, one a uid (exo_env_keeper()): the module may take them by force at any time, which is
 * seen by their generation.
 *
 * Locks: reg->lock is a spinlock, inside the disk's lock and without any other inside. BUSY, in an entry's state,
 * is held across its I/O: who is BUSY never waits for the disk's lock, who has that may wait for BUSY.
 * Frames are taken and given with no lock of xn's held: to unmap one may take as long as another's
 * process likes. So who drops entries under the disk's lock leaves their frames to the worker.
 */
#ifndef EXO_XN_REGISTRY_H
#define EXO_XN_REGISTRY_H

#include <linux/blk_types.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "core/xn_reg.h"

struct exo_env;
struct exo_user;
struct exo_xn_binding;
struct exo_xn_disk_dev;
struct vm_area_struct;

/**
 * struct exo_xn_keeper - owner of the frames that one uid wanted
 * @node: in the registry's list; to the end of the registry
 * @env: who owns them
 * @reg: of which registry
 * @nr: entries that this uid made; under reg->lock
 * @work: gives frames that are asked for, and rows of those that were taken
 */
struct exo_xn_keeper {
	struct list_head node;
	struct exo_env *env;
	struct exo_xn_reg *reg;
	u32 nr;
	struct work_struct work;
};

/**
 * struct exo_xn_page - a block's entry
 * @ref: of the index, of each hold, of who uses it
 * @rcu: exo_xn_reg_wrote() looks without a lock
 * @lru: in the registry's list, the one that was used longest ago first; then in @dead
 * @indexed: it is in the index; under reg->lock
 * @wait: for its locks, and for BUSY
 * @block: which
 * @parent: unit that owns it, 0: not known
 * @root: number, 0: not known
 * @index: its row of the table
 * @writes: of the block past the frame, ever
 * @state: under reg->lock, as all below
 * @slots: its locks
 * @payer: whose entry it is
 * @keeper: with FRAME: owner of it
 * @frame: with FRAME: its number
 * @generation: of it
 */
struct exo_xn_page {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head lru;
	bool indexed;
	wait_queue_head_t wait;
	u64 block;
	u64 parent;
	u32 root;
	u32 index;
	atomic_t writes;
	struct exo_xn_reg_state state;
	struct exo_xn_slots slots;
	struct exo_xn_keeper *payer;
	struct exo_xn_keeper *keeper;
	u32 frame;
	u64 generation;
};

/**
 * struct exo_xn_hold - a number that names an entry
 * @ref: of the binding, and of who waits for a lock
 * @page: entry, with a reference
 * @held: its locks; under reg->lock
 * @write: it may write
 * @over: the number is gone; under reg->lock
 */
struct exo_xn_hold {
	refcount_t ref;
	struct exo_xn_page *page;
	struct exo_xn_held held;
	bool write;
	bool over;
};

/**
 * struct exo_xn_reg - the registry of a disk
 * @lock: see above
 * @blocks: block -> struct exo_xn_page; filled under the disk's lock, emptied under @lock
 * @lru: struct exo_xn_page.lru
 * @nr: entries
 * @nr_blocks: of these, those that aren't memory
 * @table: what everybody may map, NULL until there was an entry; with it @used
 * @used: bit n: row n is an entry's
 * @keepers: struct exo_xn_keeper.node, under @keepers_lock
 * @keepers_lock: a mutex, without another inside
 * @gate: read by who uses keepers, outside of all but @keepers_lock; written by detach, which ends them
 * @dead: struct exo_xn_page.lru: dropped, with a reference; the worker gives their frames back
 * @work: gives those back, and writes what is dirty and held by nobody
 * @ended: the disk is detached: there are no keepers; under @gate
 */
struct exo_xn_reg {
	spinlock_t lock;
	struct xarray blocks;
	struct list_head lru;
	u32 nr;
	u32 nr_blocks;
	struct exo_xn_reg_table *table;
	unsigned long *used;
	struct list_head keepers;
	struct mutex keepers_lock;
	struct rw_semaphore gate;
	struct list_head dead;
	struct work_struct work;
	bool ended;
};

/**
 * struct exo_xn_batch_one - an entry that is read or written with others
 * @batch: which these are
 * @page: entry
 * @binding: in flight meanwhile, or NULL: for who put it here
 * @frame: while it is read or written: the page of its frame, or NULL: that was taken
 * @busy: it is BUSY by who put it here; else there is nothing to do
 * @error: what came of it
 */
struct exo_xn_batch_one {
	struct exo_xn_batch *batch;
	struct exo_xn_page *page;
	struct exo_xn_binding *binding;
	struct page *frame;
	bool busy;
	int error;
};

/**
 * struct exo_xn_batch - entries that are read or written together
 * @disk: theirs
 * @opf: of their bios
 * @pending: bios under way, and the submitter
 * @done: all are over
 * @nr: entries
 * @room: at most so many
 * @one: each, in the order in which they were put here
 * @only: @one, if there is room for one only
 */
struct exo_xn_batch {
	struct exo_xn_disk_dev *disk;
	blk_opf_t opf;
	atomic_t pending;
	struct completion done;
	u32 nr;
	u32 room;
	struct exo_xn_batch_one *one;
	struct exo_xn_batch_one only;
};

/* Row of the table. */
static inline struct exo_xn_reg_row *exo_xn_table_row(struct exo_xn_reg *reg, u32 index)
{
	return (struct exo_xn_reg_row *)(reg->table + 1) + index;
}

/* xn/registry.c: entries */
struct exo_xn_page *exo_xn_page_new(u64 block, struct exo_xn_keeper *payer);
int exo_xn_page_add(struct exo_xn_disk_dev *disk, struct exo_xn_page *page);
void exo_xn_page_remove(struct exo_xn_reg *reg, struct exo_xn_page *page);
void exo_xn_page_put(struct exo_xn_page *page);
void exo_xn_page_look(struct exo_xn_reg *reg, struct exo_xn_page *page);
void exo_xn_page_used(struct exo_xn_reg *reg, struct exo_xn_page *page);
void exo_xn_page_changed(struct exo_xn_reg *reg, struct exo_xn_page *page);
void exo_xn_page_tidy(struct exo_xn_reg *reg, struct exo_xn_page *page);
void exo_xn_page_wait(struct exo_xn_page *page);
int exo_xn_reg_enter(struct exo_xn_disk_dev *disk, struct exo_xn_binding *binding, u64 parent);
void exo_xn_hold_end(struct exo_xn_disk_dev *disk, struct exo_xn_hold *hold);
void exo_xn_hold_put(struct exo_xn_hold *hold);
void exo_xn_reg_wrote(struct exo_xn_disk_dev *disk, u64 block, u64 count);
void exo_xn_reg_part(struct exo_xn_disk_dev *disk, u32 root);
void exo_xn_reg_drop(struct exo_xn_disk_dev *disk, u64 block, u64 count);

/* xn/registry_work.c: keepers, frames that go, what is written for the dead */
int exo_xn_reg_init(void);
void exo_xn_reg_exit(void);
void exo_xn_reg_setup(struct exo_xn_disk_dev *disk);
int exo_xn_reg_open(struct exo_xn_reg *reg);
void exo_xn_reg_work(struct exo_xn_reg *reg);
u32 exo_xn_reg_reclaim(struct exo_xn_keeper *keeper, u32 want, enum exo_xn_reg_rank most);
int exo_xn_reg_flush(struct exo_xn_disk_dev *disk);
int exo_xn_reg_write_back(struct exo_xn_disk_dev *disk, u32 root, bool idle, u32 *written);
void exo_xn_reg_end(struct exo_xn_disk_dev *disk);
void exo_xn_reg_free(struct exo_xn_disk_dev *disk);
struct exo_xn_keeper *exo_xn_keeper_get(struct exo_xn_reg *reg, struct exo_env *env);
int exo_xn_keeper_take(struct exo_xn_keeper *keeper, u32 *frame, u64 *generation);

/* xn/registry_entry.c: using an entry and its locks */
int exo_xn_entry_op(struct exo_env *env, void *arg);
int exo_xn_entry_lock_op(struct exo_env *env, void *arg);

/* xn/registry_batch.c */
void exo_xn_batch_init(struct exo_xn_batch *batch, blk_opf_t opf, u32 room);
void exo_xn_batch_free(struct exo_xn_batch *batch);
struct exo_xn_batch_one *exo_xn_batch_add(struct exo_xn_batch *batch, struct exo_xn_page *page, bool busy);
void exo_xn_batch_run(struct exo_xn_batch *batch);

/* xn/registry_io.c */
int exo_xn_page_finish(struct exo_xn_disk_dev *disk, struct exo_xn_page *page);
int exo_xn_page_io(struct exo_xn_disk_dev *disk, struct exo_xn_page *page, u32 kind);
int exo_xn_entry_io_op(struct exo_env *env, void *arg);
int exo_xn_speculate_op(struct exo_env *env, void *arg);

/* xn/registry_table.c */
int exo_xn_table_mmap(struct exo_env *env, struct vm_area_struct *vma);

#endif
