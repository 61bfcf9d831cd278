// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: who owns its frames, and how they go.
 *
 * A keeper is asked for frames as any environment; its worker gives them in this order: entries that nobody
 * holds and whose block has their content; those that somebody holds; and what is dirty, which is made
 * unreachable, written, and then given. What isn't given in time is taken by force, dirty or not: that
 * is seen by the frame's generation, and counted as lost.
 *
 * The registry's own worker gives back the frames of entries that were dropped, and writes what is dirty and held by
 * nobody: its program is dead, or has given it up.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "mem/frame.h"
#include "xn/xn.h"

/* INV-XN-36: entries that are looked at in a row with reg->lock, and so without being preempted. There may be 65,536. */
#define PIECE 128U

static struct workqueue_struct *wq;

static struct exo_xn_disk_dev *disk_of(struct exo_xn_reg *reg)
{
	return container_of(reg, struct exo_xn_disk_dev, reg);
}

/* Frames that go ----------------------------------------------------------------------------- */

/**
 * struct victim - a frame that is going
 * @keeper: whose
 * @frame: number
 * @generation: of it
 */
struct victim {
	struct exo_xn_keeper *keeper;
	u32 frame;
	u64 generation;
};

/* The entry has its frame no more; it is @out. Under reg->lock. */
static void detach_locked(struct exo_xn_reg *reg, struct exo_xn_page *page, struct victim *out)
{
	*out = (struct victim) { page->keeper, page->frame, page->generation };
	exo_xn_state_gone(&page->state);
	if (!page->indexed)
		return;
	if (page->state.holders) {
		exo_xn_page_changed(reg, page);
		return;
	}
	exo_xn_page_remove(reg, page);
	exo_xn_page_put(page);
}

static void give(const struct victim *victim)
{
	exo_frame_give(victim->keeper->env, victim->frame, victim->generation);
}

/* Under reg->lock. */
static bool may_go(struct exo_xn_keeper *keeper, struct exo_xn_page *page, enum exo_xn_reg_rank rank)
{
	/* Another's mark is nobody's. */
	if (page->keeper != keeper || !(page->state.bits & EXO_XN_REG_FRAME))
		return false;
	exo_xn_page_look(keeper->reg, page);
	if (exo_xn_state_rank(&page->state) != rank)
		return false;
	/* Once: what can't be written won't be soon. */
	return rank != EXO_XN_RANK_DIRTY || !(page->state.bits & EXO_XN_REG_LOST);
}

/*
 * The first of the keeper's that may go, with a reference. Under reg->lock, which is given up now and then; @mark, in the list
 * meanwhile, says how far this is. What is used meanwhile goes to the list's end: so many steps pass all that isn't.
 */
static struct exo_xn_page *choose_locked(struct exo_xn_keeper *keeper, enum exo_xn_reg_rank rank,
					 struct exo_xn_page *mark)
{
	struct exo_xn_reg *reg = keeper->reg;
	struct exo_xn_page *page;
	u32 left = reg->nr;

	while (left && !list_is_last(&mark->lru, &reg->lru)) {
		page = list_next_entry(mark, lru);
		if (may_go(keeper, page, rank)) {
			kref_get(&page->ref);
			return page;
		}
		list_move(&mark->lru, &page->lru);
		/* Others' marks don't count. */
		left -= page->indexed;
		if (left % PIECE)
			continue;
		spin_unlock(&reg->lock);
		cond_resched();
		spin_lock(&reg->lock);
	}
	return NULL;
}

/* Nobody reaches the frame, then it is written. It is BUSY, so its disk stays. */
static bool clean(struct exo_xn_reg *reg, struct exo_xn_page *page)
{
	u64 generation = page->generation;

	exo_frame_shut(page->keeper->env, page->frame, &generation);
	spin_lock(&reg->lock);
	page->generation = generation;
	spin_unlock(&reg->lock);
	return !exo_xn_page_finish(disk_of(reg), page);
}

