/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quota decisions: may this much be charged, may this minimum be guaranteed. What stands on the
 * way of every allocation is in line.
 */
#ifndef EXO_CORE_QUOTA_H
#define EXO_CORE_QUOTA_H

#include "core/types.h"

/* Longest time between a revocation request and force: an hour. */
#define EXO_DEADLINE_MAX_MS 3600000U

#define EXO_QUOTA_LIMITS \
	(EXO_QUOTA_FRAMES | EXO_QUOTA_MIN | EXO_QUOTA_DEADLINE | EXO_QUOTA_ENVS | EXO_QUOTA_VIEWS | \
	 EXO_QUOTA_GRAFTS | EXO_QUOTA_GRAFT_INSNS | EXO_QUOTA_GRAFT_JIT)

/**
 * struct exo_limits - the limits of a uid, as in struct exo_quota
 * @frames: most frames
 * @min: guaranteed minimum
 * @deadline_ms: time between request and force
 * @envs: most environments
 * @views: most views
 * @grafts: most grafts
 * @graft_insns: most instructions of them
 * @graft_jit: most bytes of machine code
 */
struct exo_limits {
	u32 frames;
	u32 min;
	u32 deadline_ms;
	u32 envs;
	u32 views;
	u32 grafts;
	u32 graft_insns;
	u32 graft_jit;
};

/**
 * exo_quota_fits() - may more be charged?
 * @used: charged now
 * @n: to be charged
 * @max: limit; may be below @used when it was lowered
 *
 * Return: true if @used + @n is at most @max, whatever the numbers are.
 */
static inline bool exo_quota_fits(u32 used, u32 n, u32 max)
{
	return (u64)used + n <= max;
}

/**
 * exo_quota_own() - how much of a charge is guaranteed
 * @used: charged before
 * @n: charged now
 * @min: guaranteed minimum
 *
 * Return: at most @n.
 */
static inline u32 exo_quota_own(u32 used, u32 n, u32 min)
{
	u32 left = used < min ? min - used : 0;

	return n < left ? n : left;
}

bool exo_quota_reservable(u64 total, u64 old, u64 new, u64 present);
int exo_quota_check(const struct exo_quota *quota);
void exo_quota_apply(struct exo_limits *limits, const struct exo_quota *quota, u32 which);

#endif
