// SPDX-License-Identifier: GPL-2.0
#include "core/graft_insn.h"
#include "graft_world.h"
#include "unit.h"

/* INV-GRAFT-11: each vector, against what stands in it. */
static void check_vector(const struct vec *vec, void *arg)
{
	struct world *world = arg;
	struct world_input input;
	u32 result = 0, i;

	if (world_load(world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size,
		       vec->state_pages * 4096)) {
		if (world->error.code != vec->error)
			unit_fail(__FILE__, __LINE__, "line %u, %s: refused (%u) at slot %u", vec->line, vec->name,
				  world->error.code, world->error.slot);
		return;
	}
	if (vec->error)
		unit_fail(__FILE__, __LINE__, "line %u, %s: not refused", vec->line, vec->name);
	world_input_of(vec, &input);
	if (world_start(world, &input))
		result = world_interpret(world);
	else
		world->run->status = EXO_GRAFT_ABORT_BUDGET;
	if (world->run->status != vec->status)
		unit_fail(__FILE__, __LINE__, "line %u, %s: status %u, not %u", vec->line, vec->name,
			  world->run->status, vec->status);
	if (result != vec->result)
		unit_fail(__FILE__, __LINE__, "line %u, %s: result 0x%x, not 0x%x", vec->line, vec->name, result,
			  vec->result);
	for (i = 0; i < vec->nr_words; i++) {
		u64 value;

		memcpy(&value, world_region(world, vec->words[i].region) + vec->words[i].off, 8);
		if (value != vec->words[i].value)
			unit_fail(__FILE__, __LINE__, "line %u, %s: 0x%" PRIx64 " at %u, not 0x%" PRIx64, vec->line,
				  vec->name, value, vec->words[i].off, vec->words[i].value);
	}
	if (vec->check_data && memcmp(world_region(world, EXO_REGION_DATA), vec->data_after, vec->data_size))
		{
		for (i = 0; i < vec->data_size; i++)
			printf("%02x", world_region(world, EXO_REGION_DATA)[i]);
		unit_fail(__FILE__, __LINE__, " line %u, %s: other data", vec->line, vec->name);
	}
}

TEST(exo_graft_interpret__vectors)
{
	struct world *world = world_new();
	unsigned int nr = vec_all(check_vector, world);

	printf("# %u vectors\n", nr);
	CHECK(nr > 500);
	world_free(world);
}

/* Assembles, loads and runs one graft. */
static u32 run(struct world *world, u32 hook, const char *text, const struct world_input *input)
{
	struct exo_insn insns[VEC_MAX_INSNS];
	u32 len = 0;

	CHECK(!vec_assemble(text, insns, &len, VEC_MAX_INSNS));
	if (world_load(world, hook, insns, len, NULL, 0, hook == EXO_HOOK_TXN ? 8192 : 0))
		unit_fail(__FILE__, __LINE__, "refused: %u at %u", world->error.code, world->error.slot);
	CHECK(world_start(world, input));
	return world_interpret(world);
}

TEST(exo_graft_interpret__budget_is_exact)
{
	static const char text[] = "mov r0 0\nmov r2 10\nloop:\nadd r0 1\nsub r2 1\njne r2 0 loop\nexit\n";
	/* Entry 6 slots, 9 jumps back of 3 slots. */
	s64 need = 6 + 9 * 3, budget;
	struct world *world = world_new();

	for (budget = 6; budget < need + 5; budget++) {
		struct world_input input = { .budget = budget };

		if (run(world, EXO_HOOK_PURE, text, &input) == 10) {
			CHECK(budget >= need);
			CHECK_EQ(world->run->status, EXO_GRAFT_OK);
			CHECK_EQ(world->run->budget, budget - need);
		} else {
			CHECK(budget < need);
			CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_BUDGET);
		}
	}
	world_free(world);
}

TEST(exo_graft_interpret__killed)
{
	struct world *world = world_new();
	struct world_input input = { .budget = 1000 };
	struct exo_insn insns[4];
	u32 len = 0;

	CHECK(!vec_assemble("mov r0 0\nloop:\nja loop\nexit", insns, &len, 4));
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, len, NULL, 0, 0), -EINVAL);
	CHECK_EQ(world->error.code, EXO_GRAFT_E_UNREACHABLE);
	len = 0;
	CHECK(!vec_assemble("loop:\njeq r0 0 loop\nexit", insns, &len, 4));
	CHECK_EQ(world_load(world, EXO_HOOK_PURE, insns, len, NULL, 0, 0), 0);
	CHECK(world_start(world, &input));
	world->run->killed = 1;
	world->run->budget = -1;
	CHECK_EQ(world_interpret(world), 0);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_KILLED);
	world_free(world);
}

