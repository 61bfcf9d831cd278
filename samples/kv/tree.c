// SPDX-License-Identifier: GPL-2.0
/*
 * The B+tree. Leaves have keys and values; inner pages have children, each with a key that isn't above any
 * below it (the first one's is never looked at). Who looks for the leaf after this one goes down again.
 */
#include "store.h"

/* From the top: pages, and which child was taken. */
struct path {
	uint32_t page[KV_LEVELS];
	uint32_t at[KV_LEVELS];
	uint32_t depth;		/* of the leaf */
	bool last;		/* nothing is to the right of it */
};

static uint32_t child_of(struct kv_page *page, uint32_t at)
{
	uint32_t child;

	memcpy(&child, kv_cell_value(kv_cell(page, at)), sizeof(child));
	return child;
}

static uint32_t choose(struct kv_page *page, const uint8_t *key, uint32_t key_len)
{
	bool equal;
	uint32_t at = kv_page_find(page, key, key_len, &equal);

	return equal || !at ? at : at - 1;
}

/* What is to the right of a child has keys from the next one on. */
static void note_bound(struct kv_page *page, uint32_t at, struct kv_bound *bound)
{
	struct kv_cell *cell;

	if (at + 1U == page->count)
		return;
	cell = kv_cell(page, at + 1);
	bound->there = true;
	bound->key_len = cell->key;
	memcpy(bound->key, kv_cell_key(cell), cell->key);
}

int kv_tree_leaf_bound(struct kv *kv, const uint8_t *key, uint32_t key_len,
		       struct kv_bound *bound, struct kv_page **out, uint32_t *out_at,
		       bool *out_equal)
{
	uint32_t number = kv->tree, level = kv->height, at;
	struct kv_page *page;

	for (;;) {
		CHECK(kv_page_get(kv, number, &page));
		if (page->level != --level || (level && !page->count))
			return -EBADMSG;
		if (!level)
			break;
		at = choose(page, key, key_len);
		if (bound)
			note_bound(page, at, bound);
		number = child_of(page, at);
	}
	*out = page;
	*out_at = kv_page_find(page, key, key_len, out_equal);
	return 0;
}

int kv_tree_leaf(struct kv *kv, const uint8_t *key, uint32_t key_len, struct kv_page **out,
		 uint32_t *out_at, bool *out_equal)
{
	return kv_tree_leaf_bound(kv, key, key_len, NULL, out, out_at, out_equal);
}

/* The leaf is left pinned. */
static int descend(struct kv *kv, const uint8_t *key, uint32_t key_len, struct path *path,
		   struct kv_page **out)
{
	uint32_t number = kv->tree, at;
	struct kv_page *page;

	path->last = true;
	for (path->depth = 0;; path->depth++) {
		CHECK(kv_page_get(kv, number, &page));
		if (page->level != kv->height - 1 - path->depth || (page->level && !page->count))
			return -EBADMSG;
		path->page[path->depth] = number;
		if (!page->level)
			break;
		at = choose(page, key, key_len);
		path->at[path->depth] = at;
		path->last = path->last && at + 1U == page->count;
		number = child_of(page, at);
	}
	kv_page_pin(kv, page);
	*out = page;
	return 0;
}

/* ---- long values ---- */

static int long_write(struct kv *kv, const uint8_t *value, uint32_t length, struct kv_long *out)
{
	uint32_t bytes = length % KV_PART ? length % KV_PART : KV_PART, at = length, next = 0;
	struct kv_page *part;

	out->length = length;
	/* From its end, so that each part knows the next one. */
	for (; at; bytes = KV_PART) {
		at -= bytes;
		CHECK(kv_page_new(kv, KV_LONG, &part));
		part->count = (uint16_t)bytes;
		part->next = next;
		memcpy(part->cell, value + at, bytes);
		next = part->number;
		kv_page_unpin(kv, part);
	}
	out->first = next;
	return 0;
}

