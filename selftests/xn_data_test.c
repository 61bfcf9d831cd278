// SPDX-License-Identifier: GPL-2.0
/*
 * The data path on each kind of device, with logical blocks of 512 and of 4096 bytes: what is written through a
 * binding is on the device where it belongs, comes back, and is there after the disk was attached anew. And fio
 * with exo-fio, which verifies what it wrote.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <linux/fs.h>

#include "uring.h"
#include "xn_lib.h"

#define BLOCKS 96U
#define DEPTH 32U
#define RUN 16U	/* blocks of a large request */

struct disk {
	char path[32];
	int fd;
	uint32_t number;
	uint32_t root;
	uint64_t at;
	uint64_t block;
	uint32_t binding;
	uint32_t frames[BLOCKS];
	struct xt_unit unit;
};

/* Only what our guest has for that is overwritten. */
static void need_guest(void)
{
	t_need_root();
	if (access("/etc/vm/cmd", F_OK))
		SKIP("overwrites disks: only in the VM of tools/vm");
}

static void attach(struct disk *d)
{
	struct exo_xn_attach out;

	ASSERT_EQ(xt_attach(d->fd, d->path, &out), 0);
	d->number = out.out_disk;
}

static void bind_all(struct disk *d)
{
	ASSERT_EQ(xt_bind(d->fd, d->number, d->root, d->at, d->block, BLOCKS, RW, &d->binding), 0);
}

static void make(struct disk *d, uint32_t logical)
{
	struct exo_xn_disk info = { .size = sizeof(info) };

	t_need_feature(d->fd, EXO_FEATURE_XN, "raw disks");
	ASSERT_EQ(xt_format(d->fd, d->path, EXO_XN_FORMAT_FORCE), 0);
	attach(d);
	info.disk = d->number;
	ASSERT_EQ(t_ioctl(d->fd, EXO_XN_DISK, &info), 0);
	ASSERT_EQ(info.out_logical, logical);
	d->unit = (struct xt_unit){ .blocks = 1 };
	d->block = xt_data_root(d->fd, d->number, &d->unit, BLOCKS, &d->root, &d->at);
	bind_all(d);
	t_alloc_any(d->fd, d->frames, BLOCKS);
}

static void fill(struct disk *d, uint64_t value)
{
	t_fill_each(d->fd, d->frames, BLOCKS, value);
}

/* All blocks: large requests, one after the other. */
static void move(struct disk *d, uint32_t kind, uint32_t flags)
{
	uint32_t i;

	for (i = 0; i < BLOCKS; i += RUN)
		ASSERT_EQ(xt_io(d->fd, kind, d->binding, i, d->frames + i, RUN, flags), 0);
}

static void expect(struct disk *d, uint32_t from, uint32_t count, uint64_t value, const char *when)
{
	uint32_t i;

	for (i = from; i < from + count; i++)
		ASSERT_EQ_FOR(t_peek(d->fd, d->frames[i]), value ? value + i : 0, "%s: block %u of %s", when, i,
			      d->path);
}

/* Single blocks, DEPTH at a time, through io_uring; a ring that polls, if that is wanted. */
static void move_uring(struct disk *d, uint32_t kind, uint32_t flags, uint32_t ring_flags)
{
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	uint32_t i, k;

	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, ring_flags), 0);
	for (i = 0; i < BLOCKS; i += DEPTH) {
		for (k = 0; k < DEPTH; k++) {
			ios[k] = (struct exo_xn_io){ .size = sizeof(ios[k]), .flags = flags, .kind = kind,
						     .binding = d->binding, .offset = i + k, .count = 1,
						     .frames = d->frames[i + k] };
			t_prep_cmd(&ring, d->fd, EXO_XN_IO, &ios[k]);
		}
		ASSERT_EQ(io_uring_submit(&ring), DEPTH);
		for (k = 0; k < DEPTH; k++)
			ASSERT_EQ(t_reap(&ring), 0);
	}
	io_uring_queue_exit(&ring);
}

/* What is on the device itself; nobody has it. */
static void expect_on_device(struct disk *d, uint64_t value)
{
	int dev = open(d->path, O_RDONLY | O_CLOEXEC);
	uint64_t words[EXO_XN_BLOCK / 8];
	uint32_t i;

	ASSERT_GE(dev, 0);
	for (i = 0; i < BLOCKS; i++) {
		ASSERT_EQ(pread(dev, words, sizeof(words), (off_t)((d->block + i) * EXO_XN_BLOCK)),
			  sizeof(words));
		ASSERT_EQ_FOR(words[0], value + i, "block %u of %s", i, d->path);
	}
	close(dev);
}

