// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * What arithmetic and comparisons make of a graft's state. Nothing here trusts a certificate; what a
 * record says of a value is given in struct exo_val and may be anything that exo_record_get() lets pass.
 */
#include "core/graft_state.h"

static const struct exo_range any = { 0, EXO_WORD };

/**
 * exo_flow_fail() - refuses the graft
 * @flow: where it is
 * @code: enum exo_graft_code
 * @loc: register, or EXO_REGS + stack slot
 *
 * The first error stays.
 *
 * Return: -EINVAL.
 */
int exo_flow_fail(struct exo_flow *flow, u32 code, u32 loc)
{
	if (flow->err->code == EXO_GRAFT_FINE) {
		flow->err->code = code;
		flow->err->slot = flow->slot;
		flow->err->reg = exo_loc_name(flow->prog, loc);
	}
	return -EINVAL;
}

/**
 * exo_flow_barrier() - puts a speculation barrier before the instruction
 * @flow: where it is
 *
 * Behind it registers are what they are in a run (INV-GRAFT-24).
 */
void exo_flow_barrier(struct exo_flow *flow)
{
	u32 i;

	flow->barrier = true;
	for (i = 0; i < EXO_REGS && !flow->st->dead; i++)
		flow->st->v[i].spec = flow->st->v[i].arch;
}

/**
 * exo_val_set() - a value of which nothing but kind and ranges is known
 * @v: the value
 * @kind: enum exo_kind
 * @arch: its range
 * @spec: its speculative range
 */
void exo_val_set(struct exo_val *v, u32 kind, struct exo_range arch, struct exo_range spec)
{
	*v = (struct exo_val){
		.arch = arch,
		.spec = spec,
		.avail = EXO_NO_AVAIL,
		.kind = (u8)kind,
	};
}

/**
 * exo_val_scalar() - a number of which only its maximum is known
 * @v: the value
 * @max: its maximum, speculatively too
 */
void exo_val_scalar(struct exo_val *v, u64 max)
{
	exo_val_set(v, EXO_KIND_SCALAR, exo_range_to(max), exo_range_to(max));
}

/**
 * exo_val_const() - a number that is known
 * @v: the value
 * @x: the number
 */
void exo_val_const(struct exo_val *v, u64 x)
{
	exo_val_set(v, EXO_KIND_SCALAR, exo_range_const(x), exo_range_const(x));
	v->zeros = (u8)exo_zeros_of(x);
}

/**
 * exo_state_entry() - what is known when a graft starts
 * @flow: where it is; @st need not be initialised
 */
void exo_state_entry(struct exo_flow *flow)
{
	struct exo_state *st = flow->st;
	u64 top = flow->prog->stack;
	u32 i;

	for (i = 0; i < exo_locs(flow->prog); i++)
		exo_val_set(&st->v[i], EXO_KIND_NONE, any, any);
	st->dead = false;
	exo_val_set(&st->v[1], EXO_PTR(EXO_REGION_CTX), exo_range_const(0), exo_range_const(0));
	exo_val_set(&st->v[10], EXO_PTR(EXO_REGION_STACK), exo_range_const(top), exo_range_const(top));
	st->v[1].zeros = 63;
	st->v[10].zeros = 3;
}

static bool is_number(const struct exo_val *v)
{
	return v->kind == EXO_KIND_SCALAR || v->kind == EXO_KIND_LEFT;
}

static bool is_data(const struct exo_val *v)
{
	return v->kind == EXO_PTR(EXO_REGION_DATA);
}

static bool is_far(const struct exo_val *v)
{
	s64 lo, hi;

	return !exo_range_signed(v->arch, EXO_FAR, &lo, &hi);
}

/* Arithmetic --------------------------------------------------------------------------------------- */

/* @v's distance from its base and from its loop's measure is @lo to @hi more now. */
static void shift_by(struct exo_val *v, s64 lo, s64 hi)
{
	if (lo != hi || v->delta + lo > EXO_NEAR || v->delta + lo < -EXO_NEAR)
		v->id = 0;
	v->delta = v->id ? (s32)(v->delta + lo) : 0;
	if (v->dlo + lo < -EXO_MAX_STEP || v->dhi + hi > EXO_MAX_STEP)
		v->tag = 0;
	v->dlo = v->tag ? (s32)(v->dlo + lo) : 0;
	v->dhi = v->tag ? (s32)(v->dhi + hi) : 0;
	v->half = v->tag ? v->half : 0;
}

static void forget_ties(struct exo_val *v)
{
	v->id = 0;
	v->tag = 0;
	shift_by(v, 0, 0);
}

