// SPDX-License-Identifier: LGPL-2.1-or-later
/* Environments: one open file of /dev/exo, the owner of everything. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"

static int env_info(struct exo_env *env)
{
	env->info = (struct exo_info){ .size = sizeof(env->info) };
	return sys_ioctl(env->fd, EXO_INFO, &env->info);
}

/**
 * exo_env_open() - open an environment
 * @out_env: the handle, to be closed with exo_env_close()
 * @opts: NULL, or where the device is
 *
 * An environment owns what is allocated through it and dies, giving all of it back, when its
 * descriptor and its mappings are gone from every process. Its frames are charged to the uid.
 * Idea: S95 §3.2, secure bindings and their owner.
 *
 * Return: 0; or -errno of open(2) (exo_open_hint() says what to do about it), -ENOTTY if that is
 * not an exo device, -EDQUOT, -ENOMEM. Thread-safe.
 */
EXPORT int exo_env_open(struct exo_env **out_env, const struct exo_env_opts *opts)
{
	const char *path;
	struct exo_env *env;
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	path = OPTS_GET(opts, path, NULL);
	if (!path)
		path = secure_getenv("EXO_DEVICE");
	if (!path || !*path)
		path = "/dev/exo";

	env = lib_zalloc(sizeof(*env));
	if (!env)
		return -ENOMEM;
	env->pid = getpid();
	env->queue.ready = -1;
	env->again = -1;
	pthread_mutex_init(&env->lock, NULL);
	pthread_mutex_init(&env->event_lock, NULL);

	/* Only the entries of views that exist are ever touched. */
	env->views = sys_mmap(NULL, VIEW_IDS * sizeof(*env->views), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_is_err(env->views)) {
		ret = sys_err(env->views);
		goto err_free;
	}
	env->fd = sys_open(path, O_RDWR | O_CLOEXEC);
	if (env->fd < 0) {
		ret = env->fd;
		goto err_views;
	}
	ret = env_info(env);
	if (ret)
		goto err_close;
	*out_env = env;
	return 0;

err_close:
	sys_close(env->fd);
err_views:
	sys_munmap(env->views, VIEW_IDS * sizeof(*env->views));
err_free:
	lib_free(env);
	return ret;
}

/* What a forked child inherits: descriptors and memory, no threads, no mappings of the device. */
static int close_inherited(struct exo_env *env)
{
	struct service *service = env->service;
	int ret;

	/* This thread's, as it was before the fork. */
	ret = exo_fault_unregister(env);
	if (ret == -EBUSY)
		return ret;
	if (service) {
		sys_close(service->stop_fd);
		lib_free(service);
	}
	return 0;
}

static void unmap_all(struct exo_env *env)
{
	if (env->table)
		sys_munmap((void *)env->table, env->info.out_table_bytes);
	if (env->ring)
		sys_munmap(env->ring, env->info.out_ring_bytes);
	pthread_mutex_destroy(&env->lock);
	pthread_mutex_destroy(&env->event_lock);
}

/**
 * exo_env_close() - close the descriptor and free the handle
 * @env: the environment; not usable afterwards, unless it fails; NULL is nothing
 *
 * Stops the service thread. The frame table is unmapped. In a forked child only what it inherited is
 * closed, whatever is open in the parent.
 *
 * Return: 0; -EBUSY while it has views, windows or registered fault handlers; -EDEADLK from a
 * handler in the service thread. Nobody else may be using @env.
 */
EXPORT int exo_env_close(struct exo_env *env)
{
	int ret;

	if (!env)
		return 0;
	if (env->pid == getpid()) {
		if (__atomic_load_n(&env->users, __ATOMIC_ACQUIRE))
			return -EBUSY;
		ret = exo_env_service_stop(env);
		if (ret && ret != -ENOENT)
			return ret;
		unmap_all(env);
	} else {
		ret = close_inherited(env);
		if (ret)
			return ret;
	}
	if (env->queue.ready >= 0)
		sys_close(env->queue.ready);
	if (env->again >= 0)
		sys_close(env->again);
	sys_munmap(env->views, VIEW_IDS * sizeof(*env->views));
	sys_close(env->fd);
	lib_free(env);
	return 0;
}

/**
 * exo_env_fd() - the descriptor, for poll(2), io_uring and ioctl(2)
 * @env: keeps it; don't close it
 *
 * Readable when there are events. Return: the descriptor. Async-signal-safe.
 */
