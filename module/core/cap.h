/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Capability decisions: form, comparison, weakening, and how long a guesser waits.
 */
#ifndef EXO_CORE_CAP_H
#define EXO_CORE_CAP_H

#include "core/types.h"

/* What the MAC covers: everything before it, as three words. */
#define EXO_CAP_WORDS 3

/* This many recent failures cost nothing: people mistype. */
#define EXO_CAP_FREE_FAILURES 16U
/* One failure is forgotten after so long. */
#define EXO_CAP_FORGET_MS 64U
/* The longest time that one failure costs. */
#define EXO_CAP_DELAY_MAX_MS 100U

void exo_cap_words(const struct exo_cap *cap, u64 words[EXO_CAP_WORDS]);
bool exo_cap_mac_equal(u64 a, u64 b);
bool exo_cap_form_ok(const struct exo_cap *cap, u16 kind);
int exo_cap_allows(const struct exo_cap *cap, u64 generation, u32 rights);
int exo_cap_weaken(const struct exo_cap *from, u32 rights, struct exo_cap *to);
u32 exo_cap_decay(u32 failures, u64 elapsed_ms);
u32 exo_cap_delay_ms(u32 failures);

#endif
