/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Grafts: untrusted code that runs in the kernel. A *graft* is BPF (RFC 9669, -mcpu=v3), loaded by
 * an ordinary user, attached to a *hook*. It runs in one of three modes with the same meaning:
 * *proof* (a certificate is checked and nothing is inserted), *sandbox* (checks, masks and a budget
 * are inserted) and *interpreted*. docs/graft.md has the language.
 */
#ifndef _UAPI_EXO_GRAFT_H
#define _UAPI_EXO_GRAFT_H

#include <exo/types.h>

#include <exo/cap.h>

enum exo_graft_hook_id {
	EXO_HOOK_PURE = 1,	/* a function of its input, for EXO_GRAFT_RUN */
	EXO_HOOK_STREAM = 2,	/* changes its input in place, for EXO_GRAFT_RUN */
	EXO_HOOK_TXN = 3,	/* a transaction over its state window, for EXO_GRAFT_RUN */
	EXO_HOOK_FAULT = 4,	/* a fault on a view: binds a frame */
	EXO_HOOK_VICTIM = 5,	/* frames are asked back by force: says which */
	/* The functions of templates (exo/xn.h); xn runs them. */
	EXO_HOOK_XN_OWNS = 6,	/* what a unit points at */
	EXO_HOOK_XN_ACL = 7,	/* who may do what with it */
	EXO_HOOK_XN_SIZE = 8,	/* how long it is */
};

enum exo_graft_mode {
	EXO_GRAFT_PROOF = 1,
	EXO_GRAFT_SANDBOX = 2,
	EXO_GRAFT_INTERP = 3,
};

/* How an invocation ended. */
enum exo_graft_status {
	EXO_GRAFT_OK = 0,
	EXO_GRAFT_ABORT_ACCESS = 1,	/* an access outside its memory */
	EXO_GRAFT_ABORT_BUDGET = 2,	/* the hook's budget is used up */
	EXO_GRAFT_ABORT_KILLED = 3,	/* EXO_GRAFT_KILL */
	EXO_GRAFT_ABORT_LOCK = 4,	/* held a lock too long while someone waited, or rank order broken */
	EXO_GRAFT_ABORT_HELPER = 5,	/* a helper found an argument impossible, or its log was full */
};

/*
 * What a graft's author sees: the context of each hook. Fields behind the comment "writable" may
 * be stored to. data and data_end are pointers, everything else is a number.
 */
struct exo_ctx_pure {
	__aligned_u64 data;		/* the input, read only */
	__aligned_u64 data_end;
	__aligned_u64 arg[4];
	/* writable */
	__aligned_u64 out[4];
};

struct exo_ctx_stream {
	__aligned_u64 data;		/* the input, writable */
	__aligned_u64 data_end;
	__aligned_u64 arg[4];
	/* writable */
	__aligned_u64 out[4];
};

struct exo_ctx_txn {
	__aligned_u64 arg[4];
	/* writable */
	__aligned_u64 out[4];
};

struct exo_ctx_fault {
	__aligned_u64 page;		/* of the view */
	__aligned_u64 fault;		/* EXO_FAULT_* */
	__aligned_u64 view;
	__aligned_u64 cookie;		/* given at EXO_GRAFT_ATTACH */
};

/* One frame that could go. */
struct exo_victim {
	__u32 frame;
	__u32 bound;		/* how many pages of views it is bound at */
	__u32 give;		/* the answer: nonzero if this one should go; small numbers first */
	__u32 reserved;
};

struct exo_ctx_victim {
	__aligned_u64 data;		/* struct exo_victim[], writable; oldest first */
	__aligned_u64 data_end;
	__aligned_u64 wanted;		/* frames to give */
	__aligned_u64 cookie;
};

/* Helpers, by their number in a CALL. exo/graft.h of libexo declares them for each hook. */
enum exo_graft_helper {
	EXO_HELPER_BIND = 1,	/* fault: bind a frame at the page (staged): 0 or -errno */
	EXO_HELPER_LOG = 2,	/* remember 8 bytes of state; an abort restores them */
	EXO_HELPER_LOCK = 3,	/* take a graft lock of its environment till the end, in rising order */
	EXO_HELPER_TRACE = 4,	/* two numbers into the graft's log */
	EXO_HELPER_NOW = 5,	/* CLOCK_MONOTONIC, ns */
	EXO_HELPER_CALL = 6,	/* run another graft of the environment, nested */
	EXO_HELPER_OWNS = 7,	/* does the environment own this frame? */
	EXO_HELPER_EMIT = 8,	/* xn owns: the unit points at these blocks; 1: too many, the run is aborted */
	EXO_HELPER_GROUP = 9,	/* xn acl: is the caller in this group? */
};

