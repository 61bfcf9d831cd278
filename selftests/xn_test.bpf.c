// SPDX-License-Identifier: GPL-2.0
/* The functions of xn_test's template. */
#include <exo/graft.h>
#include <exo/xn.h>

#include "xn_format.h"

SEC("owns")
__u32 test_owns(struct exo_ctx_xn_owns *ctx)
{
	struct xt_unit *unit = (struct xt_unit *)(unsigned long)ctx->data;
	struct xt_entry *end = (struct xt_entry *)(unsigned long)ctx->data_end;
	struct xt_entry *e = unit->e;
	__u32 left;

	if (e > end)
		return 0;
	left = unit->flags & (XT_LOOP | XT_FLOOD) ? ~0U : 0;
	if (unit->flags & XT_SLOW)
		left = XT_SLOWLY;
	for (; left; left--)
		if (unit->flags & XT_FLOOD)
			exo_emit(left, 1, EXO_XN_DATA);
	for (left = unit->nr; left && e + 1 <= end; left--, e++)
		exo_emit(e->block, e->count, e->slot);
	return 0;
}

SEC("acl")
__u32 test_acl(struct exo_ctx_xn_acl *ctx)
{
	struct xt_unit *unit = (struct xt_unit *)(unsigned long)ctx->data;
	struct xt_entry *end = (struct xt_entry *)(unsigned long)ctx->data_end;

	if (unit->e > end)
		return 0;
	if ((unit->flags & XT_CLOSED) && ctx->slot == EXO_XN_DATA)
		return 0;
	if (ctx->uid == ctx->owner)
		return 1;
	if ((unit->flags & XT_KEY) && (ctx->keys & 1))
		return 1;
	if (ctx->right != EXO_XN_MAY_READ)
		return 0;
	if (unit->flags & XT_PUBLIC)
		return 1;
	return (unit->flags & XT_GROUP) && exo_group(unit->group);
}

SEC("size")
__u32 test_size(struct exo_ctx_xn_size *ctx)
{
	struct xt_unit *unit = (struct xt_unit *)(unsigned long)ctx->data;
	struct xt_entry *end = (struct xt_entry *)(unsigned long)ctx->data_end;

	if (unit->e > end)
		return 0;
	return unit->blocks * EXO_XN_BLOCK;
}
