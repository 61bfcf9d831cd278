// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry when frames go against somebody's will: taken by force while they are being written, or because
 * their block's root has another owner. What is lost is counted, and nobody gets what isn't his, or isn't the block's.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "null_blk.h"
#include "xn_dm.h"
#include "xn_registry_setup.h"

#define BLOCKS 4U
#define SECTORS ((uint64_t)XT_BLOCKS * EXO_XN_BLOCK / DM_SECTOR)
#define OLD 0x4f4c44ULL
#define NEW 0x4e4557ULL

static struct exo_quota quota;

/* A disk on the device at path, with one root. */
static void root_on_path(int fd)
{
	struct exo_xn_root_create out;
	struct exo_xn_attach attach;

	ASSERT_EQ(xt_format(fd, path, 0), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	disk = attach.out_disk;
	unit = (struct xt_unit){ .blocks = 1 };
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", &unit, 0, &out), 0);
	root = out.out_root;
	parent = out.out_block;
}

static void own_blocks(int fd, uint64_t first, uint32_t count)
{
	block = first;
	ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, count, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
}

/* The same as setup(), on a device that can be held. */
static int setup_held(void)
{
	int fd = xt_admin();
	char under[32], table_text[64];
	uint32_t i;

	xt_device("loss", XT_BLOCKS, under);
	snprintf(table_text, sizeof(table_text), "%s 0", under);
	dm_create("xnloss", "linear", SECTORS, table_text, path);
	root_on_path(fd);
	own_blocks(fd, xt_free_run(fd, disk, BLOCKS), BLOCKS);
	for (i = 0; i < BLOCKS; i++)
		put_on_disk(fd, block + i, OLD + i);
	/* All may be taken. */
	quota = t_quota(fd, 0);
	t_quota_set(fd, &(struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_MIN });
	return fd;
}

static void end_held(int fd)
{
	t_quota_set(fd, &(struct exo_quota){ .size = sizeof(quota), .flags = EXO_QUOTA_MIN, .min = quota.min });
	end(fd);
	dm_remove("xnloss");
}

static void all_dirty(int fd, struct exo_xn_entry *e)
{
	uint32_t i;

	for (i = 0; i < BLOCKS; i++) {
		use(fd, block + i, RW, &e[i]);
		t_fill(fd, e[i].out_frame, NEW + i);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e[i].out_entry, 0), 0);
	}
}

/* Each block is as it was or as it was to be, and what isn't there is counted. Bit n: block n is old. */
static uint32_t old_blocks(int fd, const struct exo_xn_reg_table *t)
{
	uint32_t i, old = 0;

	for (i = 0; i < BLOCKS; i++) {
		uint64_t value = on_disk(fd, block + i);

		if (value != NEW + i)
			ASSERT_EQ_FOR(value, OLD + i, "block %u", i);
		old |= (uint32_t)(value == OLD + i) << i;
	}
	ASSERT_EQ(t->lost, (uint64_t)__builtin_popcount(old));
	return old;
}

/* Catches: rows that nobody gets any more, of entries whose frame went while they were being written (INV-XN-23). */
TEST(loss__row_of_a_busy_entry)
{
	int fd = setup_held();
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e[BLOCKS];
	uint32_t i, asked;

	all_dirty(fd, e);
	dm_hold("xnloss");
	/* One is being written because nobody holds it, another one because its frame is asked for. */
	ASSERT_EQ(xt_unbind(fd, e[0].out_entry), 0);
	wait_state(t, block, EXO_XN_REG_BUSY, EXO_XN_REG_BUSY);
	for (i = 1; i < BLOCKS; i++)
		ASSERT_EQ(xt_unbind(fd, e[i].out_entry), 0);
	ASSERT_EQ(t_revoke(fd, 0, BLOCKS, 50, &asked), 0);
	ASSERT_EQ(asked, BLOCKS);
	for (i = 0; i < BLOCKS; i++)
		wait_gone(fd, &e[i].out_cap);
	dm_go("xnloss");
	for (i = 0; i < BLOCKS; i++)
		wait_state(t, block + i, ~0U, 0);
	ASSERT_EQ(t->entries, 0);
	/* The frame of the first was the device's until it was written. */
	ASSERT_EQ(old_blocks(fd, t) & 1, 0);
	end_held(fd);
}

