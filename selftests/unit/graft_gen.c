// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "core/graft_insn.h"
#include "graft_gen.h"

static u32 below(struct gen *gen, u32 n)
{
	return (u32)(gen->random() >> 16) % n;
}

static bool once_in(struct gen *gen, u32 n)
{
	return !below(gen, n);
}

static u64 edge(struct gen *gen)
{
	u64 power = 1ULL << below(gen, 64);

	switch (below(gen, 7)) {
	case 0:
		return below(gen, 5);
	case 1:
		return power;
	case 2:
		return power - 1;
	case 3:
		return -(u64)below(gen, 5);
	case 4:
		return (u32)gen->random();
	default:
		return gen->random();
	}
}

static void put(struct gen *gen, u8 code, u32 dst, u32 src, s32 off, s32 imm)
{
	gen->insns[gen->len++] = (struct exo_insn){ code, dst & 15, src & 15, (s16)off, imm };
}

static u32 reg(struct gen *gen)
{
	u32 r;

	do {
		r = below(gen, 10);
	} while (!(gen->regs >> r & 1));
	return r;
}

/* To read: r10 now and then. */
static u32 source(struct gen *gen)
{
	return once_in(gen, 24) ? 10 : reg(gen);
}

static s32 imm(struct gen *gen)
{
	return (s32)(once_in(gen, 2) ? below(gen, 40) : edge(gen));
}

static void imm64(struct gen *gen, u32 dst, u64 value, u32 pseudo)
{
	put(gen, EXO_LD_IMM64, dst, pseudo, 0, (s32)value);
	put(gen, 0, 0, 0, 0, (s32)(value >> 32));
}

static void make_alu(struct gen *gen)
{
	static const u8 ops[] = {
		EXO_ADD, EXO_SUB, EXO_MUL, EXO_DIV, EXO_OR, EXO_AND, EXO_LSH, EXO_RSH, EXO_NEG,
		EXO_MOD, EXO_XOR, EXO_MOV, EXO_ARSH, EXO_END, EXO_ADD, EXO_MOV, EXO_ADD,
	};
	u8 op = ops[below(gen, sizeof(ops))], class = once_in(gen, 3) ? EXO_ALU : EXO_ALU64;
	u32 width = class == EXO_ALU ? 32 : 64;
	s32 value = imm(gen);

	if (op == EXO_END) {
		put(gen, EXO_ALU | EXO_END | (once_in(gen, 2) ? EXO_X : EXO_K), reg(gen), 0, 0, 16 << below(gen, 3));
	} else if (op == EXO_NEG) {
		put(gen, class | EXO_NEG, reg(gen), 0, 0, 0);
	} else if (once_in(gen, 2)) {
		put(gen, class | op | EXO_X, reg(gen), source(gen), 0, 0);
	} else {
		if (op == EXO_LSH || op == EXO_RSH || op == EXO_ARSH)
			value = (s32)below(gen, width);
		if ((op == EXO_DIV || op == EXO_MOD) && !value)
			value = 3;
		put(gen, class | op | EXO_K, reg(gen), 0, 0, value);
	}
}

/* An address that is often good: of a region, near one of its ends, plus something. */
static u32 make_address(struct gen *gen)
{
	const struct exo_hook *hook = exo_hook_find(gen->hook);
	u32 r = reg(gen), i;

	gen->loads = false;
	switch (below(gen, 8)) {
	case 0:
		if (gen->const_size) {
			gen->loads = gen->careful;
			imm64(gen, r, below(gen, gen->const_size + 1), EXO_PSEUDO_CONST);
			break;
		}
		/* fall through */
	case 1:
		if (gen->state_size) {
			imm64(gen, r, 
			      !gen->careful && once_in(gen, 4) ? gen->state_size - below(gen, 12) :
			      below(gen, gen->state_size - 256),
			      EXO_PSEUDO_STATE);
			break;
		}
		/* fall through */
	case 2:
		put(gen, EXO_ALU64 | EXO_MOV | EXO_X, r, 10, 0, 0);
		put(gen, EXO_ALU64 | EXO_ADD | EXO_K, r, 0, 0, gen->careful ? -160 : -(s32)below(gen, 80));
		break;
	case 3:
		if (gen->careful) {
			put(gen, EXO_ALU64 | EXO_MOV | EXO_X, r, 6, 0, 0);
			gen->loads = true;
			return r;
		}
		/* An argument, which the input often makes an address. */
		for (i = 0; i < hook->nr_fields && hook->fields[i].type != EXO_FIELD_SCALAR; i++)
			;
		put(gen, EXO_LDX | EXO_MEM | EXO_DW, r, 6, hook->fields[i].off + 8 * (s32)below(gen, 2), 0);
		break;
	default:
		if (!hook->data_cap) {
			gen->loads = gen->careful;
			put(gen, EXO_ALU64 | EXO_MOV | EXO_X, r, 6, 0, 0);
			break;
		}
		gen->loads = gen->careful && !(hook->flags & EXO_HOOK_DATA_WRITABLE);
		put(gen, EXO_LDX | EXO_MEM | EXO_DW, r, 6, gen->careful ? 0 : 8 * (s32)once_in(gen, 4), 0);
	}
	if (once_in(gen, 3))
		put(gen, EXO_ALU64 | EXO_ADD | EXO_K, r, 0, 0, (s32)below(gen, 64) - (gen->careful ? 0 : 16));
	if (once_in(gen, 4)) {
		u32 other = reg(gen);

		put(gen, EXO_ALU64 | EXO_AND | EXO_K, other, 0, 0, (s32)below(gen, 64));
		put(gen, EXO_ALU64 | EXO_ADD | EXO_X, r, other, 0, 0);
	}
	return r;
}

