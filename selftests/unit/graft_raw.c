// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_raw.h"

#define FRAME 512

struct cpu {
	struct raw *raw;
	const struct exo_insn *insn;
	u64 reg[EXO_AX + 1];
	u64 frame[FRAME / 8];
	bool proof;
	bool stop;		/* the interpreter would stop here */
};

static u64 noise(struct raw *raw)
{
	raw->noise = raw->noise * 6364136223846793005ULL + 1442695040888963407ULL;
	return raw->noise ^ raw->noise >> 31;
}

static void *bad(struct cpu *cpu, const char *what)
{
	if (!cpu->raw->bad) {
		cpu->raw->bad = what;
		cpu->raw->bad_at = cpu->insn - cpu->raw->insns;
	}
	cpu->stop = true;
	return NULL;
}

static bool inside(u64 at, u64 size, const void *begin, u64 len)
{
	u64 lo = (u64)begin;

	return at >= lo && at - lo <= len && len - (at - lo) >= size;
}

/* In the sandbox every address is real: the frame, the record, or what the interpreter would allow. */
static void *real(struct cpu *cpu, u64 at, u64 size, bool write)
{
	struct world *world = cpu->raw->world;
	u64 lo = write ? world->layout.write_lo : world->layout.read_lo;
	u64 hi = write ? world->run->write_hi : world->run->read_hi;

	if (inside(at, size, cpu->frame, FRAME) ||
	    inside(at, size, world->run, offsetof(struct exo_graft_run, ctx)) ||
	    inside(at, size, world_at(world, lo), hi - lo))
		return (void *)at;
	return bad(cpu, "an access outside");
}

/* In proof mode: the graft's accesses, which it makes as they are, are the interpreter's. */
static void *virtual(struct cpu *cpu, u64 at, u64 size, u32 base, bool write, bool atomic)
{
	struct raw *raw = cpu->raw;
	struct world *world = raw->world;
	u64 lo = write ? world->layout.write_lo : world->layout.read_lo;
	u64 hi = write ? world->run->write_hi : world->run->read_hi;
	u64 ctx = world->layout.start[EXO_REGION_CTX], top = world->layout.start[EXO_REGION_STATE];
	u32 origin = raw->origin[cpu->insn - raw->insns];

	if (origin < world->prog.len && !memcmp(cpu->insn, &world->insns[origin], sizeof(*cpu->insn))) {
		if (at < lo || at > hi || hi - at < size || (atomic && at & (size - 1))) {
			world->run->status = EXO_GRAFT_ABORT_ACCESS;
			cpu->stop = true;
			return NULL;
		}
		return world_at(world, at);
	}
	if (base == EXO_R10 && at >= top - FRAME && at < top - world->prog.stack)
		return (u8 *)cpu->frame + FRAME - (top - at);
	at -= ctx - offsetof(struct exo_graft_run, ctx);
	if (at < offsetof(struct exo_graft_run, ctx))
		return (u8 *)world->run + at;
	return bad(cpu, "an access of its own outside");
}

static void *translate(struct cpu *cpu, u32 base, u32 size, bool write)
{
	u64 at = cpu->reg[base] + (u64)(s64)cpu->insn->off;
	bool atomic = EXO_MODE(cpu->insn->code) == EXO_ATOMIC;

	if (cpu->proof)
		return virtual(cpu, at, size, base, write, atomic);
	if (atomic && at & (size - 1))
		return bad(cpu, "an atomic that isn't aligned");
	return real(cpu, at, size, write);
}

/* What the JIT makes of an instruction: x86 instructions, and AX for blinding. */
static u32 cost(const struct exo_insn *insn)
{
	u32 class = EXO_CLASS(insn->code), op = EXO_OP(insn->code);
	bool k = EXO_SRC(insn->code) == EXO_K, ax = insn->dst == EXO_AX;

	switch (class) {
	case EXO_ALU:
	case EXO_ALU64:
		if (op == EXO_DIV || op == EXO_MOD)
			return k ? 10 : 8;
		if (op == EXO_LSH || op == EXO_RSH || op == EXO_ARSH)
			return k ? 1 : 4;
		if (op == EXO_END)
			return insn->imm == 16 ? 2 : 1;
		if (op == EXO_NEG || !k || ax || (op == EXO_MOV && !insn->imm))
			return 1;
		return 3;
	case EXO_JMP:
	case EXO_JMP32:
		if (op == EXO_JA || op == EXO_CALL)
			return 1;
		if (op == EXO_EXIT)
			return 3;
		return k && !ax ? 4 : 2;
	case EXO_LD:
		return 7;
	case EXO_ST:
		return insn->code == EXO_NOSPEC || ax ? 1 : 3;
	case EXO_STX:
		return EXO_MODE(insn->code) == EXO_ATOMIC && (insn->imm & 0xf1) != EXO_FETCH &&
		       insn->imm & EXO_FETCH && insn->imm < EXO_XCHG ? 8 : 1;
	}
	return 1;
}

