/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * mem: physical memory. A *frame* is named by its index in the pool; its colour, node and order
 * are visible, its real frame number only to CAP_SYS_ADMIN. A *window* shows frames at fixed places
 * and serves I/O (O_DIRECT, registered buffers). A *view* is the application's own page table:
 * frames appear where it binds them. System calls can't read or write through a view (EFAULT).
 */
#ifndef _UAPI_EXO_MEM_H
#define _UAPI_EXO_MEM_H

#include <exo/types.h>

/* The frame table, at EXO_MMAP_TABLE, read only ----------------------------------------------- */

enum exo_frame_state {
	EXO_FRAME_ABSENT = 0,		/* not in the pool now */
	EXO_FRAME_FREE = 1,
	EXO_FRAME_TAKEN = 2,		/* somebody's, or quarantined */
};

#define EXO_FRAME_CONTIG (1U << 0)	/* physically followed by the next frame number */

/**
 * struct exo_frame_entry - one frame in the table
 * @state: enum exo_frame_state
 * @order: 0, or EXO_HUGE_ORDER for all 512 entries of a 2 MiB frame
 * @node: NUMA node
 * @flags: EXO_FRAME_CONTIG
 * @colour: page colour
 */
struct exo_frame_entry {
	__u8 state;
	__u8 order;
	__u8 node;
	__u8 flags;
	__u16 colour;
	__u16 reserved;
};

/**
 * struct exo_table - the pool as everybody sees it
 * @frames: entries in @frame
 * @present: frames in the pool now
 * @free: of these, free
 * @target: frames that the admin asked for; fewer are present while Linux needs them
 * @free_huge: 2 MiB frames that are free
 */
struct exo_table {
	__aligned_u64 frames;
	__aligned_u64 present;
	__aligned_u64 free;
	__aligned_u64 target;
	__aligned_u64 free_huge;
	__aligned_u64 reserved[507];
	struct exo_frame_entry frame[];
};

/* The pool ----------------------------------------------------------------------------------- */

#define EXO_POOL_GROW (1U << 0)
#define EXO_POOL_SHRINK (1U << 1)
#define EXO_POOL_HUGE (1U << 2)		/* in 2 MiB frames; @frames is still in 4 KiB, a multiple of 512 */
#define EXO_POOL_NODE (1U << 3)		/* only on @node */

/**
 * struct exo_mem_pool - EXO_MEM_POOL (ADMIN): hand memory to exo, or back to Linux
 * @frames: how many; rounded up to blocks of 512
 * @out_done: how many moved; a shrink takes free frames now and asks owners for the rest; on a node
 *	it takes the free ones only
 */
struct exo_mem_pool {
	__u32 size;
	__u32 flags;
	__u32 frames;
	__u32 node;
	__u32 out_done;
	__u32 reserved;
};
#define EXO_MEM_POOL _IO(EXO_TYPE, EXO_NR_MEM_POOL)

/* Allocation --------------------------------------------------------------------------------- */

enum exo_alloc_how {
	EXO_ALLOC_ANY = 0,		/* any frames */
	EXO_ALLOC_THESE = 1,		/* the frames named in @frames_ptr */
	EXO_ALLOC_COLOUR = 2,		/* frames of @colour */
	EXO_ALLOC_CONTIG = 3,		/* one physically contiguous run; all or nothing */
	EXO_ALLOC_HUGE = 4,		/* 2 MiB frames: @count of them, each named by its first frame */
};

#define EXO_ALLOC_HOW_MASK 0xfU
#define EXO_ALLOC_NODE (1U << 4)	/* only on @node; combines with all but THESE */
#define EXO_ALLOC_SEND (1U << 5)	/* send the capabilities through @sock, too */

#define EXO_MESSAGE_CAPS 128		/* capabilities in one message, at most */

