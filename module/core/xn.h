/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine of xn: who owns which block of a disk, and what of it survives a crash. It runs in the
 * module, and, with a simulated disk, in the unit tests, fuzzers and crash tests.
 *
 * One caller at a time (the disk's lock). It asks its surroundings (struct exo_xn_host) for memory,
 * I/O and the templates' functions; these may sleep. Data I/O does not come through here: it asks
 * exo_xn_readable() and says exo_xn_written().
 *
 * Three rules of soft updates (Ganger & Patt), as in XN (Kaashoek et al., SOSP'97, 4.3), and what keeps them:
 *  1. no durable pointer to metadata that was not written: units go with what points at them, in one transaction;
 *     data that was not written since it was allocated reads as zeros, across crashes, too;
 *  2. no reuse before every durable pointer is gone: freed blocks stay taken until the transaction is durable;
 *  3. a move never loses the block: both pointers change in one transaction.
 */
#ifndef EXO_CORE_XN_H
#define EXO_CORE_XN_H

#include "core/types.h"

/*
 * Only bench/ builds with EXO_XN_UNCHECKED (X2): then whoever asks is believed, so that what it costs to ask can be
 * measured. No such module is ever installed; it says so when it is loaded.
 */
#ifdef EXO_XN_UNCHECKED
#define EXO_XN_CHECKED 0
#else
#define EXO_XN_CHECKED 1
#endif

struct exo_xn;

#define EXO_XN_ROOTS 1024U	/* of a disk; numbers are 1 .. EXO_XN_ROOTS */
#define EXO_XN_TEMPLATES 1024U
#define EXO_XN_GROUP 32768U	/* blocks of a group; its map stands at its beginning */
#define EXO_XN_MAP_ENTRIES 1020U	/* of a block of the map */

/* An entry of the map: who has a block. */
#define EXO_XN_ENTRY_ROOT 0x0000ffffU	/* root that has it (or had it last) */
#define EXO_XN_ENTRY_REFS 0x3fff0000U	/* pointers to it */
#define EXO_XN_ENTRY_REF 0x00010000U	/* one */
#define EXO_XN_ENTRY_TAKEN 0x40000000U
#define EXO_XN_ENTRY_INIT 0x80000000U	/* durably written since it was allocated: may be read */
#define EXO_XN_SYSTEM_ROOT 0xffffU	/* exo's own blocks */

/**
 * struct exo_xn_extent - what a unit points at
 * @block: first
 * @count: blocks
 * @slot: template, as the pointing unit's template numbers them; EXO_XN_DATA
 */
struct exo_xn_extent {
	u64 block;
	u32 count;
	u32 slot;
};

/**
 * struct exo_xn_extents - a list of them, which the caller has room for
 * @at: room
 * @nr: filled
 * @max: room
 */
struct exo_xn_extents {
	struct exo_xn_extent *at;
	u32 nr;
	u32 max;
};

/* core/xn_delta.c: sets of extents. */

void exo_xn_extents_sort(struct exo_xn_extents *set);
/* Sort; adjacent ones of plain data become one. -EINVAL: empty, out of [first, end), overlapping. */
int exo_xn_extents_tidy(struct exo_xn_extents *set, u64 first, u64 end);
/* after == before + added - freed, exactly; all four tidied. @block: of the first difference */
bool exo_xn_delta_holds(const struct exo_xn_extents *before, const struct exo_xn_extents *after,
			const struct exo_xn_extents *added, const struct exo_xn_extents *freed,
			u64 *block);
/* the extent of @set that has all of the blocks, or NULL */
const struct exo_xn_extent *exo_xn_extents_find(const struct exo_xn_extents *set, u64 block, u32 count);

/**
 * struct exo_xn_template_core - a template in memory
 * @number: 1 .. EXO_XN_TEMPLATES
 * @uid: who installed it
 * @head_bytes: see struct exo_xn_template_add
 * @part_bytes: the same
 * @refs: numbers that slots 1 .. stand for
 * @users: roots and templates that use it
 * @block: where its stored content is
 * @blocks: how many
 * @length: bytes of it
 * @hash: of the content
 * @name: for people
 * @funcs: the host's: compiled functions; NULL: not loaded
 */
struct exo_xn_template_core {
	u32 number;
	u32 uid;
	u32 head_bytes;
	u32 part_bytes;
	u32 refs[EXO_XN_REFS];
	u32 users;
	u64 block;
	u32 blocks;
	u32 length;
	u8 hash[32];
	char name[EXO_XN_NAME];
	void *funcs;
};

/**
 * struct exo_xn_who - on whose behalf
 * @uid: of the initial user namespace
 * @admin: may do all; acl isn't asked
 * @keys: that are presented
 * @nr_keys: how many
 * @cred: the host's, for exo_group()
 */
struct exo_xn_who {
	u32 uid;
	bool admin;
	const struct exo_xn_key *keys;
	u32 nr_keys;
	const void *cred;
};

/* What acl is asked. */
struct exo_xn_question {
	u32 right;
	u32 slot;
	u64 block;
	u32 count;
	u32 uid;
	u32 owner;
	u32 keys;
};

#define EXO_XN_PREFLUSH (1U << 0)	/* what was completed before is durable first */
#define EXO_XN_FUA (1U << 1)		/* durable when it returns */

/**
 * struct exo_xn_host - what the engine asks of its surroundings
 * @alloc: zeroed memory, or NULL; multiples of 4096 bytes can be given to @read and @write
 * @free: it again; NULL is fine
 * @read: blocks; 0 or -EIO
 * @write: the same; EXO_XN_PREFLUSH, EXO_XN_FUA
 * @flush: all completed writes are durable
 * @discard: their content doesn't matter any more; may do nothing
 * @crc: crc32c of bytes, continued from @seed
 * @hash: SHA-256
 * @seconds: since 1970
 * @compile: make a template's functions from its stored content; sets @funcs. -EINVAL: the content is bad;
 *	-ENOMEM
 * @release: free @funcs
 * @owns: run owns on a part of a unit; extents are appended. -EINVAL: aborted; -E2BIG: too many
 * @acl: 1: allowed; 0: not, or aborted
 * @size: bytes of the unit that begins with this block; 0: aborted
 * @drain: blocks are going to be freed: no new data I/O on them, and none is in flight when it returns
 */
struct exo_xn_host {
	void *(*alloc)(struct exo_xn *xn, size_t bytes);
	void (*free)(struct exo_xn *xn, void *mem);
	int (*read)(struct exo_xn *xn, u64 block, u32 count, void *to);
	int (*write)(struct exo_xn *xn, u64 block, u32 count, const void *from, u32 flags);
	int (*flush)(struct exo_xn *xn);
	void (*discard)(struct exo_xn *xn, u64 block, u64 count);
	u32 (*crc)(u32 seed, const void *bytes, size_t length);
	void (*hash)(const void *bytes, size_t length, u8 out[32]);
	u64 (*seconds)(struct exo_xn *xn);
	int (*compile)(struct exo_xn *xn, struct exo_xn_template_core *t, const void *content,
		       u32 length, struct exo_graft_error *err, u32 *func);
	void (*release)(struct exo_xn *xn, struct exo_xn_template_core *t);
	int (*owns)(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		    u32 length, u32 part, u64 block, struct exo_xn_extents *out);
	bool (*acl)(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		    u32 length, const struct exo_xn_question *q, const struct exo_xn_who *who);
	u32 (*size)(struct exo_xn *xn, const struct exo_xn_template_core *t, const void *bytes,
		    u32 length);
	void (*drain)(struct exo_xn *xn, u64 block, u64 count);
};

/* Rules that tests switch off one by one, to see that they find what is then wrong. */
#define EXO_XN_BREAK_REUSE (1U << 0)	/* freed blocks are free at once */
#define EXO_XN_BREAK_PREFLUSH (1U << 1)	/* a commit doesn't flush data first */
#define EXO_XN_BREAK_FUA (1U << 2)	/* a commit returns before it is durable */
#define EXO_XN_BREAK_INIT (1U << 3)	/* INIT is set at allocation */
#define EXO_XN_BREAK_TAIL (1U << 4)	/* the log's tail advances before the homes are flushed */
#define EXO_XN_BREAK_REVOKE (1U << 5)	/* replay writes units that were freed later */
#define EXO_XN_BREAK_DELTA (1U << 6)	/* owns isn't compared */

/**
 * struct exo_xn_root_core - a root in memory
 * @number: 1 .. EXO_XN_ROOTS; 0: none
 * @flags: EXO_XN_ROOT_TEMPORARY, _QUARANTINED
 * @uid: owner
 * @template: of its first unit
 * @unit_blocks: of its first unit
 * @block: its first unit
 * @blocks: that it has, uncommitted ones too
 * @max_blocks: 0: no limit
 * @waiting: freed and not yet committed
 * @dirty: there is something to commit
 * @requested: somebody waits for a commit
 * @key_hash: SHA-256 of its key, or zero
 * @name: for people
 */
struct exo_xn_root_core {
	u32 number;
	u32 flags;
	u32 uid;
	u32 template;
	u32 unit_blocks;
	u64 block;
	u64 blocks;
	u64 max_blocks;
	u64 waiting;
	bool dirty;
	bool requested;
	u8 key_hash[32];
	char name[EXO_XN_NAME];
};

/**
 * struct exo_xn_unit - a unit of metadata in memory
 * @block: its first
 * @blocks: how many
 * @root: number
 * @template: number
 * @generation: rises with each change, and when it is freed
 * @now: bytes as everybody sees them; NULL: it was freed, or (not while it is held) given back
 */
struct exo_xn_unit {
	u64 block;
	u32 blocks;
	u32 root;
	u32 template;
	u64 generation;
	u8 *now;
};

/* A step, its bytes copied. Fields as in struct exo_xn_step. */
struct exo_xn_step_core {
	u32 kind;
	u32 slot;
	u64 parent;
	u64 block;
	u64 from;
	u32 count;
	u32 offset;
	u32 length;
	const u8 *bytes;
};

struct exo_xn_stat {
	u64 blocks;
	u64 free;
	u64 waiting;
	u64 first;
	u64 commits;
	u64 uid_blocks;
	u64 replayed;
	u64 read;
	u32 roots;
	u32 quarantined;
	bool failed;
	u8 uuid[16];
};

/* core/xn_format.c */
struct exo_xn_format_opts {
	u64 blocks;
	u32 log_blocks;
	u64 uid_blocks;
	u8 uuid[16];
	bool force;
};
/* -EBUSY: there is one of exo's already, and no force; -ENOSPC: too small */
int exo_xn_format(const struct exo_xn_host *host, void *priv, const struct exo_xn_format_opts *opts);

/* core/xn_disk.c: attach recovers. -EINVAL: not a disk of exo's, or its own state is damaged. */
int exo_xn_attach(const struct exo_xn_host *host, void *priv, u64 blocks, u32 broken,
		  struct exo_xn **out);
void *exo_xn_priv(struct exo_xn *xn);
/* Write all committed state home. Uncommitted changes are lost, as in a crash. */
int exo_xn_detach(struct exo_xn *xn);
/* Forget it, as it is: after detach, or when the device is gone. */
void exo_xn_free(struct exo_xn *xn);
int exo_xn_grow(struct exo_xn *xn, u64 blocks);
void exo_xn_stat(struct exo_xn *xn, struct exo_xn_stat *out);
int exo_xn_checkpoint(struct exo_xn *xn);

/* core/xn_quota.c: in blocks; a limit of 0: none */
u64 exo_xn_uid_blocks(const struct exo_xn *xn, u32 uid);
u64 exo_xn_uid_limit(const struct exo_xn *xn, u32 uid, bool *out_own);
/* What it may still get; ~0: there is no limit. */
u64 exo_xn_uid_room(const struct exo_xn *xn, u32 uid);
bool exo_xn_uid_next(const struct exo_xn *xn, u32 from, u32 *out);
int exo_xn_quota_all(struct exo_xn *xn, u64 blocks);
int exo_xn_quota_set(struct exo_xn *xn, u32 uid, u64 blocks);
int exo_xn_quota_forget(struct exo_xn *xn, u32 uid);

/**
 * struct exo_xn_arrival - a disk comes to a machine
 * @machine: 16 bytes that are this one's; zeros: isn't said
 * @map: owners are mapped
 * @again: although they were, by the same map on the same machine
 * @uids: the map, tidied
 * @nr: its ranges
 * @moved: out: it was attached on another machine last
 * @mapped: out: the map was applied
 * @before: out: it was applied before, and not again
 * @changed: out: roots and templates that have another owner now
 * @nobody: out: of these, EXO_XN_NOBODY's
 * @uid: out: two who can't both become @to
 * @to: out: see @uid
 * @name: out: a template's, which both have; else empty
 */
struct exo_xn_arrival {
	u8 machine[16];
	bool map;
	bool again;
	const struct exo_xn_uids *uids;
	u32 nr;
	bool moved;
	bool mapped;
	bool before;
	u32 changed;
	u32 nobody;
	u32 uid[2];
	u32 to;
	char name[EXO_XN_NAME];
};

/* core/xn_owners.c */
int exo_xn_uids_tidy(struct exo_xn_uids *uids, u32 *nr);
u32 exo_xn_uids_to(const struct exo_xn_uids *uids, u32 nr, u32 uid);
int exo_xn_arrive(struct exo_xn *xn, struct exo_xn_arrival *arrival);

/* core/xn_map.c */
int exo_xn_map_show(struct exo_xn *xn, u64 start, u32 count, u32 uid, u8 *out);
/* The entry of a block as everybody sees it, EXO_XN_ENTRY_INIT: it may be read. Under the lock. */
int exo_xn_map_look(struct exo_xn *xn, u64 block, u32 *entry);
/* Whoever asks about blocks without the lock holds their map: all that is lock-free here needs that. */
int exo_xn_map_hold(struct exo_xn *xn, u64 block, u64 count);
void exo_xn_map_unhold(struct exo_xn *xn, u64 block, u64 count);
/* Bit n: block start + n may be read (else it reads as zeros). At most 64 blocks. Lock-free: their map is held. */
u64 exo_xn_readable(struct exo_xn *xn, u64 start, u32 count);
/* A write of these has completed. Lock-free. */
void exo_xn_written(struct exo_xn *xn, u64 start, u32 count);
/* Durable already that these are written? Else exo_xn_commit_written() is needed for DURABLE. Lock-free. */
bool exo_xn_init_durable(struct exo_xn *xn, u64 start, u32 count);
u64 exo_xn_trim(struct exo_xn *xn, u64 start, u64 count);

/* core/xn_root.c */
int exo_xn_template_add(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
			const u32 *refs, u32 head_bytes, u32 part_bytes, const void *content,
			u32 length, struct exo_graft_error *err, u32 *func, u32 *out);
int exo_xn_template_remove(struct exo_xn *xn, const struct exo_xn_who *who, u32 number);
struct exo_xn_template_core *exo_xn_template(struct exo_xn *xn, u32 number);
struct exo_xn_root_core *exo_xn_root(struct exo_xn *xn, u32 number);
int exo_xn_root_create(struct exo_xn *xn, const struct exo_xn_who *who, const char *name,
		       u32 template, u32 flags, u64 near, u64 max_blocks, const u8 *key,
		       const void *bytes, u32 length, u32 *out_root);
/* 1: begun, durably; exo_xn_root_delete_on(), with the lock let go in between, until that says 0. */
int exo_xn_root_delete(struct exo_xn *xn, const struct exo_xn_who *who, u32 root);
int exo_xn_root_delete_on(struct exo_xn *xn, u32 root);
int exo_xn_root_chown(struct exo_xn *xn, u32 root, u32 uid);
int exo_xn_root_limit(struct exo_xn *xn, u32 root, u64 max_blocks);
int exo_xn_root_release(struct exo_xn *xn, u32 root);

/* core/xn_cache.c */
#define EXO_XN_MEMORY (64U << 20)	/* bytes of units and map that a disk keeps, if nothing else is said */
void exo_xn_limit(struct exo_xn *xn, u64 bytes);

/*
 * core/xn_unit.c: load a unit that @parent owns (or the root's own). ENOENT, EACCES, EINVAL, EIO, ENOMEM.
 * It may be given back by the next call that loads, changes or shows anything; who is held still has his generation.
 */
int exo_xn_unit_load(struct exo_xn *xn, u32 root, u64 parent, u64 block, struct exo_xn_unit **out);
struct exo_xn_unit *exo_xn_unit_find(struct exo_xn *xn, u32 root, u64 block);
/* Whoever keeps a pointer to a unit beyond the disk lock (to look at its generation) holds it. */
void exo_xn_unit_get(struct exo_xn_unit *unit);
void exo_xn_unit_put(struct exo_xn *xn, struct exo_xn_unit *unit);
int exo_xn_unit_again(struct exo_xn *xn, struct exo_xn_unit *unit, bool nowait);
bool exo_xn_may(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		u32 right, u32 slot, u64 block, u32 count);
/* 0: @unit owns all of these as data and @who may; else -ENOENT, -EACCES */
int exo_xn_bind_check(struct exo_xn *xn, const struct exo_xn_unit *unit, const struct exo_xn_who *who,
		      u64 block, u32 count, u32 rights);

/*
 * core/xn_apply.c: others wait for the disk while a change is made, so one call may do so much: about as many
 * instructions of a function. The host says what functions did.
 */
#define EXO_XN_WORK (1ULL << 28)
#define EXO_XN_WORK_RUN 256U		/* each run costs so much, */
#define EXO_XN_WORK_BYTES 16U		/* and one for so many bytes that are copied for it */
void exo_xn_worked(struct exo_xn *xn, u64 work);
int exo_xn_apply(struct exo_xn *xn, const struct exo_xn_who *who, u32 root,
		 const struct exo_xn_step_core *steps, u32 nr_steps, u32 *out_step, u64 *out_block);

/* core/xn_log.c: one transaction of all roots that are @requested (and dirty), and all that was written */
int exo_xn_commit(struct exo_xn *xn, u64 *out_seq);
int exo_xn_commit_written(struct exo_xn *xn);

/* core/xn_walk.c: a step of a full walk. @flags: EXO_XN_CHECK_REPAIR, EXO_XN_CHECK_SCRUB */
struct exo_xn_walk;
int exo_xn_walk_begin(struct exo_xn *xn, u32 flags, struct exo_xn_walk **out);
/* 1: there is more; 0: done; -ENOMEM: go on later; -ESTALE: the disk has grown, begin anew; -EIO */
int exo_xn_walk_step(struct exo_xn_walk *walk, u32 units);
void exo_xn_walk_show(const struct exo_xn_walk *walk, struct exo_xn_check *out);
void exo_xn_walk_end(struct exo_xn_walk *walk);

#endif
