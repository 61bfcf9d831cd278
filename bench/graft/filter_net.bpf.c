// SPDX-License-Identifier: GPL-2.0
/*
 * The second packet filter of Necula and Lee (OSDI 1996): IP from a given network.
 */
#include "filter.h"

__u32 filter_net(struct exo_ctx_pure *ctx);

SEC("pure")
__u32 filter_net(struct exo_ctx_pure *ctx)
{
	const __u8 *frame = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;

	if (frame + IP_END > end)
		return 0;
	return U16(frame, ETH_TYPE) == ETH_TYPE_IP && (U32(frame, IP_SOURCE) & NET_MASK) == NET_A;
}
