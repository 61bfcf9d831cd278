// SPDX-License-Identifier: GPL-2.0
/*
 * Revocation: asked, given, taken at the deadline, and what stands in the repossession log. Pressure and
 * OOM are in mem_pressure_test.
 */
#include <sched.h>
#include <signal.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 8192;
uint32_t test_pool_huge = 2;

#define N 256

static int admin, fd;
static uint64_t number;
static struct exo_ring *ring;
static uint64_t seen;
static uint32_t frames[N];
static struct view view;

static struct exo_env_status status(void)
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

static uint32_t ask(uint32_t n, uint32_t ms)
{
	uint32_t asked;

	ASSERT_EQ(t_revoke(admin, number, n, ms, &asked), 0);
	return asked;
}

static bool event(uint32_t type, unsigned int ms, struct exo_event *ev)
{
	return t_event(ring, &seen, type, ms, ev);
}

static void wait_taken(uint64_t n)
{
	unsigned int i;

	for (i = 0; i < 3000 * test_slow() && status().out_taken < n; i++)
		test_sleep_ms(1);
	ASSERT_EQ(status().out_taken, n);
}

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
	uint64_t deadline, value;
	struct exo_event ev;
	uint32_t i, left, in_log = 0;
	int got;

	setup();
	table = t_table(fd);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(t_bind(&view, i * 3, 1, frames[i], RW), 0);
		*t_page(&view, i * 3) = i;
	}
	ASSERT_EQ(ask(N, 300), N);
	deadline = status().out_deadline_ns;
	while (test_now_ns() + 30000000ULL < deadline) {
		ASSERT_EQ(status().out_taken, 0);
		ASSERT_EQ(*t_page(&view, 30), 10);
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
			until = test_now_ns() + 5000000000ULL * test_slow();
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
	take_all(fd);
	ASSERT_EQ(small_free(table), nr);
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
	uint32_t old;
	pid_t alice;

	setup();
	old = t_quota(admin, getuid()).deadline_ms;
	t_quota_set(admin, &quota);
	take_all(fd);
	set_min_of(ALICE, 100);
	alice = start_alice(step, 100, false);
	*step = 2;
	ASSERT_TRUE(event(EXO_EVENT_REVOKE, 5000 * test_slow(), &ev));
	/* As much as one step of her allocation was short of. */
	ASSERT_GT(ev.arg[0], 0);
	ASSERT_LE(ev.arg[0], 100);
	ASSERT_EQ(ev.arg[2], EXO_WHY_MIN);
	while (*step < 4) {
		/* What comes is not for the one who is quickest. */
		ASSERT_EQ(take_all(fd), 0);
		test_sleep_ms(1);
	}
	ASSERT_EQ(status().out_taken + status().out_given, 100);
	*step = 5;
	test_join(alice);
	quota.deadline_ms = old;
	t_quota_set(admin, &quota);
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
	uint32_t old;

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
	test_sleep_ms(100 + 300 * test_slow());
	ASSERT_GE(status().out_taken, 6);
	restore_min();
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

#define STUCK 1024	/* frames of the owner that gets stuck */
#define MANY 300	/* environments that share a frame each with it: more than a workqueue has workers */

/* An environment with a frame, which the view shows at a page. */
static uint64_t share_one(const struct view *v, int to, uint32_t page)
{
	struct exo_env_status st;
	struct exo_cap cap;
	uint32_t frame;
	int one = t_open();

	t_alloc_any(one, &frame, 1);
	ASSERT_EQ(t_cap(one, frame, RW, &cap), 0);
	ASSERT_EQ(t_import(to, &cap, NULL, NULL), 0);
	ASSERT_EQ(t_bind(v, page, 1, frame, RW), 0);
	t_status(one, &st);
	return st.out_env;
}

/* An owner that is nearly always inside a batch, with its view locked. It says who it is, and who shares. */
static pid_t start_batches(volatile uint64_t *who, uint32_t nr_shared)
{
	pid_t pid = test_fork();

	if (!pid) {
		static uint32_t mine[STUCK], old[20];
		struct exo_mem_op ops[60];
		struct exo_env_status st;
		struct view v;
		uint32_t i;
		int own;

		pin_to(1);
		own = t_open();
		t_view(own, STUCK + MANY + 20, 0, 0, &v);
		/* Those that it has longest are taken, and the batches don't name them. */
		t_alloc_any(own, old, 20);
		for (i = 0; i < 20; i++)
			ASSERT_EQ(t_bind(&v, STUCK + MANY + i, 1, old[i], RW), 0);
		t_alloc_any(own, mine, STUCK);
		for (i = 0; i < STUCK; i++)
			ASSERT_EQ(t_bind(&v, i, 1, mine[i], RW), 0);
		for (i = 0; i < nr_shared; i++)
			who[1 + i] = share_one(&v, own, STUCK + i);
		t_status(own, &st);
		*who = st.out_env;
		for (i = 0; ; i++) {
			uint32_t k;

			for (k = 0; k < 60; k++)
				ops[k] = (struct exo_mem_op){ 0, STUCK, 0, (k + i) & 1 ? RO : RW, 0 };
			ASSERT_EQ(t_batch(&v, EXO_MEM_PROTECT, ops, 60, 0, NULL), 0);
		}
	}
	return pid;
}

/* Nobody else runs on the second processor from here on. */
static pid_t start_spinner(void)
{
	struct sched_param param = { .sched_priority = 50 };
	pid_t pid = test_fork();

	if (!pid) {
		pin_to(1);
		ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO, &param), 0);
		for (;;)
			;
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	test_wait(pid);
}

