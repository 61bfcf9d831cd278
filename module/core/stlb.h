/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The software TLB: translations that the library loaded ahead. The memory is the application's:
 * an entry is read once, and what it says is only a wish.
 */
#ifndef EXO_CORE_STLB_H
#define EXO_CORE_STLB_H

#include "core/types.h"

#define EXO_STLB_MIN 512
#define EXO_STLB_MAX 65536

/* Sizes that EXO_MEM_VIEW_CREATE takes. */
static inline bool exo_stlb_size_ok(u32 entries)
{
	return !entries ||
	       (entries >= EXO_STLB_MIN && entries <= EXO_STLB_MAX && !(entries & (entries - 1)));
}

/* Where the entry of a page stands in a table of that many entries (a power of two). */
static inline u32 exo_stlb_index(u32 page, u32 entries)
{
	return page & (entries - 1);
}

/*
 * Does @entry translate @page, with the right to write if @write is asked for? A translation that
 * doesn't give enough is none.
 */
static inline bool exo_stlb_hit(u64 entry, u32 page, bool write)
{
	return (entry & EXO_STLB_VALID) && EXO_STLB_PAGE(entry) == page &&
	       (!write || (entry & EXO_STLB_WRITE));
}

#endif
