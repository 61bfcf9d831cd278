// SPDX-License-Identifier: LGPL-2.1-or-later
/* The buffer registry: entries of blocks, their frames and locks. */
#include <sys/mman.h>

#include "xn.h"

/**
 * exo_xn_entry() - use a block's entry in the buffer registry
 * @xn: the disk
 * @root: number of the root
 * @unit: points at the block as EXO_XN_DATA, and was read before
 * @block: the block; with EXO_XN_ENTRY_UNIT @unit itself
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE; acl() is asked for each
 * @flags: 0; EXO_XN_ENTRY_FRAME: import its frame; EXO_XN_ENTRY_UNIT: the locks of a unit;
 *	EXO_XN_ENTRY_MEMORY: import a frame that is memory of those who have the entry
 * @out: the answer: out_entry is its number in this environment (a binding, until exo_xn_unbind()), out_state, out_index,
 *	out_frame, out_cap
 *
 * Return: 0; -ENOENT: @unit was not read, or doesn't own it; -EACCES; -EINVAL; -EDQUOT, -ENOSPC: no frame;
 * -ESTALE: the frame went between two steps, call again, or, with EXO_XN_ENTRY_MEMORY, it was taken from those who have
 * it; -EBUSY: others have it as memory, or not so; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_entry(struct exo_xn *xn, uint32_t root, uint64_t unit, uint64_t block,
			uint32_t rights, uint32_t flags, struct exo_xn_entry *out)
{
	struct exo_xn_entry cmd = XN_CMD(xn, .size = sizeof(cmd), .flags = flags, .root = root,
					 .block = block, .parent = unit, .rights = rights,
					 .keys = xn_keys(xn), .nr_keys = xn->nr_keys);
	int ret = sys_ioctl(xn->env->fd, EXO_XN_ENTRY, &cmd);

	if (!ret && (flags & (EXO_XN_ENTRY_FRAME | EXO_XN_ENTRY_MEMORY))) {
		ret = exo_mem_import(xn->env, &cmd.out_cap, NULL, NULL, NULL);
		if (ret)
			exo_xn_unbind(xn, cmd.out_entry);
	}
	if (!ret)
		*out = cmd;
	return ret;
}

/**
 * exo_xn_entry_lock() - take, change or give back locks of an entry, all or none of them
 * @xn: the disk
 * @entry: number of the entry
 * @slots: bit n: lock n, of EXO_XN_SLOTS
 * @mode: EXO_XN_UNLOCK, EXO_XN_SHARED, EXO_XN_EXCLUSIVE
 * @flags: 0: wait; EXO_XN_LOCK_TRY
 *
 * Return: 0; -EBUSY; -EACCES; -ENOENT; -ESTALE; -EINTR; -EINVAL. Thread-safe.
 */
EXPORT int exo_xn_entry_lock(struct exo_xn *xn, uint32_t entry, uint32_t slots, uint32_t mode,
			     uint32_t flags)
{
	struct exo_xn_entry_lock cmd = { .size = sizeof(cmd), .flags = flags, .entry = entry,
					 .slots = slots, .mode = mode };

	return sys_ioctl(xn->env->fd, EXO_XN_ENTRY_LOCK, &cmd);
}

static int entries_io(struct exo_xn *xn, uint32_t kind, const uint32_t *entries, uint32_t count,
		      uint32_t flags, uint32_t *out_done)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind };
	uint32_t done = 0;
	int ret = 0;

	while (!ret && done < count) {
		cmd.entries = (uintptr_t)(entries + done);
		cmd.count = count - done < EXO_XN_REG_BATCH ? count - done : EXO_XN_REG_BATCH;
		ret = sys_ioctl(xn->env->fd, EXO_XN_ENTRY_IO, &cmd);
		done += cmd.out_done;
	}
	if (out_done)
		*out_done = done;
	return ret;
}

/**
 * exo_xn_entry_read() - have blocks in their entries' frames
 * @xn: the disk
 * @entries: their numbers
 * @count: how many
 * @out_done: so many are valid; may be NULL
 *
 * Return: 0; -ENOENT; -EACCES; -ESTALE; -EIO. Thread-safe.
 */
EXPORT int exo_xn_entry_read(struct exo_xn *xn, const uint32_t *entries, uint32_t count,
			     uint32_t *out_done)
{
	return entries_io(xn, EXO_XN_ENTRY_READ, entries, count, 0, out_done);
}

/**
 * exo_xn_entry_write() - write what is dirty
 * @xn: the disk
 * @entries: numbers
 * @count: how many
 * @flags: 0 or EXO_XN_IO_DURABLE
 * @out_done: so many are clean; may be NULL
 *
 * Return: 0; -ENOENT; -EACCES; -ESTALE; -EIO. Thread-safe.
 */
EXPORT int exo_xn_entry_write(struct exo_xn *xn, const uint32_t *entries, uint32_t count,
			      uint32_t flags, uint32_t *out_done)
{
	return entries_io(xn, EXO_XN_ENTRY_WRITE, entries, count, flags, out_done);
}

/**
 * exo_xn_entry_dirty() - say that frames are newer than their blocks
 * @xn: the disk
 * @entries: numbers
 * @count: how many
 * @out_done: so many are dirty now; may be NULL
 *
 * Return: 0; -ENOENT; -EACCES; -ESTALE. Thread-safe.
 */
EXPORT int exo_xn_entry_dirty(struct exo_xn *xn, const uint32_t *entries, uint32_t count,
			      uint32_t *out_done)
{
	return entries_io(xn, EXO_XN_ENTRY_DIRTY, entries, count, 0, out_done);
}

/**
 * exo_xn_entry_ahead() - read blocks into the registry ahead of their use
 * @xn: the disk
 * @block: the first
 * @count: how many
 *
 * Return: 0; -ENOENT: one of them is nobody's; -EDQUOT, -ENOSPC: no frames for all of them; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_entry_ahead(struct exo_xn *xn, uint64_t block, uint32_t count)
{
	struct exo_xn_speculate cmd = XN_CMD(xn, .size = sizeof(cmd));
	int ret = 0;

	for (; !ret && count; count -= cmd.count) {
		cmd.block = block;
		cmd.count = count < EXO_XN_REG_BATCH ? count : EXO_XN_REG_BATCH;
		ret = sys_ioctl(xn->env->fd, EXO_XN_SPECULATE, &cmd);
		block += cmd.count;
	}
	return ret;
}

/**
 * exo_xn_entry_table() - map the table of all entries of the disk
 * @xn: the disk
 * @out_table: EXO_XN_REG_BYTES, to read; its EXO_XN_REG_ENTRIES rows follow it
 *
 * Return: 0; -ENOENT: the disk is gone; -EOVERFLOW; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_entry_table(struct exo_xn *xn, const struct exo_xn_reg_table **out_table)
{
	uint64_t offset = EXO_MMAP_XN + ((uint64_t)xn->disk << EXO_MMAP_VIEW_SHIFT);
	void *table = sys_mmap(NULL, EXO_XN_REG_BYTES, PROT_READ, MAP_SHARED, xn->env->fd, offset);

	if (sys_is_err(table))
		return sys_err(table);
	*out_table = table;
	return 0;
}

/**
 * exo_xn_entry_table_end() - unmap it
 * @table: from exo_xn_entry_table(), or NULL
 *
 * Thread-safe.
 */
EXPORT void exo_xn_entry_table_end(const struct exo_xn_reg_table *table)
{
	if (table)
		sys_munmap((void *)table, EXO_XN_REG_BYTES);
}
