// SPDX-License-Identifier: GPL-2.0
/* Extents of the disk, and which slot in them is whose. */
#include <stdlib.h>

#include "store.h"

#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define SEARCH 4096U	/* slots that are looked at for a long run */
#define RUN 8U		/* that is long enough */
#define TRIES 8

static bool bit(const uint64_t *bits, uint32_t slot)
{
	return bits[slot / 64] >> slot % 64 & 1;
}

static void set(uint64_t *bits, uint32_t slot)
{
	bits[slot / 64] |= 1ULL << slot % 64;
}

static void clear(uint64_t *bits, uint32_t slot)
{
	bits[slot / 64] &= ~(1ULL << slot % 64);
}

/* ---- extents ---- */

static int bits_grow(uint64_t **bits, uint32_t from, uint32_t to)
{
	size_t old = (from + 63) / 64, words = (to + 63) / 64;
	uint64_t *more = realloc(*bits, words * sizeof(*more));

	if (!more)
		return -ENOMEM;
	memset(more + old, 0, (words - old) * sizeof(*more));
	*bits = more;
	return 0;
}

static int bind_extent(struct kv *kv, uint32_t i)
{
	const struct kv_extent *extent = &kv->super.extent[i];
	struct kv_extent_now *now = &kv->extent[i];

	CHECK(exo_xn_bind(kv->xn, kv->root, kv->unit, extent->block, extent->count, RW,
			  &now->binding));
	now->count = extent->count;
	if (!i) {
		kv->log = now->binding;
		return 0;
	}
	CHECK(bits_grow(&kv->now, kv->slots, kv->slots + extent->count));
	CHECK(bits_grow(&kv->kept, kv->slots, kv->slots + extent->count));
	now->first = kv->slots;
	kv->slots += extent->count;
	if (!now->first) {
		set(kv->now, KV_NO_SLOT);
		set(kv->kept, KV_NO_SLOT);
		kv->taken = 1;
	}
	return 0;
}

int kv_extents_bind(struct kv *kv)
{
	uint32_t i;

	for (i = 0; i < kv->super.extents; i++)
		CHECK(bind_extent(kv, i));
	return 0;
}

/* A run of free blocks, the half of it if there is none so long, ... */
static int find_run(struct kv *kv, uint32_t *count, uint64_t *out_block)
{
	const struct kv_extent *last = kv->super.extent + kv->super.extents - !!kv->super.extents;
	uint64_t near = kv->super.extents ? last->block + last->count : kv->unit;
	int ret;

	for (;;) {
		ret = exo_xn_find_free(kv->xn, near, *count, out_block);
		if (ret != -ENOSPC || *count <= KV_BATCH)
			return ret;
		*count /= 2;
	}
}

/*
 * It counts from here on, and is durable with the next checkpoint: before that nothing that a recovery looks
 * at is in it (rule 6).
 */
int kv_extent_add(struct kv *kv, uint32_t count)
{
	struct kv_extent *extent = &kv->super.extent[kv->super.extents];
	int ret = -ENOSPC, tries;
	uint64_t block;

	if (kv->super.extents == KV_EXTENTS)
		return -ENOSPC;
	/* Somebody else may be faster. */
	for (tries = 0; tries < TRIES; tries++) {
		CHECK(find_run(kv, &count, &block));
		*extent = (struct kv_extent){ .block = block, .count = count };
		kv->super.extents++;
		exo_xn_change_clear(kv->change);
		exo_xn_change_alloc(kv->change, kv->unit, block, count, EXO_XN_DATA);
		exo_xn_change_write(kv->change, kv->unit, 0, &kv->super, sizeof(kv->super));
		ret = exo_xn_change_apply(kv->change, 0, NULL);
		if (!ret)
			break;
		*extent = (struct kv_extent){ 0 };
		kv->super.extents--;
		if (ret != -EBUSY)
			break;
	}
	if (ret)
		return ret;
	kv->stats.extents++;
	return bind_extent(kv, kv->super.extents - 1);
}

/* ---- slots ---- */

static bool is_free(const struct kv *kv, uint32_t slot)
{
	return !((kv->now[slot / 64] | kv->kept[slot / 64]) >> slot % 64 & 1);
}

