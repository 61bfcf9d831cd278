// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Views: the application's own page table.
 * Ideas: S95 §6 (application-level virtual memory); batched manipulation: vmcache and exmap,
 * SIGMOD'23.
 */
#include <sys/mman.h>

#include "lib.h"

static size_t page_align(size_t length)
{
	return (length + EXO_PAGE_SIZE - 1) & ~(EXO_PAGE_SIZE - 1);
}

/* A 2 MiB aligned hole of the address space, reserved. */
static void *reserve_aligned(size_t length)
{
	size_t whole = length + HUGE_SIZE;
	size_t head, tail;
	char *at;

	at = sys_mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_is_err(at))
		return at;
	head = -(uintptr_t)at & (HUGE_SIZE - 1);
	tail = whole - head - page_align(length);
	if (head)
		sys_munmap(at, head);
	if (tail)
		sys_munmap(at + head + page_align(length), tail);
	return at + head;
}

/*
 * The view's tables are flat and start at a 2 MiB boundary: so that a 2 MiB frame can be bound with
 * one entry wherever its page number allows, and no page table is shared with a neighbour.
 */
static int map_view(struct exo_view *view, uint64_t offset, void *addr)
{
	void *hole = NULL;
	void *at;

	if ((uintptr_t)addr & (HUGE_SIZE - 1))
		return -EINVAL;
	if (!addr) {
		hole = reserve_aligned(view->length);
		if (sys_is_err(hole))
			return sys_err(hole);
	}
	at = sys_mmap(hole ? hole : addr, view->length, PROT_READ | PROT_WRITE,
		      MAP_SHARED | (hole ? MAP_FIXED : MAP_FIXED_NOREPLACE), view->env->fd, offset);
	if (sys_is_err(at)) {
		if (hole)
			sys_munmap(hole, page_align(view->length));
		return sys_err(at);
	}
	view->base = at;
	return 0;
}

static int map_tables(struct exo_view *view)
{
	uint64_t index = (uint64_t)view->id << EXO_MMAP_VIEW_SHIFT;
	void *at;

	at = sys_mmap(NULL, page_align(view->pages * sizeof(*view->table)), PROT_READ, MAP_SHARED,
		      view->env->fd, EXO_MMAP_VIEW_TABLE + index);
	if (sys_is_err(at))
		return sys_err(at);
	view->table = at;
	if (!view->stlb_entries)
		return 0;
	at = sys_mmap(NULL, page_align(view->stlb_entries * sizeof(*view->stlb)),
		      PROT_READ | PROT_WRITE, MAP_SHARED, view->env->fd, EXO_MMAP_STLB + index);
	if (sys_is_err(at))
		return sys_err(at);
	view->stlb = at;
	return 0;
}

static void unmap_all(struct exo_view *view)
{
	if (view->stlb)
		sys_munmap(view->stlb, page_align(view->stlb_entries * sizeof(*view->stlb)));
	if (view->table)
		sys_munmap((void *)view->table, page_align(view->pages * sizeof(*view->table)));
	if (view->base)
		sys_munmap(view->base, page_align(view->length));
	view->stlb = NULL;
	view->table = NULL;
	view->base = NULL;
}

static int destroy_id(struct exo_env *env, uint32_t id)
{
	struct exo_mem_view arg = { .size = sizeof(arg), .view = id };

	return sys_ioctl(env->fd, EXO_MEM_VIEW_DESTROY, &arg);
}

/**
 * exo_view_attach() - a handle for a view that was made through io_uring
 * @env: in which it was made
 * @created: the completed command of exo_prep_view_create()
 * @addr: as exo_view_opts.addr
 * @out_view: the handle, until exo_view_destroy()
 *
 * Return: 0; -EINVAL; -EEXIST: something is at @addr; -EBUSY: it is mapped already; -ENOMEM. The
 * view still exists after a failure. Thread-safe.
 */
EXPORT int exo_view_attach(struct exo_env *env, const struct exo_mem_view_create *created,
			   void *addr, struct exo_view **out_view)
{
	struct exo_view *view;
	int ret;

	if (created->out_view >= VIEW_IDS)
		return -EINVAL;
	view = lib_zalloc(sizeof(*view));
	if (!view)
		return -ENOMEM;
	view->env = env;
	view->id = created->out_view;
	view->pages = created->pages;
	view->stlb_entries = created->stlb;
	view->length = created->out_length;
	ret = map_view(view, created->out_offset, addr);
	if (!ret)
		ret = map_tables(view);
	if (ret) {
		unmap_all(view);
		lib_free(view);
		return ret;
	}
	__atomic_store_n(&env->views[view->id], view, __ATOMIC_RELEASE);
	env_get(env);
	*out_view = view;
	return 0;
}

