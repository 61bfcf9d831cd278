// SPDX-License-Identifier: GPL-2.0
/*
 * M3: a store to a page that is not there enters a handler, which makes it there; the store is done.
 *
 * exo: upcall, bind of a frame that the application holds. Linux: SIGSEGV and mprotect() of a page
 * that is present; userfaultfd in every way it can be used, of which the cheapest counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define PAGES 256
#define ROUNDS 4
#define SEED 0x5e65e6fULL

/* ---- ours ---- */

static struct {
	struct exo_view *view;
	char *base;
	uint32_t frames[PAGES];
	uint64_t stamp;
} ours;

static int bind_frame(struct exo_fault *fault, void *ctx)
{
	(void)ctx;
	return exo_view_bind1(fault->view, fault->page, ours.frames[fault->page],
			      EXO_RIGHT_READ | EXO_RIGHT_WRITE);
}

static double upcalls(void *ctx)
{
	struct exo_mem_op all = exo_op(0, PAGES, 0, 0);
	double sum = 0;
	uint64_t start;
	uint32_t i;
	int round;

	(void)ctx;
	for (round = 0; round < ROUNDS; round++) {
		ours.stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(ours.base, i) = ours.stamp + i;
		sum += bench_since(start);
		bench_must(exo_view_unbind(ours.view, &all, 1, 0, NULL), "unbind");
		/* The stores went to the frames that the handler bound. */
		for (i = 0; i < PAGES; i += 37) {
			bench_must(exo_view_bind1(ours.view, PAGES, ours.frames[i], EXO_RIGHT_READ),
				   "bind");
			bench_assert(*bench_word(ours.base, PAGES) == ours.stamp + i);
			bench_must(exo_view_unbind1(ours.view, PAGES), "unbind");
		}
	}
	return sum / ROUNDS / PAGES;
}

static double measure_ours(void)
{
	struct exo_env *env = bench_env(PAGES);
	double figure;

	ours.view = bench_view(env, PAGES + 1, 0, 0);
	ours.base = exo_view_base(ours.view);
	bench_must(exo_mem_alloc_any(env, ours.frames, PAGES), "frames");
	bench_must(exo_fault_register(env, bind_frame, NULL, NULL), "fault handler");
	figure = bench_measure("M3 upcall", upcalls, NULL);
	bench_must(exo_fault_unregister(env), "fault handler");
	return figure;
}

/* ---- SIGSEGV ---- */

static char *segv_base;
static uint32_t segv_page[PAGES]; /* in the order of the stores */

static void on_segv(int sig, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)sig;
	(void)context;
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		_exit(3);
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(sig, &act, NULL);
}

static double signals(void *ctx)
{
	static uint64_t stamp;
	double sum = 0;
	uint64_t start;
	uint32_t i;
	int round;

	(void)ctx;
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < PAGES; i++)
			if (mprotect(segv_base + segv_page[i] * PAGE, PAGE, PROT_NONE))
				bench_fail("mprotect: %s", strerror(errno));
		stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(segv_base, segv_page[i]) = stamp + i;
		sum += bench_since(start);
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(segv_base, segv_page[i]) == stamp + i);
	}
	return sum / ROUNDS / PAGES;
}

/* step 2: every page is a mapping of its own, so that mprotect() neither splits nor merges. */
static double measure_signals(uint32_t step, int random)
{
	struct bench_rng rng = { SEED };
	uint32_t i, j, t;
	double figure;

	for (i = 0; i < PAGES; i++)
		segv_page[i] = i * step;
	for (i = PAGES - 1; random && i > 0; i--) {
		j = (uint32_t)((bench_random(&rng) >> 32) * (i + 1) >> 32);
		t = segv_page[i];
		segv_page[i] = segv_page[j];
		segv_page[j] = t;
	}

	segv_base = bench_anon(PAGES * step * PAGE);
	memset(segv_base, 0, PAGES * step * PAGE);
	for (i = 0; step == 2 && i < PAGES; i++)
		munmap(segv_base + (i * step + 1) * PAGE, PAGE);
	handle(SIGSEGV, on_segv);
	figure = bench_measure("M3 SIGSEGV", signals, NULL);
	signal(SIGSEGV, SIG_DFL);
	munmap(segv_base, PAGES * step * PAGE);
	return figure;
}

/* ---- userfaultfd ---- */

enum resolve { COPY, ZEROPAGE, CONTINUE };

static struct uffd {
	int fd;
	enum resolve how;
	char *base;
	char *other; /* the same memory, mapped elsewhere (CONTINUE) */
	char *source; /* what COPY copies */
	uint64_t stamp;
} uffd;

static void resolve(uint64_t address)
{
	uint64_t page = address & ~(PAGE - 1);
	struct uffdio_copy copy = { .dst = page, .src = (uintptr_t)uffd.source, .len = PAGE };
	struct uffdio_zeropage zero = { .range = { .start = page, .len = PAGE } };
	struct uffdio_continue cont = { .range = { .start = page, .len = PAGE } };
	int ret = -1;

	if (uffd.how == COPY)
		ret = ioctl(uffd.fd, UFFDIO_COPY, &copy);
	else if (uffd.how == ZEROPAGE)
		ret = ioctl(uffd.fd, UFFDIO_ZEROPAGE, &zero);
	else
		ret = ioctl(uffd.fd, UFFDIO_CONTINUE, &cont);
	if (ret)
		_exit(4);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	resolve((uintptr_t)info->si_addr);
}

static void nothing(int sig)
{
	(void)sig;
}

static void *monitor(void *arg)
{
	struct uffd_msg msg;

	(void)arg;
	while (read(uffd.fd, &msg, sizeof(msg)) == sizeof(msg))
		resolve(msg.arg.pagefault.address);
	return NULL;
}

