// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in a view without an upcall: SIGBUS, the monitor, the software TLB (INV-FAULT-1).
 */
#include <pthread.h>

#include "fault_setup.h"

/* ---- nobody ------------------------------------------------------------------------------------------------ */

/* Catches: a fault that loops, maps a zero page, or gives a wrong address (INV-FAULT-1). */
TEST(nobody__sigbus)
{
	setup(0, 0);
	catch_bus();
	if (!sigsetjmp(escape, 1)) {
		at(7)[3] = 1;
		FAIL("the store went through");
	}
	ASSERT_EQ(bus.si_signo, SIGBUS);
	ASSERT_EQ(bus.si_code, BUS_ADRERR);
	ASSERT_EQ((long)bus.si_addr, (long)&at(7)[3]);
	if (!sigsetjmp(escape, 1)) {
		(void)at(8)[1];
		FAIL("the load went through");
	}
	ASSERT_EQ((long)bus.si_addr, (long)&at(8)[1]);
}

/* ---- the monitor --------------------------------------------------------------------------------------------------- */

static void *toucher(void *arg)
{
	uint32_t page = (uint32_t)(uintptr_t)arg;

	return (void *)(uintptr_t)at(page)[0];
}

static volatile uint32_t monitor_thread;

static int monitor_fn(struct exo_fault *fault, void *ctx)
{
	monitor_thread = fault->thread;
	return bind_it(fault, ctx);
}

/* Catches: a thread that waits for ever, or goes on without its page. */
TEST(monitor__serves)
{
	pthread_t threads[16];
	unsigned int i;

	setup(EXO_VIEW_MONITOR, 0);
	ASSERT_EQ(exo_monitor_start(view, monitor_fn, NULL), 0);
	ASSERT_EQ(at(100)[0], 1100);
	ASSERT_EQ(last.page, 100);
	ASSERT_EQ(monitor_thread, gettid());
	at(100)[1] = 5;
	ASSERT_EQ(last.flags, EXO_FAULT_WRITE | EXO_FAULT_PROT);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, toucher, (void *)(uintptr_t)(i / 2)), 0);
	for (i = 0; i < 16; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		ASSERT_EQ((uintptr_t)ret, 1000 + i / 2);
	}
	ASSERT_EQ(exo_monitor_stop(view), 0);
}

/* Catches: a waiter that can't be killed (INV-FAULT-4). */
TEST(monitor__kill_waiter)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		pid_t pid = test_fork();
		uint64_t start;

		if (!pid) {
			setup(EXO_VIEW_MONITOR, 0);
			/* Nobody serves. */
			(void)at(1)[0];
			_exit(1);
		}
		test_sleep_ms(30 * test_slow());
		start = test_now_ns();
		kill(pid, SIGKILL);
		test_join_killed(pid, SIGKILL);
		ASSERT_EQ(test_overdue(start, 1000), false);
	}
}

static volatile int waiter_sig;

static void *waiter(void *arg)
{
	uint64_t value;

	waiter_sig = t_load(arg, &value);
	return NULL;
}

/* Catches: waiters that are left alone when their view's mapping goes (INV-FAULT-4). */
TEST(monitor__view_ends)
{
	struct view v;
	pthread_t thread;
	int fd = t_open();

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ASSERT_EQ(pthread_create(&thread, NULL, waiter, (void *)t_page(&v, 3)), 0);
	test_sleep_ms(100);
	ASSERT_EQ(waiter_sig, 0);
	ASSERT_EQ(munmap(v.base, v.length), 0);
	pthread_join(thread, NULL);
	ASSERT_EQ(waiter_sig, SIGSEGV);
}

/* Catches: a WAKE that doesn't, or one that wakes only others. */
TEST(monitor__wake)
{
	struct exo_ring *ring;
	struct exo_event event;
	uint64_t seen = 0;
	struct view v;
	pthread_t thread;
	int fd = t_open();

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ring = t_ring(fd);
	ASSERT_EQ(pthread_create(&thread, NULL, waiter, (void *)t_page(&v, 3)), 0);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_FAULT, 3000, &event));
	ASSERT_EQ(event.arg[0], v.id);
	ASSERT_EQ(event.arg[1], 3);
	ASSERT_EQ(event.arg[2], 0);
	/* Still not bound: it asks again. */
	ASSERT_EQ(t_wake(&v, 3, 1), 0);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_FAULT, 3000, &event));
	ASSERT_EQ(event.arg[1], 3);
	ASSERT_EQ(t_bind(&v, 3, 1, t_frame(fd), RO), 0);
	ASSERT_EQ(t_wake(&v, 0, 64), 0);
	pthread_join(thread, NULL);
	ASSERT_EQ(waiter_sig, 0);
}

