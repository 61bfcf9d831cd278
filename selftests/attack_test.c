// SPDX-License-Identifier: GPL-2.0
/*
 * What a hostile member of group exo tries: to reach a frame that isn't his any more, to make the
 * kernel complain, to use up what is everybody's. Each test is an attack that once worked.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <linux/fuse.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 2048;
uint32_t test_pool_huge = 2;

#define MINE 0x111ULL
#define SECRET 0x5ec2e7ULL

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		SKIP("needs two CPUs");
}

/* ---- a frame that was given up, through a TLB that has it still ----------------------------- */

/*
 * The spy keeps one page's translation in the TLB of CPU 1, on which nothing else runs, and says
 * what it reads there. A fault ends it.
 */
static struct {
	volatile uint64_t *page;
	volatile uint64_t reads, seen;
	volatile bool stop, over, secret;
	pthread_t thread;
} spy;

static __thread sigjmp_buf spy_escape;

static void spy_fault(int sig)
{
	siglongjmp(spy_escape, sig);
}

static void *spy_run(void *arg)
{
	pin_to(1);
	if (!sigsetjmp(spy_escape, 1)) {
		while (!spy.stop) {
			spy.seen = *spy.page;
			if (spy.seen == SECRET)
				spy.secret = true;
			spy.reads++;
		}
	}
	spy.over = true;
	return NULL;
}

static void spy_start(volatile uint64_t *page)
{
	struct sigaction action = { .sa_handler = spy_fault };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	memset(&spy, 0, sizeof(spy));
	spy.page = page;
	ASSERT_EQ(pthread_create(&spy.thread, NULL, spy_run, NULL), 0);
	while (spy.reads < 1000)
		sched_yield();
	ASSERT_EQ(spy.seen, MINE);
}

static void spy_end(void)
{
	spy.stop = true;
	pthread_join(spy.thread, NULL);
	test_note("the spy read %llu times, at last %#llx", (unsigned long long)spy.reads,
		  (unsigned long long)spy.seen);
	ASSERT_EQ(spy.secret, false);
}

/*
 * Bob, in a process of his own, is ready to take a frame and to write to it: its number and his
 * answer are in shared memory, since a sleep gives the spy's TLB time to be flushed for another
 * reason.
 */
static struct {
	volatile uint32_t frame;
	volatile bool ready, go, done, got, over;
} *bob;
static pid_t bob_pid;

static void bob_run(void *arg)
{
	uint32_t frame = bob->frame;
	uint64_t *window;
	int fd;

	pin_to(0);
	fd = t_open();
	window = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	bob->ready = true;
	while (!bob->go)
		usleep(100);
	bob->got = !t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, NULL);
	if (bob->got)
		*window = SECRET;
	bob->done = true;
	while (!bob->over)
		test_sleep_ms(1);
}

static void bob_start(uint32_t frame)
{
	bob = test_shared(sizeof(*bob));
	bob->frame = frame;
	bob_pid = test_spawn(bob_run, NULL);
	while (!bob->ready)
		test_sleep_ms(1);
}

/* Unless the frame is quarantined still. */
static void bob_takes(void)
{
	bob->go = true;
	while (!bob->done)
		usleep(100);
	test_sleep_ms(20);
	test_note("bob %s the frame", bob->got ? "has" : "doesn't get");
}

static void bob_end(void)
{
	bob->over = true;
	test_join(bob_pid);
}

/*
 * A batch of a lazy view flushes in the middle, for the sake of a frame's further binding. What it
 * takes away after that is not flushed.
 */
TEST(stale__flush_inside_lazy_batch)
{
	struct exo_mem_op ops[] = { { .page = 2, .count = 1 }, { .page = 0, .count = 1 } };
	uint32_t frame, twice;
	struct view view;
	int fd;

	pin_to(0);
	fd = t_open();
	frame = t_frame(fd);
	bob_start(frame);
	twice = t_frame(fd);
	t_fill(fd, frame, MINE);
	t_view(fd, 16, EXO_VIEW_LAZY, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
	ASSERT_EQ(t_bind(&view, 1, 1, twice, RW), 0);
	ASSERT_EQ(t_bind(&view, 2, 1, twice, RW), 0);
	*t_page(&view, 2) = 1;
	spy_start(t_page(&view, 0));

	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, ops, 2, 0, NULL), 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
	bob_takes();
	spy_end();
	bob_end();
}