static uint32_t extent_of(const struct kv *kv, uint32_t slot)
{
	uint32_t i = kv->super.extents - 1;

	while (slot < kv->extent[i].first)
		i--;
	return i;
}

/* The first free slot from here on; @end if there is none. */
static uint32_t next_free(const struct kv *kv, uint32_t slot, uint32_t end)
{
	uint64_t word;

	while (slot < end) {
		word = ~(kv->now[slot / 64] | kv->kept[slot / 64]) >> slot % 64;
		if (word) {
			slot += (uint32_t)__builtin_ctzll(word);
			return slot < end ? slot : end;
		}
		slot = (slot | 63) + 1;
	}
	return end;
}

static uint32_t run_at(const struct kv *kv, uint32_t first, uint32_t want)
{
	const struct kv_extent_now *extent = &kv->extent[extent_of(kv, first)];
	uint32_t end = extent->first + extent->count, slot = first;

	while (slot < end && slot - first < want && is_free(kv, slot))
		slot++;
	return slot - first;
}

/* The next run that is long enough; else the longest of those that are near. */
static uint32_t search(const struct kv *kv, uint32_t want, uint32_t *out_first)
{
	uint32_t slot = kv->cursor, looked = 0, best = 0, n;
	uint32_t enough = want < RUN ? want : RUN;

	while (looked < kv->slots && (looked < SEARCH || !best)) {
		uint32_t from = slot;

		slot = next_free(kv, slot, kv->slots);
		looked += slot - from;
		if (slot == kv->slots) {
			slot = 0;
			continue;
		}
		n = run_at(kv, slot, want);
		if (n > best) {
			best = n;
			*out_first = slot;
		}
		if (n >= enough)
			break;
		slot += n;
		looked += n;
	}
	return best;
}

/* An eighth stays free, so that runs are long. */
static int make_space(struct kv *kv, uint32_t want)
{
	uint32_t count = kv->slots / 4;
	int ret;

	if (kv->slots - kv->taken >= want + kv->slots / 8)
		return 0;
	ret = kv_extent_add(kv, count > 4 * KV_BATCH ? count : 4 * KV_BATCH);
	return ret && kv->slots - kv->taken < want ? ret : 0;
}

int kv_slots_take(struct kv *kv, uint32_t want, uint32_t *out_first)
{
	uint32_t n, i;

	CHECK(make_space(kv, want));
	n = search(kv, want, out_first);
	if (!n)
		return -ENOSPC;
	for (i = 0; i < n; i++)
		set(kv->now, *out_first + i);
	kv->taken += n;
	kv->cursor = *out_first + n < kv->slots ? *out_first + n : 0;
	return (int)n;
}

void kv_slot_release(struct kv *kv, uint32_t slot)
{
	clear(kv->now, slot);
	if (!bit(kv->kept, slot))
		kv->taken--;
}

int kv_slot_mark(struct kv *kv, uint32_t slot)
{
	if (slot >= kv->slots || bit(kv->now, slot))
		return -EBADMSG;
	set(kv->now, slot);
	kv->taken++;
	return 0;
}

void kv_slots_keep(struct kv *kv)
{
	size_t words = (kv->slots + 63) / 64, i;

	kv->taken = 0;
	for (i = 0; i < words; i++) {
		kv->kept[i] = kv->now[i];
		kv->taken += (uint32_t)__builtin_popcountll(kv->now[i]);
	}
}

/* ---- what is in them ---- */

int kv_slot_read(struct kv *kv, uint32_t slot, uint32_t index)
{
	const struct kv_extent_now *extent;

	if (slot == KV_NO_SLOT || slot >= kv->slots)
		return -EBADMSG;
	extent = &kv->extent[extent_of(kv, slot)];
	kv->stats.requests++;
	return exo_xn_io_read(kv->xn, extent->binding, slot - extent->first, &kv->frames[index], 1);
}

int kv_slots_write(struct kv *kv, uint32_t first, const uint32_t *index, uint32_t count)
{
	const struct kv_extent_now *extent = &kv->extent[extent_of(kv, first)];
	uint32_t frames[KV_BATCH], i;

	for (i = 0; i < count; i++)
		frames[i] = kv->frames[index[i]];
	kv->stats.requests++;
	kv->stats.writes += count;
	return exo_xn_io_write(kv->xn, extent->binding, first - extent->first, frames, count, 0);
}
