// SPDX-License-Identifier: GPL-2.0
/*
 * The noun "env": what an environment says about itself, and the quotas.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dev.h"
#include "env/env.h"
#include "mem/view.h"

/* Rows that are collected under exo_envs_lock before they are copied out without it. */
#define LIST_ROWS 16

/* What every caller knows of a row: the struct as it was first. */
#define ROW_MIN offsetofend(struct exo_env_status, out_deadline_ns)

static int info_op(struct exo_env *env, void *arg)
{
	struct exo_info *info = arg;

	if (info->flags)
		return -EINVAL;
	info->out_features = exo_features();
	info->out_frames = exo_nr_frames;
	info->out_colours = exo_pool_colours();
	info->out_nodes = nr_node_ids;
	info->out_max_ops = EXO_BATCH_MAX_OPS;
	info->out_max_pages = EXO_BATCH_MAX_PAGES;
	info->out_view_pages = EXO_VIEW_MAX_PAGES;
	info->out_table_bytes = PAGE_ALIGN(sizeof(struct exo_table) +
					   exo_nr_frames * sizeof(struct exo_frame_entry));
	info->out_ring_bytes = sizeof(struct exo_ring);
	info->out_env = env->number;
	return 0;
}

static void fill_status(struct exo_env *env, struct exo_env_status *st)
{
	st->out_env = env->number;
	st->out_uid = from_kuid_munged(current_user_ns(), env->user->uid);
	st->out_pid = pid_vnr(env->opener);
	exo_mem_fill_status(env, st);
}

static int env_status_op(struct exo_env *env, void *arg)
{
	struct exo_env_status *st = arg;

	if (st->flags)
		return -EINVAL;
	fill_status(env, st);
	return 0;
}

/*
 * The next rows above *@number, which moves on; the caller knows @known bytes of each. Returns how
 * many.
 */
static u32 list_rows(struct exo_env *env, bool all, u64 *number, u32 known,
		     struct exo_env_status *rows, u32 count)
{
	struct exo_env *other;
	u32 n = 0;

	mutex_lock(&exo_envs_lock);
	list_for_each_entry(other, &exo_envs, node) {
		if (n == count)
			break;
		if (other->number <= *number || (!all && other->user != env->user))
			continue;
		*number = other->number;
		memset(&rows[n], 0, sizeof(*rows));
		rows[n].size = known;
		fill_status(other, &rows[n++]);
	}
	mutex_unlock(&exo_envs_lock);
	return n;
}

/* Rows to where the caller has more room for each, or less. */
static int put_rows(const struct exo_env_list *list, const struct exo_env_status *rows, u32 known,
		    u32 n)
{
	u8 __user *to = u64_to_user_ptr(list->envs) + (u64)list->out_done * list->row_size;
	u32 i;

	for (i = 0; i < n; i++, to += list->row_size)
		if (copy_to_user(to, &rows[i], known) ||
		    clear_user(to + known, list->row_size - known))
			return -EFAULT;
	return 0;
}

static int env_list_op(struct exo_env *env, void *arg)
{
	bool all = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
	struct exo_env_list *list = arg;
	struct exo_env_status *rows;
	u64 number = list->start;
	int ret = 0;
	u32 known, n;

	list->out_done = 0;
	if (list->flags || list->reserved || list->row_size < ROW_MIN ||
	    list->row_size % sizeof(u64))
		return -EINVAL;
	if (list->row_size > PAGE_SIZE)
		return -E2BIG;
	known = min_t(u32, list->row_size, sizeof(*rows));
	rows = kmalloc_array(LIST_ROWS, sizeof(*rows), GFP_KERNEL);
	if (!rows)
		return -ENOMEM;

	while (list->out_done < list->count) {
		n = list_rows(env, all, &number, known, rows,
			      min_t(u32, list->count - list->out_done, LIST_ROWS));
		if (!n)
			break;
		/* Not under the lock: the caller decides how long a fault there takes. */
		ret = put_rows(list, rows, known, n);
		if (ret)
			break;
		list->out_done += n;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
	}
	kfree(rows);
	return ret;
}

static int env_init(void)
{
	int ret;

	ret = exo_users_init();
	return ret ?: exo_envs_init();
}

static void env_exit(void)
{
	exo_envs_exit();
	exo_users_exit();
}

static const struct exo_op env_ops[] = {
	EXO_OP(INFO, struct exo_info, 0, info_op),
	EXO_OP(ENV_EVENTFD, struct exo_env_eventfd, EXO_OP_IN, exo_env_eventfd_op),
	EXO_OP(ENV_STATUS, struct exo_env_status, 0, env_status_op),
	EXO_OP(ENV_LIST, struct exo_env_list, 0, env_list_op),
	EXO_OP(QUOTA_GET, struct exo_quota, 0, exo_quota_get_op),
	EXO_OP(QUOTA_SET, struct exo_quota, EXO_OP_ADMIN | EXO_OP_IN, exo_quota_set_op),
};

const struct exo_noun exo_env_noun = {
	.name = "env",
	.ops = env_ops,
	.nr_ops = ARRAY_SIZE(env_ops),
	.init = env_init,
	.exit = env_exit,
	.mmap_kinds = BIT(EXO_MMAP_KIND(EXO_MMAP_RING)),
	.mmap = exo_event_ring_mmap,
};
