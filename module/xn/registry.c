// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: entries, who holds them, and their end. See xn/registry.h.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "mem/frame.h"
#include "xn/xn.h"

#define KEEPER_ENTRIES 16384U	/* of one uid on a disk */

/* Showing ------------------------------------------------------------------------------------ */

/**
 * exo_xn_page_changed() - show an entry's state in the table
 * @reg: registry
 * @page: in the index
 *
 * Context: under reg->lock.
 */
void exo_xn_page_changed(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	struct exo_xn_reg_row *row = exo_xn_table_row(reg, page->index);
	u32 slots = exo_xn_slots_taken(&page->slots);

	lockdep_assert_held(&reg->lock);
	WRITE_ONCE(row->parent, page->parent);
	WRITE_ONCE(row->root, page->root);
	WRITE_ONCE(row->frame, page->state.bits & EXO_XN_REG_FRAME ? page->frame : 0);
	WRITE_ONCE(row->holders, page->state.holders);
	WRITE_ONCE(row->slots, slots);
	WRITE_ONCE(row->block, page->block);
	WRITE_ONCE(row->state, page->state.bits | EXO_XN_REG_USED |
			       (page->state.holders ? EXO_XN_REG_HELD : 0) |
			       (slots ? EXO_XN_REG_LOCKED : 0));
}

/**
 * exo_xn_page_used() - an entry was used just now
 * @reg: registry
 * @page: in the index
 *
 * Context: under reg->lock.
 */
void exo_xn_page_used(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	struct exo_xn_reg_table *table = reg->table;

	lockdep_assert_held(&reg->lock);
	list_move_tail(&page->lru, &reg->lru);
	WRITE_ONCE(table->clock, table->clock + 1);
	WRITE_ONCE(exo_xn_table_row(reg, page->index)->stamp, table->clock);
	exo_xn_page_changed(reg, page);
}

/* Entries ------------------------------------------------------------------------------------ */

static void page_free(struct kref *ref)
{
	struct exo_xn_page *page = container_of(ref, struct exo_xn_page, ref);

	kfree_rcu(page, rcu);
}

/**
 * exo_xn_page_put() - give up a reference to an entry
 * @page: entry
 *
 * Context: any.
 */
void exo_xn_page_put(struct exo_xn_page *page)
{
	kref_put(&page->ref, page_free);
}

/**
 * exo_xn_page_new() - an entry in no index yet
 * @block: which
 * @payer: whose it will be
 *
 * Context: sleeps.
 * Return: the entry, or NULL.
 */
struct exo_xn_page *exo_xn_page_new(u64 block, struct exo_xn_keeper *payer)
{
	struct exo_xn_page *page = kzalloc(sizeof(*page), GFP_KERNEL_ACCOUNT);

	if (!page)
		return NULL;
	kref_init(&page->ref);
	INIT_LIST_HEAD(&page->lru);
	init_waitqueue_head(&page->wait);
	page->block = block;
	page->payer = payer;
	return page;
}

/**
 * exo_xn_page_add() - put an entry into the index
 * @disk: its lock is held
 * @page: new; the index has a reference of its own
 *
 * Context: sleeps.
 * Return: 0; -EDQUOT: the uid has too many; -EOVERFLOW: the disk has; -ENOMEM.
 */
