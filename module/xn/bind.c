// SPDX-License-Identifier: GPL-2.0
/*
 * Extent bindings: owns and acl were satisfied once, and from then on I/O costs a look-up.
 *
 * A binding is found by its number, under RCU, and counted in flight. It is good as long as it isn't
 * stale and the unit that owns its blocks is as it was; when that changed, the next I/O asks once
 * more. Who frees the blocks, or detaches the disk, has the disk's lock: makes the binding stale,
 * then waits until nothing is in flight. So whoever is in flight never waits for the lock.
 */
#include <linux/cred.h>
#include <linux/interval_tree_generic.h>
#include <linux/jiffies.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "xn/xn.h"

/* While a drainer waits, he looks so often for what is polled. */
#define DRAIN_POLL msecs_to_jiffies(10)

/* What a binding stands for: blocks, or with none the unit itself. */
static inline u64 first_of(const struct exo_xn_binding *binding)
{
	return binding->block;
}

static inline u64 last_of(const struct exo_xn_binding *binding)
{
	return binding->block + max(binding->count, 1U) - 1;
}

INTERVAL_TREE_DEFINE(struct exo_xn_binding, by_block, u64, subtree_last, first_of, last_of,
		     static inline, place)

/* Of all bindings: a binding, and its disk, may be gone when the last I/O wakes who waited for it. */
static DECLARE_WAIT_QUEUE_HEAD(drained);

/**
 * exo_xn_binding_end() - an I/O is over
 * @binding: from exo_xn_binding_begin(); it may be gone afterwards
 *
 * Context: any.
 */
void exo_xn_binding_end(struct exo_xn_binding *binding)
{
	if (EXO_XN_CHECKED && atomic_dec_and_test(&binding->inflight) && wq_has_sleeper(&drained))
		wake_up_all(&drained);
}

/* The disk's lock is held. Who should poll for it may not. */
static void wait_inflight(struct exo_xn_binding *binding)
{
	do {
		if (atomic_read(&binding->inflight))
			exo_xn_polled_drain(binding->disk);
	} while (!wait_event_timeout(drained, !atomic_read(&binding->inflight), DRAIN_POLL));
}

/* No I/O begins any more. The disk's lock is held. */
static void make_stale(struct exo_xn_binding *binding)
{
	WRITE_ONCE(binding->stale, true);
	/* Pairs with the one in exo_xn_binding_look(): either they see it, or they are counted. */
	smp_mb();
}

/* The unit and the place in the disk's list go; nothing is in flight. */
static void unlink(struct exo_xn_binding *binding)
{
	struct exo_xn_disk_dev *disk = binding->disk;

	if (list_empty(&binding->node))
		return;
	list_del_init(&binding->node);
	place_remove(binding, &disk->by_block);
	disk->nr_bindings--;
	exo_xn_map_unhold(disk->xn, binding->block, binding->count);
	exo_xn_unit_put(disk->xn, binding->unit);
	binding->unit = NULL;
}

/* Nobody finds it any more. */
static void binding_free(struct exo_xn_binding *binding)
{
	struct exo_xn_disk_dev *disk = binding->disk;

	/* First: somebody may wait for its locks, and the disk may be busy. */
	if (binding->hold)
		exo_xn_hold_end(disk, binding->hold);
	mutex_lock(&disk->lock);
	make_stale(binding);
	wait_inflight(binding);
	unlink(binding);
	mutex_unlock(&disk->lock);
	exo_xn_hold_put(binding->hold);
	exo_xn_disk_put(disk);
	kfree_rcu(binding, rcu);
}

/**
 * exo_xn_drain() - blocks are going to be freed
 * @xn: engine
 * @block: first
 * @count: how many
 *
 * Bindings that have any of them are stale from here on, and none of their I/O is in flight. The
 * registry has no entries of them.
 *
 * Context: sleeps; the disk's lock is held.
 */
