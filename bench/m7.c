// SPDX-License-Identifier: GPL-2.0
/*
 * M7: a fault that the software TLB answers, against an anonymous minor fault without zeroing.
 * A fault is: one store to a page that is not there, until the store is done.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

#define PAGES 512
#define ROUNDS 4

struct m7 {
	struct exo_view *view;
	char *base;
	char *anon;
	uint32_t frames[PAGES];
	uint64_t stamp;
};

static double hits(void *ctx)
{
	struct exo_mem_op all = exo_op(0, PAGES, 0, 0);
	struct m7 *m7 = ctx;
	uint64_t start;
	double sum = 0;
	int round;
	uint32_t i;

	for (round = 0; round < ROUNDS; round++) {
		m7->stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(m7->base, i) = m7->stamp + i;
		sum += bench_since(start);
		/* The frame is the one that was loaded: both its words are of this page. */
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(m7->base, i) == m7->stamp + i &&
				     bench_word(m7->base, i)[1] == i);
		bench_must(exo_view_unbind(m7->view, &all, 1, 0, NULL), "unbind");
	}
	return sum / ROUNDS / PAGES;
}

static double minor_faults(void *ctx)
{
	struct m7 *m7 = ctx;
	double sum = 0;
	uint64_t start;
	int round;
	uint32_t i;

	for (round = 0; round < ROUNDS; round++) {
		if (madvise(m7->anon, PAGES * PAGE, MADV_DONTNEED))
			bench_fail("MADV_DONTNEED: %s", strerror(errno));
		m7->stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(m7->anon, i) = m7->stamp + i;
		sum += bench_since(start);
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(m7->anon, i) == m7->stamp + i);
	}
	return sum / ROUNDS / PAGES;
}

void m7_run(void)
{
	struct exo_env *env = bench_env(PAGES);
	struct m7 m7 = { 0 };
	double ours, peer;
	uint32_t i;

	m7.view = bench_view(env, PAGES, PAGES, 0);
	m7.base = exo_view_base(m7.view);
	m7.anon = bench_anon(PAGES * PAGE);
	memset(m7.anon, 0, PAGES * PAGE);
	bench_must(exo_mem_alloc_any(env, m7.frames, PAGES), "frames");
	for (i = 0; i < PAGES; i++) {
		bench_must(exo_view_bind1(m7.view, i, m7.frames[i],
					  EXO_RIGHT_READ | EXO_RIGHT_WRITE),
			   "bind");
		bench_word(m7.base, i)[1] = i;
		bench_must(exo_view_unbind1(m7.view, i), "unbind");
		bench_must(exo_view_stlb_load(m7.view, i, m7.frames[i], 1), "software TLB");
	}
	ours = bench_measure("M7", hits, &m7);
	peer = bench_measure("M7", minor_faults, &m7);
	bench_row("M7", "store to a page that the software TLB knows", ours,
		  peer - bench_zero_cost(), "anonymous minor fault",
		  "with its zeroing the peer is at %.0f", peer);
}