int exo_xn_page_add(struct exo_xn_disk_dev *disk, struct exo_xn_page *page)
{
	struct exo_xn_reg *reg = &disk->reg;
	u32 index;
	int ret;

	lockdep_assert_held(&disk->lock);
	/* Only under the disk's lock there become more. */
	if (READ_ONCE(page->payer->nr) >= KEEPER_ENTRIES)
		return -EDQUOT;
	index = find_first_zero_bit(reg->used, EXO_XN_REG_ENTRIES);
	if (index >= EXO_XN_REG_ENTRIES)
		return -EOVERFLOW;
	ret = exo_xn_map_hold(disk->xn, page->block, 1);
	if (ret)
		return ret;
	ret = xa_insert(&reg->blocks, page->block, page, GFP_KERNEL_ACCOUNT);
	if (WARN_ON_ONCE(ret == -EBUSY))
		ret = -EINVAL;
	if (ret) {
		exo_xn_map_unhold(disk->xn, page->block, 1);
		return ret;
	}
	spin_lock(&reg->lock);
	kref_get(&page->ref);
	page->index = index;
	page->indexed = true;
	__set_bit(index, reg->used);
	page->payer->nr++;
	WRITE_ONCE(reg->nr, reg->nr + 1);
	WRITE_ONCE(reg->nr_blocks, reg->nr_blocks + 1);
	WRITE_ONCE(reg->table->entries, reg->nr);
	list_add_tail(&page->lru, &reg->lru);
	exo_xn_page_used(reg, page);
	spin_unlock(&reg->lock);
	return 0;
}

/**
 * exo_xn_page_remove() - take an entry out of the index; its reference is the caller's
 * @reg: registry
 * @page: in the index
 *
 * Context: under reg->lock.
 */
void exo_xn_page_remove(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	struct exo_xn_reg_row *row = exo_xn_table_row(reg, page->index);

	lockdep_assert_held(&reg->lock);
	page->indexed = false;
	xa_erase(&reg->blocks, page->block);
	list_del_init(&page->lru);
	__clear_bit(page->index, reg->used);
	page->payer->nr--;
	WRITE_ONCE(reg->nr, reg->nr - 1);
	if (!(page->state.bits & EXO_XN_REG_MEMORY))
		WRITE_ONCE(reg->nr_blocks, reg->nr_blocks - 1);
	WRITE_ONCE(reg->table->entries, reg->nr);
	WRITE_ONCE(row->state, 0);
	memset(row, 0, sizeof(*row));
	exo_xn_map_unhold(container_of(reg, struct exo_xn_disk_dev, reg)->xn, page->block, 1);
	wake_up_all(&page->wait);
}

/**
 * exo_xn_page_look() - has an entry lost its frame by force?
 * @reg: registry
 * @page: in the index
 *
 * Context: under reg->lock.
 */
void exo_xn_page_look(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	lockdep_assert_held(&reg->lock);
	/* Who is BUSY looks himself: he may be changing the generation. */
	if ((page->state.bits & (EXO_XN_REG_FRAME | EXO_XN_REG_BUSY)) != EXO_XN_REG_FRAME ||
	    READ_ONCE(exo_frame(page->frame)->generation) == page->generation)
		return;
	if (exo_xn_state_gone(&page->state))
		WRITE_ONCE(reg->table->lost, reg->table->lost + 1);
	exo_xn_page_changed(reg, page);
}

/**
 * exo_xn_page_tidy() - give an entry's row back, if nobody holds it and its frame is gone
 * @reg: registry
 * @page: entry; it may be gone afterwards, unless the caller has a reference
 *
 * Context: under reg->lock.
 */
void exo_xn_page_tidy(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	lockdep_assert_held(&reg->lock);
	if (!page->indexed || page->state.holders ||
	    (page->state.bits & (EXO_XN_REG_FRAME | EXO_XN_REG_BUSY)))
		return;
	exo_xn_page_remove(reg, page);
	exo_xn_page_put(page);
}

/**
 * exo_xn_page_wait() - wait until an entry is not BUSY any more
 * @page: entry, with a reference
 *
 * Who is BUSY never waits for the disk's lock, so the caller may have it.
 *
 * Context: sleeps; without reg->lock.
 */
void exo_xn_page_wait(struct exo_xn_page *page)
{
	wait_event(page->wait, !(READ_ONCE(page->state.bits) & EXO_XN_REG_BUSY));
}

/**
 * exo_xn_reg_wrote() - blocks are written past the registry
 * @disk: disk, attached
 * @block: first
 * @count: how many
 *
 * Called before the engine is told, so that no frame that was read before counts as the blocks' content when they
 * may be read.
 *
 * Context: any.
 */
