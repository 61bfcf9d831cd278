// SPDX-License-Identifier: GPL-2.0
/*
 * Grafts at the hooks of mem: faults of views, and which frames are taken.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "graft_lib.h"

/* Binds at a page below 256 the frame that state[page] names, with the rights that state[256 + page] says. */
static const struct bpf_insn binder[] = {
	LDX(BPF_DW, 1, 1, 0), JI(BPF_JGT, 1, 255, 9), MOV(2, 1), ALUI(BPF_LSH, 2, 3), STATE(4, 0), ADD(4, 2),
	LDX(BPF_DW, 2, 4, 0), LDX(BPF_DW, 3, 4, 2048), CALL(EXO_HELPER_BIND), EXIT, MOVI(0, 1), EXIT,
};

/* The same for this page and the next. */
static const struct bpf_insn pair[] = {
	LDX(BPF_DW, 6, 1, 0), MOV(2, 6), ALUI(BPF_AND, 2, 127), ALUI(BPF_LSH, 2, 3), STATE(7, 0), ADD(7, 2),
	MOV(1, 6), LDX(BPF_DW, 2, 7, 0), MOVI(3, 3), CALL(EXO_HELPER_BIND),
	MOV(1, 6), ADDI(1, 1), LDX(BPF_DW, 2, 7, 8), MOVI(3, 3), CALL(EXO_HELPER_BIND), EXIT,
};

static const struct bpf_insn nop[] = { MOVI(0, 1), EXIT };

static struct view view;
static volatile uint64_t *state;

/* A graft that answers the faults of a view of 1024 pages; returns it. */
static uint32_t setup(int fd, struct exo_graft_load *load)
{
	uint32_t graft;

	load->state_pages = 1;
	graft = t_graft(fd, load);
	state = t_state(fd, load);
	t_view(fd, 1024, 0, 0, &view);
	ASSERT_EQ(t_attach(fd, graft, view.id, 0, 0), 0);
	return graft;
}

static void teardown(int fd, uint32_t graft)
{
	struct exo_graft_info info;

	t_view_end(&view);
	ASSERT_EQ(t_graft_info(fd, graft, &info), 0);
	ASSERT_EQ(info.out_attached, 0);
	munmap((void *)state, PAGE);
	ASSERT_EQ(t_unload(fd, graft), 0);
}

static uint64_t aborts(int fd, uint32_t graft, uint32_t status)
{
	struct exo_graft_info info;

	ASSERT_EQ(t_graft_info(fd, graft, &info), 0);
	return info.out_aborts[status];
}

static void offer(uint32_t page, uint32_t frame, uint32_t rights)
{
	state[page] = frame;
	state[256 + page] = rights;
}

/* Catches: a fault that isn't answered, or with another frame or other rights (INV-GRAFT-34). */
TEST(fault__binds)
{
	uint32_t frames[16], i;
	int fd = t_open();
	uint64_t value;

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_FAULT, all_modes[m], binder);
		uint32_t graft = setup(fd, &load);

		t_alloc_any(fd, frames, 16);
		for (i = 0; i < 16; i++)
			offer(i * 3, frames[i], i % 2 ? RW : RO);
		for (i = 0; i < 16; i++) {
			t_fill(fd, frames[i], 100 + i);
			ASSERT_EQ(t_load(t_page(&view, i * 3), &value), 0);
			ASSERT_EQ(value, 100 + i);
			ASSERT_EQ(t_store(t_page(&view, i * 3), 5), i % 2 ? 0 : SIGBUS);
		}
		/* A store first, then what nobody offers. */
		offer(200, frames[3], RW);
		ASSERT_EQ(t_store(t_page(&view, 200), 77), 0);
		ASSERT_EQ(t_page(&view, 9)[0], 77);
		ASSERT_EQ(t_store(t_page(&view, 300), 1), SIGBUS);
		ASSERT_EQ(aborts(fd, graft, EXO_GRAFT_ABORT_HELPER), 0);
		teardown(fd, graft);
		ASSERT_EQ(t_free(fd, frames, 16, NULL), 0);
	}
}

