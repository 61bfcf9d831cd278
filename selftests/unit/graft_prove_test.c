// SPDX-License-Identifier: GPL-2.0
/*
 * Random grafts with branches, loops, spilled registers and accesses of all kinds: what the prover proves
 * and the checker accepts is run, and all that was proved must hold at each step (INV-GRAFT-20 to -25).
 * Then code and certificates are mutated: what is still accepted must still hold.
 */
#include "graft_prove.h"
#include "graft_trace.h"
#include "unit.h"

#define MAX_SLOTS 256

struct gen {
	struct exo_insn insns[MAX_SLOTS];
	u32 len;
	u32 hook;
	u32 depth;
	u32 loops;
};

static void emit(struct gen *g, u8 code, u32 dst, u32 src, s32 off, s32 imm)
{
	if (g->len < MAX_SLOTS)
		g->insns[g->len++] = (struct exo_insn){ code, dst & 15, src & 15, (s16)off, imm };
}

static void movi(struct gen *g, u32 dst, s32 imm)
{
	emit(g, EXO_ALU64 | EXO_MOV, dst, 0, 0, imm);
}

static void mov(struct gen *g, u32 dst, u32 src)
{
	emit(g, EXO_ALU64 | EXO_MOV | EXO_X, dst, src, 0, 0);
}

static s32 small(void)
{
	static const s32 usual[] = { 0, 1, 2, 3, 7, 8, 15, 16, 31, 60, 63, 64, 100, 255, 4096, -1, -2, -8, -16 };

	return unit_below(12) ? usual[unit_below(sizeof(usual) / sizeof(usual[0]))] : (s32)unit_edge();
}

/* r0, r2 .. r5 are numbers; r1 is anything; r6 context, r7 data or state, r8 data_end, r9 a counter. */
static u32 number(void)
{
	static const u8 regs[] = { 0, 2, 3, 4, 5 };

	return regs[unit_below(5)];
}

static const u8 jumps[] = { EXO_JEQ, EXO_JGT, EXO_JGE, EXO_JSET, EXO_JNE, EXO_JSGT, EXO_JSGE, EXO_JLT,
			    EXO_JLE, EXO_JSLT, EXO_JSLE };

static void gen_alu(struct gen *g)
{
	static const u8 ops[] = { EXO_ADD, EXO_SUB, EXO_MUL, EXO_DIV, EXO_OR, EXO_AND, EXO_LSH, EXO_RSH,
				  EXO_MOD, EXO_XOR, EXO_MOV, EXO_ARSH, EXO_NEG, EXO_END };
	u8 op = ops[unit_below(sizeof(ops))], class = unit_below(2) ? EXO_ALU64 : EXO_ALU;
	s32 imm = small();

	if (op == EXO_END)
		emit(g, EXO_ALU | EXO_END | (unit_below(2) ? EXO_X : 0), number(), 0, 0, 16 << unit_below(3));
	else if (op == EXO_NEG)
		emit(g, class | EXO_NEG, number(), 0, 0, 0);
	else if (unit_below(2))
		emit(g, class | op | EXO_X, number(), number(), 0, 0);
	else if (op == EXO_LSH || op == EXO_RSH || op == EXO_ARSH)
		emit(g, class | op, number(), 0, 0, (s32)unit_below(class == EXO_ALU ? 32 : 64));
	else
		emit(g, class | op, number(), 0, 0, (op == EXO_DIV || op == EXO_MOD) && !imm ? 1 : imm);
}

static void gen_stack(struct gen *g)
{
	static const u8 sizes[] = { EXO_B, EXO_H, EXO_W, EXO_DW };
	u8 size = sizes[unit_below(4)];
	s32 off = -8 * (s32)(1 + unit_below(4));
	u32 src = unit_below(3) ? number() : 6 + (u32)unit_below(3);

	switch (unit_below(4)) {
	case 0:
		emit(g, EXO_STX | EXO_MEM | EXO_DW, 10, src, off, 0);
		break;
	case 1:
		emit(g, EXO_STX | EXO_MEM | EXO_DW, 10, src, off, 0);
		if (unit_below(2))
			gen_alu(g);
		emit(g, EXO_LDX | EXO_MEM | EXO_DW, src, 10, off, 0);
		break;
	case 2:
		emit(g, EXO_ST | EXO_MEM | size, 10, 0, off + (s32)unit_below(2) * 4, small());
		break;
	default:
		emit(g, EXO_ST | EXO_MEM | EXO_DW, 10, 0, off, small());
		emit(g, EXO_LDX | EXO_MEM | size, number(), 10, off, 0);
	}
}

