// SPDX-License-Identifier: LGPL-2.1-or-later
/* See graft_domain.h. */
#include "graft_domain.h"

u64 range_length(struct exo_range r, u64 *max)
{
	*max = (r.lo <= r.hi ? r.hi : r.lo) <= EXO_HALF ? EXO_HALF : EXO_WORD;
	return (r.hi - r.lo) & *max;
}

static bool covers(struct exo_range r, struct exo_range a, struct exo_range b)
{
	return exo_range_within(a, r) && exo_range_within(b, r);
}

struct exo_range range_join(struct exo_range a, struct exo_range b)
{
	struct exo_range try[3] = { { a.lo, b.hi }, { b.lo, a.hi }, { 0, EXO_HALF } };
	struct exo_range best = exo_range_to(EXO_WORD);
	u64 max;
	int i;

	if (exo_range_within(a, b))
		return b;
	if (exo_range_within(b, a))
		return a;
	for (i = 0; i < 3; i++)
		if (covers(try[i], a, b) &&
		    (range_length(try[i], &max) < range_length(best, &max) ||
		     (best.lo > best.hi && try[i].lo <= try[i].hi &&
		      range_length(try[i], &max) == range_length(best, &max))))
			best = try[i];
	return best;
}

static u64 stop_above(const struct thresholds *stops, u64 x)
{
	u32 i;

	for (i = 0; i < stops->nr; i++)
		if (stops->at[i] >= x)
			return stops->at[i];
	return EXO_WORD;
}

static u64 stop_below(const struct thresholds *stops, u64 x)
{
	u32 i;

	for (i = stops->nr; i-- > 0;)
		if (stops->at[i] <= x)
			return stops->at[i];
	return 0;
}

struct exo_range range_widen(const struct thresholds *stops, struct exo_range old, struct exo_range now)
{
	struct exo_range r = range_join(old, now), half = { 0, EXO_HALF };
	struct exo_range all = exo_range_to(EXO_WORD);

	if (exo_range_within(now, old))
		return old;
	if (exo_range_within(r, half) && (!stops || r.lo > r.hi))
		return half;
	if (!stops)
		return all;
	if (r.hi != old.hi)
		r.hi = stop_above(stops, r.hi);
	if (r.lo != old.lo)
		r.lo = stop_below(stops, r.lo);
	return covers(r, old, now) ? r : all;
}

static s32 join_avail(s32 old, s32 now, bool widen)
{
	if (now >= old)
		return old;
	return !widen ? now : now >= 0 ? 0 : EXO_NO_AVAIL;
}

static void forget(struct exo_val *v, bool number)
{
	exo_val_scalar(v, EXO_WORD);
	v->kind = EXO_KIND_NONE;
	v->init = number ? 0xff : 0;
}

static bool is_number(const struct exo_val *v)
{
	return v->kind == EXO_KIND_SCALAR || v->kind == EXO_KIND_LEFT;
}

struct join {
	bool old_dead;
	bool now_dead;
	bool widen;
	const struct thresholds *stops;
};

static void join_val(const struct join *how, struct exo_val *v, const struct exo_val *now)
{
	u8 init = v->init & now->init;
	bool bytes = (is_number(v) || v->kind == EXO_KIND_NONE) &&
		     (is_number(now) || now->kind == EXO_KIND_NONE);

	if (v->kind != now->kind) {
		if (!is_number(v) || !is_number(now)) {
			forget(v, false);
			v->init = bytes ? init : 0;
			return;
		}
		v->kind = EXO_KIND_SCALAR;
		v->id = 0;
		v->delta = 0;
	}
	v->init = init;
	if (v->kind == EXO_KIND_NONE)
		return;
	v->zeros = v->zeros < now->zeros ? v->zeros : now->zeros;
	v->spec = how->widen ? range_widen(how->stops, v->spec, now->spec) : range_join(v->spec, now->spec);
	if (how->now_dead)
		return;
	if (how->old_dead) {
		v->arch = now->arch;
		v->avail = now->avail;
		v->id = now->id;
		v->delta = now->delta;
		return;
	}
	v->arch = how->widen ? range_widen(how->stops, v->arch, now->arch) : range_join(v->arch, now->arch);
	v->avail = join_avail(v->avail, now->avail, how->widen);
}

/* What a base was called before: on one side, or on both. */
struct base {
	u16 old;
	u16 now;
	s32 shift;
	u16 name;
	u32 users;
};

static struct base *find_base(struct base *bases, u32 *nr, u16 old, u16 now, s32 shift)
{
	u32 i;

	for (i = 0; i < *nr; i++)
		if (bases[i].old == old && bases[i].now == now && bases[i].shift == shift)
			return &bases[i];
	bases[*nr] = (struct base){ .old = old, .now = now, .shift = shift };
	return &bases[(*nr)++];
}

/*
 * Two values have the same base after a join if they had on both sides, at the same distance. @old
 * are the values before the join; a dead side knows nothing.
 */
static void join_bases(struct exo_state *st, const struct exo_val *old, const struct exo_val *now, u32 locs,
		       bool old_dead, bool now_dead)
{
	struct base bases[EXO_LOCS];
	struct base *of[EXO_LOCS];
	u32 nr = 0, i;
	u16 next = EXO_ID_DATA + 1;

	for (i = 0; i < locs; i++) {
		struct exo_val *v = &st->v[i];
		u16 a = old_dead ? now[i].id : old[i].id, b = now_dead ? old[i].id : now[i].id;
		s32 da = old_dead ? now[i].delta : old[i].delta;
		s32 db = now_dead ? old[i].delta : now[i].delta;

		of[i] = NULL;
		if (v->kind == EXO_KIND_NONE || v->kind == EXO_KIND_END || !a || !b || i == EXO_R10 ||
		    (old_dead && now_dead))
			continue;
		if (v->kind != old[i].kind && !old_dead)
			continue;
		of[i] = find_base(bases, &nr, a, b, da - db);
		of[i]->users++;
		v->delta = da;
	}
	for (i = 0; i < locs; i++) {
		struct exo_val *v = &st->v[i];
		struct base *base = of[i];

		if (base && !base->name) {
			if (base->old == EXO_ID_DATA && base->now == EXO_ID_DATA && base->shift == 0)
				base->name = EXO_ID_DATA;
			else if (base->users > 1)
				base->name = next++;
		}
		v->id = base ? base->name : 0;
		if (!v->id)
			v->delta = 0;
	}
}

void state_rename(struct exo_state *st, u32 locs)
{
	struct exo_state old = *st;

	join_bases(st, old.v, old.v, locs, false, false);
}

bool state_join(struct exo_state *st, const struct exo_state *now, u32 locs, bool widen,
		const struct thresholds *stops)
{
	struct join how = { st->dead, now->dead, widen, stops };
	struct exo_state old = *st;
	u32 i;

	for (i = 0; i < locs; i++)
		join_val(&how, &st->v[i], &now->v[i]);
	join_bases(st, old.v, now->v, locs, old.dead, now->dead);
	st->dead = old.dead && now->dead;
	for (i = 0; i < locs; i++) {
		st->v[i].tag = old.v[i].tag;
		st->v[i].dlo = old.v[i].dlo;
		st->v[i].dhi = old.v[i].dhi;
		st->v[i].half = old.v[i].half;
	}
	return st->dead != old.dead || __builtin_memcmp(st->v, old.v, locs * sizeof(st->v[0])) != 0;
}