void exo_xn_drain(struct exo_xn *xn, u64 block, u64 count)
{
	struct exo_xn_disk_dev *disk = exo_xn_priv(xn);
	struct exo_xn_binding *binding;

	lockdep_assert_held(&disk->lock);
	for (binding = place_iter_first(&disk->by_block, block, block + count - 1); binding;
	     binding = place_iter_next(binding, block, block + count - 1)) {
		make_stale(binding);
		wait_inflight(binding);
		cond_resched();
	}
	exo_xn_reg_drop(disk, block, count);
}

/**
 * exo_xn_bindings_drop() - a disk is detached: all its bindings are stale
 * @disk: disk, its lock held
 *
 * Context: sleeps.
 */
void exo_xn_bindings_drop(struct exo_xn_disk_dev *disk)
{
	struct exo_xn_binding *binding, *tmp;

	list_for_each_entry(binding, &disk->bindings, node) {
		make_stale(binding);
		cond_resched();
	}
	list_for_each_entry_safe(binding, tmp, &disk->bindings, node) {
		wait_inflight(binding);
		unlink(binding);
		cond_resched();
	}
}

/**
 * exo_xn_bindings_settle() - a root has another owner: nothing is under way that the one before let in
 * @disk: disk, its lock held
 * @root: number
 *
 * Who looks from here on sees that its unit isn't as it was, and asks once more.
 *
 * Context: sleeps.
 */
void exo_xn_bindings_settle(struct exo_xn_disk_dev *disk, u32 root)
{
	struct exo_xn_binding *binding;

	lockdep_assert_held(&disk->lock);
	/* Pairs with the one in look(): either they see the new generation, or they are counted. */
	smp_mb();
	list_for_each_entry(binding, &disk->bindings, node) {
		if (binding->root == root)
			wait_inflight(binding);
		cond_resched();
	}
}

/* Looking up --------------------------------------------------------------------------------- */

/* Most environments have a few bindings, and each I/O looks one up. Under RCU. */
static __always_inline struct exo_xn_binding *find(struct exo_xn_env *xn, u32 number)
{
	if (likely(number < EXO_XN_NEAR))
		return rcu_dereference(xn->near[array_index_nospec(number, EXO_XN_NEAR)]);
	return xa_load(&xn->bindings, number);
}

static __always_inline struct exo_xn_binding *look(struct exo_env *env, u32 number)
{
	struct exo_xn_binding *binding;

	rcu_read_lock();
	binding = find(env->xn, number);
	if (likely(binding) && EXO_XN_CHECKED) {
		atomic_inc(&binding->inflight);
		smp_mb__after_atomic();
		if (unlikely(READ_ONCE(binding->stale))) {
			exo_xn_binding_end(binding);
			binding = ERR_PTR(-ESTALE);
		}
	}
	rcu_read_unlock();
	return binding;
}

/**
 * exo_xn_binding_look() - a binding, whether or not its unit changed
 * @env: environment
 * @number: of its binding
 *
 * Context: any but interrupts.
 * Return: the binding, in flight until exo_xn_binding_end(); NULL; ERR_PTR(-ESTALE).
 */
struct exo_xn_binding *exo_xn_binding_look(struct exo_env *env, u32 number)
{
	return look(env, number);
}

static bool is_current(const struct exo_xn_binding *binding)
{
	return !EXO_XN_CHECKED || READ_ONCE(binding->unit->generation) == READ_ONCE(binding->generation);
}

/**
 * exo_xn_binding_current() - has nothing changed since owns and acl were asked?
 * @binding: in flight
 *
 * Context: any.
 * Return: true if so.
 */
bool exo_xn_binding_current(const struct exo_xn_binding *binding)
{
	return is_current(binding);
}

