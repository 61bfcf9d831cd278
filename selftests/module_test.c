// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading the module a hundred times, with traffic between (INV-ENV-3). It needs the module
 * as a file, unloaded: $EXO_MODULE, or /root/exo.ko in the test machine.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "harness.h"
#include "lib.h"

bool test_no_module = true;

static const char *module_path(void)
{
	const char *path = getenv("EXO_MODULE");

	return path ? path : "/root/exo.ko";
}

static int load(const char *params)
{
	int file = open(module_path(), O_RDONLY | O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	ret = (int)syscall(SYS_finit_module, file, params, 0);
	ret = ret ? -errno : 0;
	close(file);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "exo", O_NONBLOCK) ? -errno : 0;
}

static void need(void)
{
	t_need_root();
	if (access(module_path(), R_OK))
		SKIP("no %s: set EXO_MODULE", module_path());
	if (!access("/sys/module/exo", F_OK))
		SKIP("the module is loaded: unload it first");
}

/* devtmpfs may be late. */
static void wait_device(void)
{
	int i;

	for (i = 0; i < 2000 && access(t_device(), R_OK | W_OK); i++)
		test_sleep_ms(1);
}

static void traffic(void)
{
	uint32_t frames[256], i;
	struct exo_cap cap;
	struct view view;
	int fd = t_open(), other = t_open();

	t_alloc_any(fd, frames, 256);
	t_view(fd, 2048, 0, 512, &view);
	for (i = 0; i < 256; i++) {
		ASSERT_EQ(t_bind(&view, i * 7, 1, frames[i], RW), 0);
		*t_page(&view, i * 7) = i;
	}
	ASSERT_EQ(t_unbind(&view, 0, 500), 0);
	ASSERT_EQ(t_cap(fd, frames[0], EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	t_fill(other, frames[0], 1);
	t_ring(fd);
	t_table(fd);
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 1024, NULL), 0);
	ASSERT_EQ(t_revoke(other, 0, 10, 3600000, NULL), 0);
	/* In use: no. */
	ASSERT_NE(unload(), 0);
}

static void child(void *arg)
{
	traffic();
}

/* Catches: what an unload leaves behind, in memory, in /sys, or on a workqueue. */
TEST_LONG(load__a_hundred_times, 300)
{
	unsigned int i, n = test_rounds(100, 2);
	uint64_t before = 0, after;

	need();
	for (i = 0; i < n; i++) {
		int ret = load(i & 1 ? "pool_frames=2048" : "pool_frames=4096 default_deadline_ms=10");

		ASSERT_EQ_FOR(ret, 0, "load %u: %s", i, strerror(-ret));
		wait_device();
		/* The death of the last environment comes before the end of its process is seen. */
		test_join(test_spawn(child, NULL));
		do {
			ret = unload();
		} while (ret == -EWOULDBLOCK && (test_sleep_ms(1), true));
		ASSERT_EQ_FOR(ret, 0, "unload %u: %s", i, strerror(-ret));
		ASSERT_NE(access("/sys/module/exo", F_OK), 0);
		ASSERT_NE(access("/sys/class/misc/exo", F_OK), 0);
		ASSERT_NE(access("/sys/kernel/tracing/events/exo", F_OK), 0);
		/* The first rounds fill caches. */
		if (i == n / 5)
			before = test_free_kib();
	}
	test_sleep_ms(200);
	after = test_free_kib();
	test_note("free memory: %lld KiB less after %u rounds", (long long)(before - after), n - n / 5);
	/*
	 * Less than what a pool of one block has besides its pages, from each round. A kernel with debugging in
	 * it keeps more for each load of a module (KASAN's shadow, lockdep's classes), and has kmemleak.
	 */
	ASSERT_LT((long long)before - (long long)after, test_slow() > 1 ? 8 << 10 : 2 << 10);
}

/* Has the kernel said anything with this in it since the log was opened? */
static bool was_said(int kmsg, const char *what)
{
	char line[1024];
	bool said = false;
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[len] = 0;
		if (strstr(line, "exo: ") && strstr(line, what))
			said = true;
	}
	return said;
}