static uint64_t taken_of(int of_fd, uint64_t who)
{
	struct exo_env_status row = { 0 };
	struct exo_env_list arg = { .size = sizeof(arg), .count = 1, .envs = (uintptr_t)&row,
				    .start = who - 1, .row_size = sizeof(row) };

	ASSERT_EQ(t_ioctl(of_fd, EXO_ENV_LIST, &arg), 0);
	ASSERT_EQ(row.out_env, who);
	return row.out_taken;
}

static bool wait_taken_of(uint64_t who, uint64_t n, unsigned int ms)
{
	unsigned int i;

	for (i = 0; i < ms && taken_of(admin, who) < n; i++)
		test_sleep_ms(1);
	return taken_of(admin, who) >= n;
}

/*
 * Stop the owner, with its view locked, and have a worker wait for that: it is in the middle of a batch in
 * most cases, so try again. Who does not run any more goes on when the spinner ends.
 */
static pid_t get_stuck(uint64_t who)
{
	unsigned int round;
	uint32_t asked;
	pid_t spinner;

	for (round = 0; round < 20; round++) {
		uint64_t before = taken_of(admin, who);

		spinner = start_spinner();
		test_sleep_ms(30);
		ASSERT_EQ(t_revoke(admin, who, 1, 10, &asked), 0);
		ASSERT_EQ(asked, 1);
		if (!wait_taken_of(who, before + 1, 200 * test_slow()))
			return spinner;
		end(spinner);
	}
	FAIL("never stuck");
}

/* Newer kernels have a server beside that limit, which runs others for a while. */
static void rt_limit(bool on)
{
	t_write_file("/proc/sys/kernel/sched_rt_runtime_us", on ? "950000" : "-1");
	t_write_file("/sys/kernel/debug/sched/fair_server/cpu1/runtime", on ? "50000000" : "0");
}

/*
 * Catches: an owner who gets no CPU time while its view is locked, and so keeps the others' frames from
 * being taken, too.
 */
TEST(deadline__of_one_who_is_stuck)
{
	volatile uint64_t *who = test_shared(PAGE);
	pid_t owner, spinner;

	setup();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two processors");
	rt_limit(false);
	pin_to(0);
	owner = start_batches(who, 0);
	while (!*who)
		test_sleep_ms(1);
	spinner = get_stuck(*who);
	ASSERT_EQ(ask(4, 10), 4);
	wait_taken(4);
	ASSERT_EQ(taken_of(admin, *who), 0);
	end(spinner);
	ASSERT_TRUE(wait_taken_of(*who, 1, 3000 * test_slow()));
	end(owner);
	rt_limit(true);
	restore_min();
}

/* Somebody else, who has frames, and gives none. */
static pid_t start_deaf(volatile uint64_t *who)
{
	pid_t pid = test_fork();

	if (!pid) {
		uint32_t some[N];
		struct exo_env_status st;
		int own;

		t_become(ALICE);
		own = t_open();
		t_alloc_any(own, some, N);
		t_status(own, &st);
		*who = st.out_env;
		for (;;)
			pause();
	}
	while (!*who)
		test_sleep_ms(1);
	return pid;
}

/* Catches: a uid that occupies all workers there can be. */
TEST(deadline__of_many_who_are_stuck)
{
	volatile uint64_t *who = test_shared(PAGE), *alice = who + MANY + 1;
	pid_t owner, spinner, deaf;
	uint32_t asked, i;

	setup();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two processors");
	rt_limit(false);
	pin_to(0);
	deaf = start_deaf(alice);
	owner = start_batches(who, MANY);
	while (!*who)
		test_sleep_ms(1);
	spinner = get_stuck(*who);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(t_revoke(admin, who[1 + i], 1, 10, &asked), 0);
	test_sleep_ms(500);
	ASSERT_EQ(t_revoke(admin, *alice, 4, 10, &asked), 0);
	ASSERT_EQ(asked, 4);
	ASSERT_TRUE(wait_taken_of(*alice, 4, 2000 * test_slow()));
	end(spinner);
	/* And then everybody. */
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(wait_taken_of(who[1 + i], 1, 10000 * test_slow()));
	end(owner);
	end(deaf);
	rt_limit(true);
	restore_min();
}

/* Catches: 2 MiB frames that can't be taken, or in parts. */
TEST(huge__taken_whole)
{
	const struct exo_table *table;
	uint32_t huge, i;

	setup();
	table = t_table(fd);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	huge = t_huge(fd);
	ASSERT_EQ(t_bind(&view, 512, 512, huge, RW), 0);
	*t_page(&view, 700) = 1;
	ASSERT_GT(ask(1, 20), 0);
	for (i = 0; i < 3000 && status().out_frames; i++)
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
