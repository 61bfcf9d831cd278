// SPDX-License-Identifier: GPL-2.0
/*
 * The table of disks, and what an admin does with them.
 *
 * A disk that is attached holds the module. A command holds the disk (kref) and asks under its lock
 * whether it is attached still (disk->xn).
 */
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "xn/xn.h"

#define PATH_LENGTH 4096
#define SHOW_ROOM 4096U		/* bytes of the map between two copies to user space */
#define CHECK_UNITS 256		/* visited by one EXO_XN_CHECK */
#define TRIM_BLOCKS 262144ULL	/* discarded under the lock at a time */

static unsigned int memory_mib = EXO_XN_MEMORY >> 20;
module_param_named(xn_memory_mib, memory_mib, uint, 0444);
MODULE_PARM_DESC(xn_memory_mib, "memory for units and map that each disk keeps, in MiB (default: 64)");

DEFINE_MUTEX(exo_xn_disks_lock);
static DEFINE_XARRAY_ALLOC1(disks);

/* The device -------------------------------------------------------------------------------- */

static u64 device_blocks(const struct exo_bdev *bdev)
{
	return bdev_nr_bytes(bdev->bdev) / EXO_XN_BLOCK;
}

static void disk_close(struct exo_xn_disk_dev *disk)
{
	exo_xn_polled_close(disk);
	exo_bdev_close(&disk->bdev);
	disk->bdev.bdev = NULL;
}

static void disk_free(struct kref *ref)
{
	struct exo_xn_disk_dev *disk = container_of(ref, struct exo_xn_disk_dev, ref);

	bioset_exit(&disk->bios);
	exo_xn_reg_free(disk);
	kfree(disk);
}

static int disk_open(struct exo_xn_disk_dev *disk, const char *path)
{
	int ret;

	ret = exo_bdev_open(path, disk, &disk->bdev);
	if (ret)
		return ret;
	/* What is shorter than a block can't be written in one piece. */
	if (bdev_logical_block_size(disk->bdev.bdev) > EXO_XN_BLOCK) {
		disk_close(disk);
		return -EOPNOTSUPP;
	}
	snprintf(disk->name, sizeof(disk->name), "%pg", disk->bdev.bdev);
	return 0;
}

/* A disk with its device open, in no table; by the path that the caller gives. */
static struct exo_xn_disk_dev *disk_new(u64 user_path)
{
	struct exo_xn_disk_dev *disk = kzalloc(sizeof(*disk), GFP_KERNEL_ACCOUNT);
	char *path;
	int ret;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	kref_init(&disk->ref);
	mutex_init(&disk->lock);
	INIT_LIST_HEAD(&disk->bindings);
	disk->by_block = RB_ROOT_CACHED;
	exo_xn_reg_setup(disk);
	exo_xn_polled_setup(disk);
	exo_xn_data_setup(disk);
	ret = bioset_init(&disk->bios, 64, offsetof(struct exo_xn_req, bio), BIOSET_NEED_BVECS);
	if (ret)
		goto err_free;
	path = strndup_user(u64_to_user_ptr(user_path), PATH_LENGTH);
	ret = PTR_ERR_OR_ZERO(path);
	if (ret)
		goto err_free;
	ret = disk_open(disk, path);
	kfree(path);
	if (ret)
		goto err_free;
	return disk;

err_free:
	exo_xn_disk_put(disk);
	return ERR_PTR(ret);
}

/**
 * exo_xn_disk_get() - an attached disk
 * @number: from user space
 *
 * Context: any but interrupts.
 * Return: the disk with a reference, or NULL.
 */
struct exo_xn_disk_dev *exo_xn_disk_get(u32 number)
{
	struct exo_xn_disk_dev *disk;

	/* The table's reference goes a grace period after the disk left it. */
	rcu_read_lock();
	disk = xa_load(&disks, number);
	if (disk && !kref_get_unless_zero(&disk->ref))
		disk = NULL;
	rcu_read_unlock();
	return disk;
}

/**
 * exo_xn_disk_put() - give up a reference
 * @disk: disk
 *
 * Context: sleeps.
 */
void exo_xn_disk_put(struct exo_xn_disk_dev *disk)
{
	kref_put(&disk->ref, disk_free);
}

