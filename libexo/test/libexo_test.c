// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of libexo can be tested without the device. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exo/uring.h>

#include "../xn.h"
#include "tap.h"

bool tap_failed;

static void test_open_says_what_is_wrong(void)
{
	struct exo_env_opts opts = { .sz = sizeof(opts), .path = "/nonexistent/exo" };
	struct exo_env *env = NULL;

	errno = 4711;
	CHECK(exo_env_open(&env, &opts) == -ENOENT);
	opts.path = "/dev/null";
	CHECK(exo_env_open(&env, &opts) == -ENOTTY);
	opts.path = "/";
	CHECK(exo_env_open(&env, &opts) == -EISDIR);
	setenv("EXO_DEVICE", "/dev/zero", 1);
	CHECK(exo_env_open(&env, NULL) == -ENOTTY);
	unsetenv("EXO_DEVICE");
	CHECK(errno == 4711);
	CHECK(!env);
	CHECK(exo_env_close(NULL) == 0);
}

/* A failed open leaves no descriptor behind. */
static void test_open_leaks_nothing(void)
{
	struct exo_env_opts opts = { .sz = sizeof(opts), .path = "/dev/null" };
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;
	struct exo_env *env;

	close(before);
	CHECK(exo_env_open(&env, &opts) == -ENOTTY);
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	CHECK(before == after);
}

static void test_opts(void)
{
	struct {
		struct exo_view_opts opts;
		uint64_t tail;
	} longer = { .opts = { .sz = sizeof(longer) } };
	struct exo_view_opts opts = { .sz = offsetof(struct exo_view_opts, stlb), .pages = 3,
				      .stlb = 9 };
	const struct exo_view_opts *given = &opts;
	size_t none = 0;

	CHECK(lib_opts_check(NULL, 8) == 0);
	CHECK(lib_opts_check(&none, 8) == -EINVAL);
	CHECK(lib_opts_check(&opts, sizeof(opts)) == 0);
	CHECK(OPTS_GET(given, pages, 0U) == 3);
	/* beyond what the caller knows of the struct: not read */
	CHECK(OPTS_GET(given, stlb, 0U) == 0);
	CHECK(lib_opts_check(&longer, sizeof(longer.opts)) == 0);
	longer.tail = 1;
	CHECK(lib_opts_check(&longer, sizeof(longer.opts)) == -E2BIG);
	CHECK(EXO_OPTS(exo_view, .pages = 8).sz == sizeof(struct exo_view_opts));
	CHECK(EXO_OPTS(exo_view, .pages = 8).pages == 8);
}

static void test_sentences(void)
{
	static const int contract[] = { EINVAL, ENOENT, EACCES, EPERM, EDQUOT, EBUSY, ENOSPC,
					ESTALE, EOVERFLOW, EOPNOTSUPP, EFAULT, ENOMEM, EINTR,
					EAGAIN };
	const char *other = exo_strerror(EXDEV);
	unsigned int i;

	for (i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
		CHECK(exo_strerror(contract[i]) == exo_strerror(-contract[i]));
		CHECK(exo_strerror(contract[i]) != other);
	}
	CHECK(strstr(exo_open_hint(-ENOENT), "modprobe exo"));
	CHECK(strstr(exo_open_hint(EACCES), "group exo"));
	CHECK(strstr(exo_open_hint(-EDQUOT), "exoctl quota"));
	CHECK(exo_open_hint(12345));
}

static void test_view_arithmetic(void)
{
	struct exo_view view = { .base = (char *)0x200000, .pages = 10 };
	uint64_t table[10] = { [3] = EXO_SLOT_BOUND | 77 };

	view.table = table;
	CHECK(exo_view_addr(&view, 0) == (void *)0x200000);
	CHECK(exo_view_addr(&view, 9) == (void *)0x209000);
	CHECK(!exo_view_addr(&view, 10));
	CHECK(exo_view_page(&view, (void *)0x200000) == 0);
	CHECK(exo_view_page(&view, (void *)0x209fff) == 9);
	CHECK(exo_view_page(&view, (void *)0x20a000) == -EINVAL);
	CHECK(exo_view_page(&view, (void *)0x1fffff) == -EINVAL);
	CHECK(EXO_SLOT_FRAME(exo_view_slot(&view, 3)) == 77);
	CHECK(exo_view_slot(&view, 10) == 0);
	CHECK(exo_view_stlb_load(&view, 1, 1, 0) == -EOPNOTSUPP);
	CHECK(exo_view_stlb_clear(&view, 1) == -EOPNOTSUPP);
}

