// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * Reads certificates. They are hostile: every length is compared with what is there, every value with
 * what it may be; whether it is true is the checker's business (INV-GRAFT-22).
 */
#include "core/graft_cert.h"

static u64 fnv(u64 hash, u64 x, u32 bytes)
{
	while (bytes--) {
		hash = (hash ^ (x & 0xff)) * 0x100000001b3ULL;
		x >>= 8;
	}
	return hash;
}

static u64 hash_helper(u64 hash, const struct exo_helper *helper)
{
	u32 i;

	hash = fnv(fnv(hash, helper->flags, 4), helper->cost, 4);
	for (i = 0; i < EXO_GRAFT_MAX_ARGS; i++) {
		hash = fnv(hash, helper->args[i].type, 4);
		hash = fnv(fnv(hash, helper->args[i].min, 8), helper->args[i].max, 8);
	}
	return fnv(hash, helper->ret_max, 8);
}

/**
 * exo_hook_hash() - a hook's policy in a number
 * @hook: the hook
 *
 * Return: FNV-1a of all that a proof depends on: context, data, budget and helpers.
 */
u64 exo_hook_hash(const struct exo_hook *hook)
{
	u64 hash = 0xcbf29ce484222325ULL;
	u32 i;

	hash = fnv(fnv(hash, hook->id, 4), hook->flags, 4);
	hash = fnv(fnv(hash, hook->ctx_size, 4), hook->ctx_write, 4);
	hash = fnv(fnv(hash, hook->data_cap, 4), hook->budget, 4);
	hash = fnv(fnv(hash, hook->helpers, 4), hook->nr_fields, 4);
	for (i = 0; i < hook->nr_fields; i++) {
		const struct exo_hook_field *f = &hook->fields[i];

		hash = fnv(fnv(fnv(hash, f->off, 2), f->size, 2), f->type, 4);
		hash = fnv(hash, f->max, 8);
	}
	for (i = 0; i < EXO_GRAFT_MAX_HELPERS; i++)
		if (hook->helpers & 1U << i)
			hash = hash_helper(fnv(hash, i, 4), &exo_helpers[i]);
	return hash;
}

/**
 * exo_graft_hash() - what a certificate is bound to
 * @prog: a decoded graft
 *
 * It finds mistakes. Who changes a graft on purpose can compute it, and finds that the proof fails.
 *
 * Return: FNV-1a of the code, the sizes of its regions and the hook's policy.
 */
u64 exo_graft_hash(const struct exo_graft_prog *prog)
{
	u64 hash = exo_hook_hash(prog->hook);
	u32 i;

	hash = fnv(fnv(hash, prog->len, 4), prog->stack, 4);
	hash = fnv(fnv(hash, prog->const_size, 4), prog->state_size, 4);
	for (i = 0; i < prog->len; i++) {
		const struct exo_insn *in = &prog->insns[i];

		hash = fnv(fnv(hash, in->code, 1), (u64)(in->dst | in->src << 4), 1);
		hash = fnv(fnv(hash, (u16)in->off, 2), (u32)in->imm, 4);
	}
	return hash;
}

/**
 * exo_cert_read() - the next number
 * @rec: where it is
 * @bytes: how many, 1 .. 8
 *
 * Return: the number; 0, and @rec->bad, if there are not so many bytes.
 */
u64 exo_cert_read(struct exo_record *rec, u32 bytes)
{
	u64 x = 0;
	u32 i;

	if ((size_t)(rec->end - rec->at) < bytes) {
		rec->bad = true;
		return 0;
	}
	for (i = 0; i < bytes; i++)
		x |= (u64)rec->at[i] << 8 * i;
	rec->at += bytes;
	return x;
}

static s64 read_signed(struct exo_record *rec, u32 bytes)
{
	u32 unused = 64 - 8 * bytes;

	return (s64)(exo_cert_read(rec, bytes) << unused) >> unused;
}

static void demand(struct exo_record *rec, bool cond)
{
	if (!cond)
		rec->bad = true;
}

/**
 * exo_record_open() - starts to read a record
 * @rec: out: what its head says; exo_record_next() reads the values
 * @at: its first byte
 * @end: behind the last byte of the certificate
 */
