/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * xn: raw disk blocks. A *disk* is a whole block device that an admin handed to exo. Its blocks have
 * 4 KiB and are named (disk, block). Programs keep their own formats on it: a *root* is a tree of
 * *units* of metadata (1 to 16 blocks) and of data blocks. What a unit points at is said by the `owns`
 * function of its *template*, a graft that the format's author wrote; exo knows the owner of a block by
 * running it. docs/xn.md has the whole story.
 *
 * Changes of a root's units (EXO_XN_APPLY) take effect at once for everybody, and become durable, all
 * of the root together and in one piece, with EXO_XN_COMMIT. After a crash a root is as it was at a commit.
 * Data is written in place through *extent bindings* (EXO_XN_BIND, EXO_XN_IO), in any order, with one rule:
 * whoever had a block before, its content can't be read until it was overwritten.
 */
#ifndef _UAPI_EXO_XN_H
#define _UAPI_EXO_XN_H

#include <exo/types.h>

#include <exo/cap.h>
#include <exo/graft.h>

#define EXO_XN_BLOCK 4096U
#define EXO_XN_UNIT_BLOCKS 16U		/* most blocks of a unit */
#define EXO_XN_NAME 48			/* bytes of a name, the 0 at its end included */
#define EXO_XN_REFS 8U			/* templates that a template may name */
#define EXO_XN_EXTENTS 8192U		/* most extents that one unit may own */
#define EXO_XN_KEYS 4U			/* keys that may be presented with a command */

/* What is asked of `acl`. */
enum exo_xn_right {
	EXO_XN_MAY_READ = 1,
	EXO_XN_MAY_WRITE = 2,	/* the unit's bytes, or a data block that it owns */
	EXO_XN_MAY_ALLOC = 3,	/* something new under the unit */
	EXO_XN_MAY_FREE = 4,
	EXO_XN_MAY_LINK = 5,	/* a second pointer to something that the unit owns */
};

/*
 * The context of a template's functions: a frozen ABI. Numbers of templates are *slots* here: 0 is the
 * template itself, 1 .. EXO_XN_REFS what it named at EXO_XN_TEMPLATE_ADD, EXO_XN_DATA plain data.
 */
#define EXO_XN_SELF 0U
#define EXO_XN_DATA 0xffU	/* blocks without pointers: bound and read and written by their owner */

/* owns: calls exo_emit(block, count, slot) for all that this part of the unit points at; returns 0. */
struct exo_ctx_xn_owns {
	__aligned_u64 data;		/* bytes of the part */
	__aligned_u64 data_end;
	__aligned_u64 part;		/* which */
	__aligned_u64 block;		/* the unit's first block */
};

/* acl: nonzero allows. exo_group(gid) says whether the caller is in a group. */
struct exo_ctx_xn_acl {
	__aligned_u64 data;		/* the unit's bytes */
	__aligned_u64 data_end;
	__aligned_u64 right;		/* enum exo_xn_right */
	__aligned_u64 uid;		/* who asks */
	__aligned_u64 owner;		/* uid that owns the root */
	__aligned_u64 keys;		/* bit n: the root's key n was presented */
	__aligned_u64 slot;		/* of what it is about; EXO_XN_SELF for the unit itself */
	__aligned_u64 block;		/* its first block */
	__aligned_u64 count;
	__aligned_u64 time;		/* seconds since 1970 */
};

/* size: bytes of a unit, by its first block; at most EXO_XN_UNIT_BLOCKS * EXO_XN_BLOCK. */
struct exo_ctx_xn_size {
	__aligned_u64 data;
	__aligned_u64 data_end;
};

/* Disks (ADMIN, but for DISK and MAP) ------------------------------------------------------------------ */

#define EXO_XN_FORMAT_FORCE (1U << 0)	/* although there is something of exo's on it */

/**
 * struct exo_xn_format - EXO_XN_FORMAT (ADMIN): make an empty disk of a block device
 * @path: of the device, a string
 * @log_blocks: of the log; 0: as exo finds right
 * @uid_blocks: quota of every uid that gets none of its own (EXO_XN_QUOTA); 0: none
 */
struct exo_xn_format {
	__u32 size;
	__u32 flags;
	__aligned_u64 path;
	__u32 log_blocks;
	__u32 reserved;
	__aligned_u64 uid_blocks;
};
#define EXO_XN_FORMAT _IO(EXO_TYPE, EXO_NR_XN_FORMAT)

