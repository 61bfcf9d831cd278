// SPDX-License-Identifier: GPL-2.0
/*
 * Formats whose functions lie, and disks that somebody else has written: a change is refused, or the root that is
 * wrong is quarantined, alone. Its blocks are what the map says are its own, and nobody else's suffer.
 */
#include "xn_world_must.h"

#define EVIL 0U		/* users */
#define VICTIM 1U

/* Both have a unit with data below it, committed; so far nobody lies. */
static struct world *begin(void)
{
	static const u8 ops[] = { W_OP_DATA, W_OP_UNIT, W_OP_WRITE_FUA, W_OP_COMMIT };
	struct world *w = world_begin(300, 32, 0);
	struct w_root *root;
	u32 i, user;

	w_must(w_create(w, w_uid(EVIL), SIM_EVIL, &root));
	w_mark(w);
	w_must(w_create(w, w_uid(VICTIM), SIM_LIST, &root));
	for (i = 0; i < sizeof(ops); i++)
		for (user = 0; user < W_USERS; user++) {
			w_mark(w);
			w_must(w_do(w, ops[i], user));
		}
	w_mark(w);
	w_must_be_fine(w);
	return w;
}

static void turn_evil(struct sim *sim, u64 block, enum sim_evil evil)
{
	u32 word = evil;

	sim_poke(&sim->now, block, offsetof(struct sim_unit, evil), &word, sizeof(word));
	sim_poke(&sim->durable, block, offsetof(struct sim_unit, evil), &word, sizeof(word));
}

static void walk(struct exo_xn *xn, u32 flags, struct exo_xn_check *check)
{
	struct exo_xn_walk *walk;
	u32 steps = 0;
	int ret;

	CHECK_EQ(exo_xn_walk_begin(xn, flags, &walk), 0);
	do
		ret = exo_xn_walk_step(walk, 4);
	while (ret == 1 && ++steps < 10000);
	exo_xn_walk_show(walk, check);
	exo_xn_walk_end(walk);
	CHECK_EQ(ret, 0);
}

static bool quarantined(struct exo_xn *xn, const struct w_root *root)
{
	return exo_xn_root(xn, root->number)->flags & EXO_XN_ROOT_QUARANTINED;
}

/* A change after which the functions say something impossible. */
TEST(hostile__a_change_that_makes_owns_lie)
{
	struct world *w = begin();
	struct w_root *root = w_root_of(w, EVIL);
	struct sim_unit *head;
	struct w_tx tx;
	u32 evil;
	int ret;

	for (evil = SIM_GOOD + 1; evil < SIM_EVILS; evil++) {
		w_tx_begin(&tx, w, root);
		head = (struct sim_unit *)w_tx_change(&tx, root->block)->bytes->at;
		head->evil = evil;
		ret = w_tx_apply(&tx, root->uid);
		CHECK_EQ(ret, evil == SIM_BILLION ? -E2BIG : -EINVAL);
		CHECK_EQ(tx.out_block, root->block);
		CHECK_EQ(tx.out_step, tx.nr);
		w_tx_drop(&tx);
		w_must_be_fine(w);
	}
	world_end(w);
}

