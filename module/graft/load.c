// SPDX-License-Identifier: GPL-2.0
/*
 * Loading: copy once, decode, check, lower, translate; only a graft that is complete is shown.
 *
 * If something is missing for the mode that was asked for, and the loader allows it, the next
 * weaker mode is taken: proof, sandbox, interpreter.
 */
#include <linux/capability.h>
#include <linux/cpu.h>
#include <linux/cred.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "graft/graft.h"

#define LOAD_FLAGS \
	(EXO_GRAFT_LOAD_SANDBOX | EXO_GRAFT_LOAD_INTERP | EXO_GRAFT_LOAD_NO_BARRIERS)

static int check_args(const struct exo_graft_load *cmd, const struct exo_hook *hook)
{
	if ((cmd->flags & ~LOAD_FLAGS) || !hook)
		return -EINVAL;
	if (cmd->mode < EXO_GRAFT_PROOF || cmd->mode > EXO_GRAFT_INTERP)
		return -EINVAL;
	if (cmd->const_size > EXO_GRAFT_MAX_CONST || cmd->state_pages > EXO_GRAFT_MAX_STATE ||
	    cmd->cert_size > EXO_GRAFT_MAX_CERT)
		return -EINVAL;
	if (cmd->state_pages && (hook->flags & EXO_HOOK_NEEDS_PURE))
		return -EINVAL;
	if (strnlen(cmd->name, EXO_GRAFT_NAME) == EXO_GRAFT_NAME)
		return -EINVAL;
	return 0;
}

/* From its loader's memory; xn's come from the kernel's. */
static int fetch(const struct exo_graft *graft, void *to, u64 from, u32 size)
{
	if (graft->env)
		return copy_from_user(to, u64_to_user_ptr(from), size) ? -EFAULT : 0;
	memcpy(to, (const void *)from, size);
	return 0;
}

static int refuse(struct exo_graft_load *cmd, u32 code, u64 bound)
{
	cmd->out_error = (struct exo_graft_error) { .code = code, .bound = bound };
	return -EINVAL;
}

/* The instructions, and room for what decoding says about each. */
static int copy_code(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	u32 len = cmd->nr_insns;
	void *insns;

	if (!len || len > EXO_GRAFT_MAX_INSNS)
		return refuse(cmd, EXO_GRAFT_E_SIZE, EXO_GRAFT_MAX_INSNS);
	insns = kvmalloc_array(len, sizeof(struct exo_insn), GFP_KERNEL_ACCOUNT);
	graft->prog.insns = insns;
	graft->prog.slots = kvzalloc(len, GFP_KERNEL_ACCOUNT);
	if (!insns || !graft->prog.slots)
		return -ENOMEM;
	graft->prog.len = len;
	return fetch(graft, insns, cmd->insns, len * sizeof(struct exo_insn));
}

static int copy_consts(struct exo_graft *graft, const struct exo_graft_load *cmd)
{
	u32 i, n, size = cmd->const_size;
	int ret;

	ret = exo_graft_pages_alloc(&graft->consts, DIV_ROUND_UP(size, PAGE_SIZE));
	if (ret)
		return ret;
	for (i = 0; i < graft->consts.nr; i++) {
		n = min_t(u32, size - i * PAGE_SIZE, PAGE_SIZE);
		ret = fetch(graft, page_address(graft->consts.page[i]), cmd->consts + i * PAGE_SIZE, n);
		if (ret)
			return ret;
	}
	return exo_graft_pages_alloc(&graft->state, cmd->state_pages);
}

/* Does the certificate hold? 0, or -EINVAL and cmd->out_error says why not, or another error. */
static int check_proof(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	void *cert, *room;
	int ret = -ENOMEM;

	if (!cmd->cert_size)
		return refuse(cmd, EXO_GRAFT_E_CERT_MISSING, 0);
	cert = kvmalloc(cmd->cert_size, GFP_KERNEL_ACCOUNT);
	room = kvmalloc(exo_graft_check_room(&graft->prog), GFP_KERNEL_ACCOUNT);
	if (!cert || !room)
		goto out;
	ret = fetch(graft, cert, cmd->cert, cmd->cert_size);
	if (ret)
		goto out;
	ret = exo_graft_check(&graft->prog, cert, cmd->cert_size, room, &cmd->out_error);
out:
	kvfree(room);
	kvfree(cert);
	return ret;
}

/* Make it run, in the mode that it is in. 0 or an error; then the next weaker one may be tried. */
static int prepare(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	int ret;

	switch (graft->mode) {
	case EXO_GRAFT_PROOF:
		ret = check_proof(graft, cmd);
		return ret ?: exo_graft_translate(graft, &cmd->out_error);
	case EXO_GRAFT_SANDBOX:
		return exo_graft_translate(graft, &cmd->out_error);
	default:
		/* What an interpreted graft has of the kernel is its own text. */
		ret = exo_graft_charge(graft, 0, graft->prog.len, 0);
		if (ret)
			return ret;
		graft->lowered = graft->prog.len;
		graft->func = exo_graft_interpreted;
		return 0;
	}
}

