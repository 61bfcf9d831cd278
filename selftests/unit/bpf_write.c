// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the cases of Linux' BPF tests, as grafts, to standard output: all that are one graft each, and some
 * of the parts of the large ones. Only what EXO_GRAFT_RUN can run, and what ends within its budget: a
 * million interpreted instructions take the debug kernel half a minute.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_graft.h"
#include "graft_world.h"

#define EVERY 400	/* of the large ones' parts: to prove one in the guest takes a second */

static struct bpf_graft graft;
static struct world *world;

static void out(const void *data, size_t size)
{
	if (fwrite(data, 1, size, stdout) != size) {
		perror("bpf_write");
		exit(2);
	}
}

/* Runs it, too: @state goes in and comes out. Returns false if it is not for EXO_GRAFT_RUN. */
static bool put_graft(const char *name, u8 *state, bool wanted)
{
	struct bpf_record record = {
		.hook = graft.hook,
		.len = graft.len,
		.const_size = graft.const_size,
		.state_size = graft.state_size,
	};
	struct world_input input = { .state = state };

	if (world_load(world, graft.hook, graft.insns, graft.len, graft.consts, graft.const_size, graft.state_size) ||
	    graft.hook == EXO_HOOK_VICTIM)
		return false;
	snprintf(record.name, sizeof(record.name), "%s", name);
	memcpy(record.consts, graft.consts, sizeof(record.consts));
	memcpy(record.state, state, sizeof(record.state));
	input.budget = world->prog.hook->budget;
	if (!world_start(world, &input))
		return false;
	world_interpret(world);
	memcpy(state, world_region(world, EXO_REGION_STATE), graft.state_size);
	if (!wanted || world->run->status == EXO_GRAFT_ABORT_BUDGET)
		return true;
	out(&record, sizeof(record));
	out(graft.insns, graft.len * sizeof(graft.insns[0]));
	return true;
}

static void jit_cases(u8 *state)
{
	struct jit_parts parts;
	struct jit_case test;
	u32 n, all = 0;

	for (n = 0; jit_case(n, &test); n++) {
		memset(state, 0, EXO_GRAFT_MAX_STATE * 4096);
		if (!jit_parts_begin(&parts, &test))
			while (!jit_part(&parts, &graft) &&
			       put_graft(test.name, state, parts.len <= EXO_GRAFT_MAX_INSNS || all++ % EVERY == 0))
				;
		jit_parts_end(&parts);
		free(test.made);
	}
}

static void verifier_cases(u8 *state)
{
	struct verifier_case test;
	u32 n;

	for (n = 0; verifier_case(n, &test); n++) {
		memset(state, 0, EXO_GRAFT_MAX_STATE * 4096);
		if (!verifier_graft(&test, false, true, &graft))
			put_graft(test.name, state, true);
		free(test.made);
	}
}

int main(void)
{
	u8 *state = malloc(EXO_GRAFT_MAX_STATE * 4096);

	if (!state)
		return 2;
	world = world_new();
	jit_cases(state);
	verifier_cases(state);
	free(state);
	world_free(world);
	return fflush(stdout) ? 2 : 0;
}
