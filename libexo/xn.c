// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks: handles for those that are attached, and what an admin does with them. What is on a disk is in
 * xn_root.c, xn_change.c and xn_io.c.
 */
#include <string.h>

#include "xn.h"

#define MAP_CHUNK 4096U		/* blocks of the map that are looked at in one go */

int xn_name(char to[EXO_XN_NAME], const char *name)
{
	size_t length = name ? strnlen(name, EXO_XN_NAME) : 0;

	if (!length || length == EXO_XN_NAME)
		return -EINVAL;
	memset(to, 0, EXO_XN_NAME);
	memcpy(to, name, length);
	return 0;
}

static int ask_disk(struct exo_env *env, uint32_t disk, uint32_t flags, struct exo_xn_disk *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->disk = disk;
	out->flags = flags;
	return sys_ioctl(env->fd, EXO_XN_DISK, out);
}

/* The one that the options mean: -ENOENT if there is none, -EINVAL if there are several. */
static int find(struct exo_env *env, const struct exo_xn_open_opts *opts, uint32_t *out_disk)
{
	const uint8_t *uuid = OPTS_GET(opts, uuid, NULL);
	const char *name = OPTS_GET(opts, name, NULL);
	struct exo_xn_disk disk = { 0 };
	uint32_t found = 0;
	int ret;

	while (!(ret = ask_disk(env, disk.disk, EXO_XN_DISK_NEXT, &disk))) {
		if (uuid && memcmp(uuid, disk.out_uuid, sizeof(disk.out_uuid)))
			continue;
		if (name && strncmp(name, disk.out_name, sizeof(disk.out_name)))
			continue;
		if (found)
			return -EINVAL;
		found = disk.disk;
	}
	if (ret != -ENOENT)
		return ret;
	*out_disk = found;
	return found ? 0 : -ENOENT;
}

/**
 * exo_xn_open() - a handle for an attached disk
 * @env: through which it will be used
 * @opts: which one; NULL: the only one
 * @out_xn: the handle, until exo_xn_close()
 *
 * Return: 0; -ENOENT: no such disk is attached; -EINVAL: several are meant; -EPERM, -EOPNOTSUPP: the
 * module has no disks; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_open(struct exo_env *env, const struct exo_xn_open_opts *opts,
		       struct exo_xn **out_xn)
{
	struct exo_xn_disk disk;
	struct exo_xn *xn;
	uint32_t number;
	int ret = lib_opts_check(opts, sizeof(*opts));

	if (ret)
		return ret;
	if (OPTS_GET(opts, reserved, 0U))
		return -EINVAL;
	number = OPTS_GET(opts, disk, 0U);
	ret = number ? ask_disk(env, number, 0, &disk) : find(env, opts, &number);
	if (ret)
		return ret;
	xn = lib_zalloc(sizeof(*xn));
	if (!xn)
		return -ENOMEM;
	xn->env = env;
	xn->disk = number;
	env_get(env);
	*out_xn = xn;
	return 0;
}

/**
 * exo_xn_close() - free a handle
 * @xn: not used afterwards, nor are its changes; NULL is nothing
 *
 * The disk stays attached, and bindings that were made through it stay the environment's.
 *
 * Return: 0.
 */
EXPORT int exo_xn_close(struct exo_xn *xn)
{
	if (!xn)
		return 0;
	env_put(xn->env);
	explicit_bzero(xn->keys, sizeof(xn->keys));
	lib_free(xn);
	return 0;
}

/**
 * exo_xn_env() - a handle's environment
 * @xn: the disk
 *
 * Return: the environment. Async-signal-safe.
 */
EXPORT struct exo_env *exo_xn_env(const struct exo_xn *xn)
{
	return xn->env;
}

/**
 * exo_xn_number() - a disk's number
 * @xn: the disk
 *
 * Return: the number that it has until it is detached. Async-signal-safe.
 */
EXPORT uint32_t exo_xn_number(const struct exo_xn *xn)
{
	return xn->disk;
}

