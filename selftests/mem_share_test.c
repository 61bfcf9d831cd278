// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing: a capability goes to another process as bytes, and binds the frame there with at most its
 * rights. Revoking it unmaps there. Through libexo.
 */
#include <sched.h>
#include <signal.h>

#include "share_setup.h"

/* Catches: sharing that does not work between users. */
TEST(share__read_and_write)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW, &cap);
	struct answer a;

	/* By its number alone: no. */
	ASSERT_EQ(ASK(peer, 'b', .page = 3, .frame = frame, .rights = RO).ret, -EACCES);
	a = ASK(peer, 'i', .cap = cap);
	ASSERT_EQ(a.ret, 0);
	ASSERT_EQ(a.frame, frame);
	ASSERT_EQ(a.rights, RW);
	ASSERT_EQ(ASK(peer, 'b', .page = 3, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 3).value, frame + 7ULL);
	ASSERT_EQ(ASK(peer, 's', .page = 3, .frame = 99).ret, 0);
	ASSERT_EQ(t_peek(exo_env_fd(env), frame), 99);
	/* A frame of ours is not the peer's to free. */
	ASSERT_EQ(ASK(peer, 'f', .frame = frame).ret, -EACCES);
	peer_end(&peer);
	ASSERT_EQ(t_peek(exo_env_fd(env), frame), 99);
}

/* Catches: more rights than were given (INV-VIEW-3). */
TEST(share__rights_at_most)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap, rw;
	uint32_t frame = shared_frame(RO, &cap);

	ASSERT_EQ(ASK(peer, 'i', .cap = cap).rights, RO);
	ASSERT_EQ(ASK(peer, 'b', .page = 0, .frame = frame, .rights = RW).ret, -EACCES);
	ASSERT_EQ(ASK(peer, 'b', .page = 0, .frame = frame, .rights = RO).ret, 0);
	ASSERT_EQ(ASK(peer, 's', .page = 0, .frame = 1).ret, SIGBUS);
	ASSERT_EQ(ASK(peer, 'p', .page = 0, .rights = RW).ret, -EACCES);
	/* No window without the right to it (INV-FRAME-6). */
	ASSERT_EQ(ASK(peer, 'w', .frame = frame, .rights = RO).ret, SIGBUS);
	/* A second import with more rights is more rights, from then on. */
	ASSERT_EQ(exo_cap_create(env, EXO_CAP_FRAME, frame, RW, &rw), 0);
	ASSERT_EQ(ASK(peer, 'i', .cap = rw).ret, 0);
	ASSERT_EQ(ASK(peer, 'p', .page = 0, .rights = RW).ret, 0);
	ASSERT_EQ(ASK(peer, 's', .page = 0, .frame = 5).ret, 0);
	ASSERT_EQ(t_peek(exo_env_fd(env), frame), 5);
	peer_end(&peer);
}

/* Catches: a right that is only write, or only window, binding for reading. */
TEST(share__without_read)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap;
	uint32_t frame = shared_frame(EXO_RIGHT_WRITE | EXO_RIGHT_WINDOW, &cap);

	ASK(peer, 'i', .cap = cap);
	ASSERT_EQ(ASK(peer, 'b', .page = 0, .frame = frame, .rights = RO).ret, -EACCES);
	ASSERT_EQ(ASK(peer, 'b', .page = 0, .frame = frame, .rights = RW).ret, -EACCES);
	ASSERT_EQ(ASK(peer, 'w', .frame = frame, .rights = RO).ret, SIGBUS);
	peer_end(&peer);
}

/* Catches: a revocation that leaves a mapping, a slot, or a way back (INV-VIEW-3). */
TEST(revoke__unmaps_there)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap, weak;
	uint32_t frame = shared_frame(EXO_RIGHTS_ALL, &cap), i;
	struct exo_view *view;

	ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = 16), &view), 0);
	ASSERT_EQ(exo_view_bind1(view, 1, frame, RW), 0);
	ASSERT_EQ(ASK(peer, 'i', .cap = cap).ret, 0);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(ASK(peer, 'b', .page = i * 100, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(exo_cap_derive(env, &cap, RO, &weak), 0);
	ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_FRAME, frame), 0);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(ASK(peer, 'l', .page = i * 100).ret, SIGBUS);
		ASSERT_EQ(ASK(peer, 'S', .page = i * 100).value, 0);
	}
	ASSERT_EQ(ASK(peer, 'b', .page = 0, .frame = frame, .rights = RO).ret, -ESTALE);
	ASSERT_EQ(ASK(peer, 'i', .cap = cap).ret, -ESTALE);
	ASSERT_EQ(ASK(peer, 'i', .cap = weak).ret, -ESTALE);
	/* The owner's own binding stays. */
	ASSERT_EQ(*(volatile uint64_t *)exo_view_addr(view, 1), frame + 7ULL);
	peer_end(&peer);
}

