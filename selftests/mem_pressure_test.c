// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure: Linux wants memory back (the shrinker), or was about to kill somebody for it (OOM).
 * A hog takes memory until something happens. Only in a machine that is there to be tested: set
 * EXO_TEST_PRESSURE=1, or run in the harness's guest. The OOM killer may well come; it takes the hog.
 */
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 4096;

#define CHUNK (4UL << 20)

static int fd;
static struct exo_ring *ring;
static uint64_t seen;
static uint32_t *frames;
static uint32_t nr;
static const struct exo_table *table;

static uint64_t mem_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

/* Until memory is full: on a slow kernel that takes a while. */
static uint64_t patience_ns(void)
{
	return 60000000000ULL * (test_slow() > 1 ? 4 : 1) * test_patience();
}

static struct exo_env_status status(void)
{
	struct exo_env_status st;

	t_status(fd, &st);
	/* INV-REV-4 */
	ASSERT_EQ(st.out_asked, st.out_given + st.out_taken + st.out_wanted);
	return st;
}

/*
 * A large machine takes long to fill: all but half a GiB of it becomes huge pages that nobody uses. Linux
 * gets these fast.
 */
static void ballast(bool on)
{
	uint64_t available, keep = 512UL << 20;
	char text[24];

	t_write_file("/proc/sys/vm/nr_hugepages", "0");
	available = mem_available();
	snprintf(text, sizeof(text), "%llu", on && available > keep + (64UL << 20) ?
		 (unsigned long long)(available - keep) >> 21 : 0ULL);
	t_write_file("/proc/sys/vm/nr_hugepages", text);
}

static void may_starve(void)
{
	t_need_root();
	if (!getenv("EXO_TEST_PRESSURE") && access("/etc/vm/cmd", F_OK))
		SKIP("would starve this machine: set EXO_TEST_PRESSURE=1");
}

/* A third of the machine's memory in one environment, every frame bound and written. */
static void setup(void)
{
	uint32_t have, wanted, done;
	uint64_t third;

	may_starve();
	ballast(true);
	fd = t_open();
	table = t_table(fd);
	third = mem_available() / 3 / PAGE;
	have = (uint32_t)(table->free - table->free_huge * 512);
	if (have < third)
		t_pool(fd, EXO_POOL_GROW, (uint32_t)third - have, NULL);
	wanted = (uint32_t)(table->free - table->free_huge * 512);
	frames = calloc(wanted, sizeof(*frames));
	/* Linux may still want some of them for the ballast. */
	for (nr = 0; nr < wanted; nr += done)
		if (t_alloc(fd, EXO_ALLOC_ANY, frames + nr, wanted - nr < 1000 ? wanted - nr : 1000, &done))
			break;
	ASSERT_GE(nr, third / 2);
	ring = t_ring(fd);
}

static void give_pool_back(void)
{
	close(fd);
	ballast(false);
}

/*
 * Catches: a pool that gets no 2 MiB frames because of pages here and there that compaction leaves alone,
 * which the kernel can move all the same. The first test: frames of a pool that was lent and fetched back stand
 * about everywhere, and can't be moved.
 */
TEST_LONG(grow__moves_pages_out_of_the_way, 90)
{
	uint64_t len, i, want;
	uint32_t done;
	char *mem;

	t_need_root();
	if (!getenv("EXO_TEST_PRESSURE") && access("/etc/vm/cmd", F_OK))
		SKIP("would starve this machine: set EXO_TEST_PRESSURE=1");
	ballast(true);
	fd = t_open();
	ASSERT_EQ(t_write_file("/proc/sys/vm/compact_unevictable_allowed", "0"), 0);
	len = mem_available() * 3 / 4 >> 21 << 21;
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	madvise(mem, len, MADV_NOHUGEPAGE);
	for (i = 0; i < len; i += PAGE)
		mem[i] = 1;
	/* Four in every 2 MiB stay. */
	for (i = 0; i < len; i += 128 * PAGE) {
		ASSERT_EQ(mlock(mem + i, PAGE), 0);
		ASSERT_EQ(madvise(mem + i + PAGE, 127 * PAGE, MADV_DONTNEED), 0);
	}
	want = len * 7 / 8 >> 21;
	t_pool(fd, EXO_POOL_GROW | EXO_POOL_HUGE, (uint32_t)want * 512, &done);
	test_note("%u of %llu 2 MiB frames; %llu MiB are still available", done / 512, (unsigned long long)want,
		  (unsigned long long)mem_available() >> 20);
	ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK | EXO_POOL_HUGE, done, NULL), 0);
	t_write_file("/proc/sys/vm/compact_unevictable_allowed", "1");
	munmap(mem, len);
	/* Some stay that nobody can move; without moving it is two thirds at most. */
	ASSERT_GE(done / 512, want * 7 / 10);
	give_pool_back();
}

