// SPDX-License-Identifier: GPL-2.0
/*
 * users: what two users do on a raw disk in the demonstration (tools/demo/disk). The diary's format is that of samples/xn.
 *
 *	users diary-write	appends to a diary until it is killed; prints how many entries are durable
 *	users diary-check N	the first N are there, and right
 *	users volume-where NAME	prints where a data block of that volume of SQLite's is: the unit that points at it, and the block
 *	users intrude NAME UNIT BLOCK	tries everything on the root NAME, which is another user's, and on that
 *				block of it; prints what was refused. Status 1 if something was not
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../samples/xn/diary.h"
#include "../../libexo/sqlite/vfs_format.h"

#define DIARY "diary"
#define ENTRIES 6000 /* the sample's diary is full then */

static struct exo_env *env;
static struct exo_xn *xn;
static struct store store;

static void need(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "users: %s: %s\n", what, exo_strerror(ret));
	exit(1);
}

static void begin(void)
{
	need(exo_env_open(&env, NULL), "/dev/exo");
	need(exo_xn_open(env, NULL, &xn), "the disk");
	need(store_init(&store, env, xn), "frames");
}

static void tell(uint32_t count)
{
	printf("%u\n", count);
	fflush(stdout);
}

/* ---- SQLite's volume -------------------------------------------------------------------------- */

/* Of its first file. */
static int volume_where(const char *name)
{
	static struct vfs_dir dir;
	struct exo_xn_root root;
	struct vfs_unit unit;

	begin();
	need(exo_xn_root_find(xn, name, &root), name);
	need(exo_xn_read(xn, root.root, root.out_block, root.out_block, &dir, sizeof(dir)), "read");
	need(exo_xn_read(xn, root.root, root.out_block, dir.entry[0].unit, &unit, sizeof(unit)), "read");
	if (dir.magic != VFS_DIR_MAGIC || unit.magic != VFS_FILE_MAGIC || !unit.extents)
		return 1;
	printf("%" PRIu64 " %" PRIu64 "\n", (uint64_t)dir.entry[0].unit, (uint64_t)unit.extent[0].block);
	return 0;
}

/* ---- the diary --------------------------------------------------------------------------------- */

static int entry(char *text, size_t size, uint32_t i)
{
	return snprintf(text, size, "day %u: nothing to report%*s.\n", i, (int)(i * 7 % 100), "");
}

static int diary_write(void)
{
	char text[400];
	uint32_t i;

	begin();
	need(diary_create(&store, DIARY), "create the diary");
	for (i = 0; i < ENTRIES; i++) {
		entry(text, sizeof(text), i);
		need(diary_append(&store, text), "append");
		tell(i + 1);
	}
	pause();
	return 0;
}

static int diary_check(uint32_t wanted)
{
	char text[400], found[400];
	int length, got, ret;
	uint32_t count;
	uint64_t at = 0;

	begin();
	need(store_find(&store, DIARY), "find the diary");
	for (count = 0; count < wanted; count++) {
		length = entry(text, sizeof(text), count);
		for (got = 0; got < length; got += ret, at += (uint64_t)ret) {
			ret = diary_read(&store, at, found + got, (uint32_t)(length - got));
			need(ret, "read");
			if (!ret)
				break;
		}
		if (got < length || memcmp(text, found, (size_t)length)) {
			fprintf(stderr, "users: entry %u is not there, or not as it was written\n", count);
			return 1;
		}
	}
	tell(count);
	return 0;
}

/* ---- the intruder ------------------------------------------------------------------------------ */

static int wrong;

static void refused(int ret, int wanted, const char *what, const char *why)
{
	if (ret == wanted) {
		printf("%-52s refused: %s\n", what, why);
		return;
	}
	printf("%-52s NOT REFUSED (%s)\n", what, ret < 0 ? exo_strerror(ret) : "done");
	wrong = 1;
}

static int intrude(const char *name, uint64_t unit, uint64_t block)
{
	struct diary_head head;
	struct exo_xn_root victim;
	uint8_t bytes[EXO_XN_BLOCK];
	uint32_t binding;

	begin();
	need(store_find(&store, DIARY), "find the diary");
	need(exo_xn_root_find(xn, name, &victim), name);
	refused(exo_xn_read(xn, victim.root, victim.out_block, victim.out_block, bytes, sizeof(bytes)),
		-EACCES, "reads her metadata", "her acl doesn't allow it");
	refused(exo_xn_bind(xn, victim.root, unit, block, 1, EXO_RIGHT_READ, &binding),
		-EACCES, "reads her data", "her acl doesn't allow it");
	refused(exo_xn_bind(xn, victim.root, unit, block, 1, EXO_RIGHT_WRITE, &binding),
		-EACCES, "writes her data", "her acl doesn't allow it");
	refused(exo_xn_bind(xn, store.root, store.first, block, 1, EXO_RIGHT_READ, &binding), -ENOENT,
		"reads her block as if it were his", "his unit doesn't point there");
	need(exo_xn_read(xn, store.root, store.first, store.first, &head, sizeof(head)), "read");
	head.run[head.runs++] = block;
	exo_xn_change_write(store.change, store.first, 0, &head, sizeof(head));
	refused(exo_xn_change_apply(store.change, 0, NULL), -EINVAL, "lets his diary point at it",
		"owns says more than the change");
	exo_xn_change_clear(store.change);
	exo_xn_change_alloc(store.change, store.first, block, DIARY_RUN, EXO_XN_DATA);
	exo_xn_change_write(store.change, store.first, 0, &head, sizeof(head));
	refused(exo_xn_change_apply(store.change, 0, NULL), -EBUSY, "claims it", "it is taken");
	refused(exo_xn_root_delete(xn, victim.root), -EACCES, "deletes her database", "it is hers");
	return wrong;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *object = argc > 2 ? argv[2] : NULL;

	if (!strcmp(what, "diary-write"))
		return diary_write();
	if (object && !strcmp(what, "diary-check"))
		return diary_check((uint32_t)strtoul(object, NULL, 10));
	if (object && !strcmp(what, "volume-where"))
		return volume_where(object);
	if (argc == 5 && !strcmp(what, "intrude"))
		return intrude(object, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	fprintf(stderr, "usage: users diary-write|diary-check N|volume-where NAME|intrude NAME UNIT BLOCK\n");
	return 2;
}
