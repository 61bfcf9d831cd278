// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl disk attach: on this machine, with its users.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define MACHINE_ID "/etc/machine-id"

/* A uid, or the name of a user of this machine. */
static bool parse_range(char *text, struct exo_xn_uids *range)
{
	char *to = strchr(text, ':'), *count;

	if (!to)
		return false;
	*to++ = 0;
	count = strchr(to, ':');
	if (count)
		*count++ = 0;
	*range = (struct exo_xn_uids){ .count = 1 };
	if (!exoctl_parse_u32(text, &range->from) || !exoctl_parse_user(to, &range->to))
		return false;
	if (count && (!exoctl_parse_u32(count, &range->count) || !range->count))
		return false;
	return range->count <= EXO_XN_NOBODY - range->from && range->count <= EXO_XN_NOBODY - range->to;
}

static bool overlap(const struct exo_xn_uids *a, const struct exo_xn_uids *b)
{
	return a->from < b->from ? b->from - a->from < a->count : a->from - b->from < b->count;
}

bool disk_parse_uids(const char *arg, struct disk_request *req)
{
	char *copy = strdup(arg), *rest = copy, *text;
	struct exo_xn_uids *uids = calloc(EXO_XN_UIDS, sizeof(*uids));
	uint32_t nr = 0, i;
	bool good = copy && uids;

	while (good && strcmp(arg, "none") && (text = strsep(&rest, ","))) {
		good = nr < EXO_XN_UIDS && parse_range(text, &uids[nr]);
		for (i = 0; good && i < nr; i++)
			good = !overlap(&uids[i], &uids[nr]);
		nr++;
	}
	free(copy);
	free(req->uids);
	req->uids = uids;
	req->nr_uids = nr;
	return good;
}

/* The 16 bytes of this machine; false: nobody knows. */
static bool machine_id(uint8_t id[16])
{
	FILE *file = fopen(MACHINE_ID, "re");
	size_t n = 0;

	if (!file)
		return false;
	while (n < 16 && fscanf(file, "%2hhx", &id[n]) == 1)
		n++;
	fclose(file);
	return n == 16;
}

static int refused(int err, const struct disk_request *req, const struct exo_xn_attach *said)
{
	switch (err) {
	case -EEXIST:
		return exoctl_fail("%s is not attached, and nobody owns anything else than before: %" PRIu32 " and %"
				   PRIu32 " would both be %s here, and each has a format \"%.*s\". Map one of them "
				   "to somebody else", req->object, said->out_uid[0], said->out_uid[1],
				   exoctl_user(said->out_to), EXO_XN_NAME, said->out_name);
	case -EDQUOT:
		return exoctl_fail("%s is not attached, and nobody owns anything else than before: %" PRIu32 " and %"
				   PRIu32 " would both be %s here, who would then have more than a user may. Map "
				   "one of them to somebody else", req->object, said->out_uid[0],
				   said->out_uid[1], exoctl_user(said->out_to));
	case -ENOSPC:
		return exoctl_fail("%s is not attached, and nobody owns anything else than before: its log is too "
				   "short for so many roots and formats at once. Attach it without --uid-map, and "
				   "exoctl root chown", req->object);
	case -E2BIG:
		return exoctl_fail("this exo.ko doesn't know where a disk was attached: load a newer one");
	default:
		return disk_failed(err, req, "attach");
	}
}

static void print_json(const struct exo_xn_attach *said)
{
	cJSON *root = cJSON_CreateObject();

	cJSON_AddNumberToObject(root, "disk", said->out_disk);
	cJSON_AddNumberToObject(root, "roots", said->out_roots);
	cJSON_AddNumberToObject(root, "quarantined", said->out_quarantined);
	cJSON_AddNumberToObject(root, "replayed", (double)said->out_replayed);
	cJSON_AddNumberToObject(root, "read", (double)said->out_read);
	cJSON_AddBoolToObject(root, "moved", said->out_flags & EXO_XN_ATTACH_MOVED);
	cJSON_AddBoolToObject(root, "mapped", said->out_flags & EXO_XN_ATTACH_MAPPED);
	cJSON_AddBoolToObject(root, "mapped_before", said->out_flags & EXO_XN_ATTACH_BEFORE);
	cJSON_AddNumberToObject(root, "changed", said->out_changed);
	cJSON_AddNumberToObject(root, "nobodys", said->out_nobody);
	exoctl_print_json(root, false);
}

