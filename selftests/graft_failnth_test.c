// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation failing once in every operation on grafts, see failnth.h.
 */
#include "failnth.h"
#include "graft_lib.h"

/* A constant, a word of state, data: everything that a graft can have. */
static const struct bpf_insn insns[] = {
	CONSTS(2, 8), LDX(BPF_DW, 3, 2, 0), STATE(4, 16), STX(BPF_DW, 4, 3, 0), LDX(BPF_DW, 0, 4, 0), EXIT,
};
static const struct bpf_insn stream[] = { LDX(BPF_DW, 2, 1, 0), MOVI(0, 3), EXIT };
static const struct bpf_insn binder[] = {
	LDX(BPF_DW, 1, 1, 0), STATE(4, 0), LDX(BPF_DW, 2, 4, 0), MOVI(3, 3), CALL(EXO_HELPER_BIND), EXIT,
};

static uint64_t consts[2000] = { 1, 2 };
static struct exo_graft_load load;
static uint32_t graft;

static void no_graft(void)
{
	uint64_t start = test_now_ns();
	struct exo_quota quota;

	for (;;) {
		quota = t_quota(fd, getuid());
		if (!quota.out_grafts && !quota.out_graft_insns && !quota.out_graft_jit)
			return;
		ASSERT_EQ(test_overdue(start, 10000), false);
		test_sleep_ms(50);
	}
}

static int call_load(void)
{
	return t_load_graft(fd, &load);
}

static void undo_load(void)
{
	ASSERT_EQ(t_unload(fd, load.out_graft), 0);
	no_graft();
}

/* Catches: a step of loading that leaves something behind, or a graft that is half there. */
TEST_LONG(load__each_mode, 300)
{
	setup();
	/* A translator without memory is one that doesn't translate. */
	FOR_ALL_MODES(m) {
		load = (struct exo_graft_load)GRAFT(EXO_HOOK_TXN, all_modes[m], insns);
		load.consts = (uintptr_t)consts;
		load.const_size = sizeof(consts);
		load.state_pages = 3;
		load.flags = EXO_GRAFT_LOAD_INTERP;
		if (all_modes[m] == EXO_GRAFT_PROOF)
			t_prove(&load);
		sweep("load of a txn graft", call_load, undo_load, 10);
		load = (struct exo_graft_load)GRAFT(EXO_HOOK_STREAM, all_modes[m], stream);
		load.flags = EXO_GRAFT_LOAD_INTERP;
		if (all_modes[m] == EXO_GRAFT_PROOF)
			t_prove(&load);
		sweep("load of a stream graft", call_load, undo_load, 10);
	}
}

static int call_run(void)
{
	struct exo_graft_invoke run = { .graft = graft, .data_size = 100, .data = (uintptr_t)consts };
	int ret = t_run(fd, &run);

	if (!ret)
		ASSERT_EQ(run.out_status, EXO_GRAFT_OK);
	return ret;
}

static void undo_run(void)
{
	ASSERT_EQ(t_unload(fd, graft), 0);
	no_graft();
	graft = t_graft(fd, &load);
}

static void *mapped;

static int call_map(void)
{
	mapped = mmap(NULL, load.state_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)load.out_state);
	return mapped == MAP_FAILED ? -errno : 0;
}

static void undo_map(void)
{
	munmap(mapped, load.state_pages * PAGE);
}

static int call_list(void)
{
	struct exo_graft_info rows[8];
	struct exo_graft_list list = { .size = sizeof(list), .count = 8, .rows = (uintptr_t)rows };

	return t_ioctl(fd, EXO_GRAFT_LIST, &list);
}

static int call_log(void)
{
	struct exo_graft_trace entries[8];
	uint32_t done;

	return t_graft_log(fd, graft, 0, entries, 8, &done);
}

/* Catches: an operation that can't stand a failed allocation. */
TEST_LONG(run__and_look, 300)
{
	setup();
	load = (struct exo_graft_load)GRAFT(EXO_HOOK_STREAM, EXO_GRAFT_SANDBOX, stream);
	graft = t_graft(fd, &load);
	/* On a processor other than the first a window is made. */
	sweep("run", call_run, undo_run, 1);
	ASSERT_EQ(t_unload(fd, graft), 0);
	load = (struct exo_graft_load)GRAFT(EXO_HOOK_TXN, EXO_GRAFT_INTERP, insns);
	load.const_size = 4096;
	load.consts = (uintptr_t)consts;
	load.state_pages = 2;
	graft = t_graft(fd, &load);
	sweep("mmap of a state", call_map, undo_map, 1);
	sweep("list", call_list, NULL, 1);
	sweep("log", call_log, NULL, 1);
}

static int call_attach(void)
{
	return t_attach(fd, graft, view.id, 0, 0);
}

static void undo_attach(void)
{
	ASSERT_EQ(t_detach(fd, EXO_HOOK_FAULT, view.id), 0);
}

static int call_fault(void)
{
	uint64_t value;

	return t_load(t_page(&view, 700), &value) ? -EFAULT : 0;
}

static volatile uint64_t *state;

static void fault_graft(void)
{
	load = (struct exo_graft_load)GRAFT(EXO_HOOK_FAULT, EXO_GRAFT_SANDBOX, binder);
	load.state_pages = 1;
	graft = t_graft(fd, &load);
	state = t_state(fd, &load);
	state[0] = frames[1];
}

static void undo_fault(void)
{
	ASSERT_EQ(t_unbind(&view, 700, 1), 0);
	undo_attach();
	munmap((void *)state, PAGE);
	ASSERT_EQ(t_unload(fd, graft), 0);
	fault_graft();
	ASSERT_EQ(call_attach(), 0);
}

/* Catches: a fault that a graft answers half, when there is no memory. */
TEST_LONG(fault__attach_and_bind, 300)
{
	setup();
	fault_graft();
	sweep("attach", call_attach, undo_attach, 1);
	ASSERT_EQ(call_attach(), 0);
	sweep("fault", call_fault, undo_fault, 1);
}
