// SPDX-License-Identifier: GPL-2.0
/*
 * M10: does anyone ever see a frame through a translation that is gone?
 *
 * The first processor takes a translation away; the second, which has it in its TLB, then loads or
 * stores there and says what it saw. What the second does, it does on request (struct remote), so a round
 * has one right outcome. Where nothing is bound, its fault handler binds a marked frame: seeing the
 * mark is the fault that should have happened.
 *
 * Controls run the same rounds where the module leaves the flush out on purpose (lazy views; the accessed
 * bit). They must see stale reads, or else the measurement is blind.
 *
 * ours: stale reads or lost bits; peer: the same in the control.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 100000
#endif
#define FEWER_ROUNDS (ROUNDS / 10) /* for controls */
#define SPINS 2000
#define BATCH 64
#define PAGES (64 * 512) /* 128 MiB: scattered pages lie in 64 regions */
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define MARK 0xdeadULL
#define SEED 0x57a1e57a1eULL

/**
 * struct signal - a number that one processor sets and the other waits for
 * @value: the number
 * @asleep: the other has stopped spinning
 */
struct signal {
	uint32_t value __attribute__((aligned(64)));
	uint32_t asleep;
};

/**
 * struct remote - a request to the other processor
 * @turn: requests made
 * @done: requests served
 * @word: where
 * @store: store @value; else load into it
 */
struct remote {
	struct signal turn;
	struct signal done;
	volatile uint64_t *word __attribute__((aligned(64)));
	uint64_t value;
	int store;
	int quit;
};

struct side {
	struct exo_env *env;
	struct exo_view *view;
	struct exo_view *lazy;
	char *base;
	char *lazy_base;
	uint32_t mark; /* frame that the fault handler binds */
};

static struct remote remote;
static struct side owner, guest; /* guest: another environment, for capabilities */
static uint32_t pages[BATCH], frames[2 * BATCH];
static volatile uint64_t *window[2 * BATCH]; /* the first word of each frame */
static uint32_t faults;
static uint32_t rounds;

/* ---- between the processors ---- */

