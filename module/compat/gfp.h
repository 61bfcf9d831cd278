/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/gfp.h: since 6.14 bulk allocation fills arrays only, and says so no more in its name. Since
 * 6.16 alloc_contig_range() takes flags of its own; before it was told a type to migrate to.
 */
#ifndef EXO_COMPAT_GFP_H
#define EXO_COMPAT_GFP_H

#include <linux/gfp.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define alloc_pages_bulk_node(gfp, nid, nr_pages, pages) \
	alloc_pages_bulk_array_node(gfp, nid, nr_pages, pages)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#define ACR_FLAGS_NONE MIGRATE_MOVABLE
#endif

#endif
