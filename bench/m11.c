// SPDX-License-Identifier: GPL-2.0
/*
 * M11: does it stay as fast as it grows? M1 and M2 with many frames bound, and with many environments
 * open. ours: at that size; peer: at the smallest. 1.00 is flat.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

#define CHUNK 4096
#define MARGIN 4096 /* frames that M1 and M2 use themselves, and some */

static const uint32_t sizes[] = { 1000, 100000, 1000000 };
static const uint32_t environments[] = { 1, 100, 1000 };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define ENVIRONMENTS (sizeof(environments) / sizeof(environments[0]))

struct figures {
	double contig, scattered;
};

static struct figures measure(struct m1 *m1)
{
	return (struct figures){ m1_contig(m1), m1_scattered(m1) };
}

static void rows(const char *what, const struct figures *at, const uint32_t *sizes_of, size_t count)
{
	char text[96], peer[64];
	size_t i;

	snprintf(peer, sizeof(peer), "with %u %s", sizes_of[0], what);
	for (i = 1; i < count; i++) {
		snprintf(text, sizeof(text), "512 contiguous pages with %u %s; per page",
			 sizes_of[i], what);
		bench_row("M11.M1", text, at[i].contig, at[0].contig, peer, "%s", "");
		snprintf(text, sizeof(text), "64 scattered pages with %u %s; per page", sizes_of[i],
			 what);
		bench_row("M11.M2", text, at[i].scattered, at[0].scattered, peer, "%s", "");
	}
}

static uint32_t memory_frames(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	return pages > 2000000000 ? 2000000000 : (uint32_t)pages;
}

/* Frames [from, to) of the list appear at the same pages behind the first GiB. */
static void bind_more(struct exo_env *env, struct m1 *m1, uint32_t *frames, uint32_t from,
		      uint32_t to)
{
	static struct exo_mem_op ops[CHUNK];
	uint32_t i, n;

	for (; from < to; from += n) {
		n = to - from < CHUNK ? to - from : CHUNK;
		bench_must(exo_mem_alloc_any(env, frames + from, n), "frames");
		for (i = 0; i < n; i++)
			ops[i] = exo_op((uint32_t)GIB_PAGES + from + i, 1, frames[from + i],
					EXO_RIGHT_READ | EXO_RIGHT_WRITE);
		bench_must(exo_view_bind(m1_view(m1), ops, n, NULL), "bind");
	}
}

static void with_frames(void)
{
	struct figures at[SIZES];
	size_t count = SIZES, i;
	struct exo_env *env;
	uint32_t *frames;
	struct m1 *m1;

	/* A quarter more than the frames is what the system needs beside them. */
	while (count > 1 && sizes[count - 1] > memory_frames() / 5 * 4) {
		count--;
		printf("# M11: this machine has too little memory for %u frames (MEM=6G)\n",
		       sizes[count]);
	}
	frames = calloc(sizes[count - 1], sizeof(*frames));
	if (!frames)
		bench_fail("out of memory");
	env = bench_env(sizes[count - 1] + MARGIN);
	m1 = m1_open(env, sizes[count - 1]);
	for (i = 0; i < count; i++) {
		bind_more(env, m1, frames, i ? sizes[i - 1] : 0, sizes[i]);
		at[i] = measure(m1);
	}
	rows("frames bound", at, sizes, count);
	bench_must(exo_view_destroy(m1_view(m1)), "destroy the view");
	bench_must(exo_env_close(env), "close");
	free(frames);
}

static void with_environments(void)
{
	const struct rlimit limit = { 4096, 4096 };
	struct figures at[ENVIRONMENTS];
	struct exo_env *env, *other;
	uint32_t open_now = 1;
	struct m1 *m1;
	size_t i;
	int ret;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		bench_fail("RLIMIT_NOFILE: %s", strerror(errno));
	env = bench_env(MARGIN);
	m1 = m1_open(env, 0);
	for (i = 0; i < ENVIRONMENTS; i++) {
		for (; open_now < environments[i]; open_now++) {
			ret = exo_env_open(&other, NULL);
			bench_must(ret, "open one more environment");
		}
		at[i] = measure(m1);
	}
	rows("environments open", at, environments, ENVIRONMENTS);
}

void m11_run(void)
{
	with_frames();
	with_environments();
}
