// SPDX-License-Identifier: GPL-2.0
/*
 * What the registers of a verifier's case may hold before each instruction: enough to see where its
 * context is read, which map is looked up, and where the result is compared with NULL.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf_verifier.h"

#define TOO_LONG 4096U

struct flow {
	const struct verifier_case *from;
	struct facts *facts;
	const char *why;
	bool changed;
};

const struct verifier_map *case_map(const struct verifier_case *from, u32 slot)
{
	u32 i;

	for (i = 0; i < from->nr_maps; i++)
		if (from->maps[i].slot == slot)
			return &from->maps[i];
	return NULL;
}

static struct fact number(void)
{
	return (struct fact){ .kinds = FACT_NUMBER };
}

static struct fact pointer(u16 kind)
{
	return (struct fact){ .kinds = kind };
}

static bool join(struct fact *to, const struct fact *from)
{
	struct fact old = *to;

	if (!from->kinds)
		return false;
	if (!to->kinds) {
		*to = *from;
		return true;
	}
	to->kinds |= from->kinds;
	if (to->map != from->map)
		to->map = -1;
	if (to->site != from->site)
		to->site = -1;
	if (to->known && (!from->known || to->value != from->value)) {
		to->known = false;
		to->value = 0;
	}
	return to->kinds != old.kinds || to->map != old.map || to->site != old.site || to->known != old.known;
}

static void flow_to(struct flow *flow, s64 slot, const struct facts *facts)
{
	struct facts *to;
	u32 i;

	if (slot < 0 || slot >= flow->from->len)
		return;
	to = &flow->facts[slot];
	if (!to->reached)
		flow->changed = true;
	to->reached = true;
	for (i = 0; i < 11; i++)
		flow->changed |= join(&to->reg[i], &facts->reg[i]);
	for (i = 0; i < FACT_SLOTS; i++)
		flow->changed |= join(&to->slot[i], &facts->slot[i]);
}

/* The slot of the stack at @base + @off, or NULL. */
static struct fact *stack_slot(struct facts *facts, const struct fact *base, s32 off)
{
	s64 at = base->value + off;

	if (base->kinds != FACT_STACK || !base->known || at >= 0 || at < -8 * FACT_SLOTS)
		return NULL;
	return &facts->slot[(-at - 1) / 8];
}

static void alu(struct facts *facts, const struct exo_insn *insn)
{
	struct fact *dst = &facts->reg[insn->dst], src = number();
	u32 op = EXO_OP(insn->code);
	bool wide = EXO_CLASS(insn->code) == EXO_ALU64;

	if (EXO_SRC(insn->code) == EXO_X && insn->src < 11) {
		src = facts->reg[insn->src];
	} else {
		src.known = true;
		src.value = insn->imm;
	}
	if (op == EXO_MOV) {
		*dst = src;
		if (!wide)
			*dst = src.known && src.kinds == FACT_NUMBER ? src : number();
	} else if (wide && (op == EXO_ADD || op == EXO_SUB)) {
		bool pointers = dst->kinds & ~FACT_NUMBER;

		if (!pointers && op == EXO_ADD && src.kinds & ~FACT_NUMBER) {
			bool known = dst->known && src.known;
			s64 value = dst->value + src.value;

			*dst = src;
			dst->known = known;
			dst->value = value;
		} else {
			dst->known = dst->known && src.known;
			dst->value += op == EXO_ADD ? src.value : -src.value;
			if (src.kinds & ~FACT_NUMBER)
				*dst = number();
		}
		if (!dst->known)
			dst->value = 0;
		if (dst->kinds & FACT_CTX)
			dst->kinds = (dst->kinds & ~FACT_CTX) | FACT_CTX_MOVED;
		if (dst->kinds & FACT_MAYBE)
			*dst = number();
	} else {
		*dst = number();
	}
}

static struct fact loaded(struct flow *flow, struct facts *facts, const struct exo_insn *insn)
{
	const struct fact *base = &facts->reg[insn->src];
	struct fact *slot = stack_slot(facts, base, insn->off);
	struct ctx_field field;

	if (slot && EXO_SIZE(insn->code) == EXO_DW && !((base->value + insn->off) & 7))
		return *slot;
	if (base->kinds & FACT_OBJECT)
		flow->why = "an object of the kernel's";
	if (base->kinds & FACT_MAP)
		flow->why = "the map itself";
	if (base->kinds != FACT_CTX)
		return number();
	field = ctx_field(flow->from->prog_type, insn->off);
	if (field.kind == FIELD_OBJECT && exo_insn_size(insn->code) == 8)
		return pointer(FACT_OBJECT);
	return field.kind >= FIELD_DATA && field.kind <= FIELD_META ? pointer(FACT_DATA) : number();
}

static void stored(struct flow *flow, struct facts *facts, const struct exo_insn *insn)
{
	const struct fact *base = &facts->reg[insn->dst];
	struct fact *slot = stack_slot(facts, base, insn->off);
	bool reg = EXO_CLASS(insn->code) == EXO_STX && insn->src < 11;
	bool whole = slot && EXO_SIZE(insn->code) == EXO_DW && !((base->value + insn->off) & 7);

	if (base->kinds & FACT_OBJECT)
		flow->why = "an object of the kernel's";
	if (base->kinds & FACT_MAP)
		flow->why = "the map itself";
	if (slot)
		*slot = whole && reg ? facts->reg[insn->src] : number();
	if (EXO_MODE(insn->code) != EXO_ATOMIC)
		return;
	if (slot)
		*slot = number();
	if (insn->imm == EXO_CMPXCHG)
		facts->reg[EXO_R0] = number();
	else if (insn->imm & EXO_FETCH && reg)
		facts->reg[insn->src] = number();
}

