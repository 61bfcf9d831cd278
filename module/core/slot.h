/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Slots: what is bound at a page of a view, and what a batch may ask for. See core/types.h for the
 * rules of this folder.
 */
#ifndef EXO_CORE_SLOT_H
#define EXO_CORE_SLOT_H

#include "core/types.h"

/*
 * The module's own bits of a slot: accessed and dirty bits of a translation that was taken away
 * while the page stayed bound. EXO_OP_ACCESSED and EXO_OP_DIRTY, shifted.
 */
#define EXO_SLOT_KEPT_SHIFT 40
#define EXO_SLOT_KEPT ((u64)(EXO_OP_ACCESSED | EXO_OP_DIRTY) << EXO_SLOT_KEPT_SHIFT)

#define EXO_BATCH_MAX_OPS 4096
#define EXO_BATCH_MAX_PAGES 65536

enum exo_batch_kind {
	EXO_BATCH_BIND,
	EXO_BATCH_UNBIND,
	EXO_BATCH_REBIND,
	EXO_BATCH_PROTECT,
};

static inline u64 exo_slot(u32 frame, bool write)
{
	return EXO_SLOT_BOUND | (write ? EXO_SLOT_WRITE : 0) | frame;
}

static inline bool exo_slot_write(u64 slot)
{
	return slot & EXO_SLOT_WRITE;
}

/* EXO_OP_* that the slot kept. */
static inline u16 exo_slot_kept(u64 slot)
{
	return (slot & EXO_SLOT_KEPT) >> EXO_SLOT_KEPT_SHIFT;
}

/* Are page ... page + count - 1 pages of a view of that length? */
static inline bool exo_range_ok(u32 page, u32 count, u32 pages)
{
	return count && page < pages && count <= pages - page;
}

/*
 * Rights of a binding: READ, perhaps WRITE. Every other bit has no meaning there.
 */
static inline bool exo_bind_rights_ok(u32 rights)
{
	return (rights | EXO_RIGHT_WRITE) == (EXO_RIGHT_READ | EXO_RIGHT_WRITE) &&
	       (rights & EXO_RIGHT_READ);
}

bool exo_op_ok(enum exo_batch_kind kind, const struct exo_mem_op *op, u32 pages);

#endif
