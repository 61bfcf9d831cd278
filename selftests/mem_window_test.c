// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: rights, I/O, and frames that go away while I/O or a pin holds them (INV-FRAME-4). A pipe
 * that nobody reads is a pin for as long as one likes; null_blk with a completion timer holds real
 * block I/O in flight.
 */
#include <liburing.h>
#include <signal.h>
#include <sys/uio.h>

#include "harness.h"
#include "lib.h"
#include "null_blk.h"

uint32_t test_pool_huge = 2;

/* Wait until frame is free, or a while has passed. */
static bool becomes_free(int fd, uint32_t frame)
{
	const struct exo_table *table = t_table(fd);
	uint64_t start = test_now_ns();

	while (table->frame[frame].state != EXO_FRAME_FREE && !test_overdue(start, 5000))
		test_sleep_ms(1);
	return table->frame[frame].state == EXO_FRAME_FREE;
}

/* ---- mapping -------------------------------------------------------------------------------------------- */

/* Catches: the wrong frame in a window; frames of others in a range. */
TEST(map__shows_frames)
{
	int fd = t_open(), other = t_open();
	volatile uint64_t *mem;
	uint32_t frames[32], lo, hi, i;
	struct exo_info info;
	uint64_t value;

	t_info(fd, &info);
	t_alloc_any(fd, frames, 32);
	t_fill_each(fd, frames, 32, 100);
	lo = hi = frames[0];
	for (i = 1; i < 32; i++) {
		lo = frames[i] < lo ? frames[i] : lo;
		hi = frames[i] > hi ? frames[i] : hi;
	}
	/* One window over a range with holes: own frames are there, the others are SIGBUS. */
	mem = t_window(fd, lo, hi - lo + 1, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(mem);
	for (i = 0; i < 32; i++)
		ASSERT_EQ(mem[(frames[i] - lo) * 512], 100 + i);
	ASSERT_EQ(t_free1(fd, frames[7]), 0);
	ASSERT_EQ(t_load(mem + (frames[7] - lo) * 512, &value), SIGBUS);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frames[7], 1, NULL), 0);
	ASSERT_EQ(t_load(mem + (frames[7] - lo) * 512, &value), SIGBUS);
	/* It comes back with the frame. */
	ASSERT_EQ(t_free1(other, frames[7]), 0);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frames[7], 1, NULL), 0);
	ASSERT_EQ(mem[(frames[7] - lo) * 512], 0);
}

/* Catches: windows beyond the table, in another environment's bucket; private ones, executable ones. */
TEST(map__bad)
{
	struct exo_info info;
	unsigned int i;
	int fd = t_open();
	uint32_t frame = t_frame(fd);
	off_t at = (off_t)(EXO_MMAP_WINDOW + frame * PAGE);

	t_info(fd, &info);
	ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, at), (long)MAP_FAILED);
	ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, at), (long)MAP_FAILED);
	ASSERT_EQ((long)t_window(fd, info.out_frames, 1, PROT_READ), 0);
	ASSERT_EQ((long)t_window(fd, info.out_frames - 1, 2, PROT_READ), 0);
	for (i = 42; i < 56; i++)
		ASSERT_EQ((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
				     at + (off_t)(1ULL << i)), (long)MAP_FAILED);
}

/* Catches: a window on a stranger's frame, or one without the right to it (INV-FRAME-2, INV-FRAME-6). */
TEST(rights__each)
{
	int fd = t_open(), rights;
	uint32_t frame = t_frame(fd);

	t_fill(fd, frame, 7);
	for (rights = 0; rights < 8; rights++) {
		int other = t_open();
		volatile uint64_t *ro, *rw;
		struct exo_cap cap;
		uint64_t value;
		bool may_read, may_write;

		if (rights) {
			ASSERT_EQ(t_cap(fd, frame, (uint32_t)rights, &cap), 0);
			t_import(other, &cap, NULL, NULL);
		}
		may_read = (rights & RO) && (rights & EXO_RIGHT_WINDOW);
		may_write = may_read && (rights & EXO_RIGHT_WRITE);
		ro = t_window(other, frame, 1, PROT_READ);
		rw = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
		ASSERT_TRUE(ro && rw);
		ASSERT_EQ_FOR(t_load(ro, &value), may_read ? 0 : SIGBUS, "rights %#x", rights);
		ASSERT_EQ_FOR(t_load(rw, &value), may_write ? 0 : SIGBUS, "rights %#x", rights);
		ASSERT_EQ_FOR(t_store(rw, 7), may_write ? 0 : SIGBUS, "rights %#x", rights);
		close(other);
	}
}

