// SPDX-License-Identifier: GPL-2.0
/*
 * Logs that no engine has written: whatever they say, recovery takes memory in proportion to their length (INV-XN-34).
 * And logs of the engine's own, which must never be taken for such.
 */
#include "unit.h"
#include "xn_host.h"

#define LOG 64U
#define BLOCKS 4000U
#define GROUPS 24U
#define FIXED (1U << 20)		/* tables, rooms and the like: of every disk */

/* What recovery may take besides: a transaction, units, map (once more than it may have: by one record), and what they are kept in. */
static u64 bound(u32 log_blocks)
{
	u64 log = (u64)log_blocks * EXO_XN_BLOCK;

	return FIXED + log + 2 * log + log / 4 + 2 * log +
	       (EXO_XN_GROUP_MAPS + 1) * sizeof(struct exo_xn_map_block);
}

struct crafted {
	struct host *h;
	u32 seed;
	u32 at;			/* of the log */
	u64 seq;
	u32 used;		/* of the block that is being filled */
	u32 records;
	u8 block[EXO_XN_BLOCK] __attribute__((aligned(8)));
};

/* Behind a checkpoint, where recovery will begin. */
static void craft_begin(struct crafted *c, struct host *h)
{
	const struct exo_xn_super *super = (void *)h->disk[0], *other = (void *)h->disk[1];

	CHECK_EQ(exo_xn_detach(h->xn), 0);
	exo_xn_free(h->xn);
	CHECK_EQ(h->bytes, 0);
	super = other->seq > super->seq ? other : super;
	*c = (struct crafted){ .h = h, .seed = exo_xn_seed(host_crc, super->uuid), .at = super->tail, .seq = super->tail_seq };
}

/* A transaction of one block. */
static void craft_flush(struct crafted *c)
{
	u32 chain = c->seed;

	if (!c->used)
		return;
	exo_xn_log_build(host_crc, &chain, (void *)c->block, c->seq++, 0, 1, c->used);
	memcpy(c->h->disk[EXO_XN_LOG_AT + c->at], c->block, EXO_XN_BLOCK);
	c->at = (c->at + 1) % LOG;
	c->used = 0;
	memset(c->block, 0, sizeof(c->block));
}

static void craft(struct crafted *c, const void *record)
{
	u32 length = ((const struct exo_xn_record *)record)->length;

	if (c->used + length > EXO_XN_LOG_BYTES)
		craft_flush(c);
	memcpy(c->block + sizeof(struct exo_xn_log_head) + c->used, record, length);
	c->used += length;
	c->records++;
}

static struct exo_xn_rec_unit unit_record(u64 block, u32 flags)
{
	return (struct exo_xn_rec_unit){
		.head = { EXO_XN_REC_UNIT, sizeof(struct exo_xn_rec_unit) },
		.block = block, .root = 1, .template = 1, .blocks = EXO_XN_UNIT_BLOCKS, .flags = flags,
	};
}

static int attach(struct host *h)
{
	h->peak = 0;
	return exo_xn_attach(&host_ops, h, h->blocks, 0, &h->xn);
}

/* A log full of units of 32 bytes that are 64 KiB each. */
TEST(replay__many_units_of_few_bytes)
{
	struct exo_xn_rec_unit rec;
	struct crafted c;
	struct host h;
	u32 flags, i;

	for (flags = 0; flags <= EXO_XN_UNIT_FRESH; flags++) {
		host_begin_log(&h, BLOCKS, LOG);
		craft_begin(&c, &h);
		for (i = 0; i < (LOG - 1) * (EXO_XN_LOG_BYTES / sizeof(rec)); i++) {
			rec = unit_record(EXO_XN_LOG_AT + LOG + i % (BLOCKS - EXO_XN_LOG_AT - LOG - EXO_XN_UNIT_BLOCKS),
					  flags);
			craft(&c, &rec);
		}
		craft_flush(&c);
		CHECK_EQ(attach(&h), -EINVAL);
		CHECK(h.peak <= bound(LOG));
		CHECK_EQ(h.bytes, 0);
		free(h.disk);
	}
}

