// SPDX-License-Identifier: GPL-2.0
/*
 * X1: 4 KiB reads and writes at random places, through io_uring on both sides: exo's by binding and frame,
 * the peer's O_DIRECT with registered file and buffers. The same loop, the same blocks of the same device.
 * Then the same by fio, with exo-fio and with its own io_uring engine: what counts is how long fio's job
 * says that it ran, without the start of the process and the pauses of fio's main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <exo/uring.h>

#include "x3.h"
#include "xn.h"

#define BLOCKS 8192U
#define DEPTH 32U
#define OPS 4096U
#define SEED 0x10b10b10bULL
#define ENGINE "/bin/exo-fio.so"
#define UNCHECKED "/root/graft/unchecked.ko"

/* One side: a ring, memory for DEPTH blocks, and how one I/O is said. */
struct side {
	struct io_uring ring;
	void (*prep)(struct side *side, struct io_uring_sqe *sqe, uint32_t slot, uint32_t block, int write);
	struct bench_rng rng;
	uint32_t depth;
	int write;
	/* exo's */
	struct exo_env *env;
	uint32_t binding;
	uint32_t frames[DEPTH];
	struct exo_xn_io io[DEPTH];
	/* the peer's */
	uint64_t first;
	char *memory;
	uint32_t lba;	/* bytes of a logical block; only for NVMe commands */
};

static void prep_exo(struct side *side, struct io_uring_sqe *sqe, uint32_t slot, uint32_t block, int write)
{
	struct exo_xn_io *io = &side->io[slot];

	io->size = sizeof(*io);
	io->kind = write ? EXO_XN_IO_WRITE : EXO_XN_IO_READ;
	io->binding = side->binding;
	io->offset = block;
	io->count = 1;
	io->frames = side->frames[slot];
	exo_prep_cmd(sqe, side->env, EXO_XN_IO, io);
	sqe->fd = 0;
	sqe->flags = IOSQE_FIXED_FILE;
}

static void prep_peer(struct side *side, struct io_uring_sqe *sqe, uint32_t slot, uint32_t block, int write)
{
	void *memory = side->memory + slot * PAGE;
	uint64_t at = (side->first + block) * PAGE;

	if (write)
		io_uring_prep_write_fixed(sqe, 0, memory, PAGE, at, (int)slot);
	else
		io_uring_prep_read_fixed(sqe, 0, memory, PAGE, at, (int)slot);
	sqe->flags = IOSQE_FIXED_FILE;
}

static void ring_open(struct side *side, int fd, uint32_t flags)
{
	struct io_uring_params params = {
		.flags = flags | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
	};

	bench_must(io_uring_queue_init_params(DEPTH, &side->ring, &params), "io_uring");
	bench_must(io_uring_register_files(&side->ring, &fd, 1), "registered file");
}

static void round_of(struct side *side, int expected)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	uint32_t i;

	for (i = 0; i < side->depth; i++)
		side->prep(side, io_uring_get_sqe(&side->ring), i,
			   (uint32_t)((bench_random(&side->rng) >> 32) * BLOCKS >> 32), side->write);
	bench_assert(io_uring_submit_and_wait(&side->ring, side->depth) == (int)side->depth);
	io_uring_for_each_cqe(&side->ring, head, cqe) {
		bench_assert(cqe->res == expected);
		n++;
	}
	bench_assert(n == side->depth);
	io_uring_cq_advance(&side->ring, n);
}

static double run(void *ctx)
{
	struct side *side = ctx;
	int expected = side->env || side->lba ? 0 : (int)PAGE;
	uint64_t start;
	uint32_t i;

	side->rng.state = SEED;
	start = bench_now();
	for (i = 0; i < OPS; i += side->depth)
		round_of(side, expected);
	return bench_since(start) / OPS;
}

struct figures {
	double figure[2][2];	/* read, write; depth 1, DEPTH */
};

static void measure(struct side *side, struct figures *out)
{
	int write, deep;

	for (write = 1; write >= 0; write--) {
		for (deep = 0; deep < 2; deep++) {
			side->write = write;
			side->depth = deep ? DEPTH : 1;
			out->figure[write][deep] = bench_measure(side->env ? "X1 exo" : "X1 peer", run, side);
		}
	}
}

/* Real devices ---------------------------------------------------------------------------------- */

/* 125 blocks are the unit in which an NVMe disk says its bytes. */
#define DEVICE_OPS (125 * DEPTH)
#define NVME_UNIT 512000U

struct counted {
	double requests[2], bytes[2];	/* of DEVICE_OPS reads, writes */
};

struct smart {
	uint8_t rest[32];
	struct {
		uint64_t low, high;
	} read_units, written_units, reads, writes;
	uint8_t more[512 - 96];
} __attribute__((packed));

