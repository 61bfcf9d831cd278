// SPDX-License-Identifier: GPL-2.0
/*
 * What a crash leaves of raw disks. A workload's writes are recorded by dm-log-writes, with a mark where something was
 * acknowledged; then they are replayed onto a second disk up to each point where a crash is possible:
 *
 *	behind each flush and each FUA write,
 *	in a FUA write, of which some sectors are there and others aren't,
 *	between two flushes, with a random subset of what was in the cache, one write of it torn.
 *
 * After each the disk is attached and looked at as a whole. selftests/unit/xn_crash_test does it with
 * many more points on a simulated disk; here are the module, its I/O, and the kernel's block layer.
 *
 * EXO_XN_POINTS: how many points at most; without it, some on one kernel, fewer on the others.
 */
#include "diary.h"
#include "tree.h"
#include "xn_dm.h"
#include "xn_play.h"

#define SECTORS ((uint64_t)PLAY_BLOCKS * EXO_XN_BLOCK / DM_SECTOR)
#define DISK_BYTES ((size_t)PLAY_BLOCKS * EXO_XN_BLOCK)
#define LOG_BLOCKS 16384U	/* of the log device */
#define ENTRIES_MOST 20000U
#define LOG_FIRST 163U		/* of the disk's own log */

static char disk_path[32], copy_path[32];
static uint8_t *image;		/* what is durable */
static uint8_t *copy;		/* the disk that a point is tried on */
static struct lw_entry *entries;
static uint32_t nr_entries;

/* Recording --------------------------------------------------------------------------------------- */

static void mark(uint32_t events)
{
	char text[32];

	snprintf(text, sizeof(text), "mark %u", events);
	dm_message("xnlog", text);
}

static void devices(void)
{
	char under[32], log[32], params[80];

	play_open();
	xt_device("disk", PLAY_BLOCKS, under);
	xt_device("log", LOG_BLOCKS, log);
	xt_device("copy", PLAY_BLOCKS, copy_path);
	snprintf(params, sizeof(params), "%s %s", under, log);
	dm_create("xnlog", "log-writes", SECTORS, params, disk_path);
	copy = xt_map_file("copy", DISK_BYTES);
	image = calloc(1, DISK_BYTES);
	entries = calloc(ENTRIES_MOST, sizeof(*entries));
	ASSERT_TRUE(image && entries);
}

/* The recording ends; what it has is in entries. */
static void read_log(void)
{
	size_t size = (size_t)LOG_BLOCKS * EXO_XN_BLOCK;

	dm_remove("xnlog");
	nr_entries = lw_read(xt_map_file("log", size), size, DISK_BYTES, entries, ENTRIES_MOST);
}

/* Replaying --------------------------------------------------------------------------------------- */

/* Some of its sectors are written. */
static void apply_torn(uint8_t *to, const struct lw_entry *e, uint64_t *seed)
{
	uint64_t at;

	for (at = 0; at < e->length; at += DM_SECTOR)
		if (test_random(seed) % 2) {
			if (e->flags & LW_DISCARD)
				memset(to + e->offset + at, LW_POISON, DM_SECTOR);
			else
				memcpy(to + e->offset + at, e->data + at, DM_SECTOR);
		}
}

static bool is_write(const struct lw_entry *e)
{
	return !(e->flags & LW_MARK) && e->length;
}

/* It was in the cache until the next flush. */
static bool is_cached(const struct lw_entry *e)
{
	return is_write(e) && !(e->flags & (LW_FUA | LW_FLUSH));
}

/* The number in the n-th entry, if it is one of our marks. */
static uint32_t marked(uint32_t n)
{
	return lw_marked(&entries[n]);
}

struct replay {
	const char *(*verify)(const char *path, uint32_t events, uint64_t *seed);
	uint64_t seed;
	uint32_t every, most;		/* points that are tried */
	uint32_t at, events;		/* where it is, and what was acknowledged by then */
	uint32_t seen, tried, flushes, fuas, torn, subsets;
	uint32_t controls, data_controls;
};

static const char *try(struct replay *r, uint32_t events)
{
	return r->verify(copy_path, events, &r->seed);
}

