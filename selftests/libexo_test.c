// SPDX-License-Identifier: GPL-2.0
/*
 * libexo on the module: each function once, by behaviour, and what several of them do together.
 * Upcalls and monitors are in libexo_fault_test; what needs no module is tested in libexo/test.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "libexo_setup.h"

/* Environments, frames, windows ---------------------------------------------------------------- */

LIBEXO_TEST(libexo__env)
{
	const struct exo_info *info = exo_env_info(env);
	struct exo_env_status status, rows[8];
	const struct exo_table *table, *again;
	struct exo_quota quota;

	CHECK(info->out_frames && info->out_max_ops && info->out_max_pages);
	CHECK(exo_env_status(env, &status) == 0);
	CHECK(status.out_env == info->out_env && status.out_frames >= POOL);
	CHECK(exo_env_list(env, rows, 8, 0) >= 1);
	CHECK(exo_env_table(env, &table) == 0 && exo_env_table(env, &again) == 0 && table == again);
	CHECK(table->frames == info->out_frames && table->present >= POOL);
	CHECK(table->frame[frames[0]].state == EXO_FRAME_TAKEN);
	CHECK(exo_quota_get(env, getuid(), 0, &quota) == 0);
	CHECK(quota.out_frames >= POOL && quota.out_envs >= 1);
	CHECK(exo_env_eventfd(env, -1) == 0);
	CHECK(exo_env_eventfd(env, 12345) < 0);
}

LIBEXO_TEST(libexo__mem_alloc)
{
	uint32_t got[64], done = 99;
	struct exo_mem_alloc_opts opts = EXO_OPTS(exo_mem_alloc, .flags = EXO_ALLOC_THESE);
	const struct exo_table *table;
	struct exo_frame_info infos[2];
	uint32_t first;

	CHECK(exo_mem_alloc_any(env, got, 64) == 0);
	CHECK(exo_mem_free(env, got, 64, &done) == 0 && done == 64);
	/* what has just been free can be had by name; the second time it is taken */
	CHECK(exo_mem_alloc_these(env, got, 3) == 0);
	CHECK(exo_mem_alloc_these(env, got, 1) == -EBUSY);
	/* all or nothing, and not so */
	got[4] = got[0];
	CHECK(exo_mem_alloc_these(env, got + 3, 2) == -EBUSY);
	CHECK(exo_mem_alloc(env, &opts, got + 3, 2, &done) == -EBUSY && done == 1);
	CHECK(exo_mem_free(env, got, 4, NULL) == 0);

	CHECK(exo_env_table(env, &table) == 0);
	CHECK(exo_mem_alloc_colour(env, 0, got, 2) == 0);
	CHECK(table->frame[got[0]].colour == 0 && table->frame[got[1]].colour == 0);
	CHECK(exo_mem_query(env, got[0], 1, infos) == 1);
	CHECK(infos[0].frame == got[0] && (infos[0].hold & EXO_HOLD_OWNER) && !infos[0].bindings);
	CHECK(exo_mem_free(env, got, 2, NULL) == 0);
	CHECK(exo_mem_alloc_node(env, 0, got, 2) == 0);
	CHECK(exo_mem_free(env, got, 2, NULL) == 0);
	CHECK(exo_mem_alloc_contig(env, 8, &first) == 0);
	CHECK(table->frame[first].flags & EXO_FRAME_CONTIG);
	for (done = 0; done < 8; done++)
		got[done] = first + done;
	CHECK(exo_mem_free(env, got, 8, NULL) == 0);
	CHECK(exo_mem_alloc_contig(env, 0, &first) == -EINVAL);
}

