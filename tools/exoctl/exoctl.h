/* SPDX-License-Identifier: GPL-2.0 */
/*
 * exoctl: what its subcommands share. A subcommand is a file with one function, listed in main.c.
 *
 * Each prints its result on standard output, as text or (--json) as JSON, and what went wrong as a
 * sentence that says what to do on standard error. The exit status is one of enum exoctl_exit.
 */
#ifndef EXOCTL_H
#define EXOCTL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <exo/libexo.h>

enum exoctl_exit {
	EXOCTL_OK = 0,
	EXOCTL_FAILED = 1,	/* the module said no */
	EXOCTL_USAGE = 2,	/* the command line makes no sense */
	EXOCTL_NO_EXO = 3,	/* /dev/exo can't be opened */
	EXOCTL_PARTLY = 4,	/* less was done than asked for */
};

#define EXOCTL_UNLIMITED UINT32_MAX

/**
 * struct exoctl_command - a subcommand
 * @name: what is typed
 * @run: gets argv with "exoctl NAME" as argv[0]; returns an enum exoctl_exit
 * @help: one line
 */
struct exoctl_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

int exoctl_status(int argc, char **argv);
int exoctl_env(int argc, char **argv);
int exoctl_quota(int argc, char **argv);
int exoctl_pool(int argc, char **argv);
int exoctl_watch(int argc, char **argv);
int exoctl_revoke(int argc, char **argv);
int exoctl_graft(int argc, char **argv);
int exoctl_disk(int argc, char **argv);
int exoctl_root(int argc, char **argv);

/* util.c ------------------------------------------------------------------------------------- */

/* --json, as a child parser of every subcommand; its input is a bool. */
extern const struct argp exoctl_json_argp;

/* Opens the environment, or says why not and exits with EXOCTL_NO_EXO. */
struct exo_env *exoctl_open(void);
/* Prints "exoctl: " and a sentence; returns EXOCTL_FAILED. */
int exoctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for a call of libexo that failed: adds what its errno means and what to do. */
int exoctl_fail_errno(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints json (and frees it), in one line if compact. */
void exoctl_print_json(cJSON *json, bool compact);
/*
 * Every environment that the caller may see but this one's own: a malloc'd array; exits on failure.
 */
struct exo_env_status *exoctl_environments(struct exo_env *env, size_t *out_count);

/* "512", "512frames", "64K", "2M", "1G" as frames (rounded up). false: not such a thing. */
bool exoctl_parse_frames(const char *text, uint32_t *out_frames);
/* An argument that is one of these, and not 0; else argp says so, with an example. */
uint32_t exoctl_size_arg(const char *arg, const char *example, struct argp_state *state);
bool exoctl_parse_u32(const char *text, uint32_t *out_value);
bool exoctl_parse_u64(const char *text, uint64_t *out_value);
/* A user's name or number. */
bool exoctl_parse_user(const char *text, uint32_t *out_uid);
/* The user's name, else the number, in a static buffer of its own for each of 4 calls in a row. */
const char *exoctl_user(uint32_t uid);
/* Frames as a size that people read ("64 MiB"), in a static buffer as above. */
const char *exoctl_size(uint64_t frames);
/* A limit: a number, or "unlimited". Static buffer as above. */
const char *exoctl_limit(uint32_t limit);
/* Adds a limit: a number, or null if it is unlimited. */
void exoctl_json_limit(cJSON *object, const char *name, uint32_t limit);
/* The name of a process as /proc tells it, or "". Static buffer as above. */
const char *exoctl_comm(uint32_t pid);
/* May standard output have colours? */
bool exoctl_colour(void);

/* picture.c ---------------------------------------------------------------------------------- */

/**
 * struct exoctl_picture - the pool, frame by frame
 * @frames: length of @state
 * @state: one of the letters below for each frame
 * @count: how many of each letter, indexed by it
 */
#define EXOCTL_ABSENT 0
#define EXOCTL_FREE 1
#define EXOCTL_MINE 2
#define EXOCTL_TAKEN 3
#define EXOCTL_STATES 4

struct exoctl_picture {
	uint32_t frames;
	uint8_t *state;
	uint64_t count[EXOCTL_STATES];
};

/**
 * struct exoctl_look - what a kind of thing looks like in a picture
 * @name: in the legend
 * @ascii: one character
 * @utf8: one character, where the terminal has them
 * @colour: escape sequence
 */
struct exoctl_look {
	const char *name;
	const char *ascii;
	const char *utf8;
	const char *colour;
};

#define EXOCTL_LABEL_WIDTH 10	/* "  131072 |" */

uint32_t exoctl_terminal_width(void);
/* How many cells a row of a picture has: a power of two. */
uint32_t exoctl_row_cells(void);
/* A cell; look_now is -1 at the beginning of a row. */
void exoctl_look_print(const struct exoctl_look *all, int state, int *look_now);

/* 0 or -errno. */
int exoctl_picture_take(struct exo_env *env, struct exoctl_picture *out_picture);
void exoctl_picture_print(const struct exoctl_picture *picture);
/* Runs of equal frames, for --json. */
cJSON *exoctl_picture_json(const struct exoctl_picture *picture);

#endif
