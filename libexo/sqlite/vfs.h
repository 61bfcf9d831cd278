/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside libexo-sqlite-vfs.
 *
 *	vfs.c		what SQLite asks about names; registration, fork
 *	vfs_file.c	what SQLite asks of an open file
 *	vfs_lock.c	the file's locks
 *	vfs_fetch.c	pages in place
 *	vfs_wal.c	the WAL's shared memory and its locks
 *	vfs_volume.c	volumes: their roots, directories
 *	vfs_extent.c	a file's units: its blocks and its size
 *	vfs_flush.c	dirty blocks go to the disk; what must be there before
 *	vfs_journal.c	journals: whether they are there, and how much of them counts
 *	vfs_cache.c	blocks in frames
 *	vfs_share.c	what processes share: locks that die with them, versions, memory
 *	vfs_frames.c	the frames that this lies in; when one is taken by force
 *	vfs_memory.c	temporary files
 *	vfs_load.c	SQLite's functions: of the program that links, or of the one that loads us
 *
 * One lock, vfs.lock, guards all of a process; it is held while blocks are read and written.
 * docs/sqlite-vfs.md has the format and the rules (V1 ...).
 */
#ifndef EXO_SQLITE_VFS_INTERNAL_H
#define EXO_SQLITE_VFS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sqlite3.h>

#include <exo/libexo.h>
#include <exo/sqlite_vfs.h>

#include "vfs_format.h"
#include "vfs_load.h"
#include "vfs_share.h"

#define EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define SLAB 64U		/* frames that are allocated and given back together */
#define PATH_MAX_VFS 192

struct file;

/**
 * struct block - a frame with a block of a file
 * @file: NULL: none
 * @next_free, @prev_free: in vfs.free
 * @index: block of the file
 * @frame: the frame
 * @pins: pages that SQLite uses in place
 * @span: of such a page that begins here, how many blocks it has
 * @dirty: newer than the disk; in @file->dirty
 * @used: since the hand came by
 * @gone: not in @file->map any more, though SQLite uses it
 */
struct block {
	struct file *file;
	struct block *next_free, *prev_free;
	char *memory;
	uint32_t index;
	uint32_t frame;
	uint32_t pins;
	uint32_t span;
	bool dirty;
	bool used;
	bool gone;
};

struct slab {
	struct slab *next;
	struct exo_window *window;
	uint32_t frames[SLAB];
	struct block block[SLAB];
};

/* A run of blocks of a file, bound. */
struct run {
	uint64_t block;
	uint32_t count;
	uint32_t binding;	/* 0: not bound yet */
	uint32_t start;		/* block of the file */
};

/**
 * struct file - a file that this process knows; stays until its volume is closed or it is deleted
 * @hash_next: in volume->hash
 * @kind: VFS_KIND_*
 * @index: of its entry in the directory
 * @refs: connections
 * @deleted: not in the directory any more
 * @units: its units
 * @runs: its blocks
 * @blocks: how many these are
 * @used: of these the first ones may have been written
 * @size: bytes, as this process sees it
 * @said: bytes, as its unit says
 * @there: journals: SQLite sees a file
 * @head: journals: its first block on the disk isn't zeros
 * @synced: journals: since it was made SQLite asked for it to be durable
 * @known: journals: what is said here of it is right
 * @map: its blocks in frames; none from @map_end on
 * @dirty: those of them that are dirty
 * @error: of a write that nobody could be told of
 * @shared: what processes share of it
 * @data_seen, @map_seen: versions that this process has seen
 * @last: the last run that was used
 * @main: journals: of which database; else NULL
 * @journal, @wal: of a database, if this process knows them
 * @level: this process' lock; @nr_shared: connections that have at least SHARED
 */
struct file {
	struct file *hash_next;
	struct volume *volume;
	uint32_t kind;
	uint32_t index;
	uint32_t refs;
	bool deleted;
	bool there, head, synced, known;

	uint64_t *units;
	uint32_t nr_units;
	struct run *runs;
	uint32_t nr_runs;
	uint32_t blocks;
	uint32_t used;
	uint32_t last;
	uint64_t size;
	uint64_t said;

