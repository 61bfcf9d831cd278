// SPDX-License-Identifier: GPL-2.0
/*
 * RocksDB of Debian: a batch is written with sync. No compression (values are random), Bloom filters, logs recycled, and
 * buffers and cache that fit into the limit; what is left of it is the page cache's.
 */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <unistd.h>

#include "x4.h"

#define BUFFER (3UL << 20)
#define CACHE (10UL << 20)

static rocksdb_t *db;
static rocksdb_options_t *options;
static rocksdb_writeoptions_t *durable;
static rocksdb_readoptions_t *read_options;
static rocksdb_writebatch_t *batch;
static rocksdb_pinnableslice_t *slice;

static void must(char *error, const char *what)
{
	if (error)
		x4_fail("rocksdb: %s: %s", what, error);
}

static void open_store(const char *where)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	char *error = NULL;

	options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_write_buffer_size(options, BUFFER);
	rocksdb_options_set_max_write_buffer_number(options, 2);
	rocksdb_options_set_target_file_size_base(options, 4UL << 20);
	rocksdb_options_set_max_bytes_for_level_base(options, 16UL << 20);
	rocksdb_options_set_recycle_log_file_num(options, 2);
	rocksdb_options_set_stats_dump_period_sec(options, 0);
	rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(CACHE));
	rocksdb_block_based_options_set_filter_policy(table,
						      rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_options_set_block_based_table_factory(options, table);
	durable = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(durable, 1);
	read_options = rocksdb_readoptions_create();
	batch = rocksdb_writebatch_create();
	db = rocksdb_open(options, where, &error);
	must(error, "open");
}

/* A value that is in the batch is not seen yet. */
static int get(const char *key, uint32_t key_len, const void **out_value)
{
	char *error = NULL;
	size_t length;

	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	slice = rocksdb_get_pinned(db, read_options, key, key_len, &error);
	must(error, "get");
	if (!slice)
		return -1;
	*out_value = rocksdb_pinnableslice_value(slice, &length);
	return (int)length;
}

static void put(const char *key, uint32_t key_len, const void *value, uint32_t length)
{
	rocksdb_writebatch_put(batch, key, key_len, value, length);
}

static void commit(void)
{
	char *error = NULL;

	rocksdb_write(db, durable, batch, &error);
	must(error, "write");
	rocksdb_writebatch_clear(batch);
}

static uint64_t property(const char *name)
{
	uint64_t value = 0;

	if (rocksdb_property_int(db, name, &value))
		x4_fail("rocksdb: no property %s", name);
	return value;
}

/* What runs, or waits to run, in the background; a buffer that isn't full stays. */
static void settle(void)
{
	while (property("rocksdb.num-running-flushes") || property("rocksdb.mem-table-flush-pending") ||
	       property("rocksdb.num-running-compactions") || property("rocksdb.compaction-pending"))
		usleep(10000);
}

static void close_store(void)
{
	if (slice)
		rocksdb_pinnableslice_destroy(slice);
	rocksdb_close(db);
}

const struct x4_store x4_rocksdb = {
	.name = "rocksdb",
	.open = open_store,
	.get = get,
	.put = put,
	.commit = commit,
	.settle = settle,
	.close = close_store,
};
