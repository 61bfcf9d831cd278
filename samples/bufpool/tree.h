/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A B+tree over numbered pages. Keys are 64-bit numbers, values TREE_VALUE bytes; leaves are linked.
 *
 * It is written once for every kind of page store, without a call in between. Define these before the
 * include; every function is static:
 *
 *	TREE_STORE			type of the store
 *	TREE_PAGE(store, page)		where a page is: a pointer
 *	TREE_NEW(store, &page)		make a new, zeroed page: 0 or -errno
 *	TREE_PREFETCH(store, pages, n)	these pages are needed soon: 0 or -errno
 *
 * Page 0 holds the root's number. A pointer to a page is used again after other pages were touched
 * only where the store keeps pages in place (a pool of exo does; one with an eviction at every touch
 * must not be smaller than the tree is high).
 */
#ifndef BUFPOOL_TREE_H
#define BUFPOOL_TREE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define TREE_PAGE_BYTES 4096
#define TREE_VALUE 120
#define TREE_LEAF_MAX 31
#define TREE_INNER_MAX 338
#define TREE_HEIGHT_MAX 8
#define TREE_MAGIC 0x65657274206f7865ULL /* "exo tree" */
#define TREE_MANY 64

struct tree_meta {
	uint64_t magic;
	uint64_t records;
	uint32_t root;
	uint32_t height; /* 1: the root is a leaf */
	uint32_t pages;
};

struct tree_leaf {
	uint32_t count;
	uint32_t next; /* 0: none */
	uint64_t reserved;
	uint64_t key[TREE_LEAF_MAX];
	uint8_t value[TREE_LEAF_MAX][TREE_VALUE];
};

/* Child i holds keys below key[i], the last child those above all. */
struct tree_inner {
	uint32_t count; /* keys; one child more */
	uint32_t reserved;
	uint64_t key[TREE_INNER_MAX];
	uint32_t child[TREE_INNER_MAX + 1];
};

_Static_assert(sizeof(struct tree_leaf) <= TREE_PAGE_BYTES, "a leaf is a page");
_Static_assert(sizeof(struct tree_inner) <= TREE_PAGE_BYTES, "an inner node is a page");

/* Index of the first key that is not below key. */
static inline uint32_t tree_lower(const uint64_t *keys, uint32_t count, uint64_t key)
{
	uint32_t low = 0, half;

	while (count > 1) {
		half = count / 2;
		low += keys[low + half - 1] < key ? half : 0;
		count -= half;
	}
	return low + (count && keys[low] < key);
}

static inline uint32_t tree_step(const struct tree_inner *inner, uint64_t key)
{
	uint32_t i = tree_lower(inner->key, inner->count, key);

	/* A separator is the first key of what is right of it. */
	return inner->child[i + (i < inner->count && inner->key[i] == key)];
}

static inline int tree_leaf_find(const struct tree_leaf *leaf, uint64_t key, void *value)
{
	uint32_t i = tree_lower(leaf->key, leaf->count, key);

	if (i == leaf->count || leaf->key[i] != key)
		return -ENOENT;
	memcpy(value, leaf->value[i], TREE_VALUE);
	return 0;
}

#endif

#ifdef TREE_STORE

#define TREE_FN static __attribute__((unused))

/**
 * struct tree - an open tree
 * @store: where its pages are
 * @root: number of the root's page
 * @height: levels
 * @records: how many
 */
struct tree {
	TREE_STORE *store;
	uint32_t root;
	uint32_t height;
	uint64_t records;
};

TREE_FN struct tree_inner *tree_inner(struct tree *tree, uint32_t page)
{
	return (struct tree_inner *)TREE_PAGE(tree->store, page);
}

TREE_FN struct tree_leaf *tree_leaf(struct tree *tree, uint32_t page)
{
	return (struct tree_leaf *)TREE_PAGE(tree->store, page);
}

TREE_FN int tree_open(struct tree *tree, TREE_STORE *store)
{
	const struct tree_meta *meta = (const struct tree_meta *)TREE_PAGE(store, 0);

	if (meta->magic != TREE_MAGIC)
		return -EINVAL;
	tree->store = store;
	tree->root = meta->root;
	tree->height = meta->height;
	tree->records = meta->records;
	return 0;
}