/**
 * exo_view_create() - make a view and map it
 * @env: the environment
 * @opts: how long; a software TLB; lazy; monitored; where
 * @out_view: the handle, until exo_view_destroy()
 *
 * Nothing is bound in it. The mapping is this process's alone: it isn't there in the child of a
 * fork, mprotect(2) and mremap(2) refuse it, and system calls on its pages get EFAULT.
 *
 * Return: 0; -EINVAL; -EDQUOT: too many views; -EEXIST: something is at @opts->addr; -EOPNOTSUPP: a
 * feature that the module has not; -ENOMEM. Thread-safe.
 */
EXPORT int exo_view_create(struct exo_env *env, const struct exo_view_opts *opts,
			   struct exo_view **out_view)
{
	struct exo_mem_view_create arg = { .size = sizeof(arg) };
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	if (OPTS_GET(opts, reserved, 0U))
		return -EINVAL;
	arg.pages = OPTS_GET(opts, pages, 0U);
	arg.stlb = OPTS_GET(opts, stlb, 0U);
	arg.flags = OPTS_GET(opts, flags, 0U);
	ret = sys_ioctl(env->fd, EXO_MEM_VIEW_CREATE, &arg);
	if (ret)
		return ret;
	ret = exo_view_attach(env, &arg, OPTS_GET(opts, addr, NULL), out_view);
	if (ret)
		destroy_id(env, arg.out_view);
	return ret;
}

/**
 * exo_view_destroy() - unmap a view and free the handle
 * @view: the view; NULL is nothing
 *
 * The frames that were bound stay the environment's. Nobody else may be using @view or its memory.
 *
 * Return: 0; -EBUSY while a monitor runs, or something still uses the mapping.
 */
EXPORT int exo_view_destroy(struct exo_view *view)
{
	struct exo_env *env;
	bool monitored;
	int ret;

	if (!view)
		return 0;
	env = view->env;
	pthread_mutex_lock(&env->event_lock);
	monitored = view->monitor;
	if (!monitored)
		__atomic_store_n(&env->views[view->id], NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&env->event_lock);
	if (monitored)
		return -EBUSY;
	unmap_all(view);
	ret = destroy_id(env, view->id);
	/* Unmapped it is of no use: what is not destroyed dies with the environment. */
	env_put(env);
	lib_free(view);
	return ret;
}

/**
 * exo_view_env() - a view's environment
 * @view: the view
 *
 * Return: the environment. Async-signal-safe.
 */
EXPORT struct exo_env *exo_view_env(const struct exo_view *view)
{
	return view->env;
}

/**
 * exo_view_id() - a view's number, as events and the repossession log name it
 * @view: the view
 *
 * Return: the number. Async-signal-safe.
 */
EXPORT uint32_t exo_view_id(const struct exo_view *view)
{
	return view->id;
}

/**
 * exo_view_pages() - how long a view is
 * @view: the view
 *
 * Return: pages. Async-signal-safe.
 */
EXPORT uint32_t exo_view_pages(const struct exo_view *view)
{
	return view->pages;
}

/**
 * exo_view_base() - where a view begins
 * @view: the view
 *
 * Return: the address of page 0, 2 MiB aligned. Async-signal-safe.
 */
EXPORT void *exo_view_base(const struct exo_view *view)
{
	return view->base;
}

/**
 * exo_view_length() - how long a view's mapping is
 * @view: the view
 *
 * Return: bytes: its pages, and room behind them that the module keeps for itself: what is mapped over a view must cover all of
 * it. Async-signal-safe.
 */
EXPORT size_t exo_view_length(const struct exo_view *view)
{
	return page_align(view->length);
}

/**
 * exo_view_addr() - the address of a page
 * @view: the view
 * @page: the page
 *
 * Return: its address; NULL beyond the view. Async-signal-safe.
 */
EXPORT void *exo_view_addr(const struct exo_view *view, uint32_t page)
{
	return page < view->pages ? view->base + (size_t)page * EXO_PAGE_SIZE : NULL;
}

/**
 * exo_view_page() - the page at an address
 * @view: the view
 * @addr: any address
 *
 * Return: the page; -EINVAL: not in the view. Async-signal-safe.
 */
EXPORT int64_t exo_view_page(const struct exo_view *view, const void *addr)
{
	uint64_t page = ((uintptr_t)addr - (uintptr_t)view->base) >> EXO_PAGE_SHIFT;

	return page < view->pages ? (int64_t)page : -EINVAL;
}

static int batch_once(struct exo_view *view, unsigned int cmd, struct exo_mem_op *ops,
		      uint32_t count, uint32_t flags, uint32_t *out_done)
{
	struct exo_mem_batch arg = {
		.size = sizeof(arg),
		.flags = flags,
		.view = view->id,
		.count = count,
		.ops = (uintptr_t)ops,
	};
	int ret;

	ret = sys_ioctl(view->env->fd, cmd, &arg);
	*out_done = arg.out_done;
	return ret;
}

