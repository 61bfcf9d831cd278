// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The system calls of libexo. They are made without libc's wrappers, which would set errno: the
 * caller of a library function that says "never sets errno" may be in an upcall, in the middle of
 * anything.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

/* Linux 6.6: asm/prctl.h */
#define ARCH_SHSTK_STATUS 0x5005
#define ARCH_SHSTK_SHSTK (1ULL << 0)

#ifndef __x86_64__
#error "exo is for x86-64: its upcalls are"
#endif

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long syscall3(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

int sys_ioctl(int fd, unsigned int cmd, void *arg)
{
	return (int)syscall3(SYS_ioctl, fd, cmd, (long)arg);
}

int sys_open(const char *path, int flags)
{
	return (int)syscall6(SYS_openat, AT_FDCWD, (long)path, flags, 0, 0, 0);
}

int sys_close(int fd)
{
	return (int)syscall3(SYS_close, fd, 0, 0);
}

void *sys_mmap(void *addr, size_t length, int prot, int flags, int fd, uint64_t offset)
{
	return (void *)syscall6(SYS_mmap, (long)addr, (long)length, prot, flags, fd, (long)offset);
}

int sys_munmap(void *addr, size_t length)
{
	return (int)syscall3(SYS_munmap, (long)addr, (long)length, 0);
}

/*
 * sys_wait_readable - sleep until one of some descriptors is readable
 * @fds: the descriptors, 4 at most
 * @timeout_ms: -1 for ever
 *
 * Returns 0, -ETIMEDOUT, -EINTR.
 */
int sys_wait_readable(const int *fds, unsigned int count, int timeout_ms)
{
	struct pollfd pollfds[4] = { 0 };
	struct timespec ts;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		pollfds[i].fd = fds[i];
		pollfds[i].events = POLLIN;
	}
	if (timeout_ms >= 0) {
		ts.tv_sec = timeout_ms / 1000;
		ts.tv_nsec = (timeout_ms % 1000) * 1000000L;
	}
	ret = (int)syscall6(SYS_ppoll, (long)pollfds, count, timeout_ms < 0 ? 0 : (long)&ts, 0, 0,
			    0);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ETIMEDOUT;
}

int64_t sys_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int sys_eventfd(void)
{
	return (int)syscall3(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0);
}

void sys_eventfd_set(int fd)
{
	uint64_t one = 1;

	syscall3(SYS_write, fd, (long)&one, sizeof(one));
}

void sys_eventfd_clear(int fd)
{
	uint64_t count;

	syscall3(SYS_read, fd, (long)&count, sizeof(count));
}

/*
 * sys_thread_start - start a thread of the library
 *
 * No signal of the program's is ever handled in it: handlers may expect to run in a thread they
 * know.
 */
int sys_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	ret = -pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

/* Not where the caller can be cancelled: what the thread used would never be freed. */
void sys_thread_join(pthread_t thread)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_join(thread, NULL);
	pthread_setcancelstate(old, NULL);
}

void *lib_zalloc(size_t size)
{
	int saved = errno;
	void *ptr = calloc(1, size);

	errno = saved;
	return ptr;
}

void lib_free(void *ptr)
{
	int saved = errno;

	free(ptr);
	errno = saved;
}

int lib_opts_check_tail(const void *opts, size_t known, size_t sz)
{
	size_t i;

	if (sz < sizeof(sz))
		return -EINVAL;
	for (i = known; i < sz; i++)
		if (((const unsigned char *)opts)[i])
			return -E2BIG;
	return 0;
}

void sys_queue_signal(pid_t pid, pid_t tid, siginfo_t *info)
{
	syscall6(SYS_rt_tgsigqueueinfo, pid, tid, info->si_signo, (long)info, 0, 0);
}

/* Has this thread a user shadow stack? Kernels that know none say EINVAL. */
bool sys_has_shadow_stack(void)
{
	uint64_t status = 0;

	return !syscall3(SYS_arch_prctl, ARCH_SHSTK_STATUS, (long)&status, 0) &&
	       (status & ARCH_SHSTK_SHSTK);
}