static int part_get(struct kv *kv, uint32_t number, struct kv_page **out)
{
	CHECK(kv_page_get(kv, number, out));
	return (*out)->level == KV_LONG && (*out)->count <= KV_PART ? 0 : -EBADMSG;
}

int kv_long_read(struct kv *kv, const struct kv_long *value, uint8_t *to, uint32_t room)
{
	uint32_t number = value->first, done = 0, n;
	struct kv_page *part;

	if (room > value->length)
		room = value->length;
	while (done < room) {
		CHECK(part_get(kv, number, &part));
		n = part->count < room - done ? part->count : room - done;
		if (!n)
			return -EBADMSG;
		memcpy(to + done, part->cell, n);
		done += n;
		number = part->next;
	}
	return 0;
}

static int long_free(struct kv *kv, uint32_t number)
{
	struct kv_page *part;
	uint32_t next;

	while (number) {
		CHECK(part_get(kv, number, &part));
		next = part->next;
		kv_page_free(kv, number);
		number = next;
	}
	return 0;
}

/* ---- put ---- */

static int new_root(struct kv *kv, uint32_t left, const struct kv_new *cell)
{
	struct kv_new first = { .key = cell->key, .value = &left, .value_len = sizeof(left) };
	struct kv_page *root;

	if (kv->height == KV_LEVELS)
		return -ENOSPC;
	CHECK(kv_page_new(kv, kv->height, &root));
	kv_page_insert(root, 0, &first);
	kv_page_insert(root, 1, cell);
	kv->tree = root->number;
	kv->height++;
	kv_page_unpin(kv, root);
	return 0;
}

/* The shortest key that parts them. */
static uint32_t separator(struct kv_page *left, struct kv_page *right, uint8_t *out)
{
	struct kv_cell *low = kv_cell(left, left->count - 1U), *high = kv_cell(right, 0);
	uint32_t n = 0, length = high->key;

	if (!left->level) {
		while (n < low->key && kv_cell_key(low)[n] == kv_cell_key(high)[n])
			n++;
		length = n + 1;
	}
	memcpy(out, kv_cell_key(high), length);
	return length;
}

/* A new cell in a page of the path, which is pinned; pages that are full are split, up to the top. */
static int insert(struct kv *kv, struct path *path, struct kv_page *page, uint32_t at,
		  struct kv_new cell)
{
	uint32_t depth = path->depth, right_number;
	uint8_t key[2][KV_KEY_MAX];
	struct kv_page *right;
	int ret;

	for (;;) {
		kv_page_dirty(kv, page);
		if (kv_page_insert(page, at, &cell)) {
			kv_page_unpin(kv, page);
			return 0;
		}
		ret = kv_page_new(kv, page->level, &right);
		if (ret)
			break;
		kv_page_split(page, right, at, &cell, path->last && at == page->count);
		/* cell.key may be in the one: the next one goes into the other. */
		cell.key_len = separator(page, right, key[depth & 1]);
		cell.key = key[depth & 1];
		if (right->level)
			kv_page_blank(right);
		right_number = right->number;
		cell.value = &right_number;
		cell.value_len = sizeof(right_number);
		kv_page_unpin(kv, right);
		kv_page_unpin(kv, page);
		if (!depth)
			return new_root(kv, path->page[0], &cell);
		CHECK(kv_page_get(kv, path->page[--depth], &page));
		kv_page_pin(kv, page);
		at = path->at[depth] + 1;
	}
	kv_page_unpin(kv, page);
	return ret;
}

/* A record with this key is there: its value becomes this one in place (1), or it goes (0). */
static int replace(struct kv *kv, struct kv_page *page, uint32_t at, const struct kv_new *new)
{
	struct kv_cell *cell = kv_cell(page, at);
	struct kv_long old = { 0 };

	kv_page_dirty(kv, page);
	if (cell->value == new->value_len && new->value_len != KV_LONG) {
		memcpy(kv_cell_value(cell), new->value, new->value_len);
		return 1;
	}
	if (cell->value == KV_LONG)
		memcpy(&old, kv_cell_value(cell), sizeof(old));
	kv_page_remove(page, at);
	kv->records--;
	return long_free(kv, old.first);
}

