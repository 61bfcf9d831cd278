// SPDX-License-Identifier: GPL-2.0
/*
 * exoctl root: what users keep on a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"

#define CHUNK 65536U

struct request {
	bool json;
	const char *disk;
	const char *name;
	const char *operand;
};

struct verb {
	const char *name;
	int (*run)(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root);
	const char *operand;	/* what it is called in an error; NULL: there is none */
};

/* Exit status of what has only this to say. */
static int done(const struct request *req, const struct exo_xn_root *root, const char *what)
{
	cJSON *object;

	if (req->json) {
		object = cJSON_CreateObject();
		cJSON_AddNumberToObject(object, "root", root->root);
		cJSON_AddStringToObject(object, "name", root->name);
		exoctl_print_json(object, false);
	} else {
		printf("%s %s\n", root->name, what);
	}
	return EXOCTL_OK;
}

static int failed(int err, const char *what, const struct exo_xn_root *root)
{
	if (err == -EACCES)
		return exoctl_fail("can't %s %s: it belongs to %s; only its owner and root may", what, root->name,
				   exoctl_user(root->out_uid));
	if (err == -EIO)
		return exoctl_fail("can't %s %s: the disk failed; detach it, and attach it again", what,
				   root->name);
	return exoctl_fail_errno(err, "can't %s %s", what, root->name);
}

static cJSON *root_json(const struct exo_xn_root *root)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "root", root->root);
	cJSON_AddStringToObject(object, "name", root->name);
	cJSON_AddNumberToObject(object, "uid", root->out_uid);
	cJSON_AddStringToObject(object, "user", exoctl_user(root->out_uid));
	cJSON_AddNumberToObject(object, "template", root->out_template);
	cJSON_AddNumberToObject(object, "block", (double)root->out_block);
	cJSON_AddNumberToObject(object, "blocks", (double)root->out_blocks);
	cJSON_AddNumberToObject(object, "limit", (double)root->out_max_blocks);
	cJSON_AddBoolToObject(object, "temporary", root->out_flags & EXO_XN_ROOT_TEMPORARY);
	cJSON_AddBoolToObject(object, "quarantined", root->out_flags & EXO_XN_ROOT_QUARANTINED);
	return object;
}

static int list(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *unused)
{
	struct exo_xn_template template;
	struct exo_xn_root root = { 0 };
	cJSON *array = req->json ? cJSON_CreateArray() : NULL;
	bool first = true;
	int ret;

	(void)unused;
	while (!(ret = exo_xn_root_next(xn, root.root, &root))) {
		if (req->json) {
			cJSON_AddItemToArray(array, root_json(&root));
			continue;
		}
		if (first)
			printf("%5s %-24s %-12s %-16s %10s %10s  %s\n", "root", "name", "owner", "format",
			       "size", "limit", "");
		first = false;
		if (exo_xn_template(xn, root.out_template, &template))
			snprintf(template.out_name, sizeof(template.out_name), "%" PRIu32,
				 root.out_template);
		printf("%5" PRIu32 " %-24s %-12s %-16s %10s %10s  %s%s\n", root.root, root.name,
		       exoctl_user(root.out_uid), template.out_name, exoctl_size(root.out_blocks),
		       root.out_max_blocks ? exoctl_size(root.out_max_blocks) : "-",
		       root.out_flags & EXO_XN_ROOT_TEMPORARY ? "temporary " : "",
		       root.out_flags & EXO_XN_ROOT_QUARANTINED ? "QUARANTINED" : "");
	}
	if (ret != -ENOENT) {
		cJSON_Delete(array);
		return exoctl_fail_errno(ret, "can't list the roots");
	}
	if (req->json)
		exoctl_print_json(array, false);
	else if (first)
		printf("there are no roots on this disk\n");
	return EXOCTL_OK;
}

