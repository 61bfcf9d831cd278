// SPDX-License-Identifier: GPL-2.0
/*
 * From a decoded graft to machine code: lowering, then the kernel's own translator of BPF.
 *
 * It is called in the loader's context, not in a worker: what it allows depends on who asks. The
 * program is of no type (BPF_PROG_TYPE_UNSPEC), as those of setsockopt(SO_ATTACH_FILTER) are, so
 * it gets the barrier against branch history that unprivileged programs need; and its constants
 * are blinded whatever the sysctl says, unless CAP_PERFMON asked otherwise (INV-GRAFT-31). There is no table of exceptions: a graft
 * touches only memory that is always mapped.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/filter.h"
#include "core/graft_insn.h"
#include "graft/graft.h"

/* Room for lowering, all in one. */
struct lowering {
	struct exo_graft_target target;
	s32 helper_imm[EXO_GRAFT_MAX_HELPERS];
	struct exo_insn insns[EXO_GRAFT_MAX_LOWERED];
	u16 origin[EXO_GRAFT_MAX_LOWERED];
	u64 work[];
};

/* Lowered code names the auxiliary register as 6.1 does. */
static void copy_insns(struct bpf_prog *bpf, const struct exo_graft_target *target)
{
	struct exo_insn insn;
	u32 i;

	BUILD_BUG_ON(sizeof(insn) != sizeof(bpf->insnsi[0]));
	for (i = 0; i < target->len; i++) {
		insn = target->insns[i];
		if (insn.dst == EXO_AX)
			insn.dst = BPF_REG_AX;
		if (insn.src == EXO_AX)
			insn.src = BPF_REG_AX;
		memcpy(&bpf->insnsi[i], &insn, sizeof(insn));
	}
}

/* Machine code from lowered code. It may fail for want of memory, or because it is switched off. */
static int translate(struct exo_graft *graft, const struct exo_graft_target *target)
{
	struct bpf_prog *bpf;
	int ret = 0;

	bpf = bpf_prog_alloc(bpf_prog_size(target->len), __GFP_NOWARN);
	if (!bpf)
		return -ENOMEM;
	copy_insns(bpf, target);
	bpf->len = target->len;
	bpf->type = BPF_PROG_TYPE_UNSPEC;
	bpf->aux->stack_depth = target->stack;
	/* bpf_jit_harden=2 has asked already */
	if (graft->blind)
		bpf->blinding_requested = 1;
	exo_bpf_require_jit(bpf);
	bpf = bpf_prog_select_runtime(bpf, &ret);
	/* Some kernels fall back to their interpreter and call that a success. */
	if (ret || !bpf->jited) {
		bpf_prog_free(bpf);
		return -EOPNOTSUPP;
	}
	ret = exo_graft_charge(graft, 0, 0, bpf->jited_len);
	if (ret) {
		bpf_prog_free(bpf);
		return ret;
	}
	graft->jit_bytes = bpf->jited_len;
	graft->bpf = bpf;
	graft->func = bpf->bpf_func;
	return 0;
}

/* Proved code has the real addresses in it. */
static int map_shared(struct exo_graft *graft)
{
	u32 nr = graft->consts.nr + graft->state.nr;
	struct page **all;

	if (!nr)
		return 0;
	all = kmalloc_array(nr, sizeof(*all), GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	memcpy(all, graft->consts.page, graft->consts.nr * sizeof(*all));
	memcpy(all + graft->consts.nr, graft->state.page, graft->state.nr * sizeof(*all));
	graft->shared = vmap(all, nr, VM_MAP, PAGE_KERNEL);
	kfree(all);
	return graft->shared ? 0 : -ENOMEM;
}

/**
 * exo_graft_translate() - make machine code of a graft
 * @graft: decoded, and checked if its mode is EXO_GRAFT_PROOF; with its pages
 * @err: out: why it can't be lowered
 *
 * Context: sleeps; the loader's.
 * Return: 0; -EINVAL and *@err; -ENOMEM; -EDQUOT; -EOPNOTSUPP: the kernel's translator didn't.
 * exo_graft_translation_free() is due either way.
 */
int exo_graft_translate(struct exo_graft *graft, struct exo_graft_error *err)
{
	struct lowering *low;
	u32 i;
	int ret;

	if (graft->mode == EXO_GRAFT_PROOF) {
		ret = map_shared(graft);
		if (ret)
			return ret;
	}
	low = kvzalloc(sizeof(*low) + exo_graft_lower_room(&graft->prog), GFP_KERNEL_ACCOUNT);
	if (!low)
		return -ENOMEM;
	for (i = 0; i < EXO_GRAFT_MAX_HELPERS; i++)
		if (exo_graft_helpers[i])
			low->helper_imm[i] = BPF_CALL_IMM(exo_graft_helpers[i]);
	low->target = (struct exo_graft_target) {
		.mode = graft->mode,
		.barriers = graft->barriers,
		.layout = &graft->layout,
		.consts = (u64)graft->shared,
		.state = (u64)graft->shared + ((u64)graft->consts.nr << PAGE_SHIFT),
		.helper_imm = low->helper_imm,
		.insns = low->insns,
		.room = EXO_GRAFT_MAX_LOWERED,
		.origin = low->origin,
		.work = low->work,
	};
	ret = exo_graft_lower(&graft->prog, &low->target, err);
	if (ret)
		goto out;
	ret = exo_graft_charge(graft, 0, low->target.len, 0);
	if (ret)
		goto out;
	graft->lowered = low->target.len;
	ret = translate(graft, &low->target);
out:
	kvfree(low);
	return ret;
}

/**
 * exo_graft_translation_free() - undo exo_graft_translate()
 * @graft: no invocation is under way, nor could one begin
 *
 * Context: sleeps.
 */
void exo_graft_translation_free(struct exo_graft *graft)
{
	if (graft->bpf)
		bpf_prog_free(graft->bpf);
	vunmap(graft->shared);
	exo_graft_uncharge(graft, 0, graft->lowered, graft->jit_bytes);
	graft->func = NULL;
	graft->bpf = NULL;
	graft->shared = NULL;
	graft->lowered = 0;
	graft->jit_bytes = 0;
}
