// SPDX-License-Identifier: GPL-2.0
/*
 * Data I/O of rings that poll (IORING_SETUP_IOPOLL), on a queue that is polled (null_blk) and on one that isn't
 * (loop): all comes back, right, once, and what nobody polls for keeps nobody.
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "null_blk.h"
#include "uring.h"
#include "xn_lib.h"

#define BLOCKS 128U
#define NULLB "exopoll"

struct disk {
	char path[32];
	int fd;
	uint32_t number;
	uint32_t root;
	uint64_t at;
	uint64_t block;
	uint32_t binding;
	uint32_t frames[BLOCKS];
	struct xt_unit unit;
};

/* One with a queue that is polled: there, nothing is complete before somebody looks. */
static const struct null_blk_value polled_queue[] = {
	{ "size", "32" }, { "blocksize", "512" }, { "poll_queues", "1" }, { NULL, NULL },
};

static void bind_all(struct disk *d)
{
	ASSERT_EQ(xt_bind(d->fd, d->number, d->root, d->at, d->block, BLOCKS, RW, &d->binding), 0);
}

static void disk_on(struct disk *d, bool polled)
{
	struct exo_xn_attach attach;

	memset(d, 0, sizeof(*d));
	d->fd = xt_admin();
	t_need_feature(d->fd, EXO_FEATURE_URING | EXO_FEATURE_XN, "raw disks and io_uring");
	if (polled)
		null_blk_on(NULLB, polled_queue, d->path);
	else
		xt_device("poll", XT_BLOCKS, d->path);
	ASSERT_EQ(xt_format(d->fd, d->path, EXO_XN_FORMAT_FORCE), 0);
	ASSERT_EQ(xt_attach(d->fd, d->path, &attach), 0);
	d->number = attach.out_disk;
	d->unit = (struct xt_unit){ .blocks = 1 };
	d->block = xt_data_root(d->fd, d->number, &d->unit, BLOCKS, &d->root, &d->at);
	bind_all(d);
	t_alloc_any(d->fd, d->frames, BLOCKS);
}

static void disk_off(struct disk *d, bool polled)
{
	xt_detach(d->fd, d->number, EXO_XN_DETACH_FORCE);
	close(d->fd);
	if (polled)
		null_blk_off(NULLB);
}

static void fill(struct disk *d, uint64_t value)
{
	t_fill_each(d->fd, d->frames, BLOCKS, value);
}

static void expect(struct disk *d, uint32_t from, uint32_t count, uint64_t value, const char *when)
{
	uint32_t i;

	for (i = from; i < from + count; i++)
		ASSERT_EQ_FOR(t_peek(d->fd, d->frames[i]), value ? value + i : 0, "%s: block %u of %s", when, i,
			      d->path);
}

/* A ring ------------------------------------------------------------------------------------------- */

static void ring_open(struct io_uring *ring)
{
	ASSERT_EQ(io_uring_queue_init(BLOCKS, ring, IORING_SETUP_IOPOLL), 0);
}

static struct exo_xn_io io_of(struct disk *d, uint32_t kind, uint32_t offset, uint32_t count)
{
	struct exo_xn_io io = { .size = sizeof(io), .kind = kind, .binding = d->binding, .offset = offset,
				.count = count };

	if (count == 1)
		io.frames = d->frames[offset];
	else
		io.frames = (uintptr_t)(d->frames + offset);
	return io;
}

static int one(struct io_uring *ring, int fd, uint32_t cmd, const void *arg)
{
	t_prep_cmd(ring, fd, cmd, arg);
	ASSERT_EQ(io_uring_submit(ring), 1);
	return t_reap(ring);
}

/* All blocks, so many at a time in one request, all requests at once. */
static void move(struct disk *d, struct io_uring *ring, uint32_t kind, uint32_t flags, uint32_t run)
{
	struct exo_xn_io ios[BLOCKS];
	uint32_t i, n = BLOCKS / run;

	for (i = 0; i < n; i++) {
		ios[i] = io_of(d, kind, i * run, run);
		ios[i].flags = flags;
		t_prep_cmd(ring, d->fd, EXO_XN_IO, &ios[i]);
	}
	ASSERT_EQ(io_uring_submit(ring), n);
	for (i = 0; i < n; i++)
		ASSERT_EQ(t_reap(ring), 0);
}

