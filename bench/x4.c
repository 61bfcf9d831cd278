// SPDX-License-Identifier: GPL-2.0
/*
 * X4: the key-value store of samples/kv against LMDB and RocksDB on ext4, under YCSB. See x4.h. Each has the
 * same device, made anew, and the same limit of memory: exo's frames and its process together, the others by memory.max, which
 * counts the page cache.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "x4.h"

#define DEVICE "/dev/nullb0"
#define DIRECTORY "/mnt/x4"
#define CGROUP "/sys/fs/cgroup/x4"

/* Instructions in all, of the load and of each workload. */
struct figures {
	double load;
	double workload[YCSB_WORKLOADS];
};

static void command(const char *line)
{
	fflush(stdout);
	if (system(line))
		bench_fail("%s: failed", line);
}

static void make_device(void)
{
	command("modprobe -r null_blk; modprobe null_blk memory_backed=1 irqmode=0 queue_mode=2 "
		"submit_queues=1 no_sched=1 nr_devices=1 gb=1 bs=4096");
}

static void take_line(struct figures *figures, const char *line)
{
	unsigned long long instructions, idle;
	char name;
	int i;

	if (sscanf(line, X4_LINE, &name, &instructions, &idle) != 3)
		return;
	if (name == 'L')
		figures->load = (double)instructions;
	for (i = 0; i < YCSB_WORKLOADS; i++)
		if (ycsb_workload[i].name == name)
			figures->workload[i] = (double)instructions / X4_OPS;
}

/* In a cgroup of its own. */
static struct figures run_store(const char *name, const char *where, uint32_t limit_mib)
{
	struct figures figures = { 0 };
	char line[256], text[32];
	FILE *out;

	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		bench_fail("mkdir %s: %s", CGROUP, strerror(errno));
	snprintf(text, sizeof(text), "%uM", limit_mib);
	bench_write_file(CGROUP "/memory.max", text);
	snprintf(line, sizeof(line), "x4store %s %s %s/cgroup.procs", name, where, CGROUP);
	fflush(stdout);
	out = popen(line, "r");
	if (!out)
		bench_fail("x4store: %s", strerror(errno));
	while (fgets(line, sizeof(line), out)) {
		printf("# %s: %s", name, line);
		take_line(&figures, line);
	}
	if (pclose(out))
		bench_fail("x4store %s failed", name);
	rmdir(CGROUP);
	return figures;
}

static struct figures run_exo(void)
{
	struct exo_env *env = bench_env(X4_FRAMES + 512);
	struct exo_xn_disk disk;
	struct figures figures;
	struct exo_xn *xn;

	bench_must(exo_xn_format(env, DEVICE, NULL), "format");
	bench_must(exo_xn_attach(env, DEVICE, 0, NULL), "attach");
	figures = run_store("exo", "-", X4_REST_MIB);
	bench_must(exo_xn_open(env, NULL, &xn), "disk");
	bench_must(exo_xn_disk(xn, &disk), "disk");
	printf("# exo: %llu blocks\n", (unsigned long long)disk.out_my_blocks);
	bench_must(exo_xn_detach(xn, 0), "detach");
	exo_xn_close(xn);
	exo_env_close(env);
	return figures;
}

static struct figures run_peer(const char *name)
{
	struct figures figures;

	make_device();
	command("mkfs.ext4 -q " DEVICE " && mkdir -p " DIRECTORY);
	if (mount(DEVICE, DIRECTORY, "ext4", 0, NULL))
		bench_fail("mount: %s", strerror(errno));
	figures = run_store(name, DIRECTORY, X4_LIMIT_MIB);
	command("df -k " DIRECTORY " | sed 's/^/# /'");
	if (umount(DIRECTORY))
		bench_fail("umount: %s", strerror(errno));
	return figures;
}

static void rows(const struct figures *ours, const struct figures *peer, const char *id,
		 const char *peer_name)
{
	char row[24], measure[100];
	int i;

	for (i = 0; i < YCSB_WORKLOADS; i++) {
		const struct ycsb_workload *workload = &ycsb_workload[i];

		snprintf(row, sizeof(row), "X4.%c.%s", workload->name, id);
		snprintf(measure, sizeof(measure), "YCSB %c (%u %% reads, %u %% updates, %u %% "
			 "read-modify-writes), an operation", workload->name,
			 100 - workload->updates - workload->modifies, workload->updates,
			 workload->modifies);
		bench_row(row, measure, ours->workload[i], peer->workload[i], peer_name,
			  "%u records of %u bytes, memory %u MiB for each; %u updates are made "
			  "durable together", X4_RECORDS, YCSB_VALUE, X4_LIMIT_MIB, X4_GROUP);
	}
	snprintf(row, sizeof(row), "X4.load.%s", id);
	bench_row(row, "the load, in the order of YCSB, a record", ours->load / X4_RECORDS,
		  peer->load / X4_RECORDS, peer_name, "%u records are made durable together",
		  X4_LOAD_GROUP);
}

void x4_run(void)
{
	struct figures ours, lmdb, rocksdb;

	make_device();
	ours = run_exo();
	lmdb = run_peer("lmdb");
	rows(&ours, &lmdb, "lmdb", "LMDB on ext4, no read-ahead");
	rocksdb = run_peer("rocksdb");
	rows(&ours, &rocksdb, "rocksdb", "RocksDB on ext4, Bloom filters, no compression");
	command("modprobe -r null_blk");
}
