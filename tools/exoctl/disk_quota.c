// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl disk quota: how many blocks users may have.
 *
 *	exoctl disk quota [DISK]				the default, and, for root, all who have something there
 *	exoctl disk quota [DISK] --user=USER|default		one of them
 *	exoctl disk quota [DISK] --user=... --limit=SIZE	set it; also "unlimited", or "default" for a user
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

struct whose {
	uint32_t uid;
	uint32_t flags;
};

static const char *blocks_text(uint64_t blocks)
{
	return blocks ? exoctl_size(blocks) : "unlimited";
}

static void heading(const struct disk_request *req)
{
	if (!req->json)
		printf("%-16s %12s %12s\n", "USER", "LIMIT", "HAS");
}

static void row(const struct exo_xn_quota *quota, cJSON *array)
{
	bool is_default = quota->flags & EXO_XN_QUOTA_DEFAULT, own = quota->out_flags & EXO_XN_QUOTA_OWN;
	cJSON *object;

	if (!array && is_default) {
		printf("%-16s %12s\n", "default", blocks_text(quota->out_blocks));
		return;
	}
	if (!array) {
		printf("%-16s %12s %12s%s\n", exoctl_user(quota->out_uid), blocks_text(quota->out_blocks),
		       exoctl_size(quota->out_used), own ? "" : "  (default)");
		return;
	}
	object = cJSON_CreateObject();
	if (is_default) {
		cJSON_AddBoolToObject(object, "default", true);
	} else {
		cJSON_AddNumberToObject(object, "uid", quota->out_uid);
		cJSON_AddStringToObject(object, "user", exoctl_user(quota->out_uid));
		cJSON_AddBoolToObject(object, "own_limit", own);
		cJSON_AddNumberToObject(object, "blocks", (double)quota->out_used);
	}
	if (quota->out_blocks)
		cJSON_AddNumberToObject(object, "limit", (double)quota->out_blocks);
	else
		cJSON_AddNullToObject(object, "limit");
	cJSON_AddItemToArray(array, object);
}

static int show_one(struct exo_xn *xn, struct whose whose, cJSON *array)
{
	struct exo_xn_quota quota;
	int ret = exo_xn_quota(xn, whose.uid, whose.flags, &quota);

	if (!ret)
		row(&quota, array);
	return ret;
}

/* The default, then everybody, or for who isn't root, himself. */
static int show_all(struct exo_xn *xn, cJSON *array)
{
	struct exo_xn_quota quota = { 0 };
	int ret = show_one(xn, (struct whose){ .flags = EXO_XN_QUOTA_DEFAULT }, array);

	while (!ret) {
		ret = exo_xn_quota(xn, quota.uid, EXO_XN_QUOTA_NEXT, &quota);
		if (ret)
			break;
		row(&quota, array);
		if (quota.out_uid == UINT32_MAX)
			return 0;
		quota.uid = quota.out_uid + 1;
	}
	if (ret == -EPERM)
		return show_one(xn, (struct whose){ .uid = getuid() }, array);
	return ret == -ENOENT ? 0 : ret;
}

static int show(struct exo_xn *xn, const struct disk_request *req, struct whose whose)
{
	cJSON *array = req->json ? cJSON_CreateArray() : NULL;
	int ret;

	heading(req);
	ret = req->user ? show_one(xn, whose, array) : show_all(xn, array);
	if (ret) {
		cJSON_Delete(array);
		if (ret == -EPERM)
			return exoctl_fail("only root may see what other users have: sudo exoctl disk quota");
		return exoctl_fail_errno(ret, "can't read the quotas of the disk");
	}
	if (req->json)
		exoctl_print_json(array, false);
	return EXOCTL_OK;
}

static int set(struct exo_xn *xn, const struct disk_request *req, struct whose whose)
{
	uint32_t blocks = 0;
	int ret;

	if (!strcmp(req->limit, "default") && !whose.flags)
		whose.flags = EXO_XN_QUOTA_FORGET;
	else if (strcmp(req->limit, "unlimited") && (!exoctl_parse_frames(req->limit, &blocks) || !blocks))
		return exoctl_fail("--limit=%s: expected a number of blocks, a size such as 64M, unlimited, or, for a "
				   "user, default", req->limit);
	ret = exo_xn_quota_set(xn, whose.uid, whose.flags, blocks);
	if (ret == -ENOSPC)
		return exoctl_fail("too many users have limits of their own on this disk; give one the default again "
				   "(--user=USER --limit=default)");
	if (ret == -ENOENT)
		return exoctl_fail("%s has no limit of his own on this disk", req->user);
	if (ret == -EPERM)
		return exoctl_fail("only root may set limits: sudo exoctl disk quota --user=%s --limit=%s", req->user,
				   req->limit);
	if (ret)
		return exoctl_fail_errno(ret, "can't set the limit of %s", req->user);
	whose.flags &= EXO_XN_QUOTA_DEFAULT;
	return show(xn, req, whose);
}

/* The whole command. Returns an enum exoctl_exit. */
int disk_quota(struct exo_env *env, const struct disk_request *req)
{
	struct whose whose = { 0 };
	struct exo_xn *xn;
	int ret;

	if (req->limit && !req->user)
		return exoctl_fail("whose limit? --user=USER, or --user=default for all who have none of their own");
	if (req->user && !strcmp(req->user, "default"))
		whose.flags = EXO_XN_QUOTA_DEFAULT;
	else if (req->user && !exoctl_parse_user(req->user, &whose.uid))
		return exoctl_fail("there is no user \"%s\"", req->user);
	xn = disk_open(env, req->object);
	if (!xn)
		return EXOCTL_FAILED;
	ret = req->limit ? set(xn, req, whose) : show(xn, req, whose);
	exo_xn_close(xn);
	return ret;
}
