// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "graft_trace.h"
#include "range_model.h"
#include "unit.h"

struct run {
	struct world *world;
	struct trace *trace;
	const u8 *cert;
	const u8 *end;
	struct exo_flow flow;
	struct exo_state state;
	struct exo_graft_error error;
	u64 reg[EXO_REGS];
	u64 measure[EXO_GRAFT_MAX_INSNS];	/* of each head, when it was passed last */
	u32 record[EXO_GRAFT_MAX_INSNS];	/* offset, 0: none */
	bool written[EXO_GRAFT_MAX_STACK];
	u32 slot;
};

__attribute__((format(printf, 2, 3)))
static bool wrong(struct run *run, const char *format, ...)
{
	va_list args;
	int n = snprintf(run->trace->what, sizeof(run->trace->what), "slot %u: ", run->slot);

	va_start(args, format);
	vsnprintf(run->trace->what + n, sizeof(run->trace->what) - (size_t)n, format, args);
	va_end(args);
	return false;
}

static u64 stack_word(struct run *run, u32 loc)
{
	u64 x;

	memcpy(&x, world_region(run->world, EXO_REGION_STACK) + 8 * (loc - EXO_REGS), 8);
	return x;
}

static u64 value_at(struct run *run, u32 loc)
{
	return loc < EXO_REGS ? run->reg[loc] : stack_word(run, loc);
}

static u64 data_end(struct run *run)
{
	return run->world->layout.start[EXO_REGION_DATA] + run->world->data_size;
}

/* What @v's range is of. */
static u64 measured(struct run *run, const struct exo_val *v, u64 x)
{
	if (EXO_IS_PTR(v->kind))
		return x - run->world->layout.start[EXO_REGION(v->kind)];
	return v->kind == EXO_KIND_END ? x - data_end(run) : x;
}

static u64 base_of(struct run *run, const struct exo_val *v, u64 x)
{
	return (v->kind == EXO_KIND_LEFT ? data_end(run) - x : x) - (u64)(s64)v->delta;
}

static bool value_holds(struct run *run, u32 loc)
{
	const struct exo_val *v = &run->state.v[loc];
	u64 x = value_at(run, loc), r = measured(run, v, x), d;
	u32 i;

	for (i = 0; i < 8 && loc >= EXO_REGS; i++)
		if ((v->init & 1U << i) && !run->written[8 * (loc - EXO_REGS) + i])
			return wrong(run, "byte %u of loc %u was never written", i, loc);
	if (v->kind == EXO_KIND_NONE)
		return true;
	if (!exo_range_has(v->arch, r))
		return wrong(run, "loc %u is %" PRIx64 ", not in %" PRIx64 "..%" PRIx64, loc, r, (u64)v->arch.lo,
			     (u64)v->arch.hi);
	if (r & (((u64)1 << v->zeros) - 1))
		return wrong(run, "loc %u is %" PRIx64 ": not %u zeros", loc, r, v->zeros);
	if (v->avail != EXO_NO_AVAIL && (s64)(data_end(run) - x) < v->avail)
		return wrong(run, "loc %u: not %d bytes before data_end", loc, v->avail);
	if (v->tag) {
		d = x - run->measure[v->tag - 1] - (u64)(s64)v->dlo;
		if (v->half)
			d &= EXO_HALF;
		if (d > (u64)((s64)v->dhi - v->dlo))
			return wrong(run, "loc %u has not moved by %d..%d", loc, v->dlo, v->dhi);
	}
	return true;
}

static bool bases_hold(struct run *run)
{
	u32 locs = exo_locs(run->flow.prog), i, j;

	for (i = 0; i < locs; i++) {
		const struct exo_val *v = &run->state.v[i];

		if (v->id == 0 || v->kind == EXO_KIND_NONE || v->kind == EXO_KIND_END)
			continue;
		for (j = 0; j < i; j++) {
			const struct exo_val *w = &run->state.v[j];

			if (w->id == v->id && w->kind != EXO_KIND_NONE && w->kind != EXO_KIND_END &&
			    base_of(run, v, value_at(run, i)) != base_of(run, w, value_at(run, j)))
				return wrong(run, "locs %u and %u have not the same base", i, j);
		}
	}
	return true;
}

static bool state_holds(struct run *run)
{
	u32 loc;

	if (run->state.dead)
		return wrong(run, "a run comes to a dead place");
	for (loc = 0; loc < exo_locs(run->flow.prog); loc++)
		if (!value_holds(run, loc))
			return false;
	return bases_hold(run);
}

