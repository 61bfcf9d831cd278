// SPDX-License-Identifier: GPL-2.0
/*
 * Raw disks: what each command does, who may, and what is left after a crash.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "uring.h"
#include "xn_lib.h"

static char path[32];

static struct xt_unit unit_new(uint32_t flags)
{
	return (struct xt_unit){ .flags = flags, .blocks = 1 };
}

/* A root of the caller's on a new disk. */
static struct exo_xn_root_create root;
static struct xt_unit unit;

static uint32_t setup(int fd, uint32_t flags)
{
	uint32_t disk = xt_disk(fd, path);

	unit = unit_new(flags);
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", &unit, 0, &root), 0);
	return disk;
}

/* The same with so many data blocks, bound. */
static uint32_t setup_data(int fd, uint32_t count, uint64_t *block, uint32_t *binding)
{
	uint32_t disk = setup(fd, 0);

	*block = xt_free_run(fd, disk, count);
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, *block, count, EXO_XN_DATA,
			  0), 0);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, *block, count, RW, binding), 0);
	return disk;
}

static void end(int fd, uint32_t disk)
{
	ASSERT_EQ(xt_detach(fd, disk, EXO_XN_DETACH_FORCE), 0);
}

/* Disks ------------------------------------------------------------------------------------------ */

/* Catches: a device that is used twice, formatted under its user, or not given back. */
TEST(disk__life)
{
	struct exo_xn_disk info = { .size = sizeof(info) };
	struct exo_xn_attach attach;
	int fd = t_open();
	uint32_t disk = xt_disk(fd, path);

	ASSERT_EQ(xt_attach(fd, path, &attach), -EBUSY);
	ASSERT_EQ(xt_format(fd, path, EXO_XN_FORMAT_FORCE), -EBUSY);
	info.disk = disk;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
	ASSERT_EQ(info.out_blocks, XT_BLOCKS);
	ASSERT_GT(info.out_free, XT_BLOCKS / 2);
	ASSERT_EQ(info.out_roots, 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), -ENOENT);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), -ENOENT);
	ASSERT_EQ(xt_format(fd, path, 0), -EBUSY);
	ASSERT_EQ(xt_format(fd, path, EXO_XN_FORMAT_FORCE), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	ASSERT_EQ(xt_detach(fd, attach.out_disk, 0), 0);
	ASSERT_EQ(xt_format(fd, "/dev/null", 0), -ENOTBLK);
	ASSERT_EQ(xt_format(fd, "/dev/none", 0), -ENOENT);
	ASSERT_EQ(xt_format(fd, (char *)8, 0), -EFAULT);
}

/* Catches: a module that goes while it holds a disk. */
TEST(disk__holds_module)
{
	int fd = t_open();
	uint32_t disk = xt_disk(fd, path);

	close(fd);
	ASSERT_EQ(syscall(SYS_delete_module, "exo", O_NONBLOCK), -1);
	ASSERT_EQ(errno, EAGAIN);
	fd = t_open();
	end(fd, disk);
}

/* Catches: commands for admins that others may give. */
TEST(disk__ordinary)
{
	struct exo_xn_attach attach;
	int fd = t_open();
	uint32_t disk = xt_disk(fd, path);
	pid_t pid = test_fork();

	if (!pid) {
		t_become(ALICE);
		fd = t_open();
		ASSERT_EQ(xt_format(fd, path, 0), -EPERM);
		ASSERT_EQ(xt_attach(fd, path, &attach), -EPERM);
		ASSERT_EQ(xt_detach(fd, disk, 0), -EPERM);
		_exit(0);
	}
	test_join(pid);
	end(fd, disk);
}

/* Roots and units -------------------------------------------------------------------------------- */

/* Catches: functions that aren't proved though they can be; two templates with the same content. */
TEST(template__proved)
{
	int fd = t_open();
	uint32_t i, disk = xt_disk(fd, path), number = xt_template(fd, disk);
	struct exo_xn_template info = { .size = sizeof(info), .disk = disk, .number = number };

	ASSERT_EQ(xt_template(fd, disk), number);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_TEMPLATE, &info), 0);
	for (i = 0; i < 3; i++)
		ASSERT_EQ_FOR(info.out_mode[i], EXO_GRAFT_PROOF, "function %u", i);
	info.flags = EXO_XN_REMOVE;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_TEMPLATE, &info), 0);
	info.flags = 0;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_TEMPLATE, &info), -ENOENT);
	end(fd, disk);
}

