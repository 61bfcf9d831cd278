// SPDX-License-Identifier: GPL-2.0
/*
 * The sources of the grafts that are measured, compiled as ordinary kernel code.
 */
#include "native.h"

#include "bsearch.bpf.c"
#include "checksum.bpf.c"
#include "filter_between.bpf.c"
#include "filter_ip.bpf.c"
#include "filter_net.bpf.c"
#include "filter_tcp.bpf.c"
#include "memcpy.bpf.c"
#include "xor.bpf.c"

