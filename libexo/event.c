// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events: the ring, and who gets what from it.
 *
 * There is one ring and there may be several readers: whoever asks for events
 * (exo_env_event_next(), exo_env_dispatch(), the service thread) and a monitor thread a view.
 * Whoever looks first takes an event from the ring, and puts it in the queue of the one that it is
 * for. A queue's eventfd is readable while the queue is not empty, so that its reader wakes up
 * although the ring is empty again.
 */
#include <string.h>
#include <sys/mman.h>

#include "lib.h"

static int open_eventfd(int *fd)
{
	if (*fd < 0)
		*fd = sys_eventfd();
	return *fd < 0 ? *fd : 0;
}

int event_ring_map_locked(struct exo_env *env)
{
	void *ring;
	int ret;

	if (env->ring)
		return 0;
	ret = open_eventfd(&env->queue.ready);
	if (!ret)
		ret = open_eventfd(&env->again);
	if (ret)
		return ret;
	ring = sys_mmap(NULL, env->info.out_ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, env->fd,
			EXO_MMAP_RING);
	if (sys_is_err(ring))
		return sys_err(ring);
	env->ring = ring;
	/* What was lost before anybody here looked does not count. */
	env->overflow = __atomic_load_n(&env->ring->overflow, __ATOMIC_RELAXED);
	env->lost = -env->overflow;
	return 0;
}

bool queue_push_locked(struct queue *queue, const struct exo_event *event)
{
	if (queue->head - queue->tail == EXO_RING_EVENTS)
		return false;
	queue->ev[queue->head % EXO_RING_EVENTS] = *event;
	if (queue->head++ == queue->tail)
		sys_eventfd_set(queue->ready);
	return true;
}

bool queue_pop_locked(struct queue *queue, struct exo_event *out_event)
{
	if (queue->head == queue->tail)
		return false;
	*out_event = queue->ev[queue->tail % EXO_RING_EVENTS];
	if (++queue->tail == queue->head)
		sys_eventfd_clear(queue->ready);
	return true;
}

/* Events were lost before anybody saw them: a fault may have been among them, or a request. */
static void note_overflow_locked(struct exo_env *env)
{
	uint64_t overflow = __atomic_load_n(&env->ring->overflow, __ATOMIC_RELAXED);
	struct exo_view *view;

	if (overflow == env->overflow)
		return;
	env->overflow = overflow;
	env->resync = true;
	for (view = env->monitored; view; view = view->next_monitored) {
		view->monitor->rescan = true;
		sys_eventfd_set(view->monitor->queue.ready);
	}
}

static bool ring_pop_locked(struct exo_env *env, struct exo_event *out_event)
{
	struct exo_ring *ring = env->ring;
	uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);

	note_overflow_locked(env);
	if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == tail)
		return false;
	*out_event = ring->ev[tail % EXO_RING_EVENTS];
	__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

/* True if the event was a monitor's. */
static bool give_to_monitor_locked(struct exo_env *env, const struct exo_event *event)
{
	struct exo_view *view;

	if (event->type != EXO_EVENT_FAULT || event->arg[0] >= VIEW_IDS)
		return false;
	view = env->views[event->arg[0]];
	if (!view || !view->monitor)
		return false;
	if (!queue_push_locked(&view->monitor->queue, event))
		view->monitor->rescan = true;
	return true;
}

/* For a monitor: take everything from the ring, each to its reader. */
void event_drain_locked(struct exo_env *env)
{
	struct exo_event event;

	while (ring_pop_locked(env, &event)) {
		if (give_to_monitor_locked(env, &event))
			continue;
		if (!queue_push_locked(&env->queue, &event)) {
			env->lost++;
			env->resync = true;
		}
	}
}

static int next_event(struct exo_env *env, struct exo_event *out_event)
{
	int ret;

	pthread_mutex_lock(&env->event_lock);
	ret = event_ring_map_locked(env);
	if (ret)
		goto out;
	ret = -EAGAIN;
	if (queue_pop_locked(&env->queue, out_event)) {
		ret = 0;
		goto out;
	}
	while (ring_pop_locked(env, out_event)) {
		if (give_to_monitor_locked(env, out_event))
			continue;
		ret = 0;
		break;
	}
out:
	pthread_mutex_unlock(&env->event_lock);
	return ret;
}

/**
 * exo_env_event_next() - take the next event, if there is one
 * @env: the environment
 * @out_event: the event
 *
 * Faults in a view that has a monitor go to the monitor. An event goes to one caller only: a
 * program that calls this beside exo_env_dispatch() takes events away from its handlers.
 *
 * Return: 0; -EAGAIN: none; -errno of the first use's mmap(2). Thread-safe.
 */
