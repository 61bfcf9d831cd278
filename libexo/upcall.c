// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The C side of an upcall: from the stub to the handler, and what the stub returns through.
 * Idea: S95 §5.3: exceptions are given to the application, which returns without the kernel.
 */
#include <cpuid.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "upcall.h"

_Static_assert(offsetof(struct exo_upcall_save, ip) == SAVE_IP, "upcall.h");
_Static_assert(offsetof(struct exo_upcall_save, sp) == SAVE_SP, "upcall.h");
_Static_assert(offsetof(struct exo_upcall_save, flags) == SAVE_FLAGS, "upcall.h");
_Static_assert(offsetof(struct exo_upcall_save, busy) == SAVE_BUSY, "upcall.h");
_Static_assert(offsetof(struct upcall_level, fd) + EXO_PAGE_SIZE == LEVEL_FD, "upcall.h");
_Static_assert(offsetof(struct upcall_level, slot) + EXO_PAGE_SIZE == LEVEL_SLOT, "upcall.h");
_Static_assert(offsetof(struct upcall_level, level) + EXO_PAGE_SIZE == LEVEL_LEVEL, "upcall.h");
_Static_assert(sizeof(struct upcall_level) + EXO_PAGE_SIZE <= LEVEL_VECTOR, "upcall.h");
_Static_assert(LEVEL_VECTOR % 64 == 0 && PUSHED_BYTES % 16 == 0, "upcall.h");
_Static_assert(sizeof(struct return_frame) == RETURN_BYTES, "upcall.h");
_Static_assert(sizeof(struct raise_frame) == RETURN_BYTES + RED_ZONE + RAISE_BYTES, "upcall.h");
_Static_assert(offsetof(struct raise_frame, info) - offsetof(struct raise_frame, pid) == RAISE_INFO,
	       "upcall.h");
_Static_assert(offsetof(struct raise_frame, ip) - offsetof(struct raise_frame, pid) == RAISE_IP,
	       "upcall.h");
_Static_assert(sizeof(struct exo_mem_resume) == RESUME_REGS, "upcall.h");
_Static_assert(RESUME_REGS + sizeof(struct exo_resume_regs) <= RESUME_BYTES, "upcall.h");
_Static_assert(EXO_MEM_RESUME == RESUME_CMD, "upcall.h");

#define CPUID_1_ECX_OSXSAVE (1U << 27)
#define CPUID_D_1_EAX_XSAVEC (1U << 1)
#define XFEATURE_X87_SSE 3
#define XFEATURE_SSE (1U << 1)
#define XFEATURE_PKRU (1U << 9)
#define FXSAVE_BYTES 512
#define XSAVE_HEADER 512
#define XSAVE_MXCSR 24

/* Read by the stub. Set once, by upcall_detect(), before the first registration. */
static size_t vector_bytes;
uint64_t upcall_vector_mask;
static void (*entry)(void);

/* A fault as the handler sees it, and what exo_fault_leave() needs. */
struct upcall_fault {
	struct exo_fault fault;
	struct exo_upcall_save *save;
};

static uint64_t enabled_features(void)
{
	uint32_t eax, edx;

	__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (uint64_t)edx << 32 | eax;
}

/*
 * upcall_detect - how the vector registers are saved on this machine
 *
 * All that the program may have in registers is saved, except for the protection keys: a handler
 * has the rights of the code that it interrupts, and what it changes in them stays.
 */
void upcall_detect(void)
{
	uint32_t eax, ebx, ecx, edx;
	uint64_t bytes = FXSAVE_BYTES;

	entry = upcall_entry_fxsave;
	upcall_vector_mask = XFEATURE_X87_SSE;
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & CPUID_1_ECX_OSXSAVE) &&
	    __get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx)) {
		/* For all features in the standard format; the compacted is no longer. */
		bytes = ebx;
		upcall_vector_mask = enabled_features() & ~(uint64_t)XFEATURE_PKRU;
		entry = upcall_entry_xsave;
		if (__get_cpuid_count(0xd, 1, &eax, &ebx, &ecx, &edx) &&
		    (eax & CPUID_D_1_EAX_XSAVEC))
			entry = upcall_entry_xsavec;
	}
	vector_bytes = bytes;
}

void (*upcall_entry(void))(void)
{
	return entry;
}

/* Control page and vector registers. */
static size_t control_bytes(void)
{
	size_t bytes = LEVEL_VECTOR - EXO_PAGE_SIZE + vector_bytes;

	return (bytes + EXO_PAGE_SIZE - 1) & ~(EXO_PAGE_SIZE - 1);
}

size_t upcall_stride(const struct upcall_thread *thread)
{
	return EXO_PAGE_SIZE + thread->stack + EXO_PAGE_SIZE + control_bytes();
}

struct exo_upcall_save *upcall_save(const struct upcall_thread *thread, uint32_t level)
{
	return (void *)(thread->area + level * upcall_stride(thread) + EXO_PAGE_SIZE +
			thread->stack);
}

static struct upcall_level *level_of(struct exo_upcall_save *save)
{
	return (void *)((char *)save + EXO_PAGE_SIZE);
}

/*
 * upcall_area_map - reserve the areas of a thread, map their stacks and control pages
 * @thread: gets ->area; ->env, ->slot and ->stack are set
 *
 * Guard and save pages are still inaccessible afterwards.
 */
