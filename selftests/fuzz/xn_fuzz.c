// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer (make -C selftests/unit run) and AFL++ (xn_afl) on the engine of xn: a disk that somebody has written is
 * attached and used, its log is replayed, a change has any steps. EXO_FUZZ_SECONDS makes it longer.
 *
 * Input: a byte, which of the three; then pokes into a disk that is in order, or steps. Checksums are made right again
 * after the pokes, so that what stands behind them is reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/xn_disk.h"
#include "unit.h"
#include "xn_world_ops.h"

#define BLOCKS 300U
#define LOG 32U

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size);

enum mode { IMAGE, REPLAY, CHANGE, MODES };

/* Written over what stands there. */
struct poke {
	u8 where;	/* of what */
	u8 length;	/* 1 to 8 */
	u16 which;
	u16 offset;
	u16 reserved;
	u8 bytes[8];
};

struct fuzz_step {
	u8 kind;
	u8 slot;
	u8 count;
	u8 parent;	/* in @places */
	u8 block;
	u8 from;
	u16 offset;
	u16 length;
	u8 evil;	/* the bytes: a record, or a head */
	u8 fill;
};

static struct world *world;
static u64 places[24];
static u32 nr_places;
static u64 state = 1;

u64 unit_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

u64 unit_below(u64 n)
{
	return unit_random() % n;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
	fprintf(stderr, "xn_fuzz: %s:%d: %s\n", file, line, format);
	abort();
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "xn_fuzz: %s\n", what);
	abort();
}

static void add_place(u64 block)
{
	if (nr_places < sizeof(places) / sizeof(*places))
		places[nr_places++] = block;
}

/* Two users, one of a format that can be evil, with units and data; half of it is home, half in the log. */
static void setup(void)
{
	static const u8 ops[] = {
		W_OP_DATA, W_OP_UNIT, W_OP_WRITE_FUA, W_OP_COMMIT, W_OP_CHECKPOINT, W_OP_UNIT, W_OP_LINK, W_OP_SCRIBBLE,
		W_OP_COMMIT, W_OP_DATA, W_OP_FREE, W_OP_COMMIT, W_OP_FREE_UNIT, W_OP_COMMIT, W_OP_DATA, W_OP_COMMIT,
	};
	struct w_root *root;
	u32 i, user;

	if (world)
		return;
	world = world_begin(BLOCKS, LOG, 0);
	must(!w_create(world, w_uid(0), SIM_EVIL, &root), "a root");
	w_mark(world);
	must(!w_create(world, w_uid(1), SIM_LIST, &root), "a root");
	for (i = 0; i < sizeof(ops); i++)
		for (user = 0; user < W_USERS; user++) {
			w_mark(world);
			w_do(world, ops[i], user);
		}
	w_mark(world);
	for (user = 0; user < W_USERS; user++) {
		root = w_root_of(world, user);
		for (i = 0; i < root->now.nr; i++)
			add_place(root->now.unit[i].block);
		for (i = 0; i < W_BLOCKS; i++)
			if (root->now.life[i] && nr_places < 16)
				add_place(i);
	}
	add_place(0);
	add_place(BLOCKS - 1);
	for (i = 0; i < 6; i++)
		add_place(w_find_free(world, i ? places[nr_places - 1] + 1 : 0, 1));
}

/* Disks that somebody has written ------------------------------------------------------------------- */

static u32 seed_of(const struct sim_image *image)
{
	struct exo_xn_super super;

	memcpy(&super, sim_bytes(image, 0), sizeof(super));
	return exo_xn_seed(sim_crc, super.uuid);
}

static void seal(u8 *bytes, u32 length, u32 at, u32 seed)
{
	u32 crc = 0;

	memcpy(bytes + at, &crc, sizeof(crc));
	crc = sim_crc(seed, bytes, length);
	memcpy(bytes + at, &crc, sizeof(crc));
}

