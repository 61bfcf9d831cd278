// SPDX-License-Identifier: GPL-2.0
/*
 * Databases on a raw disk whose power fails: SQLite with vfs=exo, in WAL and delete mode, and samples/kv. What they write
 * is recorded by dm-log-writes, with a mark where a transaction was acknowledged, and replayed onto a second disk as far as
 * the device was told to make it durable. There the disk is attached, the database is opened, and must have all
 * transactions that were acknowledged, perhaps the next one, and no part of another.
 *
 * As a control, the last of what had to be durable for an acknowledgement is left out: that must be noticed.
 */
#include <exo/sqlite_vfs.h>

#include "../samples/kv/kv.h"
#include "sqlite_lib.h"
#include "xn_dm.h"
#include "xn_lib.h"

uint32_t test_pool_frames = 8192;

#define BLOCKS 4096U
#define DISK_BYTES ((size_t)BLOCKS * EXO_XN_BLOCK)
#define LOG_BYTES (64U << 20)
#define ENTRIES_MOST 20000U
#define POINTS 72U	/* that are tried; a third of them on other kernels than 6.1 */
#define CONTROLS 8U

static char disk_path[32], copy_path[32];
static uint8_t *image, *copy;	/* what is durable; the disk that a point is tried on */
static struct lw_entry *entries;
static uint32_t nr_entries;
static int admin;

/* Recording --------------------------------------------------------------------------------------- */

static void mark(uint32_t transactions)
{
	char text[32];

	/* The first one says that there is a database. */
	snprintf(text, sizeof(text), "mark %u", transactions + 1);
	dm_message("xnlog", text);
}

/* The disk, attached. */
static uint32_t record_begin(void)
{
	struct exo_xn_attach attach;
	char under[32], log[32], params[80];

	admin = xt_admin();
	xt_device("disk", BLOCKS, under);
	xt_device("log", LOG_BYTES / EXO_XN_BLOCK, log);
	xt_device("copy", BLOCKS, copy_path);
	snprintf(params, sizeof(params), "%s %s", under, log);
	dm_create("xnlog", "log-writes", DISK_BYTES / DM_SECTOR, params, disk_path);
	copy = xt_map_file("copy", DISK_BYTES);
	image = calloc(1, DISK_BYTES);
	entries = calloc(ENTRIES_MOST, sizeof(*entries));
	ASSERT_TRUE(image && entries);
	ASSERT_EQ(xt_format(admin, disk_path, 0), 0);
	ASSERT_EQ(xt_attach(admin, disk_path, &attach), 0);
	return attach.out_disk;
}

static void record_end(uint32_t disk)
{
	ASSERT_EQ(xt_detach(admin, disk, EXO_XN_DETACH_FORCE), 0);
	dm_remove("xnlog");
	nr_entries = lw_read(xt_map_file("log", LOG_BYTES), LOG_BYTES, DISK_BYTES, entries, ENTRIES_MOST);
}

/* Replaying --------------------------------------------------------------------------------------- */

struct replay {
	const char *(*look)(uint32_t disk, uint32_t transactions);
	uint32_t marked;	/* transactions that were acknowledged, and one */
	uint32_t most;		/* points to try */
	uint32_t points, seen, tried, controls, noticed;
};

static bool is_point(const struct lw_entry *e)
{
	return !(e->flags & LW_MARK) && (e->flags & (LW_FLUSH | LW_FUA));
}

/* What was acknowledged before anything else was written: it has nothing else to rely on. */
static uint32_t promised(uint32_t n, uint32_t before)
{
	uint32_t marked = before;

	for (n++; n < nr_entries && (entries[n].flags & LW_MARK); n++)
		marked = lw_marked(&entries[n]) ?: marked;
	return marked;
}

/* What is wrong when this is what the device has. */
static const char *try(struct replay *r, uint32_t marked)
{
	struct exo_xn_attach attach;
	const char *wrong;

	memcpy(copy, image, DISK_BYTES);
	if (xt_attach(admin, copy_path, &attach))
		return "it can't be attached";
	wrong = attach.out_quarantined ? "a root is quarantined" : r->look(attach.out_disk, marked - 1);
	if (xt_detach(admin, attach.out_disk, wrong ? EXO_XN_DETACH_FORCE : 0) && !wrong)
		wrong = "it can't be detached";
	return wrong;
}

/*
 * Without what the device was told to make durable before it was acknowledged. Where that was a checkpoint, nothing is lost:
 * the log has it, too.
 */
static void control(struct replay *r, uint32_t marked)
{
	if (marked == r->marked || !r->tried || r->controls > r->tried * CONTROLS / r->most)
		return;
	r->controls++;
	r->noticed += try(r, marked) != NULL;
}

