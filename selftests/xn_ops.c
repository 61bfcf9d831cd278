// SPDX-License-Identifier: GPL-2.0
#include "uring.h"
#include "xn_ops.h"

#define OWN_NAME "own of %u"

void xo_begin(int fd, struct xo_arena *arena)
{
	struct xt_unit unit = { .blocks = 1 };
	struct exo_xn_disk info = { .size = sizeof(info) };
	struct exo_xn_root_create root;

	arena->disk = xt_disk(fd, arena->path);
	arena->template_number = xt_template(fd, arena->disk);
	ASSERT_EQ(xt_root(fd, arena->disk, arena->template_number, "arena", &unit, 0, &root), 0);
	arena->root = root.out_root;
	arena->at = root.out_block;
	info.disk = arena->disk;
	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
	arena->nr_free = info.out_free;
	arena->shared = test_shared(sizeof(*arena->shared));
	*arena->shared = unit;
}

void xo_actor(struct xo_actor *actor, const struct xo_arena *arena, int fd, uint32_t id)
{
	actor->arena = arena;
	actor->fd = fd;
	actor->id = id;
	actor->seed = test_seed() + id * 7919;
	t_alloc_any(fd, actor->frames, XO_FRAMES);
}

bool xo_expected(int ret)
{
	switch (ret) {
	case 0:
	case -EINVAL:	/* the unit has changed since it was read */
	case -ENOENT:
	case -EBUSY:
	case -EEXIST:
	case -ESTALE:
	case -ENOSPC:
	case -E2BIG:
	case -EACCES:
		return true;
	}
	return false;
}

static uint32_t below(struct xo_actor *actor, uint32_t n)
{
	return (uint32_t)(test_random(&actor->seed) % n);
}

static int read_unit(struct xo_actor *actor, struct xt_unit *unit)
{
	const struct xo_arena *a = actor->arena;
	int ret = xt_read(actor->fd, a->disk, a->root, a->at, a->at, unit, sizeof(*unit));

	return ret < 0 ? ret : 0;
}

/* Operations ---------------------------------------------------------------------------------------- */

static int op_read(struct xo_actor *actor)
{
	struct xt_unit unit;

	return read_unit(actor, &unit);
}

/* Random blocks: perhaps somebody else's, in which case it is refused. */
static int op_grow(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct xt_unit unit;
	int ret = read_unit(actor, &unit);

	if (ret || unit.nr > 40)
		return ret;
	return xt_grow(actor->fd, a->disk, a->root, a->at, &unit, 1000 + 2 * below(actor, 64), 2,
		       EXO_XN_DATA, below(actor, 2) ? EXO_XN_APPLY_COMMIT : 0);
}

static int op_shrink(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct xt_unit unit;
	int ret = read_unit(actor, &unit);

	if (ret || !unit.nr)
		return ret;
	return xt_shrink(actor->fd, a->disk, a->root, a->at, &unit,
			 below(actor, 2) ? EXO_XN_APPLY_COMMIT : 0);
}

