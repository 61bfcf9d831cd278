// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation that sends its capabilities, and import that receives what it imports: what it is for, the
 * struct, and sending. Receiving and waiting are in mem_receive_test.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>

#include "message_setup.h"

uint32_t test_pool_huge = 2;

#define N 100	/* more than the module handles in one step */

static uint32_t held(int fd)
{
	struct exo_env_status st;

	t_status(fd, &st);
	return st.out_frames;
}

/* ---- what it is for ---- */

static void one_call(int type)
{
	struct both b = both(type);
	struct given g;
	struct taken t;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(g.ret, 0);
	ASSERT_EQ(g.done, 1);
	ASSERT_EQ(g.sent, CAP);
	t_fill(b.giver, g.frames[0], 4711);
	ASSERT_EQ(take(&b.view, b.s[1], 7, 1, &t), 0);
	ASSERT_EQ(t.received, CAP);
	ASSERT_EQ(t.done, 1);
	ASSERT_EQ(t.frame, g.frames[0]);
	ASSERT_EQ(t.order, 0);
	ASSERT_EQ(memcmp(t.caps, g.caps, CAP), 0);
	ASSERT_EQ(*t_page(&b.view, 7), 4711);
	*t_page(&b.view, 7) = 4712;
	ASSERT_EQ(t_peek(b.giver, g.frames[0]), 4712);
	/* It is as if the two had sent and received by themselves: the giver still decides. */
	ASSERT_EQ(t_cap_revoke_own(b.giver, g.frames[0]), 0);
	ASSERT_EQ(b.view.slots[7], 0);
}

TEST(message__one_call_packet)
{
	one_call(SOCK_SEQPACKET);
}

TEST(message__one_call_datagram)
{
	one_call(SOCK_DGRAM);
}

TEST(message__one_call_stream)
{
	one_call(SOCK_STREAM);
}

/* Catches: another way for one frame than for any, or capabilities in another order than the frames. */
TEST(message__many)
{
	static const uint32_t hows[] = { EXO_ALLOC_ANY, EXO_ALLOC_THESE, EXO_ALLOC_CONTIG };
	struct both b = both(SOCK_SEQPACKET);
	struct given g;
	struct taken t;
	uint32_t i, k;

	for (k = 0; k < 3; k++) {
		give(b.giver, b.s[0], hows[k], N, &g);
		ASSERT_EQ_FOR(g.ret, 0, "way %u", hows[k]);
		ASSERT_EQ(g.sent, N * CAP);
		for (i = 0; i < N; i++)
			t_fill(b.giver, g.frames[i], 1000 * k + i + 1);
		/* With room for more: a packet is what it is. */
		ASSERT_EQ(take(&b.view, b.s[1], 3, EXO_MESSAGE_CAPS, &t), 0);
		ASSERT_EQ(t.received, N * CAP);
		ASSERT_EQ(t.done, N);
		ASSERT_EQ(t.frame, g.frames[N - 1]);
		ASSERT_EQ(memcmp(t.caps, g.caps, N * CAP), 0);
		for (i = 0; i < N; i++)
			ASSERT_EQ(*t_page(&b.view, 3 + i), 1000 * k + i + 1);
		ASSERT_EQ(t_free(b.giver, g.frames, N, NULL), 0);
	}
	/* As many as there may be. */
	give(b.giver, b.s[0], EXO_ALLOC_ANY, EXO_MESSAGE_CAPS, &g);
	ASSERT_EQ(g.sent, EXO_MESSAGE_CAPS * CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 0, EXO_MESSAGE_CAPS, &t), 0);
	ASSERT_EQ(t.done, EXO_MESSAGE_CAPS);
}

/* Catches: pages that are counted by capabilities. */
TEST(message__huge)
{
	struct both b = both(SOCK_STREAM);
	struct given small, huge;
	struct taken t;

	ASSERT_EQ(t_free1(b.giver, t_huge(b.giver)), 0);
	give(b.giver, b.s[0], EXO_ALLOC_HUGE, 1, &huge);
	ASSERT_EQ(huge.ret, 0);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &small);
	ASSERT_EQ(take(&b.view, b.s[1], 512, 2, &t), 0);
	ASSERT_EQ(t.done, 2);
	ASSERT_EQ(EXO_SLOT_FRAME(b.view.slots[1023]), huge.frames[0] + 511);
	ASSERT_EQ(EXO_SLOT_FRAME(b.view.slots[1024]), small.frames[0]);
	ASSERT_EQ(b.view.slots[1025], 0);
}

