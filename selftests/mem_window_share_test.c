// SPDX-License-Identifier: GPL-2.0
/*
 * Windows of many environments over the same frames: who gives a frame up finds those that have it,
 * and does not walk those that may not (INV-FRAME-9).
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

/* ---- found, all of them ------------------------------------------------------------------------- */

#define MANY 70

/* Import a frame into many environments and touch it in windows, half of which were there before. */
static void import_many(const struct exo_cap *cap, uint32_t frame, int *other,
			volatile uint64_t **mem)
{
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		other[i] = t_open();
		mem[i] = i & 1 ? t_window(other[i], frame, 1, PROT_READ | PROT_WRITE) : NULL;
		ASSERT_EQ(t_import(other[i], cap, NULL, NULL), 0);
		if (!mem[i])
			mem[i] = t_window(other[i], frame, 1, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(mem[i]);
		*mem[i] = i;
	}
}

/* Catches: a window that isn't found, among those of many importers; one that is lost with another. */
TEST(revoke__many_importers)
{
	int fd = t_open(), other[MANY], thief = t_open();
	uint32_t frame = t_frame(fd), i, round;
	volatile uint64_t *mem[MANY];
	struct exo_env_status status;
	struct exo_cap cap;
	uint64_t value;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(t_cap(fd, frame, EXO_RIGHTS_ALL, &cap), 0);
		import_many(&cap, frame, other, mem);
		/* One drops it: the others have it still. */
		ASSERT_EQ(t_drop(other[40], frame), 0);
		ASSERT_EQ(t_load(mem[40], &value), SIGBUS);
		ASSERT_EQ(*mem[41], MANY - 1);
		if (!round)
			ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
		else
			ASSERT_EQ(t_free1(fd, frame), 0);
		for (i = 0; i < MANY; i++)
			ASSERT_EQ_FOR(t_load(mem[i], &value), SIGBUS, "round %u, importer %u", round, i);
		t_status(fd, &status);
		ASSERT_EQ(status.out_quarantined, 0);
		for (i = 0; i < MANY; i++)
			close(other[i]);
	}
	ASSERT_EQ(t_alloc(thief, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(t_load(mem[i], &value), SIGBUS);
}

/* Catches: a window in a child, or in a process that was only given the descriptor, that stays. */
TEST(revoke__in_other_processes)
{
	struct test_sync ready, go;
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd), i;
	volatile uint64_t *own, *mem;
	struct exo_cap cap;
	uint64_t value;
	pid_t pid;

	ASSERT_EQ(t_cap(fd, frame, EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	own = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	mem = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
	*mem = 5;
	if (madvise((void *)own, PAGE, MADV_DOFORK) || madvise((void *)mem, PAGE, MADV_DOFORK))
		test_note("MADV_DOFORK: %s", strerror(errno));
	test_sync_init(&ready);
	test_sync_init(&go);
	pid = test_fork();
	if (!pid) {
		volatile uint64_t *more[4] = {
			t_window(fd, frame, 1, PROT_READ), t_window(other, frame, 1, PROT_READ), own, mem,
		};
		bool had[4];

		for (i = 0; i < 4; i++)
			had[i] = !t_load(more[i], &value) && value == 5;
		ASSERT_TRUE(had[0] && had[1]);
		test_sync_post(&ready);
		test_sync_wait(&go);
		for (i = 0; i < 4; i++)
			ASSERT_EQ_FOR(t_load(more[i], &value), had[i] ? SIGBUS : SIGSEGV, "window %u", i);
		_exit(0);
	}
	test_sync_wait(&ready);
	ASSERT_EQ(t_free1(fd, frame), 0);
	test_sync_post(&go);
	test_join(pid);
	ASSERT_EQ(t_load(own, &value), SIGBUS);
	ASSERT_EQ(t_load(mem, &value), SIGBUS);
}

static struct {
	struct view view;
	struct exo_cap cap;
	volatile bool stop;
} both;

static void *import_and_bind(void *arg)
{
	struct exo_mem_import import = { .size = sizeof(import), .flags = EXO_IMPORT_BIND, .cap = both.cap,
					 .view = both.view.id, .page = 1, .rights = RW };
	volatile unsigned int *done = arg;

	while (!both.stop) {
		*done += !t_ioctl(both.view.fd, EXO_MEM_IMPORT, &import);
		t_unbind(&both.view, 1, 1);
	}
	return NULL;
}

/* Catches: a DROP and an import that binds that wait for each other; a grant that goes before its windows. */
TEST(drop__against_import)
{
	uint64_t start = test_now_ns(), value;
	volatile unsigned int imports = 0;
	unsigned int drops = 0;
	struct exo_env_status status;
	volatile uint64_t *window;
	pthread_t thread;
	uint32_t frame;
	int fd, other;

	fd = t_open();
	other = t_open();
	frame = t_frame(fd);
	ASSERT_EQ(t_cap(fd, frame, EXO_RIGHTS_ALL, &both.cap), 0);
	t_view(other, 16, 0, 0, &both.view);
	window = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
	ASSERT_EQ(pthread_create(&thread, NULL, import_and_bind, (void *)&imports), 0);
	/* On a busy machine one of the two may have no processor for seconds. */
	while (test_now_ns() - start < 2000000000ULL ||
	       (!(drops && imports) && test_now_ns() - start < 30000000000ULL)) {
		t_load(window, &value);
		drops += !t_drop(other, frame);
	}
	both.stop = true;
	pthread_join(thread, NULL);
	test_note("%u imports, %u drops", imports, drops);
	ASSERT_GT(imports, 0);
	ASSERT_GT(drops, 0);
	t_drop(other, frame);
	ASSERT_EQ(t_drop(other, frame), -EACCES);
	ASSERT_EQ(t_load(window, &value), SIGBUS);
	ASSERT_EQ(t_free1(fd, frame), 0);
	t_status(fd, &status);
	ASSERT_EQ(status.out_quarantined, 0);
}

/* ---- what strangers' windows cost --------------------------------------------------------------- */

static uint64_t scattered_free_us(void)
{
	uint32_t frames[128], some[64], i;
	void *window[64];
	int fd = t_open();
	uint64_t start;

	t_alloc_any(fd, frames, 128);
	for (i = 0; i < 64; i++) {
		some[i] = frames[2 * i];
		window[i] = t_window(fd, some[i], 1, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(window[i]);
		*(volatile uint64_t *)window[i] = 1;
	}
	start = test_now_ns();
	ASSERT_EQ(t_free(fd, some, 64, NULL), 0);
	start = test_now_ns() - start;
	for (i = 0; i < 64; i++)
		munmap(window[i], PAGE);
	close(fd);
	return start / 1000;
}

/* The least of some, each in a new environment: none of them need have the stranger's bucket. */
static uint64_t least_free_us(void)
{
	uint64_t us, least = ~0ULL;
	int i;

	for (i = 0; i < 5; i++) {
		us = scattered_free_us();
		least = us < least ? us : least;
	}
	return least;
}

static void windows_over_all(void *arg)
{
	volatile uint32_t *count = arg;
	int fd = t_open();
	uint32_t n;

	for (n = 0; n < test_rounds(16000, 6) && t_window(fd, 0, 2048, PROT_READ); n++)
		;
	*count = n;
	for (;;)
		test_sleep_ms(1000);
}

/* A stranger's windows over everybody's frames: what he may not have costs nobody else time. */
TEST_LONG(windows__of_a_stranger, 120)
{
	volatile uint32_t *count = test_shared(PAGE);
	uint64_t before, after;

	before = least_free_us();
	test_spawn(windows_over_all, (void *)count);
	while (!*count)
		test_sleep_ms(10);
	after = least_free_us();
	test_note("FREE of 64: %llu us, %llu us with %u windows of a stranger",
		  (unsigned long long)before, (unsigned long long)after, *count);
	ASSERT_EQ(*count, test_rounds(16000, 6));
	ASSERT_LT(after, 3 * before + 5000 * test_slow());
}

/* As above, counted in copies that fork() makes of them: 6.1 and 6.12 have MADV_DOFORK. */
TEST_LONG(windows__copied_without_end, 60)
{
	pid_t pid = test_fork();
	int status;

	if (!pid) {
		static void *window[1000];
		uint32_t i;
		int fd = t_open();

		for (i = 0; i < 1000; i++) {
			window[i] = t_window(fd, 2 * i, 1, PROT_READ);
			ASSERT_TRUE(window[i]);
			if (madvise(window[i], PAGE, MADV_DOFORK))
				_exit(0);
		}
		/* 17 with all are too many, and the 16th child is the one. */
		for (i = 0; i < 20; i++)
			if (!test_fork())
				for (;;)
					pause();
		_exit(1);
	}
	status = test_wait(pid);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		SKIP("MADV_DOFORK is refused");
	ASSERT_EQ(status, SIGKILL);
}

#define KEEPERS 16

/* A child that has so many windows until it is killed: one process's would be slow on a debug kernel. */
static pid_t keep_windows(int fd, uint32_t count)
{
	struct test_sync sync;
	pid_t pid;

	test_sync_init(&sync);
	pid = test_fork();
	if (!pid) {
		while (count--)
			ASSERT_TRUE(t_window(fd, 0, 512, PROT_READ));
		test_sync_post(&sync);
		for (;;)
			pause();
	}
	test_sync_wait(&sync);
	return pid;
}

static void *map_table(int fd)
{
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, (off_t)EXO_MMAP_TABLE);
}

/* Windows over other people's frames cost those people time: there is an end to them. */
TEST_LONG(windows__have_an_end, 60)
{
	int fd = t_open(), i;
	pid_t last = 0;
	void *table;

	for (i = 0; i < KEEPERS; i++)
		last = keep_windows(fd, 16384 / KEEPERS);
	ASSERT_TRUE(!t_window(fd, 0, 512, PROT_READ));
	ASSERT_EQ(errno, EOVERFLOW);
	/* Mappings of the table count, too: a pool that grows goes through them. */
	ASSERT_EQ(map_table(fd), MAP_FAILED);
	ASSERT_EQ(errno, EOVERFLOW);
	kill(last, SIGKILL);
	test_join_killed(last, SIGKILL);
	keep_windows(fd, 16384 / KEEPERS - 1);
	table = map_table(fd);
	ASSERT_NE(table, MAP_FAILED);
	ASSERT_TRUE(!t_window(fd, 0, 512, PROT_READ));
	ASSERT_EQ(errno, EOVERFLOW);
	munmap(table, PAGE);
	ASSERT_TRUE(t_window(fd, 0, 512, PROT_READ));
}
