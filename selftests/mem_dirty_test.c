// SPDX-License-Identifier: GPL-2.0
/*
 * Lost dirty bits (INV-VIEW-6): a writer on CPU 1 stores all the time, CPU 0 asks what is dirty. A store
 * between two answers must be in the second one.
 *
 * Some thousand rounds a path; EXO_TEST_ROUNDS=100000 for the measure M10.
 */
#include "stale_setup.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 4;

static bool writer_stop;

/* Until the other CPU has stored something, or is not running. */
static void let_it_write(uint64_t was)
{
	unsigned int spin;

	for (spin = 0; spin < 2000 && *t_page(&view, pages[0]) == was; spin++)
		__builtin_ia32_pause();
}

static void *writer(void *arg)
{
	volatile uint64_t *word = t_page(&view, pages[0]);

	pin_to(1);
	while (!__atomic_load_n(&writer_stop, __ATOMIC_ACQUIRE))
		++*word;
	return NULL;
}

/*
 * A store after HARVEST has cleared the bit, and before the next HARVEST begins, must be in the next
 * one's answer. Catches: a cleared dirty bit that a TLB still has, so that stores are lost
 * (INV-VIEW-6).
 */
static void harvest_while_it_writes(uint32_t first, uint32_t count, unsigned int rounds, const char *what)
{
	uint64_t after = 0, before, lost = 0, counted = 0, start = test_now_ns();
	static uint8_t bits[512];
	unsigned int i;
	pthread_t thread;

	pin_to(0);
	writer_stop = false;
	ASSERT_EQ(pthread_create(&thread, NULL, writer, NULL), 0);
	for (i = 0; i < rounds && !(i && test_late(start, budget_ms)); i++) {
		before = *t_page(&view, pages[0]);
		ASSERT_EQ(t_harvest(&view, first, count, EXO_HARVEST_CLEAR_DIRTY, bits, NULL, NULL), 0);
		if (i && before != after) {
			counted++;
			lost += !(bits[pages[0] - first] & EXO_OP_DIRTY);
		}
		after = *t_page(&view, pages[0]);
		let_it_write(after);
	}
	writer_stop = true;
	pthread_join(thread, NULL);
	test_note("%s: %u rounds, %llu with stores, %llu lost", what, i, (unsigned long long)counted,
		  (unsigned long long)lost);
	ASSERT_GT(counted, 0);
	ASSERT_EQ(lost, 0);
}

TEST_LONG(dirty__no_store_is_lost, 600)
{
	setup(1, 77, 1, 0, 0);
	harvest_while_it_writes(77, 1, test_rounds(ROUNDS * 2, 10), "a page");
}

/* The same with one entry of 2 MiB. */
TEST_LONG(dirty__huge, 600)
{
	setup_huge();
	harvest_while_it_writes(512, 512, test_rounds(ROUNDS, 10), "2 MiB");
}

/*
 * Stores up to the unbind: what the frame holds more than at the last report must be reported by the
 * UNBIND. The writer runs into SIGBUS and waits there until the page is back.
 */
static void *stubborn_writer(void *arg)
{
	volatile uint64_t *word = t_page(&view, pages[0]);
	uint64_t n = 1;

	pin_to(1);
	while (!__atomic_load_n(&writer_stop, __ATOMIC_ACQUIRE))
		if (!t_store(word, n))
			n++;
	return NULL;
}

TEST_LONG(dirty__reported_by_unbind, 600)
{
	unsigned int rounds = test_rounds(ROUNDS, 10), i;
	uint64_t last, now, lost = 0, counted = 0, start = test_now_ns();
	volatile uint64_t *window;
	pthread_t thread;

	setup(1, 77, 1, 0, 0);
	pin_to(0);
	window = t_window(fd, frames[0][0], 1, PROT_READ);
	ASSERT_TRUE(window);
	writer_stop = false;
	ASSERT_EQ(t_unbind(&view, pages[0], 1), 0);
	last = *window;
	ASSERT_EQ(pthread_create(&thread, NULL, stubborn_writer, NULL), 0);
	for (i = 0; i < rounds && (i < 50 || !test_late(start, budget_ms)); i++) {
		struct exo_mem_op op = { pages[0], 1, frames[0][0], RW, 0 };
		unsigned int spin;

		ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, &op, 1, 0, NULL), 0);
		for (spin = 0; spin < 3000 && *window == last; spin++)
			__builtin_ia32_pause();
		op = (struct exo_mem_op){ pages[0], 1, 0, 0, 0 };
		ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, &op, 1, EXO_BATCH_REPORT, NULL), 0);
		now = *window;
		/* Dirty without a store is no harm: a fault on a store may come just before the unbind. */
		if (now != last) {
			counted++;
			lost += !(op.flags & EXO_OP_DIRTY);
		}
		last = now;
	}
	writer_stop = true;
	pthread_join(thread, NULL);
	test_note("unbind: %u rounds, %llu with stores, %llu not reported", i,
		  (unsigned long long)counted, (unsigned long long)lost);
	ASSERT_GT(counted, 0);
	ASSERT_EQ(lost, 0);
}