static double uffd_faults(void *ctx)
{
	double sum = 0;
	uint64_t start;
	uint32_t i;
	int round;

	(void)ctx;
	for (round = 0; round < ROUNDS; round++) {
		if (madvise(uffd.base, PAGES * PAGE, MADV_DONTNEED))
			bench_fail("MADV_DONTNEED: %s", strerror(errno));
		uffd.stamp += PAGES;
		start = bench_now();
		for (i = 0; i < PAGES; i++)
			*bench_word(uffd.base, i) = uffd.stamp + i;
		sum += bench_since(start);
		for (i = 0; i < PAGES; i++)
			bench_assert(*bench_word(uffd.other ? uffd.other : uffd.base, i) ==
				     uffd.stamp + i);
	}
	return sum / ROUNDS / PAGES;
}

static void uffd_memory(void)
{
	int fd;

	uffd.other = NULL;
	if (uffd.how != CONTINUE) {
		uffd.base = bench_anon(PAGES * PAGE);
		return;
	}
	fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		bench_fail("memfd: %s", strerror(errno));
	uffd.base = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uffd.other = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (uffd.base == MAP_FAILED || uffd.other == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	memset(uffd.other, 1, PAGES * PAGE);
	close(fd);
}

/* -1 if this kernel can't. */
static double measure_uffd(enum resolve how, int by_signal)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = how == CONTINUE ? UFFDIO_REGISTER_MODE_MINOR :
								 UFFDIO_REGISTER_MODE_MISSING };
	struct sigaction wake = { .sa_handler = nothing }; /* ends the read of the monitor */
	pthread_t thread;
	double figure;

	uffd.how = how;
	api.features = (by_signal ? UFFD_FEATURE_SIGBUS : 0) |
		       (how == CONTINUE ? UFFD_FEATURE_MINOR_SHMEM : 0);
	uffd.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd.fd < 0 || ioctl(uffd.fd, UFFDIO_API, &api))
		return -1;
	uffd_memory();
	uffd.source = bench_anon(PAGE);
	memset(uffd.source, 1, PAGE);
	reg.range.start = (uintptr_t)uffd.base;
	reg.range.len = PAGES * PAGE;
	if (ioctl(uffd.fd, UFFDIO_REGISTER, &reg))
		bench_fail("UFFDIO_REGISTER: %s", strerror(errno));
	if (by_signal)
		handle(SIGBUS, on_sigbus);
	else if (sigaction(SIGUSR1, &wake, NULL) || pthread_create(&thread, NULL, monitor, NULL))
		bench_fail("no thread");
	figure = bench_measure("M3 userfaultfd", uffd_faults, NULL);
	if (by_signal) {
		signal(SIGBUS, SIG_DFL);
	} else {
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
	}
	ioctl(uffd.fd, UFFDIO_UNREGISTER, &reg.range);
	munmap(uffd.base, PAGES * PAGE);
	if (uffd.other)
		munmap(uffd.other, PAGES * PAGE);
	munmap(uffd.source, PAGE);
	close(uffd.fd);
	return figure;
}

static void uffd_row(const char *measure, double mine, const char *name, enum resolve how,
		     double peer)
{
	if (how == ZEROPAGE)
		bench_row("M3.uffd", measure, mine, peer - bench_zero_cost(), name,
			  "with its zeroing the peer is at %.0f", peer);
	else if (how == COPY)
		bench_row("M3.uffd", measure, mine, peer, name,
			  "%.0f of it copy the page: how it gets its contents", bench_copy_cost());
	else
		bench_row("M3.uffd", measure, mine, peer, name, "shared memory: nothing is copied");
}

static void uffd_rows(const char *measure, double mine)
{
	static const struct {
		const char *name;
		enum resolve how;
		int by_signal;
	} ways[] = {
		{ "userfaultfd, monitor thread, UFFDIO_COPY", COPY, 0 },
		{ "userfaultfd, monitor thread, UFFDIO_ZEROPAGE", ZEROPAGE, 0 },
		{ "userfaultfd, monitor thread, UFFDIO_CONTINUE", CONTINUE, 0 },
		{ "userfaultfd, UFFD_FEATURE_SIGBUS, UFFDIO_COPY", COPY, 1 },
		{ "userfaultfd, UFFD_FEATURE_SIGBUS, UFFDIO_ZEROPAGE", ZEROPAGE, 1 },
		{ "userfaultfd, UFFD_FEATURE_SIGBUS, UFFDIO_CONTINUE", CONTINUE, 1 },
	};
	double peer;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		peer = measure_uffd(ways[i].how, ways[i].by_signal);
		if (peer < 0) {
			printf("# M3: %s: not on this kernel\n", ways[i].name);
			continue;
		}
		uffd_row(measure, mine, ways[i].name, ways[i].how, peer);
	}
}

void m3_run(void)
{
	const char *measure = "store, fault, handler, bind, resume";
	double mine = measure_ours();

	bench_row("M3.sigsegv", measure, mine, measure_signals(1, 1),
		  "SIGSEGV, mprotect; one mapping, random order",
		  "like ours: pages anywhere in one range");
	bench_row("M3.sigsegv", measure, mine, measure_signals(1, 0),
		  "SIGSEGV, mprotect; one mapping, in order",
		  "mprotect moves the border between two mappings");
	bench_row("M3.sigsegv", measure, mine, measure_signals(2, 0),
		  "SIGSEGV, mprotect; a mapping for each page",
		  "mprotect neither splits nor merges; vm.max_map_count allows 65530 such pages");
	uffd_rows(measure, mine);
}