/* Catches: MAP_POPULATE that fails, loops, or fills in what is not allowed. */
TEST(map__populate)
{
	int fd = t_open();
	uint32_t frame = t_huge(fd);
	uint64_t *mem = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			     (off_t)(EXO_MMAP_WINDOW + frame * PAGE));
	unsigned char vec[512];
	uint32_t i;

	ASSERT_NE((long)mem, (long)MAP_FAILED);
	for (i = 0; i < 512; i++) {
		ASSERT_EQ(mem[i * 512], 0);
		mem[i * 512] = i;
	}
	ASSERT_EQ(mincore(mem, HUGE_PAGE, vec) && errno == ENOMEM, 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
}

/* Catches: a window in a child that nobody revokes from. */
TEST(fork__not_copied)
{
	int fd = t_open();
	volatile uint64_t *mem = t_window(fd, t_frame(fd), 1, PROT_READ);
	uint64_t value;
	pid_t pid;

	ASSERT_EQ(*mem, 0);
	pid = test_fork();
	if (!pid) {
		ASSERT_EQ(t_load(mem, &value), SIGSEGV);
		_exit(0);
	}
	test_join(pid);
}

/* Catches: a window that survives the end of the right to it. */
TEST(revoke__unmaps)
{
	int fd = t_open(), other = t_open();
	uint32_t frame = t_frame(fd);
	volatile uint64_t *mem, *own;
	struct exo_cap cap;
	uint64_t value;

	own = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	ASSERT_EQ(t_cap(fd, frame, EXO_RIGHTS_ALL, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	mem = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
	*mem = 5;
	ASSERT_EQ(*own, 5);
	ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
	ASSERT_EQ(t_load(mem, &value), SIGBUS);
	ASSERT_EQ(*own, 5);
	/* Imported again, it is back; dropped, it is gone. */
	ASSERT_EQ(t_cap(fd, frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	ASSERT_EQ(*mem, 5);
	ASSERT_EQ(t_drop(other, frame), 0);
	ASSERT_EQ(t_load(mem, &value), SIGBUS);
}

/* ---- I/O ------------------------------------------------------------------------------------------------- */

/* A disk that may be overwritten: $EXO_TEST_DISK, or the guest's second one. */
static int open_disk(int flags)
{
	const char *path = getenv("EXO_TEST_DISK");
	int fd;

	/* A machine whose disk is called vda keeps it: only in our guest /init is there with no root on it. */
	if (!path && !access("/etc/vm/cmd", F_OK))
		path = "/dev/vda";
	if (!path)
		SKIP("no disk to overwrite: set EXO_TEST_DISK");
	fd = open(path, flags | O_DIRECT);
	if (fd < 0)
		SKIP("%s: %s", path, strerror(errno));
	return fd;
}

/* Catches: O_DIRECT that fails on windows or moves other data than it should. */
TEST(direct__read_write)
{
	int fd = t_open(), disk = open_disk(O_RDWR), i;
	uint32_t frames[16];
	struct view view;

	t_alloc_any(fd, frames, 16);
	t_view(fd, 16, 0, 0, &view);
	for (i = 0; i < 16; i++) {
		char *mem = t_window(fd, frames[i], 1, PROT_READ | PROT_WRITE);

		memset(mem, 'a' + i, PAGE);
		ASSERT_EQ(pwrite(disk, mem, PAGE, i * (off_t)PAGE), PAGE);
		memset(mem, 0, PAGE);
		ASSERT_EQ(pread(disk, mem, PAGE, i * (off_t)PAGE), PAGE);
		/* The database's way: read through the window, use it in the view. */
		ASSERT_EQ(t_bind(&view, (uint32_t)i, 1, frames[i], RO), 0);
		ASSERT_EQ(view.base[i * PAGE], 'a' + i);
		ASSERT_EQ(view.base[i * PAGE + PAGE - 1], 'a' + i);
		/* And not through the view. */
		ASSERT_EQ(pwrite(disk, view.base + i * PAGE, PAGE, 0), -1);
		ASSERT_EQ(errno, EFAULT);
	}
}

static struct io_uring ring;

static int uring_io(int disk, void *mem, bool write, uint64_t at, int index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	int ret;

	if (!sqe)
		FAIL("the ring is full");
	if (write)
		io_uring_prep_write_fixed(sqe, disk, mem, PAGE, at, index);
	else
		io_uring_prep_read_fixed(sqe, disk, mem, PAGE, at, index);
	ASSERT_EQ(io_uring_submit(&ring), 1);
	ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

/*
 * Catches: registered buffers (a long-term pin) that are refused, or that keep reaching a frame after
 * it was given to somebody else (INV-FRAME-4).
 */
TEST(uring__registered_buffer)
{
	int fd = t_open(), other = t_open(), disk = open_disk(O_RDWR), ret;
	uint32_t frame = t_frame(fd);
	struct exo_env_status st;
	const struct exo_table *table = t_table(fd);
	struct iovec iov;
	char *mem;

	mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	iov = (struct iovec){ mem, PAGE };
	ASSERT_EQ(io_uring_queue_init(8, &ring, 0), 0);
	ret = io_uring_register_buffers(&ring, &iov, 1);
	if (ret == -EOPNOTSUPP)
		SKIP("this kernel registers no buffers in mappings of files");
	ASSERT_EQ(ret, 0);
	memset(mem, 'r', PAGE);
	ASSERT_EQ(uring_io(disk, mem, true, 0, 0), PAGE);
	memset(mem, 0, PAGE);
	ASSERT_EQ(uring_io(disk, mem, false, 0, 0), PAGE);
	ASSERT_EQ(mem[100], 'r');

	/* Given up while it is pinned: charged, taken, nobody's. */
	ASSERT_EQ(t_free1(fd, frame), 0);
	t_status(fd, &st);
	ASSERT_EQ(st.out_frames, 0);
	ASSERT_EQ(st.out_quarantined, 1);
	ASSERT_EQ(table->frame[frame].state, EXO_FRAME_TAKEN);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), -EBUSY);
	ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frame, 1, NULL), -EBUSY);
	/* I/O still goes to it, and hurts nobody. */
	ASSERT_EQ(uring_io(disk, mem, false, 0, 0), PAGE);
	ASSERT_EQ(io_uring_unregister_buffers(&ring), 0);
	ASSERT_TRUE(becomes_free(fd, frame));
	t_status(fd, &st);
	ASSERT_EQ(st.out_quarantined, 0);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), 0);
	ASSERT_EQ(t_peek(other, frame), 0);
}