/* Catches: a unit that isn't as it was committed after a detach (INV-XN-2); blocks taken for nothing (INV-XN-3). */
TEST(unit__change)
{
	int fd = t_open();
	uint32_t disk = setup(fd, 0), number = root.out_root;
	uint64_t block = xt_free_run(fd, disk, 8), at = root.out_block;
	struct exo_xn_attach attach;
	struct xt_unit found;

	ASSERT_EQ(xt_read(fd, disk, number, at, at, &found, sizeof(found)), sizeof(found));
	ASSERT_EQ(memcmp(&found, &unit, sizeof(unit)), 0);
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, 0), 0);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_MINE);
	ASSERT_EQ(xt_map(fd, disk, block + 4), EXO_XN_FREE);
	/* It says other blocks than it allocates. */
	{
		struct exo_xn_apply out;
		struct exo_xn_step steps[2] = {
			{ .kind = EXO_XN_WRITE, .parent = at, .length = sizeof(unit),
			  .bytes = (uintptr_t)&found },
			{ .kind = EXO_XN_ALLOC, .parent = at, .block = block + 4, .count = 1,
			  .slot = EXO_XN_DATA },
		};

		found = unit;
		found.e[found.nr++] = (struct xt_entry){ block + 5, 1, EXO_XN_DATA };
		ASSERT_EQ(xt_apply(fd, disk, number, steps, 2, 0, &out), -EINVAL);
		ASSERT_EQ(out.out_step, 2);
		ASSERT_EQ(out.out_block, at);
	}
	ASSERT_EQ(xt_map(fd, disk, block + 4), EXO_XN_FREE);
	ASSERT_EQ(xt_commit(fd, disk, number), 0);
	/* This change isn't committed. */
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block + 4, 1, EXO_XN_DATA, 0), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
	ASSERT_EQ(attach.out_roots, 1);
	ASSERT_EQ(xt_read(fd, disk, number, at, at, &found, sizeof(found)), sizeof(found));
	ASSERT_EQ(found.nr, 1);
	ASSERT_EQ(xt_map(fd, disk, block + 3), EXO_XN_MINE);
	ASSERT_EQ(xt_map(fd, disk, block + 4), EXO_XN_FREE);
	end(fd, disk);
}

/* Catches: functions that never end, or say more than there is room for, taken for right (INV-XN-3). */
TEST(unit__hostile_functions)
{
	int fd = t_open();
	uint32_t i, disk = setup(fd, 0);
	static const uint32_t flags[] = { XT_LOOP, XT_FLOOD };

	for (i = 0; i < 2; i++) {
		struct xt_unit bad = unit_new(flags[i]);
		struct exo_xn_step step = { .kind = EXO_XN_WRITE, .parent = root.out_block,
					    .length = sizeof(bad), .bytes = (uintptr_t)&bad };
		int ret = xt_apply(fd, disk, root.out_root, &step, 1, 0, NULL);

		if (ret != -EINVAL && ret != -E2BIG)
			FAIL("flags %u: %d", flags[i], ret);
	}
	ASSERT_EQ(xt_read(fd, disk, root.out_root, root.out_block, root.out_block, &unit,
			  sizeof(unit)), sizeof(unit));
	ASSERT_EQ(unit.flags, 0);
	end(fd, disk);
}

