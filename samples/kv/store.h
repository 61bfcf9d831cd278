/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of the store: what its files share. */
#ifndef EXO_SAMPLES_KV_STORE_H
#define EXO_SAMPLES_KV_STORE_H

#include <errno.h>
#include <string.h>

#include "format.h"
#include "kv.h"

#define KV_BATCH 32U	/* pages that are written together */
#define KV_HOT 3U	/* rounds of the clock that a page survives at most */
#define KV_INLINE (KV_PART / 3 - 2)	/* most bytes of a cell: any two pages hold three */
#define KV_LEVELS 12U

#define CHECK(call) \
	do { \
		int check_ret = (call); \
		if (check_ret < 0) \
			return check_ret; \
	} while (0)

/**
 * struct kv_frame - what a frame holds
 * @page: its number, 0: nothing
 * @heat: rounds that it has left
 * @dirty: it isn't like its slot
 * @pins: it stays
 */
struct kv_frame {
	uint32_t page;
	uint8_t heat;
	uint8_t dirty;
	uint16_t pins;
};

/* Slots from first on are blocks of a binding. */
struct kv_extent_now {
	uint32_t first;
	uint32_t count;
	uint32_t binding;
};

/**
 * struct kv - an open store
 * @xn: the disk
 * @root: number of the root
 * @unit: its unit
 * @lock: entry of the unit, with the lock that keeps others out; 0: none
 * @change: to change that
 * @super: as it was at the last checkpoint, but for extents: they may be more
 * @error: it failed: nothing is done any more
 * @grouping: between kv_begin() and kv_commit()
 * @seq: of the next group
 * @tree, @height, @records: now
 * @stats: counters
 *
 * Memory
 * @frames: numbers; the first @super.group_blocks are the log's buffer
 * @nframes: how many
 * @window: shows them, in this order
 * @base: where
 * @frame: what they hold
 * @free: indices of frames that hold nothing; a stack
 * @nfree: how many
 * @hand: of the clock
 *
 * The map
 * @frame_of: by page: index of its frame; 0: it isn't in memory
 * @slot_of: by page; KV_NO_SLOT: it has none
 * @pages: numbers are below this
 * @room: of these arrays
 * @unused: numbers that are no page's; a stack
 * @nunused: how many
 * @map_slot: by map block
 * @map_dirty: the map block changed since the last checkpoint
 *
 * Slots
 * @extent: by slot
 * @slots: of all extents
 * @now: bit a slot: the map, as it is now, has it
 * @kept: bit a slot: the last checkpoint has it
 * @taken: bits in either
 * @cursor: where the last one was found
 *
 * The log
 * @log: binding
 * @log_at: next block
 * @fill: bytes of the group that is made, in the buffer
 * @count: records in it
 */
struct kv {
	struct exo_xn *xn;
	uint32_t root;
	uint64_t unit;
	uint32_t lock;
	struct exo_xn_change *change;
	struct kv_super super;
	int error;
	bool grouping;
	uint64_t seq;
	uint32_t tree;
	uint32_t height;
	uint64_t records;
	struct kv_stats stats;

	uint32_t *frames;
	uint32_t nframes;
	struct exo_window *window;
	uint8_t *base;
	struct kv_frame *frame;
	uint32_t *free;
	uint32_t nfree;
	uint32_t hand;

	uint32_t *frame_of;
	uint32_t *slot_of;
	uint32_t pages;
	uint32_t room;
	uint32_t *unused;
	uint32_t nunused;
	uint32_t *map_slot;
	uint8_t *map_dirty;

	struct kv_extent_now extent[KV_EXTENTS];
	uint32_t slots;
	uint64_t *now;
	uint64_t *kept;
	uint32_t taken;
	uint32_t cursor;

	uint32_t log;
	uint32_t log_at;
	uint32_t fill;
	uint32_t count;
};

/* crc.c */
uint32_t kv_crc(const void *bytes, size_t length);

/* space.c: extents and slots */
int kv_extent_add(struct kv *kv, uint32_t count);
int kv_extents_bind(struct kv *kv);
/* Up to want slots in a row: how many, at least one. They are the caller's. */
int kv_slots_take(struct kv *kv, uint32_t want, uint32_t *out_first);
/* The map doesn't have it any more; it is free when no checkpoint has it. */
void kv_slot_release(struct kv *kv, uint32_t slot);
int kv_slot_mark(struct kv *kv, uint32_t slot);
/* What the map has now is what the checkpoint has. */
void kv_slots_keep(struct kv *kv);
int kv_slot_read(struct kv *kv, uint32_t slot, uint32_t index);
/* Frames, by index, to slots in a row. */
int kv_slots_write(struct kv *kv, uint32_t first, const uint32_t *index, uint32_t count);

/* pool.c: pages in frames */
int kv_pool_open(struct kv *kv, uint32_t frames);
void kv_pool_close(struct kv *kv);
int kv_page_load(struct kv *kv, uint32_t number, struct kv_page **out);
/* A new page, pinned and dirty. */
int kv_page_new(struct kv *kv, uint32_t level, struct kv_page **out);
void kv_page_free(struct kv *kv, uint32_t number);
int kv_pool_clean(struct kv *kv);
int kv_pages_grow(struct kv *kv, uint32_t pages);

static inline void *kv_frame_at(const struct kv *kv, uint32_t index)
{
	return kv->base + (size_t)index * KV_BLOCK;
}

