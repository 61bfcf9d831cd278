// SPDX-License-Identifier: GPL-2.0
/*
 * Import that receives what it imports: whatever comes, and while nothing does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "message_setup.h"

/* ---- receiving (INV-CAP-10) ---- */

TEST(receive__end)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct both b = both(types[i]);
		struct taken t;

		close(b.s[0]);
		ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), 0);
		ASSERT_EQ(t.received, 0);
		ASSERT_EQ(t.done, 0);
		ASSERT_EQ(b.view.slots[0], 0);
		ASSERT_EQ(take(&b.view, b.s[1], 0, 2, &t), 0);
		ASSERT_EQ(t.done, 0);
	}
}

TEST(receive__nothing_there)
{
	struct both b = both(SOCK_SEQPACKET);
	struct exo_mem_import arg;
	struct timeval tv = { .tv_usec = 1000 };
	struct taken t;

	take_arg(&b.view, b.s[1], 0, 1, &t, &arg);
	arg.flags |= EXO_IMPORT_DONTWAIT;
	ASSERT_EQ(take_call(b.taker, &arg, &t), -EAGAIN);
	ASSERT_EQ(t.received, 0);
	/* As recv(2) does. */
	ASSERT_EQ(setsockopt(b.s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), -EAGAIN);
	ASSERT_EQ(fcntl(b.s[1], F_SETFL, O_NONBLOCK), 0);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 2, &t), -EAGAIN);
}

/* Catches: half a capability that is imported, and bytes that nobody gets. */
TEST(receive__wrong_length)
{
	static const int lengths[][3] = {
		/* length, room, bytes that come */
		{ 1, 1, 1 }, { 31, 1, 31 }, { 33, 1, 32 }, { 64, 1, 32 }, { 33, 2, 33 }, { 65, 2, 64 },
		{ 128, 3, 96 },
	};
	struct both b = both(SOCK_SEQPACKET);
	struct given g;
	struct taken t;
	unsigned int i;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 4, &g);
	ASSERT_EQ(recv(b.s[1], &t, sizeof(t), 0), 4 * CAP);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int length = lengths[i][0], came = lengths[i][2];

		ASSERT_EQ(send(b.s[0], g.caps, (size_t)length, 0), length);
		ASSERT_EQ_FOR(take(&b.view, b.s[1], 0, (uint32_t)lengths[i][1], &t), -EMSGSIZE,
			      "%d bytes", length);
		ASSERT_EQ(t.received, came);
		ASSERT_EQ(t.done, 0);
		ASSERT_EQ(memcmp(t.caps, g.caps, (size_t)came), 0);
		ASSERT_EQ(((unsigned char *)t.caps)[came], 0x55);
		ASSERT_EQ(b.view.slots[0], 0);
		ASSERT_NOT_IMPORTED(&b, g.frames[0]);
		ASSERT_TRUE(nothing_there(b.s[1]));
	}
	/* An empty packet is what recv(2) makes of it. */
	ASSERT_EQ(send(b.s[0], "", 0, 0), 0);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), 0);
	ASSERT_EQ(t.done, 0);
}

struct feeder {
	int sock;
	const char *bytes;
	int length;
};

static void *feed(void *ctx)
{
	struct feeder *f = ctx;
	int i;

	for (i = 0; i < f->length; i++) {
		ASSERT_EQ(send(f->sock, f->bytes + i, 1, 0), 1);
		if (i % 8 == 0)
			sched_yield();
	}
	return NULL;
}

/* Catches: a stream whose first bytes are taken for all. */
TEST(receive__pieces)
{
	struct both b = both(SOCK_STREAM);
	struct feeder feeder = { .sock = b.s[0], .length = 3 * CAP };
	pthread_t thread;
	struct given g;
	struct taken t;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 4, &g);
	ASSERT_EQ(recv(b.s[1], &t, sizeof(t), 0), 4 * CAP);
	feeder.bytes = (const char *)g.caps;
	ASSERT_EQ(pthread_create(&thread, NULL, feed, &feeder), 0);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 3, &t), 0);
	ASSERT_EQ(t.received, 3 * CAP);
	ASSERT_EQ(t.done, 3);
	ASSERT_EQ(pthread_join(thread, NULL), 0);

	/* One and a half, and the end: the bytes are the caller's. */
	ASSERT_EQ(send(b.s[0], g.caps, 48, 0), 48);
	close(b.s[0]);
	ASSERT_EQ(take(&b.view, b.s[1], 100, 2, &t), -EMSGSIZE);
	ASSERT_EQ(t.received, 48);
	ASSERT_EQ(t.done, 0);
	ASSERT_EQ(b.view.slots[100], 0);
	ASSERT_EQ(memcmp(t.caps, g.caps, 48), 0);
}

