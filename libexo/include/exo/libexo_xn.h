/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xn: raw disk blocks, in a format of one's own. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_XN_H
#define EXO_LIBEXO_XN_H

struct exo_xn;
struct exo_xn_change;

/* Disks ------------------------------------------------------------------------------------------ */

/**
 * struct exo_xn_open_opts - options of exo_xn_open()
 * @sz: size of this struct
 * @disk: its number; 0: any
 * @reserved: 0
 * @uuid: 16 bytes: the disk that has this one; NULL: any
 * @name: the disk on this device ("vda"); NULL: any
 */
struct exo_xn_open_opts {
	size_t sz;
	uint32_t disk;
	uint32_t reserved;
	const uint8_t *uuid;
	const char *name;
};

/* A handle for the attached disk that the options say; without them, the only one. */
int exo_xn_open(struct exo_env *env, const struct exo_xn_open_opts *opts, struct exo_xn **out_xn);
/* The environment can't be closed before. Bindings stay; exo_env_close() ends them. */
int exo_xn_close(struct exo_xn *xn);

struct exo_env *exo_xn_env(const struct exo_xn *xn);
uint32_t exo_xn_number(const struct exo_xn *xn);
/* Presents keys with all that is done through this handle, instead of those before. */
int exo_xn_keys_set(struct exo_xn *xn, const struct exo_xn_key *keys, uint32_t count);

/**
 * struct exo_xn_format_opts - options of exo_xn_format()
 * @sz: size of this struct
 * @flags: 0 or EXO_XN_FORMAT_FORCE
 * @log_blocks: of the log; 0: as exo finds right
 * @uid_blocks: quota of every uid that gets none of its own (exo_xn_quota_set()); 0: none
 */
struct exo_xn_format_opts {
	size_t sz;
	uint32_t flags;
	uint32_t log_blocks;
	uint64_t uid_blocks;
};

/* These are CAP_SYS_ADMIN's. What was on the device is lost. */
int exo_xn_format(struct exo_env *env, const char *path, const struct exo_xn_format_opts *opts);
/* flags: 0 or EXO_XN_ATTACH_CHECK. The disk's number; out_said, its recovery, may be NULL. */
int exo_xn_attach(struct exo_env *env, const char *path, uint32_t flags,
		  struct exo_xn_attach *out_said);

/**
 * struct exo_xn_attach_opts - options of exo_xn_attach_with()
 * @sz: size of this struct
 * @flags: 0 or EXO_XN_ATTACH_CHECK, _UIDS, _AGAIN
 * @nr_uids: ranges of @uids; at most EXO_XN_UIDS
 * @uids: owners are mapped so, which is EXO_XN_ATTACH_UIDS, too. Who isn't in a range: EXO_XN_NOBODY
 * @machine: 16 bytes that are this machine's, such as of /etc/machine-id; the disk keeps a hash. NULL: isn't
 *	said; required for a map
 * @said: what its recovery, and the map, did; also what is wrong with a map. May be NULL
 * @said_size: bytes there
 */
struct exo_xn_attach_opts {
	size_t sz;
	uint32_t flags;
	uint32_t nr_uids;
	const struct exo_xn_uids *uids;
	const uint8_t *machine;
	struct exo_xn_attach *said;
	size_t said_size;
};

/* The same with options: the disk comes to this machine, where the users' numbers are other ones. */
int exo_xn_attach_with(struct exo_env *env, const char *path, const struct exo_xn_attach_opts *opts);
/* flags: 0 or EXO_XN_DETACH_FORCE. The handle is still to be closed. */
int exo_xn_detach(struct exo_xn *xn, uint32_t flags);
/* The device has become larger; out_blocks may be NULL. */
int exo_xn_grow(struct exo_xn *xn, uint64_t *out_blocks);
/* uid, and flags 0 or EXO_XN_QUOTA_DEFAULT, EXO_XN_QUOTA_FORGET. blocks 0: no limit. */
int exo_xn_quota_set(struct exo_xn *xn, uint32_t uid, uint32_t flags, uint64_t blocks);
/* Discards what is free; count 0: to the end. out_trimmed may be NULL. */
int exo_xn_trim(struct exo_xn *xn, uint64_t start, uint64_t count, uint64_t *out_trimmed);

