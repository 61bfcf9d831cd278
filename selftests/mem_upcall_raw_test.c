// SPDX-License-Identifier: GPL-2.0
/*
 * Upcalls that libexo would not ask for, and places where none may be delivered (INV-FAULT-3): single steps,
 * uprobes, restartable sequences.
 */
#include <linux/perf_event.h>
#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fault_setup.h"

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
