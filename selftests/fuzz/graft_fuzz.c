// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the graft engine: any bytes are decoded; what is a graft is interpreted, lowered,
 * executed, compared and inspected. make -C selftests/unit runs it for a minute.
 *
 * Input: struct head, then instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graft_insn.h"
#include "graft_gen.h"
#include "graft_inspect.h"
#include "graft_raw.h"

struct head {
	u8 hook;
	u8 const_size;
	u8 state_pages;
	u8 data_size;
	u16 budget;
	u16 reserved;
	u64 arg[2];
};

#define MAX_SLOTS 512U

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *bytes, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(u8 *bytes, size_t size, size_t max);

static struct world *world;
static struct raw *raw;
static u8 *expected;
static u8 pattern[8192];

static void setup(void)
{
	size_t i;

	if (world)
		return;
	world = world_new();
	raw = raw_new(world);
	expected = malloc(WORLD_MAP);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (u8)(i * 167 + (i >> 8));
}

static void fail(const char *what)
{
	fprintf(stderr, "graft_fuzz: %s\n", what);
	raw_print(raw);
	abort();
}

static void compare(const struct exo_graft_run *want, u64 calls, u32 result, u32 got)
{
	u64 state = world->layout.start[EXO_REGION_STATE];

	if (raw->bad)
		fail(raw->bad);
	if (world->run->status != want->status || result != got || world->run->budget != want->budget ||
	    world->calls != calls)
		fail("another end");
	if (memcmp(expected + state, world_at(world, state), world->prog.state_size))
		fail("another state");
	if (!want->status && memcmp(expected, world_at(world, 0), want->read_hi))
		fail("other memory");
}

static void execute(const struct world_input *input)
{
	static const u32 modes[] = { EXO_GRAFT_SANDBOX, EXO_GRAFT_PROOF };
	struct exo_graft_run want;
	u32 result, i, at;
	u64 calls;

	if (!world_start(world, input))
		return;
	result = world_interpret(world);
	want = *world->run;
	calls = world->calls;
	memcpy(expected, world_at(world, 0), want.read_hi);
	world->prog.mixed = true;
	for (i = 0; i < 2; i++) {
		if (raw_lower(raw, modes[i], true))
			continue;
		if (modes[i] == EXO_GRAFT_SANDBOX && inspect_sandbox(raw, &at))
			fail(inspect_sandbox(raw, &at));
		world_start(world, input);
		compare(&want, calls, result, raw_run(raw));
	}
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct world_input input = {};
	struct head head;
	struct exo_insn *insns;
	u32 len;

	setup();
	if (size < sizeof(head))
		return -1;
	memcpy(&head, bytes, sizeof(head));
	len = (u32)((size - sizeof(head)) / sizeof(*insns));
	if (len > MAX_SLOTS)
		return -1;
	/* A block of its own: reading behind it is found. */
	insns = malloc(len * sizeof(*insns) + !len);
	memcpy(insns, bytes + sizeof(head), len * sizeof(*insns));
	input.arg[0] = input.arg[2] = head.arg[0];
	input.arg[1] = input.arg[3] = head.arg[1];
	input.data = pattern;
	input.data_size = head.data_size;
	input.state = pattern;
	input.budget = head.budget % 4096;
	if (!world_load(world, EXO_HOOK_PURE + head.hook % 5, insns, len, pattern, head.const_size % 64,
			head.state_pages % 3 * 4096))
		execute(&input);
	free(insns);
	return 0;
}

static u64 random_state;

static u64 next_random(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return random_state ^ random_state >> 29;
}

/* Bytes alone seldom become a graft: now and then a new one, the others keep their EXIT. */
size_t LLVMFuzzerCustomMutator(u8 *bytes, size_t size, size_t max, unsigned int seed)
{
	static const struct exo_insn leave = { .code = EXO_JMP | EXO_EXIT };
	static struct gen gen;
	struct head head = {};
	size_t len;

	setup();
	random_state = seed * 0x9e3779b97f4a7c15ULL;
	if (seed % 32) {
		len = LLVMFuzzerMutate(bytes, size, max);
		if (len >= sizeof(head) + 8 && len <= max) {
			len -= (len - sizeof(head)) % 8;
			if (seed % 8)
				memcpy(bytes + len - 8, &leave, 8);
		}
		return len;
	}
	gen.random = next_random;
	gen.state = pattern;
	gen_make(&gen, 8 + seed / 32 % 32);
	len = sizeof(head) + gen.len * sizeof(struct exo_insn);
	if (len > max)
		return LLVMFuzzerMutate(bytes, size, max);
	head.hook = (u8)(gen.hook - EXO_HOOK_PURE);
	head.const_size = (u8)gen.const_size;
	head.state_pages = (u8)(gen.state_size / 4096);
	head.data_size = (u8)gen.input.data_size;
	head.budget = (u16)gen.input.budget;
	memcpy(head.arg, gen.input.arg, sizeof(head.arg));
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), gen.insns, gen.len * sizeof(struct exo_insn));
	return len;
}
