// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in a view: the software TLB, upcalls, the monitor, SIGBUS (INV-FAULT-1). Through libexo, but for
 * what libexo would never do.
 */
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <exo/libexo.h>

#include "harness.h"
#include "lib.h"

#define PAGES 1024
#define N 512

static struct exo_env *env;
static struct exo_view *view;
static uint32_t frames[N];

/* What the handler saw last, and what it is to do. */
static struct exo_fault last;
static volatile unsigned int calls;

static volatile uint64_t *at(uint32_t page)
{
	return exo_view_addr(view, page);
}

/* Page p is always frame p % N. */
static int bind_it(struct exo_fault *fault, void *ctx)
{
	int ret;

	last = *fault;
	calls++;
	if (fault->flags & EXO_FAULT_PROT)
		return exo_view_protect1(view, fault->page, RW);
	ret = exo_view_bind1(view, fault->page, frames[fault->page % N],
			     fault->flags & EXO_FAULT_WRITE ? RW : RO);
	return ret == -EBUSY ? 0 : ret;
}

static void setup(uint32_t flags, uint32_t stlb)
{
	uint32_t i;
	int ret;

	ret = exo_env_open(&env, NULL);
	if (ret)
		FAIL("%s", exo_open_hint(ret));
	ASSERT_EQ(exo_mem_alloc_any(env, frames, N), 0);
	ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = PAGES, .flags = flags, .stlb = stlb),
				  &view), 0);
	for (i = 0; i < N; i++)
		t_fill(exo_env_fd(env), frames[i], 1000 + i);
}

static void setup_upcall(void)
{
	setup(0, 0);
	t_need_feature(exo_env_fd(env), EXO_FEATURE_UPCALL, "upcalls");
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
}

/* ---- nobody ------------------------------------------------------------------------------------------------ */

static sigjmp_buf escape;
static siginfo_t bus;

static void on_bus(int sig, siginfo_t *info, void *ctx)
{
	bus = *info;
	siglongjmp(escape, 1);
}

static void catch_bus(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
}

/* Catches: a fault that loops, maps a zero page, or gives a wrong address (INV-FAULT-1). */
TEST(nobody__sigbus)
{
	setup(0, 0);
	catch_bus();
	if (!sigsetjmp(escape, 1)) {
		at(7)[3] = 1;
		FAIL("the store went through");
	}
	ASSERT_EQ(bus.si_signo, SIGBUS);
	ASSERT_EQ(bus.si_code, BUS_ADRERR);
	ASSERT_EQ((long)bus.si_addr, (long)&at(7)[3]);
	if (!sigsetjmp(escape, 1)) {
		(void)at(8)[1];
		FAIL("the load went through");
	}
	ASSERT_EQ((long)bus.si_addr, (long)&at(8)[1]);
}

/* ---- upcalls ------------------------------------------------------------------------------------------------- */

/* Catches: wrong page, address or flags; an access that is not repeated. */
TEST(upcall__load_store_prot)
{
	setup_upcall();
	ASSERT_EQ(at(5)[0], 1005);
	ASSERT_EQ(calls, 1);
	ASSERT_EQ(last.page, 5);
	ASSERT_EQ(last.flags, 0);
	ASSERT_EQ((long)last.address, (long)&at(5)[0]);
	at(5)[9] = 3;
	ASSERT_EQ(calls, 2);
	ASSERT_EQ(last.flags, EXO_FAULT_WRITE | EXO_FAULT_PROT);
	ASSERT_EQ((long)last.address, (long)&at(5)[9]);
	at(6)[1] = 4;
	ASSERT_EQ(calls, 3);
	ASSERT_EQ(last.flags, EXO_FAULT_WRITE);
	ASSERT_EQ(at(6)[1], 4);
	ASSERT_EQ(at(6)[0], 1006);
	ASSERT_EQ(calls, 3);
	ASSERT_EQ(exo_fault_unregister(env), 0);
	catch_bus();
	if (!sigsetjmp(escape, 1)) {
		(void)at(9)[0];
		FAIL("still registered");
	}
	ASSERT_EQ(calls, 3);
}

struct regs {
	uint64_t gp[14];	/* rax rbx rcx rdx rsi rdi rbp r8..r14; r15 is the address of this */
	uint64_t flags;
	unsigned char xmm[16][16];
};

