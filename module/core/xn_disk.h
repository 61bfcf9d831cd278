/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands on a disk of exo's, but for units and data. All numbers are little-endian, as the machine's.
 *
 *	block 0, 1		superblock, written alternately; the first 512 bytes matter
 *	2 ...			map of group 0
 *	35, 99			root table, template table: 1,024 entries of 256 bytes each
 *	163 ...			log
 *	g * 32,768 ...		map of group g, 33 blocks
 *
 * Everything has a crc32c that begins with the disk's uuid, so that nothing of an earlier format, and
 * nothing that a program wrote, is ever taken for it. An entry lies in one sector: it is never torn. A
 * block of the map, or a unit, that is torn was being written home, and the log still has all that
 * makes the difference (INV-XN-12).
 */
#ifndef EXO_CORE_XN_DISK_H
#define EXO_CORE_XN_DISK_H

#include "core/xn.h"

#define EXO_XN_MAGIC 0x314b53444e4f5845ULL	/* "EXONDSK1" */
#define EXO_XN_VERSION 1U
#define EXO_XN_LOG_MAGIC 0x4c4e5845U		/* "EXNL" */
#define EXO_XN_MAP_MAGIC 0x4d4e5845U		/* "EXNM" */

#define EXO_XN_SECTOR 512U
#define EXO_XN_TABLE_ENTRY 256U
#define EXO_XN_ENTRIES (EXO_XN_BLOCK / EXO_XN_TABLE_ENTRY)	/* of a block */
#define EXO_XN_GROUP_MAPS ((EXO_XN_GROUP + EXO_XN_MAP_ENTRIES - 1) / EXO_XN_MAP_ENTRIES)
#define EXO_XN_TABLE_BLOCKS (EXO_XN_ROOTS / EXO_XN_ENTRIES)
#define EXO_XN_MAP_AT 2U
#define EXO_XN_ROOTS_AT (EXO_XN_MAP_AT + EXO_XN_GROUP_MAPS)
#define EXO_XN_TEMPLATES_AT (EXO_XN_ROOTS_AT + EXO_XN_TABLE_BLOCKS)
#define EXO_XN_LOG_AT (EXO_XN_TEMPLATES_AT + EXO_XN_TABLE_BLOCKS)
#define EXO_XN_LOG_MIN 16U
#define EXO_XN_LOG_MAX 16384U
#define EXO_XN_BLOCKS_MAX (1ULL << 36)		/* of a disk: 256 TiB */

#define EXO_XN_QUOTAS 32U			/* users with a limit of their own */

/* 0 blocks: no limit. uids rise. */
struct exo_xn_quotas {
	u64 all;		/* of who has none of his own */
	u32 nr;
	u32 reserved;
	u64 blocks[EXO_XN_QUOTAS];
	u32 uid[EXO_XN_QUOTAS];
};

struct exo_xn_super {
	u64 magic;
	u32 version;
	u32 crc;
	u64 seq;		/* of superblocks */
	u8 uuid[16];
	u64 blocks;
	u64 taken;		/* blocks that somebody has */
	u32 log_blocks;
	u32 tail;		/* block of the log where replay begins ... */
	u64 tail_seq;		/* ... and the transaction that is expected there */
	struct exo_xn_quotas quotas;
	u8 machine[16];		/* hash of the one on which it was attached last; 0: not known */
	u8 uids[16];		/* hash of the map that was applied there last; 0: none */
	u8 zero[EXO_XN_SECTOR - 104 - sizeof(struct exo_xn_quotas)];
};

struct exo_xn_map_disk {
	u32 magic;
	u32 crc;
	u64 block;		/* its own */
	u32 entry[EXO_XN_MAP_ENTRIES];
};

#define EXO_XN_ROOT_USED (1U << 30)	/* in an entry: there is one */
#define EXO_XN_ROOT_DELETING (1U << 31)	/* its blocks are being freed */

struct exo_xn_root_entry {
	u32 crc;
	u32 number;
	u32 flags;
	u32 uid;
	u32 template;
	u32 unit_blocks;
	u64 block;
	u64 blocks;
	u64 max_blocks;
	u8 key_hash[32];
	char name[EXO_XN_NAME];
	u8 zero[EXO_XN_TABLE_ENTRY - 128];
};

struct exo_xn_template_entry {
	u32 crc;
	u32 number;
	u32 used;
	u32 uid;
	u32 head_bytes;
	u32 part_bytes;
	u32 blocks;
	u32 length;		/* bytes of the content */
	u64 block;
	u32 refs[EXO_XN_REFS];
	u8 hash[32];
	char name[EXO_XN_NAME];
	u8 zero[EXO_XN_TABLE_ENTRY - 152];
};

