// SPDX-License-Identifier: GPL-2.0
/*
 * The key-value store of samples/kv on the engine of xn and a simulated disk: a power failure at every point where
 * the disk was told something, with the unflushed writes there, not there, there in part, and torn. Every
 * group that was acknowledged is there, the one in flight all or not at all. EXO_TEST_ROUNDS: groups.
 */
#include "unit.h"

#include "../../samples/kv/kv.h"
#include "kv_disk.h"

#define BLOCKS 4000U
#define KEYS 400U
#define LONGEST 9000U

/* Of each key: which version it has, 0: none. What the value is follows from that. */
struct model {
	u32 version[KEYS];
	u32 count;
};

static const struct kv_opts opts = { .frames = 74, .group_blocks = 10, .log_blocks = 60,
				     .blocks = 130 };

#define NAMES 10007U

static u32 key_of(u32 n, u8 *key)
{
	return (u32)sprintf((char *)key, "%0*u", 5 + (int)(n % 7) * (int)(n % 7), n * 7919 % NAMES);
}

/* The number of a key, if it is one of ours. */
static u32 number_of(const u8 *key, u32 key_len)
{
	static u32 number[NAMES];
	char name[KV_KEY_MAX + 1];
	u32 n;

	for (n = KEYS; !number[7919] && n--;)
		number[n * 7919 % NAMES] = n;
	memcpy(name, key, key_len);
	name[key_len] = 0;
	return number[strtoul(name, NULL, 10) % NAMES];
}

static u32 value_of(u32 n, u32 version, u8 *value)
{
	u32 length = (n * 31 + version * 977) % 1400, i;

	if (version % 13 == 0)
		length += (n * 3571) % (LONGEST - 1400);
	for (i = 0; i < length; i++)
		value[i] = (u8)(n + version * 3 + i * (i >> 8 | 1));
	return length;
}

static struct exo_xn *as_xn(struct kv_disk *disk)
{
	return (struct exo_xn *)disk;
}

/* Whatever isn't as the model says. */
struct look {
	const struct model *model;
	u32 found;
};

static int look_at(const void *key, u32 key_len, const void *value, u32 length, void *ctx)
{
	static u8 expect[LONGEST], name[KV_KEY_MAX];
	struct look *look = ctx;
	u32 n;

	n = number_of(key, key_len);
	if (key_of(n, name) != key_len || memcmp(name, key, key_len) ||
	    !look->model->version[n] ||
	    value_of(n, look->model->version[n], expect) != length || memcmp(expect, value, length))
		return 1;
	look->found++;
	return 0;
}

static bool is_like(struct kv *kv, const struct model *model)
{
	struct look look = { .model = model };


	return kv_count(kv) == model->count && !kv_scan(kv, "", 0, look_at, &look) &&
	       look.found == model->count;
}

static bool is_get_like(struct kv *kv, const struct model *model)
{
	static u8 expect[LONGEST], value[LONGEST];
	u8 key[KV_KEY_MAX];
	u32 n, key_len;
	int length;

	for (n = 0; n < KEYS; n++) {
		key_len = key_of(n, key);
		length = kv_get(kv, key, key_len, value, sizeof(value));
		if (!model->version[n] ? length != -ENOENT :
		    length != (int)value_of(n, model->version[n], expect) ||
		    memcmp(value, expect, (size_t)length))
			return false;
	}
	return true;
}

/* One random change; the same in the store and in the model. */
static bool change(struct kv *kv, struct model *model, u32 deletes)
{
	u8 key[KV_KEY_MAX];
	static u8 value[LONGEST];
	u32 n = (u32)unit_below(KEYS), key_len = key_of(n, key), version;
	int ret;

	if (unit_below(100) < deletes) {
		ret = kv_delete(kv, key, key_len);
		CHECK_EQ(ret, model->version[n] ? 0 : -ENOENT);
		model->count -= !!model->version[n];
		model->version[n] = 0;
		return true;
	}
	version = model->version[n] + 1 + (u32)unit_below(40);
	ret = kv_put(kv, key, key_len, value, value_of(n, version, value));
	if (ret == -E2BIG)
		return false;
	CHECK_EQ(ret, 0);
	model->count += !model->version[n];
	model->version[n] = version;
	return true;
}

static void group(struct kv *kv, struct model *model, u32 deletes)
{
	u32 n = 1 + (u32)unit_below(8);

	CHECK_EQ(kv_begin(kv), 0);
	while (n-- && change(kv, model, deletes))
		;
	CHECK_EQ(kv_commit(kv), 0);
}

static struct kv *create(struct kv_disk *disk)
{
	struct kv *kv, *second;

	CHECK_EQ(kv_create(as_xn(disk), "store", &opts), 0);
	CHECK_EQ(kv_create(as_xn(disk), "store", &opts), -EEXIST);
	CHECK_EQ(kv_open(as_xn(disk), "store", &opts, &kv), 0);
	/* The one that is refused leaves the lock where it is. */
	CHECK_EQ(kv_open(as_xn(disk), "store", &opts, &second), -EBUSY);
	CHECK_EQ(kv_open(as_xn(disk), "store", &opts, &second), -EBUSY);
	return kv;
}

