// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: I/O between entries' frames and their blocks.
 *
 * BUSY is set under reg->lock, and whoever set it does the I/O and ends it; nothing else of xn's is
 * waited for meanwhile.
 */
#include <linux/bio.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "mem/frame.h"
#include "xn/xn.h"

static blk_opf_t opf_of(u32 kind)
{
	return kind == EXO_XN_ENTRY_WRITE ? REQ_OP_WRITE | REQ_SYNC | REQ_IDLE : REQ_OP_READ | REQ_SYNC;
}

/**
 * exo_xn_page_finish() - do the I/O for which an entry is BUSY
 * @disk: stays attached meanwhile, because the entry is BUSY
 * @page: BUSY by the caller, with a reference
 *
 * Context: sleeps.
 * Return: 0; -ESTALE: its frame was taken by force; -EIO.
 */
int exo_xn_page_finish(struct exo_xn_disk_dev *disk, struct exo_xn_page *page)
{
	struct exo_xn_batch batch;

	exo_xn_batch_init(&batch, opf_of(page->state.kind), 1);
	batch.disk = disk;
	exo_xn_batch_add(&batch, page, true);
	exo_xn_batch_run(&batch);
	return batch.only.error;
}

/* BUSY (0), nothing to do (1), or an error; -EAGAIN: somebody else is, and it isn't to @wait for him. */
static int begin(struct exo_xn_reg *reg, struct exo_xn_page *page, u32 kind, bool wait)
{
	int ret;

	for (;;) {
		spin_lock(&reg->lock);
		ret = -ESTALE;
		if (page->indexed) {
			u32 writes = atomic_read(&page->writes);

			exo_xn_page_look(reg, page);
			ret = kind == EXO_XN_ENTRY_DIRTY ? exo_xn_state_dirty(&page->state, writes) :
			      exo_xn_state_begin(&page->state, kind, writes);
			exo_xn_page_used(reg, page);
		}
		spin_unlock(&reg->lock);
		if (ret != -EAGAIN || !wait)
			return ret;
		exo_xn_page_wait(page);
	}
}

/**
 * exo_xn_page_io() - read or write an entry, if that is needed, or say that it is newer than its block
 * @disk: attached, until this is over or the entry is BUSY
 * @page: entry, with a reference
 * @kind: enum exo_xn_entry_io_kind
 *
 * Context: sleeps.
 * Return: 0; -ESTALE: there is no frame, or the entry was dropped; -EIO.
 */
int exo_xn_page_io(struct exo_xn_disk_dev *disk, struct exo_xn_page *page, u32 kind)
{
	int ret = begin(&disk->reg, page, kind, true);

	if (ret || kind == EXO_XN_ENTRY_DIRTY)
		return min(ret, 0);
	return exo_xn_page_finish(disk, page);
}

/* Commands ----------------------------------------------------------------------------------- */

/* All that was written to the disk until now is durable. */
static int commit_written(struct exo_xn_disk_dev *disk)
{
	int ret;

	mutex_lock(&disk->lock);
	ret = disk->xn ? exo_xn_commit_written(disk->xn) : -ESTALE;
	mutex_unlock(&disk->lock);
	return ret;
}

static int check_one(const struct exo_xn_binding *binding, const struct exo_xn_entry_io *cmd)
{
	u32 right = cmd->kind == EXO_XN_ENTRY_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE;

	if (!binding->hold || !binding->count)
		return -EINVAL;
	return binding->rights & right ? 0 : -EACCES;
}

/*
 * One entry more. Who is in flight, or BUSY, waits neither for the disk's lock nor for somebody else who is BUSY: two
 * would wait for each other. So only the first of a batch does.
 *
 * Return: 0; -EAGAIN: when those before are over; else what is wrong with it.
 */
static int batch_one(struct exo_env *env, const struct exo_xn_entry_io *cmd, u32 number,
		     struct exo_xn_batch *batch)
{
	bool wait = !batch->nr;
	struct exo_xn_binding *binding = exo_xn_binding_begin(env, number, !wait);
	int ret;

	if (IS_ERR(binding))
		return PTR_ERR(binding);
	ret = check_one(binding, cmd);
	if (!ret && !wait && binding->disk != batch->disk)
		ret = -EAGAIN;
	/* In flight, so it is attached. */
	if (!ret)
		ret = begin(&binding->disk->reg, binding->hold->page, cmd->kind, wait);
	if (ret < 0) {
		exo_xn_binding_end(binding);
		return ret;
	}
	batch->disk = binding->disk;
	exo_xn_batch_add(batch, binding->hold->page, !ret && cmd->kind != EXO_XN_ENTRY_DIRTY)->binding = binding;
	return 0;
}

/* As many of these as can be at once. */
static int batch_fill(struct exo_env *env, const struct exo_xn_entry_io *cmd, const u32 *numbers,
		      u32 nr, struct exo_xn_batch *batch)
{
	int ret = 0;

	while (!ret && batch->nr < min(nr, batch->room))
		ret = batch_one(env, cmd, numbers[batch->nr], batch);
	return ret == -EAGAIN ? 0 : ret;
}

