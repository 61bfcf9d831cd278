// SPDX-License-Identifier: GPL-2.0
/*
 * The verifier's cases as grafts. Most instructions stay as they are; what is another is the context,
 * maps and helpers:
 *
 * - A field of the context becomes one of the hook's, of the same kind and with the same neighbours that
 *   no access may touch; a field that the program's type hasn't got becomes one that the hook hasn't got.
 * - A map's value is a piece of state. A look-up reads its key, takes away r1 to r5 as calls do, and gives
 *   a number that is not known, until it is compared with 0: where that finds something, a pointer comes.
 * - Another helper that gets memory reads or writes its first and its last byte.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf_graft.h"
#include "bpf_verifier.h"

#define FAR 1000000	/* a jump that leaves the program stays one */

struct make {
	const struct verifier_case *from;
	const struct facts *facts;
	struct bpf_graft *out;
	const char *why;
	bool low, root;
	bool data, end, meta, state;
	u32 at[EXO_GRAFT_MAX_INSNS + 1];	/* where each instruction went */
	s32 jump[EXO_GRAFT_MAX_INSNS];		/* of each new one: the old target; -1: it is right as it is */
};

u32 verifier_words(bool low)
{
	return low ? VERIFIER_STATE - 16 : 0;
}

static void put(struct make *make, u8 code, u32 dst, u32 src, s32 off, s32 imm)
{
	struct bpf_graft *out = make->out;

	if (out->len == EXO_GRAFT_MAX_INSNS) {
		make->why = "longer than a graft may be";
		return;
	}
	make->jump[out->len] = -1;
	out->insns[out->len++] = (struct exo_insn){ code, dst & 15, src & 15, (s16)off, imm };
}

/* A jump to where the instruction @target of the case is. */
static void put_jump(struct make *make, u8 code, u32 dst, u32 src, s32 target, s32 imm)
{
	put(make, code, dst, src, 0, imm);
	if (!make->why)
		make->jump[make->out->len - 1] = target < 0 || target >= (s32)make->from->len ? FAR : target;
}

static void put_address(struct make *make, u32 dst, u32 kind, s64 off)
{
	put(make, EXO_LD_IMM64, dst, kind, 0, (s32)(off > INT32_MAX ? INT32_MAX : off));
	put(make, 0, 0, 0, 0, 0);
}

/* Maps of one kind are one piece of memory; the first kind is at the edge. */
static s64 value_at(const struct make *make, const struct verifier_map *map)
{
	const struct verifier_map *maps = make->from->maps;
	u32 i, nr = 0;

	for (i = 0; &maps[i] < map; i++)
		if (maps[i].value != maps[0].value || maps[i].key != maps[0].key)
			nr++;
	if (map->value == maps[0].value && map->key == maps[0].key)
		return make->low ? 0 : VERIFIER_STATE - map->value;
	return 1024 + 512 * nr;
}

static void put_value(struct make *make, u32 dst, const struct verifier_map *map, s64 off)
{
	if (map->read_only)
		put_address(make, dst, EXO_PSEUDO_CONST, off);
	else if (off <= map->value)
		put_address(make, dst, EXO_PSEUDO_STATE, value_at(make, map) + off);
	else
		put_address(make, dst, EXO_PSEUDO_STATE, VERIFIER_STATE + off);
	if (map->write_only)
		make->why = "memory that may only be written";
	make->state = true;
}

/* r1 to r5 are gone, and r0 is a number of @size bytes that nobody knows. */
static void put_call(struct make *make, u32 word, u32 size)
{
	put(make, EXO_ALU64 | EXO_MOV, EXO_R1, 0, 0, 0);
	put(make, EXO_JMP | EXO_CALL, 0, 0, 0, EXO_HELPER_OWNS);
	put_address(make, EXO_R0, EXO_PSEUDO_STATE, verifier_words(make->low) + word);
	put(make, EXO_LDX | EXO_MEM | (size == 4 ? EXO_W : EXO_DW), EXO_R0, EXO_R0, 0, 0);
	make->state = true;
}

static void put_touch(struct make *make, u32 ptr, s32 off, bool write)
{
	if (write)
		put(make, EXO_ST | EXO_MEM | EXO_B, ptr, 0, off, 0);
	else
		put(make, EXO_LDX | EXO_MEM | EXO_B, EXO_R0, ptr, off, 0);
}

