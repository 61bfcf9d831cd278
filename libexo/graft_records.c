// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A certificate for people: what it says holds at each jump target. It is read with the checker's own
 * functions.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/graft_cert.h"
#include "graft.h"

#define LINE 1024

struct line {
	char text[LINE];
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) say(struct line *line, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line->text + line->length, LINE - line->length, fmt, ap);
	va_end(ap);
	if (n > 0)
		line->length += (size_t)n;
	if (line->length >= LINE)
		line->length = LINE - 1;
}

static void say_place(struct line *line, const struct exo_graft_prog *prog, uint32_t loc)
{
	uint32_t name = exo_loc_name(prog, loc);

	if (name < 0x80)
		say(line, "r%" PRIu32, name);
	else
		say(line, "[r10 - %" PRIu32 "]", (name - 0x80 + 1) * 8);
}

static void say_range(struct line *line, struct exo_range range)
{
	if (range.lo == range.hi)
		say(line, "%" PRId64, (int64_t)range.lo);
	else if (range.hi - range.lo == UINT64_MAX)
		say(line, "any");
	else if ((int64_t)range.lo < (int64_t)range.hi)
		say(line, "%" PRId64 "..%" PRId64, (int64_t)range.lo, (int64_t)range.hi);
	else
		say(line, "%" PRIu64 "..%" PRIu64, range.lo, range.hi);
}

static const char *base(uint32_t kind)
{
	static const char *const names[EXO_REGIONS] = {
		[EXO_REGION_CONST] = "constants + ", [EXO_REGION_CTX] = "ctx + ",
		[EXO_REGION_STACK] = "stack + ",     [EXO_REGION_STATE] = "state + ",
		[EXO_REGION_DATA] = "data + ",
	};

	if (EXO_IS_PTR(kind))
		return EXO_REGION(kind) < EXO_REGIONS ? names[EXO_REGION(kind)] : "? + ";
	return kind == EXO_KIND_END ? "data_end + " : "";
}

/* "r3 = data + 64..4096 (spec any, 8 sure)" */
static void say_value(struct line *line, const struct exo_graft_prog *prog,
		      const struct exo_record *rec, const struct exo_val *v)
{
	bool same = v->spec.lo == v->arch.lo && v->spec.hi == v->arch.hi;

	say(line, line->length ? ", " : "");
	say_place(line, prog, rec->loc);
	if (v->kind == EXO_KIND_NONE) {
		say(line, " = numbers");
		return;
	}
	say(line, " = %s", base(v->kind));
	say_range(line, v->arch);
	if (v->kind == EXO_KIND_LEFT)
		say(line, ", the bytes left");
	if (!same) {
		say(line, " (mispredicted: ");
		say_range(line, v->spec);
		say(line, ")");
	}
	if (v->avail != EXO_NO_AVAIL && v->kind == EXO_PTR(EXO_REGION_DATA))
		say(line, ", %" PRId32 " bytes to data_end", v->avail);
	if (v->tag)
		say(line, ", %" PRId32 "..%" PRId32 " since %u", v->dlo, v->dhi, v->tag - 1U);
}

static bool say_record(struct line *line, const struct exo_graft_prog *prog, struct exo_record *rec)
{
	struct exo_val v;

	line->length = 0;
	line->text[0] = 0;
	if (rec->dead)
		say(line, "no run comes here");
	if (rec->measure != EXO_RECORD_NO_MEASURE) {
		say(line, "loop, measured by ");
		say_place(line, prog, rec->measure);
	}
	while (exo_record_next(rec, prog, &v))
		say_value(line, prog, rec, &v);
	return !rec->bad;
}

/**
 * exo_graft_certificate() - show a graft's certificate
 * @object: after exo_graft_verify(), or with a certificate from its file
 * @fn: called for each record, by rising slot; @text is only valid during the call
 * @ctx: for @fn
 *
 * Return: how many records; -ENOENT: there is no certificate; -EINVAL: it is malformed, or the graft not
 * in the language. Thread-safe.
 */
EXPORT int exo_graft_certificate(const struct exo_graft_object *object, exo_graft_record_fn fn,
				 void *ctx)
{
	const struct exo_graft_parts *parts = &object->parts;
	const uint8_t *at = parts->cert, *end;
	uint8_t slots[EXO_GRAFT_MAX_INSNS];
	struct exo_graft_error error;
	struct exo_graft_prog prog;
	struct exo_record rec = { 0 };
	uint32_t count, i;
	struct line line;

	if (!at)
		return -ENOENT;
	end = at + parts->cert_size;
	if (graft_decode(object, slots, &prog, &error) || parts->cert_size < EXO_CERT_HEADER)
		return -EINVAL;
	rec.at = at + 6;
	rec.end = end;
	count = (uint32_t)exo_cert_read(&rec, 2);
	at += EXO_CERT_HEADER;
	for (i = 0; i < count; i++) {
		exo_record_open(&rec, at, end);
		if (!say_record(&line, &prog, &rec))
			return -EINVAL;
		fn(rec.slot, line.text, ctx);
		at = rec.at;
	}
	return (int)count;
}
