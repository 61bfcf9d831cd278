// SPDX-License-Identifier: LGPL-2.1-or-later
/* Templates and roots: the catalogue of a disk. */
#include <stdio.h>
#include <string.h>

#include "xn.h"

/* Templates ------------------------------------------------------------------------------------ */

static const char *const function_names[3] = { "owns", "acl", "size" };

static void complain(const struct exo_xn_template_opts *opts, const char *what, const char *why)
{
	if (OPTS_HAS(opts, error_size) && opts->error && opts->error_size)
		snprintf(opts->error, opts->error_size, "%s%s%s", what, *what ? ": " : "", why);
}

/* Proves it, if it can be; what can't be proved is left to the sandbox. */
static int describe(struct exo_graft_object *object, uint32_t hook, struct exo_xn_func *out)
{
	const struct exo_graft_parts *parts = exo_graft_object_parts(object);
	struct exo_graft_verdict verdict;
	int ret;

	if (parts->hook != hook)
		return -EINVAL;
	ret = exo_graft_verify(object, &verdict);
	if (ret)
		return ret;
	out->insns = (uintptr_t)parts->insns;
	out->nr_insns = parts->nr_insns;
	out->consts = (uintptr_t)parts->consts;
	out->const_size = parts->const_size;
	if (verdict.proved) {
		out->cert = (uintptr_t)parts->cert;
		out->cert_size = (uint32_t)parts->cert_size;
	}
	return 0;
}

/* Why the module did not take it. */
static void explain(struct exo_graft_object *const objects[3], const struct exo_xn_template_add *cmd,
		    int ret, const struct exo_xn_template_opts *opts)
{
	char text[384];

	if (ret == -EINVAL && cmd->out_error.code != EXO_GRAFT_FINE && cmd->out_func < 3) {
		exo_graft_error_text(objects[cmd->out_func], &cmd->out_error, text, sizeof(text));
		complain(opts, function_names[cmd->out_func], text);
	} else if (ret == -EINVAL) {
		complain(opts, "", "a reference to a template that does not exist, or sizes of parts "
			 "that are not multiples of 8");
	} else if (ret == -EEXIST) {
		complain(opts, "", "another template of this user has this name");
	} else if (ret == -ENOSPC || ret == -EOVERFLOW) {
		complain(opts, "", "the disk has no room for another template");
	} else {
		complain(opts, "", exo_strerror(ret));
	}
}

/**
 * exo_xn_template_add() - install a template
 * @xn: the disk
 * @owns: says what a unit points at; hook "owns"
 * @acl: says who may do what; hook "acl"
 * @size: says how large a unit is; hook "size"
 * @opts: @opts->name is required
 *
 * Return: its number, that of an equal one if there is one already; -EINVAL: not taken, @opts->error
 * says why; -EDQUOT; -ENOSPC; -EEXIST: the name; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_template_add(struct exo_xn *xn, struct exo_graft_object *owns,
			       struct exo_graft_object *acl, struct exo_graft_object *size,
			       const struct exo_xn_template_opts *opts)
{
	static const uint32_t hooks[3] = { EXO_HOOK_XN_OWNS, EXO_HOOK_XN_ACL, EXO_HOOK_XN_SIZE };
	struct exo_graft_object *const objects[3] = { owns, acl, size };
	struct exo_xn_template_add cmd = XN_CMD(xn, .size = sizeof(cmd));
	struct exo_xn_func funcs[3] = { 0 };
	uint32_t i;
	int ret;

	ret = opts ? lib_opts_check(opts, sizeof(*opts)) : -EINVAL;
	if (ret)
		return ret;
	complain(opts, "", "");
	ret = xn_name(cmd.name, OPTS_GET(opts, name, NULL));
	if (ret) {
		complain(opts, "", "a template needs a name of 1 to 47 bytes");
		return ret;
	}
	for (i = 0; i < 3 && !ret; i++) {
		ret = objects[i] ? describe(objects[i], hooks[i], &funcs[i]) : -EINVAL;
		if (ret == -EINVAL)
			complain(opts, function_names[i], "there is no such function, or it is "
				 "another hook's");
	}
	if (ret)
		return ret;
	if (OPTS_HAS(opts, refs))
		memcpy(cmd.refs, opts->refs, sizeof(cmd.refs));
	cmd.head_bytes = OPTS_GET(opts, head_bytes, 0U);
	cmd.part_bytes = OPTS_GET(opts, part_bytes, 0U);
	cmd.func = (uintptr_t)funcs;
	ret = sys_ioctl(xn->env->fd, EXO_XN_TEMPLATE_ADD, &cmd);
	if (ret) {
		explain(objects, &cmd, ret, opts);
		return ret;
	}
	return (int)cmd.out_template;
}

static int ask_template(struct exo_xn *xn, uint32_t number, uint32_t flags,
			struct exo_xn_template *out)
{
	*out = (struct exo_xn_template)XN_CMD(xn, .size = sizeof(*out), .flags = flags,
					      .number = number);
	return sys_ioctl(xn->env->fd, EXO_XN_TEMPLATE, out);
}

/**
 * exo_xn_template() - what a template is
 * @xn: the disk
 * @number: of the template
 * @out_template: the answer
 *
 * Return: 0; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_template(struct exo_xn *xn, uint32_t number,
			   struct exo_xn_template *out_template)
{
	return ask_template(xn, number, 0, out_template);
}

/**
 * exo_xn_template_next() - the templates of a disk, one after the other
 * @xn: the disk
 * @after: 0, then the number of the one before
 * @out_template: the next one
 *
 * Return: 0; -ENOENT: there are no more. Thread-safe.
 */
