// SPDX-License-Identifier: GPL-2.0
/*
 * The noun "graft": the index, birth and death with the environment.
 *
 * What the module parameter "grafts" gates is what unprivileged_bpf_disabled gates for bpf(2): code
 * of an ordinary user's that the kernel runs. Neither that sysctl nor a security module's hooks for
 * bpf(2) are asked.
 */
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "dev.h"
#include "graft/graft.h"

DEFINE_XARRAY_ALLOC1(exo_grafts);

bool exo_grafts_on = true;
module_param_named(grafts, exo_grafts_on, bool, 0444);
MODULE_PARM_DESC(grafts, "may users load grafts, code that runs in the kernel? (default: yes)");

/**
 * exo_graft_get_any() - a graft by its number, whosever it is
 * @number: from anywhere
 *
 * Context: any.
 * Return: the graft with a reference, or NULL.
 */
struct exo_graft *exo_graft_get_any(u64 number)
{
	struct exo_graft *graft;

	rcu_read_lock();
	graft = number <= EXO_GRAFTS_MAX ? xa_load(&exo_grafts, number) : NULL;
	if (graft && !kref_get_unless_zero(&graft->ref))
		graft = NULL;
	rcu_read_unlock();
	return graft;
}

/**
 * exo_graft_get() - an environment's own graft
 * @env: environment
 * @number: from user space
 *
 * Context: any.
 * Return: the graft with a reference, or NULL.
 */
struct exo_graft *exo_graft_get(struct exo_env *env, u32 number)
{
	struct exo_graft *graft = exo_graft_get_any(number);

	if (graft && graft->env != env) {
		exo_graft_put(graft);
		return NULL;
	}
	return graft;
}

static void free_work(struct work_struct *work)
{
	struct exo_graft *graft = container_of(to_rcu_work(work), struct exo_graft, free_work);

	exo_graft_destroy(graft);
}

static void last_put(struct kref *ref)
{
	struct exo_graft *graft = container_of(ref, struct exo_graft, ref);

	INIT_RCU_WORK(&graft->free_work, free_work);
	queue_rcu_work(exo_env_wq, &graft->free_work);
}

/**
 * exo_graft_put() - give up a reference
 * @graft: graft
 *
 * Context: not in interrupts.
 */
void exo_graft_put(struct exo_graft *graft)
{
	kref_put(&graft->ref, last_put);
}

/**
 * exo_graft_flush() - wait until grafts without a reference are freed, and what they are charged
 *
 * Context: sleeps.
 */
void exo_graft_flush(void)
{
	rcu_barrier();
	flush_workqueue(exo_env_wq);
}

/* It is found no more, and no new invocation begins. */
static void unload_locked(struct exo_graft_env *own, struct exo_graft *graft)
{
	lockdep_assert_held(&own->lock);
	list_del_init(&graft->node);
	WRITE_ONCE(graft->stop, graft->stop | EXO_GRAFT_STOP_UNLOADED);
	xa_erase(&exo_grafts, graft->number);
	exo_graft_put(graft);
}

/**
 * exo_graft_unload_op() - EXO_GRAFT_UNLOAD
 * @env: who loaded it
 * @arg: struct exo_graft_unload
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_graft_unload_op(struct exo_env *env, void *arg)
{
	const struct exo_graft_unload *cmd = arg;
	struct exo_graft *graft;
	int ret = -ENOENT;

	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	graft = exo_graft_get(env, cmd->graft);
	if (!graft)
		return -ENOENT;
	mutex_lock(&env->graft->lock);
	/* Somebody else may have been faster. */
	if (!list_empty(&graft->node)) {
		unload_locked(env->graft, graft);
		ret = 0;
	}
	mutex_unlock(&env->graft->lock);
	exo_graft_put(graft);
	return ret;
}

/* Capabilities ------------------------------------------------------------------------------ */

static u64 cap_generation(u64 object)
{
	struct exo_graft *graft = exo_graft_get_any(object);
	u64 generation;

	if (!graft)
		return 0;
	generation = READ_ONCE(graft->generation);
	exo_graft_put(graft);
	return generation;
}

