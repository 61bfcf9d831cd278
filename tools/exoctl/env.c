// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl env: the environments that the caller may see, all of them to root.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "exoctl.h"

/* Milliseconds until the deadline, 0 if it is over, -1 if there is none. */
static int64_t deadline_left(const struct exo_env_status *row)
{
	struct timespec now;
	int64_t ns;

	if (!row->out_deadline_ns)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)row->out_deadline_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	return ns > 0 ? ns / 1000000 : 0;
}

static cJSON *row_json(const struct exo_env_status *row)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "env", (double)row->out_env);
	cJSON_AddNumberToObject(object, "uid", row->out_uid);
	cJSON_AddStringToObject(object, "user", exoctl_user(row->out_uid));
	cJSON_AddNumberToObject(object, "pid", row->out_pid);
	cJSON_AddStringToObject(object, "command", exoctl_comm(row->out_pid));
	cJSON_AddNumberToObject(object, "held", row->out_frames);
	cJSON_AddNumberToObject(object, "quarantined", row->out_quarantined);
	cJSON_AddNumberToObject(object, "views", row->out_views);
	cJSON_AddNumberToObject(object, "bound", (double)row->out_bound);
	cJSON_AddNumberToObject(object, "asked", (double)row->out_asked);
	cJSON_AddNumberToObject(object, "given", (double)row->out_given);
	cJSON_AddNumberToObject(object, "taken", (double)row->out_taken);
	cJSON_AddNumberToObject(object, "wanted", row->out_wanted);
	cJSON_AddNumberToObject(object, "log", (double)row->out_log);
	if (deadline_left(row) < 0)
		cJSON_AddNullToObject(object, "deadline_ms");
	else
		cJSON_AddNumberToObject(object, "deadline_ms", (double)deadline_left(row));
	return object;
}

static void print_json(const struct exo_env_status *rows, size_t count)
{
	cJSON *array = cJSON_CreateArray();
	size_t i;

	for (i = 0; i < count; i++)
		cJSON_AddItemToArray(array, row_json(&rows[i]));
	exoctl_print_json(array, false);
}

static void print_text(const struct exo_env_status *rows, size_t count)
{
	const struct exo_env_status *row;
	size_t i;

	if (!count) {
		printf("no environment that you may see is open\n");
		return;
	}
	printf("%5s %-10s %7s %-15s %9s %9s %9s %9s %9s %7s\n", "ENV", "USER", "PID", "COMMAND",
	       "HELD", "BOUND", "ASKED", "GIVEN", "TAKEN", "WANTED");
	for (i = 0; i < count; i++) {
		row = &rows[i];
		printf("%5" PRIu64 " %-10s %7" PRIu32 " %-15s %9" PRIu32 " %9" PRIu64 " %9" PRIu64
		       " %9" PRIu64 " %9" PRIu64 " %7" PRIu32,
		       (uint64_t)row->out_env, exoctl_user(row->out_uid), row->out_pid,
		       exoctl_comm(row->out_pid), row->out_frames, (uint64_t)row->out_bound,
		       (uint64_t)row->out_asked, (uint64_t)row->out_given,
		       (uint64_t)row->out_taken, row->out_wanted);
		if (row->out_wanted && deadline_left(row) >= 0)
			printf(" (in %" PRId64 " ms)", deadline_left(row));
		if (row->out_quarantined)
			printf(" (%" PRIu32 " given up but pinned by I/O)", row->out_quarantined);
		putchar('\n');
	}
}

int exoctl_env(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		NULL, NULL, NULL,
		"Environments (open files of /dev/exo): who, and how many frames are held, bound, "
		"were asked back, given back, taken by force, and are wanted now. Yours; all to "
		"root.",
		children, NULL, NULL,
	};
	struct exo_env_status *rows;
	struct exo_env *env;
	bool json = false;
	size_t count;
	int index;

	if (argp_parse(&argp, argc, argv, 0, &index, &json) || index < argc)
		return EXOCTL_USAGE;
	env = exoctl_open();
	rows = exoctl_environments(env, &count);
	if (json)
		print_json(rows, count);
	else
		print_text(rows, count);
	free(rows);
	exo_env_close(env);
	return EXOCTL_OK;
}
