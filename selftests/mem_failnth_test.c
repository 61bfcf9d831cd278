// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation failing once in every operation of env, cap and mem, see failnth.h.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "failnth.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 3;

/* ---- operations ------------------------------------------------------------------------------------------------ */

static int opened;

static int call_open(void)
{
	opened = open(t_device(), O_RDWR | O_CLOEXEC);
	return opened < 0 ? -errno : 0;
}

static void undo_open(void)
{
	/* The opener's own death is not injected into. */
	close(opened);
}

TEST_LONG(env__open, 120)
{
	setup();
	sweep("open", call_open, undo_open, 3);
}

static void *mapped;
static size_t mapped_len;
static uint64_t map_at;
static int map_fd;

static int call_map(void)
{
	mapped = mmap(NULL, mapped_len, PROT_READ, MAP_SHARED, map_fd, (off_t)map_at);
	return mapped == MAP_FAILED ? -errno : 0;
}

static void undo_map(void)
{
	munmap(mapped, mapped_len);
}

TEST_LONG(env__mmap, 120)
{
	struct exo_info info;

	setup();
	t_info(fd, &info);
	map_fd = fd;
	map_at = EXO_MMAP_TABLE;
	mapped_len = info.out_table_bytes;
	sweep("mmap of the table", call_map, undo_map, 1);
	map_at = EXO_MMAP_RING;
	mapped_len = info.out_ring_bytes;
	sweep("mmap of the ring", call_map, undo_map, 1);
	map_at = EXO_MMAP_WINDOW;
	mapped_len = 16 * PAGE;
	sweep("mmap of a window", call_map, undo_map, 1);
	map_at = EXO_MMAP_VIEW_TABLE | (uint64_t)view.id << 40;
	mapped_len = 8192 * 8;
	sweep("mmap of a view table", call_map, undo_map, 1);
	map_at = EXO_MMAP_STLB | (uint64_t)view.id << 40;
	mapped_len = PAGE;
	sweep("mmap of a software TLB", call_map, undo_map, 1);
	map_at = EXO_MMAP_SAVE;
	sweep("mmap of a save page", call_map, undo_map, 1);
}

static uint32_t got[512], want;
static uint32_t alloc_how;

static int call_alloc(void)
{
	uint32_t done;
	int ret = t_alloc(fd, alloc_how, got, want, &done);

	/* Those that were allocated before the failure stay: give them back, as a caller would. */
	if (ret && done)
		ASSERT_EQ(t_free(fd, got, done, NULL), 0);
	return ret;
}

static void undo_alloc(void)
{
	ASSERT_EQ(t_free(fd, got, want, NULL), 0);
}

TEST_LONG(mem__alloc, 240)
{
	setup();
	alloc_how = EXO_ALLOC_ANY;
	want = 1;
	sweep("alloc of one frame", call_alloc, undo_alloc, 1);
	want = 40;
	sweep("alloc of 40 frames", call_alloc, undo_alloc, 2);
	alloc_how = EXO_ALLOC_CONTIG;
	want = 16;
	sweep("alloc of a run", call_alloc, undo_alloc, 1);
	alloc_how = EXO_ALLOC_HUGE;
	want = 1;
	sweep("alloc of 2 MiB", call_alloc, undo_alloc, 1);
	/* More than the few log entries that an environment keeps for its next frames. */
	t_alloc_any(fd, got, 20);
	ASSERT_EQ(t_free(fd, got, 20, NULL), 0);
	alloc_how = EXO_ALLOC_THESE;
	want = 20;
	sweep("alloc of these", call_alloc, undo_alloc, 1);
}

static int call_free(void)
{
	uint32_t done;
	int ret = t_free(fd, got, 8, &done);

	if (ret && done)
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, got, done, NULL), 0);
	return ret;
}

static void undo_free(void)
{
	uint32_t i;

	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, got, 8, NULL), 0);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(t_bind(&view, i * 600, 1, got[i], RW), 0);
}

TEST_LONG(mem__free, 120)
{
	setup();
	t_alloc_any(fd, got, 8);
	/* Unbound frames: a free that fails must leave them as they are. */
	{
		uint32_t i;

		for (i = 0; i < 8; i++)
			ASSERT_EQ(t_bind(&view, i * 600, 1, got[i], RW), 0);
	}
	sweep("free", call_free, undo_free, 0);
}

static struct view fresh;

static int call_view_create(void)
{
	return t_view_create(fd, 8192, EXO_VIEW_MONITOR, 512, &fresh);
}

static void undo_view_create(void)
{
	ASSERT_EQ(t_view_destroy(&fresh), 0);
}

static char *fresh_at;

static int call_view_map(void)
{
	return t_view_map(&fresh, fresh_at, 0);
}

