/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Linux borrows of the pool when it is short of memory: when exo may have it back, and what the
 * OOM killer is told of it. The caller has a lock.
 */
#ifndef EXO_CORE_LEND_H
#define EXO_CORE_LEND_H

#include "core/types.h"

/* Frames that Linux got because it was short of memory stay there for at least so long. */
#define EXO_LENT_NS 1000000000ULL

/**
 * struct exo_lend - frames that Linux borrowed because it was short of memory
 * @at_ns: when it got the last ones, 0: never
 * @untold: frames that it got, less those that came back, since the OOM killer was told
 */
struct exo_lend {
	u64 at_ns;
	u32 untold;
};

u32 exo_lend_refill(const struct exo_lend *lend, u32 target, u32 present, u64 now_ns);
void exo_lend_out(struct exo_lend *lend, u32 n, u64 now_ns);
void exo_lend_back(struct exo_lend *lend, u32 n);
u32 exo_lend_tell(struct exo_lend *lend, u64 now_ns);

#endif