static void make_access(struct gen *gen, u32 base, s32 off)
{
	static const u8 sizes[] = { EXO_B, EXO_H, EXO_W, EXO_DW, EXO_DW };
	static const s32 atomics[] = {
		EXO_ADD, EXO_OR, EXO_AND, EXO_XOR, EXO_ADD | EXO_FETCH, EXO_OR | EXO_FETCH,
		EXO_AND | EXO_FETCH, EXO_XOR | EXO_FETCH, EXO_XCHG, EXO_CMPXCHG,
	};
	u8 size = sizes[below(gen, sizeof(sizes))];
	u32 into = reg(gen);
	s32 op;

	if (gen->careful && into == base)
		into = reg(gen);
	switch (gen->loads ? 5 : below(gen, 6)) {
	case 0:
		put(gen, EXO_STX | EXO_MEM | size, base, source(gen), off, 0);
		break;
	case 1:
		put(gen, EXO_ST | EXO_MEM | size, base, 0, off, imm(gen));
		break;
	case 2:
		op = atomics[below(gen, 10)];
		off = !gen->careful && once_in(gen, 5) ? off : off & ~7;
		put(gen, EXO_STX | EXO_ATOMIC | (once_in(gen, 2) ? EXO_W : EXO_DW), base,
		    op & EXO_FETCH ? into : source(gen), off, op);
		break;
	default:
		put(gen, EXO_LDX | EXO_MEM | size, into, base, off, 0);
	}
}

static s32 offset(struct gen *gen)
{
	if (gen->careful)
		return (s32)below(gen, 24);
	if (once_in(gen, 40))
		return (s16)gen->random();
	return once_in(gen, 8) ? (s32)below(gen, 600) - 300 : (s32)below(gen, 48) - 8;
}

/* The context's fields, as they are. */
static void make_context(struct gen *gen)
{
	const struct exo_hook *hook = exo_hook_find(gen->hook);
	u32 field = below(gen, gen->careful ? hook->ctx_size / 8 : 12);

	gen->loads = gen->careful && 8 * field < hook->ctx_write;
	make_access(gen, 6, 8 * (s32)field);
}

static void make_memory(struct gen *gen)
{
	u32 base, other, n = 1 + below(gen, 6);
	bool loads;
	s32 off;

	if (once_in(gen, 4)) {
		gen->loads = false;
		off = -(s32)(8 + below(gen, 72));
		make_access(gen, 10, off);
		return;
	}
	if (once_in(gen, 3)) {
		make_context(gen);
		return;
	}
	base = !gen->careful && once_in(gen, 8) ? reg(gen) : make_address(gen);
	other = base;
	if (once_in(gen, 3)) {
		/* Two pointers in turn. */
		loads = gen->loads;
		other = make_address(gen);
		gen->loads |= loads;
		n += 4;
	}
	off = offset(gen);
	/* Unrolled. */
	while (n--) {
		make_access(gen, n & 1 ? base : other, off);
		off += 1 << below(gen, 4);
		if (off > 32767)
			off = 0;
		if (once_in(gen, 6)) {
			s32 by = (s32)below(gen, 40) - 20;

			put(gen, EXO_ALU64 | EXO_ADD | EXO_K, base, 0, 0, by);
			off -= by;
		} else if (once_in(gen, 6)) {
			u32 copy = reg(gen);

			put(gen, EXO_ALU64 | EXO_MOV | EXO_X, copy, base, 0, 0);
			base = copy;
		}
	}
}

