/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Grafts for tests: BPF written down instruction by instruction, and the raw commands.
 */
#ifndef EXO_TEST_GRAFT_LIB_H
#define EXO_TEST_GRAFT_LIB_H

#include <linux/bpf.h>

#include <exo/libexo.h>

#include "harness.h"
#include "lib.h"

#define INSN(_code, _dst, _src, _off, _imm) \
	{ .code = (_code), .dst_reg = (_dst), .src_reg = (_src), .off = (_off), .imm = (_imm) }
#define MOVI(_dst, _imm) INSN(BPF_ALU64 | BPF_MOV | BPF_K, _dst, 0, 0, _imm)
#define MOV(_dst, _src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, _dst, _src, 0, 0)
#define ADDI(_dst, _imm) INSN(BPF_ALU64 | BPF_ADD | BPF_K, _dst, 0, 0, _imm)
#define ADD(_dst, _src) INSN(BPF_ALU64 | BPF_ADD | BPF_X, _dst, _src, 0, 0)
#define ALUI(_op, _dst, _imm) INSN(BPF_ALU64 | (_op) | BPF_K, _dst, 0, 0, _imm)
#define LDX(_size, _dst, _src, _off) INSN(BPF_LDX | BPF_MEM | (_size), _dst, _src, _off, 0)
#define STX(_size, _dst, _src, _off) INSN(BPF_STX | BPF_MEM | (_size), _dst, _src, _off, 0)
#define STI(_size, _dst, _off, _imm) INSN(BPF_ST | BPF_MEM | (_size), _dst, 0, _off, _imm)
#define LD64(_dst, _src, _imm) \
	INSN(BPF_LD | BPF_IMM | BPF_DW, _dst, _src, 0, _imm), INSN(0, 0, 0, 0, 0)
#define CALL(_helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, _helper)
#define JA(_off) INSN(BPF_JMP | BPF_JA, 0, 0, _off, 0)
#define JI(_op, _dst, _imm, _off) INSN(BPF_JMP | (_op) | BPF_K, _dst, 0, _off, _imm)
#define JX(_op, _dst, _src, _off) INSN(BPF_JMP | (_op) | BPF_X, _dst, _src, _off, 0)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define STATE(_dst, _at) LD64(_dst, EXO_PSEUDO_STATE, _at)
#define CONSTS(_dst, _at) LD64(_dst, EXO_PSEUDO_CONST, _at)

/* Offsets in contexts. */
#define PURE_ARG(_i) (16 + 8 * (_i))
#define PURE_OUT(_i) (48 + 8 * (_i))
#define TXN_ARG(_i) (8 * (_i))
#define TXN_OUT(_i) (32 + 8 * (_i))

#define LEN(_array) (sizeof(_array) / sizeof((_array)[0]))

/* Those that need no certificate. */
static const uint32_t modes[] = { EXO_GRAFT_SANDBOX, EXO_GRAFT_INTERP };
#define FOR_MODES(_m) for (unsigned int _m = 0; _m < LEN(modes); _m++)

static const uint32_t all_modes[] = { EXO_GRAFT_PROOF, EXO_GRAFT_SANDBOX, EXO_GRAFT_INTERP };
#define FOR_ALL_MODES(_m) for (unsigned int _m = 0; _m < LEN(all_modes); _m++)

/* A graft to load, and what the module said. */
#define GRAFT(_hook, _mode, _insns) \
	{ \
		.size = sizeof(struct exo_graft_load), .hook = (_hook), .mode = (_mode), \
		.nr_insns = LEN(_insns), .insns = (uintptr_t)(_insns), .name = "test", \
	}

static inline int t_load_graft(int fd, struct exo_graft_load *load)
{
	load->size = sizeof(*load);
	return t_ioctl(fd, EXO_GRAFT_LOAD, load);
}

/* Must: a certificate, by libexo's prover. It is never freed. */
static inline void t_prove(struct exo_graft_load *load)
{
	const struct exo_graft_parts parts = {
		.sz = sizeof(parts), .name = load->name, .hook = load->hook, .nr_insns = load->nr_insns,
		.insns = (const void *)(uintptr_t)load->insns, .const_size = load->const_size,
		.consts = (const void *)(uintptr_t)load->consts,
		.state_size = load->state_pages * (uint32_t)PAGE,
	};
	struct exo_graft_verdict verdict = { 0 };
	struct exo_graft_object *object;
	char text[512];

	ASSERT_EQ(exo_graft_object_create(&object, &parts), 0);
	ASSERT_EQ(exo_graft_verify(object, &verdict), 0);
	if (!verdict.proved) {
		exo_graft_error_text(object, &verdict.error, text, sizeof(text));
		FAIL("not proved: %s", text);
	}
	load->cert = (uintptr_t)exo_graft_object_parts(object)->cert;
	load->cert_size = (uint32_t)exo_graft_object_parts(object)->cert_size;
}

