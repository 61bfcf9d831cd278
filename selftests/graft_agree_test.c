// SPDX-License-Identifier: GPL-2.0
/*
 * INV-GRAFT-11 on this kernel: the vectors of spec/vectors, the cases of Linux' BPF tests, and random grafts, in the kernel's
 * sandbox and interpreter, and, where the prover finds a proof, in proof mode, against the
 * interpreter in user space. EXO_TEST_ROUNDS=n makes more of them.
 */
#include <stdlib.h>

#include "harness.h"
#include "lib.h"
#include "unit/bpf_graft.h"
#include "unit/graft_gen.h"
#include "unit/graft_world.h"
#include "core/graft_insn.h"
#include "graft_prove.h"

#define VECTORS(_name) \
	__asm__(".pushsection .rodata\n" #_name "_vec: .incbin \"" EXO_VECTORS "/" #_name ".vec\"\n" \
		#_name "_vec_end: .byte 0\n.popsection"); \
	extern const char _name##_vec[], _name##_vec_end[]

VECTORS(alu);
VECTORS(jump);
VECTORS(memory);
VECTORS(facts);
VECTORS(refuse);

static const struct {
	const char *name, *text, *end;
} files[] = {
	{ "alu.vec", alu_vec, alu_vec_end },
	{ "jump.vec", jump_vec, jump_vec_end },
	{ "memory.vec", memory_vec, memory_vec_end },
	{ "facts.vec", facts_vec, facts_vec_end },
	{ "refuse.vec", refuse_vec, refuse_vec_end },
};

struct agree {
	int fd;
	struct world *world;
	const char *name;
	unsigned int compared[EXO_GRAFT_INTERP + 1];
	unsigned int refused;
};

static u64 state;

/* splitmix64: the same grafts on every kernel. */
static u64 next_random(void)
{
	u64 z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static int unload(int fd, u32 graft)
{
	struct exo_graft_unload cmd = { .size = sizeof(cmd), .graft = graft };

	return t_ioctl(fd, EXO_GRAFT_UNLOAD, &cmd);
}

/* What was unloaded is charged until a grace period is over. */
static int load(struct agree *agree, struct exo_graft_load *cmd)
{
	const struct exo_graft_prog *prog = &agree->world->prog;
	unsigned int i;
	int ret = 0;

	cmd->size = sizeof(*cmd);
	cmd->hook = prog->hook->id;
	cmd->nr_insns = prog->len;
	cmd->insns = (uintptr_t)prog->insns;
	cmd->const_size = prog->const_size;
	cmd->consts = (uintptr_t)agree->world->consts;
	cmd->state_pages = prog->state_size / PAGE;
	strcpy(cmd->name, "agree");
	for (i = 0; i < 200; i++) {
		ret = t_ioctl(agree->fd, EXO_GRAFT_LOAD, cmd);
		if (ret != -EDQUOT)
			break;
		test_sleep_ms(20);
	}
	return ret;
}

static void differs(const struct agree *agree, u32 mode, const char *what, u64 is, u64 want)
{
	u32 i;

	for (i = 0; i < agree->world->prog.len; i++) {
		const struct exo_insn *insn = &agree->world->insns[i];

		printf("# %u: %02x dst %u src %u off %d imm %d\n", i, insn->code, insn->dst, insn->src, insn->off,
		       insn->imm);
	}
	FAIL("%s, mode %u: %s is %llx, not %llx", agree->name, mode, what, (unsigned long long)is,
	     (unsigned long long)want);
}

/* One mode in the kernel, against what the world ended with. */
static void compare(struct agree *agree, const struct world_input *input, u32 mode, u32 result,
		    const void *cert, size_t cert_size)
{
	static u8 data_out[8192];
	struct world *world = agree->world;
	const struct exo_hook *hook = world->prog.hook;
	struct exo_graft_load cmd = { .mode = mode, .cert = (uintptr_t)cert, .cert_size = cert_size };
	struct exo_graft_invoke run = { .size = sizeof(run), .repeat = 1 };
	u32 status = world->run->status, size = world->prog.state_size;
	u8 *window = NULL;
	int ret = load(agree, &cmd);

	if (ret)
		differs(agree, mode, "load", -ret, 0);
	ASSERT_EQ(cmd.out_mode, mode);
	if (size) {
		window = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, agree->fd, (off_t)cmd.out_state);
		ASSERT_NE(window, MAP_FAILED);
		if (input->state)
			memcpy(window, input->state, size);
	}
	run.graft = cmd.out_graft;
	memcpy(run.arg, input->arg, sizeof(run.arg));
	if (hook->data_cap) {
		run.data = (uintptr_t)input->data;
		run.data_size = input->data_size;
		if (hook->flags & EXO_HOOK_DATA_WRITABLE)
			run.data_out = (uintptr_t)data_out;
	}
	ret = t_ioctl(agree->fd, EXO_GRAFT_RUN, &run);
	if (ret)
		differs(agree, mode, "run", -ret, 0);
	if (run.out_status != status)
		differs(agree, mode, "status", run.out_status, status);
	if (!status && run.out_result != result)
		differs(agree, mode, "result", run.out_result, result);
	if (!status && mode != EXO_GRAFT_PROOF && run.out_charged != hook->budget - (u64)world->run->budget)
		differs(agree, mode, "charge", run.out_charged, hook->budget - (u64)world->run->budget);
	if (!status && memcmp(run.out, world_region(world, EXO_REGION_CTX) + hook->ctx_write, sizeof(run.out)))
		differs(agree, mode, "out[0]", run.out[0], 0);
	if (!status && run.data_out && memcmp(data_out, world_region(world, EXO_REGION_DATA), run.data_size))
		differs(agree, mode, "data", 0, 0);
	if (size && memcmp(window, world_region(world, EXO_REGION_STATE), size))
		differs(agree, mode, "state", 0, 0);
	if (size)
		munmap(window, size);
	ASSERT_EQ(unload(agree->fd, cmd.out_graft), 0);
	agree->compared[mode]++;
}

static void compare_all(struct agree *agree, struct world_input *input)
{
	struct exo_graft_error error;
	size_t cert_size;
	void *cert;
	u32 result;

	input->budget = agree->world->prog.hook->budget;
	ASSERT_EQ(world_start(agree->world, input), true);
	result = world_interpret(agree->world);
	compare(agree, input, EXO_GRAFT_SANDBOX, result, NULL, 0);
	compare(agree, input, EXO_GRAFT_INTERP, result, NULL, 0);
	if (exo_graft_prove(&agree->world->prog, &cert, &cert_size, &error))
		return;
	compare(agree, input, EXO_GRAFT_PROOF, result, cert, cert_size);
	free(cert);
}

static bool can_run(u32 hook)
{
	return hook == EXO_HOOK_PURE || hook == EXO_HOOK_STREAM || hook == EXO_HOOK_TXN;
}

static void vector(const struct vec *vec, void *arg)
{
	struct agree *agree = arg;
	struct exo_graft_load cmd = { .mode = EXO_GRAFT_INTERP };
	struct world_input input;

	agree->name = vec->name;
	if (!can_run(vec->hook) || vec->state_pages > EXO_GRAFT_MAX_STATE)
		return;
	if (world_load(agree->world, vec->hook, vec->insns, vec->len, vec->consts, vec->const_size,
		       vec->state_pages * PAGE)) {
		ASSERT_EQ(load(agree, &cmd), -EINVAL);
		/* What isn't even a load is refused before it is decoded. */
		if (cmd.out_error.code && cmd.out_error.code != vec->error)
			differs(agree, 0, "refusal", cmd.out_error.code, vec->error);
		agree->refused++;
		return;
	}
	world_input_of(vec, &input);
	compare_all(agree, &input);
}

static void say(const struct agree *agree)
{
	printf("# sandbox %u, interpreted %u, proof %u, refused %u\n", agree->compared[EXO_GRAFT_SANDBOX],
	       agree->compared[EXO_GRAFT_INTERP], agree->compared[EXO_GRAFT_PROOF], agree->refused);
}

/* Catches: a translation by this kernel's JIT that means something else. */
TEST_LONG(agree__vectors, 240)
{
	struct agree agree = { .fd = t_open(), .world = world_new() };

	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		vec_text(files[i].name, files[i].text, files[i].end - files[i].text, vector, &agree);
	say(&agree);
	ASSERT_GT(agree.compared[EXO_GRAFT_SANDBOX], 2000);
	ASSERT_GT(agree.compared[EXO_GRAFT_PROOF], 1000);
	ASSERT_GT(agree.refused, 50);
	world_free(agree.world);
}

#ifdef EXO_BPF_CASES
__asm__(".pushsection .rodata\n.balign 8\nbpf_cases: .incbin \"" EXO_BPF_CASES "\"\nbpf_cases_end: .byte 0\n.popsection");
extern const u8 bpf_cases[], bpf_cases_end[];

static void bpf_case(struct agree *agree, const struct bpf_record *record)
{
	static u8 memory[EXO_GRAFT_MAX_STATE * PAGE];
	struct world_input input = { .state = memory };

	agree->name = record->name;
	memcpy(memory, record->state, sizeof(record->state));
	if (world_load(agree->world, record->hook, record->insns, record->len, record->consts, record->const_size,
		       record->state_size))
		differs(agree, 0, "decoding", agree->world->error.code, 0);
	compare_all(agree, &input);
}
#endif

/* Catches: a translation that means something else than what Linux' own tests say. */
TEST_LONG(agree__linux_cases, 240)
{
#ifdef EXO_BPF_CASES
	struct agree agree = { .fd = t_open(), .world = world_new() };
	const u8 *at = bpf_cases;
	unsigned int n = 0, every = test_core_rounds(12, 12) < 12 ? 12 : 1, first = (unsigned int)(test_seed() % every);

	for (; at < bpf_cases_end; n++) {
		const struct bpf_record *record = (const void *)at;

		if (n % every == first)
			bpf_case(&agree, record);
		at += sizeof(*record) + record->len * sizeof(record->insns[0]);
	}
	say(&agree);
	ASSERT_GT(n, 1600);
	ASSERT_GT(agree.compared[EXO_GRAFT_SANDBOX], 1600 / every);
	ASSERT_GT(agree.compared[EXO_GRAFT_PROOF], 1100 / every);
	world_free(agree.world);
#else
	SKIP("Linux' cases are not built in: make -C selftests/unit cases");
#endif
}

static bool calls(const struct gen *gen)
{
	for (u32 i = 0; i < gen->len; i++)
		if (gen->insns[i].code == (EXO_JMP | EXO_CALL))
			return true;
	return false;
}

/* Catches the same, where nobody thought of it. */
TEST_LONG(agree__random, 240)
{
	struct agree agree = { .fd = t_open(), .world = world_new(), .name = "random" };
	unsigned int n = test_core_rounds(2000, 20);
	struct gen *gen = calloc(1, sizeof(*gen));

	gen->random = next_random;
	gen->state = malloc(2 * PAGE);
	for (u32 i = 0; i < 2 * PAGE; i++)
		gen->state[i] = (u8)next_random();
	while (agree.compared[EXO_GRAFT_SANDBOX] < n) {
		gen_make(gen, 10 + next_random() % 60);
		/* The kernel's helpers are others. */
		if (!can_run(gen->hook) || calls(gen) ||
		    world_load(agree.world, gen->hook, gen->insns, gen->len, gen->consts, gen->const_size,
			       gen->state_size))
			continue;
		compare_all(&agree, &gen->input);
	}
	say(&agree);
	free(gen->state);
	free(gen);
	world_free(agree.world);
}
