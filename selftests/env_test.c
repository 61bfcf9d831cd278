// SPDX-License-Identifier: GPL-2.0
/*
 * Environments: how long they live, what their end gives back, who is told of whom, the event ring.
 * Quotas are in quota_test.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 8192;

static uint64_t table_free(int fd)
{
	static const struct exo_table *table;
	static int table_fd = -1;

	if (table_fd != fd) {
		table = t_table(fd);
		table_fd = fd;
	}
	return table->free;
}

/* Workers may take a moment. */
static void expect_free(int fd, uint64_t want)
{
	unsigned int ms;

	for (ms = 0; ms < test_limit_ms(3000) && table_free(fd) != want; ms++)
		test_sleep_ms(1);
	ASSERT_EQ(table_free(fd), want);
}

/* ---- life and death -------------------------------------------------------------------------------- */

/* Catches: numbers that come again, so that an admin revokes from the wrong one. */
TEST(open__numbers)
{
	uint64_t last = 0;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		int fd = t_open();
		struct exo_env_status st;

		t_status(fd, &st);
		ASSERT_GT(st.out_env, last);
		last = st.out_env;
		ASSERT_EQ(st.out_uid, getuid());
		ASSERT_EQ(st.out_pid, getpid());
		ASSERT_EQ(st.out_frames, 0);
		close(fd);
	}
}

/* Catches: a close that kills while somebody else has the file (INV-ENV-1). */
TEST(fork__keeps_it_alive)
{
	int fd = t_open(), watch = t_open();
	uint64_t before = table_free(watch);
	uint32_t frames[100];
	struct test_sync go;
	pid_t pid;

	test_sync_init(&go);
	t_alloc_any(fd, frames, 100);
	pid = test_fork();
	if (!pid) {
		test_sync_wait(&go);
		t_fill(fd, frames[0], 3);
		ASSERT_EQ(t_peek(fd, frames[0]), 3);
		_exit(0);
	}
	close(fd);
	test_sleep_ms(50);
	ASSERT_EQ(table_free(watch), before - 100);
	test_sync_post(&go);
	test_join(pid);
	expect_free(watch, before);
}

/* Catches: mappings without an environment behind them (INV-ENV-1). */
TEST(close__mappings_keep_it_alive)
{
	int watch = t_open(), fd = t_open();
	uint64_t before = table_free(watch);
	uint32_t frames[10];
	struct exo_ring *ring = t_ring(fd);
	struct exo_info info;
	struct view view;
	volatile uint64_t *window;

	t_info(fd, &info);
	t_alloc_any(fd, frames, 10);
	t_view(fd, 512, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 3, 1, frames[3], RW), 0);
	window = t_window(fd, frames[3], 1, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(window);
	close(fd);
	*t_page(&view, 3) = 42;
	ASSERT_EQ(*window, 42);
	ASSERT_EQ(table_free(watch), before - 10);
	munmap((void *)window, PAGE);
	munmap((void *)view.slots, PAGE);
	munmap(view.base, view.length);
	ASSERT_EQ(table_free(watch), before - 10);
	munmap(ring, info.out_ring_bytes);
	expect_free(watch, before);
}

static void make_a_mess(void *arg)
{
	struct test_sync *ready = arg;
	uint32_t frames[256], i;
	struct exo_cap cap;
	struct view view[4];
	int fd = t_open(), other = t_open();

	t_alloc_any(fd, frames, 256);
	for (i = 0; i < 4; i++) {
		t_view(i & 1 ? fd : other, 1024, i & 2 ? EXO_VIEW_LAZY : 0, 512, &view[i]);
		*(volatile char *)t_window(fd, frames[i], 1, PROT_READ | PROT_WRITE) = 1;
	}
	for (i = 0; i < 256; i++) {
		ASSERT_EQ(t_cap(fd, frames[i], RW | EXO_RIGHT_WINDOW, &cap), 0);
		ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
		ASSERT_EQ(t_bind(&view[i % 4], i * 3, 1, frames[i], RW), 0);
		ASSERT_EQ(t_bind(&view[(i + 1) % 4], i * 3 + 1, 1, frames[i], RW), 0);
		*t_page(&view[i % 4], i * 3) = i;
	}
	test_sync_post(ready);
	pause();
}

