// SPDX-License-Identifier: GPL-2.0
#include "../xn_lib.h"
#include "fuzz_program.h"
#include "fuzz_xn.h"

#define BASE 1000U	/* blocks that programs ask for lie from here on */

static char path[32];
static uint32_t disk, template_number;
static int admin = -1;
static struct {
	uint32_t number;
	uint64_t block;
} roots[4];
static uint32_t bindings[2][4], nr_roots, nr_bindings[2], nr_names;	/* entries, too */
static struct xt_unit unit;
static char *room;	/* two blocks */

bool fuzz_xn_is(uint8_t nr)
{
	return nr >= EXO_NR_XN_FORMAT && nr <= EXO_NR_XN_QUOTA;
}

/* Setting up ---------------------------------------------------------------------------------------- */

bool fuzz_xn_init(void)
{
	struct exo_info info;

	room = fuzz_room(2 * EXO_XN_BLOCK);
	admin = t_open();
	t_info(admin, &info);
	if (!(info.out_features & EXO_FEATURE_XN) || access("/dev/loop-control", F_OK)) {
		test_note("no raw disks here");
		return false;
	}
	disk = xt_disk(admin, path);
	return true;
}

void fuzz_xn_clean(void)
{
	struct exo_xn_root root = { .size = sizeof(root), .flags = EXO_XN_NEXT, .disk = disk };
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_DELETE, .disk = disk };

	while (disk && !t_ioctl(admin, EXO_XN_ROOT, &root)) {
		set.root = root.root;
		ASSERT_EQ(t_ioctl(admin, EXO_XN_ROOT_SET, &set), 0);
	}
}

static void check(void)
{
	struct exo_xn_check cmd = { .size = sizeof(cmd), .disk = disk };

	do
		ASSERT_EQ(t_ioctl(admin, EXO_XN_CHECK, &cmd), 0);
	while (!cmd.out_done);
	ASSERT_EQ(cmd.out_bad + cmd.out_leaked + cmd.out_errors, 0);
}

void fuzz_xn_end(void)
{
	struct exo_xn_attach attach;

	if (!disk)
		return;
	check();
	ASSERT_EQ(xt_detach(admin, disk, EXO_XN_DETACH_FORCE), 0);
	ASSERT_EQ(xt_attach(admin, path, &attach), 0);
	ASSERT_EQ(attach.out_quarantined, 0);
	disk = attach.out_disk;
	check();
	fuzz_xn_clean();
	ASSERT_EQ(xt_detach(admin, disk, 0), 0);
}

void fuzz_xn_begin(void)
{
	int fd;

	if (!disk)
		return;
	fd = t_open();
	template_number = xt_template(fd, disk);
	close(fd);
}

void fuzz_xn_reset(void)
{
	memset(roots, 0, sizeof(roots));
	memset(bindings, 0, sizeof(bindings));
	nr_roots = nr_bindings[0] = nr_bindings[1] = 0;
}

/* Of the table of what is used through memory. */
uint64_t fuzz_xn_table(uint64_t *length)
{
	*length = EXO_XN_REG_BYTES;
	return EXO_MMAP_XN + ((uint64_t)disk << EXO_MMAP_VIEW_SHIFT);
}

/* Steps --------------------------------------------------------------------------------------------- */

static uint32_t good(uint32_t word, uint32_t value)
{
	return word < 8 ? value : word;
}

static uint32_t root_of(uint32_t word)
{
	return good(word, roots[word % 4].number);
}

static uint64_t unit_of(uint32_t root_word, uint32_t word)
{
	return word < 8 ? roots[root_word % 4].block : word;
}

static uint64_t pointer(uint32_t word)
{
	return word == 7 ? 8 : (uintptr_t)room;
}

static int create(int fd, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_root_create cmd = {
		.size = sizeof(cmd), .flags = w[2] % 4 == 1, .disk = good(w[3], disk),
		.template_number = good(w[4], template_number), .near = a[0], .bytes = (uintptr_t)&unit,
		.length = good(w[5], EXO_XN_BLOCK), .max_blocks = w[6] < 8 ? 0 : w[6],
	};
	int ret;

	memset(&unit, 0, sizeof(unit));
	unit.blocks = a[1] < 8 ? 1 : a[1];
	unit.flags = a[2] < 8 ? 0 : a[2];
	unit.nr = a[3] < 8 ? 0 : a[3];
	snprintf(cmd.name, sizeof(cmd.name), "fuzz %u %u", getpid(), a[4] < 8 ? nr_names++ : a[4] % 16);
	ret = t_ioctl(fd, EXO_XN_ROOT_CREATE, &cmd);
	if (!ret) {
		roots[nr_roots % 4].number = cmd.out_root;
		roots[nr_roots++ % 4].block = cmd.out_block;
	}
	return ret;
}

