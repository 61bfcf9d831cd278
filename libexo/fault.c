// SPDX-License-Identifier: LGPL-2.1-or-later
/* Registration of fault handlers: which threads have one, and their areas. */
#include <sys/mman.h>
#include <unistd.h>

#include "upcall.h"

#define STACK_DEFAULT (64 * 1024)
#define STACK_MAX (1UL << 30)
/* A signal frame must fit, and a handler's own needs. */
#define STACK_MIN (16 * 1024)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t threads_key;	/* list of struct upcall_thread of a thread */
static int key_error;

static int module_upcall(const struct upcall_thread *thread, uint32_t flags)
{
	struct exo_mem_upcall arg = {
		.size = sizeof(arg),
		.flags = flags,
		.slot = thread->slot,
	};

	if (!(flags & EXO_UPCALL_REMOVE)) {
		arg.handler = (uintptr_t)upcall_entry();
		arg.stack = (uintptr_t)upcall_save(thread, 0);
		arg.stride = upcall_stride(thread);
	}
	return sys_ioctl(thread->env->fd, EXO_MEM_UPCALL, &arg);
}

static int map_saves(struct upcall_thread *thread)
{
	uint32_t level;
	void *at;

	for (level = 0; level < EXO_UPCALL_LEVELS; level++) {
		uint64_t index = thread->slot * EXO_UPCALL_LEVELS + level;

		at = sys_mmap(upcall_save(thread, level), EXO_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, thread->env->fd,
			      EXO_MMAP_SAVE + (index << EXO_PAGE_SHIFT));
		if (sys_is_err(at))
			return sys_err(at);
	}
	return 0;
}

static int claim_slot(struct upcall_thread *thread, uint64_t refused)
{
	struct exo_env *env = thread->env;
	uint64_t taken;
	int ret = -ENOSPC;

	pthread_mutex_lock(&env->lock);
	taken = env->slots | refused;
	if (~taken) {
		thread->slot = (uint32_t)__builtin_ctzll(~taken);
		env->slots |= 1ULL << thread->slot;
		ret = 0;
	}
	pthread_mutex_unlock(&env->lock);
	return ret;
}

static void release_slot(struct upcall_thread *thread)
{
	pthread_mutex_lock(&thread->env->lock);
	thread->env->slots &= ~(1ULL << thread->slot);
	pthread_mutex_unlock(&thread->env->lock);
}

static int register_in_slot(struct upcall_thread *thread)
{
	uint32_t level;
	int ret;

	ret = upcall_area_map(thread);
	if (ret)
		return ret;
	ret = map_saves(thread);
	if (!ret)
		ret = module_upcall(thread, 0);
	if (ret) {
		upcall_area_unmap(thread);
		return ret;
	}
	/* A thread that had the slot before may have ended in its handler. */
	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		__atomic_store_n(&upcall_save(thread, level)->busy, 0, __ATOMIC_RELEASE);
	return 0;
}

/* Another process of the environment may have slots that we do not know: EBUSY. */
static int register_thread(struct upcall_thread *thread)
{
	uint64_t refused = 0;
	int ret;

	for (;;) {
		ret = claim_slot(thread, refused);
		if (ret)
			return ret;
		ret = register_in_slot(thread);
		if (!ret)
			return 0;
		release_slot(thread);
		if (ret != -EBUSY)
			return ret;
		refused |= 1ULL << thread->slot;
	}
}

static bool on_area(const struct upcall_thread *thread)
{
	const char *here = __builtin_frame_address(0);

	return here >= thread->area &&
	       here < thread->area + upcall_stride(thread) * EXO_UPCALL_LEVELS;
}

/* What a child inherited through fork() is memory only: module, slots and users are its parent's. */
static void forget(struct upcall_thread *thread)
{
	bool inherited = thread->pid != getpid();

	if (!inherited)
		module_upcall(thread, EXO_UPCALL_REMOVE);
	/* A thread that ends in a handler runs on its area to the last: that stays. */
	if (!on_area(thread))
		upcall_area_unmap(thread);
	if (!inherited) {
		release_slot(thread);
		env_put(thread->env);
	}
	lib_free(thread);
}

static void forget_all(void *list)
{
	struct upcall_thread *thread = list, *next;

	for (; thread; thread = next) {
		next = thread->next;
		forget(thread);
	}
}

static void init_once(void)
{
	upcall_detect();
	key_error = -pthread_key_create(&threads_key, forget_all);
}

