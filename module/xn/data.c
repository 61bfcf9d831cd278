// SPDX-License-Identifier: GPL-2.0
/*
 * I/O on extent bindings: between blocks and frames, without a copy.
 *
 * A request stands before its first bio. READ and WRITE are submitted at once, whoever asks; who
 * uses ioctl(2) waits, io_uring is told from a task work. The other kinds sleep, so io_uring has a
 * worker do them.
 *
 * A frame that is read or written is pinned: if it leaves its owner meanwhile, it is quarantined
 * until the I/O is over (INV-XN-15, INV-FRAME-4). What was never written since it was allocated isn't read from
 * the device, but zeroed (INV-XN-7).
 *
 * What reads as zeros parts a READ: it may take several bios, all of the disk's one bioset. While a request has any of
 * them it waits for none, but one request at a time does (INV-XN-29): all others that have some are with the device, and
 * go without anybody who waits.
 *
 * A write that has completed has made its blocks readable. Whether they still are after a crash is a
 * matter of the engine's log: a DURABLE write of a block for the first time is followed by a
 * transaction, the others only have the device's FUA.
 */
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/io_uring_cmd.h"
#include "mem/frame.h"
#include "xn/poll.h"
#include "xn/xn.h"

#define SECTORS (EXO_XN_BLOCK >> SECTOR_SHIFT)
#define MASK_BLOCKS 64U		/* that exo_xn_readable() can say of */

static struct workqueue_struct *wq;

/**
 * struct exo_xn_wait - who waits for a request
 * @done: it is over ...
 * @ret: ... with this result ...
 * @commit: ... but the engine's log must say so first
 */
struct exo_xn_wait {
	struct completion done;
	int ret;
	bool commit;
};

/**
 * struct later - what is kept in the pdu of a command whose data is written, but not durable to the engine
 * @polled: of a ring that polls, which may still look
 * @node: in the disk's list
 * @iopoll: it is of a ring that polls
 */
struct later {
	struct exo_xn_polled polled;
	struct llist_node node;
	bool iopoll;
};

/* Completion --------------------------------------------------------------------------------- */

static void uring_done(struct io_uring_cmd *ucmd, unsigned int issue_flags)
{
	int *ret = (int *)ucmd->pdu;

	exo_uring_done(ucmd, *ret, issue_flags);
}

EXO_URING_TASK(uring_task, uring_done)

/* The request goes, then the one that it was in flight for, and then whoever waits hears of it. */
static __always_inline void tell(struct exo_xn_req *req, int ret, bool commit)
{
	struct io_uring_cmd *ucmd = req->ucmd;
	struct exo_xn_wait *wait = req->wait;

	if (req->iopoll) {
		exo_xn_polled_tell(req, ret);
		return;
	}
	bio_put(&req->bio);
	if (ucmd) {
		*(int *)ucmd->pdu = ret;
		exo_uring_complete_in_task(ucmd, uring_task);
	} else {
		wait->ret = ret;
		wait->commit = commit;
		complete(&wait->done);
	}
}

/* All that was written until now is durable, and will be known to be. */
static int commit_written(struct exo_xn_disk_dev *disk)
{
	int ret;

	mutex_lock(&disk->lock);
	ret = disk->xn ? exo_xn_commit_written(disk->xn) : -ESTALE;
	mutex_unlock(&disk->lock);
	return ret;
}

static void tell_later(struct later *later, int ret)
{
	struct io_uring_cmd *ucmd = container_of((void *)later, struct io_uring_cmd, pdu);

	if (later->iopoll) {
		exo_uring_polled_done(ucmd, ret);
		return;
	}
	*(int *)ucmd->pdu = ret;
	exo_uring_complete_in_task(ucmd, uring_task);
}

