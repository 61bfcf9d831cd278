// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: I/O of many entries at once, between their frames and their blocks.
 *
 * Neighbours are one bio. When the next bio is waited for, those before are with the device, and go when it is
 * done (INV-XN-29). A bio of several blocks that failed doesn't say which of them: each is tried alone.
 */
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "mem/frame.h"
#include "xn/xn.h"

#define SECTORS (EXO_XN_BLOCK >> SECTOR_SHIFT)

/**
 * exo_xn_batch_init() - room for entries
 * @batch: new
 * @opf: what will be done with them: REQ_OP_READ or REQ_OP_WRITE; REQ_RAHEAD: also what may not be read yet
 * @room: for how many; without memory there is room for one
 *
 * Context: sleeps.
 */
void exo_xn_batch_init(struct exo_xn_batch *batch, blk_opf_t opf, u32 room)
{
	batch->opf = opf;
	batch->nr = 0;
	batch->one = room > 1 ? kmalloc_array(room, sizeof(*batch->one), GFP_KERNEL | __GFP_NOWARN) : NULL;
	batch->room = batch->one ? room : 1;
	batch->one = batch->one ?: &batch->only;
}

/**
 * exo_xn_batch_free() - give the room back
 * @batch: with nothing in it that is BUSY
 */
void exo_xn_batch_free(struct exo_xn_batch *batch)
{
	if (batch->one != &batch->only)
		kfree(batch->one);
}

/**
 * exo_xn_batch_add() - one more entry
 * @batch: with room for it
 * @page: with a reference, or what keeps it
 * @busy: the caller made it BUSY, or will have before exo_xn_batch_run()
 *
 * Return: its place.
 */
struct exo_xn_batch_one *exo_xn_batch_add(struct exo_xn_batch *batch, struct exo_xn_page *page, bool busy)
{
	struct exo_xn_batch_one *one = &batch->one[batch->nr++];

	*one = (struct exo_xn_batch_one) { .batch = batch, .page = page, .busy = busy };
	return one;
}

static void over(struct exo_xn_batch *batch)
{
	if (atomic_dec_and_test(&batch->pending))
		complete(&batch->done);
}

static void end_io(struct bio *bio)
{
	struct exo_xn_batch_one *first = bio->bi_private;

	first->error = bio->bi_status ? -EIO : 0;
	bio_put(bio);
	over(first->batch);
}

/* Pin its frame. True: the device has something to do with it. */
static bool prepare(struct exo_xn_batch *batch, struct exo_xn_batch_one *one)
{
	struct exo_xn_page *page = one->page;

	one->frame = exo_frame_pin(page->keeper->env, page->frame, page->generation);
	one->error = one->frame ? 0 : -ESTALE;
	if (!one->frame)
		return false;
	if (op_is_write(batch->opf) || (batch->opf & REQ_RAHEAD) ||
	    exo_xn_readable(batch->disk->xn, page->block, 1))
		return true;
	clear_highpage(one->frame);
	return false;
}

/* Those for the device, in the order of their blocks: how many. */
static u32 sort(struct exo_xn_batch *batch, struct exo_xn_batch_one **order)
{
	struct exo_xn_batch_one *one, *end = batch->one + batch->nr;
	u32 at, nr = 0;

	for (one = batch->one; one < end; one++) {
		if (!one->busy || !prepare(batch, one))
			continue;
		for (at = nr++; at && order[at - 1]->page->block > one->page->block; at--)
			order[at] = order[at - 1];
		order[at] = one;
	}
	return nr;
}

/* So many of the first are neighbours. */
static u32 neighbours(struct exo_xn_batch_one **order, u32 nr)
{
	u32 n;

	for (n = 1; n < nr && order[n]->page->block == order[0]->page->block + n; n++)
		;
	return n;
}

static void send(struct exo_xn_batch *batch, struct exo_xn_batch_one **order, u32 nr, blk_opf_t opf)
{
	struct exo_xn_disk_dev *disk = batch->disk;
	struct bio *bio = bio_alloc_bioset(disk->bdev.bdev, nr, opf, GFP_KERNEL, &disk->bios);
	u32 i;

	bio->bi_iter.bi_sector = order[0]->page->block * SECTORS;
	for (i = 0; i < nr; i++)
		__bio_add_page(bio, order[i]->frame, EXO_XN_BLOCK, 0);
	bio->bi_private = order[0];
	bio->bi_end_io = end_io;
	atomic_inc(&batch->pending);
	submit_bio(bio);
}

/* Neighbours together, or each @alone. The first one of each bio says whether that failed. */
static void transfer(struct exo_xn_batch *batch, struct exo_xn_batch_one **order, u32 nr, bool alone)
{
	/* Else the block layer would put them together again. */
	blk_opf_t opf = batch->opf | (alone ? REQ_NOMERGE : 0);
	struct blk_plug plug;
	u32 i, n;

	atomic_set(&batch->pending, 1);
	init_completion(&batch->done);
	blk_start_plug(&plug);
	for (i = 0; i < nr; i += n) {
		n = alone ? 1 : neighbours(order + i, nr - i);
		send(batch, order + i, n, opf);
	}
	blk_finish_plug(&plug);
	over(batch);
	wait_for_completion_io(&batch->done);
}

/* Of bios with several blocks that failed: how many these were. They are the first of @order then. */
static u32 in_doubt(struct exo_xn_batch_one **order, u32 nr)
{
	u32 i, n, doubt = 0;

	for (i = 0; i < nr; i += n) {
		n = neighbours(order + i, nr - i);
		if (n == 1 || !order[i]->error)
			continue;
		memmove(order + doubt, order + i, n * sizeof(*order));
		doubt += n;
	}
	return doubt;
}

/* BUSY no more. */
static void page_end(struct exo_xn_batch *batch, struct exo_xn_batch_one *one)
{
	struct exo_xn_reg *reg = &batch->disk->reg;
	struct exo_xn_page *page = one->page;

	if (one->frame)
		put_page(one->frame);
	if (!one->error && op_is_write(batch->opf))
		exo_xn_written(batch->disk->xn, page->block, 1);
	spin_lock(&reg->lock);
	if (!one->frame)
		exo_xn_state_gone(&page->state);
	if (exo_xn_state_end(&page->state, one->error, atomic_read(&page->writes)))
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
 * exo_xn_batch_run() - do the I/O for which entries are BUSY
 * @batch: entries of one disk, no block twice; afterwards @error of each says what came of it: 0; -ESTALE: its frame
 *	was taken by force; -EIO
 *
 * Who is BUSY waits for the device only.
 *
 * Context: sleeps.
 */
void exo_xn_batch_run(struct exo_xn_batch *batch)
{
	struct exo_xn_batch_one *order[EXO_XN_REG_BATCH], *one, *end = batch->one + batch->nr;
	u32 nr = sort(batch, order), doubt;

	if (nr)
		transfer(batch, order, nr, false);
	doubt = in_doubt(order, nr);
	if (doubt)
		transfer(batch, order, doubt, true);
	for (one = batch->one; one < end; one++)
		if (one->busy)
			page_end(batch, one);
}
