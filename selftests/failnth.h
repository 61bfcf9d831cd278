/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every allocation failing once in every operation (INV-REQ-7). /proc/self/fail-nth makes the n-th
 * allocation (or copy from or to user space) of the next system call fail; n goes up until the call has
 * no n-th. After each failure the state must be as before, and the call must succeed when it is
 * repeated. Needs a kernel with fault injection, and root.
 *
 * The defaults of failslab and fail_page_alloc leave GFP_KERNEL and order 0 alone, and the sweep
 * would pass without one injection: they are set here, and injections are counted.
 */
#ifndef EXO_TEST_FAILNTH_H
#define EXO_TEST_FAILNTH_H

#include "harness.h"
#include "lib.h"

static int fail_fd = -1;

static void injection_setup(void)
{
	static const char *const set[][2] = {
		{ "failslab/ignore-gfp-wait", "N" }, { "failslab/verbose", "0" },
		{ "failslab/probability", "0" }, { "failslab/task-filter", "Y" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" }, { "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" }, { "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/task-filter", "Y" }, { "fail_page_alloc/probability", "0" },
		{ "fail_usercopy/verbose", "0" }, { "fail_usercopy/probability", "0" },
	};
	char path[128];
	unsigned int i;

	if (access("/sys/kernel/debug/failslab", F_OK) || access("/proc/self/fail-nth", F_OK))
		SKIP("this kernel has no fault injection");
	t_need_root();
	for (i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		int ret;

		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", set[i][0]);
		ret = t_write_file(path, set[i][1]);
		if (ret && i < 10)
			FAIL("%s: %s", path, strerror(-ret));
	}
	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
	fail_fd = open(path, O_RDWR);
	ASSERT_GE(fail_fd, 0);
}

static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	ASSERT_EQ(pwrite(fail_fd, text, (size_t)len, 0), len);
}

/*
 * Was there an n-th? These two calls copy from and to user space themselves: one that fails took the
 * injection that the operation did not come to.
 */
static bool disarm(void)
{
	char text[16] = "";

	if (pread(fail_fd, text, sizeof(text) - 1, 0) < 0)
		return false;
	if (pwrite(fail_fd, "0", 1, 0) < 0)
		ASSERT_EQ(pwrite(fail_fd, "0", 1, 0), 1);
	return !atoi(text);
}

static int fd;
static struct view view;
static uint32_t frames[64];
static __attribute__((unused)) struct exo_cap cap;
static int other;
static __attribute__((unused)) struct exo_ring *ring;

struct state {
	uint64_t nr_free;
	struct exo_env_status st;
	struct exo_env_status other;
};

static void look(struct state *s)
{
	static const struct exo_table *table;

	if (!table)
		table = t_table(fd);
	memset(s, 0, sizeof(*s));
	s->nr_free = table->free;
	t_status(fd, &s->st);
	t_status(other, &s->other);
	/* Counts only up. */
	s->st.out_deadline_ns = s->other.out_deadline_ns = 0;
}

static void same(const struct state *a, const struct state *b, unsigned int n)
{
	ASSERT_EQ_FOR(a->nr_free, b->nr_free, "the %uth allocation failed", n);
	ASSERT_EQ_FOR(memcmp(&a->st, &b->st, sizeof(a->st)), 0, "the %uth allocation failed", n);
	ASSERT_EQ_FOR(memcmp(&a->other, &b->other, sizeof(a->other)), 0, "the %uth allocation failed", n);
}

static void setup(void)
{
	injection_setup();
	fd = t_open();
	other = t_open();
	ring = t_ring(fd);
	t_alloc_any(fd, frames, 64);
	ASSERT_EQ(t_cap(fd, frames[0], EXO_RIGHTS_ALL, &cap), 0);
	t_view(fd, 8192, 0, 512, &view);
}

/*
 * Sweep one operation. call() does it; undo() takes it back after a success. At least min injections
 * must have hit it, else it was not tested.
 */
static __attribute__((unused)) void sweep(const char *what, int (*call)(void), void (*undo)(void), unsigned int min)
{
	struct state before, after;
	unsigned int n, failed = 0, absorbed = 0;

	/* Each of the first ones; of very many alike, some. */
	for (n = 1;; n += n < 40 ? 1 : n / 6) {
		bool hit;
		int ret;

		ASSERT_LT(n, 100000);
		look(&before);
		arm(n);
		ret = call();
		hit = disarm();
		if (ret) {
			if (!hit)
				FAIL("%s: %s without an injection", what, strerror(-ret));
			if (ret != -ENOMEM && ret != -EFAULT && ret != -EINTR)
				FAIL("%s: %s when the %uth allocation failed", what, strerror(-ret), n);
			failed++;
			look(&after);
			same(&before, &after, n);
			/* Nothing is left that stops a second try. */
			ret = call();
			if (ret)
				FAIL("%s: %s at the second try", what, strerror(-ret));
		} else {
			absorbed += hit;
		}
		if (undo)
			undo();
		if (!hit)
			break;
	}
	test_note("%s: up to the %uth, %u failed it, %u did not matter", what, n, failed, absorbed);
	ASSERT_GE(failed + absorbed, min);
}

#endif
