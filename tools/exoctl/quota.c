// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl quota: limits of users.
 *
 *	exoctl quota			the default's, own, (root) all with environments
 *	exoctl quota show USER|default
 *	exoctl quota set USER|default --frames=N --min=N --deadline=MS --envs=N --views=N
 *			--grafts=N --graft-insns=N --graft-jit=BYTES
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exoctl.h"

struct request {
	bool json;
	bool set;
	const char *who;	/* NULL: show all */
	struct exo_quota quota;	/* what to set, and whose */
};

static uint32_t parse_limit(struct argp_state *state, const char *what, const char *arg,
			    bool frames)
{
	uint32_t value;

	if (!strcmp(arg, "unlimited"))
		return EXOCTL_UNLIMITED;
	if (frames ? !exoctl_parse_frames(arg, &value) : !exoctl_parse_u32(arg, &value))
		argp_error(state, "--%s=%s: expected a number%s or \"unlimited\"", what, arg,
			   frames ? " of frames, a size such as 64M," : "");
	return value;
}

static uint32_t parse_number(struct argp_state *state, const char *what, const char *arg,
			     bool frames)
{
	uint32_t value;

	if (frames ? !exoctl_parse_frames(arg, &value) : !exoctl_parse_u32(arg, &value))
		argp_error(state, "--%s=%s: expected a number%s", what, arg,
			   frames ? " of frames, or a size such as 64M" : " of milliseconds");
	return value;
}

static error_t parse_arg(struct request *req, char *arg, struct argp_state *state)
{
	if (state->arg_num == 0) {
		if (strcmp(arg, "show") && strcmp(arg, "set"))
			argp_error(state, "\"%s\": expected \"show\" or \"set\"", arg);
		req->set = !strcmp(arg, "set");
		return 0;
	}
	if (state->arg_num > 1)
		argp_error(state, "one user at a time: what is \"%s\"?", arg);
	req->who = arg;
	return 0;
}

static error_t check_request(struct request *req, struct argp_state *state)
{
	if (req->set && !req->who)
		argp_error(state, "whose limits? exoctl quota set USER|default ...");
	if (req->set && !req->quota.flags)
		argp_error(state, "which limit? One or more of --frames, --min, --deadline, "
				  "--envs, --views, --grafts, --graft-insns, --graft-jit");
	if (!req->set && req->quota.flags)
		argp_error(state, "to set limits: exoctl quota set USER|default ...");
	return 0;
}

/* Options without a letter. */
enum { KEY_GRAFTS = 256, KEY_GRAFT_INSNS, KEY_GRAFT_JIT };

