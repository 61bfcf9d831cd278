// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "core/graft_lower.h"
#include "graft_inspect.h"

enum kind {
	USER,		/* anything */
	BASE,		/* the window's base plus a constant */
	MASKED,		/* at most the mask */
	REAL,		/* base plus masked */
	RUN,		/* the record's context, plus a constant */
	LIMIT,
};

struct value {
	enum kind kind;
	s64 plus;
};

struct inspect {
	const struct raw *raw;
	const struct exo_graft_layout *layout;
	struct value reg[EXO_AX + 1];
	struct value slot[5];		/* of the frame */
	u32 kept;			/* registers that the prologue has filled and nobody may write */
	bool settled;			/* a barrier has stood behind the last access of the prologue */
	bool target[EXO_GRAFT_MAX_LOWERED + 1];
	bool called;			/* r1 .. r5 are the kernel's */
	bool leaving;			/* where an aborted run ends */
	const char *wrong;
};

#define FIELD(_name) ((s64)offsetof(struct exo_graft_run, _name) - (s64)offsetof(struct exo_graft_run, ctx))

static void forget(struct inspect *in)
{
	u32 i;

	for (i = 0; i <= EXO_AX; i++)
		if (!(in->kept >> i & 1))
			in->reg[i] = (struct value){ USER, 0 };
}

/* What the slots of the frame are used for shows in the prologue. */
static struct value *slot(struct inspect *in, s32 off)
{
	return off < 0 && off >= -40 && off % 8 == 0 ? &in->slot[-off / 8 - 1] : NULL;
}

static struct value loaded(struct inspect *in, const struct exo_insn *insn)
{
	const struct value *base = &in->reg[insn->src];
	struct value *from = slot(in, insn->off);

	if (insn->src == EXO_R10 && from)
		return *from;
	if (base->kind == RUN && base->plus + insn->off == FIELD(base))
		return (struct value){ BASE, 0 };
	if (base->kind == RUN && base->plus + insn->off == FIELD(read_hi))
		return (struct value){ LIMIT, 0 };
	return (struct value){ USER, 0 };
}

static const char *record(const struct exo_insn *insn, s64 at, bool prologue)
{
	bool load = EXO_CLASS(insn->code) == EXO_LDX;

	if (at == FIELD(budget) || (at == FIELD(status) && insn->code != (EXO_STX | EXO_MEM | EXO_W)))
		return NULL;
	if (load && (at == FIELD(killed) || (prologue && (at == FIELD(base) || at == FIELD(read_hi)))))
		return NULL;
	return "another field of the record";
}

static const char *memory(struct inspect *in, const struct exo_insn *insn, bool prologue)
{
	bool load = EXO_CLASS(insn->code) == EXO_LDX;
	const struct value *base = &in->reg[load ? insn->src : insn->dst];
	u32 reg = load ? insn->src : insn->dst, size = exo_insn_size(insn->code);
	s64 at = base->plus + insn->off;
	struct value *to = slot(in, insn->off);

	if (reg == EXO_R10) {
		if (!to || size != 8 || EXO_MODE(insn->code) != EXO_MEM)
			return "another access to the frame";
		if (EXO_CLASS(insn->code) == EXO_STX && prologue)
			*to = in->reg[insn->src];
		else if (!load && to->kind != USER)
			return "a slot of the prologue's is overwritten";
		in->settled &= !prologue;
		return NULL;
	}
	if (EXO_CLASS(insn->code) == EXO_STX && in->reg[insn->src].kind != USER && base->kind != RUN)
		return "an address goes to memory";
	switch (base->kind) {
	case BASE:
		if (at < (s64)in->layout->read_lo ||
		    at + size > (s64)(in->layout->start[EXO_REGION_DATA] + in->raw->world->prog.hook->data_cap))
			return "a constant outside the window";
		return in->settled ? NULL : "the base may be old";
	case REAL:
		if (at < -(s64)EXO_GRAFT_GUARD || at > -(s64)size)
			return "beyond the guard";
		return in->settled ? NULL : "the base may be old";
	case RUN:
		in->settled &= !prologue;
		return record(insn, at, prologue);
	default:
		return "an address that is not masked";
	}
}

static const char *immediate(const struct exo_insn *insn)
{
	if (insn->dst != EXO_AX || EXO_SRC(insn->code) == EXO_X)
		return NULL;
	return insn->imm < -(1 << 20) || insn->imm > 1 << 20 ? "a big number that is not blinded" : NULL;
}

static const char *write(struct inspect *in, u32 reg, struct value value, bool prologue)
{
	if (in->kept >> reg & 1 && !in->leaving)
		return "a register of the prologue's is overwritten";
	if (prologue && (value.kind == RUN || value.kind == BASE || value.kind == LIMIT) && reg != EXO_AX)
		in->kept |= 1U << reg;
	in->reg[reg] = value;
	return NULL;
}

