// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file's units: a chain, each with up to VFS_EXTENTS runs of blocks; the first has the size. Who changes
 * a file's units has SQLite's lock to write the file.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs.h"

#define RUN_MIN 64U		/* blocks that a file grows by */
#define RUN_MAX 16384U
/*
 * Journals: so many blocks are written with zeros when they are allocated. A WAL that is checkpointed at SQLite's usual
 * 1,000 pages of 4 KiB, each with 24 bytes, has 1,002 if a transaction of three pages reached that ...
 */
#define ZERO_BLOCKS 1008U
#define ZERO_DIRTY 16U /* ... unless so much is written at once: then it doesn't pay */
#define TRIES 16

static void unbind(struct run *run)
{
	if (run->binding)
		exo_xn_unbind(vfs.xn, run->binding);
	run->binding = 0;
}

static void drop_runs(struct run *runs, uint32_t nr)
{
	while (nr)
		unbind(&runs[--nr]);
	free(runs);
}

void extent_unload(struct file *file)
{
	drop_runs(file->runs, file->nr_runs);
	free(file->units);
	file->runs = NULL;
	file->units = NULL;
	file->nr_runs = file->nr_units = file->blocks = file->last = 0;
}

/* Room for one more run, and for the unit it may need. */
static int room_for_run(struct file *file)
{
	struct run *runs = realloc(file->runs, (file->nr_runs + 1) * sizeof(*runs));
	uint64_t *units;

	if (!runs)
		return -ENOMEM;
	file->runs = runs;
	units = realloc(file->units, (file->nr_units + 1) * sizeof(*units));
	if (!units)
		return -ENOMEM;
	file->units = units;
	return 0;
}

static int add_unit(struct file *file, uint64_t block)
{
	int ret = room_for_run(file);

	if (!ret)
		file->units[file->nr_units++] = block;
	return ret;
}

static int add_runs(struct file *file, const struct vfs_unit *unit)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; !ret && i < unit->extents; i++) {
		ret = room_for_run(file);
		if (ret)
			break;
		file->runs[file->nr_runs++] = (struct run){
			.block = unit->extent[i].block,
			.count = unit->extent[i].count,
			.start = file->blocks,
		};
		file->blocks += unit->extent[i].count;
	}
	return ret;
}

/* Bindings of runs that are as they were are kept. */
static void keep_bindings(struct file *file, struct run *old, uint32_t nr_old)
{
	uint32_t i, nr = MIN(nr_old, file->nr_runs);

	for (i = 0; i < nr; i++) {
		if (old[i].block != file->runs[i].block || old[i].count != file->runs[i].count)
			continue;
		file->runs[i].binding = old[i].binding;
		old[i].binding = 0;
	}
	drop_runs(old, nr_old);
}

/**
 * extent_load() - read a file's units
 * @file: its first unit's block is in the directory
 *
 * Return: 0; -EUCLEAN: they are not what this VFS writes; -errno.
 */
int extent_load(struct file *file)
{
	struct volume *volume = file->volume;
	struct vfs_unit *unit = &volume->unit;
	uint64_t block = volume->dir.entry[file->index].unit, parent = volume->block;
	struct run *old = file->runs;
	uint32_t nr_old = file->nr_runs;
	int ret = 0;

	file->runs = NULL;
	file->nr_runs = file->nr_units = file->blocks = file->last = 0;
	while (!ret && block) {
		ret = exo_xn_read(vfs.xn, volume->root, parent, block, unit, sizeof(*unit));
		if (ret < 0)
			break;
		ret = unit->magic != VFS_FILE_MAGIC || unit->extents > VFS_EXTENTS ||
		      (unit->next && unit->extents != VFS_EXTENTS) ? -EUCLEAN : 0;
		if (!ret && !file->nr_units)
			file->said = unit->size;
		if (!ret)
			ret = add_unit(file, block);
		if (!ret)
			ret = add_runs(file, unit);
		parent = block;
		block = unit->next;
	}
	keep_bindings(file, old, nr_old);
	file->used = file->blocks;
	return ret;
}

/* The kernel may have forgotten how it came to a unit: it is shown the way again. */
int extent_path(struct file *file)
{
	struct volume *volume = file->volume;
	uint64_t parent = volume->block;
	uint32_t i, n;
	int ret;

	ret = exo_xn_read(vfs.xn, volume->root, parent, parent, &n, sizeof(n));
	for (i = 0; ret >= 0 && i < file->nr_units; parent = file->units[i++])
		ret = exo_xn_read(vfs.xn, volume->root, parent, file->units[i], &n, sizeof(n));
	return ret < 0 ? ret : 0;
}

static int bind(struct file *file, struct run *run)
{
	return exo_xn_bind(vfs.xn, file->volume->root, file->units[file->last / VFS_EXTENTS], run->block,
			   run->count, EXO_RIGHT_READ | EXO_RIGHT_WRITE, &run->binding);
}

