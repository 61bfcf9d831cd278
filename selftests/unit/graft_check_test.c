// SPDX-License-Identifier: GPL-2.0
/*
 * What the checker refuses and what it accepts, by behaviour: hand-made grafts, with the prover's
 * certificates. What it accepts is run by graft_prove_test.c.
 */
#include "core/graft_cert.h"
#include "graft_prove.h"
#include "graft_vec.h"
#include "unit.h"

static struct exo_insn insns[VEC_MAX_INSNS];
static u8 slots[VEC_MAX_INSNS];
static struct exo_graft_prog prog;
static struct exo_graft_error error;
static u8 *cert;
static size_t cert_size;

/* Decodes; the graft has 64 bytes of constants, and 4096 of state if the hook lets it. */
static void load(u32 hook, const char *text)
{
	const char *wrong;
	u32 len = 0;

	free(cert);
	cert = NULL;
	cert_size = 0;
	wrong = vec_assemble(text, insns, &len, VEC_MAX_INSNS);
	if (wrong)
		unit_fail(__FILE__, __LINE__, "can't assemble: %s", wrong);
	memset(slots, 0, sizeof(slots));
	prog = (struct exo_graft_prog){ .hook = exo_hook_find(hook), .insns = insns, .len = len,
					.slots = slots, .const_size = 64,
					.state_size = hook == EXO_HOOK_TXN ? 4096 : 0 };
	if (exo_graft_decode(&prog, &error))
		unit_fail(__FILE__, __LINE__, "decoding: %u at %u", error.code, error.slot);
}

static int check(void)
{
	void *room = malloc(exo_graft_check_room(&prog));
	int ret = exo_graft_check(&prog, cert, cert_size, room, &error);

	free(room);
	return ret;
}

static int prove(u32 hook, const char *text)
{
	void *made;

	load(hook, text);
	if (exo_graft_prove(&prog, &made, &cert_size, &error))
		return -EINVAL;
	cert = made;
	return check();
}

static void accept(u32 hook, const char *text)
{
	if (prove(hook, text))
		unit_fail(__FILE__, __LINE__, "refused: %u at slot %u, reg %u: %" PRId64 "..%" PRId64 " of %" PRIu64
			  ":\n%s", error.code, error.slot, error.reg, (s64)error.lo, (s64)error.hi,
			  (u64)error.bound, text);
}

static void refuse(u32 hook, u32 code, u32 slot, const char *text)
{
	if (!prove(hook, text))
		unit_fail(__FILE__, __LINE__, "accepted:\n%s", text);
	if (error.code != code || error.slot != slot)
		unit_fail(__FILE__, __LINE__, "%u at slot %u, not %u at %u:\n%s", error.code, error.slot, code, slot,
			  text);
}

static u32 barriers(void)
{
	u32 i, n = 0;

	for (i = 0; i < prog.len; i++)
		n += !!(slots[i] & EXO_SLOT_NOSPEC);
	return n;
}

#define PURE EXO_HOOK_PURE
#define STREAM EXO_HOOK_STREAM
#define TXN EXO_HOOK_TXN

TEST(exo_graft_check__straight_line_needs_no_certificate)
{
	load(PURE, "mov r0 1\nexit\n");
	CHECK(!check());
	CHECK_EQ(prog.worst, 2);
	CHECK(!prog.mixed);
	load(PURE, "ldxdw r0 [r1+16]\nstxdw [r1+48] r0\nexit\n");
	CHECK(!check());
	load(PURE, "mov r0 0\njeq r0 0 l\nmov r0 1\nl:\nexit\n");
	CHECK(check());
	CHECK_EQ(error.code, EXO_GRAFT_E_CERT_MISSING);
}

TEST(exo_graft_check__uninitialised)
{
	refuse(PURE, EXO_GRAFT_E_UNINIT, 0, "exit\n");
	refuse(PURE, EXO_GRAFT_E_UNINIT, 0, "mov r0 r2\nexit\n");
	refuse(PURE, EXO_GRAFT_E_UNINIT, 0, "ldxdw r0 [r10-8]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_UNINIT, 1, "stw [r10-8] 1\nldxdw r0 [r10-8]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_UNINIT, 1, "mov r0 0\njeq r3 0 l\nmov r0 1\nl:\nexit\n");
	/* on one of two ways */
	refuse(PURE, EXO_GRAFT_E_UNINIT, 3, "ldxdw r0 [r1+16]\njeq r0 0 l\nmov r2 1\nl:\nmov r0 r2\nexit\n");
	refuse(TXN, EXO_GRAFT_E_UNINIT, 1, "call now\nmov r0 r1\nexit\n");
	accept(PURE, "stw [r10-8] 1\nstw [r10-4] 1\nldxdw r0 [r10-8]\nexit\n");
}