static int cap_owned(struct exo_env *env, u64 object, u64 *generation)
{
	struct exo_graft *graft = object <= EXO_GRAFTS_MAX ? exo_graft_get(env, object) : NULL;

	if (!graft)
		return -EACCES;
	*generation = READ_ONCE(graft->generation);
	exo_graft_put(graft);
	return 0;
}

/* Others' attachments compare the generation before each run. */
static int cap_revoke(struct exo_env *env, u64 object, u64 generation)
{
	struct exo_graft *graft = exo_graft_get_any(object);
	int ret = 0;

	if (!graft)
		return -ESTALE;
	if (cmpxchg(&graft->generation, generation, exo_cap_next_generation()) != generation)
		ret = -ESTALE;
	exo_graft_put(graft);
	/* A run that has begun ends before this returns. */
	if (!ret)
		synchronize_rcu();
	return ret;
}

static const struct exo_cap_ops cap_ops = {
	.generation = cap_generation,
	.owned = cap_owned,
	.revoke = cap_revoke,
};

/* The noun ---------------------------------------------------------------------------------- */

static int graft_init(void)
{
	int ret;

	ret = exo_graft_windows_init();
	if (ret)
		return ret;
	exo_cap_register(EXO_CAP_GRAFT, &cap_ops);
	return 0;
}

static void graft_exit(void)
{
	WARN_ON(!xa_empty(&exo_grafts));
	xa_destroy(&exo_grafts);
	exo_graft_windows_exit();
}

static int graft_env_init(struct exo_env *env)
{
	struct exo_graft_env *own = kzalloc(sizeof(*own), GFP_KERNEL_ACCOUNT);
	u32 i;

	if (!own)
		return -ENOMEM;
	mutex_init(&own->lock);
	INIT_LIST_HEAD(&own->grafts);
	for (i = 0; i < EXO_GRAFT_LOCKS; i++)
		spin_lock_init(&own->locks[i].guard);
	env->graft = own;
	return 0;
}

static void graft_env_exit(struct exo_env *env)
{
	struct exo_graft *graft, *tmp;

	mutex_lock(&env->graft->lock);
	list_for_each_entry_safe(graft, tmp, &env->graft->grafts, node)
		unload_locked(env->graft, graft);
	mutex_unlock(&env->graft->lock);
}

static void graft_env_free(struct exo_env *env)
{
	kfree(env->graft);
}

static u64 graft_features(void)
{
	return exo_grafts_on ? EXO_FEATURE_GRAFT : 0;
}

static const struct exo_op graft_ops[] = {
	EXO_OP(GRAFT_LOAD, struct exo_graft_load, EXO_OP_THREAD, exo_graft_load_op),
	EXO_OP(GRAFT_UNLOAD, struct exo_graft_unload, EXO_OP_IN, exo_graft_unload_op),
	EXO_OP(GRAFT_ATTACH, struct exo_graft_attach, EXO_OP_IN, exo_graft_attach_op),
	EXO_OP(GRAFT_DETACH, struct exo_graft_detach, EXO_OP_IN, exo_graft_detach_op),
	EXO_OP(GRAFT_RUN, struct exo_graft_invoke, 0, exo_graft_run_op),
	EXO_OP(GRAFT_STATUS, struct exo_graft_info, 0, exo_graft_status_op),
	EXO_OP(GRAFT_LIST, struct exo_graft_list, 0, exo_graft_list_op),
	EXO_OP(GRAFT_LOG, struct exo_graft_log, 0, exo_graft_log_op),
	EXO_OP(GRAFT_KILL, struct exo_graft_kill, EXO_OP_IN, exo_graft_kill_op),
};

const struct exo_noun exo_graft_noun = {
	.name = "graft",
	.ops = graft_ops,
	.nr_ops = ARRAY_SIZE(graft_ops),
	.init = graft_init,
	.exit = graft_exit,
	.env_init = graft_env_init,
	.env_exit = graft_env_exit,
	.env_free = graft_env_free,
	.mmap_kinds = BIT(EXO_MMAP_KIND(EXO_MMAP_GRAFT)),
	.mmap = exo_graft_mmap,
	.features = graft_features,
};
