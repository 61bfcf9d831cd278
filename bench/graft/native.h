/* SPDX-License-Identifier: GPL-2.0 */
/* The grafts that are measured, as C functions. */
#ifndef EXO_BENCH_GRAFT_NATIVE_H
#define EXO_BENCH_GRAFT_NATIVE_H

#include <linux/types.h>

#include <exo/exo.h>

__u32 filter_ip(struct exo_ctx_pure *ctx);
__u32 filter_net(struct exo_ctx_pure *ctx);
__u32 filter_between(struct exo_ctx_pure *ctx);
__u32 filter_tcp(struct exo_ctx_pure *ctx);
__u32 search(struct exo_ctx_pure *ctx);
__u32 checksum(struct exo_ctx_pure *ctx);
__u32 encrypt(struct exo_ctx_stream *ctx);
__u32 copy(struct exo_ctx_stream *ctx);

#endif
