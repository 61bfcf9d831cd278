/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * What is known of a graft's registers and stack between two instructions, and what each instruction
 * makes of it. The checker and libexo's prover share these functions; INV-GRAFT-20 to -25 are theirs.
 *
 * Two things are known of a number. *arch* holds for every run: branches refine it, and on an edge that
 * no run takes (dead) it means nothing. *spec* holds for what the processor may try, on every edge of
 * the control-flow graph: no branch refines it, and what was loaded from the stack is unknown. Kinds and
 * initialisation hold on every edge, too. Everything else is architectural.
 */
#ifndef EXO_CORE_GRAFT_STATE_H
#define EXO_CORE_GRAFT_STATE_H

#include "core/graft.h"
#include "core/graft_range.h"

enum exo_kind {
	EXO_KIND_NONE,		/* not written yet, or of several kinds: not to be read */
	EXO_KIND_SCALAR,
	EXO_KIND_LEFT,		/* scalar: data_end less the pointer base(id) + delta */
	EXO_KIND_END,		/* data_end + range, which is constant */
	EXO_KIND_PTR = 8,	/* | enum exo_region_id; the range is the offset from its start */
};

#define EXO_PTR(_region) (EXO_KIND_PTR | (_region))
#define EXO_IS_PTR(_kind) ((_kind) & EXO_KIND_PTR)
#define EXO_REGION(_kind) ((_kind) & 7)

#define EXO_FAR (1 << 25)		/* pointers further from their region say nothing of data_end */
#define EXO_NEAR (1 << 24)		/* pointers that may be compared: -EXO_BEHIND .. this */
#define EXO_BEHIND 4096
#define EXO_NO_AVAIL (-EXO_FAR - 1)
#define EXO_MAX_STEP (1 << 30)		/* what @dlo and @dhi may reach */

#define EXO_ID_DATA 1			/* base of what is loaded from ctx->data */
#define EXO_ID_FRESH 0x4000		/* + slot: bases that the code makes; records use those below */

/**
 * struct exo_val - what is known of a value
 * @arch: in every run
 * @spec: in every run and every misprediction
 * @avail: pointers to data: data_end - pointer is at least this, EXO_NO_AVAIL: nothing is known; the
 *	pointer is not further than EXO_FAR from data then
 * @delta: from the common base of all values with this @id
 * @id: 0: none
 * @tag: 1 + slot of a loop's head, 0: none. The value is what the head's measure was when the head was
 *	passed last, plus @dlo to @dhi, modulo 2^64, or modulo 2^32 if @half
 * @dlo: see @tag
 * @dhi: see @tag
 * @half: see @tag
 * @kind: enum exo_kind
 * @zeros: so many of its lowest bits are 0, speculatively too
 * @init: stack: bit n: byte n is written. If @kind isn't EXO_KIND_NONE the whole slot is this value;
 *	else the bytes are of numbers
 */
struct exo_val {
	struct exo_range arch;
	struct exo_range spec;
	s32 avail;
	s32 delta;
	s32 dlo;
	s32 dhi;
	u16 id;
	u16 tag;
	u8 half;
	u8 kind;
	u8 zeros;
	u8 init;
};

#define EXO_REGS 11U
#define EXO_LOCS (EXO_REGS + EXO_GRAFT_MAX_STACK / 8)

/**
 * struct exo_state - what is known between two instructions
 * @v: registers, then the stack in slots of 8 bytes, from its lowest address
 * @dead: no run comes here
 */
struct exo_state {
	struct exo_val v[EXO_LOCS];
	bool dead;
};

/**
 * struct exo_flow - goes through a graft
 * @prog: the graft
 * @st: before the instruction, changed to what it is after it
 * @err: out: what is wrong
 * @slot: the instruction
 * @barrier: out: a speculation barrier is needed before it
 * @behind: out: a speculation barrier is needed behind it
 */
struct exo_flow {
	const struct exo_graft_prog *prog;
	struct exo_state *st;
	struct exo_graft_error *err;
	u32 slot;
	bool barrier;
	bool behind;
};

static inline u32 exo_locs(const struct exo_graft_prog *prog)
{
	return EXO_REGS + prog->stack / 8;
}

/* How errors name a place: 0x80 + n are the 8 bytes at r10 - 8 * (n + 1). */
static inline u32 exo_loc_name(const struct exo_graft_prog *prog, u32 loc)
{
	return loc < EXO_REGS ? loc : 0x80 + exo_locs(prog) - 1 - loc;
}

/* Conditional jumps, only. */
static inline bool exo_insn_is_branch(const struct exo_insn *in)
{
	return (EXO_CLASS(in->code) == EXO_JMP || EXO_CLASS(in->code) == EXO_JMP32) &&
	       EXO_OP(in->code) != EXO_JA && EXO_OP(in->code) != EXO_CALL &&
	       EXO_OP(in->code) != EXO_EXIT;
}

static inline bool exo_insn_is_jump(const struct exo_insn *in, u32 op)
{
	return EXO_CLASS(in->code) == EXO_JMP && EXO_OP(in->code) == op;
}

/* core/graft_state.c */
int exo_flow_fail(struct exo_flow *flow, u32 code, u32 loc);
void exo_flow_barrier(struct exo_flow *flow);
void exo_val_set(struct exo_val *v, u32 kind, struct exo_range arch, struct exo_range spec);
void exo_val_scalar(struct exo_val *v, u64 max);
void exo_val_name(struct exo_flow *flow, struct exo_val *v);
void exo_val_const(struct exo_val *v, u64 x);
void exo_state_entry(struct exo_flow *flow);
int exo_flow_insn(struct exo_flow *flow);
int exo_flow_compare(struct exo_flow *flow);
void exo_flow_branch(struct exo_flow *flow, bool taken);

/* core/graft_access.c */
int exo_flow_load(struct exo_flow *flow);
int exo_flow_store(struct exo_flow *flow);
int exo_flow_atomic(struct exo_flow *flow);
int exo_flow_call(struct exo_flow *flow);

#endif
