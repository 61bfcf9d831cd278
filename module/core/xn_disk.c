// SPDX-License-Identifier: GPL-2.0
/*
 * A disk: made, attached, grown, let go.
 */
#include "core/xn_core.h"

/**
 * exo_xn_priv() - what the host gave at format or attach
 * @xn: disk; also one that is just being made
 *
 * Context: any. Return: it.
 */
void *exo_xn_priv(struct exo_xn *xn)
{
	return xn->priv;
}

/* Write empty blocks of the map to all homes in [from, to). */
static int write_maps(struct exo_xn *xn, u64 from, u64 to, u64 nr_maps)
{
	u64 index = from / EXO_XN_GROUP * EXO_XN_GROUP_MAPS, home, begin = 0;
	u32 n = 0;
	int ret;

	for (; index <= nr_maps; index++) {
		home = exo_xn_map_home(index);
		if (n && (index == nr_maps || home != begin + n || home >= to ||
			  n == EXO_XN_UNIT_BLOCKS)) {
			ret = exo_xn_write_blocks(xn, begin, n, xn->io, 0);
			if (ret)
				return ret;
			n = 0;
		}
		if (index == nr_maps || home < from || home >= to)
			continue;
		begin = n ? begin : home;
		__builtin_memset(xn->io + n * EXO_XN_BLOCK, 0, EXO_XN_BLOCK);
		exo_xn_map_build(xn->host->crc, xn->seed, (void *)(xn->io + n * EXO_XN_BLOCK), home);
		n++;
	}
	return 0;
}

