// SPDX-License-Identifier: GPL-2.0
/*
 * INV-GRAFT-11: the interpreter, the sandbox and the proof lowering give the same: on the vectors, and
 * on random grafts. EXO_TEST_ROUNDS=n for more of them.
 */
#include "graft_gen.h"
#include "graft_raw.h"
#include "unit.h"

#ifndef EXO_AGREE_ROUNDS
#define EXO_AGREE_ROUNDS 20000	/* under the sanitizers */
#endif

struct outcome {
	u32 result;
	u32 status;
	s64 budget;
	u64 calls;
};

static struct world *world;
static struct raw *raw;
static u8 *expected;		/* the window, as the interpreter left it */
static u32 loaded;		/* of it: everything up to the data's end */

static void report(const char *what, const char *mode)
{
	u32 i;

	for (i = 0; i < world->prog.len && world->prog.len < 400; i++)
		printf("# slot %u: %02x dst %u src %u off %d imm %d\n", i, world->insns[i].code, world->insns[i].dst,
		       world->insns[i].src, world->insns[i].off, world->insns[i].imm);
	if (world->prog.len < 400)
		raw_print(raw);
	unit_fail(__FILE__, __LINE__, "%s: %s", mode, what);
}

static void outcome(struct outcome *out, u32 result)
{
	*out = (struct outcome){ result, world->run->status, world->run->budget, world->calls };
}

static void compare(const struct outcome *want, const struct outcome *got, const char *mode)
{
	const struct exo_graft_layout *l = &world->layout;
	u64 state = l->start[EXO_REGION_STATE];

	if (raw->bad) {
		printf("# at %u\n", raw->bad_at);
		report(raw->bad, mode);
	}
	if (got->status != want->status) {
		printf("# status %u, interpreted %u\n", got->status, want->status);
		report("another status", mode);
	}
	if (got->result != want->result)
		report("another result", mode);
	if (got->budget != want->budget)
		report("another budget", mode);
	if (got->calls != want->calls)
		report("other calls", mode);
	if (world->prog.state_size && memcmp(expected + state, world_at(world, state), world->prog.state_size))
		report("another state", mode);
	if (!want->status && memcmp(expected, world_at(world, 0), loaded))
		report("other memory", mode);
}

/* All modes on what is loaded. */
static void run_all(const struct world_input *input, struct outcome *want, bool all)
{
	static const struct {
		const char *name;
		u32 mode;
		bool barriers;
	} modes[] = {
		{ "sandbox", EXO_GRAFT_SANDBOX, true },
		{ "proof", EXO_GRAFT_PROOF, true },
		{ "sandbox without barriers", EXO_GRAFT_SANDBOX, false },
	};
	struct outcome got;
	u32 i;

	if (!world_start(world, input))
		return;
	outcome(want, world_interpret(world));
	loaded = world->run->read_hi;
	memcpy(expected, world_at(world, 0), loaded);
	world->prog.mixed = true;
	for (i = 0; i < (all ? 3 : 2); i++) {
		if (raw_lower(raw, modes[i].mode, modes[i].barriers)) {
			CHECK_EQ(world->error.code, EXO_GRAFT_E_LOWERED);
			CHECK(world->prog.len > 500);
			continue;
		}
		world_start(world, input);
		outcome(&got, raw_run(raw));
		outcome(&got, got.result);
		compare(want, &got, modes[i].name);
	}
}

static void setup(void)
{
	if (!world) {
		world = world_new();
		raw = raw_new(world);
		expected = malloc(WORLD_MAP);
	}
}

static void vector(const struct vec *vec, void *arg)
{
	struct world_input input;
	struct outcome want;

	(void)arg;
	if (world_load(world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size, vec->state_pages * 4096))
		return;
	world_input_of(vec, &input);
	run_all(&input, &want, true);
}

TEST(agree__vectors)
{
	setup();
	CHECK(vec_all(vector, NULL) > 500);
}

TEST(agree__random)
{
	unsigned int i, rounds = unit_rounds(EXO_AGREE_ROUNDS), ends[6] = {};
	struct gen *gen = calloc(1, sizeof(*gen));
	struct outcome want = {};

	setup();
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
		run_all(&gen->input, &want, i % 8 == 0);
		ends[want.status]++;
	}
	printf("# %u grafts: %u ended well, %u with a bad access, %u without budget, %u in a helper\n", rounds,
	       ends[EXO_GRAFT_OK], ends[EXO_GRAFT_ABORT_ACCESS], ends[EXO_GRAFT_ABORT_BUDGET],
	       ends[EXO_GRAFT_ABORT_HELPER]);
	CHECK(ends[EXO_GRAFT_OK] && ends[EXO_GRAFT_ABORT_ACCESS] && ends[EXO_GRAFT_ABORT_BUDGET]);
	free(gen->state);
	free(gen);
}
