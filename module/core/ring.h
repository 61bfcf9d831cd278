/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Event ring decisions. The reader's index comes from shared memory and may be anything at any
 * time.
 */
#ifndef EXO_CORE_RING_H
#define EXO_CORE_RING_H

#include "core/types.h"

bool exo_ring_has_room(u64 head, u64 tail);
u32 exo_ring_index(u64 head);

#endif
