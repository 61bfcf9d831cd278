// SPDX-License-Identifier: GPL-2.0
/* The clock, the calibrated loops, and what prepares a measurement. See bench.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"
#include "driver.h"

#define CALIBRATION 20000000L /* instructions */
#define TOLERANCE 0.005
#define REPEATS 5
#define ATTEMPTS 8

struct bench_state bench;

void bench_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "exobench: %s: ", bench.group ? bench.group : "driver");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

void bench_must(int ret, const char *what)
{
	if (ret < 0)
		bench_fail("%s: %s", what, exo_strerror(ret));
}

/* ---- rows ---- */

void bench_unit(const char *unit)
{
	snprintf(bench.unit, sizeof(bench.unit), "%s", unit);
}

void bench_row(const char *id, const char *measure, double ours, double peer, const char *peer_name,
	       const char *note, ...)
{
	struct bench_row *row;
	va_list ap;

	if (bench.rows->count == BENCH_MAX_ROWS)
		bench_fail("more than %d rows", BENCH_MAX_ROWS);
	row = &bench.rows->row[bench.rows->count];
	snprintf(row->id, sizeof(row->id), "%s%s", id, bench.suffix);
	snprintf(row->measure, sizeof(row->measure), "%s", measure);
	snprintf(row->peer_name, sizeof(row->peer_name), "%s", peer_name);
	snprintf(row->unit, sizeof(row->unit), "%s", bench.unit);
	va_start(ap, note);
	vsnprintf(row->note, sizeof(row->note), note, ap);
	va_end(ap);
	row->ours = ours;
	row->peer = peer;
	bench.rows->count++;
	printf("%-12s %10.1f %10.1f  x %-7.3g %s; %s%s%s\n", row->id, ours, peer,
	       ours > 0 ? peer / ours : 0, row->measure, row->peer_name, *row->note ? "; " : "",
	       row->note);
	fflush(stdout);
}

/* ---- clock ---- */

static uint64_t wall_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int bench_is_wall(void)
{
	return bench.wall;
}

/* Under -icount shift=0 QEMU's time stamp counter counts instructions. */
uint64_t bench_now(void)
{
	return bench.wall ? wall_now() : __rdtsc();
}

double bench_since(uint64_t start)
{
	double passed = (double)(bench_now() - start) - bench.clock_cost;

	return passed > 0 ? passed : 0;
}

/* What the measurement left to be done later (RCU) is done in the pause. */
static double calibrate(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	long rounds = CALIBRATION / 2;
	uint64_t start;

	nanosleep(&pause, NULL);
	start = bench_now();
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
	return (double)(bench_now() - start) / (double)CALIBRATION;
}

static int is_right(double ratio)
{
	return bench.wall || (ratio > 1 - TOLERANCE && ratio < 1 + TOLERANCE);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_measure(const char *what, double (*fn)(void *ctx), void *ctx)
{
	const struct timespec pause = { .tv_sec = 1 };
	double figure[REPEATS], before = 0, after = 0;
	int attempt, i;

	fn(ctx);
	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		before = calibrate();
		for (i = 0; i < REPEATS && is_right(before); i++)
			figure[i] = fn(ctx);
		after = calibrate();
		if (is_right(before) && is_right(after)) {
			qsort(figure, REPEATS, sizeof(figure[0]), compare_doubles);
			return figure[REPEATS / 2];
		}
		nanosleep(&pause, NULL);
	}
	bench_fail(
		"%s: the calibrated loop was off: %.4f ticks an instruction before, %.4f after; this needs ICOUNT=1, and nothing else in the guest",
		what, before, after);
}

void bench_clock_init(void)
{
	double cost[101];
	uint64_t start;
	size_t i;

	bench.clock_cost = 0;
	for (i = 0; i < sizeof(cost) / sizeof(cost[0]); i++) {
		start = bench_now();
		cost[i] = (double)(bench_now() - start);
	}
	qsort(cost, sizeof(cost) / sizeof(cost[0]), sizeof(cost[0]), compare_doubles);
	bench.clock_cost = cost[sizeof(cost) / sizeof(cost[0]) / 2];
}

/* ---- zeroing and copying ---- */

static int cpu_has(const char *flag)
{
	char word[64], *line = NULL;
	size_t room = 0;
	int found = 0;
	FILE *f = fopen("/proc/cpuinfo", "r");

	if (!f)
		bench_fail("no /proc/cpuinfo");
	snprintf(word, sizeof(word), " %s ", flag);
	while (!found && getline(&line, &room, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		line[strcspn(line, "\n")] = ' ';
		found = strstr(line, word) != NULL;
	}
	free(line);
	fclose(f);
	return found;
}

#define MOVE_ROUNDS 2000

/* clear_page() is "rep stosq" where the kernel trusts it, else an unrolled loop of 8-byte stores. */
static double zero_pages(void *ctx)
{
	char *page = ctx;
	uint64_t start = bench_now();
	int i, rep_good = bench.rep_good;

	for (i = 0; i < MOVE_ROUNDS; i++) {
		void *to = page;
		long count = rep_good ? PAGE / 8 : PAGE / 64;

		if (rep_good)
			__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0L) : "memory");
		else
			__asm__ volatile("1: dec %1\n\t"
					 "mov %2, (%0)\n\tmov %2, 8(%0)\n\t"
					 "mov %2, 16(%0)\n\tmov %2, 24(%0)\n\t"
					 "mov %2, 32(%0)\n\tmov %2, 40(%0)\n\t"
					 "mov %2, 48(%0)\n\tmov %2, 56(%0)\n\t"
					 "lea 64(%0), %0\n\tjnz 1b"
					 : "+r"(to), "+r"(count)
					 : "r"(0L)
					 : "cc", "memory");
	}
	return bench_since(start) / MOVE_ROUNDS;
}