/* What a failed attempt to prove it has left there says nothing in another mode. */
static void forget_proof(struct exo_graft *graft)
{
	u32 i;

	for (i = 0; i < graft->prog.len; i++)
		graft->prog.slots[i] &= ~EXO_SLOT_NOSPEC;
	graft->prog.mixed = false;
	graft->prog.worst = ~0ULL;
}

/* The strongest mode from the one that is wanted on that it can have and the loader allows. */
static int choose_mode(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	struct exo_graft_error why = { .code = EXO_GRAFT_FINE };
	int ret;

	for (graft->mode = cmd->mode;; graft->mode++) {
		ret = prepare(graft, cmd);
		if (!ret) {
			cmd->out_error = why;
			return 0;
		}
		exo_graft_translation_free(graft);
		if (graft->mode == EXO_GRAFT_PROOF && ret == -EINVAL &&
		    (cmd->flags & EXO_GRAFT_LOAD_SANDBOX)) {
			why = cmd->out_error;
			forget_proof(graft);
		} else if (graft->mode != EXO_GRAFT_INTERP && ret == -EOPNOTSUPP &&
			   (cmd->flags & EXO_GRAFT_LOAD_INTERP)) {
			graft->mode = EXO_GRAFT_INTERP - 1;
			forget_proof(graft);
		} else {
			return ret;
		}
	}
}

static bool barriers_wanted(const struct exo_graft_load *cmd)
{
	return !(cmd->flags & EXO_GRAFT_LOAD_NO_BARRIERS) && !cpu_mitigations_off();
}

static int fill(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	struct exo_graft_prog *prog = &graft->prog;
	int ret;

	ret = copy_code(graft, cmd);
	if (!ret)
		ret = copy_consts(graft, cmd);
	if (ret)
		return ret;
	prog->const_size = cmd->const_size;
	prog->state_size = cmd->state_pages << PAGE_SHIFT;
	prog->worst = ~0ULL;
	ret = exo_graft_decode(prog, &cmd->out_error);
	if (ret)
		return ret;
	exo_graft_layout(prog, &graft->layout);
	graft->budget = (s64)prog->hook->budget - prog->len;
	graft->blind = !(cmd->flags & EXO_GRAFT_LOAD_NO_BARRIERS);
	graft->barriers = barriers_wanted(cmd);
	if (prog->hook->helpers & (1U << EXO_HELPER_TRACE)) {
		graft->log = kcalloc(EXO_GRAFT_TRACES, sizeof(*graft->log), GFP_KERNEL_ACCOUNT);
		if (!graft->log)
			return -ENOMEM;
	}
	ret = choose_mode(graft, cmd);
	return ret ?: exo_graft_windows_make(graft);
}

static int publish(struct exo_graft *graft)
{
	struct exo_graft_env *own = graft->env->graft;
	int ret;

	mutex_lock(&own->lock);
	ret = xa_alloc(&exo_grafts, &graft->number, graft, XA_LIMIT(1, EXO_GRAFTS_MAX),
		       GFP_KERNEL_ACCOUNT);
	if (!ret)
		list_add_tail(&graft->node, &own->grafts);
	mutex_unlock(&own->lock);
	return ret == -EBUSY ? -EOVERFLOW : ret;
}

static void report(const struct exo_graft *graft, u32 number, struct exo_graft_load *cmd)
{
	cmd->out_graft = number;
	cmd->out_mode = graft->mode;
	cmd->out_mixed = graft->prog.mixed;
	cmd->out_lowered = graft->bpf ? graft->lowered : 0;
	cmd->out_jit_bytes = graft->jit_bytes;
	cmd->out_worst = graft->prog.worst;
	cmd->out_state = EXO_MMAP_GRAFT + ((u64)number << EXO_MMAP_VIEW_SHIFT);
}

static struct exo_graft *graft_alloc(const struct exo_hook *hook, const struct exo_graft_load *cmd)
{
	struct exo_graft *graft = kzalloc(sizeof(*graft), GFP_KERNEL_ACCOUNT);

	if (!graft)
		return NULL;
	kref_init(&graft->ref);
	INIT_LIST_HEAD(&graft->node);
	spin_lock_init(&graft->log_lock);
	graft->prog.hook = hook;
	memcpy(graft->name, cmd->name, sizeof(graft->name));
	return graft;
}

