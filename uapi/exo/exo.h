/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * exo: the contract between exo.ko and user space.
 *
 * One open file of /dev/exo is an *environment*: the owner of resources, the unit of accounting and
 * of death. Everything below is asked of an environment with ioctl(2) or, where the operation is
 * not marked THREAD or ADMIN, with io_uring's IORING_OP_URING_CMD (struct exo_uring_cmd).
 *
 * General format
 * --------------
 * A command is _IO(EXO_TYPE, nr); nr is never reused. The argument is a pointer to a struct whose
 * first member is its own size:
 *
 *	size smaller than the command had at first	EINVAL
 *	size smaller than it knows		the rest counts as 0, and isn't written (an older program)
 *	size larger, and the tail is not zero	E2BIG (a newer program on an older module)
 *	unknown nr				ENOTTY
 *	unknown flag, nonzero reserved field	EINVAL
 *
 * Pointers travel as __aligned_u64. Fields named out_* are written by the module, the others are
 * only read. A batch stops at its first failure: the operations before it have happened, those from
 * it on have not, and out_done says how many happened, whatever the call returns.
 *
 * Errors have one meaning each
 * ----------------------------
 *	EINVAL		a value that could never be right (range, alignment, flag, reserved field)
 *	ENOENT		no such object (view, frame, uid), said only to those who may know
 *	EACCES		the capability, or the lack of one, does not allow this; never a hint why
 *	EPERM		an ADMIN operation without CAP_SYS_ADMIN
 *	EDQUOT		the uid's quota, or a guaranteed minimum that can't be reserved
 *	EBUSY		someone has it: frame taken, page already bound, slot in use
 *	ENOSPC		nothing free fits the request
 *	ESTALE		revoked; only ever said to the holder of a valid capability
 *	EOVERFLOW	arithmetic, or a bounded table that is full
 *	EOPNOTSUPP	this kernel or machine can't; a feature bit says so beforehand; or not through io_uring
 *	EBADF, ENOTSOCK, EAFNOSUPPORT, EMSGSIZE	a socket that can't be used, or what came through it
 *	EFAULT, ENOMEM, EINTR	as everywhere
 *	EAGAIN		io_uring only: the operation may sleep, and will be retried by a worker
 */
#ifndef _UAPI_EXO_EXO_H
#define _UAPI_EXO_EXO_H

#include <exo/types.h>

#define EXO_TYPE 0xEF

/* Numbers come in blocks of 16 per noun and are only ever appended. */
enum exo_nr {
	EXO_NR_INFO = 0x00,
	EXO_NR_ENV_EVENTFD = 0x01,
	EXO_NR_ENV_STATUS = 0x02,
	EXO_NR_ENV_LIST = 0x03,
	EXO_NR_QUOTA_GET = 0x04,
	EXO_NR_QUOTA_SET = 0x05,

	EXO_NR_CAP_CREATE = 0x10,
	EXO_NR_CAP_DERIVE = 0x11,
	EXO_NR_CAP_REVOKE = 0x12,
	EXO_NR_CAP_CHECK = 0x13,

	EXO_NR_MEM_POOL = 0x20,
	EXO_NR_MEM_ALLOC = 0x21,
	EXO_NR_MEM_FREE = 0x22,
	EXO_NR_MEM_IMPORT = 0x23,
	EXO_NR_MEM_DROP = 0x24,
	EXO_NR_MEM_VIEW_CREATE = 0x25,
	EXO_NR_MEM_VIEW_DESTROY = 0x26,
	EXO_NR_MEM_BIND = 0x27,
	EXO_NR_MEM_UNBIND = 0x28,
	EXO_NR_MEM_REBIND = 0x29,
	EXO_NR_MEM_PROTECT = 0x2a,
	EXO_NR_MEM_FLUSH = 0x2b,
	EXO_NR_MEM_HARVEST = 0x2c,
	EXO_NR_MEM_UPCALL = 0x2d,
	EXO_NR_MEM_RESUME = 0x2e,
	EXO_NR_MEM_WAKE = 0x2f,
	EXO_NR_MEM_REVOKE = 0x30,
	EXO_NR_MEM_LOG = 0x31,
	EXO_NR_MEM_QUERY = 0x32,

