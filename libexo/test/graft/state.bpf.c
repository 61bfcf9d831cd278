// SPDX-License-Identifier: GPL-2.0
/* Constants, variables with and without a first value, two grafts in one file. */
#include <exo/graft.h>

static const __u64 table[4] = { 3, 5, 7, 11 };
__u64 counter = 41;
__u32 limits[3] = { 1, 2, 3 };
static __u64 last;

SEC("txn")
__u32 first(struct exo_ctx_txn *ctx)
{
	counter += table[ctx->arg[0] & 3];
	last = limits[2];
	ctx->out[0] = counter;
	return 1;
}

SEC("txn/another")
__u32 second(struct exo_ctx_txn *ctx)
{
	exo_trace(ctx->arg[0], last);
	return exo_now() != 0;
}
