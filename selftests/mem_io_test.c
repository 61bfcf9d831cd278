// SPDX-License-Identifier: GPL-2.0
/*
 * A disk that moves data late, into or out of a frame that has left its owner meanwhile (INV-FRAME-4).
 *
 * The disk is throttled by QEMU: it takes a request, and touches the guest's memory half a second later,
 * as real DMA would. A plug (a large write from ordinary memory) fills its bucket, so that what is
 * submitted next waits. Then the frame is freed, taken by force, loses its capability or its
 * environment. While the data is under way the frame must be nobody's; a stranger who gets it
 * afterwards must find zeros and no late data, and nothing of the stranger's may reach the disk.
 *
 * The control was run by hand: with the check of the reference count left out of the module
 * (is_pinned() in module/mem/leave.c saying "no") the stranger has the frame at once, late data shows in it after each
 * read, and each write puts the stranger's secret on the disk.
 */
#include <liburing.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "harness.h"
#include "lib.h"

#define DISK_BPS 1048576U	/* what selftests/LIST allows the disk a second */
#define ON_DISK 0xdd
#define WRITTEN 0x77
#define SECRET 0x5e
#define TEST_AT 0
#define PLUG_AT (4 << 20)

enum kind { SYNC, URING, FIXED, KINDS };
enum leave { FREED, REVOKED, FORCED, DEAD, LEAVES };

static const char *const kind_names[] = { "O_DIRECT", "io_uring", "registered buffer" };
static const char *const leave_names[] = { "freed", "revoked and freed", "taken by force",
					   "environment dead" };

static int disk;
static char disk_inflight[64];

/* One transfer under way, and who has to do with its frame. */
struct flight {
	enum kind kind;
	bool write;
	int owner, user, thief, admin;	/* environments; user is the one whose window it is */
	uint32_t frame;
	char *mem;
	struct io_uring ring;
	pthread_t thread;
	bool over;		/* SYNC: set by the thread */
	int result;
};

/* $EXO_TEST_SLOW_DISK may be overwritten, and lets DISK_BPS through; our guest's second disk does. */
static void open_disk(void)
{
	const char *path = getenv("EXO_TEST_SLOW_DISK");
	struct stat st;

	if (!path && !access("/etc/vm/cmd", F_OK))
		path = "/dev/vdb";
	if (!path)
		SKIP("no throttled disk to overwrite: set EXO_TEST_SLOW_DISK");
	disk = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		SKIP("%s: %s", path, strerror(errno));
	ASSERT_EQ(fstat(disk, &st), 0);
	snprintf(disk_inflight, sizeof(disk_inflight), "/sys/dev/block/%u:%u/inflight", major(st.st_rdev),
		 minor(st.st_rdev));
}

static void *page_buffer(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	ASSERT_NE((long)mem, (long)MAP_FAILED);
	return mem;
}

static bool all(const void *mem, unsigned char byte)
{
	const unsigned char *p = mem;
	size_t i;

	for (i = 0; i < PAGE; i++)
		if (p[i] != byte)
			return false;
	return true;
}

/* How many requests the device has. */
static unsigned int in_flight(void)
{
	unsigned int reads = 0, writes = 0;
	FILE *file = fopen(disk_inflight, "re");

	if (!file || fscanf(file, "%u %u", &reads, &writes) != 2)
		FAIL("%s", disk_inflight);
	fclose(file);
	return reads + writes;
}

/* ---- the transfer ------------------------------------------------------------------------------- */