#define EXO_GRAFT_LOCKS 8	/* graft locks of an environment */

/* LD_IMM64 with these source registers is an address. */
#define EXO_PSEUDO_CONST 1	/* byte imm of the constants */
#define EXO_PSEUDO_STATE 2	/* byte imm of the state window */

/* Why something was refused; libexo makes sentences of it. */
enum exo_graft_code {
	EXO_GRAFT_FINE = 0,
	/* decode */
	EXO_GRAFT_E_SIZE,		/* no instruction, or more than the limit in @bound */
	EXO_GRAFT_E_OPCODE,		/* not in the language */
	EXO_GRAFT_E_RESERVED,		/* a field that must be zero isn't */
	EXO_GRAFT_E_REG,		/* no such register, or r10 written */
	EXO_GRAFT_E_IMM,		/* division by 0, shift by too much, bad LD_IMM64 or atomic */
	EXO_GRAFT_E_JUMP,		/* target outside, or inside an LD_IMM64 */
	EXO_GRAFT_E_END,		/* runs off the end */
	EXO_GRAFT_E_UNREACHABLE,
	EXO_GRAFT_E_HELPER,		/* this hook doesn't offer this helper */
	EXO_GRAFT_E_STACK,		/* r10 + @lo is not in the stack */
	EXO_GRAFT_E_PSEUDO,		/* address @lo in constants or state of @bound bytes */
	EXO_GRAFT_E_LOWERED,		/* too long after lowering */
	/* certificate */
	EXO_GRAFT_E_CERT_FORM = 32,	/* malformed; @lo is the byte */
	EXO_GRAFT_E_CERT_HASH,		/* made for other code or another hook */
	EXO_GRAFT_E_CERT_MISSING,	/* no record at a jump target */
	/* proof */
	EXO_GRAFT_E_UNINIT = 48,	/* @reg, or the stack, read before it is written */
	EXO_GRAFT_E_KIND,		/* @reg is not of the kind that is needed here */
	EXO_GRAFT_E_BOUNDS,		/* @reg may be @lo .. @hi, the region has @bound bytes */
	EXO_GRAFT_E_WRITE,		/* read only */
	EXO_GRAFT_E_ALIGN,		/* atomic, not aligned */
	EXO_GRAFT_E_LEAK,		/* a pointer would reach memory, the result or a comparison */
	EXO_GRAFT_E_ARG,		/* helper argument @reg */
	EXO_GRAFT_E_JOIN,		/* @reg (or slot) is not within the record at @bound */
	EXO_GRAFT_E_FIELD,		/* not a field of the context */
};

/**
 * struct exo_graft_error - the first thing that was wrong
 * @code: enum exo_graft_code
 * @slot: instruction
 * @reg: register, or 0x80 + stack slot
 * @region: enum exo_region_id
 * @size: bytes accessed
 * @lo: @reg may be this (signed) ...
 * @hi: ... to this
 * @bound: what it may be
 */
struct exo_graft_error {
	__u32 code;
	__u32 slot;
	__u32 reg;
	__u32 region;
	__u32 size;
	__u32 reserved;
	__s64 lo;
	__s64 hi;
	__aligned_u64 bound;
};

/* Commands --------------------------------------------------------------------------------------- */

#define EXO_GRAFT_NAME 32	/* bytes of a name, the 0 at its end included */
#define EXO_GRAFT_MAX_CERT (1U << 20)	/* bytes of a certificate */

#define EXO_GRAFT_LOAD_SANDBOX (1U << 0)	/* if there is no proof, the sandbox will do */
#define EXO_GRAFT_LOAD_INTERP (1U << 1)		/* if the kernel doesn't translate it, interpret it */
#define EXO_GRAFT_LOAD_NO_BARRIERS (1U << 2)	/* CAP_PERFMON: no speculation barriers, constants not blinded */