/* One transaction for all that were written until now. */
static void commit_work(struct work_struct *work)
{
	struct exo_xn_disk_dev *disk = container_of(work, struct exo_xn_disk_dev, commit);
	struct llist_node *list = llist_reverse_order(llist_del_all(&disk->later));
	int ret = commit_written(disk);
	struct later *later, *next;

	llist_for_each_entry_safe(later, next, list, node)
		tell_later(later, ret);
	exo_xn_disk_put(disk);
}

/* The last bio is over: what came of it. What was written may be read from here on. */
static __always_inline int result(const struct exo_xn_req *req)
{
	if (unlikely(req->error))
		return req->error;
	if (EXO_XN_CHECKED && req->kind == EXO_XN_IO_WRITE) {
		exo_xn_reg_wrote(req->binding->disk, req->block, req->count);
		exo_xn_written(req->binding->disk->xn, req->block, req->count);
	}
	return 0;
}

/*
 * In any context. The request goes at once: whoever has the lock that a commit needs may wait for its bio, or for
 * the binding. The binding keeps the disk until the worker does.
 */
static noinline void commit_later(struct exo_xn_req *req)
{
	struct exo_xn_binding *binding = req->binding;
	struct exo_xn_disk_dev *disk = binding->disk;
	struct later *later = (void *)req->ucmd->pdu;

	BUILD_BUG_ON(sizeof(*later) > sizeof(req->ucmd->pdu));
	later->iopoll = req->iopoll;
	if (later->iopoll)
		exo_xn_polled_over(req);
	bio_put(&req->bio);
	if (llist_add(&later->node, &disk->later)) {
		kref_get(&disk->ref);
		if (!queue_work(wq, &disk->commit))
			exo_xn_disk_put(disk);
	}
	exo_xn_binding_end(binding);
}

/* In any context. The request goes before the binding is out of flight: its disk may go then. */
static __always_inline void complete_req(struct exo_xn_req *req)
{
	struct exo_xn_binding *binding = req->binding;
	int ret = result(req);

	if (unlikely(!ret && req->commit && req->ucmd)) {
		commit_later(req);
		return;
	}
	tell(req, ret, !ret && req->commit);
	exo_xn_binding_end(binding);
}

static __always_inline void unpin(struct bio *bio)
{
	u32 i;

	for (i = 0; EXO_XN_CHECKED && i < bio->bi_vcnt; i++)
		put_page(bio->bi_io_vec[i].bv_page);
}

static void end_io(struct bio *bio)
{
	struct exo_xn_req *req = bio->bi_private;

	if (unlikely(bio->bi_status))
		WRITE_ONCE(req->error, bio->bi_status == BLK_STS_AGAIN ? -EAGAIN : -EIO);
	unpin(bio);
	if (bio != &req->bio)
		bio_put(bio);
	if (req->polled)
		atomic_dec(&req->binding->disk->polled);
	if (atomic_dec_and_test(&req->pending))
		complete_req(req);
}

/* Submission --------------------------------------------------------------------------------- */