static void be_bob(int fd, uint32_t disk, uint64_t block, uint32_t number, uint64_t at)
{
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_DELETE, .disk = disk,
				       .root = number };
	struct exo_xn_read raw = { .size = sizeof(raw), .flags = EXO_XN_READ_RAW, .disk = disk,
				   .root = number, .block = block, .bytes = (uintptr_t)&unit,
				   .length = 8 };
	struct exo_xn_root_create own;
	struct xt_unit found, mine = unit_new(0);
	uint32_t binding;

	t_become(BOB);
	fd = t_open();
	ASSERT_EQ(xt_read(fd, disk, number, at, at, &found, sizeof(found)), -EACCES);
	ASSERT_EQ(xt_bind(fd, disk, number, at, block, 1, RO, &binding), -EACCES);
	ASSERT_EQ(xt_bind(fd, disk, number, at, block, 1, RW, &binding), -EACCES);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), -EACCES);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_READ, &raw), -EACCES);
	ASSERT_EQ(xt_commit(fd, disk, number), -EACCES);
	set.flags = EXO_XN_ROOT_CHOWN;
	set.uid = BOB;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), -EPERM);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_TAKEN);
	found = unit_new(XT_PUBLIC);
	ASSERT_EQ(xt_grow(fd, disk, number, at, &found, block + 8, 1, EXO_XN_DATA, 0), -EACCES);
	/* Nor is it his because his own unit says so. */
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "bob", &mine, 0, &own), 0);
	ASSERT_EQ(xt_grow(fd, disk, own.out_root, own.out_block, &mine, block, 1, EXO_XN_DATA, 0),
		  -EBUSY);
	ASSERT_EQ(xt_grow(fd, disk, own.out_root, own.out_block, &mine, 0, 1, EXO_XN_DATA, 0), -EBUSY);
	ASSERT_EQ(xt_bind(fd, disk, own.out_root, own.out_block, block, 1, RO, &binding), -ENOENT);
	_exit(0);
}

/* Catches: a stranger who reads, writes, frees or claims what isn't his (INV-XN-1). */
TEST(stranger__refused)
{
	int fd = t_open();
	uint32_t disk = setup(fd, 0);
	uint64_t block = xt_free_run(fd, disk, 16);
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root.out_root, .uid = ALICE };
	pid_t pid;

	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 1, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	pid = test_fork();
	if (!pid)
		be_bob(fd, disk, block, root.out_root, root.out_block);
	test_join(pid);
	end(fd, disk);
}

/* Catches: keys and groups that acl doesn't hear of. */
TEST(stranger__key_and_group)
{
	int fd = t_open();
	uint32_t disk = setup(fd, XT_KEY | XT_GROUP);
	struct exo_xn_key keys[1] = { { "the key of the roots of xn_test" } };
	struct exo_xn_read read = { .size = sizeof(read), .disk = disk, .root = root.out_root,
				    .block = root.out_block, .parent = root.out_block,
				    .bytes = (uintptr_t)&unit, .length = 8, .nr_keys = 1,
				    .keys = (uintptr_t)keys };
	pid_t pid = test_fork();

	if (!pid) {
		t_become(BOB);
		fd = t_open();
		ASSERT_EQ(t_ioctl(fd, EXO_XN_READ, &read), 0);
		keys[0].key[3] ^= 1;
		ASSERT_EQ(t_ioctl(fd, EXO_XN_READ, &read), -EACCES);
		read.nr_keys = EXO_XN_KEYS + 1;
		ASSERT_EQ(t_ioctl(fd, EXO_XN_READ, &read), -EINVAL);
		_exit(0);
	}
	test_join(pid);
	unit = unit_new(XT_GROUP);
	unit.group = BOB;
	{
		struct exo_xn_step step = { .kind = EXO_XN_WRITE, .parent = root.out_block,
					    .length = sizeof(unit), .bytes = (uintptr_t)&unit };

		ASSERT_EQ(xt_apply(fd, disk, root.out_root, &step, 1, 0, NULL), 0);
	}
	read.nr_keys = 0;
	pid = test_fork();
	if (!pid) {
		ASSERT_EQ(setgid(BOB), 0);
		t_become(BOB);
		fd = t_open();
		ASSERT_EQ(t_ioctl(fd, EXO_XN_READ, &read), getgid() == BOB ? 0 : -EACCES);
		_exit(0);
	}
	test_join(pid);
	end(fd, disk);
}

/* Data ------------------------------------------------------------------------------------------- */

