/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/crc32c.h: since 6.14 crc32c() is exported, and uses what the processor has. Before, the accelerated one was in
 * a module that somebody would have to load first, and what is exported is the generic one. The instruction of SSE 4.2
 * works on general registers, so it needs no kernel_fpu_begin().
 */
#ifndef EXO_COMPAT_CRC32C_H
#define EXO_COMPAT_CRC32C_H

#include <linux/crc32.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#include <asm/cpufeature.h>
#include <linux/string.h>

static inline u32 exo_crc32c(u32 crc, const void *bytes, size_t length)
{
	const u8 *at = bytes;
	u64 sum = crc;
	u64 word;

	if (!static_cpu_has(X86_FEATURE_XMM4_2))
		return __crc32c_le(crc, bytes, length);
	for (; length >= sizeof(word); at += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		asm("crc32q %1, %0" : "+r"(sum) : "rm"(word));
	}
	for (; length; at++, length--)
		asm("crc32b %1, %k0" : "+r"(sum) : "qm"(*at));
	return sum;
}
#else
static inline u32 exo_crc32c(u32 crc, const void *bytes, size_t length)
{
	return crc32c(crc, bytes, length);
}
#endif

#endif
