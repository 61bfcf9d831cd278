// SPDX-License-Identifier: GPL-2.0
/*
 * Bindings of raw disks: whose data I/O is, through ioctl and io_uring, what ends it, what is left of it after a crash.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "uring.h"
#include "xn_setup.h"

/* Data ------------------------------------------------------------------------------------------- */

/* Catches: I/O of other blocks, frames or bytes than was asked for; blocks that show what was there before (INV-XN-7). */
TEST(data__io)
{
	uint32_t frames[16], i, binding, disk;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, 300, &block, &binding);
	t_alloc_any(fd, frames, 16);
	t_fill_each(fd, frames, 16, 1000);
	/* Every second one is written: the others read as zeros, in between. */
	for (i = 0; i < 16; i += 2)
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, i, &frames[i], 1, 0), 0);
	for (i = 0; i < 16; i++)
		t_fill(fd, frames[i], 7);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 16, 0), 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), i % 2 ? 0 : 1000 + i, "block %u", i);
	t_fill_each(fd, frames, 16, 2000);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 284, frames, 16, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 284, frames, 16, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_ZERO, binding, 286, NULL, 3, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_FLUSH, binding, 0, NULL, 0, 0), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 284, frames, 16, 0), 0);
	for (i = 0; i < 16; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), i >= 2 && i < 5 ? 0 : 2000 + i, "block %u", i);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 1, 0), -ENOENT);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: I/O beyond a binding, with frames that aren't one's own, with rights that it hasn't got. */
TEST(data__refused)
{
	uint32_t frames[2], other, binding, ro, disk, none = 0xfffffff0;
	int fd = t_open(), stranger = t_open();
	uint64_t block;

	disk = setup_data(fd, 4, &block, &binding);
	t_alloc_any(fd, frames, 2);
	other = t_frame(stranger);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RO, &ro), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, ro, 0, frames, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_ZERO, ro, 0, NULL, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_DISCARD, ro, 0, NULL, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 3, frames, 2, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, ~0U, frames, 2, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, frames, 0, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, frames, 1, EXO_XN_IO_DURABLE), -EINVAL);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, &other, 1, 0), -EACCES);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, ro, 0, &none, 1, 0), -EINVAL);
	ASSERT_EQ(xt_io(fd, 9, ro, 0, frames, 1, 0), -EINVAL);
	ASSERT_EQ(xt_io(stranger, EXO_XN_IO_READ, ro, 0, &other, 1, 0), -ENOENT);
	frames[1] = other;
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 2, 0), -EACCES);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 5, RO, &ro), -ENOENT);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block - 1, 1, RO, &ro), -ENOENT);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, block, block, 1, RO, &ro), -ENOENT);
	close(stranger);
	end(fd, disk);
}

/* Catches: a binding that outlives what it was made for (INV-XN-18). */
TEST(data__stale)
{
	uint32_t frame, binding, again, disk;
	struct xt_unit before;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, 4, &block, &binding);
	frame = t_frame(fd);
	t_fill(fd, frame, 55);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
	/* The unit changes, and still owns them. */
	before = unit;
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block + 4, 1, EXO_XN_DATA, 0),
		  0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), -EBUSY);
	/* Now they are freed. */
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, 0), 0);
	ASSERT_EQ(memcmp(&unit.nr, &before.nr, 4), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, 0), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, &frame, 1, 0), -ESTALE);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RW, &again), -ENOENT);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_WAITING);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	ASSERT_EQ(xt_map(fd, disk, block), EXO_XN_FREE);
	/* Whoever gets them next sees zeros. */
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 4, EXO_XN_DATA, 0), 0);
	ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 4, RW, &again), 0);
	t_fill(fd, frame, 77);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, again, 0, &frame, 1, 0), 0);
	ASSERT_EQ(t_peek(fd, frame), 0);
	end(fd, disk);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, again, 0, &frame, 1, 0), -ESTALE);
	ASSERT_EQ(xt_unbind(fd, again), 0);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
}

#define ZEROED 6000U

struct zeroer {
	int fd, ret;
	uint32_t binding;
	atomic_bool begun;
};

static void *zero_all(void *arg)
{
	struct zeroer *z = arg;

	z->begun = true;
	z->ret = xt_io(z->fd, EXO_XN_IO_ZERO, z->binding, 0, NULL, ZEROED, 0);
	return NULL;
}