int upcall_area_map(struct upcall_thread *thread)
{
	size_t stride = upcall_stride(thread);
	uint32_t level;
	void *at;
	int ret;

	thread->area = sys_mmap(NULL, stride * EXO_UPCALL_LEVELS, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sys_is_err(thread->area))
		return sys_err(thread->area);
	for (level = 0; level < EXO_UPCALL_LEVELS; level++) {
		char *save = (char *)upcall_save(thread, level);

		at = sys_mmap(save - thread->stack, thread->stack, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_STACK, -1, 0);
		if (!sys_is_err(at))
			at = sys_mmap(save + EXO_PAGE_SIZE, control_bytes(), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (sys_is_err(at)) {
			ret = sys_err(at);
			upcall_area_unmap(thread);
			return ret;
		}
		*level_of((void *)save) = (struct upcall_level){
			.fd = thread->env->fd,
			.slot = thread->slot,
			.level = level,
			.thread = thread,
		};
	}
	return 0;
}

void upcall_area_unmap(struct upcall_thread *thread)
{
	sys_munmap(thread->area, upcall_stride(thread) * EXO_UPCALL_LEVELS);
	thread->area = NULL;
}

/* SIGBUS must end in a handler or in death: as for a real one, blocking or ignoring it is death. */
static void make_bus_deliverable(void)
{
	struct sigaction action;
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	sigaction(SIGBUS, NULL, &action);
	if (!sigismember(&mask, SIGBUS) && action.sa_handler != SIG_IGN)
		return;
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
}

static void fill_return(struct return_frame *frame, const struct exo_upcall_save *save, uint64_t ip)
{
	frame->save = (uintptr_t)save;
	frame->ax = *(const uint64_t *)((const char *)save - PUSHED_RAX);
	frame->flags = save->flags;
	frame->ip = ip;
}

static void *return_to(const struct exo_upcall_save *save)
{
	struct return_frame *frame = (void *)(save->sp - RED_ZONE - sizeof(*frame));

	fill_return(frame, save, save->ip);
	return frame;
}

static void fill_info(siginfo_t *info, const struct exo_upcall_save *save)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = SIGBUS;
	info->si_code = BUS_ADRERR;
	info->si_addr = (void *)save->address;
}

static void *return_through_raise(const struct upcall_thread *thread,
				  const struct exo_upcall_save *save)
{
	struct raise_frame *frame = (void *)(save->sp - RED_ZONE - sizeof(*frame));

	fill_return(&frame->back, save, (uintptr_t)upcall_raise);
	frame->pid = (uint64_t)thread->pid;
	frame->tid = (uint64_t)thread->tid;
	fill_info(&frame->info, save);
	frame->ip = save->ip;
	return frame;
}

static __attribute__((cold, noinline)) void *cant(const struct upcall_thread *thread,
						  const struct exo_upcall_save *save)
{
	siginfo_t info;

	make_bus_deliverable();
	if (!thread->shadow_stack)
		return return_through_raise(thread, save);
	fill_info(&info, save);
	sys_queue_signal(thread->pid, thread->tid, &info);
	return NULL;
}

/*
 * upcall_dispatch - call the handler; called by the stub, on the handler's stack
 * @save: what the module wrote
 *
 * Returns where on the interrupted stack the stub finds its struct return_frame; NULL: it has to
 * resume through the module.
 */
void *upcall_dispatch(struct exo_upcall_save *save)
{
	const struct upcall_level *level = level_of(save);
	const struct upcall_thread *thread = level->thread;
	struct exo_env *env = thread->env;
	int saved_errno = errno;
	struct upcall_fault upcall;
	int ret = -ENOENT;

	upcall.fault.env = env;
	upcall.fault.view = __atomic_load_n(&env->views[save->view % VIEW_IDS], __ATOMIC_ACQUIRE);
	upcall.fault.page = save->page;
	upcall.fault.flags = save->fault;
	upcall.fault.address = (void *)save->address;
	upcall.fault.ip = (void *)save->ip;
	upcall.fault.thread = 0;
	upcall.fault.level = level->level;
	upcall.save = save;
	/* Without a handle there is nobody who could know what belongs there. */
	if (upcall.fault.view)
		ret = thread->fn(&upcall.fault, thread->ctx);
	errno = saved_errno;
	if (__builtin_expect(ret != 0, 0))
		return cant(thread, save);
	if (__builtin_expect(thread->shadow_stack, 0))
		return NULL;
	return return_to(save);
}

/* The x87 control word and MXCSR belong to the callee's caller: they survive a longjmp(). */
static void restore_control_words(const struct exo_upcall_save *save)
{
	const char *area = (const char *)save + LEVEL_VECTOR;
	uint64_t present = XFEATURE_X87_SSE;

	/* What was in its initial state has not been written. */
	if (entry == upcall_entry_xsavec)
		memcpy(&present, area + XSAVE_HEADER, sizeof(present));
	if (present & 1)
		__asm__ volatile("fldcw %0" : : "m"(*(const uint16_t *)area));
	if (present & XFEATURE_SSE)
		__asm__ volatile("ldmxcsr %0" : : "m"(*(const uint32_t *)(area + XSAVE_MXCSR)));
}

/**
 * exo_fault_leave() - leave a handler for good, to siglongjmp() out of it
 * @fault: what the handler was called with; an upcall, not a monitor's
 *
 * Gives the level back, so that the next fault finds it free. Between this and the jump all signals
 * are blocked: their handlers might fault, and the upcall would run over this stack. So jump at
 * once, to a place made with sigsetjmp(..., 1), which restores the mask.
 *
 * Return: nothing. To be called in the handler's own thread.
 */
EXPORT void exo_fault_leave(struct exo_fault *fault)
{
	struct upcall_fault *upcall = (void *)fault;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	restore_control_words(upcall->save);
	__atomic_store_n(&upcall->save->busy, 0, __ATOMIC_RELEASE);
}
