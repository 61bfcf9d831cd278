// SPDX-License-Identifier: GPL-2.0
/*
 * The pool and allocation: any frames, these, a colour, a node, a contiguous run, 2 MiB; what is
 * zeroed when; what everybody sees in the table.
 */
#include <signal.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 4096;
uint32_t test_pool_huge = 4;

#define N 64

static void all_different(const uint32_t *frames, uint32_t n)
{
	uint32_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < i; k++)
			ASSERT_NE(frames[i], frames[k]);
}

/* Catches: frames given twice, or not shown as taken (INV-FRAME-1, INV-FRAME-8). */
TEST(any__table)
{
	int fd = t_open(), other = t_open();
	const struct exo_table *table = t_table(other);
	uint64_t before = table->free;
	uint32_t frames[N], more[N], i;

	t_alloc_any(fd, frames, N);
	t_alloc_any(other, more, N);
	all_different(frames, N);
	for (i = 0; i < N; i++) {
		uint32_t k;

		ASSERT_EQ(table->frame[frames[i]].state, EXO_FRAME_TAKEN);
		ASSERT_EQ(table->frame[frames[i]].order, 0);
		for (k = 0; k < N; k++)
			ASSERT_NE(frames[i], more[k]);
	}
	ASSERT_EQ(table->free, before - 2 * N);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(table->free, before - N);
	for (i = 0; i < N; i++)
		ASSERT_EQ(table->frame[frames[i]].state, EXO_FRAME_FREE);
}

/* Catches: a request that takes more than there is, or loses what it took (INV-REQ-3). */
TEST(any__until_empty)
{
	int fd = t_open();
	const struct exo_table *table = t_table(fd);
	uint32_t n = (uint32_t)table->present, done, total = 0, chunk;
	uint32_t *frames = calloc(n, sizeof(*frames));
	struct exo_info info;
	int ret = 0;

	t_info(fd, &info);
	while (total < n && !ret) {
		chunk = n - total < 1000 ? n - total : 1000;
		ret = t_alloc(fd, EXO_ALLOC_ANY, frames + total, chunk, &done);
		total += done;
		if (!ret)
			ASSERT_EQ(done, chunk);
	}
	test_note("%u of %u frames, then %s", total, n, strerror(-ret));
	/* 2 MiB frames may be kept for those who ask for them, nothing else. */
	ASSERT_EQ(table->free, table->free_huge * 512);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, frames, 1, &done), -ENOSPC);
	ASSERT_EQ(done, 0);
	while (total) {
		chunk = total < 1000 ? total : 1000;
		ASSERT_EQ(t_free(fd, frames + total - chunk, chunk, &done), 0);
		ASSERT_EQ(done, chunk);
		total -= chunk;
	}
}

/* Catches: counts that nobody could mean (INV-REQ-6). */
TEST(any__count)
{
	int fd = t_open();
	uint32_t frame, done;
	struct exo_info info;

	t_info(fd, &info);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_ANY, &frame, 0, &done), -EINVAL);
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_ANY, &frame, 0xffffffff, &done), 0);
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_ANY, &frame, 0x80000000, &done), 0);
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_HUGE, &frame, 0x00800000, &done), 0);
	ASSERT_EQ(t_alloc(fd, 9, &frame, 1, &done), -EINVAL);
	ASSERT_EQ(t_free(fd, &frame, 0, &done), -EINVAL);
	ASSERT_NE(t_free(fd, &frame, 0xffffffff, &done), 0);
}