/* Catches: I/O of other blocks, frames or bytes than was asked for; blocks that show what was there before (INV-XN-7). */
TEST(data__io)
{
	uint32_t frames[16], i, binding, disk;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, 300, &block, &binding);
	t_alloc_any(fd, frames, 16);
	for (i = 0; i < 16; i++)
		t_fill(fd, frames[i], 1000 + i);
	/* Every second one is written: the others read as zeros, in between. */
	for (i = 0; i < 16; i += 2)
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, i, &frames[i], 1, 0), 0);
	for (i = 0; i < 16; i++)
		t_fill(fd, frames[i], 7);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 16, 0), 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), i % 2 ? 0 : 1000 + i, "block %u", i);
	for (i = 0; i < 16; i++)
		t_fill(fd, frames[i], 2000 + i);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 284, frames, 16, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 284, frames, 16, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_ZERO, binding, 286, NULL, 3, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_FLUSH, binding, 0, NULL, 0, 0), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 284, frames, 16, 0), 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), i >= 2 && i < 5 ? 0 : 2000 + i, "block %u", i);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 1, 0), -ENOENT);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: I/O beyond a binding, with frames that aren't one's own, with rights that it hasn't got. */
TEST(data__refused)
{
	uint32_t frames[2], other, binding, ro, disk, none = 0xfffffff0;
	int fd = t_open(), stranger = t_open();
	uint64_t block;

	disk = setup_data(fd, 4, &block, &binding);
	t_alloc_any(fd, frames, 2);
	other = t_frame(stranger);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RO, &ro), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, ro, 0, frames, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_ZERO, ro, 0, NULL, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_DISCARD, ro, 0, NULL, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 3, frames, 2, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, ~0U, frames, 2, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, frames, 0, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, frames, 1, EXO_XN_IO_DURABLE), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, &other, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, &none, 1, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, 9, ro, 0, frames, 1, 0), -EINVAL);
	ASSERT_EQ(xt_io(stranger, EXO_XN_IO_READ, ro, 0, &other, 1, 0), -ENOENT);
	frames[1] = other;
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 2, 0), -EACCES);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 5, RO, &ro), -ENOENT);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block - 1, 1, RO, &ro), -ENOENT);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, block, block, 1, RO, &ro), -ENOENT);
	close(stranger);
	end(fd, disk);
}

/* Catches: a binding that outlives what it was made for (INV-XN-18). */
TEST(data__stale)
{
	uint32_t frame, binding, again, disk;
	struct xt_unit before;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, 4, &block, &binding);
	frame = t_frame(fd);
	t_fill(fd, frame, 55);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
	/* The unit changes, and still owns them. */
	before = unit;
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block + 4, 1, EXO_XN_DATA, 0),
		  0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), -EBUSY);
	/* Now they are freed. */
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, 0), 0);
	ASSERT_EQ(memcmp(&unit.nr, &before.nr, 4), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, 0), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), -ESTALE);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RW, &again), -ENOENT);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_WAITING);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_FREE);
	/* Whoever gets them next sees zeros. */
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 4, EXO_XN_DATA, 0), 0);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RW, &again), 0);
	t_fill(fd, frame, 77);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, again, 0, &frame, 1, 0), 0);
	ASSERT_EQ(t_peek(fd, frame), 0);
	end(fd, disk);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, again, 0, &frame, 1, 0), -ESTALE);
	ASSERT_EQ(xt_unbind(fd, again), 0);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
}

#define MANY 240U
#define CROWD 10000U

/* How long it takes to free so many blocks, one by one in one call, while others are bound; the best of some. */
static uint64_t time_frees(int fd, uint32_t disk, uint64_t block)
{
	static struct exo_xn_step steps[MANY + 1];
	uint64_t start, took, best = UINT64_MAX;
	uint32_t round, i, kind;

	for (round = 0; round < 8; round++) {
		kind = round % 2 ? EXO_XN_FREE_STEP : EXO_XN_ALLOC;
		for (i = 0; i < MANY; i++) {
			unit.e[1 + i] = (struct xt_entry){ block + i, 1, EXO_XN_DATA };
			steps[i] = (struct exo_xn_step){ .kind = kind, .parent = root.out_block,
							 .block = block + i, .count = 1, .slot = EXO_XN_DATA };
		}
		steps[MANY] = (struct exo_xn_step){ .kind = EXO_XN_WRITE, .parent = root.out_block,
						    .length = sizeof(unit), .bytes = (uintptr_t)&unit };
		unit.nr = kind == EXO_XN_ALLOC ? 1 + MANY : 1;
		start = test_now_ns();
		ASSERT_EQ(xt_apply(fd, disk, root.out_root, steps, MANY + 1, 0, NULL), 0);
		took = test_now_ns() - start;
		if (kind == EXO_XN_FREE_STEP && took < best)
			best = took;
		ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	}
	return best;
}

