// SPDX-License-Identifier: GPL-2.0
/*
 * M4: what Appel and Li ask of virtual memory (ASPLOS 1991), as the exokernel papers measured it.
 *
 * prot1, prot100	take the right to write from 1 page, from 100 pages
 * unprot100		give it back to 100 pages, and store once into each
 * trap			a store to a protected page enters a handler, which unprotects it: done
 * appel1		the same, and the handler protects another page (random pages)
 * appel2		protect 100 pages, then store into each in random order, the handler unprotects it;
 *			per page
 * dirty		find out whether pages were stored to
 *
 * Linux's side is run twice where it matters: the pages in mappings of their own (mprotect() need
 * neither split nor merge mappings), and in the middle of a larger one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define PAGES 100
#define ROUNDS 20
#define DIRTY_PAGES 512
#define SEED 0xa99e1a99e1ULL
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)

static struct {
	struct exo_view *view;
	char *base; /* of the pages measured, ours or Linux's */
	uint32_t step; /* Linux: pages from one to the next */
	uint32_t order[PAGES]; /* random order */
	uint32_t other; /* appel1: the page that the handler protects */
	int protect_other;
	volatile uint32_t traps; /* by the handler, in the middle of a store */
	uint64_t stamp;
} m4;

static volatile uint64_t *word(uint32_t page)
{
	return bench_word(m4.base, page * m4.step);
}

static void store(uint32_t page)
{
	uint64_t value = ++m4.stamp;

	*word(page) = value;
	bench_assert(*word(page) == value);
}

/* ---- both sides behind two functions ---- */

static void ours_protect(uint32_t page, uint32_t count, int write)
{
	struct exo_mem_op op = exo_op(page, count, 0, write ? RW : EXO_RIGHT_READ);

	bench_must(exo_view_protect(m4.view, &op, 1, 0, NULL), "protect");
}

static void linux_protect(uint32_t page, uint32_t count, int write)
{
	if (mprotect(m4.base + page * m4.step * PAGE, count * PAGE,
		     PROT_READ | (write ? PROT_WRITE : 0)))
		bench_fail("mprotect: %s", strerror(errno));
}

typedef void (*protect_fn)(uint32_t page, uint32_t count, int write);

static int on_upcall(struct exo_fault *fault, void *ctx)
{
	struct exo_mem_op op[2];

	(void)ctx;
	m4.traps++;
	op[0] = exo_op(fault->page, 1, 0, RW);
	if (!m4.protect_other)
		return exo_view_protect(m4.view, op, 1, 0, NULL);
	op[1] = exo_op(m4.other, 1, 0, EXO_RIGHT_READ);
	return exo_view_protect(m4.view, op, 2, 0, NULL);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)sig;
	(void)context;
	m4.traps++;
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		_exit(3);
	if (m4.protect_other && mprotect(m4.base + m4.other * m4.step * PAGE, PAGE, PROT_READ))
		_exit(4);
}

/* ---- the primitives; ctx points to the side's protect function ---- */

static double prot1(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	double sum = 0;
	uint64_t start;
	uint32_t i;

	for (i = 0; i < PAGES; i++) {
		store(m4.order[i]);
		start = bench_now();
		protect(m4.order[i], 1, 0);
		sum += bench_since(start);
		bench_assert(*word(m4.order[i]) == m4.stamp);
		protect(m4.order[i], 1, 1);
	}
	return sum / PAGES;
}

static double prot100(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	double sum = 0;
	uint64_t start;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		store((uint32_t)i);
		start = bench_now();
		protect(0, PAGES, 0);
		sum += bench_since(start);
		protect(0, PAGES, 1);
	}
	return sum / ROUNDS;
}

static double unprot100(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	double sum = 0;
	uint64_t start;
	uint32_t page;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		protect(0, PAGES, 0);
		start = bench_now();
		protect(0, PAGES, 1);
		for (page = 0; page < PAGES; page++)
			store(page);
		sum += bench_since(start);
	}
	return sum / ROUNDS;
}

static double trap(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	uint32_t i, before = m4.traps;
	double sum = 0;
	uint64_t start;

	m4.protect_other = 0;
	for (i = 0; i < PAGES; i++) {
		protect(m4.order[i], 1, 0);
		start = bench_now();
		store(m4.order[i]);
		sum += bench_since(start);
	}
	bench_assert(m4.traps == before + PAGES);
	return sum / PAGES;
}

/* All pages but one are protected; the next one stored to takes its place. */
static double appel1(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	uint32_t i, before;
	uint64_t start;
	double figure;

	for (i = 0; i < PAGES; i++)
		protect(i, 1, i == m4.order[PAGES - 1]);
	m4.other = m4.order[PAGES - 1];
	m4.protect_other = 1;
	before = m4.traps;
	start = bench_now();
	for (i = 0; i < PAGES; i++) {
		store(m4.order[i]);
		m4.other = m4.order[i];
	}
	figure = bench_since(start) / PAGES;
	bench_assert(m4.traps == before + PAGES);
	for (i = 0; i < PAGES; i++)
		protect(i, 1, 1);
	return figure;
}

