// SPDX-License-Identifier: GPL-2.0
/* What must be true of a world while it runs, and after a crash. */
#include <stdarg.h>

#include "unit.h"
#include "xn_world.h"
#include "xn_world_tag.h"

__attribute__((format(printf, 3, 4)))
static enum w_violation violation(struct world *w, enum w_violation kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->why, sizeof(w->why), format, args);
	va_end(args);
	return kind;
}

/* What a walk of all roots has seen: block by block, whose it is. */
struct owners {
	u32 root[W_BLOCKS];
	u32 refs[W_BLOCKS];
};

/* A root as its own units say: copies, because the engine's bytes live until the next unit is loaded. */
struct seen {
	u32 nr;
	struct {
		u64 block;
		struct w_bytes *bytes;
	} unit[W_UNITS * 2];
};

static void seen_clear(struct seen *seen)
{
	while (seen->nr)
		w_bytes_put(seen->unit[--seen->nr].bytes);
}

static void seen_add(struct seen *seen, const struct exo_xn_unit *unit)
{
	struct w_bytes *bytes = w_bytes_new(unit->blocks * EXO_XN_BLOCK);

	memcpy(bytes->at, unit->now, bytes->length);
	seen->unit[seen->nr].block = unit->block;
	seen->unit[seen->nr++].bytes = bytes;
}

static enum w_violation claim(struct world *w, struct owners *o, u32 root, u64 block, u32 count)
{
	u64 i;

	for (i = block; i < block + count; i++) {
		if (i >= w->sim->now.blocks || w->system[i])
			return violation(w, W_TWICE, "root %u points at block %llu, which is exo's", root,
					 (unsigned long long)i);
		if (o->root[i] && o->root[i] != root)
			return violation(w, W_TWICE, "block %llu: of root %u and of root %u",
					 (unsigned long long)i, o->root[i], root);
		o->root[i] = root;
		o->refs[i]++;
	}
	return W_FINE;
}

static enum sim_format_kind kind_of(const struct world *w, u32 template)
{
	u32 i;

	for (i = 0; i < SIM_KINDS; i++)
		if (w->template[i] == template)
			return i;
	return SIM_LIST;
}

static bool was_seen(const struct seen *seen, u64 block)
{
	u32 i;

	for (i = 0; i < seen->nr; i++)
		if (seen->unit[i].block == block)
			return true;
	return false;
}

/* Walk a root by its own units, loaded by the engine. */
static enum w_violation walk_root(struct world *w, struct exo_xn *xn, u32 number, u64 first,
				  struct seen *seen, struct owners *o)
{
	static struct exo_xn_extent e[W_POINTERS];
	u64 todo[W_UNITS * 4] = { first }, parent[W_UNITS * 4] = { first };
	struct exo_xn_extents set = { .at = e, .max = W_POINTERS };
	struct exo_xn_unit *unit;
	enum w_violation bad;
	u32 nr = 1, i;
	int ret;

	seen_clear(seen);
	while (nr--) {
		u64 block = todo[nr];

		if (was_seen(seen, block))
			continue;
		ret = exo_xn_unit_load(xn, number, parent[nr], block, &unit);
		if (ret || seen->nr == W_UNITS * 2)
			return violation(w, W_STATE, "root %u: unit %llu can't be loaded: %d", number,
					 (unsigned long long)block, ret);
		bad = block == first ? claim(w, o, number, block, unit->blocks) : W_FINE;
		if (bad)
			return bad;
		seen_add(seen, unit);
		set.nr = 0;
		if (sim_owns_all(kind_of(w, unit->template), unit->now, unit->blocks * EXO_XN_BLOCK,
				 w->sim->now.blocks, &set))
			return violation(w, W_STATE, "root %u: unit %llu: owns fails", number,
					 (unsigned long long)block);
		for (i = 0; i < set.nr; i++) {
			bad = claim(w, o, number, e[i].block, e[i].count);
			if (bad)
				return bad;
			if (e[i].slot == EXO_XN_DATA || nr == W_UNITS * 4)
				continue;
			todo[nr] = e[i].block;
			parent[nr++] = block;
		}
	}
	return W_FINE;
}

static bool is_state(const struct seen *seen, const struct w_state *s)
{
	u32 i;

	if (!s->exists || seen->nr != s->nr)
		return false;
	for (i = 0; i < seen->nr; i++) {
		const struct w_unit *unit = w_unit((struct w_state *)s, seen->unit[i].block);

		if (!unit || unit->bytes->length != seen->unit[i].bytes->length ||
		    memcmp(unit->bytes->at, seen->unit[i].bytes->at, unit->bytes->length))
			return false;
	}
	return true;
}

/* Data ---------------------------------------------------------------------------------------------- */