/* Without binding, and what can be done with it then. */
TEST(message__import_only)
{
	struct both b = both(SOCK_SEQPACKET);
	struct exo_mem_import arg;
	struct given g;
	struct taken t;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 2, &g);
	take_arg(&b.view, b.s[1], 0, 2, &t, &arg);
	arg.flags = EXO_IMPORT_RECEIVE;
	ASSERT_EQ(take_call(b.taker, &arg, &t), -EINVAL);
	ASSERT_EQ(t.received, 0);
	arg.view = arg.page = arg.rights = 0;
	ASSERT_EQ(take_call(b.taker, &arg, &t), 0);
	ASSERT_EQ(t.done, 2);
	ASSERT_EQ(arg.out_rights, RW);
	ASSERT_EQ(b.view.slots[0], 0);
	ASSERT_EQ(t_bind(&b.view, 0, 1, g.frames[0], RW), 0);
	ASSERT_EQ(t_bind(&b.view, 1, 1, g.frames[1], RW), 0);
}

/* ---- the struct ---- */

/* Catches: values that are ignored today, and a count that is memory. */
TEST(message__bad_values)
{
	static const uint32_t counts[] = { 0, EXO_MESSAGE_CAPS + 1, 1U << 27, ~0U };
	struct both b = both(SOCK_SEQPACKET);
	struct exo_mem_import arg, good;
	struct exo_mem_alloc alloc;
	struct given g;
	struct taken t;
	uint32_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		give(b.giver, b.s[0], EXO_ALLOC_ANY, counts[i], &g);
		ASSERT_EQ_FOR(g.ret, -EINVAL, "%u frames", counts[i]);
		ASSERT_EQ_FOR(take(&b.view, b.s[1], 0, counts[i], &t), -EINVAL, "%u frames", counts[i]);
	}
	alloc = (struct exo_mem_alloc){ .size = sizeof(alloc), .flags = EXO_ALLOC_SEND, .count = 1,
					.frames_ptr = (uintptr_t)g.frames, .sock = b.s[0] };
	ASSERT_EQ(t_ioctl(b.giver, EXO_MEM_ALLOC, &alloc), -EINVAL);
	alloc.caps_ptr = (uintptr_t)g.caps;
	alloc.rights = RW;
	alloc.reserved = 1;
	ASSERT_EQ(t_ioctl(b.giver, EXO_MEM_ALLOC, &alloc), -EINVAL);
	alloc.reserved = 0;
	alloc.flags = 0;
	ASSERT_EQ(t_ioctl(b.giver, EXO_MEM_ALLOC, &alloc), -EINVAL);
	alloc.flags = EXO_ALLOC_COLOUR;
	ASSERT_EQ(t_ioctl(b.giver, EXO_MEM_ALLOC, &alloc), -EINVAL);
	ASSERT_EQ(held(b.giver), 0);
	ASSERT_TRUE(nothing_there(b.s[1]));

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	take_arg(&b.view, b.s[1], 0, 1, &t, &good);
	for (i = 0; i < 4; i++) {
		arg = good;
		((uint64_t *)&arg.cap)[i] = 1ULL << (17 * i % 64);
		ASSERT_EQ_FOR(take_call(b.taker, &arg, &t), -EINVAL, "word %u", i);
	}
	arg = good;
	arg.rights = 0;
	ASSERT_EQ(take_call(b.taker, &arg, &t), -EINVAL);
	/* Each of what only receiving has. */
	for (i = 0; i < 4; i++) {
		arg = (struct exo_mem_import){ .size = sizeof(arg), .cap = g.caps[0],
					       .flags = i == 0 ? EXO_IMPORT_DONTWAIT : 0,
					       .sock = i == 1, .count = i == 2, .caps_ptr = i == 3 };
		ASSERT_EQ_FOR(take_call(b.taker, &arg, &t), -EINVAL, "field %u", i);
		ASSERT_EQ(t.done, 0);
	}
	ASSERT_NOT_IMPORTED(&b, g.frames[0]);
	/* None of this took the message. */
	ASSERT_EQ(take_call(b.taker, &good, &t), 0);
	ASSERT_EQ(t.done, 1);
}

