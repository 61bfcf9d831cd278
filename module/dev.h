/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operation table: one row a command, for ioctl and uring_cmd alike. dev.c copies the struct in
 * once, checks its size against the row, calls the handler, and copies the struct back, unless the
 * row says that nothing is written (also when the handler fails: out_done counts). Handlers never
 * touch the caller's copy.
 */
#ifndef EXO_DEV_H
#define EXO_DEV_H

#include <linux/types.h>
#include <linux/fs.h>
#include <linux/mm.h>

#include <exo/exo.h>

struct exo_env;
struct io_uring_cmd;

#define EXO_OP_ADMIN (1U << 0)	/* needs CAP_SYS_ADMIN in the initial namespace, else EPERM */
#define EXO_OP_THREAD (1U << 1)	/* needs the caller's registers or identity */
#define EXO_OP_IN (1U << 2)	/* nothing of the struct is written: it isn't copied back */

/* Largest argument struct of any command; dev.c keeps it on the stack. */
#define EXO_OP_MAX_SIZE 192

/**
 * struct exo_op - one command
 * @nr: enum exo_nr
 * @size: what this module knows of the struct
 * @flags: EXO_OP_*; ADMIN and THREAD are EOPNOTSUPP through uring_cmd
 * @thread: flags of the struct with which it is THREAD
 * @first: bytes that the struct had at first, if it has grown since: an older program's is so short. ADMIN only
 * @out_at: which part of it is copied back: from this word of 8 bytes on ...
 * @out_words: ... so many of them
 * @fn: handler; may sleep; @arg is the kernel's private copy, flags not yet checked. Without memory at
 *	any step the state is as before, of a batch as after out_done operations (INV-REQ-7)
 * @uring: what io_uring calls instead, also where it must not wait; -EIOCBQUEUED: it completes @ucmd
 *	later. With EXO_OP_IN only. NULL: a worker calls @fn
 */
struct exo_op {
	u16 nr;
	u16 size;
	u16 flags;
	u8 out_at;
	u8 out_words;
	u32 thread;
	u16 first;
	int (*fn)(struct exo_env *env, void *arg);
	int (*uring)(struct exo_env *env, void *arg, struct io_uring_cmd *ucmd,
		     unsigned int issue_flags);
};

/* All of the struct is copied back, or, with EXO_OP_IN, nothing. */
#define EXO_OP(_nr, _type, _flags, _fn) \
	{ .nr = EXO_NR_##_nr, .size = sizeof(_type), .flags = (_flags), .fn = (_fn), \
	  .out_words = (_flags) & EXO_OP_IN ? 0 : sizeof(_type) / sizeof(u64) }

/* The same, and the struct went up to @_member at first. */
#define EXO_OP_GROWN(_nr, _type, _member, _flags, _fn) \
	{ .nr = EXO_NR_##_nr, .size = sizeof(_type), .flags = (_flags), .fn = (_fn), \
	  .first = offsetof(_type, _member), .out_words = sizeof(_type) / sizeof(u64) }

/* The same as EXO_OP, asynchronous through io_uring. */
#define EXO_OP_URING(_nr, _type, _flags, _fn, _uring) \
	{ .nr = EXO_NR_##_nr, .size = sizeof(_type), .flags = (_flags), .fn = (_fn), \
	  .uring = (_uring) }

/* Only the words that the members from @_first to @_last are in. */
#define EXO_OP_OUT(_nr, _type, _flags, _fn, _first, _last) \
	{ .nr = EXO_NR_##_nr, .size = sizeof(_type), .flags = (_flags), .fn = (_fn), \
	  .out_at = offsetof(_type, _first) / sizeof(u64), \
	  .out_words = DIV_ROUND_UP(offsetofend(_type, _last), sizeof(u64)) - \
		       offsetof(_type, _first) / sizeof(u64) }

/* The same, THREAD with some of the struct's flags: then the caller itself must wait. */
#define EXO_OP_OUT_THREAD(_nr, _type, _flags, _fn, _first, _last, _thread) \
	{ .nr = EXO_NR_##_nr, .size = sizeof(_type), .flags = (_flags), .fn = (_fn), \
	  .thread = (_thread), \
	  .out_at = offsetof(_type, _first) / sizeof(u64), \
	  .out_words = DIV_ROUND_UP(offsetofend(_type, _last), sizeof(u64)) - \
		       offsetof(_type, _first) / sizeof(u64) }

/**
 * struct exo_noun - what a noun gives to dev.c
 * @name: for the log
 * @ops: its commands
 * @nr_ops: how many
 * @init: at module load, may be NULL
 * @exit: at unload, after the last environment is gone
 * @env_init: a new environment; on error nothing is left
 * @env_exit: an environment dies: everything goes back. No mapping and no request is left by then
 * @env_free: the last reference to the environment is gone, and a grace period over: free what is
 *	only memory, such as env->mem; until then whoever holds a reference, or is in an RCU reader,
 *	may look at it. Process context. Also called when an env_init failed: there may be nothing
 * @mmap_kinds: bitmap of EXO_MMAP_KIND()s that @mmap serves
 * @mmap: vma->vm_pgoff is untouched; vma->vm_file->private_data is the environment
 * @features: EXO_FEATURE_* bits of this kernel and machine, asked once after @init
 */
struct exo_noun {
	const char *name;
	const struct exo_op *ops;
	unsigned int nr_ops;
	int (*init)(void);
	void (*exit)(void);
	int (*env_init)(struct exo_env *env);
	void (*env_exit)(struct exo_env *env);
	void (*env_free)(struct exo_env *env);
	unsigned long mmap_kinds;
	int (*mmap)(struct exo_env *env, struct vm_area_struct *vma);
	u64 (*features)(void);
};

extern const struct exo_noun exo_env_noun;
extern const struct exo_noun exo_cap_noun;
extern const struct exo_noun exo_graft_noun;
extern const struct exo_noun exo_mem_noun;
extern const struct exo_noun exo_xn_noun;

int exo_nouns_init(void);
void exo_nouns_exit(void);
void exo_nouns_env_free(struct exo_env *env);
u64 exo_features(void);
int exo_dev_init(void);
void exo_dev_exit(void);

/*
 * The module's own inode mapping: f_mapping of every open file, whichever device node it came
 * through, so that unmap_mapping_range() here reaches every mapping there is (INV-ENV-2).
 */
extern struct address_space *exo_mapping;

#endif
