// SPDX-License-Identifier: GPL-2.0
/*
 * Revocation from owners that get no CPU time while they hold locks: what is due is taken from the others.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "revoke_setup.h"

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

/* Nobody else runs on the second processor when this has returned. */
static pid_t start_spinner(void)
{
	struct sched_param param = { .sched_priority = 50 };
	volatile uint64_t *runs = test_shared(PAGE);
	pid_t pid = test_fork();

	if (!pid) {
		pin_to(1);
		ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO, &param), 0);
		for (;;)
			*runs = 1;
	}
	while (!*runs)
		test_sleep_ms(1);
	munmap((void *)runs, PAGE);
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

static bool read_text(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? -1 : read(file, text, size - 1);

	if (file >= 0)
		close(file);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Whether the process is a worker of the kernel that sleeps in exo, without being woken by signals or time. */
static bool waits_in_exo(const char *pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (!read_text(path, text, sizeof(text)) || !strstr(text, "(kworker") || !strstr(text, ") D "))
		return false;
	snprintf(path, sizeof(path), "/proc/%s/stack", pid);
	return read_text(path, text, sizeof(text)) && strstr(text, "[exo]");
}

static bool any_waits_in_exo(void)
{
	DIR *proc = opendir("/proc");
	const struct dirent *at;
	bool any = false;

	ASSERT_TRUE(proc);
	while (!any && (at = readdir(proc)))
		any = at->d_name[0] >= '1' && at->d_name[0] <= '9' && waits_in_exo(at->d_name);
	closedir(proc);
	return any;
}

/* Until a worker waits for the owner, and still does a while later. False: it took what is due, or got no time itself. */
static bool wait_stuck(uint64_t who, uint64_t n)
{
	uint64_t start = test_now_ns();
	int seen = 0;

	/* A processor that is kept longer than 30 s is one of the kernel's complaints. */
	while (seen < 3 && !test_late(start, 6000)) {
		if (taken_of(admin, who) >= n)
			return false;
		seen = any_waits_in_exo() ? seen + 1 : 0;
		test_sleep_ms(20);
	}
	return seen == 3;
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
		ASSERT_EQ(t_revoke(admin, who, 1, 10, &asked), 0);
		ASSERT_EQ(asked, 1);
		if (wait_stuck(who, before + 1))
			return spinner;
		end(spinner);
		/* What is due is taken before the next is asked for. */
		ASSERT_TRUE(wait_taken_of(who, before + 1, test_limit_ms(3000)));
	}
	FAIL("never stuck");
}

/* The grace period that a spinner held up ends before anybody looks how old it is. */
static void wait_for_grace(void)
{
	ASSERT_EQ(syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), 0);
}

/*
 * Newer kernels have a server beside that limit, which runs others for a while. It is told from its own processor: one
 * whose processor has nobody else to run may be active still, and Linux warns that its bandwidth doesn't add up.
 *
 * Without the limit a spinner keeps RCU's threads from its processor, too, for longer on a slow machine than RCU puts
 * up with: that stall is meant, and says nothing about exo.
 */
static void rt_limit(bool on)
{
	if (on)
		wait_for_grace();
	t_write_file("/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress", on ? "0" : "1");
	t_write_file("/proc/sys/kernel/sched_rt_runtime_us", on ? "950000" : "-1");
	pin_to(1);
	t_write_file("/sys/kernel/debug/sched/fair_server/cpu1/runtime", on ? "50000000" : "0");
	pin_to(0);
}

/*
 * Catches: an owner who gets no CPU time while its view is locked, and so keeps the others' frames from
 * being taken, too.
 */
TEST(deadline__of_one_who_is_stuck)
{
	volatile uint64_t *who = test_shared(PAGE);
	uint64_t before;
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
	before = taken_of(admin, *who);
	ASSERT_EQ(ask(4, 10), 4);
	wait_taken(4);
	ASSERT_EQ(taken_of(admin, *who), before);
	end(spinner);
	ASSERT_TRUE(wait_taken_of(*who, before + 1, test_limit_ms(3000)));
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
	ASSERT_TRUE(wait_taken_of(*alice, 4, test_limit_ms(10000)));
	end(spinner);
	/* And then everybody. */
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(wait_taken_of(who[1 + i], 1, test_limit_ms(10000)));
	end(owner);
	end(deaf);
	rt_limit(true);
	restore_min();
}
