/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of libexo begin with: an environment that owns POOL frames, and must be able to close it
 * afterwards. Each program includes it once.
 */
#ifndef EXO_LIBEXO_SETUP_H
#define EXO_LIBEXO_SETUP_H

#include <exo/uring.h>

#include "harness.h"

#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)
#define POOL 256

#define CHECK(condition) ASSERT_TRUE(condition)

#define LIBEXO_TEST(name) \
	static void name##_body(void); \
	TEST_LONG(name, 60) \
	{ \
		set_up(); \
		name##_body(); \
		tear_down(); \
	} \
	static void name##_body(void)

static struct exo_env *env;
static uint32_t frames[POOL];

static void set_up(void)
{
	int ret;

	ret = exo_env_open(&env, NULL);
	if (ret)
		FAIL("%s", exo_open_hint(ret));
	ret = exo_mem_alloc_any(env, frames, POOL);
	if (ret)
		FAIL("%s", exo_strerror(ret));
}

static void tear_down(void)
{
	CHECK(exo_mem_free(env, frames, POOL, NULL) == 0);
	CHECK(exo_env_close(env) == 0);
}

static __attribute__((unused)) struct exo_view *view_of(uint32_t pages, uint32_t stlb, uint32_t flags)
{
	struct exo_view_opts opts = EXO_OPTS(exo_view, .pages = pages, .stlb = stlb,
					     .flags = flags);
	struct exo_view *view = NULL;
	int ret = exo_view_create(env, &opts, &view);

	if (ret)
		FAIL("exo_view_create: %s", exo_strerror(ret));
	return view;
}

static __attribute__((unused)) volatile uint64_t *word(struct exo_view *view, uint32_t page)
{
	return exo_view_addr(view, page);
}

#endif
