// SPDX-License-Identifier: GPL-2.0
#include "core/xn.h"
#include "unit.h"

#define MAX 48

struct set {
	struct exo_xn_extent room[MAX];
	struct exo_xn_extents set;
};

static void begin(struct set *s)
{
	s->set = (struct exo_xn_extents){ .at = s->room, .max = MAX };
}

static void add(struct set *s, u64 block, u32 count, u32 slot)
{
	CHECK(s->set.nr < MAX);
	s->room[s->set.nr++] = (struct exo_xn_extent){ block, count, slot };
}

static void shuffle(struct set *s)
{
	u32 i, j;

	for (i = s->set.nr; i > 1; i--) {
		struct exo_xn_extent was = s->room[i - 1];

		j = unit_below(i);
		s->room[i - 1] = s->room[j];
		s->room[j] = was;
	}
}

TEST(exo_xn_extents_tidy__sorts_and_merges_data)
{
	struct set s;

	begin(&s);
	add(&s, 20, 4, EXO_XN_DATA);
	add(&s, 10, 2, EXO_XN_DATA);
	add(&s, 12, 8, EXO_XN_DATA);
	add(&s, 24, 1, 1);
	add(&s, 25, 1, 1);
	CHECK_EQ(exo_xn_extents_tidy(&s.set, 10, 26), 0);
	CHECK_EQ(s.set.nr, 3);
	CHECK_EQ(s.room[0].block, 10);
	CHECK_EQ(s.room[0].count, 14);
	CHECK_EQ(s.room[2].block, 25);
}

TEST(exo_xn_extents_tidy__refuses_what_cannot_be)
{
	static const struct exo_xn_extent bad[][2] = {
		{ { 10, 0, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 9, 1, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 99, 2, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 100, 1, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { ~0ULL, 1, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { ~0ULL, ~0U, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 50, ~0U, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 10, 3, EXO_XN_DATA }, { 12, 1, EXO_XN_DATA } },
		{ { 12, 1, 1 }, { 12, 1, EXO_XN_DATA } },
	};
	struct set s;
	u32 i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		begin(&s);
		add(&s, bad[i][0].block, bad[i][0].count, bad[i][0].slot);
		add(&s, bad[i][1].block, bad[i][1].count, bad[i][1].slot);
		CHECK_EQ(exo_xn_extents_tidy(&s.set, 10, 100), -EINVAL);
	}
}

/* The model: who has each of a few blocks. A unit is named by its first block, so that merging shows. */
#define UNIVERSE 64

static void model_random(u32 *model)
{
	u32 at = 0, n, i, slot;

	while (at < UNIVERSE) {
		n = 1 + unit_below(4);
		slot = unit_below(4);
		for (i = 0; i < n && at + i < UNIVERSE; i++)
			model[at + i] = !slot ? 0 : slot == 3 ? 1 + EXO_XN_DATA : at << 16 | n << 8 | slot;
		if (slot && slot != 3 && at + n > UNIVERSE)
			for (i = at; i < UNIVERSE; i++)
				model[i] = 0;
		at += n;
	}
}

static void from_model(struct set *s, const u32 *model)
{
	u32 i, n;

	begin(s);
	for (i = 0; i < UNIVERSE; i += n) {
		n = 1;
		if (!model[i])
			continue;
		while (i + n < UNIVERSE && model[i + n] == model[i] &&
		       !(model[i] == 1 + EXO_XN_DATA && !unit_below(4)))
			n++;
		add(s, 100 + i, n, model[i] == 1 + EXO_XN_DATA ? EXO_XN_DATA : model[i] & 0xff);
	}
	shuffle(s);
	CHECK_EQ(exo_xn_extents_tidy(&s->set, 100, 100 + UNIVERSE), 0);
}

/* A change of whole units, or of blocks of data; sometimes one word of it is then spoilt. */
TEST(exo_xn_delta_holds__agrees_with_a_model)
{
	u32 before[UNIVERSE], after[UNIVERSE], added[UNIVERSE], freed[UNIVERSE], other[UNIVERSE];
	struct set b, a, p, m;
	u32 i, n, round, right = 0;
	bool same;
	u64 block;

	for (round = 0; round < unit_rounds(20000); round++) {
		model_random(before);
		model_random(other);
		memset(added, 0, sizeof(added));
		memset(freed, 0, sizeof(freed));
		memcpy(after, before, sizeof(after));
		for (i = 0; i < UNIVERSE; i += n) {
			n = 1;
			if (before[i] && before[i] != 1 + EXO_XN_DATA)
				n = before[i] >> 8 & 0xff;
			if (before[i] && !unit_below(3)) {
				memcpy(&freed[i], &before[i], n * sizeof(u32));
				memset(&after[i], 0, n * sizeof(u32));
			} else if (!before[i] && unit_below(2)) {
				added[i] = 1 + EXO_XN_DATA;
				after[i] = added[i];
			}
		}
		same = unit_below(2);
		if (!same) {
			u32 *spoilt[] = { before, after, added, freed };
			u32 *one = spoilt[unit_below(4)];

			i = unit_below(UNIVERSE);
			if (one[i] && one[i] != 1 + EXO_XN_DATA)
				continue;
			one[i] = one[i] ? 0 : 1 + EXO_XN_DATA;
		}
		from_model(&b, before);
		from_model(&a, after);
		from_model(&p, added);
		from_model(&m, freed);
		CHECK_EQ(exo_xn_delta_holds(&b.set, &a.set, &p.set, &m.set, &block), same);
		if (!same)
			CHECK(block <= 100 + i);
		right += same;
	}
	CHECK(right);
}

TEST(exo_xn_delta_holds__units_are_compared_as_wholes)
{
	struct set two, one, none, slot;
	u64 block;

	begin(&none);
	begin(&two);
	begin(&one);
	begin(&slot);
	add(&two, 10, 1, 1);
	add(&two, 11, 1, 1);
	add(&one, 10, 2, 1);
	add(&slot, 10, 2, 2);
	CHECK(!exo_xn_delta_holds(&one.set, &two.set, &none.set, &none.set, &block));
	CHECK(!exo_xn_delta_holds(&one.set, &slot.set, &none.set, &none.set, &block));
	CHECK(!exo_xn_delta_holds(&two.set, &none.set, &none.set, &one.set, &block));
	CHECK(exo_xn_delta_holds(&two.set, &none.set, &none.set, &two.set, &block));
	CHECK(!exo_xn_delta_holds(&none.set, &one.set, &slot.set, &none.set, &block));
	CHECK_EQ(block, 10);
}

TEST(exo_xn_extents_find__finds_what_holds_all)
{
	struct set s;

	begin(&s);
	CHECK(!exo_xn_extents_find(&s.set, 5, 1));
	add(&s, 10, 4, EXO_XN_DATA);
	add(&s, 20, 4, 1);
	CHECK(exo_xn_extents_find(&s.set, 10, 4) == &s.room[0]);
	CHECK(exo_xn_extents_find(&s.set, 13, 1) == &s.room[0]);
	CHECK(!exo_xn_extents_find(&s.set, 13, 2));
	CHECK(!exo_xn_extents_find(&s.set, 14, 1));
	CHECK(!exo_xn_extents_find(&s.set, 9, 1));
	CHECK(exo_xn_extents_find(&s.set, 23, 1) == &s.room[1]);
	CHECK(!exo_xn_extents_find(&s.set, 21, ~0U));
	CHECK(!exo_xn_extents_find(&s.set, ~0ULL, 1));
}
