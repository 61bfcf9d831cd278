// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl status: what module, kernel and machine offer, the pool, the caller's limits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "exoctl.h"

static const struct {
	uint64_t bit;
	const char *name;
} features[] = {
	{ EXO_FEATURE_URING, "uring" }, { EXO_FEATURE_HUGE, "huge" },
	{ EXO_FEATURE_UPCALL, "upcall" }, { EXO_FEATURE_STLB, "stlb" },
	{ EXO_FEATURE_LAZY, "lazy" },	{ EXO_FEATURE_MONITOR, "monitor" },
	{ EXO_FEATURE_GRAFT, "graft" }, { EXO_FEATURE_XN, "xn" },
};

#define NR_FEATURES (sizeof(features) / sizeof(features[0]))

struct status {
	struct utsname host;
	const struct exo_info *info;
	const struct exo_table *table;
	struct exo_quota quota;
	size_t envs;
};

static void print_json(const struct status *st)
{
	cJSON *root = cJSON_CreateObject(), *object;
	size_t i;

	cJSON_AddStringToObject(root, "kernel", st->host.release);
	object = cJSON_AddObjectToObject(root, "features");
	for (i = 0; i < NR_FEATURES; i++)
		cJSON_AddBoolToObject(object, features[i].name,
				      !!(st->info->out_features & features[i].bit));
	object = cJSON_AddObjectToObject(root, "pool");
	cJSON_AddNumberToObject(object, "present", (double)st->table->present);
	cJSON_AddNumberToObject(object, "free", (double)st->table->free);
	cJSON_AddNumberToObject(object, "target", (double)st->table->target);
	cJSON_AddNumberToObject(object, "free_huge", (double)st->table->free_huge);
	cJSON_AddNumberToObject(object, "may", st->quota.out_may);
	cJSON_AddNumberToObject(object, "may_huge", st->quota.out_may_huge);
	object = cJSON_AddObjectToObject(root, "machine");
	cJSON_AddNumberToObject(object, "frames", st->info->out_frames);
	cJSON_AddNumberToObject(object, "colours", st->info->out_colours);
	cJSON_AddNumberToObject(object, "nodes", st->info->out_nodes);
	cJSON_AddNumberToObject(object, "max_ops", st->info->out_max_ops);
	cJSON_AddNumberToObject(object, "max_pages", st->info->out_max_pages);
	cJSON_AddNumberToObject(object, "view_pages", st->info->out_view_pages);
	object = cJSON_AddObjectToObject(root, "user");
	cJSON_AddNumberToObject(object, "uid", st->quota.uid);
	cJSON_AddStringToObject(object, "name", exoctl_user(st->quota.uid));
	cJSON_AddNumberToObject(object, "held", st->quota.out_frames);
	exoctl_json_limit(object, "frames", st->quota.frames);
	cJSON_AddNumberToObject(object, "min", st->quota.min);
	cJSON_AddNumberToObject(object, "deadline_ms", st->quota.deadline_ms);
	exoctl_json_limit(object, "envs", st->quota.envs);
	exoctl_json_limit(object, "views", st->quota.views);
	cJSON_AddNumberToObject(root, "environments", (double)st->envs);
	exoctl_print_json(root, false);
}

static void print_features(const struct status *st, bool there)
{
	size_t i, shown = 0;

	for (i = 0; i < NR_FEATURES; i++) {
		if (!!(st->info->out_features & features[i].bit) != there)
			continue;
		printf("%s%s", shown++ ? " " : "", features[i].name);
	}
	if (!shown)
		printf("none");
}

static void print_text(const struct status *st)
{
	const struct exo_table *table = st->table;
	uint64_t may = st->quota.out_may + 512ULL * st->quota.out_may_huge;

	printf("kernel        %s\n", st->host.release);
	printf("features      ");
	print_features(st, true);
	printf(" (this kernel or machine has not: ");
	print_features(st, false);
	printf(")\n");
	printf("pool          %" PRIu64 " frames (%s), %" PRIu64 " free (%s), %" PRIu64
	       " free 2 MiB frames\n",
	       (uint64_t)table->present, exoctl_size(table->present), (uint64_t)table->free,
	       exoctl_size(table->free), (uint64_t)table->free_huge);
	if (may < table->free)
		printf("              you may have %" PRIu64 " of the free ones; the others are kept for users' "
		       "guaranteed minima, or beyond your limit\n", may);
	if (table->target > table->present)
		printf("              %" PRIu64 " more are lent to Linux, and come back on demand"
		       "\n",
		       (uint64_t)(table->target - table->present));
	if (!table->present && !table->target)
		printf("              it is empty; fill it: sudo exoctl pool grow 64M\n");
	printf("frame table   %" PRIu32 " frames, %" PRIu32 " colours, %" PRIu32 " node%s\n",
	       st->info->out_frames, st->info->out_colours, st->info->out_nodes,
	       st->info->out_nodes == 1 ? "" : "s");
	printf("batch         at most %" PRIu32 " operations, %" PRIu32 " pages; a view has at"
	       " most %" PRIu32 " pages\n",
	       st->info->out_max_ops, st->info->out_max_pages, st->info->out_view_pages);
	printf("user          %s holds %" PRIu32 " frames, limit %s; %" PRIu32
	       " guaranteed; deadline %" PRIu32 " ms\n",
	       exoctl_user(st->quota.uid), st->quota.out_frames, exoctl_limit(st->quota.frames),
	       st->quota.min, st->quota.deadline_ms);
	printf("environments  %zu that you may see (exoctl env)\n", st->envs);
}

int exoctl_status(int argc, char **argv)
{
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		NULL, NULL, NULL, "What module, kernel and machine offer; the pool; your limits.",
		children, NULL, NULL,
	};
	struct exo_env *env;
	struct status st;
	bool json = false;
	int index, ret;

	/* A lone child parser gets no input of its own: the parent's is passed on. */
	ret = argp_parse(&argp, argc, argv, 0, &index, &json);
	if (ret || index < argc)
		return EXOCTL_USAGE;
	env = exoctl_open();
	uname(&st.host);
	st.info = exo_env_info(env);
	ret = exo_env_table(env, &st.table);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't map the frame table");
	ret = exo_quota_get(env, getuid(), 0, &st.quota);
	if (ret < 0)
		return exoctl_fail_errno(ret, "can't read your limits");
	free(exoctl_environments(env, &st.envs));
	if (json)
		print_json(&st);
	else
		print_text(&st);
	exo_env_close(env);
	return EXOCTL_OK;
}
