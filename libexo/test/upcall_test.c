// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The stub, without the module: a SIGSEGV handler edits the context of the interrupted thread
 * exactly as the module edits its registers at a fault, and so enters the real stub. The hard part
 * is what a signal does in the middle of it: one test lets one come after every single instruction.
 */
#include <execinfo.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../upcall.h"
#include "tap.h"

#define PAGES 64
#define TRAP_FLAG 0x100
#define ALIGN_FLAG 0x40000
#define DIRECTION_FLAG 0x400
#define STATUS_FLAGS 0x8d5

bool tap_failed;

extern void probe(int kind);
extern char probe_access[];
extern unsigned char vector_in[2112], vector_out[2112];
extern uint64_t probe_in[15], probe_red[15];
extern double probe_x87[2];
extern struct {
	uint64_t regs[15];
	uint64_t sp;
	uint64_t flags;
	uint32_t mxcsr;
	uint16_t fcw;
	uint16_t pad;
	uint64_t red_last;
} probe_out;

static struct exo_env env;
static struct exo_view view;
static struct upcall_thread thread;
static char *memory;
static void (*stub)(void);

static struct {
	volatile unsigned int upcalls, deepest, no_level, bad_entry, steps, nested;
	bool step;
	bool refuse;
	bool leave;
	bool trace;
	int bus_errors;
	void *bus_address;
	int bus_code;
	bool bus_jumps;
	bool traced_touch;
	sigjmp_buf jump;
} now;

static void die(const char *why)
{
	fprintf(stderr, "upcall_test: %s\n", why);
	_exit(1);
}

/* What module/mem does at a fault of user mode. */
static void module_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	char *address = info->si_addr;
	struct exo_upcall_save *save;
	uint32_t level;

	(void)sig;
	if (address < memory || address >= memory + PAGES * EXO_PAGE_SIZE)
		die("a fault outside of the view");
	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		if (!upcall_save(&thread, level)->busy)
			break;
	if (level == EXO_UPCALL_LEVELS) {
		now.no_level++;
		mprotect(memory, PAGES * EXO_PAGE_SIZE, PROT_READ | PROT_WRITE);
		return;
	}
	save = upcall_save(&thread, level);
	save->ip = (uint64_t)regs[REG_RIP];
	save->sp = (uint64_t)regs[REG_RSP];
	save->flags = (uint64_t)regs[REG_EFL];
	save->address = (uintptr_t)address;
	save->view = view.id;
	save->page = (uint32_t)((address - memory) / (long)EXO_PAGE_SIZE);
	save->fault = EXO_FAULT_WRITE;
	save->busy = 1;
	regs[REG_RIP] = (greg_t)(uintptr_t)stub;
	regs[REG_RSP] = (greg_t)(uintptr_t)save;
	regs[REG_EFL] &= ~(DIRECTION_FLAG | TRAP_FLAG | ALIGN_FLAG);
	if (now.step && level == 0)
		regs[REG_EFL] |= TRAP_FLAG;
}

/* Everything that a C function may change is changed. */
static void clobber(void)
{
	__asm__ volatile("pcmpeqb %%xmm0, %%xmm0; pcmpeqb %%xmm7, %%xmm7; pcmpeqb %%xmm15, %%xmm15;"
			 "fldz; fld1; fstp %%st(0); fstp %%st(0)"
			 : : : "xmm0", "xmm7", "xmm15", "memory");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vxorps %%ymm1, %%ymm1, %%ymm1; vxorps %%ymm9, %%ymm9, %%ymm9"
				 : : : "xmm1", "xmm9");
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vpxorq %%zmm30, %%zmm30, %%zmm30; kxorw %%k1, %%k1, %%k1"
				 : : : "memory");
	errno = 4711;
}

static bool entry_is_clean(void)
{
	uint64_t flags;
	uint32_t mxcsr;
	uint16_t fcw, env87[14];

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	__asm__ volatile("fnstenv %0; fldenv %0" : "+m"(env87));
	return !(flags & DIRECTION_FLAG) && mxcsr == 0x1f80 && fcw == 0x37f && env87[4] == 0xffff &&
	       !((uintptr_t)__builtin_frame_address(0) & 15);
}

static void __attribute__((noinline)) touch(char *at)
{
	*(volatile char *)at = 1;
	__asm__ volatile("" : : : "memory");
}

