/* SPDX-License-Identifier: GPL-2.0 */
/* What tests demand of a world; a test in which it isn't so has failed. */
#ifndef EXO_XN_WORLD_MUST_H
#define EXO_XN_WORLD_MUST_H

#include "unit.h"
#include "xn_world_ops.h"

struct w_line {
	u8 op;
	u8 user;
};

/* The engine didn't refuse. */
void w_must(int ret);
/* All that must be true of a world while it runs. */
void w_must_be_fine(struct world *w);
/* Do these one after the other, with a mark before each; each can be done. */
void w_script(struct world *w, const struct w_line *line, u32 nr);

#define W_SCRIPT(_w, ...) \
	do { \
		static const struct w_line w_lines[] = { __VA_ARGS__ }; \
		w_script(_w, w_lines, sizeof(w_lines) / sizeof(*w_lines)); \
	} while (0)

#endif
