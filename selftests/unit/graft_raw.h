/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Executes lowered code as the kernel's JIT makes it behave, in user memory: AX, the frame, calls that
 * clobber, garbage in what isn't initialised, blinding that destroys AX. Sandboxed code uses real
 * addresses here, and each is checked; proved code, which this does not prove, runs on the window's
 * virtual addresses, with the interpreter's decision at each access.
 */
#ifndef EXO_UNIT_GRAFT_RAW_H
#define EXO_UNIT_GRAFT_RAW_H

#include "core/graft_insn.h"
#include "graft_world.h"

struct raw {
	struct world *world;
	struct exo_graft_target target;
	struct exo_insn insns[EXO_GRAFT_MAX_LOWERED];
	u16 origin[EXO_GRAFT_MAX_LOWERED];
	u64 work[EXO_GRAFT_MAX_INSNS * 8];
	s32 helper_imm[EXO_GRAFT_MAX_HELPERS];
	u64 steps;		/* BPF instructions executed */
	u64 x86;		/* the same in x86 instructions, with constants blinded */
	u64 barriers;
	u64 noise;
	const char *bad;	/* what the lowered code must never do */
	u32 bad_at;
};

struct raw *raw_new(struct world *world);
void raw_free(struct raw *raw);

/* Lowers what the world has loaded. */
int raw_lower(struct raw *raw, u32 mode, bool barriers);

/* Runs it on what world_start() prepared. */
u32 raw_run(struct raw *raw);

void raw_print(const struct raw *raw);

#endif
