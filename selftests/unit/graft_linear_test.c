// SPDX-License-Identifier: GPL-2.0
/*
 * The checker takes time in proportion to the code (INV-GRAFT-22): twice the code, at most 2.1 times the
 * steps. A step is a basic block of decoding or checking, which the compiler counts here
 * (-fsanitize-coverage=trace-pc), or eight bytes that are copied: every run counts the same.
 */
#include "core/graft.h"
#include "core/graft_insn.h"
#include "graft_prove.h"
#include "unit.h"

void __sanitizer_cov_trace_pc(void);

static u64 steps;

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
	steps++;
}

/* What is copied and cleared counts by its size: a step for eight bytes. */
void *__real_memcpy(void *to, const void *from, size_t n);
void *__real_memset(void *at, int value, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
void *__wrap_memset(void *at, int value, size_t n);

void *__wrap_memcpy(void *to, const void *from, size_t n)
{
	steps += n / 8;
	return __real_memcpy(to, from, n);
}

void *__wrap_memset(void *at, int value, size_t n)
{
	steps += n / 8;
	return __real_memset(at, value, n);
}

#define INSN(_code, _dst, _src, _off, _imm) { _code, _dst, _src, _off, _imm }
#define MOVI(_dst, _imm) INSN(EXO_ALU64 | EXO_MOV | EXO_K, _dst, 0, 0, _imm)
#define MOV(_dst, _src) INSN(EXO_ALU64 | EXO_MOV | EXO_X, _dst, _src, 0, 0)
#define ADDI(_dst, _imm) INSN(EXO_ALU64 | EXO_ADD | EXO_K, _dst, 0, 0, _imm)
#define ADD(_dst, _src) INSN(EXO_ALU64 | EXO_ADD | EXO_X, _dst, _src, 0, 0)
#define ANDI(_dst, _imm) INSN(EXO_ALU64 | EXO_AND | EXO_K, _dst, 0, 0, _imm)
#define LDX(_dst, _src, _off) INSN(EXO_LDX | EXO_MEM | EXO_DW, _dst, _src, _off, 0)
#define STX(_dst, _src, _off) INSN(EXO_STX | EXO_MEM | EXO_DW, _dst, _src, _off, 0)
#define JI(_op, _dst, _imm, _off) INSN(EXO_JMP | (_op) | EXO_K, _dst, 0, _off, _imm)
#define JX(_op, _dst, _src, _off) INSN(EXO_JMP | (_op) | EXO_X, _dst, _src, _off, 0)
#define JA(_off) INSN(EXO_JMP | EXO_JA, 0, 0, _off, 0)
#define EXIT INSN(EXO_JMP | EXO_EXIT, 0, 0, 0, 0)

/* What comes before each: numbers that are anything, and stack that is known at every record. */
static const struct exo_insn prologue[] = {
	MOVI(0, 0), LDX(2, 1, 16), LDX(7, 1, 24), MOVI(4, 3), STX(10, 2, -8), STX(10, 7, -16), STX(10, 0, -24),
	STX(10, 2, -32),
};

static const struct exo_insn straight[] = {
	LDX(3, 1, 32), ANDI(3, 255), ADD(0, 3), STX(10, 0, -8), LDX(2, 10, -8), ADDI(2, 5), STX(1, 2, 48),
};

static const struct exo_insn branches[] = {
	JI(EXO_JGT, 2, 100, 1), ADDI(0, 1), JI(EXO_JSLT, 7, 9, 2), ADDI(4, 1), MOV(0, 4), ADDI(2, 1),
};

/* Each has two records that say what is in four slots of the stack. */
static const struct exo_insn loops[] = {
	MOVI(3, 0), ADD(0, 3), ADDI(3, 1), JI(EXO_JLT, 3, 7, -3), STX(10, 0, -16),
};

static const struct exo_insn nested[] = {
	MOVI(3, 0), MOVI(4, 0), MOVI(5, 9), ADD(0, 5), ADDI(5, -1), JI(EXO_JNE, 5, 0, -3), ADDI(4, 1),
	JI(EXO_JLT, 4, 6, -6), ADDI(3, 2), JI(EXO_JLT, 3, 20, -9),
};

static const struct exo_insn data[] = {
	LDX(3, 1, 0), LDX(5, 1, 8), MOV(6, 3), ADDI(6, 8), JX(EXO_JGT, 6, 5, 4), LDX(4, 3, 0), ADD(0, 4), MOV(3, 6),
	JA(-7), MOVI(6, 0),
};

static const struct exo_insn the_end[] = { EXIT };

static struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
static u8 slots[EXO_GRAFT_MAX_INSNS];
static u32 len;

static void append(const struct exo_insn *from, u32 n)
{
	memcpy(insns + len, from, n * sizeof(*from));
	len += n;
}

/* Decoding and checking a graft that repeats the pattern @times. */
static u64 steps_of(const struct exo_insn *pattern, u32 n, u32 times)
{
	struct exo_graft_prog prog = { .hook = exo_hook_find(EXO_HOOK_PURE), .insns = insns, .slots = slots };
	struct exo_graft_error error;
	void *cert, *room;
	size_t size;
	u64 taken;
	u32 i;

	len = 0;
	append(prologue, sizeof(prologue) / sizeof(*prologue));
	for (i = 0; i < times; i++)
		append(pattern, n);
	append(the_end, 1);
	memset(slots, 0, sizeof(slots));
	prog.len = len;
	steps = 0;
	if (exo_graft_decode(&prog, &error))
		unit_fail(__FILE__, __LINE__, "decoding: %u at %u", error.code, error.slot);
	taken = steps;
	if (exo_graft_prove(&prog, &cert, &size, &error))
		unit_fail(__FILE__, __LINE__, "not proved: %u at %u", error.code, error.slot);
	room = malloc(exo_graft_check_room(&prog));
	steps = 0;
	if (exo_graft_check(&prog, cert, size, room, &error))
		unit_fail(__FILE__, __LINE__, "refused: %u at %u", error.code, error.slot);
	taken += steps;
	free(room);
	free(cert);
	return taken;
}

static void linear(const char *what, const struct exo_insn *pattern, u32 n)
{
	u64 once, before = 0;
	u32 size;

	for (size = 1000; size <= 4000; size *= 2) {
		once = steps_of(pattern, n, size / n);
		printf("# %s: %u slots, %" PRIu64 " steps, %" PRIu64 " a slot\n", what, len, once, once / len);
		/* The compiler counts at all. */
		CHECK(once > len);
		if (before && once * 10 > before * 21)
			unit_fail(__FILE__, __LINE__, "%s: %" PRIu64 " steps, and %" PRIu64 " for half the code",
				  what, once, before);
		before = once;
	}
}

#define LINEAR(_pattern) linear(#_pattern, _pattern, sizeof(_pattern) / sizeof(*(_pattern)))

/* Catches: a pass over all the code, or all the certificate, for each instruction or record. */
TEST(check__linear)
{
	LINEAR(straight);
	LINEAR(branches);
	LINEAR(loops);
	LINEAR(nested);
	LINEAR(data);
}
