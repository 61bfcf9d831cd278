// SPDX-License-Identifier: GPL-2.0
/*
 * 2 MiB frames in a view: whole, in parts, beside pages of 4 KiB.
 */
#include "view_setup.h"

uint32_t test_pool_huge = 4;

static uint32_t huge_in(uint32_t flags)
{
	volatile uint64_t *mem;
	uint32_t frame, i;

	setup(flags);
	frame = t_huge(fd);
	mem = t_window(fd, frame, 512, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(mem);
	for (i = 0; i < 512; i++)
		mem[i * 512] = 5000 + i;
	munmap((void *)mem, HUGE_PAGE);
	return frame;
}

/* Catches: 2 MiB that show something else, or only a part. */
TEST(huge__bind_whole)
{
	uint32_t frame = huge_in(0), i;

	ASSERT_EQ(t_bind(&view, 512, 512, frame, RW), 0);
	for (i = 0; i < 512; i++) {
		ASSERT_EQ(*t_page(&view, 512 + i), 5000 + i);
		ASSERT_EQ(view.slots[512 + i], EXO_SLOT_BOUND | EXO_SLOT_WRITE | (frame + i));
	}
	ASSERT_EQ(bound(), 512);
	ASSERT_EQ(sig_load(511), SIGBUS);
	ASSERT_EQ(sig_load(1024), SIGBUS);
	/* 4 KiB beside it, in one view. */
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	ASSERT_EQ(*t_page(&view, 0), 1000);
	ASSERT_EQ(t_unbind(&view, 512, 512), 0);
	ASSERT_EQ(sig_load(512), SIGBUS);
	ASSERT_EQ(sig_load(1023), SIGBUS);
	ASSERT_EQ(*t_page(&view, 0), 1000);
	ASSERT_EQ(bound(), 1);
}

/* Catches: a part of 2 MiB that is unbound with all of it, or not at all. */
TEST(huge__partial_unbind)
{
	uint32_t frame = huge_in(0), i;

	ASSERT_EQ(t_bind(&view, 512, 512, frame, RW), 0);
	for (i = 0; i < 512; i += 100)
		*t_page(&view, 512 + i) = 6000 + i;
	ASSERT_EQ(t_unbind(&view, 512 + 100, 50), 0);
	for (i = 0; i < 512; i++) {
		if (i >= 100 && i < 150)
			ASSERT_EQ(sig_load(512 + i), SIGBUS);
		else
			ASSERT_EQ(*t_page(&view, 512 + i), (i % 100 ? 5000 : 6000) + i);
	}
	ASSERT_EQ(bound(), 462);
	/* Another frame in the hole. */
	ASSERT_EQ(t_bind(&view, 512 + 120, 1, frames[3], RO), 0);
	ASSERT_EQ(*t_page(&view, 512 + 120), 1003);
	ASSERT_EQ(*t_page(&view, 512 + 99), 5099);
	/* And the rest goes with its frame. */
	ASSERT_EQ(t_free1(fd, frame), 0);
	ASSERT_EQ(bound(), 1);
	ASSERT_EQ(sig_load(512), SIGBUS);
	ASSERT_EQ(*t_page(&view, 512 + 120), 1003);
}

/* Catches: a part that is protected with all of it, or rebound. */
TEST(huge__partial_protect_rebind)
{
	uint32_t frame = huge_in(0), i;

	ASSERT_EQ(t_bind(&view, 512, 512, frame, RW), 0);
	*t_page(&view, 512) = 1;
	ASSERT_EQ(t_protect(&view, 512 + 10, 5, RO), 0);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(t_store(t_page(&view, 512 + i), i), i >= 10 && i < 15 ? SIGBUS : 0);
	ASSERT_EQ(t_protect(&view, 512, 512, RO), 0);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(t_store(t_page(&view, 512 + i), i), SIGBUS);
	ASSERT_EQ(t_protect(&view, 512, 512, RW), 0);
	ASSERT_EQ(t_store(t_page(&view, 512 + 12), 1), 0);
	ASSERT_EQ(t_rebind(&view, 512 + 3, 1, frames[3], RW), 0);
	ASSERT_EQ(*t_page(&view, 512 + 3), 1003);
	ASSERT_EQ(*t_page(&view, 512 + 4), 4);
	/* Back to the whole. */
	ASSERT_EQ(t_rebind(&view, 512, 512, frame, RW), 0);
	ASSERT_EQ(*t_page(&view, 512 + 3), 3);
	ASSERT_EQ(bound(), 512);
}

/* Catches: 2 MiB bound where it isn't aligned, partly, or where tables exist. */
TEST(huge__other_places)
{
	uint32_t frame = huge_in(0), i;

	ASSERT_EQ(t_bind(&view, 3, 512, frame, RW), 0);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(*t_page(&view, 3 + i), 5000 + i);
	ASSERT_EQ(t_bind(&view, 1000, 100, frame + 17, RO), 0);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(*t_page(&view, 1000 + i), 5017 + i);
	ASSERT_EQ(t_bind(&view, 1536, 512, frame, RW), 0);
	*t_page(&view, 1536 + 50) = 9;
	ASSERT_EQ(*t_page(&view, 3 + 50), 9);
	ASSERT_EQ(t_unbind(&view, 0, 2048), 0);
	ASSERT_EQ(bound(), 0);
	for (i = 0; i < 2048; i += 64)
		ASSERT_EQ(sig_load(i), SIGBUS);
}

/* Catches: bits of a 2 MiB entry that are lost, or belong to one page only. */
TEST(huge__harvest)
{
	uint32_t frame = huge_in(0), accessed, dirty;
	static uint8_t bits[512];

	ASSERT_EQ(t_bind(&view, 512, 512, frame, RW), 0);
	ASSERT_EQ(t_harvest(&view, 512, 512, 3, bits, NULL, NULL), 0);
	*t_page(&view, 512 + 77) = 1;
	ASSERT_EQ(t_harvest(&view, 512, 512, 0, bits, &accessed, &dirty), 0);
	ASSERT_GE(dirty, 1);
	ASSERT_EQ(bits[77] & EXO_OP_DIRTY, EXO_OP_DIRTY);
	ASSERT_EQ(t_harvest(&view, 512, 512, 3, bits, &accessed, &dirty), 0);
	ASSERT_EQ(bits[77] & EXO_OP_DIRTY, EXO_OP_DIRTY);
	ASSERT_EQ(t_harvest(&view, 512, 512, 0, bits, &accessed, &dirty), 0);
	ASSERT_EQ(dirty, 0);
	*t_page(&view, 512 + 77) = 2;
	ASSERT_EQ(t_harvest(&view, 512, 512, 0, bits, &accessed, &dirty), 0);
	ASSERT_EQ(bits[77] & EXO_OP_DIRTY, EXO_OP_DIRTY);
}
