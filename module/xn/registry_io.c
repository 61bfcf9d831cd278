// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: I/O between entries' frames and their blocks.
 *
 * BUSY is set under reg->lock, and whoever set it does the I/O and ends it; nothing else of xn's is
 * waited for meanwhile.
 */
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mem/frame.h"
#include "xn/xn.h"

#define SECTORS (EXO_XN_BLOCK >> SECTOR_SHIFT)

static struct bio *bio_new(struct exo_xn_disk_dev *disk, u64 block, struct page *frame,
			   blk_opf_t opf)
{
	struct bio *bio = bio_alloc_bioset(disk->bdev.bdev, 1, opf, GFP_KERNEL, &disk->bios);

	bio->bi_iter.bi_sector = block * SECTORS;
	__bio_add_page(bio, frame, EXO_XN_BLOCK, 0);
	return bio;
}

static int transfer(struct exo_xn_disk_dev *disk, u64 block, struct page *frame, blk_opf_t opf)
{
	struct bio *bio = bio_new(disk, block, frame, opf);
	int ret = submit_bio_wait(bio);

	bio_put(bio);
	return ret ? -EIO : 0;
}

static int move_page(struct exo_xn_disk_dev *disk, struct exo_xn_page *page, struct page *frame)
{
	int ret;

	if (page->state.kind == EXO_XN_ENTRY_WRITE) {
		ret = transfer(disk, page->block, frame, REQ_OP_WRITE | REQ_SYNC | REQ_IDLE);
		if (!ret)
			exo_xn_written(disk->xn, page->block, 1);
		return ret;
	}
	if (exo_xn_readable(disk->xn, page->block, 1))
		return transfer(disk, page->block, frame, REQ_OP_READ | REQ_SYNC);
	clear_highpage(frame);
	return 0;
}

/* BUSY no more. */
static void page_end(struct exo_xn_reg *reg, struct exo_xn_page *page, int error, bool gone)
{
	spin_lock(&reg->lock);
	if (gone)
		exo_xn_state_gone(&page->state);
	if (exo_xn_state_end(&page->state, error, atomic_read(&page->writes)))
		WRITE_ONCE(reg->table->lost, reg->table->lost + 1);
	if (page->indexed) {
		exo_xn_page_look(reg, page);
		exo_xn_page_used(reg, page);
		/* It may have been taken meanwhile, or given up. */
		exo_xn_page_tidy(reg, page);
	}
	wake_up_all(&page->wait);
	spin_unlock(&reg->lock);
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
	struct page *frame = exo_frame_pin(page->keeper->env, page->frame, page->generation);
	int ret = -ESTALE;

	if (frame) {
		ret = move_page(disk, page, frame);
		put_page(frame);
	}
	page_end(&disk->reg, page, ret, !frame);
	return ret;
}

/* BUSY (0), nothing to do (1), or an error. */
static int begin(struct exo_xn_reg *reg, struct exo_xn_page *page, u32 kind)
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
		if (ret != -EAGAIN)
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
	int ret = begin(&disk->reg, page, kind);

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

/* One entry; *@last is the disk that must be made durable, with a reference. */
static int io_one(struct exo_env *env, const struct exo_xn_entry_io *cmd, u32 number,
		  struct exo_xn_disk_dev **last)
{
	u32 right = cmd->kind == EXO_XN_ENTRY_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE;
	struct exo_xn_binding *binding = exo_xn_binding_begin(env, number, false);
	struct exo_xn_disk_dev *disk;
	int ret;

	if (IS_ERR(binding))
		return PTR_ERR(binding);
	/* In flight, so it is attached. */
	disk = binding->disk;
	if (!binding->hold || !binding->count)
		ret = -EINVAL;
	else if (!(binding->rights & right))
		ret = -EACCES;
	else
		ret = exo_xn_page_io(disk, binding->hold->page, cmd->kind);
	if (!ret && *last != disk && (cmd->flags & EXO_XN_IO_DURABLE)) {
		kref_get(&disk->ref);
		swap(*last, disk);
		exo_xn_binding_end(binding);
		if (disk) {
			ret = commit_written(disk);
			exo_xn_disk_put(disk);
		}
		return ret;
	}
	exo_xn_binding_end(binding);
	return ret;
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
	u32 __user *user = u64_to_user_ptr(cmd->entries);
	struct exo_xn_disk_dev *last = NULL;
	u32 number;
	int ret;

	cmd->out_done = 0;
	ret = check_io(cmd);
	while (!ret && cmd->out_done < cmd->count) {
		if (get_user(number, user + cmd->out_done))
			ret = -EFAULT;
		else
			ret = io_one(env, cmd, number, &last);
		if (!ret)
			cmd->out_done++;
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
	}
	if (last) {
		int err = commit_written(last);

		ret = ret ?: err;
		exo_xn_disk_put(last);
	}
	return ret;
}

