// SPDX-License-Identifier: GPL-2.0
/*
 * The engine's own reads and writes. A write or flush that fails leaves nobody knowing what is on the
 * disk: nothing more is written then, until it is attached again and recovered (INV-XN-9).
 */
#include "core/xn_core.h"

/**
 * exo_xn_read_blocks() - read
 * @xn: disk
 * @block: first
 * @count: how many
 * @to: room
 *
 * Context: disk lock; sleeps. Return: 0 or -EIO.
 */
int exo_xn_read_blocks(struct exo_xn *xn, u64 block, u32 count, void *to)
{
	xn->read += count;
	return xn->host->read(xn, block, count, to) ? -EIO : 0;
}

/**
 * exo_xn_write_blocks() - write
 * @xn: disk
 * @block: first
 * @count: how many
 * @from: what
 * @flags: EXO_XN_PREFLUSH, EXO_XN_FUA
 *
 * Context: disk lock; sleeps. Return: 0 or -EIO: the disk is failed.
 */
int exo_xn_write_blocks(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags)
{
	if (xn->failed)
		return -EIO;
	if (xn->host->write(xn, block, count, from, flags))
		xn->failed = true;
	return xn->failed ? -EIO : 0;
}

/**
 * exo_xn_flush() - make durable what was written
 * @xn: disk
 *
 * Context: disk lock; sleeps. Return: 0 or -EIO: the disk is failed.
 */
int exo_xn_flush(struct exo_xn *xn)
{
	if (xn->failed)
		return -EIO;
	if (xn->host->flush(xn))
		xn->failed = true;
	return xn->failed ? -EIO : 0;
}

/**
 * exo_xn_super_write() - write the next superblock
 * @xn: disk; the log's tail is at its head, all before is at home
 *
 * It goes where the older of the two is, so one of them is always whole.
 *
 * Context: disk lock; sleeps. Return: 0 or -EIO: the disk is failed.
 */
int exo_xn_super_write(struct exo_xn *xn)
{
	struct exo_xn_super *super = (void *)xn->io;
	int ret;

	__builtin_memset(super, 0, EXO_XN_BLOCK);
	super->seq = xn->super_seq + 1;
	__builtin_memcpy(super->uuid, xn->uuid, sizeof(super->uuid));
	super->blocks = xn->blocks;
	super->quotas = xn->quotas;
	super->taken = xn->taken_committed;
	super->log_blocks = xn->log_blocks;
	super->tail = xn->log_head;
	super->tail_seq = xn->log_seq;
	__builtin_memcpy(super->machine, xn->machine, sizeof(super->machine));
	__builtin_memcpy(super->uids, xn->uids, sizeof(super->uids));
	exo_xn_super_build(xn->host->crc, super);
	ret = exo_xn_write_blocks(xn, super->seq & 1, 1, super, EXO_XN_FUA);
	if (!ret)
		xn->super_seq++;
	return ret;
}
