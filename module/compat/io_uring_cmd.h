/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/io_uring/cmd.h: 6.7 moved it out of linux/io_uring.h, and the sqe into struct
 * io_uring_cmd.
 */
#ifndef EXO_COMPAT_IO_URING_CMD_H
#define EXO_COMPAT_IO_URING_CMD_H

#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/* The 16 bytes of a command in the sqe. They may be in memory that user space still writes. */
static inline const void *exo_uring_payload(const struct io_uring_cmd *cmd)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

#endif