/* Submit what is prepared, and don't poll, as io_uring_submit() would. */
static void submit_only(struct io_uring *ring)
{
	unsigned int from = *ring->sq.ktail, to = ring->sq.sqe_tail, i;

	for (i = from; i != to; i++)
		ring->sq.array[i & *ring->sq.kring_mask] = i & *ring->sq.kring_mask;
	io_uring_smp_store_release(ring->sq.ktail, to);
	ring->sq.sqe_head = to;
	ASSERT_EQ(syscall(SYS_io_uring_enter, ring->ring_fd, to - from, 0, 0, NULL, 0), to - from);
}

static void read_unpolled(struct disk *d, struct io_uring *ring, struct exo_xn_io *ios, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		ios[i] = io_of(d, EXO_XN_IO_READ, i, 1);
		t_prep_cmd(ring, d->fd, EXO_XN_IO, &ios[i]);
	}
	submit_only(ring);
}

static unsigned int inflight(const struct disk *d)
{
	unsigned int reads = 0, writes = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/inflight", d->path + strlen("/dev/"));
	file = fopen(path, "re");
	if (!file || fscanf(file, "%u %u", &reads, &writes) != 2)
		FAIL("%s", path);
	fclose(file);
	return reads + writes;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Tests -------------------------------------------------------------------------------------------- */

static void data(bool polled)
{
	struct io_uring ring;
	struct exo_xn_io io;
	struct disk d;

	disk_on(&d, polled);
	ring_open(&ring);
	fill(&d, 7000);
	move(&d, &ring, EXO_XN_IO_READ, 0, 1);
	expect(&d, 0, BLOCKS, 0, "unwritten");
	fill(&d, 100);
	move(&d, &ring, EXO_XN_IO_WRITE, EXO_XN_IO_DURABLE, 1);
	fill(&d, 7000);
	move(&d, &ring, EXO_XN_IO_READ, 0, 1);
	expect(&d, 0, BLOCKS, 100, "by ones");
	fill(&d, 300);
	move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	fill(&d, 7000);
	move(&d, &ring, EXO_XN_IO_READ, 0, 16);
	expect(&d, 0, BLOCKS, 300, "by runs");
	fill(&d, 500);
	move(&d, &ring, EXO_XN_IO_WRITE, EXO_XN_IO_DURABLE, 1);
	fill(&d, 7000);
	ASSERT_EQ(xt_io(d.fd, EXO_XN_IO_READ, d.binding, 0, d.frames, BLOCKS, 0), 0);
	expect(&d, 0, BLOCKS, 500, "durable again");
	io_uring_queue_exit(&ring);

	/* Holes between what was written: a bio for each of these. */
	ASSERT_EQ(xt_shrink(d.fd, d.number, d.root, d.at, &d.unit, EXO_XN_APPLY_COMMIT), 0);
	d.block = xt_free_run(d.fd, d.number, BLOCKS);
	ASSERT_EQ(xt_grow(d.fd, d.number, d.root, d.at, &d.unit, d.block, BLOCKS, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	bind_all(&d);
	ring_open(&ring);
	fill(&d, 900);
	io = io_of(&d, EXO_XN_IO_WRITE, 0, 1);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	io = io_of(&d, EXO_XN_IO_WRITE, 3, 2);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	io = io_of(&d, EXO_XN_IO_WRITE, 7, 1);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	fill(&d, 7000);
	io = io_of(&d, EXO_XN_IO_READ, 0, 16);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	expect(&d, 0, 1, 900, "with holes");
	expect(&d, 1, 2, 0, "a hole");
	expect(&d, 3, 2, 900, "with holes");
	expect(&d, 5, 2, 0, "a hole");
	expect(&d, 7, 1, 900, "with holes");
	expect(&d, 8, 8, 0, "a hole");
	io_uring_queue_exit(&ring);
	disk_off(&d, polled);
}

/* Each catches: a command that is never complete, twice, or before its bytes are there. */
TEST(data__polled) { data(true); }
TEST(data__interrupts) { data(false); }

static void kinds(bool polled)
{
	struct exo_info info = { .size = sizeof(info) };
	struct io_uring ring;
	struct exo_xn_io io;
	struct disk d;
	int ret;

	disk_on(&d, polled);
	ring_open(&ring);
	fill(&d, 1000);
	move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	io = (struct exo_xn_io){ .size = sizeof(io), .kind = EXO_XN_IO_FLUSH, .binding = d.binding };
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	io = (struct exo_xn_io){ .size = sizeof(io), .kind = EXO_XN_IO_ZERO, .binding = d.binding, .offset = 4,
				 .count = 8, .flags = EXO_XN_IO_DURABLE };
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), 0);
	move(&d, &ring, EXO_XN_IO_READ, 0, 16);
	expect(&d, 0, 4, 1000, "not zeroed");
	expect(&d, 4, 8, 0, "zeroed");
	io.kind = EXO_XN_IO_DISCARD;
	io.flags = 0;
	ret = one(&ring, d.fd, EXO_XN_IO, &io);
	ASSERT_TRUE(!ret || ret == -EOPNOTSUPP);

	/* The same checks as elsewhere. */
	io = io_of(&d, EXO_XN_IO_READ, 0, 1);
	io.binding += 1000;
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), -ENOENT);
	io = io_of(&d, EXO_XN_IO_READ, BLOCKS - 1, 1);
	io.offset++;
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), -EINVAL);
	io = io_of(&d, EXO_XN_IO_READ, 0, 1);
	io.frames = UINT32_MAX - 1;
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), -EINVAL);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, (void *)8), -EFAULT);
	/* What isn't data isn't for such a ring. */
	ASSERT_EQ(one(&ring, d.fd, EXO_INFO, &info), -EOPNOTSUPP);
	ASSERT_EQ(xt_unbind(d.fd, d.binding), 0);
	io = io_of(&d, EXO_XN_IO_READ, 0, 1);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &io), -ENOENT);
	io_uring_queue_exit(&ring);
	disk_off(&d, polled);
}