/* ---- look up ---- */

TREE_FN int tree_lookup(struct tree *tree, uint64_t key, void *value)
{
	uint32_t page = tree->root, level;

	for (level = tree->height; level > 1; level--)
		page = tree_step(tree_inner(tree, page), key);
	return tree_leaf_find(tree_leaf(tree, page), key, value);
}

/* At most TREE_MANY keys, level by level: what is missing of a level is read together. */
TREE_FN int tree_lookup_many(struct tree *tree, const uint64_t *keys, uint32_t count,
			     uint8_t *values)
{
	uint32_t page[TREE_MANY], level, i;
	int ret;

	for (i = 0; i < count; i++)
		page[i] = tree->root;
	for (level = tree->height;; level--) {
		ret = TREE_PREFETCH(tree->store, page, count);
		if (ret || level == 1)
			break;
		for (i = 0; i < count; i++)
			page[i] = tree_step(tree_inner(tree, page[i]), keys[i]);
	}
	for (i = 0; i < count && !ret; i++)
		ret = tree_leaf_find(tree_leaf(tree, page[i]), keys[i],
				     values + (size_t)i * TREE_VALUE);
	return ret;
}

/* fn for every record from key on, in order, until it returns nonzero: that, or 0. */
TREE_FN int tree_scan(struct tree *tree, uint64_t key,
		      int (*fn)(uint64_t key, const void *value, void *ctx), void *ctx)
{
	uint32_t page = tree->root, level, i;
	struct tree_leaf *leaf;
	int ret;

	for (level = tree->height; level > 1; level--)
		page = tree_step(tree_inner(tree, page), key);
	leaf = tree_leaf(tree, page);
	for (i = tree_lower(leaf->key, leaf->count, key);; i = 0) {
		for (; i < leaf->count; i++) {
			ret = fn(leaf->key[i], leaf->value[i], ctx);
			if (ret)
				return ret;
		}
		page = leaf->next;
		if (!page)
			return 0;
		leaf = tree_leaf(tree, page);
	}
}

/* ---- insert ---- */

static void tree_leaf_put(struct tree_leaf *leaf, uint32_t at, uint64_t key, const void *value)
{
	uint32_t move = leaf->count - at;

	memmove(leaf->key + at + 1, leaf->key + at, move * sizeof(leaf->key[0]));
	memmove(leaf->value[at + 1], leaf->value[at], (size_t)move * TREE_VALUE);
	leaf->key[at] = key;
	memcpy(leaf->value[at], value, TREE_VALUE);
	leaf->count++;
}

static void tree_inner_put(struct tree_inner *inner, uint32_t at, uint64_t key, uint32_t right)
{
	uint32_t move = inner->count - at;

	memmove(inner->key + at + 1, inner->key + at, move * sizeof(inner->key[0]));
	memmove(inner->child + at + 2, inner->child + at + 1, move * sizeof(inner->child[0]));
	inner->key[at] = key;
	inner->child[at + 1] = right;
	inner->count++;
}

/* The upper half moves; at the right end nothing does, so that ordered inserts fill leaves. */
static int tree_split_leaf(struct tree *tree, uint32_t page, uint32_t at, uint64_t *out_key,
			   uint32_t *out_right)
{
	struct tree_leaf *left, *right;
	uint32_t keep;
	int ret;

	ret = TREE_NEW(tree->store, out_right);
	if (ret)
		return ret;
	left = tree_leaf(tree, page);
	right = tree_leaf(tree, *out_right);
	keep = at == left->count && !left->next ? left->count : left->count / 2;
	right->count = left->count - keep;
	memcpy(right->key, left->key + keep, right->count * sizeof(left->key[0]));
	memcpy(right->value, left->value[keep], (size_t)right->count * TREE_VALUE);
	right->next = left->next;
	left->next = *out_right;
	left->count = keep;
	*out_key = right->count ? right->key[0] : 0;
	return 0;
}