/* How many of these operations the module does before it says that the pages are too many. */
static uint32_t batch_fit(const struct exo_view *view, const struct exo_mem_op *ops, uint32_t count)
{
	uint64_t pages = 0;
	uint32_t n;

	for (n = 0; n < count; n++) {
		pages += ops[n].count;
		if (pages > view->env->info.out_max_pages)
			break;
	}
	return n;
}

/*
 * Pages are not counted before, which would cost as much as a tenth of the whole: a batch of too
 * many stops with EINVAL at the operation that is too much, and goes on there.
 */
static int batch_many(struct exo_view *view, unsigned int cmd, struct exo_mem_op *ops,
		      uint32_t count, uint32_t flags, uint32_t *out_done)
{
	uint32_t max = view->env->info.out_max_ops;
	uint32_t done = 0, part, n;
	int ret;

	do {
		n = count - done < max ? count - done : max;
		ret = batch_once(view, cmd, ops + done, n, flags, &part);
		if (ret == -EINVAL && part && part == batch_fit(view, ops + done, n))
			ret = 0;
		done += part;
	} while (!ret && done < count);
	if (out_done)
		*out_done = done;
	return ret;
}

/* Faults bind one page, and are counted in instructions. */
static inline int batch(struct exo_view *view, unsigned int cmd, struct exo_mem_op *ops,
			uint32_t count, uint32_t flags, uint32_t *out_done)
{
	uint32_t done;
	int ret;

	if (__builtin_expect(count != 1, 0))
		return batch_many(view, cmd, ops, count, flags, out_done);
	ret = batch_once(view, cmd, ops, 1, flags, &done);
	if (out_done)
		*out_done = done;
	return ret;
}

/**
 * exo_view_bind() - bind frames at pages that are not bound
 * @view: the view
 * @ops: what where; a run that covers a whole 2 MiB frame at a 2 MiB boundary gets one entry
 * @count: operations; one operation may name exo_info.out_max_pages pages
 * @out_done: operations done, the first ones, also on failure; may be NULL
 *
 * Return: 0; -EBUSY: a page is bound; -EACCES: a frame may not be bound here with these rights;
 * -EINVAL. Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_bind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count,
			 uint32_t *out_done)
{
	return batch(view, EXO_MEM_BIND, ops, count, 0, out_done);
}

/**
 * exo_view_import() - present a capability and bind its frame, both or neither
 * @view: the view
 * @page: not bound; of a 2 MiB frame the first of 512
 * @cap: from the frame's owner
 * @rights: EXO_RIGHT_READ, with or without EXO_RIGHT_WRITE
 * @out_frame: the frame; may be NULL
 *
 * exo_mem_import() and exo_view_bind() in one call: what a process does that is given a frame.
 * exo_mem_drop() gives the frame up.
 *
 * Return: 0; -EACCES: the capability is no good, or not for these rights; -ESTALE: it was revoked;
 * -EBUSY: the page is bound; -EINVAL. Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_import(struct exo_view *view, uint32_t page, const struct exo_cap *cap,
			   uint32_t rights, uint32_t *out_frame)
{
	struct exo_mem_import arg = {
		.size = sizeof(arg),
		.flags = EXO_IMPORT_BIND,
		.cap = *cap,
		.view = view->id,
		.page = page,
		.rights = rights,
	};
	int ret;

	ret = sys_ioctl(view->env->fd, EXO_MEM_IMPORT, &arg);
	if (!ret && out_frame)
		*out_frame = arg.out_frame;
	return ret;
}

/**
 * exo_view_unbind() - unbind pages, with one shootdown
 * @view: the view
 * @ops: which; pages that are not bound are skipped
 * @count: operations
 * @flags: EXO_BATCH_REPORT: write EXO_OP_ACCESSED and EXO_OP_DIRTY to the operations
 * @out_done: operations done, the first ones, also on failure; may be NULL
 *
 * After it no CPU reads or writes through the old translation, unless the view is lazy.
 *
 * Return: 0; -EINVAL. Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_unbind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count,
			   uint32_t flags, uint32_t *out_done)
{
	return batch(view, EXO_MEM_UNBIND, ops, count, flags, out_done);
}

/**
 * exo_view_rebind() - bind frames at pages whether or not they are bound
 * @view: the view
 * @ops: what where
 * @count: operations
 * @flags: EXO_BATCH_REPORT: write the old bindings' EXO_OP_* to the operations
 * @out_done: operations done, the first ones, also on failure; may be NULL
 *
 * In a lazy view without a shootdown: until exo_view_flush() a page may still show the old frame.
 *
 * Return: 0; -EACCES; -EINVAL. Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_rebind(struct exo_view *view, struct exo_mem_op *ops, uint32_t count,
			   uint32_t flags, uint32_t *out_done)
{
	return batch(view, EXO_MEM_REBIND, ops, count, flags, out_done);
}

/**
 * exo_view_protect() - change the rights of bound pages, with one shootdown
 * @view: the view
 * @ops: which pages and rights
 * @count: operations
 * @flags: EXO_BATCH_REPORT, as for exo_view_unbind()
 * @out_done: operations done, the first ones, also on failure; may be NULL
 *
 * Idea: Appel and Li, ASPLOS'91: PROT1, PROTN and UNPROT.
 *
 * Return: 0; -ENOENT: a page is not bound; -EACCES: more than this environment may; -EINVAL.
 * Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_protect(struct exo_view *view, struct exo_mem_op *ops, uint32_t count,
			    uint32_t flags, uint32_t *out_done)
{
	return batch(view, EXO_MEM_PROTECT, ops, count, flags, out_done);
}

/**
 * exo_view_flush() - no stale translation of a lazy view is left anywhere after it
 * @view: the view
 *
 * Return: 0 or -errno. Thread-safe, async-signal-safe, and for fault handlers.
 */