/* A block of the log. Each block's crc begins with that of the one before: blocks of two attempts never mix. */
struct exo_xn_log_head {
	u32 magic;
	u32 crc;
	u64 seq;
	u16 index;
	u16 count;
	u16 used;
	u16 zero;
};

#define EXO_XN_LOG_BYTES (EXO_XN_BLOCK - (u32)sizeof(struct exo_xn_log_head))

enum exo_xn_record_kind {
	EXO_XN_REC_INFO = 1,
	EXO_XN_REC_MAP = 2,
	EXO_XN_REC_INIT = 3,
	EXO_XN_REC_UNIT = 4,
	EXO_XN_REC_ROOT = 5,
	EXO_XN_REC_TEMPLATE = 6,
	EXO_XN_REC_UIDS = 7,
};

/* Records are multiples of 8 bytes; a transaction is one stream of them. @length has this head, too. */
struct exo_xn_record {
	u32 kind;
	u32 length;
};

struct exo_xn_rec_info {
	struct exo_xn_record head;
	u64 taken;
};

struct exo_xn_rec_map {
	struct exo_xn_record head;
	u64 block;
	u32 count;
	u32 entry;		/* with EXO_XN_ENTRY_INIT: what it has of that stays */
};

struct exo_xn_rec_init {
	struct exo_xn_record head;
	u64 block;		/* of bit 0 */
	u64 mask;
};

#define EXO_XN_UNIT_FRESH 1U	/* it was zeros before */
struct exo_xn_rec_unit {
	struct exo_xn_record head;
	u64 block;
	u32 root;
	u32 template;
	u32 blocks;
	u32 flags;
	/* struct exo_xn_range and its bytes, again and again */
};

struct exo_xn_range {
	u32 offset;		/* multiple of 8 */
	u32 length;		/* the same */
};

struct exo_xn_rec_entry {
	struct exo_xn_record head;
	u8 entry[EXO_XN_TABLE_ENTRY];
};

/* Owners were mapped in this transaction: as in a superblock. */
struct exo_xn_rec_uids {
	struct exo_xn_record head;
	u8 machine[16];
	u8 uids[16];
	struct exo_xn_quotas quotas;
};

_Static_assert(sizeof(struct exo_xn_super) == EXO_XN_SECTOR, "a superblock is a sector");
_Static_assert(sizeof(struct exo_xn_map_disk) == EXO_XN_BLOCK, "a block of the map");
_Static_assert(sizeof(struct exo_xn_root_entry) == EXO_XN_TABLE_ENTRY, "a root");
_Static_assert(sizeof(struct exo_xn_template_entry) == EXO_XN_TABLE_ENTRY, "a template");
_Static_assert(sizeof(struct exo_xn_log_head) == 24, "of a log block");

/* core/xn_format.c: build seals with a crc, parse trusts nothing */

typedef u32 (*exo_xn_crc_fn)(u32 seed, const void *bytes, size_t length);

u32 exo_xn_seed(exo_xn_crc_fn crc, const u8 uuid[16]);
void exo_xn_super_build(exo_xn_crc_fn crc, struct exo_xn_super *super);
bool exo_xn_super_parse(exo_xn_crc_fn crc, const struct exo_xn_super *super, u64 blocks);
void exo_xn_map_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_map_disk *map, u64 block);
bool exo_xn_map_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_map_disk *map, u64 block);
void exo_xn_root_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_root_entry *entry,
		       const struct exo_xn_root_core *root, u32 state);
int exo_xn_root_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_root_entry *entry, u32 number,
		      u64 blocks);
void exo_xn_template_build(exo_xn_crc_fn crc, u32 seed, struct exo_xn_template_entry *entry,
			   const struct exo_xn_template_core *t);
int exo_xn_template_parse(exo_xn_crc_fn crc, u32 seed, const struct exo_xn_template_entry *entry,
			  u32 number, u64 blocks);
void exo_xn_log_build(exo_xn_crc_fn crc, u32 *chain, struct exo_xn_log_head *head, u64 seq, u32 index,
		      u32 count, u32 used);
bool exo_xn_log_parse(exo_xn_crc_fn crc, u32 *chain, const struct exo_xn_log_head *head, u64 seq,
		      u32 index, u32 count);
int exo_xn_record_parse(const void *at, u64 left, u64 first, u64 blocks);

#endif
