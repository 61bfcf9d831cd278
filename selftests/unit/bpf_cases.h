/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test cases of Linux' BPF, which tools/vm/bpf-cases takes from Debian's source package: as they
 * are, and as grafts.
 */
#ifndef EXO_UNIT_BPF_CASES_H
#define EXO_UNIT_BPF_CASES_H

#include "core/graft_insn.h"
#include "core/graft.h"

/* A case of lib/test_bpf.c: what a JIT must make of a program that nobody verified. */
struct jit_case {
	const char *name;
	bool classic;		/* the old instruction set: @insns is NULL */
	const struct exo_insn *insns;
	u32 len;
	bool fails;		/* isn't a program */
	u32 memory;		/* bytes that r1 points to; 0: it may hold anything */
	u32 result;
	void *made;		/* free() it */
};

/* Returns false behind the last. */
bool jit_case(u32 n, struct jit_case *out);

#endif
