/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two users who change what they have on one raw disk, at random, and a model that knows what must be
 * there after a crash. Each change of a root has a number, which stands in its first unit; each sector of data
 * says whose it is, where, and which write it is.
 *
 * What was acknowledged is a list of events, which only grows: how many there were at a moment is all that must be
 * remembered of it.
 */
#ifndef EXO_TEST_XN_PLAY_H
#define EXO_TEST_XN_PLAY_H

#include "xn_lib.h"

#define PLAY_BLOCKS 512U	/* of the disk */
#define PLAY_LOG 64U
#define PLAY_USERS 2U

/* Called after each step that acknowledged something; or NULL. */
extern void (*play_acked)(uint32_t events);

/* Environments of the users; this process stays root. */
void play_open(void);
/* Format, attach, a root for each user. Must. */
void play_start(const char *path);
/* Without the last changes that were not committed. Must. */
void play_again(const char *path);
/* A random step: 0 or -errno. */
int play_step(uint64_t *seed);
/* Both commit: 0 or -errno. */
int play_commit(void);
uint32_t play_disk(void);
uint32_t play_events(void);
/* Is this write what its owner was promised, in a root that he has? */
bool play_promised(uint32_t events, uint64_t block, const void *sector);
/*
 * Attach the disk, look at everything, detach it: NULL if all that was acknowledged by then is there, and
 * nobody sees what isn't his; else what is wrong.
 */
const char *play_verify(const char *path, uint32_t events, uint64_t *seed);
/* The same on a disk that is attached. */
const char *play_look(uint32_t disk, uint32_t events, uint64_t *seed);
/* The same, for one user only; and his root: number and first block. */
const char *play_look_user(uint32_t disk, uint32_t user, uint32_t events, uint64_t *seed);
void play_root(uint32_t user, uint32_t *root, uint64_t *block);

#endif