/**
 * exo_xn_keys_set() - present keys from now on
 * @xn: with what is done through this handle
 * @keys: copied
 * @count: how many; 0: none any more
 *
 * Return: 0; -EINVAL: more than EXO_XN_KEYS. Not while another thread uses the handle.
 */
EXPORT int exo_xn_keys_set(struct exo_xn *xn, const struct exo_xn_key *keys, uint32_t count)
{
	if (count > EXO_XN_KEYS || (count && !keys))
		return -EINVAL;
	explicit_bzero(xn->keys, sizeof(xn->keys));
	if (count)
		memcpy(xn->keys, keys, count * sizeof(*keys));
	xn->nr_keys = count;
	return 0;
}

/**
 * exo_xn_format() - make an empty disk of a block device
 * @env: CAP_SYS_ADMIN
 * @path: the device
 * @opts: may be NULL
 *
 * Return: 0; -EBUSY: it is in use, or a disk of exo's already and no EXO_XN_FORMAT_FORCE; -ENOSPC: too
 * small; -EINVAL: not a block device; -EPERM; -EIO, or another error of opening it. Thread-safe.
 */
EXPORT int exo_xn_format(struct exo_env *env, const char *path,
			 const struct exo_xn_format_opts *opts)
{
	struct exo_xn_format cmd = { .size = sizeof(cmd), .path = (uintptr_t)path };
	int ret = lib_opts_check(opts, sizeof(*opts));

	if (ret)
		return ret;
	cmd.flags = OPTS_GET(opts, flags, 0U);
	cmd.log_blocks = OPTS_GET(opts, log_blocks, 0U);
	cmd.uid_blocks = OPTS_GET(opts, uid_blocks, 0ULL);
	return sys_ioctl(env->fd, EXO_XN_FORMAT, &cmd);
}

/**
 * exo_xn_attach() - open a disk, recover it, let it be used
 * @env: CAP_SYS_ADMIN; the disk outlives it
 * @path: the device
 * @flags: 0 or EXO_XN_ATTACH_CHECK
 * @out_said: what its recovery did, up to @out_read; may be NULL
 *
 * Return: its number; -EINVAL: it was not formatted, or exo's own blocks are damaged; -EBUSY: somebody
 * has it; -EPERM; -EIO, or another error of opening it. Thread-safe.
 */
EXPORT int exo_xn_attach(struct exo_env *env, const char *path, uint32_t flags,
			 struct exo_xn_attach *out_said)
{
	/* The struct was so long when this function was made. */
	struct exo_xn_attach_opts opts = {
		.sz = sizeof(opts),
		.flags = flags,
		.said = out_said,
		.said_size = offsetof(struct exo_xn_attach, uids),
	};

	return exo_xn_attach_with(env, path, &opts);
}

/**
 * exo_xn_attach_with() - the same, on this machine, with its users
 * @env: CAP_SYS_ADMIN; the disk outlives it
 * @path: the device
 * @opts: may be NULL
 *
 * With a map all roots and templates get other owners, in one piece, before anybody can use the disk; once on this
 * machine, however often it is attached with that map.
 *
 * Return: its number; -EEXIST: two who would become one have a template of the same name each; -EDQUOT: they would have
 * more than one may; -ENOSPC: the log is too short for so many (with these three, nothing changed hands, and the disk
 * isn't attached); -EINVAL: a map that can't be, or no machine; and as exo_xn_attach(). Thread-safe.
 */
EXPORT int exo_xn_attach_with(struct exo_env *env, const char *path,
			      const struct exo_xn_attach_opts *opts)
{
	struct exo_xn_attach cmd = { .size = sizeof(cmd), .path = (uintptr_t)path };
	const uint8_t *machine = OPTS_GET(opts, machine, NULL);
	struct exo_xn_attach *said = OPTS_GET(opts, said, NULL);
	size_t size = OPTS_GET(opts, said_size, 0UL);
	int ret = lib_opts_check(opts, sizeof(*opts));

	if (ret)
		return ret;
	cmd.uids = (uintptr_t)OPTS_GET(opts, uids, NULL);
	cmd.nr_uids = OPTS_GET(opts, nr_uids, 0U);
	cmd.flags = OPTS_GET(opts, flags, 0U) | (cmd.uids ? EXO_XN_ATTACH_UIDS : 0);
	if (machine)
		memcpy(cmd.machine, machine, sizeof(cmd.machine));
	ret = sys_ioctl(env->fd, EXO_XN_ATTACH, &cmd);
	if (said)
		memcpy(said, &cmd, size < sizeof(cmd) ? size : sizeof(cmd));
	return ret ? ret : (int)cmd.out_disk;
}