static void make_call(struct gen *gen)
{
	const struct exo_hook *hook = exo_hook_find(gen->hook);
	u32 number = below(gen, EXO_GRAFT_MAX_HELPERS), i;

	if (!hook->helpers)
		return;
	while (!(hook->helpers >> number & 1))
		number = (number + 1) % EXO_GRAFT_MAX_HELPERS;
	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		const struct exo_helper_arg *arg = &exo_helpers[number].args[i];

		if (arg->type == EXO_ARG_SCALAR && arg->max < 1000)
			put(gen, EXO_ALU64 | EXO_MOV | EXO_K, 1 + i, 0, 0, (s32)below(gen, (u32)arg->max + 1 + once_in(gen, 16)));
		else if (arg->type == EXO_ARG_STATE && gen->state_size && !once_in(gen, 12))
			imm64(gen, 1 + i, once_in(gen, 16) ? gen->state_size :
			      4 * below(gen, gen->state_size / 4) & (once_in(gen, 16) ? ~0U : ~7U), EXO_PSEUDO_STATE);
		else if (arg->type != EXO_ARG_NONE && once_in(gen, 2))
			put(gen, EXO_ALU64 | EXO_MOV | EXO_K, 1 + i, 0, 0, imm(gen));
	}
	put(gen, EXO_JMP | EXO_CALL, 0, 0, 0, (s32)number);
}

static u8 jump_code(struct gen *gen)
{
	static const u8 ops[] = {
		EXO_JEQ, EXO_JGT, EXO_JGE, EXO_JSET, EXO_JNE, EXO_JSGT, EXO_JSGE, EXO_JLT, EXO_JLE,
		EXO_JSLT, EXO_JSLE,
	};

	return ops[below(gen, sizeof(ops))] | (once_in(gen, 3) ? EXO_JMP32 : EXO_JMP);
}

static void make_block(struct gen *gen, u32 depth);

static void land(struct gen *gen, u32 jump)
{
	gen->insns[jump].off = (s16)(gen->len - jump - 1);
}

static void put_branch(struct gen *gen)
{
	if (once_in(gen, 2))
		put(gen, jump_code(gen) | EXO_X, source(gen), source(gen), 0, 0);
	else
		put(gen, jump_code(gen) | EXO_K, reg(gen), 0, 0, imm(gen));
}

static void make_if(struct gen *gen, u32 depth)
{
	u32 branch = gen->len, over;

	put_branch(gen);
	make_block(gen, depth + 1);
	if (once_in(gen, 2)) {
		over = gen->len;
		put(gen, EXO_JMP | EXO_JA, 0, 0, 0, 0);
		land(gen, branch);
		make_block(gen, depth + 1);
		land(gen, over);
	} else {
		land(gen, branch);
	}
}

/* if (data + n > data_end) ... : what the lowering learns from. */
static void make_bound(struct gen *gen, u32 depth)
{
	static const u8 ops[] = { EXO_JGT, EXO_JGE, EXO_JLT, EXO_JLE };
	u32 p = reg(gen), q = reg(gen), end = reg(gen), branch, swap = below(gen, 2);
	s32 n = (s32)below(gen, 64);

	if (!exo_hook_find(gen->hook)->data_cap)
		return;
	gen->bound = (u32)n;
	put(gen, EXO_LDX | EXO_MEM | EXO_DW, p, 6, 0, 0);
	put(gen, EXO_LDX | EXO_MEM | EXO_DW, end, 6, 8, 0);
	put(gen, EXO_ALU64 | EXO_MOV | EXO_X, q, p, 0, 0);
	put(gen, EXO_ALU64 | EXO_ADD | EXO_K, q, 0, 0, n);
	gen->loads = gen->careful && !(exo_hook_find(gen->hook)->flags & EXO_HOOK_DATA_WRITABLE);
	branch = gen->len;
	put(gen, EXO_JMP | EXO_X | ops[below(gen, 4)], swap ? end : q, swap ? q : end, 0, 0);
	make_access(gen, p, (s32)below(gen, n + 8));
	make_block(gen, depth + 1);
	land(gen, branch);
	if (!gen->careful)
		make_access(gen, p, (s32)below(gen, n + 8));
}

