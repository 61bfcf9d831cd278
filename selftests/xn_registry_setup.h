/* SPDX-License-Identifier: GPL-2.0 */
/* A root with data blocks, and what is done with entries of its disk's buffer registry. Each program includes this once. */
#ifndef EXO_XN_REGISTRY_SETUP_H
#define EXO_XN_REGISTRY_SETUP_H

#include <sys/ioctl.h>
#include <sys/mman.h>

#include "xn_lib.h"

#define MAGIC 0x1122334455667788ULL

/* A root with data blocks on a new disk; all fields are as its children find them. */
static char path[32];
static uint32_t disk, root;
static uint64_t parent, block;
static struct xt_unit unit;

static int setup(uint32_t flags, uint32_t blocks)
{
	int fd = t_open();

	disk = xt_disk(fd, path);
	unit = (struct xt_unit){ .flags = flags, .blocks = 1 };
	block = xt_data_root(fd, disk, &unit, blocks, &root, &parent);
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
static __attribute__((unused)) uint32_t use(int fd, uint64_t at, uint32_t rights, struct exo_xn_entry *out)
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

static __attribute__((unused)) int try_lock(int fd, uint32_t number, uint32_t slots, uint32_t mode)
{
	return lock(fd, number, slots, mode, EXO_XN_LOCK_TRY);
}

static __attribute__((unused)) int io(int fd, uint32_t kind, uint32_t number, uint32_t flags)
{
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind,
				       .count = 1, .entries = (uintptr_t)&number };

	return t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);
}

static __attribute__((unused)) int speculate(int fd, uint64_t at, uint32_t count)
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
static __attribute__((unused))
void wait_state(const struct exo_xn_reg_table *t, uint64_t at, uint32_t mask, uint32_t bits)
{
	uint64_t start = test_now_ns();

	while ((state_of(t, at) & mask) != bits) {
		if (test_overdue(start, 5000))
			FAIL("state of block %llu is %#x: never %#x of %#x", (unsigned long long)at,
			     state_of(t, at), bits, mask);
		test_sleep_ms(2);
	}
}

/* Until so many were written: they are counted after the last of them is clean. */
static __attribute__((unused)) void wait_written(const struct exo_xn_reg_table *t, uint64_t n)
{
	uint64_t start = test_now_ns();

	while (__atomic_load_n(&t->written, __ATOMIC_ACQUIRE) < n) {
		if (test_overdue(start, 5000))
			FAIL("%llu were written, not %llu", (unsigned long long)t->written,
			     (unsigned long long)n);
		test_sleep_ms(2);
	}
	ASSERT_EQ(t->written, n);
}

/* Until a frame may not be had any more: its row shows first that it goes. */
static __attribute__((unused)) void wait_gone(int fd, const struct exo_cap *cap)
{
	uint64_t start = test_now_ns();
	uint32_t frame;

	while (t_import(fd, cap, &frame, NULL) != -ESTALE) {
		if (test_overdue(start, 5000))
			FAIL("frame %u is still there", frame);
		test_sleep_ms(2);
	}
}

/* What is on the disk now. */
static __attribute__((unused)) uint64_t on_disk(int fd, uint64_t at)
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

static __attribute__((unused)) void put_on_disk(int fd, uint64_t at, uint64_t value)
{
	uint32_t binding, frame = t_frame(fd);

	t_fill(fd, frame, value);
	ASSERT_EQ(xt_bind(fd, disk, root, parent, at, 1, RW, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
}

#endif