static void test_stlb(void)
{
	uint64_t stlb[512] = { 0 };
	struct exo_view view = { .pages = 2000, .stlb = stlb, .stlb_entries = 512 };

	CHECK(exo_view_stlb_load(&view, 1025, 0xfffffff0, 1) == 0);
	CHECK(stlb[1] == EXO_STLB_ENTRY(1025, 0xfffffff0, 1));
	CHECK(EXO_STLB_PAGE(stlb[1]) == 1025);
	CHECK(EXO_STLB_FRAME(stlb[1]) == 0xfffffff0);
	/* another page in the same place */
	CHECK(exo_view_stlb_clear(&view, 513) == 0);
	CHECK(stlb[1] == EXO_STLB_ENTRY(1025, 0xfffffff0, 1));
	CHECK(exo_view_stlb_clear(&view, 1025) == 0);
	CHECK(stlb[1] == 0);
	CHECK(exo_view_stlb_load(&view, 2000, 1, 0) == -EINVAL);
	CHECK(exo_view_stlb_clear(&view, 2000) == -EINVAL);
}

static void test_lazy_stamp(void)
{
	static uint64_t page[512];
	struct exo_view view = { .base = (char *)page, .pages = 1 };

	exo_lazy_stamp(page, 16, 0);
	CHECK(exo_view_lazy_pin(&view, 0, 16) == 0);
	exo_lazy_stamp(page, 16, 5);
	CHECK(exo_lazy_check(page, 16, 5) && !exo_lazy_check(page, 16, 0));
	CHECK(exo_view_lazy_pin(&view, 1, 16) == -EINVAL);
	CHECK(exo_view_lazy_pin(&view, 0, 4) == -EINVAL);
	CHECK(exo_view_lazy_pin(&view, 0, 4096) == -EINVAL);
}

/* A queue's eventfd is readable while the queue is not empty, and a full queue refuses. */
static void test_queue(void)
{
	struct queue *queue = lib_zalloc(sizeof(*queue));
	struct exo_event event = { .type = 1 };
	unsigned int i;

	queue->ready = sys_eventfd();
	CHECK(sys_wait_readable(&queue->ready, 1, 0) == -ETIMEDOUT);
	for (i = 0; i < EXO_RING_EVENTS; i++) {
		event.seq = i;
		CHECK(queue_push_locked(queue, &event));
	}
	CHECK(!queue_push_locked(queue, &event));
	for (i = 0; i < EXO_RING_EVENTS; i++) {
		CHECK(sys_wait_readable(&queue->ready, 1, 0) == 0);
		CHECK(queue_pop_locked(queue, &event) && event.seq == i);
	}
	CHECK(!queue_pop_locked(queue, &event));
	CHECK(sys_wait_readable(&queue->ready, 1, 0) == -ETIMEDOUT);
	sys_close(queue->ready);
	lib_free(queue);
}

static struct exo_uring_cmd body_of(const struct io_uring_sqe *sqe)
{
	struct exo_uring_cmd body;

	/* where Linux has it, in a 64-byte sqe: the last 16 bytes */
	memcpy(&body, (const char *)sqe + 48, sizeof(body));
	return body;
}

#define CHECK_SQE(sqe, cmd, storage) \
	do { \
		CHECK((sqe).opcode == IORING_OP_URING_CMD && (sqe).fd == 42); \
		CHECK((sqe).off == (cmd)); \
		CHECK(body_of(&(sqe)).arg == (uintptr_t)&(storage) && !body_of(&(sqe)).reserved); \
		CHECK((storage).size == sizeof(storage)); \
	} while (0)

