// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instructions as text, in the notation of RFC 9669's examples and of llvm-objdump. It must cope
 * with any bytes: what isn't an instruction is shown as such.
 */
#include <stdio.h>
#include <string.h>

#include "graft.h"

#define CLASS(code) ((code) & 7)
#define OP(code) ((code) >> 4)
#define IS_REG(code) ((code) & 8)
#define REG_AX 11

enum { LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 };

#define MODE(code) ((code) & 0xe0)
#define MODE_IMM 0x00
#define MODE_MEM 0x60
#define MODE_ATOMIC 0xc0	/* with ST: the barrier */
#define SIZE(code) (((code) >> 3) & 3)

/* What an instruction is written with: 32-bit registers are called w. */
struct operand {
	char text[16];
};

static struct operand reg(uint32_t number, bool narrow)
{
	struct operand operand;

	if (number == REG_AX)
		snprintf(operand.text, sizeof(operand.text), "ax");
	else
		snprintf(operand.text, sizeof(operand.text), "%c%u", narrow ? 'w' : 'r', number);
	return operand;
}

static struct operand source(const struct exo_insn *insn, bool narrow)
{
	struct operand operand;

	if (IS_REG(insn->code))
		return reg(insn->src, narrow);
	snprintf(operand.text, sizeof(operand.text), "%d", insn->imm);
	return operand;
}

static const char *width(uint8_t code)
{
	static const char *const names[] = { "u32", "u16", "u8", "u64" };

	return names[SIZE(code)];
}

static void unknown(const struct exo_insn *insn, char *text, size_t size)
{
	snprintf(text, size, "(no instruction: code 0x%02x dst %u src %u off %d imm %d)",
		 insn->code, insn->dst, insn->src, insn->off, insn->imm);
}

static void alu(const struct exo_insn *insn, char *text, size_t size)
{
	static const char *const ops[] = { "+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=",
					   NULL, "%=", "^=", "=", "s>>=" };
	bool narrow = CLASS(insn->code) == ALU;
	uint32_t op = OP(insn->code);
	struct operand dst = reg(insn->dst, narrow);

	if (op == 8)
		snprintf(text, size, "%s = -%s", dst.text, dst.text);
	else if (op == 13 && narrow)
		snprintf(text, size, "r%u = %s%d r%u", insn->dst, IS_REG(insn->code) ? "be" : "le",
			 insn->imm, insn->dst);
	else if (op < sizeof(ops) / sizeof(ops[0]))
		snprintf(text, size, "%s %s %s", dst.text, ops[op], source(insn, narrow).text);
	else
		unknown(insn, text, size);
}

static void call(const struct exo_insn *insn, char *text, size_t size)
{
	uint32_t helper = (uint32_t)insn->imm;

	if (insn->src)
		snprintf(text, size, "call a function %d instructions on", insn->imm + 1);
	else if (helper < EXO_GRAFT_MAX_HELPERS && exo_helpers[helper].name)
		snprintf(text, size, "call %s", exo_helpers[helper].name);
	else
		snprintf(text, size, "call helper %d", insn->imm);
}

static void jump(const struct exo_insn *insn, uint32_t slot, char *text, size_t size)
{
	static const char *const ops[] = { NULL, "==", ">", ">=", "&", "!=", "s>", "s>=",
					   NULL, NULL, "<", "<=", "s<", "s<=" };
	bool narrow = CLASS(insn->code) == JMP32;
	uint32_t op = OP(insn->code);
	int32_t target = (int32_t)slot + 1 + insn->off;

	if (op == 0 && !narrow)
		snprintf(text, size, "goto %d", target);
	else if (op == 8 && !narrow && !IS_REG(insn->code))
		call(insn, text, size);
	else if (op == 9 && !narrow)
		snprintf(text, size, "exit");
	else if (op < sizeof(ops) / sizeof(ops[0]) && ops[op])
		snprintf(text, size, "if %s %s %s goto %d", reg(insn->dst, narrow).text, ops[op],
			 source(insn, narrow).text, target);
	else
		unknown(insn, text, size);
}

