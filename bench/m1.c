// SPDX-License-Identifier: GPL-2.0
/*
 * M1, M2, M2a: a page appears, is touched, goes away.
 *
 * exo: bind, one store, unbind. Linux: store into anonymous memory (which allocates and zeroes),
 * madvise(MADV_DONTNEED). Inside the loop every page is checked after the bind: its
 * first word is what was stored in that frame, at whatever page the frame was then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

#define CONTIG 512
#define SCATTERED 64
#define SETS 32 /* draws of scattered pages */
#define SPARE 1024 /* frames that scattered binds choose from */
#define SEED 0x5eed5eed5eed5eedULL

struct m1 {
	struct exo_env *env;
	struct exo_view *view;
	char *base; /* of the view */
	char *anon; /* 1 GiB of Linux's */
	uint64_t stamp; /* grows with each round */
	uint32_t first; /* run of CONTIG frames */
	uint64_t contig_stamp; /* what the run's frames hold, less their index */
	uint32_t frames[SPARE];
	uint32_t pages[SETS][SCATTERED];
	uint32_t spare[SETS][SCATTERED]; /* index into frames */
	struct exo_mem_op bind[SETS][SCATTERED];
	struct exo_mem_op unbind[SETS][SCATTERED];
	volatile uint64_t *word[SETS][SCATTERED]; /* where the pages are */
	uint64_t tag[SETS][SCATTERED]; /* what their frames begin with */
};

/* What a spare frame begins with; its second word is what is stored to. */
static uint64_t tag_of(uint32_t spare)
{
	return 0x100000 + spare;
}

