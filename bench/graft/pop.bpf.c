// SPDX-License-Identifier: GPL-2.0
/* A fault handler in the kernel: the next frame of the list that the owner left in the state. */
#include "filter.h"

#define LIST 4096

__u32 next;
__u32 count;
__u32 list[LIST];

__u32 pop(struct exo_ctx_fault *ctx);

SEC("fault")
__u32 pop(struct exo_ctx_fault *ctx)
{
	__u32 at = next;

	if (at >= count || at >= LIST)
		return 1;
	if (exo_bind(ctx->page, list[at], EXO_RIGHT_READ | EXO_RIGHT_WRITE))
		return 1;
	next = at + 1;
	return 0;
}
