// SPDX-License-Identifier: GPL-2.0
/* The buffer registry's locks: they exclude others, and go with who has them; each wait ends. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "xn_registry_setup.h"

static void hold_and_die(void *arg)
{
	struct test_sync *sync = arg;
	struct exo_xn_entry e;
	int fd = t_open();

	read_unit(fd);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 6, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 8, EXO_XN_SHARED), 0);
	test_sync_post(sync);
	for (;;)
		pause();
}

struct waiter {
	int fd;
	uint32_t number;
	uint32_t mode;
	atomic_int begun;
	atomic_int ret;
};

static void *wait_for_lock(void *arg)
{
	struct waiter *w = arg;

	w->begun = 1;
	w->ret = lock(w->fd, w->number, 2, w->mode, 0);
	return NULL;
}

static pthread_t begin_wait(struct waiter *w)
{
	pthread_t thread;

	w->ret = 1;
	ASSERT_EQ(pthread_create(&thread, NULL, wait_for_lock, w), 0);
	while (!w->begun)
		test_sleep_ms(1);
	test_sleep_ms(50);
	ASSERT_EQ(w->ret, 1);
	return thread;
}

/* Catches: locks that don't exclude, or outlive who has them; a waiter whom nobody wakes (INV-XN-21). */
TEST(lock__dies_with_its_holder)
{
	int fd = setup(0, 4);
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e;
	struct test_sync sync;
	struct waiter w = { .fd = fd, .mode = EXO_XN_EXCLUSIVE };
	pthread_t thread;
	pid_t pid;

	test_sync_init(&sync);
	read_unit(fd);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT | EXO_XN_ENTRY_FRAME, &e), -EINVAL);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	w.number = e.out_entry;
	pid = test_spawn(hold_and_die, &sync);
	test_sync_wait(&sync);
	ASSERT_EQ(row_of(t, parent)->slots, 14);
	ASSERT_EQ(try_lock(fd, e.out_entry, 2, EXO_XN_SHARED), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 3, EXO_XN_SHARED), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 9, EXO_XN_SHARED), 0);
	/* It would wait for ever if two did so. */
	ASSERT_EQ(lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE, 0), -EBUSY);
	thread = begin_wait(&w);
	kill(pid, SIGKILL);
	test_wait(pid);
	pthread_join(thread, NULL);
	ASSERT_EQ(w.ret, 0);
	ASSERT_EQ(lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE, 0), 0);
	ASSERT_EQ(row_of(t, parent)->slots, 11);
	ASSERT_EQ(try_lock(fd, e.out_entry, 0xffff, EXO_XN_UNLOCK), 0);
	ASSERT_EQ(row_of(t, parent)->slots, 0);
	end(fd);
}

static void nothing(int sig)
{
}

/* Catches: a wait that nothing ends: a signal, the number's end, the block's, the disk's. */
TEST(lock__wait_ends)
{
	int fd = setup(0, 4), i;
	struct exo_xn_entry mine, other;
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < 4; i++) {
		struct waiter w = { .fd = fd, .mode = EXO_XN_SHARED };
		pthread_t thread;

		ASSERT_EQ(entry(fd, block, RW, 0, &mine), 0);
		ASSERT_EQ(entry(fd, block, RW, 0, &other), 0);
		ASSERT_EQ(try_lock(fd, mine.out_entry, 2, EXO_XN_EXCLUSIVE), 0);
		w.number = other.out_entry;
		thread = begin_wait(&w);
		switch (i) {
		case 0:
			/* One that comes before the call ends no wait. */
			while (w.ret == 1) {
				pthread_kill(thread, SIGUSR1);
				test_sleep_ms(10);
			}
			break;
		case 1:
			ASSERT_EQ(xt_unbind(fd, other.out_entry), 0);
			break;
		case 2:
			ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, 0), 0);
			ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block + 4, 4,
					  EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
			block += 4;
			break;
		case 3:
			end(fd);
			break;
		}
		pthread_join(thread, NULL);
		ASSERT_EQ_FOR(w.ret, i == 0 ? -EINTR : i == 1 ? -ENOENT : -ESTALE, "case %d", i);
		xt_unbind(fd, mine.out_entry);
		xt_unbind(fd, other.out_entry);
	}
}
