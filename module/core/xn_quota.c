// SPDX-License-Identifier: GPL-2.0
/*
 * What users may have of a disk: one limit for all, and others for those whom the administrator named. They stand in the
 * superblock, so a new one is durable with one write and never half of it.
 */
#include "core/xn_core.h"

/**
 * exo_xn_uid_blocks() - what a uid has, or keeps from others
 * @xn: disk
 * @uid: any
 *
 * Context: disk lock. Return: blocks of all its roots, those that wait for a commit, too (INV-XN-27), and of the templates that it
 * installed.
 */
u64 exo_xn_uid_blocks(const struct exo_xn *xn, u32 uid)
{
	u64 blocks = 0;
	u32 i;

	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i] && xn->roots[i]->pub.uid == uid)
			blocks += xn->roots[i]->pub.blocks + xn->roots[i]->pub.waiting;
	for (i = 1; i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i] && xn->templates[i]->uid == uid)
			blocks += xn->templates[i]->blocks;
	return blocks;
}

/* Where the uid's own limit is, or would be: they are in order. */
static u32 place(const struct exo_xn_quotas *quotas, u32 uid)
{
	u32 i = 0;

	while (i < quotas->nr && quotas->uid[i] < uid)
		i++;
	return i;
}

static bool has_own(const struct exo_xn_quotas *quotas, u32 i, u32 uid)
{
	return i < quotas->nr && quotas->uid[i] == uid;
}

/**
 * exo_xn_uid_limit() - the limit of a uid
 * @xn: disk
 * @uid: any
 * @out_own: set: is it its own, and not that of all?
 *
 * Context: disk lock. Return: blocks; 0: none.
 */
u64 exo_xn_uid_limit(const struct exo_xn *xn, u32 uid, bool *out_own)
{
	u32 i = place(&xn->quotas, uid);

	*out_own = has_own(&xn->quotas, i, uid);
	return *out_own ? xn->quotas.blocks[i] : xn->quotas.all;
}

/**
 * exo_xn_uid_room() - what a uid may still get
 * @xn: disk
 * @uid: any
 *
 * Context: disk lock. Return: blocks; ~0: there is no limit.
 */
u64 exo_xn_uid_room(const struct exo_xn *xn, u32 uid)
{
	bool own;
	u64 limit = exo_xn_uid_limit(xn, uid, &own), used;

	if (!limit)
		return ~0ULL;
	used = exo_xn_uid_blocks(xn, uid);
	return limit > used ? limit - used : 0;
}

static void least(u32 uid, u32 from, bool *found, u32 *out)
{
	if (uid < from || (*found && uid >= *out))
		return;
	*found = true;
	*out = uid;
}

/**
 * exo_xn_uid_next() - who has something of a disk, or a limit of his own?
 * @xn: disk
 * @from: the least uid that is wanted
 * @out: set to the least from there on
 *
 * Context: disk lock. Return: is there one?
 */
bool exo_xn_uid_next(const struct exo_xn *xn, u32 from, u32 *out)
{
	bool found = false;
	u32 i;

	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i])
			least(xn->roots[i]->pub.uid, from, &found, out);
	for (i = 1; i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i])
			least(xn->templates[i]->uid, from, &found, out);
	for (i = 0; i < xn->quotas.nr; i++)
		least(xn->quotas.uid[i], from, &found, out);
	return found;
}

/* The limits as they shall be, durably. After an error they are as before, for all who are asked now. */
static int take(struct exo_xn *xn, const struct exo_xn_quotas *quotas)
{
	struct exo_xn_quotas was = xn->quotas;
	int ret;

	xn->quotas = *quotas;
	ret = exo_xn_checkpoint(xn);
	if (ret)
		xn->quotas = was;
	return ret;
}

/**
 * exo_xn_quota_all() - set the limit of all who have none of their own
 * @xn: disk
 * @blocks: at most; 0: no limit. Who has more now keeps it, and gets nothing
 *
 * Context: disk lock; writes. Return: 0; -EIO: the disk is failed.
 */
int exo_xn_quota_all(struct exo_xn *xn, u64 blocks)
{
	struct exo_xn_quotas quotas = xn->quotas;

	quotas.all = blocks;
	return take(xn, &quotas);
}

/**
 * exo_xn_quota_set() - give a uid a limit of its own
 * @xn: disk
 * @uid: whose
 * @blocks: at most; 0: no limit. Who has more now keeps it, and gets nothing
 *
 * Context: disk lock; writes. Return: 0; -ENOSPC: EXO_XN_QUOTAS have one; -EIO: the disk is failed.
 */
int exo_xn_quota_set(struct exo_xn *xn, u32 uid, u64 blocks)
{
	struct exo_xn_quotas quotas = xn->quotas;
	u32 i = place(&quotas, uid), n;

	if (!has_own(&quotas, i, uid)) {
		if (quotas.nr == EXO_XN_QUOTAS)
			return -ENOSPC;
		for (n = quotas.nr++; n > i; n--) {
			quotas.uid[n] = quotas.uid[n - 1];
			quotas.blocks[n] = quotas.blocks[n - 1];
		}
		quotas.uid[i] = uid;
	}
	quotas.blocks[i] = blocks;
	return take(xn, &quotas);
}

/**
 * exo_xn_quota_forget() - a uid shall have the limit of all again
 * @xn: disk
 * @uid: whose
 *
 * Context: disk lock; writes. Return: 0; -ENOENT: it has none of its own; -EIO: the disk is failed.
 */
int exo_xn_quota_forget(struct exo_xn *xn, u32 uid)
{
	struct exo_xn_quotas quotas = xn->quotas;
	u32 i = place(&quotas, uid);

	if (!has_own(&quotas, i, uid))
		return -ENOENT;
	for (quotas.nr--; i < quotas.nr; i++) {
		quotas.uid[i] = quotas.uid[i + 1];
		quotas.blocks[i] = quotas.blocks[i + 1];
	}
	quotas.uid[i] = 0;
	quotas.blocks[i] = 0;
	return take(xn, &quotas);
}