/* A frame of another environment that this one may use so. */
static noinline struct page *pin_granted(struct exo_env *env, u32 nr, struct exo_frame *frame,
					 u32 rights)
{
	struct exo_env *owner;
	int have = -EACCES;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (likely(owner)) {
		have = exo_frame_rights_locked(env, nr, frame);
		if (have >= 0 && (have & rights) != rights)
			have = -EACCES;
		if (likely(have >= 0))
			get_page(frame->page);
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return likely(have >= 0) ? frame->page : ERR_PTR(have);
}

/*
 * A frame that the environment may use so, with a reference to its page. With its own it may do
 * what it likes, and its lock needs no RCU: who asks keeps the environment.
 */
static __always_inline struct page *pin_frame(struct exo_env *env, u32 nr, u32 rights)
{
	struct exo_frame *frame = exo_frame(nr);
	bool own;

	if (unlikely(!frame))
		return ERR_PTR(nr >= exo_nr_frames ? -EINVAL : -EACCES);
	if (!EXO_XN_CHECKED)
		return frame->page;
	if (unlikely(READ_ONCE(frame->owner) != env))
		return pin_granted(env, nr, frame, rights);
	spin_lock(&exo_mem(env)->frames_lock);
	own = frame->owner == env && frame->phase == EXO_PHASE_TAKEN;
	if (likely(own))
		get_page(frame->page);
	spin_unlock(&exo_mem(env)->frames_lock);
	return likely(own) ? frame->page : pin_granted(env, nr, frame, rights);
}

/**
 * struct plan - a READ or WRITE that is being made
 * @env: whose frames
 * @binding: in flight
 * @req: the request
 * @last: its last bio
 * @more: bios but for the first, unless @alone
 * @bios: that have a block, the first among them
 * @opf: of all of them
 * @alone: each bio is submitted before the next one is waited for, under disk->alone
 * @rights: that are needed to a frame
 */
struct plan {
	struct exo_env *env;
	struct exo_xn_binding *binding;
	struct exo_xn_req *req;
	struct bio *last;
	struct bio_list more;
	u32 bios;
	blk_opf_t opf;
	bool alone;
	u32 rights;
};

static sector_t sector_of(u64 block)
{
	return block * SECTORS;
}

/* One bio more than the request has, or NULL. */
static noinline struct bio *bio_more(struct exo_xn_req *req, blk_opf_t opf, u32 vecs, gfp_t gfp)
{
	struct exo_xn_disk_dev *disk = req->binding->disk;
	struct bio *bio = bio_alloc_bioset(disk->bdev.bdev, vecs, opf, gfp, &disk->bios);

	if (bio) {
		bio->bi_private = req;
		bio->bi_end_io = end_io;
	}
	return bio;
}

/* Of a request that is alone: it is complete when the submitter has given it up, too. */
static void send(struct exo_xn_req *req, struct bio *bio)
{
	atomic_inc(&req->pending);
	submit_bio(bio);
}

/* A bio that goes on at this block; @left blocks may follow. */
static __always_inline int plan_bio(struct plan *plan, u64 block, u32 left)
{
	struct bio *bio = plan->last;

	if (plan->bios && bio_end_sector(bio) == sector_of(block))
		return 0;
	if (plan->bios) {
		if (plan->alone)
			send(plan->req, bio);
		bio = bio_more(plan->req, plan->opf, left, plan->alone ? GFP_NOIO : GFP_NOWAIT);
		if (!bio)
			return -EAGAIN;
		if (!plan->alone)
			bio_list_add(&plan->more, bio);
		plan->last = bio;
	}
	plan->bios++;
	bio->bi_iter.bi_sector = sector_of(block);
	return 0;
}

static __always_inline int plan_block(struct plan *plan, u64 block, u32 left, u32 frame,
				       bool zero)
{
	struct page *page = pin_frame(plan->env, frame, plan->rights);
	int ret;

	if (IS_ERR(page))
		return PTR_ERR(page);
	if (unlikely(zero)) {
		clear_highpage(page);
		put_page(page);
		return 0;
	}
	ret = plan_bio(plan, block, left);
	if (unlikely(ret))
		put_page(page);
	else
		__bio_add_page(plan->last, page, EXO_XN_BLOCK, 0);
	return ret;
}

static __always_inline int plan_blocks(struct plan *plan, u64 block, u32 count, const u32 *frames)
{
	struct exo_xn *xn = plan->binding->disk->xn;
	u64 readable = ~0ULL;
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		if (EXO_XN_CHECKED && !op_is_write(plan->opf) && i % MASK_BLOCKS == 0)
			readable = exo_xn_readable(xn, block + i, min(count - i, MASK_BLOCKS));
		ret = plan_block(plan, block + i, count - i, frames[i],
				 !(readable >> i % MASK_BLOCKS & 1));
		if (unlikely(ret))
			return ret;
	}
	return 0;
}

