// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

#define AT 300U

TEST(exo_xn_apply__pointers_come_with_their_blocks)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 4, EXO_XN_DATA), 0);
	CHECK_EQ(host_map(&h, AT + 3), EXO_XN_MINE);
	CHECK_EQ(host_map(&h, AT + 4), EXO_XN_FREE);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 5);
	/* What is taken, exo's own, or not on the disk can't be had. */
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, AT + 3, 2, EXO_XN_DATA), -EBUSY);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, 5, 1, EXO_XN_DATA), -EBUSY);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, HOST_BLOCKS - 1, 2, EXO_XN_DATA), -EINVAL);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, ~0ULL, 2, EXO_XN_DATA), -EINVAL);
	CHECK_EQ(host_map(&h, AT + 4), EXO_XN_FREE);
	host_end(&h);
}

/* INV-XN-3: each word of the extent that is written must be the one that was said. */
TEST(exo_xn_apply__owns_must_say_what_the_steps_say)
{
	struct exo_xn_extent e;
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_ALLOC, .block = AT, .count = 2, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .length = sizeof(e), .bytes = (const u8 *)&e },
	};
	static const struct exo_xn_extent lies[] = {
		{ AT, 3, EXO_XN_DATA }, { AT, 1, EXO_XN_DATA }, { AT + 1, 2, EXO_XN_DATA },
		{ AT, 2, EXO_XN_SELF }, { 0, 0, 0 }, { 2, 2, EXO_XN_DATA }, { AT, 2, 3 },
	};
	struct host h;
	u64 bad;
	u32 i, step;

	host_begin(&h);
	steps[0].parent = host_root_block(&h);
	steps[1].parent = host_root_block(&h);
	for (i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		e = lies[i];
		CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), -EINVAL);
		CHECK_EQ(step, 2);
		CHECK_EQ(bad, host_root_block(&h));
		CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	}
	/* Saying nothing, too. */
	e = (struct exo_xn_extent){ AT, 2, EXO_XN_DATA };
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, &steps[1], 1, &step, &bad), -EINVAL);
	CHECK_EQ(exo_xn_apply(h.xn, &host_other, h.root, steps, 2, &step, &bad), -EACCES);
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), 0);
	host_end(&h);
}

static int pair(struct host *h, u32 first, u32 second, u32 slot)
{
	struct exo_xn_extent e = { AT, 1, slot };
	struct exo_xn_step_core steps[3] = {
		{ .kind = first, .parent = host_root_block(h), .block = AT, .count = 1, .slot = slot },
		{ .kind = second, .parent = host_root_block(h), .block = AT, .count = 1, .slot = slot },
		{ .kind = EXO_XN_WRITE, .parent = host_root_block(h), .length = sizeof(e),
		  .bytes = (const u8 *)&e },
	};
	u64 bad;
	u32 step;

	return exo_xn_apply(h->xn, &host_user, h->root, steps, 3, &step, &bad);
}

/* A call takes a block or gives it, not both. */
TEST(exo_xn_apply__a_block_is_not_allocated_and_freed_at_once)
{
	struct host h;

	host_begin(&h);
	CHECK_EQ(pair(&h, EXO_XN_ALLOC, EXO_XN_FREE_STEP, EXO_XN_DATA), -EINVAL);
	CHECK_EQ(pair(&h, EXO_XN_ALLOC, EXO_XN_FREE_STEP, EXO_XN_SELF), -EINVAL);
	CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 1, EXO_XN_DATA), 0);
	CHECK_EQ(pair(&h, EXO_XN_FREE_STEP, EXO_XN_ALLOC, EXO_XN_DATA), -EBUSY);
	CHECK_EQ(host_map(&h, AT), EXO_XN_MINE);
	host_end(&h);
}