/* The copy is what a crash would leave: is it all right? */
static void point(struct replay *r, uint32_t *kind, const char *what)
{
	const char *wrong = try(r, r->events);

	r->tried++;
	++*kind;
	if (wrong)
		FAIL("crash %s entry %u of %u, %u events: %s", what, r->at, nr_entries, r->events, wrong);
}

static bool wanted(struct replay *r)
{
	return r->seen++ % r->every == 0 && r->tried < r->most;
}

static void refresh(void)
{
	memcpy(copy, image, DISK_BYTES);
}

/* The first entry from n on that isn't cached: behind it, nothing of the cache is left, if it is a flush. */
static uint32_t end_of_run(uint32_t n)
{
	while (n < nr_entries && is_cached(&entries[n]))
		n++;
	return n;
}

static void subset(struct replay *r, uint32_t end)
{
	uint32_t i, torn = r->at + (uint32_t)(test_random(&r->seed) % (end - r->at));

	refresh();
	for (i = r->at; i < end; i++) {
		if (i == torn)
			apply_torn(copy, &entries[i], &r->seed);
		else if (test_random(&r->seed) % 2)
			lw_apply(copy, &entries[i]);
	}
	point(r, &r->subsets, "in the cached writes from");
}

/* Is what follows n, up to a mark that promises more, only flushes? Then that mark's number. */
static uint32_t promise_behind(const struct replay *r, uint32_t n)
{
	for (n++; n < nr_entries && !is_write(&entries[n]); n++)
		if (marked(n) > r->events)
			return marked(n);
	return 0;
}

/* A write of the disk's log that isn't there, though it was acknowledged: it must be noticed. */
static void control_log(struct replay *r)
{
	const struct lw_entry *e = &entries[r->at];
	uint32_t events = promise_behind(r, r->at);
	uint64_t block = e->offset / EXO_XN_BLOCK;

	if (!events || block < LOG_FIRST || block >= LOG_FIRST + PLAY_LOG || r->controls >= r->most / r->every / 32 + 1)
		return;
	refresh();
	if (!try(r, events))
		FAIL("control: entry %u was lost, and nobody noticed", r->at);
	r->controls++;
}

/* The same with one of the writes in front of a flush. */
static void control_data(struct replay *r, uint32_t end)
{
	uint32_t lost, i, n, events;

	for (n = end; n < nr_entries && !marked(n) && !is_cached(&entries[n]); n++)
		;
	events = n < nr_entries ? marked(n) : 0;
	if (events <= r->events || r->data_controls >= r->most / r->every / 32 + 1)
		return;
	for (lost = end - 1; lost > r->at; lost--)
		if (play_promised(events, entries[lost].offset / EXO_XN_BLOCK, entries[lost].data))
			break;
	if (!play_promised(events, entries[lost].offset / EXO_XN_BLOCK, entries[lost].data))
		return;
	refresh();
	for (i = r->at; i < n; i++)
		if (i != lost)
			lw_apply(copy, &entries[i]);
	if (!try(r, events))
		FAIL("control: write %u of data was lost, and nobody noticed", lost);
	r->data_controls++;
}

static void replay_write(struct replay *r)
{
	const struct lw_entry *e = &entries[r->at];
	uint32_t end;

	if (is_cached(e)) {
		end = end_of_run(r->at);
		if (wanted(r))
			subset(r, end);
		if (wanted(r))
			subset(r, end);
		if (r->verify == play_verify)
			control_data(r, end);
		for (; r->at < end; r->at++)
			lw_apply(image, &entries[r->at]);
		r->at--;
		return;
	}
	if (wanted(r)) {
		refresh();
		apply_torn(copy, e, &r->seed);
		point(r, &r->torn, "in");
	}
	if (r->verify == play_verify && r->seen % 3 == 0)
		control_log(r);
	lw_apply(image, e);
	if (wanted(r)) {
		refresh();
		point(r, &r->fuas, "behind");
	}
}

