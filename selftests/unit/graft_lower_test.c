// SPDX-License-Identifier: GPL-2.0
#include "core/graft_lower.h"
#include "graft_gen.h"
#include "graft_inspect.h"
#include "graft_raw.h"
#include "unit.h"

static struct world *world;
static struct raw *raw;

static void setup(void)
{
	if (!world) {
		world = world_new();
		raw = raw_new(world);
	}
}

static void load(u32 hook, const char *text, u32 state)
{
	struct exo_insn insns[VEC_MAX_INSNS];
	u32 len = 0;

	setup();
	CHECK(!vec_assemble(text, insns, &len, VEC_MAX_INSNS));
	if (world_load(world, hook, insns, len, (const u8 *)"constant", 8, state))
		unit_fail(__FILE__, __LINE__, "refused: %u at %u", world->error.code, world->error.slot);
}

/* Without budget, calls, divisions and barriers, proof mode inserts nothing. */
TEST(exo_graft_lower__proof_is_the_graft)
{
	load(EXO_HOOK_PURE, "ldxdw r2 r1+0\nldxdw r3 r1+8\nmov r0 0\nadd r2 14\njgt r2 r3 out\nldxh r0 r2-2\nout:\nexit", 0);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
	CHECK_EQ(raw->target.len, world->prog.len);
	CHECK(!memcmp(raw->insns, world->insns, world->prog.len * sizeof(struct exo_insn)));
	CHECK_EQ(raw->target.stack, 0);
}

TEST(exo_graft_lower__proof_barriers)
{
	u32 i, n = 0;

	load(EXO_HOOK_PURE, "ldxdw r2 r1+16\nand r2 7\nmov r0 0\nexit", 0);
	world->slots[1] |= EXO_SLOT_NOSPEC;
	world->slots[3] |= EXO_SLOT_NOSPEC;
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
	CHECK_EQ(raw->target.len, 6);
	for (i = 0; i < 6; i++)
		n += raw->insns[i].code == EXO_NOSPEC;
	CHECK_EQ(n, 2);
	CHECK(raw->insns[1].code == EXO_NOSPEC && raw->insns[4].code == EXO_NOSPEC);
	CHECK_EQ(raw->origin[1], 1);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, false), 0);
	CHECK_EQ(raw->target.len, 4);
}

TEST(exo_graft_lower__addresses_are_filled_in)
{
	load(EXO_HOOK_TXN, "ldconst r2 5\nldstate r3 9\nmov r0 0\nexit", 4096);
	world->prog.hook = exo_hook_find(EXO_HOOK_FAULT);	/* not killable */
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
	raw->target.consts = 0xffff888012345000;
	raw->target.state = 0xffffc90000001000;
	CHECK_EQ(exo_graft_lower(&world->prog, &raw->target, &world->error), 0);
	CHECK_EQ((u32)raw->insns[0].imm, 0x12345005);
	CHECK_EQ((u32)raw->insns[1].imm, 0xffff8880);
	CHECK_EQ(raw->insns[0].src, 0);
	CHECK_EQ((u32)raw->insns[2].imm, 0x1009);
}

/* A hook whose grafts can be killed has the budget in proof mode, too; so has a graft with a call. */
TEST(exo_graft_lower__killable)
{
	load(EXO_HOOK_TXN, "mov r0 9\nloop:\nsub r0 1\njne r0 0 loop\nexit", 0);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
	CHECK(raw->target.len > world->prog.len);
}

/* More than there is room for. */
TEST(exo_graft_lower__too_long)
{
	static struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
	u32 i;

	setup();
	for (i = 0; i < EXO_GRAFT_MAX_INSNS; i++)
		insns[i] = (struct exo_insn){ EXO_LDX | EXO_MEM | EXO_B, 2, 2, 0, 0 };
	insns[EXO_GRAFT_MAX_INSNS - 1] = (struct exo_insn){ .code = EXO_JMP | EXO_EXIT };
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, EXO_GRAFT_MAX_INSNS, NULL, 0, 0), 0);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_SANDBOX, true), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_LOWERED);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
	raw->target.room = 5;
	CHECK_EQ(exo_graft_lower(&world->prog, &raw->target, &world->error), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_LOWERED);
}

