// SPDX-License-Identifier: GPL-2.0
/* The view half while it is being written: strong definitions replace these one by one. */
#include <linux/compiler.h>

#include "mem/view.h"

#define STUB(name) int __weak name(struct exo_env *env, void *arg) { return -EOPNOTSUPP; }

STUB(exo_mem_view_create_op)
STUB(exo_mem_view_destroy_op)
STUB(exo_mem_bind_op)
STUB(exo_mem_unbind_op)
STUB(exo_mem_rebind_op)
STUB(exo_mem_protect_op)
STUB(exo_mem_flush_op)
STUB(exo_mem_harvest_op)
STUB(exo_mem_upcall_op)
STUB(exo_mem_resume_op)
STUB(exo_mem_wake_op)

void __weak exo_views_unmap_frames(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn,
				   void *ctx) { }
void __weak exo_views_unmap_own(const struct exo_env *env, const u32 *frames, u32 n) { }
int __weak exo_views_init(void) { return 0; }
void __weak exo_views_exit(void) { }
int __weak exo_views_env_init(struct exo_env *env) { return 0; }
void __weak exo_views_env_exit(struct exo_env *env) { }
int __weak exo_view_mmap(struct exo_env *env, struct vm_area_struct *vma) { return -EINVAL; }
u64 __weak exo_views_features(void) { return 0; }
void __weak exo_views_fill_status(struct exo_env *env, struct exo_env_status *st) { }