/* Called after each step; nonzero: stop. */
typedef int (*exo_xn_check_fn)(const struct exo_xn_check *now, void *ctx);

/* Walks all roots. flags: EXO_XN_CHECK_*; fn may be NULL. -EINTR: fn stopped it. */
int exo_xn_check(struct exo_xn *xn, uint32_t flags, exo_xn_check_fn fn, void *ctx,
		 struct exo_xn_check *out_found);

/* Everybody may ask these. */
int exo_xn_disk(struct exo_xn *xn, struct exo_xn_disk *out_disk);
/* The attached disk with the next number above after: 0, or -ENOENT. */
int exo_xn_disk_next(struct exo_env *env, uint32_t after, struct exo_xn_disk *out_disk);
/* One's own, or, for CAP_SYS_ADMIN, anybody's. flags: 0, EXO_XN_QUOTA_NEXT, EXO_XN_QUOTA_DEFAULT. */
int exo_xn_quota(struct exo_xn *xn, uint32_t uid, uint32_t flags, struct exo_xn_quota *out_quota);
/* Bytes written (at most count): what each block from start on is, EXO_XN_FREE ... */
int exo_xn_map(struct exo_xn *xn, uint64_t start, uint8_t *map, uint32_t count);
/* The same for one root, an own one or with CAP_SYS_ADMIN: EXO_XN_MINE are its blocks. */
int exo_xn_map_root(struct exo_xn *xn, uint32_t root, uint64_t start, uint8_t *map,
		    uint32_t count);
/* The first of count free blocks in a row, near this one: behind it if there is room. -ENOSPC. */
int exo_xn_find_free(struct exo_xn *xn, uint64_t near, uint32_t count, uint64_t *out_block);

/* Templates: what a format's blocks point at ------------------------------------------------------ */

/**
 * struct exo_xn_template_opts - options of exo_xn_template_add() and exo_xn_template_install()
 * @sz: size of this struct
 * @name: for people; a uid's templates have different ones; required
 * @variant: exo_xn_template_install(): of several templates in a file: functions are in sections
 *	"owns/VARIANT" ..., or, where there is none, "owns" ...; NULL: there is one
 * @refs: numbers that slots 1 .. stand for; 0: none
 * @head_bytes: part 0 of a unit are its first bytes ...
 * @part_bytes: ... and each further part has so many; both multiples of 8; 0: all is part 0
 * @error: room for a sentence about what is wrong; may be NULL
 * @error_size: bytes there
 */
struct exo_xn_template_opts {
	size_t sz;
	const char *name;
	const char *variant;
	uint32_t refs[EXO_XN_REFS];
	uint32_t head_bytes;
	uint32_t part_bytes;
	char *error;
	size_t error_size;
};

/* From grafts of the hooks owns, acl and size. The template's number; of an equal one, if there is one. */
int exo_xn_template_add(struct exo_xn *xn, struct exo_graft_object *owns,
			struct exo_graft_object *acl, struct exo_graft_object *size,
			const struct exo_xn_template_opts *opts);
/*
 * The same, from an ELF file with the sections owns, acl and size. These two read ELF: link
 * libexo-graft.
 */
int exo_xn_template_install(struct exo_xn *xn, const char *path,
			    const struct exo_xn_template_opts *opts);
int exo_xn_template_install_memory(struct exo_xn *xn, const void *data, size_t size,
				   const struct exo_xn_template_opts *opts);
int exo_xn_template(struct exo_xn *xn, uint32_t number, struct exo_xn_template *out_template);
int exo_xn_template_next(struct exo_xn *xn, uint32_t after, struct exo_xn_template *out_template);
/* -EBUSY: a root uses it. */
int exo_xn_template_remove(struct exo_xn *xn, uint32_t number);

/* Roots: trees of units --------------------------------------------------------------------------- */