/* @by was added to @v, a value whose range is @before: what becomes of its ties? */
static void shift_ties(struct exo_val *v, struct exo_range before, bool wide, bool minus,
		       struct exo_range by)
{
	s64 lo, hi, was_lo, was_hi;

	if (!exo_range_signed(by, EXO_NEAR, &lo, &hi)) {
		/* w += 0xffffffff is w -= 1 */
		if (wide || !exo_range_is_const(by) || by.lo > EXO_HALF ||
		    by.lo < EXO_HALF - EXO_NEAR) {
			forget_ties(v);
			return;
		}
		lo = (s64)by.lo - (s64)EXO_HALF - 1;
		hi = lo;
	}
	if (minus) {
		was_lo = lo;
		lo = -hi;
		hi = -was_lo;
	}
	if (!wide && !(exo_range_signed(before, EXO_HALF, &was_lo, &was_hi) && was_lo + lo >= 0 &&
		       was_hi + hi <= (s64)EXO_HALF)) {
		v->id = 0;
		v->half = 1;
	}
	shift_by(v, lo, hi);
}

/* The lower half of @v replaces it. */
static void cut_to_half(struct exo_val *v)
{
	if (!exo_range_within(v->arch, exo_range_to(EXO_HALF))) {
		v->kind = EXO_KIND_SCALAR;
		v->id = 0;
		v->half = 1;
		shift_by(v, 0, 0);
	}
	v->arch = exo_range_half(v->arch);
	v->spec = exo_range_half(v->spec);
	/* 63 of a constant stands for all */
	if (v->zeros > 31 && !exo_range_is_const(v->spec))
		v->zeros = 31;
}

/**
 * exo_val_name() - gives a value a base, so that copies are known to have it, too
 * @flow: where it is
 * @v: the value
 */
void exo_val_name(struct exo_flow *flow, struct exo_val *v)
{
	if (v->id == 0 && (EXO_IS_PTR(v->kind) || v->kind == EXO_KIND_SCALAR)) {
		v->id = (u16)(EXO_ID_FRESH + flow->slot);
		v->delta = 0;
	}
}

static int move(struct exo_flow *flow, const struct exo_insn *in, bool wide)
{
	struct exo_val *dst = &flow->st->v[in->dst], *src = &flow->st->v[in->src];

	if (!wide && !is_number(src))
		return exo_flow_fail(flow, EXO_GRAFT_E_KIND, in->src);
	exo_val_name(flow, src);
	*dst = *src;
	if (!wide)
		cut_to_half(dst);
	return 0;
}

static int number_op(struct exo_flow *flow, u32 op, bool wide, struct exo_val *dst,
		     const struct exo_val *src)
{
	struct exo_val old = *dst, was;
	const struct exo_val *by = src;

	if (op == EXO_ADD && exo_range_is_const(old.arch) && !exo_range_is_const(src->arch)) {
		*dst = *src;
		by = &old;
	}
	was = *dst;
	if (op == EXO_ADD || op == EXO_SUB)
		shift_ties(dst, dst->arch, wide, op == EXO_SUB, by->arch);
	else
		forget_ties(dst);
	/* What is left grows as the pointer goes back. */
	if (dst->kind == EXO_KIND_LEFT && dst->id && wide)
		dst->delta = 2 * was.delta - dst->delta;
	else
		dst->kind = EXO_KIND_SCALAR;
	if (was.kind == EXO_KIND_LEFT && dst->kind == EXO_KIND_SCALAR)
		forget_ties(dst);
	dst->zeros = (u8)exo_zeros_alu(op, old.zeros, src->zeros, src->spec);
	dst->arch = exo_range_alu(op, wide, old.arch, src->arch);
	dst->spec = exo_range_alu(op, wide, old.spec, src->spec);
	/* Lowered code tests for zero first, and may guess wrong: DIV makes 0 then, MOD nothing. */
	if ((op == EXO_DIV || op == EXO_MOD) && EXO_SRC(flow->prog->insns[flow->slot].code) == EXO_X)
		dst->spec = exo_range_alu(op, wide, old.spec, any);
	exo_range_align(&dst->spec, dst->zeros);
	if (!flow->st->dead)
		exo_range_align(&dst->arch, dst->zeros);
	return 0;
}