/* The run that has a block is the last that was used. */
static int find(struct file *file, uint32_t index)
{
	uint32_t low = 0, high = file->nr_runs, middle;
	struct run *run = file->last < high ? &file->runs[file->last] : NULL;

	if (likely(run && index - run->start < run->count))
		return 0;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (file->runs[middle].start + file->runs[middle].count <= index)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == file->nr_runs)
		return -ENXIO;
	file->last = low;
	return 0;
}

int extent_where(struct file *file, uint32_t index, uint64_t *out_unit, uint64_t *out_block)
{
	int ret = find(file, index);

	if (ret)
		return ret;
	*out_unit = file->units[file->last / VFS_EXTENTS];
	*out_block = file->runs[file->last].block + index - file->runs[file->last].start;
	return 0;
}

int extent_find(struct file *file, uint32_t index, struct run **out_run)
{
	int ret = find(file, index);
	struct run *run;

	if (ret)
		return ret;
	run = &file->runs[file->last];
	*out_run = run;
	if (likely(run->binding))
		return 0;
	ret = bind(file, run);
	if (ret == -ENOENT) {
		ret = extent_path(file);
		if (!ret)
			ret = bind(file, run);
	}
	return ret;
}

/* Changes ------------------------------------------------------------------------------------ */

static void changed(struct file *file)
{
	uint32_t now = __atomic_add_fetch(&file->shared->map, 1, __ATOMIC_ACQ_REL);

	if (now == file->map_seen + 1)
		file->map_seen = now;
	__atomic_store_n(&file->shared->uncommitted, 1, __ATOMIC_SEQ_CST);
}

/* Where the log has no room for more, what is there so far is committed. */
static int apply(struct file *file)
{
	struct volume *volume = file->volume;
	int ret;

	if (share_lost(volume->share)) {
		exo_xn_change_clear(volume->change);
		return -EIO;
	}
	ret = exo_xn_change_apply(volume->change, 0, NULL);
	if (ret == -ENOENT) {
		ret = extent_path(file);
		if (!ret)
			ret = exo_xn_change_apply(volume->change, 0, NULL);
	}
	if (ret == -ENOSPC) {
		vfs.stats.commits++;
		ret = exo_xn_commit(vfs.xn, volume->root, NULL);
		if (!ret)
			ret = exo_xn_change_apply(volume->change, 0, NULL);
	}
	if (ret)
		exo_xn_change_clear(volume->change);
	else
		changed(file);
	return ret;
}

int extent_commit(struct file *file)
{
	int ret;

	if (share_lost(file->volume->share))
		return -EIO;
	__atomic_store_n(&file->shared->uncommitted, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&file->shared->unflushed, 0, __ATOMIC_SEQ_CST);
	vfs.stats.commits++;
	ret = exo_xn_commit(vfs.xn, file->volume->root, NULL);
	if (ret)
		file->shared->uncommitted = file->shared->unflushed = 1;
	return ret;
}

int extent_say_size(struct file *file)
{
	struct volume *volume = file->volume;
	int ret;

	exo_xn_change_write(volume->change, file->units[0], offsetof(struct vfs_unit, size),
			    &file->size, sizeof(file->size));
	ret = apply(file);
	if (!ret)
		file->said = file->size;
	return ret;
}

static void fill_unit(const struct file *file, uint32_t number, struct vfs_unit *unit)
{
	uint32_t i, first = number * VFS_EXTENTS, nr = file->nr_runs - first;

	memset(unit, 0, sizeof(*unit));
	unit->magic = VFS_FILE_MAGIC;
	unit->extents = MIN(nr, VFS_EXTENTS);
	unit->size = number ? 0 : file->said;
	unit->next = number + 1 < file->nr_units ? file->units[number + 1] : 0;
	for (i = 0; i < unit->extents; i++) {
		unit->extent[i].block = file->runs[first + i].block;
		unit->extent[i].count = file->runs[first + i].count;
	}
}

/* So that a FUA write, and no transaction, makes them durable later. */
static int write_zeros(struct file *file, uint32_t from, uint32_t count)
{
	uint32_t frames[EXO_XN_IO_BLOCKS], i, n;
	int ret = 0;

	for (i = 0; i < EXO_XN_IO_BLOCKS; i++)
		frames[i] = vfs.zero_frame;
	for (; !ret && count; from += n, count -= n) {
		n = MIN(count, EXO_XN_IO_BLOCKS);
		ret = flush_write(file, from, frames, n, false);
	}
	__atomic_store_n(&file->shared->unflushed, 1, __ATOMIC_SEQ_CST);
	return ret;
}

