// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: many entries in one call are one submission. How few requests that is, what is told when some of
 * them fail, and that those who do it at once, with the same entries, don't wait for each other.
 */
#include <signal.h>
#include <stdatomic.h>

#include "null_blk.h"
#include "xn_dm.h"
#include "xn_registry_setup.h"

#define ALL EXO_XN_REG_BATCH
#define NULLB "exobatch"
#define OLD 0x4f4c44ULL
#define NEW 0x4e4557ULL

static struct exo_xn_entry e[ALL];

/* A disk on this device, and a root on it with so many data blocks. */
static void root_on(int fd, const char *device, uint32_t blocks)
{
	struct exo_xn_attach attach;

	ASSERT_EQ(xt_format(fd, device, 0), 0);
	ASSERT_EQ(xt_attach(fd, device, &attach), 0);
	disk = attach.out_disk;
	unit = (struct xt_unit){ .blocks = 1 };
	block = xt_data_root(fd, disk, &unit, blocks, &root, &parent);
}

/* The same disk, and nothing in memory. */
static void again(int fd)
{
	struct exo_xn_attach attach;

	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
}

static void use_all(int fd, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		use(fd, block + i, RW, &e[i]);
}

static void give_up_all(int fd, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		ASSERT_EQ(xt_unbind(fd, e[i].out_entry), 0);
}

static void fill_all(int fd, uint32_t nr, uint64_t value)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		t_fill(fd, e[i].out_frame, value + i);
}

static void put_all(int fd, uint32_t nr, uint64_t value)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		put_on_disk(fd, block + i, value + i);
}

static int io_of(int fd, uint32_t kind, const uint32_t *numbers, uint32_t nr, uint32_t flags, uint32_t *done)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind, .count = nr,
				       .entries = (uintptr_t)numbers };
	int ret = t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);

	*done = cmd.out_done;
	return ret;
}

/* The first nr entries in one call, in the order of their blocks or the other way round. */
static int io_all(int fd, uint32_t kind, uint32_t nr, bool down, uint32_t *done)
{
	uint32_t i, numbers[ALL];

	for (i = 0; i < nr; i++)
		numbers[i] = e[down ? nr - 1 - i : i].out_entry;
	return io_of(fd, kind, numbers, nr, 0, done);
}

static void io_good(int fd, uint32_t kind, uint32_t nr, bool down)
{
	uint32_t done;

	ASSERT_EQ(io_all(fd, kind, nr, down, &done), 0);
	ASSERT_EQ(done, nr);
}

/* How few requests -------------------------------------------------------------------------------- */

/* Requests that the device has done, as it counts them. */
static uint64_t requests(const char *device, bool writes)
{
	unsigned long long reads = 0, wrote = 0;
	char name[64];
	FILE *file;

	snprintf(name, sizeof(name), "/sys/block/%s/stat", strrchr(device, '/') + 1);
	file = fopen(name, "re");
	ASSERT_TRUE(file && fscanf(file, "%llu %*u %*u %*u %llu", &reads, &wrote) == 2);
	fclose(file);
	return writes ? wrote : reads;
}

/* So many more than then: some. */
static void few(const char *what, const char *device, bool writes, uint64_t then, uint64_t most)
{
	uint64_t n = requests(device, writes) - then;

	test_note("%s: %u blocks in %llu requests", what, ALL, (unsigned long long)n);
	ASSERT_GT(n, 0);
	ASSERT_LE(n, most);
}