/* Reading ahead ------------------------------------------------------------------------------ */

/**
 * struct ahead - blocks that are being read ahead together
 * @pending: bios under way, and the submitter
 * @done: all are over
 * @nr: entries that are BUSY ...
 * @one: ... one of them
 * @ahead: its batch
 * @page: with a reference
 * @busy: it is in the index, and BUSY
 * @frame: the page of its frame, or NULL
 * @error: of its bio
 */
struct ahead {
	atomic_t pending;
	struct completion done;
	u32 nr;
	struct ahead_one {
		struct ahead *ahead;
		struct exo_xn_page *page;
		bool busy;
		struct page *frame;
		int error;
	} one[EXO_XN_REG_BATCH];
};

static void ahead_put(struct ahead *ahead)
{
	if (atomic_dec_and_test(&ahead->pending))
		complete(&ahead->done);
}

/* The bio goes at once: whoever submits the next one may wait for it (INV-XN-29). */
static void ahead_end_io(struct bio *bio)
{
	struct ahead_one *one = bio->bi_private;

	one->error = bio->bi_status ? -EIO : 0;
	bio_put(bio);
	ahead_put(one->ahead);
}

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
static int ahead_take(struct exo_xn_keeper *keeper, u64 block, struct ahead *ahead)
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
	ahead->one[ahead->nr++] = (struct ahead_one) {
		.ahead = ahead,
		.page = page,
		.error = -ESTALE,
	};
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
			 struct ahead *ahead)
{
	struct ahead_one *one, *end = ahead->one + ahead->nr;
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

/* What didn't become an entry goes; the others are pinned. */
static void ahead_sort(struct exo_xn_keeper *keeper, struct ahead *ahead)
{
	struct ahead_one *one, *to = ahead->one, *end = ahead->one + ahead->nr;
	struct exo_xn_page *page;

	for (one = ahead->one; one < end; one++) {
		page = one->page;
		if (one->busy) {
			one->frame = exo_frame_pin(keeper->env, page->frame, page->generation);
			*to++ = *one;
		} else {
			exo_frame_give(keeper->env, page->frame, page->generation);
			exo_xn_page_put(page);
		}
	}
	ahead->nr = to - ahead->one;
}

/* As many as can be, in order, are BUSY and to be read. */
static int ahead_begin(struct exo_xn_disk_dev *disk, struct exo_xn_keeper *keeper,
		       struct exo_xn_speculate *cmd, struct ahead *ahead)
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
	ahead_sort(keeper, ahead);
	return err ?: ret;
}

/* Read them all at once, and end them. */
static void ahead_read(struct exo_xn_disk_dev *disk, struct ahead *ahead)
{
	struct ahead_one *one, *end = ahead->one + ahead->nr;
	struct blk_plug plug;
	struct bio *bio;

	atomic_set(&ahead->pending, 1);
	init_completion(&ahead->done);
	blk_start_plug(&plug);
	for (one = ahead->one; one < end; one++) {
		if (!one->frame)
			continue;
		bio = bio_new(disk, one->page->block, one->frame, REQ_OP_READ | REQ_RAHEAD);
		bio->bi_private = one;
		bio->bi_end_io = ahead_end_io;
		atomic_inc(&ahead->pending);
		submit_bio(bio);
	}
	blk_finish_plug(&plug);
	ahead_put(ahead);
	wait_for_completion_io(&ahead->done);
	for (one = ahead->one; one < end; one++) {
		if (one->frame)
			put_page(one->frame);
		page_end(&disk->reg, one->page, one->error, !one->frame);
		exo_xn_page_put(one->page);
	}
}

static int speculate(struct exo_env *env, struct exo_xn_disk_dev *disk,
		     struct exo_xn_speculate *cmd, struct ahead *ahead)
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
	if (!ret)
		ret = ahead_begin(disk, keeper, cmd, ahead);
	ahead_read(disk, ahead);
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
	struct ahead *ahead;
	int ret = -ENOMEM;

	cmd->out_done = 0;
	if (cmd->flags || cmd->reserved || !cmd->count || cmd->count > EXO_XN_REG_BATCH ||
	    cmd->block + cmd->count < cmd->block)
		return -EINVAL;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	ahead = kzalloc(sizeof(*ahead), GFP_KERNEL);
	if (ahead)
		ret = speculate(env, disk, cmd, ahead);
	kfree(ahead);
	exo_xn_disk_put(disk);
	return ret;
}