/* Those whose frames were taken by force show that, and have no rows any more if nobody holds them. */
static void look_all(struct exo_xn_keeper *keeper)
{
	struct exo_xn_reg *reg = keeper->reg;
	struct exo_xn_page *page;
	unsigned long at = 0;
	u32 n = 0;

	spin_lock(&reg->lock);
	for (page = xa_find(&reg->blocks, &at, ULONG_MAX, XA_PRESENT); page;
	     page = xa_find_after(&reg->blocks, &at, ULONG_MAX, XA_PRESENT)) {
		if (page->indexed && page->keeper == keeper) {
			exo_xn_page_look(reg, page);
			exo_xn_page_tidy(reg, page);
		}
		if (++n % PIECE)
			continue;
		spin_unlock(&reg->lock);
		cond_resched();
		spin_lock(&reg->lock);
	}
	spin_unlock(&reg->lock);
}

/* One frame goes. False: there is none of this rank. */
static bool reclaim_one(struct exo_xn_keeper *keeper, enum exo_xn_reg_rank rank, u32 *done)
{
	struct exo_xn_reg *reg = keeper->reg;
	struct exo_xn_page *page, mark = {};
	struct victim victim = {};

	spin_lock(&reg->lock);
	list_add(&mark.lru, &reg->lru);
	page = choose_locked(keeper, rank, &mark);
	list_del(&mark.lru);
	if (page && rank != EXO_XN_RANK_DIRTY)
		detach_locked(reg, page, &victim);
	else if (page)
		exo_xn_state_begin(&page->state, EXO_XN_ENTRY_WRITE, 0);
	spin_unlock(&reg->lock);
	if (!page)
		return false;
	if (rank == EXO_XN_RANK_DIRTY && clean(reg, page)) {
		spin_lock(&reg->lock);
		if (exo_xn_state_rank(&page->state) < EXO_XN_RANK_DIRTY) {
			detach_locked(reg, page, &victim);
			WRITE_ONCE(reg->table->written, reg->table->written + 1);
		}
		spin_unlock(&reg->lock);
	}
	if (victim.keeper) {
		give(&victim);
		(*done)++;
	}
	exo_xn_page_put(page);
	return true;
}

/**
 * exo_xn_reg_reclaim() - some frames of a keeper go
 * @keeper: keeper
 * @want: how many
 * @most: of entries that are at most so dear
 *
 * Context: sleeps; no lock of xn's is held, but perhaps reg->gate.
 * Return: how many went.
 */
u32 exo_xn_reg_reclaim(struct exo_xn_keeper *keeper, u32 want, enum exo_xn_reg_rank most)
{
	enum exo_xn_reg_rank rank;
	u32 done = 0;

	for (rank = EXO_XN_RANK_IDLE; rank <= most; rank++)
		while (done < want && reclaim_one(keeper, rank, &done))
			cond_resched();
	return done;
}

static void keeper_work(struct work_struct *work)
{
	struct exo_xn_keeper *keeper = container_of(work, struct exo_xn_keeper, work);
	u32 want;

	look_all(keeper);
	while ((want = exo_frames_wanted(keeper->env)))
		if (!exo_xn_reg_reclaim(keeper, want, EXO_XN_RANK_DIRTY))
			break;
}

/* Keepers ------------------------------------------------------------------------------------ */

static void keeper_told(void *arg, u32 type)
{
	struct exo_xn_keeper *keeper = arg;

	if (type == EXO_EVENT_REVOKE || type == EXO_EVENT_REPOSSESSED)
		queue_work(wq, &keeper->work);
}

static struct exo_xn_keeper *keeper_new(struct exo_xn_reg *reg, struct exo_user *user)
{
	struct exo_xn_keeper *keeper = kzalloc(sizeof(*keeper), GFP_KERNEL);
	struct exo_env *env;

