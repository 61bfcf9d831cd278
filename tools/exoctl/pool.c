// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl pool: a picture of the pool; grow and shrink it.
 *
 *	exoctl pool
 *	exoctl pool grow SIZE [--huge] [--node=N]
 *	exoctl pool shrink SIZE [--node=N]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exoctl.h"

enum verb { SHOW, GROW, SHRINK };

struct request {
	bool json;
	enum verb verb;
	bool sized;
	uint32_t frames;
	struct exo_mem_pool_opts opts;
};

static error_t parse_arg(struct request *req, char *arg, struct argp_state *state)
{
	switch (state->arg_num) {
	case 0:
		if (!strcmp(arg, "show"))
			req->verb = SHOW;
		else if (!strcmp(arg, "grow"))
			req->verb = GROW;
		else if (!strcmp(arg, "shrink"))
			req->verb = SHRINK;
		else
			argp_error(state, "\"%s\": expected \"show\", \"grow\" or \"shrink\"", arg);
		return 0;
	case 1:
		req->frames = exoctl_size_arg(arg, "64M", state);
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
	case 'H':
		req->opts.flags |= EXO_POOL_HUGE;
		return 0;
	case 'n':
		if (!exoctl_parse_u32(arg, &req->opts.node))
			argp_error(state, "--node=%s: expected the number of a node", arg);
		req->opts.flags |= EXO_POOL_NODE;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &req->json;
		return 0;
	case ARGP_KEY_ARG:
		return parse_arg(req, arg, state);
	case ARGP_KEY_END:
		if (req->verb != SHOW && !req->sized)
			argp_error(state, "by how much? A number of frames, or a size such as 64M");
		if (req->verb == SHOW && (req->sized || req->opts.flags))
			argp_error(state, "\"show\" takes no size, --huge or --node");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "huge", 'H', NULL, 0, "in 2 MiB frames", 0 },
	{ "node", 'n', "N", 0, "only on this NUMA node", 0 },
	{ 0 }
};

static int show(struct exo_env *env, bool json)
{
	struct exoctl_picture picture;
	const struct exo_table *table;
	struct exo_quota quota;
	cJSON *root;
	uint64_t may;
	int ret;

	ret = exo_env_table(env, &table);
	if (ret >= 0)
		ret = exo_quota_get(env, getuid(), 0, &quota);
	if (ret >= 0)
		ret = exoctl_picture_take(env, &picture);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't read the frame table");
	if (json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "frames", (double)table->frames);
		cJSON_AddNumberToObject(root, "present", (double)table->present);
		cJSON_AddNumberToObject(root, "target", (double)table->target);
		cJSON_AddNumberToObject(root, "free", (double)picture.count[EXOCTL_FREE]);
		cJSON_AddNumberToObject(root, "mine", (double)picture.count[EXOCTL_MINE]);
		cJSON_AddNumberToObject(root, "taken", (double)picture.count[EXOCTL_TAKEN]);
		cJSON_AddNumberToObject(root, "free_huge", (double)table->free_huge);
		cJSON_AddNumberToObject(root, "may", quota.out_may);
		cJSON_AddNumberToObject(root, "may_huge", quota.out_may_huge);
		cJSON_AddItemToObject(root, "runs", exoctl_picture_json(&picture));
		exoctl_print_json(root, false);
	} else if (!table->present) {
		printf("the pool is empty%s\n",
		       table->target ? "; Linux has borrowed all of it" :
				       "; fill it: sudo exoctl pool grow 64M");
	} else {
		printf("pool: %" PRIu64 " frames (%s)", (uint64_t)table->present,
		       exoctl_size(table->present));
		if (table->target > table->present)
			printf(" of %" PRIu64 "; the others are lent to Linux",
			       (uint64_t)table->target);
		putchar('\n');
		may = quota.out_may + 512ULL * quota.out_may_huge;
		if (may < picture.count[EXOCTL_FREE])
			printf("you may have %" PRIu64 " of the free ones; the others are kept for users' "
			       "guaranteed minima, or beyond your limit\n", may);
		exoctl_picture_print(&picture);
	}
	free(picture.state);
	return EXOCTL_OK;
}

static void print_moved(const struct request *req, const struct exo_table *table, uint32_t done)
{
	cJSON *root;

	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "asked", req->frames);
		cJSON_AddNumberToObject(root, "done", done);
		cJSON_AddNumberToObject(root, "present", (double)table->present);
		cJSON_AddNumberToObject(root, "target", (double)table->target);
		exoctl_print_json(root, false);
		return;
	}
	printf("%s by %" PRIu32 " frames (%s); the pool has %" PRIu64 " (%s)\n",
	       req->verb == GROW ? "grew" : "shrank", done, exoctl_size(done),
	       (uint64_t)table->present, exoctl_size(table->present));
}

static int grow_failed(int ret, uint32_t done)
{
	if (ret == -EINVAL)
		return exoctl_fail("can't grow the pool: is there such a node, and is the size one "
				   "that 2 MiB frames fill?");
	if (ret == -ENOSPC || ret == -EOVERFLOW)
		return exoctl_fail("can't grow the pool beyond its frame table; load exo.ko with a "
				   "larger max_frames=");
	if (ret == -ENOMEM)
		return exoctl_fail("Linux has no more free memory to give%s",
				   done ? "" : "; ask for less, or without --huge");
	return exoctl_fail_errno(ret, "can't grow the pool");
}

static int shrink_failed(int ret)
{
	if (ret == -EDQUOT)
		return exoctl_fail("the pool can't shrink below twice what is guaranteed to users "
				   "with environments, this command's own included: lower that "
				   "first (exoctl quota; exoctl quota set USER --min=0), or end "
				   "their programs");
	return exoctl_fail_errno(ret, "can't shrink the pool");
}

static int move(struct exo_env *env, const struct request *req)
{
	const struct exo_table *table;
	uint32_t done = 0;
	int ret, err;

	if (req->opts.flags & EXO_POOL_HUGE &&
	    !(exo_env_info(env)->out_features & EXO_FEATURE_HUGE))
		return exoctl_fail("this kernel or machine can't do 2 MiB frames: leave "
				   "--huge out");
	ret = exo_env_table(env, &table);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't map the frame table");
	if (req->verb == GROW)
		err = exo_mem_pool_grow(env, req->frames, &req->opts, &done);
	else
		err = exo_mem_pool_shrink(env, req->frames, &req->opts, &done);
	if (err >= 0 || done)
		print_moved(req, table, done);
	if (err < 0) {
		ret = req->verb == GROW ? grow_failed(err, done) : shrink_failed(err);
		return done ? EXOCTL_PARTLY : ret;
	}
	if (done >= req->frames)
		return EXOCTL_OK;
	if (req->verb == GROW)
		exoctl_fail("that is less than %" PRIu32 ": Linux has no more free memory to give",
			    req->frames);
	else
		exoctl_fail("that is less than %" PRIu32 ": no more were free; the rest is "
			    "asked back from who holds it, if there is so much (exoctl watch)",
			    req->frames);
	return EXOCTL_PARTLY;
}

int exoctl_pool(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse, "[show]\ngrow SIZE\nshrink SIZE",
		"A picture of the pool: what is free, mine, taken. Growing and shrinking it needs "
		"root; SIZE is a number of frames, or has a unit: 64M.",
		children, NULL, NULL,
	};
	struct request req = { .opts.sz = sizeof(req.opts) };
	struct exo_env *env;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &req))
		return EXOCTL_USAGE;
	env = exoctl_open();
	ret = req.verb == SHOW ? show(env, req.json) : move(env, &req);
	exo_env_close(env);
	return ret;
}