/**
 * struct exo_xn_root_create_opts - options of exo_xn_root_create()
 * @sz: size of this struct
 * @flags: 0 or EXO_XN_ROOT_TEMPORARY
 * @reserved: 0
 * @near: block near which it should lie; 0: anywhere
 * @max_blocks: quota of the root; 0: none
 * @key: 32 bytes: who presents them is told to acl as keys bit 0; NULL: none
 */
struct exo_xn_root_create_opts {
	size_t sz;
	uint32_t flags;
	uint32_t reserved;
	uint64_t near;
	uint64_t max_blocks;
	const uint8_t *key;
};

/*
 * A new root, durable when this returns: its number. bytes: of its first unit, whole blocks, owning nothing;
 * out_block, where that is, may be NULL.
 */
int exo_xn_root_create(struct exo_xn *xn, const char *name, uint32_t template_number,
		       const void *bytes, uint32_t length,
		       const struct exo_xn_root_create_opts *opts, uint64_t *out_block);
int exo_xn_root_find(struct exo_xn *xn, const char *name, struct exo_xn_root *out_root);
int exo_xn_root(struct exo_xn *xn, uint32_t number, struct exo_xn_root *out_root);
int exo_xn_root_next(struct exo_xn *xn, uint32_t after, struct exo_xn_root *out_root);
/* Its owner, or CAP_SYS_ADMIN: all its blocks become free. */
int exo_xn_root_delete(struct exo_xn *xn, uint32_t number);
/* CAP_SYS_ADMIN. */
int exo_xn_root_chown(struct exo_xn *xn, uint32_t number, uint32_t uid);
int exo_xn_root_limit(struct exo_xn *xn, uint32_t number, uint64_t max_blocks);
/* Out of quarantine, if a walk finds it right; else -EINVAL. */
int exo_xn_root_release(struct exo_xn *xn, uint32_t number);

/* Units: metadata --------------------------------------------------------------------------------- */

/*
 * The unit at block, which parent points at (parent == block: the root's first): how many bytes, at
 * most length. Units are read from the root's first one downwards: -ENOENT if parent was not read.
 */
int exo_xn_read(struct exo_xn *xn, uint32_t root, uint64_t parent, uint64_t block, void *bytes,
		uint32_t length);
/* The same with all that can be said; read's size, disk and keys are set here. */
int exo_xn_read_unit(struct exo_xn *xn, struct exo_xn_read *read);

/*
 * A change: steps that happen together or not at all. Bytes that are given to it are not copied: they
 * stay as they are until it was applied. A step that can't be remembered (-ENOMEM; -E2BIG: more than
 * EXO_XN_STEPS) makes exo_xn_change_apply() fail with the same.
 */
int exo_xn_change_begin(struct exo_xn *xn, uint32_t root, struct exo_xn_change **out_change);
/* Frees it; what was not applied is forgotten. */
void exo_xn_change_end(struct exo_xn_change *change);
/* These bytes of a unit are new. */
int exo_xn_change_write(struct exo_xn_change *change, uint64_t unit, uint32_t offset,
			const void *bytes, uint32_t length);
/* Unit points at these blocks from now on; slot: EXO_XN_DATA, EXO_XN_SELF, 1 .. EXO_XN_REFS. */
int exo_xn_change_alloc(struct exo_xn_change *change, uint64_t unit, uint64_t block, uint32_t count,
			uint32_t slot);
/* ... no longer. A unit that is freed owns nothing. */
int exo_xn_change_free(struct exo_xn_change *change, uint64_t unit, uint64_t block, uint32_t count,
		       uint32_t slot);
/* The bytes of a unit that this change allocates: all of them. */
int exo_xn_change_new(struct exo_xn_change *change, uint64_t unit, const void *bytes,
		      uint32_t length);
int exo_xn_change_move(struct exo_xn_change *change, uint64_t from, uint64_t to, uint64_t block,
		       uint32_t count, uint32_t slot);
/* One more pointer, of unit, to what from points at already. */
int exo_xn_change_link(struct exo_xn_change *change, uint64_t from, uint64_t unit, uint64_t block,
		       uint32_t count, uint32_t slot);