static double copy_pages(void *ctx)
{
	char *page = ctx;
	uint64_t start = bench_now();
	int i;

	for (i = 0; i < MOVE_ROUNDS; i++) {
		void *to = page, *from = page + PAGE;
		long count = PAGE / 8;

		__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	}
	return bench_since(start) / MOVE_ROUNDS;
}

static double measure_pages(const char *what, double (*fn)(void *), double *memory)
{
	char *pages;

	if (*memory > 0)
		return *memory;
	bench.rep_good = cpu_has("rep_good");
	pages = bench_anon(2 * PAGE);
	memset(pages, 1, 2 * PAGE);
	*memory = bench_measure(what, fn, pages);
	munmap(pages, 2 * PAGE);
	return *memory;
}

double bench_zero_cost(void)
{
	return measure_pages("zeroing a page", zero_pages, &bench.zero_cost);
}

double bench_copy_cost(void)
{
	return measure_pages("copying a page", copy_pages, &bench.copy_cost);
}

/* ---- draws ---- */

uint64_t bench_random(struct bench_rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static int drawn(const uint32_t *pages, uint32_t count, uint32_t page)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (pages[i] == page)
			return 1;
	return 0;
}

void bench_draw(struct bench_rng *rng, uint32_t pages, uint32_t *out, uint32_t count)
{
	uint32_t i = 0, page;

	while (i < count) {
		page = (uint32_t)((bench_random(rng) >> 32) * pages >> 32);
		if (page % REGION_PAGES == 0 || drawn(out, i, page))
			continue;
		out[i++] = page;
	}
}

/* ---- exo ---- */

int bench_module_loaded(void)
{
	return access("/sys/module/exo", F_OK) == 0;
}

void bench_insmod(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bench_fail("%s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, "", 0) < 0)
		bench_fail("%s does not load: %s (see the kernel's log)", path, strerror(errno));
	close(fd);
}

void bench_module_load(void)
{
	if (access(bench.module, R_OK))
		bench_fail("no %s (--module says where exo.ko is): %s", bench.module,
			   strerror(errno));
	bench_insmod(bench.module);
}

void bench_module_unload(void)
{
	if (syscall(SYS_delete_module, "exo", O_NONBLOCK) < 0)
		bench_fail("exo.ko does not unload: %s", strerror(errno));
}

struct exo_env *bench_env(uint32_t frames)
{
	const struct exo_table *table;
	struct exo_env *env;
	uint64_t free_frames;
	int ret;

	ret = exo_env_open(&env, NULL);
	if (ret)
		bench_fail("cannot open an environment: %s", exo_open_hint(ret));
	bench_must(exo_env_table(env, &table), "frame table");
	free_frames = __atomic_load_n(&table->free, __ATOMIC_RELAXED);
	if (free_frames < frames) {
		uint32_t more = frames - (uint32_t)free_frames, done = 0;

		more = (more + EXO_HUGE_FRAMES - 1) / EXO_HUGE_FRAMES * EXO_HUGE_FRAMES;
		ret = exo_mem_pool_grow(env, more, NULL, &done);
		if (ret || done < more)
			bench_fail(
				"the pool got %u of %u more frames: %s; give the VM more memory (MEM=)",
				done, more, ret ? exo_strerror(ret) : "not enough memory");
	}
	return env;
}

struct exo_view *bench_view(struct exo_env *env, uint32_t pages, uint32_t stlb, uint32_t flags)
{
	struct exo_view *view;

	bench_must(exo_view_create(
			   env, &EXO_OPTS(exo_view, .pages = pages, .stlb = stlb, .flags = flags),
			   &view),
		   "view");
	return view;
}

/* ---- Linux ---- */

char *bench_anon(size_t length)
{
	const size_t align = 2 * MIB;
	char *addr, *start;

	addr = mmap(NULL, length + align, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		bench_fail("mmap of %zu bytes: %s", length, strerror(errno));
	start = (char *)(((uintptr_t)addr + align - 1) & ~(align - 1));
	if (start > addr)
		munmap(addr, (size_t)(start - addr));
	if (addr + align > start)
		munmap(start + length, (size_t)(addr + align - start));
	if (madvise(start, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		bench_fail("MADV_NOHUGEPAGE: %s", strerror(errno));
	return start;
}

void bench_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		bench_fail("cannot write \"%s\" to %s: %s", text, path, strerror(errno));
	close(fd);
}
