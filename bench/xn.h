/* SPDX-License-Identifier: GPL-2.0 */
/* What the groups about raw disks share: devices, and a root on a disk of exo's. */
#ifndef EXO_BENCH_XN_H
#define EXO_BENCH_XN_H

#include "bench.h"
#include "xn_unit.h"

struct xn {
	struct exo_env *env;
	struct exo_xn *disk;
	uint32_t root;
	uint64_t at;	/* of the root's unit */
	struct xn_unit unit;
};

/* null_blk, memory-backed, if there is none: its path. */
const char *xn_nullb(void);
/* A loop device on a new sparse file; bytes 0: on the file as it is. Its path, to free(). */
char *xn_loop(const char *file, uint64_t bytes);
/* Of a device, since the boot. */
enum xn_stat { XN_READS, XN_READ_BYTES, XN_WRITES, XN_WRITE_BYTES, XN_FLUSHES };
uint64_t xn_stat(const char *device, enum xn_stat what);
/* An empty disk on the device, with a root whose unit owns nothing. */
void xn_open(struct xn *xn, const char *device, uint32_t frames);
/* Detached; the environment is closed. */
void xn_close(struct xn *xn);
/* The root's unit gets an extent of so many blocks, committed: the first. */
uint64_t xn_grow(struct xn *xn, uint32_t count);

#endif