/* One process here, and both ends of a socket: nothing waits. */
LIBEXO_TEST(libexo__message)
{
	struct exo_cap caps[4], came[4];
	int s[2], sent = 99;
	struct exo_mem_alloc_opts opts = EXO_OPTS(exo_mem_alloc, .flags = EXO_ALLOC_SEND,
						  .rights = EXO_RIGHT_READ | EXO_RIGHT_WRITE,
						  .caps = caps, .out_sent = &sent);
	struct exo_receive_opts from = EXO_OPTS(exo_receive, .caps = came, .count = 4);
	uint32_t got[4], done = 99, received = 99;
	struct exo_env_status before, after;
	struct exo_env *other;
	struct exo_view *theirs;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) == 0);
	CHECK(exo_env_open(&other, NULL) == 0);
	CHECK(exo_view_create(other, &EXO_OPTS(exo_view, .pages = 16), &theirs) == 0);
	opts.sock = s[0];
	from.sock = s[1];
	from.out_received = &received;

	CHECK(exo_mem_alloc(env, &opts, got, 3, NULL) == 0 && sent == 3 * (int)sizeof(caps[0]));
	CHECK(exo_view_receive(theirs, 2, EXO_RIGHT_READ, &from, &done) == 0 && done == 3);
	CHECK(received == 3 * sizeof(caps[0]) && !memcmp(caps, came, received));
	CHECK(EXO_SLOT_FRAME(exo_view_slot(theirs, 4)) == got[2]);
	CHECK(exo_mem_free(env, got, 3, NULL) == 0);

	/* without a view; nothing there; only a part of the options */
	CHECK(exo_mem_alloc(env, &opts, got, 1, NULL) == 0);
	from.out_received = NULL;
	CHECK(exo_mem_receive(other, &from, NULL) == 0 && came[0].object == got[0]);
	CHECK(exo_view_bind1(theirs, 9, got[0], EXO_RIGHT_WRITE | EXO_RIGHT_READ) == 0);
	from.flags = EXO_IMPORT_DONTWAIT;
	from.sz = offsetof(struct exo_receive_opts, out_received);
	CHECK(exo_mem_receive(other, &from, &done) == -EAGAIN && done == 0);
	from.sz = offsetof(struct exo_receive_opts, count);
	CHECK(exo_mem_receive(other, &from, &done) == -EINVAL);
	CHECK(exo_mem_receive(other, NULL, &done) == -EINVAL);
	CHECK(exo_mem_free(env, got, 1, NULL) == 0);

	/* nobody there: told, or undone */
	close(s[1]);
	CHECK(exo_env_status(env, &before) == 0);
	CHECK(exo_mem_alloc(env, &opts, got, 2, &done) == 0 && done == 2 && sent == -EPIPE);
	CHECK(exo_mem_free(env, got, 2, NULL) == 0);
	opts.out_sent = NULL;
	CHECK(exo_mem_alloc(env, &opts, got, 2, &done) == -EPIPE && done == 0);
	CHECK(exo_mem_alloc(env, &opts, got, 2, NULL) == -EPIPE);
	opts.sock = -1;
	CHECK(exo_mem_alloc(env, &opts, got, 2, NULL) == -EBADF);
	CHECK(exo_env_status(env, &after) == 0 && after.out_frames == before.out_frames);
	close(s[0]);
	CHECK(exo_view_destroy(theirs) == 0);
	CHECK(exo_env_close(other) == 0);
}

LIBEXO_TEST(libexo__window)
{
	uint32_t pick[3] = { frames[5], frames[2], frames[9] };
	struct exo_window *window;
	char *base;

	CHECK(exo_window_map_frames(env, pick, 3, PROT_READ | PROT_WRITE, &window) == 0);
	base = exo_window_base(window);
	CHECK(exo_window_length(window) == 3 * EXO_PAGE_SIZE);
	CHECK(exo_window_addr(window, frames[5]) == base);
	CHECK(exo_window_addr(window, frames[2]) == base + EXO_PAGE_SIZE);
	CHECK(exo_window_addr(window, frames[9]) == base + 2 * EXO_PAGE_SIZE);
	CHECK(!exo_window_addr(window, frames[3]));
	strcpy(exo_window_addr(window, frames[2]), "two");
	CHECK(exo_env_close(env) == -EBUSY);
	CHECK(exo_window_unmap(window) == 0);

	CHECK(exo_window_map(env, frames[2], 1, PROT_READ, &window) == 0);
	CHECK(!strcmp(exo_window_addr(window, frames[2]), "two"));
	CHECK(!exo_window_addr(window, frames[2] + 1));
	CHECK(exo_window_unmap(window) == 0);
	CHECK(exo_window_map(env, frames[0], 0, PROT_READ, &window) == -EINVAL);
}