/* Catches: THESE that gives other frames, or frames of others. */
TEST(these__exactly)
{
	int fd = t_open(), other = t_open();
	uint32_t frames[N], done, i, wanted[3];
	struct exo_info info;

	t_info(fd, &info);
	t_alloc_any(fd, frames, N);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, frames, N, &done), 0);
	ASSERT_EQ(done, N);
	for (i = 0; i < N; i++) {
		struct exo_frame_info row;

		ASSERT_EQ(t_query(other, frames[i], 1, &row), 1);
		ASSERT_EQ(row.hold & EXO_HOLD_OWNER, EXO_HOLD_OWNER);
	}
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, frames, 1, &done), -EBUSY);
	ASSERT_EQ(done, 0);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, frames, 1, &done), -EBUSY);

	/* A batch stops at the first that is taken; the ones before it are had (INV-REQ-3). */
	ASSERT_EQ(t_free(other, frames, 2, NULL), 0);
	wanted[0] = frames[0];
	wanted[1] = frames[5];
	wanted[2] = frames[1];
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, wanted, 3, &done), -EBUSY);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frames[1], 1, NULL), 0);

	/* The same twice in one batch. */
	ASSERT_EQ(t_free(other, frames + 2, 1, NULL), 0);
	wanted[0] = wanted[1] = frames[2];
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, wanted, 2, &done), -EBUSY);
	ASSERT_EQ(done, 1);

	wanted[0] = info.out_frames;
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, wanted, 1, &done), -EINVAL);
	wanted[0] = 0xffffffff;
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, wanted, 1, &done), -EINVAL);
}

/* Catches: frames that are not in the pool being given out. */
TEST(these__absent)
{
	int fd = t_open();
	const struct exo_table *table = t_table(fd);
	uint32_t i, done;

	for (i = 0; i < table->frames; i++)
		if (table->frame[i].state == EXO_FRAME_ABSENT)
			break;
	if (i == table->frames)
		SKIP("every frame number is in use");
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_THESE, &i, 1, &done), 0);
	ASSERT_EQ(done, 0);
	ASSERT_EQ(table->frame[i].state, EXO_FRAME_ABSENT);
}

/* Catches: a colour that is only a wish. */
TEST(colour__exactly)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = EXO_ALLOC_COLOUR, .count = 8 };
	int fd = t_open();
	const struct exo_table *table = t_table(fd);
	uint32_t frames[8], i, colour, found = 0;
	struct exo_info info;

	t_info(fd, &info);
	arg.frames_ptr = (uintptr_t)frames;
	for (i = 0; i < table->frames; i++)
		if (table->frame[i].state != EXO_FRAME_ABSENT)
			ASSERT_LT(table->frame[i].colour, info.out_colours);
	for (colour = 0; colour < info.out_colours && colour < 64; colour++) {
		int ret;

		arg.colour = colour;
		ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);
		if (ret != -ENOSPC)
			ASSERT_EQ(ret, 0);
		for (i = 0; i < arg.out_done; i++)
			ASSERT_EQ(table->frame[frames[i]].colour, colour);
		found += arg.out_done;
		all_different(frames, arg.out_done);
	}
	ASSERT_GT(found, 0);
	arg.colour = info.out_colours;
	ASSERT_EQ(t_ioctl(fd, EXO_MEM_ALLOC, &arg), -EINVAL);
	arg.colour = ~0U;
	ASSERT_EQ(t_ioctl(fd, EXO_MEM_ALLOC, &arg), -EINVAL);
}

/* Catches: a node that is only a wish. */
TEST(node__exactly)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = EXO_ALLOC_NODE, .count = N };
	int fd = t_open();
	const struct exo_table *table = t_table(fd);
	uint32_t frames[N], i;
	struct exo_info info;

	t_info(fd, &info);
	arg.frames_ptr = (uintptr_t)frames;
	for (arg.node = 0; arg.node < info.out_nodes; arg.node++) {
		int ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);

		if (ret == -ENOSPC && arg.node) {
			struct exo_mem_pool pool = { .size = sizeof(pool), .frames = 512,
						     .flags = EXO_POOL_GROW | EXO_POOL_NODE,
						     .node = arg.node };

			t_need_root();
			ASSERT_EQ(t_ioctl(fd, EXO_MEM_POOL, &pool), 0);
			ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);
		}
		ASSERT_EQ_FOR(ret, 0, "node %u", arg.node);
		for (i = 0; i < N; i++)
			ASSERT_EQ(table->frame[frames[i]].node, arg.node);
	}
	for (arg.node = 64; arg.node; arg.node <<= 1)
		if (arg.node >= info.out_nodes)
			ASSERT_EQ(t_ioctl(fd, EXO_MEM_ALLOC, &arg), -EINVAL);
}

