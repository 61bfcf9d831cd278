// SPDX-License-Identifier: GPL-2.0
/* See xn.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "xn.h"

#define TEMPLATE "/root/graft/xn.bpf.o"

const char *xn_nullb(void)
{
	if (access("/dev/nullb0", F_OK) &&
	    system("modprobe null_blk memory_backed=1 irqmode=0 nr_devices=1 gb=1 bs=4096"))
		bench_fail("no null_blk in the guest (--add-module null_blk)");
	return "/dev/nullb0";
}

char *xn_loop(const char *file, uint64_t bytes)
{
	int fd = open(file, O_RDWR | O_CLOEXEC | (bytes ? O_CREAT | O_TRUNC : 0), 0600), control, nr, dev;
	struct loop_config config = { .fd = (uint32_t)fd, .block_size = 4096,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	char *path;

	if (fd < 0 || (bytes && ftruncate(fd, (off_t)bytes)))
		bench_fail("%s: %s", file, strerror(errno));
	if (access("/dev/loop-control", F_OK) && system("modprobe loop"))
		bench_fail("no loop devices in the guest (--add-module loop)");
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	nr = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (nr < 0 || asprintf(&path, "/dev/loop%d", nr) < 0)
		bench_fail("no loop device (--add-module loop): %s", strerror(errno));
	/* It stays open as long as this process: else it would be cleared before it is attached. */
	dev = open(path, O_RDWR | O_CLOEXEC);
	if (dev < 0 || ioctl(dev, LOOP_CONFIGURE, &config))
		bench_fail("%s: %s", path, strerror(errno));
	close(control);
	close(fd);
	return path;
}

void xn_open(struct xn *xn, const char *device, uint32_t frames)
{
	struct exo_xn_attach attach;
	char error[256] = "";
	int ret;

	memset(xn, 0, sizeof(*xn));
	xn->env = bench_env(frames);
	bench_must(exo_xn_format(xn->env, device, &EXO_OPTS(exo_xn_format, .flags = EXO_XN_FORMAT_FORCE)),
		   device);
	ret = exo_xn_attach(xn->env, device, 0, &attach);
	bench_must(ret, device);
	bench_must(exo_xn_open(xn->env, &EXO_OPTS(exo_xn_open, .disk = attach.out_disk), &xn->disk),
		   "open");
	ret = exo_xn_template_install(xn->disk, TEMPLATE,
				      &EXO_OPTS(exo_xn_template, .name = "bench", .error = error,
						.error_size = sizeof(error)));
	if (ret < 0)
		bench_fail("%s: %s %s", TEMPLATE, exo_strerror(ret), error);
	ret = exo_xn_root_create(xn->disk, "bench", (uint32_t)ret, &xn->unit, sizeof(xn->unit), NULL,
				 &xn->at);
	bench_must(ret, "root");
	xn->root = (uint32_t)ret;
}

void xn_close(struct xn *xn)
{
	bench_must(exo_xn_detach(xn->disk, EXO_XN_DETACH_FORCE), "detach");
	exo_xn_close(xn->disk);
	exo_env_close(xn->env);
}

uint64_t xn_grow(struct xn *xn, uint32_t count)
{
	struct exo_xn_change *change;
	uint64_t block;

	bench_must(exo_xn_find_free(xn->disk, 0, count, &block), "free blocks");
	xn->unit.extent[xn->unit.nr++] = (struct xn_extent){ block, count, EXO_XN_DATA };
	bench_must(exo_xn_change_begin(xn->disk, xn->root, &change), "change");
	exo_xn_change_write(change, xn->at, 0, &xn->unit, sizeof(xn->unit));
	exo_xn_change_alloc(change, xn->at, block, count, EXO_XN_DATA);
	bench_must(exo_xn_change_apply(change, EXO_XN_APPLY_COMMIT, NULL), "alloc");
	exo_xn_change_end(change);
	return block;
}

uint64_t xn_stat(const char *device, enum xn_stat what)
{
	/* Documentation/block/stat.rst: sectors have 512 bytes whatever the device's have. */
	unsigned long long v[17] = { 0 };
	char path[64];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", device + strlen("/dev/"));
	f = fopen(path, "r");
	if (!f)
		bench_fail("%s: %s", path, strerror(errno));
	for (i = 0; i < 17 && fscanf(f, "%llu", &v[i]) == 1; i++)
		;
	fclose(f);
	switch (what) {
	case XN_READS:
		return v[0];
	case XN_READ_BYTES:
		return v[2] * 512;
	case XN_WRITES:
		return v[4];
	case XN_WRITE_BYTES:
		return v[6] * 512;
	default:
		return v[15];
	}
}