	struct block **map;
	uint32_t map_room;
	uint32_t map_end;
	struct block **dirty;
	uint32_t nr_dirty;
	uint32_t dirty_room;
	uint32_t next_read;
	int error;

	struct share_file *shared;
	uint32_t data_seen;
	uint32_t map_seen;

	struct file *main;
	struct file *journal;
	struct file *wal;
	int level;
	uint32_t nr_shared;
	struct wal_memory *memory;

	uint32_t hash;
	char name[VFS_NAME];
};

#define HASH 256U

/* A root that is a directory of files. */
struct volume {
	struct volume *next;
	uint32_t root;
	uint64_t block;
	uint64_t near;			/* lower ones were taken when this process looked last, or others freed them */
	uint32_t dir_seen;
	struct exo_xn_change *change;
	struct share *share;
	struct file *names;		/* whose blocks name what is shared */
	struct share_file unshared;	/* of , before anything is shared */
	uint32_t refs;			/* files that are open */
	struct file *hash[HASH];
	struct vfs_dir dir;
	struct vfs_unit unit;		/* being read or changed */
	struct vfs_unit unit2;
	char name[EXO_XN_NAME];
};

struct vfs {
	pthread_mutex_t lock;
	struct calls calls;
	sqlite3_vfs *base;
	struct exo_env *env;
	struct exo_xn *xn;
	uint32_t logical;
	uint8_t uuid[16];
	struct volume *volumes;
	char disk[32];
	char volume[EXO_XN_NAME];

	struct slab *slabs;
	struct block *free;
	struct slab *hand_slab;
	uint32_t hand;
	uint32_t frames;
	uint32_t nr_free;
	uint32_t limit;
	bool service;
	bool scarce;
	uint32_t zero_frame;	/* 0: not allocated */
	struct exo_sqlite_vfs_stats stats;
};

extern struct vfs vfs;

/* A connection's file: what SQLite allocates for us. */
struct conn {
	sqlite3_file base;
	struct file *file;
	int level;
	uint16_t shm_shared, shm_exclusive;
	bool has_shm;
	bool read_only;
	bool delete_on_close;
	bool powersafe_off;
	int persist_wal;
	sqlite3_int64 mmap_size;
	int chunk;
};