LIBEXO_TEST(libexo__caps)
{
	struct exo_env *other;
	struct exo_cap cap, weak;
	uint32_t frame, rights, order = 77;

	CHECK(exo_env_open(&other, NULL) == 0);
	CHECK(exo_cap_create(env, EXO_CAP_FRAME, frames[0], EXO_RIGHTS_ALL, &cap) == 0);
	CHECK(exo_cap_derive(other, &cap, EXO_RIGHT_READ, &weak) == 0);
	CHECK(exo_cap_check(other, &weak, EXO_RIGHT_READ) == 0);
	CHECK(exo_cap_check(other, &weak, EXO_RIGHT_WRITE) == -EACCES);
	CHECK(exo_mem_import(other, &weak, &frame, &rights, &order) == 0);
	CHECK(frame == frames[0] && rights == EXO_RIGHT_READ && order == 0);
	CHECK(exo_mem_drop(other, &frame, 1, NULL) == 0);
	CHECK(exo_cap_revoke(other, &weak) == -EACCES);
	CHECK(exo_cap_revoke(other, &cap) == 0);
	CHECK(exo_cap_check(other, &weak, EXO_RIGHT_READ) == -ESTALE);
	CHECK(exo_cap_create(env, EXO_CAP_FRAME, frames[0], EXO_RIGHT_READ, &cap) == 0);
	CHECK(exo_cap_revoke_object(env, 0, frames[0]) == -EINVAL);
	CHECK(exo_cap_revoke_object(env, EXO_CAP_FRAME, frames[0]) == 0);
	CHECK(exo_cap_check(env, &cap, EXO_RIGHT_READ) == -ESTALE);
	CHECK(exo_env_close(other) == 0);
}

/* Views ---------------------------------------------------------------------------------------- */

LIBEXO_TEST(libexo__view)
{
	struct exo_view *view = view_of(16, 0, 0);
	struct exo_mem_op ops[2];
	uint32_t accessed, dirty, done;
	uint8_t bits[16];

	CHECK(!((uintptr_t)exo_view_base(view) & 0x1fffff));
	CHECK(exo_view_env(view) == env && exo_view_pages(view) == 16);
	CHECK(exo_view_bind1(view, 3, frames[0], RW) == 0);
	CHECK(exo_view_bind1(view, 3, frames[1], RW) == -EBUSY);
	CHECK(EXO_SLOT_FRAME(exo_view_slot(view, 3)) == frames[0]);
	*word(view, 3) = 42;
	CHECK(exo_view_harvest(view, 0, 16, EXO_HARVEST_CLEAR_DIRTY, bits, &accessed, &dirty) == 0);
	CHECK(accessed == 1 && dirty == 1 && (bits[3] & EXO_OP_DIRTY) && !bits[4]);
	CHECK(exo_view_harvest(view, 0, 16, 0, NULL, NULL, &dirty) == 0 && dirty == 0);
	CHECK(exo_view_protect1(view, 3, EXO_RIGHT_READ) == 0);
	CHECK(exo_view_protect1(view, 4, EXO_RIGHT_READ) == -ENOENT);
	CHECK(*word(view, 3) == 42);
	CHECK(exo_view_rebind1(view, 5, frames[0], EXO_RIGHT_READ) == 0);
	CHECK(*word(view, 5) == 42);

	ops[0] = exo_op(3, 1, 0, 0);
	ops[1] = exo_op(5, 1, 0, 0);
	CHECK(exo_view_unbind(view, ops, 2, EXO_BATCH_REPORT, &done) == 0 && done == 2);
	CHECK(ops[1].flags & EXO_OP_ACCESSED);
	CHECK(!exo_view_slot(view, 3) && !exo_view_slot(view, 5));
	CHECK(exo_view_unbind1(view, 3) == 0);
	CHECK(exo_view_destroy(view) == 0);
}

/* More operations, and more pages, than the module takes at once. */
LIBEXO_TEST(libexo__view_large_batches)
{
	uint32_t max_pages = exo_env_info(env)->out_max_pages;
	uint32_t max_ops = exo_env_info(env)->out_max_ops;
	uint32_t count = max_ops + 10, i, done = 0;
	struct exo_view *view = view_of(3 * max_pages, 0, 0);
	struct exo_mem_op *ops = calloc(count, sizeof(*ops));

	for (i = 0; i < count; i++)
		ops[i] = exo_op(i, 1, frames[i % POOL], EXO_RIGHT_READ);
	CHECK(exo_view_bind(view, ops, count, &done) == 0 && done == count);
	CHECK(EXO_SLOT_FRAME(exo_view_slot(view, count - 1)) == frames[(count - 1) % POOL]);
	/* the last one fails: those before it have happened */
	CHECK(exo_view_unbind1(view, 0) == 0);
	ops[count - 1].page = 1;
	ops[0].page = count - 1;
	CHECK(exo_view_bind(view, ops, 1, &done) == -EBUSY && done == 0);
	for (i = 0; i < 3; i++)
		ops[i] = exo_op(i * max_pages, max_pages, 0, 0);
	CHECK(exo_view_unbind(view, ops, 3, 0, &done) == 0 && done == 3);
	CHECK(!exo_view_slot(view, count - 2));
	ops[0] = exo_op(0, max_pages + 1, 0, 0);
	CHECK(exo_view_unbind(view, ops, 1, 0, &done) == -EINVAL && done == 0);
	free(ops);
	CHECK(exo_view_destroy(view) == 0);
}

