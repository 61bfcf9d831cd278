// SPDX-License-Identifier: GPL-2.0
#include "graft_modes.h"
#include "graft_prove.h"
#include "graft_trace.h"
#include "unit.h"

#define TRACED 5000	/* steps */

static void check(struct world *world, const void *cert, size_t size)
{
	void *room = malloc(exo_graft_check_room(&world->prog));
	int ret = exo_graft_check(&world->prog, cert, size, room, &world->error);

	free(room);
	if (ret)
		unit_fail(__FILE__, __LINE__, "the checker refuses what the prover proved: %u at slot %u",
			  world->error.code, world->error.slot);
}

bool modes_prove(struct modes *modes, const struct world_input *input, const struct outcome *want)
{
	struct world *world = modes->world;
	struct outcome got;
	struct trace trace;
	size_t size;
	void *cert;
	u32 i;

	world->prog.mixed = false;
	if (exo_graft_prove(&world->prog, &cert, &size, &world->error))
		return false;
	check(world, cert, size);
	if (!raw_lower(modes->raw, EXO_GRAFT_PROOF, true)) {
		world_start(world, input);
		modes_outcome(modes, raw_run(modes->raw), &got);
		if (!world->prog.mixed)
			got.budget = want->budget;
		/* A proof that isn't mixed is never without budget: it would cost too much. */
		modes_compare(modes, want, &got, "proved");
	}
	CHECK(want->status != EXO_GRAFT_ABORT_ACCESS);
	world_start(world, input);
	for (i = 0; i < world->prog.stack; i++)
		world_region(world, EXO_REGION_STACK)[i] = (u8)unit_random();
	if (!trace_run(world, cert, size, TRACED, &trace))
		unit_fail(__FILE__, __LINE__, "proved, but %s", trace.what);
	free(cert);
	return true;
}
