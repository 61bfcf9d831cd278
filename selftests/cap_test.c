// SPDX-License-Identifier: GPL-2.0
/*
 * Capabilities in the hands of an intruder: wrong, forged, weakened, revoked, somebody else's.
 */
#include <signal.h>

#include "harness.h"
#include "lib.h"

/* What an environment can be asked to do with a capability. */
static int do_check(int fd, const struct exo_cap *cap) { return t_cap_check(fd, cap, RO); }
static int do_import(int fd, const struct exo_cap *cap) { return t_import(fd, cap, NULL, NULL); }
static int do_revoke(int fd, const struct exo_cap *cap) { return t_cap_revoke(fd, cap); }

static int do_derive(int fd, const struct exo_cap *cap)
{
	struct exo_cap out;

	return t_cap_derive(fd, cap, RO, &out);
}

static const struct {
	const char *name;
	int (*fn)(int fd, const struct exo_cap *cap);
} uses[] = {
	{ "check", do_check },
	{ "derive", do_derive },
	{ "import", do_import },
	{ "revoke", do_revoke },
};
#define NR_USES (sizeof(uses) / sizeof(uses[0]))

static struct exo_cap make(int fd, uint32_t frame, uint32_t rights)
{
	struct exo_cap cap;

	ASSERT_EQ(t_cap(fd, frame, rights, &cap), 0);
	return cap;
}

static void expect_all(int fd, const struct exo_cap *cap, int err, const char *what)
{
	unsigned int i;

	for (i = 0; i < NR_USES; i++)
		ASSERT_EQ_FOR(uses[i].fn(fd, cap), err, "%s of %s", uses[i].name, what);
}

/* Catches: rights that change on their way (INV-CAP-1). */
TEST(create__rights)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd), rights;

	for (rights = 1; rights <= EXO_RIGHTS_ALL; rights++) {
		struct exo_cap cap;
		uint32_t asked;

		ASSERT_EQ_FOR(t_cap(fd, frame, rights, &cap), 0, "rights %#x", rights);
		ASSERT_EQ(cap.rights, rights);
		ASSERT_EQ(cap.kind, EXO_CAP_FRAME);
		ASSERT_EQ(cap.object, frame);
		ASSERT_EQ(cap.reserved, 0);
		for (asked = 1; asked <= EXO_RIGHTS_ALL; asked++)
			ASSERT_EQ_FOR(t_cap_check(other, &cap, asked), asked & ~rights ? -EACCES : 0,
				      "rights %#x, asked %#x", rights, asked);
	}
}

/* Catches: rights, kinds and objects that don't exist being sealed (INV-CAP-1). */
TEST(create__bad)
{
	struct exo_cap_create arg = { .size = sizeof(arg), .kind = EXO_CAP_FRAME, .rights = RO };
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd);
	struct exo_info info;

	t_info(fd, &info);
	arg.object = frame;
	arg.rights = 0x20;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EINVAL);
	arg.rights = 0xffff;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EINVAL);
	arg.rights = RO;
	arg.kind = 0;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EINVAL);
	arg.kind = 77;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EINVAL);
	arg.kind = EXO_CAP_FRAME;
	/* Somebody else's, free, absent, out of range: all the same answer. */
	ASSERT_EQ(t_ioctl(other, EXO_CAP_CREATE, &arg), -EACCES);
	t_free1(fd, frame);
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EACCES);
	arg.object = info.out_frames;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EACCES);
	arg.object = 0xffffffff00000000ULL | frame;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EACCES);
	arg.object = ~0ULL;
	ASSERT_EQ(t_ioctl(fd, EXO_CAP_CREATE, &arg), -EACCES);
}

/* Flip 16 bits, as a user of its own: who guesses is slowed down. */
static void flip(const struct exo_cap *good, unsigned int part)
{
	struct exo_cap cap;
	unsigned int bit;
	int fd;

	t_become(20000 + part);
	fd = t_open();
	for (bit = part * 16; bit < part * 16 + 16; bit++) {
		cap = *good;
		((unsigned char *)&cap)[bit / 8] ^= 1U << bit % 8;
		ASSERT_EQ_FOR(t_cap_check(fd, &cap, 0), -EACCES, "bit %u", bit);
	}
	ASSERT_EQ(t_cap_check(fd, good, EXO_RIGHTS_ALL), 0);
	_exit(0);
}

/* Catches: bits that the MAC does not cover. Each of the 256 bits is flipped once (INV-CAP-3). */
TEST(forge__each_bit)
{
	struct exo_cap good;
	unsigned int part;
	pid_t pid;
	int fd;

	t_need_root();
	fd = t_open();
	good = make(fd, t_frame(fd), EXO_RIGHTS_ALL);
	for (part = 0; part < sizeof(good) * 8 / 16; part++) {
		pid = test_fork();
		if (!pid)
			flip(&good, part);
		test_join(pid);
	}
}