/* Pointer plus or minus number. */
static int pointer_op(u32 op, struct exo_val *dst, const struct exo_val *src)
{
	bool swap = !EXO_IS_PTR(dst->kind) && dst->kind != EXO_KIND_END;
	struct exo_val ptr = swap ? *src : *dst;
	const struct exo_val *by = swap ? dst : src;
	s64 lo, hi;

	shift_ties(&ptr, ptr.arch, true, op == EXO_SUB, by->arch);
	if (!exo_range_signed(by->arch, EXO_NEAR, &lo, &hi))
		ptr.avail = EXO_NO_AVAIL;
	if (ptr.avail != EXO_NO_AVAIL)
		ptr.avail = (s32)(ptr.avail + (op == EXO_SUB ? lo : -hi));
	ptr.zeros = ptr.zeros < by->zeros ? ptr.zeros : by->zeros;
	ptr.arch = exo_range_alu(op, true, ptr.arch, by->arch);
	ptr.spec = exo_range_alu(op, true, ptr.spec, by->spec);
	if (ptr.avail < -EXO_FAR || is_far(&ptr))
		ptr.avail = EXO_NO_AVAIL;
	else if (ptr.avail > EXO_FAR)
		ptr.avail = EXO_FAR;
	*dst = ptr;
	return 0;
}

/* The range of a pointer's offset from the start of its region; data_end's is the length of data. */
static struct exo_range offset_of(const struct exo_flow *flow, const struct exo_val *v,
				  struct exo_range r)
{
	if (v->kind != EXO_KIND_END)
		return r;
	return exo_range_alu(EXO_ADD, true, exo_range_to(flow->prog->hook->data_cap), r);
}

/* Pointer less pointer, of one region. */
static int distance(struct exo_flow *flow, struct exo_val *dst, struct exo_val *src)
{
	struct exo_val r;
	struct exo_range more;

	exo_val_set(&r, EXO_KIND_SCALAR,
		    exo_range_alu(EXO_SUB, true, offset_of(flow, dst, dst->arch),
				  offset_of(flow, src, src->arch)),
		    exo_range_alu(EXO_SUB, true, offset_of(flow, dst, dst->spec),
				  offset_of(flow, src, src->spec)));
	if (dst->kind == EXO_KIND_END && is_data(src) && !is_far(src) && dst->arch.lo == 0 &&
	    dst->arch.hi == 0) {
		exo_val_name(flow, src);
		r.kind = EXO_KIND_LEFT;
		r.id = src->id;
		r.delta = src->delta;
		more = (struct exo_range){ (u64)(s64)src->avail, 2 * EXO_FAR };
		if (src->avail != EXO_NO_AVAIL && !exo_range_meet(&r.arch, more))
			flow->st->dead = true;
	}
	*dst = r;
	return 0;
}

static int swap_bytes(struct exo_flow *flow, const struct exo_insn *in)
{
	struct exo_val *dst = &flow->st->v[in->dst];
	struct exo_range to = exo_range_to(in->imm == 64 ? EXO_WORD : (1ULL << in->imm) - 1);

	if (EXO_SRC(in->code) == EXO_K && in->imm == 64)
		return 0;
	if (EXO_SRC(in->code) == EXO_K && in->imm == 32) {
		cut_to_half(dst);
		return 0;
	}
	exo_val_set(dst, EXO_KIND_SCALAR, to, to);
	return 0;
}

static int alu(struct exo_flow *flow, const struct exo_insn *in)
{
	struct exo_val *dst = &flow->st->v[in->dst], imm;
	struct exo_val *src = &imm;
	bool wide = EXO_CLASS(in->code) == EXO_ALU64;
	u32 op = EXO_OP(in->code);
	bool ptr;

	exo_val_const(&imm, wide ? (u64)(s64)in->imm : (u32)in->imm);
	if (op != EXO_NEG && op != EXO_END && EXO_SRC(in->code) == EXO_X) {
		src = &flow->st->v[in->src];
		if (src->kind == EXO_KIND_NONE)
			return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, in->src);
	}
	if (op == EXO_MOV) {
		if (src != &imm)
			return move(flow, in, wide);
		*dst = imm;
		return 0;
	}
	if (dst->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, in->dst);
	ptr = !is_number(dst);
	if (!ptr && is_number(src))
		return op == EXO_END ? swap_bytes(flow, in) : number_op(flow, op, wide, dst, src);
	if (!wide || (op != EXO_ADD && op != EXO_SUB))
		return exo_flow_fail(flow, EXO_GRAFT_E_KIND, ptr ? in->dst : in->src);
	if (op == EXO_ADD ? is_number(ptr ? src : dst) : ptr && is_number(src))
		return pointer_op(op, dst, src);
	if (op == EXO_SUB && ptr && (dst->kind == src->kind || (is_data(dst) && src->kind == EXO_KIND_END) ||
				     (dst->kind == EXO_KIND_END && is_data(src))))
		return distance(flow, dst, src);
	return exo_flow_fail(flow, EXO_GRAFT_E_KIND, in->src);
}

