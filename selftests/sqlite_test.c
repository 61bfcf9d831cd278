// SPDX-License-Identifier: GPL-2.0
/*
 * libexo-sqlite: the same random SQL gives the same answers as with SQLite's own page cache,
 * whatever the page size, however small the cache, while frames are asked back and taken, from many
 * threads.
 *
 * Every test runs in a process of its own, so that each can set SQLite up in its own way.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include <exo/sqlite.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 8192;

#define DIGEST_START 0xcbf29ce484222325ULL
#define GUARANTEED 512

static uint64_t digest_text(uint64_t digest, const char *text)
{
	for (; *text; text++)
		digest = (digest ^ (unsigned char)*text) * 0x100000001b3ULL;
	return (digest ^ '\n') * 0x100000001b3ULL;
}

/* A directory for databases, emptied. */
static const char *work_dir(void)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/exo-sqlite-test.%d", (int)getpid());
	ASSERT_EQ(mkdir(dir, 0777), 0);
	ASSERT_EQ(chmod(dir, 0777), 0);
	return dir;
}

static void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ASSERT_EQ(system(command), 0);
}

static void guarantee(int fd, uint32_t frames)
{
	struct exo_quota quota = {
		.size = sizeof(quota),
		.flags = EXO_QUOTA_MIN,
		.uid = getuid(),
		.min = frames,
	};

	t_quota_set(fd, &quota);
}

static void install(uint32_t frames)
{
	struct exo_sqlite_opts opts = { .sz = sizeof(opts), .frames = frames };

	ASSERT_EQ(exo_sqlite_install(&opts), 0);
}

static struct exo_sqlite_stats stats_now(void)
{
	struct exo_sqlite_stats stats;

	ASSERT_EQ(exo_sqlite_stats(&stats, sizeof(stats)), 0);
	return stats;
}

/* ---- SQL ----------------------------------------------------------------------------------- */

static sqlite3 *db_open(const char *path)
{
	sqlite3 *db;

	ASSERT_EQ(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 20000);
	return db;
}

static int add_row(void *arg, int columns, char **values, char **names)
{
	uint64_t *digest = arg;
	int i;

	for (i = 0; i < columns; i++)
		*digest = digest_text(*digest, values[i] ? values[i] : "NULL");
	return 0;
}

/* The result's rows go into the digest. An error is a result, too. */
static void sql(sqlite3 *db, uint64_t *digest, const char *fmt, ...)
{
	uint64_t sink = DIGEST_START;
	char *text, *error = NULL;
	va_list ap;
	int ret;

	va_start(ap, fmt);
	text = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	ret = sqlite3_exec(db, text, add_row, digest ? digest : &sink, &error);
	if (ret != SQLITE_OK && ret != SQLITE_CONSTRAINT)
		FAIL("%s: %s", text, error);
	sqlite3_free(error);
	sqlite3_free(text);
}

