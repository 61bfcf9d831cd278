// SPDX-License-Identifier: GPL-2.0
/*
 * Races: every operation against every other, two threads on two CPUs; and kill -9 at random points.
 *
 * While they race, a thief takes every frame that becomes free, writes POISON into it and lets it go
 * again: whoever reads POISON in a view or a window reads another owner's frame (INV-FRAME-2, -3, -5).
 * When a test ends the harness counts what was not given back (INV-ENV-1).
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 2048;
uint32_t test_pool_huge = 2;

#define NF 32
#define PAGES 1024
#define POISON 0xdeadbeefULL

struct world {
	int fd, other, thief;
	struct view view;	/* of fd */
	struct view lazy;	/* of fd */
	struct view theirs;	/* of other, with imported frames */
	uint32_t frames[NF];
	uint32_t huge;		/* ~0: none */
	volatile uint64_t *window, *their_window, *thief_window;
	uint64_t number;
	bool admin;
	struct exo_info info;
	volatile bool stop;
};

static struct world w;

static void seen(uint64_t value, const char *where)
{
	if (value == POISON)
		FAIL("another owner's data in a %s", where);
}

static uint32_t any(uint64_t *seed, uint32_t n)
{
	return (uint32_t)(test_random(seed) % n);
}

static uint32_t some_frame(uint64_t *seed)
{
	return w.frames[any(seed, NF)];
}

/* Pages of a few tables, close together so that operations meet. */
static uint32_t some_page(uint64_t *seed)
{
	return any(seed, 2) * 512 + any(seed, 24);
}

static struct view *some_view(uint64_t *seed)
{
	return any(seed, 3) ? &w.view : &w.lazy;
}

/* ---- the operations -------------------------------------------------------------------------------------- */

static void batch(uint64_t *seed, unsigned int cmd, struct view *view)
{
	struct exo_mem_op ops[12];
	uint32_t n = 1 + any(seed, 12), i;

	for (i = 0; i < n; i++) {
		ops[i] = (struct exo_mem_op){ .page = some_page(seed), .count = 1 + any(seed, 2) };
		if (cmd == EXO_MEM_BIND || cmd == EXO_MEM_REBIND) {
			ops[i].frame = some_frame(seed);
			ops[i].count = 1;
		}
		if (cmd != EXO_MEM_UNBIND)
			ops[i].rights = any(seed, 2) ? RW : RO;
	}
	t_batch(view, cmd, ops, n, cmd != EXO_MEM_BIND && any(seed, 2) ? EXO_BATCH_REPORT : 0, NULL);
}

static void op_bind(uint64_t *seed) { batch(seed, EXO_MEM_BIND, some_view(seed)); }
static void op_unbind(uint64_t *seed) { batch(seed, EXO_MEM_UNBIND, some_view(seed)); }
static void op_rebind(uint64_t *seed) { batch(seed, EXO_MEM_REBIND, some_view(seed)); }
static void op_protect(uint64_t *seed) { batch(seed, EXO_MEM_PROTECT, some_view(seed)); }

static void op_unbind_all(uint64_t *seed)
{
	t_unbind(some_view(seed), 0, PAGES);
}

static void op_flush(uint64_t *seed)
{
	t_flush(some_view(seed));
}

static void op_harvest(uint64_t *seed)
{
	static __thread uint8_t bits[PAGES];

	t_harvest(some_view(seed), 0, PAGES, any(seed, 4), bits, NULL, NULL);
}

static void op_touch(uint64_t *seed)
{
	struct view *view = some_view(seed);
	unsigned int i;
	uint64_t value;

	for (i = 0; i < 4; i++) {
		uint32_t page = some_page(seed);

		if (any(seed, 2)) {
			if (!t_load(t_page(view, page), &value))
				seen(value, view == &w.lazy ? "lazy view" : "view");
		} else {
			t_store(t_page(view, page) + 3, page);
		}
	}
}

