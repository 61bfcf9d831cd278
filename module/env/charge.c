// SPDX-License-Identifier: GPL-2.0
/*
 * What a user is charged for its frames and grafts, without users_lock: allocation and loading are not
 * to wait for each other. And with the frames, how much of all guaranteed minima is still to be had.
 */
#include "core/quota.h"
#include "env/env.h"

/* What of all users' @reserved is not charged, or charged and not taken yet. */
static atomic_long_t unused_total;

/**
 * exo_user_unused_changed() - what a user has or what it is guaranteed has changed
 * @user: user
 *
 * What of the minimum is unused? Whoever changes one of the two calls this afterwards, so the last one
 * to come sees both.
 *
 * Context: any but interrupts; takes the user's lock, a leaf.
 */
void exo_user_unused_changed(struct exo_user *user)
{
	u32 used, unused;

	spin_lock(&user->lock);
	/* After the caller's change: pairs with the barrier in its atomic, or with the other call. */
	smp_mb__after_spinlock();
	used = atomic_read(&user->frames);
	unused = exo_quota_own(used, UINT_MAX, READ_ONCE(user->reserved));
	atomic_long_add((long)unused - user->unused, &unused_total);
	user->unused = unused;
	spin_unlock(&user->lock);
}

/* @before: what was charged before; NULL if nobody asks. */
static int charge(atomic_t *used, u32 n, u32 max, u32 *before)
{
	int old = atomic_read(used);

	do {
		if (n && !exo_quota_fits(old, n, max))
			return -EDQUOT;
	} while (!atomic_try_cmpxchg(used, &old, old + n));
	if (before)
		*before = old;
	return 0;
}

/**
 * exo_user_charge_frames() - charge frames
 * @user: user
 * @n: how many
 * @own: how many of them are within the guaranteed minimum: these are kept for the user until
 *	exo_user_took_own()
 *
 * Context: any but interrupts; takes the user's lock, a leaf.
 * Return: 0, or -EDQUOT, and then nothing is charged.
 */
int exo_user_charge_frames(struct exo_user *user, u32 n, u32 *own)
{
	u32 before;
	int ret;

	ret = charge(&user->frames, n, READ_ONCE(user->max_frames), &before);
	if (ret)
		return ret;
	*own = exo_quota_own(before, n, READ_ONCE(user->reserved));
	if (*own) {
		/* In this order: there is no moment when others could have them. */
		atomic_long_add(*own, &unused_total);
		exo_user_unused_changed(user);
	}
	return 0;
}

/**
 * exo_user_took_own() - frames that are guaranteed have been taken, or are given up
 * @n: how many, of what exo_user_charge_frames() said
 *
 * Context: any.
 */
void exo_user_took_own(u32 n)
{
	if (n)
		atomic_long_sub(n, &unused_total);
}

/**
 * exo_user_uncharge_frames() - undo exo_user_charge_frames()
 * @user: user
 * @n: how many
 *
 * Context: any but interrupts; takes the user's lock, a leaf.
 */
void exo_user_uncharge_frames(struct exo_user *user, u32 n)
{
	u32 left = atomic_sub_return(n, &user->frames);

	if (exo_quota_own(left, n, READ_ONCE(user->reserved)))
		exo_user_unused_changed(user);
}

/**
 * exo_user_charge_graft() - charge a graft, or a part of one
 * @user: user
 * @grafts: how many
 * @insns: instructions
 * @jit: bytes of machine code
 *
 * Context: any.
 * Return: 0, or -EDQUOT, and then nothing is charged.
 */
int exo_user_charge_graft(struct exo_user *user, u32 grafts, u32 insns, u32 jit)
{
	if (charge(&user->grafts, grafts, READ_ONCE(user->max_grafts), NULL))
		return -EDQUOT;
	if (charge(&user->graft_insns, insns, READ_ONCE(user->max_graft_insns), NULL))
		goto err_grafts;
	if (charge(&user->graft_jit, jit, READ_ONCE(user->max_graft_jit), NULL))
		goto err_insns;
	return 0;

err_insns:
	atomic_sub(insns, &user->graft_insns);
err_grafts:
	atomic_sub(grafts, &user->grafts);
	return -EDQUOT;
}

/**
 * exo_user_uncharge_graft() - undo exo_user_charge_graft()
 * @user: user
 * @grafts: how many
 * @insns: instructions
 * @jit: bytes of machine code
 *
 * Context: any.
 */
void exo_user_uncharge_graft(struct exo_user *user, u32 grafts, u32 insns, u32 jit)
{
	atomic_sub(grafts, &user->grafts);
	atomic_sub(insns, &user->graft_insns);
	atomic_sub(jit, &user->graft_jit);
}

/**
 * exo_user_unused_total() - what users are guaranteed and have not taken
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_user_unused_total(void)
{
	return clamp_t(long, atomic_long_read(&unused_total), 0, UINT_MAX);
}