EXPORT int exo_view_flush(struct exo_view *view)
{
	struct exo_mem_view arg = { .size = sizeof(arg), .view = view->id };

	return sys_ioctl(view->env->fd, EXO_MEM_FLUSH, &arg);
}

/**
 * exo_view_harvest() - read, and if wanted clear, accessed and dirty bits of a run of pages
 * @view: the view
 * @page: first page
 * @count: how many
 * @flags: EXO_HARVEST_CLEAR_ACCESSED, EXO_HARVEST_CLEAR_DIRTY
 * @bits: one byte a page: EXO_OP_*, 0 where nothing is bound; NULL: only count
 * @out_accessed: how many were accessed; may be NULL
 * @out_dirty: how many were dirty; may be NULL
 *
 * A dirty bit that was cleared is set again by the next store: no store is lost.
 * Idea: Appel and Li, ASPLOS'91: DIRTY.
 *
 * Return: 0; -EINVAL. Thread-safe, async-signal-safe (unless @bits is NULL).
 */
EXPORT int exo_view_harvest(struct exo_view *view, uint32_t page, uint32_t count, uint32_t flags,
			    uint8_t *bits, uint32_t *out_accessed, uint32_t *out_dirty)
{
	uint32_t max = view->env->info.out_max_pages;
	uint32_t accessed = 0, dirty = 0, done = 0;
	uint8_t *scratch = NULL;
	int ret = 0;

	if (!bits) {
		scratch = lib_zalloc(count < max ? count : max);
		if (!scratch)
			return -ENOMEM;
	}
	do {
		struct exo_mem_harvest arg = {
			.size = sizeof(arg),
			.flags = flags,
			.view = view->id,
			.page = page + done,
			.count = count - done < max ? count - done : max,
			.bits = (uintptr_t)(scratch ? scratch : bits + done),
		};

		ret = sys_ioctl(view->env->fd, EXO_MEM_HARVEST, &arg);
		accessed += arg.out_accessed;
		dirty += arg.out_dirty;
		done += arg.count;
	} while (!ret && done < count);
	lib_free(scratch);
	if (out_accessed)
		*out_accessed = accessed;
	if (out_dirty)
		*out_dirty = dirty;
	return ret;
}

/**
 * exo_view_wake() - threads that wait at these pages for a monitor try again
 * @view: the view
 * @page: first page
 * @count: how many
 *
 * Return: 0; -EINVAL. Thread-safe, async-signal-safe.
 */
EXPORT int exo_view_wake(struct exo_view *view, uint32_t page, uint32_t count)
{
	struct exo_mem_wake arg = {
		.size = sizeof(arg),
		.view = view->id,
		.page = page,
		.count = count,
	};

	return sys_ioctl(view->env->fd, EXO_MEM_WAKE, &arg);
}

/**
 * exo_view_table() - what is bound where
 * @view: the view
 *
 * Return: an array of EXO_SLOT_* values, one a page, read only, which the module keeps up to date;
 * valid until exo_view_destroy(). Async-signal-safe.
 */
EXPORT const uint64_t *exo_view_table(const struct exo_view *view)
{
	return view->table;
}

/**
 * exo_view_slot() - what is bound at a page
 * @view: the view
 * @page: the page
 *
 * Return: EXO_SLOT_*, 0: nothing, or beyond the view. Async-signal-safe, and for fault handlers.
 */
EXPORT uint64_t exo_view_slot(const struct exo_view *view, uint32_t page)
{
	return page < view->pages ? __atomic_load_n(&view->table[page], __ATOMIC_ACQUIRE) : 0;
}
