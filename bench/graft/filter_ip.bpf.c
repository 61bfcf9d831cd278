// SPDX-License-Identifier: GPL-2.0
/*
 * The first packet filter of Necula and Lee, "Safe Kernel Extensions Without Run-Time Checking"
 * (OSDI 1996): all IP.
 */
#include "filter.h"

__u32 filter_ip(struct exo_ctx_pure *ctx);

SEC("pure")
__u32 filter_ip(struct exo_ctx_pure *ctx)
{
	const __u8 *frame = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;

	if (frame + IP_LENGTH > end)
		return 0;
	return U16(frame, ETH_TYPE) == ETH_TYPE_IP;
}
