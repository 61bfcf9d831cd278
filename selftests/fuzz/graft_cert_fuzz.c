// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer on the checker: any bytes as a graft, with a certificate that is any bytes, or the prover's
 * with some bytes changed. What is accepted is run, and must be as the certificate says at each step
 * (INV-GRAFT-22). make -C selftests/unit runs it for a minute.
 *
 * Input: struct head, @insns instructions unless SAMPLE is set, then certificate or changes (position 2, value 1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft_prove.h"
#include "graft_trace.h"
#include "unit.h"

struct head {
	u8 hook;
	u8 flags;
	u8 insns;
	u8 data_size;
	u32 seed;
	u64 arg[2];
};

#define FROM_PROVER 1		/* the certificate is the prover's, changed */
#define SAMPLE 2		/* the graft is one of these: @insns says which */

static const char *const samples[] = {
	"mov r0 0\nmov r2 0\no:\nmov r3 0\ni:\nadd r0 1\nadd r3 1\njlt r3 8 i\nadd r2 1\njlt r2 10 o\nexit\n",
	"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nmov r5 r2\nadd r5 8\njgt r5 r3 out\n"
	"l:\nldxdw r4 [r2+0]\nadd r0 r4\nmov r2 r5\nadd r5 8\njle r5 r3 l\nout:\nexit\n",
	"ldxdw r2 [r1+16]\nstdw [r10-16] 7\nstxdw [r10-24] r1\njgt r2 100 l\nstw [r10-8] 1\nstw [r10-4] 1\n"
	"ldxdw r1 [r10-24]\nl:\nldxdw r0 [r1+16]\njslt r2 r0 e\nldxdw r0 [r10-16]\ne:\nexit\n",
	"mov32 r0 0\nmov32 r2 9\nl:\nadd32 r0 r2\nadd32 r2 -1\njsgt32 r2 -1 l\nexit\n",
};

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

static struct world *world;
static u64 seed;

u64 unit_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

u64 unit_below(u64 n)
{
	return unit_random() % n;
}

static void change(u8 *cert, size_t size, const u8 *bytes, size_t n)
{
	for (; n >= 3 && size > EXO_CERT_HEADER; bytes += 3, n -= 3)
		cert[EXO_CERT_HEADER + (bytes[0] | bytes[1] << 8) % (size - EXO_CERT_HEADER)] = bytes[2];
}

/* Whatever the certificate says, the hash fits. */
static void sign(u8 *cert, size_t size)
{
	u64 hash = exo_graft_hash(&world->prog);
	u32 i;

	for (i = 0; i < 8 && size >= EXO_CERT_HEADER; i++)
		cert[8 + i] = (u8)(hash >> 8 * i);
}

static void run(const struct head *head, const u8 *cert, size_t size)
{
	static const u8 data[256] = { 1, 2, 3, 250, 0, 7 };
	struct world_input input = { .arg = { head->arg[0], head->arg[1] }, .data = data,
				     .data_size = head->data_size, .budget = 1 << 30 };
	struct trace trace;

	if (!world_start(world, &input))
		return;
	if (!trace_run(world, cert, size, 1000, &trace)) {
		fprintf(stderr, "graft_cert_fuzz: %s\n", trace.what);
		abort();
	}
	if (trace.charged > world->prog.worst) {
		fprintf(stderr, "graft_cert_fuzz: charged more than the worst case\n");
		abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	struct exo_insn insns[256];
	struct exo_graft_error error;
	struct head head;
	void *room, *made;
	u32 len = 0;
	u8 *cert;

	if (!world)
		world = world_new();
	if (size < sizeof(head))
		return 0;
	memcpy(&head, bytes, sizeof(head));
	bytes += sizeof(head);
	size -= sizeof(head);
	if (head.flags & SAMPLE) {
		vec_assemble(samples[head.insns % 4], insns, &len, 256);
	} else {
		len = head.insns;
		if (size < len * sizeof(insns[0]))
			return 0;
		memcpy(insns, bytes, len * sizeof(insns[0]));
		bytes += len * sizeof(insns[0]);
		size -= len * sizeof(insns[0]);
	}
	seed = head.seed | 1;
	if (world_load(world, 1 + head.hook % 3, insns, len, NULL, 0, head.hook % 3 == 2 ? 4096 : 0))
		return 0;
	if (head.flags & FROM_PROVER) {
		size_t n = size;

		if (exo_graft_prove(&world->prog, &made, &size, &error))
			return 0;
		cert = made;
		change(cert, size, bytes, n);
	} else {
		cert = malloc(size ? size : 1);
		memcpy(cert, bytes, size);
	}
	sign(cert, size);
	room = malloc(exo_graft_check_room(&world->prog));
	if (!exo_graft_check(&world->prog, cert, size, room, &error))
		run(&head, cert, size);
	free(room);
	free(cert);
	return 0;
}
