// SPDX-License-Identifier: GPL-2.0
/* The template of the X groups' roots: a list of extents (xn.h). */
#include <exo/graft.h>
#include <exo/xn.h>

#include "../xn_unit.h"

SEC("owns")
__u32 bench_owns(struct exo_ctx_xn_owns *ctx)
{
	struct xn_unit *unit = (struct xn_unit *)(unsigned long)ctx->data;
	struct xn_extent *end = (struct xn_extent *)(unsigned long)ctx->data_end;
	struct xn_extent *extent = unit->extent;
	__u32 left;

	if (extent > end)
		return 0;
	for (left = unit->nr; left && extent + 1 <= end; left--, extent++)
		exo_emit(extent->block, extent->count, extent->slot);
	return 0;
}

SEC("acl")
__u32 bench_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner;
}

SEC("size")
__u32 bench_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return 4096;
}
