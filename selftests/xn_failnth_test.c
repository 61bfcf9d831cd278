// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation failing once in every operation on raw disks, see failnth.h.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "failnth.h"
#include "xn_lib.h"

static char path[32];
static uint32_t disk, number, binding, template_number;
static uint64_t at, block;
static struct xt_unit unit;
static struct exo_xn_root_create made;

/*
 * Without memory, kmem_cache_create() of Linux complains with a trace, and what it called the cache leaks. Bios of all disks
 * have the same cache: while one is attached, none is made for another.
 */
static uint32_t keep_cache(void)
{
	struct exo_xn_attach attach;
	char other_path[32];

	xt_device("other", XT_BLOCKS, other_path);
	ASSERT_EQ(xt_format(fd, other_path, 0), 0);
	ASSERT_EQ(xt_attach(fd, other_path, &attach), 0);
	return attach.out_disk;
}

static void disk_setup(void)
{
	setup();
	disk = xt_disk(fd, path);
	template_number = xt_template(fd, disk);
	unit = (struct xt_unit){ .blocks = 1 };
	ASSERT_EQ(xt_root(fd, disk, template_number, "root", &unit, 0, &made), 0);
	number = made.out_root;
	at = made.out_block;
	block = xt_free_run(fd, disk, 16);
}

/* All right, and nothing holds it. */
static void disk_end(void)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = disk };

	do
		ASSERT_EQ(t_ioctl(fd, EXO_XN_CHECK, &check), 0);
	while (!check.out_done);
	ASSERT_EQ(check.out_bad + check.out_leaked + check.out_errors, 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

static int call_format(void)
{
	return xt_format(fd, path, EXO_XN_FORMAT_FORCE);
}

static int call_attach(void)
{
	struct exo_xn_attach attach;
	int ret = xt_attach(fd, path, &attach);

	disk = attach.out_disk;
	return ret;
}

/* With a map, which is applied each time. */
static int call_attach_mapped(void)
{
	static const struct exo_xn_uids uids[] = { { 0, 0, 1, 0 }, { ALICE, BOB, 1, 0 } };
	struct exo_xn_attach attach = {
		.size = sizeof(attach), .flags = EXO_XN_ATTACH_UIDS | EXO_XN_ATTACH_AGAIN, .path = (uintptr_t)path,
		.uids = (uintptr_t)uids, .nr_uids = 2, .machine = "this machine",
	};
	int ret = t_ioctl(fd, EXO_XN_ATTACH, &attach);

	disk = attach.out_disk;
	return ret;
}

static void undo_attach(void)
{
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

static int call_detach(void)
{
	return xt_detach(fd, disk, 0);
}

static void undo_detach(void)
{
	ASSERT_EQ(call_attach(), 0);
}

/* Catches: a disk that is half attached, or one that can't be any more (INV-REQ-7). */
TEST_LONG(disk__each_command, 300)
{
	struct exo_xn_attach attach;
	uint32_t kept;

	disk_setup();
	kept = keep_cache();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	sweep("detach", call_detach, undo_detach, 1);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
	sweep("attach", call_attach, undo_attach, 10);
	sweep("attach with a map", call_attach_mapped, undo_attach, 12);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
	ASSERT_EQ(attach.out_roots, 1);
	disk_end();
	sweep("format", call_format, NULL, 3);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	ASSERT_EQ(xt_detach(fd, attach.out_disk, 0), 0);
	ASSERT_EQ(xt_detach(fd, kept, 0), 0);
}

static int call_root(void)
{
	struct xt_unit first = { .blocks = 1 };

	return xt_root(fd, disk, template_number, "other", &first, 0, &made);
}

static int call_delete(void)
{
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_DELETE, .disk = disk,
				       .root = made.out_root };

	return t_ioctl(fd, EXO_XN_ROOT_SET, &set);
}

static void undo_root(void)
{
	ASSERT_EQ(call_delete(), 0);
}

static void undo_delete(void)
{
	ASSERT_EQ(call_root(), 0);
}

static int call_chown(void)
{
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = number, .uid = getuid() };

	return t_ioctl(fd, EXO_XN_ROOT_SET, &set);
}

