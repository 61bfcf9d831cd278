/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parts of the translation of the verifier's cases: contexts, what registers hold, helpers.
 */
#ifndef EXO_UNIT_BPF_VERIFIER_H
#define EXO_UNIT_BPF_VERIFIER_H

#include "bpf_cases.h"

/* What a field of a program type's context is. */
enum field_kind {
	FIELD_NONE,		/* not there, or not for this program type */
	FIELD_NUMBER,
	FIELD_WRITABLE,
	FIELD_CB,		/* words that may be written, and two at once */
	FIELD_WIDE,		/* a number of eight bytes */
	FIELD_WHOLE,		/* the same, only as a whole */
	FIELD_DATA,
	FIELD_END,
	FIELD_META,
	FIELD_OBJECT,		/* a pointer to something of the kernel's */
};

struct ctx_field {
	enum field_kind kind;
	u32 off;
	u32 size;
};

/* The field of @prog_type's context in which byte @off lies. */
struct ctx_field ctx_field(u32 prog_type, s32 off);

/* May programs of this type change their packet? */
bool ctx_writes_packet(u32 prog_type);

/* What a helper of Linux' looks at and gives. */
struct helper {
	u32 number;
	u8 ctx;			/* the register that is the context; 0: none */
	u8 map;			/* r1 is a map, and: */
	u8 key, value;		/* the register that points to a key, a value; 0: none */
	u8 looks_up;		/* returns a pointer to a value, or NULL */
	struct {
		u8 ptr, size;	/* registers; 0: none */
		bool write;
	} memory[2];
	u8 numbers;		/* bit n: rn must be a number */
	u8 result;		/* bytes of the number that it returns */
};

const struct helper *helper_find(s32 number);

enum fact_kind {
	FACT_NUMBER = 1 << 0,
	FACT_CTX = 1 << 1,
	FACT_CTX_MOVED = 1 << 2,
	FACT_VALUE = 1 << 3,	/* pointer to a map's value */
	FACT_MAYBE = 1 << 4,	/* the same or NULL: not looked at yet */
	FACT_DATA = 1 << 5,
	FACT_STACK = 1 << 6,	/* with @known: r10 + @value */
	FACT_MAP = 1 << 7,
	FACT_OBJECT = 1 << 8,
};

/* What a register or a slot of the stack may hold before an instruction. No kind: nothing. */
struct fact {
	u16 kinds;
	s16 map;		/* in the case's list; -1: not just one */
	s32 site;		/* the call that looked it up; -1: not just one */
	bool known;
	s64 value;
};

#define FACT_SLOTS 64

struct facts {
	bool reached;
	struct fact reg[11];
	struct fact slot[FACT_SLOTS];	/* r10 - 8 * (i + 1) */
};

/* Of each instruction of a case; free() it. NULL, and *why, if it has something that no graft can have. */
struct facts *facts_find(const struct verifier_case *from, const char **why);

/* The map that LD_IMM64 at @slot stands for, or NULL. */
const struct verifier_map *case_map(const struct verifier_case *from, u32 slot);

#endif
