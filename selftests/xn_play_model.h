/* SPDX-License-Identifier: GPL-2.0 */
/* What xn_play.c and xn_play_look.c know of the users. */
#ifndef EXO_TEST_XN_PLAY_MODEL_H
#define EXO_TEST_XN_PLAY_MODEL_H

#include "xn_play.h"

#define UNITS 5U	/* of a root: its first one, and those that it points at */
#define ENTRIES 10U
#define VERSIONS 1500U
#define EVENTS 8000U
#define AREA 192U	/* blocks that are used: few, so that each has many owners */
#define EXTENT 4U
#define TAG 0x6578656e742d0000ULL

/* A pointer; what was written to it since it was made has a higher number than @life. */
struct entry {
	uint64_t block, life;
	uint32_t count, slot;
};

struct unit {
	uint64_t block;	/* 0: there is none */
	uint32_t nr;
	struct entry e[ENTRIES];
};

struct state {
	struct unit unit[UNITS];
};

struct event {
	bool data;	/* else a commit of @user's version @number */
	uint32_t user;
	uint64_t block;
	uint64_t number;
};

struct user {
	int fd;
	uint32_t root, version, at, acked;	/* versions: last used, now, durable */
	uint32_t frame[EXTENT];
	uint64_t *page[EXTENT];
	struct state now, history[VERSIONS];
};

/* The last write of a block, the last that was acknowledged, and the last that made zeros. */
struct written {
	uint64_t last, acked, zeroed;
	uint32_t user;
};

extern const uid_t play_uid[PLAY_USERS];
extern const char *const play_name[PLAY_USERS];
extern struct user play_users[PLAY_USERS];
extern struct event play_event[EVENTS];
extern struct written play_written[PLAY_BLOCKS];
extern int play_admin;

/* 0: root again. */
void play_become(uid_t who);
void play_build(const struct unit *unit, uint32_t version, struct xt_unit *out);
/* The first of count free blocks behind a random one, or 0. */
uint64_t play_free_run(uint32_t u, uint32_t number, uint32_t count, uint64_t *seed);

#endif
