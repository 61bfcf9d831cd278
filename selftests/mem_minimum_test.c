// SPDX-License-Identifier: GPL-2.0
/*
 * Guaranteed minima: what revocation leaves, what is kept free, who makes room; and a pool that shrinks.
 */
#include "revoke_setup.h"

/* Catches: the guarantee that isn't one (INV-REV-2); a minimum per environment. */
TEST(minimum__stays)
{
	uint32_t more[N], round;
	int second;

	setup();
	second = t_open();
	t_alloc_any(second, more, N);
	set_min(100);
	/* Environments of one uid have it together. */
	ASSERT_LE(ask(10000, 20), N);
	{
		struct exo_env_status st;
		uint32_t asked;

		t_status(second, &st);
		ASSERT_EQ(t_revoke(admin, st.out_env, 10000, 20, &asked), 0);
		/* Each bears its part of the minimum: what is left over is asked in the next rounds. */
		for (round = 0; round < 50 && asked; round++) {
			/* Nothing is under way, on a busy machine either. */
			do {
				test_sleep_ms(60);
				t_status(second, &st);
			} while (st.out_wanted || status().out_wanted);
			ASSERT_GE(st.out_frames + status().out_frames, 100);
			ASSERT_EQ(t_revoke(admin, 0, 10000, 20, &asked), 0);
		}
		ASSERT_EQ(asked, 0);
		t_status(second, &st);
		/* A frame more where the parts are rounded. */
		ASSERT_GE(st.out_frames + status().out_frames, 100);
		ASSERT_LE(st.out_frames + status().out_frames, 101);
		ASSERT_EQ(st.out_wanted + status().out_wanted, 0);
	}
	restore_min();
}

static void set_min_of(uint32_t uid, uint32_t min)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = uid, .min = min };

	t_quota_set(admin, &quota);
}

static uint32_t small_free(const struct exo_table *table)
{
	return (uint32_t)(table->free - table->free_huge * 512);
}

/* Everything that is left, 2 MiB frames, too. Returns how many of 4 KiB. */
static uint32_t take_all(int of_fd)
{
	static uint32_t some[1024];
	uint32_t done, total = 0;
	int ret;

	while (!t_alloc(of_fd, EXO_ALLOC_HUGE, some, 1, NULL))
		;

	do {
		ret = t_alloc(of_fd, EXO_ALLOC_ANY, some, 1024, &done);
		total += done;
	} while (!ret);
	ASSERT_EQ(ret, -ENOSPC);
	return total;
}

/* alice, in an environment of her own, which has reserved her minimum before start says so. */
static pid_t start_alice(volatile uint32_t *step, uint32_t mine, bool at_once)
{
	pid_t pid = test_fork();

	if (!pid) {
		uint32_t *some = calloc(mine, sizeof(*some)), done, one;
		uint64_t until;
		int own, ret;

		t_become(ALICE);
		own = t_open();
		*step = 1;
		while (*step < 2)
			test_sleep_ms(1);
		ret = t_alloc(own, EXO_ALLOC_ANY, some, mine, &done);
		if (at_once) {
			ASSERT_EQ(ret, 0);
		} else {
			ASSERT_EQ(ret, -ENOSPC);
			*step = 3;
			until = test_now_ns() + test_limit_ms(5000) * 1000000ULL;
			while (done < mine && test_now_ns() < until) {
				t_alloc(own, EXO_ALLOC_ANY, some + done, mine - done, &one);
				done += one;
				test_sleep_ms(10);
			}
			ASSERT_EQ(done, mine);
		}
		ASSERT_EQ(t_alloc(own, EXO_ALLOC_ANY, &one, 1, NULL), -ENOSPC);
		/* Given back it is still hers. */
		ASSERT_EQ(t_free(own, some, mine, NULL), 0);
		*step = 4;
		while (*step < 5)
			test_sleep_ms(1);
		ASSERT_EQ(t_alloc(own, EXO_ALLOC_THESE, some, mine, NULL), 0);
		_exit(0);
	}
	while (*step < 1)
		test_sleep_ms(1);
	return pid;
}

static void go_to(volatile uint32_t *step, uint32_t n)
{
	*step = n;
	while (*step == n)
		test_sleep_ms(1);
}

/* Catches: a minimum that keeps what one has, and gives nothing to who has nothing (INV-ENV-6). */
TEST(minimum__is_kept_free)
{
	volatile uint32_t *step = test_shared(PAGE);
	const struct exo_table *table;
	uint32_t nr, done;
	pid_t alice;

	setup();
	table = t_table(fd);
	nr = table->free < 700 ? 100 : 200;
	set_min_of(ALICE, nr);
	alice = start_alice(step, nr, true);
	ASSERT_EQ(t_quota(fd, getuid()).out_may, small_free(table) - nr);
	ASSERT_EQ(t_quota(fd, getuid()).out_may_huge, table->free_huge);
	take_all(fd);
	ASSERT_EQ(small_free(table), nr);
	/* Nobody is told that there were some, but she. */
	ASSERT_EQ(t_quota(fd, getuid()).out_may, 0);
	ASSERT_EQ(t_quota(fd, getuid()).out_may_huge, 0);
	ASSERT_EQ(t_quota(fd, ALICE).out_may, nr);
	/* Not one by one either, nor in a run, nor by their names. */
	{
		uint32_t i, one;

		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_CONTIG, &one, 1, NULL), -ENOSPC);
		for (i = 0; table->frame[i].state != EXO_FRAME_FREE || table->frame[i].order; i++)
			;
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &i, 1, NULL), -ENOSPC);
	}
	/* Nor does the pool get smaller by them. */
	ASSERT_EQ(t_pool(admin, EXO_POOL_SHRINK | EXO_POOL_NODE, 512, &done), -ENOSPC);
	ASSERT_EQ(small_free(table), nr);
	ASSERT_EQ(done, 0);
	go_to(step, 2);
	ASSERT_EQ(*step, 4);
	ASSERT_EQ(take_all(fd), 0);
	*step = 5;
	test_join(alice);
	/* With her last environment goes what was kept for her. */
	ASSERT_EQ(take_all(fd), nr);
	set_min_of(ALICE, old_min);
	restore_min();
}