/* Most waits are short; a machine that is busy otherwise runs only one of the two at a time. */
static void wait_for(struct signal *signal, uint32_t value)
{
	uint32_t spins, seen;

	for (spins = 0; spins < SPINS; spins++)
		if (__atomic_load_n(&signal->value, __ATOMIC_ACQUIRE) == value)
			return;
	__atomic_store_n(&signal->asleep, 1, __ATOMIC_SEQ_CST);
	while ((seen = __atomic_load_n(&signal->value, __ATOMIC_SEQ_CST)) != value)
		syscall(SYS_futex, &signal->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	__atomic_store_n(&signal->asleep, 0, __ATOMIC_RELAXED);
}

static void set(struct signal *signal, uint32_t value)
{
	__atomic_store_n(&signal->value, value, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&signal->asleep, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &signal->value, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- the other processor ---- */

static void pin(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_fail("this needs two processors (SMP=2)");
}

/* A store to a page that is bound read-only gets the mark's frame, too. */
static int on_fault(struct exo_fault *fault, void *ctx)
{
	struct side *side = ctx;

	__atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
	return exo_view_rebind1(fault->view, fault->page, side->mark, RW);
}

static void *serve(void *arg)
{
	uint32_t turn = 0;

	(void)arg;
	pin(1);
	bench_must(exo_fault_register(owner.env, on_fault, &owner, NULL), "fault handler");
	bench_must(exo_fault_register(guest.env, on_fault, &guest, NULL), "fault handler");
	for (;;) {
		wait_for(&remote.turn, ++turn);
		if (remote.quit)
			break;
		if (remote.store)
			*remote.word = remote.value;
		else
			remote.value = *remote.word;
		set(&remote.done, turn);
	}
	bench_must(exo_fault_unregister(owner.env), "fault handler");
	bench_must(exo_fault_unregister(guest.env), "fault handler");
	return NULL;
}

static uint64_t ask(char *base, uint32_t page, int store, uint64_t value)
{
	remote.word = bench_word(base, page);
	remote.store = store;
	remote.value = value;
	set(&remote.turn, remote.turn.value + 1);
	wait_for(&remote.done, remote.turn.value);
	return remote.value;
}

static uint64_t remote_load(char *base, uint32_t page)
{
	return ask(base, page, 0, 0);
}

/* ---- rounds: each returns how many were stale ---- */

/* n pages; the first processor's calls are batches of n. */
static uint32_t unbind_rounds(struct exo_view *view, char *base, uint32_t n)
{
	struct exo_mem_op bind[BATCH], unbind[BATCH];
	uint32_t i, round, probe, stale = 0;
	uint64_t seen;

	for (i = 0; i < n; i++) {
		bind[i] = exo_op(pages[i], 1, frames[i], RW);
		unbind[i] = exo_op(pages[i], 1, 0, 0);
	}
	for (round = 0; round < rounds; round++) {
		probe = round % n;
		*window[probe] = round;
		bench_must(exo_view_bind(view, bind, n, NULL), "bind");
		bench_assert(remote_load(base, pages[probe]) == round);
		bench_must(exo_view_unbind(view, unbind, n, 0, NULL), "unbind");
		*window[probe] = ~(uint64_t)round;
		seen = remote_load(base, pages[probe]);
		stale += seen != MARK;
		bench_must(exo_view_unbind(view, &unbind[probe], 1, 0, NULL), "unbind");
		if (view == owner.lazy)
			bench_must(exo_view_flush(view), "flush");
	}
	return stale;
}

static uint32_t rebind_rounds(struct exo_view *view, char *base, uint32_t n)
{
	struct exo_mem_op op[2][BATCH];
	uint32_t i, round, probe, turn = 0, stale = 0;

	for (i = 0; i < n; i++) {
		op[0][i] = exo_op(pages[i], 1, frames[i], RW);
		op[1][i] = exo_op(pages[i], 1, frames[BATCH + i], RW);
	}
	bench_must(exo_view_bind(view, op[0], n, NULL), "bind");
	for (round = 0; round < rounds; round++) {
		probe = round % n;
		*window[turn * BATCH + probe] = 2 * (uint64_t)round;
		*window[(1 - turn) * BATCH + probe] = 2 * (uint64_t)round + 1;
		/* Whatever the last round left in the TLB is not this round's matter. */
		if (view == owner.lazy)
			bench_must(exo_view_flush(view), "flush");
		bench_assert(remote_load(base, pages[probe]) == 2 * (uint64_t)round);
		turn = 1 - turn;
		bench_must(exo_view_rebind(view, op[turn], n, 0, NULL), "rebind");
		stale += remote_load(base, pages[probe]) != 2 * (uint64_t)round + 1;
	}
	for (i = 0; i < n; i++)
		bench_must(exo_view_unbind1(view, pages[i]), "unbind");
	if (view == owner.lazy)
		bench_must(exo_view_flush(view), "flush");
	return stale;
}

/* Stores that arrive in a page that was write-protected before. */
static uint32_t protect_rounds(void)
{
	uint32_t round, page = pages[0], stale = 0;

	for (round = 0; round < rounds; round++) {
		*window[0] = round;
		bench_must(exo_view_rebind1(owner.view, page, frames[0], RW), "bind");
		ask(owner.base, page, 1, ~(uint64_t)round);
		bench_assert(*window[0] == ~(uint64_t)round);
		bench_must(exo_view_protect1(owner.view, page, EXO_RIGHT_READ), "protect");
		/* The handler puts the mark's frame there, which takes the store. */
		ask(owner.base, page, 1, MARK);
		stale += *window[0] == MARK;
	}
	bench_must(exo_view_unbind1(owner.view, page), "unbind");
	return stale;
}

/* The guest binds what the owner's capability gives; the owner revokes. */
static uint32_t revoke_rounds(void)
{
	uint32_t round, page = pages[0], stale = 0;
	struct exo_cap cap;

	for (round = 0; round < rounds; round++) {
		*window[0] = round;
		bench_must(exo_cap_create(owner.env, EXO_CAP_FRAME, frames[0], RW, &cap), "capabili"
											  "ty");
		bench_must(exo_mem_import(guest.env, &cap, NULL, NULL, NULL), "import");
		bench_must(exo_view_bind1(guest.view, page, frames[0], RW), "bind");
		bench_assert(remote_load(guest.base, page) == round);
		bench_must(exo_cap_revoke_object(owner.env, EXO_CAP_FRAME, frames[0]), "revoke");
		*window[0] = ~(uint64_t)round;
		stale += remote_load(guest.base, page) != MARK;
		bench_must(exo_view_unbind1(guest.view, page), "unbind");
	}
	return stale;
}

/*
 * A frame that a lazy view may still show is freed and given to another environment: what that one
 * writes into it must not be seen.
 */
static uint32_t handover_rounds(void)
{
	uint32_t round, page = pages[0], frame, stale = 0;
	uint64_t seen;

	for (round = 0; round < rounds; round++) {
		bench_must(exo_mem_alloc_any(owner.env, &frame, 1), "frame");
		bench_must(exo_view_rebind1(owner.lazy, page, frame, RW), "bind");
		ask(owner.lazy_base, page, 1, round);
		bench_must(exo_view_rebind1(owner.lazy, page, owner.mark, RW), "rebind without a "
									       "flush");
		bench_must(exo_mem_free(owner.env, &frame, 1, NULL), "free");
		bench_must(exo_mem_alloc_these(guest.env, &frame, 1), "the same frame, in the "
								      "other environment");
		bench_must(exo_view_bind1(guest.view, page, frame, RW), "bind");
		*bench_word(guest.base, page) = ~(uint64_t)round;
		seen = remote_load(owner.lazy_base, page);
		stale += seen != MARK;
		bench_must(exo_mem_free(guest.env, &frame, 1, NULL), "free");
	}
	bench_must(exo_view_unbind1(owner.lazy, page), "unbind");
	bench_must(exo_view_flush(owner.lazy), "flush");
	return stale;
}

/* A bit that was cleared, and then the page was used again: it must be set. */
static uint32_t bit_rounds(uint32_t clear, uint8_t bit, int store)
{
	uint32_t round, page = pages[0], lost = 0;
	uint8_t bits;

	bench_must(exo_view_bind1(owner.view, page, frames[0], RW), "bind");
	for (round = 0; round < rounds; round++) {
		ask(owner.base, page, store, round);
		bench_must(exo_view_harvest(owner.view, page, 1, clear, &bits, NULL, NULL), "harves"
											    "t");
		ask(owner.base, page, store, round);
		bench_must(exo_view_harvest(owner.view, page, 1, 0, &bits, NULL, NULL), "harvest");
		lost += !(bits & bit);
	}
	bench_must(exo_view_unbind1(owner.view, page), "unbind");
	return lost;
}

/* ---- set-up and rows ---- */

static void open_side(struct side *side, uint32_t count)
{
	side->env = bench_env(count);
	side->view = bench_view(side->env, PAGES, 0, 0);
	side->base = exo_view_base(side->view);
	side->lazy = bench_view(side->env, PAGES, 0, EXO_VIEW_LAZY);
	side->lazy_base = exo_view_base(side->lazy);
	bench_must(exo_mem_alloc_any(side->env, &side->mark, 1), "frame");
	bench_must(exo_view_bind1(side->view, 0, side->mark, RW), "bind");
	*bench_word(side->base, 0) = MARK;
	bench_must(exo_view_unbind1(side->view, 0), "unbind");
}

static void map_frames(void)
{
	struct exo_window *w;
	uint32_t i;

	bench_must(exo_mem_alloc_any(owner.env, frames, 2 * BATCH), "frames");
	bench_must(exo_window_map_frames(owner.env, frames, 2 * BATCH, PROT_READ | PROT_WRITE, &w),
		   "window");
	for (i = 0; i < 2 * BATCH; i++)
		window[i] = exo_window_addr(w, frames[i]);
}

static void row(const char *id, const char *measure, uint32_t ours, uint32_t control,
		const char *name)
{
	bench_row(id, measure, ours, control, name, "%u rounds, the control %u; %u faults so far",
		  rounds, FEWER_ROUNDS, __atomic_load_n(&faults, __ATOMIC_RELAXED));
	if (!control)
		bench_fail("%s: the control saw nothing stale: the measurement is blind", id);
}

void m10_run(void)
{
	struct bench_rng rng = { SEED };
	uint32_t lazy_unbind, lazy_rebind, accessed;
	pthread_t thread;

	bench_unit("stale");
	open_side(&owner, 4 * BATCH);
	open_side(&guest, 4 * BATCH);
	map_frames();
	bench_draw(&rng, PAGES, pages, BATCH);
	if (pthread_create(&thread, NULL, serve, NULL))
		bench_fail("no thread");
	pin(0);

	rounds = FEWER_ROUNDS;
	lazy_unbind = unbind_rounds(owner.lazy, owner.lazy_base, 1);
	lazy_rebind = rebind_rounds(owner.lazy, owner.lazy_base, 1);
	accessed = bit_rounds(EXO_HARVEST_CLEAR_ACCESSED, EXO_OP_ACCESSED, 0);
	rounds = ROUNDS;
	row("M10.unbind", "unbind of one page", unbind_rounds(owner.view, owner.base, 1),
	    lazy_unbind, "control: lazy view, no flush");
	row("M10.unbind", "unbind of 64 scattered pages",
	    unbind_rounds(owner.view, owner.base, BATCH), lazy_unbind,
	    "control: lazy view, no flush");
	row("M10.rebind", "rebind of one page", rebind_rounds(owner.view, owner.base, 1),
	    lazy_rebind, "control: lazy view, no flush");
	row("M10.rebind", "rebind of 64 scattered pages",
	    rebind_rounds(owner.view, owner.base, BATCH), lazy_rebind,
	    "control: lazy view, no flush");
	row("M10.revoke", "capability revoked", revoke_rounds(), lazy_rebind,
	    "control: lazy view, no flush");
	row("M10.dirty", "dirty bit cleared, page stored to",
	    bit_rounds(EXO_HARVEST_CLEAR_DIRTY, EXO_OP_DIRTY, 1), accessed,
	    "control: accessed bit, no flush");
	row("M10.protect", "stores after write-protection", protect_rounds(), lazy_rebind,
	    "control: lazy view, no flush");
	row("M10.handover", "lazy view, frame freed and given to another environment",
	    handover_rounds(), lazy_rebind, "control: lazy view, no flush, same owner");

	remote.quit = 1;
	set(&remote.turn, remote.turn.value + 1);
	pthread_join(thread, NULL);
}
