// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl disk: block devices that are handed to exo.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <blkid/blkid.h>

#include "disk.h"

struct verb {
	const char *name;
	int (*run)(struct exo_env *env, const struct disk_request *req);
	enum { DEVICE, DISK } wants;
};

const char *disk_uuid(const uint8_t uuid[16])
{
	static char text[37];
	size_t i, used = 0;

	for (i = 0; i < 16; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%02x",
					 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
	return text;
}

static bool parse_uuid(const char *text, uint8_t out[16])
{
	size_t n = 0;
	int used;

	while (*text && n < 16) {
		if (*text == '-') {
			text++;
			continue;
		}
		used = 0;
		if (sscanf(text, "%2hhx%n", &out[n], &used) != 1 || used != 2)
			return false;
		text += used;
		n++;
	}
	return n == 16 && !*text;
}

static struct exo_xn *no_disk(int err, const char *name)
{
	if (err == -ENOENT && name)
		exoctl_fail("no disk \"%s\" is attached; exoctl disk lists those that are, sudo exoctl disk "
			    "attach DEVICE attaches one", name);
	else if (err == -ENOENT)
		exoctl_fail("no disk is attached: sudo exoctl disk attach DEVICE, after sudo exoctl disk "
			    "format DEVICE if it is new");
	else if (err == -EINVAL)
		exoctl_fail("several disks are attached: say which one, by its number, device or uuid "
			    "(exoctl disk)");
	else if (err == -ENOTTY || err == -EOPNOTSUPP)
		exoctl_fail("this exo.ko has no disks: load a newer one");
	else
		exoctl_fail_errno(err, "can't open the disk");
	return NULL;
}

struct exo_xn *disk_open(struct exo_env *env, const char *name)
{
	struct exo_xn_open_opts opts = { .sz = sizeof(opts) };
	struct exo_xn *xn;
	uint8_t uuid[16];
	int ret;

	if (name && !exoctl_parse_u32(name, &opts.disk)) {
		opts.disk = 0;
		if (parse_uuid(name, uuid))
			opts.uuid = uuid;
		else
			opts.name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	}
	ret = exo_xn_open(env, &opts, &xn);
	return ret ? no_disk(ret, name) : xn;
}

/* What is wrong with a device that can't be formatted or attached. */
int disk_failed(int err, const struct disk_request *req, const char *what)
{
	switch (err) {
	case -EBUSY:
		return exoctl_fail("can't %s %s: it is in use (mounted, attached, or part of something)%s",
				   what, req->object,
				   strcmp(what, "format") ? "" : ", or has a disk of exo's already, which "
				   "--force would overwrite");
	case -EINVAL:
		return strcmp(what, "format") ?
			exoctl_fail("can't attach %s: it is not a disk of exo's, or its superblocks are "
				    "damaged. A new one: sudo exoctl disk format %s", req->object,
				    req->object) :
			exoctl_fail("can't format %s: it is not a block device, or not with these sizes",
				    req->object);
	case -ENOTBLK:
		return exoctl_fail("can't %s %s: it is not a block device; a file needs losetup first",
				   what, req->object);
	case -ENOSPC:
		return exoctl_fail("can't %s %s: it is too small", what, req->object);
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return exoctl_fail("can't %s %s: there is no such device", what, req->object);
	case -ENOTTY:
	case -EOPNOTSUPP:
		return exoctl_fail("this exo.ko has no disks: load a newer one");
	case -EIO:
		return exoctl_fail("can't %s %s: it can't be read or written; see dmesg", what,
				   req->object);
	default:
		return exoctl_fail_errno(err, "can't %s %s", what, req->object);
	}
}

/* A file system or a partition table of somebody else's, by its name in @type; the kernel sees those of exo's. */
static bool holds_something(const char *device, char *type, size_t size)
{
	blkid_probe probe = blkid_new_probe_from_filename(device);
	const char *found = NULL;

	if (!probe)
		return false;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	blkid_probe_enable_partitions(probe, 1);
	switch (blkid_do_safeprobe(probe)) {
	case 0:
		if (blkid_probe_lookup_value(probe, "TYPE", &found, NULL) &&
		    blkid_probe_lookup_value(probe, "PTTYPE", &found, NULL))
			found = "something";
		break;
	case -2:
		found = "several things";
		break;
	default:
		break;
	}
	snprintf(type, size, "%s", found ? found : "");
	blkid_free_probe(probe);
	return type[0];
}

static int format(struct exo_env *env, const struct disk_request *req)
{
	char type[32];
	struct exo_xn_format_opts opts = {
		.sz = sizeof(opts),
		.flags = req->force ? EXO_XN_FORMAT_FORCE : 0,
		.log_blocks = req->log_blocks,
		.uid_blocks = req->uid_blocks,
	};
	cJSON *root;
	int ret;

	if (!req->force && holds_something(req->object, type, sizeof(type)))
		return exoctl_fail("%s holds %s; 'exoctl disk format --force %s' would overwrite it", req->object,
				   type, req->object);
	ret = exo_xn_format(env, req->object, &opts);
	if (ret)
		return disk_failed(ret, req, "format");
	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddStringToObject(root, "device", req->object);
		exoctl_print_json(root, false);
	} else {
		printf("%s is an empty disk of exo's; sudo exoctl disk attach %s lets it be used\n",
		       req->object, req->object);
	}
	return EXOCTL_OK;
}

