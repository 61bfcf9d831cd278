/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decisions of the buffer registry: locks of an entry, its state, whether its frame may go. The caller has
 * the registry's lock. See core/types.h for the rules of this folder.
 *
 *	none ----------------------------> FRAME: zeros
 *	        exo_xn_state_frame()           |      |
 *	                    exo_xn_reg_begin | BUSY | exo_xn_state_dirty()
 *	                    exo_xn_state_end() v      v
 *	                   VALID <------ VALID|DIRTY
 *	                     exo_xn_state_begin(), _end(): written
 *	any with FRAME -> none: exo_xn_state_gone()
 *	none -> FRAME, MEMORY: exo_xn_state_memory(); from there to no frame, and nothing else
 */
#ifndef EXO_CORE_XN_REG_H
#define EXO_CORE_XN_REG_H

#include "core/types.h"

/**
 * struct exo_xn_slots - the locks of an entry
 * @shared: how many have each of them shared
 * @exclusive: bit n: somebody has lock n alone
 */
struct exo_xn_slots {
	u32 shared[EXO_XN_SLOTS];
	u32 exclusive;
};

/**
 * struct exo_xn_held - what one holder has of them
 * @shared: bit n: lock n, with others
 * @exclusive: bit n: lock n alone; none is in both
 */
struct exo_xn_held {
	u32 shared;
	u32 exclusive;
};

/**
 * struct exo_xn_reg_state - state of an entry
 * @bits: EXO_XN_REG_FRAME, _VALID, _DIRTY, _BUSY, _SPECULATIVE, _LOST, _MEMORY
 * @kind: with BUSY: EXO_XN_ENTRY_READ or _WRITE
 * @holders: numbers that name it
 * @writers: of these, those that may write
 * @writes: of the block past the frame, when VALID was true
 */
struct exo_xn_reg_state {
	u32 bits;
	u32 kind;
	u32 holders;
	u32 writers;
	u32 writes;
};

/* In which order frames go when some must. */
enum exo_xn_reg_rank {
	EXO_XN_RANK_IDLE,	/* nobody has it, and the block has its content */
	EXO_XN_RANK_HELD,	/* somebody has it, and the block has its content */
	EXO_XN_RANK_DIRTY,	/* it must be written first */
	EXO_XN_RANK_NONE,	/* no frame, busy, or memory of its holders */
};

int exo_xn_slots_set(struct exo_xn_slots *slots, struct exo_xn_held *held, u32 mask, u32 mode);
bool exo_xn_slots_upgrade(const struct exo_xn_held *held, u32 mask, u32 mode);
u32 exo_xn_slots_taken(const struct exo_xn_slots *slots);

void exo_xn_state_hold(struct exo_xn_reg_state *state, bool write);
void exo_xn_state_unhold(struct exo_xn_reg_state *state, bool write);
bool exo_xn_state_to_memory(const struct exo_xn_reg_state *state);
bool exo_xn_state_idle(const struct exo_xn_reg_state *state);
void exo_xn_state_frame(struct exo_xn_reg_state *state);
void exo_xn_state_memory(struct exo_xn_reg_state *state);
bool exo_xn_state_over(const struct exo_xn_reg_state *state);
bool exo_xn_state_gone(struct exo_xn_reg_state *state);
bool exo_xn_state_valid(struct exo_xn_reg_state *state, u32 writes);
int exo_xn_state_begin(struct exo_xn_reg_state *state, u32 kind, u32 writes);
bool exo_xn_state_end(struct exo_xn_reg_state *state, int error, u32 writes);
int exo_xn_state_dirty(struct exo_xn_reg_state *state, u32 writes);
enum exo_xn_reg_rank exo_xn_state_rank(const struct exo_xn_reg_state *state);

#endif