/* Catches: runs with a gap in real memory. */
TEST(contig__real)
{
	struct exo_frame_info rows[256];
	uint32_t frames[256], n, i, done;
	int fd = t_open();
	const struct exo_table *table = t_table(fd);

	for (n = 2; n <= 256; n *= 2) {
		int ret = t_alloc(fd, EXO_ALLOC_CONTIG, frames, n, &done);

		if (ret == -ENOSPC) {
			/* All or nothing. */
			ASSERT_EQ(done, 0);
			test_note("no run of %u frames", n);
			break;
		}
		ASSERT_EQ(ret, 0);
		ASSERT_EQ(done, n);
		ASSERT_EQ(t_query(fd, frames[0], n, rows), n);
		for (i = 1; i < n; i++) {
			ASSERT_EQ(frames[i], frames[0] + i);
			ASSERT_EQ(table->frame[frames[i - 1]].flags & EXO_FRAME_CONTIG,
				  EXO_FRAME_CONTIG);
			/* Only root is told. */
			if (rows[0].pfn)
				ASSERT_EQ(rows[i].pfn, rows[0].pfn + i);
		}
		ASSERT_EQ(t_free(fd, frames, n, NULL), 0);
	}
	ASSERT_GT(n, 2);
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_CONTIG, frames, 0x7fffffff, &done), 0);
	ASSERT_EQ(done, 0);
}

/* Catches: 2 MiB frames that are not, and parts of them given away. */
TEST(huge__whole)
{
	int fd = t_open(), other = t_open();
	const struct exo_table *table = t_table(fd);
	struct exo_frame_info rows[512];
	uint32_t frame = t_huge(fd), part, i, done;
	uint64_t nr_free;
	struct exo_env_status st;

	ASSERT_EQ(frame % 512, 0);
	for (i = 0; i < 512; i++) {
		ASSERT_EQ(table->frame[frame + i].state, EXO_FRAME_TAKEN);
		ASSERT_EQ(table->frame[frame + i].order, EXO_HUGE_ORDER);
	}
	ASSERT_EQ(t_query(fd, frame, 512, rows), 512);
	for (i = 1; i < 512 && rows[0].pfn; i++)
		ASSERT_EQ(rows[i].pfn, rows[0].pfn + i);
	ASSERT_EQ(rows[0].pfn % 512, 0);
	t_status(fd, &st);
	ASSERT_EQ(st.out_frames, 512);
	part = frame + 7;
	ASSERT_NE(t_free1(fd, part), 0);
	ASSERT_NE(t_alloc(other, EXO_ALLOC_THESE, &part, 1, &done), 0);
	nr_free = table->free;
	ASSERT_EQ(t_free1(fd, frame), 0);
	ASSERT_EQ(table->free, nr_free + 512);
	t_status(fd, &st);
	ASSERT_EQ(st.out_frames, 0);
	/* By name, and by its first frame only. */
	ASSERT_NE(t_alloc(fd, EXO_ALLOC_THESE, &part, 1, &done), 0);
	if (table->frame[frame].order == EXO_HUGE_ORDER) {
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, &done), 0);
		t_status(fd, &st);
		ASSERT_EQ(st.out_frames, 512);
	}
}