/* Format, attach, detach -------------------------------------------------------------------- */

/**
 * exo_xn_format_op() - EXO_XN_FORMAT
 * @env: who asks
 * @arg: struct exo_xn_format
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -EBUSY: in use, or formatted already; -ENOSPC: too small; of the device.
 */
int exo_xn_format_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_format *cmd = arg;
	struct exo_xn_format_opts opts = {
		.log_blocks = cmd->log_blocks,
		.uid_blocks = cmd->uid_blocks,
		.force = cmd->flags & EXO_XN_FORMAT_FORCE,
	};
	struct exo_xn_disk_dev *disk;
	int ret;

	if ((cmd->flags & ~EXO_XN_FORMAT_FORCE) || cmd->reserved || !cmd->path)
		return -EINVAL;
	disk = disk_new(cmd->path);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	opts.blocks = device_blocks(&disk->bdev);
	get_random_bytes(opts.uuid, sizeof(opts.uuid));
	mutex_lock(&disk->lock);
	ret = exo_xn_format(&exo_xn_host, disk, &opts);
	mutex_unlock(&disk->lock);
	disk_close(disk);
	exo_xn_disk_put(disk);
	return ret;
}

/* Look at everything once, now. */
static int walk_all(struct exo_xn *xn)
{
	struct exo_xn_walk *walk;
	int ret;

	ret = exo_xn_walk_begin(xn, 0, &walk);
	if (ret)
		return ret;
	do {
		ret = exo_xn_walk_step(walk, CHECK_UNITS);
		cond_resched();
	} while (ret > 0);
	exo_xn_walk_end(walk);
	return ret;
}

static int disk_recover(struct exo_xn_disk_dev *disk, struct exo_xn_attach *cmd,
			struct exo_xn_arrival *arrival)
{
	struct exo_xn_stat stat = {};
	int ret;

	ret = exo_xn_attach(&exo_xn_host, disk, device_blocks(&disk->bdev), 0, &disk->xn);
	if (ret)
		return ret;
	exo_xn_limit(disk->xn, (u64)memory_mib << 20);
	if (cmd->flags & EXO_XN_ATTACH_CHECK)
		ret = walk_all(disk->xn);
	if (!ret) {
		ret = exo_xn_arrive(disk->xn, arrival);
		exo_xn_arrival_say(cmd, arrival);
	}
	if (ret) {
		exo_xn_free(disk->xn);
		disk->xn = NULL;
		return ret;
	}
	exo_xn_stat(disk->xn, &stat);
	cmd->out_roots = stat.roots;
	cmd->out_quarantined = stat.quarantined;
	cmd->out_replayed = stat.replayed;
	cmd->out_read = stat.read;
	return 0;
}

/* Under exo_xn_disks_lock. */
static int disk_attach(struct exo_xn_disk_dev *disk, struct exo_xn_attach *cmd,
		       struct exo_xn_arrival *arrival)
{
	int ret;

	if (!try_module_get(THIS_MODULE))
		return -EBUSY;
	mutex_lock(&disk->lock);
	ret = disk_recover(disk, cmd, arrival);
	mutex_unlock(&disk->lock);
	if (ret)
		goto err_module;
	ret = xa_alloc(&disks, &disk->number, disk, XA_LIMIT(1, EXO_XN_DISKS), GFP_KERNEL_ACCOUNT);
	if (ret)
		goto err_engine;
	cmd->out_disk = disk->number;
	return 0;

err_engine:
	mutex_lock(&disk->lock);
	exo_xn_free(disk->xn);
	disk->xn = NULL;
	mutex_unlock(&disk->lock);
	ret = ret == -EBUSY ? -EOVERFLOW : ret;
err_module:
	module_put(THIS_MODULE);
	return ret;
}

/**
 * exo_xn_attach_op() - EXO_XN_ATTACH
 * @env: who asks
 * @arg: struct exo_xn_attach
 *
 * Context: sleeps.
 * Return: 0; -EINVAL: not a disk of exo's, or its own state is damaged; -EBUSY: in use; -EOVERFLOW:
 * too many disks; -EEXIST, -EDQUOT, -ENOSPC: its owners can't be mapped so; of the device.
 */
