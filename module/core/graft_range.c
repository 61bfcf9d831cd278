// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * Arithmetic of sets of numbers: for all x in a and y in b, x op y is in op(a, b); and a comparison
 * that holds for x and y still has them in what it leaves of a and b (INV-GRAFT-20).
 *
 * @max in the static functions is the modulus less one, EXO_WORD or EXO_HALF. Sums are computed so
 * that nothing overflows, for the proofs; compilers make an addition of it.
 */
#include "core/graft_range.h"

#define TOP(_max) ((_max) / 2 + 1)	/* the sign bit */

/*@ requires a <= max && b <= max;
    assigns \nothing;
    ensures \result <= max;
    ensures \result == (a + b <= max ? a + b : a + b - max - 1);
*/
static u64 plus(u64 max, u64 a, u64 b)
{
	return b > max - a ? b - (max - a) - 1 : a + b;
}

/*@ requires a <= max && b <= max;
    assigns \nothing;
    ensures \result <= max;
    ensures \result == (a >= b ? a - b : a - b + max + 1);
*/
static u64 minus(u64 max, u64 a, u64 b)
{
	return a >= b ? a - b : max - (b - a - 1);
}

/*@ assigns \nothing;
    ensures \result <==> (r.lo <= r.hi ? r.hi <= EXO_HALF : r.lo <= EXO_HALF);
*/
static bool is_half(struct exo_range r)
{
	return (r.lo <= r.hi ? r.hi : r.lo) <= EXO_HALF;
}

/*
 * The arc from @lo to @hi as a range. A 64-bit arc around zero that starts in the lower half would
 * be read as a 32-bit one: it misses few numbers, all are taken.
 */
/*@ requires max == EXO_WORD || max == EXO_HALF;
    requires lo <= max && hi <= max;
    assigns \nothing;
    ensures valid(\result) && \result.lo <= max && \result.hi <= max;
    ensures lo <= hi ==> \result.lo == lo && \result.hi == hi;
    ensures \forall integer x; 0 <= x <= max && in_arc(x, lo, hi) ==> in(x, \result);
    ensures max == EXO_WORD ==> \result.lo <= \result.hi || \result.lo > EXO_HALF;
*/
static struct exo_range make(u64 max, u64 lo, u64 hi)
{
	if (plus(max, hi, 1) == lo || (lo > hi && max == EXO_WORD && lo <= EXO_HALF))
		return exo_range_to(max);
	return (struct exo_range){ lo, hi };
}

/**
 * exo_range_has() - is a number in a range?
 * @r: the range
 * @x: the number
 *
 * Return: whether it is.
 */
/*@ requires valid(r) && is_word(x);
    assigns \nothing;
    ensures \result <==> in(x, r);
*/
bool exo_range_has(struct exo_range r, u64 x)
{
	if (r.lo <= r.hi)
		return r.lo <= x && x <= r.hi;
	return x >= r.lo ? r.lo > EXO_HALF || x <= EXO_HALF : x <= r.hi;
}

/**
 * exo_range_word() - as a range that is no 32-bit range around zero
 * @r: any range
 *
 * Return: @r, or all 32-bit numbers.
 */
/*@ requires valid(r);
    assigns \nothing;
    ensures valid(\result);
    ensures \result.lo <= \result.hi || \result.lo > EXO_HALF;
    ensures \forall integer x; in(x, r) ==> in(x, \result);
*/
struct exo_range exo_range_word(struct exo_range r)
{
	return r.lo > r.hi && r.lo <= EXO_HALF ? exo_range_to(EXO_HALF) : r;
}

/**
 * exo_range_half() - of the lower halves of a range's numbers
 * @r: any range
 *
 * Return: a range of 32-bit numbers.
 */
/*@ requires valid(r);
    assigns \nothing;
    ensures \result.lo <= EXO_HALF && \result.hi <= EXO_HALF;
    ensures \forall integer x; in(x, r) ==> in(x % (EXO_HALF + 1), \result);
*/
struct exo_range exo_range_half(struct exo_range r)
{
	if (is_half(r))
		return r;
	if (minus(EXO_WORD, r.hi, r.lo) >= EXO_HALF)
		return exo_range_to(EXO_HALF);
	return make(EXO_HALF, r.lo % (EXO_HALF + 1), r.hi % (EXO_HALF + 1));
}