static void *sync_io(void *arg)
{
	struct flight *f = arg;
	ssize_t n = f->write ? pwrite(disk, f->mem, PAGE, TEST_AT) : pread(disk, f->mem, PAGE, TEST_AT);

	f->result = n < 0 ? -errno : (int)n;
	__atomic_store_n(&f->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_over(struct flight *f)
{
	struct io_uring_cqe *cqe;

	if (f->kind == SYNC)
		return __atomic_load_n(&f->over, __ATOMIC_ACQUIRE);
	return !io_uring_peek_cqe(&f->ring, &cqe);
}

static void submit(struct flight *f)
{
	uint64_t start = test_now_ns();
	struct io_uring_sqe *sqe;

	if (f->kind == SYNC) {
		ASSERT_EQ(pthread_create(&f->thread, NULL, sync_io, f), 0);
		while (!in_flight() && !is_over(f)) {
			ASSERT_EQ(test_overdue(start, 5000), false);
			test_sleep_ms(1);
		}
		return;
	}
	sqe = io_uring_get_sqe(&f->ring);
	if (!sqe)
		FAIL("the ring is full");
	if (f->kind == FIXED && f->write)
		io_uring_prep_write_fixed(sqe, disk, f->mem, PAGE, TEST_AT, 0);
	else if (f->kind == FIXED)
		io_uring_prep_read_fixed(sqe, disk, f->mem, PAGE, TEST_AT, 0);
	else if (f->write)
		io_uring_prep_write(sqe, disk, f->mem, PAGE, TEST_AT);
	else
		io_uring_prep_read(sqe, disk, f->mem, PAGE, TEST_AT);
	ASSERT_EQ(io_uring_submit(&f->ring), 1);
}

/* Waits for it; all of the page was moved, whatever became of the frame. */
static void finish(struct flight *f)
{
	struct io_uring_cqe *cqe;

	if (f->kind == SYNC) {
		ASSERT_EQ(pthread_join(f->thread, NULL), 0);
		ASSERT_EQ(f->result, PAGE);
		return;
	}
	ASSERT_EQ(io_uring_wait_cqe(&f->ring, &cqe), 0);
	ASSERT_EQ(cqe->res, PAGE);
	io_uring_cqe_seen(&f->ring, cqe);
}

/* ---- one case ------------------------------------------------------------------------------------ */

static void begin(struct flight *f, enum kind kind, bool write, enum leave how)
{
	struct exo_cap cap;
	struct iovec iov;

	*f = (struct flight){ .kind = kind, .write = write, .owner = t_open(), .thief = t_open(),
			      .admin = t_open(), .user = -1 };
	f->frame = t_frame(f->owner);
	if (how == REVOKED) {
		f->user = t_open();
		ASSERT_EQ(t_cap(f->owner, f->frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
		ASSERT_EQ(t_import(f->user, &cap, NULL, NULL), 0);
	}
	f->mem = t_window(f->user >= 0 ? f->user : f->owner, f->frame, 1, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(f->mem);
	memset(f->mem, write ? WRITTEN : 0, PAGE);
	if (kind == SYNC)
		return;
	ASSERT_EQ(io_uring_queue_init(8, &f->ring, 0), 0);
	iov = (struct iovec){ f->mem, PAGE };
	if (kind == FIXED)
		ASSERT_EQ(io_uring_register_buffers(&f->ring, &iov, 1), 0);
}

static void leave(struct flight *f, enum leave how)
{
	struct exo_env_status st;
	uint64_t start;
	uint32_t asked;

	switch (how) {
	case REVOKED:
		ASSERT_EQ(t_cap_revoke_own(f->owner, f->frame), 0);
		/* fall through */
	case FREED:
		ASSERT_EQ(t_free1(f->owner, f->frame), 0);
		break;
	case FORCED:
		t_status(f->owner, &st);
		ASSERT_EQ(t_revoke(f->admin, st.out_env, 1, 1, &asked), 0);
		ASSERT_EQ(asked, 1);
		start = test_now_ns();
		while (st.out_frames && !test_overdue(start, 5000)) {
			test_sleep_ms(1);
			t_status(f->owner, &st);
		}
		ASSERT_EQ(st.out_frames, 0);
		break;
	default:
		ASSERT_EQ(munmap(f->mem, PAGE), 0);
		close(f->owner);
		f->owner = -1;
	}
}

static void end(struct flight *f)
{
	if (f->kind != SYNC)
		io_uring_queue_exit(&f->ring);
	if (f->owner >= 0) {
		munmap(f->mem, PAGE);
		close(f->owner);
	}
	if (f->user >= 0)
		close(f->user);
	close(f->thief);
	close(f->admin);
}

/* The stranger wants just this frame: EBUSY until nothing moves data there any more. */
static void hand_on(struct flight *f)
{
	uint64_t start = test_now_ns();
	int got;

	for (;;) {
		got = t_alloc(f->thief, EXO_ALLOC_THESE, &f->frame, 1, NULL);
		if (!got)
			break;
		ASSERT_EQ(got, -EBUSY);
		ASSERT_EQ(test_overdue(start, 30000), false);
	}
}

/* Right after its owner has no frame any more. True: nobody else has it either, since data is under way there. */
static bool is_held(struct flight *f)
{
	int got = t_alloc(f->thief, EXO_ALLOC_THESE, &f->frame, 1, NULL);
	unsigned int i;

	if (got) {
		ASSERT_EQ(got, -EBUSY);
		return true;
	}
	/* Right only if the transfer was over before; its thread may not have said so yet. */
	for (i = 0; i < 50 * test_slow() && !is_over(f); i++)
		test_sleep_ms(1);
	ASSERT_TRUE(is_over(f));
	return false;
}

/*
 * Returns false if the disk was faster than this program, which then knows nothing. delay_ms: how long
 * the disk shall sit on the transfer.
 */
static bool case_once(enum kind kind, bool write, enum leave how, unsigned int delay_ms)
{
	size_t plug_len = (size_t)DISK_BPS / 1000 * delay_ms / PAGE * PAGE;
	char *plug = page_buffer(plug_len), *check = page_buffer(PAGE), *got;
	bool held, in_time;
	struct flight f;

	memset(check, write ? 0 : ON_DISK, PAGE);
	ASSERT_EQ(pwrite(disk, check, PAGE, TEST_AT), PAGE);
	begin(&f, kind, write, how);
	ASSERT_EQ(pwrite(disk, plug, plug_len, PLUG_AT), (ssize_t)plug_len);
	submit(&f);
	leave(&f, how);
	held = is_held(&f);
	in_time = held && !is_over(&f);
	if (kind == FIXED) {
		ASSERT_TRUE(held);
		/* The registration alone holds it, too. */
		finish(&f);
		ASSERT_EQ(t_alloc(f.thief, EXO_ALLOC_THESE, &f.frame, 1, NULL), -EBUSY);
		ASSERT_EQ(io_uring_unregister_buffers(&f.ring), 0);
	}
	if (held)
		hand_on(&f);
	got = t_window(f.thief, f.frame, 1, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(got);
	ASSERT_TRUE(all(got, 0));
	memset(got, SECRET, PAGE);
	if (kind != FIXED)
		finish(&f);
	test_sleep_ms(10);
	ASSERT_TRUE(all(got, SECRET));
	ASSERT_EQ(pread(disk, check, PAGE, TEST_AT), PAGE);
	ASSERT_TRUE(all(check, write ? WRITTEN : ON_DISK));
	munmap(got, PAGE);
	end(&f);
	munmap(plug, plug_len);
	munmap(check, PAGE);
	return in_time;
}

static void cases(enum kind kind, bool write)
{
	unsigned int how, delay, tries;

	open_disk();
	for (how = 0; how < LEAVES; how++) {
		delay = 300 * test_slow();
		/* A busy host may keep this machine from running for longer than that. */
		for (tries = 0; !case_once(kind, write, how, delay); tries++, delay *= 2)
			if (tries == 3)
				FAIL("%s, %s: the transfer was always over too soon", kind_names[kind],
				     leave_names[how]);
	}
}

/* Asking for frames back leaves the guaranteed minimum alone: there is none while these tests run. */
static void without_minimum(enum kind kind, bool write)
{
	int admin;
	struct exo_quota old, none = { .flags = EXO_QUOTA_MIN, .uid = getuid() };

	t_need_root();
	admin = t_open();
	old = t_quota(admin, getuid());
	t_quota_set(admin, &none);
	cases(kind, write);
	none.min = old.min;
	t_quota_set(admin, &none);
}

/* Can a window be a registered buffer here? 6.1's io_uring takes no mapping of a file. */
static void need_registered_buffers(void)
{
	int fd = t_open(), ret;
	struct iovec iov = { t_window(fd, t_frame(fd), 1, PROT_READ | PROT_WRITE), PAGE };
	struct io_uring ring;

	ASSERT_EQ(io_uring_queue_init(2, &ring, 0), 0);
	ret = io_uring_register_buffers(&ring, &iov, 1);
	io_uring_queue_exit(&ring);
	close(fd);
	if (ret == -EOPNOTSUPP)
		SKIP("this kernel registers no buffers in mappings of files");
	ASSERT_EQ(ret, 0);
}

/* Catches: late data of a read in a stranger's frame. */
TEST(late__direct_read)
{
	without_minimum(SYNC, false);
}

/* Catches: a stranger's data on the disk. */
TEST(late__direct_write)
{
	without_minimum(SYNC, true);
}

TEST(late__uring_read)
{
	without_minimum(URING, false);
}

TEST(late__uring_write)
{
	without_minimum(URING, true);
}

TEST(late__registered_read)
{
	need_registered_buffers();
	without_minimum(FIXED, false);
}

TEST(late__registered_write)
{
	need_registered_buffers();
	without_minimum(FIXED, true);
}