#define EXO_XN_ATTACH_CHECK (1U << 0)	/* walk everything */
#define EXO_XN_ATTACH_UIDS (1U << 1)	/* roots and templates get owners as @uids says */
#define EXO_XN_ATTACH_AGAIN (1U << 2)	/* with UIDS: although that was done already */

#define EXO_XN_UIDS 340U		/* most ranges of a map */
#define EXO_XN_NOBODY 0xffffffffU	/* the uid of nobody: as an owner, only an admin is let in */

/**
 * struct exo_xn_uids - a range of a map of uids
 * @from: the first of these on the disk ...
 * @to: ... is this one from now on
 * @count: how many. No @from is in two ranges, and none is EXO_XN_NOBODY, nor becomes it
 */
struct exo_xn_uids {
	__u32 from;
	__u32 to;
	__u32 count;
	__u32 reserved;
};

#define EXO_XN_ATTACH_MOVED (1U << 0)	/* the machine isn't the one that was said the last time */
#define EXO_XN_ATTACH_MAPPED (1U << 1)	/* the map was applied, now */
#define EXO_XN_ATTACH_BEFORE (1U << 2)	/* it was applied on this machine already, as the last one */

/**
 * struct exo_xn_attach - EXO_XN_ATTACH (ADMIN): open a disk exclusively, recover it, let it be used
 * @path: of the device
 * @out_disk: its number, until it is detached
 * @out_roots: roots on it
 * @out_quarantined: of these, quarantined
 * @out_replayed: transactions that were found in the log
 * @out_read: blocks read for the recovery
 * @uids: with UIDS: struct exo_xn_uids[]; who owns something and isn't in them: EXO_XN_NOBODY from now on
 * @nr_uids: how many; 0: all that is on the disk is nobody's from now on
 * @out_flags: EXO_XN_ATTACH_MOVED, _MAPPED, _BEFORE
 * @out_changed: roots and templates that have another owner now
 * @out_nobody: of these, EXO_XN_NOBODY's
 * @out_uid: EEXIST: two who would become @out_to, and have each a template @out_name. EDQUOT: two who would
 *	together have more than a user may
 * @out_to: see @out_uid
 * @machine: where this is, in 16 bytes; needed for UIDS. The disk keeps a hash of it. Zeros: isn't said
 * @out_name: see @out_uid; else it is empty
 *
 * The map is applied in one transaction before anybody can use the disk, and once: the transaction says with which map
 * it was, and on which machine. After EEXIST, EDQUOT and ENOSPC (the log is too short for so many) it wasn't applied.
 */
struct exo_xn_attach {
	__u32 size;
	__u32 flags;
	__aligned_u64 path;
	__u32 out_disk;
	__u32 out_roots;
	__u32 out_quarantined;
	__u32 reserved;
	__aligned_u64 out_replayed;
	__aligned_u64 out_read;
	/* Until here it went at first: size 48. */
	__aligned_u64 uids;
	__u32 nr_uids;
	__u32 out_flags;
	__u32 out_changed;
	__u32 out_nobody;
	__u32 out_uid[2];
	__u32 out_to;
	__u32 reserved1;
	__u8 machine[16];
	char out_name[EXO_XN_NAME];
};
#define EXO_XN_ATTACH _IO(EXO_TYPE, EXO_NR_XN_ATTACH)

#define EXO_XN_DETACH_FORCE (1U << 0)	/* although roots are in use: bindings become stale */

/**
 * struct exo_xn_detach - EXO_XN_DETACH (ADMIN): write everything home, close the device
 * @disk: number
 */
struct exo_xn_detach {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 reserved;
};
#define EXO_XN_DETACH _IO(EXO_TYPE, EXO_NR_XN_DETACH)

/**
 * struct exo_xn_grow - EXO_XN_GROW (ADMIN): the device has become larger
 * @disk: number
 * @out_blocks: what it has now
 */
struct exo_xn_grow {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 reserved;
	__aligned_u64 out_blocks;
};
#define EXO_XN_GROW _IO(EXO_TYPE, EXO_NR_XN_GROW)

#define EXO_XN_CHECK_REPAIR (1U << 0)	/* free what nobody owns, quarantine bad roots */
#define EXO_XN_CHECK_SCRUB (1U << 1)	/* read every allocated block, too */

/**
 * struct exo_xn_check - EXO_XN_CHECK (ADMIN): walk all roots with their own functions, a step a call
 * @disk: number
 * @cursor: 0 at the first call; what the last one left afterwards
 * @out_done: 1: that was all
 * @out_visited: blocks visited so far
 * @out_total: blocks that are allocated
 * @out_leaked: allocated, and nobody owns them
 * @out_bad: roots that don't agree with the map, or whose functions fail
 * @out_errors: blocks that can't be read
 */
