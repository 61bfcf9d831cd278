// SPDX-License-Identifier: GPL-2.0
/*
 * M9: what a loaded and idle module costs those who don't use it.
 *
 * The same three measurements with exo.ko loaded (and a pool that nobody uses) and not loaded, in
 * turns, in one boot. ours: loaded; peer: not loaded.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CALLS 20000
#define PAGES 512
#define TRIPS 1000
#define TURNS 3
#define POOL_FRAMES 16384

struct m9 {
	char *anon;
	int to[2], from[2];
};

enum { GETPPID, MINOR_FAULT, PIPE, MEASURES };

static double getppids(void *ctx)
{
	uint64_t start = bench_now();
	pid_t parent = getppid();
	int i;

	(void)ctx;
	for (i = 0; i < CALLS; i++)
		bench_assert(syscall(SYS_getppid) == parent);
	return bench_since(start) / CALLS;
}

static double minor_faults(void *ctx)
{
	struct m9 *m9 = ctx;
	double sum = 0;
	uint64_t start;
	uint32_t i;
	int round;

	for (round = 0; round < 4; round++) {
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(m9->anon, i) = i;
		sum += bench_since(start);
		if (madvise(m9->anon, PAGES * PAGE, MADV_DONTNEED))
			bench_fail("MADV_DONTNEED: %s", strerror(errno));
	}
	return sum / 4 / PAGES;
}

static void answer(struct m9 *m9)
{
	uint32_t n;

	while (read(m9->to[0], &n, sizeof(n)) == sizeof(n)) {
		n++;
		if (write(m9->from[1], &n, sizeof(n)) != sizeof(n))
			break;
	}
	_exit(0);
}

static double round_trips(void *ctx)
{
	struct m9 *m9 = ctx;
	uint64_t start = bench_now();
	uint32_t i, n;

	for (i = 0; i < TRIPS; i++) {
		n = i;
		bench_assert(write(m9->to[1], &n, sizeof(n)) == sizeof(n));
		bench_assert(read(m9->from[0], &n, sizeof(n)) == sizeof(n) && n == i + 1);
	}
	return bench_since(start) / TRIPS;
}

static const struct {
	const char *name;
	double (*fn)(void *ctx);
} measures[MEASURES] = {
	{ "getppid", getppids },
	{ "anonymous minor fault", minor_faults },
	{ "pipe round trip between two processes", round_trips },
};

static void load(void)
{
	struct exo_env *env;

	bench_module_load();
	env = bench_env(POOL_FRAMES);
	bench_must(exo_env_close(env), "close");
}

static void start_partner(struct m9 *m9)
{
	pid_t pid;

	if (pipe(m9->to) || pipe(m9->from))
		bench_fail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (!pid) {
		close(m9->to[1]);
		answer(m9);
	}
	close(m9->to[0]);
	close(m9->from[1]);
}

static void median_of_turns(double *figures)
{
	double t;
	int i, j;

	for (i = 0; i < TURNS; i++) {
		for (j = i + 1; j < TURNS; j++) {
			if (figures[j] < figures[i]) {
				t = figures[i];
				figures[i] = figures[j];
				figures[j] = t;
			}
		}
	}
}

void m9_run(void)
{
	double idle[MEASURES][TURNS], bare[MEASURES][TURNS];
	struct m9 m9;
	int turn, i;

	m9.anon = bench_anon(PAGES * PAGE);
	start_partner(&m9);
	for (turn = 0; turn < TURNS; turn++) {
		for (i = 0; i < MEASURES; i++)
			bare[i][turn] = bench_measure(measures[i].name, measures[i].fn, &m9);
		load();
		for (i = 0; i < MEASURES; i++)
			idle[i][turn] = bench_measure(measures[i].name, measures[i].fn, &m9);
		bench_module_unload();
	}
	for (i = 0; i < MEASURES; i++) {
		median_of_turns(bare[i]);
		median_of_turns(idle[i]);
		bench_row("M9", measures[i].name, idle[i][TURNS / 2], bare[i][TURNS / 2],
			  "exo.ko not loaded", "ours is exo.ko loaded, its pool of %d frames idle",
			  POOL_FRAMES);
	}
}
