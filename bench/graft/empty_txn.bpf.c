// SPDX-License-Identifier: GPL-2.0
/* Nothing, in a transaction: what window, budget and an empty transaction cost. */
#include "filter.h"

__u32 empty_txn(struct exo_ctx_txn *ctx);

SEC("txn")
__u32 empty_txn(struct exo_ctx_txn *ctx)
{
	(void)ctx;
	return 0;
}
