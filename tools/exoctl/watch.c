// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl watch: looks at the pool and at the environments again and again, and prints what changed.
 * Environments of exoctl itself, which come and go with every command, are left out.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exoctl.h"

struct request {
	bool json;
	uint64_t count;		/* 0: no end */
	uint64_t seconds;	/* 0: no end */
	uint32_t interval_ms;
};

/* An environment, and what its process was called: a process that is gone has no name any more. */
struct known {
	struct exo_env_status st;
	char comm[32];
};

struct watch {
	const struct request *req;
	uint64_t printed;
	uint64_t present;
	struct known *rows;
	size_t count;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct request *req = state->input;

	switch (key) {
	case 'c':
		if (!exoctl_parse_u64(arg, &req->count) || !req->count)
			argp_error(state, "--count=%s: expected a number of lines", arg);
		return 0;
	case 's':
		if (!exoctl_parse_u64(arg, &req->seconds) || !req->seconds)
			argp_error(state, "--seconds=%s: expected a number", arg);
		return 0;
	case 'i':
		if (!exoctl_parse_u32(arg, &req->interval_ms) || !req->interval_ms)
			argp_error(state, "--interval=%s: expected a number of milliseconds", arg);
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &req->json;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "what is \"%s\"?", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "count", 'c', "N", 0, "end after N lines", 0 },
	{ "seconds", 's', "S", 0, "end after S seconds", 0 },
	{ "interval", 'i', "MS", 0, "look every MS milliseconds (200)", 0 },
	{ 0 }
};

static bool finished(const struct watch *watch)
{
	return stop || (watch->req->count && watch->printed >= watch->req->count);
}

/* One line about an environment, or about the pool (known NULL). */
static void print_change(struct watch *watch, const struct known *known, const char *what,
			 uint64_t frames)
{
	const struct exo_env_status *row = known ? &known->st : NULL;
	struct timespec now;
	struct tm tm;
	char text[16];
	cJSON *object;

	if (finished(watch) || (known && !strcmp(known->comm, "exoctl")))
		return;
	watch->printed++;
	clock_gettime(CLOCK_REALTIME, &now);
	if (watch->req->json) {
		object = cJSON_CreateObject();
		cJSON_AddNumberToObject(object, "time", (double)now.tv_sec + now.tv_nsec / 1e9);
		cJSON_AddStringToObject(object, "event", what);
		cJSON_AddNumberToObject(object, "frames", (double)frames);
		if (row) {
			cJSON_AddNumberToObject(object, "env", (double)row->out_env);
			cJSON_AddNumberToObject(object, "uid", row->out_uid);
			cJSON_AddNumberToObject(object, "pid", row->out_pid);
			cJSON_AddNumberToObject(object, "held", row->out_frames);
			cJSON_AddNumberToObject(object, "wanted", row->out_wanted);
		}
		exoctl_print_json(object, true);
		fflush(stdout);
		return;
	}
	localtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s.%03ld  ", text, now.tv_nsec / 1000000);
	if (!row)
		printf("pool                              %-7s %8" PRIu64 " frames\n", what,
		       frames);
	else if (!strcmp(what, "opened") || !strcmp(what, "closed"))
		printf("env %-5" PRIu64 " %-8s %-15s %-7s\n", (uint64_t)row->out_env,
		       exoctl_user(row->out_uid), known->comm, what);
	else
		printf("env %-5" PRIu64 " %-8s %-15s %-7s %8" PRIu64 " frames, holds %" PRIu32 "\n",
		       (uint64_t)row->out_env, exoctl_user(row->out_uid), known->comm, what, frames,
		       row->out_frames);
	fflush(stdout);
}

/* How many of the frames that went missing were asked, given or taken. */
static void compare_env(struct watch *watch, const struct exo_env_status *old,
			const struct known *row)
{
	if (row->st.out_asked > old->out_asked)
		print_change(watch, row, "asked", row->st.out_asked - old->out_asked);
	if (row->st.out_given > old->out_given)
		print_change(watch, row, "gave", row->st.out_given - old->out_given);
	if (row->st.out_taken > old->out_taken)
		print_change(watch, row, "lost", row->st.out_taken - old->out_taken);
}

/* Both lists are in order of number. */
static void compare(struct watch *watch, const struct known *rows, size_t count)
{
	const struct exo_env_status none = { 0 };
	size_t i = 0, j = 0;

	while (i < watch->count || j < count) {
		if (j == count ||
		    (i < watch->count && watch->rows[i].st.out_env < rows[j].st.out_env)) {
			print_change(watch, &watch->rows[i], "closed",
				     watch->rows[i].st.out_frames);
			i++;
		} else if (i == watch->count || watch->rows[i].st.out_env > rows[j].st.out_env) {
			print_change(watch, &rows[j], "opened", rows[j].st.out_frames);
			compare_env(watch, &none, &rows[j]);
			j++;
		} else {
			compare_env(watch, &watch->rows[i].st, &rows[j]);
			i++;
			j++;
		}
	}
}

/* What is open now; names are taken over from the last look, where they are known. */
static struct known *look(struct exo_env *env, const struct watch *watch, size_t *out_count)
{
	struct exo_env_status *rows;
	struct known *known;
	size_t i, j = 0;

	rows = exoctl_environments(env, out_count);
	known = calloc(*out_count + 1, sizeof(*known));
	if (!known) {
		exoctl_fail("out of memory");
		exit(EXOCTL_FAILED);
	}
	for (i = 0; i < *out_count; i++) {
		known[i].st = rows[i];
		while (j < watch->count && watch->rows[j].st.out_env < rows[i].out_env)
			j++;
		if (j < watch->count && watch->rows[j].st.out_env == rows[i].out_env &&
		    watch->rows[j].comm[0])
			memcpy(known[i].comm, watch->rows[j].comm, sizeof(known[i].comm));
		else
			snprintf(known[i].comm, sizeof(known[i].comm), "%.31s",
				 exoctl_comm(rows[i].out_pid));
	}
	free(rows);
	return known;
}

static int watch_loop(struct exo_env *env, const struct request *req)
{
	struct timespec pause = { req->interval_ms / 1000, req->interval_ms % 1000 * 1000000L };
	struct watch watch = { .req = req };
	struct known *rows;
	const struct exo_table *table;
	struct timespec start, now;
	uint64_t present;
	size_t count;
	int ret;

	ret = exo_env_table(env, &table);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't map the frame table");
	watch.present = table->present;
	watch.rows = look(env, &watch, &watch.count);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!finished(&watch)) {
		nanosleep(&pause, NULL);
		rows = look(env, &watch, &count);
		compare(&watch, rows, count);
		present = table->present;
		if (present != watch.present)
			print_change(&watch, NULL, present > watch.present ? "grew to" : "fell to",
				     present);
		watch.present = present;
		free(watch.rows);
		watch.rows = rows;
		watch.count = count;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (req->seconds && (uint64_t)(now.tv_sec - start.tv_sec) >= req->seconds)
			break;
	}
	free(watch.rows);
	return EXOCTL_OK;
}

int exoctl_watch(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse, NULL,
		"Print what happens, with the time: environments that open and close, frames "
		"asked back, given back, lost (taken by force), and the size of the pool. Of your "
		"environments; of all to root. Ends with Ctrl-C.",
		children, NULL, NULL,
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct request req = { .interval_ms = 200 };
	struct exo_env *env;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &req))
		return EXOCTL_USAGE;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	env = exoctl_open();
	ret = watch_loop(env, &req);
	exo_env_close(env);
	return ret;
}
