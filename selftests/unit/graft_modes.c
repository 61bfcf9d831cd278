// SPDX-License-Identifier: GPL-2.0
#include "graft_modes.h"
#include "unit.h"

static void report(struct modes *modes, const char *what, const char *mode)
{
	struct world *world = modes->world;
	u32 i;

	for (i = 0; i < world->prog.len && world->prog.len < 400; i++)
		printf("# slot %u: %02x dst %u src %u off %d imm %d\n", i, world->insns[i].code, world->insns[i].dst,
		       world->insns[i].src, world->insns[i].off, world->insns[i].imm);
	if (world->prog.len < 400)
		raw_print(modes->raw);
	unit_fail(__FILE__, __LINE__, "%s: %s", mode, what);
}

void modes_outcome(const struct modes *modes, u32 result, struct outcome *out)
{
	const struct world *world = modes->world;

	*out = (struct outcome){ result, world->run->status, world->run->budget, world->calls };
}

void modes_compare(struct modes *modes, const struct outcome *want, const struct outcome *got, const char *mode)
{
	struct world *world = modes->world;
	u64 state = world->layout.start[EXO_REGION_STATE];

	if (modes->raw->bad) {
		printf("# at %u\n", modes->raw->bad_at);
		report(modes, modes->raw->bad, mode);
	}
	if (got->status != want->status) {
		printf("# status %u, interpreted %u\n", got->status, want->status);
		report(modes, "another status", mode);
	}
	if (got->result != want->result)
		report(modes, "another result", mode);
	if (got->budget != want->budget)
		report(modes, "another budget", mode);
	if (got->calls != want->calls)
		report(modes, "other calls", mode);
	if (world->prog.state_size &&
	    memcmp(modes->expected + state, world_at(world, state), world->prog.state_size))
		report(modes, "another state", mode);
	if (!want->status && memcmp(modes->expected, world_at(world, 0), modes->loaded))
		report(modes, "other memory", mode);
}

bool modes_run(struct modes *modes, const struct world_input *input, bool all, struct outcome *want)
{
	static const struct {
		const char *name;
		u32 mode;
		bool barriers;
	} kinds[] = {
		{ "sandbox", EXO_GRAFT_SANDBOX, true },
		{ "proof", EXO_GRAFT_PROOF, true },
		{ "sandbox without barriers", EXO_GRAFT_SANDBOX, false },
	};
	struct world *world = modes->world;
	struct outcome got;
	u32 i;

	if (!world_start(world, input))
		return false;
	modes_outcome(modes, world_interpret(world), want);
	modes->loaded = world->run->read_hi;
	memcpy(modes->expected, world_at(world, 0), modes->loaded);
	world->prog.mixed = true;
	for (i = 0; i < (all ? 3 : 2); i++) {
		if (raw_lower(modes->raw, kinds[i].mode, kinds[i].barriers)) {
			CHECK_EQ(world->error.code, EXO_GRAFT_E_LOWERED);
			CHECK(world->prog.len > 500);
			continue;
		}
		world_start(world, input);
		modes_outcome(modes, raw_run(modes->raw), &got);
		modes_compare(modes, want, &got, kinds[i].name);
	}
	return true;
}

void modes_new(struct modes *modes)
{
	modes->world = world_new();
	modes->raw = raw_new(modes->world);
	modes->expected = malloc(WORLD_MAP);
	if (!modes->expected)
		abort();
}

void modes_free(struct modes *modes)
{
	free(modes->expected);
	raw_free(modes->raw);
	world_free(modes->world);
}
