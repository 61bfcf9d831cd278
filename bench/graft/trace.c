// SPDX-License-Identifier: GPL-2.0
/*
 * The generator behind trace.h. What a frame must match is known from how it is made, not found
 * out by looking at it: it is the filters' oracle.
 */
#include "trace.h"

#define ETHERNET 14
#define IP 0x0800
#define ARP 0x0806
#define IPV6 0x86dd

#define TCP 6
#define UDP 17
#define ICMP 1

#define NET_A 0x8002ce00U	/* 128.2.206.0/24 */
#define NET_B 0x8002dc00U	/* 128.2.220.0/24 */
#define NET_OTHER 0x0a000000U	/* 10.0.0.0/8 */
#define PORT 25

/* splitmix64, a public-domain recurrence: three multiplications and shifts a number. */
static __u64 draw(struct trace *trace)
{
	__u64 z = trace->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* 0 .. below - 1; below is small, so that no value is noticeably favoured. */
static __u32 pick(struct trace *trace, __u32 below)
{
	return (__u32)(((draw(trace) >> 32) * below) >> 32);
}

static void put16(__u8 *to, __u32 value)
{
	to[0] = (__u8)(value >> 8);
	to[1] = (__u8)value;
}

static void put32(__u8 *to, __u32 value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

static __u32 host_of(struct trace *trace, __u32 net)
{
	return net | pick(trace, net == NET_OTHER ? 1U << 24 : 1U << 8);
}

/* Who talks to whom: the addresses, and TRACE_NET or TRACE_BETWEEN. */
static __u32 addresses(struct trace *trace, __u32 *source, __u32 *target)
{
	__u32 which = pick(trace, 1000);

	if (which < 100) {
		*source = host_of(trace, NET_A);
		*target = host_of(trace, NET_B);
		return TRACE_NET | TRACE_BETWEEN;
	}
	if (which < 200) {
		*source = host_of(trace, NET_B);
		*target = host_of(trace, NET_A);
		return TRACE_BETWEEN;
	}
	*target = host_of(trace, NET_OTHER);
	if (which < 350) {
		*source = host_of(trace, NET_A);
		return TRACE_NET;
	}
	*source = host_of(trace, NET_OTHER);
	return 0;
}

static __u32 make_transport(struct trace *trace, __u8 *ip, __u32 words)
{
	__u8 *ports = ip + words * 4;
	__u32 which = pick(trace, 1000), target = 1024 + pick(trace, 60000), match = 0;

	put16(ip + 6, 0);
	if (which < 800) {
		ip[9] = TCP;
		if (!pick(trace, 4)) {
			target = PORT;
			match = TRACE_TCP;
		}
	} else if (which < 950) {
		ip[9] = UDP;
		if (!pick(trace, 5))
			put16(ip + 6, 1 + pick(trace, 180));
	} else {
		ip[9] = ICMP;
	}
	put16(ports, 1024 + pick(trace, 60000));
	put16(ports + 2, target);
	return match;
}

static __u32 make_ip(struct trace *trace, struct trace_frame *frame)
{
	__u8 *ip = frame->bytes + ETHERNET;
	__u32 words = pick(trace, 8) ? 5 : 6 + pick(trace, 4), source, target, match;

	match = addresses(trace, &source, &target);
	ip[0] = (__u8)(0x40 | words);
	ip[1] = 0;
	put16(ip + 2, frame->length - ETHERNET);
	put32(ip + 12, source);
	put32(ip + 16, target);
	return match | TRACE_IP | make_transport(trace, ip, words);
}

static __u32 make_arp(struct trace *trace, struct trace_frame *frame)
{
	__u8 *arp = frame->bytes + ETHERNET;
	__u32 source, target, match;

	match = addresses(trace, &source, &target);
	put16(arp, 1);
	put16(arp + 2, IP);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, 1 + pick(trace, 2));
	put32(arp + 14, source);
	put32(arp + 24, target);
	return match & TRACE_BETWEEN;
}

/**
 * trace_start() - begin a trace
 * @trace: it
 * @seed: the same seed gives the same frames
 */
void trace_start(struct trace *trace, __u64 seed)
{
	trace->state = seed;
}

/**
 * trace_next() - the next frame of a trace
 * @trace: it
 * @out_frame: the frame, and which filters must accept it
 */
void trace_next(struct trace *trace, struct trace_frame *out_frame)
{
	static const __u32 lengths[4] = { TRACE_FRAME_MIN, 160, 590, TRACE_FRAME_MAX };
	__u32 type = pick(trace, 1000), i;
	__u64 word = 0;

	out_frame->length = type < 850 ? lengths[pick(trace, 4)] : TRACE_FRAME_MIN;
	for (i = 0; i < sizeof(out_frame->bytes); i++, word >>= 8) {
		if (i % 8 == 0)
			word = draw(trace);
		out_frame->bytes[i] = i < out_frame->length ? (__u8)word : 0;
	}
	if (type < 850) {
		put16(out_frame->bytes + 12, IP);
		out_frame->match = make_ip(trace, out_frame);
	} else if (type < 950) {
		put16(out_frame->bytes + 12, ARP);
		out_frame->match = make_arp(trace, out_frame);
	} else {
		put16(out_frame->bytes + 12, IPV6);
		out_frame->match = 0;
	}
}