static int load_imm(struct exo_flow *flow, const struct exo_insn *in)
{
	struct exo_val *dst = &flow->st->v[in->dst];
	u32 region = in->src == EXO_PSEUDO_CONST ? EXO_REGION_CONST : EXO_REGION_STATE;

	exo_val_const(dst, (u32)in->imm | (u64)(u32)in[1].imm << 32);
	if (in->src == 0)
		return 0;
	exo_val_const(dst, (u32)in->imm);
	dst->kind = (u8)EXO_PTR(region);
	return 0;
}

/**
 * exo_flow_insn() - an instruction that is no jump
 * @flow: where it is; the instruction is at @slot
 *
 * After EXO_GRAFT_E_BOUNDS, _ALIGN and _ARG the state is as if the access had been right (the prover
 * goes on then, to find out whether it still is when the loops are done).
 *
 * Return: 0, or -EINVAL and @flow->err.
 */
int exo_flow_insn(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	struct exo_val *r0 = &flow->st->v[0];

	switch (EXO_CLASS(in->code)) {
	case EXO_ALU:
	case EXO_ALU64:
		return alu(flow, in);
	case EXO_LD:
		return load_imm(flow, in);
	case EXO_LDX:
		return exo_flow_load(flow);
	case EXO_STX:
		if (EXO_MODE(in->code) == EXO_ATOMIC)
			return exo_flow_atomic(flow);
		return exo_flow_store(flow);
	case EXO_ST:
		return exo_flow_store(flow);
	default:
		break;
	}
	if (exo_insn_is_jump(in, EXO_CALL))
		return exo_flow_call(flow);
	/* EXIT: the result is a number (INV-GRAFT-23) */
	if (r0->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, 0);
	return is_number(r0) ? 0 : exo_flow_fail(flow, EXO_GRAFT_E_LEAK, 0);
}

/* Comparisons -------------------------------------------------------------------------------------- */

static bool is_order(u32 op)
{
	return op == EXO_JLT || op == EXO_JLE || op == EXO_JGT || op == EXO_JGE;
}

/* May the order of this pointer's offsets be taken for the order of addresses? */
static int check_near(struct exo_flow *flow, u32 reg)
{
	const struct exo_val *v = &flow->st->v[reg];
	struct exo_range near = { (u64)-EXO_BEHIND, EXO_NEAR };

	if (flow->st->dead || exo_range_within(v->arch, near))
		return 0;
	flow->err->lo = (s64)v->arch.lo;
	flow->err->hi = (s64)v->arch.hi;
	flow->err->bound = EXO_NEAR;
	flow->err->region = v->kind == EXO_KIND_END ? EXO_REGION_DATA : EXO_REGION(v->kind);
	return exo_flow_fail(flow, EXO_GRAFT_E_BOUNDS, reg);
}

/**
 * exo_flow_compare() - may the operands of a conditional jump be compared?
 * @flow: where it is; the state stays as it is
 *
 * Numbers may; pointers of one region may for equality, and for unsigned order if they can't be so far
 * from it that addresses wrap: the outcome is the same wherever the region lies (INV-GRAFT-23).
 *
 * Return: 0, or -EINVAL and @flow->err.
 */
int exo_flow_compare(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	const struct exo_val *a = &flow->st->v[in->dst], *b = &flow->st->v[in->src];
	bool wide = EXO_CLASS(in->code) == EXO_JMP;
	u32 op = EXO_OP(in->code);
	bool same;

	if (a->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, in->dst);
	if (EXO_SRC(in->code) == EXO_K)
		return is_number(a) ? 0 : exo_flow_fail(flow, EXO_GRAFT_E_LEAK, in->dst);
	if (b->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, in->src);
	if (is_number(a) && is_number(b))
		return 0;
	same = a->kind == b->kind || (is_data(a) && b->kind == EXO_KIND_END) ||
	       (a->kind == EXO_KIND_END && is_data(b));
	if (!wide || !same || !(is_order(op) || op == EXO_JEQ || op == EXO_JNE))
		return exo_flow_fail(flow, EXO_GRAFT_E_LEAK, is_number(a) ? in->src : in->dst);
	if (is_order(op) && (check_near(flow, in->dst) || check_near(flow, in->src)))
		return -EINVAL;
	return 0;
}