/* ---- complaints of the kernel --------------------------------------------------------------- */

/* Refused, but page tables and 2 MiB entries were moved away and back. */
static void try_mremap(const struct view *view)
{
	void *room = mmap(NULL, view->length + 2 * HUGE_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t to = ((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);

	ASSERT_NE(room, MAP_FAILED);
	ASSERT_EQ(mremap(view->base, view->length, view->length, MREMAP_MAYMOVE | MREMAP_FIXED,
			 (void *)to), MAP_FAILED);
	munmap(room, view->length + 2 * HUGE_PAGE);
}

/* A 2 MiB entry that the module has forgotten. */
TEST(mremap__then_part_of_huge)
{
	struct view view;
	uint64_t value;
	uint8_t bits[8];
	uint32_t head;
	int fd;

	fd = t_open();
	t_need_feature(fd, EXO_FEATURE_HUGE, "2 MiB frames");
	head = t_huge(fd);
	t_view(fd, 512, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 512, head, RW), 0);
	*t_page(&view, 5) = 7;
	try_mremap(&view);
	ASSERT_EQ(t_protect(&view, 4, 2, RO), 0);
	ASSERT_EQ(t_store(t_page(&view, 5), 8), SIGBUS);
	ASSERT_EQ(t_load(t_page(&view, 5), &value), 0);
	ASSERT_EQ(value, 7);
	try_mremap(&view);
	ASSERT_EQ(t_harvest(&view, 0, 8, EXO_HARVEST_CLEAR_DIRTY, bits, NULL, NULL), 0);
	t_view_end(&view);
	t_free1(fd, head);
}

/* A page table that the module has forgotten, and a 2 MiB frame in its place. */
TEST(mremap__then_huge_over_page_table)
{
	uint32_t frame, head;
	struct view view;
	uint64_t value;
	int fd;

	fd = t_open();
	t_need_feature(fd, EXO_FEATURE_HUGE, "2 MiB frames");
	head = t_huge(fd);
	frame = t_frame(fd);
	t_view(fd, 512, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
	*t_page(&view, 0) = 1;
	ASSERT_EQ(t_unbind(&view, 0, 1), 0);
	try_mremap(&view);
	ASSERT_EQ(t_bind(&view, 0, 512, head, RW), 0);
	ASSERT_EQ(t_store(t_page(&view, 3), 9), 0);
	ASSERT_EQ(t_load(t_page(&view, 3), &value), 0);
	ASSERT_EQ(value, 9);
	t_view_end(&view);
}

/* ---- what is everybody's -------------------------------------------------------------------- */

/* A run that is longer than the pool: the room in the log is set aside only when it is found. */
TEST(exhaust__contig_of_more_than_there_is)
{
	static uint32_t many[65536];
	uint64_t start = test_now_ns();
	int fd = t_open();
	uint32_t frames[4];

	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_CONTIG, frames, ~0U, NULL), -EINVAL);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_CONTIG, many, 65536, NULL), -ENOSPC);
	ASSERT_EQ(test_overdue(start, 1000), false);
}

#define STORM_ENVS 400
#define STORM_WATCHES 20000

/*
 * One event to many environments whose eventfd wakes very many: not under a spinlock. The kernel's
 * own watchdog, set to two seconds, is the judge.
 */
TEST_LONG(storm__eventfds_of_importers, 100)
{
	struct rlimit limit = { 80000, 80000 };
	struct exo_env_eventfd efd = { .size = sizeof(efd) };
	struct epoll_event event = { .events = EPOLLIN };
	int i, fd, other, epoll, wake, dup_fd;
	uint64_t start;
	struct exo_cap cap;
	uint32_t frame;

	t_need_root();
	if (test_slow() > 1)
		SKIP("epoll itself takes minutes for so many watches");
	if (t_write_file("/proc/sys/kernel/watchdog_thresh", "1"))
		SKIP("no watchdog");
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = t_open();
	frame = t_frame(fd);
	ASSERT_EQ(t_cap(fd, frame, RW, &cap), 0);
	wake = eventfd(0, EFD_NONBLOCK);
	epoll = epoll_create1(0);
	for (i = 0; i < STORM_WATCHES; i++) {
		dup_fd = dup(wake);
		ASSERT_GE(dup_fd, 0);
		ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, dup_fd, &event), 0);
	}
	efd.fd = wake;
	for (i = 0; i < STORM_ENVS; i++) {
		other = t_open();
		ASSERT_EQ(t_ioctl(other, EXO_ENV_EVENTFD, &efd), 0);
		ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	}
	start = test_now_ns();
	ASSERT_EQ(t_free1(fd, frame), 0);
	test_note("FREE took %llu ms", (unsigned long long)(test_now_ns() - start) / 1000000);
	t_write_file("/proc/sys/kernel/watchdog_thresh", "10");
}

