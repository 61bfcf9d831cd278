/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of ioctl_fuzz: what they are made of, those that it begins with, and what mutation makes of them.
 */
#ifndef EXO_FUZZ_PROGRAM_H
#define EXO_FUZZ_PROGRAM_H

#include <stdint.h>

#include "fuzz_graft.h"

#define MAX_STEPS 24
#define WORDS 24

/* One operation. words are the argument struct, as __u32s; what they point to is filled in. */
struct step {
	uint8_t nr;		/* EXO_NR_*, or one of the others below */
	uint8_t env;
	uint16_t len;		/* the size that it says */
	uint32_t words[WORDS];
	uint32_t array[32];
};

struct program {
	uint32_t steps;
	struct step step[MAX_STEPS];
};

/*
 * What the words mean: of most, the argument struct, see struct kind; of EXO_GRAFT_LOAD, fuzz_graft.c; of commands
 * on raw disks, fuzz_xn.c; of the others below, run_other() in ioctl_fuzz.c.
 */
enum { OTHER_MMAP = 0xf0, OTHER_MUNMAP, OTHER_TOUCH, OTHER_REOPEN, OTHER_CAP };

/* Size of the argument, and at which words a pointer to an array stands (0: none) and its count. */
struct kind {
	uint8_t nr;
	uint16_t size;
	uint8_t pointer;	/* in words */
	uint8_t count;		/* in words */
	uint8_t cap;		/* in words */
	uint8_t view;		/* in words */
	uint8_t graft;		/* in words */
};

/* NULL: neither an ioctl whose argument is known nor one of the others. */
const struct kind *fuzz_kind(uint8_t nr);

/*
 * What the fuzzer begins with: each good graft in each mode, loaded, attached, run, and faulted on; a fault for a
 * monitor; messages; a root on a raw disk. Chance alone would hardly ever get as far.
 */
#define FUZZ_SEEDS (FUZZ_GRAFTS * 3 + 3)
void fuzz_program_seed(struct program *p, uint32_t n);

/*
 * Memory for what the kernel writes where a program says, with nothing behind it: what is longer ends in EFAULT, and
 * never in what the fuzzer itself works with.
 */
void *fuzz_room(size_t len);

void fuzz_program_random(struct program *p);
void fuzz_program_mutate(struct program *p);

#endif
