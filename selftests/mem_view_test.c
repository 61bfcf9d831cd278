// SPDX-License-Identifier: GPL-2.0
/*
 * Views: bind, unbind, rebind, protect and harvest, alone and in batches, 4 KiB and 2 MiB.
 * Where a view may lie, and long random walks, are in mem_place_test; what the rest of Linux may do with
 * one is in mem_vma_test.
 */
#include "view_setup.h"

/* ---- creation ------------------------------------------------------------------------------------------ */

/* Catches: sizes and flags that are taken as they come. */
TEST(create__bad)
{
	struct exo_info info;
	struct view v;

	fd = t_open();
	t_info(fd, &info);
	ASSERT_EQ(t_view_create(fd, 0, 0, 0, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, info.out_view_pages + 1, 0, 0, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, ~0U, 0, 0, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, 16, 0, 1, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, 16, 0, 511, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, 16, 0, 513, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, 16, 0, 1024 + 512, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, 16, 0, 131072, &v), -EINVAL);
	ASSERT_EQ(t_view_create(fd, info.out_view_pages, 0, 65536, &v), 0);
	ASSERT_EQ(t_view_destroy(&v), 0);
	ASSERT_EQ(t_view_destroy(&v), -ENOENT);
	v.id = 0;
	ASSERT_EQ(t_view_destroy(&v), -ENOENT);
	v.id = ~0U;
	ASSERT_EQ(t_view_destroy(&v), -ENOENT);
}

/* Catches: another environment's view being used by its number. */
TEST(create__foreign)
{
	struct view theirs;
	int other;

	setup(0);
	other = t_open();
	theirs = view;
	theirs.fd = other;
	ASSERT_EQ(t_bind(&theirs, 0, 1, t_frame(other), RW), -ENOENT);
	ASSERT_EQ(t_unbind(&theirs, 0, 1), -ENOENT);
	ASSERT_EQ(t_flush(&theirs), -ENOENT);
	ASSERT_EQ(t_harvest(&theirs, 0, 1, 0, (uint8_t *)frames, NULL, NULL), -ENOENT);
	ASSERT_EQ(t_wake(&theirs, 0, 1), -ENOENT);
	ASSERT_EQ(t_view_destroy(&theirs), -ENOENT);
	ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other,
			     (off_t)(EXO_MMAP_VIEW_TABLE + ((uint64_t)view.id << 40))), (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, view.length, PROT_READ | PROT_WRITE, MAP_SHARED, other,
			     (off_t)view.offset), (long)MAP_FAILED);
}

/* Catches: views mapped twice, in part, privately, or destroyed while mapped. */
TEST(map__rules)
{
	struct view v;
	int prot = PROT_READ | PROT_WRITE;

	fd = t_open();
	ASSERT_EQ(t_view_create(fd, 512, 0, 0, &v), 0);
	ASSERT_GT(v.length, 512 * PAGE);
	/* Not mapped: nothing can be bound. */
	ASSERT_NE(t_bind(&v, 0, 1, t_frame(fd), RW), 0);
	ASSERT_EQ((long)mmap(NULL, v.length, prot, MAP_PRIVATE, fd, (off_t)v.offset), (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, v.length - PAGE, prot, MAP_SHARED, fd, (off_t)v.offset),
		  (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, v.length + PAGE, prot, MAP_SHARED, fd, (off_t)v.offset),
		  (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, v.length, prot, MAP_SHARED, fd, (off_t)(v.offset + PAGE)),
		  (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, v.length, prot | PROT_EXEC, MAP_SHARED, fd, (off_t)v.offset),
		  (long)MAP_FAILED);
	ASSERT_EQ(t_view_map(&v, NULL, 0), 0);
	ASSERT_EQ((long)mmap(NULL, v.length, prot, MAP_SHARED, fd, (off_t)v.offset), (long)MAP_FAILED);
	ASSERT_EQ(t_view_destroy(&v), -EBUSY);
	munmap(v.base, v.length);
	ASSERT_EQ(t_view_map(&v, NULL, 0), 0);
	munmap(v.base, v.length);
	ASSERT_EQ(t_view_destroy(&v), 0);
}

