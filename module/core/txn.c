// SPDX-License-Identifier: GPL-2.0
/*
 * Transactions: the undo log, the staged effects and the order of locks.
 */
#include "core/txn.h"

/**
 * exo_txn_begin() - begin a transaction, or a nested level of one
 * @txn: transaction
 *
 * Return: 0; -EOVERFLOW: nested too deep, and nothing has begun.
 */
int exo_txn_begin(struct exo_txn *txn)
{
	struct exo_txn_mark *mark;

	if (txn->depth == EXO_TXN_DEPTH)
		return -EOVERFLOW;
	mark = &txn->mark[txn->depth++];
	mark->undo = txn->nr_undo;
	mark->staged = txn->nr_staged;
	mark->locks = txn->locks;
	return 0;
}

/**
 * exo_txn_log() - remember a word; an abort of this level restores it (INV-TXN-1)
 * @txn: transaction that has begun
 * @at: an aligned word of the graft's state, there as long as the transaction
 *
 * Return: 0; -EOVERFLOW: the log is full, and the caller must not change the word.
 */
int exo_txn_log(struct exo_txn *txn, u64 *at)
{
	struct exo_txn_undo *undo;

	if (txn->nr_undo == EXO_TXN_UNDO)
		return -EOVERFLOW;
	undo = &txn->undo[txn->nr_undo++];
	undo->at = at;
	undo->old = *(volatile u64 *)at;
	return 0;
}

/**
 * exo_txn_stage() - have something happen at the outermost commit (INV-TXN-2)
 * @txn: transaction that has begun
 * @effect: what; copied
 *
 * Return: 0; -EOVERFLOW: no room.
 */
int exo_txn_stage(struct exo_txn *txn, const struct exo_txn_effect *effect)
{
	if (txn->nr_staged == EXO_TXN_STAGED)
		return -EOVERFLOW;
	txn->staged[txn->nr_staged++] = *effect;
	return 0;
}

/**
 * exo_txn_may_lock() - is it this lock's turn?
 * @txn: transaction that has begun
 * @lock: number
 *
 * Locks are taken in rising order, so that transactions can't wait for each other in a circle
 * (INV-TXN-3). A lock that is held already, by an outer level too, is held on.
 *
 * Return: 0: take it, then exo_txn_locked(); 1: it is held already; -EINVAL: out of order, or no
 * such lock.
 */
int exo_txn_may_lock(const struct exo_txn *txn, u32 lock)
{
	if (lock >= EXO_GRAFT_LOCKS)
		return -EINVAL;
	if (txn->locks & 1U << lock)
		return 1;
	return txn->locks >> lock ? -EINVAL : 0;
}

/**
 * exo_txn_locked() - the lock was taken
 * @txn: transaction
 * @lock: for which exo_txn_may_lock() said 0
 */
void exo_txn_locked(struct exo_txn *txn, u32 lock)
{
	txn->locks |= 1U << lock;
}

/**
 * exo_txn_commit() - end a level that went well
 * @txn: transaction that has begun
 *
 * A nested level merges into the one around it: what it logged, staged and locked is now that
 * one's. After the outermost commit the caller makes the @nr_staged effects happen, in order, gives
 * back the locks, and then begins with exo_txn_begin() again. Can't fail.
 *
 * Return: bit n: give back lock n.
 */
u32 exo_txn_commit(struct exo_txn *txn)
{
	u32 locks = txn->locks;

	if (--txn->depth)
		return 0;
	txn->nr_undo = 0;
	txn->locks = 0;
	return locks;
}

/**
 * exo_txn_abort() - end a level that went wrong: everything is as it was when it began
 * @txn: transaction that has begun
 *
 * Can't fail.
 *
 * Return: bit n: give back lock n, which this level took.
 */
u32 exo_txn_abort(struct exo_txn *txn)
{
	const struct exo_txn_mark *mark = &txn->mark[--txn->depth];
	u32 locks = txn->locks & ~mark->locks;
	const struct exo_txn_undo *undo;

	/* Backwards: of a word that was logged twice, the first entry has the oldest value. */
	while (txn->nr_undo > mark->undo) {
		undo = &txn->undo[--txn->nr_undo];
		*(volatile u64 *)undo->at = undo->old;
	}
	txn->nr_staged = mark->staged;
	txn->locks = mark->locks;
	return locks;
}