/* Behind a flush is what was written before it: @cached is the first of that. */
static void point(struct replay *r, uint32_t n, uint32_t cached)
{
	uint32_t marked = promised(n, r->marked), i;
	const char *wrong;

	if (r->marked)
		control(r, marked);
	for (i = cached; i <= n; i++)
		lw_apply(image, &entries[i]);
	if (!r->marked)
		return;
	r->seen++;
	if ((uint64_t)r->seen * r->most / r->points == (uint64_t)(r->seen - 1) * r->most / r->points)
		return;
	wrong = try(r, marked);
	if (wrong)
		FAIL("power fails behind entry %u of %u, after %u transactions: %s", n, nr_entries, marked - 1, wrong);
	r->tried++;
}

static void replay(struct replay *r)
{
	uint32_t n, cached = 0;
	bool made = false;

	r->most = test_core_rounds(POINTS, 3);
	for (n = 0; n < nr_entries; n++) {
		made |= lw_marked(&entries[n]) != 0;
		r->points += made && is_point(&entries[n]);
	}
	ASSERT_GE(r->points, r->most);
	for (n = 0; n < nr_entries; n++) {
		if (is_point(&entries[n])) {
			point(r, n, cached);
			cached = n + 1;
		}
		r->marked = lw_marked(&entries[n]) ?: r->marked;
	}
	test_note("%u entries, %u of %u flushes and FUA writes tried, %u of %u lost ones noticed", nr_entries,
		  r->tried, r->points, r->noticed, r->controls);
	ASSERT_GE(r->tried, r->most * 5 / 6);
	ASSERT_GT(r->noticed, r->controls / 2);
}

/* SQLite ------------------------------------------------------------------------------------------ */

#define TRANSACTIONS 80U	/* half of them in WAL mode, the others in delete mode */

static void use_vfs(void)
{
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = 1, .frames = 512 };

	ASSERT_EQ(exo_sqlite_vfs_register(&opts), 0);
}

static uint32_t rows_of(uint32_t transaction)
{
	return transaction * 7 % 12 + 1;
}

#define TEXT "printf('%%.*c', 100+txn*37%%200, 'x')||txn||'.'||n"

