/* SPDX-License-Identifier: GPL-2.0 */
/* What exo-fio's roots look like: one unit, a list of extents. For the engine and its template. */
#ifndef EXO_FIO_FORMAT_H
#define EXO_FIO_FORMAT_H

#define FIO_BLOCK 4096U

struct fio_extent {
	unsigned long long block;
	unsigned long long count;
};

#define FIO_EXTENTS 255U

struct fio_unit {
	unsigned long long nr;
	unsigned long long length;	/* blocks of each extent but the last */
	struct fio_extent extent[FIO_EXTENTS];
};

#endif
