// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graft_insn.h"
#include "graft_vec.h"

struct op {
	const char *name;
	u8 code;
};

static const struct op alu_ops[] = {
	{ "add", EXO_ADD }, { "sub", EXO_SUB }, { "mul", EXO_MUL }, { "div", EXO_DIV },
	{ "or", EXO_OR }, { "and", EXO_AND }, { "lsh", EXO_LSH }, { "rsh", EXO_RSH },
	{ "mod", EXO_MOD }, { "xor", EXO_XOR }, { "mov", EXO_MOV }, { "arsh", EXO_ARSH }, {},
};

static const struct op jump_ops[] = {
	{ "jeq", EXO_JEQ }, { "jgt", EXO_JGT }, { "jge", EXO_JGE }, { "jset", EXO_JSET },
	{ "jne", EXO_JNE }, { "jsgt", EXO_JSGT }, { "jsge", EXO_JSGE }, { "jlt", EXO_JLT },
	{ "jle", EXO_JLE }, { "jslt", EXO_JSLT }, { "jsle", EXO_JSLE }, {},
};

static const struct op sizes[] = {
	{ "b", EXO_B }, { "h", EXO_H }, { "w", EXO_W }, { "dw", EXO_DW }, {},
};

static const struct op atomic_ops[] = {
	{ "aadd", EXO_ADD }, { "aor", EXO_OR }, { "aand", EXO_AND }, { "axor", EXO_XOR },
	{ "afadd", EXO_ADD | EXO_FETCH }, { "afor", EXO_OR | EXO_FETCH },
	{ "afand", EXO_AND | EXO_FETCH }, { "afxor", EXO_XOR | EXO_FETCH },
	{ "axchg", EXO_XCHG }, { "acmpxchg", EXO_CMPXCHG }, {},
};

static const struct op *find(const struct op *ops, const char *name)
{
	for (; ops->name; ops++)
		if (!strcmp(ops->name, name))
			return ops;
	return NULL;
}

/* What a line is made of: words, with brackets and commas as space, a sign in brackets apart. */
struct words {
	char text[160];
	char *word[8];
	int n;
};

static void split(struct words *words, const char *line, size_t len)
{
	char *at;

	words->n = 0;
	if (len >= sizeof(words->text))
		len = sizeof(words->text) - 1;
	memcpy(words->text, line, len);
	words->text[len] = 0;
	at = strchr(words->text, '#');
	if (at)
		*at = 0;
	for (at = strtok(words->text, " \t,[]"); at && words->n < 8; at = strtok(NULL, " \t,[]"))
		words->word[words->n++] = at;
}

static bool reg(const char *word, u32 *out)
{
	char *end;

	if (word[0] != 'r' || !isdigit((unsigned char)word[1]))
		return false;
	*out = strtoul(word + 1, &end, 10);
	return !*end && *out < 16;
}

static bool number(const char *word, s64 *out)
{
	char *end;

	*out = word[0] == '-' ? strtoll(word, &end, 0) : (s64)strtoull(word, &end, 0);
	return *word && !*end;
}

/* "r1+4", "r10-8" or "r1" */
static bool place(char *word, u32 *base, s16 *off)
{
	char *sign = strpbrk(word, "+-");
	s64 value = 0;
	char copy[8] = {};

	if (sign) {
		if (!number(sign + (*sign == '+'), &value) || sign - word >= 8)
			return false;
		memcpy(copy, word, sign - word);
		word = copy;
	}
	*off = (s16)value;
	return reg(word, base) && value == *off;
}

struct labels {
	char name[32][24];
	u32 slot[32];
	int n;
};

static bool lookup(const struct labels *labels, const char *word, u32 slot, s16 *off)
{
	s64 value;
	int i;

	for (i = 0; i < labels->n; i++) {
		if (!strcmp(labels->name[i], word)) {
			*off = (s16)(labels->slot[i] - slot - 1);
			return true;
		}
	}
	if (!number(word, &value))
		return false;
	*off = (s16)value;
	return true;
}

