// SPDX-License-Identifier: GPL-2.0
/*
 * X3: SQLite on its own blocks (vfs=exo) against SQLite's unix VFS on ext4 and on xfs. All on a memory-backed null_blk with a
 * volatile cache and FUA, one each, of the same boot; the file systems are new, with their usual options.
 * A request is done at once, in the caller's context, and what the device does itself (it copies into its cache, and
 * at a flush out of it) is counted on every side.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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
	bench_must(exo_xn_format(env, path, &EXO_OPTS(exo_xn_format, .flags = EXO_XN_FORMAT_FORCE)), "format");
	bench_must(exo_xn_attach(env, path, 0, &said), "attach");
	bench_must(exo_env_close(env), "close");
}

static void make_devices(int nr)
{
	/* Another group may have loaded it in another way. */
	x3_system("modprobe -r null_blk 2>/dev/null; modprobe null_blk nr_devices=%d gb=1 bs=4096 "
		  "memory_backed=1 cache_size=%d queue_mode=2 irqmode=0 submit_queues=1 no_sched=1",
		  nr, CACHE_MIB);
	x3_system("grep -q 'write back' /sys/block/%s/queue/write_cache && "
		  "grep -q 1 /sys/block/%s/queue/fua", x3_places[0].device, x3_places[0].device);
}

static void set_up(void)
{
	make_devices(X3_PLACES);
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

static void detach(void)
{
	struct exo_env *env;
	struct exo_xn *xn;

	bench_must(exo_env_open(&env, NULL), "environment");
	bench_must(exo_xn_open(env, NULL, &xn), "open");
	bench_must(exo_xn_detach(xn, EXO_XN_DETACH_FORCE), "detach");
	exo_xn_close(xn);
	bench_must(exo_env_close(env), "close");
}

static void measure_exo(double figure[2])
{
	make_disk(&x3_places[X3_EXO]);
	bench_must(exo_sqlite_vfs_register(NULL), "vfs exo");
	x3b_exo(figure);
	detach();
}

/* In a process of its own: the environment of the VFS lives as long, and keeps the module. */
static void in_child(double figure[2])
{
	const ssize_t size = 2 * sizeof(*figure);
	int ends[2], status;
	pid_t pid;

	fflush(stdout);
	bench_must(pipe(ends) ? -errno : 0, "pipe");
	pid = fork();
	if (!pid) {
		measure_exo(figure);
		fflush(stdout);
		_exit(write(ends[1], figure, size) != size);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status || read(ends[0], figure, size) != size)
		bench_fail("the transactions were not measured");
	close(ends[0]);
	close(ends[1]);
}

void x3_unchecked(const char *module)
{
	static const char *const journal[2] = { "wal", "delete" };
	double checked[2], unchecked[2];
	char id[20], what[80];
	int i;

	make_devices(1);
	bench_module_load();
	in_child(checked);
	bench_module_unload();
	bench_insmod(module);
	in_child(unchecked);
	bench_module_unload();
	x3_system("modprobe -r null_blk");
	for (i = 0; i < 2; i++) {
		snprintf(id, sizeof(id), "X2.x3.%s", journal[i]);
		snprintf(what, sizeof(what), "a durable transaction of one row (X3b), %s mode", journal[i]);
		bench_row(id, what, checked[i], unchecked[i], "exo without any check",
			  "bar: at most 1.05 times as dear");
	}
}

void x3_run(void)
{
	set_up();
	bench_must(exo_sqlite_vfs_register(NULL), "vfs exo");
	x3b_run();
	x3a_run();
	clean_up();
}