/* Memory of a size that a register says; of a stack all bytes, of which each must have been written. */
static void put_memory(struct make *make, const struct facts *facts, u32 ptr, u32 size, bool write)
{
	const struct fact *n = &facts->reg[size];
	s64 i;

	if (n->known && n->kinds == FACT_NUMBER && n->value >= 0 && n->value <= 512) {
		for (i = 0; i < n->value; i++)
			if (!i || i == n->value - 1 || facts->reg[ptr].kinds == FACT_STACK)
				put_touch(make, ptr, (s32)i, write);
		return;
	}
	put(make, EXO_JMP | EXO_JEQ, size, 0, 4, 0);
	put_touch(make, ptr, 0, write);
	put(make, EXO_ALU | EXO_MOV | EXO_X, EXO_R0, size, 0, 0);
	put(make, EXO_ALU64 | EXO_ADD | EXO_X, ptr, EXO_R0, 0, 0);
	put_touch(make, ptr, -1, write);
}

static void make_call(struct make *make, const struct facts *facts, const struct exo_insn *insn)
{
	const struct helper *helper = helper_find(insn->imm);
	const struct verifier_map *map = NULL;
	u32 i;

	if (insn->src || insn->dst || insn->off || !helper) {
		put(make, insn->code, insn->dst, insn->src, insn->off, insn->imm);
		return;
	}
	if (helper->map)
		map = &make->from->maps[facts->reg[EXO_R1].map];
	if (helper->ctx)
		put(make, EXO_LDX | EXO_MEM | EXO_DW, EXO_R0, helper->ctx, make->out->hook == EXO_HOOK_TXN ? 0 : 16, 0);
	for (i = EXO_R1; i <= EXO_R5; i++)
		if (helper->numbers >> i & 1)
			put(make, EXO_JMP | EXO_JEQ, i, 0, 0, 0);
	for (i = 0; helper->key && map && i < map->key; i += map->key == 8 ? 8 : 4)
		put(make, EXO_LDX | EXO_MEM | (map->key == 8 ? EXO_DW : EXO_W), EXO_R0, helper->key, (s32)i, 0);
	if (helper->key && map && map->key == 8)
		put(make, EXO_JMP | EXO_JEQ, EXO_R0, 0, 0, 0);
	if (helper->value && map) {
		put_touch(make, helper->value, 0, false);
		put_touch(make, helper->value, (s32)map->value - 1, false);
	}
	for (i = 0; i < 2 && helper->memory[i].ptr; i++)
		put_memory(make, facts, helper->memory[i].ptr, helper->memory[i].size, helper->memory[i].write);
	put_call(make, helper->looks_up ? 0 : 8, helper->looks_up ? 8 : helper->result);
	if (helper->looks_up && map->always)
		put_value(make, EXO_R0, map, 0);
}

/* Where @field's byte @off lies in the context of the hook. */
static s32 place_number(const struct make *make, const struct ctx_field *field, s32 off)
{
	s32 numbers = make->out->hook == EXO_HOOK_TXN ? 0 : 16, written = make->out->hook == EXO_HOOK_TXN ? 32 : 48;
	s32 in = off - (s32)field->off, word;

	switch (field->kind) {
	case FIELD_CB:
		word = off - (s32)(field->off & ~7U);
		return written + word + (word >= 16 ? 4 : 0);
	case FIELD_WRITABLE:
		return written + 24 + (field->size == 4 ? 4 : 0) + in;
	case FIELD_WIDE:
	case FIELD_WHOLE:
		return numbers + (s32)(field->off / 8 % 4 * 8) + in;
	default:
		return numbers + (s32)(field->off / 4 % 4 * 8) + 4 + in;
	}
}

static void make_ctx(struct make *make, const struct exo_insn *insn)
{
	const struct exo_hook *hook = exo_hook_find(make->out->hook);
	struct ctx_field field = ctx_field(make->from->prog_type, insn->off);
	bool load = EXO_CLASS(insn->code) == EXO_LDX;
	u8 code = insn->code;
	s32 off;

	if (field.kind == FIELD_NONE || field.kind == FIELD_OBJECT ||
	    (field.kind == FIELD_WHOLE && exo_insn_size(code) != 8)) {
		/* Not a field there, not a field here. */
		off = insn->off < 0 ? insn->off : (s32)hook->ctx_size + insn->off % 8;
	} else if (field.kind >= FIELD_DATA && field.kind <= FIELD_META) {
		off = field.kind == FIELD_END || (make->meta && field.kind == FIELD_DATA) ? 8 : 0;
		off += insn->off - (s32)field.off;
		if (exo_insn_size(code) == field.size && EXO_MODE(code) == EXO_MEM)
			code = (u8)(EXO_CLASS(code) | EXO_MEM | EXO_DW);
		else if (exo_insn_size(code) > field.size)
			off += 4;
	} else {
		off = place_number(make, &field, insn->off);
		if (make->out->hook == EXO_HOOK_VICTIM) {
			/* Two numbers, and nothing that may be written. */
			off = 16 + (off & 15);
			if (!load)
				make->why = "a packet, a map, and a context to write";
		}
	}
	put(make, code, insn->dst, insn->src, off, insn->imm);
}