/* What an NVMe disk says of itself: the block layer doesn't count commands of one's own. */
static uint64_t nvme_stat(const char *device, enum xn_stat what)
{
	struct smart smart = { .rest = { 0 } };
	struct nvme_admin_cmd cmd = { .opcode = 0x02, .nsid = UINT32_MAX, .addr = (uintptr_t)&smart,
				      .data_len = sizeof(smart), .cdw10 = (sizeof(smart) / 4 - 1) << 16 | 0x02 };
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd))
		bench_fail("%s: no SMART log: %s", device, strerror(errno));
	close(fd);
	switch (what) {
	case XN_READS:
		return smart.reads.low;
	case XN_WRITES:
		return smart.writes.low;
	case XN_READ_BYTES:
		return smart.read_units.low * NVME_UNIT;
	default:
		return smart.written_units.low * NVME_UNIT;
	}
}

static uint64_t device_stat(const char *device, enum xn_stat what)
{
	return strncmp(device, "/dev/nvme", 9) ? xn_stat(device, what) : nvme_stat(device, what);
}

/* Depth DEPTH: the requests and bytes that the device says it had. */
static void count(struct side *side, const char *device, struct counted *out)
{
	int expected = side->env || side->lba ? 0 : (int)PAGE, write;
	uint64_t requests, bytes;
	uint32_t i;

	side->depth = DEPTH;
	for (write = 0; write < 2; write++) {
		side->write = write;
		side->rng.state = SEED;
		requests = device_stat(device, write ? XN_WRITES : XN_READS);
		bytes = device_stat(device, write ? XN_WRITE_BYTES : XN_READ_BYTES);
		for (i = 0; i < DEVICE_OPS; i += DEPTH)
			round_of(side, expected);
		out->requests[write] = (double)(device_stat(device, write ? XN_WRITES : XN_READS) - requests);
		out->bytes[write] = (double)(device_stat(device, write ? XN_WRITE_BYTES : XN_READ_BYTES) - bytes);
	}
}

static void fill(struct xn *xn, struct side *side)
{
	uint32_t i;

	for (i = 0; i < BLOCKS; i += DEPTH)
		bench_must(exo_xn_io_write(xn->disk, side->binding, i, side->frames, DEPTH, 0), "write");
	bench_must(exo_xn_io_flush(xn->disk, side->binding), "flush");
}

static uint64_t measure_exo(const char *device, uint32_t flags, struct figures *out, struct counted *counted)
{
	struct side *side = calloc(1, sizeof(*side));
	struct xn xn;

	xn_open(&xn, device, DEPTH);
	side->first = xn_grow(&xn, BLOCKS);
	side->env = xn.env;
	side->prep = prep_exo;
	bench_must(exo_xn_bind(xn.disk, xn.root, xn.at, side->first, BLOCKS,
			       EXO_RIGHT_READ | EXO_RIGHT_WRITE, &side->binding), "bind");
	bench_must(exo_mem_alloc_any(xn.env, side->frames, DEPTH), "frames");
	fill(&xn, side);
	ring_open(side, exo_env_fd(xn.env), flags);
	if (out)
		measure(side, out);
	if (counted)
		count(side, device, counted);
	io_uring_queue_exit(&side->ring);
	xn_close(&xn);
	return side->first;
}

static void measure_peer(const char *device, uint64_t first, uint32_t flags, struct figures *out,
			 struct counted *counted)
{
	struct side *side = calloc(1, sizeof(*side));
	struct iovec vec[DEPTH];
	uint32_t i;
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		bench_fail("%s: %s", device, strerror(errno));
	side->first = first;
	side->prep = prep_peer;
	side->memory = bench_anon(DEPTH * PAGE);
	memset(side->memory, 1, DEPTH * PAGE);
	for (i = 0; i < DEPTH; i++)
		vec[i] = (struct iovec){ side->memory + i * PAGE, PAGE };
	ring_open(side, fd, flags);
	bench_must(io_uring_register_buffers(&side->ring, vec, DEPTH), "registered buffers");
	if (out)
		measure(side, out);
	if (counted)
		count(side, device, counted);
	io_uring_queue_exit(&side->ring);
	munmap(side->memory, DEPTH * PAGE);
	close(fd);
}

static void report(const char *prefix, const struct figures *ours, const struct figures *peer,
		   const char *peer_name, const char *note)
{
	static const char *const kind[2] = { "read", "write" };
	char id[40], what[100];
	int write, deep;

	for (write = 0; write < 2; write++) {
		for (deep = 0; deep < 2; deep++) {
			snprintf(id, sizeof(id), "%s.%s.qd%u", prefix, kind[write], deep ? DEPTH : 1);
			snprintf(what, sizeof(what), "%s of 4 KiB at a random place, depth %u; per I/O",
				 kind[write], deep ? DEPTH : 1);
			bench_row(id, what, ours->figure[write][deep], peer->figure[write][deep], peer_name,
				  "%s", note);
		}
	}
}

