/* SPDX-License-Identifier: GPL-2.0 */
/* linux/crc32c.h: before 6.14 crc32c() was in a module of its own. */
#ifndef EXO_COMPAT_CRC32C_H
#define EXO_COMPAT_CRC32C_H

#include <linux/crc32.h>
#include <linux/version.h>

static inline u32 exo_crc32c(u32 crc, const void *bytes, size_t length)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	return crc32c(crc, bytes, length);
#else
	return __crc32c_le(crc, bytes, length);
#endif
}

#endif