/* Catches: one use that forgets to check (INV-CAP-1, INV-CAP-3). */
TEST_LONG(forge__each_use, 60)
{
	int fd = t_open(), other = t_open();
	struct exo_cap good = make(fd, t_frame(fd), RO), cap;
	struct exo_info info;

	t_info(fd, &info);
	cap = good;
	cap.mac ^= 1;
	expect_all(other, &cap, -EACCES, "a wrong MAC");
	cap = good;
	cap.rights = EXO_RIGHTS_ALL;
	expect_all(other, &cap, -EACCES, "more rights");
	cap = good;
	cap.object = t_frame(fd);
	expect_all(other, &cap, -EACCES, "another frame");
	cap = good;
	cap.generation++;
	expect_all(other, &cap, -EACCES, "the next generation");
	/* Objects that don't exist get the same answer as those that do. */
	cap = good;
	cap.object = info.out_frames + 5ULL;
	expect_all(other, &cap, -EACCES, "a frame out of range");
	cap = good;
	cap.kind = 2;
	expect_all(other, &cap, -EACCES, "another kind");
	memset(&cap, 0, sizeof(cap));
	ASSERT_EQ(t_cap_check(other, &cap, 0), -EACCES);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), -EACCES);
	memset(&cap, 0xff, sizeof(cap));
	expect_all(other, &cap, -EACCES, "all ones");
}

/* Catches: derivation that amplifies (INV-CAP-1). */
TEST(derive__weaker_only)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd), have, want;

	for (have = 1; have <= EXO_RIGHTS_ALL; have++) {
		struct exo_cap cap = make(fd, frame, have), out;

		for (want = 1; want <= EXO_RIGHTS_ALL; want++) {
			int ret = t_cap_derive(other, &cap, want, &out);

			if (!(have & EXO_RIGHT_DERIVE) || (want & ~have)) {
				ASSERT_EQ_FOR(ret, -EACCES, "have %#x, want %#x", have, want);
				continue;
			}
			ASSERT_EQ_FOR(ret, 0, "have %#x, want %#x", have, want);
			ASSERT_EQ(out.rights, want);
			ASSERT_EQ(out.generation, cap.generation);
		}
	}
}

/* Catches: unknown rights in the 32-bit field being cut off and accepted. */
TEST(derive__bad_rights)
{
	int fd = t_open();
	struct exo_cap cap = make(fd, t_frame(fd), EXO_RIGHTS_ALL), out;
	static const uint32_t bad[] = { 0x20, 0x10000, 0x10001, 0x80000001, 0xffffffff };
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_EQ(t_cap_derive(fd, &cap, bad[i], &out), -EINVAL);
		ASSERT_EQ(t_cap_check(fd, &cap, bad[i]), -EINVAL);
	}
}

/* Catches: a revoked capability that still opens something (INV-CAP-2). */
TEST(revoke__all_that_are_out)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd);
	struct exo_cap all = make(fd, frame, EXO_RIGHTS_ALL), weak, again;

	ASSERT_EQ(t_cap_derive(other, &all, RO, &weak), 0);
	ASSERT_EQ(t_cap_check(other, &weak, RO), 0);
	/* The weak one can't revoke. */
	ASSERT_EQ(t_cap_revoke(other, &weak), -EACCES);
	ASSERT_EQ(t_cap_check(other, &weak, RO), 0);

	ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
	expect_all(other, &all, -ESTALE, "a revoked capability");
	ASSERT_EQ(t_cap_check(other, &weak, RO), -ESTALE);
	ASSERT_EQ(t_import(other, &weak, NULL, NULL), -ESTALE);
	/* A forged one that is also stale is only forged. */
	weak.mac ^= 1ULL << 63;
	ASSERT_EQ(t_cap_check(other, &weak, RO), -EACCES);

	again = make(fd, frame, EXO_RIGHTS_ALL);
	ASSERT_NE(again.generation, all.generation);
	ASSERT_EQ(t_cap_check(other, &again, RO), 0);
	/* By capability, from another environment. */
	ASSERT_EQ(t_cap_revoke(other, &again), 0);
	ASSERT_EQ(t_cap_check(fd, &again, RO), -ESTALE);
	/* Its owner still has it. */
	t_fill(fd, frame, 5);
	ASSERT_EQ(t_peek(fd, frame), 5);
}

/* Catches: strangers that revoke (INV-CAP-1). */
TEST(revoke__foreign)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd);
	struct exo_cap cap = make(fd, frame, EXO_RIGHTS_ALL);

	ASSERT_EQ(t_cap_revoke_own(other, frame), -EACCES);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	ASSERT_EQ(t_cap_revoke_own(other, frame), -EACCES);
	ASSERT_EQ(t_cap_check(other, &cap, RO), 0);
}

