// SPDX-License-Identifier: GPL-2.0
/*
 * X5: what it costs to have a change verified: one alloc, one free, one modify in a call, and 64 in one. The
 * unit points at 64 extents before; what is timed is the call alone, without a commit.
 */
#include <string.h>

#include "xn.h"

#define BATCH 64U
#define ROUNDS 16U

struct state {
	struct xn *xn;
	struct exo_xn_change *change;
	uint64_t base;		/* free blocks from here on */
	uint32_t batch;
	int free;		/* time the free, not the alloc */
};

static double apply(struct state *state)
{
	uint64_t start = bench_now();
	int ret = exo_xn_change_apply(state->change, 0, NULL);
	double cost = bench_since(start);

	bench_must(ret, "apply");
	return cost;
}

/* The entries behind the first 64: each a block, none beside another. */
static void prepare_alloc(struct state *state, int alloc)
{
	struct xn_unit *unit = &state->xn->unit;
	struct xn_extent *first = &unit->extent[BATCH];
	uint32_t i;

	unit->nr = alloc ? BATCH + state->batch : BATCH;
	exo_xn_change_write(state->change, state->xn->at, 0, &unit->nr, 8);
	for (i = 0; i < state->batch; i++) {
		first[i] = (struct xn_extent){ state->base + 2 * i, 1, EXO_XN_DATA };
		if (alloc)
			exo_xn_change_alloc(state->change, state->xn->at, first[i].block, 1, EXO_XN_DATA);
		else
			exo_xn_change_free(state->change, state->xn->at, first[i].block, 1, EXO_XN_DATA);
	}
	if (alloc)
		exo_xn_change_write(state->change, state->xn->at, (uint32_t)((char *)first - (char *)unit), first,
				    (uint32_t)(state->batch * sizeof(*first)));
}

static double run_alloc(void *ctx)
{
	struct state *state = ctx;
	double alloc = 0, release = 0;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		prepare_alloc(state, 1);
		alloc += apply(state);
		prepare_alloc(state, 0);
		release += apply(state);
		bench_must(exo_xn_commit(state->xn->disk, state->xn->root, NULL), "commit");
	}
	return (state->free ? release : alloc) / ROUNDS / state->batch;
}

static double run_modify(void *ctx)
{
	struct state *state = ctx;
	struct xn_unit *unit = &state->xn->unit;
	double cost = 0;
	uint32_t i, k;

	for (i = 0; i < ROUNDS; i++) {
		for (k = 0; k < state->batch; k++) {
			unsigned char *word = &unit->text[k * 16];

			memset(word, (int)(i + k), 8);
			exo_xn_change_write(state->change, state->xn->at,
					    (uint32_t)((char *)word - (char *)unit), word, 8);
		}
		cost += apply(state);
		bench_must(exo_xn_commit(state->xn->disk, state->xn->root, NULL), "commit");
	}
	return cost / ROUNDS / state->batch;
}

static void both(struct state *state, const char *id, const char *what, double (*fn)(void *))
{
	double alone, together;

	state->batch = 1;
	alone = bench_measure(what, fn, state);
	state->batch = BATCH;
	together = bench_measure(what, fn, state);
	bench_row(id, what, together, alone, "one in a call",
		  "bar: at most a quarter; the unit has 4 KiB and 64 extents");
}

void x5_run(void)
{
	struct state state = { 0 };
	struct xn xn;
	uint32_t i;

	xn_open(&xn, xn_nullb(), 512);
	state.xn = &xn;
	for (i = 0; i < BATCH; i++)
		xn_grow(&xn, 1 + i % 2);
	bench_must(exo_xn_find_free(xn.disk, 0, 2 * BATCH, &state.base), "free blocks");
	bench_must(exo_xn_change_begin(xn.disk, xn.root, &state.change), "change");
	both(&state, "X5.alloc", "alloc of a block, verified, 64 in a call; each", run_alloc);
	state.free = 1;
	both(&state, "X5.free", "free of a block, verified, 64 in a call; each", run_alloc);
	both(&state, "X5.modify", "8 bytes of a unit written, verified, 64 in a call; each", run_modify);
	exo_xn_change_end(state.change);
	xn_close(&xn);
}
