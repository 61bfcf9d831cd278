// SPDX-License-Identifier: GPL-2.0
/* Where pages are, at a checkpoint: map blocks, their directory. Written anew where it changed. */
#include "store.h"

static uint32_t crc_of(const struct kv_map_block *block)
{
	return kv_crc(&block->number, sizeof(*block) - sizeof(block->crc));
}

/* Into frame 0 of the log's buffer, which is empty at a checkpoint and when the store is opened. */
static int read_block(struct kv *kv, uint32_t slot, uint32_t number, const struct kv_map_block **out)
{
	const struct kv_map_block *block = kv_frame_at(kv, 0);

	CHECK(kv_slot_read(kv, slot, 0));
	if (block->crc != crc_of(block) || block->number != number)
		return -EBADMSG;
	*out = block;
	return kv_slot_mark(kv, slot);
}

static int load_dir(struct kv *kv, uint32_t dir)
{
	const struct kv_map_block *block;

	if (kv->super.dir[dir] == KV_NO_SLOT)
		return -EBADMSG;
	CHECK(read_block(kv, kv->super.dir[dir], ~dir, &block));
	memcpy(kv->map_slot + dir * KV_MAPPED, block->slot,
	       sizeof(uint32_t) * (kv->room / KV_MAPPED - dir * KV_MAPPED < KV_MAPPED ?
				   kv->room / KV_MAPPED - dir * KV_MAPPED : KV_MAPPED));
	return 0;
}

/* A map block that was never needed has no slot. */
static int load_part(struct kv *kv, uint32_t part)
{
	const struct kv_map_block *block;
	uint32_t i, page;

	if (kv->map_slot[part] == KV_NO_SLOT)
		return 0;
	CHECK(read_block(kv, kv->map_slot[part], part, &block));
	for (i = 0; i < KV_MAPPED; i++) {
		page = part * KV_MAPPED + i;
		if (block->slot[i] == KV_NO_SLOT)
			continue;
		if (page >= kv->pages)
			return -EBADMSG;
		kv->slot_of[page] = block->slot[i];
		CHECK(kv_slot_mark(kv, block->slot[i]));
	}
	return 0;
}

int kv_map_load(struct kv *kv)
{
	uint32_t parts, i;

	kv->pages = kv->super.pages;
	if (!kv->pages || kv->pages > KV_DIRS * KV_MAPPED * KV_MAPPED)
		return -EBADMSG;
	CHECK(kv_pages_grow(kv, kv->pages));
	parts = (kv->pages + KV_MAPPED - 1) / KV_MAPPED;
	for (i = 0; i * KV_MAPPED < parts; i++)
		CHECK(load_dir(kv, i));
	for (i = 0; i < parts; i++)
		CHECK(load_part(kv, i));
	for (i = kv->pages; --i;)
		if (kv->slot_of[i] == KV_NO_SLOT)
			kv->unused[kv->nunused++] = i;
	kv_slots_keep(kv);
	return 0;
}

/* The slots of a block, in a slot of its own; the old one isn't the map's any more. */
static int write_block(struct kv *kv, const uint32_t *slots, uint32_t number, uint32_t *slot)
{
	struct kv_map_block *block = kv_frame_at(kv, 0);
	uint32_t index = 0, first;

	block->number = number;
	block->epoch = kv->super.epoch + 1;
	memcpy(block->slot, slots, sizeof(block->slot));
	block->crc = crc_of(block);
	CHECK(kv_slots_take(kv, 1, &first));
	CHECK(kv_slots_write(kv, first, &index, 1));
	if (*slot != KV_NO_SLOT)
		kv_slot_release(kv, *slot);
	*slot = first;
	return 0;
}

static int write_dir(struct kv *kv, uint32_t dir, uint32_t parts, uint32_t *slot)
{
	uint32_t slots[KV_MAPPED] = { 0 }, left = parts - dir * KV_MAPPED;

	memcpy(slots, kv->map_slot + dir * KV_MAPPED,
	       sizeof(uint32_t) * (left < KV_MAPPED ? left : KV_MAPPED));
	return write_block(kv, slots, ~dir, slot);
}

/* @dir is as the last checkpoint has it, and then as this one does. */
int kv_map_write(struct kv *kv, uint32_t dir[KV_DIRS])
{
	uint32_t parts = (kv->pages + KV_MAPPED - 1) / KV_MAPPED, i;
	uint8_t dirty[KV_DIRS] = { 0 };

	for (i = 0; i < parts; i++) {
		if (!kv->map_dirty[i])
			continue;
		CHECK(write_block(kv, kv->slot_of + (size_t)i * KV_MAPPED, i, &kv->map_slot[i]));
		kv->map_dirty[i] = 0;
		dirty[i / KV_MAPPED] = 1;
	}
	for (i = 0; i * KV_MAPPED < parts; i++)
		if (dirty[i] || dir[i] == KV_NO_SLOT)
			CHECK(write_dir(kv, i, parts, &dir[i]));
	return 0;
}