static void check_integrity(sqlite3 *db)
{
	sqlite3_stmt *stmt;

	ASSERT_EQ(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
	ASSERT_EQ(sqlite3_step(stmt), SQLITE_ROW);
	if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok"))
		FAIL("integrity_check: %s", sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}

struct script {
	const char *path;
	const char *journal;
	unsigned int page_size;
	int cache_size;
	unsigned int steps;
	uint64_t seed;
};

static void random_write(sqlite3 *db, uint64_t *digest, uint64_t *seed)
{
	unsigned int r = test_random(seed) % 100, n = test_random(seed) % 300 + 1;
	unsigned int at = test_random(seed) % 5000;

	if (r < 45)
		sql(db, digest,
		    "WITH RECURSIVE c(i) AS (VALUES(0) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
		    "INSERT OR REPLACE INTO t SELECT (%u+i*7)%%5000, i*%u, "
		    "printf('%%.*c', (i*31)%%900, 'x')||i FROM c", n, at, n);
	else if (r < 60)
		sql(db, digest, "UPDATE t SET b=b||'%u', a=a+%u WHERE id BETWEEN %u AND %u", n, r,
		    at, at + n);
	else if (r < 75)
		sql(db, digest, "DELETE FROM t WHERE id BETWEEN %u AND %u", at, at + n);
	else if (r < 85)
		sql(db, digest, "INSERT OR REPLACE INTO big VALUES(%u, printf('%%.*c', %u, 'y'))",
		    at % 20, n * 400);
	else if (r < 95)
		sql(db, digest, "INSERT INTO mem.s SELECT id, a FROM t WHERE id%%%u=0", n % 50 + 2);
	else
		sql(db, digest, "DELETE FROM mem.s");
}

static void random_read(sqlite3 *db, uint64_t *digest, uint64_t *seed)
{
	unsigned int r = test_random(seed) % 6, at = test_random(seed) % 5000;

	switch (r) {
	case 0:
		sql(db, digest, "SELECT count(*), sum(a), sum(length(b)) FROM t");
		break;
	case 1:
		sql(db, digest, "SELECT * FROM t WHERE id>=%u ORDER BY id LIMIT 20", at);
		break;
	case 2:
		sql(db, digest, "SELECT id FROM t WHERE a>%u ORDER BY a, id LIMIT 50", at);
		break;
	case 3:
		sql(db, digest, "SELECT id, length(v), substr(v, 5000, 3) FROM big ORDER BY id");
		break;
	case 4:
		sql(db, digest, "SELECT count(*), sum(a) FROM mem.s JOIN t USING(a)");
		break;
	default:
		sql(db, digest,
		    "SELECT substr(b, 1, 3) k, count(*) FROM t GROUP BY k ORDER BY k LIMIT 30");
	}
}

/* Random statements, the same for the same seed: a digest of all they returned. */
static uint64_t run_script(const struct script *script)
{
	uint64_t digest = DIGEST_START, seed = script->seed;
	sqlite3 *db = db_open(script->path);
	unsigned int i, k, n;

	sql(db, NULL, "PRAGMA page_size=%u; PRAGMA auto_vacuum=incremental", script->page_size);
	sql(db, NULL, "PRAGMA journal_mode=%s; PRAGMA cache_size=%d; PRAGMA synchronous=off",
	    script->journal, script->cache_size);
	sql(db, NULL, "ATTACH ':memory:' AS mem; CREATE TABLE mem.s(id, a)");
	sql(db, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE INDEX ta ON t(a);"
		      "CREATE TABLE big(id INTEGER PRIMARY KEY, v)");
	for (i = 0; i < script->steps; i++) {
		sql(db, NULL, "BEGIN");
		n = test_random(&seed) % 6 + 1;
		for (k = 0; k < n; k++) {
			random_write(db, &digest, &seed);
			if (k == 2)
				sql(db, NULL, "SAVEPOINT s");
			random_read(db, &digest, &seed);
		}
		if (n > 3 && test_random(&seed) % 3 == 0)
			sql(db, NULL, "ROLLBACK TO s");
		sql(db, NULL, test_random(&seed) % 4 ? "COMMIT" : "ROLLBACK");
		random_read(db, &digest, &seed);
		if (test_random(&seed) % 8 == 0)
			sql(db, NULL, "PRAGMA incremental_vacuum(20)");
		if (test_random(&seed) % 20 == 0)
			sql(db, NULL, "VACUUM");
		if (test_random(&seed) % 10 == 0)
			sqlite3_db_release_memory(db);
	}
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	return digest;
}

struct job {
	struct script script;
	uint64_t *digest;	/* shared */
	uint32_t frames;
	bool stock;
};

static void run_job(void *arg)
{
	const struct job *job = arg;

	if (!job->stock)
		install(job->frames);
	*job->digest = run_script(&job->script);
}

/* The digest of the script with SQLite's own cache. */
static uint64_t stock_digest(const struct script *script)
{
	uint64_t *digest = test_shared(sizeof(*digest));
	struct job job = { *script, digest, 0, true };

	test_join(test_spawn(run_job, &job));
	unlink(script->path);
	return *digest;
}

static void same_as_stock(unsigned int page_size, int cache_size, const char *journal,
			  uint32_t frames)
{
	const char *dir = work_dir();
	uint64_t *digest = test_shared(sizeof(*digest));
	struct script script = {
		.journal = journal,
		.page_size = page_size,
		.cache_size = cache_size,
		.steps = test_rounds(30, 6),
		.seed = test_seed(),
	};
	struct job job;
	char path[96];
	uint64_t expected;

	snprintf(path, sizeof(path), "%s/db", dir);
	script.path = path;
	expected = stock_digest(&script);
	job = (struct job){ script, digest, frames, false };
	test_join(test_spawn(run_job, &job));
	ASSERT_EQ_FOR(*digest, expected, "page size %u, cache %d, %s, limit %u", page_size,
		      cache_size, journal, frames);
	remove_dir(dir);
}

/* Catches: a page that loses or mixes its content, for every layout of pages in frames. */
TEST_LONG(page_512__same_answers, 90)
{
	same_as_stock(512, 200, "delete", 0);
}

TEST_LONG(page_1024__same_answers, 90)
{
	same_as_stock(1024, 60, "wal", 0);
}

TEST_LONG(page_4096__same_answers, 90)
{
	same_as_stock(4096, 2000, "wal", 0);
}

TEST_LONG(page_16384__same_answers, 90)
{
	same_as_stock(16384, 40, "delete", 0);
}

TEST_LONG(page_65536__same_answers, 90)
{
	same_as_stock(65536, 100, "wal", 0);
}

/* Catches: pages that are recycled while in use, when hardly any may be kept. */
TEST_LONG(cache_of_ten__same_answers, 90)
{
	same_as_stock(4096, 10, "delete", 0);
}

/* Catches: a limit that is not kept, or that breaks large pages. */
TEST_LONG(limit_of_24__same_answers, 90)
{
	same_as_stock(8192, 500, "delete", 24);
}

/*
 * Catches: pages that are lost when there is nothing guaranteed and all pinned ones are elsewhere.
 */
TEST_LONG(nothing_guaranteed__same_answers, 90)
{
	int fd;

	t_need_root();
	fd = t_open();
	guarantee(fd, 0);
	same_as_stock(4096, 500, "delete", 0);
	guarantee(fd, 64);
}

/* ---- revocation ---------------------------------------------------------------------------- */

/* The environment that the library in this process, or in process pid, has open. */
static struct exo_env_status env_of(int fd, pid_t pid)
{
	struct exo_env_status rows[64];
	struct exo_env_list list = { .size = sizeof(list), .count = 64, .envs = (uintptr_t)rows };
	uint32_t i;

	ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &list), 0);
	for (i = 0; i < list.out_done; i++)
		if (rows[i].out_pid == (uint32_t)pid)
			return rows[i];
	return (struct exo_env_status){ 0 };
}

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
			t_revoke(squeeze->fd, st.out_env, test_random(&seed) % 600 + 1, 10000,
				 &asked);
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
	script.steps = test_rounds(60, 6);
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