/* Catches: anything that a death forgets (INV-ENV-1); the harness counts, too. */
TEST(death__gives_everything_back)
{
	int watch = t_open(), i;
	uint64_t before = table_free(watch);
	struct test_sync ready;

	test_sync_init(&ready);
	for (i = 0; i < 10; i++) {
		pid_t pid = test_spawn(make_a_mess, &ready);

		test_sync_wait(&ready);
		ASSERT_EQ(table_free(watch), before - 256);
		kill(pid, SIGKILL);
		test_join_killed(pid, SIGKILL);
		expect_free(watch, before);
	}
}

/* Catches: an exec that carries mappings of another program's environment. */
TEST(exec__closes)
{
	int watch = t_open();
	uint64_t before = table_free(watch);
	pid_t pid = test_fork();

	if (!pid) {
		uint32_t frames[10];
		struct view view;
		int fd = t_open();

		t_alloc_any(fd, frames, 10);
		t_view(fd, 16, 0, 0, &view);
		ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
		/* busybox in the guest, coreutils elsewhere */
		execlp("sleep", "sleep", "0.5", NULL);
		_exit(1);
	}
	test_sleep_ms(250);
	expect_free(watch, before);
	test_join(pid);
}

/* Catches: rmmod below a living environment (INV-ENV-3). */
TEST(rmmod__refused)
{
	int fd = t_open(), ret;
	struct exo_info info;

	t_need_root();
	if (access("/sys/module/exo", F_OK))
		SKIP("the module is not called exo here");
	ret = (int)syscall(SYS_delete_module, "exo", O_NONBLOCK);
	ASSERT_EQ(ret, -1);
	ASSERT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	/* A mapping alone is enough. */
	t_info(fd, &info);
	t_ring(fd);
	close(fd);
	ret = (int)syscall(SYS_delete_module, "exo", O_NONBLOCK);
	ASSERT_EQ(ret, -1);
}

/* Catches: unmapping that misses mappings made through another node (INV-ENV-2). */
TEST(node__second_one)
{
	char path[] = "/tmp/exo-node.XXXXXX";
	int fd = t_open(), other, dir;
	uint32_t frame = t_frame(fd);
	volatile uint64_t *window;
	struct exo_cap cap;
	struct view view;
	struct stat st;
	uint64_t value;

	t_need_root();
	ASSERT_EQ(stat(t_device(), &st), 0);
	dir = mkstemp(path);
	ASSERT_GE(dir, 0);
	close(dir);
	unlink(path);
	if (mknod(path, S_IFCHR | 0600, st.st_rdev))
		SKIP("mknod: %s", strerror(errno));
	other = open(path, O_RDWR);
	unlink(path);
	if (other < 0)
		SKIP("device nodes don't work in /tmp: %s", strerror(errno));
	t_fill(fd, frame, 9);
	ASSERT_EQ(t_cap(fd, frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	window = t_window(other, frame, 1, PROT_READ);
	ASSERT_TRUE(window);
	t_view(other, 16, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RO), 0);
	ASSERT_EQ(*window, 9);
	ASSERT_EQ(*t_page(&view, 0), 9);
	ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
	ASSERT_EQ(t_load(window, &value), SIGBUS);
	ASSERT_EQ(t_load(t_page(&view, 0), &value), SIGBUS);
}

/* ---- the list --------------------------------------------------------------------------------------- */

static uint32_t list(int fd, struct exo_env_status *rows, uint32_t count, uint64_t start)
{
	struct exo_env_list arg = { .size = sizeof(arg), .count = count, .envs = (uintptr_t)rows,
				    .start = start, .row_size = sizeof(*rows) };

	ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &arg), 0);
	return arg.out_done;
}

/* Catches: strangers' environments being shown; pages of the list that overlap or miss rows. */
TEST(list__own_and_all)
{
	struct exo_env_status rows[64];
	int fds[20], fd, i;
	uint32_t n, all;
	uint64_t start;
	pid_t pid;

	t_need_root();
	for (i = 0; i < 20; i++)
		fds[i] = t_open();
	fd = fds[0];
	all = list(fd, rows, 64, 0);
	ASSERT_GE(all, 20);
	for (n = 0, start = 0;; n++) {
		struct exo_env_status row;

		if (!list(fd, &row, 1, start))
			break;
		ASSERT_EQ(row.out_env, rows[n].out_env);
		ASSERT_GT(row.out_env, start);
		start = row.out_env;
	}
	ASSERT_EQ(n, all);
	pid = test_fork();
	if (!pid) {
		t_become(ALICE);
		fd = t_open();
		n = list(fd, rows, 64, 0);
		ASSERT_EQ(n, 1);
		ASSERT_EQ(rows[0].out_uid, ALICE);
		ASSERT_EQ(rows[0].out_pid, getpid());
		_exit(0);
	}
	test_join(pid);
}