/*
 * Catches: who frees blocks, and has the disk's lock, waits until all is done that was asked of them, however much that is: then all
 * other users of the disk wait as long as one likes (INV-XN-18).
 */
TEST(data__zero_ends_where_blocks_are_freed)
{
	struct zeroer z = { .fd = t_open() };
	uint32_t frames[EXO_XN_IO_BLOCKS], disk, round, i, n, cut = 0;
	uint64_t block;
	pthread_t thread;

	disk = setup_data(z.fd, ZEROED, &block, &z.binding);
	t_alloc_any(z.fd, frames, EXO_XN_IO_BLOCKS);
	for (round = 0; round < 20 && !cut; round++) {
		for (i = 0; i < ZEROED; i += n) {
			n = ZEROED - i < EXO_XN_IO_BLOCKS ? ZEROED - i : EXO_XN_IO_BLOCKS;
			ASSERT_EQ(xt_io(z.fd, EXO_XN_IO_WRITE, z.binding, i, frames, n, 0), 0);
		}
		z.begun = false;
		ASSERT_EQ(pthread_create(&thread, NULL, zero_all, &z), 0);
		while (!z.begun)
			;
		usleep(200 << round % 5);
		ASSERT_EQ(xt_shrink(z.fd, disk, root.out_root, root.out_block, &unit, EXO_XN_APPLY_COMMIT), 0);
		pthread_join(thread, NULL);
		if (z.ret)
			ASSERT_EQ(z.ret, -ESTALE);
		cut += !!z.ret;
		ASSERT_EQ(xt_unbind(z.fd, z.binding), 0);
		ASSERT_EQ(xt_grow(z.fd, disk, root.out_root, root.out_block, &unit, block, ZEROED, EXO_XN_DATA, 0), 0);
		ASSERT_EQ(xt_bind(z.fd, disk, root.out_root, root.out_block, block, ZEROED, RW, &z.binding), 0);
	}
	ASSERT_GT(cut, 0);
	end(z.fd, disk);
}

#define MANY 240U
#define CROWD 10000U

/* How long it takes to free so many blocks, one by one in one call, while others are bound; the best of some. */
static uint64_t time_frees(int fd, uint32_t disk, uint64_t block)
{
	static struct exo_xn_step steps[MANY + 1];
	uint64_t start, took, best = UINT64_MAX;
	uint32_t round, i, kind;

	for (round = 0; round < 8; round++) {
		kind = round % 2 ? EXO_XN_FREE_STEP : EXO_XN_ALLOC;
		for (i = 0; i < MANY; i++) {
			unit.e[1 + i] = (struct xt_entry){ block + i, 1, EXO_XN_DATA };
			steps[i] = (struct exo_xn_step){ .kind = kind, .parent = root.out_block,
							 .block = block + i, .count = 1, .slot = EXO_XN_DATA };
		}
		steps[MANY] = (struct exo_xn_step){ .kind = EXO_XN_WRITE, .parent = root.out_block,
						    .length = sizeof(unit), .bytes = (uintptr_t)&unit };
		unit.nr = kind == EXO_XN_ALLOC ? 1 + MANY : 1;
		start = test_now_ns();
		ASSERT_EQ(xt_apply(fd, disk, root.out_root, steps, MANY + 1, 0, NULL), 0);
		took = test_now_ns() - start;
		if (kind == EXO_XN_FREE_STEP && took < best)
			best = took;
		ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	}
	return best;
}

/* Catches: a free that looks at all bindings of the disk, with its lock held. */
TEST(data__bindings_of_others_cost_no_free)
{
	uint32_t binding, disk, i;
	uint64_t block, alone, crowd = UINT64_MAX;
	int fd = t_open();

	disk = setup_data(fd, MANY + 1, &block, &binding);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_shrink(fd, disk, root.out_root, root.out_block, &unit, EXO_XN_APPLY_COMMIT), 0);
	ASSERT_EQ(xt_grow(fd, disk, root.out_root, root.out_block, &unit, block, 1, EXO_XN_DATA, 0), 0);
	alone = time_frees(fd, disk, block + 1);
	for (i = 0; i < CROWD; i++)
		ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, 1, EXO_RIGHT_READ, &binding), 0);
	/* Whatever else ran meanwhile: what looks at all of them does it each time. */
	for (i = 0; i < 5 && crowd >= 4 * alone + 2000000; i++)
		crowd = time_frees(fd, disk, block + 1);
	printf("# %u blocks are freed in %llu us, beside %u bindings in %llu us\n", MANY,
	       (unsigned long long)alone / 1000, CROWD, (unsigned long long)crowd / 1000);
	ASSERT_LT(crowd, 4 * alone + 2000000);
	end(fd, disk);
}

