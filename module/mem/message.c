// SPDX-License-Identifier: GPL-2.0
/*
 * Capabilities through a socket, in the call that makes them (EXO_ALLOC_SEND) or imports them
 * (EXO_IMPORT_RECEIVE): what send(2) and recv(2) of the caller's would do, with the caller's
 * credentials and the security module's leave, without a system call and a copy for it.
 *
 * Only AF_UNIX: a capability is of no use to another machine, and only of these sockets is it known
 * that MSG_DONTWAIT waits for nobody. Messages come from the module's own memory and go there; no control
 * data is taken, so that descriptors which somebody sends along are closed (INV-CAP-10).
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/net.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/socket.h>

#include "dev.h"
#include "mem/message.h"

/**
 * exo_message_socket() - the socket behind a descriptor of the caller's
 * @fd: descriptor
 *
 * Context: may sleep.
 * Return: it, with a reference, for sockfd_put(); -EBADF, -ENOTSOCK or -EAFNOSUPPORT.
 */
struct socket *exo_message_socket(int fd)
{
	struct socket *sock;
	int err;

	sock = sockfd_lookup(fd, &err);
	if (unlikely(!sock))
		return ERR_PTR(err);
	if (unlikely(READ_ONCE(sock->ops)->family != AF_UNIX)) {
		sockfd_put(sock);
		return ERR_PTR(-EAFNOSUPPORT);
	}
	return sock;
}

/**
 * exo_message_send() - send capabilities as one message
 * @sock: from exo_message_socket()
 * @caps: them, in the module's memory
 * @count: how many, at most EXO_MESSAGE_CAPS
 *
 * Context: may sleep for memory; never waits for the receiver, and no SIGPIPE comes of it.
 * Return: bytes sent, of a stream perhaps fewer than all; or as send(2).
 */
int exo_message_send(struct socket *sock, struct exo_cap *caps, u32 count)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vec = { .iov_base = caps, .iov_len = count * sizeof(*caps) };

	return kernel_sendmsg(sock, &msg, &vec, 1, vec.iov_len);
}

/* Returns bytes, which are in @caps; *@more: there were more in the packet. */
static int receive(const struct exo_mem_import *cmd, struct exo_cap *caps, bool *more)
{
	struct kvec vec = { .iov_base = caps, .iov_len = cmd->count * sizeof(*caps) };
	struct msghdr msg = { };
	int ret, flags = MSG_WAITALL;
	struct socket *sock;

	sock = exo_message_socket(cmd->sock);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	if (cmd->flags & EXO_IMPORT_DONTWAIT || sock->file->f_flags & O_NONBLOCK)
		flags |= MSG_DONTWAIT;
	ret = kernel_recvmsg(sock, &msg, &vec, 1, vec.iov_len, flags);
	sockfd_put(sock);
	*more = msg.msg_flags & MSG_TRUNC;
	return ret;
}

/* Write what came to the caller's memory. False: that faulted. */
static __always_inline bool tell(const struct exo_mem_import *cmd, const struct exo_cap *caps,
				 u32 bytes)
{
	struct exo_cap __user *user = u64_to_user_ptr(cmd->caps_ptr);

	if (likely(bytes == sizeof(*caps)))
		return exo_cap_tell(user, caps);
	return !copy_to_user(user, caps, bytes);
}

/* Import @n capabilities; @caps may be the one in @cmd. */
static __always_inline int import_all(struct exo_env *env, struct exo_mem_import *cmd,
				      const struct exo_cap *caps, u32 n)
{
	u32 page = cmd->page;
	int ret = 0;

	while (!ret && cmd->out_done < n) {
		if (caps != &cmd->cap)
			cmd->cap = caps[cmd->out_done];
		ret = exo_import_one(env, cmd);
		if (ret || ++cmd->out_done == n)
			break;
		if (cmd->flags & EXO_IMPORT_BIND)
			cmd->page += 1U << cmd->out_order;
		if (fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	/* That is the caller's. */
	cmd->page = page;
	return ret;
}

/**
 * exo_message_import() - receive capabilities, hand them to the caller, import them
 * @env: who presents them
 * @cmd: checked; out_received says how many bytes the caller has, out_done how many capabilities were
 *	imported
 *
 * Nothing is held while it waits: the environment, its views and what else comes into it are looked up
 * when the message is there. What was received is in the caller's memory before any of it is imported
 * (INV-CAP-10): a refused capability isn't lost.
 *
 * Context: waits as recv(2) does, until a signal comes.
 * Return: 0, also at the end of the stream; -EBADF, -ENOTSOCK, -EAFNOSUPPORT; as recv(2), -ERESTARTSYS
 * among them; -EFAULT: what came is lost; -EMSGSIZE: no whole number of capabilities, or too many;
 * -ENOMEM before anything was received; as exo_import_one().
 */
int exo_message_import(struct exo_env *env, struct exo_mem_import *cmd)
{
	struct exo_cap *caps = &cmd->cap;
	bool more;
	int ret;

	if (cmd->count > 1) {
		caps = kmalloc_array(cmd->count, sizeof(*caps), GFP_KERNEL_ACCOUNT);
		if (!caps)
			return -ENOMEM;
	}
	ret = receive(cmd, caps, &more);
	if (ret <= 0)
		goto out;
	if (unlikely(!tell(cmd, caps, ret))) {
		ret = -EFAULT;
		goto out;
	}
	cmd->out_received = ret;
	if (unlikely(more || ret % sizeof(*caps)))
		ret = -EMSGSIZE;
	else
		ret = import_all(env, cmd, caps, ret / sizeof(*caps));
out:
	if (caps != &cmd->cap)
		kfree(caps);
	return ret;
}