static int call_list(void)
{
	struct exo_xn_root root = { .size = sizeof(root), .flags = EXO_XN_NEXT, .disk = disk };
	struct exo_xn_disk info = { .size = sizeof(info), .disk = disk };
	struct exo_xn_template template = { .size = sizeof(template), .disk = disk, .number = template_number };
	static uint8_t bytes[XT_BLOCKS];
	struct exo_xn_map map = { .size = sizeof(map), .disk = disk, .count = XT_BLOCKS,
				  .map = (uintptr_t)bytes, .root = number };

	return t_ioctl(fd, EXO_XN_ROOT, &root) ?: t_ioctl(fd, EXO_XN_DISK, &info) ?:
	       t_ioctl(fd, EXO_XN_TEMPLATE, &template) ?: t_ioctl(fd, EXO_XN_MAP, &map);
}

static int call_check(void)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = disk, .flags = EXO_XN_CHECK_SCRUB };
	int ret;

	do
		ret = t_ioctl(fd, EXO_XN_CHECK, &check);
	while (!ret && !check.out_done);
	return ret;
}

static int call_trim(void)
{
	struct exo_xn_trim cmd = { .size = sizeof(cmd), .disk = disk, .start = block, .count = 1000 };
	struct exo_xn_grow grow = { .size = sizeof(grow), .disk = disk };

	return t_ioctl(fd, EXO_XN_GROW, &grow) ?: t_ioctl(fd, EXO_XN_TRIM, &cmd);
}

/* Catches: a root that is half there. */
TEST_LONG(root__each_command, 300)
{
	disk_setup();
	sweep("root", call_root, undo_root, 3);
	ASSERT_EQ(call_root(), 0);
	sweep("delete", call_delete, undo_delete, 1);
	ASSERT_EQ(call_delete(), 0);
	sweep("chown", call_chown, NULL, 1);
	sweep("root, disk, template, map", call_list, NULL, 1);
	sweep("check", call_check, NULL, 1);
	sweep("grow, trim", call_trim, NULL, 1);
	disk_end();
}

static int call_apply(void)
{
	return xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, 0);
}

static void undo_apply(void)
{
	ASSERT_EQ(xt_shrink(fd, disk, number, at, &unit, EXO_XN_APPLY_COMMIT), 0);
}

/* With another unit. */
static int call_apply_unit(void)
{
	struct xt_unit child = { .nr = 1, .blocks = 1, .e = { { block + 1, 2, EXO_XN_DATA } } };
	struct exo_xn_step steps[4] = {
		{ .kind = EXO_XN_ALLOC, .parent = at, .block = block, .count = 1 },
		{ .kind = EXO_XN_ALLOC, .parent = block, .block = block + 1, .count = 2, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_NEW, .parent = block, .length = sizeof(child), .bytes = (uintptr_t)&child },
		{ .kind = EXO_XN_WRITE, .parent = at, .length = sizeof(unit), .bytes = (uintptr_t)&unit },
	};
	int ret;

	unit.e[unit.nr++] = (struct xt_entry){ block, 1, EXO_XN_SELF };
	ret = xt_apply(fd, disk, number, steps, 4, EXO_XN_APPLY_COMMIT, NULL);
	if (ret)
		unit.nr--;
	return ret;
}

static void undo_apply_unit(void)
{
	struct xt_unit child = { .nr = 1, .blocks = 1, .e = { { block + 1, 2, EXO_XN_DATA } } };

	ASSERT_EQ(xt_shrink(fd, disk, number, block, &child, 0), 0);
	undo_apply();
}

static int call_commit(void)
{
	return xt_commit(fd, disk, number);
}

static void undo_commit(void)
{
	if (unit.nr)
		ASSERT_EQ(xt_shrink(fd, disk, number, at, &unit, 0), 0);
	else
		ASSERT_EQ(call_apply(), 0);
}

static int call_read(void)
{
	struct xt_unit found;
	int ret = xt_read(fd, disk, number, at, at, &found, sizeof(found));

	return ret < 0 ? ret : 0;
}

/* Catches: a change that is half done when there is no memory, or a commit that loses it (INV-XN-8). */
TEST_LONG(unit__each_command, 300)
{
	disk_setup();
	sweep("apply", call_apply, undo_apply, 5);
	ASSERT_EQ(xt_commit(fd, disk, number), 0);
	sweep("apply of a unit, and commit", call_apply_unit, undo_apply_unit, 8);
	ASSERT_EQ(xt_commit(fd, disk, number), 0);
	ASSERT_EQ(call_apply(), 0);
	sweep("commit", call_commit, undo_commit, 1);
	sweep("read", call_read, NULL, 1);
	disk_end();
}

static int call_bind(void)
{
	return xt_bind(fd, disk, number, at, block, 4, RW, &binding);
}

static void undo_bind(void)
{
	ASSERT_EQ(xt_unbind(fd, binding), 0);
}