static enum w_violation check_sector(struct world *w, u64 block, u32 life, const u8 *bytes, u32 sector)
{
	const struct w_data *d = &w->data[block];
	struct w_tag tag;

	memcpy(&tag, bytes + sector * SIM_SECTOR, sizeof(tag));
	if (tag.magic != W_TAG_MAGIC || tag.check != w_tag_check(&tag))
		return violation(w, W_TORN, "block %llu, sector %u: nobody's data",
				 (unsigned long long)block, sector);
	if (tag.block != block || tag.sector != sector || tag.life != life)
		return violation(w, W_LEAK, "block %llu of life %u: data of block %llu, life %llu",
				 (unsigned long long)block, life, (unsigned long long)tag.block,
				 (unsigned long long)tag.life);
	if (tag.seq < d->acked || tag.seq > d->submitted)
		return violation(w, W_LOST, "block %llu: write %llu, acknowledged was %llu",
				 (unsigned long long)block, (unsigned long long)tag.seq,
				 (unsigned long long)d->acked);
	return W_FINE;
}

static enum w_violation check_block(struct world *w, struct exo_xn *xn, const struct sim_image *image,
				    u64 block, u32 life)
{
	enum w_violation bad = W_FINE;
	u32 i;

	if (!(exo_xn_readable(xn, block, 1) & 1)) {
		if (w->data[block].life == life && w->data[block].acked)
			return violation(w, W_LOST, "block %llu reads as zeros, acknowledged was %llu",
					 (unsigned long long)block,
					 (unsigned long long)w->data[block].acked);
		return W_FINE;
	}
	for (i = 0; i < SIM_SECTORS && !bad; i++)
		bad = check_sector(w, block, life, sim_bytes(image, block), i);
	return bad;
}

static enum w_violation check_data(struct world *w, struct exo_xn *xn, const struct sim_image *image,
				   const struct w_state *s)
{
	enum w_violation bad = W_FINE;
	u64 block;

	for (block = 0; block < W_BLOCKS && !bad; block++)
		if (s->life[block])
			bad = check_block(w, xn, image, block, s->life[block]);
	return bad;
}

/* The map ------------------------------------------------------------------------------------------- */

/* @waiting: freed and not committed. */
static enum w_violation check_map(struct world *w, struct exo_xn *xn, const struct owners *o,
				  const bool *waiting)
{
	u8 map[W_BLOCKS];
	struct exo_xn_stat stat;
	u64 i, nr_free = 0;
	u32 entry;
	int ret;

	ret = exo_xn_map_show(xn, 0, (u32)w->sim->now.blocks, 4711, map);
	if (ret)
		return violation(w, W_MAP, "map: %d", ret);
	for (i = 0; i < w->sim->now.blocks; i++) {
		u8 want = w->system[i] ? EXO_XN_SYSTEM : o->root[i] ? EXO_XN_TAKEN : EXO_XN_FREE;

		if (want == EXO_XN_FREE && waiting[i])
			want = map[i] == EXO_XN_WAITING ? EXO_XN_WAITING : EXO_XN_TAKEN;
		nr_free += want == EXO_XN_FREE;
		if (map[i] != want)
			return violation(w, W_MAP, "block %llu is %u in the map, not %u",
					 (unsigned long long)i, map[i], want);
		if (!o->root[i])
			continue;
		ret = exo_xn_map_look(xn, i, &entry);
		if (ret || (entry & EXO_XN_ENTRY_ROOT) != o->root[i] ||
		    (entry & EXO_XN_ENTRY_REFS) / EXO_XN_ENTRY_REF != o->refs[i])
			return violation(w, W_MAP, "block %llu: entry %#x, of root %u, %u pointers",
					 (unsigned long long)i, entry, o->root[i], o->refs[i]);
	}
	exo_xn_stat(xn, &stat);
	if (stat.free != nr_free)
		return violation(w, W_MAP, "%llu are free, not %llu", (unsigned long long)stat.free,
				 (unsigned long long)nr_free);
	return W_FINE;
}

static enum w_violation check_walk(struct world *w, struct exo_xn *xn)
{
	struct exo_xn_check check = {};
	struct exo_xn_walk *walk;
	int ret = exo_xn_walk_begin(xn, false, &walk);

	if (ret)
		return violation(w, W_WALK, "a walk: %d", ret);
	do
		ret = exo_xn_walk_step(walk, 2);
	while (ret == 1);
	exo_xn_walk_show(walk, &check);
	exo_xn_walk_end(walk);
	if (ret || check.out_leaked || check.out_bad || check.out_errors)
		return violation(w, W_WALK, "a walk: %d, leaked %llu, bad %llu, errors %llu", ret,
				 (unsigned long long)check.out_leaked,
				 (unsigned long long)check.out_bad,
				 (unsigned long long)check.out_errors);
	return W_FINE;
}