static int tree_split_inner(struct tree *tree, uint32_t page, uint64_t *out_key,
			    uint32_t *out_right)
{
	struct tree_inner *left, *right;
	uint32_t keep;
	int ret;

	ret = TREE_NEW(tree->store, out_right);
	if (ret)
		return ret;
	left = tree_inner(tree, page);
	right = tree_inner(tree, *out_right);
	keep = left->count / 2;
	*out_key = left->key[keep];
	right->count = left->count - keep - 1;
	memcpy(right->key, left->key + keep + 1, right->count * sizeof(left->key[0]));
	memcpy(right->child, left->child + keep + 1, (right->count + 1) * sizeof(left->child[0]));
	left->count = keep;
	return 0;
}

static int tree_new_root(struct tree *tree, uint64_t key, uint32_t right)
{
	struct tree_inner *root;
	uint32_t page;
	int ret;

	ret = TREE_NEW(tree->store, &page);
	if (ret)
		return ret;
	root = tree_inner(tree, page);
	root->count = 1;
	root->key[0] = key;
	root->child[0] = tree->root;
	root->child[1] = right;
	tree->root = page;
	tree->height++;
	return 0;
}

/* Hangs right, whose keys start at key, behind the page reached through path[0 ... depth). */
static int tree_hang(struct tree *tree, const uint32_t *path, uint32_t depth, uint64_t key,
		     uint32_t right)
{
	struct tree_inner *inner;
	uint32_t page, upper, to;
	uint64_t upper_key;
	int ret;

	while (depth--) {
		page = path[depth];
		inner = tree_inner(tree, page);
		if (inner->count < TREE_INNER_MAX) {
			tree_inner_put(inner, tree_lower(inner->key, inner->count, key), key,
				       right);
			return 0;
		}
		ret = tree_split_inner(tree, page, &upper_key, &upper);
		if (ret)
			return ret;
		to = key < upper_key ? page : upper;
		inner = tree_inner(tree, to);
		tree_inner_put(inner, tree_lower(inner->key, inner->count, key), key, right);
		key = upper_key;
		right = upper;
	}
	return tree_new_root(tree, key, right);
}

/* A key that is there already gets the new value. */
TREE_FN int tree_insert(struct tree *tree, uint64_t key, const void *value)
{
	uint32_t path[TREE_HEIGHT_MAX], depth = 0, page = tree->root, at, right;
	struct tree_leaf *leaf;
	uint64_t right_key;
	int ret;

	while (depth < tree->height - 1) {
		path[depth++] = page;
		page = tree_step(tree_inner(tree, page), key);
	}
	leaf = tree_leaf(tree, page);
	at = tree_lower(leaf->key, leaf->count, key);
	if (at < leaf->count && leaf->key[at] == key) {
		memcpy(leaf->value[at], value, TREE_VALUE);
		return 0;
	}
	if (leaf->count < TREE_LEAF_MAX) {
		tree_leaf_put(leaf, at, key, value);
		tree->records++;
		return 0;
	}
	ret = tree_split_leaf(tree, page, at, &right_key, &right);
	if (ret)
		return ret;
	leaf = tree_leaf(tree, right);
	if (!leaf->count)
		right_key = key;
	if (key < right_key)
		leaf = tree_leaf(tree, page);
	tree_leaf_put(leaf, tree_lower(leaf->key, leaf->count, key), key, value);
	tree->records++;
	return tree_hang(tree, path, depth, right_key, right);
}

/* ---- make and close ---- */

TREE_FN int tree_create(struct tree *tree, TREE_STORE *store)
{
	uint32_t meta;
	int ret;

	ret = TREE_NEW(store, &meta);
	if (ret)
		return ret;
	if (meta)
		return -EEXIST;
	tree->store = store;
	tree->height = 1;
	tree->records = 0;
	return TREE_NEW(store, &tree->root);
}

/* Writes page 0; pages: how many the store has. */
TREE_FN void tree_close(struct tree *tree, uint32_t pages)
{
	struct tree_meta *meta = (struct tree_meta *)TREE_PAGE(tree->store, 0);

	meta->magic = TREE_MAGIC;
	meta->root = tree->root;
	meta->height = tree->height;
	meta->records = tree->records;
	meta->pages = pages;
}

#endif
