// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry's memory: frames that those who have an entry share beside their block; and whom its
 * frames are charged to, and how they are had back.
 */
#include <signal.h>
#include <sys/wait.h>

#include "xn_registry_setup.h"

/* Memory that those who have an entry share ------------------------------------------------------ */

/* Must: its number, with its memory imported. */
static uint32_t use_memory(int fd, uint64_t at, struct exo_xn_entry *out)
{
	uint32_t frame;

	ASSERT_EQ(entry(fd, at, RW, EXO_XN_ENTRY_MEMORY, out), 0);
	ASSERT_EQ(t_import(fd, &out->out_cap, &frame, NULL), 0);
	return out->out_entry;
}

/* Catches: memory of the dead that the next ones find; that is read, written or counts as the block; that stays (INV-XN-28). */
TEST(memory__goes_with_the_last)
{
	int fd = setup(0, 8);
	const struct exo_xn_reg_table *t = table(fd);
	struct test_sync there;
	struct exo_xn_entry e, f;
	uint32_t frames = t_quota(fd, 0).out_frames;
	int status;
	pid_t pid;

	put_on_disk(fd, block, MAGIC);
	test_sync_init(&there);
	pid = test_fork();
	if (!pid) {
		fd = t_open();
		read_unit(fd);
		use_memory(fd, block, &e);
		ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
		t_fill(fd, e.out_frame, MAGIC + 1);
		test_sync_post(&there);
		pause();
	}
	test_sync_wait(&there);
	use_memory(fd, block, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC + 1);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), -EBUSY);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), -EINVAL);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e.out_entry, 0), -EINVAL);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), -EINVAL);
	ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_FRAME, &f), -EBUSY);
	ASSERT_EQ(state_of(t, block), EXO_XN_REG_USED | EXO_XN_REG_FRAME | EXO_XN_REG_MEMORY |
		  EXO_XN_REG_HELD | EXO_XN_REG_LOCKED);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	wait_state(t, block, EXO_XN_REG_LOCKED, 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC + 1);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(state_of(t, block), 0);
	use_memory(fd, block, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	t_wait_charged(fd, 0, frames);
	ASSERT_EQ(on_disk(fd, block), MAGIC);
	ASSERT_EQ(t->entries, 0);
	ASSERT_EQ(t->lost, 0);
	end(fd);
}

/* Catches: what is cached of a block, or was read ahead by somebody, in the way; what somebody uses, taken from him. */
TEST(memory__of_a_cached_block)
{
	int fd = setup(0, 8);
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e, f;

	put_on_disk(fd, block, MAGIC);
	ASSERT_EQ(xt_commit(fd, disk, root), 0);
	ASSERT_EQ(speculate(fd, block, 2), 0);
	use_memory(fd, block, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	ASSERT_EQ(speculate(fd, block, 2), 0);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	use(fd, block + 2, RW, &f);
	ASSERT_EQ(entry(fd, block + 2, RW, EXO_XN_ENTRY_MEMORY, &e), -EBUSY);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, f.out_entry, 0), 0);
	ASSERT_EQ(xt_unbind(fd, f.out_entry), 0);
	wait_state(t, block + 2, EXO_XN_REG_DIRTY | EXO_XN_REG_BUSY, 0);
	use_memory(fd, block + 2, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	/* A number without a frame is in nobody's way. */
	ASSERT_EQ(entry(fd, block + 3, RW, 0, &f), 0);
	use_memory(fd, block + 3, &e);
	ASSERT_EQ(try_lock(fd, f.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT | EXO_XN_ENTRY_MEMORY, &e), -EINVAL);
	end(fd);
}