static void fill_frames(struct m1 *m1)
{
	struct exo_mem_op op = exo_op(0, CONTIG, m1->first, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	uint32_t i;

	bench_must(exo_view_bind(m1->view, &op, 1, NULL), "bind");
	for (i = 0; i < CONTIG; i++)
		*bench_word(m1->base, i) = i;
	op = exo_op(0, CONTIG, 0, 0);
	bench_must(exo_view_unbind(m1->view, &op, 1, 0, NULL), "unbind");
	for (i = 0; i < SPARE; i++) {
		bench_must(exo_view_bind1(m1->view, 0, m1->frames[i],
					  EXO_RIGHT_READ | EXO_RIGHT_WRITE),
			   "bind");
		*bench_word(m1->base, 0) = tag_of(i);
		bench_must(exo_view_unbind1(m1->view, 0), "unbind");
	}
}

/* Tables present: one page of every 2 MiB region was bound once. */
static void visit_regions(struct m1 *m1)
{
	uint32_t page;

	for (page = 0; page < GIB_PAGES; page += REGION_PAGES) {
		bench_must(exo_view_bind1(m1->view, page, m1->frames[0], EXO_RIGHT_READ), "bind");
		bench_must(exo_view_unbind1(m1->view, page), "unbind");
	}
}

static void draw_sets(struct m1 *m1)
{
	struct bench_rng rng = { SEED };
	uint32_t set, i;

	for (set = 0; set < SETS; set++) {
		bench_draw(&rng, GIB_PAGES, m1->pages[set], SCATTERED);
		bench_draw(&rng, SPARE, m1->spare[set], SCATTERED);
		for (i = 0; i < SCATTERED; i++) {
			m1->bind[set][i] = exo_op(m1->pages[set][i], 1,
						  m1->frames[m1->spare[set][i]],
						  EXO_RIGHT_READ | EXO_RIGHT_WRITE);
			m1->unbind[set][i] = exo_op(m1->pages[set][i], 1, 0, 0);
			m1->word[set][i] = bench_word(m1->base, m1->pages[set][i]);
			m1->tag[set][i] = tag_of(m1->spare[set][i]);
		}
	}
}

struct m1 *m1_open(struct exo_env *env, uint32_t extra_pages)
{
	struct m1 *m1 = calloc(1, sizeof(*m1));

	if (!m1)
		bench_fail("out of memory");
	m1->env = env;
	m1->view = bench_view(env, (uint32_t)GIB_PAGES + extra_pages, 0, 0);
	m1->base = exo_view_base(m1->view);
	bench_must(exo_mem_alloc_contig(env, CONTIG, &m1->first), "a contiguous run of frames");
	bench_must(exo_mem_alloc_any(env, m1->frames, SPARE), "frames");
	fill_frames(m1);
	visit_regions(m1);
	draw_sets(m1);
	return m1;
}

struct exo_view *m1_view(struct m1 *m1)
{
	return m1->view;
}

/* ---- ours ---- */

static double contig_rounds(void *ctx)
{
	struct m1 *m1 = ctx;
	const int rounds = 100;
	struct exo_mem_op op;
	uint64_t start, last, next;
	int round;
	uint32_t i;

	start = bench_now();
	for (round = 0; round < rounds; round++) {
		op = exo_op(REGION_PAGES, CONTIG, m1->first, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
		bench_must(exo_view_bind(m1->view, &op, 1, NULL), "bind");
		last = m1->contig_stamp;
		next = last + 0x10000;
		for (i = 0; i < CONTIG; i++) {
			volatile uint64_t *word = bench_word(m1->base, REGION_PAGES + i);

			bench_assert(*word == last + i);
			*word = next + i;
		}
		m1->contig_stamp = next;
		op = exo_op(REGION_PAGES, CONTIG, 0, 0);
		bench_must(exo_view_unbind(m1->view, &op, 1, 0, NULL), "unbind");
	}
	return bench_since(start) / rounds / CONTIG;
}

static double scattered_rounds(void *ctx)
{
	struct m1 *m1 = ctx;
	uint64_t start;
	uint32_t set, i;

	start = bench_now();
	for (set = 0; set < SETS; set++) {
		bench_must(exo_view_bind(m1->view, m1->bind[set], SCATTERED, NULL), "bind");
		for (i = 0; i < SCATTERED; i++) {
			volatile uint64_t *word = m1->word[set][i];

			bench_assert(*word == m1->tag[set][i]);
			word[1] = set;
		}
		bench_must(exo_view_unbind(m1->view, m1->unbind[set], SCATTERED, 0, NULL),
			   "unbind");
	}
	return bench_since(start) / SETS / SCATTERED;
}

static double single_rounds(void *ctx)
{
	struct m1 *m1 = ctx;
	uint64_t start;
	uint32_t set, i;

	start = bench_now();
	for (set = 0; set < SETS; set++) {
		for (i = 0; i < SCATTERED; i++) {
			volatile uint64_t *word = m1->word[set][i];

			bench_must(exo_view_bind(m1->view, &m1->bind[set][i], 1, NULL), "bind");
			bench_assert(*word == m1->tag[set][i]);
			word[1] = set;
			bench_must(exo_view_unbind(m1->view, &m1->unbind[set][i], 1, 0, NULL),
				   "unbind");
		}
	}
	return bench_since(start) / SETS / SCATTERED;
}

/* Half of M2a each, to see where it goes. */
static double single_bind_rounds(void *ctx)
{
	struct m1 *m1 = ctx;
	double sum = 0;
	uint64_t start;
	uint32_t i;

	for (i = 0; i < SCATTERED; i++) {
		start = bench_now();
		bench_must(exo_view_bind(m1->view, &m1->bind[0][i], 1, NULL), "bind");
		sum += bench_since(start);
		bench_must(exo_view_unbind(m1->view, &m1->unbind[0][i], 1, 0, NULL), "unbind");
	}
	return sum / SCATTERED;
}

double m1_contig(struct m1 *m1)
{
	return bench_measure("M1", contig_rounds, m1);
}

double m1_scattered(struct m1 *m1)
{
	return bench_measure("M2", scattered_rounds, m1);
}

/* ---- Linux ---- */

static void drop(char *base, uint32_t page, uint32_t count)
{
	if (madvise(base + page * PAGE, count * PAGE, MADV_DONTNEED))
		bench_fail("MADV_DONTNEED: %s", strerror(errno));
}

static inline void touch(char *base, uint32_t page, uint64_t value)
{
	volatile uint64_t *word = bench_word(base, page);

	*word = value;
	bench_assert(*word == value);
}

static double contig_linux(void *ctx)
{
	struct m1 *m1 = ctx;
	const int rounds = 20;
	uint64_t start = bench_now();
	uint32_t i;
	int round;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < CONTIG; i++)
			touch(m1->anon, REGION_PAGES + i, m1->stamp++);
		drop(m1->anon, REGION_PAGES, CONTIG);
	}
	return bench_since(start) / rounds / CONTIG;
}