/* ---- bind ---------------------------------------------------------------------------------------------- */

/* Catches: the wrong frame at a page; a slot table that lies (INV-VIEW-1). */
TEST(bind__page_shows_frame)
{
	uint32_t i;

	setup(0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(t_bind(&view, i * 31, 1, frames[i], i & 1 ? RW : RO), 0);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(*t_page(&view, i * 31), 1000 + i);
		ASSERT_EQ(view.slots[i * 31],
			  EXO_SLOT_BOUND | (i & 1 ? EXO_SLOT_WRITE : 0) | frames[i]);
		ASSERT_EQ(view.slots[i * 31 + 1], 0);
		ASSERT_EQ(sig_load(i * 31 + 1), SIGBUS);
	}
	ASSERT_EQ(bound(), N);
}

/* Catches: a store through a read-only binding (INV-VIEW-3). */
TEST(bind__rights)
{
	setup(0);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RO), 0);
	ASSERT_EQ(t_bind(&view, 1, 1, frames[1], RW), 0);
	ASSERT_EQ(t_store(t_page(&view, 0), 1), SIGBUS);
	ASSERT_EQ(*t_page(&view, 0), 1000);
	ASSERT_EQ(t_store(t_page(&view, 1), 1), 0);
	ASSERT_EQ(t_peek(fd, frames[1]), 1);
	/* The same frame twice, once each way. */
	ASSERT_EQ(t_bind(&view, 2, 1, frames[0], RW), 0);
	*t_page(&view, 2) = 77;
	ASSERT_EQ(*t_page(&view, 0), 77);
	ASSERT_EQ(t_store(t_page(&view, 0), 1), SIGBUS);
	/* Rights that make no sense. */
	ASSERT_EQ(t_bind(&view, 9, 1, frames[0], 0), -EINVAL);
	ASSERT_EQ(t_bind(&view, 9, 1, frames[0], EXO_RIGHT_WRITE), -EINVAL);
	ASSERT_EQ(t_bind(&view, 9, 1, frames[0], RW | EXO_RIGHT_WINDOW), -EINVAL);
	ASSERT_EQ(t_bind(&view, 9, 1, frames[0], 0xffff), -EINVAL);
}

/* Catches: frames of others, free ones, absent ones being bound (INV-FRAME-2). */
TEST(bind__not_mine)
{
	struct exo_info info;
	uint32_t theirs;
	int other;

	setup(0);
	other = t_open();
	t_info(fd, &info);
	theirs = t_frame(other);
	ASSERT_EQ(t_bind(&view, 0, 1, theirs, RO), -EACCES);
	ASSERT_EQ(t_rebind(&view, 0, 1, theirs, RO), -EACCES);
	ASSERT_EQ(t_free1(fd, frames[5]), 0);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[5], RO), -EACCES);
	ASSERT_NE(t_bind(&view, 0, 1, info.out_frames, RO), 0);
	ASSERT_NE(t_bind(&view, 0, 1, ~0U, RO), 0);
	ASSERT_EQ(view.slots[0], 0);
	ASSERT_EQ(bound(), 0);
}

/* Catches: what is bound being replaced in silence. */
TEST(bind__busy)
{
	setup(0);
	ASSERT_EQ(t_bind(&view, 7, 1, frames[0], RW), 0);
	ASSERT_EQ(t_bind(&view, 7, 1, frames[1], RW), -EBUSY);
	ASSERT_EQ(t_bind(&view, 7, 1, frames[0], RW), -EBUSY);
	ASSERT_EQ(*t_page(&view, 7), 1000);
}