static void fill(sqlite3 *db, unsigned int rows)
{
	sql(db, NULL, "PRAGMA journal_mode=delete; PRAGMA cache_size=4000; PRAGMA synchronous=off");
	sql(db, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
		      "INSERT INTO t SELECT i, printf('%%.*c', 900, 'x')||i FROM c", rows);
	sql(db, NULL, "SELECT sum(length(b)) FROM t");
}

struct idle {
	const char *path;
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

static pid_t start_idle(struct idle *idle, char *path, size_t len)
{
	pid_t pid;

	snprintf(path, len, "%s/db", work_dir());
	idle->path = path;
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
	unsigned int i;
	uint32_t asked;
	char path[96];
	pid_t pid;
	int fd;

	t_need_root();
	fd = t_open();
	pid = start_idle(&idle, path, sizeof(path));
	st = wait_held(fd, pid, 1000);
	ASSERT_EQ(t_revoke(fd, st.out_env, 800, 20000, &asked), 0);
	ASSERT_EQ(asked, 800);
	for (i = 0; i < 500 && env_of(fd, pid).out_wanted; i++)
		test_sleep_ms(10);
	st = env_of(fd, pid);
	ASSERT_EQ(st.out_wanted, 0);
	ASSERT_EQ(st.out_taken, 0);
	ASSERT_GE(st.out_given, 800);
	test_sync_post(&idle.go);
	test_join(pid);
	path[strlen(path) - 3] = 0;
	remove_dir(path);
}

/* Catches: a cache that returns a page whose frame was taken. */
TEST_LONG(stopped_over_the_deadline__reads_again, 60)
{
	struct exo_env_status st;
	struct idle idle = { .first = true };
	unsigned int i;
	uint32_t asked;
	char path[96];
	pid_t pid;
	int fd;

	t_need_root();
	fd = t_open();
	pid = start_idle(&idle, path, sizeof(path));
	st = wait_held(fd, pid, 1000);
	kill(pid, SIGSTOP);
	ASSERT_EQ(t_revoke(fd, st.out_env, 700, 100, &asked), 0);
	for (i = 0; i < 500 && env_of(fd, pid).out_wanted; i++)
		test_sleep_ms(10);
	ASSERT_EQ(env_of(fd, pid).out_taken, 700);
	/* It reads before the library's thread has seen the log. */
	test_sync_post(&idle.go);
	kill(pid, SIGCONT);
	test_join(pid);
	path[strlen(path) - 3] = 0;
	remove_dir(path);
}

/* Catches: a process that goes on with pinned pages whose content is gone. */
TEST_LONG(pinned_and_taken__dies_and_recovers, 60)
{
	uint64_t digest = DIGEST_START, expected = DIGEST_START;
	struct exo_env_status st;
	struct idle idle = { .dirty = true };
	unsigned int i;
	uint32_t asked;
	char path[96];
	sqlite3 *db;
	int fd, status;
	pid_t pid;

	t_need_root();
	fd = t_open();
	guarantee(fd, GUARANTEED);
	pid = start_idle(&idle, path, sizeof(path));
	st = wait_held(fd, pid, 1000);
	kill(pid, SIGSTOP);
	guarantee(fd, 0);
	ASSERT_EQ(t_revoke(fd, st.out_env, st.out_frames, 100, &asked), 0);
	ASSERT_EQ(asked, st.out_frames);
	for (i = 0; i < 500 && env_of(fd, pid).out_wanted; i++)
		test_sleep_ms(10);
	test_sync_post(&idle.go);
	kill(pid, SIGCONT);
	status = test_wait(pid);
	guarantee(fd, 64);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_TRUE(WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGBUS);

	db = db_open(path);
	sql(db, &digest, "SELECT count(*), sum(length(b)) FROM t");
	sql(db, &expected,
	    "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<6000) "
	    "SELECT 6000, sum(900+length(i)) FROM c");
	ASSERT_EQ(digest, expected);
	check_integrity(db);
	sqlite3_close(db);
	path[strlen(path) - 3] = 0;
	remove_dir(path);
}

/* ---- the methods by themselves -------------------------------------------------------------- */

struct entry {
	uint64_t first;		/* SQLite needs these 8 bytes zeroed in a new page */
	uint32_t key;
};

static void *fetch(const sqlite3_pcache_methods2 *m, sqlite3_pcache *cache, uint32_t key,
		   int create)
{
	return m->xFetch(cache, key, create);
}

/* A new page, filled with its key. */
static sqlite3_pcache_page *make(const sqlite3_pcache_methods2 *m, sqlite3_pcache *cache,
				 uint32_t key, unsigned int size)
{
	sqlite3_pcache_page *page = fetch(m, cache, key, 2);
	struct entry *entry;

	ASSERT_TRUE(page);
	entry = page->pExtra;
	ASSERT_EQ(entry->first, 0);
	entry->first = 1;
	entry->key = key;
	memset(page->pBuf, (int)key, size);
	return page;
}

static void must_be(const sqlite3_pcache_page *page, uint32_t key, unsigned int size)
{
	const struct entry *entry = page->pExtra;
	const unsigned char *buf = page->pBuf;

	ASSERT_EQ(entry->key, key);
	ASSERT_EQ(buf[0], key & 0xff);
	ASSERT_EQ(buf[size / 2], key & 0xff);
	ASSERT_EQ(buf[size - 1], key & 0xff);
}

static void contract(const sqlite3_pcache_methods2 *m, int size)
{
	sqlite3_pcache *cache = m->xCreate(size, 160, 1);
	sqlite3_pcache_page *page, *other;
	uint32_t key;

	m->xCachesize(cache, 20);
	for (key = 1; key <= 10; key++)
		m->xUnpin(cache, make(m, cache, key, size), 0);
	ASSERT_EQ(m->xPagecount(cache), 10);
	for (key = 1; key <= 10; key++) {
		page = fetch(m, cache, key, 0);
		ASSERT_TRUE(page);
		must_be(page, key, size);
		m->xUnpin(cache, page, 0);
	}
	/* A page that gets the key of another takes its place. */
	page = fetch(m, cache, 3, 0);
	m->xRekey(cache, page, 3, 4);
	ASSERT_EQ(m->xPagecount(cache), 9);
	ASSERT_TRUE(!fetch(m, cache, 3, 0));
	other = fetch(m, cache, 4, 0);
	ASSERT_TRUE(other == page);
	must_be(other, 3, size);
	m->xUnpin(cache, page, 1);
	ASSERT_TRUE(!fetch(m, cache, 4, 0));
	/* Truncation takes pinned pages, too. */
	page = fetch(m, cache, 9, 0);
	m->xTruncate(cache, 6);
	ASSERT_EQ(m->xPagecount(cache), 3);
	ASSERT_TRUE(!fetch(m, cache, 9, 0));
	/* No more than the hint is kept, and the longest unused goes first. */
	for (key = 20; key < 60; key++)
		m->xUnpin(cache, make(m, cache, key, size), 0);
	ASSERT_LE(m->xPagecount(cache), 20);
	ASSERT_TRUE(!fetch(m, cache, 20, 0));
	page = fetch(m, cache, 59, 0);
	must_be(page, 59, size);
	/* Memory is given back on demand, but not what is in use. */
	m->xShrink(cache);
	ASSERT_EQ(m->xPagecount(cache), 1);
	must_be(page, 59, size);
	/* Pinned pages: SQLite is asked to make room, and gets more when it insists. */
	for (key = 100; key < 140; key++) {
		other = fetch(m, cache, key, 1);
		if (!other)
			break;
		((struct entry *)other->pExtra)->first = 1;
	}
	ASSERT_LT(key, 120);
	make(m, cache, 200, size);
	m->xDestroy(cache);
}

/* Catches: anything that sqlite3_pcache_methods2 promises and the library does not do. */
TEST(methods__contract)
{
	static const int sizes[] = { 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 };
	sqlite3_pcache_methods2 m;
	unsigned int i;

	install(0);
	ASSERT_EQ(sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &m), SQLITE_OK);
	ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		contract(&m, sizes[i]);
	ASSERT_EQ(stats_now().held, 0);
	ASSERT_EQ(stats_now().in_heap, 0);
	ASSERT_EQ(stats_now().pinned, 0);
}

