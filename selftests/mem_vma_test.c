// SPDX-License-Identifier: GPL-2.0
/*
 * What the rest of Linux may do with exo's mappings: fork, exec, mremap, munmap, mprotect, madvise,
 * mlock, system calls, pins, core dumps, ptrace.
 */
#include <elf.h>
#include <limits.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_huge = 2;

#define SECRET 0x5ec2e75ec2e75ec2ULL

static int fd;
static struct view view;
static uint32_t frame, frame2;

static void setup(void)
{
	fd = t_open();
	t_view(fd, 1024, 0, 0, &view);
	frame = t_frame(fd);
	frame2 = t_frame(fd);
	t_fill(fd, frame, SECRET);
	t_fill(fd, frame2, 2);
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
	ASSERT_EQ(t_bind(&view, 600, 1, frame2, RO), 0);
	ASSERT_EQ(*t_page(&view, 0), SECRET);
	ASSERT_EQ(*t_page(&view, 600), 2);
}

/* All is as setup() left it. */
static void still_fine(void)
{
	ASSERT_EQ(*t_page(&view, 0), SECRET);
	ASSERT_EQ(*t_page(&view, 600), 2);
	ASSERT_EQ(t_store(t_page(&view, 600), 1), SIGBUS);
	ASSERT_EQ(t_store(t_page(&view, 0) + 1, 1), 0);
}

/* ---- fork, exec --------------------------------------------------------------------------------------- */

/* Catches: a child with the parent's page table, or one that operates on it (INV-VIEW-7). */
TEST(fork__not_copied)
{
	pid_t pid;

	setup();
	pid = test_fork();
	if (!pid) {
		uint64_t value;

		ASSERT_EQ(t_load(t_page(&view, 0), &value), SIGSEGV);
		ASSERT_EQ(t_load(view.slots, &value), SIGSEGV);
		ASSERT_EQ(t_bind(&view, 1, 1, frame, RW), -EACCES);
		ASSERT_EQ(t_unbind(&view, 0, 1), -EACCES);
		ASSERT_EQ(t_rebind(&view, 0, 1, frame2, RW), -EACCES);
		ASSERT_EQ(t_protect(&view, 0, 1, RO), -EACCES);
		ASSERT_NE(t_view_destroy(&view), 0);
		_exit(0);
	}
	test_join(pid);
	still_fine();
}

/* Catches: MADV_DOFORK that brings the copying back. */
TEST(fork__madv_dofork)
{
	pid_t pid;
	int ret;

	setup();
	ret = madvise(view.base, view.length, MADV_DOFORK);
	test_note("MADV_DOFORK: %s", ret ? strerror(errno) : "accepted");
	pid = test_fork();
	if (!pid) {
		uint64_t value;

		/* If it is there at all, it is empty and stays so. */
		ASSERT_NE(t_load(t_page(&view, 0), &value), 0);
		ASSERT_EQ(t_bind(&view, 1, 1, frame, RW), -EACCES);
		_exit(0);
	}
	test_join(pid);
	still_fine();
	/* What the child had must not keep the frame. */
	ASSERT_EQ(t_free1(fd, frame), 0);
	{
		int other = t_open();

		ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	}
}

/* Catches: a child that shares the memory (CLONE_VM) being refused, or its death tearing things down. */
TEST(fork__vfork_is_the_same_mm)
{
	pid_t pid;

	setup();
	pid = vfork();
	if (!pid) {
		if (t_bind(&view, 1, 1, frame, RW))
			_exit(1);
		_exit(0);
	}
	test_join(pid);
	ASSERT_EQ(*t_page(&view, 1), SECRET);
	still_fine();
}

/* ---- the mapping's shape -------------------------------------------------------------------------------- */

/* Catches: a mapping that is moved, grown, shrunk, or cut (INV-VIEW-4). */
TEST(mremap__refused)
{
	size_t len;

	setup();
	len = view.length;
	ASSERT_EQ((long)mremap(view.base, len, len + PAGE, MREMAP_MAYMOVE), (long)MAP_FAILED);
	ASSERT_EQ((long)mremap(view.base, len, len + PAGE, 0), (long)MAP_FAILED);
	ASSERT_EQ((long)mremap(view.base, len, PAGE, 0), (long)MAP_FAILED);
	ASSERT_EQ((long)mremap(view.base, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			       view.base + 4 * len), (long)MAP_FAILED);
	ASSERT_EQ((long)mremap(view.base + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       view.base + 4 * len), (long)MAP_FAILED);
	/* Old size 0 makes a second mapping of a shared one. */
	ASSERT_EQ((long)mremap(view.base, 0, len, MREMAP_MAYMOVE), (long)MAP_FAILED);
	still_fine();
}

