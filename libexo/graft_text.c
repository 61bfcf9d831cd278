// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What was wrong with a graft, as a sentence that names source line, instruction and register.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graft.h"

/* A text that grows in a buffer of fixed size, and knows how long it would have become. */
struct sentence {
	char *text;
	size_t size;
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) say(struct sentence *s, const char *fmt, ...)
{
	size_t left = s->length < s->size ? s->size - s->length : 0;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(left ? s->text + s->length : NULL, left, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->length += (size_t)n;
}

static const char *region_name(uint32_t region)
{
	static const char *const names[EXO_REGIONS] = {
		[EXO_REGION_CONST] = "the constants",	[EXO_REGION_CTX] = "the context",
		[EXO_REGION_STACK] = "the stack",	[EXO_REGION_STATE] = "the state",
		[EXO_REGION_DATA] = "the data",
	};

	return region < EXO_REGIONS ? names[region] : "the region";
}

static const char *region_verb(uint32_t region)
{
	return region == EXO_REGION_CONST || region == EXO_REGION_DATA ? "have" : "has";
}

/* "r3", or for 0x80 + n the stack slot: "the stack at r10 - 16". */
static void say_place(struct sentence *s, uint32_t place)
{
	if (place < 0x80)
		say(s, "r%" PRIu32, place);
	else
		say(s, "the stack at r10 - %" PRIu32, (place - 0x80 + 1) * 8);
}

/*
 * Ranges may be of unsigned numbers, too: then the end is below the start, read as a signed one. If it is both
 * ways, the offset has moved a range of nearly everything around.
 */
static void say_range(struct sentence *s, const struct exo_graft_error *error)
{
	uint64_t lo = (uint64_t)error->lo, hi = (uint64_t)error->hi;

	if (lo == hi)
		say(s, "%" PRId64, (int64_t)lo);
	else if (hi - lo == UINT64_MAX || (lo > hi && (int64_t)lo > (int64_t)hi))
		say(s, "anything");
	else if ((int64_t)lo < (int64_t)hi)
		say(s, "%" PRId64 "..%" PRId64, (int64_t)lo, (int64_t)hi);
	else
		say(s, "%" PRIu64 "..%" PRIu64, lo, hi);
}

static void say_bounds(struct sentence *s, const struct exo_graft_error *error,
		       const struct exo_graft_object *object)
{
	const struct exo_hook *hook = object ? exo_hook_find(object->parts.hook) : NULL;
	/* Nothing was compared that would bound it at all. */
	bool most = error->region == EXO_REGION_DATA && hook && error->bound == hook->data_cap;

	say_place(s, error->reg);
	say(s, error->lo == error->hi ? " is at " : " may be ");
	say_range(s, error);
	say(s, " here, %s %s %" PRIu64 " bytes", region_name(error->region),
	    region_verb(error->region), (uint64_t)error->bound);
	if (error->region == EXO_REGION_DATA)
		say(s, most ? " at most" : " for sure (compare with data_end)");
	if (error->size)
		say(s, ", and %" PRIu32 " %s accessed", error->size,
		    error->size == 1 ? "is" : "are");
}

static void say_helper(struct sentence *s, const struct exo_graft_error *error,
		       const struct exo_graft_object *object)
{
	const struct exo_hook *hook = object ? exo_hook_find(object->parts.hook) : NULL;
	uint64_t helper = error->bound;

	if (object && error->slot < object->parts.nr_insns)
		helper = (uint32_t)((const struct exo_insn *)object->parts.insns)[error->slot].imm;
	if (helper < EXO_GRAFT_MAX_HELPERS && exo_helpers[helper].name)
		say(s, "%s()", exo_helpers[helper].name);
	else
		say(s, "helper %" PRIu64, helper);
	say(s, " may not be called at the hook \"%s\"", hook ? hook->name : "of this graft");
}

static void say_size(struct sentence *s, const struct exo_graft_error *error)
{
	switch (error->bound) {
	case EXO_GRAFT_MAX_INSNS:
		say(s, "a graft has 1..%u instructions, not %" PRId64, EXO_GRAFT_MAX_INSNS,
		    (int64_t)error->lo);
		break;
	case EXO_GRAFT_MAX_CONST:
		say(s, "a graft has at most %u bytes of constants, not %" PRId64,
		    EXO_GRAFT_MAX_CONST, (int64_t)error->lo);
		break;
	case 0:
		say(s, "a graft of this hook must be pure: it can't have variables (%" PRId64
		    " bytes of state)", (int64_t)error->lo);
		break;
	default:
		say(s, "a graft has at most %u pages of state; this one has %" PRId64 " bytes",
		    EXO_GRAFT_MAX_STATE, (int64_t)error->lo);
		break;
	}
}

/* Of constants or of the state: the instruction says it. */
static void say_pseudo(struct sentence *s, const struct exo_graft_error *error,
		       const struct exo_graft_object *object)
{
	const struct exo_insn *insns = object ? object->parts.insns : NULL;
	uint32_t region = EXO_REGIONS;

	if (insns && error->slot < object->parts.nr_insns)
		region = insns[error->slot].src == EXO_PSEUDO_STATE ? EXO_REGION_STATE :
								      EXO_REGION_CONST;
	say(s, "byte %" PRId64 " is not in %s, which %s %" PRIu64 " bytes", (int64_t)error->lo,
	    region_name(region), region_verb(region), (uint64_t)error->bound);
}

static void say_decode(struct sentence *s, const struct exo_graft_error *error,
		       const struct exo_graft_object *object)
{
	switch (error->code) {
	case EXO_GRAFT_E_SIZE:
		say_size(s, error);
		break;
	case EXO_GRAFT_E_OPCODE:
		say(s, "this instruction is not in the language (compile with -mcpu=v3)");
		break;
	case EXO_GRAFT_E_RESERVED:
		say(s, "a field of the instruction that must be zero is not");
		break;
	case EXO_GRAFT_E_REG:
		say(s, error->reg == 10 ? "r10 is the stack's top and can't be changed" :
					  "there is no register r%" PRIu32, error->reg);
		break;
	case EXO_GRAFT_E_IMM:
		say(s, "the instruction's constant %" PRId64 " makes no sense here (a division by 0, a "
		       "shift by the width or more, no such atomic operation)", (int64_t)error->lo);
		break;
	case EXO_GRAFT_E_JUMP:
		say(s, "the jump leads to %" PRId64 ", outside the graft or into the middle of an "
		       "instruction", (int64_t)error->lo);
		break;
	case EXO_GRAFT_E_END:
		say(s, "the graft runs off its end: it must return");
		break;
	case EXO_GRAFT_E_UNREACHABLE:
		say(s, "nothing leads to this instruction");
		break;
	case EXO_GRAFT_E_HELPER:
		say_helper(s, error, object);
		break;
	case EXO_GRAFT_E_STACK:
		say(s, "r10 %+" PRId64 " is not in the stack, which has %u bytes below r10",
		    (int64_t)error->lo, EXO_GRAFT_MAX_STACK);
		break;
	case EXO_GRAFT_E_PSEUDO:
		say_pseudo(s, error, object);
		break;
	case EXO_GRAFT_E_LOWERED:
		say(s, "with what is inserted the graft has more than %u instructions",
		    EXO_GRAFT_MAX_INSNS);
		break;
	default:
		say(s, "refused, with a code that this library does not know (%" PRIu32 ")",
		    error->code);
		break;
	}
}

static void say_cert(struct sentence *s, const struct exo_graft_error *error)
{
	switch (error->code) {
	case EXO_GRAFT_E_CERT_FORM:
		say(s, "the certificate is damaged at its byte %" PRId64, (int64_t)error->lo);
		break;
	case EXO_GRAFT_E_CERT_HASH:
		say(s, "the certificate was made for other code or for another hook; make it anew");
		break;
	case EXO_GRAFT_E_CERT_MISSING:
		say(s, "the certificate says nothing about this place, to which a jump leads");
		break;
	}
}

static void say_proof(struct sentence *s, const struct exo_graft_error *error,
		      const struct exo_graft_object *object)
{
	switch (error->code) {
	case EXO_GRAFT_E_UNINIT:
		say_place(s, error->reg);
		say(s, " is read, but was not written on every way here");
		break;
	case EXO_GRAFT_E_KIND:
		say_place(s, error->reg);
		say(s, " is of the wrong kind here: a pointer where a number is needed, a number "
		       "where a pointer is, or on some ways the one and on some the other");
		break;
	case EXO_GRAFT_E_BOUNDS:
		say_bounds(s, error, object);
		break;
	case EXO_GRAFT_E_WRITE:
		say_place(s, error->reg);
		say(s, " points into %s, which can't be written here", region_name(error->region));
		break;
	case EXO_GRAFT_E_ALIGN:
		say_place(s, error->reg);
		say(s, " may not be a multiple of %" PRIu32 ", which an atomic operation, and a word "
		       "of state that a helper gets, must be at", error->size);
		break;
	case EXO_GRAFT_E_LEAK:
		say_place(s, error->reg);
		say(s, " holds an address; an address may not be stored, returned, or computed "
		       "with but for adding numbers");
		break;
	case EXO_GRAFT_E_ARG:
		say_place(s, error->reg);
		say(s, " may be ");
		say_range(s, error);
		say(s, ", which the helper does not take");
		if (error->bound)
			say(s, " (%" PRIu64 " is the limit)", (uint64_t)error->bound);
		break;
	case EXO_GRAFT_E_JOIN:
		say_place(s, error->reg);
		say(s, " may be ");
		say_range(s, error);
		say(s, ", which is not what the certificate says about instruction %" PRIu64,
		    (uint64_t)error->bound);
		break;
	case EXO_GRAFT_E_FIELD:
		say(s, "%" PRIu32 " bytes at offset %" PRId64 " are not a field of the context",
		    error->size, (int64_t)error->lo);
		break;
	}
}

static bool has_place(uint32_t code)
{
	return code != EXO_GRAFT_E_SIZE && code != EXO_GRAFT_E_LOWERED &&
	       code != EXO_GRAFT_E_CERT_FORM && code != EXO_GRAFT_E_CERT_HASH;
}

static void say_slot(struct sentence *s, const struct exo_graft_object *object, uint32_t slot)
{
	const struct exo_insn *insns = object ? object->parts.insns : NULL;
	char text[GRAFT_LISTING];

	say(s, "; instruction %" PRIu32, slot);
	if (!insns || slot >= object->parts.nr_insns)
		return;
	graft_listing_text(&insns[slot], slot + 1 < object->parts.nr_insns ? &insns[slot + 1] : NULL,
			   slot, text, sizeof(text));
	say(s, ": %s", text);
}

/**
 * exo_graft_error_text() - say what was wrong
 * @object: what it was wrong with, for source lines and instructions; may be NULL
 * @error: from exo_graft_verify() or the module
 * @text: room for the sentence, which always ends with a 0; may be NULL if @size is 0
 * @size: bytes there
 *
 * Return: the length of the whole sentence, whatever fitted; 0 if nothing was wrong. Thread-safe.
 */
EXPORT int exo_graft_error_text(const struct exo_graft_object *object,
				const struct exo_graft_error *error, char *text, size_t size)
{
	struct sentence s = { text, size, 0 };
	const struct exo_graft_line *line;

	if (size)
		text[0] = 0;
	if (error->code == EXO_GRAFT_FINE)
		return 0;
	line = has_place(error->code) ? graft_line_of(object, error->slot) : NULL;
	if (line && line->file)
		say(&s, "%s, line %" PRIu32 ": ", line->file, line->line);
	else if (line)
		say(&s, "line %" PRIu32 ": ", line->line);
	if (error->code >= EXO_GRAFT_E_UNINIT && error->code <= EXO_GRAFT_E_FIELD)
		say_proof(&s, error, object);
	else if (error->code >= EXO_GRAFT_E_CERT_FORM && error->code <= EXO_GRAFT_E_CERT_MISSING)
		say_cert(&s, error);
	else
		say_decode(&s, error, object);
	if (has_place(error->code))
		say_slot(&s, object, error->slot);
	return (int)s.length;
}

/**
 * exo_graft_status_text() - how a run ended
 * @status: enum exo_graft_status
 *
 * Return: a sentence's part for a person.
 */
EXPORT const char *exo_graft_status_text(uint32_t status)
{
	static const char *const texts[] = {
		[EXO_GRAFT_OK] = "ran to its end",
		[EXO_GRAFT_ABORT_ACCESS] = "aborted: an access outside its memory",
		[EXO_GRAFT_ABORT_BUDGET] = "aborted: its budget was used up",
		[EXO_GRAFT_ABORT_KILLED] = "aborted: it was killed",
		[EXO_GRAFT_ABORT_LOCK] = "aborted: a lock out of order, or held while others waited",
		[EXO_GRAFT_ABORT_HELPER] = "aborted: a helper could not do what it was asked",
	};

	return status < sizeof(texts) / sizeof(texts[0]) ? texts[status] :
							   "ended in a way that this library does not know";
}