static bool loses_ax(const struct exo_insn *insn)
{
	u32 class = EXO_CLASS(insn->code), op = EXO_OP(insn->code);
	bool k = EXO_SRC(insn->code) == EXO_K;

	if (insn->dst == EXO_AX || (insn->src == EXO_AX && class != EXO_STX))
		return false;
	if (class == EXO_ALU || class == EXO_ALU64)
		return k && op != EXO_NEG && op != EXO_END;
	if (class == EXO_JMP || class == EXO_JMP32)
		return k && op != EXO_JA && op != EXO_EXIT && op != EXO_CALL;
	if (class == EXO_ST)
		return insn->code != EXO_NOSPEC;
	return class == EXO_LD;
}

/* The forms that the JIT would get wrong, or that must not be there. */
static void inspect(struct cpu *cpu)
{
	const struct exo_insn *insn = cpu->insn;
	bool needs_ax = EXO_CLASS(insn->code) == EXO_STX && EXO_MODE(insn->code) == EXO_ATOMIC &&
			(insn->imm == (EXO_OR | EXO_FETCH) || insn->imm == (EXO_AND | EXO_FETCH) ||
			 insn->imm == (EXO_XOR | EXO_FETCH));

	if (insn->code == EXO_LD_IMM64 && insn->dst == EXO_AX)
		bad(cpu, "LD_IMM64 into AX");
	if (EXO_CLASS(insn->code) == EXO_ST && insn->code != EXO_NOSPEC && insn->dst == EXO_AX &&
	    (insn->imm < -128 || insn->imm > 127))
		bad(cpu, "an immediate stored through AX");
	if (needs_ax && (insn->dst == EXO_AX || insn->src == EXO_AX))
		bad(cpu, "an atomic with AX that needs it itself");
	if (insn->dst == EXO_R10 && (EXO_CLASS(insn->code) == EXO_ALU || EXO_CLASS(insn->code) == EXO_ALU64 ||
				     EXO_CLASS(insn->code) == EXO_LDX))
		bad(cpu, "r10 written");
	if (loses_ax(insn) || needs_ax)
		cpu->reg[EXO_AX] = noise(cpu->raw);
}

static u64 shift(u32 op, u64 a, u64 b, u32 width)
{
	b &= width - 1;
	if (op == EXO_LSH)
		return a << b;
	if (op == EXO_RSH)
		return a >> b;
	return width == 64 ? (u64)((s64)a >> b) : (u64)((s32)(u32)a >> b);
}

static void alu(struct cpu *cpu)
{
	const struct exo_insn *insn = cpu->insn;
	bool wide = EXO_CLASS(insn->code) == EXO_ALU64;
	u64 *dst = &cpu->reg[insn->dst], a = *dst;
	u64 b = EXO_SRC(insn->code) == EXO_X ? cpu->reg[insn->src] : (u64)(s64)insn->imm;
	u32 op = EXO_OP(insn->code);

	if (op == EXO_END) {
		if (EXO_SRC(insn->code) == EXO_X)
			a = insn->imm == 16 ? __builtin_bswap16((u16)a) : insn->imm == 32 ?
			    __builtin_bswap32((u32)a) : __builtin_bswap64(a);
		*dst = insn->imm == 16 ? (u16)a : insn->imm == 32 ? (u32)a : a;
		return;
	}
	if (!wide) {
		a = (u32)a;
		b = (u32)b;
	}
	if ((op == EXO_DIV || op == EXO_MOD) && !b) {
		bad(cpu, "a division by zero");
		return;
	}
	switch (op) {
	case EXO_ADD:
		a += b;
		break;
	case EXO_SUB:
		a -= b;
		break;
	case EXO_MUL:
		a *= b;
		break;
	case EXO_DIV:
		a /= b;
		break;
	case EXO_MOD:
		a %= b;
		break;
	case EXO_OR:
		a |= b;
		break;
	case EXO_AND:
		a &= b;
		break;
	case EXO_XOR:
		a ^= b;
		break;
	case EXO_NEG:
		a = -a;
		break;
	case EXO_MOV:
		a = b;
		break;
	default:
		a = shift(op, a, b, wide ? 64 : 32);
	}
	*dst = wide ? a : (u32)a;
}

