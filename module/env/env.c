// SPDX-License-Identifier: GPL-2.0
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "dev.h"
#include "env/env.h"
#include "mem/frame.h"
#include "trace.h"

LIST_HEAD(exo_envs);
DEFINE_MUTEX(exo_envs_lock);

struct workqueue_struct *exo_env_wq;

static u64 last_number;		/* under exo_envs_lock */

/* Process context, a grace period after the last reference is gone. */
static void free_work(struct work_struct *work)
{
	struct exo_env *env = container_of(to_rcu_work(work), struct exo_env, free_work);

	exo_nouns_env_free(env);
	exo_event_ring_exit(&env->ring);
	put_pid(env->opener);
	exo_user_put(env->user);
	kfree(env);
}

/**
 * exo_env_create() - a new environment, not yet visible to others
 * @file: the open file that it will be; its credentials say who is charged
 *
 * Context: may sleep.
 * Return: the environment with one reference, which exo_env_release() or exo_env_abort() gives up;
 * ERR_PTR(-EDQUOT) if its user may have no more, ERR_PTR(-ENOMEM).
 */
struct exo_env *exo_env_create(struct file *file)
{
	struct exo_env *env;
	int ret;

	env = kzalloc(sizeof(*env), GFP_KERNEL_ACCOUNT);
	if (!env)
		return ERR_PTR(-ENOMEM);
	kref_init(&env->ref);
	INIT_LIST_HEAD(&env->node);
	INIT_RCU_WORK(&env->free_work, free_work);

	ret = exo_event_ring_init(&env->ring);
	if (ret)
		goto err_free;

	env->user = exo_user_get(exo_user_of(file->f_cred), true);
	if (IS_ERR(env->user)) {
		ret = PTR_ERR(env->user);
		goto err_ring;
	}
	ret = exo_user_charge_env(env->user);
	if (ret)
		goto err_user;

	env->opener = get_pid(task_tgid(current));
	mutex_lock(&exo_envs_lock);
	env->number = ++last_number;
	mutex_unlock(&exo_envs_lock);
	return env;

err_user:
	exo_user_put(env->user);
err_ring:
	exo_event_ring_exit(&env->ring);
err_free:
	kfree(env);
	return ERR_PTR(ret);
}

/**
 * exo_env_keeper() - an owner of frames that is no open file
 * @user: who is charged for them
 * @tell: called for what others are told by events: EXO_EVENT_REVOKE, EXO_EVENT_REPOSSESSED; under spinlocks
 * @arg: for it
 *
 * It owns frames, and is asked for them, as any environment; it has nothing else, is in no list that user space
 * sees, and counts as none of its uid's environments: it reserves no minimum.
 *
 * Context: may sleep.
 * Return: the keeper, until exo_frames_env_exit() and exo_env_put(); ERR_PTR(-ENOMEM).
 */
struct exo_env *exo_env_keeper(struct exo_user *user, void (*tell)(void *arg, u32 type), void *arg)
{
	struct exo_env *env = kzalloc(sizeof(*env), GFP_KERNEL);
	int ret;

	if (!env)
		return ERR_PTR(-ENOMEM);
	kref_init(&env->ref);
	INIT_LIST_HEAD(&env->node);
	INIT_RCU_WORK(&env->free_work, free_work);
	env->tell = tell;
	env->tell_arg = arg;
	mutex_lock(&exo_envs_lock);
	env->number = ++last_number;
	mutex_unlock(&exo_envs_lock);
	exo_user_hold(user);
	env->user = user;
	ret = exo_frames_env_init(env);
	if (ret) {
		exo_user_put(user);
		kfree(env);
		return ERR_PTR(ret);
	}
	return env;
}

/**
 * exo_env_publish() - make a complete environment visible: in exo_envs, to exo_env_find()
 * @env: from exo_env_create(), every noun's part initialised
 *
 * Context: may sleep.
 */
