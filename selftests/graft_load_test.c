// SPDX-License-Identifier: GPL-2.0
/*
 * Loading grafts, running them, looking at them: what the shell around the engine promises, in the modes that need no
 * certificate.
 */
#include "graft_lib.h"

/* r0 = arg[0] + arg[1]; out[2] = arg[0] */
static const struct bpf_insn sum[] = {
	LDX(BPF_DW, 2, 1, PURE_ARG(0)), LDX(BPF_DW, 0, 1, PURE_ARG(1)), ADD(0, 2),
	STX(BPF_DW, 1, 2, PURE_OUT(2)), EXIT,
};

/* Doesn't end in anybody's time. */
static const struct bpf_insn endless[] = { MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 0, -2), EXIT };

/* The byte at arg[0] of the data. */
static const struct bpf_insn peek[] = {
	LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, PURE_ARG(0)), ADD(2, 3), LDX(BPF_B, 0, 2, 0),
	STX(BPF_DW, 1, 0, PURE_OUT(0)), EXIT,
};

/* Adds one to every byte of the data, and then, if arg[0] says so, goes too far. */
static const struct bpf_insn increment[] = {
	LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), LDX(BPF_DW, 4, 1, PURE_ARG(0)),
	JX(BPF_JGE, 2, 3, 5), LDX(BPF_B, 0, 2, 0), ADDI(0, 1), STX(BPF_B, 2, 0, 0), ADDI(2, 1),
	JA(-6), JI(BPF_JEQ, 4, 0, 1), STX(BPF_B, 3, 0, 0), MOVI(0, 7), EXIT,
};

/* Catches: a mode that computes something else, or loses a part of the context. */
TEST(run__each_mode)
{
	int fd = t_open();

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, all_modes[m], sum);
		uint32_t graft = t_graft(fd, &load);
		struct exo_graft_invoke run = { .graft = graft, .arg = { 40, 2 }, .repeat = 3 };

		ASSERT_EQ(load.out_error.code, EXO_GRAFT_FINE);
		ASSERT_EQ(!!load.out_jit_bytes, all_modes[m] != EXO_GRAFT_INTERP);
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 42);
		ASSERT_EQ(run.out_runs, 3);
		ASSERT_EQ(run.out[2], 40);
		ASSERT_EQ(run.out[0] | run.out[1] | run.out[3], 0);
		ASSERT_EQ(run.out_charged, LEN(sum));
		ASSERT_GT(run.out_ns, 0);
		ASSERT_EQ(t_unload(fd, graft), 0);
		ASSERT_EQ(t_unload(fd, graft), -ENOENT);
		ASSERT_EQ(t_run(fd, &run), -ENOENT);
	}
}

/* Catches: a check of the arguments that isn't there (INV-REQ-6). */
TEST(load__bad_arguments)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_INTERP, sum), bad;
	int fd = t_open();

#define BAD(_field, _value) \
	do { \
		bad = load; \
		bad._field = (_value); \
		ASSERT_EQ(t_load_graft(fd, &bad), -EINVAL); \
		ASSERT_EQ(bad.out_graft, 0); \
	} while (0)
	BAD(flags, 8);
	BAD(hook, 0);
	BAD(hook, 99);
	BAD(mode, 0);
	BAD(mode, 4);
	BAD(nr_insns, 0);
	BAD(nr_insns, 4097);
	BAD(const_size, 65537);
	BAD(state_pages, 65);
	BAD(state_pages, 1);	/* must be pure */
	BAD(cert_size, EXO_GRAFT_MAX_CERT + 1);
	bad = load;
	memset(bad.name, 'x', sizeof(bad.name));
	ASSERT_EQ(t_load_graft(fd, &bad), -EINVAL);
	bad = load;
	bad.insns = 4096;
	ASSERT_EQ(t_load_graft(fd, &bad), -EFAULT);
	bad = load;
	bad.const_size = 5000;
	bad.consts = 4096;
	ASSERT_EQ(t_load_graft(fd, &bad), -EFAULT);
	t_no_grafts(fd);
}

/* Catches: a refusal that doesn't say why, or that leaves something charged. */
TEST(load__says_why)
{
	static const struct bpf_insn opcode[] = { MOVI(0, 0), INSN(0xff, 0, 0, 0, 0), EXIT };
	static const struct bpf_insn jump[] = { MOVI(0, 0), JA(5), EXIT };
	static const struct bpf_insn helper[] = { CALL(EXO_HELPER_BIND), EXIT };
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_SANDBOX, opcode);
	int fd = t_open();

	ASSERT_EQ(t_load_graft(fd, &load), -EINVAL);
	ASSERT_EQ(load.out_error.code, EXO_GRAFT_E_OPCODE);
	ASSERT_EQ(load.out_error.slot, 1);
	load.insns = (uintptr_t)jump;
	ASSERT_EQ(t_load_graft(fd, &load), -EINVAL);
	ASSERT_EQ(load.out_error.code, EXO_GRAFT_E_JUMP);
	load.insns = (uintptr_t)helper;
	load.nr_insns = LEN(helper);
	ASSERT_EQ(t_load_graft(fd, &load), -EINVAL);
	ASSERT_EQ(load.out_error.code, EXO_GRAFT_E_HELPER);
	t_no_grafts(fd);
}

