/* SPDX-License-Identifier: GPL-2.0 */
/* Another process that does what it is told with capabilities. Each program includes this once. */
#ifndef EXO_SHARE_SETUP_H
#define EXO_SHARE_SETUP_H

#include <sys/socket.h>

#include <exo/libexo.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_huge = 2;

/* The other process: gets capabilities through a socket, does what it is told, says what happened. */
struct order {
	char what;		/* import, Import and bind, bind, load, store, protect, window, drop, free */
	uint32_t page;
	uint32_t frame;
	uint32_t rights;
	struct exo_cap cap;
};

struct answer {
	int ret;
	uint64_t value;
	uint32_t frame;
	uint32_t rights;
};

struct peer {
	int sock;
	pid_t pid;
};

static struct answer obey(const struct order *order, struct exo_env *env, struct exo_view *view)
{
	struct answer a = { 0 };
	volatile uint64_t *mem;

	switch (order->what) {
	case 'i':
		a.ret = exo_mem_import(env, &order->cap, &a.frame, &a.rights, NULL);
		break;
	case 'I':
		a.ret = exo_view_import(view, order->page, &order->cap, order->rights, &a.frame);
		break;
	case 'b':
		a.ret = exo_view_bind1(view, order->page, order->frame, order->rights);
		break;
	case 'u':
		a.ret = exo_view_unbind1(view, order->page);
		break;
	case 'l':
		a.ret = t_load(exo_view_addr(view, order->page), &a.value);
		break;
	case 's':
		a.ret = t_store(exo_view_addr(view, order->page), order->frame);
		break;
	case 'p':
		a.ret = exo_view_protect1(view, order->page, order->rights);
		break;
	case 'w':
		mem = t_window(exo_env_fd(env), order->frame, 1,
			       order->rights & EXO_RIGHT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ);
		a.ret = mem ? t_load(mem, &a.value) : -errno;
		break;
	case 'd':
		a.ret = exo_mem_drop(env, &order->frame, 1, NULL);
		break;
	case 'f':
		a.ret = exo_mem_free(env, &order->frame, 1, NULL);
		break;
	case 'S':
		a.value = exo_view_slot(view, order->page);
		break;
	}
	return a;
}

static struct peer peer_start(uid_t uid)
{
	struct peer peer;
	int s[2];

	ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	peer.sock = s[0];
	peer.pid = test_fork();
	if (!peer.pid) {
		struct exo_env *env;
		struct exo_view *view;
		struct order order;
		struct answer answer;

		close(s[0]);
		if (uid)
			t_become(uid);
		ASSERT_EQ(exo_env_open(&env, NULL), 0);
		ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = 2048), &view), 0);
		while (read(s[1], &order, sizeof(order)) == sizeof(order)) {
			answer = obey(&order, env, view);
			if (write(s[1], &answer, sizeof(answer)) != sizeof(answer))
				break;
		}
		_exit(0);
	}
	close(s[1]);
	return peer;
}

static struct answer ask(const struct peer *peer, struct order order)
{
	struct answer answer;

	ASSERT_EQ(write(peer->sock, &order, sizeof(order)), sizeof(order));
	ASSERT_EQ(read(peer->sock, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

#define ASK(_peer, _what, ...) ask(&(_peer), (struct order){ .what = (_what), ##__VA_ARGS__ })

static void peer_end(struct peer *peer)
{
	close(peer->sock);
	test_join(peer->pid);
}

static struct exo_env *env;

static uint32_t shared_frame(uint32_t rights, struct exo_cap *cap)
{
	uint32_t frame;

	if (!env)
		ASSERT_EQ(exo_env_open(&env, NULL), 0);
	ASSERT_EQ(exo_mem_alloc_any(env, &frame, 1), 0);
	t_fill(exo_env_fd(env), frame, frame + 7ULL);
	ASSERT_EQ(exo_cap_create(env, EXO_CAP_FRAME, frame, rights, cap), 0);
	return frame;
}

static uid_t other_uid(void)
{
	return geteuid() ? 0 : BOB;
}

#endif