/* As many as a log may have: attached, and none of them is the root's. */
TEST(replay__as_many_units_as_may_be)
{
	struct exo_xn_rec_unit rec;
	struct exo_xn_stat stat;
	struct crafted c;
	struct host h;
	u32 i, more;

	for (more = 0; more < 2; more++) {
		host_begin_log(&h, BLOCKS, LOG);
		craft_begin(&c, &h);
		for (i = 0; i < 2 * LOG / EXO_XN_UNIT_BLOCKS + more; i++) {
			rec = unit_record(BLOCKS - (i + 1) * EXO_XN_UNIT_BLOCKS, EXO_XN_UNIT_FRESH);
			craft(&c, &rec);
			rec.flags = 0;
			craft(&c, &rec);
		}
		craft_flush(&c);
		CHECK_EQ(attach(&h), more ? -EINVAL : 0);
		CHECK(h.peak <= bound(LOG));
		if (!more) {
			exo_xn_stat(h.xn, &stat);
			CHECK_EQ(stat.replayed, 1);
			CHECK_EQ(stat.quarantined, 1);
			exo_xn_free(h.xn);
		}
		CHECK_EQ(h.bytes, 0);
		free(h.disk);
	}
}

/* Records that look at all of the map, again and again. */
TEST(replay__all_of_a_map)
{
	struct exo_xn_rec_init init = { .head = { EXO_XN_REC_INIT, sizeof(init) }, .mask = 1 };
	struct exo_xn_rec_map map = { .head = { EXO_XN_REC_MAP, sizeof(map) }, .count = 1 };
	struct crafted c;
	struct host h;
	u32 round;
	u64 i;

	host_begin_log(&h, GROUPS * EXO_XN_GROUP, LOG);
	craft_begin(&c, &h);
	CHECK(exo_xn_maps_of(h.blocks) * sizeof(struct exo_xn_map_block) > 2 * bound(LOG));
	for (round = 0; round < 2; round++)
		for (i = 1; i < exo_xn_maps_of(h.blocks); i++) {
			init.block = exo_xn_map_first(i);
			craft(&c, &init);
			map.block = init.block + 900;
			if (map.block % EXO_XN_GROUP < EXO_XN_GROUP_MAPS || map.block % EXO_XN_GROUP < init.block % EXO_XN_GROUP)
				continue;
			craft(&c, &map);
		}
	craft_flush(&c);
	CHECK_EQ(attach(&h), 0);
	CHECK(h.peak <= bound(LOG));
	host_end(&h);
}

static u64 place(u32 i)
{
	return (1 + i % (GROUPS - 1)) * (u64)EXO_XN_GROUP + EXO_XN_GROUP_MAPS + i / (GROUPS - 1) * 1100;
}

#define PLACES (10U * (GROUPS - 1))
#define CHUNK 46U
#define UNIT (GROUPS * (u64)EXO_XN_GROUP - 2)

/* Each @every-th, some in a commit. */
static void set_places(struct host *h, u32 kind, u32 every)
{
	u64 root = host_root_block(h);
	u32 i;

	for (i = 0; i < PLACES; i += every) {
		CHECK_EQ(host_set(h, kind, root, i, place(i), 1, EXO_XN_DATA), 0);
		if (i % CHUNK == 0)
			CHECK_EQ(host_commit(h), 0);
	}
	CHECK_EQ(host_commit(h), 0);
}

static void write_places(struct host *h, u32 every)
{
	u32 i;

	for (i = 0; i < PLACES; i += every)
		exo_xn_written(h->xn, place(i), 1);
	CHECK_EQ(exo_xn_commit_written(h->xn), 0);
}

/* As it was committed: half of the places are taken, of these half are written. */
static void check_places(struct host *h)
{
	u64 root = host_root_block(h);
	u32 i, entry;

	CHECK_EQ(exo_xn_map_look(h->xn, UNIT, &entry), 0);
	CHECK_EQ(entry, EXO_XN_ENTRY_TAKEN | EXO_XN_ENTRY_REF | EXO_XN_ENTRY_INIT | h->root);
	for (i = 0; i < PLACES; i++) {
		CHECK_EQ(host_map(h, place(i)), i % 2 ? EXO_XN_FREE : EXO_XN_MINE);
		if (i % 2)
			continue;
		CHECK_EQ(exo_xn_bind_check(h->xn, host_load(h, root, root), &host_user, place(i), 1, EXO_RIGHT_READ), 0);
		CHECK_EQ(exo_xn_readable(h->xn, place(i), 1), i % 4 == 0);
	}
	CHECK_EQ(exo_xn_root(h->xn, h->root)->blocks, 2 + (PLACES + 1) / 2);
}

/*
 * A log of the engine's own that concerns more of the map than recovery has at once: it goes home in pieces, and whatever
 * piece is the last before the machine dies, recovery ends with the same.
 */
