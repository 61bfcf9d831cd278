// SPDX-License-Identifier: GPL-2.0
/*
 * A power failure at every point where the disk was told to make something durable, and at random points between,
 * of all sequences of three operations by two users, and of longer random ones. EXO_TEST_ROUNDS makes
 * it longer: rounds of random sequences, and all sequences instead of a part if it is above 1,000.
 */
#include "xn_world_must.h"

#define BLOCKS 260U
#define LOG 16U

/* An operation of a user, or of nobody. */
#define CHOICES (W_OPS_USER * W_USERS + (W_OPS - W_OPS_USER))

static enum w_op op_of(u32 choice)
{
	return choice < W_OPS_USER * W_USERS ? choice % W_OPS_USER :
					       choice - W_OPS_USER * W_USERS + W_OPS_USER;
}

static u32 user_of(u32 choice)
{
	return choice < W_OPS_USER * W_USERS ? choice / W_OPS_USER : 0;
}

/*
 * Two users with a unit, data of their own, and old data of both in blocks that are free; the log has
 * transactions that are not home yet.
 */
static struct world *prepared(void)
{
	static const u8 ops[] = {
		W_OP_ROOT, W_OP_DATA, W_OP_DATA, W_OP_UNIT, W_OP_WRITE, W_OP_COMMIT, W_OP_FREE,
		W_OP_COMMIT, W_OP_WRITE, W_OP_UNIT, W_OP_FREE_UNIT, W_OP_WRITE, W_OP_FLUSH, W_OP_COMMIT,
	};
	struct world *w = world_begin(BLOCKS, LOG, 0);
	u32 i, user;

	for (i = 0; i < sizeof(ops); i++)
		for (user = 0; user < W_USERS; user++) {
			w_mark(w);
			w_must(w_do(w, ops[i], user));
			w_must_be_fine(w);
		}
	w_mark(w);
	return w;
}

static void describe(const u32 *choice, u32 nr)
{
	u32 i;

	printf("# after");
	for (i = 0; i < nr; i++)
		printf(" %s(%u)", w_op_name[op_of(choice[i])], user_of(choice[i]));
	printf("\n");
}

/* Returns whether the sequence made sense; points of its last operation and of a commit are looked at. */
static bool sequence(const struct world *from, const u32 *choice, u32 nr, u32 broken, u64 *points,
		     u64 *found)
{
	struct world *w = world_copy(from, broken);
	u32 i, bad = 0, at;
	bool done = true;
	int ret;

	w->expected = found;
	for (i = 0; i <= nr && done; i++) {
		at = w_mark(w);
		ret = w_do(w, i < nr ? op_of(choice[i]) : W_OP_COMMIT_ALL, i < nr ? user_of(choice[i]) : 0);
		w_must(ret);
		done = ret;
		if (!found)
			w_must_be_fine(w);
		if (done && i + 1 >= nr)
			bad += w_check_points(w, at, 1);
	}
	*points += w->points;
	for (i = 0; found && i < W_VIOLATIONS; i++)
		found[i] += w->found[i];
	world_end(w);
	if (bad && !found) {
		describe(choice, nr);
		unit_fail(__FILE__, __LINE__, "%u of the crashes are wrong", bad);
	}
	return done;
}

TEST(crash__all_sequences)
{
	u32 choice[3], nr, i, all, part = unit_rounds(0) > 1000 ? 1 : 23, skip = unit_below(part);
	struct world *from = prepared();
	u64 points = 0, sequences = 0, n;

	for (nr = 1; nr <= 3; nr++) {
		for (i = 0, all = 1; i < nr; i++)
			all *= CHOICES;
		for (n = nr < 3 ? 0 : skip; n < all; n += nr < 3 ? 1 : part) {
			choice[0] = n % CHOICES;
			choice[1] = n / CHOICES % CHOICES;
			choice[2] = n / CHOICES / CHOICES;
			sequences += sequence(from, choice, nr, 0, &points, NULL);
		}
	}
	world_end(from);
	printf("# %llu sequences, %llu crash points\n", (unsigned long long)sequences,
	       (unsigned long long)points);
	CHECK(points >= 5000);
}

TEST(crash__random_sequences)
{
	u32 rounds = unit_rounds(12), i, n, at;
	u64 points = 0, ops = 0;
	struct world *w;
	int ret;

	for (i = 0; i < rounds; i++) {
		w = world_begin(BLOCKS + unit_below(100), LOG + unit_below(16), 0);
		/* In half of them units are given back all the time. */
		w->memory = i % 2 ? 64 << 10 : 0;
		w_must(w_again(w));
		for (n = 0; n < 80; n++) {
			at = w_mark(w);
			ret = w_do_random(w);
			w_must(ret);
			ops += ret;
			w_must_be_fine(w);
			if (ret && w_check_points(w, at, 1))
				unit_fail(__FILE__, __LINE__, "crashes of the last operation are wrong");
			if (!unit_below(40))
				w_must(w_again(w));
		}
		points += w->points;
		world_end(w);
	}
	printf("# %llu operations, %llu crash points\n", (unsigned long long)ops,
	       (unsigned long long)points);
	CHECK(points >= rounds * 20);
}