static int chown_root(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root)
{
	uint32_t uid;
	int ret;

	if (!exoctl_parse_user(req->operand, &uid)) {
		exoctl_fail("there is no user \"%s\"", req->operand);
		return EXOCTL_USAGE;
	}
	ret = exo_xn_root_chown(xn, root->root, uid);
	if (ret == -EDQUOT)
		return exoctl_fail("can't give %s to %s, who would then have more blocks than a user may",
				   root->name, req->operand);
	return ret ? failed(ret, "give away", root) : done(req, root, "has a new owner");
}

static int limit(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root)
{
	uint32_t blocks = 0;
	int ret;

	if (strcmp(req->operand, "unlimited") && !exoctl_parse_frames(req->operand, &blocks)) {
		exoctl_fail("\"%s\": expected a number of blocks, a size such as 64M, or \"unlimited\"",
			    req->operand);
		return EXOCTL_USAGE;
	}
	ret = exo_xn_root_limit(xn, root->root, blocks);
	return ret ? failed(ret, "limit", root) : done(req, root, "has a new limit");
}

static int delete(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root)
{
	int ret = exo_xn_root_delete(xn, root->root);

	return ret ? failed(ret, "delete", root) : done(req, root, "is deleted");
}

static int release(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root)
{
	int ret = exo_xn_root_release(xn, root->root);

	if (ret == -EINVAL)
		return exoctl_fail("%s is still wrong: what its functions say and the disk's map don't "
				   "agree. Export what can be saved (exoctl root export), and delete it",
				   root->name);
	return ret ? failed(ret, "release", root) : done(req, root, "is out of quarantine");
}

/* One block of the root, to the place in the file that it has on the disk. */
static int export_block(struct exo_xn *xn, uint32_t root, uint64_t block, int fd)
{
	uint8_t bytes[EXO_XN_BLOCK];
	struct exo_xn_read read = {
		.flags = EXO_XN_READ_RAW,
		.root = root,
		.block = block,
		.bytes = (uintptr_t)bytes,
		.length = sizeof(bytes),
	};
	int ret = exo_xn_read_unit(xn, &read);

	if (ret)
		return ret;
	if (pwrite(fd, bytes, sizeof(bytes), (off_t)(block * sizeof(bytes))) != sizeof(bytes))
		return errno ? -errno : -EIO;
	return 0;
}

/* Blocks that can't be read are left out; how many, in out_lost. */
static int export_all(struct exo_xn *xn, const struct exo_xn_root *root, uint64_t blocks, int fd,
		      uint64_t *out_saved, uint64_t *out_lost)
{
	uint8_t *map = malloc(CHUNK);
	uint64_t block = 0;
	int got, i, ret = map ? 0 : -ENOMEM;

	while (!ret && block < blocks) {
		got = exo_xn_map_root(xn, root->root, block, map, CHUNK);
		if (got <= 0) {
			ret = got;
			break;
		}
		for (i = 0; i < got && !ret; i++) {
			if (map[i] != EXO_XN_MINE)
				continue;
			ret = export_block(xn, root->root, block + (uint64_t)i, fd);
			*out_saved += !ret;
			*out_lost += ret == -EIO;
			ret = ret == -EIO ? 0 : ret;
		}
		block += (uint64_t)got;
	}
	free(map);
	return ret;
}

static int export(struct exo_xn *xn, const struct request *req, const struct exo_xn_root *root)
{
	int fd = open(req->operand, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), ret;
	uint64_t saved = 0, lost = 0;
	struct exo_xn_disk disk;
	cJSON *object;

	if (fd < 0)
		return exoctl_fail("can't make %s: %s", req->operand, strerror(errno));
	ret = exo_xn_disk(xn, &disk);
	if (!ret && ftruncate(fd, (off_t)(disk.out_blocks * EXO_XN_BLOCK)))
		ret = -errno;
	if (!ret)
		ret = export_all(xn, root, disk.out_blocks, fd, &saved, &lost);
	if (close(fd) && !ret)
		ret = -errno;
	if (ret) {
		unlink(req->operand);
		return failed(ret, "export", root);
	}
	if (req->json) {
		object = cJSON_CreateObject();
		cJSON_AddNumberToObject(object, "blocks", (double)saved);
		cJSON_AddNumberToObject(object, "unreadable", (double)lost);
		cJSON_AddNumberToObject(object, "first", (double)root->out_block);
		exoctl_print_json(object, false);
	} else {
		printf("%" PRIu64 " blocks (%s) are in %s, each where it is on the disk; the root's first "
		       "is %" PRIu64 "\n", saved, exoctl_size(saved), req->operand,
		       (uint64_t)root->out_block);
	}
	if (!lost)
		return EXOCTL_OK;
	exoctl_fail("%" PRIu64 " blocks can't be read, and are zeros in the file", lost);
	return EXOCTL_PARTLY;
}

