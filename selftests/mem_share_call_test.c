// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing with fewer calls: allocation that gives capabilities, and import that binds.
 */
#include <sched.h>
#include <signal.h>

#include "share_setup.h"

/* ---- allocation with capabilities (INV-CAP-6) ------------------------------------------------------ */

#define N 100	/* more than the module handles in one step */

static int alloc_caps(int fd, uint32_t how, uint32_t *frames, uint32_t count, uint32_t rights,
		      struct exo_cap *caps, uint32_t *done)
{
	struct exo_mem_alloc arg = { .size = sizeof(arg), .flags = how, .count = count,
				     .frames_ptr = (uintptr_t)frames, .rights = rights,
				     .caps_ptr = (uintptr_t)caps };
	int ret = t_ioctl(fd, EXO_MEM_ALLOC, &arg);

	*done = arg.out_done;
	return ret;
}

static uint32_t held(int fd)
{
	struct exo_env_status st;

	t_status(fd, &st);
	return st.out_frames;
}

/* Catches: a capability for another frame than it stands beside, with other rights, or of no use. */
TEST(alloc_caps__each_is_good)
{
	static const uint32_t hows[] = { EXO_ALLOC_ANY, EXO_ALLOC_THESE, EXO_ALLOC_CONTIG };
	int fd = t_open(), other = t_open();
	struct exo_cap caps[N], made;
	uint32_t frames[N], frame, rights, done, i, k;

	for (k = 0; k < 3; k++) {
		ASSERT_EQ_FOR(alloc_caps(fd, hows[k], frames, N, RW | EXO_RIGHT_WINDOW, caps, &done),
			      0, "way %u", hows[k]);
		ASSERT_EQ(done, N);
		for (i = 0; i < N; i++) {
			ASSERT_EQ(caps[i].object, frames[i]);
			/* The same that the owner would be given later. */
			ASSERT_EQ(t_cap(fd, frames[i], RW | EXO_RIGHT_WINDOW, &made), 0);
			ASSERT_EQ(memcmp(&caps[i], &made, sizeof(made)), 0);
			ASSERT_EQ(t_import(other, &caps[i], &frame, &rights), 0);
			ASSERT_EQ(frame, frames[i]);
			ASSERT_EQ(rights, RW | EXO_RIGHT_WINDOW);
		}
		/* In another order, so that the second round takes them as it names them. */
		ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
		for (i = 0; i < N; i++)
			ASSERT_EQ(t_cap_check(other, &caps[i], RO), -ESTALE);
		frame = frames[0];
		frames[0] = frames[N - 1];
		frames[N - 1] = frame;
	}
}

/* Catches: 2 MiB whose capability names a part of it. */
TEST(alloc_caps__huge)
{
	int fd = t_open(), other = t_open();
	struct exo_cap cap;
	uint32_t frame, done, want;

	want = t_huge(fd);
	ASSERT_EQ(t_free1(fd, want), 0);
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_HUGE, &frame, 1, RO, &cap, &done), 0);
	ASSERT_EQ(cap.object, frame);
	ASSERT_EQ(t_import(other, &cap, NULL, NULL), 0);
	ASSERT_EQ(t_free1(fd, frame), 0);
	/* By its name, in a step of its own. */
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_THESE, &frame, 1, RO, &cap, &done), 0);
	ASSERT_EQ(cap.object, frame);
	ASSERT_EQ(t_cap_check(other, &cap, RO), 0);
}

/* Catches: rights that don't exist, or an array for nothing. */
TEST(alloc_caps__bad)
{
	int fd = t_open();
	struct exo_cap cap;
	uint32_t frame, done;

	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_ANY, &frame, 1, 0, &cap, &done), -EINVAL);
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_ANY, &frame, 1, EXO_RIGHTS_ALL + 1, &cap, &done), -EINVAL);
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_ANY, &frame, 1, 1U << 16 | RO, &cap, &done), -EINVAL);
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_ANY, &frame, 1, RO, NULL, &done), -EFAULT);
	ASSERT_EQ(done, 0);
	ASSERT_EQ(held(fd), 0);
}