/*
 * Catches: what is no socket being called as one; frames that were allocated before somebody looked;
 * families of which nobody knows that they don't wait.
 */
TEST(message__bad_descriptors)
{
	struct both b = both(SOCK_SEQPACKET);
	struct {
		int fd, err;
	} bad[10];
	unsigned int n = 0, i;
	struct given g;
	struct taken t;
	int p[2];

#define BAD(_fd, _err) (bad[n].fd = (_fd), bad[n++].err = (_err))
	ASSERT_EQ(pipe(p), 0);
	BAD(-1, -EBADF);
	/* One that was open. */
	ASSERT_EQ(dup2(p[1], 900), 900);
	close(900);
	BAD(900, -EBADF);
	BAD(1 << 30, -EBADF);
	BAD(p[0], -ENOTSOCK);
	BAD(b.giver, -ENOTSOCK);
	BAD(b.taker, -ENOTSOCK);
	BAD(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), -EAFNOSUPPORT);
	BAD(socket(AF_INET, SOCK_STREAM, 0), -EAFNOSUPPORT);
	BAD(socket(AF_INET, SOCK_DGRAM, 0), -EAFNOSUPPORT);
	for (i = 0; i < n; i++) {
		/* A machine may be without IPv4. */
		if (bad[i].err == -EAFNOSUPPORT && bad[i].fd < 0)
			continue;
		give(b.giver, bad[i].fd, EXO_ALLOC_ANY, 1 + i % 2, &g);
		ASSERT_EQ_FOR(g.ret, bad[i].err, "descriptor %u", i);
		ASSERT_EQ(g.done, 0);
		ASSERT_EQ(g.sent, 0);
		ASSERT_EQ(held(b.giver), 0);
		ASSERT_EQ_FOR(take(&b.view, bad[i].fd, 0, 1 + i % 2, &t), bad[i].err, "descriptor %u", i);
		ASSERT_EQ(t.received, 0);
		ASSERT_EQ(t.done, 0);
	}
}

/* ---- sending (INV-CAP-9) ---- */

static void ASSERT_STANDS(int fd, const struct given *g, int sent)
{
	struct exo_cap made;

	ASSERT_EQ(g->ret, 0);
	ASSERT_EQ(g->done, 1);
	ASSERT_EQ(g->sent, sent);
	ASSERT_EQ(held(fd), 1);
	ASSERT_EQ(t_cap(fd, g->frames[0], RW, &made), 0);
	ASSERT_EQ(memcmp(&made, &g->caps[0], CAP), 0);
	ASSERT_EQ(t_free1(fd, g->frames[0]), 0);
}

/* Catches: a wait for the receiver, or frames that are gone with a message that could not be sent. */
TEST(send__full)
{
	struct both b = both(SOCK_SEQPACKET);
	struct given g;
	struct taken t;

	while (send(b.s[0], "", 1, MSG_DONTWAIT) == 1)
		;
	ASSERT_EQ(errno, EAGAIN);
	/* The socket itself would wait. */
	ASSERT_EQ(fcntl(b.s[0], F_GETFL) & O_NONBLOCK, 0);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_STANDS(b.giver, &g, -EAGAIN);
	while (recv(b.s[1], &t, 1, MSG_DONTWAIT) == 1)
		;
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(g.sent, CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), 0);
	ASSERT_EQ(t.done, 1);
}