/**
 * exo_xn_detach() - write everything home and close the device
 * @xn: the disk; nothing can be done with the handle afterwards but to close it. CAP_SYS_ADMIN
 * @flags: 0 or EXO_XN_DETACH_FORCE
 *
 * What was not committed is lost.
 *
 * Return: 0; -EBUSY: somebody has bindings, and no force; -EPERM; -EIO. Thread-safe.
 */
EXPORT int exo_xn_detach(struct exo_xn *xn, uint32_t flags)
{
	struct exo_xn_detach cmd = XN_CMD(xn, .size = sizeof(cmd), .flags = flags);

	return sys_ioctl(xn->env->fd, EXO_XN_DETACH, &cmd);
}

/**
 * exo_xn_grow() - use all of a device that has become larger
 * @xn: the disk; CAP_SYS_ADMIN
 * @out_blocks: of the disk now; may be NULL
 *
 * Return: 0; -EPERM; -EIO. Thread-safe.
 */
EXPORT int exo_xn_grow(struct exo_xn *xn, uint64_t *out_blocks)
{
	struct exo_xn_grow cmd = XN_CMD(xn, .size = sizeof(cmd));
	int ret = sys_ioctl(xn->env->fd, EXO_XN_GROW, &cmd);

	if (out_blocks)
		*out_blocks = cmd.out_blocks;
	return ret;
}

/**
 * exo_xn_quota() - how many blocks a user may have, and has
 * @xn: the disk
 * @uid: one's own, or anybody's with CAP_SYS_ADMIN; 0 with EXO_XN_QUOTA_DEFAULT
 * @flags: 0; EXO_XN_QUOTA_NEXT: of the first uid from @uid on that has blocks or a limit of its own (CAP_SYS_ADMIN);
 *	EXO_XN_QUOTA_DEFAULT: the limit of all who have none of their own
 * @out_quota: is written
 *
 * Return: 0; -EPERM; -ENOENT: nobody comes next. Thread-safe.
 */
EXPORT int exo_xn_quota(struct exo_xn *xn, uint32_t uid, uint32_t flags, struct exo_xn_quota *out_quota)
{
	*out_quota = (struct exo_xn_quota)XN_CMD(xn, .size = sizeof(*out_quota), .flags = flags, .uid = uid);
	return sys_ioctl(xn->env->fd, EXO_XN_QUOTA, out_quota);
}

/**
 * exo_xn_quota_set() - say how many blocks a user may have
 * @xn: the disk; CAP_SYS_ADMIN
 * @uid: whose; 0 with EXO_XN_QUOTA_DEFAULT
 * @flags: 0; EXO_XN_QUOTA_DEFAULT: the limit of all who have none of their own; EXO_XN_QUOTA_FORGET: the default shall
 *	hold for @uid again
 * @blocks: at most; 0: no limit, and with FORGET. Who has more keeps it, and gets nothing
 *
 * Return: 0, and it is durable; -EPERM; -ENOSPC: too many users have limits of their own; -ENOENT: FORGET of what isn't;
 * -EINVAL; -EIO. Thread-safe.
 */
EXPORT int exo_xn_quota_set(struct exo_xn *xn, uint32_t uid, uint32_t flags, uint64_t blocks)
{
	struct exo_xn_quota cmd = XN_CMD(xn, .size = sizeof(cmd), .uid = uid, .blocks = blocks,
					 .flags = flags & EXO_XN_QUOTA_FORGET ? flags : flags | EXO_XN_QUOTA_SET);

	return sys_ioctl(xn->env->fd, EXO_XN_QUOTA, &cmd);
}

