// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * From a graft to what the kernel's JIT is given. Proof: the graft as it is, with addresses and helpers
 * filled in, a test before each division, the barriers that the checker asked for, and, if it must be
 * stopped from outside, the budget. Sandbox: the same, with checks and masks at each access
 * (graft_sandbox.c), and the budget.
 *
 * The body comes first, the prologue is made of what the body needed, and moved before it. Jumps keep
 * their targets in their offsets until all is in place.
 *
 * In the JIT on x86 (6.1 to 7.2): a 32-bit result clears the upper half, but not that of CMPXCHG if
 * it succeeds; division by zero is a fault; AND, OR and XOR with FETCH need AX for themselves; shift
 * counts are taken modulo the width.
 */
#include "core/graft_lower.h"

#define PROLOGUE_MAX 32U
#define ROUNDS 8U

#define RUN_OFF(_field) ((s16)((int)offsetof(struct exo_graft_run, _field) - \
			       (int)offsetof(struct exo_graft_run, ctx)))

/*
 * May the JIT use AX for this one, because it blinds its immediate (not that of shifts, so far) or needs
 * a register?
 */
static bool clobbers_ax(const struct exo_insn *insn)
{
	u32 class = EXO_CLASS(insn->code), op = EXO_OP(insn->code);

	if (class == EXO_ALU || class == EXO_ALU64)
		return insn->dst == EXO_AX ||
		       (EXO_SRC(insn->code) == EXO_K && op != EXO_NEG && op != EXO_END);
	if (class == EXO_JMP || class == EXO_JMP32)
		return insn->code == (EXO_JMP | EXO_CALL) ||
		       (EXO_SRC(insn->code) == EXO_K && insn->dst != EXO_AX && op != EXO_JA && op != EXO_EXIT);
	if (class == EXO_LDX)
		return insn->dst == EXO_AX;
	if (class == EXO_ST)
		return insn->dst != EXO_AX && insn->code != EXO_NOSPEC;
	return class == EXO_LD || EXO_MODE(insn->code) == EXO_ATOMIC;
}

/* Which registers must be zero when the graft begins: those that its first block doesn't set itself. */
static void watch_entry(struct lower *l, const struct exo_insn *insn)
{
	if (!l->entry)
		return;
	l->need |= exo_insn_reads(insn) & ~l->written;
	l->written |= exo_insn_writes(insn);
}

/* Others may read @regs. */
static void end_entry(struct lower *l, u32 regs)
{
	if (l->entry)
		l->need |= regs & l->prog->regs & ~l->written;
	l->entry = false;
}

/** exo_lower_emit() - append an instruction */
void exo_lower_emit(struct lower *l, u8 code, u8 dst, u8 src, s16 off, s32 imm)
{
	struct exo_insn insn = { .code = code, .dst = dst & 15, .src = src & 15, .off = off, .imm = imm };

	if (l->at >= l->target->room) {
		l->full = true;
		return;
	}
	l->target->insns[l->at] = insn;
	l->target->origin[l->at++] = (u16)l->slot;
	watch_entry(l, &insn);
	if (clobbers_ax(&insn))
		l->ax = AX_NONE;
}

static void mark(struct lower *l, u32 kind)
{
	if (!l->full)
		l->target->origin[l->at - 1] |= kind;
}

/** exo_lower_abort_if() - append a jump, always or on a condition, to where the run ends with @status */
void exo_lower_abort_if(struct lower *l, u8 code, u8 dst, u8 src, s32 imm, u32 status)
{
	exo_lower_emit(l, code, dst, src, (s16)status, imm);
	mark(l, ORIGIN_JUMP | ORIGIN_TO_ABORT);
	l->aborts |= 1U << status;
	l->used |= 1U << HOME_RUN;
}

static s16 home_slot(const struct lower *l, u32 home)
{
	return (s16)-(s32)(l->frame + 8 * (home + 1));
}

/**
 * exo_lower_home() - get what the lowered code keeps
 * @l: the state
 * @home: which
 * @into: a register, which is written
 *
 * Return: @into.
 */