/* A unit below, with data of its own, and at the next time away with it. */
static int op_unit(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	uint64_t block = 2000 + 2 * (actor->id % 8);
	struct xt_unit unit, child = { .nr = 1, .blocks = 1, .e = { { block + 1, 1, EXO_XN_DATA } } };
	struct exo_xn_step steps[4] = {
		{ .kind = EXO_XN_ALLOC, .parent = a->at, .block = block, .count = 1 },
		{ .kind = EXO_XN_ALLOC, .parent = block, .block = block + 1, .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_NEW, .parent = block, .length = sizeof(child), .bytes = (uintptr_t)&child },
		{ .kind = EXO_XN_WRITE, .parent = a->at, .length = sizeof(unit), .bytes = (uintptr_t)&unit },
	};
	int ret = read_unit(actor, &unit);
	uint32_t i;

	for (i = 0; !ret && i < unit.nr; i++)
		if (unit.e[i].block == block)
			break;
	if (ret)
		return ret;
	if (i == unit.nr) {
		if (unit.nr > 40)
			return 0;
		unit.e[unit.nr++] = (struct xt_entry){ block, 1, EXO_XN_SELF };
		return xt_apply(actor->fd, a->disk, a->root, steps, 4, 0, NULL);
	}
	xt_read(actor->fd, a->disk, a->root, a->at, block, &child, sizeof(child));
	child.nr = 0;
	unit.e[i] = unit.e[--unit.nr];
	steps[0] = (struct exo_xn_step){ .kind = EXO_XN_FREE_STEP, .parent = block, .block = block + 1,
					 .count = 1, .slot = EXO_XN_DATA };
	steps[1] = (struct exo_xn_step){ .kind = EXO_XN_WRITE, .parent = block, .length = sizeof(child),
					 .bytes = (uintptr_t)&child };
	steps[2] = (struct exo_xn_step){ .kind = EXO_XN_FREE_STEP, .parent = a->at, .block = block, .count = 1 };
	return xt_apply(actor->fd, a->disk, a->root, steps, 4, 0, NULL);
}

static int op_commit(struct xo_actor *actor)
{
	return xt_commit(actor->fd, actor->arena->disk, actor->arena->root);
}

/* Some of the root's blocks. */
static int pick_some(struct xo_actor *actor, struct xt_entry *some)
{
	struct xt_unit unit;
	int ret = read_unit(actor, &unit);

	if (ret)
		return ret;
	if (!unit.nr || unit.nr > 255)
		return -ENOENT;
	*some = unit.e[below(actor, unit.nr)];
	return 0;
}

static int bind_some(struct xo_actor *actor, uint32_t *binding)
{
	const struct xo_arena *a = actor->arena;
	struct xt_entry e;

	return pick_some(actor, &e) ?:
	       xt_bind(actor->fd, a->disk, a->root, a->at, e.block, e.count, RW, binding);
}

static int op_bind(struct xo_actor *actor)
{
	uint32_t binding;
	int ret = bind_some(actor, &binding);

	return ret ?: xt_unbind(actor->fd, binding);
}

static int io(struct xo_actor *actor, uint32_t kind, uint32_t count, uint32_t flags)
{
	uint32_t binding;
	int ret = bind_some(actor, &binding), again;

	if (ret)
		return ret;
	ret = xt_io(actor->fd, kind, binding, 0, count && kind <= EXO_XN_IO_WRITE ? actor->frames : NULL,
		    count, flags);
	again = xt_unbind(actor->fd, binding);
	return ret ?: again;
}

static int op_io_read(struct xo_actor *actor)
{
	return io(actor, EXO_XN_IO_READ, 1 + below(actor, 2), 0);
}

static int op_io_write(struct xo_actor *actor)
{
	return io(actor, EXO_XN_IO_WRITE, 1 + below(actor, 2), 0);
}

static int op_io_durable(struct xo_actor *actor)
{
	return io(actor, EXO_XN_IO_WRITE, 1 + below(actor, 2), EXO_XN_IO_DURABLE);
}

static int op_zero(struct xo_actor *actor)
{
	return io(actor, EXO_XN_IO_ZERO, 1, below(actor, 2) ? EXO_XN_IO_DURABLE : 0);
}