static const struct verb verbs[] = {
	{ "list", list, NULL },
	{ "chown", chown_root, "the new owner" },
	{ "limit", limit, "how many blocks" },
	{ "export", export, "the file to write" },
	{ "delete", delete, NULL },
	{ "release", release, NULL },
};

struct parsing {
	struct request req;
	const struct verb *verb;
};

static void parse_arg(struct parsing *parsing, char *arg, struct argp_state *state)
{
	size_t i;

	if (!parsing->verb) {
		for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (!strcmp(verbs[i].name, arg))
				parsing->verb = &verbs[i];
		if (!parsing->verb)
			argp_error(state, "\"%s\": expected list, chown, limit, export, delete or "
				   "release", arg);
	} else if (parsing->verb->run != list && !parsing->req.name) {
		parsing->req.name = arg;
	} else if (parsing->verb->operand && !parsing->req.operand) {
		parsing->req.operand = arg;
	} else {
		argp_error(state, "what is \"%s\"?", arg);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct parsing *parsing = state->input;

	switch (key) {
	case 'd':
		parsing->req.disk = arg;
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
		if (parsing->verb->run != list && !parsing->req.name)
			argp_error(state, "which root? exoctl root list shows their names");
		if (parsing->verb->operand && !parsing->req.operand)
			argp_error(state, "%s is missing", parsing->verb->operand);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* By its name, else by its number. */
static int find(struct exo_xn *xn, const char *name, struct exo_xn_root *out_root)
{
	uint32_t number;
	int ret = exo_xn_root_find(xn, name, out_root);

	if (ret && exoctl_parse_u32(name, &number) && number)
		ret = exo_xn_root(xn, number, out_root);
	if (ret == -ENOENT || ret == -EINVAL)
		return exoctl_fail("there is no root \"%s\" on this disk; exoctl root list shows those that "
				   "there are", name);
	return ret ? exoctl_fail_errno(ret, "can't find the root") : EXOCTL_OK;
}

int exoctl_root(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "disk", 'd', "DISK", 0, "on this disk, if there are several: a number, device or uuid",
		  0 },
		{ 0 }
	};
	static const struct argp_child children[] = { { &exoctl_json_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		options, parse,
		"[list]\nchown ROOT USER\nlimit ROOT SIZE|unlimited\nexport ROOT FILE\ndelete ROOT\nrelease ROOT",
		"What users keep on a disk. ROOT is a name or a number. release lets a quarantined root be "
		"changed again. delete and export are its owner's and root's; chown, limit and release are "
		"root's.",
		children, NULL, NULL,
	};
	struct parsing parsing = { 0 };
	struct exo_xn_root root;
	struct exo_env *env;
	struct exo_xn *xn;
	int ret = EXOCTL_FAILED;

	if (argp_parse(&argp, argc, argv, 0, NULL, &parsing))
		return EXOCTL_USAGE;
	env = exoctl_open();
	xn = disk_open(env, parsing.req.disk);
	if (xn)
		ret = parsing.req.name ? find(xn, parsing.req.name, &root) : EXOCTL_OK;
	if (!ret)
		ret = parsing.verb->run(xn, &parsing.req, &root);
	exo_xn_close(xn);
	exo_env_close(env);
	return ret;
}
