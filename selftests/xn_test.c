// SPDX-License-Identifier: GPL-2.0
/*
 * Raw disks: what each command does with disks, templates, roots and units, and who may.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

#include "xn_setup.h"

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

#define MIDDLE 2U
#define LEAVES 200U	/* of each */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* In one call: so many slow units below each of the two that are new below the root's. */
static int grow_slow(int fd, uint32_t disk, uint64_t block, uint32_t leaves, struct exo_xn_apply *out)
{
	static struct exo_xn_step steps[EXO_XN_STEPS];
	static struct xt_unit top, middle[MIDDLE], leaf;
	struct exo_xn_step *step = steps;
	uint64_t start = now_ms();
	uint32_t i, k;
	int ret;

	top = unit_new(0);
	leaf = unit_new(XT_SLOW);
	for (i = 0; i < MIDDLE; i++) {
		uint64_t at = block++;

		middle[i] = unit_new(0);
		top.e[top.nr++] = (struct xt_entry){ at, 1, EXO_XN_SELF };
		*step++ = (struct exo_xn_step){ .kind = EXO_XN_ALLOC, .slot = EXO_XN_SELF, .parent = root.out_block,
						.block = at, .count = 1 };
		for (k = 0; k < leaves; k++, block++) {
			middle[i].e[middle[i].nr++] = (struct xt_entry){ block, 1, EXO_XN_SELF };
			*step++ = (struct exo_xn_step){ .kind = EXO_XN_ALLOC, .slot = EXO_XN_SELF, .parent = at,
							.block = block, .count = 1 };
			*step++ = (struct exo_xn_step){ .kind = EXO_XN_NEW, .parent = block, .length = 16,
							.bytes = (uintptr_t)&leaf };
		}
		*step++ = (struct exo_xn_step){ .kind = EXO_XN_NEW, .parent = at, .length = sizeof(middle[i]),
						.bytes = (uintptr_t)&middle[i] };
	}
	*step++ = (struct exo_xn_step){ .kind = EXO_XN_WRITE, .parent = root.out_block, .length = sizeof(top),
					.bytes = (uintptr_t)&top };
	ret = xt_apply(fd, disk, root.out_root, steps, step - steps, 0, out);
	printf("# %u slow units in a call: %d after %llu ms\n", MIDDLE * leaves, ret,
	       (unsigned long long)(now_ms() - start));
	return ret;
}

/* Catches: a call that keeps all others of the disk waiting for as long as its author likes (INV-XN-33). */
TEST(unit__the_work_of_a_call_is_bounded)
{
	int fd = t_open();
	uint32_t disk = setup(fd, 0);
	uint64_t block = xt_free_run(fd, disk, MIDDLE * (1 + LEAVES));
	struct exo_xn_apply out;

	ASSERT_EQ(grow_slow(fd, disk, block, LEAVES, &out), -E2BIG);
	ASSERT_EQ(out.out_step, out.nr_steps);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_FREE);
	ASSERT_EQ(grow_slow(fd, disk, block, LEAVES / 8, &out), 0);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
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
