// SPDX-License-Identifier: GPL-2.0
/* Cells in a page: by rising key; where they are from the front, what they are from the end. */
#include "store.h"

#define HEAD offsetof(struct kv_page, cell)

_Static_assert(sizeof(struct kv_page) == KV_BLOCK, "a page is a block");
_Static_assert(sizeof(struct kv_super) == KV_BLOCK, "the super is a block");
_Static_assert(sizeof(struct kv_map_block) == KV_BLOCK, "so is a part of the map");

static inline uint64_t load_be(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return __builtin_bswap64(word);
}

/* Eight bytes at a time; the last eight may overlap with those before. */
int kv_key_compare(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	uint32_t n = a_len < b_len ? a_len : b_len, i;
	uint64_t x, y;

	for (i = 0; i + 8 <= n; i += 8) {
		x = load_be(a + i);
		y = load_be(b + i);
		if (x != y)
			return x < y ? -1 : 1;
	}
	if (i < n && n >= 8) {
		x = load_be(a + n - 8);
		y = load_be(b + n - 8);
		if (x != y)
			return x < y ? -1 : 1;
		i = n;
	}
	for (; i < n; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return a_len < b_len ? -1 : a_len > b_len;
}

uint32_t kv_page_crc(const struct kv_page *page)
{
	return kv_crc(&page->number, sizeof(*page) - sizeof(page->crc));
}

void kv_page_init(struct kv_page *page, uint32_t number, uint32_t level)
{
	memset(page, 0, HEAD);
	page->number = number;
	page->level = (uint16_t)level;
	page->low = KV_BLOCK;
}

uint32_t kv_page_find(struct kv_page *page, const uint8_t *key, uint32_t key_len, bool *out_equal)
{
	uint32_t low = 0, high = page->count, middle;
	struct kv_cell *cell;
	int order;

	*out_equal = false;
	while (low < high) {
		middle = (low + high) / 2;
		cell = kv_cell(page, middle);
		order = kv_key_compare(kv_cell_key(cell), cell->key, key, key_len);
		if (!order) {
			*out_equal = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t kv_page_used(const struct kv_page *page)
{
	return KV_BLOCK - page->low - page->dead + 2U * page->count;
}

static uint32_t gap(const struct kv_page *page)
{
	return page->low - HEAD - 2U * page->count;
}

static void copy_cell(struct kv_page *to, struct kv_cell *cell)
{
	uint32_t bytes = kv_cell_bytes(cell);

	to->low -= bytes;
	memcpy((uint8_t *)to + to->low, cell, bytes);
	to->cell[to->count++] = to->low;
}

static void add_cell(struct kv_page *to, const struct kv_new *new)
{
	uint32_t bytes = kv_new_bytes(new);
	struct kv_cell *cell;

	to->low -= bytes;
	cell = (struct kv_cell *)((uint8_t *)to + to->low);
	cell->key = (uint16_t)new->key_len;
	cell->value = (uint16_t)new->value_len;
	memcpy(kv_cell_key(cell), new->key, new->key_len);
	memcpy(kv_cell_value(cell), new->value, bytes - sizeof(*cell) - new->key_len);
	to->cell[to->count++] = to->low;
}

/* Nothing is dead afterwards. */
static void compact(struct kv_page *page)
{
	struct kv_page old;
	uint32_t i;

	memcpy(&old, page, sizeof(old));
	page->count = page->dead = 0;
	page->low = KV_BLOCK;
	for (i = 0; i < old.count; i++)
		copy_cell(page, kv_cell(&old, i));
}

bool kv_page_insert(struct kv_page *page, uint32_t at, const struct kv_new *new)
{
	uint32_t bytes = kv_new_bytes(new) + 2;
	uint16_t where;

	if (HEAD + kv_page_used(page) + bytes > KV_BLOCK)
		return false;
	if (gap(page) < bytes)
		compact(page);
	add_cell(page, new);
	where = page->low;
	memmove(&page->cell[at + 1], &page->cell[at], 2 * (page->count - 1 - at));
	page->cell[at] = where;
	return true;
}

void kv_page_remove(struct kv_page *page, uint32_t at)
{
	uint32_t bytes = kv_cell_bytes(kv_cell(page, at));

	if (page->cell[at] == page->low)
		page->low += bytes;
	else
		page->dead += bytes;
	page->count--;
	memmove(&page->cell[at], &page->cell[at + 1], 2 * (page->count - at));
	if (!page->count) {
		page->low = KV_BLOCK;
		page->dead = 0;
	}
}

/* In place: the value moves to where the key was. */
void kv_page_blank(struct kv_page *page)
{
	struct kv_cell *cell = kv_cell(page, 0);

	page->dead += cell->key;
	memmove(cell + 1, kv_cell_value(cell), kv_cell_inline(cell));
	cell->key = 0;
}

static void put_cell(struct kv_page *to, struct kv_page *old, uint32_t i, uint32_t at,
		     const struct kv_new *new)
{
	if (i == at)
		add_cell(to, new);
	else
		copy_cell(to, kv_cell(old, i < at ? i : i - 1));
}

static uint32_t bytes_of(struct kv_page *old, uint32_t i, uint32_t at, const struct kv_new *new)
{
	return 2 + (i == at ? kv_new_bytes(new) : kv_cell_bytes(kv_cell(old, i < at ? i : i - 1)));
}

/* So many go left that these are at least half; or all that was there, if nothing will follow. */
void kv_page_split(struct kv_page *page, struct kv_page *right, uint32_t at,
		   const struct kv_new *new, bool last)
{
	uint32_t total = kv_page_used(page) + kv_new_bytes(new) + 2, left = 0, i = 0;
	struct kv_page old;

	memcpy(&old, page, sizeof(old));
	page->count = page->dead = 0;
	page->low = KV_BLOCK;
	while (i < old.count && (last ? i < at : 2 * left < total)) {
		left += bytes_of(&old, i, at, new);
		put_cell(page, &old, i++, at, new);
	}
	for (; i <= old.count; i++)
		put_cell(right, &old, i, at, new);
}

void kv_page_merge(struct kv_page *page, struct kv_page *right)
{
	uint32_t i;

	compact(page);
	for (i = 0; i < right->count; i++)
		copy_cell(page, kv_cell(right, i));
}

/* Whatever is in it: nothing lies outside, keys rise, and sums are right. */
bool kv_page_is_sound(struct kv_page *page)
{
	uint32_t i, bytes = 0, end;
	struct kv_cell *cell, *before = NULL;

	if (page->low > KV_BLOCK || HEAD + 2U * page->count > page->low)
		return false;
	for (i = 0; i < page->count; i++, before = cell) {
		if (page->cell[i] < page->low || page->cell[i] + sizeof(*cell) > KV_BLOCK)
			return false;
		cell = kv_cell(page, i);
		end = page->cell[i] + kv_cell_bytes(cell);
		if (end > KV_BLOCK || (page->level && cell->value != sizeof(uint32_t)))
			return false;
		if (before && kv_key_compare(kv_cell_key(before), before->key, kv_cell_key(cell),
					     cell->key) >= 0)
			return false;
		bytes += kv_cell_bytes(cell);
	}
	return bytes + page->dead == KV_BLOCK - page->low;
}
