// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * What is a graft: the instructions of the language, in whole, with nothing in fields that must be
 * zero, and jumps that stay inside. Everything behind this file may rely on it (INV-GRAFT-10).
 */
#include "core/graft.h"
#include "core/graft_insn.h"

#define REACHED (1U << 7)	/* in slots, while decoding */

static int refuse(struct exo_graft_error *err, u32 code, u32 slot)
{
	*err = (struct exo_graft_error){ .code = code, .slot = slot };
	return -EINVAL;
}

static int refuse_value(struct exo_graft_error *err, u32 code, u32 slot, s64 value, u64 bound)
{
	refuse(err, code, slot);
	err->lo = value;
	err->hi = value;
	err->bound = bound;
	return -EINVAL;
}

static int refuse_reg(struct exo_graft_error *err, u32 slot, u32 reg)
{
	refuse(err, EXO_GRAFT_E_REG, slot);
	err->reg = reg;
	return -EINVAL;
}

/* The registers of an instruction, and which of them it writes. */
static int use(struct exo_graft_prog *prog, u32 slot, bool dst, bool src, bool writes_dst,
	       bool writes_src, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];

	if ((!dst && insn->dst) || (!src && insn->src))
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	if (dst && insn->dst > (writes_dst ? EXO_R9 : EXO_R10))
		return refuse_reg(err, slot, insn->dst);
	if (src && insn->src > (writes_src ? EXO_R9 : EXO_R10))
		return refuse_reg(err, slot, insn->src);
	if (dst)
		prog->regs |= 1U << insn->dst;
	if (src)
		prog->regs |= 1U << insn->src;
	return 0;
}

static int decode_alu(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];
	bool wide = EXO_CLASS(insn->code) == EXO_ALU64, reg = EXO_SRC(insn->code) == EXO_X;
	u32 width = wide ? 64 : 32;

	switch (EXO_OP(insn->code)) {
	case EXO_END:
		if (wide)
			return refuse(err, EXO_GRAFT_E_OPCODE, slot);
		if (insn->imm != 16 && insn->imm != 32 && insn->imm != 64)
			return refuse_value(err, EXO_GRAFT_E_IMM, slot, insn->imm, 64);
		if (insn->off)
			return refuse(err, EXO_GRAFT_E_RESERVED, slot);
		return use(prog, slot, true, false, true, false, err);
	case EXO_NEG:
		if (reg)
			return refuse(err, EXO_GRAFT_E_OPCODE, slot);
		if (insn->imm)
			return refuse(err, EXO_GRAFT_E_RESERVED, slot);
		break;
	case EXO_DIV:
	case EXO_MOD:
		if (!reg && !insn->imm)
			return refuse_value(err, EXO_GRAFT_E_IMM, slot, 0, 0);
		break;
	case EXO_LSH:
	case EXO_RSH:
	case EXO_ARSH:
		if (!reg && (u32)insn->imm >= width)
			return refuse_value(err, EXO_GRAFT_E_IMM, slot, insn->imm, width - 1);
		break;
	case EXO_ADD:
	case EXO_SUB:
	case EXO_MUL:
	case EXO_OR:
	case EXO_AND:
	case EXO_XOR:
	case EXO_MOV:
		break;
	default:
		return refuse(err, EXO_GRAFT_E_OPCODE, slot);
	}
	/* An offset is the newer signed division or the move with sign extension. */
	if (insn->off || (reg && insn->imm))
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	return use(prog, slot, true, reg, true, false, err);
}

static int decode_call(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];

	if (insn->off || insn->dst || insn->src)
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	if ((u32)insn->imm >= EXO_GRAFT_MAX_HELPERS || !(prog->hook->helpers >> insn->imm & 1) ||
	    !exo_helpers[insn->imm].name)
		return refuse_value(err, EXO_GRAFT_E_HELPER, slot, insn->imm, 0);
	/* Arguments are read, the result and the clobbered registers written. */
	prog->regs |= 0x3f;
	return 0;
}