/* Catches: a frame bound that isn't the environment's, or a half of what was staged. */
TEST(fault__all_or_nothing)
{
	int fd = t_open(), other = t_open();
	uint32_t frames[3], foreign;
	uint64_t value;

	t_alloc_any(fd, frames, 3);
	foreign = t_frame(other);
	FOR_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_FAULT, modes[m], pair);
		uint32_t graft = setup(fd, &load);

		state[10] = frames[0];
		state[11] = foreign;
		ASSERT_EQ(t_load(t_page(&view, 10), &value), SIGBUS);
		ASSERT_EQ(aborts(fd, graft, EXO_GRAFT_ABORT_HELPER), 1);
		ASSERT_EQ(view.slots[10] | view.slots[11], 0);
		/* The frame that the abort gave back is free for others. */
		state[11] = frames[1];
		ASSERT_EQ(t_load(t_page(&view, 10), &value), 0);
		ASSERT_NE(view.slots[11], 0);
		/* Bound already: 11. */
		ASSERT_EQ(t_unbind(&view, 10, 1), 0);
		ASSERT_EQ(t_load(t_page(&view, 10), &value), SIGBUS);
		ASSERT_EQ(view.slots[10], 0);
		/* One frame at two pages. */
		state[20] = state[21] = frames[2];
		ASSERT_EQ(t_store(t_page(&view, 20), 3), 0);
		ASSERT_EQ(t_load(t_page(&view, 21), &value), 0);
		ASSERT_EQ(value, 3);
		state[30] = 0xffffffffffULL;
		ASSERT_EQ(t_load(t_page(&view, 30), &value), SIGBUS);
		teardown(fd, graft);
	}
}

/* Catches: two at one place, a detach that doesn't. */
TEST(fault__attach_detach)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_FAULT, EXO_GRAFT_INTERP, binder);
	struct exo_graft_load other_hook = GRAFT(EXO_HOOK_TXN, EXO_GRAFT_INTERP, nop);
	int fd = t_open(), other = t_open();
	uint32_t graft = setup(fd, &load), txn;
	struct exo_graft_info info;
	uint64_t value;

	txn = t_graft(fd, &other_hook);
	offer(1, t_frame(fd), RW);
	ASSERT_EQ(t_attach(fd, graft, view.id, 0, 0), -EBUSY);
	ASSERT_EQ(t_attach(fd, graft, view.id, 2, 0), -EINVAL);
	ASSERT_EQ(t_attach(fd, graft, 60000, 0, 0), -ENOENT);
	ASSERT_EQ(t_attach(fd, graft + 1000, view.id, 0, 0), -ENOENT);
	ASSERT_EQ(t_attach(fd, txn, view.id, 0, 0), -EINVAL);
	ASSERT_EQ(t_attach(other, graft, view.id, 0, 0), -ENOENT);
	ASSERT_EQ(t_attach(fd, graft, view.id, EXO_GRAFT_ATTACH_REPLACE, 0), 0);
	ASSERT_EQ(t_graft_info(fd, graft, &info), 0);
	ASSERT_EQ(info.out_attached, 1);
	ASSERT_EQ(t_detach(fd, EXO_HOOK_PURE, view.id), -EINVAL);
	ASSERT_EQ(t_detach(fd, 99, view.id), -EINVAL);
	ASSERT_EQ(t_detach(other, EXO_HOOK_FAULT, view.id), -ENOENT);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), 0);
	ASSERT_EQ(t_unbind(&view, 1, 1), 0);
	ASSERT_EQ(t_detach(fd, EXO_HOOK_FAULT, view.id), 0);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
	ASSERT_EQ(t_detach(fd, EXO_HOOK_FAULT, view.id), -ENOENT);
	/* Killed and unloaded ones do nothing, and their place can be had. */
	ASSERT_EQ(t_attach(fd, graft, view.id, 0, 0), 0);
	ASSERT_EQ(t_kill_graft(fd, graft), 0);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
	ASSERT_EQ(t_unload(fd, graft), 0);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
	load.state_pages = 1;
	graft = t_graft(fd, &load);
	ASSERT_EQ(t_attach(fd, graft, view.id, 0, 0), -EBUSY);
	ASSERT_EQ(t_attach(fd, graft, view.id, EXO_GRAFT_ATTACH_REPLACE, 0), 0);
}

