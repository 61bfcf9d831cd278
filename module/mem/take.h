/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames out of the pool. See take.c.
 */
#ifndef EXO_MEM_TAKE_H
#define EXO_MEM_TAKE_H

#include <linux/types.h>

/**
 * struct exo_take - which frames
 * @how: EXO_ALLOC_ANY, _COLOUR, _HUGE or _THESE
 * @node: only on this node, or EXO_POOL_NODE_ANY
 * @colour: for EXO_ALLOC_COLOUR
 * @span: for EXO_ALLOC_THESE, what is charged for each
 */
struct exo_take {
	u32 how;
	u32 node;
	u16 colour;
	u32 span;
};

u32 exo_take(const struct exo_take *want, u32 n, u32 mine, u32 *frames, int *err);
int exo_take_run(const struct exo_take *want, u32 count, u32 mine, u32 *first);

#endif
