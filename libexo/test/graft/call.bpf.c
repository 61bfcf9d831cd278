// SPDX-License-Identifier: GPL-2.0
/* A function that isn't inlined. */
#include <exo/graft.h>

static __attribute__((noinline)) __u64 helper(__u64 value)
{
	__asm__ volatile("" ::: "memory");
	return value * 3;
}

SEC("pure")
__u32 calls(struct exo_ctx_pure *ctx)
{
	return (__u32)helper(ctx->arg[0]);
}
