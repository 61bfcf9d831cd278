/* SPDX-License-Identifier: GPL-2.0 */
/* A simulated disk for the store: see kv_native.h. */
#ifndef EXO_KV_DISK_H
#define EXO_KV_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct kv_disk;

enum kv_disk_crash { KV_CRASH_ALL, KV_CRASH_NONE, KV_CRASH_SOME, KV_CRASH_TORN, KV_CRASHES };

/* Formatted and attached; it serves as struct exo_xn. */
struct kv_disk *kv_disk_new(uint64_t blocks);
/* Another disk, attached: this one after a power failure before its event @upto. NULL: it can't be attached. */
struct kv_disk *kv_disk_crash(const struct kv_disk *disk, uint32_t upto, enum kv_disk_crash how);
void kv_disk_free(struct kv_disk *disk);
/* What it was told since kv_disk_settle(): writes and flushes. */
uint32_t kv_disk_events(const struct kv_disk *disk);
void kv_disk_settle(struct kv_disk *disk);
/* From now on durable writes aren't: to see that somebody would notice. */
void kv_disk_lie(struct kv_disk *disk);
/* The device gives another bit back than was written. False: the block isn't the store's. */
bool kv_disk_flip(struct kv_disk *disk, uint64_t block, uint32_t bit);

#endif
