// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"
#include "lib.h"

#define STATUS_SKIP 4

static struct test *tests;
static struct test **tests_end = &tests;
static uint64_t own_end_ns;	/* in a test: three quarters of its time are over */

/* Shared with the tests' processes. */
static struct {
	char skip[256];
	bool skipped;
	bool failed;
} *report;

uint32_t test_pool_frames __attribute__((weak)) = 2048;
uint32_t test_pool_huge __attribute__((weak)) = 0;
bool test_no_module __attribute__((weak)) = false;

void test_add(struct test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

unsigned int test_slow(void)
{
	static unsigned int slow;

	if (!slow)
		slow = access("/sys/kernel/debug/failslab", F_OK) &&
		       access("/sys/kernel/debug/kmemleak", F_OK) ? 1 : 6;
	return slow;
}

unsigned int test_patience(void)
{
	const char *env = getenv("EXO_TEST_PATIENCE");

	return env && atoi(env) > 0 ? (unsigned int)atoi(env) : 1;
}

unsigned int test_limit_ms(unsigned int ms)
{
	return ms * test_slow() * test_patience();
}

unsigned int test_rounds(unsigned int n, unsigned int d)
{
	const char *env = getenv("EXO_TEST_ROUNDS");

	if (env && atoi(env) > 0)
		return (unsigned int)atoi(env);
	return test_slow() > 1 ? n / d : n;
}

unsigned int test_core_rounds(unsigned int n, unsigned int d)
{
	struct utsname name;

	uname(&name);
	return strncmp(name.release, "6.1.", 4) && !getenv("EXO_TEST_ROUNDS") ? n / d : test_rounds(n, d);
}

bool test_late(uint64_t start_ns, unsigned int ms)
{
	uint64_t now = test_now_ns();

	if (getenv("EXO_TEST_ROUNDS"))
		return now > own_end_ns;
	return now - start_ns > ms * 1000000ULL * (test_slow() > 1 ? 2 : 1);
}

bool test_overdue(uint64_t start_ns, unsigned int ms)
{
	return test_now_ns() - start_ns > test_limit_ms(ms) * 1000000ULL;
}

uint64_t test_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void test_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

uint64_t test_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

uint64_t test_seed(void)
{
	const char *env = getenv("EXO_TEST_SEED");

	return env ? strtoull(env, NULL, 0) | 1 : 0x9e3779b97f4a7c15ULL;
}

void test_note(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	/* One write: lines of several processes don't mix. */
	dprintf(STDOUT_FILENO, "# %.*s\n", len, line);
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report->skip, sizeof(report->skip), fmt, ap);
	va_end(ap);
	report->skipped = true;
	_exit(STATUS_SKIP);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	test_note("%s:%d: %s", file, line, text);
	report->failed = true;
	_exit(1);
}

/* ---- children --------------------------------------------------------------------------------- */

pid_t test_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

pid_t test_spawn(void (*fn)(void *arg), void *arg)
{
	pid_t pid = test_fork();

	if (!pid) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

int test_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			FAIL("waitpid: %s", strerror(errno));
	return status;
}

