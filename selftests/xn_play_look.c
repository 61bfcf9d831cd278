// SPDX-License-Identifier: GPL-2.0
#include "xn_play_model.h"

struct promise {
	uint64_t version[PLAY_USERS];
	struct {
		uint64_t number;
		uint32_t user;
	} data[PLAY_BLOCKS];
};

static const struct promise *promised(uint32_t count)
{
	static struct promise promise;
	uint32_t i;

	memset(&promise, 0, sizeof(promise));
	for (i = 0; i < count; i++) {
		const struct event *e = &play_event[i];

		if (!e->data) {
			promise.version[e->user] = e->number;
		} else {
			promise.data[e->block].number = e->number;
			promise.data[e->block].user = e->user;
		}
	}
	return &promise;
}

bool play_promised(uint32_t count, uint64_t block, const void *sector)
{
	const struct promise *promise = promised(count);
	const uint64_t *words = sector;
	const struct state *state;
	uint32_t u, i, k;

	if (block >= PLAY_BLOCKS || words[0] < TAG || words[0] >= TAG + PLAY_USERS || words[1] != block ||
	    promise->data[block].number != words[2])
		return false;
	u = (uint32_t)(words[0] - TAG);
	state = &play_users[u].history[promise->version[u]];
	for (i = 0; i < UNITS; i++)
		for (k = 0; k < state->unit[i].nr; k++) {
			const struct entry *e = &state->unit[i].e[k];

			if (e->slot == EXO_XN_DATA && block >= e->block && block < e->block + e->count)
				return words[2] > e->life;
		}
	return false;
}

static const char *look_sector(const uint64_t *words, uint32_t u, uint64_t block, const struct entry *e,
			       const struct promise *promise)
{
	uint64_t least = promise->data[block].number;
	uint32_t i;

	if (promise->data[block].user != u || least < e->life)
		least = 0;
	for (i = 0; i < 64 && !words[i]; i++)
		;
	if (i == 64)
		return least && play_written[block].zeroed < least ? "acknowledged data reads as zeros" : NULL;
	if (words[0] != TAG + u)
		return words[0] - TAG < PLAY_USERS ? "data of the other user" : "bytes of nobody's";
	if (words[1] != block)
		return "data of another block";
	if (words[2] < e->life)
		return "data of an earlier life of the block";
	if (words[2] < least)
		return "data that is older than what was acknowledged";
	for (i = 3; i < 64; i++)
		if (words[i] != words[2] * 0x9e3779b97f4a7c15ULL + i)
			return "a torn sector";
	return NULL;
}

/* promise: NULL: these must be zeros. */
static const char *look_extent(uint32_t number, uint32_t u, uint64_t parent, const struct entry *e,
			       const struct promise *promise)
{
	struct user *user = &play_users[u];
	const char *wrong = NULL;
	uint32_t binding, i, k;

	if (xt_bind(user->fd, number, user->root, parent, e->block, e->count, RO, &binding))
		return "an extent that can't be bound";
	for (i = 0; i < e->count; i++)
		memset(user->page[i], 0x5a, 4096);
	if (xt_io(user->fd, EXO_XN_IO_READ, binding, 0, user->frame, e->count, 0))
		wrong = "data that can't be read";
	for (i = 0; i < e->count && !wrong; i++)
		for (k = 0; k < 512 && !wrong; k += 64) {
			static const struct promise nothing;

			wrong = look_sector(user->page[i] + k, u, e->block + i, e,
					    promise ? promise : &nothing);
			if (!wrong && !promise && user->page[i][k])
				wrong = "a new block shows what was there before";
		}
	ASSERT_EQ(xt_unbind(user->fd, binding), 0);
	return wrong;
}

static const char *look_unit(uint32_t number, uint32_t u, const struct state *state, uint32_t i,
			     uint32_t version, const struct promise *promise)
{
	const struct unit *unit = &state->unit[i];
	struct user *user = &play_users[u];
	struct xt_unit found, wanted;
	const char *wrong = NULL;
	uint32_t k;

	play_build(unit, i ? 0 : version, &wanted);
	if (xt_read(user->fd, number, user->root, state->unit[0].block, unit->block, &found,
		    sizeof(found)) != sizeof(found))
		return "a unit that can't be read";
	if (memcmp(&found, &wanted, sizeof(found)))
		return "a unit is not as it was committed";
	for (k = 0; k < unit->nr && !wrong; k++)
		if (unit->e[k].slot == EXO_XN_DATA)
			wrong = look_extent(number, u, unit->block, &unit->e[k], promise);
	return wrong;
}

