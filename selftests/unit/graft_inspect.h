/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads lowered sandbox code and shows INV-GRAFT-14 of it, knowing nothing of how it was made: at each
 * memory access the base register can only hold the frame, the record, or the window's base plus a
 * constant inside the window or plus a masked value. Branches count as going either way.
 */
#ifndef EXO_UNIT_GRAFT_INSPECT_H
#define EXO_UNIT_GRAFT_INSPECT_H

#include "graft_raw.h"

/* Returns NULL, or what is wrong; *at is the instruction. */
const char *inspect_sandbox(const struct raw *raw, u32 *at);

#endif