/**
 * struct exo_graft_load - EXO_GRAFT_LOAD: check a graft, translate it, keep it
 * @flags: EXO_GRAFT_LOAD_*
 * @hook: enum exo_graft_hook_id: where it is to run
 * @mode: enum exo_graft_mode that is wanted; a proof needs @cert
 * @nr_insns: slots in @insns
 * @const_size: bytes at @consts
 * @state_pages: pages of state, at first zero; none for a hook that must be pure
 * @cert_size: bytes at @cert
 * @insns: BPF instructions
 * @consts: read-only data
 * @cert: the certificate, see docs/graft-cert.md
 * @name: for people; ends with a 0
 * @out_graft: its number; EXO_GRAFT_UNLOAD or the environment's end unloads it
 * @out_mode: enum exo_graft_mode that it got
 * @out_mixed: proved, but the budget is counted all the same
 * @out_lowered: instructions given to the kernel's translator
 * @out_jit_bytes: bytes of machine code
 * @out_reserved: 0
 * @out_worst: proof: what the dearest run charges; ~0: not known
 * @out_state: mmap offset of the state (shared, readable, writable)
 * @out_error: the first thing that was wrong: with EINVAL why it isn't loaded, with success and
 *	@mode EXO_GRAFT_PROOF why it got another mode
 *
 * EINVAL; EPERM: no CAP_PERFMON; EDQUOT; EOPNOTSUPP: switched off (module parameter "grafts"), or
 * this kernel doesn't translate it and EXO_GRAFT_LOAD_INTERP isn't given.
 */
struct exo_graft_load {
	__u32 size;
	__u32 flags;
	__u32 hook;
	__u32 mode;
	__u32 nr_insns;
	__u32 const_size;
	__u32 state_pages;
	__u32 cert_size;
	__aligned_u64 insns;
	__aligned_u64 consts;
	__aligned_u64 cert;
	char name[EXO_GRAFT_NAME];
	__u32 out_graft;
	__u32 out_mode;
	__u32 out_mixed;
	__u32 out_lowered;
	__u32 out_jit_bytes;
	__u32 out_reserved;
	__aligned_u64 out_worst;
	__aligned_u64 out_state;
	struct exo_graft_error out_error;
};
#define EXO_GRAFT_LOAD _IO(EXO_TYPE, EXO_NR_GRAFT_LOAD)

/**
 * struct exo_graft_unload - EXO_GRAFT_UNLOAD: it is no longer run, wherever it is attached
 * @graft: number
 */
struct exo_graft_unload {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 reserved;
};
#define EXO_GRAFT_UNLOAD _IO(EXO_TYPE, EXO_NR_GRAFT_UNLOAD)

#define EXO_GRAFT_ATTACH_REPLACE (1U << 0)	/* instead of what is attached there, atomically */

/**
 * struct exo_graft_attach - EXO_GRAFT_ATTACH: run a graft at its hook
 * @flags: EXO_GRAFT_ATTACH_*
 * @graft: number of an own graft; 0: @cap names it, with EXO_RIGHT_READ
 * @target: fault hook: a view of this environment; victim hook: 0, this environment
 * @cookie: the graft finds it in its context
 * @cap: EXO_CAP_GRAFT, or all zero
 *
 * EBUSY: another is attached, and no REPLACE. EINVAL: not a hook that one attaches to.
 */
struct exo_graft_attach {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 target;
	__aligned_u64 cookie;
	struct exo_cap cap;
};
#define EXO_GRAFT_ATTACH _IO(EXO_TYPE, EXO_NR_GRAFT_ATTACH)

/**
 * struct exo_graft_detach - EXO_GRAFT_DETACH: the hook's default again; no run is under way there
 * @hook: EXO_HOOK_FAULT or EXO_HOOK_VICTIM
 * @target: as in struct exo_graft_attach
 *
 * ENOENT: nothing is attached.
 */
struct exo_graft_detach {
	__u32 size;
	__u32 flags;
	__u32 hook;
	__u32 target;
};
#define EXO_GRAFT_DETACH _IO(EXO_TYPE, EXO_NR_GRAFT_DETACH)

/**
 * struct exo_graft_invoke - EXO_GRAFT_RUN: run an own graft of the hooks pure, stream or txn
 * @graft: number
 * @repeat: how often, at least once; stops at the first run that is aborted
 * @data: input, if the hook has data
 * @data_out: stream: where the changed data goes, unless a run is aborted; 0: nowhere
 * @data_size: bytes of both; of a stream each repetition finds what the last one left
 * @out_result: of the last run
 * @arg: in the context
 * @out: from the context; all zero if the run was aborted
 * @out_status: enum exo_graft_status of the last run
 * @out_runs: runs that were begun
 * @out_charged: what the last run charged; a proof that isn't mixed only its entry,
 *	one for each slot
 * @out_ns: time of all runs
 * @out_cycles: the same by the time stamp counter
 *
 * An aborted run is no error: @out_status says it. EACCES: the graft was killed (EXO_GRAFT_KILL).
 */
