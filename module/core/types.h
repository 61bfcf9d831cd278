/* SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later */
/*
 * What the functional core is written in. Nothing in core/ includes a kernel header, allocates or
 * locks: the same files are compiled into the module, the unit tests, the fuzzers and the proofs.
 */
#ifndef EXO_CORE_TYPES_H
#define EXO_CORE_TYPES_H

#include <exo/exo.h>

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/types.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif

#endif