/* Catches: a graft of another's that goes on after its capability was revoked (INV-GRAFT-33). */
TEST(fault__capability)
{
	struct exo_graft_load load = GRAFT(EXO_HOOK_FAULT, EXO_GRAFT_INTERP, binder);
	int fd = t_open(), other = t_open();
	uint32_t graft = setup(other, &load);
	struct exo_cap cap, weak, wrong;
	struct exo_cap_revoke revoke = {
		.size = sizeof(revoke), .kind = EXO_CAP_GRAFT, .object = graft,
	};
	uint64_t value;

	/* The view of fd, the graft of other; frames are those of the view's environment. */
	t_view_end(&view);
	t_view(fd, 64, 0, 0, &view);
	ASSERT_EQ(t_graft_cap(fd, graft, EXO_RIGHT_READ, &cap), -EACCES);
	ASSERT_EQ(t_graft_cap(other, graft, EXO_RIGHT_READ, &cap), 0);
	ASSERT_EQ(t_graft_cap(other, graft, EXO_RIGHT_WRITE, &weak), 0);
	wrong = cap;
	wrong.object++;
	ASSERT_EQ(t_attach_cap(fd, &wrong, view.id), -EACCES);
	ASSERT_EQ(t_attach_cap(fd, &weak, view.id), -EACCES);
	ASSERT_EQ(t_attach_cap(fd, &cap, view.id), 0);
	offer(1, t_frame(other), RW);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
	offer(1, t_frame(fd), RW);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), 0);
	ASSERT_EQ(t_unbind(&view, 1, 1), 0);
	ASSERT_EQ(t_ioctl(other, EXO_CAP_REVOKE, &revoke), 0);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
	ASSERT_EQ(t_detach(fd, EXO_HOOK_FAULT, view.id), 0);
	ASSERT_EQ(t_attach_cap(fd, &cap, view.id), -ESTALE);
	ASSERT_EQ(t_graft_cap(other, graft, EXO_RIGHT_READ, &cap), 0);
	ASSERT_EQ(t_attach_cap(fd, &cap, view.id), 0);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), 0);
	/* The loader dies. */
	ASSERT_EQ(t_unbind(&view, 1, 1), 0);
	munmap((void *)state, PAGE);
	close(other);
	ASSERT_EQ(t_load(t_page(&view, 1), &value), SIGBUS);
}

static atomic_bool done;

struct toucher {
	int fd;
	uint32_t first;
	volatile uint64_t ok, bus;
};

/* Faults on pages of its own, and makes them free again. */
static void *toucher(void *arg)
{
	struct toucher *t = arg;
	uint64_t value;

	while (!done)
		for (uint32_t i = 0; i < 8; i++) {
			if (t_load(t_page(&view, t->first + i), &value)) {
				t->bus++;
				continue;
			}
			t->ok++;
			ASSERT_EQ(value, 1000 + t->first + i);
			ASSERT_EQ(t_unbind(&view, t->first + i, 1), 0);
		}
	return NULL;
}

