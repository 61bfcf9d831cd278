// SPDX-License-Identifier: GPL-2.0
/*
 * The event ring. An event is written where it happens, perhaps under a spinlock; pollers and the
 * eventfd are told by a worker: how many callbacks hang on them is up to user space.
 *
 * The module keeps its own head and never reads back what is in shared memory, but
 * for the reader's tail, which decides only whether there is room (INV-ENV-4).
 */
#include <linux/eventfd.h>
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/vmalloc.h>

#include "compat/eventfd.h"
#include "core/ring.h"
#include "env/env.h"
#include "vma.h"

/* Tell who waits. Takes as long as user space likes: sleeps, no spinlock. */
static void signal_readers(struct exo_event_ring *ring)
{
	mutex_lock(&ring->signal_lock);
	if (ring->eventfd)
		eventfd_signal(ring->eventfd);
	mutex_unlock(&ring->signal_lock);
	wake_up_interruptible_poll(&ring->wait, EPOLLIN | EPOLLRDNORM);
}

static void signal_work(struct work_struct *work)
{
	struct exo_event_ring *ring = container_of(work, struct exo_event_ring, signal_work);

	signal_readers(ring);
	exo_env_put(container_of(ring, struct exo_env, ring));
}

/**
 * exo_event_ring_init() - the ring of a new environment
 * @ring: zeroed
 *
 * Return: 0 or -ENOMEM.
 */
int exo_event_ring_init(struct exo_event_ring *ring)
{
	BUILD_BUG_ON(sizeof(struct exo_ring) % PAGE_SIZE);

	spin_lock_init(&ring->lock);
	mutex_init(&ring->signal_lock);
	INIT_WORK(&ring->signal_work, signal_work);
	init_waitqueue_head(&ring->wait);
	ring->shared = __vmalloc(sizeof(*ring->shared),
				 GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	return ring->shared ? 0 : -ENOMEM;
}

/**
 * exo_event_ring_exit() - free it
 * @ring: no mapping and no poster is left
 *
 * Context: may sleep.
 */
void exo_event_ring_exit(struct exo_event_ring *ring)
{
	if (ring->eventfd)
		eventfd_ctx_put(ring->eventfd);
	vfree(ring->shared);
}

/* Write one event, or count it as lost. */
static void post_locked(struct exo_event_ring *ring, u32 type, const u64 arg[4])
{
	struct exo_ring *shared = ring->shared;

	lockdep_assert_held(&ring->lock);
	ring->seq++;
	if (exo_ring_has_room(ring->head, READ_ONCE(shared->tail)))
		shared->ev[exo_ring_index(ring->head++)] = (struct exo_event) {
			.type = type,
			.seq = ring->seq,
			.time_ns = ktime_get_ns(),
			.arg = { arg[0], arg[1], arg[2], arg[3] },
		};
	else
		ring->overflow++;

	/* Both, each time: what user space wrote there doesn't last. */
	WRITE_ONCE(shared->overflow, ring->overflow);
	/* The reader sees the event before the head that covers it. */
	smp_store_release(&shared->head, ring->head);
}

static void post(struct exo_event_ring *ring, u32 type, u64 a0, u64 a1, u64 a2, u64 a3)
{
	const u64 arg[4] = { a0, a1, a2, a3 };

	spin_lock(&ring->lock);
	post_locked(ring, type, arg);
	spin_unlock(&ring->lock);
}

/**
 * exo_event_post() - post an event; readers hear of it soon
 * @env: to whom, with a reference; may be dead
 * @type: enum exo_event_type
 * @a0: arg[0]
 * @a1: arg[1]
 * @a2: arg[2]
 * @a3: arg[3]
 *
 * Context: not in interrupts; takes ring->lock. Doesn't allocate. How long it takes is not up to user
 * space.
 */
void exo_event_post(struct exo_env *env, u32 type, u64 a0, u64 a1, u64 a2, u64 a3)
{
	if (unlikely(env->tell)) {
		env->tell(env->tell_arg, type);
		return;
	}
	post(&env->ring, type, a0, a1, a2, a3);
	exo_env_get(env);
	if (!queue_work(exo_env_wq, &env->ring.signal_work))
		exo_env_put(env);
}

/**
 * exo_event_post_now() - post an event that the caller itself waits for an answer to
 * @env: the caller's own
 * @type: enum exo_event_type
 * @a0: arg[0]
 * @a1: arg[1]
 * @a2: arg[2]
 * @a3: arg[3]
 *
 * Context: sleeps, and takes as long as the environment made it take.
 */
void exo_event_post_now(struct exo_env *env, u32 type, u64 a0, u64 a1, u64 a2, u64 a3)
{
	post(&env->ring, type, a0, a1, a2, a3);
	signal_readers(&env->ring);
}

/**
 * exo_event_ring_mmap() - EXO_MMAP_RING
 * @env: whose
 * @vma: new mapping
 *
 * Return: 0 or an error.
 */
int exo_event_ring_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	int ret;

	if (vma->vm_pgoff != EXO_MMAP_RING >> PAGE_SHIFT)
		return -EINVAL;
	ret = exo_vma_init(vma, sizeof(struct exo_ring), true);
	if (ret)
		return ret;
	exo_vma_map_vmalloc(vma, env->ring.shared);
	return 0;
}

/**
 * exo_event_ring_poll() - is there an event to read?
 * @env: whose
 * @file: for poll_wait()
 * @wait: for poll_wait()
 *
 * Return: EPOLLIN, or 0.
 */
__poll_t exo_event_ring_poll(struct exo_env *env, struct file *file,
			     struct poll_table_struct *wait)
{
	struct exo_event_ring *ring = &env->ring;

	poll_wait(file, &ring->wait, wait);
	if (READ_ONCE(ring->head) == READ_ONCE(ring->shared->tail))
		return 0;
	return EPOLLIN | EPOLLRDNORM;
}

/**
 * exo_env_eventfd_op() - EXO_ENV_EVENTFD
 * @env: whose
 * @arg: struct exo_env_eventfd
 *
 * Return: 0; -EINVAL, also for a file that is no eventfd; -EBADF.
 */
int exo_env_eventfd_op(struct exo_env *env, void *arg)
{
	const struct exo_env_eventfd *cmd = arg;
	struct eventfd_ctx *ctx = NULL;

	if (cmd->flags || cmd->reserved || cmd->fd < -1)
		return -EINVAL;
	if (cmd->fd >= 0) {
		ctx = eventfd_ctx_fdget(cmd->fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}

	mutex_lock(&env->ring.signal_lock);
	swap(env->ring.eventfd, ctx);
	mutex_unlock(&env->ring.signal_lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}
