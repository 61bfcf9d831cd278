// SPDX-License-Identifier: GPL-2.0
/*
 * The SQLite VFS: the same random SQL gives the same answers as on SQLite's own, in all journal modes and page
 * sizes; what was committed is there after a crash, and nothing else; full disks.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sqlite_vfs_setup.h"

static struct exo_sqlite_vfs_stats figures(void)
{
	struct exo_sqlite_vfs_stats stats;

	ASSERT_EQ(exo_sqlite_vfs_stats(&stats, sizeof(stats)), 0);
	return stats;
}

/* The same answers ----------------------------------------------------------------------------- */

struct vfs_job {
	struct job job;
	uint32_t frames;
};

static void run_on_vfs(void *arg)
{
	struct vfs_job *job = arg;

	use_vfs(job->frames);
	run_job(&job->job);
	ASSERT_GT(figures().blocks_written, 0);
}

static void same_answers(unsigned int page_size, const char *journal, uint32_t frames)
{
	struct script script = {
		.journal = journal, .page_size = page_size, .cache_size = 60,
		.steps = test_rounds(frames ? 2 : 3, frames ? 2 : 3), .seed = test_seed(),
	};
	uint64_t *digest = test_shared(sizeof(*digest)), expected;
	const char *dir = work_dir();
	uint32_t disk = set_up();
	struct vfs_job job;
	char path[96];

	snprintf(path, sizeof(path), "%s/db", dir);
	script.path = path;
	expected = stock_digest(&script);
	script.path = "same.db";
	job = (struct vfs_job){ { script, digest, 0, true }, frames };
	test_join(test_spawn(run_on_vfs, &job));
	ASSERT_EQ_FOR(*digest, expected, "page size %u, %s, %u frames", page_size, journal, frames);
	remove_dir(dir);
	end(disk);
}

/* Catches: bytes of a block that are lost or mixed; a journal that isn't what was written. */
TEST_LONG(delete__same_answers, 90)
{
	same_answers(4096, "delete", 0);
}

TEST_LONG(truncate__same_answers, 90)
{
	same_answers(1024, "truncate", 0);
}

TEST_LONG(persist__same_answers, 90)
{
	same_answers(8192, "persist", 0);
}

TEST_LONG(wal__same_answers, 90)
{
	same_answers(4096, "wal", 0);
}

TEST_LONG(wal_512__same_answers, 90)
{
	same_answers(512, "wal", 0);
}

TEST_LONG(memory_65536__same_answers, 90)
{
	same_answers(65536, "memory", 0);
}

/* Catches: blocks that are replaced while they are dirty, or in use. */
TEST_LONG(few_frames__same_answers, 90)
{
	same_answers(4096, "delete", 64);
}

TEST_LONG(few_frames_wal__same_answers, 90)
{
	same_answers(2048, "wal", 64);
}

/* Single process ------------------------------------------------------------------------------- */

