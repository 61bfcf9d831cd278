// SPDX-License-Identifier: GPL-2.0
#include <grp.h>
#include <sys/stat.h>

#include "xn_play_model.h"

void (*play_acked)(uint32_t events);

const uid_t play_uid[PLAY_USERS] = { ALICE, BOB };
const char *const play_name[PLAY_USERS] = { "alice", "bob" };
struct user play_users[PLAY_USERS];
struct event play_event[EVENTS];
struct written play_written[PLAY_BLOCKS];
int play_admin;
static uint32_t nr_events, disk, first;
static uint64_t writes;		/* numbers of writes of data, and of lives of blocks */

uint32_t play_disk(void)
{
	return disk;
}

uint32_t play_events(void)
{
	return nr_events;
}

void play_become(uid_t who)
{
	ASSERT_EQ(seteuid(0), 0);
	if (who)
		ASSERT_EQ(seteuid(who), 0);
}

void play_open(void)
{
	struct stat st;
	uint32_t u, i;

	t_need_root();
	play_admin = t_open();
	t_need_feature(play_admin, EXO_FEATURE_XN, "raw disks");
	ASSERT_EQ(stat(t_device(), &st), 0);
	ASSERT_EQ(setgroups(1, &st.st_gid), 0);
	for (u = 0; u < PLAY_USERS; u++) {
		play_become(play_uid[u]);
		play_users[u].fd = t_open();
		t_alloc_any(play_users[u].fd, play_users[u].frame, EXTENT);
		for (i = 0; i < EXTENT; i++) {
			play_users[u].page[i] = t_window(play_users[u].fd, play_users[u].frame[i], 1,
						    PROT_READ | PROT_WRITE);
			ASSERT_TRUE(play_users[u].page[i] != NULL);
		}
	}
	play_become(0);
}

/* What was acknowledged --------------------------------------------------------------------------- */

static void event(bool data, uint32_t user, uint64_t block, uint64_t number)
{
	ASSERT_LT(nr_events, EVENTS);
	play_event[nr_events++] = (struct event){ data, user, block, number };
}

/* What was not acknowledged before. */
static void ack_data(uint32_t u, uint64_t block, uint32_t count)
{
	for (; count--; block++) {
		struct written *w = &play_written[block];

		if (w->user == u && w->acked < w->last)
			event(true, u, block, w->acked = w->last);
	}
}

static void ack_commit(uint32_t u)
{
	play_users[u].acked = play_users[u].at;
	event(false, u, 0, play_users[u].at);
	ack_data(u, first, AREA);
}

static void tell(uint32_t before)
{
	if (nr_events != before && play_acked)
		play_acked(nr_events);
}

/* Changes ----------------------------------------------------------------------------------------- */

void play_build(const struct unit *unit, uint32_t version, struct xt_unit *out)
{
	uint32_t i;

	memset(out, 0, sizeof(*out));
	out->nr = unit->nr;
	out->blocks = 1;
	out->group = version;
	for (i = 0; i < unit->nr; i++)
		out->e[i] = (struct xt_entry){ unit->e[i].block, unit->e[i].count, unit->e[i].slot };
}

/* From what is now to @next, in which @step is the pointer that comes or goes. */
static int change(uint32_t u, const struct state *next, const struct exo_xn_step *step)
{
	static struct xt_unit bytes[UNITS];
	struct exo_xn_step steps[1 + UNITS] = { *step };
	struct user *user = &play_users[u];
	uint32_t i, nr = 1;
	int ret;

	ASSERT_LT(user->version + 1, VERSIONS);
	for (i = 0; i < UNITS; i++) {
		const struct unit *before = &user->now.unit[i], *after = &next->unit[i];

		if (!after->block || (i && !memcmp(before, after, sizeof(*after))))
			continue;
		play_build(after, i ? 0 : user->version + 1, &bytes[i]);
		steps[nr++] = (struct exo_xn_step){
			.kind = before->block ? EXO_XN_WRITE : EXO_XN_NEW, .parent = after->block,
			.length = sizeof(bytes[i]), .bytes = (uintptr_t)&bytes[i] };
	}
	ret = xt_apply(user->fd, disk, user->root, steps, nr, 0, NULL);
	if (ret)
		return ret;
	user->at = ++user->version;
	user->history[user->at] = user->now = *next;
	return 0;
}