void exo_xn_reg_wrote(struct exo_xn_disk_dev *disk, u64 block, u64 count)
{
	struct exo_xn_page *page;
	unsigned long at;

	if (likely(!READ_ONCE(disk->reg.nr_blocks)))
		return;
	rcu_read_lock();
	xa_for_each_range(&disk->reg.blocks, at, page, block, block + count - 1)
		atomic_inc(&page->writes);
	rcu_read_unlock();
}

/* Holds -------------------------------------------------------------------------------------- */

/**
 * exo_xn_hold_put() - give up a reference to a hold
 * @hold: hold, or NULL
 *
 * Context: any.
 */
void exo_xn_hold_put(struct exo_xn_hold *hold)
{
	if (!hold || !refcount_dec_and_test(&hold->ref))
		return;
	exo_xn_page_put(hold->page);
	kfree(hold);
}

/* Nobody finds the entry any more, and its frame is given back soon. Under reg->lock. */
static void bury_locked(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	exo_xn_page_remove(reg, page);
	/* With the index's reference: the worker may sleep while it unmaps the frame. */
	list_add_tail(&page->lru, &reg->dead);
	exo_xn_reg_work(reg);
}

/* Nobody holds the entry any more, or it was memory, and only those do who have none. Under reg->lock. */
static void idle_locked(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	exo_xn_page_look(reg, page);
	if (page->state.bits & EXO_XN_REG_MEMORY) {
		bury_locked(reg, page);
		return;
	}
	if ((page->state.bits & (EXO_XN_REG_FRAME | EXO_XN_REG_DIRTY)) ==
	    (EXO_XN_REG_FRAME | EXO_XN_REG_DIRTY))
		exo_xn_reg_work(reg);
	else
		exo_xn_page_tidy(reg, page);
}

/**
 * exo_xn_hold_end() - a number names an entry no more: its locks go, and with the last one what is dirty is written
 * @disk: disk
 * @hold: its hold; may have ended before
 *
 * Context: any but interrupts.
 */
void exo_xn_hold_end(struct exo_xn_disk_dev *disk, struct exo_xn_hold *hold)
{
	struct exo_xn_page *page = hold->page;
	struct exo_xn_reg *reg = &disk->reg;

	spin_lock(&reg->lock);
	if (!hold->over) {
		hold->over = true;
		exo_xn_slots_set(&page->slots, &hold->held, (1U << EXO_XN_SLOTS) - 1,
				 EXO_XN_UNLOCK);
		exo_xn_state_unhold(&page->state, hold->write);
		wake_up_all(&page->wait);
		if (page->indexed) {
			exo_xn_page_changed(reg, page);
			if (exo_xn_state_idle(&page->state))
				idle_locked(reg, page);
		}
	}
	spin_unlock(&reg->lock);
}

/**
 * exo_xn_reg_enter() - a binding that is being made names its block's entry
 * @disk: its lock is held; the binding's rights were asked for
 * @binding: with a hold that has a new entry, which is taken if there is none
 * @parent: unit that owns the block
 *
 * Context: sleeps.
 * Return: 0, until exo_xn_hold_end(); -EDQUOT; -EOVERFLOW; -ENOMEM; -ESTALE: memory of those who have it, which was taken.
 */
int exo_xn_reg_enter(struct exo_xn_disk_dev *disk, struct exo_xn_binding *binding, u64 parent)
{
	struct exo_xn_hold *hold = binding->hold;
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_page *page;
	int ret;

	lockdep_assert_held(&disk->lock);
	for (;;) {
		spin_lock(&reg->lock);
		page = xa_load(&reg->blocks, binding->block);
		if (page)
			exo_xn_page_look(reg, page);
		ret = page && exo_xn_state_over(&page->state) ? -ESTALE : 0;
		if (page && !ret)
			break;
		spin_unlock(&reg->lock);
		ret = ret ?: exo_xn_page_add(disk, hold->page);
		if (ret)
			return ret;
	}
	if (page != hold->page) {
		kref_get(&page->ref);
		exo_xn_page_put(hold->page);
		hold->page = page;
	}
	page->root = binding->root;
	page->parent = parent;
	hold->write = binding->rights & EXO_RIGHT_WRITE;
	exo_xn_state_hold(&page->state, hold->write);
	hold->over = false;
	exo_xn_page_used(reg, page);
	spin_unlock(&reg->lock);
	return 0;
}