static void replay(struct replay *r)
{
	uint32_t n;

	for (r->at = 0; r->at < nr_entries; r->at++) {
		const struct lw_entry *e = &entries[r->at];

		n = marked(r->at);
		if (n)
			r->events = n;
		if (!r->events) {
			lw_apply(image, e);	/* the disk is being made */
		} else if (is_write(e)) {
			replay_write(r);
		} else if ((e->flags & LW_FLUSH) && wanted(r)) {
			refresh();
			point(r, &r->flushes, "behind");
		}
	}
	test_note("%u entries, %u crashes: %u at a flush, %u at a FUA write, %u in one, %u in the cache", nr_entries,
		  r->tried, r->flushes, r->fuas, r->torn, r->subsets);
}

static void share(struct replay *r, uint32_t most, uint32_t every)
{
	const char *env = getenv("EXO_XN_POINTS");

	r->most = most;
	r->every = every * 8 / test_core_rounds(8, 8);
	if (env && atoi(env) > 0) {
		r->most = (uint32_t)atoi(env);
		r->every = 1;
	}
}

/* Catches: any violation of the rules of order that a random workload of two users can show (INV-XN-2, INV-XN-5 ..
 * INV-XN-12); a checker that doesn't see what it should. */
TEST_LONG(crash__two_users, 300)
{
	struct replay r = { .verify = play_verify, .seed = test_seed() };
	uint64_t seed = test_seed();
	uint32_t i, steps = 340;
	int ret;

	share(&r, 230, 1);
	devices();
	test_note("seed %#llx", (unsigned long long)seed);
	play_acked = mark;
	play_start(disk_path);
	for (i = 0; i < steps; i++) {
		ret = play_step(&seed);
		if (ret)
			FAIL("step %u: %s", i, strerror(-ret));
		if (i == steps / 2) {
			ASSERT_EQ(xt_detach(t_open(), play_disk(), 0), 0);
			play_again(disk_path);
		}
	}
	ASSERT_EQ(play_commit(), 0);
	ASSERT_EQ(xt_detach(t_open(), play_disk(), 0), 0);
	read_log();
	replay(&r);
	test_note("controls: %u lost writes of the log, %u of data, all noticed", r.controls, r.data_controls);
	ASSERT_GE(r.tried, r.most < 200 ? r.most : 200 / r.every);
	ASSERT_GT(r.controls, 0);
	ASSERT_GT(r.data_controls, 0);
	ASSERT_TRUE(r.flushes && r.fuas && r.torn && r.subsets);
}

/* The samples' databases ---------------------------------------------------------------------------- */

#define PUTS 40U
#define DAYS 24U

static const uid_t owners[2] = { ALICE, BOB };
static struct exo_env *envs[2];
static int admin;

static void become(uid_t uid)
{
	ASSERT_EQ(seteuid(0), 0);
	ASSERT_EQ(seteuid(uid), 0);
}

static uint64_t person(uint32_t n)
{
	return (n * 2654435761U) % 1000000;
}

static int day(char text[256], uint32_t n)
{
	return snprintf(text, 256, "day %u: %.*s.\n", n, (int)(n * 7 % 200),
			"................................................................................"
			"................................................................................"
			"........................................");
}

/* One of them, with its root open or, if create says so, new. */
static int store_open(struct store *store, uint32_t u, int (*create)(struct store *store, const char *name))
{
	struct exo_xn *xn;

	become(owners[u]);
	ASSERT_EQ(exo_xn_open(envs[u], NULL, &xn), 0);
	ASSERT_EQ(store_init(store, envs[u], xn), 0);
	return create ? create(store, u ? "diary" : "book") : store_find(store, u ? "diary" : "book");
}

static void store_end(struct store *store)
{
	struct exo_xn *xn = store->xn;

	store_close(store);
	exo_xn_close(xn);
	become(0);
}

/* Two puts, and a day: an event each. */
static void samples_play(void)
{
	uint32_t i, events = 0, days = 0;
	struct store book, diary;
	char text[256];

	ASSERT_EQ(store_open(&book, 0, tree_create), 0);
	ASSERT_EQ(store_open(&diary, 1, diary_create), 0);
	for (i = 0; i < PUTS; i++) {
		become(ALICE);
		snprintf(text, sizeof(text), "person %u", i);
		ASSERT_EQ(tree_put(&book, person(i), text), 0);
		become(0);
		mark(++events);
		if (i % 5 < 3 && days < DAYS) {
			become(BOB);
			day(text, days++);
			ASSERT_EQ(diary_append(&diary, text), 0);
			become(0);
			mark(++events);
		}
	}
	ASSERT_EQ(days, DAYS);
	become(ALICE);
	store_end(&book);
	become(BOB);
	store_end(&diary);
}

