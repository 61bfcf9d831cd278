// SPDX-License-Identifier: GPL-2.0
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "xn_lib.h"

#define DIRECTORY "/tmp/xn"

/* The object file that clang made of xn_test.bpf.c. */
__asm__(".pushsection .rodata\n"
	"xt_object: .incbin \"" XT_OBJECT "\"\n"
	"xt_object_end:\n"
	".popsection\n");
extern const char xt_object[], xt_object_end[];

static int open_file(const char *name, int flags)
{
	char path[64];
	int fd;

	mkdir("/tmp", 0755);
	if (!mkdir(DIRECTORY, 0755))
		ASSERT_EQ(mount("xn", DIRECTORY, "tmpfs", 0, NULL), 0);
	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	if (flags & O_CREAT)
		unlink(path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	return fd;
}

/* It goes when the last user of it does. */
static void loop(int file, uint32_t logical, char path[32])
{
	struct loop_config config = { .fd = (unsigned int)file, .block_size = logical,
				      .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), dev, nr;

	if (control < 0)
		SKIP("no loop devices");
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	ASSERT_GE(nr, 0);
	snprintf(path, 32, "/dev/loop%d", nr);
	mknod(path, S_IFBLK | 0600, 7 << 8 | nr);
	dev = open(path, O_RDWR);
	ASSERT_GE(dev, 0);
	ASSERT_EQ(ioctl(dev, LOOP_CONFIGURE, &config), 0);
	close(control);
	close(file);
	/* dev stays open as long as this process: else it would be cleared before it is attached. */
}

void xt_device_of(const char *file, uint64_t blocks, uint32_t logical, char path[32])
{
	int fd = open_file(file, O_RDWR | O_CREAT);

	ASSERT_EQ(ftruncate(fd, (off_t)(blocks * EXO_XN_BLOCK)), 0);
	loop(fd, logical, path);
}

void xt_device(const char *file, uint64_t blocks, char path[32])
{
	xt_device_of(file, blocks, 512, path);
}

void xt_crash(const char *from, const char *to, char path[32])
{
	int in = open_file(from, O_RDONLY), out = open_file(to, O_RDWR | O_CREAT);
	struct stat st;
	off_t at = 0;

	ASSERT_EQ(fstat(in, &st), 0);
	ASSERT_EQ(ftruncate(out, st.st_size), 0);
	while (at < st.st_size)
		ASSERT_GT(sendfile(out, in, &at, (size_t)(st.st_size - at)), 0);
	close(in);
	loop(out, 512, path);
}

int xt_format(int fd, const char *path, uint32_t flags)
{
	struct exo_xn_format cmd = { .size = sizeof(cmd), .flags = flags, .path = (uintptr_t)path };

	return t_ioctl(fd, EXO_XN_FORMAT, &cmd);
}

int xt_attach(int fd, const char *path, struct exo_xn_attach *out)
{
	*out = (struct exo_xn_attach){ .size = sizeof(*out), .path = (uintptr_t)path };
	return t_ioctl(fd, EXO_XN_ATTACH, out);
}

int xt_detach(int fd, uint32_t disk, uint32_t flags)
{
	struct exo_xn_detach cmd = { .size = sizeof(cmd), .flags = flags, .disk = disk };

	return t_ioctl(fd, EXO_XN_DETACH, &cmd);
}

void *xt_map_file(const char *file, size_t size)
{
	int fd = open_file(file, O_RDWR);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_NE((long)at, (long)MAP_FAILED);
	close(fd);
	return at;
}

static void let_go(int fd)
{
	struct exo_xn_disk left = { .size = sizeof(left), .flags = EXO_XN_DISK_NEXT };

	t_need_root();
	t_need_feature(fd, EXO_FEATURE_XN, "raw disks");
	while (!t_ioctl(fd, EXO_XN_DISK, &left))
		ASSERT_EQ(xt_detach(fd, left.disk, EXO_XN_DETACH_FORCE), 0);
}

int xt_admin(void)
{
	int fd = t_open();

	let_go(fd);
	return fd;
}

uint32_t xt_disk(int fd, char path[32])
{
	struct exo_xn_attach attach;

	let_go(fd);
	xt_device("disk", XT_BLOCKS, path);
	ASSERT_EQ(xt_format(fd, path, 0), 0);
	ASSERT_EQ(xt_attach(fd, path, &attach), 0);
	return attach.out_disk;
}

int xt_template_add(int fd, uint32_t disk, const char *name, uint32_t ref, uint32_t *out)
{
	static const char *const sections[] = { "owns", "acl", "size" };
	struct exo_graft_open_opts opts = { .sz = sizeof(opts) };
	struct exo_xn_func funcs[3];
	struct exo_xn_template_add cmd = { .size = sizeof(cmd), .disk = disk,
					   .func = (uintptr_t)funcs, .refs = { ref } };
	struct exo_graft_object *objects[3];
	struct exo_graft_verdict verdict;
	int i, ret;

	for (i = 0; i < 3; i++) {
		const struct exo_graft_parts *parts;

		opts.section = sections[i];
		ret = exo_graft_open_memory(&objects[i], xt_object,
					    (size_t)(xt_object_end - xt_object), &opts);
		ASSERT_EQ(ret, 0);
		ASSERT_EQ(exo_graft_verify(objects[i], &verdict), 0);
		parts = exo_graft_object_parts(objects[i]);
		funcs[i] = (struct exo_xn_func){
			.insns = (uintptr_t)parts->insns, .nr_insns = parts->nr_insns,
			.consts = (uintptr_t)parts->consts, .const_size = parts->const_size,
			.cert = (uintptr_t)parts->cert, .cert_size = parts->cert_size,
		};
	}
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	ret = t_ioctl(fd, EXO_XN_TEMPLATE_ADD, &cmd);
	*out = cmd.out_template;
	for (i = 0; i < 3; i++)
		exo_graft_close(objects[i]);
	return ret;
}

uint32_t xt_template(int fd, uint32_t disk)
{
	uint32_t number;

	ASSERT_EQ(xt_template_add(fd, disk, "test", 0, &number), 0);
	return number;
}

int xt_root(int fd, uint32_t disk, uint32_t template_number, const char *name,
	    const struct xt_unit *unit, uint32_t flags, struct exo_xn_root_create *out)
{
	static const uint8_t key[32] = "the key of the roots of xn_test";

	*out = (struct exo_xn_root_create){
		.size = sizeof(*out), .flags = flags, .disk = disk,
		.template_number = template_number, .bytes = (uintptr_t)unit,
		.length = unit->blocks * EXO_XN_BLOCK,
	};
	snprintf(out->name, sizeof(out->name), "%s", name);
	memcpy(out->key, key, sizeof(key));
	return t_ioctl(fd, EXO_XN_ROOT_CREATE, out);
}

int xt_find(int fd, uint32_t disk, const char *name, struct exo_xn_root *out)
{
	*out = (struct exo_xn_root){ .size = sizeof(*out), .flags = EXO_XN_ROOT_BY_NAME,
				     .disk = disk };
	snprintf(out->name, sizeof(out->name), "%s", name);
	return t_ioctl(fd, EXO_XN_ROOT, out);
}

int xt_read(int fd, uint32_t disk, uint32_t root, uint64_t parent, uint64_t block, void *bytes,
	    uint32_t length)
{
	struct exo_xn_read cmd = { .size = sizeof(cmd), .disk = disk, .root = root, .block = block,
				   .parent = parent, .bytes = (uintptr_t)bytes, .length = length };
	int ret = t_ioctl(fd, EXO_XN_READ, &cmd);

	return ret ?: (int)cmd.out_done;
}

int xt_apply(int fd, uint32_t disk, uint32_t root, struct exo_xn_step *steps, uint32_t nr,
	     uint32_t flags, struct exo_xn_apply *out)
{
	struct exo_xn_apply room;

	out = out ?: &room;
	*out = (struct exo_xn_apply){ .size = sizeof(*out), .flags = flags, .disk = disk,
				      .root = root, .steps = (uintptr_t)steps, .nr_steps = nr };
	return t_ioctl(fd, EXO_XN_APPLY, out);
}

int xt_commit(int fd, uint32_t disk, uint32_t root)
{
	struct exo_xn_commit cmd = { .size = sizeof(cmd), .disk = disk, .root = root };

	return t_ioctl(fd, EXO_XN_COMMIT, &cmd);
}

int xt_bind(int fd, uint32_t disk, uint32_t root, uint64_t parent, uint64_t block, uint32_t count,
	    uint32_t rights, uint32_t *binding)
{
	struct exo_xn_bind cmd = { .size = sizeof(cmd), .disk = disk, .root = root, .block = block,
				   .parent = parent, .count = count, .rights = rights };
	int ret = t_ioctl(fd, EXO_XN_BIND, &cmd);

	*binding = cmd.out_binding;
	return ret;
}

int xt_unbind(int fd, uint32_t binding)
{
	struct exo_xn_unbind cmd = { .size = sizeof(cmd), .binding = binding };

	return t_ioctl(fd, EXO_XN_UNBIND, &cmd);
}

int xt_io(int fd, uint32_t kind, uint32_t binding, uint32_t offset, const uint32_t *frames,
	  uint32_t count, uint32_t flags)
{
	struct exo_xn_io cmd = { .size = sizeof(cmd), .flags = flags, .kind = kind,
				 .binding = binding, .offset = offset, .count = count };

	if (frames)
		cmd.frames = count == 1 ? frames[0] : (uintptr_t)frames;
	return t_ioctl(fd, EXO_XN_IO, &cmd);
}

uint8_t xt_map(int fd, uint32_t disk, uint64_t block)
{
	uint8_t byte = 0xff;
	struct exo_xn_map cmd = { .size = sizeof(cmd), .disk = disk, .start = block, .count = 1,
				  .map = (uintptr_t)&byte };

	ASSERT_EQ(t_ioctl(fd, EXO_XN_MAP, &cmd), 0);
	return byte;
}

uint64_t xt_free_run(int fd, uint32_t disk, uint32_t count)
{
	static uint8_t bytes[XT_BLOCKS];
	struct exo_xn_map cmd = { .size = sizeof(cmd), .disk = disk, .count = XT_BLOCKS,
				  .map = (uintptr_t)bytes };
	uint32_t i, run = 0;

	ASSERT_EQ(t_ioctl(fd, EXO_XN_MAP, &cmd), 0);
	for (i = 0; i < XT_BLOCKS; i++) {
		run = bytes[i] == EXO_XN_FREE ? run + 1 : 0;
		if (run == count)
			return i + 1 - count;
	}
	FAIL("no %u free blocks", count);
}

int xt_grow(int fd, uint32_t disk, uint32_t root, uint64_t at, struct xt_unit *unit, uint64_t block,
	    uint32_t count, uint32_t slot, uint32_t flags)
{
	struct exo_xn_step steps[2] = {
		{ .kind = EXO_XN_WRITE, .parent = at, .length = sizeof(*unit),
		  .bytes = (uintptr_t)unit },
		{ .kind = EXO_XN_ALLOC, .parent = at, .block = block, .count = count, .slot = slot },
	};
	int ret;

	unit->e[unit->nr++] = (struct xt_entry){ block, count, slot };
	ret = xt_apply(fd, disk, root, steps, 2, flags, NULL);
	if (ret)
		unit->nr--;
	return ret;
}

int xt_shrink(int fd, uint32_t disk, uint32_t root, uint64_t at, struct xt_unit *unit,
	      uint32_t flags)
{
	struct xt_entry *e = &unit->e[unit->nr - 1];
	struct exo_xn_step steps[2] = {
		{ .kind = EXO_XN_FREE_STEP, .parent = at, .block = e->block, .count = e->count,
		  .slot = e->slot },
		{ .kind = EXO_XN_WRITE, .parent = at, .length = sizeof(*unit),
		  .bytes = (uintptr_t)unit },
	};
	int ret;

	unit->nr--;
	ret = xt_apply(fd, disk, root, steps, 2, flags, NULL);
	if (ret)
		unit->nr++;
	return ret;
}

uint64_t xt_data_root(int fd, uint32_t disk, struct xt_unit *unit, uint32_t blocks, uint32_t *root, uint64_t *at)
{
	struct exo_xn_root_create made;
	uint64_t block;

	ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "root", unit, 0, &made), 0);
	block = xt_free_run(fd, disk, blocks);
	ASSERT_EQ(xt_grow(fd, disk, made.out_root, made.out_block, unit, block, blocks, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	*root = made.out_root;
	*at = made.out_block;
	return block;
}