/* r1 = r7 + a bounded number; an access near it, mostly one that is right. */
static void gen_access(struct gen *g)
{
	u32 x = number(), y = number(), skip;
	s32 mask = (s32)(1U << unit_below(9)) - 1, shift = (s32)unit_below(4);
	s32 room = (mask << shift) + 8, wrong = unit_below(10) ? 0 : (s32)unit_below(3) - 1;
	u8 size[] = { EXO_B, EXO_H, EXO_W, EXO_DW }, s = size[unit_below(4)];

	mov(g, 1, x);
	if (unit_below(2)) {
		emit(g, EXO_ALU64 | EXO_AND, 1, 0, 0, mask);
		emit(g, EXO_ALU64 | EXO_LSH, 1, 0, 0, shift);
	} else if (unit_below(4)) {
		emit(g, EXO_ALU64 | EXO_MOD, 1, 0, 0, mask + 1);
	} else {
		emit(g, (unit_below(2) ? EXO_JMP : EXO_JMP32) | EXO_JGT, 1, 0, 1, mask);
		emit(g, EXO_JMP | EXO_JA, 0, 0, 1, 0);
		movi(g, 1, 0);
	}
	emit(g, EXO_ALU64 | EXO_ADD | EXO_X, 1, 7, 0, 0);
	if (g->hook == EXO_HOOK_TXN) {
		if (unit_below(3) == 0) {
			emit(g, EXO_STX | EXO_ATOMIC | (unit_below(2) ? EXO_DW : EXO_W), 1, y,
			     (s32)unit_below(3) * 8 + wrong, unit_below(2) ? EXO_ADD : EXO_XOR | EXO_FETCH);
			return;
		}
	} else {
		emit(g, EXO_ALU64 | EXO_ADD, 1, 0, 0, room + wrong);
		skip = g->len;
		emit(g, EXO_JMP | (unit_below(2) ? EXO_JGT : EXO_JGE) | EXO_X, 1, 8, 1, 0);
		emit(g, EXO_LDX | EXO_MEM | s, y, 1, unit_below(2) ? -8 : -room, 0);
		if (g->hook == EXO_HOOK_STREAM)
			emit(g, EXO_STX | EXO_MEM | s, 1, y, -8, 0);
		if (skip < g->len)
			g->insns[skip].off = (s16)(g->len - skip - 1);
		return;
	}
	if (unit_below(2))
		emit(g, EXO_LDX | EXO_MEM | s, y, 1, (s32)unit_below(9) - (wrong ? 8 : 0), 0);
	else
		emit(g, EXO_STX | EXO_MEM | s, 1, y, (s32)unit_below(9) + wrong, 0);
}

static void gen_call(struct gen *g)
{
	u32 i;

	if (g->hook != EXO_HOOK_TXN)
		return;
	switch (unit_below(4)) {
	case 0:
		emit(g, EXO_JMP | EXO_CALL, 0, 0, 0, EXO_HELPER_NOW);
		break;
	case 1:
		emit(g, EXO_ALU64 | EXO_MOV | EXO_X, 1, number(), 0, 0);
		emit(g, EXO_ALU64 | EXO_AND, 1, 0, 0, 7);
		emit(g, EXO_JMP | EXO_CALL, 0, 0, 0, EXO_HELPER_LOCK);
		break;
	case 2:
		mov(g, 1, 7);
		emit(g, EXO_ALU64 | EXO_ADD, 1, 0, 0, 8 * (s32)unit_below(600));
		emit(g, EXO_JMP | EXO_CALL, 0, 0, 0, EXO_HELPER_LOG);
		break;
	default:
		mov(g, 1, number());
		emit(g, EXO_JMP | EXO_CALL, 0, 0, 0, EXO_HELPER_OWNS);
	}
	for (i = 2; i <= 5; i++)
		emit(g, EXO_LDX | EXO_MEM | EXO_DW, i, 6, 8 * (s32)unit_below(4), 0);
}

static void gen_block(struct gen *g);

