// SPDX-License-Identifier: GPL-2.0
/* The rest of the engine's interface, refused. */
#include "core/xn_core.h"

int exo_xn_walk_begin(struct exo_xn *xn, bool repair, struct exo_xn_walk **out)
{ (void)xn; (void)repair; (void)out; return -EOPNOTSUPP; }
int exo_xn_walk_step(struct exo_xn_walk *walk, u32 units)
{ (void)walk; (void)units; return -EOPNOTSUPP; }
void exo_xn_walk_show(const struct exo_xn_walk *walk, struct exo_xn_check *out)
{ (void)walk; (void)out; }
void exo_xn_walk_end(struct exo_xn_walk *walk)
{ (void)walk; }
int exo_xn_walk_root(struct exo_xn *xn, struct exo_xn_core_root *root)
{ (void)xn; (void)root; return -EOPNOTSUPP; }