/* Takes memory, chunk by chunk, until it is told to stop or is killed. */
static pid_t start_hog(volatile bool *stop, unsigned int us)
{
	pid_t pid = test_fork();

	if (!pid) {
		t_write_file("/proc/self/oom_score_adj", "1000");
		while (!*stop) {
			char *mem = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (mem != MAP_FAILED)
				memset(mem, 1, CHUNK);
			usleep(us);
		}
		_exit(0);
	}
	return pid;
}

/* False once it has ended, of the OOM killer mostly: *hog is 0 then. */
static bool hog_lives(pid_t *hog)
{
	if (*hog && waitpid(*hog, NULL, WNOHANG) == *hog)
		*hog = 0;
	return *hog;
}

static void end_hog(pid_t pid)
{
	if (!pid)
		return;
	kill(pid, SIGKILL);
	test_wait(pid);
}

/* Catches: a shrinker that never asks; owners who give and are robbed all the same (INV-REV-1). */
TEST_LONG(pressure__asked_and_given, 90)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE, .uid = getuid(), .deadline_ms = 10000 };
	volatile bool *stop = test_shared(PAGE);
	uint64_t until = test_now_ns() + patience_ns();
	struct exo_event event;
	uint32_t given = 0, requests = 0, old;
	pid_t hog;

	setup();
	old = t_quota(fd, getuid()).deadline_ms;
	test_note("%u frames held, %llu MiB available", nr, (unsigned long long)mem_available() >> 20);
	t_quota_set(fd, &quota);
	/* Slowly: who is asked shall have the time that it was promised. */
	hog = start_hog(stop, 20000);
	while (test_now_ns() < until && given < 2000 && hog_lives(&hog)) {
		uint32_t want;

		if (!t_event(ring, &seen, EXO_EVENT_REVOKE, 100, &event))
			continue;
		requests++;
		ASSERT_TRUE(event.arg[2] == EXO_WHY_PRESSURE || event.arg[2] == EXO_WHY_OOM);
		ASSERT_GT(event.arg[0], 0);
		want = status().out_wanted;
		while (want && nr) {
			uint32_t n = want > 1000 ? 1000 : want;

			n = n > nr ? nr : n;
			if (t_free(fd, frames + nr - n, n, NULL))
				break;		/* taken already */
			nr -= n;
			given += n;
			want -= n;
		}
	}
	*stop = true;
	test_note("%u requests, %u frames given, %llu taken", requests, given,
		  (unsigned long long)status().out_taken);
	end_hog(hog);
	quota.deadline_ms = old;
	t_quota_set(fd, &quota);
	ASSERT_GT(requests, 0);
	ASSERT_GT(status().out_given, 0);
	give_pool_back();
}

