// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

#define UNITS 40U
#define ROOTS 40U
#define AT 300U
#define LIMIT (64U << 10)

/* A root with a row of units below its first, each with a data block; all committed. */
static void begin(struct host *h)
{
	u64 root;
	u32 i;

	host_begin(h);
	root = host_root_block(h);
	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(host_set(h, EXO_XN_ALLOC, root, i, AT + i, 1, EXO_XN_SELF), 0);
		CHECK_EQ(host_set(h, EXO_XN_ALLOC, AT + i, 0, AT + UNITS + i, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(h), 0);
	}
}

static void check_unit(struct host *h, u64 block)
{
	const struct exo_xn_unit *unit = exo_xn_unit_find(h->xn, h->root, block);
	const struct exo_xn_extent *e;

	CHECK(unit && unit->now);
	e = (const struct exo_xn_extent *)unit->now;
	CHECK_EQ(e->block, block + UNITS);
}

/* What was committed goes home and out of memory, and comes back by its number alone. */
TEST(exo_xn_cache__units_are_given_back)
{
	struct host h;
	u32 i, round;

	begin(&h);
	CHECK(h.xn->memory > 2 * LIMIT);
	exo_xn_limit(h.xn, LIMIT);
	for (round = 0; round < 3; round++)
		for (i = 0; i < UNITS; i++) {
			check_unit(&h, AT + i);
			CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
			CHECK(h.xn->memory <= LIMIT + LIMIT / 4);
		}
	CHECK(h.xn->nr_stubs > UNITS / 2);
	/* A change finds a unit that isn't in memory, too. */
	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT + i, 0, AT + UNITS + i, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
	}
	for (i = 0; i < UNITS; i++)
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), i, AT + i, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 1);
	host_end(&h);
}

/* Of a binding's unit a stub stays, of the same generation; its bytes come back. The map of its blocks stays. */
TEST(exo_xn_cache__what_is_held_stays)
{
	struct exo_xn_unit *held;
	u64 generation;
	struct host h;
	u32 i;

	begin(&h);
	held = exo_xn_unit_find(h.xn, h.root, AT + 1);
	CHECK(held);
	generation = held->generation;
	CHECK_EQ(exo_xn_bind_check(h.xn, held, &host_user, AT + UNITS + 1, 1, EXO_RIGHT_READ), 0);
	exo_xn_unit_get(held);
	exo_xn_map_hold(h.xn, AT + UNITS + 1, 1);
	exo_xn_limit(h.xn, 0);
	for (i = 0; i < 100; i++)
		CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	CHECK(!held->now);
	CHECK_EQ(h.xn->nr_stubs, 1);
	CHECK_EQ(held->generation, generation);
	CHECK_EQ(exo_xn_bind_check(h.xn, held, &host_user, AT + UNITS + 1, 1, EXO_RIGHT_READ), -ENOENT);
	h.fail_alloc = 1;
	/* Who may not wait reads nothing: INV-XN-18. */
	CHECK_EQ(exo_xn_unit_again(h.xn, held, true), -EAGAIN);
	CHECK_EQ(exo_xn_unit_again(h.xn, held, false), -ENOMEM);
	h.fail_alloc = 0;
	CHECK_EQ(exo_xn_unit_again(h.xn, held, false), 0);
	CHECK_EQ(exo_xn_unit_again(h.xn, held, true), 0);
	CHECK_EQ(exo_xn_bind_check(h.xn, held, &host_user, AT + UNITS + 1, 1, EXO_RIGHT_READ), 0);
	CHECK_EQ(held->generation, generation);
	exo_xn_written(h.xn, AT + UNITS + 1, 1);
	CHECK_EQ(exo_xn_readable(h.xn, AT + UNITS + 1, 1), 1);
	CHECK_EQ(h.xn->nr_maps_in, 1);
	CHECK_EQ(exo_xn_commit_written(h.xn), 0);
	exo_xn_map_unhold(h.xn, AT + UNITS + 1, 1);
	/* Freed, it doesn't come back. */
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT + 1, 0, AT + UNITS + 1, 1, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), 1, AT + 1, 1, EXO_XN_SELF), 0);
	CHECK_EQ(exo_xn_unit_again(h.xn, held, true), -ESTALE);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(exo_xn_unit_again(h.xn, held, false), -ESTALE);
	exo_xn_unit_put(h.xn, held);
	exo_xn_limit(h.xn, 0);
	exo_xn_shrink(h.xn);
	CHECK_EQ(h.xn->nr_maps_in, 0);
	host_end(&h);
}

/* What is not committed is nowhere else: it stays, and a change that would make it more than a uid may is refused. */
TEST(exo_xn_cache__uncommitted_units_stay)
{
	struct exo_xn_unit *unit;
	struct host h;
	u32 i;

	begin(&h);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT + 3, 0, AT + UNITS + 3, 1, EXO_XN_DATA), 0);
	exo_xn_limit(h.xn, 0);
	for (i = 0; i < 10; i++)
		CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	unit = exo_xn_unit_find(h.xn, h.root, AT + 3);
	CHECK(unit && unit->now);
	CHECK_EQ(((const struct exo_xn_extent *)unit->now)->count, 0);
	CHECK(h.xn->budgets);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(h.xn->budgets, 0);
	host_end(&h);
}

