// SPDX-License-Identifier: GPL-2.0
/*
 * Data I/O of a ring that polls (IORING_SETUP_IOPOLL), where the device's queue does: nobody is interrupted,
 * the bio is complete when somebody has looked for it. That is the ring's owner in exo_xn_iopoll(), or
 * whoever else polls the same queue. A request of several bios, and one to a queue that isn't polled, is
 * complete by interrupt; the owner sees that when he asks next.
 *
 * Who doesn't ask must not keep anybody: a frame stays pinned, and blocks can't be freed, while their I/O
 * is under way. So who drains polls himself, and while anything polled is under way on a disk, its queues
 * are looked at once a second (INV-XN-26).
 */
#include <linux/jiffies.h>

#include "compat/io_uring_cmd.h"
#include "xn/xn.h"

#define SWEEP HZ

/**
 * struct polled - what a command keeps in its pdu
 * @bio: on its way to a queue that is polled; NULL: there is none, or it is over
 * @bdev: its device, the whole: that stays as long as its queue is in use
 */
struct polled {
	struct bio *bio;
	struct block_device *bdev;
};

static struct polled *polled_of(struct io_uring_cmd *ucmd)
{
	BUILD_BUG_ON(sizeof(struct polled) > sizeof(ucmd->pdu));
	return (struct polled *)ucmd->pdu;
}

static void sweep(struct exo_xn_disk_dev *disk)
{
	if (!xchg(&disk->sweeping, true))
		schedule_delayed_work(&disk->sweep, SWEEP);
}

/* Nothing may begin that the next sweep doesn't see: see exo_xn_polled_begin(). */
static void sweep_work(struct work_struct *work)
{
	struct exo_xn_disk_dev *disk = container_of(work, struct exo_xn_disk_dev, sweep.work);

	WRITE_ONCE(disk->sweeping, false);
	smp_mb();
	if (!atomic_read(&disk->polled))
		return;
	exo_bdev_poll(disk->bdev.bdev);
	sweep(disk);
}

/**
 * exo_xn_polled_setup() - a new disk
 * @disk: disk
 */
void exo_xn_polled_setup(struct exo_xn_disk_dev *disk)
{
	INIT_DELAYED_WORK(&disk->sweep, sweep_work);
}

/**
 * exo_xn_polled_close() - a disk's device is going to be closed
 * @disk: disk, nothing of it in flight
 *
 * Context: sleeps.
 */
void exo_xn_polled_close(struct exo_xn_disk_dev *disk)
{
	cancel_delayed_work_sync(&disk->sweep);
}

/**
 * exo_xn_polled_drain() - complete what is done and nobody may ask for
 * @disk: disk with a binding that isn't unlinked, its lock held
 *
 * Context: sleeps.
 */
void exo_xn_polled_drain(struct exo_xn_disk_dev *disk)
{
	if (atomic_read(&disk->polled))
		exo_bdev_poll(disk->bdev.bdev);
}

/**
 * exo_xn_polled_begin() - a request of a ring that polls is going to be submitted
 * @req: planned; in flight
 * @bios: it has
 * @nowait: don't wait for a place in the queue: who waits may be who polls
 *
 * Context: process.
 */
void exo_xn_polled_begin(struct exo_xn_req *req, u32 bios, bool nowait)
{
	struct exo_xn_disk_dev *disk = req->binding->disk;
	struct polled *polled = polled_of(req->ucmd);

	polled->bio = NULL;
	if (bios != 1 || !exo_bdev_polls(disk->bdev.bdev))
		return;
	/* Only the first bio of a merged request could be polled. */
	req->bio.bi_opf |= REQ_POLLED | REQ_NOMERGE | (nowait ? REQ_NOWAIT : 0);
	req->polled = true;
	polled->bdev = bdev_whole(disk->bdev.bdev);
	polled->bio = &req->bio;
	atomic_inc(&disk->polled);
	/* Pairs with the one in sweep_work(): either that sees this one, or this sees that it ends. */
	smp_mb__after_atomic();
	if (unlikely(!READ_ONCE(disk->sweeping)))
		sweep(disk);
}

/**
 * exo_xn_polled_tell() - a request of a ring that polls is over
 * @req: request; it goes
 * @ret: result
 *
 * Context: any.
 */
void exo_xn_polled_tell(struct exo_xn_req *req, int ret)
{
	struct io_uring_cmd *ucmd = req->ucmd;

	/* Pairs with smp_rmb() in look(). */
	WRITE_ONCE(polled_of(ucmd)->bio, NULL);
	smp_wmb();
	bio_put(&req->bio);
	exo_uring_polled_done(ucmd, ret);
}

/*
 * The bio may be over and gone at any time: somebody else polls, or it failed. Bios and devices are freed under RCU:
 * what was read of it, the number of the queue, is right if it was still ours afterwards.
 *
 * Return: the queue, in use: it stays, with its disk; or NULL.
 */
static struct request_queue *look(struct polled *polled, struct bio *key)
{
	struct request_queue *q = NULL;
	struct bio *bio;

	rcu_read_lock();
	bio = READ_ONCE(polled->bio);
	if (bio) {
		key->bi_bdev = polled->bdev;
		key->bi_cookie = READ_ONCE(bio->bi_cookie);
		smp_rmb();
		if (READ_ONCE(polled->bio))
			q = bdev_get_queue(key->bi_bdev);
	}
	if (q && !percpu_ref_tryget(&q->q_usage_counter))
		q = NULL;
	rcu_read_unlock();
	return q;
}

/**
 * exo_xn_iopoll() - the ring's owner asks for a command that is under way
 * @ucmd: the request, under its ring's lock; whatever command it is
 * @iob: where the driver may put what is complete
 * @flags: BLK_POLL_*
 *
 * What is polled is a bio of our own, in the same queue as the request's. Not under RCU: drivers may sleep there.
 *
 * Context: process.
 * Return: above 0: something of the queue is complete, or the caller should go; 0.
 */
int exo_xn_iopoll(struct io_uring_cmd *ucmd, struct io_comp_batch *iob, unsigned int flags)
{
	struct bio key = { 0 };
	struct request_queue *q = look(polled_of(ucmd), &key);
	int ret;

	if (!q)
		return 0;
	ret = bio_poll(&key, iob, flags);
	percpu_ref_put(&q->q_usage_counter);
	return ret;
}
