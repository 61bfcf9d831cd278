/* SPDX-License-Identifier: GPL-2.0 */
/* What X3a and X3b share: the same device three times, with exo's disk, ext4 and xfs on it. */
#ifndef EXO_BENCH_X3_H
#define EXO_BENCH_X3_H

#include "bench.h"

/* What SQLite's files are on. */
struct x3_place {
	const char *name;
	const char *vfs;
	const char *dir;	/* files stand there; "": the VFS has names of its own */
	const char *device;
};

enum { X3_EXO, X3_EXT4, X3_XFS, X3_PLACES };

extern const struct x3_place x3_places[X3_PLACES];

/* What a device was asked to do. */
struct x3_requests {
	double requests;	/* reads, writes and flushes */
	double flushes;
	double bytes;
};

struct x3_requests x3_requests(const struct x3_place *place);
/* X2: transactions with a module that checks nothing, which lies there. None is loaded, then or afterwards. */
void x3_unchecked(const char *module);
/* Ends the process unless the command ends with 0. */
void x3_system(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void x3a_run(void);
void x3b_run(void);
/* On exo alone: instructions of a transaction in WAL and in delete mode. */
void x3b_exo(double figure[2]);

#endif
