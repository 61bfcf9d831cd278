/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The plainest surroundings of xn's engine: a disk in memory that loses nothing. A unit is an array of
 * struct exo_xn_extent, up to the first that is empty; acl allows all to the root's owner, reading to all.
 * One of HOST_MANY stands for as many blocks of data as it counts, each the next but one.
 */
#ifndef EXO_XN_HOST_H
#define EXO_XN_HOST_H

#include "core/xn_core.h"

#define HOST_BLOCKS 400U
#define HOST_LOG 64U
#define HOST_MANY 0x796e616dU		/* a slot */

struct host {
	u8 (*disk)[EXO_XN_BLOCK];
	u64 blocks;
	u64 fail_alloc;		/* the n-th from now on; 0: none */
	u64 fail_write;
	s64 live;
	u64 bytes;		/* of these */
	u64 peak;		/* most of them, since it was set to 0 */
	u64 code;		/* bytes of templates that are compiled */
	u64 peak_code;		/* the same */
	u64 cost;		/* of each run of owns */
	u32 runs;		/* of owns */
	u64 drained;
	struct exo_xn *xn;
	u32 template;
	u32 root;
};

extern const struct exo_xn_host host_ops;
extern const struct exo_xn_who host_user, host_other;

u32 host_crc(u32 seed, const void *bytes, size_t length);
/* Formatted, attached, with a template and a root of host_user. */
void host_begin(struct host *h);
void host_begin_quota(struct host *h, u64 uid_blocks);
/* With a disk of so many blocks; nothing of them is touched that isn't written. */
void host_begin_of(struct host *h, u64 blocks, u64 uid_blocks);
/* The same, with a log of so many. */
void host_begin_log(struct host *h, u64 blocks, u32 log_blocks);
void host_attach(struct host *h);
/* Forget the engine's memory, as a crash does, and attach again. */
void host_crash(struct host *h);
void host_end(struct host *h);
u64 host_root_block(struct host *h);
/* The steps of one call: entry @index of unit @parent becomes the extent, and what that means is said. */
int host_set(struct host *h, u32 kind, u64 parent, u32 index, u64 block, u32 count, u32 slot);
int host_commit(struct host *h);
struct exo_xn_unit *host_load(struct host *h, u64 parent, u64 block);
u8 host_map(struct host *h, u64 block);

#endif
