// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl disk check and scrub: all roots are walked with their own functions, with progress if somebody watches.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int signo)
{
	(void)signo;
	interrupted = 1;
}

static int progress(const struct exo_xn_check *now, void *ctx)
{
	const bool *watched = ctx;

	if (*watched && now->out_total)
		fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " blocks (%" PRIu64 "%%)  ",
			(uint64_t)now->out_visited, (uint64_t)now->out_total,
			(uint64_t)(now->out_visited * 100 / now->out_total));
	return interrupted;
}

static void print_json(const struct exo_xn_check *found)
{
	cJSON *root = cJSON_CreateObject();

	cJSON_AddBoolToObject(root, "done", found->out_done);
	cJSON_AddNumberToObject(root, "visited", (double)found->out_visited);
	cJSON_AddNumberToObject(root, "allocated", (double)found->out_total);
	cJSON_AddNumberToObject(root, "leaked", (double)found->out_leaked);
	cJSON_AddNumberToObject(root, "bad_roots", (double)found->out_bad);
	cJSON_AddNumberToObject(root, "unreadable", (double)found->out_errors);
	exoctl_print_json(root, false);
}

static void print_text(const struct exo_xn_check *found, bool repair)
{
	printf("%" PRIu64 " of %" PRIu64 " allocated blocks visited", (uint64_t)found->out_visited,
	       (uint64_t)found->out_total);
	if (found->out_leaked)
		printf("; %" PRIu64 " %s", (uint64_t)found->out_leaked,
		       repair ? "that nobody owns were freed" : "that nobody owns: check --repair frees "
		       "them");
	if (found->out_bad)
		printf("; %" PRIu64 " roots are wrong%s", (uint64_t)found->out_bad,
		       repair ? " and in quarantine (exoctl root list)" : ": check --repair quarantines them");
	if (found->out_errors)
		printf("; %" PRIu64 " can't be read", (uint64_t)found->out_errors);
	printf("%s\n", found->out_leaked || found->out_bad || found->out_errors ? "" : "; all is well");
}

static int walk(struct exo_env *env, const struct disk_request *req, uint32_t flags)
{
	bool watched = isatty(STDERR_FILENO) && !req->json;
	struct exo_xn *xn = disk_open(env, req->object);
	struct exo_xn_check found;
	int ret;

	if (!xn)
		return EXOCTL_FAILED;
	signal(SIGINT, interrupt);
	ret = exo_xn_check(xn, flags, progress, &watched, &found);
	exo_xn_close(xn);
	if (watched)
		fprintf(stderr, "\r%40s\r", "");
	if (ret && ret != -EINTR)
		return exoctl_fail_errno(ret, "can't check the disk");
	if (req->json)
		print_json(&found);
	else
		print_text(&found, flags & EXO_XN_CHECK_REPAIR);
	if (ret == -EINTR)
		return exoctl_fail("interrupted: not everything was looked at");
	return found.out_leaked || found.out_bad || found.out_errors ? EXOCTL_PARTLY : EXOCTL_OK;
}

int disk_check(struct exo_env *env, const struct disk_request *req)
{
	return walk(env, req, req->repair ? EXO_XN_CHECK_REPAIR : 0);
}

int disk_scrub(struct exo_env *env, const struct disk_request *req)
{
	return walk(env, req, EXO_XN_CHECK_SCRUB);
}
