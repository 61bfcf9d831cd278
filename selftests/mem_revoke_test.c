// SPDX-License-Identifier: GPL-2.0
/*
 * Revocation: asked, given, taken at the deadline, and what stands in the repossession log. Guaranteed
 * minima are in mem_minimum_test, owners that are stuck in mem_revoke_stuck_test, pressure and OOM in
 * mem_pressure_test.
 */
#include <signal.h>

#include "revoke_setup.h"

/* Catches: an owner who isn't asked, has no time, or is robbed all the same (INV-REV-1). */
TEST(ask__given_in_time)
{
	uint64_t now = test_now_ns();
	struct exo_event ev;

	setup();
	ASSERT_EQ(ask(10, 60000), 10);
	ASSERT_TRUE(event(EXO_EVENT_REVOKE, 1000, &ev));
	ASSERT_EQ(ev.arg[0], 10);
	ASSERT_GE(ev.arg[1], now + 59000000000ULL);
	ASSERT_LE(ev.arg[1], test_now_ns() + 60000000000ULL);
	ASSERT_EQ(ev.arg[2], EXO_WHY_ADMIN);
	ASSERT_EQ(status().out_wanted, 10);
	ASSERT_EQ(status().out_deadline_ns, ev.arg[1]);
	/* A second request adds up. */
	ASSERT_EQ(ask(5, 60000), 5);
	ASSERT_TRUE(event(EXO_EVENT_REVOKE, 1000, &ev));
	ASSERT_EQ(ev.arg[0], 15);
	ASSERT_EQ(t_free(fd, frames, 4, NULL), 0);
	ASSERT_EQ(status().out_wanted, 11);
	ASSERT_EQ(status().out_given, 4);
	ASSERT_EQ(t_free(fd, frames + 4, 20, NULL), 0);
	ASSERT_EQ(status().out_wanted, 0);
	ASSERT_EQ(status().out_given, 15);
	ASSERT_EQ(status().out_deadline_ns, 0);
	ASSERT_EQ(status().out_frames, N - 24);
	test_sleep_ms(100);
	ASSERT_EQ(status().out_taken, 0);
	ASSERT_EQ(status().out_log, 0);
	restore_min();
}

/* Catches: frames that are taken before the deadline, or never (INV-REV-1, INV-REV-3). */
TEST(deadline__taken_by_force)
{
	const struct exo_table *table;
	struct exo_mem_taken log[N];
	uint64_t deadline, value, taken;
	struct exo_event ev;
	uint32_t i, left, in_log = 0;
	int got, sig;

	setup();
	table = t_table(fd);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(t_bind(&view, i * 3, 1, frames[i], RW), 0);
		*t_page(&view, i * 3) = i;
	}
	ASSERT_EQ(ask(N, 300), N);
	deadline = status().out_deadline_ns;
	for (;;) {
		taken = status().out_taken;
		sig = t_load(t_page(&view, 30), &value);
		if (test_now_ns() >= deadline)
			break;
		ASSERT_EQ(taken, 0);
		ASSERT_EQ(sig, 0);
		ASSERT_EQ(value, 10);
		test_sleep_ms(5);
	}
	wait_taken(N);
	ASSERT_TRUE(event(EXO_EVENT_REPOSSESSED, 1000, &ev));
	ASSERT_GT(ev.arg[0], 0);
	ASSERT_EQ(status().out_frames, 0);
	ASSERT_EQ(status().out_bound, 0);
	ASSERT_EQ(status().out_log, N);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(t_load(t_page(&view, i * 3), &value), SIGBUS);
		ASSERT_EQ(view.slots[i * 3], 0);
		ASSERT_EQ(table->frame[frames[i]].state, EXO_FRAME_FREE);
	}
	/* The log, in pieces. */
	while (in_log < N) {
		got = t_log(fd, log + in_log, 100, &left);
		ASSERT_GT(got, 0);
		in_log += (uint32_t)got;
		ASSERT_EQ(left, N - in_log);
		ASSERT_EQ(status().out_log, left);
	}
	ASSERT_EQ(t_log(fd, log, 100, &left), 0);
	for (i = 0; i < N; i++) {
		uint64_t page = (log[i].address - (uintptr_t)view.base) / PAGE;

		ASSERT_EQ(log[i].view, view.id);
		ASSERT_EQ(page % 3, 0);
		ASSERT_LT(page / 3, N);
		ASSERT_EQ(log[i].frame, frames[page / 3]);
		ASSERT_EQ(log[i].why, EXO_WHY_ADMIN);
		ASSERT_EQ(log[i].reserved, 0);
		ASSERT_GE(log[i].time_ns, deadline);
		frames[page / 3] = ~0U;		/* each once */
	}
	restore_min();
}

