// SPDX-License-Identifier: GPL-2.0
/*
 * Who asks, and what is asked about roots.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xn/xn.h"

/**
 * exo_xn_who() - on whose behalf a command is done
 * @env: whose it is: its opener's uid and groups
 * @who: out; without keys
 *
 * CAP_SYS_ADMIN counts if the caller has it now.
 */
void exo_xn_who(struct exo_env *env, struct exo_xn_who *who)
{
	*who = (struct exo_xn_who) {
		.uid = from_kuid(&init_user_ns, env->user->uid),
		.admin = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN),
		.cred = env->xn->cred,
	};
}

/**
 * exo_xn_who_keys() - the same, with keys
 * @env: whose command it is
 * @who: out
 * @keys: struct exo_xn_key[] in user space
 * @nr: how many
 * @room: for EXO_XN_KEYS of them; @who points there
 *
 * Return: 0; -EINVAL; -EFAULT.
 */
int exo_xn_who_keys(struct exo_env *env, struct exo_xn_who *who, u64 keys, u32 nr,
		    struct exo_xn_key *room)
{
	exo_xn_who(env, who);
	if (nr > EXO_XN_KEYS)
		return -EINVAL;
	if (copy_from_user(room, u64_to_user_ptr(keys), nr * sizeof(*room)))
		return -EFAULT;
	who->keys = room;
	who->nr_keys = nr;
	return 0;
}

static int create(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who,
		  struct exo_xn_root_create *cmd, const void *bytes)
{
	const struct exo_xn_root_core *root;
	u32 number = 0;
	int ret;

	if (!disk->xn)
		return -ENOENT;
	ret = exo_xn_root_create(disk->xn, who, cmd->name, cmd->template_number, cmd->flags, cmd->near,
				 cmd->max_blocks, cmd->key, bytes, cmd->length, &number);
	if (ret)
		return ret;
	root = exo_xn_root(disk->xn, number);
	cmd->out_root = number;
	cmd->out_block = root ? root->block : 0;
	return 0;
}

/**
 * exo_xn_root_create_op() - EXO_XN_ROOT_CREATE
 * @env: its uid will own it
 * @arg: struct exo_xn_root_create
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EBUSY: the name is taken; -EDQUOT; -ENOSPC; -EFAULT; -ENOMEM; -EIO.
 */