/* The name without a "32" at its end. */
static bool is32(char *name)
{
	size_t len = strlen(name);

	if (len < 3 || strcmp(name + len - 2, "32"))
		return false;
	name[len - 2] = 0;
	return true;
}

static bool operand(const char *word, struct exo_insn *insn)
{
	u32 src;
	s64 value;

	if (reg(word, &src)) {
		insn->code |= EXO_X;
		insn->src = src & 15;
		return true;
	}
	insn->imm = number(word, &value) ? (s32)value : 0;
	return number(word, &value) && (value == (s32)value || value == (s64)(u32)value);
}

static bool memory(struct words *w, struct exo_insn *insn)
{
	const char *name = w->word[0];
	const struct op *size;
	u32 base, other;

	if (w->n != 3)
		return false;
	if (!strncmp(name, "ldx", 3)) {
		size = find(sizes, name + 3);
		if (!size || !reg(w->word[1], &other) || !place(w->word[2], &base, &insn->off))
			return false;
		*insn = (struct exo_insn){ EXO_LDX | EXO_MEM | size->code, other & 15, base & 15, insn->off, 0 };
		return true;
	}
	if (!strncmp(name, "stx", 3)) {
		size = find(sizes, name + 3);
		if (!size || !reg(w->word[2], &other) || !place(w->word[1], &base, &insn->off))
			return false;
		*insn = (struct exo_insn){ EXO_STX | EXO_MEM | size->code, base & 15, other & 15, insn->off, 0 };
		return true;
	}
	size = strncmp(name, "st", 2) ? NULL : find(sizes, name + 2);
	if (!size || !place(w->word[1], &base, &insn->off))
		return false;
	insn->code = EXO_ST | EXO_MEM | size->code;
	insn->dst = base & 15;
	return operand(w->word[2], insn) && EXO_SRC(insn->code) == EXO_SRC(size->code);
}

static bool atomic(struct words *w, struct exo_insn *insn)
{
	bool narrow = is32(w->word[0]);
	const struct op *op = find(atomic_ops, w->word[0]);
	u32 base, src;

	if (!op || w->n != 3 || !place(w->word[1], &base, &insn->off) || !reg(w->word[2], &src))
		return false;
	insn->code = EXO_STX | EXO_ATOMIC | (narrow ? EXO_W : EXO_DW);
	insn->dst = base & 15;
	insn->src = src & 15;
	insn->imm = op->code;
	return true;
}

/* A number, or the name of a helper without "exo_". */
static bool helper(const char *word, s32 *out)
{
	s64 value;
	u32 i;

	for (i = 0; i < EXO_GRAFT_MAX_HELPERS; i++) {
		if (exo_helpers[i].name && !strcmp(exo_helpers[i].name + 4, word)) {
			*out = (s32)i;
			return true;
		}
	}
	if (!number(word, &value))
		return false;
	*out = (s32)value;
	return true;
}

static bool simple(struct words *w, struct exo_insn *insn, const struct labels *labels, u32 slot)
{
	const char *name = w->word[0];
	u32 dst;

	if (!strcmp(name, "exit")) {
		insn->code = EXO_JMP | EXO_EXIT;
		return w->n == 1;
	}
	if (w->n != 2)
		return false;
	if (!strcmp(name, "ja")) {
		insn->code = EXO_JMP | EXO_JA;
		return lookup(labels, w->word[1], slot, &insn->off);
	}
	if (!strcmp(name, "call")) {
		insn->code = EXO_JMP | EXO_CALL;
		return helper(w->word[1], &insn->imm);
	}
	if (!reg(w->word[1], &dst))
		return false;
	insn->dst = dst & 15;
	if (!strncmp(name, "neg", 3)) {
		insn->code = EXO_NEG | (name[3] ? EXO_ALU : EXO_ALU64);
		return true;
	}
	if (strncmp(name, "be", 2) && strncmp(name, "le", 2))
		return false;
	insn->code = EXO_ALU | EXO_END | (name[0] == 'b' ? EXO_X : EXO_K);
	insn->imm = atoi(name + 2);
	return true;
}

