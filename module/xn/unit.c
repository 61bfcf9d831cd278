// SPDX-License-Identifier: GPL-2.0
/*
 * Units: reading, changing, committing. Everything is copied in before the disk's lock is taken, and
 * out after it was given back.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xn/xn.h"

#define UNIT_BYTES (EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK)

/* Reading ------------------------------------------------------------------------------------ */

static int read_unit(struct exo_xn *xn, const struct exo_xn_who *who, struct exo_xn_read *cmd,
		     void *room)
{
	struct exo_xn_unit *unit;
	u32 bytes;
	int ret;

	ret = exo_xn_unit_load(xn, cmd->root, cmd->parent, cmd->block, &unit);
	if (ret)
		return ret;
	if (!exo_xn_may(xn, unit, who, EXO_XN_MAY_READ, EXO_XN_SELF, unit->block, unit->blocks))
		return -EACCES;
	bytes = unit->blocks * EXO_XN_BLOCK;
	cmd->out_template = unit->template;
	cmd->out_blocks = unit->blocks;
	cmd->out_generation = unit->generation;
	if (cmd->offset >= bytes)
		return 0;
	cmd->out_done = min(cmd->length, bytes - cmd->offset);
	memcpy(room, unit->now + cmd->offset, cmd->out_done);
	return 0;
}

/* The unit in memory that has this block. */
static const u8 *block_in_memory(struct exo_xn *xn, u32 root, u64 block)
{
	const struct exo_xn_unit *unit;
	u32 back;

	for (back = 0; back < EXO_XN_UNIT_BLOCKS && back <= block; back++) {
		unit = exo_xn_unit_find(xn, root, block - back);
		if (unit && unit->now && unit->blocks > back)
			return unit->now + (size_t)back * EXO_XN_BLOCK;
	}
	return NULL;
}

/* What it is can't be said: the functions of a quarantined root are no help. */
static int read_raw(struct exo_xn *xn, const struct exo_xn_who *who, struct exo_xn_read *cmd,
		    u8 *room)
{
	const struct exo_xn_root_core *root;
	const u8 *bytes;
	u32 entry;
	int ret;

	root = exo_xn_root(xn, cmd->root);
	if (!root)
		return -ENOENT;
	if (root->uid != who->uid && !who->admin)
		return -EACCES;
	ret = exo_xn_map_look(xn, cmd->block, &entry);
	if (ret)
		return ret;
	if (!(entry & EXO_XN_ENTRY_TAKEN) || (entry & EXO_XN_ENTRY_ROOT) != cmd->root)
		return -ENOENT;
	bytes = block_in_memory(xn, cmd->root, cmd->block);
	if (bytes)
		memcpy(room, bytes, EXO_XN_BLOCK);
	else if (!(entry & EXO_XN_ENTRY_INIT))
		memset(room, 0, EXO_XN_BLOCK);
	else
		ret = exo_xn_host.read(xn, cmd->block, 1, room);
	if (ret)
		return ret;
	memmove(room, room + cmd->offset, cmd->length);
	cmd->out_done = cmd->length;
	return 0;
}

static int read_locked(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who,
		       struct exo_xn_read *cmd, void *room)
{
	if (!disk->xn)
		return -ENOENT;
	if (cmd->flags & EXO_XN_READ_RAW)
		return read_raw(disk->xn, who, cmd, room);
	return read_unit(disk->xn, who, cmd, room);
}

static int check_read(const struct exo_xn_read *cmd)
{
	u32 most = cmd->flags & EXO_XN_READ_RAW ? EXO_XN_BLOCK : UNIT_BYTES;

	if ((cmd->flags & ~EXO_XN_READ_RAW) || !cmd->root || cmd->root > EXO_XN_ROOTS)
		return -EINVAL;
	return cmd->length > most || cmd->offset > most - cmd->length ? -EINVAL : 0;
}

/**
 * exo_xn_read_op() - EXO_XN_READ
 * @env: who reads
 * @arg: struct exo_xn_read
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EACCES; -EIO; -EFAULT; -ENOMEM.
 */