/* Catches: frames that are kept and not told of, when the array for the capabilities ends early. */
TEST(alloc_caps__fault)
{
	int fd = t_open();
	uint32_t frames[N], done, i;
	struct exo_cap *caps;
	char *mem;

	mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(mem, MAP_FAILED);
	ASSERT_EQ(munmap(mem + PAGE, PAGE), 0);

	/* Room for 70 and a half. */
	caps = (struct exo_cap *)(mem + PAGE - 16) - 70;
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_ANY, frames, N, RO, caps, &done), -EFAULT);
	ASSERT_LE(done, 70);
	ASSERT_EQ(held(fd), done);
	for (i = 0; i < done; i++)
		ASSERT_EQ(t_cap_check(fd, &caps[i], RO), 0);
	ASSERT_EQ(t_free(fd, frames, done, NULL), 0);

	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_CONTIG, frames, N, RO, caps, &done), -EFAULT);
	ASSERT_EQ(done, 0);
	ASSERT_EQ(held(fd), 0);

	t_alloc_any(fd, frames, N);
	ASSERT_EQ(t_free(fd, frames, N, NULL), 0);
	ASSERT_EQ(alloc_caps(fd, EXO_ALLOC_THESE, frames, N, RO, caps, &done), -EFAULT);
	ASSERT_EQ(done, 70);
	ASSERT_EQ(held(fd), 70);
}

/* ---- import that binds (INV-CAP-7) ---------------------------------------------------------------- */

static int import_bind(const struct view *view, uint32_t page, const struct exo_cap *cap,
		       uint32_t rights)
{
	struct exo_mem_import arg = { .size = sizeof(arg), .flags = EXO_IMPORT_BIND, .cap = *cap,
				      .view = view->id, .page = page, .rights = rights };

	return t_ioctl(view->fd, EXO_MEM_IMPORT, &arg);
}

/* A frame of another environment, and one's own view. */
struct given {
	int giver;
	int fd;
	struct view view;
	uint32_t frame;
	struct exo_cap cap;
};

static struct given given(uint32_t rights)
{
	struct given g = { .giver = t_open(), .fd = t_open() };

	t_view(g.fd, 2048, 0, 0, &g.view);
	g.frame = t_frame(g.giver);
	t_fill(g.giver, g.frame, 77);
	ASSERT_EQ(t_cap(g.giver, g.frame, rights, &g.cap), 0);
	return g;
}

/* Nothing is imported: by its number the frame can't be bound, nor dropped. */
static void ASSERT_NOTHING(const struct given *g)
{
	ASSERT_EQ(t_bind(&g->view, 1000, 1, g->frame, RO), -EACCES);
	ASSERT_EQ(t_drop(g->fd, g->frame), -EACCES);
}

TEST(import_bind__reads_and_writes)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW, &cap);
	struct answer a;

	a = ASK(peer, 'I', .cap = cap, .page = 3, .rights = RW);
	ASSERT_EQ(a.ret, 0);
	ASSERT_EQ(a.frame, frame);
	ASSERT_EQ(ASK(peer, 'l', .page = 3).value, frame + 7ULL);
	ASSERT_EQ(ASK(peer, 's', .page = 3, .frame = 99).ret, 0);
	ASSERT_EQ(t_peek(exo_env_fd(env), frame), 99);
	/* It is imported, too. */
	ASSERT_EQ(ASK(peer, 'b', .page = 4, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_FRAME, frame), 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 3).ret, SIGBUS);
	ASSERT_EQ(ASK(peer, 'I', .cap = cap, .page = 5, .rights = RO).ret, -ESTALE);
	ASSERT_EQ(ASK(peer, 'd', .frame = frame).ret, 0);
	peer_end(&peer);
}