static void test_uring_env_and_cap(void)
{
	struct exo_env env = { .fd = 42 };
	struct exo_env_status rows[2];
	struct exo_cap cap = { .kind = EXO_CAP_FRAME, .object = 9 };
	struct io_uring_sqe sqe;
	struct exo_info info;
	struct exo_env_eventfd eventfd;
	struct exo_env_status status;
	struct exo_env_list list;
	struct exo_quota quota;
	struct exo_cap_create create;
	struct exo_cap_derive derive;
	struct exo_cap_revoke revoke;
	struct exo_cap_check check;

	memset(&sqe, 0xff, sizeof(sqe));
	exo_prep_info(&sqe, &env, &info);
	CHECK_SQE(sqe, EXO_INFO, info);
	CHECK(!sqe.flags && !sqe.rw_flags && !sqe.buf_index && !sqe.addr && !sqe.len);
	exo_prep_env_eventfd(&sqe, &env, -1, &eventfd);
	CHECK_SQE(sqe, EXO_ENV_EVENTFD, eventfd);
	CHECK(eventfd.fd == -1);
	exo_prep_env_status(&sqe, &env, &status);
	CHECK_SQE(sqe, EXO_ENV_STATUS, status);
	exo_prep_env_list(&sqe, &env, rows, 2, 7, &list);
	CHECK_SQE(sqe, EXO_ENV_LIST, list);
	CHECK(list.envs == (uintptr_t)rows && list.count == 2 && list.start == 7 &&
	      list.row_size == sizeof(rows[0]));
	exo_prep_quota_get(&sqe, &env, 1000, EXO_QUOTA_DEFAULT, &quota);
	CHECK_SQE(sqe, EXO_QUOTA_GET, quota);
	CHECK(quota.uid == 1000 && quota.flags == EXO_QUOTA_DEFAULT);
	exo_prep_cap_create(&sqe, &env, EXO_CAP_FRAME, 5, EXO_RIGHTS_ALL, &create);
	CHECK_SQE(sqe, EXO_CAP_CREATE, create);
	CHECK(create.kind == 1 && create.object == 5 && create.rights == EXO_RIGHTS_ALL);
	exo_prep_cap_derive(&sqe, &env, &cap, EXO_RIGHT_READ, &derive);
	CHECK_SQE(sqe, EXO_CAP_DERIVE, derive);
	CHECK(derive.cap.object == 9 && derive.rights == EXO_RIGHT_READ);
	exo_prep_cap_revoke(&sqe, &env, &cap, &revoke);
	CHECK_SQE(sqe, EXO_CAP_REVOKE, revoke);
	CHECK(!revoke.kind && revoke.cap.object == 9);
	exo_prep_cap_revoke_object(&sqe, &env, EXO_CAP_FRAME, 5, &revoke);
	CHECK_SQE(sqe, EXO_CAP_REVOKE, revoke);
	CHECK(revoke.kind == EXO_CAP_FRAME && revoke.object == 5 && !revoke.cap.object);
	exo_prep_cap_check(&sqe, &env, &cap, 3, &check);
	CHECK_SQE(sqe, EXO_CAP_CHECK, check);
	CHECK(check.rights == 3 && check.cap.object == 9);
}

