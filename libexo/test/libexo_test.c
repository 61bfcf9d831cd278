// SPDX-License-Identifier: LGPL-2.1-or-later
/* What of libexo can be tested without the device. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exo/uring.h>

#include "../lib.h"
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
	};

	return TAP_RUN(tests);
}
