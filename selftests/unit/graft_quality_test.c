// SPDX-License-Identifier: GPL-2.0
/*
 * What the sandbox costs beside proof mode, in x86 instructions with constants blinded, on the grafts
 * of bench/graft: a change of the lowering that makes it dearer is seen here first. The VM's bench
 * measures the same (G2) in the kernel.
 */
#include <elf.h>

#include "graft_raw.h"
#include "graft/trace.h"
#include "unit.h"

static struct world *world;
static struct raw *raw;

/* The only section of code of an object without relocations. Returns its slots. */
static u32 read_code(const char *name, struct exo_insn *insns, char *section)
{
	static u8 file[65536];
	const Elf64_Ehdr *head = (void *)file;
	const Elf64_Shdr *sections;
	char path[512];
	FILE *in;
	u32 i;

	snprintf(path, sizeof(path), EXO_BPF_OBJECTS "/%s.bpf.o", name);
	in = fopen(path, "rb");
	if (!in || fread(file, 1, sizeof(file), in) < sizeof(*head))
		unit_fail(__FILE__, __LINE__, "%s can't be read", path);
	fclose(in);
	sections = (void *)(file + head->e_shoff);
	for (i = 0; i < head->e_shnum; i++) {
		const char *title = (char *)file + sections[head->e_shstrndx].sh_offset + sections[i].sh_name;

		if (!(sections[i].sh_flags & SHF_EXECINSTR) || !sections[i].sh_size)
			continue;
		strcpy(section, title);
		memcpy(insns, file + sections[i].sh_offset, sections[i].sh_size);
		return sections[i].sh_size / sizeof(*insns);
	}
	unit_fail(__FILE__, __LINE__, "no code in %s", path);
}

struct cost {
	u64 proof;
	u64 sandbox;
	u32 result;
};

static void load(const char *name, u32 hook)
{
	struct exo_insn insns[512];
	char section[64];
	u32 len = read_code(name, insns, section);

	if (!world) {
		world = world_new();
		raw = raw_new(world);
	}
	if (world_load(world, hook, insns, len, NULL, 0, 0))
		unit_fail(__FILE__, __LINE__, "%s: refused (%u) at %u", name, world->error.code, world->error.slot);
}

static u64 run_mode(const char *name, const struct world_input *input, u32 mode, u32 *result)
{
	world->prog.mixed = false;
	CHECK_EQ(raw_lower(raw, mode, true), 0);
	CHECK(world_start(world, input));
	*result = raw_run(raw);
	if (raw->bad || world->run->status)
		unit_fail(__FILE__, __LINE__, "%s: %s at %u, status %u", name, raw->bad ? raw->bad : "aborted",
			  raw->bad_at, world->run->status);
	return raw->x86;
}

static void measure(const char *name, const struct world_input *input, struct cost *cost)
{
	u32 result;

	cost->proof += run_mode(name, input, EXO_GRAFT_PROOF, &result);
	cost->sandbox += run_mode(name, input, EXO_GRAFT_SANDBOX, &cost->result);
	CHECK_EQ(result, cost->result);
}

static double say(const char *name, const struct cost *cost)
{
	double ratio = (double)cost->sandbox / (double)cost->proof;

	printf("# %-16s proof %8" PRIu64 ", sandbox %8" PRIu64 ": %.2f\n", name, cost->proof, cost->sandbox, ratio);
	return ratio;
}

TEST(quality__filters)
{
	static const char *const names[] = { "filter_ip", "filter_net", "filter_between", "filter_tcp" };
	struct trace_frame frame;
	struct trace trace;
	u32 i, k;

	for (i = 0; i < 4; i++) {
		struct cost cost = {};

		trace_start(&trace, TRACE_SEED);
		load(names[i], EXO_HOOK_PURE);
		for (k = 0; k < 1000; k++) {
			struct world_input input = { .budget = 65536 };

			trace_next(&trace, &frame);
			input.data = frame.bytes;
			input.data_size = frame.length;
			measure(names[i], &input, &cost);
			CHECK_EQ(!!cost.result, frame.match >> i & 1);
		}
		CHECK(say(names[i], &cost) <= 1.6);
	}
}

TEST(quality__stream)
{
	static const char *const names[] = { "xor", "memcpy", "checksum", "bsearch" };
	static u8 data[8192];
	u32 i, k;

	for (k = 0; k < sizeof(data); k++)
		data[k] = (u8)(k >> 3);
	for (i = 0; i < 4; i++) {
		struct world_input input = { .data = data, .data_size = i == 3 ? 4096 : 8192, .budget = 1 << 20 };
		struct cost cost = {};
		double ratio;

		input.arg[0] = 0x0123456789abcdef;
		load(names[i], i < 2 ? EXO_HOOK_STREAM : EXO_HOOK_PURE);
		measure(names[i], &input, &cost);
		ratio = say(names[i], &cost);
		CHECK(i || ratio <= 2.0);
	}
}

TEST(quality__empty)
{
	struct world_input input = { .budget = 100 };
	struct cost cost = {};

	load("empty", EXO_HOOK_PURE);
	measure("empty", &input, &cost);
	say("empty", &cost);
	CHECK_EQ(cost.sandbox, cost.proof);
}