/* Catches: a deaf owner who keeps all; frames that are taken without a word in the log (INV-REV-3). */
TEST_LONG(pressure__deaf, 90)
{
	static struct exo_mem_taken log[1000];
	volatile bool *stop = test_shared(PAGE);
	uint64_t until = test_now_ns() + patience_ns(), logged = 0;
	struct exo_env_status st;
	pid_t hog;
	int got;

	setup();
	hog = start_hog(stop, 2000);
	do {
		test_sleep_ms(20);
		st = status();
	} while (test_now_ns() < until && st.out_taken < 2000 && hog_lives(&hog));
	*stop = true;
	end_hog(hog);
	st = status();
	test_note("%llu asked, %llu taken", (unsigned long long)st.out_asked,
		  (unsigned long long)st.out_taken);
	ASSERT_GT(st.out_taken, 0);
	ASSERT_EQ(st.out_given, 0);
	while ((got = t_log(fd, log, 1000, NULL)) > 0) {
		int i;

		for (i = 0; i < got; i++)
			ASSERT_TRUE(log[i].why == EXO_WHY_PRESSURE || log[i].why == EXO_WHY_OOM);
		logged += (uint64_t)got;
	}
	ASSERT_GE(logged, st.out_taken);
	/* The guaranteed minimum is there (INV-REV-2). */
	ASSERT_GE(status().out_frames, t_quota(fd, getuid()).min);
	give_pool_back();
}

/* Catches: a machine that dies while frames lie idle: the hog is fast, deadlines are long (INV-REV-5). */
TEST_LONG(oom__deadlines_are_cut, 90)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE, .uid = getuid(), .deadline_ms = 600000 };
	volatile bool *stop = test_shared(PAGE);
	uint64_t until = test_now_ns() + patience_ns(), start;
	struct exo_env_status st;
	uint32_t old;
	pid_t hog;

	setup();
	old = t_quota(fd, getuid()).deadline_ms;
	t_quota_set(fd, &quota);
	hog = start_hog(stop, 0);
	do {
		test_sleep_ms(20);
		st = status();
	} while (test_now_ns() < until && !st.out_taken && hog_lives(&hog));
	start = test_now_ns();
	while (!st.out_taken && !test_overdue(start, 1000)) {
		test_sleep_ms(5);
		st = status();
	}
	*stop = true;
	end_hog(hog);
	quota.deadline_ms = old;
	t_quota_set(fd, &quota);
	test_note("%llu asked, %llu taken", (unsigned long long)st.out_asked,
		  (unsigned long long)st.out_taken);
	ASSERT_GT(st.out_asked, 0);
	ASSERT_GT(st.out_taken, 0);
	give_pool_back();
}

/* How many frames are held, and could have been had, when the OOM killer acts. */
static uint32_t held_at_last(void)
{
	volatile bool *stop = test_shared(PAGE);
	uint64_t until = test_now_ns() + patience_ns();
	uint32_t held, min;
	pid_t hog;

	setup();
	hog = start_hog(stop, 0);
	while (hog_lives(&hog) && test_now_ns() < until)
		test_sleep_ms(5);
	held = status().out_frames;
	min = t_quota(fd, getuid()).min;
	*stop = true;
	test_note("the hog was %s when %u of %u frames were held, %llu free", hog ? "still there" : "killed", held, nr,
		  (unsigned long long)table->free);
	ASSERT_EQ(hog, 0);
	give_pool_back();
	return held > min ? held - min : 0;
}

/* Catches: an OOM killer that acts while exo has frames that it could have had (INV-REV-5). */
TEST_LONG(oom__last_resort, 90)
{
	uint32_t tries, held;

	/*
	 * What the kill overtook. It takes many rounds to get there, in each of which exo is waited for no longer than
	 * a second: a machine that stands still so long is no fault of exo's, but not every time.
	 */
	for (tries = 0; tries < 3; tries++) {
		held = held_at_last();
		if (held <= 512)
			break;
	}
	ASSERT_LE(held, 512);
}

/* Catches: free frames that Linux can't borrow, or that never come back (target). */
TEST_LONG(pressure__idle_frames_are_lent, 90)
{
	volatile bool *stop = test_shared(PAGE);
	uint64_t until = test_now_ns() + patience_ns(), before;
	uint32_t done = 0, i = 0;
	pid_t hog;

	setup();
	for (i = 0; i < nr; i += 1000)
		ASSERT_EQ(t_free(fd, frames + i, nr - i < 1000 ? nr - i : 1000, NULL), 0);
	before = table->present;
	hog = start_hog(stop, 1000);
	while (test_now_ns() < until && table->present + 1000 > before && hog_lives(&hog))
		test_sleep_ms(5);
	*stop = true;
	test_note("%llu of %llu frames are left", (unsigned long long)table->present,
		  (unsigned long long)before);
	ASSERT_LT(table->present, before);
	end_hog(hog);
	ASSERT_GE(table->target, before);
	/* On demand, when Linux has had them for a while. */
	until = test_now_ns() + test_limit_ms(10000) * 1000000ULL;
	for (i = 0; i < nr && test_now_ns() < until; i += done)
		if (t_alloc(fd, EXO_ALLOC_ANY, frames + i, nr - i < 1000 ? nr - i : 1000, &done))
			test_sleep_ms(50);
	test_note("%u of %u allocated again", i, nr);
	ASSERT_GE(i, nr / 2);
	give_pool_back();
}

