// SPDX-License-Identifier: GPL-2.0
/*
 * Slots, the page tables behind them, and the records of bindings at the frames.
 *
 * A frame's first binding is in the frame itself. That place also says which TLB may still have a
 * translation of the frame (@bview, @stale), so while it says so about another view, it is not
 * free for a binding here: that one becomes a further binding (struct exo_binding). A further
 * binding has no place for @stale: it is taken away only after a flush.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat/mm.h"
#include "mem/view.h"

u64 exo_view_pte_bits[2];

/**
 * exo_slots_init() - module load
 */
void exo_slots_init(void)
{
	/* As the core would make them for a shared mapping with these rights. */
	pgprot_t read = vm_get_page_prot(VM_SHARED | VM_READ);
	pgprot_t write = vm_get_page_prot(VM_SHARED | VM_READ | VM_WRITE);

	exo_view_pte_bits[0] = pte_val(pte_mkspecial(pte_mkold(pfn_pte(0, read))));
	exo_view_pte_bits[1] = pte_val(pte_mkspecial(pte_mkold(pfn_pte(0, write))));
}

/**
 * exo_slots_chunk() - the chunk of slots that a page is in, allocated if need be
 * @view: locked
 * @page: below view->pages
 *
 * Context: sleeps.
 * Return: the chunk's first slot, or NULL without memory.
 */
u64 *exo_slots_chunk(struct exo_view *view, u32 page)
{
	u64 **chunk = &view->chunks[page / EXO_CHUNK_SLOTS];

	if (likely(*chunk))
		return *chunk;
	*chunk = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	/* The page table may have been learned before, by an operation that binds nothing. */
	if (*chunk && !view->skew && exo_view_region(view, page)->table)
		exo_view_region(view, page)->slots = *chunk;
	return *chunk;
}

/* Page tables ------------------------------------------------------------------------------- */

/**
 * exo_region_learned() - remember a region's page table
 * @view: locked; its mmap lock or VMA lock is held
 * @region: the region
 * @table: the table's first entry
 */
void exo_region_learned(struct exo_view *view, struct exo_region *region, pte_t *table)
{
	/* The lock is found through the entry that would point to the table. */
	pmd_t pmd = __pmd(__pa(table) | _PAGE_TABLE);

	region->ptl = pte_lockptr(view->mm, &pmd);
	region->table = table;
	if (!view->skew)
		region->slots = view->chunks[region - view->regions];
}

static int learn_fn(pte_t *pte, unsigned long addr, void *data)
{
	*(pte_t **)data = pte;
	return 0;
}

/**
 * exo_region_learn() - make sure that a page's region has a page table, and that it is known
 * @view: entered
 * @page: below view->pages
 *
 * A region that one entry maps must be split before.
 *
 * Context: sleeps.
 * Return: the region, or NULL without memory.
 */
struct exo_region *exo_region_learn(struct exo_view *view, u32 page)
{
	struct exo_region *region = exo_view_region(view, page);
	pte_t *pte = NULL;

	if (likely(region->table))
		return region;
	if (exo_huge_present(view, page))
		exo_huge_split(view, page);
	if (apply_to_page_range(view->mm, exo_view_address(view, page), PAGE_SIZE, learn_fn,
				&pte) || !pte)
		return NULL;
	exo_region_learned(view, region, pte - exo_view_pte_index(view, page));
	return region;
}

/**
 * exo_regions_forget() - the page tables are gone, or may have moved
 * @view: locked
 */
void exo_regions_forget(struct exo_view *view)
{
	u32 i;

	for (i = 0; i < view->nr_regions; i++) {
		view->regions[i].table = NULL;
		view->regions[i].slots = NULL;
		view->regions[i].huge = false;
	}
}

/* Records at frames ------------------------------------------------------------------------- */

/* Is the place for the first binding free for one in this view? Frame locked. */
static bool inline_free(const struct exo_view *view, const struct exo_frame *frame)
{
	struct exo_view *other;

	if (frame->bpage != EXO_NO_PAGE)
		return false;
	if (frame->bview == view->number || !frame->stale)
		return true;
	other = exo_view_peek(frame->bview);
	return !other || READ_ONCE(other->flushed) >= frame->stale;
}

/* What an offer allows with a frame, which is shared from here on; or -ESTALE. Frame locked. */
static int offered_rights(u32 nr, const struct exo_frame *frame, const struct exo_offer *offer)
{
	struct exo_frame *head = exo_frame_known(exo_frame_head(nr, frame));

	if (frame->phase != EXO_PHASE_TAKEN || head->generation != offer->generation)
		return -ESTALE;
	head->flags |= EXO_FRAME_SHARED;
	return offer->rights;
}

/* 0, -EACCES or -ESTALE. Frame locked; @owner is its owner, or NULL and it isn't locked. */
static int may_locked(struct exo_view *view, u32 nr, struct exo_frame *frame, struct exo_env *owner,
		      bool write, const struct exo_offer *offer)
{
	int rights;

	if (!owner)
		return offer ? -ESTALE : -EACCES;
	if (owner == view->env)
		return frame->phase == EXO_PHASE_TAKEN ? 0 : -EACCES;
	rights = offer ? offered_rights(nr, frame, offer) :
			 exo_frame_rights_locked(view->env, nr, frame);
	if (rights < 0)
		return rights;
	if (!(rights & EXO_RIGHT_READ) || (write && !(rights & EXO_RIGHT_WRITE)))
		return -EACCES;
	return 0;
}

/**
 * exo_slot_may() - may this frame be bound in this view now?
 * @view: locked
 * @nr: frame, as user space named it
 * @write: for writing, too
 *
 * Return: 0; -EINVAL: no frame number; -EACCES; -ESTALE: it was, but is revoked.
 */
