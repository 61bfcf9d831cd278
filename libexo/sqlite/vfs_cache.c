// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocks in frames. A slab is a window of frames; blocks are found through their file's table, and
 * replaced by the clock. What SQLite uses in place (xFetch) is pinned. All of it is with vfs.lock.
 *
 * When exo asks for frames, whole slabs go back: dirty blocks are written first.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vfs.h"

#define MAP_FIRST 64U
#define AHEAD_MAX 32U

static void free_push(struct block *block)
{
	block->prev_free = NULL;
	block->next_free = vfs.free;
	if (vfs.free)
		vfs.free->prev_free = block;
	vfs.free = block;
	vfs.nr_free++;
}

static void free_take(struct block *block)
{
	if (block->prev_free)
		block->prev_free->next_free = block->next_free;
	else
		vfs.free = block->next_free;
	if (block->next_free)
		block->next_free->prev_free = block->prev_free;
	vfs.nr_free--;
}

static void put(struct block *block)
{
	if (block->file && !block->gone && block->file->map[block->index] == block)
		block->file->map[block->index] = NULL;
	block->gone = false;
	block->file = NULL;
	block->used = false;
	free_push(block);
}

/* Slabs -------------------------------------------------------------------------------------- */

static int slab_new(void)
{
	struct slab *slab = calloc(1, sizeof(*slab));
	uint32_t i;
	int ret;

	if (!slab)
		return -ENOMEM;
	ret = exo_mem_alloc_any(vfs.env, slab->frames, SLAB);
	if (ret)
		goto err_free;
	ret = exo_window_map_frames(vfs.env, slab->frames, SLAB, PROT_READ | PROT_WRITE,
				    &slab->window);
	if (ret)
		goto err_frames;
	for (i = 0; i < SLAB; i++) {
		slab->block[i].frame = slab->frames[i];
		slab->block[i].memory = (char *)exo_window_base(slab->window) + (size_t)i * VFS_BLOCK;
		free_push(&slab->block[i]);
	}
	slab->next = vfs.slabs;
	vfs.slabs = slab;
	vfs.hand_slab = slab;
	vfs.hand = 0;
	vfs.frames += SLAB;
	return 0;

err_frames:
	exo_mem_free(vfs.env, slab->frames, SLAB, NULL);
err_free:
	free(slab);
	return ret;
}

/* A frame that is taken by force meanwhile is not ours any more: go on behind it. */
static void give_frames(const uint32_t *frames, uint32_t count)
{
	uint32_t done;

	while (count) {
		done = 0;
		if (exo_mem_free(vfs.env, frames, count, &done) >= 0 || done >= count)
			return;
		frames += done + 1;
		count -= done + 1;
	}
}

static void slab_free(struct slab *slab)
{
	struct slab **at = &vfs.slabs;
	uint32_t i;

	while (*at != slab)
		at = &(*at)->next;
	*at = slab->next;
	vfs.hand_slab = vfs.slabs;
	vfs.hand = 0;
	for (i = 0; i < SLAB; i++)
		free_take(&slab->block[i]);
	exo_window_unmap(slab->window);
	give_frames(slab->frames, SLAB);
	vfs.frames -= SLAB;
	free(slab);
}

/* Nobody uses it, and what is newer than the disk was written. */
static bool slab_empty(struct slab *slab)
{
	struct block *block;

	for (block = slab->block; block < slab->block + SLAB; block++) {
		if (block->pins)
			return false;
		if (block->dirty && flush_file(block->file, FLUSH_EVICT))
			return false;
		if (block->dirty)
			return false;
	}
	for (block = slab->block; block < slab->block + SLAB; block++)
		if (block->file)
			put(block);
	return true;
}

uint32_t cache_give(uint32_t wanted)
{
	struct slab *slab, *next;
	uint32_t given = 0;

	vfs.scarce = true;
	for (slab = vfs.slabs; slab && given < wanted; slab = next) {
		next = slab->next;
		/* The last one stays: without a frame nothing could be written. */
		if (vfs.slabs->next == NULL)
			break;
		if (!slab_empty(slab))
			continue;
		slab_free(slab);
		given += SLAB;
	}
	return given;
}

static void on_revoke(const struct exo_revoke *revoke, void *ctx)
{
	(void)ctx;
	frames_in_thread();
	pthread_mutex_lock(&vfs.lock);
	cache_give(revoke->wanted);
	pthread_mutex_unlock(&vfs.lock);
}

/* What processes share may have been in that frame: others wait for those who don't know yet (V8). */
static void on_event(struct exo_env *env, const struct exo_event *event, void *ctx)
{
	struct volume *volume;

	(void)ctx;
	if (event->type != EXO_EVENT_CAP_REVOKED)
		return;
	pthread_mutex_lock(&vfs.lock);
	for (volume = vfs.env == env ? vfs.volumes : NULL; volume; volume = volume->next)
		share_told(volume->share, (uint32_t)event->arg[0]);
	pthread_mutex_unlock(&vfs.lock);
}

