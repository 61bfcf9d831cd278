// SPDX-License-Identifier: GPL-2.0
/*
 * exo_graft_peer.ko: what grafts are compared with, measured in the kernel like they are. Only for
 * the benchmark's VM: it runs any bytecode that root gives it, unchecked.
 */
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/msr.h>

#include "native.h"
#include "peer.h"

static u32 nothing(void *ctx)
{
	return 0;
}

static const struct {
	const char *name;
	u32 (*fn)(void *ctx);
} native[] = {
	{ "empty", nothing },
	{ "filter_ip", (void *)filter_ip },
	{ "filter_net", (void *)filter_net },
	{ "filter_between", (void *)filter_between },
	{ "filter_tcp", (void *)filter_tcp },
	{ "xor", (void *)encrypt },
	{ "checksum", (void *)checksum },
	{ "memcpy", (void *)copy },
	{ "bsearch", (void *)search },
};

static u64 time_native(u32 (*fn)(void *ctx), struct exo_ctx_stream *ctx, u32 repeat, u32 *result)
{
	u64 start;

	preempt_disable();
	start = rdtsc_ordered();
	while (repeat--)
		*result = READ_ONCE(fn)(ctx);
	start = rdtsc_ordered() - start;
	preempt_enable();
	return start;
}

static u64 time_bytecode(struct bpf_prog *prog, struct exo_ctx_stream *ctx, u32 repeat, u32 *result)
{
	u64 start;

	preempt_disable();
	start = rdtsc_ordered();
	while (repeat--)
		*result = READ_ONCE(prog->bpf_func)(ctx, prog->insnsi);
	start = rdtsc_ordered() - start;
	preempt_enable();
	return start;
}

static struct bpf_prog *compile(const struct graft_peer_run *run)
{
	struct bpf_prog *prog;
	int ret = 0;

	if (!run->len || run->len > BPF_MAXINSNS)
		return ERR_PTR(-EINVAL);
	prog = bpf_prog_alloc(bpf_prog_size(run->len), GFP_USER);
	if (!prog)
		return ERR_PTR(-ENOMEM);
	prog->len = run->len;
	if (copy_from_user(prog->insnsi, u64_to_user_ptr(run->insns),
			   run->len * sizeof(struct bpf_insn)))
		ret = -EFAULT;
	prog->aux->stack_depth = 512;
	prog->blinding_requested = run->blind;
	if (!ret)
		prog = bpf_prog_select_runtime(prog, &ret);
	if (ret) {
		bpf_prog_free(prog);
		return ERR_PTR(ret);
	}
	return prog;
}

static int run_bytecode(struct graft_peer_run *run, struct exo_ctx_stream *ctx)
{
	struct bpf_prog *prog = compile(run);

	if (IS_ERR(prog))
		return PTR_ERR(prog);
	run->out_jited = prog->jited;
	run->out_ticks = time_bytecode(prog, ctx, run->repeat, &run->out_result);
	bpf_prog_free(prog);
	return 0;
}

static int run_native(struct graft_peer_run *run, struct exo_ctx_stream *ctx)
{
	int i;

	run->name[sizeof(run->name) - 1] = 0;
	if (run->how == GRAFT_PEER_CALL)
		strscpy(run->name, "empty", sizeof(run->name));
	for (i = 0; i < ARRAY_SIZE(native); i++) {
		if (strcmp(native[i].name, run->name))
			continue;
		run->out_ticks = time_native(native[i].fn, ctx, run->repeat, &run->out_result);
		return 0;
	}
	return -ENOENT;
}

static int run_over(struct graft_peer_run *run, void *data)
{
	struct exo_ctx_stream ctx = {
		.data = (unsigned long)data,
		.data_end = (unsigned long)data + run->data_size,
	};
	void __user *udata = u64_to_user_ptr(run->data);
	int ret;

	memcpy(ctx.arg, run->arg, sizeof(ctx.arg));
	if (copy_from_user(data, udata, run->data_size))
		return -EFAULT;
	ret = run->how == GRAFT_PEER_BYTECODE ? run_bytecode(run, &ctx) : run_native(run, &ctx);
	memcpy(run->out, ctx.out, sizeof(ctx.out));
	if (!ret && copy_to_user(udata, data, run->data_size))
		ret = -EFAULT;
	return ret;
}

static long peer_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct graft_peer_run run;
	void *data;
	int ret;

	if (cmd != GRAFT_PEER_RUN)
		return -ENOTTY;
	if (copy_from_user(&run, (void __user *)arg, sizeof(run)))
		return -EFAULT;
	if (run.data_size > GRAFT_PEER_MAX_DATA || run.how > GRAFT_PEER_NATIVE)
		return -EINVAL;
	data = vzalloc(GRAFT_PEER_MAX_DATA);
	if (!data)
		return -ENOMEM;
	ret = run_over(&run, data);
	vfree(data);
	if (!ret && copy_to_user((void __user *)arg, &run, sizeof(run)))
		ret = -EFAULT;
	return ret;
}

static const struct file_operations peer_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = peer_ioctl,
};

static struct miscdevice peer_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "exo_graft_peer",
	.fops = &peer_fops,
	.mode = 0600,
};

module_misc_device(peer_dev);
MODULE_DESCRIPTION("what exo's grafts are compared with");
MODULE_LICENSE("GPL");
