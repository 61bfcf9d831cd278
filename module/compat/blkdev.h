/* SPDX-License-Identifier: GPL-2.0 */
/*
 * linux/blkdev.h: since 6.9 an open block device is a file; since 6.11 what a queue can do stands in
 * its limits.
 */
#ifndef EXO_COMPAT_BLKDEV_H
#define EXO_COMPAT_BLKDEV_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/version.h>

/**
 * struct exo_bdev - a block device that is open exclusively
 * @bdev: the device
 * @file: what keeps it open, where that is a file
 */
struct exo_bdev {
	struct block_device *bdev;
	struct file *file;
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static inline int exo_bdev_open(const char *path, void *holder, struct exo_bdev *out)
{
	out->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL);
	if (IS_ERR(out->file))
		return PTR_ERR(out->file);
	out->bdev = file_bdev(out->file);
	return 0;
}

static inline void exo_bdev_close(struct exo_bdev *bdev)
{
	bdev_fput(bdev->file);
}
#else
static inline int exo_bdev_open(const char *path, void *holder, struct exo_bdev *out)
{
	out->bdev = blkdev_get_by_path(path, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder);
	return PTR_ERR_OR_ZERO(out->bdev);
}

static inline void exo_bdev_close(struct exo_bdev *bdev)
{
	blkdev_put(bdev->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
}
#endif

/*
 * Whether a bio may be REQ_POLLED. Bio-based drivers that pass it on to several queues don't count:
 * exo_bdev_poll() couldn't find these.
 */
static inline bool exo_bdev_polls(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
	return queue_is_mq(q) && (q->limits.features & BLK_FEAT_POLL) &&
	       q->tag_set->map[HCTX_TYPE_POLL].nr_queues;
#else
	return queue_is_mq(q) && test_bit(QUEUE_FLAG_POLL, &q->queue_flags);
#endif
}

/*
 * Complete what is done in all queues that are polled, whosever it is. Process context; the device
 * is open.
 */
static inline void exo_bdev_poll(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);
	struct blk_mq_hw_ctx *hctx;
	unsigned long i;

	/* As bio_poll() does: also while the queue is being frozen, or that would wait for us. */
	if (!exo_bdev_polls(bdev) || !percpu_ref_tryget(&q->q_usage_counter))
		return;
	queue_for_each_hw_ctx(q, hctx, i)
		if (hctx->type == HCTX_TYPE_POLL)
			q->mq_ops->poll(hctx, NULL);
	percpu_ref_put(&q->q_usage_counter);
}

#endif