/* Does an unwinder find the way from the handler to the code that was interrupted? */
static void trace(void)
{
	void *frames[32];
	int i, n = backtrace(frames, 32);

	for (i = 0; i < n; i++)
		if ((char *)frames[i] >= (char *)touch && (char *)frames[i] < (char *)touch + 256)
			now.traced_touch = true;
}

static int on_fault(struct exo_fault *fault, void *ctx)
{
	if (!entry_is_clean())
		now.bad_entry++;
	if (ctx != &now || fault->view != &view || fault->env != &env ||
	    (char *)fault->address - memory < fault->page * (long)EXO_PAGE_SIZE)
		now.bad_entry++;
	__atomic_fetch_add(&now.upcalls, 1, __ATOMIC_RELAXED);
	if (fault->level > now.deepest)
		now.deepest = fault->level;
	if (now.trace)
		trace();
	if (now.refuse)
		return -EACCES;
	clobber();
	if (now.leave) {
		exo_fault_leave(fault);
		siglongjmp(now.jump, 1);
	}
	mprotect(memory + fault->page * EXO_PAGE_SIZE, EXO_PAGE_SIZE, PROT_READ | PROT_WRITE);
	clobber();
	return 0;
}

static void protect(unsigned int first, unsigned int count)
{
	mprotect(memory + first * EXO_PAGE_SIZE, count * EXO_PAGE_SIZE, PROT_NONE);
}

static void on_signal(int sig, void (*fn)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO };

	if (!fn) {
		action.sa_flags = 0;
		action.sa_handler = SIG_DFL;
	}
	/* The module isn't interrupted: signals come at the first instruction of the stub. */
	if (sig == SIGSEGV)
		sigfillset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