static void gen_if(struct gen *g)
{
	u32 at = g->len, other;
	u8 class = unit_below(2) ? EXO_JMP : EXO_JMP32, op = jumps[unit_below(sizeof(jumps))];

	if (unit_below(2))
		emit(g, class | op, number(), 0, 0, small());
	else
		emit(g, class | op | EXO_X, number(), number(), 0, 0);
	gen_block(g);
	if (unit_below(2)) {
		other = g->len;
		emit(g, EXO_JMP | EXO_JA, 0, 0, 0, 0);
		if (at < MAX_SLOTS)
			g->insns[at].off = (s16)(g->len - at - 1);
		gen_block(g);
		if (other < MAX_SLOTS)
			g->insns[other].off = (s16)(g->len - other - 1);
	} else if (at < MAX_SLOTS) {
		g->insns[at].off = (s16)(g->len - at - 1);
	}
}

/* A counter in r9, saved around inner loops; or the data pointer walks. */
static void gen_loop(struct gen *g)
{
	s32 step = (s32)(1 + unit_below(4)), rounds = (s32)(1 + unit_below(20)), slot = -40 - 8 * (s32)g->loops;
	bool down = unit_below(2), narrow = unit_below(2), walk = g->hook != EXO_HOOK_TXN && unit_below(4) == 0;
	u8 alu = narrow ? EXO_ALU : EXO_ALU64, jmp = narrow ? EXO_JMP32 : EXO_JMP;
	u32 head;

	if (g->loops == 2)
		return;
	emit(g, EXO_STX | EXO_MEM | EXO_DW, 10, walk ? 7 : 9, slot, 0);
	if (walk) {
		mov(g, 1, 7);
		emit(g, EXO_ALU64 | EXO_ADD, 1, 0, 0, 8);
		emit(g, EXO_JMP | EXO_JGT | EXO_X, 1, 8, 0, 0);
		head = g->len;
		emit(g, EXO_LDX | EXO_MEM | EXO_DW, number(), 7, 0, 0);
		gen_alu(g);
		if (unit_below(2)) {
			emit(g, EXO_ALU64 | EXO_ADD, 7, 0, 0, 8);
			mov(g, 1, 7);
			emit(g, EXO_ALU64 | EXO_ADD, 1, 0, 0, 8);
		} else {
			mov(g, 7, 1);
			emit(g, EXO_ALU64 | EXO_ADD, 1, 0, 0, 8);
		}
		emit(g, EXO_JMP | EXO_JLE | EXO_X, 1, 8, (s32)head - (s32)g->len - 1, 0);
		if (head < MAX_SLOTS)
			g->insns[head - 1].off = (s16)(g->len - head);
	} else {
		emit(g, alu | EXO_MOV, 9, 0, 0, down ? rounds * step : 0);
		head = g->len;
		g->loops++;
		gen_block(g);
		g->loops--;
		emit(g, alu | (unit_below(2) ? EXO_ADD : EXO_SUB), 9, 0, 0, step);
		if ((EXO_OP(g->insns[g->len - 1].code) == EXO_ADD) == down)
			g->insns[g->len - 1].imm = -step;
		if (down)
			emit(g, jmp | (unit_below(2) ? EXO_JSGT : EXO_JNE), 9, 0, (s32)head - (s32)g->len - 1, 0);
		else
			emit(g, jmp | (unit_below(2) ? EXO_JLT : EXO_JNE), 9, 0, (s32)head - (s32)g->len - 1,
			     rounds * step);
	}
	emit(g, EXO_LDX | EXO_MEM | EXO_DW, walk ? 7 : 9, 10, slot, 0);
}

static void gen_block(struct gen *g)
{
	u32 n = 1 + (u32)unit_below(4);

	g->depth++;
	while (n--) {
		switch (unit_below(g->depth > 4 ? 5 : 8)) {
		case 0: case 1: gen_alu(g); break;
		case 2: gen_stack(g); break;
		case 3: gen_access(g); break;
		case 4: gen_call(g); break;
		case 5: gen_if(g); break;
		default: gen_loop(g);
		}
	}
	g->depth--;
}