/* What a unit says is decided when it is looked at: functions that say something else each time change nothing. */
TEST(hostile__owns_that_differs_between_calls)
{
	struct exo_xn_extent e = { .count = 1, .slot = EXO_XN_DATA };
	struct world *w = begin();
	struct w_root *root = w_root_of(w, EVIL);
	struct exo_xn_who who = w_who(root->uid);
	struct exo_xn_check check = {};
	struct exo_xn_unit *unit;
	struct sim_unit *head;
	struct w_tx tx;
	u32 i;

	/* The one time it says just what the step says. */
	e.block = w->sim->now.blocks - 1;
	w->sim->lies = 0;
	w_tx_begin(&tx, w, root);
	head = (struct sim_unit *)w_tx_change(&tx, root->block)->bytes->at;
	head->evil = SIM_DIFFERS;
	CHECK(w_tx_step(&tx, EXO_XN_ALLOC, root->block, e.block, 1, EXO_XN_DATA));
	CHECK_EQ(w_tx_apply(&tx, root->uid), 0);
	w_tx_drop(&tx);
	w_must(w_do(w, W_OP_COMMIT, EVIL));
	w_mark(w);
	/* From now on its unit, read again, claims another block: that the map gives to nobody, or to the victim. */
	exo_xn_limit(w->xn, 0);
	for (i = 0; i < 4; i++) {
		CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), 0);
		for (e.block = w->sim->now.blocks - 3; e.block < w->sim->now.blocks - 1; e.block++)
			CHECK(exo_xn_bind_check(w->xn, unit, &who, e.block, 1, EXO_RIGHT_READ) < 0);
	}
	exo_xn_limit(w->xn, EXO_XN_MEMORY);
	w->sim->lies = 1;
	walk(w->xn, EXO_XN_CHECK_REPAIR, &check);
	CHECK_EQ(check.out_bad, 1);
	CHECK(quarantined(w->xn, root));
	CHECK(!quarantined(w->xn, w_root_of(w, VICTIM)));
	w_delete(w, root);
	w_finish(w);
	w_must_be_fine(w);
	world_end(w);
}

/* The same on a disk that was written elsewhere: who looks at it is told, a walk finds it, and it can be deleted. */
TEST(hostile__a_root_that_is_evil_on_the_disk)
{
	struct exo_xn_step_core none = { .kind = EXO_XN_WRITE, .length = 1, .bytes = (const u8 *)"" };
	struct exo_xn_check check;
	struct exo_xn_unit *unit;
	struct exo_xn_who who;
	struct w_root *root;
	struct world *w;
	u32 evil, out_step;
	u64 out_block;

	for (evil = SIM_GOOD + 1; evil < SIM_EVILS; evil++) {
		w = begin();
		root = w_root_of(w, EVIL);
		who = w_who(root->uid);
		none.parent = root->block;
		w_must(w_again(w));
		w->sim->lies = 0;
		turn_evil(w->sim, root->block, evil);
		CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit) != 0,
			 evil != SIM_DIFFERS);
		memset(&check, 0, sizeof(check));
		walk(w->xn, 0, &check);
		CHECK_EQ(check.out_bad, 1);
		CHECK_EQ(check.out_leaked, 0);
		CHECK(!quarantined(w->xn, root));
		walk(w->xn, EXO_XN_CHECK_REPAIR, &check);
		CHECK(quarantined(w->xn, root));
		CHECK(!quarantined(w->xn, w_root_of(w, VICTIM)));
		CHECK_EQ(exo_xn_root_release(w->xn, root->number), -EINVAL);
		/* It can be read, as something that owns nothing, but not changed; the victim goes on. */
		CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), 0);
		CHECK_EQ(exo_xn_apply(w->xn, &who, root->number, &none, 1, &out_step, &out_block), -EACCES);
		w_must(w_do(w, W_OP_DATA, VICTIM));
		w_must(w_do(w, W_OP_COMMIT, VICTIM));
		w_mark(w);
		CHECK_EQ(w_delete(w, root), 0);
		w_finish(w);
		w_must_be_fine(w);
		world_end(w);
	}
}

/* The log has a change of a unit that is evil at home: recovery quarantines its root, no other, and goes on. */
TEST(hostile__replay_of_an_evil_root)
{
	struct exo_xn_stat stat;
	struct w_root *root;
	struct world *w;
	struct exo_xn *xn;
	struct sim *sim;
	u32 evil, user;

	for (evil = SIM_GOOD + 1; evil < SIM_EVILS; evil++) {
		w = begin();
		root = w_root_of(w, EVIL);
		w_must(w_again(w));
		for (user = 0; user < W_USERS; user++) {
			w_must(w_do(w, W_OP_SCRIBBLE, user));
			w_must(w_do(w, W_OP_COMMIT, user));
		}
		sim = sim_from(&w->sim->now);
		turn_evil(sim, root->block, evil);
		CHECK_EQ(exo_xn_attach(&sim->host, sim, sim->now.blocks, 0, &xn), 0);
		exo_xn_stat(xn, &stat);
		CHECK_EQ(stat.replayed, 2);
		CHECK_EQ(stat.quarantined, 1);
		CHECK(quarantined(xn, root));
		exo_xn_free(xn);
		/* It stays so. */
		CHECK_EQ(exo_xn_attach(&sim->host, sim, sim->now.blocks, 0, &xn), 0);
		CHECK(quarantined(xn, root));
		exo_xn_free(xn);
		sim_free(sim);
		world_end(w);
	}
}