static int decode_jump(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];
	bool reg = EXO_SRC(insn->code) == EXO_X;

	switch (EXO_OP(insn->code)) {
	case EXO_JEQ:
	case EXO_JGT:
	case EXO_JGE:
	case EXO_JSET:
	case EXO_JNE:
	case EXO_JSGT:
	case EXO_JSGE:
	case EXO_JLT:
	case EXO_JLE:
	case EXO_JSLT:
	case EXO_JSLE:
		if (reg && insn->imm)
			return refuse(err, EXO_GRAFT_E_RESERVED, slot);
		/* The sandbox would have to put the immediate into code as it is. */
		if (!reg && insn->dst == EXO_R10)
			return refuse_reg(err, slot, insn->dst);
		return use(prog, slot, true, reg, false, false, err);
	}
	if (insn->code == (EXO_JMP | EXO_CALL))
		return decode_call(prog, slot, err);
	if (insn->code == (EXO_JMP | EXO_EXIT)) {
		if (insn->off || insn->imm)
			return refuse(err, EXO_GRAFT_E_RESERVED, slot);
		prog->regs |= 1U << EXO_R0;
		return use(prog, slot, false, false, false, false, err);
	}
	if (insn->code != (EXO_JMP | EXO_JA))
		return refuse(err, EXO_GRAFT_E_OPCODE, slot);
	if (insn->imm)
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	return use(prog, slot, false, false, false, false, err);
}

static int decode_atomic(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];
	bool writes_src = insn->imm & EXO_FETCH;

	switch (insn->imm) {
	case EXO_CMPXCHG:
		writes_src = false;
		prog->regs |= 1U << EXO_R0;
		break;
	case EXO_XCHG:
	case EXO_ADD:
	case EXO_OR:
	case EXO_AND:
	case EXO_XOR:
	case EXO_ADD | EXO_FETCH:
	case EXO_OR | EXO_FETCH:
	case EXO_AND | EXO_FETCH:
	case EXO_XOR | EXO_FETCH:
		break;
	default:
		return refuse_value(err, EXO_GRAFT_E_IMM, slot, insn->imm, 0);
	}
	if (EXO_SIZE(insn->code) != EXO_W && EXO_SIZE(insn->code) != EXO_DW)
		return refuse(err, EXO_GRAFT_E_OPCODE, slot);
	return use(prog, slot, true, true, false, writes_src, err);
}

/* The stack is as deep as its deepest use. */
static int grow_stack(struct exo_graft_prog *prog, u32 slot, s64 off, u32 size,
		      struct exo_graft_error *err)
{
	if (off < -(s64)EXO_GRAFT_MAX_STACK || off + size > 0) {
		refuse_value(err, EXO_GRAFT_E_STACK, slot, off, EXO_GRAFT_MAX_STACK);
		err->size = size;
		return -EINVAL;
	}
	if (prog->stack < -off)
		prog->stack = (-off + 7) & ~7U;
	return 0;
}

static int decode_memory(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];
	bool load = EXO_CLASS(insn->code) == EXO_LDX;

	if (EXO_MODE(insn->code) == EXO_ATOMIC && EXO_CLASS(insn->code) == EXO_STX)
		return decode_atomic(prog, slot, err);
	if (EXO_MODE(insn->code) != EXO_MEM)
		return refuse(err, EXO_GRAFT_E_OPCODE, slot);
	if (EXO_CLASS(insn->code) == EXO_ST)
		return use(prog, slot, true, false, false, false, err);
	if (insn->imm)
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	return use(prog, slot, true, true, load, false, err);
}

static int decode_address(struct exo_graft_prog *prog, u32 slot, u64 size, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];

	/* Behind the last byte is an address, too, which C compares with. */
	if (!size || (u32)insn->imm > size)
		return refuse_value(err, EXO_GRAFT_E_PSEUDO, slot, (u32)insn->imm, size);
	if (insn[1].imm)
		return refuse(err, EXO_GRAFT_E_RESERVED, slot + 1);
	return 0;
}