void exo_env_publish(struct exo_env *env)
{
	struct exo_env *prev;

	mutex_lock(&exo_envs_lock);
	/* Two opens may get here in another order than they got their numbers. */
	list_for_each_entry_reverse(prev, &exo_envs, node)
		if (prev->number < env->number)
			break;
	list_add(&env->node, &prev->node);
	mutex_unlock(&exo_envs_lock);
	trace_exo_env_open(env->number, from_kuid(&init_user_ns, env->user->uid));
}

/**
 * exo_env_abort() - undo exo_env_create()
 * @env: never published; the nouns have nothing in it
 *
 * Context: may sleep.
 */
void exo_env_abort(struct exo_env *env)
{
	exo_user_uncharge_env(env->user);
	exo_env_put(env);
}

/**
 * exo_env_kill() - an environment dies: nobody finds it any more
 * @env: published
 *
 * First step of release(). Whoever found it before holds a reference and checks env->dead, under
 * exo_envs_lock if it must not die in between.
 *
 * Context: may sleep.
 */
void exo_env_kill(struct exo_env *env)
{
	mutex_lock(&exo_envs_lock);
	env->dead = true;
	list_del_init(&env->node);
	mutex_unlock(&exo_envs_lock);
}

/**
 * exo_env_release() - give up the file's reference, after every noun took its things back
 * @env: after exo_env_kill()
 *
 * Context: may sleep.
 */
void exo_env_release(struct exo_env *env)
{
	trace_exo_env_release(env->number, from_kuid(&init_user_ns, env->user->uid));
	exo_user_uncharge_env(env->user);
	exo_env_put(env);
}

/**
 * exo_env_get() - one more reference
 * @env: the caller has one, or exo_envs_lock and found it in exo_envs
 *
 * A reference keeps the memory, not the environment: it may be dead.
 *
 * Context: any.
 * Return: @env.
 */
struct exo_env *exo_env_get(struct exo_env *env)
{
	kref_get(&env->ref);
	return env;
}

static void env_last_put(struct kref *ref)
{
	struct exo_env *env = container_of(ref, struct exo_env, ref);

	queue_rcu_work(exo_env_wq, &env->free_work);
}

/**
 * exo_env_put() - give up a reference; the last one frees, an RCU grace period later
 * @env: environment
 *
 * Context: any.
 */
void exo_env_put(struct exo_env *env)
{
	kref_put(&env->ref, env_last_put);
}

/**
 * exo_env_find() - a live environment by its number
 * @number: its number
 *
 * Context: may sleep; takes exo_envs_lock.
 * Return: the environment with a reference, or NULL.
 */
struct exo_env *exo_env_find(u64 number)
{
	struct exo_env *env, *found = NULL;

	mutex_lock(&exo_envs_lock);
	list_for_each_entry(env, &exo_envs, node)
		if (env->number == number) {
			found = exo_env_get(env);
			break;
		}
	mutex_unlock(&exo_envs_lock);
	return found;
}

/**
 * exo_envs_flush() - wait until every environment without a reference is freed
 *
 * Context: may sleep.
 */
void exo_envs_flush(void)
{
	/* Events that still signal have references; then come grace periods, then the freeing. */
	flush_workqueue(exo_env_wq);
	rcu_barrier();
	flush_workqueue(exo_env_wq);
	/* The same once more: grafts have references, and are freed so themselves. */
	rcu_barrier();
	flush_workqueue(exo_env_wq);
}

/**
 * exo_envs_init() - at module load, before the first open
 *
 * Return: 0 or -ENOMEM.
 */
int exo_envs_init(void)
{
	/* A request for frames must come through when there is no memory for a new worker. */
	exo_env_wq = alloc_workqueue("exo_env", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return exo_env_wq ? 0 : -ENOMEM;
}

/**
 * exo_envs_exit() - at unload, after all that had references
 */
void exo_envs_exit(void)
{
	exo_envs_flush();
	destroy_workqueue(exo_env_wq);
}
