/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes certificates, as module/core/graft_cert.c reads them; docs/graft-cert.md has the format. One at a
 * time: begin, each record in the order of slots, end.
 */
#ifndef EXO_LIB_GRAFT_CERT_WRITE_H
#define EXO_LIB_GRAFT_CERT_WRITE_H

#include "core/graft_cert.h"

struct graft_cert_writer {
	u8 *at;
	u8 *start;
	u32 locs;
};

/* False: no memory. */
bool graft_cert_begin(struct graft_cert_writer *w, const struct exo_graft_prog *prog, u32 records);

/* Of what is known at the jump target @slot, and the location that measures the loop whose head it is. */
void graft_cert_record(struct graft_cert_writer *w, u32 slot, u32 measure, const struct exo_state *st);

/* The certificate, to be freed, and its size. */
void *graft_cert_end(struct graft_cert_writer *w, size_t *size);

#endif
