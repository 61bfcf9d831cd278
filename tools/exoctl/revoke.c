// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl revoke: ask one environment, or all, for frames.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exoctl.h"

struct request {
	bool json;
	bool wait;
	bool all;
	bool sized;
	uint64_t target;
	uint32_t frames;
	uint32_t deadline_ms;
};

/* What happened to the environments that were asked, since the request. */
struct outcome {
	uint32_t asked;
	uint64_t given;
	uint64_t taken;
};

static error_t parse_arg(struct request *req, char *arg, struct argp_state *state)
{
	switch (state->arg_num) {
	case 0:
		req->all = !strcmp(arg, "all");
		if (!req->all && (!exoctl_parse_u64(arg, &req->target) || !req->target))
			argp_error(state,
				   "\"%s\": expected the number of an environment (exoctl env) "
				   "or \"all\"",
				   arg);
		return 0;
	case 1:
		req->frames = exoctl_size_arg(arg, "4M", state);
		req->sized = true;
		return 0;
	default:
		argp_error(state, "what is \"%s\"?", arg);
		return EINVAL;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct request *req = state->input;

	switch (key) {
	case 'd':
		if (!exoctl_parse_u32(arg, &req->deadline_ms) || !req->deadline_ms)
			argp_error(state, "--deadline=%s: expected a number of milliseconds", arg);
		return 0;
	case 'w':
		req->wait = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &req->json;
		return 0;
	case ARGP_KEY_ARG:
		return parse_arg(req, arg, state);
	case ARGP_KEY_END:
		if (!req->sized)
			argp_error(state, "from whom, and how many? exoctl revoke ENV|all FRAMES");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "deadline", 'd', "MS", 0, "take the rest after MS milliseconds (user's own)", 0 },
	{ "wait", 'w', NULL, 0, "until it is over; say how many were given and taken", 0 },
	{ 0 }
};

static bool concerned(const struct request *req, const struct exo_env_status *row)
{
	return req->all || row->out_env == req->target;
}

/* Sum of given and taken, and of what is still wanted, over those concerned. */
static uint64_t sum_up(struct exo_env *env, const struct request *req, uint64_t *given,
		       uint64_t *taken)
{
	struct exo_env_status *rows;
	uint64_t wanted = 0;
	size_t count, i;

	*given = 0;
	*taken = 0;
	rows = exoctl_environments(env, &count);
	for (i = 0; i < count; i++) {
		if (!concerned(req, &rows[i]))
			continue;
		*given += rows[i].out_given;
		*taken += rows[i].out_taken;
		wanted += rows[i].out_wanted;
	}
	free(rows);
	return wanted;
}

static void wait_for_end(struct exo_env *env, const struct request *req, struct outcome *outcome)
{
	static const struct timespec pause = { 0, 20 * 1000000L };
	uint64_t given, taken;

	while (sum_up(env, req, &given, &taken))
		nanosleep(&pause, NULL);
	/* Who died meanwhile took its sums along. */
	outcome->given = given > outcome->given ? given - outcome->given : 0;
	outcome->taken = taken > outcome->taken ? taken - outcome->taken : 0;
}

static void print_outcome(const struct request *req, const struct outcome *outcome)
{
	cJSON *root;

	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "asked", outcome->asked);
		if (req->wait) {
			cJSON_AddNumberToObject(root, "given", (double)outcome->given);
			cJSON_AddNumberToObject(root, "taken", (double)outcome->taken);
		}
		exoctl_print_json(root, false);
		return;
	}
	printf("asked for %" PRIu32 " frames (%s)", outcome->asked, exoctl_size(outcome->asked));
	if (req->wait)
		printf("; %" PRIu64 " were given back, %" PRIu64 " taken by force", outcome->given,
		       outcome->taken);
	putchar('\n');
}

int exoctl_revoke(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse, "ENV|all FRAMES",
		"Ask an environment (exoctl env has the numbers), or all in proportion to what "
		"they hold, for frames. What is not given back by the deadline is taken. The "
		"guaranteed minimum is left. Needs root.",
		children, NULL, NULL,
	};
	struct outcome outcome = { 0 };
	struct request req = { 0 };
	struct exo_env *env;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &req))
		return EXOCTL_USAGE;
	env = exoctl_open();
	sum_up(env, &req, &outcome.given, &outcome.taken);
	ret = exo_mem_revoke(env, req.target, req.frames, req.deadline_ms, &outcome.asked);
	if (ret == -ENOENT)
		return exoctl_fail("there is no environment %" PRIu64 "; exoctl env lists them",
				   req.target);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't ask for frames");
	if (req.wait)
		wait_for_end(env, &req, &outcome);
	print_outcome(&req, &outcome);
	exo_env_close(env);
	if (outcome.asked >= req.frames)
		return EXOCTL_OK;
	exoctl_fail("that is less than %" PRIu32 ": no more are held above the guaranteed minimum",
		    req.frames);
	return EXOCTL_PARTLY;
}