enum w_violation w_check_live(struct world *w)
{
	static struct owners o;
	bool waiting[W_BLOCKS] = {};
	static struct seen seen;
	enum w_violation bad;
	u32 i, b;

	memset(&o, 0, sizeof(o));
	for (i = 0; i < W_ROOTS; i++) {
		struct w_root *root = &w->root[i];

		if (!root->used)
			continue;
		for (b = 0; b < W_BLOCKS; b++)
			waiting[b] |= root->waiting[b];
		if (!root->now.exists)
			continue;
		bad = walk_root(w, w->xn, root->number, root->block, &seen, &o);
		if (bad)
			return bad;
		if (!is_state(&seen, &root->now))
			return violation(w, W_STATE, "%s isn't as the model says", root->name);
		bad = check_data(w, w->xn, &w->sim->now, &root->now);
		if (bad)
			return bad;
	}
	return check_map(w, w->xn, &o, waiting);
}

/* After a crash ------------------------------------------------------------------------------------- */

static struct w_root *by_name(struct world *w, const char *name)
{
	u32 i;

	for (i = 0; i < W_ROOTS; i++)
		if (w->root[i].used && !strcmp(w->root[i].name, name))
			return &w->root[i];
	return NULL;
}

/* Which of the states that it may have is it in? NULL: none. */
static const struct w_state *state_of(const struct w_root *root, const struct seen *seen)
{
	if (root->trying && is_state(seen, &root->tried))
		return &root->tried;
	if (is_state(seen, &root->acked))
		return &root->acked;
	return NULL;
}

static bool may_be_missing(const struct w_root *root)
{
	return !root->acked.exists || (root->trying && !root->tried.exists);
}

static enum w_violation check_roots(struct world *w, struct exo_xn *xn, const struct sim_image *image)
{
	static struct owners o;
	static const bool none[W_BLOCKS];
	bool present[W_ROOTS] = {};
	const struct w_state *state[W_ROOTS] = {};
	struct exo_xn_root_core *core;
	enum w_violation bad;
	struct w_root *root;
	static struct seen seen;
	u32 i;

	memset(&o, 0, sizeof(o));
	for (i = 1; i <= EXO_XN_ROOTS; i++) {
		core = exo_xn_root(xn, i);
		if (!core || !core->number)
			continue;
		root = by_name(w, core->name);
		if (!root)
			return violation(w, W_STATE, "a root that there can't be: %s", core->name);
		if (core->flags & EXO_XN_ROOT_QUARANTINED)
			return violation(w, W_QUARANTINE, "%s is quarantined", core->name);
		bad = walk_root(w, xn, i, core->block, &seen, &o);
		if (bad)
			return bad;
		state[root - w->root] = state_of(root, &seen);
		if (!state[root - w->root] || core->uid != root->uid)
			return violation(w, W_STATE, "%s isn't as it was at a commit", core->name);
		present[root - w->root] = true;
	}
	for (i = 0; i < W_ROOTS; i++)
		if (w->root[i].used && !present[i] && !may_be_missing(&w->root[i]))
			return violation(w, W_STATE, "%s is gone", w->root[i].name);
	bad = check_map(w, xn, &o, none);
	for (i = 0; i < W_ROOTS && !bad; i++)
		if (state[i])
			bad = check_data(w, xn, image, state[i]);
	return bad;
}

/* Somebody else takes all that is free now: nothing of it may be readable. */
static enum w_violation check_again(struct world *w, struct exo_xn *xn)
{
	struct exo_xn_who who = w_who(4711);
	struct sim_unit head = { .bytes = EXO_XN_BLOCK };
	struct exo_xn_step_core step[2];
	struct exo_xn_root_core *core;
	struct sim_record record;
	u8 map[W_BLOCKS], bytes[EXO_XN_BLOCK] = {};
	u32 number, nr = 0, from, to, out_step;
	u64 out_block, seq;
	int ret;

	memcpy(bytes, &head, sizeof(head));
	ret = exo_xn_root_create(xn, &who, "somebody", w->template[SIM_LIST], 0, 0, 0, NULL, bytes,
				 sizeof(bytes), &number);
	if (ret == -ENOSPC)
		return W_FINE;
	if (ret || exo_xn_map_show(xn, 0, (u32)w->sim->now.blocks, 4711, map))
		return violation(w, W_AGAIN, "a new root: %d", ret);
	core = exo_xn_root(xn, number);
	for (from = 0; from < w->sim->now.blocks; from = to + 1) {
		for (to = from; to < w->sim->now.blocks && map[to] == EXO_XN_FREE; to++)
			;
		if (to == from || nr == 200)
			continue;
		record = (struct sim_record){ from, to - from, EXO_XN_DATA };
		step[0] = (struct exo_xn_step_core){
			.kind = EXO_XN_ALLOC, .slot = EXO_XN_DATA, .parent = core->block,
			.block = from, .count = to - from,
		};
		step[1] = (struct exo_xn_step_core){
			.kind = EXO_XN_WRITE, .parent = core->block, .bytes = (u8 *)&record,
			.offset = sizeof(head) + nr++ * sizeof(record), .length = sizeof(record),
		};
		ret = exo_xn_apply(xn, &who, number, step, 2, &out_step, &out_block);
		if (ret)
			return violation(w, W_AGAIN, "blocks %u .. %u can't be taken: %d", from, to - 1, ret);
		for (; from < to; from++)
			if (exo_xn_readable(xn, from, 1))
				return violation(w, W_LEAK, "block %u can be read by its next owner",
						 from);
	}
	core->requested = true;
	ret = exo_xn_commit(xn, &seq);
	return ret ? violation(w, W_AGAIN, "a commit: %d", ret) : W_FINE;
}

