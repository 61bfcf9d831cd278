/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks of mem: where its own files ask grafts.
 */
#ifndef EXO_MEM_GRAFT_H
#define EXO_MEM_GRAFT_H

#include "mem/view.h"

/* graft_fault.c */
u64 exo_fault_graft(struct exo_view *view, u32 page, u32 fault);
void exo_fault_graft_drop(struct exo_view *view);
void exo_fault_graft_init(void);

/* graft_victim.c */
u32 exo_victim_graft(struct exo_mem_env *mem, u32 want, u32 *nr, u32 max);
struct exo_frame *exo_victim_frame_locked(struct exo_mem_env *mem, u32 nr);
void exo_victim_graft_drop(struct exo_mem_env *mem);
void exo_victim_graft_init(void);

#endif
