/* SPDX-License-Identifier: GPL-2.0 */
/* linux/eventfd.h: since 6.8 eventfd_signal() has no count. */
#ifndef EXO_COMPAT_EVENTFD_H
#define EXO_COMPAT_EVENTFD_H

#include <linux/eventfd.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
static inline void exo_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}

#define eventfd_signal(ctx) exo_eventfd_signal(ctx)
#endif

#endif
