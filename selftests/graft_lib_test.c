// SPDX-License-Identifier: GPL-2.0
/*
 * libexo's grafts on the module: each function once, by behaviour. What needs no module is tested in
 * libexo/test/graft_test.c, damaged files above all (INV-GRAFT-40).
 */
#include <sys/stat.h>

#include <exo/uring.h>

#include "../bench/graft/trace.h"
#include "graft_embed.h"
#include "harness.h"

#define CHECK(condition) ASSERT_TRUE(condition)
#define FRAMES 64

uint32_t test_pool_frames = 1024;

GRAFT(ip, GRAFT_TOP "/bench/graft/filter_ip.bpf.o");
GRAFT(net, GRAFT_TOP "/bench/graft/filter_net.bpf.o");
GRAFT(between, GRAFT_TOP "/bench/graft/filter_between.bpf.o");
GRAFT(tcp, GRAFT_TOP "/bench/graft/filter_tcp.bpf.o");
GRAFT(xor, GRAFT_TOP "/bench/graft/xor.bpf.o");
GRAFT(fault, GRAFT_TOP "/samples/graft/fault.bpf.o");
GRAFT(state, GRAFT_TOP "/libexo/test/graft/state.bpf.o");
GRAFT(bounds, GRAFT_TOP "/libexo/test/graft/bounds.bpf.o");
GRAFT(helper, GRAFT_TOP "/libexo/test/graft/helper.bpf.o");
GRAFT(forever, GRAFT_TOP "/libexo/test/graft/forever.bpf.o");

static struct exo_env *env;

/* A test with an environment, which it must be able to close afterwards. */
#define GRAFT_TEST(name) \
	static void name##_body(void); \
	TEST_LONG(name, 120) \
	{ \
		set_up(); \
		name##_body(); \
		CHECK(exo_env_close(env) == 0); \
	} \
	static void name##_body(void)

static void set_up(void)
{
	int ret = exo_env_open(&env, NULL);

	if (ret)
		FAIL("%s", exo_open_hint(ret));
	if (!(exo_env_info(env)->out_features & EXO_FEATURE_GRAFT))
		SKIP("this module loads no grafts");
}

static struct exo_graft_object *open_graft(const char *start, const char *end, const char *name)
{
	struct exo_graft_object *object;
	char error[512] = "";
	int ret;

	ret = exo_graft_open_memory(&object, start, (size_t)(end - start),
				    &EXO_OPTS(exo_graft_open, .name = name, .error = error,
					      .error_size = sizeof(error)));
	if (ret)
		FAIL("%d %s", ret, error);
	return object;
}

#define OPEN(name) open_graft(name##_start, name##_end, NULL)

static struct exo_graft *load(struct exo_graft_object *object, uint32_t mode)
{
	struct exo_graft *graft;
	char error[512] = "";
	int ret;

	ret = exo_graft_load(env, object, &EXO_OPTS(exo_graft_load, .mode = mode, .error = error,
						    .error_size = sizeof(error)), &graft);
	if (ret)
		FAIL("mode %u: %d %s", mode, ret, error);
	if (mode && exo_graft_mode(graft) != mode)
		FAIL("asked for mode %u, got %u: %s", mode, exo_graft_mode(graft), error);
	return graft;
}

/* How a run without data ended. */
static uint32_t run(struct exo_graft *graft, uint64_t arg, struct exo_graft_invoke *invoke)
{
	*invoke = (struct exo_graft_invoke){ .repeat = 1, .arg = { arg } };
	ASSERT_EQ(exo_graft_run(graft, invoke), 0);
	return invoke->out_status;
}

static bool accepts(struct exo_graft *graft, const struct trace_frame *frame)
{
	struct exo_graft_invoke invoke = {
		.repeat = 1,
		.data = (uintptr_t)frame->bytes,
		.data_size = frame->length,
	};

	ASSERT_EQ(exo_graft_run(graft, &invoke), 0);
	ASSERT_EQ(invoke.out_status, EXO_GRAFT_OK);
	ASSERT_EQ(invoke.out_runs, 1);
	return invoke.out_result;
}