/* Catches: somebody who may only read, and keeps those who may write from their memory, or from the block (INV-XN-28). */
TEST(memory__readers_are_in_nobodys_way)
{
	int fd = setup(XT_PUBLIC, 8), status;
	const struct exo_xn_reg_table *t = table(fd);
	struct test_sync there, go;
	struct exo_xn_entry e, f, r;
	pid_t pid;

	test_sync_init(&there);
	test_sync_init(&go);
	pid = test_fork();
	if (!pid) {
		t_become(BOB);
		fd = t_open();
		read_unit(fd);
		ASSERT_EQ(entry(fd, block, RO, EXO_XN_ENTRY_MEMORY, &r), -EINVAL);
		ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_MEMORY, &r), -EACCES);
		use(fd, block, RO, &r);
		ASSERT_EQ(entry(fd, block + 1, RO, 0, &f), 0);
		test_sync_post(&there);
		test_sync_wait(&go);
		wait_gone(fd, &r.out_cap);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, r.out_entry, 0), -EINVAL);
		ASSERT_EQ(entry(fd, block, RO, EXO_XN_ENTRY_FRAME, &e), -EBUSY);
		test_sync_post(&there);
		pause();
	}
	test_sync_wait(&there);
	use_memory(fd, block, &e);
	use_memory(fd, block + 1, &f);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_FRAME, &r), -EBUSY);
	test_sync_post(&go);
	test_sync_wait(&there);
	/* His numbers are there still. */
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(xt_unbind(fd, f.out_entry), 0);
	ASSERT_EQ(state_of(t, block), 0);
	ASSERT_EQ(state_of(t, block + 1), 0);
	use(fd, block, RW, &e);
	ASSERT_EQ(t_peek(fd, e.out_frame), 0);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	end(fd);
}

/* Catches: two who have different memory under one name; memory that is given up though it could stay (INV-XN-28). */
TEST(memory__taken_by_force)
{
	int fd = setup(0, 8), other = t_open();
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_quota none = { .size = sizeof(none), .flags = EXO_QUOTA_MIN, .min = 0 };
	struct exo_quota old = t_quota(fd, 0);
	struct exo_xn_entry e, f, idle;
	uint32_t asked;

	t_quota_set(fd, &none);
	read_unit(other);
	use_memory(fd, block, &e);
	use_memory(other, block, &f);
	ASSERT_EQ(f.out_frame, e.out_frame);
	use(fd, block + 1, RW, &idle);
	ASSERT_EQ(xt_unbind(fd, idle.out_entry), 0);
	ASSERT_EQ(t_revoke(fd, 0, 1, 60000, &asked), 0);
	ASSERT_EQ(asked, 1);
	wait_state(t, block + 1, ~0U, 0);
	ASSERT_EQ(state_of(t, block) & EXO_XN_REG_FRAME, EXO_XN_REG_FRAME);
	/* A frame's row shows first that it goes: until it has gone it is what is asked for. */
	t_wait_charged(fd, 0, 1);
	ASSERT_EQ(t_revoke(fd, 0, 1, 50, &asked), 0);
	ASSERT_EQ(asked, 1);
	wait_gone(fd, &e.out_cap);
	ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_MEMORY, &idle), -ESTALE);
	ASSERT_EQ(state_of(t, block), EXO_XN_REG_USED | EXO_XN_REG_MEMORY | EXO_XN_REG_HELD | EXO_XN_REG_LOST);
	ASSERT_EQ(t->lost, 1);
	ASSERT_EQ(xt_unbind(other, f.out_entry), 0);
	ASSERT_EQ(entry(other, block, RW, EXO_XN_ENTRY_MEMORY, &f), -ESTALE);
	/* Its locks go on. */
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	ASSERT_EQ(state_of(t, block), 0);
	use_memory(other, block, &f);
	ASSERT_EQ(t_peek(other, f.out_frame), 0);
	none.min = old.min;
	t_quota_set(fd, &none);
	end(fd);
	ASSERT_EQ(state_of(t, block), 0);
}

