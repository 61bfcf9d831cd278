/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the SQLite VFS keeps on a disk: docs/sqlite-vfs.md. For the VFS and its template's functions. */
#ifndef EXO_SQLITE_VFS_FORMAT_H
#define EXO_SQLITE_VFS_FORMAT_H

#include <exo/types.h>

#define VFS_BLOCK 4096U
#define VFS_DIR_MAGIC 0x31524944514c5358ULL	/* "XSLQDIR1" */
#define VFS_FILE_MAGIC 0x314c4946514c5358ULL	/* "XSLQFIL1" */
#define VFS_DIR_BLOCKS 8U
#define VFS_FILES 255U
#define VFS_EXTENTS 252U
#define VFS_NAME 112U
#define VFS_SLOT_FILE 1U	/* a directory's template names the file's as this slot */

/* What is special about a file; by its name. */
#define VFS_KIND_PLAIN 1U
#define VFS_KIND_JOURNAL 2U	/* rollback journal: is there iff its first 8 bytes aren't 0 */
#define VFS_KIND_WAL 3U		/* the same; it counts as as long as its blocks */
#define VFS_KIND_NAMES 4U	/* of the volume; its blocks name what processes share, and are neither read nor written */

struct vfs_entry {
	__u64 unit;		/* 0: free */
	__u32 kind;
	__u32 reserved;
	char name[VFS_NAME];
};

struct vfs_dir {
	__u64 magic;
	__u32 files;		/* entries that may be in use: the first ones */
	__u32 reserved;
	__u8 unused[112];
	struct vfs_entry entry[VFS_FILES];
};

struct vfs_extent {
	__u64 block;
	__u32 count;
	__u32 reserved;
};

struct vfs_unit {
	__u64 magic;
	__u32 extents;
	__u32 reserved;
	__u64 size;		/* bytes of the file; in its first unit */
	__u64 next;		/* unit with further extents, 0: none */
	__u8 unused[32];
	struct vfs_extent extent[VFS_EXTENTS];
};

#define VFS_JOURNAL_MAGIC 0x314c4e4a514c5358ULL	/* "XSLQJNL1" */
#define VFS_JOURNAL_AT 64U	/* in its first sector, where SQLite's header is padding */
#define VFS_JOURNAL_CHECKED 1U	/* crc counts; else all was durable before this was written */

struct vfs_journal {
	__u64 magic;
	__u64 length;
	__u32 flags;
	__u32 crc;
};

#endif
