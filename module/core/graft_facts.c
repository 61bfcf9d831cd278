// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * What the sandbox's lowering knows of registers without a certificate: which hold a constant address
 * (context, stack, constants, state, and the begin of the data), which the end of the data, and how
 * much data there is at least, because the graft compared. Facts save architectural checks only: an
 * address that comes from a constant is a constant in the lowered code, and any other is masked, so
 * that speculation stays in the window whatever is known here.
 *
 * At a jump's target holds what all that jump there agree on. A loop's head assumes what came in from
 * above; the lowering is repeated until no backward jump knows less (INV-GRAFT-13).
 */
#include "core/graft_lower.h"

static void weakest(const struct lower *l, struct facts *out)
{
	*out = (struct facts){ .limit = (u32)l->layout->read_hi };
}

/* What both say. Returns whether @into had said more. */
static bool meet(struct facts *into, const struct facts *other)
{
	bool changed = false;
	u32 i;

	if (!into->limit) {
		*into = *other;
		return true;
	}
	if (other->limit < into->limit) {
		into->limit = other->limit;
		changed = true;
	}
	for (i = 0; i < EXO_R10; i++) {
		if (into->reg[i] != FACT_NONE && into->reg[i] != other->reg[i]) {
			into->reg[i] = FACT_NONE;
			changed = true;
		}
	}
	return changed;
}

static void forget_block(struct lower *l)
{
	__builtin_memset(l->span, 0, sizeof(l->span));
	l->ax = AX_NONE;
	l->held = AX_NONE;
}

/** exo_facts_start() - the state at a graft's entry */
void exo_facts_start(struct lower *l)
{
	weakest(l, &l->now);
	l->now.reg[EXO_R1] = (u32)l->layout->start[EXO_REGION_CTX];
	l->dead = false;
	forget_block(l);
}

/** exo_facts_enter() - the slot at work begins: join with those that jump here */
void exo_facts_enter(struct lower *l)
{
	struct facts *record = &l->records[l->slot];
	u32 mark = l->prog->slots[l->slot];

	if (!(mark & EXO_SLOT_TARGET))
		return;
	if (!l->dead)
		meet(record, &l->now);
	if (!record->limit || (l->pessimist && mark & EXO_SLOT_HEAD))
		weakest(l, record);
	l->now = *record;
	l->dead = false;
	forget_block(l);
}

/** exo_facts_kill() - registers get values of which nothing is known */
void exo_facts_kill(struct lower *l, u32 regs)
{
	u32 i;

	for (i = 0; i < EXO_R10; i++) {
		if (!(regs >> i & 1))
			continue;
		l->now.reg[i] = FACT_NONE;
		l->span[0][i] = (struct span){};
		l->span[1][i] = (struct span){};
		if (l->ax == i)
			l->ax = AX_NONE;
		if (l->held == i)
			l->held = AX_NONE;
	}
}

/**
 * exo_facts_const() - what a register is known to hold
 *
 * Return: a constant, an address of the window or near it, or -1.
 */
s64 exo_facts_const(const struct lower *l, u8 reg)
{
	if (reg == EXO_R10)
		return (s64)l->layout->start[EXO_REGION_STATE];
	if (l->now.reg[reg] == FACT_NONE || l->now.reg[reg] == FACT_LIMIT)
		return -1;
	return l->now.reg[reg];
}

static void set_const(struct lower *l, u8 reg, s64 value)
{
	if (value > 0 && value <= FACT_MAX)
		l->now.reg[reg] = (u32)value;
}

/* The register was increased by @by. */
static void move_span(struct span *span, s64 by)
{
	if (span->lo >= span->hi)
		return;
	if (by < -(1 << 20) || by > 1 << 20 || span->lo < -(1 << 20) || span->hi > 1 << 20) {
		*span = (struct span){};
		return;
	}
	span->lo -= (s32)by;
	span->hi -= (s32)by;
}

/** exo_facts_alu() - arithmetic of the graft was lowered */
void exo_facts_alu(struct lower *l, const struct exo_insn *insn)
{
	struct span spans[2];
	s64 value, by = insn->imm;
	u32 fact;

	if (insn->code == (EXO_ALU64 | EXO_MOV | EXO_X)) {
		value = exo_facts_const(l, insn->src);
		fact = insn->src == EXO_R10 ? FACT_NONE : l->now.reg[insn->src];
		__builtin_memset(spans, 0, sizeof(spans));
		if (insn->src != EXO_R10) {
			spans[0] = l->span[0][insn->src];
			spans[1] = l->span[1][insn->src];
		}
		if (insn->dst == insn->src)
			return;
		exo_facts_kill(l, 1U << insn->dst);
		l->now.reg[insn->dst] = fact;
		l->span[0][insn->dst] = spans[0];
		l->span[1][insn->dst] = spans[1];
		set_const(l, insn->dst, value);
		return;
	}
	if (insn->code == (EXO_ALU64 | EXO_SUB | EXO_K))
		by = -by;
	else if (insn->code != (EXO_ALU64 | EXO_ADD | EXO_K)) {
		exo_facts_kill(l, 1U << insn->dst);
		return;
	}
	value = exo_facts_const(l, insn->dst);
	spans[0] = l->span[0][insn->dst];
	spans[1] = l->span[1][insn->dst];
	exo_facts_kill(l, 1U << insn->dst);
	move_span(&spans[0], by);
	move_span(&spans[1], by);
	l->span[0][insn->dst] = spans[0];
	l->span[1][insn->dst] = spans[1];
	if (value >= 0)
		set_const(l, insn->dst, value + by);
}