int exo_xn_read_op(struct exo_env *env, void *arg)
{
	struct exo_xn_read *cmd = arg;
	struct exo_xn_key keys[EXO_XN_KEYS];
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	void *room;
	int ret;

	cmd->out_done = 0;
	cmd->out_template = 0;
	cmd->out_blocks = 0;
	cmd->out_generation = 0;
	ret = check_read(cmd);
	if (!ret)
		ret = exo_xn_who_keys(env, &who, cmd->keys, cmd->nr_keys, keys);
	if (ret)
		return ret;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	room = kvmalloc(max(cmd->length, EXO_XN_BLOCK), GFP_KERNEL);
	ret = -ENOMEM;
	if (!room)
		goto out;
	mutex_lock(&disk->lock);
	ret = read_locked(disk, &who, cmd, room);
	mutex_unlock(&disk->lock);
	if (!ret && copy_to_user(u64_to_user_ptr(cmd->bytes), room, cmd->out_done))
		ret = -EFAULT;
	kvfree(room);
out:
	exo_xn_disk_put(disk);
	return ret;
}

/* Changing ----------------------------------------------------------------------------------- */

/**
 * struct change - the steps of an EXO_XN_APPLY in the kernel's memory
 * @nr: how many
 * @bytes: of all of them
 * @steps: each
 */
struct change {
	u32 nr;
	u8 *bytes;
	struct exo_xn_step_core steps[];
};

static void change_free(struct change *change)
{
	kvfree(change->bytes);
	kvfree(change);
}

/* The steps but for their bytes; returns how many these are, or an error. */
static s64 change_steps(struct change *change, const struct exo_xn_step *from)
{
	struct exo_xn_step_core *to;
	u64 total = 0;
	u32 i;

	for (i = 0; i < change->nr; i++, from++) {
		if (from->reserved || from->length > UNIT_BYTES)
			return -EINVAL;
		to = &change->steps[i];
		*to = (struct exo_xn_step_core) {
			.kind = from->kind,
			.slot = from->slot,
			.parent = from->parent,
			.block = from->block,
			.from = from->from,
			.count = from->count,
			.offset = from->offset,
			.length = from->length,
		};
		total += from->length;
	}
	return total > EXO_XN_APPLY_BYTES ? -EINVAL : total;
}

static int change_bytes(struct change *change, const struct exo_xn_step *from, size_t total)
{
	u8 *at;
	u32 i;

	if (!total)
		return 0;
	change->bytes = kvmalloc(total, GFP_KERNEL_ACCOUNT);
	if (!change->bytes)
		return -ENOMEM;
	at = change->bytes;
	for (i = 0; i < change->nr; i++) {
		if (copy_from_user(at, u64_to_user_ptr(from[i].bytes), from[i].length))
			return -EFAULT;
		change->steps[i].bytes = at;
		at += from[i].length;
	}
	return 0;
}

/* Once, and then checked: user space can't change them any more. */
static struct change *change_copy(u64 user, u32 nr)
{
	struct exo_xn_step *from;
	struct change *change;
	s64 total;
	int ret;

	from = vmemdup_user(u64_to_user_ptr(user), nr * sizeof(*from));
	if (IS_ERR(from))
		return ERR_CAST(from);
	change = kvzalloc(struct_size(change, steps, nr), GFP_KERNEL_ACCOUNT);
	ret = -ENOMEM;
	if (!change)
		goto out;
	change->nr = nr;
	total = change_steps(change, from);
	ret = total < 0 ? total : change_bytes(change, from, total);
	if (ret)
		change_free(change);
out:
	kvfree(from);
	return ret ? ERR_PTR(ret) : change;
}

static bool may_commit(struct exo_xn *xn, const struct exo_xn_root_core *root,
		       const struct exo_xn_who *who)
{
	struct exo_xn_unit *unit;

	if (who->admin || root->uid == who->uid)
		return true;
	return !exo_xn_unit_load(xn, root->number, root->block, root->block, &unit) &&
	       exo_xn_may(xn, unit, who, EXO_XN_MAY_WRITE, EXO_XN_SELF, unit->block, unit->blocks);
}