/* Every filter in every mode accepts exactly what the trace says. */
GRAFT_TEST(graft_load__filters_agree_with_the_trace)
{
	struct exo_graft_object *object[TRACE_FILTERS] = { OPEN(ip), OPEN(net), OPEN(between),
							   OPEN(tcp) };
	static struct trace_frame frame;
	struct exo_graft *graft;
	struct trace trace;
	uint32_t i, mode, n, hits;

	for (i = 0; i < TRACE_FILTERS; i++) {
		for (mode = EXO_GRAFT_PROOF; mode <= EXO_GRAFT_INTERP; mode++) {
			graft = load(object[i], mode);
			trace_start(&trace, TRACE_SEED);
			for (n = 0, hits = 0; n < 200; n++) {
				trace_next(&trace, &frame);
				ASSERT_EQ_FOR(accepts(graft, &frame), !!(frame.match & (1U << i)),
					      "filter %u, mode %u, frame %u", i, mode, n);
				hits += !!(frame.match & (1U << i));
			}
			CHECK(hits && hits < n);
			CHECK(exo_graft_unload(graft) == 0);
		}
		exo_graft_close(object[i]);
	}
}

GRAFT_TEST(graft_load__takes_the_best_mode)
{
	struct exo_graft_object *object = OPEN(xor);
	struct exo_graft *graft = load(object, 0);

	ASSERT_EQ(exo_graft_mode(graft), EXO_GRAFT_PROOF);
	CHECK(exo_graft_loaded(graft)->out_lowered >= exo_graft_object_parts(object)->nr_insns);
	exo_graft_unload(graft);
	exo_graft_close(object);
}

/* What can't be proved is sandboxed, and its owner is told why; asked for a proof it is refused (INV-GRAFT-42). */
GRAFT_TEST(graft_load__says_why_it_is_no_proof)
{
	struct exo_graft_object *object = OPEN(bounds);
	struct exo_graft *graft;
	char error[512] = "";
	uint32_t mode;
	int ret;

	for (mode = 0; mode <= EXO_GRAFT_PROOF; mode++) {
		ret = exo_graft_load(env, object,
				     &EXO_OPTS(exo_graft_load, .mode = mode, .error = error,
					       .error_size = sizeof(error)), &graft);
		test_note("%s", error);
		CHECK(strstr(error, "bounds.bpf.c, line 14: ") && strstr(error, "instruction"));
		if (mode) {
			ASSERT_EQ(ret, -EINVAL);
			continue;
		}
		ASSERT_EQ(ret, 0);
		ASSERT_EQ(exo_graft_mode(graft), EXO_GRAFT_SANDBOX);
		exo_graft_unload(graft);
	}
	exo_graft_close(object);
}

/* The module's own refusal is said in the same words as that of the library (INV-GRAFT-41). */
GRAFT_TEST(graft_load__module_refuses_with_a_place)
{
	struct exo_graft_object *object = OPEN(helper);
	struct exo_graft *graft;
	char error[512] = "";

	ASSERT_EQ(exo_graft_load(env, object,
				 &EXO_OPTS(exo_graft_load, .mode = EXO_GRAFT_SANDBOX, .error = error,
					   .error_size = sizeof(error)), &graft), -EINVAL);
	CHECK(strstr(error, "line 8: exo_bind() may not be called at the hook \"pure\""));
	exo_graft_close(object);
}

GRAFT_TEST(graft_state__is_shared_and_has_its_first_values)
{
	struct exo_graft_object *object = open_graft(state_start, state_end, "first");
	struct exo_graft_invoke invoke;
	struct exo_graft *graft;
	uint64_t *counter;
	size_t size;
	uint32_t mode;

	for (mode = EXO_GRAFT_PROOF; mode <= EXO_GRAFT_INTERP; mode++) {
		graft = load(object, mode);
		CHECK(exo_graft_state(graft, &size) && size == EXO_PAGE_SIZE);
		counter = exo_graft_state_var(graft, "counter", &size);
		CHECK(counter && size == sizeof(*counter));
		CHECK(!exo_graft_state_var(graft, "no such variable", NULL));
		ASSERT_EQ(*counter, 41);
		ASSERT_EQ(run(graft, 2, &invoke), EXO_GRAFT_OK);
		ASSERT_EQ(invoke.out_result, 1);
		ASSERT_EQ(invoke.out[0], 48);
		ASSERT_EQ(*counter, 48);
		*counter = 100;
		ASSERT_EQ(run(graft, 3, &invoke), EXO_GRAFT_OK);
		ASSERT_EQ(invoke.out[0], 111);
		exo_graft_unload(graft);
	}
	exo_graft_close(object);
}