/* ---- rights --------------------------------------------------------------------------------- */

/* A 2 MiB frame that is bound for reading: the entry that a load puts in lets nobody write. */
TEST(rights__huge_read_only)
{
	struct view view;
	uint64_t value;
	uint32_t head;
	int fd;

	fd = t_open();
	t_need_feature(fd, EXO_FEATURE_HUGE, "2 MiB frames");
	head = t_huge(fd);
	t_view(fd, 512, 0, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 512, head, RO), 0);
	ASSERT_EQ(t_load(t_page(&view, 7), &value), 0);
	ASSERT_EQ(t_store(t_page(&view, 7), 1), SIGBUS);
	ASSERT_EQ(t_protect(&view, 0, 512, RW), 0);
	ASSERT_EQ(t_load(t_page(&view, 7), &value), 0);
	ASSERT_EQ(t_store(t_page(&view, 7), 1), 0);
	ASSERT_EQ(t_protect(&view, 0, 512, RO), 0);
	ASSERT_EQ(t_store(t_page(&view, 7), 2), SIGBUS);
	ASSERT_EQ(t_load(t_page(&view, 7), &value), 0);
	ASSERT_EQ(value, 1);
	t_view_end(&view);
}

/* A thread whose rseq area is gone: the fault does not look for it for ever. */
TEST(upcall__rseq_area_is_gone)
{
	struct exo_mem_upcall upcall = { .size = sizeof(upcall) };
	pid_t pid = test_fork();

	if (!pid) {
		struct view view;
		char *area;
		int fd;

		/* glibc's own one makes way. */
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
		area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (syscall(SYS_rseq, area, 32, 0, RSEQ_SIG))
			SKIP("the rseq area can't be replaced: %s", strerror(errno));
		fd = t_open();
		t_view(fd, 16, 0, 0, &view);
		upcall.handler = (uintptr_t)abort;
		upcall.stack = (uintptr_t)view.base;
		ASSERT_EQ(t_ioctl(fd, EXO_MEM_UPCALL, &upcall), 0);
		munmap(area, PAGE);
		*t_page(&view, 0) = 1;
		_exit(0);
	}
	test_join_killed(pid, SIGSEGV);
}

/* ---- a munmap that never ends --------------------------------------------------------------- */

/*
 * A file server that answers everything but writes: a mapping of its file that was written to is
 * not closed before it has answered, and nor is what comes after it in the same munmap().
 */
static int fuse_open(const char *dir)
{
	char options[100];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		SKIP("/dev/fuse: %s", strerror(errno));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	mkdir(dir, 0700);
	if (mount("attack", dir, "fuse", MS_NOSUID | MS_NODEV, options))
		SKIP("no FUSE: %s", strerror(errno));
	return fd;
}

static void fuse_attr(struct fuse_attr *attr, uint64_t node)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = node;
	attr->mode = node == 1 ? S_IFDIR | 0700 : S_IFREG | 0600;
	attr->nlink = 1;
	attr->size = PAGE;
	attr->blksize = PAGE;
}

