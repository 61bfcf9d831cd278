/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A key-value store on raw blocks: a B+tree. This is its format, which only this sample and the three
 * functions in tree.bpf.c know.
 *
 *	node	a unit of metadata: keys, and the blocks that they lead to
 *	leaf	a data block: records by rising key
 *
 * Nodes of level 0 point at leaves, others at nodes. A leaf is never overwritten: a changed one goes into another
 * block, and the pointer to it changes in one transaction. So each put() is all there after a crash, or not at all.
 */
#ifndef EXO_SAMPLES_XN_TREE_H
#define EXO_SAMPLES_XN_TREE_H

#include <exo/types.h>

#define TREE_BLOCK 4096
#define TREE_NODE 0x65646f6eU	/* "node" */
#define TREE_LEAF 0x6661656cU	/* "leaf" */
#define TREE_FANOUT 15		/* a block has room for more: so a short run splits nodes */
#define TREE_RECORDS 14
#define TREE_VALUE 280

struct tree_child {
	__u64 key;	/* the smallest below it; of the first one: anything smaller, too */
	__u64 block;
};

struct tree_node {
	__u32 magic;
	__u32 level;
	__u32 count;
	__u32 reserved;
	struct tree_child child[TREE_FANOUT];
	__u8 unused[TREE_BLOCK - 16 - TREE_FANOUT * 16];
};

struct tree_record {
	__u64 key;
	char value[TREE_VALUE];
};

struct tree_leaf {
	__u32 magic;
	__u32 count;
	__u64 reserved;
	struct tree_record record[TREE_RECORDS];
	__u8 unused[TREE_BLOCK - 16 - TREE_RECORDS * (8 + TREE_VALUE)];
};

#ifndef __bpf__

#include "store.h"

/* Makes a tree; then, or in another run, opens it. 0 or -errno. */
int tree_create(struct store *store, const char *name);
int tree_put(struct store *store, uint64_t key, const char *value);
/* -ENOENT: there is no such key. */
int tree_get(struct store *store, uint64_t key, char value[TREE_VALUE]);
/* Where the leaf with this key is, and which node points at it. */
int tree_place(struct store *store, uint64_t key, uint64_t *out_node, uint64_t *out_leaf);

#endif
#endif
