// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

#define AT 300U

static u32 owned(struct host *h, u64 unit)
{
	return ((struct exo_xn_core_unit *)exo_xn_unit_find(h->xn, h->root, unit))->nr_extents;
}

/* INV-XN-2: what was committed is there, what was not is not, and nothing in between. */
TEST(exo_xn_commit__makes_all_so_far_durable)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 200, AT + 4, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, AT + 8, 2, EXO_XN_DATA), 0);
	host_crash(&h);
	CHECK_EQ(host_map(&h, AT + 1), EXO_XN_MINE);
	CHECK_EQ(host_map(&h, AT + 4), EXO_XN_MINE);
	CHECK_EQ(host_map(&h, AT + 8), EXO_XN_FREE);
	CHECK_EQ(owned(&h, root), 2);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 4);
	host_end(&h);
}

/* INV-XN-6, INV-XN-7 */
TEST(exo_xn_written__is_durable_with_a_commit)
{
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 3, EXO_XN_DATA), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 0);
	exo_xn_written(h.xn, AT, 2);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 3);
	CHECK(!exo_xn_init_durable(h.xn, AT, 2));
	CHECK_EQ(host_commit(&h), 0);
	CHECK(exo_xn_init_durable(h.xn, AT, 2));
	exo_xn_written(h.xn, AT + 2, 1);
	host_crash(&h);
	CHECK_EQ(exo_xn_bind_check(h.xn, host_load(&h, root, root), &host_user, AT, 3,
				   EXO_RIGHT_WRITE), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 3);
	exo_xn_written(h.xn, AT + 2, 1);
	CHECK_EQ(exo_xn_commit_written(h.xn), 0);
	host_crash(&h);
	CHECK_EQ(exo_xn_bind_check(h.xn, host_load(&h, root, root), &host_user, AT, 3,
				   EXO_RIGHT_WRITE), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 7);
	/* Whoever gets it next reads zeros. */
	CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, 0, AT, 3, EXO_XN_DATA), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 3, EXO_XN_DATA), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 0);
	CHECK_EQ(host_commit(&h), 0);
	host_crash(&h);
	CHECK_EQ(exo_xn_bind_check(h.xn, host_load(&h, root, root), &host_user, AT, 3,
				   EXO_RIGHT_READ), 0);
	CHECK_EQ(exo_xn_readable(h.xn, AT, 3), 0);
	host_end(&h);
}

/* The log goes round many times; every so often the disk is attached again. */
TEST(exo_xn_checkpoint__makes_room)
{
	struct host h;
	u64 root;
	u32 i;

	host_begin(&h);
	root = host_root_block(&h);
	for (i = 0; i < 500; i++) {
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, i % 64, AT + i % 64, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
		if (!(i % 37))
			host_crash(&h);
		CHECK_EQ(owned(&h, root), 1);
		CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, root, i % 64, AT + i % 64, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
	}
	host_crash(&h);
	CHECK_EQ(owned(&h, root), 0);
	host_end(&h);
}

/* INV-XN-8, INV-XN-9 */
TEST(exo_xn_commit__an_error_fails_the_disk)
{
	struct exo_xn_stat stat;
	struct host h;
	u64 root;

	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), 0);
	h.fail_write = 1;
	CHECK_EQ(host_commit(&h), -EIO);
	exo_xn_stat(h.xn, &stat);
	CHECK(stat.failed);
	CHECK_EQ(host_commit(&h), -EIO);
	CHECK_EQ(exo_xn_checkpoint(h.xn), -EIO);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 1, AT + 4, 2, EXO_XN_DATA), -EIO);
	host_crash(&h);
	CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	host_end(&h);
}

/* INV-XN-12: a home that is torn while the log has the difference. */
TEST(exo_xn_replay__repairs_torn_homes)
{
	u8 (*old)[EXO_XN_BLOCK] = malloc(HOST_BLOCKS * EXO_XN_BLOCK);
	struct host h;
	u64 root;
	u32 s;

	CHECK(old);
	host_begin(&h);
	root = host_root_block(&h);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 0, AT, 2, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, root, 250, AT + 4, 2, EXO_XN_DATA), 0);
	CHECK_EQ(host_commit(&h), 0);
	memcpy(old, h.disk, HOST_BLOCKS * EXO_XN_BLOCK);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	/* As if the checkpoint had got half way: no new superblock, sectors of the homes. */
	memcpy(h.disk, old, 2 * EXO_XN_BLOCK);
	/* Of the map only the sector with its crc: the entries are new. */
	memcpy(h.disk[2], old[2], EXO_XN_SECTOR);
	for (s = 0; s < EXO_XN_BLOCK / EXO_XN_SECTOR; s += 2)
		memcpy(h.disk[root] + s * EXO_XN_SECTOR, old[root] + s * EXO_XN_SECTOR, EXO_XN_SECTOR);
	host_crash(&h);
	CHECK_EQ(owned(&h, root), 2);
	CHECK_EQ(host_map(&h, AT + 5), EXO_XN_MINE);
	host_end(&h);
	free(old);
}

