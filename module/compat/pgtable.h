/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/pgtable.h: since 6.6 there is pte_mkwrite_novma().
 *
 * exo_set_pte() is set_pte_at() without the indirection of Xen PV guests, in which the module
 * doesn't load: most of a long bind is spent there.
 */
#ifndef EXO_COMPAT_PGTABLE_H
#define EXO_COMPAT_PGTABLE_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define pte_mkwrite_novma(pte) pte_mkwrite(pte)
#endif

static inline void exo_set_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep, pte_t pte)
{
#ifdef CONFIG_PAGE_TABLE_CHECK
	set_pte_at(mm, addr, ptep, pte);
#else
	native_set_pte(ptep, pte);
#endif
}

#endif
