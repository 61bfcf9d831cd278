// SPDX-License-Identifier: GPL-2.0
#include "core/xn_reg.h"

/**
 * exo_xn_slots_taken() - which locks of an entry has anybody?
 * @slots: locks
 *
 * Return: bit n: lock n.
 */
u32 exo_xn_slots_taken(const struct exo_xn_slots *slots)
{
	u32 n, taken = slots->exclusive;

	for (n = 0; n < EXO_XN_SLOTS; n++)
		if (slots->shared[n])
			taken |= 1U << n;
	return taken;
}

/* Do others than @held stand in the way? */
static bool in_the_way(const struct exo_xn_slots *slots, const struct exo_xn_held *held, u32 n,
		       u32 mode)
{
	u32 bit = 1U << n;

	if (mode == EXO_XN_UNLOCK)
		return false;
	if (slots->exclusive & ~held->exclusive & bit)
		return true;
	return mode == EXO_XN_EXCLUSIVE && slots->shared[n] > !!(held->shared & bit);
}

static void set_one(struct exo_xn_slots *slots, struct exo_xn_held *held, u32 n, u32 mode)
{
	u32 bit = 1U << n;

	if (held->shared & bit)
		slots->shared[n]--;
	if (held->exclusive & bit)
		slots->exclusive &= ~bit;
	held->shared &= ~bit;
	held->exclusive &= ~bit;
	if (mode == EXO_XN_SHARED) {
		slots->shared[n]++;
		held->shared |= bit;
	} else if (mode == EXO_XN_EXCLUSIVE) {
		slots->exclusive |= bit;
		held->exclusive |= bit;
	}
}

/**
 * exo_xn_slots_set() - have locks in this mode from now on, all of them or none changed
 * @slots: locks of the entry
 * @held: what the caller has of them
 * @mask: which
 * @mode: enum exo_xn_lock_mode
 *
 * Return: 0; -EBUSY: another has one of them; never for EXO_XN_UNLOCK.
 */
int exo_xn_slots_set(struct exo_xn_slots *slots, struct exo_xn_held *held, u32 mask, u32 mode)
{
	u32 n;

	for (n = 0; n < EXO_XN_SLOTS; n++)
		if (mask >> n & 1 && in_the_way(slots, held, n, mode))
			return -EBUSY;
	for (n = 0; n < EXO_XN_SLOTS; n++)
		if (mask >> n & 1)
			set_one(slots, held, n, mode);
	return 0;
}

/**
 * exo_xn_slots_upgrade() - would this turn a shared lock into an exclusive one?
 * @held: what the caller has
 * @mask: which
 * @mode: enum exo_xn_lock_mode
 *
 * Two who wait for that wait for each other: nobody waits.
 *
 * Return: true if so.
 */
bool exo_xn_slots_upgrade(const struct exo_xn_held *held, u32 mask, u32 mode)
{
	return mode == EXO_XN_EXCLUSIVE && (held->shared & mask);
}

/**
 * exo_xn_state_hold() - one more number names an entry
 * @state: state
 * @write: it may write
 */
void exo_xn_state_hold(struct exo_xn_reg_state *state, bool write)
{
	state->holders++;
	state->writers += write;
}

/**
 * exo_xn_state_unhold() - one less
 * @state: state
 * @write: as it was
 */
void exo_xn_state_unhold(struct exo_xn_reg_state *state, bool write)
{
	state->holders--;
	state->writers -= write;
}

/**
 * exo_xn_state_to_memory() - may a holder who may write have the frame go, to have memory instead?
 * @state: with a frame, not BUSY
 *
 * What was cached is in nobody's way, nor are those who may only read: else who may read could keep those who may
 * write from what they share (INV-XN-28).
 *
 * Return: true if so.
 */
bool exo_xn_state_to_memory(const struct exo_xn_reg_state *state)
{
	return state->writers <= 1 && !(state->bits & EXO_XN_REG_DIRTY);
}

/**
 * exo_xn_state_idle() - has nobody an entry any more, of those who count?
 * @state: state
 *
 * Memory is gone with the last one who may write: who may only read has none, and would keep the block from the others.
 *
 * Return: true if so.
 */
bool exo_xn_state_idle(const struct exo_xn_reg_state *state)
{
	return state->bits & EXO_XN_REG_MEMORY ? !state->writers : !state->holders;
}

/**
 * exo_xn_state_frame() - an entry without a frame gets one, of zeros
 * @state: state
 */
void exo_xn_state_frame(struct exo_xn_reg_state *state)
{
	state->bits &= ~(EXO_XN_REG_VALID | EXO_XN_REG_DIRTY | EXO_XN_REG_SPECULATIVE);
	state->bits |= EXO_XN_REG_FRAME;
}

/**
 * exo_xn_state_memory() - an entry without a frame gets one that is memory of its holders, of zeros
 * @state: state
 */
void exo_xn_state_memory(struct exo_xn_reg_state *state)
{
	state->bits &= ~(EXO_XN_REG_VALID | EXO_XN_REG_DIRTY | EXO_XN_REG_SPECULATIVE |
			 EXO_XN_REG_LOST);
	state->bits |= EXO_XN_REG_FRAME | EXO_XN_REG_MEMORY;
}

/**
 * exo_xn_state_over() - was its holders' memory taken?
 * @state: state
 *
 * Then nobody new may have it: he would have another frame than they had.
 *
 * Return: true if so.
 */