static void call(struct flow *flow, u32 at, struct facts *facts, const struct exo_insn *insn)
{
	const struct helper *helper = helper_find(insn->imm);
	struct fact map = facts->reg[EXO_R1];
	u32 i;

	if (insn->src || insn->dst || insn->off)
		return;
	if (!helper) {
		flow->why = "a helper that has no counterpart";
		return;
	}
	if (helper->map && (map.kinds != FACT_MAP || map.map < 0)) {
		flow->why = "a helper that wants a map, and gets something else";
		return;
	}
	facts->reg[EXO_R0] = number();
	if (helper->looks_up) {
		const struct verifier_map *is = &flow->from->maps[map.map];

		facts->reg[EXO_R0] = pointer(is->always ? FACT_VALUE : FACT_MAYBE);
		facts->reg[EXO_R0].map = map.map;
		facts->reg[EXO_R0].site = (s32)at;
		if (is->always != (helper->number != 1))
			flow->why = "a helper that wants another map";
	}
	for (i = EXO_R1; i <= EXO_R5; i++)
		facts->reg[i] = (struct fact){};
}

static void imm64(struct flow *flow, u32 at, struct facts *facts, const struct exo_insn *insn)
{
	const struct verifier_map *map = case_map(flow->from, at);
	struct fact *dst = &facts->reg[insn->dst];

	*dst = number();
	if (!map) {
		if (insn->src > 2)
			flow->why = "the address of something of the kernel's";
		return;
	}
	if (!map->value) {
		flow->why = "a map that is not memory";
		return;
	}
	*dst = pointer(insn->src == 2 ? FACT_VALUE : FACT_MAP);
	dst->map = (s16)(map - flow->from->maps);
}

/* A comparison with 0 says on each side whether there is a value. */
static void compared(struct facts *facts, const struct exo_insn *insn, bool null)
{
	struct fact was = facts->reg[insn->dst], is;
	u32 i;

	if (EXO_CLASS(insn->code) != EXO_JMP || EXO_SRC(insn->code) != EXO_K || insn->imm ||
	    was.kinds != FACT_MAYBE || was.site < 0)
		return;
	is = null ? number() : pointer(FACT_VALUE);
	is.known = null;
	is.map = was.map;
	is.site = was.site;
	for (i = 0; i < 10; i++)
		if (facts->reg[i].kinds == FACT_MAYBE && facts->reg[i].site == was.site)
			facts->reg[i] = is;
	for (i = 0; i < FACT_SLOTS; i++)
		if (facts->slot[i].kinds == FACT_MAYBE && facts->slot[i].site == was.site)
			facts->slot[i] = is;
}

static void jump(struct flow *flow, u32 at, const struct facts *facts, const struct exo_insn *insn)
{
	u32 op = EXO_OP(insn->code);
	struct facts copy = *facts;

	if (op == EXO_JEQ || op == EXO_JNE)
		compared(&copy, insn, op == EXO_JEQ);
	flow_to(flow, (s64)at + 1 + insn->off, &copy);
	if (op == EXO_JA)
		return;
	copy = *facts;
	if (op == EXO_JEQ || op == EXO_JNE)
		compared(&copy, insn, op == EXO_JNE);
	flow_to(flow, (s64)at + 1, &copy);
}

static void step(struct flow *flow, u32 at)
{
	const struct exo_insn *insn = &flow->from->insns[at];
	struct facts facts = flow->facts[at];
	u32 class = EXO_CLASS(insn->code);

	if (insn->dst > 10 || insn->src > 10)
		return;
	if (exo_is_jump(insn->code)) {
		jump(flow, at, &facts, insn);
		return;
	}
	if (insn->code == (EXO_JMP | EXO_EXIT))
		return;
	if (class == EXO_ALU || class == EXO_ALU64) {
		alu(&facts, insn);
	} else if (class == EXO_LDX) {
		facts.reg[insn->dst] = loaded(flow, &facts, insn);
	} else if (class == EXO_ST || class == EXO_STX) {
		stored(flow, &facts, insn);
	} else if (insn->code == EXO_LD_IMM64) {
		imm64(flow, at, &facts, insn);
	} else if (class == EXO_LD) {
		flow->why = "a packet load of classic BPF";
	} else if (insn->code == (EXO_JMP | EXO_CALL)) {
		if (insn->src == 1 || insn->src == 2)
			flow->why = "a call of a function";
		else
			call(flow, at, &facts, insn);
	}
	facts.reg[EXO_R10] = (struct fact){ .kinds = FACT_STACK, .known = true };
	flow_to(flow, (s64)at + (insn->code == EXO_LD_IMM64 ? 2 : 1), &facts);
}

struct facts *facts_find(const struct verifier_case *from, const char **why)
{
	struct flow flow = { .from = from, .changed = true };
	struct facts *entry;
	u32 i;

	*why = from->kernel_functions ? "a call of a function" :
		from->len > TOO_LONG ? "longer than a graft may be" : NULL;
	if (*why)
		return NULL;
	entry = flow.facts = calloc(from->len + 1, sizeof(*flow.facts));
	entry->reached = true;
	entry->reg[EXO_R1] = pointer(FACT_CTX);
	entry->reg[EXO_R10] = (struct fact){ .kinds = FACT_STACK, .known = true };
	while (flow.changed && !flow.why) {
		flow.changed = false;
		for (i = 0; i < from->len && !flow.why; i++)
			if (flow.facts[i].reached)
				step(&flow, i);
	}
	if (!flow.why)
		return flow.facts;
	*why = flow.why;
	free(flow.facts);
	return NULL;
}