/* Catches: memory that the owner of a root before shares with the next one (INV-XN-28). */
TEST(memory__of_a_root_given_away)
{
	int fd = setup(0, 8);
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root, .uid = ALICE };
	struct exo_xn_entry e, f, data;
	pid_t pid;

	use_memory(fd, block, &e);
	use(fd, block + 1, RW, &data);
	t_fill(fd, e.out_frame, MAGIC);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	pid = test_fork();
	if (!pid) {
		t_become(ALICE);
		fd = t_open();
		read_unit(fd);
		use_memory(fd, block, &f);
		ASSERT_EQ(t_peek(fd, f.out_frame), 0);
		_exit(0);
	}
	test_join(pid);
	wait_gone(fd, &e.out_cap);
	wait_gone(fd, &data.out_cap);
	ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), -ESTALE);
	ASSERT_EQ(xt_unbind(fd, e.out_entry), 0);
	end(fd);
}

/* Pressure and limits ---------------------------------------------------------------------------- */

/* Catches: frames of the registry that can't be had back; in the wrong order; with what was dirty lost (INV-XN-24). */
TEST(pressure__order)
{
	int fd = setup(0, 64);
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_quota none = { .size = sizeof(none), .flags = EXO_QUOTA_MIN, .min = 0 };
	struct exo_quota old = t_quota(fd, 0);
	struct exo_xn_entry idle, held, dirty;
	uint32_t asked, i;

	t_quota_set(fd, &none);
	for (i = 0; i < 8; i++) {
		use(fd, block + i, RW, &idle);
		ASSERT_EQ(xt_unbind(fd, idle.out_entry), 0);
	}
	use(fd, block + 8, RW, &held);
	use(fd, block + 9, RW, &dirty);
	t_fill(fd, dirty.out_frame, MAGIC);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, dirty.out_entry, 0), 0);
	ASSERT_EQ(t_quota(fd, 0).out_frames, 10);
	/* Environment 0 is all of them. */
	ASSERT_EQ(t_revoke(fd, 0, 8, 60000, &asked), 0);
	ASSERT_EQ(asked, 8);
	for (i = 0; i < 8; i++)
		wait_state(t, block + i, ~0U, 0);
	ASSERT_EQ(state_of(t, block + 8) & EXO_XN_REG_FRAME, EXO_XN_REG_FRAME);
	t_wait_charged(fd, 0, 2);
	ASSERT_EQ(t_revoke(fd, 0, 1, 60000, &asked), 0);
	ASSERT_EQ(asked, 1);
	wait_state(t, block + 8, ~0U, EXO_XN_REG_USED | EXO_XN_REG_HELD);
	ASSERT_EQ(state_of(t, block + 9) & EXO_XN_REG_DIRTY, EXO_XN_REG_DIRTY);
	wait_gone(fd, &held.out_cap);
	t_wait_charged(fd, 0, 1);
	ASSERT_EQ(t_revoke(fd, 0, 1, 60000, &asked), 0);
	ASSERT_EQ(asked, 1);
	wait_state(t, block + 9, ~0U, EXO_XN_REG_USED | EXO_XN_REG_HELD);
	ASSERT_EQ(on_disk(fd, block + 9), MAGIC);
	ASSERT_EQ(t->lost, 0);
	wait_written(t, 1);
	use(fd, block + 9, RW, &dirty);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, dirty.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, dirty.out_frame), MAGIC);
	none.min = old.min;
	t_quota_set(fd, &none);
	end(fd);
}

#define MANY 300U	/* more than are looked at in a row */
#define FEW 20U

