// SPDX-License-Identifier: GPL-2.0
#include "unit.h"
#include "xn_host.h"

#define AT 300U
#define QUOTA 20U

static const u8 unit[EXO_XN_BLOCK];

static int create(struct host *h, const struct exo_xn_who *who, const char *name, u32 *root)
{
	return exo_xn_root_create(h->xn, who, name, h->template, 0, 0, 0, NULL, unit, sizeof(unit), root);
}

static int add(struct host *h, const struct exo_xn_who *who, const char *name, u32 length, u32 *number)
{
	u8 *content = calloc(1, length);
	u32 refs[EXO_XN_REFS] = {}, func;
	struct exo_graft_error err;
	int ret;

	snprintf((char *)content, length, "%s", name);
	ret = exo_xn_template_add(h->xn, who, name, refs, 64, 512, content, length, &err, &func, number);
	free(content);
	return ret;
}

/* Nobody gets more than he may have by being given it. */
TEST(exo_xn_root__chown_asks_the_quota_of_the_next_owner)
{
	struct host h;
	u32 root;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(create(&h, &host_other, "other", &root), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 10, EXO_XN_DATA), 0);
	/* 11 of the root, 1 of the template. */
	CHECK_EQ(exo_xn_uid_blocks(h.xn, host_user.uid), 12);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_other.uid), 0);
	CHECK_EQ(exo_xn_uid_blocks(h.xn, host_other.uid), 12);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_user.uid), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 1, AT + 10, 8, EXO_XN_DATA), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 2, AT + 18, 1, EXO_XN_DATA), -EDQUOT);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, 4711), 0);
	CHECK_EQ(exo_xn_root_chown(h.xn, root, 4711), 0);
	CHECK_EQ(exo_xn_root_chown(h.xn, root, host_user.uid), 0);
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_user.uid), -EDQUOT);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->uid, 4711);
	/* To whom it is already there's nothing to give. */
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, 4711), 0);
	CHECK_EQ(exo_xn_root_chown(h.xn, 999, 4711), -ENOENT);
	host_crash(&h);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->uid, 4711);
	host_end(&h);
}

/* Templates are in the quota, and what is compiled of them is bounded. */
TEST(exo_xn_root__templates_are_their_owners)
{
	static const struct exo_xn_who admin = { .uid = 0, .admin = true };
	struct host h;
	u32 number;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(add(&h, &host_other, "large", 19 * EXO_XN_BLOCK, &number), 0);
	CHECK_EQ(exo_xn_uid_blocks(h.xn, host_other.uid), 19);
	CHECK_EQ(add(&h, &host_other, "two", 2 * EXO_XN_BLOCK, &number), -EDQUOT);
	CHECK_EQ(add(&h, &host_other, "one", EXO_XN_BLOCK, &number), 0);
	CHECK_EQ(add(&h, &host_other, "another", 1, &number), -EDQUOT);
	CHECK_EQ(add(&h, &admin, "another", 21 * EXO_XN_BLOCK, &number), 0);
	CHECK_EQ(create(&h, &host_other, "no room", &number), -EDQUOT);
	CHECK_EQ(add(&h, &host_other, "one", EXO_XN_BLOCK, &number), 0);
	CHECK_EQ(exo_xn_template_remove(h.xn, &host_other, number), 0);
	CHECK_EQ(create(&h, &host_other, "room", &number), 0);
	host_end(&h);
}

TEST(exo_xn_root__templates_of_a_uid_are_bounded)
{
	char name[16];
	struct host h;
	u32 i, number;
	int ret = 0;

	host_begin(&h);
	for (i = 0; !ret && i < 100; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		ret = add(&h, &host_other, name, 64, &number);
	}
	CHECK_EQ(ret, -EDQUOT);
	CHECK_EQ(i, 65);
	host_end(&h);
}

