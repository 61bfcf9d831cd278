// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading the module a hundred times, with traffic between (INV-ENV-3). It needs the module
 * as a file, unloaded: $EXO_MODULE, or /root/exo.ko in the test machine.
 */
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

static uint64_t mem_kib(const char *field)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long value = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ": %llu", &value);
	if (file)
		fclose(file);
	return value;
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
	uint64_t before = 0, after, slack = 16 << 10;

	need();
	/* KASAN keeps up to a 32nd of memory, freed but not yet reusable. */
	if (test_slow() > 1)
		slack += mem_kib("MemTotal") / 32;
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
			before = mem_kib("MemFree") + mem_kib("Cached");
	}
	test_sleep_ms(200);
	after = mem_kib("MemFree") + mem_kib("Cached");
	test_note("free memory: %lld KiB less after %u rounds", (long long)(before - after), n - n / 5);
	/* 8 MiB of frames a round would show. */
	ASSERT_LT((long long)before - (long long)after, (long long)slack);
}

/* Catches: parameters that take the machine down instead of being refused. */
TEST_LONG(load__bad_parameters, 60)
{
	static const char *const bad[] = {
		"pool_frames=4294967295", "max_frames=4294967295", "max_frames=1", "pool_frames=-1",
		"max_frames=1000 pool_frames=100000", "default_min=4294967295", "default_envs=0",
		"default_deadline_ms=4294967295",
	};
	unsigned int i;

	need();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int ret = load(bad[i]);

		test_note("%s: %s", bad[i], ret ? strerror(-ret) : "accepted");
		if (!ret)
			ASSERT_EQ(unload(), 0);
		ASSERT_NE(access("/sys/module/exo", F_OK), 0);
	}
	ASSERT_EQ(load("pool_frames=512"), 0);
	ASSERT_EQ(unload(), 0);
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

TEST_LONG(unload__against_open, 120)
{
	unsigned int i, tries;
	pid_t pid[2];

	need();
	for (i = 0; i < 2; i++)
		pid[i] = test_spawn(opener, NULL);
	for (i = 0; i < test_rounds(20, 2); i++) {
		ASSERT_EQ(load("pool_frames=512"), 0);
		test_sleep_ms(5);
		for (tries = 0; tries < 20000; tries++)
			if (!unload())
				break;
		ASSERT_LT(tries, 20000);
	}
	for (i = 0; i < 2; i++)
		kill(pid[i], SIGKILL);
}
