/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the SQLite VFS with several processes begin with. Each program includes it once. */
#ifndef EXO_SQLITE_SHARE_SETUP_H
#define EXO_SQLITE_SHARE_SETUP_H

#include <sys/mman.h>

#include "sqlite_vfs_setup.h"

struct crowd {
	const char *journal;
	unsigned int rounds;
};

static void crowd_begin(void *arg)
{
	const struct crowd *crowd = arg;
	sqlite3 *db;

	db = vfs_open(0, "crowd.db");
	sql(db, NULL, "PRAGMA journal_mode=%s; CREATE TABLE t(n); INSERT INTO t VALUES(0); CREATE TABLE log(b)",
	    crowd->journal);
	ASSERT_EQ(sqlite3_close(db), SQLITE_OK);
}

static const struct exo_xn_reg_table *registry(uint32_t disk)
{
	void *at = mmap(NULL, EXO_XN_REG_BYTES, PROT_READ, MAP_SHARED, root_fd,
			(off_t)(EXO_MMAP_XN + ((uint64_t)disk << EXO_MMAP_VIEW_SHIFT)));

	ASSERT_TRUE(at != MAP_FAILED);
	return at;
}

/* Two processes who wait for each other. */
struct turns {
	struct test_sync ready, taken, closed;
};

static void turns_init(struct turns *turns)
{
	test_sync_init(&turns->ready);
	test_sync_init(&turns->taken);
	test_sync_init(&turns->closed);
}

#endif