static bool condition(struct cpu *cpu)
{
	const struct exo_insn *insn = cpu->insn;
	bool narrow = EXO_CLASS(insn->code) == EXO_JMP32;
	u64 a = cpu->reg[insn->dst];
	u64 b = EXO_SRC(insn->code) == EXO_X ? cpu->reg[insn->src] : (u64)(s64)insn->imm;
	s64 sa = narrow ? (s32)a : (s64)a, sb = narrow ? (s32)b : (s64)b;

	if (narrow) {
		a = (u32)a;
		b = (u32)b;
	}
	switch (EXO_OP(insn->code)) {
	case EXO_JEQ:
		return a == b;
	case EXO_JNE:
		return a != b;
	case EXO_JGT:
		return a > b;
	case EXO_JGE:
		return a >= b;
	case EXO_JLT:
		return a < b;
	case EXO_JLE:
		return a <= b;
	case EXO_JSET:
		return a & b;
	case EXO_JSGT:
		return sa > sb;
	case EXO_JSGE:
		return sa >= sb;
	case EXO_JSLT:
		return sa < sb;
	case EXO_JSLE:
		return sa <= sb;
	}
	return true;
}

static u64 load(const void *at, u32 size)
{
	u64 value = 0;

	memcpy(&value, at, size);
	return value;
}

static void atomic(struct cpu *cpu, void *at, u32 size)
{
	const struct exo_insn *insn = cpu->insn;
	u64 old = load(at, size), src = cpu->reg[insn->src], new = src, r0 = cpu->reg[0];

	switch (insn->imm & ~EXO_FETCH) {
	case EXO_ADD:
		new = old + src;
		break;
	case EXO_OR:
		new = old | src;
		break;
	case EXO_AND:
		new = old & src;
		break;
	case EXO_XOR:
		new = old ^ src;
		break;
	}
	if (insn->imm == EXO_CMPXCHG) {
		bool equal = size == 8 ? old == r0 : (u32)old == (u32)r0;

		/* x86 leaves RAX alone when it is equal, the upper half, too. */
		if (!equal) {
			cpu->reg[0] = old;
			return;
		}
	} else if (insn->imm & EXO_FETCH) {
		cpu->reg[insn->src] = old;
	}
	memcpy(at, &new, size);
}

static void memory(struct cpu *cpu)
{
	const struct exo_insn *insn = cpu->insn;
	u32 class = EXO_CLASS(insn->code), size = exo_insn_size(insn->code);
	u64 value = class == EXO_ST ? (u64)(s64)insn->imm : cpu->reg[insn->src];
	void *at;

	if (insn->code == EXO_NOSPEC) {
		cpu->raw->barriers++;
		return;
	}
	at = translate(cpu, class == EXO_LDX ? insn->src : insn->dst, size, class != EXO_LDX);
	if (!at)
		return;
	if (class == EXO_LDX)
		cpu->reg[insn->dst] = load(at, size);
	else if (EXO_MODE(insn->code) == EXO_ATOMIC)
		atomic(cpu, at, size);
	else
		memcpy(at, &value, size);
}

/* Proved code passes virtual addresses here; what proof would have excluded is the interpreter's abort. */
static bool argument(struct cpu *cpu, const struct exo_helper_arg *arg, u64 *value)
{
	struct world *world = cpu->raw->world;
	u64 state = world->layout.start[EXO_REGION_STATE], size = world->prog.state_size, at = *value;

	if (arg->type == EXO_ARG_SCALAR && (at < arg->min || at > arg->max)) {
		world->run->status = EXO_GRAFT_ABORT_HELPER;
		return false;
	}
	if (arg->type == EXO_ARG_STATE) {
		if (at < state || at - state > size || size - (at - state) < arg->min || at & 7) {
			world->run->status = EXO_GRAFT_ABORT_ACCESS;
			return false;
		}
		*value = (u64)world_at(world, at);
	}
	return true;
}

static void call(struct cpu *cpu)
{
	struct world *world = cpu->raw->world;
	u64 run = cpu->proof ? world->layout.start[EXO_REGION_CTX] - offsetof(struct exo_graft_run, ctx) :
			       (u64)world->run;
	u32 number = (u32)cpu->insn->imm - 1000, i;
	u64 args[EXO_GRAFT_MAX_ARGS];

	if (number >= EXO_GRAFT_MAX_HELPERS || !world_helpers[number]) {
		bad(cpu, "a call of something else");
		return;
	}
	if (cpu->reg[EXO_R5] != run) {
		bad(cpu, "a call without the run");
		return;
	}
	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		args[i] = cpu->reg[EXO_R1 + i];
		if (cpu->proof && !argument(cpu, &exo_helpers[number].args[i], &args[i])) {
			cpu->stop = true;
			return;
		}
	}
	cpu->reg[0] = world_helpers[number](args[0], args[1], args[2], args[3], world->run);
	for (i = EXO_R1; i <= EXO_R5; i++)
		cpu->reg[i] = cpu->proof ? 0 : noise(cpu->raw);
	cpu->reg[EXO_AX] = noise(cpu->raw);
}

