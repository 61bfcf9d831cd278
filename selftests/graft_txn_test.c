// SPDX-License-Identifier: GPL-2.0
/*
 * Transactions of grafts: what an abort takes back, locks, nested calls, the log (INV-TXN-1 to -3).
 */
#include <pthread.h>

#include "graft_lib.h"

/* Logs the word at state + arg[1] if arg[0] & 1, sets it to 7, and is aborted if arg[0] & 2. */
static const struct bpf_insn set7[] = {
	MOV(6, 1), LDX(BPF_DW, 7, 6, TXN_ARG(0)), STATE(8, 0), LDX(BPF_DW, 2, 6, TXN_ARG(1)), ADD(8, 2),
	MOV(2, 7), ALUI(BPF_AND, 2, 1), JI(BPF_JEQ, 2, 0, 2), MOV(1, 8), CALL(EXO_HELPER_LOG),
	MOVI(2, 7), STX(BPF_DW, 8, 2, 0), ALUI(BPF_AND, 7, 2), JI(BPF_JEQ, 7, 0, 1),
	LDX(BPF_DW, 0, 7, 0), MOVI(0, 9), EXIT,
};

static struct exo_graft_load load_set7(uint32_t mode)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, mode, set7);

	load.state_pages = 1;
	return load;
}

/* Catches: state that an abort doesn't restore, or a commit doesn't keep (INV-TXN-1). */
TEST(log__restores)
{
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load load = load_set7(modes[m]);
		struct exo_graft_invoke run = { .graft = t_graft(fd, &load), .arg = { 3, 16 } };
		volatile uint64_t *state = t_state(fd, &load);

		state[2] = 5;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_ACCESS);
		ASSERT_EQ(state[2], 5);
		run.arg[0] = 2;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_ACCESS);
		ASSERT_EQ(state[2], 7);
		state[2] = 5;
		run.arg[0] = 1;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 9);
		ASSERT_EQ(state[2], 7);
	}
}

/* Catches: a log that overflows. */
TEST(log__full)
{
	/* Sets state + 8 i for i in 0 .. arg[0] - 1, and logs each before. */
	static const struct bpf_insn many[] = {
		LDX(BPF_DW, 6, 1, TXN_ARG(0)), STATE(7, 0), JI(BPF_JEQ, 6, 0, 6), MOV(1, 7),
		CALL(EXO_HELPER_LOG), STI(BPF_DW, 7, 0, 1), ADDI(7, 8), ADDI(6, -1), JA(-7), MOVI(0, 0),
		EXIT,
	};
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, modes[m], many);
		struct exo_graft_invoke run = { .arg = { 64 } };
		volatile uint64_t *state;

		load.state_pages = 1;
		run.graft = t_graft(fd, &load);
		state = t_state(fd, &load);
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(state[63], 1);
		memset((void *)state, 0, PAGE);
		run.arg[0] = 65;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_HELPER);
		for (unsigned int i = 0; i < 65; i++)
			ASSERT_EQ(state[i], 0);
	}
}

/* Takes locks arg[0] and arg[1]. */
static const struct bpf_insn two_locks[] = {
	MOV(6, 1), LDX(BPF_DW, 1, 6, TXN_ARG(0)), CALL(EXO_HELPER_LOCK), LDX(BPF_DW, 1, 6, TXN_ARG(1)),
	CALL(EXO_HELPER_LOCK), MOVI(0, 0), EXIT,
};

/* Catches: locks out of order, or that stay locked (INV-TXN-3). */
TEST(lock__order)
{
	static const struct {
		uint64_t a, b;
		uint32_t status;
	} cases[] = {
		{ 0, 7, EXO_GRAFT_OK }, { 7, 0, EXO_GRAFT_ABORT_LOCK }, { 3, 3, EXO_GRAFT_OK },
		{ 3, 2, EXO_GRAFT_ABORT_LOCK }, { 2, 3, EXO_GRAFT_OK },
		{ 8, 0, EXO_GRAFT_ABORT_HELPER }, { 0, 1ULL << 40, EXO_GRAFT_ABORT_HELPER },
	};
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, modes[m], two_locks);
		uint32_t graft = t_graft(fd, &load);

		for (unsigned int i = 0; i < LEN(cases); i++) {
			struct exo_graft_invoke run = {
				.graft = graft, .arg = { cases[i].a, cases[i].b }, .repeat = 3,
			};

			ASSERT_EQ(t_run(fd, &run), 0);
			ASSERT_EQ(run.out_status, cases[i].status);
		}
	}
}