/* Catches: acl asked at the bind only, though the unit changed (INV-XN-18). */
TEST(data__acl_again)
{
	uint32_t frame, binding, disk;
	int fd = t_open();
	uint64_t block;
	pid_t pid;

	disk = setup_data(fd, 4, &block, &binding);
	pid = test_fork();
	if (!pid) {
		struct exo_xn_root_create own;
		struct xt_unit mine = unit_new(0);
		struct exo_xn_step step = { .kind = EXO_XN_WRITE, .length = sizeof(mine),
					    .bytes = (uintptr_t)&mine };

		t_become(ALICE);
		fd = t_open();
		frame = t_frame(fd);
		block = xt_free_run(fd, disk, 2);
		ASSERT_EQ(xt_root(fd, disk, xt_template(fd, disk), "alice", &mine, 0, &own), 0);
		block = xt_free_run(fd, disk, 2);
		ASSERT_EQ(xt_grow(fd, disk, own.out_root, own.out_block, &mine, block, 2, EXO_XN_DATA,
				  0), 0);
		ASSERT_EQ(xt_bind(fd, disk, own.out_root, own.out_block, block, 2, RW, &binding), 0);
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), 0);
		mine.flags = XT_CLOSED;
		step.parent = own.out_block;
		ASSERT_EQ(xt_apply(fd, disk, own.out_root, &step, 1, 0, NULL), 0);
		ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, &frame, 1, 0), -EACCES);
		_exit(0);
	}
	test_join(pid);
	end(fd, disk);
}

/* io_uring --------------------------------------------------------------------------------------- */

#define DEPTH 32

static void run_batch(struct io_uring *ring, int fd, struct exo_xn_io *ios, int want)
{
	struct io_uring_cqe *cqe;
	uint64_t seen = 0;
	uint32_t i;

	for (i = 0; i < DEPTH; i++)
		t_prep_cmd(ring, fd, EXO_XN_IO, &ios[i])->user_data = i;
	ASSERT_EQ(io_uring_submit(ring), DEPTH);
	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(io_uring_wait_cqe(ring, &cqe), 0);
		ASSERT_EQ_FOR(cqe->res, want, "request %u", (unsigned int)cqe->user_data);
		seen |= 1ULL << cqe->user_data;
		io_uring_cqe_seen(ring, cqe);
	}
	ASSERT_EQ(seen, (1ULL << DEPTH) - 1);
}

/* Catches: requests that are lost, told twice, or of which the worker knows nothing. */
TEST(uring__io)
{
	static const uint32_t kinds[] = { EXO_XN_IO_WRITE, EXO_XN_IO_READ };
	uint32_t frames[DEPTH], i, k, binding, disk;
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	int fd = t_open();
	uint64_t block;

	disk = setup_data(fd, DEPTH, &block, &binding);
	t_alloc_any(fd, frames, DEPTH);
	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	t_fill_each(fd, frames, DEPTH, 500);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < DEPTH; i++)
			ios[i] = (struct exo_xn_io){
				.size = sizeof(ios[i]), .kind = kinds[k], .binding = binding,
				.flags = k || i % 2 ? 0 : EXO_XN_IO_DURABLE, .offset = DEPTH - 1 - i,
				.count = 1, .frames = frames[k ? DEPTH - 1 - i : i] };
		run_batch(&ring, fd, ios, 0);
	}
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ_FOR(t_peek(fd, frames[i]), 500 + DEPTH - 1 - i, "frame %u", i);
	for (i = 0; i < DEPTH; i++)
		ios[i] = (struct exo_xn_io){ .size = sizeof(ios[i]), .kind = EXO_XN_IO_FLUSH,
					     .binding = binding };
	run_batch(&ring, fd, ios, 0);
	/* The disk goes. */
	end(fd, disk);
	run_batch(&ring, fd, ios, -ESTALE);
	io_uring_queue_exit(&ring);
}

