// SPDX-License-Identifier: GPL-2.0
/*
 * libexo-sqlite: the same random SQL gives the same answers as with SQLite's own page cache,
 * whatever the page size, however small the cache, from many threads; and what it promises to SQLite.
 */
#include <pthread.h>

#include "sqlite_lib.h"

uint32_t test_pool_frames = 8192;

static void same_as_stock(unsigned int page_size, int cache_size, const char *journal,
			  uint32_t frames)
{
	const char *dir = work_dir();
	uint64_t *digest = test_shared(sizeof(*digest));
	struct script script = {
		.journal = journal,
		.page_size = page_size,
		.cache_size = cache_size,
		.steps = test_core_rounds(30, 6),
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
	uint32_t old;
	int fd;

	t_need_root();
	fd = t_open();
	old = guarantee(fd, 0);
	same_as_stock(4096, 500, "delete", 0);
	guarantee(fd, old);
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
			t_revoke(fd, st.out_env, 100, test_limit_ms(10000), &asked);
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

/* Catches: a child that takes an environment of its parent's, which has no view there, for its own. */
TEST(fork__before_first_use)
{
	sqlite3 *db;
	pid_t pid;

	install(0);
	pid = test_fork();
	if (!pid) {
		db = db_open(":memory:");
		fill(db, 500);
		check_integrity(db);
		sqlite3_close(db);
		_exit(0);
	}
	test_join(pid);
}

/* A database with pages in frames; its own child lives on when it ends. */
static void leave_child(void *arg)
{
	struct test_sync *forked = arg;
	sqlite3 *db;

	install(0);
	db = db_open("");
	fill(db, 1000);
	ASSERT_GT(stats_now().held, 0);
	if (!fork()) {
		test_sync_post(forked);
		pause();
	}
	test_sync_wait(forked);
}

/* Catches: frames of a process that has ended, held by what it forked. */
TEST(fork__lets_go)
{
	struct test_sync forked;
	int fd = t_open();
	pid_t pid;

	test_sync_init(&forked);
	pid = test_spawn(leave_child, &forked);
	test_join(pid);
	ASSERT_EQ(env_of(fd, pid).out_env, 0);
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
	struct {
		struct exo_sqlite_opts opts;
		uint64_t newer;
	} longer = { .opts = { .sz = sizeof(longer) }, .newer = 1 };
	struct exo_sqlite_opts opts = { .sz = 4 };

	ASSERT_EQ(exo_sqlite_install(&opts), -EINVAL);
	ASSERT_EQ(exo_sqlite_install(&longer.opts), -E2BIG);
	ASSERT_EQ(sqlite3_initialize(), SQLITE_OK);
	ASSERT_EQ(exo_sqlite_install(NULL), -EBUSY);
	ASSERT_EQ(sqlite3_shutdown(), SQLITE_OK);
	longer.newer = 0;
	ASSERT_EQ(exo_sqlite_install(&longer.opts), 0);
	ASSERT_EQ(exo_sqlite_install(NULL), 0);
}
