/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/mmap_lock.h: is the caller the only reader of the mmap lock?
 *
 * The count of a rw_semaphore is private to the kernel, so what one reader looks like is learned
 * from a semaphore of our own. False is always a right answer.
 */
#ifndef EXO_COMPAT_MMAP_LOCK_H
#define EXO_COMPAT_MMAP_LOCK_H

#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/rwsem.h>

#ifdef CONFIG_PREEMPT_RT

static inline void exo_mmap_lock_init(void)
{
}

static inline bool exo_mmap_lock_is_mine(struct mm_struct *mm)
{
	return false;
}

#else

extern long exo_mmap_lock_one_reader;
void exo_mmap_lock_init(void);

/* The caller holds it for reading. */
static inline bool exo_mmap_lock_is_mine(struct mm_struct *mm)
{
	return atomic_long_read(&mm->mmap_lock.count) == exo_mmap_lock_one_reader;
}

#endif

#endif