/* Catches: an import that stays when the bind fails. */
TEST(import_bind__both_or_neither)
{
	struct given g = given(RW);
	struct exo_cap bad = g.cap;
	struct view wrong = g.view;
	uint32_t own = t_frame(g.fd);

	ASSERT_EQ(t_bind(&g.view, 5, 1, own, RW), 0);
	ASSERT_EQ(import_bind(&g.view, 5, &g.cap, RO), -EBUSY);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(import_bind(&g.view, 2048, &g.cap, RO), -EINVAL);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(import_bind(&g.view, ~0U, &g.cap, RO), -EINVAL);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(import_bind(&g.view, 6, &g.cap, 0), -EINVAL);
	ASSERT_EQ(import_bind(&g.view, 6, &g.cap, EXO_RIGHT_WRITE), -EINVAL);
	ASSERT_EQ(import_bind(&g.view, 6, &g.cap, 1U << 16 | RO), -EINVAL);
	ASSERT_NOTHING(&g);
	wrong.id = 0;
	ASSERT_EQ(import_bind(&wrong, 6, &g.cap, RO), -ENOENT);
	ASSERT_NOTHING(&g);
	t_view_create(g.giver, 16, 0, 0, &wrong);
	wrong.fd = g.fd;
	ASSERT_EQ(import_bind(&wrong, 6, &g.cap, RO), -ENOENT);
	ASSERT_NOTHING(&g);
	t_view_create(g.fd, 16, 0, 0, &wrong);
	ASSERT_EQ(import_bind(&wrong, 6, &g.cap, RO), -EACCES);
	ASSERT_NOTHING(&g);
	bad.mac ^= 1;
	ASSERT_EQ(import_bind(&g.view, 6, &bad, RO), -EACCES);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(g.view.slots[6], 0);
	ASSERT_EQ(import_bind(&g.view, 6, &g.cap, RW), 0);
	ASSERT_EQ(*t_page(&g.view, 6), 77);
	ASSERT_EQ(*t_page(&g.view, 5), 0);
}

/* A capability with one bit changed is refused. */
static void ASSERT_FORGED(const struct view *view, struct exo_cap cap, uint32_t word, uint32_t bit)
{
	uint64_t words[sizeof(cap) / sizeof(uint64_t)];

	memcpy(words, &cap, sizeof(cap));
	words[word] ^= 1ULL << bit;
	memcpy(&cap, words, sizeof(cap));
	ASSERT_EQ_FOR(import_bind(view, 1, &cap, RO), -EACCES, "word %u bit %u", word, bit);
}

/*
 * The capability that is made with a frame is known without its MAC being computed (INV-CAP-8).
 * Catches: a part of it that isn't compared, or what is left of it when the frame has a new
 * generation.
 */
TEST(import_bind__made_with_the_frame)
{
	static const uint32_t bits[][2] = { { 0, 0 }, { 0, 18 }, { 0, 32 }, { 1, 0 }, { 1, 32 },
					    { 2, 0 }, { 2, 63 }, { 3, 0 }, { 3, 31 }, { 3, 63 } };
	int giver = t_open(), fd = t_open();
	struct exo_cap cap, next, forged;
	uint32_t frame, done, i;
	struct view view;

	t_view(fd, 16, 0, 0, &view);
	ASSERT_EQ(alloc_caps(giver, EXO_ALLOC_ANY, &frame, 1, RO, &cap, &done), 0);
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		ASSERT_FORGED(&view, cap, bits[i][0], bits[i][1]);
	ASSERT_EQ(import_bind(&view, 0, &cap, RO), 0);

	ASSERT_EQ(t_cap_revoke_own(giver, frame), 0);
	ASSERT_EQ(import_bind(&view, 0, &cap, RO), -ESTALE);
	ASSERT_EQ(t_cap(giver, frame, RO, &next), 0);
	forged = next;
	forged.mac = cap.mac;
	ASSERT_EQ(import_bind(&view, 0, &forged, RO), -EACCES);
	ASSERT_EQ(import_bind(&view, 0, &next, RO), 0);

	/* Allocated again: the one before is stale, and lends its MAC to no other. */
	ASSERT_EQ(t_free1(giver, frame), 0);
	cap = next;
	ASSERT_EQ(alloc_caps(giver, EXO_ALLOC_THESE, &frame, 1, RO, &next, &done), 0);
	ASSERT_EQ(import_bind(&view, 0, &cap, RO), -ESTALE);
	forged = next;
	forged.mac = cap.mac;
	ASSERT_EQ(import_bind(&view, 0, &forged, RO), -EACCES);
	ASSERT_EQ(import_bind(&view, 0, &next, RO), 0);
}