/* Catches: half a view (INV-VIEW-4). */
TEST(munmap__partial)
{
	setup();
	ASSERT_NE(munmap(view.base, PAGE), 0);
	ASSERT_NE(munmap(view.base + PAGE, PAGE), 0);
	ASSERT_NE(munmap(view.base + view.length - PAGE, PAGE), 0);
	ASSERT_EQ((long)mmap(view.base + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			     -1, 0), (long)MAP_FAILED);
	still_fine();
	/* All of it, by a mapping over it. */
	ASSERT_EQ((long)mmap(view.base, view.length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			     -1, 0), (long)view.base);
	ASSERT_EQ(*t_page(&view, 0), 0);
	ASSERT_NE(t_bind(&view, 1, 1, frame, RW), 0);
	ASSERT_EQ(*t_page(&view, 1), 0);
}

/* Catches: mprotect(R), mprotect(RW) making a read-only binding writable (INV-VIEW-4, mem 13). */
TEST(mprotect__no_upgrade)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ | PROT_EXEC };
	unsigned int i;

	setup();
	for (i = 0; i < 4; i++) {
		int part = mprotect(view.base + 600 * PAGE, PAGE, prots[i]);
		int whole = mprotect(view.base, view.length, prots[i]);

		/* The same protection as now changes nothing and may be accepted. */
		if (i != 1) {
			ASSERT_NE(part, 0);
			ASSERT_NE(whole, 0);
		}
		still_fine();
	}
}

/* Catches: the same for windows: a read-only share, mapped in a window. */
TEST(mprotect__window)
{
	volatile uint64_t *mem;
	struct exo_cap cap;
	int other;

	setup();
	other = t_open();
	ASSERT_EQ(t_cap(fd, frame, RO | EXO_RIGHT_WINDOW, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	mem = t_window(other, frame, 1, PROT_READ);
	ASSERT_TRUE(mem);
	ASSERT_EQ(*mem, SECRET);
	ASSERT_NE(mprotect((void *)mem, PAGE, PROT_READ | PROT_WRITE), 0);
	ASSERT_EQ(t_store(mem, 1), SIGSEGV);
	/* A writable window on it shows nothing. */
	mem = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
	if (mem) {
		uint64_t value;

		ASSERT_EQ(t_load(mem, &value), SIGBUS);
		ASSERT_EQ(t_store(mem, 1), SIGBUS);
		ASSERT_NE(mprotect((void *)mem, PAGE, PROT_READ), 0);
	}
	ASSERT_EQ(t_peek(fd, frame), SECRET);
}

/* Catches: an advice that throws pages away, splits the mapping, or lets the kernel merge it. */
TEST(madvise__each)
{
	int advice;

	setup();
	for (advice = 0; advice < 110; advice++) {
		/* Poison a page on purpose (100, 101: memory errors) and nothing is fine any more. */
		if (advice == 100 || advice == 101)
			continue;
		/* On a part of it, and on all. */
		madvise(view.base + PAGE * 600, PAGE, advice);
		madvise(view.base, view.length, advice);
		ASSERT_EQ_FOR(view.slots[0], EXO_SLOT_BOUND | EXO_SLOT_WRITE | frame, "advice %d", advice);
		still_fine();
		ASSERT_EQ(t_rebind(&view, 1, 1, frame2, RW), 0);
		ASSERT_EQ(*t_page(&view, 1), 2);
		ASSERT_EQ(t_unbind(&view, 1, 1), 0);
	}
	ASSERT_EQ(t_free1(fd, frame), 0);
}

/* Catches: mlock and msync that wait for ever, fill the view, or make it unfreeable. */
TEST(mlock__harmless)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setup();
	setrlimit(RLIMIT_MEMLOCK, &all);
	mlock(view.base, PAGE);
	mlock(view.base, view.length);
	mlock2(view.base, view.length, MLOCK_ONFAULT);
	munlock(view.base, view.length);
	msync(view.base, view.length, MS_SYNC);
	if (!mlockall(MCL_CURRENT))
		munlockall();
	still_fine();
	ASSERT_EQ(t_free1(fd, frame), 0);
	ASSERT_EQ(t_unbind(&view, 0, 1024), 0);
}

/* ---- system calls and pins -------------------------------------------------------------------------------- */

static int pin(void *addr, int *pipe_fd)
{
	struct iovec iov = { addr, PAGE };
	int p[2], ret;

	ASSERT_EQ(pipe(p), 0);
	ret = (int)vmsplice(p[1], &iov, 1, 0);
	*pipe_fd = p[0];
	return ret < 0 ? -errno : ret;
}

/* Catches: a frame that is pinned through a view (INV-FRAME-6). */
TEST(pin__view_refused)
{
	uint32_t huge;
	int p;

	setup();
	ASSERT_EQ(pin(view.base, &p), -EFAULT);
	/* get_user_pages_fast() on one entry of 2 MiB: on 6.1 it looks at no special bit there. */
	huge = t_huge(fd);
	ASSERT_EQ(t_unbind(&view, 0, 1024), 0);
	ASSERT_EQ(t_bind(&view, 0, 512, huge, RW), 0);
	*t_page(&view, 5) = 1;
	ASSERT_EQ(pin((void *)t_page(&view, 5), &p), -EFAULT);
	ASSERT_EQ(pin((void *)t_page(&view, 0), &p), -EFAULT);
	/* A huge page that was pinned would be quarantined now. */
	ASSERT_EQ(t_free1(fd, huge), 0);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &huge, 1, NULL), 0);
}