/* Who is let in now, if the disk was elsewhere: each owner once. */
static void print_owners(struct exo_env *env, uint32_t number)
{
	struct exo_xn_open_opts opts = { .sz = sizeof(opts), .disk = number };
	struct exo_xn_root at = { 0 }, root;
	struct exo_xn *xn;
	uint32_t before, roots;

	if (exo_xn_open(env, &opts, &xn))
		return;
	while (!exo_xn_root_next(xn, at.root, &at)) {
		root = (struct exo_xn_root){ 0 };
		before = roots = 0;
		while (!exo_xn_root_next(xn, root.root, &root)) {
			before += root.out_uid == at.out_uid && root.root < at.root;
			roots += root.out_uid == at.out_uid;
		}
		if (!before)
			printf("  %" PRIu32 " (%s): %" PRIu32 " root%s\n", at.out_uid, exoctl_user(at.out_uid),
			       roots, roots == 1 ? "" : "s");
	}
	exo_xn_close(xn);
}

static void print_text(struct exo_env *env, const struct disk_request *req,
		       const struct exo_xn_attach *said)
{
	printf("disk %" PRIu32 ": %" PRIu32 " roots; %" PRIu64 " transactions replayed, %" PRIu64
	       " blocks read\n", said->out_disk, said->out_roots, (uint64_t)said->out_replayed,
	       (uint64_t)said->out_read);
	if (said->out_flags & EXO_XN_ATTACH_MAPPED)
		printf("%" PRIu32 " roots and formats have other owners now", said->out_changed);
	if (said->out_nobody)
		printf(", %" PRIu32 " of them nobody (exoctl root chown)", said->out_nobody);
	if (said->out_flags & EXO_XN_ATTACH_MAPPED)
		printf("\n");
	if (said->out_flags & EXO_XN_ATTACH_BEFORE)
		printf("this map was applied here already, and not once more; --force would\n");
	if (!(said->out_flags & EXO_XN_ATTACH_MOVED) || req->uids || !said->out_roots)
		return;
	printf("it was attached on another machine before; these users of this one have its roots now:\n");
	print_owners(env, said->out_disk);
	printf("if they are others there: exoctl disk detach %" PRIu32 ", then attach with --uid-map\n",
	       said->out_disk);
}

int disk_attach(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn_attach said = { 0 };
	uint8_t machine[16];
	bool known = machine_id(machine);
	struct exo_xn_attach_opts opts = {
		.sz = sizeof(opts),
		.flags = (req->check ? EXO_XN_ATTACH_CHECK : 0) |
			 (req->uids && req->force ? EXO_XN_ATTACH_AGAIN : 0),
		.nr_uids = req->nr_uids,
		.uids = req->uids,
		.machine = known ? machine : NULL,
		.said = &said,
		.said_size = sizeof(said),
	};
	int ret;

	if (req->uids && !known)
		return exoctl_fail("a map is applied once on a machine, and " MACHINE_ID " doesn't say which one "
				   "this is: systemd-machine-id-setup makes it");
	ret = exo_xn_attach_with(env, req->object, &opts);
	if (ret < 0)
		return refused(ret, req, &said);
	if (req->json)
		print_json(&said);
	else
		print_text(env, req, &said);
	if (!said.out_quarantined)
		return EXOCTL_OK;
	exoctl_fail("%" PRIu32 " roots are in quarantine: exoctl root list shows which; they can be read, "
		    "exported, deleted, or released when they are right", said.out_quarantined);
	return EXOCTL_PARTLY;
}
