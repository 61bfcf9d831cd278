/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For authors of grafts, included by <exo/graft.h> when it is compiled for BPF:
 *
 *	#include <exo/graft.h>
 *
 *	SEC("fault")
 *	__u32 handler(struct exo_ctx_fault *ctx)
 *	{
 *		return exo_bind(ctx->page, frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE) ? 1 : 0;
 *	}
 *
 *	clang -O2 -g -target bpf -mcpu=v3 -c handler.bpf.c -o handler.bpf.o
 *
 * The section names the hook. Constants become the graft's constants, variables its state, which
 * the program that loads it sees, too. Functions other than the graft itself are EXO_INLINE.
 * docs/graft.md has the language, and what each hook does with the result.
 */
#ifndef EXO_GRAFT_BPF_H
#define EXO_GRAFT_BPF_H

#define SEC(name) __attribute__((section(name), used))
#define EXO_INLINE static inline __attribute__((always_inline))

#define EXO_HELPER_POINTER(number) __attribute__((unused)) = (void *)(number)

/* fault: a frame of the environment's at a page of the faulting view; 0 or -errno. */
static long (*const exo_bind)(__u64 page, __u64 frame, __u64 rights)
	EXO_HELPER_POINTER(EXO_HELPER_BIND);
/*
 * fault, victim, txn: eight bytes of state, aligned, that an abort sets back to what they are now.
 * 1: the run is going to be aborted; return.
 */
static __u64 (*const exo_log)(void *word) EXO_HELPER_POINTER(EXO_HELPER_LOG);
/*
 * fault, victim, txn: one of the environment's EXO_GRAFT_LOCKS locks, in rising order; held to the
 * end of the transaction. 1: the run is going to be aborted; return.
 */
static __u64 (*const exo_lock)(__u64 lock) EXO_HELPER_POINTER(EXO_HELPER_LOCK);
/* fault, victim, txn: two numbers into the graft's log. */
static void (*const exo_trace)(__u64 a, __u64 b) EXO_HELPER_POINTER(EXO_HELPER_TRACE);
/* fault, victim, txn: CLOCK_MONOTONIC, ns. */
static __u64 (*const exo_now)(void) EXO_HELPER_POINTER(EXO_HELPER_NOW);
/*
 * txn: another graft of the environment, inside this one's transaction: its result, 0xffffffff if it
 * could not be run or was aborted.
 */
static __u64 (*const exo_call)(__u64 graft, __u64 arg) EXO_HELPER_POINTER(EXO_HELPER_CALL);
/* fault, victim, txn: 1 if the environment owns the frame, else 0. */
static __u64 (*const exo_owns)(__u64 frame) EXO_HELPER_POINTER(EXO_HELPER_OWNS);
/*
 * owns: these blocks are the unit's, for this slot of its template (EXO_XN_SELF, 1 .. EXO_XN_REFS,
 * EXO_XN_DATA). 1: too many, the run is going to be aborted; return.
 */
static __u64 (*const exo_emit)(__u64 block, __u64 count, __u64 slot)
	EXO_HELPER_POINTER(EXO_HELPER_EMIT);
/* acl: 1 if the caller is in this group (of the initial user namespace), else 0. */
static __u64 (*const exo_group)(__u64 gid) EXO_HELPER_POINTER(EXO_HELPER_GROUP);

#undef EXO_HELPER_POINTER

#endif
