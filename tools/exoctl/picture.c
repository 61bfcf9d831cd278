// SPDX-License-Identifier: GPL-2.0
/*
 * The picture of the pool: which frames are free, mine (my user's), somebody else's, or not there.
 *
 * One character stands for a power of two of frames, so that the picture fits the terminal. It
 * shows what most of its frames are; colour repeats what the character says.
 */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exoctl.h"

#define QUERY_FRAMES 4096U
#define MAX_ROWS 16

static const struct exoctl_look looks[EXOCTL_STATES] = {
	[EXOCTL_ABSENT] = { "not in the pool", " ", " ", "" },
	[EXOCTL_FREE] = { "free", ".", "\u00b7", "\033[32m" },
	[EXOCTL_MINE] = { "mine", "#", "\u2588", "\033[34m" },
	[EXOCTL_TAKEN] = { "taken", "x", "\u2592", "\033[31m" },
};

/* Which of the taken frames in first ... first + count - 1 belong to the caller's user? */
static int mark_mine(struct exo_env *env, struct exoctl_picture *picture, uint32_t first,
		     uint32_t count, struct exo_frame_info *infos)
{
	int ret, i;

	ret = exo_mem_query(env, first, count, infos);
	for (i = 0; i < ret; i++)
		if (infos[i].hold & (EXO_HOLD_OWNER | EXO_HOLD_UID) &&
		    picture->state[first + i] == EXOCTL_TAKEN)
			picture->state[first + i] = EXOCTL_MINE;
	return ret < 0 ? ret : 0;
}

int exoctl_picture_take(struct exo_env *env, struct exoctl_picture *out_picture)
{
	static const uint8_t letters[] = {
		[EXO_FRAME_ABSENT] = EXOCTL_ABSENT,
		[EXO_FRAME_FREE] = EXOCTL_FREE,
		[EXO_FRAME_TAKEN] = EXOCTL_TAKEN,
	};
	struct exoctl_picture *picture = out_picture;
	const struct exo_table *table;
	struct exo_frame_info *infos;
	uint32_t i, first, count;
	uint8_t state;
	int ret;

	ret = exo_env_table(env, &table);
	if (ret < 0)
		return ret;
	memset(picture, 0, sizeof(*picture));
	picture->frames = (uint32_t)table->frames;
	picture->state = calloc(picture->frames ? picture->frames : 1, 1);
	infos = calloc(QUERY_FRAMES, sizeof(*infos));
	if (!picture->state || !infos) {
		ret = -ENOMEM;
		goto out;
	}
	for (i = 0; i < picture->frames; i++) {
		state = table->frame[i].state;
		picture->state[i] = state < sizeof(letters) ? letters[state] : EXOCTL_TAKEN;
	}
	for (first = 0; first < picture->frames && ret >= 0; first += count) {
		count = picture->frames - first;
		if (count > QUERY_FRAMES)
			count = QUERY_FRAMES;
		if (memchr(picture->state + first, EXOCTL_TAKEN, count))
			ret = mark_mine(env, picture, first, count, infos);
	}
	for (i = 0; i < picture->frames; i++)
		picture->count[picture->state[i]]++;
out:
	free(infos);
	if (ret < 0)
		free(picture->state);
	return ret < 0 ? ret : 0;
}

uint32_t exoctl_terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint32_t width;

	if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	else if (!columns || !exoctl_parse_u32(columns, &width))
		width = 80;
	if (width < EXOCTL_LABEL_WIDTH + 16)
		width = EXOCTL_LABEL_WIDTH + 16;
	return width > 400 ? 400 : width;
}

/* Rows of a power of two of cells make round labels. */
uint32_t exoctl_row_cells(void)
{
	uint32_t cells = 16;

	while (cells * 2 <= exoctl_terminal_width() - EXOCTL_LABEL_WIDTH - 1)
		cells *= 2;
	return cells;
}

/*
 * What most of the frames first ... first + count - 1 are; a tie goes to what is more interesting.
 */
