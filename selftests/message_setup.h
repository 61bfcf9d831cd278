/* SPDX-License-Identifier: GPL-2.0 */
/* Two environments that give and take through a pair of sockets. Each program includes this once. */
#ifndef EXO_MESSAGE_SETUP_H
#define EXO_MESSAGE_SETUP_H

#include <sys/socket.h>

#include "harness.h"
#include "lib.h"

#define CAP ((int)sizeof(struct exo_cap))

/* Two environments and a pair of sockets, s[0] the giver's. */
struct both {
	int giver;
	int taker;
	int s[2];
	struct view view;
};

static struct both both(int type)
{
	struct both b = { .giver = t_open(), .taker = t_open() };

	ASSERT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, b.s), 0);
	t_view(b.taker, 2048, 0, 0, &b.view);
	return b;
}

struct given {
	int ret;
	int sent;
	uint32_t done;
	uint32_t frames[EXO_MESSAGE_CAPS];
	struct exo_cap caps[EXO_MESSAGE_CAPS];
};

static void give(int fd, int sock, uint32_t how, uint32_t count, struct given *g)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = how | EXO_ALLOC_SEND, .count = count,
				     .frames_ptr = (uintptr_t)g->frames, .rights = RW,
				     .caps_ptr = (uintptr_t)g->caps, .sock = sock, .out_sent = 12345 };

	g->ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);
	g->done = arg.out_done;
	g->sent = arg.out_sent;
}

struct taken {
	int ret;
	uint32_t received;
	uint32_t done;
	uint32_t frame;
	uint32_t order;
	struct exo_cap caps[EXO_MESSAGE_CAPS];
};

static void take_arg(const struct view *view, int sock, uint32_t page, uint32_t count, struct taken *t,
		     struct exo_mem_import *arg)
{
	memset(t, 0x55, sizeof(*t));
	*arg = (struct exo_mem_import){ .size = sizeof(*arg),
					.flags = EXO_IMPORT_BIND | EXO_IMPORT_RECEIVE,
					.view = view->id, .page = page, .rights = RW, .sock = sock,
					.count = count, .caps_ptr = (uintptr_t)t->caps,
					.out_done = 777, .out_received = 777 };
}

static int take_call(int fd, struct exo_mem_import *arg, struct taken *t)
{
	struct exo_mem_import before = *arg;

	t->ret = t_ioctl(fd, EXO_MEM_IMPORT, arg);
	/* What is the caller's stays so. */
	ASSERT_EQ(arg->page, before.page);
	ASSERT_EQ(memcmp(&arg->cap, &before.cap, CAP), 0);
	ASSERT_EQ(arg->sock, before.sock);
	ASSERT_EQ(arg->count, before.count);
	t->received = arg->out_received;
	t->done = arg->out_done;
	t->frame = arg->out_frame;
	t->order = arg->out_order;
	return t->ret;
}

static int take(const struct view *view, int sock, uint32_t page, uint32_t count, struct taken *t)
{
	struct exo_mem_import arg;

	take_arg(view, sock, page, count, t, &arg);
	return take_call(view->fd, &arg, t);
}

static bool nothing_there(int sock)
{
	char byte;

	return recv(sock, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == -1 && errno == EAGAIN;
}

/* Nothing was imported: the frame can't be bound by its number. */
static void ASSERT_NOT_IMPORTED(const struct both *b, uint32_t frame)
{
	ASSERT_EQ(t_bind(&b->view, 2000, 1, frame, RO), -EACCES);
	ASSERT_EQ(t_drop(b->taker, frame), -EACCES);
}

#endif
