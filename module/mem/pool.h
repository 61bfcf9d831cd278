/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the frame half share: the pool, how frames leave, who is asked for some.
 *
 * The way of a frame: pool.c brings it in, alloc.c gives it an owner, leave.c takes it from the
 * owner and, when nothing reaches it any more, hands it to exo_pool_settle(): back among the free
 * ones, or to Linux if the pool owes it.
 */
#ifndef EXO_MEM_POOL_H
#define EXO_MEM_POOL_H

#include "core/pool.h"
#include "mem/view.h"

struct workqueue_struct;

/*
 * Frames that are handled between two looks at signals and the scheduler; arrays are on the stack.
 */
#define EXO_FRAME_BATCH 64

/*
 * Why a pool that shrinks asks: EXO_WHY_ADMIN to everybody else. What comes leaves the target, too.
 */
#define EXO_WHY_SHRINK (EXO_WHY_ADMIN | (1U << 8))
#define EXO_WHY_PUBLIC 0xffU

/* Frame numbers that a frame covers. */
static inline u32 exo_frame_span(const struct exo_frame *frame)
{
	return 1U << frame->order;
}

static inline unsigned int exo_pool_kind(u8 order)
{
	return order ? EXO_POOL_HUGE_KIND : EXO_POOL_SMALL;
}

/* mem/pool.c */
int exo_pool_init(void);
void exo_pool_exit(void);
u32 exo_pool_deficit(unsigned int kind);
void exo_pool_raise_locked(unsigned int kind, u32 n);
struct exo_pool *exo_pool_begin(void);
void exo_pool_end(void);
void exo_pool_settle(const u32 *frames, u32 n);
u32 exo_pool_give_idle(unsigned int kind, u32 node, u32 n, bool lower);
u32 exo_pool_idle(void);
u32 exo_pool_owed(void);
void exo_pool_owe(u32 n, u32 why);
void exo_pool_forgive(u32 n, u32 why);
u32 exo_pool_tell_lent(void);
void exo_pool_returned_locked(u32 n);

/* mem/table.c: the page of the shared table that shows a block, and the first one */
int exo_table_init(u32 frames);
void exo_table_exit(void);
struct exo_frame_entry *exo_table_add_block(u32 block);
void exo_table_block_added(u32 block);
void exo_table_set_counts(u64 present, u64 free, u64 free_huge, u64 target);

/* mem/window.c: faults of windows and of the table read, a barrier writes */
extern struct rw_semaphore exo_map_sem;
void exo_map_barrier(void);
int exo_map_prepare(struct vm_fault *vmf);
int exo_map_charge(struct exo_env *env);
void exo_map_open(struct vm_area_struct *vma);
void exo_map_close(struct vm_area_struct *vma);
u32 exo_window_bucket(void);
void exo_window_unmap_own(struct exo_env *env, u32 first, u32 n);

/* mem/grow.c */
int exo_pool_grow(u32 node, u8 order, u32 frames, u32 *done);
void exo_pool_refill(u32 node, u8 order, u32 n);

/* mem/colour.c */
u32 exo_colours_count(void);

/* mem/leave.c */
void exo_leave_exit(void);
void exo_frame_give_up_locked(struct exo_mem_env *mem, struct exo_frame *frame);
void exo_frames_unmap(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn,
		      void *ctx);
u32 exo_frames_leave(struct exo_mem_env *mem, const u32 *frames, u32 n);
void exo_held_drop(struct exo_mem_env *mem, u32 n);
bool exo_frame_quarantined(u32 nr, const struct exo_user *user);

/* mem/frame_cap.c */
void exo_frame_cap_init(void);
struct exo_frame *exo_frame_object_lock(u64 object, struct exo_env **owner);

/* mem/share.c */
void exo_share_revoked(const u32 *frames, u32 n);
void exo_share_env_exit(struct exo_mem_env *mem);

/* mem/mem_env.c */
extern struct workqueue_struct *exo_mem_wq;
extern struct list_head exo_mem_envs;
extern spinlock_t exo_mem_envs_lock;
int exo_spares_add(struct exo_mem_env *mem, u32 n);
void exo_spares_drop(struct exo_mem_env *mem, u32 n);

/* mem/log.c */
int exo_log_init(void);
void exo_log_exit(void);

/**
 * struct exo_log_entry - one line of the repossession log, or the room for one
 * @node: in mem->log or mem->spare
 * @taken: the line
 */
struct exo_log_entry {
	struct list_head node;
	struct exo_mem_taken taken;
};

struct exo_log_entry *exo_log_entry_alloc(void);
void exo_log_entries_free(struct list_head *entries);
void exo_log_write(struct exo_mem_env *mem, const struct exo_mem_taken *taken);
void exo_log_forget(struct exo_mem_env *mem);

/* mem/revoke.c */
int exo_revoke_init(void);
void exo_revoke_exit(void);
void exo_revoke_env_init(struct exo_mem_env *mem);
void exo_revoke_env_stop(struct exo_mem_env *mem);
void exo_revoke_env_exit(struct exo_mem_env *mem);
void exo_revoke_given(struct exo_mem_env *mem, u32 n);
void exo_revoke_held(struct exo_mem_env *mem, int n);
u32 exo_revoke_ask_all(u32 n, u32 why, u32 deadline_ms);
void exo_revoke_for_min(u32 n);
u32 exo_revoke_possible(void);
u32 exo_revoke_gently(void);
bool exo_revoke_hurry(u32 deadline_ms);

/* mem/shrink.c */
int exo_shrink_init(void);
void exo_shrink_exit(void);

#endif
