// SPDX-License-Identifier: GPL-2.0
/*
 * Templates: their stored content, and running their functions.
 *
 * The content is the three functions as their author gave them: a header, then of each function
 * instructions, constants and certificate, each filled up to 8 bytes. It comes from a disk, so it is
 * hostile; what is checked here is only that its parts lie inside it: what they say is the graft
 * engine's business, each time that the disk is attached.
 */
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "graft/graft.h"
#include "xn/xn.h"

#define NR_FUNCS 3
#define CONTENT_MAGIC 0x31746e78	/* "xnt1" */

struct stored_func {
	__le32 nr_insns;
	__le32 const_size;
	__le32 cert_size;
	__le32 reserved;
};

struct stored {
	__le32 magic;
	__le32 reserved;
	struct stored_func func[NR_FUNCS];
};

struct functions {
	struct exo_graft *graft[NR_FUNCS];
};

enum { OWNS, ACL, SIZE };

static const u32 hook_ids[NR_FUNCS] = { EXO_HOOK_XN_OWNS, EXO_HOOK_XN_ACL, EXO_HOOK_XN_SIZE };

/* Making content ---------------------------------------------------------------------------- */

static u64 func_bytes(const struct exo_xn_func *f)
{
	return (u64)f->nr_insns * sizeof(struct exo_insn) + ALIGN((u64)f->const_size, 8) +
	       ALIGN((u64)f->cert_size, 8);
}

static int copy_part(u8 **to, u64 from, u32 size)
{
	if (copy_from_user(*to, u64_to_user_ptr(from), size))
		return -EFAULT;
	*to += ALIGN(size, 8);
	return 0;
}

static int copy_func(u8 **to, const struct exo_xn_func *f)
{
	int ret;

	ret = copy_part(to, f->insns, f->nr_insns * sizeof(struct exo_insn));
	if (!ret)
		ret = copy_part(to, f->consts, f->const_size);
	return ret ?: copy_part(to, f->cert, f->cert_size);
}

/* The content of what the caller gives; kvfree() it. */
static void *content_make(u64 user, u32 *length)
{
	struct exo_xn_func funcs[NR_FUNCS];
	u64 total = sizeof(struct stored);
	struct stored *stored;
	u8 *to;
	u32 i;

	if (copy_from_user(funcs, u64_to_user_ptr(user), sizeof(funcs)))
		return ERR_PTR(-EFAULT);
	for (i = 0; i < NR_FUNCS; i++) {
		if (funcs[i].reserved || !funcs[i].nr_insns ||
		    funcs[i].nr_insns > EXO_GRAFT_MAX_INSNS ||
		    funcs[i].const_size > EXO_GRAFT_MAX_CONST ||
		    funcs[i].cert_size > EXO_GRAFT_MAX_CERT)
			return ERR_PTR(-EINVAL);
		total += func_bytes(&funcs[i]);
	}
	if (total > EXO_XN_CONTENT)
		return ERR_PTR(-EINVAL);
	stored = kvzalloc(total, GFP_KERNEL_ACCOUNT);
	if (!stored)
		return ERR_PTR(-ENOMEM);
	stored->magic = cpu_to_le32(CONTENT_MAGIC);
	to = (u8 *)(stored + 1);
	for (i = 0; i < NR_FUNCS; i++) {
		int ret = copy_func(&to, &funcs[i]);

		if (ret) {
			kvfree(stored);
			return ERR_PTR(ret);
		}
		stored->func[i] = (struct stored_func) {
			.nr_insns = cpu_to_le32(funcs[i].nr_insns),
			.const_size = cpu_to_le32(funcs[i].const_size),
			.cert_size = cpu_to_le32(funcs[i].cert_size),
		};
	}
	*length = total;
	return stored;
}

/* Compiling ---------------------------------------------------------------------------------- */

/* The parts of function @i, from @at on; @at moves behind them. */
static int parse_func(const struct stored_func *f, const u8 **at, const u8 *end,
		      struct exo_graft_load *load)
{
	struct exo_xn_func sizes = {
		.nr_insns = le32_to_cpu(f->nr_insns),
		.const_size = le32_to_cpu(f->const_size),
		.cert_size = le32_to_cpu(f->cert_size),
	};