/* Does its unit own the blocks, and may it have them? Under the disk's lock. */
static int check_unit(struct exo_xn *xn, const struct exo_xn_binding *binding,
		      const struct exo_xn_unit *unit)
{
	const struct exo_xn_who *who = &binding->who;
	u32 rights = binding->rights;

	if (binding->count)
		return exo_xn_bind_check(xn, unit, who, binding->block, binding->count, rights);
	if ((rights & EXO_RIGHT_READ) && !exo_xn_may(xn, unit, who, EXO_XN_MAY_READ, EXO_XN_SELF,
						     unit->block, unit->blocks))
		return -EACCES;
	if ((rights & EXO_RIGHT_WRITE) && !exo_xn_may(xn, unit, who, EXO_XN_MAY_WRITE,
						      EXO_XN_SELF, unit->block, unit->blocks))
		return -EACCES;
	return 0;
}

/* Under the disk's lock: what is in its list stays. */
static int recheck_locked(struct exo_xn_disk_dev *disk, struct exo_env *env, u32 number, bool nowait)
{
	struct exo_xn_binding *binding;
	bool other;
	int ret;

	/* One of another disk may be gone at once. */
	rcu_read_lock();
	binding = xa_load(&env->xn->bindings, number);
	other = binding && binding->disk != disk;
	rcu_read_unlock();
	if (!binding)
		return -ENOENT;
	if (other)
		return 0;	/* the next look says what it is */
	if (binding->stale)
		return -ESTALE;
	ret = exo_xn_unit_again(disk->xn, binding->unit, nowait);
	if (!ret)
		ret = check_unit(disk->xn, binding, binding->unit);
	if (!ret)
		WRITE_ONCE(binding->generation, binding->unit->generation);
	return ret == -ENOENT ? -ESTALE : ret;
}

/* The unit changed: ask once more. What is in flight doesn't wait for the lock, so it isn't. */
static int recheck(struct exo_env *env, u32 number, struct exo_xn_binding *binding, bool nowait)
{
	struct exo_xn_disk_dev *disk = binding->disk;
	int ret;

	kref_get(&disk->ref);
	exo_xn_binding_end(binding);
	if (!nowait)
		mutex_lock(&disk->lock);
	else if (!mutex_trylock(&disk->lock)) {
		exo_xn_disk_put(disk);
		return -EAGAIN;
	}
	ret = recheck_locked(disk, env, number, nowait);
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}

/* What was found isn't as it was when it was checked, or isn't there. */
static noinline struct exo_xn_binding *begin_again(struct exo_env *env, u32 number,
						   struct exo_xn_binding *binding, bool nowait)
{
	int ret;

	for (;;) {
		if (IS_ERR_OR_NULL(binding))
			return binding ?: ERR_PTR(-ENOENT);
		if (is_current(binding))
			return binding;
		ret = recheck(env, number, binding, nowait);
		if (ret)
			return ERR_PTR(ret);
		binding = look(env, number);
	}
}

/**
 * exo_xn_binding_begin() - an I/O begins
 * @env: environment
 * @number: of its binding
 * @nowait: don't wait for the disk's lock, nor for a unit that must be read
 *
 * Context: process; sleeps only if the unit changed, and not @nowait.
 * Return: the binding, until exo_xn_binding_end(): its blocks stay what they are, its disk attached;
 * ERR_PTR(): -ENOENT; -ESTALE; -EACCES: acl says no now; -EAGAIN.
 */
struct exo_xn_binding *exo_xn_binding_begin(struct exo_env *env, u32 number, bool nowait)
{
	struct exo_xn_binding *binding = look(env, number);

	if (likely(!IS_ERR_OR_NULL(binding) && is_current(binding)))
		return binding;
	return begin_again(env, number, binding, nowait);
}

/* Commands ----------------------------------------------------------------------------------- */

/* The unit that owns the blocks: the root's own is read if need be. */
static int parent_of(struct exo_xn *xn, const struct exo_xn_bind *cmd, struct exo_xn_unit **out)
{
	const struct exo_xn_root_core *root = exo_xn_root(xn, cmd->root);

	if (!root)
		return -ENOENT;
	if (cmd->parent == root->block)
		return exo_xn_unit_load(xn, cmd->root, cmd->parent, cmd->parent, out);
	*out = exo_xn_unit_find(xn, cmd->root, cmd->parent);
	return *out ? 0 : -ENOENT;
}

