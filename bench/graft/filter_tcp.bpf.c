// SPDX-License-Identifier: GPL-2.0
/*
 * The fourth packet filter of Necula and Lee (OSDI 1996): TCP to a given port, behind an IP header
 * of variable length.
 */
#include "filter.h"

__u32 filter_tcp(struct exo_ctx_pure *ctx);

SEC("pure")
__u32 filter_tcp(struct exo_ctx_pure *ctx)
{
	const __u8 *frame = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;
	const __u8 *tcp;

	if (frame + IP_END > end)
		return 0;
	if (U16(frame, ETH_TYPE) != ETH_TYPE_IP || U8(frame, IP_PROTOCOL) != IP_PROTOCOL_TCP ||
	    (U16(frame, IP_FRAGMENT) & IP_FRAGMENT_OFFSET))
		return 0;
	tcp = frame + IP_LENGTH + (U8(frame, IP_LENGTH) & 15) * 4;
	if (tcp + 4 > end)
		return 0;
	return U16(tcp, 2) == TCP_PORT;
}