/* Load all registers from *in, load from addr, store all registers to *out. */
void touch_with_registers(struct regs *in, struct regs *out, const volatile void *addr);
__asm__(
"	.pushsection .text\n"
"	.globl touch_with_registers\n"
"touch_with_registers:\n"
"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
"	push %rsi\n"
"	push %rdx\n"
"	mov %rdi, %r15\n"
	/* the red zone, below sp */
"	movq $0x1111, -8(%rsp); movq $0x2222, -64(%rsp); movq $0x3333, -128(%rsp)\n"
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
"	movdqu 120+16*\\i(%r15), %xmm\\i\n"
	".endr\n"
"	mov 0(%r15), %rax; mov 8(%r15), %rbx; mov 16(%r15), %rcx; mov 24(%r15), %rdx\n"
"	mov 32(%r15), %rsi; mov 40(%r15), %rdi; mov 48(%r15), %rbp; mov 56(%r15), %r8\n"
"	mov 64(%r15), %r9; mov 72(%r15), %r10; mov 80(%r15), %r11; mov 88(%r15), %r12\n"
"	mov 96(%r15), %r13\n"
"	mov (%rsp), %r14\n"
"	std; stc\n"
"	testb $0, (%r14)\n"		/* the fault; clears CF, leaves DF */
"	stc\n"
"	movb $0, 1(%r14)\n"		/* perhaps another; leaves both */
"	mov 8(%rsp), %r15\n"
"	mov %rax, 0(%r15); mov %rbx, 8(%r15); mov %rcx, 16(%r15); mov %rdx, 24(%r15)\n"
"	mov %rsi, 32(%r15); mov %rdi, 40(%r15); mov %rbp, 48(%r15); mov %r8, 56(%r15)\n"
"	mov %r9, 64(%r15); mov %r10, 72(%r15); mov %r11, 80(%r15); mov %r12, 88(%r15)\n"
"	mov %r13, 96(%r15); mov %r14, 104(%r15)\n"
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
"	movdqu %xmm\\i, 120+16*\\i(%r15)\n"
	".endr\n"
"	mov -8(%rsp), %rax; sub $0x1111, %rax\n"
"	mov -64(%rsp), %rcx; sub $0x2222, %rcx; or %rcx, %rax\n"
"	mov -128(%rsp), %rcx; sub $0x3333, %rcx; or %rcx, %rax\n"
"	pushf; pop %rcx; mov %rcx, 112(%r15)\n"
"	cld\n"
"	test %rax, %rax; jz 1f; ud2\n"
"1:	pop %rdx; pop %rsi\n"
"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
"	ret\n"
"	.popsection\n");

/* Uses whatever registers it can, as any handler does. */
static int messy_handler(struct exo_fault *fault, void *ctx)
{
	unsigned long flags;
	char buf[256];
	double x = 1.5;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	if (flags & (1 << 10))
		_exit(77);	/* DF is set in a C function */
	memset(buf, 0x55, sizeof(buf));
	snprintf(buf, sizeof(buf), "%f %d", x * calls, (int)fault->page);
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm9, %%xmm9; pxor %%xmm15, %%xmm15"
			 ::: "xmm0", "xmm9", "xmm15");
	errno = 4711;
	return bind_it(fault, ctx);
}

/* Catches: a register, a flag or the red zone that is not as before. */
TEST(upcall__registers)
{
	uint64_t seed = test_seed();
	struct regs in, out;
	unsigned int i, k;

	setup(0, 0);
	ASSERT_EQ(exo_fault_register(env, messy_handler, NULL, NULL), 0);
	for (i = 0; i < 200; i++) {
		for (k = 0; k < sizeof(in) / 8; k++)
			((uint64_t *)&in)[k] = test_random(&seed);
		errno = 99;
		touch_with_registers(&in, &out, at(i));
		ASSERT_EQ(errno, 99);
		ASSERT_EQ(calls, 2 * (i + 1));
		for (k = 0; k < 13; k++)
			ASSERT_EQ_FOR(out.gp[k], in.gp[k], "register %u", k);
		for (k = 0; k < 16; k++)
			ASSERT_EQ_FOR(memcmp(out.xmm[k], in.xmm[k], 16), 0, "xmm%u", k);
		/* DF is still set; the comparisons changed the others. */
		ASSERT_EQ(out.flags & (1 << 10), 1 << 10);
	}
}

static volatile uint32_t nested_page;
static volatile unsigned int deepest;

static void touch_in_signal(int sig)
{
	at(nested_page)[1] = 4242;
}

/* Each level raises a signal whose handler faults again, up to the last level. */
static int nesting_handler(struct exo_fault *fault, void *ctx)
{
	if (fault->level > deepest)
		deepest = fault->level;
	if (fault->level + 1 < EXO_UPCALL_LEVELS) {
		nested_page = fault->page + 1;
		raise(SIGUSR1 + 0);
	}
	return bind_it(fault, ctx);
}

/* Catches: a save page that is used twice at once. */
TEST(upcall__nested)
{
	struct sigaction action = { .sa_handler = touch_in_signal, .sa_flags = SA_NODEFER };
	unsigned int i;

	setup(0, 0);
	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(exo_fault_register(env, nesting_handler, NULL, NULL), 0);
	for (i = 0; i < 20; i++) {
		uint32_t page = i * 8, k;

		at(page)[1] = 4242;
		ASSERT_EQ(deepest, EXO_UPCALL_LEVELS - 1);
		for (k = 0; k < EXO_UPCALL_LEVELS; k++) {
			ASSERT_EQ(at(page + k)[0], 1000 + page + k);
			ASSERT_EQ(at(page + k)[1], 4242);
		}
	}
}

static volatile uint32_t storm_page;
static volatile unsigned int storms;