static int detach(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn *xn = disk_open(env, req->object);
	uint32_t number;
	cJSON *root;
	int ret;

	if (!xn)
		return EXOCTL_FAILED;
	number = exo_xn_number(xn);
	ret = exo_xn_detach(xn, req->force ? EXO_XN_DETACH_FORCE : 0);
	exo_xn_close(xn);
	if (ret == -EBUSY)
		return exoctl_fail("programs are using disk %" PRIu32 ": end them, or --force, which makes "
				   "their bindings stale", number);
	if (ret)
		return exoctl_fail_errno(ret, "can't detach disk %" PRIu32, number);
	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "disk", number);
		exoctl_print_json(root, false);
	} else {
		printf("disk %" PRIu32 " is detached\n", number);
	}
	return EXOCTL_OK;
}

static int grow(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn *xn = disk_open(env, req->object);
	uint64_t blocks = 0;
	cJSON *root;
	int ret;

	if (!xn)
		return EXOCTL_FAILED;
	ret = exo_xn_grow(xn, &blocks);
	exo_xn_close(xn);
	if (ret)
		return exoctl_fail_errno(ret, "can't grow the disk");
	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "blocks", (double)blocks);
		exoctl_print_json(root, false);
	} else {
		printf("the disk has %" PRIu64 " blocks (%s)\n", blocks, exoctl_size(blocks));
	}
	return EXOCTL_OK;
}

static int trim(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn *xn = disk_open(env, req->object);
	uint64_t trimmed = 0;
	cJSON *root;
	int ret;

	if (!xn)
		return EXOCTL_FAILED;
	ret = exo_xn_trim(xn, 0, 0, &trimmed);
	exo_xn_close(xn);
	if (ret == -EOPNOTSUPP)
		return exoctl_fail("this device can't discard blocks");
	if (ret)
		return exoctl_fail_errno(ret, "can't trim the disk");
	if (req->json) {
		root = cJSON_CreateObject();
		cJSON_AddNumberToObject(root, "trimmed", (double)trimmed);
		exoctl_print_json(root, false);
	} else {
		printf("%" PRIu64 " free blocks (%s) were discarded\n", trimmed, exoctl_size(trimmed));
	}
	return EXOCTL_OK;
}

