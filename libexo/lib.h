/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside libexo: the handles, and what the files share.
 *
 * Locks: env->lock guards the lists and lazily made mappings of an environment, env->event_lock the
 * event ring, the queues and the handlers. Neither is held across a call of the user's or a sleep;
 * event_lock may be taken inside lock, not the other way round.
 */
#ifndef LIBEXO_LIB_H
#define LIBEXO_LIB_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <exo/libexo.h>

#define EXPORT __attribute__((visibility("default")))

#define VIEW_IDS (1U << (EXO_MMAP_SHIFT - EXO_MMAP_VIEW_SHIFT))
#define HUGE_SIZE (EXO_PAGE_SIZE << EXO_HUGE_ORDER)

/*
 * Events that one consumer took from the ring for another.
 * ready: an eventfd, readable while the queue is not empty.
 */
struct queue {
	struct exo_event ev[EXO_RING_EVENTS];
	uint32_t head;
	uint32_t tail;
	int ready;
};

struct monitor {
	struct exo_view *view;
	exo_fault_fn fn;
	void *ctx;
	pthread_t thread;
	struct queue queue;
	bool stop;		/* under event_lock */
	bool rescan;		/* under event_lock: events were lost, waiters must fault again */
};

struct service {
	struct exo_env *env;
	pthread_t thread;
	int stop_fd;		/* an eventfd, readable when the thread is to end */
};

struct exo_env {
	int fd;
	struct exo_info info;
	pid_t pid;		/* who opened it: a forked child has none of its mappings */
	unsigned int users;	/* atomic: views, windows, upcalls */

	pthread_mutex_t lock;
	const struct exo_table *table;
	uint64_t slots;		/* upcall slots that this process uses */
	struct service *service;
	struct exo_view **views;	/* by number; read without a lock by upcalls */

	pthread_mutex_t event_lock;
	struct exo_ring *ring;
	struct queue queue;	/* events for whoever asks for events */
	struct exo_view *monitored;	/* list, by next_monitored */
	uint64_t overflow;	/* of the ring, as last seen */
	uint64_t lost;		/* from queue; less what the ring had lost before its first use */
	bool resync;		/* a request for frames may have been lost */
	int again;		/* an eventfd, readable when a dispatcher that sleeps is to look at that */
	exo_revoke_fn revoke_fn;
	void *revoke_ctx;
	exo_event_fn event_fn;
	void *event_ctx;
};

struct exo_view {
	struct exo_env *env;
	char *base;
	uint32_t id;
	uint32_t pages;
	uint32_t stlb_entries;
	uint64_t *stlb;
	const uint64_t *table;
	size_t length;
	struct monitor *monitor;	/* under env->event_lock */
	struct exo_view *next_monitored;
};

/* sys.c: system calls that return -errno and leave errno alone. */
int sys_ioctl(int fd, unsigned int cmd, void *arg);
int sys_open(const char *path, int flags);
int sys_close(int fd);
void *sys_mmap(void *addr, size_t length, int prot, int flags, int fd, uint64_t offset);
int sys_munmap(void *addr, size_t length);
int sys_wait_readable(const int *fds, unsigned int count, int timeout_ms);
int64_t sys_now_ms(void);
int sys_eventfd(void);
void sys_eventfd_set(int fd);
void sys_eventfd_clear(int fd);
void sys_queue_signal(pid_t pid, pid_t tid, siginfo_t *info);
bool sys_has_shadow_stack(void);
int sys_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg);
void sys_thread_join(pthread_t thread);
void *lib_zalloc(size_t size);
void lib_free(void *ptr);

static inline bool sys_is_err(const void *ptr)
{
	return (uintptr_t)ptr >= (uintptr_t)-4095;
}

static inline int sys_err(const void *ptr)
{
	return (int)(intptr_t)ptr;
}

/* Is field inside the part of the options struct that the caller knows? */
#define OPTS_HAS(opts, field) \
	((opts) && (opts)->sz >= offsetof(__typeof__(*(opts)), field) + sizeof((opts)->field))
#define OPTS_GET(opts, field, fallback) (OPTS_HAS(opts, field) ? (opts)->field : (fallback))
int lib_opts_check_tail(const void *opts, size_t known, size_t sz);

/* 0; -EINVAL: too short to be one; -E2BIG: more is set than this library knows. */
static inline int lib_opts_check(const void *opts, size_t known)
{
	size_t sz;

	if (!opts)
		return 0;
	memcpy(&sz, opts, sizeof(sz));
	return sz == known ? 0 : lib_opts_check_tail(opts, known, sz);
}

static inline void env_get(struct exo_env *env)
{
	__atomic_fetch_add(&env->users, 1, __ATOMIC_RELAXED);
}

static inline void env_put(struct exo_env *env)
{
	__atomic_fetch_sub(&env->users, 1, __ATOMIC_RELEASE);
}

/* event.c */
int event_ring_map_locked(struct exo_env *env);
bool queue_push_locked(struct queue *queue, const struct exo_event *event);
bool queue_pop_locked(struct queue *queue, struct exo_event *out_event);
void event_drain_locked(struct exo_env *env);

/* fault.c and stub.S: see upcall.h */

#endif