/* The end ------------------------------------------------------------------------------------ */

/* Not BUSY any more. Under reg->lock, which is given up meanwhile; with a reference to the entry. */
static void wait_locked(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	while (page->state.bits & EXO_XN_REG_BUSY) {
		spin_unlock(&reg->lock);
		exo_xn_page_wait(page);
		spin_lock(&reg->lock);
	}
}

/* An entry goes; what could not be written until now is tried once more. True: it was. The same. */
static bool part_locked(struct exo_xn_disk_dev *disk, struct exo_xn_page *page)
{
	struct exo_xn_reg *reg = &disk->reg;
	bool written = false;

	wait_locked(reg, page);
	if (page->indexed && (page->state.bits & EXO_XN_REG_DIRTY)) {
		spin_unlock(&reg->lock);
		written = !exo_xn_page_io(disk, page, EXO_XN_ENTRY_WRITE);
		spin_lock(&reg->lock);
		wait_locked(reg, page);
	}
	if (written)
		WRITE_ONCE(reg->table->written, reg->table->written + 1);
	if (page->indexed)
		bury_locked(reg, page);
	return written;
}

/**
 * exo_xn_reg_part() - a root has another owner: he shares no entry, frame or lock with those of the one before
 * @disk: its lock is held; no binding of the root is in flight, and none begins before acl was asked
 * @root: number
 *
 * What is dirty is written, its frame and all others are given back soon, and the next one has new ones. Who may use
 * the blocks still finds other entries when he asks again.
 *
 * Context: sleeps.
 */
void exo_xn_reg_part(struct exo_xn_disk_dev *disk, u32 root)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_page *page;
	unsigned long at;
	u32 written = 0;

	lockdep_assert_held(&disk->lock);
	exo_xn_reg_write_back(disk, root, false, &written);
	xa_for_each(&reg->blocks, at, page) {
		spin_lock(&reg->lock);
		if (xa_load(&reg->blocks, at) != page || page->root != root) {
			spin_unlock(&reg->lock);
			continue;
		}
		kref_get(&page->ref);
		written += part_locked(disk, page);
		spin_unlock(&reg->lock);
		exo_xn_page_put(page);
		cond_resched();
	}
	/* As when its last user had given it up. */
	if (written)
		exo_xn_commit_written(disk->xn);
}

/**
 * exo_xn_reg_drop() - the registry forgets blocks: they are freed, or the disk is detached
 * @disk: its lock is held; no binding of them is in flight, and none begins
 * @block: first
 * @count: how many
 *
 * Nobody finds these entries any more, who waits for their locks is told, and their frames are given back soon: what is
 * in them stays what it was.
 *
 * Context: sleeps, until none of them is BUSY.
 */
void exo_xn_reg_drop(struct exo_xn_disk_dev *disk, u64 block, u64 count)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_page *page;
	unsigned long at;
	bool any = false;

	lockdep_assert_held(&disk->lock);
	if (!reg->nr)
		return;
	xa_for_each_range(&reg->blocks, at, page, block, block + count - 1) {
		spin_lock(&reg->lock);
		/* Who gives up an entry that nobody holds may have been first. */
		if (xa_load(&reg->blocks, at) != page) {
			spin_unlock(&reg->lock);
			continue;
		}
		kref_get(&page->ref);
		wait_locked(reg, page);
		if (page->indexed) {
			exo_xn_page_remove(reg, page);
			/* With the index's reference. */
			list_add_tail(&page->lru, &reg->dead);
			any = true;
		}
		spin_unlock(&reg->lock);
		exo_xn_page_put(page);
		cond_resched();
	}
	if (any)
		exo_xn_reg_work(reg);
}
