// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching a graft to a hook: by its owner, or by who holds a capability for it. The nouns that have
 * the hooks keep the attachments; each has a reference to its graft.
 *
 * A graft that was unloaded or killed, or whose capability was revoked, stays attached and doesn't
 * run: the hook does its default (INV-GRAFT-33).
 */
#include <linux/nospec.h>
#include <linux/slab.h>

#include "core/cap.h"
#include "graft/graft.h"

static const struct exo_graft_place *places[EXO_HOOK_VICTIM + 1] __ro_after_init;

static const struct exo_graft_place *place_of(u32 hook)
{
	return hook < ARRAY_SIZE(places) ? places[array_index_nospec(hook, ARRAY_SIZE(places))] :
					   NULL;
}

/**
 * exo_graft_place() - a noun has a hook that one attaches grafts to
 * @hook: enum exo_graft_hook_id
 * @place: lives as long as the module
 *
 * Context: at module load only.
 */
void exo_graft_place(u32 hook, const struct exo_graft_place *place)
{
	places[hook] = place;
}

/**
 * exo_graft_attachment_free() - free an attachment that is no longer anywhere
 * @at: attachment, or NULL
 *
 * Context: not in interrupts.
 */
void exo_graft_attachment_free(struct exo_graft_attachment *at)
{
	if (!at)
		return;
	atomic_dec(&at->graft->attached);
	exo_graft_put(at->graft);
	kfree(at);
}

/* The graft that a capability names, with a reference. */
static int graft_by_cap(struct exo_env *env, const struct exo_cap *cap,
			struct exo_graft **out_graft)
{
	struct exo_graft *graft;
	int ret;

	ret = exo_cap_authentic(env, cap, EXO_CAP_GRAFT);
	if (ret)
		return ret;
	graft = exo_graft_get_any(cap->object);
	if (!graft)
		return -ESTALE;
	ret = exo_cap_allows(cap, READ_ONCE(graft->generation), EXO_RIGHT_READ);
	if (ret) {
		exo_graft_put(graft);
		return ret;
	}
	*out_graft = graft;
	return 0;
}

static int graft_named(struct exo_env *env, const struct exo_graft_attach *cmd,
		       struct exo_graft **out_graft)
{
	if (!cmd->graft)
		return graft_by_cap(env, &cmd->cap, out_graft);
	if (memchr_inv(&cmd->cap, 0, sizeof(cmd->cap)))
		return -EINVAL;
	*out_graft = exo_graft_get(env, cmd->graft);
	return *out_graft ? 0 : -ENOENT;
}

/**
 * exo_graft_attach_op() - EXO_GRAFT_ATTACH
 * @env: who attaches
 * @arg: struct exo_graft_attach
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT: no such graft or target; -EBUSY; -EACCES, -ESTALE: the capability;
 * -ENOMEM.
 */
int exo_graft_attach_op(struct exo_env *env, void *arg)
{
	const struct exo_graft_attach *cmd = arg;
	struct exo_graft_attachment *at, *old = NULL;
	const struct exo_graft_place *place;
	struct exo_graft *graft;
	int ret;

	if (cmd->flags & ~EXO_GRAFT_ATTACH_REPLACE)
		return -EINVAL;
	ret = graft_named(env, cmd, &graft);
	if (ret)
		return ret;
	place = place_of(graft->prog.hook->id);
	at = kzalloc(sizeof(*at), GFP_KERNEL_ACCOUNT);
	if (!place || !at) {
		ret = place ? -ENOMEM : -EINVAL;
		goto err_graft;
	}
	at->graft = graft;
	at->cookie = cmd->cookie;
	at->generation = cmd->graft ? 0 : cmd->cap.generation;
	atomic_inc(&graft->attached);
	ret = place->set(env, cmd->target, at, cmd->flags & EXO_GRAFT_ATTACH_REPLACE, &old);
	exo_graft_attachment_free(ret ? at : old);
	return ret;

err_graft:
	kfree(at);
	exo_graft_put(graft);
	return ret;
}

/**
 * exo_graft_detach_op() - EXO_GRAFT_DETACH
 * @env: whose target
 * @arg: struct exo_graft_detach
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_graft_detach_op(struct exo_env *env, void *arg)
{
	const struct exo_graft_detach *cmd = arg;
	const struct exo_graft_place *place = place_of(cmd->hook);
	struct exo_graft_attachment *old = NULL;
	int ret;

	if (cmd->flags || !place)
		return -EINVAL;
	ret = place->set(env, cmd->target, NULL, true, &old);
	exo_graft_attachment_free(old);
	return ret;
}
