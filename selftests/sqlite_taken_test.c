// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that processes share in the SQLite VFS: taken from them by force, with its disk, or because there is no
 * more; what is left of it when all have closed.
 */
#include <signal.h>
#include <sys/wait.h>

#include "../libexo/sqlite/vfs_format.h"
#include "sqlite_share_setup.h"

static void no_minimum(void)
{
	struct exo_quota none = { .size = sizeof(none), .flags = EXO_QUOTA_MIN };

	setenv("EXO_SQLITE_QUIET", "1", 1);
	t_quota_set(root_fd, &none);
}

/* Workers give back what was shared: until then it would be the first that is taken by force. */
static void begin(struct crowd *crowd)
{
	uint32_t frames = t_quota(root_fd, 0).out_frames;

	test_join(test_spawn(crowd_begin, crowd));
	t_wait_charged(root_fd, 0, frames);
}

/* The block that names a page of what is shared in volume sqlite-0. */
static uint64_t name_of(uint32_t disk, uint32_t page, uint32_t *out_root, __u64 *out_unit)
{
	struct vfs_dir *dir = malloc(sizeof(*dir));
	struct vfs_unit unit;
	struct exo_xn_root found;
	uint32_t i, k;

	ASSERT_EQ(xt_find(root_fd, disk, "sqlite-0", &found), 0);
	ASSERT_EQ(xt_read(root_fd, disk, found.root, found.out_block, found.out_block, dir, sizeof(*dir)),
		  sizeof(*dir));
	for (i = 0; i < dir->files && dir->entry[i].kind != VFS_KIND_NAMES; i++)
		;
	ASSERT_LT(i, dir->files);
	*out_root = found.root;
	*out_unit = dir->entry[i].unit;
	ASSERT_EQ(xt_read(root_fd, disk, found.root, found.out_block, *out_unit, &unit, sizeof(unit)),
		  sizeof(unit));
	free(dir);
	for (k = 0; page >= unit.extent[k].count; k++)
		page -= unit.extent[k].count;
	return unit.extent[k].block + page;
}

/* This page's frame is the first that is taken by force, if nobody has any: that which was held longest. */
static int hold_page(uint32_t disk, uint32_t page, uint32_t *out_entry)
{
	struct exo_xn_entry e = { .size = sizeof(e), .flags = EXO_XN_ENTRY_MEMORY, .disk = disk, .rights = RW };
	int ret;

	e.block = name_of(disk, page, &e.root, &e.parent);
	ret = t_ioctl(root_fd, EXO_XN_ENTRY, &e);
	*out_entry = e.out_entry;
	return ret;
}

/*
 * The first of the frames that are shared is taken by force: all environments are asked, and of the frames of
 * processes none is, since the module's own environment is older, and one was enough.
 */
static void ask_for_one(void)
{
	uint32_t asked;

	ASSERT_EQ(t_revoke(root_fd, 0, 1, 1, &asked), 0);
	ASSERT_EQ(asked, 1);
}

static void take_by_force(uint32_t disk)
{
	uint64_t lost = registry(disk)->lost, start = test_now_ns();

	ask_for_one();
	while (registry(disk)->lost == lost) {
		ASSERT_EQ(test_overdue(start, 5000), false);
		test_sleep_ms(1);
	}
}

static bool is_io_error(int ret)
{
	return (ret & 0xff) == SQLITE_IOERR;
}