/* Catches: content or a size that isn't there after everybody closed, in another process. */
static void write_some(void *arg)
{
	sqlite3 *db;

	db = vfs_open(0, "some.db");
	sql(db, NULL, "PRAGMA journal_mode=%s; CREATE TABLE t(id INTEGER PRIMARY KEY, b)", (char *)arg);
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<2000) "
		      "INSERT INTO t SELECT i, printf('%%.*c', 500, 'x')||i FROM c");
	sql(db, NULL, "DELETE FROM t WHERE id>1500");
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void read_some(void *arg)
{
	sqlite3 *db;

	db = vfs_open(0, "some.db");
	ASSERT_EQ(number(db, "SELECT count(*) FROM t"), 1500);
	ASSERT_EQ(number(db, "SELECT sum(length(b)) FROM t"), 1500 * 500 + 9 + 90 * 2 + 900 * 3 + 501 * 4);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(reopen__content)
{
	static const char *const modes[] = { "delete", "wal" };
	struct exo_xn_attach attach;
	uint32_t disk, i;

	for (i = 0; i < 2; i++) {
		disk = set_up();
		test_join(test_spawn(write_some, (void *)modes[i]));
		test_join(test_spawn(read_some, NULL));
		ASSERT_EQ(xt_detach(root_fd, disk, 0), 0);
		ASSERT_EQ(xt_attach(root_fd, device, &attach), 0);
		test_join(test_spawn(read_some, NULL));
		end(attach.out_disk);
	}
}

/* Catches: transactions over two databases that aren't one (super-journal). */
static void two_databases(void *arg)
{
	sqlite3 *db;

	db = vfs_open(0, "one.db");
	sql(db, NULL, "ATTACH '@second/two.db' AS two");
	sql(db, NULL, "CREATE TABLE a(x); CREATE TABLE two.b(x)");
	sql(db, NULL, "BEGIN; INSERT INTO a VALUES(1); INSERT INTO b VALUES(1); COMMIT");
	sql(db, NULL, "BEGIN; INSERT INTO a VALUES(2); INSERT INTO b VALUES(2); ROLLBACK");
	ASSERT_EQ(number(db, "SELECT sum(x) FROM a"), 1);
	ASSERT_EQ(number(db, "SELECT sum(x) FROM b"), 1);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(attach__two_databases)
{
	uint32_t disk = set_up();

	test_join(test_spawn(two_databases, NULL));
	end(disk);
}

/* Catches: a disk or a quota that is full and breaks a database, or isn't SQLITE_FULL. */
static void fill_up(void *arg)
{
	unsigned int more = test_slow() > 1 ? 400 : 200;
	long long rows, had = 0;
	char text[160];
	sqlite3 *db;
	int ret;

	snprintf(text, sizeof(text), "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
		 "INSERT INTO t SELECT randomblob(4000) FROM c", more);
	db = vfs_open(0, "full.db");
	sql(db, NULL, "PRAGMA journal_mode=%s; CREATE TABLE t(b)", (char *)arg);
	do {
		rows = number(db, "SELECT count(*) FROM t");
		ASSERT_GE(rows, had);
		had = rows;
		ret = sqlite3_exec(db, text, NULL, NULL, NULL);
	} while (ret == SQLITE_OK);
	ASSERT_EQ(ret, SQLITE_FULL);
	ASSERT_GT(had, 0);
	ASSERT_EQ(number(db, "SELECT count(*) FROM t"), had);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST_LONG(full__disk, 90)
{
	uint32_t disk = set_up();

	test_join(test_spawn(fill_up, "delete"));
	end(disk);
	/* The quota does the same with a WAL. */
	if (test_slow() > 1)
		return;
	disk = set_up();
	test_join(test_spawn(fill_up, "wal"));
	end(disk);
}

/* A user's: the administrator has no quota. */
static void as_alice(void (*fn)(void *arg), void *arg)
{
	pid_t pid = test_fork();

	if (!pid) {
		t_become(ALICE);
		fn(arg);
		_exit(0);
	}
	test_join(pid);
}

TEST_LONG(full__quota, 90)
{
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_LIMIT, .max_blocks = 2000 };
	uint32_t disk = set_up();
	struct exo_xn_root found;

	as_alice(make_volume, NULL);
	ASSERT_EQ(xt_find(root_fd, disk, "sqlite-1000", &found), 0);
	set.disk = disk;
	set.root = found.root;
	ASSERT_EQ(t_ioctl(root_fd, EXO_XN_ROOT_SET, &set), 0);
	as_alice(fill_up, "wal");
	ASSERT_EQ(xt_find(root_fd, disk, "sqlite-1000", &found), 0);
	ASSERT_LE(found.out_blocks, 2000);
	end(disk);
}

/* Catches: commits that cost more than they must: requests, transactions of XN. */
static void count_requests(void *arg)
{
	struct exo_sqlite_vfs_stats before, after;
	sqlite3 *db;
	int i;

	db = vfs_open(0, "w.db");
	sql(db, NULL, "PRAGMA journal_mode=%s; PRAGMA synchronous=full; PRAGMA wal_autocheckpoint=0;"
	    "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 0)", (char *)arg);
	for (i = 0; i < 10; i++)
		sql(db, NULL, "UPDATE t SET a=a+1");
	before = figures();
	for (i = 0; i < 20; i++)
		sql(db, NULL, "UPDATE t SET a=a+1");
	after = figures();
	test_note("%s: for 20 transactions %llu writes of %llu blocks, %llu of them durable, %llu flushes, %llu commits",
		  (char *)arg, (unsigned long long)(after.writes - before.writes),
		  (unsigned long long)(after.blocks_written - before.blocks_written),
		  (unsigned long long)(after.durable - before.durable),
		  (unsigned long long)(after.flushes - before.flushes),
		  (unsigned long long)(after.commits - before.commits));
	ASSERT_LE(after.commits - before.commits, 1);
	ASSERT_LE(after.flushes - before.flushes, 1);
	if (!strcmp(arg, "wal"))
		ASSERT_LE(after.writes - before.writes, 22);
	else
		ASSERT_LE(after.writes - before.writes, 80);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(commit__requests)
{
	uint32_t disk = set_up();

	test_join(test_spawn(count_requests, "wal"));
	end(disk);
	disk = set_up();
	test_join(test_spawn(count_requests, "delete"));
	end(disk);
}

/* Catches: pages in place that aren't what was written; that aren't given at all. */
static void use_pages_in_place(void *arg)
{
	sqlite3 *db;

	write_some("wal");
	db = db_open("some.db");
	sql(db, NULL, "PRAGMA mmap_size=1000000000; PRAGMA cache_size=10");
	ASSERT_EQ(number(db, "SELECT sum(length(b)) FROM t"), 1500 * 500 + 9 + 90 * 2 + 900 * 3 + 501 * 4);
	ASSERT_GT(figures().fetched, 100);
	sql(db, NULL, "UPDATE t SET b=b||'y' WHERE id%%2=0; PRAGMA wal_checkpoint(truncate)");
	ASSERT_EQ(number(db, "SELECT sum(length(b)) FROM t"),
		  1500 * 500 + 9 + 90 * 2 + 900 * 3 + 501 * 4 + 750);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(fetch__in_place)
{
	uint32_t disk = set_up();

	test_join(test_spawn(use_pages_in_place, NULL));
	end(disk);
}

/* Pages that are several blocks: another process writes, this one reads them in place. */
struct pages {
	unsigned int size;
	uint32_t frames;
	struct test_sync written, read;
};

#define PAGE_ROWS 4000

static void write_pages(void *arg)
{
	struct pages *pages = arg;
	sqlite3 *db;

	db = vfs_open(0, "pages.db");
	sql(db, NULL, "PRAGMA page_size=%u; PRAGMA journal_mode=wal; CREATE TABLE t(id INTEGER PRIMARY KEY, b)",
	    pages->size);
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
		      "INSERT INTO t SELECT i, printf('%%.*c', 500, 'x') FROM c", PAGE_ROWS);
	sql(db, NULL, "PRAGMA wal_checkpoint(truncate)");
	test_sync_post(&pages->written);
	test_sync_wait(&pages->read);
	sql(db, NULL, "UPDATE t SET b=b||'y'");
	test_sync_post(&pages->written);
	test_sync_wait(&pages->read);
	sql(db, NULL, "PRAGMA wal_checkpoint(truncate)");
	test_sync_post(&pages->written);
	test_sync_wait(&pages->read);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

/* The sum of all, and of how many pages; @copies: at most so many of them were copied. */
static void read_all(sqlite3 *db, const struct pages *pages, long long length, uint64_t copies)
{
	struct exo_sqlite_vfs_stats before = figures(), after;

	ASSERT_EQ(number(db, "SELECT sum(length(b)) FROM t"), PAGE_ROWS * length);
	after = figures();
	if (pages->frames)
		return;
	ASSERT_LE(after.copied - before.copied, copies);
	ASSERT_GE(after.fetched - before.fetched, PAGE_ROWS * 500 / pages->size - copies);
}

static void give_frames(void)
{
	uint64_t had = figures().frames, start = test_now_ns();
	uint32_t asked;

	ASSERT_EQ(t_revoke(root_fd, env_of(root_fd, getpid()).out_env, 256, 20000, &asked), 0);
	ASSERT_GT(asked, 0);
	while (figures().frames + asked > had) {
		if (test_overdue(start, 10000))
			FAIL("%llu frames, %llu were there, %u were asked for", (unsigned long long)figures().frames,
			     (unsigned long long)had, asked);
		test_sleep_ms(1);
	}
}

static void read_pages(void *arg)
{
	struct pages *pages = arg;
	/* What was read before SQLite knew the size of a page is put together once. */
	uint64_t first = 32 * 4096 / pages->size;
	sqlite3 *db;

	test_sync_wait(&pages->written);
	db = vfs_open(pages->frames, "pages.db");
	sql(db, NULL, "PRAGMA mmap_size=1000000000; PRAGMA cache_size=10");
	read_all(db, pages, 500, first);
	read_all(db, pages, 500, 0);
	test_sync_post(&pages->read);
	test_sync_wait(&pages->written);
	/* It is in the WAL. */
	ASSERT_EQ(number(db, "SELECT sum(length(b)) FROM t"), PAGE_ROWS * 501);
	test_sync_post(&pages->read);
	test_sync_wait(&pages->written);
	read_all(db, pages, 501, first);
	read_all(db, pages, 501, 0);
	if (!pages->frames) {
		give_frames();
		read_all(db, pages, 501, first);
		read_all(db, pages, 501, first);
	}
	check_integrity(db);
	test_note("pages of %u, %s frames: %llu in place, %llu copied", pages->size, pages->frames ? "few" : "enough",
		  (unsigned long long)figures().fetched, (unsigned long long)figures().copied);
	test_sync_post(&pages->read);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void pages_in_place(unsigned int size, uint32_t frames)
{
	struct pages *pages = test_shared(sizeof(*pages));
	uint32_t disk = set_up(), old;
	pid_t writer, reader;

	old = guarantee(root_fd, 0);
	pages->size = size;
	pages->frames = frames;
	test_sync_init(&pages->written);
	test_sync_init(&pages->read);
	writer = test_spawn(write_pages, pages);
	reader = test_spawn(read_pages, pages);
	test_join(reader);
	test_join(writer);
	guarantee(root_fd, old);
	end(disk);
}

/* Catches: large pages that are copied each time; that are old after another's commit; frames in use that are given away. */
TEST_LONG(fetch__8192, 90)
{
	pages_in_place(8192, 0);
}

TEST_LONG(fetch__65536, 90)
{
	pages_in_place(65536, 0);
}

/* Catches: a page of which the clock takes some blocks. */
TEST_LONG(fetch__few_frames, 90)
{
	pages_in_place(16384, 128);
}

/* Crashes -------------------------------------------------------------------------------------- */

struct acked {
	volatile uint64_t transactions;
};

struct writer {
	const char *journal;
	struct acked *acked;
};

static void write_until_killed(void *arg)
{
	const struct writer *writer = arg;
	uint64_t seed = test_seed();
	unsigned int i, rows;
	sqlite3 *db;

	db = vfs_open(0, "crash.db");
	sql(db, NULL, "PRAGMA journal_mode=%s; PRAGMA synchronous=full; PRAGMA wal_autocheckpoint=50;"
		      "PRAGMA cache_size=20", writer->journal);
	sql(db, NULL, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, txn, b);"
		      "CREATE INDEX IF NOT EXISTS tb ON t(b)");
	for (i = 1;; i++) {
		rows = test_random(&seed) % 30 + 1;
		sql(db, NULL, "BEGIN; WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
			      "INSERT INTO t(txn, b) SELECT %u, randomblob(200) FROM c", rows, i);
		if (i % 7 == 0)
			sql(db, NULL, "UPDATE t SET b=randomblob(200) WHERE id%%13=%u", i % 13);
		/* What it says of itself must agree. */
		sql(db, NULL, "INSERT INTO t(txn, b) SELECT -%u, count(*) FROM t WHERE txn>0; COMMIT", i);
		writer->acked->transactions = i;
	}
}

struct checked {
	uint64_t acked;
};

static void check_crash(void *arg)
{
	const struct checked *checked = arg;
	long long last;
	sqlite3 *db;

	db = vfs_open(0, "crash.db");
	check_integrity(db);
	if (checked->acked) {
		last = number(db, "SELECT ifnull(-min(txn), 0) FROM t");
		if (last < (long long)checked->acked)
			FAIL("transaction %lld is the last, %llu was acknowledged", last,
			     (unsigned long long)checked->acked);
		ASSERT_EQ(number(db, "SELECT max(txn)+min(txn) FROM t"), 0);
		ASSERT_EQ(number(db, "SELECT (SELECT b FROM t WHERE txn<0 ORDER BY txn LIMIT 1)="
				     "(SELECT count(*) FROM t WHERE txn>0)"), 1);
	}
	/* And it can go on. */
	sql(db, NULL, "CREATE TABLE after(x); INSERT INTO after VALUES(1)");
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void crash(const char *journal)
{
	struct acked *acked = test_shared(sizeof(*acked));
	struct writer writer = { journal, acked };
	unsigned int rounds = test_rounds(4, 1), i;
	struct exo_xn_attach attach;
	struct checked checked;
	uint64_t seed = test_seed();
	char copy[32];
	uint32_t disk;
	int status;
	pid_t pid;

	for (i = 0; i < rounds; i++) {
		acked->transactions = 0;
		disk = set_up();
		pid = test_spawn(write_until_killed, &writer);
		while (!acked->transactions && !waitpid(pid, &status, WNOHANG))
			test_sleep_ms(2);
		ASSERT_GT(acked->transactions, 0);
		test_sleep_ms(test_random(&seed) % 400);
		/* What is acknowledged before the copy begins is in it. */
		checked.acked = acked->transactions;
		kill(pid, SIGSTOP);
		ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
		ASSERT_TRUE(WIFSTOPPED(status));
		xt_crash("disk", "copy", copy);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		end(disk);
		ASSERT_EQ(xt_attach(root_fd, copy, &attach), 0);
		ASSERT_EQ(attach.out_quarantined, 0);
		test_join(test_spawn(check_crash, &checked));
		end(attach.out_disk);
		close(root_fd);
	}
	test_note("%s: %u crashes, %llu transactions acknowledged before the last", journal, rounds,
		  (unsigned long long)checked.acked);
}

TEST_LONG(crash__delete, 120)
{
	crash("delete");
}

TEST_LONG(crash__persist, 120)
{
	crash("persist");
}

TEST_LONG(crash__wal, 120)
{
	crash("wal");
}