/* A block that is free shows nothing to who gets it next. */
static const char *look_free(uint32_t number, uint32_t u, const struct state *state, uint32_t version,
			     uint64_t *seed)
{
	struct entry e = { .life = ~0ULL, .count = EXTENT, .slot = EXO_XN_DATA };
	struct xt_unit unit;

	e.block = play_free_run(u, number, EXTENT, seed);
	if (!e.block || state->unit[0].nr == ENTRIES)
		return NULL;
	play_build(&state->unit[0], version, &unit);
	if (xt_grow(play_users[u].fd, number, play_users[u].root, state->unit[0].block, &unit, e.block, EXTENT,
		    EXO_XN_DATA, 0))
		return "free blocks that can't be allocated";
	return look_extent(number, u, state->unit[0].block, &e, NULL);
}

static const char *look_user(uint32_t number, uint32_t u, const struct promise *promise, uint64_t *seed)
{
	struct user *user = &play_users[u];
	const struct state *state;
	const char *wrong = NULL;
	struct exo_xn_root root;
	struct xt_unit unit;
	uint64_t blocks = 0;
	uint32_t i, k;

	if (xt_find(user->fd, number, play_name[u], &root))
		return "a root is gone";
	if (root.out_uid != play_uid[u] || root.root != user->root || root.out_flags)
		return "a root is not what it was";
	if (xt_read(user->fd, number, root.root, root.out_block, root.out_block, &unit, sizeof(unit)) !=
	    sizeof(unit))
		return "a root that can't be read";
	if (unit.group < promise->version[u])
		return "an acknowledged commit is gone";
	if (unit.group > user->version)
		return "a change that was never made";
	state = &user->history[unit.group];
	for (i = 0; i < UNITS && !wrong; i++)
		if (state->unit[i].block)
			wrong = look_unit(number, u, state, i, unit.group, promise);
	for (i = 0; i < UNITS; i++)
		for (k = 0, blocks += !i; k < state->unit[i].nr; k++)
			blocks += state->unit[i].e[k].count;
	if (!wrong && blocks != root.out_blocks)
		wrong = "a root doesn't have as many blocks as it has";
	return wrong ? wrong : look_free(number, u, state, unit.group, seed);
}

const char *play_look_user(uint32_t number, uint32_t u, uint32_t count, uint64_t *seed)
{
	const char *wrong;

	play_become(play_uid[u]);
	wrong = look_user(number, u, promised(count), seed);
	play_become(0);
	return wrong;
}

void play_root(uint32_t u, uint32_t *root, uint64_t *block)
{
	*root = play_users[u].root;
	*block = play_users[u].now.unit[0].block;
}

const char *play_look(uint32_t number, uint32_t count, uint64_t *seed)
{
	struct exo_xn_check check = { .size = sizeof(check), .disk = number };
	const char *wrong = NULL;
	uint32_t u;

	do {
		if (t_ioctl(play_admin, EXO_XN_CHECK, &check))
			return "a check that fails";
	} while (!check.out_done);
	if (check.out_leaked || check.out_bad || check.out_errors)
		return check.out_bad ? "a root that is bad" : "blocks that leaked";
	for (u = 0; u < PLAY_USERS && !wrong; u++)
		wrong = play_look_user(number, u, count, seed);
	return wrong;
}

const char *play_verify(const char *path, uint32_t count, uint64_t *seed)
{
	struct exo_xn_attach cmd;
	const char *wrong;

	if (xt_attach(play_admin, path, &cmd))
		return "it can't be attached";
	wrong = cmd.out_quarantined ? "a root is quarantined" :
				      play_look(cmd.out_disk, count, seed);
	if (xt_detach(play_admin, cmd.out_disk, wrong ? EXO_XN_DETACH_FORCE : 0) && !wrong)
		wrong = "it can't be detached";
	return wrong;
}