/* Catches: SIGPIPE, which would end this. */
TEST(send__nobody_there)
{
	struct both b = both(SOCK_SEQPACKET);
	struct given g;
	int s[2], lone;

	/* Whatever started this may ignore it. */
	signal(SIGPIPE, SIG_DFL);
	close(b.s[1]);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_STANDS(b.giver, &g, -EPIPE);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(s[1]);
	give(b.giver, s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_STANDS(b.giver, &g, -EPIPE);
	lone = socket(AF_UNIX, SOCK_DGRAM, 0);
	give(b.giver, lone, EXO_ALLOC_ANY, 1, &g);
	ASSERT_STANDS(b.giver, &g, -ENOTCONN);
}

/* Catches: capabilities of frames that the caller was not given. */
TEST(send__failed_allocation)
{
	struct both b = both(SOCK_SEQPACKET);
	uint32_t busy = t_frame(b.taker), want[3] = { 0, busy, 0 }, i;
	struct exo_mem_alloc arg;
	struct given g;
	char *mem;

	/* Two that are free, and the taken one between them. */
	t_alloc_any(b.giver, g.frames, 2);
	want[0] = g.frames[0];
	want[2] = g.frames[1];
	ASSERT_EQ(t_free(b.giver, g.frames, 2, NULL), 0);
	memcpy(g.frames, want, sizeof(want));
	give(b.giver, b.s[0], EXO_ALLOC_THESE, 3, &g);
	ASSERT_EQ(g.ret, -EBUSY);
	ASSERT_EQ(g.done, 1);
	ASSERT_EQ(g.sent, 0);
	ASSERT_TRUE(nothing_there(b.s[1]));
	ASSERT_EQ(t_free1(b.giver, want[0]), 0);

	/* The array for the capabilities ends in memory that isn't there. */
	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(munmap(mem + PAGE, PAGE), 0);
	for (i = 1; i < 3; i++) {
		arg = (struct exo_mem_alloc){ .size = sizeof(arg), .flags = EXO_ALLOC_SEND, .count = i,
					      .frames_ptr = (uintptr_t)g.frames, .rights = RW,
					      .caps_ptr = (uintptr_t)mem + PAGE - i * CAP + 8,
					      .sock = b.s[0] };
		ASSERT_EQ(t_ioctl(b.giver, EXO_MEM_ALLOC, &arg), -EFAULT);
		ASSERT_EQ(arg.out_sent, 0);
		ASSERT_EQ(arg.out_done, 0);
		ASSERT_TRUE(nothing_there(b.s[1]));
		ASSERT_EQ(held(b.giver), 0);
	}
}

TEST(send__over_quota)
{
	struct exo_quota quota, old;
	struct both b;
	struct given g;

	t_need_root();
	b = both(SOCK_SEQPACKET);
	old = t_quota(b.giver, 0);
	quota = (struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_FRAMES,
				    .frames = old.out_frames };
	t_quota_set(b.giver, &quota);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	quota.frames = old.frames;
	t_quota_set(b.giver, &quota);
	ASSERT_EQ(g.ret, -EDQUOT);
	ASSERT_EQ(g.sent, 0);
	ASSERT_TRUE(nothing_there(b.s[1]));
	ASSERT_EQ(held(b.giver), 0);
}

/* Catches: what is sent of a stream in pieces being told as all of it. */
TEST(send__stream_in_part)
{
	struct both b = both(SOCK_STREAM);
	static char sink[1 << 16];
	int size = 1, got, total = 0, before = 0;
	struct given g;

	/* Room for one piece more, of which it takes two. */
	ASSERT_EQ(setsockopt(b.s[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	while (send(b.s[0], "", 1, MSG_DONTWAIT) == 1)
		before++;
	ASSERT_EQ(recv(b.s[1], sink, 1, 0), 1);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, EXO_MESSAGE_CAPS, &g);
	ASSERT_EQ(g.ret, 0);
	ASSERT_EQ(g.done, EXO_MESSAGE_CAPS);
	while ((got = (int)recv(b.s[1], sink + total, sizeof(sink) - (size_t)total, MSG_DONTWAIT)) > 0)
		total += got;
	test_note("%d of %d bytes", g.sent, EXO_MESSAGE_CAPS * CAP);
	before--;
	ASSERT_EQ(g.sent, total - before);
	ASSERT_EQ(memcmp(sink + before, g.caps, (size_t)g.sent), 0);
	/* Else this is no test. */
	ASSERT_GT(g.sent, 0);
	ASSERT_LT(g.sent, EXO_MESSAGE_CAPS * CAP);
}
