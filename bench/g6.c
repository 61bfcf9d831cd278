// SPDX-License-Identifier: GPL-2.0
/*
 * G6: a fault that a graft resolves with a frame of its owner's list, against an anonymous minor
 * fault without zeroing. A fault is: one store to a page that is not there, until it is done.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "g.h"

#define PAGES 512
#define ROUNDS 4

struct g6 {
	struct exo_view *view;
	char *base;
	char *anon;
	uint32_t frames[PAGES];
	uint32_t *next;
	uint64_t stamp;
};

static double grafted(void *ctx)
{
	struct exo_mem_op all = exo_op(0, PAGES, 0, 0);
	struct g6 *g6 = ctx;
	uint64_t start;
	double sum = 0;
	uint32_t i;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		g6->stamp += PAGES;
		*g6->next = 0;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(g6->base, i) = g6->stamp + i;
		sum += bench_since(start);
		/* Page i got the i-th frame of the list: it knows its number. */
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(g6->base, i) == g6->stamp + i &&
				     bench_word(g6->base, i)[1] == g6->frames[i]);
		bench_assert(*g6->next == PAGES);
		bench_must(exo_view_unbind(g6->view, &all, 1, 0, NULL), "unbind");
	}
	return sum / ROUNDS / PAGES;
}

static double minor_faults(void *ctx)
{
	struct g6 *g6 = ctx;
	double sum = 0;
	uint64_t start;
	uint32_t i;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (madvise(g6->anon, PAGES * PAGE, MADV_DONTNEED))
			bench_fail("MADV_DONTNEED: %s", strerror(errno));
		g6->stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(g6->anon, i) = g6->stamp + i;
		sum += bench_since(start);
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(g6->anon, i) == g6->stamp + i);
	}
	return sum / ROUNDS / PAGES;
}

static double with_graft(struct g6 *g6, struct exo_env *env, uint32_t mode)
{
	struct exo_graft_load_opts load = { .sz = sizeof(load), .mode = mode };
	struct exo_graft_attach_opts attach = { .sz = sizeof(attach), .view = g6->view };
	struct exo_graft_object *object = g_open("pop");
	struct exo_graft *graft;
	uint32_t *list, *count;
	double figure;

	bench_must(exo_graft_load(env, object, &load, &graft), "load");
	g6->next = exo_graft_state_var(graft, "next", NULL);
	count = exo_graft_state_var(graft, "count", NULL);
	list = exo_graft_state_var(graft, "list", NULL);
	bench_assert(g6->next && count && list);
	memcpy(list, g6->frames, sizeof(g6->frames));
	*count = PAGES;
	bench_must(exo_graft_attach(env, graft, &attach), "attach");
	figure = bench_measure("G6", grafted, g6);
	bench_must(exo_graft_detach(env, EXO_HOOK_FAULT, g6->view), "detach");
	bench_must(exo_graft_unload(graft), "unload");
	exo_graft_close(object);
	return figure;
}

void g6_run(void)
{
	struct exo_env *env = bench_env(PAGES);
	double proof, sandbox, peer;
	struct g6 g6 = { 0 };
	uint32_t i;

	g6.view = bench_view(env, PAGES, 0, 0);
	g6.base = exo_view_base(g6.view);
	g6.anon = bench_anon(PAGES * PAGE);
	memset(g6.anon, 0, PAGES * PAGE);
	bench_must(exo_mem_alloc_any(env, g6.frames, PAGES), "frames");
	for (i = 0; i < PAGES; i++) {
		bench_must(exo_view_bind1(g6.view, i, g6.frames[i],
					  EXO_RIGHT_READ | EXO_RIGHT_WRITE),
			   "bind");
		bench_word(g6.base, i)[1] = g6.frames[i];
		bench_must(exo_view_unbind1(g6.view, i), "unbind");
	}
	proof = with_graft(&g6, env, EXO_GRAFT_PROOF);
	sandbox = with_graft(&g6, env, EXO_GRAFT_SANDBOX);
	peer = bench_measure("G6", minor_faults, &g6) - bench_zero_cost();
	bench_row("G6", "fault that a proved graft resolves", proof, peer, "anonymous minor fault",
		  "bar: at most 1.2 times the peer's");
	bench_row("G6.sandbox", "fault that a graft in the sandbox resolves", sandbox, peer,
		  "anonymous minor fault", " ");
}
