/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transactions around grafts (VINO, OSDI'96, section 3.1): what a graft changes is logged so that an
 * abort restores it, what others could see is staged until a commit that can't fail, and locks are
 * held to the end (strict two-phase locking). A graft that a graft calls is nested: its commit
 * merges into the caller's transaction, its abort takes back only its own part.
 *
 * A transaction belongs to one invocation on one processor: nothing here is locked.
 */
#ifndef EXO_CORE_TXN_H
#define EXO_CORE_TXN_H

#include "core/graft.h"

#define EXO_TXN_DEPTH 4U	/* nested calls, the outermost included */
#define EXO_TXN_UNDO 64U	/* words that may be logged */
#define EXO_TXN_STAGED 16U	/* effects that may be staged */

/**
 * struct exo_txn_undo - a word as it was
 * @at: where
 * @old: what stood there
 */
struct exo_txn_undo {
	u64 *at;
	u64 old;
};

/**
 * struct exo_txn_effect - something that happens at the commit
 * @what: enum exo_graft_helper that staged it
 * @count: the shell's
 * @arg: the shell's
 */
struct exo_txn_effect {
	u32 what;
	u32 count;
	u64 arg[3];
};

/**
 * struct exo_txn_mark - where a level began
 * @undo: entries before it
 * @staged: effects before it
 * @locks: locks that were held
 */
struct exo_txn_mark {
	u32 undo;
	u32 staged;
	u32 locks;
};

/**
 * struct exo_txn - a transaction; all zero: none has begun
 * @depth: levels that have begun
 * @nr_undo: entries in @undo
 * @nr_staged: entries in @staged
 * @locks: bit n: lock n is held
 * @mark: of each level
 * @undo: in the order of logging
 * @staged: in the order of staging
 */
struct exo_txn {
	u32 depth;
	u32 nr_undo;
	u32 nr_staged;
	u32 locks;
	struct exo_txn_mark mark[EXO_TXN_DEPTH];
	struct exo_txn_undo undo[EXO_TXN_UNDO];
	struct exo_txn_effect staged[EXO_TXN_STAGED];
};

int exo_txn_begin(struct exo_txn *txn);
int exo_txn_log(struct exo_txn *txn, u64 *at);
int exo_txn_stage(struct exo_txn *txn, const struct exo_txn_effect *effect);
int exo_txn_may_lock(const struct exo_txn *txn, u32 lock);
void exo_txn_locked(struct exo_txn *txn, u32 lock);
u32 exo_txn_commit(struct exo_txn *txn);
u32 exo_txn_abort(struct exo_txn *txn);

#endif
