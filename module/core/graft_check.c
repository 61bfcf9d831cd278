// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * The checker: one pass over a graft and its certificate.
 *
 * At each jump target a record says what is known there. The pass starts behind it with that, works out
 * what each instruction makes of it, and at each jump and at each fall into another target compares: what
 * is known here must imply the record there. So all records hold, by induction over a run's steps, and so
 * does every check that was made with them (INV-GRAFT-22).
 *
 * Loops. Every cycle takes a backward jump. If the record at its target t names a measure, a value in a
 * range of n numbers, and each backward jump to t comes with the measure moved by at least one step in one
 * direction since t was passed last, at most n / step such jumps can follow each other without t being
 * entered forwards in between; and that happens once, and once after each backward jump from t or behind
 * it to a place before t. So the counts multiply along nested loops (INV-GRAFT-25). No structure of the
 * loops is assumed.
 */
#include "core/graft_cert.h"

#define NO_RECORD 0U		/* the header is there */
#define MANY (1ULL << 40)	/* more is not worth counting */

/* Of a slot. */
struct info {
	u32 record;		/* its offset in the certificate */
	u32 last;		/* of a loop's head: the last slot that jumps back to it */
	u32 step;		/* the measure moves at least that far */
	bool up, down;		/* in that direction */
	bool endless;		/* no measure */
	u64 numbers;		/* in the measure's range, less one */
	u64 ends;		/* backward jumps to heads whose @last it is */
};

struct same {
	u16 id;
	s32 shift;
};

struct check {
	struct exo_graft_prog *prog;
	const u8 *cert;
	const u8 *end;
	struct exo_flow flow;
	struct exo_state state;
	struct exo_state other;		/* of the jump that is taken */
	struct same same[EXO_RECORD_IDS];
	struct info info[];
};

/**
 * exo_graft_check_room() - how much scratch memory the checker needs
 * @prog: a decoded graft
 *
 * Return: bytes.
 */
size_t exo_graft_check_room(const struct exo_graft_prog *prog)
{
	return sizeof(struct check) + prog->len * sizeof(struct info);
}

static int bad_cert(struct check *c, u32 code, const u8 *at)
{
	c->flow.err->lo = at ? at - c->cert : 0;
	return exo_flow_fail(&c->flow, code, 0);
}

/* Finds the records; all are well-formed then. */
static int index_records(struct check *c, size_t size)
{
	struct exo_record rec = { .at = c->cert, .end = c->end };
	u32 records, i, slot = 0;
	struct exo_val v;
	u64 hash;

	if (size == 0)
		return 0;
	if (size > EXO_GRAFT_MAX_CERT || exo_cert_read(&rec, 4) != EXO_CERT_MAGIC ||
	    exo_cert_read(&rec, 2) != EXO_CERT_VERSION)
		return bad_cert(c, EXO_GRAFT_E_CERT_FORM, c->cert);
	records = (u32)exo_cert_read(&rec, 2);
	hash = exo_cert_read(&rec, 8);
	if (exo_cert_read(&rec, 4) != size || exo_cert_read(&rec, 4) != 0 || rec.bad)
		return bad_cert(c, EXO_GRAFT_E_CERT_FORM, c->cert);
	if (hash != exo_graft_hash(c->prog))
		return bad_cert(c, EXO_GRAFT_E_CERT_HASH, c->cert);

	for (i = 0; i < records; i++) {
		const u8 *at = rec.at;

		exo_record_open(&rec, at, c->end);
		if (rec.slot >= c->prog->len || (i && rec.slot <= slot) ||
		    !(c->prog->slots[rec.slot] & EXO_SLOT_TARGET) ||
		    (rec.measure != EXO_RECORD_NO_MEASURE && rec.measure >= exo_locs(c->prog)))
			rec.bad = true;
		while (exo_record_next(&rec, c->prog, &v))
			;
		if (rec.bad)
			return bad_cert(c, EXO_GRAFT_E_CERT_FORM, rec.at);
		slot = rec.slot;
		c->info[slot].record = (u32)(at - c->cert);
	}
	if (rec.at != c->end)
		return bad_cert(c, EXO_GRAFT_E_CERT_FORM, rec.at);
	return 0;
}

static int open_record(struct check *c, u32 slot, struct exo_record *rec)
{
	if (c->info[slot].record == NO_RECORD)
		return bad_cert(c, EXO_GRAFT_E_CERT_MISSING, NULL);
	exo_record_open(rec, c->cert + c->info[slot].record, c->end);
	return 0;
}