static void generate(struct gen *g)
{
	static const u32 hooks[] = { EXO_HOOK_PURE, EXO_HOOK_STREAM, EXO_HOOK_TXN };
	u32 i;

	memset(g, 0, sizeof(*g));
	g->hook = hooks[unit_below(3)];
	mov(g, 6, 1);
	if (g->hook == EXO_HOOK_TXN) {
		emit(g, EXO_LD_IMM64, 7, EXO_PSEUDO_STATE, 0, 8 * (s32)unit_below(3));
		emit(g, 0, 0, 0, 0, 0);
		movi(g, 8, 5);
	} else {
		emit(g, EXO_LDX | EXO_MEM | EXO_DW, 7, 1, 0, 0);
		emit(g, EXO_LDX | EXO_MEM | EXO_DW, 8, 1, 8, 0);
	}
	movi(g, 0, small());
	movi(g, 9, small());
	for (i = 2; i <= 5; i++) {
		if (unit_below(2))
			movi(g, i, small());
		else
			emit(g, EXO_LDX | EXO_MEM | EXO_DW, i, 1, (g->hook == EXO_HOOK_TXN ? 0 : 16) +
			     8 * (s32)unit_below(4), 0);
	}
	gen_block(g);
	gen_block(g);
	if (g->len < MAX_SLOTS)
		emit(g, EXO_JMP | EXO_EXIT, 0, 0, 0, 0);
	else
		g->insns[MAX_SLOTS - 1] = (struct exo_insn){ .code = EXO_JMP | EXO_EXIT };
}

static struct world *world;
static u8 data[4096], state[4096];
static unsigned int accepted, refused, undecoded, runs, steps;

static bool load(const struct gen *g)
{
	if (!world_load(world, g->hook, g->insns, g->len, NULL, 0, g->hook == EXO_HOOK_TXN ? 4096 : 0))
		return true;
	undecoded++;
	return false;
}

static bool check(const void *cert, size_t size)
{
	struct exo_graft_error error;
	void *room = malloc(exo_graft_check_room(&world->prog)), *copy = malloc(size ? size : 1);
	int ret;

	/* a copy of just its size, so that ASan sees what is read behind it */
	memcpy(copy, cert, size);
	ret = exo_graft_check(&world->prog, copy, size, room, &error);
	free(room);
	free(copy);
	return !ret;
}

/* The accepted graft in @world, with random inputs. */
static void run_it(const void *cert, size_t size)
{
	u32 i, n = 4, j;
	struct trace trace;

	accepted++;
	while (n--) {
		struct world_input input = { .budget = 1 << 30, .data = data, .state = state };

		for (i = 0; i < 4; i++)
			input.arg[i] = unit_below(2) ? unit_edge() : unit_below(300);
		input.data_size = (u32)(unit_below(3) ? unit_below(200) : unit_below(4097));
		for (i = 0; i < 64; i++) {
			data[unit_below(sizeof(data))] = (u8)unit_edge();
			state[unit_below(sizeof(state))] = (u8)unit_edge();
		}
		CHECK(world_start(world, &input));
		/* a proved graft reads nothing that it hasn't written */
		for (i = 0; i < world->prog.stack; i++)
			world_region(world, EXO_REGION_STACK)[i] = (u8)unit_random();
		if (!trace_run(world, cert, size, 4000, &trace)) {
			for (j = 0; j < world->prog.len; j++)
				printf("#   %u: %02x r%u r%u %d %d\n", j, world->prog.insns[j].code,
				       world->prog.insns[j].dst, world->prog.insns[j].src,
				       world->prog.insns[j].off, world->prog.insns[j].imm);
			unit_fail(__FILE__, __LINE__, "%s", trace.what);
		}
		if (trace.charged > world->prog.worst)
			unit_fail(__FILE__, __LINE__, "charged %" PRIu64 ", the worst is %" PRIu64, trace.charged,
				  world->prog.worst);
		runs++;
		steps += trace.steps;
	}
}

static bool prove(void **cert, size_t *size)
{
	struct exo_graft_error error;

	if (exo_graft_prove(&world->prog, cert, size, &error)) {
		refused++;
		return false;
	}
	CHECK(check(*cert, *size));
	return true;
}

static void report(void)
{
	printf("# %u accepted, %u refused, %u not decoded; %u runs of %u steps\n", accepted, refused, undecoded,
	       runs, steps);
	accepted = 0;
	refused = 0;
	undecoded = 0;
	runs = 0;
	steps = 0;
}

TEST(exo_graft_prove__what_is_proved_holds)
{
	unsigned int n = unit_rounds(1000);
	struct gen g;
	size_t size;
	void *cert;

	world = world_new();
	while (n--) {
		generate(&g);
		if (!load(&g) || !prove(&cert, &size))
			continue;
		run_it(cert, size);
		free(cert);
	}
	CHECK(accepted > refused / 4);
	report();
	world_free(world);
}