/* Catches: a minimum that nobody is asked for when all is taken (INV-ENV-6). */
TEST(minimum__others_make_room)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE, .uid = getuid(), .deadline_ms = 300 };
	volatile uint32_t *step = test_shared(PAGE);
	struct exo_event ev;
	uint64_t start;
	uint32_t old;
	pid_t alice;

	setup();
	old = t_quota(admin, getuid()).deadline_ms;
	t_quota_set(admin, &quota);
	take_all(fd);
	set_min_of(ALICE, 100);
	alice = start_alice(step, 100, false);
	*step = 2;
	ASSERT_TRUE(event(EXO_EVENT_REVOKE, 5000, &ev));
	/* As much as one step of her allocation was short of. */
	ASSERT_GT(ev.arg[0], 0);
	ASSERT_LE(ev.arg[0], 100);
	ASSERT_EQ(ev.arg[2], EXO_WHY_MIN);
	while (*step < 4) {
		/* What comes is not for the one who is quickest. */
		ASSERT_EQ(take_all(fd), 0);
		test_sleep_ms(1);
	}
	/* What was taken is free first, and then counted. */
	start = test_now_ns();
	while (status().out_wanted && !test_overdue(start, 5000))
		test_sleep_ms(1);
	ASSERT_EQ(status().out_taken + status().out_given, 100);
	*step = 5;
	test_join(alice);
	quota.deadline_ms = old;
	t_quota_set(admin, &quota);
	set_min_of(ALICE, old_min);
	restore_min();
}

/*
 * Catches: somebody who asks again and again for what isn't there, in one piece or of a colour, and has
 * the others asked for what is free: in the end they would have nothing but their minima.
 */
TEST(minimum__of_what_is_free_asks_nobody)
{
	const struct exo_table *table;
	uint32_t one;
	unsigned int i;
	pid_t alice;

	setup();
	table = t_table(fd);
	while (!t_alloc(fd, EXO_ALLOC_HUGE, &one, 1, NULL))
		;
	ASSERT_GT(small_free(table), 200);
	set_min_of(ALICE, 100);
	alice = test_fork();
	if (!alice) {
		int own;

		t_become(ALICE);
		own = t_open();
		for (i = 0; i < 100; i++)
			ASSERT_EQ(t_alloc(own, EXO_ALLOC_HUGE, &one, 1, NULL), -ENOSPC);
		_exit(0);
	}
	test_join(alice);
	ASSERT_EQ(status().out_asked, 0);
	ASSERT_EQ(status().out_wanted, 0);
	set_min_of(ALICE, old_min);
	restore_min();
}

/* Catches: a shrink that takes frames of another node, or asks owners for some. */
TEST(shrink__on_a_node)
{
	struct exo_mem_pool arg = { .size = sizeof(arg), .frames = 1024 };
	const struct exo_table *table;
	struct exo_info info;
	uint32_t i, before[64] = { 0 }, after[64] = { 0 };

	setup();
	table = t_table(fd);
	t_info(fd, &info);
	arg.node = info.out_nodes - 1;
	arg.flags = EXO_POOL_GROW | EXO_POOL_NODE;
	ASSERT_EQ(t_ioctl(admin, EXO_MEM_POOL, &arg), 0);
	for (i = 0; i < table->frames; i++)
		if (table->frame[i].state != EXO_FRAME_ABSENT)
			before[table->frame[i].node % 64]++;
	arg.flags = EXO_POOL_SHRINK | EXO_POOL_NODE;
	ASSERT_EQ(t_ioctl(admin, EXO_MEM_POOL, &arg), 0);
	ASSERT_EQ(arg.out_done, 1024);
	for (i = 0; i < table->frames; i++)
		if (table->frame[i].state != EXO_FRAME_ABSENT)
			after[table->frame[i].node % 64]++;
	for (i = 0; i < 64; i++)
		ASSERT_EQ_FOR(after[i], before[i] - (i == arg.node ? 1024 : 0), "node %u", i);
	/* All that is idle there, and no more. */
	take_all(fd);
	ASSERT_EQ(t_ioctl(admin, EXO_MEM_POOL, &arg), -ENOSPC);
	ASSERT_EQ(arg.out_done, 0);
	ASSERT_EQ(status().out_wanted, 0);
	arg.node = 1000;
	ASSERT_EQ(t_ioctl(admin, EXO_MEM_POOL, &arg), -EINVAL);
	restore_min();
}
