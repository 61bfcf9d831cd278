// SPDX-License-Identifier: GPL-2.0
/*
 * LMDB of Debian: no read-ahead, as its manual advises for data larger than memory; a commit is durable (the default).
 * Reads go through the open transaction, so that none is begun for a read.
 */
#include <lmdb.h>
#include <stddef.h>

#include "x4.h"

#define MAP_BYTES (1UL << 30)

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *writer, *reader;

static void must(int ret, const char *what)
{
	if (ret)
		x4_fail("lmdb: %s: %s", what, mdb_strerror(ret));
}

static void open_store(const char *where)
{
	must(mdb_env_create(&env), "create");
	must(mdb_env_set_mapsize(env, MAP_BYTES), "map size");
	must(mdb_env_open(env, where, MDB_NORDAHEAD | MDB_NOTLS, 0644), "open");
	must(mdb_txn_begin(env, NULL, 0, &writer), "begin");
	must(mdb_dbi_open(writer, NULL, 0, &dbi), "dbi");
	must(mdb_txn_commit(writer), "commit");
	writer = NULL;
	must(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader), "begin");
}

static int get(const char *key, uint32_t key_len, const void **out_value)
{
	MDB_val k = { key_len, (void *)key }, v;

	if (mdb_get(writer ? writer : reader, dbi, &k, &v))
		return -1;
	*out_value = v.mv_data;
	return (int)v.mv_size;
}

/* Who reads an old state keeps its pages from being used again. */
static void put(const char *key, uint32_t key_len, const void *value, uint32_t length)
{
	MDB_val k = { key_len, (void *)key }, v = { length, (void *)value };

	if (!writer) {
		mdb_txn_reset(reader);
		must(mdb_txn_begin(env, NULL, 0, &writer), "begin");
	}
	must(mdb_put(writer, dbi, &k, &v, 0), "put");
}

static void commit(void)
{
	must(mdb_txn_commit(writer), "commit");
	writer = NULL;
	must(mdb_txn_renew(reader), "renew");
}

static void settle(void)
{
}

static void close_store(void)
{
	mdb_txn_abort(reader);
	mdb_env_close(env);
}

const struct x4_store x4_lmdb = {
	.name = "lmdb",
	.open = open_store,
	.get = get,
	.put = put,
	.commit = commit,
	.settle = settle,
	.close = close_store,
};
