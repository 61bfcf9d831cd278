// SPDX-License-Identifier: GPL-2.0
/*
 * Range arithmetic with 64 bits: random ranges and numbers in them, and the precision that ordinary
 * code needs. graft_range_small_test.c is exhaustive.
 */
#include "core/graft_range.h"
#include "range_model.h"
#include "unit.h"

static struct exo_range draw_range(void)
{
	struct exo_range r = { unit_edge(), unit_edge() };

	if (unit_below(4) == 0)
		r.hi = r.lo + unit_below(100);
	if (unit_below(8) == 0)
		r = exo_range_half(r);
	return r;
}

static u64 draw_in(struct exo_range r)
{
	u64 max = r.lo > r.hi && r.lo <= EXO_HALF ? EXO_HALF : EXO_WORD;
	u64 len = (r.hi - r.lo) & max;

	switch (unit_below(4)) {
	case 0: return r.lo;
	case 1: return r.hi;
	default: return (r.lo + (len == ~0ULL ? unit_random() : unit_below(len + 1))) & max;
	}
}

TEST(graft_range__random_alu)
{
	unsigned int n = unit_rounds(1000000);
	struct exo_range a, b, r;
	u64 x, y;
	bool wide;
	u32 op;

	while (n--) {
		op = (u32)unit_below(13) << 4;
		wide = unit_below(2);
		a = draw_range();
		b = draw_range();
		if (unit_below(3) == 0)
			b = exo_range_const(b.lo);
		r = exo_range_alu(op, wide, a, b);
		x = draw_in(a);
		y = draw_in(b);
		CHECK(exo_range_has(a, x) && exo_range_has(b, y));
		CHECK(exo_range_has(r, model_alu(op, wide, x, y)));
	}
}

TEST(graft_range__random_refine)
{
	unsigned int n = unit_rounds(1000000);
	struct exo_range a, b, c, d;
	bool wide, can;
	u64 x, y;
	u32 op;

	while (n--) {
		do {
			op = (u32)unit_below(15) << 4;
		} while (op == EXO_JA || op == EXO_CALL || op == EXO_EXIT);
		wide = unit_below(2);
		c = a = draw_range();
		d = b = draw_range();
		x = draw_in(a);
		y = draw_in(b);
		can = exo_range_refine(op, wide, &c, &d);
		if (model_jump(op, wide, x, y))
			CHECK(can && exo_range_has(c, x) && exo_range_has(d, y));
		if (can && exo_range_within(a, b))
			CHECK(exo_range_has(b, x));
	}
}

TEST(graft_range__random_fits)
{
	unsigned int n = unit_rounds(1000000);
	u64 off, size, extent, x;
	struct exo_range r;

	while (n--) {
		r.lo = unit_edge() & 0xffff;
		r.hi = r.lo + unit_below(100);
		off = (u64)(s64)(s16)unit_edge();
		size = 1 + unit_below(64);
		extent = unit_below(0x20000);
		x = draw_in(r) + off;
		if (exo_range_fits(r, off, size, extent))
			CHECK(x <= extent && x + size <= extent);
	}
}

TEST(graft_range__zeros)
{
	unsigned int n = unit_rounds(1000000);
	u32 op, za, zb, z;
	u64 x, y, r;
	bool wide;

	while (n--) {
		op = (u32)unit_below(13) << 4;
		wide = unit_below(2);
		za = (u32)unit_below(64);
		zb = (u32)unit_below(64);
		x = unit_edge() << za;
		y = unit_edge() << zb;
		z = exo_zeros_alu(op, za, zb, exo_range_const(y));
		r = model_alu(op, wide, x, y);
		CHECK_EQ(r & ((1ULL << z) - 1), 0);
	}
	CHECK_EQ(exo_zeros_of(0), 63);
	CHECK_EQ(exo_zeros_of(8), 3);
}

static struct exo_range range(s64 lo, s64 hi)
{
	return (struct exo_range){ (u64)lo, (u64)hi };
}

#define CHECK_RANGE(_r, _lo, _hi) \
	do { \
		struct exo_range _got = _r; \
		CHECK_EQ(_got.lo, _lo); \
		CHECK_EQ(_got.hi, _hi); \
	} while (0)

