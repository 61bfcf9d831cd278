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
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "xn/poll.h"

#define SWEEP HZ

/**
 * exo_xn_polled_sweep() - something polled is under way, and nobody sweeps
 * @disk: of it
 *
 * Context: process.
 */
void exo_xn_polled_sweep(struct exo_xn_disk_dev *disk)
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
	exo_xn_polled_sweep(disk);
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
 * @disk: disk; nothing of it was in flight since a grace period, so nobody begins to poll
 *
 * Context: sleeps.
 */
void exo_xn_polled_close(struct exo_xn_disk_dev *disk)
{
	cancel_delayed_work_sync(&disk->sweep);
	while (atomic_read(&disk->pollers))
		msleep(1);
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

/*
 * The bio may be over and gone at any time: somebody else polls, or it failed. It is freed under RCU: what was read of
 * it, the number of the queue, is right if it was still ours afterwards.
 *
 * Return: its disk, whose device stays open until put_poller(), or NULL.
 */
static __always_inline struct exo_xn_disk_dev *get_poller(struct exo_xn_polled *polled, struct bio *key)
{
	struct exo_xn_disk_dev *disk = NULL;
	struct bio *bio;

	rcu_read_lock();
	bio = READ_ONCE(polled->bio);
	if (likely(bio)) {
		key->bi_cookie = READ_ONCE(bio->bi_cookie);
		smp_rmb();
		if (likely(READ_ONCE(polled->bio))) {
			disk = polled->disk;
			atomic_inc(&disk->pollers);
			key->bi_bdev = disk->bdev.bdev;
		}
	}
	rcu_read_unlock();
	return disk;
}

static __always_inline void put_poller(struct exo_xn_disk_dev *disk)
{
	smp_mb__before_atomic();
	atomic_dec(&disk->pollers);
}

/**
 * exo_xn_iopoll() - the ring's owner asks for a command that is under way
 * @ucmd: the request, under its ring's lock; whatever command it is
 * @iob: where the driver may put what is complete
 * @flags: BLK_POLL_*
 *
 * What is polled is a bio of our own with what bio_poll() looks at in queues of blk-mq, as the request's may be gone
 * meanwhile. Not under RCU: drivers may sleep there.
 *
 * Context: process.
 * Return: above 0: something of the queue is complete, or the caller should go; 0.
 */
int exo_xn_iopoll(struct io_uring_cmd *ucmd, struct io_comp_batch *iob, unsigned int flags)
{
	struct bio key __attribute__((__uninitialized__));
	struct exo_xn_disk_dev *disk = get_poller(exo_xn_polled_of(ucmd), &key);
	int ret;

	if (unlikely(!disk))
		return 0;
	ret = bio_poll(&key, iob, flags);
	put_poller(disk);
	return ret;
}