static void start(struct cpu *cpu, struct raw *raw)
{
	struct world *world = raw->world;
	u32 i;

	cpu->raw = raw;
	cpu->stop = false;
	cpu->proof = raw->target.mode == EXO_GRAFT_PROOF;
	for (i = 0; i <= EXO_AX; i++)
		cpu->reg[i] = cpu->proof && world->prog.regs >> i & 1 ? 0 : noise(raw);
	for (i = 0; i < FRAME / 8; i++)
		cpu->frame[i] = noise(raw);
	if (cpu->proof) {
		cpu->reg[EXO_R1] = world->layout.start[EXO_REGION_CTX];
		cpu->reg[EXO_R10] = world->layout.start[EXO_REGION_STATE];
	} else {
		cpu->reg[EXO_R1] = (u64)world->run->ctx;
		cpu->reg[EXO_R10] = (u64)cpu->frame + FRAME;
	}
	raw->steps = 0;
	/* push rbp; mov; sub; ... and what is saved of r6 to r9 */
	raw->x86 = 4;
	raw->barriers = 0;
	raw->bad = NULL;
}

u32 raw_run(struct raw *raw)
{
	struct cpu cpu;
	s64 pc, len = raw->target.len;
	u32 saved = 0, i;

	start(&cpu, raw);
	for (i = 0; i < len; i++)
		saved |= (1U << raw->insns[i].dst | 1U << raw->insns[i].src) & 0x3c0;
	raw->x86 += 2 * __builtin_popcount(saved);
	for (pc = 0; !cpu.stop; pc++) {
		cpu.insn = &raw->insns[pc];
		if (pc < 0 || pc >= len || raw->steps > 100000000) {
			cpu.insn = raw->insns;
			bad(&cpu, "it runs away");
			break;
		}
		raw->steps++;
		raw->x86 += cost(cpu.insn);
		inspect(&cpu);
		switch (EXO_CLASS(cpu.insn->code)) {
		case EXO_ALU:
		case EXO_ALU64:
			alu(&cpu);
			break;
		case EXO_LD:
			cpu.reg[cpu.insn->dst] = (u64)(u32)cpu.insn[1].imm << 32 | (u32)cpu.insn->imm;
			pc++;
			break;
		case EXO_JMP:
		case EXO_JMP32:
			if (cpu.insn->code == (EXO_JMP | EXO_EXIT))
				return (u32)cpu.reg[0];
			if (cpu.insn->code == (EXO_JMP | EXO_CALL))
				call(&cpu);
			else if (condition(&cpu))
				pc += cpu.insn->off;
			break;
		default:
			memory(&cpu);
		}
	}
	return 0;
}

struct raw *raw_new(struct world *world)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	u32 i;

	if (!raw)
		abort();
	raw->world = world;
	for (i = 0; i < EXO_GRAFT_MAX_HELPERS; i++)
		raw->helper_imm[i] = 1000 + (s32)i;
	return raw;
}

void raw_free(struct raw *raw)
{
	free(raw);
}

int raw_lower(struct raw *raw, u32 mode, bool barriers)
{
	struct world *world = raw->world;

	if (exo_graft_lower_room(&world->prog) > sizeof(raw->work))
		abort();
	raw->target = (struct exo_graft_target){
		.mode = mode,
		.barriers = barriers,
		.layout = &world->layout,
		.consts = world->layout.start[EXO_REGION_CONST],
		.state = world->layout.start[EXO_REGION_STATE],
		.helper_imm = raw->helper_imm,
		.insns = raw->insns,
		.room = EXO_GRAFT_MAX_LOWERED,
		.origin = raw->origin,
		.work = raw->work,
	};
	return exo_graft_lower(&world->prog, &raw->target, &world->error);
}

void raw_print(const struct raw *raw)
{
	u32 i;

	for (i = 0; i < raw->target.len; i++)
		printf("# %4u %5d: %02x dst %u src %u off %d imm %d\n", i, (s16)raw->origin[i], raw->insns[i].code,
		       raw->insns[i].dst, raw->insns[i].src, raw->insns[i].off, raw->insns[i].imm);
}