/* A record becomes what is known. */
static int load_record(struct check *c, u32 slot)
{
	struct exo_record rec;
	struct exo_val v;
	u32 measure;

	c->flow.slot = slot;
	if (open_record(c, slot, &rec))
		return -EINVAL;
	measure = rec.measure;
	exo_state_entry(&c->flow);
	exo_val_set(&c->state.v[1], EXO_KIND_NONE, exo_range_to(EXO_WORD), exo_range_to(EXO_WORD));
	c->state.dead = rec.dead;
	while (exo_record_next(&rec, c->prog, &v))
		c->state.v[rec.loc] = v;
	if (measure != EXO_RECORD_NO_MEASURE) {
		struct exo_val *m = &c->state.v[measure];

		m->tag = (u16)(slot + 1);
		m->dlo = 0;
		m->dhi = 0;
		m->half = 0;
	}
	return 0;
}

/* Bases have other names in a record: the same one for all, and the same distance. */
static bool same_base(struct check *c, const struct exo_val *v, const struct exo_val *r)
{
	struct same *same = &c->same[r->id];
	s32 shift = v->delta - r->delta;

	if (r->id == 0)
		return true;
	if (v->id == 0 || (r->id == EXO_ID_DATA && (v->id != EXO_ID_DATA || shift != 0)))
		return false;
	if (same->id == 0)
		*same = (struct same){ v->id, shift };
	return same->id == v->id && same->shift == shift;
}

/* Does what is known of @v imply what the record says, @r? */
static bool implies(struct check *c, const struct exo_val *v, const struct exo_val *r, bool dead)
{
	if (r->init & ~v->init)
		return false;
	if (r->kind == EXO_KIND_NONE) {
		/* bytes of the stack that are numbers */
		return v->kind == EXO_KIND_NONE || v->kind == EXO_KIND_SCALAR ||
		       v->kind == EXO_KIND_LEFT;
	}
	if (v->kind != r->kind && !(v->kind == EXO_KIND_LEFT && r->kind == EXO_KIND_SCALAR && !r->id))
		return false;
	if (!exo_range_within(v->spec, r->spec) || v->zeros < r->zeros)
		return false;
	if (dead)
		return true;
	if (!exo_range_within(v->arch, r->arch) || v->avail < r->avail || !same_base(c, v, r))
		return false;
	return r->tag == 0 || (v->tag == r->tag && v->dlo >= r->dlo && v->dhi <= r->dhi &&
			       v->half <= r->half);
}

/* Does @st imply the record at @to? Else which location is at fault. */
static int check_edge(struct check *c, const struct exo_state *st, u32 to)
{
	struct exo_graft_error *err = c->flow.err;
	struct exo_record rec;
	struct exo_val r;

	if (open_record(c, to, &rec))
		return -EINVAL;
	__builtin_memset(c->same, 0, sizeof(c->same));
	if (rec.dead && !st->dead) {
		err->bound = to;
		return exo_flow_fail(&c->flow, EXO_GRAFT_E_JOIN, 0);
	}
	while (exo_record_next(&rec, c->prog, &r)) {
		const struct exo_val *v = &st->v[rec.loc];

		if (implies(c, v, &r, st->dead))
			continue;
		err->lo = (s64)v->arch.lo;
		err->hi = (s64)v->arch.hi;
		err->bound = to;
		return exo_flow_fail(&c->flow, EXO_GRAFT_E_JOIN, rec.loc);
	}
	return 0;
}

/* How far has the measure of the loop at @to moved, when a run jumps back from @st? */
static void check_measure(struct check *c, const struct exo_state *st, u32 to)
{
	struct info *head = &c->info[to];
	const struct exo_val *m;
	struct exo_record rec;
	struct exo_val r = { 0 };
	u64 max, numbers;
	u32 measure, far, step;
	bool up;

	if (st->dead)
		return;
	head->last = c->flow.slot;
	exo_record_open(&rec, c->cert + head->record, c->end);
	measure = rec.measure;
	rec.loc = EXO_LOCS;
	while (rec.loc != measure && exo_record_next(&rec, c->prog, &r))
		;
	m = rec.loc == measure && !rec.bad ? &st->v[measure] : NULL;
	if (!m || r.kind == EXO_KIND_NONE || m->tag != to + 1) {
		head->endless = true;
		return;
	}
	max = (r.arch.lo <= r.arch.hi ? r.arch.hi : r.arch.lo) <= EXO_HALF ? EXO_HALF : EXO_WORD;
	numbers = r.arch.hi - r.arch.lo;
	if (max == EXO_HALF)
		numbers &= EXO_HALF;
	up = m->dlo >= 1;
	step = (u32)(up ? m->dlo : -m->dhi);
	far = (u32)(up ? m->dhi : -m->dlo);
	if ((!up && m->dhi > -1) || (m->half && max == EXO_WORD) || numbers > max - far) {
		head->endless = true;
		return;
	}
	if (head->step == 0 || step < head->step)
		head->step = step;
	head->numbers = numbers;
	head->up |= up;
	head->down |= !up;
}

