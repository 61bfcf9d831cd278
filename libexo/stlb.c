// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a view's owner does by plain stores and loads, without the module: the software TLB, and the
 * check of stored addresses in lazy views.
 */
#include "lib.h"

/**
 * exo_view_stlb_entries() - how large the software TLB is
 * @view: the view
 *
 * Return: entries; 0: it has none. Async-signal-safe.
 */
EXPORT uint32_t exo_view_stlb_entries(const struct exo_view *view)
{
	return view->stlb_entries;
}

/**
 * exo_view_stlb_load() - make a translation known, to be bound at the first fault on the page
 * @view: the view
 * @page: the page
 * @frame: the frame; whether it may be bound is checked at the fault
 * @write: nonzero: with EXO_RIGHT_WRITE
 *
 * One store. Replaces the entry of a page that is a multiple of the table's size away.
 * Idea: S95 §5.4, Aegis' software TLB.
 *
 * Return: 0; -EINVAL: beyond the view; -EOPNOTSUPP: the view has no software TLB. Thread-safe,
 * async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_stlb_load(struct exo_view *view, uint32_t page, uint32_t frame, int write)
{
	if (!view->stlb)
		return -EOPNOTSUPP;
	if (page >= view->pages)
		return -EINVAL;
	__atomic_store_n(&view->stlb[page & (view->stlb_entries - 1)],
			 EXO_STLB_ENTRY(page, frame, write), __ATOMIC_RELEASE);
	return 0;
}

/**
 * exo_view_stlb_clear() - no translation for a page any more
 * @view: the view
 * @page: the page
 *
 * The entry of another page in the same place stays, and so does what is bound.
 *
 * Return: 0; -EINVAL: beyond the view; -EOPNOTSUPP: the view has no software TLB. Thread-safe,
 * async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_stlb_clear(struct exo_view *view, uint32_t page)
{
	uint64_t *slot, entry;

	if (!view->stlb)
		return -EOPNOTSUPP;
	if (page >= view->pages)
		return -EINVAL;
	slot = &view->stlb[page & (view->stlb_entries - 1)];
	entry = __atomic_load_n(slot, __ATOMIC_RELAXED);
	while (entry && EXO_STLB_PAGE(entry) == page)
		if (__atomic_compare_exchange_n(slot, &entry, 0, false, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			break;
	return 0;
}

/**
 * exo_view_lazy_pin() - be sure that a page of a lazy view shows what is bound there
 * @view: the view
 * @page: a page that is bound
 * @offset: of the 8 bytes in the page that say which page it is (exo_lazy_stamp()), 8-byte aligned
 *
 * One load when the translation is fresh. A stale one is repaired with exo_view_flush().
 * Idea: libdbos and Tabby, SIGMOD'25: a page that says who it is needs no shootdown.
 *
 * Return: 0: it says that it is @page, so its contents may be used until it is rebound; -ESTALE: it
 * does not, even without stale translations: what is bound there is another page's; -EINVAL.
 * Thread-safe, and for fault handlers.
 */
EXPORT int exo_view_lazy_pin(struct exo_view *view, uint32_t page, size_t offset)
{
	const char *at;
	int ret;

	if (page >= view->pages || offset > EXO_PAGE_SIZE - sizeof(uint64_t) ||
	    offset % sizeof(uint64_t))
		return -EINVAL;
	at = view->base + (size_t)page * EXO_PAGE_SIZE;
	if (exo_lazy_check(at, offset, page))
		return 0;
	ret = exo_view_flush(view);
	if (ret)
		return ret;
	return exo_lazy_check(at, offset, page) ? 0 : -ESTALE;
}
