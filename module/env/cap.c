// SPDX-License-Identifier: GPL-2.0
/*
 * Capabilities: the key, the generations, and the four operations, for every kind of object.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/nospec.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/siphash.h>

#include "core/cap.h"
#include "dev.h"
#include "env/env.h"
#include "trace.h"

#define KINDS (EXO_CAP_GRAFT + 1)

static siphash_key_t key __ro_after_init;
static atomic64_t last_generation;
static const struct exo_cap_ops *kinds[KINDS];

static u64 mac_of(const struct exo_cap *cap)
{
	return siphash_2u64(exo_cap_word(cap), cap->generation, &key);
}

static bool is_authentic(const struct exo_cap *cap, u16 kind)
{
	return exo_cap_mac_equal(mac_of(cap), cap->mac) && exo_cap_is_whole(cap) &&
	       exo_cap_form_ok(cap, kind);
}

static const struct exo_cap_ops *kind_ops(u32 kind)
{
	return kind < KINDS ? kinds[array_index_nospec(kind, KINDS)] : NULL;
}

/**
 * exo_cap_register() - say how objects of a kind are looked up and revoked
 * @kind: enum exo_cap_kind
 * @ops: lives as long as the module
 *
 * Context: at module load only.
 */
void exo_cap_register(u16 kind, const struct exo_cap_ops *ops)
{
	kinds[kind] = ops;
}

/**
 * exo_cap_next_generation() - a generation that no object had before
 *
 * Context: any.
 * Return: never 0.
 */
u64 exo_cap_next_generation(void)
{
	return atomic64_inc_return(&last_generation);
}

/**
 * exo_cap_seal() - make a capability authentic
 * @cap: complete but for the MAC
 *
 * Context: any.
 */
void exo_cap_seal(struct exo_cap *cap)
{
	cap->mac = mac_of(cap);
}

/* A wrong capability was shown: count it, and let a guesser wait. Sleeps. */
static noinline int refuse(struct exo_env *env)
{
	struct exo_user *user = env->user;
	unsigned long now = jiffies;
	u32 failures, delay;

	spin_lock(&user->lock);
	failures = exo_cap_decay(user->failures,
				 jiffies_to_msecs(now - user->failure_jiffies));
	if (failures < UINT_MAX)
		failures++;
	user->failures = failures;
	user->failure_jiffies = now;
	spin_unlock(&user->lock);

	trace_exo_cap_fail(env->number, from_kuid(&init_user_ns, user->uid), failures);
	delay = exo_cap_delay_ms(failures);
	if (delay)
		schedule_timeout_killable(msecs_to_jiffies(delay));
	return -EACCES;
}

/**
 * exo_cap_authentic() - did this module make this capability?
 * @env: who shows it
 * @cap: in kernel memory
 * @kind: the kind it must have, 0 for any
 *
 * The MAC is compared first and in constant time, and every failure looks the same, so that nothing
 * is learned about objects that one has no capability for (INV-CAP-3, INV-CAP-4). The generation is
 * not looked at.
 *
 * Context: may sleep; no lock may be held.
 * Return: 0 or -EACCES.
 */
int exo_cap_authentic(struct exo_env *env, const struct exo_cap *cap, u16 kind)
{
	return is_authentic(cap, kind) ? 0 : refuse(env);
}

/* Authentic, fresh, and good for @rights? Sleeps. */
static int cap_check(struct exo_env *env, const struct exo_cap *cap, u32 rights)
{
	const struct exo_cap_ops *ops;

	if (unlikely(!is_authentic(cap, 0)))
		return refuse(env);
	ops = kind_ops(cap->kind);
	return ops ? exo_cap_allows(cap, ops->generation(cap->object), rights) : -EACCES;
}

static int cap_create_op(struct exo_env *env, void *arg)
{
	struct exo_cap_create *cmd = arg;
	const struct exo_cap_ops *ops = kind_ops(cmd->kind);
	struct exo_cap cap = {
		.kind = cmd->kind,
		.rights = cmd->rights,
		.object = cmd->object,
	};
	int ret;

	if (cmd->flags || cmd->reserved || !ops || !exo_cap_form_ok(&cap, cmd->kind))
		return -EINVAL;
	ret = ops->owned(env, cmd->object, &cap.generation);
	if (ret)
		return ret;
	exo_cap_seal(&cap);
	cmd->out_cap = cap;
	return 0;
}

static int cap_derive_op(struct exo_env *env, void *arg)
{
	struct exo_cap_derive *cmd = arg;
	struct exo_cap cap;
	int ret;

	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	ret = cap_check(env, &cmd->cap, 0);
	if (ret)
		return ret;
	ret = exo_cap_weaken(&cmd->cap, cmd->rights, &cap);
	if (ret)
		return ret;
	exo_cap_seal(&cap);
	cmd->out_cap = cap;
	return 0;
}

static int cap_revoke_op(struct exo_env *env, void *arg)
{
	const struct exo_cap_revoke *cmd = arg;
	const struct exo_cap_ops *ops;
	u64 generation;
	int ret;

	if (cmd->flags || cmd->reserved)
		return -EINVAL;

	if (cmd->kind) {
		ops = kind_ops(cmd->kind);
		if (!ops)
			return -EINVAL;
		ret = ops->owned(env, cmd->object, &generation);
		return ret ?: ops->revoke(env, cmd->object, generation);
	}

	if (cmd->object)
		return -EINVAL;
	ret = cap_check(env, &cmd->cap, EXO_RIGHT_REVOKE);
	if (ret)
		return ret;
	ops = kind_ops(cmd->cap.kind);
	return ops->revoke(NULL, cmd->cap.object, cmd->cap.generation);
}

static int cap_check_op(struct exo_env *env, void *arg)
{
	const struct exo_cap_check *cmd = arg;

	if (cmd->flags || cmd->reserved || (cmd->rights & ~EXO_RIGHTS_ALL))
		return -EINVAL;
	return cap_check(env, &cmd->cap, cmd->rights);
}

static int cap_init(void)
{
	get_random_bytes(&key, sizeof(key));
	return 0;
}

static const struct exo_op cap_ops[] = {
	EXO_OP(CAP_CREATE, struct exo_cap_create, 0, cap_create_op),
	EXO_OP(CAP_DERIVE, struct exo_cap_derive, 0, cap_derive_op),
	EXO_OP(CAP_REVOKE, struct exo_cap_revoke, EXO_OP_IN, cap_revoke_op),
	EXO_OP(CAP_CHECK, struct exo_cap_check, EXO_OP_IN, cap_check_op),
};

const struct exo_noun exo_cap_noun = {
	.name = "cap",
	.ops = cap_ops,
	.nr_ops = ARRAY_SIZE(cap_ops),
	.init = cap_init,
};
