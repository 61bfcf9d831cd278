// SPDX-License-Identifier: GPL-2.0
/*
 * Transactions: abort restores, commit keeps, nested levels merge, locks stand in order.
 */
#include "core/txn.h"
#include "unit.h"

#define WORDS 16

static struct exo_txn txn;

static void reset(void)
{
	memset(&txn, 0, sizeof(txn));
}

static void store(u64 *at, u64 value)
{
	CHECK_EQ(exo_txn_log(&txn, at), 0);
	*at = value;
}

static void stage(u64 number)
{
	struct exo_txn_effect effect = { .what = EXO_HELPER_BIND, .arg = { number } };

	CHECK_EQ(exo_txn_stage(&txn, &effect), 0);
}

static void take(u32 lock)
{
	CHECK_EQ(exo_txn_may_lock(&txn, lock), 0);
	exo_txn_locked(&txn, lock);
}

TEST(txn__abort_restores)
{
	u64 word = 1;

	reset();
	CHECK_EQ(exo_txn_begin(&txn), 0);
	store(&word, 2);
	store(&word, 3);
	stage(1);
	CHECK_EQ(exo_txn_abort(&txn), 0);
	CHECK_EQ(word, 1);
	CHECK_EQ(txn.nr_staged, 0);
	CHECK_EQ(txn.depth, 0);
}

TEST(txn__commit_keeps)
{
	u64 word = 1;

	reset();
	CHECK_EQ(exo_txn_begin(&txn), 0);
	store(&word, 2);
	stage(7);
	stage(8);
	CHECK_EQ(exo_txn_commit(&txn), 0);
	CHECK_EQ(word, 2);
	CHECK_EQ(txn.nr_staged, 2);
	CHECK_EQ(txn.staged[0].arg[0], 7);
	CHECK_EQ(txn.staged[1].arg[0], 8);
	CHECK_EQ(txn.nr_undo, 0);
}

TEST(txn__nested_commit_merges)
{
	u64 word = 1;

	reset();
	CHECK_EQ(exo_txn_begin(&txn), 0);
	CHECK_EQ(exo_txn_begin(&txn), 0);
	store(&word, 2);
	stage(1);
	take(3);
	/* The level is over, but the effects, the lock and the old value are the outer one's. */
	CHECK_EQ(exo_txn_commit(&txn), 0);
	CHECK_EQ(txn.nr_staged, 1);
	CHECK_EQ(exo_txn_abort(&txn), 1U << 3);
	CHECK_EQ(word, 1);
	CHECK_EQ(txn.nr_staged, 0);
}

TEST(txn__nested_abort_is_alone)
{
	u64 outer = 1, inner = 1;

	reset();
	CHECK_EQ(exo_txn_begin(&txn), 0);
	store(&outer, 2);
	stage(1);
	take(0);
	CHECK_EQ(exo_txn_begin(&txn), 0);
	store(&outer, 3);
	store(&inner, 3);
	stage(2);
	take(5);
	CHECK_EQ(exo_txn_may_lock(&txn, 0), 1);
	CHECK_EQ(exo_txn_abort(&txn), 1U << 5);
	CHECK_EQ(outer, 2);
	CHECK_EQ(inner, 1);
	CHECK_EQ(txn.nr_staged, 1);
	CHECK_EQ(exo_txn_commit(&txn), 1U << 0);
	CHECK_EQ(outer, 2);
}

/* INV-TXN-3 */
TEST(txn__locks_rise)
{
	reset();
	CHECK_EQ(exo_txn_begin(&txn), 0);
	take(2);
	CHECK_EQ(exo_txn_may_lock(&txn, 2), 1);
	CHECK_EQ(exo_txn_may_lock(&txn, 1), -EINVAL);
	CHECK_EQ(exo_txn_may_lock(&txn, 3), 0);
	CHECK_EQ(exo_txn_may_lock(&txn, EXO_GRAFT_LOCKS), -EINVAL);
	CHECK_EQ(exo_txn_may_lock(&txn, ~0U), -EINVAL);
	CHECK_EQ(exo_txn_commit(&txn), 1U << 2);
	CHECK_EQ(txn.locks, 0);
}

TEST(txn__everything_has_an_end)
{
	struct exo_txn_effect effect = { 0 };
	u64 word = 0;
	u32 i;

	reset();
	for (i = 0; i < EXO_TXN_DEPTH; i++)
		CHECK_EQ(exo_txn_begin(&txn), 0);
	CHECK_EQ(exo_txn_begin(&txn), -EOVERFLOW);
	for (i = 0; i < EXO_TXN_UNDO; i++)
		store(&word, i + 1);
	CHECK_EQ(exo_txn_log(&txn, &word), -EOVERFLOW);
	for (i = 0; i < EXO_TXN_STAGED; i++)
		stage(i);
	CHECK_EQ(exo_txn_stage(&txn, &effect), -EOVERFLOW);
	for (i = 0; i < EXO_TXN_DEPTH; i++)
		CHECK_EQ(exo_txn_abort(&txn), 0);
	CHECK_EQ(word, 0);
	CHECK_EQ(txn.depth, 0);
}

/* INV-TXN-1, INV-TXN-2. A model of the transaction: a copy of everything at the beginning of each level. */
static u64 words[WORDS];
static u64 saved[EXO_TXN_DEPTH][WORDS];
static u32 staged[EXO_TXN_DEPTH];

static void model_begin(void)
{
	u32 depth = txn.depth;

	if (exo_txn_begin(&txn))
		return;
	memcpy(saved[depth], words, sizeof(words));
	staged[depth] = txn.nr_staged;
}

static void model_abort(void)
{
	exo_txn_abort(&txn);
	CHECK_EQ(memcmp(words, saved[txn.depth], sizeof(words)), 0);
	CHECK_EQ(txn.nr_staged, staged[txn.depth]);
}

static void model_step(void)
{
	u64 *at = &words[unit_below(WORDS)];

	switch (unit_below(8)) {
	case 0:
		model_begin();
		break;
	case 1:
		if (txn.depth)
			model_abort();
		break;
	case 2:
		if (txn.depth)
			exo_txn_commit(&txn);
		break;
	case 3:
		if (txn.depth && txn.nr_staged < EXO_TXN_STAGED)
			stage(0);
		break;
	default:
		if (txn.depth && !exo_txn_log(&txn, at))
			*at = unit_random();
	}
	if (!txn.depth)
		txn.nr_staged = 0; /* as the shell does when the effects have happened */
}

TEST(txn__model)
{
	unsigned int round, step;

	for (round = 0; round < unit_rounds(5000); round++) {
		reset();
		for (step = 0; step < 80; step++)
			model_step();
		while (txn.depth)
			model_abort();
	}
}
