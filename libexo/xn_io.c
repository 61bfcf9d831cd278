// SPDX-License-Identifier: LGPL-2.1-or-later
/* Data blocks: extent bindings, and I/O between them and frames. */
#include "xn.h"

/**
 * exo_xn_bind() - bind data blocks for I/O
 * @xn: the disk
 * @root: number of the root
 * @unit: points at all of them as EXO_XN_DATA, and was read before
 * @block: the first
 * @count: how many
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE; acl() is asked for each
 * @out_binding: its number in this environment, until exo_xn_unbind() or the environment's end
 *
 * Return: 0; -ENOENT: @unit was not read, or doesn't own them; -EACCES; -EINVAL; -EDQUOT; -ENOMEM.
 * Thread-safe.
 */
EXPORT int exo_xn_bind(struct exo_xn *xn, uint32_t root, uint64_t unit, uint64_t block,
		       uint32_t count, uint32_t rights, uint32_t *out_binding)
{
	struct exo_xn_bind cmd = XN_CMD(xn, .size = sizeof(cmd), .root = root, .block = block,
					.parent = unit, .count = count, .rights = rights,
					.keys = xn_keys(xn), .nr_keys = xn->nr_keys);
	int ret = sys_ioctl(xn->env->fd, EXO_XN_BIND, &cmd);

	if (!ret)
		*out_binding = cmd.out_binding;
	return ret;
}

/**
 * exo_xn_unbind() - give a binding up
 * @xn: the disk
 * @binding: its number; I/O that is under way is waited for
 *
 * Return: 0; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_unbind(struct exo_xn *xn, uint32_t binding)
{
	struct exo_xn_unbind cmd = { .size = sizeof(cmd), .binding = binding };

	return sys_ioctl(xn->env->fd, EXO_XN_UNBIND, &cmd);
}

/* Those that have frames are cut up. */
static int io(struct exo_xn *xn, struct exo_xn_io *cmd, const uint32_t *frames)
{
	uint32_t left = cmd->count;
	int ret;

	cmd->size = sizeof(*cmd);
	do {
		if (frames) {
			cmd->count = left < EXO_XN_IO_BLOCKS ? left : EXO_XN_IO_BLOCKS;
			cmd->frames = cmd->count == 1 ? frames[0] : (uintptr_t)frames;
			frames += cmd->count;
		}
		ret = sys_ioctl(xn->env->fd, EXO_XN_IO, cmd);
		cmd->offset += cmd->count;
		left -= cmd->count;
	} while (!ret && left);
	return ret;
}

/**
 * exo_xn_io_read() - read blocks into frames
 * @xn: the disk
 * @binding: made with EXO_RIGHT_READ
 * @offset: first block, counted from the binding's first
 * @frames: own ones, one a block
 * @count: blocks
 *
 * A block that was not written since it was allocated reads as zeros.
 *
 * Return: 0; -ESTALE: the blocks were freed, or the disk is gone; -EACCES: a frame, or the right;
 * -EINVAL: outside the binding; -EIO. Thread-safe.
 */
EXPORT int exo_xn_io_read(struct exo_xn *xn, uint32_t binding, uint32_t offset,
			  const uint32_t *frames, uint32_t count)
{
	struct exo_xn_io cmd = {
		.kind = EXO_XN_IO_READ,
		.binding = binding,
		.offset = offset,
		.count = count,
	};

	return io(xn, &cmd, frames);
}

/**
 * exo_xn_io_write() - write blocks from frames
 * @xn: the disk
 * @binding: made with EXO_RIGHT_WRITE
 * @offset: first block, counted from the binding's first
 * @frames: own ones, one a block
 * @count: blocks
 * @flags: 0 or EXO_XN_IO_DURABLE: durable when it returns
 *
 * Return: as exo_xn_io_read(). Thread-safe.
 */
EXPORT int exo_xn_io_write(struct exo_xn *xn, uint32_t binding, uint32_t offset,
			   const uint32_t *frames, uint32_t count, uint32_t flags)
{
	struct exo_xn_io cmd = {
		.flags = flags,
		.kind = EXO_XN_IO_WRITE,
		.binding = binding,
		.offset = offset,
		.count = count,
	};

	return io(xn, &cmd, frames);
}

/**
 * exo_xn_io_zero() - write zeros
 * @xn: the disk
 * @binding: made with EXO_RIGHT_WRITE
 * @offset: first block, counted from the binding's first
 * @count: blocks
 * @flags: 0 or EXO_XN_IO_DURABLE
 *
 * Return: as exo_xn_io_read(). Thread-safe.
 */
EXPORT int exo_xn_io_zero(struct exo_xn *xn, uint32_t binding, uint32_t offset, uint32_t count,
			  uint32_t flags)
{
	struct exo_xn_io cmd = {
		.flags = flags,
		.kind = EXO_XN_IO_ZERO,
		.binding = binding,
		.offset = offset,
		.count = count,
	};

	return io(xn, &cmd, NULL);
}

/**
 * exo_xn_io_discard() - say that the content of blocks doesn't matter any more
 * @xn: the disk
 * @binding: made with EXO_RIGHT_WRITE
 * @offset: first block, counted from the binding's first
 * @count: blocks
 *
 * Return: as exo_xn_io_read(); -EOPNOTSUPP: the device can't. Thread-safe.
 */
EXPORT int exo_xn_io_discard(struct exo_xn *xn, uint32_t binding, uint32_t offset, uint32_t count)
{
	struct exo_xn_io cmd = {
		.kind = EXO_XN_IO_DISCARD,
		.binding = binding,
		.offset = offset,
		.count = count,
	};

	return io(xn, &cmd, NULL);
}

/**
 * exo_xn_io_flush() - make what was written durable
 * @xn: the disk
 * @binding: any of the disk
 *
 * Return: 0; -ESTALE; -EIO. Thread-safe.
 */
EXPORT int exo_xn_io_flush(struct exo_xn *xn, uint32_t binding)
{
	struct exo_xn_io cmd = { .kind = EXO_XN_IO_FLUSH, .binding = binding };

	return io(xn, &cmd, NULL);
}