void exo_record_open(struct exo_record *rec, const u8 *at, const u8 *end)
{
	u32 flags;

	*rec = (struct exo_record){ .at = at, .end = end };
	rec->slot = (u32)exo_cert_read(rec, 2);
	rec->measure = (u32)exo_cert_read(rec, 2);
	rec->regs = (u32)exo_cert_read(rec, 2);
	flags = (u32)exo_cert_read(rec, 1);
	rec->stack = (u32)exo_cert_read(rec, 1);
	rec->dead = flags & EXO_RECORD_DEAD;
	demand(rec, rec->regs < 1U << EXO_R10 && flags <= EXO_RECORD_DEAD);
	demand(rec, rec->measure < EXO_LOCS || rec->measure == EXO_RECORD_NO_MEASURE);
}

static struct exo_range read_range(struct exo_record *rec, u32 form, struct exo_range same)
{
	struct exo_range r = { 0, EXO_WORD };

	if (form == EXO_FORM_SAME)
		return same;
	if (form == EXO_FORM_ANY)
		return r;
	r.lo = (u64)read_signed(rec, 1U << (form - 1));
	r.hi = (u64)read_signed(rec, 1U << (form - 1));
	return r;
}

static void read_tag(struct exo_record *rec, const struct exo_graft_prog *prog, struct exo_val *v)
{
	v->tag = (u16)exo_cert_read(rec, 2);
	v->dlo = (s32)read_signed(rec, 4);
	v->dhi = (s32)read_signed(rec, 4);
	demand(rec, v->tag != 0 && v->tag <= prog->len && v->tag != rec->slot + 1);
	demand(rec, v->dlo >= -EXO_MAX_STEP && v->dlo <= v->dhi && v->dhi <= EXO_MAX_STEP);
}

static void read_value(struct exo_record *rec, const struct exo_graft_prog *prog, struct exo_val *v)
{
	u32 kind = (u32)exo_cert_read(rec, 1), form = (u32)exo_cert_read(rec, 1);
	u32 flags = (u32)exo_cert_read(rec, 1);
	s64 lo, hi;

	exo_val_scalar(v, EXO_WORD);
	v->kind = (u8)kind;
	v->zeros = (u8)exo_cert_read(rec, 1);
	demand(rec, kind <= EXO_KIND_END ||
	       (kind >= EXO_KIND_PTR && kind < EXO_PTR(EXO_REGIONS)));
	demand(rec, v->zeros < 64 && flags < EXO_VALUE_HALF << 1);
	demand(rec, (form & 7) <= EXO_FORM_8 && form >> 3 <= EXO_FORM_SAME);
	if (rec->bad)
		return;
	v->arch = read_range(rec, form & 7, v->arch);
	v->spec = read_range(rec, form >> 3, v->arch);
	if (flags & EXO_VALUE_ID) {
		v->id = (u16)exo_cert_read(rec, 2);
		v->delta = (s32)read_signed(rec, 4);
		demand(rec, v->id != 0 && v->id < EXO_RECORD_IDS);
		demand(rec, v->delta >= -EXO_NEAR && v->delta <= EXO_NEAR);
	}
	if (flags & EXO_VALUE_TAG)
		read_tag(rec, prog, v);
	v->half = !!(flags & EXO_VALUE_HALF);
	demand(rec, !v->half || v->tag);
	if (flags & EXO_VALUE_AVAIL) {
		v->avail = (s32)read_signed(rec, 4);
		demand(rec, kind == EXO_PTR(EXO_REGION_DATA));
		demand(rec, v->avail >= -EXO_FAR && v->avail <= EXO_FAR);
		demand(rec, exo_range_signed(v->arch, EXO_FAR, &lo, &hi));
	}
}

/**
 * exo_record_next() - the next value of a record
 * @rec: where it is; @loc: out: whose value it is
 * @prog: the graft
 * @v: out: the value
 *
 * Return: false at the record's end, or if it is malformed (@rec->bad).
 */
bool exo_record_next(struct exo_record *rec, const struct exo_graft_prog *prog, struct exo_val *v)
{
	u32 loc, init = 0;

	if (rec->bad || (rec->regs == 0 && rec->stack == 0))
		return false;
	if (rec->regs) {
		loc = (u32)__builtin_ctz(rec->regs);
		rec->regs &= rec->regs - 1;
	} else {
		rec->stack--;
		loc = EXO_REGS + (u32)exo_cert_read(rec, 1);
		init = (u32)exo_cert_read(rec, 1);
		demand(rec, loc < exo_locs(prog) && (rec->loc < EXO_REGS || loc > rec->loc));
	}
	read_value(rec, prog, v);
	v->init = (u8)init;
	rec->loc = loc;
	demand(rec, loc < EXO_REGS ? v->kind != EXO_KIND_NONE :
	       v->kind == EXO_KIND_NONE || init == 0xff);
	return !rec->bad;
}
