// SPDX-License-Identifier: GPL-2.0
/* What the kernel has to know of the VFS's format: docs/sqlite-vfs.md. Two templates: dir, file. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "vfs_format.h"

/* A directory points at the first unit of each file. */
SEC("owns/dir")
__u32 vfs_dir_owns(struct exo_ctx_xn_owns *ctx)
{
	struct vfs_dir *dir = (struct vfs_dir *)(unsigned long)ctx->data;
	struct vfs_entry *end = (struct vfs_entry *)(unsigned long)ctx->data_end;
	struct vfs_entry *entry = dir->entry;
	__u32 left;

	if (entry > end)
		return 0;
	for (left = dir->files; left && entry + 1 <= end; left--, entry++)
		if (entry->unit)
			exo_emit(entry->unit, 1, VFS_SLOT_FILE);
	return 0;
}

/* A file's unit points at runs of data blocks, and at the next unit. */
SEC("owns/file")
__u32 vfs_file_owns(struct exo_ctx_xn_owns *ctx)
{
	struct vfs_unit *unit = (struct vfs_unit *)(unsigned long)ctx->data;
	struct vfs_extent *end = (struct vfs_extent *)(unsigned long)ctx->data_end;
	struct vfs_extent *extent = unit->extent;
	__u32 left;

	if (extent > end)
		return 0;
	if (unit->next)
		exo_emit(unit->next, 1, EXO_XN_SELF);
	for (left = unit->extents; left && extent + 1 <= end; left--, extent++)
		exo_emit(extent->block, extent->count, EXO_XN_DATA);
	return 0;
}

/* Its owner does what he likes; nobody else does anything. */
SEC("acl")
__u32 vfs_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner;
}

SEC("size/dir")
__u32 vfs_dir_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return VFS_DIR_BLOCKS * VFS_BLOCK;
}

SEC("size/file")
__u32 vfs_file_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return VFS_BLOCK;
}
