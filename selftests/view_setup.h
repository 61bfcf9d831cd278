/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of views begin with. Each program includes it once. */
#ifndef EXO_VIEW_SETUP_H
#define EXO_VIEW_SETUP_H

#include <signal.h>

#include "harness.h"
#include "lib.h"

uint32_t test_pool_frames = 4096;

#define N 64

static int fd;
static struct view view;
static uint32_t frames[N];

/* An environment, a view of 2048 pages, N frames; frame i says so in its first words. */
static __attribute__((unused)) void setup(uint32_t flags)
{
	fd = t_open();
	t_view(fd, 2048, flags, 0, &view);
	t_alloc_any(fd, frames, N);
	t_fill_each(fd, frames, N, 1000);
}

static __attribute__((unused)) struct exo_mem_op op(uint32_t page, uint32_t count, uint32_t frame, uint32_t rights)
{
	return (struct exo_mem_op){ page, count, frame, (uint16_t)rights, 0 };
}

static __attribute__((unused)) int sig_load(uint32_t page)
{
	uint64_t value;

	return t_load(t_page(&view, page), &value);
}

static __attribute__((unused)) uint64_t bound(void)
{
	struct exo_env_status st;

	t_status(fd, &st);
	return st.out_bound;
}

#endif
