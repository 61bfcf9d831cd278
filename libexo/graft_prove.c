// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The prover, in three steps over the checker's own functions:
 *
 *  1. What is known at each jump target: a fixpoint, widened at loops' heads, then narrowed.
 *  2. For each loop a measure: which register or stack slot has moved in one direction whenever the loop
 *     comes round?
 *  3. How far the measures have moved at the targets inside.
 *
 * The result is written as a certificate, and checked.
 */
#include <stdlib.h>

#include "graft_cert_write.h"
#include "graft_domain.h"
#include "graft_prove.h"

#define WIDEN_AFTER 3		/* visits of a loop's head */
#define GIVE_UP_AFTER 60	/* growing ranges become everything */
#define NARROWINGS 4

struct node {
	struct exo_state *st;	/* NULL: nothing has come here */
	struct exo_state *next;	/* when narrowing */
	u32 visits;
	bool dirty;
	bool head;
	bool tagged;		/* in step 2 and 3: its tags mean something */
	u32 last;		/* head: last slot that jumps back to it */
	u32 measure;
};

enum step { ASCEND, NARROW, TAGS };

struct prover {
	const struct exo_graft_prog *prog;
	struct thresholds stops;
	struct node *nodes;		/* of each slot */
	struct exo_state now;
	struct exo_state other;
	struct exo_graft_error fatal;	/* the error that ended a path, at the least slot */
	enum step step;
	u32 locs;
	bool no_memory;
	/* step 2 */
	u32 search;			/* the loop's head, or ~0 */
	struct exo_val *came;		/* what the candidates were when the loop came round */
	bool round;
};

/* Thresholds --------------------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void add_stop(struct thresholds *stops, u64 x)
{
	s64 d;

	for (d = -1; d <= 1; d++)
		stops->at[stops->nr++] = x + (u64)d;
}

static int collect_stops(struct prover *p)
{
	const struct exo_graft_prog *prog = p->prog;
	const u64 usual[] = {
		0, 255, 65535, EXO_HALF, EXO_HALF / 2, EXO_WORD / 2, (u64)EXO_NEAR, prog->const_size,
		prog->state_size, prog->stack, prog->hook->ctx_size, prog->hook->data_cap,
		(u64)-128, (u64)-4096, (u64)1 << 63,
	};
	const u32 nr = sizeof(usual) / sizeof(usual[0]);
	u32 i, used = 0;

	p->stops.at = calloc((prog->len * 2 + nr + prog->hook->nr_fields) * 3, sizeof(u64));
	if (!p->stops.at)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		add_stop(&p->stops, usual[i]);
	for (i = 0; i < prog->hook->nr_fields; i++)
		add_stop(&p->stops, prog->hook->fields[i].max);
	for (i = 0; i < prog->len; i++) {
		const struct exo_insn *in = &prog->insns[i];
		u32 class = EXO_CLASS(in->code);

		if (class != EXO_LD && class != EXO_LDX && class != EXO_STX && !EXO_SRC(in->code)) {
			add_stop(&p->stops, (u64)(s64)in->imm);
			add_stop(&p->stops, (u32)in->imm);
		}
	}
	qsort(p->stops.at, p->stops.nr, sizeof(u64), compare_u64);
	for (i = 0; i < p->stops.nr; i++)
		if (used == 0 || p->stops.at[used - 1] != p->stops.at[i])
			p->stops.at[used++] = p->stops.at[i];
	p->stops.nr = used;
	return 0;
}

/* Tags --------------------------------------------------------------------------------------------- */

/* Returns whether @v's tag has changed. */
static bool join_tag(struct exo_val *v, const struct exo_val *now, bool widen)
{
	struct exo_val old = *v;

	if (v->kind == EXO_KIND_NONE || v->tag != now->tag || v->tag == 0) {
		v->tag = 0;
	} else {
		v->dlo = now->dlo < v->dlo ? now->dlo : v->dlo;
		v->dhi = now->dhi > v->dhi ? now->dhi : v->dhi;
		v->half |= now->half;
		if (widen && (v->dlo != old.dlo || v->dhi != old.dhi))
			v->tag = 0;
	}
	if (v->tag == 0) {
		v->dlo = 0;
		v->dhi = 0;
		v->half = 0;
	}
	return v->tag != old.tag || v->dlo != old.dlo || v->dhi != old.dhi || v->half != old.half;
}

static void copy_tag(struct exo_val *v, const struct exo_val *from)
{
	v->tag = from->tag;
	v->dlo = from->dlo;
	v->dhi = from->dhi;
	v->half = from->half;
}

