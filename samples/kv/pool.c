// SPDX-License-Identifier: GPL-2.0
/*
 * Pages in frames. A clock decides who leaves: each use gives a page one more round, three at most, so what is
 * wanted often outlives what was wanted once. Dirty pages are written together, into slots in a row.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "store.h"

/* ---- writing ---- */

static void seal(struct kv *kv, uint32_t index)
{
	struct kv_page *page = kv_frame_at(kv, index);

	page->crc = kv_page_crc(page);
}

/* Into other slots than they had: what a checkpoint has is never written over (rule 1). */
static int write_run(struct kv *kv, const uint32_t *index, uint32_t count)
{
	uint32_t first, i, page;
	int n = kv_slots_take(kv, count, &first), ret;

	if (n < 0)
		return n;
	for (i = 0; i < (uint32_t)n; i++)
		seal(kv, index[i]);
	ret = kv_slots_write(kv, first, index, (uint32_t)n);
	if (ret)
		return ret;
	for (i = 0; i < (uint32_t)n; i++) {
		page = kv->frame[index[i]].page;
		if (kv->slot_of[page] != KV_NO_SLOT)
			kv_slot_release(kv, kv->slot_of[page]);
		kv->slot_of[page] = first + i;
		kv->map_dirty[page / KV_MAPPED] = 1;
		kv->frame[index[i]].dirty = 0;
	}
	return n;
}

static int write_all(struct kv *kv, const uint32_t *index, uint32_t count)
{
	int n;

	for (; count; count -= (uint32_t)n, index += n) {
		n = write_run(kv, index, count);
		if (n < 0) {
			kv->error = n;
			return n;
		}
	}
	return 0;
}

int kv_pool_clean(struct kv *kv)
{
	uint32_t index[KV_BATCH], n = 0, i;

	for (i = kv->super.group_blocks; i < kv->nframes; i++) {
		if (kv->frame[i].dirty)
			index[n++] = i;
		if (n == KV_BATCH) {
			CHECK(write_all(kv, index, n));
			n = 0;
		}
	}
	return write_all(kv, index, n);
}

/* ---- the clock ---- */

static void let_go(struct kv *kv, uint32_t index)
{
	kv->frame_of[kv->frame[index].page] = 0;
	kv->frame[index] = (struct kv_frame){ 0 };
	kv->free[kv->nfree++] = index;
}

/* A page that isn't used now, nor was lately; 0: all are pinned. */
static uint32_t next_victim(struct kv *kv)
{
	uint32_t left = (KV_HOT + 1) * kv->nframes, index;
	struct kv_frame *frame;

	while (left--) {
		index = kv->hand++;
		if (kv->hand == kv->nframes)
			kv->hand = kv->super.group_blocks;
		frame = &kv->frame[index];
		if (!frame->page || frame->pins)
			continue;
		if (!frame->heat)
			return index;
		frame->heat--;
	}
	return 0;
}

/* Victims are pinned so that none is found twice. */
static int make_room(struct kv *kv, uint32_t want)
{
	uint32_t victim[KV_BATCH], dirty[KV_BATCH], n, nr_dirty = 0, index, i;
	int ret;

	for (n = 0; n < want; n++) {
		index = next_victim(kv);
		if (!index)
			break;
		kv->frame[index].pins++;
		victim[n] = index;
		if (kv->frame[index].dirty)
			dirty[nr_dirty++] = index;
	}
	ret = write_all(kv, dirty, nr_dirty);
	for (i = 0; i < n; i++) {
		kv->frame[victim[i]].pins--;
		if (!ret)
			let_go(kv, victim[i]);
	}
	kv->stats.evictions += ret ? 0 : n;
	return ret ? ret : n ? 0 : -ENOMEM;
}

static int take_frame(struct kv *kv, uint32_t *out_index)
{
	if (!kv->nfree)
		CHECK(make_room(kv, KV_BATCH));
	*out_index = kv->free[--kv->nfree];
	return 0;
}

/* ---- pages ---- */

int kv_page_load(struct kv *kv, uint32_t number, struct kv_page **out)
{
	struct kv_page *page;
	uint32_t index;
	int ret;

	CHECK(take_frame(kv, &index));
	page = kv_frame_at(kv, index);
	ret = kv_slot_read(kv, kv->slot_of[number], index);
	/* Other bytes than were written, another page, or zeros: the device lost a write. */
	if (!ret && (page->crc != kv_page_crc(page) || page->number != number))
		ret = -EBADMSG;
	if (ret) {
		kv->free[kv->nfree++] = index;
		return ret;
	}
	kv->stats.misses++;
	kv->frame[index].page = number;
	kv->frame_of[number] = index;
	*out = page;
	return 0;
}

