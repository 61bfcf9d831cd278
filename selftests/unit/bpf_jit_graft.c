// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of lib/test_bpf.c as grafts. They are grafts but for three things: nobody minds there
 * what can't be reached, r1 is memory or nothing, and many have a hundred thousand instructions. These
 * are cut where no jump goes over the cut.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf_graft.h"

#define PART 3000U

static struct exo_insn *put(struct bpf_graft *out, u8 code, u32 dst, u32 src, s32 off, s32 imm)
{
	struct exo_insn *insn = &out->insns[out->len++];

	*insn = (struct exo_insn){ code, dst & 15, src & 15, (s16)off, imm };
	return insn;
}

static void put_state(struct bpf_graft *out, u32 dst, s32 off)
{
	put(out, EXO_LD_IMM64, dst, EXO_PSEUDO_STATE, 0, off);
	put(out, 0, 0, 0, 0, 0);
}

static void put_load(struct bpf_graft *out, u32 dst, u32 base, s32 off)
{
	put(out, EXO_LDX | EXO_MEM | EXO_DW, dst, base, off, 0);
}

static void put_store(struct bpf_graft *out, u32 base, s32 off, u32 src)
{
	put(out, EXO_STX | EXO_MEM | EXO_DW, base, src, off, 0);
}

u32 bpf_slots(const struct exo_insn *insn)
{
	return insn->code == EXO_LD_IMM64 ? 2 : 1;
}

static bool falls_through(const struct exo_insn *insn)
{
	return insn->code != (EXO_JMP | EXO_EXIT) && insn->code != (EXO_JMP | EXO_JA);
}

/* Returns false if a jump goes outside. */
static bool reach(const struct exo_insn *insns, u32 len, u8 *reached)
{
	u32 *todo = calloc(len + 1, sizeof(*todo)), nr = 0, slot;
	bool ok = true;

	todo[nr++] = 0;
	reached[0] = 1;
	while (ok && nr) {
		s64 to[2] = { -1, -1 };
		u32 i;

		slot = todo[--nr];
		if (falls_through(&insns[slot]))
			to[0] = slot + bpf_slots(&insns[slot]);
		if (exo_is_jump(insns[slot].code))
			to[1] = (s64)slot + 1 + insns[slot].off;
		for (i = 0; i < 2; i++) {
			if (to[i] < 0 && !(i && exo_is_jump(insns[slot].code)))
				continue;
			if (to[i] < 0 || to[i] >= len) {
				ok = false;
			} else if (!reached[to[i]]) {
				reached[to[i]] = 1;
				todo[nr++] = (u32)to[i];
			}
		}
	}
	free(todo);
	return ok;
}

/* What is reached, closed up. */
static const char *strip(struct jit_parts *parts)
{
	const struct jit_case *from = parts->from;
	u8 *reached = calloc(from->len + 1, 1);
	u32 *at = calloc(from->len + 1, sizeof(*at)), slot, n;
	const char *why = NULL;

	if (!reach(from->insns, from->len, reached)) {
		why = "a jump to nowhere";
		goto out;
	}
	parts->insns = calloc(from->len, sizeof(*parts->insns));
	for (slot = 0; slot < from->len; slot += n) {
		n = bpf_slots(&from->insns[slot]);
		at[slot] = parts->len;
		if (!reached[slot])
			continue;
		memcpy(parts->insns + parts->len, from->insns + slot, n * sizeof(*parts->insns));
		parts->len += n;
	}
	for (slot = 0; slot < from->len; slot += bpf_slots(&from->insns[slot])) {
		struct exo_insn *insn = &parts->insns[at[slot]];

		if (!reached[slot])
			continue;
		if (exo_is_jump(insn->code))
			insn->off = (s16)(at[slot + 1 + insn->off] - at[slot] - 1);
		/* The verifier's mark on a move that clears the upper half, which each one does. */
		if (insn->code == (EXO_ALU | EXO_MOV | EXO_X))
			insn->imm = 0;
	}
out:
	free(reached);
	free(at);
	return why;
}

/* How many jumps go over each place between two slots, and how deep the stack is. */
static const char *survey(struct jit_parts *parts)
{
	u32 slot, total = 0;

	parts->inside = calloc(parts->len + 2, sizeof(*parts->inside));
	for (slot = 0; slot < parts->len; slot += bpf_slots(&parts->insns[slot])) {
		const struct exo_insn *insn = &parts->insns[slot];
		u32 class = EXO_CLASS(insn->code), base = class == EXO_LDX ? insn->src : insn->dst;
		s64 to = (s64)slot + 1 + insn->off;

		if (exo_is_jump(insn->code)) {
			parts->inside[(to > slot ? slot : to) + 1]++;
			parts->inside[to > slot ? to : slot + 1]--;
		} else if (bpf_slots(insn) == 2) {
			parts->inside[slot + 1]++;
			parts->inside[slot + 2]--;
		} else if (class >= EXO_LDX && class <= EXO_STX && base == EXO_R10) {
			if (insn->off < 0 && (u32)-insn->off > parts->stack)
				parts->stack = (u32)(-insn->off + 7) & ~7U;
		} else if (insn->code == (EXO_ALU64 | EXO_MOV | EXO_X) && insn->src == EXO_R10 &&
			   parts->len > EXO_GRAFT_MAX_INSNS) {
			return "long, and keeps the stack's address";
		}
	}
	for (slot = 0; slot <= parts->len; slot++) {
		total += parts->inside[slot];
		parts->inside[slot] = total;
	}
	return NULL;
}