/* Poke at @from, length @size; what is sealed there is sealed again. */
static void poke_sealed(struct sim *sim, const struct poke *p, u64 block, u32 from, u32 size, u32 crc, u32 seed)
{
	u32 n = 1 + p->length % 8, at = p->offset % size;
	u8 bytes[EXO_XN_BLOCK] __attribute__((aligned(8)));

	memcpy(bytes, sim_bytes(&sim->now, block), sizeof(bytes));
	memcpy(bytes + from + at, p->bytes, n < size - at ? n : size - at);
	if (crc < size)
		seal(bytes + from, size, crc, seed);
	sim_poke(&sim->now, block, 0, bytes, sizeof(bytes));
}

static void poke(struct sim *sim, const struct poke *p, u32 seed)
{
	u32 entry = p->which % 5 * (u32)sizeof(struct exo_xn_root_entry);

	switch (p->where % 6) {
	case 0:
		poke_sealed(sim, p, p->which & 1, 0, EXO_XN_SECTOR, offsetof(struct exo_xn_super, crc), ~0U);
		break;
	case 1:
		poke_sealed(sim, p, EXO_XN_MAP_AT, 0, EXO_XN_BLOCK, offsetof(struct exo_xn_map_disk, crc), seed);
		break;
	case 2:
		poke_sealed(sim, p, EXO_XN_ROOTS_AT, entry, sizeof(struct exo_xn_root_entry), 0, seed);
		break;
	case 3:
		poke_sealed(sim, p, EXO_XN_TEMPLATES_AT, entry, sizeof(struct exo_xn_root_entry), 0, seed);
		break;
	case 4:
		poke_sealed(sim, p, places[p->which % nr_places], 0, EXO_XN_BLOCK, ~0U, seed);
		break;
	default:
		poke_sealed(sim, p, EXO_XN_LOG_AT + p->which % LOG, 0, EXO_XN_BLOCK, ~0U, seed);
	}
}

/* The chain of checksums from the tail on, whatever the blocks say now. */
static void seal_log(struct sim *sim, u32 seed)
{
	u8 bytes[EXO_XN_BLOCK] __attribute__((aligned(8)));
	struct exo_xn_log_head *head = (void *)bytes;
	struct exo_xn_super super, other;
	u32 at, chain = seed, i, left = 0;

	memcpy(&super, sim_bytes(&sim->now, 0), sizeof(super));
	memcpy(&other, sim_bytes(&sim->now, 1), sizeof(other));
	at = other.seq > super.seq ? other.tail : super.tail;
	for (i = 0; i < LOG; i++, at++, left--) {
		memcpy(bytes, sim_bytes(&sim->now, EXO_XN_LOG_AT + at % LOG), sizeof(bytes));
		if (!left) {
			chain = seed;
			left = head->count ? head->count : 1;
		}
		seal(bytes, sizeof(bytes), offsetof(struct exo_xn_log_head, crc), chain);
		chain = head->crc;
		sim_poke(&sim->now, EXO_XN_LOG_AT + at % LOG, 0, bytes, sizeof(bytes));
	}
}

static void walk(struct exo_xn *xn, u32 flags, struct exo_xn_check *check)
{
	struct exo_xn_walk *walk;
	u32 steps = 0;
	int ret;

	must(!exo_xn_walk_begin(xn, flags, &walk), "a walk begins");
	do
		ret = exo_xn_walk_step(walk, 8);
	while (ret == 1 && ++steps < 100000);
	must(ret <= 0, "a walk ends");
	exo_xn_walk_show(walk, check);
	exo_xn_walk_end(walk);
}