static double contig_populate(void *ctx)
{
	struct m1 *m1 = ctx;
	const int rounds = 20;
	uint64_t start = bench_now();
	uint32_t i;
	int round;

	for (round = 0; round < rounds; round++) {
		if (madvise(m1->anon + REGION_PAGES * PAGE, CONTIG * PAGE, MADV_POPULATE_WRITE))
			bench_fail("MADV_POPULATE_WRITE: %s", strerror(errno));
		for (i = 0; i < CONTIG; i++)
			touch(m1->anon, REGION_PAGES + i, m1->stamp++);
		drop(m1->anon, REGION_PAGES, CONTIG);
	}
	return bench_since(start) / rounds / CONTIG;
}

static double scattered_linux(void *ctx)
{
	struct m1 *m1 = ctx;
	uint64_t start = bench_now();
	uint32_t set, i;

	for (set = 0; set < SETS; set++) {
		for (i = 0; i < SCATTERED; i++)
			touch(m1->anon, m1->pages[set][i], m1->stamp++);
		for (i = 0; i < SCATTERED; i++)
			drop(m1->anon, m1->pages[set][i], 1);
	}
	return bench_since(start) / SETS / SCATTERED;
}

static double single_linux(void *ctx)
{
	struct m1 *m1 = ctx;
	uint64_t start = bench_now();
	uint32_t set, i;

	for (set = 0; set < SETS; set++) {
		for (i = 0; i < SCATTERED; i++) {
			touch(m1->anon, m1->pages[set][i], m1->stamp++);
			drop(m1->anon, m1->pages[set][i], 1);
		}
	}
	return bench_since(start) / SETS / SCATTERED;
}

static void visit_anon(struct m1 *m1)
{
	uint32_t page;

	for (page = 0; page < GIB_PAGES; page += REGION_PAGES)
		touch(m1->anon, page, 1);
}

static void row(const char *id, const char *measure, double ours, double peer, const char *name)
{
	double zero = bench_zero_cost();

	bench_row(id, measure, ours, peer - zero, name, "with its zeroing the peer is at %.0f",
		  peer);
}

void m1_run(void)
{
	struct exo_env *env = bench_env(4 * CONTIG + SPARE);
	struct m1 *m1 = m1_open(env, 0);
	double ours, bind, peer;

	m1->anon = bench_anon(GIB);
	visit_anon(m1);

	ours = m1_contig(m1);
	row("M1", "bind, touch, unbind; 512 contiguous pages; per page", ours,
	    bench_measure("M1", contig_linux, m1), "touch, MADV_DONTNEED");
	row("M1", "bind, touch, unbind; 512 contiguous pages; per page", ours,
	    bench_measure("M1", contig_populate, m1), "MADV_POPULATE_WRITE, touch, MADV_DONTNEED");
	ours = m1_scattered(m1);
	row("M2", "bind, touch, unbind; 64 scattered pages in one call; per page", ours,
	    bench_measure("M2", scattered_linux, m1), "touch, one MADV_DONTNEED each");
	ours = bench_measure("M2a", single_rounds, m1);
	bind = bench_measure("M2a", single_bind_rounds, m1);
	peer = bench_measure("M2a", single_linux, m1);
	bench_row("M2a", "bind, touch, unbind; one page", ours, peer - bench_zero_cost(),
		  "touch, MADV_DONTNEED",
		  "ours: bind %.0f, the rest %.0f; with its zeroing the peer is at %.0f", bind,
		  ours - bind, peer);
}
