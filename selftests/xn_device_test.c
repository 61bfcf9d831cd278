// SPDX-License-Identifier: GPL-2.0
/*
 * Raw disks on devices that fail: errors of writes and reads, a device that is gone in the middle, a disk that is
 * detached under load.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "null_blk.h"
#include "uring.h"
#include "xn_dm.h"
#include "xn_play.h"

#define SECTORS ((uint64_t)PLAY_BLOCKS * EXO_XN_BLOCK / DM_SECTOR)

static char under[32], path[32], good[64];

static void devices(void)
{
	play_open();
	xt_device("disk", PLAY_BLOCKS, under);
	snprintf(good, sizeof(good), "%s 0", under);
	dm_create("xndev", "linear", SECTORS, good, path);
}

static void device_good(void)
{
	dm_switch("xndev", "linear", SECTORS, good);
}

static void device_bad(const char *features)
{
	char params[96];

	snprintf(params, sizeof(params), "%s 0 0 3600%s", under, features);
	dm_switch("xndev", "flakey", SECTORS, params);
}

static uint32_t disk_flags(int fd)
{
	struct exo_xn_disk info = { .size = sizeof(info), .disk = play_disk() };

	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
	return info.out_flags;
}

static void steps(uint64_t *seed, uint32_t nr)
{
	int ret;

	for (; nr; nr--) {
		ret = play_step(seed);
		if (ret)
			FAIL("a step on a good device: %s", strerror(-ret));
	}
}

static void all_there(uint64_t *seed)
{
	const char *wrong = play_verify(path, play_events(), seed);

	if (wrong)
		FAIL("after %u events: %s", play_events(), wrong);
}

/*
 * Catches: an error of a write that is taken for none, or after which the engine goes on (INV-XN-8, INV-XN-9);
 * data that was durable and is gone.
 */
TEST_LONG(device__write_errors, 120)
{
	uint64_t seed = test_seed();
	uint32_t i, round, errors;
	int fd, ret;

	devices();
	fd = t_open();
	play_start(path);
	for (round = 0; round < test_core_rounds(6, 2); round++) {
		steps(&seed, 25);
		device_bad(" 1 error_writes");
		for (i = errors = 0; i < 200 && !(disk_flags(fd) & EXO_XN_IS_FAILED); i++) {
			ret = play_step(&seed);
			if (ret && ret != -EIO)
				FAIL("a step on a bad device: %s", strerror(-ret));
			errors += ret == -EIO;
		}
		ASSERT_GT(errors, 0);
		ASSERT_TRUE(disk_flags(fd) & EXO_XN_IS_FAILED);
		ASSERT_EQ(play_commit(), -EIO);
		/* That it is good again is no reason to go on. */
		device_good();
		ASSERT_EQ(play_commit(), -EIO);
		ASSERT_EQ(xt_detach(fd, play_disk(), 0), -EIO);
		ASSERT_EQ(xt_detach(fd, play_disk(), EXO_XN_DETACH_FORCE), 0);
		all_there(&seed);
		play_again(path);
	}
	steps(&seed, 25);
	ASSERT_EQ(xt_detach(fd, play_disk(), 0), 0);
	all_there(&seed);
	dm_remove("xndev");
}

/* Catches: an error of a read that spoils more than the read. */
TEST(device__read_errors)
{
	struct xt_unit unit = { .blocks = 1 }, found;
	uint32_t disk, binding, frame, other;
	struct exo_xn_root_create root;
	struct exo_xn_attach attach;
	uint64_t block;
	int fd;

	devices();
	fd = t_open();
	ASSERT_EQ(xt_format(fd, path, 0), 0);
	device_bad("");
	ASSERT_EQ(xt_attach(fd, path, &attach), -EIO);
	ASSERT_EQ(xt_format(fd, path, EXO_XN_FORMAT_FORCE), -EIO);
	/* Nor is it taken for a device with nothing on it. */
	ASSERT_EQ(xt_format(fd, path, 0), -EIO);
	device_good();
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
	block = 440;
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", &unit, 0, &root), 0);
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 4, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RW, &binding), 0);
	frame = t_frame(fd);
	other = t_frame(fd);
	t_fill(fd, frame, 4711);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 1, &frame, 1, EXO_XN_IO_DURABLE), 0);
	device_bad("");
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 1, &other, 1, 0), -EIO);
	/* What was never written needs no device; nor does a unit that is known. */
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &other, 1, 0), 0);
	ASSERT_EQ(xt_read(fd, disk, root.out_root, root.out_block, root.out_block, &found, sizeof(found)),
		  sizeof(found));
	/* Data that isn't written is told of, and isn't readable because of that; nobody else is hurt. */
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 2, &frame, 1, 0), -EIO);
	device_good();
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 1, &other, 1, 0), 0);
	ASSERT_EQ(t_peek(fd, other), 4711);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 2, &other, 1, 0), 0);
	ASSERT_EQ(t_peek(fd, other), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 2, &frame, 1, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	dm_remove("xndev");
}