GRAFT_TEST(graft_log__tells_what_was_traced)
{
	struct exo_graft_object *object = open_graft(state_start, state_end, "second");
	struct exo_graft *graft = load(object, 0);
	struct exo_graft_trace entries[4];
	struct exo_graft_invoke invoke;
	uint64_t arg;

	for (arg = 5; arg < 8; arg++) {
		ASSERT_EQ(run(graft, arg, &invoke), EXO_GRAFT_OK);
		ASSERT_EQ(invoke.out_result, 1);
	}
	ASSERT_EQ(exo_graft_log(env, exo_graft_id(graft), entries, 4, 0), 3);
	ASSERT_EQ(entries[0].arg[0], 5);
	ASSERT_EQ(entries[2].arg[0], 7);
	ASSERT_EQ(exo_graft_log(env, exo_graft_id(graft), entries, 4, entries[2].seq), 1);
	ASSERT_EQ(exo_graft_log(env, 0xfffff, entries, 4, 0), -ENOENT);
	exo_graft_unload(graft);
	exo_graft_close(object);
}

/* A stream comes back changed, and twice the same key gives the old one. */
GRAFT_TEST(graft_run__changes_a_stream)
{
	struct exo_graft_object *object = OPEN(xor);
	static uint64_t plain[1024], hidden[1024];
	struct exo_graft_invoke invoke = {
		.repeat = 1,
		.data = (uintptr_t)plain,
		.data_out = (uintptr_t)hidden,
		.data_size = sizeof(plain),
		.arg = { 0x1122334455667788 },
	};
	struct exo_graft *graft;
	uint32_t mode, i;

	for (i = 0; i < 1024; i++)
		plain[i] = i * 0x9e3779b97f4a7c15;
	for (mode = EXO_GRAFT_PROOF; mode <= EXO_GRAFT_INTERP; mode++) {
		graft = load(object, mode);
		ASSERT_EQ(exo_graft_run(graft, &invoke), 0);
		ASSERT_EQ(invoke.out_status, EXO_GRAFT_OK);
		for (i = 0; i < 1024; i++)
			ASSERT_EQ(hidden[i], plain[i] ^ 0x1122334455667788);
		memset(hidden, 0, sizeof(hidden));
		exo_graft_unload(graft);
	}
	exo_graft_close(object);
}

/* What never ends is aborted by its budget, alike in all modes. */
GRAFT_TEST(graft_run__ends_what_never_ends)
{
	struct exo_graft_object *object = OPEN(forever);
	struct exo_graft_invoke invoke;
	struct exo_graft_info info;
	uint32_t mode;
	struct exo_graft *graft;
	uint64_t *stop;

	for (mode = 0; mode <= EXO_GRAFT_INTERP; mode++) {
		graft = load(object, mode);
		ASSERT_EQ(run(graft, 0, &invoke), EXO_GRAFT_ABORT_BUDGET);
		ASSERT_EQ(invoke.out[0], 0);
		ASSERT_EQ(exo_graft_status(env, exo_graft_id(graft), &info), 0);
		ASSERT_EQ(info.out_aborts[EXO_GRAFT_ABORT_BUDGET], 1);
		stop = exo_graft_state_var(graft, "stop", NULL);
		CHECK(stop);
		__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
		ASSERT_EQ(run(graft, 0, &invoke), EXO_GRAFT_OK);
		exo_graft_unload(graft);
	}
	exo_graft_close(object);
}

