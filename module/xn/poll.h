/* SPDX-License-Identifier: GPL-2.0 */
/* Data I/O of rings that poll: what each of them goes through. See poll.c. */
#ifndef EXO_XN_POLL_H
#define EXO_XN_POLL_H

#include "compat/io_uring_cmd.h"
#include "xn/xn.h"

/**
 * struct exo_xn_polled - what a command of a ring that polls keeps in its pdu
 * @bio: on its way to a queue that is polled; NULL: there is none, or it is over
 * @disk: of @bio
 */
struct exo_xn_polled {
	struct bio *bio;
	struct exo_xn_disk_dev *disk;
};

void exo_xn_polled_sweep(struct exo_xn_disk_dev *disk);

static __always_inline struct exo_xn_polled *exo_xn_polled_of(struct io_uring_cmd *ucmd)
{
	BUILD_BUG_ON(sizeof(struct exo_xn_polled) > sizeof(ucmd->pdu));
	return (struct exo_xn_polled *)ucmd->pdu;
}

/* A request of a ring that polls is going to be submitted, and nobody can poll for it. */
static __always_inline void exo_xn_polled_several(struct exo_xn_req *req)
{
	exo_xn_polled_of(req->ucmd)->bio = NULL;
}

/*
 * A request of a ring that polls is going to be submitted, with so many bios; it is in flight. With @nowait it doesn't
 * wait for a place in the queue: who waits may be who polls.
 */
static __always_inline void exo_xn_polled_begin(struct exo_xn_req *req, u32 bios, bool nowait)
{
	struct exo_xn_disk_dev *disk = req->binding->disk;
	struct exo_xn_polled *polled = exo_xn_polled_of(req->ucmd);

	exo_xn_polled_several(req);
	if (bios != 1 || !exo_bdev_polls(disk->bdev.bdev))
		return;
	/* Only the first bio of a merged request could be polled. */
	req->bio.bi_opf |= REQ_POLLED | REQ_NOMERGE | (nowait ? REQ_NOWAIT : 0);
	req->polled = true;
	polled->disk = disk;
	polled->bio = &req->bio;
	atomic_inc(&disk->polled);
	/* Pairs with the one in sweep_work(): either that sees this one, or this sees that it ends. */
	smp_mb__after_atomic();
	if (unlikely(!READ_ONCE(disk->sweeping)))
		exo_xn_polled_sweep(disk);
}

/* The device has done it: nobody polls for it any more, and its disk may go. In any context. */
static __always_inline void exo_xn_polled_over(struct exo_xn_req *req)
{
	/* Pairs with smp_rmb() in get_poller(). */
	WRITE_ONCE(exo_xn_polled_of(req->ucmd)->bio, NULL);
	smp_wmb();
}

/* A request of a ring that polls is over, and goes. In any context. */
static __always_inline void exo_xn_polled_tell(struct exo_xn_req *req, int ret)
{
	struct io_uring_cmd *ucmd = req->ucmd;

	exo_xn_polled_over(req);
	bio_put(&req->bio);
	exo_uring_polled_done(ucmd, ret);
}

#endif