TEST(exo_graft_interpret__helper_arguments)
{
	struct world *world = world_new();
	struct world_input input = { .budget = 1000 };

	run(world, EXO_HOOK_TXN, "mov r1 8\ncall lock\nmov r0 7\nexit", &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_HELPER);
	/* Not state, behind it, not aligned. */
	run(world, EXO_HOOK_TXN, "call log\nexit", &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_ACCESS);
	run(world, EXO_HOOK_TXN, "ldstate r1 8188\ncall log\nexit", &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_ACCESS);
	run(world, EXO_HOOK_TXN, "ldstate r1 4\ncall log\nexit", &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_ACCESS);
	run(world, EXO_HOOK_TXN, "ldstate r1 8192\ncall log\nexit", &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_ACCESS);
	run(world, EXO_HOOK_TXN, "ldstate r1 8184\ncall log\nexit", &input);
	CHECK(world->run->status == EXO_GRAFT_OK || world->run->status == EXO_GRAFT_ABORT_HELPER);
	world_free(world);
}

/* Everything around the ends of the window, with every size, in both directions. */
TEST(exo_graft_interpret__window_ends)
{
	struct world *world = world_new();
	u32 size, shift;
	s64 at;

	for (shift = 0; shift < 4; shift++) {
		static const char *const names[] = { "b", "h", "w", "dw" };
		char text[80];

		size = 1U << shift;
		for (at = -10; at < 10; at++) {
			struct world_input input = { .data = (const u8 *)"0123456789", .data_size = 10, .budget = 9 };
			bool good = at >= 0;

			input.arg[0] = EXO_GRAFT_BASE + at;
			snprintf(text, sizeof(text), "ldxdw r2 r1+16\nldx%s r0 r2\nexit", names[shift]);
			run(world, EXO_HOOK_PURE, text, &input);
			CHECK_EQ(world->run->status, good ? EXO_GRAFT_OK : EXO_GRAFT_ABORT_ACCESS);

			snprintf(text, sizeof(text), "ldxdw r2 r1+8\nldx%s r0 r2%+d\nexit", names[shift], (int)at);
			run(world, EXO_HOOK_PURE, text, &input);
			good = at + (s64)size <= 0;
			CHECK_EQ(world->run->status, good ? EXO_GRAFT_OK : EXO_GRAFT_ABORT_ACCESS);

			snprintf(text, sizeof(text), "ldxdw r2 r1+8\nstx%s r2%+d r1\nexit", names[shift], (int)at);
			run(world, EXO_HOOK_PURE, text, &input);
			good = at + (s64)size <= -10;
			CHECK_EQ(world->run->status, good ? EXO_GRAFT_OK : EXO_GRAFT_ABORT_ACCESS);

			snprintf(text, sizeof(text), "st%s r1%+d 1\nexit", names[shift], 48 + (int)at);
			run(world, EXO_HOOK_STREAM, text, &input);
			CHECK_EQ(world->run->status, at >= 0 ? EXO_GRAFT_OK : EXO_GRAFT_ABORT_ACCESS);
		}
	}
	world_free(world);
}

static u32 pauses;

/* The third pause ends the run. */
static u64 pause_run(u64 a, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	(void)a, (void)b, (void)c, (void)d;
	if (++pauses == 3)
		run->status = EXO_GRAFT_ABORT_KILLED;
	return 0;
}

/* Catches: a long run that nobody can interrupt, or one that goes on though it was ended in its pause. */
TEST(exo_graft_interpret__pauses)
{
	static const char text[] = "mov r0 0\nloop:\nadd r0 1\njne r0 0 loop\nexit\n";
	exo_helper_fn helpers[EXO_GRAFT_MAX_HELPERS] = { [EXO_HELPER_PAUSE] = pause_run };
	struct world_input input = { .budget = 1 << 20 };
	struct world *world = world_new();

	run(world, EXO_HOOK_TXN, text, &input);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_BUDGET);
	CHECK(world_start(world, &input));
	CHECK_EQ(exo_graft_interpret(&world->prog, &world->layout, helpers, world->run), 0);
	CHECK_EQ(world->run->status, EXO_GRAFT_ABORT_KILLED);
	CHECK_EQ(pauses, 3);
	/* Two slots are charged each time, and four at the entry. */
	CHECK_EQ(world->run->budget, (1 << 20) - 4 - 3 * EXO_GRAFT_PAUSE);
	world_free(world);
}
