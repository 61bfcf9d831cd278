/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * A certificate: what the prover says holds at each jump target. docs/graft-cert.md has the format.
 * Bytes are in little-endian order, nothing is aligned.
 */
#ifndef EXO_CORE_GRAFT_CERT_H
#define EXO_CORE_GRAFT_CERT_H

#include "core/graft_state.h"

#define EXO_CERT_MAGIC 0x436f7865U	/* "exoC" */
#define EXO_CERT_VERSION 1U
#define EXO_CERT_HEADER 24U		/* magic 4, version 2, records 2, hash 8, size 4, zero 4 */
#define EXO_CERT_RECORD 8U		/* slot 2, measure 2, registers 2, flags 1, stack slots 1 */
#define EXO_CERT_VALUE 4U		/* kind 1, form 1, flags 1, zeros 1 */

#define EXO_RECORD_DEAD (1U << 0)
#define EXO_RECORD_NO_MEASURE 0xffffU
#define EXO_RECORD_IDS 128U		/* @id in a record is less */

#define EXO_VALUE_ID (1U << 0)		/* id 2, delta 4 */
#define EXO_VALUE_TAG (1U << 1)		/* tag 2, dlo 4, dhi 4 */
#define EXO_VALUE_AVAIL (1U << 2)	/* avail 4 */
#define EXO_VALUE_HALF (1U << 3)

/* Form of a range: bits 0..2 arch, bits 3..5 spec. Bounds are sign-extended. */
#define EXO_FORM_ANY 0U
#define EXO_FORM_1 1U			/* bounds of 1 byte */
#define EXO_FORM_2 2U
#define EXO_FORM_4 3U
#define EXO_FORM_8 4U
#define EXO_FORM_SAME 5U		/* spec: like arch */

/**
 * struct exo_record - a place in a certificate
 * @at: the next byte
 * @end: behind the last byte of the certificate
 * @slot: the record's jump target
 * @measure: location that measures the loop whose head this is
 * @regs: registers of which values follow
 * @stack: stack slots that follow
 * @loc: the last location that was read
 * @dead: no run comes here
 * @bad: what has been read makes no sense
 */
struct exo_record {
	const u8 *at;
	const u8 *end;
	u32 slot;
	u32 measure;
	u32 regs;
	u32 stack;
	u32 loc;
	bool dead;
	bool bad;
};

u64 exo_hook_hash(const struct exo_hook *hook);
u64 exo_graft_hash(const struct exo_graft_prog *prog);
void exo_record_open(struct exo_record *rec, const u8 *at, const u8 *end);
bool exo_record_next(struct exo_record *rec, const struct exo_graft_prog *prog, struct exo_val *v);
u64 exo_cert_read(struct exo_record *rec, u32 bytes);

#endif
