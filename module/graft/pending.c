// SPDX-License-Identifier: GPL-2.0
/*
 * Parts of the engine that this module was built without: nothing is proved and nothing translated,
 * so that every graft is interpreted.
 */
#include "core/graft.h"

size_t exo_graft_lower_room(const struct exo_graft_prog *prog)
{
	return 0;
}

int exo_graft_lower(const struct exo_graft_prog *prog, struct exo_graft_target *target,
		    struct exo_graft_error *err)
{
	return -EOPNOTSUPP;
}