/**
 * struct exo_mem_alloc - EXO_MEM_ALLOC
 * @flags: enum exo_alloc_how, EXO_ALLOC_NODE and EXO_ALLOC_SEND
 * @count: how many; with EXO_ALLOC_SEND at most EXO_MESSAGE_CAPS
 * @colour: for EXO_ALLOC_COLOUR
 * @node: for EXO_ALLOC_NODE
 * @out_done: how many were allocated
 * @frames_ptr: array of __u32: read for THESE, else written
 * @rights: EXO_RIGHT_* of the capabilities in @caps_ptr; 0: make none
 * @caps_ptr: array of struct exo_cap, written: one a frame, as EXO_CAP_CREATE makes it; 0 without
 *	@rights
 * @out_sent: EXO_ALLOC_SEND: bytes that were sent, or the negative error that send(2) would have
 *	had. Else 0
 * @sock: EXO_ALLOC_SEND: descriptor of an AF_UNIX socket that is connected. Else 0
 *
 * A frame that last belonged to another environment, or to Linux, is zeroed. @out_done frames are
 * allocated and have their numbers and capabilities written, also on failure; no others.
 *
 * EXO_ALLOC_SEND, which needs @rights: when all @count frames are allocated and written, their
 * capabilities are sent as one message, as send(2) with MSG_DONTWAIT and MSG_NOSIGNAL would send the
 * array at @caps_ptr. It never waits for the receiver. The allocation stands whatever became of the
 * message: who sees less in @out_sent than was to be sent (of a stream: the first bytes) sends the
 * rest itself, or frees the frames. If the allocation failed nothing is sent. EBADF, ENOTSOCK,
 * EAFNOSUPPORT: no such descriptor, no socket, not AF_UNIX; nothing has happened then.
 */
struct exo_mem_alloc {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 colour;
	__u32 node;
	__u32 out_done;
	__aligned_u64 frames_ptr;
	__u32 rights;
	__s32 out_sent;
	__aligned_u64 caps_ptr;
	__s32 sock;
	__u32 reserved;
};
#define EXO_MEM_ALLOC _IO(EXO_TYPE, EXO_NR_MEM_ALLOC)

/**
 * struct exo_mem_frames - EXO_MEM_FREE, EXO_MEM_DROP: an array of frames
 * @count: how many
 * @out_done: how many were done
 * @frames_ptr: array of __u32
 *
 * FREE revokes every capability of the frame, unmaps it everywhere and gives it back; a frame that
 * I/O still pins is quarantined and stays charged. DROP gives up what EXO_MEM_IMPORT gave.
 */
struct exo_mem_frames {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 out_done;
	__aligned_u64 frames_ptr;
};
#define EXO_MEM_FREE _IO(EXO_TYPE, EXO_NR_MEM_FREE)
#define EXO_MEM_DROP _IO(EXO_TYPE, EXO_NR_MEM_DROP)

#define EXO_IMPORT_BIND (1U << 0)	/* bind it, too */
#define EXO_IMPORT_RECEIVE (1U << 1)	/* receive what is imported through @sock */
#define EXO_IMPORT_DONTWAIT (1U << 2)	/* with EXO_IMPORT_RECEIVE: EAGAIN if nothing is there */

/**
 * struct exo_mem_import - EXO_MEM_IMPORT: present a capability; the frame may then be bound here
 * @flags: 0, or EXO_IMPORT_*
 * @cap: from its owner. EXO_IMPORT_RECEIVE: zero
 * @out_frame: the frame
 * @out_rights: what may be done with it here
 * @out_order: 0 or EXO_HUGE_ORDER
 * @view: EXO_IMPORT_BIND: bind the frame in this view, which this process has mapped. Else 0
 * @page: EXO_IMPORT_BIND: at this page; a 2 MiB frame at this page and the 511 after it. Else 0
 * @rights: EXO_IMPORT_BIND: EXO_RIGHT_READ, with or without EXO_RIGHT_WRITE. Else 0
 * @out_done: capabilities that were imported
 * @out_received: EXO_IMPORT_RECEIVE: bytes that were received; they are at @caps_ptr. Else 0
 * @sock: EXO_IMPORT_RECEIVE: descriptor of an AF_UNIX socket. Else 0
 * @count: EXO_IMPORT_RECEIVE: capabilities in the message, at most; 1 to EXO_MESSAGE_CAPS. Else 0
 * @caps_ptr: EXO_IMPORT_RECEIVE: array of @count struct exo_cap, written. Else 0
 *
 * With EXO_IMPORT_BIND it is IMPORT and BIND in one, with the errors of both, and both happen or
 * neither: if the bind fails, nothing is imported that was not before.
 *
 * With EXO_IMPORT_RECEIVE the capabilities come from a socket, as recv(2) of @count of them with
 * MSG_WAITALL would receive them: it waits, unless the socket is O_NONBLOCK or EXO_IMPORT_DONTWAIT is
 * given, and signals end the wait. What came is written to @caps_ptr first and then imported, one
 * capability after the other; the first is bound at @page, each other behind the one before. It ends
 * at the first that fails; @out_done were done, @out_frame, @out_rights and @out_order are
 * of the last of them. Fewer than @count are no error: a packet may have fewer, and so does the end
 * of a stream or a stream whose reader was interrupted. Nothing at all (the other end is closed) is
 * success with @out_received 0. Then:
 *
 *	EBADF, ENOTSOCK, EAFNOSUPPORT	no such descriptor, no socket, not AF_UNIX; nothing was received
 *	EMSGSIZE	not a whole number of capabilities, or a packet of more than @count: nothing is
 *			imported, the first bytes are at @caps_ptr, the rest of a packet is lost
 *	EFAULT		@caps_ptr can't be written: nothing is imported and what came is lost
 *	EOPNOTSUPP	through io_uring: IORING_OP_RECV waits without a thread, and may be linked
 *	other errors of recv(2)		nothing was received
 *
 * File descriptors that were sent along are closed.
 */
