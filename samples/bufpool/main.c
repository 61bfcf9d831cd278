// SPDX-License-Identifier: GPL-2.0
/*
 * bufpool: a B+tree four times as large as the memory for it.
 *
 *   bufpool [FILE [FRAMES [RECORDS]]]	default: bufpool.db 1024 120000 (4 MiB, 16 MiB)
 *
 * FILE is written over: a file, or a block device.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pool.h"

#define TREE_STORE struct pool
#define TREE_PAGE(store, page) pool_page(store, page)
#define TREE_NEW(store, out) pool_new(store, out)
#define TREE_PREFETCH(store, pages, n) pool_prefetch(store, pages, n)
#include "tree.h"

#define LOOKUPS 20000

static void die(const char *what, int err)
{
	fprintf(stderr, "bufpool: %s: %s\n", what, exo_strerror(err));
	exit(1);
}

static void must(int ret, const char *what)
{
	if (ret < 0)
		die(what, ret);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* A value tells its key, and how often it was written. */
static void make_value(uint8_t *value, uint64_t key, uint64_t version)
{
	snprintf((char *)value, TREE_VALUE, "record %" PRIu64 ", version %" PRIu64, key, version);
}

static void check_value(const uint8_t *value, uint64_t key, uint64_t version)
{
	uint8_t expect[TREE_VALUE] = { 0 };

	make_value(expect, key, version);
	if (strcmp((const char *)value, (const char *)expect)) {
		fprintf(stderr, "bufpool: found \"%s\" where \"%s\" should be\n",
			(const char *)value, (const char *)expect);
		exit(1);
	}
}

/* Key i of n in an order that is neither ascending nor random: a walk with a large odd step. */
static uint64_t scrambled(uint64_t i, uint64_t n)
{
	return i * 7919 % n;
}

static void print_counts(struct pool *pool, const char *what)
{
	static uint64_t misses, evictions, writes;

	printf("  %-44s %8" PRIu64 " pages read, %8" PRIu64 " evicted, %8" PRIu64 " written\n",
	       what, pool->misses - misses, pool->evictions - evictions, pool->writes - writes);
	misses = pool->misses;
	evictions = pool->evictions;
	writes = pool->writes;
}

static void fill(struct tree *tree, uint64_t records)
{
	uint8_t value[TREE_VALUE] = { 0 };
	uint64_t i, key;

	for (i = 0; i < records; i++) {
		key = scrambled(i, records);
		make_value(value, key, 0);
		must(tree_insert(tree, key, value), "insert");
	}
}

static void look_up(struct tree *tree, uint64_t records)
{
	uint64_t seed = 42, key;
	uint8_t value[TREE_VALUE];
	int i;

	for (i = 0; i < LOOKUPS; i++) {
		key = next_random(&seed) % records;
		must(tree_lookup(tree, key, value), "look up");
		check_value(value, key, 0);
	}
}

static void look_up_many(struct tree *tree, uint64_t records)
{
	static uint8_t values[TREE_MANY][TREE_VALUE];
	uint64_t seed = 43, keys[TREE_MANY];
	int i, j;

	for (i = 0; i < LOOKUPS; i += TREE_MANY) {
		for (j = 0; j < TREE_MANY; j++)
			keys[j] = next_random(&seed) % records;
		must(tree_lookup_many(tree, keys, TREE_MANY, values[0]), "look up");
		for (j = 0; j < TREE_MANY; j++)
			check_value(values[j], keys[j], 0);
	}
}

static void update(struct tree *tree, uint64_t records)
{
	uint8_t value[TREE_VALUE] = { 0 };
	uint64_t key;

	for (key = 0; key < records; key += 100) {
		make_value(value, key, 1);
		must(tree_insert(tree, key, value), "update");
	}
}

static int check_next(uint64_t key, const void *value, void *ctx)
{
	uint64_t *expect = ctx;

	if (key != *expect) {
		fprintf(stderr, "bufpool: the scan found key %" PRIu64 ", not %" PRIu64 "\n", key,
			*expect);
		return 1;
	}
	check_value(value, key, key % 100 ? 0 : 1);
	(*expect)++;
	return 0;
}

static void scan(struct tree *tree, uint64_t records)
{
	uint64_t expect = 0;

	if (tree_scan(tree, 0, check_next, &expect) || expect != records) {
		fprintf(stderr,
			"bufpool: the scan ended after %" PRIu64 " of %" PRIu64 " records\n",
			expect, records);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "bufpool.db";
	uint32_t frames = argc > 2 ? (uint32_t)atoi(argv[2]) : 1024;
	uint64_t records = argc > 3 ? (uint64_t)atoll(argv[3]) : 120000;
	static struct pool pool;
	struct tree tree;
	struct exo_env *env;
	int ret;

	if (argc > 4 || frames < 128 || records < 100 || records > 100000000) {
		fprintf(stderr,
			"usage: bufpool [FILE [FRAMES [RECORDS]]]; at least 128 frames, 100 records\n");
		return 2;
	}
	ret = exo_env_open(&env, NULL);
	if (ret) {
		fprintf(stderr, "bufpool: %s\n", exo_open_hint(ret));
		return 1;
	}
	/* Leaves that were split at random are about half full. */
	ret = pool_open(&pool, env,
			&(struct pool_opts){
				.path = path,
				.frames = frames,
				.pages =
					(uint32_t)(records / (TREE_LEAF_MAX / 2) * 5 / 4 + 1024) });
	if (ret == -ENOSPC || ret == -EDQUOT)
		fprintf(stderr,
			"bufpool: not enough free frames for a pool of %u; 'exoctl pool grow %u' as root makes more\n",
			frames, frames);
	if (ret == -ENOENT || ret == -EISDIR || ret == -EROFS)
		fprintf(stderr,
			"bufpool: cannot write to %s; name another file or a block device\n", path);
	must(ret, "open the pool");
	if (!pool.io.direct)
		printf("%s has no O_DIRECT here; reading and writing goes through the page cache\n",
		       path);

	printf("%" PRIu64 " records on %u frames (%u MiB); page p is always at %p + p * 4096\n",
	       records, frames, frames / 256, (void *)pool.base);
	must(tree_create(&tree, &pool), "make the tree");
	fill(&tree, records);
	print_counts(&pool, "insert all, in scrambled order");
	printf("  the tree has %u pages, %.1f times the pool, and %u levels\n", pool.used,
	       (double)pool.used / frames, tree.height);
	look_up(&tree, records);
	print_counts(&pool, "20000 random look-ups, a fault a miss");
	look_up_many(&tree, records);
	print_counts(&pool, "20000 random look-ups, 64 at a time");
	update(&tree, records);
	print_counts(&pool, "write every hundredth again");
	scan(&tree, records);
	print_counts(&pool, "scan all in order");
	tree_close(&tree, pool.used);
	must(pool_sync(&pool), "write back");
	print_counts(&pool, "write back");
	ret = pool_shrink(&pool, frames / 2);
	must(ret, "shrink");
	printf("  gave %d frames back to exo\n", ret);
	scan(&tree, records);
	print_counts(&pool, "scan all again, on half the memory");
	pool_close(&pool);
	must(exo_env_close(env), "close");
	printf("every value was the right one\n");
	return 0;
}