/* Is the arc @a inside the arc @b? */
/*@ requires a.lo <= max && a.hi <= max && b.lo <= max && b.hi <= max;
    assigns \nothing;
    ensures \result ==> \forall integer x;
	0 <= x <= max && in_arc(x, a.lo, a.hi) ==> in_arc(x, b.lo, b.hi);
*/
static bool arc_within(u64 max, struct exo_range a, struct exo_range b)
{
	u64 len = minus(max, b.hi, b.lo);
	u64 from = minus(max, a.lo, b.lo);
	u64 to = minus(max, a.hi, b.lo);

	return len == max || (from <= to && to <= len);
}

/**
 * exo_range_within() - is a range part of another?
 * @a: the smaller
 * @b: the larger
 *
 * Return: true only if it is.
 */
/*@ requires valid(a) && valid(b);
    assigns \nothing;
    ensures \result ==> \forall integer x; in(x, a) ==> in(x, b);
*/
bool exo_range_within(struct exo_range a, struct exo_range b)
{
	if (b.lo > b.hi && b.lo <= EXO_HALF)
		return is_half(a) && arc_within(EXO_HALF, a, b);
	return arc_within(EXO_WORD, exo_range_word(a), b);
}

/*
 * Cuts the arc @r down to what it shares with the arc from @lo to @hi, if that is one piece.
 * Return: false if it shares nothing.
 */
/*@ requires \valid(r);
    requires max == EXO_WORD || max == EXO_HALF;
    requires r->lo <= max && r->hi <= max && lo <= max && hi <= max;
    requires max == EXO_WORD ==> r->lo <= r->hi || r->lo > EXO_HALF;
    assigns *r;
    ensures r->lo <= max && r->hi <= max;
    ensures \old(r->lo) <= \old(r->hi) ==>
	\old(r->lo) <= r->lo <= r->hi <= \old(r->hi);
    ensures max == EXO_WORD ==> r->lo <= r->hi || r->lo > EXO_HALF;
    ensures \forall integer x; in(x, \old(*r)) && in_arc(x, lo, hi) ==> \result && in(x, *r);
*/
static bool arc_cut(u64 max, struct exo_range *r, u64 lo, u64 hi)
{
	u64 len = minus(max, r->hi, r->lo);
	u64 from = minus(max, lo, r->lo);
	u64 to = minus(max, hi, r->lo);

	if (from <= to) {
		if (from > len)
			return false;
		*r = make(max, lo, to < len ? hi : r->hi);
	} else if (from > len && to < len) {
		*r = make(max, r->lo, hi);
	}
	return true;
}

/*
 * Leaves of @r what is on the arc from @lo to @hi; with @wide unset, the arc is of lower halves, and
 * numbers that have an upper half aren't cut.
 */
/*@ requires \valid(r) && valid(*r);
    requires wide ==> is_word(lo) && is_word(hi);
    requires !wide ==> lo <= EXO_HALF && hi <= EXO_HALF;
    assigns *r;
    ensures valid(*r);
    ensures \forall integer x; in(x, \old(*r)) &&
	in_arc(wide ? x : x % (EXO_HALF + 1), lo, hi) ==> \result && in(x, *r);
*/
static bool cut(struct exo_range *r, bool wide, u64 lo, u64 hi)
{
	struct exo_range half = { 0, EXO_HALF };

	if (!wide)
		return !is_half(*r) || arc_cut(EXO_HALF, r, lo, hi);
	if (r->lo <= r->hi || r->lo > EXO_HALF)
		return arc_cut(EXO_WORD, r, lo, hi);
	if (!arc_cut(EXO_WORD, &half, lo, hi))
		return false;
	return arc_cut(EXO_HALF, r, half.lo, half.hi);
}

/**
 * exo_range_meet() - what two ranges share
 * @r: a range, made smaller
 * @with: another that holds for the same value
 *
 * Return: false if they share nothing; @r is no use then.
 */
/*@ requires \valid(r) && valid(*r) && valid(with);
    assigns *r;
    ensures valid(*r);
    ensures \forall integer x; in(x, \old(*r)) && in(x, with) ==> \result && in(x, *r);
*/
bool exo_range_meet(struct exo_range *r, struct exo_range with)
{
	if (with.lo > with.hi && with.lo <= EXO_HALF)
		return cut(r, true, 0, EXO_HALF) && cut(r, false, with.lo, with.hi);
	return cut(r, true, with.lo, with.hi);
}