/* Catches: a system call that waits for the monitor while it holds locks. */
TEST(monitor__syscall_is_efault)
{
	struct view v;
	int fd = t_open(), p[2];

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(write(p[1], v.base, 8), -1);
	ASSERT_EQ(errno, EFAULT);
}

/* Catches: an upcall that is passed over because there is a monitor (INV-FAULT-1). */
TEST(monitor__upcall_first)
{
	setup(EXO_VIEW_MONITOR, 0);
	ASSERT_EQ(exo_monitor_start(view, monitor_fn, NULL), 0);
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
	ASSERT_EQ(at(3)[0], 1003);
	ASSERT_EQ(monitor_thread, 0);
	ASSERT_EQ(exo_fault_unregister(env), 0);
	ASSERT_EQ(at(4)[0], 1004);
	ASSERT_EQ(monitor_thread, gettid());
	ASSERT_EQ(exo_monitor_stop(view), 0);
}

/* ---- the software TLB --------------------------------------------------------------------------------------------------- */

/* Catches: translations that are not used, or asked for twice (INV-FAULT-1). */
TEST(stlb__hit_and_miss)
{
	setup(0, 512);
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
	ASSERT_EQ(exo_view_stlb_load(view, 5, frames[9], 1), 0);
	ASSERT_EQ(at(5)[0], 1009);
	at(5)[1] = 1;
	ASSERT_EQ(calls, 0);
	ASSERT_EQ(exo_view_slot(view, 5), EXO_SLOT_BOUND | EXO_SLOT_WRITE | frames[9]);
	/* Direct mapped: page 517 stands in the same place and is not page 5. */
	ASSERT_EQ(at(5 + 512)[0], 1000 + (5 + 512) % N);
	ASSERT_EQ(calls, 1);
	/* Read only: the store is asked for. */
	ASSERT_EQ(exo_view_stlb_load(view, 6, frames[10], 0), 0);
	ASSERT_EQ(at(6)[0], 1010);
	ASSERT_EQ(calls, 1);
	at(6)[1] = 1;
	ASSERT_EQ(calls, 2);
	ASSERT_EQ(exo_view_stlb_clear(view, 7), 0);
	ASSERT_EQ(at(7)[0], 1007);
	ASSERT_EQ(calls, 3);
}

static volatile uint64_t *stlb_of(const struct view *v, uint32_t entries)
{
	void *mem = mmap(NULL, (entries * 8 + PAGE - 1) & ~(PAGE - 1), PROT_READ | PROT_WRITE, MAP_SHARED,
			 v->fd, (off_t)(EXO_MMAP_STLB + ((uint64_t)v->id << EXO_MMAP_VIEW_SHIFT)));

	ASSERT_NE((long)mem, (long)MAP_FAILED);
	return mem;
}

