// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: a block's frame is the same for all who may use it, and for nobody else; what a dead
 * program left dirty is written; what was read ahead is had by who may.
 */
#include <signal.h>

#include "xn_registry_setup.h"

/* Frames ----------------------------------------------------------------------------------------- */

/* Catches: two processes that find other frames for one block; a frame with something of another's in it. */
TEST(entry__shared_frame)
{
	int fd = setup(0, 4);
	const struct exo_xn_reg_table *t = table(fd);
	struct test_sync there, back;
	struct exo_xn_entry e;
	pid_t pid;

	test_sync_init(&there);
	test_sync_init(&back);
	use(fd, block, RW, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	t_fill(fd, e.out_frame, MAGIC);
	pid = test_fork();
	if (!pid) {
		struct exo_xn_entry f;
		int mine = t_open();

		use(mine, block, RW, &f);
		ASSERT_EQ(f.out_frame, e.out_frame);
		ASSERT_EQ(f.out_index, e.out_index);
		ASSERT_EQ(t_peek(mine, f.out_frame), MAGIC);
		t_fill(mine, f.out_frame, MAGIC + 1);
		test_sync_post(&there);
		test_sync_wait(&back);
		_exit(0);
	}
	test_sync_wait(&there);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC + 1);
	ASSERT_EQ(row_of(t, block)->holders, 2);
	ASSERT_EQ(row_of(t, block)->frame, e.out_frame);
	ASSERT_EQ(row_of(t, block)->root, root);
	ASSERT_EQ(row_of(t, block)->parent, parent);
	test_sync_post(&back);
	test_join(pid);
	wait_state(t, block, EXO_XN_REG_HELD, EXO_XN_REG_HELD);
	ASSERT_EQ(row_of(t, block)->holders, 1);
	/* An entry without a frame has none of its own. */
	ASSERT_EQ(entry(fd, block + 1, RW, 0, &e), 0);
	ASSERT_EQ(state_of(t, block + 1), EXO_XN_REG_USED | EXO_XN_REG_HELD);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), -ESTALE);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(state_of(t, block + 1), 0);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), -ENOENT);
	end(fd);
	ASSERT_EQ(state_of(t, block), 0);
	munmap((void *)t, EXO_XN_REG_BYTES);
}

static void be_bob(void)
{
	struct exo_xn_entry e;
	uint32_t frame, rights;
	int fd;

	t_become(BOB);
	fd = t_open();
	read_unit(fd);
	ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_FRAME, &e), -EACCES);
	ASSERT_EQ(entry(fd, block, EXO_RIGHT_WRITE, 0, &e), -EACCES);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), -EACCES);
	ASSERT_EQ(entry(fd, block + 9, RO, 0, &e), -ENOENT);
	ASSERT_EQ(entry(fd, block, RO, EXO_XN_ENTRY_FRAME, &e), 0);
	ASSERT_EQ(t_import(fd, &e.out_cap, &frame, &rights), 0);
	ASSERT_EQ(rights, RO | EXO_RIGHT_WINDOW);
	ASSERT_EQ(t_peek(fd, frame), MAGIC);
	ASSERT_EQ((uintptr_t)t_window(fd, frame, 1, PROT_READ | PROT_WRITE) &&
		  !t_store(t_window(fd, frame, 1, PROT_READ | PROT_WRITE), 1), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), -EACCES);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), -EACCES);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e.out_entry, 0), -EACCES);
	_exit(0);
}

/* Catches: a stranger with a right that acl didn't give (INV-XN-19). */
TEST(entry__stranger)
{
	int fd = setup(XT_PUBLIC, 4);
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root, .uid = ALICE };
	struct exo_xn_entry e;
	pid_t pid;

	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	use(fd, block, RW, &e);
	t_fill(fd, e.out_frame, MAGIC);
	pid = test_fork();
	if (!pid)
		be_bob();
	test_join(pid);
	pid = test_fork();
	if (!pid) {
		/* The table is everybody's, to read. */
		t_become(BOB);
		fd = t_open();
		ASSERT_EQ(row_of(table(fd), block)->frame, e.out_frame);
		ASSERT_TRUE(mmap(NULL, EXO_XN_REG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				 (off_t)(EXO_MMAP_XN + ((uint64_t)disk << EXO_MMAP_VIEW_SHIFT))) ==
			    MAP_FAILED);
		_exit(0);
	}
	test_join(pid);
	end(fd);
}

