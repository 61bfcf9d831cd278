// SPDX-License-Identifier: GPL-2.0
/* Nothing, with input that it could change. */
#include "filter.h"

__u32 empty_stream(struct exo_ctx_stream *ctx);

SEC("stream")
__u32 empty_stream(struct exo_ctx_stream *ctx)
{
	(void)ctx;
	return 0;
}
