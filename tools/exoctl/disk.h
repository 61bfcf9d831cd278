/* SPDX-License-Identifier: GPL-2.0 */
/* exoctl disk and exoctl root: what their files share. */
#ifndef EXOCTL_DISK_H
#define EXOCTL_DISK_H

#include "exoctl.h"

/**
 * struct disk_request - the command line
 * @json: JSON instead of text
 * @force: format, detach, attach with a map
 * @check: attach: walk everything
 * @repair: check: mend what is wrong
 * @log_blocks: format
 * @uid_blocks: format
 * @user: quota: whose; NULL: all
 * @limit: quota: what it shall be; NULL: show it
 * @uids: attach: the map; NULL: none is given
 * @nr_uids: its ranges
 * @object: the device, or the disk; NULL: the only one
 */
struct disk_request {
	bool json;
	bool force;
	bool check;
	bool repair;
	uint32_t log_blocks;
	uint32_t uid_blocks;
	const char *user;
	const char *limit;
	struct exo_xn_uids *uids;
	uint32_t nr_uids;
	const char *object;
};

/* Opens the disk of this number, uuid or device (NULL: the only one), or says why not: NULL. */
struct exo_xn *disk_open(struct exo_env *env, const char *name);
/* Text of a uuid. Static buffer. */
const char *disk_uuid(const uint8_t uuid[16]);

/* disk_check.c, disk_map.c, disk_quota.c */
/* Says what is wrong with a device that can't be formatted or attached. */
int disk_failed(int err, const struct disk_request *req, const char *what);

/* disk_attach.c, disk_check.c, disk_map.c */
bool disk_parse_uids(const char *arg, struct disk_request *req);
int disk_attach(struct exo_env *env, const struct disk_request *req);
int disk_check(struct exo_env *env, const struct disk_request *req);
int disk_scrub(struct exo_env *env, const struct disk_request *req);
int disk_map(struct exo_env *env, const struct disk_request *req);
int disk_quota(struct exo_env *env, const struct disk_request *req);

#endif
