// SPDX-License-Identifier: GPL-2.0
/* The store: open and close, groups, checkpoints. */
#include <stdlib.h>

#include "../graft/embed.h"
#include "store.h"

#ifndef KV_OBJECT
#define KV_OBJECT "kv/kv.bpf.o"
#endif

EMBED(kv_template, KV_OBJECT);

#define FRAMES 1024U
#define GROUP_BLOCKS 64U
#define LOG_BLOCKS 1024U
#define BLOCKS 1024U

/* ---- checkpoints ---- */

/*
 * All that the last one had is still where it was (rule 1), until exo has made the new super durable, and with it
 * all that it points at: one commit (rule 2). Only then are the old slots free (rule 3), and the log empty: its
 * groups have another epoch (rule 4).
 */
static int checkpoint(struct kv *kv)
{
	struct kv_super next;
	uint32_t dir[KV_DIRS];

	CHECK(kv_pool_clean(kv));
	memcpy(dir, kv->super.dir, sizeof(dir));
	CHECK(kv_map_write(kv, dir));
	next = kv->super;
	memcpy(next.dir, dir, sizeof(dir));
	next.root = kv->tree;
	next.height = kv->height;
	next.pages = kv->pages;
	next.records = kv->records;
	next.seq = kv->seq;
	next.epoch++;
	exo_xn_change_clear(kv->change);
	exo_xn_change_write(kv->change, kv->unit, 0, &next, sizeof(next));
	CHECK(exo_xn_change_apply(kv->change, EXO_XN_APPLY_COMMIT, NULL));
	kv->super = next;
	kv_slots_keep(kv);
	kv->log_at = 0;
	kv->stats.checkpoints++;
	return 0;
}

/* What fails half-way can't be gone on with: what is in memory isn't known to be right. */
static int failed(struct kv *kv, int ret)
{
	if (ret < 0 && !kv->error)
		kv->error = ret;
	return ret;
}

int kv_checkpoint(struct kv *kv)
{
	if (kv->error)
		return kv->error;
	return kv->grouping ? -EBUSY : failed(kv, checkpoint(kv));
}

/* ---- groups ---- */

int kv_begin(struct kv *kv)
{
	if (kv->error)
		return kv->error;
	if (kv->grouping)
		return -EBUSY;
	if (kv->extent[0].count - kv->log_at < kv->super.group_blocks)
		CHECK(failed(kv, checkpoint(kv)));
	kv->grouping = true;
	return 0;
}

int kv_commit(struct kv *kv)
{
	if (kv->error)
		return kv->error;
	if (!kv->grouping)
		return -EINVAL;
	kv->grouping = false;
	return kv->count ? failed(kv, kv_log_write(kv)) : 0;
}

static int put(struct kv *kv, const void *key, uint32_t key_len, const void *value,
	       uint32_t length)
{
	CHECK(kv_log_room(kv, key_len, length));
	CHECK(failed(kv, kv_tree_put(kv, key, key_len, value, length)));
	kv_log_add(kv, KV_RECORD_PUT, key, key_len, value, length);
	return 0;
}

static int delete(struct kv *kv, const void *key, uint32_t key_len)
{
	int ret;

	CHECK(kv_log_room(kv, key_len, 0));
	ret = kv_tree_delete(kv, key, key_len);
	if (ret)
		return ret == -ENOENT ? ret : failed(kv, ret);
	kv_log_add(kv, KV_RECORD_DELETE, key, key_len, NULL, 0);
	return 0;
}

static bool is_key(const struct kv *kv, uint32_t key_len)
{
	return !kv->error && key_len && key_len <= KV_KEY_MAX;
}

int kv_put(struct kv *kv, const void *key, uint32_t key_len, const void *value, uint32_t length)
{
	int ret;

	if (!is_key(kv, key_len) || length > KV_VALUE_MAX)
		return kv->error ? kv->error : -EINVAL;
	if (kv->grouping)
		return put(kv, key, key_len, value, length);
	CHECK(kv_begin(kv));
	ret = put(kv, key, key_len, value, length);
	if (!ret)
		return kv_commit(kv);
	kv->grouping = false;
	return ret;
}

int kv_delete(struct kv *kv, const void *key, uint32_t key_len)
{
	int ret;

	if (!is_key(kv, key_len))
		return kv->error ? kv->error : -EINVAL;
	if (kv->grouping)
		return delete(kv, key, key_len);
	CHECK(kv_begin(kv));
	ret = delete(kv, key, key_len);
	if (!ret)
		return kv_commit(kv);
	kv->grouping = false;
	return ret;
}

/* ---- looking ---- */

