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

/*
 * The accessed bit (1) and the dirty bit (2) of a present PTE at once, as pte_young() and pte_dirty()
 * would say; there are loops that do little else. Since 6.6 a PTE that is made read only keeps its
 * dirty bit in another place.
 */
static inline u16 exo_pte_accessed_dirty(pte_t pte)
{
	u64 val = native_pte_val(pte);
	u16 bits = val >> _PAGE_BIT_ACCESSED & 3;

	BUILD_BUG_ON(_PAGE_BIT_DIRTY != _PAGE_BIT_ACCESSED + 1);
#ifdef _PAGE_SAVED_DIRTY
	bits |= (val & _PAGE_SAVED_DIRTY) ? 2 : 0;
#endif
	return bits;
}

static inline void exo_set_pte(struct mm_struct *mm, unsigned long addr, pte_t *ptep, pte_t pte)
{
#ifdef CONFIG_PAGE_TABLE_CHECK
	set_pte_at(mm, addr, ptep, pte);
#else
	native_set_pte(ptep, pte);
#endif
}

#endif