struct exo_xn_check {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 out_done;
	__aligned_u64 cursor;
	__aligned_u64 out_visited;
	__aligned_u64 out_total;
	__aligned_u64 out_leaked;
	__aligned_u64 out_bad;
	__aligned_u64 out_errors;
};
#define EXO_XN_CHECK _IO(EXO_TYPE, EXO_NR_XN_CHECK)

/**
 * struct exo_xn_trim - EXO_XN_TRIM (ADMIN): discard what is free and durably so
 * @disk: number
 * @start: block
 * @count: blocks
 * @out_trimmed: blocks
 */
struct exo_xn_trim {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 reserved;
	__aligned_u64 start;
	__aligned_u64 count;
	__aligned_u64 out_trimmed;
};
#define EXO_XN_TRIM _IO(EXO_TYPE, EXO_NR_XN_TRIM)

#define EXO_XN_IS_FAILED (1U << 0)	/* an error stopped it: nothing can be changed until it is attached again */
#define EXO_XN_HAS_CACHE (1U << 1)	/* the device has a volatile cache */
#define EXO_XN_HAS_FUA (1U << 2)
#define EXO_XN_HAS_DISCARD (1U << 3)
#define EXO_XN_HAS_POLL (1U << 4)

/**
 * struct exo_xn_disk - EXO_XN_DISK: what a disk is
 * @disk: number; with @flags EXO_XN_DISK_NEXT the first one above it
 * @out_flags: EXO_XN_IS_*, EXO_XN_HAS_*
 * @out_blocks: of the disk
 * @out_free: free
 * @out_waiting: freed, and not yet durably so
 * @out_first: the first block that is nobody's by nature
 * @out_logical: bytes that the device writes in one piece
 * @out_roots: roots
 * @out_commits: transactions since it was attached
 * @out_uid_blocks: quota of the caller's uid, 0: none
 * @out_my_blocks: of the caller's uid, with those that wait for a commit of his roots
 * @out_uuid: made at the format
 * @out_name: of the device
 */
#define EXO_XN_DISK_NEXT (1U << 0)
struct exo_xn_disk {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 out_flags;
	__aligned_u64 out_blocks;
	__aligned_u64 out_free;
	__aligned_u64 out_waiting;
	__aligned_u64 out_first;
	__u32 out_logical;
	__u32 out_roots;
	__aligned_u64 out_commits;
	__aligned_u64 out_uid_blocks;
	__aligned_u64 out_my_blocks;
	__u8 out_uuid[16];
	char out_name[32];
};
#define EXO_XN_DISK _IO(EXO_TYPE, EXO_NR_XN_DISK)

#define EXO_XN_QUOTA_NEXT (1U << 0)	/* ADMIN: the first uid from @uid on that has something there, or a limit of its own */
#define EXO_XN_QUOTA_SET (1U << 1)	/* ADMIN. ENOSPC: too many have limits of their own */
#define EXO_XN_QUOTA_FORGET (1U << 2)	/* ADMIN: the default holds again */
#define EXO_XN_QUOTA_DEFAULT (1U << 31)	/* alone or with SET: the limit of all who have none of their own; @uid is 0 */

#define EXO_XN_QUOTA_OWN (1U << 0)	/* out: the limit is its own */

/**
 * struct exo_xn_quota - EXO_XN_QUOTA: how many blocks a user may have (one's own, or ADMIN). Durable
 * @flags: 0, or one of EXO_XN_QUOTA_*
 * @disk: number
 * @uid: whose, of the initial user namespace
 * @blocks: SET: at most that many; 0: no limit. Who has more keeps it, and gets nothing
 * @out_uid: whose
 * @out_flags: EXO_XN_QUOTA_OWN
 * @out_blocks: what holds now; 0: no limit
 * @out_used: blocks of its roots, with those that wait for a commit, and of its templates
 */
struct exo_xn_quota {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 uid;
	__aligned_u64 blocks;
	__u32 out_uid;
	__u32 out_flags;
	__aligned_u64 out_blocks;
	__aligned_u64 out_used;
	__aligned_u64 reserved;
};
#define EXO_XN_QUOTA _IO(EXO_TYPE, EXO_NR_XN_QUOTA)