LIBEXO_TEST(libexo__view_stlb)
{
	struct exo_view *view = view_of(600, 512, 0);

	CHECK(exo_view_stlb_entries(view) == 512);
	CHECK(exo_view_stlb_load(view, 7, frames[7], 1) == 0);
	*word(view, 7) = 7;
	CHECK(EXO_SLOT_FRAME(exo_view_slot(view, 7)) == frames[7]);
	CHECK(exo_view_stlb_clear(view, 7) == 0);
	CHECK(*word(view, 7) == 7);
	CHECK(exo_view_destroy(view) == 0);
}

LIBEXO_TEST(libexo__view_lazy)
{
	struct exo_window *window;
	struct exo_view *view = view_of(4, 0, EXO_VIEW_LAZY);
	uint32_t i;

	CHECK(exo_window_map_frames(env, frames, 8, PROT_READ | PROT_WRITE, &window) == 0);
	for (i = 0; i < 8; i++) {
		*(uint64_t *)exo_window_addr(window, frames[i]) = i;
		exo_lazy_stamp(exo_window_addr(window, frames[i]), 8, i % 4);
	}
	for (i = 0; i < 8; i++) {
		CHECK(exo_view_rebind1(view, i % 4, frames[i], EXO_RIGHT_READ) == 0);
		CHECK(exo_view_lazy_pin(view, i % 4, 8) == 0);
		CHECK(*word(view, i % 4) == i);
		if (i < 4)
			exo_lazy_stamp(exo_window_addr(window, frames[i]), 8, UINT32_MAX);
	}
	/* the frame that page 2 had says so no more: a stale translation shows that */
	exo_lazy_stamp(exo_window_addr(window, frames[6]), 8, UINT32_MAX);
	/* what says that it is page 3 is not page 2, however often the TLB is flushed */
	CHECK(exo_view_rebind1(view, 2, frames[3], EXO_RIGHT_READ) == 0);
	CHECK(exo_view_lazy_pin(view, 2, 8) == -ESTALE);
	CHECK(exo_view_flush(view) == 0);
	CHECK(exo_view_destroy(view) == 0);
	CHECK(exo_window_unmap(window) == 0);
}

/* Events, revocation --------------------------------------------------------------------------- */

LIBEXO_TEST(libexo__events)
{
	struct exo_event event;
	struct exo_env *other;
	struct exo_cap cap;

	CHECK(exo_env_open(&other, NULL) == 0);
	CHECK(exo_env_event_next(other, &event) == -EAGAIN);
	CHECK(exo_env_event_wait(other, &event, 10) == -ETIMEDOUT);
	CHECK(exo_cap_create(env, EXO_CAP_FRAME, frames[0], RW, &cap) == 0);
	CHECK(exo_mem_import(other, &cap, NULL, NULL, NULL) == 0);
	CHECK(exo_cap_revoke_object(env, EXO_CAP_FRAME, frames[0]) == 0);
	CHECK(exo_env_event_wait(other, &event, 1000) == 0);
	CHECK(event.type == EXO_EVENT_CAP_REVOKED && event.arg[0] == frames[0]);
	CHECK(exo_env_event_lost(other) == 0);
	CHECK(exo_env_dispatch(other, 0) == 0);
	CHECK(exo_env_close(other) == 0);
}

static struct {
	uint32_t frames[64];
	volatile uint32_t count, asked, why;
} cache;

static void give_back(const struct exo_revoke *revoke, void *ctx)
{
	uint32_t n = revoke->wanted < cache.count ? revoke->wanted : cache.count;

	cache.asked += n;
	cache.why = revoke->why;
	if (ctx == &cache && !exo_mem_free(revoke->env, cache.frames + cache.count - n, n, NULL))
		cache.count -= n;
}