/* Catches: a free that looks at all bindings of the disk, with its lock held. */
TEST(data__bindings_of_others_cost_no_free)
{
	uint32_t binding, disk, i;
	uint64_t block, alone, crowd;
	int fd = t_open();

	disk = setup_data(fd, MANY + 1, &block, &binding);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 1, EXO_XN_DATA, 0), 0);
	alone = time_frees(fd, disk, block + 1);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 1, EXO_RIGHT_READ, &binding), 0);
	crowd = time_frees(fd, disk, block + 1);
	printf("# %u blocks are freed in %llu us, beside %u bindings in %llu us\n", MANY,
	       (unsigned long long)alone / 1000, CROWD, (unsigned long long)crowd / 1000);
	ASSERT_LT(crowd, 4 * alone + 2000000);
	end(fd, disk);
}

/* Catches: acl asked at the bind only, though the unit changed (INV-XN-18). */
TEST(data__acl_again)
{
	uint32_t frame, binding, disk;
	int fd = t_open();
	uint64_t block;
	pid_t pid;

	disk = setup_data(fd, 4, &block, &binding);
	pid = test_fork();
	if (!pid) {
		struct exo_xn_root_create own;
		struct xt_unit mine = unit_new(0);
		struct exo_xn_step step = { .kind = EXO_XN_WRITE, .length = sizeof(mine),
					    .bytes = (uintptr_t)&mine };

		t_become(ALICE);
		fd = t_open();
		frame = t_frame(fd);
		block = xt_free_run(fd, disk, 2);
		ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "alice", &mine, 0, &own), 0);
		block = xt_free_run(fd, disk, 2);
		ASSERT_EQ(xt_grow(fd, disk, own.out_root, own.out_block, &mine, block, 2, EXO_XN_DATA,
				  0), 0);
		ASSERT_EQ(xt_bind(fd, disk, own.out_root, own.out_block, block, 2, RW, &binding), 0);
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
		mine.flags = XT_CLOSED;
		step.parent = own.out_block;
		ASSERT_EQ(xt_apply(fd, disk, own.out_root, &step, 1, 0, NULL), 0);
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), -EACCES);
		_exit(0);
	}
	test_join(pid);
	end(fd, disk);
}

/* io_uring --------------------------------------------------------------------------------------- */

#define DEPTH 32

static void run_batch(struct io_uring *ring, int fd, struct exo_xn_io *ios, int want)
{
	struct io_uring_cqe *cqe;
	uint64_t seen = 0;
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		t_prep_cmd(ring, fd, EXO_XN_IO, &ios[i])->user_data = i;
	ASSERT_EQ(io_uring_submit(ring), DEPTH);
	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(io_uring_wait_cqe(ring, &cqe), 0);
		ASSERT_EQ_FOR(cqe->res, want, "request %u", (unsigned int)cqe->user_data);
		seen |= 1ULL << cqe->user_data;
		io_uring_cqe_seen(ring, cqe);
	}
	ASSERT_EQ(seen, (1ULL << DEPTH) - 1);
}