/* Catches: freeing what one doesn't have. */
TEST(free__not_mine)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd), done, twice[2];
	struct exo_info info;
	struct exo_cap cap;

	t_info(fd, &info);
	ASSERT_EQ(t_free1(other, frame), -EACCES);
	ASSERT_EQ(t_cap(fd, frame, EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	ASSERT_EQ(t_free1(other, frame), -EACCES);
	twice[0] = twice[1] = frame;
	ASSERT_EQ(t_free(fd, twice, 2, &done), -EACCES);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(t_free1(fd, frame), -EACCES);
	ASSERT_NE(t_free1(fd, info.out_frames), 0);
	ASSERT_NE(t_free1(fd, ~0U), 0);
}

static bool dirty(int fd, uint32_t frame)
{
	const volatile uint64_t *mem = t_window(fd, frame, 1, PROT_READ);
	unsigned int i;
	bool ret = false;

	ASSERT_TRUE(mem);
	for (i = 0; i < PAGE / 8; i++)
		ret |= mem[i] != 0;
	munmap((void *)mem, PAGE);
	return ret;
}

/*
 * Catches: another owner's data in a frame (INV-FRAME-3). The control: the same environment gets its
 * own frame back as it was, so that zeroing can be seen to depend on the owner.
 */
TEST(zero__between_owners)
{
	int fd = t_open(), other = t_open();
	uint32_t frames[N], i, kept = 0;

	t_alloc_any(fd, frames, N);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(dirty(fd, frames[i]), 0);
		t_fill(fd, frames[i], 0x5ec2e7);
	}
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, frames, N, NULL), 0);
	for (i = 0; i < N; i++)
		kept += dirty(fd, frames[i]);
	ASSERT_EQ(kept, N);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, frames, N, NULL), 0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(dirty(other, frames[i]), 0);
	/* Through death, too. */
	for (i = 0; i < N; i++)
		t_fill(other, frames[i], 0x5ec2e7);
	close(other);
	for (i = 0; i < 1000 && t_alloc(fd, EXO_ALLOC_THESE, frames, 1, NULL); i++)
		test_sleep_ms(1);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, frames + 1, N - 1, NULL), 0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(dirty(fd, frames[i]), 0);
}

/* Catches: the same for 2 MiB frames, of which every page counts (INV-FRAME-3). */
TEST(zero__huge)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_huge(fd), i;
	volatile uint64_t *mem = t_window(fd, frame, 512, PROT_READ | PROT_WRITE);

	ASSERT_TRUE(mem);
	for (i = 0; i < HUGE_PAGE / 8; i += 61) {
		ASSERT_EQ(mem[i], 0);
		mem[i] = 0x5ec2e7;
	}
	munmap((void *)mem, HUGE_PAGE);
	ASSERT_EQ(t_free1(fd, frame), 0);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	mem = t_window(other, frame, 512, PROT_READ);
	for (i = 0; i < HUGE_PAGE / 8; i++)
		ASSERT_EQ(mem[i], 0);
}

/* Catches: a first owner who reads what Linux had there (INV-FRAME-3). */
TEST(zero__first_owner)
{
	int fd = t_open();
	uint32_t frames[512], done, i;
	char *mem;

	t_need_root();
	/* Leave a trace in memory that is free for the pool afterwards. */
	mem = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(mem, 0x5a, 64 << 20);
	munmap(mem, 64 << 20);
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 1024, &done), 0);
	t_alloc_any(fd, frames, 512);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(dirty(fd, frames[i]), 0);
	ASSERT_EQ(t_free(fd, frames, 512, NULL), 0);
	ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, 1024, &done), 0);
}