TEST(exo_graft_check__also_where_no_run_comes)
{
	/* r2 is 0 in every run, but the processor may try the other way */
	refuse(PURE, EXO_GRAFT_E_UNINIT, 2, "mov r2 0\njeq r2 0 l\nmov r0 r3\nl:\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_KIND, 2, "mov r2 0\njeq r2 0 l\nldxdw r0 [r2+0]\nl:\nmov r0 0\nexit\n");
	/* an access there that is architecturally wrong only needs a barrier */
	accept(PURE, "ldxdw r3 [r1+0]\nmov r2 0\njeq r2 0 l\nldxdw r0 [r3+0]\nl:\nmov r0 0\nexit\n");
	CHECK_EQ(barriers(), 0);
	accept(PURE, "ldxdw r3 [r1+0]\nmov r2 0\njeq r2 0 l\nldxdw r0 [r3+4096]\nl:\nmov r0 0\nexit\n");
	CHECK_EQ(barriers(), 1);
}

/* INV-GRAFT-23 */
TEST(exo_graft_check__pointers_leak_nowhere)
{
	refuse(PURE, EXO_GRAFT_E_LEAK, 1, "mov r0 r1\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 0, "stxdw [r1+48] r1\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_KIND, 0, "lsh r1 3\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_KIND, 0, "add32 r1 3\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_KIND, 0, "mov32 r2 r1\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 1, "mov r0 0\njeq r1 0 l\nmov r0 1\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 1, "mov r0 0\njgt r1 r10 l\nmov r0 1\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 2, "mov r0 0\nmov r2 r1\njsgt r1 r2 l\nmov r0 1\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_KIND, 1, "mov r0 r1\nsub r0 r10\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 1, "stxdw [r10-8] r1\nldxw r0 [r10-8]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_UNINIT, 2, "stxdw [r10-8] r1\nstw [r10-8] 0\nldxw r0 [r10-4]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_LEAK, 0, "stxw [r10-8] r1\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_LEAK, 1, "mov r2 1\ncall trace\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_LEAK, 2, "ldstate r2 0\naadd [r2+0] r2\nmov r0 0\nexit\n");
	/* differences are numbers */
	accept(PURE, "ldxdw r2 [r1+0]\nldxdw r0 [r1+8]\nsub r0 r2\nexit\n");
	accept(PURE, "mov r0 r10\nsub r0 r10\nexit\n");
	accept(PURE, "stxdw [r10-8] r1\nldxdw r2 [r10-8]\nldxdw r0 [r2+16]\nexit\n");
	CHECK_EQ(barriers(), 2);
}

TEST(exo_graft_check__context_fields)
{
	refuse(PURE, EXO_GRAFT_E_FIELD, 0, "ldxw r0 [r1+0]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_FIELD, 0, "ldxdw r0 [r1+20]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 0, "ldxdw r0 [r1+80]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 0, "ldxdw r0 [r1-8]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_WRITE, 0, "stdw [r1+16] 1\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_WRITE, 0, "stdw [r1+0] 1\nmov r0 0\nexit\n");
	refuse(PURE, EXO_GRAFT_E_FIELD, 3, "ldxdw r2 [r1+16]\nand r2 7\nadd r1 r2\nldxb r0 [r1+16]\nexit\n");
	accept(PURE, "ldxw r0 [r1+20]\nstxb [r1+50] r0\nexit\n");
}

/* INV-GRAFT-21 */
TEST(exo_graft_check__bounds)
{
	/* not compared with data_end */
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 1, "ldxdw r2 [r1+0]\nldxb r0 [r2+0]\nexit\n");
	/* one byte too many */
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 5, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 4\n"
	       "jgt r2 r3 l\nldxw r0 [r2-3]\nl:\nexit\n");
	accept(PURE, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 4\n"
	       "jgt r2 r3 l\nldxw r0 [r2-4]\nl:\nexit\n");
	CHECK_EQ(barriers(), 0);
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 5, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 4\n"
	       "jgt r2 r3 l\nldxw r0 [r2-5]\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_WRITE, 5, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 4\n"
	       "jgt r2 r3 l\nstw [r2-4] 0\nl:\nexit\n");
	accept(STREAM, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 4\n"
	       "jgt r2 r3 l\nstw [r2-4] 0\nl:\nexit\n");
	/* constants and state */
	accept(PURE, "ldconst r2 60\nldxw r0 [r2+0]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 2, "ldconst r2 61\nldxw r0 [r2+0]\nexit\n");
	refuse(PURE, EXO_GRAFT_E_WRITE, 2, "ldconst r2 0\nstw [r2+0] 0\nmov r0 0\nexit\n");
	accept(TXN, "ldxdw r3 [r1+0]\nand r3 511\nlsh r3 3\nldstate r2 0\nadd r2 r3\nldxdw r0 [r2+0]\nexit\n");
	CHECK_EQ(barriers(), 0);
	refuse(TXN, EXO_GRAFT_E_BOUNDS, 6,
	       "ldxdw r3 [r1+0]\nand r3 511\nlsh r3 3\nldstate r2 1\nadd r2 r3\nldxdw r0 [r2+0]\nexit\n");
}

TEST(exo_graft_check__every_comparison_with_data_end)
{
	static const struct {
		const char *jump;
		bool there;		/* the access is where the jump goes */
		bool fine;
	} cases[] = {
		{ "jle r2 r3", true, true }, { "jlt r2 r3", true, true }, { "jgt r2 r3", false, true },
		{ "jge r2 r3", false, true }, { "jge r3 r2", true, true }, { "jgt r3 r2", true, true },
		{ "jlt r3 r2", false, true }, { "jle r3 r2", false, true }, { "jeq r2 r3", true, true },
		{ "jne r2 r3", false, true }, { "jeq r3 r2", true, true },
		{ "jle r2 r3", false, false }, { "jlt r2 r3", false, false }, { "jgt r2 r3", true, false },
		{ "jge r2 r3", true, false }, { "jge r3 r2", false, false }, { "jlt r3 r2", true, false },
		{ "jeq r2 r3", false, false }, { "jne r2 r3", true, false },
	};
	char text[400];
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nmov r4 r2\nadd r2 8\n%s there\n%s\nexit\nthere:\n%s\nexit\n",
			 cases[i].jump, cases[i].there ? "mov r0 1" : "ldxdw r0 [r4+0]",
			 cases[i].there ? "ldxdw r0 [r4+0]" : "mov r0 1");
		if (cases[i].fine)
			accept(PURE, text);
		else if (!prove(PURE, text))
			unit_fail(__FILE__, __LINE__, "accepted: %s", text);
		if (!cases[i].fine)
			CHECK_EQ(error.code, EXO_GRAFT_E_BOUNDS);
	}
}