u8 exo_lower_home(struct lower *l, u32 home, u8 into)
{
	l->used |= 1U << home;
	if (l->home[home] != NO_REG)
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, into, l->home[home], 0, 0);
	else
		exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_DW, into, EXO_R10, home_slot(l, home), 0);
	return into;
}

/**
 * exo_lower_take() - get a register to work with
 * @l: the state
 * @busy: bit n: not rn
 *
 * If every register is the graft's, one is saved. Return: the register, for exo_lower_give().
 */
u8 exo_lower_take(struct lower *l, u32 busy)
{
	u8 reg = l->home[HOME_SPARE], i;

	if (reg == NO_REG || l->working >> reg & 1) {
		for (i = 0; i < HOMES; i++)
			if (l->home[i] != NO_REG)
				busy |= 1U << l->home[i];
		for (reg = EXO_R9; busy >> reg & 1; )
			reg--;
		exo_lower_emit(l, EXO_STX | EXO_MEM | EXO_DW, EXO_R10, reg,
			       home_slot(l, HOME_SPARE + l->borrowed++), 0);
		l->used |= 1U << HOME_SPARE;
	}
	if (reg == l->home[HOME_SPARE])
		l->held = AX_NONE;
	l->working |= 1U << reg;
	return reg;
}

/** exo_lower_give() - restore a register that was taken last */
void exo_lower_give(struct lower *l, u8 reg)
{
	l->working &= ~(1U << reg);
	if (reg == l->home[HOME_SPARE])
		return;
	exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_DW, reg, EXO_R10,
		       home_slot(l, HOME_SPARE + --l->borrowed), 0);
	/* Store bypass may give back an older value: in the sandbox that is harmless. */
	if (!l->sandbox && l->target->barriers)
		exo_lower_emit(l, EXO_NOSPEC, 0, 0, 0, 0);
}

static void charge(struct lower *l, s32 cost)
{
	u8 run = l->home[HOME_RUN];

	l->used |= 1U << HOME_RUN;
	if (run == NO_REG)
		run = exo_lower_home(l, HOME_RUN, exo_lower_take(l, 0));
	exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_DW, EXO_AX, run, RUN_OFF(budget), 0);
	exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_K, EXO_AX, 0, 0, -cost);
	exo_lower_emit(l, EXO_STX | EXO_MEM | EXO_DW, run, EXO_AX, RUN_OFF(budget), 0);
	if (l->home[HOME_RUN] == NO_REG)
		exo_lower_give(l, run);
	exo_lower_abort_if(l, EXO_JMP | EXO_JSLT | EXO_K, EXO_AX, 0, 0, EXO_GRAFT_ABORT_BUDGET);
}

/* An offset that isn't known yet: of the jump that was emitted last. */
static u32 forward(const struct lower *l)
{
	return l->at - 1;
}

/* Two ways meet here: what a reader of the code would have to prove of both is forgotten. */
static void land(struct lower *l, u32 jump)
{
	l->held = AX_NONE;
	if (!l->full)
		l->target->insns[jump].off = (s16)(l->at - jump - 1);
}

/* The JIT divides by what stands there. */
static void divide(struct lower *l, const struct exo_insn *insn, u8 src)
{
	bool narrow = EXO_CLASS(insn->code) == EXO_ALU;
	u32 zero, over;

	if (src != EXO_AX)
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, EXO_AX, src, 0, 0);
	exo_lower_emit(l, (narrow ? EXO_JMP32 : EXO_JMP) | EXO_JEQ | EXO_K, EXO_AX, 0, 0, 0);
	zero = forward(l);
	exo_lower_emit(l, insn->code, insn->dst, src, 0, 0);
	if (EXO_OP(insn->code) == EXO_MOD && !narrow) {
		land(l, zero);
		return;
	}
	exo_lower_emit(l, EXO_JMP | EXO_JA, 0, 0, 0, 0);
	over = forward(l);
	land(l, zero);
	if (EXO_OP(insn->code) == EXO_MOD)
		exo_lower_emit(l, EXO_ALU | EXO_MOV | EXO_X, insn->dst, insn->dst, 0, 0);
	else
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, insn->dst, 0, 0, 0);
	land(l, over);
}