struct exo_graft_invoke {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 repeat;
	__aligned_u64 data;
	__aligned_u64 data_out;
	__u32 data_size;
	__u32 out_result;
	__aligned_u64 arg[4];
	__aligned_u64 out[4];
	__u32 out_status;
	__u32 out_runs;
	__aligned_u64 out_charged;
	__aligned_u64 out_ns;
	__aligned_u64 out_cycles;
};
#define EXO_GRAFT_RUN _IO(EXO_TYPE, EXO_NR_GRAFT_RUN)

#define EXO_GRAFT_IS_MIXED (1U << 0)	/* proved, and the budget is counted */
#define EXO_GRAFT_IS_KILLED (1U << 1)	/* doesn't run any more */
#define EXO_GRAFT_IS_BARRED (1U << 2)	/* has speculation barriers, where they are needed */

/**
 * struct exo_graft_info - EXO_GRAFT_STATUS, and one row of EXO_GRAFT_LIST
 * @graft: STATUS: whose; own, or any with CAP_SYS_ADMIN. LIST: written
 * @out_hook: enum exo_graft_hook_id
 * @out_env: who loaded it
 * @out_uid: who is charged, in the caller's user namespace
 * @out_mode: enum exo_graft_mode
 * @out_flags: EXO_GRAFT_IS_*
 * @out_insns: slots
 * @out_lowered: instructions given to the kernel's translator
 * @out_jit_bytes: bytes of machine code
 * @out_const_size: bytes of constants
 * @out_state_pages: pages of state
 * @out_attached: places where it is attached
 * @out_reserved: 0
 * @out_worst: see struct exo_graft_load
 * @out_runs: runs, ever
 * @out_aborts: of these, aborted with enum exo_graft_status n
 * @out_charged: the most that a run charged
 * @out_name: for people
 */
struct exo_graft_info {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 out_hook;
	__aligned_u64 out_env;
	__u32 out_uid;
	__u32 out_mode;
	__u32 out_flags;
	__u32 out_insns;
	__u32 out_lowered;
	__u32 out_jit_bytes;
	__u32 out_const_size;
	__u32 out_state_pages;
	__u32 out_attached;
	__u32 out_reserved;
	__aligned_u64 out_worst;
	__aligned_u64 out_runs;
	__aligned_u64 out_aborts[6];
	__aligned_u64 out_charged;
	char out_name[EXO_GRAFT_NAME];
};
#define EXO_GRAFT_STATUS _IO(EXO_TYPE, EXO_NR_GRAFT_STATUS)

/**
 * struct exo_graft_list - EXO_GRAFT_LIST: the caller's uid's grafts; all of them to CAP_SYS_ADMIN
 * @count: room in @rows
 * @out_done: rows written
 * @rows: array of struct exo_graft_info
 * @start: list grafts with a number above this; for paging
 */
struct exo_graft_list {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 out_done;
	__aligned_u64 rows;
	__aligned_u64 start;
};
#define EXO_GRAFT_LIST _IO(EXO_TYPE, EXO_NR_GRAFT_LIST)

/**
 * struct exo_graft_trace - an entry of a graft's log
 * @time_ns: CLOCK_MONOTONIC
 * @arg: what it gave to exo_trace()
 * @seq: number of the entry; what is missing was overwritten
 */
struct exo_graft_trace {
	__aligned_u64 time_ns;
	__aligned_u64 arg[2];
	__aligned_u64 seq;
};
#define EXO_GRAFT_TRACES 128	/* entries that are kept: the newest */

/**
 * struct exo_graft_log - EXO_GRAFT_LOG: the log of an own graft, oldest first; reading takes nothing
 * @graft: number
 * @count: room in @entries
 * @out_done: entries written
 * @reserved: 0
 * @start: entries from this number on; for following
 * @entries: array of struct exo_graft_trace
 */
struct exo_graft_log {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 count;
	__u32 out_done;
	__u32 reserved;
	__aligned_u64 start;
	__aligned_u64 entries;
};
#define EXO_GRAFT_LOG _IO(EXO_TYPE, EXO_NR_GRAFT_LOG)

/**
 * struct exo_graft_kill - EXO_GRAFT_KILL: abort what runs of it now, and run it no more
 * @graft: number; own, or any with CAP_SYS_ADMIN
 * @reserved: 0
 *
 * Returns when no run is under way. It stays loaded and attached, and its hooks do their default.
 */
struct exo_graft_kill {
	__u32 size;
	__u32 flags;
	__u32 graft;
	__u32 reserved;
};
#define EXO_GRAFT_KILL _IO(EXO_TYPE, EXO_NR_GRAFT_KILL)

#ifdef __bpf__
#include <exo/graft_bpf.h>	/* of libexo: the helpers as functions */
#endif

#endif
