// SPDX-License-Identifier: GPL-2.0
/* Quotas: whom frames, environments and views are charged to, who may change limits, guaranteed minima. */
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 8192;

static void set(int fd, uint32_t uid, uint32_t which, uint32_t value)
{
	struct exo_quota quota = { .flags = which, .uid = uid, .frames = value, .min = value,
				   .envs = value, .views = value, .deadline_ms = value };

	t_quota_set(fd, &quota);
}

/* Catches: a quota per environment instead of per uid; charges that are lost (INV-ENV-5). */
TEST(quota__frames)
{
	int admin = t_open();
	struct exo_quota old;
	pid_t pid;

	t_need_root();
	old = t_quota(admin, ALICE);
	set(admin, ALICE, EXO_QUOTA_FRAMES, 100);
	pid = test_fork();
	if (!pid) {
		uint32_t frames[200], more[200], done;
		int a, b;

		t_become(ALICE);
		a = t_open();
		b = t_open();
		ASSERT_EQ(t_alloc(a, 0, frames, 60, &done), 0);
		/* As many as fit, or none: but done says it. */
		ASSERT_EQ(t_alloc(b, 0, more, 60, &done), -EDQUOT);
		ASSERT_LE(done, 40);
		if (done < 40)
			ASSERT_EQ(t_alloc(b, 0, more + done, 40 - done, NULL), 0);
		ASSERT_EQ(t_quota(a, ALICE).out_frames, 100);
		ASSERT_EQ(t_quota(a, ALICE).out_envs, 2);
		ASSERT_EQ(t_alloc(a, 0, frames + 60, 1, NULL), -EDQUOT);
		ASSERT_EQ(t_free(a, frames, 10, NULL), 0);
		ASSERT_EQ(t_alloc(b, 0, more + 40, 10, NULL), 0);
		ASSERT_EQ(t_alloc(b, 0, more + 50, 1, NULL), -EDQUOT);
		close(a);
		ASSERT_EQ(t_alloc(b, 0, more + 50, 50, NULL), 0);
		ASSERT_EQ(t_quota(b, ALICE).out_frames, 100);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(t_quota(admin, ALICE).out_frames, 0);
	set(admin, ALICE, EXO_QUOTA_FRAMES, old.frames);
}

/* Catches: limits that are kept but not asked. */
TEST(quota__envs_and_views)
{
	int admin = t_open();
	struct exo_quota old;
	pid_t pid;

	t_need_root();
	old = t_quota(admin, ALICE);
	set(admin, ALICE, EXO_QUOTA_ENVS, 3);
	set(admin, ALICE, EXO_QUOTA_VIEWS, 2);
	pid = test_fork();
	if (!pid) {
		struct view view[3];
		int fd[4], i;

		t_become(ALICE);
		for (i = 0; i < 3; i++)
			fd[i] = t_open();
		fd[3] = open(t_device(), O_RDWR);
		ASSERT_EQ(fd[3], -1);
		ASSERT_EQ(errno, EDQUOT);
		close(fd[0]);
		fd[0] = t_open();
		ASSERT_EQ(t_view_create(fd[0], 16, 0, 0, &view[0]), 0);
		ASSERT_EQ(t_view_create(fd[1], 16, 0, 0, &view[1]), 0);
		ASSERT_EQ(t_view_create(fd[2], 16, 0, 0, &view[2]), -EDQUOT);
		ASSERT_EQ(t_view_destroy(&view[0]), 0);
		ASSERT_EQ(t_view_create(fd[2], 16, 0, 0, &view[2]), 0);
		_exit(0);
	}
	test_join(pid);
	set(admin, ALICE, EXO_QUOTA_ENVS, old.envs);
	set(admin, ALICE, EXO_QUOTA_VIEWS, old.views);
}

/* Catches: quotas that anyone reads or writes. */
TEST(quota__who_may)
{
	struct exo_quota quota = { .size = sizeof(quota), .uid = BOB };
	int fd;

	t_need_root();
	t_become(ALICE);
	fd = t_open();
	ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_GET, &quota), -EPERM);
	quota.uid = ALICE;
	ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_GET, &quota), 0);
	quota.flags = EXO_QUOTA_FRAMES;
	ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_SET, &quota), -EPERM);
}

/* A user namespace with uids 0 = alice and 1 = 100001; the caller is alice and becomes uid. */
static void enter_namespace(uid_t uid, struct test_sync *made, struct test_sync *mapped)
{
	ASSERT_EQ(unshare(CLONE_NEWUSER), 0);
	test_sync_post(made);
	test_sync_wait(mapped);
	ASSERT_EQ(setresuid(uid, uid, uid), 0);
}