/* Catches: a frame that can still be had when its block is another's (INV-XN-20). */
TEST(entry__stale_after_free)
{
	int fd = setup(0, 4);
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e, f;
	uint32_t frame;
	uint64_t start;

	use(fd, block, RW, &e);
	t_fill(fd, e.out_frame, MAGIC);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_SHARED), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(state_of(t, block), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e.out_entry, 0), -ESTALE);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), -ESTALE);
	start = test_now_ns();
	while (t_cap_check(fd, &e.out_cap, RO) == 0)
		if (test_overdue(start, 5000))
			FAIL("its capability is good for ever");
	ASSERT_EQ(t_import(fd, &e.out_cap, &frame, NULL), -ESTALE);
	ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, 4, EXO_XN_DATA, 0), 0);
	use(fd, block, RW, &f);
	ASSERT_EQ(t_peek(fd, f.out_frame), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, f.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, f.out_frame), 0);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(row_of(t, block)->holders, 1);
	ASSERT_EQ(xt_detach(fd, disk, 0), -EBUSY);
	end(fd);
}

/* Catches: a unit that is freed, whose entry and locks stay for the block's next owner (INV-XN-20). */
TEST(entry__of_a_freed_unit_goes)
{
	int fd = setup(0, 4);
	struct xt_unit child = { .blocks = 1 };
	struct exo_xn_step steps[3] = {
		{ .kind = EXO_XN_ALLOC, .parent = parent, .count = 1, .slot = EXO_XN_SELF },
		{ .kind = EXO_XN_WRITE, .parent = parent, .length = sizeof(unit), .bytes = (uintptr_t)&unit },
		{ .kind = EXO_XN_NEW, .length = sizeof(child), .bytes = (uintptr_t)&child },
	};
	const struct exo_xn_reg_table *t = table(fd);
	uint64_t at = xt_free_run(fd, disk, 1);
	struct exo_xn_entry e, next;

	steps[0].block = at;
	steps[2].parent = at;
	unit.e[unit.nr++] = (struct xt_entry){ at, 1, EXO_XN_SELF };
	ASSERT_EQ(xt_apply(fd, disk, root, steps, 3, EXO_XN_APPLY_COMMIT, NULL), 0);
	ASSERT_EQ(entry(fd, at, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 0xffff, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_TRUE(!row_of(t, at));
	ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, at, 1, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	use(fd, at, RW, &next);
	ASSERT_EQ(try_lock(fd, next.out_entry, 0xffff, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_SHARED), -ESTALE);
	end(fd);
}

/* I/O -------------------------------------------------------------------------------------------- */

/* Catches: a frame that counts as its block's content and isn't; what is dirty and isn't written. */
TEST(io__states)
{
	int fd = setup(0, 8);
	const struct exo_xn_reg_table *t = table(fd);
	const uint32_t known = EXO_XN_REG_VALID | EXO_XN_REG_DIRTY;
	struct exo_xn_entry e;
	uint64_t stamp;

	put_on_disk(fd, block, MAGIC);
	use(fd, block, RW, &e);
	ASSERT_EQ(state_of(t, block) & known, 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
	ASSERT_EQ(state_of(t, block) & known, EXO_XN_REG_VALID);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC);
	t_fill(fd, e.out_frame, MAGIC + 1);
	/* It is valid, so it isn't read, nor written while it isn't said to be dirty. */
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e.out_entry, 0), 0);
	ASSERT_EQ(on_disk(fd, block), MAGIC);
	stamp = row_of(t, block)->stamp;
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), 0);
	ASSERT_GT(row_of(t, block)->stamp, stamp);
	ASSERT_EQ(state_of(t, block) & known, known);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e.out_entry, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(state_of(t, block) & known, EXO_XN_REG_VALID);
	ASSERT_EQ(on_disk(fd, block), MAGIC + 1);
	/* Somebody writes past it. */
	put_on_disk(fd, block, MAGIC + 2);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC + 2);
	/* Its number is a binding, too. */
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, e.out_entry, 0, &e.out_frame, 1, 0), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, e.out_entry, 1, &e.out_frame, 1, 0), -EINVAL);
	/* What stays as a cache is found again. */
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(state_of(t, block), EXO_XN_REG_USED | EXO_XN_REG_FRAME | EXO_XN_REG_VALID);
	use(fd, block, RO, &e);
	ASSERT_EQ(e.out_state & EXO_XN_REG_VALID, EXO_XN_REG_VALID);
	end(fd);
}

