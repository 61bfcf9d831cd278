// SPDX-License-Identifier: GPL-2.0
#include "xn_world_must.h"

void w_must(int ret)
{
	if (ret < 0)
		unit_fail(__FILE__, __LINE__, "the engine refuses with %d", ret);
}

void w_must_be_fine(struct world *w)
{
	enum w_violation bad = w_check_live(w);

	if (bad)
		unit_fail(__FILE__, __LINE__, "%s: %s", w_violation_name[bad], w->why);
}

void w_script(struct world *w, const struct w_line *line, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		w_mark(w);
		if (w_do(w, line[i].op, line[i].user) != 1)
			unit_fail(__FILE__, __LINE__, "line %u of the script, %s of user %u, can't be done", i,
				  w_op_name[line[i].op], line[i].user);
	}
}