/* The lowering compares with immediates of 32 bits. */
TEST(exo_helpers__ranges_that_the_lowering_can_check)
{
	u32 i, k;

	for (i = 0; i < EXO_GRAFT_MAX_HELPERS; i++) {
		for (k = 0; k < EXO_GRAFT_MAX_ARGS; k++) {
			const struct exo_helper_arg *arg = &exo_helpers[i].args[k];

			CHECK(arg->min <= 4096);
			CHECK(arg->type != EXO_ARG_SCALAR || arg->max == ~0ULL || arg->max <= 0x7fffffff);
		}
	}
}

static void inspect(const char *what)
{
	const char *wrong;
	u32 at;

	wrong = inspect_sandbox(raw, &at);
	if (wrong) {
		raw_print(raw);
		unit_fail(__FILE__, __LINE__, "%s: instruction %u: %s", what, at, wrong);
	}
}

static void inspect_vector(const struct vec *vec, void *arg)
{
	(void)arg;
	if (world_load(world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size, vec->state_pages * 4096))
		return;
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_SANDBOX, true), 0);
	inspect(vec->name);
}

TEST(exo_graft_lower__vectors_stay_inside_when_they_run_ahead)
{
	setup();
	CHECK(vec_all(inspect_vector, NULL) > 500);
}

TEST(exo_graft_lower__random_grafts_stay_inside_when_they_run_ahead)
{
	struct gen *gen = calloc(1, sizeof(*gen));
	unsigned int i;

	setup();
	gen->random = unit_random;
	for (i = 0; i < unit_rounds(20000); i++) {
		gen_make(gen, 10 + unit_below(60));
		if (world_load(world, gen->hook, gen->insns, gen->len, gen->consts, gen->const_size, gen->state_size))
			continue;
		CHECK_EQ(raw_lower(raw, EXO_GRAFT_SANDBOX, true), 0);
		inspect("random");
	}
	free(gen);
}

/* The patterns of the literature, each with its access behind a branch or store that is still to come. */
static const struct {
	const char *name;
	const char *text;
} gadgets[] = {
	{ "v1: bounds check bypass",
	  "ldxdw r2 r1+0\nldxdw r3 r1+16\nmov r0 0\njge r3 16 out\nadd r2 r3\nldxb r4 r2\nlsh r4 6\n"
	  "ldxdw r5 r1+0\nadd r5 r4\nldxb r0 r5\nout:\nexit" },
	{ "v1: pointer against data_end",
	  "ldxdw r2 r1+0\nldxdw r3 r1+8\nldxdw r4 r1+16\nadd r2 r4\nmov r5 r2\nadd r5 8\nmov r0 0\njgt r5 r3 out\n"
	  "ldxdw r0 r2\nand r0 255\nlsh r0 6\nldxdw r5 r1+0\nadd r5 r0\nldxb r0 r5\nout:\nexit" },
	{ "v1: constant far behind the data",
	  "ldxdw r2 r1+0\nldxdw r3 r1+8\nmov r4 r2\nadd r4 0x100000\nmov r0 0\njgt r4 r3 out\nldxdw r0 r2+16000\n"
	  "add r2 0xff000\nldxdw r0 r2+8\nout:\nexit" },
	{ "v1: signed index", "ldxdw r2 r1+0\nldxdw r3 r1+16\nmov r0 0\njsgt r3 15 out\nadd r2 r3\nldxb r0 r2\nout:\nexit" },
	{ "v1: index in a loop",
	  "ldxdw r2 r1+0\nldxdw r3 r1+16\nmov r0 0\nmov r4 0\nloop:\nmov r5 r2\nadd r5 r4\nldxb r5 r5\nadd r0 r5\n"
	  "add r4 1\njlt r4 r3 loop\nexit" },
	{ "v1: mask that is skipped",
	  "ldxdw r2 r1+0\nldxdw r3 r1+16\njlt r3 16 fine\nand r3 15\nfine:\nadd r2 r3\nldxb r0 r2\nexit" },
	{ "v1: type confusion",
	  "ldxdw r2 r1+0\nldxdw r3 r1+16\njeq r3 0 number\nmov r4 r2\nja go\nnumber:\nldxdw r4 r1+24\ngo:\n"
	  "mov r0 0\njeq r3 0 out\nldxb r0 r4\nout:\nexit" },
	{ "v1: address compared with 0", "ldxdw r2 r1+16\nmov r0 0\njeq r2 0 out\nldxdw r0 r2+8\nout:\nexit" },
	{ "v1.1: store behind a check",
	  "ldxdw r2 r1+16\nmov r3 r10\nadd r3 -64\nmov r0 0\njge r2 8 out\nlsh r2 3\nadd r3 r2\nldxdw r4 r1+24\n"
	  "stxdw r3 r4\nout:\nexit" },
	{ "v1.2: store to read-only memory", "ldxdw r2 r1+0\nldxdw r3 r1+16\nmov r0 0\njeq r3 0 out\nstxdw r2 r3\nout:\nexit" },
	{ "v4: pointer overwritten on the stack",
	  "ldxdw r2 r1+16\nstxdw r10-8 r2\nmov r3 r10\nadd r3 -64\nstxdw r10-8 r3\nldxdw r4 r10-8\nldxdw r0 r4\nexit" },
	{ "v4: through an alias",
	  "ldxdw r2 r1+16\nmov r3 r10\nadd r3 -8\nadd r3 r2\nstxdw r10-8 r2\nstdw r3 0\nldxdw r4 r10-8\nldxdw r5 r1+0\n"
	  "add r5 r4\nldxb r0 r5\nexit" },
	{ "v4: index cleared",
	  "ldxdw r2 r1+16\nstxdw r1+48 r2\nstdw r1+48 0\nldxdw r3 r1+48\nldxdw r4 r1+0\nadd r4 r3\nldxb r0 r4\nexit" },
	{ "all registers taken",
	  "mov r2 1\nmov r3 2\nmov r4 3\nmov r5 4\nmov r6 5\nmov r7 6\nmov r8 7\nmov r9 8\nldxdw r0 r1+16\n"
	  "ldxb r2 r0\nstdw r0+8 0x12345678\nafxor r0+16 r3\nstxdw r0+24 r10\nmov r0 0\nloop:\nadd r0 1\njlt r0 r9 loop\nexit" },
};

