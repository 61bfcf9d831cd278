// SPDX-License-Identifier: GPL-2.0
/*
 * X3b: durable transactions of one row, in WAL and in delete mode: instructions, requests and bytes of each. Five runs of
 * 2,000; the middle one counts. Afterwards every row is there, and the database is whole.
 */
#include <string.h>

#include <sqlite3.h>

#include "x3.h"

#define RUN 2000
#define RUNS 6 /* bench_measure() has one more than it counts */

struct run {
	const struct x3_place *place;
	const char *journal;
	sqlite3 *db;
	sqlite3_stmt *insert;
	sqlite3_int64 rows;
};

static void must_sql(struct run *run, int rc, const char *what)
{
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		bench_fail("%s, %s: %s: %s", run->place->name, run->journal, what,
			   run->db ? sqlite3_errmsg(run->db) : sqlite3_errstr(rc));
}

static void sql(struct run *run, const char *text)
{
	must_sql(run, sqlite3_exec(run->db, text, NULL, NULL, NULL), text);
}

/* The one value that a statement returns. */
static void value(struct run *run, const char *text, char *out, size_t size)
{
	sqlite3_stmt *stmt;

	must_sql(run, sqlite3_prepare_v2(run->db, text, -1, &stmt, NULL), text);
	must_sql(run, sqlite3_step(stmt), text);
	snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
}

static void expect(struct run *run, const char *text, const char *wanted)
{
	char found[64];

	value(run, text, found, sizeof(found));
	if (strcmp(found, wanted))
		bench_fail("%s, %s: %s: \"%s\", not \"%s\"", run->place->name, run->journal, text, found,
			   wanted);
}

static void open_db(struct run *run)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "%s%s.db", run->place->dir, run->journal);
	must_sql(run, sqlite3_open_v2(path, &run->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
				      run->place->vfs), path);
	snprintf(text, sizeof(text), "PRAGMA journal_mode=%s", run->journal);
	sql(run, "PRAGMA page_size=4096; PRAGMA mmap_size=0; PRAGMA locking_mode=normal");
	expect(run, text, run->journal);
	sql(run, "PRAGMA synchronous=full");
}

static double transactions(void *ctx)
{
	struct run *run = ctx;
	uint64_t start = bench_now();
	int i, rc = SQLITE_DONE;

	for (i = 0; i < RUN; i++) {
		sqlite3_bind_int64(run->insert, 1, run->rows * 7919);
		rc = sqlite3_step(run->insert);
		if (rc != SQLITE_DONE)
			break;
		rc = sqlite3_reset(run->insert);
		if (rc != SQLITE_OK)
			break;
		run->rows++;
	}
	must_sql(run, rc, "insert");
	return bench_since(start) / RUN;
}

struct figures {
	double instructions;
	struct x3_requests per;	/* transaction */
};

static struct figures measure(const struct x3_place *place, const char *journal)
{
	struct run run = { .place = place, .journal = journal };
	struct x3_requests before, after;
	struct figures figures;
	char text[32];

	open_db(&run);
	sql(&run, "CREATE TABLE t(id INTEGER PRIMARY KEY, number INTEGER, text TEXT)");
	must_sql(&run, sqlite3_prepare_v2(run.db, "INSERT INTO t(number, text) VALUES(?1, 'a row of a hundred "
					  "bytes or so, as they are in tables of orders, events or people')",
					  -1, &run.insert, NULL), "prepare");
	before = x3_requests(place);
	figures.instructions = bench_measure(place->name, transactions, &run);
	after = x3_requests(place);
	figures.per.requests = (after.requests - before.requests) / (RUNS * RUN);
	figures.per.flushes = (after.flushes - before.flushes) / (RUNS * RUN);
	figures.per.bytes = (after.bytes - before.bytes) / (RUNS * RUN);
	sqlite3_finalize(run.insert);
	must_sql(&run, sqlite3_close(run.db), "close");

	/* What another process would find. */
	open_db(&run);
	snprintf(text, sizeof(text), "%lld", (long long)run.rows);
	expect(&run, "SELECT count(*) FROM t", text);
	expect(&run, "PRAGMA integrity_check", "ok");
	must_sql(&run, sqlite3_close(run.db), "close");
	return figures;
}

static void rows(const char *journal, const struct figures *ours, const struct figures *peer,
		 const char *peer_name)
{
	char id[40], what[120], name[64];

	snprintf(name, sizeof(name), "SQLite's unix VFS on %s", peer_name);
	snprintf(id, sizeof(id), "X3b.%s.%s", journal, peer_name);
	snprintf(what, sizeof(what), "a durable transaction of one row, %s mode", journal);
	bench_unit(bench_is_wall() ? "ns" : "instructions");
	bench_row(id, what, ours->instructions, peer->instructions, name,
		  "synchronous=full, pages of 4 KiB; five runs of %d, the middle one", RUN);
	bench_unit("requests");
	snprintf(id, sizeof(id), "X3b.%s.%s.requests", journal, peer_name);
	bench_row(id, what, ours->per.requests, peer->per.requests, name, "of these flushes: %.2f, peer %.2f",
		  ours->per.flushes, peer->per.flushes);
	bench_unit("bytes");
	snprintf(id, sizeof(id), "X3b.%s.%s.bytes", journal, peer_name);
	bench_row(id, what, ours->per.bytes, peer->per.bytes, name, "read and written");
}

static const char *const journals[] = { "wal", "delete" };

void x3b_exo(double figure[2])
{
	int i;

	for (i = 0; i < 2; i++)
		figure[i] = measure(&x3_places[X3_EXO], journals[i]).instructions;
}

void x3b_run(void)
{
	struct figures figures[X3_PLACES];
	int i, place;

	for (i = 0; i < 2; i++) {
		for (place = 0; place < X3_PLACES; place++)
			figures[place] = measure(&x3_places[place], journals[i]);
		for (place = X3_EXT4; place < X3_PLACES; place++)
			rows(journals[i], &figures[X3_EXO], &figures[place], x3_places[place].name);
	}
}