EXPORT int exo_env_fd(const struct exo_env *env)
{
	return env->fd;
}

/**
 * exo_env_info() - what this module, kernel and machine offer
 * @env: the environment
 *
 * Return: features and limits as they were at open, valid until close. Async-signal-safe.
 */
EXPORT const struct exo_info *exo_env_info(const struct exo_env *env)
{
	return &env->info;
}

/**
 * exo_env_status() - what the environment holds, and what is wanted of it
 * @env: the environment
 * @out_status: is written
 *
 * Return: 0 or -errno. Thread-safe, async-signal-safe.
 */
EXPORT int exo_env_status(struct exo_env *env, struct exo_env_status *out_status)
{
	*out_status = (struct exo_env_status){ .size = sizeof(*out_status) };
	return sys_ioctl(env->fd, EXO_ENV_STATUS, out_status);
}

/**
 * exo_env_list() - the environments of the caller's uid; of everybody to CAP_SYS_ADMIN
 * @env: any environment
 * @rows: is written
 * @count: room in @rows
 * @start: list those with a number above this: the last row's, to go on
 *
 * Return: how many rows were written, or -errno. Thread-safe, async-signal-safe.
 */
EXPORT int exo_env_list(struct exo_env *env, struct exo_env_status *rows, uint32_t count,
			uint64_t start)
{
	struct exo_env_list list = {
		.size = sizeof(list),
		.count = count,
		.envs = (uintptr_t)rows,
		.start = start,
		.row_size = sizeof(*rows),
	};
	int ret;

	ret = sys_ioctl(env->fd, EXO_ENV_LIST, &list);
	return ret ? ret : (int)list.out_done;
}

/**
 * exo_env_table() - the frame table: state, order, node and colour of every frame
 * @env: the environment
 * @out_table: the table, read only, valid until close; it changes while it is read
 *
 * Idea: S95 §3.1, expose allocation, names and bookkeeping: choosing costs no system call.
 *
 * Return: 0 or -errno of mmap(2). Thread-safe.
 */
EXPORT int exo_env_table(struct exo_env *env, const struct exo_table **out_table)
{
	void *table;
	int ret = 0;

	pthread_mutex_lock(&env->lock);
	if (!env->table) {
		table = sys_mmap(NULL, env->info.out_table_bytes, PROT_READ, MAP_SHARED, env->fd,
				 EXO_MMAP_TABLE);
		if (sys_is_err(table))
			ret = sys_err(table);
		else
			env->table = table;
	}
	if (!ret)
		*out_table = env->table;
	pthread_mutex_unlock(&env->lock);
	return ret;
}

/**
 * exo_env_eventfd() - signal an eventfd at each event
 * @env: the environment
 * @fd: an eventfd(2), which the module holds until another one is set; -1: none
 *
 * Return: 0 or -errno. Thread-safe, async-signal-safe.
 */
EXPORT int exo_env_eventfd(struct exo_env *env, int fd)
{
	struct exo_env_eventfd arg = { .size = sizeof(arg), .fd = fd };

	return sys_ioctl(env->fd, EXO_ENV_EVENTFD, &arg);
}

/**
 * exo_quota_get() - the limits of a uid, and what it uses
 * @env: any environment
 * @uid: whose
 * @flags: 0, or EXO_QUOTA_DEFAULT: the limits of uids that have none of their own
 * @out_quota: is written
 *
 * Return: 0; -EPERM: another uid's, without CAP_SYS_ADMIN. Thread-safe, async-signal-safe.
 */
EXPORT int exo_quota_get(struct exo_env *env, uint32_t uid, uint32_t flags,
			 struct exo_quota *out_quota)
{
	*out_quota = (struct exo_quota){
		.size = sizeof(*out_quota),
		.flags = flags,
		.uid = uid,
	};
	return sys_ioctl(env->fd, EXO_QUOTA_GET, out_quota);
}

/**
 * exo_quota_set() - set limits of a uid
 * @env: any environment
 * @quota: @flags says which of the limits to set, @uid whose; @size is set here
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN; -EDQUOT: the guaranteed minimum can't be reserved.
 * Thread-safe, async-signal-safe.
 */
EXPORT int exo_quota_set(struct exo_env *env, struct exo_quota *quota)
{
	quota->size = sizeof(*quota);
	return sys_ioctl(env->fd, EXO_QUOTA_SET, quota);
}
