// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Two templates in one file: a list of data blocks that is open to who has its key, and a folder of such
 * lists. A unit begins with how many pointers follow.
 */
#include <exo/graft.h>
#include <exo/xn.h>

EXO_INLINE __u32 emit_all(struct exo_ctx_xn_owns *ctx, __u32 slot)
{
	__u64 *word = (__u64 *)(unsigned long)ctx->data;
	__u64 *end = (__u64 *)(unsigned long)ctx->data_end;
	__u64 left;

	if (word + 1 > end)
		return 0;
	left = *word;
	for (word++; left && word + 1 <= end; left--, word++)
		exo_emit(*word, 1, slot);
	return 0;
}

SEC("owns")
__u32 list_owns(struct exo_ctx_xn_owns *ctx)
{
	return emit_all(ctx, EXO_XN_DATA);
}

SEC("owns/folder")
__u32 folder_owns(struct exo_ctx_xn_owns *ctx)
{
	return emit_all(ctx, 1);
}

SEC("acl")
__u32 either_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner || (ctx->keys & 1);
}

SEC("size")
__u32 either_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return EXO_XN_BLOCK;
}
