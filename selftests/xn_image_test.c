// SPDX-License-Identifier: GPL-2.0
/*
 * Images of disks that somebody has been at. Attaching one gives an errno, or a disk that works, perhaps with a root
 * in quarantine; the kernel has nothing to complain of, and who was not touched has all that he had.
 *
 * Half of the changes get a right crc, so that they come past it. EXO_TEST_ROUNDS: how many images.
 */
#include "xn_play.h"

#define DISK_BYTES ((size_t)PLAY_BLOCKS * EXO_XN_BLOCK)
#define ROOT_TABLE 35U
#define TEMPLATE_TABLE 99U
#define LOG_AT 163U
#define ENTRY 256U

static uint8_t *image;		/* the good one */
static uint8_t *disk;		/* the one that is attached */
static uint32_t crc_seed, events;

/* crc32c without inversions, as the disk has it. */
static uint32_t crc32c(uint32_t crc, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	int i;

	while (length--) {
		crc ^= *at++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static void seal(uint32_t seed, uint8_t *at, size_t crc_at, size_t length)
{
	uint32_t crc = 0;

	memcpy(at + crc_at, &crc, 4);
	crc = crc32c(seed, at, length);
	memcpy(at + crc_at, &crc, 4);
}

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

/* Changes ------------------------------------------------------------------------------------------- */

static void change(uint8_t *at, size_t length, uint64_t *seed)
{
	static const uint32_t odd[] = { 0, 1, 2, 16, 17, 255, 511, 512, 513, 1023, 1024, 32768, 65535, 0x3fffffff,
					0x40000000, 0x7fffffff, 0x80000000, 0xc0000000, 0xffffffff };
	uint32_t nr = 1 + (uint32_t)(test_random(seed) % 4), value;
	size_t where;

	while (nr--) {
		where = test_random(seed) % length;
		switch (test_random(seed) % 4) {
		case 0:
			at[where] ^= (uint8_t)(1 << test_random(seed) % 8);
			break;
		case 1:
			at[where] = (uint8_t)test_random(seed);
			break;
		case 2:
			where &= ~3UL;
			value = odd[test_random(seed) % (sizeof(odd) / sizeof(odd[0]))];
			memcpy(at + where, &value, 4);
			break;
		default:
			where &= ~3UL;
			memcpy(at + where, at + (test_random(seed) % length & ~3UL), 4);
			break;
		}
	}
}

static uint8_t *block_at(uint64_t block)
{
	return disk + block * EXO_XN_BLOCK;
}

static void change_super(bool good, uint64_t *seed)
{
	uint32_t i;

	for (i = 0; i < 2; i++) {
		if (test_random(seed) % 2 && !good)
			continue;
		change(block_at(i), 96, seed);
		if (good)
			seal(~0U, block_at(i), 12, 512);
	}
}

static void change_map(bool good, uint64_t *seed)
{
	uint8_t *at = block_at(2);

	change(at, 16 + 4 * PLAY_BLOCKS, seed);
	if (good)
		seal(crc_seed, at, 4, EXO_XN_BLOCK);
}

static void change_entry(uint32_t table, uint32_t number, bool good, uint64_t *seed)
{
	uint8_t *at = block_at(table) + (number - 1) * ENTRY;

	change(at, 160, seed);
	if (good)
		seal(crc_seed, at, 0, ENTRY);
}

/* Of several blocks of one transaction only the first crc can be made right alone. */
static void change_log(bool good, uint64_t *seed)
{
	uint32_t i, from = (uint32_t)(test_random(seed) % PLAY_LOG);
	uint8_t *at = block_at(LOG_AT);

	for (i = 0; i < PLAY_LOG; i++) {
		at = block_at(LOG_AT + (from + i) % PLAY_LOG);
		if (word(at) == 0x4c4e5845 && !(word(at + 16) & 0xffff))
			break;
	}
	change(at, 24 + (word(at + 20) & 0xfff), seed);
	if (good)
		seal(crc_seed, at, 4, EXO_XN_BLOCK);
}

static void change_template(uint64_t *seed)
{
	const uint8_t *entry = block_at(TEMPLATE_TABLE) + ENTRY * (test_random(seed) % 2);
	uint32_t block = word(entry + 32) % PLAY_BLOCKS;

	change(block_at(block), 2048, seed);
}

static void change_unit(uint64_t *seed)
{
	uint64_t block;
	uint32_t root;

	play_root(0, &root, &block);
	change(block_at(block), test_random(seed) % 2 ? 64 : EXO_XN_BLOCK, seed);
}

enum area { SUPER, MAP, ALICE_ENTRY, ENTRIES, TEMPLATES, CONTENT, LOG, ALICE_UNIT, ANY, AREAS };

static void change_area(enum area area, uint64_t *seed)
{
	bool good = test_random(seed) % 2;
	uint64_t block;
	uint32_t root;

	play_root(0, &root, &block);
	switch (area) {
	case SUPER:
		change_super(good, seed);
		break;
	case MAP:
		change_map(good, seed);
		break;
	case ALICE_ENTRY:
		change_entry(ROOT_TABLE, root, false, seed);
		break;
	case ENTRIES:
		change_entry(ROOT_TABLE, 1 + (uint32_t)(test_random(seed) % 4), good, seed);
		break;
	case TEMPLATES:
		change_entry(TEMPLATE_TABLE, 1 + (uint32_t)(test_random(seed) % 3), good, seed);
		break;
	case CONTENT:
		change_template(seed);
		break;
	case LOG:
		change_log(good, seed);
		break;
	case ALICE_UNIT:
		change_unit(seed);
		break;
	default:
		change(disk, (LOG_AT + PLAY_LOG + 64) * EXO_XN_BLOCK, seed);
		break;
	}
}

/* What is done to each -------------------------------------------------------------------------------- */

struct count {
	uint32_t refused, quarantined, good;
};

/* Everybody tries to go on: any errno will do. */
static void use(int fd, uint32_t number)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = number };
	struct exo_xn_root root = { .size = sizeof(root), .flags = EXO_XN_NEXT, .disk = number };
	struct xt_unit unit;
	uint32_t i;

	for (i = 0; i < 100 && !check.out_done && !t_ioctl(fd, EXO_XN_CHECK, &check); i++)
		;
	for (i = 0; i < 8 && !t_ioctl(fd, EXO_XN_ROOT, &root); i++) {
		if (xt_read(fd, number, root.root, root.out_block, root.out_block, &unit, sizeof(unit)) !=
		    sizeof(unit))
			continue;
		unit.nr %= 200;
		xt_grow(fd, number, root.root, root.out_block, &unit, 440 + i, 1, EXO_XN_DATA,
			EXO_XN_APPLY_COMMIT);
		xt_shrink(fd, number, root.root, root.out_block, &unit, EXO_XN_APPLY_COMMIT);
	}
}