/* It may be gone when another page was loaded, unless it is pinned. */
static inline int kv_page_get(struct kv *kv, uint32_t number, struct kv_page **out)
{
	uint32_t index;

	if (__builtin_expect(number >= kv->pages, 0))
		return -EBADMSG;
	index = kv->frame_of[number];
	if (__builtin_expect(!index, 0))
		return kv_page_load(kv, number, out);
	kv->stats.hits++;
	if (kv->frame[index].heat < KV_HOT)
		kv->frame[index].heat++;
	*out = kv_frame_at(kv, index);
	return 0;
}

static inline struct kv_frame *kv_frame_of(struct kv *kv, const struct kv_page *page)
{
	return &kv->frame[((const uint8_t *)page - kv->base) / KV_BLOCK];
}

static inline void kv_page_pin(struct kv *kv, const struct kv_page *page)
{
	kv_frame_of(kv, page)->pins++;
}

static inline void kv_page_unpin(struct kv *kv, const struct kv_page *page)
{
	kv_frame_of(kv, page)->pins--;
}

static inline void kv_page_dirty(struct kv *kv, const struct kv_page *page)
{
	kv_frame_of(kv, page)->dirty = 1;
}

/* page.c: cells in a page */
int kv_key_compare(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len);

static inline struct kv_cell *kv_cell(struct kv_page *page, uint32_t i)
{
	return (struct kv_cell *)((uint8_t *)page + page->cell[i]);
}

static inline uint8_t *kv_cell_key(struct kv_cell *cell)
{
	return (uint8_t *)(cell + 1);
}

static inline uint8_t *kv_cell_value(struct kv_cell *cell)
{
	return (uint8_t *)(cell + 1) + cell->key;
}

/* Bytes of the value in the cell. */
static inline uint32_t kv_cell_inline(const struct kv_cell *cell)
{
	return cell->value == KV_LONG ? sizeof(struct kv_long) : cell->value;
}

static inline uint32_t kv_cell_bytes(const struct kv_cell *cell)
{
	return sizeof(*cell) + cell->key + kv_cell_inline(cell);
}

/* A cell that is to be: value_len as in struct kv_cell. */
struct kv_new {
	const uint8_t *key;
	const void *value;
	uint32_t key_len;
	uint32_t value_len;
};

static inline uint32_t kv_new_bytes(const struct kv_new *cell)
{
	return sizeof(struct kv_cell) + cell->key_len +
	       (cell->value_len == KV_LONG ? sizeof(struct kv_long) : cell->value_len);
}

/* What its crc is on the disk. */
uint32_t kv_page_crc(const struct kv_page *page);
void kv_page_init(struct kv_page *page, uint32_t number, uint32_t level);
/* The first cell whose key is not below this one. */
uint32_t kv_page_find(struct kv_page *page, const uint8_t *key, uint32_t key_len, bool *out_equal);
/* Bytes for cells and where they are, without those that are dead. */
uint32_t kv_page_used(const struct kv_page *page);
/* False: there is no room. */
bool kv_page_insert(struct kv_page *page, uint32_t at, const struct kv_new *cell);
void kv_page_remove(struct kv_page *page, uint32_t at);
/* The first key becomes empty. */
void kv_page_blank(struct kv_page *page);
/* The cells of page and a new one, in page and right, which is empty; last: nothing will follow. */
void kv_page_split(struct kv_page *page, struct kv_page *right, uint32_t at,
		   const struct kv_new *cell, bool last);
/* The cells of right behind those of page: there is room. */
void kv_page_merge(struct kv_page *page, struct kv_page *right);
bool kv_page_is_sound(struct kv_page *page);

/* tree.c: without the log */
int kv_tree_create(struct kv *kv);
int kv_tree_put(struct kv *kv, const uint8_t *key, uint32_t key_len, const void *value,
		uint32_t length);
int kv_tree_delete(struct kv *kv, const uint8_t *key, uint32_t key_len);
/* Where the leaf after this one begins, if there is one; room for a key is the caller's. */
struct kv_bound {
	uint8_t *key;
	uint32_t key_len;
	bool there;
};

/* The leaf where the key belongs, and where in it. */
int kv_tree_leaf(struct kv *kv, const uint8_t *key, uint32_t key_len, struct kv_page **out,
		 uint32_t *out_at, bool *out_equal);
int kv_tree_leaf_bound(struct kv *kv, const uint8_t *key, uint32_t key_len,
		       struct kv_bound *bound, struct kv_page **out, uint32_t *out_at,
		       bool *out_equal);
/* Of a long value, from its first page. */
int kv_long_read(struct kv *kv, const struct kv_long *value, uint8_t *to, uint32_t room);

/* log.c */
int kv_log_room(struct kv *kv, uint32_t key_len, uint32_t length);
void kv_log_add(struct kv *kv, uint32_t what, const void *key, uint32_t key_len,
		const void *value, uint32_t length);
void kv_log_reset(struct kv *kv);
int kv_log_write(struct kv *kv);
int kv_log_replay(struct kv *kv);
/* The blocks are written once, so that they can be written durably later on. */
int kv_log_prepare(struct kv *kv);

/* map.c */
int kv_map_load(struct kv *kv);
int kv_map_write(struct kv *kv, uint32_t dir[KV_DIRS]);

#endif