static void load_record(struct run *run, u32 slot)
{
	struct exo_record rec;
	struct exo_val v;
	u32 measure;

	exo_record_open(&rec, run->cert + run->record[slot], run->end);
	exo_state_entry(&run->flow);
	exo_val_set(&run->state.v[1], EXO_KIND_NONE, exo_range_to(EXO_WORD), exo_range_to(EXO_WORD));
	run->state.dead = rec.dead;
	measure = rec.measure;
	while (exo_record_next(&rec, run->flow.prog, &v))
		run->state.v[rec.loc] = v;
	if (measure == EXO_RECORD_NO_MEASURE)
		return;
	run->measure[slot] = value_at(run, measure);
	run->state.v[measure].tag = (u16)(slot + 1);
	run->state.v[measure].dlo = 0;
	run->state.v[measure].dhi = 0;
	run->state.v[measure].half = 0;
}

static void index_records(struct run *run)
{
	struct exo_record rec = { .at = run->cert + EXO_CERT_HEADER, .end = run->end };
	struct exo_val v;

	while (rec.at < run->end) {
		const u8 *at = rec.at;

		exo_record_open(&rec, at, run->end);
		run->record[rec.slot] = (u32)(at - run->cert);
		while (exo_record_next(&rec, run->flow.prog, &v))
			;
	}
}

/* Memory ------------------------------------------------------------------------------------------- */

static bool inside(struct run *run, u32 reg, s64 off, u32 size, bool write, u8 **at)
{
	const struct exo_graft_prog *prog = run->flow.prog;
	const struct exo_hook *hook = prog->hook;
	u32 kind = run->state.v[reg].kind;
	u64 o, extent;

	if (!EXO_IS_PTR(kind))
		return wrong(run, "r%u is no pointer", reg);
	o = run->reg[reg] + (u64)off - run->world->layout.start[EXO_REGION(kind)];
	switch (EXO_REGION(kind)) {
	case EXO_REGION_CONST: extent = write ? 0 : prog->const_size; break;
	case EXO_REGION_CTX: extent = hook->ctx_size; break;
	case EXO_REGION_STACK: extent = prog->stack; break;
	case EXO_REGION_STATE: extent = prog->state_size; break;
	default: extent = write && !(hook->flags & EXO_HOOK_DATA_WRITABLE) ? 0 : run->world->data_size;
	}
	if (o > extent || extent - o < size ||
	    (write && EXO_REGION(kind) == EXO_REGION_CTX && o < hook->ctx_write))
		return wrong(run, "access of %u bytes at %" PRIx64 " of region %u, which has %" PRIu64, size, o,
			     EXO_REGION(kind), extent);
	*at = world_region(run->world, EXO_REGION(kind)) + o;
	return true;
}

static bool run_atomic(struct run *run, const struct exo_insn *in, u8 *at, u32 size)
{
	u64 old = 0, r0, new, value = run->reg[in->src], mask = size == 8 ? EXO_WORD : EXO_HALF;

	if ((run->reg[in->dst] + (u64)(s64)in->off) & (size - 1))
		return wrong(run, "atomic not aligned");
	memcpy(&old, at, size);
	r0 = run->reg[0] & mask;
	new = in->imm == EXO_XCHG ? value : in->imm == EXO_CMPXCHG ? (old == r0 ? value : old) :
	      model_alu((u32)in->imm & ~EXO_FETCH, true, old, value);
	memcpy(at, &new, size);
	if (in->imm == EXO_CMPXCHG)
		run->reg[0] = old;
	else if (in->imm & EXO_FETCH)
		run->reg[in->src] = old;
	return true;
}

static bool run_memory(struct run *run, const struct exo_insn *in)
{
	bool load = EXO_CLASS(in->code) == EXO_LDX;
	u32 size = exo_insn_size(in->code);
	u64 value;
	u8 *at;

	if (!inside(run, load ? in->src : in->dst, in->off, size, !load, &at))
		return false;
	if (!load && run->state.v[in->dst].kind == EXO_PTR(EXO_REGION_STACK))
		memset(run->written + (at - world_region(run->world, EXO_REGION_STACK)), 1, size);
	if (EXO_MODE(in->code) == EXO_ATOMIC)
		return run_atomic(run, in, at, size);
	if (load) {
		value = 0;
		memcpy(&value, at, size);
		run->reg[in->dst] = value;
	} else {
		value = EXO_CLASS(in->code) == EXO_ST ? (u64)(s64)in->imm : run->reg[in->src];
		memcpy(at, &value, size);
	}
	return true;
}

static bool run_call(struct run *run, const struct exo_insn *in)
{
	const struct exo_helper *helper = &exo_helpers[in->imm];
	u8 *at;
	u32 i;

	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		const struct exo_helper_arg *arg = &helper->args[i];

		if (arg->type == EXO_ARG_SCALAR && (run->reg[i + 1] < arg->min || run->reg[i + 1] > arg->max))
			return wrong(run, "argument %u is %" PRIx64, i, run->reg[i + 1]);
		if (arg->type > EXO_ARG_SCALAR &&
		    (!inside(run, i + 1, 0, (u32)arg->min, arg->type != EXO_ARG_READ, &at) ||
		     (arg->type == EXO_ARG_STATE && run->reg[i + 1] & 7)))
			return wrong(run, "argument %u", i);
	}
	run->trace->charged += helper->cost;
	run->reg[0] = helper->ret_max == ~0ULL ? unit_random() : unit_below(helper->ret_max + 1);
	for (i = 1; i <= EXO_R5; i++)
		run->reg[i] = unit_random();
	return true;
}