/* Nothing was submitted. */
static noinline void plan_drop(struct exo_xn_req *req, struct bio_list more)
{
	struct bio *bio;

	while ((bio = bio_list_pop(&more))) {
		unpin(bio);
		bio_put(bio);
	}
	unpin(&req->bio);
	bio_put(&req->bio);
}

/*
 * The submitter counts as one: the request stays until all are on their way.
 *
 * Return: all are over already, and the request is the caller's.
 */
static __always_inline bool plan_submit(struct plan *plan)
{
	struct exo_xn_req *req = plan->req;
	struct bio *bio;

	atomic_set(&req->pending, plan->bios + 1);
	if (likely(plan->bios))
		submit_bio(&req->bio);
	while ((bio = bio_list_pop(&plan->more)))
		submit_bio(bio);
	return atomic_dec_and_test(&req->pending);
}

/*
 * All was over when it had been submitted: nobody needs to be told elsewhere. That is so for what reads
 * as zeros, and for a device that has done it when it returns.
 */
static __always_inline int complete_now(struct exo_xn_req *req)
{
	/* The request goes with its bio. */
	struct exo_xn_binding *binding = req->binding;
	int ret;

	ret = result(req);
	if (unlikely(!ret && req->commit && req->ucmd)) {
		commit_later(req);
		return -EIOCBQUEUED;
	}
	if (req->wait)
		req->wait->commit = !ret && req->commit;
	bio_put(&req->bio);
	exo_xn_binding_end(binding);
	return ret;
}

static blk_opf_t opf_of(const struct exo_xn_io *io, bool commit)
{
	if (io->kind == EXO_XN_IO_READ)
		return REQ_OP_READ;
	/* What is followed by a transaction is flushed by that. */
	return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
	       (io->flags & EXO_XN_IO_DURABLE && !commit ? REQ_FUA : 0);
}

/* The request with its first bio. False: there is no memory, and @gfp doesn't wait for any. */
static __always_inline bool plan_begin(struct plan *plan, struct exo_env *env,
				       struct exo_xn_binding *binding, const struct exo_xn_io *io,
				       u32 count, struct io_uring_cmd *ucmd,
				       struct exo_xn_wait *wait, unsigned int issue_flags,
				       gfp_t gfp)
{
	struct exo_xn_disk_dev *disk = binding->disk;
	u64 block = binding->block + io->offset;
	bool commit = EXO_XN_CHECKED && io->kind == EXO_XN_IO_WRITE && io->flags & EXO_XN_IO_DURABLE &&
		      !exo_xn_init_durable(disk->xn, block, count);
	struct exo_xn_req *req;
	struct bio *bio;

	plan->env = env;
	plan->binding = binding;
	plan->opf = opf_of(io, commit);
	plan->rights = io->kind == EXO_XN_IO_READ ? EXO_RIGHT_WRITE : EXO_RIGHT_READ;
	bio = bio_alloc_bioset(disk->bdev.bdev, count, plan->opf, gfp, &disk->bios);
	if (unlikely(!bio))
		return false;
	req = container_of(bio, struct exo_xn_req, bio);
	plan->last = bio;
	plan->req = req;
	bio->bi_private = req;
	bio->bi_end_io = end_io;
	req->error = 0;
	req->kind = io->kind;
	req->commit = commit;
	req->iopoll = issue_flags & IO_URING_F_IOPOLL;
	req->polled = false;
	req->binding = binding;
	req->block = block;
	req->count = count;
	req->ucmd = ucmd;
	req->wait = wait;
	return true;
}

/*
 * The same as submit(), where it may sleep, for a request of several bios that didn't get them at once. Here it
 * waits for each, and has one more at most, its first, that isn't with the device.
 */