/* ---- pins ------------------------------------------------------------------------------------------------ */

/* A pin that lasts until the pipe is read or closed. */
static void pin(void *mem, size_t len, int p[2])
{
	struct iovec iov = { mem, len };

	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(vmsplice(p[1], &iov, 1, 0), len);
}

static void unpin(int p[2])
{
	close(p[0]);
	close(p[1]);
}

/* Catches: a reference count that is read before the unmap, or not at all (INV-FRAME-4). */
TEST(pin__quarantine)
{
	int fd = t_open(), p[2];
	const struct exo_table *table = t_table(fd);
	uint64_t nr_free;
	struct exo_frame_info row;
	struct exo_env_status st;
	struct exo_quota quota;
	uint32_t frames[8], i;
	uint64_t before;
	char *mem;

	t_alloc_any(fd, frames, 8);
	before = t_quota(fd, getuid()).out_frames;
	nr_free = table->free;
	mem = t_window(fd, frames[3], 1, PROT_READ | PROT_WRITE);
	strcpy(mem, "in the pipe");
	pin(mem, PAGE, p);
	ASSERT_EQ(t_free(fd, frames, 8, NULL), 0);
	ASSERT_EQ(table->free, nr_free + 7);
	t_status(fd, &st);
	ASSERT_EQ(st.out_frames, 0);
	ASSERT_EQ(st.out_quarantined, 1);
	quota = t_quota(fd, getuid());
	ASSERT_EQ(quota.out_frames, before - 7);
	ASSERT_EQ(t_query(fd, frames[3], 1, &row), 1);
	ASSERT_EQ(row.hold & (EXO_HOLD_OWNER | EXO_HOLD_QUARANTINE), EXO_HOLD_QUARANTINE);
	/* It stays so while the pin stays. */
	test_sleep_ms(500);
	ASSERT_EQ(table->frame[frames[3]].state, EXO_FRAME_TAKEN);
	for (i = 0; i < 8; i++)
		if (i != 3)
			ASSERT_EQ(table->frame[frames[i]].state, EXO_FRAME_FREE);
	{
		char buf[PAGE];

		/* What the pipe holds is what was put in. */
		ASSERT_EQ(read(p[0], buf, PAGE), PAGE);
		ASSERT_EQ(strcmp(buf, "in the pipe"), 0);
	}
	unpin(p);
	ASSERT_TRUE(becomes_free(fd, frames[3]));
	ASSERT_EQ(t_quota(fd, getuid()).out_frames, before - 8);
}