/* A value comes into all registers that hold the result of the look-up, or zero does. */
static u32 put_found(struct make *make, const struct facts *facts, const struct fact *was, bool found)
{
	const struct verifier_map *map = &make->from->maps[was->map];
	u32 i, begin = make->out->len, first = 0;

	for (i = 0; i < 10; i++) {
		if (facts->reg[i].kinds != FACT_MAYBE || facts->reg[i].site != was->site)
			continue;
		first = i;
		if (found)
			put_value(make, i, map, 0);
		else
			put(make, EXO_ALU64 | EXO_MOV, i, 0, 0, 0);
	}
	for (i = 0; i < FACT_SLOTS; i++)
		if (facts->slot[i].kinds == FACT_MAYBE && facts->slot[i].site == was->site)
			put(make, EXO_STX | EXO_MEM | EXO_DW, EXO_R10, first, -8 * ((s32)i + 1), 0);
	return make->out->len - begin;
}

static void make_found(struct make *make, const struct facts *facts, u32 at, const struct exo_insn *insn)
{
	const struct fact was = facts->reg[insn->dst];
	s32 target = (s32)at + 1 + insn->off;
	bool jumps_if_null = EXO_OP(insn->code) == EXO_JEQ;
	u32 test = make->out->len, n;

	/* The word is 0 if something is found. */
	put(make, EXO_JMP | (jumps_if_null ? EXO_JEQ : EXO_JNE), insn->dst, 0, 0, 0);
	n = put_found(make, facts, &was, !jumps_if_null);
	put_jump(make, EXO_JMP | EXO_JA, 0, 0, target, 0);
	make->out->insns[test].off = (s16)(n + 1);
	put_found(make, facts, &was, jumps_if_null);
}

static void make_insn(struct make *make, u32 at)
{
	const struct exo_insn *insn = &make->from->insns[at];
	const struct facts *facts = &make->facts[at];
	const struct verifier_map *map = case_map(make->from, at);
	u32 class = EXO_CLASS(insn->code), base = class == EXO_LDX ? insn->src : insn->dst;
	const struct fact *dst = &facts->reg[insn->dst < 11 ? insn->dst : 0];

	if (insn->code == EXO_LD_IMM64 && map && facts->reached) {
		if (insn->src == 2)
			put_value(make, insn->dst, map, (u32)insn[1].imm);
		else
			put_address(make, insn->dst, EXO_PSEUDO_STATE, 0);
		/* What else stands in it is wrong here, too. */
		if (!make->why && at + 1 < make->from->len) {
			make->out->insns[make->out->len - 2].off = insn->off;
			make->out->insns[make->out->len - 1] = (struct exo_insn){
				insn[1].code, insn[1].dst, insn[1].src, insn[1].off, insn->src == 2 ? 0 : insn[1].imm
			};
		}
		make->state = true;
	} else if (insn->code == (EXO_JMP | EXO_EXIT) && make->root && facts->reg[EXO_R0].kinds & ~FACT_NUMBER) {
		put(make, EXO_ALU64 | EXO_MOV, EXO_R0, 0, 0, 0);
		put(make, insn->code, insn->dst, insn->src, insn->off, insn->imm);
	} else if (insn->code == EXO_LD_IMM64) {
		put(make, insn->code, insn->dst, insn->src, insn->off, insn->imm);
		if (at + 1 < make->from->len)
			put(make, insn[1].code, insn[1].dst, insn[1].src, insn[1].off, insn[1].imm);
	} else if (insn->code == (EXO_JMP | EXO_CALL) && facts->reached) {
		make_call(make, facts, insn);
	} else if ((insn->code == (EXO_JMP | EXO_JEQ) || insn->code == (EXO_JMP | EXO_JNE)) && !insn->imm &&
		   dst->kinds == FACT_MAYBE && dst->site >= 0) {
		make_found(make, facts, at, insn);
	} else if (exo_is_jump(insn->code)) {
		put_jump(make, insn->code, insn->dst, insn->src, (s32)at + 1 + insn->off, insn->imm);
	} else if (class >= EXO_LDX && class <= EXO_STX && base < 11 && facts->reg[base].kinds == FACT_CTX) {
		make_ctx(make, insn);
	} else {
		put(make, insn->code, insn->dst, insn->src, insn->off, insn->imm);
	}
}