static noinline int submit_alone(struct exo_env *env, struct exo_xn_binding *binding,
				 const struct exo_xn_io *io, u32 count, const u32 *frames,
				 struct io_uring_cmd *ucmd, struct exo_xn_wait *wait,
				 unsigned int issue_flags)
{
	struct exo_xn_disk_dev *disk = binding->disk;
	struct plan plan = { .alone = true };
	struct exo_xn_req *req;
	int ret;

	mutex_lock(&disk->alone);
	plan_begin(&plan, env, binding, io, count, ucmd, wait, issue_flags, GFP_NOIO);
	req = plan.req;
	atomic_set(&req->pending, 1);
	if (req->iopoll)
		exo_xn_polled_several(req);
	ret = plan_blocks(&plan, req->block, count, frames);
	/* What was sent is waited for. */
	if (ret)
		WRITE_ONCE(req->error, ret);
	if (plan.bios)
		send(req, plan.last);
	mutex_unlock(&disk->alone);
	return atomic_dec_and_test(&req->pending) ? complete_now(req) : -EIOCBQUEUED;
}

/*
 * READ or WRITE of @count blocks, with their frames. @binding is in flight; it is given back when the
 * request is over, or here on an error.
 *
 * Return: -EIOCBQUEUED: @ucmd or @wait will hear of it; else the result, and nobody else hears of it.
 */
static __always_inline int submit(struct exo_env *env, struct exo_xn_binding *binding,
					 const struct exo_xn_io *io, u32 count, const u32 *frames,
					 struct io_uring_cmd *ucmd, struct exo_xn_wait *wait,
					 unsigned int issue_flags)
{
	bool nowait = issue_flags & IO_URING_F_NONBLOCK;
	struct plan plan = {};
	int ret = -EAGAIN;

	if (unlikely(!plan_begin(&plan, env, binding, io, count, ucmd, wait, issue_flags,
				 nowait ? GFP_NOWAIT : GFP_KERNEL)))
		goto err_binding;
	ret = plan_blocks(&plan, plan.req->block, count, frames);
	if (unlikely(ret)) {
		plan_drop(plan.req, plan.more);
		if (ret == -EAGAIN && !nowait)
			return submit_alone(env, binding, io, count, frames, ucmd, wait, issue_flags);
		goto err_binding;
	}
	if (plan.req->iopoll)
		exo_xn_polled_begin(plan.req, plan.bios, nowait);
	return plan_submit(&plan) ? complete_now(plan.req) : -EIOCBQUEUED;

err_binding:
	exo_xn_binding_end(binding);
	return ret;
}

/*
 * Before anything is in flight: a fault there may last as long as its owner likes, and whoever drains
 * waits with the disk's lock (INV-XN-16).
 */
static __always_inline int copy_frames(const struct exo_xn_io *io, u32 *frames)
{
	if (io->count != 1)
		return copy_from_user(frames, u64_to_user_ptr(io->frames), io->count * sizeof(*frames)) ?
		       -EFAULT : 0;
	frames[0] = io->frames;
	return io->frames == frames[0] ? 0 : -EINVAL;
}

/* The kinds that sleep ----------------------------------------------------------------------- */

/* Up to MASK_BLOCKS; what reads as zeros needn't be written. The binding is in flight. */
static int zero(struct exo_xn_disk_dev *disk, u64 block, u32 count)
{
	u64 readable = exo_xn_readable(disk->xn, block, count);
	u32 i, len;
	int ret = 0;

	for (i = 0; !ret && i < count; i += len) {
		for (len = 1; i + len < count && (readable >> (i + len) & 1) == (readable >> i & 1);)
			len++;
		if (!(readable >> i & 1))
			continue;
		ret = blkdev_issue_zeroout(disk->bdev.bdev, sector_of(block + i), len * SECTORS,
					   GFP_KERNEL, 0);
		if (!ret) {
			exo_xn_reg_wrote(disk, block + i, len);
			exo_xn_written(disk->xn, block + i, len);
		}
	}
	return ret ? -EIO : 0;
}

static bool is_transfer(const struct exo_xn_io *io)
{
	return io->kind == EXO_XN_IO_READ || io->kind == EXO_XN_IO_WRITE;
}