static void lower_alu(struct lower *l, const struct exo_insn *insn)
{
	bool x = EXO_SRC(insn->code) == EXO_X && EXO_OP(insn->code) != EXO_END;
	bool stack = l->sandbox && x && insn->src == EXO_R10;
	u8 src = insn->src;
	s32 top = 0;

	if (stack)
		top = (s32)l->layout->start[EXO_REGION_STATE];
	if (stack && EXO_OP(insn->code) == EXO_MOV) {
		exo_lower_emit(l, insn->code & ~EXO_X, insn->dst, 0, 0, top);
	} else {
		if (stack) {
			exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, EXO_AX, 0, 0, top);
			src = EXO_AX;
		}
		if (x && (EXO_OP(insn->code) == EXO_DIV || EXO_OP(insn->code) == EXO_MOD))
			divide(l, insn, src);
		else
			exo_lower_emit(l, insn->code, insn->dst, src, 0, insn->imm);
	}
	if (l->sandbox)
		exo_facts_alu(l, insn);
}

static void lower_imm64(struct lower *l, const struct exo_insn *insn)
{
	u64 value = (u64)(u32)insn[1].imm << 32 | (u32)insn->imm;

	if (insn->src == EXO_PSEUDO_CONST)
		value += l->sandbox ? l->layout->start[EXO_REGION_CONST] : l->target->consts;
	else if (insn->src == EXO_PSEUDO_STATE)
		value += l->sandbox ? l->layout->start[EXO_REGION_STATE] : l->target->state;
	if (l->sandbox)
		exo_facts_kill(l, 1U << insn->dst);
	if (l->sandbox && insn->src) {
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, insn->dst, 0, 0, (s32)value);
		l->now.reg[insn->dst] = (u32)value;
		return;
	}
	exo_lower_emit(l, EXO_LD_IMM64, insn->dst, 0, 0, (s32)value);
	exo_lower_emit(l, 0, 0, 0, 0, (s32)(value >> 32));
}

/* The opposite condition; JSET has none. */
static u8 opposite(u8 op)
{
	static const u8 other[16] = {
		[EXO_JEQ >> 4] = EXO_JNE, [EXO_JNE >> 4] = EXO_JEQ,
		[EXO_JGT >> 4] = EXO_JLE, [EXO_JLE >> 4] = EXO_JGT,
		[EXO_JGE >> 4] = EXO_JLT, [EXO_JLT >> 4] = EXO_JGE,
		[EXO_JSGT >> 4] = EXO_JSLE, [EXO_JSLE >> 4] = EXO_JSGT,
		[EXO_JSGE >> 4] = EXO_JSLT, [EXO_JSLT >> 4] = EXO_JSGE,
	};

	return other[op >> 4];
}

static void lower_jump(struct lower *l, const struct exo_insn *insn)
{
	u32 target = l->slot + 1 + insn->off, over = 0;
	u8 code = insn->code, dst = insn->dst, src = insn->src;
	bool back = target <= l->slot, always = EXO_OP(code) == EXO_JA;

	end_entry(l, ~0U);
	if (l->sandbox && !always && (dst == EXO_R10 || (EXO_SRC(code) == EXO_X && src == EXO_R10))) {
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, EXO_AX, 0, 0,
			       (s32)l->layout->start[EXO_REGION_STATE]);
		dst = dst == EXO_R10 ? EXO_AX : dst;
		src = EXO_SRC(code) == EXO_X && src == EXO_R10 ? EXO_AX : src;
	}
	if (back && l->charges) {
		if (!always && opposite(EXO_OP(code))) {
			exo_lower_emit(l, (u8)(EXO_CLASS(code) | EXO_SRC(code) | opposite(EXO_OP(code))), dst, src,
				       0, insn->imm);
			over = forward(l);
		} else if (!always) {
			exo_lower_emit(l, code, dst, src, 1, insn->imm);
			exo_lower_emit(l, EXO_JMP | EXO_JA, 0, 0, 0, 0);
			over = forward(l);
		}
		charge(l, (s32)(l->slot - target) + 1);
		code = EXO_JMP | EXO_JA;
	}
	exo_lower_emit(l, code, code == (EXO_JMP | EXO_JA) ? 0 : dst, code == (EXO_JMP | EXO_JA) ? 0 : src,
		       (s16)target, code == (EXO_JMP | EXO_JA) ? 0 : insn->imm);
	mark(l, ORIGIN_JUMP);
	if (over)
		land(l, over);
	if (l->sandbox)
		exo_facts_jump(l, insn, target);
}