/* A run that was found free becomes the file's. -EBUSY: somebody was faster. */
static int take_run(struct file *file, uint64_t block, uint32_t count)
{
	struct volume *volume = file->volume;
	struct exo_xn_change *change = volume->change;
	struct run *last = file->nr_runs ? &file->runs[file->nr_runs - 1] : NULL;
	bool merge = last && last->block + last->count == block;
	bool chain = !merge && file->nr_runs == file->nr_units * VFS_EXTENTS;
	uint32_t nr_units = file->nr_units, number = nr_units - 1;
	uint64_t fresh = 0;
	int ret;

	ret = room_for_run(file);
	last = file->nr_runs ? &file->runs[file->nr_runs - 1] : NULL;	/* they may have moved */
	if (!ret && chain)
		ret = exo_xn_find_free(vfs.xn, block + count, 1, &fresh);
	if (ret)
		return ret;
	if (merge) {
		last->count += count;
	} else {
		if (chain) {
			file->units[file->nr_units++] = fresh;
			fill_unit(file, number, &volume->unit2);
			exo_xn_change_write(change, file->units[number], 0, &volume->unit2,
					    sizeof(volume->unit2));
			exo_xn_change_alloc(change, file->units[number], fresh, 1, EXO_XN_SELF);
			number++;
		}
		file->runs[file->nr_runs++] =
			(struct run){ .block = block, .count = count, .start = file->blocks };
	}
	fill_unit(file, number, &volume->unit);
	if (chain)
		exo_xn_change_new(change, fresh, &volume->unit, sizeof(volume->unit));
	else
		exo_xn_change_write(change, file->units[number], 0, &volume->unit,
				    sizeof(volume->unit));
	exo_xn_change_alloc(change, file->units[number], block, count, EXO_XN_DATA);
	ret = apply(file);
	if (ret) {
		file->nr_units = nr_units;
		if (merge)
			file->runs[file->nr_runs - 1].count -= count;
		else
			file->nr_runs--;
		return ret;
	}
	if (merge)
		unbind(&file->runs[file->nr_runs - 1]);
	file->blocks += count;
	return 0;
}

static uint32_t run_wanted(const struct file *file, uint32_t need)
{
	uint32_t want = file->kind == VFS_KIND_PLAIN ? file->blocks / 2 : file->blocks;

	want = MIN(want, file->kind == VFS_KIND_PLAIN ? RUN_MAX : ZERO_BLOCKS);
	if (want < RUN_MIN)
		want = RUN_MIN;
	if (file->kind != VFS_KIND_PLAIN && file->blocks < ZERO_BLOCKS)
		want = MIN(want, ZERO_BLOCKS - file->blocks);
	return want > need ? want : need;
}

/* One more run, of @need blocks or more if that is possible, else of less. */
static int grow_once(struct file *file, uint32_t need)
{
	const struct run *last = file->nr_runs ? &file->runs[file->nr_runs - 1] : NULL;
	uint64_t near = last ? last->block + last->count : file->units[0], block;
	uint32_t want = run_wanted(file, need), from = file->blocks;
	int ret, tries = TRIES;

	for (;;) {
		ret = exo_xn_find_free(vfs.xn, near, want, &block);
		if (!ret)
			ret = take_run(file, block, want);
		if (ret == -EBUSY && --tries)
			continue;
		if ((ret != -ENOSPC && ret != -EDQUOT) || want == 1)
			break;
		want /= 2;
	}
	if (!ret && file->kind != VFS_KIND_PLAIN && from + want <= ZERO_BLOCKS &&
	    file->nr_dirty < ZERO_DIRTY)
		ret = write_zeros(file, from, want);
	return ret;
}

int extent_grow(struct file *file, uint32_t blocks)
{
	int ret = 0;

	while (!ret && file->blocks < blocks)
		ret = grow_once(file, blocks - file->blocks);
	return ret;
}

/* The last run, or its end, goes. */
static int cut_once(struct file *file, uint32_t keep)
{
	struct volume *volume = file->volume;
	struct exo_xn_change *change = volume->change;
	struct run *last = &file->runs[file->nr_runs - 1];
	uint32_t left = keep > last->start ? keep - last->start : 0, cut = last->count - left;
	uint32_t number = (file->nr_runs - 1) / VFS_EXTENTS, nr_units = file->nr_units;
	bool unchain = !left && number && (file->nr_runs - 1) % VFS_EXTENTS == 0;
	int ret;

	unbind(last);
	exo_xn_change_free(change, file->units[number], last->block + left, cut, EXO_XN_DATA);
	last->count = left;
	if (!left)
		file->nr_runs--;
	fill_unit(file, number, &volume->unit);
	exo_xn_change_write(change, file->units[number], 0, &volume->unit, sizeof(volume->unit));
	if (unchain) {
		file->nr_units--;
		fill_unit(file, number - 1, &volume->unit2);
		exo_xn_change_write(change, file->units[number - 1], 0, &volume->unit2,
				    sizeof(volume->unit2));
		exo_xn_change_free(change, file->units[number - 1], file->units[number], 1,
				   EXO_XN_SELF);
	}
	ret = apply(file);
	if (ret) {
		if (!left)
			file->nr_runs++;
		file->runs[file->nr_runs - 1].count = left + cut;
		file->nr_units = nr_units;
		return ret;
	}
	volume->near = MIN(volume->near, last->block + left);
	file->blocks -= cut;
	return 0;
}

int extent_cut(struct file *file, uint32_t blocks)
{
	int ret = 0;

	cache_drop(file, blocks);
	while (!ret && file->blocks > blocks)
		ret = cut_once(file, blocks);
	file->last = 0;
	file->used = MIN(file->used, blocks);
	return ret;
}