int cache_open(void)
{
	int ret = slab_new();

	if (ret)
		return ret;
	exo_env_on_revoke(vfs.env, on_revoke, NULL);
	exo_env_on_event(vfs.env, on_event, NULL);
	return 0;
}

bool cache_listen(uint32_t more)
{
	struct exo_env_status status;
	struct exo_quota quota;

	if (vfs.service)
		return true;
	if (!exo_env_status(vfs.env, &status) &&
	    !exo_quota_get(vfs.env, status.out_uid, 0, &quota) &&
	    quota.min >= quota.out_frames + more)
		return true;
	vfs.service = !exo_env_service_start(vfs.env);
	return vfs.service;
}

static bool may_grow(void)
{
	return vfs.frames + SLAB <= vfs.limit && !vfs.scarce && cache_listen(SLAB);
}

/* Blocks ------------------------------------------------------------------------------------- */

/* The next one by the clock that is clean, and not in use. Dirty ones are written when there is no other. */
static struct block *sweep(void)
{
	uint32_t left = 2 * vfs.frames;
	struct block *block, *dirty = NULL;

	for (; left; left--) {
		if (vfs.hand == SLAB) {
			vfs.hand = 0;
			vfs.hand_slab = vfs.hand_slab->next ? vfs.hand_slab->next : vfs.slabs;
		}
		block = &vfs.hand_slab->block[vfs.hand++];
		if (block->pins)
			continue;
		if (block->used) {
			block->used = false;
			continue;
		}
		if (!block->dirty)
			return block;
		if (block->file->kind == VFS_KIND_JOURNAL && !block->index)
			continue;
		if (!dirty)
			dirty = block;
		else if (left < vfs.frames / 2)
			break;
	}
	if (dirty && !flush_file(dirty->file, FLUSH_EVICT) && !dirty->dirty)
		return dirty;
	return NULL;
}

static struct block *take(void)
{
	struct block *block;

	if (!vfs.free && may_grow() && slab_new())
		vfs.scarce = true;
	block = vfs.free ? vfs.free : sweep();
	if (!block)
		return NULL;
	if (block->file)
		put(block);
	free_take(block);
	return block;
}

/* The file's table has room for this one. */
static int map_grow(struct file *file, uint32_t index)
{
	uint32_t room = file->map_room ? file->map_room : MAP_FIRST;
	struct block **map;

	if (index < file->map_room)
		return 0;
	while (room <= index)
		room *= 2;
	map = realloc(file->map, room * sizeof(*map));
	if (!map)
		return -ENOMEM;
	memset(map + file->map_room, 0, (room - file->map_room) * sizeof(*map));
	file->map = map;
	file->map_room = room;
	return 0;
}

static void place(struct block *block, struct file *file, uint32_t index)
{
	block->file = file;
	block->index = index;
	block->used = true;
	file->map[index] = block;
	if (index >= file->map_end)
		file->map_end = index + 1;
}

/* A block's place: not there yet. */
static int add(struct file *file, uint32_t index, struct block **out_block)
{
	int ret = map_grow(file, index);

	if (ret)
		return ret;
	*out_block = take();
	if (!*out_block)
		return -ENOMEM;
	place(*out_block, file, index);
	return 0;
}

struct block *cache_find(struct file *file, uint32_t index)
{
	struct block *block = index < file->map_room ? file->map[index] : NULL;

	if (block) {
		block->used = true;
		vfs.stats.hits++;
	}
	return block;
}

int cache_new(struct file *file, uint32_t index, bool zero, struct block **out_block)
{
	int ret;

	*out_block = cache_find(file, index);
	if (*out_block)
		return 0;
	ret = add(file, index, out_block);
	if (!ret && zero)
		memset((*out_block)->memory, 0, VFS_BLOCK);
	return ret;
}

/* The run of blocks from @index on that aren't here, at most @count. */
static uint32_t missing(const struct file *file, uint32_t index, uint32_t count)
{
	uint32_t i;

	for (i = 1; i < count; i++)
		if (index + i < file->map_room && file->map[index + i])
			break;
	return i;
}

int cache_read(struct file *file, uint32_t index, uint32_t ahead, struct block **out_block)
{
	struct block *block = cache_find(file, index), *got[AHEAD_MAX];
	uint32_t frames[AHEAD_MAX], count = ahead ? ahead : 1, n = 0, end, i;
	int ret = 0;

	*out_block = block;
	if (likely(block))
		return 0;
	/* Who reads on from where the last reading ended, reads on. */
	if (index == file->next_read)
		count = AHEAD_MAX;
	end = (uint32_t)((file->size + VFS_BLOCK - 1) / VFS_BLOCK);
	if (end > file->blocks)
		end = file->blocks;
	count = index < end ? MIN(count, end - index) : 1;
	count = missing(file, index, MIN(count, AHEAD_MAX));
	for (; n < count; n++) {
		ret = add(file, index + n, &got[n]);
		if (ret)
			break;
		got[n]->pins++;		/* the clock may come by for the next one */
		frames[n] = got[n]->frame;
	}
	for (i = 0; i < n; i++)
		got[i]->pins--;
	if (n)
		ret = flush_read(file, index, frames, n);
	if (!n || ret) {
		for (i = 0; i < n; i++)
			put(got[i]);
		return ret;
	}
	file->next_read = index + n;
	for (i = 1; i < n; i++)
		got[i]->used = false;
	*out_block = got[0];
	return 0;
}

