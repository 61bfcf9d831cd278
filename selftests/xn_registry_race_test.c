// SPDX-License-Identifier: GPL-2.0
/* The buffer registry when several use it at once: entries that are made, used, freed and taken meanwhile. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "xn_registry_setup.h"

/* What the children share: memory of all. */
static struct race {
	_Atomic uint32_t owner[3];	/* who has the lock of each block, 0: nobody */
	_Atomic uint32_t locking[4];	/* by child: it may have a lock */
	_Atomic bool killed;		/* the last child is, and may have left its name */
	_Atomic bool no_locks;
} *race;

/* Locks are of an entry: when its block is freed the next one has none. So none is taken after that begins. */
static bool lock_one(int fd, const struct exo_xn_entry *e, uint32_t me)
{
	uint32_t before;
	bool had;

	race->locking[me] = 1;
	had = !race->no_locks && !try_lock(fd, e->out_entry, 1, EXO_XN_EXCLUSIVE);
	if (had) {
		/* One at a time, of each block. */
		before = atomic_exchange(&race->owner[e->block - block], me + 1);
		if (before != 4 || !race->killed)
			ASSERT_EQ(before, 0);
		race->owner[e->block - block] = 0;
		try_lock(fd, e->out_entry, 1, EXO_XN_UNLOCK);
	}
	race->locking[me] = 0;
	return had;
}

static void race_child(void *arg)
{
	uint64_t seed = test_seed() + (uintptr_t)arg, start = test_now_ns();
	struct exo_xn_entry e[6];
	uint32_t i, n = 0;
	int fd = t_open();

	read_unit(fd);
	memset(e, 0, sizeof(e));
	while (!test_late(start, 2500)) {
		i = test_random(&seed) % 6;
		if (!e[i].out_entry) {
			int ret = entry(fd, block + test_random(&seed) % 3, RW,
					test_random(&seed) % 2 ? EXO_XN_ENTRY_FRAME : 0, &e[i]);

			if (ret && ret != -ESTALE && ret != -ENOENT)
				FAIL("entry: %d", ret);
			if (ret)
				e[i].out_entry = 0;
			continue;
		}
		switch (test_random(&seed) % 7) {
		case 0:
			xt_unbind(fd, e[i].out_entry);
			e[i].out_entry = 0;
			break;
		case 1:
			io(fd, EXO_XN_ENTRY_READ, e[i].out_entry, 0);
			break;
		case 2:
			io(fd, EXO_XN_ENTRY_DIRTY, e[i].out_entry, 0);
			break;
		case 3:
			io(fd, EXO_XN_ENTRY_WRITE, e[i].out_entry, 0);
			break;
		case 4:
			speculate(fd, block, 3);
			break;
		case 5:
			n += lock_one(fd, &e[i], (uint32_t)(uintptr_t)arg);
			break;
		case 6:
			t_revoke(fd, 0, 1, 0, &(uint32_t){ 0 });
			break;
		}
	}
	if (!n)
		test_note("no lock was had");
	_exit(0);
}

/* Of those that aren't killed. */
static void stop_locks(void)
{
	int i;

	race->no_locks = true;
	for (i = 0; i < 3; i++)
		while (race->locking[i])
			test_sleep_ms(1);
}

/* Catches: what goes wrong when entries are used, freed, written and taken at once. */
TEST(race__all_at_once)
{
	int fd = setup(0, 3), i;
	pid_t pid[4];
	uint64_t start;

	race = test_shared(sizeof(*race));
	for (i = 0; i < 4; i++)
		pid[i] = test_spawn(race_child, (void *)(uintptr_t)i);
	start = test_now_ns();
	for (i = 0; i <= 20 || !test_late(start, 2000); i++) {
		if (i == 20) {
			race->killed = true;
			kill(pid[3], SIGKILL);
			test_wait(pid[3]);
		}
		test_sleep_ms(10);
		if (i % 8 == 7 && i > 100) {
			stop_locks();
			ASSERT_EQ(xt_shrink(fd, disk, root, parent, &unit, 0), 0);
			ASSERT_EQ(xt_commit(fd, disk, root), 0);
			ASSERT_EQ(xt_grow(fd, disk, root, parent, &unit, block, 3, EXO_XN_DATA, 0), 0);
		}
	}
	for (i = 0; i < 3; i++)
		test_join(pid[i]);
	end(fd);
}

