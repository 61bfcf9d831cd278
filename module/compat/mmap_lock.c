// SPDX-License-Identifier: GPL-2.0
#include "compat/mmap_lock.h"

#ifndef CONFIG_PREEMPT_RT

/* Never the count of a lock that somebody holds, until it is learned. */
long exo_mmap_lock_one_reader;

/**
 * exo_mmap_lock_init() - learn what a lock with one reader looks like
 *
 * Context: module load; sleeps.
 */
void exo_mmap_lock_init(void)
{
	struct rw_semaphore lock;
	long none, one, two;

	init_rwsem(&lock);
	none = atomic_long_read(&lock.count);
	down_read(&lock);
	one = atomic_long_read(&lock.count);
	/*
	 * Another reader, who must make a difference. lockdep would not like the same thread twice.
	 */
	if (!down_read_trylock(&lock)) {
		up_read(&lock);
		return;
	}
	two = atomic_long_read(&lock.count);
	up_read(&lock);
	up_read(&lock);
	if (one != none && two != one && two - one == one - none)
		exo_mmap_lock_one_reader = one;
}

#endif
