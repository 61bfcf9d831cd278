/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A durable, ordered key-value store on raw blocks, in memory that it manages itself.
 *
 * A group of puts and deletes, from kv_begin() to kv_commit(), is durable when kv_commit() returns, and after
 * a crash all of it is there or nothing. What is done outside of a group is a group of its own. There is
 * no way back but to the last commit: a store whose put failed half-way refuses everything from then on;
 * close it and open it again.
 *
 * Who has a store open has it alone, with one thread: others are refused (-EBUSY), until it is closed, or its
 * environment dies with its process. docs/your-database.md has the rules by which it recovers.
 */
#ifndef EXO_SAMPLES_KV_H
#define EXO_SAMPLES_KV_H

#include <stdbool.h>

#include <exo/libexo.h>

#define KV_KEY_MAX 512U
#define KV_VALUE_MAX 32768U

struct kv;

/**
 * struct kv_opts - what kv_create() and kv_open() may be told; 0: as they find right
 * @frames: memory, all of it: pages and the log's buffer
 * @group_blocks: create: most blocks of a group, from 10 to EXO_XN_IO_BLOCKS; part of @frames
 * @log_blocks: create: of the log; at least 4 groups
 * @blocks: create: to begin with
 */
struct kv_opts {
	uint32_t frames;
	uint32_t group_blocks;
	uint32_t log_blocks;
	uint32_t blocks;
};

/**
 * struct kv_stats - since the store was opened
 * @hits: pages that were wanted and in memory
 * @misses: that were read
 * @evictions: pages that left
 * @writes: pages written
 * @requests: writes and reads as the device sees them, without the log
 * @groups: committed
 * @log_bytes: of groups
 * @checkpoints: made
 * @extents: allocated
 * @replayed: groups found in the log when it was opened
 */
struct kv_stats {
	uint64_t hits;
	uint64_t misses;
	uint64_t evictions;
	uint64_t writes;
	uint64_t requests;
	uint64_t groups;
	uint64_t log_bytes;
	uint64_t checkpoints;
	uint64_t extents;
	uint64_t replayed;
};

/* A new, empty store in a root of this name. 0 or -errno; -EBUSY: somebody makes it now. opts may be NULL. */
int kv_create(struct exo_xn *xn, const char *name, const struct kv_opts *opts);
/* Recovers it, if need be. -EBUSY: somebody has it open. */
int kv_open(struct exo_xn *xn, const char *name, const struct kv_opts *opts, struct kv **out_kv);
/* What was not committed is lost. Frees all, also if it fails. */
int kv_close(struct kv *kv);

int kv_begin(struct kv *kv);
int kv_commit(struct kv *kv);
/* -E2BIG: the group has no room for it: nothing was done, commit what there is. */
int kv_put(struct kv *kv, const void *key, uint32_t key_len, const void *value, uint32_t length);
/* -ENOENT: there is no such key. */
int kv_delete(struct kv *kv, const void *key, uint32_t key_len);
/* Length of the value, of which as much as there is room for is copied; -ENOENT. */
int kv_get(struct kv *kv, const void *key, uint32_t key_len, void *value, uint32_t room);

/* Nonzero: stop. It may not use the store. */
typedef int (*kv_scan_fn)(const void *key, uint32_t key_len, const void *value, uint32_t length,
			  void *ctx);
/* Records from this key on, in order, until fn returns nonzero: that, or 0, or -errno. */
int kv_scan(struct kv *kv, const void *key, uint32_t key_len, kv_scan_fn fn, void *ctx);

/* Writes everything home and empties the log; it happens by itself when the log is full. */
int kv_checkpoint(struct kv *kv);
/* Gives frames back to exo: how many, at most as many as can be done without; or -errno. Call it from exo_env_on_revoke()'s handler. */
int kv_shrink(struct kv *kv, uint32_t frames);
uint64_t kv_count(const struct kv *kv);
void kv_stats(const struct kv *kv, struct kv_stats *out_stats);
/* Looks at every page: -EBADMSG if the tree, the map and the slots don't agree. */
int kv_check(struct kv *kv);

#endif