	if (f->reserved || func_bytes(&sizes) > end - *at)
		return -EINVAL;
	load->nr_insns = sizes.nr_insns;
	load->const_size = sizes.const_size;
	load->cert_size = sizes.cert_size;
	load->insns = (u64)*at;
	*at += (size_t)sizes.nr_insns * sizeof(struct exo_insn);
	load->consts = (u64)*at;
	*at += ALIGN((size_t)sizes.const_size, 8);
	load->cert = (u64)*at;
	*at += ALIGN((size_t)sizes.cert_size, 8);
	return 0;
}

static void functions_free(struct functions *funcs)
{
	u32 i;

	for (i = 0; funcs && i < NR_FUNCS; i++)
		if (funcs->graft[i])
			exo_graft_destroy(funcs->graft[i]);
	kfree(funcs);
}

static int compile_func(struct functions *funcs, u32 i, const struct stored_func *f,
			const u8 **at, const u8 *end, struct exo_graft_error *err)
{
	struct exo_graft_load load = {
		.flags = EXO_GRAFT_LOAD_SANDBOX | EXO_GRAFT_LOAD_INTERP,
		.mode = EXO_GRAFT_PROOF,
		.name = "xn",
	};
	struct exo_graft *graft;
	int ret;

	ret = parse_func(f, at, end, &load);
	if (ret)
		return ret;
	graft = exo_graft_make_function(exo_hook_find(hook_ids[i]), &load);
	if (err)
		*err = load.out_error;
	if (IS_ERR(graft))
		return PTR_ERR(graft);
	funcs->graft[i] = graft;
	return 0;
}

/**
 * exo_xn_template_compile() - make a template's functions run
 * @xn: engine
 * @t: the template; its @funcs is set
 * @content: as it is stored
 * @length: bytes of it
 * @err: out: what is wrong with the code; may be NULL
 * @func: out: of which function; may be NULL
 *
 * Context: sleeps, under the disk's lock.
 * Return: 0; -EINVAL; -ENOMEM; -EOPNOTSUPP: grafts are switched off.
 */
int exo_xn_template_compile(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content,
			    u32 length, struct exo_graft_error *err, u32 *func)
{
	const struct stored *stored = content;
	const u8 *at = (const u8 *)(stored + 1);
	struct functions *funcs;
	int ret = 0;
	u32 i;

	if (length < sizeof(*stored) || le32_to_cpu(stored->magic) != CONTENT_MAGIC)
		return -EINVAL;
	funcs = kzalloc(sizeof(*funcs), GFP_KERNEL_ACCOUNT);
	if (!funcs)
		return -ENOMEM;
	for (i = 0; !ret && i < NR_FUNCS; i++) {
		if (func)
			*func = i;
		ret = compile_func(funcs, i, &stored->func[i], &at,
				   (const u8 *)content + length, err);
	}
	if (ret) {
		functions_free(funcs);
		return ret;
	}
	t->funcs = funcs;
	return 0;
}

/**
 * exo_xn_template_release() - free a template's functions
 * @xn: engine
 * @t: the template
 *
 * Context: sleeps, under the disk's lock: nobody runs them.
 */
void exo_xn_template_release(struct exo_xn *xn, struct exo_xn_template_core *t)
{
	functions_free(t->funcs);
	t->funcs = NULL;
}

/* Running ------------------------------------------------------------------------------------ */

static struct exo_graft *func_of(const struct exo_xn_template_core *t, u32 i)
{
	const struct functions *funcs = t->funcs;

	return funcs ? funcs->graft[i] : NULL;
}