/* One uid's changes of several roots: not more than its share before a commit, whatever the roots are. */
TEST(exo_xn_cache__uncommitted_changes_are_bounded)
{
	static const u8 bytes[EXO_XN_BLOCK];
	struct exo_xn_step_core write = { .kind = EXO_XN_WRITE, .length = 8, .bytes = bytes };
	u32 i, n, root[ROOTS], step;
	struct host h;
	char name[8];
	int ret = 0;
	u64 bad, seq;

	host_begin(&h);
	for (i = 0; i < ROOTS; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		CHECK_EQ(exo_xn_root_create(h.xn, i < ROOTS - 1 ? &host_user : &host_other, name, h.template,
					    i % 2 ? EXO_XN_ROOT_TEMPORARY : 0, 0, 0, NULL, bytes,
					    sizeof(bytes), &root[i]), 0);
	}
	exo_xn_limit(h.xn, LIMIT);
	for (n = 0; n < ROOTS; n++) {
		write.parent = exo_xn_root(h.xn, root[n])->block;
		CHECK(exo_xn_unit_find(h.xn, root[n], write.parent));
		ret = exo_xn_apply(h.xn, n < ROOTS - 1 ? &host_user : &host_other, root[n], &write, 1, &step,
				   &bad);
		if (ret && n < ROOTS - 1)
			break;
	}
	CHECK_EQ(ret, -ENOSPC);
	CHECK(n > 10 && n < ROOTS - 1);
	/* Somebody else isn't concerned; and after a commit there is room again. */
	write.parent = exo_xn_root(h.xn, root[ROOTS - 1])->block;
	CHECK_EQ(exo_xn_apply(h.xn, &host_other, root[ROOTS - 1], &write, 1, &step, &bad), 0);
	for (i = 0; i < ROOTS; i++)
		exo_xn_root(h.xn, root[i])->requested = true;
	CHECK_EQ(exo_xn_commit(h.xn, &seq), 0);
	CHECK_EQ(h.xn->budgets, 0);
	write.parent = exo_xn_root(h.xn, root[n])->block;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, root[n], &write, 1, &step, &bad), 0);
	host_end(&h);
}

/* What a change did to the map another took back: the map may be given back, and a commit says nothing of it. */
TEST(exo_xn_cache__a_map_that_is_as_before)
{
	struct exo_xn_extent e = { AT + UNITS, 1, EXO_XN_DATA }, none = {};
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_LINK, .parent = AT + 1, .from = AT, .block = AT + UNITS, .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .parent = AT + 1, .offset = sizeof(e), .length = sizeof(e), .bytes = (const u8 *)&e },
	};
	struct host h;
	u32 step, i;
	u64 bad;

	begin(&h);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), 0);
	steps[0].kind = EXO_XN_UNLINK;
	steps[1].bytes = (const u8 *)&none;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2, &step, &bad), 0);
	exo_xn_limit(h.xn, 0);
	for (i = 0; i < 4; i++)
		CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	CHECK_EQ(h.xn->nr_maps_in, 0);
	CHECK_EQ(host_commit(&h), 0);
	host_crash(&h);
	CHECK_EQ(host_map(&h, AT + UNITS), EXO_XN_MINE);
	CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	CHECK(host_load(&h, host_root_block(&h), AT));
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT, 0, AT + UNITS, 1, EXO_XN_DATA), 0);
	CHECK_EQ(host_commit(&h), 0);
	host_end(&h);
}

/* Units that were freed and not committed: what the log doesn't need of them isn't kept. */
TEST(exo_xn_cache__freed_units_take_no_memory)
{
	struct host h;
	u32 i;

	begin(&h);
	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT + i, 0, AT + UNITS + i, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
	}
	exo_xn_limit(h.xn, LIMIT);
	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), i, AT + i, 1, EXO_XN_SELF), 0);
		CHECK(h.xn->memory <= LIMIT + LIMIT / 8);
	}
	/* They are there as before the changes, and can be freed once more. */
	host_crash(&h);
	CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	for (i = 0; i < UNITS; i++) {
		CHECK(host_load(&h, host_root_block(&h), AT + i));
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), i, AT + i, 1, EXO_XN_SELF), 0);
	}
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 1);
	host_end(&h);
}