/* Catches: a window that can't be pinned, which is what it is for. */
TEST(pin__window_works)
{
	char buf[PAGE];
	void *mem;
	int p;

	setup();
	mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	ASSERT_EQ(pin(mem, &p), PAGE);
	ASSERT_EQ(read(p, buf, PAGE), PAGE);
	ASSERT_EQ(*(uint64_t *)buf, SECRET);
}

/*
 * Copies by the kernel go through the page table: a bound page works, an unbound one is EFAULT, with
 * no upcall and no wait. Catches: a system call that reads another frame, or dies.
 */
TEST(syscall__copies)
{
	char buf[PAGE];
	int p[2];

	setup();
	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(write(p[1], view.base, PAGE), PAGE);
	ASSERT_EQ(read(p[0], buf, PAGE), PAGE);
	ASSERT_EQ(*(uint64_t *)buf, SECRET);
	ASSERT_EQ(write(p[1], view.base + PAGE, PAGE), -1);
	ASSERT_EQ(errno, EFAULT);
	ASSERT_EQ(write(p[1], buf, 8), 8);
	ASSERT_EQ(read(p[0], view.base + PAGE, 8), -1);
	ASSERT_EQ(errno, EFAULT);
	/* Read-only. */
	ASSERT_EQ(write(p[1], buf, 8), 8);
	ASSERT_EQ(read(p[0], view.base + 600 * PAGE, 8), -1);
	ASSERT_EQ(errno, EFAULT);
	still_fine();
}

/* Catches: exo's own arguments in a view that the operation changes. */
TEST(syscall__argument_in_view)
{
	struct exo_mem_op *op;
	struct exo_mem_batch arg = { .size = sizeof(arg), .count = 1 };
	int ret;

	setup();
	op = (void *)t_page(&view, 0);
	*op = (struct exo_mem_op){ 0, 1, 0, 0, 0 };
	arg.view = view.id;
	arg.ops = (uintptr_t)op;
	/* With a report it wants to write to what it has just unbound. */
	arg.flags = EXO_BATCH_REPORT;
	ret = t_ioctl(fd, EXO_MEM_UNBIND, &arg);
	ASSERT_EQ(ret, -EFAULT);
	ASSERT_EQ(arg.out_done, 1);
	ASSERT_EQ(view.slots[0], 0);
	/* And the argument struct itself. */
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
	memcpy((void *)(view.base + 64), &arg, sizeof(arg));
	*op = (struct exo_mem_op){ 0, 1, 0, 0, 0 };
	ret = t_ioctl(fd, EXO_MEM_UNBIND, view.base + 64);
	ASSERT_EQ(ret, -EFAULT);
	ASSERT_EQ(view.slots[0], 0);
}

/* ---- other processes' eyes ------------------------------------------------------------------------------------ */

/* Catches: /proc/PID/mem, ptrace and process_vm_readv that read frames, or worse, write (INV-FRAME-2). */
TEST(ptrace__peek_and_poke)
{
	struct test_sync ready, end;
	struct iovec local, remote;
	uint64_t *addrs = test_shared(PAGE), buf[8];
	char path[64];
	pid_t pid;
	int mem;

	test_sync_init(&ready);
	test_sync_init(&end);
	pid = test_fork();
	if (!pid) {
		setup();
		addrs[0] = (uintptr_t)t_page(&view, 0);
		addrs[1] = (uintptr_t)t_page(&view, 600);
		addrs[2] = (uintptr_t)t_page(&view, 1);
		test_sync_post(&ready);
		test_sync_wait(&end);
		still_fine();
		_exit(0);
	}
	test_sync_wait(&ready);
	local = (struct iovec){ buf, sizeof(buf) };
	remote = (struct iovec){ (void *)addrs[0], sizeof(buf) };
	ASSERT_EQ(process_vm_readv(pid, &local, 1, &remote, 1, 0), -1);
	ASSERT_EQ(errno, EFAULT);
	ASSERT_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), -1);
	ASSERT_EQ(errno, EFAULT);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	if (mem >= 0) {
		ASSERT_LT(pread(mem, buf, 8, (off_t)addrs[0]), 1);
		ASSERT_LT(pwrite(mem, buf, 8, (off_t)addrs[1]), 1);
		ASSERT_LT(pread(mem, buf, 8, (off_t)addrs[2]), 1);
	}
	ASSERT_EQ(ptrace(PTRACE_ATTACH, pid, 0, 0), 0);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	errno = 0;
	ptrace(PTRACE_PEEKDATA, pid, addrs[0], 0);
	ASSERT_TRUE(errno == EIO || errno == EFAULT);
	ASSERT_EQ(ptrace(PTRACE_POKEDATA, pid, addrs[0], 1), -1);
	ASSERT_EQ(ptrace(PTRACE_POKEDATA, pid, addrs[1], 1), -1);
	ASSERT_EQ(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	test_sync_post(&end);
	test_join(pid);
}