static void undo_view_map(void)
{
	ASSERT_EQ(munmap(fresh.base, fresh.length), 0);
}

TEST_LONG(view__create_and_map, 240)
{
	setup();
	sweep("view create", call_view_create, undo_view_create, 2);
	ASSERT_EQ(call_view_create(), 0);
	/* A place that is known to be free: looking for one could fail, too. */
	ASSERT_EQ(t_view_map(&fresh, NULL, 0), 0);
	fresh_at = fresh.base;
	undo_view_map();
	sweep("mmap of a view", call_view_map, undo_view_map, 1);
}

static void make_ops(struct exo_mem_op *ops, uint32_t n, uint32_t rights)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		ops[i] = (struct exo_mem_op){ i * 130, 1, rights ? frames[i] : 0, (uint16_t)rights, 0 };
}

static struct view *target;
static uint32_t nr_ops;

static int call_bind(void)
{
	struct exo_mem_op ops[64];
	uint32_t done, i;
	int ret;

	make_ops(ops, nr_ops, RW);
	ret = t_batch(target, EXO_MEM_BIND, ops, nr_ops, 0, &done);
	if (ret) {
		/* INV-REQ-3: those before it have happened. */
		for (i = 0; i < nr_ops; i++)
			ASSERT_EQ(!!target->slots[i * 130], i < done);
		if (done) {
			make_ops(ops, done, 0);
			ASSERT_EQ(t_batch(target, EXO_MEM_UNBIND, ops, done, 0, NULL), 0);
		}
	}
	return ret;
}

static void undo_bind(void)
{
	ASSERT_EQ(t_unbind(target, 0, target->pages), 0);
}

/* The view goes, too: page tables and chunks are allocated anew. */
static void undo_bind_fresh(void)
{
	t_view_end(&fresh);
	t_view(fd, 8192, 0, 0, &fresh);
}

TEST_LONG(view__bind, 600)
{
	setup();
	t_view(fd, 8192, 0, 0, &fresh);
	target = &fresh;
	nr_ops = 1;
	sweep("first bind in a view", call_bind, undo_bind_fresh, 2);
	nr_ops = 60;
	sweep("bind of 60 pages, tables and all", call_bind, undo_bind_fresh, 10);
	target = &view;
	ASSERT_EQ(call_bind(), 0);
	undo_bind();
	sweep("bind of 60 pages, tables there", call_bind, undo_bind, 0);
	/* Second bindings need records of their own. */
	target = &fresh;
	ASSERT_EQ(call_bind(), 0);
	target = &view;
	sweep("second bindings", call_bind, undo_bind, 1);
}

static int call_rebind(void)
{
	struct exo_mem_op ops[64];
	uint32_t done, i;
	int ret;

	make_ops(ops, 60, RO);
	ret = t_batch(&view, EXO_MEM_REBIND, ops, 60, EXO_BATCH_REPORT, &done);
	/* Back to what it was, for those that happened. */
	if (ret)
		for (i = 0; i < done; i++)
			ASSERT_EQ(t_rebind(&view, i * 130, 1, frames[i + 1 < 64 ? i + 1 : 0], RW), 0);
	return ret;
}

static void undo_rebind(void)
{
	uint32_t i;

	for (i = 0; i < 60; i++)
		ASSERT_EQ(t_rebind(&view, i * 130, 1, frames[i + 1], RW), 0);
}

static int call_protect(void)
{
	struct exo_mem_op ops[64];
	uint32_t i;

	make_ops(ops, 60, RO);
	for (i = 0; i < 60; i++)
		ops[i].frame = 0;
	return t_batch(&view, EXO_MEM_PROTECT, ops, 60, EXO_BATCH_REPORT, NULL);
}

static int call_unbind(void)
{
	struct exo_mem_op ops[64];
	uint32_t done, i;
	int ret;

	make_ops(ops, 60, 0);
	ret = t_batch(&view, EXO_MEM_UNBIND, ops, 60, EXO_BATCH_REPORT, &done);
	if (ret)
		for (i = 0; i < done; i++)
			ASSERT_EQ(t_bind(&view, i * 130, 1, frames[i + 1], RW), 0);
	return ret;
}

static uint8_t bits[8192];

static int call_harvest(void)
{
	return t_harvest(&view, 0, 8192, 3, bits, NULL, NULL);
}

TEST_LONG(view__rebind_and_others, 600)
{
	setup();
	undo_rebind();
	sweep("rebind", call_rebind, undo_rebind, 0);
	undo_rebind();
	sweep("protect", call_protect, NULL, 0);
	sweep("harvest", call_harvest, NULL, 0);
	undo_rebind();
	sweep("unbind", call_unbind, undo_rebind, 0);
}

static int call_import(void)
{
	return t_import(other, &cap, NULL, NULL);
}