static void set_up(void)
{
	uint32_t level;

	upcall_detect();
	stub = upcall_entry();
	memory = mmap(NULL, PAGES * EXO_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	env.fd = -1;
	env.views = calloc(VIEW_IDS, sizeof(*env.views));
	view.env = &env;
	view.id = 7;
	view.pages = PAGES;
	view.base = memory;
	env.views[view.id] = &view;
	thread.env = &env;
	thread.fn = on_fault;
	thread.ctx = &now;
	thread.stack = 64 * 1024;
	thread.pid = getpid();
	thread.tid = gettid();
	if (upcall_area_map(&thread))
		die("no memory");
	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		mprotect(upcall_save(&thread, level), EXO_PAGE_SIZE, PROT_READ | PROT_WRITE);
	on_signal(SIGSEGV, module_fault);
}

static void reset(void)
{
	memset(&now, 0, sizeof(now));
	protect(0, PAGES);
}

static bool levels_are_free(void)
{
	uint32_t level;

	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		if (upcall_save(&thread, level)->busy)
			return false;
	return true;
}

static int best_kind(void)
{
	if (stub == upcall_entry_fxsave)
		return 0;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
		return 2;
	return __builtin_cpu_supports("avx") ? 1 : 0;
}

static bool vectors_survived(int kind)
{
	unsigned int bytes = 16U << kind, count = kind == 2 ? 32 : 16, i;

	for (i = 0; i < count; i++)
		if (memcmp(vector_in + 64 * i, vector_out + 64 * i, bytes))
			return false;
	return kind < 2 || !memcmp(vector_in + 2048, vector_out + 2048, 16);
}

/* One access with all registers filled: true if all of them are what they were. */
static bool probe_page(unsigned int page)
{
	int kind = best_kind();
	unsigned int i;
	bool good;

	for (i = 0; i < sizeof(vector_in); i++)
		vector_in[i] = (unsigned char)random();
	for (i = 0; i < 15; i++)
		probe_in[i] = (uint64_t)random() << 32 | (uint64_t)random();
	probe_in[0] = (uintptr_t)(memory + page * EXO_PAGE_SIZE);
	memset(vector_out, 0, sizeof(vector_out));
	probe(kind);

	good = !memcmp(probe_in, probe_out.regs, sizeof(probe_in)) && vectors_survived(kind);
	/* 0x80 + 0x80: carry, zero, overflow and parity; and the direction */
	good = good && (probe_out.flags & (STATUS_FLAGS | DIRECTION_FLAG)) == 0xc45;
	good = good && (probe_out.mxcsr & 0xffc0) == 0x7f80 && probe_out.fcw == 0x0f7f;
	good = good && probe_x87[0] > 1.44 && probe_x87[0] < 1.45 && probe_x87[1] > 3.14;
	for (i = 0; i < 15; i++)
		good = good && probe_red[i] == 0x5a5a01 + i;
	return good && probe_out.red_last == 0x5a5a10;
}

/* A process has one way to save them, and their memory is zero when it begins. */
static void use(void (*entry)(void))
{
	uint32_t level;

	stub = entry;
	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		memset((char *)upcall_save(&thread, level) + LEVEL_VECTOR, 0, 1024);
}

static void registers_survive(void (*entry)(void))
{
	void (*usual)(void) = stub;
	unsigned int page;

	reset();
	use(entry);
	errno = 12;
	for (page = 0; page < PAGES; page++)
		CHECK(probe_page(page));
	CHECK(errno == 12);
	CHECK(now.upcalls == PAGES);
	CHECK(!now.bad_entry);
	CHECK(levels_are_free());
	use(usual);
}

static void test_registers_xsavec(void)
{
	if (upcall_entry() == upcall_entry_xsavec)
		registers_survive(upcall_entry_xsavec);
}

static void test_registers_xsave(void)
{
	if (upcall_entry() != upcall_entry_fxsave)
		registers_survive(upcall_entry_xsave);
}

static void test_registers_fxsave(void)
{
	registers_survive(upcall_entry_fxsave);
}

/* A signal after an instruction of the stub or the handler, whose handler faults in its turn. */
static void on_step(int sig, siginfo_t *info, void *context)
{
	unsigned int page = 1 + now.steps++ % (PAGES - 1);
	char junk[4096];

	(void)sig;
	(void)info;
	(void)context;
	/* What a stack has seen is not clean: a header in the next xsave area would be this. */
	memset(junk, 0xee, sizeof(junk));
	__asm__ volatile("" : : "r"(junk) : "memory");
	protect(page, 1);
	now.step = false;
	touch(memory + page * EXO_PAGE_SIZE);
	now.step = true;
	now.nested++;
}

static void steps_survive(void (*entry)(void))
{
	void (*usual)(void) = stub;
	unsigned int round;

	reset();
	use(entry);
	on_signal(SIGTRAP, on_step);
	for (round = 0; round < 20; round++) {
		protect(0, 1);
		now.step = true;
		CHECK(probe_page(0));
		now.step = false;
	}
	on_signal(SIGTRAP, NULL);
	CHECK(now.steps > 20 * 60);
	CHECK(now.nested == now.steps);
	CHECK(now.upcalls == now.steps + 20);
	CHECK(now.deepest == 1);
	CHECK(!now.no_level && !now.bad_entry);
	CHECK(levels_are_free());
	use(usual);
}

static void test_signal_after_each_instruction(void)
{
	steps_survive(upcall_entry());
	if (upcall_entry() == upcall_entry_xsavec)
		steps_survive(upcall_entry_xsave);
	steps_survive(upcall_entry_fxsave);
}

static struct {
	struct itimerval timer;
	volatile unsigned int rounds;
	unsigned int seen;
	volatile bool on;
} storm;

/*
 * One that repeats has the next signal there before the handler ends where that takes longer than its interval, and
 * nothing else would ever run. So each is set by the one before, later if nothing ran since.
 */
static void next_alarm(void)
{
	long us = storm.timer.it_value.tv_usec;

	storm.timer.it_value.tv_usec = storm.rounds != storm.seen || !us ? 40 : us < 100000 ? us * 2 : us;
	storm.seen = storm.rounds;
	if (storm.on)
		setitimer(ITIMER_REAL, &storm.timer, NULL);
}

static void on_alarm(int sig, siginfo_t *info, void *context)
{
	unsigned int page = PAGES / 2 + now.nested++ % (PAGES / 2);

	(void)sig;
	(void)info;
	(void)context;
	protect(page, 1);
	touch(memory + page * EXO_PAGE_SIZE);
	next_alarm();
}

static void test_signal_storm(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	time_t end = time(NULL) + 3, latest = end + 60;
	unsigned int rounds = 0;
	bool good = true;

	reset();
	on_signal(SIGALRM, on_alarm);
	storm.on = true;
	next_alarm();
	/* Longer where others keep the processors busy. */
	while (time(NULL) < end || ((rounds <= 1000 || now.nested <= 100) && time(NULL) < latest)) {
		unsigned int page = rounds++ % (PAGES / 2);

		protect(page, 1);
		good = good && probe_page(page);
		storm.rounds = rounds;
	}
	storm.on = false;
	setitimer(ITIMER_REAL, &never, NULL);
	on_signal(SIGALRM, NULL);
	CHECK(good);
	CHECK(rounds > 1000 && now.nested > 100);
	CHECK(now.upcalls == rounds + now.nested);
	CHECK(!now.no_level && !now.bad_entry);
	CHECK(levels_are_free());
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	now.bus_errors++;
	now.bus_address = info->si_addr;
	now.bus_code = info->si_code;
	/* The refusal has left no level taken: a fault here is a fault like any other. */
	now.refuse = false;
	touch(memory + 5 * EXO_PAGE_SIZE);
	if (now.bus_jumps)
		siglongjmp(now.jump, 1);
}

static void test_refusal_is_sigbus(void)
{
	reset();
	on_signal(SIGBUS, on_bus);
	now.refuse = true;
	CHECK(probe_page(3));
	on_signal(SIGBUS, NULL);
	CHECK(now.bus_errors == 1);
	CHECK(now.bus_address == memory + 3 * EXO_PAGE_SIZE);
	CHECK(now.bus_code == BUS_ADRERR);
	/* refused, in the signal handler, tried again */
	CHECK(now.upcalls == 3 && now.deepest == 0);
	CHECK(levels_are_free());
}

static void test_refusal_may_be_jumped_out_of(void)
{
	volatile bool jumped = false;

	reset();
	on_signal(SIGBUS, on_bus);
	now.refuse = true;
	now.bus_jumps = true;
	if (!sigsetjmp(now.jump, 1))
		touch(memory + 9 * EXO_PAGE_SIZE);
	else
		jumped = true;
	on_signal(SIGBUS, NULL);
	CHECK(jumped && now.bus_errors == 1);
	CHECK(now.bus_address == memory + 9 * EXO_PAGE_SIZE);
	CHECK(levels_are_free());
}

static int death_of(void (*how)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (!child) {
		thread.pid = getpid();
		thread.tid = gettid();
		now.refuse = true;
		how();
		touch(memory);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void do_nothing(void)
{
}

static void block_bus(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void ignore_bus(void)
{
	signal(SIGBUS, SIG_IGN);
}

static void test_refusal_kills(void)
{
	reset();
	CHECK(death_of(do_nothing) == SIGBUS);
	CHECK(death_of(block_bus) == SIGBUS);
	CHECK(death_of(ignore_bus) == SIGBUS);
}

static void test_leave(void)
{
	volatile unsigned int rounds = 0;
	sigset_t mask;

	reset();
	now.leave = true;
	fesetround(FE_TOWARDZERO);
	for (rounds = 0; rounds < 10; rounds++)
		if (!sigsetjmp(now.jump, 1))
			touch(memory);
	CHECK(fegetround() == FE_TOWARDZERO);
	fesetround(FE_TONEAREST);
	CHECK(now.upcalls == 10 && now.deepest == 0);
	CHECK(levels_are_free());
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGALRM));
}

static void test_unwinding(void)
{
	reset();
	now.trace = true;
	touch(memory);
	CHECK(now.upcalls == 1);
	CHECK(now.traced_touch);
}

static void test_levels_do_not_overlap(void)
{
	uint32_t level;

	for (level = 0; level < EXO_UPCALL_LEVELS; level++) {
		char *save = (char *)upcall_save(&thread, level);

		CHECK(save == (char *)upcall_save(&thread, 0) + level * upcall_stride(&thread));
		CHECK(!((uintptr_t)save & (EXO_PAGE_SIZE - 1)));
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{ "upcall_registers_survive_xsavec", test_registers_xsavec },
		{ "upcall_registers_survive_xsave", test_registers_xsave },
		{ "upcall_registers_survive_fxsave", test_registers_fxsave },
		{ "upcall_signal_after_each_instruction", test_signal_after_each_instruction },
		{ "upcall_signal_storm", test_signal_storm },
		{ "upcall_refusal_is_sigbus", test_refusal_is_sigbus },
		{ "upcall_refusal_may_be_jumped_out_of", test_refusal_may_be_jumped_out_of },
		{ "upcall_refusal_kills", test_refusal_kills },
		{ "upcall_leave", test_leave },
		{ "upcall_unwinding", test_unwinding },
		{ "upcall_levels_do_not_overlap", test_levels_do_not_overlap },
	};

	set_up();
	return TAP_RUN(tests);
}