struct holder {
	int fd;
	uint32_t graft;
	unsigned int rounds;
	unsigned int ok;
	unsigned int aborted;
};

static void *hold(void *arg)
{
	struct holder *h = arg;

	for (unsigned int i = 0; i < h->rounds; i++) {
		struct exo_graft_invoke run = { .graft = h->graft };

		ASSERT_EQ(t_run(h->fd, &run), 0);
		if (!run.out_status)
			h->ok++;
		else if (run.out_status == EXO_GRAFT_ABORT_LOCK)
			h->aborted++;
		else
			FAIL("status %u", run.out_status);
	}
	return NULL;
}

/* Catches: two that wait for each other, or one that holds a lock as long as it likes. */
TEST_LONG(lock__contention, 120)
{
	/* Takes lock 0 and uses up most of its budget. */
	static const struct bpf_insn slow[] = {
		MOVI(1, 0), CALL(EXO_HELPER_LOCK), MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 300000, -2),
		EXIT,
	};
	/* So slowly that others wait as long; nobody else runs there meanwhile, of which the kernel would complain. */
	static const struct bpf_insn slower[] = {
		MOVI(1, 0), CALL(EXO_HELPER_LOCK), MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 30000, -2),
		EXIT,
	};
	int fd = t_open();

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], slow);
		struct holder h[2] = { { .fd = fd, .rounds = 20 }, { .fd = fd, .rounds = 20 } };
		pthread_t thread[2];
		uint32_t i;

		if (all_modes[m] == EXO_GRAFT_INTERP && test_slow() > 1)
			load.insns = (uintptr_t)slower;
		h[0].graft = h[1].graft = t_graft(fd, &load);
		for (i = 0; i < 2; i++)
			ASSERT_EQ(pthread_create(&thread[i], NULL, hold, &h[i]), 0);
		for (i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		test_note("mode %u: %u and %u runs went well, %u and %u were aborted", all_modes[m], h[0].ok,
			  h[1].ok, h[0].aborted, h[1].aborted);
		ASSERT_EQ(h[0].ok + h[1].ok + h[0].aborted + h[1].aborted, 40);
		/* Nobody holds it now. */
		t_run1(fd, h[0].graft, 0);
	}
}

/* Calls graft arg[1] with argument arg[0]; logs and sets state[0] before; then aborts if arg[2]. */
static const struct bpf_insn caller[] = {
	MOV(6, 1), STATE(7, 0), MOV(1, 7), CALL(EXO_HELPER_LOG), STI(BPF_DW, 7, 0, 1),
	LDX(BPF_DW, 1, 6, TXN_ARG(1)), LDX(BPF_DW, 2, 6, TXN_ARG(0)), CALL(EXO_HELPER_CALL), MOV(8, 0),
	LDX(BPF_DW, 2, 6, TXN_ARG(2)), JI(BPF_JEQ, 2, 0, 1), LDX(BPF_DW, 0, 2, 0), MOV(0, 8), EXIT,
};

/* Catches: a nested abort that takes too much or too little, a nested commit that is final. */
TEST(call__nested)
{
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load inner = load_set7(modes[m]);
		struct exo_graft_load outer = GRAFT(EXO_HOOK_TXN, modes[m], caller);
		volatile uint64_t *in, *out;
		struct exo_graft_invoke run = { .graft = 0 };
		struct exo_graft_info info;

		outer.state_pages = 1;
		run.graft = t_graft(fd, &outer);
		run.arg[1] = t_graft(fd, &inner);
		in = t_state(fd, &inner);
		out = t_state(fd, &outer);

		/* All goes well. */
		run.arg[0] = 1;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 9);
		ASSERT_EQ(in[0], 7);
		ASSERT_EQ(out[0], 1);
		/* The inner one is aborted, and only that. */
		in[0] = out[0] = 0;
		run.arg[0] = 3;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 0xffffffff);
		ASSERT_EQ(in[0], 0);
		ASSERT_EQ(out[0], 1);
		/* The outer one is aborted after the inner one's commit. */
		in[0] = out[0] = 0;
		run.arg[0] = 1;
		run.arg[2] = 1;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_status, EXO_GRAFT_ABORT_ACCESS);
		ASSERT_EQ(in[0], 0);
		ASSERT_EQ(out[0], 0);
		ASSERT_EQ(t_graft_info(fd, inner.out_graft, &info), 0);
		ASSERT_EQ(info.out_runs, 3);
		ASSERT_EQ(info.out_aborts[EXO_GRAFT_ABORT_ACCESS], 1);
		/* Nobody of that name; one that was killed. */
		run.arg[2] = 0;
		run.arg[1] = 60000;
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_result, 0xffffffff);
		run.arg[1] = inner.out_graft;
		ASSERT_EQ(t_kill_graft(fd, inner.out_graft), 0);
		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_EQ(run.out_result, 0xffffffff);
		ASSERT_EQ(in[0], 0);
	}
}