static void on_storm(int sig)
{
	storms++;
	/* An unbound page of the upper half, always. */
	at(N + storm_page++ % N)[1] = 1;
}

/* Catches: signals that hit the upcall's entry, its body and its way back. */
TEST(upcall__signal_storm)
{
	struct sigaction action = { .sa_handler = on_storm };
	struct itimerval timer = { { 0, 300 }, { 0, 300 } };
	uint64_t until;
	unsigned int i, k, n = 0;

	setup_upcall();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	until = test_now_ns() + 3000000000ULL;
	while (test_now_ns() < until) {
		for (i = 0; i < 32; i++) {
			ASSERT_EQ(at(i)[0], 1000 + i);
			for (k = 0; k < 16; k++)
				at(i)[8 + k] = i * k;
			for (k = 0; k < 16; k++)
				ASSERT_EQ(at(i)[8 + k], i * k);
			n++;
		}
		sigset_t block, old;

		/* The unbinding must not be interrupted by a handler that binds what is being unbound. */
		sigfillset(&block);
		sigprocmask(SIG_BLOCK, &block, &old);
		{
			struct exo_mem_op op = exo_op(0, PAGES, 0, 0);

			ASSERT_EQ(exo_view_unbind(view, &op, 1, 0, NULL), 0);
		}
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	timer = (struct itimerval){ 0 };
	setitimer(ITIMER_REAL, &timer, NULL);
	test_note("%u faults, %u signals", calls, storms);
	ASSERT_GT(storms, 10);
	ASSERT_GT(n, 100);
}

static void *short_life(void *arg)
{
	uint32_t page = (uint32_t)(uintptr_t)arg;
	int ret = exo_fault_register(env, bind_it, NULL, NULL);

	if (ret)
		return (void *)(intptr_t)ret;
	if (at(page)[0] != 1000 + page % N)
		return (void *)1L;
	if (page & 1)
		exo_fault_unregister(env);
	return NULL;
}

/* Catches: registrations that outlive their thread, and slots that run out. */
TEST(upcall__threads_come_and_go)
{
	unsigned int i, n = test_rounds(500, 4);

	setup(0, 0);
	for (i = 0; i < n; i++) {
		pthread_t thread;
		void *ret;

		ASSERT_EQ(pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)i), 0);
		pthread_join(thread, &ret);
		ASSERT_EQ((long)ret, 0);
	}
	ASSERT_EQ(calls, n);
}

static pthread_barrier_t barrier;

static void *one_of_many(void *arg)
{
	long i = (long)arg;
	int ret = exo_fault_register(env, bind_it, NULL, NULL);
	long bad = 0;
	uint32_t page;

	pthread_barrier_wait(&barrier);
	if (!ret)
		for (page = 0; page < 256; page++)
			bad += at(page)[0] != 1000 + page;
	pthread_barrier_wait(&barrier);
	(void)i;
	return (void *)(ret ? (long)ret : bad);
}

/* Catches: threads that get each other's faults; a 65th that gets somebody's slot. */
TEST(upcall__many_threads)
{
	pthread_t threads[EXO_UPCALL_SLOTS + 1];
	unsigned int i, full = 0;

	setup(0, 0);
	pthread_barrier_init(&barrier, NULL, EXO_UPCALL_SLOTS + 1);
	for (i = 0; i <= EXO_UPCALL_SLOTS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, one_of_many, (void *)(long)i), 0);
	for (i = 0; i <= EXO_UPCALL_SLOTS; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		if ((long)ret == -ENOSPC)
			full++;
		else
			ASSERT_EQ((long)ret, 0);
	}
	ASSERT_EQ(full, 1);
}

/* Catches: a thread without a handler that gets another thread's (INV-FAULT-3). */
static void *no_handler(void *arg)
{
	uint64_t value;

	return (void *)(long)t_load(at(3), &value);
}

TEST(upcall__only_that_thread)
{
	pthread_t thread;
	void *ret;

	setup_upcall();
	ASSERT_EQ(pthread_create(&thread, NULL, no_handler, NULL), 0);
	pthread_join(thread, &ret);
	ASSERT_EQ((long)ret, SIGBUS);
	ASSERT_EQ(calls, 0);
	ASSERT_EQ(at(3)[0], 1003);
	ASSERT_EQ(calls, 1);
}

/* Catches: a forked child with its parent's registration, or one that breaks the parent's. */
TEST(upcall__fork)
{
	pid_t pid;

	setup_upcall();
	ASSERT_EQ(at(1)[0], 1001);
	pid = test_fork();
	if (!pid) {
		struct view mine;
		uint64_t value;
		int fd = t_open();

		t_view(fd, 16, 0, 0, &mine);
		ASSERT_EQ(t_load(t_page(&mine, 0), &value), SIGBUS);
		/* In the same environment, too. */
		t_view(exo_env_fd(env), 16, 0, 0, &mine);
		ASSERT_EQ(t_load(t_page(&mine, 0), &value), SIGBUS);
		ASSERT_EQ(calls, 1);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(at(2)[0], 1002);
	ASSERT_EQ(calls, 2);
}

/* Catches: an upcall that needs sigreturn, or anything but the ioctl. */
TEST(upcall__seccomp)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };
	pid_t pid = test_fork();

	if (!pid) {
		uint32_t i;

		setup_upcall();
		ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
		ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
		for (i = 0; i < 100; i++)
			if (at(i)[0] != 1000 + i)
				_exit(1);
		_exit(calls == 100 ? 0 : 2);
	}
	test_join(pid);
}