/* What makes sense: a pointer more, or one less. */
static int apply_good(int fd, const uint32_t *w, const uint32_t *a)
{
	uint32_t root = root_of(w[3]), flags = w[4] % 2 ? EXO_XN_APPLY_COMMIT : 0;
	uint64_t block = unit_of(w[3], w[5]);
	int ret = xt_read(fd, disk, root, block, block, &unit, sizeof(unit));

	if (ret < 0)
		return ret;
	if (unit.nr > 200)
		return 0;
	if (unit.nr > 100 || (w[2] % 2 && unit.nr))
		return unit.nr ? xt_shrink(fd, disk, root, block, &unit, flags) : 0;
	return xt_grow(fd, disk, root, block, &unit, BASE + a[0] % 4096, 1 + a[1] % 8,
		       a[2] < 16 ? EXO_XN_DATA : a[2] % 256, flags);
}

static int apply_any(int fd, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_apply cmd = { .size = sizeof(cmd), .flags = w[2] % 4, .disk = good(w[6], disk),
				    .root = root_of(w[3]), .nr_steps = w[4] < 8 ? 1 + w[4] % 4 : w[4] };
	struct exo_xn_step steps[4];
	uint32_t i;

	memcpy(&unit, a, sizeof(*a) * 32);
	for (i = 0; i < 4; i++, a += 8)
		steps[i] = (struct exo_xn_step){
			.kind = a[0] < 8 ? a[0] : 1 + a[0] % 8, .slot = a[1] % 2 ? EXO_XN_DATA : a[1],
			.parent = unit_of(w[3], a[2]), .block = a[3] < 8 ? BASE + a[3] : a[3],
			.count = a[4] < 8 ? 1 + a[4] % 4 : a[4], .offset = a[5] < 8 ? 0 : a[5],
			.length = a[6] < 8 ? 4096 : a[6],
			.bytes = a[7] == 7 ? 8 : (uintptr_t)&unit, .from = unit_of(w[3], a[7]),
		};
	cmd.steps = w[5] == 7 ? 8 : (uintptr_t)steps;
	return t_ioctl(fd, EXO_XN_APPLY, &cmd);
}

static int read_unit(int fd, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_read cmd = {
		.size = sizeof(cmd), .flags = w[2] % 4 == 1, .disk = good(w[6], disk), .root = root_of(w[3]),
		.block = unit_of(w[3], w[4]), .parent = unit_of(w[3], w[5]), .bytes = pointer(w[7]),
		.offset = a[0] < 8 ? a[0] : a[0] % 8192, .length = a[1] < 8 ? 64 : a[1],
		.keys = (uintptr_t)a, .nr_keys = a[2] < 8 ? a[2] % 3 : a[2],
	};

	return t_ioctl(fd, EXO_XN_READ, &cmd);
}

static int bind(int fd, unsigned int env, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_bind cmd = {
		.size = sizeof(cmd), .disk = good(w[6], disk), .root = root_of(w[3]),
		.parent = unit_of(w[3], w[5]), .block = a[0] < 64 ? BASE + a[0] : a[0],
		.count = a[1] < 8 ? 1 + a[1] : a[1], .rights = w[4] < 8 ? RW : w[4],
	};
	int ret;

	/* What its unit says, most of the time. */
	if (w[2] < 8 && xt_read(fd, disk, cmd.root, cmd.parent, cmd.parent, &unit, sizeof(unit)) > 0 &&
	    unit.nr && unit.nr <= 255) {
		cmd.block = unit.e[a[0] % unit.nr].block;
		cmd.count = unit.e[a[0] % unit.nr].count;
	}
	ret = t_ioctl(fd, EXO_XN_BIND, &cmd);
	if (!ret)
		bindings[env][nr_bindings[env]++ % 4] = cmd.out_binding;
	return ret;
}

