/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Views: page tables that the application writes.
 *
 * Per page a view has a *slot*, the truth about what is bound there; PTEs are a cache of the
 * slots (a fault on a bound slot without a PTE installs it again). Slots live in one page per 512
 * view pages ("chunk"), allocated when the first of them is used and mapped read only into the
 * owner at EXO_MMAP_VIEW_TABLE. Page tables are learned, one per 2 MiB of address space
 * ("region").
 *
 * A frame whose translation may still sit in a TLB of this view remembers view->seq
 * (exo_frame.stale). It may not change hands before view->flushed reaches that:
 * exo_views_unmap_frames() sees to it, or, in the middle of a munmap, quarantine does.
 *
 * A binding's record at its frame (exo_frame.bview, .bpage, .more) is taken away only when the
 * translation is flushed, or when exo_frame.stale says that it is not. So whoever finds neither a
 * record nor something stale knows that no TLB can have the frame.
 */
#ifndef EXO_MEM_VIEW_H
#define EXO_MEM_VIEW_H

#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "core/slot.h"
#include "mem/frame.h"

struct exo_graft_attachment;

#define EXO_VIEW_MAX_PAGES (1U << 26)
#define EXO_VIEWS_MAX 65535		/* numbers are global: they are part of the mmap offset */

#define EXO_CHUNK_SLOTS (PAGE_SIZE / sizeof(u64))

/**
 * struct exo_region - 2 MiB of address space that a view covers, wholly or in part
 * @slots: the chunk of its pages, as soon as @table is there too; else, and in a view with a
 *	skew, NULL
 * @table: its page table, once it was learned (INV-VIEW-8)
 * @ptl: the page table's lock
 * @huge: a whole 2 MiB frame is bound here, with the same rights everywhere, and there is no page
 *	table: one entry maps it, as soon as it is touched
 */
struct exo_region {
	u64 *slots;
	pte_t *table;
	spinlock_t *ptl;
	bool huge;
};

/**
 * struct exo_view - a view
 * @ref: the index holds one; mappings of its tables, running operations and waiting faults hold
 *	others
 * @number: never 0; in exo_view_index and in env->mem->views
 * @env: its environment; only compared after the view's death
 * @pages: length
 * @flags: EXO_VIEW_*
 * @stlb_entries: 0 or a power of two
 * @stlb: the software TLB, or NULL; the application writes it
 * @lock: guards all below, and every PTE of the view that the module writes
 * @dead: no longer in the index: nothing is bound any more, ever
 * @vma: where it is mapped, NULL when it is not; also stable under its mm's mmap_lock or VMA lock
 * @mm: of @vma, with a reference to the struct
 * @start: of @vma
 * @skew: pages by which @start lies behind a 2 MiB boundary
 * @chunks: slots of pages i * 512 ..., or NULL
 * @regions: region i starts at (@start rounded down) + i * 2 MiB
 * @nr_regions: how many; a power of two
 * @region_mask: one less
 * @seq: number of the last batch that took translations away
 * @flushed: of the last such batch after which the TLBs were flushed; read without @lock by
 *	revocation
 * @graft: answers faults, or NULL
 * @wait: faults that wait for a monitor
 * @waiters: the former, under @wait's own lock
 */
struct exo_view {
	struct kref ref;
	struct rcu_head rcu;
	u32 number;
	struct exo_env *env;
	u32 pages;
	u32 flags;
	u32 stlb_entries;
	u64 *stlb;

	struct mutex lock;
	bool dead;
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	unsigned long start;
	u32 skew;
	u64 **chunks;
	struct exo_region *regions;
	u32 nr_regions;
	u32 region_mask;
	u64 seq;
	u64 flushed;
	struct exo_graft_attachment *graft;

	wait_queue_head_t wait;
	struct list_head waiters;
};

static inline unsigned long exo_view_address(const struct exo_view *view, u32 page)
{
	return view->start + ((unsigned long)page << PAGE_SHIFT);
}