/* The binding, in flight, if it allows this. */
static __always_inline struct exo_xn_binding *begin(struct exo_env *env, const struct exo_xn_io *io,
						    bool nowait)
{
	u32 right = io->kind == EXO_XN_IO_READ ? EXO_RIGHT_READ : EXO_RIGHT_WRITE;
	struct exo_xn_binding *binding;
	int ret = 0;

	binding = exo_xn_binding_begin(env, io->binding, nowait);
	if (IS_ERR(binding) || io->kind == EXO_XN_IO_FLUSH || !EXO_XN_CHECKED)
		return binding;
	if ((u64)io->offset + io->count > binding->count)
		ret = -EINVAL;
	else if (!(binding->rights & right))
		ret = -EACCES;
	if (!ret)
		return binding;
	exo_xn_binding_end(binding);
	return ERR_PTR(ret);
}

/*
 * ZERO, DISCARD: the next piece, behind @done blocks; *@last is its disk, with a reference. Of FLUSH there is none.
 *
 * What a device returns of what it discarded is its own affair, so it is told to make zeros of it, which it may do
 * by giving the space back, as of ZERO. What it can't do so is written (INV-XN-7).
 *
 * Return: how many blocks, or an error.
 */
static int zero_next(struct exo_env *env, const struct exo_xn_io *io, u32 done,
		     struct exo_xn_disk_dev **last)
{
	struct exo_xn_binding *binding = begin(env, io, false);
	u32 n = min(io->count - done, MASK_BLOCKS);
	struct exo_xn_disk_dev *disk;
	int ret = 0;

	if (IS_ERR(binding))
		return PTR_ERR(binding);
	disk = binding->disk;
	if (*last != disk) {
		if (*last)
			exo_xn_disk_put(*last);
		kref_get(&disk->ref);
		*last = disk;
	}
	if (io->kind == EXO_XN_IO_DISCARD && !bdev_max_discard_sectors(disk->bdev.bdev))
		ret = -EOPNOTSUPP;
	else if (n)
		ret = zero(disk, binding->block + io->offset + done, n);
	exo_xn_binding_end(binding);
	return ret ?: n;
}

/*
 * ZERO, DISCARD, FLUSH. There may be much to do: each piece is an I/O of its own, so that who frees the blocks, and has the
 * disk's lock, waits for one piece, however many there are (INV-XN-18).
 */
static int sleeping(struct exo_env *env, const struct exo_xn_io *io)
{
	bool durable = io->kind == EXO_XN_IO_FLUSH || io->flags & EXO_XN_IO_DURABLE;
	struct exo_xn_disk_dev *disk = NULL;
	u32 done = 0;
	int ret;

	do {
		ret = zero_next(env, io, done, &disk);
		done += max(ret, 0);
		if (ret > 0 && done < io->count && fatal_signal_pending(current))
			ret = -EINTR;
	} while (ret > 0 && done < io->count);
	if (ret >= 0)
		ret = durable ? commit_written(disk) : 0;
	if (disk)
		exo_xn_disk_put(disk);
	return ret;
}

/* Commands ----------------------------------------------------------------------------------- */

static __always_inline int check(const struct exo_xn_io *io)
{
	u32 flags = io->kind == EXO_XN_IO_WRITE || io->kind == EXO_XN_IO_ZERO ? EXO_XN_IO_DURABLE : 0;

	if (io->flags & ~flags)
		return -EINVAL;
	if (io->kind == EXO_XN_IO_FLUSH)
		return io->offset || io->count || io->frames ? -EINVAL : 0;
	if (io->kind < EXO_XN_IO_READ || io->kind > EXO_XN_IO_DISCARD || !io->count)
		return -EINVAL;
	if (is_transfer(io))
		return io->count > EXO_XN_IO_BLOCKS ? -EINVAL : 0;
	return io->frames ? -EINVAL : 0;
}

/**
 * exo_xn_io_op() - EXO_XN_IO, and wait for it
 * @env: whose binding and frames
 * @arg: struct exo_xn_io
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT; -ESTALE; -EACCES: binding, or frame; -EFAULT; -EIO; -EOPNOTSUPP.
 */