static int unbind(int fd, unsigned int env, const uint32_t *w)
{
	return xt_unbind(fd, good(w[2], bindings[env][w[2] % 4]));
}

static int io(int fd, unsigned int env, const uint32_t *w, const uint32_t *a, const uint32_t *frames,
	      uint32_t nr_frames)
{
	struct exo_xn_io cmd = {
		.size = sizeof(cmd), .flags = w[4] % 2, .kind = w[2] < 8 ? 1 + w[2] % 5 : w[2],
		.binding = good(w[3], bindings[env][w[3] % 4]), .offset = w[5] < 4 ? 0 : w[5],
		.count = w[6] < 8 ? 1 + w[6] % 2 : w[6],
	};
	uint32_t array[32], i;

	for (i = 0; i < 32; i++)
		array[i] = a[i] < 16 && nr_frames ? frames[a[i] % nr_frames] : a[i];
	if (cmd.kind <= EXO_XN_IO_WRITE)
		cmd.frames = cmd.count == 1 ? array[0] : w[7] == 7 ? 8 : (uintptr_t)array;
	if (cmd.kind == EXO_XN_IO_FLUSH && w[7] < 8)
		cmd.count = cmd.offset = 0;
	if (cmd.kind != EXO_XN_IO_WRITE && cmd.kind != EXO_XN_IO_ZERO && w[7] < 8)
		cmd.flags = 0;
	return t_ioctl(fd, EXO_XN_IO, &cmd);
}

static int entry(int fd, unsigned int env, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_entry cmd = {
		.size = sizeof(cmd), .flags = w[4] < 8 ? w[4] % 3 : w[4], .disk = good(w[6], disk),
		.root = root_of(w[3]), .parent = unit_of(w[3], w[5]), .rights = w[7] < 8 ? RW : w[7],
	};
	int ret;

	cmd.block = cmd.flags == EXO_XN_ENTRY_UNIT && a[0] < 64 ? cmd.parent : a[0] < 64 ? BASE + a[0] : a[0];
	if (w[2] < 8 && cmd.flags != EXO_XN_ENTRY_UNIT &&
	    xt_read(fd, disk, cmd.root, cmd.parent, cmd.parent, &unit, sizeof(unit)) > 0 && unit.nr && unit.nr <= 255)
		cmd.block = unit.e[a[0] % unit.nr].block;
	ret = t_ioctl(fd, EXO_XN_ENTRY, &cmd);
	if (!ret)
		bindings[env][nr_bindings[env]++ % 4] = cmd.out_entry;
	return ret;
}

/* Nobody else would let a program go that waits for itself. */
static int entry_lock(int fd, unsigned int env, const uint32_t *w)
{
	struct exo_xn_entry_lock cmd = {
		.size = sizeof(cmd), .flags = EXO_XN_LOCK_TRY | (w[4] < 8 ? 0 : w[4]),
		.entry = good(w[3], bindings[env][w[3] % 4]), .slots = w[5] < 8 ? 1U << w[5] : w[5],
		.mode = w[2] < 8 ? w[2] % 3 : w[2],
	};

	return t_ioctl(fd, EXO_XN_ENTRY_LOCK, &cmd);
}

static int entry_io(int fd, unsigned int env, const uint32_t *w, const uint32_t *a)
{
	uint32_t numbers[EXO_XN_REG_BATCH], i;
	struct exo_xn_entry_io cmd = {
		.size = sizeof(cmd), .flags = w[4] < 8 ? w[4] % 2 : w[4], .kind = w[2] < 8 ? 1 + w[2] % 3 : w[2],
		.count = w[5] < 8 ? 1 + w[5] % 4 : w[5], .entries = w[7] == 7 ? 8 : (uintptr_t)numbers,
	};

	for (i = 0; i < EXO_XN_REG_BATCH; i++)
		numbers[i] = good(a[i % 32], bindings[env][(w[3] + a[i % 32]) % 4]);
	if (cmd.kind != EXO_XN_ENTRY_WRITE && w[6] < 8)
		cmd.flags = 0;
	return t_ioctl(fd, EXO_XN_ENTRY_IO, &cmd);
}