TEST(graft_range__a_counter_below_zero_stays_exact)
{
	struct exo_range i = range(0, 10), zero = exo_range_const(0), one = exo_range_const(1);
	struct exo_range minus = exo_range_const(~0ULL);

	i = exo_range_alu(EXO_SUB, true, i, one);
	CHECK_RANGE(i, -1, 9);
	CHECK(exo_range_refine(EXO_JSGE, true, &i, &zero));
	CHECK_RANGE(i, 0, 9);

	i = exo_range_alu(EXO_ADD, false, range(0, 10), minus);
	CHECK_RANGE(i, 0xffffffff, 9);
	CHECK(exo_range_refine(EXO_JSGT, false, &i, &minus));
	CHECK_RANGE(i, 0, 9);
}

TEST(graft_range__sign_extension_is_exact)
{
	struct exo_range i = range(0xfffffffe, 7), by = exo_range_const(32);

	i = exo_range_alu(EXO_LSH, true, i, by);
	i = exo_range_alu(EXO_ARSH, true, i, by);
	CHECK_RANGE(i, -2, 7);
}

TEST(graft_range__masks_and_shifts)
{
	struct exo_range byte = exo_range_to(255);

	CHECK_RANGE(exo_range_alu(EXO_AND, true, exo_range_to(~0ULL), exo_range_const(15)), 0, 15);
	CHECK_RANGE(exo_range_alu(EXO_AND, true, range(17, 1000), exo_range_const(~7ULL)), 16, 1000);
	CHECK_RANGE(exo_range_alu(EXO_LSH, false, exo_range_to(15), exo_range_const(2)), 0, 60);
	CHECK_RANGE(exo_range_alu(EXO_RSH, true, byte, exo_range_const(4)), 0, 15);
	CHECK_RANGE(exo_range_alu(EXO_OR, true, range(8, 100), exo_range_const(3)), 8, 127);
	CHECK_RANGE(exo_range_alu(EXO_MUL, true, range(2, 100), exo_range_const(14)), 28, 1400);
	CHECK_RANGE(exo_range_alu(EXO_DIV, true, range(20, 100), exo_range_const(10)), 2, 10);
	CHECK_RANGE(exo_range_alu(EXO_MOD, true, exo_range_to(~0ULL), exo_range_const(10)), 0, 9);
}

TEST(graft_range__comparisons_cut)
{
	struct exo_range a, b;

	a = exo_range_to(~0ULL);
	b = range(5, 20);
	CHECK(exo_range_refine(EXO_JLT, true, &a, &b));
	CHECK_RANGE(a, 0, 19);
	CHECK_RANGE(b, 5, 20);
	CHECK(exo_range_refine(EXO_JGE, true, &a, &b));
	CHECK_RANGE(a, 5, 19);
	CHECK_RANGE(b, 5, 19);
	b = exo_range_const(5);
	CHECK(exo_range_refine(EXO_JNE, true, &a, &b));
	CHECK_RANGE(a, 6, 19);
	CHECK(!exo_range_refine(EXO_JEQ, true, &a, &b));
	a = exo_range_to(~0ULL);
	b = exo_range_const(~7ULL);
	CHECK(exo_range_refine(EXO_JUNSET, true, &a, &b));
	CHECK_RANGE(a, 0, 7);
}

TEST(graft_range__fits)
{
	s64 lo, hi;

	CHECK(exo_range_fits(range(0, 60), 14, 4, 78));
	CHECK(!exo_range_fits(range(0, 60), 14, 4, 77));
	CHECK(!exo_range_fits(range(0, 60), (u64)-1, 4, 100));
	CHECK(exo_range_fits(range(64, 4096), (u64)-64, 8, 4096));
	CHECK(!exo_range_fits(exo_range_to(~0ULL), 0, 1, 4096));
	CHECK(exo_range_signed(range(-3, 5), 100, &lo, &hi));
	CHECK(lo == -3 && hi == 5);
	CHECK(!exo_range_signed(range(-3, 101), 100, &lo, &hi));
}
