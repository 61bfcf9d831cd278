// SPDX-License-Identifier: GPL-2.0
/* Memory that runs out at each allocation of a change, and devices that fail: all of the change, or nothing. */
#include "xn_world_must.h"

/* Do it with the first allocation failing, the second, ... until none of it fails. Returns how many failed. */
static u32 sweep(struct world *w, enum w_op op, u32 user)
{
	u32 n, failed = 0;
	int ret;

	for (n = 1; n < 200; n++) {
		w_mark(w);
		w->sim->fail_alloc = n;
		ret = w_do(w, op, user);
		if (!w->sim->fail_alloc && ret != -ENOMEM && ret < 0)
			unit_fail(__FILE__, __LINE__, "%s: %d", w_op_name[op], ret);
		n = w->sim->fail_alloc ? 200 : n;
		w->sim->fail_alloc = 0;
		failed += ret == -ENOMEM;
		w_must_be_fine(w);
	}
	return failed;
}

TEST(fault__no_memory_for_a_change)
{
	static const u8 ops[] = {
		W_OP_DATA, W_OP_UNIT, W_OP_SCRIBBLE, W_OP_MOVE, W_OP_LINK, W_OP_LINK, W_OP_FREE,
		W_OP_FREE_UNIT,
	};
	struct world *w = world_begin(260, 16, 0);
	u32 round, i, failed = 0;

	for (i = 0; i < W_USERS; i++) {
		w_mark(w);
		CHECK_EQ(w_do(w, W_OP_ROOT, i), 1);
	}
	for (round = 0; round < 4; round++) {
		for (i = 0; i < sizeof(ops); i++)
			failed += sweep(w, ops[i], round % W_USERS);
		w_mark(w);
		CHECK_EQ(w_do(w, W_OP_COMMIT_ALL, 0), 1);
		w_must_be_fine(w);
		CHECK_EQ(w_again(w), 0);
		w_must_be_fine(w);
	}
	printf("# %u allocations failed\n", failed);
	CHECK(failed > 100);
	world_end(w);
}

/* The device refuses a write of a commit: nothing can be changed any more, and recovery finds an old or a new state. */
TEST(fault__write_error_in_a_commit)
{
	static const u8 ops[] = { W_OP_DATA, W_OP_UNIT, W_OP_WRITE, W_OP_COMMIT, W_OP_SCRIBBLE, W_OP_DATA };
	u32 n, i, failed = 0;

	for (n = 1; n < 8; n++) {
		struct world *w = world_begin(260, 16, 0);
		int ret;

		CHECK_EQ(w_do(w, W_OP_ROOT, 0), 1);
		for (i = 0; i < sizeof(ops); i++) {
			w_mark(w);
			CHECK_EQ(w_do(w, ops[i], 0), 1);
		}
		w_mark(w);
		w->sim->fail_write = n;
		w->sim->gone = true;
		ret = w_do(w, n % 2 ? W_OP_COMMIT : W_OP_CHECKPOINT, 0);
		if (ret < 0) {
			CHECK_EQ(ret, -EIO);
			CHECK_EQ(w_do(w, W_OP_SCRIBBLE, 0), -EIO);
			failed++;
		}
		for (i = 0; i < 10; i++)
			if (w_check_crash(w, w->sim->nr_events, i ? SIM_TORN : SIM_ALL, i & 1))
				unit_fail(__FILE__, __LINE__, "write %u failed: %s", n, w->why);
		world_end(w);
	}
	printf("# %u commits and checkpoints failed\n", failed);
	CHECK(failed > 2);
}