/* Catches: an entry that is a right (INV-FAULT-2). */
TEST(stlb__gives_no_right)
{
	int fd = t_open(), other = t_open(), i;
	volatile uint64_t *stlb;
	uint32_t mine = t_frame(fd), theirs = t_frame(other), readable = t_frame(other);
	uint64_t seed = test_seed(), value;
	struct exo_info info;
	struct exo_cap cap;
	struct view v;

	t_info(fd, &info);
	t_view(fd, 2048, 0, 512, &v);
	stlb = stlb_of(&v, 512);
	t_fill(other, theirs, 0x5ec2e7);
	stlb[0] = EXO_STLB_ENTRY(0, theirs, 0);
	ASSERT_EQ(t_load(t_page(&v, 0), &value), SIGBUS);
	stlb[0] = EXO_STLB_ENTRY(0, theirs, 1);
	ASSERT_EQ(t_store(t_page(&v, 0), 1), SIGBUS);
	/* Imported read only: no store. */
	ASSERT_EQ(t_cap(other, readable, RO, &cap), 0);
	ASSERT_EQ(t_import(fd, &cap, NULL, NULL), 0);
	stlb[1] = EXO_STLB_ENTRY(1, readable, 1);
	ASSERT_EQ(t_store(t_page(&v, 1), 1), SIGBUS);
	ASSERT_EQ(t_peek(other, readable), 0);
	stlb[1] = EXO_STLB_ENTRY(1, readable, 0);
	ASSERT_EQ(t_load(t_page(&v, 1), &value), 0);
	/* Stale: the frame was ours when the entry was written. */
	stlb[2] = EXO_STLB_ENTRY(2, mine, 1);
	ASSERT_EQ(t_free1(fd, mine), 0);
	ASSERT_EQ(t_load(t_page(&v, 2), &value), SIGBUS);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &mine, 1, NULL), 0);
	ASSERT_EQ(t_load(t_page(&v, 2), &value), SIGBUS);
	/* Revoked. */
	ASSERT_EQ(t_cap_revoke_own(other, readable), 0);
	ASSERT_EQ(t_load(t_page(&v, 1), &value), SIGBUS);
	/* Garbage. */
	for (i = 0; i < 2000; i++) {
		uint32_t page = (uint32_t)(test_random(&seed) % 2048);
		uint64_t entry = test_random(&seed);

		switch (i % 4) {
		case 1:
			entry = EXO_STLB_ENTRY(page, (uint32_t)entry, 1);
			break;
		case 2:
			entry = EXO_STLB_ENTRY(page, info.out_frames + (uint32_t)entry % 5, 1);
			break;
		case 3:
			entry |= EXO_STLB_VALID;
			break;
		}
		stlb[page % 512] = entry;
		ASSERT_EQ_FOR(t_load(t_page(&v, page), &value), SIGBUS, "entry %#llx",
			      (unsigned long long)entry);
	}
}

static volatile bool scribble_stop;
static uint32_t scribble_frame;	/* a stranger's */

static void *scribbler(void *arg)
{
	volatile uint64_t *stlb = arg;
	uint64_t seed = 12345;

	while (!scribble_stop) {
		uint32_t page = (uint32_t)(test_random(&seed) % 512);

		stlb[page] = page & 2 ? EXO_STLB_ENTRY(page, scribble_frame, 1)
				      : test_random(&seed) | EXO_STLB_VALID;
	}
	return NULL;
}

/*
 * Catches: an entry that is read twice, and changes between check and use. All 512 pages are unbound in
 * one call: each call interrupts the scribbler's CPU and waits for it, for milliseconds where that CPU
 * is virtual and its host busy.
 */
TEST(stlb__changes_under_it)
{
	int fd = t_open(), other = t_open();
	uint64_t start = test_now_ns();
	uint32_t mine = t_frame(fd), theirs = t_frame(other), i, hits = 0;
	uint32_t rounds = test_rounds(20000, 8), least = rounds / 8;
	volatile uint64_t *stlb;
	pthread_t thread;
	struct view v;

	t_fill(fd, mine, 1);
	t_fill(other, theirs, 0x5ec2e7);
	t_view(fd, 512, 0, 512, &v);
	stlb = stlb_of(&v, 512);
	scribble_frame = theirs;
	scribble_stop = false;
	ASSERT_EQ(pthread_create(&thread, NULL, scribbler, (void *)stlb), 0);
	for (i = 0; i < rounds && !(i >= least && test_late(start, 10000)); i++) {
		uint64_t value = 0;
		uint32_t page = i % 512;

		if (!page)
			ASSERT_EQ(t_unbind(&v, 0, 512), 0);
		stlb[page] = EXO_STLB_ENTRY(page, (i + i / 512) & 1 ? mine : theirs, 0);
		if (!t_load(t_page(&v, page), &value)) {
			hits++;
			ASSERT_EQ(value, 1);
		}
	}
	scribble_stop = true;
	pthread_join(thread, NULL);
	test_note("%u rounds, %u hits", i, hits);
	ASSERT_GE(i, least);
	ASSERT_GE(hits, i / 16);
}