/* Each catches: a kind, or an error, that such a ring never hears of; a check that polling goes around (INV-REQ-4). */
TEST(kinds__polled) { kinds(true); }
TEST(kinds__interrupts) { kinds(false); }

/* Catches: I/O that isn't polled, and I/O that stays under way for ever because its owner doesn't (INV-XN-26). */
TEST(nobody_polls__swept)
{
	struct exo_xn_io ios[16];
	struct io_uring ring;
	uint32_t i, left, tries;
	uint64_t start;
	struct disk d;

	disk_on(&d, true);
	ring_open(&ring);
	fill(&d, 1000);
	move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	/* A sweep that was due for the writes may meet the reads. */
	for (tries = 0; tries < 5; tries++) {
		fill(&d, 7000);
		read_unpolled(&d, &ring, ios, 16);
		left = inflight(&d);
		if (left == 16)
			break;
		for (i = 0; i < 16; i++)
			ASSERT_EQ(t_reap(&ring), 0);
	}
	ASSERT_EQ(left, 16);
	start = test_now_ns();
	while ((left = inflight(&d)) && !test_overdue(start, 5000))
		usleep(10000);
	ASSERT_EQ(left, 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(t_reap(&ring), 0);
	expect(&d, 0, 16, 1000, "swept");
	io_uring_queue_exit(&ring);
	disk_off(&d, true);
}

/* Catches: an unbind or a detach that waits until a program polls, or that loses what was under way (INV-XN-18). */
TEST(nobody_polls__drained)
{
	struct exo_xn_io ios[16];
	struct io_uring ring;
	struct disk d;
	uint64_t start;
	uint32_t i, n, slow = 0;

	disk_on(&d, true);
	ring_open(&ring);
	fill(&d, 1000);
	move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	for (n = 0; n < 5; n++) {
		read_unpolled(&d, &ring, ios, 16);
		start = now_ms();
		ASSERT_EQ(xt_unbind(d.fd, d.binding), 0);
		slow += now_ms() - start >= 700;
		for (i = 0; i < 16; i++)
			ASSERT_EQ(t_reap(&ring), 0);
		bind_all(&d);
	}
	/* The sweep comes once a second: it would end at most the first of them in time. */
	ASSERT_LE(slow, 2);
	for (n = slow = 0; n < 5; n++) {
		read_unpolled(&d, &ring, ios, 16);
		start = now_ms();
		ASSERT_EQ(xt_shrink(d.fd, d.number, d.root, d.at, &d.unit, EXO_XN_APPLY_COMMIT), 0);
		slow += now_ms() - start >= 700;
		for (i = 0; i < 16; i++)
			ASSERT_EQ(t_reap(&ring), 0);
		ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &ios[0]), -ESTALE);
		ASSERT_EQ(xt_unbind(d.fd, d.binding), 0);
		d.block = xt_free_run(d.fd, d.number, BLOCKS);
		ASSERT_EQ(xt_grow(d.fd, d.number, d.root, d.at, &d.unit, d.block, BLOCKS, EXO_XN_DATA,
				  EXO_XN_APPLY_COMMIT), 0);
		bind_all(&d);
		move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	}
	ASSERT_LE(slow, 2);
	read_unpolled(&d, &ring, ios, 16);
	ASSERT_EQ(xt_detach(d.fd, d.number, EXO_XN_DETACH_FORCE), 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(t_reap(&ring), 0);
	ASSERT_EQ(one(&ring, d.fd, EXO_XN_IO, &ios[0]), -ESTALE);
	io_uring_queue_exit(&ring);
	close(d.fd);
	null_blk_off(NULLB);
}

