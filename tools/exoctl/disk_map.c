// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl disk map: who has which block, as a picture.
 *
 * One character stands for a power of two of blocks, and shows what most of them are. The map is read once
 * from the beginning to the end and counted into cells, however large the disk is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define CHUNK 65536U
#define MAX_ROWS 16
#define STATES 5

static const struct exoctl_look looks[STATES] = {
	[EXO_XN_FREE] = { "free", ".", "\u00b7", "\033[32m" },
	[EXO_XN_TAKEN] = { "others'", "x", "\u2592", "\033[31m" },
	[EXO_XN_MINE] = { "yours", "#", "\u2588", "\033[34m" },
	[EXO_XN_SYSTEM] = { "exo's", "s", "\u2591", "\033[33m" },
	[EXO_XN_WAITING] = { "wait for a commit", "w", "\u2592", "\033[36m" },
};

static const char *const json_names[STATES] = { "free", "taken", "mine", "system", "waiting" };

struct cell {
	uint32_t count[STATES];
};

struct picture {
	uint64_t blocks;
	uint64_t scale;
	uint32_t row;
	struct cell *cells;
	uint64_t count[STATES];
	cJSON *runs;		/* if JSON is wanted */
	uint64_t run;		/* where the last run begins */
	int run_state;		/* -1: none yet */
};

static void end_run(struct picture *picture, uint64_t end)
{
	cJSON *object;

	if (picture->run_state < 0 || picture->run == end)
		return;
	object = cJSON_CreateObject();
	cJSON_AddNumberToObject(object, "block", (double)picture->run);
	cJSON_AddNumberToObject(object, "count", (double)(end - picture->run));
	cJSON_AddStringToObject(object, "state", json_names[picture->run_state]);
	cJSON_AddItemToArray(picture->runs, object);
}

static void count_block(struct picture *picture, uint64_t block, uint8_t state)
{
	if (state >= STATES)
		state = EXO_XN_TAKEN;
	picture->count[state]++;
	picture->cells[block / picture->scale].count[state]++;
	if (picture->runs && picture->run_state != state) {
		end_run(picture, block);
		picture->run = block;
		picture->run_state = state;
	}
}

static int take(struct exo_xn *xn, struct picture *picture)
{
	uint8_t *map = malloc(CHUNK);
	uint64_t block = 0;
	int got = 0, i;

	if (!map)
		return -ENOMEM;
	while (block < picture->blocks) {
		got = exo_xn_map(xn, block, map, picture->blocks - block < CHUNK ?
				 (uint32_t)(picture->blocks - block) : CHUNK);
		if (got <= 0)
			break;
		for (i = 0; i < got; i++)
			count_block(picture, block++, map[i]);
	}
	free(map);
	if (picture->runs)
		end_run(picture, block);
	return got < 0 ? got : 0;
}

/* A tie goes to what is rarer on most disks. */
static int most_of(const struct cell *cell)
{
	int state, best = 0;

	for (state = 1; state < STATES; state++)
		if (cell->count[state] && cell->count[state] >= cell->count[best])
			best = state;
	return best;
}

static void draw(const struct picture *picture)
{
	uint64_t cells = (picture->blocks + picture->scale - 1) / picture->scale, i;
	const char *end = exoctl_colour() ? "\033[0m" : "";
	int state, now = -1;

	for (i = 0; i < cells; i++) {
		if (i % picture->row == 0) {
			printf("%s%8" PRIu64 " |", i ? "\n" : "", i * picture->scale);
			now = -1;
		}
		exoctl_look_print(looks, most_of(&picture->cells[i]), &now);
		if (i % picture->row == picture->row - 1 || i == cells - 1)
			fputs(end, stdout);
	}
	putchar('\n');
	for (state = 0; state < STATES; state++) {
		if (!picture->count[state] && state == EXO_XN_WAITING)
			continue;
		now = -1;
		printf("%s", state ? "   " : "  ");
		exoctl_look_print(looks, state, &now);
		printf("%s %" PRIu64 " %s (%s)", end, picture->count[state], looks[state].name,
		       exoctl_size(picture->count[state]));
	}
	printf("\n  a character stands for %" PRIu64 " block%s%s\n", picture->scale,
	       picture->scale == 1 ? "" : "s",
	       picture->scale == 1 ? "" : ", and shows what most of them are");
}

static void print_json(struct picture *picture)
{
	cJSON *root = cJSON_CreateObject();
	int state;

	cJSON_AddNumberToObject(root, "blocks", (double)picture->blocks);
	for (state = 0; state < STATES; state++)
		cJSON_AddNumberToObject(root, json_names[state], (double)picture->count[state]);
	cJSON_AddItemToObject(root, "runs", picture->runs);
	exoctl_print_json(root, false);
}

int disk_map(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn *xn = disk_open(env, req->object);
	struct picture picture = { .scale = 1, .row = exoctl_row_cells(), .run_state = -1 };
	struct exo_xn_disk disk;
	int ret;

	if (!xn)
		return EXOCTL_FAILED;
	ret = exo_xn_disk(xn, &disk);
	picture.blocks = disk.out_blocks;
	while (picture.row * MAX_ROWS * picture.scale < picture.blocks)
		picture.scale *= 2;
	picture.cells = calloc(picture.row * MAX_ROWS, sizeof(*picture.cells));
	if (!picture.cells)
		ret = -ENOMEM;
	if (!ret && req->json)
		picture.runs = cJSON_CreateArray();
	if (!ret)
		ret = take(xn, &picture);
	if (ret)
		ret = exoctl_fail_errno(ret, "can't read the map");
	else if (req->json)
		print_json(&picture);
	else
		draw(&picture);
	if (ret)
		cJSON_Delete(picture.runs);
	free(picture.cells);
	exo_xn_close(xn);
	return ret;
}