/* Catches: a proof that is believed without a certificate; a weaker mode that nobody allowed. */
TEST(load__no_certificate)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_PROOF, sum);
	int fd = t_open();

	ASSERT_EQ(t_load_graft(fd, &load), -EINVAL);
	ASSERT_EQ(load.out_error.code, EXO_GRAFT_E_CERT_MISSING);
	load.flags = EXO_GRAFT_LOAD_SANDBOX;
	ASSERT_EQ(t_load_graft(fd, &load), 0);
	ASSERT_EQ(load.out_mode, EXO_GRAFT_SANDBOX);
	ASSERT_EQ(load.out_error.code, EXO_GRAFT_E_CERT_MISSING);
	ASSERT_EQ(t_unload(fd, load.out_graft), 0);
}

/* Catches: barriers that an ordinary user can leave out. */
TEST(load__barriers_need_perfmon)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_SANDBOX, sum);
	struct exo_graft_info info;
	int fd = t_open();

	t_need_root();
	load.flags = EXO_GRAFT_LOAD_NO_BARRIERS;
	ASSERT_EQ(t_load_graft(fd, &load), 0);
	ASSERT_EQ(t_graft_info(fd, load.out_graft, &info), 0);
	ASSERT_EQ(info.out_flags & EXO_GRAFT_IS_BARRED, 0);
	t_become(ALICE);
	fd = t_open();
	ASSERT_EQ(t_load_graft(fd, &load), -EPERM);
}

/* Catches: an access outside the data that isn't found (INV-GRAFT-32). */
TEST(run__data_bounds)
{
	static const uint64_t outside[] = {
		100, 4095, 4096, 1 << 20, (uint64_t)-8192, 1ULL << 40, 1ULL << 63,
	};
	char data[100];
	int fd = t_open();

	memset(data, 9, sizeof(data));
	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, modes[m], peek);
		struct exo_graft_invoke run = {
			.graft = t_graft(fd, &load), .data = (uintptr_t)data, .data_size = sizeof(data),
			.arg = { 99 },
		};
		struct exo_graft_info info;

		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 9);
		for (unsigned int i = 0; i < LEN(outside); i++) {
			run.arg[0] = outside[i];
			run.repeat = 5;
			ASSERT_EQ(t_run(fd, &run), 0);
			ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_ACCESS);
			ASSERT_EQ(run.out_runs, 1);
			ASSERT_EQ(run.out_result | run.out[0], 0);
		}
		ASSERT_EQ(t_graft_info(fd, run.graft, &info), 0);
		ASSERT_GE(info.out_aborts[EXO_GRAFT_ABORT_ACCESS], LEN(outside));
		run.data_size = 4097;
		ASSERT_EQ(t_run(fd, &run), -EINVAL);
		run.data_size = 100;
		run.data = 4096;
		ASSERT_EQ(t_run(fd, &run), -EFAULT);
	}
}

/* Catches: a change of the data that is lost, or that an abort doesn't take back. */
TEST(run__stream)
{
	unsigned char in[5000], out[5000];
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_STREAM, modes[m], increment);
		struct exo_graft_invoke run = {
			.graft = t_graft(fd, &load), .data = (uintptr_t)in, .data_out = (uintptr_t)out,
			.data_size = sizeof(in), .repeat = 2,
		};

		memset(in, 5, sizeof(in));
		memset(out, 1, sizeof(out));
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 7);
		ASSERT_EQ(in[0], 5);
		for (unsigned int i = 0; i < sizeof(out); i++)
			ASSERT_EQ(out[i], 7);
		memset(out, 1, sizeof(out));
		run.arg[0] = 1;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_ACCESS);
		for (unsigned int i = 0; i < sizeof(out); i++)
			ASSERT_EQ(out[i], 1);
	}
}

/* Catches: a graft that goes on beyond its hook's budget. */
TEST(run__endless)
{
	static const uint32_t hooks[] = { EXO_HOOK_PURE, EXO_HOOK_STREAM, EXO_HOOK_TXN };
	int fd = t_open();

	FOR_ALL_MODES(m)
		for (unsigned int i = 0; i < LEN(hooks); i++) {
			struct exo_graft_load load = GRAFT(hooks[i], all_modes[m], endless);
			struct exo_graft_invoke run = { .graft = t_graft(fd, &load) };
			struct exo_graft_info info;

			ASSERT_EQ(t_run(fd, &run), 0);
			ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_BUDGET);
			ASSERT_EQ(t_graft_info(fd, run.graft, &info), 0);
			ASSERT_EQ(info.out_aborts[EXO_GRAFT_ABORT_BUDGET], 1);
			ASSERT_EQ(info.out_runs, 1);
			test_note("mode %u, hook %u: a budget takes %llu us", all_modes[m], hooks[i],
				  (unsigned long long)run.out_ns / 1000);
		}
}

