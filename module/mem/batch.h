/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A batch of operations on a view, under way: what bind.c and rebind.c share. See bind.c.
 */
#ifndef EXO_MEM_BATCH_H
#define EXO_MEM_BATCH_H

#include "mem/view.h"

/**
 * struct batch - a batch under way
 * @view: entered
 * @env: its environment
 * @offer: frames that aren't its own are bound by this, not by its grants; or NULL
 * @seq: number of this batch, in view->seq, once it has taken something away; else 0
 * @bound: change of env->mem->nr_bound
 * @pages: named so far
 * @flags: EXO_OP_* of what the current operation has taken away
 * @report: the caller wants @flags
 * @direct: zap run by run: one small run, or there is a secondary MMU to be told
 * @pending: something was taken away that is not flushed
 * @must_flush: even if the view is lazy
 */
struct batch {
	struct exo_view *view;
	struct exo_env *env;
	const struct exo_offer *offer;
	u64 seq;
	s64 bound;
	u32 pages;
	u16 flags;
	bool report;
	bool direct;
	bool pending;
	bool must_flush;
};

static inline u16 pte_op_flags(pte_t pte)
{
	return (pte_young(pte) ? EXO_OP_ACCESSED : 0) | (pte_dirty(pte) ? EXO_OP_DIRTY : 0);
}

/* The number of this batch: at the first time it takes something away. */
static inline u64 batch_seq(struct batch *b)
{
	if (!b->seq)
		b->seq = ++b->view->seq;
	return b->seq;
}

/* exo_frame.bound of a frame whose first binding is there. Little endian, as x86 is. */
static __always_inline u64 batch_bound_at(u32 number, u32 page)
{
	return number | (u64)page << 32;
}

/*
 * Drop the record of an own frame whose first binding is here. False: it isn't such a one. Owner
 * locked, if it is @env.
 */
static __always_inline bool batch_unrecord_own(struct exo_frame *frame, const struct exo_env *env,
					 u32 number, u32 page, u64 seq)
{
	if (unlikely(frame->owner != env || frame->bound != batch_bound_at(number, page)))
		return false;
	frame->bpage = EXO_NO_PAGE;
	frame->stale = seq;
	return true;
}

/*
 * May this frame be bound as its first binding in the view whose batch_bound_at() for no page
 * @vacant is, without a closer look? Owner locked, if it is @env.
 */
static __always_inline bool batch_is_free(const struct exo_frame *frame, const struct exo_env *env,
				    u64 vacant)
{
	return frame->owner == env && frame->phase == EXO_PHASE_TAKEN &&
	       (frame->bound == vacant ||
		(frame->bpage == EXO_NO_PAGE && !frame->stale));
}

/* runs.c */
u16 batch_slots_kept(const u64 *slots, u32 n);
void batch_zap(struct batch *b, struct exo_region *region, u32 page, u64 *slots, u32 n, bool keep);
void batch_take_away(struct batch *b, u32 page, u64 *slots, u32 n);
void batch_unrecord(struct batch *b, u32 page, u32 frame);

int batch_bind_run(struct batch *b, const struct exo_mem_op *op);
int batch_bind_page(struct batch *b, u32 page, u32 nr, bool write);
void batch_unbind_run(struct batch *b, u32 page, u32 count);

/* rebind.c */
int batch_rebind(struct batch *b, const struct exo_mem_op *op);
int batch_protect(struct batch *b, const struct exo_mem_op *op);

#endif
