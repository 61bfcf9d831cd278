/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests with a second CPU begin with: pages of a view, and two sets of frames that say which
 * they are. Each program includes it once.
 */
#ifndef EXO_STALE_SETUP_H
#define EXO_STALE_SETUP_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "harness.h"
#include "lib.h"

#define ROUNDS 3000
#define MAX 64

/* What stands in the first word of the frames of set s, for page i. */
#define VALUE(s, i) (((uint64_t)(s) + 1) << 32 | (i))

static int fd;
static __attribute__((unused)) unsigned int budget_ms = 2000;	/* of a path */
static struct view view;
static uint32_t nr_pages, pages[MAX];
static uint32_t frames[2][MAX];

static __attribute__((unused)) void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		SKIP("needs two CPUs");
}

static __attribute__((unused)) void fill_sets(void)
{
	uint32_t s;

	for (s = 0; s < 2; s++) {
		t_alloc_any(fd, frames[s], nr_pages);
		t_fill_each(fd, frames[s], nr_pages, VALUE(s, 0));
	}
}

/* n pages at first, first + step, ... in a view that starts at align beyond 2 MiB. */
static __attribute__((unused)) void setup(uint32_t n, uint32_t first, uint32_t step, uint32_t flags,
					  size_t align)
{
	uint32_t i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	fd = t_open();
	nr_pages = n;
	for (i = 0; i < n; i++)
		pages[i] = first + i * step;
	ASSERT_EQ(t_view_create(fd, 64 * 512, flags, 0, &view), 0);
	ASSERT_EQ(t_view_map(&view, NULL, align), 0);
	fill_sets();
	for (i = 0; i < n; i++)
		ASSERT_EQ(t_bind(&view, pages[i], 1, frames[0][i], RW), 0);
}

static uint32_t huge[2];

/* Page 512 and those behind it are 2 MiB. */
static __attribute__((unused)) void setup_huge(void)
{
	uint32_t s, i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	fd = t_open();
	nr_pages = 4;
	for (i = 0; i < nr_pages; i++)
		pages[i] = 512 + i * 137;
	ASSERT_EQ(t_view_create(fd, 2048, 0, 0, &view), 0);
	ASSERT_EQ(t_view_map(&view, NULL, 0), 0);
	for (s = 0; s < 2; s++) {
		volatile uint64_t *mem;

		huge[s] = t_huge(fd);
		mem = t_window(fd, huge[s], 512, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(mem);
		for (i = 0; i < nr_pages; i++)
			mem[(pages[i] - 512) * 512] = VALUE(s, i);
		munmap((void *)mem, HUGE_PAGE);
	}
	ASSERT_EQ(t_bind(&view, 512, 512, huge[0], RW), 0);
}

#endif