	EXO_NR_GRAFT_LOAD = 0x40,
	EXO_NR_GRAFT_UNLOAD = 0x41,
	EXO_NR_GRAFT_ATTACH = 0x42,
	EXO_NR_GRAFT_DETACH = 0x43,
	EXO_NR_GRAFT_RUN = 0x44,
	EXO_NR_GRAFT_STATUS = 0x45,
	EXO_NR_GRAFT_LIST = 0x46,
	EXO_NR_GRAFT_LOG = 0x47,
	EXO_NR_GRAFT_KILL = 0x48,

	EXO_NR_XN_FORMAT = 0x50,
	EXO_NR_XN_ATTACH = 0x51,
	EXO_NR_XN_DETACH = 0x52,
	EXO_NR_XN_GROW = 0x53,
	EXO_NR_XN_CHECK = 0x54,
	EXO_NR_XN_TRIM = 0x55,
	EXO_NR_XN_DISK = 0x56,
	EXO_NR_XN_MAP = 0x57,
	EXO_NR_XN_TEMPLATE_ADD = 0x58,
	EXO_NR_XN_TEMPLATE = 0x59,
	EXO_NR_XN_ROOT_CREATE = 0x5a,
	EXO_NR_XN_ROOT = 0x5b,
	EXO_NR_XN_ROOT_SET = 0x5c,
	EXO_NR_XN_READ = 0x5d,
	EXO_NR_XN_APPLY = 0x5e,
	EXO_NR_XN_COMMIT = 0x5f,
	EXO_NR_XN_BIND = 0x60,
	EXO_NR_XN_UNBIND = 0x61,
	EXO_NR_XN_IO = 0x62,
	EXO_NR_XN_ENTRY = 0x63,
	EXO_NR_XN_ENTRY_LOCK = 0x64,
	EXO_NR_XN_ENTRY_IO = 0x65,
	EXO_NR_XN_SPECULATE = 0x66,
	EXO_NR_XN_QUOTA = 0x67,
};

/* Feature bits of exo_info.features: what this kernel and this machine can do. */
#define EXO_FEATURE_URING (1ULL << 0)	/* commands through io_uring */
#define EXO_FEATURE_HUGE (1ULL << 1)	/* 2 MiB frames, bound with one entry */
#define EXO_FEATURE_UPCALL (1ULL << 2)	/* faults to a handler in place, without a signal */
#define EXO_FEATURE_STLB (1ULL << 3)	/* software TLB */
#define EXO_FEATURE_LAZY (1ULL << 4)	/* shootdown-free rebinding */
#define EXO_FEATURE_MONITOR (1ULL << 5)	/* faults to a monitor thread */
#define EXO_FEATURE_GRAFT (1ULL << 6)	/* grafts may be loaded */
#define EXO_FEATURE_XN (1ULL << 7)	/* raw disks */

/* What an mmap(2) offset of /dev/exo means: a kind, then an index inside the kind. */
#define EXO_MMAP_SHIFT 56
#define EXO_MMAP_KIND(off) ((__u64)(off) >> EXO_MMAP_SHIFT)
#define EXO_MMAP_TABLE (1ULL << EXO_MMAP_SHIFT)		/* read only: struct exo_table */
#define EXO_MMAP_RING (2ULL << EXO_MMAP_SHIFT)		/* struct exo_ring */
#define EXO_MMAP_WINDOW (3ULL << EXO_MMAP_SHIFT)	/* + frame << 12 */
#define EXO_MMAP_VIEW (4ULL << EXO_MMAP_SHIFT)		/* + view << EXO_MMAP_VIEW_SHIFT */
#define EXO_MMAP_VIEW_TABLE (5ULL << EXO_MMAP_SHIFT)	/* + view << ...; read only: __u64 a page */
#define EXO_MMAP_STLB (6ULL << EXO_MMAP_SHIFT)		/* + view << ...: __u64 an entry */
#define EXO_MMAP_SAVE (7ULL << EXO_MMAP_SHIFT)		/* + save page << 12 */
#define EXO_MMAP_GRAFT (8ULL << EXO_MMAP_SHIFT)		/* + graft << EXO_MMAP_VIEW_SHIFT: its state */
#define EXO_MMAP_XN (9ULL << EXO_MMAP_SHIFT)		/* + disk << EXO_MMAP_VIEW_SHIFT; read only: struct exo_xn_reg_table */
#define EXO_MMAP_VIEW_SHIFT 40

#define EXO_PAGE_SHIFT 12
#define EXO_PAGE_SIZE (1UL << EXO_PAGE_SHIFT)
#define EXO_HUGE_ORDER 9
#define EXO_HUGE_FRAMES (1U << EXO_HUGE_ORDER)