/* Has it open, doesn't know of anything, and then finds out. */
static void look_later(void *arg)
{
	struct turns *turns = arg;
	sqlite3 *db;
	int ret;

	db = vfs_open(0, "crowd.db");
	ASSERT_EQ(number(db, "SELECT n FROM t"), 1);
	test_sync_post(&turns->ready);
	test_sync_wait(&turns->taken);
	sqlite3_db_release_memory(db);
	ret = sqlite3_exec(db, "SELECT n FROM t", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("a reader whose memory was taken: %d", ret);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	test_sync_post(&turns->closed);
}

struct taken {
	const char *journal;
	uint32_t page;
	uint32_t entry;
	uint32_t disk;
};

static void write_meanwhile(void *arg)
{
	const struct taken *taken = arg;
	struct turns *turns = test_shared(sizeof(*turns));
	int ret, status;
	sqlite3 *db;
	pid_t pid;

	turns_init(turns);
	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "UPDATE t SET n=1");
	pid = test_spawn(look_later, turns);
	test_sync_wait(&turns->ready);
	kill(pid, SIGSTOP);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	take_by_force(taken->disk);
	ASSERT_EQ(xt_unbind(root_fd, taken->entry), 0);
	ret = sqlite3_exec(db, "UPDATE t SET n=n+1", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("a writer whose memory was taken: %d", ret);
	ret = sqlite3_exec(db, "SELECT n FROM t", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("the same again: %d", ret);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	/* The other one still has what nobody else can have, and can't know. */
	ret = sqlite3_open("crowd.db", &db);
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(db, "SELECT n FROM t", NULL, NULL, NULL);
	if (ret != SQLITE_CANTOPEN && !is_io_error(ret))
		FAIL("before all have given it up: %d", ret);
	sqlite3_close(db);
	kill(pid, SIGCONT);
	test_sync_post(&turns->taken);
	test_sync_wait(&turns->closed);
	db = db_open("crowd.db");
	/* What came to the WAL before it was noticed counts, and was no success. */
	ASSERT_LE(number(db, "SELECT n FROM t"), 2);
	ASSERT_GE(number(db, "SELECT n FROM t"), 1);
	sql(db, NULL, "UPDATE t SET n=n+1");
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	test_join(pid);
}

/* Catches: memory that is gone, taken for zeros, or made up for while somebody has the old (INV-XN-28, V8); a process that dies. */
TEST(taken__io_error)
{
	static struct taken taken[] = {
		{ "wal", 0, 0, 0 }, { "delete", 0, 0, 0 }, { "wal", 32, 0, 0 }, { "wal", 36, 0, 0 },
	};
	struct exo_quota old;
	struct crowd crowd;
	uint32_t disk, i;

	for (i = 0; i < 4; i++) {
		disk = set_up();
		old = t_quota(root_fd, 0);
		crowd = (struct crowd){ taken[i].journal, 0 };
		begin(&crowd);
		no_minimum();
		ASSERT_EQ(hold_page(disk, taken[i].page, &taken[i].entry), 0);
		taken[i].disk = disk;
		test_join(test_spawn(write_meanwhile, &taken[i]));
		ASSERT_EQ(registry(disk)->entries, 0);
		ASSERT_EQ(registry(disk)->lost, 1);
		old.size = sizeof(old);
		old.flags = EXO_QUOTA_MIN;
		t_quota_set(root_fd, &old);
		end(disk);
	}
}

/* Is in the middle of a transaction, and does nothing. */
static void idle(void *arg)
{
	struct turns *turns = arg;
	long long n;
	sqlite3 *db;
	int ret;

	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "PRAGMA cache_size=5; BEGIN IMMEDIATE; UPDATE t SET n=n+100");
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<100) "
		      "INSERT INTO log SELECT randomblob(2000) FROM c");
	test_sync_post(&turns->ready);
	test_sync_wait(&turns->taken);
	ret = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("a transaction whose locks others had: %d", ret);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	db = db_open("crowd.db");
	n = number(db, "SELECT n FROM t");
	ASSERT_GE(n, 1);
	ASSERT_LT(n, 100);
	ASSERT_EQ(number(db, "SELECT count(*) FROM log"), 0);
	check_integrity(db);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void go_on(void *arg)
{
	uint64_t start = test_now_ns();
	sqlite3 *db;
	int ret;

	(void)arg;
	use_vfs(0);
	do {
		if (test_overdue(start, 20000))
			FAIL("who does nothing keeps others out");
		test_sleep_ms(1);
		ret = sqlite3_open("crowd.db", &db);
		if (ret == SQLITE_OK)
			ret = sqlite3_exec(db, "UPDATE t SET n=n+1", NULL, NULL, NULL);
		ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	} while (ret != SQLITE_OK);
}

