// SPDX-License-Identifier: GPL-2.0
#include "fuzz_graft.h"
#include "fuzz_random.h"
#include "graft_lib.h"

#define MAX_INSNS 64
#define MAX_CERT 8192

static const struct bpf_insn pure_sum[] = {
	LDX(BPF_DW, 2, 1, PURE_ARG(0)), LDX(BPF_DW, 0, 1, PURE_ARG(1)), ADD(0, 2), CONSTS(3, 8),
	LDX(BPF_DW, 3, 3, 0), ADD(0, 3), STX(BPF_DW, 1, 2, PURE_OUT(2)), EXIT,
};

static const struct bpf_insn pure_walk[] = {
	MOVI(0, 0), LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), MOV(4, 2), ADDI(4, 8), JX(BPF_JGT, 4, 3, 4),
	LDX(BPF_DW, 5, 2, 0), ADD(0, 5), MOV(2, 4), JA(-7), STX(BPF_DW, 10, 0, -8), LDX(BPF_W, 0, 10, -8), EXIT,
};

static const struct bpf_insn stream_walk[] = {
	MOVI(0, 0), LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), MOV(4, 2), ADDI(4, 1), JX(BPF_JGT, 4, 3, 5),
	LDX(BPF_B, 5, 2, 0), ALUI(BPF_XOR, 5, 0x55), STX(BPF_B, 2, 5, 0), MOV(2, 4), JA(-8), EXIT,
};

static const struct bpf_insn txn_all[] = {
	MOV(6, 1), MOVI(1, 2), CALL(EXO_HELPER_LOCK), STATE(7, 16), MOV(1, 7), CALL(EXO_HELPER_LOG),
	LDX(BPF_DW, 8, 7, 0), ADDI(8, 1), STX(BPF_DW, 7, 8, 0), CALL(EXO_HELPER_NOW), MOV(1, 0), MOV(2, 8),
	CALL(EXO_HELPER_TRACE), LDX(BPF_DW, 1, 6, TXN_ARG(0)), LDX(BPF_DW, 2, 6, TXN_ARG(1)),
	CALL(EXO_HELPER_CALL), STX(BPF_DW, 6, 0, TXN_OUT(0)), LDX(BPF_DW, 1, 6, TXN_ARG(2)),
	CALL(EXO_HELPER_OWNS), EXIT,
};

/* Adds to words of its state, atomically. */
static const struct bpf_insn txn_atomic[] = {
	LDX(BPF_DW, 2, 1, TXN_ARG(0)), ALUI(BPF_AND, 2, 0xff8), STATE(3, 0), ADD(3, 2), MOVI(4, 1),
	INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 3, 4, 0, BPF_ADD | BPF_FETCH),
	INSN(BPF_STX | BPF_ATOMIC | BPF_W, 3, 4, 4, BPF_XOR), MOVI(0, 9),
	INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 3, 4, 0, BPF_CMPXCHG), EXIT,
};

static const struct bpf_insn fault_bind[] = {
	LDX(BPF_DW, 6, 1, 0), MOV(2, 6), ALUI(BPF_AND, 2, 63), ALUI(BPF_LSH, 2, 3), STATE(4, 0), ADD(4, 2),
	LDX(BPF_DW, 2, 4, 0), MOV(1, 6), MOVI(3, 3), CALL(EXO_HELPER_BIND), MOV(1, 6), ADDI(1, 1),
	LDX(BPF_DW, 2, 4, 0), MOVI(3, 1), CALL(EXO_HELPER_BIND), EXIT,
};

static const struct bpf_insn victim_all[] = {
	LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), MOV(4, 2), ADDI(4, 16), JX(BPF_JGT, 4, 3, 3),
	STI(BPF_W, 2, 8, 1), MOV(2, 4), JA(-6), MOVI(0, 0), EXIT,
};

static const uint64_t consts[600] = { 1, 2, 3 };

static struct good {
	uint32_t hook;
	uint32_t const_size;
	uint32_t state_pages;
	const struct bpf_insn *insns;
	uint32_t nr;
	const void *cert;	/* NULL: not proved */
	uint32_t cert_size;
} goods[FUZZ_GRAFTS] = {
	{ EXO_HOOK_PURE, 24, 0, pure_sum, LEN(pure_sum), NULL, 0 },
	{ EXO_HOOK_PURE, 0, 0, pure_walk, LEN(pure_walk), NULL, 0 },
	{ EXO_HOOK_STREAM, 4800, 0, stream_walk, LEN(stream_walk), NULL, 0 },
	{ EXO_HOOK_TXN, 0, 1, txn_all, LEN(txn_all), NULL, 0 },
	{ EXO_HOOK_TXN, 8, 2, txn_atomic, LEN(txn_atomic), NULL, 0 },
	{ EXO_HOOK_FAULT, 0, 1, fault_bind, LEN(fault_bind), NULL, 0 },
	{ EXO_HOOK_VICTIM, 0, 0, victim_all, LEN(victim_all), NULL, 0 },
};

void fuzz_graft_init(void)
{
	unsigned int i, proved = 0;

	for (i = 0; i < LEN(goods); i++) {
		struct good *good = &goods[i];
		const struct exo_graft_parts parts = {
			.sz = sizeof(parts), .name = "fuzz", .hook = good->hook, .nr_insns = good->nr,
			.insns = (const void *)good->insns, .const_size = good->const_size, .consts = consts,
			.state_size = good->state_pages * (uint32_t)PAGE,
		};
		struct exo_graft_verdict verdict = { 0 };
		struct exo_graft_object *object;

		ASSERT_EQ(exo_graft_object_create(&object, &parts), 0);
		ASSERT_EQ(exo_graft_verify(object, &verdict), 0);
		if (!verdict.proved)
			continue;
		good->cert = exo_graft_object_parts(object)->cert;
		good->cert_size = (uint32_t)exo_graft_object_parts(object)->cert_size;
		ASSERT_LE(good->cert_size, MAX_CERT);
		proved++;
	}
	ASSERT_GE(proved, 5);
}