/**
 * exo_xn_trim() - discard what is free
 * @xn: the disk; CAP_SYS_ADMIN
 * @start: first block
 * @count: blocks; 0: to the end
 * @out_trimmed: blocks that were discarded; may be NULL
 *
 * Return: 0; -EOPNOTSUPP: the device can't; -EPERM. Thread-safe.
 */
EXPORT int exo_xn_trim(struct exo_xn *xn, uint64_t start, uint64_t count, uint64_t *out_trimmed)
{
	struct exo_xn_trim cmd = XN_CMD(xn, .size = sizeof(cmd), .start = start, .count = count);
	struct exo_xn_disk disk;
	int ret = 0;

	if (!count) {
		ret = exo_xn_disk(xn, &disk);
		cmd.count = !ret && start < disk.out_blocks ? disk.out_blocks - start : 0;
	}
	if (!ret)
		ret = sys_ioctl(xn->env->fd, EXO_XN_TRIM, &cmd);
	if (out_trimmed)
		*out_trimmed = cmd.out_trimmed;
	return ret;
}

/**
 * exo_xn_check() - walk all roots with their own functions
 * @xn: the disk; CAP_SYS_ADMIN
 * @flags: EXO_XN_CHECK_REPAIR, EXO_XN_CHECK_SCRUB
 * @fn: called after each step; may be NULL
 * @ctx: for @fn
 * @out_found: what was found, also if it was stopped
 *
 * Return: 0, also if something is wrong: @out_found says what; -EINTR: @fn stopped it; -EPERM; -EIO.
 * Thread-safe.
 */
EXPORT int exo_xn_check(struct exo_xn *xn, uint32_t flags, exo_xn_check_fn fn, void *ctx,
			struct exo_xn_check *out_found)
{
	struct exo_xn_check cmd = XN_CMD(xn, .size = sizeof(cmd), .flags = flags);
	int ret;

	do {
		ret = sys_ioctl(xn->env->fd, EXO_XN_CHECK, &cmd);
		if (!ret && fn && fn(&cmd, ctx) && !cmd.out_done)
			ret = -EINTR;
	} while (!ret && !cmd.out_done);
	*out_found = cmd;
	return ret;
}

/**
 * exo_xn_disk() - what a disk is
 * @xn: the disk
 * @out_disk: the answer
 *
 * Return: 0; -ENOENT: it was detached. Thread-safe.
 */
EXPORT int exo_xn_disk(struct exo_xn *xn, struct exo_xn_disk *out_disk)
{
	return ask_disk(xn->env, xn->disk, 0, out_disk);
}

/**
 * exo_xn_disk_next() - the disks that are attached, one after the other
 * @env: any
 * @after: 0, then the number of the one before
 * @out_disk: the next one
 *
 * Return: 0; -ENOENT: there are no more. Thread-safe.
 */
EXPORT int exo_xn_disk_next(struct exo_env *env, uint32_t after, struct exo_xn_disk *out_disk)
{
	return ask_disk(env, after, EXO_XN_DISK_NEXT, out_disk);
}

/* The module wants to know exactly how many; the caller need not know where the disk ends. */
static int ask_map(struct exo_xn *xn, uint32_t root, uint64_t start, uint8_t *map, uint32_t count)
{
	struct exo_xn_map cmd = XN_CMD(xn, .size = sizeof(cmd), .start = start, .count = count,
				       .map = (uintptr_t)map, .root = root);
	int ret = sys_ioctl(xn->env->fd, EXO_XN_MAP, &cmd);
	struct exo_xn_disk disk;

	if (ret == -EINVAL && count && !exo_xn_disk(xn, &disk) && start < disk.out_blocks &&
	    count > disk.out_blocks - start) {
		cmd.count = (uint32_t)(disk.out_blocks - start);
		ret = sys_ioctl(xn->env->fd, EXO_XN_MAP, &cmd);
	}
	return ret ? ret : (int)cmd.out_done;
}