int exo_xn_attach_op(struct exo_env *env, void *arg)
{
	struct exo_xn_attach *cmd = arg;
	struct exo_xn_arrival arrival;
	struct exo_xn_disk_dev *disk;
	int ret;

	if ((cmd->flags & ~(EXO_XN_ATTACH_CHECK | EXO_XN_ATTACH_UIDS | EXO_XN_ATTACH_AGAIN)) ||
	    cmd->reserved || !cmd->path)
		return -EINVAL;
	cmd->out_disk = 0;
	cmd->out_roots = 0;
	cmd->out_quarantined = 0;
	cmd->out_replayed = 0;
	cmd->out_read = 0;
	ret = exo_xn_arrival_get(cmd, &arrival);
	if (ret)
		return ret;
	disk = disk_new(cmd->path);
	ret = PTR_ERR_OR_ZERO(disk);
	if (ret)
		goto out;
	mutex_lock(&exo_xn_disks_lock);
	ret = disk_attach(disk, cmd, &arrival);
	mutex_unlock(&exo_xn_disks_lock);
	if (ret) {
		disk_close(disk);
		exo_xn_disk_put(disk);
	}
out:
	exo_xn_arrival_put(&arrival);
	return ret;
}

static void walk_drop(struct exo_xn_disk_dev *disk)
{
	if (disk->walk)
		exo_xn_walk_end(disk->walk);
	disk->walk = NULL;
}

/* The engine's end; nothing is in flight afterwards, and nothing begins. */
static int engine_end(struct exo_xn_disk_dev *disk, bool force)
{
	int ret;

	if (disk->nr_bindings && !force)
		return -EBUSY;
	exo_xn_bindings_drop(disk);
	walk_drop(disk);
	ret = exo_xn_reg_flush(disk);
	if (ret && !force)
		return ret;
	exo_xn_reg_drop(disk, 0, U64_MAX);
	ret = exo_xn_detach(disk->xn);
	if (ret && !force)
		return ret;
	exo_xn_free(disk->xn);
	disk->xn = NULL;
	return 0;
}

static int disk_detach(u32 number, bool force)
{
	struct exo_xn_disk_dev *disk = xa_load(&disks, number);
	int ret;

	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	ret = engine_end(disk, force);
	mutex_unlock(&disk->lock);
	if (ret)
		return ret;
	xa_erase(&disks, number);
	exo_xn_reg_end(disk);
	synchronize_rcu();
	disk_close(disk);
	exo_xn_disk_put(disk);
	module_put(THIS_MODULE);
	return 0;
}

/**
 * exo_xn_detach_op() - EXO_XN_DETACH
 * @env: who asks
 * @arg: struct exo_xn_detach
 *
 * Context: sleeps, until no I/O is in flight.
 * Return: 0; -EINVAL; -ENOENT; -EBUSY: there are bindings, and no FORCE; -EIO: not all could be
 * written home, and no FORCE; the log still has it.
 */
int exo_xn_detach_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_detach *cmd = arg;
	int ret;

	if ((cmd->flags & ~EXO_XN_DETACH_FORCE) || cmd->reserved)
		return -EINVAL;
	mutex_lock(&exo_xn_disks_lock);
	ret = disk_detach(cmd->disk, cmd->flags & EXO_XN_DETACH_FORCE);
	mutex_unlock(&exo_xn_disks_lock);
	return ret;
}

/**
 * exo_xn_grow_op() - EXO_XN_GROW
 * @env: who asks
 * @arg: struct exo_xn_grow
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EIO; -ENOMEM.
 */
int exo_xn_grow_op(struct exo_env *env, void *arg)
{
	struct exo_xn_grow *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_stat stat = {};
	int ret = -ENOENT;

	cmd->out_blocks = 0;
	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	if (disk->xn) {
		ret = exo_xn_grow(disk->xn, device_blocks(&disk->bdev));
		exo_xn_stat(disk->xn, &stat);
		cmd->out_blocks = stat.blocks;
	}
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}

/* Check, trim -------------------------------------------------------------------------------- */

