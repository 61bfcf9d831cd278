/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A simulated disk with a volatile write cache, for the engine of xn (core/xn.h).
 *
 * It remembers every write that isn't durable yet. sim_crash() makes the disk as a power failure may leave
 * it: what was flushed, or written with FUA, is there; of each other sector (512 bytes) some write, or none.
 * Memory and I/O can fail on demand. Templates are C functions, chosen by their stored content.
 */
#ifndef EXO_XN_SIM_H
#define EXO_XN_SIM_H

#include "core/xn.h"

#define SIM_SECTOR 512U
#define SIM_SECTORS (EXO_XN_BLOCK / SIM_SECTOR)

/* A block's content: shared between images, never changed once it is shared. */
struct sim_page {
	u32 refs;
	u8 bytes[EXO_XN_BLOCK];
};

struct sim_image {
	u64 blocks;
	struct sim_page **at;	/* NULL: zeros */
};

enum sim_kind { SIM_WRITE, SIM_FLUSH };

/**
 * struct sim_event - what the disk was told to do
 * @kind: SIM_WRITE or SIM_FLUSH
 * @flags: EXO_XN_PREFLUSH, EXO_XN_FUA
 * @pages: what is written, a block each
 * @completed: the disk has said that it is done; a flush says nothing about others
 */
struct sim_event {
	enum sim_kind kind;
	u32 flags;
	u64 block;
	u32 count;
	bool completed;
	struct sim_page **pages;
};

enum sim_crash {
	SIM_ALL,	/* every write that was completed is there */
	SIM_NONE,	/* only what had to be durable */
	SIM_SOME,	/* blocks, at random */
	SIM_TORN,	/* sectors, at random; of the write that is in flight, too */
};

/**
 * struct sim - a disk, and what surrounds the engine
 * @host: give this to the engine, and the struct itself as priv
 * @now: what is read
 * @durable: what is on the platter for certain, before @event
 * @event: since then
 * @fail_alloc: the n-th allocation from now on fails; 0: none
 * @fail_write: the n-th write or flush; and all after it if @gone
 * @fail_read: the n-th read
 * @gone: the device doesn't come back after its first failure
 * @live: allocations that were not freed
 * @drain: called by host.drain
 * @meddle: called before owns looks at a unit
 */
struct sim {
	struct exo_xn_host host;
	struct sim_image now;
	struct sim_image durable;
	struct sim_event *event;
	u32 nr_events;
	u32 room;
	u64 fail_alloc;
	u64 fail_write;
	u64 fail_read;
	bool gone;
	bool failed;
	u64 allocs;
	u64 writes;
	u64 reads;
	s64 live;
	u64 lies;
	u64 clock;
	void (*drain)(struct sim *sim, u64 block, u64 count);
	void (*meddle)(struct sim *sim);
	void *priv;
};

struct sim *sim_new(u64 blocks);
/* A disk with this content, all of it durable. */
struct sim *sim_from(const struct sim_image *image);
void sim_free(struct sim *sim);

void sim_image_copy(struct sim_image *to, const struct sim_image *from);
void sim_image_free(struct sim_image *image);
const u8 *sim_bytes(const struct sim_image *image, u64 block);
void sim_poke(struct sim_image *image, u64 block, u32 offset, const void *bytes, u32 length);

/* Writes of data: begin submits, end is the completion. One at a time of a block. */
void sim_write_begin(struct sim *sim, u64 block, const void *bytes, u32 flags);
void sim_write_end(struct sim *sim, u64 block);
void sim_flush(struct sim *sim);
/* Forget what is durable by now; events get other numbers. */
void sim_settle(struct sim *sim);
/* The disk after a power failure when events before @upto had been given to it, and @upto is in flight. */
void sim_crash(const struct sim *sim, u32 upto, enum sim_crash how, struct sim_image *out);
/* An event after which something had to be durable? */
bool sim_is_barrier(const struct sim_event *event);

u32 sim_crc(u32 seed, const void *bytes, size_t length);
/* In the first block of a map: a block has so many references; sealed again. */
void sim_map_entry(const struct sim *sim, void *map, u64 block, u32 refs);

/* Formats ------------------------------------------------------------------------------------------ */

enum sim_format_kind {
	SIM_LIST,	/* records of extents, in parts of 512 bytes */
	SIM_TREE,	/* keys and pointers, sorted, no parts; a pointer is a unit above level 0 */
	SIM_EVIL,	/* SIM_LIST that does what struct sim_unit.evil says */
	SIM_KINDS,
};

#define SIM_MAGIC 0x66783a73U
#define SIM_PART 512U

/* A template's stored content. */
struct sim_content {
	u32 magic;
	u32 kind;
	u32 salt;	/* makes templates of a kind different */
	u32 reserved[13];
};

enum sim_mode {
	SIM_ALL_READ = 1 << 0,
	SIM_ALL_DO = 1 << 1,
	SIM_KEY_DOES = 1 << 2,
};

enum sim_evil {
	SIM_GOOD,
	SIM_ABORT,
	SIM_BILLION,
	SIM_DIFFERS,	/* between calls */
	SIM_BEYOND,	/* the end of the disk */
	SIM_EMPTY,	/* an extent without blocks */
	SIM_WRAPS,	/* block + count is small */
	SIM_DOUBLE,	/* the same extent twice */
	SIM_BAD_SLOT,
	SIM_SYSTEM,	/* exo's own blocks */
	SIM_SIZE_0,
	SIM_SIZE_HUGE,
	SIM_SIZE_ODD,
	SIM_SIZE_ABORT,
	SIM_EVILS,
};

/* The beginning of a unit of any format. */
struct sim_unit {
	u32 bytes;
	u32 mode;	/* enum sim_mode */
	u32 evil;	/* enum sim_evil */
	u32 level;	/* SIM_TREE */
	u32 nr;		/* SIM_TREE: entries */
	u32 payload[11];	/* for the test's scribbles */
};

struct sim_record {
	u64 block;
	u32 count;	/* 0: none */
	u32 slot;
};

struct sim_entry {
	u64 key;
	u64 block;
};

int sim_owns(enum sim_format_kind kind, const void *bytes, u32 length, u32 part, u64 blocks,
	     struct exo_xn_extents *out);
/* The same; SIM_DIFFERS depends on @lies, which grows. */
int sim_owns_lying(enum sim_format_kind kind, const void *bytes, u32 length, u32 part, u64 blocks,
		   u64 *lies, struct exo_xn_extents *out);
/* All that a unit owns. */
int sim_owns_all(enum sim_format_kind kind, const void *bytes, u32 length, u64 blocks,
		 struct exo_xn_extents *out);
/* Change a unit's bytes so that it points at more, or less. -ENOSPC, -ENOENT */
int sim_insert(enum sim_format_kind kind, void *bytes, u32 length, const struct exo_xn_extent *e);
int sim_remove(enum sim_format_kind kind, void *bytes, u32 length, const struct exo_xn_extent *e);

#endif
