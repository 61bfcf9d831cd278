// SPDX-License-Identifier: GPL-2.0
/* A pointer with a first value. */
#include <exo/graft.h>

static __u64 value = 5;
__u64 *where = &value;

SEC("txn")
__u32 follows(struct exo_ctx_txn *ctx)
{
	ctx->out[0] = *where;
	return 0;
}