static int check_begin(struct exo_xn_disk_dev *disk, const struct exo_xn_check *cmd)
{
	int ret;

	if (cmd->cursor)
		return disk->walk && disk->walk_cursor == cmd->cursor ? 0 : -ESTALE;
	walk_drop(disk);
	ret = exo_xn_walk_begin(disk->xn, cmd->flags, &disk->walk);
	if (ret)
		disk->walk = NULL;
	else
		disk->walk_cursor++;
	return ret;
}

static int check_locked(struct exo_xn_disk_dev *disk, struct exo_xn_check *cmd)
{
	int ret;

	ret = check_begin(disk, cmd);
	if (ret)
		return ret;
	ret = exo_xn_walk_step(disk->walk, CHECK_UNITS);
	exo_xn_walk_show(disk->walk, cmd);
	cmd->cursor = disk->walk_cursor;
	cmd->out_done = ret == 0;
	/* Without memory it goes on where it is, later. */
	if (ret <= 0 && ret != -ENOMEM)
		walk_drop(disk);
	return ret < 0 ? ret : 0;
}

/**
 * exo_xn_check_op() - EXO_XN_CHECK
 * @env: who asks
 * @arg: struct exo_xn_check
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -ESTALE: another check has begun since; -EIO; -ENOMEM.
 */
int exo_xn_check_op(struct exo_env *env, void *arg)
{
	struct exo_xn_check *cmd = arg;
	struct exo_xn_disk_dev *disk;
	int ret = -ENOENT;

	cmd->out_done = 0;
	memset_startat(cmd, 0, out_visited);
	if (cmd->flags & ~(EXO_XN_CHECK_REPAIR | EXO_XN_CHECK_SCRUB))
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	if (disk->xn)
		ret = check_locked(disk, cmd);
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}

/**
 * exo_xn_trim_op() - EXO_XN_TRIM
 * @env: who asks
 * @arg: struct exo_xn_trim
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -EOPNOTSUPP: the device can't discard; -EINTR.
 */
int exo_xn_trim_op(struct exo_env *env, void *arg)
{
	struct exo_xn_trim *cmd = arg;
	u64 n, start = cmd->start, count = cmd->count;
	struct exo_xn_disk_dev *disk;
	int ret = 0;

	cmd->out_trimmed = 0;
	if (cmd->flags || cmd->reserved || start + count < start)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	while (!ret && count) {
		n = min(count, TRIM_BLOCKS);
		mutex_lock(&disk->lock);
		if (!disk->xn)
			ret = -ENOENT;
		else if (!bdev_max_discard_sectors(disk->bdev.bdev))
			ret = -EOPNOTSUPP;
		else if (start >= device_blocks(&disk->bdev))
			n = count;
		else
			cmd->out_trimmed += exo_xn_trim(disk->xn, start, n);
		mutex_unlock(&disk->lock);
		start += n;
		count -= n;
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
	}
	exo_xn_disk_put(disk);
	return ret;
}

/* Looking ------------------------------------------------------------------------------------ */

static void show(struct exo_env *env, struct exo_xn_disk_dev *disk, struct exo_xn_disk *cmd)
{
	struct block_device *bdev = disk->bdev.bdev;
	struct exo_xn_stat stat = {};
	struct exo_xn_who who;
	bool own;

	exo_xn_who(env, &who);
	exo_xn_stat(disk->xn, &stat);
	cmd->disk = disk->number;
	cmd->out_flags = (stat.failed ? EXO_XN_IS_FAILED : 0) |
			 (bdev_write_cache(bdev) ? EXO_XN_HAS_CACHE : 0) |
			 (bdev_fua(bdev) ? EXO_XN_HAS_FUA : 0) |
			 (bdev_max_discard_sectors(bdev) ? EXO_XN_HAS_DISCARD : 0);
	cmd->out_blocks = stat.blocks;
	cmd->out_free = stat.free;
	cmd->out_waiting = stat.waiting;
	cmd->out_first = stat.first;
	cmd->out_logical = bdev_logical_block_size(bdev);
	cmd->out_roots = stat.roots;
	cmd->out_commits = stat.commits;
	cmd->out_uid_blocks = exo_xn_uid_limit(disk->xn, who.uid, &own);
	cmd->out_my_blocks = exo_xn_uid_blocks(disk->xn, who.uid);
	memcpy(cmd->out_uuid, stat.uuid, sizeof(cmd->out_uuid));
	memcpy(cmd->out_name, disk->name, sizeof(cmd->out_name));
}