static int complete(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	ASSERT_EQ(io_uring_submit_and_wait(ring, 1), 1);
	ASSERT_EQ(io_uring_wait_cqe(ring, &cqe), 0);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* The same through io_uring. */
GRAFT_TEST(graft_uring__runs_and_kills)
{
	struct exo_graft_object *object = open_graft(state_start, state_end, "first");
	struct exo_graft_invoke invoke = { .repeat = 1, .arg = { 1 } };
	struct exo_graft *graft = load(object, 0);
	struct exo_graft_kill kill;
	struct exo_graft_info info;
	struct exo_graft_detach detach;
	struct io_uring ring;

	if (!(exo_env_info(env)->out_features & EXO_FEATURE_URING))
		SKIP("this kernel has no commands through io_uring");
	ASSERT_EQ(io_uring_queue_init(4, &ring, 0), 0);
	exo_prep_graft_run(io_uring_get_sqe(&ring), env, graft, &invoke);
	ASSERT_EQ(complete(&ring), 0);
	ASSERT_EQ(invoke.out_status, EXO_GRAFT_OK);
	ASSERT_EQ(invoke.out[0], 46);
	exo_prep_graft_detach(io_uring_get_sqe(&ring), env, EXO_HOOK_VICTIM, NULL, &detach);
	ASSERT_EQ(complete(&ring), -ENOENT);
	exo_prep_graft_kill(io_uring_get_sqe(&ring), env, exo_graft_id(graft), &kill);
	ASSERT_EQ(complete(&ring), 0);
	exo_prep_graft_status(io_uring_get_sqe(&ring), env, exo_graft_id(graft), &info);
	ASSERT_EQ(complete(&ring), 0);
	CHECK(info.out_flags & EXO_GRAFT_IS_KILLED);
	ASSERT_EQ(info.out_runs, 1);
	io_uring_queue_exit(&ring);
	exo_graft_unload(graft);
	exo_graft_close(object);
}

GRAFT_TEST(graft_list__shows_what_is_loaded)
{
	struct exo_graft_object *object = OPEN(ip);
	struct exo_graft *a = load(object, EXO_GRAFT_INTERP), *b = load(object, EXO_GRAFT_SANDBOX);
	struct exo_graft_info rows[4];
	int n;

	CHECK(exo_graft_id(a) != exo_graft_id(b));
	n = exo_graft_list(env, rows, 4, 0);
	ASSERT_EQ(n, 2);
	ASSERT_EQ(rows[0].graft + rows[1].graft, exo_graft_id(a) + exo_graft_id(b));
	CHECK(!strcmp(rows[0].out_name, "filter_ip"));
	ASSERT_EQ(rows[0].out_hook, EXO_HOOK_PURE);
	ASSERT_EQ(exo_graft_list(env, rows, 4, rows[0].graft), 1);
	ASSERT_EQ(exo_env_close(env), -EBUSY);
	exo_graft_unload(a);
	ASSERT_EQ(exo_graft_list(env, rows, 4, 0), 1);
	ASSERT_EQ(exo_graft_status(env, rows[0].graft, &rows[1]), 0);
	exo_graft_unload(b);
	ASSERT_EQ(exo_graft_status(env, rows[0].graft, &rows[1]), -ENOENT);
	exo_graft_close(object);
}

GRAFT_TEST(graft_kill__ends_it_for_good)
{
	struct exo_graft_object *object = open_graft(state_start, state_end, "first");
	struct exo_graft *graft = load(object, 0);
	struct exo_graft_invoke invoke = { .repeat = 1 };
	struct exo_graft_info info;

	ASSERT_EQ(exo_graft_run(graft, &invoke), 0);
	ASSERT_EQ(exo_graft_kill(env, exo_graft_id(graft)), 0);
	ASSERT_EQ(exo_graft_run(graft, &invoke), -EACCES);
	ASSERT_EQ(exo_graft_status(env, exo_graft_id(graft), &info), 0);
	CHECK(info.out_flags & EXO_GRAFT_IS_KILLED);
	exo_graft_unload(graft);
	exo_graft_close(object);
}

static uint64_t *list_of(struct exo_graft *graft, const uint32_t *frames, uint32_t count)
{
	uint32_t *list = exo_graft_state_var(graft, "frames", NULL);

	memcpy(list, frames, count * sizeof(*frames));
	__atomic_store_n((uint64_t *)exo_graft_state_var(graft, "filled", NULL), count,
			 __ATOMIC_RELEASE);
	return exo_graft_state_var(graft, "given", NULL);
}

static void touch(struct exo_view *view, uint32_t page)
{
	*(volatile uint32_t *)exo_view_addr(view, page) = page;
}

/* Faults go to the graft that is attached: none, this one, the one that replaced it. */
GRAFT_TEST(graft_attach__fault_graft_binds_from_its_list)
{
	struct exo_graft_object *object = OPEN(fault);
	struct exo_graft *a = load(object, EXO_GRAFT_PROOF), *b = load(object, EXO_GRAFT_SANDBOX);
	uint32_t frames[FRAMES], page;
	struct exo_view *view;
	uint64_t *given_a, *given_b;

	ASSERT_EQ(exo_mem_alloc_any(env, frames, FRAMES), 0);
	given_a = list_of(a, frames, FRAMES / 2);
	given_b = list_of(b, frames + FRAMES / 2, FRAMES / 2);
	ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = FRAMES), &view), 0);
	ASSERT_EQ(exo_graft_detach(env, EXO_HOOK_FAULT, view), -ENOENT);
	ASSERT_EQ(exo_graft_attach(env, a, &EXO_OPTS(exo_graft_attach, .view = view)), 0);
	ASSERT_EQ(exo_graft_attach(env, b, &EXO_OPTS(exo_graft_attach, .view = view)), -EBUSY);
	for (page = 0; page < 8; page++)
		touch(view, page);
	ASSERT_EQ(*given_a, 8);
	ASSERT_EQ(exo_graft_attach(env, b, &EXO_OPTS(exo_graft_attach, .view = view,
						     .replace = 1)), 0);
	for (page = 0; page < 24; page++)
		touch(view, page);
	ASSERT_EQ(*given_a, 8);
	ASSERT_EQ(*given_b, 16);
	for (page = 0; page < 24; page++)
		ASSERT_EQ(EXO_SLOT_FRAME(exo_view_slot(view, page)),
			  page < 8 ? frames[page] : frames[FRAMES / 2 + page - 8]);
	ASSERT_EQ(exo_graft_detach(env, EXO_HOOK_FAULT, view), 0);
	exo_graft_unload(a);
	exo_graft_unload(b);
	ASSERT_EQ(exo_view_destroy(view), 0);
	exo_graft_close(object);
	ASSERT_EQ(exo_mem_free(env, frames, FRAMES, NULL), 0);
}

