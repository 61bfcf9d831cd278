// SPDX-License-Identifier: GPL-2.0
/*
 * What users may have of a disk: limits of their own, that of all, and that they are there after a crash. Random ones
 * beside all other operations: xn_model_test.
 */
#include "unit.h"
#include "xn_host.h"

#define QUOTA 20U
#define AT 300U

static u64 limit_of(struct host *h, u32 uid, bool *own)
{
	return exo_xn_uid_limit(h->xn, uid, own);
}

/* Catches: a limit of one that holds for others, or is forgotten by a crash. */
TEST(exo_xn_quota__of_one_user)
{
	struct host h;
	bool own;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(limit_of(&h, host_user.uid, &own), QUOTA);
	CHECK(!own);
	CHECK_EQ(exo_xn_quota_set(h.xn, host_user.uid, 5), 0);
	/* A template and a root. */
	CHECK_EQ(exo_xn_uid_room(h.xn, host_user.uid), 3);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 4, EXO_XN_DATA), -EDQUOT);
	CHECK_EQ(limit_of(&h, host_other.uid, &own), QUOTA);
	CHECK(!own);
	host_crash(&h);
	CHECK_EQ(limit_of(&h, host_user.uid, &own), 5);
	CHECK(own);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 4, EXO_XN_DATA), -EDQUOT);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 0, AT, 3, EXO_XN_DATA), 0);
	/* None at all, and that of all again. */
	CHECK_EQ(exo_xn_quota_set(h.xn, host_user.uid, 0), 0);
	CHECK_EQ(exo_xn_uid_room(h.xn, host_user.uid), ~0ULL);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 1, AT + 3, QUOTA, EXO_XN_DATA), 0);
	CHECK_EQ(exo_xn_quota_forget(h.xn, host_user.uid), 0);
	CHECK_EQ(exo_xn_quota_forget(h.xn, host_user.uid), -ENOENT);
	/* He has more now: it stays his, and he gets nothing. */
	CHECK_EQ(exo_xn_uid_room(h.xn, host_user.uid), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), 2, AT + 30, 1, EXO_XN_DATA), -EDQUOT);
	host_end(&h);
}

/* Catches: a default that those who have their own get, too, or that isn't durable. */
TEST(exo_xn_quota__of_all)
{
	struct host h;
	bool own;

	host_begin_quota(&h, 0);
	CHECK_EQ(exo_xn_uid_room(h.xn, host_other.uid), ~0ULL);
	CHECK_EQ(exo_xn_quota_set(h.xn, host_user.uid, 100), 0);
	CHECK_EQ(exo_xn_quota_all(h.xn, QUOTA), 0);
	host_crash(&h);
	CHECK_EQ(limit_of(&h, host_user.uid, &own), 100);
	CHECK_EQ(limit_of(&h, host_other.uid, &own), QUOTA);
	CHECK_EQ(exo_xn_quota_all(h.xn, 0), 0);
	CHECK_EQ(exo_xn_uid_room(h.xn, host_other.uid), ~0ULL);
	CHECK_EQ(exo_xn_uid_room(h.xn, host_user.uid), 98);
	host_end(&h);
}

/* Catches: an order of the table that loses one when others come and go around it. */
TEST(exo_xn_quota__as_many_as_there_is_room_for)
{
	struct host h;
	u32 i, uid;
	bool own;

	host_begin_quota(&h, QUOTA);
	/* In an order that is neither up nor down. */
	for (i = 0; i < EXO_XN_QUOTAS; i++)
		CHECK_EQ(exo_xn_quota_set(h.xn, 5000 + i * 7 % EXO_XN_QUOTAS, 100 + i * 7 % EXO_XN_QUOTAS), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 1, 1), -ENOSPC);
	CHECK_EQ(exo_xn_quota_set(h.xn, 5000, 99), 0);
	CHECK_EQ(exo_xn_quota_forget(h.xn, 5003), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, ~0U, 1), 0);
	host_crash(&h);
	for (i = 0; i < EXO_XN_QUOTAS; i++)
		CHECK_EQ(limit_of(&h, 5000 + i, &own), i == 0 ? 99 : i == 3 ? QUOTA : 100 + i);
	CHECK_EQ(limit_of(&h, ~0U, &own), 1);
	/* All who have something, and all who have a limit: each once, in order. */
	for (i = 0, uid = 0; exo_xn_uid_next(h.xn, uid, &uid) && uid != ~0U; uid++)
		i++;
	CHECK_EQ(i, EXO_XN_QUOTAS - 1 + 1);
	CHECK_EQ(uid, ~0U);
	host_end(&h);
}

/* Catches: a limit that holds although it could not be written. */
TEST(exo_xn_quota__that_could_not_be_written)
{
	struct host h;
	bool own;
	u64 n;

	for (n = 1; n < 3; n++) {
		host_begin_quota(&h, QUOTA);
		CHECK_EQ(host_commit(&h), 0);
		h.fail_write = n;
		if (!exo_xn_quota_set(h.xn, host_user.uid, 5)) {
			CHECK(n > 1);
			h.fail_write = 0;
			host_end(&h);
			return;
		}
		CHECK_EQ(limit_of(&h, host_user.uid, &own), QUOTA);
		CHECK(!own);
		CHECK_EQ(exo_xn_quota_all(h.xn, 7), -EIO);
		h.fail_write = 0;
		host_crash(&h);
		CHECK_EQ(limit_of(&h, host_user.uid, &own), QUOTA);
		host_end(&h);
	}
}

/* INV-XN-13. Catches: a table that is longer than it can be, or has a user twice, taken from a disk. */
TEST(exo_xn_quota__hostile_superblock)
{
	struct exo_xn_super super, bad;
	struct host h;
	u32 i;

	host_begin_quota(&h, QUOTA);
	CHECK_EQ(exo_xn_quota_set(h.xn, 7, 1), 0);
	CHECK_EQ(exo_xn_quota_set(h.xn, 8, 1), 0);
	memcpy(&super, h.disk[0], sizeof(super));
	CHECK(exo_xn_super_parse(host_crc, &super, HOST_BLOCKS));
	for (i = 0; i < 4; i++) {
		bad = super;
		bad.quotas.nr = i == 0 ? EXO_XN_QUOTAS + 1 : 2;
		bad.quotas.uid[0] = i == 1 ? 8 : 7;
		bad.quotas.uid[1] = i == 2 ? 7 : 8;
		bad.quotas.reserved = i == 3;
		exo_xn_super_build(host_crc, &bad);
		CHECK(!exo_xn_super_parse(host_crc, &bad, HOST_BLOCKS));
	}
	host_end(&h);
}
