// SPDX-License-Identifier: GPL-2.0
#include "core/slot.h"
#include "unit.h"

static const enum exo_batch_kind kinds[] = {
	EXO_BATCH_BIND, EXO_BATCH_UNBIND, EXO_BATCH_REBIND, EXO_BATCH_PROTECT,
};

static bool binds(enum exo_batch_kind kind)
{
	return kind == EXO_BATCH_BIND || kind == EXO_BATCH_REBIND;
}

TEST(exo_slot__round_trip)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(10000); i++) {
		u32 frame = unit_edge();
		bool write = unit_below(2);
		u64 slot = exo_slot(frame, write);

		CHECK(slot & EXO_SLOT_BOUND);
		CHECK_EQ(EXO_SLOT_FRAME(slot), frame);
		CHECK_EQ(exo_slot_write(slot), write);
		CHECK_EQ(exo_slot_kept(slot), 0);
	}
}

/* What is kept changes nothing of what is bound. */
TEST(exo_slot_kept__beside_the_rest)
{
	u64 kept;

	CHECK_EQ(EXO_SLOT_KEPT & exo_slot(~0U, true), 0);
	for (kept = 0; kept <= (EXO_OP_ACCESSED | EXO_OP_DIRTY); kept++) {
		u64 slot = exo_slot(~0U, true) | kept << EXO_SLOT_KEPT_SHIFT;

		CHECK_EQ(exo_slot_kept(slot), kept);
		CHECK_EQ(EXO_SLOT_FRAME(slot), ~0U);
		CHECK(exo_slot_write(slot));
	}
}

TEST(exo_range_ok__edges)
{
	CHECK(exo_range_ok(0, 1, 1));
	CHECK(!exo_range_ok(0, 0, 1));
	CHECK(!exo_range_ok(1, 1, 1));
	CHECK(!exo_range_ok(0, 2, 1));
	CHECK(!exo_range_ok(0, 1, 0));
	CHECK(exo_range_ok(~0U - 1, 1, ~0U));
	CHECK(!exo_range_ok(~0U, 1, ~0U));
	/* page + count is 0, or small again. */
	CHECK(!exo_range_ok(1, ~0U, 100));
	CHECK(!exo_range_ok(50, ~0U - 40, 100));
}

TEST(exo_range_ok__random)
{
	unsigned int i, good = 0;

	for (i = 0; i < unit_rounds(200000); i++) {
		u32 pages = unit_edge(), page = unit_edge(), count = unit_edge();
		bool ok = count && (u64)page + count <= pages;

		CHECK_EQ(exo_range_ok(page, count, pages), ok);
		good += ok;
	}
	CHECK(good);
}

TEST(exo_bind_rights_ok__all_values)
{
	u32 rights;

	for (rights = 0; rights <= UINT16_MAX; rights++)
		CHECK_EQ(exo_bind_rights_ok(rights),
			 rights == EXO_RIGHT_READ || rights == (EXO_RIGHT_READ | EXO_RIGHT_WRITE));
}

TEST(exo_op_ok__fields_of_each_kind)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool rights = kinds[i] != EXO_BATCH_UNBIND;
		struct exo_mem_op op = {
			.page = 5, .count = 3, .rights = rights ? EXO_RIGHT_READ : 0,
		};
		struct exo_mem_op bad;

		CHECK(exo_op_ok(kinds[i], &op, 8));
		CHECK(!exo_op_ok(kinds[i], &op, 7));
		bad = op;
		bad.count = 0;
		CHECK(!exo_op_ok(kinds[i], &bad, 8));
		bad = op;
		bad.flags = EXO_OP_DIRTY;
		CHECK(!exo_op_ok(kinds[i], &bad, 8));
		bad = op;
		bad.rights = rights ? 0 : EXO_RIGHT_READ;
		CHECK(!exo_op_ok(kinds[i], &bad, 8));
		bad.rights = EXO_RIGHT_WRITE;
		CHECK(!exo_op_ok(kinds[i], &bad, 8));
		bad = op;
		bad.frame = 1;
		CHECK_EQ(exo_op_ok(kinds[i], &bad, 8), binds(kinds[i]));
	}
	CHECK(!exo_op_ok(99, &(struct exo_mem_op){ .count = 1 }, 8));
}

/* The last frame of a run is a frame number, too. */
TEST(exo_op_ok__frames_wrap)
{
	struct exo_mem_op op = { .count = 2, .frame = ~0U - 1, .rights = EXO_RIGHT_READ };

	CHECK(exo_op_ok(EXO_BATCH_BIND, &op, 100));
	op.frame++;
	CHECK(!exo_op_ok(EXO_BATCH_BIND, &op, 100));
	op.count = 1;
	CHECK(exo_op_ok(EXO_BATCH_REBIND, &op, 100));
}

TEST(exo_op_ok__random)
{
	unsigned int i, good = 0;

	for (i = 0; i < unit_rounds(200000); i++) {
		enum exo_batch_kind kind = kinds[unit_below(4)];
		u32 pages = unit_below(2) ? 1000 : (u32)unit_edge();
		struct exo_mem_op op = {
			.page = unit_below(2) ? unit_below(1000) : (u32)unit_edge(),
			.count = unit_below(2) ? unit_below(10) : (u32)unit_edge(),
			.frame = unit_below(2) ? 0 : (u32)unit_edge(),
			.rights = unit_below(2) ? unit_below(4) : (u16)unit_edge(),
			.flags = unit_below(4) ? 0 : unit_below(4),
		};
		bool rights = op.rights == EXO_RIGHT_READ ||
			      op.rights == (EXO_RIGHT_READ | EXO_RIGHT_WRITE);
		bool ok = !op.flags && op.count && (u64)op.page + op.count <= pages;

		if (kind == EXO_BATCH_UNBIND)
			ok = ok && !op.rights && !op.frame;
		else
			ok = ok && rights;
		if (kind == EXO_BATCH_PROTECT)
			ok = ok && !op.frame;
		if (binds(kind))
			ok = ok && (u64)op.frame + op.count <= 1ULL << 32;
		CHECK_EQ(exo_op_ok(kind, &op, pages), ok);
		good += ok;
	}
	CHECK(good);
}