const char *jit_parts_begin(struct jit_parts *parts, const struct jit_case *from)
{
	const char *why;

	memset(parts, 0, sizeof(*parts));
	parts->from = from;
	why = from->classic ? "classic BPF" : strip(parts);
	return why ? why : survey(parts);
}

void jit_parts_end(struct jit_parts *parts)
{
	free(parts->insns);
	free(parts->inside);
}

/* Nobody says what the registers hold at first: no case may depend on it. */
static void whole(struct jit_parts *parts, struct bpf_graft *out)
{
	u32 reg;

	for (reg = 0; reg < EXO_R10 && parts->len + 11 <= EXO_GRAFT_MAX_INSNS; reg++)
		if (reg == EXO_R1 && parts->from->memory)
			put_state(out, reg, JIT_MEMORY);
		else
			put(out, EXO_ALU64 | EXO_MOV, reg, 0, 0, (s32)(0x9e3779b9U * (reg + 1)));
	if (parts->from->memory) {
		out->hook = EXO_HOOK_TXN;
		out->state_size = (JIT_MEMORY + parts->from->memory + 4095) & ~4095U;
	}
	memcpy(out->insns + out->len, parts->insns, parts->len * sizeof(*parts->insns));
	out->len += parts->len;
	parts->next = parts->len;
}

static void enter(const struct jit_parts *parts, struct bpf_graft *out)
{
	u32 i;

	put_state(out, EXO_R9, 0);
	for (i = 0; i < parts->stack; i += 8) {
		put_load(out, EXO_R0, EXO_R9, (s32)(JIT_PART_STACK + i));
		put_store(out, EXO_R10, -(s32)i - 8, EXO_R0);
	}
	for (i = 0; i < EXO_R10; i++)
		put_load(out, i, EXO_R9, (s32)(8 * i));
}

static void leave(const struct jit_parts *parts, struct bpf_graft *out)
{
	u32 i;

	put_store(out, EXO_R10, -(s32)parts->stack - 8, EXO_R0);
	put_state(out, EXO_R0, 0);
	for (i = 1; i < EXO_R10; i++)
		put_store(out, EXO_R0, (s32)(8 * i), i);
	put_load(out, EXO_R1, EXO_R10, -(s32)parts->stack - 8);
	put_store(out, EXO_R0, 0, EXO_R1);
	for (i = 0; i < parts->stack; i += 8) {
		put_load(out, EXO_R1, EXO_R10, -(s32)i - 8);
		put_store(out, EXO_R0, (s32)(JIT_PART_STACK + i), EXO_R1);
	}
	put(out, EXO_ST | EXO_MEM | EXO_DW, EXO_R0, 0, JIT_PART_DONE, 1);
	put(out, EXO_ALU64 | EXO_MOV, EXO_R0, 0, 0, 0);
	put(out, EXO_JMP | EXO_EXIT, 0, 0, 0, 0);
}

const char *jit_part(struct jit_parts *parts, struct bpf_graft *out)
{
	u32 end = parts->next + PART;

	memset(out, 0, offsetof(struct bpf_graft, insns));
	out->hook = EXO_HOOK_STREAM;
	out->len = 0;
	out->const_size = 0;
	out->state_size = 0;
	if (parts->next >= parts->len)
		return "no more";
	if (!parts->next && parts->len <= EXO_GRAFT_MAX_INSNS) {
		whole(parts, out);
		return NULL;
	}
	if (parts->from->memory || parts->stack > 256)
		return "long, and has memory";
	if (end >= parts->len)
		end = parts->len;
	else
		while (end > parts->next && parts->inside[end])
			end--;
	if (end == parts->next)
		return "a jump farther than a graft is long";
	out->hook = EXO_HOOK_TXN;
	out->state_size = 4096;
	enter(parts, out);
	memcpy(out->insns + out->len, parts->insns + parts->next, (end - parts->next) * sizeof(*out->insns));
	out->len += end - parts->next;
	if (end < parts->len)
		leave(parts, out);
	parts->next = end;
	return NULL;
}
