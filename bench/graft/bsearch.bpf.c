// SPDX-License-Identifier: GPL-2.0
/*
 * Binary search for arg[0] among 512 rising 64-bit keys (the input, 4096 bytes). Returns the place
 * of the last key that is not greater (0 if all are), and in out[0] whether it is equal.
 */
#include "filter.h"

#define KEYS 512

__u32 search(struct exo_ctx_pure *ctx);

SEC("pure")
__u32 search(struct exo_ctx_pure *ctx)
{
	const __u64 *key = (const __u64 *)(unsigned long)ctx->data;
	const __u64 *end = (const __u64 *)(unsigned long)ctx->data_end;
	__u64 wanted = ctx->arg[0];
	__u32 step, place = 0;

	if (key + KEYS > end)
		return KEYS;
	for (step = KEYS / 2; step; step /= 2)
		if (key[place + step] <= wanted)
			place += step;
	ctx->out[0] = key[place] == wanted;
	return place;
}