/* The caller's registration with an environment, unlinked. */
static struct upcall_thread *take(struct exo_env *env)
{
	struct upcall_thread *head = pthread_getspecific(threads_key);
	struct upcall_thread **link = &head, *thread;

	while (*link && (*link)->env != env)
		link = &(*link)->next;
	thread = *link;
	if (thread) {
		*link = thread->next;
		pthread_setspecific(threads_key, head);
	}
	return thread;
}

static int put(struct upcall_thread *thread)
{
	thread->next = pthread_getspecific(threads_key);
	return -pthread_setspecific(threads_key, thread);
}

static bool in_handler(const struct upcall_thread *thread)
{
	uint32_t level;

	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		if (__atomic_load_n(&upcall_save(thread, level)->busy, __ATOMIC_RELAXED))
			return true;
	return false;
}

static int thread_new(struct exo_env *env, exo_fault_fn fn, void *ctx, size_t stack,
		      struct upcall_thread **out_thread)
{
	struct upcall_thread *thread;

	if (stack > STACK_MAX || stack < STACK_MIN)
		return -EINVAL;
	thread = lib_zalloc(sizeof(*thread));
	if (!thread)
		return -ENOMEM;
	thread->env = env;
	thread->fn = fn;
	thread->ctx = ctx;
	thread->stack = (stack + EXO_PAGE_SIZE - 1) & ~(EXO_PAGE_SIZE - 1);
	thread->pid = getpid();
	thread->tid = gettid();
	thread->shadow_stack = sys_has_shadow_stack();
	*out_thread = thread;
	return 0;
}

/**
 * exo_fault_register() - faults of the calling thread in an environment's views call a handler
 * @env: the environment
 * @fn: the handler; see exo_fault_fn for what it may do
 * @ctx: passed to @fn
 * @opts: NULL, or the size of the handler's stack in bytes; there are EXO_UPCALL_LEVELS of them
 *
 * No signal is involved: the module enters @fn in the place of the access, and the library returns
 * to it without the kernel. An access that no upcall can take (a system call's, one in a
 * restartable sequence, one more than EXO_UPCALL_LEVELS deep) goes to the monitor, else ends in
 * EFAULT or SIGBUS. A forked child has no handlers. Ideas: S95 §5.3 (exceptions); Appel and Li,
 * ASPLOS'91: TRAP.
 *
 * Return: 0; -EBUSY: the thread has one in @env; -ENOSPC: EXO_UPCALL_SLOTS threads have; -EINVAL:
 * the stack is too small; -EOPNOTSUPP without EXO_FEATURE_UPCALL; -ENOMEM. Thread-safe.
 */
EXPORT int exo_fault_register(struct exo_env *env, exo_fault_fn fn, void *ctx,
			      const struct exo_fault_opts *opts)
{
	struct upcall_thread *thread;
	size_t stack;
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	if (!fn)
		return -EINVAL;
	if (!(env->info.out_features & EXO_FEATURE_UPCALL))
		return -EOPNOTSUPP;
	pthread_once(&once, init_once);
	if (key_error)
		return key_error;

	thread = take(env);
	if (thread && thread->pid == getpid()) {
		put(thread);
		return -EBUSY;
	}
	if (thread)
		forget(thread);

	stack = OPTS_GET(opts, stack, 0UL);
	ret = thread_new(env, fn, ctx, stack ? stack : STACK_DEFAULT, &thread);
	if (ret)
		return ret;
	ret = register_thread(thread);
	if (ret)
		goto err_free;
	env_get(env);
	ret = put(thread);
	if (ret) {
		forget(thread);
		return ret;
	}
	return 0;

err_free:
	lib_free(thread);
	return ret;
}

/**
 * exo_fault_unregister() - faults of the calling thread call no handler any more
 * @env: the environment
 *
 * The end of a thread does this too.
 *
 * Return: 0; -ENOENT: the thread has none in @env; -EBUSY: it is in its handler. Thread-safe.
 */
EXPORT int exo_fault_unregister(struct exo_env *env)
{
	struct upcall_thread *thread;

	pthread_once(&once, init_once);
	if (key_error)
		return key_error;
	thread = take(env);
	if (!thread)
		return -ENOENT;
	if (thread->pid == getpid() && in_handler(thread)) {
		put(thread);
		return -EBUSY;
	}
	forget(thread);
	return 0;
}
