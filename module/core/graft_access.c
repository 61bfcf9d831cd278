// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * What accesses to memory and helper calls make of a graft's state.
 *
 * An access is right if in every run all its bytes lie in the region of its pointer, and behind a barrier
 * unless they do so in every misprediction, too (INV-GRAFT-21, INV-GRAFT-24). What the processor may read
 * of data is all of its capacity; a run only what is before data_end.
 */
#include "core/graft_state.h"

#define NO_SLOT (~0U)

/* Where an access goes. */
struct access {
	u32 region;
	struct exo_range at;	/* offset of its first byte */
	u32 size;
};

static u64 extent_of(const struct exo_graft_prog *prog, u32 region)
{
	switch (region) {
	case EXO_REGION_CONST: return prog->const_size;
	case EXO_REGION_CTX: return prog->hook->ctx_size;
	case EXO_REGION_STACK: return prog->stack;
	case EXO_REGION_STATE: return prog->state_size;
	default: return prog->hook->data_cap;
	}
}

static int out_of_bounds(struct exo_flow *flow, u32 code, u32 reg, s32 off, u32 size, u64 bound)
{
	const struct exo_val *v = &flow->st->v[reg];

	if (flow->err->code == EXO_GRAFT_FINE) {
		flow->err->lo = (s64)(v->arch.lo + (u64)(s64)off);
		flow->err->hi = (s64)(v->arch.hi + (u64)(s64)off);
		flow->err->bound = bound;
		flow->err->size = size;
		flow->err->region = EXO_REGION(v->kind);
	}
	return exo_flow_fail(flow, code, reg);
}

static bool is_single(struct exo_range a, struct exo_range b)
{
	return exo_range_is_const(a) && a.lo == b.lo && a.hi == b.hi;
}

/*
 * Checks @size bytes at @reg + @off. In context and stack what is known of a byte depends on which it
 * is: no misprediction may reach another one.
 */
static int check_access(struct exo_flow *flow, u32 reg, s32 off, u32 size, struct access *to)
{
	const struct exo_val *v = &flow->st->v[reg];
	bool typed, alike;
	u64 extent;

	if (v->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, reg);
	if (!EXO_IS_PTR(v->kind))
		return exo_flow_fail(flow, EXO_GRAFT_E_KIND, reg);
	to->region = EXO_REGION(v->kind);
	to->size = size;
	extent = extent_of(flow->prog, to->region);
	typed = to->region == EXO_REGION_CTX || to->region == EXO_REGION_STACK;
	alike = exo_range_is_const(v->spec) && (flow->st->dead || is_single(v->spec, v->arch));
	if (!exo_range_fits(v->spec, (u64)(s64)off, size, extent) || (typed && !alike))
		exo_flow_barrier(flow);
	to->at = exo_range_alu(EXO_ADD, true, flow->st->dead ? v->spec : v->arch,
			       exo_range_const((u64)(s64)off));
	if (flow->st->dead)
		return 0;
	if (!exo_range_fits(v->arch, (u64)(s64)off, size, extent))
		return out_of_bounds(flow, EXO_GRAFT_E_BOUNDS, reg, off, size, extent);
	if (to->region == EXO_REGION_DATA && v->avail < off + (s64)size)
		return out_of_bounds(flow, EXO_GRAFT_E_BOUNDS, reg, off, size,
				     (u64)(v->avail > 0 ? v->avail : 0));
	return 0;
}

/* After this error the prover goes on as if the access had been right. */
static bool is_fatal(const struct exo_flow *flow, int ret)
{
	return ret && flow->err->code != EXO_GRAFT_E_BOUNDS && flow->err->code != EXO_GRAFT_E_ALIGN &&
	       flow->err->code != EXO_GRAFT_E_ARG;
}

static u64 size_max(u32 size)
{
	return size == 8 ? EXO_WORD : (1ULL << 8 * size) - 1;
}

/* Stack -------------------------------------------------------------------------------------------- */

/* The one whole slot that is accessed, or NO_SLOT. */
static u32 whole_slot(const struct access *to)
{
	return exo_range_is_const(to->at) && to->size == 8 && to->at.lo % 8 == 0 ?
	       EXO_REGS + (u32)(to->at.lo / 8) : NO_SLOT;
}

/* Which bytes of the slot at @loc does the access touch, if not more than its range? Bit n: byte n. */
static u32 bytes_of(const struct access *to, u32 loc)
{
	u64 from = to->at.lo, end = to->at.hi + to->size, base = (u64)(loc - EXO_REGS) * 8;
	u32 bytes = 0, i;

	for (i = 0; i < 8; i++)
		if (base + i >= from && base + i < end)
			bytes |= 1U << i;
	return bytes;
}

