// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Capabilities: 32 bytes that prove a right. They travel as plain bytes through any channel.
 * Idea: S95 §3.2, self-authenticating capabilities.
 */
#include "lib.h"

/**
 * exo_cap_create() - a capability for an object that the environment owns
 * @env: the owner
 * @kind: EXO_CAP_FRAME
 * @object: the frame; of a 2 MiB frame: its first
 * @rights: EXO_RIGHT_*
 * @out_cap: the capability
 *
 * Return: 0; -EACCES: not the owner's; -EINVAL. Thread-safe, async-signal-safe.
 */
EXPORT int exo_cap_create(struct exo_env *env, uint32_t kind, uint64_t object, uint32_t rights,
			  struct exo_cap *out_cap)
{
	struct exo_cap_create arg = {
		.size = sizeof(arg),
		.kind = (uint16_t)kind,
		.rights = (uint16_t)rights,
		.object = object,
	};
	int ret;

	if (kind > UINT16_MAX || rights > UINT16_MAX)
		return -EINVAL;
	ret = sys_ioctl(env->fd, EXO_CAP_CREATE, &arg);
	if (!ret)
		*out_cap = arg.out_cap;
	return ret;
}

/**
 * exo_cap_derive() - a weaker capability from one that is held
 * @env: any environment
 * @cap: has EXO_RIGHT_DERIVE
 * @rights: a subset of @cap's
 * @out_cap: the capability; may be @cap
 *
 * Return: 0; -EACCES; -ESTALE: @cap was revoked. Thread-safe, async-signal-safe.
 */
EXPORT int exo_cap_derive(struct exo_env *env, const struct exo_cap *cap, uint32_t rights,
			  struct exo_cap *out_cap)
{
	struct exo_cap_derive arg = { .size = sizeof(arg), .cap = *cap, .rights = rights };
	int ret;

	ret = sys_ioctl(env->fd, EXO_CAP_DERIVE, &arg);
	if (!ret)
		*out_cap = arg.out_cap;
	return ret;
}

/**
 * exo_cap_revoke() - all capabilities of an object become stale
 * @env: any environment
 * @cap: names the object and has EXO_RIGHT_REVOKE
 *
 * Returns after the object is unmapped in every environment but its owner's.
 *
 * Return: 0; -EACCES; -ESTALE. Thread-safe, async-signal-safe.
 */
EXPORT int exo_cap_revoke(struct exo_env *env, const struct exo_cap *cap)
{
	struct exo_cap_revoke arg = { .size = sizeof(arg), .cap = *cap };

	return sys_ioctl(env->fd, EXO_CAP_REVOKE, &arg);
}

/**
 * exo_cap_revoke_object() - all capabilities of an own object become stale
 * @env: the owner
 * @kind: EXO_CAP_FRAME
 * @object: the frame
 *
 * As exo_cap_revoke(), for which the owner needs no capability.
 *
 * Return: 0; -EACCES: not the owner's. Thread-safe, async-signal-safe.
 */
EXPORT int exo_cap_revoke_object(struct exo_env *env, uint32_t kind, uint64_t object)
{
	struct exo_cap_revoke arg = { .size = sizeof(arg), .kind = kind, .object = object };

	/* 0 would mean "by the capability". */
	if (!kind)
		return -EINVAL;
	return sys_ioctl(env->fd, EXO_CAP_REVOKE, &arg);
}

/**
 * exo_cap_check() - is a capability good, for at least these rights?
 * @env: any environment
 * @cap: the capability
 * @rights: EXO_RIGHT_*, or 0
 *
 * Return: 0: yes; -EACCES: no, and never why; -ESTALE: it was. Thread-safe, async-signal-safe.
 */
EXPORT int exo_cap_check(struct exo_env *env, const struct exo_cap *cap, uint32_t rights)
{
	struct exo_cap_check arg = { .size = sizeof(arg), .cap = *cap, .rights = rights };

	return sys_ioctl(env->fd, EXO_CAP_CHECK, &arg);
}