/**
 * struct exo_info - EXO_INFO: what this module, kernel and machine offer
 * @size: size of this struct
 * @flags: 0
 * @out_features: EXO_FEATURE_*
 * @out_frames: length of the frame table; frame numbers are below it
 * @out_colours: number of page colours
 * @out_nodes: number of NUMA nodes
 * @out_max_ops: most operations in one batch
 * @out_max_pages: most pages that one batch may name
 * @out_view_pages: most pages in a view
 * @out_table_bytes: length to mmap at EXO_MMAP_TABLE
 * @out_ring_bytes: length to mmap at EXO_MMAP_RING
 * @out_env: number of this environment
 */
struct exo_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 out_features;
	__u32 out_frames;
	__u32 out_colours;
	__u32 out_nodes;
	__u32 out_max_ops;
	__u32 out_max_pages;
	__u32 out_view_pages;
	__aligned_u64 out_table_bytes;
	__aligned_u64 out_ring_bytes;
	__aligned_u64 out_env;
};
#define EXO_INFO _IO(EXO_TYPE, EXO_NR_INFO)

/**
 * struct exo_uring_cmd - what stands in the sqe's cmd area
 * @arg: pointer to the command's struct; sqe->cmd_op is the ioctl number
 * @reserved: 0
 */
struct exo_uring_cmd {
	__aligned_u64 arg;
	__aligned_u64 reserved;
};

/* Events ------------------------------------------------------------------------------------- */

enum exo_event_type {
	/* arg[0] frames wanted now in total, arg[1] deadline (CLOCK_MONOTONIC ns), arg[2] why (EXO_WHY_*) */
	EXO_EVENT_REVOKE = 1,
	/* arg[0] frames taken by force, arg[1] entries waiting in the repossession log */
	EXO_EVENT_REPOSSESSED = 2,
	/* arg[0] view, arg[1] page, arg[2] EXO_FAULT_*, arg[3] thread id (in the opener's namespace) */
	EXO_EVENT_FAULT = 3,
	/* arg[0] imported frame that its owner revoked or freed */
	EXO_EVENT_CAP_REVOKED = 4,
	/* arg[0] graft, arg[1] enum exo_graft_status, arg[2] runs aborted, ever; at most ten a second */
	EXO_EVENT_GRAFT_ABORT = 5,
};

#define EXO_WHY_PRESSURE 1	/* the shrinker asked */
#define EXO_WHY_OOM 2		/* the OOM killer was about to act */
#define EXO_WHY_ADMIN 3		/* EXO_MEM_REVOKE, or a pool that shrinks */
#define EXO_WHY_MIN 4		/* another uid allocates what it is guaranteed */

#define EXO_FAULT_WRITE (1U << 0)	/* a store; else a load */
#define EXO_FAULT_PROT (1U << 1)	/* the page is bound, with fewer rights than needed */

struct exo_event {
	__u32 type;
	__u32 seq;
	__aligned_u64 time_ns;
	__aligned_u64 arg[6];
};

#define EXO_RING_EVENTS 1024

/**
 * struct exo_ring - the event ring of an environment, at EXO_MMAP_RING
 * @head: events ever posted, written by the module after the event
 * @overflow: events lost because the reader was late; sticky
 * @tail: events ever read, written by the reader; the module uses it only to see whether there is
 *	  room, and believes nothing that leaves the ring
 * @ev: event n is ev[n % EXO_RING_EVENTS]
 */
struct exo_ring {
	__aligned_u64 head;
	__aligned_u64 overflow;
	__aligned_u64 reserved0[6];
	__aligned_u64 tail;
	__aligned_u64 reserved1[503];
	struct exo_event ev[EXO_RING_EVENTS];
};

/* Environments and quotas -------------------------------------------------------------------- */

/**
 * struct exo_env_eventfd - EXO_ENV_EVENTFD: signal this eventfd when there are new events
 * @fd: the eventfd, or -1 for none
 */
struct exo_env_eventfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};
#define EXO_ENV_EVENTFD _IO(EXO_TYPE, EXO_NR_ENV_EVENTFD)