static int recursive_handler(struct exo_fault *fault, void *ctx)
{
	/* Never bound: the handler's own access faults, level after level. */
	at(900)[0]++;
	return 0;
}

/* Catches: a handler that faults without end, and eats more than its levels. */
TEST(upcall__handler_faults)
{
	pid_t pid = test_fork();

	if (!pid) {
		setup(0, 0);
		signal(SIGBUS, SIG_DFL);
		ASSERT_EQ(exo_fault_register(env, recursive_handler, NULL, NULL), 0);
		at(0)[0] = 1;
		_exit(0);
	}
	test_join_killed(pid, SIGBUS);
}

static int refusing_handler(struct exo_fault *fault, void *ctx)
{
	calls++;
	return -EPERM;
}

/* Catches: a refusal that is taken for a bind. */
TEST(upcall__handler_refuses)
{
	setup(0, 0);
	ASSERT_EQ(exo_fault_register(env, refusing_handler, NULL, NULL), 0);
	catch_bus();
	if (!sigsetjmp(escape, 1)) {
		at(3)[2] = 1;
		FAIL("the store went through");
	}
	ASSERT_EQ(calls, 1);
	ASSERT_EQ((long)bus.si_addr, (long)&at(3)[2]);
}

static sigjmp_buf leave_to;

static int leaving_handler(struct exo_fault *fault, void *ctx)
{
	exo_fault_leave(fault);
	siglongjmp(leave_to, 1);
}

/* Catches: levels that are lost when a handler never returns. */
TEST(upcall__handler_leaves)
{
	volatile unsigned int i, left = 0;

	setup(0, 0);
	ASSERT_EQ(exo_fault_register(env, leaving_handler, NULL, NULL), 0);
	for (i = 0; i < 20; i++) {
		if (sigsetjmp(leave_to, 1))
			left++;
		else
			(void)at(i)[0];
	}
	ASSERT_EQ(left, 20);
}

/* ---- upcalls that libexo would not ask for --------------------------------------------------------------------- */

static int upcall_raw(int fd, uint32_t slot, uint64_t handler, uint64_t stack, uint64_t stride,
		      uint32_t flags)
{
	struct exo_mem_upcall arg = { .size = sizeof(arg), .flags = flags, .slot = slot,
				      .handler = handler, .stack = stack, .stride = stride };

	return t_ioctl(fd, EXO_MEM_UPCALL, &arg);
}

/* Catches: handlers and stacks in the kernel's half of the address space. */
TEST(raw__bad_registration)
{
	static const uint64_t bad[] = {
		0xffffffff81000000ULL, 0x0100000000000000ULL, 0xffff800000000000ULL, ~0ULL, 1ULL << 63,
	};
	char *stack = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t top = (uintptr_t)stack + 16 * PAGE;
	int fd = t_open();
	unsigned int i;

	ASSERT_EQ(upcall_raw(fd, EXO_UPCALL_SLOTS, (uintptr_t)bind_it, top, 16 * PAGE, 0), -EINVAL);
	ASSERT_EQ(upcall_raw(fd, ~0U, (uintptr_t)bind_it, top, 16 * PAGE, 0), -EINVAL);
	ASSERT_EQ(upcall_raw(fd, 0, (uintptr_t)bind_it, top + 8, 16 * PAGE, 0), -EINVAL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_EQ_FOR(upcall_raw(fd, 0, bad[i], top, 16 * PAGE, 0), -EINVAL, "handler %#llx",
			      (unsigned long long)bad[i]);
		ASSERT_EQ_FOR(upcall_raw(fd, 0, (uintptr_t)bind_it, bad[i] & ~63ULL, 16 * PAGE, 0), -EINVAL,
			      "stack %#llx", (unsigned long long)bad[i]);
		ASSERT_EQ_FOR(upcall_raw(fd, 0, (uintptr_t)bind_it, top, bad[i] & ~63ULL, 0), -EINVAL,
			      "stride %#llx", (unsigned long long)bad[i]);
	}
	ASSERT_EQ(upcall_raw(fd, 0, (uintptr_t)bind_it, top, 16 * PAGE, 0), 0);
	/* Not registered here; registered twice. */
	ASSERT_NE(upcall_raw(fd, 1, 0, 0, 0, EXO_UPCALL_REMOVE), 0);
	ASSERT_EQ(upcall_raw(fd, 0, 0, 0, 0, EXO_UPCALL_REMOVE), 0);
	ASSERT_NE(upcall_raw(fd, 0, 0, 0, 0, EXO_UPCALL_REMOVE), 0);
}