static void detach(struct disk *d)
{
	ASSERT_EQ(xt_unbind(d->fd, d->binding), 0);
	ASSERT_EQ(xt_detach(d->fd, d->number, 0), 0);
}

static void whole_life(const char *path, uint32_t logical)
{
	struct exo_xn_disk info = { .size = sizeof(info) };
	struct disk d = { .fd = t_open() };
	int ret;

	snprintf(d.path, sizeof(d.path), "%s", path);
	make(&d, logical);
	/* Nothing was written yet. */
	fill(&d, 7000);
	move(&d, EXO_XN_IO_READ, 0);
	expect(&d, 0, BLOCKS, 0, "unwritten");
	fill(&d, 1000);
	move_uring(&d, EXO_XN_IO_WRITE, EXO_XN_IO_DURABLE, 0);
	fill(&d, 7000);
	move(&d, EXO_XN_IO_READ, 0);
	expect(&d, 0, BLOCKS, 1000, "written by ones");
	fill(&d, 2000);
	move(&d, EXO_XN_IO_WRITE, 0);
	fill(&d, 7000);
	move_uring(&d, EXO_XN_IO_READ, 0, 0);
	expect(&d, 0, BLOCKS, 2000, "read by ones");
	fill(&d, 3000);
	move_uring(&d, EXO_XN_IO_WRITE, EXO_XN_IO_DURABLE, IORING_SETUP_IOPOLL);
	fill(&d, 7000);
	move_uring(&d, EXO_XN_IO_READ, 0, IORING_SETUP_IOPOLL);
	expect(&d, 0, BLOCKS, 3000, "polled");
	fill(&d, 2000);
	move(&d, EXO_XN_IO_WRITE, 0);
	ASSERT_EQ(xt_io(d.fd, EXO_XN_IO_FLUSH, d.binding, 0, NULL, 0, 0), 0);
	detach(&d);
	expect_on_device(&d, 2000);

	attach(&d);
	ASSERT_EQ(xt_find(d.fd, d.number, "root", &(struct exo_xn_root){ 0 }), 0);
	ASSERT_EQ(xt_read(d.fd, d.number, d.root, d.at, d.at, &d.unit, sizeof(d.unit)), sizeof(d.unit));
	bind_all(&d);
	fill(&d, 7000);
	move(&d, EXO_XN_IO_READ, 0);
	expect(&d, 0, BLOCKS, 2000, "attached anew");
	ASSERT_EQ(xt_io(d.fd, EXO_XN_IO_ZERO, d.binding, 8, NULL, 16, EXO_XN_IO_DURABLE), 0);
	move(&d, EXO_XN_IO_READ, 0);
	expect(&d, 0, 8, 2000, "not zeroed");
	expect(&d, 8, 16, 0, "zeroed");
	expect(&d, 24, BLOCKS - 24, 2000, "not zeroed");
	info.disk = d.number;
	ASSERT_EQ(t_ioctl(d.fd, EXO_XN_DISK, &info), 0);
	ret = xt_io(d.fd, EXO_XN_IO_DISCARD, d.binding, 32, NULL, 8, 0);
	ASSERT_EQ(ret, info.out_flags & EXO_XN_HAS_DISCARD ? 0 : -EOPNOTSUPP);
	detach(&d);
	close(d.fd);
}

static void loop_device(uint32_t logical)
{
	char path[32];

	need_guest();
	xt_device_of("data", XT_BLOCKS, logical, path);
	whole_life(path, logical);
}

/* The disk of this kind with such logical blocks. */
static void real_device(const char *kind, const char *const *paths, uint32_t logical)
{
	int i, fd, bytes = 0;

	need_guest();
	for (i = 0; paths[i]; i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, BLKSSZGET, &bytes))
			bytes = 0;
		if (fd >= 0)
			close(fd);
		if ((uint32_t)bytes != logical)
			continue;
		whole_life(paths[i], logical);
		return;
	}
	FAIL("no %s disk with logical blocks of %u bytes in this guest", kind, logical);
}

static const char *const virtio[] = { "/dev/vda", "/dev/vdb", "/dev/vdc", NULL };
static const char *const nvme[] = { "/dev/nvme0n1", "/dev/nvme1n1", NULL };

/* Each catches: data in the wrong place, lost, torn between the requests, or only in memory. */
TEST(loop__512) { loop_device(512); }
TEST(loop__4096) { loop_device(4096); }
TEST(virtio__512) { real_device("virtio", virtio, 512); }
TEST(virtio__4096) { real_device("virtio", virtio, 4096); }

static void need_nvme(void)
{
	if (access("/sys/bus/pci/drivers/nvme", F_OK))
		SKIP("this kernel has no driver of NVMe");
}