/* On the disk a unit points at this block, and the map knows nothing of it. */
static void poke_pointer(struct world *w, u64 unit, u64 block, u32 slot)
{
	struct sim_record r = { .block = block, .count = 1, .slot = slot };
	u32 at = EXO_XN_BLOCK - sizeof(r);

	sim_poke(&w->sim->now, unit, at, &r, sizeof(r));
	sim_poke(&w->sim->durable, unit, at, &r, sizeof(r));
}

static u64 a_data_block(const struct w_root *root)
{
	u64 block = 0;

	while (!root->now.life[block])
		block++;
	return block;
}

/* A pointer at somebody else's data, at his unit, at nobody's block: none is reached. */
TEST(hostile__pointers_at_others)
{
	u64 block, first;
	struct exo_xn_check check;
	struct exo_xn_unit *unit;
	struct w_root *root, *victim;
	struct exo_xn_who who;
	struct world *w;
	u32 which, slot;

	for (which = 0; which < 6; which++) {
		w = begin();
		root = w_root_of(w, EVIL);
		victim = w_root_of(w, VICTIM);
		who = w_who(root->uid);
		first = root->block;
		block = which < 2 ? a_data_block(victim) : which < 4 ? victim->block : w_find_free(w, 0, 1);
		slot = which % 2 ? EXO_XN_SELF : EXO_XN_DATA;
		w_must(w_again(w));
		poke_pointer(w, first, block, slot);
		CHECK_EQ(exo_xn_unit_load(w->xn, root->number, first, first, &unit), 0);
		if (slot == EXO_XN_DATA)
			CHECK_EQ(exo_xn_bind_check(w->xn, unit, &who, block, 1, EXO_RIGHT_READ), -EINVAL);
		else
			CHECK(exo_xn_unit_load(w->xn, root->number, first, block, &unit) < 0);
		/* Nor is it freed. */
		memset(&check, 0, sizeof(check));
		walk(w->xn, EXO_XN_CHECK_REPAIR, &check);
		CHECK_EQ(check.out_bad, 1);
		CHECK(quarantined(w->xn, root));
		CHECK(!quarantined(w->xn, victim));
		CHECK_EQ(w_delete(w, root), 0);
		w_finish(w);
		w_must_be_fine(w);
		world_end(w);
	}
}

/* More references on the disk than any change would make: the map's block, sealed again. */
static void poke_refs(struct world *w, u64 block, u32 refs)
{
	u8 bytes[EXO_XN_BLOCK] __attribute__((aligned(8)));
	struct sim_image *images[] = { &w->sim->now, &w->sim->durable };
	u32 i;

	for (i = 0; i < 2; i++) {
		memcpy(bytes, sim_bytes(images[i], 2), sizeof(bytes));
		sim_map_entry(w->sim, bytes, block, refs);
		sim_poke(images[i], 2, 0, bytes, sizeof(bytes));
	}
}

/* One of the root's own format, which can point at units. */
static u64 a_unit(struct world *w, struct w_root *root)
{
	struct w_tx tx;
	u64 block;

	w_mark(w);
	block = w_find_free(w, 0, 1);
	w_tx_begin(&tx, w, root);
	CHECK(w_tx_unit(&tx, root->block, block, 1, EXO_XN_SELF, 0));
	w_must(w_tx_apply(&tx, root->uid));
	w_tx_drop(&tx);
	w_must(w_do(w, W_OP_COMMIT, EVIL));
	w_mark(w);
	return block;
}

