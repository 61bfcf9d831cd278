/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the packet filters share: where the fields of an Ethernet frame are, and the two networks.
 *
 * The sources in this folder are fixed: every figure in bench/RESULTS.md is of exactly this code.
 * The same files are compiled with clang -target bpf and, for comparison, into a kernel module,
 * where SEC() means nothing.
 */
#ifndef EXO_BENCH_FILTER_H
#define EXO_BENCH_FILTER_H

#include <exo/graft.h>

#ifndef SEC
#define SEC(name)
#endif

#define BE16(value) __builtin_bswap16(value)
#define BE32(value) __builtin_bswap32(value)

#define U8(frame, offset) (*(const __u8 *)((frame) + (offset)))
#define U16(frame, offset) (*(const __u16 *)((frame) + (offset)))
#define U32(frame, offset) (*(const __u32 *)((frame) + (offset)))

#define ETH_TYPE 12
#define ETH_TYPE_IP BE16(0x0800)
#define ETH_TYPE_ARP BE16(0x0806)

/* Offsets in the frame, behind the 14 bytes of Ethernet. */
#define IP_LENGTH 14		/* of the header, in words, in the low four bits */
#define IP_FRAGMENT 20
#define IP_FRAGMENT_OFFSET BE16(0x1fff)
#define IP_PROTOCOL 23
#define IP_PROTOCOL_TCP 6
#define IP_SOURCE 26
#define IP_TARGET 30
#define IP_END 34
#define ARP_SOURCE 28
#define ARP_TARGET 38
#define ARP_END 42

/* The two networks of the PCC paper. */
#define NET_MASK BE32(0xffffff00)
#define NET_A BE32(0x8002ce00)	/* 128.2.206.0/24 */
#define NET_B BE32(0x8002dc00)	/* 128.2.220.0/24 */
#define TCP_PORT BE16(25)

#endif
