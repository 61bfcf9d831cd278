// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>

#include "graft_cert_write.h"

#define MAX_VALUE (2 + EXO_CERT_VALUE + 32 + 6 + 10 + 4)
#define SIZE_AT 16

static void put(struct graft_cert_writer *w, u64 x, u32 bytes)
{
	while (bytes--) {
		*w->at++ = (u8)x;
		x >>= 8;
	}
}

static u32 form_of(struct exo_range r)
{
	u32 form, unused;

	if (r.lo == 0 && r.hi == EXO_WORD)
		return EXO_FORM_ANY;
	for (form = EXO_FORM_1; form < EXO_FORM_8; form++) {
		unused = 64 - (8U << (form - 1));
		if ((u64)((s64)(r.lo << unused) >> unused) == r.lo &&
		    (u64)((s64)(r.hi << unused) >> unused) == r.hi)
			return form;
	}
	return EXO_FORM_8;
}

static void put_range(struct graft_cert_writer *w, struct exo_range r, u32 form)
{
	if (form == EXO_FORM_ANY || form == EXO_FORM_SAME)
		return;
	put(w, r.lo, 1U << (form - 1));
	put(w, r.hi, 1U << (form - 1));
}

static void put_value(struct graft_cert_writer *w, const struct exo_val *v)
{
	u32 arch = form_of(v->arch), spec = form_of(v->spec), flags = 0;

	if (v->kind == EXO_KIND_NONE) {
		put(w, EXO_KIND_NONE, EXO_CERT_VALUE);
		return;
	}
	if (arch != EXO_FORM_ANY && v->arch.lo == v->spec.lo && v->arch.hi == v->spec.hi)
		spec = EXO_FORM_SAME;
	flags |= v->id ? EXO_VALUE_ID : 0;
	flags |= v->tag ? EXO_VALUE_TAG : 0;
	flags |= v->avail != EXO_NO_AVAIL ? EXO_VALUE_AVAIL : 0;
	flags |= v->tag && v->half ? EXO_VALUE_HALF : 0;
	put(w, v->kind, 1);
	put(w, arch | spec << 3, 1);
	put(w, flags, 1);
	put(w, v->zeros, 1);
	put_range(w, v->arch, arch);
	put_range(w, v->spec, spec);
	if (v->id) {
		put(w, v->id, 2);
		put(w, (u64)v->delta, 4);
	}
	if (v->tag) {
		put(w, v->tag, 2);
		put(w, (u64)v->dlo, 4);
		put(w, (u64)v->dhi, 4);
	}
	if (v->avail != EXO_NO_AVAIL)
		put(w, (u64)v->avail, 4);
}

static bool is_live(const struct exo_val *v, u32 loc)
{
	return loc != EXO_R10 && (v->kind != EXO_KIND_NONE || (loc >= EXO_REGS && v->init));
}

void graft_cert_record(struct graft_cert_writer *w, u32 slot, u32 measure, const struct exo_state *st)
{
	u32 regs = 0, stack = 0, i;

	for (i = 0; i < w->locs; i++) {
		if (is_live(&st->v[i], i) && i < EXO_REGS)
			regs |= 1U << i;
		else if (is_live(&st->v[i], i))
			stack++;
	}
	put(w, slot, 2);
	put(w, measure, 2);
	put(w, regs, 2);
	put(w, st->dead ? EXO_RECORD_DEAD : 0, 1);
	put(w, stack, 1);
	for (i = 0; i < w->locs; i++) {
		if (!is_live(&st->v[i], i))
			continue;
		if (i >= EXO_REGS) {
			put(w, i - EXO_REGS, 1);
			put(w, st->v[i].init, 1);
		}
		put_value(w, &st->v[i]);
	}
}

bool graft_cert_begin(struct graft_cert_writer *w, const struct exo_graft_prog *prog, u32 records)
{
	w->locs = exo_locs(prog);
	w->start = malloc(EXO_CERT_HEADER + records * (EXO_CERT_RECORD + w->locs * (size_t)MAX_VALUE));
	if (!w->start)
		return false;
	w->at = w->start;
	put(w, EXO_CERT_MAGIC, 4);
	put(w, EXO_CERT_VERSION, 2);
	put(w, records, 2);
	put(w, exo_graft_hash(prog), 8);
	put(w, 0, EXO_CERT_HEADER - SIZE_AT);
	return true;
}

void *graft_cert_end(struct graft_cert_writer *w, size_t *size)
{
	*size = (size_t)(w->at - w->start);
	w->at = w->start + SIZE_AT;
	put(w, *size, 4);
	return w->start;
}