/* data_end less @of is at least @avail: so it is for all that have its base. */
static void raise_avail(struct exo_flow *flow, u32 id, s32 delta, u32 loc, s64 avail)
{
	struct exo_state *st = flow->st;
	struct exo_range in = { (u64)-EXO_FAR, 0 };
	s64 mine;
	u32 i;

	for (i = 0; i < exo_locs(flow->prog); i++) {
		struct exo_val *v = &st->v[i];

		if (!is_data(v) || is_far(v) || !(i == loc || (id != 0 && v->id == id)))
			continue;
		mine = avail - (i == loc ? 0 : (s64)v->delta - delta);
		if (mine < -EXO_FAR || mine > EXO_FAR)
			continue;
		if (mine > v->avail)
			v->avail = (s32)mine;
		in.hi = (u64)((s64)flow->prog->hook->data_cap - v->avail);
		if (!exo_range_meet(&v->arch, in))
			st->dead = true;
	}
}

/* The value at @loc is in @r: so are, shifted, those that have its base. */
static void narrow(struct exo_flow *flow, u32 loc, struct exo_range r)
{
	struct exo_state *st = flow->st;
	struct exo_val of = st->v[loc];
	struct exo_range mine;
	s64 lo, hi;
	u32 i;

	if (of.kind == EXO_KIND_LEFT) {
		st->v[loc].arch = r;
		if (exo_range_signed(r, EXO_FAR, &lo, &hi))
			raise_avail(flow, of.id, of.delta, EXO_LOCS, lo);
		return;
	}
	for (i = 0; i < exo_locs(flow->prog); i++) {
		struct exo_val *v = &st->v[i];

		if (i != loc && (of.id == 0 || v->id != of.id || v->kind != of.kind))
			continue;
		mine = r;
		if (v->delta != of.delta)
			mine = exo_range_alu(EXO_ADD, true, r,
					     exo_range_const((u64)((s64)v->delta - of.delta)));
		if (!exo_range_meet(&v->arch, mine))
			st->dead = true;
		else
			exo_range_align(&v->arch, v->zeros);
	}
}

/* A pointer to data is compared with data_end: @op holds, with the pointer on the left. */
static void compare_with_end(struct exo_flow *flow, u32 op, u32 ptr, u32 end)
{
	const struct exo_val *p = &flow->st->v[ptr];
	s64 over, hi;

	if (!exo_range_signed(flow->st->v[end].arch, EXO_NEAR, &over, &hi) || over != hi || is_far(p))
		return;
	if (op == EXO_JLT || (op == EXO_JNE && p->avail == -over))
		raise_avail(flow, p->id, p->delta, ptr, -over + 1);
	else if (op == EXO_JLE || op == EXO_JEQ)
		raise_avail(flow, p->id, p->delta, ptr, -over);
}

/**
 * exo_flow_branch() - what the outcome of a conditional jump says
 * @flow: where it is; exo_flow_compare() has accepted it
 * @taken: the jump is taken
 *
 * Speculative ranges stay (INV-GRAFT-24). If the outcome is impossible the state is dead.
 */
void exo_flow_branch(struct exo_flow *flow, bool taken)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	struct exo_state *st = flow->st;
	bool wide = EXO_CLASS(in->code) == EXO_JMP;
	u32 op = taken ? EXO_OP(in->code) : exo_jmp_not(EXO_OP(in->code));
	bool reg = EXO_SRC(in->code) == EXO_X;
	struct exo_range a = st->v[in->dst].arch, b;

	if (st->dead)
		return;
	if (reg && st->v[in->src].kind == EXO_KIND_END && is_data(&st->v[in->dst])) {
		compare_with_end(flow, op, in->dst, in->src);
		return;
	}
	if (reg && st->v[in->dst].kind == EXO_KIND_END && is_data(&st->v[in->src])) {
		compare_with_end(flow, exo_jmp_swap(op), in->src, in->dst);
		return;
	}
	/* Offsets may lie behind the region's start: their order is that of signed numbers. */
	if (!is_number(&st->v[in->dst]) && is_order(op))
		op = op == EXO_JLT ? EXO_JSLT : op == EXO_JLE ? EXO_JSLE : op == EXO_JGT ? EXO_JSGT : EXO_JSGE;
	b = reg ? st->v[in->src].arch : exo_range_const(wide ? (u64)(s64)in->imm : (u32)in->imm);
	if (!exo_range_refine(op, wide, &a, &b)) {
		st->dead = true;
		return;
	}
	narrow(flow, in->dst, a);
	if (reg)
		narrow(flow, in->src, b);
}
