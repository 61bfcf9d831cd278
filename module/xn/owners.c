// SPDX-License-Identifier: GPL-2.0
/*
 * What EXO_XN_ATTACH says of machine and owners. core/xn_owners.c decides.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "xn/xn.h"

/**
 * exo_xn_arrival_get() - take what an attach says of owners
 * @cmd: not checked yet; its results are zeros afterwards
 * @arrival: out; exo_xn_arrival_put()
 *
 * The map is copied once, and checked, before a device is opened.
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -EFAULT; -ENOMEM.
 */
int exo_xn_arrival_get(struct exo_xn_attach *cmd, struct exo_xn_arrival *arrival)
{
	struct exo_xn_uids *uids;
	u32 nr = cmd->nr_uids;
	int ret;

	*arrival = (struct exo_xn_arrival) {
		.map = cmd->flags & EXO_XN_ATTACH_UIDS,
		.again = cmd->flags & EXO_XN_ATTACH_AGAIN,
	};
	memcpy(arrival->machine, cmd->machine, sizeof(arrival->machine));
	exo_xn_arrival_say(cmd, arrival);
	if (cmd->reserved1 || nr > EXO_XN_UIDS)
		return -EINVAL;
	if (!arrival->map)
		return nr || cmd->uids || arrival->again ? -EINVAL : 0;
	if (!memchr_inv(cmd->machine, 0, sizeof(cmd->machine)))
		return -EINVAL;
	if (!nr)
		return 0;
	uids = memdup_user(u64_to_user_ptr(cmd->uids), nr * sizeof(*uids));
	if (IS_ERR(uids))
		return PTR_ERR(uids);
	ret = exo_xn_uids_tidy(uids, &nr);
	if (ret) {
		kfree(uids);
		return ret;
	}
	arrival->uids = uids;
	arrival->nr = nr;
	return 0;
}

/**
 * exo_xn_arrival_put() - give up what exo_xn_arrival_get() took
 * @arrival: it
 */
void exo_xn_arrival_put(struct exo_xn_arrival *arrival)
{
	kfree(arrival->uids);
}

/**
 * exo_xn_arrival_say() - tell the caller what became of it
 * @cmd: its results are set
 * @arrival: what exo_xn_arrive() left
 */
void exo_xn_arrival_say(struct exo_xn_attach *cmd, const struct exo_xn_arrival *arrival)
{
	cmd->out_flags = (arrival->moved ? EXO_XN_ATTACH_MOVED : 0) |
			 (arrival->mapped ? EXO_XN_ATTACH_MAPPED : 0) |
			 (arrival->before ? EXO_XN_ATTACH_BEFORE : 0);
	cmd->out_changed = arrival->changed;
	cmd->out_nobody = arrival->nobody;
	memcpy(cmd->out_uid, arrival->uid, sizeof(cmd->out_uid));
	cmd->out_to = arrival->to;
	memcpy(cmd->out_name, arrival->name, sizeof(cmd->out_name));
}
