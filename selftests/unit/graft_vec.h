/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An assembler for grafts, and the vectors of spec/vectors (its README has both languages).
 */
#ifndef EXO_UNIT_GRAFT_VEC_H
#define EXO_UNIT_GRAFT_VEC_H

#include "core/graft.h"

#define VEC_MAX_INSNS 256
#define VEC_MAX_BYTES 4096

struct vec_word {
	u32 region;		/* EXO_REGION_CTX or EXO_REGION_STATE */
	u32 off;
	u64 value;
};

struct vec {
	char name[80];
	u32 line;
	u32 hook;
	struct exo_insn insns[VEC_MAX_INSNS];
	u32 len;
	u64 arg[4];
	u32 const_size;
	u8 consts[VEC_MAX_BYTES];
	u32 state_pages;
	u32 data_size;
	u8 data[VEC_MAX_BYTES];
	u64 budget;
	/* what must come out */
	u32 status;
	u32 result;
	u32 error;		/* of decoding: enum exo_graft_code */
	u32 nr_words;
	struct vec_word words[8];
	bool check_data;
	u8 data_after[VEC_MAX_BYTES];
};

/* Appends the instructions of @text, one a line. Returns NULL, or the line that is wrong. */
const char *vec_assemble(const char *text, struct exo_insn *insns, u32 *len, u32 room);

typedef void (*vec_fn)(const struct vec *vec, void *arg);

/* Calls @fn for each vector of a file; exits if the file is wrong. Returns how many there were. */
unsigned int vec_file(const char *path, vec_fn fn, void *arg);

/* The same, from memory. */
unsigned int vec_text(const char *name, const char *text, size_t len, vec_fn fn, void *arg);

/* All files of spec/vectors. */
unsigned int vec_all(vec_fn fn, void *arg);

#endif