EXPORT int exo_xn_template_next(struct exo_xn *xn, uint32_t after,
				struct exo_xn_template *out_template)
{
	return ask_template(xn, after, EXO_XN_NEXT, out_template);
}

/**
 * exo_xn_template_remove() - remove a template
 * @xn: the disk
 * @number: of an own template; of any with CAP_SYS_ADMIN
 *
 * Return: 0; -EBUSY: a root or another template uses it; -ENOENT; -EACCES. Thread-safe.
 */
EXPORT int exo_xn_template_remove(struct exo_xn *xn, uint32_t number)
{
	struct exo_xn_template removed;

	return ask_template(xn, number, EXO_XN_REMOVE, &removed);
}

/* Roots ---------------------------------------------------------------------------------------- */

/**
 * exo_xn_root_create() - make a root
 * @xn: the disk
 * @name: of 1 to 47 bytes, unique on the disk
 * @template_number: of its first unit
 * @bytes: of its first unit, which owns nothing
 * @length: of @bytes: whole blocks, as many as the template's size() says
 * @opts: may be NULL
 * @out_block: where the first unit is; may be NULL
 *
 * The root is the caller's uid's, and durable when this returns.
 *
 * Return: its number; -EEXIST: the name is taken; -EINVAL: size() or owns() don't agree; -ENOENT: no
 * such template; -EDQUOT; -ENOSPC; -ENOMEM. Thread-safe.
 */
EXPORT int exo_xn_root_create(struct exo_xn *xn, const char *name, uint32_t template_number,
			      const void *bytes, uint32_t length,
			      const struct exo_xn_root_create_opts *opts, uint64_t *out_block)
{
	struct exo_xn_root_create cmd = XN_CMD(xn, .size = sizeof(cmd), .template_number = template_number,
					       .bytes = (uintptr_t)bytes, .length = length);
	const uint8_t *key = OPTS_GET(opts, key, NULL);
	int ret = lib_opts_check(opts, sizeof(*opts));

	if (!ret && OPTS_GET(opts, reserved, 0U))
		ret = -EINVAL;
	if (!ret)
		ret = xn_name(cmd.name, name);
	if (ret)
		return ret;
	cmd.flags = OPTS_GET(opts, flags, 0U);
	cmd.near = OPTS_GET(opts, near, 0ULL);
	cmd.max_blocks = OPTS_GET(opts, max_blocks, 0ULL);
	if (key)
		memcpy(cmd.key, key, sizeof(cmd.key));
	ret = sys_ioctl(xn->env->fd, EXO_XN_ROOT_CREATE, &cmd);
	explicit_bzero(cmd.key, sizeof(cmd.key));
	if (ret)
		return ret;
	if (out_block)
		*out_block = cmd.out_block;
	return (int)cmd.out_root;
}

