// SPDX-License-Identifier: GPL-2.0
/*
 * X3: SQLite on its own blocks (vfs=exo) against SQLite's unix VFS on ext4 and on xfs. All on a memory-backed null_blk with a
 * volatile cache and FUA, one each, of the same boot; the file systems are new, with their usual options.
 * A request is done at once, in the caller's context, and what the device does itself (it copies into its cache, and
 * at a flush out of it) is counted on every side.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exo/sqlite_vfs.h>

#include "x3.h"

#define CACHE_MIB 64

const struct x3_place x3_places[X3_PLACES] = {
	[X3_EXO] = { "exo", "exo", "", "nullb0" },
	[X3_EXT4] = { "ext4", "unix", "/mnt/ext4/", "nullb1" },
	[X3_XFS] = { "xfs", "unix", "/mnt/xfs/", "nullb2" },
};

void x3_system(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	fflush(stdout);
	if (system(command))
		bench_fail("%s: failed", command);
}

struct x3_requests x3_requests(const struct x3_place *place)
{
	unsigned long long reads, read_sectors, writes, written_sectors, flushes = 0;
	struct x3_requests requests;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", place->device);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu %*u %llu %*u %llu %*u %llu %*u %*u %*u %*u %*u %*u %*u %*u %llu",
			 &reads, &read_sectors, &writes, &written_sectors, &flushes) != 5)
		bench_fail("can't read %s", path);
	fclose(f);
	requests.flushes = (double)flushes;
	requests.requests = (double)(reads + writes + flushes);
	requests.bytes = (double)(read_sectors + written_sectors) * 512;
	return requests;
}

static void make_file_system(const struct x3_place *place)
{
	x3_system("mkfs.%s -q /dev/%s && mkdir -p %s && mount -t %s /dev/%s %s", place->name,
		  place->device, place->dir, place->name, place->device, place->dir);
}

static void make_disk(const struct x3_place *place)
{
	struct exo_env *env = bench_env(16384);
	struct exo_xn_attach said;
	char path[32];

	snprintf(path, sizeof(path), "/dev/%s", place->device);
	bench_must(exo_xn_format(env, path, NULL), "format");
	bench_must(exo_xn_attach(env, path, 0, &said), "attach");
	bench_must(exo_env_close(env), "close");
}

static void set_up(void)
{
	/* Another group may have loaded it in another way. */
	x3_system("modprobe -r null_blk 2>/dev/null; modprobe null_blk nr_devices=%d gb=1 bs=4096 "
		  "memory_backed=1 cache_size=%d queue_mode=2 irqmode=0 submit_queues=1 no_sched=1",
		  X3_PLACES, CACHE_MIB);
	x3_system("grep -q 'write back' /sys/block/%s/queue/write_cache && "
		  "grep -q 1 /sys/block/%s/queue/fua", x3_places[0].device, x3_places[0].device);
	x3_system("modprobe xfs");
	make_disk(&x3_places[X3_EXO]);
	make_file_system(&x3_places[X3_EXT4]);
	make_file_system(&x3_places[X3_XFS]);
}

static void clean_up(void)
{
	x3_system("umount %s %s && exoctl disk detach --force >/dev/null && modprobe -r null_blk", x3_places[X3_EXT4].dir,
		  x3_places[X3_XFS].dir);
}

void x3_run(void)
{
	set_up();
	bench_must(exo_sqlite_vfs_register(NULL), "vfs exo");
	x3b_run();
	x3a_run();
	clean_up();
}
