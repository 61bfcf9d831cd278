// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/exo: open, release, the operation table, mmap, poll, uring_cmd.
 */
#include <linux/capability.h>
#include <linux/fs_context.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "compat/io_uring_cmd.h"
#include "dev.h"
#include "env/env.h"
#include "xn/xn.h"

#define EXO_FS_MAGIC 0x65786f6b
#define NR_OPS 256

struct address_space *exo_mapping;

/* In order of initialisation: each needs those above it. */
static const struct exo_noun *const nouns[] = {
	&exo_env_noun,
	&exo_cap_noun,
	&exo_graft_noun,
	&exo_mem_noun,
	&exo_xn_noun,
};

static const struct exo_op *ops[NR_OPS] __ro_after_init;
static u64 features __ro_after_init;
static struct vfsmount *exo_mnt;

/* Environments ------------------------------------------------------------------------------ */

static void nouns_env_exit(struct exo_env *env, int n)
{
	while (n--)
		if (nouns[n]->env_exit)
			nouns[n]->env_exit(env);
}

/**
 * exo_nouns_env_free() - free what the nouns keep of an environment, see struct exo_noun
 * @env: nobody has a reference
 *
 * Context: may sleep.
 */
void exo_nouns_env_free(struct exo_env *env)
{
	int i;

	for (i = ARRAY_SIZE(nouns) - 1; i >= 0; i--)
		if (nouns[i]->env_free)
			nouns[i]->env_free(env);
}

static int exo_open(struct inode *inode, struct file *file)
{
	struct exo_env *env;
	int i, ret = 0;

	env = exo_env_create(file);
	if (IS_ERR(env))
		return PTR_ERR(env);
	for (i = 0; i < ARRAY_SIZE(nouns); i++) {
		if (nouns[i]->env_init)
			ret = nouns[i]->env_init(env);
		if (ret)
			goto err_env;
	}

	/* Before anything can be mapped (INV-ENV-2). */
	file->f_mapping = exo_mapping;
	file->private_data = env;
	exo_env_publish(env);
	return nonseekable_open(inode, file);

err_env:
	nouns_env_exit(env, i);
	exo_env_abort(env);
	return ret;
}

/* The last descriptor, mapping and request are gone. */
static int exo_release(struct inode *inode, struct file *file)
{
	struct exo_env *env = file->private_data;

	exo_env_kill(env);
	nouns_env_exit(env, ARRAY_SIZE(nouns));
	exo_env_release(env);
	return 0;
}

/* Operations -------------------------------------------------------------------------------- */

/* The row of an ioctl number, or NULL. Speculation-safe (INV-REQ-5). */
static const struct exo_op *op_find(unsigned int cmd)
{
	/* _IO() leaves size and direction zero: anything else is no command of ours. */
	u32 nr = cmd ^ _IO(EXO_TYPE, 0);

	if (unlikely(nr >= NR_OPS))
		return NULL;
	return ops[array_index_nospec(nr, NR_OPS)];
}

/*
 * Copy the struct in by the size rule (INV-REQ-2) and once (INV-REQ-1): of its size, which is read
 * twice, the first read counts. Structs are small and a multiple of 8 (abi.c): words in line are
 * much cheaper than copy_from_user(), and that is a good part of a short batch.
 */
static __always_inline int op_copy_in(const u32 known, u64 *arg, u64 __user *uarg)
{
	u32 size, i, words = known / sizeof(u64);
	int ret;

	if (!user_read_access_begin(uarg, known))
		return -EFAULT;
	unsafe_get_user(size, (u32 __user *)uarg, err_fault);
	if (likely(size >= known)) {
#pragma GCC unroll 8
		for (i = 0; i < words; i++)
			unsafe_get_user(arg[i], uarg + i, err_fault);
	}
	user_read_access_end();

	if (unlikely(size < known))
		return -EINVAL;
	if (unlikely(size > known)) {
		if (size > PAGE_SIZE)
			return -E2BIG;
		ret = check_zeroed_user((void __user *)uarg + known, size - known);
		if (ret <= 0)
			return ret ?: -E2BIG;
	}
	*(u32 *)arg = size;
	return 0;

err_fault:
	user_read_access_end();
	return -EFAULT;
}

/* The sizes of what is called most, batches among it, are such that the compiler knows: no loop. */
static __always_inline int op_copy_in_known(const struct exo_op *op, u64 *arg, u64 __user *uarg)
{
	switch (op->size) {
	case sizeof(struct exo_mem_batch):
		return op_copy_in(sizeof(struct exo_mem_batch), arg, uarg);
	case sizeof(struct exo_cap_check):
		return op_copy_in(sizeof(struct exo_cap_check), arg, uarg);
	case sizeof(struct exo_mem_alloc):
		return op_copy_in(sizeof(struct exo_mem_alloc), arg, uarg);
	case sizeof(struct exo_mem_import):
		return op_copy_in(sizeof(struct exo_mem_import), arg, uarg);
	default:
		return op_copy_in(op->size, arg, uarg);
	}
}