/* Catches: sums that wrap, runs that leave the view (INV-REQ-2). */
TEST(bind__ranges)
{
	static const struct {
		uint32_t page, count;
	} bad[] = {
		{ 2048, 1 }, { 2047, 2 }, { 0, 0 }, { 0, 2049 }, { ~0U, 1 }, { 1, ~0U }, { ~0U, ~0U },
		{ 0x80000000, 0x80000000 }, { 2048, ~0U - 2047 }, { 512, 0xfffffe00 }, { 2047, 0x80000000 },
	};
	struct exo_mem_op o;
	uint32_t i, done;
	uint8_t bits[16];

	setup(0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_EQ_FOR(t_bind(&view, bad[i].page, bad[i].count, frames[0], RW), -EINVAL, "%u", i);
		ASSERT_EQ_FOR(t_rebind(&view, bad[i].page, bad[i].count, frames[0], RW), -EINVAL, "%u", i);
		ASSERT_EQ_FOR(t_unbind(&view, bad[i].page, bad[i].count), -EINVAL, "%u", i);
		ASSERT_EQ_FOR(t_protect(&view, bad[i].page, bad[i].count, RO), -EINVAL, "%u", i);
		ASSERT_EQ_FOR(t_harvest(&view, bad[i].page, bad[i].count, 0, bits, NULL, NULL), -EINVAL,
			      "%u", i);
		ASSERT_EQ_FOR(t_wake(&view, bad[i].page, bad[i].count), -EINVAL, "%u", i);
	}
	/* Frame numbers that wrap. */
	ASSERT_NE(t_bind(&view, 0, 16, ~0U - 3, RW), 0);
	ASSERT_EQ(bound(), 0);
	/* Fields that mean nothing here are 0. */
	o = op(0, 1, frames[0] | 1, 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, &o, 1, 0, &done), -EINVAL);
	o = op(0, 1, 0, RO);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, &o, 1, 0, &done), -EINVAL);
	o = op(0, 1, frames[0], RW);
	o.flags = 1;
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, &o, 1, 0, &done), -EINVAL);
}

/* Catches: batches without an end (INV-REQ-6). */
TEST(batch__caps)
{
	struct exo_mem_op *ops;
	struct exo_info info;
	uint32_t i, done;

	setup(0);
	t_info(fd, &info);
	ops = calloc(info.out_max_ops + 1, sizeof(*ops));
	for (i = 0; i <= info.out_max_ops; i++)
		ops[i] = op(i % 2048, 1, 0, 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, info.out_max_ops + 1, 0, &done), -EINVAL);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, ~0U, 0, &done), -EINVAL);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, info.out_max_ops, 0, &done), 0);
	ASSERT_EQ(done, info.out_max_ops);
	/* Too many pages in all. */
	for (i = 0; i < info.out_max_ops; i++)
		ops[i] = op(0, 2048, 0, 0);
	if ((uint64_t)info.out_max_ops * 2048 > info.out_max_pages)
		ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, info.out_max_ops, 0, &done), -EINVAL);
}

/* Catches: batches of which more, or less, happened than done says (INV-REQ-3). */
TEST(batch__stops_at_first_failure)
{
	struct exo_mem_op ops[4];
	uint32_t at, done, i;

	setup(0);
	for (at = 0; at < 4; at++) {
		for (i = 0; i < 4; i++)
			ops[i] = op(i * 700, 1, frames[i], RW);
		ops[at].frame = ~0U;
		ASSERT_NE(t_batch(&view, EXO_MEM_BIND, ops, 4, 0, &done), 0);
		ASSERT_EQ(done, at);
		for (i = 0; i < 3; i++)
			ASSERT_EQ(!!view.slots[ops[i].page < 2048 ? ops[i].page : 0], i < at);
		ASSERT_EQ(bound(), at < 3 ? at : 3);
		ASSERT_EQ(t_unbind(&view, 0, 2048), 0);
		ASSERT_EQ(bound(), 0);
	}
}

