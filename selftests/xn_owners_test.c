// SPDX-License-Identifier: GPL-2.0
/*
 * A disk from another machine: attached with a map of uids, its roots are those of other users, and nobody gets one
 * because he has the number of somebody who had it there (INV-XN-31).
 */
#include "xn_lib.h"

#define CAROL 1002

static const uint8_t here[16] = "this machine", there[16] = "the other one";
static const struct exo_xn_uids swap[] = { { ALICE, BOB, 1, 0 }, { BOB, ALICE, 1, 0 } };
static struct exo_xn_attach said;
static struct exo_xn_root_create root;
static struct xt_unit unit;
static char path[32];

/* A root with its first data block. */
struct owned {
	uint32_t root;
	uint32_t template_number;
	uint64_t unit;
	uint64_t data;
};

static struct owned of_alice, of_bob;

/* Room for two of them that processes share. Must. */
static struct owned *share(void)
{
	struct owned *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE((long)at, (long)MAP_FAILED);
	return at;
}

static struct xt_unit unit_new(uint32_t flags)
{
	return (struct xt_unit){ .flags = flags, .blocks = 1 };
}

static void end(int fd, uint32_t disk)
{
	ASSERT_EQ(xt_detach(fd, disk, EXO_XN_DETACH_FORCE), 0);
}

static int attach_on(int fd, const uint8_t *machine, const struct exo_xn_uids *uids, uint32_t nr, uint32_t flags)
{
	said = (struct exo_xn_attach){
		.size = sizeof(said), .flags = flags, .path = (uintptr_t)path, .uids = (uintptr_t)uids, .nr_uids = nr,
	};
	if (machine)
		memcpy(said.machine, machine, sizeof(said.machine));
	return t_ioctl(fd, EXO_XN_ATTACH, &said);
}

static int attach_mapped(int fd, const struct exo_xn_uids *uids, uint32_t nr)
{
	return attach_on(fd, here, uids, nr, EXO_XN_ATTACH_UIDS);
}

/* As this user, in a process of its own: a root of so many data blocks, whose unit says who made it; committed. */
static void makes(uint32_t disk, uid_t uid, const char *name, uint32_t flags, uint32_t blocks, struct owned *out)
{
	struct xt_unit own = unit_new(flags);
	pid_t pid = test_fork();
	int fd;

	if (!pid) {
		t_become(uid);
		fd = t_open();
		own.group = uid;
		out->template_number = xt_template(fd, disk);
		ASSERT_EQ(xt_root(fd, disk, out->template_number, name, &own, 0, &root), 0);
		out->root = root.out_root;
		out->unit = root.out_block;
		out->data = xt_free_run(fd, disk, blocks);
		ASSERT_EQ(xt_grow(fd, disk, out->root, out->unit, &own, out->data, blocks, EXO_XN_DATA,
				  EXO_XN_APPLY_COMMIT), 0);
		_exit(0);
	}
	test_join(pid);
}

/* Alice and bob have a root each, of a template that each of them installed. Detached. */
static int two_owners(uint32_t flags)
{
	struct owned *shared = share();
	int fd = t_open();
	uint32_t disk = xt_disk(fd, path);

	makes(disk, ALICE, "alice", flags, 4, &shared[0]);
	makes(disk, BOB, "bob", flags, 4, &shared[1]);
	of_alice = shared[0];
	of_bob = shared[1];
	munmap(shared, PAGE);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	return fd;
}

/* What this user is told who wants to read the unit, and to write the data, that @made made. */
static void is_told(uid_t uid, const struct owned *of, uid_t made, int read, int write)
{
	uint32_t binding, disk = said.out_disk;
	struct xt_unit found;
	pid_t pid = test_fork();
	int fd, ret;

	if (!pid) {
		t_become(uid);
		fd = t_open();
		ret = xt_read(fd, disk, of->root, of->unit, of->unit, &found, sizeof(found));
		ASSERT_EQ_FOR(ret < 0 ? ret : 0, read, "%u reads what %u made", uid, made);
		if (ret > 0) {
			ASSERT_EQ(found.group, made);
			ASSERT_EQ(found.e[0].block, of->data);
		}
		ret = xt_bind(fd, disk, of->root, of->unit, of->data, 1, RW, &binding);
		ASSERT_EQ_FOR(ret, write, "%u writes what %u made", uid, made);
		_exit(0);
	}
	test_join(pid);
}