static void fuse_serve(int fd)
{
	static char buf[1 << 18] __attribute__((aligned(8)));
	static char answer[2 * PAGE] __attribute__((aligned(8)));
	struct fuse_in_header *in = (void *)buf;
	struct fuse_out_header *out = (void *)answer;
	void *body = out + 1;

	while (read(fd, buf, sizeof(buf)) >= (ssize_t)sizeof(*in)) {
		memset(answer, 0, sizeof(answer));
		out->unique = in->unique;
		out->len = sizeof(*out);
		switch (in->opcode) {
		case FUSE_INIT: {
			struct fuse_init_out *init = body;

			init->major = FUSE_KERNEL_VERSION;
			init->minor = FUSE_KERNEL_MINOR_VERSION;
			init->flags = FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES;
			init->max_write = PAGE;
			out->len += sizeof(*init);
			break;
		}
		case FUSE_LOOKUP: {
			struct fuse_entry_out *entry = body;

			entry->nodeid = 2;
			entry->attr_valid = 1000;
			entry->entry_valid = 1000;
			fuse_attr(&entry->attr, 2);
			out->len += sizeof(*entry);
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out *attr = body;

			attr->attr_valid = 1000;
			fuse_attr(&attr->attr, in->nodeid);
			out->len += sizeof(*attr);
			break;
		}
		case FUSE_OPEN:
			out->len += sizeof(struct fuse_open_out);
			break;
		case FUSE_READ:
			out->len += PAGE;
			break;
		case FUSE_WRITE:
		case FUSE_SETATTR:
			/* Some other day. */
			continue;
		default:
			out->error = -ENOSYS;
		}
		if (write(fd, answer, out->len) != (ssize_t)out->len)
			break;
	}
}

/* No guaranteed minimum. */
static void no_minimum(void)
{
	int fd = t_open();
	struct exo_quota quota = { .size = sizeof(quota), .flags = EXO_QUOTA_MIN };

	t_quota_set(fd, &quota);
	close(fd);
}

static void *endless_munmap(void *arg)
{
	struct view *view = arg;

	munmap(view->base - PAGE, PAGE + view->length);
	return NULL;
}


/*
 * Stale translations of a lazy view whose munmap() never comes to an end: who gives up the frame
 * doesn't wait for it for ever, and nor does the worker that takes frames from everybody.
 */
TEST_LONG(hang__munmap_behind_fuse, 60)
{
	const char *dir = "/tmp/attack.fuse";
	int fuse, file, fd, other, server;
	struct exo_mem_op op = { .page = 0, .count = 1 };
	uint32_t frame, theirs[256], asked, left, i;
	struct exo_env_status status;
	pthread_t thread;
	struct view view;
	char *mem;

	t_need_root();
	fuse = fuse_open(dir);
	server = test_fork();
	if (!server) {
		fuse_serve(fuse);
		_exit(0);
	}
	close(fuse);
	file = open("/tmp/attack.fuse/f", O_RDWR);
	ASSERT_GE(file, 0);

	fd = t_open();
	frame = t_frame(fd);
	ASSERT_EQ(t_view_create(fd, 16, EXO_VIEW_LAZY, 0, &view), 0);
	ASSERT_EQ(t_view_map(&view, NULL, 0), 0);
	mem = mmap(view.base - PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
	ASSERT_NE(mem, MAP_FAILED);
	*mem = 1;
	ASSERT_EQ(t_bind(&view, 0, 1, frame, RW), 0);
	*t_page(&view, 0) = 1;
	ASSERT_EQ(t_batch(&view, EXO_MEM_UNBIND, &op, 1, 0, NULL), 0);
	ASSERT_EQ(pthread_create(&thread, NULL, endless_munmap, &view), 0);
	test_sleep_ms(500);

	/* By force: the worker. It must still be able to take some of another environment. */
	other = t_open();
	t_alloc_any(other, theirs, 256);
	no_minimum();
	t_status(fd, &status);
	ASSERT_EQ(t_revoke(fd, status.out_env, 1, 1, &asked), 0);
	test_note("asked the one for %u", asked);
	test_sleep_ms(200);
	t_status(other, &status);
	ASSERT_EQ(t_revoke(fd, status.out_env, 8, 1, &asked), 0);
	ASSERT_EQ(asked, 8);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(t_log(other, NULL, 0, &left), 0);
		if (left)
			break;
		test_sleep_ms(100);
	}
	test_note("the other environment's log has %u entries after %u ms", left, i * 100);
	kill(server, SIGKILL);
	test_wait(server);
	umount2(dir, MNT_DETACH);
	pthread_join(thread, NULL);
	ASSERT_GT(left, 0);
}