static void clear_tag(struct exo_val *v)
{
	struct exo_val none = { 0 };

	copy_tag(v, &none);
}

static void merge_tags(struct prover *p, struct node *node, const struct exo_state *st, u32 to)
{
	bool changed = !node->tagged;
	u32 i;

	if (st->dead || !node->st)
		return;
	for (i = 0; i < p->locs; i++) {
		struct exo_val *v = &node->st->v[i];
		struct exo_val own = st->v[i];

		if (own.tag == to + 1)
			clear_tag(&own);
		if (!node->tagged && v->kind != EXO_KIND_NONE)
			copy_tag(v, &own);
		else
			changed |= join_tag(v, &own, node->visits > WIDEN_AFTER);
	}
	node->tagged = true;
	node->dirty |= changed;
}

/* The loop comes round: what have the candidates become? */
static void merge_round(struct prover *p, const struct exo_state *st)
{
	u32 i;

	if (st->dead)
		return;
	for (i = 0; i < p->locs; i++) {
		if (!p->round)
			p->came[i] = st->v[i];
		else
			join_tag(&p->came[i], &st->v[i], false);
	}
	p->round = true;
}

/* Paths -------------------------------------------------------------------------------------------- */

static struct exo_state *copy_state(struct prover *p, const struct exo_state *st)
{
	struct exo_state *copy = malloc(sizeof(*copy));
	u32 i;

	if (!copy) {
		p->no_memory = true;
		return NULL;
	}
	*copy = *st;
	for (i = 0; i < p->locs; i++)
		clear_tag(&copy->v[i]);
	state_rename(copy, p->locs);
	return copy;
}

/* @st comes to the target @to, from slot @from. */
static void arrive(struct prover *p, const struct exo_state *st, u32 from, u32 to)
{
	struct node *node = &p->nodes[to];
	const struct thresholds *stops = node->visits < GIVE_UP_AFTER ? &p->stops : NULL;

	if (p->step == TAGS) {
		if (p->search == to && from >= to)
			merge_round(p, st);
		else if (p->search == ~0U || (to > p->search && to <= p->nodes[p->search].last))
			merge_tags(p, node, st, to);
	} else if (p->step == NARROW) {
		if (!node->next)
			node->next = copy_state(p, st);
		else
			state_join(node->next, st, p->locs, false, NULL);
	} else if (!node->st) {
		node->st = copy_state(p, st);
		node->dirty = true;
	} else {
		node->dirty |= state_join(node->st, st, p->locs, node->head && node->visits > WIDEN_AFTER,
					  stops);
	}
}

/* An error that later narrowing may take back doesn't end a path. */
static bool ends_path(struct prover *p, const struct exo_graft_error *err)
{
	if (err->code == EXO_GRAFT_FINE || err->code == EXO_GRAFT_E_BOUNDS ||
	    err->code == EXO_GRAFT_E_ALIGN || err->code == EXO_GRAFT_E_ARG)
		return false;
	if (p->fatal.code == EXO_GRAFT_FINE || err->slot < p->fatal.slot)
		p->fatal = *err;
	return true;
}

/* Goes on from @p->now until every path has come to a target or ended. */
static void walk(struct prover *p, u32 slot)
{
	const struct exo_graft_prog *prog = p->prog;
	struct exo_graft_error err;
	struct exo_flow flow = { .prog = prog, .err = &err };
	bool first = true;

	for (; slot < prog->len; slot++) {
		const struct exo_insn *in = &prog->insns[slot];
		u32 to = slot + 1 + (u32)(s32)in->off;

		if (prog->slots[slot] & EXO_SLOT_SECOND)
			continue;
		if (!first && (prog->slots[slot] & EXO_SLOT_TARGET)) {
			arrive(p, &p->now, slot - 1, slot);
			return;
		}
		first = false;
		err = (struct exo_graft_error){ 0 };
		flow.slot = slot;
		flow.st = &p->now;
		if (exo_insn_is_jump(in, EXO_JA)) {
			arrive(p, &p->now, slot, to);
			return;
		}
		if (!exo_insn_is_branch(in)) {
			exo_flow_insn(&flow);
			if (ends_path(p, &err) || exo_insn_is_jump(in, EXO_EXIT))
				return;
			continue;
		}
		exo_flow_compare(&flow);
		if (ends_path(p, &err))
			return;
		p->other = p->now;
		flow.st = &p->other;
		exo_flow_branch(&flow, true);
		arrive(p, &p->other, slot, to);
		flow.st = &p->now;
		exo_flow_branch(&flow, false);
	}
}

