/* SPDX-License-Identifier: GPL-2.0 */
/* Every operation on a raw disk, to be done by several at once, or by somebody who is killed meanwhile. */
#ifndef EXO_TEST_XN_OPS_H
#define EXO_TEST_XN_OPS_H

#include "xn_lib.h"

/**
 * struct xo_arena - a disk with one root, which all actors have in common
 * @path: of the device
 * @disk: number
 * @root: number
 * @at: the root's first unit
 * @template_number: of the root
 * @nr_free: blocks, when the root owns nothing
 * @shared: bytes of a unit, which some change while others apply them
 */
struct xo_arena {
	char path[32];
	uint32_t disk, root, template_number;
	uint64_t at, nr_free;
	struct xt_unit *shared;
};

/**
 * struct xo_actor - who does something
 * @arena: where
 * @fd: environment
 * @id: unique
 * @frames: own ones
 * @seed: of chance
 */
#define XO_FRAMES 4U
struct xo_actor {
	const struct xo_arena *arena;
	int fd;
	uint32_t id;
	uint32_t frames[XO_FRAMES];
	uint64_t seed;
};

struct xo_op {
	const char *name;
	int (*fn)(struct xo_actor *actor);	/* 0 or -errno */
};

extern const struct xo_op xo_ops[];
extern const uint32_t xo_nr;

/* A disk. Must; @shared is memory that others see. */
void xo_begin(int fd, struct xo_arena *arena);
/* In an environment that is open already. Must. */
void xo_actor(struct xo_actor *actor, const struct xo_arena *arena, int fd, uint32_t id);
/* May an operation say so when others do anything at the same time? */
bool xo_expected(int ret);
/*
 * Nobody does anything: see to it that the disk is attached and that the arena's root has blocks, so that what comes
 * next isn't refused for want of them. Must.
 */
void xo_stock(int fd, const struct xo_arena *arena);
/*
 * Nobody does anything any more: the disk must be all right, and, when what the dead left was deleted, as
 * free as at first; nothing keeps it attached. It is attached again afterwards.
 */
void xo_settle(int fd, struct xo_arena *arena, const char *after);

#endif