/* Catches: a frame that its next owner gets while a device still writes it (INV-XN-15). */
TEST(uring__free_under_io)
{
	uint32_t frames[DEPTH], i, round, binding, disk, done;
	struct exo_xn_io ios[DEPTH];
	struct io_uring ring;
	int fd = t_open(), ret;
	uint64_t block;

	disk = setup_data(fd, DEPTH, &block, &binding);
	ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
	for (round = 0; round < 50; round++) {
		t_alloc_any(fd, frames, DEPTH);
		for (i = 0; i < DEPTH; i++) {
			ios[i] = (struct exo_xn_io){
				.size = sizeof(ios[i]), .binding = binding, .offset = i, .count = 1,
				.kind = round % 2 ? EXO_XN_IO_READ : EXO_XN_IO_WRITE,
				.frames = frames[i] };
			t_prep_cmd(&ring, fd, EXO_XN_IO, &ios[i]);
		}
		ASSERT_EQ(io_uring_submit(&ring), DEPTH);
		ASSERT_EQ(t_free(fd, frames, DEPTH, &done), 0);
		for (i = 0; i < DEPTH; i++) {
			ret = t_reap(&ring);
			if (ret && ret != -EACCES && ret != -ESTALE)
				FAIL("%d", ret);
		}
	}
	io_uring_queue_exit(&ring);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_detach(fd, disk, 0), 0);
}

/* Catches: a program that dies with requests in flight, and takes the disk with it. */
TEST(uring__dies)
{
	uint32_t frames[DEPTH], i, round, binding, disk;
	uint64_t block, start;
	int fd = t_open();

	disk = setup_data(fd, DEPTH, &block, &binding);
	ASSERT_EQ(xt_unbind(fd, binding), 0);
	ASSERT_EQ(xt_commit(fd, disk, root.out_root), 0);
	for (round = 0; round < 10; round++) {
		pid_t pid = test_fork();

		if (!pid) {
			struct exo_xn_io ios[DEPTH];
			struct io_uring ring;

			fd = t_open();
			t_alloc_any(fd, frames, DEPTH);
			ASSERT_EQ(xt_bind(fd, disk, root.out_root, root.out_block, block, DEPTH, RW,
					  &binding), 0);
			ASSERT_EQ(io_uring_queue_init(DEPTH, &ring, 0), 0);
			for (i = 0; i < DEPTH; i++) {
				ios[i] = (struct exo_xn_io){
					.size = sizeof(ios[i]), .binding = binding, .offset = i,
					.kind = EXO_XN_IO_WRITE, .count = 1, .frames = frames[i],
					.flags = i % 2 ? EXO_XN_IO_DURABLE : 0 };
				t_prep_cmd(&ring, fd, EXO_XN_IO, &ios[i]);
			}
			ASSERT_EQ(io_uring_submit(&ring), DEPTH);
			raise(SIGKILL);
		}
		test_join_killed(pid, SIGKILL);
	}
	start = test_now_ns();
	while (xt_detach(fd, disk, 0)) {
		if (test_overdue(start, 2000))
			FAIL("bindings are left");
		test_sleep_ms(20);
	}
}

/* Crashes ---------------------------------------------------------------------------------------- */