	if (!keeper)
		return ERR_PTR(-ENOMEM);
	keeper->reg = reg;
	INIT_WORK(&keeper->work, keeper_work);
	env = exo_env_keeper(user, keeper_told, keeper);
	if (IS_ERR(env)) {
		kfree(keeper);
		return ERR_CAST(env);
	}
	keeper->env = env;
	list_add(&keeper->node, &reg->keepers);
	return keeper;
}

/**
 * exo_xn_keeper_get() - the keeper of an environment's uid
 * @reg: registry; its gate is held for reading
 * @env: environment
 *
 * Context: sleeps.
 * Return: the keeper, as long as the gate is held; ERR_PTR(): -ENOENT: the disk is detached; -ENOMEM.
 */
struct exo_xn_keeper *exo_xn_keeper_get(struct exo_xn_reg *reg, struct exo_env *env)
{
	struct exo_xn_keeper *keeper;

	lockdep_assert_held(&reg->gate);
	if (reg->ended)
		return ERR_PTR(-ENOENT);
	mutex_lock(&reg->keepers_lock);
	list_for_each_entry(keeper, &reg->keepers, node)
		if (keeper->env->user == env->user)
			goto out;
	keeper = keeper_new(reg, env->user);
out:
	mutex_unlock(&reg->keepers_lock);
	return keeper;
}

/**
 * exo_xn_keeper_take() - a frame, of zeros
 * @keeper: who is charged; if it can't have one more, one of its own that is idle goes
 * @frame: its number
 * @generation: of it
 *
 * Context: sleeps; no lock of xn's is held, but reg->gate.
 * Return: 0; -EDQUOT; -ENOSPC; -ENOMEM.
 */
int exo_xn_keeper_take(struct exo_xn_keeper *keeper, u32 *frame, u64 *generation)
{
	int ret = exo_frame_take(keeper->env, frame, generation);

	if (ret && exo_xn_reg_reclaim(keeper, 1, EXO_XN_RANK_IDLE))
		ret = exo_frame_take(keeper->env, frame, generation);
	return ret;
}

static void keeper_end(struct exo_xn_keeper *keeper)
{
	/* It is told nothing any more, then it does nothing any more. */
	exo_frames_env_exit(keeper->env);
	cancel_work_sync(&keeper->work);
	list_del(&keeper->node);
	exo_env_put(keeper->env);
	kfree(keeper);
}

/* The worker --------------------------------------------------------------------------------- */

static void bury(struct exo_xn_reg *reg)
{
	struct exo_xn_page *page;
	struct victim victim;

	spin_lock(&reg->lock);
	while ((page = list_first_entry_or_null(&reg->dead, struct exo_xn_page, lru))) {
		list_del_init(&page->lru);
		victim.keeper = NULL;
		if (page->state.bits & EXO_XN_REG_FRAME)
			detach_locked(reg, page, &victim);
		spin_unlock(&reg->lock);
		if (victim.keeper)
			give(&victim);
		exo_xn_page_put(page);
		cond_resched();
		spin_lock(&reg->lock);
	}
	spin_unlock(&reg->lock);
}

/* To be written: it is dirty, of @root if that isn't 0, and nobody has it if @idle. */
static bool to_write(struct exo_xn_reg *reg, struct exo_xn_page *page, u32 root, bool idle)
{
	/* It is being put there. */
	if (!page->indexed)
		return false;
	exo_xn_page_look(reg, page);
	/* Once: what can't be written won't be soon. */
	if ((page->state.bits & (EXO_XN_REG_DIRTY | EXO_XN_REG_LOST)) != EXO_XN_REG_DIRTY)
		return false;
	return (!root || page->root == root) && !(idle && page->state.holders);
}

/*
 * As many as there is room for, from block @at on, BUSY and with a reference. At the first that is BUSY by somebody else it
 * ends: if there are none before it, it is returned, with a reference.
 */
