/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store on the disk. docs/your-database.md says why it is so; this is what is where.
 *
 *	super	the root's unit: extents, and the last checkpoint
 *	log	the first extent: groups of puts and deletes since the checkpoint
 *	slots	all other extents, one behind the other: pages, map blocks, directory blocks, in any order
 *
 * A page has a number and is anywhere: map[page] is its slot. The map is cut into map blocks, whose slots are
 * in directory blocks, whose slots are in the super.
 */
#ifndef EXO_SAMPLES_KV_FORMAT_H
#define EXO_SAMPLES_KV_FORMAT_H

#include <exo/types.h>

#define KV_BLOCK 4096U
#define KV_MAGIC 0x7265707573766bULL	/* "kvsuper" */
#define KV_VERSION 2U			/* 1, which was written as 0, had pages without a crc */
#define KV_EXTENTS 192U
#define KV_DIRS 128U
#define KV_MAPPED 1020U			/* slots in a map block, and in a directory block */
#define KV_NO_SLOT 0U			/* the first slot is never used */

struct kv_extent {
	__u64 block;
	__u32 count;
	__u32 reserved;
};

/**
 * struct kv_super - the root's unit; exo writes it in one piece
 * @magic: KV_MAGIC
 * @group_blocks: most blocks of a group in the log
 * @extents: how many
 * @root: page at the top of the tree
 * @height: levels of it
 * @pages: page numbers are below this; 0 is none
 * @version: KV_VERSION
 * @epoch: counts checkpoints; groups of another one don't count
 * @seq: of the next group
 * @records: in the tree
 * @dir: slots of the directory blocks
 * @extent: the log, then the slots
 */
struct kv_super {
	__u64 magic;
	__u32 group_blocks;
	__u32 extents;
	__u32 root;
	__u32 height;
	__u32 pages;
	__u32 version;
	__u64 epoch;
	__u64 seq;
	__u64 records;
	__u32 dir[KV_DIRS];
	struct kv_extent extent[KV_EXTENTS];
	__u8 unused[KV_BLOCK - 56 - KV_DIRS * 4 - KV_EXTENTS * 16];
};

/* A map or directory block. */
struct kv_map_block {
	__u32 crc;	/* of all that follows */
	__u32 number;	/* which map block; directory blocks count from ~0 downwards */
	__u64 epoch;
	__u32 slot[KV_MAPPED];
};

/**
 * struct kv_group - a group in the log; it begins a block
 * @magic: KV_GROUP
 * @crc: of the group, with this field 0
 * @epoch: of the checkpoint before
 * @seq: one more than that of the group before
 * @bytes: of the group, with this header
 * @count: records in it
 */
#define KV_GROUP 0x7067766bU	/* "kvgp" */
struct kv_group {
	__u32 magic;
	__u32 crc;
	__u64 epoch;
	__u64 seq;
	__u32 bytes;
	__u32 count;
};

/* Then records: this, the key, the value. */
struct kv_record {
	__u16 key;	/* bytes of the key */
	__u16 what;
	__u32 value;
};

#define KV_RECORD_PUT 1U
#define KV_RECORD_DELETE 2U

#define KV_LONG 0xffffU
#define KV_PART (KV_BLOCK - 20)	/* bytes of a page behind its head: cells, or of a long value */

/**
 * struct kv_page - a page
 * @crc: of all that follows; on the disk only
 * @number: its own
 * @level: 0: leaf; KV_LONG: a part of a long value
 * @count: cells; of a part: bytes
 * @low: where the lowest cell is: cells lie from here to the end of the page
 * @dead: bytes of these that are no cell's any more
 * @next: of a part: the next one's page; else 0
 * @cell: where each is, by rising key
 */
struct kv_page {
	__u32 crc;
	__u32 number;
	__u16 level;
	__u16 count;
	__u16 low;
	__u16 dead;
	__u32 next;
	__u16 cell[KV_PART / 2];
};


/* A cell, anywhere: this, the key, the value; in an inner page the value is the child's number. */
struct kv_cell {
	__u16 key;
	__u16 value;	/* KV_LONG: a struct kv_long */
} __attribute__((packed));

struct kv_long {
	__u32 length;
	__u32 first;
} __attribute__((packed));

#endif
