// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * What a graft means: the reference that the lowered code is compared with, and what runs where the
 * kernel's JIT won't. Simple, and safe against speculation: the program counter and every address
 * are clamped by arithmetic, so that a mispredicted branch stays inside, too.
 */
#include "core/graft.h"
#include "core/graft_insn.h"

struct state {
	const struct exo_graft_prog *prog;
	const struct exo_graft_layout *layout;
	struct exo_graft_run *run;
	u64 reg[16];		/* the field has 4 bits */
	s64 since;		/* charged for jumps since the last pause */
};

/* Keeps the compiler from knowing a value, and so from leaving a clamp out. */
static u64 hide(u64 value)
{
	__asm__ volatile("" : "+r" (value));
	return value;
}

/* @index if it is less than @size, else 0, without a branch. @size is less than 2^63. */
static u64 clamp(u64 index, u64 size)
{
	s64 below = (s64)(hide(index) - size) & ~(s64)index;

	return index & (u64)(below >> 63);
}

/* Memory that its owner may write at the same time: each access is one, whatever its alignment. */
#define ACCESSORS(_bits) \
	struct any##_bits { \
		u##_bits value; \
	} __attribute__((packed, may_alias)); \
	static u64 load##_bits(const void *at) \
	{ \
		return ((const volatile struct any##_bits *)at)->value; \
	} \
	static void store##_bits(void *at, u64 value) \
	{ \
		((volatile struct any##_bits *)at)->value = (u##_bits)value; \
	}
ACCESSORS(8)
ACCESSORS(16)
ACCESSORS(32)
ACCESSORS(64)

/* The real address of @size bytes at @address, or NULL if they may not be accessed (INV-GRAFT-12). */
static void *translate(const struct state *s, u64 address, u64 size, bool write)
{
	u64 lo = write ? s->layout->write_lo : s->layout->read_lo;
	u64 hi = write ? s->run->write_hi : s->run->read_hi;

	if (address < lo || address > hi || hi - address < size)
		return NULL;
	return (void *)(s->run->base + (hide(address) & s->layout->mask));
}

static u32 stop(struct exo_graft_run *run, u32 status)
{
	run->status = status;
	return 0;
}

/* False if the budget is used up. */
static bool charge(struct exo_graft_run *run, s64 cost)
{
	volatile s64 *budget = &run->budget;
	s64 left = *budget - cost;

	*budget = left;
	if (left >= 0)
		return true;
	run->status = *(volatile u32 *)&run->killed ? EXO_GRAFT_ABORT_KILLED : EXO_GRAFT_ABORT_BUDGET;
	return false;
}

static u64 alu64(u32 op, u64 a, u64 b)
{
	switch (op) {
	case EXO_ADD:
		return a + b;
	case EXO_SUB:
		return a - b;
	case EXO_MUL:
		return a * b;
	case EXO_DIV:
		return b ? a / b : 0;
	case EXO_OR:
		return a | b;
	case EXO_AND:
		return a & b;
	case EXO_LSH:
		return a << (b & 63);
	case EXO_RSH:
		return a >> (b & 63);
	case EXO_NEG:
		return -a;
	case EXO_MOD:
		return b ? a % b : a;
	case EXO_XOR:
		return a ^ b;
	case EXO_ARSH:
		return (u64)((s64)a >> (b & 63));
	}
	return b;	/* EXO_MOV */
}

static u32 alu32(u32 op, u32 a, u32 b)
{
	switch (op) {
	case EXO_LSH:
		return a << (b & 31);
	case EXO_RSH:
		return a >> (b & 31);
	case EXO_ARSH:
		return (u32)((s32)a >> (b & 31));
	}
	return (u32)alu64(op, a, b);
}

static u64 byte_order(u64 value, bool big, u32 width)
{
	if (width == 16)
		return big ? __builtin_bswap16((u16)value) : (u16)value;
	if (width == 32)
		return big ? __builtin_bswap32((u32)value) : (u32)value;
	return big ? __builtin_bswap64(value) : value;
}

static void run_alu(struct state *s, const struct exo_insn *insn)
{
	u64 *dst = &s->reg[insn->dst];
	u64 b = EXO_SRC(insn->code) == EXO_X ? s->reg[insn->src] : (u64)(s64)insn->imm;

	if (EXO_OP(insn->code) == EXO_END)
		*dst = byte_order(*dst, EXO_SRC(insn->code) == EXO_X, (u32)insn->imm);
	else if (EXO_CLASS(insn->code) == EXO_ALU64)
		*dst = alu64(EXO_OP(insn->code), *dst, b);
	else
		*dst = alu32(EXO_OP(insn->code), (u32)*dst, (u32)b);
}

static bool jumps(const struct state *s, const struct exo_insn *insn)
{
	u64 a = s->reg[insn->dst];
	u64 b = EXO_SRC(insn->code) == EXO_X ? s->reg[insn->src] : (u64)(s64)insn->imm;
	s64 sa = (s64)a, sb = (s64)b;

	if (EXO_CLASS(insn->code) == EXO_JMP32) {
		a = (u32)a;
		b = (u32)b;
		sa = (s32)a;
		sb = (s32)b;
	}
	switch (EXO_OP(insn->code)) {
	case EXO_JEQ:
		return a == b;
	case EXO_JGT:
		return a > b;
	case EXO_JGE:
		return a >= b;
	case EXO_JSET:
		return (a & b) != 0;
	case EXO_JNE:
		return a != b;
	case EXO_JSGT:
		return sa > sb;
	case EXO_JSGE:
		return sa >= sb;
	case EXO_JLT:
		return a < b;
	case EXO_JLE:
		return a <= b;
	case EXO_JSLT:
		return sa < sb;
	case EXO_JSLE:
		return sa <= sb;
	}
	return true;	/* EXO_JA */
}

/* All by compare-and-exchange: GCC 12 loses the operand of a 64-bit __atomic_fetch_or() here. */
#define ATOMICS(_bits) \
	static u64 atomic##_bits(u##_bits *at, s32 op, u##_bits value, u##_bits r0) \
	{ \
		u##_bits old = __atomic_load_n(at, __ATOMIC_RELAXED), new; \
		do { \
			if (op == EXO_CMPXCHG && old != r0) \
				break; \
			new = op == EXO_CMPXCHG || op == EXO_XCHG ? value : \
			      (u##_bits)alu64((u32)op & ~EXO_FETCH, old, value); \
		} while (!__atomic_compare_exchange_n(at, &old, new, false, __ATOMIC_SEQ_CST, \
						      __ATOMIC_SEQ_CST)); \
		return old; \
	}
ATOMICS(32)
ATOMICS(64)

static u32 run_atomic(struct state *s, const struct exo_insn *insn, void *at)
{
	u64 old, value = s->reg[insn->src], r0 = s->reg[EXO_R0];

	if (EXO_SIZE(insn->code) == EXO_DW)
		old = atomic64(at, insn->imm, value, r0);
	else
		old = atomic32(at, insn->imm, (u32)value, (u32)r0);
	if (insn->imm == EXO_CMPXCHG)
		s->reg[EXO_R0] = old;
	else if (insn->imm & EXO_FETCH)
		s->reg[insn->src] = old;
	return EXO_GRAFT_OK;
}

/* Returns an enum exo_graft_status. */
static u32 run_memory(struct state *s, const struct exo_insn *insn)
{
	bool load = EXO_CLASS(insn->code) == EXO_LDX;
	u64 address = s->reg[load ? insn->src : insn->dst] + (u64)(s64)insn->off;
	u32 size = exo_insn_size(insn->code);
	void *at = translate(s, address, size, !load);
	u64 value;

	if (!at)
		return EXO_GRAFT_ABORT_ACCESS;
	if (EXO_MODE(insn->code) == EXO_ATOMIC)
		return address & (size - 1) ? EXO_GRAFT_ABORT_ACCESS : run_atomic(s, insn, at);
	if (load) {
		value = size == 8 ? load64(at) : size == 4 ? load32(at) : size == 2 ? load16(at) : load8(at);
		s->reg[insn->dst] = value;
		return EXO_GRAFT_OK;
	}
	value = EXO_CLASS(insn->code) == EXO_ST ? (u64)(s64)insn->imm : s->reg[insn->src];
	if (size == 8)
		store64(at, value);
	else if (size == 4)
		store32(at, value);
	else if (size == 2)
		store16(at, value);
	else
		store8(at, value);
	return EXO_GRAFT_OK;
}

/* A pointer argument becomes real, a number must be in its range. */
static u32 argument(const struct state *s, const struct exo_helper_arg *arg, u64 *value)
{
	u64 state = s->layout->start[EXO_REGION_STATE], at = *value;

	if (arg->type == EXO_ARG_NONE) {
		*value = 0;
		return EXO_GRAFT_OK;
	}
	if (arg->type == EXO_ARG_SCALAR)
		return at < arg->min || at > arg->max ? EXO_GRAFT_ABORT_HELPER : EXO_GRAFT_OK;
	if (arg->type == EXO_ARG_STATE && (at < state || at - state > s->prog->state_size ||
					   s->prog->state_size - (at - state) < arg->min || at & 7))
		return EXO_GRAFT_ABORT_ACCESS;
	*value = (u64)translate(s, at, arg->min, arg->type != EXO_ARG_READ);
	return *value ? EXO_GRAFT_OK : EXO_GRAFT_ABORT_ACCESS;
}

static u32 run_call(struct state *s, const exo_helper_fn *helpers, u32 number)
{
	const struct exo_helper *helper = &exo_helpers[number];
	u64 args[EXO_GRAFT_MAX_ARGS];
	u32 i, status;

	if (!charge(s->run, helper->cost))
		return s->run->status;
	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		args[i] = s->reg[EXO_R1 + i];
		status = argument(s, &helper->args[i], &args[i]);
		if (status)
			return status;
	}
	s->reg[EXO_R0] = helpers[number](args[0], args[1], args[2], args[3], s->run);
	for (i = EXO_R1; i <= EXO_R5; i++)
		s->reg[i] = 0;
	return helper->flags & EXO_HELPER_PURE ? EXO_GRAFT_OK : s->run->status;
}

/* The shell may let others have the processor now and then. False if the run is over. */
static bool rest(struct state *s, const exo_helper_fn *helpers, s64 cost)
{
	s->since += cost;
	if (s->since < EXO_GRAFT_PAUSE || !helpers[EXO_HELPER_PAUSE])
		return true;
	s->since = 0;
	helpers[EXO_HELPER_PAUSE](0, 0, 0, 0, s->run);
	return s->run->status == EXO_GRAFT_OK;
}

static u64 immediate(const struct state *s, const struct exo_insn *insn, const struct exo_insn *second)
{
	if (insn->src == EXO_PSEUDO_CONST)
		return s->layout->start[EXO_REGION_CONST] + (u32)insn->imm;
	if (insn->src == EXO_PSEUDO_STATE)
		return s->layout->start[EXO_REGION_STATE] + (u32)insn->imm;
	return (u64)(u32)second->imm << 32 | (u32)insn->imm;
}

/**
 * exo_graft_interpret() - run a graft
 * @prog: decoded
 * @layout: of its window
 * @helpers: by number; those that the hook offers are there; EXO_HELPER_PAUSE may be
 * @run: the window's address, the ends of its data, the budget; the status is put there
 *
 * Context and stack are in the window, the stack zeroed. Neither sleeps nor locks, but for
 * what helpers do.
 *
 * Return: the result; 0 if the run was aborted.
 */
u32 exo_graft_interpret(const struct exo_graft_prog *prog, const struct exo_graft_layout *layout,
			const exo_helper_fn *helpers, struct exo_graft_run *run)
{
	struct state s = { .prog = prog, .layout = layout, .run = run };
	const struct exo_insn *insn;
	u32 status;
	s64 pc, target;

	/* What the kernel's stack had here before must not be seen by loads that run ahead of the zeros. */
	__asm__ volatile("lfence" : "+m" (s.reg));
	s.reg[EXO_R1] = layout->start[EXO_REGION_CTX];
	s.reg[EXO_R10] = layout->start[EXO_REGION_STATE];
	for (pc = 0;; pc++) {
		pc = (s64)clamp((u64)pc, prog->len);
		insn = &prog->insns[pc];
		status = EXO_GRAFT_OK;
		switch (EXO_CLASS(insn->code)) {
		case EXO_ALU:
		case EXO_ALU64:
			run_alu(&s, insn);
			break;
		case EXO_LD:
			pc = (s64)clamp((u64)pc + 1, prog->len);
			s.reg[insn->dst] = immediate(&s, insn, &prog->insns[pc]);
			break;
		case EXO_JMP:
		case EXO_JMP32:
			if (insn->code == (EXO_JMP | EXO_EXIT))
				return (u32)s.reg[EXO_R0];
			if (insn->code == (EXO_JMP | EXO_CALL)) {
				status = run_call(&s, helpers, (u32)insn->imm % EXO_GRAFT_MAX_HELPERS);
				break;
			}
			if (!jumps(&s, insn))
				break;
			target = pc + 1 + insn->off;
			if (target <= pc && !(charge(run, pc - target + 1) && rest(&s, helpers, pc - target + 1)))
				return 0;
			pc = target - 1;
			break;
		default:
			status = run_memory(&s, insn);
		}
		if (status)
			return stop(run, status);
	}
}