/* INV-XN-18: acl said what it said of another owner. Who holds a unit sees that he must ask again. */
TEST(exo_xn_root__who_was_allowed_is_asked_again)
{
	struct exo_xn_unit *unit;
	u64 generation;
	struct host h;

	host_begin(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 1, EXO_XN_DATA), 0);
	unit = host_load(&h, host_root_block(&h), host_root_block(&h));
	CHECK_EQ(exo_xn_bind_check(h.xn, unit, &host_user, AT, 1, EXO_RIGHT_WRITE), 0);
	generation = unit->generation;
	CHECK_EQ(exo_xn_root_chown(h.xn, h.root, host_other.uid), 0);
	CHECK(unit->generation != generation);
	CHECK_EQ(exo_xn_bind_check(h.xn, unit, &host_user, AT, 1, EXO_RIGHT_WRITE), -EACCES);
	CHECK_EQ(exo_xn_bind_check(h.xn, unit, &host_other, AT, 1, EXO_RIGHT_WRITE), 0);
	host_end(&h);
}

/* Each allocation fails once: there is no root then, and its blocks and name are free. */
TEST(exo_xn_root__any_allocation_may_fail)
{
	struct exo_xn_stat before, after;
	struct host h;
	u32 root = 0;
	int ret;
	u64 n;

	host_begin(&h);
	exo_xn_stat(h.xn, &before);
	for (n = 1; ; n++) {
		h.fail_alloc = n;
		ret = create(&h, &host_other, "other", &root);
		if (!ret)
			break;
		CHECK_EQ(ret, -ENOMEM);
		exo_xn_stat(h.xn, &after);
		CHECK_EQ(after.free, before.free);
		CHECK_EQ(after.roots, before.roots);
	}
	CHECK(n > 4);
	for (n = 1; ; n++) {
		h.fail_alloc = n;
		ret = exo_xn_root_delete(h.xn, &host_other, root);
		if (!ret)
			break;
		CHECK_EQ(ret, -ENOMEM);
	}
	h.fail_alloc = 0;
	exo_xn_stat(h.xn, &after);
	CHECK_EQ(after.free, before.free);
	CHECK_EQ(exo_xn_root_delete(h.xn, &host_other, root), -ENOENT);
	host_end(&h);
}

/* INV-XN-8: what could not be made durable didn't happen. */
TEST(exo_xn_root__a_failed_write_changes_nothing)
{
	struct exo_xn_root_core *root;
	struct host h;
	u32 number;
	int i;

	for (i = 0; i < 5; i++) {
		host_begin(&h);
		root = exo_xn_root(h.xn, h.root);
		root->flags = i == 3 ? EXO_XN_ROOT_QUARANTINED : 0;
		h.fail_write = 1;
		CHECK_EQ(i == 0 ? create(&h, &host_other, "other", &number) :
			 i == 1 ? exo_xn_root_chown(h.xn, h.root, 4711) :
			 i == 2 ? exo_xn_root_limit(h.xn, h.root, 4) :
			 i == 3 ? exo_xn_root_release(h.xn, h.root) :
				  exo_xn_root_delete(h.xn, &host_user, h.root), -EIO);
		CHECK(!h.fail_write);
		CHECK_EQ(exo_xn_root(h.xn, h.root), root);
		CHECK_EQ(root->uid, host_user.uid);
		CHECK_EQ(root->max_blocks, 0);
		CHECK_EQ(root->flags, i == 3 ? EXO_XN_ROOT_QUARANTINED : 0);
		CHECK_EQ(exo_xn_root_chown(h.xn, h.root, 4711), -EIO);
		host_crash(&h);
		CHECK_EQ(exo_xn_root(h.xn, h.root)->uid, host_user.uid);
		CHECK_EQ(create(&h, &host_other, "other", &number), 0);
		host_end(&h);
	}
}

TEST(exo_xn_root__who_is_right_leaves_quarantine)
{
	struct host h;

	host_begin(&h);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 1, EXO_XN_SELF), 0);
	CHECK_EQ(host_commit(&h), 0);
	CHECK_EQ(exo_xn_root_release(h.xn, h.root), -EINVAL);
	exo_xn_root(h.xn, h.root)->flags |= EXO_XN_ROOT_QUARANTINED;
	CHECK_EQ(exo_xn_root_release(h.xn, h.root), 0);
	CHECK_EQ(exo_xn_root(h.xn, h.root)->flags, 0);
	CHECK(host_load(&h, host_root_block(&h), host_root_block(&h)));
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 1, AT + 2, 1, EXO_XN_DATA), 0);
	host_end(&h);
}