/* Both places that know a number change under the one lock. */
static int number_take(struct exo_xn_env *xn, u32 *number, struct exo_xn_binding *binding)
{
	int ret;

	xa_lock(&xn->bindings);
	ret = __xa_alloc(&xn->bindings, number, binding, XA_LIMIT(1, EXO_XN_BINDINGS),
			 GFP_KERNEL_ACCOUNT);
	if (!ret && *number < EXO_XN_NEAR)
		rcu_assign_pointer(xn->near[*number], binding);
	xa_unlock(&xn->bindings);
	return ret;
}

static struct exo_xn_binding *number_give(struct exo_xn_env *xn, u32 number)
{
	struct exo_xn_binding *binding;

	xa_lock(&xn->bindings);
	binding = __xa_erase(&xn->bindings, number);
	if (number < EXO_XN_NEAR)
		RCU_INIT_POINTER(xn->near[array_index_nospec(number, EXO_XN_NEAR)], NULL);
	xa_unlock(&xn->bindings);
	return binding;
}

static int bind_locked(struct exo_env *env, struct exo_xn_disk_dev *disk,
		       struct exo_xn_binding *binding, const struct exo_xn_bind *cmd, u32 *number)
{
	struct exo_xn_unit *unit;
	int ret;

	if (!disk->xn)
		return -ENOENT;
	ret = parent_of(disk->xn, cmd, &unit);
	if (!ret)
		ret = check_unit(disk->xn, binding, unit);
	if (ret)
		return ret;
	if (binding->hold)
		ret = exo_xn_reg_enter(disk, binding, cmd->parent);
	if (ret)
		return ret;
	ret = exo_xn_map_hold(disk->xn, binding->block, binding->count);
	if (ret)
		goto err_hold;
	binding->unit = unit;
	binding->generation = unit->generation;
	ret = number_take(env->xn, number, binding);
	if (ret)
		goto err_map;
	exo_xn_unit_get(unit);
	list_add(&binding->node, &disk->bindings);
	place_insert(binding, &disk->by_block);
	disk->nr_bindings++;
	return 0;

err_map:
	exo_xn_map_unhold(disk->xn, binding->block, binding->count);
err_hold:
	if (binding->hold)
		exo_xn_hold_end(disk, binding->hold);
	return ret == -EBUSY ? -EOVERFLOW : ret;
}

static int check_bind(const struct exo_xn_bind *cmd)
{
	if (cmd->flags || !cmd->count || !cmd->root || cmd->root > EXO_XN_ROOTS || !cmd->rights ||
	    (cmd->rights & ~(EXO_RIGHT_READ | EXO_RIGHT_WRITE)) ||
	    cmd->block + cmd->count < cmd->block)
		return -EINVAL;
	return 0;
}

/**
 * exo_xn_binding_new() - a binding that nobody has yet, with the keys that are presented for it
 * @env: whose it will be
 * @cmd: checked; @count 0: of @parent itself
 *
 * Context: sleeps, as long as who owns the memory of the keys likes: nothing is held that others wait for (INV-XN-16).
 * Return: the binding, for exo_xn_binding_make() or kfree(); ERR_PTR(): -EINVAL; -ENOMEM; -EFAULT.
 */
struct exo_xn_binding *exo_xn_binding_new(struct exo_env *env, const struct exo_xn_bind *cmd)
{
	struct exo_xn_binding *binding = kzalloc(sizeof(*binding), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!binding)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&binding->node);
	binding->block = cmd->block;
	binding->count = cmd->count;
	binding->root = cmd->root;
	binding->rights = cmd->rights;
	ret = exo_xn_who_keys(env, &binding->who, cmd->keys, cmd->nr_keys, binding->keys);
	if (!ret)
		return binding;
	kfree(binding);
	return ERR_PTR(ret);
}