static void lower_call(struct lower *l, const struct exo_insn *insn)
{
	const struct exo_helper *helper = &exo_helpers[insn->imm];
	u32 i;

	end_entry(l, ~0U);
	if (l->charges)
		charge(l, (s32)helper->cost);
	for (i = 0; i < EXO_GRAFT_MAX_ARGS && l->sandbox; i++)
		if (!exo_lower_argument(l, &helper->args[i], (u8)(EXO_R1 + i)))
			break;
	exo_lower_home(l, HOME_RUN, EXO_AX);
	exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_K, EXO_AX, 0, 0,
		       -(s32)offsetof(struct exo_graft_run, ctx));
	exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, EXO_R5, EXO_AX, 0, 0);
	exo_lower_emit(l, EXO_JMP | EXO_CALL, 0, 0, 0, l->target->helper_imm[insn->imm]);
	if (!(helper->flags & EXO_HELPER_PURE)) {
		exo_lower_home(l, HOME_RUN, EXO_AX);
		exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_W, EXO_AX, EXO_AX, RUN_OFF(status), 0);
		exo_lower_abort_if(l, EXO_JMP | EXO_JNE | EXO_K, EXO_AX, 0, 0, ABORT_STATUS);
	}
	if (!l->sandbox)
		return;
	/* They may be the kernel's addresses. */
	for (i = EXO_R1; i <= EXO_R5; i++)
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, (u8)i, 0, 0, 0);
	exo_facts_kill(l, 0x3f);
}

static void lower_insn(struct lower *l, const struct exo_insn *insn)
{
	if (exo_is_jump(insn->code)) {
		lower_jump(l, insn);
	} else if (insn->code == (EXO_JMP | EXO_CALL)) {
		lower_call(l, insn);
	} else if (insn->code == (EXO_JMP | EXO_EXIT)) {
		end_entry(l, 1U << EXO_R0);
		exo_lower_emit(l, insn->code, 0, 0, 0, 0);
		l->dead = true;
	} else if (EXO_CLASS(insn->code) == EXO_LD) {
		lower_imm64(l, insn);
	} else if (!exo_insn_is_memory(insn)) {
		lower_alu(l, insn);
	} else {
		if (l->sandbox)
			exo_lower_memory(l, insn);
		else
			exo_lower_emit(l, insn->code, insn->dst, insn->src, insn->off, insn->imm);
		if (insn->code == (EXO_STX | EXO_ATOMIC | EXO_W) && insn->imm == EXO_CMPXCHG)
			exo_lower_emit(l, EXO_ALU | EXO_MOV | EXO_X, EXO_R0, EXO_R0, 0, 0);
	}
}

static void lower_body(struct lower *l)
{
	const struct exo_graft_prog *prog = l->prog;

	l->at = PROLOGUE_MAX;
	l->full = false;
	l->used = 0;
	l->aborts = 0;
	l->entry = true;
	l->written = 0;
	l->need = 0;
	l->ax = AX_NONE;
	l->held = AX_NONE;
	if (l->sandbox)
		exo_facts_start(l);
	for (l->slot = 0; l->slot < prog->len && !l->full; l->slot++) {
		if (prog->slots[l->slot] & EXO_SLOT_SECOND)
			continue;
		if (l->slot && prog->slots[l->slot] & EXO_SLOT_TARGET)
			end_entry(l, ~0U);
		if (l->sandbox)
			exo_facts_enter(l);
		else if (prog->slots[l->slot] & EXO_SLOT_NOSPEC && l->target->barriers)
			exo_lower_emit(l, EXO_NOSPEC, 0, 0, 0, 0);
		lower_insn(l, &prog->insns[l->slot]);
	}
}

