// SPDX-License-Identifier: GPL-2.0
/*
 * Stale translations (INV-VIEW-5, INV-FRAME-5): nothing reports them but a second CPU that looks. A reader
 * on CPU 1 has a page's translation in its TLB; CPU 0 changes what is bound there; once the call has
 * returned the reader must see the new frame. Each path through the flushing code has its own test; every
 * round counts each page read after it. Lost dirty bits are in mem_dirty_test.
 *
 * Some thousand rounds a path; EXO_TEST_ROUNDS=100000 for the measure M10.
 */
#include "stale_setup.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 4;

#define POISON 0xdeadULL

/* The reader's side. Each word has a cache line of its own. */
static struct {
	uint64_t go __attribute__((aligned(64)));	/* round that the reader may check */
	uint64_t ack __attribute__((aligned(64)));	/* round that it has checked */
	uint64_t checked, stale;
	uint64_t worst;
	bool stop;
	bool store;		/* store instead of load: it must fault */
} shared;

static void wait_for(const uint64_t *what, uint64_t value)
{
	unsigned int spins = 0;

	while (__atomic_load_n(what, __ATOMIC_ACQUIRE) < value)
		if (++spins > 2000)
			sched_yield();
		else
			__builtin_ia32_pause();
}

static void check_pages(uint64_t round)
{
	unsigned int set = round & 1;
	uint32_t i;

	for (i = 0; i < nr_pages; i++) {
		uint64_t seen;

		if (shared.store) {
			seen = t_store(t_page(&view, pages[i]) + 1, round);
			shared.stale += seen != SIGBUS;
		} else {
			seen = *t_page(&view, pages[i]);
			if (seen != VALUE(set, i)) {
				shared.stale++;
				shared.worst = seen;
			}
		}
		shared.checked++;
	}
}

static void *reader(void *arg)
{
	uint64_t round = 0;

	pin_to(1);
	for (;;) {
		wait_for(&shared.go, round + 1);
		if (shared.stop)
			return NULL;
		round++;
		check_pages(round);
		__atomic_store_n(&shared.ack, round, __ATOMIC_RELEASE);
	}
}

/*
 * One path: change(set) makes every page show the frames of this set (before, they showed the other).
 * Returns how often a page was stale.
 */