/* ---- threads, processes, configuration ----------------------------------------------------- */

#define THREADS 4

static char thread_path[96];

static void *thread_main(void *arg)
{
	uint64_t seed = test_seed() + (uintptr_t)arg;
	sqlite3 *db = db_open(thread_path);
	unsigned int i, rounds = test_rounds(40, 8);

	sql(db, NULL, "PRAGMA cache_size=%d; PRAGMA synchronous=off",
	    20 + (int)(uintptr_t)arg * 300);
	for (i = 0; i < rounds; i++) {
		sql(db, NULL, "INSERT INTO t(thread, b) SELECT %u, printf('%%.*c', %u, 'z') FROM n",
		    (unsigned int)(uintptr_t)arg, (unsigned int)(test_random(&seed) % 2000));
		sql(db, NULL, "SELECT thread, count(*), sum(length(b)) FROM t GROUP BY thread");
	}
	sqlite3_close(db);
	return NULL;
}

/* Catches: races between caches that share the LRU, and with the service thread. */
TEST_LONG(threads__all_rows, 120)
{
	const char *dir = work_dir();
	pthread_t threads[THREADS];
	struct exo_env_status st;
	uint64_t digest = DIGEST_START, expected = DIGEST_START;
	sqlite3 *db;
	uintptr_t i;
	uint32_t asked;
	int fd = t_open();

	snprintf(thread_path, sizeof(thread_path), "%s/db", dir);
	install(600);
	db = db_open(thread_path);
	sql(db, NULL, "PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, thread, b);"
		      "CREATE TABLE n(i); INSERT INTO n VALUES(1),(2),(3),(4),(5),(6),(7),(8)");
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, thread_main, (void *)i), 0);
	for (i = 0; i < 40 && getuid() == 0; i++) {
		st = env_of(fd, getpid());
		if (st.out_env)
			t_revoke(fd, st.out_env, 100, 10000, &asked);
		test_sleep_ms(50);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	sql(db, &digest, "SELECT thread, count(*) FROM t GROUP BY thread ORDER BY thread");
	sql(db, &expected, "WITH c(i) AS (VALUES(0),(1),(2),(3)) SELECT i, %u FROM c",
	    8 * test_rounds(40, 8));
	ASSERT_EQ(digest, expected);
	check_integrity(db);
	ASSERT_LE(stats_now().held_max, 600);
	ASSERT_EQ(stats_now().taken, 0);
	sqlite3_close(db);
	remove_dir(dir);
}

