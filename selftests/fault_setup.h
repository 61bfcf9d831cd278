/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fault tests begin with: an environment, a view, frames that say which they are, and a handler
 * that binds what is missing. Each program includes it once.
 */
#ifndef EXO_FAULT_SETUP_H
#define EXO_FAULT_SETUP_H

#include <setjmp.h>
#include <signal.h>

#include <exo/libexo.h>

#include "harness.h"
#include "lib.h"

#define PAGES 1024
#define N 512

static struct exo_env *env;
static struct exo_view *view;
static uint32_t frames[N];

/* What the handler saw last, and what it is to do. */
static struct exo_fault last;
static volatile unsigned int calls;

static __attribute__((unused)) volatile uint64_t *at(uint32_t page)
{
	return exo_view_addr(view, page);
}

/* Page p is always frame p % N. */
static __attribute__((unused)) int bind_it(struct exo_fault *fault, void *ctx)
{
	int ret;

	last = *fault;
	calls++;
	if (fault->flags & EXO_FAULT_PROT)
		return exo_view_protect1(view, fault->page, RW);
	ret = exo_view_bind1(view, fault->page, frames[fault->page % N],
			     fault->flags & EXO_FAULT_WRITE ? RW : RO);
	return ret == -EBUSY ? 0 : ret;
}

static __attribute__((unused)) void setup(uint32_t flags, uint32_t stlb)
{
	int ret;

	ret = exo_env_open(&env, NULL);
	if (ret)
		FAIL("%s", exo_open_hint(ret));
	ASSERT_EQ(exo_mem_alloc_any(env, frames, N), 0);
	ASSERT_EQ(exo_view_create(env, &EXO_OPTS(exo_view, .pages = PAGES, .flags = flags, .stlb = stlb),
				  &view), 0);
	t_fill_each(exo_env_fd(env), frames, N, 1000);
}

static __attribute__((unused)) void setup_upcall(void)
{
	setup(0, 0);
	t_need_feature(exo_env_fd(env), EXO_FEATURE_UPCALL, "upcalls");
	ASSERT_EQ(exo_fault_register(env, bind_it, NULL, NULL), 0);
}

static sigjmp_buf escape;
static siginfo_t bus;

static __attribute__((unused)) void on_bus(int sig, siginfo_t *info, void *ctx)
{
	bus = *info;
	siglongjmp(escape, 1);
}

static __attribute__((unused)) void catch_bus(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGBUS, &action, NULL);
}

#endif