static int decode_imm64(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	const struct exo_insn *insn = &prog->insns[slot];
	int ret = 0;

	if (insn->code != EXO_LD_IMM64)
		return refuse(err, EXO_GRAFT_E_OPCODE, slot);
	if (slot + 1 == prog->len)
		return refuse(err, EXO_GRAFT_E_END, slot);
	if (insn->off || insn[1].code || insn[1].dst || insn[1].src || insn[1].off)
		return refuse(err, EXO_GRAFT_E_RESERVED, slot);
	if (insn->dst > EXO_R9)
		return refuse_reg(err, slot, insn->dst);
	if (insn->src == EXO_PSEUDO_CONST)
		ret = decode_address(prog, slot, prog->const_size, err);
	else if (insn->src == EXO_PSEUDO_STATE)
		ret = decode_address(prog, slot, prog->state_size, err);
	else if (insn->src)
		return refuse_value(err, EXO_GRAFT_E_IMM, slot, insn->src, EXO_PSEUDO_STATE);
	prog->regs |= 1U << insn->dst;
	prog->slots[slot + 1] |= EXO_SLOT_SECOND;
	return ret;
}

static int decode_insn(struct exo_graft_prog *prog, u32 slot, struct exo_graft_error *err)
{
	switch (EXO_CLASS(prog->insns[slot].code)) {
	case EXO_ALU:
	case EXO_ALU64:
		return decode_alu(prog, slot, err);
	case EXO_JMP:
	case EXO_JMP32:
		return decode_jump(prog, slot, err);
	case EXO_LD:
		return decode_imm64(prog, slot, err);
	default:
		return decode_memory(prog, slot, err);
	}
}

/* Does what follows @insn run after it? */
static bool falls_through(const struct exo_insn *insn)
{
	return insn->code != (EXO_JMP | EXO_EXIT) && insn->code != (EXO_JMP | EXO_JA);
}

static int decode_targets(struct exo_graft_prog *prog, struct exo_graft_error *err)
{
	s64 slot, target;

	for (slot = 0; slot < prog->len; slot++) {
		if (prog->slots[slot] & EXO_SLOT_SECOND || !exo_is_jump(prog->insns[slot].code))
			continue;
		target = slot + 1 + prog->insns[slot].off;
		if (target < 0 || target >= prog->len || prog->slots[target] & EXO_SLOT_SECOND)
			return refuse_value(err, EXO_GRAFT_E_JUMP, slot, target, prog->len);
		prog->slots[target] |= EXO_SLOT_TARGET | (target <= slot ? EXO_SLOT_HEAD : 0);
	}
	if (!(prog->slots[prog->len - 1] & EXO_SLOT_SECOND) &&
	    !falls_through(&prog->insns[prog->len - 1]))
		return 0;
	return refuse(err, EXO_GRAFT_E_END, prog->len - 1);
}

/*
 * One sweep over the slots from @from on, marking what is reached. Returns the lowest slot that it
 * reached behind its back, or the program's length.
 */
static u32 sweep(struct exo_graft_prog *prog, u32 from)
{
	u32 slot, target, next, again = prog->len;

	for (slot = from; slot < prog->len; slot = next) {
		const struct exo_insn *insn = &prog->insns[slot];

		next = slot + (insn->code == EXO_LD_IMM64 ? 2 : 1);
		if (!(prog->slots[slot] & REACHED))
			continue;
		if (falls_through(insn) && next < prog->len)
			prog->slots[next] |= REACHED;
		if (!exo_is_jump(insn->code))
			continue;
		target = slot + 1 + insn->off;
		if (target < slot && target < again && !(prog->slots[target] & REACHED))
			again = target;
		prog->slots[target] |= REACHED;
	}
	return again;
}

/*
 * The sweeps end: each but the last marks a slot that none did before. There are at most as many as
 * backward jumps that reach something new, each of at most 4,096 steps.
 */
