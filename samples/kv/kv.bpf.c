// SPDX-License-Identifier: GPL-2.0
/* What the kernel has to know of the store's format. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "format.h"

/* A list of extents of data; which of them is the log is the store's business. */
SEC("owns")
__u32 kv_owns(struct exo_ctx_xn_owns *ctx)
{
	struct kv_super *super = (struct kv_super *)(unsigned long)ctx->data;
	struct kv_extent *end = (struct kv_extent *)(unsigned long)ctx->data_end;
	struct kv_extent *extent = super->extent;
	__u32 left;

	if (extent > end)
		return 0;
	for (left = super->extents; left && extent + 1 <= end; left--, extent++)
		exo_emit(extent->block, extent->count, EXO_XN_DATA);
	return 0;
}

/* Its owner does what he likes; nobody else does anything. */
SEC("acl")
__u32 kv_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner;
}

SEC("size")
__u32 kv_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return KV_BLOCK;
}
