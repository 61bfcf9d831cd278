// SPDX-License-Identifier: LGPL-2.1-or-later
/* Monitor threads: faults of threads that have no handler of their own, one thread a view. */
#include "lib.h"

enum step {
	STEP_STOP,
	STEP_RESCAN,
	STEP_SERVE,
	STEP_WAIT,
};

static enum step next_step(struct monitor *monitor, struct exo_event *out_event)
{
	struct exo_env *env = monitor->view->env;
	enum step step = STEP_WAIT;

	pthread_mutex_lock(&env->event_lock);
	event_drain_locked(env);
	if (monitor->stop) {
		step = STEP_STOP;
	} else if (monitor->rescan) {
		monitor->rescan = false;
		step = STEP_RESCAN;
	} else if (queue_pop_locked(&monitor->queue, out_event)) {
		step = STEP_SERVE;
	} else {
		sys_eventfd_clear(monitor->queue.ready);
	}
	pthread_mutex_unlock(&env->event_lock);
	return step;
}

/* Several threads may wait for one page, each with its event: the first one's is enough. */
static bool is_served(const struct exo_view *view, uint32_t page, uint32_t flags)
{
	uint64_t slot = exo_view_slot(view, page);

	return (slot & EXO_SLOT_BOUND) && (!(flags & EXO_FAULT_WRITE) || (slot & EXO_SLOT_WRITE));
}

static void serve(struct monitor *monitor, const struct exo_event *event)
{
	struct exo_view *view = monitor->view;
	struct exo_fault fault = {
		.env = view->env,
		.view = view,
		.page = (uint32_t)event->arg[1],
		.flags = (uint32_t)event->arg[2],
		.address = exo_view_addr(view, (uint32_t)event->arg[1]),
		.thread = (uint32_t)event->arg[3],
	};

	if (is_served(view, fault.page, fault.flags) || !monitor->fn(&fault, monitor->ctx))
		exo_view_wake(view, fault.page, 1);
}

static void *monitor_main(void *arg)
{
	struct monitor *monitor = arg;
	struct exo_view *view = monitor->view;
	struct exo_event event;
	int fds[2];

	fds[0] = view->env->fd;
	fds[1] = monitor->queue.ready;
	for (;;) {
		switch (next_step(monitor, &event)) {
		case STEP_STOP:
			return NULL;
		case STEP_RESCAN:
			/* Whose event was lost faults again, and posts another one. */
			exo_view_wake(view, 0, view->pages);
			break;
		case STEP_SERVE:
			serve(monitor, &event);
			break;
		case STEP_WAIT:
			sys_wait_readable(fds, 2, -1);
			break;
		}
	}
}

static void link_locked(struct exo_view *view, struct monitor *monitor)
{
	view->monitor = monitor;
	view->next_monitored = view->env->monitored;
	view->env->monitored = view;
}

static void unlink_locked(struct exo_view *view)
{
	struct exo_view **link = &view->env->monitored;

	while (*link != view)
		link = &(*link)->next_monitored;
	*link = view->next_monitored;
	view->monitor = NULL;
}

static void monitor_free(struct monitor *monitor)
{
	sys_close(monitor->queue.ready);
	lib_free(monitor);
}

/**
 * exo_monitor_start() - a thread that serves the faults in a view
 * @view: made with EXO_VIEW_MONITOR
 * @fn: is called in that thread for each fault that no upcall takes; 0: the thread that waits tries
 *	again; negative: it goes on waiting, until exo_view_wake() or its death
 * @ctx: passed to @fn
 *
 * @fn must touch no unbound page of the view, and take no lock that a thread may hold while it
 *	touches
 * one. All signals are blocked in the thread. It isn't there in the child of a fork.
 * Idea: the external pagers of Mach, here beside faults handled in place.
 *
 * Return: 0; -EBUSY: the view has one; -errno of its making. Thread-safe.
 */
EXPORT int exo_monitor_start(struct exo_view *view, exo_fault_fn fn, void *ctx)
{
	struct exo_env *env = view->env;
	struct monitor *monitor;
	int ret;

	if (!fn)
		return -EINVAL;
	monitor = lib_zalloc(sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->view = view;
	monitor->fn = fn;
	monitor->ctx = ctx;
	/* Threads that wait already posted their events before there was anybody to take them. */
	monitor->rescan = true;
	monitor->queue.ready = sys_eventfd();
	if (monitor->queue.ready < 0) {
		ret = monitor->queue.ready;
		lib_free(monitor);
		return ret;
	}

	pthread_mutex_lock(&env->event_lock);
	ret = view->monitor ? -EBUSY : event_ring_map_locked(env);
	if (!ret)
		ret = sys_thread_start(&monitor->thread, monitor_main, monitor);
	if (!ret)
		link_locked(view, monitor);
	pthread_mutex_unlock(&env->event_lock);
	if (ret)
		monitor_free(monitor);
	return ret;
}

/**
 * exo_monitor_stop() - end the monitor thread of a view
 * @view: the view
 *
 * Returns after its last call of the handler has. Threads that wait are not woken: to let them
 * fault again, without anybody who serves them, call exo_view_wake().
 *
 * Return: 0; -ENOENT: there is none; -EDEADLK: called by the handler. Thread-safe.
 */
EXPORT int exo_monitor_stop(struct exo_view *view)
{
	struct exo_env *env = view->env;
	struct monitor *monitor;
	int ret = 0;

	pthread_mutex_lock(&env->event_lock);
	monitor = view->monitor;
	if (!monitor || monitor->stop)
		ret = -ENOENT;
	else if (pthread_equal(monitor->thread, pthread_self()))
		ret = -EDEADLK;
	else
		monitor->stop = true;
	pthread_mutex_unlock(&env->event_lock);
	if (ret)
		return ret;

	sys_eventfd_set(monitor->queue.ready);
	sys_thread_join(monitor->thread);
	pthread_mutex_lock(&env->event_lock);
	unlink_locked(view);
	pthread_mutex_unlock(&env->event_lock);
	monitor_free(monitor);
	return 0;
}