/* An impossible place: the access is behind a barrier that no run reaches, or has been refused. */
static bool is_nowhere(const struct exo_flow *flow, const struct access *to)
{
	if (flow->st->dead && !exo_range_is_const(to->at))
		return true;
	return !exo_range_fits(to->at, 0, to->size, extent_of(flow->prog, to->region));
}

/* Are all bytes that may be read numbers? */
static int check_stack_read(struct exo_flow *flow, const struct access *to, u32 reg)
{
	const struct exo_val *v;
	u32 loc, bytes;

	for (loc = EXO_REGS; loc < exo_locs(flow->prog); loc++) {
		v = &flow->st->v[loc];
		bytes = bytes_of(to, loc);
		if (bytes & ~v->init)
			return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, loc);
		if (bytes && v->kind != EXO_KIND_NONE && v->kind != EXO_KIND_SCALAR &&
		    v->kind != EXO_KIND_LEFT)
			return exo_flow_fail(flow, EXO_GRAFT_E_LEAK, reg);
	}
	return 0;
}

/* Numbers are written there. */
static void write_stack(struct exo_flow *flow, const struct access *to)
{
	bool sure = exo_range_is_const(to->at);
	u32 loc, bytes, init;

	for (loc = EXO_REGS; loc < exo_locs(flow->prog); loc++) {
		struct exo_val *v = &flow->st->v[loc];

		bytes = bytes_of(to, loc);
		if (bytes == 0)
			continue;
		/* what is left of a pointer must not be read */
		init = v->kind == EXO_KIND_NONE || v->kind == EXO_KIND_SCALAR ||
		       v->kind == EXO_KIND_LEFT ? v->init : 0;
		exo_val_scalar(v, EXO_WORD);
		v->kind = EXO_KIND_NONE;
		v->init = (u8)(init | (sure ? bytes : 0));
	}
}

static int load_stack(struct exo_flow *flow, const struct access *to, u32 dst, u32 reg)
{
	u32 loc = whole_slot(to);
	int ret;

	if (loc != NO_SLOT && flow->st->v[loc].kind != EXO_KIND_NONE) {
		flow->st->v[dst] = flow->st->v[loc];
		flow->st->v[dst].spec = exo_range_to(EXO_WORD);
		flow->st->v[dst].zeros = 0;
		flow->st->v[dst].init = 0;
		return 0;
	}
	ret = check_stack_read(flow, to, reg);
	if (!ret)
		exo_val_scalar(&flow->st->v[dst], size_max(to->size));
	return ret;
}

/* Context ------------------------------------------------------------------------------------------ */

static const struct exo_hook_field *find_field(struct exo_flow *flow, const struct access *to, u32 reg)
{
	const struct exo_hook *hook = flow->prog->hook;
	u32 i;

	for (i = 0; i < hook->nr_fields && exo_range_is_const(to->at); i++) {
		const struct exo_hook_field *f = &hook->fields[i];

		if (to->at.lo < f->off || to->at.lo + to->size > (u64)f->off + f->size)
			continue;
		if (f->type == EXO_FIELD_SCALAR || to->size == 8)
			return f;
	}
	flow->err->lo = (s64)to->at.lo;
	flow->err->hi = (s64)to->at.hi;
	flow->err->size = to->size;
	flow->err->region = EXO_REGION_CTX;
	exo_flow_fail(flow, EXO_GRAFT_E_FIELD, reg);
	return NULL;
}

static int load_field(struct exo_flow *flow, const struct access *to, u32 dst, u32 reg)
{
	const struct exo_hook_field *f = find_field(flow, to, reg);
	struct exo_range zero = exo_range_const(0);
	struct exo_val *v = &flow->st->v[dst];
	u64 max = size_max(to->size);
	s64 avail = 0;
	u32 i;

	if (!f)
		return -EINVAL;
	if (f->type == EXO_FIELD_SCALAR) {
		if (to->at.lo == f->off && f->off < flow->prog->hook->ctx_write && f->max < max)
			max = f->max;
		exo_val_scalar(v, max);
		return 0;
	}
	if (f->type == EXO_FIELD_DATA_END) {
		exo_val_set(v, EXO_KIND_END, zero, zero);
		return 0;
	}
	/* What has been found out of another copy holds for this one. */
	for (i = 0; i < exo_locs(flow->prog); i++) {
		const struct exo_val *w = &flow->st->v[i];

		if (w->kind == EXO_PTR(EXO_REGION_DATA) && w->id == EXO_ID_DATA &&
		    w->avail != EXO_NO_AVAIL && w->avail + w->delta > avail)
			avail = w->avail + w->delta;
	}
	exo_val_set(v, EXO_PTR(EXO_REGION_DATA), zero, zero);
	v->zeros = 63;
	v->id = EXO_ID_DATA;
	v->avail = (s32)(avail < EXO_FAR ? avail : EXO_FAR);
	return 0;
}