/* Catches: real frame numbers, owners or bindings shown to those who may not see them (INV-FRAME-7). */
TEST(query__who_sees_what)
{
	struct exo_frame_info row;
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd), theirs;
	struct test_sync done;
	struct view view;
	pid_t pid;

	t_need_root();
	t_view(fd, 16, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 1, 1, frame, RW), 0);
	ASSERT_EQ(t_bind(&view, 2, 1, frame, RO), 0);
	ASSERT_EQ(t_query(fd, frame, 1, &row), 1);
	ASSERT_EQ(row.frame, frame);
	ASSERT_EQ(row.rights & RW, RW);
	ASSERT_EQ(row.hold & (EXO_HOLD_OWNER | EXO_HOLD_IMPORT), EXO_HOLD_OWNER);
	ASSERT_EQ(row.bindings, 2);
	ASSERT_NE(row.pfn, 0);
	/* The same uid, another environment. */
	ASSERT_EQ(t_query(other, frame, 1, &row), 1);
	ASSERT_EQ(row.hold & (EXO_HOLD_OWNER | EXO_HOLD_IMPORT), 0);
	ASSERT_EQ(row.hold & EXO_HOLD_UID, EXO_HOLD_UID);
	ASSERT_EQ(row.rights, 0);
	ASSERT_EQ(row.bindings, 0);
	test_sync_init(&done);
	pid = test_fork();
	if (!pid) {
		int mine;

		t_become(ALICE);
		mine = t_open();
		ASSERT_EQ(t_query(mine, frame, 1, &row), 1);
		ASSERT_EQ(row.hold, 0);
		ASSERT_EQ(row.rights, 0);
		ASSERT_EQ(row.bindings, 0);
		ASSERT_EQ(row.pfn, 0);
		theirs = t_frame(mine);
		ASSERT_EQ(t_query(mine, theirs, 1, &row), 1);
		ASSERT_EQ(row.hold & EXO_HOLD_OWNER, EXO_HOLD_OWNER);
		ASSERT_EQ(row.pfn, 0);
		_exit(0);
	}
	test_join(pid);
}

/* Catches: a query that runs over the end of the table. */
TEST(query__range)
{
	struct exo_frame_info rows[16];
	struct exo_info info;
	int fd = t_open(), ret;

	t_info(fd, &info);
	ret = t_query(fd, info.out_frames - 4, 16, rows);
	if (ret > 0)
		ASSERT_EQ(ret, 4);
	else
		ASSERT_EQ(ret, -EINVAL);
	ASSERT_LT(t_query(fd, info.out_frames, 1, rows), 1);
	ASSERT_LT(t_query(fd, 0xffffffff, 16, rows), 1);
	ASSERT_LT(t_query(fd, 0, 0xffffffff, NULL), 0);
}

/* ---- the pool ------------------------------------------------------------------------------------------- */

/* Catches: numbers that don't add up when the pool grows and shrinks (INV-FRAME-8). */
TEST(pool__grow_and_shrink)
{
	int fd = t_open(), i;
	const struct exo_table *table = t_table(fd);
	uint64_t present = table->present, nr_free = table->free, target = table->target;
	uint32_t done;

	t_need_root();
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 1024, &done), 0);
		ASSERT_EQ(done, 1024);
		ASSERT_EQ(table->present, present + 1024);
		ASSERT_EQ(table->free, nr_free + 1024);
		ASSERT_EQ(table->target, target + 1024);
		ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, 1024, &done), 0);
		ASSERT_EQ(done, 1024);
		ASSERT_EQ(table->present, present);
		ASSERT_EQ(table->free, nr_free);
		ASSERT_EQ(table->target, target);
	}
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 1, &done), 0);
	ASSERT_EQ(done, 512);
	ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, 1, &done), 0);
	ASSERT_EQ(done, 512);
}

