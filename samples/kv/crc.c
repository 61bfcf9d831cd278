// SPDX-License-Identifier: GPL-2.0
/* crc32c (Castagnoli), with the processor's instruction where it has one. */
#include "store.h"

#define POLYNOMIAL 0x82f63b78U

__attribute__((target("sse4.2"))) static uint32_t crc_fast(uint32_t seed, const uint8_t *at,
							    size_t length)
{
	uint64_t crc = seed, word;
	int i;

	/* Pages: eight words without a look at what is left. */
	for (; length >= 64; length -= 64, at += 64) {
#pragma GCC unroll 8
		for (i = 0; i < 64; i += 8) {
			memcpy(&word, at + i, 8);
			crc = __builtin_ia32_crc32di(crc, word);
		}
	}
	for (; length >= 8; length -= 8, at += 8) {
		memcpy(&word, at, 8);
		crc = __builtin_ia32_crc32di(crc, word);
	}
	for (; length; length--)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *at++);
	return (uint32_t)crc;
}

static uint32_t crc_slow(uint32_t crc, const uint8_t *at, size_t length)
{
	int i;

	while (length--) {
		crc ^= *at++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return crc;
}

uint32_t kv_crc(const void *bytes, size_t length)
{
	return ~(__builtin_cpu_supports("sse4.2") ? crc_fast : crc_slow)(~0U, bytes, length);
}