static void count_rows(const char *name, const struct counted *ours, const struct counted *peer,
		       const char *peer_name)
{
	static const char *const kind[2] = { "reads", "writes" };
	char id[40], what[100];
	int write;

	for (write = 0; write < 2; write++) {
		snprintf(id, sizeof(id), "X1d.%s.%s", name, kind[write]);
		snprintf(what, sizeof(what), "%u %s of 4 KiB at random places, depth %u, on a%s disk", DEVICE_OPS,
			 kind[write], DEPTH, strncmp(name, "nvme", 4) ? " virtio" : "n NVMe");
		bench_unit("requests");
		bench_row(id, what, ours->requests[write], peer->requests[write], peer_name,
			  "as the device counts them");
		snprintf(id, sizeof(id), "X1d.%s.%s.bytes", name, kind[write]);
		bench_unit("bytes");
		bench_row(id, what, ours->bytes[write], peer->bytes[write], peer_name,
			  "as the device counts them");
	}
	bench_unit(bench_is_wall() ? "ns" : "instructions");
}

/* NVMe's own commands through its character device. */
static void prep_nvme(struct side *side, struct io_uring_sqe *sqe, uint32_t slot, uint32_t block, int write)
{
	struct nvme_uring_cmd *cmd = (struct nvme_uring_cmd *)((char *)sqe + offsetof(struct io_uring_sqe, addr3));
	uint64_t lba = (side->first + block) * (PAGE / side->lba);

	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->cmd_op = NVME_URING_CMD_IO;
	cmd->opcode = write ? 1 : 2;
	cmd->nsid = 1;
	cmd->addr = (uintptr_t)(side->memory + slot * PAGE);
	cmd->data_len = PAGE;
	cmd->cdw10 = (uint32_t)lba;
	cmd->cdw11 = (uint32_t)(lba >> 32);
	cmd->cdw12 = (uint32_t)(PAGE / side->lba - 1);
}

static void measure_raw(const char *raw, const char *device, uint64_t first, struct counted *counted)
{
	struct side *side = calloc(1, sizeof(*side));
	int fd = open(raw, O_RDWR | O_CLOEXEC), disk = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || disk < 0 || ioctl(disk, BLKSSZGET, &side->lba))
		bench_fail("%s: %s", raw, strerror(errno));
	close(disk);
	side->first = first;
	side->prep = prep_nvme;
	side->memory = bench_anon(DEPTH * PAGE);
	memset(side->memory, 1, DEPTH * PAGE);
	ring_open(side, fd, IORING_SETUP_SQE128 | IORING_SETUP_CQE32);
	count(side, device, counted);
	io_uring_queue_exit(&side->ring);
	munmap(side->memory, DEPTH * PAGE);
	close(fd);
}

static void devices(void)
{
	static const struct { const char *name, *path, *raw; } all[] = {
		{ "virtio", "/dev/vda", NULL },
		{ "nvme", "/dev/nvme0n1", "/dev/ng0n1" },
	};
	struct counted ours, peer;
	uint64_t first;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (access(all[i].path, F_OK)) {
			printf("no %s disk in this guest\n", all[i].name);
			continue;
		}
		first = measure_exo(all[i].path, 0, NULL, &ours);
		measure_peer(all[i].path, first, 0, NULL, &peer);
		count_rows(all[i].name, &ours, &peer, "io_uring, O_DIRECT, registered buffers and file");
		if (!all[i].raw)
			continue;
		measure_raw(all[i].raw, all[i].path, first, &peer);
		count_rows("nvme.passthrough", &ours, &peer, "NVMe passthrough (uring_cmd)");
	}
}

/* fio ------------------------------------------------------------------------------------------ */

#define FIO_OPS 40960U
#define FIO_OUTPUT "/tmp/x1.fio"

struct fio {
	const char *own[8];	/* options that the sides don't share */
	const char *rw;
	uint32_t depth;
};