static void attack(int fd, const char *path, enum area area, struct count *count, uint64_t *seed)
{
	struct exo_xn_attach attach;
	const char *wrong;
	int ret;

	ret = xt_attach(fd, path, &attach);
	if (ret) {
		if (ret != -EINVAL && ret != -EIO && ret != -ENOMEM && ret != -E2BIG && ret != -ENOENT)
			FAIL("attach: %s", strerror(-ret));
		count->refused++;
		if (area == ALICE_UNIT)
			FAIL("a unit of one root, and nobody can use the disk: %s", strerror(-ret));
		return;
	}
	if (attach.out_quarantined)
		count->quarantined++;
	else
		count->good++;
	if (area == ALICE_UNIT || area == ALICE_ENTRY) {
		wrong = play_look_user(attach.out_disk, 1, events, seed);
		if (wrong)
			FAIL("bob, of whose nothing was touched: %s", wrong);
	}
	use(fd, attach.out_disk);
	ret = xt_detach(fd, attach.out_disk, EXO_XN_DETACH_FORCE);
	ASSERT_EQ(ret, 0);
}

/* A disk as a crash would leave it, so that there is something in its log. */
static void make_image(const char *file, char path[32])
{
	uint64_t seed = 20261121;
	uint32_t i;

	xt_device(file, PLAY_BLOCKS, path);
	play_start(path);
	for (i = 0; i < 60; i++)
		ASSERT_EQ(play_step(&seed), 0);
	ASSERT_EQ(play_commit(), 0);
	events = play_events();
	disk = xt_map_file(file, DISK_BYTES);
	image = malloc(DISK_BYTES);
	ASSERT_TRUE(image != NULL);
	memcpy(image, disk, DISK_BYTES);
	ASSERT_EQ(xt_detach(t_open(), play_disk(), EXO_XN_DETACH_FORCE), 0);
	crc_seed = crc32c(~0U, image + 24, 16);
}

/* Catches: a number from a disk that is believed (INV-XN-13); one root's damage that hurts another (INV-XN-14). */
TEST_LONG(attach__changed_images, 300)
{
	uint64_t seed = test_seed(), one;
	uint32_t i, rounds = test_core_rounds(300, 6);
	struct count count[AREAS] = { 0 };
	const char *wrong;
	char path[32];
	int fd;

	play_open();
	fd = t_open();
	make_image("disk", path);
	/* Unchanged it is all right. */
	memcpy(disk, image, DISK_BYTES);
	wrong = play_verify(path, events, &seed);
	if (wrong)
		FAIL("the image itself: %s", wrong);
	test_note("seed %#llx", (unsigned long long)seed);
	for (i = 0; i < rounds; i++) {
		enum area area = i % AREAS;

		memcpy(disk, image, DISK_BYTES);
		one = test_random(&seed) | 1;
		change_area(area, &one);
		attack(fd, path, area, &count[area], &seed);
	}
	for (i = 0; i < AREAS; i++) {
		static const char *const names[AREAS] = { "superblocks", "map", "alice's entry", "roots", "templates",
							  "their content", "log", "alice's unit", "anywhere" };

		test_note("%s: %u refused, %u with a root in quarantine, %u attached", names[i], count[i].refused,
			  count[i].quarantined, count[i].good);
	}
	ASSERT_GT(count[ALICE_UNIT].good + count[ALICE_UNIT].quarantined, 0);
	ASSERT_GT(count[MAP].refused + count[SUPER].refused, 0);
}