/* How many puts and days there were, when there were so many events. */
static void samples_count(uint32_t events, uint32_t *puts, uint32_t *days)
{
	uint32_t i, seen = 0;

	*puts = *days = 0;
	for (i = 0; i < PUTS && seen < events; i++) {
		(*puts)++;
		if (++seen < events && i % 5 < 3) {
			(*days)++;
			seen++;
		}
	}
}

static const char *look_book(struct store *store, uint32_t puts)
{
	char value[TREE_VALUE], text[64];
	uint32_t i;
	int ret;

	for (i = 0; i < PUTS; i++) {
		snprintf(text, sizeof(text), "person %u", i);
		ret = tree_get(store, person(i), value);
		if (ret && (ret != -ENOENT || i < puts))
			return ret == -ENOENT ? "a put is gone" : "the tree is broken";
		if (!ret && strcmp(value, text))
			return "a value is not what was put";
	}
	return NULL;
}

static const char *look_diary(struct store *store, uint32_t days)
{
	char text[256], found[256];
	uint64_t at = 0;
	uint32_t i;
	int length, got, ret;

	for (i = 0; i < days; i++) {
		length = day(text, i);
		for (got = 0; got < length; got += ret, at += (uint64_t)ret) {
			ret = diary_read(store, at, found + got, (uint32_t)(length - got));
			if (ret <= 0)
				return "a day is gone";
		}
		if (memcmp(text, found, (size_t)length))
			return "a day is not as it was written";
	}
	return NULL;
}

static const char *samples_look(uint32_t disk, uint32_t events)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = disk };
	const char *wrong = NULL;
	uint32_t puts, days, u;

	do
		ASSERT_EQ(t_ioctl(admin, EXO_XN_CHECK, &check), 0);
	while (!check.out_done);
	if (check.out_leaked || check.out_bad || check.out_errors)
		return "a check finds something";
	samples_count(events, &puts, &days);
	for (u = 0; u < 2 && !wrong; u++) {
		struct store store;

		if (store_open(&store, u, NULL))
			wrong = "a root is gone";
		else
			wrong = u ? look_diary(&store, days) : look_book(&store, puts);
		store_end(&store);
	}
	return wrong;
}

static const char *samples_verify(const char *path, uint32_t events, uint64_t *seed)
{
	struct exo_xn_attach cmd;
	const char *wrong;

	if (xt_attach(admin, path, &cmd))
		return "it can't be attached";
	wrong = cmd.out_quarantined ? "a root is quarantined" : samples_look(cmd.out_disk, events);
	if (xt_detach(admin, cmd.out_disk, wrong ? EXO_XN_DETACH_FORCE : 0) && !wrong)
		wrong = "it can't be detached";
	return wrong;
}

/* Catches: a put, or a day, that was acknowledged and is gone, in the samples' formats (INV-XN-2, INV-XN-6). */
TEST_LONG(crash__samples, 300)
{
	struct replay r = { .verify = samples_verify, .seed = test_seed() };
	struct exo_xn_format format = { .size = sizeof(format), .path = (uintptr_t)disk_path,
					.log_blocks = PLAY_LOG };
	struct exo_xn_attach attach;
	uint32_t u;

	share(&r, 20, 10);
	devices();
	admin = t_open();
	for (u = 0; u < 2; u++) {
		become(owners[u]);
		ASSERT_EQ(exo_env_open(&envs[u], NULL), 0);
		become(0);
	}
	ASSERT_EQ(t_ioctl(admin, EXO_XN_FORMAT, &format), 0);
	ASSERT_EQ(xt_attach(admin, disk_path, &attach), 0);
	samples_play();
	ASSERT_EQ(xt_detach(admin, attach.out_disk, 0), 0);
	read_log();
	replay(&r);
	ASSERT_GT(r.tried, 0);
}