static int op_discard(struct xo_actor *actor)
{
	int ret = io(actor, EXO_XN_IO_DISCARD, 1, 0);

	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int op_flush(struct xo_actor *actor)
{
	return io(actor, EXO_XN_IO_FLUSH, 0, 0);
}

/* Blocks of the root through the buffer registry, two of them in one call. */
static int op_entry(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct exo_xn_entry entry = { .size = sizeof(entry), .flags = EXO_XN_ENTRY_FRAME, .disk = a->disk,
				      .root = a->root, .parent = a->at, .rights = RW };
	struct exo_xn_entry_io cmd = { .size = sizeof(cmd), .kind = EXO_XN_ENTRY_READ + below(actor, 3) };
	uint32_t numbers[2], i;
	struct xt_entry e;
	int ret = pick_some(actor, &e);

	if (ret)
		return ret;
	for (; cmd.count < 2 && cmd.count < e.count; cmd.count++) {
		entry.block = e.block + cmd.count;
		ret = t_ioctl(actor->fd, EXO_XN_ENTRY, &entry);
		if (ret)
			break;
		numbers[cmd.count] = entry.out_entry;
	}
	cmd.entries = (uintptr_t)numbers;
	if (!ret && cmd.count)
		ret = t_ioctl(actor->fd, EXO_XN_ENTRY_IO, &cmd);
	for (i = 0; i < cmd.count; i++)
		xt_unbind(actor->fd, numbers[i]);
	return ret;
}

/* Of somebody who has nothing there, or the next who has; more of them than may have limits of their own. */
static int op_quota(struct xo_actor *actor)
{
	static const uint32_t flags[] = { EXO_XN_QUOTA_SET, EXO_XN_QUOTA_SET, EXO_XN_QUOTA_FORGET, EXO_XN_QUOTA_NEXT };
	struct exo_xn_quota cmd = { .size = sizeof(cmd), .disk = actor->arena->disk,
				    .flags = flags[below(actor, 4)], .uid = 2000 + below(actor, 40) };

	if (cmd.flags == EXO_XN_QUOTA_SET)
		cmd.blocks = 16 + below(actor, 100);	/* what op_root() gives them fits */
	return t_ioctl(actor->fd, EXO_XN_QUOTA, &cmd);
}

#define BATCH 4U

static int op_uring(struct xo_actor *actor)
{
	struct exo_xn_io ios[BATCH];
	struct io_uring ring;
	uint32_t binding, i;
	int ret = bind_some(actor, &binding);

	if (ret)
		return ret;
	ASSERT_EQ(io_uring_queue_init(BATCH, &ring, 0), 0);
	for (i = 0; i < BATCH; i++) {
		ios[i] = (struct exo_xn_io){ .size = sizeof(ios[i]), .binding = binding, .count = 1,
					     .kind = i % 2 ? EXO_XN_IO_WRITE : EXO_XN_IO_READ,
					     .flags = i == 1 ? EXO_XN_IO_DURABLE : 0,
					     .frames = actor->frames[i] };
		t_prep_cmd(&ring, actor->fd, EXO_XN_IO, &ios[i]);
	}
	ASSERT_EQ(io_uring_submit(&ring), (int)BATCH);
	for (i = 0; i < BATCH; i++) {
		int res = t_reap(&ring);

		ret = ret ?: res;
	}
	io_uring_queue_exit(&ring);
	i = (uint32_t)-xt_unbind(actor->fd, binding);
	return ret ?: -(int)i;
}

static int op_look(struct xo_actor *actor)
{
	struct exo_xn_disk info = { .size = sizeof(info), .disk = actor->arena->disk };
	uint8_t bytes[64];
	struct exo_xn_map map = { .size = sizeof(map), .disk = actor->arena->disk, .start = 990,
				  .count = sizeof(bytes), .map = (uintptr_t)bytes,
				  .root = actor->arena->root };
	int ret = t_ioctl(actor->fd, EXO_XN_DISK, &info);

	return ret ?: t_ioctl(actor->fd, EXO_XN_MAP, &map);
}

/* A root of one's own comes and goes. */
static int op_root(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct exo_xn_root_set set = { .size = sizeof(set), .disk = a->disk, .flags = EXO_XN_ROOT_DELETE };
	struct xt_unit unit = { .blocks = 1 };
	struct exo_xn_root_create root;
	char name[32];
	int ret;

	snprintf(name, sizeof(name), OWN_NAME, actor->id);
	ret = xt_root(actor->fd, a->disk, a->template_number, name, &unit,
		      below(actor, 2) ? EXO_XN_ROOT_TEMPORARY : 0, &root);
	if (ret)
		return ret;
	set.root = root.out_root;
	ret = xt_grow(actor->fd, a->disk, set.root, root.out_block, &unit, 3000 + 4 * (actor->id % 8), 4,
		      EXO_XN_DATA, 0);
	if (!ret && below(actor, 2)) {
		set.flags = EXO_XN_ROOT_CHOWN;
		set.uid = 2000 + below(actor, 40);
		ret = t_ioctl(actor->fd, EXO_XN_ROOT_SET, &set);
		set.flags = EXO_XN_ROOT_DELETE;
	}
	return t_ioctl(actor->fd, EXO_XN_ROOT_SET, &set) ?: ret;
}

/* The arena's root uses its template: that one stays. */
static int op_template(struct xo_actor *actor)
{
	struct exo_xn_template info = { .size = sizeof(info), .disk = actor->arena->disk,
					.number = actor->arena->template_number };
	int ret = t_ioctl(actor->fd, EXO_XN_TEMPLATE, &info);

	if (ret)
		return ret;
	info.flags = EXO_XN_REMOVE;
	ret = t_ioctl(actor->fd, EXO_XN_TEMPLATE, &info);
	if (!ret)
		FAIL("a template that is used is gone");
	return ret == -EBUSY ? 0 : ret;
}

/* One of one's own comes and goes. */
static int op_template_own(struct xo_actor *actor)
{
	struct exo_xn_template cmd = { .size = sizeof(cmd), .disk = actor->arena->disk,
				       .flags = EXO_XN_REMOVE };
	char name[32];
	int ret;

	snprintf(name, sizeof(name), OWN_NAME, actor->id);
	ret = xt_template_add(actor->fd, cmd.disk, name, actor->arena->template_number, &cmd.number);
	return ret ?: t_ioctl(actor->fd, EXO_XN_TEMPLATE, &cmd);
}

static int op_check(struct xo_actor *actor)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = actor->arena->disk,
				      .flags = below(actor, 2) ? EXO_XN_CHECK_SCRUB : 0 };
	int ret;

	do
		ret = t_ioctl(actor->fd, EXO_XN_CHECK, &check);
	while (!ret && !check.out_done);
	if (!ret && (check.out_bad || check.out_errors))
		FAIL("a check says %llu bad, %llu errors", (unsigned long long)check.out_bad,
		     (unsigned long long)check.out_errors);
	return ret;
}

