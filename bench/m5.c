// SPDX-License-Identifier: GPL-2.0
/*
 * M5: one process allocates a page and gives it to another, which stores into it.
 *
 * Both sides send over one existing socketpair (of packets: the cheapest kind): exo a capability
 * (32 bytes), Linux a descriptor of a memfd (SCM_RIGHTS). The clock runs from before the allocation
 * to after the first store in the other process. The giver then checks that the store arrived.
 *
 * exo's giver allocates and sends with one call, its taker receives, imports and binds with one. With a
 * call for each (send(2), recv(2)) it is M5.separate. Linux has no fewer calls than it makes here.
 *
 * On one processor the giver is preempted before the taker runs, and that is in the clock of both. A
 * taker that is a real-time process (M5.fifo) runs as soon as the message is there, as it would on
 * another processor. What the message alone costs (32 bytes, a store into
 * memory that both have mapped) is measured, too, for the note.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 192
#define BATCH 32
#define NR_NONE 0xff
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)

/**
 * struct shared - seen by both processes
 * @passed: sum of the rounds' times, by the taker
 * @start: of this round, by the giver
 * @value: what the taker is to store
 * @found: what was in the page before
 * @word: to store into, for the message alone
 */
struct shared {
	double passed;
	uint64_t start;
	uint64_t value;
	uint64_t found;
	uint64_t word;
};

static struct shared *shared;
static int sock[2]; /* giver, taker */
static int fifo;    /* the taker is a real-time process */

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

/**
 * struct giver - the exo side that gives
 * @batch: frames that are allocated in one call, and sent one by one; 0: one, in the same call
 * @zeroed: rounds in which the frame had been zeroed
 */
struct giver {
	struct exo_env *env;
	struct exo_view *view;
	char *base;
	uint32_t batch;
	uint64_t zeroed;
};

/* ---- what is none of either side's work: system calls, the message ---- */

/* One that the module refuses at once, because there is no such command. */
static double empty_calls(void *ctx)
{
	struct giver *g = ctx;
	int i, fd = exo_env_fd(g->env);
	uint64_t start = bench_now();

	for (i = 0; i < ROUNDS; i++)
		bench_assert(ioctl(fd, _IO(EXO_TYPE, NR_NONE), NULL) == -1 && errno == ENOTTY);
	return bench_since(start) / ROUNDS;
}

static void bare_take(void)
{
	struct exo_cap cap;

	for (;;) {
		receive_all(sock[1], &cap, sizeof(cap));
		store_first(&shared->word);
		send_all(sock[1], "", 1);
	}
}

static double bare_give(void *ctx)
{
	struct exo_cap cap = { 0 };
	char ack;
	int i;

	(void)ctx;
	shared->passed = 0;
	for (i = 0; i < ROUNDS; i++) {
		shared->value = (uint64_t)i + 1;
		shared->start = bench_now();
		send_all(sock[0], &cap, sizeof(cap));
		receive_all(sock[0], &ack, 1);
		bench_assert(shared->word == (uint64_t)i + 1);
	}
	return shared->passed / ROUNDS;
}

/* ---- exo ---- */

/*
 * One call, always the same page: the giver frees the frame before it sends the next, and so that is gone
 * from the view.
 */
static void exo_take_one_call(void)
{
	struct exo_env *env = bench_env(0);
	struct exo_view *view = bench_view(env, REGION_PAGES, 0, 0);
	volatile uint64_t *word = bench_word(exo_view_base(view), 0);
	struct exo_receive_opts opts = EXO_OPTS(exo_receive, .sock = sock[1], .count = 1);
	struct exo_cap cap;
	uint32_t done;

	opts.caps = &cap;
	for (;;) {
		bench_must(exo_view_receive(view, 0, RW, &opts, &done), "receive, import, bind");
		if (!done)
			_exit(0);
		store_first(word);
		send_all(sock[1], "", 1);
	}
}

/*
 * A frame a message; each goes to the next page. The giver says when it has freed them, and so they are
 * gone from the view.
 */
static void exo_take(void)
{
	struct exo_env *env = bench_env(0);
	struct exo_view *view = bench_view(env, REGION_PAGES, 0, 0);
	char *base = exo_view_base(view);
	struct exo_cap cap;
	uint32_t page = 0;

	for (;;) {
		receive_all(sock[1], &cap, sizeof(cap));
		if (!cap.kind) {
			page = 0;
		} else {
			bench_must(exo_view_import(view, page, &cap, RW, NULL), "import and bind");
			store_first(bench_word(base, page));
			page++;
		}
		send_all(sock[1], "", 1);
	}
}

/* The taker says that it has stored: what, and where? */
static void exo_check_given(struct giver *g, uint32_t frame, uint64_t value)
{
	char ack;

	receive_all(sock[0], &ack, 1);
	if (!shared->found)
		g->zeroed++;
	bench_must(exo_view_bind1(g->view, 0, frame, EXO_RIGHT_READ), "bind");
	bench_assert(*bench_word(g->base, 0) == value);
	bench_must(exo_view_unbind1(g->view, 0), "unbind");
}