static inline loff_t exo_view_offset(const struct exo_view *view)
{
	return EXO_MMAP_VIEW + ((u64)view->number << EXO_MMAP_VIEW_SHIFT);
}

static inline u32 exo_view_nr_chunks(const struct exo_view *view)
{
	return DIV_ROUND_UP(view->pages, EXO_CHUNK_SLOTS);
}

static inline struct exo_region *exo_view_region(struct exo_view *view, u32 page)
{
	return &view->regions[(page + view->skew) / PTRS_PER_PTE];
}

/*
 * The region of a page of a view without a skew, if @page was compared with view->pages: the
 * processor can't speculate beyond the regions.
 */
static inline struct exo_region *exo_view_region_nospec(struct exo_view *view, u32 page)
{
	return &view->regions[page / PTRS_PER_PTE & view->region_mask];
}

/* Index of the page's PTE in its region's table. */
static inline u32 exo_view_pte_index(const struct exo_view *view, u32 page)
{
	return (page + view->skew) % PTRS_PER_PTE;
}

/* The page's slot, or NULL if its chunk isn't there, so nothing is bound. View locked. */
static inline u64 *exo_view_slot(struct exo_view *view, u32 page)
{
	u64 *chunk = view->chunks[page / EXO_CHUNK_SLOTS];

	return chunk ? chunk + page % EXO_CHUNK_SLOTS : NULL;
}

/* Pages from @page on, at most @count, that are in one chunk and in one region. */
static inline u32 exo_view_room(const struct exo_view *view, u32 page, u32 count)
{
	u32 room = EXO_CHUNK_SLOTS - page % EXO_CHUNK_SLOTS;

	room = min_t(u32, room, PTRS_PER_PTE - exo_view_pte_index(view, page));
	return min(room, count);
}

/* PTE bits but for the frame number: index writable; neither accessed nor dirty. */
extern u64 exo_view_pte_bits[2];

static inline pte_t exo_view_pte(const struct exo_frame *frame, bool write)
{
	return native_make_pte(exo_view_pte_bits[write] |
			       (u64)page_to_pfn(frame->page) << PAGE_SHIFT);
}

/*
 * Called for each binding that is broken: see exo_views_unmap_frames(). No lock is held but
 * view->lock.
 */
typedef void (*exo_unmapped_fn)(u32 frame, u32 view, u64 address, void *ctx);

/*
 * Break every binding of these frames (but, if @keep is given, those in @keep's own views), in
 * every address space, secondary MMUs included, and return when no TLB holds a translation of
 * them, not even a stale one from an unbind before, but for those of which exo_frame_is_stale()
 * says otherwise. The caller has seen to it that no new binding can be made (phase LEAVING, or a
 * new generation and only foreign bindings matter). Holds no lock. Sleeps. Can't fail. Of a 2 MiB
 * frame each of the 512 is named, in order.
 */
void exo_views_unmap_frames(const u32 *frames, u32 n, struct exo_env *keep, exo_unmapped_fn fn,
			    void *ctx);

/*
 * The same for the bindings in the views of one environment, which drops frames that it imported.
 */
void exo_views_unmap_own(const struct exo_env *env, const u32 *frames, u32 n);

/* Bind a frame that is just being imported; the view is entered. See bind.c. */
bool exo_view_bind_offered(struct exo_view *view, u32 page, struct exo_frame *frame, u32 nr,
			   bool write, const struct exo_offer *offer);
int exo_view_bind_offer(struct exo_view *view, struct exo_mem_op *op,
			const struct exo_offer *offer);

/* The noun's other half. */
int exo_views_init(void);
void exo_views_exit(void);
int exo_views_env_init(struct exo_env *env);
void exo_views_env_exit(struct exo_env *env);	/* before exo_frames_env_exit() */
/* VIEW, VIEW_TABLE, STLB, SAVE. */
int exo_view_mmap(struct exo_env *env, struct vm_area_struct *vma);
u64 exo_views_features(void);
/* For exo_mem_fill_status(). */
void exo_views_fill_status(struct exo_env *env, struct exo_env_status *st);

