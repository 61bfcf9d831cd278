// SPDX-License-Identifier: GPL-2.0
/*
 * X6: attach after a crash, and a full walk, in blocks read. The device is a loop device on a sparse file; a
 * crash is a copy of the file, taken when the changes are committed and nothing of them is at home.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xn.h"

#define FILE_A "/tmp/x6-a"
#define FILE_B "/tmp/x6-b"
#define SMALL (1ULL << 30)
#define LARGE (16ULL << 30)
#define UNITS 180U

/* A tree: the root's unit points at UNITS others. */
struct tree {
	struct xn xn;
	uint64_t block[UNITS];
	struct xn_unit unit;
};

static void tree_make(struct tree *tree, const char *device)
{
	struct exo_xn_change *change;
	struct xn *xn = &tree->xn;
	uint64_t first;
	uint32_t i;

	xn_open(xn, device, 512);
	bench_must(exo_xn_find_free(xn->disk, 0, UNITS, &first), "free blocks");
	bench_must(exo_xn_change_begin(xn->disk, xn->root, &change), "change");
	memset(&tree->unit, 0, sizeof(tree->unit));
	for (i = 0; i < UNITS; i++) {
		tree->block[i] = first + i;
		xn->unit.extent[i] = (struct xn_extent){ first + i, 1, EXO_XN_SELF };
		exo_xn_change_alloc(change, xn->at, first + i, 1, EXO_XN_SELF);
		exo_xn_change_new(change, first + i, &tree->unit, sizeof(tree->unit));
	}
	xn->unit.nr = UNITS;
	exo_xn_change_write(change, xn->at, 0, &xn->unit, sizeof(xn->unit));
	bench_must(exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL), "units");
	exo_xn_change_end(change);
}

/* So many units get a data block each: the unit and the map change. */
static void tree_change(struct tree *tree, uint32_t units)
{
	struct exo_xn_change *change;
	struct xn *xn = &tree->xn;
	uint64_t first;
	uint32_t i;

	bench_must(exo_xn_find_free(xn->disk, 0, units, &first), "free blocks");
	bench_must(exo_xn_change_begin(xn->disk, xn->root, &change), "change");
	tree->unit.nr = 1;
	for (i = 0; i < units; i++) {
		static struct xn_unit room[UNITS];

		room[i] = tree->unit;
		room[i].extent[0] = (struct xn_extent){ first + i, 1, EXO_XN_DATA };
		exo_xn_change_write(change, tree->block[i], 0, &room[i], 32);
		exo_xn_change_alloc(change, tree->block[i], first + i, 1, EXO_XN_DATA);
	}
	bench_must(exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL), "change");
	exo_xn_change_end(change);
}

/* Only what is there is copied. */
static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char room[1 << 16];
	off_t at = 0, end;
	ssize_t n = 0;

	if (in < 0 || out < 0 || ftruncate(out, lseek(in, 0, SEEK_END)))
		bench_fail("%s: %s", to, strerror(errno));
	while ((at = lseek(in, at, SEEK_DATA)) >= 0) {
		end = lseek(in, at, SEEK_HOLE);
		for (; at < end; at += n) {
			n = pread(in, room, end - at < (off_t)sizeof(room) ? (size_t)(end - at) : sizeof(room), at);
			if (n <= 0 || pwrite(out, room, (size_t)n, at) != n)
				bench_fail("%s: %s", to, strerror(errno));
		}
	}
	close(in);
	close(out);
}

/* Blocks that the attach of this file read. */
static uint64_t attach_reads(const char *device, uint64_t replayed)
{
	struct exo_env *env = bench_env(512);
	struct exo_xn_attach attach;
	struct exo_xn *disk;

	bench_must(exo_xn_attach(env, device, 0, &attach), device);
	bench_assert(attach.out_replayed >= replayed && !attach.out_quarantined);
	bench_must(exo_xn_open(env, &EXO_OPTS(exo_xn_open, .disk = attach.out_disk), &disk), device);
	bench_must(exo_xn_detach(disk, EXO_XN_DETACH_FORCE), device);
	exo_xn_close(disk);
	exo_env_close(env);
	return attach.out_read;
}

/* A change of so many units, or none, and what the attach reads then. */
static uint64_t crash(uint32_t units)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	char *device = xn_loop(FILE_A, SMALL);
	struct exo_env *env;
	uint64_t reads;

	tree_make(tree, device);
	/* What is there before is at home: the crash finds the change alone. */
	bench_must(exo_xn_detach(tree->xn.disk, EXO_XN_DETACH_FORCE), "detach");
	exo_xn_close(tree->xn.disk);
	env = tree->xn.env;
	{
		struct exo_xn_attach attach;
		struct exo_xn_root root;
		struct xn_unit unit;
		uint32_t i;

		bench_must(exo_xn_attach(env, device, 0, &attach), "attach");
		bench_must(exo_xn_open(env, &EXO_OPTS(exo_xn_open, .disk = attach.out_disk), &tree->xn.disk), "open");
		bench_must(exo_xn_root_find(tree->xn.disk, "bench", &root), "root");
		bench_must(exo_xn_read(tree->xn.disk, root.root, tree->xn.at, tree->xn.at, &unit, sizeof(unit)), "read");
		for (i = 0; i < units; i++)
			bench_must(exo_xn_read(tree->xn.disk, root.root, tree->xn.at, tree->block[i], &unit,
					       sizeof(unit)), "read");
	}
	if (units)
		tree_change(tree, units);
	copy_file(FILE_A, FILE_B);
	xn_close(&tree->xn);
	free(tree);
	free(device);
	device = xn_loop(FILE_B, 0);
	reads = attach_reads(device, units > 0);
	free(device);
	return reads;
}

static void walk(void)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	struct exo_xn_check found = { 0 };
	struct exo_xn_attach attach;
	char *device = xn_loop(FILE_A, LARGE);
	uint64_t before, reads;

	tree_make(tree, device);
	bench_must(exo_xn_detach(tree->xn.disk, EXO_XN_DETACH_FORCE), "detach");
	exo_xn_close(tree->xn.disk);
	bench_must(exo_xn_attach(tree->xn.env, device, 0, &attach), "attach");
	bench_must(exo_xn_open(tree->xn.env, &EXO_OPTS(exo_xn_open, .disk = attach.out_disk), &tree->xn.disk), "open");
	before = xn_stat(device, XN_READ_BYTES);
	bench_must(exo_xn_check(tree->xn.disk, 0, NULL, NULL, &found), "check");
	reads = (xn_stat(device, XN_READ_BYTES) - before) / PAGE;
	bench_assert(!found.out_leaked && !found.out_bad && !found.out_errors);
	bench_unit("blocks");
	bench_row("X6.walk", "full walk of a disk of 1 TiB, blocks read", (double)reads * (1024 / 16), (double)reads,
		  "the disk of 16 GiB that was measured",
		  "%u units; of each unit more a block is read; the rest is the map, one block in %u", UNITS, 1020U);
	xn_close(&tree->xn);
}

void x6_run(void)
{
	static const uint32_t sizes[] = { 1, 16, UNITS };
	uint64_t clean = crash(0), reads;
	char id[40];
	size_t i;

	bench_unit("blocks");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		reads = crash(sizes[i]);
		snprintf(id, sizeof(id), "X6.attach.%u", sizes[i]);
		bench_row(id, "attach after a crash, blocks read beyond a clean attach", (double)(reads - clean),
			  (double)sizes[i], "units that the lost changes were of",
			  "%.2f a unit; a clean attach reads %llu", (double)(reads - clean) / sizes[i],
			  (unsigned long long)clean);
	}
	walk();
}
