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


/*
 * What runs in the submitter's task when a command is over. EXO_URING_TASK(name, fn) makes what
 * exo_uring_complete_in_task() takes of fn(cmd, issue_flags). On 6.1 exo_uring_done() must not be
 * called from an interrupt, so this is the way everywhere.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define EXO_URING_TASK(_name, _fn) \
	static void _name(struct io_tw_req tw_req, io_tw_token_t tw) \
	{ \
		_fn(io_uring_cmd_from_tw(tw_req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS); \
	}
#define exo_uring_done(cmd, ret, issue_flags) io_uring_cmd_done(cmd, ret, issue_flags)
#else
#define EXO_URING_TASK(_name, _fn) \
	static void _name(struct io_uring_cmd *cmd, unsigned int issue_flags) \
	{ \
		_fn(cmd, issue_flags); \
	}
#define exo_uring_done(cmd, ret, issue_flags) io_uring_cmd_done(cmd, ret, 0, issue_flags)
#endif
#define exo_uring_complete_in_task(cmd, task) io_uring_cmd_complete_in_task(cmd, task)

/*
 * What ->uring_cmd returns to a ring that polls. 6.1 has such a request polled whenever it didn't fail, so
 * one that is over must say so as if it had been under way.
 */
static inline int exo_uring_issued(struct io_uring_cmd *cmd, int ret, unsigned int issue_flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	if (ret >= 0) {
		exo_uring_done(cmd, ret, issue_flags);
		return -EIOCBQUEUED;
	}
#endif
	return ret;
}

/*
 * The same as exo_uring_done() for a command of a ring that polls, in any context: the ring's owner will
 * see it. The ring may be polled by somebody else, so its caches aren't ours.
 */
static inline void exo_uring_polled_done(struct io_uring_cmd *cmd, int ret)
{
	exo_uring_done(cmd, ret, IO_URING_F_UNLOCKED);
}

#endif