/* Catches: a graft that calls itself for ever, or spends more than its budget in others. */
TEST(call__depth_and_budget)
{
	/* Spends half of the budget, then calls graft arg[0] with its own number. */
	static const struct bpf_insn recurse[] = {
		MOV(6, 1), MOVI(0, 0), ADDI(0, 1), JI(BPF_JNE, 0, 200000, -2),
		LDX(BPF_DW, 1, 6, TXN_ARG(0)), MOV(2, 1), CALL(EXO_HELPER_CALL), EXIT,
	};
	int fd = t_open();

	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, modes[m], recurse);
		struct exo_graft_invoke run = { .graft = t_graft(fd, &load) };
		struct exo_graft_info info;

		run.arg[0] = run.graft;
		ASSERT_EQ(t_run(fd, &run), 0);
		/* Each level has used up a third: the second or third runs out. */
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		ASSERT_EQ(run.out_result, 0xffffffff);
		ASSERT_EQ(t_graft_info(fd, run.graft, &info), 0);
		ASSERT_LT(info.out_runs, 4);
	}
}

/* Catches: entries that are lost, torn, or of somebody else. */
TEST(trace__log)
{
	static const struct bpf_insn trace[] = {
		LDX(BPF_DW, 2, 1, TXN_ARG(1)), LDX(BPF_DW, 1, 1, TXN_ARG(0)), CALL(EXO_HELPER_TRACE),
		MOVI(0, 0), EXIT,
	};
	struct exo_graft_trace entries[200];
	int fd = t_open();

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], trace);
		struct exo_graft_invoke run = { .graft = t_graft(fd, &load) };
		uint32_t done, i;

		ASSERT_EQ(t_graft_log(fd, run.graft, 0, entries, 200, &done), 0);
		ASSERT_EQ(done, 0);
		for (i = 0; i < 150; i++) {
			run.arg[0] = i;
			run.arg[1] = ~(uint64_t)i;
			ASSERT_EQ(t_run(fd, &run), 0);
			ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
		}
		ASSERT_EQ(t_graft_log(fd, run.graft, 0, entries, 200, &done), 0);
		ASSERT_EQ(done, EXO_GRAFT_TRACES);
		for (i = 0; i < done; i++) {
			ASSERT_EQ(entries[i].seq, 150 - EXO_GRAFT_TRACES + i);
			ASSERT_EQ(entries[i].arg[0], entries[i].seq);
			ASSERT_EQ(entries[i].arg[1], ~entries[i].seq);
			ASSERT_GT(entries[i].time_ns, 0);
		}
		ASSERT_EQ(t_graft_log(fd, run.graft, 145, entries, 3, &done), 0);
		ASSERT_EQ(done, 3);
		ASSERT_EQ(entries[0].seq, 145);
	}
}

/* Catches: a time that stands still. */
TEST(now__rises)
{
	static const struct bpf_insn now[] = {
		MOV(6, 1), CALL(EXO_HELPER_NOW), STX(BPF_DW, 6, 0, TXN_OUT(0)), CALL(EXO_HELPER_NOW),
		STX(BPF_DW, 6, 0, TXN_OUT(1)), MOVI(0, 0), EXIT,
	};
	int fd = t_open();

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_TXN, all_modes[m], now);
		struct exo_graft_invoke run = { .graft = t_graft(fd, &load) };
		uint64_t before = test_now_ns();

		ASSERT_EQ(t_run(fd, &run), 0);
		ASSERT_GE(run.out[0], before);
		ASSERT_GE(run.out[1], run.out[0]);
		ASSERT_LT(run.out[1] - before, 60000000000ULL);
	}
}