static __always_inline int op_copy_out(const struct exo_op *op, const u64 *arg, u64 __user *uarg)
{
	u32 i = op->out_at, end = i + op->out_words;

	if (!user_write_access_begin(uarg, op->size))
		return -EFAULT;
	for (; i < end; i++)
		unsafe_put_user(arg[i], uarg + i, err_fault);
	user_write_access_end();
	return 0;

err_fault:
	user_write_access_end();
	return -EFAULT;
}

/*
 * For admins: these are rare, and their structs may have grown. What an older program doesn't have counts as 0, and
 * isn't written (INV-REQ-2).
 */
static noinline int op_run_admin(struct exo_env *env, const struct exo_op *op, u64 __user *uarg)
{
	u64 arg[EXO_OP_MAX_SIZE / sizeof(u64)];
	u32 size, i;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < (op->first ?: op->size))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(arg, op->size, uarg, size);
	if (ret)
		return ret;
	*(u32 *)arg = size;

	ret = op->fn(env, arg);

	/* Word by word, as for others: copy_to_user() can be made to fail (fault injection), and what was done is done. */
	for (i = 0; op->out_words && i < min_t(u32, size, op->size) / sizeof(*arg); i++)
		if (put_user(arg[i], uarg + i))
			return -EFAULT;
	return ret;
}

static __always_inline int op_run(struct exo_env *env, const struct exo_op *op,
				  u64 __user *uarg, const bool worker)
{
	/* What op->fn sees of it is all copied in. */
	u64 arg[EXO_OP_MAX_SIZE / sizeof(u64)] __attribute__((__uninitialized__));
	int ret;

	if (op->flags & EXO_OP_ADMIN)
		return op_run_admin(env, op, uarg);
	ret = op_copy_in_known(op, arg, uarg);
	if (ret)
		return ret;
	/* The second word of every struct is its flags (abi.c). */
	if (worker && ((const u32 *)arg)[1] & op->thread)
		return -EOPNOTSUPP;

	ret = op->fn(env, arg);

	/* Also after a failure: out_done says how far it came. */
	if (op->out_words && op_copy_out(op, arg, uarg))
		return -EFAULT;
	return ret;
}

static long exo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct exo_op *op = op_find(cmd);

	if (unlikely(!op))
		return -ENOTTY;
	return op_run(file->private_data, op, (u64 __user *)arg, false);
}

/* For I/O, of which there is much: the size of its struct is one that the compiler knows. */
static __always_inline int op_run_uring(const struct exo_op *op, struct io_uring_cmd *ucmd,
					u64 __user *uarg, unsigned int issue_flags)
{
	u64 arg[EXO_OP_MAX_SIZE / sizeof(u64)] __attribute__((__uninitialized__));
	int ret;

	if (likely(op->size == sizeof(struct exo_xn_io)))
		ret = op_copy_in(sizeof(struct exo_xn_io), arg, uarg);
	else
		ret = op_copy_in(op->size, arg, uarg);
	return ret ?: op->uring(ucmd->file->private_data, arg, ucmd, issue_flags);
}

static noinline int op_run_worker(const struct exo_op *op, struct io_uring_cmd *ucmd,
				  u64 __user *uarg)
{
	return op_run(ucmd->file->private_data, op, uarg, true);
}

static __always_inline int uring_cmd(struct io_uring_cmd *ucmd, unsigned int issue_flags)
{
	const struct exo_op *op = op_find(ucmd->cmd_op);
	const struct exo_uring_cmd *cmd;
	u64 __user *uarg;

	if (!op)
		return -ENOTTY;
	if (op->flags & (EXO_OP_ADMIN | EXO_OP_THREAD))
		return -EOPNOTSUPP;
	/* A ring that polls is for data. */
	if (!op->uring && issue_flags & IO_URING_F_IOPOLL)
		return -EOPNOTSUPP;
	/* Most handlers sleep: let a worker call again. */
	if (!op->uring && issue_flags & IO_URING_F_NONBLOCK)
		return -EAGAIN;

	/* Once: on some kernels it is still the submission queue, which the caller can write. */
	cmd = exo_uring_payload(ucmd);
	uarg = u64_to_user_ptr(READ_ONCE(cmd->arg));
	if (READ_ONCE(cmd->reserved))
		return -EINVAL;
	if (likely(op->uring))
		return op_run_uring(op, ucmd, uarg, issue_flags);
	return op_run_worker(op, ucmd, uarg);
}