/* Catches: a disk whose users change places, and one of them who still reads what was his number's. */
TEST(owners__change_places)
{
	int fd = two_owners(0);

	/* The control: the same numbers, the same rights. */
	ASSERT_EQ(attach_on(fd, NULL, NULL, 0, 0), 0);
	is_told(ALICE, &of_alice, ALICE, 0, 0);
	is_told(BOB, &of_alice, ALICE, -EACCES, -EACCES);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_mapped(fd, swap, 2), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_MAPPED);
	ASSERT_EQ(said.out_changed, 4);
	ASSERT_EQ(said.out_nobody, 0);
	ASSERT_EQ(said.out_roots, 2);
	is_told(BOB, &of_alice, ALICE, 0, 0);
	is_told(ALICE, &of_alice, ALICE, -EACCES, -EACCES);
	is_told(ALICE, &of_bob, BOB, 0, 0);
	is_told(BOB, &of_bob, BOB, -EACCES, -EACCES);
	end(fd, said.out_disk);
	/* Without a map it is as it was left. */
	ASSERT_EQ(attach_on(fd, NULL, NULL, 0, 0), 0);
	is_told(BOB, &of_alice, ALICE, 0, 0);
	is_told(ALICE, &of_alice, ALICE, -EACCES, -EACCES);
	end(fd, said.out_disk);
}

/* Catches: the same map twice, after a crash or at the next boot, which would give all back to the wrong ones. */
TEST(owners__mapped_once)
{
	int fd = two_owners(0);
	struct exo_xn_root info;
	uint32_t disk;

	ASSERT_EQ(attach_mapped(fd, swap, 2), 0);
	disk = said.out_disk;
	/* What a crash leaves now, while the disk is attached. */
	xt_crash("disk", "crashed", path);
	ASSERT_EQ(attach_mapped(fd, swap, 2), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_BEFORE);
	ASSERT_EQ(said.out_changed, 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, BOB);
	end(fd, disk);
	end(fd, said.out_disk);
	/* On another machine, or if somebody says so, it is another matter. */
	ASSERT_EQ(attach_on(fd, there, swap, 2, EXO_XN_ATTACH_UIDS), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_MAPPED | EXO_XN_ATTACH_MOVED);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, ALICE);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_on(fd, there, swap, 2, EXO_XN_ATTACH_UIDS | EXO_XN_ATTACH_AGAIN), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_MAPPED);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, BOB);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_on(fd, here, NULL, 0, 0), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_MOVED);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_on(fd, here, NULL, 0, EXO_XN_ATTACH_CHECK), 0);
	ASSERT_EQ(said.out_flags, 0);
	end(fd, said.out_disk);
}

/* Catches: a user who isn't listed, whose root falls to who has his number here, or whom acl lets in as it lets in all. */
TEST(owners__not_listed)
{
	int fd = two_owners(XT_PUBLIC | XT_GROUP);
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .root = of_alice.root,
				       .uid = CAROL };
	struct exo_xn_root info;

	ASSERT_EQ(attach_on(fd, NULL, NULL, 0, 0), 0);
	is_told(CAROL, &of_alice, ALICE, 0, -EACCES);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_mapped(fd, &(struct exo_xn_uids){ BOB, CAROL, 1, 0 }, 1), 0);
	ASSERT_EQ(said.out_changed, 4);
	ASSERT_EQ(said.out_nobody, 2);
	is_told(ALICE, &of_alice, ALICE, -EACCES, -EACCES);
	is_told(CAROL, &of_alice, ALICE, -EACCES, -EACCES);
	is_told(BOB, &of_bob, BOB, 0, -EACCES);
	is_told(CAROL, &of_bob, BOB, 0, 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, EXO_XN_NOBODY);
	/* An admin may, and gives it to somebody. */
	ASSERT_GT(xt_read(fd, said.out_disk, info.root, info.out_block, info.out_block, &unit, sizeof(unit)), 0);
	set.disk = said.out_disk;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	is_told(CAROL, &of_alice, ALICE, 0, 0);
	is_told(BOB, &of_alice, ALICE, 0, -EACCES);
	end(fd, said.out_disk);
	/* Nobody is listed. */
	ASSERT_EQ(attach_mapped(fd, NULL, 0), 0);
	ASSERT_EQ(said.out_nobody, said.out_changed);
	is_told(CAROL, &of_alice, ALICE, -EACCES, -EACCES);
	end(fd, said.out_disk);
}

