// SPDX-License-Identifier: GPL-2.0
#include "core/xn_reg.h"
#include "unit.h"

#define HOLDERS 4U

/* Against a model: who has what of each lock. */
TEST(exo_xn_slots_set__agrees_with_a_model)
{
	u32 has[HOLDERS][EXO_XN_SLOTS] = {}, i, k, n, who, mask, mode, taken;
	struct exo_xn_held held[HOLDERS] = {};
	struct exo_xn_slots slots = {};
	bool free;

	for (i = 0; i < unit_rounds(20000); i++) {
		who = unit_below(HOLDERS);
		mask = 1 + unit_below((1U << EXO_XN_SLOTS) - 1);
		if (unit_below(2))
			mask = 1U << unit_below(EXO_XN_SLOTS);
		mode = unit_below(3);
		free = true;
		for (n = 0; n < EXO_XN_SLOTS; n++)
			for (k = 0; k < HOLDERS; k++)
				if (mask >> n & 1 && k != who && has[k][n] && mode &&
				    (mode == EXO_XN_EXCLUSIVE || has[k][n] == EXO_XN_EXCLUSIVE))
					free = false;
		CHECK_EQ(exo_xn_slots_set(&slots, &held[who], mask, mode), free ? 0 : -EBUSY);
		for (n = 0; free && n < EXO_XN_SLOTS; n++)
			if (mask >> n & 1)
				has[who][n] = mode;
		taken = 0;
		for (n = 0; n < EXO_XN_SLOTS; n++)
			for (k = 0; k < HOLDERS; k++) {
				taken |= (u32)!!has[k][n] << n;
				CHECK_EQ(held[k].shared >> n & 1, has[k][n] == EXO_XN_SHARED);
				CHECK_EQ(held[k].exclusive >> n & 1, has[k][n] == EXO_XN_EXCLUSIVE);
			}
		CHECK_EQ(exo_xn_slots_taken(&slots), taken);
		CHECK_EQ(exo_xn_slots_upgrade(&held[who], mask, mode),
			 mode == EXO_XN_EXCLUSIVE && (held[who].shared & mask));
	}
	for (who = 0; who < HOLDERS; who++)
		CHECK_EQ(exo_xn_slots_set(&slots, &held[who], 0xffff, EXO_XN_UNLOCK), 0);
	CHECK_EQ(exo_xn_slots_taken(&slots), 0);
}

/*
 * Against a model that knows what is where: numbers of versions in the frame and in the block. A frame that
 * counts as valid has the block's version, or a newer one that is dirty.
 */
TEST(exo_xn_state__says_what_is_where)
{
	u32 i, version = 1, frame = 0, disk = 1, reading = 0, writing = 0, writes = 0;
	struct exo_xn_reg_state state = {};
	bool past;
	int ret;

	for (i = 0; i < unit_rounds(200000); i++) {
		bool busy = state.bits & EXO_XN_REG_BUSY;
		bool reads = busy && state.kind == EXO_XN_ENTRY_READ;

		switch (unit_below(7)) {
		case 0:
			if (busy || state.bits & EXO_XN_REG_FRAME)
				break;
			exo_xn_state_frame(&state);
			frame = 0;
			break;
		case 1:
			if (busy && unit_below(4))
				break;
			past = state.bits & EXO_XN_REG_DIRTY;
			CHECK_EQ(exo_xn_state_gone(&state), past);
			break;
		case 2:
			ret = exo_xn_state_begin(&state, EXO_XN_ENTRY_READ, writes);
			CHECK_EQ(ret == -EAGAIN, busy);
			if (!ret)
				reading = disk;
			if (ret == 1)
				CHECK(frame == disk || state.bits & EXO_XN_REG_DIRTY);
			break;
		case 3:
			ret = exo_xn_state_begin(&state, EXO_XN_ENTRY_WRITE, writes);
			CHECK_EQ(ret == -EAGAIN, busy);
			if (!ret)
				writing = frame;
			break;
		case 4:
			if (!busy)
				break;
			ret = unit_below(4) ? 0 : -EIO;
			if (!ret && reads && state.bits & EXO_XN_REG_FRAME)
				frame = reading;
			if (!ret && !reads)
				disk = writing;
			CHECK_EQ(exo_xn_state_end(&state, ret, writes), ret && !reads);
			writing = 0;
			break;
		case 5:
			ret = exo_xn_state_dirty(&state, writes);
			CHECK_EQ(ret == -EAGAIN, reads);
			if (!ret)
				frame = ++version;
			break;
		case 6:
			/* Past the frame; not together with the entry's own write: which is last then, nobody knows. */
			if (writing || state.bits & EXO_XN_REG_DIRTY)
				break;
			writes++;
			disk = ++version;
			break;
		}
		if (exo_xn_state_valid(&state, writes) && !(state.bits & (EXO_XN_REG_DIRTY | EXO_XN_REG_BUSY)))
			CHECK_EQ(frame, disk);
		if (state.bits & (EXO_XN_REG_VALID | EXO_XN_REG_DIRTY))
			CHECK(state.bits & EXO_XN_REG_FRAME);
	}
}

