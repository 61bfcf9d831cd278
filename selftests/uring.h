/* SPDX-License-Identifier: GPL-2.0 */
/* Exo's commands through io_uring. */
#ifndef EXO_TEST_URING_H
#define EXO_TEST_URING_H

#include <liburing.h>
#include <stddef.h>

#include <exo/libexo.h>

#include "harness.h"

/* The next request of the ring: this command of an environment. Its argument is read when it is submitted. Must. */
static inline struct io_uring_sqe *t_prep_cmd(struct io_uring *ring, int fd, uint32_t cmd, const void *arg)
{
	struct exo_uring_cmd body = { (uintptr_t)arg, 0 };
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		FAIL("the ring is full");
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd;
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &body, sizeof(body));
	return sqe;
}

/* Wait for a request to be done, which may be a ring's that polls: what it says. Must. */
static inline int t_reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	do
		ret = io_uring_wait_cqe(ring, &cqe);
	while (ret == -EINTR || ret == -EAGAIN);
	ASSERT_EQ(ret, 0);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

#endif
