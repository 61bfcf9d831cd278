// SPDX-License-Identifier: GPL-2.0
/* The formats of units that tests use: what owns says, and how to make it say something else. */
#include "unit.h"
#include "xn_sim.h"

static int emit(struct exo_xn_extents *out, u64 block, u32 count, u32 slot)
{
	if (out->nr >= out->max)
		return -E2BIG;
	out->at[out->nr++] = (struct exo_xn_extent){ .block = block, .count = count, .slot = slot };
	return 0;
}

static u32 evil_of(const struct sim_unit *unit, u32 length, u32 part)
{
	return part || length < sizeof(*unit) ? SIM_GOOD : unit->evil;
}

static int owns_evil(const struct sim_unit *unit, u32 length, u32 part, u64 blocks, u64 *lies,
		     struct exo_xn_extents *out)
{
	u32 i;

	switch (evil_of(unit, length, part)) {
	case SIM_ABORT:
		return -EINVAL;
	case SIM_BILLION:
		for (i = 0; i < 1000000000; i++)
			if (emit(out, blocks - 1, 1, EXO_XN_DATA))
				return -E2BIG;
		return 0;
	case SIM_DIFFERS:
		return emit(out, blocks - 1 - (*lies)++ % 3, 1, EXO_XN_DATA);
	case SIM_BEYOND:
		return emit(out, blocks - 1, 2, EXO_XN_DATA);
	case SIM_EMPTY:
		return emit(out, blocks - 1, 0, EXO_XN_DATA);
	case SIM_WRAPS:
		return emit(out, ~0ULL, 2, EXO_XN_DATA);
	case SIM_DOUBLE:
		return emit(out, blocks - 2, 2, EXO_XN_DATA) ?: emit(out, blocks - 1, 1, EXO_XN_DATA);
	case SIM_BAD_SLOT:
		return emit(out, blocks - 1, 1, EXO_XN_REFS + 1);
	case SIM_SYSTEM:
		return emit(out, 1, 1, EXO_XN_DATA);
	default:
		return 0;
	}
}

static int owns_list(const void *bytes, u32 length, u32 part, struct exo_xn_extents *out)
{
	u32 at = part ? 0 : sizeof(struct sim_unit);
	struct sim_record r;

	for (; at + sizeof(r) <= length; at += sizeof(r)) {
		memcpy(&r, (const u8 *)bytes + at, sizeof(r));
		if (r.count && emit(out, r.block, r.count, r.slot))
			return -E2BIG;
	}
	return 0;
}

static int owns_tree(const void *bytes, u32 length, struct exo_xn_extents *out)
{
	const struct sim_unit *unit = bytes;
	struct sim_entry e;
	u32 i;

	if (length < sizeof(*unit) || unit->nr > (length - sizeof(*unit)) / sizeof(e))
		return -EINVAL;
	for (i = 0; i < unit->nr; i++) {
		memcpy(&e, (const u8 *)bytes + sizeof(*unit) + i * sizeof(e), sizeof(e));
		if (emit(out, e.block, 1, unit->level ? EXO_XN_SELF : EXO_XN_DATA))
			return -E2BIG;
	}
	return 0;
}

int sim_owns_lying(enum sim_format_kind kind, const void *bytes, u32 length, u32 part, u64 blocks,
		   u64 *lies, struct exo_xn_extents *out)
{
	int ret = 0;

	if (kind == SIM_TREE)
		return owns_tree(bytes, length, out);
	if (kind == SIM_EVIL)
		ret = owns_evil(bytes, length, part, blocks, lies, out);
	return ret ?: owns_list(bytes, length, part, out);
}

int sim_owns(enum sim_format_kind kind, const void *bytes, u32 length, u32 part, u64 blocks,
	     struct exo_xn_extents *out)
{
	u64 lies = 0;

	return sim_owns_lying(kind, bytes, length, part, blocks, &lies, out);
}

int sim_owns_all(enum sim_format_kind kind, const void *bytes, u32 length, u64 blocks,
		 struct exo_xn_extents *out)
{
	u32 at, part = 0;
	int ret = 0;

	if (kind == SIM_TREE)
		return sim_owns(kind, bytes, length, 0, blocks, out);
	for (at = 0; at < length && !ret; at += SIM_PART)
		ret = sim_owns(kind, (const u8 *)bytes + at, SIM_PART, part++, blocks, out);
	return ret;
}

static int list_change(void *bytes, u32 length, const struct sim_record *from,
		       const struct sim_record *to)
{
	struct sim_record r;
	u32 at;

	for (at = sizeof(struct sim_unit); at + sizeof(r) <= length; at += sizeof(r)) {
		memcpy(&r, (u8 *)bytes + at, sizeof(r));
		if (memcmp(&r, from, sizeof(r)))
			continue;
		memcpy((u8 *)bytes + at, to, sizeof(r));
		return 0;
	}
	return -ENOENT;
}

static int tree_insert(struct sim_unit *unit, u32 length, u64 block)
{
	struct sim_entry *entry = (struct sim_entry *)(unit + 1);
	u64 key = block * 0x9e3779b97f4a7c15ULL;
	u32 at = 0;

	if (unit->nr >= (length - sizeof(*unit)) / sizeof(*entry))
		return -ENOSPC;
	while (at < unit->nr && entry[at].key < key)
		at++;
	memmove(&entry[at + 1], &entry[at], (unit->nr - at) * sizeof(*entry));
	entry[at] = (struct sim_entry){ .key = key, .block = block };
	unit->nr++;
	return 0;
}

static int tree_remove(struct sim_unit *unit, u64 block)
{
	struct sim_entry *entry = (struct sim_entry *)(unit + 1);
	u32 at = 0;

	while (at < unit->nr && entry[at].block != block)
		at++;
	if (at == unit->nr)
		return -ENOENT;
	unit->nr--;
	memmove(&entry[at], &entry[at + 1], (unit->nr - at) * sizeof(*entry));
	memset(&entry[unit->nr], 0, sizeof(*entry));
	return 0;
}

int sim_insert(enum sim_format_kind kind, void *bytes, u32 length, const struct exo_xn_extent *e)
{
	struct sim_record none = {}, r = { .block = e->block, .count = e->count, .slot = e->slot };

	if (kind == SIM_TREE)
		return e->count == 1 ? tree_insert(bytes, length, e->block) : -EINVAL;
	return list_change(bytes, length, &none, &r) ? -ENOSPC : 0;
}

int sim_remove(enum sim_format_kind kind, void *bytes, u32 length, const struct exo_xn_extent *e)
{
	struct sim_record none = {}, r = { .block = e->block, .count = e->count, .slot = e->slot };

	if (kind == SIM_TREE)
		return tree_remove(bytes, e->block);
	return list_change(bytes, length, &r, &none);
}
