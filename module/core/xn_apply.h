/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A change under way. Its steps are done one after the other on private copies of bytes and, with an
 * undo, on the map and on who is whose parent; then all touched units are verified; then nothing can
 * fail any more, and it is published.
 */
#ifndef EXO_CORE_XN_APPLY_H
#define EXO_CORE_XN_APPLY_H

#include "core/xn_core.h"

#define EXO_XN_PART_WORDS ((EXO_XN_PARTS + 63) / 64)

/**
 * struct exo_xn_touched - a unit that a change has to do with
 * @unit: it; one that is new is found by nobody else yet
 * @t: its template
 * @after: private copy of its bytes; NULL: they don't change
 * @fresh: it is allocated by this change
 * @dies: it is freed by this change
 * @may_write: acl said so
 * @parts: bit: bytes of this part were written
 * @set: new sets of the parts of @parts, in their order; NULL where the set stays
 * @nr_set: how many of these
 * @nr_extents: of the unit afterwards
 * @nr_units: the same
 * @added: its first in the change's list of what is added
 * @nr_added: how many
 * @freed: the same of what is freed
 * @nr_freed: how many
 */
struct exo_xn_touched {
	struct exo_xn_core_unit *unit;
	const struct exo_xn_template_core *t;
	u8 *after;
	bool fresh;
	bool dies;
	bool may_write;
	u64 parts[EXO_XN_PART_WORDS];
	struct exo_xn_part *set;
	u32 nr_set;
	u32 nr_extents;
	u32 nr_units;
	u32 added;
	u32 nr_added;
	u32 freed;
	u32 nr_freed;
};

/* What was done of a step, to undo it, and whose sets it changes: 1 + the number of a touched unit. */
struct exo_xn_done {
	u32 adds;
	u32 frees;
	bool map;
	struct exo_xn_core_unit *child;
	struct exo_xn_core_unit *parent;	/* that the child had */
};

struct exo_xn_change {
	struct exo_xn *xn;
	struct exo_xn_core_root *root;
	const struct exo_xn_who *who;
	const struct exo_xn_step_core *steps;
	u32 nr_steps;
	struct exo_xn_done *done;
	u32 nr_done;
	struct exo_xn_touched *touched;
	u32 nr_touched;
	u32 max_touched;
	struct exo_xn_extent *lists;	/* what is added, then what is freed */
	u64 more;			/* blocks that the root gets */
	u64 less;
	u64 room;			/* blocks that its owner may still get */
	u64 budget;
	u64 held;			/* bytes of memory that it takes, at most */
	u64 may_hold;
	u64 bad;
};

static inline enum exo_xn_map_op exo_xn_step_op(u32 kind)
{
	return kind == EXO_XN_ALLOC ? EXO_XN_OP_TAKE : kind == EXO_XN_FREE_STEP ? EXO_XN_OP_GIVE :
	       kind == EXO_XN_LINK ? EXO_XN_OP_REF : EXO_XN_OP_UNREF;
}

/* core/xn_apply.c */
int exo_xn_change_hold(struct exo_xn_change *c, u64 bytes);

/* core/xn_step.c */
int exo_xn_step(struct exo_xn_change *c, const struct exo_xn_step_core *step, struct exo_xn_done *done);

#endif