/** exo_facts_load() - @size bytes at a constant @address (or -1) were loaded into @dst */
void exo_facts_load(struct lower *l, u8 dst, s64 address, u32 size)
{
	const struct exo_hook *hook = l->prog->hook;
	u32 i;

	exo_facts_kill(l, 1U << dst);
	for (i = 0; i < hook->nr_fields && size == 8; i++) {
		if (address != (s64)(l->layout->start[EXO_REGION_CTX] + hook->fields[i].off))
			continue;
		if (hook->fields[i].type == EXO_FIELD_DATA)
			set_const(l, dst, (s64)l->layout->start[EXO_REGION_DATA]);
		else if (hook->fields[i].type == EXO_FIELD_DATA_END)
			l->now.reg[dst] = FACT_LIMIT;
	}
}

/* What a comparison of a constant with the data's end says of that end, if it came out as @taken. */
static void refine(const struct lower *l, const struct exo_insn *insn, bool taken, struct facts *facts)
{
	u32 dst, src, least;

	if (EXO_CLASS(insn->code) != EXO_JMP || EXO_SRC(insn->code) != EXO_X ||
	    insn->dst == EXO_R10 || insn->src == EXO_R10)
		return;
	dst = l->now.reg[insn->dst];
	src = l->now.reg[insn->src];
	if (dst == FACT_NONE || src == FACT_NONE || (dst == FACT_LIMIT) == (src == FACT_LIMIT))
		return;
	least = 0;
	switch (EXO_OP(insn->code)) {
	case EXO_JGT:
		if (src == FACT_LIMIT)
			least = taken ? 0 : dst;
		else
			least = taken ? src + 1 : 0;
		break;
	case EXO_JLE:
		if (src == FACT_LIMIT)
			least = taken ? dst : 0;
		else
			least = taken ? 0 : src + 1;
		break;
	case EXO_JGE:
		if (src == FACT_LIMIT)
			least = taken ? 0 : dst + 1;
		else
			least = taken ? src : 0;
		break;
	case EXO_JLT:
		if (src == FACT_LIMIT)
			least = taken ? dst + 1 : 0;
		else
			least = taken ? 0 : src;
		break;
	}
	if (least > facts->limit)
		facts->limit = least;
}

/** exo_facts_jump() - a jump of the graft was lowered: both ways get what it says */
void exo_facts_jump(struct lower *l, const struct exo_insn *insn, u32 target)
{
	struct facts taken = l->now;
	bool changed;

	refine(l, insn, true, &taken);
	changed = meet(&l->records[target], &taken);
	if (target <= l->slot && changed)
		l->weaker = true;
	refine(l, insn, false, &l->now);
	if (EXO_OP(insn->code) == EXO_JA)
		l->dead = true;
}

static void include(struct span *hull, s32 lo, s32 hi)
{
	if (hull->lo >= hull->hi) {
		*hull = (struct span){ lo, hi };
		return;
	}
	if (lo < hull->lo)
		hull->lo = lo;
	if (hi > hull->hi)
		hull->hi = hi;
}

/**
 * exo_facts_lookahead() - what one check may cover
 * @l: the state; the slot at work accesses memory through @reg
 * @reg: the register
 * @hull: out: bytes around it that the block reads [0] and writes [1]
 *
 * Accesses through the same value up to the block's end, which is where something else than a bad
 * access may end the run, and up to the first store that may go to state, which others see even if
 * the run is aborted. All other effects of an aborted run are thrown away, so that the abort may come
 * early. The intervals of what may be accessed have no holes: a hull is good iff its parts are.
 */
void exo_facts_lookahead(const struct lower *l, u8 reg, struct span hull[2])
{
	u32 slot, end = l->slot + 128;

	hull[0] = hull[1] = (struct span){};
	for (slot = l->slot; slot < l->prog->len && slot < end; slot++) {
		const struct exo_insn *insn = &l->prog->insns[slot];
		bool load = EXO_CLASS(insn->code) == EXO_LDX;

		if (l->prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		if (slot > l->slot && l->prog->slots[slot] & EXO_SLOT_TARGET)
			return;
		if (EXO_CLASS(insn->code) == EXO_JMP || EXO_CLASS(insn->code) == EXO_JMP32)
			return;
		if (exo_insn_is_memory(insn) && (load ? insn->src : insn->dst) == reg) {
			struct span more = hull[!load];

			include(&more, insn->off, insn->off + (s32)exo_insn_size(insn->code));
			if (more.hi - more.lo > SPAN_MAX)
				return;
			hull[!load] = more;
		}
		if (exo_insn_is_memory(insn) && !load && insn->dst != EXO_R10 && l->prog->state_size)
			return;
		if (exo_insn_writes(insn) >> reg & 1)
			return;
	}
}
