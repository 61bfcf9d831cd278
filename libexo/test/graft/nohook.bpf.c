// SPDX-License-Identifier: GPL-2.0
/* A section that is no hook. */
#include <exo/graft.h>

SEC("kprobe/nothing")
__u32 nowhere(void *ctx)
{
	return ctx != 0;
}