static double appel2(void *ctx)
{
	protect_fn protect = *(protect_fn *)ctx;
	uint32_t i, before = m4.traps;
	uint64_t start;
	double sum = 0;
	int round;

	m4.protect_other = 0;
	for (round = 0; round < 3; round++) {
		start = bench_now();
		/* Pages that are not side by side need a call each. */
		if (m4.step == 1)
			protect(0, PAGES, 0);
		else
			for (i = 0; i < PAGES; i++)
				protect(i, 1, 0);
		for (i = 0; i < PAGES; i++)
			store(m4.order[i]);
		sum += bench_since(start);
	}
	bench_assert(m4.traps == before + 3 * PAGES);
	return sum / 3 / PAGES;
}

enum { PROT1, PROT100, UNPROT100, TRAP, APPEL1, APPEL2, PRIMITIVES };

static const struct {
	const char *id, *measure;
	double (*fn)(void *ctx);
	int contiguous; /* needs pages side by side */
} primitives[PRIMITIVES] = {
	{ "M4.prot1", "write-protect one page", prot1, 0 },
	{ "M4.prot100", "write-protect 100 pages", prot100, 1 },
	{ "M4.unprot100", "unprotect 100 pages and store into each", unprot100, 1 },
	{ "M4.trap", "store to a protected page, handler unprotects it", trap, 0 },
	{ "M4.appel1", "the same, and the handler protects another page", appel1, 0 },
	{ "M4.appel2",
	  "protect 100 pages, store into each in random order, handler unprotects; per page",
	  appel2, 0 },
};

static void shuffle(void)
{
	struct bench_rng rng = { SEED };
	uint32_t i, j, t;

	for (i = 0; i < PAGES; i++)
		m4.order[i] = i;
	for (i = PAGES - 1; i > 0; i--) {
		j = (uint32_t)((bench_random(&rng) >> 32) * (i + 1) >> 32);
		t = m4.order[i];
		m4.order[i] = m4.order[j];
		m4.order[j] = t;
	}
}

static void linux_pages(uint32_t step, uint32_t margin)
{
	char *base = bench_anon((PAGES * step + 2 * margin) * PAGE);
	uint32_t i;

	memset(base, 0, (PAGES * step + 2 * margin) * PAGE);
	m4.base = base + margin * PAGE;
	m4.step = step;
	for (i = 0; step == 2 && i < PAGES; i++)
		munmap(m4.base + (2 * i + 1) * PAGE, PAGE);
}

static void linux_rows(const double *mine, const char *where, uint32_t step, uint32_t margin)
{
	struct sigaction act = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };
	protect_fn protect = linux_protect;
	char name[96];
	int i;

	linux_pages(step, margin);
	sigaction(SIGSEGV, &act, NULL);
	for (i = 0; i < PRIMITIVES; i++) {
		if (primitives[i].contiguous && step != 1)
			continue;
		snprintf(name, sizeof(name), "mprotect%s, %s", i >= TRAP ? ", SIGSEGV" : "", where);
		bench_row(primitives[i].id, primitives[i].measure, mine[i],
			  bench_measure(primitives[i].id, primitives[i].fn, &protect), name, "%s",
			  "");
	}
	signal(SIGSEGV, SIG_DFL);
}

/* ---- dirty ---- */

struct dirty {
	uint8_t bits[DIRTY_PAGES];
	uint64_t map[DIRTY_PAGES];
	uint32_t count; /* pages asked about in one call */
	int pagemap;
	int clear_refs;
};

static double ours_dirty(void *ctx)
{
	struct dirty *d = ctx;
	uint32_t page, dirty = 0;
	double sum = 0;
	uint64_t start;

	bench_must(exo_view_harvest(m4.view, 0, DIRTY_PAGES, EXO_HARVEST_CLEAR_DIRTY, d->bits, NULL,
				    NULL),
		   "harvest");
	for (page = 0; page < DIRTY_PAGES; page += 8)
		store(page);
	for (page = 0; page < DIRTY_PAGES; page += d->count) {
		start = bench_now();
		bench_must(exo_view_harvest(m4.view, page, d->count, 0, d->bits + page, NULL, NULL),
			   "harvest");
		sum += bench_since(start);
	}
	for (page = 0; page < DIRTY_PAGES; page++) {
		bench_assert(!(d->bits[page] & EXO_OP_DIRTY) == !!(page % 8));
		dirty += !!(d->bits[page] & EXO_OP_DIRTY);
	}
	bench_assert(dirty == DIRTY_PAGES / 8);
	return sum / (DIRTY_PAGES / d->count);
}

static void clear_soft_dirty(struct dirty *d)
{
	if (pwrite(d->clear_refs, "4", 1, 0) != 1)
		bench_fail("/proc/self/clear_refs: %s", strerror(errno));
}

static void read_pagemap(struct dirty *d, uint32_t page, uint32_t count)
{
	off_t at = (off_t)(((uintptr_t)m4.base / PAGE + page) * 8);

	if (pread(d->pagemap, d->map + page, count * 8, at) != (ssize_t)(count * 8))
		bench_fail("/proc/self/pagemap: %s", strerror(errno));
}

