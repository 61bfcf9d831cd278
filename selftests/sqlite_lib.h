/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of libexo-sqlite share: databases, and random SQL that gives a digest of its answers.
 * Every test runs in a process of its own, so that each can set SQLite up in its own way.
 */
#ifndef EXO_SQLITE_LIB_H
#define EXO_SQLITE_LIB_H

#include <sqlite3.h>

#include <exo/sqlite.h>

#include "harness.h"
#include "lib.h"

#define DIGEST_START 0xcbf29ce484222325ULL

/* A directory for databases, emptied. Must. */
const char *work_dir(void);
void remove_dir(const char *dir);		/* must */
/* Must: sets the minimum of this user, returns what it was. */
uint32_t guarantee(int fd, uint32_t frames);
/* Must: the library as SQLite's page cache; at most so many frames, or 0. */
void install(uint32_t frames);
struct exo_sqlite_stats stats_now(void);	/* must */
/* The environment that the library in process pid has open; zeroes if there is none. */
struct exo_env_status env_of(int fd, pid_t pid);

sqlite3 *db_open(const char *path);		/* must */
/* Must: rows go into the digest, where there is one. */
void sql(sqlite3 *db, uint64_t *digest, const char *fmt, ...);
void check_integrity(sqlite3 *db);		/* must */
/* A table with so many rows of about 900 bytes, all of them read. Must. */
void fill(sqlite3 *db, unsigned int rows);

/* Random statements, the same for the same seed. */
struct script {
	const char *path;
	const char *journal;
	unsigned int page_size;
	int cache_size;
	unsigned int steps;
	uint64_t seed;
};

struct job {
	struct script script;
	uint64_t *digest;	/* of all that the script returned; shared */
	uint32_t frames;
	bool stock;
};

/* Runs the script of a struct job in this process, with the library or with SQLite's own cache. */
void run_job(void *job);
/* The digest with SQLite's own cache, from a process of its own. */
uint64_t stock_digest(const struct script *script);

#endif