/* Catches: requests that are lost, told twice, or of which the worker knows nothing. */
TEST(uring__io)
{
	static const uint32_t kinds[] = { EXO_XN_IO_WRITE, EXO_XN_IO_READ };
	uint32_t frames[DEPTH], i, k, binding, disk;
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, DEPTH, &block, &binding);
	t_alloc_any(fd, frames, DEPTH);
	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	for (i = 0; i < DEPTH; i++)
		t_fill(fd, frames[i], 500 + i);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < DEPTH; i++)
			ios[i] = (struct exo_xn_io){
				.size = sizeof(ios[i]), .kind = kinds[k], .binding = binding,
				.flags = k || i % 2 ? 0 : EXO_XN_IO_DURABLE, .offset = DEPTH - 1 - i,
				.count = 1, .frames = frames[k ? DEPTH - 1 - i : i] };
		run_batch(&ring, fd, ios, 0);
	}
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), 500 + DEPTH - 1 - i, "frame %u", i);
	for (i = 0; i < DEPTH; i++)
		ios[i] = (struct exo_xn_io){ .size = sizeof(ios[i]), .kind = EXO_XN_IO_FLUSH,
					     .binding = binding };
	run_batch(&ring, fd, ios, 0);
	/* The disk goes. */
	end(fd, disk);
	run_batch(&ring, fd, ios, -ESTALE);
	io_uring_queue_exit(&ring);
}

/* Catches: a frame that its next owner gets while a device still writes it (INV-XN-15). */
TEST(uring__free_under_io)
{
	uint32_t frames[DEPTH], i, round, binding, disk, done;
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	int fd = t_open(), ret;
	uint64_t block;

	disk = setup_data(fd, DEPTH, &block, &binding);
	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	for (round = 0; round < 50; round++) {
		t_alloc_any(fd, frames, DEPTH);
		for (i = 0; i < DEPTH; i++) {
			ios[i] = (struct exo_xn_io){
				.size = sizeof(ios[i]), .binding = binding, .offset = i, .count = 1,
				.kind = round % 2 ? EXO_XN_IO_READ : EXO_XN_IO_WRITE,
				.frames = frames[i] };
			t_prep_cmd(&ring, fd, EXO_XN_IO, &ios[i]);
		}
		ASSERT_EQ(io_uring_submit(&ring), DEPTH);
		ASSERT_EQ(t_free(fd, frames, DEPTH, &done), 0);
		for (i = 0; i < DEPTH; i++) {
			ret = t_reap(&ring);
			if (ret && ret != -EACCES && ret != -ESTALE)
				FAIL("%d", ret);
		}
	}
	io_uring_queue_exit(&ring);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: a program that dies with requests in flight, and takes the disk with it. */
TEST(uring__dies)
{
	uint32_t frames[DEPTH], i, round, binding, disk;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, DEPTH, &block, &binding);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	for (round = 0; round < 10; round++) {
		pid_t pid = test_fork();

		if (!pid) {
			struct exo_xn_io ios[DEPTH];
			struct io_uring ring;

			fd = t_open();
			t_alloc_any(fd, frames, DEPTH);
			ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, DEPTH, RW,
					  &binding), 0);
			ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
			for (i = 0; i < DEPTH; i++) {
				ios[i] = (struct exo_xn_io){
					.size = sizeof(ios[i]), .binding = binding, .offset = i,
					.kind = EXO_XN_IO_WRITE, .count = 1, .frames = frames[i],
					.flags = i % 2 ? EXO_XN_IO_DURABLE : 0 };
				t_prep_cmd(&ring, fd, EXO_XN_IO, &ios[i]);
			}
			ASSERT_EQ(io_uring_submit(&ring), DEPTH);
			raise(SIGKILL);
		}
		test_join_killed(pid, SIGKILL);
	}
	for (i = 0; i < 100 && xt_detach(fd, disk, 0); i++)
		test_sleep_ms(20);
	ASSERT_LT(i, 100);
}

/* Crashes ---------------------------------------------------------------------------------------- */

