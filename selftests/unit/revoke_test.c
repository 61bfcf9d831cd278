// SPDX-License-Identifier: GPL-2.0
#include "core/revoke.h"
#include "unit.h"

static u32 sum(const struct exo_asks *asks)
{
	u32 i, total = 0;

	for (i = 0; i < asks->nr; i++) {
		CHECK(asks->ask[i].frames);
		if (i)
			CHECK(asks->ask[i - 1].deadline_ns <= asks->ask[i].deadline_ns);
		total += asks->ask[i].frames;
	}
	CHECK_EQ(asks->total, total);
	return total;
}

TEST(exo_asks_add__earliest_deadline_first)
{
	struct exo_asks asks = { 0 };
	u32 why;

	exo_asks_add(&asks, 10, 500, EXO_WHY_PRESSURE);
	exo_asks_add(&asks, 20, 300, EXO_WHY_ADMIN);
	exo_asks_add(&asks, 30, 400, EXO_WHY_OOM);
	CHECK_EQ(sum(&asks), 60);
	CHECK_EQ(exo_asks_deadline(&asks), 300);
	CHECK_EQ(exo_asks_due(&asks, 299, &why), 0);
	CHECK_EQ(exo_asks_due(&asks, 300, &why), 20);
	CHECK_EQ(why, EXO_WHY_ADMIN);
	CHECK_EQ(exo_asks_due(&asks, 10000, &why), 20);
}

TEST(exo_asks_add__nothing)
{
	struct exo_asks asks = { 0 };

	exo_asks_add(&asks, 0, 500, EXO_WHY_PRESSURE);
	CHECK_EQ(asks.nr, 0);
	CHECK_EQ(exo_asks_deadline(&asks), 0);
}

TEST(exo_asks_add__a_full_queue_takes_nothing_early)
{
	struct exo_asks asks = { 0 };
	u32 i, why;

	for (i = 0; i < EXO_ASKS_MAX; i++)
		exo_asks_add(&asks, 1, 100 * (i + 1), EXO_WHY_PRESSURE);
	exo_asks_add(&asks, 5, 1000, EXO_WHY_PRESSURE);
	CHECK_EQ(asks.nr, EXO_ASKS_MAX);
	CHECK_EQ(sum(&asks), EXO_ASKS_MAX + 5);
	CHECK_EQ(asks.ask[EXO_ASKS_MAX - 1].deadline_ns, 1000);
	exo_asks_add(&asks, 7, 150, EXO_WHY_PRESSURE);
	CHECK_EQ(sum(&asks), EXO_ASKS_MAX + 12);
	CHECK_EQ(exo_asks_due(&asks, 150, &why), 1);
	CHECK_EQ(asks.ask[1].frames, 8);
}

TEST(exo_asks_give__counts_towards_the_earliest)
{
	struct exo_asks asks = { 0 };

	exo_asks_add(&asks, 10, 100, EXO_WHY_PRESSURE);
	exo_asks_add(&asks, 10, 200, EXO_WHY_PRESSURE);
	CHECK_EQ(exo_asks_give(&asks, 4), 4);
	CHECK_EQ(exo_asks_deadline(&asks), 100);
	CHECK_EQ(exo_asks_give(&asks, 6), 6);
	CHECK_EQ(exo_asks_deadline(&asks), 200);
	CHECK_EQ(exo_asks_give(&asks, 100), 10);
	CHECK_EQ(exo_asks_deadline(&asks), 0);
	CHECK_EQ(exo_asks_give(&asks, 1), 0);
	CHECK_EQ(sum(&asks), 0);
}

TEST(exo_asks_cut__only_later_ones)
{
	struct exo_asks asks = { 0 };
	u32 why;

	CHECK(!exo_asks_cut(&asks, 50, EXO_WHY_OOM));
	exo_asks_add(&asks, 10, 40, EXO_WHY_ADMIN);
	exo_asks_add(&asks, 10, 100, EXO_WHY_PRESSURE);
	CHECK(exo_asks_cut(&asks, 50, EXO_WHY_OOM));
	CHECK_EQ(exo_asks_due(&asks, 50, &why), 10);
	CHECK_EQ(why, EXO_WHY_ADMIN);
	exo_asks_give(&asks, 10);
	CHECK_EQ(exo_asks_due(&asks, 50, &why), 10);
	CHECK_EQ(why, EXO_WHY_OOM);
	CHECK(!exo_asks_cut(&asks, 60, EXO_WHY_OOM));
}

