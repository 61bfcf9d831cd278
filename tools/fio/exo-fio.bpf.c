// SPDX-License-Identifier: GPL-2.0
/* What the kernel has to know of the format of exo-fio's roots. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "format.h"

SEC("owns")
__u32 fio_owns(struct exo_ctx_xn_owns *ctx)
{
	struct fio_unit *unit = (struct fio_unit *)(unsigned long)ctx->data;
	struct fio_extent *end = (struct fio_extent *)(unsigned long)ctx->data_end;
	struct fio_extent *extent = unit->extent;
	__u64 left;

	if (extent > end)
		return 0;
	for (left = unit->nr; left && extent + 1 <= end; left--, extent++)
		exo_emit(extent->block, extent->count, EXO_XN_DATA);
	return 0;
}

SEC("acl")
__u32 fio_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner;
}

SEC("size")
__u32 fio_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return FIO_BLOCK;
}
