// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: a block's frame and locks are the same for all who may use it, and for nobody else;
 * what a dead program left dirty is written.
 */
#include <fcntl.h>
#include <liburing.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xn_lib.h"

#define MAGIC 0x1122334455667788ULL

/* A root with data blocks on a new disk; all fields are as its children find them. */
static char path[32];
static uint32_t disk, root;
static uint64_t parent, block;
static struct xt_unit unit;

static int setup(uint32_t flags, uint32_t blocks)
{
	struct exo_xn_root_create out;
	int fd = t_open();

	disk = xt_disk(fd, path);
	unit = (struct xt_unit){ .flags = flags, .blocks = 1 };
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", &unit, 0, &out), 0);
	root = out.out_root;
	parent = out.out_block;
	block = xt_free_run(fd, disk, blocks);
	ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, blocks, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	return fd;
}

static void end(int fd)
{
	ASSERT_EQ(xt_detach(fd, disk, EXO_XN_DETACH_FORCE), 0);
}

/* Read the unit: who uses what it owns must have. */
static void read_unit(int fd)
{
	struct xt_unit found;

	ASSERT_EQ(xt_read(fd, disk, root, parent, parent, &found, sizeof(found)), sizeof(found));
}

static int entry(int fd, uint64_t at, uint32_t rights, uint32_t flags, struct exo_xn_entry *out)
{
	*out = (struct exo_xn_entry){ .size = sizeof(*out), .flags = flags, .disk = disk,
				      .root = root, .block = at, .rights = rights,
				      .parent = flags & EXO_XN_ENTRY_UNIT ? at : parent };
	return t_ioctl(fd, EXO_XN_ENTRY, out);
}

/* Must: its number, with its frame imported. */
static uint32_t use(int fd, uint64_t at, uint32_t rights, struct exo_xn_entry *out)
{
	uint32_t frame;

	ASSERT_EQ(entry(fd, at, rights, EXO_XN_ENTRY_FRAME, out), 0);
	ASSERT_EQ(t_import(fd, &out->out_cap, &frame, NULL), 0);
	ASSERT_EQ(frame, out->out_frame);
	return out->out_entry;
}

static int lock(int fd, uint32_t number, uint32_t slots, uint32_t mode, uint32_t flags)
{
	struct exo_xn_entry_lock cmd = { .size = sizeof(cmd), .flags = flags, .entry = number,
					 .slots = slots, .mode = mode };

	return t_ioctl(fd, EXO_XN_ENTRY_LOCK, &cmd);
}

static int try_lock(int fd, uint32_t number, uint32_t slots, uint32_t mode)
{
	return lock(fd, number, slots, mode, EXO_XN_LOCK_TRY);
}

static int io(int fd, uint32_t kind, uint32_t number, uint32_t flags)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind,
				       .count = 1, .entries = (uintptr_t)&number };

	return t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);
}

static int speculate(int fd, uint64_t at, uint32_t count)
{
	struct exo_xn_speculate cmd = { .size = sizeof(cmd), .disk = disk, .count = count,
					.block = at };

	return t_ioctl(fd, EXO_XN_SPECULATE, &cmd);
}

static const struct exo_xn_reg_table *table(int fd)
{
	void *at = mmap(NULL, EXO_XN_REG_BYTES, PROT_READ, MAP_SHARED, fd,
			(off_t)(EXO_MMAP_XN + ((uint64_t)disk << EXO_MMAP_VIEW_SHIFT)));

	if (at == MAP_FAILED)
		FAIL("the table: %s", strerror(errno));
	return at;
}

/* The block's row, or NULL. */
static const struct exo_xn_reg_row *row_of(const struct exo_xn_reg_table *t, uint64_t at)
{
	const struct exo_xn_reg_row *row = (const struct exo_xn_reg_row *)(t + 1);
	uint32_t i;

	for (i = 0; i < EXO_XN_REG_ENTRIES; i++)
		if (__atomic_load_n(&row[i].state, __ATOMIC_ACQUIRE) && row[i].block == at)
			return &row[i];
	return NULL;
}