/* Catches: a freed frame that an importer still reads, when somebody else has it (INV-FRAME-5). */
TEST(free__unmaps_there)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW, &cap);

	ASSERT_EQ(ASK(peer, 'i', .cap = cap).ret, 0);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(ASK(peer, 's', .page = 9, .frame = 1).ret, 0);
	ASSERT_EQ(exo_mem_free(env, &frame, 1, NULL), 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 9).ret, SIGBUS);
	ASSERT_EQ(exo_mem_alloc_these(env, &frame, 1), 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 9).ret, SIGBUS);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = frame, .rights = RW).ret, -ESTALE);
	peer_end(&peer);
}

/* Catches: the owner's death that leaves its frames in other hands. */
TEST(owner__dies)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap *cap = test_shared(sizeof(*cap));
	struct test_sync made, go;
	pid_t pid;

	test_sync_init(&made);
	test_sync_init(&go);
	pid = test_fork();
	if (!pid) {
		shared_frame(RW, cap);
		test_sync_post(&made);
		test_sync_wait(&go);
		_exit(0);
	}
	test_sync_wait(&made);
	ASSERT_EQ(ASK(peer, 'i', .cap = *cap).ret, 0);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = (uint32_t)cap->object, .rights = RW).ret, 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 9).ret, 0);
	test_sync_post(&go);
	test_join(pid);
	ASSERT_EQ(ASK(peer, 'l', .page = 9).ret, SIGBUS);
	ASSERT_EQ(ASK(peer, 'i', .cap = *cap).ret, -ESTALE);
	peer_end(&peer);
}

/* Catches: an importer that isn't told (enum exo_event_type). */
TEST(revoke__importer_is_told)
{
	struct exo_env *other;
	struct exo_view *view;
	struct exo_event event;
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW, &cap);
	int ret;

	ASSERT_EQ(exo_env_open(&other, NULL), 0);
	ASSERT_EQ(exo_mem_import(other, &cap, NULL, NULL, NULL), 0);
	ASSERT_EQ(exo_view_create(other, &EXO_OPTS(exo_view, .pages = 16), &view), 0);
	ASSERT_EQ(exo_view_bind1(view, 0, frame, RO), 0);
	ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_FRAME, frame), 0);
	ret = exo_env_event_wait(other, &event, 2000);
	ASSERT_EQ(ret, 0);
	ASSERT_EQ(event.type, EXO_EVENT_CAP_REVOKED);
	ASSERT_EQ(event.arg[0], frame);
}

/* Catches: DROP that keeps the page, or takes the owner's. */
TEST(drop__gives_up)
{
	struct peer peer = peer_start(other_uid());
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW | EXO_RIGHT_WINDOW, &cap);

	ASSERT_NE(ASK(peer, 'd', .frame = frame).ret, 0);
	ASSERT_EQ(ASK(peer, 'i', .cap = cap).ret, 0);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(ASK(peer, 'd', .frame = frame).ret, 0);
	ASSERT_EQ(ASK(peer, 'l', .page = 9).ret, SIGBUS);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = frame, .rights = RW).ret, -EACCES);
	/* The capability is as good as before. */
	ASSERT_EQ(ASK(peer, 'i', .cap = cap).ret, 0);
	ASSERT_EQ(ASK(peer, 'b', .page = 9, .frame = frame, .rights = RW).ret, 0);
	ASSERT_EQ(t_peek(exo_env_fd(env), frame), frame + 7ULL);
	peer_end(&peer);
}