/* A byte of the free map. */
#define EXO_XN_FREE 0
#define EXO_XN_TAKEN 1		/* somebody's */
#define EXO_XN_MINE 2		/* of a root of the caller's uid */
#define EXO_XN_SYSTEM 3		/* exo's */
#define EXO_XN_WAITING 4	/* freed by the caller's uid, not yet durably so */

/**
 * struct exo_xn_map - EXO_XN_MAP: who has which block
 * @disk: number
 * @count: how many
 * @start: the first
 * @map: room for a byte each
 * @out_done: bytes written
 * @root: nonzero: EXO_XN_MINE are the blocks of this root, no others; for its owner, or ADMIN (EACCES)
 */
struct exo_xn_map {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 count;
	__aligned_u64 start;
	__aligned_u64 map;
	__u32 out_done;
	__u32 root;
};
#define EXO_XN_MAP _IO(EXO_TYPE, EXO_NR_XN_MAP)

/* Templates ------------------------------------------------------------------------------------------ */

/**
 * struct exo_xn_func - one function of a template: what struct exo_graft_load has
 * @insns: BPF instructions
 * @consts: read-only data
 * @cert: the certificate
 * @nr_insns: slots
 * @const_size: bytes
 * @cert_size: bytes; 0: it will be sandboxed
 */
struct exo_xn_func {
	__aligned_u64 insns;
	__aligned_u64 consts;
	__aligned_u64 cert;
	__u32 nr_insns;
	__u32 const_size;
	__u32 cert_size;
	__u32 reserved;
};

/**
 * struct exo_xn_template_add - EXO_XN_TEMPLATE_ADD: a format of units
 * @disk: number
 * @func: struct exo_xn_func[3]: owns, acl, size
 * @name: for people; names of a uid's templates differ
 * @refs: templates that slots 1 .. stand for; 0: none
 * @head_bytes: part 0 of a unit are its first bytes, multiple of 8 ...
 * @part_bytes: ... and each further part has so many; multiple of 8. 0: all of a unit is part 0
 * @out_template: its number; of an equal one, if there is one
 * @out_func: which function @out_error is about
 * @out_error: why it isn't taken (EINVAL)
 */
struct exo_xn_template_add {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 head_bytes;
	__u32 part_bytes;
	__u32 out_template;
	__aligned_u64 func;
	char name[EXO_XN_NAME];
	__u32 refs[EXO_XN_REFS];
	__u32 out_func;
	__u32 reserved;
	struct exo_graft_error out_error;
};
#define EXO_XN_TEMPLATE_ADD _IO(EXO_TYPE, EXO_NR_XN_TEMPLATE_ADD)

/**
 * struct exo_xn_template - EXO_XN_TEMPLATE: a template; who installed it, or an admin, may remove it
 * @flags: 0, EXO_XN_NEXT: the first number above @number, or EXO_XN_REMOVE. EBUSY: a root uses it
 * @number: of it
 * @out_hash: SHA-256 of its content
 */
#define EXO_XN_NEXT (1U << 0)
#define EXO_XN_REMOVE (1U << 1)
struct exo_xn_template {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 number;
	__u32 out_uid;
	__u32 out_users;
	__u32 out_mode[3];	/* enum exo_graft_mode of owns, acl, size */
	__u32 reserved;
	char out_name[EXO_XN_NAME];
	__u8 out_hash[32];
};
#define EXO_XN_TEMPLATE _IO(EXO_TYPE, EXO_NR_XN_TEMPLATE)

/* Roots ---------------------------------------------------------------------------------------------- */

#define EXO_XN_ROOT_TEMPORARY (1U << 0)	/* gone at the next attach */
#define EXO_XN_ROOT_QUARANTINED (1U << 1)	/* out: its functions or its blocks are wrong: it can be read, exported, deleted */

/**
 * struct exo_xn_root_create - EXO_XN_ROOT_CREATE: a new root, owned by the caller's uid; durable at once
 * @flags: EXO_XN_ROOT_TEMPORARY
 * @template_number: of its first unit
 * @near: block near which it should lie; 0: anywhere
 * @bytes: content of its first unit, which owns nothing
 * @length: of that, a multiple of the block size
 * @max_blocks: quota of the root; 0: none
 * @name: unique on the disk
 * @out_root: number
 * @out_block: of its first unit
 */
struct exo_xn_root_create {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 template_number;
	__aligned_u64 near;
	__aligned_u64 bytes;
	__u32 length;
	__u32 out_root;
	__aligned_u64 max_blocks;
	__aligned_u64 out_block;
	char name[EXO_XN_NAME];
	__u8 key[32];	/* all zero: none; else whoever presents it is told to acl as keys bit 0 */
};
#define EXO_XN_ROOT_CREATE _IO(EXO_TYPE, EXO_NR_XN_ROOT_CREATE)