static void atomic(const struct exo_insn *insn, char *text, size_t size)
{
	bool narrow = SIZE(insn->code) == 0;
	struct operand dst = reg(insn->dst, false), src = reg(insn->src, narrow);
	const char *op = NULL;

	switch (insn->imm & ~1) {
	case 0x00:
		op = "add";
		break;
	case 0x40:
		op = "or";
		break;
	case 0x50:
		op = "and";
		break;
	case 0xa0:
		op = "xor";
		break;
	}
	if (op && insn->imm & 1)
		snprintf(text, size, "%s = atomic_fetch_%s((%s *)(%s %+d), %s)", src.text, op,
			 width(insn->code), dst.text, insn->off, src.text);
	else if (op)
		snprintf(text, size, "atomic_%s((%s *)(%s %+d), %s)", op, width(insn->code),
			 dst.text, insn->off, src.text);
	else if (insn->imm == 0xe1)
		snprintf(text, size, "%s = xchg((%s *)(%s %+d), %s)", src.text, width(insn->code),
			 dst.text, insn->off, src.text);
	else if (insn->imm == 0xf1)
		snprintf(text, size, "%c0 = cmpxchg((%s *)(%s %+d), %c0, %s)", narrow ? 'w' : 'r',
			 width(insn->code), dst.text, insn->off, narrow ? 'w' : 'r', src.text);
	else
		unknown(insn, text, size);
}

static void memory(const struct exo_insn *insn, char *text, size_t size)
{
	struct operand dst = reg(insn->dst, false), src = reg(insn->src, false);
	uint32_t class = CLASS(insn->code), mode = MODE(insn->code);

	if (mode == MODE_MEM && class == LDX)
		snprintf(text, size, "%s = *(%s *)(%s %+d)", dst.text, width(insn->code), src.text,
			 insn->off);
	else if (mode == MODE_MEM && class == STX)
		snprintf(text, size, "*(%s *)(%s %+d) = %s", width(insn->code), dst.text, insn->off,
			 src.text);
	else if (mode == MODE_MEM && class == ST)
		snprintf(text, size, "*(%s *)(%s %+d) = %d", width(insn->code), dst.text, insn->off,
			 insn->imm);
	else if (mode == MODE_ATOMIC && class == STX)
		atomic(insn, text, size);
	else if (mode == MODE_ATOMIC && class == ST)
		snprintf(text, size, "barrier");
	else
		unknown(insn, text, size);
}

static void wide(const struct exo_insn *insn, const struct exo_insn *next, char *text, size_t size)
{
	uint64_t value = (uint32_t)insn->imm;

	if (next)
		value |= (uint64_t)(uint32_t)next->imm << 32;
	if (insn->src == EXO_PSEUDO_CONST)
		snprintf(text, size, "r%u = &constants[0x%llx]", insn->dst,
			 (unsigned long long)value);
	else if (insn->src == EXO_PSEUDO_STATE)
		snprintf(text, size, "r%u = &state[0x%llx]", insn->dst, (unsigned long long)value);
	else if (!insn->src)
		snprintf(text, size, "r%u = 0x%llx ll", insn->dst, (unsigned long long)value);
	else
		unknown(insn, text, size);
}

void graft_listing_text(const struct exo_insn *insn, const struct exo_insn *next, uint32_t slot,
			char *text, size_t size)
{
	switch (CLASS(insn->code)) {
	case ALU:
	case ALU64:
		alu(insn, text, size);
		break;
	case JMP:
	case JMP32:
		jump(insn, slot, text, size);
		break;
	case LD:
		if (MODE(insn->code) == MODE_IMM && SIZE(insn->code) == 3)
			wide(insn, next, text, size);
		else
			unknown(insn, text, size);
		break;
	default:
		memory(insn, text, size);
		break;
	}
}