/* Rows, what they are in an index, and a number that other pages have. */
static void write_sqlite(void *arg)
{
	sqlite3 *db;
	uint32_t i;

	use_vfs();
	db = db_open("crash.db");
	sql(db, NULL, "PRAGMA journal_mode=wal; PRAGMA synchronous=full; PRAGMA wal_autocheckpoint=40; PRAGMA cache_size=10;"
	    "CREATE TABLE last(txn); INSERT INTO last VALUES(0); CREATE TABLE t(txn, n, b); CREATE INDEX tb ON t(b)");
	mark(0);
	for (i = 1; i <= TRANSACTIONS; i++) {
		if (i == TRANSACTIONS / 2)
			sql(db, NULL, "PRAGMA journal_mode=delete");
		sql(db, NULL, "BEGIN; UPDATE last SET txn=%u; INSERT INTO t SELECT txn, n, " TEXT " FROM "
		    "(WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c WHERE n<%u) SELECT %u AS txn, n FROM c);"
		    "COMMIT", i, rows_of(i), i);
		mark(i);
	}
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

/* One number, or -1. */
static long long number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *stmt;
	long long value = -1;

	if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static const char *look_rows(sqlite3 *db, uint32_t transactions)
{
	long long last = number(db, "SELECT txn FROM last"), rows = 0;
	uint32_t i;

	if (last < transactions)
		return "an acknowledged transaction is gone";
	if (last > transactions + 1LL)
		return "a transaction is there that was not begun";
	for (i = 1; i <= last; i++)
		rows += rows_of(i);
	if (number(db, "SELECT count(*) FROM t") != rows || number(db, "SELECT count(DISTINCT txn) FROM t") != last ||
	    number(db, "SELECT ifnull(max(txn), 0) FROM t") != last)
		return "a transaction is there in part";
	if (number(db, "SELECT count(*) FROM t WHERE b<>printf('%.*c', 100+txn*37%200, 'x')||txn||'.'||n"))
		return "a row is not as it was written";
	return NULL;
}

static const char *look_db(uint32_t transactions)
{
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = 1, .frames = 512 };
	const char *wrong;
	sqlite3 *db;

	if (exo_sqlite_vfs_register(&opts))
		return "the VFS finds no disk";
	if (sqlite3_open("crash.db", &db))
		wrong = "the database can't be opened";
	else if (number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'") != 1)
		wrong = "SQLite finds it damaged";
	else
		wrong = look_rows(db, transactions);
	if (sqlite3_close(db) != SQLITE_OK && !wrong)
		wrong = "the database can't be closed";
	return wrong;
}

/* The VFS is for a process, and for one disk. */
static const char *look_sqlite(uint32_t disk, uint32_t transactions)
{
	static char *wrong;
	const char *found;
	pid_t pid;

	wrong = wrong ?: test_shared(128);
	snprintf(wrong, 128, "the process that looks died");
	pid = test_fork();
	if (!pid) {
		found = look_db(transactions);
		snprintf(wrong, 128, "%s", found ?: "");
		_exit(0);
	}
	test_wait(pid);
	return *wrong ? wrong : NULL;
}

/* Catches: a transaction of SQLite that was acknowledged and is gone, or is there in part (INV-XN-2, INV-XN-6). */
TEST_LONG(crash__sqlite, 200)
{
	struct replay r = { .look = look_sqlite };
	uint32_t disk = record_begin();

	test_join(test_spawn(write_sqlite, NULL));
	record_end(disk);
	replay(&r);
}

/* The key-value store ----------------------------------------------------------------------------- */

#define KEYS 200U
#define GROUPS 90U
#define GROUP 6U

static const struct kv_opts kv_opts = { .frames = 256, .group_blocks = 16, .log_blocks = 96, .blocks = 256 };

static uint32_t value_of(uint32_t n, uint32_t version, uint8_t value[4096])
{
	uint32_t i, length = version % 11 ? (n * 31 + version * 97) % 900 : 4000;

	for (i = 0; i < length; i++)
		value[i] = (uint8_t)(n + version * 3 + i);
	return length;
}

/* What a group does; versions are what is there afterwards, 0: nothing. */
static void group(struct kv *kv, uint32_t number_of_group, uint32_t version[KEYS])
{
	static uint8_t value[4096];
	uint32_t i, n, length;

	if (kv)
		ASSERT_EQ(kv_begin(kv), 0);
	for (i = 0; i < GROUP; i++) {
		n = (number_of_group * 31 + i * 17) % KEYS;
		if ((number_of_group + i) % 4 == 0) {
			if (kv)
				ASSERT_EQ(kv_delete(kv, &n, sizeof(n)), version[n] ? 0 : -ENOENT);
			version[n] = 0;
			continue;
		}
		version[n] = number_of_group;
		length = value_of(n, version[n], value);
		if (kv)
			ASSERT_EQ(kv_put(kv, &n, sizeof(n), value, length), 0);
	}
	if (kv)
		ASSERT_EQ(kv_commit(kv), 0);
}

static bool is_like(struct kv *kv, const uint32_t version[KEYS])
{
	static uint8_t value[4096], found[4096];
	uint32_t n, count = 0;
	int length;

	for (n = 0; n < KEYS; n++) {
		length = kv_get(kv, &n, sizeof(n), found, sizeof(found));
		count += version[n] != 0;
		if (!version[n] ? length != -ENOENT : length != (int)value_of(n, version[n], value) ||
		    memcmp(value, found, (size_t)length))
			return false;
	}
	return kv_count(kv) == count;
}

static const char *look_groups(struct kv *kv, uint32_t groups)
{
	uint32_t version[KEYS] = { 0 }, i;

	if (kv_check(kv))
		return "the tree is broken";
	for (i = 1; i <= groups; i++)
		group(NULL, i, version);
	if (is_like(kv, version))
		return NULL;
	group(NULL, i, version);
	return is_like(kv, version) ? NULL : "a group is gone, or is there in part";
}

static struct exo_env *env;

static struct exo_xn *open_disk(uint32_t disk)
{
	struct exo_xn_open_opts which = { .sz = sizeof(which), .disk = disk };
	struct exo_xn *xn;

	ASSERT_EQ(exo_xn_open(env, &which, &xn), 0);
	return xn;
}

static const char *look_kv(uint32_t disk, uint32_t groups)
{
	struct exo_xn *xn = open_disk(disk);
	const char *wrong;
	struct kv *kv;

	if (kv_open(xn, "store", &kv_opts, &kv)) {
		wrong = "the store can't be opened";
	} else {
		wrong = look_groups(kv, groups);
		if (kv_close(kv) && !wrong)
			wrong = "the store can't be closed";
	}
	ASSERT_EQ(exo_xn_close(xn), 0);
	return wrong;
}

/* Catches: the same of samples/kv. */
TEST_LONG(crash__kv, 200)
{
	struct replay r = { .look = look_kv };
	uint32_t disk = record_begin(), version[KEYS] = { 0 }, i;
	struct exo_xn *xn;
	struct kv *kv;

	ASSERT_EQ(exo_env_open(&env, NULL), 0);
	xn = open_disk(disk);
	ASSERT_EQ(kv_create(xn, "store", &kv_opts), 0);
	ASSERT_EQ(kv_open(xn, "store", &kv_opts, &kv), 0);
	mark(0);
	for (i = 1; i <= GROUPS; i++) {
		group(kv, i, version);
		mark(i);
	}
	ASSERT_EQ(kv_close(kv), 0);
	ASSERT_EQ(exo_xn_close(xn), 0);
	record_end(disk);
	replay(&r);
}
