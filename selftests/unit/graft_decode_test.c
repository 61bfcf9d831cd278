// SPDX-License-Identifier: GPL-2.0
#include "core/graft_insn.h"
#include "graft_world.h"
#include "unit.h"

static int load(struct world *world, const char *text)
{
	struct exo_insn insns[VEC_MAX_INSNS];
	u32 len = 0;

	CHECK(!vec_assemble(text, insns, &len, VEC_MAX_INSNS));
	return world_load(world, EXO_HOOK_PURE, insns, len, (const u8 *)"abc", 3, 0);
}

TEST(exo_graft_decode__marks)
{
	struct world *world = world_new();

	CHECK_EQ(load(world, "lddw r0 1\nloop:\nadd r0 1\njeq r0 9 out\njlt r0 5 loop\nout:\nexit"), 0);
	CHECK_EQ(world->slots[0], 0);
	CHECK_EQ(world->slots[1], EXO_SLOT_SECOND);
	CHECK_EQ(world->slots[2], EXO_SLOT_TARGET | EXO_SLOT_HEAD);
	CHECK_EQ(world->slots[3], 0);
	CHECK_EQ(world->slots[5], EXO_SLOT_TARGET);
	CHECK_EQ(world->prog.regs, 3);
	CHECK_EQ(world->prog.stack, 0);
	CHECK_EQ(world->prog.worst, ~0ULL);
	world_free(world);
}

TEST(exo_graft_decode__stack)
{
	struct world *world = world_new();

	CHECK_EQ(load(world, "stb r10-1 1\nexit"), 0);
	CHECK_EQ(world->prog.stack, 8);
	CHECK_EQ(load(world, "ldxdw r0 r10-448\nexit"), 0);
	CHECK_EQ(world->prog.stack, 448);
	CHECK_EQ(load(world, "mov r2 r10\nmov r3 r2\nadd r3 -100\nexit"), 0);
	CHECK_EQ(world->prog.stack, 104);
	/* What isn't the stack's address any more has no limit. */
	CHECK_EQ(load(world, "mov r2 r10\nldxdw r2 r1\nadd r2 -1000\nexit"), 0);
	CHECK_EQ(load(world, "mov r2 r10\nadd r2 8\nexit"), 0);
	CHECK_EQ(load(world, "mov r2 r10\nafadd r1+48 r2\nadd r2 -1000\nexit"), 0);
	CHECK_EQ(load(world, "mov r2 r10\nlddw r2 5\nadd r2 -1000\nexit"), 0);
	CHECK_EQ(load(world, "mov r2 r10\njeq r0 0 a\nmov r2 5\na:\nadd r2 -1000\nexit"), 0);
	CHECK_EQ(load(world, "mov r2 r10\nadd r2 -1000\nexit"), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_STACK);
	CHECK_EQ(world->error.lo, -1000);
	CHECK_EQ(world->error.slot, 1);
	world_free(world);
}

TEST(exo_graft_decode__call_forgets_addresses)
{
	struct world *world = world_new();
	struct exo_insn insns[8];
	u32 len = 0;

	CHECK(!vec_assemble("mov r0 r10\ncall now\nadd r0 -1000\nexit", insns, &len, 8));
	CHECK_EQ(world_load(world, EXO_HOOK_TXN, insns, len, NULL, 0, 0), 0);
	CHECK_EQ(world->prog.regs, 0x3f | 1U << 10);
	world_free(world);
}

TEST(exo_graft_decode__sizes)
{
	static struct exo_insn insns[EXO_GRAFT_MAX_INSNS + 1];
	struct world *world = world_new();
	u32 i;

	for (i = 0; i <= EXO_GRAFT_MAX_INSNS; i++)
		insns[i] = (struct exo_insn){ .code = EXO_ALU64 | EXO_MOV | EXO_K };
	insns[EXO_GRAFT_MAX_INSNS - 1].code = EXO_JMP | EXO_EXIT;
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, EXO_GRAFT_MAX_INSNS, NULL, 0, 0), 0);
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, EXO_GRAFT_MAX_INSNS + 1, NULL, 0, 0), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_SIZE);
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns + EXO_GRAFT_MAX_INSNS - 1, 1, NULL,
			    EXO_GRAFT_MAX_CONST + 1, 0), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_SIZE);
	CHECK_EQ(world_load(world, EXO_HOOK_TXN, insns + EXO_GRAFT_MAX_INSNS - 1, 1, NULL, 0, 4097), -EINVAL);
	world_free(world);
}