/* One run, whose cost is added to what the engine does in this call: beside the code's there are copies, and a switch. */
static u32 run(struct exo_xn *xn, struct exo_graft *graft, const void *bytes, u32 length,
	       const u64 *args, u32 nr_args, void *priv, u32 *result)
{
	u64 cost = 0;
	u32 status;

	status = exo_graft_run_function(graft, bytes, length, args, nr_args, priv, result, &cost);
	exo_xn_worked(xn, EXO_XN_WORK_RUN + length / EXO_XN_WORK_BYTES + cost);
	return status;
}

/* A list that is full: nothing of it counts. */
struct emission {
	struct exo_xn_extents *out;
	bool full;
};

static u64 helper_emit(u64 block, u64 count, u64 slot, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = run->priv;
	struct emission *emission = win->priv;
	struct exo_xn_extents *out = emission->out;

	if (count > U32_MAX || slot > U32_MAX)
		return exo_graft_doom(run, EXO_GRAFT_ABORT_HELPER);
	if (out->nr >= out->max) {
		emission->full = true;
		return exo_graft_doom(run, EXO_GRAFT_ABORT_HELPER);
	}
	out->at[out->nr++] = (struct exo_xn_extent) { .block = block, .count = count, .slot = slot };
	return 0;
}

/**
 * exo_xn_template_owns() - what does this part of a unit point at?
 * @xn: engine
 * @t: template
 * @bytes: of the part
 * @length: how many
 * @part: its number
 * @block: the unit's first
 * @out: extents are appended, in the order in which they were said
 *
 * Return: 0; -EINVAL: aborted; -E2BIG: more than there is room.
 */
int exo_xn_template_owns(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length, u32 part, u64 block,
			 struct exo_xn_extents *out)
{
	struct emission emission = { .out = out };
	struct exo_graft *graft = func_of(t, OWNS);
	u64 args[] = { part, block };
	u32 result;

	if (!graft || length > graft->prog.hook->data_cap)
		return -EINVAL;
	if (!run(xn, graft, bytes, length, args, ARRAY_SIZE(args), &emission, &result))
		return 0;
	return emission.full ? -E2BIG : -EINVAL;
}

static u64 helper_group(u64 gid, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = run->priv;
	const struct exo_xn_who *who = win->priv;
	const struct cred *cred = who->cred;
	int i;

	if (gid > U32_MAX || !cred)
		return 0;
	if (gid_eq(cred->fsgid, KGIDT_INIT(gid)))
		return 1;
	for (i = 0; i < cred->group_info->ngroups; i++)
		if (gid_eq(cred->group_info->gid[i], KGIDT_INIT(gid)))
			return 1;
	return 0;
}

/**
 * exo_xn_template_acl() - may they?
 * @xn: engine
 * @t: template
 * @bytes: of the unit
 * @length: how many
 * @q: what
 * @who: asks
 *
 * Return: true; false, also if the function was aborted.
 */
bool exo_xn_template_acl(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length, const struct exo_xn_question *q,
			 const struct exo_xn_who *who)
{
	struct exo_graft *graft = func_of(t, ACL);
	u64 args[] = { q->right, q->uid, q->owner, q->keys, q->slot, q->block, q->count,
		       ktime_get_real_seconds() };
	u32 result;

	if (!graft || length > graft->prog.hook->data_cap || q->right > EXO_XN_MAY_LINK ||
	    q->keys >> EXO_XN_KEYS)
		return false;
	return !run(xn, graft, bytes, length, args, ARRAY_SIZE(args), (void *)who, &result) && result;
}

/**
 * exo_xn_template_size() - how long is a unit?
 * @xn: engine
 * @t: template
 * @bytes: of its first block
 * @length: how many
 *
 * Return: bytes; 0: the function was aborted.
 */
u32 exo_xn_template_size(struct exo_xn *xn, const struct exo_xn_template_core *t,
			 const void *bytes, u32 length)
{
	struct exo_graft *graft = func_of(t, SIZE);
	u32 result;

	if (!graft)
		return 0;
	/* It sees the first block only. */
	length = min_t(u32, length, graft->prog.hook->data_cap);
	if (run(xn, graft, bytes, length, NULL, 0, NULL, &result))
		return 0;
	return result;
}

/**
 * exo_xn_templates_init() - module load: the helpers
 */
