// SPDX-License-Identifier: GPL-2.0
/*
 * The cases of lib/test_bpf.c as grafts (INV-GRAFT-11): each ends with the result that stands there, in
 * all modes.
 */
#include "bpf_graft.h"
#include "graft_modes.h"
#include "unit.h"

struct counts {
	u32 cases;
	u32 classic;
	u32 run;		/* in the interpreter and the sandbox */
	u32 proved;
	u32 large;		/* more than one graft each */
	u32 parts;
	u32 dear;		/* more than the budget */
	u32 not;		/* for these reasons */
	const char *reason[8];
	u32 of_reason[8];
};

static struct counts counts;
static struct modes modes;
static struct bpf_graft graft;

static void load(const struct jit_case *test)
{
	if (world_load(modes.world, graft.hook, graft.insns, graft.len, graft.consts, graft.const_size,
		       graft.state_size))
		unit_fail(__FILE__, __LINE__, "%s: not decoded: %u at slot %u", test->name, modes.world->error.code,
			  modes.world->error.slot);
}

/* @state goes in and comes out. Returns whether it is proved. */
static bool run(const struct jit_case *test, u32 part, u8 *state, struct outcome *want)
{
	struct world_input input = { .budget = 1 << 20, .state = state };
	bool proved = false;

	load(test);
	modes_run(&modes, &input, part % 8 == 0, want);
	/* To prove and trace them all takes minutes. */
	if (part % 64 == 0)
		proved = modes_prove(&modes, &input, want);
	if (graft.state_size)
		memcpy(state, modes.expected + modes.world->layout.start[EXO_REGION_STATE], graft.state_size);
	return proved;
}

static void not_translated(const char *why)
{
	u32 i = 0;

	while (counts.reason[i] && strcmp(counts.reason[i], why))
		i++;
	counts.reason[i] = why;
	counts.of_reason[i]++;
	counts.not++;
}

static void one(const struct jit_case *test)
{
	static u8 state[EXO_GRAFT_MAX_STATE * 4096];
	struct jit_parts parts;
	struct outcome want = {};
	const char *why = jit_parts_begin(&parts, test);
	bool proved = false;
	u32 nr = 0;

	memset(state, 0, sizeof(state));
	while (!why && !(why = jit_part(&parts, &graft))) {
		if (graft.hook == EXO_HOOK_TXN && !nr)
			memset(state, 0x5a, JIT_PART_DONE);
		state[JIT_PART_DONE] = 0;
		proved |= run(test, nr, state, &want);
		nr++;
		if (want.status || !state[JIT_PART_DONE])
			break;
	}
	jit_parts_end(&parts);
	if (why) {
		not_translated(why);
	} else if (want.status == EXO_GRAFT_ABORT_BUDGET) {
		counts.dear++;
	} else {
		if (want.status || want.result != test->result)
			unit_fail(__FILE__, __LINE__, "%s: status %u, result %x, not %x", test->name, want.status,
				  want.result, test->result);
		counts.run++;
		counts.proved += proved;
	}
	counts.large += nr > 1;
	counts.parts += nr > 1 ? nr : 0;
}

static void report(void)
{
	u32 i;

	printf("# lib/test_bpf.c: %u cases, of which %u classic BPF, which no graft can be\n", counts.cases,
	       counts.classic);
	for (i = 0; counts.reason[i]; i++)
		printf("#   %4u not translatable: %s\n", counts.of_reason[i], counts.reason[i]);
	printf("#   %4u over the budget\n", counts.dear);
	printf("#   %4u with the right result in all modes; %u are proved; %u are many grafts (%u)\n", counts.run,
	       counts.proved, counts.large, counts.parts);
}

TEST(bpf_jit__cases)
{
	struct jit_case test;

	modes_new(&modes);
	while (jit_case(counts.cases, &test)) {
		counts.cases++;
		if (test.classic)
			counts.classic++;
		else
			one(&test);
		free(test.made);
	}
	modes_free(&modes);
	report();
	CHECK(counts.run >= 840);
	CHECK(counts.proved >= 810);
	CHECK(counts.large >= 100);
	CHECK(counts.not <= 50);
}
