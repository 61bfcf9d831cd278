/* SPDX-License-Identifier: GPL-2.0 */
/* A unit of the X groups' roots: what it points at, and room for what it doesn't. */
#ifndef EXO_BENCH_XN_UNIT_H
#define EXO_BENCH_XN_UNIT_H

struct xn_extent {
	unsigned long long block;
	unsigned int count;
	unsigned int slot;
};

#define XN_EXTENTS 191U

struct xn_unit {
	unsigned int nr;
	unsigned int pad[3];
	struct xn_extent extent[XN_EXTENTS];
	unsigned char text[1024];	/* owns() doesn't look at it */
};

#endif