TEST(exo_graft_check__length_of_data)
{
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 7,
	       "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nsub r3 r2\nadd r3 -4\njslt r3 8 l\nadd r2 4\n"
	       "ldxdw r0 [r2+1]\nl:\nexit\n");
	accept(PURE, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nsub r3 r2\nadd r3 -4\njslt r3 8 l\nadd r2 4\n"
	       "ldxdw r0 [r2+0]\nl:\nexit\n");
	accept(PURE, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nsub r3 r2\njlt r3 20 l\nldxb r0 [r2+19]\nl:\nexit\n");
	accept(PURE, "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nsub r3 r2\njslt r3 20 l\nldxb r0 [r2+19]\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 5,
	       "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nsub r3 r2\njlt r3 20 l\nldxb r0 [r2+20]\nl:\nexit\n");
}

/* Pointers can be so far away that addresses wrap: they are not compared then. */
TEST(exo_graft_check__far_pointers_say_nothing)
{
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 5,
	       "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nldxdw r4 [r1+16]\nadd r2 r4\njgt r2 r3 l\nldxb r0 [r2+0]\nl:\nexit\n");
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 7,
	       "mov r0 0\nldxdw r2 [r1+0]\nlddw r4 0x8000000000000000\nadd r2 r4\nmov r5 r2\nadd r5 r4\n"
	       "ldxb r0 [r5+0]\nexit\n");
}