static cJSON *disk_json(const struct exo_xn_disk *disk)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "disk", disk->disk);
	cJSON_AddStringToObject(object, "device", disk->out_name);
	cJSON_AddStringToObject(object, "uuid", disk_uuid(disk->out_uuid));
	cJSON_AddNumberToObject(object, "blocks", (double)disk->out_blocks);
	cJSON_AddNumberToObject(object, "free", (double)disk->out_free);
	cJSON_AddNumberToObject(object, "waiting", (double)disk->out_waiting);
	cJSON_AddNumberToObject(object, "mine", (double)disk->out_my_blocks);
	cJSON_AddNumberToObject(object, "user_quota", (double)disk->out_uid_blocks);
	cJSON_AddNumberToObject(object, "roots", disk->out_roots);
	cJSON_AddNumberToObject(object, "commits", (double)disk->out_commits);
	cJSON_AddNumberToObject(object, "sector", disk->out_logical);
	cJSON_AddBoolToObject(object, "failed", disk->out_flags & EXO_XN_IS_FAILED);
	cJSON_AddBoolToObject(object, "cache", disk->out_flags & EXO_XN_HAS_CACHE);
	cJSON_AddBoolToObject(object, "fua", disk->out_flags & EXO_XN_HAS_FUA);
	cJSON_AddBoolToObject(object, "discard", disk->out_flags & EXO_XN_HAS_DISCARD);
	cJSON_AddBoolToObject(object, "poll", disk->out_flags & EXO_XN_HAS_POLL);
	return object;
}

static void print_disk(const struct exo_xn_disk *disk)
{
	printf("disk %" PRIu32 ": %s, %s\n", disk->disk, disk->out_name, disk_uuid(disk->out_uuid));
	printf("  %" PRIu64 " blocks (%s), %" PRIu64 " free (%s)", (uint64_t)disk->out_blocks,
	       exoctl_size(disk->out_blocks), (uint64_t)disk->out_free, exoctl_size(disk->out_free));
	if (disk->out_waiting)
		printf(", %" PRIu64 " wait for a commit", (uint64_t)disk->out_waiting);
	printf("\n  %" PRIu32 " roots; %" PRIu64 " blocks are yours", disk->out_roots,
	       (uint64_t)disk->out_my_blocks);
	if (disk->out_uid_blocks)
		printf(" of at most %" PRIu64, (uint64_t)disk->out_uid_blocks);
	printf("; %" PRIu64 " transactions since it was attached\n", (uint64_t)disk->out_commits);
	printf("  the device writes %" PRIu32 " bytes in one piece, %s%s%s%s\n", disk->out_logical,
	       disk->out_flags & EXO_XN_HAS_CACHE ? "has a volatile cache" : "has no volatile cache",
	       disk->out_flags & EXO_XN_HAS_FUA ? ", FUA" : "",
	       disk->out_flags & EXO_XN_HAS_DISCARD ? ", discard" : "",
	       disk->out_flags & EXO_XN_HAS_POLL ? ", polling" : "");
	if (disk->out_flags & EXO_XN_IS_FAILED)
		printf("  FAILED: an error of the device stopped it. Nothing can be changed until it is "
		       "detached and attached again\n");
}

static int status(struct exo_env *env, const struct disk_request *req)
{
	struct exo_xn_disk disk = { 0 };
	cJSON *array = NULL;
	struct exo_xn *xn;
	uint32_t only = 0, count = 0;
	int ret;

	if (req->object) {
		xn = disk_open(env, req->object);
		if (!xn)
			return EXOCTL_FAILED;
		only = exo_xn_number(xn);
		exo_xn_close(xn);
	}
	if (req->json)
		array = cJSON_CreateArray();
	while (!(ret = exo_xn_disk_next(env, disk.disk, &disk))) {
		if (only && disk.disk != only)
			continue;
		count++;
		if (req->json)
			cJSON_AddItemToArray(array, disk_json(&disk));
		else
			print_disk(&disk);
	}
	if (ret != -ENOENT) {
		cJSON_Delete(array);
		no_disk(ret, NULL);
		return EXOCTL_FAILED;
	}
	if (req->json)
		exoctl_print_json(array, false);
	else if (!count)
		printf("no disk is attached; sudo exoctl disk attach DEVICE\n");
	return EXOCTL_OK;
}