uint64_t play_free_run(uint32_t u, uint32_t number, uint32_t count, uint64_t *seed)
{
	uint8_t map[AREA];
	struct exo_xn_map cmd = { .size = sizeof(cmd), .disk = number, .start = first, .count = AREA,
				  .map = (uintptr_t)map };
	uint32_t from = (uint32_t)(test_random(seed) % AREA), i, run = 0;

	if (t_ioctl(play_users[u].fd, EXO_XN_MAP, &cmd))
		return 0;
	for (i = from; i < from + AREA; i++) {
		run = i % AREA ? run : 0;
		run = map[i % AREA] == EXO_XN_FREE ? run + 1 : 0;
		if (run == count)
			return first + i % AREA + 1 - count;
	}
	return 0;
}

/* One that is there, or one that isn't; UNITS: none. */
static uint32_t pick_unit(const struct state *state, bool there, uint64_t *seed)
{
	uint32_t i, from = (uint32_t)(test_random(seed) % UNITS);

	for (i = 0; i < UNITS; i++)
		if (!!state->unit[(from + i) % UNITS].block == there)
			return (from + i) % UNITS;
	return UNITS;
}

static int step_grow(uint32_t u, uint64_t *seed)
{
	struct state next = play_users[u].now;
	uint32_t count = 1 + (uint32_t)(test_random(seed) % EXTENT);
	struct unit *unit = &next.unit[pick_unit(&next, true, seed)];
	uint64_t block = play_free_run(u, disk, count, seed);
	struct exo_xn_step step = { .kind = EXO_XN_ALLOC, .slot = EXO_XN_DATA, .parent = unit->block,
				    .block = block, .count = count };

	if (!block || unit->nr == ENTRIES)
		return 0;
	unit->e[unit->nr++] = (struct entry){ block, ++writes, count, EXO_XN_DATA };
	return change(u, &next, &step);
}

static int step_unit(uint32_t u, uint64_t *seed)
{
	struct state next = play_users[u].now;
	uint32_t i = pick_unit(&next, false, seed);
	struct unit *root = &next.unit[0];
	uint64_t block = play_free_run(u, disk, 1, seed);
	struct exo_xn_step step = { .kind = EXO_XN_ALLOC, .slot = EXO_XN_SELF, .parent = root->block,
				    .block = block, .count = 1 };

	if (!block || i == UNITS || root->nr == ENTRIES)
		return 0;
	root->e[root->nr++] = (struct entry){ block, ++writes, 1, EXO_XN_SELF };
	memset(&next.unit[i], 0, sizeof(next.unit[i]));
	next.unit[i].block = block;
	return change(u, &next, &step);
}

static struct unit *unit_at(struct state *state, uint64_t block)
{
	uint32_t i;

	for (i = 0; i < UNITS; i++)
		if (state->unit[i].block == block)
			return &state->unit[i];
	FAIL("no unit");
}

/* A random entry of a random unit goes; a unit only if it is empty. */
static int step_free(uint32_t u, uint64_t *seed)
{
	struct state next = play_users[u].now;
	struct unit *unit = &next.unit[pick_unit(&next, true, seed)], *below;
	struct exo_xn_step step = { .kind = EXO_XN_FREE_STEP, .parent = unit->block };
	struct entry *e;

	if (!unit->nr)
		return 0;
	e = &unit->e[test_random(seed) % unit->nr];
	step.block = e->block;
	step.count = e->count;
	step.slot = e->slot;
	if (e->slot == EXO_XN_SELF) {
		below = unit_at(&next, e->block);
		if (below->nr)
			return 0;
		memset(below, 0, sizeof(*below));
	}
	*e = unit->e[--unit->nr];
	memset(&unit->e[unit->nr], 0, sizeof(*e));
	return change(u, &next, &step);
}

