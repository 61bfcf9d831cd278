// SPDX-License-Identifier: GPL-2.0
/*
 * Range arithmetic with words of 4 bits (halves of 2), exhaustively: every operator, every pair of
 * ranges, every pair of numbers in them. The operators are the ones of the 64-bit checker, compiled
 * for another word. Random ones of 64 bits: see
 * graft_range_test.c.
 */
#define EXO_RANGE_BITS 4
#include "core/graft_range.c"

#include "range_model.h"
#include "unit.h"

#define N (EXO_WORD + 1)

static struct exo_range nth(u64 n)
{
	return (struct exo_range){ n / N, n % N };
}

TEST(graft_range_small__has_and_within)
{
	u64 i, j, x;

	for (i = 0; i < N * N; i++) {
		for (j = 0; j < N * N; j++) {
			if (!exo_range_within(nth(i), nth(j)))
				continue;
			for (x = 0; x < N; x++)
				CHECK(!exo_range_has(nth(i), x) || exo_range_has(nth(j), x));
		}
		for (x = 0; x < N; x++) {
			CHECK_EQ(exo_range_has(nth(i), x), model_has(nth(i), x));
			if (exo_range_has(nth(i), x)) {
				CHECK(exo_range_has(exo_range_word(nth(i)), x));
				CHECK(exo_range_has(exo_range_half(nth(i)), x & EXO_HALF));
			}
		}
	}
}

TEST(graft_range_small__meet)
{
	struct exo_range r;
	u64 i, j, x;
	bool any;

	for (i = 0; i < N * N; i++) {
		for (j = 0; j < N * N; j++) {
			r = nth(i);
			any = exo_range_meet(&r, nth(j));
			for (x = 0; x < N; x++)
				if (exo_range_has(nth(i), x) && exo_range_has(nth(j), x))
					CHECK(any && exo_range_has(r, x));
		}
	}
}

static void alu(u32 op, bool wide)
{
	u64 i, j, x, y, z;
	struct exo_range r;

	for (i = 0; i < N * N; i++) {
		for (j = 0; j < N * N; j++) {
			r = exo_range_alu(op, wide, nth(i), nth(j));
			for (x = 0; x < N; x++) {
				if (!exo_range_has(nth(i), x))
					continue;
				for (y = 0; y < N; y++) {
					if (!exo_range_has(nth(j), y))
						continue;
					z = model_alu(op, wide, x, y);
					if (!exo_range_has(r, z))
						unit_fail(__FILE__, __LINE__,
							  "op %x wide %d: %d of %d..%d, %d of %d..%d: %d not in %d..%d",
							  op, wide, (int)x, (int)nth(i).lo, (int)nth(i).hi,
							  (int)y, (int)nth(j).lo, (int)nth(j).hi, (int)z,
							  (int)r.lo, (int)r.hi);
				}
			}
		}
	}
}

TEST(graft_range_small__alu_holds_every_result)
{
	u32 op;

	for (op = EXO_ADD; op <= EXO_ARSH; op += 0x10) {
		alu(op, true);
		alu(op, false);
	}
}

static void refine(u32 op, bool wide)
{
	struct exo_range a, b;
	u64 i, j, x, y;
	bool can;

	for (i = 0; i < N * N; i++) {
		for (j = 0; j < N * N; j++) {
			a = nth(i);
			b = nth(j);
			can = exo_range_refine(op, wide, &a, &b);
			for (x = 0; x < N; x++) {
				if (!exo_range_has(nth(i), x))
					continue;
				for (y = 0; y < N; y++)
					if (exo_range_has(nth(j), y) && model_jump(op, wide, x, y))
						CHECK(can && exo_range_has(a, x) &&
						      exo_range_has(b, y));
			}
		}
	}
}

TEST(graft_range_small__refine_keeps_what_compares)
{
	u32 op;

	for (op = EXO_JEQ; op <= EXO_JUNSET; op += 0x10) {
		if (op == EXO_CALL || op == EXO_EXIT)
			continue;
		refine(op, true);
		refine(op, false);
	}
}

TEST(graft_range_small__not_and_swap)
{
	u64 x, y;
	u32 op;

	for (op = EXO_JEQ; op <= EXO_JUNSET; op += 0x10) {
		if (op == EXO_CALL || op == EXO_EXIT)
			continue;
		for (x = 0; x < N; x++) {
			for (y = 0; y < N; y++) {
				CHECK_EQ(model_jump(op, true, x, y),
					 !model_jump(exo_jmp_not(op), true, x, y));
				CHECK_EQ(model_jump(op, true, x, y),
					 model_jump(exo_jmp_swap(op), true, y, x));
			}
		}
	}
}

TEST(graft_range_small__fits_is_inside)
{
	u64 i, off, size, extent, x;

	for (i = 0; i < N * N; i++)
		for (off = 0; off < N; off++)
			for (size = 1; size < N; size++)
				for (extent = 0; extent < N; extent++) {
					if (!exo_range_fits(nth(i), off, size, extent))
						continue;
					for (x = 0; x < N; x++)
						if (exo_range_has(nth(i), x))
							CHECK(((x + off) & EXO_WORD) + size <= extent);
				}
}

TEST(graft_range_small__signed_bounds)
{
	u64 i, limit, x;
	s64 lo, hi, s;

	for (i = 0; i < N * N; i++) {
		for (limit = 0; limit <= EXO_WORD / 2; limit++) {
			if (!exo_range_signed(nth(i), limit, &lo, &hi))
				continue;
			CHECK(-(s64)limit <= lo && lo <= hi && hi <= (s64)limit);
			for (x = 0; x < N; x++) {
				s = x <= EXO_WORD / 2 ? (s64)x : (s64)x - (s64)N;
				if (exo_range_has(nth(i), x))
					CHECK(lo <= s && s <= hi);
			}
		}
	}
}