static void test_uring_mem(void)
{
	struct exo_env env = { .fd = 42 };
	struct exo_mem_alloc_opts opts = {
		.sz = sizeof(opts), .flags = EXO_ALLOC_COLOUR | EXO_ALLOC_NODE, .colour = 3,
		.node = 1,
	};
	struct exo_cap cap = { .object = 9 };
	struct exo_mem_taken entries[4];
	struct exo_frame_info infos[4];
	struct exo_mem_frames frames_arg;
	struct exo_mem_import import;
	struct exo_mem_alloc alloc;
	struct exo_mem_query query;
	struct exo_mem_log log;
	struct io_uring_sqe sqe;
	uint32_t frames[4];

	exo_prep_mem_alloc(&sqe, &env, &opts, frames, 4, &alloc);
	CHECK_SQE(sqe, EXO_MEM_ALLOC, alloc);
	CHECK(alloc.flags == opts.flags && alloc.colour == 3 && alloc.node == 1);
	CHECK(alloc.count == 4);
	CHECK(alloc.frames_ptr == (uintptr_t)frames);
	exo_prep_mem_alloc(&sqe, &env, NULL, frames, 4, &alloc);
	CHECK(!alloc.flags && !alloc.colour && !alloc.node);
	opts.flags = EXO_ALLOC_SEND;
	opts.rights = EXO_RIGHT_READ;
	opts.caps = &cap;
	opts.sock = 17;
	exo_prep_mem_alloc(&sqe, &env, &opts, frames, 1, &alloc);
	CHECK(alloc.flags == EXO_ALLOC_SEND && alloc.sock == 17 && alloc.caps_ptr == (uintptr_t)&cap);
	/* of a program that knows of no sockets, and of one that knows of no capabilities */
	opts.sz = offsetof(struct exo_mem_alloc_opts, sock);
	exo_prep_mem_alloc(&sqe, &env, &opts, frames, 1, &alloc);
	CHECK(!alloc.sock && alloc.rights == EXO_RIGHT_READ && alloc.caps_ptr == (uintptr_t)&cap);
	opts.sz = offsetof(struct exo_mem_alloc_opts, rights);
	exo_prep_mem_alloc(&sqe, &env, &opts, frames, 1, &alloc);
	CHECK(!alloc.sock && !alloc.rights && !alloc.caps_ptr);
	exo_prep_mem_free(&sqe, &env, frames, 3, &frames_arg);
	CHECK_SQE(sqe, EXO_MEM_FREE, frames_arg);
	CHECK(frames_arg.count == 3 && frames_arg.frames_ptr == (uintptr_t)frames);
	exo_prep_mem_drop(&sqe, &env, frames, 2, &frames_arg);
	CHECK_SQE(sqe, EXO_MEM_DROP, frames_arg);
	CHECK(frames_arg.count == 2);
	exo_prep_mem_import(&sqe, &env, &cap, &import);
	CHECK_SQE(sqe, EXO_MEM_IMPORT, import);
	CHECK(import.cap.object == 9);
	exo_prep_mem_log(&sqe, &env, entries, 4, &log);
	CHECK_SQE(sqe, EXO_MEM_LOG, log);
	CHECK(log.entries == (uintptr_t)entries && log.count == 4);
	exo_prep_mem_query(&sqe, &env, 100, 4, infos, &query);
	CHECK_SQE(sqe, EXO_MEM_QUERY, query);
	CHECK(query.frame == 100 && query.count == 4 && query.infos == (uintptr_t)infos);
}

static void test_uring_view(void)
{
	struct exo_env env = { .fd = 42 };
	struct exo_view view = { .env = &env, .id = 6, .pages = 100 };
	struct exo_view_opts opts = { .sz = sizeof(opts), .pages = 8, .stlb = 512,
				      .flags = EXO_VIEW_LAZY };
	struct exo_mem_op ops[2] = { exo_op(1, 2, 3, EXO_RIGHT_READ), exo_op(9, 1, 0, 0) };
	struct exo_mem_view_create create;
	struct exo_mem_harvest harvest;
	struct exo_mem_batch batch;
	struct exo_mem_wake wake;
	struct exo_mem_view arg;
	struct io_uring_sqe sqe;
	uint8_t bits[4];

	CHECK(ops[0].page == 1 && ops[0].count == 2 && ops[0].frame == 3 && ops[0].rights == 1);
	exo_prep_view_create(&sqe, &env, &opts, &create);
	CHECK_SQE(sqe, EXO_MEM_VIEW_CREATE, create);
	CHECK(create.pages == 8 && create.stlb == 512 && create.flags == EXO_VIEW_LAZY);
	exo_prep_view_destroy(&sqe, &env, 6, &arg);
	CHECK_SQE(sqe, EXO_MEM_VIEW_DESTROY, arg);
	exo_prep_flush(&sqe, &view, &arg);
	CHECK_SQE(sqe, EXO_MEM_FLUSH, arg);
	CHECK(arg.view == 6);
	exo_prep_bind(&sqe, &view, ops, 2, &batch);
	CHECK_SQE(sqe, EXO_MEM_BIND, batch);
	CHECK(batch.view == 6 && batch.count == 2 && batch.ops == (uintptr_t)ops && !batch.flags);
	exo_prep_unbind(&sqe, &view, ops, 2, EXO_BATCH_REPORT, &batch);
	CHECK_SQE(sqe, EXO_MEM_UNBIND, batch);
	CHECK(batch.flags == EXO_BATCH_REPORT);
	exo_prep_rebind(&sqe, &view, ops, 2, 0, &batch);
	CHECK_SQE(sqe, EXO_MEM_REBIND, batch);
	exo_prep_protect(&sqe, &view, ops, 2, 0, &batch);
	CHECK_SQE(sqe, EXO_MEM_PROTECT, batch);
	exo_prep_harvest(&sqe, &view, 5, 4, EXO_HARVEST_CLEAR_DIRTY, bits, &harvest);
	CHECK_SQE(sqe, EXO_MEM_HARVEST, harvest);
	CHECK(harvest.view == 6 && harvest.page == 5 && harvest.count == 4);
	CHECK(harvest.bits == (uintptr_t)bits && harvest.flags == EXO_HARVEST_CLEAR_DIRTY);
	exo_prep_wake(&sqe, &view, 5, 4, &wake);
	CHECK_SQE(sqe, EXO_MEM_WAKE, wake);
	CHECK(wake.view == 6 && wake.page == 5 && wake.count == 4);
}