bool exo_xn_state_over(const struct exo_xn_reg_state *state)
{
	return (state->bits & (EXO_XN_REG_MEMORY | EXO_XN_REG_FRAME)) == EXO_XN_REG_MEMORY;
}

/**
 * exo_xn_state_gone() - an entry has its frame no more
 * @state: state
 *
 * Return: true: there was something in it that the block hasn't.
 */
bool exo_xn_state_gone(struct exo_xn_reg_state *state)
{
	bool lost = state->bits & (EXO_XN_REG_DIRTY | EXO_XN_REG_MEMORY);

	state->bits &= ~(EXO_XN_REG_FRAME | EXO_XN_REG_VALID | EXO_XN_REG_DIRTY |
			 EXO_XN_REG_SPECULATIVE);
	if (lost)
		state->bits |= EXO_XN_REG_LOST;
	return lost;
}

/**
 * exo_xn_state_valid() - has the frame the block's content, or newer?
 * @state: state
 * @writes: of the block, past the frame, until now
 *
 * What was written past it makes a clean frame old.
 *
 * Return: true if so.
 */
bool exo_xn_state_valid(struct exo_xn_reg_state *state, u32 writes)
{
	if (state->writes != writes && !(state->bits & EXO_XN_REG_DIRTY))
		state->bits &= ~EXO_XN_REG_VALID;
	return state->bits & EXO_XN_REG_VALID;
}

/**
 * exo_xn_state_begin() - read or write an entry
 * @state: state
 * @kind: EXO_XN_ENTRY_READ: if it isn't valid; EXO_XN_ENTRY_WRITE: if it is dirty
 * @writes: of the block until now
 *
 * Return: 0: it is BUSY until exo_xn_state_end(); 1: there is nothing to do; -EAGAIN: it is BUSY, wait; -ESTALE: it
 * has no frame; -EINVAL: its frame is memory.
 */
int exo_xn_state_begin(struct exo_xn_reg_state *state, u32 kind, u32 writes)
{
	if (state->bits & EXO_XN_REG_MEMORY)
		return -EINVAL;
	if (state->bits & EXO_XN_REG_BUSY)
		return -EAGAIN;
	if (!(state->bits & EXO_XN_REG_FRAME))
		return -ESTALE;
	if (kind == EXO_XN_ENTRY_READ) {
		if (exo_xn_state_valid(state, writes))
			return 1;
		state->writes = writes;
	} else {
		if (!(state->bits & EXO_XN_REG_DIRTY))
			return 1;
		/* What is changed from here on is dirty again. */
		state->bits &= ~EXO_XN_REG_DIRTY;
	}
	state->bits |= EXO_XN_REG_BUSY;
	state->kind = kind;
	return 0;
}

/**
 * exo_xn_state_end() - reading or writing is over
 * @state: BUSY
 * @error: 0, or why it failed
 * @writes: of the block until now, those of the frame's own not counted
 *
 * Return: true: a write failed, and what is in the frame is nowhere else.
 */
bool exo_xn_state_end(struct exo_xn_reg_state *state, int error, u32 writes)
{
	bool frame = state->bits & EXO_XN_REG_FRAME;

	state->bits &= ~EXO_XN_REG_BUSY;
	if (state->kind == EXO_XN_ENTRY_READ) {
		if (!error && frame && state->writes == writes)
			state->bits |= EXO_XN_REG_VALID;
		return false;
	}
	if (!error) {
		state->bits &= ~EXO_XN_REG_LOST;
		return false;
	}
	if (frame)
		state->bits |= EXO_XN_REG_DIRTY | EXO_XN_REG_VALID;
	state->bits |= EXO_XN_REG_LOST;
	return true;
}

/**
 * exo_xn_state_dirty() - a holder says that the frame is newer than the block
 * @state: state
 * @writes: of the block until now
 *
 * Return: 0; -EAGAIN: it is being read, wait; -ESTALE: it has no frame that anybody
 * could have; -EINVAL: its frame is memory.
 */
int exo_xn_state_dirty(struct exo_xn_reg_state *state, u32 writes)
{
	if (state->bits & EXO_XN_REG_MEMORY)
		return -EINVAL;
	if ((state->bits & EXO_XN_REG_BUSY) && state->kind == EXO_XN_ENTRY_READ)
		return -EAGAIN;
	if ((state->bits & (EXO_XN_REG_FRAME | EXO_XN_REG_SPECULATIVE)) != EXO_XN_REG_FRAME)
		return -ESTALE;
	state->bits &= ~EXO_XN_REG_LOST;
	state->bits |= EXO_XN_REG_VALID | EXO_XN_REG_DIRTY;
	state->writes = writes;
	return 0;
}

/**
 * exo_xn_state_rank() - when does this entry's frame go, if some must?
 * @state: state
 *
 * Return: the lower the earlier.
 */
enum exo_xn_reg_rank exo_xn_state_rank(const struct exo_xn_reg_state *state)
{
	if ((state->bits & (EXO_XN_REG_FRAME | EXO_XN_REG_BUSY | EXO_XN_REG_MEMORY)) !=
	    EXO_XN_REG_FRAME)
		return EXO_XN_RANK_NONE;
	if (state->bits & EXO_XN_REG_DIRTY)
		return EXO_XN_RANK_DIRTY;
	return state->holders ? EXO_XN_RANK_HELD : EXO_XN_RANK_IDLE;
}
