// SPDX-License-Identifier: GPL-2.0
/*
 * What is changed and not committed stays in memory, sets of extents and all: it counts for the owner of its root
 * before it is taken, and is given back exactly (INV-XN-32). How much it is the allocator says, not the engine.
 */
#include "unit.h"
#include "xn_host.h"

#define LOG 256U
#define UNITS 32U
#define EXTENTS 2048U			/* of each unit */
#define STEPS 512U
#define AT 600U				/* of the units */
#define DATA (AT + UNITS)		/* which all of them have */
#define BLOCKS (DATA + 2 * EXTENTS)
#define UNIT_HELD (2 * EXO_XN_BLOCK + EXTENTS * (u32)sizeof(struct exo_xn_extent))
#define SMALL (128U << 10)		/* memory for the disk: a few units, and stubs of all */
#define NOTE 2048U			/* bytes of a unit that mean nothing */

/* The blocks @from to @to of the data: the first unit's, or a link to them. */
static void grow(struct host *h, u32 i, u32 from, u32 to)
{
	struct exo_xn_step_core *steps = calloc(to - from + 1, sizeof(*steps));
	struct exo_xn_extent many = { DATA, to, HOST_MANY };
	u32 n, step;
	u64 bad;

	CHECK(steps);
	for (n = from; n < to; n++)
		steps[n - from] = (struct exo_xn_step_core){
			.kind = i ? EXO_XN_LINK : EXO_XN_ALLOC, .parent = AT + i, .from = AT,
			.block = DATA + 2 * n, .count = 1, .slot = EXO_XN_DATA,
		};
	steps[n - from] = (struct exo_xn_step_core){
		.kind = EXO_XN_WRITE, .parent = AT + i, .length = sizeof(many), .bytes = (const u8 *)&many,
	};
	CHECK_EQ(exo_xn_apply(h->xn, &host_user, h->root, steps, n - from + 1, &step, &bad), 0);
	CHECK_EQ(host_commit(h), 0);
	free(steps);
}

/* Units of a block each, that own thousands of extents; all committed, and nothing of it in memory but the root's unit. */
static void begin(struct host *h, u32 units)
{
	u64 root;
	u32 i, n;

	host_begin_log(h, BLOCKS, LOG);
	root = host_root_block(h);
	for (i = 0; i < units; i++) {
		CHECK_EQ(host_set(h, EXO_XN_ALLOC, root, i, AT + i, 1, EXO_XN_SELF), 0);
		CHECK_EQ(host_commit(h), 0);
		for (n = 0; n < EXTENTS; n += STEPS)
			grow(h, i, n, n + STEPS);
	}
	CHECK_EQ(exo_xn_detach(h->xn), 0);
	host_crash(h);
}

static struct exo_xn_step_core note_of(u64 block)
{
	static const u8 ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	return (struct exo_xn_step_core){
		.kind = EXO_XN_WRITE, .parent = block, .offset = NOTE, .length = sizeof(ones), .bytes = ones,
	};
}

/* A few bytes of a unit change, not what it owns. */
static int note(struct host *h, u64 block)
{
	struct exo_xn_step_core step = note_of(block);
	u32 bad_step;
	u64 bad;

	return exo_xn_apply(h->xn, &host_user, h->root, &step, 1, &bad_step, &bad);
}

static u64 held(struct host *h)
{
	u64 sum = 0;
	u32 i;

	for (i = 1; i <= h->xn->last_root; i++)
		sum += h->xn->roots[i] ? h->xn->roots[i]->held : 0;
	CHECK_EQ(sum, h->xn->held);
	return sum;
}

static bool is_in(struct host *h, u64 block)
{
	return host_load(h, host_root_block(h), block);
}

/* One after the other: what the kernel holds is bounded, not only bytes of units; after a commit there is room again. */
TEST(hold__sets_of_units_count)
{
	u64 before;
	struct host h;
	u32 i;
	int ret = 0;

	begin(&h, UNITS);
	exo_xn_limit(h.xn, SMALL);
	CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	exo_xn_shrink(h.xn);
	before = h.bytes;
	h.peak = 0;
	for (i = 0; i < UNITS; i++) {
		CHECK(is_in(&h, AT + i));
		ret = note(&h, AT + i);
		if (ret)
			break;
		CHECK(held(&h) >= (i + 1) * (u64)UNIT_HELD);
	}
	CHECK_EQ(ret, -ENOSPC);
	CHECK(i > 8 && i < UNITS);
	CHECK(held(&h) <= EXO_XN_HOLD_MIN);
	/* Of the map, and of the unit that was one too many, a little more. */
	CHECK(h.peak - before < EXO_XN_HOLD_MIN + EXO_XN_HOLD_MIN / 4);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(held(&h), 0);
	CHECK(is_in(&h, AT + i));
	CHECK_EQ(note(&h, AT + i), 0);
	host_end(&h);
}

/* All of them in one change: refused before the memory is taken, and nothing has changed. */
TEST(hold__one_change_is_bounded_too)
{
	struct exo_xn_step_core steps[UNITS];
	struct host h;
	u64 bad, before;
	u32 i, step;

	begin(&h, UNITS);
	exo_xn_limit(h.xn, SMALL);
	for (i = 0; i < UNITS; i++) {
		CHECK(is_in(&h, AT + i));
		steps[i] = note_of(AT + i);
	}
	exo_xn_shrink(h.xn);
	before = h.bytes;
	h.peak = 0;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, UNITS, &step, &bad), -ENOSPC);
	CHECK(h.peak - before < EXO_XN_HOLD_MIN + EXO_XN_HOLD_MIN / 4);
	CHECK_EQ(held(&h), 0);
	CHECK(!exo_xn_root(h.xn, h.root)->dirty);
	for (i = 0; i < UNITS; i++)
		CHECK(!exo_xn_unit_at(h.xn, AT + i)->touched);
	/* As many as there is room for. */
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, UNITS / 3, &step, &bad), 0);
	CHECK(held(&h) >= UNITS / 3 * (u64)UNIT_HELD);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(held(&h), 0);
	host_end(&h);
}

