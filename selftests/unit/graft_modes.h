/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One graft in all modes, in user memory: the interpreter says what must come out (INV-GRAFT-11). A
 * difference, or an access that must not be, fails the test.
 */
#ifndef EXO_UNIT_GRAFT_MODES_H
#define EXO_UNIT_GRAFT_MODES_H

#include "graft_raw.h"

struct modes {
	struct world *world;
	struct raw *raw;
	u8 *expected;		/* the window, as the interpreter left it */
	u32 loaded;		/* of it: everything up to the data's end */
};

struct outcome {
	u32 result;
	u32 status;
	s64 budget;
	u64 calls;
};

void modes_new(struct modes *modes);
void modes_free(struct modes *modes);

/*
 * What is loaded in the world: interpreted, in the sandbox, as the lowering for proofs makes it with
 * its accesses checked all the same; with @all also in the sandbox without barriers. Returns false if
 * the budget doesn't pay for the entry.
 */
bool modes_run(struct modes *modes, const struct world_input *input, bool all, struct outcome *want);

/*
 * The same with a proof, if the prover finds one: all that it says must hold while it runs. @want is what
 * modes_run() found. world->error says why there is none.
 */
bool modes_prove(struct modes *modes, const struct world_input *input, const struct outcome *want);

/* What modes_run() left, for who ran the graft once more. */
void modes_compare(struct modes *modes, const struct outcome *want, const struct outcome *got, const char *mode);
void modes_outcome(const struct modes *modes, u32 result, struct outcome *out);

#endif