/* INV-XN-5: waiting until the commit, and for the same root, too. */
TEST(exo_xn_apply__freed_blocks_wait)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, 0, AT, 2, EXO_XN_DATA), 0);
	CHECK_EQ(h.drained, 2);
	CHECK_EQ(host_map(&h, AT), EXO_XN_WAITING);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), -EBUSY);
	CHECK_EQ(exo_xn_trim(h.xn, AT, 2), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	CHECK_EQ(exo_xn_trim(h.xn, AT, 2), 2);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), 0);
	host_end(&h);
}

static int relation(struct host *h, u32 kind, u64 from, u32 from_index, u64 to, u32 to_index, u64 block,
		    u32 slot)
{
	struct exo_xn_extent e = { block, 1, slot }, none = {};
	struct exo_xn_step_core steps[3] = {
		{ .kind = kind, .parent = to, .from = from, .block = block, .count = 1, .slot = slot },
		{ .kind = EXO_XN_WRITE, .parent = to, .offset = to_index * sizeof(e),
		  .length = sizeof(e), .bytes = (const u8 *)&e },
		{ .kind = EXO_XN_WRITE, .parent = from, .offset = from_index * sizeof(e),
		  .length = sizeof(e), .bytes = (const u8 *)&none },
	};
	u64 bad;
	u32 step;

	return exo_xn_apply(h->xn, &host_user, h->root, steps, kind == EXO_XN_MOVE ? 3 : 2, &step, &bad);
}

/* INV-XN-4 */
TEST(exo_xn_apply__no_unit_is_its_own_ancestor)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, AT, 0, AT + 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, AT + 1, 0, AT + 2, 1, EXO_XN_DATA), 0);
	CHECK_EQ(relation(&h, EXO_XN_MOVE, root, 0, AT + 1, 1, AT, EXO_XN_SELF), -EINVAL);
	CHECK_EQ(relation(&h, EXO_XN_MOVE, root, 0, AT, 1, AT, EXO_XN_SELF), -EINVAL);
	CHECK_EQ(relation(&h, EXO_XN_LINK, root, 0, AT + 1, 1, AT, EXO_XN_SELF), -EINVAL);
	/* A unit that owns data only may have two parents; then it gets no units. */
	CHECK_EQ(relation(&h, EXO_XN_LINK, AT, 0, root, 1, AT + 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, AT + 1, 1, AT + 3, 1, EXO_XN_SELF), -EINVAL);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT, 0, AT + 1, 1, EXO_XN_SELF), -EBUSY);
	CHECK_EQ(host_set(&h, EXO_XN_UNLINK, AT, 0, AT + 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, 1, AT + 1, 1, EXO_XN_SELF), -EBUSY);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT + 1, 0, AT + 2, 1, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, 1, AT + 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(relation(&h, EXO_XN_MOVE, root, 0, root, 3, AT, EXO_XN_SELF), -EINVAL);
	CHECK_EQ(host_commit(&h), 0);
	host_crash(&h);
	CHECK(host_load(&h, root, AT));
	CHECK(!host_load(&h, AT, AT + 1));
	host_end(&h);
}

/* Each allocation fails once: the state is as before, and the call can be made again. */
TEST(exo_xn_apply__any_allocation_may_fail)
{
	struct exo_xn_stat before, after;
	struct host h;
	u64 n, root;
	int ret;

	host_begin(&h);
	root = host_root_block(&h);
	for (n = 1; ; n++) {
		exo_xn_stat(h.xn, &before);
		h.fail_alloc = n;
		ret = host_set(&h, EXO_XN_ALLOC, root, 0, AT, 1, EXO_XN_SELF);
		if (!ret)
			break;
		CHECK_EQ(ret, -ENOMEM);
		exo_xn_stat(h.xn, &after);
		CHECK(!memcmp(&before, &after, sizeof(after)));
		CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	}
	CHECK(n > 5);
	h.fail_alloc = 0;
	CHECK_EQ(host_commit(&h), 0);
	host_crash(&h);
	CHECK(host_load(&h, root, AT));
	host_end(&h);
}