static void load_node(struct prover *p, u32 slot)
{
	struct node *node = &p->nodes[slot];

	p->now = *node->st;
	if (node->measure != EXO_RECORD_NO_MEASURE && p->search == ~0U) {
		clear_tag(&p->now.v[node->measure]);
		p->now.v[node->measure].tag = (u16)(slot + 1);
	}
	node->dirty = false;
	node->visits++;
}

static void start(struct prover *p)
{
	struct exo_graft_error err = { 0 };
	struct exo_flow flow = { .prog = p->prog, .st = &p->now, .err = &err };

	exo_state_entry(&flow);
	if (p->prog->slots[0] & EXO_SLOT_TARGET)
		arrive(p, &p->now, 0, 0);
	else
		walk(p, 0);
}

/* Until nothing changes; the least slot first, so that inner loops settle before what follows them. */
static void settle(struct prover *p, u32 from, u32 last)
{
	u32 slot = from;

	while (slot <= last && !p->no_memory) {
		if (!p->nodes[slot].dirty) {
			slot++;
			continue;
		}
		load_node(p, slot);
		walk(p, slot);
		slot = from;
	}
}

static void narrow(struct prover *p)
{
	u32 slot, i;

	p->step = NARROW;
	start(p);
	for (slot = 0; slot < p->prog->len; slot++) {
		if (!p->nodes[slot].st)
			continue;
		load_node(p, slot);
		walk(p, slot);
	}
	for (slot = 0; slot < p->prog->len; slot++) {
		struct node *node = &p->nodes[slot];

		if (!node->next)
			continue;
		/* where a barrier stands hangs on speculative ranges: those stay */
		for (i = 0; i < p->locs && node->st; i++)
			node->next->v[i].spec = node->st->v[i].spec;
		free(node->st);
		node->st = node->next;
		node->next = NULL;
	}
}

/* Measures ----------------------------------------------------------------------------------------- */

static bool is_candidate(const struct exo_val *v)
{
	u64 max;

	return v->kind != EXO_KIND_NONE && v->kind != EXO_KIND_END &&
	       range_length(v->arch, &max) < 1ULL << 40;
}

static void reset_tags(struct prover *p, u32 from, u32 last)
{
	u32 slot, i;

	for (slot = from; slot <= last; slot++) {
		struct node *node = &p->nodes[slot];

		node->tagged = false;
		node->dirty = false;
		node->visits = 0;
		for (i = 0; i < p->locs && node->st; i++)
			clear_tag(&node->st->v[i]);
	}
}

/* Which candidate takes the fewest rounds? */
static u32 best_measure(struct prover *p, u32 head)
{
	u32 best = EXO_RECORD_NO_MEASURE, i;
	u64 rounds, least = ~0ULL, max;

	for (i = 0; i < p->locs && p->round; i++) {
		const struct exo_val *v = &p->nodes[head].st->v[i], *came = &p->came[i];

		if (!is_candidate(v) || came->tag != i + 1 || (came->dlo < 1 && came->dhi > -1))
			continue;
		rounds = range_length(v->arch, &max) / (u64)(came->dlo >= 1 ? came->dlo : -came->dhi);
		if (rounds < least && !(came->half && max == EXO_WORD)) {
			least = rounds;
			best = i;
		}
	}
	return best;
}

static void find_measure(struct prover *p, u32 head)
{
	struct node *node = &p->nodes[head];
	u32 i;

	p->search = head;
	p->round = false;
	reset_tags(p, head, node->last);
	p->now = *node->st;
	for (i = 0; i < p->locs; i++)
		if (i != EXO_R10 && is_candidate(&p->now.v[i]))
			p->now.v[i].tag = (u16)(i + 1);
	walk(p, head);
	settle(p, head + 1, node->last);
	node->measure = best_measure(p, head);
	reset_tags(p, head, node->last);
	p->search = ~0U;
}

static void find_measures(struct prover *p)
{
	u32 slot;

	p->step = TAGS;
	for (slot = 0; slot < p->prog->len; slot++)
		if (p->nodes[slot].head && p->nodes[slot].st && !p->nodes[slot].st->dead)
			find_measure(p, slot);
	reset_tags(p, 0, p->prog->len - 1);
	start(p);
	settle(p, 0, p->prog->len - 1);
}

/* The certificate ---------------------------------------------------------------------------------- */