LIBEXO_TEST(libexo__revocation)
{
	struct exo_mem_taken taken[64];
	struct exo_env_status status;
	struct exo_env *other;
	uint32_t asked = 0, left = 1;
	uint64_t start;

	if (getuid())
		SKIP("only root may ask for frames");
	memset(&cache, 0, sizeof(cache));
	CHECK(exo_env_open(&other, NULL) == 0);
	CHECK(exo_mem_alloc_any(other, cache.frames, 64) == 0);
	cache.count = 64;
	CHECK(exo_env_on_revoke(other, give_back, &cache) == 0);
	/* nothing is wanted yet */
	CHECK(exo_env_dispatch(other, 0) == 0 && !cache.asked);
	CHECK(exo_env_service_start(other) == 0);
	CHECK(exo_env_service_start(other) == -EBUSY);
	CHECK(exo_mem_revoke(env, exo_env_info(other)->out_env, 16, test_limit_ms(20000), &asked) == 0);
	CHECK(asked == 16);
	start = test_now_ns();
	while (cache.count > 48 && !test_overdue(start, 10000))
		usleep(10000);
	CHECK(cache.asked == 16 && cache.count == 48 && cache.why == EXO_WHY_ADMIN);
	CHECK(exo_env_status(other, &status) == 0);
	CHECK(!status.out_wanted && status.out_given == 16 && !status.out_taken);
	CHECK(exo_env_service_stop(other) == 0);
	CHECK(exo_env_service_stop(other) == -ENOENT);

	/* deaf: what is wanted is taken, and stands in the log */
	CHECK(exo_mem_revoke(env, exo_env_info(other)->out_env, 8, 50, NULL) == 0);
	start = test_now_ns();
	do
		usleep(20000);
	while (!exo_env_status(other, &status) && status.out_taken < 8 && !test_overdue(start, 2000));
	CHECK(status.out_taken == 8);
	CHECK(exo_mem_log(other, taken, 64, &left) == 8 && left == 0);
	CHECK(taken[0].why == EXO_WHY_ADMIN);
	CHECK(exo_env_close(other) == 0);
}

/* Catches: a request that is older than its handler, and is told of when the next event comes, if ever. */
LIBEXO_TEST(libexo__handler_after_the_request)
{
	struct pollfd ring = { .events = POLLIN };
	struct exo_env *other;
	uint32_t asked = 0;
	uint64_t start;

	if (getuid())
		SKIP("only root may ask for frames");
	memset(&cache, 0, sizeof(cache));
	CHECK(exo_env_open(&other, NULL) == 0);
	CHECK(exo_mem_alloc_any(other, cache.frames, 64) == 0);
	cache.count = 64;
	CHECK(exo_env_service_start(other) == 0);
	CHECK(exo_mem_revoke(env, exo_env_info(other)->out_env, 16, test_limit_ms(20000), &asked) == 0);
	CHECK(asked == 16);
	/* The thread has taken it, and sleeps again. */
	ring.fd = exo_env_fd(other);
	while (poll(&ring, 1, 0))
		usleep(1000);
	usleep(50000 * test_slow());
	CHECK(exo_env_on_revoke(other, give_back, &cache) == 0);
	start = test_now_ns();
	while (cache.count > 48 && !test_overdue(start, 10000))
		usleep(10000);
	CHECK(cache.asked == 16 && cache.count == 48);
	/* Nothing is left to be looked at. */
	CHECK(exo_env_service_stop(other) == 0);
	CHECK(exo_env_dispatch(other, 10) == 0);
	CHECK(exo_env_close(other) == 0);
}