static int step_move(uint32_t u, uint64_t *seed)
{
	struct state next = play_users[u].now;
	struct unit *from = &next.unit[pick_unit(&next, true, seed)];
	struct unit *to = &next.unit[pick_unit(&next, true, seed)];
	struct exo_xn_step step = { .kind = EXO_XN_MOVE, .slot = EXO_XN_DATA, .parent = to->block,
				    .from = from->block };
	struct entry *e;

	if (from == to || !from->nr || to->nr == ENTRIES)
		return 0;
	e = &from->e[from->nr - 1];
	if (e->slot != EXO_XN_DATA)
		return 0;
	step.block = e->block;
	step.count = e->count;
	to->e[to->nr++] = *e;
	memset(e, 0, sizeof(*e));
	from->nr--;
	return change(u, &next, &step);
}

/* Data -------------------------------------------------------------------------------------------- */

static void fill(uint64_t *page, uint32_t u, uint64_t block, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < 512; i++)
		page[i] = number * 0x9e3779b97f4a7c15ULL + i % 64;
	for (i = 0; i < 512; i += 64) {
		page[i] = TAG + u;
		page[i + 1] = block;
		page[i + 2] = number;
	}
}

static int data_write(uint32_t u, const struct entry *e, uint32_t binding, uint64_t *seed)
{
	struct user *user = &play_users[u];
	uint32_t at = (uint32_t)(test_random(seed) % e->count);
	uint32_t i, count = 1 + (uint32_t)(test_random(seed) % (e->count - at));
	uint32_t flags = test_random(seed) % 3 ? 0 : EXO_XN_IO_DURABLE;
	int ret;

	for (i = 0; i < count; i++)
		fill(user->page[i], u, e->block + at + i, ++writes);
	ret = xt_io(user->fd, EXO_XN_IO_WRITE, binding, at, user->frame, count, flags);
	for (i = 0; i < count && !ret; i++) {
		play_written[e->block + at + i].last = writes - count + 1 + i;
		play_written[e->block + at + i].user = u;
	}
	if (!ret && flags)
		ack_data(u, e->block + at, count);
	return ret;
}

static int data_zero(uint32_t u, const struct entry *e, uint32_t binding, uint64_t *seed)
{
	uint32_t i, flags = test_random(seed) % 2 ? 0 : EXO_XN_IO_DURABLE;
	int ret = xt_io(play_users[u].fd, EXO_XN_IO_ZERO, binding, 0, NULL, e->count, flags);

	writes++;
	for (i = 0; i < e->count; i++) {
		/* On an error, too, some may be zeros now. */
		play_written[e->block + i].zeroed = writes;
		if (ret)
			continue;
		play_written[e->block + i].last = writes;
		play_written[e->block + i].user = u;
	}
	if (!ret && flags)
		ack_data(u, e->block, e->count);
	return ret;
}

static int step_data(uint32_t u, uint64_t *seed)
{
	const struct state *now = &play_users[u].now;
	const struct unit *unit = &now->unit[pick_unit(now, true, seed)];
	int fd = play_users[u].fd, ret, kind = (int)(test_random(seed) % 10);
	const struct entry *e;
	uint32_t binding;

	if (!unit->nr)
		return 0;
	e = &unit->e[test_random(seed) % unit->nr];
	if (e->slot != EXO_XN_DATA)
		return 0;
	ret = xt_bind(fd, disk, play_users[u].root, unit->block, e->block, e->count, RW, &binding);
	if (ret)
		return ret;
	if (kind == 0) {
		ret = data_zero(u, e, binding, seed);
	} else if (kind == 1) {
		ret = xt_io(fd, EXO_XN_IO_FLUSH, binding, 0, NULL, 0, 0);
		if (!ret)
			ack_data(u, e->block, e->count);
	} else {
		ret = data_write(u, e, binding, seed);
	}
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	return ret;
}

/* Steps ------------------------------------------------------------------------------------------- */

