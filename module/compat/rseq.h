/* SPDX-License-Identifier: GPL-2.0 */
/* linux/rseq.h: since 6.19 what a task registered is in a struct of its own. */
#ifndef EXO_COMPAT_RSEQ_H
#define EXO_COMPAT_RSEQ_H

#include <linux/sched.h>
#include <linux/version.h>
#include <uapi/linux/rseq.h>

/* The area that the current thread registered, or NULL. */
static inline struct rseq __user *exo_rseq_area(void)
{
#if !IS_ENABLED(CONFIG_RSEQ)
	return NULL;
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
	return current->rseq;
#else
	return current->rseq.usrptr;
#endif
}

#endif
