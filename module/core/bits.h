/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bitmaps of 64-bit words. The caller has the lock, and knows how long they are.
 */
#ifndef EXO_CORE_BITS_H
#define EXO_CORE_BITS_H

#include "core/types.h"

static inline bool exo_bit_test(const u64 *words, u32 i)
{
	return words[i / 64] >> (i % 64) & 1;
}

static inline void exo_bit_set(u64 *words, u32 i)
{
	words[i / 64] |= 1ULL << (i % 64);
}

static inline void exo_bit_clear(u64 *words, u32 i)
{
	words[i / 64] &= ~(1ULL << (i % 64));
}

/* First bit at or above @i, or @end. */
static inline u32 exo_bit_next(const u64 *words, u32 i, u32 end)
{
	u64 word;

	while (i < end) {
		word = words[i / 64] >> (i % 64);
		if (word) {
			i += __builtin_ctzll(word);
			return i < end ? i : end;
		}
		i = (i / 64 + 1) * 64;
	}
	return end;
}

#endif