/* Catches: two who become one and have each a template of the same name; half of a map that is refused. */
TEST(owners__same_name_refused)
{
	static const struct exo_xn_uids one[] = { { ALICE, CAROL, 1, 0 }, { BOB, CAROL, 1, 0 } };
	int fd = two_owners(0);
	struct exo_xn_root info;

	ASSERT_EQ(attach_mapped(fd, one, 2), -EEXIST);
	ASSERT_EQ(said.out_disk, 0);
	ASSERT_EQ(said.out_flags, 0);
	ASSERT_EQ(strcmp(said.out_name, "test"), 0);
	ASSERT_EQ(said.out_uid[0], ALICE);
	ASSERT_EQ(said.out_uid[1], BOB);
	ASSERT_EQ(said.out_to, CAROL);
	/* The device was given back, and all is as it was. */
	ASSERT_EQ(attach_on(fd, here, NULL, 0, EXO_XN_ATTACH_CHECK), 0);
	ASSERT_EQ(said.out_name[0], 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, ALICE);
	is_told(ALICE, &of_alice, ALICE, 0, 0);
	is_told(BOB, &of_bob, BOB, 0, 0);
	end(fd, said.out_disk);
}

/* Catches: more than a user may have, had by being two before; and a map that fails halfway at that. */
TEST(owners__quota)
{
	struct exo_xn_format format = { .size = sizeof(format), .flags = EXO_XN_FORMAT_FORCE, .uid_blocks = 12 };
	static const struct exo_xn_uids one[] = { { 0, CAROL, 1, 0 }, { ALICE, CAROL, 1, 0 }, { BOB, BOB, 1, 0 } };
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .uid = BOB };
	struct exo_xn_disk info = { .size = sizeof(info) };
	struct owned *shared = share();
	struct exo_xn_root found;
	struct xt_unit own = unit_new(0);
	int fd = t_open();
	pid_t pid;

	end(fd, xt_disk(fd, path));
	format.path = (uintptr_t)path;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_FORMAT, &format), 0);
	ASSERT_EQ(attach_on(fd, NULL, NULL, 0, 0), 0);
	makes(said.out_disk, BOB, "bob", 0, 1, &shared[1]);
	/* Alice has one block, and root all that a user may have; both of bob's template. */
	pid = test_fork();
	if (!pid) {
		t_become(ALICE);
		ASSERT_EQ(xt_root(t_open(), said.out_disk, shared[1].template_number, "alice", &own, 0, &root), 0);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(xt_root(fd, said.out_disk, shared[1].template_number, "root", &own, 0, &root), 0);
	ASSERT_EQ(xt_grow(fd, said.out_disk, root.out_root, root.out_block, &own,
			  xt_free_run(fd, said.out_disk, 11), 11, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_mapped(fd, one, 3), -EDQUOT);
	ASSERT_EQ(said.out_to, CAROL);
	ASSERT_EQ(said.out_uid[0] + said.out_uid[1], ALICE);
	ASSERT_EQ(said.out_name[0], 0);
	ASSERT_EQ(attach_on(fd, here, NULL, 0, 0), 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "root", &found), 0);
	ASSERT_EQ(found.out_uid, 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &found), 0);
	ASSERT_EQ(found.out_uid, ALICE);
	/* Without that one block carol gets it all, and not a block more. */
	set.disk = said.out_disk;
	set.root = found.root;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	end(fd, said.out_disk);
	ASSERT_EQ(attach_mapped(fd, one, 3), 0);
	pid = test_fork();
	if (!pid) {
		t_become(CAROL);
		fd = t_open();
		info.disk = said.out_disk;
		ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
		ASSERT_EQ(info.out_my_blocks, 12);
		ASSERT_EQ(xt_root(fd, said.out_disk, shared[1].template_number, "carol", &own, 0, &root), -EDQUOT);
		_exit(0);
	}
	test_join(pid);
	munmap(shared, PAGE);
	end(fd, said.out_disk);
}