static struct exo_xn_page *collect_locked(struct exo_xn_reg *reg, struct exo_xn_batch *batch, u32 root,
					  bool idle, unsigned long *at)
{
	struct exo_xn_page *page;
	u32 n = 0;

	for (page = xa_find(&reg->blocks, at, ULONG_MAX, XA_PRESENT); page && batch->nr < batch->room;
	     page = xa_find_after(&reg->blocks, at, ULONG_MAX, XA_PRESENT)) {
		if (to_write(reg, page, root, idle)) {
			if (exo_xn_state_begin(&page->state, EXO_XN_ENTRY_WRITE, 0)) {
				if (batch->nr)
					return NULL;
				kref_get(&page->ref);
				return page;
			}
			exo_xn_page_changed(reg, page);
			kref_get(&page->ref);
			exo_xn_batch_add(batch, page, true);
		}
		if (++n % PIECE)
			continue;
		spin_unlock(&reg->lock);
		cond_resched();
		spin_lock(&reg->lock);
	}
	return NULL;
}

/* False: there are no more from block @at on. */
static bool collect(struct exo_xn_reg *reg, struct exo_xn_batch *batch, u32 root, bool idle, unsigned long *at)
{
	struct exo_xn_page *busy;

	for (;;) {
		spin_lock(&reg->lock);
		busy = collect_locked(reg, batch, root, idle, at);
		spin_unlock(&reg->lock);
		if (!busy)
			return batch->nr;
		exo_xn_page_wait(busy);
		exo_xn_page_put(busy);
	}
}

/* What was collected is over. */
static int collected(struct exo_xn_reg *reg, struct exo_xn_batch *batch, u32 *written)
{
	struct exo_xn_batch_one *one, *end = batch->one + batch->nr;
	int ret = 0;
	u32 n = 0;

	for (one = batch->one; one < end; one++) {
		if (one->error)
			ret = -EIO;
		n += !one->error;
		exo_xn_page_put(one->page);
	}
	batch->nr = 0;
	spin_lock(&reg->lock);
	WRITE_ONCE(reg->table->written, reg->table->written + n);
	spin_unlock(&reg->lock);
	*written += n;
	return ret;
}

/**
 * exo_xn_reg_write_back() - write what is dirty
 * @disk: attached until an entry that is to be written is BUSY
 * @root: of this one; 0: of all
 * @idle: what nobody has only
 * @written: so many more were
 *
 * That an entry is in the index says whose its block is: who frees blocks drops entries first, and waits for those that
 * are BUSY.
 *
 * Context: sleeps.
 * Return: 0, or -EIO: not all could be.
 */
int exo_xn_reg_write_back(struct exo_xn_disk_dev *disk, u32 root, bool idle, u32 *written)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_batch batch;
	unsigned long at = 0;
	int ret = 0;

	if (!READ_ONCE(reg->nr))
		return 0;
	exo_xn_batch_init(&batch, REQ_OP_WRITE | REQ_SYNC | REQ_IDLE, EXO_XN_REG_BATCH);
	batch.disk = disk;
	while (collect(reg, &batch, root, idle, &at)) {
		exo_xn_batch_run(&batch);
		if (collected(reg, &batch, written))
			ret = -EIO;
		cond_resched();
	}
	exo_xn_batch_free(&batch);
	return ret;
}

static void write_idle(struct exo_xn_reg *reg)
{
	struct exo_xn_disk_dev *disk = disk_of(reg);
	u32 written = 0;

	exo_xn_reg_write_back(disk, 0, true, &written);
	if (!written)
		return;
	/* Nobody is left who would. */
	mutex_lock(&disk->lock);
	if (disk->xn)
		exo_xn_commit_written(disk->xn);
	mutex_unlock(&disk->lock);
}

static void reg_work(struct work_struct *work)
{
	struct exo_xn_reg *reg = container_of(work, struct exo_xn_reg, work);

	bury(reg);
	write_idle(reg);
}