/* Catches: what was acknowledged and is gone, or what wasn't and is there (INV-XN-2, INV-XN-7). */
TEST(crash__copy)
{
	uint32_t frames[4], i, binding, disk, number;
	struct exo_xn_attach attach;
	struct xt_unit found;
	char copy[32];
	int fd = t_open();
	uint64_t block, at;

	disk = setup_data(fd, 4, &block, &binding);
	number = root.out_root;
	at = root.out_block;
	t_alloc_any(fd, frames, 4);
	t_fill_each(fd, frames, 4, 300);
	ASSERT_EQ(xt_commit(fd, disk, number), 0);
	/* Two durably, one not, one never. */
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 0, frames, 2, EXO_XN_IO_DURABLE), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_WRITE, binding, 2, &frames[2], 1, 0), 0);
	ASSERT_EQ(xt_grow(fd, disk, number, at, &unit, block + 4, 1, EXO_XN_DATA, 0), 0);
	xt_crash("disk", "copy", copy);
	end(fd, disk);

	ASSERT_EQ(xt_attach(fd, copy, &attach), 0);
	disk = attach.out_disk;
	ASSERT_GT(attach.out_replayed, 0);
	ASSERT_EQ(attach.out_quarantined, 0);
	ASSERT_EQ(xt_read(fd, disk, number, at, at, &found, sizeof(found)), sizeof(found));
	ASSERT_EQ(found.nr, 1);
	ASSERT_EQ(xt_map(fd, disk, block + 4), EXO_XN_FREE);
	ASSERT_EQ(xt_bind(fd, disk, number, at, block, 4, RW, &binding), 0);
	ASSERT_EQ(xt_io(fd, EXO_XN_IO_READ, binding, 0, frames, 4, 0), 0);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(t_peek(fd, frames[i]), 300 + i);
	ASSERT_TRUE(t_peek(fd, frames[2]) == 0 || t_peek(fd, frames[2]) == 302);
	ASSERT_EQ(t_peek(fd, frames[3]), 0);
	end(fd, disk);
}

/* Races ------------------------------------------------------------------------------------------ */

struct race {
	int fd;
	uint32_t disk;
	uint32_t number;
	uint64_t at;
	uint64_t block;
	atomic_int stop;
};

static void *race_io(void *arg)
{
	struct race *race = arg;
	uint32_t frame = t_frame(race->fd), binding;
	uint64_t n;

	for (n = 0; !atomic_load(&race->stop); n++) {
		int ret = xt_bind(race->fd, race->disk, race->number, race->at, race->block, 2, RW,
				  &binding);

		if (ret) {
			ASSERT_TRUE(ret == -ENOENT);
			continue;
		}
		while (!(ret = xt_io(race->fd, n % 2 ? EXO_XN_IO_WRITE : EXO_XN_IO_READ, binding, n % 2,
				     &frame, 1, n % 4 == 1 ? EXO_XN_IO_DURABLE : 0)) &&
		       n++ % 64)
			;
		ASSERT_TRUE(!ret || ret == -ESTALE);
		ASSERT_EQ(xt_unbind(race->fd, binding), 0);
	}
	t_free1(race->fd, frame);
	return NULL;
}

static void *race_commit(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		int ret = xt_commit(race->fd, race->disk, race->number);

		ASSERT_TRUE(!ret || ret == -ENOENT);
	}
	return NULL;
}

/* Catches: I/O that goes on while its blocks are freed, committed, or the disk is detached (INV-XN-18). */
TEST_LONG(race__free_commit_detach, 120)
{
	pthread_t threads[4];
	struct race race = { .fd = t_open() };
	unsigned int i, n, rounds = test_rounds(300, 6);
	int ret;

	race.disk = setup(race.fd, 0);
	race.number = root.out_root;
	race.at = root.out_block;
	race.block = xt_free_run(race.fd, race.disk, 2);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, i == 3 ? race_commit : race_io, &race), 0);
	for (n = 0; n < rounds; n++) {
		do {
			ret = xt_grow(race.fd, race.disk, race.number, race.at, &unit, race.block, 2,
				      EXO_XN_DATA, 0);
			if (ret == -EBUSY)
				ASSERT_EQ(xt_commit(race.fd, race.disk, race.number), 0);
		} while (ret == -EBUSY);
		ASSERT_EQ(ret, 0);
		if (n % 8 == 0)
			usleep(1000);
		ASSERT_EQ(xt_shrink(race.fd, race.disk, race.number, race.at, &unit, 0), 0);
	}
	ASSERT_EQ(xt_commit(race.fd, race.disk, race.number), 0);
	ASSERT_EQ(xt_grow(race.fd, race.disk, race.number, race.at, &unit, race.block, 2, EXO_XN_DATA,
			  EXO_XN_APPLY_COMMIT), 0);
	usleep(20000);
	ASSERT_EQ(xt_detach(race.fd, race.disk, EXO_XN_DETACH_FORCE), 0);
	usleep(20000);
	atomic_store(&race.stop, 1);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
}
