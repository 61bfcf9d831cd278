// SPDX-License-Identifier: GPL-2.0
/* Commands through io_uring: the same table, the same rules. */
#include <liburing.h>
#include <sys/socket.h>

#include "abi_table.h"

static struct io_uring ring;

static void ring_init(unsigned int flags)
{
	int fd = t_open();

	t_need_feature(fd, EXO_FEATURE_URING, "io_uring commands");
	close(fd);
	ASSERT_EQ(io_uring_queue_init(8, &ring, flags), 0);
}

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe)
		FAIL("the ring is full");
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static int uring_reserved(int fd, unsigned int cmd, void *arg, uint64_t reserved)
{
	struct io_uring_sqe *sqe = get_sqe();
	struct exo_uring_cmd body = { (uintptr_t)arg, reserved };
	struct io_uring_cqe *cqe;
	int ret;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd;
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &body, sizeof(body));
	ASSERT_EQ(io_uring_submit(&ring), 1);
	ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

static int uring(int fd, unsigned int cmd, void *arg)
{
	return uring_reserved(fd, cmd, arg, 0);
}

/* Catches: a second way in with other rules (INV-REQ-4). */
TEST(uring__same_table)
{
	unsigned char buf[BUF];
	unsigned int i, nr;
	int fd;

	ring_init(0);
	fd = t_open();
	for (i = 0; i < NR_COMMANDS; i++) {
		const struct command *c = each(i);
		uint32_t size = c->size, shorter = c->size - 8, longer = c->size + 16;
		int ret;

		memset(buf, 0, sizeof(buf));
		memcpy(buf, &size, 4);
		ret = uring(fd, c->cmd, buf);
		if (c->who) {
			ASSERT_EQ_FOR(ret, -EOPNOTSUPP, "%s", c->name);
			continue;
		}
		ASSERT_EQ_FOR(ret, call_zero(fd, c, c->size), "%s", c->name);
		memset(buf, 0, sizeof(buf));
		memcpy(buf, &shorter, 4);
		ASSERT_EQ_FOR(uring(fd, c->cmd, buf), -EINVAL, "%s", c->name);
		memset(buf, 0, sizeof(buf));
		memcpy(buf, &longer, 4);
		ASSERT_EQ_FOR(uring(fd, c->cmd, buf), call_zero(fd, c, c->size), "%s", c->name);
		buf[longer - 1] = 1;
		memcpy(buf, &longer, 4);
		ASSERT_EQ_FOR(uring(fd, c->cmd, buf), -E2BIG, "%s", c->name);
		ASSERT_EQ_FOR(uring(fd, c->cmd, NULL), -EFAULT, "%s", c->name);
		memcpy(buf, &size, 4);
		ASSERT_EQ_FOR(uring_reserved(fd, c->cmd, buf, 1), -EINVAL, "%s", c->name);
	}
	for (nr = 0x70; nr < 256; nr += 17)
		ASSERT_EQ(uring(fd, _IO(EXO_TYPE, nr), buf), -ENOTTY);
}

/* Catches: requests of a worker that miss what they wrote, or lose the count (INV-REQ-3). */
TEST(uring__works)
{
	uint32_t frames[64];
	struct exo_mem_alloc alloc = { .size = sizeof(alloc), .count = 64,
				       .frames_ptr = (uintptr_t)frames };
	struct exo_mem_op op = { .count = 1, .rights = RW };
	struct exo_mem_batch batch = { .size = sizeof(batch), .count = 1, .ops = (uintptr_t)&op };
	struct view view;
	int fd;

	ring_init(0);
	fd = t_open();
	t_view(fd, 512, 0, 0, &view);
	ASSERT_EQ(uring(fd, EXO_MEM_ALLOC, &alloc), 0);
	ASSERT_EQ(alloc.out_done, 64);
	op.frame = frames[5];
	batch.view = view.id;
	ASSERT_EQ(uring(fd, EXO_MEM_BIND, &batch), 0);
	ASSERT_EQ(batch.out_done, 1);
	*t_page(&view, 0) = 77;
	ASSERT_EQ(t_peek(fd, frames[5]), 77);
	ASSERT_EQ(uring(fd, EXO_MEM_BIND, &batch), -EBUSY);
	ASSERT_EQ(batch.out_done, 0);
	batch.out_done = 0;
	op = (struct exo_mem_op){ .count = 1 };
	ASSERT_EQ(uring(fd, EXO_MEM_UNBIND, &batch), 0);
	ASSERT_EQ(view.slots[0], 0);
}

/*
 * Sending never waits, so a worker may do it; receiving does. Catches: a worker that waits for another
 * process (INV-CAP-10), or one with other descriptors.
 */
TEST(uring__message)
{
	uint32_t frame;
	struct exo_cap cap, caps[2];
	struct exo_mem_alloc alloc = { .size = sizeof(alloc), .flags = EXO_ALLOC_SEND, .count = 1,
				       .frames_ptr = (uintptr_t)&frame, .rights = RW,
				       .caps_ptr = (uintptr_t)&cap };
	struct exo_mem_import import = { .size = sizeof(import), .flags = EXO_IMPORT_RECEIVE,
					 .count = 2, .caps_ptr = (uintptr_t)caps };
	int fd, s[2];

	ring_init(0);
	fd = t_open();
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	alloc.sock = s[0];
	import.sock = s[1];
	ASSERT_EQ(uring(fd, EXO_MEM_ALLOC, &alloc), 0);
	ASSERT_EQ(alloc.out_sent, sizeof(cap));
	ASSERT_EQ(uring(fd, EXO_MEM_IMPORT, &import), -EOPNOTSUPP);
	import.flags |= EXO_IMPORT_DONTWAIT;
	ASSERT_EQ(uring(fd, EXO_MEM_IMPORT, &import), -EOPNOTSUPP);
	/* The message is still there. */
	ASSERT_EQ(t_ioctl(fd, EXO_MEM_IMPORT, &import), 0);
	ASSERT_EQ(import.out_done, 1);
	ASSERT_EQ(memcmp(&cap, caps, sizeof(cap)), 0);
	close(s[1]);
	ASSERT_EQ(uring(fd, EXO_MEM_ALLOC, &alloc), 0);
	ASSERT_EQ(alloc.out_sent, -EPIPE);
}

/* Catches: an environment that outlives its file because a request in flight was lost (INV-ENV-1). */
TEST(uring__fixed_file)
{
	struct exo_info info = { .size = sizeof(info) };
	struct exo_uring_cmd body = { (uintptr_t)&info, 0 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int fd;

	ring_init(0);
	fd = t_open();
	ASSERT_EQ(io_uring_register_files(&ring, &fd, 1), 0);
	close(fd);
	sqe = get_sqe();
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = 0;
	sqe->flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
	sqe->cmd_op = EXO_INFO;
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &body, sizeof(body));
	ASSERT_EQ(io_uring_submit(&ring), 1);
	ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
	ASSERT_EQ(cqe->res, 0);
	ASSERT_GT(info.out_frames, 0);
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
}

/* Catches: completions that nobody polls for. */
TEST(uring__iopoll)
{
	struct exo_info info = { .size = sizeof(info) };
	int fd, ret;

	ring_init(IORING_SETUP_IOPOLL);
	fd = t_open();
	ret = uring(fd, EXO_INFO, &info);
	/* Newer kernels complete it without polling. */
	if (ret)
		ASSERT_EQ(ret, -EOPNOTSUPP);
	else
		ASSERT_GT(info.out_env, 0);
}