#define SOFT_DIRTY (1ULL << 55)

static double linux_dirty(void *ctx)
{
	struct dirty *d = ctx;
	double sum = 0;
	uint64_t start;
	uint32_t page;

	clear_soft_dirty(d);
	for (page = 0; page < DIRTY_PAGES; page += 8)
		store(page);
	for (page = 0; page < DIRTY_PAGES; page += d->count) {
		start = bench_now();
		read_pagemap(d, page, d->count);
		sum += bench_since(start);
	}
	for (page = 0; page < DIRTY_PAGES; page++)
		bench_assert(!(d->map[page] & SOFT_DIRTY) == !!(page % 8));
	return sum / (DIRTY_PAGES / d->count);
}

/* Once around: clear, 64 stores, find them. */
static double ours_cycle(void *ctx)
{
	struct dirty *d = ctx;
	uint64_t start = bench_now();
	uint32_t page, dirty;
	double passed;

	for (page = 0; page < DIRTY_PAGES; page += 8)
		store(page);
	bench_must(exo_view_harvest(m4.view, 0, DIRTY_PAGES, EXO_HARVEST_CLEAR_DIRTY, d->bits, NULL,
				    &dirty),
		   "harvest");
	passed = bench_since(start);
	for (page = 0; page < DIRTY_PAGES; page++)
		bench_assert(!(d->bits[page] & EXO_OP_DIRTY) == !!(page % 8));
	bench_assert(dirty == DIRTY_PAGES / 8);
	return passed;
}

static double linux_cycle(void *ctx)
{
	struct dirty *d = ctx;
	uint64_t start = bench_now();
	double passed;
	uint32_t page;

	for (page = 0; page < DIRTY_PAGES; page += 8)
		store(page);
	read_pagemap(d, 0, DIRTY_PAGES);
	clear_soft_dirty(d);
	passed = bench_since(start);
	for (page = 0; page < DIRTY_PAGES; page++)
		bench_assert(!(d->map[page] & SOFT_DIRTY) == !!(page % 8));
	return passed;
}

static void dirty_rows(const double *mine)
{
	struct dirty *d = calloc(1, sizeof(*d));
	static const uint32_t counts[] = { 1, DIRTY_PAGES };
	char measure[96];
	size_t i;

	m4.base = bench_anon(DIRTY_PAGES * PAGE);
	m4.step = 1;
	memset(m4.base, 0, DIRTY_PAGES * PAGE);
	d->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	d->clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (d->pagemap < 0 || d->clear_refs < 0)
		bench_fail("/proc/self/pagemap: %s", strerror(errno));
	for (i = 0; i < 2; i++) {
		d->count = counts[i];
		snprintf(measure, sizeof(measure), "which of %u pages are dirty, one call",
			 d->count);
		bench_row("M4.dirty", measure, mine[i], bench_measure("M4.dirty", linux_dirty, d),
			  "pagemap, soft-dirty", "%s", "");
	}
	clear_soft_dirty(d);
	bench_row("M4.dirty", "64 stores, find the dirty ones of 512 pages, clear", mine[2],
		  bench_measure("M4.dirty", linux_cycle, d), "pagemap, soft-dirty, clear_refs",
		  "clear_refs walks all of the process's memory");
	free(d);
}

void m4_run(void)
{
	struct exo_env *env = bench_env(DIRTY_PAGES);
	double mine[PRIMITIVES], mine_dirty[3];
	protect_fn protect = ours_protect;
	struct dirty *d = calloc(1, sizeof(*d));
	uint32_t frames[DIRTY_PAGES], i;

	shuffle();
	m4.view = bench_view(env, DIRTY_PAGES, 0, 0);
	m4.base = exo_view_base(m4.view);
	m4.step = 1;
	bench_must(exo_mem_alloc_any(env, frames, DIRTY_PAGES), "frames");
	for (i = 0; i < DIRTY_PAGES; i++)
		bench_must(exo_view_bind1(m4.view, i, frames[i], RW), "bind");
	for (i = 0; i < DIRTY_PAGES; i++)
		store(i);
	bench_must(exo_fault_register(env, on_upcall, NULL, NULL), "fault handler");
	for (i = 0; i < PRIMITIVES; i++)
		mine[i] = bench_measure(primitives[i].id, primitives[i].fn, &protect);
	bench_must(exo_fault_unregister(env), "fault handler");
	d->count = 1;
	mine_dirty[0] = bench_measure("M4.dirty", ours_dirty, d);
	d->count = DIRTY_PAGES;
	mine_dirty[1] = bench_measure("M4.dirty", ours_dirty, d);
	bench_must(exo_view_harvest(m4.view, 0, DIRTY_PAGES, EXO_HARVEST_CLEAR_DIRTY, d->bits, NULL,
				    NULL),
		   "harvest");
	mine_dirty[2] = bench_measure("M4.dirty", ours_cycle, d);
	free(d);

	linux_rows(mine, "mappings of their own", 2, 0);
	linux_rows(mine, "all pages one mapping", 1, 0);
	linux_rows(mine, "inside a larger mapping", 1, 64);
	dirty_rows(mine_dirty);
}
