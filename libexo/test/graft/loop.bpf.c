// SPDX-License-Identifier: GPL-2.0
/* A loop towards data_end. */
#include <exo/graft.h>

SEC("pure")
__u32 sum(struct exo_ctx_pure *ctx)
{
	const __u8 *byte = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;
	__u32 total = 0;

	for (; byte + 1 <= end; byte++)
		total += *byte;
	return total;
}
