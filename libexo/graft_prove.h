/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The prover: computes the certificate that the module's checker wants. Nothing trusts it.
 */
#ifndef EXO_LIB_GRAFT_PROVE_H
#define EXO_LIB_GRAFT_PROVE_H

#include "core/graft.h"

int exo_graft_prove(const struct exo_graft_prog *prog, void **out_cert, size_t *out_size,
		    struct exo_graft_error *err);

#endif