TEST(nvme__512)
{
	need_nvme();
	real_device("NVMe", nvme, 512);
}

TEST(nvme__4096)
{
	need_nvme();
	real_device("NVMe", nvme, 4096);
}

/* fio -------------------------------------------------------------------------------------------- */

/* A minute for all of it on 6.1, a quarter elsewhere; EXO_FIO_SECONDS replaces both. */
static unsigned int fio_seconds(void)
{
	const char *text = getenv("EXO_FIO_SECONDS");

	return text ? (unsigned int)atoi(text) : test_core_rounds(60, 4);
}

static void fio(const char *disk, const char *const *more)
{
	char seconds[32], which[48];
	const char *argv[40] = { "fio", "--name=exo", "--ioengine=external:/bin/exo-fio.so", "--bs=4k", "--thread",
				 "--verify=crc32c", "--verify_fatal=1", "--verify_dump=0", "--norandommap=0",
				 "--time_based", "--minimal", seconds, which };
	int status, i, n = 13;
	pid_t pid;

	snprintf(seconds, sizeof(seconds), "--runtime=%u", fio_seconds() / 3);
	snprintf(which, sizeof(which), "--exo_disk=%s", disk);
	for (i = 0; more[i]; i++)
		argv[n++] = more[i];
	pid = test_fork();
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		execvp("fio", (char **)argv);
		_exit(127);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(WEXITSTATUS(status), 0);
}

/* Catches: a block that comes back with another's content, an old one, or none. */
TEST_LONG(fio__verify, 7200)
{
	static const char *const deep[] = { "--rw=randwrite", "--iodepth=32", "--iodepth_batch=8", "--size=8m",
					    "--exo_root=deep", "--do_verify=1", NULL };
	static const char *const trim[] = { "--rw=randtrimwrite", "--iodepth=8", "--size=8m", "--exo_root=trim",
					    "--exo_ioctl", "--do_verify=0", NULL };
	struct exo_xn_attach attach;
	int fd = t_open();
	char path[32];

	need_guest();
	t_need_feature(fd, EXO_FEATURE_XN, "raw disks");
	xt_device("fio", XT_BLOCKS, path);
	ASSERT_EQ(xt_format(fd, path, 0), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	fio(path, deep);
	fio(path, trim);
	ASSERT_EQ(xt_detach(fd, attach.out_disk, EXO_XN_DETACH_FORCE), 0);
}

/* What stands in the columns of the processors, of all interrupts of an NVMe's I/O queues (not of its admin queue, q0). */
static uint64_t nvme_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[1024], *at, *end;
	uint64_t n, sum = 0;

	ASSERT_TRUE(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		if (!strstr(line, " nvme") || strstr(line, "q0\n"))
			continue;
		at = strchr(line, ':');
		for (at = at ? at + 1 : line; n = strtoull(at, &end, 10), end != at && *end == ' '; at = end)
			sum += n;
	}
	fclose(file);
	return sum;
}

/* Reads and writes of the first NVMe. */
static uint64_t nvme_done(void)
{
	unsigned long long reads = 0, writes = 0;
	FILE *file = fopen("/sys/block/nvme0n1/stat", "re");

	if (!file || fscanf(file, "%llu %*u %*u %*u %llu", &reads, &writes) != 2)
		FAIL("no statistics of %s", nvme[0]);
	fclose(file);
	return reads + writes;
}

/* Catches: exo_hipri that doesn't poll; a block that comes back wrong when its completion was polled for. */
TEST_LONG(fio__polled, 7200)
{
	static const char *const polled[] = { "--rw=randwrite", "--iodepth=4", "--size=8m", "--exo_root=polled",
					      "--exo_hipri", "--do_verify=1", NULL };
	struct exo_xn_attach attach;
	uint64_t interrupts, done;
	int fd = t_open();

	need_guest();
	need_nvme();
	t_need_feature(fd, EXO_FEATURE_XN, "raw disks");
	ASSERT_EQ(xt_format(fd, nvme[0], EXO_XN_FORMAT_FORCE), 0);
	ASSERT_EQ(xt_attach(fd, nvme[0], &attach), 0);
	interrupts = nvme_interrupts();
	done = nvme_done();
	fio(nvme[0], polled);
	interrupts = nvme_interrupts() - interrupts;
	done = nvme_done() - done;
	test_note("%llu requests, %llu interrupts", (unsigned long long)done, (unsigned long long)interrupts);
	ASSERT_LT(8 * interrupts, done);
	ASSERT_EQ(xt_detach(fd, attach.out_disk, EXO_XN_DETACH_FORCE), 0);
}