static void op_touch_theirs(uint64_t *seed)
{
	uint64_t value;

	if (!t_load(t_page(&w.theirs, some_page(seed)), &value))
		seen(value, "view of an importer");
	if (!t_load(w.their_window + some_frame(seed) * 512UL, &value))
		seen(value, "window of an importer");
}

static void op_window(uint64_t *seed)
{
	volatile uint64_t *at = w.window + some_frame(seed) * 512UL;
	uint64_t value;

	if (!t_load(at, &value))
		seen(value, "window");
	t_store(at + 1, 1);
}

static void op_free_alloc(uint64_t *seed)
{
	uint32_t frames[4], i, n = 1 + any(seed, 4);

	for (i = 0; i < n; i++)
		frames[i] = some_frame(seed);
	t_free(w.fd, frames, n, NULL);
	for (i = 0; i < n; i++)
		t_alloc(w.fd, EXO_ALLOC_THESE, &frames[i], 1, NULL);
}

static void op_huge(uint64_t *seed)
{
	if (w.huge == ~0U)
		return;
	switch (any(seed, 4)) {
	case 0:
		t_rebind(&w.view, 512, 512, w.huge, RW);
		break;
	case 1:
		t_unbind(&w.view, 512 + any(seed, 24), any(seed, 480) + 1);
		break;
	case 2:
		t_protect(&w.view, 512, 512, any(seed, 2) ? RW : RO);
		break;
	case 3:
		t_free(w.fd, &w.huge, 1, NULL);
		t_alloc(w.fd, EXO_ALLOC_THESE, &w.huge, 1, NULL);
		break;
	}
}

static void op_share(uint64_t *seed)
{
	uint32_t frame = some_frame(seed);
	struct exo_cap cap;

	if (t_cap(w.fd, frame, any(seed, 2) ? EXO_RIGHTS_ALL : RO, &cap))
		return;
	t_import(w.other, &cap, NULL, NULL);
	t_rebind(&w.theirs, some_page(seed), 1, frame, any(seed, 2) ? RW : RO);
}

static void op_revoke_caps(uint64_t *seed)
{
	t_cap_revoke_own(w.fd, some_frame(seed));
}

static void op_drop(uint64_t *seed)
{
	t_drop(w.other, some_frame(seed));
}

static void op_force(uint64_t *seed)
{
	uint32_t asked, i;

	if (!w.admin)
		return;
	t_revoke(w.other, w.number, 1 + any(seed, 4), 1, &asked);
	for (i = 0; i < NF; i++)
		t_alloc(w.fd, EXO_ALLOC_THESE, &w.frames[i], 1, NULL);
}

static void op_look(uint64_t *seed)
{
	struct exo_frame_info rows[16];
	struct exo_mem_taken log[8];
	struct exo_env_status st;

	t_query(w.fd, some_frame(seed), 8, rows);
	t_log(w.fd, log, 8, NULL);
	st.size = sizeof(st);
	st.flags = 0;
	t_ioctl(w.fd, EXO_ENV_STATUS, &st);
	/* INV-REV-4 */
	ASSERT_EQ(st.out_asked, st.out_given + st.out_taken + st.out_wanted);
}

static void op_new_view(uint64_t *seed)
{
	struct view v;

	if (t_view_create(w.fd, 1 + any(seed, PAGES), any(seed, 2), any(seed, 2) ? 512 : 0, &v))
		return;
	if (!t_view_map(&v, NULL, any(seed, 512) * PAGE)) {
		uint64_t value;

		t_bind(&v, any(seed, v.pages), 1, some_frame(seed), RW);
		if (!t_load(t_page(&v, any(seed, v.pages)), &value))
			seen(value, "new view");
		munmap(v.base, v.length);
	}
	t_view_destroy(&v);
}

static void op_fork(uint64_t *seed)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void op_open(uint64_t *seed)
{
	int fd = open(t_device(), O_RDWR | O_CLOEXEC);
	uint32_t frames[4];

	t_alloc(fd, EXO_ALLOC_ANY, frames, 4, NULL);
	close(fd);
}

static void op_madvise(uint64_t *seed)
{
	madvise(w.view.base, w.view.length, MADV_DONTNEED);
	madvise((void *)w.window, w.info.out_frames * PAGE, MADV_DONTNEED);
}

