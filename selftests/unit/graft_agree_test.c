// SPDX-License-Identifier: GPL-2.0
/*
 * INV-GRAFT-11: the interpreter, the sandbox and the proof lowering give the same: on the vectors, and
 * on random grafts. EXO_TEST_ROUNDS=n for more of them.
 */
#include "graft_gen.h"
#include "graft_modes.h"
#include "unit.h"

#ifndef EXO_AGREE_ROUNDS
#define EXO_AGREE_ROUNDS 20000	/* under the sanitizers */
#endif

static void vector(const struct vec *vec, void *arg)
{
	struct modes *modes = arg;
	struct world_input input;
	struct outcome want;

	if (world_load(modes->world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size,
		       vec->state_pages * 4096))
		return;
	world_input_of(vec, &input);
	modes_run(modes, &input, true, &want);
}

TEST(agree__vectors)
{
	struct modes modes;

	modes_new(&modes);
	CHECK(vec_all(vector, &modes) > 500);
	modes_free(&modes);
}

TEST(agree__random)
{
	unsigned int i, rounds = unit_rounds(EXO_AGREE_ROUNDS), ends[6] = {};
	struct gen *gen = calloc(1, sizeof(*gen));
	struct outcome want = {};
	struct modes modes;
	struct world *world;

	modes_new(&modes);
	world = modes.world;
	gen->random = unit_random;
	gen->state = calloc(2, 4096);
	for (i = 0; i < 8192; i++)
		gen->state[i] = unit_random();
	for (i = 0; i < rounds; i++) {
		gen_make(gen, unit_below(64) ? 10 + unit_below(40) : 100 + unit_below(900));
		if (world_load(world, gen->hook, gen->insns, gen->len, gen->consts, gen->const_size, gen->state_size)) {
			/* r10 - 1000: arithmetic on what happens to be the stack's address. */
			if (world->error.code == EXO_GRAFT_E_STACK)
				continue;
			unit_fail(__FILE__, __LINE__, "round %u: not valid: %u at slot %u", i, world->error.code,
				  world->error.slot);
		}
		modes_run(&modes, &gen->input, i % 8 == 0, &want);
		ends[want.status]++;
	}
	printf("# %u grafts: %u ended well, %u with a bad access, %u without budget, %u in a helper\n", rounds,
	       ends[EXO_GRAFT_OK], ends[EXO_GRAFT_ABORT_ACCESS], ends[EXO_GRAFT_ABORT_BUDGET],
	       ends[EXO_GRAFT_ABORT_HELPER]);
	CHECK(ends[EXO_GRAFT_OK] && ends[EXO_GRAFT_ABORT_ACCESS] && ends[EXO_GRAFT_ABORT_BUDGET]);
	free(gen->state);
	free(gen);
	modes_free(&modes);
}
