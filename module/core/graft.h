/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * The graft engine: decode -> check -> lower, and the interpreter. Every file here is compiled into
 * the module, libexo, the unit tests, the fuzzers and the proofs.
 *
 * A graft's memory is one window of virtual addresses in which its regions lie behind each other
 * (struct exo_graft_layout); proved code works on real addresses instead, and never notices.
 */
#ifndef EXO_CORE_GRAFT_H
#define EXO_CORE_GRAFT_H

#include "core/types.h"

#include <exo/graft.h>

#define EXO_GRAFT_MAX_INSNS 4096U	/* slots */
/*
 * Slots after lowering. Blinding makes at most three of one, and its jumps must still fit into 16 bits:
 * 3 * 8192 < 32768.
 */
#define EXO_GRAFT_MAX_LOWERED 8192U
#define EXO_GRAFT_MAX_STACK 448U	/* the rest of BPF's 512 bytes is the lowered code's */
#define EXO_GRAFT_MAX_CONST 65536U	/* bytes of constants */
#define EXO_GRAFT_MAX_STATE 64U		/* pages of state */
#define EXO_GRAFT_MAX_ARGS 4U		/* of a helper; the fifth register carries the run */
#define EXO_GRAFT_MAX_HELPERS 32U
#define EXO_GRAFT_MAX_FIELDS 16U
#define EXO_GRAFT_BASE 0x1000ULL	/* lowest virtual address */
#define EXO_GRAFT_GUARD 4096U		/* bytes mapped on each side of what a mask can reach */

/* One BPF instruction slot, as RFC 9669 and the kernel lay it out. */
struct exo_insn {
	u8 code;
	u8 dst : 4;
	u8 src : 4;
	s16 off;
	s32 imm;
};

enum exo_region_id {
	EXO_REGION_CONST,
	EXO_REGION_CTX,
	EXO_REGION_STACK,
	EXO_REGION_STATE,
	EXO_REGION_DATA,
	EXO_REGIONS,
};

enum exo_field_type {
	EXO_FIELD_SCALAR,
	EXO_FIELD_DATA,		/* pointer to the first byte of the data region */
	EXO_FIELD_DATA_END,	/* pointer behind its last byte */
};

/**
 * struct exo_hook_field - a field of a hook's context
 * @off: in bytes
 * @size: 4 or 8; an access must be of a whole field if it is a pointer, and inside one otherwise
 * @type: enum exo_field_type
 * @max: a scalar is at most this, speculatively too (~0: anything)
 */
struct exo_hook_field {
	u16 off;
	u16 size;
	u32 type;
	u64 max;
};

enum exo_arg_type {
	EXO_ARG_NONE,
	EXO_ARG_SCALAR,		/* between @min and @max */
	EXO_ARG_READ,		/* pointer to @min bytes that may be read */
	EXO_ARG_WRITE,		/* pointer to @min bytes that may be written */
	EXO_ARG_STATE,		/* the same, in the state window, 8-byte aligned */
};

struct exo_helper_arg {
	u32 type;
	u64 min;
	u64 max;
};

#define EXO_HELPER_PURE (1U << 0)		/* no effect but its result */
#define EXO_HELPER_DETERMINISTIC (1U << 1)

/**
 * struct exo_helper - a function that grafts may call
 * @name: for people
 * @flags: EXO_HELPER_*
 * @cost: what a call charges
 * @args: what r1 .. r4 must be; unused ones are EXO_ARG_NONE and may be anything but pointers
 * @ret_max: the result is at most this; speculatively anything
 *
 * After a call r1 .. r5 are gone (zero, in the modes that don't track it).
 */
struct exo_helper {
	const char *name;
	u32 flags;
	u32 cost;
	struct exo_helper_arg args[EXO_GRAFT_MAX_ARGS];
	u64 ret_max;
};

#define EXO_HOOK_DATA_WRITABLE (1U << 0)
#define EXO_HOOK_NEEDS_PURE (1U << 1)		/* what it does depends on its input only: no state window */
#define EXO_HOOK_NEEDS_DETERMINISTIC (1U << 2)	/* only deterministic helpers */
#define EXO_HOOK_TRANSACTION (1U << 3)		/* effects are staged, state that was logged is restored */
#define EXO_HOOK_KILLABLE (1U << 4)		/* always has a budget cell, even if proved */

/**
 * struct exo_hook - the policy of a place where grafts run
 * @name: for people
 * @id: enum exo_graft_hook_id
 * @flags: EXO_HOOK_*
 * @ctx_size: bytes of context
 * @ctx_write: offset of its first writable byte; @ctx_size if there is none
 * @nr_fields: in @fields
 * @fields: of the context, in order; what no field covers may not be accessed
 * @data_cap: bytes of data at most; that many are always there, whatever data_end says, and no
 *	secrets (what is beyond data_end may be read speculatively). 0: no data
 * @helpers: bit n: helper n may be called
 * @budget: of one invocation
 */
struct exo_hook {
	const char *name;
	u32 id;
	u32 flags;
	u32 ctx_size;
	u32 ctx_write;
	u32 nr_fields;
	struct exo_hook_field fields[EXO_GRAFT_MAX_FIELDS];
	u32 data_cap;
	u32 helpers;
	u32 budget;
};

/* core/graft_hooks.c */
extern const struct exo_helper exo_helpers[EXO_GRAFT_MAX_HELPERS];
const struct exo_hook *exo_hook_find(u32 id);

#define EXO_SLOT_TARGET (1U << 0)	/* a jump goes here */
#define EXO_SLOT_HEAD (1U << 1)		/* a backward jump goes here */
#define EXO_SLOT_SECOND (1U << 2)	/* second half of LD_IMM64 */
#define EXO_SLOT_NOSPEC (1U << 3)	/* set by the checker: a barrier stands before it */

