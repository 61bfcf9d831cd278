// SPDX-License-Identifier: GPL-2.0
/*
 * VINO's encryption graft: xor of a stream with a key, in 64-bit words, eight of them a turn.
 * The key is arg[0]; the length is a multiple of 64 bytes.
 */
#include "filter.h"

__u32 encrypt(struct exo_ctx_stream *ctx);

SEC("stream")
__u32 encrypt(struct exo_ctx_stream *ctx)
{
	__u64 *word = (__u64 *)(unsigned long)ctx->data;
	__u64 *end = (__u64 *)(unsigned long)ctx->data_end;
	__u64 key = ctx->arg[0];

	for (; word + 8 <= end; word += 8) {
		word[0] ^= key;
		word[1] ^= key;
		word[2] ^= key;
		word[3] ^= key;
		word[4] ^= key;
		word[5] ^= key;
		word[6] ^= key;
		word[7] ^= key;
	}
	return 0;
}
