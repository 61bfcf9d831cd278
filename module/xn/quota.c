// SPDX-License-Identifier: GPL-2.0
/*
 * EXO_XN_QUOTA: what users may have of a disk.
 */
#include "xn/xn.h"

#define CHANGES (EXO_XN_QUOTA_SET | EXO_XN_QUOTA_FORGET)

/* One thing at a time; the limit of all has no uid, nobody comes after it, and it can't be forgotten. */
static bool valid(const struct exo_xn_quota *cmd)
{
	u32 verb = cmd->flags & ~EXO_XN_QUOTA_DEFAULT;

	if (cmd->reserved || (cmd->blocks && verb != EXO_XN_QUOTA_SET))
		return false;
	if (cmd->flags & EXO_XN_QUOTA_DEFAULT)
		return !cmd->uid && (!verb || verb == EXO_XN_QUOTA_SET);
	return !verb || verb == EXO_XN_QUOTA_NEXT || verb == EXO_XN_QUOTA_SET || verb == EXO_XN_QUOTA_FORGET;
}

static bool allowed(const struct exo_xn_who *who, const struct exo_xn_quota *cmd)
{
	if (who->admin || cmd->flags == EXO_XN_QUOTA_DEFAULT)
		return true;
	return !cmd->flags && cmd->uid == who->uid;
}

static int change(struct exo_xn *xn, const struct exo_xn_quota *cmd)
{
	if (!(cmd->flags & CHANGES))
		return 0;
	if (cmd->flags & EXO_XN_QUOTA_DEFAULT)
		return exo_xn_quota_all(xn, cmd->blocks);
	if (cmd->flags & EXO_XN_QUOTA_FORGET)
		return exo_xn_quota_forget(xn, cmd->uid);
	return exo_xn_quota_set(xn, cmd->uid, cmd->blocks);
}

static void show(struct exo_xn *xn, u32 uid, struct exo_xn_quota *cmd)
{
	struct exo_xn_stat stat = {};
	bool own;

	if (cmd->flags & EXO_XN_QUOTA_DEFAULT) {
		exo_xn_stat(xn, &stat);
		cmd->out_blocks = stat.uid_blocks;
		return;
	}
	cmd->out_uid = uid;
	cmd->out_blocks = exo_xn_uid_limit(xn, uid, &own);
	cmd->out_flags = own ? EXO_XN_QUOTA_OWN : 0;
	cmd->out_used = exo_xn_uid_blocks(xn, uid);
}

static int quota_locked(struct exo_xn *xn, struct exo_xn_quota *cmd)
{
	u32 uid = cmd->uid;
	int ret;

	if ((cmd->flags & EXO_XN_QUOTA_NEXT) && !exo_xn_uid_next(xn, uid, &uid))
		return -ENOENT;
	ret = change(xn, cmd);
	if (!ret)
		show(xn, uid, cmd);
	return ret;
}

/**
 * exo_xn_quota_op() - EXO_XN_QUOTA
 * @env: who asks
 * @arg: struct exo_xn_quota
 *
 * Context: sleeps; writes the superblock if a limit changes.
 * Return: 0; -EINVAL; -EPERM; -ENOENT: no such disk, nobody comes next, no limit to forget; -ENOSPC; -EIO.
 */
int exo_xn_quota_op(struct exo_env *env, void *arg)
{
	struct exo_xn_quota *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	int ret;

	cmd->out_uid = 0;
	cmd->out_flags = 0;
	cmd->out_blocks = 0;
	cmd->out_used = 0;
	if (!valid(cmd))
		return -EINVAL;
	exo_xn_who(env, &who);
	if (!allowed(&who, cmd))
		return -EPERM;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	ret = disk->xn ? quota_locked(disk->xn, cmd) : -ENOENT;
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}
