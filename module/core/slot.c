// SPDX-License-Identifier: GPL-2.0
#include "core/slot.h"

static bool frames_ok(const struct exo_mem_op *op)
{
	return op->count - 1 <= ~(u32)0 - op->frame;
}

/**
 * exo_op_ok() - could this operation ever be right in a view of that length?
 * @kind: of the batch that it stands in
 * @op: the operation
 * @pages: pages in the view
 *
 * Says nothing about frames: whether they exist and whose they are is seen when they are bound.
 *
 * Return: false if it is EINVAL.
 */
bool exo_op_ok(enum exo_batch_kind kind, const struct exo_mem_op *op, u32 pages)
{
	if (!exo_range_ok(op->page, op->count, pages) || op->flags)
		return false;

	switch (kind) {
	case EXO_BATCH_BIND:
	case EXO_BATCH_REBIND:
		return exo_bind_rights_ok(op->rights) && frames_ok(op);
	case EXO_BATCH_PROTECT:
		return exo_bind_rights_ok(op->rights) && !op->frame;
	case EXO_BATCH_UNBIND:
		return !op->rights && !op->frame;
	}
	return false;
}
