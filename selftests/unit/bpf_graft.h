/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases of Linux' BPF tests, translated into grafts.
 */
#ifndef EXO_UNIT_BPF_GRAFT_H
#define EXO_UNIT_BPF_GRAFT_H

#include "bpf_cases.h"

struct bpf_graft {
	u32 hook;
	struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
	u32 len;
	u32 const_size;
	u8 consts[64];
	u32 state_size;
};

/*
 * A part of a program of any length: the parts of a long one run one after the other, and hand on
 * registers and stack in the first bytes of their state; JIT_PART_DONE says that a part came to its end
 * and was not the program's.
 */
#define JIT_PART_DONE 80
#define JIT_PART_STACK 96
#define JIT_MEMORY 1024		/* what r1 points to */

struct jit_parts {
	const struct jit_case *from;
	struct exo_insn *insns;		/* without what can't be reached */
	u32 *inside;			/* jumps that go over each slot */
	u32 len;
	u32 stack;
	u32 next;
};

/* NULL, or why a case can't be translated. */
const char *jit_parts_begin(struct jit_parts *parts, const struct jit_case *from);

/* The next part; NULL, or why there is none. */
const char *jit_part(struct jit_parts *parts, struct bpf_graft *out);

void jit_parts_end(struct jit_parts *parts);

/* Slots that an instruction takes. */
u32 bpf_slots(const struct exo_insn *insn);

/*
 * A verifier's case. A map's value is a piece of state (or constants, if it is read only): at the end of
 * the state, so that what is behind it is outside, or with @low at its beginning. The other end has
 * words for what a graft can't get from a helper: where a look-up finds something (0: it does), and numbers.
 * With @root a pointer may be returned, which Linux allows root: the graft returns 0 there.
 * Returns NULL, or why it can't be translated.
 */
#define VERIFIER_STATE 8192

const char *verifier_graft(const struct verifier_case *from, bool low, bool root, struct bpf_graft *out);

/* Where the word of the look-ups lies; the one of numbers is behind it. */
u32 verifier_words(bool low);

/*
 * What bpf_write.c makes of all cases, one behind the other, for the test of the kernel's modes.  is
 * the beginning of the state at the start of a run; the rest is zeros.
 */
struct bpf_record {
	char name[64];
	u32 hook;
	u32 len;
	u32 const_size;
	u32 state_size;
	u8 consts[64];
	u8 state[256];
	struct exo_insn insns[];
};

#endif