/* Catches: a debt to somebody else that is paid to Linux, because the OOM killer was in a hurry. */
TEST(exo_asks_cut__does_not_change_whose_it_is)
{
	struct exo_asks asks = { 0 };
	u32 why;

	exo_asks_add(&asks, 10, 100, EXO_WHY_ADMIN);
	exo_asks_add(&asks, 20, 200, EXO_WHY_MIN);
	CHECK(exo_asks_cut(&asks, 50, EXO_WHY_OOM));
	CHECK_EQ(exo_asks_due(&asks, 50, &why), 10);
	CHECK_EQ(why, EXO_WHY_ADMIN);
	exo_asks_give(&asks, 10);
	CHECK_EQ(exo_asks_due(&asks, 50, &why), 20);
	CHECK_EQ(why, EXO_WHY_MIN);
}

TEST(exo_asks__random)
{
	struct exo_asks asks = { 0 };
	u64 asked = 0, gone = 0, now = 1;
	unsigned int i;
	u32 n, why;

	for (i = 0; i < unit_rounds(200000); i++) {
		now += unit_below(50);
		switch (unit_below(4)) {
		case 0:
		case 1:
			n = unit_below(1000);
			exo_asks_add(&asks, n, now + unit_below(500), 1 + unit_below(3));
			asked += n;
			break;
		case 2:
			gone += exo_asks_give(&asks, unit_below(1500));
			break;
		default:
			while ((n = exo_asks_due(&asks, now, &why))) {
				CHECK(why >= 1 && why <= 3);
				CHECK_EQ(exo_asks_give(&asks, n), n);
				gone += n;
			}
			if (!unit_below(100))
				exo_asks_cut(&asks, now, EXO_WHY_OOM);
		}
		/* INV-REV-4 */
		CHECK_EQ(asked - gone, sum(&asks));
	}
}

TEST(exo_revocable__minimum)
{
	CHECK_EQ(exo_revocable(100, 0, 100, 0, 64), 36);
	CHECK_EQ(exo_revocable(100, 30, 100, 30, 64), 6);
	CHECK_EQ(exo_revocable(100, 0, 100, 0, 100), 0);
	CHECK_EQ(exo_revocable(100, 0, 100, 0, 200), 0);
	CHECK_EQ(exo_revocable(0, 0, 0, 0, 0), 0);
	CHECK_EQ(exo_revocable(UINT32_MAX, 0, UINT32_MAX, 0, 0), UINT32_MAX);
	/* Counters that were read one after the other. */
	CHECK_EQ(exo_revocable(100, 200, 100, 200, 0), 0);
	CHECK_EQ(exo_revocable(200, 0, 100, 0, 40), 60);
}

/* All environments of a uid together keep the minimum. */
TEST(exo_revocable__random_uid)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(100000); i++) {
		u32 held[6], wanted[6], n = 1 + unit_below(6), k;
		u64 uid_held = 0, uid_wanted = 0, sum = 0;
		u32 min = unit_below(2000);

		for (k = 0; k < n; k++) {
			held[k] = unit_below(1000);
			wanted[k] = unit_below(held[k] + 1);
			uid_held += held[k];
			uid_wanted += wanted[k];
		}
		for (k = 0; k < n; k++) {
			u32 can = exo_revocable(held[k], wanted[k], uid_held, uid_wanted, min);

			CHECK(can <= held[k] - wanted[k]);
			sum += can;
		}
		CHECK(!sum || uid_held - uid_wanted - sum >= min);
		/* And no more than rounding is lost. */
		if (uid_held - uid_wanted > min)
			CHECK(sum + n >= uid_held - uid_wanted - min);
	}
}

TEST(exo_revoke_share__random)
{
	unsigned int i;

	for (i = 0; i < unit_rounds(100000); i++) {
		u32 mine[8], n = 1 + unit_below(8), frames = unit_edge(), k;
		u64 all = 0, sum = 0;

		for (k = 0; k < n; k++) {
			mine[k] = unit_below(4) ? unit_below(1000) : (u32)unit_edge();
			all += mine[k];
		}
		for (k = 0; k < n; k++) {
			u32 part = exo_revoke_share(frames, mine[k], all);

			CHECK(part <= mine[k]);
			sum += part;
		}
		CHECK(sum >= (frames < all ? frames : all));
		CHECK(sum <= (u64)frames + n);
	}
}