EXPORT int exo_env_event_next(struct exo_env *env, struct exo_event *out_event)
{
	return next_event(env, out_event);
}

/**
 * exo_env_event_wait() - take the next event, wait for it if need be
 * @env: the environment
 * @out_event: the event
 * @timeout_ms: milliseconds; -1: for ever
 *
 * Return: 0; -ETIMEDOUT; -EINTR: a signal was handled. Thread-safe.
 */
EXPORT int exo_env_event_wait(struct exo_env *env, struct exo_event *out_event, int timeout_ms)
{
	int64_t end = sys_now_ms() + timeout_ms;
	int64_t left = timeout_ms;
	int fds[2];
	int ret;

	for (;;) {
		ret = next_event(env, out_event);
		if (ret != -EAGAIN)
			return ret;
		fds[0] = env->fd;
		fds[1] = env->queue.ready;
		ret = sys_wait_readable(fds, 2, (int)left);
		if (ret)
			return ret;
		/* Somebody else may have been faster: the time goes on. */
		if (timeout_ms >= 0)
			left = end > sys_now_ms() ? end - sys_now_ms() : 0;
	}
}

/**
 * exo_env_event_lost() - events that were lost because nobody took them in time
 * @env: the environment
 *
 * Return: how many, since the first use of events. Thread-safe.
 */
EXPORT uint64_t exo_env_event_lost(struct exo_env *env)
{
	uint64_t lost;

	pthread_mutex_lock(&env->event_lock);
	lost = env->lost;
	if (env->ring)
		lost += __atomic_load_n(&env->ring->overflow, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&env->event_lock);
	return lost;
}

/**
 * exo_env_on_revoke() - who is told that frames are wanted back
 * @env: the environment
 * @fn: is called by exo_env_dispatch() or the service thread, with no lock of the library held; it
 *	gives frames back with exo_mem_free(), or lets the deadline pass; NULL: nobody
 * @ctx: passed to @fn
 *
 * Idea: S95 §3.3, visible resource revocation.
 *
 * Return: 0. Thread-safe; a call of the old handler may still be going on.
 */
EXPORT int exo_env_on_revoke(struct exo_env *env, exo_revoke_fn fn, void *ctx)
{
	pthread_mutex_lock(&env->event_lock);
	env->revoke_fn = fn;
	env->revoke_ctx = ctx;
	/* A request may be older than its handler, and who took it asleep again. */
	env->resync = true;
	if (env->again >= 0 && fn)
		sys_eventfd_set(env->again);
	else
		sys_eventfd_clear(env->again);
	pthread_mutex_unlock(&env->event_lock);
	return 0;
}

/**
 * exo_env_on_event() - who is told of events that have no other handler
 * @env: the environment
 * @fn: as for exo_env_on_revoke(); NULL: they are dropped
 * @ctx: passed to @fn
 *
 * Return: 0. Thread-safe; a call of the old handler may still be going on.
 */
EXPORT int exo_env_on_event(struct exo_env *env, exo_event_fn fn, void *ctx)
{
	pthread_mutex_lock(&env->event_lock);
	env->event_fn = fn;
	env->event_ctx = ctx;
	pthread_mutex_unlock(&env->event_lock);
	return 0;
}

/*
 * Tell the handler what is wanted now, not what was when the event was posted: several requests in
 * the ring would otherwise be served several times.
 */
static void tell_revoke(struct exo_env *env, uint32_t why)
{
	struct exo_env_status status;
	struct exo_revoke revoke;
	exo_revoke_fn fn;
	void *ctx;

	pthread_mutex_lock(&env->event_lock);
	fn = env->revoke_fn;
	ctx = env->revoke_ctx;
	pthread_mutex_unlock(&env->event_lock);
	if (!fn || exo_env_status(env, &status) || !status.out_wanted)
		return;
	revoke = (struct exo_revoke){
		.env = env,
		.wanted = status.out_wanted,
		.why = why,
		.deadline_ns = status.out_deadline_ns,
	};
	fn(&revoke, ctx);
}

static void handle_event(struct exo_env *env, const struct exo_event *event)
{
	exo_event_fn fn;
	void *ctx;

	pthread_mutex_lock(&env->event_lock);
	fn = env->event_fn;
	ctx = env->event_ctx;
	if (event->type == EXO_EVENT_REVOKE && env->revoke_fn)
		fn = NULL;
	pthread_mutex_unlock(&env->event_lock);

	if (event->type == EXO_EVENT_REVOKE)
		tell_revoke(env, (uint32_t)event->arg[2]);
	if (fn)
		fn(env, event, ctx);
}

