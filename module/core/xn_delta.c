// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of extents, and what a change made of one. Nothing here allocates; sorting is in place and
 * without recursion, for the lists come from functions that users wrote.
 */
#include "core/xn.h"

static void swap(struct exo_xn_extent *a, struct exo_xn_extent *b)
{
	struct exo_xn_extent was = *a;

	*a = *b;
	*b = was;
}

static void sift(struct exo_xn_extent *at, u32 from, u32 nr)
{
	u32 child;

	while ((child = 2 * from + 1) < nr) {
		if (child + 1 < nr && at[child].block < at[child + 1].block)
			child++;
		if (at[from].block >= at[child].block)
			return;
		swap(&at[from], &at[child]);
		from = child;
	}
}

/**
 * exo_xn_extents_sort() - by their first blocks
 * @set: in place; in linear time if it is sorted
 *
 * Context: any; no locks, no allocation, no recursion.
 */
void exo_xn_extents_sort(struct exo_xn_extents *set)
{
	u32 i, nr = set->nr;

	for (i = 1; i < nr && set->at[i - 1].block <= set->at[i].block; i++)
		;
	if (i >= nr)
		return;
	for (i = nr / 2; i--;)
		sift(set->at, i, nr);
	for (i = nr - 1; i; i--) {
		swap(&set->at[0], &set->at[i]);
		sift(set->at, 0, i);
	}
}

/**
 * exo_xn_extents_tidy() - sort a set; adjacent extents of plain data become one
 * @set: changed in place; what is left of it after an error has no meaning
 * @first: smallest block that may be in it
 * @end: blocks from here on may not
 *
 * Context: any; no locks, no allocation.
 *
 * Return: 0; -EINVAL: an extent is empty or not within [@first, @end), or two overlap.
 */
int exo_xn_extents_tidy(struct exo_xn_extents *set, u64 first, u64 end)
{
	struct exo_xn_extent *last = NULL, *e;
	u32 i, nr = 0;

	exo_xn_extents_sort(set);
	for (i = 0; i < set->nr; i++) {
		e = &set->at[i];
		if (!e->count || e->block < first || e->block >= end || e->count > end - e->block)
			return -EINVAL;
		if (last && e->block - last->block < last->count)
			return -EINVAL;
		if (last && e->slot == EXO_XN_DATA && last->slot == EXO_XN_DATA &&
		    e->block - last->block == last->count && e->count <= ~0U - last->count) {
			last->count += e->count;
			continue;
		}
		last = &set->at[nr++];
		*last = *e;
	}
	set->nr = nr;
	return 0;
}

/* One set while all are swept from the first block to the last. */
struct sweep {
	const struct exo_xn_extents *set;
	u32 next;
	const struct exo_xn_extent *in;	/* the extent that has the block, or NULL */
};

/* Where the set changes next, seen from @block on. */
static u64 sweep_to(struct sweep *s, u64 block)
{
	const struct exo_xn_extent *e;

	while (s->next < s->set->nr) {
		e = &s->set->at[s->next];
		if (e->block > block) {
			s->in = NULL;
			return e->block;
		}
		if (block - e->block < e->count) {
			s->in = e;
			return e->block + e->count;
		}
		s->next++;
	}
	s->in = NULL;
	return ~0ULL;
}

/* Data is compared by the block, a unit as a whole. */
static bool same(const struct exo_xn_extent *a, const struct exo_xn_extent *b)
{
	if (!a || !b)
		return a == b;
	if (a->slot != b->slot)
		return false;
	return a->slot == EXO_XN_DATA || (a->block == b->block && a->count == b->count);
}

/**
 * exo_xn_delta_holds() - is one set another with exactly this added and taken away?
 * @before: tidied, as are the others
 * @after: what is claimed to be @before + @added - @freed
 * @added: nothing of it may be in @before
 * @freed: all of it must be in @before, and nothing of it in @added
 * @block: set to the first block about which they don't agree
 *
 * Linear in the number of extents (INV-XN-3). Context: any; no locks, no allocation.
 *
 * Return: true if it is.
 */
bool exo_xn_delta_holds(const struct exo_xn_extents *before, const struct exo_xn_extents *after,
			const struct exo_xn_extents *added, const struct exo_xn_extents *freed,
			u64 *block)
{
	struct sweep s[4] = { { before, 0, NULL }, { after, 0, NULL }, { added, 0, NULL },
			      { freed, 0, NULL } };
	u64 at = 0, next, end;
	u32 i;

	do {
		next = ~0ULL;
		for (i = 0; i < 4; i++) {
			end = sweep_to(&s[i], at);
			next = end < next ? end : next;
		}
		*block = at;
		if (s[2].in && (s[0].in || s[3].in))
			return false;
		if (s[3].in && !same(s[3].in, s[0].in))
			return false;
		if (!same(s[1].in, s[2].in ?: s[3].in ? NULL : s[0].in))
			return false;
		at = next;
	} while (next != ~0ULL);
	return true;
}

/**
 * exo_xn_extents_find() - which extent of a set has all of these blocks?
 * @set: tidied
 * @block: first
 * @count: how many; 0 is looked for as 1
 *
 * Context: any. Return: it, in @set, or NULL.
 */
const struct exo_xn_extent *exo_xn_extents_find(const struct exo_xn_extents *set, u64 block, u32 count)
{
	u32 low = 0, high = set->nr, middle;
	const struct exo_xn_extent *e;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (set->at[middle].block <= block)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	e = &set->at[low - 1];
	if (block - e->block >= e->count || count > e->count - (block - e->block))
		return NULL;
	return e;
}
