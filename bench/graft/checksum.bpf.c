// SPDX-License-Identifier: GPL-2.0
/*
 * The Internet checksum (RFC 1071) of the input, whose length is a multiple of 32 bytes: four
 * 64-bit words a turn, carries collected in a second sum.
 */
#include "filter.h"

__u32 checksum(struct exo_ctx_pure *ctx);

SEC("pure")
__u32 checksum(struct exo_ctx_pure *ctx)
{
	const __u64 *word = (const __u64 *)(unsigned long)ctx->data;
	const __u64 *end = (const __u64 *)(unsigned long)ctx->data_end;
	__u64 low = 0, high = 0, sum;

	for (; word + 4 <= end; word += 4) {
		low += word[0] & 0xffffffff;
		high += word[0] >> 32;
		low += word[1] & 0xffffffff;
		high += word[1] >> 32;
		low += word[2] & 0xffffffff;
		high += word[2] >> 32;
		low += word[3] & 0xffffffff;
		high += word[3] >> 32;
	}
	sum = low + high;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum ^ 0xffff;
}