/* Catches: a run of a graft that is gone; a fault that is lost while grafts change (two processors). */
TEST_LONG(fault__replace_while_running, 120)
{
	int fd = t_open();
	uint64_t start;

	FOR_ALL_MODES(m) {
		struct exo_graft_load load = GRAFT(EXO_HOOK_FAULT, all_modes[m], binder);
		uint32_t graft = setup(fd, &load), rounds = 0;
		struct toucher t[2] = { { .first = 0 }, { .first = 100 } };
		pthread_t thread[2];
		unsigned int i, k;

		done = false;
		for (i = 0; i < 2; i++) {
			for (k = 0; k < 8; k++) {
				uint32_t frame = t_frame(fd);

				t_fill(fd, frame, 1000 + t[i].first + k);
				offer(t[i].first + k, frame, RW);
			}
			ASSERT_EQ(pthread_create(&thread[i], NULL, toucher, &t[i]), 0);
		}
		start = test_now_ns();
		do {
			struct exo_graft_load next = GRAFT(EXO_HOOK_FAULT, all_modes[m], binder);
			volatile uint64_t *old = state, *new;

			next.state_pages = 1;
			t_graft(fd, &next);
			new = t_state(fd, &next);
			memcpy((void *)new, (void *)old, PAGE);
			state = new;
			ASSERT_EQ(t_attach(fd, next.out_graft, view.id, EXO_GRAFT_ATTACH_REPLACE, 0), 0);
			munmap((void *)old, PAGE);
			ASSERT_EQ(t_unload(fd, graft), 0);
			graft = next.out_graft;
			if (rounds % 4 == 3) {
				ASSERT_EQ(t_detach(fd, EXO_HOOK_FAULT, view.id), 0);
				ASSERT_EQ(t_attach(fd, graft, view.id, 0, 0), 0);
			}
			rounds++;
			/* Both must have had a processor meanwhile. */
		} while ((rounds < test_rounds(1000, 10) && !test_late(start, 4000)) ||
			 (!(t[0].ok && t[1].ok) && !test_overdue(start, 20000)));
		done = true;
		for (i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		test_note("mode %u: %u grafts, %llu faults served, %llu not", all_modes[m], rounds,
			  (unsigned long long)(t[0].ok + t[1].ok),
			  (unsigned long long)(t[0].bus + t[1].bus));
		ASSERT_GT(t[0].ok, 0);
		ASSERT_GT(t[1].ok, 0);
		ASSERT_EQ(aborts(fd, graft, EXO_GRAFT_ABORT_HELPER), 0);
		teardown(fd, graft);
	}
}

/* Gives the candidate whose frame is the cookie; if it is above 2^32 claims a frame that isn't its own. */
static const struct bpf_insn chooser[] = {
	LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), LDX(BPF_DW, 4, 1, 24), MOV(5, 2), ADDI(5, 16),
	JX(BPF_JGT, 5, 3, 7), LDX(BPF_W, 0, 2, 0), JX(BPF_JEQ, 0, 4, 1), JA(2), MOVI(0, 1),
	STX(BPF_W, 2, 0, 8), MOV(2, 5), JA(-10), MOVI(0, 0), EXIT,
};

/* Writes wrong numbers into all candidates and gives them all. */
static const struct bpf_insn liar[] = {
	LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), MOV(5, 2), ADDI(5, 16), JX(BPF_JGT, 5, 3, 4),
	STI(BPF_W, 2, 0, 0x7fffffff), STI(BPF_W, 2, 8, 1), MOV(2, 5), JA(-7), MOVI(0, 0), EXIT,
};

static const struct bpf_insn crasher[] = { MOVI(2, 0), LDX(BPF_DW, 0, 2, 0), EXIT };

/* Ask for one frame and let it be taken; returns it. */
static uint32_t taken(int fd)
{
	struct exo_ring *ring = t_ring(fd);
	struct exo_env_status st;
	struct exo_mem_taken entry;
	struct exo_event event;
	uint64_t seen = ring->head;
	uint32_t asked, left;

	t_status(fd, &st);
	ASSERT_EQ(t_revoke(fd, st.out_env, 1, 1, &asked), 0);
	ASSERT_EQ(asked, 1);
	ASSERT_EQ(t_event(ring, &seen, EXO_EVENT_REPOSSESSED, 10000, &event), true);
	ASSERT_EQ(t_log(fd, &entry, 1, &left), 1);
	return entry.frame;
}