/* Catches: an environment's death that forgets what is pinned, or hands it on (INV-ENV-5). */
TEST(pin__outlives_environment)
{
	int watch = t_open(), fd = t_open(), p[2];
	const struct exo_table *table = t_table(watch);
	uint32_t frame = t_frame(fd), before = t_quota(watch, getuid()).out_frames;
	char buf[PAGE];
	char *mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);

	memset(mem, 'z', PAGE);
	pin(mem, PAGE, p);
	munmap(mem, PAGE);
	close(fd);
	test_sleep_ms(300);
	ASSERT_EQ(table->frame[frame].state, EXO_FRAME_TAKEN);
	ASSERT_EQ(t_quota(watch, getuid()).out_frames, before);
	ASSERT_EQ(t_alloc(watch, EXO_ALLOC_THESE, &frame, 1, NULL), -EBUSY);
	ASSERT_EQ(read(p[0], buf, PAGE), PAGE);
	ASSERT_EQ(buf[77], 'z');
	unpin(p);
	ASSERT_TRUE(becomes_free(watch, frame));
	ASSERT_EQ(t_quota(watch, getuid()).out_frames, before - 1);
}

/* Catches: a pin through one page of 2 MiB that isn't noticed at its head. */
TEST(pin__huge)
{
	int fd = t_open(), other = t_open(), p[2];
	const struct exo_table *table = t_table(fd);
	uint32_t frame = t_huge(fd);
	char *mem = t_window(fd, frame, 512, PROT_READ | PROT_WRITE);

	pin(mem + 300 * PAGE, PAGE, p);
	ASSERT_EQ(t_free1(fd, frame), 0);
	ASSERT_EQ(table->frame[frame].state, EXO_FRAME_TAKEN);
	ASSERT_EQ(table->frame[frame + 511].state, EXO_FRAME_TAKEN);
	ASSERT_EQ(t_alloc(other, EXO_ALLOC_THESE, &frame, 1, NULL), -EBUSY);
	unpin(p);
	ASSERT_TRUE(becomes_free(fd, frame));
	ASSERT_EQ(table->frame[frame + 511].state, EXO_FRAME_FREE);
}

