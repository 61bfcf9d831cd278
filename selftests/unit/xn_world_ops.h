/* SPDX-License-Identifier: GPL-2.0 */
/* What users do: operations that crash tests put into sequences. */
#ifndef EXO_XN_WORLD_OPS_H
#define EXO_XN_WORLD_OPS_H

#include "xn_world.h"

/* First those that a user does with his root ... */
enum w_op {
	W_OP_DATA,	/* allocate the lowest free block */
	W_OP_UNIT,	/* a unit, and a data block under it, in one call */
	W_OP_FREE,	/* the first data of the root's unit */
	W_OP_FREE_UNIT,	/* the first unit below, with all that it owns */
	W_OP_MOVE,	/* the first data from the root's unit to the unit below, or back */
	W_OP_LINK,	/* a second pointer, or the second pointer away */
	W_OP_SCRIBBLE,	/* bytes of the root's unit that don't point */
	W_OP_WRITE,	/* the first data block */
	W_OP_WRITE_FUA,
	W_OP_WRITE_SLOW,	/* begin a write, or end the one that was begun */
	W_OP_ROOT,	/* delete it, or create it */
	W_OP_COMMIT,
	W_OPS_USER,
	/* ... then those that concern all. */
	W_OP_FLUSH = W_OPS_USER,
	W_OP_CHECKPOINT,
	W_OP_COMMIT_ALL,
	W_OPS,
};

#define W_USERS 2U

extern const char *const w_op_name[W_OPS];

/* 1: done; 0: can't be done here; else the engine's error, which it should not have returned. */
int w_do(struct world *w, enum w_op op, u32 user);
/* A random change of a random root, of one or several steps, or something else. The same. */
int w_do_random(struct world *w);
/* Change a root so that it points at somebody else's block, without saying so. What the engine says. */
int w_steal(struct world *w, struct w_root *thief, u64 block);
struct w_root *w_root_of(struct world *w, u32 user);
u32 w_uid(u32 user);

#endif