static const struct verb verbs[] = {
	{ "status", status, DISK },	{ "format", format, DEVICE }, { "attach", disk_attach, DEVICE },
	{ "detach", detach, DISK },	{ "grow", grow, DISK },	      { "check", disk_check, DISK },
	{ "scrub", disk_scrub, DISK },	{ "trim", trim, DISK },	      { "map", disk_map, DISK },
	{ "quota", disk_quota, DISK },
};

struct parsing {
	struct disk_request req;
	const struct verb *verb;
};

static void parse_arg(struct parsing *parsing, char *arg, struct argp_state *state)
{
	size_t i;

	if (parsing->verb && parsing->req.object)
		argp_error(state, "what is \"%s\"?", arg);
	if (parsing->verb) {
		parsing->req.object = arg;
		return;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, arg))
			parsing->verb = &verbs[i];
	if (!parsing->verb)
		argp_error(state, "\"%s\": expected status, format, attach, detach, grow, check, scrub, "
			   "trim, map or quota", arg);
}

static void parse_blocks(const char *option, const char *arg, uint32_t *out,
			 struct argp_state *state)
{
	if (!exoctl_parse_frames(arg, out) || !*out)
		argp_error(state, "--%s=%s: expected a number of blocks, or a size such as 64M", option,
			   arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;

	switch (key) {
	case 'f':
		parsing->req.force = true;
		return 0;
	case 'c':
		parsing->req.check = true;
		return 0;
	case 'r':
		parsing->req.repair = true;
		return 0;
	case 'l':
		parse_blocks("log", arg, &parsing->req.log_blocks, state);
		return 0;
	case 'm':
		if (!disk_parse_uids(arg, &parsing->req))
			argp_error(state, "--uid-map=%s: expected FROM:TO[:COUNT][,...], uids of the disk and users of "
				   "this machine, no FROM twice; or none", arg);
		return 0;
	case 'u':
		parse_blocks("user-quota", arg, &parsing->req.uid_blocks, state);
		return 0;
	case 'U':
		parsing->req.user = arg;
		return 0;
	case 'L':
		parsing->req.limit = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &parsing->req.json;
		return 0;
	case ARGP_KEY_ARG:
		parse_arg(parsing, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (!parsing->verb)
			parsing->verb = &verbs[0];
		if (parsing->verb->wants == DEVICE && !parsing->req.object)
			argp_error(state, "which device? Such as /dev/vdb");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int exoctl_disk(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "force", 'f', NULL, 0, "format: over what is on the device; detach: from under programs; "
		  "attach: apply a map although it was", 0 },
		{ "check", 'c', NULL, 0, "attach: walk all roots", 0 },
		{ "uid-map", 'm', "FROM:TO[:COUNT],...", 0, "attach: who owns something gets it here as another "
		  "user; who isn't listed loses it; or none: nobody is listed", 0 },
		{ "repair", 'r', NULL, 0, "check: free what nobody owns, quarantine roots that are wrong",
		  0 },
		{ "log", 'l', "SIZE", 0, "format: size of the log", 0 },
		{ "user-quota", 'u', "SIZE", 0, "format: most blocks of a user", 0 },
		{ "user", 'U', "USER", 0, "quota: whose; \"default\": of all who have no limit of their own", 0 },
		{ "limit", 'L', "SIZE", 0, "quota: set it; or \"unlimited\", or \"default\"", 0 },
		{ 0 }
	};
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse,
		"[status [DISK]]\nformat DEVICE\nattach DEVICE\ndetach [DISK]\ngrow [DISK]\n"
		"check [DISK]\nscrub [DISK]\ntrim [DISK]\nmap [DISK]\nquota [DISK]",
		"Block devices that are handed to exo. DISK is a number, a device or a uuid, and can be "
		"left out if there is only one. All but status, map and quota need root.",
		children, NULL, NULL,
	};
	struct parsing parsing = { 0 };
	struct exo_env *env;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &parsing))
		return EXOCTL_USAGE;
	env = exoctl_open();
	ret = parsing.verb->run(env, &parsing.req);
	exo_env_close(env);
	free(parsing.req.uids);
	return ret;
}
