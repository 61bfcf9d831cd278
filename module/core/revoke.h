/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Revocation decisions: who is asked for how much, until when, and what is still owed.
 *
 * An environment has a short queue of requests, the earliest deadline first. What it gives back
 * counts towards the earliest. Each request keeps its own deadline, so that one which comes late
 * doesn't inherit a deadline that is nearly over.
 */
#ifndef EXO_CORE_REVOKE_H
#define EXO_CORE_REVOKE_H

#include "core/types.h"

#define EXO_ASKS_MAX 8

/**
 * struct exo_ask - a request for frames
 * @deadline_ns: when the rest is taken
 * @frames: how many are still missing
 * @why: EXO_WHY_*
 */
struct exo_ask {
	u64 deadline_ns;
	u32 frames;
	u32 why;
};

/**
 * struct exo_asks - the requests of one environment
 * @nr: how many
 * @total: frames in all of them
 * @ask: in order of deadline
 */
struct exo_asks {
	u32 nr;
	u32 total;
	struct exo_ask ask[EXO_ASKS_MAX];
};

/* Is it Linux that wants the frames, to keep them? */
static inline bool exo_why_is_linux(u32 why)
{
	return why == EXO_WHY_PRESSURE || why == EXO_WHY_OOM;
}

void exo_asks_add(struct exo_asks *asks, u32 frames, u64 deadline_ns, u32 why);
u32 exo_asks_give(struct exo_asks *asks, u32 frames);
u64 exo_asks_deadline(const struct exo_asks *asks);
u32 exo_asks_due(const struct exo_asks *asks, u64 now_ns, u32 *why);
bool exo_asks_cut(struct exo_asks *asks, u64 now_ns, u32 why);

u32 exo_revocable(u32 held, u32 wanted, u32 uid_held, u32 uid_wanted, u32 uid_min);
u32 exo_revoke_share(u32 frames, u32 mine, u64 all);

#endif
