/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the SQLite VFS begin with: a disk, the VFS in a process of its own. Each program includes it once.
 */
#ifndef EXO_SQLITE_VFS_SETUP_H
#define EXO_SQLITE_VFS_SETUP_H

#include <exo/sqlite_vfs.h>

#include "sqlite_lib.h"
#include "xn_lib.h"

uint32_t test_pool_frames = 8192;

static char device[32];
static int root_fd;

/* A new disk. */
static uint32_t set_up(void)
{
	root_fd = t_open();
	return xt_disk(root_fd, device);
}

static void end(uint32_t disk)
{
	ASSERT_EQ(xt_detach(root_fd, disk, EXO_XN_DETACH_FORCE), 0);
}

static void on_log(void *arg, int code, const char *text)
{
	if (code == SQLITE_MISUSE || code == SQLITE_NOTICE_RECOVER_ROLLBACK || code == SQLITE_NOTICE_RECOVER_WAL)
		return;
	test_note("sqlite: %d: %s", code, text);
}

static void use_vfs(uint32_t frames)
{
	struct exo_sqlite_vfs_opts opts = { .sz = sizeof(opts), .make_default = 1, .frames = frames };
	char error[256] = "";
	int ret;

	opts.error = error;
	opts.error_size = sizeof(error);
	sqlite3_config(SQLITE_CONFIG_LOG, on_log, NULL);
	ret = exo_sqlite_vfs_register(&opts);
	if (ret)
		FAIL("register: %d: %s", ret, error);
}

/* A database of the VFS, with so many frames or as many as are usual. Must. */
static sqlite3 *vfs_open(uint32_t frames, const char *name)
{
	use_vfs(frames);
	return db_open(name);
}

static long long number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *stmt;
	long long value;

	ASSERT_EQ(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	ASSERT_EQ(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static __attribute__((unused)) void make_volume(void *arg)
{
	sqlite3 *db;

	db = vfs_open(0, "x");
	sql(db, NULL, "CREATE TABLE x(y)");
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

#endif
