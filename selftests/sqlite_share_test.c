// SPDX-License-Identifier: GPL-2.0
/*
 * The SQLite VFS, several processes at once: locks that exclude, and that die with who has them; who is the first,
 * or is killed while he opens.
 */
#include <signal.h>
#include <sys/wait.h>

#include "sqlite_share_setup.h"

static void count_up(void *arg)
{
	const struct crowd *crowd = arg;
	sqlite3 *db;
	unsigned int i;

	db = vfs_open(256, "crowd.db");
	for (i = 0; i < crowd->rounds; i++) {
		sql(db, NULL, "BEGIN IMMEDIATE; UPDATE t SET n=n+1; INSERT INTO log VALUES(randomblob(300)); COMMIT");
		ASSERT_EQ(number(db, "SELECT (SELECT count(*) FROM log)=(SELECT n FROM t)"), 1);
	}
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void crowd_end(void *arg)
{
	const struct crowd *crowd = arg;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	ASSERT_EQ(number(db, "SELECT n FROM t"), 4 * crowd->rounds);
	ASSERT_EQ(number(db, "SELECT count(*) FROM log"), 4 * crowd->rounds);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void run_crowd(const char *journal)
{
	struct crowd crowd = { journal, test_rounds(40, 4) };
	uint32_t disk = set_up(), i;
	pid_t pids[4];

	test_join(test_spawn(crowd_begin, &crowd));
	for (i = 0; i < 4; i++)
		pids[i] = test_spawn(count_up, &crowd);
	for (i = 0; i < 4; i++)
		test_join(pids[i]);
	test_join(test_spawn(crowd_end, &crowd));
	end(disk);
}

/* Catches: locks that don't exclude, blocks in frames that another process has changed. */
TEST_LONG(processes__delete, 90)
{
	run_crowd("delete");
}

TEST_LONG(processes__wal, 90)
{
	run_crowd("wal");
}

/* Catches: locks that outlive their process, transactions that its death leaves half done. */
static void die_inside(void *arg)
{
	volatile uint32_t *said = arg;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "PRAGMA cache_size=5; BEGIN IMMEDIATE; UPDATE t SET n=1000000");
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<300) "
		      "INSERT INTO log SELECT randomblob(2000) FROM c");
	*said = 1;
	for (;;)
		pause();
}

static void killed(const char *journal)
{
	struct crowd crowd = { journal, 5 };
	volatile uint32_t *said = test_shared(sizeof(*said));
	uint32_t disk = set_up(), i;
	int status;
	pid_t pid;

	test_join(test_spawn(crowd_begin, &crowd));
	for (i = 0; i < 4; i++) {
		*said = 0;
		pid = test_spawn(die_inside, (void *)said);
		while (!*said && !waitpid(pid, &status, WNOHANG))
			test_sleep_ms(5);
		ASSERT_EQ(*said, 1);
		kill(pid, SIGKILL);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		test_join(test_spawn(count_up, &crowd));
	}
	test_join(test_spawn(crowd_end, &crowd));
	end(disk);
}

TEST(kill__delete)
{
	killed("delete");
}

TEST(kill__wal)
{
	killed("wal");
}

/* Catches: one user's volume that another opens. */
static void open_anothers(void *arg)
{
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = 1 };
	sqlite3 *db;

	t_become(BOB);
	opts.volume = "sqlite-0";
	ASSERT_EQ(exo_sqlite_vfs_register(&opts), 0);
	ASSERT_EQ(sqlite3_open("x", &db), SQLITE_CANTOPEN);
	sqlite3_close(db);
	ASSERT_EQ(sqlite3_open("@bobs/x", &db), SQLITE_OK);
	sql(db, NULL, "CREATE TABLE x(y)");
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(user__another)
{
	uint32_t disk = set_up();

	test_join(test_spawn(make_volume, NULL));
	test_join(test_spawn(open_anothers, NULL));
	end(disk);
}

/* Catches: a VFS without a disk. */
static void no_disk(void *arg)
{
	char error[256] = "";
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .error = error, .error_size = sizeof(error) };

	ASSERT_EQ(exo_sqlite_vfs_register(&opts), -ENOENT);
	ASSERT_TRUE(strstr(error, "exoctl disk attach"));
	ASSERT_TRUE(!sqlite3_vfs_find("exo"));
	ASSERT_TRUE(sqlite3_vfs_find(NULL));
}

