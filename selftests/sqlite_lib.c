// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <sys/stat.h>

#include "sqlite_lib.h"

static uint64_t digest_text(uint64_t digest, const char *text)
{
	for (; *text; text++)
		digest = (digest ^ (unsigned char)*text) * 0x100000001b3ULL;
	return (digest ^ '\n') * 0x100000001b3ULL;
}

const char *work_dir(void)
{
	static char dir[64];

	snprintf(dir, sizeof(dir), "/tmp/exo-sqlite-test.%d", (int)getpid());
	ASSERT_EQ(mkdir(dir, 0777), 0);
	ASSERT_EQ(chmod(dir, 0777), 0);
	return dir;
}

void remove_dir(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ASSERT_EQ(system(command), 0);
}

uint32_t guarantee(int fd, uint32_t frames)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = getuid(), .min = frames };
	uint32_t old = t_quota(fd, getuid()).min;

	t_quota_set(fd, &quota);
	return old;
}

void install(uint32_t frames)
{
	struct exo_sqlite_opts opts = { .sz = sizeof(opts), .frames = frames };

	ASSERT_EQ(exo_sqlite_install(&opts), 0);
}

struct exo_sqlite_stats stats_now(void)
{
	struct exo_sqlite_stats stats;

	ASSERT_EQ(exo_sqlite_stats(&stats, sizeof(stats)), 0);
	return stats;
}

struct exo_env_status env_of(int fd, pid_t pid)
{
	struct exo_env_status rows[64];
	struct exo_env_list list = { .size = sizeof(list), .count = 64, .envs = (uintptr_t)rows,
				     .row_size = sizeof(rows[0]) };
	uint32_t i;

	ASSERT_EQ(t_ioctl(fd, EXO_ENV_LIST, &list), 0);
	for (i = 0; i < list.out_done; i++)
		if (rows[i].out_pid == (uint32_t)pid)
			return rows[i];
	return (struct exo_env_status){ 0 };
}

sqlite3 *db_open(const char *path)
{
	sqlite3 *db;

	ASSERT_EQ(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, (int)test_limit_ms(20000));
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

void sql(sqlite3 *db, uint64_t *digest, const char *fmt, ...)
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

void check_integrity(sqlite3 *db)
{
	sqlite3_stmt *stmt;

	ASSERT_EQ(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
	ASSERT_EQ(sqlite3_step(stmt), SQLITE_ROW);
	if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok"))
		FAIL("integrity_check: %s", sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}


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


void run_job(void *arg)
{
	const struct job *job = arg;

	if (!job->stock)
		install(job->frames);
	*job->digest = run_script(&job->script);
}

/* The digest of the script with SQLite's own cache. */
uint64_t stock_digest(const struct script *script)
{
	uint64_t *digest = test_shared(sizeof(*digest));
	struct job job = { *script, digest, 0, true };

	test_join(test_spawn(run_job, &job));
	unlink(script->path);
	return *digest;
}
void fill(sqlite3 *db, unsigned int rows)
{
	sql(db, NULL, "PRAGMA journal_mode=delete; PRAGMA cache_size=4000; PRAGMA synchronous=off");
	sql(db, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
	sql(db, NULL, "WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<%u) "
		      "INSERT INTO t SELECT i, printf('%%.*c', 900, 'x')||i FROM c", rows);
	sql(db, NULL, "SELECT sum(length(b)) FROM t");
}