GRAFT_TEST(graft_attach__only_where_one_attaches)
{
	struct exo_graft_object *object = OPEN(ip);
	struct exo_graft *graft = load(object, 0);

	ASSERT_EQ(exo_graft_attach(env, graft, NULL), -EINVAL);
	ASSERT_EQ(exo_graft_attach(env, NULL, NULL), -EINVAL);
	exo_graft_unload(graft);
	exo_graft_close(object);
}

/* A graft is shared by capability: others attach it, until it is revoked. */
GRAFT_TEST(graft_attach__by_capability)
{
	struct exo_graft_object *object = OPEN(fault);
	struct exo_graft *graft = load(object, 0);
	struct exo_view *view;
	struct exo_cap cap;
	struct exo_env *other;

	ASSERT_EQ(exo_env_open(&other, NULL), 0);
	ASSERT_EQ(exo_view_create(other, &EXO_OPTS(exo_view, .pages = 8), &view), 0);
	ASSERT_EQ(exo_cap_create(env, EXO_CAP_GRAFT, exo_graft_id(graft), EXO_RIGHT_READ, &cap), 0);
	ASSERT_EQ(exo_graft_attach(other, graft,
				   &EXO_OPTS(exo_graft_attach, .view = view, .cap = &cap)), -EINVAL);
	ASSERT_EQ(exo_graft_attach(other, NULL,
				   &EXO_OPTS(exo_graft_attach, .view = view, .cap = &cap)), 0);
	ASSERT_EQ(exo_graft_detach(other, EXO_HOOK_FAULT, view), 0);
	cap.mac ^= 1;
	ASSERT_EQ(exo_graft_attach(other, NULL,
				   &EXO_OPTS(exo_graft_attach, .view = view, .cap = &cap)), -EACCES);
	cap.mac ^= 1;
	ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_GRAFT, exo_graft_id(graft)), 0);
	ASSERT_EQ(exo_graft_attach(other, NULL,
				   &EXO_OPTS(exo_graft_attach, .view = view, .cap = &cap)), -ESTALE);
	exo_graft_unload(graft);
	exo_graft_close(object);
	ASSERT_EQ(exo_view_destroy(view), 0);
	ASSERT_EQ(exo_env_close(other), 0);
}

/* A certificate that was kept in the file is as good as one that is made at load. */
GRAFT_TEST(graft_save__keeps_the_certificate)
{
	char from[] = "/tmp/graft-from.XXXXXX", to[] = "/tmp/graft-to.XXXXXX";
	struct exo_graft_object *object = OPEN(tcp), *saved;
	struct exo_graft_verdict verdict;
	struct exo_graft *graft;
	int fd = mkstemp(from);

	ASSERT_EQ(write(fd, tcp_start, (size_t)(tcp_end - tcp_start)), tcp_end - tcp_start);
	close(fd);
	close(mkstemp(to));
	ASSERT_EQ(exo_graft_save(object, from, to), -EINVAL);
	ASSERT_EQ(exo_graft_verify(object, &verdict), 0);
	ASSERT_EQ(exo_graft_save(object, from, to), 0);
	ASSERT_EQ(exo_graft_open(&saved, to, NULL), 0);
	ASSERT_EQ(exo_graft_object_parts(saved)->cert_size, verdict.cert_size);
	graft = load(saved, EXO_GRAFT_PROOF);
	exo_graft_unload(graft);
	exo_graft_close(saved);
	exo_graft_close(object);
	unlink(from);
	unlink(to);
}
