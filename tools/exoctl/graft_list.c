// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl graft list, show, kill, run: grafts that the module has.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graft.h"

#define MAX_DATA (1U << 16)
#define STATUSES (sizeof(((struct exo_graft_info *)0)->out_aborts) / sizeof(__u64))

static uint64_t aborts(const struct exo_graft_info *info)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 1; i < STATUSES; i++)
		sum += info->out_aborts[i];
	return sum;
}

static cJSON *info_json(const struct exo_graft_info *info)
{
	cJSON *object = cJSON_CreateObject(), *by_status;
	size_t i;

	cJSON_AddNumberToObject(object, "graft", info->graft);
	cJSON_AddStringToObject(object, "name", info->out_name);
	cJSON_AddStringToObject(object, "hook", exo_graft_hook_name(info->out_hook));
	cJSON_AddNumberToObject(object, "env", (double)info->out_env);
	cJSON_AddNumberToObject(object, "uid", info->out_uid);
	cJSON_AddStringToObject(object, "mode", graft_mode_name(info->out_mode));
	cJSON_AddBoolToObject(object, "mixed", !!(info->out_flags & EXO_GRAFT_IS_MIXED));
	cJSON_AddBoolToObject(object, "killed", !!(info->out_flags & EXO_GRAFT_IS_KILLED));
	cJSON_AddBoolToObject(object, "barriers", !!(info->out_flags & EXO_GRAFT_IS_BARRED));
	cJSON_AddNumberToObject(object, "instructions", info->out_insns);
	cJSON_AddNumberToObject(object, "lowered", info->out_lowered);
	cJSON_AddNumberToObject(object, "jit_bytes", info->out_jit_bytes);
	cJSON_AddNumberToObject(object, "constants", info->out_const_size);
	cJSON_AddNumberToObject(object, "state_pages", info->out_state_pages);
	cJSON_AddNumberToObject(object, "attached", info->out_attached);
	if (info->out_worst == ~0ULL)
		cJSON_AddNullToObject(object, "worst");
	else
		cJSON_AddNumberToObject(object, "worst", (double)info->out_worst);
	cJSON_AddNumberToObject(object, "runs", (double)info->out_runs);
	cJSON_AddNumberToObject(object, "charged", (double)info->out_charged);
	by_status = cJSON_AddArrayToObject(object, "aborts");
	for (i = 1; i < STATUSES; i++)
		cJSON_AddItemToArray(by_status, cJSON_CreateNumber((double)info->out_aborts[i]));
	return object;
}

static void print_row(const struct exo_graft_info *info)
{
	printf("%5" PRIu32 " %-20s %-7s %-10s %5" PRIu64 " %-8s %8" PRIu32 " %8" PRIu64 " %7" PRIu64
	       "%s\n", info->graft, info->out_name, exo_graft_hook_name(info->out_hook),
	       exoctl_user(info->out_uid), (uint64_t)info->out_env,
	       graft_mode_name(info->out_mode), info->out_attached, (uint64_t)info->out_runs,
	       aborts(info), info->out_flags & EXO_GRAFT_IS_KILLED ? " (killed)" : "");
}

int graft_list(const struct graft_request *req)
{
	struct exo_env *env = exoctl_open();
	struct exo_graft_info rows[64];
	cJSON *array = cJSON_CreateArray();
	uint64_t start = 0;
	bool any = false;
	int n, i;

	do {
		n = exo_graft_list(env, rows, 64, start);
		for (i = 0; i < n; i++) {
			if (req->json)
				cJSON_AddItemToArray(array, info_json(&rows[i]));
			else if (!any)
				printf("%5s %-20s %-7s %-10s %5s %-8s %8s %8s %7s\n", "GRAFT", "NAME",
				       "HOOK", "USER", "ENV", "MODE", "ATTACHED", "RUNS", "ABORTS");
			if (!req->json)
				print_row(&rows[i]);
			any = true;
			start = rows[i].graft;
		}
	} while (n == 64);
	if (req->json && n >= 0)
		exoctl_print_json(array, false);
	else
		cJSON_Delete(array);
	if (n >= 0 && !any && !req->json)
		printf("no graft that you may see is loaded\n");
	exo_env_close(env);
	return n < 0 ? exoctl_fail_errno(n, "can't list the grafts") : EXOCTL_OK;
}

static void print_info(const struct exo_graft_info *info)
{
	size_t i;

	printf("graft %" PRIu32 " \"%s\" at the hook \"%s\", of %s in environment %" PRIu64 "\n",
	       info->graft, info->out_name, exo_graft_hook_name(info->out_hook),
	       exoctl_user(info->out_uid), (uint64_t)info->out_env);
	printf("  mode          %s%s%s\n", graft_mode_name(info->out_mode),
	       info->out_flags & EXO_GRAFT_IS_MIXED ? ", its budget is counted" : "",
	       info->out_flags & EXO_GRAFT_IS_BARRED ? ", guarded against speculation" : "");
	printf("  instructions  %" PRIu32 ", %" PRIu32 " after lowering, %" PRIu32
	       " bytes of machine code\n", info->out_insns, info->out_lowered, info->out_jit_bytes);
	printf("  memory        %" PRIu32 " bytes of constants, %" PRIu32 " pages of state\n",
	       info->out_const_size, info->out_state_pages);
	if (info->out_worst != ~0ULL)
		printf("  worst case    %" PRIu64 " is charged\n", (uint64_t)info->out_worst);
	printf("  attached      at %" PRIu32 " places%s\n", info->out_attached,
	       info->out_flags & EXO_GRAFT_IS_KILLED ? ", but it was killed and doesn't run" : "");
	printf("  runs          %" PRIu64 ", the dearest was charged %" PRIu64 "\n",
	       (uint64_t)info->out_runs, (uint64_t)info->out_charged);
	for (i = 1; i < STATUSES; i++)
		if (info->out_aborts[i])
			printf("  %-13" PRIu64 " %s\n", (uint64_t)info->out_aborts[i],
			       exo_graft_status_text((uint32_t)i));
}