/*
 * Rings: a unit that points at itself, or at its parent, with as many references as it then has. Who would be its own
 * ancestor isn't loaded, a walk comes to its end, and a move or unlink doesn't go round for ever.
 */
TEST(hostile__units_in_a_ring)
{
	struct exo_xn_check check;
	struct exo_xn_unit *unit;
	struct w_root *root;
	u64 first, below;
	struct world *w;
	u32 which;

	for (which = 0; which < 4; which++) {
		w = begin();
		root = w_root_of(w, EVIL);
		first = root->block;
		below = a_unit(w, root);
		w_must(w_again(w));
		poke_pointer(w, which & 1 ? below : first, which & 1 ? below : first, EXO_XN_SELF);
		if (which & 2)
			poke_refs(w, which & 1 ? below : first, 2);
		exo_xn_free(w->xn);
		CHECK_EQ(exo_xn_attach(&w->sim->host, w->sim, w->sim->now.blocks, 0, &w->xn), 0);
		memset(&check, 0, sizeof(check));
		walk(w->xn, 0, &check);
		if (!(which & 2))
			CHECK_EQ(check.out_bad, 1);
		if (!exo_xn_unit_load(w->xn, root->number, first, first, &unit) && which & 1)
			CHECK_EQ(exo_xn_unit_load(w->xn, root->number, first, below, &unit),
				 which & 2 ? -EINVAL : 0);
		w_delete(w, root);
		w_finish(w);
		w_must_be_fine(w);
		world_end(w);
	}
}

static struct sim_unit *meddled;

static void meddle(struct sim *sim)
{
	(void)sim;
	meddled->payload[3] = 0x666;
	meddled->evil = SIM_ABORT;
}

/* Who changes his bytes while they are verified changes his own: what was taken is what was looked at. */
TEST(hostile__bytes_that_change_while_they_are_verified)
{
	struct world *w = begin();
	struct w_root *root = w_root_of(w, EVIL);
	const struct sim_unit *head = (const struct sim_unit *)w_root_unit(root)->bytes->at;
	struct exo_xn_who who = w_who(root->uid);
	struct sim_unit mine = *head;
	struct exo_xn_step_core step = {
		.kind = EXO_XN_WRITE, .parent = root->block, .length = sizeof(mine), .bytes = (const u8 *)&mine,
	};
	struct exo_xn_unit *unit;
	u32 out_step;
	u64 out_block;

	CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), 0);
	mine.payload[3] = 0x333;
	meddled = &mine;
	w->sim->meddle = meddle;
	CHECK_EQ(exo_xn_apply(w->xn, &who, root->number, &step, 1, &out_step, &out_block), 0);
	w->sim->meddle = NULL;
	CHECK_EQ(mine.evil, SIM_ABORT);
	CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), 0);
	CHECK_EQ(((const struct sim_unit *)unit->now)->payload[3], 0x333);
	CHECK_EQ(((const struct sim_unit *)unit->now)->evil, SIM_GOOD);
	world_end(w);
}

/* Of a template that isn't what its hash says nothing runs: its roots fail, the others don't. */
TEST(hostile__a_template_that_was_changed_on_the_disk)
{
	struct world *w = begin();
	struct w_root *root = w_root_of(w, EVIL);
	u64 block = exo_xn_template(w->xn, w->template[SIM_EVIL])->block;
	struct exo_xn_unit *unit;
	u32 salt = 7;

	w_must(w_again(w));
	sim_poke(&w->sim->now, block, offsetof(struct sim_content, salt), &salt, sizeof(salt));
	exo_xn_free(w->xn);
	CHECK_EQ(exo_xn_attach(&w->sim->host, w->sim, w->sim->now.blocks, 0, &w->xn), 0);
	CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), -EINVAL);
	root = w_root_of(w, VICTIM);
	CHECK_EQ(exo_xn_unit_load(w->xn, root->number, root->block, root->block, &unit), 0);
	CHECK_EQ(w_delete(w, w_root_of(w, EVIL)), 0);
	w_finish(w);
	w_must_be_fine(w);
	world_end(w);
}
