/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libexo-sqlite-vfs: SQLite's files on raw blocks of an exo disk. See exo_sqlite_vfs(7).
 *
 * Link with -lexo-sqlite-vfs and call exo_sqlite_vfs_register(), or load libexo-sqlite-vfs.so as an
 * extension of SQLite. Then "file:NAME?vfs=exo" is a file of the default volume, "file:@VOLUME/NAME?vfs=exo"
 * one of another.
 */
#ifndef EXO_SQLITE_VFS_H
#define EXO_SQLITE_VFS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct exo_sqlite_vfs_opts - options of exo_sqlite_vfs_register()
 * @sz: size of this struct
 * @make_default: nonzero: SQLite uses it where no VFS is named
 * @frames: most frames that cached blocks take; 0: $EXO_SQLITE_VFS_FRAMES, else 8192
 * @disk: device of the disk ("vdb"); NULL: $EXO_SQLITE_DISK, else the only one
 * @volume: the default volume; NULL: $EXO_SQLITE_VOLUME, else "sqlite-UID"
 * @error: room for a sentence about what is wrong; may be NULL
 * @error_size: bytes there
 */
struct exo_sqlite_vfs_opts {
	size_t sz;
	uint32_t make_default;
	uint32_t frames;
	const char *disk;
	const char *volume;
	char *error;
	size_t error_size;
};

/*
 * Makes the VFS "exo" known to SQLite; opts may be NULL. 0, also if it is known already; else -errno: there is no
 * /dev/exo, or no disk, and SQLite's own VFS stays what it is.
 */
int exo_sqlite_vfs_register(const struct exo_sqlite_vfs_opts *opts);

/**
 * struct exo_sqlite_vfs_stats - what the VFS did in this process
 * @reads: requests that read ...
 * @blocks_read: ... and their blocks
 * @writes: requests that wrote ...
 * @blocks_written: ... and their blocks
 * @durable: of @writes, those that waited until they were durable
 * @flushes: flushes
 * @commits: commits of metadata
 * @hits: blocks found in frames
 * @frames: held now
 * @fetched: pages given without a copy
 * @copied: pages that were wanted so, and had to be copied
 */
struct exo_sqlite_vfs_stats {
	uint64_t reads, blocks_read;
	uint64_t writes, blocks_written;
	uint64_t durable, flushes, commits;
	uint64_t hits;
	uint64_t frames;
	uint64_t fetched;
	uint64_t copied;
};

/* 0; -ENODEV: not registered. */
int exo_sqlite_vfs_stats(struct exo_sqlite_vfs_stats *out_stats, size_t size);

#ifdef __cplusplus
}
#endif

#endif
