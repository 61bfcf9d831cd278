// SPDX-License-Identifier: GPL-2.0
/*
 * Users: who is charged, and the limits of each. What is charged without users_lock: charge.c.
 *
 * A user exists while an environment or a quarantined frame is charged to it, or for as long as the
 * module is loaded once it got limits of its own.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "core/quota.h"
#include "env/env.h"
#include "mem/frame.h"
#include "mem/pool.h"

/* Guards the table, the defaults, and every user's limits, envs, views and reserved. */
static DEFINE_SPINLOCK(users_lock);
static DEFINE_HASHTABLE(users, 8);
static u64 reserved_total;

static struct exo_limits defaults = {
	.frames = UINT_MAX,
	.min = 64,
	.deadline_ms = 1000,
	.envs = 4096,
	.views = 4096,
	.grafts = 256,
	.graft_insns = 1 << 18,
	.graft_jit = 4 << 20,
};

module_param_named(default_frames, defaults.frames, uint, 0444);
MODULE_PARM_DESC(default_frames, "most frames a uid holds (default: no limit)");
module_param_named(default_min, defaults.min, uint, 0444);
MODULE_PARM_DESC(default_min, "frames that revocation leaves a uid (default: 64)");
module_param_named(default_deadline_ms, defaults.deadline_ms, uint, 0444);
MODULE_PARM_DESC(default_deadline_ms, "time to give frames back, at most an hour (default: 1000)");
module_param_named(default_envs, defaults.envs, uint, 0444);
MODULE_PARM_DESC(default_envs, "most environments of a uid (default: 4096)");
module_param_named(default_views, defaults.views, uint, 0444);
MODULE_PARM_DESC(default_views, "most views of a uid (default: 4096)");
module_param_named(default_grafts, defaults.grafts, uint, 0444);
MODULE_PARM_DESC(default_grafts, "most grafts of a uid (default: 256)");
module_param_named(default_graft_insns, defaults.graft_insns, uint, 0444);
MODULE_PARM_DESC(default_graft_insns, "most instructions of a uid's grafts (default: 262144)");
module_param_named(default_graft_jit, defaults.graft_jit, uint, 0444);
MODULE_PARM_DESC(default_graft_jit, "most machine code of a uid's grafts (default: 4 MiB)");

/**
 * exo_user_of() - who is charged for what these credentials open
 * @cred: credentials
 *
 * Inside a user namespace it is the owner of the outermost one: whoever may make namespaces may
 * have thousands of uids in them (INV-ENV-5).
 *
 * Return: a uid of the initial namespace.
 */
kuid_t exo_user_of(const struct cred *cred)
{
	struct user_namespace *ns = cred->user_ns;

	if (ns == &init_user_ns)
		return cred->euid;
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	return ns->owner;
}

static struct exo_user *user_find_locked(kuid_t uid)
{
	struct exo_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

static struct exo_limits user_limits(const struct exo_user *user)
{
	return (struct exo_limits) {
		.frames = user->max_frames,
		.min = user->min_frames,
		.deadline_ms = user->deadline_ms,
		.envs = user->max_envs,
		.views = user->max_views,
		.grafts = user->max_grafts,
		.graft_insns = user->max_graft_insns,
		.graft_jit = user->max_graft_jit,
	};
}

/* The limits of frames and grafts and the deadline are read without the lock. */
static void user_set_limits(struct exo_user *user, const struct exo_limits *limits)
{
	WRITE_ONCE(user->max_frames, limits->frames);
	WRITE_ONCE(user->min_frames, limits->min);
	WRITE_ONCE(user->deadline_ms, limits->deadline_ms);
	user->max_envs = limits->envs;
	user->max_views = limits->views;
	WRITE_ONCE(user->max_grafts, limits->grafts);
	WRITE_ONCE(user->max_graft_insns, limits->graft_insns);
	WRITE_ONCE(user->max_graft_jit, limits->graft_jit);
}

static void user_set_reserved_locked(struct exo_user *user, u32 reserved)
{
	lockdep_assert_held(&users_lock);
	reserved_total += (u64)reserved - user->reserved;
	WRITE_ONCE(user->reserved, reserved);
	exo_user_unused_changed(user);
}

/**
 * exo_user_get() - the user with this uid
 * @uid: in the initial namespace
 * @create: make one if there is none
 *
 * Context: may sleep if @create; takes users_lock.
 * Return: the user with a reference; NULL if there is none and not @create; ERR_PTR(-ENOMEM).
 */
struct exo_user *exo_user_get(kuid_t uid, bool create)
{
	struct exo_user *user, *new = NULL;