static uint32_t state_of(const struct exo_xn_reg_table *t, uint64_t at)
{
	const struct exo_xn_reg_row *row = row_of(t, at);

	return row ? row->state : 0;
}

/* Wait until the block's state has these bits, of those in mask. */
static void wait_state(const struct exo_xn_reg_table *t, uint64_t at, uint32_t mask, uint32_t bits)
{
	uint64_t start = test_now_ns();

	while ((state_of(t, at) & mask) != bits) {
		if (test_late(start, 5000))
			FAIL("state of block %llu is %#x: never %#x of %#x", (unsigned long long)at,
			     state_of(t, at), bits, mask);
		test_sleep_ms(2);
	}
}

/* What is on the disk now. */
static uint64_t on_disk(int fd, uint64_t at)
{
	uint32_t binding, frame = t_frame(fd);
	uint64_t value;

	ASSERT_EQ(xt_bind(fd, disk, root, parent, at, 1, RO, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), 0);
	value = t_peek(fd, frame);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
	return value;
}

static void put_on_disk(int fd, uint64_t at, uint64_t value)
{
	uint32_t binding, frame = t_frame(fd);

	t_fill(fd, frame, value);
	ASSERT_EQ(xt_bind(fd, disk, root, parent, at, 1, RW, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
}

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
		if (test_late(start, 5000))
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

/* Locks ------------------------------------------------------------------------------------------ */

static void hold_and_die(void *arg)
{
	struct test_sync *sync = arg;
	struct exo_xn_entry e;
	int fd = t_open();

	read_unit(fd);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 6, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(try_lock(fd, e.out_entry, 8, EXO_XN_SHARED), 0);
	test_sync_post(sync);
	for (;;)
		pause();
}

struct waiter {
	int fd;
	uint32_t number;
	uint32_t mode;
	atomic_int begun;
	atomic_int ret;
};

static void *wait_for_lock(void *arg)
{
	struct waiter *w = arg;

	w->begun = 1;
	w->ret = lock(w->fd, w->number, 2, w->mode, 0);
	return NULL;
}

static pthread_t begin_wait(struct waiter *w)
{
	pthread_t thread;

	w->ret = 1;
	ASSERT_EQ(pthread_create(&thread, NULL, wait_for_lock, w), 0);
	while (!w->begun)
		test_sleep_ms(1);
	test_sleep_ms(50);
	ASSERT_EQ(w->ret, 1);
	return thread;
}

/* Catches: locks that don't exclude, or outlive who has them; a waiter whom nobody wakes (INV-XN-21). */
TEST(lock__dies_with_its_holder)
{
	int fd = setup(0, 4);
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e;
	struct test_sync sync;
	struct waiter w = { .fd = fd, .mode = EXO_XN_EXCLUSIVE };
	pthread_t thread;
	pid_t pid;

	test_sync_init(&sync);
	read_unit(fd);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT | EXO_XN_ENTRY_FRAME, &e), -EINVAL);
	ASSERT_EQ(entry(fd, parent, RW, EXO_XN_ENTRY_UNIT, &e), 0);
	w.number = e.out_entry;
	pid = test_spawn(hold_and_die, &sync);
	test_sync_wait(&sync);
	ASSERT_EQ(row_of(t, parent)->slots, 14);
	ASSERT_EQ(try_lock(fd, e.out_entry, 2, EXO_XN_SHARED), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 3, EXO_XN_SHARED), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE), -EBUSY);
	ASSERT_EQ(try_lock(fd, e.out_entry, 9, EXO_XN_SHARED), 0);
	/* It would wait for ever if two did so. */
	ASSERT_EQ(lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE, 0), -EBUSY);
	thread = begin_wait(&w);
	kill(pid, SIGKILL);
	test_wait(pid);
	pthread_join(thread, NULL);
	ASSERT_EQ(w.ret, 0);
	ASSERT_EQ(lock(fd, e.out_entry, 8, EXO_XN_EXCLUSIVE, 0), 0);
	ASSERT_EQ(row_of(t, parent)->slots, 11);
	ASSERT_EQ(try_lock(fd, e.out_entry, 0xffff, EXO_XN_UNLOCK), 0);
	ASSERT_EQ(row_of(t, parent)->slots, 0);
	end(fd);
}