static enum w_violation check_image(struct world *w, const struct sim_image *image, u32 depth)
{
	struct sim *sim = sim_from(image);
	enum w_violation bad = W_FINE;
	struct exo_xn_stat stat;
	struct sim_image twice;
	struct exo_xn *xn;
	int ret;

	w->points++;
	ret = exo_xn_attach(&sim->host, sim, image->blocks, w->broken, &xn);
	if (ret) {
		bad = violation(w, W_ATTACH, "attach: %d", ret);
		goto out;
	}
	exo_xn_stat(xn, &stat);
	if (stat.quarantined)
		bad = violation(w, W_QUARANTINE, "%u roots are quarantined", stat.quarantined);
	/* A crash while it recovers. */
	if (!bad && depth && sim->nr_events) {
		sim_crash(sim, (u32)unit_below(sim->nr_events + 1), SIM_TORN, &twice);
		bad = check_image(w, &twice, depth - 1);
		sim_image_free(&twice);
	}
	bad = bad ?: check_roots(w, xn, &sim->now);
	bad = bad ?: check_walk(w, xn);
	if (!bad && depth)
		bad = check_again(w, xn);
	exo_xn_free(xn);
	if (!bad && sim->live)
		bad = violation(w, W_AGAIN, "%lld allocations were not freed", (long long)sim->live);
out:
	sim_free(sim);
	return bad;
}

enum w_violation w_check_crash(struct world *w, u32 upto, enum sim_crash how, bool deep)
{
	struct sim_image image;
	enum w_violation bad;

	sim_crash(w->sim, upto, how, &image);
	bad = check_image(w, &image, deep);
	w->found[bad]++;
	sim_image_free(&image);
	return bad;
}

u32 w_check_recovery(struct world *w, const struct sim_image *image, u32 depth)
{
	enum w_violation bad = check_image(w, image, 0);
	struct sim *sim = sim_from(image);
	struct sim_image next;
	struct exo_xn *xn;
	u32 i, how, wrong = bad != W_FINE;

	w->found[bad]++;
	if (bad && !w->expected)
		printf("# a crash in recovery, %u more to come: %s: %s\n", depth, w_violation_name[bad], w->why);
	if (depth && !bad && !exo_xn_attach(&sim->host, sim, image->blocks, w->broken, &xn)) {
		for (i = 0; i <= sim->nr_events; i++)
			for (how = SIM_ALL; how <= SIM_TORN; how++) {
				sim_crash(sim, i, how, &next);
				wrong += w_check_recovery(w, &next, depth - 1);
				sim_image_free(&next);
			}
		exo_xn_free(xn);
	}
	sim_free(sim);
	return wrong;
}

static u32 check_point(struct world *w, u32 at, enum sim_crash how, bool acked)
{
	static const char *const name[] = { "all", "none", "some", "torn" };
	enum w_violation bad = w_check_crash(w, at, how, unit_below(8) == 0);

	if (bad && !w->expected)
		printf("# crash before event %u of %u (%s%s): %s: %s\n", at, w->sim->nr_events, name[how],
		       acked ? ", acknowledged" : "", w_violation_name[bad], w->why);
	return bad != W_FINE;
}

u32 w_check_points(struct world *w, u32 from, u32 torn)
{
	u32 i, n, bad = 0, end = w->sim->nr_events;

	if (from == end)
		return 0;
	for (i = from; i < end; i++) {
		if (sim_is_barrier(&w->sim->event[i])) {
			bad += check_point(w, i, SIM_NONE, false);
			bad += check_point(w, i, SIM_ALL, false);
			bad += check_point(w, i, SIM_SOME, false);
		}
		for (n = 0; n < torn; n++)
			bad += check_point(w, i, SIM_TORN, false);
	}
	w_finish(w);
	bad += check_point(w, end, SIM_NONE, true);
	for (n = 0; n < torn; n++)
		bad += check_point(w, end, SIM_TORN, true);
	return bad;
}