int exo_xn_change_unlink(struct exo_xn_change *change, uint64_t unit, uint64_t block,
			 uint32_t count, uint32_t slot);
/*
 * All steps, or none. flags: 0 or EXO_XN_APPLY_COMMIT. Afterwards the change is empty and can be used
 * again; after a failure it is as it was. out_said (may be NULL): which step, which block.
 */
int exo_xn_change_apply(struct exo_xn_change *change, uint32_t flags,
			struct exo_xn_apply *out_said);
/* Forgets its steps. */
void exo_xn_change_clear(struct exo_xn_change *change);
/* Its command, for exo_prep_xn_apply(). */
int exo_xn_change_command(struct exo_xn_change *change, uint32_t flags,
			  struct exo_xn_apply *out_command);
/* All that was applied to the root is durable when it returns; out_seq may be NULL. */
int exo_xn_commit(struct exo_xn *xn, uint32_t root, uint64_t *out_seq);

/* Data: bindings ---------------------------------------------------------------------------------- */

/* Blocks that unit points at as EXO_XN_DATA, for I/O: the binding's number in this environment. */
int exo_xn_bind(struct exo_xn *xn, uint32_t root, uint64_t unit, uint64_t block, uint32_t count,
		uint32_t rights, uint32_t *out_binding);
int exo_xn_unbind(struct exo_xn *xn, uint32_t binding);
/*
 * I/O between blocks of a binding, from its block offset on, and own frames, one a block. flags: 0 or
 * EXO_XN_IO_DURABLE. -ESTALE: the blocks were freed.
 */
int exo_xn_io_read(struct exo_xn *xn, uint32_t binding, uint32_t offset, const uint32_t *frames,
		   uint32_t count);
int exo_xn_io_write(struct exo_xn *xn, uint32_t binding, uint32_t offset, const uint32_t *frames,
		    uint32_t count, uint32_t flags);
int exo_xn_io_zero(struct exo_xn *xn, uint32_t binding, uint32_t offset, uint32_t count,
		   uint32_t flags);
int exo_xn_io_discard(struct exo_xn *xn, uint32_t binding, uint32_t offset, uint32_t count);
/* What was written to the binding's disk before is durable. */
int exo_xn_io_flush(struct exo_xn *xn, uint32_t binding);

/* Data: the buffer registry ----------------------------------------------------------------------- */

/*
 * A block's entry: with EXO_XN_ENTRY_FRAME its frame is imported, the same one for all who may use the block.
 * The number, out->out_entry, is a binding of one block; exo_xn_unbind() gives it and its locks up.
 */
int exo_xn_entry(struct exo_xn *xn, uint32_t root, uint64_t unit, uint64_t block, uint32_t rights,
		 uint32_t flags, struct exo_xn_entry *out);
/* mode: enum exo_xn_lock_mode, of all locks in slots or none; flags: 0 (wait) or EXO_XN_LOCK_TRY. */
int exo_xn_entry_lock(struct exo_xn *xn, uint32_t entry, uint32_t slots, uint32_t mode,
		      uint32_t flags);
/* What isn't valid is read; what is dirty is written (flags: 0 or EXO_XN_IO_DURABLE); or is dirty now. */
int exo_xn_entry_read(struct exo_xn *xn, const uint32_t *entries, uint32_t count,
		      uint32_t *out_done);
int exo_xn_entry_write(struct exo_xn *xn, const uint32_t *entries, uint32_t count, uint32_t flags,
		       uint32_t *out_done);
int exo_xn_entry_dirty(struct exo_xn *xn, const uint32_t *entries, uint32_t count,
		       uint32_t *out_done);
/* Read ahead, any blocks; who passes exo_xn_entry() gets them. */
int exo_xn_entry_ahead(struct exo_xn *xn, uint64_t block, uint32_t count);
/* All entries of the disk, to read; the rows follow it. */
int exo_xn_entry_table(struct exo_xn *xn, const struct exo_xn_reg_table **out_table);
void exo_xn_entry_table_end(const struct exo_xn_reg_table *table);

#endif