static void write_map(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	ASSERT_EQ(t_write_file(path, "0 1000 1\n1 100001 1\n"), 0);
}

/* Catches: a quota multiplied by sub-uids and namespaces (INV-ENV-5). */
TEST(quota__user_namespace)
{
	int admin = t_open(), i;
	struct exo_quota old;
	struct test_sync made[2], mapped[2], done, go;
	pid_t pid[2];

	t_need_root();
	old = t_quota(admin, ALICE);
	set(admin, ALICE, EXO_QUOTA_FRAMES, 100);
	test_sync_init(&done);
	test_sync_init(&go);
	for (i = 0; i < 2; i++) {
		test_sync_init(&made[i]);
		test_sync_init(&mapped[i]);
		pid[i] = test_fork();
		if (!pid[i]) {
			uint32_t frames[200];
			int fd;

			t_become(ALICE);
			enter_namespace((uid_t)i, &made[i], &mapped[i]);
			fd = t_open();
			ASSERT_EQ(t_alloc(fd, 0, frames, 50, NULL), 0);
			test_sync_post(&done);
			test_sync_wait(&go);
			ASSERT_EQ(t_alloc(fd, 0, frames, 1, NULL), -EDQUOT);
			test_sync_post(&done);
			pause();
		}
		test_sync_wait(&made[i]);
		write_map(pid[i]);
		test_sync_post(&mapped[i]);
	}
	test_sync_wait(&done);
	test_sync_wait(&done);
	ASSERT_EQ(t_quota(admin, ALICE).out_frames, 100);
	ASSERT_EQ(t_quota(admin, 100001).out_frames, 0);
	for (i = 0; i < 2; i++) {
		test_sync_post(&go);
		test_sync_wait(&done);
	}
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		test_join_killed(pid[i], SIGKILL);
	}
	ASSERT_EQ(t_quota(admin, ALICE).out_frames, 0);
	set(admin, ALICE, EXO_QUOTA_FRAMES, old.frames);
}

/* Catches: admin rights of a namespace's root taken for the machine's. */
TEST(quota__namespace_root_is_no_admin)
{
	struct exo_quota quota = { .size = sizeof(quota), .flags = EXO_QUOTA_FRAMES, .frames = 1 };
	struct test_sync made, mapped;
	uint32_t done;
	pid_t pid;
	int fd;

	t_need_root();
	test_sync_init(&made);
	test_sync_init(&mapped);
	pid = test_fork();
	if (!pid) {
		t_become(ALICE);
		enter_namespace(0, &made, &mapped);
		fd = t_open();
		ASSERT_EQ(t_ioctl(fd, EXO_QUOTA_SET, &quota), -EPERM);
		ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 512, &done), -EPERM);
		ASSERT_EQ(t_revoke(fd, 0, 1, 1, NULL), -EPERM);
		_exit(0);
	}
	test_sync_wait(&made);
	write_map(pid);
	test_sync_post(&mapped);
	test_join(pid);
}

/* Catches: guarantees that the pool can't keep (INV-ENV-6). */
TEST(quota__minimum_is_reserved)
{
	int admin = t_open();
	const struct exo_table *table = t_table(admin);
	uint32_t half = (uint32_t)(table->present / 2);
	struct exo_quota old;
	pid_t pid;

	t_need_root();
	old = t_quota(admin, ALICE);
	/* More than half of the pool can't be promised, to one or to all together. */
	set(admin, ALICE, EXO_QUOTA_MIN, half - 100);
	set(admin, BOB, EXO_QUOTA_MIN, half - 100);
	pid = test_fork();
	if (!pid) {
		struct test_sync held, end;
		pid_t bob;

		test_sync_init(&held);
		test_sync_init(&end);
		bob = test_fork();
		if (!bob) {
			t_become(BOB);
			test_sync_wait(&held);
			ASSERT_EQ(open(t_device(), O_RDWR), -1);
			ASSERT_EQ(errno, EDQUOT);
			test_sync_post(&end);
			test_sync_wait(&held);
			/* Alice is gone. */
			ASSERT_GE(open(t_device(), O_RDWR), 0);
			_exit(0);
		}
		{
			pid_t alice = test_fork();

			if (!alice) {
				t_become(ALICE);
				t_open();
				t_open();
				test_sync_post(&held);
				test_sync_wait(&end);
				_exit(0);
			}
			test_join(alice);
		}
		test_sync_post(&held);
		test_join(bob);
		_exit(0);
	}
	test_join(pid);
	set(admin, ALICE, EXO_QUOTA_MIN, old.min);
	set(admin, BOB, EXO_QUOTA_MIN, old.min);
}