/**
 * exo_xn_binding_make() - what EXO_XN_BIND does
 * @env: whose it will be
 * @cmd: of which @binding was made
 * @binding: new; gone on an error
 * @hold: in the registry; it is the binding's from here on, and gone on an error. Or NULL
 * @number: the binding's
 *
 * Context: sleeps.
 * Return: as exo_xn_bind_op().
 */
int exo_xn_binding_make(struct exo_env *env, const struct exo_xn_bind *cmd,
			struct exo_xn_binding *binding, struct exo_xn_hold *hold, u32 *number)
{
	struct exo_xn_disk_dev *disk = exo_xn_disk_get(cmd->disk);
	int ret = -ENOENT;

	binding->hold = hold;
	if (!disk)
		goto err_binding;
	/* Its own: with its number another thread may give it up before the lock is given back here. */
	kref_get(&disk->ref);
	binding->disk = disk;
	mutex_lock(&disk->lock);
	ret = bind_locked(env, disk, binding, cmd, number);
	mutex_unlock(&disk->lock);
	if (ret)
		exo_xn_disk_put(disk);
	exo_xn_disk_put(disk);
	if (!ret)
		return 0;
err_binding:
	kfree(binding);
	exo_xn_hold_put(hold);
	return ret;
}

/**
 * exo_xn_bind_op() - EXO_XN_BIND
 * @env: whose it will be
 * @arg: struct exo_xn_bind
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT: @parent wasn't read, or doesn't own them as data; -EACCES;
 * -EOVERFLOW: too many; -ENOMEM; -EFAULT; -EIO.
 */
int exo_xn_bind_op(struct exo_env *env, void *arg)
{
	struct exo_xn_bind *cmd = arg;
	struct exo_xn_binding *binding;
	int ret;

	cmd->out_binding = 0;
	ret = check_bind(cmd);
	if (ret)
		return ret;
	binding = exo_xn_binding_new(env, cmd);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	return exo_xn_binding_make(env, cmd, binding, NULL, &cmd->out_binding);
}

/**
 * exo_xn_binding_break() - give a binding up; none of its I/O is in flight afterwards
 * @env: whose it is
 * @number: of it
 *
 * Context: sleeps.
 * Return: false: there is none.
 */
bool exo_xn_binding_break(struct exo_env *env, u32 number)
{
	struct exo_xn_binding *binding = number_give(env->xn, number);

	if (binding)
		binding_free(binding);
	return binding;
}

/**
 * exo_xn_unbind_op() - EXO_XN_UNBIND: none of its I/O is in flight when it returns
 * @env: whose it is
 * @arg: struct exo_xn_unbind
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_xn_unbind_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_unbind *cmd = arg;

	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	return exo_xn_binding_break(env, cmd->binding) ? 0 : -ENOENT;
}

/* Environments ------------------------------------------------------------------------------- */

/**
 * exo_xn_env_init() - a new environment
 * @env: environment
 *
 * Context: in open(), by whom it will be.
 * Return: 0 or -ENOMEM.
 */
int exo_xn_env_init(struct exo_env *env)
{
	env->xn = kzalloc(sizeof(*env->xn), GFP_KERNEL_ACCOUNT);
	if (!env->xn)
		return -ENOMEM;
	xa_init_flags(&env->xn->bindings, XA_FLAGS_ALLOC1);
	env->xn->cred = get_current_cred();
	return 0;
}

/**
 * exo_xn_env_exit() - an environment dies
 * @env: no request of it is left
 *
 * Context: sleeps.
 */
void exo_xn_env_exit(struct exo_env *env)
{
	struct exo_xn_binding *binding;
	unsigned long number;

	xa_for_each(&env->xn->bindings, number, binding) {
		number_give(env->xn, number);
		binding_free(binding);
		cond_resched();
	}
	xa_destroy(&env->xn->bindings);
}

/**
 * exo_xn_env_free() - free what is kept of an environment
 * @env: nobody looks at it any more; there may be nothing
 */
void exo_xn_env_free(struct exo_env *env)
{
	if (!env->xn)
		return;
	put_cred(env->xn->cred);
	kfree(env->xn);
}