static int op_trim(struct xo_actor *actor)
{
	struct exo_xn_trim cmd = { .size = sizeof(cmd), .disk = actor->arena->disk, .start = 1000,
				   .count = 1000 };
	int ret = t_ioctl(actor->fd, EXO_XN_TRIM, &cmd);

	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int op_grow_disk(struct xo_actor *actor)
{
	struct exo_xn_grow cmd = { .size = sizeof(cmd), .disk = actor->arena->disk };

	return t_ioctl(actor->fd, EXO_XN_GROW, &cmd);
}

/* It has the same number afterwards: the lowest. */
static int op_attach(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct exo_xn_attach attach;

	xt_detach(actor->fd, a->disk, EXO_XN_DETACH_FORCE);
	return xt_attach(actor->fd, a->path, &attach);
}

/* The same, with a map that takes nothing from the one who has something there, root. */
static int op_attach_uids(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	const struct exo_xn_uids map[2] = { { .from = 0, .to = 0, .count = 1 },
					    { .from = 2000, .to = 2000 + below(actor, 8), .count = 32 } };
	struct exo_xn_attach cmd = { .size = sizeof(cmd), .path = (uintptr_t)a->path, .machine = { 1 },
				     .flags = EXO_XN_ATTACH_UIDS | EXO_XN_ATTACH_AGAIN,
				     .uids = (uintptr_t)map, .nr_uids = 2 };

	xt_detach(actor->fd, a->disk, EXO_XN_DETACH_FORCE);
	return t_ioctl(actor->fd, EXO_XN_ATTACH, &cmd);
}

/*
 * Bytes that somebody changes meanwhile: what is verified must be what is taken. Nothing is wrong with them until
 * then: one block more than the unit has now, or the last one less.
 */
static int op_apply_shared(struct xo_actor *actor)
{
	const struct xo_arena *a = actor->arena;
	struct xt_entry e = { 4000 + below(actor, 4), 1, EXO_XN_DATA };
	struct exo_xn_step steps[2] = {
		{ .kind = EXO_XN_ALLOC, .parent = a->at, .count = 1, .slot = EXO_XN_DATA },
		{ .kind = EXO_XN_WRITE, .parent = a->at, .length = sizeof(*a->shared),
		  .bytes = (uintptr_t)a->shared },
	};
	struct xt_unit unit;
	int ret = read_unit(actor, &unit);

	if (ret)
		return ret;
	if (unit.nr && unit.e[unit.nr - 1].block / 4 == e.block / 4) {
		e = unit.e[--unit.nr];
		steps[0].kind = EXO_XN_FREE_STEP;
	} else {
		unit.e[unit.nr++] = e;
	}
	steps[0].block = e.block;
	*a->shared = unit;
	return xt_apply(actor->fd, a->disk, a->root, steps, 2, 0, NULL);
}

static int op_scribble(struct xo_actor *actor)
{
	volatile struct xt_unit *unit = actor->arena->shared;
	uint32_t i;

	for (i = 0; i < 20000; i++) {
		unit->e[0].count = 1;
		unit->e[0].slot = EXO_XN_DATA;
		unit->e[0].block = 4000 + i % 4;
		unit->nr = i / 4 % 2;
	}
	return 0;
}

const struct xo_op xo_ops[] = {
	{ "read", op_read }, { "grow", op_grow }, { "shrink", op_shrink }, { "unit", op_unit },
	{ "commit", op_commit }, { "bind", op_bind }, { "io_read", op_io_read }, { "io_write", op_io_write },
	{ "io_durable", op_io_durable }, { "zero", op_zero }, { "discard", op_discard }, { "flush", op_flush },
	{ "uring", op_uring }, { "look", op_look }, { "root", op_root }, { "template", op_template },
	{ "check", op_check }, { "trim", op_trim }, { "grow_disk", op_grow_disk },
	{ "apply_shared", op_apply_shared }, { "scribble", op_scribble }, { "attach", op_attach },
	{ "entry", op_entry }, { "quota", op_quota }, { "attach_uids", op_attach_uids },
	{ "template_own", op_template_own },
};
const uint32_t xo_nr = sizeof(xo_ops) / sizeof(xo_ops[0]);

/* Before and afterwards ------------------------------------------------------------------------------- */

/* Who detached it may have died before it was attached again, or been refused. */
static void be_attached(int fd, const struct xo_arena *a, const char *after)
{
	struct exo_xn_disk info = { .size = sizeof(info), .disk = a->disk };
	struct exo_xn_attach attach;

	if (t_ioctl(fd, EXO_XN_DISK, &info))
		ASSERT_EQ_FOR(xt_attach(fd, a->path, &attach), 0, "after %s", after);
}

void xo_stock(int fd, const struct xo_arena *a)
{
	struct xt_unit unit;

	be_attached(fd, a, "a pair");
	ASSERT_EQ(xt_read(fd, a->disk, a->root, a->at, a->at, &unit, sizeof(unit)), sizeof(unit));
	while (unit.nr < 4)
		ASSERT_EQ(xt_grow(fd, a->disk, a->root, a->at, &unit, xt_free_run(fd, a->disk, 2), 2, EXO_XN_DATA,
				  EXO_XN_APPLY_COMMIT), 0);
}

/* All of the arena's root's, a pointer at a time. */
static void empty(int fd, const struct xo_arena *a)
{
	struct xt_unit unit, child;
	struct xt_entry *e;

	for (;;) {
		ASSERT_EQ(xt_read(fd, a->disk, a->root, a->at, a->at, &unit, sizeof(unit)), sizeof(unit));
		if (!unit.nr)
			return;
		e = &unit.e[unit.nr - 1];
		if (e->slot == EXO_XN_SELF) {
			ASSERT_EQ(xt_read(fd, a->disk, a->root, a->at, e->block, &child, sizeof(child)),
				  sizeof(child));
			while (child.nr)
				ASSERT_EQ(xt_shrink(fd, a->disk, a->root, e->block, &child, 0), 0);
		}
		ASSERT_EQ(xt_shrink(fd, a->disk, a->root, a->at, &unit, 0), 0);
	}
}

static void delete_others(int fd, const struct xo_arena *a)
{
	struct exo_xn_root root = { .size = sizeof(root), .flags = EXO_XN_NEXT, .disk = a->disk };
	struct exo_xn_root_set set = { .size = sizeof(set), .flags = EXO_XN_ROOT_DELETE, .disk = a->disk };
	struct exo_xn_template t = { .size = sizeof(t), .flags = EXO_XN_NEXT, .disk = a->disk };

	while (!t_ioctl(fd, EXO_XN_ROOT, &root)) {
		if (root.root == a->root)
			continue;
		set.root = root.root;
		ASSERT_EQ(t_ioctl(fd, EXO_XN_ROOT_SET, &set), 0);
	}
	while (!t_ioctl(fd, EXO_XN_TEMPLATE, &t)) {
		if (t.number == a->template_number)
			continue;
		t.flags = EXO_XN_REMOVE;
		ASSERT_EQ(t_ioctl(fd, EXO_XN_TEMPLATE, &t), 0);
		t.flags = EXO_XN_NEXT;
	}
}

static void all_right(int fd, const struct xo_arena *a, const char *after)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = a->disk };

	do
		ASSERT_EQ_FOR(t_ioctl(fd, EXO_XN_CHECK, &check), 0, "after %s", after);
	while (!check.out_done);
	ASSERT_EQ_FOR(check.out_bad, 0, "after %s", after);
	ASSERT_EQ_FOR(check.out_leaked, 0, "after %s", after);
	ASSERT_EQ_FOR(check.out_errors, 0, "after %s", after);
}

void xo_settle(int fd, struct xo_arena *a, const char *after)
{
	struct exo_xn_disk info = { .size = sizeof(info), .disk = a->disk };
	struct exo_xn_attach attach;
	uint64_t start;

	be_attached(fd, a, after);
	all_right(fd, a, after);
	delete_others(fd, a);
	empty(fd, a);
	ASSERT_EQ(xt_commit(fd, a->disk, a->root), 0);
	all_right(fd, a, after);
	ASSERT_EQ(t_ioctl(fd, EXO_XN_DISK, &info), 0);
	ASSERT_EQ_FOR(info.out_free, a->nr_free, "free blocks after %s", after);
	ASSERT_EQ_FOR(info.out_waiting, 0, "waiting blocks after %s", after);
	/* An environment's last requests may be going still. */
	start = test_now_ns();
	while (xt_detach(fd, a->disk, 0)) {
		if (test_overdue(start, 2000))
			FAIL("bindings are left after %s", after);
		test_sleep_ms(10);
	}
	ASSERT_EQ_FOR(xt_attach(fd, a->path, &attach), 0, "after %s", after);
	ASSERT_EQ(attach.out_disk, a->disk);
	ASSERT_EQ_FOR(attach.out_quarantined, 0, "after %s", after);
}
