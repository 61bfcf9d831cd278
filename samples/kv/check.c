// SPDX-License-Identifier: GPL-2.0
/* Looks at everything: the tree, the map, the slots. */
#include <stdlib.h>

#include "store.h"

struct bound {
	const uint8_t *key;
	uint32_t length;
};

struct walk {
	struct kv *kv;
	uint8_t *seen;	/* by page */
	uint64_t records;
	uint32_t pages;
};

static int see(struct walk *walk, uint32_t number)
{
	if (!number || number >= walk->kv->pages || walk->seen[number])
		return -EBADMSG;
	walk->seen[number] = 1;
	walk->pages++;
	return 0;
}

static int check_long(struct walk *walk, const struct kv_cell *cell)
{
	struct kv_page *part;
	struct kv_long parts;
	uint32_t left, number;

	memcpy(&parts, (const uint8_t *)(cell + 1) + cell->key, sizeof(parts));
	number = parts.first;
	for (left = parts.length; left; left -= part->count) {
		CHECK(see(walk, number));
		CHECK(kv_page_get(walk->kv, number, &part));
		if (part->level != KV_LONG || !part->count || part->count > left)
			return -EBADMSG;
		number = part->next;
	}
	return number ? -EBADMSG : 0;
}

static bool in_bounds(struct kv_page *page, const struct bound *low, const struct bound *high)
{
	struct kv_cell *first, *last;

	if (!page->count)
		return true;
	first = kv_cell(page, 0);
	last = kv_cell(page, page->count - 1U);
	/* The first key of an inner page is empty. */
	if (page->level ? first->key : kv_key_compare(kv_cell_key(first), first->key, low->key,
						      low->length) < 0)
		return false;
	return !high->key || kv_key_compare(kv_cell_key(last), last->key, high->key,
					    high->length) < 0;
}

static int check_page(struct walk *walk, uint32_t number, uint32_t level, struct bound low,
		      struct bound high);

static int check_cells(struct walk *walk, struct kv_page *page, struct bound low, struct bound high)
{
	struct bound from, to;
	struct kv_cell *cell;
	uint32_t i, child;

	for (i = 0; i < page->count; i++) {
		cell = kv_cell(page, i);
		if (!page->level) {
			walk->records++;
			if (cell->value == KV_LONG)
				CHECK(check_long(walk, cell));
			continue;
		}
		from = i ? (struct bound){ kv_cell_key(cell), cell->key } : low;
		to = high;
		if (i + 1U < page->count)
			to = (struct bound){ kv_cell_key(kv_cell(page, i + 1)),
					     kv_cell(page, i + 1)->key };
		memcpy(&child, kv_cell_value(cell), sizeof(child));
		CHECK(check_page(walk, child, page->level - 1U, from, to));
	}
	return 0;
}

static int check_page(struct walk *walk, uint32_t number, uint32_t level, struct bound low,
		      struct bound high)
{
	struct kv_page *page;
	int ret;

	CHECK(see(walk, number));
	CHECK(kv_page_get(walk->kv, number, &page));
	if (page->level != level || !kv_page_is_sound(page) || !in_bounds(page, &low, &high) ||
	    (level && !page->count))
		return -EBADMSG;
	kv_page_pin(walk->kv, page);
	ret = check_cells(walk, page, low, high);
	kv_page_unpin(walk->kv, page);
	return ret;
}

/* Every slot that is taken now is a page's, a map block's, a directory block's, or the one that is never used. */
static int check_slots(struct kv *kv)
{
	uint32_t i, taken = 1, bits = 0;

	for (i = 1; i < kv->pages; i++)
		taken += kv->slot_of[i] != KV_NO_SLOT;
	for (i = 0; i < kv->room / KV_MAPPED; i++)
		taken += kv->map_slot[i] != KV_NO_SLOT;
	for (i = 0; i < KV_DIRS; i++)
		taken += kv->super.dir[i] != KV_NO_SLOT;
	for (i = 0; i < (kv->slots + 63) / 64; i++)
		bits += (uint32_t)__builtin_popcountll(kv->now[i]);
	return taken == bits ? 0 : -EBADMSG;
}

int kv_check(struct kv *kv)
{
	struct walk walk = { .kv = kv, .seen = calloc(kv->pages, 1) };
	struct bound none = { NULL, 0 };
	int ret;

	if (!walk.seen)
		return -ENOMEM;
	ret = check_page(&walk, kv->tree, kv->height - 1, none, none);
	free(walk.seen);
	if (ret)
		return ret;
	if (walk.records != kv->records || walk.pages + kv->nunused + 1 != kv->pages)
		return -EBADMSG;
	return check_slots(kv);
}