/* The least and the greatest number, unsigned and signed. @r is an arc up to @max. */
/*@ assigns \nothing;
    ensures \result <= r.lo;
    ensures \forall integer x; in_arc(x, r.lo, r.hi) && x >= 0 ==> \result <= x;
*/
static u64 least(struct exo_range r)
{
	return r.lo <= r.hi ? r.lo : 0;
}

/*@ assigns \nothing;
    ensures r.hi <= max ==> \result <= max;
    ensures \forall integer x; in_arc(x, r.lo, r.hi) && x <= max ==> x <= \result;
*/
static u64 greatest(u64 max, struct exo_range r)
{
	return r.lo <= r.hi ? r.hi : max;
}

/*@ requires x <= max && max % 2 == 1;
    assigns \nothing;
    ensures \result <= max;
    ensures \result == (x > max / 2 ? x - max / 2 - 1 : x + max / 2 + 1);
*/
static u64 flip(u64 max, u64 x)
{
	return x >= TOP(max) ? x - TOP(max) : x + TOP(max);
}

/*@ requires r.lo <= max && r.hi <= max && max % 2 == 1;
    assigns \nothing;
    ensures \result <= max;
*/
static u64 signed_least(u64 max, struct exo_range r)
{
	return flip(max, r.lo) <= flip(max, r.hi) ? r.lo : TOP(max);
}

/*@ requires r.lo <= max && r.hi <= max && max % 2 == 1;
    assigns \nothing;
    ensures \result <= max;
*/
static u64 signed_greatest(u64 max, struct exo_range r)
{
	return flip(max, r.lo) <= flip(max, r.hi) ? r.hi : TOP(max) - 1;
}

/*@ requires max == EXO_WORD || max == EXO_HALF;
    requires a.lo <= max && a.hi <= max && b.lo <= max && b.hi <= max;
    assigns \nothing;
    ensures \result.lo <= max && \result.hi <= max;
    ensures \forall integer x, y; 0 <= x <= max && 0 <= y <= max &&
	in_arc(x, a.lo, a.hi) && in_arc(y, b.lo, b.hi) ==>
	in(x + y <= max ? x + y : x + y - max - 1, \result);
*/
static struct exo_range arc_add(u64 max, struct exo_range a, struct exo_range b)
{
	if (minus(max, a.hi, a.lo) >= max - minus(max, b.hi, b.lo))
		return exo_range_to(max);
	return make(max, plus(max, a.lo, b.lo), plus(max, a.hi, b.hi));
}

/*@ requires max == EXO_WORD || max == EXO_HALF;
    requires a.lo <= max && a.hi <= max && b.lo <= max && b.hi <= max;
    assigns \nothing;
    ensures \result.lo <= max && \result.hi <= max;
    ensures \forall integer x, y; 0 <= x <= max && 0 <= y <= max &&
	in_arc(x, a.lo, a.hi) && in_arc(y, b.lo, b.hi) ==>
	in(x >= y ? x - y : x - y + max + 1, \result);
*/
static struct exo_range arc_sub(u64 max, struct exo_range a, struct exo_range b)
{
	if (minus(max, a.hi, a.lo) >= max - minus(max, b.hi, b.lo))
		return exo_range_to(max);
	return make(max, minus(max, a.lo, b.hi), minus(max, a.hi, b.lo));
}

/* From here on arguments are plain intervals, lo <= hi. */

/*@ requires a.hi <= max && b.hi <= max && a.lo <= a.hi && b.lo <= b.hi;
    assigns \nothing;
*/
static struct exo_range int_mul(u64 max, struct exo_range a, struct exo_range b)
{
	if (a.hi != 0 && b.hi > max / a.hi)
		return exo_range_to(max);
	return (struct exo_range){ a.lo * b.lo, a.hi * b.hi };
}

/* Division by zero gives zero. */
/*@ requires a.lo <= a.hi && b.lo <= b.hi;
    assigns \nothing;
    ensures b.lo == 0 ==> \result.lo == 0 && \result.hi == a.hi;
    ensures b.lo != 0 ==> \result.lo == a.lo / b.hi && \result.hi == a.hi / b.lo;
*/
static struct exo_range int_div(struct exo_range a, struct exo_range b)
{
	struct exo_range r = { 0, a.hi };

