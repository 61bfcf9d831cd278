// SPDX-License-Identifier: GPL-2.0
/* M8 on exo: the sample's buffer pool, as it is. */
#include <stdlib.h>

#include "m8.h"
#include "pool.h"

#define TREE_STORE struct pool
#define TREE_PAGE(store, page) pool_page(store, page)
#define TREE_NEW(store, out) pool_new(store, out)
#define TREE_PREFETCH(store, pages, n) pool_prefetch(store, pages, n)
#include "tree.h"
#include "m8_ops.h"

_Static_assert(M8_READAHEAD == POOL_READAHEAD, "both pools read ahead alike");

struct exo_store {
	struct exo_env *env;
	struct pool pool;
	struct tree tree;
};

static struct exo_store *open_pool(const struct m8 *m8, uint32_t pages, uint32_t used)
{
	struct exo_store *store = calloc(1, sizeof(*store));

	if (!store)
		bench_fail("out of memory");
	store->env = bench_env(m8->frames);
	bench_must(pool_open(&store->pool, store->env,
			     &(struct pool_opts){ .path = m8->path,
						  .first = m8->first,
						  .frames = m8->frames,
						  .pages = pages,
						  .used = used }),
		   "open the pool");
	return store;
}

static void close_store(void *handle)
{
	struct exo_store *store = handle;

	pool_close(&store->pool);
	bench_must(exo_env_close(store->env), "close");
	free(store);
}

static void *open_store(struct m8 *m8)
{
	struct exo_store *store = open_pool(m8, m8->pages, m8->pages);

	bench_must(tree_open(&store->tree, &store->pool), "no tree on the device");
	return store;
}

static double run(void *handle, struct m8 *m8)
{
	return m8_ops(&((struct exo_store *)handle)->tree, m8);
}

static uint64_t misses(void *handle)
{
	return ((struct exo_store *)handle)->pool.misses;
}

void m8_build(struct m8 *m8)
{
	uint64_t key, value[TREE_VALUE / 8] = { 0 };
	struct exo_store *store;
	uint32_t pages;

	/* Inner nodes of a tree that was filled in order are half full. */
	pages = (uint32_t)(m8->records / TREE_LEAF_MAX);
	pages += pages / (TREE_INNER_MAX / 2) + 16;
	store = open_pool(m8, pages, 0);
	bench_must(tree_create(&store->tree, &store->pool), "make the tree");
	for (key = 0; key < m8->records; key++) {
		value[0] = m8_word(key);
		bench_must(tree_insert(&store->tree, key, value), "insert");
	}
	tree_close(&store->tree, store->pool.used);
	bench_must(pool_sync(&store->pool), "write back");
	m8->pages = store->pool.used;
	close_store(store);
}

const struct m8_store m8_exo = {
	.name = "exo",
	.open = open_store,
	.run = run,
	.close = close_store,
	.misses = misses,
};