/* Catches: rows that overrun what the caller has for each, or that can never grow. */
TEST(list__row_size)
{
	static const struct {
		uint32_t row_size;
		int ret;
	} bad[] = {
		{ 0, -EINVAL }, { 80, -EINVAL }, { 84, -EINVAL }, { 92, -EINVAL }, { 4104, -E2BIG }, { ~0U & ~7U, -E2BIG },
	};
	const uint32_t known = sizeof(struct exo_env_status);
	unsigned char rows[3 * 4096 + 8];
	struct exo_env_list arg = { .size = sizeof(arg), .count = 3, .envs = (uintptr_t)rows };
	struct exo_env_status exact[3], row;
	uint32_t size, i, k;
	int fd = t_open();

	t_open();
	t_open();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		arg.row_size = bad[i].row_size;
		ASSERT_EQ_FOR(t_ioctl(fd, EXO_ENV_LIST, &arg), bad[i].ret, "rows of %u", arg.row_size);
		ASSERT_EQ(arg.out_done, 0);
	}
	ASSERT_EQ(list(fd, exact, 3, 0), 3);
	/* The first version, this one, and those of times to come. */
	for (size = 88; size <= 4096; size = size == 88 ? known + 8 : size * 2 & ~7U) {
		memset(rows, 0xaa, sizeof(rows));
		arg.row_size = size;
		ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &arg), 0);
		ASSERT_EQ(arg.out_done, 3);
		for (i = 0; i < 3; i++) {
			memset(&row, 0, sizeof(row));
			memcpy(&row, rows + i * size, size < known ? size : known);
			ASSERT_EQ(row.size, size < known ? size : known);
			ASSERT_EQ(row.out_env, exact[i].out_env);
			ASSERT_EQ(row.out_uid, exact[i].out_uid);
			for (k = row.size; k < size; k++)
				ASSERT_EQ(rows[i * size + k], 0);
		}
		ASSERT_EQ(rows[3 * size], 0xaa);
	}
	arg.row_size = known;
	arg.reserved = 1;
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &arg), -EINVAL);
	/* The end of a row that can't be written. */
	arg.reserved = 0;
	arg.row_size = 4096;
	arg.envs = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 2048;
	munmap((void *)((arg.envs & ~4095UL) + 4096), 4096);
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &arg), -EFAULT);
	ASSERT_EQ(arg.out_done, 0);
}

/* ---- the ring --------------------------------------------------------------------------------------------- */

static uint64_t env_number(int fd)
{
	struct exo_env_status st;

	t_status(fd, &st);
	return st.out_env;
}

/* Events in any number: ask for one frame more, with a deadline far away. */
static void post(int admin, uint64_t env, unsigned int n)
{
	uint32_t asked;

	while (n--) {
		ASSERT_EQ(t_revoke(admin, env, 1, 600000, &asked), 0);
		ASSERT_EQ(asked, 1);
	}
}

/* An environment with so many frames that it can be asked often. */
static int victim(struct exo_ring **ring, uint64_t *number)
{
	static uint32_t frames[4000];
	int fd = t_open();

	t_alloc_any(fd, frames, 4000);
	*ring = t_ring(fd);
	*number = env_number(fd);
	return fd;
}

/* Catches: events that are lost without a trace; counters that wrap back (INV-ENV-4). */
TEST(ring__overflow_is_counted)
{
	struct exo_ring *ring;
	struct exo_event event;
	uint64_t env, seen = 0;
	unsigned int n = 0;
	int admin;

	t_need_root();
	admin = t_open();
	victim(&ring, &env);
	post(admin, env, EXO_RING_EVENTS + 100);
	ASSERT_EQ(ring->head, EXO_RING_EVENTS);
	ASSERT_EQ(ring->overflow, 100);
	while (t_event(ring, &seen, EXO_EVENT_REVOKE, 0, &event)) {
		n++;
		ASSERT_EQ(event.arg[0], n);
		ASSERT_EQ(event.arg[2], EXO_WHY_ADMIN);
		ASSERT_GT(event.arg[1], event.time_ns);
	}
	ASSERT_EQ(n, EXO_RING_EVENTS);
	post(admin, env, 1);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_REVOKE, 0, &event));
	ASSERT_EQ(event.arg[0], EXO_RING_EVENTS + 101);
	/* Sticky. */
	ASSERT_EQ(ring->overflow, 100);
}