/* vfs.c */
void vfs_say(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What an errno of exo's is to SQLite: @io, or FULL, NOMEM, BUSY. */
int vfs_code(int err, int io);
/* /dev/exo and the disk. 0 or -errno, with a sentence. */
int vfs_open(char *error, size_t size);

/* vfs_volume.c: 0 or -errno */
int volume_get(const char *path, struct volume **out_volume, const char **out_name);
/* The file, or NULL if there is none; create: makes it. */
int volume_file(struct volume *volume, const char *name, bool create, struct file **out_file);
int volume_delete(struct file *file);
/* Is it there, as others see it, too? */
int volume_exists(struct volume *volume, const char *name, bool *out_there);
void file_free(struct file *file);
/* volume->names, made if need be. Before anything is shared, by one process at a time. */
int volume_names(struct volume *volume);

/* vfs_extent.c: 0 or -errno */
int extent_load(struct file *file);
void extent_unload(struct file *file);
/* So many blocks at least. */
int extent_grow(struct file *file, uint32_t blocks);
/* The file has so many blocks at most. */
int extent_cut(struct file *file, uint32_t blocks);
/* Its unit says its size. */
int extent_say_size(struct file *file);
/* The kernel may have forgotten how it came to its units: it is shown the way again. */
int extent_path(struct file *file);
/* Which block of the disk a block is, and which unit owns it. */
int extent_where(struct file *file, uint32_t index, uint64_t *out_unit, uint64_t *out_block);
/* Where a block is: its run, bound. */
int extent_find(struct file *file, uint32_t index, struct run **out_run);
int extent_commit(struct file *file);

/* vfs_cache.c */
struct block *cache_find(struct file *file, uint32_t index);
/* In the cache with its content. 0 or -errno. */
int cache_read(struct file *file, uint32_t index, uint32_t ahead, struct block **out_block);
/* In the cache, to be written over as a whole, or, beyond the end, as zeros. */
int cache_new(struct file *file, uint32_t index, bool zero, struct block **out_block);
int cache_dirty(struct block *block);
/* All blocks from this one on go, whatever is in them. */
void cache_drop(struct file *file, uint32_t from);
/* The clean ones go: another process wrote. */
void cache_forget(struct file *file);
/* Whose memory this is, or NULL. */
struct block *cache_at(const char *memory);
/*
 * So many blocks with their frames side by side, of no file, pinned: for cache_place(), after which they are where others were;
 * or, without, for cache_unpin() alone. NULL: there are none.
 */
struct block *cache_group(uint32_t count);
int cache_place(struct file *file, uint32_t index, struct block *first, uint32_t count);
void cache_unpin(struct block *first, uint32_t count);
/* Frames are short: so many go, in whole slabs, if they can; and no more are taken. How many went. */
uint32_t cache_give(uint32_t wanted);
/*
 * What the user is guaranteed isn't asked back, nor taken. Beyond that, when he takes so many more, somebody must listen; a thread
 * makes all of a program's memory allocation dearer. False: nobody can.
 */
bool cache_listen(uint32_t more);
int cache_open(void);

/* vfs_flush.c */
#define FLUSH_FEW 3U	/* so many requests with FUA are cheaper than a flush behind them */
#define FLUSH_DURABLE 1U
#define FLUSH_EVICT 2U	/* only to have frames: a journal's first block, which makes it count, waits */
int flush_file(struct file *file, uint32_t flags);
/* Reads count blocks into frames. */
int flush_read(struct file *file, uint32_t index, const uint32_t *frames, uint32_t count);
int flush_write(struct file *file, uint32_t index, const uint32_t *frames, uint32_t count,
		bool durable);
/* Nobody may see less than what was written. */
int flush_back(struct file *file);
/* All that is dirty, with FUA if @durable. */
int flush_dirty(struct file *file, bool durable);
uint32_t flush_runs(struct file *file);
int flush_wait(struct file *file);
void flush_tell(struct file *file);

/* vfs_journal.c */
int journal_know(struct file *file);
int journal_flush(struct file *file, uint32_t flags);
/* It is there no more (V4). */
int journal_zero(struct file *file);
/* SQLite makes it: empty, nothing is on the disk yet. */
void journal_make(struct file *file);
/* Others are told that it is there. */
void journal_there(struct file *file);

/* vfs_file.c */
extern const sqlite3_io_methods file_methods;
/* What other processes did is seen from here on. 0 or -errno. */
int file_catch_up(struct file *file);

static inline int file_look(struct file *file)
{
	const struct share_file *shared = file->shared;

	if (likely(__atomic_load_n(&shared->data, __ATOMIC_ACQUIRE) == file->data_seen &&
		   __atomic_load_n(&shared->map, __ATOMIC_ACQUIRE) == file->map_seen))
		return 0;
	return file_catch_up(file);
}

/* vfs_lock.c */
int lock_file(sqlite3_file *base, int level);
int lock_unlock(sqlite3_file *base, int level);
int lock_check_reserved(sqlite3_file *base, int *out_reserved);
/* With vfs.lock. 0 or -errno: of what was written back. */
int lock_give(struct conn *conn, int level);

/* vfs_fetch.c */
int fetch_page(sqlite3_file *base, sqlite3_int64 at, int count, void **out_page);
int fetch_done(sqlite3_file *base, sqlite3_int64 at, void *page);

/* vfs_wal.c */
int wal_map(sqlite3_file *base, int region, int size, int extend, void volatile **out);
int wal_lock(sqlite3_file *base, int offset, int n, int flags);
void wal_barrier(sqlite3_file *base);
int wal_unmap(sqlite3_file *base, int delete_it);

/* vfs_memory.c */
int memory_open(sqlite3_file *base, int flags, int *out_flags);
size_t memory_size(void);

/* vfs_load.c */
void load_linked(struct calls *calls);

#endif