int exo_slot_may(struct exo_view *view, u32 nr, bool write)
{
	struct exo_frame *frame = exo_frame(nr);
	struct exo_env *owner;
	int ret;

	if (!frame)
		return nr < exo_nr_frames ? -EACCES : -EINVAL;
	rcu_read_lock();
	owner = exo_frame_lock(frame);
	ret = may_locked(view, nr, frame, owner, write, NULL);
	if (owner)
		exo_frame_unlock(owner);
	rcu_read_unlock();
	return ret;
}

/* As exo_slot_record(); -EAGAIN: it would be a further binding, and *@spare is NULL. */
static int record(struct exo_view *view, u32 page, u32 nr, struct exo_frame *frame, bool write,
		  const struct exo_offer *offer, struct exo_binding **spare)
{
	struct exo_env *owner;
	int ret;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	ret = may_locked(view, nr, frame, owner, write, offer);
	if (ret)
		goto out;
	if (inline_free(view, frame)) {
		if (frame->bview != view->number) {
			frame->bview = view->number;
			frame->stale = 0;
		}
		frame->bpage = page;
	} else if (frame->nr_more >= EXO_BINDINGS_MAX - 1) {
		ret = -EOVERFLOW;
	} else if (!*spare) {
		ret = -EAGAIN;
	} else {
		(*spare)->view = view->number;
		(*spare)->page = page;
		list_add(&(*spare)->node, &frame->more);
		frame->nr_more++;
		*spare = NULL;
	}
out:
	if (owner)
		exo_frame_unlock(owner);
	rcu_read_unlock();
	return ret;
}

/**
 * exo_slot_record() - write down at a frame that it is bound at a page
 * @view: locked
 * @page: below view->pages; this frame isn't bound there yet
 * @nr: frame, as user space named it
 * @write: is it bound for writing?
 * @offer: what gives the right to a frame that isn't the environment's own; NULL: its grants
 *
 * The rights are checked at the same moment (INV-VIEW-3). From here on revocation finds the
 * binding, and waits for the view's lock.
 *
 * Context: sleeps.
 * Return: 0; -EINVAL: no frame number; -EACCES; -ESTALE; -EOVERFLOW: bound too often; -ENOMEM.
 */
int exo_slot_record(struct exo_view *view, u32 page, u32 nr, bool write,
		    const struct exo_offer *offer)
{
	struct exo_frame *frame = exo_frame(nr);
	struct exo_binding *spare = NULL;
	int ret;

	if (!frame)
		return nr < exo_nr_frames ? -EACCES : -EINVAL;
	while ((ret = record(view, page, nr, frame, write, offer, &spare)) == -EAGAIN) {
		spare = exo_binding_alloc(view->env);
		if (!spare)
			return -ENOMEM;
	}
	if (unlikely(spare))
		exo_binding_free(view->env, spare);
	return ret;
}

/**
 * exo_slot_record_spare() - exo_slot_record() where nothing may sleep
 * @view: locked
 * @page: below view->pages; this frame isn't bound there yet
 * @nr: frame, below exo_nr_frames
 * @write: is it bound for writing?
 * @spare: a binding of the view's environment, for a frame that is bound already; NULL there when
 *	it was used
 *
 * Return: 0; -EACCES; -ESTALE; -EOVERFLOW: bound too often; -EAGAIN: there is no spare.
 */
int exo_slot_record_spare(struct exo_view *view, u32 page, u32 nr, bool write,
			  struct exo_binding **spare)
{
	struct exo_frame *frame = exo_frame(nr);

	return frame ? record(view, page, nr, frame, write, NULL, spare) : -EACCES;
}

static bool is_inline(const struct exo_view *view, u32 page, const struct exo_frame *frame)
{
	return frame->bpage == page && frame->bview == view->number;
}

static struct exo_binding *find_more(const struct exo_view *view, u32 page,
				     const struct exo_frame *frame)
{
	struct exo_binding *binding;

	list_for_each_entry(binding, &frame->more, node)
		if (binding->page == page && binding->view == view->number)
			return binding;
	return NULL;
}

/**
 * exo_slot_is_inline() - is this the first binding of a frame?
 * @view: locked
 * @page: where @nr is bound
 * @nr: the frame
 *
 * Return: true if its record can say that it is stale.
 */
bool exo_slot_is_inline(struct exo_view *view, u32 page, u32 nr)
{
	struct exo_frame *frame = exo_frame(nr);
	struct exo_env *owner;
	bool ret = false;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (owner) {
		ret = is_inline(view, page, frame);
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return ret;
}

/**
 * exo_slot_unrecord() - a frame is no longer bound at a page
 * @view: locked
 * @page: where @nr was bound
 * @nr: the frame
 * @stale: number of the batch that takes the translation away and has not flushed yet, 0 if no TLB
 *	   has it. Only a first binding can be stale
 */
void exo_slot_unrecord(struct exo_view *view, u32 page, u32 nr, u64 stale)
{
	struct exo_frame *frame = exo_frame(nr);
	struct exo_binding *binding = NULL;
	struct exo_env *owner;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	/* A bound frame has an owner: it leaves only after its bindings. */
	if (WARN_ON_ONCE(!owner))
		goto out;
	if (is_inline(view, page, frame)) {
		frame->bpage = EXO_NO_PAGE;
		if (stale)
			frame->stale = stale;
	} else {
		binding = find_more(view, page, frame);
		if (!WARN_ON_ONCE(!binding)) {
			list_del(&binding->node);
			frame->nr_more--;
		}
	}
	exo_frame_unlock(owner);
out:
	rcu_read_unlock();
	exo_binding_free(view->env, binding);
}