/* Catches: a capability that survives its object (INV-CAP-2). */
TEST(free__makes_stale)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd);
	struct exo_cap cap = make(fd, frame, EXO_RIGHTS_ALL);

	ASSERT_EQ(t_free1(fd, frame), 0);
	expect_all(other, &cap, -ESTALE, "a capability for a freed frame");
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	/* The frame has another owner now, and the capability is as dead as before. */
	expect_all(fd, &cap, -ESTALE, "a capability for a frame that changed hands");
}

/* Catches: a generation that comes again after free, revoke, or death (INV-CAP-2). */
TEST(generation__never_again)
{
	unsigned int i, rounds = test_rounds(2000, 8);
	int fd = t_open();
	uint32_t frame = t_frame(fd);
	uint64_t last = 0;

	for (i = 0; i < rounds; i++) {
		struct exo_cap cap = make(fd, frame, RO);

		/* They are given out in order, so that "never again" can be seen. */
		ASSERT_GT(cap.generation, last);
		last = cap.generation;
		switch (i % 3) {
		case 0:
			ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
			break;
		case 1:
			ASSERT_EQ(t_free1(fd, frame), 0);
			ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
			break;
		case 2:
			close(fd);
			fd = t_open();
			while (t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, NULL))
				;
			break;
		}
	}
}

static uint64_t guess(int fd, const struct exo_cap *bad, unsigned int n)
{
	uint64_t start = test_now_ns();

	while (n--)
		ASSERT_EQ(t_cap_check(fd, bad, RO), -EACCES);
	return test_now_ns() - start;
}

/* Catches: guessing at full speed; slowing down those who don't guess (INV-CAP-5). */
TEST_LONG(guess__slowed_down, 60)
{
	struct exo_cap good, bad;
	uint64_t fast, slow, bobs;
	struct test_sync sync;
	uint32_t frame;
	pid_t bob;
	int fd;

	t_need_root();
	test_sync_init(&sync);
	fd = t_open();
	frame = t_frame(fd);
	good = make(fd, frame, RO);
	bob = test_fork();
	if (!bob) {
		uint64_t start;
		unsigned int i;

		t_become(BOB);
		fd = t_open();
		test_sync_wait(&sync);
		start = test_now_ns();
		/* So many that a moment without a processor is little beside what a slowed check would add. */
		for (i = 0; i < 1000; i++)
			ASSERT_EQ(t_cap_check(fd, &good, RO), 0);
		bobs = test_now_ns() - start;
		ASSERT_LT(bobs, 4000000000LL * test_slow());
		_exit(0);
	}
	t_become(ALICE);
	fd = t_open();
	bad = good;
	bad.mac ^= 0x100;
	fast = guess(fd, &bad, 8);
	guess(fd, &bad, 40);
	test_sync_post(&sync);
	slow = guess(fd, &bad, 8);
	test_note("8 guesses: %llu us at first, %llu us after 48", (unsigned long long)fast / 1000,
		  (unsigned long long)slow / 1000);
	/* At least 5 ms each. */
	ASSERT_GT(slow, 40000000);
	test_join(bob);
}

static void guesser(void *arg)
{
	const struct exo_cap *bad = arg;
	int fd;

	t_become(ALICE);
	fd = t_open();
	for (;;)
		t_cap_check(fd, bad, RO);
}

/* Catches: a guesser that sleeps where it can't be killed. */
TEST(guess__killable)
{
	int fd = t_open();
	struct exo_cap bad;
	uint64_t start;
	pid_t pid;

	t_need_root();
	bad = make(fd, t_frame(fd), RO);
	bad.mac++;
	pid = test_spawn(guesser, &bad);
	test_sleep_ms(300);
	start = test_now_ns();
	kill(pid, SIGKILL);
	test_join_killed(pid, SIGKILL);
	ASSERT_EQ(test_overdue(start, 1000), false);
}

/* Catches: a capability of yesterday's owner that opens today's frame, through death (INV-CAP-2). */
TEST(death__makes_stale)
{
	struct exo_cap *cap = test_shared(sizeof(*cap));
	uint32_t frame;
	pid_t pid = test_fork();
	int fd;

	if (!pid) {
		fd = t_open();
		*cap = make(fd, t_frame(fd), EXO_RIGHTS_ALL);
		_exit(0);
	}
	test_join(pid);
	fd = t_open();
	expect_all(fd, cap, -ESTALE, "a dead environment's capability");
	frame = (uint32_t)cap->object;
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	expect_all(fd, cap, -ESTALE, "a dead environment's capability for a frame of ours");
}