/* Catches: a process that does nothing and keeps all others out, or goes on with what isn't its own any more (V8). */
TEST_LONG(taken__from_one_who_is_idle, 120)
{
	static const struct taken taken[] = {
		{ "wal", 0, 0, 0 }, { "delete", 0, 0, 0 }, { "wal", 32, 0, 0 },
	};
	struct turns *turns = test_shared(sizeof(*turns));
	struct crowd crowd;
	struct exo_quota old;
	uint32_t disk, entry, i;
	pid_t pid;

	for (i = 0; i < 3; i++) {
		disk = set_up();
		old = t_quota(root_fd, 0);
		turns_init(turns);
		crowd = (struct crowd){ taken[i].journal, 0 };
		begin(&crowd);
		no_minimum();
		ASSERT_EQ(hold_page(disk, taken[i].page, &entry), 0);
		pid = test_spawn(idle, turns);
		test_sync_wait(&turns->ready);
		take_by_force(disk);
		ASSERT_EQ(xt_unbind(root_fd, entry), 0);
		test_join(test_spawn(go_on, NULL));
		test_sync_post(&turns->taken);
		test_join(pid);
		ASSERT_EQ(registry(disk)->entries, 0);
		old.size = sizeof(old);
		old.flags = EXO_QUOTA_MIN;
		t_quota_set(root_fd, &old);
		end(disk);
	}
}

/* Has written, in frames that it is about to be asked for. */
static void write_much(void *arg)
{
	struct turns *turns = arg;
	sqlite3 *db;
	int ret;

	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "PRAGMA cache_size=5; BEGIN IMMEDIATE");
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<300) "
		      "INSERT INTO log SELECT randomblob(4000) FROM c");
	test_sync_post(&turns->ready);
	test_sync_wait(&turns->taken);
	ret = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("a transaction whose locks are gone: %d", ret);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

/* Catches: the thread that gives frames back and writes what is dirty, for whom what is shared is gone already. */
TEST_LONG(taken__before_frames_are_given, 90)
{
	struct turns *turns = test_shared(sizeof(*turns));
	struct crowd crowd = { "delete", 0 };
	uint32_t disk = set_up(), entry, asked;
	struct exo_quota old = t_quota(root_fd, 0);
	int status;
	pid_t pid;

	turns_init(turns);
	begin(&crowd);
	no_minimum();
	ASSERT_EQ(hold_page(disk, 0, &entry), 0);
	pid = test_spawn(write_much, turns);
	test_sync_wait(&turns->ready);
	kill(pid, SIGSTOP);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	/* It is asked first, and told then. */
	ASSERT_EQ(t_revoke(root_fd, env_of(root_fd, pid).out_env, 100000, 60000, &asked), 0);
	ASSERT_GT(asked, 64);
	take_by_force(disk);
	kill(pid, SIGCONT);
	test_sleep_ms(200);
	test_sync_post(&turns->taken);
	test_join(pid);
	ASSERT_EQ(xt_unbind(root_fd, entry), 0);
	old.size = sizeof(old);
	old.flags = EXO_QUOTA_MIN;
	t_quota_set(root_fd, &old);
	end(disk);
}

/* Of one whose process is ending, after some of his numbers are gone: a page of the head, and a seat in it. */
static uint32_t hold_seat(uint32_t disk, uint32_t page, uint32_t slot)
{
	struct exo_xn_entry_lock lock = { .size = sizeof(lock), .flags = EXO_XN_LOCK_TRY, .slots = 1U << slot,
					  .mode = EXO_XN_EXCLUSIVE };

	ASSERT_EQ(hold_page(disk, page, &lock.entry), 0);
	ASSERT_EQ(t_ioctl(root_fd, EXO_XN_ENTRY_LOCK, &lock), 0);
	return lock.entry;
}

static void lock_for_ever(void *arg)
{
	struct turns *turns = arg;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "BEGIN EXCLUSIVE; UPDATE t SET n=1");
	test_sync_post(&turns->ready);
	for (;;)
		pause();
}