/* Catches: parameters that take the machine down, or are taken, instead of being refused with a sentence. */
TEST_LONG(load__bad_parameters, 60)
{
	static const struct {
		const char *params, *said;
	} bad[] = {
		{ "pool_frames=4294967295", "pool_frames" },
		{ "pool_frames=-1", "pool_frames" },
		{ "pool_frames=1073741824", "pool_frames" },
		{ "max_frames=4294967295", "max_frames" },
		{ "max_frames=1073741825", "max_frames" },
		{ "max_frames=1000 pool_frames=100000", "max_frames" },
		{ "max_frames=1000 pool_frames=1025", "max_frames" },
		{ "default_min=4294967295", "default_min" },
		{ "max_frames=1000 default_min=513", "default_min" },
		{ "default_envs=0", "default_envs" },
		{ "default_deadline_ms=4294967295", "default_deadline_ms" },
		{ "default_deadline_ms=3600001", "default_deadline_ms" },
	};
	static const char *const good[] = {
		"max_frames=1", "max_frames=1000 pool_frames=1024 default_min=512",
		"default_deadline_ms=3600000 default_envs=1", "pool_frames=512",
	};
	unsigned int i;
	int kmsg;

	need();
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(kmsg, 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lseek(kmsg, 0, SEEK_END);
		ASSERT_EQ_FOR(load(bad[i].params), -EINVAL, "%s", bad[i].params);
		ASSERT_EQ_FOR(was_said(kmsg, bad[i].said), true, "%s", bad[i].params);
		ASSERT_NE(access("/sys/module/exo", F_OK), 0);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ASSERT_EQ_FOR(load(good[i]), 0, "%s", good[i]);
		ASSERT_EQ(unload(), 0);
	}
}

/* Catches: an unload that races with an open. */
static void opener(void *arg)
{
	for (;;) {
		int fd = open(t_device(), O_RDWR | O_CLOEXEC);

		if (fd >= 0) {
			uint32_t frame;

			t_alloc(fd, EXO_ALLOC_ANY, &frame, 1, NULL);
			close(fd);
		}
		usleep(500);
	}
}

static void openers_end(const pid_t pid[2])
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		test_join_killed(pid[i], SIGKILL);
	}
}

TEST_LONG(unload__against_open, 120)
{
	unsigned int i, k, tries;
	pid_t pid[2];

	need();
	for (i = 0; i < test_rounds(20, 2); i++) {
		for (k = 0; k < 2; k++)
			pid[k] = test_spawn(opener, NULL);
		ASSERT_EQ(load("pool_frames=512"), 0);
		test_sleep_ms(5);
		for (tries = 0; tries < 5000 && unload(); tries++)
			;
		openers_end(pid);
		/* On a slow and busy machine one was always open: not without them. */
		if (tries == 5000)
			for (tries = 0; tries < 20000 && unload(); tries++)
				test_sleep_ms(1);
		ASSERT_LT(tries, 20000);
	}
}

struct resuming {
	int fd;
	unsigned int delay;
	struct test_sync ready;
	volatile bool now;
};

static void *closer(void *arg)
{
	struct resuming *r = arg;
	volatile unsigned int i;

	while (!r->now)
		;
	for (i = 0; i < r->delay; i++)
		;
	close(r->fd);
	return NULL;
}

/* Ends in _exit(0), by way of EXO_MEM_RESUME, on an environment that is closed meanwhile. */
static void resumer(void *arg)
{
	struct resuming *r = arg;
	char stack[4096] __attribute__((aligned(16)));
	struct exo_resume_regs regs = { .ip = (uintptr_t)&_exit, .flags = 0x202 };
	struct exo_mem_resume resume = { .size = sizeof(resume), .regs = (uintptr_t)&regs };
	pthread_t thread;

	r->fd = t_open();
	regs.sp = (uintptr_t)stack + sizeof(stack) - 8;
	ASSERT_EQ(pthread_create(&thread, NULL, closer, r), 0);
	test_sync_post(&r->ready);
	r->now = true;
	/* If it comes back the environment was closed before it was looked for. */
	t_ioctl(r->fd, EXO_MEM_RESUME, &resume);
	_exit(1);
}

/* Catches: an unload while a thread is on its way back from EXO_MEM_RESUME. */
TEST_LONG(unload__against_resume, 120)
{
	unsigned int i, resumed = 0, n = test_rounds(30, 3);
	struct resuming r = { 0 };
	pid_t pid;

	need();
	for (i = 0; i < n; i++) {
		ASSERT_EQ(load("pool_frames=512"), 0);
		wait_device();
		r.delay = i * 3000 / n;
		test_sync_init(&r.ready);
		pid = test_spawn(resumer, &r);
		test_sync_wait(&r.ready);
		while (access("/sys/module/exo", F_OK) == 0 && unload())
			;
		resumed += !test_wait(pid);
	}
	test_note("%u of %u resumed", resumed, n);
}
