// SPDX-License-Identifier: GPL-2.0
/* Reads behind what it compared with data_end, in line 14. */
#include <exo/graft.h>

SEC("pure")
__u32 reads(struct exo_ctx_pure *ctx)
{
	const __u8 *data = (const __u8 *)(unsigned long)ctx->data;
	const __u8 *end = (const __u8 *)(unsigned long)ctx->data_end;

	if (data + 8 > end)
		return 0;
	data += ctx->arg[0] & 4095;
	return *data;
}
