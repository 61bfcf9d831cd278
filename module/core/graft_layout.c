// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
#include "core/graft.h"

static u64 pages(u64 bytes)
{
	return (bytes + 4095) & ~4095ULL;
}

/**
 * exo_graft_layout() - where a graft's regions lie in its window
 * @prog: decoded
 * @out: the result
 *
 * constants, padded to pages | a page that ends with context and stack | state | data.
 */
void exo_graft_layout(const struct exo_graft_prog *prog, struct exo_graft_layout *out)
{
	const struct exo_hook *hook = prog->hook;
	u64 scratch = EXO_GRAFT_BASE + pages(prog->const_size);
	u64 end;

	out->start[EXO_REGION_CONST] = EXO_GRAFT_BASE;
	out->start[EXO_REGION_STACK] = scratch + 4096 - prog->stack;
	out->start[EXO_REGION_CTX] = out->start[EXO_REGION_STACK] - hook->ctx_size;
	out->start[EXO_REGION_STATE] = scratch + 4096;
	end = out->start[EXO_REGION_STATE] + pages(prog->state_size);
	out->start[EXO_REGION_DATA] = end;

	out->read_lo = EXO_GRAFT_BASE;
	out->read_hi = end;
	out->write_lo = out->start[EXO_REGION_CTX] + hook->ctx_write;
	out->write_hi = end;

	/* Greater than every address: the end of an access, which may be the window's, fits, too. */
	for (out->mask = 4095; out->mask < end + hook->data_cap; )
		out->mask = out->mask << 1 | 1;
}