static void test_uring_xn(void)
{
	struct exo_env env = { .fd = 42 };
	struct exo_xn xn = { .env = &env, .disk = 3 };
	uint32_t frames[2] = { 70, 80 };
	struct exo_xn_change *change;
	struct exo_xn_commit commit;
	struct exo_xn_apply apply;
	struct exo_xn_read read;
	struct exo_xn_step *steps;
	struct io_uring_sqe sqe;
	struct exo_xn_io io;
	char bytes[16];

	exo_prep_xn_io(&sqe, &xn, EXO_XN_IO_WRITE, 5, 6, frames, 2, EXO_XN_IO_DURABLE, &io);
	CHECK_SQE(sqe, EXO_XN_IO, io);
	CHECK(io.kind == EXO_XN_IO_WRITE && io.binding == 5 && io.offset == 6 && io.count == 2 &&
	      io.flags == EXO_XN_IO_DURABLE && io.frames == (uintptr_t)frames);
	exo_prep_xn_io(&sqe, &xn, EXO_XN_IO_READ, 5, 6, frames, 1, 0, &io);
	CHECK(io.frames == 70 && io.count == 1);
	exo_prep_xn_io(&sqe, &xn, EXO_XN_IO_FLUSH, 5, 0, NULL, 0, 0, &io);
	CHECK(!io.frames && io.kind == EXO_XN_IO_FLUSH);
	exo_prep_xn_commit(&sqe, &xn, 9, &commit);
	CHECK_SQE(sqe, EXO_XN_COMMIT, commit);
	CHECK(commit.disk == 3 && commit.root == 9);
	exo_prep_xn_read(&sqe, &xn, 9, 100, 101, bytes, 16, &read);
	CHECK_SQE(sqe, EXO_XN_READ, read);
	CHECK(read.disk == 3 && read.root == 9 && read.parent == 100 && read.block == 101 &&
	      read.bytes == (uintptr_t)bytes && read.length == 16);
	CHECK(!exo_xn_change_begin(&xn, 9, &change));
	CHECK(!exo_xn_change_write(change, 100, 8, bytes, 16));
	CHECK(!exo_prep_xn_apply(&sqe, &xn, change, EXO_XN_APPLY_COMMIT, &apply));
	CHECK_SQE(sqe, EXO_XN_APPLY, apply);
	steps = (struct exo_xn_step *)(uintptr_t)apply.steps;
	CHECK(apply.disk == 3 && apply.root == 9 && apply.nr_steps == 1 &&
	      apply.flags == EXO_XN_APPLY_COMMIT && steps[0].kind == EXO_XN_WRITE &&
	      steps[0].parent == 100 && steps[0].offset == 8);
	exo_xn_change_end(change);
}