static int speculate(int fd, const uint32_t *w, const uint32_t *a)
{
	struct exo_xn_speculate cmd = {
		.size = sizeof(cmd), .flags = w[2] < 8 ? 0 : w[2], .disk = good(w[6], disk),
		.count = w[4] < 8 ? 1 + w[4] : w[4], .block = a[0] < 64 ? BASE + a[0] : a[0],
	};

	return t_ioctl(fd, EXO_XN_SPECULATE, &cmd);
}

static int root_set(int fd, const uint32_t *w)
{
	struct exo_xn_root_set cmd = { .size = sizeof(cmd), .flags = w[2] < 8 ? 1U << w[2] % 4 : w[2],
				       .disk = good(w[6], disk), .root = root_of(w[3]), .uid = w[4],
				       .max_blocks = w[5] };

	return t_ioctl(fd, EXO_XN_ROOT_SET, &cmd);
}

static int map(int fd, const uint32_t *w)
{
	struct exo_xn_map cmd = { .size = sizeof(cmd), .disk = good(w[6], disk), .start = w[2],
				  .count = w[4] < 8 ? 64 : w[4] % 8192, .map = pointer(w[7]),
				  .root = w[3] < 4 ? 0 : root_of(w[3]) };

	return t_ioctl(fd, EXO_XN_MAP, &cmd);
}

/* The others: their size, the disk, and chance. */
static int other(int fd, uint8_t nr, const uint32_t *w, const uint32_t *a)
{
	static const uint16_t sizes[][2] = {
		{ EXO_NR_XN_FORMAT, sizeof(struct exo_xn_format) },
		{ EXO_NR_XN_ATTACH, sizeof(struct exo_xn_attach) },
		{ EXO_NR_XN_DETACH, sizeof(struct exo_xn_detach) },
		{ EXO_NR_XN_GROW, sizeof(struct exo_xn_grow) },
		{ EXO_NR_XN_CHECK, sizeof(struct exo_xn_check) },
		{ EXO_NR_XN_TRIM, sizeof(struct exo_xn_trim) },
		{ EXO_NR_XN_DISK, sizeof(struct exo_xn_disk) },
		{ EXO_NR_XN_QUOTA, sizeof(struct exo_xn_quota) },
		{ EXO_NR_XN_TEMPLATE, sizeof(struct exo_xn_template) },
		{ EXO_NR_XN_TEMPLATE_ADD, sizeof(struct exo_xn_template_add) },
		{ EXO_NR_XN_ROOT, sizeof(struct exo_xn_root) },
	};
	uint32_t arg[96] = { 0 }, i;

	memcpy(&arg[4], a, 28 * sizeof(*a));
	arg[1] = w[2] < 8 ? w[2] % 4 : w[2];
	arg[2] = good(w[6], disk);
	arg[3] = w[3] < 4 ? w[3] : root_of(w[3]);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i][0] == nr)
			arg[0] = sizes[i][1];
	return t_ioctl(fd, _IO(EXO_TYPE, nr), arg);
}

int fuzz_xn(int fd, unsigned int env, uint8_t nr, const uint32_t *w, const uint32_t *a, const uint32_t *frames,
	    uint32_t nr_frames)
{
	if (!disk)
		return -ENOENT;
	switch (nr) {
	case EXO_NR_XN_ROOT_CREATE:
		return create(fd, w, a);
	case EXO_NR_XN_APPLY:
		return w[7] < 8 ? apply_good(fd, w, a) : apply_any(fd, w, a);
	case EXO_NR_XN_READ:
		return read_unit(fd, w, a);
	case EXO_NR_XN_COMMIT:
		return xt_commit(fd, good(w[6], disk), root_of(w[3]));
	case EXO_NR_XN_BIND:
		return bind(fd, env, w, a);
	case EXO_NR_XN_UNBIND:
		return unbind(fd, env, w);
	case EXO_NR_XN_IO:
		return io(fd, env, w, a, frames, nr_frames);
	case EXO_NR_XN_ENTRY:
		return entry(fd, env, w, a);
	case EXO_NR_XN_ENTRY_LOCK:
		return entry_lock(fd, env, w);
	case EXO_NR_XN_ENTRY_IO:
		return entry_io(fd, env, w, a);
	case EXO_NR_XN_SPECULATE:
		return speculate(fd, w, a);
	case EXO_NR_XN_ROOT_SET:
		return root_set(fd, w);
	case EXO_NR_XN_MAP:
		return map(fd, w);
	default:
		return other(fd, nr, w, a);
	}
}