/* Whole ones before the end are imported, as read(2) gives what there was. */
TEST(receive__fewer_and_the_end)
{
	struct both b = both(SOCK_STREAM);
	struct given g;
	struct taken t;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 2, &g);
	close(b.s[0]);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 5, &t), 0);
	ASSERT_EQ(t.received, 2 * CAP);
	ASSERT_EQ(t.done, 2);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 5, &t), 0);
	ASSERT_EQ(t.received, 0);
}

/* Catches: a capability that is lost because it was refused, or one after it that is done. */
TEST(receive__refused)
{
	struct both b = both(SOCK_SEQPACKET);
	struct exo_cap forged;
	struct given g;
	struct taken t;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 3, &g);
	ASSERT_EQ(recv(b.s[1], &t, sizeof(t), 0), 3 * CAP);
	forged = g.caps[0];
	forged.rights |= EXO_RIGHT_WINDOW;
	ASSERT_EQ(send(b.s[0], &forged, sizeof(forged), 0), CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), -EACCES);
	ASSERT_EQ(t.received, CAP);
	ASSERT_EQ(t.done, 0);
	ASSERT_EQ(memcmp(t.caps, &forged, CAP), 0);
	ASSERT_NOT_IMPORTED(&b, g.frames[0]);

	ASSERT_EQ(t_cap_revoke_own(b.giver, g.frames[1]), 0);
	ASSERT_EQ(send(b.s[0], g.caps, 3 * CAP, 0), 3 * CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 10, 3, &t), -ESTALE);
	ASSERT_EQ(t.received, 3 * CAP);
	ASSERT_EQ(t.done, 1);
	ASSERT_EQ(t.frame, g.frames[0]);
	ASSERT_EQ(memcmp(t.caps, g.caps, 3 * CAP), 0);
	ASSERT_NE(b.view.slots[10], 0);
	ASSERT_EQ(b.view.slots[11] | b.view.slots[12], 0);
	ASSERT_NOT_IMPORTED(&b, g.frames[2]);

	/* The page is taken: what came is imported with another call. */
	ASSERT_EQ(send(b.s[0], &g.caps[2], CAP, 0), CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 10, 1, &t), -EBUSY);
	ASSERT_NOT_IMPORTED(&b, g.frames[2]);
	ASSERT_EQ(t_import(b.taker, &t.caps[0], NULL, NULL), 0);
	/* Beyond the view: the first fits. */
	ASSERT_EQ(send(b.s[0], &g.caps[2], CAP, 0), CAP);
	ASSERT_EQ(take(&b.view, b.s[1], 2048, 1, &t), -EINVAL);
	ASSERT_EQ(t.received, CAP);
}

/* Catches: something that is charged or imported when the caller can't be told what came. */
TEST(receive__fault)
{
	struct both b = both(SOCK_SEQPACKET);
	struct exo_mem_import arg;
	struct given g;
	struct taken t;
	unsigned int i;
	char *mem;

	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(munmap(mem + PAGE, PAGE), 0);
	for (i = 1; i < 3; i++) {
		uint64_t bad[] = { 0, (uintptr_t)mem + PAGE - CAP * i + 1, 0xffff888000000000UL,
				   0xfffffffffffffff0UL };
		unsigned int k;

		for (k = 0; k < 4; k++) {
			give(b.giver, b.s[0], EXO_ALLOC_ANY, i, &g);
			take_arg(&b.view, b.s[1], 0, i, &t, &arg);
			arg.caps_ptr = bad[k];
			ASSERT_EQ(take_call(b.taker, &arg, &t), -EFAULT);
			ASSERT_EQ(t.received, 0);
			ASSERT_EQ(t.done, 0);
			ASSERT_EQ(b.view.slots[0], 0);
			ASSERT_NOT_IMPORTED(&b, g.frames[0]);
			ASSERT_TRUE(nothing_there(b.s[1]));
			ASSERT_EQ(t_free(b.giver, g.frames, i, NULL), 0);
		}
	}
}

/*
 * Somebody sends a descriptor along. Catches: a file that stays open, because nobody closes what nobody
 * gets. A pipe has an end when all writers are closed.
 */