/* Catches: aborts that nobody hears of, or that flood the ring. */
TEST(run__abort_event)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_INTERP, peek);
	int fd = t_open();
	struct exo_ring *ring = t_ring(fd);
	struct exo_graft_invoke run = { .graft = t_graft(fd, &load), .arg = { 1 } };
	uint64_t seen = ring->head, start = ring->head;
	struct exo_event event;

	for (unsigned int i = 0; i < 1000; i++)
		ASSERT_EQ(t_run(fd, &run), 0);
	ASSERT_EQ(t_event(ring, &seen, EXO_EVENT_GRAFT_ABORT, 1000, &event), true);
	ASSERT_EQ(event.arg[0], run.graft);
	ASSERT_EQ(event.arg[1], EXO_GRAFT_ABORT_ACCESS);
	ASSERT_LT(ring->head - start, 200);
}

/* Catches: a limit that isn't kept, or that stays charged after an unload (INV-GRAFT-36). */
TEST(quota__limits)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_SANDBOX, sum);
	struct exo_quota quota = { .flags = EXO_QUOTA_GRAFTS, .uid = 0, .grafts = 2 };
	int fd = t_open();
	uint32_t first;

	t_need_root();
	t_quota_set(fd, &quota);
	t_no_grafts(fd);
	first = t_graft(fd, &load);
	t_graft(fd, &load);
	ASSERT_EQ(t_load_graft(fd, &load), -EDQUOT);
	ASSERT_EQ(t_unload(fd, first), 0);
	first = t_graft(fd, &load);
	quota = t_quota(fd, 0);
	ASSERT_EQ(quota.out_grafts, 2);
	ASSERT_GT(quota.out_graft_insns, 2 * LEN(sum) - 1);
	ASSERT_GT(quota.out_graft_jit, load.out_jit_bytes);
	ASSERT_EQ(t_unload(fd, first), 0);

	quota = (struct exo_quota){
		.flags = EXO_QUOTA_GRAFTS | EXO_QUOTA_GRAFT_INSNS, .uid = 0, .grafts = 9,
		.graft_insns = load.out_lowered * 2 - 1,
	};
	t_quota_set(fd, &quota);
	ASSERT_EQ(t_load_graft(fd, &load), -EDQUOT);
	quota.flags = EXO_QUOTA_GRAFT_INSNS | EXO_QUOTA_GRAFT_JIT;
	quota.graft_insns = 1 << 18;
	quota.graft_jit = load.out_jit_bytes;
	t_quota_set(fd, &quota);
	ASSERT_EQ(t_load_graft(fd, &load), -EDQUOT);
	quota.graft_jit = 4 << 20;
	t_quota_set(fd, &quota);
	first = t_graft(fd, &load);
	ASSERT_EQ(t_unload(fd, first), 0);
	quota = (struct exo_quota){ .flags = EXO_QUOTA_GRAFTS, .uid = 0, .grafts = 256 };
	t_quota_set(fd, &quota);
}

/* Catches: grafts that the environment's end leaves behind. */
TEST(env__death)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, EXO_GRAFT_INTERP, endless);
	int fd = t_open(), other = t_open();
	volatile uint64_t *state;

	t_no_grafts(other);
	load.state_pages = 2;
	t_graft(fd, &load);
	state = t_state(fd, &load);
	state[600] = 5;
	close(fd);
	ASSERT_EQ(t_charged_grafts(other), 1);	/* the mapping holds the environment */
	ASSERT_EQ(state[600], 5);
	munmap((void *)state, 2 * PAGE);
	t_no_grafts(other);
}

/* Catches: a leak at loading, running or unloading. */
TEST_LONG(load__many_times, 600)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_STREAM, EXO_GRAFT_SANDBOX, increment);
	struct exo_graft_load txn = GRAFT(EXO_HOOK_TXN, EXO_GRAFT_INTERP, endless);
	unsigned int i, rounds = test_rounds(2000, 4);
	int fd = t_open();
	uint64_t before = 0, after;

	txn.state_pages = 1;
	for (i = 0; i < rounds; i++) {
		struct exo_graft_invoke run = { .graft = t_graft(fd, &load) };

		if (i == rounds / 10)
			before = test_free_kib();
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(t_unload(fd, run.graft), 0);
		ASSERT_EQ(t_unload(fd, t_graft(fd, &txn)), 0);
	}
	t_no_grafts(fd);
	test_sleep_ms(500);
	after = test_free_kib();
	/* This made Linux borrow the idle frames: it keeps them for a second. */
	test_sleep_ms(1100);
	test_note("%lld KiB less than after the first tenth", (long long)(before - after));
	/* A page from each round would be more. */
	ASSERT_LT((long long)(before - after), 4096);
}

