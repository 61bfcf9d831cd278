/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Views: page tables that the application writes.
 *
 * Per page a view has a *slot*, the truth about what is bound there; PTEs are a cache of the slots
 * (a fault on a bound slot without a PTE installs it again). Slots live in one page per 2 MiB region
 * ("chunk"), allocated when the region is first used, mapped read only into the owner at
 * EXO_MMAP_VIEW_TABLE, and kept together with the learned address of the region's page table.
 *
 * A frame whose translation may still sit in a TLB of this view remembers view->seq (exo_frame.stale). It
 * may not change hands before view->flushed reaches that: exo_views_unmap_frames() sees to it.
 */
#ifndef EXO_MEM_VIEW_H
#define EXO_MEM_VIEW_H

#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "mem/frame.h"

#define EXO_VIEW_MAX_PAGES (1U << 26)
#define EXO_VIEWS_MAX 65535		/* numbers are global: they are part of the mmap offset */

/* Called for each binding that is broken: see exo_views_unmap_frames(). No lock is held but view->lock. */
typedef void (*exo_unmapped_fn)(u32 frame, u32 view, u64 address, void *ctx);

/*
 * Break every binding of these frames (but, if @keep is given, those in @keep's own views), in every address
 * space, secondary MMUs included, and return when no TLB holds a translation of them, not even a stale one from
 * an unbind before. The caller has seen to it that no new binding can be made (phase LEAVING, or a new
 * generation and only foreign bindings matter). Holds no lock. Sleeps. Can't fail.
 */
void exo_views_unmap_frames(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn, void *ctx);

/* The noun's other half. */
int exo_views_init(void);
void exo_views_exit(void);
int exo_views_env_init(struct exo_env *env);
void exo_views_env_exit(struct exo_env *env);	/* before exo_frames_env_exit() */
int exo_view_mmap(struct exo_env *env, struct vm_area_struct *vma);	/* VIEW, VIEW_TABLE, STLB, SAVE */
u64 exo_views_features(void);
/* For exo_mem_fill_status(). */
void exo_views_fill_status(struct exo_env *env, struct exo_env_status *st);

/* Handlers (view side). */
int exo_mem_view_create_op(struct exo_env *env, void *arg);
int exo_mem_view_destroy_op(struct exo_env *env, void *arg);
int exo_mem_bind_op(struct exo_env *env, void *arg);
int exo_mem_unbind_op(struct exo_env *env, void *arg);
int exo_mem_rebind_op(struct exo_env *env, void *arg);
int exo_mem_protect_op(struct exo_env *env, void *arg);
int exo_mem_flush_op(struct exo_env *env, void *arg);
int exo_mem_harvest_op(struct exo_env *env, void *arg);
int exo_mem_upcall_op(struct exo_env *env, void *arg);
int exo_mem_resume_op(struct exo_env *env, void *arg);
int exo_mem_wake_op(struct exo_env *env, void *arg);

#endif
