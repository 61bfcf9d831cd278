/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Views: the application's own page table. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_VIEW_H
#define EXO_LIBEXO_VIEW_H

/**
 * struct exo_view_opts - options of exo_view_create()
 * @sz: size of this struct
 * @pages: pages in the view; required
 * @stlb: entries in the software TLB: 0 or a power of two from 512 to 65536
 * @flags: EXO_VIEW_LAZY, EXO_VIEW_MONITOR
 * @addr: where, 2 MiB aligned and free; NULL: the library chooses a 2 MiB aligned place
 */
struct exo_view_opts {
	size_t sz;
	uint32_t pages;
	uint32_t stlb;
	uint32_t flags;
	uint32_t reserved;
	void *addr;
};

int exo_view_create(struct exo_env *env, const struct exo_view_opts *opts,
		    struct exo_view **out_view);
/* A handle for a view that EXO_MEM_VIEW_CREATE made through io_uring (exo_prep_view_create()). */
int exo_view_attach(struct exo_env *env, const struct exo_mem_view_create *created, void *addr,
		    struct exo_view **out_view);
/* -EBUSY while a monitor runs. */
int exo_view_destroy(struct exo_view *view);

struct exo_env *exo_view_env(const struct exo_view *view);
uint32_t exo_view_id(const struct exo_view *view);
uint32_t exo_view_pages(const struct exo_view *view);
void *exo_view_base(const struct exo_view *view);
/* Of the whole mapping. */
size_t exo_view_length(const struct exo_view *view);
void *exo_view_addr(const struct exo_view *view, uint32_t page);
/* The page at an address, -EINVAL if it is not in the view. */
int64_t exo_view_page(const struct exo_view *view, const void *addr);

/*
 * Batches: one shootdown at most for every exo_info.out_max_ops operations. Operations before the
 * first failure have happened, *out_done (may be NULL) says how many. flags: 0 or EXO_BATCH_REPORT.
 */
int exo_view_bind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count,
		  uint32_t *out_done);
int exo_view_unbind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count, uint32_t flags,
		    uint32_t *out_done);
int exo_view_rebind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count, uint32_t flags,
		    uint32_t *out_done);
int exo_view_protect(struct exo_view *view, struct exo_mem_op *ops, uint32_t count, uint32_t flags,
		     uint32_t *out_done);

/*
 * Presents a capability and binds the frame (a 2 MiB one at page ... page + 511), both or neither.
 * out_frame may be NULL.
 */
int exo_view_import(struct exo_view *view, uint32_t page, const struct exo_cap *cap,
		    uint32_t rights, uint32_t *out_frame);
/*
 * Receives capabilities through a socket and does the same with each, at page and the pages behind it. out_done
 * (may be NULL): how many, also on failure; 0 without an error: the other end is closed.
 */
int exo_view_receive(struct exo_view *view, uint32_t page, uint32_t rights,
		     const struct exo_receive_opts *opts, uint32_t *out_done);

/* An operation on pages page ... page + count - 1; frame and rights 0 where they mean nothing. */
static inline struct exo_mem_op exo_op(uint32_t page, uint32_t count, uint32_t frame,
				       uint32_t rights)
{
	struct exo_mem_op op;

	op.page = page;
	op.count = count;
	op.frame = frame;
	op.rights = (uint16_t)rights;
	op.flags = 0;
	return op;
}

static inline int exo_view_bind1(struct exo_view *view, uint32_t page, uint32_t frame,
				 uint32_t rights)
{
	struct exo_mem_op op = exo_op(page, 1, frame, rights);

	return exo_view_bind(view, &op, 1, NULL);
}

static inline int exo_view_unbind1(struct exo_view *view, uint32_t page)
{
	struct exo_mem_op op = exo_op(page, 1, 0, 0);

	return exo_view_unbind(view, &op, 1, 0, NULL);
}

static inline int exo_view_rebind1(struct exo_view *view, uint32_t page, uint32_t frame,
				   uint32_t rights)
{
	struct exo_mem_op op = exo_op(page, 1, frame, rights);

	return exo_view_rebind(view, &op, 1, 0, NULL);
}

static inline int exo_view_protect1(struct exo_view *view, uint32_t page, uint32_t rights)
{
	struct exo_mem_op op = exo_op(page, 1, 0, rights);

	return exo_view_protect(view, &op, 1, 0, NULL);
}

/* Lazy views: after it no stale translation is left anywhere. */
int exo_view_flush(struct exo_view *view);
/*
 * Accessed and dirty bits of a run: bits (may be NULL) gets EXO_OP_* a page; flags: EXO_HARVEST_*;
 * out_accessed and out_dirty (may be NULL): how many.
 */
int exo_view_harvest(struct exo_view *view, uint32_t page, uint32_t count, uint32_t flags,
		     uint8_t *bits, uint32_t *out_accessed, uint32_t *out_dirty);
/* Threads that wait at these pages for a monitor try again. */
int exo_view_wake(struct exo_view *view, uint32_t page, uint32_t count);

/* What is bound, mapped read only: a slot a page (EXO_SLOT_*), 0 where nothing is. Never NULL. */
const uint64_t *exo_view_table(const struct exo_view *view);
/* The slot of a page; 0 beyond the view. */
uint64_t exo_view_slot(const struct exo_view *view, uint32_t page);

/* Software TLB --------------------------------------------------------------------------------- */

uint32_t exo_view_stlb_entries(const struct exo_view *view);
/* A fault on page will bind frame, without an upcall. -EOPNOTSUPP without opts.stlb. */
int exo_view_stlb_load(struct exo_view *view, uint32_t page, uint32_t frame, int write);
/* No translation for page any more, if it has one; what is bound stays bound. */
int exo_view_stlb_clear(struct exo_view *view, uint32_t page);

/* Lazy views: the stored-address check ------------------------------------------- */

/*
 * In a lazy view a page may for a time show the frame that was bound there before. A page that says
 * who it is, in 8 bytes at a fixed offset, lets every reader see that at once. The protocol: the old
 * frame is stamped anew (what it will hold, or -1), the new one is filled through a window, stamped
 * with the page's number and bound; readers exo_view_lazy_pin() before they use the page.
 */
static inline void exo_lazy_stamp(void *frame_addr, size_t offset, uint32_t page)
{
	__atomic_store_n((uint64_t *)((char *)frame_addr + offset), (uint64_t)page,
			 __ATOMIC_RELEASE);
}

/* Does the memory at the page's address say that it is the page? */
static inline int exo_lazy_check(const void *page_addr, size_t offset, uint32_t page)
{
	return __atomic_load_n((const uint64_t *)((const char *)page_addr + offset),
			       __ATOMIC_ACQUIRE) == page;
}

/* 0 if the page says that it is page, if need be after a repair; else -ESTALE: rebind it. */
int exo_view_lazy_pin(struct exo_view *view, uint32_t page, size_t offset);

#endif