/* INV-XN-27: who allocates and frees and never commits keeps no more from others than he may have. */
TEST(exo_xn_root__blocks_that_wait_are_in_the_quota)
{
	struct exo_xn_stat before, after;
	struct host h;
	u64 i;
	int ret = 0, limit;

	for (limit = 0; limit < 2; limit++) {
		host_begin_quota(&h, limit ? 0 : QUOTA);
		if (limit)
			CHECK_EQ(exo_xn_root_limit(h.xn, h.root, QUOTA - 1), 0);
		exo_xn_stat(h.xn, &before);
		for (i = 0; i < 2ULL * QUOTA; i++) {
			ret = host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT + i, 1, EXO_XN_DATA);
			if (ret)
				break;
			CHECK_EQ(host_set(&h, EXO_XN_FREE_STEP, host_root_block(&h), 0, AT + i, 1, EXO_XN_DATA), 0);
		}
		CHECK_EQ(ret, -EDQUOT);
		/* The template, which no limit of a root counts, and its first unit, were there. */
		CHECK_EQ(i, QUOTA - 2);
		exo_xn_stat(h.xn, &after);
		CHECK_EQ(before.free - after.free, QUOTA - 2);
		CHECK_EQ(exo_xn_uid_blocks(h.xn, host_user.uid), QUOTA);
		CHECK_EQ(host_commit(&h), 0);
		CHECK_EQ(exo_xn_uid_blocks(h.xn, host_user.uid), 2);
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, QUOTA - 2, EXO_XN_DATA), 0);
		host_end(&h);
	}
}

/* INV-XN-35: others wait for the disk while a root is deleted, and its last block may be far. */
TEST(exo_xn_root_delete__in_pieces)
{
	enum { GROUPS = 20, FAR = (GROUPS - 1) * EXO_XN_GROUP + 100 };
	struct host h;
	u32 other, again, pieces;
	int ret, crash;

	for (crash = 0; crash < 2; crash++) {
		host_begin_of(&h, (u64)GROUPS * EXO_XN_GROUP, 0);
		CHECK_EQ(create(&h, &host_other, "other", &other), 0);
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 4, EXO_XN_DATA), 0);
		CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 1, FAR, 4, EXO_XN_DATA), 0);
		CHECK_EQ(host_commit(&h), 0);
		CHECK_EQ(exo_xn_root_delete(h.xn, &host_user, h.root), 1);
		/* It is nobody's any more, and what was looked at is free for all; the others go on. */
		CHECK(!exo_xn_root(h.xn, h.root));
		CHECK_EQ(host_map(&h, AT), EXO_XN_FREE);
		CHECK_EQ(host_map(&h, FAR), EXO_XN_MINE);
		CHECK_EQ(exo_xn_root_limit(h.xn, other, 10), 0);
		CHECK_EQ(exo_xn_root_delete_on(h.xn, other), 0);
		CHECK(exo_xn_root(h.xn, other));
		if (crash) {
			exo_xn_free(h.xn);
			host_attach(&h);
		}
		for (pieces = 0; (ret = exo_xn_root_delete_on(h.xn, h.root)) == 1; pieces++)
			;
		CHECK_EQ(ret, 0);
		CHECK_EQ(pieces, !crash);
		CHECK_EQ(host_map(&h, FAR), EXO_XN_FREE);
		/* Another may have the number by now. */
		CHECK_EQ(create(&h, &host_other, "again", &again), 0);
		CHECK_EQ(again, h.root);
		CHECK_EQ(exo_xn_root_delete_on(h.xn, h.root), 0);
		CHECK(exo_xn_root(h.xn, again));
		host_end(&h);
	}
}