void exo_xn_templates_init(void)
{
	BUILD_BUG_ON(sizeof(struct stored) % 8);
	exo_graft_provide(EXO_HELPER_EMIT, helper_emit);
	exo_graft_provide(EXO_HELPER_GROUP, helper_group);
}

/* Commands ----------------------------------------------------------------------------------- */

/**
 * exo_xn_template_add_op() - EXO_XN_TEMPLATE_ADD
 * @env: who installs it
 * @arg: struct exo_xn_template_add
 *
 * Context: sleeps.
 * Return: 0; -EINVAL, and out_error if the code is at fault; -ENOENT; -EEXIST; -EDQUOT; -ENOSPC; ...
 */
int exo_xn_template_add_op(struct exo_env *env, void *arg)
{
	struct exo_xn_template_add *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	u32 length = 0;
	void *content;
	int ret;

	cmd->out_template = 0;
	cmd->out_func = 0;
	memset(&cmd->out_error, 0, sizeof(cmd->out_error));
	if (cmd->flags || cmd->reserved || !cmd->name[0] ||
	    strnlen(cmd->name, EXO_XN_NAME) == EXO_XN_NAME)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	content = content_make(cmd->func, &length);
	if (IS_ERR(content)) {
		ret = PTR_ERR(content);
		goto out;
	}
	exo_xn_who(env, &who);
	mutex_lock(&disk->lock);
	ret = !disk->xn ? -ENOENT :
	      exo_xn_template_add(disk->xn, &who, cmd->name, cmd->refs, cmd->head_bytes,
				  cmd->part_bytes, content, length, &cmd->out_error,
				  &cmd->out_func, &cmd->out_template);
	mutex_unlock(&disk->lock);
	kvfree(content);
out:
	exo_xn_disk_put(disk);
	return ret;
}

static void show(const struct exo_xn_template_core *t, struct exo_xn_template *cmd)
{
	u32 i;

	cmd->number = t->number;
	cmd->out_uid = t->uid;
	cmd->out_users = t->users;
	for (i = 0; i < NR_FUNCS; i++)
		cmd->out_mode[i] = func_of(t, i) ? func_of(t, i)->mode : 0;
	memcpy(cmd->out_name, t->name, sizeof(cmd->out_name));
	memcpy(cmd->out_hash, t->hash, sizeof(cmd->out_hash));
}

static int template_locked(struct exo_xn *xn, const struct exo_xn_who *who,
			   struct exo_xn_template *cmd)
{
	const struct exo_xn_template_core *t;
	u32 n = cmd->number;

	if (cmd->flags == EXO_XN_REMOVE)
		return exo_xn_template_remove(xn, who, n);
	if (n > EXO_XN_TEMPLATES)
		return -ENOENT;
	if (cmd->flags != EXO_XN_NEXT)
		t = n ? exo_xn_template(xn, n) : NULL;
	else
		for (t = NULL, n++; !t && n <= EXO_XN_TEMPLATES; n++)
			t = exo_xn_template(xn, n);
	if (!t)
		return -ENOENT;
	show(t, cmd);
	return 0;
}

/**
 * exo_xn_template_op() - EXO_XN_TEMPLATE
 * @env: who asks
 * @arg: struct exo_xn_template
 *
 * Return: 0; -EINVAL; -ENOENT; -EACCES; -EBUSY; -EIO.
 */
int exo_xn_template_op(struct exo_env *env, void *arg)
{
	struct exo_xn_template *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_who who;
	int ret;

	if (cmd->flags & (cmd->flags - 1) || cmd->flags & ~(EXO_XN_NEXT | EXO_XN_REMOVE) ||
	    cmd->reserved)
		return -EINVAL;
	memset_startat(cmd, 0, out_uid);
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	exo_xn_who(env, &who);
	mutex_lock(&disk->lock);
	ret = disk->xn ? template_locked(disk->xn, &who, cmd) : -ENOENT;
	mutex_unlock(&disk->lock);
	exo_xn_disk_put(disk);
	return ret;
}