static void fio_exec(const struct fio *fio, uint32_t ops)
{
	char depth[32], batch[40], complete[48], number[32];
	const char *argv[32] = { "fio", "--name=x1", "--output=" FIO_OUTPUT, "--output-format=json",
				 "--clocksource=clock_gettime", "--io_size=160m", "--bs=4k", "--size=32m", "--thread",
				 "--norandommap", "--random_generator=tausworthe64", "--gtod_reduce=1",
				 "--disable_clat=1", "--direct=1", fio->rw, depth, batch, complete, number };
	int i, n = 19, status;
	pid_t pid;

	snprintf(depth, sizeof(depth), "--iodepth=%u", fio->depth);
	snprintf(batch, sizeof(batch), "--iodepth_batch_submit=%u", fio->depth);
	snprintf(complete, sizeof(complete), "--iodepth_batch_complete_min=%u", fio->depth);
	snprintf(number, sizeof(number), "--number_ios=%u", ops);
	for (i = 0; fio->own[i]; i++)
		argv[n++] = fio->own[i];
	if (posix_spawnp(&pid, "fio", NULL, NULL, (char **)argv, environ) || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status) || WEXITSTATUS(status))
		bench_fail("fio failed: %s", system("cat " FIO_OUTPUT " >&2") ? "it isn't in the guest (bench/run puts it there)" : "see above");
}

/* Of the only job: how many I/Os of @kind ("read", "write") it did in a second. */
static double fio_rate(const char *kind)
{
	char text[65536];
	FILE *file = fopen(FIO_OUTPUT, "re");
	const cJSON *job;
	size_t length;
	double rate;
	cJSON *root;

	if (!file)
		bench_fail("fio wrote nothing");
	length = fread(text, 1, sizeof(text), file);
	fclose(file);
	root = cJSON_ParseWithLength(text, length);
	job = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "jobs"), 0);
	job = cJSON_GetObjectItem(job, kind);
	bench_assert(cJSON_GetNumberValue(cJSON_GetObjectItem(job, "total_ios")) == FIO_OPS);
	rate = cJSON_GetNumberValue(cJSON_GetObjectItem(job, "iops"));
	cJSON_Delete(root);
	return rate;
}

static double fio_run(void *ctx)
{
	const struct fio *fio = ctx;

	fio_exec(fio, FIO_OPS);
	return 1e9 / fio_rate(strstr(fio->rw, "write") ? "write" : "read");
}

static void fio_measure(struct fio *fio, const char *what, struct figures *out)
{
	int write, deep;

	for (write = 1; write >= 0; write--) {
		for (deep = 0; deep < 2; deep++) {
			fio->rw = write ? "--rw=randwrite" : "--rw=randread";
			fio->depth = deep ? DEPTH : 1;
			out->figure[write][deep] = bench_measure(what, fio_run, fio);
		}
	}
}

static void fio_both(const char *device)
{
	struct fio exo = { .own = { "--ioengine=external:" ENGINE, "--exo_root=x1", "--exo_durable" } };
	struct fio peer = { .own = { "--ioengine=io_uring", "--fixedbufs", "--registerfiles", "--filename", device,
				     "--offset=64m" } };
	struct figures ours, theirs;
	struct xn xn;

	xn_open(&xn, device, 512);
	exo.rw = "--rw=write";
	exo.depth = 1;
	fio_exec(&exo, BLOCKS);
	fio_measure(&exo, "X1 exo-fio", &ours);
	xn_close(&xn);
	peer.rw = "--rw=write";
	peer.depth = 1;
	fio_exec(&peer, BLOCKS);
	fio_measure(&peer, "X1 fio", &theirs);
	report("X1.fio", &ours, &theirs, "fio's io_uring, O_DIRECT, registered buffers and files",
	       "fio's own work is in both");
}

void x1_run(void)
{
	const char *device = xn_nullb();
	struct figures ours, peer;
	uint64_t first = measure_exo(device, 0, &ours, NULL);

	measure_peer(device, first, 0, &peer, NULL);
	report("X1.loop", &ours, &peer, "io_uring, O_DIRECT, registered buffers and file",
	       "the same loop on both sides, without fio; null_blk");
	first = measure_exo(device, IORING_SETUP_IOPOLL, &ours, NULL);
	measure_peer(device, first, IORING_SETUP_IOPOLL, &peer, NULL);
	report("X1p", &ours, &peer, "the same, polled", "both poll; null_blk has a queue for that");
	fio_both(device);
	devices();
}

/* X2: the same, and the transactions of X3b, with a module that checks nothing. */
void x2_run(void)
{
	const char *device = xn_nullb();
	struct figures checked, unchecked;

	if (access(UNCHECKED, R_OK)) {
		printf("no %s: bench/run has it built\n", UNCHECKED);
		return;
	}
	bench_module_load();
	measure_exo(device, 0, &checked, NULL);
	bench_module_unload();
	bench_insmod(UNCHECKED);
	measure_exo(device, 0, &unchecked, NULL);
	bench_module_unload();
	report("X2", &checked, &unchecked, "exo without any check", "bar: at most 1.05 times as dear");
	x3_unchecked(UNCHECKED);
}