/**
 * struct exo_env_status - EXO_ENV_STATUS and one row of EXO_ENV_LIST
 * @out_env: number of the environment, never reused
 * @out_uid: who is charged, in the caller's user namespace
 * @out_pid: process that opened it, in the caller's pid namespace, 0 if unseen
 * @out_frames: frames held (a 2 MiB frame counts 512)
 * @out_quarantined: frames given up while pinned, still charged
 * @out_views: views
 * @out_bound: pages bound now
 * @out_asked: frames asked back, ever
 * @out_given: frames given back after a request, ever
 * @out_taken: frames taken by force, ever
 * @out_wanted: frames wanted now
 * @out_log: entries waiting in the repossession log
 * @out_deadline_ns: when the rest of @out_wanted is taken (CLOCK_MONOTONIC), 0 if nothing is
 */
struct exo_env_status {
	__u32 size;
	__u32 flags;
	__aligned_u64 out_env;
	__u32 out_uid;
	__u32 out_pid;
	__u32 out_frames;
	__u32 out_quarantined;
	__u32 out_views;
	__u32 out_wanted;
	__aligned_u64 out_bound;
	__aligned_u64 out_asked;
	__aligned_u64 out_given;
	__aligned_u64 out_taken;
	__aligned_u64 out_log;
	__aligned_u64 out_deadline_ns;
};
#define EXO_ENV_STATUS _IO(EXO_TYPE, EXO_NR_ENV_STATUS)

/**
 * struct exo_env_list - EXO_ENV_LIST: the caller's uid's environments; all of them to CAP_SYS_ADMIN
 * @count: room in @envs
 * @out_done: rows written
 * @envs: array of struct exo_env_status
 * @start: list environments with a number above this; for paging
 * @row_size: bytes from one row to the next, what the caller knows of struct exo_env_status: shorter than
 *	the first one had (88) is EINVAL, so is no multiple of 8; longer than a page E2BIG. A row has as
 *	many bytes as its @size says, what is behind is zero
 * @reserved: 0
 */
struct exo_env_list {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 out_done;
	__aligned_u64 envs;
	__aligned_u64 start;
	__u32 row_size;
	__u32 reserved;
};
#define EXO_ENV_LIST _IO(EXO_TYPE, EXO_NR_ENV_LIST)

#define EXO_QUOTA_FRAMES (1U << 0)
#define EXO_QUOTA_MIN (1U << 1)
#define EXO_QUOTA_DEADLINE (1U << 2)
#define EXO_QUOTA_ENVS (1U << 3)
#define EXO_QUOTA_VIEWS (1U << 4)
#define EXO_QUOTA_GRAFTS (1U << 5)
#define EXO_QUOTA_GRAFT_INSNS (1U << 6)
#define EXO_QUOTA_GRAFT_JIT (1U << 7)
#define EXO_QUOTA_DEFAULT (1U << 31)	/* not a uid: the default of uids without their own */

/**
 * struct exo_quota - EXO_QUOTA_GET (own uid, or ADMIN), EXO_QUOTA_SET (ADMIN)
 * @flags: SET: which of the limits to set (EXO_QUOTA_*); GET: 0 or EXO_QUOTA_DEFAULT
 * @uid: whose, in the caller's user namespace
 * @frames: most frames held, all environments of the uid together
 * @min: frames that revocation leaves; in total below half of the pool
 * @deadline_ms: time between request and force
 * @envs: most environments
 * @views: most views
 * @out_frames: frames charged now
 * @out_envs: environments now
 * @grafts: most grafts
 * @graft_insns: most instructions of all grafts together, after lowering
 * @graft_jit: most bytes of machine code of all grafts together
 * @out_grafts: grafts charged now
 * @out_graft_insns: instructions charged now
 * @out_graft_jit: bytes charged now
 * @out_may: free 4 KiB frames that the uid could have just now: those that are kept for others' minima, and
 *	what is beyond its limit, left out
 * @out_may_huge: the same of 2 MiB frames
 */
struct exo_quota {
	__u32 size;
	__u32 flags;
	__u32 uid;
	__u32 frames;
	__u32 min;
	__u32 deadline_ms;
	__u32 envs;
	__u32 views;
	__u32 out_frames;
	__u32 out_envs;
	__u32 grafts;
	__u32 graft_insns;
	__u32 graft_jit;
	__u32 out_grafts;
	__u32 out_graft_insns;
	__u32 out_graft_jit;
	__u32 out_may;
	__u32 out_may_huge;
};
#define EXO_QUOTA_GET _IO(EXO_TYPE, EXO_NR_QUOTA_GET)
#define EXO_QUOTA_SET _IO(EXO_TYPE, EXO_NR_QUOTA_SET)

#include <exo/cap.h>
#include <exo/graft.h>
#include <exo/mem.h>
#include <exo/xn.h>

#endif