/* Which of the two it is: 0, 1, or -1: neither. */
static int state_after(const struct kv_disk *disk, u32 upto, enum kv_disk_crash how,
		       const struct model *before, const struct model *after)
{
	struct kv_disk *copy = kv_disk_crash(disk, upto, how);
	struct kv *kv;
	int state = -1;

	if (!copy)
		return -1;
	if (!kv_open(as_xn(copy), "store", &opts, &kv)) {
		if (!kv_check(kv))
			state = is_like(kv, after) ? 1 : is_like(kv, before) ? 0 : -1;
		/* It goes on. */
		if (state >= 0 && (kv_put(kv, "again", 5, "x", 1) || kv_check(kv)))
			state = -1;
		kv_close(kv);
	}
	kv_disk_free(copy);
	return state;
}

/* From this event on. Returns how many crashes left what may not be. */
static u32 crash_all(const struct kv_disk *disk, u32 from, const struct model *before,
		     const struct model *after, u64 *points)
{
	u32 events = kv_disk_events(disk), upto, bad = 0, how;
	int state;

	for (upto = from; upto <= events; upto++)
		for (how = 0; how < KV_CRASHES; how++) {
			state = state_after(disk, upto, how, before, after);
			bad += upto == events ? state != 1 : state < 0;
			(*points)++;
		}
	return bad;
}

TEST(kv__model)
{
	struct kv_disk *disk = kv_disk_new(BLOCKS);
	struct model model = { .count = 0 };
	struct kv *kv = create(disk);
	u32 i, rounds = unit_rounds(300) * 2;

	for (i = 0; i < rounds; i++) {
		group(kv, &model, i / 100 % 2 ? 75 : 25);
		if (!unit_below(50)) {
			CHECK_EQ(kv_close(kv), 0);
			CHECK_EQ(kv_open(as_xn(disk), "store", &opts, &kv), 0);
		}
		if (unit_below(10))
			continue;
		CHECK_EQ(kv_check(kv), 0);
		CHECK(is_like(kv, &model));
		CHECK(is_get_like(kv, &model));
		kv_disk_settle(disk);
	}
	for (i = 0; i < KEYS; i++) {
		u8 key[KV_KEY_MAX];
		u32 key_len = key_of(i, key);

		CHECK_EQ(kv_delete(kv, key, key_len), model.version[i] ? 0 : -ENOENT);
	}
	CHECK_EQ(kv_count(kv), 0);
	CHECK_EQ(kv_check(kv), 0);
	CHECK_EQ(kv_close(kv), 0);
	kv_disk_free(disk);
}

TEST(kv__crash)
{
	struct kv_disk *disk = kv_disk_new(BLOCKS);
	struct model model = { .count = 0 }, before;
	struct kv *kv = create(disk);
	u32 i, from, rounds = unit_rounds(300);
	u64 points = 0;

	for (i = 0; i < rounds; i++) {
		kv_disk_settle(disk);
		from = kv_disk_events(disk);
		before = model;
		if (unit_below(12))
			group(kv, &model, 25);
		else
			CHECK_EQ(kv_checkpoint(kv), 0);
		CHECK_EQ(crash_all(disk, from, &before, &model, &points), 0);
	}
	kv_close(kv);
	kv_disk_free(disk);
	printf("# %u groups, %llu crash points\n", rounds, (unsigned long long)points);
}

/* Does the checker see a group that isn't durable? */
TEST(kv__control)
{
	struct kv_disk *disk = kv_disk_new(BLOCKS);
	struct model model = { .count = 0 }, before;
	struct kv *kv = create(disk);
	u64 points = 0;
	u32 i, from, bad = 0;

	kv_disk_lie(disk);
	for (i = 0; i < 5; i++) {
		kv_disk_settle(disk);
		from = kv_disk_events(disk);
		before = model;
		group(kv, &model, 25);
		bad += crash_all(disk, from, &before, &model, &points);
	}
	CHECK(bad);
	kv_close(kv);
	kv_disk_free(disk);
}

/* Is it noticed? Then by whoever reads it; else nothing is different. */
static bool is_noticed(struct kv_disk *disk, const struct model *model)
{
	struct look look = { .model = model };
	struct kv *kv;
	int ret = kv_open(as_xn(disk), "store", &opts, &kv), check;

	if (!ret) {
		check = kv_check(kv);
		ret = kv_scan(kv, "", 0, look_at, &look);
		CHECK_EQ(check, ret);
		CHECK(ret || (look.found == model->count && kv_count(kv) == model->count));
		kv_close(kv);
	}
	CHECK(!ret || ret == -EBADMSG);
	return ret;
}

/* One bit of one block of the store after the other. */
TEST(kv__flipped)
{
	struct kv_disk *disk = kv_disk_new(BLOCKS);
	struct model model = { .count = 0 };
	struct kv *kv = create(disk);
	u32 i, bit, all = 0, noticed = 0;

	for (i = 0; i < 100; i++)
		group(kv, &model, 10);
	CHECK_EQ(kv_close(kv), 0);
	for (i = 0; i < BLOCKS; i++) {
		bit = (u32)unit_below(8 * 4096);
		if (!kv_disk_flip(disk, i, bit))
			continue;
		all++;
		noticed += is_noticed(disk, &model);
		kv_disk_flip(disk, i, bit);
		kv_disk_settle(disk);
	}
	CHECK(noticed > 50);
	CHECK(!is_noticed(disk, &model));
	kv_disk_free(disk);
	printf("# %u blocks, %u of them count\n", all, noticed);
}