/* Catches: what was acknowledged and is gone, or what wasn't and is there (INV-XN-2, INV-XN-7). */
TEST(crash__copy)
{
	uint32_t frames[4], i, binding, disk, number;
	struct exo_xn_attach attach;
	struct xt_unit found;
	char copy[32];
	int fd = t_open();
	uint64_t block, at;

	disk = setup_data(fd, 4, &block, &binding);
	number = root.out_root;
	at = root.out_block;
	t_alloc_any(fd, frames, 4);
	for (i = 0; i < 4; i++)
		t_fill(fd, frames[i], 300 + i);
	ASSERT_EQ(xt_commit(fd, disk, number), 0);
	/* Two durably, one not, one never. */
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 2, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 2, &frames[2], 1, 0), 0);
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block + 4, 1, EXO_XN_DATA, 0), 0);
	xt_crash("disk", "copy", copy);
	end(fd, disk);

	ASSERT_EQ(xt_attach(fd, copy, &attach), 0);
	disk = attach.out_disk;
	ASSERT_GT(attach.out_replayed, 0);
	ASSERT_EQ(attach.out_quarantined, 0);
	ASSERT_EQ(xt_read(fd, disk, number, at, at, &found, sizeof(found)), sizeof(found));
	ASSERT_EQ(found.nr, 1);
	ASSERT_EQ(xt_map(fd, disk, block + 4), EXO_XN_FREE);
	ASSERT_EQ(xt_bind(fd, disk, number, at, block, 4, RW, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 4, 0), 0);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(t_peek(fd, frames[i]), 300 + i);
	ASSERT_TRUE(t_peek(fd, frames[2]) == 0 || t_peek(fd, frames[2]) == 302);
	ASSERT_EQ(t_peek(fd, frames[3]), 0);
	end(fd, disk);
}

/* Races ------------------------------------------------------------------------------------------ */

struct race {
	int fd;
	uint32_t disk;
	uint32_t number;
	uint64_t at;
	uint64_t block;
	atomic_int stop;
};

static void *race_io(void *arg)
{
	struct race *race = arg;
	uint32_t frame = t_frame(race->fd), binding;
	uint64_t n;

	for (n = 0; !atomic_load(&race->stop); n++) {
		int ret = xt_bind(race->fd, race->disk, race->number, race->at, race->block, 2, RW,
				  &binding);

		if (ret) {
			ASSERT_TRUE(ret == -ENOENT);
			continue;
		}
		while (!(ret = xt_io(race->fd, n % 2 ? EXO_XN_IO_WRITE : EXO_XN_IO_READ, binding, n % 2,
				     &frame, 1, n % 4 == 1 ? EXO_XN_IO_DURABLE : 0)) &&
		       n++ % 64)
			;
		ASSERT_TRUE(!ret || ret == -ESTALE);
		ASSERT_EQ(xt_unbind(race->fd, binding), 0);
	}
	t_free1(race->fd, frame);
	return NULL;
}

static void *race_commit(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		int ret = xt_commit(race->fd, race->disk, race->number);

		ASSERT_TRUE(!ret || ret == -ENOENT);
	}
	return NULL;
}