struct giver {
	int fd;
	atomic_uint round;
	atomic_uint made;
	atomic_uint given;
};

/* Give number 1 up as soon as it is there, once a round: now and then while a frame is being taken for its entry. */
static void *give_up(void *arg)
{
	struct giver *g = arg;
	unsigned int seen = 0;

	for (;;) {
		while (g->round == seen)
			;
		seen = g->round;
		if (seen == ~0U)
			return NULL;
		while (xt_unbind(g->fd, 1) && g->made != seen)
			;
		g->given = seen;
	}
}

/* Catches: a thread that gives a number up while another is still making its entry (INV-XN-19). */
TEST(entry__given_up_while_it_is_made)
{
	enum { ROUNDS = 400 };
	int fd = setup(0, ROUNDS);
	const struct exo_xn_reg_table *t = table(fd);
	const struct exo_xn_reg_row *row = (const struct exo_xn_reg_row *)(t + 1);
	struct giver g = { .fd = fd };
	struct exo_xn_entry e;
	pthread_t thread;
	uint64_t start = test_now_ns();
	uint32_t i, n, rows;

	read_unit(fd);
	ASSERT_EQ(pthread_create(&thread, NULL, give_up, &g), 0);
	for (i = 0; i < ROUNDS && !test_late(start, 8000); i++) {
		g.round = i + 1;
		entry(fd, block + i, RW, EXO_XN_ENTRY_FRAME, &e);
		g.made = i + 1;
		while (g.given != i + 1)
			;
		for (n = 0, rows = 0; n <= ROUNDS; n++)
			rows += !!__atomic_load_n(&row[n].state, __ATOMIC_ACQUIRE);
		ASSERT_EQ(rows, t->entries);
	}
	g.round = ~0U;
	pthread_join(thread, NULL);
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

static void nothing(int sig)
{
}

/* Catches: a wait that nothing ends: a signal, the number's end, the block's, the disk's. */
TEST(lock__wait_ends)
{
	int fd = setup(0, 4), i;
	struct exo_xn_entry mine, other;
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < 4; i++) {
		struct waiter w = { .fd = fd, .mode = EXO_XN_SHARED };
		pthread_t thread;

		ASSERT_EQ(entry(fd, block, RW, 0, &mine), 0);
		ASSERT_EQ(entry(fd, block, RW, 0, &other), 0);
		ASSERT_EQ(try_lock(fd, mine.out_entry, 2, EXO_XN_EXCLUSIVE), 0);
		w.number = other.out_entry;
		thread = begin_wait(&w);
		switch (i) {
		case 0:
			pthread_kill(thread, SIGUSR1);
			break;
		case 1:
			ASSERT_EQ(xt_unbind(fd, other.out_entry), 0);
			break;
		case 2:
			ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, 0), 0);
			ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block + 4, 4,
					  EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
			block += 4;
			break;
		case 3:
			end(fd);
			break;
		}
		pthread_join(thread, NULL);
		ASSERT_EQ_FOR(w.ret, i == 0 ? -EINTR : i == 1 ? -ENOENT : -ESTALE, "case %d", i);
		xt_unbind(fd, mine.out_entry);
		xt_unbind(fd, other.out_entry);
	}
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
	ASSERT_EQ(t->written, 8);
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
	test_sleep_ms(50);	/* the worker gives the frame */
	ASSERT_EQ(t_quota(fd, 0).out_frames, frames);
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
	wait_state(t, block + 1, ~0U, 0);
	ASSERT_EQ(state_of(t, block) & EXO_XN_REG_FRAME, EXO_XN_REG_FRAME);
	ASSERT_EQ(t_revoke(fd, 0, 1, 50, &asked), 0);
	test_sleep_ms(300);
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
	uint32_t frame;
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
	test_sleep_ms(50);	/* the worker takes the frame */
	ASSERT_EQ(t_import(fd, &e.out_cap, &frame, NULL), -ESTALE);
	ASSERT_EQ(t_import(fd, &data.out_cap, &frame, NULL), 0);
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
	uint32_t asked, i, frame;

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
	ASSERT_EQ(t_revoke(fd, 0, 1, 60000, &asked), 0);
	wait_state(t, block + 8, ~0U, EXO_XN_REG_USED | EXO_XN_REG_HELD);
	ASSERT_EQ(state_of(t, block + 9) & EXO_XN_REG_DIRTY, EXO_XN_REG_DIRTY);
	ASSERT_EQ(t_import(fd, &held.out_cap, &frame, NULL), -ESTALE);
	ASSERT_EQ(t_revoke(fd, 0, 1, 60000, &asked), 0);
	wait_state(t, block + 9, ~0U, EXO_XN_REG_USED | EXO_XN_REG_HELD);
	ASSERT_EQ(on_disk(fd, block + 9), MAGIC);
	ASSERT_EQ(t->lost, 0);
	ASSERT_EQ(t->written, 1);
	use(fd, block + 9, RW, &dirty);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, dirty.out_entry, 0), 0);
	ASSERT_EQ(t_peek(fd, dirty.out_frame), MAGIC);
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