struct exo_mem_import {
	__u32 size;
	__u32 flags;
	struct exo_cap cap;
	__u32 out_frame;
	__u32 out_rights;
	__u32 out_order;
	__u32 view;
	__u32 page;
	__u32 rights;
	__u32 out_done;
	__u32 out_received;
	__s32 sock;
	__u32 count;
	__aligned_u64 caps_ptr;
};

#define EXO_MEM_IMPORT _IO(EXO_TYPE, EXO_NR_MEM_IMPORT)

/* Views -------------------------------------------------------------------------------------- */

#define EXO_VIEW_LAZY (1U << 0)		/* rebind without shootdown; see EXO_MEM_FLUSH */
#define EXO_VIEW_MONITOR (1U << 1)	/* faults that no upcall takes go to the ring, and wait */

/**
 * struct exo_mem_view_create - EXO_MEM_VIEW_CREATE
 * @pages: pages in the view
 * @stlb: entries in its software TLB: 0 or a power of two from 512 to 65536
 * @out_view: its number
 * @out_offset: mmap(2) it here, shared, readable and writable, once, ...
 * @out_length: ... with this length (the view, and pages that the module keeps for itself)
 */
struct exo_mem_view_create {
	__u32 size;
	__u32 flags;
	__u32 pages;
	__u32 stlb;
	__u32 out_view;
	__u32 reserved;
	__aligned_u64 out_offset;
	__aligned_u64 out_length;
};
#define EXO_MEM_VIEW_CREATE _IO(EXO_TYPE, EXO_NR_MEM_VIEW_CREATE)

/**
 * struct exo_mem_view - EXO_MEM_VIEW_DESTROY (EBUSY while mapped), EXO_MEM_FLUSH
 *
 * FLUSH: after it no stale translation of a lazy view is left anywhere.
 */
struct exo_mem_view {
	__u32 size;
	__u32 flags;
	__u32 view;
	__u32 reserved;
};
#define EXO_MEM_VIEW_DESTROY _IO(EXO_TYPE, EXO_NR_MEM_VIEW_DESTROY)
#define EXO_MEM_FLUSH _IO(EXO_TYPE, EXO_NR_MEM_FLUSH)

#define EXO_OP_ACCESSED (1U << 0)
#define EXO_OP_DIRTY (1U << 1)

/**
 * struct exo_mem_op - one run of pages in a batch
 * @page: first page of the view
 * @count: pages in the run, at least 1
 * @frame: BIND, REBIND: first frame; page @page + i gets frame @frame + i. Else 0
 * @rights: BIND, REBIND, PROTECT: EXO_RIGHT_READ, with or without EXO_RIGHT_WRITE. Else 0
 * @flags: 0; written if the batch has EXO_BATCH_REPORT: EXO_OP_* of what was bound before, or'ed
 *
 * A run that covers a whole 2 MiB frame at a 2 MiB boundary of the address space is bound with
 * one entry if no 4 KiB page was ever bound in that place.
 */
struct exo_mem_op {
	__u32 page;
	__u32 count;
	__u32 frame;
	__u16 rights;
	__u16 flags;
};

#define EXO_BATCH_REPORT (1U << 0)	/* UNBIND, REBIND, PROTECT: write accessed and dirty to the ops */

/**
 * struct exo_mem_batch - EXO_MEM_BIND, UNBIND, REBIND, PROTECT: one shootdown at most for all of it
 * @flags: EXO_BATCH_REPORT
 * @view: the view, which this process has mapped
 * @count: operations
 * @out_done: operations done
 * @ops: array of struct exo_mem_op
 *
 * BIND: pages that are bound already are EBUSY. UNBIND: pages that are not bound are skipped.
 * REBIND: binds whether or not something is bound. PROTECT: pages that are not bound are ENOENT.
 */