/**
 * exo_xn_map() - who has which block
 * @xn: the disk
 * @start: first block
 * @map: room for a byte a block: EXO_XN_FREE, EXO_XN_TAKEN, EXO_XN_MINE, EXO_XN_SYSTEM, EXO_XN_WAITING
 * @count: at most so many
 *
 * Return: bytes written, less than @count at the end of the disk; -errno. Thread-safe.
 */
EXPORT int exo_xn_map(struct exo_xn *xn, uint64_t start, uint8_t *map, uint32_t count)
{
	return ask_map(xn, 0, start, map, count);
}

/**
 * exo_xn_map_root() - which blocks a root has
 * @xn: the disk
 * @root: number of an own root; of any with CAP_SYS_ADMIN
 * @start: first block
 * @map: room for a byte a block: EXO_XN_MINE if it is the root's, and not if it isn't
 * @count: at most so many
 *
 * Return: bytes written, less than @count at the end of the disk; -EACCES; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_map_root(struct exo_xn *xn, uint32_t root, uint64_t start, uint8_t *map,
			   uint32_t count)
{
	return root ? ask_map(xn, root, start, map, count) : -EINVAL;
}

/**
 * struct search - a run of free blocks that grows as the map is read
 * @xn: the disk
 * @wanted: how long it must be
 * @first: where it begins
 * @length: how long it is so far
 */
struct search {
	struct exo_xn *xn;
	uint32_t wanted;
	uint64_t first;
	uint64_t length;
};

/* Reads the map from @start to @end: 1: found, 0: not, -errno. */
static int search_from(struct search *search, uint64_t start, uint64_t end)
{
	uint8_t map[MAP_CHUNK];
	uint32_t chunk = 256;	/* what is wanted is mostly near */
	const uint8_t *at;
	int got, i;

	search->length = 0;
	while (start < end) {
		got = exo_xn_map(search->xn, start, map,
				 end - start < chunk ? (uint32_t)(end - start) : chunk);
		if (got <= 0)
			return got;
		for (i = 0; i < got; i++) {
			if (map[i] != EXO_XN_FREE) {
				search->length = 0;
				at = memchr(&map[i], EXO_XN_FREE, (size_t)(got - i));
				if (!at)
					break;
				i = (int)(at - map);
			}
			if (!search->length++)
				search->first = start + (uint64_t)i;
			if (search->length == search->wanted)
				return 1;
		}
		start += (uint64_t)got;
		chunk = 2 * chunk < MAP_CHUNK ? 2 * chunk : MAP_CHUNK;
	}
	return 0;
}

/**
 * exo_xn_find_free() - choose blocks
 * @xn: the disk
 * @near: where they should be; 0: anywhere
 * @count: how many in a row
 * @out_block: the first
 *
 * The first run behind @near, else the first on the disk. Whoever allocates may find that somebody was
 * faster (-EBUSY), and asks again.
 *
 * Return: 0; -ENOSPC: there is no such run; -EINVAL: @count is 0. Thread-safe.
 */
EXPORT int exo_xn_find_free(struct exo_xn *xn, uint64_t near, uint32_t count, uint64_t *out_block)
{
	struct search search = { .xn = xn, .wanted = count };
	struct exo_xn_disk disk;
	uint64_t end;
	int ret;

	if (!count)
		return -EINVAL;
	ret = exo_xn_disk(xn, &disk);
	if (ret)
		return ret;
	if (near < disk.out_first)
		near = disk.out_first;
	ret = near < disk.out_blocks ? search_from(&search, near, disk.out_blocks) : 0;
	if (!ret) {
		/* A run may begin before @near and end behind it. */
		end = near + count - 1 < disk.out_blocks ? near + count - 1 : disk.out_blocks;
		ret = search_from(&search, disk.out_first, end);
	}
	if (ret < 0)
		return ret;
	*out_block = search.first;
	return ret ? 0 : -ENOSPC;
}
