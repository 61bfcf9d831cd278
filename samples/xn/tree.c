// SPDX-License-Identifier: GPL-2.0
/* The tree. See tree.h for the format. */
#include <stdio.h>
#include <string.h>

#include "../graft/embed.h"
#include "tree.h"

EMBED(tree_template, "xn/tree.bpf.o");

#define CHECK(call) \
	do { \
		int check_ret = (call); \
		if (check_ret < 0) \
			return check_ret; \
	} while (0)

_Static_assert(sizeof(struct tree_node) == TREE_BLOCK, "a node is a block");
_Static_assert(sizeof(struct tree_leaf) == TREE_BLOCK, "a leaf is a block");

/* A node in memory, and where it is. */
struct place {
	uint64_t block;
	struct tree_node node;
};

static int read_node(struct store *store, uint64_t parent, uint64_t block, struct place *out)
{
	out->block = block;
	CHECK(exo_xn_read(store->xn, store->root, parent, block, &out->node, TREE_BLOCK));
	if (out->node.magic != TREE_NODE || out->node.count > TREE_FANOUT)
		return -EINVAL;
	return 0;
}

static uint32_t slot_of(const struct tree_node *node)
{
	return node->level ? EXO_XN_SELF : EXO_XN_DATA;
}

/* The child that a key belongs under. */
static uint32_t choose(const struct tree_node *node, uint64_t key)
{
	uint32_t i = node->count ? node->count - 1 : 0;

	while (i && node->child[i].key > key)
		i--;
	return i;
}

static void insert_child(struct tree_node *node, uint32_t at, uint64_t key, uint64_t block)
{
	memmove(&node->child[at + 1], &node->child[at],
		(node->count - at) * sizeof(node->child[0]));
	node->child[at] = (struct tree_child){ .key = key, .block = block };
	node->count++;
}

/* Whole blocks are given: the kernel finds out which bytes are new. */
static int write_node(struct store *store, const struct place *place)
{
	return exo_xn_change_write(store->change, place->block, 0, &place->node, TREE_BLOCK);
}

/* What was @from's from child @first on becomes a new node's, which takes it over. */
static int hand_over(struct store *store, const struct place *parent, struct place *from,
		     uint32_t first, struct place *out_new)
{
	struct exo_xn_change *change = store->change;
	uint32_t i;

	CHECK(exo_xn_find_free(store->xn, from->block, 1, &out_new->block));
	memset(&out_new->node, 0, sizeof(out_new->node));
	out_new->node.magic = TREE_NODE;
	out_new->node.level = from->node.level;
	out_new->node.count = from->node.count - first;
	memcpy(out_new->node.child, &from->node.child[first],
	       out_new->node.count * sizeof(out_new->node.child[0]));
	exo_xn_change_alloc(change, parent->block, out_new->block, 1, EXO_XN_SELF);
	exo_xn_change_new(change, out_new->block, &out_new->node, TREE_BLOCK);
	for (i = first; i < from->node.count; i++)
		exo_xn_change_move(change, from->block, out_new->block, from->node.child[i].block, 1,
				   slot_of(&from->node));
	memset(&from->node.child[first], 0, out_new->node.count * sizeof(from->node.child[0]));
	from->node.count = first;
	return 0;
}

/* The tree becomes one level higher: its first node stays where it is. */
static int grow(struct store *store, struct place *top)
{
	struct place below;

	CHECK(hand_over(store, top, top, 0, &below));
	top->node.level++;
	insert_child(&top->node, 0, 0, below.block);
	CHECK(write_node(store, top));
	return exo_xn_change_apply(store->change, 0, NULL);
}

static int split(struct store *store, struct place *parent, uint32_t at, struct place *full)
{
	struct place right;

	CHECK(hand_over(store, parent, full, TREE_FANOUT / 2, &right));
	insert_child(&parent->node, at + 1, right.node.child[0].key, right.block);
	CHECK(write_node(store, parent));
	CHECK(write_node(store, full));
	return exo_xn_change_apply(store->change, 0, NULL);
}

/* The node of level 0 that a key belongs under. With @room, every node on the way has room for one more child. */
static int descend(struct store *store, uint64_t key, bool room, struct place *out)
{
	struct place parent;
	uint32_t at;

	CHECK(read_node(store, store->first, store->first, out));
	if (room && out->node.count == TREE_FANOUT)
		CHECK(grow(store, out));
	while (out->node.level) {
		parent = *out;
		at = choose(&parent.node, key);
		CHECK(read_node(store, parent.block, parent.node.child[at].block, out));
		if (!room || out->node.count < TREE_FANOUT)
			continue;
		CHECK(split(store, &parent, at, out));
		at = choose(&parent.node, key);
		CHECK(read_node(store, parent.block, parent.node.child[at].block, out));
	}
	return 0;
}

static int read_leaf(struct store *store, const struct place *place, uint64_t key,
		     struct tree_leaf *out)
{
	memset(out, 0, sizeof(*out));
	out->magic = TREE_LEAF;
	if (!place->node.count)
		return 0;
	CHECK(store_read(store, place->block, place->node.child[choose(&place->node, key)].block));
	memcpy(out, store->memory, sizeof(*out));
	return out->magic == TREE_LEAF && out->count <= TREE_RECORDS ? 0 : -EINVAL;
}