static int most_of(const struct exoctl_picture *picture, uint32_t first, uint32_t count)
{
	uint32_t counts[EXOCTL_STATES] = { 0 }, i;
	int state, best = 0;

	for (i = first; i < first + count && i < picture->frames; i++)
		counts[picture->state[i]]++;
	for (state = 1; state < EXOCTL_STATES; state++)
		if (counts[state] && counts[state] >= counts[best])
			best = state;
	return best;
}

/* The span that is worth drawing: from the first frame there to the last. */
static void span(const struct exoctl_picture *picture, uint32_t *out_first, uint32_t *out_end)
{
	uint32_t first = 0, end = picture->frames;

	while (first < end && picture->state[first] == EXOCTL_ABSENT)
		first++;
	while (end > first && picture->state[end - 1] == EXOCTL_ABSENT)
		end--;
	*out_first = first;
	*out_end = end;
}

void exoctl_look_print(const struct exoctl_look *all, int state, int *look_now)
{
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");

	if (exoctl_colour() && *look_now != state) {
		printf("\033[0m%s", all[state].colour);
		*look_now = state;
	}
	fputs(utf8 ? all[state].utf8 : all[state].ascii, stdout);
}

static void print_legend(const struct exoctl_picture *picture)
{
	bool colour = exoctl_colour();
	int state, now;

	for (state = 1; state < EXOCTL_STATES; state++) {
		now = -1;
		printf("%s", state == 1 ? "  " : "   ");
		exoctl_look_print(looks, state, &now);
		printf("%s %" PRIu64 " %s (%s)", colour ? "\033[0m" : "", picture->count[state],
		       looks[state].name, exoctl_size(picture->count[state]));
	}
	putchar('\n');
}

static bool row_absent(const struct exoctl_picture *picture, uint32_t first, uint64_t count)
{
	uint32_t i;

	for (i = first; i < picture->frames && i < first + count; i++)
		if (picture->state[i] != EXOCTL_ABSENT)
			return false;
	return true;
}

void exoctl_picture_print(const struct exoctl_picture *picture)
{
	bool colour = exoctl_colour(), gap = false;
	uint32_t first, end, scale = 1, cells = exoctl_row_cells(), i;
	uint64_t row, per_row;
	int now;

	span(picture, &first, &end);
	if (first == end)
		return;
	while ((uint64_t)cells * MAX_ROWS * scale < (uint64_t)(end - first))
		scale *= 2;
	per_row = (uint64_t)cells * scale;
	for (row = first - first % per_row; row < end; row += per_row) {
		if (row_absent(picture, (uint32_t)row, per_row)) {
			if (!gap)
				printf("%8s :\n", "");
			gap = true;
			continue;
		}
		gap = false;
		printf("%8" PRIu64 " |", row);
		now = -1;
		for (i = 0; i < cells && row + (uint64_t)i * scale < end; i++)
			exoctl_look_print(looks, most_of(picture,
							 (uint32_t)(row + (uint64_t)i * scale),
							 scale), &now);
		printf("%s\n", colour ? "\033[0m" : "");
	}
	print_legend(picture);
	printf("  a character stands for %" PRIu32 " frame%s%s\n", scale, scale == 1 ? "" : "s",
	       scale == 1 ? "" : ", and shows what most of them are");
}

cJSON *exoctl_picture_json(const struct exoctl_picture *picture)
{
	static const char *const names[EXOCTL_STATES] = { "absent", "free", "mine", "taken" };
	cJSON *array = cJSON_CreateArray(), *object;
	uint32_t i, start;

	for (i = 0; i < picture->frames;) {
		start = i;
		while (i < picture->frames && picture->state[i] == picture->state[start])
			i++;
		if (picture->state[start] == EXOCTL_ABSENT)
			continue;
		object = cJSON_CreateObject();
		cJSON_AddNumberToObject(object, "frame", start);
		cJSON_AddNumberToObject(object, "count", i - start);
		cJSON_AddStringToObject(object, "state", names[picture->state[start]]);
		cJSON_AddItemToArray(array, object);
	}
	return array;
}