static struct exo_xn_disk_dev *disk_from(u32 number, bool next)
{
	struct exo_xn_disk_dev *disk = NULL;

	if (!next)
		return exo_xn_disk_get(number);
	while (!disk && number < EXO_XN_DISKS)
		disk = exo_xn_disk_get(++number);
	return disk;
}

/**
 * exo_xn_disk_op() - EXO_XN_DISK
 * @env: who asks
 * @arg: struct exo_xn_disk
 *
 * Return: 0; -EINVAL; -ENOENT.
 */
int exo_xn_disk_op(struct exo_env *env, void *arg)
{
	struct exo_xn_disk *cmd = arg;
	struct exo_xn_disk_dev *disk;
	int ret = -ENOENT;

	memset_startat(cmd, 0, out_flags);
	if (cmd->flags & ~EXO_XN_DISK_NEXT)
		return -EINVAL;
	disk = disk_from(cmd->disk, cmd->flags & EXO_XN_DISK_NEXT);
	if (!disk)
		return -ENOENT;
	mutex_lock(&disk->lock);
	if (disk->xn) {
		show(env, disk, cmd);
		ret = 0;
	}
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}

/* Of one root only: what others have shows as taken. */
static void map_of_root(struct exo_xn *xn, u64 start, u32 count, u32 root, u8 *out)
{
	u32 i, entry;

	for (i = 0; i < count; i++) {
		if (exo_xn_map_look(xn, start + i, &entry) || out[i] == EXO_XN_SYSTEM)
			continue;
		if ((entry & EXO_XN_ENTRY_TAKEN) && (entry & EXO_XN_ENTRY_ROOT) == root)
			out[i] = EXO_XN_MINE;
		else if (out[i] == EXO_XN_MINE)
			out[i] = EXO_XN_TAKEN;
	}
}

static int map_some(struct exo_xn_disk_dev *disk, const struct exo_xn_who *who,
		    const struct exo_xn_map *cmd, u32 count, u8 *out)
{
	u64 start = cmd->start + cmd->out_done;
	const struct exo_xn_root_core *root;
	int ret;

	if (!disk->xn)
		return -ENOENT;
	ret = exo_xn_map_show(disk->xn, start, count, who->uid, out);
	if (ret || !cmd->root)
		return ret;
	root = cmd->root <= EXO_XN_ROOTS ? exo_xn_root(disk->xn, cmd->root) : NULL;
	if (!root)
		return -ENOENT;
	if (root->uid != who->uid && !who->admin)
		return -EACCES;
	map_of_root(disk->xn, start, count, cmd->root, out);
	return 0;
}

/**
 * exo_xn_map_op() - EXO_XN_MAP
 * @env: who asks
 * @arg: struct exo_xn_map
 *
 * Context: sleeps.
 * Return: 0; -EINVAL: beyond the disk; -ENOENT; -EACCES; -EFAULT; -ENOMEM; -EINTR.
 */
int exo_xn_map_op(struct exo_env *env, void *arg)
{
	struct exo_xn_map *cmd = arg;
	u8 __user *user = u64_to_user_ptr(cmd->map);
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	int ret = 0;
	u8 *room;
	u32 n;

	cmd->out_done = 0;
	if (cmd->flags || !cmd->count)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	room = kmalloc(SHOW_ROOM, GFP_KERNEL);
	if (!room)
		ret = -ENOMEM;
	exo_xn_who(env, &who);
	while (!ret && cmd->out_done < cmd->count) {
		n = min(cmd->count - cmd->out_done, SHOW_ROOM);
		mutex_lock(&disk->lock);
		ret = map_some(disk, &who, cmd, n, room);
		mutex_unlock(&disk->lock);
		if (!ret && copy_to_user(user + cmd->out_done, room, n))
			ret = -EFAULT;
		if (!ret)
			cmd->out_done += n;
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
	}
	kfree(room);
	exo_xn_disk_put(disk);
	return ret;
}