TEST(exo_graft_lower__gadgets)
{
	static const u32 hooks[] = { EXO_HOOK_PURE, EXO_HOOK_STREAM };
	u32 i, k;

	for (i = 0; i < sizeof(gadgets) / sizeof(gadgets[0]); i++) {
		for (k = 0; k < 2; k++) {
			load(hooks[k], gadgets[i].text, 0);
			CHECK_EQ(raw_lower(raw, EXO_GRAFT_SANDBOX, true), 0);
			inspect(gadgets[i].name);
		}
	}
}

/* The inspection can fail: without the masks it must. */
TEST(exo_graft_lower__inspection_finds_missing_masks)
{
	u32 at;

	load(EXO_HOOK_PURE, gadgets[0].text, 0);
	CHECK_EQ(raw_lower(raw, EXO_GRAFT_SANDBOX, false), 0);
	CHECK(inspect_sandbox(raw, &at));
}

/* In proof mode a barrier stands before what the checker marked, also for those who jump there. */
TEST(exo_graft_lower__barriers_where_the_checker_says)
{
	struct gen *gen = calloc(1, sizeof(*gen));
	unsigned int i;
	u32 slot, at, want, got;

	setup();
	gen->random = unit_random;
	for (i = 0; i < unit_rounds(2000); i++) {
		gen_make(gen, 10 + unit_below(40));
		if (world_load(world, gen->hook, gen->insns, gen->len, gen->consts, gen->const_size, gen->state_size))
			continue;
		want = got = 0;
		for (slot = 0; slot < gen->len; slot++) {
			if (!(world->slots[slot] & EXO_SLOT_SECOND) && !unit_below(4)) {
				world->slots[slot] |= EXO_SLOT_NOSPEC;
				want++;
			}
		}
		CHECK_EQ(raw_lower(raw, EXO_GRAFT_PROOF, true), 0);
		for (at = 0; at < raw->target.len; at++) {
			u32 origin = raw->origin[at], before = at ? raw->origin[at - 1] : EXO_ORIGIN_PROLOGUE;

			if (origin >= gen->len || origin == before)
				continue;
			CHECK_EQ(!!(world->slots[origin] & EXO_SLOT_NOSPEC), raw->insns[at].code == EXO_NOSPEC);
			got += raw->insns[at].code == EXO_NOSPEC;
		}
		CHECK_EQ(got, want);
		/* A jump goes to the first instruction of its target. */
		for (at = 0; at < raw->target.len; at++) {
			const struct exo_insn *insn = &raw->insns[at];
			u32 to = at + 1 + insn->off, origin = raw->origin[at];

			if (origin < gen->len && exo_is_jump(insn->code) && raw->origin[to] < gen->len &&
			    raw->origin[to] != origin)
				CHECK(raw->origin[to - 1] != raw->origin[to]);
		}
	}
	free(gen);
}