int kv_pages_grow(struct kv *kv, uint32_t pages)
{
	uint32_t room = kv->room ? kv->room : KV_MAPPED;
	void *frame_of, *slot_of, *unused, *map_slot, *map_dirty;

	while (room < pages)
		room *= 2;
	if (room == kv->room)
		return 0;
	frame_of = realloc(kv->frame_of, room * sizeof(*kv->frame_of));
	kv->frame_of = frame_of ? frame_of : kv->frame_of;
	slot_of = realloc(kv->slot_of, room * sizeof(*kv->slot_of));
	kv->slot_of = slot_of ? slot_of : kv->slot_of;
	unused = realloc(kv->unused, room * sizeof(*kv->unused));
	kv->unused = unused ? unused : kv->unused;
	map_slot = realloc(kv->map_slot, room / KV_MAPPED * sizeof(*kv->map_slot));
	kv->map_slot = map_slot ? map_slot : kv->map_slot;
	map_dirty = realloc(kv->map_dirty, room / KV_MAPPED);
	kv->map_dirty = map_dirty ? map_dirty : kv->map_dirty;
	if (!frame_of || !slot_of || !unused || !map_slot || !map_dirty)
		return -ENOMEM;
	memset(kv->frame_of + kv->room, 0, (room - kv->room) * sizeof(*kv->frame_of));
	memset(kv->slot_of + kv->room, 0, (room - kv->room) * sizeof(*kv->slot_of));
	memset(kv->map_slot + kv->room / KV_MAPPED, 0,
	       (room - kv->room) / KV_MAPPED * sizeof(*kv->map_slot));
	memset(kv->map_dirty + kv->room / KV_MAPPED, 0, (room - kv->room) / KV_MAPPED);
	kv->room = room;
	return 0;
}

static int new_number(struct kv *kv, uint32_t *out)
{
	if (kv->nunused) {
		*out = kv->unused[--kv->nunused];
		return 0;
	}
	if (kv->pages == KV_DIRS * KV_MAPPED * KV_MAPPED)
		return -ENOSPC;
	CHECK(kv_pages_grow(kv, kv->pages + 1));
	*out = kv->pages++;
	return 0;
}

int kv_page_new(struct kv *kv, uint32_t level, struct kv_page **out)
{
	uint32_t index, number;

	CHECK(take_frame(kv, &index));
	if (new_number(kv, &number)) {
		kv->free[kv->nfree++] = index;
		return -ENOMEM;
	}
	kv->frame[index] = (struct kv_frame){ .page = number, .heat = 1, .dirty = 1, .pins = 1 };
	kv->frame_of[number] = index;
	*out = kv_frame_at(kv, index);
	kv_page_init(*out, number, level);
	return 0;
}

/* It isn't pinned. */
void kv_page_free(struct kv *kv, uint32_t number)
{
	if (kv->frame_of[number])
		let_go(kv, kv->frame_of[number]);
	if (kv->slot_of[number] != KV_NO_SLOT) {
		kv_slot_release(kv, kv->slot_of[number]);
		kv->slot_of[number] = KV_NO_SLOT;
		kv->map_dirty[number / KV_MAPPED] = 1;
	}
	kv->unused[kv->nunused++] = number;
}

/* ---- memory ---- */

int kv_shrink(struct kv *kv, uint32_t frames)
{
	uint32_t done = 0, index;

	while (done < frames) {
		if (kv->nframes - kv->super.group_blocks - done <= 2 * KV_BATCH)
			break;
		CHECK(take_frame(kv, &index));
		CHECK(exo_mem_free(exo_xn_env(kv->xn), &kv->frames[index], 1, NULL));
		kv->frames[index] = 0;
		done++;
	}
	return (int)done;
}

int kv_pool_open(struct kv *kv, uint32_t frames)
{
	uint32_t i;

	kv->frames = calloc(frames, sizeof(*kv->frames));
	kv->frame = calloc(frames, sizeof(*kv->frame));
	kv->free = calloc(frames, sizeof(*kv->free));
	if (!kv->frames || !kv->frame || !kv->free)
		return -ENOMEM;
	CHECK(exo_mem_alloc_any(exo_xn_env(kv->xn), kv->frames, frames));
	kv->nframes = frames;
	CHECK(exo_window_map_frames(exo_xn_env(kv->xn), kv->frames, frames,
				    PROT_READ | PROT_WRITE, &kv->window));
	kv->base = exo_window_base(kv->window);
	for (i = frames; i-- > kv->super.group_blocks;)
		kv->free[kv->nfree++] = i;
	kv->hand = kv->super.group_blocks;
	return kv_pages_grow(kv, 1);
}

void kv_pool_close(struct kv *kv)
{
	uint32_t i;

	if (kv->window)
		exo_window_unmap(kv->window);
	for (i = 0; i < kv->nframes; i++)
		if (kv->frames[i])
			exo_mem_free(exo_xn_env(kv->xn), &kv->frames[i], 1, NULL);
	free(kv->frames);
	free(kv->frame);
	free(kv->free);
	free(kv->frame_of);
	free(kv->slot_of);
	free(kv->unused);
	free(kv->map_slot);
	free(kv->map_dirty);
	free(kv->now);
	free(kv->kept);
}