/* Catches: an upcall whose stack is not there hanging, or killing more than the process. */
TEST(raw__stack_unmapped)
{
	pid_t pid = test_fork();

	if (!pid) {
		struct view v;
		int fd = t_open();
		void *save;

		t_view(fd, 16, 0, 0, &v);
		save = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)EXO_MMAP_SAVE);
		ASSERT_NE((long)save, (long)MAP_FAILED);
		ASSERT_EQ(upcall_raw(fd, 0, (uintptr_t)&abort, 0x10000, 0x1000, 0), 0);
		*t_page(&v, 0) = 1;
		_exit(0);
	}
	test_join_killed(pid, SIGSEGV);
}

/* The same for a handler that is no code. */
TEST(raw__handler_unmapped)
{
	pid_t pid = test_fork();

	if (!pid) {
		struct view v;
		int fd = t_open();

		t_view(fd, 16, 0, 0, &v);
		ASSERT_EQ(upcall_raw(fd, 0, 0x10000, (uintptr_t)v.base & ~63UL, 0, 0), 0);
		*t_page(&v, 0) = 1;
		_exit(0);
	}
	test_join_killed(pid, SIGSEGV);
}

/* Catches: registers of a RESUME that take the kernel down, or raise privileges. */
TEST(raw__resume_hostile)
{
	static const struct {
		const char *what;
		uint64_t ip, sp, flags;
	} bad[] = {
		{ "kernel ip", 0xffffffff81000000ULL, 0, 0x202 },
		{ "non-canonical ip", 0x8000000000000000ULL, 0, 0x202 },
		{ "last page ip", 0x00007fffffffffffULL, 0, 0x202 },
		{ "canonical edge", 0x0000800000000000ULL, 0, 0x202 },
		{ "kernel sp", 0, 0xffffffff81000000ULL, 0x202 },
		{ "non-canonical sp", 0, 0x8000000000000000ULL, 0x202 },
		{ "all flags", 0, 0, ~0ULL },
		{ "iopl, vm, nt", 0, 0, 0x27202 },
		{ "interrupts off", 0, 0, 2 },
		{ "single step", 0, 0, 0x302 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pid_t pid = test_fork();
		int status;

		if (!pid) {
			struct exo_resume_regs regs;
			struct exo_mem_resume arg = { .size = sizeof(arg), .regs = (uintptr_t)&regs };
			struct view v;
			int fd = t_open();

			t_view(fd, 16, 0, 0, &v);
			upcall_raw(fd, 0, (uintptr_t)&abort, (uintptr_t)v.base & ~63UL, 0, 0);
			memset(&regs, 0, sizeof(regs));
			/* Where it says 0: to a place that ends the process well. */
			regs.ip = bad[i].ip ? bad[i].ip : (uintptr_t)&_exit;
			regs.sp = bad[i].sp ? bad[i].sp : (uintptr_t)v.base - 0x1008;
			if (!bad[i].sp)
				regs.sp = (uintptr_t)((char *)__builtin_alloca(8192) + 4096) | 8;
			regs.flags = bad[i].flags;
			ASSERT_EQ(t_ioctl(fd, EXO_MEM_RESUME, &arg), -EINVAL);
			_exit(0);
		}
		status = test_wait(pid);
		/* Refused, or resumed with what is harmless of it: alive, or dead by a fault of its own. */
		test_note("%s: status %#x", bad[i].what, status);
		if (WIFEXITED(status))
			ASSERT_EQ(WEXITSTATUS(status), 0);
		else
			ASSERT_TRUE(WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS ||
				    WTERMSIG(status) == SIGTRAP);
	}
}

/* ---- where no upcall may be delivered (INV-FAULT-3) --------------------------------------------------------------- */

/* Catches: an upcall while a debugger single-steps: it would step through the handler. */
TEST(where__single_step)
{
	struct test_sync ready;
	bool bus_seen = false;
	int status, i;
	pid_t pid;

	test_sync_init(&ready);
	pid = test_fork();
	if (!pid) {
		setup_upcall();
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		if (at(4)[0] != 1004)
			_exit(1);
		_exit((int)calls);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	for (i = 0; i < 100000; i++) {
		ASSERT_EQ(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			break;
		ASSERT_TRUE(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGBUS) {
			bus_seen = true;
			break;
		}
		ASSERT_EQ(WSTOPSIG(status), SIGTRAP);
	}
	ASSERT_TRUE(bus_seen);
	/* Without the step the access is repeated, and handled. */
	ASSERT_EQ(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(WEXITSTATUS(status), 1);
}

/* A load with an address of its own, for the probe. */
uint64_t probed_load(const volatile uint64_t *addr);
__asm__(
"	.pushsection .text\n"
"	.globl probed_load\n"
"probed_load:\n"
"	mov (%rdi), %rax\n"
"	ret\n"
"	.popsection\n");

static int uprobe_open(void)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	char path[256] = "", line[512], type[16] = "";
	uintptr_t probe = (uintptr_t)&probed_load;
	uint64_t offset = 0;
	FILE *maps;
	int fd;

	fd = open("/sys/bus/event_source/devices/uprobe/type", O_RDONLY);
	if (fd < 0 || read(fd, type, sizeof(type) - 1) <= 0)
		SKIP("this kernel has no uprobes");
	close(fd);
	maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long lo, hi, off;

		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &lo, &hi, &off, path) == 4 &&
		    probe >= lo && probe < hi) {
			offset = probe - lo + off;
			break;
		}
	}
	if (maps)
		fclose(maps);
	attr.type = (uint32_t)atoi(type);
	attr.config1 = (uintptr_t)path;
	attr.config2 = offset;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		SKIP("a uprobe on %s: %s", path, strerror(errno));
	return fd;
}