static const char *arithmetic(struct inspect *in, const struct exo_insn *insn, bool prologue)
{
	struct value old = in->reg[insn->dst], new = { USER, 0 };
	bool wide = EXO_CLASS(insn->code) == EXO_ALU64, x = EXO_SRC(insn->code) == EXO_X;
	const struct value *src = &in->reg[insn->src];

	if (wide && EXO_OP(insn->code) == EXO_MOV && x)
		new = *src;
	else if (wide && EXO_OP(insn->code) == EXO_ADD && !x && (old.kind == BASE || old.kind == RUN))
		new = (struct value){ old.kind, old.plus + insn->imm };
	else if (wide && EXO_OP(insn->code) == EXO_AND && !x && insn->imm == (s64)in->layout->mask &&
		 insn->dst == EXO_AX)
		new = (struct value){ MASKED, 0 };
	else if (wide && EXO_OP(insn->code) == EXO_ADD && x && old.kind == MASKED && src->kind == BASE && !src->plus)
		new = (struct value){ REAL, 0 };
	return write(in, insn->dst, new, prologue);
}

/* What blinding does to AX. */
static bool loses_ax(const struct exo_insn *insn)
{
	u32 class = EXO_CLASS(insn->code), op = EXO_OP(insn->code);

	if (insn->dst == EXO_AX)
		return false;
	if (class == EXO_ALU || class == EXO_ALU64)
		return EXO_SRC(insn->code) == EXO_K && op != EXO_END && op != EXO_NEG;
	if (class == EXO_JMP || class == EXO_JMP32)
		return EXO_SRC(insn->code) == EXO_K && op != EXO_JA && op != EXO_EXIT;
	return class == EXO_LD || (class == EXO_ST && insn->code != EXO_NOSPEC) ||
	       (class == EXO_STX && EXO_MODE(insn->code) == EXO_ATOMIC);
}

static const char *step(struct inspect *in, const struct exo_insn *insn, bool prologue)
{
	u32 class = EXO_CLASS(insn->code), i;
	const char *wrong = immediate(insn);

	if (in->called && class == EXO_ALU64 && insn->code == (EXO_ALU64 | EXO_MOV | EXO_K) && insn->dst <= 5) {
		in->called = insn->dst != 5;
		return write(in, insn->dst, (struct value){ USER, 0 }, false);
	}
	if (in->called && (exo_insn_reads(insn) | exo_insn_writes(insn)) & 0x3e)
		return "an argument's register after the call";
	if (wrong)
		return wrong;
	if (insn->code == EXO_NOSPEC) {
		in->settled = true;
		return NULL;
	}
	if (class == EXO_ALU || class == EXO_ALU64)
		return arithmetic(in, insn, prologue);
	if (class == EXO_LD)
		return insn->code ? write(in, insn->dst, (struct value){ USER, 0 }, prologue) : NULL;
	if (insn->code == (EXO_JMP | EXO_CALL)) {
		for (i = 0; i <= 5; i++)
			in->reg[i] = (struct value){ USER, 0 };
		in->called = true;
		return in->kept & 0x3f ? "a call overwrites a register of the prologue's" : NULL;
	}
	if (class == EXO_JMP || class == EXO_JMP32)
		return NULL;
	wrong = memory(in, insn, prologue);
	if (wrong)
		return wrong;
	if (class == EXO_LDX)
		return write(in, insn->dst, loaded(in, insn), prologue);
	for (i = 0; i < EXO_R10; i++)
		if (exo_insn_writes(insn) >> i & 1 && in->kept >> i & 1)
			return "an atomic overwrites a register of the prologue's";
	return NULL;
}

const char *inspect_sandbox(const struct raw *raw, u32 *at)
{
	static struct inspect in;
	const struct exo_insn *insn;
	const char *wrong;
	u32 i, class;
	bool prologue;

	memset(&in, 0, sizeof(in));
	in.raw = raw;
	in.layout = &raw->world->layout;
	in.reg[EXO_R1].kind = RUN;
	in.settled = true;
	for (i = 0; i < raw->target.len; i++) {
		insn = &raw->insns[i];
		class = EXO_CLASS(insn->code);
		if ((class == EXO_JMP || class == EXO_JMP32) && insn->code != (EXO_JMP | EXO_CALL) &&
		    insn->code != (EXO_JMP | EXO_EXIT))
			in.target[i + 1 + insn->off] = true;
	}
	for (i = 0; i < raw->target.len; i++) {
		*at = i;
		insn = &raw->insns[i];
		prologue = raw->origin[i] == EXO_ORIGIN_PROLOGUE;
		/* Where an aborted run ends nothing is kept any more but the way to the record, which it takes first. */
		in.leaving = raw->origin[i] == EXO_ORIGIN_ABORT;
		if (in.target[i] && prologue)
			return "a jump into the prologue";
		/* Also behind the prologue: what it left in other registers is for nobody. */
		if (in.target[i] || (i && !prologue && raw->origin[i - 1] == EXO_ORIGIN_PROLOGUE))
			forget(&in);
		wrong = step(&in, insn, prologue);
		if (wrong)
			return wrong;
		if (loses_ax(insn))
			in.reg[EXO_AX] = (struct value){ USER, 0 };
	}
	return NULL;
}
