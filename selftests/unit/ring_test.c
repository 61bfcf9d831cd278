// SPDX-License-Identifier: GPL-2.0
#include "core/ring.h"
#include "unit.h"

TEST(exo_ring_has_room__empty_full_and_between)
{
	CHECK(exo_ring_has_room(0, 0));
	CHECK(exo_ring_has_room(EXO_RING_EVENTS - 1, 0));
	CHECK(!exo_ring_has_room(EXO_RING_EVENTS, 0));
	CHECK(exo_ring_has_room(EXO_RING_EVENTS, 1));
}

TEST(exo_ring_has_room__tail_that_lies)
{
	CHECK(!exo_ring_has_room(0, 1));
	CHECK(!exo_ring_has_room(5, ~0ULL - EXO_RING_EVENTS));
	CHECK(!exo_ring_has_room(~0ULL, 0));
}

TEST(exo_ring_has_room__indices_wrap)
{
	CHECK(exo_ring_has_room(2, (u64)-3));
	CHECK(exo_ring_has_room(EXO_RING_EVENTS - 4, (u64)-3));
	CHECK(!exo_ring_has_room(EXO_RING_EVENTS - 3, (u64)-3));
}

TEST(exo_ring_index__is_inside)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(100000); i++)
		CHECK(exo_ring_index(unit_edge()) < EXO_RING_EVENTS);
	CHECK_EQ(exo_ring_index(EXO_RING_EVENTS + 7), 7);
}

/* A writer as env/ring.c and a reader that is sometimes late: nothing unread is overwritten. */
TEST(exo_ring__random_reader)
{
	static u64 slot[EXO_RING_EVENTS];
	u64 head = (u64)-500, tail = head, overflow = 0, tried = 0, read = 0, n;
	unsigned int i;

	for (i = 0; i < unit_rounds(20000); i++) {
		for (n = unit_below(300); n; n--, tried++) {
			if (!exo_ring_has_room(head, tail)) {
				overflow++;
				continue;
			}
			slot[exo_ring_index(head)] = head;
			head++;
		}
		for (n = unit_below(300); n && tail != head; n--, tail++, read++)
			CHECK_EQ(slot[exo_ring_index(tail)], tail);
		CHECK(head - tail <= EXO_RING_EVENTS);
		CHECK_EQ(tried, read + (head - tail) + overflow);
	}
	CHECK(overflow);
}

/* A hostile tail changes between any two events; the index never leaves the ring. */
TEST(exo_ring__random_tail)
{
	u64 head = 0;
	unsigned int i;

	for (i = 0; i < unit_rounds(100000); i++) {
		u64 tail = unit_below(2) ? unit_edge() : head - unit_below(2000);
		bool room = exo_ring_has_room(head, tail);

		CHECK_EQ(room, tail <= head ? head - tail < EXO_RING_EVENTS :
			 (u64)-1 - tail + head + 1 < EXO_RING_EVENTS);
		if (room) {
			CHECK(exo_ring_index(head) < EXO_RING_EVENTS);
			head++;
		}
	}
}