static double exo_give_one_call(void *ctx)
{
	struct giver *g = ctx;
	struct exo_cap cap;
	int i, sent;
	struct exo_mem_alloc_opts opts = EXO_OPTS(exo_mem_alloc, .flags = EXO_ALLOC_SEND, .rights = RW,
						  .caps = &cap, .sock = sock[0], .out_sent = &sent);
	uint32_t frame;

	shared->passed = 0;
	g->zeroed = 0;
	for (i = 0; i < ROUNDS; i++) {
		shared->value = (uint64_t)i + 1;
		shared->start = bench_now();
		bench_must(exo_mem_alloc(g->env, &opts, &frame, 1, NULL), "frame, capability");
		bench_assert(sent == sizeof(cap));
		exo_check_given(g, frame, (uint64_t)i + 1);
		bench_must(exo_mem_free(g->env, &frame, 1, NULL), "free");
	}
	return shared->passed / ROUNDS;
}

static void exo_give_one(struct giver *g, const struct exo_cap *cap, uint64_t value)
{
	shared->value = value;
	send_all(sock[0], cap, sizeof(*cap));
	exo_check_given(g, (uint32_t)cap->object, value);
}

/* The first frame's clock begins before the allocation, those of the others before the message. */
static double exo_give(void *ctx)
{
	const struct exo_cap end = { 0 };
	struct giver *g = ctx;
	struct exo_cap caps[BATCH];
	struct exo_mem_alloc_opts opts = EXO_OPTS(exo_mem_alloc, .rights = RW, .caps = caps);
	uint32_t frames[BATCH], i, k;
	char ack;

	shared->passed = 0;
	g->zeroed = 0;
	for (i = 0; i < ROUNDS; i += g->batch) {
		shared->start = bench_now();
		bench_must(exo_mem_alloc(g->env, &opts, frames, g->batch, NULL),
			   "frames, capabilities");
		for (k = 0; k < g->batch; k++) {
			if (k)
				shared->start = bench_now();
			exo_give_one(g, &caps[k], i + k + 1);
		}
		bench_must(exo_mem_free(g->env, frames, g->batch, NULL), "free");
		send_all(sock[0], &end, sizeof(end));
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
	const struct sched_param param = { .sched_priority = 1 };
	double figure;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		bench_fail("socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (!pid) {
		close(sock[0]);
		if (fifo && sched_setscheduler(0, SCHED_FIFO, &param))
			bench_fail("SCHED_FIFO: %s", strerror(errno));
		take();
	}
	close(sock[1]);
	figure = bench_measure("M5", give, ctx);
	close(sock[0]);
	waitpid(pid, NULL, 0);
	return figure;
}

/* @batch: see struct giver. A frame that returns to its last owner is not zeroed; if it was, that is subtracted, too. */
static double exo_figure(struct giver *giver, uint32_t batch)
{
	double figure;

	giver->batch = batch;
	figure = batch ? with_taker(exo_take, exo_give, giver) :
			 with_taker(exo_take_one_call, exo_give_one_call, giver);
	return figure - (double)giver->zeroed / ROUNDS * bench_zero_cost();
}

/**
 * struct names - the rows of one kind of taker
 */
struct names {
	const char *id;
	const char *measure;
	const char *separate_id;
	const char *separate_measure;
	const char *batch_id;
	const char *batch_measure;
};

static void rows(struct giver *giver, const struct names *names)
{
	static const char peer_name[] = "memfd, SCM_RIGHTS, mmap";
	double bare, ours, separate, batch, peer, calls = 2 * bench_measure("M5", empty_calls, giver);

	bare = with_taker(bare_take, bare_give, NULL);
	peer = with_taker(memfd_take, memfd_give, NULL) - bench_zero_cost();
	ours = exo_figure(giver, 0);
	separate = exo_figure(giver, 1);
	batch = exo_figure(giver, BATCH);
	bench_row(names->id, names->measure, ours, peer, peer_name,
		  "ours: one call allocates and sends, one receives, imports and binds; with send(2) and recv(2) by themselves it is %.0f. A message and the switch alone, with these two, are %.0f",
		  separate, bare);
	bench_row(names->separate_id, names->separate_measure, separate, peer, peer_name,
		  "of both, the message and the switch alone are %.0f; of ours, two ioctls that do nothing are %.0f and all that they do %.0f (an eighth of it the MAC). Did they nothing at all, it would be %.2f x. Without the message: %.0f and %.0f, %.1f x",
		  bare, calls, separate - bare - calls, peer / (bare + calls), separate - bare,
		  peer - bare, (peer - bare) / (separate - bare));
	bench_row(names->batch_id, names->batch_measure, batch, peer, peer_name,
		  "not the definition of M5: %d frames and capabilities in one call, given one by one with send(2) and recv(2); the message and the switch alone are %.0f of both",
		  BATCH, bare);
}

void m5_run(void)
{
	static const struct names other = {
		"M5", "allocate, share, first store in another process",
		"M5.separate", "the same, sent and received by calls of their own",
		"M5.batch32", "32 frames allocated in one call; share, first store; per page",
	};
	static const struct names soon = {
		"M5.fifo", "allocate, share, first store in a process that runs as soon as it is told",
		"M5.fifo.separate", "the same, sent and received by calls of their own",
		"M5.fifo.batch32", "the same, 32 frames allocated in one call; per page",
	};
	struct giver giver = { 0 };

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_fail("mmap: %s", strerror(errno));
	giver.env = bench_env(2 * BATCH);
	giver.view = bench_view(giver.env, REGION_PAGES, 0, 0);
	giver.base = exo_view_base(giver.view);
	rows(&giver, &other);
	fifo = 1;
	rows(&giver, &soon);
}