/* Catches: frames and bindings that stay pinned when the ring, or its program, goes with I/O under way (INV-XN-15). */
TEST(ring__closed_meanwhile)
{
	struct exo_xn_io ios[BLOCKS];
	struct io_uring ring;
	struct disk d;
	uint32_t i, done;
	uint64_t start;
	int status;
	pid_t pid;

	disk_on(&d, true);
	ring_open(&ring);
	fill(&d, 1000);
	move(&d, &ring, EXO_XN_IO_WRITE, 0, 16);
	io_uring_queue_exit(&ring);
	for (i = 0; i < 3; i++) {
		ring_open(&ring);
		read_unpolled(&d, &ring, ios, 32);
		io_uring_queue_exit(&ring);
		pid = test_fork();
		if (!pid) {
			ring_open(&ring);
			read_unpolled(&d, &ring, ios, 32);
			_exit(0);
		}
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_EQ(status, 0);
	}
	start = test_now_ns();
	while (inflight(&d) && !test_overdue(start, 5000))
		usleep(10000);
	ASSERT_EQ(inflight(&d), 0);
	expect(&d, 0, 32, 1000, "closed");
	ASSERT_EQ(xt_unbind(d.fd, d.binding), 0);
	ASSERT_EQ(t_free(d.fd, d.frames, BLOCKS, &done), 0);
	ASSERT_EQ(xt_detach(d.fd, d.number, 0), 0);
	close(d.fd);
	null_blk_off(NULLB);
}

/* Catches: a ring that waits for a place in the queue, which only its own polling would give. */
TEST(queue__full)
{
	struct exo_xn_io ios[4][BLOCKS];
	struct io_uring rings[4];
	struct disk d;
	uint32_t i, r;

	disk_on(&d, true);
	for (r = 0; r < 4; r++)
		ring_open(&rings[r]);
	fill(&d, 1000);
	move(&d, &rings[0], EXO_XN_IO_WRITE, 0, 16);
	fill(&d, 7000);
	for (r = 0; r < 4; r++)
		read_unpolled(&d, &rings[r], ios[r], BLOCKS);
	for (r = 4; r--;)
		for (i = 0; i < BLOCKS; i++)
			ASSERT_EQ(t_reap(&rings[r]), 0);
	expect(&d, 0, BLOCKS, 1000, "more than the queue has place for");
	for (r = 0; r < 4; r++)
		io_uring_queue_exit(&rings[r]);
	disk_off(&d, true);
}

struct poller {
	struct disk *d;
	uint32_t from;
	uint32_t rounds;
};

static void *poll_rounds(void *arg)
{
	struct poller *p = arg;
	struct exo_xn_io ios[16];
	struct io_uring ring;
	uint32_t i, n;

	ring_open(&ring);
	for (n = 0; n < p->rounds; n++) {
		for (i = 0; i < 16; i++) {
			ios[i] = io_of(p->d, n % 2 ? EXO_XN_IO_READ : EXO_XN_IO_WRITE, p->from + i, 1);
			ios[i].flags = n % 8 ? 0 : EXO_XN_IO_DURABLE;
			t_prep_cmd(&ring, p->d->fd, EXO_XN_IO, &ios[i]);
		}
		ASSERT_EQ(io_uring_submit(&ring), 16);
		for (i = 0; i < 16; i++)
			ASSERT_EQ(t_reap(&ring), 0);
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

/* Catches: a completion that another ring's poller finds, and that is lost, or told to the wrong one. */
TEST_LONG(rings__same_queue, 120)
{
	struct poller pollers[4];
	pthread_t threads[4];
	struct disk d;
	uint32_t i;

	disk_on(&d, true);
	fill(&d, 1000);
	for (i = 0; i < 4; i++) {
		pollers[i] = (struct poller){ &d, i * 16, test_core_rounds(120, 6) };
		pthread_create(&threads[i], NULL, poll_rounds, &pollers[i]);
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	fill(&d, 7000);
	ASSERT_EQ(xt_io(d.fd, EXO_XN_IO_READ, d.binding, 0, d.frames, 64, 0), 0);
	expect(&d, 0, 64, 1000, "by four rings");
	disk_off(&d, true);
}