/* Catches: an importer's pin that its owner doesn't see; a revocation that hands the frame on (INV-FRAME-6). */
TEST(pin__by_importer)
{
	int fd = t_open(), other = t_open(), p[2];
	const struct exo_table *table = t_table(fd);
	uint32_t frame = t_frame(fd);
	struct exo_cap cap;
	struct exo_env_status st;
	char *mem;

	ASSERT_EQ(t_cap(fd, frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	mem = t_window(other, frame, 1, PROT_READ | PROT_WRITE);
	pin(mem, PAGE, p);
	/* A revocation: the frame stays its owner's, pinned or not. */
	ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
	t_fill(fd, frame, 1);
	ASSERT_EQ(t_free1(fd, frame), 0);
	t_status(fd, &st);
	ASSERT_EQ(st.out_quarantined, 1);
	ASSERT_EQ(table->frame[frame].state, EXO_FRAME_TAKEN);
	unpin(p);
	ASSERT_TRUE(becomes_free(fd, frame));
}

/* Catches: forced revocation that gives a pinned frame away (INV-FRAME-4). */
TEST(pin__taken_by_force)
{
	int admin = t_open(), fd = t_open(), p[2];
	const struct exo_table *table = t_table(admin);
	struct exo_quota quota, old;
	uint32_t frame = t_frame(fd), asked;
	struct exo_env_status st;
	uint64_t start;
	char *mem;

	t_need_root();
	old = t_quota(admin, getuid());
	quota = (struct exo_quota){ .flags = EXO_QUOTA_MIN, .uid = getuid() };
	t_quota_set(admin, &quota);
	mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	pin(mem, PAGE, p);
	t_status(fd, &st);
	ASSERT_EQ(t_revoke(admin, st.out_env, 1, 50, &asked), 0);
	ASSERT_EQ(asked, 1);
	/* The count of taken frames moves before that of owned ones does. */
	start = test_now_ns();
	while ((!st.out_taken || st.out_frames) && !test_overdue(start, 3000)) {
		test_sleep_ms(1);
		t_status(fd, &st);
	}
	ASSERT_EQ(st.out_taken, 1);
	ASSERT_EQ(st.out_frames, 0);
	ASSERT_EQ(table->frame[frame].state, EXO_FRAME_TAKEN);
	ASSERT_EQ(t_alloc(admin, EXO_ALLOC_THESE, &frame, 1, NULL), -EBUSY);
	unpin(p);
	ASSERT_TRUE(becomes_free(admin, frame));
	quota.min = old.min;
	t_quota_set(admin, &quota);
}

/* ---- block I/O in flight ------------------------------------------------------------------------------------ */

/* Requests of this null_blk take half a second. */
static const struct null_blk_value slow[] = {
	{ "size", "8" }, { "irqmode", "2" }, { "completion_nsec", "500000000" }, { "blocksize", "4096" },
	{ NULL, NULL },
};

/*
 * A read from disk is in flight into a frame. The frame is freed, or its capability is revoked, or its
 * environment dies; somebody else asks for it at once, again and again. Catches: data of the read in
 * the hands of the new owner (INV-FRAME-4). False: it was over too soon, which says nothing.
 */
static bool in_flight(const char *dev, int how)
{
	int fd = t_open(), reader = t_open(), thief = t_open(), disk, got = -1;
	bool going;
	uint32_t frame = t_frame(fd);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct exo_cap cap;
	uint64_t *mem, start;

	disk = open(dev, O_RDWR | O_DIRECT);
	ASSERT_GE(disk, 0);
	/* What is on the disk must never be seen by the thief. */
	mem = t_window(fd, frame, 1, PROT_READ | PROT_WRITE);
	memset(mem, 0xdd, PAGE);
	ASSERT_EQ(pwrite(disk, mem, PAGE, 0), PAGE);
	memset(mem, 0, PAGE);
	if (how == 1) {
		ASSERT_EQ(t_cap(fd, frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
		ASSERT_EQ(t_import(reader, &cap, NULL, NULL), 0);
		mem = t_window(reader, frame, 1, PROT_READ | PROT_WRITE);
	}
	ASSERT_EQ(io_uring_queue_init(8, &ring, 0), 0);
	sqe = io_uring_get_sqe(&ring);
	if (!sqe)
		FAIL("the ring is full");
	io_uring_prep_read(sqe, disk, mem, PAGE, 0);
	start = test_now_ns();
	ASSERT_EQ(io_uring_submit(&ring), 1);
	switch (how) {
	case 0:
		ASSERT_EQ(t_free1(fd, frame), 0);
		break;
	case 1:
		ASSERT_EQ(t_cap_revoke_own(fd, frame), 0);
		ASSERT_EQ(t_free1(fd, frame), 0);
		break;
	case 2:
		ASSERT_EQ(munmap(mem, PAGE), 0);
		close(fd);
		break;
	}
	/* Still in flight: the control, without which this test says nothing. */
	going = io_uring_peek_cqe(&ring, &cqe) == -EAGAIN;
	while (!test_overdue(start, 8000)) {
		got = t_alloc(thief, EXO_ALLOC_THESE, &frame, 1, NULL);
		if (!got)
			break;
		ASSERT_EQ(got, -EBUSY);
	}
	ASSERT_EQ(got, 0);
	ASSERT_EQ(io_uring_peek_cqe(&ring, &cqe), 0);
	ASSERT_EQ(cqe->res, PAGE);
	ASSERT_EQ(t_peek(thief, frame), 0);
	test_sleep_ms(200);
	ASSERT_EQ(t_peek(thief, frame), 0);
	io_uring_queue_exit(&ring);
	close(thief);
	close(reader);
	if (how != 2)
		close(fd);
	close(disk);
	return going;
}

TEST(inflight__freed_revoked_dead)
{
	char dev[32];
	int how, tries;

	null_blk_on("exotest", slow, dev);
	for (how = 0; how < 3; how++)
		for (tries = 0; !in_flight(dev, how); tries++)
			ASSERT_LT(tries, 5);
	null_blk_off("exotest");
}