/* Catches: a fork that uses the parent's view. */
TEST(import_bind__other_process)
{
	struct given g = given(RW);
	pid_t pid = test_fork();

	if (!pid) {
		ASSERT_EQ(import_bind(&g.view, 6, &g.cap, RO), -EACCES);
		_exit(0);
	}
	test_join(pid);
	ASSERT_NOTHING(&g);
}

/* Catches: rights beyond the capability's, or rights that a failed bind leaves behind. */
TEST(import_bind__rights_at_most)
{
	struct given g = given(RO);
	struct exo_cap rw;

	ASSERT_EQ(import_bind(&g.view, 0, &g.cap, RW), -EACCES);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(import_bind(&g.view, 0, &g.cap, RO), 0);
	ASSERT_EQ(t_store(t_page(&g.view, 0), 1), SIGBUS);
	ASSERT_EQ(t_cap(g.giver, g.frame, RW, &rw), 0);
	ASSERT_EQ(import_bind(&g.view, 0, &rw, RW), -EBUSY);
	ASSERT_EQ(t_bind(&g.view, 1, 1, g.frame, RW), -EACCES);
	ASSERT_EQ(t_protect(&g.view, 0, 1, RW), -EACCES);
	ASSERT_EQ(import_bind(&g.view, 1, &rw, RW), 0);
	ASSERT_EQ(t_store(t_page(&g.view, 1), 1), 0);
	/* With what was imported before: capabilities add up. */
	ASSERT_EQ(import_bind(&g.view, 2, &g.cap, RW), 0);
}

/* Catches: rights of an older generation in a grant that is used again. */
TEST(import_bind__after_revocation)
{
	struct given g = given(RW | EXO_RIGHT_WINDOW);
	struct exo_cap ro;

	ASSERT_EQ(import_bind(&g.view, 0, &g.cap, RW), 0);
	ASSERT_EQ(t_cap_revoke_own(g.giver, g.frame), 0);
	ASSERT_EQ(import_bind(&g.view, 0, &g.cap, RW), -ESTALE);
	/* The holder of a stale grant is told so. */
	ASSERT_EQ(t_bind(&g.view, 0, 1, g.frame, RO), -ESTALE);
	ASSERT_EQ(t_cap(g.giver, g.frame, RO, &ro), 0);
	ASSERT_EQ(import_bind(&g.view, 0, &ro, RW), -EACCES);
	ASSERT_EQ(t_bind(&g.view, 0, 1, g.frame, RO), -ESTALE);
	ASSERT_EQ(import_bind(&g.view, 0, &ro, RO), 0);
	ASSERT_EQ(t_bind(&g.view, 1, 1, g.frame, RW), -EACCES);
	{
		volatile uint64_t *mem = t_window(g.fd, g.frame, 1, PROT_READ);
		uint64_t value;

		ASSERT_EQ(t_load(mem, &value), SIGBUS);
	}
	ASSERT_EQ(t_drop(g.fd, g.frame), 0);
	ASSERT_NOTHING(&g);
}