LIBEXO_TEST(libexo__uring)
{
	struct exo_mem_op op = exo_op(3, 1, frames[3], RW);
	struct exo_view *view = view_of(16, 0, 0);
	struct exo_mem_batch batch, undo;
	struct exo_env_status status;
	struct exo_cap_check check;
	struct exo_cap forged = { .kind = EXO_CAP_FRAME, .object = frames[0] };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int results[4] = { 1, 1, 1, 1 };
	int i;

	if (!(exo_env_info(env)->out_features & EXO_FEATURE_URING))
		SKIP("no commands through io_uring on this kernel");
	CHECK(io_uring_queue_init(8, &ring, 0) == 0);
	sqe = io_uring_get_sqe(&ring);
	exo_prep_bind(sqe, view, &op, 1, &batch);
	io_uring_sqe_set_data64(sqe, 0);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	sqe = io_uring_get_sqe(&ring);
	exo_prep_env_status(sqe, env, &status);
	io_uring_sqe_set_data64(sqe, 1);
	io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
	sqe = io_uring_get_sqe(&ring);
	exo_prep_unbind(sqe, view, &op, 1, 0, &undo);
	io_uring_sqe_set_data64(sqe, 2);
	op.flags = 0;
	sqe = io_uring_get_sqe(&ring);
	exo_prep_cap_check(sqe, env, &forged, EXO_RIGHT_READ, &check);
	io_uring_sqe_set_data64(sqe, 3);
	CHECK(io_uring_submit_and_wait(&ring, 4) == 4);
	for (i = 0; i < 4 && !io_uring_wait_cqe(&ring, &cqe); i++) {
		results[io_uring_cqe_get_data64(cqe) & 3] = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	CHECK(results[0] == 0 && batch.out_done == 1);
	CHECK(results[1] == 0 && status.out_bound == 1);
	/* an UNBIND whose operation still names a frame */
	CHECK(results[2] == -EINVAL && undo.out_done == 0);
	CHECK(results[3] == -EACCES);
	CHECK(EXO_SLOT_FRAME(exo_view_slot(view, 3)) == frames[3]);
	io_uring_queue_exit(&ring);
	CHECK(exo_view_destroy(view) == 0);
}

/* Is there an environment with this number? */
static bool env_exists(uint64_t number)
{
	struct exo_env_status rows[64];
	int n = exo_env_list(env, rows, 64, number - 1);

	CHECK(n >= 0);
	return n && rows[0].out_env == number;
}

static int no_fault(struct exo_fault *fault, void *ctx)
{
	(void)fault;
	(void)ctx;
	return -EFAULT;
}

/*
 * Catches: a child that waits for a thread of its parent's, unmaps what is not mapped there, or keeps
 * its parent's environment alive although it has closed it.
 */
LIBEXO_TEST(libexo__close_in_child)
{
	const struct exo_table *table;
	struct exo_window *window;
	struct exo_view *view;
	struct exo_env *other;
	int up[2], status;
	uint64_t number;
	pid_t child;
	char c;

	CHECK(pipe(up) == 0);
	CHECK(exo_env_open(&other, NULL) == 0);
	number = exo_env_info(other)->out_env;
	CHECK(exo_env_table(other, &table) == 0);
	CHECK(exo_env_service_start(other) == 0);
	CHECK(exo_view_create(other, &EXO_OPTS(exo_view, .pages = 8, .flags = EXO_VIEW_MONITOR),
			      &view) == 0);
	CHECK(exo_monitor_start(view, no_fault, NULL) == 0);
	CHECK(exo_window_map(other, 0, 1, PROT_READ, &window) == 0);
	CHECK(exo_fault_register(other, no_fault, NULL, NULL) == 0);
	child = test_fork();
	if (!child) {
		CHECK(exo_env_close(other) == 0);
		CHECK(write(up[1], "", 1) == 1);
		pause();
		_exit(0);
	}
	CHECK(read(up[0], &c, 1) == 1);
	CHECK(env_exists(number));
	CHECK(exo_env_close(other) == -EBUSY);
	CHECK(exo_fault_unregister(other) == 0);
	CHECK(exo_monitor_stop(view) == 0);
	CHECK(exo_view_destroy(view) == 0);
	CHECK(exo_window_unmap(window) == 0);
	CHECK(exo_env_close(other) == 0);
	/* The child is there still, and holds nothing of it. */
	CHECK(!env_exists(number));
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

/* Catches: events that were lost before the first look, counted as this reader's. */
LIBEXO_TEST(libexo__lost_events)
{
	struct exo_event event;
	struct exo_env *other;
	struct exo_cap cap;
	unsigned int i, n;

	CHECK(exo_env_open(&other, NULL) == 0);
	for (n = 0; n < 2; n++) {
		for (i = 0; i < EXO_RING_EVENTS + 10; i++) {
			CHECK(exo_cap_create(env, EXO_CAP_FRAME, frames[0], RW, &cap) == 0);
			CHECK(exo_mem_import(other, &cap, NULL, NULL, NULL) == 0);
			CHECK(exo_cap_revoke_object(env, EXO_CAP_FRAME, frames[0]) == 0);
		}
		for (i = 0; exo_env_event_next(other, &event) == 0; i++)
			CHECK(event.type == EXO_EVENT_CAP_REVOKED);
		CHECK(i == EXO_RING_EVENTS);
		CHECK(exo_env_event_lost(other) == n * 10);
	}
	CHECK(exo_env_close(other) == 0);
}