int exo_xn_root_create_op(struct exo_env *env, void *arg)
{
	struct exo_xn_root_create *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	void *bytes;
	int ret;

	cmd->out_root = 0;
	cmd->out_block = 0;
	if ((cmd->flags & ~EXO_XN_ROOT_TEMPORARY) || !cmd->name[0] ||
	    strnlen(cmd->name, EXO_XN_NAME) == EXO_XN_NAME || !cmd->length ||
	    cmd->length % EXO_XN_BLOCK || cmd->length > EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	bytes = vmemdup_user(u64_to_user_ptr(cmd->bytes), cmd->length);
	if (IS_ERR(bytes)) {
		ret = PTR_ERR(bytes);
		goto out;
	}
	exo_xn_who(env, &who);
	mutex_lock(&disk->lock);
	ret = create(disk, &who, cmd, bytes);
	mutex_unlock(&disk->lock);
	kvfree(bytes);
out:
	exo_xn_disk_put(disk);
	return ret;
}

static const struct exo_xn_root_core *find(struct exo_xn *xn, const struct exo_xn_root *cmd)
{
	const struct exo_xn_root_core *root;
	u32 n;

	if (!cmd->flags)
		return cmd->root && cmd->root <= EXO_XN_ROOTS ? exo_xn_root(xn, cmd->root) : NULL;
	n = cmd->flags == EXO_XN_NEXT ? min(cmd->root, EXO_XN_ROOTS) + 1 : 1;
	for (; n <= EXO_XN_ROOTS; n++) {
		root = exo_xn_root(xn, n);
		if (root && (cmd->flags == EXO_XN_NEXT ||
			     !strncmp(root->name, cmd->name, EXO_XN_NAME)))
			return root;
	}
	return NULL;
}

static int show(struct exo_xn *xn, struct exo_xn_root *cmd)
{
	const struct exo_xn_root_core *root = find(xn, cmd);

	if (!root)
		return -ENOENT;
	cmd->root = root->number;
	cmd->out_flags = root->flags & (EXO_XN_ROOT_TEMPORARY | EXO_XN_ROOT_QUARANTINED);
	cmd->out_uid = root->uid;
	cmd->out_template = root->template;
	cmd->out_unit_blocks = root->unit_blocks;
	cmd->out_block = root->block;
	cmd->out_blocks = root->blocks;
	cmd->out_max_blocks = root->max_blocks;
	memcpy(cmd->name, root->name, sizeof(cmd->name));
	return 0;
}

/**
 * exo_xn_root_op() - EXO_XN_ROOT
 * @env: who asks; names of roots are no secret
 * @arg: struct exo_xn_root
 *
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_xn_root_op(struct exo_env *env, void *arg)
{
	struct exo_xn_root *cmd = arg;
	struct exo_xn_disk_dev *disk;
	int ret;

	cmd->out_flags = 0;
	cmd->out_uid = 0;
	cmd->out_template = 0;
	cmd->out_unit_blocks = 0;
	cmd->out_block = 0;
	cmd->out_blocks = 0;
	cmd->out_max_blocks = 0;
	if ((cmd->flags && cmd->flags != EXO_XN_NEXT && cmd->flags != EXO_XN_ROOT_BY_NAME) ||
	    strnlen(cmd->name, EXO_XN_NAME) == EXO_XN_NAME)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	ret = disk->xn ? show(disk->xn, cmd) : -ENOENT;
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}

static int set(struct exo_xn *xn, const struct exo_xn_who *who, const struct exo_xn_root_set *cmd)
{
	int ret;

	if (!cmd->root || cmd->root > EXO_XN_ROOTS)
		return -ENOENT;
	switch (cmd->flags) {
	case EXO_XN_ROOT_CHOWN:
		ret = exo_xn_root_chown(xn, cmd->root, cmd->uid);
		if (ret)
			return ret;
		exo_xn_bindings_settle(exo_xn_priv(xn), cmd->root);
		exo_xn_reg_part(exo_xn_priv(xn), cmd->root);
		return 0;
	case EXO_XN_ROOT_LIMIT:
		return exo_xn_root_limit(xn, cmd->root, cmd->max_blocks);
	case EXO_XN_ROOT_DELETE:
		return exo_xn_root_delete(xn, who, cmd->root);
	case EXO_XN_ROOT_RELEASE:
		return exo_xn_root_release(xn, cmd->root);
	}
	return -EINVAL;
}

/* Others get the disk between two pieces. A detach may be one of them: the next attach goes on. */
static int delete_on(struct exo_xn_disk_dev *disk, u32 number)
{
	int ret = 1;

	while (ret > 0) {
		cond_resched();
		mutex_lock(&disk->lock);
		ret = disk->xn ? exo_xn_root_delete_on(disk->xn, number) : 0;
		mutex_unlock(&disk->lock);
	}
	return ret;
}

/**
 * exo_xn_root_set_op() - EXO_XN_ROOT_SET
 * @env: who asks
 * @arg: struct exo_xn_root_set
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EPERM: not an admin; -EACCES: not the owner; -EBUSY; -EDQUOT; -EIO.
 */
int exo_xn_root_set_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_root_set *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	int ret;

	if (cmd->reserved || (cmd->flags != EXO_XN_ROOT_CHOWN && cmd->flags != EXO_XN_ROOT_LIMIT &&
			      cmd->flags != EXO_XN_ROOT_DELETE && cmd->flags != EXO_XN_ROOT_RELEASE))
		return -EINVAL;
	if (cmd->flags != EXO_XN_ROOT_DELETE && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	exo_xn_who(env, &who);
	mutex_lock(&disk->lock);
	ret = disk->xn ? set(disk->xn, &who, cmd) : -ENOENT;
	mutex_unlock(&disk->lock);
	if (ret > 0)
		ret = delete_on(disk, cmd->root);
	exo_xn_disk_put(disk);
	return ret;
}