/* A set that became smaller has the memory that it was loaded into, too. */
TEST(hold__what_a_set_was_loaded_into)
{
	struct exo_xn_extent fewer = { DATA, EXTENTS - 1, HOST_MANY };
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_UNLINK, .parent = AT + 1, .block = DATA + 2 * (EXTENTS - 1), .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .parent = AT + 1, .length = sizeof(fewer), .bytes = (const u8 *)&fewer },
	};
	struct host h;
	u64 before, bad;
	u32 step;

	begin(&h, 2);
	CHECK(is_in(&h, AT + 1));
	/* The map is in memory, then. */
	steps[1].length = 0;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), -EINVAL);
	steps[1].length = sizeof(fewer);
	before = h.bytes;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), 0);
	CHECK(held(&h) >= h.bytes - before);
	CHECK(held(&h) >= 2 * (EXTENTS - 1) * sizeof(struct exo_xn_extent) + 2 * EXO_XN_BLOCK);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(held(&h), 0);
	host_end(&h);
}

/* Each allocation of a change fails once: nothing is held of what was not done. */
static void fail_each(struct host *h)
{
	u64 before = held(h);
	u32 n;
	int ret = -ENOMEM;

	for (n = 1; ret; n++) {
		h->fail_alloc = n;
		ret = note(h, AT + 1);
		CHECK(!ret || (ret == -ENOMEM && held(h) == before));
	}
	h->fail_alloc = 0;
	CHECK(n > 2);
}

static u32 root_of(struct host *h, u32 flags)
{
	static const u8 bytes[EXO_XN_BLOCK];
	u32 root;

	CHECK_EQ(exo_xn_root_create(h->xn, &host_user, "other", h->template, flags, 0, 0, NULL, bytes, sizeof(bytes),
				    &root), 0);
	CHECK(exo_xn_unit_find(h->xn, root, exo_xn_root(h->xn, root)->block));
	return root;
}

static int change_root(struct host *h, u32 root)
{
	struct exo_xn_extent e = { BLOCKS - 1, 1, EXO_XN_DATA };
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_ALLOC, .block = e.block, .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .length = sizeof(e), .bytes = (const u8 *)&e },
	};
	u32 step;
	u64 bad;

	steps[0].parent = steps[1].parent = exo_xn_root(h->xn, root)->block;
	return exo_xn_apply(h->xn, &host_user, root, steps, 2, &step, &bad);
}

/* Whatever ends it, nothing is held any more: a commit, a failure, a free, another owner, the root's end, the disk's. */
TEST(hold__is_given_back_exactly)
{
	u64 seq, more;
	struct host h;
	u32 root, flags;

	begin(&h, 3);
	CHECK_EQ(held(&h), 0);
	CHECK(is_in(&h, AT + 1));
	fail_each(&h);
	CHECK(held(&h) >= UNIT_HELD);
	/* Changed once more it has as many copies as before. */
	more = held(&h);
	CHECK_EQ(note(&h, AT + 1), 0);
	CHECK_EQ(held(&h), more);
	/* It is not given back when memory is short. */
	exo_xn_limit(h.xn, 0);
	exo_xn_shrink(h.xn);
	CHECK(exo_xn_unit_at(h.xn, AT + 1)->pub.now);
	exo_xn_limit(h.xn, EXO_XN_MEMORY);
	CHECK_EQ(held(&h), more);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_user.uid), 0);
	CHECK_EQ(held(&h), 0);
	/* New, and freed again, before any commit and after one. */
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), UNITS, BLOCKS - 1, 1, EXO_XN_SELF), 0);
	CHECK(held(&h) > EXO_XN_BLOCK);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), UNITS, BLOCKS - 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(held(&h), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), UNITS, BLOCKS - 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(note(&h, BLOCKS - 1), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), UNITS, BLOCKS - 1, 1, EXO_XN_SELF), 0);
	CHECK(held(&h));
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(held(&h), 0);
	/* A root that goes, with what it never committed; a temporary one, as with its environment. */
	for (flags = 0; flags <= EXO_XN_ROOT_TEMPORARY; flags += EXO_XN_ROOT_TEMPORARY) {
		root = root_of(&h, flags);
		CHECK_EQ(held(&h), 0);
		CHECK_EQ(change_root(&h, root), 0);
		CHECK(held(&h) >= 2 * EXO_XN_BLOCK);
		CHECK_EQ(exo_xn_root_delete(h.xn, &host_user, root), 0);
		CHECK_EQ(held(&h), 0);
		root = root_of(&h, flags);
		CHECK_EQ(change_root(&h, root), 0);
		exo_xn_root(h.xn, root)->requested = true;
		CHECK_EQ(exo_xn_commit(h.xn, &seq), 0);
		CHECK_EQ(held(&h), 0);
		CHECK_EQ(exo_xn_root_delete(h.xn, &host_user, root), 0);
	}
	/* The disk goes. */
	CHECK(is_in(&h, AT + 2));
	CHECK_EQ(note(&h, AT + 2), 0);
	CHECK_EQ(exo_xn_detach(h.xn), 0);
	CHECK(held(&h));
	host_crash(&h);
	CHECK_EQ(held(&h), 0);
	host_end(&h);
	CHECK_EQ(h.bytes, 0);
}