static void make_loop(struct gen *gen, u32 depth)
{
	u32 counter = reg(gen), keep = gen->regs, head, jump;

	if (counter == 6)
		return;
	if (once_in(gen, 2))
		put(gen, EXO_ALU64 | EXO_MOV | EXO_K, counter, 0, 0, (s32)below(gen, 12));
	/* Mostly the body leaves the counter alone. */
	if (!once_in(gen, 8) && gen->regs & ~(1U << counter | 1U << 6))
		gen->regs &= ~(1U << counter);
	head = gen->len;
	make_block(gen, depth + 1);
	gen->regs = keep;
	put(gen, EXO_ALU64 | EXO_ADD | EXO_K, counter, 0, 0, once_in(gen, 4) ? 1 : -1);
	jump = gen->len;
	if (once_in(gen, 3))
		put_branch(gen);
	else
		put(gen, (once_in(gen, 2) ? EXO_JSGT : EXO_JNE) | EXO_JMP | EXO_K, counter, 0, 0, 0);
	gen->insns[jump].off = (s16)(head - jump - 1);
}

static void make_block(struct gen *gen, u32 depth)
{
	u32 n = 1 + below(gen, depth ? 5 : 12);

	while (n-- && gen->len < gen->room) {
		switch (below(gen, depth < 4 ? 16 : 10)) {
		case 0:
			imm64(gen, reg(gen), edge(gen), 0);
			break;
		case 1:
		case 2:
		case 3:
		case 4:
			make_memory(gen);
			break;
		case 5:
			if (once_in(gen, 3))
				make_call(gen);
			break;
		case 10:
		case 11:
		case 12:
			make_if(gen, depth);
			break;
		case 13:
			make_bound(gen, depth);
			break;
		case 14:
		case 15:
			make_loop(gen, depth);
			break;
		default:
			make_alu(gen);
		}
	}
}

/* An address, or a number. */
static u64 value(struct gen *gen)
{
	u64 base = EXO_GRAFT_BASE + 4096 * below(gen, 6);

	return once_in(gen, 3) ? edge(gen) : once_in(gen, 2) ? base + below(gen, 4096) : base - below(gen, 16);
}

static void make_input(struct gen *gen)
{
	u32 i;

	for (i = 0; i < sizeof(gen->data); i++)
		gen->data[i] = (u8)gen->random();
	for (i = 0; i < 4; i++)
		gen->input.arg[i] = value(gen);
	gen->input.data = gen->data;
	if (gen->bound != ~0U && once_in(gen, 2))
		gen->input.data_size = gen->bound ? gen->bound - 1 + below(gen, 3) : 0;
	else if (gen->careful)
		gen->input.data_size = 300 + below(gen, 300);
	else if (once_in(gen, 2))
		gen->input.data_size = below(gen, 100);
	else
		gen->input.data_size = once_in(gen, 4) ? 0 : below(gen, sizeof(gen->data) + 1);
	gen->input.state = gen->state;
	gen->input.budget = gen->len + (once_in(gen, 4) ? below(gen, 300) : 1000);
}

void gen_make(struct gen *gen, u32 size)
{
	bool all;
	u32 i;

	gen->len = 0;
	gen->bound = ~0U;
	gen->careful = !once_in(gen, 3);
	gen->hook = EXO_HOOK_PURE + below(gen, 5);
	gen->const_size = once_in(gen, 2) ? 0 : 1 + below(gen, sizeof(gen->consts));
	gen->state_size = exo_hook_find(gen->hook)->flags & EXO_HOOK_NEEDS_PURE ? 0 : 4096 * below(gen, 3);
	for (i = 0; i < sizeof(gen->consts); i++)
		gen->consts[i] = (u8)gen->random();
	gen->room = size;
	/* Few registers, so that they meet again; or all, so that the lowering has none to itself. */
	all = once_in(gen, 4);
	gen->regs = once_in(gen, 3) ? 0x3ff : ((u32)gen->random() & 0x3ff) | 1;
	if (!(gen->regs & ~(1U << 6)))
		gen->regs |= 2;
	gen->regs &= once_in(gen, 16) ? ~0U : ~(1U << 6);
	put(gen, EXO_ALU64 | EXO_MOV | EXO_X, 6, 1, 0, 0);
	for (i = 0; i < 10 && all; i++)
		if (i != 6)
			put(gen, EXO_ALU64 | EXO_XOR | EXO_K, i, 0, 0, (s32)gen->random());
	/* The stack is deep enough for what is done with r10 - 160. */
	if (gen->careful)
		put(gen, EXO_ST | EXO_MEM | EXO_DW, 10, 0, -160, 1);
	while (gen->len < size)
		make_block(gen, 0);
	if (once_in(gen, 2))
		put(gen, EXO_ALU64 | EXO_MOV | EXO_X, 0, reg(gen), 0, 0);
	put(gen, EXO_JMP | EXO_EXIT, 0, 0, 0, 0);
	make_input(gen);
}