static void dirty_and_die(void *arg)
{
	struct test_sync *sync = arg;
	struct exo_xn_entry e;
	int fd = t_open(), i;

	read_unit(fd);
	for (i = 0; i < 8; i++) {
		use(fd, block + i, RW, &e);
		t_fill(fd, e.out_frame, MAGIC + i);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), 0);
	}
	test_sync_post(sync);
	for (;;)
		pause();
}

/* Catches: what a program left dirty when it was killed, lost (INV-XN-23). */
TEST(io__written_after_death)
{
	int fd = setup(0, 16), i;
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_attach attach;
	struct exo_xn_entry e;
	struct test_sync sync;
	pid_t pid;

	test_sync_init(&sync);
	pid = test_spawn(dirty_and_die, &sync);
	test_sync_wait(&sync);
	ASSERT_EQ(state_of(t, block + 7) & EXO_XN_REG_DIRTY, EXO_XN_REG_DIRTY);
	kill(pid, SIGKILL);
	test_wait(pid);
	for (i = 0; i < 8; i++) {
		wait_state(t, block + i, EXO_XN_REG_DIRTY | EXO_XN_REG_BUSY, 0);
		ASSERT_EQ(on_disk(fd, block + i), MAGIC + i);
	}
	wait_written(t, 8);
	ASSERT_EQ(t->lost, 0);
	/* And what is dirty when the disk goes. */
	use(fd, block + 8, RW, &e);
	t_fill(fd, e.out_frame, MAGIC + 8);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), 0);
	end(fd);
	munmap((void *)t, EXO_XN_REG_BYTES);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
	read_unit(fd);
	for (i = 0; i < 9; i++)
		ASSERT_EQ_FOR(on_disk(fd, block + i), MAGIC + i, "block %d", i);
	end(fd);
}

/* Reading ahead ---------------------------------------------------------------------------------- */

/* Catches: a frame that was read ahead, had by who may not; or with what its block was to another (INV-XN-22). */
TEST(speculate__after_acl)
{
	int fd = setup(0, 8);
	const struct exo_xn_reg_table *t = table(fd);
	const uint32_t ahead = EXO_XN_REG_SPECULATIVE | EXO_XN_REG_VALID | EXO_XN_REG_FRAME;
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root, .uid = ALICE };
	struct exo_xn_entry e;
	uint32_t i;
	pid_t pid;

	for (i = 0; i < 8; i++)
		put_on_disk(fd, block + i, MAGIC + i);
	ASSERT_EQ(xt_commit(fd, disk, root), 0);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	pid = test_fork();
	if (!pid) {
		struct exo_frame_info info;

		t_become(BOB);
		fd = t_open();
		t = table(fd);	/* mappings aren't inherited */
		ASSERT_EQ(speculate(fd, 0, 1), -ENOENT);
		ASSERT_EQ(speculate(fd, xt_free_run(fd, disk, 1), 1), -ENOENT);
		ASSERT_EQ(speculate(fd, block, 8), 0);
		ASSERT_EQ(state_of(t, block), ahead | EXO_XN_REG_USED);
		ASSERT_EQ(entry(fd, block, RO, EXO_XN_ENTRY_FRAME, &e), -EACCES);
		/* The number of the frame is no secret; it is of no use. */
		ASSERT_EQ(t_query(fd, row_of(t, block)->frame, 1, &info), 1);
		ASSERT_EQ(info.rights, 0);
		i = row_of(t, block)->frame;
		ASSERT_EQ(t_free1(fd, i), -EACCES);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(t->speculated, 8);
	use(fd, block, RW, &e);
	ASSERT_EQ(e.out_state & (ahead | EXO_XN_REG_HELD), EXO_XN_REG_VALID | EXO_XN_REG_FRAME |
		  EXO_XN_REG_HELD);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC);
	/* Written since: what was read ahead is old, and nobody gets it. */
	put_on_disk(fd, block + 1, MAGIC + 100);
	use(fd, block + 1, RW, &e);
	ASSERT_EQ(e.out_state & EXO_XN_REG_VALID, 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC + 100);
	end(fd);
}

/* Catches: what stood on the device before a block was allocated, had through reading ahead. */
TEST(speculate__unread_block)
{
	int fd = setup(0, 4);
	struct exo_xn_entry e;

	put_on_disk(fd, block, MAGIC);
	ASSERT_EQ(xt_commit(fd, disk, root), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, 4, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(speculate(fd, block, 2), 0);
	/* A number without a frame doesn't make it right. */
	ASSERT_EQ(entry(fd, block, RW, 0, &e), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), -ESTALE);
	use(fd, block, RW, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	end(fd);
}