/* Recovery is interrupted at each of its writes, and the next one, too: it can be begun again from anywhere. */
TEST(crash__in_recovery_twice)
{
	struct world *from = prepared(), *w = world_copy(from, 0);
	static const u8 ops[] = { W_OP_DATA, W_OP_UNIT, W_OP_WRITE, W_OP_COMMIT, W_OP_FREE, W_OP_SCRIBBLE, W_OP_COMMIT };
	struct sim_image image;
	u32 i, bad, user;

	for (i = 0; i < sizeof(ops); i++)
		for (user = 0; user < W_USERS; user++) {
			w_mark(w);
			w_must(w_do(w, ops[i], user));
		}
	w_mark(w);
	sim_image_copy(&image, &w->sim->now);
	bad = w_check_recovery(w, &image, 2);
	sim_image_free(&image);
	printf("# %llu crash points of recoveries\n", (unsigned long long)w->points);
	CHECK(w->points > 100);
	CHECK_EQ(bad, 0);
	world_end(w);
	world_end(from);
}

/* So is the deletion of a root, which goes on at the next attach. */
TEST(crash__in_recovery_of_a_deletion)
{
	struct world *from = prepared(), *w = world_copy(from, 0);
	struct sim_image image;
	u32 i, at, bad = 0;

	at = w_mark(w);
	w_must(w_do(w, W_OP_ROOT, 0));
	for (i = at; i <= w->sim->nr_events; i++) {
		sim_crash(w->sim, i, SIM_ALL, &image);
		bad += w_check_recovery(w, &image, 1);
		sim_image_free(&image);
	}
	CHECK_EQ(bad, 0);
	world_end(w);
	world_end(from);
}

/*
 * Taken and freed between two commits: the log doesn't know of it, so its home, which a crash tears, must
 * not either (INV-XN-12), though it was somebody else's before.
 */
TEST(crash__taken_and_freed_between_commits)
{
	struct world *w = world_begin(BLOCKS, LOG, 0);
	u32 at, bad;

	W_SCRIPT(w, { W_OP_ROOT, 0 }, { W_OP_ROOT, 1 },
		 { W_OP_DATA, 1 }, { W_OP_COMMIT, 1 }, { W_OP_FREE, 1 }, { W_OP_COMMIT, 1 }, { W_OP_CHECKPOINT, 0 },
		 { W_OP_DATA, 0 }, { W_OP_FREE, 0 }, { W_OP_COMMIT, 0 });
	at = w_mark(w);
	w_must(w_do(w, W_OP_CHECKPOINT, 0));
	bad = w_check_points(w, at, 50);
	CHECK(w->sim->nr_events > at);
	CHECK_EQ(bad, 0);
	world_end(w);
}

/* The controls: with a rule switched off, the checker must see what it prevents. */

static void print_found(const char *name, const u64 *found)
{
	u32 i;

	printf("# without %s:", name);
	for (i = 0; i < W_VIOLATIONS; i++)
		if (found[i])
			printf(" %s %llu", w_violation_name[i], (unsigned long long)found[i]);
	printf("\n");
}

/* Until one of @wanted, a bit each, was seen: random worlds, so many that it is certain. */
static void control(const char *name, u32 broken, u32 wanted, u64 *found)
{
	bool seen = false;
	u32 i, n, at;
	struct world *w;

	memset(found, 0, W_VIOLATIONS * sizeof(*found));
	for (i = 0; i < 20 || (!seen && i < 1000); i++) {
		w = world_begin(BLOCKS, LOG, broken);
		w->expected = true;
		for (n = 0; n < 60; n++) {
			at = w_mark(w);
			if (w_do_random(w) < 0 || w_check_points(w, at, 2) || w_check_live(w))
				break;
		}
		for (n = 0; n < W_VIOLATIONS; n++) {
			found[n] += w->found[n];
			seen |= wanted >> n & 1 && found[n];
		}
		world_end(w);
	}
	print_found(name, found);
}