	if (b.lo != 0) {
		r.lo = a.lo / b.hi;
		r.hi = a.hi / b.lo;
	}
	return r;
}

/* Modulo zero leaves the dividend. */
/*@ requires a.lo <= a.hi && b.lo <= b.hi;
    assigns \nothing;
    ensures \forall integer x, y; a.lo <= x <= a.hi && b.lo <= y <= b.hi ==>
	\result.lo <= (y == 0 ? x : x % y) <= \result.hi;
*/
static struct exo_range int_mod(struct exo_range a, struct exo_range b)
{
	if (b.hi == 0 || a.hi < b.lo)
		return a;
	if (b.lo == 0 || a.hi < b.hi)
		return exo_range_to(a.hi);
	return exo_range_to(b.hi - 1);
}

/* The least 2^n - 1 that isn't less than @x. */
/*@ assigns \nothing; */
static u64 smear(u64 x)
{
	x |= x >> 1;
	x |= x >> 2;
	x |= x >> 4;
	x |= x >> 8;
	x |= x >> 16;
	return x | x >> 32;
}

/*@ requires a.lo <= a.hi <= max && b.lo <= b.hi <= max;
    assigns \nothing;
*/
static struct exo_range int_and(u64 max, struct exo_range a, struct exo_range b)
{
	u64 ones = max - b.lo;

	/* x & -8 keeps the order. */
	if (exo_range_is_const(b) && (ones & (ones + 1)) == 0)
		return (struct exo_range){ a.lo & b.lo, a.hi & b.lo };
	if (exo_range_is_const(a) && exo_range_is_const(b))
		return exo_range_const(a.lo & b.lo);
	return exo_range_to(a.hi < b.hi ? a.hi : b.hi);
}

/*@ assigns \nothing; */
static struct exo_range int_or(struct exo_range a, struct exo_range b)
{
	if (exo_range_is_const(a) && exo_range_is_const(b))
		return exo_range_const(a.lo | b.lo);
	return (struct exo_range){ a.lo > b.lo ? a.lo : b.lo, smear(a.hi | b.hi) };
}

/*@ assigns \nothing; */
static struct exo_range int_xor(struct exo_range a, struct exo_range b)
{
	if (exo_range_is_const(a) && exo_range_is_const(b))
		return exo_range_const(a.lo ^ b.lo);
	return exo_range_to(smear(a.hi | b.hi));
}

/*@ requires bits <= 64 && by.lo <= by.hi;
    assigns \nothing;
*/
static struct exo_range int_lsh(u64 max, u32 bits, struct exo_range a, struct exo_range by)
{
	if (by.hi >= bits || a.hi > max >> by.hi)
		return exo_range_to(max);
	return (struct exo_range){ a.lo << by.lo, a.hi << by.hi };
}

/*@ requires bits <= 64 && by.lo <= by.hi;
    assigns \nothing;
*/
static struct exo_range int_rsh(u32 bits, struct exo_range a, struct exo_range by)
{
	if (by.hi >= bits)
		return exo_range_to(a.hi);
	return (struct exo_range){ a.lo >> by.hi, a.hi >> by.lo };
}

/*@ requires x <= max && by < 64;
    requires max == EXO_WORD || max == EXO_HALF;
    assigns \nothing;
    ensures \result <= max;
*/
static u64 arsh_one(u64 max, u64 x, u64 by)
{
	return x < TOP(max) ? x >> by : max - ((max - x) >> by);
}

/* @a is any arc. */
/*@ requires max == EXO_WORD || max == EXO_HALF;
    requires a.lo <= max && a.hi <= max && 0 < bits <= 64;
    assigns \nothing;
*/
static struct exo_range arc_arsh(u64 max, u32 bits, struct exo_range a, struct exo_range by)
{
	u64 lo = signed_least(max, a), hi = signed_greatest(max, a);
	u64 least_by = by.lo, most_by = by.hi;

