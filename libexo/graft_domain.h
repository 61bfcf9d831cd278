/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the prover does with states that the checker doesn't: it joins and widens them.
 */
#ifndef EXO_LIB_GRAFT_DOMAIN_H
#define EXO_LIB_GRAFT_DOMAIN_H

#include "core/graft_cert.h"

/* Bounds at which a growing range stops for a while, in ascending order. */
struct thresholds {
	u64 *at;
	u32 nr;
};

struct exo_range range_join(struct exo_range a, struct exo_range b);
struct exo_range range_widen(const struct thresholds *stops, struct exo_range old, struct exo_range now);

/* The numbers in a range, less one; *@max: the modulus less one of differences between them. */
u64 range_length(struct exo_range r, u64 *max);

/*
 * Joins @now into @st, of @locs locations; with @widen set, towards @stops, or to everything if @stops is
 * NULL. Tags are left alone. Returns whether @st has changed.
 */
bool state_join(struct exo_state *st, const struct exo_state *now, u32 locs, bool widen,
		const struct thresholds *stops);

/* Gives bases the names that records use. */
void state_rename(struct exo_state *st, u32 locs);

#endif