/* Loads and stores --------------------------------------------------------------------------------- */

/**
 * exo_flow_load() - a load
 * @flow: where it is
 *
 * Return: 0, or -EINVAL and @flow->err; as exo_flow_insn().
 */
int exo_flow_load(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	struct access to;
	int ret = check_access(flow, in->src, in->off, exo_insn_size(in->code), &to);

	if (is_fatal(flow, ret))
		return ret;
	if (is_nowhere(flow, &to) || to.region == EXO_REGION_CONST || to.region == EXO_REGION_STATE ||
	    to.region == EXO_REGION_DATA)
		exo_val_scalar(&flow->st->v[in->dst], size_max(to.size));
	else if (to.region == EXO_REGION_CTX)
		ret = load_field(flow, &to, in->dst, in->src);
	else
		ret = load_stack(flow, &to, in->dst, in->src);
	return ret;
}

/* May numbers be written there? */
static int check_write(struct exo_flow *flow, const struct access *to, u32 reg)
{
	const struct exo_hook *hook = flow->prog->hook;
	const struct exo_hook_field *f;

	switch (to->region) {
	case EXO_REGION_CONST:
		return out_of_bounds(flow, EXO_GRAFT_E_WRITE, reg, 0, to->size, 0);
	case EXO_REGION_DATA:
		if (!(hook->flags & EXO_HOOK_DATA_WRITABLE))
			return out_of_bounds(flow, EXO_GRAFT_E_WRITE, reg, 0, to->size, 0);
		return 0;
	case EXO_REGION_CTX:
		f = find_field(flow, to, reg);
		if (!f)
			return -EINVAL;
		if (f->type != EXO_FIELD_SCALAR || to->at.lo < hook->ctx_write)
			return out_of_bounds(flow, EXO_GRAFT_E_WRITE, reg, 0, to->size, hook->ctx_write);
		return 0;
	default:
		return 0;
	}
}

/* Numbers only, but whole slots of the stack take anything (INV-GRAFT-23). */
static int check_stored(struct exo_flow *flow, u32 reg)
{
	const struct exo_val *v = &flow->st->v[reg];

	if (v->kind == EXO_KIND_NONE)
		return exo_flow_fail(flow, EXO_GRAFT_E_UNINIT, reg);
	if (v->kind != EXO_KIND_SCALAR && v->kind != EXO_KIND_LEFT)
		return exo_flow_fail(flow, EXO_GRAFT_E_LEAK, reg);
	return 0;
}

/**
 * exo_flow_store() - a store of a register or an immediate
 * @flow: where it is
 *
 * Return: 0, or -EINVAL and @flow->err; as exo_flow_insn().
 */
int exo_flow_store(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	bool reg = EXO_CLASS(in->code) == EXO_STX;
	struct exo_graft_error broken;
	struct access to;
	u32 loc;
	int ret, bad;

	bad = check_access(flow, in->dst, in->off, exo_insn_size(in->code), &to);
	if (is_fatal(flow, bad) || is_nowhere(flow, &to))
		return bad;
	/*
	 * A load may run ahead: it must not see what the kernel's stack had here before, nor take a pointer
	 * for a number or the reverse.
	 */
	broken = *flow->err;
	flow->behind = to.region == EXO_REGION_STACK &&
		       (check_stack_read(flow, &to, in->dst) || (reg && check_stored(flow, in->src)));
	*flow->err = broken;
	loc = to.region == EXO_REGION_STACK ? whole_slot(&to) : NO_SLOT;
	if (loc != NO_SLOT && (!reg || flow->st->v[in->src].kind != EXO_KIND_NONE)) {
		if (reg) {
			exo_val_name(flow, &flow->st->v[in->src]);
			flow->st->v[loc] = flow->st->v[in->src];
		} else {
			exo_val_const(&flow->st->v[loc], (u64)(s64)in->imm);
		}
		flow->st->v[loc].init = 0xff;
		return bad;
	}
	ret = reg && check_stored(flow, in->src) ? -EINVAL : check_write(flow, &to, in->dst);
	if (!ret && to.region == EXO_REGION_STACK)
		write_stack(flow, &to);
	return ret ? ret : bad;
}

static bool is_aligned(const struct exo_val *p, const struct access *to, s32 off)
{
	if (exo_range_is_const(to->at))
		return to->at.lo % to->size == 0;
	return p->zeros >= exo_zeros_of(to->size) && off % (s32)to->size == 0;
}

/**
 * exo_flow_atomic() - an atomic read, modify, write
 * @flow: where it is
 *
 * Return: 0, or -EINVAL and @flow->err; as exo_flow_insn().
 */
