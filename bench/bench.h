/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measurements share: a clock that counts instructions, a way to measure that refuses
 * disturbed figures, and rows of results.
 *
 * A group (m1.c, ...) runs in a process of its own, asserts what it measures inside the timed
 * loop, and adds rows. A group that fails says why and ends its process; the others still run.
 */
#ifndef EXO_BENCH_H
#define EXO_BENCH_H

#include <stdint.h>
#include <stdio.h>

#include <exo/libexo.h>

#define PAGE 4096UL
#define MIB (1UL << 20)
#define GIB (1UL << 30)
#define GIB_PAGES (GIB / PAGE)
#define REGION_PAGES 512

#define BENCH_MAX_ROWS 256

/* ours and peer are in unit; ratio is peer / ours: above 1 is good for exo. */
struct bench_row {
	char id[40];
	char measure[120];
	char peer_name[96];
	char unit[40];
	char note[360];
	double ours;
	double peer;
};

struct bench_rows {
	uint32_t count;
	struct bench_row row[BENCH_MAX_ROWS];
};

struct bench_group {
	const char *id;
	const char *title;
	void (*run)(void);
	int flags;
};

#define BENCH_UNLOADED (1 << 0) /* loads and unloads exo.ko itself */
#define BENCH_TWO_CPUS (1 << 1) /* no instruction clock, two processors */

/* Says why and ends the process of the group. */
void bench_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* For libexo's and other -errno results. */
void bench_must(int ret, const char *what);
#define bench_assert(cond)                                                                \
	do {                                                                              \
		if (__builtin_expect(!(cond), 0))                                         \
			bench_fail("%s:%d: %s does not hold", __FILE__, __LINE__, #cond); \
	} while (0)

/* Adds a row and prints it. */
void bench_row(const char *id, const char *measure, double ours, double peer, const char *peer_name,
	       const char *note, ...) __attribute__((format(printf, 6, 7)));
/* The unit of the rows that follow; default "instructions". */
void bench_unit(const char *unit);

/* Clock: instructions (the TSC under -icount shift=0), or nanoseconds with --wall. */
uint64_t bench_now(void);
/* Since start, without what the two readings cost. */
double bench_since(uint64_t start);
int bench_is_wall(void);

/*
 * The median of several runs of fn(ctx), which returns its own figure. A calibrated loop runs
 * before and after; if it is off by more than 0.5 %, the whole is repeated.
 */
double bench_measure(const char *what, double (*fn)(void *ctx), void *ctx);

/* What the kernel's clear_page() and its copy of a page from user space cost on this CPU. */
double bench_zero_cost(void);
double bench_copy_cost(void);

/* A fixed-seed generator (xorshift64*). */
struct bench_rng {
	uint64_t state;
};

uint64_t bench_random(struct bench_rng *rng);
/* count different pages, uniform over [0, pages) but for the first of each 2 MiB region. */
void bench_draw(struct bench_rng *rng, uint32_t pages, uint32_t *out, uint32_t count);

/* exo.ko. */
int bench_module_loaded(void);
void bench_module_load(void);
/* Another module, by its file. */
void bench_insmod(const char *path);
void bench_module_unload(void);

/* An environment of which at least frames free frames can be had; the pool grows if it must. */
struct exo_env *bench_env(uint32_t frames);
struct exo_view *bench_view(struct exo_env *env, uint32_t pages, uint32_t stlb, uint32_t flags);

/* Anonymous memory, 2 MiB aligned, in 4 KiB pages only. */
char *bench_anon(size_t length);
void bench_write_file(const char *path, const char *text);

static inline volatile uint64_t *bench_word(char *base, uint32_t page)
{
	return (volatile uint64_t *)(base + (uint64_t)page * PAGE);
}

/* M1 and M2 by themselves, for M11. */
struct m1;
struct m1 *m1_open(struct exo_env *env, uint32_t extra_pages);
struct exo_view *m1_view(struct m1 *m1);
double m1_contig(struct m1 *m1);
double m1_scattered(struct m1 *m1);

void m1_run(void);
void m3_run(void);
void m4_run(void);
void m5_run(void);
void m6_run(void);
void m7_run(void);
void m8_run(void);
void m9_run(void);
void m10_run(void);
void m11_run(void);
void x3_run(void);
void g1_run(void);
void g2_run(void);
void g4_run(void);
void g5_run(void);
void g6_run(void);
void x4_run(void);
void x1_run(void);
void x2_run(void);
void x5_run(void);
void x6_run(void);

#endif