/**
 * struct exo_xn_root - EXO_XN_ROOT: find a root
 * @flags: 0: by number; EXO_XN_NEXT: the first above; EXO_XN_ROOT_BY_NAME: by @name
 * @name: in for BY_NAME, else written
 */
#define EXO_XN_ROOT_BY_NAME (1U << 2)
struct exo_xn_root {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__u32 out_flags;
	__u32 out_uid;
	__u32 out_template;
	__u32 out_unit_blocks;
	__aligned_u64 out_block;
	__aligned_u64 out_blocks;
	__aligned_u64 out_max_blocks;
	char name[EXO_XN_NAME];
};
#define EXO_XN_ROOT _IO(EXO_TYPE, EXO_NR_XN_ROOT)

#define EXO_XN_ROOT_CHOWN (1U << 0)	/* ADMIN. EDQUOT: the new owner would have more than a uid may */
#define EXO_XN_ROOT_LIMIT (1U << 1)	/* ADMIN */
#define EXO_XN_ROOT_DELETE (1U << 2)	/* owner or ADMIN: all its blocks become free */
#define EXO_XN_ROOT_RELEASE (1U << 3)	/* ADMIN: out of quarantine, if a walk finds it right */

/**
 * struct exo_xn_root_set - EXO_XN_ROOT_SET: change a root
 * @flags: one of EXO_XN_ROOT_*
 */
struct exo_xn_root_set {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__u32 uid;
	__u32 reserved;
	__aligned_u64 max_blocks;
};
#define EXO_XN_ROOT_SET _IO(EXO_TYPE, EXO_NR_XN_ROOT_SET)

/* Units ---------------------------------------------------------------------------------------------- */

#define EXO_XN_READ_RAW (1U << 0)	/* any block of the root, by its number alone */

/**
 * struct exo_xn_read - EXO_XN_READ: bytes of a unit, as they are now; acl's READ on the unit
 * @root: number
 * @block: the unit's first block
 * @parent: first block of a unit that owns it and has been read before; the unit itself if it is the root's
 * @bytes: room for @length bytes from @offset on
 * @keys: struct exo_xn_key[], what is presented
 * @nr_keys: how many
 * @out_done: bytes
 * @out_template: its template
 * @out_generation: rises with each change of the unit
 *
 * ENOENT: @parent has not been read, or doesn't own @block as a unit. What was read is forgotten when the disk's
 * memory is full of what others read since: read down from the root again, then.
 * READ_RAW: the root's owner, or ADMIN, reads @length bytes of one block that the map gives to the root, as what
 * ever it is; @parent and acl aren't asked. So a root is exported, a quarantined one too.
 */
struct exo_xn_read {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__aligned_u64 block;
	__aligned_u64 parent;
	__aligned_u64 bytes;
	__u32 offset;
	__u32 length;
	__aligned_u64 keys;
	__u32 nr_keys;
	__u32 out_done;
	__u32 out_template;
	__u32 out_blocks;
	__aligned_u64 out_generation;
};
#define EXO_XN_READ _IO(EXO_TYPE, EXO_NR_XN_READ)

enum exo_xn_step_kind {
	EXO_XN_WRITE = 1,	/* bytes of a unit */
	EXO_XN_ALLOC = 2,	/* unit @parent points at @block ... from now on */
	EXO_XN_FREE_STEP = 3,	/* ... no longer; a unit must own nothing */
	EXO_XN_NEW = 4,		/* the bytes of a unit that is allocated in the same call, from its beginning */
	EXO_XN_LINK = 5,	/* one more pointer to what @from owns already, as the same slot's template */
	EXO_XN_UNLINK = 6,	/* one of several pointers less */
	EXO_XN_MOVE = 7,	/* from @from to @parent */
};

/**
 * struct exo_xn_step - one step of a change
 * @kind: enum exo_xn_step_kind
 * @slot: of @parent's template: what is allocated; EXO_XN_DATA for data
 * @parent: WRITE, NEW: the unit itself. ALLOC, FREE, LINK, UNLINK, MOVE: that points at it
 * @block: ALLOC .. MOVE: the first block
 * @count: blocks
 * @offset: WRITE, NEW: in the unit
 * @length: bytes
 * @bytes: new content
 * @from: LINK, MOVE: the unit that owns it already
 */
