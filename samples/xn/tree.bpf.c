// SPDX-License-Identifier: GPL-2.0
/* What the kernel has to know of the tree's format. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "tree.h"

/* What a node points at: nodes (of this template) or leaves (data). */
SEC("owns")
__u32 tree_owns(struct exo_ctx_xn_owns *ctx)
{
	struct tree_node *node = (struct tree_node *)(unsigned long)ctx->data;
	struct tree_child *end = (struct tree_child *)(unsigned long)ctx->data_end;
	struct tree_child *child = node->child;
	__u32 left, slot;

	if (child > end)
		return 0;
	slot = node->level ? EXO_XN_SELF : EXO_XN_DATA;
	for (left = node->count; left && child + 1 <= end; left--, child++)
		exo_emit(child->block, 1, slot);
	return 0;
}

/* Its owner does what he likes; nobody else does anything. */
SEC("acl")
__u32 tree_acl(struct exo_ctx_xn_acl *ctx)
{
	return ctx->uid == ctx->owner;
}

SEC("size")
__u32 tree_size(struct exo_ctx_xn_size *ctx)
{
	(void)ctx;
	return TREE_BLOCK;
}