/* What users do with whatever is there. */
static void use(struct exo_xn *xn)
{
	static const u8 empty[EXO_XN_BLOCK] = { 0, 16 };
	struct exo_xn_who admin = { .admin = true }, who = { .uid = 1000 };
	struct exo_xn_unit *unit;
	struct exo_xn_stat stat;
	u32 i, k, number;
	u64 seq, block;
	u8 map[BLOCKS];

	exo_xn_stat(xn, &stat);
	exo_xn_map_show(xn, 0, stat.blocks < BLOCKS ? stat.blocks : BLOCKS, 1000, map);
	for (i = 1; i <= 8; i++) {
		struct exo_xn_root_core *root = exo_xn_root(xn, i);

		if (!root)
			continue;
		block = root->block;
		if (exo_xn_unit_load(xn, i, block, block, &unit))
			continue;
		for (k = 0; k < nr_places; k++) {
			unit = exo_xn_unit_find(xn, i, block);
			if (unit && exo_xn_may(xn, unit, &who, EXO_XN_MAY_READ, EXO_XN_DATA, places[k], 1))
				exo_xn_bind_check(xn, unit, &who, places[k], 1, EXO_RIGHT_READ);
			exo_xn_unit_load(xn, i, block, places[k], &unit);
		}
		root->requested = true;
	}
	exo_xn_commit(xn, &seq);
	exo_xn_root_create(xn, &admin, "another", 1 + seq % 3, 0, 0, 0, NULL, empty, sizeof(empty), &number);
	exo_xn_trim(xn, 0, BLOCKS);
}

/* Owners get others by a map that somebody has written: all do, as it says, or none. */
static void arrive(struct exo_xn *xn, const struct poke *pokes, u32 nr)
{
	struct exo_xn_uids uids[16] = {};
	struct exo_xn_arrival a = { .machine = { 1 + nr }, .map = true, .uids = uids, .nr = nr };
	u32 was[9] = {}, i;
	int ret;

	for (i = 0; i < nr; i++) {
		memcpy(&uids[i], &pokes[i], sizeof(uids[i]));
		if (pokes[i].reserved & 1)
			uids[i] = (struct exo_xn_uids){ w_uid(pokes[i].which % 4), w_uid(pokes[i].offset % 3),
							pokes[i].length % 8, 0 };
	}
	if (exo_xn_uids_tidy(uids, &a.nr))
		return;
	for (i = 1; i <= 8; i++)
		was[i] = exo_xn_root(xn, i) ? exo_xn_root(xn, i)->uid : 0;
	ret = exo_xn_arrive(xn, &a);
	must(!ret || ret == -EEXIST || ret == -EDQUOT || ret == -ENOSPC, "an arrival is done or refused");
	for (i = 1; i <= 8; i++)
		must(!exo_xn_root(xn, i) || exo_xn_root(xn, i)->uid == (a.mapped ? exo_xn_uids_to(uids, a.nr, was[i]) : was[i]),
		     "owners are as the map says");
}

static void end(struct exo_xn *xn, struct sim *sim)
{
	exo_xn_free(xn);
	must(!sim->live, "all memory is given back");
}

static void attach(const struct poke *pokes, u32 nr, bool log)
{
	struct sim *sim = sim_from(&world->sim->now);
	struct exo_xn_who admin = { .admin = true };
	u32 seed = seed_of(&sim->now), i;
	struct exo_xn_check check;
	struct exo_xn *xn;

	for (i = 0; i < nr; i++) {
		struct poke p = pokes[i];

		p.where = log ? 5 : p.where;
		poke(sim, &p, seed);
	}
	if (log)
		seal_log(sim, seed);
	if (exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn)) {
		must(!sim->live, "all memory is given back");
		sim_free(sim);
		return;
	}
	arrive(xn, pokes, nr);
	if (nr & 1)
		exo_xn_limit(xn, 1 << 16);
	use(xn);
	memset(&check, 0, sizeof(check));
	walk(xn, EXO_XN_CHECK_REPAIR, &check);
	for (i = 1; i <= EXO_XN_ROOTS; i++)
		if (exo_xn_root(xn, i) && (nr & 2 || exo_xn_root_release(xn, i)))
			exo_xn_root_delete(xn, &admin, i);
	exo_xn_detach(xn);
	end(xn, sim);
	if (!exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn))
		end(xn, sim);
	sim_free(sim);
}

/* Changes ------------------------------------------------------------------------------------------- */