/* Catches: what was dirty and taken by force, lost without a word; another's bytes, or old ones, in its place (INV-XN-23). */
TEST(loss__of_what_is_held)
{
	int fd = setup_held();
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e[BLOCKS], again;
	uint32_t i, asked, old;

	all_dirty(fd, e);
	dm_hold("xnloss");
	ASSERT_EQ(t_revoke(fd, 0, BLOCKS, 50, &asked), 0);
	ASSERT_EQ(asked, BLOCKS);
	for (i = 0; i < BLOCKS; i++)
		wait_gone(fd, &e[i].out_cap);
	dm_go("xnloss");
	for (i = 0; i < BLOCKS; i++)
		wait_state(t, block + i, EXO_XN_REG_FRAME | EXO_XN_REG_BUSY | EXO_XN_REG_DIRTY, 0);
	old = old_blocks(fd, t);
	/* The device could take one, and had it when the time was up. */
	ASSERT_GE(__builtin_popcount(old), BLOCKS - 1);
	for (i = 0; i < BLOCKS; i++) {
		ASSERT_EQ_FOR(state_of(t, block + i), EXO_XN_REG_USED | EXO_XN_REG_HELD |
			      (old >> i & 1 ? EXO_XN_REG_LOST : 0), "block %u", i);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e[i].out_entry, 0), -ESTALE);
		use(fd, block + i, RW, &again);
		ASSERT_EQ(t_peek(fd, again.out_frame), 0);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e[i].out_entry, 0), 0);
		ASSERT_EQ(t_peek(fd, again.out_frame), (old >> i & 1 ? OLD : NEW) + i);
		t_fill(fd, again.out_frame, NEW + i);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e[i].out_entry, 0), 0);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_WRITE, e[i].out_entry, EXO_XN_IO_DURABLE), 0);
		ASSERT_EQ(on_disk(fd, block + i), NEW + i);
		ASSERT_EQ(state_of(t, block + i) & EXO_XN_REG_LOST, 0);
		ASSERT_EQ(xt_unbind(fd, again.out_entry), 0);
		ASSERT_EQ(xt_unbind(fd, e[i].out_entry), 0);
	}
	end_held(fd);
}

/* A root that changes hands ------------------------------------------------------------------------ */

static void chown_root(int fd, uint32_t uid)
{
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_CHOWN, .disk = disk,
				       .root = root, .uid = uid };

	ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
}

static void say(int to)
{
	ASSERT_EQ(write(to, "", 1), 1);
}

static void hear(int from)
{
	char byte;

	ASSERT_EQ(read(from, &byte, 1), 1);
}

/* Who had the root: a dirty block, a clean one, and one that he only has a number of. */
static void before(int tell, int told)
{
	struct exo_xn_entry dirty, clean, number, again;
	uint32_t binding, frame;
	struct exo_cap cap;
	int fd;

	t_become(BOB);
	fd = t_open();
	read_unit(fd);
	use(fd, block, RW, &dirty);
	t_fill(fd, dirty.out_frame, MAGIC);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, dirty.out_entry, 0), 0);
	use(fd, block + 1, RW, &clean);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, clean.out_entry, 0), 0);
	ASSERT_EQ(entry(fd, block + 2, RW, 0, &number), 0);
	ASSERT_EQ(try_lock(fd, number.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
	ASSERT_EQ(xt_bind(fd, disk, root, parent, block, 4, RW, &binding), 0);
	say(tell);
	hear(told);
	wait_gone(fd, &dirty.out_cap);
	wait_gone(fd, &clean.out_cap);
	ASSERT_NE(t_cap(fd, dirty.out_frame, EXO_RIGHT_READ, &cap), 0);
	ASSERT_NE(t_cap(fd, clean.out_frame, EXO_RIGHT_READ, &cap), 0);
	ASSERT_EQ(entry(fd, block, RW, EXO_XN_ENTRY_FRAME, &again), -EACCES);
	ASSERT_EQ(entry(fd, block + 2, RO, 0, &again), -EACCES);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, clean.out_entry, 0), -EACCES);
	ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, dirty.out_entry, 0), -EACCES);
	ASSERT_EQ(try_lock(fd, number.out_entry, 2, EXO_XN_SHARED), -EACCES);
	frame = t_frame(fd);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), -EACCES);
	ASSERT_EQ(t_peek(fd, frame), 0);
	say(tell);
	/* And what he has still is in nobody's way. */
	hear(told);
	_exit(0);
}

