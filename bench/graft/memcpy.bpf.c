// SPDX-License-Identifier: GPL-2.0
/*
 * Copies the first arg[0] bytes of the data, rounded down to 64, to the place arg[1] bytes behind
 * its start. Returns how many 64-byte pieces were copied.
 */
#include "filter.h"

__u32 copy(struct exo_ctx_stream *ctx);

SEC("stream")
__u32 copy(struct exo_ctx_stream *ctx)
{
	const __u64 *from = (const __u64 *)(unsigned long)ctx->data;
	const __u64 *end = (const __u64 *)(unsigned long)ctx->data_end;
	__u64 *to = (__u64 *)((__u8 *)(unsigned long)ctx->data + (ctx->arg[1] & 0xffff));
	__u32 left = (__u32)(ctx->arg[0] & 0xffff) / 64, done = 0;

	while (left-- && from + 8 <= end && to + 8 <= end) {
		to[0] = from[0];
		to[1] = from[1];
		to[2] = from[2];
		to[3] = from[3];
		to[4] = from[4];
		to[5] = from[5];
		to[6] = from[6];
		to[7] = from[7];
		from += 8;
		to += 8;
		done++;
	}
	return done;
}
