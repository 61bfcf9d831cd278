// SPDX-License-Identifier: GPL-2.0
/*
 * G2b: loops over memory, proved against the sandbox: VINO's stream encryption (8 KiB), and besides
 * checksum, copy and binary search; all of them against the same C in a module, too. What they
 * compute is compared with what this program computes.
 */
#include <stdlib.h>
#include <string.h>

#include "g.h"

#define WORDS 1024 /* 8 KiB */
#define HALF (WORDS / 2)
#define KEY 0x0123456789abcdefULL
#define ODD 15 /* xor an odd number of times is xor once */

struct loop {
	const char *name;
	const char *empty;
	const char *measure;
	void (*prepare)(struct g_input *in);
	void (*verify)(const struct g_input *in);
};

static uint64_t before[WORDS], after[WORDS];

static void fill(struct g_input *in, uint32_t words)
{
	struct bench_rng rng = { .state = 1 };
	uint32_t i;

	for (i = 0; i < words; i++)
		before[i] = bench_random(&rng);
	in->data = before;
	in->size = words * sizeof(before[0]);
	in->repeat = ODD;
}

static void xor_prepare(struct g_input *in)
{
	fill(in, WORDS);
	in->data_out = after;
	in->arg[0] = KEY;
}

static void xor_verify(const struct g_input *in)
{
	uint32_t i;

	(void)in;
	for (i = 0; i < WORDS; i++)
		bench_assert(after[i] == (before[i] ^ KEY));
}

static void copy_prepare(struct g_input *in)
{
	fill(in, WORDS);
	in->data_out = after;
	in->arg[0] = HALF * sizeof(before[0]);
	in->arg[1] = HALF * sizeof(before[0]);
}

static void copy_verify(const struct g_input *in)
{
	bench_assert(in->result == HALF / 8);
	bench_assert(!memcmp(after + HALF, before, HALF * sizeof(before[0])));
	bench_assert(!memcmp(after, before, HALF * sizeof(before[0])));
}

static void checksum_prepare(struct g_input *in)
{
	fill(in, HALF);
}

static void checksum_verify(const struct g_input *in)
{
	const uint16_t *word = (const uint16_t *)before;
	uint32_t sum = 0, i;

	for (i = 0; i < HALF * 4; i++)
		sum += word[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	bench_assert(in->result == (sum ^ 0xffff));
}

static void search_prepare(struct g_input *in)
{
	uint32_t i;

	fill(in, HALF);
	for (i = 0; i < HALF; i++)
		before[i] = i * 1000;
	in->arg[0] = 337 * 1000;
}

static void search_verify(const struct g_input *in)
{
	bench_assert(in->result == 337 && in->out[0] == 1);
}

static const struct loop loops[] = {
	{ "xor", "empty_stream", "xor of 8 KiB with a key", xor_prepare, xor_verify },
	{ "checksum", "empty", "checksum of 4 KiB", checksum_prepare, checksum_verify },
	{ "memcpy", "empty_stream", "copy 4 KiB", copy_prepare, copy_verify },
	{ "bsearch", "empty", "binary search in 512 keys", search_prepare, search_verify },
};

struct pass {
	const struct g_side *side;
	const struct g_side *empty;
	const struct loop *loop;
};

static double pass(void *ctx)
{
	struct pass *p = ctx;
	struct g_input in = { 0 }, nothing;
	double whole;

	p->loop->prepare(&in);
	nothing = in;
	whole = g_run(p->side, &in);
	p->loop->verify(&in);
	return whole - g_run(p->empty, &nothing);
}

static double measure(struct g_side side, struct g_side empty, const struct loop *loop)
{
	struct pass p = { .side = &side, .empty = &empty, .loop = loop };
	double figure = bench_measure(loop->name, pass, &p);

	g_close(&side);
	g_close(&empty);
	return figure;
}

static void one_loop(const struct loop *loop)
{
	double proof, sandbox, native, jit;
	char id[40];

	proof = measure(g_graft(loop->name, EXO_GRAFT_PROOF, 0),
			g_graft(loop->empty, EXO_GRAFT_PROOF, 0), loop);
	sandbox = measure(g_graft(loop->name, EXO_GRAFT_SANDBOX, 0),
			  g_graft(loop->empty, EXO_GRAFT_SANDBOX, 0), loop);
	jit = measure(g_bytecode(loop->name, 1, 1), g_bytecode(loop->empty, 1, 1), loop);
	native = measure(g_native(loop->name), g_native("empty"), loop);
	snprintf(id, sizeof(id), "G2b.%s", loop->name);
	bench_row(id, loop->measure, proof, sandbox, "the same graft in the sandbox",
		  "bar for xor: the sandbox at most 2 times as dear; constants are blinded on both sides");
	snprintf(id, sizeof(id), "G2b.%s.jit", loop->name);
	bench_row(id, loop->measure, proof, jit, "the same bytecode through the JIT, unchecked",
		  "constants blinded on both sides");
	snprintf(id, sizeof(id), "G2b.%s.c", loop->name);
	bench_row(id, loop->measure, proof, native, "the same C compiled into the module",
		  "constants are blinded on our side only");
}

void g2_run(void)
{
	size_t i;

	for (i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		one_loop(&loops[i]);
}