/* Catches: unbound frames, and frames bound in many places, missing from the log (INV-REV-3). */
TEST(log__every_binding)
{
	struct exo_mem_taken log[64];
	uint32_t i, unbound = 0, bound = 0, left;
	struct view other;
	int got;

	setup();
	t_view(fd, 64, 0, 0, &other);
	ASSERT_EQ(t_free(fd, frames + 2, N - 2, NULL), 0);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(t_bind(i & 1 ? &view : &other, i, 1, frames[0], i & 2 ? RW : RO), 0);
	ASSERT_EQ(ask(2, 20), 2);
	wait_taken(2);
	got = t_log(fd, log, 64, &left);
	ASSERT_EQ(left, 0);
	for (i = 0; (int)i < got; i++) {
		if (log[i].frame == frames[1]) {
			ASSERT_EQ(log[i].view, ~0U);
			ASSERT_EQ(log[i].address, 0);
			unbound++;
		} else {
			uint64_t page;

			ASSERT_EQ(log[i].frame, frames[0]);
			ASSERT_TRUE(log[i].view == view.id || log[i].view == other.id);
			page = (log[i].address -
				(uintptr_t)(log[i].view == view.id ? view.base : other.base)) / PAGE;
			ASSERT_LT(page, 10);
			ASSERT_EQ(page & 1, log[i].view == view.id);
			bound |= 1U << page;
		}
	}
	ASSERT_EQ(unbound, 1);
	ASSERT_EQ(bound, 0x3ff);
	ASSERT_EQ(got, 11);
	restore_min();
}

/* Catches: a log that loses entries when nobody reads it (INV-REV-3). */
TEST(log__never_overflows)
{
	static struct exo_mem_taken log[4096];
	uint32_t round, i, left, total = 0, want = 0;
	int got;

	setup();
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	for (round = 0; round < 20; round++) {
		uint32_t some[100];

		t_alloc_any(fd, some, 100);
		for (i = 0; i < 100; i++)
			ASSERT_EQ(t_bind(&view, i, 1, some[i], RW), 0);
		ASSERT_EQ(ask(100, 5), 100);
		want += 100;
		wait_taken(want);
	}
	ASSERT_EQ(status().out_log, want);
	do {
		got = t_log(fd, log, 4096, &left);
		ASSERT_GE(got, 0);
		total += (uint32_t)got;
	} while (got);
	ASSERT_EQ(total, want);
	restore_min();
}

/* Catches: rights to a frame that was taken, through windows, imports or capabilities. */
TEST(taken__is_gone_everywhere)
{
	volatile uint64_t *window;
	struct exo_cap cap;
	struct view theirs;
	uint64_t value;
	int other;

	setup();
	other = t_open();
	ASSERT_EQ(t_free(fd, frames + 1, N - 1, NULL), 0);
	window = t_window(fd, frames[0], 1, PROT_READ | PROT_WRITE);
	*window = 1;
	ASSERT_EQ(t_cap(fd, frames[0], EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	t_view(other, 16, 0, 0, &theirs);
	ASSERT_EQ(t_bind(&theirs, 0, 1, frames[0], RW), 0);
	ASSERT_EQ(ask(1, 20), 1);
	wait_taken(1);
	ASSERT_EQ(t_load(window, &value), SIGBUS);
	ASSERT_EQ(t_load(t_page(&theirs, 0), &value), SIGBUS);
	ASSERT_EQ(t_cap_check(other, &cap, RO), -ESTALE);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RO), -EACCES);
	restore_min();
}

/* Catches: requests of everybody that ask one for all, or twice (env 0: in proportion). */
TEST(ask__everybody)
{
	uint32_t more[3 * N], asked;
	struct exo_env_status a, b;
	int big, empty;

	setup();
	big = t_open();
	empty = t_open();
	t_alloc_any(big, more, 3 * N);
	ASSERT_EQ(t_revoke(admin, 0, N, 60000, &asked), 0);
	ASSERT_EQ(asked, N);
	a = status();
	t_status(big, &b);
	ASSERT_EQ(a.out_wanted + b.out_wanted, N);
	ASSERT_GE(a.out_wanted, N / 4 - 2);
	ASSERT_LE(a.out_wanted, N / 4 + 2);
	t_status(empty, &b);
	ASSERT_EQ(b.out_wanted, 0);
	ASSERT_EQ(t_revoke(admin, 0, 100000, 60000, &asked), 0);
	ASSERT_LE(asked, 3 * N);
	restore_min();
}

