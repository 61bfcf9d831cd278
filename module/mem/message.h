/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Capabilities that are sent and received by the call that makes or imports them. See message.c.
 */
#ifndef EXO_MEM_MESSAGE_H
#define EXO_MEM_MESSAGE_H

#include <linux/uaccess.h>

#include <exo/exo.h>

struct exo_env;
struct socket;

/* Write a capability to the caller's memory. False: that faulted. */
static __always_inline bool exo_cap_tell(struct exo_cap __user *user, const struct exo_cap *cap)
{
	u64 __user *to = (u64 __user *)user;
	const u64 *from = (const u64 *)cap;

	BUILD_BUG_ON(sizeof(*cap) != 4 * sizeof(u64));
	if (!user_write_access_begin(to, sizeof(*cap)))
		return false;
	unsafe_put_user(from[0], to, err_fault);
	unsafe_put_user(from[1], to + 1, err_fault);
	unsafe_put_user(from[2], to + 2, err_fault);
	unsafe_put_user(from[3], to + 3, err_fault);
	user_write_access_end();
	return true;

err_fault:
	user_write_access_end();
	return false;
}

/* Is what only EXO_IMPORT_RECEIVE has right? The capability is what comes: there is none now. */
static inline bool exo_message_ok(const struct exo_mem_import *cmd)
{
	const u64 *cap = (const u64 *)&cmd->cap;

	return cmd->count - 1 < EXO_MESSAGE_CAPS && !(cap[0] | cap[1] | cap[2] | cap[3]);
}

struct socket *exo_message_socket(int fd);
int exo_message_send(struct socket *sock, struct exo_cap *caps, u32 count);
int exo_message_import(struct exo_env *env, struct exo_mem_import *cmd);

/* share.c */
int exo_import_one(struct exo_env *env, struct exo_mem_import *cmd);

#endif