int exo_xn_io_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_io *io = arg;
	struct exo_xn_binding *binding;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_wait wait;
	/* As many as @io has are copied in. */
	u32 frames[EXO_XN_IO_BLOCKS] __attribute__((__uninitialized__));
	int ret;

	ret = check(io);
	if (ret)
		return ret;
	if (!is_transfer(io))
		return sleeping(env, io);
	ret = copy_frames(io, frames);
	if (ret)
		return ret;
	binding = begin(env, io, false);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	disk = binding->disk;
	kref_get(&disk->ref);
	init_completion(&wait.done);
	ret = submit(env, binding, io, io->count, frames, NULL, &wait, 0);
	if (ret == -EIOCBQUEUED) {
		wait_for_completion_io(&wait.done);
		ret = wait.ret;
	}
	if (!ret && wait.commit)
		ret = commit_written(disk);
	exo_xn_disk_put(disk);
	return ret;
}

static noinline int uring_many(struct exo_env *env, const struct exo_xn_io *io,
			       struct io_uring_cmd *ucmd, unsigned int issue_flags)
{
	u32 frames[EXO_XN_IO_BLOCKS] __attribute__((__uninitialized__));
	struct exo_xn_binding *binding;
	int ret = copy_frames(io, frames);

	if (ret)
		return ret;
	binding = begin(env, io, issue_flags & IO_URING_F_NONBLOCK);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	return submit(env, binding, io, io->count, frames, ucmd, NULL, issue_flags);
}

static noinline int uring_sleeping(struct exo_env *env, const struct exo_xn_io *io, bool nowait)
{
	return nowait ? -EAGAIN : sleeping(env, io);
}

/**
 * exo_xn_io_uring() - EXO_XN_IO through io_uring
 * @env: whose binding and frames
 * @arg: struct exo_xn_io
 * @ucmd: the request
 * @issue_flags: from io_uring
 *
 * Context: process; with IO_URING_F_NONBLOCK it doesn't wait for locks and memory, with IO_URING_F_IOPOLL
 * exo_xn_iopoll() is asked for it.
 * Return: -EIOCBQUEUED: @ucmd will be completed; -EAGAIN: call again where it may wait; else the
 * result.
 */
int exo_xn_io_uring(struct exo_env *env, void *arg, struct io_uring_cmd *ucmd,
		    unsigned int issue_flags)
{
	bool nowait = issue_flags & IO_URING_F_NONBLOCK;
	const struct exo_xn_io *io = arg;
	struct exo_xn_binding *binding;
	u32 frame;
	int ret;

	ret = check(io);
	if (unlikely(ret))
		return ret;
	if (unlikely(!is_transfer(io)))
		return uring_sleeping(env, io, nowait);
	/* One block, the usual, has no list to copy in and to go through. */
	if (io->count != 1)
		return uring_many(env, io, ucmd, issue_flags);
	ret = copy_frames(io, &frame);
	if (unlikely(ret))
		return ret;
	binding = begin(env, io, nowait);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	return submit(env, binding, io, 1, &frame, ucmd, NULL, issue_flags);
}

/**
 * exo_xn_data_setup() - a new disk
 * @disk: disk
 */
void exo_xn_data_setup(struct exo_xn_disk_dev *disk)
{
	mutex_init(&disk->alone);
	init_llist_head(&disk->later);
	INIT_WORK(&disk->commit, commit_work);
}

/**
 * exo_xn_data_init() - module load
 *
 * Return: 0 or -ENOMEM.
 */
int exo_xn_data_init(void)
{
	wq = alloc_workqueue("exo_xn", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return wq ? 0 : -ENOMEM;
}

/**
 * exo_xn_data_exit() - module unload; nothing is in flight
 */
void exo_xn_data_exit(void)
{
	destroy_workqueue(wq);
}