	if (create) {
		new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
		if (!new)
			return ERR_PTR(-ENOMEM);
		new->uid = uid;
		refcount_set(&new->refs, 1);
		spin_lock_init(&new->lock);
	}

	spin_lock(&users_lock);
	user = user_find_locked(uid);
	if (user) {
		refcount_inc(&user->refs);
	} else if (new) {
		user_set_limits(new, &defaults);
		hash_add(users, &new->node, __kuid_val(uid));
		user = new;
		new = NULL;
	}
	spin_unlock(&users_lock);

	kfree(new);
	return user;
}

/**
 * exo_user_hold() - one more reference
 * @user: the caller has one
 *
 * Context: any.
 */
void exo_user_hold(struct exo_user *user)
{
	refcount_inc(&user->refs);
}

/**
 * exo_user_put() - give up a reference
 * @user: user
 *
 * Context: not in interrupts; takes users_lock.
 */
void exo_user_put(struct exo_user *user)
{
	bool last;

	spin_lock(&users_lock);
	last = refcount_dec_and_test(&user->refs);
	if (last)
		hash_del(&user->node);
	spin_unlock(&users_lock);
	if (!last)
		return;
	WARN_ON_ONCE(user->reserved || atomic_read(&user->frames));
	kfree(user);
}

/* @missing: frames that the pool lacks for another minimum. */
static int charge_env(struct exo_user *user, bool privileged, u64 *missing)
{
	int ret = -EDQUOT;
	u32 present;

	*missing = 0;
	spin_lock(&users_lock);
	present = exo_pool_present();
	if (!exo_quota_fits(atomic_read(&user->envs), 1, user->max_envs))
		goto out;
	if (!user->reserved) {
		if (exo_quota_reservable(reserved_total, 0, user->min_frames, present)) {
			user_set_reserved_locked(user, user->min_frames);
		} else if (!privileged) {
			*missing = 2 * (reserved_total + user->min_frames) - present;
			goto out;
		}
	}
	atomic_inc(&user->envs);
	ret = 0;
out:
	spin_unlock(&users_lock);
	return ret;
}

/**
 * exo_user_charge_env() - one more environment; the first one reserves the guaranteed minimum
 * @user: user
 *
 * Frames that Linux borrowed are fetched back for it. CAP_SYS_ADMIN may do without the minimum:
 * somebody has to fill an empty pool.
 *
 * Context: may sleep; takes users_lock and grow_lock, with nothing held.
 * Return: 0, or -EDQUOT if there are too many or the minimum can't be reserved.
 */
int exo_user_charge_env(struct exo_user *user)
{
	u64 missing;
	int ret;

	ret = charge_env(user, false, &missing);
	if (missing) {
		exo_pool_refill(EXO_POOL_NODE_ANY, 0, min_t(u64, missing, U32_MAX));
		ret = charge_env(user, false, &missing);
	}
	if (missing) {
		missing = round_up(missing, EXO_BLOCK_FRAMES);
		exo_pool_refill(EXO_POOL_NODE_ANY, EXO_HUGE_ORDER, min_t(u64, missing, U32_MAX));
		ret = charge_env(user, false, &missing);
	}
	if (ret && capable(CAP_SYS_ADMIN))
		ret = charge_env(user, true, &missing);
	return ret;
}

/**
 * exo_user_uncharge_env() - one environment less; with the last one goes the minimum
 * @user: charged before
 *
 * Context: not in interrupts; takes users_lock.
 */
void exo_user_uncharge_env(struct exo_user *user)
{
	spin_lock(&users_lock);
	if (atomic_dec_and_test(&user->envs))
		user_set_reserved_locked(user, 0);
	spin_unlock(&users_lock);
}

/**
 * exo_user_charge_view() - charge a view
 * @user: user
 *
 * Context: not in interrupts; takes users_lock.
 * Return: 0 or -EDQUOT.
 */
int exo_user_charge_view(struct exo_user *user)
{
	int ret = -EDQUOT;

	spin_lock(&users_lock);
	if (exo_quota_fits(atomic_read(&user->views), 1, user->max_views)) {
		atomic_inc(&user->views);
		ret = 0;
	}
	spin_unlock(&users_lock);
	return ret;
}

/**
 * exo_user_uncharge_view() - undo exo_user_charge_view()
 * @user: user
 *
 * Context: any.
 */
void exo_user_uncharge_view(struct exo_user *user)
{
	atomic_dec(&user->views);
}

/**
 * exo_user_reserved_total() - guaranteed minima of all users that have an environment
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_user_reserved_total(void)
{
	return min_t(u64, READ_ONCE(reserved_total), UINT_MAX);
}

/* What could be had now. @unused: so much of it is guaranteed. */
static void fill_may(struct exo_quota *quota, u32 unused)
{
	u32 kept = exo_user_unused_total();
	u32 left = quota->frames > quota->out_frames ? quota->frames - quota->out_frames : 0;

	kept -= min(kept, unused);
	quota->out_may = min(left, exo_pool_available(EXO_POOL_SMALL, kept, unused));
	quota->out_may_huge = min(left, exo_pool_available(EXO_POOL_HUGE_KIND, kept, unused)) >>
			      EXO_HUGE_ORDER;
}

/**
 * exo_quota_get_op() - EXO_QUOTA_GET
 * @env: who asks
 * @arg: struct exo_quota
 *
 * A uid that nobody has seen has the defaults.
 *
 * Return: 0, -EINVAL, or -EPERM for a stranger's limits.
 */
int exo_quota_get_op(struct exo_env *env, void *arg)
{
	struct exo_quota *quota = arg;
	struct exo_limits limits;
	struct exo_user *user = NULL;
	kuid_t uid = INVALID_UID;
	u32 unused;

	if (quota->flags & ~EXO_QUOTA_DEFAULT)
		return -EINVAL;
	if (!(quota->flags & EXO_QUOTA_DEFAULT)) {
		uid = make_kuid(current_user_ns(), quota->uid);
		if (!uid_valid(uid))
			return -EINVAL;
		if (!uid_eq(uid, env->user->uid) && !capable(CAP_SYS_ADMIN))
			return -EPERM;
	}

	spin_lock(&users_lock);
	if (uid_valid(uid))
		user = user_find_locked(uid);
	limits = user ? user_limits(user) : defaults;
	quota->out_frames = user ? atomic_read(&user->frames) : 0;
	quota->out_envs = user ? atomic_read(&user->envs) : 0;
	quota->out_grafts = user ? atomic_read(&user->grafts) : 0;
	quota->out_graft_insns = user ? atomic_read(&user->graft_insns) : 0;
	quota->out_graft_jit = user ? atomic_read(&user->graft_jit) : 0;
	unused = user ? READ_ONCE(user->unused) : 0;
	spin_unlock(&users_lock);

	quota->frames = limits.frames;
	quota->min = limits.min;
	quota->deadline_ms = limits.deadline_ms;
	quota->envs = limits.envs;
	quota->views = limits.views;
	quota->grafts = limits.grafts;
	quota->graft_insns = limits.graft_insns;
	quota->graft_jit = limits.graft_jit;
	fill_may(quota, unused);
	return 0;
}

static int set_user(struct exo_user *user, const struct exo_quota *quota)
{
	u32 which = quota->flags & EXO_QUOTA_LIMITS;
	struct exo_limits limits;
	int ret = -EDQUOT;

	spin_lock(&users_lock);
	limits = user_limits(user);
	exo_quota_apply(&limits, quota, which);
	if ((which & EXO_QUOTA_MIN) && atomic_read(&user->envs)) {
		if (!exo_quota_reservable(reserved_total, user->reserved, limits.min,
					  exo_pool_present()))
			goto out;
		user_set_reserved_locked(user, limits.min);
	}
	user_set_limits(user, &limits);
	if (which && !user->own_limits)
		refcount_inc(&user->refs);
	user->own_limits |= which;
	ret = 0;
out:
	spin_unlock(&users_lock);
	return ret;
}

/* Those whose minimum is the default, and that have it reserved: sum before and after. */
static void default_min_change_locked(u32 min, u64 *before, u64 *after)
{
	struct exo_user *user;
	int bucket;

	lockdep_assert_held(&users_lock);
	*before = 0;
	*after = 0;
	hash_for_each(users, bucket, user, node) {
		if ((user->own_limits & EXO_QUOTA_MIN) || !atomic_read(&user->envs))
			continue;
		*before += user->reserved;
		*after += min;
	}
}

static int set_defaults(const struct exo_quota *quota)
{
	u32 which = quota->flags & EXO_QUOTA_LIMITS;
	struct exo_limits limits;
	struct exo_user *user;
	u64 before, after;
	int bucket, ret = -EDQUOT;

	spin_lock(&users_lock);
	if (which & EXO_QUOTA_MIN) {
		default_min_change_locked(quota->min, &before, &after);
		if (!exo_quota_reservable(reserved_total, before, after, exo_pool_present()))
			goto out;
	}
	exo_quota_apply(&defaults, quota, which);
	hash_for_each(users, bucket, user, node) {
		u32 inherited = which & ~user->own_limits;

		limits = user_limits(user);
		exo_quota_apply(&limits, quota, inherited);
		user_set_limits(user, &limits);
		if ((inherited & EXO_QUOTA_MIN) && atomic_read(&user->envs))
			user_set_reserved_locked(user, limits.min);
	}
	ret = 0;
out:
	spin_unlock(&users_lock);
	return ret;
}

/**
 * exo_quota_set_op() - EXO_QUOTA_SET
 * @env: who asks
 * @arg: struct exo_quota
 *
 * A limit below what is charged takes nothing away; it stops what would be charged next.
 *
 * Return: 0, -EINVAL, -ENOMEM, or -EDQUOT if the minimum can't be reserved; then nothing changed.
 */
int exo_quota_set_op(struct exo_env *env, void *arg)
{
	const struct exo_quota *quota = arg;
	struct exo_user *user;
	kuid_t uid;
	int ret;

	ret = exo_quota_check(quota);
	if (ret)
		return ret;
	if (quota->flags & EXO_QUOTA_DEFAULT)
		return set_defaults(quota);

	uid = make_kuid(current_user_ns(), quota->uid);
	if (!uid_valid(uid))
		return -EINVAL;
	user = exo_user_get(uid, true);
	if (IS_ERR(user))
		return PTR_ERR(user);
	ret = set_user(user, quota);
	exo_user_put(user);
	return ret;
}

/**
 * exo_user_default_min() - the guaranteed minimum of a uid without its own
 *
 * Context: any.
 * Return: frames.
 */
u32 exo_user_default_min(void)
{
	return READ_ONCE(defaults.min);
}

/**
 * exo_users_init() - at module load: look at the parameters
 *
 * Return: 0, or -EINVAL for one that makes no sense.
 */
int exo_users_init(void)
{
	if (defaults.deadline_ms > EXO_DEADLINE_MAX_MS) {
		pr_err("exo: default_deadline_ms=%u is more than an hour: choose at most %u\n",
		       defaults.deadline_ms, EXO_DEADLINE_MAX_MS);
		return -EINVAL;
	}
	if (!defaults.envs) {
		pr_err("exo: default_envs=0 lets nobody open /dev/exo, not even to set a quota: choose at least 1\n");
		return -EINVAL;
	}
	return 0;
}

/**
 * exo_users_exit() - at unload: forget users that have limits of their own
 */
void exo_users_exit(void)
{
	struct exo_user *user;
	struct hlist_node *next;
	int bucket;

	hash_for_each_safe(users, bucket, next, user, node) {
		WARN_ON_ONCE(!user->own_limits || refcount_read(&user->refs) != 1);
		hash_del(&user->node);
		kfree(user);
	}
}
