// SPDX-License-Identifier: GPL-2.0
/*
 * The third packet filter of Necula and Lee (OSDI 1996): IP or ARP between two given networks.
 */
#include "filter.h"

__u32 filter_between(struct exo_ctx_pure *ctx);

static inline __attribute__((always_inline)) __u32 between(__u32 source, __u32 target)
{
	source &= NET_MASK;
	target &= NET_MASK;
	return (source == NET_A && target == NET_B) || (source == NET_B && target == NET_A);
}

SEC("pure")
__u32 filter_between(struct exo_ctx_pure *ctx)
{
	const __u8 *frame = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;

	if (frame + ARP_END > end)
		return 0;
	if (U16(frame, ETH_TYPE) == ETH_TYPE_IP)
		return between(U32(frame, IP_SOURCE), U32(frame, IP_TARGET));
	if (U16(frame, ETH_TYPE) == ETH_TYPE_ARP)
		return between(U32(frame, ARP_SOURCE), U32(frame, ARP_TARGET));
	return 0;
}
