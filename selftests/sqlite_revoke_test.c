// SPDX-License-Identifier: GPL-2.0
/*
 * libexo-sqlite while frames are asked back and taken: the same answers, in time, and nothing that was
 * written is lost.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <exo/libexo.h>

#include "sqlite_lib.h"

uint32_t test_pool_frames = 8192;

#define GUARANTEED 512

/* Waits until process pid holds at least so many frames. */
static struct exo_env_status wait_held(int fd, pid_t pid, uint32_t frames)
{
	struct exo_env_status st;
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		st = env_of(fd, pid);
		if (st.out_frames >= frames)
			return st;
		test_sleep_ms(10);
	}
	FAIL("process %d never held %u frames", (int)pid, frames);
}

/* Waits until what was asked of it is given or taken, or a while has passed. */
static struct exo_env_status wait_answered(int fd, pid_t pid)
{
	struct exo_env_status st = env_of(fd, pid);
	uint64_t start = test_now_ns();

	while (st.out_wanted && !test_overdue(start, 5000)) {
		test_sleep_ms(10);
		st = env_of(fd, pid);
	}
	return st;
}

struct squeeze {
	int fd;
	pid_t pid;
	uint64_t asked, given, taken;
};

/* Asks for random numbers of frames until the process is gone. */
static void squeeze_until_end(struct squeeze *squeeze)
{
	struct exo_env_status st;
	uint64_t seed = test_seed();
	uint32_t asked;
	int status;

	while (waitpid(squeeze->pid, &status, WNOHANG) == 0) {
		st = env_of(squeeze->fd, squeeze->pid);
		if (st.out_env) {
			squeeze->asked = st.out_asked;
			squeeze->given = st.out_given;
			squeeze->taken = st.out_taken;
			t_revoke(squeeze->fd, st.out_env, test_random(&seed) % 600 + 1,
				 test_limit_ms(10000), &asked);
		}
		test_sleep_ms(test_random(&seed) % 100);
	}
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void asked_while_busy(unsigned int page_size, int cache_size)
{
	const char *dir;
	uint64_t *digest = test_shared(sizeof(*digest)), expected;
	struct script script = { .journal = "wal" };
	struct squeeze squeeze = { 0 };
	struct job job;
	char path[96];

	t_need_root();
	dir = work_dir();
	snprintf(path, sizeof(path), "%s/db", dir);
	script.path = path;
	script.page_size = page_size;
	script.cache_size = cache_size;
	script.steps = test_rounds(30, 6);
	script.seed = test_seed();
	expected = stock_digest(&script);
	squeeze.fd = t_open();
	job = (struct job){ script, digest, 0, false };
	squeeze.pid = test_spawn(run_job, &job);
	squeeze_until_end(&squeeze);
	test_note("asked %llu, given %llu, taken %llu", (unsigned long long)squeeze.asked,
		  (unsigned long long)squeeze.given, (unsigned long long)squeeze.taken);
	ASSERT_EQ(*digest, expected);
	ASSERT_GT(squeeze.asked, 0);
	ASSERT_GT(squeeze.given, 0);
	ASSERT_EQ(squeeze.taken, 0);
	remove_dir(dir);
}

/* Catches: dropping what is in use, and requests that are not met in time while SQLite works. */
TEST_LONG(asked_while_busy__same_answers, 120)
{
	asked_while_busy(4096, 3000);
}

/* Catches: a frame that goes although one of the pages in it is in use. */
TEST_LONG(asked_while_busy__small_pages, 120)
{
	asked_while_busy(512, 8000);
}

struct idle {
	const char *dir;
	char path[96];
	struct test_sync ready;
	struct test_sync go;
	bool first;	/* run before the library's own thread */
	bool dirty;
};

/*
 * From here on the calling thread runs whenever it can, and the library's thread only when it
 * can't.
 */
static void run_before_service(void)
{
	struct sched_param first = { .sched_priority = 1 };
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_TRUE(tasks);
	while ((task = readdir(tasks)))
		if (task->d_name[0] != '.')
			ASSERT_EQ(sched_setaffinity(atoi(task->d_name), sizeof(cpu), &cpu), 0);
	closedir(tasks);
	ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO, &first), 0);
}

