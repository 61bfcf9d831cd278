/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside libexo: what the files about grafts share. The engine is module/core's, compiled in. */
#ifndef LIBEXO_GRAFT_H
#define LIBEXO_GRAFT_H

#include "core/graft.h"
#include "lib.h"

#define GRAFT_LISTING 96	/* bytes that the text of one instruction needs */

/**
 * struct exo_graft_object - a graft's code
 * @parts: what it is made of; everything in it is the object's own memory
 * @cert: certificate that was made here, malloc'd
 * @verdict: what exo_graft_verify() found; @verified says whether it has been called
 * @lock: guards all but @parts' contents at creation
 */
struct exo_graft_object {
	struct exo_graft_parts parts;
	pthread_mutex_t lock;
	void *cert;
	bool verified;
	struct exo_graft_verdict verdict;
	char *memory;
};

/* graft_listing.c: one instruction as text; next: the second half of an LD_IMM64, else unused. */
void graft_listing_text(const struct exo_insn *insn, const struct exo_insn *next, uint32_t slot,
			char *text, size_t size);

/* graft_object.c */
const struct exo_graft_line *graft_line_of(const struct exo_graft_object *object, uint32_t slot);

/* graft_verify.c; slots: EXO_GRAFT_MAX_INSNS bytes, for out_prog. */
int graft_decode(const struct exo_graft_object *object, uint8_t *slots,
		 struct exo_graft_prog *out_prog, struct exo_graft_error *error);
int graft_verify_locked(struct exo_graft_object *object);

#endif
