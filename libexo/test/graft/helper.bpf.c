// SPDX-License-Identifier: GPL-2.0
/* A helper that its hook doesn't offer, in line 8. */
#include <exo/graft.h>

SEC("pure")
__u32 binds(struct exo_ctx_pure *ctx)
{
	return (__u32)exo_bind(ctx->arg[0], 1, 1);
}
