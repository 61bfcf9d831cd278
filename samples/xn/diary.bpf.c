// SPDX-License-Identifier: GPL-2.0
/* What the kernel has to know of the diary's format. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "diary.h"

SEC("owns")
__u32 diary_owns(struct exo_ctx_xn_owns *ctx)
{
	struct diary_head *head = (struct diary_head *)(unsigned long)ctx->data;
	__u64 *end = (__u64 *)(unsigned long)ctx->data_end;
	__u64 *run = head->run;
	__u32 left;

	if (run > end)
		return 0;
	for (left = head->runs; left && run + 1 <= end; left--, run++)
		exo_emit(*run, DIARY_RUN, EXO_XN_DATA);
	return 0;
}

/* What is written stays: not even its owner frees a block of it. Everybody may see how long it is. */
SEC("acl")
__u32 diary_acl(struct exo_ctx_xn_acl *ctx)
{
	if (ctx->right == EXO_XN_MAY_READ && ctx->slot == EXO_XN_SELF)
		return 1;
	return ctx->uid == ctx->owner && ctx->right != EXO_XN_MAY_FREE;
}

SEC("size")
__u32 diary_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return DIARY_BLOCK;
}
