// SPDX-License-Identifier: GPL-2.0
#include "core/cap.h"
#include "unit.h"

static struct exo_cap good_cap(void)
{
	return (struct exo_cap) {
		.kind = EXO_CAP_FRAME,
		.rights = EXO_RIGHTS_ALL,
		.object = 42,
		.generation = 7,
		.mac = 0x1234,
	};
}

static struct exo_cap random_cap(void)
{
	return (struct exo_cap) {
		.kind = unit_below(4),
		.rights = unit_below(2) ? unit_below(64) : unit_random(),
		.reserved = unit_below(4) ? 0 : unit_random(),
		.object = unit_edge(),
		.generation = unit_below(2) ? unit_below(4) : unit_edge(),
		.mac = unit_random(),
	};
}

static void flip(struct exo_cap *cap, unsigned int bit)
{
	((u8 *)cap)[bit / 8] ^= 1U << bit % 8;
}

/* Every bit before the generation: one that is flipped gives another word, or is refused as such. */
TEST(exo_cap_word__every_bit_counts)
{
	unsigned int i, bit;

	for (i = 0; i < unit_rounds(1000); i++) {
		struct exo_cap cap = random_cap();
		u64 before;

		cap.reserved = 0;
		cap.object = (u32)cap.object;
		before = exo_cap_word(&cap);
		CHECK(exo_cap_is_whole(&cap));
		for (bit = 0; bit < 8 * offsetof(struct exo_cap, generation); bit++) {
			flip(&cap, bit);
			CHECK(exo_cap_word(&cap) != before || !exo_cap_is_whole(&cap));
			flip(&cap, bit);
		}
		CHECK_EQ(exo_cap_word(&cap), before);
	}
}

TEST(exo_cap_mac_equal__every_bit_counts)
{
	unsigned int i, bit;

	for (i = 0; i < unit_rounds(1000); i++) {
		u64 mac = unit_edge();

		CHECK(exo_cap_mac_equal(mac, mac));
		for (bit = 0; bit < 64; bit++)
			CHECK(!exo_cap_mac_equal(mac, mac ^ 1ULL << bit));
	}
}

TEST(exo_cap_form_ok__good)
{
	struct exo_cap cap = good_cap();

	CHECK(exo_cap_form_ok(&cap, 0));
	CHECK(exo_cap_form_ok(&cap, EXO_CAP_FRAME));
}

TEST(exo_cap_form_ok__bad)
{
	struct exo_cap cap = good_cap();

	CHECK(!exo_cap_form_ok(&cap, EXO_CAP_FRAME + 1));
	cap.reserved = 1;
	CHECK(!exo_cap_form_ok(&cap, 0));
	cap = good_cap();
	cap.rights = 0;
	CHECK(!exo_cap_form_ok(&cap, 0));
	cap.rights = EXO_RIGHTS_ALL + 1;
	CHECK(!exo_cap_form_ok(&cap, 0));
	cap = good_cap();
	cap.kind = 0;
	CHECK(!exo_cap_form_ok(&cap, 0));
}

TEST(exo_cap_allows__revoked_before_rights)
{
	struct exo_cap cap = good_cap();

	CHECK_EQ(exo_cap_allows(&cap, 7, EXO_RIGHTS_ALL), 0);
	CHECK_EQ(exo_cap_allows(&cap, 8, EXO_RIGHTS_ALL), -ESTALE);
	CHECK_EQ(exo_cap_allows(&cap, 6, 0), -ESTALE);
	cap.rights = EXO_RIGHT_READ;
	CHECK_EQ(exo_cap_allows(&cap, 7, EXO_RIGHT_READ), 0);
	CHECK_EQ(exo_cap_allows(&cap, 7, EXO_RIGHT_WRITE), -EACCES);
	CHECK_EQ(exo_cap_allows(&cap, 8, EXO_RIGHT_WRITE), -ESTALE);
}

TEST(exo_cap_allows__rights_beyond_16_bits)
{
	struct exo_cap cap = good_cap();

	CHECK_EQ(exo_cap_allows(&cap, 7, 1U << 16), -EACCES);
	CHECK_EQ(exo_cap_allows(&cap, 7, 1U << 31), -EACCES);
}