struct exo_mem_batch {
	__u32 size;
	__u32 flags;
	__u32 view;
	__u32 count;
	__u32 out_done;
	__u32 reserved;
	__aligned_u64 ops;
};
#define EXO_MEM_BIND _IO(EXO_TYPE, EXO_NR_MEM_BIND)
#define EXO_MEM_UNBIND _IO(EXO_TYPE, EXO_NR_MEM_UNBIND)
#define EXO_MEM_REBIND _IO(EXO_TYPE, EXO_NR_MEM_REBIND)
#define EXO_MEM_PROTECT _IO(EXO_TYPE, EXO_NR_MEM_PROTECT)

#define EXO_HARVEST_CLEAR_ACCESSED (1U << 0)
#define EXO_HARVEST_CLEAR_DIRTY (1U << 1)

/**
 * struct exo_mem_harvest - EXO_MEM_HARVEST: accessed and dirty bits of a run of pages
 * @flags: EXO_HARVEST_*: clear what was read (dirty: flushed before the call returns)
 * @bits: array of __u8, one a page: EXO_OP_ACCESSED, EXO_OP_DIRTY; 0 for unbound pages
 * @out_accessed: how many were accessed
 * @out_dirty: how many were dirty
 */
struct exo_mem_harvest {
	__u32 size;
	__u32 flags;
	__u32 view;
	__u32 page;
	__u32 count;
	__u32 reserved;
	__u32 out_accessed;
	__u32 out_dirty;
	__aligned_u64 bits;
};
#define EXO_MEM_HARVEST _IO(EXO_TYPE, EXO_NR_MEM_HARVEST)

/* An entry of the view table (EXO_MMAP_VIEW_TABLE): 0, or what is bound at the page. */
#define EXO_SLOT_BOUND (1ULL << 63)
#define EXO_SLOT_WRITE (1ULL << 62)
#define EXO_SLOT_FRAME(slot) ((__u32)(slot))

/*
 * An entry of the software TLB (EXO_MMAP_STLB), direct mapped: page p stands at p % entries. The
 * library writes it with one 64-bit store; the module reads it once, at a fault on p, and binds the
 * frame if the environment may at that time. 0 is no translation.
 */
#define EXO_STLB_VALID (1ULL << 63)
#define EXO_STLB_WRITE (1ULL << 62)
#define EXO_STLB_ENTRY(page, frame, write) \
	(EXO_STLB_VALID | ((write) ? EXO_STLB_WRITE : 0) | ((__u64)(page) << 32) | (__u32)(frame))
#define EXO_STLB_PAGE(entry) ((__u32)((entry) >> 32) & 0x3fffffffU)
#define EXO_STLB_FRAME(entry) ((__u32)(entry))

/* Faults ------------------------------------------------------------------------------------- */

#define EXO_UPCALL_LEVELS 4	/* an upcall inside an upcall (a signal handler that faults) */
#define EXO_UPCALL_SLOTS 64	/* threads with an upcall, per environment */

/**
 * struct exo_upcall_save - written by the module at the start of save page slot * LEVELS + level
 * @ip: where the thread was
 * @sp: its stack pointer
 * @flags: its flags
 * @address: address that it touched
 * @view: the view
 * @page: the page
 * @fault: EXO_FAULT_*
 * @busy: set by the module on entry, cleared by the handler when nothing here is needed any more;
 *	  the first level that is not busy takes the next upcall, none: monitor, else SIGBUS
 */
struct exo_upcall_save {
	__aligned_u64 ip;
	__aligned_u64 sp;
	__aligned_u64 flags;
	__aligned_u64 address;
	__u32 view;
	__u32 page;
	__u32 fault;
	__u32 busy;
};

#define EXO_UPCALL_REMOVE (1U << 0)

/**
 * struct exo_mem_upcall - EXO_MEM_UPCALL (THREAD): faults of this thread enter a handler
 * @flags: 0, or EXO_UPCALL_REMOVE
 * @slot: which save pages: below EXO_UPCALL_SLOTS
 * @handler: entered with sp = @stack + level * @stride, flags cleared that a C function expects
 *	     clear, all other registers as they were
 * @stack: stack pointer for level 0, 64-byte aligned
 * @stride: distance to the next level's
 */