/* Catches: frames that are kept when the last database is closed. */
TEST(close__nothing_held)
{
	const char *dir = work_dir();
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/db", dir);
	install(0);
	db = db_open(path);
	fill(db, 1000);
	/* What the transaction had in ordinary memory moves at its next use. */
	sql(db, NULL, "SELECT sum(length(b)) FROM t");
	ASSERT_GT(stats_now().held, 100);
	sqlite3_close(db);
	ASSERT_EQ(stats_now().held, 0);
	ASSERT_EQ(stats_now().in_heap, 0);
	ASSERT_EQ(sqlite3_shutdown(), SQLITE_OK);
	/* And it can start again. */
	db = db_open(path);
	check_integrity(db);
	ASSERT_GT(stats_now().held, 0);
	sqlite3_close(db);
	remove_dir(dir);
}

/* Catches: pages of a database in memory in frames, which could be taken. */
TEST(memory__in_heap)
{
	sqlite3 *db;

	install(0);
	db = db_open(":memory:");
	fill(db, 1000);
	/* A query's own temporary tables may have some. */
	ASSERT_LT(stats_now().held, 100);
	ASSERT_EQ(stats_now().pinned, 0);
	ASSERT_GT(stats_now().in_heap, 100);
	check_integrity(db);
	sqlite3_close(db);
}

