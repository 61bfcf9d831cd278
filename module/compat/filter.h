/* SPDX-License-Identifier: GPL-2.0 */
/* linux/filter.h: since 7.0 a program says that it must not fall back to the interpreter. */
#ifndef EXO_COMPAT_FILTER_H
#define EXO_COMPAT_FILTER_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/version.h>

static inline void exo_bpf_require_jit(struct bpf_prog *bpf)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	bpf->jit_required = 1;
#endif
}

#endif