/**
 * struct exo_graft_prog - a decoded graft
 * @hook: where it is to run
 * @insns: its code
 * @len: slots
 * @slots: EXO_SLOT_* of each
 * @stack: bytes of stack, a multiple of 8: the deepest access through r10
 * @regs: bit n: rn is mentioned
 * @const_size: bytes of constants
 * @state_size: bytes of state
 * @mixed: set by the checker: the budget is needed in proof mode, too
 * @worst: set by the checker: what the dearest run charges, ~0 if that is not known
 *
 * The caller allocates @slots, @len bytes, zeroed.
 */
struct exo_graft_prog {
	const struct exo_hook *hook;
	const struct exo_insn *insns;
	u32 len;
	u8 *slots;
	u32 stack;
	u32 regs;
	u32 const_size;
	u32 state_size;
	bool mixed;
	u64 worst;
};

/**
 * struct exo_graft_layout - where the regions lie in the window of virtual addresses
 * @start: first address of each region
 * @read_lo: the first byte that may be read
 * @read_hi: behind the last, without data
 * @write_lo: the first byte that may be written
 * @write_hi: behind the last, without data
 * @mask: every address of the window, with data, and'ed with this stays the same; the memory from
 *	-EXO_GRAFT_GUARD up to @mask + EXO_GRAFT_GUARD is mapped and holds no secret: accesses that
 *	never happened may read it
 */
struct exo_graft_layout {
	u64 start[EXO_REGIONS];
	u64 read_lo;
	u64 read_hi;
	u64 write_lo;
	u64 write_hi;
	u64 mask;
};

void exo_graft_layout(const struct exo_graft_prog *prog, struct exo_graft_layout *out);

/**
 * struct exo_graft_run - an invocation; JITed code has a pointer to it
 * @budget: what may still be charged. The caller has charged the entry (prog->len) and does not run the
 *	graft if that makes it negative. An outsider stores -1 to kill, and repeats it until the run is
 *	over: the run's own subtraction may overwrite it
 * @read_hi: behind the last byte that may be read, with this invocation's data (= ctx.data_end in
 *	virtual addresses; ctx.data = layout.start[EXO_REGION_DATA])
 * @write_hi: behind the last that may be written: @read_hi if data is writable, else layout.write_hi
 * @base: real address of virtual address 0
 * @status: enum exo_graft_status, EXO_GRAFT_OK at the start. A helper that is not pure may set it: the
 *	run ends when the helper returns, with the result 0
 * @killed: an outsider did it
 * @priv: the shell's: transaction, environment
 *
 * The context stands behind it, where proved code finds it through r1. Sandboxed and interpreted code
 * has its context, and its zeroed stack, in the window.
 *
 * What a run that was aborted left in its context and data is nothing that anybody may look at: the
 * lowered code may find an abort earlier than the interpreter does. State is the same.
 */
struct exo_graft_run {
	s64 budget;
	u64 read_hi;
	u64 write_hi;
	u64 base;
	u32 status;
	u32 killed;
	void *priv;
	u64 ctx[];
};

/* core/graft_decode.c */
int exo_graft_decode(struct exo_graft_prog *prog, struct exo_graft_error *err);

/* core/graft_check.c: 0, or -EINVAL and *err. Needs scratch memory of exo_graft_check_room(). */
size_t exo_graft_check_room(const struct exo_graft_prog *prog);
int exo_graft_check(struct exo_graft_prog *prog, const void *cert, size_t cert_size, void *room,
		    struct exo_graft_error *err);

/**
 * struct exo_graft_target - what lowered code is lowered for
 * @mode: EXO_GRAFT_PROOF or EXO_GRAFT_SANDBOX
 * @barriers: insert the speculation barriers and masks
 * @layout: for the sandbox
 * @consts: proof: real address of the constants
 * @state: proof: real address of the state window
 * @helper_imm: immediate of the call of helper n
 * @insns: room for the result
 * @room: slots there, at most EXO_GRAFT_MAX_LOWERED
 * @origin: room for as many u16: out: the slot of the graft that each comes from, EXO_ORIGIN_* where
 *	there is none
 * @work: exo_graft_lower_room() bytes of scratch memory, aligned as a u64
 * @len: out: slots used
 * @stack: out: bytes of BPF stack that the code uses
 */
struct exo_graft_target {
	u32 mode;
	bool barriers;
	const struct exo_graft_layout *layout;
	u64 consts;
	u64 state;
	const s32 *helper_imm;
	struct exo_insn *insns;
	u32 room;
	u16 *origin;
	void *work;
	u32 len;
	u32 stack;
};

#define EXO_ORIGIN_PROLOGUE 0xfffeU
#define EXO_ORIGIN_ABORT 0xffffU

/* core/graft_lower.c */
size_t exo_graft_lower_room(const struct exo_graft_prog *prog);
int exo_graft_lower(const struct exo_graft_prog *prog, struct exo_graft_target *target,
		    struct exo_graft_error *err);

/*
 * Helper 0 can't be called. What stands there the interpreter calls whenever jumps have charged this
 * many slots, so that a long run can let others have the processor; it may end the run, as helpers may.
 */
#define EXO_HELPER_PAUSE 0
#define EXO_GRAFT_PAUSE 16384

/* core/graft_interp.c: helpers get virtual addresses that were translated to real ones */
typedef u64 (*exo_helper_fn)(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run);
u32 exo_graft_interpret(const struct exo_graft_prog *prog, const struct exo_graft_layout *layout,
			const exo_helper_fn *helpers, struct exo_graft_run *run);

#endif