/* They are done, up to the first error: @done so many. No longer in flight. */
static int batch_end(struct exo_xn_batch *batch, u32 *done)
{
	struct exo_xn_batch_one *one, *end = batch->one + batch->nr;
	int ret = 0;

	exo_xn_batch_run(batch);
	for (one = batch->one; one < end; one++) {
		ret = ret ?: one->error;
		if (!ret)
			(*done)++;
		exo_xn_binding_end(one->binding);
	}
	batch->nr = 0;
	return ret;
}

/* What is in the batch; *@last is the disk that must be made durable, with a reference. */
static int batch_do(struct exo_xn_entry_io *cmd, struct exo_xn_batch *batch,
		    struct exo_xn_disk_dev **last)
{
	struct exo_xn_disk_dev *disk = batch->disk;
	u32 done = 0;
	int ret, err = 0;

	kref_get(&disk->ref);
	ret = batch_end(batch, &done);
	cmd->out_done += done;
	if (done && *last != disk && (cmd->flags & EXO_XN_IO_DURABLE)) {
		swap(*last, disk);
		err = disk ? commit_written(disk) : 0;
	}
	if (disk)
		exo_xn_disk_put(disk);
	return ret ?: err;
}

static int check_io(const struct exo_xn_entry_io *cmd)
{
	u32 flags = cmd->kind == EXO_XN_ENTRY_WRITE ? EXO_XN_IO_DURABLE : 0;

	if ((cmd->flags & ~flags) || cmd->reserved || cmd->kind < EXO_XN_ENTRY_READ ||
	    cmd->kind > EXO_XN_ENTRY_DIRTY || !cmd->count || cmd->count > EXO_XN_REG_BATCH)
		return -EINVAL;
	return 0;
}

/**
 * exo_xn_entry_io_op() - EXO_XN_ENTRY_IO
 * @env: whose numbers these are
 * @arg: struct exo_xn_entry_io
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -ESTALE; -EACCES; -EFAULT; -EIO; -EINTR.
 */
int exo_xn_entry_io_op(struct exo_env *env, void *arg)
{
	struct exo_xn_entry_io *cmd = arg;
	struct exo_xn_disk_dev *last = NULL;
	u32 numbers[EXO_XN_REG_BATCH];
	struct exo_xn_batch batch;
	int ret, err;

	cmd->out_done = 0;
	ret = check_io(cmd);
	if (ret)
		return ret;
	/* Now: nothing is copied while something is in flight (INV-XN-16). */
	if (copy_from_user(numbers, u64_to_user_ptr(cmd->entries), cmd->count * sizeof(*numbers)))
		return -EFAULT;
	exo_xn_batch_init(&batch, opf_of(cmd->kind), cmd->count);
	while (!ret && cmd->out_done < cmd->count) {
		err = batch_fill(env, cmd, numbers + cmd->out_done, cmd->count - cmd->out_done, &batch);
		if (batch.nr)
			ret = batch_do(cmd, &batch, &last);
		ret = ret ?: err;
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
	}
	exo_xn_batch_free(&batch);
	if (last) {
		err = commit_written(last);
		ret = ret ?: err;
		exo_xn_disk_put(last);
	}
	return ret;
}

/* Reading ahead ------------------------------------------------------------------------------ */

/* Would somebody else's entry be disturbed, or exo's own blocks be read? */
static int ahead_wanted(struct exo_xn_disk_dev *disk, u64 block)
{
	u32 entry;
	int ret;

	lockdep_assert_held(&disk->lock);
	if (!disk->xn)
		return -ENOENT;
	ret = exo_xn_map_look(disk->xn, block, &entry);
	if (ret)
		return ret;
	if (!(entry & EXO_XN_ENTRY_TAKEN) || (entry & EXO_XN_ENTRY_ROOT) == EXO_XN_SYSTEM_ROOT)
		return -ENOENT;
	return xa_load(&disk->reg.blocks, block) ? 0 : 1;
}

/* Bit n of @wanted: block n has no entry yet. Those from the first error on don't count. */
static int ahead_look(struct exo_xn_disk_dev *disk, struct exo_xn_speculate *cmd, u64 *wanted)
{
	int ret = 0;
	u32 i;

	BUILD_BUG_ON(EXO_XN_REG_BATCH > 64);
	*wanted = 0;
	mutex_lock(&disk->lock);
	for (i = 0; i < cmd->count; i++) {
		ret = ahead_wanted(disk, cmd->block + i);
		if (ret < 0)
			break;
		*wanted |= (u64)ret << i;
	}
	mutex_unlock(&disk->lock);
	cmd->out_done = i;
	return min(ret, 0);
}

