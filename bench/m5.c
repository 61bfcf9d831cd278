// SPDX-License-Identifier: GPL-2.0
/*
 * M5: one process allocates a page and gives it to another, which stores into it.
 *
 * Both sides send over one existing socketpair (of packets: the cheapest kind): exo a capability
 * (32 bytes), Linux a descriptor of a memfd (SCM_RIGHTS). The clock runs from before the allocation
 * to after the first store in the other process. The giver then checks that the store arrived.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 200
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)

/**
 * struct shared - seen by both processes
 * @passed: sum of the rounds' times, by the taker
 * @start: of this round, by the giver
 * @value: what the taker is to store
 * @found: what was in the page before
 */
struct shared {
	double passed;
	uint64_t start;
	uint64_t value;
	uint64_t found;
};

static struct shared *shared;
static int sock[2]; /* giver, taker */

static void send_all(int fd, const void *data, size_t length)
{
	if (send(fd, data, length, 0) != (ssize_t)length)
		bench_fail("send: %s", strerror(errno));
}

static void receive_all(int fd, void *data, size_t length)
{
	ssize_t got = recv(fd, data, length, 0);

	if (!got)
		_exit(0);
	if (got != (ssize_t)length)
		bench_fail("recv: %s", strerror(errno));
}

static void store_first(volatile uint64_t *word)
{
	shared->found = *word;
	*word = shared->value;
	shared->passed += bench_since(shared->start);
}

/* ---- exo ---- */

static void exo_take(void)
{
	struct exo_env *env = bench_env(0);
	struct exo_view *view = bench_view(env, REGION_PAGES, 0, 0);
	char *base = exo_view_base(view);
	struct exo_cap cap;
	uint32_t frame;

	for (;;) {
		receive_all(sock[1], &cap, sizeof(cap));
		bench_must(exo_view_import(view, 0, &cap, RW, NULL), "import and bind");
		store_first(bench_word(base, 0));
		send_all(sock[1], "", 1);
		receive_all(sock[1], &frame, sizeof(frame));
		/* The owner freed the frame, so it is gone from the view. */
		send_all(sock[1], "", 1);
	}
}

struct giver {
	struct exo_env *env;
	struct exo_view *view;
	char *base;
	uint64_t zeroed; /* rounds in which the frame had been zeroed */
};

static double exo_give(void *ctx)
{
	struct giver *g = ctx;
	struct exo_cap cap;
	struct exo_mem_alloc_opts opts = EXO_OPTS(exo_mem_alloc, .rights = RW, .caps = &cap);
	uint64_t last = 0;
	uint32_t frame;
	char ack;
	int i;

	shared->passed = 0;
	g->zeroed = 0;
	for (i = 0; i < ROUNDS; i++) {
		shared->value = last + 1;
		shared->start = bench_now();
		bench_must(exo_mem_alloc(g->env, &opts, &frame, 1, NULL), "frame, capability");
		send_all(sock[0], &cap, sizeof(cap));
		receive_all(sock[0], &ack, 1);
		if (i && !shared->found)
			g->zeroed++;
		bench_must(exo_view_bind1(g->view, 0, frame, EXO_RIGHT_READ), "bind");
		bench_assert(*bench_word(g->base, 0) == last + 1);
		last++;
		bench_must(exo_mem_free(g->env, &frame, 1, NULL), "free");
		send_all(sock[0], &frame, sizeof(frame));
		receive_all(sock[0], &ack, 1);
	}
	return shared->passed / ROUNDS;
}

/* ---- Linux ---- */

static void send_fd(int to, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(to, &msg, 0) != 1)
		bench_fail("sendmsg: %s", strerror(errno));
}

static int receive_fd(int from)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(from, &msg, 0) != 1)
		_exit(0);
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		bench_fail("no descriptor came");
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

static char *map_fd(int fd)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	return page;
}

static void memfd_take(void)
{
	char *page;
	int fd;

	for (;;) {
		fd = receive_fd(sock[1]);
		page = map_fd(fd);
		/* The store is the first touch: a load before it would be a second fault. */
		*bench_word(page, 0) = shared->value;
		shared->passed += bench_since(shared->start);
		munmap(page, PAGE);
		close(fd);
		send_all(sock[1], "", 1);
	}
}

static double memfd_give(void *ctx)
{
	uint64_t value;
	char ack, *page;
	int i, fd;

	(void)ctx;
	shared->passed = 0;
	for (i = 0; i < ROUNDS; i++) {
		shared->value = (uint64_t)i + 1;
		shared->start = bench_now();
		fd = memfd_create("bench", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, PAGE))
			bench_fail("memfd: %s", strerror(errno));
		send_fd(sock[0], fd);
		receive_all(sock[0], &ack, 1);
		page = map_fd(fd);
		value = *bench_word(page, 0);
		bench_assert(value == (uint64_t)i + 1);
		munmap(page, PAGE);
		close(fd);
	}
	return shared->passed / ROUNDS;
}

static double with_taker(void (*take)(void), double (*give)(void *), void *ctx)
{
	double figure;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		bench_fail("socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (!pid) {
		close(sock[0]);
		take();
	}
	close(sock[1]);
	figure = bench_measure("M5", give, ctx);
	close(sock[0]);
	waitpid(pid, NULL, 0);
	return figure;
}

void m5_run(void)
{
	struct giver giver = { 0 };
	double ours, peer, zeroed;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	peer = with_taker(memfd_take, memfd_give, NULL);
	giver.env = bench_env(64);
	giver.view = bench_view(giver.env, REGION_PAGES, 0, 0);
	giver.base = exo_view_base(giver.view);
	ours = with_taker(exo_take, exo_give, &giver);
	/* A frame that returns to its last owner is not zeroed; if it was, subtract that, too. */
	zeroed = (double)giver.zeroed / (ROUNDS - 1);
	bench_row("M5", "allocate, share, first store in another process",
		  ours - zeroed * bench_zero_cost(), peer - bench_zero_cost(),
		  "memfd, SCM_RIGHTS, mmap",
		  "one existing socketpair; with zeroing the peer is at %.0f, ours at %.0f", peer,
		  ours);
}