/* Bytes of a step: a record that points somewhere, a head, or nonsense. */
static void fill(const struct fuzz_step *from, u8 *bytes, u32 length)
{
	struct sim_record r = { places[from->fill % nr_places], from->count % 4, from->slot % 3 ? EXO_XN_DATA : 0 };
	struct sim_unit head = { .bytes = EXO_XN_BLOCK, .mode = from->fill, .evil = from->evil / 4 };
	u32 i;

	memset(bytes, 0, length);
	switch (from->evil % 4) {
	case 0:
		for (i = 0; i < length; i++)
			bytes[i] = from->fill;
		break;
	case 1:
		memcpy(bytes, &head, length < sizeof(head) ? length : sizeof(head));
		break;
	default:
		memcpy(bytes, &r, length < sizeof(r) ? length : sizeof(r));
	}
}

static void change(const struct fuzz_step *from, u32 nr)
{
	struct sim *sim = sim_from(&world->sim->now);
	struct exo_xn_step_core steps[16];
	static u8 bytes[16][EXO_XN_BLOCK];
	struct exo_xn_who who = { .uid = w_uid(nr & 1), .admin = nr & 4 };
	struct w_root *root = w_root_of(world, nr & 1);
	struct exo_xn_check check;
	struct exo_xn_unit *unit;
	struct exo_xn *xn;
	u32 i, out_step, count, applied = 0;
	u64 out_block, seq;

	must(!exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn), "the disk is in order");
	must(!exo_xn_unit_load(xn, root->number, root->block, root->block, &unit), "a first unit");
	for (i = 0; i < root->now.nr; i++)
		exo_xn_unit_load(xn, root->number, root->block, root->now.unit[i].block, &unit);
	while (nr) {
		/* The kind's upper bits say how many are one call. */
		count = 1 + from->kind / 8 % 8;
		count = count < nr ? count : nr;
		for (i = 0; i < count; i++, from++, nr--) {
			steps[i] = (struct exo_xn_step_core){
				.kind = from->kind % 8, .slot = from->slot % 3 ? EXO_XN_DATA : from->slot / 3 % 3,
				.count = from->count % 20, .parent = places[from->parent % nr_places],
				.block = places[from->block % nr_places], .from = places[from->from % nr_places],
				.offset = from->offset % 4 ? 64 + from->offset % 64 * 16 : from->offset,
				.length = from->length % EXO_XN_BLOCK, .bytes = bytes[i],
			};
			fill(from, bytes[i], EXO_XN_BLOCK);
		}
		applied += !exo_xn_apply(xn, &who, root->number, steps, count, &out_step, &out_block);
	}
	/* Whatever it was, the map agrees with what the units say now, and after a crash. */
	memset(&check, 0, sizeof(check));
	walk(xn, 0, &check);
	must(!check.out_bad && !check.out_leaked && !check.out_errors, "a walk after changes");
	exo_xn_root(xn, root->number)->requested = true;
	if (applied)
		must(!exo_xn_commit(xn, &seq), "a commit");
	end(xn, sim);
	must(!exo_xn_attach(&sim->host, sim, BLOCKS, 0, &xn), "an attach after changes");
	memset(&check, 0, sizeof(check));
	walk(xn, 0, &check);
	must(!check.out_bad && !check.out_leaked && !check.out_errors, "a walk after an attach");
	end(xn, sim);
	sim_free(sim);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t size)
{
	static struct poke pokes[16];
	static struct fuzz_step steps[32];
	size_t most;

	setup();
	/* An input does the same whatever came before it. */
	state = 1;
	if (size < 2)
		return 0;
	if (*bytes % MODES == CHANGE) {
		most = (size - 1) / sizeof(*steps);
		most = most < 32 ? most : 32;
		memcpy(steps, bytes + 1, most * sizeof(*steps));
		change(steps, most);
		return 0;
	}
	most = (size - 1) / sizeof(*pokes);
	most = most < 16 ? most : 16;
	memcpy(pokes, bytes + 1, most * sizeof(*pokes));
	attach(pokes, most, *bytes % MODES == REPLAY);
	return 0;
}