/* Catches: bindings without number, which one call must take away again (mem: 256 a frame). */
TEST(bindings__are_capped)
{
	struct exo_view *view;
	struct exo_cap cap;
	uint32_t frame = shared_frame(RW, &cap), i;
	struct exo_frame_info row;
	int ret = 0;

	ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = 2048), &view), 0);
	for (i = 0; i < 2048 && !ret; i++)
		ret = exo_view_bind1(view, i, frame, RO);
	i--;
	test_note("%u bindings of one frame, then %d", i, ret);
	ASSERT_EQ(ret, -EOVERFLOW);
	ASSERT_GE(i, 256);
	ASSERT_LE(i, 300);
	ASSERT_EQ(exo_mem_query(env, frame, 1, &row), 1);
	ASSERT_EQ(row.bindings, i);
	/* One away, one more. */
	ASSERT_EQ(exo_view_unbind1(view, 5), 0);
	ASSERT_EQ(exo_view_bind1(view, 5, frame, RO), 0);
	ASSERT_EQ(exo_view_bind1(view, 2047, frame, RO), -EOVERFLOW);
	ASSERT_EQ(exo_mem_free(env, &frame, 1, NULL), 0);
	{
		uint64_t value;

		ASSERT_EQ(t_load(exo_view_addr(view, 5), &value), SIGBUS);
		ASSERT_EQ(t_load(exo_view_addr(view, i - 1), &value), SIGBUS);
	}
}

/* Catches: 2 MiB shared in parts, or not at all. */
TEST(huge__shared)
{
	struct exo_env *other;
	struct exo_view *view;
	struct exo_cap cap;
	uint32_t frame, order, i;
	volatile uint64_t *mem;
	uint64_t value;

	ASSERT_EQ(exo_env_open(&env, NULL), 0);
	ASSERT_EQ(exo_env_open(&other, NULL), 0);
	frame = t_huge(exo_env_fd(env));
	mem = t_window(exo_env_fd(env), frame, 512, PROT_READ | PROT_WRITE);
	for (i = 0; i < 512; i++)
		mem[i * 512] = i + 1;
	ASSERT_EQ(exo_cap_create(env, EXO_CAP_FRAME, frame, RO, &cap), 0);
	ASSERT_EQ(exo_mem_import(other, &cap, NULL, NULL, &order), 0);
	ASSERT_EQ(order, EXO_HUGE_ORDER);
	ASSERT_EQ(exo_view_create(other, &EXO_OPTS(exo_view, .pages = 2048), &view), 0);
	{
		struct exo_mem_op op = exo_op(512, 512, frame, RO);

		ASSERT_EQ(exo_view_bind(view, &op, 1, NULL), 0);
		op = exo_op(5, 100, frame + 300, RO);
		ASSERT_EQ(exo_view_bind(view, &op, 1, NULL), 0);
		op = exo_op(1024, 512, frame, RW);
		ASSERT_EQ(exo_view_bind(view, &op, 1, NULL), -EACCES);
	}
	for (i = 0; i < 512; i += 7)
		ASSERT_EQ(*(volatile uint64_t *)exo_view_addr(view, 512 + i), i + 1);
	ASSERT_EQ(*(volatile uint64_t *)exo_view_addr(view, 5), 301);
	ASSERT_EQ(t_store(exo_view_addr(view, 512), 1), SIGBUS);
	ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_FRAME, frame), 0);
	for (i = 0; i < 512; i += 7)
		ASSERT_EQ(t_load(exo_view_addr(view, 512 + i), &value), SIGBUS);
	ASSERT_EQ(t_load(exo_view_addr(view, 5), &value), SIGBUS);
}

/* Catches: imports that are not charged or not freed: many, of many frames, again and again. */
TEST(import__many)
{
	struct exo_env *other;
	uint32_t frames[512], i, round;
	struct exo_cap cap;

	ASSERT_EQ(exo_env_open(&env, NULL), 0);
	ASSERT_EQ(exo_mem_alloc_any(env, frames, 512), 0);
	for (round = 0; round < 5; round++) {
		ASSERT_EQ(exo_env_open(&other, NULL), 0);
		for (i = 0; i < 512; i++) {
			ASSERT_EQ(exo_cap_create(env, EXO_CAP_FRAME, frames[i], RW, &cap), 0);
			ASSERT_EQ(exo_mem_import(other, &cap, NULL, NULL, NULL), 0);
			ASSERT_EQ(exo_mem_import(other, &cap, NULL, NULL, NULL), 0);
		}
		if (round & 1)
			ASSERT_EQ(exo_mem_drop(other, frames, 512, NULL), 0);
		if (round & 2)
			for (i = 0; i < 512; i++)
				ASSERT_EQ(exo_cap_revoke_object(env, EXO_CAP_FRAME, frames[i]), 0);
		ASSERT_EQ(exo_env_close(other), 0);
	}
}