static void gone_after(void *arg)
{
	usleep((useconds_t)*(uint32_t *)arg);
	dm_switch("xndev", "error", SECTORS, "");
}

/* Catches: what was acknowledged before the device went, and isn't there when it is back. */
TEST_LONG(device__gone, 120)
{
	uint64_t seed = test_seed();
	uint32_t round, delay, done = 0;
	int fd, ret;
	pid_t pid;

	devices();
	fd = t_open();
	play_start(path);
	for (round = 0; round < test_core_rounds(10, 3); round++) {
		delay = (uint32_t)(test_random(&seed) % 60000);
		pid = test_spawn(gone_after, &delay);
		do {
			ret = play_step(&seed);
			done += !ret;
		} while (!ret || (ret == -EIO && !(disk_flags(fd) & EXO_XN_IS_FAILED)));
		ASSERT_EQ(ret, -EIO);
		test_join(pid);
		ASSERT_EQ(xt_detach(fd, play_disk(), EXO_XN_DETACH_FORCE), 0);
		device_good();
		all_there(&seed);
		play_again(path);
	}
	test_note("%u times gone, %u steps in between", round, done);
	ASSERT_EQ(xt_detach(fd, play_disk(), 0), 0);
	dm_remove("xndev");
}

/* Load ---------------------------------------------------------------------------------------------- */

#define LOADERS 3
#define DEPTH 8

struct load {
	uint32_t disk, root, first;
	uint64_t at, block;
	atomic_int stop;
	atomic_uint good, bad;
};

static bool expected(int ret)
{
	return !ret || ret == -EIO || ret == -ESTALE || ret == -ENOENT;
}

static void counted(struct load *load, int ret, const char *what)
{
	if (!expected(ret))
		FAIL("%s: %s", what, strerror(-ret));
	if (ret)
		load->bad++;
	else
		load->good++;
}

/* Through ioctl(2), with changes and commits in between. */
static void *load_calls(void *arg)
{
	struct load *load = arg;
	struct xt_unit unit;
	uint32_t binding = 0, frame, n;
	int fd = t_open(), ret;

	frame = t_frame(fd);
	for (n = 0; !atomic_load(&load->stop); n++) {
		if (!binding &&
		    xt_bind(fd, load->disk, load->root, load->at, load->block, 16, RW, &binding))
			binding = 0;
		ret = xt_io(fd, n % 3 ? EXO_XN_IO_WRITE : EXO_XN_IO_READ, binding, n % 16, &frame, 1,
			    n % 3 == 1 ? EXO_XN_IO_DURABLE : 0);
		counted(load, ret, "I/O");
		ret = xt_read(fd, load->disk, load->root, load->at, load->at, &unit, sizeof(unit));
		if (ret > 0) {
			struct exo_xn_step step = { .kind = EXO_XN_WRITE, .parent = load->at,
						    .length = sizeof(unit), .bytes = (uintptr_t)&unit };

			unit.group = n;
			ret = xt_apply(fd, load->disk, load->root, &step, 1,
				       n % 2 ? EXO_XN_APPLY_COMMIT : 0, NULL);
		}
		counted(load, ret, "change");
		if (ret == -ESTALE || ret == -ENOENT) {
			xt_unbind(fd, binding);
			binding = 0;
		}
	}
	close(fd);
	return NULL;
}

