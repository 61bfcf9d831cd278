/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random grafts that decode: loops, branches, all opcodes, accesses around the edges of all regions,
 * helpers. They need unit_random() or anything else that says gen_random.
 */
#ifndef EXO_UNIT_GRAFT_GEN_H
#define EXO_UNIT_GRAFT_GEN_H

#include "graft_world.h"

struct gen {
	struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
	u32 len;
	u32 hook;
	u8 consts[64];
	u32 const_size;
	u32 state_size;
	u8 data[600];
	u8 *state;		/* 2 pages */
	struct world_input input;
	/* while it is made */
	u32 room;
	u32 regs;		/* bit n: rn may be used */
	bool careful;		/* most accesses are good, so that it runs far */
	bool loads;		/* only loads are */
	u32 bound;		/* a number of bytes that it compared with */
	u64 (*random)(void);
};

/* Makes a graft and its input. @size: about so many slots. */
void gen_make(struct gen *gen, u32 size);

#endif