struct giver {
	int fd;
	atomic_uint round;
	atomic_uint made;
	atomic_uint given;
};

/* Give number 1 up as soon as it is there, once a round: now and then while a frame is being taken for its entry. */
static void *give_up(void *arg)
{
	struct giver *g = arg;
	unsigned int seen = 0;

	for (;;) {
		while (g->round == seen)
			;
		seen = g->round;
		if (seen == ~0U)
			return NULL;
		while (xt_unbind(g->fd, 1) && g->made != seen)
			;
		g->given = seen;
	}
}

/* Catches: a thread that gives a number up while another is still making its entry (INV-XN-19). */
TEST(entry__given_up_while_it_is_made)
{
	enum { ROUNDS = 400 };
	int fd = setup(0, ROUNDS);
	const struct exo_xn_reg_table *t = table(fd);
	const struct exo_xn_reg_row *row = (const struct exo_xn_reg_row *)(t + 1);
	struct giver g = { .fd = fd };
	struct exo_xn_entry e;
	pthread_t thread;
	uint64_t start = test_now_ns();
	uint32_t i, n, rows;

	read_unit(fd);
	ASSERT_EQ(pthread_create(&thread, NULL, give_up, &g), 0);
	for (i = 0; i < ROUNDS && !test_late(start, 8000); i++) {
		g.round = i + 1;
		entry(fd, block + i, RW, EXO_XN_ENTRY_FRAME, &e);
		g.made = i + 1;
		while (g.given != i + 1)
			;
		for (n = 0, rows = 0; n <= ROUNDS; n++)
			rows += !!__atomic_load_n(&row[n].state, __ATOMIC_ACQUIRE);
		ASSERT_EQ(rows, t->entries);
	}
	g.round = ~0U;
	pthread_join(thread, NULL);
	end(fd);
}

/* Memory that whoever reads it waits for. */
struct stuck {
	int fd, uffd;
	void *page;
	uint32_t binding;
	atomic_int done;	/* what must not wait for it is over */
};

static void stuck_begin(struct stuck *s, int fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	*s = (struct stuck){ .fd = fd, .uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK) };
	s->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range = (struct uffdio_range){ (uintptr_t)s->page, 4096 };
	ASSERT_GE(s->uffd, 0);
	ASSERT_EQ(ioctl(s->uffd, UFFDIO_API, &api), 0);
	ASSERT_EQ(ioctl(s->uffd, UFFDIO_REGISTER, &reg), 0);
}