static void run_idle(void *arg)
{
	struct idle *idle = arg;
	uint64_t before = DIGEST_START, after = DIGEST_START;
	sqlite3 *db;

	install(0);
	db = db_open(idle->path);
	fill(db, 6000);
	sql(db, &before, "SELECT count(*), sum(length(b)) FROM t");
	if (idle->dirty)
		sql(db, NULL, "BEGIN; UPDATE t SET b=b||'y' WHERE id<400");
	if (idle->first)
		run_before_service();
	test_sync_post(&idle->ready);
	test_sync_wait(&idle->go);
	sql(db, &after, "SELECT count(*), sum(length(b)) FROM t");
	ASSERT_EQ(before, after);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static pid_t start_idle(struct idle *idle)
{
	pid_t pid;

	idle->dir = work_dir();
	snprintf(idle->path, sizeof(idle->path), "%s/db", idle->dir);
	test_sync_init(&idle->ready);
	test_sync_init(&idle->go);
	pid = test_spawn(run_idle, idle);
	test_sync_wait(&idle->ready);
	return pid;
}

/* Catches: a cache that gives back only when SQLite happens to call it. */
TEST_LONG(asked_while_idle__given_in_time, 60)
{
	struct exo_env_status st;
	struct idle idle = { 0 };
	uint32_t asked;
	pid_t pid;
	int fd;

	t_need_root();
	fd = t_open();
	pid = start_idle(&idle);
	st = wait_held(fd, pid, 1000);
	ASSERT_EQ(t_revoke(fd, st.out_env, 800, test_limit_ms(20000), &asked), 0);
	ASSERT_EQ(asked, 800);
	st = wait_answered(fd, pid);
	ASSERT_EQ(st.out_wanted, 0);
	ASSERT_EQ(st.out_taken, 0);
	ASSERT_GE(st.out_given, 800);
	test_sync_post(&idle.go);
	test_join(pid);
	remove_dir(idle.dir);
}

/* Catches: a cache that returns a page whose frame was taken. */
TEST_LONG(stopped_over_the_deadline__reads_again, 60)
{
	struct exo_env_status st;
	struct idle idle = { .first = true };
	uint32_t asked;
	int fd, status;
	pid_t pid;

	t_need_root();
	fd = t_open();
	pid = start_idle(&idle);
	st = wait_held(fd, pid, 1000);
	kill(pid, SIGSTOP);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(t_revoke(fd, st.out_env, 700, 100, &asked), 0);
	ASSERT_EQ(wait_answered(fd, pid).out_taken, 700);
	/* It reads before the library's thread has seen the log. */
	test_sync_post(&idle.go);
	kill(pid, SIGCONT);
	test_join(pid);
	remove_dir(idle.dir);
}

/* Catches: a process that goes on with pinned pages whose content is gone. */
TEST_LONG(pinned_and_taken__dies_and_recovers, 60)
{
	uint64_t digest = DIGEST_START, expected = DIGEST_START;
	struct exo_env_status st;
	struct idle idle = { .dirty = true };
	uint32_t asked, min;
	sqlite3 *db;
	int fd, status;
	pid_t pid;

	t_need_root();
	fd = t_open();
	min = guarantee(fd, GUARANTEED);
	pid = start_idle(&idle);
	st = wait_held(fd, pid, 1000);
	kill(pid, SIGSTOP);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	guarantee(fd, 0);
	ASSERT_EQ(t_revoke(fd, st.out_env, st.out_frames, 100, &asked), 0);
	ASSERT_EQ(asked, st.out_frames);
	wait_answered(fd, pid);
	test_sync_post(&idle.go);
	kill(pid, SIGCONT);
	status = test_wait(pid);
	guarantee(fd, min);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_TRUE(WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGBUS);

	db = db_open(idle.path);
	sql(db, &digest, "SELECT count(*), sum(length(b)) FROM t");
	sql(db, &expected,
	    "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<6000) "
	    "SELECT 6000, sum(900+length(i)) FROM c");
	ASSERT_EQ(digest, expected);
	check_integrity(db);
	sqlite3_close(db);
	remove_dir(idle.dir);
}

/* ---- a frame that comes back while it is being given back ---------------------------------------------- */

static struct {
	int fd;			/* an environment that has all other frames */
	pthread_t giver;	/* the thread that is stopped in the middle; 0: none */
	pthread_mutex_t lock;	/* held while the others are to wait */
	sqlite3 *db;
} aba = { .lock = PTHREAD_MUTEX_INITIALIZER };

int __real_exo_mem_free(struct exo_env *env, const uint32_t *frames, uint32_t count, uint32_t *out_done);
int __wrap_exo_mem_free(struct exo_env *env, const uint32_t *frames, uint32_t count, uint32_t *out_done);

static void *fill_another(void *arg)
{
	fill(aba.db, 2000);
	return NULL;
}

/*
 * Between the library's look at its frames and its giving them back. Nearly all are taken by force, those
 * that are bound nowhere first, and somebody uses the cache, and may get them. None of those that were
 * taken is given back.
 */
int __wrap_exo_mem_free(struct exo_env *env, const uint32_t *frames, uint32_t count, uint32_t *out_done)
{
	struct exo_env_status st;
	pthread_t user;
	uint32_t asked, done = 0;
	int ret;

	if (!aba.giver || !pthread_equal(aba.giver, pthread_self())) {
		pthread_mutex_lock(&aba.lock);
		pthread_mutex_unlock(&aba.lock);
		return __real_exo_mem_free(env, frames, count, out_done);
	}
	aba.giver = 0;
	st = env_of(aba.fd, getpid());
	ASSERT_EQ(t_revoke(aba.fd, st.out_env, st.out_frames, 1, &asked), 0);
	ASSERT_GE(asked, st.out_frames / 2);
	/* Asked itself the library gives some, which wait, too. Then its rest is over. */
	ASSERT_EQ(wait_answered(aba.fd, getpid()).out_taken, st.out_taken + asked);
	test_sleep_ms(1500);
	ASSERT_EQ(pthread_create(&user, NULL, fill_another, NULL), 0);
	pthread_join(user, NULL);
	ret = __real_exo_mem_free(env, frames, count, &done);
	ASSERT_EQ(ret, -EACCES);
	ASSERT_EQ(done, 0);
	*out_done = done;
	pthread_mutex_unlock(&aba.lock);
	return ret;
}

/* Catches: a frame that is given back under the page that it has been given to since. */
TEST_LONG(taken_while_giving__not_given_twice, 60)
{
	static uint32_t some[1024];
	uint32_t min, done;
	char path[96];
	const char *dir;
	sqlite3 *db;

	t_need_root();
	dir = work_dir();
	aba.fd = t_open();
	min = guarantee(aba.fd, GUARANTEED);
	/* The library's environment is the first of this process. */
	close(aba.fd);
	install(0);
	snprintf(path, sizeof(path), "%s/one", dir);
	db = db_open(path);
	fill(db, 4000);
	aba.fd = t_open();
	snprintf(path, sizeof(path), "%s/two", dir);
	aba.db = db_open(path);
	while (!t_alloc(aba.fd, EXO_ALLOC_ANY, some, 1024, &done))
		;
	pthread_mutex_lock(&aba.lock);
	aba.giver = pthread_self();
	sqlite3_db_release_memory(db);
	ASSERT_EQ(aba.giver, 0);
	sqlite3_close(db);
	sqlite3_close(aba.db);
	guarantee(aba.fd, min);
	remove_dir(dir);
}