static bool file_has(const char *path, uint64_t value)
{
	static uint64_t buf[8192];
	int file = open(path, O_RDONLY);
	bool found = false;
	ssize_t len, i;

	if (file < 0)
		return false;
	while ((len = read(file, buf, sizeof(buf))) > 0)
		for (i = 0; i < len / 8; i++)
			found |= buf[i] == value;
	close(file);
	return found;
}

/* Never in a variable for long, so that only the frame has it at the end. */
static uint64_t secret(unsigned int i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ 0x55aa55aa12345678ULL;
}

/* Catches: frames in core dumps, and dumps that hang or oops on them. */
TEST(core__has_no_frames)
{
	char pattern[128] = "", path[256];
	volatile uint64_t *marker;
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int status, file;
	pid_t pid;

	file = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	if (file < 0 || read(file, pattern, sizeof(pattern) - 1) <= 0 || strncmp(pattern, "/tmp/core.%p", 12))
		SKIP("core_pattern is not /tmp/core.%%p");
	pid = test_fork();
	if (!pid) {
		unsigned int i;

		setup();
		for (i = 0; i < PAGE / 8; i++)
			t_page(&view, 0)[i] = secret(i);
		setrlimit(RLIMIT_CORE, &all);
		/* The control: what is in ordinary memory must be in the dump. */
		marker = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (i = 0; i < PAGE / 8; i++)
			marker[i] = ~secret(i);
		madvise(view.base, view.length, MADV_DODUMP);
		abort();
	}
	status = test_wait(pid);
	ASSERT_TRUE(WIFSIGNALED(status));
	snprintf(path, sizeof(path), "/tmp/core.%d", pid);
	if (!WCOREDUMP(status) || access(path, R_OK))
		SKIP("no core was written");
	ASSERT_TRUE(file_has(path, ~secret(37)));
	ASSERT_EQ(file_has(path, secret(37)), 0);
	unlink(path);
}

/* Catches: smaps, pagemap, clear_refs, numa_maps that trip over special entries. */
TEST(proc__walks)
{
	static const char *const files[] = { "maps", "smaps", "smaps_rollup", "numa_maps", "pagemap" };
	static char buf[65536];
	unsigned int i, bit;
	uint32_t huge;
	char path[64];
	int file;

	setup();
	huge = t_huge(fd);
	ASSERT_EQ(t_unbind(&view, 512, 512), 0);
	ASSERT_EQ(t_bind(&view, 512, 512, huge, RW), 0);
	*t_page(&view, 512) = 1;
	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		file = open(path, O_RDONLY);
		if (file < 0)
			continue;
		if (i == 4)
			lseek(file, (off_t)((uintptr_t)view.base / PAGE * 8), SEEK_SET);
		while (read(file, buf, sizeof(buf)) > 0 && i != 4)
			;
		close(file);
	}
	for (bit = 1; bit <= 5; bit++) {
		char text[2] = { (char)('0' + bit), 0 };

		t_write_file("/proc/self/clear_refs", text);
		ASSERT_EQ(*t_page(&view, 0), SECRET);
		*t_page(&view, 512) = bit;
		ASSERT_EQ(*t_page(&view, 512), bit);
	}
	ASSERT_EQ(t_unbind(&view, 0, 1024), 0);
	ASSERT_EQ(t_free1(fd, huge), 0);
}

/* Catches: pages moved away from under exo by compaction, migration, or a numa policy. */
TEST(migrate__stays)
{
	unsigned long nodes = 1;

	setup();
	syscall(SYS_mbind, view.base, view.length, 2 /* bind */, &nodes, 8, 3 /* strict, move */);
	syscall(SYS_migrate_pages, 0, 8, &nodes, &nodes);
	t_write_file("/proc/sys/vm/compact_memory", "1");
	still_fine();
	ASSERT_EQ(t_peek(fd, frame), SECRET);
}
