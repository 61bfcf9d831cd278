// SPDX-License-Identifier: GPL-2.0
/*
 * The module parameter grafts=0: nothing can be loaded, and the feature bit says so beforehand.
 */
#include "graft_lib.h"

/* Catches: a switch that does nothing, or more than it says. */
TEST(load__switched_off)
{
	static const struct bpf_insn nop[] = { MOVI(0, 1), EXIT };
	struct exo_graft_load load = GRAFT(EXO_HOOK_PURE, EXO_GRAFT_INTERP, nop);
	struct exo_info info;
	int fd = t_open();

	t_info(fd, &info);
	if (info.out_features & EXO_FEATURE_GRAFT)
		SKIP("the module was loaded without grafts=0");
	ASSERT_EQ(t_load_graft(fd, &load), -EOPNOTSUPP);
	load.mode = 9;
	ASSERT_EQ(t_load_graft(fd, &load), -EINVAL);
	ASSERT_EQ(t_unload(fd, 1), -ENOENT);
}