/* Catches: entries of one call, or what is written for the dead, one after the other. */
TEST(batch__few_requests)
{
	static const struct null_blk_value values[] = { { "size", "32" }, { "blocksize", "512" }, {} };
	int fd = xt_admin();
	uint64_t then;
	uint32_t i;

	null_blk_on(NULLB, values, path);
	root_on(fd, path, ALL);
	put_all(fd, ALL, OLD);
	ASSERT_EQ(xt_commit(fd, disk, root), 0);
	use_all(fd, ALL);
	then = requests(path, false);
	io_good(fd, EXO_XN_ENTRY_READ, ALL, false);
	few("read", path, false, then, 4);
	for (i = 0; i < ALL; i++)
		ASSERT_EQ_FOR(t_peek(fd, e[i].out_frame), OLD + i, "block %u", i);
	fill_all(fd, ALL, NEW);
	io_good(fd, EXO_XN_ENTRY_DIRTY, ALL, false);
	then = requests(path, true);
	io_good(fd, EXO_XN_ENTRY_WRITE, ALL, true);
	few("write, the last first", path, true, then, 4);
	for (i = 0; i < ALL; i++)
		ASSERT_EQ_FOR(on_disk(fd, block + i), NEW + i, "block %u", i);
	/* Nothing to do is no request. */
	then = requests(path, true);
	io_good(fd, EXO_XN_ENTRY_WRITE, ALL, false);
	ASSERT_EQ(requests(path, true), then);
	io_good(fd, EXO_XN_ENTRY_DIRTY, ALL, false);
	then = requests(path, true);
	end(fd);
	few("detach, log and all", path, true, then, 16);
	give_up_all(fd, ALL);
	again(fd);
	then = requests(path, false);
	ASSERT_EQ(speculate(fd, block, ALL), 0);
	few("ahead", path, false, then, 8);
	end(fd);
	null_blk_off(NULLB);
}

/* What fails -------------------------------------------------------------------------------------- */

#define SOME 8U
#define BAD_1 3U
#define BAD_2 5U
#define SECTORS_OF(blocks) ((uint64_t)(blocks) * EXO_XN_BLOCK / DM_SECTOR)

static char under[32];

static void part(struct dm_part *parts, char *text, uint64_t from, uint64_t to)
{
	snprintf(text, 64, "%s %llu", under, (unsigned long long)SECTORS_OF(from));
	*parts = (struct dm_part){ "linear", SECTORS_OF(to - from), text };
}

/* Two of the blocks can be neither read nor written, or all can. */
static void device_bad(bool bad)
{
	const struct dm_part error = { "error", SECTORS_OF(1), "" };
	struct dm_part parts[] = { error, error, error, error, error };
	char text[3][64];

	if (bad) {
		part(&parts[0], text[0], 0, block + BAD_1);
		part(&parts[2], text[1], block + BAD_1 + 1, block + BAD_2);
		part(&parts[4], text[2], block + BAD_2 + 1, XT_BLOCKS);
	} else {
		part(&parts[0], text[0], 0, XT_BLOCKS);
	}
	dm_switch_parts("xnbatch", parts, bad ? 5 : 1);
}

static bool is_bad(uint32_t i)
{
	return i == BAD_1 || i == BAD_2;
}

/* These bits, of those in mask, have the bad blocks and the others. */
static void states(const struct exo_xn_reg_table *t, uint32_t mask, uint32_t bad, uint32_t good)
{
	uint32_t i;

	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(state_of(t, block + i) & mask, is_bad(i) ? bad : good, "block %u", i);
}

static void dirty_child(int to)
{
	int fd = t_open();

	read_unit(fd);
	use_all(fd, SOME);
	fill_all(fd, SOME, NEW + 100);
	io_good(fd, EXO_XN_ENTRY_DIRTY, SOME, false);
	ASSERT_EQ(write(to, "", 1), 1);
	pause();
}

static const uint32_t io_bits = EXO_XN_REG_VALID | EXO_XN_REG_DIRTY | EXO_XN_REG_LOST;