TEST(register__no_disk)
{
	uint32_t disk = set_up();

	end(disk);
	test_join(test_spawn(no_disk, NULL));
}

/* Catches: a child that uses its parent's frames, bindings or locks. */
static void fork_inside(void *arg)
{
	sqlite3 *db, *mine;
	pid_t pid;

	db = vfs_open(0, "fork.db");
	sql(db, NULL, "CREATE TABLE t(x); BEGIN IMMEDIATE; INSERT INTO t VALUES(1)");
	pid = test_fork();
	if (!pid) {
		ASSERT_EQ(sqlite3_open("fork.db", &mine), SQLITE_OK);
		ASSERT_EQ(number(mine, "SELECT count(*) FROM t"), 0);
		ASSERT_EQ(sqlite3_exec(mine, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
		_exit(0);
	}
	test_join(pid);
	sql(db, NULL, "COMMIT");
	ASSERT_EQ(number(db, "SELECT count(*) FROM t"), 1);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(fork__child)
{
	uint32_t disk = set_up();

	test_join(test_spawn(fork_inside, NULL));
	end(disk);
}

/* Catches: two who are the first, each with a memory of his own; half of a set-up that counts. */
static void open_together(void *arg)
{
	volatile uint32_t *go = arg;
	sqlite3 *db;

	while (!*go)
		;
	use_vfs(0);
	ASSERT_EQ(sqlite3_open("together.db", &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 60000);
	sql(db, NULL, "CREATE TABLE IF NOT EXISTS t(n)");
	sql(db, NULL, "INSERT INTO t VALUES(1)");
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void see_together(void *arg)
{
	sqlite3 *db;

	db = vfs_open(0, "together.db");
	ASSERT_EQ(number(db, "SELECT count(*) FROM t"), (long long)(uintptr_t)arg);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST_LONG(open__together, 90)
{
	volatile uint32_t *go = test_shared(sizeof(*go));
	uint32_t disk = set_up(), i;
	pid_t pids[4];

	for (i = 0; i < 4; i++)
		pids[i] = test_spawn(open_together, (void *)go);
	*go = 1;
	for (i = 0; i < 4; i++)
		test_join(pids[i]);
	test_join(test_spawn(see_together, (void *)(uintptr_t)4));
	ASSERT_EQ(registry(disk)->entries, 0);
	end(disk);
}

static void see_x(void *arg)
{
	sqlite3 *db;

	(void)arg;
	db = vfs_open(0, "x");
	sql(db, NULL, "CREATE TABLE IF NOT EXISTS x(y); INSERT INTO x VALUES(1)");
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

/* Catches: one who is killed while he opens, of whom something stays that the next one takes for the others'. */
static void open_forever(void *arg)
{
	sqlite3 *db;

	(void)arg;
	db = vfs_open(64, "x");
	sql(db, NULL, "PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS x(y); INSERT INTO x VALUES(1)");
	for (;;)
		pause();
}

TEST_LONG(open__killed, 90)
{
	unsigned int rounds = test_rounds(30, 6), i;
	uint32_t disk = set_up();
	uint64_t seed = test_seed();
	int status;
	pid_t pid;

	for (i = 0; i < rounds; i++) {
		pid = test_spawn(open_forever, NULL);
		test_sleep_ms(test_random(&seed) % 150);
		kill(pid, SIGKILL);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
	}
	test_join(test_spawn(see_x, NULL));
	ASSERT_EQ(registry(disk)->entries, 0);
	end(disk);
}

/* Catches: a write lock in a WAL that outlives who had it, while others live. */
static void wait_for_lock(void *arg)
{
	struct turns *turns = arg;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	ASSERT_EQ(number(db, "SELECT n FROM t"), 0);
	test_sync_post(&turns->ready);
	test_sync_wait(&turns->taken);
	sqlite3_busy_timeout(db, 0);
	ASSERT_EQ(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
	test_sync_post(&turns->ready);
	test_sync_wait(&turns->closed);
	sql(db, NULL, "BEGIN IMMEDIATE; UPDATE t SET n=n+1; COMMIT");
	ASSERT_EQ(number(db, "SELECT n FROM t"), 1);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(kill__while_others_live)
{
	static const char *const journals[] = { "wal", "delete" };
	struct turns *turns = test_shared(sizeof(*turns));
	volatile uint32_t *said = test_shared(sizeof(*said));
	uint32_t disk, i;
	int status;
	pid_t pid, other;

	for (i = 0; i < 2; i++) {
		struct crowd crowd = { journals[i], 0 };

		disk = set_up();
		turns_init(turns);
		test_join(test_spawn(crowd_begin, &crowd));
		other = test_spawn(wait_for_lock, turns);
		test_sync_wait(&turns->ready);
		*said = 0;
		pid = test_spawn(die_inside, (void *)said);
		while (!*said && !waitpid(pid, &status, WNOHANG))
			test_sleep_ms(5);
		test_sync_post(&turns->taken);
		test_sync_wait(&turns->ready);
		kill(pid, SIGKILL);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		test_sync_post(&turns->closed);
		test_join(other);
		ASSERT_EQ(registry(disk)->entries, 0);
		end(disk);
	}
}

/* The WAL's memory, by the calls that SQLite makes. */

#define SEGMENT 32768
#define HEADER 96	/* SQLite believes the index by that */

struct index_turns {
	struct test_sync begun, joined, added, asked;
	bool stays;
};

static sqlite3_file *index_open(void)
{
	int out, flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	sqlite3_file *file;
	sqlite3_vfs *vfs;

	use_vfs(0);
	vfs = sqlite3_vfs_find(NULL);
	file = calloc(1, (size_t)vfs->szOsFile);
	ASSERT_EQ(vfs->xOpen(vfs, "crowd.db", file, flags, &out), SQLITE_OK);
	return file;
}

static char *index_map(sqlite3_file *file, int region, int extend)
{
	void volatile *at = NULL;

	ASSERT_EQ(file->pMethods->xShmMap(file, region, SEGMENT, extend, &at), SQLITE_OK);
	ASSERT_TRUE(at != NULL);
	return (char *)at;
}

static void index_make(void *arg)
{
	struct index_turns *turns = arg;
	sqlite3_file *file = index_open();

	memset(index_map(file, 0, 1), 0x11, SEGMENT);
	test_sync_post(&turns->begun);
	test_sync_wait(&turns->joined);
	memset(index_map(file, 1, 1), 0x77, SEGMENT);
	test_sync_post(&turns->added);
	for (;;)
		pause();
}

static void index_join(void *arg)
{
	struct index_turns *turns = arg;
	sqlite3_file *file = index_open();
	char *first, *second, zeros[HEADER] = { 0 };

	test_sync_wait(&turns->begun);
	first = index_map(file, 0, 0);
	ASSERT_EQ(first[0], 0x11);
	ASSERT_EQ(first[SEGMENT - 1], 0x11);
	test_sync_post(&turns->joined);
	test_sync_wait(&turns->asked);
	second = index_map(file, 1, 0);
	if (turns->stays) {
		ASSERT_EQ(second[0], 0x77);
		ASSERT_EQ(second[SEGMENT - 1], 0x77);
		ASSERT_EQ(first[0], 0x11);
	} else {
		ASSERT_EQ(second[0], 0);
		ASSERT_TRUE(!memcmp(first, zeros, HEADER));
	}
	ASSERT_EQ(first[HEADER], 0x11);
	ASSERT_EQ(file->pMethods->xShmUnmap(file, 0), SQLITE_OK);
	ASSERT_EQ(file->pMethods->xClose(file), SQLITE_OK);
}

static void index_joined(bool stays)
{
	struct index_turns *turns = test_shared(sizeof(*turns));
	uint32_t disk = set_up();
	pid_t maker, joiner;
	int status;

	test_sync_init(&turns->begun);
	test_sync_init(&turns->joined);
	test_sync_init(&turns->added);
	test_sync_init(&turns->asked);
	turns->stays = stays;
	maker = test_spawn(index_make, turns);
	joiner = test_spawn(index_join, turns);
	test_sync_wait(&turns->added);
	if (!stays) {
		kill(maker, SIGKILL);
		ASSERT_EQ(waitpid(maker, &status, 0), maker);
	}
	test_sync_post(&turns->asked);
	test_join(joiner);
	if (stays) {
		kill(maker, SIGKILL);
		ASSERT_EQ(waitpid(maker, &status, 0), maker);
	}
	end(disk);
}

/* The control: who has all of it lives. */
TEST(index__of_one_who_lives)
{
	index_joined(true);
}

/* Catches: new zeros behind a header that counts, where the only one who had the segment is dead. */
TEST(index__of_one_who_is_dead)
{
	index_joined(false);
}