/* Catches: pinned pages beyond the guarantee in frames. */
TEST(pinned__within_guarantee)
{
	const char *dir = work_dir();
	struct exo_sqlite_stats stats;
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/db", dir);
	install(0);
	db = db_open(path);
	fill(db, 4000);
	sql(db, NULL, "BEGIN; UPDATE t SET b=b||'y'");
	stats = stats_now();
	test_note("%u pinned of %u guaranteed, %u in ordinary memory", (unsigned int)stats.pinned,
		  (unsigned int)stats.guaranteed, (unsigned int)stats.in_heap);
	ASSERT_GT(stats.pinned, 0);
	ASSERT_LE(stats.pinned, stats.guaranteed);
	ASSERT_GT(stats.in_heap, 100);
	sql(db, NULL, "ROLLBACK");
	check_integrity(db);
	sqlite3_close(db);
	remove_dir(dir);
}

/* Catches: a child that uses its parent's frames. */
TEST(fork__child_works)
{
	const char *dir = work_dir();
	char path[96];
	sqlite3 *db;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/db", dir);
	install(0);
	db = db_open(path);
	fill(db, 500);
	pid = test_fork();
	if (!pid) {
		sqlite3 *mine;

		strcat(path, "2");
		mine = db_open(path);
		fill(mine, 500);
		check_integrity(mine);
		sqlite3_close(mine);
		_exit(0);
	}
	test_join(pid);
	check_integrity(db);
	sqlite3_close(db);
	remove_dir(dir);
}

/* Catches: a program that does not run where there is no exo. */
TEST(no_device__own_cache)
{
	struct exo_sqlite_stats stats;
	sqlite3 *db;

	setenv("EXO_DEVICE", "/nonexistent/exo", 1);
	ASSERT_EQ(exo_sqlite_install(NULL), -ENOENT);
	db = db_open(":memory:");
	fill(db, 100);
	check_integrity(db);
	ASSERT_EQ(exo_sqlite_stats(&stats, sizeof(stats)), -ENODEV);
	sqlite3_close(db);
}

/* Catches: options and states that can't be right, taken silently. */
TEST(install__bad_use)
{
	struct exo_sqlite_opts opts = { .sz = 4 };

	ASSERT_EQ(exo_sqlite_install(&opts), -EINVAL);
	ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
	ASSERT_EQ(exo_sqlite_install(NULL), -EBUSY);
	ASSERT_EQ(sqlite3_shutdown(), SQLITE_OK);
	ASSERT_EQ(exo_sqlite_install(NULL), 0);
	ASSERT_EQ(exo_sqlite_install(NULL), 0);
}