/* Catches: who had a root and still sees, changes or locks what the next owner has (INV-XN-30). */
TEST(chown__ends_what_was)
{
	int fd = setup(0, 8), from[2], to[2];
	const struct exo_xn_reg_table *t = table(fd);
	struct exo_xn_entry e;
	pid_t bob, alice;
	uint32_t i;

	chown_root(fd, BOB);
	ASSERT_EQ(pipe(from) | pipe(to), 0);
	bob = test_fork();
	if (!bob)
		before(from[1], to[0]);
	hear(from[0]);
	chown_root(fd, ALICE);
	ASSERT_EQ(t->entries, 0);
	alice = test_fork();
	if (!alice) {
		t_become(ALICE);
		fd = t_open();
		read_unit(fd);
		/* What he had called dirty is there, and nothing is locked. */
		use(fd, block, RW, &e);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e.out_entry, 0), 0);
		ASSERT_EQ(t_peek(fd, e.out_frame), MAGIC);
		for (i = 0; i < 3; i++) {
			use(fd, block + i, RW, &e);
			ASSERT_EQ(try_lock(fd, e.out_entry, 1, EXO_XN_EXCLUSIVE), 0);
			t_fill(fd, e.out_frame, NEW + i);
			ASSERT_EQ(io(fd, EXO_XN_ENTRY_DIRTY, e.out_entry, 0), 0);
		}
		_exit(0);
	}
	test_join(alice);
	say(to[1]);
	hear(from[0]);
	for (i = 0; i < 3; i++) {
		wait_state(t, block + i, EXO_XN_REG_DIRTY | EXO_XN_REG_BUSY, 0);
		ASSERT_EQ(on_disk(fd, block + i), NEW + i);
	}
	say(to[1]);
	test_join(bob);
	ASSERT_EQ(t->lost, 0);
	end(fd);
}

#define NULLB "exoloss"
#define HELD 16U	/* blocks of the disk's end, whose I/O can be held while that on all others goes on */

/* With a cache a flush would wait for what is held, too. */
static const struct null_blk_value no_cache[] = { { "size", "32" }, { "blocksize", "512" }, {} };

static int setup_held_end(void)
{
	uint64_t held = HELD * EXO_XN_BLOCK / DM_SECTOR;
	char under[32], end_path[32], all[64], last[64];
	const struct dm_part parts[] = {
		{ "linear", SECTORS - held, all },
		{ "linear", held, last },
	};
	int fd = xt_admin();

	null_blk_on(NULLB, no_cache, under);
	snprintf(all, sizeof(all), "%s 0", under);
	snprintf(last, sizeof(last), "%s %llu", under, (unsigned long long)(SECTORS - held));
	dm_create("xnend", "linear", held, last, end_path);
	snprintf(last, sizeof(last), "%s 0", end_path);
	dm_create_parts("xnloss", parts, 2, path);
	root_on_path(fd);
	own_blocks(fd, XT_BLOCKS - HELD, HELD);
	return fd;
}

static void end_held_end(int fd)
{
	end(fd);
	dm_remove("xnloss");
	dm_remove("xnend");
	null_blk_off(NULLB);
}

/* Requests that the disk's device has. */
static uint32_t under_way(void)
{
	unsigned int reads = 0, writes = 0;
	char name[64];
	FILE *file;

	snprintf(name, sizeof(name), "/sys/block/%s/inflight", strrchr(path, '/') + 1);
	file = fopen(name, "re");
	ASSERT_TRUE(file && fscanf(file, "%u %u", &reads, &writes) == 2);
	fclose(file);
	return reads + writes;
}

struct going {
	int fd;
	uint32_t kind;
	uint32_t binding;
	uint32_t frame;
	atomic_bool over;
};

static void *transfer(void *arg)
{
	struct going *g = arg;

	ASSERT_EQ(xt_io(g->fd, g->kind, g->binding, 0, &g->frame, 1, 0), 0);
	return NULL;
}

static void *give_away(void *arg)
{
	struct going *g = arg;

	chown_root(g->fd, ALICE);
	g->over = true;
	return NULL;
}