TEST(receive__descriptors)
{
	struct both b = both(SOCK_SEQPACKET);
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct given g;
	struct iovec iov = { .iov_base = g.caps, .iov_len = CAP };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct taken t;
	int p[2], next;
	char byte;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(recv(b.s[1], &t, sizeof(t), 0), CAP);
	ASSERT_EQ(pipe2(p, O_NONBLOCK), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &p[1], sizeof(int));
	ASSERT_EQ(sendmsg(b.s[0], &msg, 0), CAP);
	next = dup(0);
	close(next);
	close(p[1]);
	/* The message has it: the pipe isn't at its end. */
	ASSERT_EQ(read(p[0], &byte, 1), -1);
	ASSERT_EQ(errno, EAGAIN);
	ASSERT_EQ(take(&b.view, b.s[1], 0, 1, &t), 0);
	ASSERT_EQ(t.done, 1);
	ASSERT_EQ(read(p[0], &byte, 1), 0);
	/* And no new descriptor of ours. */
	ASSERT_LE(dup(0), next);
}

/* ---- while it waits (INV-CAP-10) ---- */

struct waiter {
	struct both *b;
	struct taken t;
	pthread_t thread;
	pid_t tid;
};

static void *wait_for_one(void *ctx)
{
	struct waiter *w = ctx;

	__atomic_store_n(&w->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	take(&w->b->view, w->b->s[1], 5, 1, &w->t);
	return NULL;
}

/* Until it sleeps in an ioctl. */
static void until_asleep(pid_t pid)
{
	char path[64], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	while (strncmp(text, "16 ", 3)) {
		sched_yield();
		fd = open(path, O_RDONLY);
		ASSERT_GE(fd, 0);
		ASSERT_GT(read(fd, text, sizeof(text) - 1), 0);
		close(fd);
	}
}

static void start_waiter(struct waiter *w)
{
	w->tid = 0;
	ASSERT_EQ(pthread_create(&w->thread, NULL, wait_for_one, w), 0);
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	until_asleep(w->tid);
}

/* Catches: a lock that is held meanwhile: everything else goes on, in the view that it is for, too. */
TEST(wait__others_go_on)
{
	struct both b = both(SOCK_SEQPACKET);
	struct waiter w = { .b = &b };
	uint32_t own = t_frame(b.taker);
	struct given g;

	start_waiter(&w);
	ASSERT_EQ(t_bind(&b.view, 0, 1, own, RW), 0);
	*t_page(&b.view, 0) = 1;
	ASSERT_EQ(t_unbind(&b.view, 0, 1), 0);
	ASSERT_EQ(t_free1(b.taker, own), 0);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, 0);
	ASSERT_EQ(w.t.done, 1);
	ASSERT_NE(b.view.slots[5], 0);
}

/* Catches: what was looked up before the wait and is gone after it. */
TEST(wait__view_goes)
{
	struct both b = both(SOCK_SEQPACKET);
	struct waiter w = { .b = &b };
	struct given g;

	start_waiter(&w);
	t_view_end(&b.view);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, -ENOENT);
	ASSERT_EQ(w.t.received, CAP);
	ASSERT_EQ(memcmp(w.t.caps, g.caps, CAP), 0);
	ASSERT_EQ(t_drop(b.taker, g.frames[0]), -EACCES);
}

/* Catches: an environment, or a socket, that ends under its waiter. */
TEST(wait__closed_by_another_thread)
{
	struct both b = both(SOCK_SEQPACKET);
	struct waiter w = { .b = &b };
	struct given g;

	start_waiter(&w);
	close(b.taker);
	close(b.s[1]);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(g.sent, CAP);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, 0);
	ASSERT_EQ(w.t.done, 1);
	/* The view's mapping keeps the environment. */
	*t_page(&b.view, 5) = 3;
	ASSERT_EQ(t_peek(b.giver, g.frames[0]), 3);
}

/* The child has copies of all descriptors, and no view. Catches: a wait that a fork ends or doubles. */
TEST(wait__fork)
{
	struct both b = both(SOCK_SEQPACKET);
	struct waiter w = { .b = &b };
	struct given g;
	struct taken t;
	pid_t pid;

	start_waiter(&w);
	pid = test_fork();
	if (!pid) {
		give(b.giver, b.s[0], EXO_ALLOC_ANY, 2, &g);
		ASSERT_EQ(g.ret, 0);
		_exit(0);
	}
	test_join(pid);
	/* Two in a packet for one. */
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, -EMSGSIZE);

	pid = test_fork();
	if (!pid) {
		give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
		ASSERT_EQ(take(&b.view, b.s[1], 5, 1, &t), -EACCES);
		ASSERT_EQ(t.received, CAP);
		_exit(0);
	}
	test_join(pid);
	ASSERT_TRUE(nothing_there(b.s[1]));
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void catch_signal(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	ASSERT_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
}

