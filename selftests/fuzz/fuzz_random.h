/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where ioctl_fuzz takes its numbers from.
 */
#ifndef EXO_FUZZ_RANDOM_H
#define EXO_FUZZ_RANDOM_H

#include "harness.h"

extern uint64_t seed;

static inline uint32_t any(uint32_t n)
{
	return (uint32_t)(test_random(&seed) >> 20) % n;
}

/* Small numbers, frames and pages that exist, edges, anything. */
static inline uint32_t interesting(void)
{
	static const uint32_t edges[] = { 0, 1, 2, 511, 512, 513, 1024, 4096, 65535, 65536, 0x3ffffff,
					  0x4000000, 0x7fffffff, 0x80000000, ~0U, ~0U - 511 };

	switch (any(6)) {
	case 0:
		return edges[any(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return (uint32_t)test_random(&seed);
	case 2:
		return any(4096);
	case 3:
		return 1U << any(32);
	default:
		return any(16);
	}
}

#endif
