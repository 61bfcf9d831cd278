/* SPDX-License-Identifier: GPL-2.0 */
/* How data is marked: at the beginning of each sector. */
#ifndef EXO_XN_WORLD_TAG_H
#define EXO_XN_WORLD_TAG_H

#include "core/types.h"

struct w_tag {
	u64 magic;
	u64 block;
	u64 sector;
	u64 life;
	u64 seq;
	u64 check;
};

#define W_TAG_MAGIC 0x7461643a6f7865ULL

static inline u64 w_tag_check(const struct w_tag *tag)
{
	return (tag->block * 31 + tag->sector * 7 + tag->life) * 0x9e3779b97f4a7c15ULL ^ tag->seq;
}

#endif