/* Catches: a map that is believed; one that is looked at without the right to attach; an older program that is refused. */
TEST(owners__hostile_maps)
{
	static const struct exo_xn_uids bad[] = {
		{ 1, 1, 0, 0 }, { 1, 1, 1, 1 }, { EXO_XN_NOBODY, 1, 1, 0 }, { 1, EXO_XN_NOBODY, 1, 0 },
		{ 1, 2, EXO_XN_NOBODY, 0 }, { 2, 1, EXO_XN_NOBODY, 0 },
	};
	static const struct exo_xn_uids twice[] = { { 1, 1, 8, 0 }, { 8, 20, 1, 0 } };
	struct exo_xn_uids *many = calloc(EXO_XN_UIDS + 1, sizeof(*many));
	int fd = two_owners(0);
	struct exo_xn_root info;
	uint32_t i;
	pid_t pid;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_EQ_FOR(attach_mapped(fd, &bad[i], 1), -EINVAL, "map %u", i);
	ASSERT_EQ(attach_mapped(fd, twice, 2), -EINVAL);
	ASSERT_EQ(attach_mapped(fd, (void *)8, 1), -EFAULT);
	ASSERT_EQ(attach_mapped(fd, (void *)0xffff888000000000UL, 1), -EFAULT);
	ASSERT_EQ(attach_mapped(fd, swap, 0xffffffff), -EINVAL);
	ASSERT_EQ(attach_on(fd, NULL, swap, 2, EXO_XN_ATTACH_UIDS), -EINVAL);
	ASSERT_EQ(attach_on(fd, here, swap, 2, 0), -EINVAL);
	ASSERT_EQ(attach_on(fd, here, NULL, 0, EXO_XN_ATTACH_AGAIN), -EINVAL);
	for (i = 0; i <= EXO_XN_UIDS; i++)
		many[i] = (struct exo_xn_uids){ 900 + i, 900 + i, 1, 0 };
	ASSERT_EQ(attach_mapped(fd, many, EXO_XN_UIDS + 1), -EINVAL);
	pid = test_fork();
	if (!pid) {
		t_become(ALICE);
		ASSERT_EQ(attach_mapped(t_open(), swap, 2), -EPERM);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(attach_mapped(fd, many, EXO_XN_UIDS), 0);
	ASSERT_EQ(said.out_flags, EXO_XN_ATTACH_MAPPED);
	ASSERT_EQ(said.out_changed, 0);
	ASSERT_EQ(xt_find(fd, said.out_disk, "alice", &info), 0);
	ASSERT_EQ(info.out_uid, ALICE);
	end(fd, said.out_disk);
	/* As it was before there were maps: what is behind its struct is its own. */
	memset(&said, 0xa5, sizeof(said));
	said.size = offsetof(struct exo_xn_attach, uids);
	said.flags = 0;
	said.path = (uintptr_t)path;
	said.reserved = 0;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ATTACH, &said), 0);
	ASSERT_EQ(said.out_roots, 2);
	ASSERT_EQ(said.nr_uids, 0xa5a5a5a5);
	ASSERT_EQ((uint8_t)said.out_name[EXO_XN_NAME - 1], 0xa5);
	end(fd, said.out_disk);
	free(many);
}