static int write_zeros(struct exo_xn *xn, u64 block, u64 count, u32 flags)
{
	u32 n;
	int ret;

	__builtin_memset(xn->io, 0, EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK);
	for (; count; block += n, count -= n) {
		n = count < EXO_XN_UNIT_BLOCKS ? count : EXO_XN_UNIT_BLOCKS;
		ret = exo_xn_write_blocks(xn, block, n, xn->io, flags);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The newer of the superblocks that are whole, in xn->io afterwards. One that can't be read may be the newer: what the
 * older says would be a log that was overwritten since, and what was committed there would be gone in silence.
 */
static int read_super(struct exo_xn *xn, u64 blocks)
{
	struct exo_xn_super *super = (void *)xn->io, *other = (void *)(xn->io + EXO_XN_BLOCK);
	bool good, second;
	int ret;

	ret = exo_xn_read_blocks(xn, 0, 1, super);
	if (!ret)
		ret = exo_xn_read_blocks(xn, 1, 1, other);
	if (ret)
		return ret;
	good = exo_xn_super_parse(xn->host->crc, super, blocks);
	second = exo_xn_super_parse(xn->host->crc, other, blocks);
	if (second && (!good || other->seq > super->seq))
		*super = *other;
	return good || second ? 0 : -EINVAL;
}

static u32 log_blocks_for(const struct exo_xn_format_opts *opts)
{
	u64 usual = opts->blocks / 32;

	if (opts->log_blocks)
		return opts->log_blocks;
	return usual < 64 ? 64 : usual > 8192 ? 8192 : usual;
}

static int format(struct exo_xn *xn, const struct exo_xn_format_opts *opts)
{
	int ret = opts->force ? -EINVAL : read_super(xn, opts->blocks);

	/* Who can't be read may be one of exo's. */
	if (ret != -EINVAL)
		return ret ?: -EBUSY;
	ret = write_zeros(xn, 0, 2, EXO_XN_FUA);
	if (!ret)
		ret = write_maps(xn, 0, xn->blocks, exo_xn_maps_of(xn->blocks));
	if (!ret)
		ret = write_zeros(xn, EXO_XN_ROOTS_AT, xn->first - EXO_XN_ROOTS_AT, 0);
	if (!ret)
		ret = exo_xn_flush(xn);
	if (!ret)
		ret = exo_xn_super_write(xn);
	if (!ret)
		ret = exo_xn_super_write(xn);
	return ret;
}

/**
 * exo_xn_format() - make an empty disk
 * @host: surroundings
 * @priv: for exo_xn_priv()
 * @opts: what it shall be
 *
 * Context: nobody else uses the device; writes. What was on it is no disk of exo's from the first write on.
 *
 * Return: 0; -EBUSY: there is one of exo's, and no force; -ENOSPC: too small; -EINVAL: a log that can't be, or larger
 * than any disk; -ENOMEM; -EIO.
 */
int exo_xn_format(const struct exo_xn_host *host, void *priv, const struct exo_xn_format_opts *opts)
{
	struct exo_xn xn = { .host = host, .priv = priv, .blocks = opts->blocks, .log_seq = 1 };
	int ret;

	xn.log_blocks = log_blocks_for(opts);
	xn.quotas.all = opts->uid_blocks;
	if (xn.log_blocks < EXO_XN_LOG_MIN || xn.log_blocks > EXO_XN_LOG_MAX ||
	    opts->blocks > EXO_XN_BLOCKS_MAX)
		return -EINVAL;
	xn.first = EXO_XN_LOG_AT + xn.log_blocks;
	if (opts->blocks <= xn.first)
		return -ENOSPC;
	__builtin_memcpy(xn.uuid, opts->uuid, sizeof(xn.uuid));
	xn.seed = exo_xn_seed(host->crc, xn.uuid);
	xn.io = exo_xn_alloc(&xn, EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK);
	if (!xn.io)
		return -ENOMEM;
	ret = format(&xn, opts);
	exo_xn_mem_free(&xn, xn.io);
	return ret;
}

static int alloc_all(struct exo_xn *xn)
{
	xn->nr_buckets = 1024;
	xn->units = exo_xn_alloc(xn, xn->nr_buckets * sizeof(*xn->units));
	xn->roots = exo_xn_alloc(xn, (EXO_XN_ROOTS + 1) * sizeof(*xn->roots));
	xn->templates = exo_xn_alloc(xn, (EXO_XN_TEMPLATES + 1) * sizeof(*xn->templates));
	xn->root_table = exo_xn_alloc(xn, EXO_XN_TABLE_BLOCKS * EXO_XN_BLOCK);
	xn->template_table = exo_xn_alloc(xn, EXO_XN_TABLE_BLOCKS * EXO_XN_BLOCK);
	xn->log = exo_xn_alloc(xn, EXO_XN_LOG_SMALL * EXO_XN_BLOCK);
	xn->room[0] = exo_xn_alloc(xn, EXO_XN_EXTENTS * sizeof(*xn->room[0]));
	xn->room[1] = exo_xn_alloc(xn, EXO_XN_EXTENTS * sizeof(*xn->room[1]));
	xn->nr_maps = exo_xn_maps_of(xn->blocks);
	xn->maps = exo_xn_alloc(xn, xn->nr_maps * sizeof(*xn->maps));
	return xn->units && xn->roots && xn->templates && xn->root_table && xn->template_table &&
	       xn->log && xn->room[0] && xn->room[1] && xn->maps ? 0 : -ENOMEM;
}

static int read_table(struct exo_xn *xn, u64 at, u8 *table)
{
	u32 i;
	int ret;

	for (i = 0; i < EXO_XN_TABLE_BLOCKS; i += EXO_XN_UNIT_BLOCKS) {
		ret = exo_xn_read_blocks(xn, at + i, EXO_XN_UNIT_BLOCKS, table + i * EXO_XN_BLOCK);
		if (ret)
			return ret;
	}
	return 0;
}

/* Roots that were being deleted when it was let go. */
static int finish_deletes(struct exo_xn *xn)
{
	u32 i;
	int ret;

	for (i = 1; i <= xn->last_root; i++) {
		if (!xn->roots[i] || !(xn->roots[i]->state & EXO_XN_ROOT_DELETING))
			continue;
		ret = exo_xn_root_wipe(xn, xn->roots[i], ~0ULL);
		if (ret)
			return ret;
	}
	return 0;
}

static int attach(struct exo_xn *xn, u64 blocks)
{
	struct exo_xn_super super;
	int ret;

	xn->io = exo_xn_alloc(xn, EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK);
	if (!xn->io)
		return -ENOMEM;
	ret = read_super(xn, blocks);
	if (ret)
		return ret;
	super = *(struct exo_xn_super *)xn->io;
	__builtin_memcpy(xn->uuid, super.uuid, sizeof(xn->uuid));
	__builtin_memcpy(xn->machine, super.machine, sizeof(xn->machine));
	__builtin_memcpy(xn->uids, super.uids, sizeof(xn->uids));
	xn->seed = exo_xn_seed(xn->host->crc, xn->uuid);
	xn->blocks = super.blocks;
	xn->quotas = super.quotas;
	xn->super_seq = super.seq;
	xn->log_blocks = super.log_blocks;
	xn->first = EXO_XN_LOG_AT + xn->log_blocks;
	xn->system = exo_xn_system_of(xn->blocks, xn->first);
	xn->taken_committed = super.taken;
	xn->hint = xn->first;
	xn->work_end = ~0ULL;
	ret = alloc_all(xn);
	if (!ret)
		ret = read_table(xn, EXO_XN_ROOTS_AT, xn->root_table);
	if (!ret)
		ret = read_table(xn, EXO_XN_TEMPLATES_AT, xn->template_table);
	if (!ret)
		ret = exo_xn_replay(xn, super.tail, super.tail_seq);
	if (!ret)
		ret = finish_deletes(xn);
	return ret;
}

/**
 * exo_xn_attach() - open a disk, and recover it
 * @host: surroundings; live longer than the disk
 * @priv: for exo_xn_priv()
 * @blocks: that the device has
 * @broken: EXO_XN_BREAK_*, of tests; 0
 * @out: set to it; exo_xn_free() frees it
 *
 * Context: nobody else uses the device; reads in proportion to what changed since the last checkpoint, writes that home.
 *
 * Return: 0; -EINVAL: not a disk of exo's, or its own state is damaged; -EIO; -ENOMEM.
 */
int exo_xn_attach(const struct exo_xn_host *host, void *priv, u64 blocks, u32 broken,
		  struct exo_xn **out)
{
	struct exo_xn boot = { .host = host, .priv = priv }, *xn;
	int ret;

	xn = exo_xn_alloc(&boot, sizeof(*xn));
	if (!xn)
		return -ENOMEM;
	xn->host = host;
	xn->priv = priv;
	xn->broken = broken;
	exo_xn_list_init(&xn->snapped);
	exo_xn_list_init(&xn->home_units);
	exo_xn_list_init(&xn->home_maps);
	exo_xn_list_init(&xn->clock_units);
	exo_xn_list_init(&xn->clock_maps);
	exo_xn_limit(xn, EXO_XN_MEMORY);
	ret = attach(xn, blocks);
	if (ret) {
		exo_xn_free(xn);
		return ret;
	}
	*out = xn;
	return 0;
}

/**
 * exo_xn_detach() - write all that was committed home
 * @xn: disk; nobody uses it any more. It still has to be freed
 *
 * Data that was written is not lost, if its blocks are committed; changes that weren't committed are, as in a crash.
 *
 * Context: disk lock; writes. Return: 0; -ENOMEM: nothing was done; -EIO: recovery will do it.
 */
int exo_xn_detach(struct exo_xn *xn)
{
	int ret = exo_xn_commit_written(xn);

	return ret ? ret : exo_xn_checkpoint(xn);
}

/* Forget all units that are in memory. */
static void units_drop(struct exo_xn *xn)
{
	struct exo_xn_core_unit *unit;
	u32 i;

	for (i = 0; i < xn->nr_buckets; i++) {
		while (xn->units && (unit = xn->units[i])) {
			xn->units[i] = unit->hash;
			unit->parent = NULL;
			exo_xn_list_del(&unit->root);
			exo_xn_unit_drop(xn, unit);
		}
	}
	xn->nr_units = 0;
}

/**
 * exo_xn_free() - forget a disk as it is
 * @xn: after exo_xn_detach(), or when the device is gone; no unit of it is held
 *
 * Context: nobody uses it, no data I/O is in flight.
 */
void exo_xn_free(struct exo_xn *xn)
{
	struct exo_xn boot = { .host = xn->host, .priv = xn->priv };
	u64 i;

	if (xn->units)
		units_drop(xn);
	for (i = 1; i <= xn->last_root; i++)
		if (xn->roots[i])
			exo_xn_root_drop(xn, xn->roots[i]);
	for (i = 1; xn->templates && i <= EXO_XN_TEMPLATES; i++)
		if (xn->templates[i])
			exo_xn_template_drop(xn, xn->templates[i]);
	for (i = 0; xn->maps && i < xn->nr_maps; i++)
		exo_xn_mem_free(xn, xn->maps[i]);
	for (i = 0; i < xn->nr_retired; i++)
		exo_xn_mem_free(xn, xn->retired[i]);
	exo_xn_mem_free(xn, xn->maps);
	exo_xn_mem_free(xn, xn->units);
	exo_xn_mem_free(xn, xn->roots);
	exo_xn_mem_free(xn, xn->templates);
	exo_xn_mem_free(xn, xn->root_table);
	exo_xn_mem_free(xn, xn->template_table);
	exo_xn_mem_free(xn, xn->log);
	exo_xn_mem_free(xn, xn->room[0]);
	exo_xn_mem_free(xn, xn->room[1]);
	exo_xn_mem_free(xn, xn->io);
	exo_xn_mem_free(&boot, xn);
}

/**
 * exo_xn_grow() - the device has become larger
 * @xn: disk
 * @blocks: that it has now
 *
 * The map of what is new is durable before the superblock says that there is more. Lock-free readers go on with the
 * array of the map that they found; it lives as long as the disk.
 *
 * Context: disk lock; writes, allocates. Return: 0; -EINVAL: smaller, or too large; -ENOSPC: grown too often since it was
 * attached; -ENOMEM; -EIO: the disk is failed.
 */
int exo_xn_grow(struct exo_xn *xn, u64 blocks)
{
	struct exo_xn_map_block **maps;
	u64 nr_maps = exo_xn_maps_of(blocks);
	int ret;

	if (blocks < xn->blocks || blocks > EXO_XN_BLOCKS_MAX)
		return -EINVAL;
	if (blocks == xn->blocks)
		return 0;
	if (xn->nr_retired == EXO_XN_RETIRED)
		return -ENOSPC;
	ret = exo_xn_checkpoint(xn);
	if (ret)
		return ret;
	maps = exo_xn_alloc(xn, nr_maps * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	ret = write_maps(xn, xn->blocks, blocks, nr_maps);
	if (!ret)
		ret = exo_xn_flush(xn);
	if (ret) {
		exo_xn_mem_free(xn, maps);
		return ret;
	}
	__builtin_memcpy(maps, xn->maps, xn->nr_maps * sizeof(*maps));
	xn->retired[xn->nr_retired++] = xn->maps;
	__atomic_store_n(&xn->maps, maps, __ATOMIC_RELEASE);
	xn->nr_maps = nr_maps;
	xn->blocks = blocks;
	xn->system = exo_xn_system_of(blocks, xn->first);
	return exo_xn_super_write(xn);
}

/**
 * exo_xn_stat() - numbers of a disk
 * @xn: disk
 * @out: filled in
 *
 * Context: disk lock.
 */
void exo_xn_stat(struct exo_xn *xn, struct exo_xn_stat *out)
{
	u32 i;

	*out = (struct exo_xn_stat){
		.blocks = xn->blocks, .free = xn->blocks - xn->system - xn->taken,
		.waiting = xn->waiting, .first = xn->first, .commits = xn->commits,
		.uid_blocks = xn->quotas.all, .replayed = xn->replayed, .read = xn->read,
		.failed = xn->failed,
	};
	__builtin_memcpy(out->uuid, xn->uuid, sizeof(out->uuid));
	for (i = 1; i <= xn->last_root; i++) {
		if (!exo_xn_root_at(xn, i))
			continue;
		out->roots++;
		out->quarantined += !!(xn->roots[i]->pub.flags & EXO_XN_ROOT_QUARANTINED);
	}
}