/* Catches: an upcall that remembers the address of a uprobe's out-of-line slot. */
TEST(where__uprobe)
{
	int probe;

	t_need_root();
	setup_upcall();
	probe = uprobe_open();
	catch_bus();
	if (!sigsetjmp(escape, 1)) {
		(void)probed_load(at(5));
		/* The kernel may have emulated the load after all: then there is an upcall at the probe. */
		ASSERT_EQ(calls, 1);
		ASSERT_EQ((long)last.ip, (long)&probed_load);
		SKIP("the load is not executed out of line here");
	}
	ASSERT_EQ(calls, 0);
	ASSERT_EQ((long)bus.si_addr, (long)at(5));
	close(probe);
	ASSERT_EQ(probed_load(at(5)), 1005);
	ASSERT_EQ(calls, 1);
	ASSERT_EQ((long)last.ip, (long)&probed_load);
}

/* A load inside a restartable sequence: 1 if it was aborted. */
int rseq_load(struct rseq *rs, const volatile uint64_t *addr, uint64_t *out);
__asm__(
"	.pushsection .data\n"
"	.balign 32\n"
"rseq_desc:\n"
"	.long 0, 0\n"
"	.quad 1f, 2f - 1f, 4f\n"
"	.popsection\n"
"	.pushsection .text\n"
"	.globl rseq_load\n"
"rseq_load:\n"
"	lea rseq_desc(%rip), %rax\n"
"	mov %rax, 8(%rdi)\n"
"1:	mov (%rsi), %rcx\n"
"	mov %rcx, (%rdx)\n"
"2:	xor %eax, %eax\n"
"	ret\n"
"	.long 0x53053053\n"
"4:	mov $1, %eax\n"
"	ret\n"
"	.popsection\n");

static volatile unsigned int buses;

/* Binds what is missing, so that the access succeeds when it is repeated. */
static void bind_on_bus(int sig, siginfo_t *info, void *ctx)
{
	int64_t page = exo_view_page(view, info->si_addr);

	buses++;
	exo_view_bind1(view, (uint32_t)page, frames[page % N], RO);
}

/* Catches: an upcall in the place of a sequence that must be aborted (mem.md 16). */
TEST(where__rseq)
{
	struct sigaction action = { .sa_sigaction = bind_on_bus, .sa_flags = SA_SIGINFO };
	struct rseq *rs = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	uint64_t value = 0;
	unsigned int i;

	if (!__rseq_size)
		SKIP("this C library has registered no rseq area");
	setup_upcall();
	/* Outside a critical section all is as always. */
	ASSERT_EQ(at(1)[0], 1001);
	ASSERT_EQ(calls, 1);
	sigaction(SIGBUS, &action, NULL);
	for (i = 10; i < 20; i++) {
		int aborted = rseq_load(rs, at(i), &value);

		/* The signal aborted it; the sequence is tried again, as everywhere. */
		ASSERT_EQ(aborted, 1);
		while (rseq_load(rs, at(i), &value))
			;
		ASSERT_EQ(value, 1000 + i);
	}
	ASSERT_EQ(calls, 1);
	ASSERT_EQ(buses, 10);
	/* A descriptor that is left behind, of another place: upcalls go on. */
	ASSERT_EQ(at(30)[0], 1030);
	ASSERT_EQ(calls, 2);
}

/* ---- the monitor --------------------------------------------------------------------------------------------------- */

static void *toucher(void *arg)
{
	uint32_t page = (uint32_t)(uintptr_t)arg;

	return (void *)(uintptr_t)at(page)[0];
}

static volatile uint32_t monitor_thread;

static int monitor_fn(struct exo_fault *fault, void *ctx)
{
	monitor_thread = fault->thread;
	return bind_it(fault, ctx);
}

/* Catches: a thread that waits for ever, or goes on without its page. */
TEST(monitor__serves)
{
	pthread_t threads[16];
	unsigned int i;

	setup(EXO_VIEW_MONITOR, 0);
	ASSERT_EQ(exo_monitor_start(view, monitor_fn, NULL), 0);
	ASSERT_EQ(at(100)[0], 1100);
	ASSERT_EQ(last.page, 100);
	ASSERT_EQ(monitor_thread, gettid());
	at(100)[1] = 5;
	ASSERT_EQ(last.flags, EXO_FAULT_WRITE | EXO_FAULT_PROT);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, toucher, (void *)(uintptr_t)(i / 2)), 0);
	for (i = 0; i < 16; i++) {
		void *ret;

		pthread_join(threads[i], &ret);
		ASSERT_EQ((uintptr_t)ret, 1000 + i / 2);
	}
	ASSERT_EQ(exo_monitor_stop(view), 0);
}

