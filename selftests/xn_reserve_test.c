// SPDX-License-Identifier: GPL-2.0
/*
 * I/O on raw disks when memory has no bio for anybody: all come from what each disk keeps for that, which is fewer
 * than these tests want at once. The caches of bios are those that failslab is told to fail (slub_debug=A,bio-* on
 * the kernel command line), as long as a test wants that.
 */
#include <glob.h>
#include <pthread.h>

#include "failnth.h"
#include "uring.h"
#include "xn_lib.h"

static char path[32];
static uint32_t disk, number, binding;
static uint64_t at, block;
static struct xt_unit unit;

#define BLOCKS 256U
#define PIECES 144U	/* blocks of the largest request; written is every other one: more than a disk keeps bios */
#define READERS 4U
#define AHEAD 64U	/* blocks that are read ahead at a time */

/* From the caches of all bios nothing comes, for nobody: they come from what each disk keeps for that. */
static void no_bios(bool on)
{
	static const char *const off[][2] = { { "probability", "0" }, { "cache-filter", "N" }, { "task-filter", "Y" } };
	static const char *const set[][2] = { { "cache-filter", "Y" }, { "task-filter", "N" }, { "times", "-1" },
					      { "probability", "100" } };
	unsigned int i, nr = on ? 4 : 3;
	char path[128];

	for (i = 0; i < nr; i++) {
		const char *const *pair = on ? set[i] : off[i];

		snprintf(path, sizeof(path), "/sys/kernel/debug/failslab/%s", pair[0]);
		ASSERT_EQ_FOR(t_write_file(path, pair[1]), 0, "%s", path);
	}
}

/* Else nothing would fail. */
static void caches_marked(void)
{
	char text[8] = "";
	glob_t found;
	size_t i;

	ASSERT_EQ(glob("/sys/kernel/slab/bio-*/failslab", 0, NULL, &found), 0);
	for (i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");

		ASSERT_TRUE(file && fgets(text, sizeof(text), file));
		ASSERT_EQ_FOR(atoi(text), 1, "%s: boot with slub_debug=A,bio-*", found.gl_pathv[i]);
		fclose(file);
	}
	globfree(&found);
}

static uint32_t many[PIECES];

/* Blocks of which every other one was written, so that each is a piece of its own. */
static void pieces_setup(void)
{
	struct exo_xn_root_create made;
	uint32_t i;

	setup();
	caches_marked();
	disk = xt_disk(fd, path);
	unit = (struct xt_unit){ .blocks = 1 };
	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", &unit, 0, &made), 0);
	number = made.out_root;
	at = made.out_block;
	block = xt_free_run(fd, disk, BLOCKS);
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, BLOCKS, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(xt_bind(fd, disk, number, at, block, BLOCKS, RW, &binding), 0);
	t_alloc_any(fd, many, PIECES);
	t_fill_each(fd, many, PIECES, 5000);
	for (i = 0; i < PIECES; i += 2)
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, i, many + i, 1, 0), 0);
}

static void pieces_check(void)
{
	uint32_t i;

	for (i = 0; i < PIECES; i++)
		ASSERT_EQ_FOR(t_peek(fd, many[i]), i % 2 ? 0 : 5000 + i, "block %u", i);
	t_fill_each(fd, many, PIECES, 9000);
}

static void disk_end(void)
{
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

static int call_pieces(void)
{
	return xt_io(fd, EXO_XN_IO_READ, binding, 0, many, 4, 0);
}

static void *read_pieces(void *arg)
{
	int i, ret = 0;

	for (i = 0; !ret && i < 2; i++)
		ret = xt_io(fd, EXO_XN_IO_READ, binding, 0, many, PIECES, 0);
	*(int *)arg = ret;
	return NULL;
}

static void *speculate(void *arg)
{
	struct exo_xn_speculate cmd = { .size = sizeof(cmd), .disk = disk, .count = AHEAD,
					.block = block + AHEAD * (uint32_t)*(int *)arg };

	*(int *)arg = t_ioctl(fd, EXO_XN_SPECULATE, &cmd) ?: cmd.out_done == AHEAD ? 0 : -EIO;
	return NULL;
}

static void together(void *(*what)(void *))
{
	pthread_t thread[READERS];
	int ret[READERS];
	uint32_t i;

	for (i = 0; i < READERS; i++) {
		ret[i] = (int)i;
		ASSERT_EQ(pthread_create(&thread[i], NULL, what, &ret[i]), 0);
	}
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(pthread_join(thread[i], NULL), 0);
		ASSERT_EQ(ret[i], 0);
	}
}