/* Catches: new pages beside those of one who is about to end, taken for what processes share. */
TEST(open__while_another_ends)
{
	struct turns *turns = test_shared(sizeof(*turns));
	struct crowd crowd = { "delete", 0 };
	uint32_t disk = set_up(), entry;
	int status;
	pid_t pid;

	turns_init(turns);
	begin(&crowd);
	/* The first page is new, and seat 16 is taken. */
	entry = hold_seat(disk, 1, 0);
	test_join(test_spawn(go_on, NULL));
	ASSERT_EQ(xt_unbind(root_fd, entry), 0);
	/* All others are new, in the first one it says who has locks, and seat 1 is taken. */
	pid = test_spawn(lock_for_ever, turns);
	test_sync_wait(&turns->ready);
	entry = hold_seat(disk, 0, 1);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	test_join(test_spawn(go_on, NULL));
	ASSERT_EQ(xt_unbind(root_fd, entry), 0);
	ASSERT_EQ(registry(disk)->entries, 0);
	end(disk);
}

struct storm {
	const char *journal;
	volatile uint64_t sure, unsure;
	volatile uint32_t stop;
};

static void count_in_storm(void *arg)
{
	struct storm *storm = arg;
	sqlite3 *db;
	int ret;

	use_vfs(256);
	sqlite3_config(SQLITE_CONFIG_LOG, NULL, NULL);
	while (!storm->stop) {
		if (sqlite3_open("crowd.db", &db) != SQLITE_OK) {
			sqlite3_close(db);
			test_sleep_ms(5);
			continue;
		}
		sqlite3_busy_timeout(db, 10000);
		do {
			ret = sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE t SET n=n+1;"
					   "INSERT INTO log VALUES(randomblob(300)); COMMIT", NULL, NULL, NULL);
			if (ret == SQLITE_OK)
				__atomic_fetch_add(&storm->sure, 1, __ATOMIC_SEQ_CST);
			else
				__atomic_fetch_add(&storm->unsure, 1, __ATOMIC_SEQ_CST);
		} while (ret == SQLITE_OK && !storm->stop);
		ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	}
}

