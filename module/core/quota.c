// SPDX-License-Identifier: GPL-2.0
#include "core/quota.h"

/**
 * exo_quota_reservable() - may a guaranteed minimum change?
 * @total: all minima that are reserved now, this one included
 * @old: this one now, at most @total
 * @new: this one afterwards
 * @present: frames in the pool
 *
 * All minima together are at most half of the pool, so that the other half can always be revoked
 * (INV-ENV-6). A pool may have shrunk below that since: to lower a minimum is always right.
 *
 * Return: true if it may.
 */
bool exo_quota_reservable(u64 total, u64 old, u64 new, u64 present)
{
	return new <= old || total - old + new <= present / 2;
}

/**
 * exo_quota_check() - is this a valid EXO_QUOTA_SET?
 * @quota: as it came from user space
 *
 * Return: 0, or -EINVAL for an unknown flag or a deadline beyond EXO_DEADLINE_MAX_MS.
 */
int exo_quota_check(const struct exo_quota *quota)
{
	if (quota->flags & ~(EXO_QUOTA_LIMITS | EXO_QUOTA_DEFAULT))
		return -EINVAL;
	if ((quota->flags & EXO_QUOTA_DEADLINE) && quota->deadline_ms > EXO_DEADLINE_MAX_MS)
		return -EINVAL;
	return 0;
}

/**
 * exo_quota_apply() - copy some limits
 * @limits: to here
 * @quota: from here
 * @which: EXO_QUOTA_* of those that are copied
 */
void exo_quota_apply(struct exo_limits *limits, const struct exo_quota *quota, u32 which)
{
	if (which & EXO_QUOTA_FRAMES)
		limits->frames = quota->frames;
	if (which & EXO_QUOTA_MIN)
		limits->min = quota->min;
	if (which & EXO_QUOTA_DEADLINE)
		limits->deadline_ms = quota->deadline_ms;
	if (which & EXO_QUOTA_ENVS)
		limits->envs = quota->envs;
	if (which & EXO_QUOTA_VIEWS)
		limits->views = quota->views;
	if (which & EXO_QUOTA_GRAFTS)
		limits->grafts = quota->grafts;
	if (which & EXO_QUOTA_GRAFT_INSNS)
		limits->graft_insns = quota->graft_insns;
	if (which & EXO_QUOTA_GRAFT_JIT)
		limits->graft_jit = quota->graft_jit;
}
