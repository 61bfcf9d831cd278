/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the bench program asks of exo_graft_peer.ko: to run what grafts are compared with.
 */
#ifndef EXO_BENCH_GRAFT_PEER_H
#define EXO_BENCH_GRAFT_PEER_H

#include <linux/ioctl.h>
#include <linux/types.h>

enum graft_peer_how {
	GRAFT_PEER_CALL,	/* an indirect call of an empty C function */
	GRAFT_PEER_BYTECODE,	/* @insns through the kernel: its JIT, or its interpreter if that is off */
	GRAFT_PEER_NATIVE,	/* the C function @name, compiled into the module */
};

/**
 * struct graft_peer_run - GRAFT_PEER_RUN: run something @repeat times over the same input
 * @how: enum graft_peer_how
 * @blind: bytecode: have the JIT blind constants, as it does for grafts
 * @repeat: how often
 * @len: bytecode: slots
 * @insns: bytecode: pointer to them
 * @name: native: the function
 * @data: pointer to the input, copied in once, and out at the end
 * @data_size: bytes
 * @out_jited: bytecode: 1 if it was compiled
 * @arg: of the context
 * @out: of the context, after the last run
 * @out_result: of the last run
 * @out_ticks: time stamps passed in the loop
 */
struct graft_peer_run {
	__u32 how;
	__u32 blind;
	__u32 repeat;
	__u32 len;
	__aligned_u64 insns;
	char name[32];
	__aligned_u64 data;
	__u32 data_size;
	__u32 out_jited;
	__u64 arg[4];
	__u64 out[4];
	__u32 out_result;
	__u32 reserved;
	__u64 out_ticks;
};

#define GRAFT_PEER_RUN _IOWR('p', 1, struct graft_peer_run)
#define GRAFT_PEER_MAX_DATA 65536

#endif