	if (by.lo > by.hi || by.hi >= bits) {
		least_by = 0;
		most_by = bits - 1;
	}
	/* Shifting moves numbers towards 0 or -1. */
	return make(max, arsh_one(max, lo, lo < TOP(max) ? most_by : least_by),
		    arsh_one(max, hi, hi < TOP(max) ? least_by : most_by));
}

/*@ assigns \nothing;
    ensures r.lo <= r.hi ==> \result == r;
    ensures r.lo > r.hi ==> \result.lo == 0 && \result.hi == max;
*/
static struct exo_range plain(u64 max, struct exo_range r)
{
	return r.lo <= r.hi ? r : exo_range_to(max);
}

/* Moves the lower half up: signed 32-bit numbers stay exact. */
/*@ requires valid(a);
    assigns \nothing;
*/
static struct exo_range lsh_half(struct exo_range a)
{
	struct exo_range half = exo_range_half(a);

	return (struct exo_range){ half.lo << (EXO_RANGE_BITS / 2), half.hi << (EXO_RANGE_BITS / 2) };
}

/**
 * exo_range_alu() - what an arithmetic instruction makes of two ranges
 * @op: EXO_ADD .. EXO_ARSH, but END
 * @wide: 64 bits; else lower halves are computed with, and the result has no upper half
 * @a: of the destination
 * @b: of the source
 *
 * Return: a range with all results (INV-GRAFT-20).
 */
/*@ requires valid(a) && valid(b); */
struct exo_range exo_range_alu(u32 op, bool wide, struct exo_range a, struct exo_range b)
{
	u64 max = wide ? EXO_WORD : EXO_HALF;
	u32 bits = wide ? EXO_RANGE_BITS : EXO_RANGE_BITS / 2;
	struct exo_range pa, pb;

	if (op == EXO_MOV)
		return wide ? b : exo_range_half(b);
	if (op == EXO_LSH && wide && b.lo == bits / 2 && b.hi == bits / 2)
		return lsh_half(a);
	a = wide ? exo_range_word(a) : exo_range_half(a);
	b = wide ? exo_range_word(b) : exo_range_half(b);
	pa = plain(max, a);
	pb = plain(max, b);

	switch (op) {
	case EXO_ADD:
		return arc_add(max, a, b);
	case EXO_SUB:
		return arc_sub(max, a, b);
	case EXO_NEG:
		return arc_sub(max, exo_range_const(0), a);
	case EXO_MUL:
		return int_mul(max, pa, pb);
	case EXO_DIV:
		return int_div(pa, pb);
	case EXO_MOD:
		return int_mod(pa, pb);
	case EXO_AND:
		return int_and(max, pa, pb);
	case EXO_OR:
		return int_or(pa, pb);
	case EXO_XOR:
		return int_xor(pa, pb);
	case EXO_LSH:
		return int_lsh(max, bits, pa, pb);
	case EXO_RSH:
		return int_rsh(bits, pa, pb);
	case EXO_ARSH:
		return arc_arsh(max, bits, a, b);
	default:
		return exo_range_to(max);
	}
}

/*
 * Leaves of @r the numbers that are in the relation @op to some number of @b.
 * Return: false if there are none.
 */