static uint64_t run(unsigned int rounds, void (*change)(unsigned int set), const char *what)
{
	uint64_t round, start = test_now_ns();
	pthread_t thread;

	pin_to(0);
	memset(&shared, 0, sizeof(shared));
	ASSERT_EQ(pthread_create(&thread, NULL, reader, NULL), 0);
	for (round = 1; round <= rounds; round++) {
		/* A busy machine does fewer. */
		if (round > 50 && test_late(start, budget_ms))
			rounds = (unsigned int)round;
		change(round & 1);
		__atomic_store_n(&shared.go, round, __ATOMIC_RELEASE);
		wait_for(&shared.ack, round);
	}
	shared.stop = true;
	__atomic_store_n(&shared.go, ~0ULL, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	test_note("%s: %u rounds, %llu reads, %llu stale", what, rounds,
		  (unsigned long long)shared.checked, (unsigned long long)shared.stale);
	ASSERT_EQ(shared.checked, (uint64_t)rounds * nr_pages);
	return shared.stale;
}

static void batch(unsigned int cmd, unsigned int set, uint32_t rights)
{
	struct exo_mem_op ops[MAX];
	uint32_t i;

	for (i = 0; i < nr_pages; i++) {
		ops[i].page = pages[i];
		ops[i].count = 1;
		ops[i].frame = cmd == EXO_MEM_UNBIND || cmd == EXO_MEM_PROTECT ? 0 : frames[set][i];
		ops[i].rights = (uint16_t)rights;
		ops[i].flags = 0;
	}
	ASSERT_EQ(t_batch(&view, cmd, ops, nr_pages, 0, NULL), 0);
}

static void unbind_bind(unsigned int set)
{
	batch(EXO_MEM_UNBIND, set, 0);
	batch(EXO_MEM_BIND, set, RW);
}

/* The run as one operation, where a batch would have one a page. */
static void unbind_bind_run(unsigned int set)
{
	ASSERT_EQ(t_unbind(&view, pages[0], pages[nr_pages - 1] - pages[0] + 1), 0);
	batch(EXO_MEM_BIND, set, RW);
}

static void rebind(unsigned int set)
{
	batch(EXO_MEM_REBIND, set, RW);
}

static void rebind_flush(unsigned int set)
{
	batch(EXO_MEM_REBIND, set, RW);
	ASSERT_EQ(t_flush(&view), 0);
}

static void path(void (*change)(unsigned int set), const char *what)
{
	ASSERT_EQ(run(test_rounds(ROUNDS, 10), change, what), 0);
}

/* Many shootdowns a round. */
static void slow_path(void (*change)(unsigned int set), const char *what)
{
	ASSERT_EQ(run(test_rounds(ROUNDS / 5, 5), change, what), 0);
}

/* ---- the control -------------------------------------------------------------------------------------------- */

/* Without a flush stale reads must be seen, or all of these tests say nothing. */
TEST_LONG(control__lazy_without_flush, 600)
{
	uint64_t stale;

	setup(16, 0, 3, EXO_VIEW_LAZY, 0);
	stale = run(test_rounds(ROUNDS, 10), rebind, "lazy view, no flush");
	ASSERT_GT(stale, 0);
	/* Only frames of its own, though. */
	ASSERT_TRUE(shared.worst >> 32 == 1 || shared.worst >> 32 == 2);
}

/* ---- unbind, rebind ------------------------------------------------------------------------------------------ */

TEST_LONG(unbind__one_page, 600)
{
	setup(1, 700, 1, 0, 0);
	path(unbind_bind, "one page, direct zap");
}

TEST_LONG(unbind__few_pages, 600)
{
	setup(8, 100, 1, 0, 0);
	path(unbind_bind, "8 pages");
}

TEST_LONG(unbind__run, 600)
{
	setup(64, 480, 1, 0, 0);
	path(unbind_bind_run, "64 pages in a run over two tables, sentinels");
}

TEST_LONG(unbind__scattered, 600)
{
	setup(64, 5, 397, 0, 0);
	path(unbind_bind, "64 scattered pages, sentinels");
}

TEST_LONG(rebind__one_page, 600)
{
	setup(1, 3, 1, 0, 0);
	path(rebind, "rebind of one page");
}

TEST_LONG(rebind__scattered, 600)
{
	setup(64, 5, 397, 0, 0);
	path(rebind, "rebind of 64 scattered pages");
}

/* Sentinels that fall too close together flush one page, and nothing reports it. */
TEST_LONG(place__unaligned, 600)
{
	static const size_t at[] = { 1, 33, 255, 256, 257, 480, 511 };
	unsigned int i, rounds = test_rounds(ROUNDS, 10) / 7 + 1;

	budget_ms = 700;
	for (i = 0; i < 7; i++) {
		setup(40, 11, 61, 0, at[i] * PAGE);
		ASSERT_EQ(run(rounds, unbind_bind, "view that starts in a table"), 0);
		t_view_end(&view);
		close(fd);
	}
}

/* A view whose length is no multiple of anything. */
TEST_LONG(place__odd_lengths, 600)
{
	static const uint32_t lens[] = { 1, 2, 33, 34, 100, 511, 512, 513, 700 };
	unsigned int i, k, rounds = test_rounds(ROUNDS, 10) / 9 + 1;

	budget_ms = 500;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("needs two CPUs");
	for (i = 0; i < 9; i++) {
		fd = t_open();
		nr_pages = lens[i] < MAX ? lens[i] : MAX;
		for (k = 0; k < nr_pages; k++)
			pages[k] = lens[i] - 1 - k;
		ASSERT_EQ(t_view_create(fd, lens[i], 0, 0, &view), 0);
		ASSERT_EQ(t_view_map(&view, NULL, (i % 3) * 200 * PAGE), 0);
		fill_sets();
		batch(EXO_MEM_BIND, 0, RW);
		ASSERT_EQ(run(rounds, rebind, "view of an odd length"), 0);
		t_view_end(&view);
		close(fd);
	}
}

TEST_LONG(lazy__flush, 600)
{
	setup(16, 0, 3, EXO_VIEW_LAZY, 0);
	path(rebind_flush, "lazy view, flush");
}

/* ---- 2 MiB -------------------------------------------------------------------------------------------------- */

static void huge_rebind(unsigned int set)
{
	ASSERT_EQ(t_rebind(&view, 512, 512, huge[set], RW), 0);
}

static void huge_unbind_bind(unsigned int set)
{
	ASSERT_EQ(t_unbind(&view, 512, 512), 0);
	ASSERT_EQ(t_bind(&view, 512, 512, huge[set], RW), 0);
}

/* Pages come out of 2 MiB and go back: one entry is split, and stays split. */
static void huge_partial(unsigned int set)
{
	uint32_t i;

	for (i = 0; i < nr_pages; i++)
		ASSERT_EQ(t_rebind(&view, pages[i], 1, huge[set] + pages[i] - 512, RW), 0);
}

TEST_LONG(huge__rebind, 600)
{
	setup_huge();
	slow_path(huge_rebind, "rebind of 2 MiB");
}

TEST_LONG(huge__unbind, 600)
{
	setup_huge();
	slow_path(huge_unbind_bind, "unbind of 2 MiB");
}

TEST_LONG(huge__partial, 600)
{
	setup_huge();
	slow_path(huge_partial, "pages of 2 MiB");
}

/* ---- rights --------------------------------------------------------------------------------------------------- */

/* A store after PROTECT took the right to write away (the store's SIGBUS is what is wanted). */
TEST_LONG(protect__no_more_stores, 600)
{
	unsigned int rounds = test_rounds(ROUNDS, 10) / 4 + 1, i;
	uint64_t round = 0, before, start = test_now_ns();
	pthread_t thread;

	setup(8, 100, 7, 0, 0);
	pin_to(0);
	memset(&shared, 0, sizeof(shared));
	/* Every page shows set 0 all the time: even rounds read it, odd ones try to store. */
	ASSERT_EQ(pthread_create(&thread, NULL, reader, NULL), 0);
	for (i = 0; i < rounds && (i < 50 || !test_late(start, budget_ms)); i++) {
		batch(EXO_MEM_PROTECT, 0, RW);
		for (before = 0; before < nr_pages; before++)
			*(t_page(&view, pages[before]) + 1) = 0;
		shared.store = true;
		/* Warm: these stores succeed, and count as "stale" here. */
		before = shared.stale;
		__atomic_store_n(&shared.go, ++round, __ATOMIC_RELEASE);
		wait_for(&shared.ack, round);
		ASSERT_EQ(shared.stale, before + nr_pages);
		shared.stale = before;
		batch(EXO_MEM_PROTECT, 0, RO);
		__atomic_store_n(&shared.go, ++round, __ATOMIC_RELEASE);
		wait_for(&shared.ack, round);
		ASSERT_EQ(shared.stale, before);
	}
	shared.stop = true;
	__atomic_store_n(&shared.go, ~0ULL, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	test_note("protect: %u rounds, %llu stores, %llu got through", i,
		  (unsigned long long)shared.checked / 2, (unsigned long long)shared.stale);
}

/* ---- frames that go away ---------------------------------------------------------------------------------------- */

static int owner;
static struct exo_cap caps[MAX];

/* The frames of the other set are revoked; ours are imported afresh and bound. */
static void revoke_old(unsigned int set)
{
	uint32_t i;

	for (i = 0; i < nr_pages; i++) {
		ASSERT_EQ(t_cap_revoke_own(owner, frames[!set][i]), 0);
		ASSERT_EQ(t_cap(owner, frames[set][i], RW, &caps[i]), 0);
		ASSERT_EQ(t_import(fd, &caps[i], NULL, NULL), 0);
	}
	batch(EXO_MEM_BIND, set, RW);
}

static void setup_revoke(uint32_t flags)
{
	uint32_t i;
	int user;

	setup(4, 50, 333, flags, 0);
	/* The frames change to another environment, which shares them. */
	ASSERT_EQ(t_free(fd, frames[0], nr_pages, NULL), 0);
	ASSERT_EQ(t_free(fd, frames[1], nr_pages, NULL), 0);
	user = fd;
	fd = owner = t_open();
	fill_sets();
	fd = user;
	for (i = 0; i < nr_pages; i++) {
		ASSERT_EQ(t_cap(owner, frames[0][i], RW, &caps[i]), 0);
		ASSERT_EQ(t_import(fd, &caps[i], NULL, NULL), 0);
	}
	batch(EXO_MEM_BIND, 0, RW);
}

TEST_LONG(revoke__shared_frames, 600)
{
	setup_revoke(0);
	slow_path(revoke_old, "revocation of shared frames");
}

static int thief;
static volatile uint64_t *thief_window;

/*
 * The bound frames are freed, and at once somebody else's, who writes into them. The pages get other
 * frames. A reader with an old translation would see POISON, a thief's secret.
 */
static void give_away(unsigned int set)
{
	uint32_t i;

	ASSERT_EQ(t_free(fd, frames[!set], nr_pages, NULL), 0);
	ASSERT_EQ(t_alloc(thief, EXO_ALLOC_THESE, frames[!set], nr_pages, NULL), 0);
	for (i = 0; i < nr_pages; i++)
		thief_window[frames[!set][i] * 512UL] = POISON;
	batch(EXO_MEM_BIND, set, RW);
}

static void setup_free(uint32_t flags)
{
	struct exo_info info;

	setup(4, 50, 333, flags, 0);
	thief = t_open();
	t_info(thief, &info);
	thief_window = t_window(thief, 0, info.out_frames, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(thief_window);
}

static unsigned int give_rounds;

/* What the last round gave away comes back. */
static void take_back(unsigned int set)
{
	if (!give_rounds++)
		return;
	ASSERT_EQ(t_free(thief, frames[set], nr_pages, NULL), 0);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, frames[set], nr_pages, NULL), 0);
	t_fill_each(fd, frames[set], nr_pages, VALUE(set, 0));
}

static void give_all(unsigned int set)
{
	take_back(set);
	give_away(set);
}

TEST_LONG(free__to_another_owner, 600)
{
	setup_free(0);
	slow_path(give_all, "frames that change owner");
}

/*
 * A lazy view: the frames leave after a rebind without a flush. Within the owner that may be stale; to
 * a new owner never (INV-FRAME-5): a stale page may show the old frame's last contents only while it is
 * still ours.
 */
static void lazy_give(unsigned int set)
{
	uint32_t i;

	take_back(set);
	batch(EXO_MEM_REBIND, set, RW);
	/* No flush here: freeing has to see to it. */
	ASSERT_EQ(t_free(fd, frames[!set], nr_pages, NULL), 0);
	ASSERT_EQ(t_alloc(thief, EXO_ALLOC_THESE, frames[!set], nr_pages, NULL), 0);
	for (i = 0; i < nr_pages; i++)
		thief_window[frames[!set][i] * 512UL] = POISON;
}

TEST_LONG(free__lazy_without_flush, 600)
{
	setup_free(EXO_VIEW_LAZY);
	slow_path(lazy_give, "frames that leave a lazy view and change owner");
}

