// SPDX-License-Identifier: GPL-2.0
#include "core/quota.h"
#include "unit.h"

#define ALL EXO_QUOTA_LIMITS
#define NR_USERS 8

TEST(exo_quota_fits__limits)
{
	CHECK(exo_quota_fits(0, 0, 0));
	CHECK(!exo_quota_fits(0, 1, 0));
	CHECK(exo_quota_fits(9, 1, 10));
	CHECK(!exo_quota_fits(10, 1, 10));
	CHECK(exo_quota_fits(UINT32_MAX, 0, UINT32_MAX));
}

TEST(exo_quota_fits__sum_overflows)
{
	CHECK(!exo_quota_fits(UINT32_MAX, 1, UINT32_MAX));
	CHECK(!exo_quota_fits(UINT32_MAX, UINT32_MAX, UINT32_MAX));
	CHECK(!exo_quota_fits(1U << 31, 1U << 31, 0));
}

TEST(exo_quota_fits__lowered_below_use)
{
	CHECK(!exo_quota_fits(10, 1, 5));
	CHECK(!exo_quota_fits(10, 0, 5));
}

TEST(exo_quota_fits__random)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(200000); i++) {
		u32 used = unit_edge(), n = unit_edge(), max = unit_edge();
		bool fits = n <= max && used <= max - n;

		CHECK_EQ(exo_quota_fits(used, n, max), fits);
	}
}

TEST(exo_quota_reservable__half_of_the_pool)
{
	CHECK(exo_quota_reservable(0, 0, 64, 128));
	CHECK(!exo_quota_reservable(0, 0, 65, 128));
	CHECK(!exo_quota_reservable(1, 0, 64, 128));
	CHECK(exo_quota_reservable(64, 64, 64, 128));
	CHECK(!exo_quota_reservable(64, 64, 65, 128));
	CHECK(!exo_quota_reservable(0, 0, 64, 127));
}

TEST(exo_quota_reservable__empty_pool)
{
	CHECK(!exo_quota_reservable(0, 0, 1, 0));
	CHECK(exo_quota_reservable(0, 0, 0, 0));
}

TEST(exo_quota_reservable__lowering_after_the_pool_shrank)
{
	CHECK(exo_quota_reservable(100, 50, 49, 10));
	CHECK(exo_quota_reservable(100, 50, 50, 10));
	CHECK(!exo_quota_reservable(100, 50, 51, 10));
}

/* Whatever is granted, the sum of all never exceeds half while the pool stays. */
TEST(exo_quota_reservable__random_users)
{
	u64 reserved[NR_USERS] = { 0 }, total = 0, sum;
	u64 present = 10000;
	unsigned int i, j, granted = 0;

	for (i = 0; i < unit_rounds(100000); i++) {
		unsigned int u = unit_below(NR_USERS);
		u64 want = unit_below(2) ? (u32)unit_edge() : unit_below(3000);

		if (exo_quota_reservable(total, reserved[u], want, present)) {
			granted += want > reserved[u];
			total = total - reserved[u] + want;
			reserved[u] = want;
		} else {
			CHECK(want > reserved[u]);
			CHECK(total - reserved[u] + want > present / 2);
		}
		for (sum = 0, j = 0; j < NR_USERS; j++)
			sum += reserved[j];
		CHECK_EQ(sum, total);
		CHECK(total <= present / 2);
	}
	CHECK(granted);
}

TEST(exo_quota_check__flags)
{
	struct exo_quota quota = { .flags = ALL | EXO_QUOTA_DEFAULT };
	u32 bit;

	CHECK_EQ(exo_quota_check(&quota), 0);
	for (bit = 0; bit < 32; bit++) {
		quota.flags = 1U << bit;
		CHECK_EQ(exo_quota_check(&quota),
			 quota.flags & (ALL | EXO_QUOTA_DEFAULT) ? 0 : -EINVAL);
	}
}

TEST(exo_quota_check__deadline)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_DEADLINE };

	quota.deadline_ms = EXO_DEADLINE_MAX_MS;
	CHECK_EQ(exo_quota_check(&quota), 0);
	quota.deadline_ms++;
	CHECK_EQ(exo_quota_check(&quota), -EINVAL);
	/* A field that is not set isn't looked at. */
	quota.flags = EXO_QUOTA_FRAMES;
	CHECK_EQ(exo_quota_check(&quota), 0);
}

TEST(exo_quota_apply__each_alone)
{
	const struct exo_quota quota = {
		.frames = 11, .min = 12, .deadline_ms = 13, .envs = 14, .views = 15,
		.grafts = 16, .graft_insns = 17, .graft_jit = 18,
	};
	u32 which;

	for (which = 0; which <= ALL; which++) {
		struct exo_limits limits = { 1, 2, 3, 4, 5, 6, 7, 8 };

		exo_quota_apply(&limits, &quota, which);
		CHECK_EQ(limits.frames, which & EXO_QUOTA_FRAMES ? 11 : 1);
		CHECK_EQ(limits.min, which & EXO_QUOTA_MIN ? 12 : 2);
		CHECK_EQ(limits.deadline_ms, which & EXO_QUOTA_DEADLINE ? 13 : 3);
		CHECK_EQ(limits.envs, which & EXO_QUOTA_ENVS ? 14 : 4);
		CHECK_EQ(limits.views, which & EXO_QUOTA_VIEWS ? 15 : 5);
		CHECK_EQ(limits.grafts, which & EXO_QUOTA_GRAFTS ? 16 : 6);
		CHECK_EQ(limits.graft_insns, which & EXO_QUOTA_GRAFT_INSNS ? 17 : 7);
		CHECK_EQ(limits.graft_jit, which & EXO_QUOTA_GRAFT_JIT ? 18 : 8);
	}
}

TEST(exo_quota_own__what_is_left_of_the_minimum)
{
	CHECK_EQ(exo_quota_own(0, 10, 64), 10);
	CHECK_EQ(exo_quota_own(60, 10, 64), 4);
	CHECK_EQ(exo_quota_own(64, 10, 64), 0);
	CHECK_EQ(exo_quota_own(100, 10, 64), 0);
	CHECK_EQ(exo_quota_own(0, 10, 0), 0);
	CHECK_EQ(exo_quota_own(0, ~0U, ~0U), ~0U);
	CHECK_EQ(exo_quota_own(1, ~0U, ~0U), ~0U - 1);
}
