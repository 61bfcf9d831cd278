/* SPDX-License-Identifier: GPL-2.0 */
/* The operations of M8, for the store that the including file has given tree.h. */

static uint64_t m8_key(struct m8 *m8)
{
	return (bench_random(&m8->rng) >> 32) * m8->records >> 32;
}

static double m8_single(struct tree *tree, struct m8 *m8)
{
	uint64_t start = bench_now(), key, value[TREE_VALUE / 8];
	uint32_t i;

	for (i = 0; i < m8->ops; i++) {
		key = m8_key(m8);
		bench_assert(tree_lookup(tree, key, value) == 0);
		bench_assert(value[0] == m8_word(key));
	}
	return bench_since(start) / m8->ops;
}

static double m8_many(struct tree *tree, struct m8 *m8)
{
	uint64_t start = bench_now(), keys[TREE_MANY], values[TREE_MANY][TREE_VALUE / 8];
	uint32_t i, j;

	for (i = 0; i < m8->ops; i += m8->batch) {
		for (j = 0; j < m8->batch; j++)
			keys[j] = m8_key(m8);
		bench_assert(tree_lookup_many(tree, keys, m8->batch, (uint8_t *)values) == 0);
		for (j = 0; j < m8->batch; j++)
			bench_assert(values[j][0] == m8_word(keys[j]));
	}
	return bench_since(start) / m8->ops;
}

static double m8_ops(struct tree *tree, struct m8 *m8)
{
	return m8->batch > 1 ? m8_many(tree, m8) : m8_single(tree, m8);
}
