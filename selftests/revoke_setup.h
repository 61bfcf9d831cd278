/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of revocation begin with. Each program includes it once. */
#ifndef EXO_REVOKE_SETUP_H
#define EXO_REVOKE_SETUP_H

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 8192;
uint32_t test_pool_huge = 2;

#define N 256

static int admin, fd;
static uint64_t number;
static struct exo_ring *ring;
static __attribute__((unused)) uint64_t seen;
static uint32_t frames[N];
static struct view view;

static __attribute__((unused)) struct exo_env_status status(void)
{
	struct exo_env_status st;

	t_status(fd, &st);
	/* INV-REV-4, whenever anybody looks. */
	ASSERT_EQ(st.out_asked, st.out_given + st.out_taken + st.out_wanted);
	return st;
}

/* The guaranteed minimum of the tests' user; what it was is put back by restore_min(). */
static uint32_t old_min;

static void set_min(uint32_t min)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = getuid(), .min = min };

	t_quota_set(admin, &quota);
}

static void restore_min(void)
{
	set_min(old_min);
}

static void setup(void)
{
	t_need_root();
	admin = t_open();
	old_min = t_quota(admin, getuid()).min;
	set_min(0);
	fd = t_open();
	number = status().out_env;
	ring = t_ring(fd);
	t_alloc_any(fd, frames, N);
	t_view(fd, 2048, 0, 0, &view);
}

static __attribute__((unused)) uint32_t ask(uint32_t n, uint32_t ms)
{
	uint32_t asked;

	ASSERT_EQ(t_revoke(admin, number, n, ms, &asked), 0);
	return asked;
}

static __attribute__((unused)) bool event(uint32_t type, unsigned int ms, struct exo_event *ev)
{
	return t_event(ring, &seen, type, ms, ev);
}

static __attribute__((unused)) void wait_taken(uint64_t n)
{
	unsigned int i;

	for (i = 0; i < test_limit_ms(3000) && status().out_taken < n; i++)
		test_sleep_ms(1);
	ASSERT_EQ(status().out_taken, n);
}

#endif
