// SPDX-License-Identifier: GPL-2.0
/*
 * A transaction that logs and changes arg[0] words of state, at most 4, and, if arg[1] is not 0,
 * ends with an access that aborts it.
 */
#include "filter.h"

#define WORDS 4

__u64 words[WORDS];

__u32 txn_log(struct exo_ctx_txn *ctx);

SEC("txn")
__u32 txn_log(struct exo_ctx_txn *ctx)
{
	__u32 i, count = (__u32)ctx->arg[0];

	for (i = 0; i < WORDS && i < count; i++) {
		if (exo_log(&words[i]))
			return 1;
		words[i]++;
	}
	if (ctx->arg[1])
		return *(volatile __u32 *)8;
	return 0;
}