/* Its length; as much of it as there is room for is copied. */
static int value_of(struct kv *kv, struct kv_cell *cell, void *value, uint32_t room)
{
	struct kv_long parts;

	if (cell->value != KV_LONG) {
		memcpy(value, kv_cell_value(cell), room < cell->value ? room : cell->value);
		return cell->value;
	}
	memcpy(&parts, kv_cell_value(cell), sizeof(parts));
	CHECK(kv_long_read(kv, &parts, value, room));
	return (int)parts.length;
}

int kv_get(struct kv *kv, const void *key, uint32_t key_len, void *value, uint32_t room)
{
	struct kv_page *page;
	uint32_t at;
	bool equal;

	if (!is_key(kv, key_len))
		return kv->error ? kv->error : -EINVAL;
	CHECK(kv_tree_leaf(kv, key, key_len, &page, &at, &equal));
	return equal ? value_of(kv, kv_cell(page, at), value, room) : -ENOENT;
}

/* The records of a leaf from @at on. */
static int scan_leaf(struct kv *kv, struct kv_page *page, uint32_t at, uint8_t *room,
		     kv_scan_fn fn, void *ctx)
{
	const uint8_t *value;
	struct kv_cell *cell;
	int length, ret;

	for (; at < page->count; at++) {
		cell = kv_cell(page, at);
		value = kv_cell_value(cell);
		length = cell->value;
		if (cell->value == KV_LONG) {
			length = value_of(kv, cell, room, KV_VALUE_MAX);
			if (length < 0)
				return length;
			value = room;
		}
		ret = fn(kv_cell_key(cell), cell->key, value, (uint32_t)length, ctx);
		if (ret)
			return ret;
	}
	return 0;
}

static int scan(struct kv *kv, const uint8_t *key, uint32_t key_len, uint8_t *room, kv_scan_fn fn,
		void *ctx)
{
	uint8_t next[2][KV_KEY_MAX];
	uint32_t turn = 0;
	struct kv_page *page;
	uint32_t at;
	bool equal;
	int ret;

	for (;;) {
		struct kv_bound bound = { .key = next[turn] };

		CHECK(kv_tree_leaf_bound(kv, key, key_len, &bound, &page, &at, &equal));
		kv_page_pin(kv, page);
		ret = scan_leaf(kv, page, at, room, fn, ctx);
		kv_page_unpin(kv, page);
		if (ret || !bound.there)
			return ret;
		key = next[turn];
		turn ^= 1;
		key_len = bound.key_len;
	}
}

int kv_scan(struct kv *kv, const void *key, uint32_t key_len, kv_scan_fn fn, void *ctx)
{
	uint8_t *room;
	int ret;

	if (kv->error || key_len > KV_KEY_MAX)
		return kv->error ? kv->error : -EINVAL;
	room = malloc(KV_VALUE_MAX);
	if (!room)
		return -ENOMEM;
	ret = scan(kv, key, key_len, room, fn, ctx);
	free(room);
	return ret;
}

uint64_t kv_count(const struct kv *kv)
{
	return kv->records;
}

void kv_stats(const struct kv *kv, struct kv_stats *out_stats)
{
	*out_stats = kv->stats;
}

/* ---- open and close ---- */