/* Catches: an operation on a run that is done by half. */
TEST(batch__run_is_whole)
{
	uint32_t run[8], done;
	struct exo_mem_op o;

	setup(0);
	if (t_alloc(fd, EXO_ALLOC_CONTIG, run, 8, NULL))
		SKIP("no contiguous run in the pool");
	ASSERT_EQ(t_bind(&view, 105, 1, frames[0], RW), 0);
	o = op(100, 8, run[0], RW);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, &o, 1, 0, &done), -EBUSY);
	ASSERT_EQ(done, 0);
	ASSERT_EQ(bound(), 1);
	ASSERT_EQ(view.slots[100], 0);
	ASSERT_EQ(t_unbind(&view, 105, 1), 0);
	/* The fifth frame of the run is not ours. */
	ASSERT_EQ(t_free1(fd, run[0] + 5), 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, &o, 1, 0, &done), -EACCES);
	ASSERT_EQ(bound(), 0);
	ASSERT_EQ(view.slots[100], 0);
	/* PROTECT, where one page of the run is not bound. */
	ASSERT_EQ(t_bind(&view, 200, 4, run[0], RW), 0);
	ASSERT_EQ(t_protect(&view, 200, 5, RO), -ENOENT);
	ASSERT_EQ(t_store(t_page(&view, 200), 1), 0);
	/* REBIND that runs into a frame of nobody. */
	ASSERT_EQ(t_rebind(&view, 199, 6, run[0], RO), -EACCES);
	ASSERT_EQ(view.slots[200], EXO_SLOT_BOUND | EXO_SLOT_WRITE | run[0]);
}

/* Catches: the same page twice in a batch, which validates first and commits then. */
TEST(batch__overlap)
{
	struct exo_mem_op ops[3];
	uint32_t done;

	setup(0);
	ops[0] = op(5, 1, frames[0], RW);
	ops[1] = op(5, 1, frames[1], RW);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, ops, 2, 0, &done), -EBUSY);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(*t_page(&view, 5), 1000);
	ASSERT_EQ(bound(), 1);
	ops[0] = op(5, 1, frames[1], RW);
	ops[1] = op(5, 1, frames[2], RW);
	ops[2] = op(5, 1, frames[3], RO);
	ASSERT_EQ(t_batch(&view, EXO_MEM_REBIND, ops, 3, 0, &done), 0);
	ASSERT_EQ(*t_page(&view, 5), 1003);
	ASSERT_EQ(t_store(t_page(&view, 5), 1), SIGBUS);
	ASSERT_EQ(bound(), 1);
	ops[0] = op(5, 1, 0, 0);
	ops[1] = op(0, 20, 0, 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, 2, 0, &done), 0);
	ASSERT_EQ(done, 2);
	ASSERT_EQ(bound(), 0);
	/* A frame more than once. */
	ops[0] = op(5, 1, frames[0], RW);
	ops[1] = op(6, 1, frames[0], RO);
	ops[2] = op(7, 1, frames[0], RW);
	ASSERT_EQ(t_batch(&view, EXO_MEM_BIND, ops, 3, 0, &done), 0);
	*t_page(&view, 5) = 4;
	ASSERT_EQ(*t_page(&view, 6), 4);
	ASSERT_EQ(*t_page(&view, 7), 4);
	/* All of them go with the frame (INV-VIEW-2). */
	ASSERT_EQ(t_free1(fd, frames[0]), 0);
	ASSERT_EQ(bound(), 0);
	ASSERT_EQ(sig_load(5), SIGBUS);
	ASSERT_EQ(sig_load(6), SIGBUS);
	ASSERT_EQ(sig_load(7), SIGBUS);
}

/* ---- unbind, rebind, protect --------------------------------------------------------------------------- */

