// SPDX-License-Identifier: GPL-2.0
/*
 * VINO's example: a stream is encrypted on its way, in 64-bit words. The key changes from word to
 * word, so that equal words don't look equal.
 */
#include <exo/graft.h>

SEC("stream")
__u32 encrypt(struct exo_ctx_stream *ctx)
{
	__u64 *word = (__u64 *)(unsigned long)ctx->data;
	__u64 *end = (__u64 *)(unsigned long)ctx->data_end;
	__u64 key = ctx->arg[0];
	__u32 words = 0;

	for (; word + 1 <= end; word++) {
		*word ^= key;
		key = key * 6364136223846793005ULL + 1442695040888963407ULL;
		words++;
	}
	ctx->out[0] = key;	/* where the next piece of the stream goes on */
	return words;
}