static int decode_reach(struct exo_graft_prog *prog, struct exo_graft_error *err)
{
	bool exits = false;
	u32 slot, from = 0;

	prog->slots[0] |= REACHED;
	while (from < prog->len)
		from = sweep(prog, from);
	for (slot = 0; slot < prog->len; slot++) {
		if (prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		if (!(prog->slots[slot] & REACHED))
			return refuse(err, EXO_GRAFT_E_UNREACHABLE, slot);
		prog->slots[slot] &= ~REACHED;
		exits |= prog->insns[slot].code == (EXO_JMP | EXO_EXIT);
	}
	return exits ? 0 : refuse(err, EXO_GRAFT_E_END, prog->len - 1);
}

/*
 * Accesses through r10, which must lie in the stack, and those through a register that holds r10 + constant:
 * an array is addressed so. That is computed where it is needed, which makes it enough to look at
 * straight-line code. One that leaves the stack at its top aborts when it runs.
 */
static int decode_stack(struct exo_graft_prog *prog, struct exo_graft_error *err)
{
	s64 off[EXO_R10 + 1] = {};
	u32 slot, known = 0;
	int ret = 0;

	for (slot = 0; slot < prog->len && !ret; slot++) {
		const struct exo_insn *insn = &prog->insns[slot];
		u32 class = EXO_CLASS(insn->code), bit = 1U << insn->dst;
		u32 base = class == EXO_LDX ? insn->src : insn->dst;
		s64 at = off[base] + insn->off;

		if (prog->slots[slot] & EXO_SLOT_TARGET)
			known = 0;
		if (prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		known |= 1U << EXO_R10;
		if (class >= EXO_LDX && class <= EXO_STX && known >> base & 1 && (base == EXO_R10 || at < 0))
			ret = grow_stack(prog, slot, at, base == EXO_R10 ? exo_insn_size(insn->code) : 0, err);
		if (insn->code == (EXO_ALU64 | EXO_MOV | EXO_X) && known >> insn->src & 1) {
			known |= bit;
			off[insn->dst] = off[insn->src];
		} else if (insn->code == (EXO_ALU64 | EXO_ADD | EXO_K) && known & bit) {
			off[insn->dst] += insn->imm;
			if (off[insn->dst] < 0)
				ret = grow_stack(prog, slot, off[insn->dst], 0, err);
		} else if (insn->code == (EXO_JMP | EXO_CALL)) {
			known &= ~0x3fU;
		} else if (class == EXO_STX && EXO_MODE(insn->code) == EXO_ATOMIC) {
			known &= ~(1U << EXO_R0 | 1U << insn->src);
		} else if (class == EXO_ALU || class == EXO_ALU64 || class == EXO_LDX || class == EXO_LD) {
			known &= ~bit;
		}
	}
	return ret;
}

/**
 * exo_graft_decode() - check that instructions are a graft
 * @prog: @hook, @insns, @len, @slots (zeroed), @const_size and @state_size are set; the rest is filled in
 * @err: what was wrong
 *
 * Total: any bytes may stand in @insns.
 *
 * Return: 0, or -EINVAL.
 */
int exo_graft_decode(struct exo_graft_prog *prog, struct exo_graft_error *err)
{
	u32 slot;
	int ret;

	*err = (struct exo_graft_error){ .code = EXO_GRAFT_FINE };
	prog->stack = 0;
	prog->regs = 1U << EXO_R1;
	prog->mixed = false;
	prog->worst = ~0ULL;
	if (!prog->len || prog->len > EXO_GRAFT_MAX_INSNS)
		return refuse_value(err, EXO_GRAFT_E_SIZE, 0, prog->len, EXO_GRAFT_MAX_INSNS);
	if (prog->const_size > EXO_GRAFT_MAX_CONST)
		return refuse_value(err, EXO_GRAFT_E_SIZE, 0, prog->const_size, EXO_GRAFT_MAX_CONST);
	if (prog->state_size % 4096 || prog->state_size / 4096 > EXO_GRAFT_MAX_STATE)
		return refuse_value(err, EXO_GRAFT_E_SIZE, 0, prog->state_size, EXO_GRAFT_MAX_STATE * 4096);
	if (prog->state_size && prog->hook->flags & EXO_HOOK_NEEDS_PURE)
		return refuse_value(err, EXO_GRAFT_E_SIZE, 0, prog->state_size, 0);

	for (slot = 0; slot < prog->len; slot++) {
		if (prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		ret = decode_insn(prog, slot, err);
		if (ret)
			return ret;
	}
	ret = decode_targets(prog, err);
	if (!ret)
		ret = decode_stack(prog, err);
	if (!ret)
		ret = decode_reach(prog, err);
	return ret;
}