static uint32_t or(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

/* A root of this name with an empty super; one that somebody began with and did not finish is taken. */
static int root_make(struct exo_xn *xn, const char *name)
{
	static const struct kv_super empty = { .magic = KV_MAGIC, .version = KV_VERSION };
	struct exo_xn_root found;
	struct kv_super super;
	char error[512] = "";
	int ret;

	ret = exo_xn_template_install_memory(xn, kv_template_start,
					     (size_t)(kv_template_end - kv_template_start),
					     &EXO_OPTS(exo_xn_template, .name = "kv",
						       .error = error, .error_size = sizeof(error)));
	if (ret < 0)
		return ret;
	ret = exo_xn_root_create(xn, name, (uint32_t)ret, &empty, sizeof(empty), NULL, NULL);
	if (ret != -EEXIST)
		return ret < 0 ? ret : 0;
	CHECK(exo_xn_root_find(xn, name, &found));
	CHECK(exo_xn_read(xn, found.root, found.out_block, found.out_block, &super,
			  sizeof(super)));
	return super.magic == KV_MAGIC && !super.extents && !super.epoch ? 0 : -EEXIST;
}

/*
 * From here to destroy() the store is ours alone: each opening has an entry of its own, and its lock goes with it,
 * or with the environment.
 */
static int lock(struct kv *kv)
{
	struct exo_xn_entry entry;

	CHECK(exo_xn_entry(kv->xn, kv->root, kv->unit, kv->unit, EXO_RIGHT_READ | EXO_RIGHT_WRITE,
			   EXO_XN_ENTRY_UNIT, &entry));
	kv->lock = entry.out_entry;
	return exo_xn_entry_lock(kv->xn, kv->lock, 1, EXO_XN_EXCLUSIVE, EXO_XN_LOCK_TRY);
}

static int root_open(struct kv *kv, const char *name)
{
	struct exo_xn_root root;
	int ret;

	CHECK(exo_xn_root_find(kv->xn, name, &root));
	kv->root = root.root;
	kv->unit = root.out_block;
	CHECK(lock(kv));
	ret = exo_xn_read(kv->xn, kv->root, kv->unit, kv->unit, &kv->super, sizeof(kv->super));
	if (ret < 0)
		return ret;
	if (ret != sizeof(kv->super) || kv->super.magic != KV_MAGIC ||
	    kv->super.extents > KV_EXTENTS)
		return -EBADMSG;
	if (kv->super.version != KV_VERSION)
		return -EPROTONOSUPPORT;
	return exo_xn_change_begin(kv->xn, kv->root, &kv->change);
}

/* What a checkpoint says must be possible before it is used. */
static int super_check(const struct kv_super *super)
{
	if (super->extents < 2 || !super->epoch)
		return -ENODATA;
	if (!super->group_blocks || super->group_blocks > EXO_XN_IO_BLOCKS ||
	    super->extent[0].count < super->group_blocks || !super->height ||
	    super->height > KV_LEVELS)
		return -EBADMSG;
	return 0;
}

static int recover(struct kv *kv, uint32_t frames)
{
	CHECK(super_check(&kv->super));
	CHECK(kv_extents_bind(kv));
	CHECK(kv_pool_open(kv, frames));
	CHECK(kv_map_load(kv));
	kv->tree = kv->super.root;
	kv->height = kv->super.height;
	kv->records = kv->super.records;
	kv->seq = kv->super.seq;
	CHECK(kv_log_replay(kv));
	return kv->stats.replayed ? checkpoint(kv) : 0;
}

static void destroy(struct kv *kv)
{
	uint32_t i;

	for (i = 0; i < KV_EXTENTS; i++)
		if (kv->extent[i].binding)
			exo_xn_unbind(kv->xn, kv->extent[i].binding);
	if (kv->change)
		exo_xn_change_end(kv->change);
	kv_pool_close(kv);
	if (kv->lock)
		exo_xn_unbind(kv->xn, kv->lock);
	free(kv);
}

/* The smallest pool in which an operation never runs out of frames. */
static uint32_t frames_wanted(const struct kv_opts *opts, uint32_t group_blocks)
{
	uint32_t frames = or(opts->frames, FRAMES), least = group_blocks + 2 * KV_BATCH;

	return frames > least ? frames : least;
}

int kv_open(struct exo_xn *xn, const char *name, const struct kv_opts *opts, struct kv **out_kv)
{
	static const struct kv_opts none;
	struct kv *kv = calloc(1, sizeof(*kv));
	int ret;

	if (!kv)
		return -ENOMEM;
	kv->xn = xn;
	ret = root_open(kv, name);
	if (!ret)
		ret = recover(kv, frames_wanted(opts ? opts : &none, kv->super.group_blocks));
	if (ret) {
		destroy(kv);
		return ret;
	}
	*out_kv = kv;
	return 0;
}

static int make(struct kv *kv, const struct kv_opts *opts)
{
	uint32_t group_blocks = or(opts->group_blocks, GROUP_BLOCKS);
	uint32_t log_blocks = or(opts->log_blocks, LOG_BLOCKS);

	if (group_blocks < 10 || group_blocks > EXO_XN_IO_BLOCKS || log_blocks < 4 * group_blocks)
		return -EINVAL;
	if (kv->super.extents)
		return -EEXIST;
	kv->super.group_blocks = group_blocks;
	CHECK(kv_pool_open(kv, frames_wanted(opts, group_blocks)));
	CHECK(kv_extent_add(kv, log_blocks));
	if (kv->extent[0].count < 4 * group_blocks)
		return -ENOSPC;
	CHECK(kv_extent_add(kv, or(opts->blocks, BLOCKS)));
	CHECK(kv_log_prepare(kv));
	kv_log_reset(kv);
	kv->seq = 1;
	kv->pages = 1;
	CHECK(kv_tree_create(kv));
	return checkpoint(kv);
}

int kv_create(struct exo_xn *xn, const char *name, const struct kv_opts *opts)
{
	static const struct kv_opts none;
	struct kv *kv;
	int ret;

	CHECK(root_make(xn, name));
	kv = calloc(1, sizeof(*kv));
	if (!kv)
		return -ENOMEM;
	kv->xn = xn;
	ret = root_open(kv, name);
	if (!ret)
		ret = make(kv, opts ? opts : &none);
	destroy(kv);
	return ret;
}

int kv_close(struct kv *kv)
{
	int ret = kv->error;

	if (!ret && !kv->grouping && kv->log_at)
		ret = checkpoint(kv);
	destroy(kv);
	return ret;
}