/* Catches: I/O that goes on while its blocks are freed, committed, or the disk is detached (INV-XN-18). */
TEST_LONG(race__free_commit_detach, 120)
{
	pthread_t threads[4];
	struct race race = { .fd = t_open() };
	unsigned int i, n, rounds = test_rounds(300, 6);
	int ret;

	race.disk = setup(race.fd, 0);
	race.number = root.out_root;
	race.at = root.out_block;
	race.block = xt_free_run(race.fd, race.disk, 2);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, i == 3 ? race_commit : race_io, &race), 0);
	for (n = 0; n < rounds; n++) {
		do {
			ret = xt_grow(race.fd, race.disk, race.number, race.at, &unit, race.block, 2,
				      EXO_XN_DATA, 0);
			if (ret == -EBUSY)
				ASSERT_EQ(xt_commit(race.fd, race.disk, race.number), 0);
		} while (ret == -EBUSY);
		ASSERT_EQ(ret, 0);
		if (n % 8 == 0)
			usleep(1000);
		ASSERT_EQ(xt_shrink(race.fd, race.disk, race.number, race.at, &unit, 0), 0);
	}
	ASSERT_EQ(xt_commit(race.fd, race.disk, race.number), 0);
	ASSERT_EQ(xt_grow(race.fd, race.disk, race.number, race.at, &unit, race.block, 2, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	usleep(20000);
	ASSERT_EQ(xt_detach(race.fd, race.disk, EXO_XN_DETACH_FORCE), 0);
	usleep(20000);
	atomic_store(&race.stop, 1);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
}

/* Hostile values --------------------------------------------------------------------------------- */

static uint64_t odd(uint64_t *seed)
{
	static const uint64_t values[] = { 0, 1, 2, 3, 7, 63, 64, 255, 256, 1024, 1025, 4095, 4096, 8191,
					   8192, 32768, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
					   0x100000000, 1ULL << 52, 1ULL << 63, ~0ULL - 7, ~0ULL };

	return values[test_random(seed) % (sizeof(values) / sizeof(values[0]))];
}

/* Catches: a number from user space that is believed. The machine lives, and the disk is as it was. */
TEST_LONG(hostile__values, 120)
{
	uint64_t seed = test_seed(), block, bytes[512];
	uint32_t binding, disk, i, k, nr;
	struct exo_xn_step steps[4];
	struct exo_xn_attach attach;
	int fd = t_open();

	disk = setup_data(fd, 4, &block, &binding);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	test_note("seed %#llx", (unsigned long long)seed);
	for (i = 0; i < test_rounds(20000, 8); i++) {
		union {
			uint32_t words[48];
			uint64_t longs[24];
		} arg = { 0 };

		nr = EXO_NR_XN_CHECK +
		     (uint32_t)(test_random(&seed) % (EXO_NR_XN_SPECULATE - EXO_NR_XN_CHECK + 1));
		for (k = 1; k < 24; k++)
			arg.longs[k] = odd(&seed);
		arg.words[0] = sizeof(arg);
		arg.words[1] = test_random(&seed) % 4 ? 0 : (uint32_t)test_random(&seed) % 8;
		if (test_random(&seed) % 8)
			arg.words[2] = disk;
		if (test_random(&seed) % 8)
			arg.words[3] = root.out_root;
		if (nr == EXO_NR_XN_APPLY) {
			struct exo_xn_apply *apply = (void *)&arg;

			for (k = 0; k < 4; k++)
				steps[k] = (struct exo_xn_step){
					.kind = (uint32_t)(test_random(&seed) % 9),
					.slot = (uint32_t)odd(&seed), .parent = root.out_block,
					.block = test_random(&seed) % 2 ? block : odd(&seed),
					.count = (uint32_t)odd(&seed), .offset = (uint32_t)odd(&seed),
					.length = (uint32_t)odd(&seed), .bytes = (uintptr_t)bytes,
					.from = root.out_block };
			apply->steps = (uintptr_t)steps;
			apply->nr_steps = 1 + test_random(&seed) % 4;
			apply->nr_keys = apply->reserved = 0;
		}
		if (nr == EXO_NR_XN_ENTRY_LOCK)
			arg.words[1] |= EXO_XN_LOCK_TRY;	/* nobody is there who would unlock */
		if (nr == EXO_NR_XN_ROOT_SET)
			continue;	/* it may delete the root, and is right then */
		/* The size is larger than it knows: the tail must be zero. */
		for (k = 0; k < 2; k++) {
			int ret = t_ioctl(fd, _IO(EXO_TYPE, nr), &arg);

			if (ret != -E2BIG)
				break;
			{
				static const uint32_t sizes[] = {
					sizeof(struct exo_xn_check), sizeof(struct exo_xn_trim),
					sizeof(struct exo_xn_disk), sizeof(struct exo_xn_map),
					sizeof(struct exo_xn_template_add), sizeof(struct exo_xn_template),
					sizeof(struct exo_xn_root_create), sizeof(struct exo_xn_root),
					sizeof(struct exo_xn_root_set), sizeof(struct exo_xn_read),
					sizeof(struct exo_xn_apply), sizeof(struct exo_xn_commit),
					sizeof(struct exo_xn_bind), sizeof(struct exo_xn_unbind),
					sizeof(struct exo_xn_io), sizeof(struct exo_xn_entry),
					sizeof(struct exo_xn_entry_lock),
					sizeof(struct exo_xn_entry_io), sizeof(struct exo_xn_speculate) };

				arg.words[0] = sizes[nr - EXO_NR_XN_CHECK];
			}
		}
	}
	ASSERT_EQ(xt_detach(fd, disk, EXO_XN_DETACH_FORCE), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	ASSERT_EQ(attach.out_quarantined, 0);
	ASSERT_EQ(xt_map(fd, attach.out_disk, block), EXO_XN_MINE);
	end(fd, attach.out_disk);
}