/* The worst that backward jumps can do to the search for what is reached. */
TEST(exo_graft_decode__ladder)
{
	static struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
	struct world *world = world_new();
	u32 i, n = 2000;

	/* 0 -> last but one, each -> the one before it, 1 is EXIT. */
	for (i = 0; i < n; i++)
		insns[i] = (struct exo_insn){ .code = EXO_JMP | EXO_JA, .off = -2 };
	insns[0].off = n - 2;
	insns[1] = (struct exo_insn){ .code = EXO_JMP | EXO_EXIT };
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, n, NULL, 0, 0), 0);
	insns[500].off = 0;
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, n, NULL, 0, 0), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_UNREACHABLE);
	world_free(world);
}

/* INV-GRAFT-10: whatever the bytes are, what is accepted keeps inside. */
TEST(exo_graft_decode__random_bytes)
{
	struct world *world = world_new();
	unsigned int i, good = 0;

	for (i = 0; i < unit_rounds(200000); i++) {
		u32 len = 1 + unit_below(8), slot;
		struct exo_insn *insns = malloc(len * sizeof(*insns));

		for (slot = 0; slot < len; slot++) {
			u64 a = unit_random();

			memcpy(&insns[slot], &a, 8);
			insns[slot].dst = unit_below(12);
			if (unit_below(4))
				insns[slot].src = 0;
			if (unit_below(4))
				insns[slot].off = unit_below(5) - 2;
			if (unit_below(2))
				insns[slot].imm = 0;
		}
		if (unit_below(8))
			insns[len - 1] = (struct exo_insn){ .code = EXO_JMP | EXO_EXIT };
		if (!world_load(world, 1 + unit_below(5), insns, len, (const u8 *)"abc", 3, 0)) {
			struct world_input input = { .budget = 200 };

			good++;
			CHECK_EQ(world->error.code, EXO_GRAFT_FINE);
			CHECK(world->prog.stack <= EXO_GRAFT_MAX_STACK && world->prog.stack % 8 == 0);
			if (world_start(world, &input))
				world_interpret(world);
		} else {
			CHECK(world->error.code && world->error.slot < len);
		}
		free(insns);
	}
	printf("# %u accepted\n", good);
	CHECK(good);
	world_free(world);
}

static void refused_well(const struct vec *vec, void *arg)
{
	struct world *world = arg;

	if (vec->error) {
		CHECK_EQ(world_load(world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size,
				    vec->state_pages * 4096), -EINVAL);
		CHECK_EQ(world->error.code, vec->error);
	}
}

TEST(exo_graft_decode__vectors)
{
	struct world *world = world_new();

	CHECK(vec_all(refused_well, world));
	world_free(world);
}

TEST(exo_graft_layout__regions_in_order)
{
	struct world *world = world_new();
	struct exo_insn insns[4];
	u32 len = 0, pages, consts;

	CHECK(!vec_assemble("stdw r10-24 1\nexit", insns, &len, 4));
	for (pages = 0; pages <= EXO_GRAFT_MAX_STATE; pages += 16) {
		for (consts = 0; consts <= EXO_GRAFT_MAX_CONST; consts += 8191) {
			static const u8 zeros[EXO_GRAFT_MAX_CONST];
			const struct exo_graft_layout *l = &world->layout;
			u64 end;

			CHECK_EQ(world_load(world, EXO_HOOK_VICTIM, insns, len, zeros, consts, pages * 4096), 0);
			CHECK_EQ(l->start[EXO_REGION_CONST], EXO_GRAFT_BASE);
			CHECK_EQ(l->read_lo, EXO_GRAFT_BASE);
			CHECK(l->start[EXO_REGION_CTX] >= EXO_GRAFT_BASE + consts);
			CHECK_EQ(l->start[EXO_REGION_CTX] + sizeof(struct exo_ctx_victim), l->start[EXO_REGION_STACK]);
			CHECK_EQ(l->start[EXO_REGION_STACK] + 24, l->start[EXO_REGION_STATE]);
			CHECK_EQ(l->start[EXO_REGION_STATE] % 4096, 0);
			CHECK_EQ(l->start[EXO_REGION_STATE] + pages * 4096, l->start[EXO_REGION_DATA]);
			CHECK_EQ(l->write_hi, l->start[EXO_REGION_DATA]);
			CHECK_EQ(l->read_hi, l->start[EXO_REGION_DATA]);
			CHECK_EQ(l->write_lo, l->start[EXO_REGION_STACK]);
			end = l->start[EXO_REGION_DATA] + world->prog.hook->data_cap;
			CHECK_EQ(l->mask & (l->mask + 1), 0);
			CHECK_EQ(end & l->mask, end);
		}
	}
	world_free(world);
}