/* Catches: an answer that isn't taken, or taken though it is wrong (INV-GRAFT-35). */
TEST(victim__chooses)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = 0 };
	uint32_t frames[32], graft;
	int fd;

	t_need_root();
	fd = t_open();
	t_quota_set(fd, &quota);
	t_alloc_any(fd, frames, 32);
	FOR_MODES(m) {
		struct exo_graft_load good = GRAFT(EXO_HOOK_VICTIM, modes[m], chooser);
		struct exo_graft_load lies = GRAFT(EXO_HOOK_VICTIM, modes[m], liar);
		struct exo_graft_load crash = GRAFT(EXO_HOOK_VICTIM, modes[m], crasher);

		graft = t_graft(fd, &good);
		ASSERT_EQ(t_attach(fd, graft, 1, 0, 0), -EINVAL);
		ASSERT_EQ(t_attach(fd, graft, 0, 0, frames[20 + m]), 0);
		ASSERT_EQ(taken(fd), frames[20 + m]);
		ASSERT_EQ(t_detach(fd, EXO_HOOK_VICTIM, 0), 0);
		ASSERT_EQ(t_detach(fd, EXO_HOOK_VICTIM, 0), -ENOENT);
		/* The default: the oldest. */
		ASSERT_EQ(taken(fd), frames[3 * m]);
		graft = t_graft(fd, &lies);
		ASSERT_EQ(t_attach(fd, graft, 0, 0, 0), 0);
		ASSERT_EQ(taken(fd), frames[3 * m + 1]);
		graft = t_graft(fd, &crash);
		ASSERT_EQ(t_attach(fd, graft, 0, EXO_GRAFT_ATTACH_REPLACE, 0), 0);
		ASSERT_EQ(taken(fd), frames[3 * m + 2]);
		ASSERT_EQ(aborts(fd, graft, EXO_GRAFT_ABORT_ACCESS), 1);
		ASSERT_EQ(t_detach(fd, EXO_HOOK_VICTIM, 0), 0);
	}
}

/* Catches: a number of bindings that is not that of the frame. */
TEST(victim__sees_bindings)
{
	/* Gives the first candidate that is bound as often as the cookie says. */
	static const struct bpf_insn by_bound[] = {
		LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 3, 1, 8), LDX(BPF_DW, 4, 1, 24), MOV(5, 2), ADDI(5, 16),
		JX(BPF_JGT, 5, 3, 7), LDX(BPF_W, 0, 2, 4), JX(BPF_JEQ, 0, 4, 1), JA(2), MOVI(0, 1),
		STX(BPF_W, 2, 0, 8), MOV(2, 5), JA(-10), MOVI(0, 0), EXIT,
	};
	struct exo_graft_load load = GRAFT(EXO_HOOK_VICTIM, EXO_GRAFT_SANDBOX, by_bound);
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = 0 };
	uint32_t frames[32], graft;
	int fd;

	t_need_root();
	fd = t_open();
	t_quota_set(fd, &quota);
	t_alloc_any(fd, frames, 32);
	t_view(fd, 64, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 1, 1, frames[17], RW), 0);
	ASSERT_EQ(t_bind(&view, 2, 1, frames[9], RW), 0);
	ASSERT_EQ(t_bind(&view, 3, 1, frames[9], RO), 0);
	graft = t_graft(fd, &load);
	ASSERT_EQ(t_attach(fd, graft, 0, 0, 1), 0);
	ASSERT_EQ(taken(fd), frames[17]);
	/* The log has an entry for each page. */
	ASSERT_EQ(t_attach(fd, graft, 0, EXO_GRAFT_ATTACH_REPLACE, 2), 0);
	ASSERT_EQ(taken(fd), frames[9]);
}
