// SPDX-License-Identifier: GPL-2.0
#include "core/lend.h"
#include "unit.h"

/* Catches: frames that go back and forth between exo and a Linux that is out of memory. */
TEST(exo_lend_refill__not_for_a_while)
{
	struct exo_lend lend = { 0 };

	/* Nothing was ever lent: the clock says nothing. */
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 1), 60);
	exo_lend_out(&lend, 10, 5000);
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 5000), 0);
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 5000 + EXO_LENT_NS - 1), 0);
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 5000 + EXO_LENT_NS), 60);
	/* Each time counts anew; nothing is no time. */
	exo_lend_out(&lend, 1, 6000);
	exo_lend_out(&lend, 0, 7000);
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 5000 + EXO_LENT_NS), 0);
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 6000 + EXO_LENT_NS), 60);
	/* Two clocks that were read in the other order. */
	CHECK_EQ(exo_lend_refill(&lend, 100, 40, 5999), 0);
}

TEST(exo_lend_refill__no_more_than_the_target)
{
	struct exo_lend lend = { 0 };

	CHECK_EQ(exo_lend_refill(&lend, 40, 40, 1), 0);
	CHECK_EQ(exo_lend_refill(&lend, 40, 41, 1), 0);
	CHECK_EQ(exo_lend_refill(&lend, ~0U, 0, 1), ~0U);
}

/* Catches: an OOM killer that is told of nothing, twice of the same, or of what exo has again. */
TEST(exo_lend_tell__once)
{
	struct exo_lend lend = { 0 };

	CHECK_EQ(exo_lend_tell(&lend, 1), 0);
	exo_lend_out(&lend, 10, 100);
	exo_lend_out(&lend, 20, 200);
	CHECK_EQ(exo_lend_tell(&lend, 300), 30);
	CHECK_EQ(exo_lend_tell(&lend, 300), 0);
	exo_lend_out(&lend, 10, 400);
	exo_lend_back(&lend, 4);
	CHECK_EQ(exo_lend_tell(&lend, 400), 6);
	exo_lend_out(&lend, 10, 500);
	exo_lend_back(&lend, 11);
	CHECK_EQ(exo_lend_tell(&lend, 500), 0);
	exo_lend_out(&lend, ~0U, 500);
	exo_lend_out(&lend, 2, 500);
	CHECK_EQ(exo_lend_tell(&lend, 500), ~0U);
}

TEST(exo_lend_tell__nothing_of_long_ago)
{
	struct exo_lend lend = { 0 };

	exo_lend_out(&lend, 10, 100);
	CHECK_EQ(exo_lend_tell(&lend, 100 + EXO_LENT_NS), 0);
	exo_lend_out(&lend, 3, 100 + EXO_LENT_NS);
	CHECK_EQ(exo_lend_tell(&lend, 100 + EXO_LENT_NS), 3);
}