TEST(exo_cap_weaken__errors_leave_the_result_alone)
{
	struct exo_cap cap = good_cap(), to, untouched;

	memset(&to, 0x5a, sizeof(to));
	untouched = to;
	CHECK_EQ(exo_cap_weaken(&cap, 0, &to), -EINVAL);
	CHECK_EQ(exo_cap_weaken(&cap, EXO_RIGHTS_ALL + 1, &to), -EINVAL);
	CHECK_EQ(exo_cap_weaken(&cap, 1U << 16 | EXO_RIGHT_READ, &to), -EINVAL);
	cap.rights = EXO_RIGHT_READ | EXO_RIGHT_WRITE;
	CHECK_EQ(exo_cap_weaken(&cap, EXO_RIGHT_READ, &to), -EACCES);
	cap.rights = EXO_RIGHT_READ | EXO_RIGHT_DERIVE;
	CHECK_EQ(exo_cap_weaken(&cap, EXO_RIGHT_READ | EXO_RIGHT_WRITE, &to), -EACCES);
	CHECK(!memcmp(&to, &untouched, sizeof(to)));
}

/* Chains of derivations: rights only ever shrink, object and generation stay (INV-CAP-1). */
TEST(exo_cap_weaken__random_chains)
{
	unsigned int i, derived = 0;

	for (i = 0; i < unit_rounds(50000); i++) {
		struct exo_cap cap = good_cap(), to;
		u32 ancestors = cap.rights;

		for (;;) {
			u32 rights = unit_below(4) ? unit_below(64) : (u32)unit_edge();
			int ret = exo_cap_weaken(&cap, rights, &to);

			if (ret == -EINVAL) {
				CHECK(!rights || rights > EXO_RIGHTS_ALL);
				break;
			}
			if (ret) {
				CHECK_EQ(ret, -EACCES);
				CHECK(!(cap.rights & EXO_RIGHT_DERIVE) || (rights & ~cap.rights));
				break;
			}
			CHECK(cap.rights & EXO_RIGHT_DERIVE);
			CHECK_EQ(to.rights, rights);
			CHECK(!(to.rights & ~ancestors));
			CHECK_EQ(to.object, cap.object);
			CHECK_EQ(to.generation, cap.generation);
			CHECK_EQ(to.kind, cap.kind);
			CHECK_EQ(to.mac, 0);
			CHECK(exo_cap_form_ok(&to, cap.kind));
			ancestors &= to.rights;
			cap = to;
			derived++;
		}
	}
	CHECK(derived > i / 10);
}

TEST(exo_cap_decay__forgets)
{
	CHECK_EQ(exo_cap_decay(10, 0), 10);
	CHECK_EQ(exo_cap_decay(10, EXO_CAP_FORGET_MS - 1), 10);
	CHECK_EQ(exo_cap_decay(10, EXO_CAP_FORGET_MS), 9);
	CHECK_EQ(exo_cap_decay(10, 10 * EXO_CAP_FORGET_MS), 0);
	CHECK_EQ(exo_cap_decay(0, 0), 0);
	CHECK_EQ(exo_cap_decay(UINT32_MAX, ~0ULL), 0);
	CHECK_EQ(exo_cap_decay(UINT32_MAX, (1ULL << 33) * EXO_CAP_FORGET_MS), 0);
}

TEST(exo_cap_delay_ms__bounds)
{
	CHECK_EQ(exo_cap_delay_ms(0), 0);
	CHECK_EQ(exo_cap_delay_ms(EXO_CAP_FREE_FAILURES), 0);
	CHECK_EQ(exo_cap_delay_ms(EXO_CAP_FREE_FAILURES + 1), 1);
	CHECK_EQ(exo_cap_delay_ms(EXO_CAP_FREE_FAILURES + EXO_CAP_DELAY_MAX_MS),
		 EXO_CAP_DELAY_MAX_MS);
	CHECK_EQ(exo_cap_delay_ms(EXO_CAP_FREE_FAILURES + EXO_CAP_DELAY_MAX_MS + 1),
		 EXO_CAP_DELAY_MAX_MS);
	CHECK_EQ(exo_cap_delay_ms(UINT32_MAX), EXO_CAP_DELAY_MAX_MS);
}

/* A guesser that never stops: soon each failure costs more than what is forgotten meanwhile. */
TEST(exo_cap_delay_ms__guessing_gets_slow)
{
	u32 failures = 0;
	u64 ms = 0;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		u32 delay;

		failures++;
		delay = exo_cap_delay_ms(failures);
		failures = exo_cap_decay(failures, delay);
		ms += delay;
	}
	CHECK(ms > 1000 * EXO_CAP_FORGET_MS / 2);
	/* Whoever stops is forgiven. */
	CHECK_EQ(exo_cap_decay(failures, 60000), 0);
}