/* The first lowered instruction of a slot. */
static u32 find(const struct lower *l, u32 begin, u32 end, u32 slot)
{
	while (begin < end) {
		u32 middle = (begin + end) / 2;

		if ((l->target->origin[middle] & ORIGIN_SLOT) < slot)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

static void lower_abort(struct lower *l, u32 status)
{
	if (status != ABORT_STATUS) {
		exo_lower_home(l, HOME_RUN, EXO_R1);
		exo_lower_emit(l, EXO_ST | EXO_MEM | EXO_W, EXO_R1, 0, RUN_OFF(status), (s32)status);
	}
	if (status == EXO_GRAFT_ABORT_BUDGET) {
		exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_W, EXO_R2, EXO_R1, RUN_OFF(killed), 0);
		exo_lower_emit(l, EXO_JMP | EXO_JEQ | EXO_K, EXO_R2, 0, 1, 0);
		exo_lower_emit(l, EXO_ST | EXO_MEM | EXO_W, EXO_R1, 0, RUN_OFF(status), EXO_GRAFT_ABORT_KILLED);
	}
	exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, EXO_R0, 0, 0, 0);
	exo_lower_emit(l, EXO_JMP | EXO_EXIT, 0, 0, 0, 0);
}

/* Where aborted runs end, then every jump gets its offset. */
static void link_jumps(struct lower *l)
{
	u32 body = l->at, start[ABORTS], i, to;
	struct exo_insn *insn;

	end_entry(l, ~0U);
	for (i = 0; i < ABORTS; i++) {
		start[i] = l->at;
		if (l->aborts >> i & 1)
			lower_abort(l, i);
	}
	if (l->full)
		return;
	for (i = PROLOGUE_MAX; i < body; i++) {
		if (!(l->target->origin[i] & ORIGIN_JUMP))
			continue;
		insn = &l->target->insns[i];
		to = l->target->origin[i] & ORIGIN_TO_ABORT ? start[insn->off] :
		     find(l, PROLOGUE_MAX, body, (u32)insn->off);
		insn->off = (s16)(to - i - 1);
		l->target->origin[i] &= ORIGIN_SLOT;
	}
	for (i = body; i < l->at; i++)
		l->target->origin[i] = EXO_ORIGIN_ABORT;
}

static void keep(struct lower *l, u32 home, s16 off)
{
	u8 reg = l->home[home] != NO_REG ? l->home[home] : EXO_AX;

	if (!(l->used >> home & 1))
		return;
	exo_lower_emit(l, EXO_LDX | EXO_MEM | EXO_DW, reg, EXO_R1, off, 0);
	if (reg == EXO_AX)
		exo_lower_emit(l, EXO_STX | EXO_MEM | EXO_DW, EXO_R10, EXO_AX, home_slot(l, home), 0);
}

/*
 * Behind the barrier what was loaded and stored here is what every load gives, also one that runs
 * ahead (INV-GRAFT-14).
 */
static void lower_prologue(struct lower *l)
{
	bool slot = false;
	u32 i;

	for (i = 0; i < HOMES; i++)
		slot |= (l->used >> i & 1) && l->home[i] == NO_REG;
	if (l->used >> HOME_RUN & 1) {
		if (l->home[HOME_RUN] != NO_REG)
			exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, l->home[HOME_RUN], EXO_R1, 0, 0);
		else
			exo_lower_emit(l, EXO_STX | EXO_MEM | EXO_DW, EXO_R10, EXO_R1, home_slot(l, HOME_RUN), 0);
	}
	keep(l, HOME_BASE, RUN_OFF(base));
	keep(l, HOME_LIMIT, RUN_OFF(read_hi));
	for (i = 0; i < BORROWED && l->used >> HOME_SPARE & 1; i++)
		exo_lower_emit(l, EXO_ST | EXO_MEM | EXO_DW, EXO_R10, 0, home_slot(l, HOME_SPARE + i), 0);
	if (l->target->barriers && (slot || l->used & (1U << HOME_BASE | 1U << HOME_LIMIT)))
		exo_lower_emit(l, EXO_NOSPEC, 0, 0, 0, 0);
	if (!l->sandbox)
		return;
	for (i = 0; i < EXO_R10; i++)
		if (l->need >> i & 1 && i != EXO_R1)
			exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, (u8)i, 0, 0, 0);
	if (l->need >> EXO_R1 & 1)
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, EXO_R1, 0, 0,
			       (s32)l->layout->start[EXO_REGION_CTX]);
}