TEST(exo_graft_check__atomics)
{
	accept(TXN, "ldstate r2 8\nmov r0 1\naadd [r2+0] r0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_ALIGN, 3, "ldstate r2 4\nmov r0 1\naadd [r2+0] r0\nexit\n");
	accept(TXN, "ldstate r2 4\nmov r0 1\naadd32 [r2+0] r0\nexit\n");
	accept(TXN, "ldxdw r3 [r1+0]\nand r3 15\nlsh r3 3\nldstate r2 8\nadd r2 r3\nmov r0 1\naadd [r2+8] r0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_ALIGN, 7,
	       "ldxdw r3 [r1+0]\nand r3 15\nlsh r3 2\nldstate r2 8\nadd r2 r3\nmov r0 1\naadd [r2+8] r0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_UNINIT, 2, "mov r0 1\nmov r2 1\naadd [r10-8] r0\nexit\n");
}

TEST(exo_graft_check__helper_arguments)
{
	accept(TXN, "mov r1 7\ncall lock\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_ARG, 1, "mov r1 8\ncall lock\nmov r0 0\nexit\n");
	accept(TXN, "ldxdw r1 [r1+0]\nand r1 7\ncall lock\nmov r0 0\nexit\n");
	CHECK_EQ(barriers(), 0);
	accept(TXN, "mov r0 0\nldxdw r1 [r1+0]\njgt r1 7 l\ncall lock\nl:\nmov r0 0\nexit\n");
	CHECK_EQ(barriers(), 1);
	accept(TXN, "ldstate r1 4088\ncall log\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_BOUNDS, 2, "ldstate r1 4089\ncall log\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_ALIGN, 2, "ldstate r1 4\ncall log\nmov r0 0\nexit\n");
	refuse(TXN, EXO_GRAFT_E_KIND, 0, "call log\nmov r0 0\nexit\n");
}

/* INV-GRAFT-24 */
TEST(exo_graft_check__divisors_may_be_taken_for_zero)
{
	accept(TXN, "ldxdw r3 [r1+0]\nmod r3 64\nldstate r4 0\nadd r4 r3\nldxb r0 [r4+0]\nexit\n");
	CHECK_EQ(barriers(), 0);
	accept(TXN, "ldxdw r3 [r1+0]\nmov r2 64\nmod r3 r2\nldstate r4 0\nadd r4 r3\nldxb r0 [r4+0]\nexit\n");
	CHECK_EQ(barriers(), 1);
	accept(TXN, "ldxdw r3 [r1+0]\nmov r2 64\nmod32 r3 r2\nldstate r4 0\nadd r4 r3\nldxb r0 [r4+0]\nexit\n");
	CHECK_EQ(barriers(), 1);
	accept(TXN, "ldxdw r3 [r1+0]\nand r3 511\nadd r3 512\nmov r2 8\ndiv r3 r2\nldstate r4 0\nadd r4 r3\n"
	       "ldxb r0 [r4-64]\nexit\n");
	CHECK_EQ(barriers(), 1);
}

/* INV-GRAFT-24 */
TEST(exo_graft_check__no_load_runs_ahead_of_the_first_store)
{
	accept(TXN, "stdw [r10-8] 8\nldxdw r3 [r10-8]\nand r3 63\nlsh r3 6\nldstate r2 0\nadd r2 r3\n"
	       "ldxdw r0 [r2+0]\nexit\n");
	CHECK_EQ(barriers(), 1);
	CHECK(slots[1] & EXO_SLOT_NOSPEC);
	/* a number over a number hides nothing */
	accept(TXN, "stdw [r10-8] 8\nstdw [r10-8] 9\nldxdw r0 [r10-8]\nexit\n");
	CHECK_EQ(barriers(), 1);
	accept(TXN, "stw [r10-8] 8\nstw [r10-4] 9\nldxdw r0 [r10-8]\nexit\n");
	CHECK_EQ(barriers(), 2);
	/* a number over a pointer does, and the other way round */
	accept(TXN, "stxdw [r10-8] r1\nstdw [r10-8] 9\nldxdw r0 [r10-8]\nexit\n");
	CHECK(slots[1] & slots[2] & EXO_SLOT_NOSPEC);
	accept(TXN, "stdw [r10-8] 9\nstxdw [r10-8] r1\nmov r0 0\nexit\n");
	CHECK(slots[1] & slots[2] & EXO_SLOT_NOSPEC);
}

/* INV-GRAFT-24 */
TEST(exo_graft_check__a_bound_from_a_branch_needs_a_barrier)
{
	accept(TXN, "mov r0 0\nldxdw r3 [r1+0]\njgt r3 4088 l\nldstate r2 0\nadd r2 r3\nldxdw r0 [r2+0]\nl:\nexit\n");
	CHECK_EQ(barriers(), 1);
	CHECK(slots[6] & EXO_SLOT_NOSPEC);
	/* a number that has been in the stack is speculatively unknown */
	accept(TXN, "stdw [r10-8] 8\nldxdw r3 [r10-8]\nldstate r2 0\nadd r2 r3\nldxdw r0 [r2+0]\nexit\n");
	CHECK_EQ(barriers(), 2);
	/* once is enough */
	accept(TXN, "mov r0 0\nldxdw r3 [r1+0]\njgt r3 4080 l\nldstate r2 0\nadd r2 r3\nldxdw r0 [r2+0]\n"
	       "ldxdw r4 [r2+8]\nadd r0 r4\nl:\nexit\n");
	CHECK_EQ(barriers(), 1);
}

/* INV-GRAFT-25 */
TEST(exo_graft_check__loops)
{
	/* up, down, 32 bits, signed, nested */
	accept(PURE, "mov r0 0\nmov r2 0\nl:\nadd r0 r2\nadd r2 1\njlt r2 10 l\nexit\n");
	CHECK_EQ(prog.worst, 6 + 9 * 3);
	accept(PURE, "mov r0 0\nmov r2 10\nl:\nadd r0 r2\nadd r2 -1\njne r2 0 l\nexit\n");
	CHECK_EQ(prog.worst, 6 + 9 * 3);
	accept(PURE, "mov32 r0 0\nmov32 r2 9\nl:\nadd32 r0 r2\nadd32 r2 -1\njsgt32 r2 -1 l\nexit\n");
	CHECK_EQ(prog.worst, 6 + 9 * 3);
	accept(PURE, "mov32 r0 0\nmov32 r2 0\nl:\nadd32 r0 r2\nadd32 r2 3\njlt32 r2 30 l\nexit\n");
	CHECK_EQ(prog.worst, 6 + 9 * 3);
	accept(PURE, "mov r0 0\nmov r2 0\no:\nmov r3 0\ni:\nadd r0 1\nadd r3 1\njlt r3 8 i\nadd r2 1\njlt r2 10 o\nexit\n");
	CHECK_EQ(prog.worst, 9 + 9 * 6 + 10 * 7 * 3);
	CHECK(!prog.mixed);
	/* exactly as dear as it says, and two ways that move by different steps */
	accept(PURE, "ldxdw r4 [r1+16]\nmov r0 0\nmov r2 0\nl:\njset r4 1 s\nadd r2 1\ns:\nadd r2 1\njlt r2 16 l\nexit\n");
	CHECK(!prog.mixed);
	/* no measure */
	accept(PURE, "ldxdw r2 [r1+16]\nmov r0 0\nl:\nrsh r2 1\njne r2 0 l\nexit\n");
	CHECK(prog.mixed);
	CHECK_EQ(prog.worst, ~0ULL);
	/* too dear for the hook */
	accept(PURE, "mov r0 0\nmov r2 0\nl:\nadd r2 1\njlt r2 1000000 l\nexit\n");
	CHECK(prog.mixed);
	CHECK_EQ(prog.worst, 5 + 999999 * 2);
}

TEST(exo_graft_check__loops_over_data)
{
	static const char *const texts[] = {
		/* p + 8 <= end */
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nadd r2 8\njgt r2 r3 out\n"
		"l:\nldxdw r4 [r2-8]\nadd r0 r4\nadd r2 8\njle r2 r3 l\nout:\nexit\n",
		/* p != end */
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\njeq r2 r3 out\n"
		"l:\nldxb r4 [r2+0]\nadd r0 r4\nadd r2 1\njne r2 r3 l\nout:\nexit\n",
		/* p < end, tested at the head */
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\n"
		"l:\njge r2 r3 out\nldxb r4 [r2+0]\nadd r0 r4\nadd r2 1\nja l\nout:\nexit\n",
		/* two pointers, one ahead */
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nmov r5 r2\nadd r5 8\njgt r5 r3 out\n"
		"l:\nldxdw r4 [r2+0]\nadd r0 r4\nmov r2 r5\nadd r5 8\njle r5 r3 l\nout:\nexit\n",
		/* end - p >= 4, counted beside the pointer */
		"mov r0 0\nldxdw r3 [r1+8]\nldxdw r2 [r1+0]\nsub r3 r2\njslt r3 4 out\n"
		"l:\nldxw r4 [r2+0]\nadd r0 r4\nadd r2 4\nadd r3 -4\njsgt r3 3 l\nout:\nexit\n",
		/* steps that vary */
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\n"
		"l:\nmov r5 r2\nadd r5 16\njgt r5 r3 out\nldxb r4 [r2+0]\nand r4 15\nadd r4 1\nadd r2 r4\nja l\nout:\nexit\n",
	};
	unsigned int i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		accept(PURE, texts[i]);
		CHECK(!prog.mixed);
		CHECK(barriers() <= 1);
	}
	/* steps of two may pass data_end */
	refuse(PURE, EXO_GRAFT_E_BOUNDS, 4,
	       "mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\njeq r2 r3 out\n"
	       "l:\nldxb r4 [r2+0]\nadd r0 r4\nadd r2 2\njne r2 r3 l\nout:\nexit\n");
}
