// SPDX-License-Identifier: GPL-2.0
/*
 * A fault on the view is answered in the kernel: the next frame of the owner's list is bound at the
 * page. It runs in one thread at a time for a view. If the bind can't be committed, the run is as if
 * it had not been: the frame is the next one again.
 */
#include <exo/graft.h>

#define LENGTH 1024

__u32 frames[LENGTH];	/* the owner's list: frame n is frames[n % LENGTH] */
__u64 given;		/* by this graft */
__u64 filled;		/* by the owner */

SEC("fault")
__u32 next_free(struct exo_ctx_fault *ctx)
{
	__u64 next = given;

	if (next == filled)
		return 0;	/* nothing is bound: the fault goes on to the program's handler */
	if (exo_log(&given))
		return 0;
	given = next + 1;
	exo_bind(ctx->page, frames[next % LENGTH], EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	return 1;
}