/*@ requires \valid(r) && valid(*r) && valid(b);
    assigns *r;
    ensures valid(*r);
    ensures wide && op == EXO_JEQ ==> \forall integer x;
	in(x, \old(*r)) && in(x, b) ==> \result && in(x, *r);
    ensures wide && op == EXO_JNE ==> \forall integer x, y;
	in(x, \old(*r)) && in(y, b) && x != y ==> \result && in(x, *r);
    ensures wide && op == EXO_JGT ==> \forall integer x, y;
	in(x, \old(*r)) && in(y, b) && x > y ==> \result && in(x, *r);
    ensures wide && op == EXO_JGE ==> \forall integer x, y;
	in(x, \old(*r)) && in(y, b) && x >= y ==> \result && in(x, *r);
    ensures wide && op == EXO_JLT ==> \forall integer x, y;
	in(x, \old(*r)) && in(y, b) && x < y ==> \result && in(x, *r);
    ensures wide && op == EXO_JLE ==> \forall integer x, y;
	in(x, \old(*r)) && in(y, b) && x <= y ==> \result && in(x, *r);
*/
static bool relate(u32 op, bool wide, struct exo_range *r, struct exo_range b)
{
	u64 max = wide ? EXO_WORD : EXO_HALF;
	u64 x;

	b = wide ? exo_range_word(b) : exo_range_half(b);
	switch (op) {
	case EXO_JEQ:
		return cut(r, wide, b.lo, b.hi);
	case EXO_JNE:
		return !exo_range_is_const(b) ||
		       cut(r, wide, plus(max, b.lo, 1), minus(max, b.lo, 1));
	case EXO_JGT:
		x = least(b);
		return x != max && cut(r, wide, x + 1, max);
	case EXO_JGE:
		return cut(r, wide, least(b), max);
	case EXO_JLT:
		x = greatest(max, b);
		return x != 0 && cut(r, wide, 0, x - 1);
	case EXO_JLE:
		return cut(r, wide, 0, greatest(max, b));
	case EXO_JSGT:
		x = signed_least(max, b);
		return x != TOP(max) - 1 && cut(r, wide, plus(max, x, 1), TOP(max) - 1);
	case EXO_JSGE:
		return cut(r, wide, signed_least(max, b), TOP(max) - 1);
	case EXO_JSLT:
		x = signed_greatest(max, b);
		return x != TOP(max) && cut(r, wide, TOP(max), minus(max, x, 1));
	case EXO_JSLE:
		return cut(r, wide, TOP(max), signed_greatest(max, b));
	case EXO_JSET:
		return greatest(max, b) != 0 && cut(r, wide, 1, max);
	case EXO_JUNSET:
		/* x & -8 is 0: x is less than 8 */
		x = max - b.lo;
		if (exo_range_is_const(b) && b.lo != 0 && (x & (x + 1)) == 0)
			return cut(r, wide, 0, x);
		return true;
	default:
		return true;
	}
}

/**
 * exo_range_refine() - what a comparison that holds says of both sides
 * @op: EXO_JEQ .. EXO_JSLE, of the conditional ones
 * @wide: 64 bits; else lower halves are compared
 * @a: of the left side, made smaller
 * @b: of the right side, made smaller
 *
 * Return: false if it can't hold; @a and @b are no use then.
 */
/*@ requires \valid(a) && \valid(b) && \separated(a, b) && valid(*a) && valid(*b);
    assigns *a, *b;
    ensures valid(*a) && valid(*b);
*/
bool exo_range_refine(u32 op, bool wide, struct exo_range *a, struct exo_range *b)
{
	struct exo_range left = *a;

	return relate(op, wide, a, *b) && relate(exo_jmp_swap(op), wide, b, left);
}

/**
 * exo_jmp_not() - the comparison that holds when another doesn't
 * @op: EXO_JEQ .. EXO_JSLE
 *
 * Return: the opposite; of SET it is UNSET.
 */
/*@ assigns \nothing; */
u32 exo_jmp_not(u32 op)
{
	switch (op) {
	case EXO_JEQ: return EXO_JNE;
	case EXO_JNE: return EXO_JEQ;
	case EXO_JGT: return EXO_JLE;
	case EXO_JLE: return EXO_JGT;
	case EXO_JGE: return EXO_JLT;
	case EXO_JLT: return EXO_JGE;
	case EXO_JSGT: return EXO_JSLE;
	case EXO_JSLE: return EXO_JSGT;
	case EXO_JSGE: return EXO_JSLT;
	case EXO_JSLT: return EXO_JSGE;
	case EXO_JSET: return EXO_JUNSET;
	default: return EXO_JSET;
	}
}

/**
 * exo_jmp_swap() - a comparison with its sides exchanged
 * @op: EXO_JEQ .. EXO_JSLE
 *
 * Return: the one that says the same.
 */
/*@ assigns \nothing; */
u32 exo_jmp_swap(u32 op)
{
	switch (op) {
	case EXO_JGT: return EXO_JLT;
	case EXO_JLT: return EXO_JGT;
	case EXO_JGE: return EXO_JLE;
	case EXO_JLE: return EXO_JGE;
	case EXO_JSGT: return EXO_JSLT;
	case EXO_JSLT: return EXO_JSGT;
	case EXO_JSGE: return EXO_JSLE;
	case EXO_JSLE: return EXO_JSGE;
	default: return op;
	}
}