static int write_cert(struct prover *p, void **out, size_t *size)
{
	struct graft_cert_writer w;
	u32 records = 0, slot;

	for (slot = 0; slot < p->prog->len; slot++)
		records += p->nodes[slot].st != NULL;
	if (!graft_cert_begin(&w, p->prog, records))
		return -ENOMEM;
	for (slot = 0; slot < p->prog->len; slot++)
		if (p->nodes[slot].st)
			graft_cert_record(&w, slot, p->nodes[slot].measure, p->nodes[slot].st);
	*out = graft_cert_end(&w, size);
	return 0;
}

/* Checks it as the module will, on a copy of the graft. */
static int try_cert(const struct exo_graft_prog *prog, const void *cert, size_t size,
		    struct exo_graft_error *err)
{
	struct exo_graft_prog copy = *prog;
	void *room = malloc(exo_graft_check_room(prog));
	int ret = -ENOMEM;

	copy.slots = malloc(prog->len);
	if (room && copy.slots) {
		__builtin_memcpy(copy.slots, prog->slots, prog->len);
		ret = exo_graft_check(&copy, cert, size, room, err);
	}
	free(room);
	free(copy.slots);
	return ret;
}

static int prove(struct prover *p, u32 narrowings, void **cert, size_t *size, struct exo_graft_error *err)
{
	u32 i;
	int ret;

	p->step = ASCEND;
	start(p);
	settle(p, 0, p->prog->len - 1);
	for (i = 0; i < narrowings && !p->no_memory; i++)
		narrow(p);
	if (!p->no_memory)
		find_measures(p);
	if (p->no_memory)
		return -ENOMEM;
	ret = write_cert(p, cert, size);
	if (ret)
		return ret;
	ret = try_cert(p->prog, *cert, *size, err);
	if (ret == -EINVAL && p->fatal.code != EXO_GRAFT_FINE &&
	    (err->code == EXO_GRAFT_E_CERT_MISSING || p->fatal.slot < err->slot))
		*err = p->fatal;
	if (ret)
		free(*cert);
	return ret;
}

static void find_heads(struct prover *p)
{
	const struct exo_graft_prog *prog = p->prog;
	u32 slot, to;

	for (slot = 0; slot < prog->len; slot++)
		p->nodes[slot].measure = EXO_RECORD_NO_MEASURE;
	for (slot = 0; slot < prog->len; slot++) {
		const struct exo_insn *in = &prog->insns[slot];

		if ((prog->slots[slot] & EXO_SLOT_SECOND) ||
		    !(exo_insn_is_branch(in) || exo_insn_is_jump(in, EXO_JA)))
			continue;
		to = slot + 1 + (u32)(s32)in->off;
		if (to > slot)
			continue;
		p->nodes[to].head = true;
		p->nodes[to].last = slot;
	}
}

static int try_prove(const struct exo_graft_prog *prog, u32 narrowings, void **cert, size_t *size,
		     struct exo_graft_error *err)
{
	struct prover *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;
	u32 slot;

	if (!p)
		return ret;
	p->prog = prog;
	p->locs = exo_locs(prog);
	p->search = ~0U;
	p->nodes = calloc(prog->len, sizeof(*p->nodes));
	p->came = calloc(EXO_LOCS, sizeof(*p->came));
	if (p->nodes && p->came && !collect_stops(p)) {
		find_heads(p);
		ret = prove(p, narrowings, cert, size, err);
		for (slot = 0; slot < prog->len; slot++) {
			free(p->nodes[slot].st);
			free(p->nodes[slot].next);
		}
	}
	free(p->stops.at);
	free(p->came);
	free(p->nodes);
	free(p);
	return ret;
}

/*
 * exo_graft_prove() - the certificate of a decoded graft
 * @prog: the graft; not changed
 * @out_cert: the certificate, to be freed
 * @out_size: bytes of it
 * @err: with -EINVAL what can't be proved
 *
 * Returns 0, -EINVAL or -ENOMEM.
 */
int exo_graft_prove(const struct exo_graft_prog *prog, void **out_cert, size_t *out_size,
		    struct exo_graft_error *err)
{
	int ret = try_prove(prog, NARROWINGS, out_cert, out_size, err);

	/* Narrowing may go wrong where the checker's functions aren't monotone. */
	if (ret == -EINVAL && err->code == EXO_GRAFT_E_JOIN)
		ret = try_prove(prog, 0, out_cert, out_size, err);
	return ret;
}
