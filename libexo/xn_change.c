// SPDX-License-Identifier: LGPL-2.1-or-later
/* Units of metadata: reading them, changing them, making changes durable. */
#include <string.h>

#include "xn.h"

#define FIRST_ROOM 16U

/**
 * struct exo_xn_change - steps that happen together
 * @xn: the disk
 * @root: whose units
 * @nr: steps
 * @room: for so many
 * @failed: the first step that could not be remembered: -errno
 * @steps: they
 */
struct exo_xn_change {
	struct exo_xn *xn;
	uint32_t root;
	uint32_t nr;
	uint32_t room;
	int failed;
	struct exo_xn_step *steps;
};

/**
 * exo_xn_read_unit() - read a unit
 * @xn: the disk
 * @read: what and where to; size, disk and keys are set here
 *
 * Return: 0; -ENOENT: @read->parent was not read before, or doesn't point at it; -EACCES; -EINVAL: what
 * is there is no unit of the template; -EIO; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_read_unit(struct exo_xn *xn, struct exo_xn_read *read)
{
	read->size = sizeof(*read);
	read->disk = xn->disk;
	read->keys = xn_keys(xn);
	read->nr_keys = xn->nr_keys;
	return sys_ioctl(xn->env->fd, EXO_XN_READ, read);
}

/**
 * exo_xn_read() - read a unit from its beginning
 * @xn: the disk
 * @root: number of the root
 * @parent: a unit that points at it and was read before; @block itself for the root's first unit
 * @block: its first block
 * @bytes: room for @length
 * @length: at most so many
 *
 * Return: bytes read, or as exo_xn_read_unit(). Thread-safe.
 */
EXPORT int exo_xn_read(struct exo_xn *xn, uint32_t root, uint64_t parent, uint64_t block,
		       void *bytes, uint32_t length)
{
	struct exo_xn_read read = {
		.root = root,
		.block = block,
		.parent = parent,
		.bytes = (uintptr_t)bytes,
		.length = length,
	};
	int ret = exo_xn_read_unit(xn, &read);

	return ret ? ret : (int)read.out_done;
}

/**
 * exo_xn_change_begin() - an empty change
 * @xn: the disk
 * @root: whose units it will change
 * @out_change: the change, until exo_xn_change_end()
 *
 * Nothing is asked of the module before it is applied.
 *
 * Return: 0; -ENOMEM. A change is one thread's at a time.
 */
EXPORT int exo_xn_change_begin(struct exo_xn *xn, uint32_t root, struct exo_xn_change **out_change)
{
	struct exo_xn_change *change = lib_zalloc(sizeof(*change));

	if (!change)
		return -ENOMEM;
	change->xn = xn;
	change->root = root;
	*out_change = change;
	return 0;
}

/**
 * exo_xn_change_end() - free a change
 * @change: what was not applied is forgotten; NULL is nothing
 */
EXPORT void exo_xn_change_end(struct exo_xn_change *change)
{
	if (!change)
		return;
	lib_free(change->steps);
	lib_free(change);
}

/**
 * exo_xn_change_clear() - forget the steps of a change
 * @change: is empty afterwards
 */
EXPORT void exo_xn_change_clear(struct exo_xn_change *change)
{
	change->nr = 0;
	change->failed = 0;
}

