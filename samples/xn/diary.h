/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A diary on raw blocks: text that is only appended to. One unit says how many bytes there are, and in which runs
 * of data blocks.
 *
 * The last block is written again and again, with the same bytes at its beginning. What is behind the length that
 * the unit has does not count, so that a crash in the middle does no harm.
 */
#ifndef EXO_SAMPLES_XN_DIARY_H
#define EXO_SAMPLES_XN_DIARY_H

#include <exo/types.h>

#define DIARY_BLOCK 4096
#define DIARY_HEAD 0x79726964U	/* "diry" */
#define DIARY_RUNS 64
#define DIARY_RUN 4		/* blocks of each */

struct diary_head {
	__u32 magic;
	__u32 runs;
	__u64 bytes;
	__u64 run[DIARY_RUNS];
	__u8 unused[DIARY_BLOCK - 16 - DIARY_RUNS * 8];
};

#ifndef __bpf__

#include "store.h"

int diary_create(struct store *store, const char *name);
/* Durable when it returns. */
int diary_append(struct store *store, const char *text);
/* At most so many bytes from this one on: how many. */
int diary_read(struct store *store, uint64_t from, char *text, uint32_t length);

#endif
#endif
