// SPDX-License-Identifier: GPL-2.0
/*
 * M8a: the tree fits into memory. M8b: it is four times as large as the pool (mmap: as memory.max).
 * See m8.h. The device is null_blk: a request costs what it costs to hand it on, and is done at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "m8.h"

#define DEVICE "/dev/nullb0"
#define CGROUP "/sys/fs/cgroup/exobench"
#define POOL_MIB 32
#define POOL_FRAMES (POOL_MIB * 256)
#define SMALL_MIB 24
#define LARGE_MIB (4 * POOL_MIB)
#define LARGE_FIRST (256 * 1024 / 4) /* the second tree starts at 256 MiB */
#define PER_LEAF 31
#define FIT_OPS 100000
#define LARGE_OPS 4096
#define WARM_OPS 32768
#define READAHEAD_OPS 1024 /* where a miss reads 32 pages */
#define BATCH 32
#define SEED 0xb0f7b0f7ULL

struct run {
	const struct m8_store *store;
	struct m8 m8;
	void *handle;
};

/* From nothing in memory to FIT_OPS operations done. */
static double cold(void *ctx)
{
	struct run *run = ctx;
	double figure;

	run->m8.rng.state = SEED;
	run->handle = run->store->open(&run->m8);
	figure = run->store->run(run->handle, &run->m8);
	run->store->close(run->handle);
	return figure;
}

static double warm(void *ctx)
{
	struct run *run = ctx;

	return run->store->run(run->handle, &run->m8);
}

static double measure_warm(struct run *run)
{
	uint32_t ops = run->m8.ops;
	uint64_t before = 0;
	double figure;

	run->m8.rng.state = SEED;
	run->handle = run->store->open(&run->m8);
	run->m8.ops = ops < WARM_OPS / 8 ? ops : WARM_OPS;
	run->store->run(run->handle, &run->m8);
	run->m8.ops = ops;
	if (run->store->misses) {
		before = run->store->misses(run->handle);
		warm(run);
		run->m8.misses = (double)(run->store->misses(run->handle) - before) / ops;
	}
	figure = bench_measure(run->store->name, warm, run);
	run->store->close(run->handle);
	return figure;
}

/* In a process of its own in a cgroup of its own, so that the page cache is charged there. */
static double measure_in_cgroup(struct run *run, uint64_t limit)
{
	double *figure =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char text[32];
	int status;
	pid_t pid;

	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		bench_fail("mkdir %s: %s", CGROUP, strerror(errno));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	bench_write_file(CGROUP "/memory.max", text);
	pid = fork();
	if (pid < 0 || figure == MAP_FAILED)
		bench_fail("fork: %s", strerror(errno));
	if (!pid) {
		bench_write_file(CGROUP "/cgroup.procs", "0");
		*figure = measure_warm(run);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		bench_fail("the run under memory.max failed");
	rmdir(CGROUP);
	return *figure;
}

static void prepare(struct m8 *m8, uint64_t first, uint32_t mib)
{
	memset(m8, 0, sizeof(*m8));
	m8->path = DEVICE;
	m8->first = first;
	/* Leaves are full; about one page in 170 is an inner node. */
	m8->records = (uint64_t)(mib * 256 - mib * 256 / 160 - 8) * PER_LEAF;
	m8->frames = POOL_FRAMES;
	m8->batch = 1;
	m8_build(m8);
}

static void fits(const struct m8 *m8)
{
	struct run run = { .m8 = *m8 };
	double mine, other;

	run.m8.ops = FIT_OPS;
	run.store = &m8_exo;
	mine = bench_measure("M8a exo", cold, &run);
	run.store = &m8_mmap;
	other = bench_measure("M8a mmap", cold, &run);
	bench_row("M8a.mmap", "100,000 look-ups, uniform, from cold, data fits; per operation",
		  mine, other, "mmap of the file",
		  "tree of %d MiB, pool of %d MiB; reading in is part of it", SMALL_MIB, POOL_MIB);
	run.store = &m8_malloc;
	other = bench_measure("M8a malloc", cold, &run);
	bench_row("M8a.malloc", "100,000 look-ups, uniform, from cold, data fits; per operation",
		  mine, other, "malloc'd pages, hash table, same io_uring",
		  "tree of %d MiB, pool of %d MiB; reading in is part of it", SMALL_MIB, POOL_MIB);

	run.store = &m8_exo;
	mine = measure_warm(&run);
	run.store = &m8_mmap;
	other = measure_warm(&run);
	bench_row("M8a.warm.mmap", "look-up, uniform, all in memory", mine, other,
		  "mmap of the file",
		  "the same loads from the same kind of address: no difference is expected");
	run.store = &m8_malloc;
	other = measure_warm(&run);
	bench_row("M8a.warm.malloc", "look-up, uniform, all in memory", mine, other,
		  "malloc'd pages, hash table, same io_uring", "%s", "");
}

static void does_not_fit(const struct m8 *m8)
{
	const char *measure = "look-up, uniform, data 4 times the pool; per operation";
	char note[200];
	struct run run = { .m8 = *m8 };
	double mine, other, mine_misses, single;

	run.m8.ops = LARGE_OPS;
	run.m8.batch = BATCH;
	run.store = &m8_exo;
	mine = measure_warm(&run);
	mine_misses = run.m8.misses;
	run.m8.batch = 1;
	single = measure_warm(&run);

	run.store = &m8_mmap;
	run.m8.random = 1;
	other = measure_in_cgroup(&run, (uint64_t)POOL_MIB * MIB);
	snprintf(note, sizeof(note),
		 "tree of %d MiB, pool and memory.max %d MiB; ours in batches of %d", LARGE_MIB,
		 POOL_MIB, BATCH);
	bench_row("M8b.mmap", measure, mine, other, "mmap of the file, MADV_RANDOM", "%s", note);
	bench_row("M8b.single.mmap", "the same, one look-up at a time", single, other,
		  "mmap of the file, MADV_RANDOM", "a fault a miss on both sides");
	run.m8.random = 0;
	run.m8.ops = READAHEAD_OPS;
	other = measure_in_cgroup(&run, (uint64_t)POOL_MIB * MIB);
	bench_row("M8b.mmap", measure, mine, other, "mmap of the file, default read-ahead", "%s",
		  note);

	run.store = &m8_malloc;
	run.m8.ops = LARGE_OPS;
	run.m8.batch = BATCH;
	other = measure_warm(&run);
	bench_row("M8b.malloc", measure, mine, other, "malloc'd pages, hash table, same io_uring",
		  "both in batches of %d; pages read per operation: %.3f, peer %.3f", BATCH,
		  mine_misses, run.m8.misses);
	run.m8.batch = 1;
	other = measure_warm(&run);
	bench_row("M8b.single.malloc", "the same, one look-up at a time", single, other,
		  "malloc'd pages, hash table, same io_uring", "ours takes a fault a miss");
}

void m8_run(void)
{
	struct m8 small, large;

	if (access(DEVICE, F_OK) &&
	    system("modprobe null_blk memory_backed=1 irqmode=0 nr_devices=1 gb=1 bs=4096"))
		bench_fail("no null_blk in the guest (--add-module null_blk)");
	prepare(&small, 0, SMALL_MIB);
	fits(&small);
	prepare(&large, LARGE_FIRST, LARGE_MIB);
	does_not_fit(&large);
}
