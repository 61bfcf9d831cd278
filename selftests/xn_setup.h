/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of raw disks begin with: a root of the caller's on a new disk. Each program includes this once. */
#ifndef EXO_XN_SETUP_H
#define EXO_XN_SETUP_H

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

#endif