int cache_dirty(struct block *block)
{
	struct file *file = block->file;
	struct block **dirty;
	uint32_t room;

	if (block->dirty)
		return 0;
	if (file->nr_dirty == file->dirty_room) {
		room = file->dirty_room ? 2 * file->dirty_room : MAP_FIRST;
		dirty = realloc(file->dirty, room * sizeof(*dirty));
		if (!dirty)
			return -ENOMEM;
		file->dirty = dirty;
		file->dirty_room = room;
	}
	file->dirty[file->nr_dirty++] = block;
	block->dirty = true;
	return 0;
}

/* Out of the table; SQLite may still look at it. */
static void leave(struct file *file, uint32_t i)
{
	struct block *block = file->map[i];

	if (!block->pins) {
		put(block);
		return;
	}
	file->map[i] = NULL;
	block->gone = true;
}

void cache_drop(struct file *file, uint32_t from)
{
	uint32_t i, kept = 0;

	for (i = 0; i < file->nr_dirty; i++) {
		if (file->dirty[i]->index < from)
			file->dirty[kept++] = file->dirty[i];
		else
			file->dirty[i]->dirty = false;
	}
	file->nr_dirty = kept;
	for (i = from; i < file->map_end; i++)
		if (file->map[i])
			leave(file, i);
	if (from < file->map_end)
		file->map_end = from;
	if (!from)
		file->next_read = 0;
}

void cache_forget(struct file *file)
{
	uint32_t i;

	for (i = 0; i < file->map_end; i++)
		if (file->map[i] && !file->map[i]->dirty)
			leave(file, i);
}

struct block *cache_at(const char *memory)
{
	struct slab *slab;

	for (slab = vfs.slabs; slab; slab = slab->next) {
		size_t at = (size_t)(memory - slab->block[0].memory);

		if (at < SLAB * VFS_BLOCK)
			return &slab->block[at / VFS_BLOCK];
	}
	return NULL;
}

/* Frames side by side, for pages that are more than a block ------------------------------------------- */

static bool may_go(struct block *first, uint32_t count, bool flush)
{
	struct block *block;
	bool used = false, dirty = false;

	for (block = first; block < first + count; block++) {
		if (block->pins)
			return false;
		used |= block->used;
		dirty |= block->dirty;
		block->used = false;
	}
	if (!dirty || used || !flush)
		return !dirty && !used;
	for (block = first; block < first + count; block++)
		if (block->dirty && flush_file(block->file, FLUSH_EVICT))
			return false;
	/* That may have had need of blocks itself. */
	for (block = first; block < first + count; block++)
		if (block->dirty || block->pins)
			return false;
	return true;
}

/* As sweep(). */
static struct block *sweep_group(uint32_t count)
{
	uint32_t left = 2 * vfs.frames / count;
	struct block *first;

	for (; left; left--) {
		vfs.hand = (vfs.hand + count - 1) / count * count;
		if (vfs.hand >= SLAB) {
			vfs.hand = 0;
			vfs.hand_slab = vfs.hand_slab->next ? vfs.hand_slab->next : vfs.slabs;
		}
		first = &vfs.hand_slab->block[vfs.hand];
		vfs.hand += count;
		if (may_go(first, count, left < vfs.frames / count))
			return first;
	}
	return NULL;
}

static struct block *free_group(struct slab *slab, uint32_t count)
{
	uint32_t i, n = 0;

	for (i = 0; i < SLAB; i++) {
		n = slab->block[i].file || slab->block[i].pins ? 0 : n + 1;
		if ((i + 1) % count)
			continue;
		if (n >= count)
			return &slab->block[i + 1 - count];
		n = 0;
	}
	return NULL;
}

struct block *cache_group(uint32_t count)
{
	struct block *first = free_group(vfs.hand_slab, count), *block;

	if (!first && vfs.nr_free < vfs.frames / 2 && may_grow()) {
		if (slab_new())
			vfs.scarce = true;
		else
			first = vfs.slabs->block;
	}
	if (!first)
		first = sweep_group(count);
	for (block = first; first && block < first + count; block++) {
		if (block->file)
			put(block);
		free_take(block);
		block->pins = 1;
	}
	return first;
}

int cache_place(struct file *file, uint32_t index, struct block *first, uint32_t count)
{
	uint32_t i;

	if (map_grow(file, index + count - 1))
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		if (file->map[index + i])
			put(file->map[index + i]);
		place(first + i, file, index + i);
	}
	return 0;
}

void cache_unpin(struct block *first, uint32_t count)
{
	struct block *block;

	for (block = first; block < first + count; block++)
		if (block->pins && !--block->pins && (block->gone || !block->file))
			put(block);
}
