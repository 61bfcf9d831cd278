/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs a proved graft and compares, before each instruction, what the registers and the stack hold with
 * what the certificate and the checker's functions say of them; and each access with its region.
 */
#ifndef EXO_UNIT_GRAFT_TRACE_H
#define EXO_UNIT_GRAFT_TRACE_H

#include "core/graft_cert.h"
#include "graft_world.h"

struct trace {
	char what[160];		/* what was wrong */
	u64 charged;		/* with the entry */
	u64 steps;
	u32 result;
	bool ended;		/* by EXIT, not by @limit */
};

/*
 * @world has been started; @cert is accepted. Registers that were never written hold garbage. Returns
 * false, and @trace->what, if anything that was proved isn't so.
 */
bool trace_run(struct world *world, const void *cert, size_t size, u64 limit, struct trace *trace);

#endif