/* Catches: a wait that signals don't end, or one that a handler with SA_RESTART ends. */
TEST(wait__signal)
{
	struct both b = both(SOCK_SEQPACKET);
	struct waiter w = { .b = &b };
	struct given g;

	catch_signal(0);
	start_waiter(&w);
	ASSERT_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, -EINTR);
	ASSERT_EQ(w.t.received, 0);
	ASSERT_EQ(signals, 1);

	catch_signal(SA_RESTART);
	start_waiter(&w);
	ASSERT_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	while (signals < 2)
		sched_yield();
	until_asleep(w.tid);
	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, 0);
	ASSERT_EQ(w.t.done, 1);
}

/* Part of a stream has come: it is not thrown away. Catches: bytes that a restarted call has lost. */
TEST(wait__signal_in_the_middle)
{
	struct both b = both(SOCK_STREAM);
	struct waiter w = { .b = &b };
	struct given g;

	give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
	ASSERT_EQ(recv(b.s[1], &w.t, sizeof(w.t), 0), CAP);
	ASSERT_EQ(send(b.s[0], g.caps, 20, 0), 20);
	catch_signal(SA_RESTART);
	start_waiter(&w);
	/* Asleep for the rest. */
	ASSERT_TRUE(nothing_there(b.s[1]));
	ASSERT_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	ASSERT_EQ(pthread_join(w.thread, NULL), 0);
	ASSERT_EQ(w.t.ret, -EMSGSIZE);
	ASSERT_EQ(w.t.received, 20);
	ASSERT_EQ(memcmp(w.t.caps, g.caps, 20), 0);
	ASSERT_NOT_IMPORTED(&b, g.frames[0]);
}

/* Catches: a waiter that can't be killed, and what its environment had. The harness counts what is left. */
TEST(wait__killed)
{
	struct test_sync *ready = test_shared(sizeof(*ready));
	const struct exo_table *table;
	int fd = t_open(), i;
	uint64_t before;

	table = t_table(fd);
	before = table->free;
	for (i = 0; i < 8; i++) {
		pid_t pid;

		test_sync_init(ready);
		pid = test_fork();
		if (!pid) {
			struct both b = both(i & 1 ? SOCK_STREAM : SOCK_SEQPACKET);
			uint32_t frames[16];
			struct taken t;

			t_alloc_any(b.taker, frames, 16);
			ASSERT_EQ(t_bind(&b.view, 0, 1, frames[0], RW), 0);
			test_sync_post(ready);
			take(&b.view, b.s[1], 5, i & 2 ? 1 : 64, &t);
			_exit(0);
		}
		test_sync_wait(ready);
		until_asleep(pid);
		ASSERT_EQ(table->free, before - 16);
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		test_join_killed(pid, SIGKILL);
		while (table->free != before)
			sched_yield();
	}
}

/* ---- all of it at once ---- */

#define LATE 8

/*
 * The giver frees what it gives, sooner or later; the taker has it or is told ESTALE, and reads nothing
 * but what the giver wrote for it, or zeros. Catches: a frame of somebody else in the view.
 */
TEST_LONG(message__against_free, 120)
{
	unsigned int rounds = test_rounds(3000, 10), i, stale = 0, bound = 0;
	struct both b = both(SOCK_SEQPACKET);
	uint64_t start = test_now_ns();
	struct taken t;
	pid_t pid;

	pid = test_fork();
	if (!pid) {
		uint32_t late[LATE] = { 0 };
		struct given g;

		close(b.s[1]);
		for (i = 0; i < rounds && !test_late(start, 20000); i++) {
			give(b.giver, b.s[0], EXO_ALLOC_ANY, 1, &g);
			ASSERT_EQ(g.ret, 0);
			while (g.sent == -EAGAIN) {
				sched_yield();
				g.sent = (int)send(b.s[0], g.caps, CAP, MSG_DONTWAIT);
				if (g.sent < 0)
					g.sent = -errno;
			}
			ASSERT_EQ(g.sent, CAP);
			/* About when the taker comes to it. */
			if (i >= LATE)
				ASSERT_EQ(t_free1(b.giver, late[i % LATE]), 0);
			late[i % LATE] = g.frames[0];
		}
		_exit(0);
	}
	close(b.s[0]);
	while (1) {
		uint64_t value;

		take(&b.view, b.s[1], 9, 1, &t);
		if (!t.ret && !t.received)
			break;
		ASSERT_EQ(t.received, CAP);
		if (t.ret) {
			ASSERT_EQ(t.ret, -ESTALE);
			stale++;
			continue;
		}
		bound++;
		if (!t_load(t_page(&b.view, 9), &value))
			ASSERT_EQ(value, 0);
		ASSERT_EQ(t_unbind(&b.view, 9, 1), 0);
	}
	test_join(pid);
	test_note("%u bound, %u stale", bound, stale);
	ASSERT_GT(bound, 0);
}