/* So many requests of so many blocks at once; each is told this. */
static void uring(uint32_t nr, uint32_t kind, uint32_t flags, uint32_t count, uint32_t ring_flags)
{
	static struct exo_xn_io ios[PIECES];
	struct io_uring io;
	uint32_t i;

	ASSERT_EQ(io_uring_queue_init(nr, &io, ring_flags), 0);
	for (i = 0; i < nr; i++) {
		ios[i] = (struct exo_xn_io){ .size = sizeof(ios[i]), .flags = flags, .kind = kind, .binding = binding,
					     .offset = count == 1 ? i : 0, .count = count,
					     .frames = count == 1 ? many[i] : (uintptr_t)many };
		t_prep_cmd(&io, fd, EXO_XN_IO, &ios[i]);
	}
	ASSERT_EQ(io_uring_submit(&io), (int)nr);
	for (i = 0; i < nr; i++)
		ASSERT_EQ(t_reap(&io), 0);
	io_uring_queue_exit(&io);
}

/* Catches: requests of several bios that wait for each other's, or for more than there are, for ever (INV-XN-29). */
TEST_LONG(bios__pieces, 200)
{
	uint32_t last;

	pieces_setup();
	sweep("read in pieces", call_pieces, NULL, 3);
	no_bios(true);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, many, PIECES, 0), 0);
	pieces_check();
	together(read_pieces);
	pieces_check();
	uring(READERS, EXO_XN_IO_READ, 0, PIECES, 0);
	pieces_check();
	uring(READERS, EXO_XN_IO_READ, 0, PIECES, IORING_SETUP_IOPOLL);
	pieces_check();
	/* What is found out when some of it is with the device. */
	last = many[PIECES - 2];
	many[PIECES - 2] = t_frame(other);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, many, PIECES, 0), -EACCES);
	ASSERT_EQ(t_free1(other, many[PIECES - 2]), 0);
	many[PIECES - 2] = last;
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, many, PIECES, 0), 0);
	pieces_check();
	no_bios(false);
	disk_end();
}

/* Catches: writes that are over and keep what the transaction that they wait for needs (INV-XN-29). */
TEST_LONG(bios__durable, 200)
{
	uint32_t ring_flags = 0;

	pieces_setup();
	for (;;) {
		ASSERT_EQ(xt_unbind(fd, binding), 0);
		ASSERT_EQ(xt_shrink(fd, disk, number, at, &unit, EXO_XN_APPLY_COMMIT), 0);
		ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block, BLOCKS, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
		ASSERT_EQ(xt_bind(fd, disk, number, at, block, BLOCKS, RW, &binding), 0);
		no_bios(true);
		uring(PIECES, EXO_XN_IO_WRITE, EXO_XN_IO_DURABLE, 1, ring_flags);
		no_bios(false);
		if (ring_flags)
			break;
		ring_flags = IORING_SETUP_IOPOLL;
	}
	disk_end();
}

static uint32_t entries[BLOCKS / 2];

/* An entry of every other block, from this one on, with a frame or without. */
static void use_every_other(uint32_t from, uint32_t flags)
{
	uint32_t i;

	for (i = 0; i < BLOCKS / 2; i++) {
		struct exo_xn_entry e = { .size = sizeof(e), .flags = flags, .disk = disk, .root = number, .parent = at,
					  .block = block + from + 2 * i, .rights = RW };

		ASSERT_EQ(t_ioctl(fd, EXO_XN_ENTRY, &e), 0);
		entries[i] = e.out_entry;
	}
}

static void give_up_entries(void)
{
	uint32_t i;

	for (i = 0; i < BLOCKS / 2; i++)
		ASSERT_EQ(xt_unbind(fd, entries[i]), 0);
}

/* Catches: readers ahead who wait for each other's bios (INV-XN-29). */
TEST_LONG(bios__ahead, 200)
{
	pieces_setup();
	/* The others are read, each by itself. */
	use_every_other(0, 0);
	no_bios(true);
	together(speculate);
	no_bios(false);
	give_up_entries();
	disk_end();
}

static uint32_t entry_kind;

/* Half of them: others have each of those, too. */
static void *entry_io(void *arg)
{
	uint32_t i, first = (uint32_t)*(int *)arg * EXO_XN_REG_BATCH / 2, some[EXO_XN_REG_BATCH];
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .kind = entry_kind, .count = EXO_XN_REG_BATCH,
				       .entries = (uintptr_t)some };

	for (i = 0; i < EXO_XN_REG_BATCH; i++)
		some[i] = entries[(first + i) % (BLOCKS / 2)];
	*(int *)arg = t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd) ?: cmd.out_done == EXO_XN_REG_BATCH ? 0 : -EIO;
	return NULL;
}

/* Catches: calls of many entries that wait for each other's bios, or for each other (INV-XN-20, INV-XN-29). */
TEST_LONG(bios__entries, 200)
{
	static const uint32_t kinds[] = { EXO_XN_ENTRY_READ, EXO_XN_ENTRY_DIRTY, EXO_XN_ENTRY_WRITE };
	uint32_t i;

	pieces_setup();
	use_every_other(0, EXO_XN_ENTRY_FRAME);
	no_bios(true);
	for (i = 0; i < 3; i++) {
		entry_kind = kinds[i];
		together(entry_io);
	}
	no_bios(false);
	give_up_entries();
	disk_end();
}