/* One change of the code; mostly what might still be a graft. */
static void mutate_insn(struct bpf_insn *insns, uint32_t n, uint32_t how, uint32_t value)
{
	struct bpf_insn *insn = &insns[how / 16 % n];

	switch (how % 8) {
	case 0:
		insn->code = (uint8_t)value;
		break;
	case 1:
		insn->dst_reg = value & 15;
		break;
	case 2:
		insn->src_reg = value & 15;
		break;
	case 3:
		insn->off = (int16_t)value;
		break;
	case 4:
		insn->imm = (int32_t)value;
		break;
	case 5:
		*insn = insns[value % n];
		break;
	case 6:
		insn->off = (int16_t)(insn->off + (int)(value % 7) - 3);
		break;
	case 7:
		insn->code ^= (uint8_t)(1 << value % 8);
		break;
	}
}

/*
 * words: [2] which; [3] mode; [4] flags; [5] changes of the code; [6] of the certificate; [7] what else is
 * wrong. array: 16 pairs, where and what.
 */
int fuzz_graft_load(int fd, const uint32_t *words, const uint32_t *array, struct exo_graft_load *load)
{
	static struct bpf_insn insns[MAX_INSNS];
	static uint8_t cert[MAX_CERT];
	const struct good *good = &goods[words[2] % LEN(goods)];
	const struct good *other = words[7] % 16 == 1 ? &goods[words[7] / 16 % LEN(goods)] : good;
	uint32_t i, at;

	memcpy(insns, good->insns, good->nr * sizeof(*insns));
	if (other->cert)
		memcpy(cert, other->cert, other->cert_size);
	for (i = 0; i < words[5] % 8; i++)
		mutate_insn(insns, good->nr, array[i * 2], array[i * 2 + 1]);
	for (i = 8; i < 8 + words[6] % 8 && other->cert_size; i++) {
		at = array[i * 2] % other->cert_size;
		cert[at] = array[i * 2] & (1U << 31) ? (uint8_t)(cert[at] ^ (1 << array[i * 2 + 1] % 8)) :
						       (uint8_t)array[i * 2 + 1];
	}
	*load = (struct exo_graft_load){
		.size = sizeof(*load), .flags = words[4] < 8 ? words[4] & 3 : words[4],
		.hook = words[7] % 16 == 2 ? words[7] / 16 : good->hook,
		.mode = words[3] < 16 ? words[3] % 3 + 1 : words[3], .nr_insns = good->nr,
		.const_size = good->const_size, .state_pages = good->state_pages, .cert_size = other->cert_size,
		.insns = (uintptr_t)insns, .consts = (uintptr_t)consts, .cert = (uintptr_t)cert, .name = "fuzz",
	};
	switch (words[7] % 16) {
	case 3:
		load->nr_insns = words[7] / 16;
		break;
	case 4:
		load->const_size = words[7] / 16;
		break;
	case 5:
		load->state_pages = words[7] / 16;
		break;
	case 6:
		load->cert_size = words[7] / 16;
		break;
	case 7:
		load->insns = load->cert = 0;
		break;
	case 8:
		load->consts = 8;
		break;
	case 9:
		load->name[words[7] / 16 % EXO_GRAFT_NAME] = 'x';
		break;
	}
	/* A million slots take a slow kernel's interpreter half a minute. */
	if (load->mode == EXO_GRAFT_INTERP && load->hook != EXO_HOOK_PURE && load->hook != EXO_HOOK_FAULT)
		load->mode = EXO_GRAFT_SANDBOX;
	return t_ioctl(fd, EXO_GRAFT_LOAD, load);
}

void fuzz_graft_words(uint8_t nr, uint32_t *words, uint32_t *array)
{
	unsigned int i;

	switch (nr) {
	case EXO_NR_GRAFT_LOAD:
		words[2] = any(16);
		words[3] = any(30) ? any(3) : interesting();
		words[4] = any(30) ? any(8) : interesting();
		words[5] = any(2) ? 0 : any(8);
		words[6] = any(2) ? 0 : any(8);
		words[7] = any(2) ? 0 : any(10) + 16 * (any(2) ? any(16) : interesting());
		for (i = 0; i < 16; i++)
			array[i * 2] = (uint32_t)(test_random(&seed) >> 16);
		break;
	case EXO_NR_GRAFT_ATTACH:
		words[1] = any(30) ? any(2) : interesting();
		words[3] = any(10) ? any(2) : interesting();
		words[6] = any(10) ? any(4) : interesting();
		break;
	case EXO_NR_GRAFT_RUN:
		words[3] = any(30) ? 1 + any(3) : interesting();
		words[8] = any(4) ? any(4096) : interesting();
		break;
	case EXO_NR_GRAFT_DETACH:
		words[2] = any(10) ? EXO_HOOK_FAULT + any(2) : interesting();
		break;
	case EXO_NR_GRAFT_LOG:
		words[5] = any(30) ? 0 : interesting();
		break;
	case EXO_NR_GRAFT_KILL:
	case EXO_NR_GRAFT_UNLOAD:
		words[3] = any(30) ? 0 : interesting();
		break;
	}
}