/* Where a record with this key is, or belongs. */
static uint32_t search(const struct tree_record *record, uint32_t count, uint64_t key)
{
	uint32_t i = 0;

	while (i < count && record[i].key < key)
		i++;
	return i;
}

/* A leaf on its way into a free block. */
struct fresh {
	uint64_t block;
	struct tree_leaf leaf;
};

/* The records of a leaf and one more, in one new leaf or in two. */
static uint32_t put_record(const struct tree_leaf *old, uint64_t key, const char *value,
			   struct fresh fresh[2])
{
	struct tree_record all[TREE_RECORDS + 1];
	uint32_t at = search(old->record, old->count, key), count = old->count, first;

	memcpy(all, old->record, count * sizeof(all[0]));
	if (at == count || all[at].key != key) {
		memmove(&all[at + 1], &all[at], (count - at) * sizeof(all[0]));
		count++;
	}
	memset(&all[at], 0, sizeof(all[at]));
	all[at].key = key;
	snprintf(all[at].value, sizeof(all[at].value), "%s", value);
	first = count <= TREE_RECORDS ? count : count / 2;
	memset(fresh, 0, 2 * sizeof(*fresh));
	fresh[0].leaf.magic = TREE_LEAF;
	fresh[0].leaf.count = first;
	memcpy(fresh[0].leaf.record, all, first * sizeof(all[0]));
	fresh[1].leaf.magic = TREE_LEAF;
	fresh[1].leaf.count = count - first;
	memcpy(fresh[1].leaf.record, &all[first], (count - first) * sizeof(all[0]));
	return first == count ? 1 : 2;
}

/* The pointers change: the node points at the new leaves, and at the old one no longer. */
static int point_at(struct store *store, struct place *place, uint64_t key,
		    const struct fresh fresh[2], uint32_t leaves)
{
	struct tree_node *node = &place->node;
	uint32_t at = choose(node, key), i;

	for (i = 0; i < leaves; i++)
		exo_xn_change_alloc(store->change, place->block, fresh[i].block, 1, EXO_XN_DATA);
	if (node->count)
		exo_xn_change_free(store->change, place->block, node->child[at].block, 1, EXO_XN_DATA);
	else
		insert_child(node, 0, 0, fresh[0].block);
	node->child[at].block = fresh[0].block;
	if (leaves == 2)
		insert_child(node, at + 1, fresh[1].leaf.record[0].key, fresh[1].block);
	CHECK(write_node(store, place));
	return exo_xn_change_apply(store->change, 0, NULL);
}

static int put_once(struct store *store, uint64_t key, const char *value)
{
	struct fresh fresh[2];
	struct tree_leaf old;
	struct place place;
	uint32_t leaves, i;

	CHECK(descend(store, key, true, &place));
	CHECK(read_leaf(store, &place, key, &old));
	leaves = put_record(&old, key, value, fresh);
	CHECK(exo_xn_find_free(store->xn, place.block, 1, &fresh[0].block));
	if (leaves == 2)
		CHECK(exo_xn_find_free(store->xn, fresh[0].block + 1, 1, &fresh[1].block));
	CHECK(point_at(store, &place, key, fresh, leaves));
	for (i = 0; i < leaves; i++) {
		memcpy(store->memory, &fresh[i].leaf, TREE_BLOCK);
		CHECK(store_write(store, place.block, fresh[i].block));
	}
	/* Data first, then the pointers: the commit sees to it. */
	return exo_xn_commit(store->xn, store->root, NULL);
}

int tree_put(struct store *store, uint64_t key, const char *value)
{
	uint32_t tries;
	int ret = -EBUSY;

	/* What is free may be somebody else's a moment later: then from the beginning. */
	for (tries = 0; ret == -EBUSY && tries < STORE_TRIES; tries++) {
		exo_xn_change_clear(store->change);
		ret = put_once(store, key, value);
	}
	return ret;
}

int tree_get(struct store *store, uint64_t key, char value[TREE_VALUE])
{
	struct tree_leaf leaf;
	struct place place;
	uint32_t at;

	CHECK(descend(store, key, false, &place));
	CHECK(read_leaf(store, &place, key, &leaf));
	at = search(leaf.record, leaf.count, key);
	if (at == leaf.count || leaf.record[at].key != key)
		return -ENOENT;
	memcpy(value, leaf.record[at].value, TREE_VALUE);
	return 0;
}

int tree_place(struct store *store, uint64_t key, uint64_t *out_node, uint64_t *out_leaf)
{
	struct place place;

	CHECK(descend(store, key, false, &place));
	if (!place.node.count)
		return -ENOENT;
	*out_node = place.block;
	*out_leaf = place.node.child[choose(&place.node, key)].block;
	return 0;
}

int tree_create(struct store *store, const char *name)
{
	static const struct tree_node empty = { .magic = TREE_NODE };

	return store_create(store, name, "tree", tree_template_start,
			    (size_t)(tree_template_end - tree_template_start), &empty);
}
