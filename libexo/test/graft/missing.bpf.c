// SPDX-License-Identifier: GPL-2.0
/* A variable of another file. */
#include <exo/graft.h>

extern __u64 elsewhere;

SEC("txn")
__u32 needs(struct exo_ctx_txn *ctx)
{
	ctx->out[0] = elsewhere;
	return 0;
}