/* INV-XN-20: the registry may have entries of units, too. */
TEST(exo_xn_apply__freed_units_are_drained)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(h.drained, 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(h.drained, 1);
	host_end(&h);
}

/*
 * A commit says as many things of a range as its entries are different in it. A change that doesn't pay for them makes a
 * transaction that is never written, and nobody's that goes with it.
 */
TEST(exo_xn_apply__ragged_references_are_paid_for)
{
	enum { COUNT = 1000, OTHERS = 250 };
	struct exo_xn_extent e = { AT, COUNT, EXO_XN_DATA };
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_LINK, .block = AT, .count = COUNT, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .length = sizeof(e), .bytes = (const u8 *)&e },
	};
	struct exo_xn_core_root *owner;
	struct exo_xn_tx tx = {};
	struct host h;
	u64 root, at, bad;
	u32 i, step;

	host_begin_of(&h, AT + COUNT + 10, 0);
	root = host_root_block(&h);
	at = AT + COUNT;
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, COUNT, EXO_XN_DATA), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, i + 1, at + i, 1, EXO_XN_SELF), 0);
	for (i = 0; i < COUNT / 2; i++) {
		CHECK_EQ(relation(&h, EXO_XN_LINK, root, 0, at + i / OTHERS, i % OTHERS, AT + 2 * i,
				  EXO_XN_DATA), 0);
		if (i % 50 == 49)
			CHECK_EQ(host_commit(&h), 0);
	}
	steps[0].from = root;
	steps[0].parent = at + 2;
	steps[1].parent = at + 2;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), 0);
	owner = exo_xn_root_at(h.xn, h.root);
	owner->going = true;
	tx.xn = h.xn;
	exo_xn_tx_emit(&tx);
	CHECK(tx.bytes > COUNT * sizeof(struct exo_xn_rec_map));
	CHECK(tx.bytes <= owner->budget + EXO_XN_TABLE_ENTRY);
	owner->going = false;
	CHECK_EQ(host_commit(&h), 0);
	host_end(&h);
}

/*
 * INV-XN-33: others wait for the disk meanwhile. 1,024 steps may make a thousand units of a thousand parts each, and owns may
 * take long for each of them.
 */
TEST(exo_xn_apply__the_work_of_a_call_is_bounded)
{
	enum { UNITS = 8, NR = 2 * UNITS + 1 };
	struct exo_xn_extent e[UNITS];
	struct exo_xn_step_core steps[NR];
	static const u8 zeros[8];
	struct host h;
	u32 i, step;
	u64 bad;

	host_begin(&h);
	for (i = 0; i < UNITS; i++) {
		e[i] = (struct exo_xn_extent){ AT + i, 1, EXO_XN_SELF };
		steps[i] = (struct exo_xn_step_core){ .kind = EXO_XN_ALLOC, .parent = host_root_block(&h),
						      .block = AT + i, .count = 1, .slot = EXO_XN_SELF };
		steps[UNITS + i] = (struct exo_xn_step_core){ .kind = EXO_XN_NEW, .parent = AT + i,
							      .length = sizeof(zeros), .bytes = zeros };
	}
	steps[NR - 1] = (struct exo_xn_step_core){ .kind = EXO_XN_WRITE, .parent = host_root_block(&h),
						   .length = sizeof(e), .bytes = (const u8 *)e };
	h.cost = EXO_XN_WORK / 16;
	h.runs = 0;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, NR, &step, &bad), -E2BIG);
	CHECK_EQ(step, NR);
	CHECK(h.runs <= 16);
	for (i = 0; i < UNITS; i++)
		CHECK_EQ(host_map(&h, AT + i), EXO_XN_FREE);
	/* What is too much for one call is not for several, and each has all of it. */
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	h.cost = EXO_XN_WORK / 100;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, NR, &step, &bad), 0);
	host_end(&h);
}