/* A change grows, refuses what is too much, says so until it is cleared, and is empty then. */
static void test_xn_change_is_bounded(void)
{
	struct exo_env env = { .fd = -1 };
	struct exo_xn_key keys[EXO_XN_KEYS + 1] = { 0 };
	struct exo_xn xn = { .env = &env, .disk = 3 };
	struct exo_xn_change *change;
	struct exo_xn_apply apply;
	const struct exo_xn_step *steps;
	uint32_t i;

	CHECK(!exo_xn_change_begin(&xn, 9, &change));
	for (i = 0; i < EXO_XN_STEPS; i++)
		CHECK(!exo_xn_change_alloc(change, 100, 1000 + i, 1, EXO_XN_DATA));
	CHECK(exo_xn_keys_set(&xn, keys, EXO_XN_KEYS + 1) == -EINVAL);
	CHECK(!exo_xn_keys_set(&xn, keys, 2));
	CHECK(!exo_xn_change_command(change, 0, &apply));
	CHECK(apply.nr_steps == EXO_XN_STEPS && apply.nr_keys == 2 && apply.keys);
	steps = (const struct exo_xn_step *)(uintptr_t)apply.steps;
	for (i = 0; i < EXO_XN_STEPS; i++)
		CHECK(steps[i].kind == EXO_XN_ALLOC && steps[i].block == 1000 + i);
	CHECK(exo_xn_change_free(change, 100, 7, 1, EXO_XN_DATA) == -E2BIG);
	CHECK(exo_xn_change_apply(change, 0, NULL) == -E2BIG);
	exo_xn_change_clear(change);
	CHECK(!exo_xn_change_move(change, 1, 2, 7, 1, EXO_XN_SELF));
	CHECK(!exo_xn_change_link(change, 1, 2, 8, 1, EXO_XN_SELF));
	CHECK(!exo_xn_change_unlink(change, 2, 9, 1, EXO_XN_SELF));
	CHECK(!exo_xn_change_new(change, 9, keys, 4096));
	CHECK(!exo_xn_change_command(change, 0, &apply));
	steps = (const struct exo_xn_step *)(uintptr_t)apply.steps;
	CHECK(apply.nr_steps == 4 && steps[0].from == 1 && steps[0].parent == 2 &&
	      steps[1].kind == EXO_XN_LINK && steps[1].from == 1 && steps[1].parent == 2 &&
	      steps[2].kind == EXO_XN_UNLINK && steps[2].parent == 2 &&
	      steps[3].kind == EXO_XN_NEW && steps[3].length == 4096);
	exo_xn_change_end(change);
}

/* What is wrong is seen before the module is asked, and leaves errno alone. */
static void test_xn_refuses_bad_arguments(void)
{
	struct exo_env env = { .fd = -1 };
	struct exo_xn_template_opts opts = { .sz = sizeof(opts) };
	struct exo_xn xn = { .env = &env, .disk = 3 };
	char name[EXO_XN_NAME + 1], error[128] = "";
	struct exo_xn_root root;
	struct exo_xn *opened;
	uint64_t block;

	errno = 4711;
	memset(name, 'n', sizeof(name) - 1);
	name[EXO_XN_NAME] = 0;
	CHECK(exo_xn_root_find(&xn, name, &root) == -EINVAL);
	CHECK(exo_xn_root_find(&xn, "", &root) == -EINVAL);
	name[EXO_XN_NAME - 1] = 0;
	CHECK(exo_xn_root_find(&xn, name, &root) == -EBADF);
	CHECK(exo_xn_template_add(&xn, NULL, NULL, NULL, NULL) == -EINVAL);
	opts.error = error;
	opts.error_size = sizeof(error);
	CHECK(exo_xn_template_add(&xn, NULL, NULL, NULL, &opts) == -EINVAL);
	CHECK(strstr(error, "name"));
	opts.name = "table";
	CHECK(exo_xn_template_add(&xn, NULL, NULL, NULL, &opts) == -EINVAL);
	CHECK(strstr(error, "owns: there is no such function"));
	CHECK(exo_xn_find_free(&xn, 0, 0, &block) == -EINVAL);
	CHECK(exo_xn_open(&env, NULL, &opened) == -EBADF);
	CHECK(!env.users);
	CHECK(exo_xn_close(NULL) == 0);
	CHECK(errno == 4711);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "libexo_open_says_what_is_wrong", test_open_says_what_is_wrong },
		{ "libexo_open_leaks_nothing", test_open_leaks_nothing },
		{ "libexo_opts", test_opts },
		{ "libexo_sentences", test_sentences },
		{ "libexo_view_arithmetic", test_view_arithmetic },
		{ "libexo_stlb", test_stlb },
		{ "libexo_lazy_stamp", test_lazy_stamp },
		{ "libexo_queue", test_queue },
		{ "libexo_uring_env_and_cap", test_uring_env_and_cap },
		{ "libexo_uring_mem", test_uring_mem },
		{ "libexo_uring_view", test_uring_view },
		{ "libexo_uring_xn", test_uring_xn },
		{ "libexo_xn_change_is_bounded", test_xn_change_is_bounded },
		{ "libexo_xn_refuses_bad_arguments", test_xn_refuses_bad_arguments },
	};

	return TAP_RUN(tests);
}