TEST(exo_xn_state_rank__cheapest_first)
{
	struct exo_xn_reg_state state = {};

	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_NONE);
	exo_xn_state_frame(&state);
	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_IDLE);
	state.holders = 1;
	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_HELD);
	CHECK_EQ(exo_xn_state_dirty(&state, 0), 0);
	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_DIRTY);
	CHECK_EQ(exo_xn_state_begin(&state, EXO_XN_ENTRY_WRITE, 0), 0);
	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_NONE);
	CHECK(exo_xn_state_end(&state, -EIO, 0));
	CHECK_EQ(state.bits & (EXO_XN_REG_DIRTY | EXO_XN_REG_LOST),
		 EXO_XN_REG_DIRTY | EXO_XN_REG_LOST);
	CHECK(exo_xn_state_gone(&state));
	CHECK_EQ(state.bits, EXO_XN_REG_LOST);
	/* What was read ahead is nobody's to call his. */
	exo_xn_state_frame(&state);
	state.bits |= EXO_XN_REG_SPECULATIVE;
	CHECK_EQ(exo_xn_state_dirty(&state, 0), -ESTALE);
}

/* Catches: who may only read keeping those who may write from memory, or from the block afterwards. */
TEST(exo_xn_state_to_memory__readers_are_in_nobodys_way)
{
	struct exo_xn_reg_state state = {};

	exo_xn_state_hold(&state, false);
	exo_xn_state_frame(&state);
	exo_xn_state_hold(&state, true);
	CHECK(exo_xn_state_to_memory(&state));
	exo_xn_state_hold(&state, true);
	CHECK(!exo_xn_state_to_memory(&state));
	exo_xn_state_unhold(&state, true);
	state.bits |= EXO_XN_REG_DIRTY;
	CHECK(!exo_xn_state_to_memory(&state));
	CHECK(exo_xn_state_gone(&state));
	exo_xn_state_memory(&state);
	CHECK(!exo_xn_state_idle(&state));
	exo_xn_state_unhold(&state, true);
	CHECK_EQ(state.holders, 1);
	CHECK(exo_xn_state_idle(&state));
	state = (struct exo_xn_reg_state){};
	exo_xn_state_hold(&state, false);
	CHECK(!exo_xn_state_idle(&state));
	exo_xn_state_unhold(&state, false);
	CHECK(exo_xn_state_idle(&state));
}

/* Catches: memory of its holders that is read, written, given back, or made up for. */
TEST(exo_xn_state_memory__is_no_block)
{
	struct exo_xn_reg_state state = { .holders = 2 };

	CHECK(!exo_xn_state_over(&state));
	exo_xn_state_memory(&state);
	CHECK_EQ(state.bits, EXO_XN_REG_FRAME | EXO_XN_REG_MEMORY);
	CHECK_EQ(exo_xn_state_begin(&state, EXO_XN_ENTRY_READ, 0), -EINVAL);
	CHECK_EQ(exo_xn_state_begin(&state, EXO_XN_ENTRY_WRITE, 0), -EINVAL);
	CHECK_EQ(exo_xn_state_dirty(&state, 0), -EINVAL);
	CHECK(!exo_xn_state_valid(&state, 0));
	CHECK_EQ(exo_xn_state_rank(&state), EXO_XN_RANK_NONE);
	CHECK(!exo_xn_state_over(&state));
	CHECK(exo_xn_state_gone(&state));
	CHECK(exo_xn_state_over(&state));
	CHECK_EQ(state.bits, EXO_XN_REG_MEMORY | EXO_XN_REG_LOST);
}
