// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: entries.
 */
#include "xn/xn.h"

static int check_entry(const struct exo_xn_entry *cmd)
{
	u32 how = cmd->flags;

	if (how && how != EXO_XN_ENTRY_FRAME && how != EXO_XN_ENTRY_UNIT)
		return -EINVAL;
	if (!cmd->root || cmd->root > EXO_XN_ROOTS || !cmd->rights ||
	    (cmd->rights & ~(EXO_RIGHT_READ | EXO_RIGHT_WRITE)) || cmd->block == U64_MAX)
		return -EINVAL;
	return how == EXO_XN_ENTRY_UNIT && cmd->block != cmd->parent ? -EINVAL : 0;
}

/**
 * exo_xn_entry_op() - EXO_XN_ENTRY
 * @env: whose number it will be
 * @arg: struct exo_xn_entry
 *
 * Return: an error.
 */
int exo_xn_entry_op(struct exo_env *env, void *arg)
{
	struct exo_xn_entry *cmd = arg;

	memset_startat(cmd, 0, out_entry);
	return check_entry(cmd) ?: -EOPNOTSUPP;
}

static int check_lock(const struct exo_xn_entry_lock *cmd)
{
	if ((cmd->flags & ~EXO_XN_LOCK_TRY) || cmd->reserved || !cmd->slots ||
	    (cmd->slots >> EXO_XN_SLOTS) || cmd->mode > EXO_XN_EXCLUSIVE)
		return -EINVAL;
	return 0;
}

/**
 * exo_xn_entry_lock_op() - EXO_XN_ENTRY_LOCK
 * @env: whose number it is
 * @arg: struct exo_xn_entry_lock
 *
 * Return: an error.
 */
int exo_xn_entry_lock_op(struct exo_env *env, void *arg)
{
	return check_lock(arg) ?: -EOPNOTSUPP;
}

static int check_io(const struct exo_xn_entry_io *cmd)
{
	u32 flags = cmd->kind == EXO_XN_ENTRY_WRITE ? EXO_XN_IO_DURABLE : 0;

	if ((cmd->flags & ~flags) || cmd->reserved || cmd->kind < EXO_XN_ENTRY_READ ||
	    cmd->kind > EXO_XN_ENTRY_DIRTY || !cmd->count || cmd->count > EXO_XN_REG_BATCH)
		return -EINVAL;
	return 0;
}

/**
 * exo_xn_entry_io_op() - EXO_XN_ENTRY_IO
 * @env: whose numbers these are
 * @arg: struct exo_xn_entry_io
 *
 * Return: an error.
 */
int exo_xn_entry_io_op(struct exo_env *env, void *arg)
{
	struct exo_xn_entry_io *cmd = arg;

	cmd->out_done = 0;
	return check_io(cmd) ?: -EOPNOTSUPP;
}

/**
 * exo_xn_speculate_op() - EXO_XN_SPECULATE
 * @env: who is charged
 * @arg: struct exo_xn_speculate
 *
 * Return: an error.
 */
int exo_xn_speculate_op(struct exo_env *env, void *arg)
{
	struct exo_xn_speculate *cmd = arg;

	cmd->out_done = 0;
	if (cmd->flags || cmd->reserved || !cmd->count || cmd->count > EXO_XN_REG_BATCH)
		return -EINVAL;
	return -EOPNOTSUPP;
}
