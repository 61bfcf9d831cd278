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

enum verdict {
	VERDICT_NONE,
	VERDICT_ACCEPT,
	VERDICT_REJECT,
};

/* What a case's map instructions stand for: memory of this many bytes, or something else. */
struct verifier_map {
	u32 slot;
	u32 key;		/* bytes */
	u32 value;		/* bytes; 0: it isn't memory */
	bool read_only;
	bool write_only;
	bool always;		/* a look-up always finds it */
};

#define VERIFIER_MAPS 16

/* A case of tools/testing/selftests/bpf/verifier: whether a program is safe to run. */
struct verifier_case {
	const char *name;
	const struct exo_insn *insns;
	u32 len;
	const char *error, *error_unpriv;
	enum verdict verdict, verdict_unpriv;
	u32 prog_type;
	u32 result;
	u8 data[64];
	bool kernel_functions;	/* needs BTF: calls of functions in the kernel */
	u32 nr_maps;
	struct verifier_map maps[VERIFIER_MAPS];
	void *made;
};

bool verifier_case(u32 n, struct verifier_case *out);

#endif
