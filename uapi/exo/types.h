/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The types that the contract is written in. A graft is compiled for BPF, where the headers of the
 * C library and the kernel aren't at hand; it needs no others.
 */
#ifndef _UAPI_EXO_TYPES_H
#define _UAPI_EXO_TYPES_H

#ifdef __bpf__
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef signed short __s16;
typedef signed int __s32;
typedef signed long long __s64;
#define __aligned_u64 __u64 __attribute__((aligned(8)))
#else
#include <linux/ioctl.h>
#include <linux/types.h>
#endif

#endif
