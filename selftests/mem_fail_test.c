// SPDX-License-Identifier: GPL-2.0
/*
 * What the module does when its own steps fail: the injection points of mem/fail.c, see failnth.h.
 */
#include "failnth.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 3;

static void own_write(const char *what, const char *file, long value)
{
	char path[128], text[24];
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/fail_exo_%s/%s", what, file);
	snprintf(text, sizeof(text), "%ld", value);
	ret = t_write_file(path, text);
	if (ret)
		FAIL("%s: %s", path, strerror(-ret));
}

/* The @nth time and those after it, @times in all. */
static void own_arm(const char *what, unsigned int nth, unsigned int times)
{
	own_write(what, "space", nth);
	own_write(what, "times", times);
	own_write(what, "probability", 100);
}

/* How many of them are left. */
static unsigned int own_disarm(const char *what)
{
	char path[128], text[24] = "";
	FILE *file;

	own_write(what, "probability", 0);
	snprintf(path, sizeof(path), "/sys/kernel/debug/fail_exo_%s/times", what);
	file = fopen(path, "re");
	ASSERT_TRUE(file && fgets(text, sizeof(text), file));
	fclose(file);
	return (unsigned int)atoi(text);
}

static struct exo_env_status now(void)
{
	struct exo_env_status st;

	t_status(fd, &st);
	return st;
}

static unsigned int sweep_grow(uint32_t flags, unsigned int times, unsigned int *failed)
{
	const struct exo_table *table = t_table(fd);
	unsigned int nth, left, hits = 0;
	uint64_t present, target;
	uint32_t done;
	int ret;

	*failed = 0;
	for (nth = 1;; nth++) {
		present = table->present;
		target = table->target;
		own_arm("grow", nth, times);
		ret = t_pool(fd, EXO_POOL_GROW | flags, 512, &done);
		left = own_disarm("grow");
		hits += times - left;
		ASSERT_EQ(table->present, present + done);
		ASSERT_EQ(table->target, target + done);
		if (ret) {
			ASSERT_LT(left, times);
			ASSERT_EQ(ret, -ENOMEM);
			ASSERT_EQ(done, 0);
			(*failed)++;
			ASSERT_EQ(t_pool(fd, EXO_POOL_GROW | flags, 512, &done), 0);
		}
		ASSERT_EQ(done, 512);
		ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK | flags, 512, &done), 0);
		ASSERT_EQ(done, 512);
		if (left == times)
			break;
	}
	test_note("pool grow, flags %u, %u at a time: %u injections, %u failed it", flags, times, hits, *failed);
	return hits;
}

/* Catches: a pool that is wrong when one of several ways to get memory fails, or all of them. */
TEST_LONG(own__grow, 240)
{
	unsigned int failed;

	setup();
	/* The first time there is a block to be made. */
	ASSERT_GE(sweep_grow(0, 1, &failed), 1);
	ASSERT_GE(sweep_grow(0, 1, &failed), 1);
	ASSERT_EQ(failed, 0);
	ASSERT_GE(sweep_grow(0, 2, &failed), 2);
	ASSERT_EQ(failed, 1);
	ASSERT_GE(sweep_grow(EXO_POOL_HUGE, 1, &failed), 1);
	/* What isn't there is made, by moving pages. */
	ASSERT_EQ(failed, 0);
	ASSERT_GE(sweep_grow(EXO_POOL_HUGE, 2, &failed), 2);
	ASSERT_EQ(failed, 1);
}

/* Catches: frames that are lost when they can't be fetched back from Linux. */
TEST_LONG(own__refill, 240)
{
	const struct exo_table *table;
	uint32_t *all, done, nr, n = 0;
	unsigned int i;
	uint64_t target;
	int ret = 0;

	setup();
	table = t_table(fd);
	target = table->target;
	all = calloc(target, sizeof(*all));
	/* The shrinker is asked for all that it has. */
	ASSERT_EQ(t_write_file("/proc/sys/vm/drop_caches", "2"), 0);
	ASSERT_LT(table->present, target);
	/* What owners were asked for is to be over, and then the time in which nothing is fetched back. */
	for (i = 0; i < 6000 && now().out_wanted; i++)
		test_sleep_ms(10);
	test_sleep_ms(1500);
	nr = (uint32_t)(table->free - table->free_huge * 512);
	own_arm("grow", 1, 100000);
	while (!ret && n + 64 <= target) {
		ret = t_alloc(fd, EXO_ALLOC_ANY, all + n, 64, &done);
		n += done;
	}
	ASSERT_LT(own_disarm("grow"), 100000);
	ASSERT_EQ(ret, -ENOSPC);
	ASSERT_LE(n, nr);
	ASSERT_LT(table->present, target);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, all + n, 64, &done), 0);
	n += done;
	test_note("%u of %llu frames were left", nr, (unsigned long long)target);
	for (; n; n -= done) {
		done = n < 64 ? n : 64;
		ASSERT_EQ(t_free(fd, all + n - done, done, NULL), 0);
	}
}

/* Catches: a worker that loses a frame which is pinned again and again. */
TEST_LONG(own__quarantine, 120)
{
	const struct exo_table *table;
	uint32_t got[16];
	uint64_t nr_free;
	unsigned int i;

	setup();
	table = t_table(fd);
	nr_free = table->free;
	t_alloc_any(fd, got, 16);
	own_arm("pin", 1, 16 + 80);
	ASSERT_EQ(t_free(fd, got, 16, NULL), 0);
	ASSERT_EQ(now().out_quarantined, 16);
	ASSERT_EQ(table->free, nr_free - 16);
	/* A frame is in quarantine no more, and then free. */
	for (i = 0; i < 10000 && (now().out_quarantined || table->free != nr_free); i++)
		test_sleep_ms(10);
	ASSERT_EQ(now().out_quarantined, 0);
	ASSERT_EQ(own_disarm("pin"), 0);
	ASSERT_EQ(table->free, nr_free);
}

/* Catches: a worker that doesn't come back when it could not take what was due. */
TEST_LONG(own__taker, 120)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = getuid(), .min = 0 };
	uint32_t old, asked;
	unsigned int i;

	setup();
	old = t_quota(fd, getuid()).min;
	t_quota_set(fd, &quota);
	own_arm("taker", 1, 5);
	ASSERT_EQ(t_revoke(other, now().out_env, 4, 20, &asked), 0);
	ASSERT_EQ(asked, 4);
	for (i = 0; i < 10000 && now().out_taken < 4; i++)
		test_sleep_ms(1);
	ASSERT_EQ(now().out_taken, 4);
	ASSERT_EQ(own_disarm("taker"), 0);
	quota.min = old;
	t_quota_set(fd, &quota);
}