struct exo_xn_step {
	__u32 kind;
	__u32 slot;
	__aligned_u64 parent;
	__aligned_u64 block;
	__u32 count;
	__u32 offset;
	__u32 length;
	__u32 reserved;
	__aligned_u64 bytes;
	__aligned_u64 from;
};

#define EXO_XN_STEPS 1024U
#define EXO_XN_APPLY_BYTES (4U << 20)	/* most bytes of all steps together */
#define EXO_XN_APPLY_COMMIT (1U << 0)	/* and commit */

/**
 * struct exo_xn_apply - EXO_XN_APPLY: change units of a root, all steps or none
 * @steps: struct exo_xn_step[]
 * @nr_steps: how many, at most EXO_XN_STEPS
 * @out_step: EINVAL, EACCES, EBUSY, ENOENT, EDQUOT: the step that is at fault, or @nr_steps: what `owns` says
 *	doesn't agree with the steps in unit @out_block
 * @out_block: a unit, or the block that is not free
 *
 * A call that allocates a block doesn't free it too (EINVAL), and doesn't allocate what it frees (EBUSY).
 *
 * All that is written is applied to private copies; then each changed unit's owns(after) must be
 * owns(before) with exactly what the steps say added and taken away.
 */
struct exo_xn_apply {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__aligned_u64 steps;
	__u32 nr_steps;
	__u32 out_step;
	__aligned_u64 keys;
	__u32 nr_keys;
	__u32 reserved;
	__aligned_u64 out_block;
};
#define EXO_XN_APPLY _IO(EXO_TYPE, EXO_NR_XN_APPLY)

/**
 * struct exo_xn_commit - EXO_XN_COMMIT: all changes of the root so far are durable when it returns
 * @out_seq: of the transaction
 *
 * So is what was written to data blocks before. Blocks that the root freed are free for all from here on.
 */
struct exo_xn_commit {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__aligned_u64 out_seq;
};
#define EXO_XN_COMMIT _IO(EXO_TYPE, EXO_NR_XN_COMMIT)

struct exo_xn_key {
	__u8 key[32];
};

/* Data ----------------------------------------------------------------------------------------------- */

/**
 * struct exo_xn_bind - EXO_XN_BIND: an extent binding: I/O on it costs one look-up
 * @block: first data block
 * @count: blocks
 * @parent: unit that owns them as EXO_XN_DATA, read before
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE; acl is asked for each
 * @out_binding: number in this environment
 */
struct exo_xn_bind {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__aligned_u64 block;
	__aligned_u64 parent;
	__u32 count;
	__u32 rights;
	__aligned_u64 keys;
	__u32 nr_keys;
	__u32 out_binding;
};
#define EXO_XN_BIND _IO(EXO_TYPE, EXO_NR_XN_BIND)

struct exo_xn_unbind {
	__u32 size;
	__u32 flags;
	__u32 binding;
	__u32 reserved;
};
#define EXO_XN_UNBIND _IO(EXO_TYPE, EXO_NR_XN_UNBIND)

enum exo_xn_io_kind {
	EXO_XN_IO_READ = 1,
	EXO_XN_IO_WRITE = 2,
	EXO_XN_IO_ZERO = 3,
	EXO_XN_IO_DISCARD = 4,	/* zeros; the device gives the space back, if it can do both at once */
	EXO_XN_IO_FLUSH = 5,	/* all that was written through the binding before is durable */
};

#define EXO_XN_IO_DURABLE (1U << 0)	/* WRITE, ZERO: durable when it completes */
#define EXO_XN_IO_BLOCKS 256U		/* most blocks of one READ or WRITE */

/**
 * struct exo_xn_io - EXO_XN_IO: I/O of whole blocks between a binding and own frames
 * @flags: EXO_XN_IO_DURABLE
 * @kind: enum exo_xn_io_kind
 * @binding: number; of FLUSH too
 * @offset: block in the binding
 * @count: blocks
 * @frames: READ, WRITE: @count = 1: the frame's number itself; else an array of __u32. Of this environment's
 *	own frames (or imported, with the right)
 *
 * What was never written since it was allocated reads as zeros. ESTALE: the binding was revoked: its blocks were
 * freed, or the disk is gone.
 */
struct exo_xn_io {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 binding;
	__u32 offset;
	__u32 count;
	__aligned_u64 frames;
};
#define EXO_XN_IO _IO(EXO_TYPE, EXO_NR_XN_IO)

/* The buffer registry ---------------------------------------------------------------------------------- */