/* Catches: blocks that are told to be read or written and aren't, or the reverse, beside one that failed (INV-XN-23). */
TEST(batch__errors)
{
	const struct exo_xn_reg_table *t;
	int fd = xt_admin(), from[2];
	uint32_t i, done;
	char text[64], byte;
	pid_t pid;

	xt_device("batch", XT_BLOCKS, under);
	snprintf(text, sizeof(text), "%s 0", under);
	dm_create("xnbatch", "linear", SECTORS_OF(XT_BLOCKS), text, path);
	root_on(fd, path, SOME);
	put_all(fd, SOME, OLD);
	t = table(fd);
	use_all(fd, SOME);
	device_bad(true);
	ASSERT_EQ(io_all(fd, EXO_XN_ENTRY_READ, SOME, false, &done), -EIO);
	ASSERT_EQ(done, BAD_1);
	states(t, io_bits, 0, EXO_XN_REG_VALID);
	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(t_peek(fd, e[i].out_frame), is_bad(i) ? 0 : OLD + i, "block %u", i);
	ASSERT_EQ(io_all(fd, EXO_XN_ENTRY_READ, SOME, true, &done), -EIO);
	ASSERT_EQ(done, SOME - 1 - BAD_2);
	device_bad(false);
	io_good(fd, EXO_XN_ENTRY_READ, SOME, false);
	fill_all(fd, SOME, NEW);
	io_good(fd, EXO_XN_ENTRY_DIRTY, SOME, false);
	device_bad(true);
	ASSERT_EQ(io_all(fd, EXO_XN_ENTRY_WRITE, SOME, false, &done), -EIO);
	ASSERT_EQ(done, BAD_1);
	states(t, io_bits, EXO_XN_REG_VALID | EXO_XN_REG_DIRTY | EXO_XN_REG_LOST, EXO_XN_REG_VALID);
	ASSERT_EQ(t->lost, 2);
	device_bad(false);
	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(on_disk(fd, block + i), (is_bad(i) ? OLD : NEW) + i, "block %u", i);
	io_good(fd, EXO_XN_ENTRY_WRITE, SOME, false);
	states(t, io_bits, EXO_XN_REG_VALID, EXO_XN_REG_VALID);
	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(on_disk(fd, block + i), NEW + i, "block %u", i);
	give_up_all(fd, SOME);
	/* What the dead left. */
	ASSERT_EQ(pipe(from), 0);
	pid = test_fork();
	if (!pid)
		dirty_child(from[1]);
	ASSERT_EQ(read(from[0], &byte, 1), 1);
	device_bad(true);
	kill(pid, SIGKILL);
	test_wait(pid);
	for (i = 0; i < SOME; i++)
		wait_state(t, block + i, io_bits | EXO_XN_REG_BUSY, is_bad(i) ? io_bits : EXO_XN_REG_VALID);
	device_bad(false);
	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(on_disk(fd, block + i), NEW + (is_bad(i) ? 0 : 100) + i, "block %u", i);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	ASSERT_EQ(t->lost, 4);
	/* What is read ahead. */
	again(fd);
	device_bad(true);
	ASSERT_EQ(speculate(fd, block, SOME), 0);
	t = table(fd);
	states(t, io_bits, 0, EXO_XN_REG_VALID);
	device_bad(false);
	use_all(fd, SOME);
	io_good(fd, EXO_XN_ENTRY_READ, SOME, false);
	for (i = 0; i < SOME; i++)
		ASSERT_EQ_FOR(t_peek(fd, e[i].out_frame), NEW + (is_bad(i) ? 0 : 100) + i, "block %u", i);
	end(fd);
	dm_remove("xnbatch");
}

/* Catches: a call that goes on after what is wrong with it, or says too much; one that waits for itself, or mixes disks. */
TEST(batch__numbers)
{
	int fd = setup(0, SOME);
	const struct exo_xn_reg_table *t = table(fd);
	uint32_t done, first = disk, read_only, number[4];
	uint64_t first_block = block;
	struct exo_xn_entry one;
	char second[32];

	put_all(fd, SOME, OLD);
	use_all(fd, SOME);
	read_only = use(fd, block + 3, RO, &one);
	/* The same one twice. */
	number[0] = number[1] = number[3] = e[0].out_entry;
	number[2] = e[1].out_entry;
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_READ, number, 4, 0, &done), 0);
	ASSERT_EQ(done, 4);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_DIRTY, number, 4, 0, &done), 0);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_WRITE, number, 4, EXO_XN_IO_DURABLE, &done), 0);
	ASSERT_EQ(done, 4);
	/* What is wrong with one ends it there. */
	number[1] = 60000;
	number[2] = e[2].out_entry;
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_READ, number, 3, 0, &done), -ENOENT);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(state_of(t, block + 2) & EXO_XN_REG_VALID, 0);
	number[1] = read_only;
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_DIRTY, number, 3, 0, &done), -EACCES);
	ASSERT_EQ(done, 1);
	ASSERT_EQ(state_of(t, block) & EXO_XN_REG_DIRTY, EXO_XN_REG_DIRTY);
	ASSERT_EQ(state_of(t, block + 2) & EXO_XN_REG_DIRTY, 0);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_READ, NULL, 3, 0, &done), -EFAULT);
	ASSERT_EQ(done, 0);
	/* Of two disks by turns. */
	xt_device("second", XT_BLOCKS, second);
	root_on(fd, second, SOME);
	put_all(fd, SOME, NEW);
	number[0] = e[4].out_entry;
	number[2] = e[5].out_entry;
	number[1] = use(fd, block, RW, &one);
	number[3] = use(fd, block + 1, RW, &e[1]);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_READ, number, 4, 0, &done), 0);
	ASSERT_EQ(done, 4);
	ASSERT_EQ(t_peek(fd, e[4].out_frame), OLD + 4);
	ASSERT_EQ(t_peek(fd, e[5].out_frame), OLD + 5);
	ASSERT_EQ(t_peek(fd, one.out_frame), NEW);
	ASSERT_EQ(t_peek(fd, e[1].out_frame), NEW + 1);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_DIRTY, number, 4, 0, &done), 0);
	ASSERT_EQ(io_of(fd, EXO_XN_ENTRY_WRITE, number, 4, EXO_XN_IO_DURABLE, &done), 0);
	ASSERT_EQ(done, 4);
	ASSERT_EQ(state_of(t, first_block + 4) & EXO_XN_REG_DIRTY, 0);
	end(fd);
	ASSERT_EQ(xt_detach(fd, first, EXO_XN_DETACH_FORCE), 0);
}