/* Catches: a waiter that can't be killed (INV-FAULT-4). */
TEST(monitor__kill_waiter)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		pid_t pid = test_fork();
		uint64_t start;

		if (!pid) {
			setup(EXO_VIEW_MONITOR, 0);
			/* Nobody serves. */
			(void)at(1)[0];
			_exit(1);
		}
		test_sleep_ms(30 * test_slow());
		start = test_now_ns();
		kill(pid, SIGKILL);
		test_join_killed(pid, SIGKILL);
		ASSERT_LT(test_now_ns() - start, 1000000000LL * test_slow());
	}
}

static volatile int waiter_sig;

static void *waiter(void *arg)
{
	uint64_t value;

	waiter_sig = t_load(arg, &value);
	return NULL;
}

/* Catches: waiters that are left alone when their view's mapping goes (INV-FAULT-4). */
TEST(monitor__view_ends)
{
	struct view v;
	pthread_t thread;
	int fd = t_open();

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ASSERT_EQ(pthread_create(&thread, NULL, waiter, (void *)t_page(&v, 3)), 0);
	test_sleep_ms(100);
	ASSERT_EQ(waiter_sig, 0);
	ASSERT_EQ(munmap(v.base, v.length), 0);
	pthread_join(thread, NULL);
	ASSERT_EQ(waiter_sig, SIGSEGV);
}

/* Catches: a WAKE that doesn't, or one that wakes only others. */
TEST(monitor__wake)
{
	struct exo_ring *ring;
	struct exo_event event;
	uint64_t seen = 0;
	struct view v;
	pthread_t thread;
	int fd = t_open();

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ring = t_ring(fd);
	ASSERT_EQ(pthread_create(&thread, NULL, waiter, (void *)t_page(&v, 3)), 0);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_FAULT, 3000 * test_slow(), &event));
	ASSERT_EQ(event.arg[0], v.id);
	ASSERT_EQ(event.arg[1], 3);
	ASSERT_EQ(event.arg[2], 0);
	/* Still not bound: it asks again. */
	ASSERT_EQ(t_wake(&v, 3, 1), 0);
	ASSERT_TRUE(t_event(ring, &seen, EXO_EVENT_FAULT, 3000 * test_slow(), &event));
	ASSERT_EQ(event.arg[1], 3);
	ASSERT_EQ(t_bind(&v, 3, 1, t_frame(fd), RO), 0);
	ASSERT_EQ(t_wake(&v, 0, 64), 0);
	pthread_join(thread, NULL);
	ASSERT_EQ(waiter_sig, 0);
}

/* Catches: a system call that waits for the monitor while it holds locks. */
TEST(monitor__syscall_is_efault)
{
	struct view v;
	int fd = t_open(), p[2];

	t_view(fd, 64, EXO_VIEW_MONITOR, 0, &v);
	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(write(p[1], v.base, 8), -1);
	ASSERT_EQ(errno, EFAULT);
}

/* Catches: an upcall that is passed over because there is a monitor (INV-FAULT-1). */
TEST(monitor__upcall_first)
{
	setup(EXO_VIEW_MONITOR, 0);
	ASSERT_EQ(exo_monitor_start(view, monitor_fn, NULL), 0);
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
	ASSERT_EQ(at(3)[0], 1003);
	ASSERT_EQ(monitor_thread, 0);
	ASSERT_EQ(exo_fault_unregister(env), 0);
	ASSERT_EQ(at(4)[0], 1004);
	ASSERT_EQ(monitor_thread, gettid());
	ASSERT_EQ(exo_monitor_stop(view), 0);
}

/* ---- the software TLB --------------------------------------------------------------------------------------------------- */

/* Catches: translations that are not used, or asked for twice (INV-FAULT-1). */
TEST(stlb__hit_and_miss)
{
	setup(0, 512);
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
	ASSERT_EQ(exo_view_stlb_load(view, 5, frames[9], 1), 0);
	ASSERT_EQ(at(5)[0], 1009);
	at(5)[1] = 1;
	ASSERT_EQ(calls, 0);
	ASSERT_EQ(exo_view_slot(view, 5), EXO_SLOT_BOUND | EXO_SLOT_WRITE | frames[9]);
	/* Direct mapped: page 517 stands in the same place and is not page 5. */
	ASSERT_EQ(at(5 + 512)[0], 1000 + (5 + 512) % N);
	ASSERT_EQ(calls, 1);
	/* Read only: the store is asked for. */
	ASSERT_EQ(exo_view_stlb_load(view, 6, frames[10], 0), 0);
	ASSERT_EQ(at(6)[0], 1010);
	ASSERT_EQ(calls, 1);
	at(6)[1] = 1;
	ASSERT_EQ(calls, 2);
	ASSERT_EQ(exo_view_stlb_clear(view, 7), 0);
	ASSERT_EQ(at(7)[0], 1007);
	ASSERT_EQ(calls, 3);
}