/* Through io_uring, many at a time. */
static void *load_ring(void *arg)
{
	struct load *load = arg;
	uint32_t binding = 0, frames[DEPTH], i, n;
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	int fd = t_open();

	t_alloc_any(fd, frames, DEPTH);
	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	for (n = 0; !atomic_load(&load->stop); n++) {
		if (n % 8 == 0) {
			if (binding)
				ASSERT_EQ(xt_unbind(fd, binding), 0);
			if (xt_bind(fd, load->disk, load->root, load->at, load->block, 16, RW, &binding))
				binding = 0;
		}
		for (i = 0; i < DEPTH; i++) {
			ios[i] = (struct exo_xn_io){
				.size = sizeof(ios[i]), .binding = binding, .offset = i, .count = 1,
				.kind = (n + i) % 2 ? EXO_XN_IO_WRITE : EXO_XN_IO_READ,
				.flags = (n + i) % 4 == 1 ? EXO_XN_IO_DURABLE : 0, .frames = frames[i] };
			t_prep_cmd(&ring, fd, EXO_XN_IO, &ios[i]);
		}
		ASSERT_EQ(io_uring_submit(&ring), DEPTH);
		for (i = 0; i < DEPTH; i++)
			counted(load, t_reap(&ring), "request");
	}
	/* A worker of the ring may keep the environment a moment longer than this thread. */
	if (binding)
		ASSERT_EQ(xt_unbind(fd, binding), 0);
	io_uring_queue_exit(&ring);
	close(fd);
	return NULL;
}

static void load_start(int fd, struct load *load, const char *device, pthread_t threads[LOADERS])
{
	struct xt_unit unit = { .blocks = 1 };
	struct exo_xn_root_create root;
	struct exo_xn_attach attach;
	int i;

	ASSERT_EQ(xt_format(fd, device, EXO_XN_FORMAT_FORCE), 0);
	ASSERT_EQ(xt_attach(fd, device, &attach), 0);
	load->disk = attach.out_disk;
	load->block = 440;
	ASSERT_EQ(xt_root(fd, load->disk, xt_template(fd, load->disk), "load", &unit, 0, &root), 0);
	load->root = root.out_root;
	load->at = root.out_block;
	ASSERT_EQ(xt_grow(fd, load->disk, load->root, load->at, &unit, load->block, 16, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	atomic_store(&load->stop, 0);
	for (i = 0; i < LOADERS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, i ? load_calls : load_ring, load), 0);
}

static void load_end(struct load *load, pthread_t threads[LOADERS])
{
	int i;

	atomic_store(&load->stop, 1);
	for (i = 0; i < LOADERS; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
}

static void wait_for(struct load *load, uint32_t good)
{
	uint32_t until = load->good + good, i;

	for (i = 0; i < 20000 && load->good < until; i++)
		usleep(1000);
	ASSERT_LT(i, 20000);
}

#define NULLB "exoxn"

static const struct null_blk_value small_blocks[] = {
	{ "size", "8" }, { "blocksize", "512" }, { NULL, NULL },
};

/* Catches: a device that is removed under its user, who holds what is gone, or waits forever (INV-XN-18). */
TEST_LONG(device__removed_under_load, 120)
{
	pthread_t threads[LOADERS];
	struct load load = { 0 };
	uint32_t round, good;
	char device[32];
	int fd;

	play_open();
	fd = t_open();
	for (round = 0; round < test_core_rounds(4, 2); round++) {
		null_blk_on(NULLB, small_blocks, device);
		load_start(fd, &load, device, threads);
		wait_for(&load, 100);
		null_blk_set(NULLB, "power", "0");
		good = load.bad;
		while (load.bad < good + 10)
			usleep(1000);
		ASSERT_EQ(xt_detach(fd, load.disk, EXO_XN_DETACH_FORCE), 0);
		load_end(&load, threads);
		null_blk_off(NULLB);
	}
	test_note("%u times removed, %u operations before, %u refused", round, load.good, load.bad);
}

/* Catches: I/O that goes on after a disk is detached, a detach that forgets what was committed (INV-XN-18). */
TEST_LONG(detach__under_load, 120)
{
	struct exo_xn_attach attach;
	pthread_t threads[LOADERS];
	struct load load = { 0 };
	uint32_t round;
	char device[32];
	int fd;

	play_open();
	fd = t_open();
	xt_device("disk", PLAY_BLOCKS, device);
	load_start(fd, &load, device, threads);
	for (round = 0; round < test_core_rounds(20, 4); round++) {
		wait_for(&load, 30);
		ASSERT_EQ(xt_detach(fd, load.disk, EXO_XN_DETACH_FORCE), 0);
		ASSERT_EQ(xt_attach(fd, device, &attach), 0);
		ASSERT_EQ(attach.out_disk, load.disk);
		ASSERT_EQ(attach.out_quarantined, 0);
	}
	load_end(&load, threads);
	test_note("%u times detached, %u operations, %u refused", round, load.good, load.bad);
	ASSERT_EQ(xt_detach(fd, load.disk, 0), 0);
}