static void undo_import(void)
{
	ASSERT_EQ(t_drop(other, frames[0]), 0);
}

static struct exo_cap got_caps[512];

static int call_alloc_caps(void)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = alloc_how, .count = want,
				     .frames_ptr = (uintptr_t)got, .rights = RW,
				     .caps_ptr = (uintptr_t)got_caps };
	int ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);

	if (ret && arg.out_done)
		ASSERT_EQ(t_free(fd, got, arg.out_done, NULL), 0);
	return ret;
}

static int sock[2];

static void drain(void)
{
	struct exo_cap caps[64];

	while (recv(sock[1], caps, sizeof(caps), MSG_DONTWAIT) > 0)
		;
}

/* A message that there was no memory for is no failure of the allocation. */
static int call_alloc_send(void)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = alloc_how | EXO_ALLOC_SEND,
				     .count = want, .frames_ptr = (uintptr_t)got, .rights = RW,
				     .caps_ptr = (uintptr_t)got_caps, .sock = sock[0] };
	int ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);

	if (!ret && arg.out_sent == (int)(want * sizeof(got_caps[0])))
		return 0;
	if (!ret) {
		ASSERT_EQ(arg.out_done, want);
		ASSERT_TRUE(arg.out_sent == -ENOBUFS || arg.out_sent == -ENOMEM);
	}
	ASSERT_EQ(recv(sock[1], got_caps, sizeof(got_caps), MSG_DONTWAIT), -1);
	ASSERT_EQ(errno, EAGAIN);
	if (arg.out_done)
		ASSERT_EQ(t_free(fd, got, arg.out_done, NULL), 0);
	return ret ? ret : -ENOMEM;
}

static void undo_alloc_send(void)
{
	drain();
	undo_alloc();
}

static struct view their_view;

/* Two in a packet: with memory of its own. */
static int call_receive(void)
{
	struct exo_cap caps[2] = { cap, cap }, came[2];
	struct exo_mem_import arg = { .size = sizeof(arg), .flags = EXO_IMPORT_RECEIVE,
				      .sock = sock[1], .count = 2, .caps_ptr = (uintptr_t)came };
	int ret;

	if (send(sock[0], caps, sizeof(caps), 0) != (ssize_t)sizeof(caps))
		return -ENOMEM;
	ret = t_ioctl(other, EXO_MEM_IMPORT, &arg);
	if (!ret)
		return 0;
	/* What came is the caller's, however far the import got (INV-CAP-10). */
	if (arg.out_received) {
		ASSERT_EQ(arg.out_received, sizeof(came));
		ASSERT_EQ(memcmp(came, caps, sizeof(came)), 0);
	}
	if (arg.out_done)
		ASSERT_EQ(t_drop(other, frames[0]), 0);
	drain();
	return ret;
}

static int call_import_bind(void)
{
	struct exo_mem_import arg = { .size = sizeof(arg), .flags = EXO_IMPORT_BIND, .cap = cap,
				      .view = their_view.id, .page = 600, .rights = RW };
	int ret = t_ioctl(other, EXO_MEM_IMPORT, &arg);

	/* Nothing is imported that was not before (INV-CAP-7). */
	if (ret)
		ASSERT_EQ(t_bind(&their_view, 601, 1, frames[0], RO), -EACCES);
	return ret;
}

/* The view goes, too: page tables, chunks and the grant are allocated anew. */
static void undo_import_bind(void)
{
	undo_import();
	t_view_end(&their_view);
	t_view(other, 8192, 0, 0, &their_view);
}

static int call_cap(void)
{
	struct exo_cap c;

	return t_cap(fd, frames[1], RW, &c);
}

static int call_cap_check(void)
{
	return t_cap_check(other, &cap, RO);
}

static int call_revoke_caps(void)
{
	return t_cap_revoke_own(fd, frames[0]);
}

static void undo_revoke_caps(void)
{
	ASSERT_EQ(t_cap(fd, frames[0], EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
}

TEST_LONG(share__all, 240)
{
	setup();
	sweep("cap create", call_cap, NULL, 0);
	sweep("cap check", call_cap_check, NULL, 0);
	sweep("import", call_import, undo_import, 1);
	t_view(other, 8192, 0, 0, &their_view);
	sweep("import and bind", call_import_bind, undo_import_bind, 3);
	alloc_how = EXO_ALLOC_ANY;
	want = 100;
	sweep("alloc with capabilities", call_alloc_caps, undo_alloc, 2);
	alloc_how = EXO_ALLOC_CONTIG;
	want = 16;
	sweep("alloc of a run with capabilities", call_alloc_caps, undo_alloc, 1);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	alloc_how = EXO_ALLOC_ANY;
	sweep("alloc that sends", call_alloc_send, undo_alloc_send, 2);
	want = 1;
	sweep("alloc of one that sends", call_alloc_send, undo_alloc_send, 2);
	sweep("import that receives", call_receive, undo_import, 2);
	ASSERT_EQ(call_import(), 0);
	sweep("cap revoke", call_revoke_caps, undo_revoke_caps, 0);
}

static uint32_t grown;

static int call_grow(void)
{
	int ret = t_pool(fd, EXO_POOL_GROW, 512, &grown);

	/* A pool that grew by less says so in out_done. */
	if (!ret && grown < 512)
		ret = -ENOMEM;
	if (ret && grown)
		ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, grown, NULL), 0);
	return ret;
}

