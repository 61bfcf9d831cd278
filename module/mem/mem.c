// SPDX-License-Identifier: GPL-2.0
/*
 * The noun "mem": glues frames and views together.
 */
#include "dev.h"
#include "mem/graft.h"
#include "mem/view.h"

static int noun_init(void)
{
	int ret;

	ret = exo_frames_init();
	if (ret)
		return ret;
	ret = exo_views_init();
	if (ret)
		goto err_frames;
	exo_fault_graft_init();
	exo_victim_graft_init();
	return 0;

err_frames:
	exo_frames_exit();
	return ret;
}

static void noun_exit(void)
{
	exo_views_exit();
	exo_frames_exit();
}

static int mem_env_init(struct exo_env *env)
{
	int ret;

	ret = exo_frames_env_init(env);
	if (ret)
		return ret;
	ret = exo_views_env_init(env);
	if (ret)
		exo_frames_env_exit(env);
	return ret;
}

/* Views first: a frame leaves only when it is bound nowhere. */
static void mem_env_exit(struct exo_env *env)
{
	exo_views_env_exit(env);
	exo_victim_graft_drop(env->mem);
	exo_frames_env_exit(env);
}

static int mem_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	switch (EXO_MMAP_KIND((u64)vma->vm_pgoff << PAGE_SHIFT)) {
	case EXO_MMAP_KIND(EXO_MMAP_TABLE):
		return exo_table_mmap(env, vma);
	case EXO_MMAP_KIND(EXO_MMAP_WINDOW):
		return exo_window_mmap(env, vma);
	default:
		return exo_view_mmap(env, vma);
	}
}

static const struct exo_op mem_ops[] = {
	EXO_OP(MEM_POOL, struct exo_mem_pool, EXO_OP_ADMIN, exo_mem_pool_op),
	EXO_OP_OUT(MEM_ALLOC, struct exo_mem_alloc, 0, exo_mem_alloc_op, out_done,
		   out_sent),
	EXO_OP(MEM_FREE, struct exo_mem_frames, 0, exo_mem_free_op),
	EXO_OP_OUT_THREAD(MEM_IMPORT, struct exo_mem_import, 0, exo_mem_import_op, out_frame,
			  out_received, EXO_IMPORT_RECEIVE),
	EXO_OP(MEM_DROP, struct exo_mem_frames, 0, exo_mem_drop_op),
	EXO_OP(MEM_VIEW_CREATE, struct exo_mem_view_create, 0, exo_mem_view_create_op),
	EXO_OP(MEM_VIEW_DESTROY, struct exo_mem_view, EXO_OP_IN, exo_mem_view_destroy_op),
	EXO_OP_OUT(MEM_BIND, struct exo_mem_batch, 0, exo_mem_bind_op, out_done,
		   out_done),
	EXO_OP_OUT(MEM_UNBIND, struct exo_mem_batch, 0, exo_mem_unbind_op, out_done,
		   out_done),
	EXO_OP_OUT(MEM_REBIND, struct exo_mem_batch, 0, exo_mem_rebind_op, out_done,
		   out_done),
	EXO_OP_OUT(MEM_PROTECT, struct exo_mem_batch, 0, exo_mem_protect_op, out_done,
		   out_done),
	EXO_OP(MEM_FLUSH, struct exo_mem_view, EXO_OP_IN, exo_mem_flush_op),
	EXO_OP(MEM_HARVEST, struct exo_mem_harvest, 0, exo_mem_harvest_op),
	EXO_OP(MEM_UPCALL, struct exo_mem_upcall, EXO_OP_THREAD | EXO_OP_IN, exo_mem_upcall_op),
	EXO_OP(MEM_RESUME, struct exo_mem_resume, EXO_OP_THREAD | EXO_OP_IN, exo_mem_resume_op),
	EXO_OP(MEM_WAKE, struct exo_mem_wake, EXO_OP_IN, exo_mem_wake_op),
	EXO_OP(MEM_REVOKE, struct exo_mem_revoke, EXO_OP_ADMIN, exo_mem_revoke_op),
	EXO_OP(MEM_LOG, struct exo_mem_log, 0, exo_mem_log_op),
	EXO_OP(MEM_QUERY, struct exo_mem_query, 0, exo_mem_query_op),
};

const struct exo_noun exo_mem_noun = {
	.name = "mem",
	.ops = mem_ops,
	.nr_ops = ARRAY_SIZE(mem_ops),
	.init = noun_init,
	.exit = noun_exit,
	.env_init = mem_env_init,
	.env_exit = mem_env_exit,
	.env_free = exo_frames_env_free,
	.mmap_kinds = BIT(EXO_MMAP_KIND(EXO_MMAP_TABLE)) | BIT(EXO_MMAP_KIND(EXO_MMAP_WINDOW)) |
		      BIT(EXO_MMAP_KIND(EXO_MMAP_VIEW)) |
		      BIT(EXO_MMAP_KIND(EXO_MMAP_VIEW_TABLE)) |
		      BIT(EXO_MMAP_KIND(EXO_MMAP_STLB)) | BIT(EXO_MMAP_KIND(EXO_MMAP_SAVE)),
	.mmap = mem_mmap,
	.features = exo_views_features,
};
