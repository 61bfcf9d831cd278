/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A seeded trace of stored Ethernet frames for the packet filters. Nothing but the types of
 * <exo/types.h> is needed, so that the kernel's side of a comparison generates the same frames.
 *
 * The mix, of 1,000 frames on average:
 *	850 IP, 100 ARP, 50 neither
 *	of those with addresses: 100 from network A to B, 100 from B to A, 150 from A to elsewhere,
 *	650 between others
 *	of IP: 800 TCP, 150 UDP (a fifth of them later fragments), 50 ICMP; one in eight has options
 *	of TCP: 250 to port 25
 * so that of 10,000 frames filter_ip matches 8,500, filter_net 2,125 (0.85 * 0.25), filter_between
 * 1,900 (0.95 * 0.2), filter_tcp 1,700 (0.85 * 0.8 * 0.25).
 */
#ifndef EXO_BENCH_TRACE_H
#define EXO_BENCH_TRACE_H

#include <exo/types.h>

#define TRACE_FRAME_MAX 1514U
#define TRACE_FRAME_MIN 60U
#define TRACE_SEED 0x45584f31393936ULL

/* Which filters match a frame. */
#define TRACE_IP (1U << 0)
#define TRACE_NET (1U << 1)
#define TRACE_BETWEEN (1U << 2)
#define TRACE_TCP (1U << 3)
#define TRACE_FILTERS 4U

/* How many of 10,000 frames match, on average. */
#define TRACE_RATE_IP 8500U
#define TRACE_RATE_NET 2125U
#define TRACE_RATE_BETWEEN 1900U
#define TRACE_RATE_TCP 1700U

struct trace {
	__u64 state;
};

/**
 * struct trace_frame - one frame
 * @length: bytes
 * @match: TRACE_*: the filters that must accept it
 * @bytes: the frame; 8-byte aligned
 */
struct trace_frame {
	__u32 length;
	__u32 match;
	__u8 bytes[(TRACE_FRAME_MAX + 7) & ~7U];
};

void trace_start(struct trace *trace, __u64 seed);
void trace_next(struct trace *trace, struct trace_frame *out_frame);

#endif