/* Must: load, and be given the mode that was asked for. */
static inline uint32_t t_graft(int fd, struct exo_graft_load *load)
{
	int ret;

	if (load->mode == EXO_GRAFT_PROOF && !load->cert)
		t_prove(load);
	ret = t_load_graft(fd, load);

	if (ret)
		FAIL("load: %s; code %u at %u, lo %lld hi %lld bound %llu", strerror(-ret),
		     load->out_error.code, load->out_error.slot, (long long)load->out_error.lo,
		     (long long)load->out_error.hi, (unsigned long long)load->out_error.bound);
	ASSERT_EQ(load->out_mode, load->mode);
	ASSERT_GT(load->out_graft, 0);
	return load->out_graft;
}

static inline int t_unload(int fd, uint32_t graft)
{
	struct exo_graft_unload cmd = { .size = sizeof(cmd), .graft = graft };

	return t_ioctl(fd, EXO_GRAFT_UNLOAD, &cmd);
}

static inline int t_run(int fd, struct exo_graft_invoke *run)
{
	run->size = sizeof(*run);
	run->repeat = run->repeat ? run->repeat : 1;
	return t_ioctl(fd, EXO_GRAFT_RUN, run);
}

/* Must: run it once, with one argument, without an abort. */
static inline uint32_t t_run1(int fd, uint32_t graft, uint64_t arg)
{
	struct exo_graft_invoke run = { .graft = graft, .arg = { arg } };

	ASSERT_EQ(t_run(fd, &run), 0);
	ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
	return run.out_result;
}

static inline int t_attach(int fd, uint32_t graft, uint32_t target, uint32_t flags, uint64_t cookie)
{
	struct exo_graft_attach cmd = {
		.size = sizeof(cmd), .flags = flags, .graft = graft, .target = target, .cookie = cookie,
	};

	return t_ioctl(fd, EXO_GRAFT_ATTACH, &cmd);
}

static inline int t_attach_cap(int fd, const struct exo_cap *cap, uint32_t target)
{
	struct exo_graft_attach cmd = { .size = sizeof(cmd), .target = target, .cap = *cap };

	return t_ioctl(fd, EXO_GRAFT_ATTACH, &cmd);
}

static inline int t_detach(int fd, uint32_t hook, uint32_t target)
{
	struct exo_graft_detach cmd = { .size = sizeof(cmd), .hook = hook, .target = target };

	return t_ioctl(fd, EXO_GRAFT_DETACH, &cmd);
}

static inline int t_kill_graft(int fd, uint32_t graft)
{
	struct exo_graft_kill cmd = { .size = sizeof(cmd), .graft = graft };

	return t_ioctl(fd, EXO_GRAFT_KILL, &cmd);
}

static inline int t_graft_info(int fd, uint32_t graft, struct exo_graft_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->graft = graft;
	return t_ioctl(fd, EXO_GRAFT_STATUS, info);
}

static inline int t_graft_log(int fd, uint32_t graft, uint64_t start, struct exo_graft_trace *entries,
			      uint32_t count, uint32_t *done)
{
	struct exo_graft_log cmd = {
		.size = sizeof(cmd), .graft = graft, .count = count, .start = start,
		.entries = (uintptr_t)entries,
	};
	int ret = t_ioctl(fd, EXO_GRAFT_LOG, &cmd);

	*done = cmd.out_done;
	return ret;
}

static inline int t_graft_cap(int fd, uint32_t graft, uint32_t rights, struct exo_cap *cap)
{
	struct exo_cap_create cmd = {
		.size = sizeof(cmd), .kind = EXO_CAP_GRAFT, .rights = (uint16_t)rights, .object = graft,
	};
	int ret = t_ioctl(fd, EXO_CAP_CREATE, &cmd);

	*cap = cmd.out_cap;
	return ret;
}

/* Must: the state of a graft. */
static inline volatile uint64_t *t_state(int fd, const struct exo_graft_load *load)
{
	void *state = mmap(NULL, load->state_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)load->out_state);

	ASSERT_NE(state, MAP_FAILED);
	return state;
}

static inline uint32_t t_charged_grafts(int fd)
{
	return t_quota(fd, getuid()).out_grafts;
}

/* Must: no graft of this user's is left. What is unloaded is charged until a grace period is over. */
static inline void t_no_grafts(int fd)
{
	uint64_t start = test_now_ns();
	struct exo_quota quota;

	while (t_charged_grafts(fd)) {
		ASSERT_EQ(test_overdue(start, 10000), false);
		test_sleep_ms(50);
	}
	quota = t_quota(fd, getuid());
	ASSERT_EQ(quota.out_graft_insns | quota.out_graft_jit, 0);
}

#endif
