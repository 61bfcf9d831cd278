// SPDX-License-Identifier: GPL-2.0
/*
 * The noun "xn".
 */
#include "dev.h"
#include "graft/graft.h"
#include "xn/xn.h"

static int noun_init(void)
{
	int ret;

	if (!EXO_XN_CHECKED)
		pr_warn("exo: this module checks nothing: only for a benchmark in a VM\n");
	exo_xn_templates_init();
	ret = exo_xn_data_init();
	if (ret)
		return ret;
	ret = exo_xn_reg_init();
	if (ret)
		exo_xn_data_exit();
	return ret;
}

static void noun_exit(void)
{
	exo_xn_reg_exit();
	exo_xn_data_exit();
}

static u64 noun_features(void)
{
	return exo_grafts_on ? EXO_FEATURE_XN : 0;
}

static const struct exo_op xn_ops[] = {
	EXO_OP(XN_FORMAT, struct exo_xn_format, EXO_OP_ADMIN | EXO_OP_IN, exo_xn_format_op),
	EXO_OP_GROWN(XN_ATTACH, struct exo_xn_attach, uids, EXO_OP_ADMIN, exo_xn_attach_op),
	EXO_OP(XN_DETACH, struct exo_xn_detach, EXO_OP_ADMIN | EXO_OP_IN, exo_xn_detach_op),
	EXO_OP(XN_GROW, struct exo_xn_grow, EXO_OP_ADMIN, exo_xn_grow_op),
	EXO_OP(XN_CHECK, struct exo_xn_check, EXO_OP_ADMIN, exo_xn_check_op),
	EXO_OP(XN_TRIM, struct exo_xn_trim, EXO_OP_ADMIN, exo_xn_trim_op),
	EXO_OP(XN_DISK, struct exo_xn_disk, 0, exo_xn_disk_op),
	EXO_OP(XN_MAP, struct exo_xn_map, 0, exo_xn_map_op),
	EXO_OP(XN_TEMPLATE_ADD, struct exo_xn_template_add, 0, exo_xn_template_add_op),
	EXO_OP(XN_TEMPLATE, struct exo_xn_template, 0, exo_xn_template_op),
	EXO_OP(XN_ROOT_CREATE, struct exo_xn_root_create, 0, exo_xn_root_create_op),
	EXO_OP(XN_ROOT, struct exo_xn_root, 0, exo_xn_root_op),
	EXO_OP(XN_ROOT_SET, struct exo_xn_root_set, EXO_OP_IN, exo_xn_root_set_op),
	EXO_OP(XN_READ, struct exo_xn_read, 0, exo_xn_read_op),
	EXO_OP(XN_APPLY, struct exo_xn_apply, 0, exo_xn_apply_op),
	EXO_OP(XN_COMMIT, struct exo_xn_commit, 0, exo_xn_commit_op),
	EXO_OP(XN_BIND, struct exo_xn_bind, 0, exo_xn_bind_op),
	EXO_OP(XN_UNBIND, struct exo_xn_unbind, EXO_OP_IN, exo_xn_unbind_op),
	EXO_OP_URING(XN_IO, struct exo_xn_io, EXO_OP_IN, exo_xn_io_op, exo_xn_io_uring),
	EXO_OP(XN_ENTRY, struct exo_xn_entry, 0, exo_xn_entry_op),
	EXO_OP(XN_ENTRY_LOCK, struct exo_xn_entry_lock, EXO_OP_IN, exo_xn_entry_lock_op),
	EXO_OP(XN_ENTRY_IO, struct exo_xn_entry_io, 0, exo_xn_entry_io_op),
	EXO_OP(XN_QUOTA, struct exo_xn_quota, 0, exo_xn_quota_op),
	EXO_OP(XN_SPECULATE, struct exo_xn_speculate, 0, exo_xn_speculate_op),
};

const struct exo_noun exo_xn_noun = {
	.name = "xn",
	.ops = xn_ops,
	.nr_ops = ARRAY_SIZE(xn_ops),
	.init = noun_init,
	.exit = noun_exit,
	.env_init = exo_xn_env_init,
	.env_exit = exo_xn_env_exit,
	.env_free = exo_xn_env_free,
	.mmap_kinds = BIT(EXO_MMAP_KIND(EXO_MMAP_XN)),
	.mmap = exo_xn_table_mmap,
	.features = noun_features,
};