static int commit(uint32_t u)
{
	int ret = xt_commit(play_users[u].fd, disk, play_users[u].root);

	if (!ret)
		ack_commit(u);
	return ret;
}

int play_commit(void)
{
	uint32_t u, before = nr_events;
	int ret = 0;

	for (u = 0; u < PLAY_USERS && !ret; u++) {
		play_become(play_uid[u]);
		ret = commit(u);
	}
	play_become(0);
	tell(before);
	return ret;
}

static int step_trim(void)
{
	struct exo_xn_trim cmd = { .size = sizeof(cmd), .disk = disk, .start = first, .count = AREA };
	int ret;

	play_become(0);
	ret = t_ioctl(play_admin, EXO_XN_TRIM, &cmd);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

int play_step(uint64_t *seed)
{
	uint32_t u = (uint32_t)(test_random(seed) % PLAY_USERS), before = nr_events;
	int ret;

	play_become(play_uid[u]);
	switch (test_random(seed) % 20) {
	case 0 ... 3:
		ret = step_grow(u, seed);
		break;
	case 4:
		ret = step_unit(u, seed);
		break;
	case 5 ... 7:
		ret = step_free(u, seed);
		break;
	case 8:
		ret = step_move(u, seed);
		break;
	case 9:
		ret = test_random(seed) % 3 ? 0 : step_trim();
		break;
	case 10 ... 12:
		ret = commit(u);
		break;
	default:
		ret = step_data(u, seed);
		break;
	}
	/* The log has no room for more of it at once. */
	if (ret == -ENOSPC)
		ret = commit(u);
	play_become(0);
	tell(before);
	return ret;
}

static void attach(const char *path)
{
	struct exo_xn_disk info = { .size = sizeof(info) };
	struct exo_xn_attach cmd;

	ASSERT_EQ(xt_attach(play_admin, path, &cmd), 0);
	info.disk = disk = cmd.out_disk;
	ASSERT_EQ(t_ioctl(play_admin, EXO_XN_DISK, &info), 0);
	first = (uint32_t)info.out_first;
	ASSERT_LT(first + AREA, PLAY_BLOCKS);
}

void play_start(const char *path)
{
	struct exo_xn_format format = { .size = sizeof(format), .path = (uintptr_t)path,
					.log_blocks = PLAY_LOG };
	struct exo_xn_root_create root;
	struct xt_unit unit;
	uint32_t u;

	nr_events = 0;
	writes = 0;
	memset(play_written, 0, sizeof(play_written));
	ASSERT_EQ(t_ioctl(play_admin, EXO_XN_FORMAT, &format), 0);
	attach(path);
	for (u = 0; u < PLAY_USERS; u++) {
		struct user *user = &play_users[u];

		play_become(play_uid[u]);
		memset(&user->now, 0, sizeof(user->now));
		play_build(&user->now.unit[0], 0, &unit);
		ASSERT_EQ(xt_root(user->fd, disk, xt_template(user->fd, disk), play_name[u], &unit, 0, &root),
			  0);
		user->root = root.out_root;
		user->version = user->at = user->acked = 0;
		user->now.unit[0].block = root.out_block;
		user->history[0] = user->now;
		ack_commit(u);
		play_become(0);
	}
	tell(0);
}

void play_again(const char *path)
{
	struct xt_unit bytes;
	uint32_t u, i;

	attach(path);
	/* What was not acknowledged may be gone: nobody may be told of it later. */
	for (i = 0; i < PLAY_BLOCKS; i++)
		play_written[i].last = play_written[i].acked;
	for (u = 0; u < PLAY_USERS; u++) {
		struct user *user = &play_users[u];

		user->at = user->acked;
		user->now = user->history[user->at];
		play_become(play_uid[u]);
		for (i = 0; i < UNITS; i++)
			if (user->now.unit[i].block)
				ASSERT_EQ(xt_read(user->fd, disk, user->root, user->now.unit[0].block,
						  user->now.unit[i].block, &bytes, sizeof(bytes)),
					  sizeof(bytes));
		play_become(0);
	}
}