/* An entry for one block, in no index yet, with its frame. */
static int ahead_take(struct exo_xn_keeper *keeper, u64 block, struct exo_xn_batch *ahead)
{
	struct exo_xn_page *page;
	int ret;

	page = exo_xn_page_new(block, keeper);
	if (!page)
		return -ENOMEM;
	ret = exo_xn_keeper_take(keeper, &page->frame, &page->generation);
	if (ret) {
		exo_xn_page_put(page);
		return ret;
	}
	exo_xn_batch_add(ahead, page, false);
	return 0;
}

/* 1: @page is in the index now, BUSY; 0: the block has an entry already. Under the disk's lock. */
static int ahead_add(struct exo_xn_disk_dev *disk, struct exo_xn_page *page)
{
	struct exo_xn_reg *reg = &disk->reg;
	int ret;

	ret = ahead_wanted(disk, page->block);
	if (ret <= 0)
		return ret;
	ret = exo_xn_page_add(disk, page);
	if (ret)
		return ret;
	spin_lock(&reg->lock);
	page->keeper = page->payer;
	exo_xn_state_frame(&page->state);
	page->state.bits |= EXO_XN_REG_SPECULATIVE;
	exo_xn_state_begin(&page->state, EXO_XN_ENTRY_READ, atomic_read(&page->writes));
	WRITE_ONCE(reg->table->speculated, reg->table->speculated + 1);
	exo_xn_page_used(reg, page);
	spin_unlock(&reg->lock);
	return 1;
}

/* All at once: who is BUSY doesn't wait for the disk's lock. */
static int ahead_add_all(struct exo_xn_disk_dev *disk, struct exo_xn_speculate *cmd,
			 struct exo_xn_batch *ahead)
{
	struct exo_xn_batch_one *one, *end = ahead->one + ahead->nr;
	int ret = 0;

	mutex_lock(&disk->lock);
	for (one = ahead->one; one < end; one++) {
		ret = ahead_add(disk, one->page);
		if (ret < 0) {
			cmd->out_done = one->page->block - cmd->block;
			break;
		}
		one->busy = ret;
	}
	mutex_unlock(&disk->lock);
	return min(ret, 0);
}

/* As many as can be, in order, are BUSY and to be read. */
static int ahead_begin(struct exo_xn_disk_dev *disk, struct exo_xn_keeper *keeper,
		       struct exo_xn_speculate *cmd, struct exo_xn_batch *ahead)
{
	u64 wanted;
	int ret, err;
	u32 i;

	ret = ahead_look(disk, cmd, &wanted);
	for (i = 0; i < cmd->out_done; i++) {
		err = wanted >> i & 1 ? ahead_take(keeper, cmd->block + i, ahead) : 0;
		if (err) {
			ret = err;
			cmd->out_done = i;
		}
	}
	err = ahead_add_all(disk, cmd, ahead);
	return err ?: ret;
}

/* They are read, or, if they didn't become an entry, their frames go. */
static void ahead_end(struct exo_xn_keeper *keeper, struct exo_xn_batch *ahead)
{
	struct exo_xn_batch_one *one, *end = ahead->one + ahead->nr;
	struct exo_xn_page *page;

	exo_xn_batch_run(ahead);
	for (one = ahead->one; one < end; one++) {
		page = one->page;
		if (!one->busy)
			exo_frame_give(keeper->env, page->frame, page->generation);
		exo_xn_page_put(page);
	}
}

static int speculate(struct exo_env *env, struct exo_xn_disk_dev *disk,
		     struct exo_xn_speculate *cmd, struct exo_xn_batch *ahead)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_keeper *keeper;
	int ret;

	ret = exo_xn_reg_open(reg);
	if (ret)
		return ret;
	down_read(&reg->gate);
	keeper = exo_xn_keeper_get(reg, env);
	ret = PTR_ERR_OR_ZERO(keeper);
	if (!ret) {
		ret = ahead_begin(disk, keeper, cmd, ahead);
		ahead_end(keeper, ahead);
	}
	up_read(&reg->gate);
	return ret;
}

/**
 * exo_xn_speculate_op() - EXO_XN_SPECULATE
 * @env: who is charged
 * @arg: struct exo_xn_speculate
 *
 * Context: sleeps, until they are read; io_uring has a worker do that.
 * Return: 0; -EINVAL; -ENOENT: no such disk, or a block of nobody's; -EDQUOT; -ENOSPC; -EOVERFLOW; -ENOMEM.
 */
int exo_xn_speculate_op(struct exo_env *env, void *arg)
{
	struct exo_xn_speculate *cmd = arg;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_batch ahead;
	int ret = -ENOMEM;

	cmd->out_done = 0;
	if (cmd->flags || cmd->reserved || !cmd->count || cmd->count > EXO_XN_REG_BATCH ||
	    cmd->block + cmd->count < cmd->block)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	exo_xn_batch_init(&ahead, REQ_OP_READ | REQ_RAHEAD, cmd->count);
	ahead.disk = disk;
	if (ahead.room == cmd->count)
		ret = speculate(env, disk, cmd, &ahead);
	exo_xn_batch_free(&ahead);
	exo_xn_disk_put(disk);
	return ret;
}