/* A temporary root's units are on no disk as far as recovery knows, and can be given back even so. */
TEST(exo_xn_cache__temporary_units_come_back)
{
	static const u8 bytes[EXO_XN_BLOCK];
	struct exo_xn_extent e = { AT, 1, EXO_XN_DATA };
	struct exo_xn_step_core steps[2] = {
		{ .kind = EXO_XN_ALLOC, .block = AT, .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .length = sizeof(e), .bytes = (const u8 *)&e },
	};
	struct exo_xn_unit *unit;
	struct host h;
	u32 i, root, step;
	u64 bad, block, seq;

	host_begin(&h);
	CHECK_EQ(exo_xn_root_create(h.xn, &host_user, "temporary", h.template, EXO_XN_ROOT_TEMPORARY, 0, 0,
				    NULL, bytes, sizeof(bytes), &root), 0);
	block = exo_xn_root(h.xn, root)->block;
	steps[0].parent = steps[1].parent = block;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, root, steps, 2, &step, &bad), 0);
	exo_xn_root(h.xn, root)->requested = true;
	CHECK_EQ(exo_xn_commit(h.xn, &seq), 0);
	exo_xn_limit(h.xn, 0);
	for (i = 0; i < 4; i++)
		CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	CHECK(!exo_xn_unit_at(h.xn, block) || !exo_xn_unit_at(h.xn, block)->pub.now);
	CHECK_EQ(exo_xn_unit_load(h.xn, root, block, block, &unit), 0);
	CHECK_EQ(((const struct exo_xn_extent *)unit->now)->block, AT);
	host_crash(&h);
	CHECK(!exo_xn_root(h.xn, root));
	CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	host_end(&h);
}

/* Export asks for no functions: what a unit's block has is known when it isn't in memory, too. */
TEST(exo_xn_cache__blocks_of_units_can_be_read_raw)
{
	struct host h;
	u32 entry;

	begin(&h);
	CHECK_EQ(exo_xn_detach(h.xn), 0);
	host_crash(&h);
	CHECK_EQ(exo_xn_map_look(h.xn, AT, &entry), 0);
	CHECK(entry & EXO_XN_ENTRY_INIT);
	CHECK_EQ(exo_xn_map_look(h.xn, AT + UNITS, &entry), 0);
	CHECK(!(entry & EXO_XN_ENTRY_INIT));
	/* Its next owner reads zeros. */
	CHECK(host_load(&h, host_root_block(&h), AT));
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, AT, 0, AT + UNITS, 1, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 1, EXO_XN_DATA), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 1), 0);
	host_end(&h);
}

/* Stubs are forgotten when there are too many: leaves, and whoever wants one again reads his way down. */
TEST(exo_xn_cache__stubs_are_bounded)
{
	struct exo_xn_unit *unit;
	struct host h;
	u64 root;
	u32 i;

	begin(&h);
	root = host_root_block(&h);
	exo_xn_limit(h.xn, 0);
	for (i = 0; i < 4; i++)
		CHECK(host_load(&h, root, root));
	CHECK_EQ(h.xn->nr_stubs, 0);
	CHECK_EQ(exo_xn_unit_load(h.xn, h.root, AT, AT, &unit), -ENOENT);
	exo_xn_limit(h.xn, EXO_XN_MEMORY);
	CHECK(host_load(&h, root, root));
	CHECK(host_load(&h, root, AT));
	check_unit(&h, AT);
	host_end(&h);
}

/* Reading a stub again may fail; it is one still. */
TEST(exo_xn_cache__a_stub_that_cannot_come_back)
{
	struct host h;
	u64 root;
	u32 i;

	begin(&h);
	root = host_root_block(&h);
	exo_xn_limit(h.xn, LIMIT);
	for (i = 0; i < 8; i++)
		CHECK(host_load(&h, root, root));
	for (i = 0; exo_xn_unit_at(h.xn, AT + i)->pub.now; i++)
		;
	h.fail_alloc = 1;
	CHECK(!exo_xn_unit_find(h.xn, h.root, AT + i));
	h.fail_alloc = 2;
	CHECK(!exo_xn_unit_find(h.xn, h.root, AT + i));
	h.fail_alloc = 0;
	check_unit(&h, AT + i);
	host_end(&h);
}

/* INV-XN-33: units that were given back are looked at again before they are changed; that is work of the call, too. */
TEST(exo_xn_cache__waking_is_work_of_the_change)
{
	enum { NR = 10 };
	struct exo_xn_step_core steps[NR];
	static const u8 zeros[8];
	struct host h;
	u32 i, step;
	u64 bad;

	begin(&h);
	exo_xn_limit(h.xn, LIMIT);
	for (i = 0; i < UNITS; i++) {
		check_unit(&h, AT + i);
		CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	}
	CHECK(h.xn->nr_stubs > UNITS / 2);
	for (i = 0; i < NR; i++)
		steps[i] = (struct exo_xn_step_core){ .kind = EXO_XN_WRITE, .parent = AT + i, .offset = 4000,
						      .length = sizeof(zeros), .bytes = zeros };
	h.cost = EXO_XN_WORK / 32;
	h.runs = 0;
	CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, NR, &step, &bad), -E2BIG);
	CHECK(step < NR && bad == AT + step);
	CHECK(h.runs <= 32);
	for (i = 0; i < NR; i++) {
		CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, &steps[i], 1, &step, &bad), 0);
		CHECK_EQ(host_commit(&h), 0);
	}
	check_unit(&h, AT);
	host_end(&h);
}