/* Give back those that were not taken meanwhile. */
static void free_left(int mine, const uint32_t *some, uint32_t n)
{
	uint32_t i, done, count;

	for (i = 0; i < n; i += done + (done < count)) {
		count = n - i < 1024 ? n - i : 1024;
		t_free(mine, some + i, count, &done);
	}
}

/* Allocates all that there is and gives it back, over and over. */
static pid_t start_looper(volatile bool *stop)
{
	pid_t pid = test_fork();

	if (!pid) {
		uint32_t *some = calloc(65536, sizeof(*some));
		int mine = t_open();

		t_write_file("/proc/self/oom_score_adj", "-1000");
		while (!*stop) {
			uint32_t done, n = 0;
			int ret = 0;

			while (!ret && n + 1024 <= 65536) {
				done = 0;
				ret = t_alloc(mine, EXO_ALLOC_ANY, some + n, 1024, &done);
				n += done;
			}
			free_left(mine, some, n);
		}
		_exit(0);
	}
	return pid;
}

/*
 * How many frames the pool fetched back less than a second after it lent some, until the hog is gone. A frame
 * may be on its way when others go. What is between two looks counts as the longest that it can be.
 */
static uint32_t watch_refill(pid_t hog, uint64_t until, bool *gone)
{
	uint64_t lent = 0, prev = test_now_ns(), now;
	uint32_t was = (uint32_t)table->present, is, back = 0;

	do {
		test_sleep_ms(1);
		*gone = waitpid(hog, NULL, WNOHANG) == hog;
		is = (uint32_t)table->present;
		now = test_now_ns();
		if (is < was)
			lent = prev;
		else if (lent && now < lent + 1000000000)
			back += is - was;
		was = is;
		prev = now;
	} while (!*gone && now < until);
	return back;
}

/*
 * Catches: frames that go to Linux and come back at once, so that the OOM killer finds again and again that
 * something was freed, and kills nobody.
 */
TEST_LONG(oom__alloc_and_free_in_a_loop, 90)
{
	volatile bool *stop = test_shared(PAGE);
	uint64_t begin;
	pid_t hog, loopers[2];
	uint32_t i, back;
	bool gone;

	setup();
	for (i = 0; i < nr; i += 1000)
		ASSERT_EQ(t_free(fd, frames + i, nr - i < 1000 ? nr - i : 1000, NULL), 0);
	for (i = 0; i < 2; i++)
		loopers[i] = start_looper(stop);
	begin = test_now_ns();
	hog = start_hog(stop, 0);
	back = watch_refill(hog, begin + patience_ns(), &gone);
	test_note("the hog was %s after %llu ms; %u frames came back too early", gone ? "killed" : "still there",
		  (unsigned long long)(test_now_ns() - begin) / 1000000, back);
	*stop = true;
	if (!gone)
		end_hog(hog);
	for (i = 0; i < 2; i++)
		test_join(loopers[i]);
	ASSERT_TRUE(gone);
	ASSERT_LE(back, 1024);
	give_pool_back();
}

/*
 * Catches: Linux borrows the idle frames, and until somebody allocates, no other user can open the
 * device. Nothing is fetched back within a second (INV-ENV-6).
 */
TEST(pressure__minimum_of_borrowed_frames)
{
	uint32_t mine[64];

	may_starve();
	t_write_file("/proc/sys/vm/drop_caches", "3");
	test_sleep_ms(1100);
	t_become(ALICE);
	t_alloc_any(t_open(), mine, 64);
}