/* One graft is charged. On success it is the index's, and there is one more reference. */
static struct exo_graft *make(struct exo_env *env, struct exo_graft_load *cmd,
			      const struct exo_hook *hook)
{
	struct exo_graft *graft = graft_alloc(hook, cmd);
	int ret;

	if (!graft) {
		exo_user_uncharge_graft(env->user, 1, 0, 0);
		return ERR_PTR(-ENOMEM);
	}
	graft->env = exo_env_get(env);
	graft->generation = exo_cap_next_generation();
	/* The first abort is posted. */
	graft->told = jiffies - HZ;

	ret = fill(graft, cmd);
	if (ret)
		goto err_destroy;
	kref_get(&graft->ref);
	ret = publish(graft);
	if (ret)
		goto err_destroy;
	return graft;

err_destroy:
	exo_graft_destroy(graft);
	return ERR_PTR(ret);
}

/**
 * exo_graft_destroy() - free a graft
 * @graft: nobody has a reference, or it was never shown
 *
 * Context: sleeps.
 */
void exo_graft_destroy(struct exo_graft *graft)
{
	struct exo_env *env = graft->env;

	exo_graft_windows_free(graft);
	exo_graft_translation_free(graft);
	exo_graft_pages_free(&graft->state);
	exo_graft_pages_free(&graft->consts);
	kvfree(graft->prog.slots);
	kvfree(graft->prog.insns);
	kfree(graft->log);
	kfree(graft);
	if (!env)
		return;
	exo_user_uncharge_graft(env->user, 1, 0, 0);
	exo_env_put(env);
}

static int load(struct exo_env *env, struct exo_graft_load *cmd, const struct exo_hook *hook)
{
	struct exo_graft *graft;
	int ret;

	ret = exo_user_charge_graft(env->user, 1, 0, 0);
	if (ret)
		return ret;
	graft = make(env, cmd, hook);
	if (IS_ERR(graft))
		return PTR_ERR(graft);
	report(graft, graft->number, cmd);
	exo_graft_put(graft);
	return 0;
}

/*
 * What the kernel's translator adds depends on the caller: without the capability it adds the barrier
 * against branch history (INV-GRAFT-31, INV-XN-17).
 */
static int fill_unprivileged(struct exo_graft *graft, struct exo_graft_load *cmd)
{
	struct cred *cred = prepare_creds();
	const struct cred *old;
	int ret;

	if (!cred)
		return -ENOMEM;
	cap_clear(cred->cap_effective);
	old = override_creds(cred);
	ret = fill(graft, cmd);
	revert_creds(old);
	put_cred(cred);
	return ret;
}

/**
 * exo_graft_make_function() - a graft that belongs to no environment: a function of a template
 * @hook: without transactions
 * @cmd: what to load; the pointers are the kernel's. EXO_GRAFT_LOAD_SANDBOX, _INTERP; no state.
 *	out: @out_error
 *
 * It is protected against as an ordinary user's, whoever calls. It is charged to nobody; the caller
 * limits how many there are.
 *
 * Context: sleeps.
 * Return: the graft, for exo_graft_run_function(), until exo_graft_destroy(); ERR_PTR(): -EINVAL and
 * cmd->out_error; -ENOMEM; -EOPNOTSUPP: grafts are switched off.
 */
struct exo_graft *exo_graft_make_function(const struct exo_hook *hook, struct exo_graft_load *cmd)
{
	struct exo_graft *graft;
	int ret;

	memset_startat(cmd, 0, out_graft);
	ret = check_args(cmd, hook);
	if (ret)
		return ERR_PTR(ret);
	if (!exo_grafts_on)
		return ERR_PTR(-EOPNOTSUPP);
	graft = graft_alloc(hook, cmd);
	if (!graft)
		return ERR_PTR(-ENOMEM);
	ret = fill_unprivileged(graft, cmd);
	if (!ret)
		return graft;
	exo_graft_destroy(graft);
	return ERR_PTR(ret);
}

/**
 * exo_graft_load_op() - EXO_GRAFT_LOAD
 * @env: who loads
 * @arg: struct exo_graft_load
 *
 * What was unloaded is charged until its memory is free. So before a load fails for that, it
 * waits.
 *
 * Context: sleeps.
 * Return: see struct exo_graft_load; on an error nothing is left.
 */
int exo_graft_load_op(struct exo_env *env, void *arg)
{
	struct exo_graft_load *cmd = arg;
	const struct exo_hook *hook = exo_hook_find(cmd->hook);
	int ret;

	memset_startat(cmd, 0, out_graft);
	ret = check_args(cmd, hook);
	if (ret)
		return ret;
	if (!exo_grafts_on)
		return -EOPNOTSUPP;
	if ((cmd->flags & EXO_GRAFT_LOAD_NO_BARRIERS) && !perfmon_capable())
		return -EPERM;
	ret = load(env, cmd, hook);
	if (ret == -EDQUOT) {
		exo_graft_flush();
		ret = load(env, cmd, hook);
	}
	return ret;
}