/* INV-GRAFT-22: the certificate stays, the code changes, and its hash is made to fit. */
static void mutate_code(struct gen *g)
{
	struct exo_insn *in = &g->insns[unit_below(g->len)];

	switch (unit_below(6)) {
	case 0: in->imm = small(); break;
	case 1: in->off = (s16)(in->off + (s16)unit_below(17) - 8); break;
	case 2: in->dst = (u8)unit_below(11) & 15; break;
	case 3: in->src = (u8)unit_below(11) & 15; break;
	case 4: in->code = (u8)((in->code & 0x0f) | (unit_below(16) << 4)); break;
	default: in->code ^= (u8)(1U << unit_below(8));
	}
}

static void put64(u8 *at, u64 x)
{
	u32 i;

	for (i = 0; i < 8; i++)
		at[i] = (u8)(x >> 8 * i);
}

TEST(exo_graft_prove__mutated_code)
{
	unsigned int n = unit_rounds(300), i;
	struct gen g, h;
	size_t size;
	void *cert;

	world = world_new();
	while (n--) {
		generate(&g);
		if (!load(&g) || !prove(&cert, &size))
			continue;
		for (i = 0; i < 20; i++) {
			h = g;
			mutate_code(&h);
			if (!load(&h))
				continue;
			put64((u8 *)cert + 8, exo_graft_hash(&world->prog));
			if (check(cert, size))
				run_it(cert, size);
			else
				refused++;
		}
		free(cert);
	}
	report();
	world_free(world);
}

TEST(exo_graft_prove__mutated_certificates)
{
	unsigned int n = unit_rounds(300), i, k;
	size_t size, use;
	struct gen g;
	void *cert;
	u8 *copy;

	world = world_new();
	while (n--) {
		generate(&g);
		if (!load(&g) || !prove(&cert, &size))
			continue;
		copy = malloc(size + 1);
		for (i = 0; i < 30; i++) {
			use = size;
			memcpy(copy, cert, size);
			for (k = (unsigned int)unit_below(3); k < 3 && size > EXO_CERT_HEADER; k++)
				copy[EXO_CERT_HEADER + unit_below(size - EXO_CERT_HEADER)] =
					(u8)(unit_below(2) ? unit_edge() : unit_random());
			if (unit_below(10) == 0) {
				use = unit_below(size + 1);
				put64(copy + 16, use);
			}
			if (check(copy, use))
				run_it(copy, use);
			else
				refused++;
		}
		free(copy);
		free(cert);
	}
	report();
	world_free(world);
}

/* Each byte of these certificates, with every value that it can have. */
TEST(exo_graft_prove__every_byte_of_a_certificate)
{
	static const char *const texts[] = {
		"mov r0 0\nmov r2 0\no:\nmov r3 0\ni:\nadd r0 1\nadd r3 1\njlt r3 8 i\nadd r2 1\njlt r2 10 o\nexit\n",
		"ldxdw r2 [r1+16]\nstw [r10-8] 1\nstdw [r10-16] 7\njeq r2 0 l\nstw [r10-4] 1\nl:\nldxw r0 [r10-8]\nexit\n",
		"mov r0 0\nldxdw r2 [r1+0]\nldxdw r3 [r1+8]\nmov r5 r2\nadd r5 8\njgt r5 r3 out\n"
		"l:\nldxdw r4 [r2+0]\nadd r0 r4\nmov r2 r5\nadd r5 8\njle r5 r3 l\nout:\nexit\n",
	};
	struct gen g = { .hook = EXO_HOOK_PURE };
	u32 text, byte, value;
	size_t size;
	void *cert;
	u8 *copy;

	world = world_new();
	for (text = 0; text < sizeof(texts) / sizeof(texts[0]); text++) {
		g.len = 0;
		CHECK(!vec_assemble(texts[text], g.insns, &g.len, MAX_SLOTS));
		CHECK(load(&g) && prove(&cert, &size));
		copy = malloc(size);
		memcpy(copy, cert, size);
		for (byte = 0; byte < size; byte++) {
			for (value = 0; value < 256; value++) {
				copy[byte] = (u8)value;
				if (check(copy, size))
					run_it(copy, size);
				else
					refused++;
			}
			copy[byte] = ((u8 *)cert)[byte];
			/* both bounds of how far a measure has moved */
			for (value = 1; value < 9 && byte + 4 < size; value++) {
				copy[byte] = (u8)value;
				copy[byte + 4] = (u8)value;
				if (check(copy, size))
					run_it(copy, size);
				copy[byte] = ((u8 *)cert)[byte];
				copy[byte + 4] = ((u8 *)cert)[byte + 4];
			}
		}
		free(copy);
		free(cert);
	}
	report();
	world_free(world);
}