int kv_tree_put(struct kv *kv, const uint8_t *key, uint32_t key_len, const void *value,
		uint32_t length)
{
	struct kv_new cell = { .key = key, .key_len = key_len, .value = value,
			       .value_len = length };
	struct kv_long parts;
	struct kv_page *page;
	struct path path;
	int ret = 0;
	bool equal;
	uint32_t at;

	if (sizeof(struct kv_cell) + key_len + length > KV_INLINE) {
		CHECK(long_write(kv, value, length, &parts));
		cell.value = &parts;
		cell.value_len = KV_LONG;
	}
	CHECK(descend(kv, key, key_len, &path, &page));
	at = kv_page_find(page, key, key_len, &equal);
	if (equal)
		ret = replace(kv, page, at, &cell);
	if (ret) {
		kv_page_unpin(kv, page);
		return ret < 0 ? ret : 0;
	}
	CHECK(insert(kv, &path, page, at, cell));
	kv->records++;
	return 0;
}

/* ---- delete ---- */

/* Empty pages leave the tree, upwards; a top with one child is no top. */
static int remove_child(struct kv *kv, struct path *path, uint32_t depth, uint32_t at)
{
	struct kv_page *page;

	for (;;) {
		CHECK(kv_page_get(kv, path->page[depth], &page));
		kv_page_dirty(kv, page);
		kv_page_remove(page, at);
		if (!at && page->count)
			kv_page_blank(page);
		if (page->count || !depth)
			break;
		kv_page_free(kv, path->page[depth]);
		at = path->at[--depth];
	}
	while (kv->height > 1) {
		CHECK(kv_page_get(kv, kv->tree, &page));
		if (page->count != 1)
			break;
		kv->tree = child_of(page, 0);
		kv->height--;
		kv_page_free(kv, page->number);
	}
	return 0;
}

/* The child right of this one is emptied into it, if both are in one page then. Pinned: page. */
static int merge(struct kv *kv, struct path *path, struct kv_page *page)
{
	uint32_t depth = path->depth - 1, at = path->at[depth] + 1, number;
	struct kv_page *parent, *right;

	CHECK(kv_page_get(kv, path->page[depth], &parent));
	if (at >= parent->count)
		return 0;
	number = child_of(parent, at);
	CHECK(kv_page_get(kv, number, &right));
	if (kv_page_used(page) + kv_page_used(right) > KV_PART)
		return 0;
	kv_page_merge(page, right);
	kv_page_free(kv, number);
	return remove_child(kv, path, depth, at);
}

int kv_tree_delete(struct kv *kv, const uint8_t *key, uint32_t key_len)
{
	struct kv_long old = { 0 };
	struct kv_cell *cell;
	struct kv_page *page;
	struct path path;
	uint32_t at;
	bool equal;
	int ret = 0;

	CHECK(descend(kv, key, key_len, &path, &page));
	at = kv_page_find(page, key, key_len, &equal);
	if (!equal) {
		kv_page_unpin(kv, page);
		return -ENOENT;
	}
	cell = kv_cell(page, at);
	if (cell->value == KV_LONG)
		memcpy(&old, kv_cell_value(cell), sizeof(old));
	kv_page_dirty(kv, page);
	kv_page_remove(page, at);
	kv->records--;
	if (path.depth && page->count && kv_page_used(page) < KV_PART / 2)
		ret = merge(kv, &path, page);
	kv_page_unpin(kv, page);
	if (!ret && path.depth && !page->count) {
		kv_page_free(kv, path.page[path.depth]);
		ret = remove_child(kv, &path, path.depth - 1, path.at[path.depth - 1]);
	}
	return ret ? ret : long_free(kv, old.first);
}

int kv_tree_create(struct kv *kv)
{
	struct kv_page *page;

	CHECK(kv_page_new(kv, 0, &page));
	kv->tree = page->number;
	kv->height = 1;
	kv_page_unpin(kv, page);
	return 0;
}
