// SPDX-License-Identifier: GPL-2.0
/*
 * Raw disks under several at once: each pair of operations at the same time, and each operation with its program
 * killed in the middle. Afterwards the disk must be all right, and all must have been given back.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "xn_ops.h"

/* Pairs --------------------------------------------------------------------------------------------- */

struct runner {
	struct xo_actor actors[2];	/* in the common environment, and in an own one */
	uint32_t own;
	const struct xo_op *op;
	pthread_barrier_t *start, *end;
	uint32_t rounds;
	uint32_t *good;			/* of each operation: so many without an error */
};

static void *run(void *arg)
{
	struct runner *runner = arg;
	uint32_t i;
	int ret;

	for (;;) {
		pthread_barrier_wait(runner->start);
		if (!runner->op)
			return NULL;
		for (i = 0; i < runner->rounds; i++) {
			ret = runner->op->fn(&runner->actors[runner->own]);
			if (!xo_expected(ret))
				FAIL("%s: %s", runner->op->name, strerror(-ret));
			runner->good[runner->op - xo_ops] += !ret;
		}
		pthread_barrier_wait(runner->end);
	}
}

/* Catches: two operations that don't go together (INV-XN-1, INV-XN-3, INV-XN-16, INV-XN-18). */
TEST_LONG(race__pairs, 200)
{
	struct xo_arena arena;
	struct runner runners[2] = { 0 };
	pthread_barrier_t start, end;
	pthread_t threads[2];
	uint32_t i, j, k, pairs = 0, good = 0;
	int fd = t_open(), other = t_open();

	xo_begin(fd, &arena);
	pthread_barrier_init(&start, NULL, 3);
	pthread_barrier_init(&end, NULL, 3);
	for (k = 0; k < 2; k++) {
		xo_actor(&runners[k].actors[0], &arena, fd, k);
		xo_actor(&runners[k].actors[1], &arena, k ? other : fd, k);
		runners[k].start = &start;
		runners[k].end = &end;
		runners[k].rounds = test_core_rounds(5, 2);
		runners[k].good = calloc(xo_nr, sizeof(*runners[k].good));
		ASSERT_TRUE(runners[k].good);
		ASSERT_EQ(pthread_create(&threads[k], NULL, run, &runners[k]), 0);
	}
	for (i = 0; i < xo_nr; i++) {
		for (j = i; j < xo_nr; j++) {
			xo_stock(fd, &arena);
			runners[1].own = pairs++ % 2;
			runners[0].op = &xo_ops[i];
			runners[1].op = &xo_ops[j];
			pthread_barrier_wait(&start);
			pthread_barrier_wait(&end);
		}
		xo_settle(fd, &arena, xo_ops[i].name);
	}
	runners[0].op = runners[1].op = NULL;
	pthread_barrier_wait(&start);
	for (k = 0; k < 2; k++)
		pthread_join(threads[k], NULL);
	/* What is refused nearly always isn't tested. */
	for (i = 0; i < xo_nr; i++) {
		uint32_t tries = (xo_nr + 1) * runners[0].rounds, done = runners[0].good[i] + runners[1].good[i];

		ASSERT_EQ_FOR(done < tries / 16, 0, "%s: %u of %u without an error", xo_ops[i].name, done, tries);
		good += done;
	}
	test_note("%u pairs, %u operations, %u of them without an error", pairs, pairs * 2 * runners[0].rounds, good);
	ASSERT_GT(good, pairs * runners[0].rounds);
	for (k = 0; k < 2; k++)
		free(runners[k].good);
	ASSERT_EQ(xt_detach(fd, arena.disk, 0), 0);
}

/* Killed --------------------------------------------------------------------------------------------- */

struct victim {
	const struct xo_arena *arena;
	uint32_t op, id;
	uint32_t *done;
};

/* So that there are blocks for those who need some; then one operation, until it is killed. */
static void be_killed(void *arg)
{
	const struct victim *victim = arg;
	struct xo_actor actor;
	int ret;

	xo_actor(&actor, victim->arena, t_open(), victim->id);
	xo_ops[1].fn(&actor);
	for (;;) {
		ret = xo_ops[victim->op].fn(&actor);
		if (!xo_expected(ret))
			FAIL("%s: %s", xo_ops[victim->op].name, strerror(-ret));
		__atomic_add_fetch(victim->done, 1, __ATOMIC_RELAXED);
	}
}

/* Catches: a program that dies and keeps something, or leaves a disk half changed (INV-ENV-1, INV-XN-8). */
TEST_LONG(kill__each_operation, 200)
{
	uint64_t seed = test_seed();
	uint32_t round, rounds = test_core_rounds(6, 3), kills = 0;
	struct xo_arena arena;
	struct victim victim = { .arena = &arena, .done = test_shared(4096) };
	int fd = t_open();

	xo_begin(fd, &arena);
	for (victim.op = 0; victim.op < xo_nr; victim.op++) {
		for (round = 0; round < rounds; round++) {
			uint32_t i, wait = 0, others = 1 + round % 2;
			pid_t pids[2];

			for (i = 0; i < others; i++) {
				victim.id = 1 + i;
				*victim.done = 0;
				pids[i] = test_spawn(be_killed, &victim);
			}
			/* Once it has begun, at any moment. */
			while (!__atomic_load_n(victim.done, __ATOMIC_RELAXED) && wait++ < 50000)
				usleep(200);
			ASSERT_LT(wait, 50000);
			usleep((useconds_t)(test_random(&seed) % 8000));
			for (i = 0; i < others; i++, kills++)
				kill(pids[i], SIGKILL);
			for (i = 0; i < others; i++)
				test_join_killed(pids[i], SIGKILL);
		}
		xo_settle(fd, &arena, xo_ops[victim.op].name);
	}
	test_note("%u kills in %u operations", kills, xo_nr);
	ASSERT_EQ(xt_detach(fd, arena.disk, 0), 0);
}