static int call_write(void)
{
	return xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 4, 0);
}

static int call_durable(void)
{
	return xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 4, EXO_XN_IO_DURABLE);
}

static int call_io_read(void)
{
	return xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 4, 0);
}

static int call_zero(void)
{
	return xt_io(fd, EXO_XN_IO_ZERO, binding, 0, NULL, 4, EXO_XN_IO_DURABLE);
}

static int call_flush(void)
{
	return xt_io(fd, EXO_XN_IO_FLUSH, binding, 0, NULL, 0, 0);
}

/* What is written is new again: so DURABLE needs a transaction. */
static void undo_durable(void)
{
	undo_bind();
	undo_apply();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(call_bind(), 0);
}

/* Catches: I/O that is told wrong, or keeps frames, when there is no memory (INV-XN-15). */
TEST_LONG(data__each_command, 300)
{
	disk_setup();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	sweep("bind", call_bind, undo_bind, 2);
	ASSERT_EQ(call_bind(), 0);
	sweep("write", call_write, NULL, 1);
	sweep("durable write", call_durable, undo_durable, 1);
	sweep("read", call_io_read, NULL, 1);
	sweep("zero", call_zero, NULL, 0);
	sweep("flush", call_flush, NULL, 0);
	undo_bind();
	disk_end();
}

/* The buffer registry -------------------------------------------------------------------------- */

static uint32_t number_of_entry;

/* The registry begins anew with each attach; the unit must be read again before it is named. */
static void registry_again(void)
{
	struct xt_unit found;

	ASSERT_EQ(xt_detach(fd, disk, EXO_XN_DETACH_FORCE), 0);
	ASSERT_EQ(call_attach(), 0);
	ASSERT_GT(xt_read(fd, disk, number, at, at, &found, sizeof(found)), 0);
}

static void *table;

static int call_table(void)
{
	table = mmap(NULL, EXO_XN_REG_BYTES, PROT_READ, MAP_SHARED, fd,
		     (off_t)(EXO_MMAP_XN + ((uint64_t)disk << EXO_MMAP_VIEW_SHIFT)));
	return table == MAP_FAILED ? -errno : 0;
}

static void undo_table(void)
{
	ASSERT_EQ(munmap(table, EXO_XN_REG_BYTES), 0);
	registry_again();
}

/* With a table, which has most of the allocations. */
static void registry_empty(void)
{
	registry_again();
	ASSERT_EQ(call_table(), 0);
	ASSERT_EQ(munmap(table, EXO_XN_REG_BYTES), 0);
}

/* Of a data block, or of the unit itself. */
static int entry_as(int who, uint32_t flags, uint32_t *out)
{
	bool is_unit = flags & EXO_XN_ENTRY_UNIT;
	struct exo_xn_entry cmd = { .size = sizeof(cmd), .flags = flags, .disk = disk, .root = number,
				    .block = is_unit ? at : block, .parent = at, .rights = RW };
	int ret = t_ioctl(who, EXO_XN_ENTRY, &cmd);

	*out = cmd.out_entry;
	return ret;
}

static uint32_t entry_flags = EXO_XN_ENTRY_FRAME;

static int call_entry(void)
{
	return entry_as(fd, entry_flags, &number_of_entry);
}

static void undo_entry(void)
{
	ASSERT_EQ(xt_unbind(fd, number_of_entry), 0);
	registry_empty();
}

/* Others have it. */
static void undo_entry_second(void)
{
	ASSERT_EQ(xt_unbind(fd, number_of_entry), 0);
}

static int entry_io(uint32_t kind, uint32_t flags)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind, .count = 1,
				       .entries = (uintptr_t)&number_of_entry };

	return t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);
}

static int call_entry_read(void)
{
	return entry_io(EXO_XN_ENTRY_READ, 0);
}

static int call_entry_write(void)
{
	return entry_io(EXO_XN_ENTRY_DIRTY, 0) ?: entry_io(EXO_XN_ENTRY_WRITE, EXO_XN_IO_DURABLE);
}

static void undo_entry_io(void)
{
	undo_entry();
	ASSERT_EQ(call_entry(), 0);
}

/* Written for the first time: so DURABLE needs a transaction. */
static void undo_entry_write(void)
{
	undo_entry();
	undo_apply();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(call_entry(), 0);
}

static int call_entry_lock(void)
{
	struct exo_xn_entry_lock cmd = { .size = sizeof(cmd), .entry = number_of_entry, .slots = 5,
					 .mode = EXO_XN_EXCLUSIVE };

	return t_ioctl(fd, EXO_XN_ENTRY_LOCK, &cmd);
}