/* At once ----------------------------------------------------------------------------------------- */

#define RACERS 4U

/* Entries of all blocks, used in any order; what they answer depends on what the others do. */
static void racer(void *arg)
{
	uint64_t seed = test_seed() + (uintptr_t)arg, start = test_now_ns();
	uint32_t i, at, nr, done, calls = 0, numbers[ALL];
	int fd = t_open();

	read_unit(fd);
	while (!test_late(start, 3000)) {
		for (i = 0; i < ALL; i++) {
			if (e[i].out_entry && test_random(&seed) % 16)
				continue;
			if (e[i].out_entry)
				xt_unbind(fd, e[i].out_entry);
			if (entry(fd, block + i, RW, EXO_XN_ENTRY_FRAME, &e[i]))
				e[i].out_entry = 0;
		}
		for (i = 0; i < 8; i++) {
			for (nr = 0; nr < ALL; nr++) {
				/* Up, down, or anyhow. */
				at = (uintptr_t)arg % 3 == 0 ? nr : (uintptr_t)arg % 3 == 1 ? ALL - 1 - nr :
				     test_random(&seed) % ALL;
				numbers[nr] = e[at].out_entry;
			}
			io_of(fd, EXO_XN_ENTRY_READ + test_random(&seed) % 3, numbers, ALL, 0, &done);
			calls += done > 1;
		}
		if (test_random(&seed) % 4 == 0)
			speculate(fd, block, ALL);
		if (test_random(&seed) % 8 == 0)
			t_revoke(fd, 0, 8, 1, &(uint32_t){ 0 });
	}
	if (!calls)
		test_note("no call was of use");
	_exit(0);
}

/* Catches: calls that wait for each other's entries, or for who frees these, for ever (INV-XN-20). */
TEST(batch__at_once)
{
	int fd = setup(0, ALL), i;
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk, .root = root };
	struct exo_quota quota = t_quota(fd, 0);
	pid_t pid[RACERS + 1];
	uint64_t start;

	t_quota_set(fd, &(struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_MIN });
	for (i = 0; i <= (int)RACERS; i++)
		pid[i] = test_spawn(racer, (void *)(uintptr_t)i);
	start = test_now_ns();
	for (i = 0; i <= 20 || !test_late(start, 2500); i++) {
		if (i == 20) {
			kill(pid[RACERS], SIGKILL);
			test_wait(pid[RACERS]);
		}
		test_sleep_ms(10);
		if (i % 16 == 7) {
			ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, 0), 0);
			ASSERT_EQ(xt_commit(fd, disk, root), 0);
			ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, ALL, EXO_XN_DATA, 0), 0);
		}
		if (i % 16 == 15)
			ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	}
	for (i = 0; i < (int)RACERS; i++)
		test_join(pid[i]);
	t_quota_set(fd, &(struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_MIN, .min = quota.min });
	end(fd);
}
