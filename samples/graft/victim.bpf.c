// SPDX-License-Identifier: GPL-2.0
/*
 * Which frames go, when frames are taken by force: first those that the database has marked as read
 * for the last time, never those that it will read again.
 */
#include <exo/graft.h>

#define FRAMES 65536

__u8 done[FRAMES];	/* set by the database, by number of frame */

SEC("victim")
__u32 choose(struct exo_ctx_victim *ctx)
{
	struct exo_victim *frame = (struct exo_victim *)(unsigned long)ctx->data;
	struct exo_victim *end = (struct exo_victim *)(unsigned long)ctx->data_end;
	__u32 left = (__u32)ctx->wanted, rank = 0, goes;

	for (; frame + 1 <= end; frame++) {
		goes = left && done[frame->frame % FRAMES];
		rank += goes;
		left -= goes;
		frame->give = goes ? rank : 0;
	}
	return rank;
}