static void undo_entry_lock(void)
{
	struct exo_xn_entry_lock cmd = { .size = sizeof(cmd), .entry = number_of_entry, .slots = 5 };

	ASSERT_EQ(t_ioctl(fd, EXO_XN_ENTRY_LOCK, &cmd), 0);
}

static uint32_t several[4];

static void use_several(void)
{
	struct exo_xn_entry cmd;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		cmd = (struct exo_xn_entry){ .size = sizeof(cmd), .flags = EXO_XN_ENTRY_FRAME, .disk = disk, .root = number,
					     .block = block + i, .parent = at, .rights = RW };
		ASSERT_EQ(t_ioctl(fd, EXO_XN_ENTRY, &cmd), 0);
		several[i] = cmd.out_entry;
	}
}

static void give_up_several(void)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(xt_unbind(fd, several[i]), 0);
	registry_empty();
}

static int several_io(uint32_t kind)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .kind = kind, .count = 4,
				       .entries = (uintptr_t)several };

	return t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);
}

static int call_several_read(void)
{
	return several_io(EXO_XN_ENTRY_READ);
}

static int call_several_write(void)
{
	return several_io(EXO_XN_ENTRY_DIRTY) ?: several_io(EXO_XN_ENTRY_WRITE);
}

static void undo_several_read(void)
{
	give_up_several();
	use_several();
}

static int call_speculate(void)
{
	struct exo_xn_speculate cmd = { .size = sizeof(cmd), .disk = disk, .count = 1, .block = block };

	return t_ioctl(fd, EXO_XN_SPECULATE, &cmd);
}

/* Numbers that go: their locks with them, and what is dirty is written by somebody else. */
static int call_release(void)
{
	return xt_unbind(fd, number_of_entry);
}

static void undo_release(void)
{
	registry_empty();
	ASSERT_EQ(call_entry(), 0);
	ASSERT_EQ(call_entry_lock(), 0);
	if (entry_flags == EXO_XN_ENTRY_FRAME)
		ASSERT_EQ(entry_io(EXO_XN_ENTRY_DIRTY, 0), 0);
}

/* Somebody else has the lock, and gives it back when somebody waits for it, or soon would. */
static uint32_t others_entry;
static atomic_uint wanted, given;

static int others_lock(uint32_t mode)
{
	struct exo_xn_entry_lock cmd = { .size = sizeof(cmd), .entry = others_entry, .slots = 5, .mode = mode };

	return t_ioctl(other, EXO_XN_ENTRY_LOCK, &cmd);
}

static void *give_lock(void *arg)
{
	for (;;) {
		unsigned int now = wanted;

		if (now == ~0U)
			return NULL;
		if (now != given) {
			test_sleep_ms(3);
			ASSERT_EQ(others_lock(EXO_XN_UNLOCK), 0);
			given = now;
		}
		test_sleep_ms(1);
	}
}

static int call_lock_wait(void)
{
	if (wanted == given)
		wanted++;
	return call_entry_lock();
}

static void undo_lock_wait(void)
{
	undo_entry_lock();
	while (wanted != given)
		test_sleep_ms(1);
	ASSERT_EQ(others_lock(EXO_XN_EXCLUSIVE), 0);
}