static int exo_uring_cmd(struct io_uring_cmd *ucmd, unsigned int issue_flags)
{
	int ret = uring_cmd(ucmd, issue_flags);

	return issue_flags & IO_URING_F_IOPOLL ? exo_uring_issued(ucmd, ret, issue_flags) : ret;
}

/* Mappings ---------------------------------------------------------------------------------- */

static int exo_mmap(struct file *file, struct vm_area_struct *vma)
{
	u64 kind = EXO_MMAP_KIND((u64)vma->vm_pgoff << PAGE_SHIFT);
	int i;

	if (kind >= BITS_PER_LONG)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(nouns); i++)
		if (nouns[i]->mmap_kinds & BIT(kind))
			return nouns[i]->mmap(file->private_data, vma);
	return -EINVAL;
}

static __poll_t exo_poll(struct file *file, struct poll_table_struct *wait)
{
	return exo_event_ring_poll(file->private_data, file, wait);
}

static const struct file_operations exo_fops = {
	.owner = THIS_MODULE,
	.open = exo_open,
	.release = exo_release,
	.unlocked_ioctl = exo_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = exo_uring_cmd,
	.uring_cmd_iopoll = exo_xn_iopoll,
	.mmap = exo_mmap,
	.poll = exo_poll,
};

static struct miscdevice exo_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "exo",
	.mode = 0660,
	.fops = &exo_fops,
};

/* The module's own inode -------------------------------------------------------------------- */

static int exo_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, EXO_FS_MAGIC) ? 0 : -ENOMEM;
}

/*
 * Without an owner: the mount is the module's own and would keep it loaded for ever. When
 * kern_unmount() returns nobody uses this struct any more.
 */
static struct file_system_type exo_fs = {
	.name = "exo",
	.init_fs_context = exo_fs_init_context,
	.kill_sb = kill_anon_super,
};

static int mapping_init(void)
{
	struct inode *inode;

	exo_mnt = kern_mount(&exo_fs);
	if (IS_ERR(exo_mnt))
		return PTR_ERR(exo_mnt);
	inode = alloc_anon_inode(exo_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		kern_unmount(exo_mnt);
		return PTR_ERR(inode);
	}
	exo_mapping = inode->i_mapping;
	return 0;
}

static void mapping_exit(void)
{
	iput(exo_mapping->host);
	kern_unmount(exo_mnt);
}

/* Init and exit ----------------------------------------------------------------------------- */

static int ops_add(const struct exo_noun *noun)
{
	const struct exo_op *op;

	for (op = noun->ops; op < noun->ops + noun->nr_ops; op++) {
		if (WARN_ON(op->nr >= NR_OPS || ops[op->nr] || op->size > EXO_OP_MAX_SIZE))
			return -EINVAL;
		ops[op->nr] = op;
	}
	return 0;
}

static void nouns_exit(int n)
{
	while (n--)
		if (nouns[n]->exit)
			nouns[n]->exit();
}

/**
 * exo_nouns_init() - the module's own inode, then every noun, then the operation table
 *
 * Context: module load.
 * Return: 0 or an error; then nothing is left.
 */
int __init exo_nouns_init(void)
{
	int i, ret;

	ret = mapping_init();
	if (ret)
		return ret;
	for (i = 0; i < ARRAY_SIZE(nouns); i++) {
		ret = nouns[i]->init ? nouns[i]->init() : 0;
		if (ret)
			goto err_nouns;
		ret = ops_add(nouns[i]);
		if (ret) {
			i++;
			goto err_nouns;
		}
		if (nouns[i]->features)
			features |= nouns[i]->features();
	}
	return 0;

err_nouns:
	nouns_exit(i);
	mapping_exit();
	return ret;
}

/**
 * exo_nouns_exit() - undo exo_nouns_init()
 *
 * Context: module unload, or a load that failed; no environment is left.
 */
void exo_nouns_exit(void)
{
	nouns_exit(ARRAY_SIZE(nouns));
	mapping_exit();
}

/**
 * exo_features() - what this kernel and machine can do
 *
 * Return: EXO_FEATURE_*.
 */
u64 exo_features(void)
{
	return features | (IS_ENABLED(CONFIG_IO_URING) ? EXO_FEATURE_URING : 0);
}

/**
 * exo_dev_init() - /dev/exo appears; from here on there may be environments
 *
 * Context: module load, last step.
 * Return: 0 or an error.
 */
int __init exo_dev_init(void)
{
	return misc_register(&exo_misc);
}

/**
 * exo_dev_exit() - /dev/exo disappears
 *
 * Context: module unload, first step.
 */
void exo_dev_exit(void)
{
	misc_deregister(&exo_misc);
}