/**
 * exo_xn_reg_work() - there is something for the registry's worker
 * @reg: registry of a disk that is attached, or just being detached
 *
 * Context: any.
 */
void exo_xn_reg_work(struct exo_xn_reg *reg)
{
	queue_work(wq, &reg->work);
}

/* Disks -------------------------------------------------------------------------------------- */

/**
 * exo_xn_reg_setup() - the registry of a new disk
 * @disk: disk
 */
void exo_xn_reg_setup(struct exo_xn_disk_dev *disk)
{
	struct exo_xn_reg *reg = &disk->reg;

	spin_lock_init(&reg->lock);
	mutex_init(&reg->keepers_lock);
	init_rwsem(&reg->gate);
	xa_init(&reg->blocks);
	INIT_LIST_HEAD(&reg->lru);
	INIT_LIST_HEAD(&reg->keepers);
	INIT_LIST_HEAD(&reg->dead);
	INIT_WORK(&reg->work, reg_work);
}

/**
 * exo_xn_reg_open() - have a table: somebody uses the registry
 * @reg: registry
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM.
 */
int exo_xn_reg_open(struct exo_xn_reg *reg)
{
	struct exo_xn_reg_table *table;
	int ret = 0;

	/* Pairs with the release below: @used is there, too. */
	if (likely(smp_load_acquire(&reg->table)))
		return 0;
	mutex_lock(&reg->keepers_lock);
	if (!reg->table) {
		if (!reg->used)
			reg->used = bitmap_zalloc(EXO_XN_REG_ENTRIES, GFP_KERNEL_ACCOUNT);
		table = __vmalloc(EXO_XN_REG_BYTES, GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
		if (table && reg->used) {
			smp_store_release(&reg->table, table);
		} else {
			vfree(table);
			ret = -ENOMEM;
		}
	}
	mutex_unlock(&reg->keepers_lock);
	return ret;
}

/**
 * exo_xn_reg_flush() - all that is dirty is written
 * @disk: its lock is held
 *
 * Context: sleeps.
 * Return: 0, or -EIO: not all could be.
 */
int exo_xn_reg_flush(struct exo_xn_disk_dev *disk)
{
	u32 written = 0;

	lockdep_assert_held(&disk->lock);
	return exo_xn_reg_write_back(disk, 0, false, &written);
}

/**
 * exo_xn_reg_end() - a disk was detached, all its entries dropped: keepers and frames go
 * @disk: disk, its lock not held
 *
 * Context: sleeps.
 */
void exo_xn_reg_end(struct exo_xn_disk_dev *disk)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_keeper *keeper, *tmp;

	down_write(&reg->gate);
	reg->ended = true;
	cancel_work_sync(&reg->work);
	bury(reg);
	list_for_each_entry_safe(keeper, tmp, &reg->keepers, node)
		keeper_end(keeper);
	up_write(&reg->gate);
}

/**
 * exo_xn_reg_free() - the last reference to a disk is gone
 * @disk: disk
 */
void exo_xn_reg_free(struct exo_xn_disk_dev *disk)
{
	vfree(disk->reg.table);
	bitmap_free(disk->reg.used);
	xa_destroy(&disk->reg.blocks);
}

/**
 * exo_xn_reg_init() - module load
 *
 * Return: 0 or -ENOMEM.
 */
int exo_xn_reg_init(void)
{
	/* Without WQ_MEM_RECLAIM, as in exo_revoke_init(): who gives frames back may wait for an owner who is stuck. */
	wq = alloc_workqueue("exo_xn_reg", WQ_UNBOUND, 0);
	return wq ? 0 : -ENOMEM;
}

/**
 * exo_xn_reg_exit() - module unload; no disk is attached
 */
void exo_xn_reg_exit(void)
{
	destroy_workqueue(wq);
}
