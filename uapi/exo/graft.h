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
	__u32 bound;		/* how often it is bound */
	__aligned_u64 age_ns;	/* since it was allocated */
	__u32 give;		/* the answer: nonzero if this one should go; small numbers first */
	__u32 reserved;
};

struct exo_ctx_victim {
	__aligned_u64 data;		/* struct exo_victim[], writable */
	__aligned_u64 data_end;
	__aligned_u64 wanted;		/* frames to give */
	__aligned_u64 cookie;
};

/* Helpers, by their number in a CALL. exo/graft.h of libexo declares them for each hook. */
enum exo_graft_helper {
	EXO_HELPER_BIND = 1,	/* fault: bind a frame at the page (staged): 0 or -errno */
	EXO_HELPER_LOG = 2,	/* remember 8 bytes of state; an abort restores them */
	EXO_HELPER_LOCK = 3,	/* take one of the environment's graft locks, in rising order */
	EXO_HELPER_UNLOCK = 4,
	EXO_HELPER_TRACE = 5,	/* two numbers into the graft's log */
	EXO_HELPER_NOW = 6,	/* CLOCK_MONOTONIC, ns */
	EXO_HELPER_CALL = 7,	/* run another graft of the environment, nested */
	EXO_HELPER_OWNS = 8,	/* does the environment own this frame? */
};

#define EXO_GRAFT_LOCKS 8	/* graft locks of an environment */

/* LD_IMM64 with these source registers is an address. */
#define EXO_PSEUDO_CONST 1	/* byte imm of the constants */
#define EXO_PSEUDO_STATE 2	/* byte imm of the state window */

#ifdef __bpf__
#include <exo/graft_bpf.h>	/* of libexo: the helpers as functions */
#endif

#endif