/* After a loss, and once after a handler was set: what is wanted stands in the status too. */
static void resync(struct exo_env *env)
{
	bool wanted;

	pthread_mutex_lock(&env->event_lock);
	wanted = env->resync && env->revoke_fn;
	if (wanted) {
		env->resync = false;
		sys_eventfd_clear(env->again);
	}
	pthread_mutex_unlock(&env->event_lock);
	if (wanted)
		tell_revoke(env, 0);
}

static int dispatch_ready(struct exo_env *env)
{
	struct exo_event event;
	int handled = 0;
	int ret;

	for (;;) {
		ret = next_event(env, &event);
		if (ret)
			break;
		handle_event(env, &event);
		handled++;
	}
	resync(env);
	return ret == -EAGAIN ? handled : ret;
}

/**
 * exo_env_dispatch() - wait for events and call their handlers
 * @env: the environment
 * @timeout_ms: how long to wait for the first one; -1: for ever, 0: not at all
 *
 * Return: how many were handled; 0: the time was up, or exo_env_on_revoke() had something to be looked at;
 * -EINTR: a signal was handled. Thread-safe; each event goes to one caller.
 */
EXPORT int exo_env_dispatch(struct exo_env *env, int timeout_ms)
{
	int fds[3];
	int ret;

	ret = dispatch_ready(env);
	if (ret || !timeout_ms)
		return ret;
	fds[0] = env->fd;
	fds[1] = env->queue.ready;
	fds[2] = env->again;
	ret = sys_wait_readable(fds, 3, timeout_ms);
	if (ret)
		return ret == -ETIMEDOUT ? 0 : ret;
	return dispatch_ready(env);
}

/* The service thread ------------------------------------------------------------------------- */

static void *service_main(void *arg)
{
	struct service *service = arg;
	struct exo_env *env = service->env;
	int fds[4];

	fds[0] = service->stop_fd;
	fds[1] = env->fd;
	fds[2] = env->queue.ready;
	fds[3] = env->again;
	for (;;) {
		if (dispatch_ready(env) < 0)
			break;
		if (sys_wait_readable(fds, 4, -1))
			continue;
		if (sys_wait_readable(&service->stop_fd, 1, 0) == 0)
			break;
	}
	return NULL;
}

static int service_start_locked(struct exo_env *env)
{
	struct service *service;
	int ret;

	if (env->service)
		return -EBUSY;
	service = lib_zalloc(sizeof(*service));
	if (!service)
		return -ENOMEM;
	service->env = env;
	service->stop_fd = sys_eventfd();
	if (service->stop_fd < 0) {
		ret = service->stop_fd;
		goto err_free;
	}
	pthread_mutex_lock(&env->event_lock);
	ret = event_ring_map_locked(env);
	pthread_mutex_unlock(&env->event_lock);
	if (ret)
		goto err_close;
	ret = sys_thread_start(&service->thread, service_main, service);
	if (ret)
		goto err_close;
	env->service = service;
	return 0;

err_close:
	sys_close(service->stop_fd);
err_free:
	lib_free(service);
	return ret;
}

/**
 * exo_env_service_start() - a thread that dispatches events until it is stopped
 * @env: the environment
 *
 * Handlers run in it. All signals are blocked in it. It isn't there in the child of a fork.
 *
 * Return: 0; -EBUSY: it runs already; -errno of its making. Thread-safe.
 */
EXPORT int exo_env_service_start(struct exo_env *env)
{
	int ret;

	pthread_mutex_lock(&env->lock);
	ret = service_start_locked(env);
	pthread_mutex_unlock(&env->lock);
	return ret;
}

/**
 * exo_env_service_stop() - end the service thread
 * @env: the environment
 *
 * Returns after its last handler has.
 *
 * Return: 0; -ENOENT: there is none; -EDEADLK: called by a handler in it. Thread-safe.
 */
EXPORT int exo_env_service_stop(struct exo_env *env)
{
	struct service *service;

	pthread_mutex_lock(&env->lock);
	service = env->service;
	if (service && pthread_equal(service->thread, pthread_self())) {
		pthread_mutex_unlock(&env->lock);
		return -EDEADLK;
	}
	env->service = NULL;
	pthread_mutex_unlock(&env->lock);
	if (!service)
		return -ENOENT;
	sys_eventfd_set(service->stop_fd);
	sys_thread_join(service->thread);
	sys_close(service->stop_fd);
	lib_free(service);
	return 0;
}