static volatile uint64_t *stlb_of(const struct view *v, uint32_t entries)
{
	void *mem = mmap(NULL, (entries * 8 + PAGE - 1) & ~(PAGE - 1), PROT_READ | PROT_WRITE, MAP_SHARED,
			 v->fd, (off_t)(EXO_MMAP_STLB + ((uint64_t)v->id << EXO_MMAP_VIEW_SHIFT)));

	ASSERT_NE((long)mem, (long)MAP_FAILED);
	return mem;
}

/* Catches: an entry that is a right (INV-FAULT-2). */
TEST(stlb__gives_no_right)
{
	int fd = t_open(), other = t_open(), i;
	volatile uint64_t *stlb;
	uint32_t mine = t_frame(fd), theirs = t_frame(other), readable = t_frame(other);
	uint64_t seed = test_seed(), value;
	struct exo_info info;
	struct exo_cap cap;
	struct view v;

	t_info(fd, &info);
	t_view(fd, 2048, 0, 512, &v);
	stlb = stlb_of(&v, 512);
	t_fill(other, theirs, 0x5ec2e7);
	stlb[0] = EXO_STLB_ENTRY(0, theirs, 0);
	ASSERT_EQ(t_load(t_page(&v, 0), &value), SIGBUS);
	stlb[0] = EXO_STLB_ENTRY(0, theirs, 1);
	ASSERT_EQ(t_store(t_page(&v, 0), 1), SIGBUS);
	/* Imported read only: no store. */
	ASSERT_EQ(t_cap(other, readable, RO, &cap), 0);
	ASSERT_EQ(t_import(fd, &cap, NULL, NULL), 0);
	stlb[1] = EXO_STLB_ENTRY(1, readable, 1);
	ASSERT_EQ(t_store(t_page(&v, 1), 1), SIGBUS);
	ASSERT_EQ(t_peek(other, readable), 0);
	stlb[1] = EXO_STLB_ENTRY(1, readable, 0);
	ASSERT_EQ(t_load(t_page(&v, 1), &value), 0);
	/* Stale: the frame was ours when the entry was written. */
	stlb[2] = EXO_STLB_ENTRY(2, mine, 1);
	ASSERT_EQ(t_free1(fd, mine), 0);
	ASSERT_EQ(t_load(t_page(&v, 2), &value), SIGBUS);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &mine, 1, NULL), 0);
	ASSERT_EQ(t_load(t_page(&v, 2), &value), SIGBUS);
	/* Revoked. */
	ASSERT_EQ(t_cap_revoke_own(other, readable), 0);
	ASSERT_EQ(t_load(t_page(&v, 1), &value), SIGBUS);
	/* Garbage. */
	for (i = 0; i < 2000; i++) {
		uint32_t page = (uint32_t)(test_random(&seed) % 2048);
		uint64_t entry = test_random(&seed);

		switch (i % 4) {
		case 1:
			entry = EXO_STLB_ENTRY(page, (uint32_t)entry, 1);
			break;
		case 2:
			entry = EXO_STLB_ENTRY(page, info.out_frames + (uint32_t)entry % 5, 1);
			break;
		case 3:
			entry |= EXO_STLB_VALID;
			break;
		}
		stlb[page % 512] = entry;
		ASSERT_EQ_FOR(t_load(t_page(&v, page), &value), SIGBUS, "entry %#llx",
			      (unsigned long long)entry);
	}
}

static volatile bool scribble_stop;

static void *scribbler(void *arg)
{
	volatile uint64_t *stlb = arg;
	uint64_t seed = 12345;

	while (!scribble_stop)
		stlb[test_random(&seed) % 512] = test_random(&seed) | EXO_STLB_VALID;
	return NULL;
}

/* Catches: an entry that is read twice, and changes between check and use. */
TEST(stlb__changes_under_it)
{
	int fd = t_open(), other = t_open();
	uint32_t mine = t_frame(fd), theirs = t_frame(other), i, hits = 0;
	volatile uint64_t *stlb;
	pthread_t thread;
	struct view v;

	t_fill(fd, mine, 1);
	t_fill(other, theirs, 0x5ec2e7);
	t_view(fd, 512, 0, 512, &v);
	stlb = stlb_of(&v, 512);
	scribble_stop = false;
	ASSERT_EQ(pthread_create(&thread, NULL, scribbler, (void *)stlb), 0);
	for (i = 0; i < test_rounds(5000, 8); i++) {
		uint64_t value = 0;
		uint32_t page = i % 512;

		stlb[page] = EXO_STLB_ENTRY(page, i & 1 ? mine : theirs, 0);
		if (!t_load(t_page(&v, page), &value)) {
			hits++;
			ASSERT_EQ(value, 1);
			ASSERT_EQ(t_unbind(&v, page, 1), 0);
		}
	}
	scribble_stop = true;
	pthread_join(thread, NULL);
	ASSERT_GT(hits, 0);
}