/* Catches: entries that are passed over where more are looked at than without a break (INV-XN-36). */
TEST(pressure__many_entries)
{
	static struct exo_xn_entry e[MANY];
	int fd = setup(0, MANY + FEW), status;
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_quota none = { .size = sizeof(none), .flags = EXO_QUOTA_MIN, .min = 0 };
	struct exo_quota old = t_quota(fd, 0);
	struct test_sync there;
	uint32_t asked, i;
	pid_t pid;

	t_quota_set(fd, &none);
	for (i = 0; i < MANY; i++)
		use(fd, block + i, RW, &e[i]);
	for (i = 0; i < FEW; i++) {
		struct exo_xn_entry idle;

		use(fd, block + MANY + i, RW, &idle);
		ASSERT_EQ(xt_unbind(fd, idle.out_entry), 0);
	}
	/* Those that were used last go: all before them are had. */
	ASSERT_EQ(t_revoke(fd, 0, FEW, 60000, &asked), 0);
	ASSERT_EQ(asked, FEW);
	for (i = 0; i < FEW; i++)
		wait_state(t, block + MANY + i, ~0U, 0);
	ASSERT_EQ(t->entries, MANY);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(state_of(t, block + i) & EXO_XN_REG_FRAME, EXO_XN_REG_FRAME);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(xt_unbind(fd, e[i].out_entry), 0);
	/* What the dead left dirty is written, all of it. */
	test_sync_init(&there);
	pid = test_fork();
	if (!pid) {
		fd = t_open();
		read_unit(fd);
		for (i = 0; i < MANY; i++) {
			use(fd, block + i, RW, &e[i]);
			t_fill(fd, e[i].out_frame, MAGIC + i);
			ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e[i].out_entry, 0), 0);
		}
		test_sync_post(&there);
		pause();
	}
	test_sync_wait(&there);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	for (i = 0; i < MANY; i++)
		wait_state(t, block + i, EXO_XN_REG_HELD | EXO_XN_REG_DIRTY | EXO_XN_REG_BUSY, 0);
	wait_written(t, MANY);
	for (i = 0; i < MANY; i += 37)
		ASSERT_EQ(on_disk(fd, block + i), MAGIC + i);
	/* And all of them go. */
	ASSERT_EQ(t_revoke(fd, 0, MANY, 60000, &asked), 0);
	for (i = 0; i < MANY; i++)
		wait_state(t, block + i, ~0U, 0);
	ASSERT_EQ(t->entries, 0);
	none.min = old.min;
	t_quota_set(fd, &none);
	end(fd);
}

/* Catches: frames that nobody is charged for; a quota that idle entries fill for good. */
TEST(quota__charged)
{
	int fd = setup(XT_PUBLIC, 64);
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root, .uid = ALICE };
	struct exo_quota quota = { .size = sizeof(quota), .flags = EXO_QUOTA_FRAMES, .uid = ALICE,
				   .frames = 8 };
	struct exo_quota old = t_quota(fd, ALICE);
	pid_t pid;

	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	t_quota_set(fd, &quota);
	pid = test_fork();
	if (!pid) {
		struct exo_xn_entry e[9];
		uint32_t i;

		t_become(ALICE);
		fd = t_open();
		read_unit(fd);
		for (i = 0; i < 8; i++)
			ASSERT_EQ(entry(fd, block + i, RW, EXO_XN_ENTRY_FRAME, &e[i]), 0);
		ASSERT_EQ(t_quota(fd, ALICE).out_frames, 8);
		ASSERT_EQ(entry(fd, block + 8, RW, EXO_XN_ENTRY_FRAME, &e[8]), -EDQUOT);
		ASSERT_EQ(xt_unbind(fd, e[3].out_entry), 0);
		/* The one that is idle goes for it. */
		ASSERT_EQ(entry(fd, block + 8, RW, EXO_XN_ENTRY_FRAME, &e[8]), 0);
		ASSERT_EQ(state_of(table(fd), block + 3), 0);
		ASSERT_EQ(speculate(fd, block + 20, 1), -EDQUOT);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(t_quota(fd, ALICE).out_frames, 8);
	end(fd);
	ASSERT_EQ(t_quota(fd, ALICE).out_frames, 0);
	quota.frames = old.frames;
	t_quota_set(fd, &quota);
}