/* Which regions it needs says which hook it is for. */
static void choose_hook(struct make *make)
{
	const struct verifier_case *from = make->from;
	bool state = from->nr_maps, deep = false;
	u32 i;

	for (i = 0; i < from->len; i += from->insns[i].code == EXO_LD_IMM64 ? 2 : 1) {
		const struct exo_insn *insn = &from->insns[i];
		u32 class = EXO_CLASS(insn->code), base = class == EXO_LDX ? insn->src : insn->dst;
		enum field_kind kind;

		if (insn->code == (EXO_JMP | EXO_CALL) && make->facts[i].reached)
			state = true;
		if (exo_is_jump(insn->code) && EXO_OP(insn->code) != EXO_JA && EXO_SRC(insn->code) == EXO_K &&
		    insn->dst == EXO_R10)
			make->why = "r10 compared with a number";
		if (class == EXO_ALU64 && insn->dst == EXO_R10 && from->verdict == VERDICT_ACCEPT)
			make->why = "writes r10, where it never comes";
		if ((insn->code == (EXO_JMP | EXO_JEQ) || insn->code == (EXO_JMP | EXO_JNE)) && insn->dst < 11 &&
		    make->facts[i].reg[insn->dst].kinds == FACT_MAYBE && make->facts[i].reg[insn->dst].site < 0)
			make->why = "the result of either of two look-ups";
		if (class < EXO_LDX || class > EXO_STX || base > 10)
			continue;
		if (make->facts[i].reg[base].kinds == FACT_STACK && make->facts[i].reg[base].known) {
			s64 at = make->facts[i].reg[base].value + insn->off;

			deep |= at < -(s64)EXO_GRAFT_MAX_STACK && at >= -512;
		}
		if (class != EXO_LDX || make->facts[i].reg[base].kinds != FACT_CTX)
			continue;
		kind = ctx_field(from->prog_type, insn->off).kind;
		make->data |= kind == FIELD_DATA;
		make->end |= kind == FIELD_END;
		make->meta |= kind == FIELD_META;
	}
	if (make->meta && make->end)
		make->why = "a packet in two pieces";
	if (deep)
		make->why = "more stack than a graft has";
	if (make->data || make->end || make->meta)
		make->out->hook = state ? EXO_HOOK_VICTIM :
			ctx_writes_packet(from->prog_type) ? EXO_HOOK_STREAM : EXO_HOOK_PURE;
	else
		make->out->hook = state ? EXO_HOOK_TXN : EXO_HOOK_PURE;
	if (make->out->hook == EXO_HOOK_VICTIM && !ctx_writes_packet(from->prog_type))
		make->why = "a map, and a packet that may only be read";
	make->state = state;
}

static void fix_jumps(struct make *make)
{
	u32 i;

	for (i = 0; i < make->out->len; i++) {
		s64 to = make->jump[i];

		if (to < 0)
			continue;
		to = to == FAR ? make->out->len + 1 : make->at[to];
		make->out->insns[i].off = (s16)(to - i - 1);
	}
}

const char *verifier_graft(const struct verifier_case *from, bool low, bool root, struct bpf_graft *out)
{
	struct make *make = calloc(1, sizeof(*make));
	const char *why;
	u32 i, k;

	make->from = from;
	make->out = out;
	make->low = low;
	make->root = root;
	out->len = 0;
	out->const_size = 0;
	out->state_size = 0;
	make->facts = facts_find(from, &make->why);
	if (!make->why)
		choose_hook(make);
	for (i = 0; i < from->len && !make->why; i += k) {
		k = from->insns[i].code == EXO_LD_IMM64 ? 2 : 1;
		make->at[i] = out->len;
		/* A jump into an LD_IMM64 stays one. */
		make->at[i + k - 1] = out->len + k - 1;
		make_insn(make, i);
	}
	if (!make->why)
		fix_jumps(make);
	if (make->state)
		out->state_size = VERIFIER_STATE;
	for (i = 0; i < from->nr_maps; i++)
		if (from->maps[i].read_only)
			out->const_size = from->maps[i].value;
	memset(out->consts, 0, sizeof(out->consts));
	why = make->why;
	free((void *)make->facts);
	free(make);
	return why;
}