/* Catches: bad targets. */
TEST(ask__bad)
{
	uint32_t asked;
	pid_t pid;

	setup();
	ASSERT_EQ(t_revoke(admin, 1ULL << 60, 1, 10, &asked), -ENOENT);
	pid = test_fork();
	if (!pid) {
		int mine;

		t_become(ALICE);
		mine = t_open();
		ASSERT_EQ(t_revoke(mine, number, 1, 10, &asked), -EPERM);
		_exit(0);
	}
	test_join(pid);
	/* One that holds nothing. */
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(ask(5, 10), 0);
	ASSERT_EQ(status().out_wanted, 0);
	restore_min();
}

/* Catches: a deadline of the uid that isn't used, or a longer one that replaces a shorter. */
TEST(deadline__of_the_uid)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE, .uid = getuid(), .deadline_ms = 50 };
	uint32_t old, ms;

	setup();
	old = t_quota(admin, getuid()).deadline_ms;
	t_quota_set(admin, &quota);
	ASSERT_EQ(ask(3, 0), 3);
	wait_taken(3);
	quota.deadline_ms = old;
	t_quota_set(admin, &quota);
	/* Two requests: the earlier deadline holds for what was asked then. */
	ASSERT_EQ(ask(3, 100), 3);
	ASSERT_EQ(ask(1, 600000), 1);
	for (ms = 0; ms < test_limit_ms(3000) && status().out_taken < 6; ms++)
		test_sleep_ms(1);
	ASSERT_GE(status().out_taken, 6);
	restore_min();
}

/* Catches: 2 MiB frames that can't be taken, or in parts. */
TEST(huge__taken_whole)
{
	const struct exo_table *table;
	uint32_t huge, i;
	uint64_t start;

	setup();
	table = t_table(fd);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	huge = t_huge(fd);
	ASSERT_EQ(t_bind(&view, 512, 512, huge, RW), 0);
	*t_page(&view, 700) = 1;
	ASSERT_GT(ask(1, 20), 0);
	start = test_now_ns();
	while (status().out_frames && !test_overdue(start, 3000))
		test_sleep_ms(1);
	ASSERT_EQ(status().out_frames, 0);
	ASSERT_EQ(status().out_bound, 0);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(table->frame[huge + i].state, EXO_FRAME_FREE);
	restore_min();
}

/* Catches: a request that outlives its environment, or kills the next one's frames. */
TEST(ask__then_dies)
{
	int i;

	setup();
	for (i = 0; i < 20; i++) {
		struct exo_env_status st;
		uint32_t some[32], asked;
		int e = t_open();

		t_alloc_any(e, some, 32);
		t_status(e, &st);
		ASSERT_EQ(t_revoke(admin, st.out_env, 32, (uint32_t)i, &asked), 0);
		if (i & 1)
			test_sleep_ms(1);
		close(e);
	}
	restore_min();
}

/* Catches: force against an owner who is giving back, binding and unbinding all the time. */
TEST_LONG(force__against_traffic, 60)
{
	uint64_t until = test_now_ns() + 3000000000ULL;
	pid_t pid;
	unsigned int rounds = 0;

	setup();
	pid = test_fork();
	if (!pid) {
		uint32_t own[N], i;
		struct view v;
		int e = t_open();

		t_view(e, 2048, 0, 0, &v);
		for (;;) {
			uint32_t done;

			t_alloc(e, EXO_ALLOC_ANY, own, N, &done);
			for (i = 0; i < done; i++)
				t_rebind(&v, i * 5, 1, own[i], RW);
			for (i = 0; i < done; i += 2)
				t_unbind(&v, i * 5, 1);
			for (i = 0; i < done; i++)
				t_free1(e, own[i]);
		}
	}
	while (test_now_ns() < until) {
		uint32_t asked;

		ASSERT_EQ(t_revoke(admin, 0, 100, 1 + rounds % 7, &asked), 0);
		rounds++;
		test_sleep_ms(2);
	}
	status();
	kill(pid, SIGKILL);
	test_join_killed(pid, SIGKILL);
	restore_min();
}
