/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measurements of grafts share: the fixed sources in graft/, loaded in each mode, and
 * exo_graft_peer.ko, which runs what they are compared with.
 *
 * A figure is instructions a run. Both sides are timed inside the kernel around a loop of runs over
 * one input; what an empty graft (an empty program) costs in the same loop is taken off, and is
 * itself what G4 shows.
 */
#ifndef EXO_BENCH_G_H
#define EXO_BENCH_G_H

#include "bench.h"
#include "graft/peer.h"
#include "graft/trace.h"

#define G_FRAMES 400
#define G_REPEAT 16

/* A side of a comparison: a graft in a mode, or something of the peer's. */
struct g_side {
	const char *name;		/* of the source in graft/ */
	struct exo_graft_object *object;
	struct exo_graft *graft;	/* NULL: the peer's */
	enum graft_peer_how how;
	int blind;
	int jited;			/* what a peer's bytecode must be */
};

/* One input, and what must come of it. */
struct g_input {
	const void *data;
	void *data_out;			/* NULL: it isn't changed */
	uint32_t size;
	uint32_t repeat;
	uint64_t arg[4];
	uint64_t out[4];
	uint32_t result;
};

struct exo_env *g_env(void);
struct exo_graft_object *g_open(const char *name);
struct g_side g_graft(const char *name, uint32_t mode, uint32_t flags);
struct g_side g_bytecode(const char *name, int blind, int jited);
struct g_side g_native(const char *name);
void g_close(struct g_side *side);

/* Runs it; instructions a run. in->result and in->out are what came of the last run. */
double g_run(const struct g_side *side, struct g_input *in);

/* Has the kernel translate BPF that is loaded from now on, or interpret it. */
void g_jit(int on);

/* The frames of the trace, in order. */
const struct trace_frame *g_frames(void);

#endif