/* Catches: a stranger who sees or touches a graft. */
TEST(other__no_access)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, EXO_GRAFT_INTERP, sum);
	int fd = t_open(), other = t_open();
	struct exo_graft_invoke run = { .graft = 0 };
	struct exo_graft_info info;
	uint32_t done;

	t_need_root();
	load.state_pages = 1;
	run.graft = t_graft(fd, &load);
	ASSERT_EQ(t_run(other, &run), -ENOENT);
	ASSERT_EQ(t_unload(other, run.graft), -ENOENT);
	ASSERT_EQ(t_graft_log(other, run.graft, 0, NULL, 0, &done), -ENOENT);
	ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other,
			     (off_t)load.out_state), -1);
	ASSERT_EQ(errno, ENOENT);
	ASSERT_EQ(t_graft_info(other, run.graft, &info), 0);	/* an administrator */
	t_become(ALICE);
	other = t_open();
	ASSERT_EQ(t_graft_info(other, run.graft, &info), -ENOENT);
	ASSERT_EQ(t_kill_graft(other, run.graft), -ENOENT);
	ASSERT_EQ(t_graft_info(fd, run.graft, &info), 0);
	ASSERT_EQ(info.out_flags & EXO_GRAFT_IS_KILLED, 0);
}

/* Catches: rows that are missing, or of others. */
TEST(list__own_and_all)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_INTERP, sum);
	struct exo_graft_info rows[40];
	struct exo_graft_list list = {
		.size = sizeof(list), .count = 40, .rows = (uintptr_t)rows,
	};
	int fd = t_open();

	t_need_root();
	for (unsigned int i = 0; i < 20; i++)
		t_graft(fd, &load);
	ASSERT_EQ(t_ioctl(fd, EXO_GRAFT_LIST, &list), 0);
	ASSERT_EQ(list.out_done, 20);
	for (unsigned int i = 0; i < 20; i++) {
		ASSERT_EQ(rows[i].size, sizeof(rows[i]));
		ASSERT_EQ(strcmp(rows[i].out_name, "test"), 0);
		ASSERT_EQ(rows[i].out_insns, LEN(sum));
		if (i)
			ASSERT_GT(rows[i].graft, rows[i - 1].graft);
	}
	list.start = rows[16].graft;
	ASSERT_EQ(t_ioctl(fd, EXO_GRAFT_LIST, &list), 0);
	ASSERT_EQ(list.out_done, 3);
	t_become(ALICE);
	fd = t_open();
	list.start = 0;
	ASSERT_EQ(t_ioctl(fd, EXO_GRAFT_LIST, &list), 0);
	ASSERT_EQ(list.out_done, 0);
}

/* Catches: code that blinding or a missing translator breaks. */
TEST(jit__sysctls)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_STREAM, EXO_GRAFT_SANDBOX, increment);
	struct exo_graft_load proof = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_PROOF, sum);
	static const char harden[] = "/proc/sys/net/core/bpf_jit_harden";
	static const char enable[] = "/proc/sys/net/core/bpf_jit_enable";
	unsigned char data[64] = { 3 };
	int fd = t_open();

	t_need_root();
	for (const char *value = "0\0" "1\0" "2\0"; *value; value += 2) {
		struct exo_graft_invoke run = {
			.data = (uintptr_t)data, .data_out = (uintptr_t)data, .data_size = 64,
		};

		if (t_write_file(harden, value))
			SKIP("no %s", harden);
		run.graft = t_graft(fd, &load);
		memset(data, 3, sizeof(data));
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(data[0], 4);
		ASSERT_EQ(data[63], 4);
		ASSERT_EQ(t_unload(fd, run.graft), 0);
		proof.cert = 0;
		run = (struct exo_graft_invoke){ .graft = t_graft(fd, &proof), .arg = { 40, 2 } };
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_result, 42);
		ASSERT_EQ(t_unload(fd, run.graft), 0);
	}
	t_write_file(harden, "0");
	if (t_write_file(enable, "0"))
		SKIP("this kernel's translator can't be switched off");
	ASSERT_EQ(t_load_graft(fd, &load), -EOPNOTSUPP);
	load.flags = EXO_GRAFT_LOAD_INTERP;
	ASSERT_EQ(t_load_graft(fd, &load), 0);
	ASSERT_EQ(load.out_mode, EXO_GRAFT_INTERP);
	ASSERT_EQ(t_write_file(enable, "1"), 0);
}