/* A commit says that a block was written, and what was written is still in the device's cache. */
TEST(crash__without_flush_before_commit)
{
	struct world *w = world_begin(BLOCKS, LOG, EXO_XN_BREAK_PREFLUSH);
	u32 at;

	w->expected = true;
	W_SCRIPT(w, { W_OP_ROOT, 0 }, { W_OP_ROOT, 1 },
		 { W_OP_DATA, 1 }, { W_OP_WRITE_FUA, 1 }, { W_OP_COMMIT, 1 }, { W_OP_FREE, 1 }, { W_OP_COMMIT_ALL, 0 },
		 { W_OP_DATA, 0 }, { W_OP_WRITE, 0 });
	at = w_mark(w);
	w_must(w_do(w, W_OP_COMMIT, 0));
	w_check_points(w, at, 2);
	print_found("a flush before the commit", w->found);
	CHECK(w->found[W_LEAK]);
	world_end(w);
}

TEST(crash__without_fua)
{
	u64 found[W_VIOLATIONS];

	control("a durable commit", EXO_XN_BREAK_FUA, 1U << W_STATE, found);
	CHECK(found[W_STATE]);
}

TEST(crash__initialised_at_allocation)
{
	u64 found[W_VIOLATIONS];

	control("the mark of what was written", EXO_XN_BREAK_INIT, 1U << W_LEAK, found);
	CHECK(found[W_LEAK]);
}

/* What was freed is given to somebody else, who writes there; the free isn't durable. */
TEST(crash__freed_blocks_are_free_at_once)
{
	struct world *w = world_begin(BLOCKS, LOG, EXO_XN_BREAK_REUSE);
	u32 at;

	w->expected = true;
	W_SCRIPT(w, { W_OP_ROOT, 0 }, { W_OP_DATA, 0 }, { W_OP_WRITE_FUA, 0 }, { W_OP_COMMIT, 0 },
		 { W_OP_ROOT, 1 }, { W_OP_FREE, 0 }, { W_OP_DATA, 1 });
	at = w_mark(w);
	w_must(w_do(w, W_OP_WRITE_FUA, 1));
	w_check_points(w, at, 2);
	print_found("a wait for the free", w->found);
	CHECK(w->found[W_LEAK]);
	world_end(w);
}

TEST(crash__tail_before_homes)
{
	u64 found[W_VIOLATIONS];

	control("homes before the tail", EXO_XN_BREAK_TAIL,
		1U << W_STATE | 1U << W_QUARANTINE | 1U << W_ATTACH, found);
	CHECK(found[W_STATE] || found[W_QUARANTINE] || found[W_ATTACH]);
}

/* A unit, committed; freed, committed; then its block is somebody's data: replay must not write the unit. */
TEST(crash__replay_of_freed_units)
{
	struct world *w = world_begin(BLOCKS, LOG, EXO_XN_BREAK_REVOKE);
	u32 at;

	w->expected = true;
	W_SCRIPT(w, { W_OP_ROOT, 0 }, { W_OP_ROOT, 1 },
		 { W_OP_UNIT, 0 }, { W_OP_COMMIT, 0 }, { W_OP_FREE_UNIT, 0 }, { W_OP_COMMIT, 0 },
		 { W_OP_DATA, 1 }, { W_OP_DATA, 1 });
	for (at = 0; at < W_BLOCKS; at++)
		if (w_root_of(w, 1)->now.life[at]) {
			w_write_begin(w, w_root_of(w, 1), at, false);
			w_write_end(w, at);
		}
	at = w_mark(w);
	w_must(w_do(w, W_OP_COMMIT, 1));
	w_check_points(w, at, 2);
	print_found("revocation of freed units", w->found);
	CHECK(w->found[W_TORN] || w->found[W_LEAK] || w->found[W_QUARANTINE]);
	world_end(w);
}

/* Whoever points at another's block without saying so is refused, and what would be if not is seen. */
TEST(crash__stolen_blocks)
{
	enum w_violation bad;
	u32 broken;

	for (broken = 0; broken <= EXO_XN_BREAK_DELTA; broken += EXO_XN_BREAK_DELTA) {
		struct world *w = world_begin(BLOCKS, LOG, broken);
		int ret;

		W_SCRIPT(w, { W_OP_ROOT, 0 }, { W_OP_ROOT, 1 }, { W_OP_DATA, 1 }, { W_OP_COMMIT_ALL, 0 });
		w_mark(w);
		for (ret = 0; !w_root_of(w, 1)->now.life[ret]; ret++)
			;
		ret = w_steal(w, w_root_of(w, 0), ret);
		bad = w_check_live(w);
		if (broken)
			printf("# without a comparison of what is owned: %s\n", w_violation_name[bad]);
		CHECK_EQ(ret, broken ? 0 : -EINVAL);
		CHECK_EQ(bad, broken ? W_TWICE : W_FINE);
		world_end(w);
	}
}
