/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What instructions do to numbers, in EXO_RANGE_BITS bits: the other side of the range tests.
 */
#ifndef EXO_RANGE_MODEL_H
#define EXO_RANGE_MODEL_H

#include "core/graft_range.h"

static inline bool model_has(struct exo_range r, u64 x)
{
	if (r.lo <= r.hi)
		return x >= r.lo && x <= r.hi;
	if (r.lo > EXO_HALF)
		return x >= r.lo || x <= r.hi;
	return x <= EXO_HALF && (x >= r.lo || x <= r.hi);
}

static inline s64 model_signed(bool wide, u64 x)
{
	u32 unused = 64 - (wide ? EXO_RANGE_BITS : EXO_RANGE_BITS / 2);

	return (s64)(x << unused) >> unused;
}

static inline u64 model_alu(u32 op, bool wide, u64 x, u64 y)
{
	u64 max = wide ? EXO_WORD : EXO_HALF;
	u32 bits = wide ? EXO_RANGE_BITS : EXO_RANGE_BITS / 2;

	x &= max;
	y &= max;
	switch (op) {
	case EXO_ADD: return (x + y) & max;
	case EXO_SUB: return (x - y) & max;
	case EXO_MUL: return (x * y) & max;
	case EXO_DIV: return y ? x / y : 0;
	case EXO_OR: return x | y;
	case EXO_AND: return x & y;
	case EXO_LSH: return (x << (y & (bits - 1))) & max;
	case EXO_RSH: return x >> (y & (bits - 1));
	case EXO_NEG: return (0 - x) & max;
	case EXO_MOD: return y ? x % y : x;
	case EXO_XOR: return x ^ y;
	case EXO_MOV: return y;
	default: return (u64)(model_signed(wide, x) >> (y & (bits - 1))) & max;
	}
}

static inline bool model_jump(u32 op, bool wide, u64 x, u64 y)
{
	u64 max = wide ? EXO_WORD : EXO_HALF;
	s64 sx = model_signed(wide, x), sy = model_signed(wide, y);

	x &= max;
	y &= max;
	switch (op) {
	case EXO_JEQ: return x == y;
	case EXO_JGT: return x > y;
	case EXO_JGE: return x >= y;
	case EXO_JSET: return x & y;
	case EXO_JNE: return x != y;
	case EXO_JSGT: return sx > sy;
	case EXO_JSGE: return sx >= sy;
	case EXO_JLT: return x < y;
	case EXO_JLE: return x <= y;
	case EXO_JSLT: return sx < sy;
	case EXO_JSLE: return sx <= sy;
	default: return !(x & y);
	}
}

#endif