static void add_prologue(struct lower *l)
{
	struct exo_graft_target *target = l->target;
	u32 body = l->at - PROLOGUE_MAX, len, i;

	l->need &= l->prog->regs;
	l->at = 0;
	lower_prologue(l);
	len = l->at;
	for (i = 0; i < len; i++)
		target->origin[i] = EXO_ORIGIN_PROLOGUE;
	for (i = 0; i < body; i++) {
		target->insns[len + i] = target->insns[PROLOGUE_MAX + i];
		target->origin[len + i] = target->origin[PROLOGUE_MAX + i];
	}
	target->len = len + body;
}

/*
 * A register for each thing to keep, while there are some that the graft doesn't mention: a call
 * mentions those that it clobbers. */
static void find_homes(struct lower *l)
{
	static const u8 order[] = { 2, 3, 4, 5, 9, 8, 7, 6 };
	const struct exo_graft_prog *prog = l->prog;
	u32 taken = prog->regs, slot, wanted[HOMES], n = 0, i, k;
	bool calls = false, back = false;

	for (slot = 0; slot < prog->len; slot++) {
		calls |= prog->insns[slot].code == (EXO_JMP | EXO_CALL);
		back |= prog->slots[slot] & EXO_SLOT_HEAD;
	}
	if (l->sandbox)
		wanted[n++] = HOME_BASE;
	if (back || calls)
		wanted[n++] = HOME_RUN;
	if (l->sandbox && prog->hook->data_cap)
		wanted[n++] = HOME_LIMIT;
	if (l->sandbox)
		wanted[n++] = HOME_SPARE;
	for (i = 0; i < HOMES; i++)
		l->home[i] = NO_REG;
	for (i = 0, k = 0; i < n && k < sizeof(order); k++) {
		if (taken >> order[k] & 1)
			continue;
		l->home[wanted[i++]] = order[k];
	}
}

/** exo_graft_lower_room() - bytes of scratch memory that lowering needs */
size_t exo_graft_lower_room(const struct exo_graft_prog *prog)
{
	return prog->len * sizeof(struct facts);
}

/**
 * exo_graft_lower() - make what the JIT is given
 * @prog: decoded; in proof mode checked, too
 * @target: what for, room for it, and the result
 * @err: why not
 *
 * Return: 0, or -EINVAL: it would be too long.
 */
int exo_graft_lower(const struct exo_graft_prog *prog, struct exo_graft_target *target,
		    struct exo_graft_error *err)
{
	struct lower l = {
		.prog = prog,
		.target = target,
		.layout = target->layout,
		.records = target->work,
		.sandbox = target->mode == EXO_GRAFT_SANDBOX,
	};
	u32 round, slot;

	*err = (struct exo_graft_error){ .code = EXO_GRAFT_FINE };
	l.charges = l.sandbox || prog->mixed || prog->hook->flags & EXO_HOOK_KILLABLE;
	l.frame = l.sandbox ? 0 : prog->stack;
	find_homes(&l);
	__builtin_memset(l.records, 0, exo_graft_lower_room(prog));
	for (round = 0;; round++) {
		l.weaker = false;
		l.pessimist = round == ROUNDS;
		lower_body(&l);
		if (!l.weaker || l.pessimist || l.full)
			break;
		for (slot = 0; slot < prog->len; slot++)
			if (!(prog->slots[slot] & EXO_SLOT_HEAD))
				l.records[slot] = (struct facts){};
	}
	link_jumps(&l);
	if (!l.full)
		add_prologue(&l);
	if (l.full) {
		*err = (struct exo_graft_error){ .code = EXO_GRAFT_E_LOWERED, .slot = l.slot, .bound = target->room };
		return -EINVAL;
	}
	target->stack = l.used ? l.frame + 8 * (HOMES + BORROWED - 1) : l.frame;
	return 0;
}
