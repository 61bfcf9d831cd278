// SPDX-License-Identifier: GPL-2.0
/* Ends when somebody stores to its state, or when its budget is used up. */
#include <exo/graft.h>

volatile __u64 stop;

SEC("txn")
__u32 forever(struct exo_ctx_txn *ctx)
{
	__u64 turns = 0;

	while (!stop)
		turns++;
	ctx->out[0] = turns;
	return 0;
}