static void undo_grow(void)
{
	uint32_t done;

	ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, 512, &done), 0);
}

TEST_LONG(pool__grow, 600)
{
	setup();
	sweep("pool grow", call_grow, undo_grow, 1);
}

static int call_quota(void)
{
	static uint32_t uid = 50000;
	struct exo_quota quota = { .size = sizeof(quota), .flags = EXO_QUOTA_MIN, .uid = uid++, .min = 0 };

	return t_ioctl(fd, EXO_QUOTA_SET, &quota);
}

static int call_eventfd(void)
{
	static int ev = -1;
	struct exo_env_eventfd arg = { .size = sizeof(arg) };

	if (ev < 0)
		ev = eventfd(0, 0);
	arg.fd = ev;
	return t_ioctl(fd, EXO_ENV_EVENTFD, &arg);
}

static int call_list(void)
{
	static struct exo_env_status rows[16];
	struct exo_env_list arg = { .size = sizeof(arg), .count = 16, .envs = (uintptr_t)rows,
				    .row_size = sizeof(rows[0]) };

	return t_ioctl(fd, EXO_ENV_LIST, &arg);
}

static int call_query(void)
{
	static struct exo_frame_info rows[64];
	int ret = t_query(fd, 0, 64, rows);

	return ret < 0 ? ret : 0;
}

static int call_revoke(void)
{
	uint32_t asked;

	return t_revoke(other, 0, 1, 3600000, &asked);
}

static char stack[64 * 4096] __attribute__((aligned(64)));

static int call_upcall(void)
{
	struct exo_mem_upcall arg = { .size = sizeof(arg), .handler = (uintptr_t)&abort,
				      .stack = (uintptr_t)stack + 8192, .stride = 8192 };

	return t_ioctl(fd, EXO_MEM_UPCALL, &arg);
}

static void undo_upcall(void)
{
	struct exo_mem_upcall arg = { .size = sizeof(arg), .flags = EXO_UPCALL_REMOVE };

	ASSERT_EQ(t_ioctl(fd, EXO_MEM_UPCALL, &arg), 0);
}

TEST_LONG(other__all, 600)
{
	setup();
	sweep("quota set", call_quota, NULL, 1);
	sweep("eventfd", call_eventfd, NULL, 0);
	sweep("env list", call_list, NULL, 0);
	sweep("query", call_query, NULL, 0);
	t_need_feature(fd, EXO_FEATURE_UPCALL, "upcalls");
	sweep("upcall", call_upcall, undo_upcall, 1);
}

/* A request counts, so that the state is not as before: only that it does not break. */
TEST_LONG(revoke__ask, 120)
{
	unsigned int n;

	setup();
	for (n = 1; n < 200; n++) {
		int ret;

		arm(n);
		ret = call_revoke();
		if (!disarm()) {
			ASSERT_EQ(ret, 0);
			break;
		}
	}
}

/* ---- faults --------------------------------------------------------------------------------------------------- */

/*
 * A fault that finds no memory is retried by Linux, or ends in SIGBUS: it must not lose the slot. The
 * access is the system call that is injected into.
 */
TEST_LONG(fault__touch, 240)
{
	unsigned int n, hits = 0;
	uint64_t value;
	char *window;

	setup();
	for (n = 1; n < 100; n++) {
		bool hit;

		t_view(fd, 1024, 0, 0, &fresh);
		ASSERT_EQ(t_bind(&fresh, 700, 1, frames[3], RW), 0);
		/* The PTE goes, the slot stays: the next touch installs it. */
		madvise(fresh.base, fresh.length, MADV_DONTNEED);
		arm(n);
		t_load(t_page(&fresh, 700), &value);
		hit = disarm();
		ASSERT_EQ(t_load(t_page(&fresh, 700), &value), 0);
		t_view_end(&fresh);

		window = t_window(fd, frames[4], 1, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(window);
		arm(n);
		t_load(window, &value);
		hit |= disarm();
		ASSERT_EQ(t_load(window, &value), 0);
		munmap(window, PAGE);
		hits += hit;
		if (!hit)
			break;
	}
	test_note("faults: %u injections", hits);
	ASSERT_GT(hits, 0);
}
