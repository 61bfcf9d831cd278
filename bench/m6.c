// SPDX-License-Identifier: GPL-2.0
/*
 * M6: what it costs to check a capability.
 *
 * EXO_CAP_CHECK (copy the struct in, MAC, generation, rights) less an ioctl that the module refuses
 * at once because the number is unknown: what is left is the check. No other system has the
 * operation; the bar of 400 instructions stands in the place of a peer.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "bench.h"

#define ROUNDS 2000
#define BAR 400
#define NR_NONE 0xff

struct m6 {
	struct exo_env *env;
	int fd;
	struct exo_cap cap;
	struct exo_cap_check check;
};

static double checks(void *ctx)
{
	struct m6 *m6 = ctx;
	uint64_t start = bench_now();
	int i;

	for (i = 0; i < ROUNDS; i++)
		bench_assert(ioctl(m6->fd, EXO_CAP_CHECK, &m6->check) == 0);
	return bench_since(start) / ROUNDS;
}

static double empty(void *ctx)
{
	struct m6 *m6 = ctx;
	uint64_t start = bench_now();
	int i;

	for (i = 0; i < ROUNDS; i++)
		bench_assert(ioctl(m6->fd, _IO(EXO_TYPE, NR_NONE), &m6->check) == -1 &&
			     errno == ENOTTY);
	return bench_since(start) / ROUNDS;
}

void m6_run(void)
{
	struct m6 m6 = { .env = bench_env(8) };
	double whole, nothing;
	struct exo_cap bad;
	uint32_t frame;

	m6.fd = exo_env_fd(m6.env);
	bench_must(exo_mem_alloc_any(m6.env, &frame, 1), "frame");
	bench_must(exo_cap_create(m6.env, EXO_CAP_FRAME, frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE,
				  &m6.cap),
		   "capability");
	m6.check.size = sizeof(m6.check);
	m6.check.cap = m6.cap;
	m6.check.rights = EXO_RIGHT_READ;
	bad = m6.cap;
	bad.mac ^= 1;
	bench_assert(exo_cap_check(m6.env, &bad, EXO_RIGHT_READ) == -EACCES);
	bench_assert(exo_cap_check(m6.env, &m6.cap, EXO_RIGHT_DERIVE) == -EACCES);
	whole = bench_measure("M6", checks, &m6);
	nothing = bench_measure("M6", empty, &m6);
	bench_assert(exo_cap_revoke_object(m6.env, EXO_CAP_FRAME, frame) == 0);
	bench_assert(exo_cap_check(m6.env, &m6.cap, EXO_RIGHT_READ) == -ESTALE);
	bench_row("M6", "check a capability", whole - nothing, BAR, "the bar (there is no peer)",
		  "EXO_CAP_CHECK %.0f less an ioctl that is refused at once %.0f", whole, nothing);
}
