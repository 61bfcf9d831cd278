// SPDX-License-Identifier: GPL-2.0
/*
 * Upcalls: faults that enter a handler in the place of the access (INV-FAULT-1, INV-FAULT-3). Through libexo.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include "fault_setup.h"
#include "storm.h"

/* ---- upcalls ------------------------------------------------------------------------------------------------- */

/* Wrong page, address or flags; an access that is not repeated. */
static void load_store_prot(void)
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

/* A register, a flag or the red zone that is not as before. */
static void registers(void)
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

/* A save page that is used twice at once. */
static void nested(void)
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
static volatile unsigned int storms, rounds;

static void on_storm(int sig)
{
	storms++;
	/* An unbound page of the upper half, always. */
	at(N + storm_page++ % N)[1] = 1;
	storm_next(rounds, storms);
}

/* Signals that hit the upcall's entry, its body and its way back. */
static void signal_storm(void)
{
	struct sigaction action = { .sa_handler = on_storm };
	struct itimerval never = { 0 };
	uint64_t until;
	unsigned int i, k;

	setup_upcall();
	sigaction(SIGALRM, &action, NULL);
	storm_next(rounds, storms);
	until = test_now_ns() + 3000000000ULL;
	/* Longer where others keep the processors busy. */
	while (test_now_ns() < until || storms < 300 || rounds < 300) {
		for (i = 0; i < 32; i++) {
			ASSERT_EQ(at(i)[0], 1000 + i);
			for (k = 0; k < 16; k++)
				at(i)[8 + k] = i * k;
			for (k = 0; k < 16; k++)
				ASSERT_EQ(at(i)[8 + k], i * k);
			rounds++;
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
	action.sa_handler = SIG_IGN;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	test_note("%u faults, %u signals", calls, storms);
	ASSERT_GE(calls, rounds);
}

/* Both ways back: through the interrupted stack, and through the module. */

TEST(upcall__load_store_prot)
{
	load_store_prot();
}

TEST(upcall__registers)
{
	registers();
}

TEST(upcall__nested)
{
	nested();
}

TEST(upcall__signal_storm)
{
	signal_storm();
}

#define ARCH_SHSTK_STATUS 0x5005

static volatile unsigned int asked;

static void say_shadow_stack(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	*(uint64_t *)regs[REG_RSI] = 1;
	regs[REG_RAX] = 0;
	asked++;
}

/* libexo asks the kernel: answer for it. What it does then works on any processor. */
static void pretend_shadow_stack(void)
{
	struct sigaction action = { .sa_sigaction = say_shadow_stack, .sa_flags = SA_SIGINFO };
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_SHSTK_STATUS, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	sigaction(SIGSYS, &action, NULL);
	ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

TEST(resume__load_store_prot)
{
	pretend_shadow_stack();
	load_store_prot();
	ASSERT_EQ(asked, 1);
}

TEST(resume__registers)
{
	pretend_shadow_stack();
	registers();
}

TEST(resume__nested)
{
	pretend_shadow_stack();
	nested();
}

TEST(resume__signal_storm)
{
	pretend_shadow_stack();
	signal_storm();
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