/* Handlers (view side). */
int exo_mem_view_create_op(struct exo_env *env, void *arg);
int exo_mem_view_destroy_op(struct exo_env *env, void *arg);
int exo_mem_bind_op(struct exo_env *env, void *arg);
int exo_mem_unbind_op(struct exo_env *env, void *arg);
int exo_mem_rebind_op(struct exo_env *env, void *arg);
int exo_mem_protect_op(struct exo_env *env, void *arg);
int exo_mem_flush_op(struct exo_env *env, void *arg);
int exo_mem_harvest_op(struct exo_env *env, void *arg);
int exo_mem_upcall_op(struct exo_env *env, void *arg);
int exo_mem_resume_op(struct exo_env *env, void *arg);
int exo_mem_wake_op(struct exo_env *env, void *arg);

/* Below: what the files of this half share with each other ------------------------------------ */

/* view.c, view_map.c */
extern const struct vm_operations_struct exo_view_vm_ops;
struct exo_view *exo_view_get(struct exo_env *env, u32 number);
struct exo_view *exo_view_peek(u32 number);
void exo_view_put(struct exo_view *view);
int exo_view_enter(struct exo_env *env, u32 number, struct exo_view **out_view);
void exo_view_leave(struct exo_view *view);

/* slots.c */
void exo_slots_init(void);
u64 *exo_slots_chunk(struct exo_view *view, u32 page);
struct exo_region *exo_region_learn(struct exo_view *view, u32 page);
void exo_region_learned(struct exo_view *view, struct exo_region *region, pte_t *table);
void exo_regions_forget(struct exo_view *view);
int exo_slot_record(struct exo_view *view, u32 page, u32 frame, bool write,
		    const struct exo_offer *offer);
int exo_slot_record_spare(struct exo_view *view, u32 page, u32 frame, bool write,
			  struct exo_binding **spare);
void exo_slot_unrecord(struct exo_view *view, u32 page, u32 frame, u64 stale);
bool exo_slot_is_inline(struct exo_view *view, u32 page, u32 frame);
int exo_slot_may(struct exo_view *view, u32 frame, bool write);

/* flush.c */
void exo_view_flush(struct exo_view *view);
void exo_view_flush_stale(struct exo_view *view, u64 stale);
bool exo_frame_is_stale(const struct exo_frame *frame, const struct exo_env *keep);

/* huge.c */
bool exo_huge_present(struct exo_view *view, u32 page);
bool exo_huge_fits(struct exo_view *view, u32 page, u32 count, u32 frame);
u16 exo_huge_zap(struct exo_view *view, u32 page);
u16 exo_huge_split(struct exo_view *view, u32 page);
u16 exo_huge_harvest(struct exo_view *view, u32 page);
int exo_huge_bind(struct exo_view *view, u32 page, u32 frame, bool write,
		  const struct exo_offer *offer);
u16 exo_huge_tame(struct exo_view *view, u32 page);
vm_fault_t exo_huge_install(struct exo_view *view, struct vm_fault *vmf, u32 page);

/* upcall.c */
vm_fault_t exo_upcall_deliver(struct exo_view *view, struct vm_fault *vmf, u32 page, u32 fault);
int exo_upcall_mmap(struct exo_env *env, struct vm_area_struct *vma);
void exo_upcalls_free(struct exo_env *env);

/* monitor.c */
vm_fault_t exo_monitor_deliver(struct exo_view *view, struct vm_fault *vmf, u32 page, u32 fault);
void exo_monitor_wake(struct exo_view *view, u32 page, u32 count);

/* fault.c */
vm_fault_t exo_view_fault(struct vm_fault *vmf);
vm_fault_t exo_view_pfn_mkwrite(struct vm_fault *vmf);
vm_fault_t exo_view_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end);

#endif
