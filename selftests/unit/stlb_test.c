// SPDX-License-Identifier: GPL-2.0
#include "core/stlb.h"
#include "unit.h"

TEST(exo_stlb_size_ok__powers_of_two)
{
	u32 entries, good = 0;

	for (entries = 0; entries <= 2 * EXO_STLB_MAX; entries++)
		good += exo_stlb_size_ok(entries);
	/* None, and 512 to 65536. */
	CHECK_EQ(good, 1 + 8);
	CHECK(exo_stlb_size_ok(0));
	CHECK(exo_stlb_size_ok(512) && exo_stlb_size_ok(65536));
	CHECK(!exo_stlb_size_ok(256) && !exo_stlb_size_ok(131072) && !exo_stlb_size_ok(1U << 31));
}

TEST(exo_stlb_index__inside_and_direct_mapped)
{
	u32 entries;
	unsigned int i;

	for (entries = EXO_STLB_MIN; entries <= EXO_STLB_MAX; entries *= 2)
		for (i = 0; i < unit_rounds(1000); i++) {
			u32 page = unit_edge();

			CHECK_EQ(exo_stlb_index(page, entries), page % entries);
		}
}

TEST(exo_stlb_hit__what_was_written)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(100000); i++) {
		u32 page = unit_edge() & 0x3fffffff, frame = unit_edge();
		bool can_write = unit_below(2), write = unit_below(2);
		u64 entry = EXO_STLB_ENTRY(page, frame, can_write);

		CHECK_EQ(exo_stlb_hit(entry, page, write), can_write || !write);
		CHECK_EQ(EXO_STLB_FRAME(entry), frame);
		CHECK(!exo_stlb_hit(entry, page ^ 1U << unit_below(30), write));
		CHECK(!exo_stlb_hit(entry & ~EXO_STLB_VALID, page, write));
	}
}

TEST(exo_stlb_hit__zero_is_none)
{
	CHECK(!exo_stlb_hit(0, 0, false));
}

/* The memory is the application's: whatever stands there, a hit names that page. */
TEST(exo_stlb_hit__random_entries)
{
	unsigned int i, hits = 0;

	for (i = 0; i < unit_rounds(200000); i++) {
		u64 entry = unit_edge();
		u32 page = unit_below(2) ? EXO_STLB_PAGE(entry) : unit_below(1U << 26);
		bool write = unit_below(2);

		if (!exo_stlb_hit(entry, page, write))
			continue;
		hits++;
		CHECK(entry >> 63);
		CHECK_EQ(entry >> 32 & 0x3fffffff, page);
		CHECK(!write || (entry >> 62 & 1));
	}
	CHECK(hits);
}