static void sweep_lock_wait(const char *what)
{
	pthread_t thread;

	ASSERT_EQ(entry_as(other, entry_flags, &others_entry), 0);
	ASSERT_EQ(others_lock(EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(pthread_create(&thread, NULL, give_lock, NULL), 0);
	sweep(what, call_lock_wait, undo_lock_wait, 0);
	wanted = ~0U;
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	wanted = given = 0;
	ASSERT_EQ(xt_unbind(other, others_entry), 0);
}

static const struct exo_table *all_frames;

/* What there is without the registry's frame. */
static uint32_t frames_without;
static uint64_t free_without;

/* It is asked for, and taken if it isn't given. While the one before is still being taken, nothing may be asked. */
static int call_force(void)
{
	uint64_t start = test_now_ns();
	uint32_t asked = 0;
	int ret;

	for (;;) {
		ret = t_revoke(fd, 0, 1, 20, &asked);
		if (ret || asked)
			break;
		if (test_overdue(start, 5000))
			FAIL("nothing is asked");
		test_sleep_ms(1);
	}
	return ret;
}

/* It is charged no more, and then it is free. */
static void wait_taken(void)
{
	uint64_t start = test_now_ns();

	while (t_quota(fd, 0).out_frames != frames_without || all_frames->free != free_without) {
		if (test_overdue(start, 5000))
			FAIL("the frame is still there");
		test_sleep_ms(1);
	}
}

/* Whoever had memory that was taken has no other. */
static void undo_force(void)
{
	wait_taken();
	ASSERT_EQ(xt_unbind(fd, number_of_entry), 0);
	ASSERT_EQ(call_entry(), 0);
}

static void undo_entry_taken(void)
{
	ASSERT_EQ(call_force(), 0);
	wait_taken();
	ASSERT_EQ(xt_unbind(fd, number_of_entry), 0);
}

/* What entries of this kind allow, but for I/O. */
static void each_entry(const char *kind, uint32_t flags, unsigned int least)
{
	char what[64];

	entry_flags = flags;
	registry_empty();
	snprintf(what, sizeof(what), "%s: entry", kind);
	sweep(what, call_entry, undo_entry, least);
	ASSERT_EQ(entry_as(other, flags, &others_entry), 0);
	snprintf(what, sizeof(what), "%s: entry that others have", kind);
	sweep(what, call_entry, undo_entry_second, 2);
	ASSERT_EQ(xt_unbind(other, others_entry), 0);
	registry_empty();
	ASSERT_EQ(call_entry(), 0);
	snprintf(what, sizeof(what), "%s: lock", kind);
	sweep(what, call_entry_lock, undo_entry_lock, 0);
	snprintf(what, sizeof(what), "%s: wait for a lock", kind);
	sweep_lock_wait(what);
	snprintf(what, sizeof(what), "%s: release", kind);
	sweep(what, call_release, undo_release, 0);
	undo_entry();
}

/* Catches: an entry that is half there, a frame or a lock that nobody has, when there is no memory (INV-REQ-7). */
TEST_LONG(registry__each_command, 300)
{
	disk_setup();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(call_bind(), 0);
	ASSERT_EQ(call_durable(), 0);
	undo_bind();
	sweep("mmap of the table", call_table, undo_table, 2);
	registry_empty();
	sweep("speculate", call_speculate, registry_empty, 5);
	ASSERT_EQ(call_entry(), 0);
	sweep("entry, read", call_entry_read, undo_entry_io, 0);
	sweep("entry, durable write", call_entry_write, undo_entry_write, 1);
	undo_entry();
	use_several();
	sweep("entries, read", call_several_read, undo_several_read, 1);
	sweep("entries, write", call_several_write, NULL, 2);
	give_up_several();
	disk_end();
}

/* Catches: the same of entries whose frame is memory, and of units; a number that is there when it was refused (INV-XN-28). */
TEST_LONG(registry__each_kind_of_entry, 400)
{
	disk_setup();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	each_entry("block", EXO_XN_ENTRY_FRAME, 8);
	each_entry("memory", EXO_XN_ENTRY_MEMORY, 8);
	each_entry("unit", EXO_XN_ENTRY_UNIT, 5);
	each_entry("number only", 0, 5);
	disk_end();
}

/* Catches: a frame that is half taken, or that is charged to somebody for ever, when there is no memory (INV-XN-24). */
TEST_LONG(registry__frames_taken, 300)
{
	static const uint32_t kinds[] = { EXO_XN_ENTRY_FRAME, EXO_XN_ENTRY_MEMORY };
	struct exo_quota quota, none = { .size = sizeof(none), .flags = EXO_QUOTA_MIN };
	uint32_t i;

	disk_setup();
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, 4, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(t_free1(fd, frames[i]), 0);
	quota = t_quota(fd, 0);
	t_quota_set(fd, &none);
	frames_without = quota.out_frames;
	all_frames = t_table(fd);
	free_without = all_frames->free;
	for (i = 0; i < 2; i++) {
		entry_flags = kinds[i];
		registry_empty();
		ASSERT_EQ(call_entry(), 0);
		sweep(i ? "memory is taken" : "a frame is given", call_force, undo_force, 0);
		undo_entry();
	}
	/* The entry is somebody else's, too, and gets another frame. */
	entry_flags = EXO_XN_ENTRY_FRAME;
	ASSERT_EQ(entry_as(other, 0, &others_entry), 0);
	sweep("entry without a frame", call_entry, undo_entry_taken, 3);
	ASSERT_EQ(xt_unbind(other, others_entry), 0);
	t_quota_set(fd, &(struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_MIN, .min = quota.min });
	disk_end();
}
