// SPDX-License-Identifier: GPL-2.0
/*
 * G5: what it costs to load a proved graft: the check of its certificate alone (the module's own
 * code, run here), and the whole of EXO_GRAFT_LOAD with the kernel's translator.
 */
#include <stdlib.h>
#include <string.h>

#include "core/graft.h"
#include "core/graft_insn.h"
#include "g.h"

#define UNIT 8
#define ROUNDS 50

static struct exo_insn insn(u8 code, u8 dst, u8 src, s16 off, s32 imm)
{
	return (struct exo_insn){ .code = code, .dst = dst, .src = src, .off = off, .imm = imm };
}

/* Loads, masks, a branch that joins, a spill and a fill: again and again. */
static u32 generate(struct exo_insn *out, u32 units)
{
	const struct exo_insn unit[UNIT] = {
		insn(0x79, 2, 1, offsetof(struct exo_ctx_pure, arg[0]), 0),	/* r2 = arg[0] */
		insn(0x57, 2, 0, 0, 63),					/* r2 &= 63 */
		insn(0xb7, 3, 0, 0, 0),						/* r3 = 0 */
		insn(0x25, 2, 0, 1, 32),					/* if r2 > 32 */
		insn(0xbf, 3, 2, 0, 0),						/* r3 = r2 */
		insn(0x7b, 10, 3, -8, 0),					/* [r10-8] = r3 */
		insn(0x79, 4, 10, -8, 0),					/* r4 = [r10-8] */
		insn(0x0f, 4, 2, 0, 0),						/* r4 += r2 */
	};
	u32 i;

	for (i = 0; i < units; i++)
		memcpy(out + i * UNIT, unit, sizeof(unit));
	out[units * UNIT] = insn(0xb7, 0, 0, 0, 0);
	out[units * UNIT + 1] = insn(0x95, 0, 0, 0, 0);
	return units * UNIT + 2;
}

struct g5 {
	struct exo_graft_object *object;
	struct exo_graft_prog prog;
	const struct exo_graft_parts *parts;
	void *room;
};

static struct g5 prepare(u32 units)
{
	struct exo_insn *insns = calloc(units * UNIT + 2, sizeof(*insns));
	struct exo_graft_parts parts = {
		.sz = sizeof(parts),
		.name = "generated",
		.hook = EXO_HOOK_PURE,
		.nr_insns = generate(insns, units),
		.insns = insns,
	};
	struct exo_graft_verdict verdict;
	struct exo_graft_error error;
	struct g5 g5 = { 0 };

	bench_must(exo_graft_object_create(&g5.object, &parts), "object");
	bench_must(exo_graft_verify(g5.object, &verdict), "verify");
	bench_assert(verdict.proved && !verdict.mixed);
	g5.parts = exo_graft_object_parts(g5.object);
	g5.prog = (struct exo_graft_prog){
		.hook = exo_hook_find(EXO_HOOK_PURE),
		.insns = insns,
		.len = parts.nr_insns,
		.slots = calloc(parts.nr_insns, 1),
	};
	bench_must(exo_graft_decode(&g5.prog, &error), "decode");
	g5.room = malloc(exo_graft_check_room(&g5.prog));
	bench_assert(g5.room != NULL);
	return g5;
}

static double check(void *ctx)
{
	struct g5 *g5 = ctx;
	struct exo_graft_error error;
	uint64_t start = bench_now();
	int i;

	for (i = 0; i < ROUNDS; i++)
		bench_must(exo_graft_check(&g5->prog, g5->parts->cert, g5->parts->cert_size,
					   g5->room, &error),
			   "check");
	return bench_since(start) / ROUNDS;
}

static double load(void *ctx)
{
	struct exo_graft_load_opts opts = { .sz = sizeof(opts), .mode = EXO_GRAFT_PROOF };
	struct g5 *g5 = ctx;
	struct exo_graft *graft;
	double sum = 0;
	uint64_t start;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		start = bench_now();
		bench_must(exo_graft_load(g_env(), g5->object, &opts, &graft), "load");
		sum += bench_since(start);
		bench_must(exo_graft_unload(graft), "unload");
	}
	return sum / ROUNDS;
}

void g5_run(void)
{
	struct g5 one = prepare(125), two = prepare(250);
	double small, large, whole;
	u32 slots = one.prog.len;

	small = bench_measure("G5", check, &one);
	large = bench_measure("G5", check, &two);
	whole = bench_measure("G5", load, &one);
	bench_row("G5.check", "check a certificate, per instruction of 1,000", small / slots,
		  large / two.prog.len, "per instruction of 2,000",
		  "twice the code costs %.2f times as much; bar 2.1", large / small);
	bench_row("G5.load", "load a proved graft of 1,000 instructions", whole, small,
		  "of which the check of the certificate", " ");
	bench_unit("bytes");
	bench_row("G5.size", "certificate, per instruction", (double)one.parts->cert_size / slots, 8,
		  "an instruction", " ");
	bench_unit("instructions");
}