/* Catches: a pool request that is accepted though it means nothing, or eats the machine. */
TEST(pool__bad)
{
	int fd = t_open();
	uint32_t done;

	t_need_root();
	ASSERT_EQ(t_pool(fd, 0, 512, &done), -EINVAL);
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW | EXO_POOL_SHRINK, 512, &done), -EINVAL);
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, 0, &done), -EINVAL);
	ASSERT_EQ(t_pool(fd, EXO_POOL_GROW | EXO_POOL_HUGE, 100, &done), -EINVAL);
	{
		struct exo_mem_pool arg = { .size = sizeof(arg), .frames = 512, .node = 1000,
					    .flags = EXO_POOL_GROW | EXO_POOL_NODE };

		ASSERT_EQ(t_ioctl(fd, EXO_MEM_POOL, &arg), -EINVAL);
		/* A node without the flag that gives it a meaning is ignored or refused, not used. */
		arg.flags = EXO_POOL_GROW;
		if (!t_ioctl(fd, EXO_MEM_POOL, &arg))
			ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, 512, &done), 0);
	}
	ASSERT_NE(t_pool(fd, EXO_POOL_GROW, 0xffffffff, &done), 0);
	ASSERT_EQ(done, 0);
}

/* Catches: a shrink that tears frames from their owners without asking (INV-REV-1). */
TEST(pool__shrink_asks)
{
	int admin = t_open(), fd = t_open();
	const struct exo_table *table = t_table(fd);
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE, .uid = getuid(), .deadline_ms = 600000 };
	struct exo_ring *ring = t_ring(fd);
	uint32_t n, done, i, old, total = 0;
	struct exo_event event;
	uint32_t *frames;
	uint64_t seen = 0;
	struct exo_env_status st;

	t_need_root();
	n = (uint32_t)(table->free - table->free_huge * 512);
	frames = calloc(n, sizeof(*frames));
	t_alloc_any(fd, frames, n);
	for (i = 0; i < n; i += 97)
		t_fill(fd, frames[i], i);
	old = t_quota(admin, getuid()).deadline_ms;
	t_quota_set(admin, &quota);
	ASSERT_EQ(t_pool(admin, EXO_POOL_SHRINK, (uint32_t)(table->free_huge * 512) + 512, &done), 0);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_REVOKE, 1000, &event));
	quota.deadline_ms = old;
	t_quota_set(admin, &quota);
	ASSERT_EQ(event.arg[0], 512);
	ASSERT_EQ(event.arg[2], EXO_WHY_ADMIN);
	/* Still ours. */
	ASSERT_EQ(t_peek(fd, frames[97]), 97);
	while (total < 512) {
		uint32_t k;

		/* Give back in time. */
		ASSERT_EQ(t_free(fd, frames + n - total - 64, 64, &k), 0);
		total += 64;
	}
	t_status(fd, &st);
	ASSERT_EQ(st.out_wanted, 0);
	ASSERT_EQ(st.out_given, 512);
	ASSERT_EQ(st.out_taken, 0);
	ASSERT_EQ(st.out_asked, 512);
	for (i = 0; i < n - 512; i += 97)
		ASSERT_EQ(t_peek(fd, frames[i]), i);
}

/* Catches: a growing pool that a signal can't stop (INV-REQ-6). */
TEST(pool__grow_killed)
{
	int fd = t_open();
	const struct exo_table *table = t_table(fd);
	uint64_t present = table->present;
	uint32_t done, over;
	uint64_t start;
	pid_t pid;

	t_need_root();
	pid = test_fork();
	if (!pid) {
		for (;;) {
			t_pool(fd, EXO_POOL_GROW, 8192, &done);
			t_pool(fd, EXO_POOL_SHRINK, done, &done);
		}
	}
	test_sleep_ms(200);
	start = test_now_ns();
	kill(pid, SIGKILL);
	test_join_killed(pid, SIGKILL);
	ASSERT_EQ(test_overdue(start, 2000), false);
	over = (uint32_t)(table->present > present ? table->present - present : 0);
	if (over)
		ASSERT_EQ(t_pool(fd, EXO_POOL_SHRINK, over, &done), 0);
	over = (uint32_t)(table->present < present ? present - table->present : 0);
	if (over)
		ASSERT_EQ(t_pool(fd, EXO_POOL_GROW, over, &done), 0);
	ASSERT_EQ(table->present, present);
}
