// SPDX-License-Identifier: GPL-2.0
#include "graft_gen.h"
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
