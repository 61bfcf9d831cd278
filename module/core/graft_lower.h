/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * What the files of the lowering share: graft_lower.c (driver, jumps, calls, budget), graft_sandbox.c
 * (the sandbox's memory accesses) and graft_facts.c (what is known of registers).
 */
#ifndef EXO_CORE_GRAFT_LOWER_H
#define EXO_CORE_GRAFT_LOWER_H

#include "core/graft.h"
#include "core/graft_insn.h"

/* What the lowered code keeps for itself: in a register that the graft doesn't mention, or in a slot. */
enum home {
	HOME_RUN,	/* what r1 is at entry: the run's context */
	HOME_BASE,	/* real address of virtual address 0 */
	HOME_LIMIT,	/* run->read_hi */
	HOME_SPARE,	/* nothing: a register to work with. In the slots: registers of the graft that work */
	HOMES,
};
#define BORROWED 2	/* slots for them */
#define NO_REG 0xff

/* Of a register: nothing, this constant (an address of the window), or the end of the data. */
#define FACT_NONE 0U
#define FACT_LIMIT 0xffffffffU
#define FACT_MAX 0x3fffffffU

/* What is known where a slot begins. */
struct facts {
	u32 limit;		/* the data ends here at the earliest; 0: nothing came this way yet */
	u32 reg[EXO_R10];
};

/* Bytes around a register's value that were checked, [lo, hi). Known inside a basic block only. */
struct span {
	s32 lo;
	s32 hi;
};

#define SPAN_MAX 4096	/* bytes that one check covers: accesses reach back so far, into the guard */

#define AX_NONE 0xff	/* AX holds nothing */
#define AX_CONST 0xfe	/* AX is the real address of the constant ax_off */

/* Where a jump of lowered code goes, until it is known: in its origin. The offset is the slot or status. */
#define ORIGIN_JUMP 0x8000U
#define ORIGIN_TO_ABORT 0x4000U
#define ORIGIN_SLOT 0x3fffU

#define ABORT_STATUS 0	/* a helper has set the status */
#define ABORTS 6	/* else enum exo_graft_status */

struct lower {
	const struct exo_graft_prog *prog;
	const struct exo_graft_layout *layout;
	struct exo_graft_target *target;
	struct facts *records;		/* of each slot that is a jump's target */
	u32 slot;			/* at work on this one */
	u32 at;				/* next of target->insns */
	bool full;
	bool sandbox;
	bool charges;
	bool dead;			/* nothing runs on from the slot before */
	bool weaker;			/* a backward jump knew less than its target had assumed */
	bool pessimist;
	u8 home[HOMES];
	u8 borrowed;			/* how many of the graft's registers work */
	u32 working;			/* registers that were taken */
	u32 frame;			/* bytes of stack that are the graft's */
	u32 used;			/* bit n: home n */
	u32 aborts;			/* bit n: status n */
	bool entry;			/* in the block that the graft begins with */
	u32 written;			/* registers that it has written ... */
	u32 need;			/* ... read before, or left to the others */
	struct facts now;
	struct span span[2][EXO_R10];	/* [write] */
	u8 ax;				/* AX is the real address of this register plus ax_off */
	s32 ax_off;
	u8 held;				/* the same of the spare register, or AX_NONE */
	s32 held_off;
	/* of the access that was translated last */
	u8 base;
	s16 off;
};

/* graft_lower.c */
void exo_lower_emit(struct lower *l, u8 code, u8 dst, u8 src, s16 off, s32 imm);
void exo_lower_abort_if(struct lower *l, u8 code, u8 dst, u8 src, s32 imm, u32 status);
u8 exo_lower_home(struct lower *l, u32 home, u8 into);
u8 exo_lower_take(struct lower *l, u32 busy);
void exo_lower_give(struct lower *l, u8 reg);

/* graft_sandbox.c */
bool exo_lower_access(struct lower *l, u8 reg, s32 off, u32 size, bool write, bool atomic);
bool exo_lower_argument(struct lower *l, const struct exo_helper_arg *arg, u8 reg);
void exo_lower_memory(struct lower *l, const struct exo_insn *insn);

/* graft_facts.c */
void exo_facts_start(struct lower *l);
void exo_facts_enter(struct lower *l);
void exo_facts_kill(struct lower *l, u32 regs);
void exo_facts_alu(struct lower *l, const struct exo_insn *insn);
void exo_facts_load(struct lower *l, u8 dst, s64 address, u32 size);
void exo_facts_jump(struct lower *l, const struct exo_insn *insn, u32 target);
s64 exo_facts_const(const struct lower *l, u8 reg);
void exo_facts_lookahead(const struct lower *l, u8 reg, struct span hull[2]);

static inline bool exo_insn_is_memory(const struct exo_insn *insn)
{
	u32 class = EXO_CLASS(insn->code);

	return class == EXO_LDX || class == EXO_ST || class == EXO_STX;
}

/* Registers that an instruction, also a lowered one, writes. A call's are not counted. */
static inline u32 exo_insn_writes(const struct exo_insn *insn)
{
	switch (EXO_CLASS(insn->code)) {
	case EXO_ALU:
	case EXO_ALU64:
	case EXO_LDX:
		return 1U << insn->dst;
	case EXO_LD:
		return insn->code ? 1U << insn->dst : 0;	/* the second half is 0 */
	case EXO_STX:
		if (EXO_MODE(insn->code) != EXO_ATOMIC || !(insn->imm & EXO_FETCH))
			return 0;
		return 1U << (insn->imm == EXO_CMPXCHG ? EXO_R0 : insn->src);
	}
	return 0;
}

/* Registers that it reads. A call's are not counted. */
static inline u32 exo_insn_reads(const struct exo_insn *insn)
{
	u32 dst = 1U << insn->dst, src = 1U << insn->src;

	switch (EXO_CLASS(insn->code)) {
	case EXO_ALU:
	case EXO_ALU64:
		if (EXO_OP(insn->code) == EXO_MOV)
			return EXO_SRC(insn->code) == EXO_X ? src : 0;
		return EXO_SRC(insn->code) == EXO_X && EXO_OP(insn->code) != EXO_END ? dst | src : dst;
	case EXO_LDX:
		return src;
	case EXO_ST:
		return insn->code == EXO_NOSPEC ? 0 : dst;
	case EXO_STX:
		return dst | src | (EXO_MODE(insn->code) == EXO_ATOMIC && insn->imm == EXO_CMPXCHG ? 1U : 0);
	case EXO_JMP:
	case EXO_JMP32:
		if (EXO_OP(insn->code) == EXO_JA || EXO_OP(insn->code) == EXO_EXIT)
			return 0;
		return EXO_SRC(insn->code) == EXO_X ? dst | src : dst;
	}
	return 0;
}

#endif