/* I/O that was let in is held by the device, and the root given away. True: that waited for it. */
static bool waited_for(int fd, uint32_t kind)
{
	struct going g = { .fd = fd, .kind = kind, .frame = t_frame(fd) };
	uint64_t start = test_now_ns();
	pthread_t io_thread, chown_thread;
	bool early;

	ASSERT_EQ(xt_bind(fd, disk, root, parent, block, 1, RW, &g.binding), 0);
	t_fill(fd, g.frame, NEW);
	dm_hold("xnend");
	ASSERT_EQ(pthread_create(&io_thread, NULL, transfer, &g), 0);
	while (!under_way()) {
		if (test_overdue(start, 5000))
			FAIL("nothing is under way");
		test_sleep_ms(1);
	}
	ASSERT_EQ(pthread_create(&chown_thread, NULL, give_away, &g), 0);
	/* All else that it does takes some ms. */
	start = test_now_ns();
	while (!g.over && !test_late(start, 500))
		test_sleep_ms(1);
	early = g.over;
	dm_go("xnend");
	ASSERT_EQ(pthread_join(chown_thread, NULL), 0);
	/* What it did is there when the call is over. */
	if (kind == EXO_XN_IO_READ)
		ASSERT_EQ(t_peek(fd, g.frame), OLD);
	ASSERT_EQ(pthread_join(io_thread, NULL), 0);
	ASSERT_EQ(xt_unbind(fd, g.binding), 0);
	ASSERT_EQ(on_disk(fd, block), kind == EXO_XN_IO_READ ? OLD : NEW);
	return !early;
}

/* Catches: a root that has its next owner while I/O of the one before is under way (INV-XN-30). */
TEST(chown__waits_for_io)
{
	int fd = setup_held_end();

	put_on_disk(fd, block, OLD);
	ASSERT_TRUE(waited_for(fd, EXO_XN_IO_READ));
	ASSERT_TRUE(waited_for(fd, EXO_XN_IO_WRITE));
	end_held_end(fd);
}

/* Reading ahead ------------------------------------------------------------------------------------ */

static atomic_bool stop;

static void *ahead(void *arg)
{
	int fd = t_open(), ret;

	read_unit(fd);
	while (!atomic_load(&stop)) {
		ret = speculate(fd, block, EXO_XN_REG_BATCH);
		if (ret && ret != -ENOENT)
			FAIL("speculate: %s", strerror(-ret));
	}
	close(fd);
	return NULL;
}

/* Catches: who reads ahead and who frees the blocks, waiting for each other (INV-XN-20). */
TEST(ahead__freed_meanwhile)
{
	int fd = setup(0, EXO_XN_REG_BATCH);
	const struct exo_xn_reg_table *t = table(fd);
	pthread_t thread;
	uint32_t i;

	ASSERT_EQ(pthread_create(&thread, NULL, ahead, NULL), 0);
	for (i = 0; i < test_core_rounds(60, 20); i++) {
		ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
		ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, EXO_XN_REG_BATCH, EXO_XN_DATA,
				  EXO_XN_APPLY_COMMIT), 0);
	}
	atomic_store(&stop, true);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(t->entries, 0);
	end(fd);
}

/* Catches: bytes that are discarded and come back: what the device keeps of them, or a frame that was read before (INV-XN-7). */
TEST(discard__reads_as_zeros)
{
	int fd = setup(0, 8);
	struct exo_xn_disk info = { .size = sizeof(info), .disk = disk };
	struct exo_xn_entry e[2];
	uint32_t binding, i;

	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
	ASSERT_TRUE(info.out_flags & EXO_XN_HAS_DISCARD);
	for (i = 0; i < 2; i++) {
		put_on_disk(fd, block + i, OLD + i);
		use(fd, block + i, RW, &e[i]);
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e[i].out_entry, 0), 0);
		ASSERT_EQ(t_peek(fd, e[i].out_frame), OLD + i);
	}
	/* The last one was never written. */
	ASSERT_EQ(xt_bind(fd, disk, root, parent, block, 3, RW, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_DISCARD, binding, 1, NULL, 2, 0), 0);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(io(fd, EXO_XN_ENTRY_READ, e[i].out_entry, 0), 0);
		ASSERT_EQ_FOR(t_peek(fd, e[i].out_frame), i ? 0 : OLD, "block %u", i);
		ASSERT_EQ_FOR(on_disk(fd, block + i), i ? 0 : OLD, "block %u", i);
	}
	ASSERT_EQ(on_disk(fd, block + 2), 0);
	/* As after any write: what is written next is there. */
	put_on_disk(fd, block + 1, NEW);
	ASSERT_EQ(on_disk(fd, block + 1), NEW);
	end(fd);
}