/* Returns the number of slots, or 0. */
static u32 assemble(struct words *w, struct exo_insn *insn, const struct labels *labels, u32 slot)
{
	char name[24], *whole = w->word[0];
	const struct op *op;
	bool narrow;
	s64 value;
	u32 dst;

	memset(insn, 0, 2 * sizeof(*insn));
	if (!strcmp(w->word[0], "slot")) {
		s64 part[5];
		int i;

		for (i = 0; i < 5; i++)
			if (w->n != 6 || !number(w->word[1 + i], &part[i]))
				return 0;
		*insn = (struct exo_insn){ (u8)part[0], part[1] & 15, part[2] & 15, (s16)part[3], (s32)part[4] };
		return 1;
	}
	if (w->n == 3 && (!strcmp(whole, "lddw") || !strcmp(whole, "ldconst") || !strcmp(whole, "ldstate"))) {
		if (!reg(w->word[1], &dst) || !number(w->word[2], &value))
			return 0;
		insn[0].code = EXO_LD_IMM64;
		insn[0].dst = dst & 15;
		insn[0].src = whole[2] == 'c' ? EXO_PSEUDO_CONST : whole[2] == 's' ? EXO_PSEUDO_STATE : 0;
		insn[0].imm = (s32)value;
		insn[1].imm = (s32)(value >> 32);
		return 2;
	}
	if (memory(w, insn) || simple(w, insn, labels, slot))
		return 1;
	snprintf(name, sizeof(name), "%s", whole);
	w->word[0] = name;
	memset(insn, 0, sizeof(*insn));
	if (atomic(w, insn))
		return 1;
	snprintf(name, sizeof(name), "%s", whole);
	narrow = is32(name);
	memset(insn, 0, sizeof(*insn));
	if (w->n < 3 || !reg(w->word[1], &dst))
		return 0;
	op = find(alu_ops, name);
	insn->code = op ? op->code | (narrow ? EXO_ALU : EXO_ALU64) : 0;
	if (!op) {
		op = find(jump_ops, name);
		if (!op || w->n != 4 || !lookup(labels, w->word[3], slot, &insn->off))
			return 0;
		insn->code = op->code | (narrow ? EXO_JMP32 : EXO_JMP);
	}
	insn->dst = dst & 15;
	return operand(w->word[2], insn);
}

const char *vec_assemble(const char *text, struct exo_insn *insns, u32 *len, u32 room)
{
	static char bad[160];
	struct labels labels = {};
	u32 start = *len, slot, pass;

	for (pass = 0; pass < 2; pass++) {
		const char *line = text, *end;

		for (slot = start; *line; line = *end ? end + 1 : end) {
			struct exo_insn two[2];
			struct words words;
			size_t n;

			end = line + strcspn(line, "\n;");
			split(&words, line, end - line);
			if (!words.n)
				continue;
			n = strlen(words.word[0]);
			if (words.n == 1 && words.word[0][n - 1] == ':') {
				words.word[0][n - 1] = 0;
				if (!pass && labels.n < 32) {
					snprintf(labels.name[labels.n], 24, "%s", words.word[0]);
					labels.slot[labels.n++] = slot;
				}
				continue;
			}
			/* The first time the labels behind aren't known; a jump is one slot anyway. */
			n = !strcmp(words.word[0], "lddw") || !strcmp(words.word[0], "ldconst") ||
			    !strcmp(words.word[0], "ldstate") ? 2 : 1;
			if (slot + n > room || (pass && assemble(&words, two, &labels, slot) != n)) {
				snprintf(bad, sizeof(bad), "%.*s", (int)(end - line), line);
				return bad;
			}
			if (pass)
				memcpy(insns + slot, two, n * sizeof(*two));
			slot += n;
		}
		*len = slot;
	}
	return NULL;
}