/*
 * Of a disk's blocks that somebody uses through memory, the registry knows the frame, the state, and the
 * unit that owns them. Everybody who may use a block finds the same *entry*, and with it the same frame
 * and the same locks. The frames are the registry's, charged to the uid that wanted them first, so they
 * outlive their users. It never reads or writes by itself, but for dirty blocks whose last user is gone.
 */
#define EXO_XN_SLOTS 16U	/* locks of an entry */
#define EXO_XN_REG_ENTRIES 65536U	/* of a disk, at most */
#define EXO_XN_REG_BATCH 64U	/* most entries that one command names */

/* States of an entry, as bits. */
#define EXO_XN_REG_USED (1U << 0)
#define EXO_XN_REG_FRAME (1U << 1)	/* it has a frame */
#define EXO_XN_REG_VALID (1U << 2)	/* which has the block's content, or newer */
#define EXO_XN_REG_DIRTY (1U << 3)	/* newer */
#define EXO_XN_REG_BUSY (1U << 4)	/* being read or written */
#define EXO_XN_REG_SPECULATIVE (1U << 5)	/* read ahead: handed out to nobody yet */
#define EXO_XN_REG_HELD (1U << 6)	/* somebody has it */
#define EXO_XN_REG_LOCKED (1U << 7)	/* somebody has one of its locks */
#define EXO_XN_REG_LOST (1U << 8)	/* what was dirty could not be written, or was taken by force */
#define EXO_XN_REG_MEMORY (1U << 9)	/* its frame is memory of those who have it, not the block's content */

#define EXO_XN_ENTRY_FRAME (1U << 0)	/* with a frame; a new one is zeroed and not VALID */
#define EXO_XN_ENTRY_UNIT (1U << 1)	/* of the unit @parent itself: for its locks, without a frame */
#define EXO_XN_ENTRY_MEMORY (1U << 2)	/* with a frame that isn't the block's content, but memory of those who have it */

/**
 * struct exo_xn_entry - EXO_XN_ENTRY: use a block's entry; it is made if there is none
 * @flags: EXO_XN_ENTRY_FRAME, _UNIT, _MEMORY
 * @block: a data block; with _UNIT the same as @parent
 * @parent: unit that owns it as EXO_XN_DATA, read before
 * @rights: EXO_RIGHT_READ, EXO_RIGHT_WRITE; acl is asked for each
 * @out_entry: its number in this environment: a binding of one block (EXO_XN_IO, EXO_XN_UNBIND), with the
 *	entry's locks. Each call gives another number, and locks are the number's
 * @out_index: its row in the table that all entries of the disk are shown in (EXO_MMAP_XN)
 * @out_state: EXO_XN_REG_*
 * @out_frame: with _FRAME, _MEMORY: frame
 * @out_cap: with _FRAME, _MEMORY: capability for it, with @rights and EXO_RIGHT_WINDOW: EXO_MEM_IMPORT it
 *
 * What holds for bindings holds here: ESTALE when the block was freed or the disk detached; then the frame is
 * revoked, too. It is also revoked when memory is short (EXO_EVENT_CAP_REVOKED): call again, and a new one
 * is there; what was dirty was written before.
 *
 * _MEMORY: all who have the entry so have the same frame, of zeros at first; the block is a name for it, and is neither read nor
 * written. Frame and entry go with the last number. It is not given back when memory is short, only taken by force; then nobody
 * gets another (ESTALE) before all numbers are gone: so two never have different ones. EBUSY: somebody has the entry the
 * other way. Only numbers that may write count, and _MEMORY needs EXO_RIGHT_WRITE (EINVAL): a reader's frame goes for it, and
 * his number is stale when the memory is gone.
 */
struct exo_xn_entry {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 root;
	__aligned_u64 block;
	__aligned_u64 parent;
	__aligned_u64 keys;
	__u32 nr_keys;
	__u32 rights;
	__u32 out_entry;
	__u32 out_index;
	__u32 out_state;
	__u32 out_frame;
	struct exo_cap out_cap;
};
#define EXO_XN_ENTRY _IO(EXO_TYPE, EXO_NR_XN_ENTRY)

enum exo_xn_lock_mode {
	EXO_XN_UNLOCK = 0,
	EXO_XN_SHARED = 1,
	EXO_XN_EXCLUSIVE = 2,
};

#define EXO_XN_LOCK_TRY (1U << 0)	/* EBUSY instead of waiting */