static error_t parse_graft(int key, char *arg, struct argp_state *state)
{
	struct exo_quota *quota = &((struct request *)state->input)->quota;

	switch (key) {
	case KEY_GRAFTS:
		quota->grafts = parse_limit(state, "grafts", arg, false);
		quota->flags |= EXO_QUOTA_GRAFTS;
		return 0;
	case KEY_GRAFT_INSNS:
		quota->graft_insns = parse_limit(state, "graft-insns", arg, false);
		quota->flags |= EXO_QUOTA_GRAFT_INSNS;
		return 0;
	case KEY_GRAFT_JIT:
		quota->graft_jit = parse_limit(state, "graft-jit", arg, false);
		quota->flags |= EXO_QUOTA_GRAFT_JIT;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct request *req = state->input;

	switch (key) {
	case 'f':
		req->quota.frames = parse_limit(state, "frames", arg, true);
		req->quota.flags |= EXO_QUOTA_FRAMES;
		return 0;
	case 'm':
		req->quota.min = parse_number(state, "min", arg, true);
		req->quota.flags |= EXO_QUOTA_MIN;
		return 0;
	case 'd':
		req->quota.deadline_ms = parse_number(state, "deadline", arg, false);
		req->quota.flags |= EXO_QUOTA_DEADLINE;
		return 0;
	case 'e':
		req->quota.envs = parse_limit(state, "envs", arg, false);
		req->quota.flags |= EXO_QUOTA_ENVS;
		return 0;
	case 'v':
		req->quota.views = parse_limit(state, "views", arg, false);
		req->quota.flags |= EXO_QUOTA_VIEWS;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &req->json;
		return 0;
	case ARGP_KEY_ARG:
		return parse_arg(req, arg, state);
	case ARGP_KEY_END:
		return check_request(req, state);
	default:
		return parse_graft(key, arg, state);
	}
}

static const struct argp_option options[] = {
	{ "frames", 'f', "N", 0, "most frames held (number, size such as 64M, or unlimited)", 0 },
	{ "min", 'm', "N", 0, "frames that revocation leaves, guaranteed", 0 },
	{ "deadline", 'd', "MS", 0, "milliseconds between request and force", 0 },
	{ "envs", 'e', "N", 0, "most environments", 0 },
	{ "views", 'v', "N", 0, "most views", 0 },
	{ "grafts", KEY_GRAFTS, "N", 0, "most grafts", 0 },
	{ "graft-insns", KEY_GRAFT_INSNS, "N", 0, "most instructions of all grafts together", 0 },
	{ "graft-jit", KEY_GRAFT_JIT, "BYTES", 0, "most machine code of all grafts together", 0 },
	{ 0 }
};

static cJSON *quota_json(const struct exo_quota *quota, bool is_default)
{
	cJSON *object = cJSON_CreateObject();

	if (is_default) {
		cJSON_AddNullToObject(object, "uid");
		cJSON_AddStringToObject(object, "user", "default");
	} else {
		cJSON_AddNumberToObject(object, "uid", quota->uid);
		cJSON_AddStringToObject(object, "user", exoctl_user(quota->uid));
	}
	exoctl_json_limit(object, "frames", quota->frames);
	cJSON_AddNumberToObject(object, "min", quota->min);
	cJSON_AddNumberToObject(object, "deadline_ms", quota->deadline_ms);
	exoctl_json_limit(object, "envs", quota->envs);
	exoctl_json_limit(object, "views", quota->views);
	exoctl_json_limit(object, "grafts", quota->grafts);
	exoctl_json_limit(object, "graft_insns", quota->graft_insns);
	exoctl_json_limit(object, "graft_jit", quota->graft_jit);
	if (!is_default) {
		cJSON_AddNumberToObject(object, "held", quota->out_frames);
		cJSON_AddNumberToObject(object, "open_envs", quota->out_envs);
		cJSON_AddNumberToObject(object, "loaded_grafts", quota->out_grafts);
		cJSON_AddNumberToObject(object, "loaded_insns", quota->out_graft_insns);
		cJSON_AddNumberToObject(object, "loaded_jit", quota->out_graft_jit);
	}
	return object;
}

static void print_row(const struct exo_quota *quota, bool is_default)
{
	printf("%-12s %10s %10" PRIu32 " %9" PRIu32 " ms %10s %10s %10s",
	       is_default ? "default" : exoctl_user(quota->uid), exoctl_limit(quota->frames),
	       quota->min, quota->deadline_ms, exoctl_limit(quota->envs),
	       exoctl_limit(quota->views), exoctl_limit(quota->grafts));
	if (!is_default)
		printf(" %10" PRIu32 " %6" PRIu32 " %6" PRIu32, quota->out_frames, quota->out_envs,
		       quota->out_grafts);
	putchar('\n');
}

/* One row: into array, or printed if that is NULL. */
static int show_one(struct exo_env *env, uint32_t uid, bool is_default, cJSON *array)
{
	struct exo_quota quota = { 0 };
	int ret;

	ret = exo_quota_get(env, is_default ? 0 : uid, is_default ? EXO_QUOTA_DEFAULT : 0, &quota);
	if (ret < 0)
		return ret;
	quota.uid = uid;
	/* This command's own environment is not worth mentioning. */
	if (!is_default && uid == geteuid() && quota.out_envs)
		quota.out_envs--;
	if (array)
		cJSON_AddItemToArray(array, quota_json(&quota, is_default));
	else
		print_row(&quota, is_default);
	return 0;
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The caller, and everybody who has an environment that the caller may see. */
static uint32_t *uids_to_show(struct exo_env *env, size_t *out_count)
{
	struct exo_env_status *rows;
	size_t count, i, n = 0;
	uint32_t *uids;

	rows = exoctl_environments(env, &count);
	uids = calloc(count + 1, sizeof(*uids));
	if (!uids) {
		exoctl_fail("out of memory");
		exit(EXOCTL_FAILED);
	}
	uids[n++] = geteuid();
	for (i = 0; i < count; i++)
		uids[n++] = rows[i].out_uid;
	free(rows);
	qsort(uids, n, sizeof(*uids), compare_uids);
	for (i = 1, count = 1; i < n; i++)
		if (uids[i] != uids[count - 1])
			uids[count++] = uids[i];
	*out_count = count;
	return uids;
}

static int show_all(struct exo_env *env, cJSON *array)
{
	uint32_t *uids;
	size_t count, i;
	int ret;

	ret = show_one(env, 0, true, array);
	/* The default is said to root only. */
	if (ret < 0 && ret != -EPERM && ret != -EACCES)
		return ret;
	uids = uids_to_show(env, &count);
	for (i = 0, ret = 0; i < count && ret >= 0; i++)
		ret = show_one(env, uids[i], false, array);
	free(uids);
	return ret;
}

static int show(struct exo_env *env, const struct request *req, uint32_t uid, bool is_default)
{
	cJSON *array = req->json ? cJSON_CreateArray() : NULL;
	int ret;

	if (!req->json)
		printf("%-12s %10s %10s %12s %10s %10s %10s %10s %6s %6s\n", "USER", "FRAMES", "MIN",
		       "DEADLINE", "ENVS", "VIEWS", "GRAFTS", "HELD", "OPEN", "LOADED");
	if (req->who)
		ret = show_one(env, uid, is_default, array);
	else
		ret = show_all(env, array);
	if (ret < 0) {
		cJSON_Delete(array);
		return exoctl_fail_errno(ret, "can't read the limits of %s",
					 req->who ? req->who : "all users");
	}
	if (array)
		exoctl_print_json(array, false);
	return EXOCTL_OK;
}

static int set_failed(int ret, const struct request *req)
{
	if (ret == -EDQUOT)
		return exoctl_fail("%" PRIu32 " frames can't be guaranteed to %s: all guarantees "
				   "together stay below half of the pool; grow it first "
				   "(exoctl pool grow 64M) or ask for less",
				   req->quota.min, req->who);
	return exoctl_fail_errno(ret, "can't set the limits of %s", req->who);
}

int exoctl_quota(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse, "[show [USER|default]]\nset USER|default",
		"Limits of users: frames, frames guaranteed, deadline, environments, views, grafts. "
		"Setting them needs root.",
		children, NULL, NULL,
	};
	struct request req = { 0 };
	bool is_default = false;
	uint32_t uid = 0;
	struct exo_env *env;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &req))
		return EXOCTL_USAGE;
	if (req.who) {
		is_default = !strcmp(req.who, "default");
		if (!is_default && !exoctl_parse_user(req.who, &uid)) {
			exoctl_fail("there is no user \"%s\"", req.who);
			return EXOCTL_USAGE;
		}
	}
	env = exoctl_open();
	if (req.set) {
		req.quota.uid = uid;
		if (is_default)
			req.quota.flags |= EXO_QUOTA_DEFAULT;
		ret = exo_quota_set(env, &req.quota);
		if (ret < 0)
			return set_failed(ret, &req);
	}
	ret = show(env, &req, uid, is_default);
	exo_env_close(env);
	return ret;
}