/* Races ------------------------------------------------------------------------------------------ */

/* What the children share: memory of all. */
static struct race {
	_Atomic uint32_t owner[3];	/* who has the lock of each block, 0: nobody */
	_Atomic uint32_t locking[4];	/* by child: it may have a lock */
	_Atomic bool killed;		/* the last child is, and may have left its name */
	_Atomic bool no_locks;
} *race;

/* Locks are of an entry: when its block is freed the next one has none. So none is taken after that begins. */
static bool lock_one(int fd, const struct exo_xn_entry *e, uint32_t me)
{
	uint32_t before;
	bool had;

	race->locking[me] = 1;
	had = !race->no_locks && !try_lock(fd, e->out_entry, 1, EXO_XN_EXCLUSIVE);
	if (had) {
		/* One at a time, of each block. */
		before = atomic_exchange(&race->owner[e->block - block], me + 1);
		if (before != 4 || !race->killed)
			ASSERT_EQ(before, 0);
		race->owner[e->block - block] = 0;
		try_lock(fd, e->out_entry, 1, EXO_XN_UNLOCK);
	}
	race->locking[me] = 0;
	return had;
}

static void race_child(void *arg)
{
	uint64_t seed = test_seed() + (uintptr_t)arg, start = test_now_ns();
	struct exo_xn_entry e[6];
	uint32_t i, n = 0;
	int fd = t_open();

	read_unit(fd);
	memset(e, 0, sizeof(e));
	while (!test_late(start, 2500)) {
		i = test_random(&seed) % 6;
		if (!e[i].out_entry) {
			int ret = entry(fd, block + test_random(&seed) % 3, RW,
					test_random(&seed) % 2 ? EXO_XN_ENTRY_FRAME : 0, &e[i]);

			if (ret && ret != -ESTALE && ret != -ENOENT)
				FAIL("entry: %d", ret);
			if (ret)
				e[i].out_entry = 0;
			continue;
		}
		switch (test_random(&seed) % 7) {
		case 0:
			xt_unbind(fd, e[i].out_entry);
			e[i].out_entry = 0;
			break;
		case 1:
			io(fd, EXO_XN_ENTRY_READ, e[i].out_entry, 0);
			break;
		case 2:
			io(fd, EXO_XN_ENTRY_DIRTY, e[i].out_entry, 0);
			break;
		case 3:
			io(fd, EXO_XN_ENTRY_WRITE, e[i].out_entry, 0);
			break;
		case 4:
			speculate(fd, block, 3);
			break;
		case 5:
			n += lock_one(fd, &e[i], (uint32_t)(uintptr_t)arg);
			break;
		case 6:
			t_revoke(fd, 0, 1, 0, &(uint32_t){ 0 });
			break;
		}
	}
	if (!n)
		test_note("no lock was had");
	_exit(0);
}

