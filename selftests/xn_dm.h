/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device mapper for tests of raw disks: devices whose table changes under their user, and the log that
 * dm-log-writes leaves. All "must", but for the end of the log.
 */
#ifndef EXO_TEST_XN_DM_H
#define EXO_TEST_XN_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DM_SECTOR 512U

/* Some sectors of a device, by a target. */
struct dm_part {
	const char *target;
	uint64_t sectors;
	const char *params;
};

/* A device of one target; its path is written. SKIP if the kernel has no such target. */
void dm_create(const char *name, const char *target, uint64_t sectors, const char *params, char path[32]);
/* It has another target from now on: what is in flight is waited for. */
void dm_switch(const char *name, const char *target, uint64_t sectors, const char *params);
/* The same of several targets, one behind the other. */
void dm_create_parts(const char *name, const struct dm_part *parts, uint32_t nr, char path[32]);
void dm_switch_parts(const char *name, const struct dm_part *parts, uint32_t nr);
/* What comes from now on waits for dm_go(). */
void dm_hold(const char *name);
void dm_go(const char *name);
void dm_message(const char *name, const char *text);
/* Whoever held it may be closing it still. */
void dm_remove(const char *name);

/**
 * struct lw_log - the log of dm-log-writes, mapped
 * @bytes: of the log device
 * @size: how many
 * @left: entries not read yet
 * @sector_size: unit of @at, and of the entries
 * @at: of the next entry
 */
struct lw_log {
	const uint8_t *bytes;
	size_t size;
	uint64_t left;
	uint32_t sector_size;
	uint64_t at;
};

#define LW_FLUSH 1U	/* what completed before it began is durable */
#define LW_FUA 2U
#define LW_DISCARD 4U	/* no data */
#define LW_MARK 8U	/* @data is a text, of @length bytes */

/**
 * struct lw_entry - a write, a flush, a discard, or a mark
 * @flags: LW_*
 * @offset: byte of the device
 * @length: bytes
 * @data: what was written
 */
struct lw_entry {
	uint32_t flags;
	uint64_t offset;
	uint64_t length;
	const uint8_t *data;
};

void lw_open(struct lw_log *log, const void *bytes, size_t size);
/* False: that was the last one. */
bool lw_next(struct lw_log *log, struct lw_entry *entry);
/* All of them, of a device of so many bytes: how many. */
uint32_t lw_read(const void *bytes, size_t size, uint64_t device, struct lw_entry *entries, uint32_t most);
#define LW_POISON 0xdd	/* what was discarded may have any content */
/* Write it to an image of the device. */
void lw_apply(uint8_t *to, const struct lw_entry *entry);
/* The number that a mark of ours begins with, or 0. */
uint32_t lw_marked(const struct lw_entry *entry);

#endif
