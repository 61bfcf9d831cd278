/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw disks for ioctl_fuzz: a loop device with a disk of exo's on it, and what the words of a step mean there:
 * small ones stand for what is there (the disk, roots that were made, bindings), others for themselves.
 */
#ifndef EXO_FUZZ_XN_H
#define EXO_FUZZ_XN_H

#include <stdbool.h>
#include <stdint.h>

/* As root: makes the disk, if this machine can. Before each slice: nobody has anything on it. */
bool fuzz_xn_init(void);
void fuzz_xn_clean(void);
/* At the end: the disk must be all right, and is detached. */
void fuzz_xn_end(void);
/* As the user: before the first program of a process. */
void fuzz_xn_begin(void);
/* Before each program. */
void fuzz_xn_reset(void);
/* Is it one of these? */
bool fuzz_xn_is(uint8_t nr);
/* What ioctl() says: 0 or -errno. Frames are what the program has. */
int fuzz_xn(int fd, unsigned int env, uint8_t nr, const uint32_t *words, const uint32_t *array,
	    const uint32_t *frames, uint32_t nr_frames);
/* Where the disk's table of entries is to be mapped. */
uint64_t fuzz_xn_table(uint64_t *length);

#endif
