// SPDX-License-Identifier: GPL-2.0
/*
 * G1, G2a, G3: the four packet filters of the PCC paper (Necula and Lee, OSDI 1996), proved, over a
 * trace of stored frames, against the same bytecode through the kernel's JIT with nothing checked,
 * against the same C compiled into a module, against the sandbox, and against the kernel's eBPF
 * interpreter. Every result is compared with what the trace says.
 */
#include "g.h"

struct filter {
	const char *name;
	uint32_t match;
	uint32_t rate;	/* of 10,000 */
};

static const struct filter filters[] = {
	{ "filter_ip", TRACE_IP, TRACE_RATE_IP },
	{ "filter_net", TRACE_NET, TRACE_RATE_NET },
	{ "filter_between", TRACE_BETWEEN, TRACE_RATE_BETWEEN },
	{ "filter_tcp", TRACE_TCP, TRACE_RATE_TCP },
};

struct pass {
	const struct g_side *side;
	const struct g_side *empty;
	const struct filter *filter;
};

/* Instructions a frame, less those of an empty one. */
static double pass(void *ctx)
{
	const struct trace_frame *frame = g_frames();
	struct g_input nothing = { .data = frame, .size = TRACE_FRAME_MIN, .repeat = G_REPEAT };
	struct pass *p = ctx;
	double sum = 0;
	int i;

	for (i = 0; i < G_FRAMES; i++) {
		struct g_input in = {
			.data = frame[i].bytes,
			.size = frame[i].length,
			.repeat = G_REPEAT,
		};

		sum += g_run(p->side, &in);
		bench_assert(in.result == !!(frame[i].match & p->filter->match));
	}
	return sum / G_FRAMES - g_run(p->empty, &nothing);
}

static double measure(struct g_side side, struct g_side empty, const struct filter *filter)
{
	struct pass p = { .side = &side, .empty = &empty, .filter = filter };
	double figure = bench_measure(filter->name, pass, &p);

	g_close(&side);
	g_close(&empty);
	return figure;
}

static double graft(const struct filter *filter, uint32_t mode, uint32_t flags)
{
	return measure(g_graft(filter->name, mode, flags), g_graft("empty", mode, flags), filter);
}

static double bytecode(const struct filter *filter, int blind, int jited)
{
	return measure(g_bytecode(filter->name, blind, jited), g_bytecode("empty", blind, jited),
		       filter);
}

static const char *row_id(const char *id, const struct filter *filter)
{
	static char text[40];

	snprintf(text, sizeof(text), "%s.%s", id, filter->name + sizeof("filter_") - 1);
	return text;
}

static uint32_t barriers(const struct filter *filter)
{
	struct exo_graft_object *object = g_open(filter->name);
	struct exo_graft_verdict verdict;

	bench_must(exo_graft_verify(object, &verdict), "verify");
	bench_assert(verdict.proved && !verdict.mixed);
	exo_graft_close(object);
	return verdict.barriers;
}

static void one_filter(const struct filter *filter)
{
	double bare, proof, sandbox, jit, blinded, interpreter, native;
	double rate = filter->rate / 100.0;

	bare = graft(filter, EXO_GRAFT_PROOF, EXO_GRAFT_LOAD_NO_BARRIERS);
	proof = graft(filter, EXO_GRAFT_PROOF, 0);
	sandbox = graft(filter, EXO_GRAFT_SANDBOX, 0);
	jit = bytecode(filter, 0, 1);
	blinded = bytecode(filter, 1, 1);
	native = measure(g_native(filter->name), g_native("empty"), filter);
	g_jit(0);
	interpreter = bytecode(filter, 0, 0);
	g_jit(1);

	bench_row(row_id("G1a", filter), "packet filter, proved, speculation protection off", bare, jit,
		  "the same bytecode through the JIT, unchecked",
		  "constants blinded on neither side; %.1f %% of the frames match", rate);
	bench_row(row_id("G1b", filter), "packet filter, proved, speculation protection on", proof,
		  blinded, "the same bytecode through the JIT, unchecked, constants blinded, too",
		  "%u barriers in it; without blinding the peer is at %.1f", barriers(filter), jit);
	bench_row(row_id("G1c", filter), "packet filter, proved, speculation protection off", bare,
		  native, "the same C compiled into the module",
		  "bar: at most 2 times as dear; constants blinded: %.1f, %.2f times", proof,
		  proof / native);
	bench_row(row_id("G2a", filter), "packet filter, proved", proof, sandbox,
		  "the same graft in the sandbox", "bar: the sandbox at most 1.6 times as dear");
	bench_row(row_id("G3", filter), "packet filter, proved", proof, interpreter,
		  "the kernel's eBPF interpreter", "bar: 4 times, aim 6");
}

void g1_run(void)
{
	size_t i;

	for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		one_filter(&filters[i]);
}
