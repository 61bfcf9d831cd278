// SPDX-License-Identifier: GPL-2.0
/* Grafts that are killed or unloaded while they run, or while others look at them. */
#include <pthread.h>
#include <sched.h>

#include "graft_lib.h"

struct runner {
	int fd;
	struct exo_graft_invoke run;
	int ret;
};

static void *runner(void *arg)
{
	struct runner *r = arg;

	r->ret = t_run(r->fd, &r->run);
	return NULL;
}

/* Catches: a graft that goes on after it was killed, or a killer that waits for ever. */
TEST(kill__running)
{
	/* 60000 rounds, and then again */
	static const struct bpf_insn busy[] = {
		MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 100000, -2), EXIT,
	};
	int fd = t_open();

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], busy);
		struct runner r = { .fd = fd, .run = { .graft = t_graft(fd, &load), .repeat = ~0U } };
		struct exo_graft_info info;
		pthread_t thread;

		ASSERT_EQ(pthread_create(&thread, NULL, runner, &r), 0);
		test_sleep_ms(200);
		ASSERT_EQ(t_kill_graft(fd, r.run.graft), 0);
		pthread_join(thread, NULL);
		ASSERT_EQ(r.ret == -EACCES || (!r.ret && r.run.out_status == EXO_GRAFT_ABORT_KILLED), 1);
		ASSERT_EQ(t_graft_info(fd, r.run.graft, &info), 0);
		ASSERT_EQ(info.out_flags & EXO_GRAFT_IS_KILLED, EXO_GRAFT_IS_KILLED);
		ASSERT_EQ(t_run(fd, &r.run), -EACCES);
		ASSERT_EQ(t_unload(fd, r.run.graft), 0);
	}
}

static volatile bool hogging;

static void *hog(void *arg)
{
	while (hogging)
		;
	return NULL;
}

/* Catches: a kill that returns while a run, which had let others have the processor, is still to be undone. */
TEST_LONG(kill__paused, 120)
{
	/* Logs state[0], sets it to 7, and then goes on and on. */
	static const struct bpf_insn logs[] = {
		STATE(6, 0), MOV(1, 6), CALL(EXO_HELPER_LOG), STI(BPF_DW, 6, 0, 7), MOVI(0, 0), ADDI(0, 1),
		JI(BPF_JNE, 0, 0, -2), EXIT,
	};
	unsigned int i, k, undone = 0;
	pthread_t hogs[4], thread;
	int fd = t_open();

	hogging = true;
	for (i = 0; i < LEN(hogs); i++)
		ASSERT_EQ(pthread_create(&hogs[i], NULL, hog, NULL), 0);
	FOR_ALL_MODES(m) {
		for (i = 0; i < test_rounds(30, 6); i++) {
			struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], logs);
			struct runner r = { .fd = fd, .run = { .repeat = ~0U } };
			volatile uint64_t *state;

			load.state_pages = 1;
			r.run.graft = t_graft(fd, &load);
			state = t_state(fd, &load);
			ASSERT_EQ(pthread_create(&thread, NULL, runner, &r), 0);
			for (k = 0; k < 2000 && state[0] != 7 && !r.run.out_status; k++)
				sched_yield();
			undone += state[0] == 7;
			ASSERT_EQ(t_kill_graft(fd, r.run.graft), 0);
			ASSERT_EQ_FOR(state[0], 0, "mode %u", all_modes[m]);
			pthread_join(thread, NULL);
			munmap((void *)state, PAGE);
			ASSERT_EQ(t_unload(fd, r.run.graft), 0);
		}
	}
	hogging = false;
	for (i = 0; i < LEN(hogs); i++)
		pthread_join(hogs[i], NULL);
	test_note("%u runs had begun", undone);
	ASSERT_GT(undone, 0);
}

static volatile uint32_t racing;	/* the graft that all of them use */
static volatile bool stop;

static void *racer(void *arg)
{
	int fd = *(int *)arg;
	struct exo_graft_info rows[4];

	while (!stop) {
		struct exo_graft_invoke run = { .graft = racing, .repeat = 50 };
		struct exo_graft_list list = {
			.size = sizeof(list), .count = 4, .rows = (uintptr_t)rows,
		};
		int ret = t_run(fd, &run);

		if (ret && ret != -ENOENT && ret != -EACCES)
			FAIL("run: %s", strerror(-ret));
		if (!ret && run.out_status && run.out_status != EXO_GRAFT_ABORT_KILLED)
			FAIL("status %u", run.out_status);
		ASSERT_EQ(t_ioctl(fd, EXO_GRAFT_LIST, &list), 0);
		ret = t_graft_info(fd, racing, rows);
		ASSERT_EQ(!ret || ret == -ENOENT, 1);
	}
	return NULL;
}

/* Catches: a graft that is freed under somebody who runs it, looks at it or kills it. */
TEST_LONG(race__unload_kill_run, 120)
{
	static const struct bpf_insn busy[] = {
		MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 1000, -2), EXIT,
	};
	pthread_t threads[3];
	unsigned int i, rounds, total = 0;
	int fd = t_open();
	uint64_t start;

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], busy);

		stop = false;
		racing = t_graft(fd, &load);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(pthread_create(&threads[i], NULL, racer, &fd), 0);
		start = test_now_ns();
		rounds = 0;
		do {
			uint32_t old = racing;

			racing = t_graft(fd, &load);
			if (rounds++ % 3 == 0)
				ASSERT_EQ(t_kill_graft(fd, old), 0);
			ASSERT_EQ(t_unload(fd, old), 0);
		} while (rounds < test_rounds(1000, 10) && !test_late(start, 2000));
		total += rounds;
		stop = true;
		for (i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		ASSERT_EQ(t_unload(fd, racing), 0);
	}
	test_note("%u grafts", total);
	t_no_grafts(fd);
}