static const struct {
	const char *name;
	void (*fn)(uint64_t *seed);
} ops[] = {
	{ "bind", op_bind }, { "unbind", op_unbind }, { "rebind", op_rebind }, { "protect", op_protect },
	{ "unbind all", op_unbind_all }, { "flush", op_flush }, { "harvest", op_harvest },
	{ "touch", op_touch }, { "touch theirs", op_touch_theirs }, { "window", op_window },
	{ "free and alloc", op_free_alloc }, { "huge", op_huge }, { "share", op_share },
	{ "revoke caps", op_revoke_caps }, { "drop", op_drop }, { "force", op_force }, { "look", op_look },
	{ "new view", op_new_view }, { "fork", op_fork }, { "open", op_open }, { "madvise", op_madvise },
};
#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

/* ---- the world ----------------------------------------------------------------------------------------------- */

static void make_world(void)
{
	struct exo_env_status st;
	uint32_t i;

	memset(&w, 0, sizeof(w));
	w.fd = t_open();
	w.other = t_open();
	w.thief = t_open();
	w.admin = !geteuid();
	t_info(w.fd, &w.info);
	t_status(w.fd, &st);
	w.number = st.out_env;
	t_view(w.fd, PAGES, 0, 512, &w.view);
	t_view(w.fd, PAGES, EXO_VIEW_LAZY, 0, &w.lazy);
	t_view(w.other, PAGES, 0, 0, &w.theirs);
	t_alloc_any(w.fd, w.frames, NF);
	w.huge = ~0U;
	if (w.info.out_features & EXO_FEATURE_HUGE && t_alloc(w.fd, EXO_ALLOC_HUGE, &w.huge, 1, NULL))
		w.huge = ~0U;
	w.window = t_window(w.fd, 0, w.info.out_frames, PROT_READ | PROT_WRITE);
	w.their_window = t_window(w.other, 0, w.info.out_frames, PROT_READ);
	w.thief_window = t_window(w.thief, 0, w.info.out_frames, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(w.window && w.their_window && w.thief_window);
	for (i = 0; i < NF; i++)
		w.window[w.frames[i] * 512UL] = i;
}

static void *thief(void *arg)
{
	uint64_t seed = test_seed() + 99;

	while (!w.stop) {
		uint32_t frame = some_frame(&seed);

		if (!t_alloc(w.thief, EXO_ALLOC_THESE, &frame, 1, NULL)) {
			t_store(w.thief_window + frame * 512UL, POISON);
			t_free(w.thief, &frame, 1, NULL);
		}
		sched_yield();
	}
	return NULL;
}

struct racer {
	unsigned int op;
	uint64_t seed;
	uint64_t until;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	do {
		ops[racer->op].fn(&racer->seed);
	} while (test_now_ns() < racer->until);
	return NULL;
}

static void run_pair(unsigned int a, unsigned int b, unsigned int ms)
{
	uint64_t until = test_now_ns() + ms * 1000000ULL;
	struct racer racers[2] = {
		{ a, test_seed() + a * 7919 + b, until }, { b, test_seed() + b * 104729 + a, until },
	};
	pthread_t threads[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* Everything goes; what is left after that is a leak. */
static void end_world(void)
{
	struct exo_env_status st;
	uint32_t i;

	t_unbind(&w.view, 0, PAGES);
	t_unbind(&w.lazy, 0, PAGES);
	t_flush(&w.lazy);
	t_status(w.fd, &st);
	ASSERT_EQ(st.out_bound, 0);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(w.view.slots[i], 0);
		ASSERT_EQ(w.lazy.slots[i], 0);
	}
	t_view_end(&w.view);
	t_view_end(&w.lazy);
	t_view_end(&w.theirs);
	for (i = 0; i < NF; i++)
		t_free1(w.fd, w.frames[i]);
	if (w.huge != ~0U)
		t_free1(w.fd, w.huge);
	t_status(w.fd, &st);
	ASSERT_EQ(st.out_frames, 0);
	ASSERT_EQ(st.out_views, 0);
}

/* What a pair may have of a minute. */
#define PAIR_MS_MAX (60000 * 2 / (NR_OPS * (NR_OPS + 1)))

/*
 * Catches: what two operations do to each other. Each row of the matrix is a world of its own, each
 * pair has a millisecond a round.
 */
TEST_LONG(pairs__all, 120)
{
	unsigned int ms, a, b;
	pthread_t thread;

	ms = test_rounds(50, 1);
	if (ms > PAIR_MS_MAX)
		ms = PAIR_MS_MAX;
	for (a = 0; a < NR_OPS; a++) {
		make_world();
		ASSERT_EQ(pthread_create(&thread, NULL, thief, NULL), 0);
		for (b = a; b < NR_OPS; b++)
			run_pair(a, b, ms);
		w.stop = true;
		pthread_join(thread, NULL);
		end_world();
		munmap((void *)w.window, w.info.out_frames * PAGE);
		munmap((void *)w.their_window, w.info.out_frames * PAGE);
		munmap((void *)w.thief_window, w.info.out_frames * PAGE);
		close(w.fd);
		close(w.other);
		close(w.thief);
	}
}

static void *anything(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (;;)
		ops[any(&seed, NR_OPS)].fn(&seed);
	return NULL;
}

/* Catches: what a death at any point forgets (INV-ENV-1). */
TEST_LONG(kill__at_random_points, 120)
{
	unsigned int i, n = test_rounds(100, 4);
	uint64_t seed = test_seed();
	int watch = t_open();
	const struct exo_table *table = t_table(watch);
	uint64_t before = table->free;

	for (i = 0; i < n; i++) {
		unsigned int us = any(&seed, 60000), k;
		pid_t pid = test_fork();

		if (!pid) {
			pthread_t threads[4];

			make_world();
			for (k = 0; k < 4; k++)
				pthread_create(&threads[k], NULL, k ? anything : thief,
					       (void *)(uintptr_t)(seed + k));
			pause();
		}
		usleep(us);
		kill(pid, SIGKILL);
		test_join_killed(pid, SIGKILL);
		for (k = 0; k < test_limit_ms(5000) && table->free != before; k++)
			test_sleep_ms(1);
		ASSERT_EQ_FOR(table->free, before, "killed after %u us", us);
	}
}

static volatile uint32_t table_stop;

static void *churn(void *arg)
{
	int fd = t_open();

	while (!table_stop) {
		uint32_t frames[64], done;

		t_alloc(fd, EXO_ALLOC_ANY, frames, 64, &done);
		t_free(fd, frames, done, NULL);
	}
	close(fd);
	return NULL;
}

/* Catches: two owners of a frame, when two processors take from the pool at once (INV-FRAME-2). */
TEST(alloc__never_twice)
{
	int a = t_open(), b = t_open();
	unsigned int round, i, k;
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, churn, NULL), 0);
	for (round = 0; round < test_rounds(300, 4); round++) {
		uint32_t x[64], y[64];

		t_alloc_any(a, x, 64);
		t_alloc_any(b, y, 64);
		for (i = 0; i < 64; i++)
			for (k = 0; k < 64; k++)
				ASSERT_NE(x[i], y[k]);
		ASSERT_EQ(t_free(a, x, 64, NULL), 0);
		ASSERT_EQ(t_free(b, y, 64, NULL), 0);
	}
	table_stop = 1;
	pthread_join(thread, NULL);
}

/* Catches: a pool that grows and shrinks below those who allocate from it (INV-FRAME-8). */
TEST(pool__against_traffic)
{
	uint64_t until = test_now_ns() + 3000000000ULL;
	pthread_t threads[2];
	uint32_t done;
	int fd = t_open(), i;

	t_need_root();
	table_stop = 0;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, churn, NULL), 0);
	while (test_now_ns() < until) {
		if (!t_pool(fd, EXO_POOL_GROW, 1024, &done) && done)
			t_pool(fd, EXO_POOL_SHRINK, done, &done);
	}
	table_stop = 1;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