/* All that were asked for until now, in one transaction. The disk's lock is held. */
static int commit_all(struct exo_xn_disk_dev *disk)
{
	struct exo_xn_root_core *root;
	unsigned long n;
	int ret;

	for_each_set_bit(n, disk->requested, EXO_XN_ROOTS + 1) {
		root = exo_xn_root(disk->xn, n);
		if (root)
			root->requested = true;
	}
	ret = exo_xn_commit(disk->xn, &disk->seq);
	if (!ret)
		bitmap_zero(disk->requested, EXO_XN_ROOTS + 1);
	return ret;
}

static int commit_request(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who, u32 number)
{
	const struct exo_xn_root_core *root = disk->xn ? exo_xn_root(disk->xn, number) : NULL;

	if (!root)
		return -ENOENT;
	if (!may_commit(disk->xn, root, who))
		return -EACCES;
	__set_bit(number, disk->requested);
	return 0;
}

/*
 * Two turns with the lock: those who wait while somebody commits have all said what they want when
 * the first of them gets to commit, and he does it for all.
 */
static int commit(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who, u32 number, u64 *seq)
{
	int ret;

	mutex_lock(&disk->lock);
	ret = commit_request(disk, who, number);
	mutex_unlock(&disk->lock);
	if (ret)
		return ret;
	mutex_lock(&disk->lock);
	if (!disk->xn)
		ret = -ENOENT;
	else if (test_bit(number, disk->requested))
		ret = commit_all(disk);
	*seq = disk->seq;
	mutex_unlock(&disk->lock);
	return ret;
}

static int apply(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who,
		 struct exo_xn_apply *cmd, const struct change *change)
{
	int ret = -ENOENT;

	mutex_lock(&disk->lock);
	if (disk->xn)
		ret = exo_xn_apply(disk->xn, who, cmd->root, change->steps, change->nr,
				   &cmd->out_step, &cmd->out_block);
	mutex_unlock(&disk->lock);
	return ret;
}

/**
 * exo_xn_apply_op() - EXO_XN_APPLY
 * @env: who changes
 * @arg: struct exo_xn_apply
 *
 * Context: sleeps.
 * Return: 0; with EXO_XN_APPLY_COMMIT an error of the commit, too, and then the change is made but
 * not durable; see struct exo_xn_apply.
 */
int exo_xn_apply_op(struct exo_env *env, void *arg)
{
	struct exo_xn_apply *cmd = arg;
	struct exo_xn_key keys[EXO_XN_KEYS];
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	struct change *change;
	u64 seq;
	int ret;

	cmd->out_step = 0;
	cmd->out_block = 0;
	if ((cmd->flags & ~EXO_XN_APPLY_COMMIT) || cmd->reserved || !cmd->nr_steps ||
	    cmd->nr_steps > EXO_XN_STEPS || !cmd->root || cmd->root > EXO_XN_ROOTS)
		return -EINVAL;
	ret = exo_xn_who_keys(env, &who, cmd->keys, cmd->nr_keys, keys);
	if (ret)
		return ret;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	change = change_copy(cmd->steps, cmd->nr_steps);
	ret = PTR_ERR_OR_ZERO(change);
	if (ret)
		goto out;
	ret = apply(disk, &who, cmd, change);
	change_free(change);
	if (!ret && cmd->flags & EXO_XN_APPLY_COMMIT)
		ret = commit(disk, &who, cmd->root, &seq);
out:
	exo_xn_disk_put(disk);
	return ret;
}

/**
 * exo_xn_commit_op() - EXO_XN_COMMIT
 * @env: who asks: the root's owner, an admin, or who may write to its first unit
 * @arg: struct exo_xn_commit
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EACCES; -EIO; -ENOMEM.
 */
int exo_xn_commit_op(struct exo_env *env, void *arg)
{
	struct exo_xn_commit *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	int ret;

	cmd->out_seq = 0;
	if (cmd->flags || !cmd->root || cmd->root > EXO_XN_ROOTS)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	exo_xn_who(env, &who);
	ret = commit(disk, &who, cmd->root, &cmd->out_seq);
	exo_xn_disk_put(disk);
	return ret;
}