/* Catches: a page that stays after its unbind; unbound pages that are an error. */
TEST(unbind__gone)
{
	uint32_t i;

	setup(0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(t_bind(&view, i * 3, 1, frames[i], RW), 0);
	ASSERT_EQ(t_unbind(&view, 0, 30), 0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(sig_load(i * 3), i < 10 ? SIGBUS : 0);
	ASSERT_EQ(bound(), N - 10);
	ASSERT_EQ(t_unbind(&view, 0, 2048), 0);
	ASSERT_EQ(t_unbind(&view, 0, 2048), 0);
	ASSERT_EQ(bound(), 0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(sig_load(i * 3), SIGBUS);
	/* The frames are ours as before. */
	for (i = 0; i < N; i++)
		ASSERT_EQ(t_peek(fd, frames[i]), 1000 + i);
}

/* Catches: a rebind that needs something bound, or keeps the old record. */
TEST(rebind__either_way)
{
	setup(0);
	ASSERT_EQ(t_rebind(&view, 3, 1, frames[0], RW), 0);
	ASSERT_EQ(*t_page(&view, 3), 1000);
	ASSERT_EQ(t_rebind(&view, 3, 1, frames[1], RO), 0);
	ASSERT_EQ(*t_page(&view, 3), 1001);
	ASSERT_EQ(t_store(t_page(&view, 3), 1), SIGBUS);
	ASSERT_EQ(t_rebind(&view, 3, 1, frames[1], RW), 0);
	ASSERT_EQ(t_store(t_page(&view, 3), 1), 0);
	ASSERT_EQ(bound(), 1);
	/* Freeing what was there before must not touch the page. */
	ASSERT_EQ(t_free1(fd, frames[0]), 0);
	ASSERT_EQ(*t_page(&view, 3), 1);
	ASSERT_EQ(t_free1(fd, frames[1]), 0);
	ASSERT_EQ(sig_load(3), SIGBUS);
}

/* Catches: rights that come back, or go too far (INV-VIEW-3). */
TEST(protect__both_ways)
{
	setup(0);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	*t_page(&view, 0) = 1;
	ASSERT_EQ(t_protect(&view, 0, 1, RO), 0);
	ASSERT_EQ(t_store(t_page(&view, 0), 2), SIGBUS);
	ASSERT_EQ(*t_page(&view, 0), 1);
	ASSERT_EQ(view.slots[0], EXO_SLOT_BOUND | frames[0]);
	ASSERT_EQ(t_protect(&view, 0, 1, RW), 0);
	ASSERT_EQ(t_store(t_page(&view, 0), 3), 0);
	ASSERT_EQ(t_protect(&view, 0, 1, 0), -EINVAL);
	ASSERT_EQ(t_protect(&view, 0, 1, EXO_RIGHT_WRITE), -EINVAL);
	ASSERT_EQ(t_protect(&view, 1, 1, RO), -ENOENT);
}

/* Catches: PROTECT as a way from a read-only share to a writable one (INV-VIEW-3). */
TEST(protect__no_more_than_the_share)
{
	struct exo_cap cap;
	struct view mine;
	int other;

	setup(0);
	other = t_open();
	ASSERT_EQ(t_cap(fd, frames[0], RO, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	t_view(other, 16, 0, 0, &mine);
	ASSERT_EQ(t_bind(&mine, 0, 1, frames[0], RW), -EACCES);
	ASSERT_EQ(t_bind(&mine, 0, 1, frames[0], RO), 0);
	ASSERT_EQ(t_protect(&mine, 0, 1, RW), -EACCES);
	ASSERT_EQ(t_rebind(&mine, 0, 1, frames[0], RW), -EACCES);
	ASSERT_EQ(t_store(t_page(&mine, 0), 1), SIGBUS);
	ASSERT_EQ(*t_page(&mine, 0), 1000);
}

/* ---- accessed and dirty bits ---------------------------------------------------------------------------- */

/* Catches: bits that are not set, not cleared, or cleared though nobody asked. */
TEST(harvest__bits)
{
	uint32_t i, accessed, dirty;
	uint8_t bits[N];
	uint64_t value;

	setup(0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(t_bind(&view, i, 1, frames[i], RW), 0);
	ASSERT_EQ(t_harvest(&view, 0, N, EXO_HARVEST_CLEAR_ACCESSED | EXO_HARVEST_CLEAR_DIRTY, bits,
			    NULL, NULL), 0);
	for (i = 0; i < N; i += 2)
		value = *t_page(&view, i);
	for (i = 0; i < N; i += 4)
		*t_page(&view, i) = value;
	for (i = 0; i < 2; i++) {
		uint32_t k;

		/* The second time the same: nothing was cleared. */
		ASSERT_EQ(t_harvest(&view, 0, N, 0, bits, &accessed, &dirty), 0);
		ASSERT_EQ(accessed, N / 2);
		ASSERT_EQ(dirty, N / 4);
		for (k = 0; k < N; k++)
			ASSERT_EQ(bits[k], (k % 2 ? 0 : EXO_OP_ACCESSED) | (k % 4 ? 0 : EXO_OP_DIRTY));
	}
	ASSERT_EQ(t_harvest(&view, 0, N, EXO_HARVEST_CLEAR_DIRTY, bits, &accessed, &dirty), 0);
	ASSERT_EQ(dirty, N / 4);
	ASSERT_EQ(t_harvest(&view, 0, N, EXO_HARVEST_CLEAR_ACCESSED, bits, &accessed, &dirty), 0);
	ASSERT_EQ(dirty, 0);
	ASSERT_EQ(accessed, N / 2);
	ASSERT_EQ(t_harvest(&view, 0, N, 0, bits, &accessed, &dirty), 0);
	ASSERT_EQ(accessed, 0);
	*t_page(&view, 9) = 1;
	ASSERT_EQ(t_harvest(&view, 0, N, 0, bits, &accessed, &dirty), 0);
	ASSERT_EQ(accessed, 1);
	ASSERT_EQ(dirty, 1);
	ASSERT_EQ(bits[9], EXO_OP_ACCESSED | EXO_OP_DIRTY);
	/* Unbound pages are 0. */
	memset(bits, 0xff, sizeof(bits));
	ASSERT_EQ(t_harvest(&view, 1000, N, 0, bits, &accessed, &dirty), 0);
	for (i = 0; i < N; i++)
		ASSERT_EQ(bits[i], 0);
}

/* Catches: bits lost with the unbind that should report them (INV-VIEW-6). */
TEST(report__bits)
{
	struct exo_mem_op ops[3];
	uint32_t done;

	setup(0);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	ASSERT_EQ(t_bind(&view, 1, 1, frames[1], RW), 0);
	ASSERT_EQ(t_bind(&view, 2, 1, frames[2], RW), 0);
	ASSERT_EQ(t_bind(&view, 3, 1, frames[3], RW), 0);
	ASSERT_EQ(t_harvest(&view, 0, 4, 3, (uint8_t *)ops, NULL, NULL), 0);
	*t_page(&view, 0) = 1;
	(void)*t_page(&view, 1);
	*t_page(&view, 3) = 1;
	ops[0] = op(0, 1, 0, 0);
	ops[1] = op(1, 1, 0, 0);
	ops[2] = op(2, 2, 0, 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, 3, EXO_BATCH_REPORT, &done), 0);
	ASSERT_EQ(ops[0].flags, EXO_OP_ACCESSED | EXO_OP_DIRTY);
	ASSERT_EQ(ops[1].flags, EXO_OP_ACCESSED);
	ASSERT_EQ(ops[2].flags, EXO_OP_ACCESSED | EXO_OP_DIRTY);

	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	*t_page(&view, 0) = 1;
	ops[0] = op(0, 1, frames[1], RW);
	ASSERT_EQ(t_batch(&view, EXO_MEM_REBIND, ops, 1, EXO_BATCH_REPORT, &done), 0);
	ASSERT_EQ(ops[0].flags, EXO_OP_ACCESSED | EXO_OP_DIRTY);
	*t_page(&view, 0) = 1;
	ops[0] = op(0, 1, 0, RO);
	ASSERT_EQ(t_batch(&view, EXO_MEM_PROTECT, ops, 1, EXO_BATCH_REPORT, &done), 0);
	ASSERT_EQ(ops[0].flags, EXO_OP_ACCESSED | EXO_OP_DIRTY);
	/* Without the flag the array is not written. */
	ops[0] = op(0, 1, 0, 0);
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, 1, 0, &done), 0);
	ASSERT_EQ(ops[0].flags, 0);
}

/* ---- lazy ------------------------------------------------------------------------------------------------- */

/* Catches: a FLUSH that does nothing; pages of a lazy view that show a stranger's frame. */
TEST(lazy__after_flush)
{
	uint32_t i;

	setup(EXO_VIEW_LAZY);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(t_rebind(&view, 5, 1, frames[i % N], RW), 0);
		ASSERT_EQ(t_flush(&view), 0);
		ASSERT_EQ(*t_page(&view, 5), 1000 + i % N);
	}
	ASSERT_EQ(t_unbind(&view, 5, 1), 0);
	ASSERT_EQ(t_flush(&view), 0);
	ASSERT_EQ(sig_load(5), SIGBUS);
	/* Also allowed, and pointless, for a view that is not lazy. */
	setup(0);
	ASSERT_EQ(t_flush(&view), 0);
}