TEST(replay__a_map_that_goes_home_in_pieces)
{
	u32 n, failed = 0;
	struct host h;
	int ret;

	host_begin_log(&h, GROUPS * EXO_XN_GROUP, LOG);
	CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
	CHECK_EQ(host_set(&h, EXO_XN_ALLOC, host_root_block(&h), PLACES, UNIT, 1, EXO_XN_SELF), 0);
	set_places(&h, EXO_XN_ALLOC, 1);
	write_places(&h, 1);
	set_places(&h, EXO_XN_FREE_STEP, 1);
	set_places(&h, EXO_XN_ALLOC, 2);
	write_places(&h, 4);
	CHECK(h.xn->nr_maps_in * sizeof(struct exo_xn_map_block) > 3 * exo_xn_log_most(h.xn));
	CHECK(h.xn->log_used > PLACES / CHUNK * 2);
	exo_xn_free(h.xn);
	for (n = 1; ; n += n / 4 + 1) {
		h.fail_write = n;
		ret = attach(&h);
		if (!ret)
			break;
		CHECK_EQ(ret, -EIO);
		failed++;
	}
	h.fail_write = 0;
	CHECK(failed > 8);
	check_places(&h);
	host_crash(&h);
	check_places(&h);
	host_end(&h);
}

/* Units of the engine's own, nearly all zeros: the log is written home before it has more than recovery would take. */
TEST(replay__takes_what_was_committed)
{
	enum { NEW = 4, COMMITS = 10 };
	static const u8 zeros[8];
	struct exo_xn_step_core steps[2 * NEW + 1];
	struct exo_xn_extent e[NEW];
	u32 commits, k, i, step;
	struct host h;
	u64 root, bad;

	for (commits = 1; commits <= COMMITS; commits++) {
		host_begin_log(&h, BLOCKS, EXO_XN_LOG_MIN);
		root = host_root_block(&h);
		CHECK_EQ(exo_xn_checkpoint(h.xn), 0);
		for (k = 0; k < commits; k++) {
			for (i = 0; i < NEW; i++) {
				e[i] = (struct exo_xn_extent){ BLOCKS - 1 - k * NEW - i, 1, EXO_XN_SELF };
				steps[2 * i] = (struct exo_xn_step_core){
					.kind = EXO_XN_ALLOC, .parent = root, .block = e[i].block, .count = 1, .slot = EXO_XN_SELF };
				steps[2 * i + 1] = (struct exo_xn_step_core){
					.kind = EXO_XN_NEW, .parent = e[i].block, .length = sizeof(zeros), .bytes = zeros };
			}
			steps[2 * NEW] = (struct exo_xn_step_core){
				.kind = EXO_XN_WRITE, .parent = root, .offset = k * sizeof(e), .length = sizeof(e),
				.bytes = (const u8 *)e };
			CHECK_EQ(exo_xn_apply(h.xn, &host_user, h.root, steps, 2 * NEW + 1, &step, &bad), 0);
			CHECK_EQ(host_commit(&h), 0);
			CHECK(h.xn->log_units && h.xn->log_units <= exo_xn_log_most(h.xn));
		}
		host_crash(&h);
		CHECK_EQ(exo_xn_root(h.xn, h.root)->blocks, 1 + commits * NEW);
		for (i = 0; i < commits * NEW; i++)
			CHECK(host_load(&h, root, BLOCKS - 1 - i));
		host_end(&h);
	}
}

/* Functions of many templates are needed, one after the other: not all of them are there at once. */
TEST(replay__of_many_templates)
{
	enum { TEMPLATES = 8, LENGTH = EXO_XN_CONTENT_MAX };
	static const struct exo_xn_who admin = { .admin = true };
	static u8 content[LENGTH], bytes[EXO_XN_BLOCK];
	u32 refs[EXO_XN_REFS] = {}, func, i, template, root;
	struct exo_graft_error err;
	struct exo_xn_stat stat;
	struct host h;
	char name[8];

	host_begin_log(&h, BLOCKS, LOG);
	for (i = 0; i < TEMPLATES; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		content[0] = i;
		CHECK_EQ(exo_xn_template_add(h.xn, &admin, name, refs, 0, 0, content, LENGTH, &err, &func, &template), 0);
		CHECK_EQ(exo_xn_root_create(h.xn, &admin, name, template, 0, 0, 0, NULL, bytes, sizeof(bytes), &root), 0);
	}
	exo_xn_free(h.xn);
	CHECK_EQ(h.code, 0);
	h.peak_code = 0;
	CHECK_EQ(attach(&h), 0);
	exo_xn_stat(h.xn, &stat);
	CHECK(stat.replayed > TEMPLATES);
	CHECK_EQ(stat.quarantined, 0);
	CHECK(h.peak_code >= LENGTH && h.peak_code <= EXO_XN_UID_CONTENT + LENGTH);
	host_end(&h);
	CHECK_EQ(h.code, 0);
}