/* Catches: indices read back from memory that user space writes (INV-ENV-4). */
TEST(ring__hostile_indices)
{
	static const uint64_t bad[] = { ~0ULL, 1ULL << 63, 1ULL << 32, 5000, 0xdeadbeef00000000ULL };
	struct exo_ring *ring;
	unsigned int i;
	uint64_t env;
	int admin;

	t_need_root();
	admin = t_open();
	victim(&ring, &env);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ring->tail = bad[i];
		ring->head = bad[i] ^ 0xff;
		ring->overflow = bad[i];
		post(admin, env, 20);
	}
	/* 100 events were posted, read or not: the module's own count says so. */
	ring->tail = ring->head;
	post(admin, env, 1);
	ASSERT_LE(ring->head, 101);
	ASSERT_LE(ring->overflow, 101);
	ASSERT_EQ(ring->head + ring->overflow, 101);
}

/* Catches: pollers that sleep for ever, or never. */
TEST(ring__poll)
{
	struct exo_ring *ring;
	struct pollfd pfd;
	uint64_t env;
	int admin, fd;
	pid_t pid;

	t_need_root();
	admin = t_open();
	fd = victim(&ring, &env);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	ASSERT_EQ(poll(&pfd, 1, 0), 0);
	post(admin, env, 1);
	ASSERT_EQ(poll(&pfd, 1, 0), 1);
	ASSERT_EQ(pfd.revents & POLLIN, POLLIN);
	ring->tail = ring->head;
	ASSERT_EQ(poll(&pfd, 1, 0), 0);
	pid = test_fork();
	if (!pid) {
		test_sleep_ms(100);
		post(admin, env, 1);
		_exit(0);
	}
	ASSERT_EQ(poll(&pfd, 1, test_limit_ms(10000)), 1);
	test_join(pid);
}

/* The eventfd is signalled by a worker; several events may be one signal. */
static bool signalled(int ev)
{
	struct pollfd pfd = { .fd = ev, .events = POLLIN };
	uint64_t count;

	if (poll(&pfd, 1, test_limit_ms(1000)) != 1)
		return false;
	ASSERT_EQ(read(ev, &count, 8), 8);
	return true;
}

/* Another eventfd from now on. The one before may have been signalled again since. */
static void replace(int fd, int old, int ev)
{
	struct exo_env_eventfd arg = { .size = sizeof(arg), .fd = ev };
	uint64_t count;

	ASSERT_EQ(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), 0);
	if (read(old, &count, 8) != 8)
		ASSERT_EQ(errno, EAGAIN);
}

/* Catches: an eventfd that is not signalled, not replaced, or not let go. */
TEST(ring__eventfd)
{
	struct exo_env_eventfd arg = { .size = sizeof(arg) };
	struct exo_ring *ring;
	uint64_t env, count;
	int admin, fd, ev, ev2;

	t_need_root();
	admin = t_open();
	fd = victim(&ring, &env);
	ev = eventfd(0, EFD_NONBLOCK);
	ev2 = eventfd(0, EFD_NONBLOCK);
	arg.fd = ev;
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), 0);
	post(admin, env, 3);
	ASSERT_TRUE(signalled(ev));
	replace(fd, ev, ev2);
	post(admin, env, 1);
	ASSERT_TRUE(signalled(ev2));
	ASSERT_EQ(read(ev, &count, 8), -1);
	replace(fd, ev2, -1);
	post(admin, env, 1);
	test_sleep_ms(100);
	ASSERT_EQ(read(ev2, &count, 8), -1);
	/* Not eventfds. */
	arg.fd = fd;
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), -EINVAL);
	arg.fd = 9999;
	ASSERT_NE(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), 0);
	arg.fd = -2;
	ASSERT_NE(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), 0);
	/* The ring signals also when it overflows. */
	arg.fd = ev;
	ASSERT_EQ(t_ioctl(fd, EXO_ENV_EVENTFD, &arg), 0);
	post(admin, env, EXO_RING_EVENTS + 10);
	ASSERT_TRUE(signalled(ev));
	/* The work of a post that came later than that signal. */
	test_sleep_ms(50);
	if (read(ev, &count, 8) != 8)
		ASSERT_EQ(errno, EAGAIN);
	post(admin, env, 1);
	ASSERT_TRUE(signalled(ev));
}

/* Catches: a ring that another process writes through after fork (it is not copied). */
TEST(ring__fork)
{
	int fd = t_open();
	struct exo_ring *ring = t_ring(fd);
	pid_t pid = test_fork();
	uint64_t value;

	if (!pid) {
		ASSERT_EQ(t_load(&ring->head, &value), SIGSEGV);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(t_load(&ring->head, &value), 0);
}
