/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * Sets of 64-bit numbers as one arc of the circle: what the graft checker knows of a value.
 *
 *	lo <= hi			lo, lo + 1, ... hi
 *	lo > hi, lo > 2^32 - 1		lo, ... 2^64 - 1, 0, ... hi	(around zero: -3 .. 5)
 *	lo > hi, lo <= 2^32 - 1		lo, ... 2^32 - 1, 0, ... hi	(32 bits around zero, upper half 0)
 *
 * So a pair of bounds always means something, signed and unsigned ranges are the same thing, and a
 * 32-bit counter that passes below zero stays exact. No set is empty.
 *
 * Every function is pure and total. spec/proof has what is proved of them; to be checked
 * exhaustively they are compiled for small words, too (EXO_RANGE_BITS).
 */
#ifndef EXO_CORE_GRAFT_RANGE_H
#define EXO_CORE_GRAFT_RANGE_H

#include "core/graft_insn.h"

#ifndef EXO_RANGE_BITS
#define EXO_RANGE_BITS 64
#endif

#if EXO_RANGE_BITS == 64
/* Literals: in annotations ~0 is minus one. */
#define EXO_WORD 0xffffffffffffffffULL
#define EXO_HALF 0xffffffffULL
#else
#define EXO_WORD (~0ULL >> (64 - EXO_RANGE_BITS))
#define EXO_HALF (EXO_WORD >> (EXO_RANGE_BITS / 2))
#endif

/* Not in the language: what holds when EXO_JSET does not jump. */
#define EXO_JUNSET 0xe0

struct exo_range {
	u64 lo;
	u64 hi;
};

/*@ predicate is_word(integer x) = 0 <= x <= EXO_WORD;
    predicate in_arc(integer x, integer lo, integer hi) =
	lo <= hi ? lo <= x <= hi : (x >= lo || x <= hi);
    predicate in(integer x, struct exo_range r) =
	is_word(x) && in_arc(x, r.lo, r.hi) && (r.lo > r.hi && r.lo <= EXO_HALF ==> x <= EXO_HALF);
    predicate valid(struct exo_range r) = is_word(r.lo) && is_word(r.hi);
*/

/* All numbers up to @max. */
/*@ assigns \nothing;
    ensures \result.lo == 0 && \result.hi == max;
*/
static inline struct exo_range exo_range_to(u64 max)
{
	return (struct exo_range){ 0, max };
}

/*@ assigns \nothing;
    ensures \result.lo == x && \result.hi == x;
*/
static inline struct exo_range exo_range_const(u64 x)
{
	return (struct exo_range){ x, x };
}

/*@ assigns \nothing;
    ensures \result <==> r.lo == r.hi;
*/
static inline bool exo_range_is_const(struct exo_range r)
{
	return r.lo == r.hi;
}

bool exo_range_has(struct exo_range r, u64 x);
bool exo_range_within(struct exo_range a, struct exo_range b);
struct exo_range exo_range_word(struct exo_range r);
struct exo_range exo_range_half(struct exo_range r);
bool exo_range_meet(struct exo_range *r, struct exo_range with);
struct exo_range exo_range_alu(u32 op, bool wide, struct exo_range a, struct exo_range b);
bool exo_range_refine(u32 op, bool wide, struct exo_range *a, struct exo_range *b);
u32 exo_jmp_not(u32 op);
u32 exo_jmp_swap(u32 op);
bool exo_range_fits(struct exo_range r, u64 off, u64 size, u64 extent);
void exo_range_align(struct exo_range *r, u32 zeros);
bool exo_range_signed(struct exo_range r, u64 limit, s64 *lo, s64 *hi);
u32 exo_zeros_alu(u32 op, u32 a, u32 b, struct exo_range by);
u32 exo_zeros_of(u64 x);

#endif