/**
 * struct exo_xn_entry_lock - EXO_XN_ENTRY_LOCK: take, change or give back locks of an entry, all or none
 * @entry: number from EXO_XN_ENTRY
 * @slots: bit n: lock n
 * @mode: enum exo_xn_lock_mode, what it shall have of each of them afterwards
 *
 * EXCLUSIVE needs EXO_RIGHT_WRITE. A step down never waits. Who has one of them SHARED and wants it EXCLUSIVE
 * doesn't wait either (EBUSY): two who do would wait for ever. A signal ends the wait (EINTR). The locks go with
 * the number: EXO_XN_UNBIND, or the environment's death.
 */
struct exo_xn_entry_lock {
	__u32 size;
	__u32 flags;
	__u32 entry;
	__u32 slots;
	__u32 mode;
	__u32 reserved;
};
#define EXO_XN_ENTRY_LOCK _IO(EXO_TYPE, EXO_NR_XN_ENTRY_LOCK)

enum exo_xn_entry_io_kind {
	EXO_XN_ENTRY_READ = 1,	/* what isn't VALID is read */
	EXO_XN_ENTRY_WRITE = 2,	/* what is DIRTY is written */
	EXO_XN_ENTRY_DIRTY = 3,	/* the frame is VALID now, and newer than the block */
};

/**
 * struct exo_xn_entry_io - EXO_XN_ENTRY_IO: between entries' frames and their blocks
 * @flags: WRITE: 0 or EXO_XN_IO_DURABLE
 * @kind: enum exo_xn_entry_io_kind
 * @count: how many, at most EXO_XN_REG_BATCH
 * @entries: __u32[]: their numbers, each from EXO_XN_ENTRY with _FRAME
 * @out_done: so many are as wanted; the next one is at fault
 *
 * They are read or written together, in no order, and waited for. With EIO and ESTALE some behind the one at fault may
 * be as wanted, too: their states say.
 *
 * ESTALE: the block was freed; or its frame was revoked: EXO_XN_ENTRY again.
 */
struct exo_xn_entry_io {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 count;
	__aligned_u64 entries;
	__u32 out_done;
	__u32 reserved;
};
#define EXO_XN_ENTRY_IO _IO(EXO_TYPE, EXO_NR_XN_ENTRY_IO)

/**
 * struct exo_xn_speculate - EXO_XN_SPECULATE: read blocks into the registry ahead of their use
 * @block: first
 * @count: how many, at most EXO_XN_REG_BATCH
 * @out_done: so many are being read, or were known already
 *
 * Anybody may, for any block: the frames are mapped nowhere, and charged to the caller. Who passes EXO_XN_ENTRY
 * gets them.
 */
struct exo_xn_speculate {
	__u32 size;
	__u32 flags;
	__u32 disk;
	__u32 count;
	__aligned_u64 block;
	__u32 out_done;
	__u32 reserved;
};
#define EXO_XN_SPECULATE _IO(EXO_TYPE, EXO_NR_XN_SPECULATE)

/**
 * struct exo_xn_reg_row - an entry, as everybody sees it
 * @block: which
 * @parent: unit that owns it; 0: not known yet
 * @stamp: exo_xn_reg_table.clock when it was used last: the order of stamps is the order of use
 * @root: number; 0: not known yet
 * @state: EXO_XN_REG_*; 0: no entry
 * @frame: with EXO_XN_REG_FRAME. The row shows first that a frame goes: who has a capability of it may reach it a
 *	moment longer
 * @holders: numbers that name it
 * @slots: bit n: somebody has lock n
 */
struct exo_xn_reg_row {
	__aligned_u64 block;
	__aligned_u64 parent;
	__aligned_u64 stamp;
	__u32 root;
	__u32 state;
	__u32 frame;
	__u32 holders;
	__u32 slots;
	__u32 reserved[5];
};

/**
 * struct exo_xn_reg_table - at EXO_MMAP_XN + disk << EXO_MMAP_VIEW_SHIFT, read only; EXO_XN_REG_ENTRIES rows follow
 * @entries: that are used
 * @clock: of the stamps
 * @written: dirty blocks that were written after their last user was gone, or to get at their frame; counted after their
 *	rows show it
 * @lost: dirty blocks that could not be written, or whose frame was taken by force
 * @speculated: blocks read ahead
 */
struct exo_xn_reg_table {
	__aligned_u64 entries;
	__aligned_u64 clock;
	__aligned_u64 written;
	__aligned_u64 lost;
	__aligned_u64 speculated;
	__aligned_u64 reserved[507];
};
#define EXO_XN_REG_BYTES (sizeof(struct exo_xn_reg_table) + EXO_XN_REG_ENTRIES * sizeof(struct exo_xn_reg_row))

#endif