TEST(exo_xn_root_delete__frees_all)
{
	struct exo_xn_stat before, after;
	static const u8 unit[EXO_XN_BLOCK];
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	struct host h;
	u32 other, ret;

	host_begin(&h);
	exo_xn_stat(h.xn, &before);
	CHECK_EQ(exo_xn_root_create(h.xn, &host_other, "other", h.template, 0, 0, 0, NULL, unit,
				    sizeof(unit), &other), 0);
	CHECK_EQ(exo_xn_root_create(h.xn, &host_other, "other", h.template, 0, 0, 0, NULL, unit,
				    sizeof(unit), &other), -EEXIST);
	CHECK_EQ(exo_xn_root_delete(h.xn, &host_user, other), -EACCES);
	CHECK_EQ(exo_xn_root_delete(h.xn, &host_other, other), 0);
	exo_xn_stat(h.xn, &after);
	CHECK_EQ(before.free, after.free);
	CHECK_EQ(after.roots, 1);
	CHECK_EQ(exo_xn_walk_begin(h.xn, 0, &walk), 0);
	do
		ret = exo_xn_walk_step(walk, 1);
	while (ret == 1);
	CHECK_EQ(ret, 0);
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	CHECK_EQ(check.out_bad + check.out_leaked + check.out_errors, 0);
	CHECK_EQ(check.out_visited, check.out_total);
	host_crash(&h);
	CHECK_EQ(exo_xn_template_remove(h.xn, &host_user, h.template), -EBUSY);
	host_end(&h);
}

/* A block that the map gives to the root, and that no unit has, is found and given back. */
TEST(exo_xn_walk__gives_back_what_leaked)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	struct host h;
	u64 bad;
	int ret;

	host_begin(&h);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, h.root, AT, 3, &bad), 0);
	CHECK_EQ(exo_xn_map_change(h.xn, EXO_XN_OP_TAKE, 77, AT + 8, 1, &bad), 0);
	CHECK_EQ(exo_xn_walk_begin(h.xn, EXO_XN_CHECK_REPAIR | EXO_XN_CHECK_SCRUB, &walk), 0);
	do
		ret = exo_xn_walk_step(walk, 1);
	while (ret == 1);
	CHECK_EQ(ret, 0);
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	CHECK_EQ(check.out_leaked, 4);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 1);
	CHECK_EQ(check.out_bad, 0);
	CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
	CHECK_EQ(host_map(&h, AT + 8), EXO_XN_FREE);
	host_end(&h);
}

/* In the map, and nobody's. */
static void lose(struct host *h, u32 root, u64 block, u32 count)
{
	struct exo_xn_map_block *map;
	u32 slot, n;
	u64 bad;

	CHECK_EQ(exo_xn_map_change(h->xn, EXO_XN_OP_TAKE, root, block, count, &bad), 0);
	n = exo_xn_map_span(h->xn, block, count, &map, &slot);
	CHECK_EQ(n, count);
	memcpy(map->committed + slot, map->now + slot, n * sizeof(*map->now));
	h->xn->taken_committed += n;
}

/* Each allocation fails once: what was nobody's isn't a root that is left over, and who is right isn't called bad. */
TEST(exo_xn_walk__goes_on_without_memory)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	u32 n, failed, i;
	struct host h;
	int ret;

	for (n = 1, failed = 1; failed; n++) {
		host_begin(&h);
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT + 20, 1, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
		lose(&h, h.root, AT, 3);
		lose(&h, 77, AT + 8, 1);
		lose(&h, 78, AT + 9, 2);
		lose(&h, 77, AT + 11, 1);
		CHECK_EQ(exo_xn_walk_begin(h.xn, EXO_XN_CHECK_REPAIR, &walk), 0);
		h.fail_alloc = n;
		failed = 0;
		do {
			ret = exo_xn_walk_step(walk, 1);
			failed += ret == -ENOMEM;
			for (i = 1; i <= EXO_XN_ROOTS; i++)
				CHECK(i == h.root || !exo_xn_root(h.xn, i));
		} while (ret == 1 || ret == -ENOMEM);
		h.fail_alloc = 0;
		CHECK_EQ(ret, 0);
		exo_xn_walk_show(walk, &check);
		exo_xn_walk_end(walk);
		CHECK_EQ(check.out_leaked, 7);
		CHECK_EQ(check.out_bad, 0);
		for (i = 0; i < 12; i++)
			CHECK_EQ(host_map(&h, AT + i), EXO_XN_FREE);
		CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 2);
		host_crash(&h);
		CHECK_EQ(host_map(&h, AT + 8), EXO_XN_FREE);
		CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 2);
		host_end(&h);
	}
	CHECK(n > 5);
}