/* One thread reads the page, and another does what must not wait for it. */
static void stuck_run(struct stuck *s, void *(*reader)(void *), void *(*other)(void *))
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)s->page, 4096 } };
	struct pollfd fault = { .fd = s->uffd, .events = POLLIN };
	pthread_t threads[2];
	bool done;
	int ms;

	ASSERT_EQ(pthread_create(&threads[0], NULL, reader, s), 0);
	ASSERT_EQ(poll(&fault, 1, test_limit_ms(10000)), 1);
	ASSERT_EQ(pthread_create(&threads[1], NULL, other, s), 0);
	for (ms = 0; ms < (int)test_limit_ms(4000) && !s->done; ms++)
		test_sleep_ms(1);
	done = s->done;
	ASSERT_EQ(ioctl(s->uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ASSERT_TRUE(done);
	close(s->uffd);
}

static void *write_two(void *arg)
{
	struct stuck *s = arg;

	xt_io(s->fd, EXO_XN_IO_WRITE, s->binding, 0, s->page, 2, 0);
	return NULL;
}

static void *free_all(void *arg)
{
	struct stuck *s = arg;

	xt_shrink(s->fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT);
	s->done = 1;
	return NULL;
}

/*
 * Catches: numbers of frames that are copied in while something is in flight: the fault there lasts as long as its owner
 * likes, and whoever frees the blocks waits for it, with the disk's lock (INV-XN-16).
 */
TEST(data__frames_are_copied_first)
{
	int fd = setup(0, 4);
	struct stuck s;

	stuck_begin(&s, fd);
	read_unit(fd);
	ASSERT_EQ(xt_bind(fd, disk, root, parent, block, 4, RW, &s.binding), 0);
	stuck_run(&s, write_two, free_all);
	end(fd);
}

static void *enter(void *arg)
{
	struct stuck *s = arg;
	struct exo_xn_entry cmd = { .size = sizeof(cmd), .disk = disk, .root = root, .block = block, .parent = parent,
				    .rights = RW, .keys = (uintptr_t)s->page, .nr_keys = 1 };

	ASSERT_EQ(t_ioctl(s->fd, EXO_XN_ENTRY, &cmd), -ENOENT);
	return NULL;
}

static void *detach(void *arg)
{
	struct stuck *s = arg;

	ASSERT_EQ(xt_detach(s->fd, disk, EXO_XN_DETACH_FORCE), 0);
	s->done = 1;
	return NULL;
}

/*
 * Catches: keys that are copied in under what a detach waits for: then nobody could attach or detach any disk, for as long as an
 * ordinary user likes (INV-XN-16).
 */
TEST(entry__keys_are_copied_first)
{
	struct stuck s;

	stuck_begin(&s, setup(0, 1));
	read_unit(s.fd);
	stuck_run(&s, enter, detach);
}

#define LEFT 0x1ef7ULL	/* in a block, by who had it before */

struct writer {
	int fd;
	uint32_t binding, frame;
	atomic_uint round, done;
};

/* Write the block past the registry, once a round. */
static void *write_past(void *arg)
{
	struct writer *w = arg;
	unsigned int seen = 0;

	for (;;) {
		while (w->round == seen)
			;
		seen = w->round;
		if (seen == ~0U)
			return NULL;
		ASSERT_EQ(xt_io(w->fd, EXO_XN_IO_WRITE, w->binding, 0, &w->frame, 1, 0), 0);
		w->done = seen;
	}
}

/*
 * Catches: a frame that was read ahead before the block might be read, and is handed out because the block has just been
 * written past it: it has what somebody else left there (INV-XN-22).
 */
TEST(ahead__written_while_it_is_had)
{
	struct writer w = { .fd = setup(0, 1) };
	struct exo_xn_entry e;
	uint64_t start = test_now_ns(), has;
	uint32_t i, frame;
	pthread_t thread;

	read_unit(w.fd);
	w.frame = t_frame(w.fd);
	t_fill(w.fd, w.frame, MAGIC);
	ASSERT_EQ(pthread_create(&thread, NULL, write_past, &w), 0);
	for (i = 1; i <= 300 && !test_late(start, 8000); i++) {
		put_on_disk(w.fd, block, LEFT);
		ASSERT_EQ(xt_shrink(w.fd, disk, root, parent, &unit, EXO_XN_APPLY_COMMIT), 0);
		ASSERT_EQ(xt_grow(w.fd, disk, root, parent, &unit, block, 1, EXO_XN_DATA, EXO_XN_APPLY_COMMIT), 0);
		ASSERT_EQ(xt_bind(w.fd, disk, root, parent, block, 1, RW, &w.binding), 0);
		ASSERT_EQ(speculate(w.fd, block, 1), 0);
		w.round = i;
		/* Sooner and later, up to when the write is done. */
		for (frame = 0; frame < i % 16 * 400 && w.done != i; frame++)
			;
		use(w.fd, block, RW, &e);
		has = t_peek(w.fd, e.out_frame);
		if (has && has != MAGIC)
			FAIL("round %u: the frame has %#llx", i, (unsigned long long)has);
		while (w.done != i)
			;
		ASSERT_EQ(xt_unbind(w.fd, e.out_entry), 0);
		ASSERT_EQ(xt_unbind(w.fd, w.binding), 0);
	}
	w.round = ~0U;
	pthread_join(thread, NULL);
	end(w.fd);
}