/**
 * exo_range_fits() - is an access inside its region?
 * @r: offset of the pointer from the region's start
 * @off: added by the instruction, modulo 2^64
 * @size: bytes accessed
 * @extent: bytes of the region
 *
 * Return: true only if it is, whichever offset of @r the pointer has (INV-GRAFT-21).
 */
/*@ requires valid(r) && is_word(off) && is_word(size) && is_word(extent);
    assigns \nothing;
    ensures \result ==> \forall integer x; in(x, r) ==>
	(x + off <= EXO_WORD ? x + off : x + off - EXO_WORD - 1) + size <= extent;
*/
bool exo_range_fits(struct exo_range r, u64 off, u64 size, u64 extent)
{
	struct exo_range word = exo_range_word(r);
	u64 lo = plus(EXO_WORD, word.lo, off), hi = plus(EXO_WORD, word.hi, off);

	return lo <= hi && size <= extent && hi <= extent - size;
}

/**
 * exo_range_signed() - the bounds of a range as small signed numbers
 * @r: the range
 * @limit: what small is
 * @lo: out: the least
 * @hi: out: the greatest
 *
 * Return: false, and nothing else, if a number is less than -@limit or greater than @limit.
 */
/*@ requires valid(r) && limit <= EXO_WORD / 2;
    requires \valid(lo) && \valid(hi) && \separated(lo, hi);
    assigns *lo, *hi;
    ensures \result ==> -limit <= *lo <= *hi <= limit;
    ensures \result ==> \forall integer x; in(x, r) ==>
	*lo <= (x <= EXO_WORD / 2 ? x : x - EXO_WORD - 1) <= *hi;
*/
bool exo_range_signed(struct exo_range r, u64 limit, s64 *lo, s64 *hi)
{
	const u64 zero = TOP(EXO_WORD);
	u64 from, to;

	r = exo_range_word(r);
	from = flip(EXO_WORD, r.lo);
	to = flip(EXO_WORD, r.hi);
	if (from > to || from < zero - limit || to > zero + limit)
		return false;
	*lo = from >= zero ? (s64)(from - zero) : -(s64)(zero - from);
	*hi = to >= zero ? (s64)(to - zero) : -(s64)(zero - to);
	return true;
}

/**
 * exo_range_align() - leaves of a range the multiples of a power of two
 * @r: a range, made smaller
 * @zeros: that many of the lowest bits are zero in every number that matters, 0 .. 63
 */
/*@ requires \valid(r) && valid(*r) && zeros < EXO_RANGE_BITS;
    assigns *r;
    ensures valid(*r);
*/
void exo_range_align(struct exo_range *r, u32 zeros)
{
	u64 mask = ((u64)1 << zeros) - 1;
	u64 lo = r->lo, hi = r->hi & ~mask;

	if (lo & mask) {
		if (lo > EXO_WORD - mask)
			return;
		lo = (lo + mask) & ~mask;
	}
	if (r->lo <= r->hi && lo <= hi)
		*r = (struct exo_range){ lo, hi };
}

/**
 * exo_zeros_of() - how many of a number's lowest bits are zero
 * @x: the number
 *
 * Return: 0 .. 63; 63 for 0.
 */
u32 exo_zeros_of(u64 x)
{
	return x ? (u32)__builtin_ctzll(x) : 63;
}

/**
 * exo_zeros_alu() - how many of a result's lowest bits are known to be zero
 * @op: EXO_ADD .. EXO_ARSH
 * @a: known of the destination
 * @b: known of the source
 * @by: range of the source, for shifts
 *
 * Return: 0 .. 63, for 64 and for 32 bits.
 */
u32 exo_zeros_alu(u32 op, u32 a, u32 b, struct exo_range by)
{
	u32 sum;

	switch (op) {
	case EXO_MOV:
		return b;
	case EXO_NEG:
		return a;
	case EXO_ADD:
	case EXO_SUB:
	case EXO_OR:
	case EXO_XOR:
		return a < b ? a : b;
	case EXO_AND:
		return a > b ? a : b;
	case EXO_MUL:
		sum = a + b;
		return sum < 63 ? sum : 63;
	case EXO_LSH:
		/* 32-bit shift counts are taken modulo 32 */
		sum = a + (exo_range_is_const(by) && by.lo < 32 ? (u32)by.lo : 0);
		return sum < 63 ? sum : 63;
	default:
		return 0;
	}
}