struct exo_mem_upcall {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 reserved;
	__aligned_u64 handler;
	__aligned_u64 stack;
	__aligned_u64 stride;
};
#define EXO_MEM_UPCALL _IO(EXO_TYPE, EXO_NR_MEM_UPCALL)

/**
 * struct exo_mem_resume - EXO_MEM_RESUME (THREAD): leave a handler through the module
 * @save: pointer to ip, sp, flags and all general registers, as in struct exo_resume_regs
 *
 * For threads with a shadow stack, where the handler can't return by itself.
 */
struct exo_resume_regs {
	__aligned_u64 ip, sp, flags;
	__aligned_u64 ax, bx, cx, dx, si, di, bp, r8, r9, r10, r11, r12, r13, r14, r15;
};

struct exo_mem_resume {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 level;
	__aligned_u64 regs;
};
#define EXO_MEM_RESUME _IO(EXO_TYPE, EXO_NR_MEM_RESUME)

/**
 * struct exo_mem_wake - EXO_MEM_WAKE: threads that wait at these pages try again
 */
struct exo_mem_wake {
	__u32 size;
	__u32 flags;
	__u32 view;
	__u32 page;
	__u32 count;
	__u32 reserved;
};
#define EXO_MEM_WAKE _IO(EXO_TYPE, EXO_NR_MEM_WAKE)

/* Revocation --------------------------------------------------------------------------------- */

/**
 * struct exo_mem_revoke - EXO_MEM_REVOKE (ADMIN): ask an environment for frames
 * @env: its number; 0: everybody, in proportion to what they hold
 * @frames: how many
 * @deadline_ms: then take them; 0: the uid's own deadline
 * @out_asked: how many were asked for; the guaranteed minimum is left
 */
struct exo_mem_revoke {
	__u32 size;
	__u32 flags;
	__aligned_u64 env;
	__u32 frames;
	__u32 deadline_ms;
	__u32 out_asked;
	__u32 reserved;
};
#define EXO_MEM_REVOKE _IO(EXO_TYPE, EXO_NR_MEM_REVOKE)

/**
 * struct exo_mem_taken - one entry of the repossession log
 * @frame: the frame
 * @view: view where it was bound, ~0 if it was not
 * @address: address of the page there, 0 if it was not bound
 * @time_ns: when (CLOCK_MONOTONIC)
 * @why: EXO_WHY_*
 */
struct exo_mem_taken {
	__u32 frame;
	__u32 view;
	__aligned_u64 address;
	__aligned_u64 time_ns;
	__u32 why;
	__u32 reserved;
};

/**
 * struct exo_mem_log - EXO_MEM_LOG: read and remove entries of the repossession log
 * @count: room in @entries
 * @out_done: entries written
 * @out_left: entries left
 * @entries: array of struct exo_mem_taken
 *
 * Room for the entry of a frame is set aside when the frame is allocated: the log can't overflow.
 */
struct exo_mem_log {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 out_done;
	__u32 out_left;
	__u32 reserved;
	__aligned_u64 entries;
};
#define EXO_MEM_LOG _IO(EXO_TYPE, EXO_NR_MEM_LOG)

#define EXO_HOLD_OWNER (1U << 0)	/* this environment owns it */
#define EXO_HOLD_IMPORT (1U << 1)	/* this environment imported it */
#define EXO_HOLD_UID (1U << 2)		/* an environment of the same uid owns it */
#define EXO_HOLD_QUARANTINE (1U << 3)	/* given up while pinned; said to uid and ADMIN */

/**
 * struct exo_frame_info - one row of EXO_MEM_QUERY
 * @frame: the frame
 * @rights: EXO_RIGHT_* that this environment has
 * @hold: EXO_HOLD_*
 * @bindings: pages at which it is bound in all views, to its owner; else 0
 * @pfn: real frame number, to CAP_SYS_ADMIN; else 0
 */
struct exo_frame_info {
	__u32 frame;
	__u16 rights;
	__u16 hold;
	__u32 bindings;
	__u32 reserved;
	__aligned_u64 pfn;
};

/**
 * struct exo_mem_query - EXO_MEM_QUERY
 * @frame: first frame
 * @count: how many
 * @out_done: rows written
 * @infos: array of struct exo_frame_info
 */
struct exo_mem_query {
	__u32 size;
	__u32 flags;
	__u32 frame;
	__u32 count;
	__u32 out_done;
	__u32 reserved;
	__aligned_u64 infos;
};
#define EXO_MEM_QUERY _IO(EXO_TYPE, EXO_NR_MEM_QUERY)

#endif