/* Catches: one's own frames, which need no grant. */
TEST(import_bind__own)
{
	struct given g = given(RO);
	struct view view;

	t_view(g.giver, 16, 0, 0, &view);
	ASSERT_EQ(import_bind(&view, 3, &g.cap, RW), 0);
	ASSERT_EQ(*t_page(&view, 3), 77);
	ASSERT_EQ(import_bind(&view, 3, &g.cap, RO), -EBUSY);
}

/* Catches: 2 MiB bound in part, beyond the view, or over something. */
TEST(import_bind__huge)
{
	struct given g = given(RO);
	uint32_t own = t_frame(g.fd), i;
	volatile uint64_t *mem;

	g.frame = t_huge(g.giver);
	mem = t_window(g.giver, g.frame, 512, PROT_READ | PROT_WRITE);
	for (i = 0; i < 512; i++)
		mem[i * 512] = i + 1;
	ASSERT_EQ(t_cap(g.giver, g.frame, RO, &g.cap), 0);
	ASSERT_EQ(import_bind(&g.view, 2048 - 511, &g.cap, RO), -EINVAL);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(t_bind(&g.view, 1023, 1, own, RW), 0);
	ASSERT_EQ(import_bind(&g.view, 512, &g.cap, RO), -EBUSY);
	ASSERT_EQ(g.view.slots[512], 0);
	ASSERT_EQ(g.view.slots[1022], 0);
	ASSERT_NOTHING(&g);
	ASSERT_EQ(import_bind(&g.view, 0, &g.cap, RO), 0);
	ASSERT_EQ(import_bind(&g.view, 1030, &g.cap, RO), 0);
	for (i = 0; i < 512; i++) {
		ASSERT_EQ(*t_page(&g.view, i), i + 1);
		ASSERT_EQ(*t_page(&g.view, 1030 + i), i + 1);
	}
	ASSERT_EQ(t_cap_revoke_own(g.giver, g.frame), 0);
	for (i = 0; i < 512; i++)
		ASSERT_EQ(g.view.slots[i] | g.view.slots[1030 + i], 0);
}

/*
 * One process imports and binds, over and over, what the other gives and revokes. What the other
 * writes after a revocation must never be seen through what was bound before (INV-VIEW-3).
 */
TEST_LONG(import_bind__against_revocation, 120)
{
	struct given g = given(RW);
	struct exo_cap *volatile cap = test_shared(2 * sizeof(*cap));
	volatile uint64_t *turn = test_shared(PAGE), *word;
	unsigned int rounds = test_rounds(20000, 10), i;
	uint64_t start = test_now_ns();
	pid_t pid;

	word = t_window(g.giver, g.frame, 1, PROT_READ | PROT_WRITE);
	pid = test_fork();
	if (!pid) {
		int fd = t_open();
		uint64_t value, seen = 0;
		struct view view;

		t_view(fd, 16, 0, 0, &view);
		while (!turn[1]) {
			uint64_t now = turn[0];
			struct exo_cap mine = cap[now & 1];

			if (import_bind(&view, 3, &mine, RW))
				continue;
			while (!t_load(t_page(&view, 3), &value)) {
				ASSERT_NE(value, 0xdead);
				seen++;
			}
			ASSERT_EQ(t_unbind(&view, 3, 1), 0);
		}
		test_note("%llu loads", (unsigned long long)seen);
		_exit(0);
	}
	for (i = 1; i <= rounds && !test_late(start, 20000); i++) {
		*word = i;
		ASSERT_EQ(t_cap(g.giver, g.frame, RW, &cap[i & 1]), 0);
		__atomic_store_n(&turn[0], i, __ATOMIC_SEQ_CST);
		if (i % 16 == 0)
			sched_yield();
		ASSERT_EQ(t_cap_revoke_own(g.giver, g.frame), 0);
		*word = 0xdead;
	}
	test_note("%u rounds", i - 1);
	turn[1] = 1;
	test_join(pid);
}