void test_join(pid_t pid)
{
	int status = test_wait(pid);

	if (WIFSIGNALED(status))
		FAIL("a child died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == STATUS_SKIP && report->skipped)
		_exit(STATUS_SKIP);
	if (WEXITSTATUS(status))
		FAIL("a child ended with status %d", WEXITSTATUS(status));
}

void test_join_killed(pid_t pid, int sig)
{
	int status = test_wait(pid);

	if (!WIFSIGNALED(status))
		FAIL("a child ended with status %d, not of signal %d", WEXITSTATUS(status), sig);
	if (WTERMSIG(status) != sig)
		FAIL("a child died of signal %d, not %d", WTERMSIG(status), sig);
}

void test_sync_init(struct test_sync *sync)
{
	if (pipe(sync->fd))
		FAIL("pipe: %s", strerror(errno));
}

void test_sync_post(struct test_sync *sync)
{
	if (write(sync->fd[1], "", 1) != 1)
		FAIL("write to a pipe: %s", strerror(errno));
}

void test_sync_wait(struct test_sync *sync)
{
	struct pollfd pfd = { .fd = sync->fd[0], .events = POLLIN };
	char c;

	while (poll(&pfd, 1, 100) < 1)
		if (report->failed || report->skipped)
			_exit(report->failed ? 1 : STATUS_SKIP);
	if (read(sync->fd[0], &c, 1) != 1)
		FAIL("read from a pipe: %s", strerror(errno));
}

void *test_shared(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	return mem;
}

/* ---- what is in use before and after a test ------------------------------------------------------- */

struct usage {
	uint64_t taken;
	uint64_t envs;
};

/* Says what is wrong with the table, or NULL. It is exact only while nothing is going on. */
static const char *read_usage(struct usage *usage)
{
	struct exo_env_status *rows;
	struct exo_env_list list;
	struct exo_table *table;
	struct exo_info info;
	uint64_t present = 0, nr_free = 0, i;
	const char *wrong = NULL;
	int fd = open(t_device(), O_RDWR | O_CLOEXEC);

	memset(usage, 0, sizeof(*usage));
	if (fd < 0)
		return "/dev/exo can't be opened";
	t_info(fd, &info);
	table = mmap(NULL, info.out_table_bytes, PROT_READ, MAP_SHARED, fd, (off_t)EXO_MMAP_TABLE);
	if (table == MAP_FAILED) {
		close(fd);
		return "the frame table can't be mapped";
	}
	for (i = 0; i < table->frames; i++) {
		present += table->frame[i].state != EXO_FRAME_ABSENT;
		nr_free += table->frame[i].state == EXO_FRAME_FREE;
	}
	if (present != table->present || nr_free != table->free)
		wrong = "the table's totals are not the sum of its entries (INV-FRAME-8)";
	usage->taken = present - nr_free;
	munmap(table, info.out_table_bytes);

	rows = calloc(256, sizeof(*rows));
	if (rows) {
		memset(&list, 0, sizeof(list));
		list.size = sizeof(list);
		list.count = 256;
		list.envs = (uintptr_t)rows;
		list.row_size = sizeof(*rows);
		if (!t_ioctl(fd, EXO_ENV_LIST, &list))
			usage->envs = list.out_done;
		free(rows);
	}
	close(fd);
	return wrong;
}

/* Workers free what was pinned a moment ago, and the dead may still be dying: wait a little. */
static bool all_given_back(const struct usage *before)
{
	uint64_t until = test_now_ns() + test_limit_ms(5000) * 1000000ULL;
	struct usage after;
	const char *wrong;

	for (;;) {
		wrong = read_usage(&after);
		if (!wrong && after.taken <= before->taken && after.envs <= before->envs)
			return true;
		if (test_now_ns() > until)
			break;
		test_sleep_ms(20);
	}
	if (wrong)
		test_note("%s", wrong);
	if (after.taken > before->taken)
		test_note("%llu frames were not given back (INV-ENV-1)",
			  (unsigned long long)(after.taken - before->taken));
	if (after.envs > before->envs)
		test_note("%llu environments are left (INV-ENV-1)",
			  (unsigned long long)(after.envs - before->envs));
	return false;
}

/* ---- the runner ----------------------------------------------------------------------------------- */

static uint64_t limit_ns(const struct test *test)
{
	/* Who says how many rounds waits for them. */
	if (getenv("EXO_TEST_ROUNDS"))
		return 86400 * 1000000000ULL;
	return test->seconds * 1000000000ULL * test_slow() * test_patience();
}

static void run_child(const struct test *test)
{
	struct rlimit no_core = { 0, RLIM_INFINITY };

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	own_end_ns = test_now_ns() + limit_ns(test) / 4 * 3;
	test->fn();
	fflush(NULL);
	_exit(0);
}

/* Kill what the test left; as the subreaper we wait for its grandchildren, too. */
static void reap(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static bool run_one(const struct test *test, int number)
{
	uint64_t start = test_now_ns(), limit = limit_ns(test);
	struct usage before;
	bool late = false, ok;
	int status = 0;
	pid_t pid, got;

	memset(report, 0, sizeof(*report));
	if (!test_no_module)
		read_usage(&before);
	fflush(NULL);
	pid = fork();
	if (!pid)
		run_child(test);
	setpgid(pid, pid);
	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			break;
		if (test_now_ns() - start > limit) {
			late = true;
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		test_sleep_ms(test_now_ns() - start > 200000000 ? 10 : 1);
	}
	reap(pid);
	ok = !late && WIFEXITED(status) && !report->failed &&
	     (!WEXITSTATUS(status) || (WEXITSTATUS(status) == STATUS_SKIP && report->skipped));
	if (late)
		test_note("still running after %llu s", (unsigned long long)(limit / 1000000000));
	else if (WIFSIGNALED(status))
		test_note("died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (!test_no_module && !all_given_back(&before))
		ok = false;
	if (test_now_ns() - start > 5000000000ULL)
		test_note("took %llu s", (unsigned long long)((test_now_ns() - start) / 1000000000));
	if (ok && report->skipped)
		printf("ok %d %s # SKIP %s\n", number, test->name, report->skip);
	else
		printf("%s %d %s\n", ok ? "ok" : "not ok", number, test->name);
	fflush(stdout);
	return ok;
}

static bool wanted(const struct test *test, int argc, char **argv)
{
	const char *only = getenv("EXO_TEST_ONLY");
	int i;

	if (only && fnmatch(only, test->name, 0))
		return false;
	for (i = 1; i < argc; i++)
		if (!fnmatch(argv[i], test->name, 0))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int count = 0, number = 0, failed = 0;
	const struct test *test;
	char why[256];

	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (test = tests; test; test = test->next)
			puts(test->name);
		return 0;
	}
	printf("TAP version 13\n");
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		return 1;
	if (!test_no_module && !t_prepare(test_pool_frames, test_pool_huge, why, sizeof(why))) {
		printf("1..0 # SKIP %s\n", why);
		return STATUS_SKIP;
	}
	for (test = tests; test; test = test->next)
		count += wanted(test, argc, argv);
	printf("1..%d\n", count);
	for (test = tests; test; test = test->next)
		if (wanted(test, argc, argv))
			failed += !run_one(test, ++number);
	return failed ? 1 : 0;
}

static uint64_t mem_kib(const char *field)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long value = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ": %llu", &value);
	if (file)
		fclose(file);
	return value;
}

/* Pages that are free, but on a processor's own list: MemFree leaves them out, and it is tens of MiB. */
static uint64_t listed_kib(void)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	unsigned long long count, pages = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %llu", &count) == 1)
			pages += count;
	if (file)
		fclose(file);
	return pages * 4;
}

/*
 * Everything that is free or could be at once. Shrinking a slab cache gives its empty slabs back, and
 * on a kernel with KASAN the freed objects that it keeps back to catch late uses, which otherwise are up to
 * a 32nd of memory.
 */
uint64_t test_free_kib(void)
{
	glob_t caches;
	size_t i;

	t_write_file("/proc/sys/vm/drop_caches", "3");
	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches)) {
		for (i = 0; i < caches.gl_pathc; i++)
			t_write_file(caches.gl_pathv[i], "1");
		globfree(&caches);
	}
	return mem_kib("MemFree") + mem_kib("Cached") + listed_kib();
}
