// SPDX-License-Identifier: GPL-2.0
/*
 * G4, G7: what it costs to enter and leave a graft, and a transaction.
 *
 * The loop in which the kernel runs an empty graft, less the loop in which it calls an empty C
 * function through a pointer.
 */
#include "g.h"

#define ROUNDS 4096
#define LOGGED 4

struct pass {
	struct g_side *side;
	struct g_input in;
	uint32_t status;
};

static double pass(void *ctx)
{
	struct pass *p = ctx;

	return g_run(p->side, &p->in);
}

static double measure(struct g_side side, uint64_t arg)
{
	struct pass p = { .side = &side, .in = { .repeat = ROUNDS, .arg = { arg } } };
	double figure = bench_measure(side.name, pass, &p);

	bench_assert(p.in.result == 0);
	g_close(&side);
	return figure;
}

/* An aborted run ends the loop, so it is timed alone; what is logged must be back. */
static double aborts(void *ctx)
{
	struct exo_graft *graft = ctx;
	struct exo_graft_invoke invoke;
	uint64_t *word = exo_graft_state_var(graft, "words", NULL);
	double sum = 0;
	int i, k;

	bench_assert(word != NULL);
	for (k = 0; k < LOGGED; k++)
		word[k] = 42;
	for (i = 0; i < ROUNDS; i++) {
		invoke = (struct exo_graft_invoke){ .repeat = 1, .arg = { LOGGED, 1 } };
		bench_must(exo_graft_run(graft, &invoke), "run");
		bench_assert(invoke.out_status == EXO_GRAFT_ABORT_ACCESS);
		sum += bench_is_wall() ? (double)invoke.out_ns : (double)invoke.out_cycles;
		for (k = 0; k < LOGGED; k++)
			bench_assert(word[k] == 42);
	}
	return sum / ROUNDS;
}

void g4_run(void)
{
	double call, pure, txn, logged;
	struct g_side side;

	call = measure((struct g_side){ .name = "empty", .how = GRAFT_PEER_CALL }, 0);
	pure = measure(g_graft("empty", EXO_GRAFT_PROOF, 0), 0);
	txn = measure(g_graft("empty_txn", EXO_GRAFT_SANDBOX, 0), 0);
	bench_row("G4a", "enter and leave an empty pure graft, beyond an indirect call", pure - call,
		  30, "the bar", "the call in its loop costs %.1f", call);
	bench_row("G4b", "the same with window, budget and an empty transaction", txn - call, 120,
		  "the bar", " ");
	logged = measure(g_graft("txn_log", EXO_GRAFT_SANDBOX, 0), LOGGED);
	bench_row("G7.commit", "begin, log 4 words, commit", logged - call, txn - call,
		  "the empty transaction",
		  "VINO (OSDI 1996): begin 32 to 52 us, commit 28 to 34 us");
	side = g_graft("txn_log", EXO_GRAFT_SANDBOX, 0);
	logged = bench_measure("G7.abort", aborts, side.graft);
	bench_row("G7.abort", "begin, log 4 words, abort by a bad access", logged, txn - call,
		  "the empty transaction", "VINO (OSDI 1996): abort 27 to 36 us");
	g_close(&side);
}