static int make_room(struct exo_xn_change *change)
{
	uint32_t room = change->room ? change->room * 2 : FIRST_ROOM;
	struct exo_xn_step *steps;

	if (change->nr == EXO_XN_STEPS)
		return -E2BIG;
	if (change->nr < change->room)
		return 0;
	steps = lib_zalloc(room * sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	if (change->nr)
		memcpy(steps, change->steps, change->nr * sizeof(*steps));
	lib_free(change->steps);
	change->steps = steps;
	change->room = room;
	return 0;
}

static int add(struct exo_xn_change *change, const struct exo_xn_step *step)
{
	int ret = change->failed ? change->failed : make_room(change);

	if (ret) {
		change->failed = ret;
		return ret;
	}
	change->steps[change->nr++] = *step;
	return 0;
}

static int add_bytes(struct exo_xn_change *change, uint32_t kind, uint64_t unit, uint32_t offset,
		     const void *bytes, uint32_t length)
{
	struct exo_xn_step step = {
		.kind = kind,
		.parent = unit,
		.offset = offset,
		.length = length,
		.bytes = (uintptr_t)bytes,
	};

	return add(change, &step);
}

static int add_blocks(struct exo_xn_change *change, uint32_t kind, uint64_t from, uint64_t unit,
		      uint64_t block, uint32_t count, uint32_t slot)
{
	struct exo_xn_step step = {
		.kind = kind,
		.slot = slot,
		.parent = unit,
		.block = block,
		.count = count,
		.from = from,
	};

	return add(change, &step);
}

/**
 * exo_xn_change_write() - bytes of a unit become these
 * @change: the change
 * @unit: first block of a unit that was read, or that the change makes
 * @offset: in the unit
 * @bytes: not copied: they stay as they are until the change was applied
 * @length: how many
 *
 * Return: 0; -ENOMEM, -E2BIG: and then exo_xn_change_apply() says the same.
 */
EXPORT int exo_xn_change_write(struct exo_xn_change *change, uint64_t unit, uint32_t offset,
			       const void *bytes, uint32_t length)
{
	return add_bytes(change, EXO_XN_WRITE, unit, offset, bytes, length);
}

/**
 * exo_xn_change_new() - all bytes of a unit that the change allocates
 * @change: the change
 * @unit: its first block
 * @bytes: not copied
 * @length: whole blocks
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_new(struct exo_xn_change *change, uint64_t unit, const void *bytes,
			     uint32_t length)
{
	return add_bytes(change, EXO_XN_NEW, unit, 0, bytes, length);
}

/**
 * exo_xn_change_alloc() - a unit points at blocks from now on
 * @change: the change, which also writes the bytes that make the unit's owns() say so
 * @unit: that points at them
 * @block: the first; it was free
 * @count: how many; of a unit, as many as its size() says
 * @slot: EXO_XN_DATA, EXO_XN_SELF or 1 .. EXO_XN_REFS
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_alloc(struct exo_xn_change *change, uint64_t unit, uint64_t block,
			       uint32_t count, uint32_t slot)
{
	return add_blocks(change, EXO_XN_ALLOC, 0, unit, block, count, slot);
}

/**
 * exo_xn_change_free() - a unit points at blocks no longer
 * @change: the change
 * @unit: that pointed at them
 * @block: the first
 * @count: how many
 * @slot: as at exo_xn_change_alloc(); a unit that is freed owns nothing
 *
 * The blocks can be allocated again when the change is durable.
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_free(struct exo_xn_change *change, uint64_t unit, uint64_t block,
			      uint32_t count, uint32_t slot)
{
	return add_blocks(change, EXO_XN_FREE_STEP, 0, unit, block, count, slot);
}

/**
 * exo_xn_change_move() - a unit points at what another one pointed at
 * @change: the change
 * @from: points at it no longer
 * @to: points at it from now on
 * @block: the first
 * @count: how many
 * @slot: as at exo_xn_change_alloc()
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_move(struct exo_xn_change *change, uint64_t from, uint64_t to,
			      uint64_t block, uint32_t count, uint32_t slot)
{
	return add_blocks(change, EXO_XN_MOVE, from, to, block, count, slot);
}

/**
 * exo_xn_change_link() - a second pointer
 * @change: the change
 * @from: points at it already
 * @unit: points at it, too, from now on
 * @block: the first
 * @count: how many
 * @slot: as at exo_xn_change_alloc(), the same template as @from's
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_link(struct exo_xn_change *change, uint64_t from, uint64_t unit,
			      uint64_t block, uint32_t count, uint32_t slot)
{
	return add_blocks(change, EXO_XN_LINK, from, unit, block, count, slot);
}

/**
 * exo_xn_change_unlink() - one of several pointers less
 * @change: the change
 * @unit: points at it no longer
 * @block: the first
 * @count: how many
 * @slot: as at exo_xn_change_alloc()
 *
 * Return: as exo_xn_change_write().
 */
EXPORT int exo_xn_change_unlink(struct exo_xn_change *change, uint64_t unit, uint64_t block,
				uint32_t count, uint32_t slot)
{
	return add_blocks(change, EXO_XN_UNLINK, 0, unit, block, count, slot);
}

/**
 * exo_xn_change_command() - the command that applies a change
 * @change: must stay as it is until the command was done
 * @flags: 0 or EXO_XN_APPLY_COMMIT
 * @out_command: filled in
 *
 * For those who submit it themselves (exo_prep_xn_apply()); exo_xn_change_clear() follows then.
 *
 * Return: 0; -ENOMEM, -E2BIG: a step could not be remembered.
 */
EXPORT int exo_xn_change_command(struct exo_xn_change *change, uint32_t flags,
				 struct exo_xn_apply *out_command)
{
	const struct exo_xn *xn = change->xn;

	*out_command = (struct exo_xn_apply)XN_CMD(
		xn, .size = sizeof(*out_command), .flags = flags, .root = change->root,
		.steps = (uintptr_t)change->steps, .nr_steps = change->nr, .keys = xn_keys(xn),
		.nr_keys = xn->nr_keys);
	return change->failed;
}

/**
 * exo_xn_change_apply() - do all steps of a change, or none
 * @change: empty afterwards, or, after a failure, as it was
 * @flags: 0 or EXO_XN_APPLY_COMMIT: and commit
 * @out_said: which step is at fault, or which unit's owns(); may be NULL
 *
 * Everybody sees the change at once. It is durable after a commit.
 *
 * Return: 0; -EINVAL: what owns() says is not what the steps say; -EACCES: acl(); -EBUSY: a block is not
 * free, or a freed unit owns something; -ENOENT: a unit that was not read; -EDQUOT; -ENOSPC: too much for
 * one transaction, or for memory together with what is not committed: commit first; -EIO; -ENOMEM, -E2BIG.
 */
EXPORT int exo_xn_change_apply(struct exo_xn_change *change, uint32_t flags,
			       struct exo_xn_apply *out_said)
{
	struct exo_xn_apply cmd;
	int ret = exo_xn_change_command(change, flags, &cmd);

	if (!ret)
		ret = sys_ioctl(change->xn->env->fd, EXO_XN_APPLY, &cmd);
	if (out_said)
		*out_said = cmd;
	if (!ret)
		exo_xn_change_clear(change);
	return ret;
}

/**
 * exo_xn_commit() - make all changes of a root so far durable
 * @xn: the disk
 * @root: number of the root
 * @out_seq: of the transaction; may be NULL
 *
 * What was written to its data blocks before is durable, too. Roots that are committed at the same time
 * share a transaction.
 *
 * Return: 0; -EIO: nothing more can be made durable until the disk was attached again; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_commit(struct exo_xn *xn, uint32_t root, uint64_t *out_seq)
{
	struct exo_xn_commit cmd = XN_CMD(xn, .size = sizeof(cmd), .root = root);
	int ret = sys_ioctl(xn->env->fd, EXO_XN_COMMIT, &cmd);

	if (out_seq)
		*out_seq = cmd.out_seq;
	return ret;
}