int exo_flow_atomic(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	const struct exo_val *p = &flow->st->v[in->dst];
	u32 size = exo_insn_size(in->code);
	struct access to;
	int ret, bad;

	bad = check_access(flow, in->dst, in->off, size, &to);
	if (is_fatal(flow, bad))
		return bad;
	if (!bad && !flow->st->dead && !is_aligned(p, &to, in->off))
		bad = out_of_bounds(flow, EXO_GRAFT_E_ALIGN, in->dst, in->off, size, size);
	ret = check_stored(flow, in->src);
	ret = ret || in->imm != EXO_CMPXCHG ? ret : check_stored(flow, EXO_R0);
	if (!ret && !is_nowhere(flow, &to))
		ret = check_write(flow, &to, in->dst);
	if (!ret && !is_nowhere(flow, &to) && to.region == EXO_REGION_STACK) {
		ret = check_stack_read(flow, &to, in->dst);
		if (!ret)
			write_stack(flow, &to);
	}
	if (ret)
		return ret;
	if (in->imm & EXO_FETCH)
		exo_val_scalar(&flow->st->v[in->imm == EXO_CMPXCHG ? EXO_R0 : in->src], size_max(size));
	return bad;
}

/* Helpers ------------------------------------------------------------------------------------------ */

static int check_number_arg(struct exo_flow *flow, const struct exo_helper_arg *arg, u32 reg)
{
	struct exo_range may = { arg->min, arg->max };
	const struct exo_val *v = &flow->st->v[reg];

	if (check_stored(flow, reg))
		return -EINVAL;
	if (!exo_range_within(v->spec, may))
		exo_flow_barrier(flow);
	if (flow->st->dead || exo_range_within(v->arch, may))
		return 0;
	return out_of_bounds(flow, EXO_GRAFT_E_ARG, reg, 0, 8, arg->max);
}

static int check_pointer_arg(struct exo_flow *flow, const struct exo_helper_arg *arg, u32 reg)
{
	const struct exo_val *v = &flow->st->v[reg];
	struct access to;
	int ret, bad;

	if (arg->type == EXO_ARG_STATE && v->kind != EXO_PTR(EXO_REGION_STATE))
		return exo_flow_fail(flow, v->kind == EXO_KIND_NONE ? EXO_GRAFT_E_UNINIT :
				     EXO_GRAFT_E_KIND, reg);
	bad = check_access(flow, reg, 0, (u32)arg->min, &to);
	if (is_fatal(flow, bad))
		return bad;
	/* A field at a time isn't worth a prototype. */
	if (to.region == EXO_REGION_CTX)
		return exo_flow_fail(flow, EXO_GRAFT_E_KIND, reg);
	if (arg->type == EXO_ARG_STATE && !bad && !flow->st->dead && !is_aligned(v, &to, 0))
		bad = out_of_bounds(flow, EXO_GRAFT_E_ALIGN, reg, 0, 8, 8);
	if (is_nowhere(flow, &to))
		return bad;
	ret = 0;
	if (arg->type == EXO_ARG_READ && to.region == EXO_REGION_STACK)
		ret = check_stack_read(flow, &to, reg);
	if (arg->type == EXO_ARG_WRITE)
		ret = check_write(flow, &to, reg);
	if (!ret && arg->type == EXO_ARG_WRITE && to.region == EXO_REGION_STACK)
		write_stack(flow, &to);
	return ret ? ret : bad;
}

/**
 * exo_flow_call() - the call of a helper
 * @flow: where it is; the decoder has found the helper in the hook's list
 *
 * Return: 0, or -EINVAL and @flow->err; as exo_flow_insn().
 */
int exo_flow_call(struct exo_flow *flow)
{
	const struct exo_insn *in = &flow->prog->insns[flow->slot];
	const struct exo_helper *helper = &exo_helpers[(u32)in->imm % EXO_GRAFT_MAX_HELPERS];
	struct exo_range any = exo_range_to(EXO_WORD);
	int ret, bad = 0;
	u32 i;

	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		const struct exo_helper_arg *arg = &helper->args[i];

		if (arg->type == EXO_ARG_NONE)
			continue;
		ret = arg->type == EXO_ARG_SCALAR ? check_number_arg(flow, arg, EXO_R1 + i) :
		      check_pointer_arg(flow, arg, EXO_R1 + i);
		if (is_fatal(flow, ret))
			return ret;
		bad = bad ? bad : ret;
	}
	exo_val_set(&flow->st->v[0], EXO_KIND_SCALAR, exo_range_to(helper->ret_max), any);
	for (i = EXO_R1; i <= EXO_R5; i++)
		exo_val_set(&flow->st->v[i], EXO_KIND_NONE, any, any);
	return bad;
}
