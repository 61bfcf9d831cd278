/* SPDX-License-Identifier: GPL-2.0 */
/* asm/cpuid/api.h: until 6.16 cpuid_count() came with asm/processor.h. */
#ifndef EXO_COMPAT_CPUID_H
#define EXO_COMPAT_CPUID_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#include <asm/processor.h>
#else
#include <asm/cpuid/api.h>
#endif

#endif