static void storm_end(void *arg)
{
	const struct storm *storm = arg;
	uint64_t n;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	check_integrity(db);
	n = (uint64_t)number(db, "SELECT n FROM t");
	ASSERT_EQ(number(db, "SELECT (SELECT count(*) FROM log)=(SELECT n FROM t)"), 1);
	if (n < storm->sure || n > storm->sure + storm->unsure)
		FAIL("%llu transactions; %llu were acknowledged, %llu perhaps", (unsigned long long)n,
		     (unsigned long long)storm->sure, (unsigned long long)storm->unsure);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static void storm(const char *journal)
{
	struct storm *storm = test_shared(sizeof(*storm));
	struct crowd crowd = { journal, 0 };
	unsigned int rounds = test_rounds(20, 5), i;
	uint64_t seed = test_seed(), seen, start;
	uint32_t disk = set_up(), entry, page;
	uint64_t had;
	struct exo_quota old = t_quota(root_fd, 0);
	pid_t pids[3];

	storm->journal = journal;
	begin(&crowd);
	no_minimum();
	for (i = 0; i < 3; i++)
		pids[i] = test_spawn(count_in_storm, storm);
	for (i = 0; i < rounds; i++) {
		start = test_now_ns();
		seen = storm->sure;
		page = test_random(&seed) % 2 ? 0 : 32 + (uint32_t)(test_random(&seed) % 8);
		/* They find together again, each time. */
		while (hold_page(disk, page, &entry) || storm->sure < seen + 3) {
			xt_unbind(root_fd, entry);
			if (test_overdue(start, 20000))
				FAIL("round %u: nobody gets on", i);
			test_sleep_ms(1);
		}
		test_sleep_ms(test_random(&seed) % 20);
		/* Nobody may use it just now: then it is given, and nothing is lost. */
		start = test_now_ns();
		had = t_quota(root_fd, 0).out_frames;
		ask_for_one();
		while (t_quota(root_fd, 0).out_frames >= had && !test_late(start, 200))
			test_sleep_ms(1);
		xt_unbind(root_fd, entry);
	}
	storm->stop = 1;
	for (i = 0; i < 3; i++)
		test_join(pids[i]);
	test_join(test_spawn(storm_end, storm));
	test_note("%s: %u times taken, %llu transactions acknowledged, %llu perhaps", journal, rounds,
		  (unsigned long long)storm->sure, (unsigned long long)storm->unsure);
	old.size = sizeof(old);
	old.flags = EXO_QUOTA_MIN;
	t_quota_set(root_fd, &old);
	end(disk);
}

/* Catches: a transaction that was acknowledged and that those who come next don't see; processes that don't find together again. */
TEST_LONG(taken__under_load_wal, 120)
{
	storm("wal");
}

TEST_LONG(taken__under_load_delete, 120)
{
	storm("delete");
}

/* Catches: memory of a WAL that stays when the database is closed; a seat that doesn't stay; frames that nobody gives. */
static void close_and_look(void *arg)
{
	const struct exo_xn_reg_table *t = registry(*(uint32_t *)arg);
	sqlite3 *db;
	uint64_t open;

	db = vfs_open(0, "some.db");
	sql(db, NULL, "PRAGMA journal_mode=wal; CREATE TABLE t(n); INSERT INTO t VALUES(1)");
	open = t->entries;
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	ASSERT_EQ(t->entries, open - 8);
	db = db_open("some.db");
	ASSERT_EQ(number(db, "SELECT n FROM t"), 1);
	ASSERT_EQ(t->entries, open);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

TEST(close__nothing_left)
{
	uint32_t disk = set_up(), frames = t_quota(root_fd, 0).out_frames;

	test_join(test_spawn(close_and_look, &disk));
	ASSERT_EQ(registry(disk)->entries, 0);
	t_wait_charged(root_fd, 0, frames);
	end(disk);
}

/* Catches: a disk that is detached under open databases, and hangs or kills those who have them. */
static void write_detached(void *arg)
{
	uint32_t disk = *(uint32_t *)arg;
	sqlite3 *db;
	int ret;

	db = vfs_open(0, "some.db");
	sql(db, NULL, "PRAGMA journal_mode=wal; CREATE TABLE t(n); INSERT INTO t VALUES(1)");
	ASSERT_EQ(xt_detach(root_fd, disk, EXO_XN_DETACH_FORCE), 0);
	ret = sqlite3_exec(db, "INSERT INTO t VALUES(2)", NULL, NULL, NULL);
	if (!is_io_error(ret))
		FAIL("a disk that is gone: %d", ret);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
	ASSERT_EQ(sqlite3_open("some.db", &db), SQLITE_CANTOPEN);
	sqlite3_close(db);
}

TEST(detach__while_open)
{
	uint32_t disk = set_up();
	struct exo_xn_attach attach;

	test_join(test_spawn(write_detached, &disk));
	ASSERT_EQ(xt_attach(root_fd, device, &attach), 0);
	end(attach.out_disk);
}

/* Catches: a quota of frames that is met in the middle of opening, and something that stays of that. */
static void open_without_frames(void *arg)
{
	uint32_t frames = (uint32_t)(uintptr_t)arg;
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = 1, .frames = 64 };
	struct exo_quota quota = { .size = sizeof(quota), .flags = EXO_QUOTA_FRAMES, .uid = BOB };
	sqlite3 *db;
	int ret, fd = root_fd;

	quota.frames = 65 + frames;
	t_quota_set(fd, &quota);
	t_become(BOB);
	ASSERT_EQ(exo_sqlite_vfs_register(&opts), 0);
	ret = sqlite3_open("x", &db);
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(db, "PRAGMA journal_mode=wal; CREATE TABLE IF NOT EXISTS x(y); INSERT INTO x VALUES(1)",
				   NULL, NULL, NULL);
	sqlite3_close(db);
	if (ret != (frames < 40 ? SQLITE_FULL : SQLITE_OK))
		FAIL("%u frames: %d", frames, ret);
}

TEST(quota__frames_to_share)
{
	struct exo_quota old;
	uint32_t disk = set_up(), i;

	old = t_quota(root_fd, BOB);
	for (i = 0; i <= 44; i += 4) {
		test_join(test_spawn(open_without_frames, (void *)(uintptr_t)i));
		ASSERT_EQ_FOR(registry(disk)->entries, 0, "%u frames", i);
		t_wait_charged(root_fd, BOB, 0);
	}
	old.size = sizeof(old);
	old.flags = EXO_QUOTA_FRAMES;
	old.uid = BOB;
	t_quota_set(root_fd, &old);
	end(disk);
}