/* Data ------------------------------------------------------------------------------------------ */

struct stuck {
	int fd;
	uint32_t binding;
	const uint32_t *frames;
	atomic_int freed;
};

static void *write_two(void *arg)
{
	struct stuck *s = arg;

	xt_io(s->fd, EXO_XN_IO_WRITE, s->binding, 0, s->frames, 2, 0);
	return NULL;
}

static void *free_all(void *arg)
{
	struct stuck *s = arg;

	xt_shrink(s->fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT);
	s->freed = 1;
	return NULL;
}

/*
 * Catches: numbers of frames that are copied in while something is in flight: the fault there lasts as long as its owner
 * likes, and whoever frees the blocks waits for it, with the disk's lock (INV-XN-16).
 */
TEST(data__frames_are_copied_first)
{
	int fd = setup(0, 4), uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), ms;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_range range = { (uintptr_t)page, 4096 };
	struct uffdio_register reg = { .range = range, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage zero = { .range = range };
	struct stuck s = { .fd = fd, .frames = page };
	struct uffdio_api api = { .api = UFFD_API };
	struct pollfd fault = { .fd = uffd, .events = POLLIN };
	pthread_t writer, freer;
	bool freed;

	ASSERT_GE(uffd, 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_API, &api), 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	read_unit(fd);
	ASSERT_EQ(xt_bind(fd, disk, root, parent, block, 4, RW, &s.binding), 0);
	ASSERT_EQ(pthread_create(&writer, NULL, write_two, &s), 0);
	ASSERT_EQ(poll(&fault, 1, 10000), 1);
	ASSERT_EQ(pthread_create(&freer, NULL, free_all, &s), 0);
	for (ms = 0; ms < 4000 * (int)test_slow() && !s.freed; ms++)
		test_sleep_ms(1);
	freed = s.freed;
	ASSERT_EQ(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(writer, NULL);
	pthread_join(freer, NULL);
	ASSERT_TRUE(freed);
	close(uffd);
	end(fd);
}

/* Of those that aren't killed. */
static void stop_locks(void)
{
	int i;

	race->no_locks = true;
	for (i = 0; i < 3; i++)
		while (race->locking[i])
			test_sleep_ms(1);
}

/* Catches: what goes wrong when entries are used, freed, written and taken at once. */
TEST(race__all_at_once)
{
	int fd = setup(0, 3), i;
	pid_t pid[4];
	uint64_t start;

	race = test_shared(sizeof(*race));
	for (i = 0; i < 4; i++)
		pid[i] = test_spawn(race_child, (void *)(uintptr_t)i);
	start = test_now_ns();
	for (i = 0; !test_late(start, 2000); i++) {
		if (i == 20) {
			race->killed = true;
			kill(pid[3], SIGKILL);
			test_wait(pid[3]);
		}
		test_sleep_ms(10);
		if (i % 8 == 7 && i > 100) {
			stop_locks();
			ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, 0), 0);
			ASSERT_EQ(xt_commit(fd, disk, root), 0);
			ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, 3, EXO_XN_DATA, 0), 0);
		}
	}
	for (i = 0; i < 3; i++)
		test_join(pid[i]);
	end(fd);
}