static int jump(struct check *c, const struct exo_state *st, u32 to)
{
	if (check_edge(c, st, to))
		return -EINVAL;
	if (to <= c->flow.slot)
		check_measure(c, st, to);
	return 0;
}

/* One instruction. *@goes_on: what comes behind it follows it. */
static int check_slot(struct check *c, bool *goes_on)
{
	const struct exo_insn *in = &c->prog->insns[c->flow.slot];
	u32 to = c->flow.slot + 1 + (u32)(s32)in->off;
	u32 locs = exo_locs(c->prog);

	*goes_on = true;
	if (exo_insn_is_jump(in, EXO_JA)) {
		*goes_on = false;
		return jump(c, &c->state, to);
	}
	if (!exo_insn_is_branch(in)) {
		*goes_on = !exo_insn_is_jump(in, EXO_EXIT);
		return exo_flow_insn(&c->flow);
	}
	if (exo_flow_compare(&c->flow))
		return -EINVAL;
	__builtin_memcpy(c->other.v, c->state.v, locs * sizeof(c->state.v[0]));
	c->other.dead = c->state.dead;
	c->flow.st = &c->other;
	exo_flow_branch(&c->flow, true);
	c->flow.st = &c->state;
	exo_flow_branch(&c->flow, false);
	return jump(c, &c->other, to);
}

static int check_all(struct check *c)
{
	struct exo_graft_prog *prog = c->prog;
	bool goes_on = true;
	u32 slot;

	for (slot = 0; slot < prog->len; slot++) {
		if (prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		if (prog->slots[slot] & EXO_SLOT_TARGET) {
			if ((goes_on && check_edge(c, &c->state, slot)) || load_record(c, slot))
				return -EINVAL;
		} else if (!goes_on) {
			return bad_cert(c, EXO_GRAFT_E_CERT_MISSING, NULL);
		}
		c->flow.slot = slot;
		c->flow.barrier = c->flow.behind;
		c->flow.behind = false;
		if (check_slot(c, &goes_on))
			return -EINVAL;
		if (c->flow.barrier)
			prog->slots[slot] |= EXO_SLOT_NOSPEC;
	}
	return 0;
}

/* What the dearest run charges: INV-GRAFT-25. Returns ~0 if that isn't known. */
static u64 worst_case(struct check *c)
{
	const struct exo_graft_prog *prog = c->prog;
	u64 total = prog->len, jumps = 0, times;
	u32 slot;

	for (slot = 0; slot < prog->len; slot++) {
		struct info *info = &c->info[slot];
		const struct exo_insn *in = &prog->insns[slot];

		if (info->endless || (info->up && info->down))
			return ~0ULL;
		if (info->step) {
			times = info->numbers / info->step;
			if (times > MANY / (1 + jumps))
				return ~0ULL;
			times *= 1 + jumps;
			total += times * (info->last - slot + 1);
			jumps += times;
			c->info[info->last].ends += times;
		}
		if (!(prog->slots[slot] & EXO_SLOT_SECOND) && exo_insn_is_jump(in, EXO_CALL))
			total += (1 + jumps) * exo_helpers[(u32)in->imm % EXO_GRAFT_MAX_HELPERS].cost;
		if (total > MANY || jumps > MANY)
			return ~0ULL;
		jumps -= info->ends;
	}
	return total;
}

/**
 * exo_graft_check() - checks the proof that a graft is safe
 * @prog: a decoded graft; out: EXO_SLOT_NOSPEC, @mixed, @worst
 * @cert: the certificate; it must not change meanwhile
 * @cert_size: bytes of it; a graft without jumps needs none
 * @room: exo_graft_check_room() bytes, aligned as a u64
 * @err: out: the first thing that was wrong
 *
 * Takes time in proportion to the code and the certificate. Works on hostile certificates.
 *
 * Return: 0, or -EINVAL and @err.
 */
int exo_graft_check(struct exo_graft_prog *prog, const void *cert, size_t cert_size, void *room,
		    struct exo_graft_error *err)
{
	struct check *c = room;
	u32 slot;

	__builtin_memset(c, 0, exo_graft_check_room(prog));
	__builtin_memset(err, 0, sizeof(*err));
	c->prog = prog;
	c->cert = cert;
	c->end = c->cert + cert_size;
	c->flow = (struct exo_flow){ .prog = prog, .st = &c->state, .err = err };
	for (slot = 0; slot < prog->len; slot++)
		prog->slots[slot] &= (u8)~EXO_SLOT_NOSPEC;
	if (index_records(c, cert_size))
		return -EINVAL;
	exo_state_entry(&c->flow);
	if (check_all(c))
		return -EINVAL;
	prog->worst = worst_case(c);
	prog->mixed = prog->worst > prog->hook->budget || (prog->hook->flags & EXO_HOOK_KILLABLE);
	return 0;
}