/**
 * exo_xn_root_find() - a root by its name
 * @xn: the disk
 * @name: its name
 * @out_root: what it is
 *
 * Return: 0; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_root_find(struct exo_xn *xn, const char *name, struct exo_xn_root *out_root)
{
	int ret;

	*out_root = (struct exo_xn_root)XN_CMD(xn, .size = sizeof(*out_root),
					       .flags = EXO_XN_ROOT_BY_NAME);
	ret = xn_name(out_root->name, name);
	return ret ? ret : sys_ioctl(xn->env->fd, EXO_XN_ROOT, out_root);
}

static int ask_root(struct exo_xn *xn, uint32_t number, uint32_t flags, struct exo_xn_root *out)
{
	*out = (struct exo_xn_root)XN_CMD(xn, .size = sizeof(*out), .flags = flags, .root = number);
	return sys_ioctl(xn->env->fd, EXO_XN_ROOT, out);
}

/**
 * exo_xn_root() - what a root is
 * @xn: the disk
 * @number: of the root
 * @out_root: the answer
 *
 * Return: 0; -ENOENT. Thread-safe.
 */
EXPORT int exo_xn_root(struct exo_xn *xn, uint32_t number, struct exo_xn_root *out_root)
{
	return ask_root(xn, number, 0, out_root);
}

/**
 * exo_xn_root_next() - the roots of a disk, one after the other
 * @xn: the disk
 * @after: 0, then the number of the one before
 * @out_root: the next one
 *
 * Return: 0; -ENOENT: there are no more. Thread-safe.
 */
EXPORT int exo_xn_root_next(struct exo_xn *xn, uint32_t after, struct exo_xn_root *out_root)
{
	return ask_root(xn, after, EXO_XN_NEXT, out_root);
}

static int set_root(struct exo_xn *xn, uint32_t number, uint32_t what, uint32_t uid,
		    uint64_t max_blocks)
{
	struct exo_xn_root_set cmd = XN_CMD(xn, .size = sizeof(cmd), .flags = what, .root = number,
					    .uid = uid, .max_blocks = max_blocks);

	return sys_ioctl(xn->env->fd, EXO_XN_ROOT_SET, &cmd);
}

/**
 * exo_xn_root_delete() - delete a root: all its blocks become free
 * @xn: the disk
 * @number: of an own root; of any with CAP_SYS_ADMIN
 *
 * Bindings of its blocks become stale. It is durable when this returns.
 *
 * Return: 0; -ENOENT; -EACCES: somebody else's; -EIO. Thread-safe.
 */
EXPORT int exo_xn_root_delete(struct exo_xn *xn, uint32_t number)
{
	return set_root(xn, number, EXO_XN_ROOT_DELETE, 0, 0);
}

/**
 * exo_xn_root_chown() - give a root to another user
 * @xn: the disk; CAP_SYS_ADMIN
 * @number: of the root
 * @uid: the new owner, in the caller's user namespace
 *
 * Return: 0; -ENOENT; -EDQUOT: the new owner's; -EPERM; -EINVAL: no such user; -EIO. Thread-safe.
 */
EXPORT int exo_xn_root_chown(struct exo_xn *xn, uint32_t number, uint32_t uid)
{
	return set_root(xn, number, EXO_XN_ROOT_CHOWN, uid, 0);
}

/**
 * exo_xn_root_limit() - set a root's quota
 * @xn: the disk; CAP_SYS_ADMIN
 * @number: of the root
 * @max_blocks: most blocks that it may have; 0: no limit
 *
 * Return: 0; -ENOENT; -EPERM; -EIO. Thread-safe.
 */
EXPORT int exo_xn_root_limit(struct exo_xn *xn, uint32_t number, uint64_t max_blocks)
{
	return set_root(xn, number, EXO_XN_ROOT_LIMIT, 0, max_blocks);
}

/**
 * exo_xn_root_release() - let a root be changed again
 * @xn: the disk; CAP_SYS_ADMIN
 * @number: of a quarantined root
 *
 * Return: 0; -EINVAL: a walk finds that it is still wrong; -ENOENT; -EPERM; -EIO. Thread-safe.
 */
EXPORT int exo_xn_root_release(struct exo_xn *xn, uint32_t number)
{
	return set_root(xn, number, EXO_XN_ROOT_RELEASE, 0, 0);
}