static void print_log(struct exo_env *env, uint32_t graft)
{
	struct exo_graft_trace entries[EXO_GRAFT_TRACES];
	int n = exo_graft_log(env, graft, entries, EXO_GRAFT_TRACES, 0), i;

	/* Only its owner's environment may read it. */
	for (i = 0; i < n; i++)
		printf("  %" PRIu64 ".%09" PRIu64 "  %" PRIu64 " %" PRIu64 "\n",
		       (uint64_t)entries[i].time_ns / 1000000000,
		       (uint64_t)entries[i].time_ns % 1000000000, (uint64_t)entries[i].arg[0],
		       (uint64_t)entries[i].arg[1]);
}

/* What a call about one graft said. */
static int done(const struct graft_request *req, int ret, const char *what)
{
	if (!ret)
		return EXOCTL_OK;
	if (ret == -ENOENT)
		return exoctl_fail("there is no graft %" PRIu32 " that you may see: exoctl graft list",
				   req->graft);
	return exoctl_fail_errno(ret, "%s graft %" PRIu32, what, req->graft);
}

int graft_show(const struct graft_request *req)
{
	struct exo_env *env = exoctl_open();
	struct exo_graft_info info;
	int ret = exo_graft_status(env, req->graft, &info);

	if (!ret && req->json)
		exoctl_print_json(info_json(&info), false);
	else if (!ret)
		print_info(&info);
	if (!ret && !req->json)
		print_log(env, req->graft);
	exo_env_close(env);
	return done(req, ret, "can't show");
}

int graft_kill(const struct graft_request *req)
{
	struct exo_env *env = exoctl_open();
	int ret = exo_graft_kill(env, req->graft);

	exo_env_close(env);
	return done(req, ret, "can't kill");
}

/* The input, MAX_DATA bytes of room. */
static int read_data(const char *path, char *data, uint32_t *out_size)
{
	FILE *file = path ? fopen(path, "re") : NULL;

	*out_size = 0;
	if (!path)
		return EXOCTL_OK;
	if (!file)
		return exoctl_fail("can't read %s: %s", path, strerror(errno));
	*out_size = (uint32_t)fread(data, 1, MAX_DATA, file);
	fclose(file);
	return EXOCTL_OK;
}

static void print_run(const struct graft_request *req, const struct exo_graft_invoke *invoke,
		      uint32_t mode)
{
	cJSON *object, *out;
	int i;

	if (!req->json) {
		printf("%s (%s): result %" PRIu32 ", out %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		       ", charged %" PRIu64 ", %" PRIu64 " ns\n",
		       exo_graft_status_text(invoke->out_status), graft_mode_name(mode),
		       invoke->out_result, (uint64_t)invoke->out[0], (uint64_t)invoke->out[1],
		       (uint64_t)invoke->out[2], (uint64_t)invoke->out[3],
		       (uint64_t)invoke->out_charged, (uint64_t)invoke->out_ns);
		return;
	}
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "mode", graft_mode_name(mode));
	cJSON_AddNumberToObject(object, "status", invoke->out_status);
	cJSON_AddNumberToObject(object, "result", invoke->out_result);
	out = cJSON_AddArrayToObject(object, "out");
	for (i = 0; i < 4; i++)
		cJSON_AddItemToArray(out, cJSON_CreateNumber((double)invoke->out[i]));
	cJSON_AddNumberToObject(object, "charged", (double)invoke->out_charged);
	cJSON_AddNumberToObject(object, "ns", (double)invoke->out_ns);
	exoctl_print_json(object, false);
}

static int run_object(const struct graft_request *req, struct exo_graft_object *object)
{
	static char data[MAX_DATA];
	struct exo_graft_invoke invoke = { .repeat = 1, .data = (uintptr_t)data };
	struct exo_graft *graft;
	struct exo_env *env;
	char error[512] = "";
	int ret;

	memcpy(invoke.arg, req->args, sizeof(req->args));
	ret = read_data(req->data, data, &invoke.data_size);
	if (ret)
		return ret;
	if (!invoke.data_size)
		invoke.data = 0;
	env = exoctl_open();
	ret = exo_graft_load(env, object,
			     &EXO_OPTS(exo_graft_load, .mode = req->mode, .error = error,
				       .error_size = sizeof(error)), &graft);
	if (ret) {
		exo_env_close(env);
		return error[0] ? exoctl_fail("it is not loaded: %s", error) :
				  exoctl_fail_errno(ret, "it is not loaded");
	}
	ret = exo_graft_run(graft, &invoke);
	if (!ret)
		print_run(req, &invoke, exo_graft_mode(graft));
	exo_graft_unload(graft);
	exo_env_close(env);
	if (ret == -EINVAL)
		return exoctl_fail("it can't be run: only grafts of the hooks pure, stream and txn can, "
				   "pure with up to 4096 bytes of data, stream with 65536, txn without");
	if (ret)
		return exoctl_fail_errno(ret, "it can't be run");
	return invoke.out_status == EXO_GRAFT_OK ? EXOCTL_OK : EXOCTL_PARTLY;
}

int graft_run(const struct graft_request *req)
{
	struct exo_graft_object *object;
	int ret = graft_open(req, &object);

	if (ret)
		return ret;
	ret = run_object(req, object);
	exo_graft_close(object);
	return ret;
}