static u64 byte_order(u64 x, const struct exo_insn *in)
{
	bool big = EXO_SRC(in->code) == EXO_X;

	if (in->imm == 16)
		return big ? __builtin_bswap16((u16)x) : (u16)x;
	if (in->imm == 32)
		return big ? __builtin_bswap32((u32)x) : (u32)x;
	return big ? __builtin_bswap64(x) : x;
}

static u64 load_imm(struct run *run, const struct exo_insn *in)
{
	if (in->src == EXO_PSEUDO_CONST)
		return run->world->layout.start[EXO_REGION_CONST] + (u32)in->imm;
	if (in->src == EXO_PSEUDO_STATE)
		return run->world->layout.start[EXO_REGION_STATE] + (u32)in->imm;
	return (u32)in->imm | (u64)(u32)in[1].imm << 32;
}

/* One instruction that doesn't jump. */
static bool run_insn(struct run *run, const struct exo_insn *in)
{
	u64 b = EXO_SRC(in->code) == EXO_X ? run->reg[in->src] : (u64)(s64)in->imm;
	u32 class = EXO_CLASS(in->code);

	if (exo_insn_is_jump(in, EXO_CALL))
		return run_call(run, in);
	if (class == EXO_LD)
		run->reg[in->dst] = load_imm(run, in);
	else if (class == EXO_LDX || class == EXO_ST || class == EXO_STX)
		return run_memory(run, in);
	else if (class != EXO_JMP && EXO_OP(in->code) == EXO_END)
		run->reg[in->dst] = byte_order(run->reg[in->dst], in);
	else if (class != EXO_JMP)
		run->reg[in->dst] = model_alu(EXO_OP(in->code), class == EXO_ALU64, run->reg[in->dst], b);
	return true;
}

/* Follows @run->slot; false at the end, or if something was wrong. */
static bool step(struct run *run)
{
	const struct exo_graft_prog *prog = run->flow.prog;
	const struct exo_insn *in = &prog->insns[run->slot];
	u32 to = run->slot + 1 + (u32)(s32)in->off;
	bool taken = exo_insn_is_jump(in, EXO_JA);

	run->flow.slot = run->slot;
	if (exo_insn_is_branch(in)) {
		u64 b = EXO_SRC(in->code) == EXO_X ? run->reg[in->src] : (u64)(s64)in->imm;

		if (exo_flow_compare(&run->flow))
			return wrong(run, "the checker's functions refuse a comparison");
		taken = model_jump(EXO_OP(in->code), EXO_CLASS(in->code) == EXO_JMP, run->reg[in->dst], b);
		exo_flow_branch(&run->flow, taken);
	} else if (!taken) {
		if (!run_insn(run, in))
			return false;
		if (exo_flow_insn(&run->flow))
			return wrong(run, "the checker's functions refuse it: %u", run->error.code);
		if (exo_insn_is_jump(in, EXO_EXIT)) {
			run->trace->ended = true;
			run->trace->result = (u32)run->reg[0];
			return false;
		}
	}
	if (taken && to <= run->slot)
		run->trace->charged += run->slot - to + 1;
	run->slot = taken ? to : run->slot + 1 + (EXO_CLASS(in->code) == EXO_LD);
	if (prog->slots[run->slot] & EXO_SLOT_TARGET) {
		if (!state_holds(run))
			return false;
		load_record(run, run->slot);
	}
	return state_holds(run);
}

bool trace_run(struct world *world, const void *cert, size_t size, u64 limit, struct trace *trace)
{
	static struct run run;
	u32 i;

	memset(&run, 0, sizeof(run));
	memset(trace, 0, sizeof(*trace));
	run.world = world;
	run.trace = trace;
	run.cert = cert;
	run.end = run.cert + size;
	run.flow = (struct exo_flow){ .prog = &world->prog, .st = &run.state, .err = &run.error };
	if (size)
		index_records(&run);
	for (i = 0; i < EXO_REGS; i++)
		run.reg[i] = unit_random();
	run.reg[1] = world->layout.start[EXO_REGION_CTX];
	run.reg[10] = world->layout.start[EXO_REGION_STACK] + world->prog.stack;
	exo_state_entry(&run.flow);
	if (world->prog.slots[0] & EXO_SLOT_TARGET)
		load_record(&run, 0);
	trace->charged = world->prog.len;
	while (trace->steps < limit && step(&run))
		trace->steps++;
	return !trace->what[0];
}
