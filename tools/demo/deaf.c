// SPDX-License-Identifier: GPL-2.0
/*
 * deaf FRAMES: an environment that holds frames and never answers when they are asked back.
 *
 * Says "holding N", sleeps until SIGTERM, then reads its repossession log, checks that what it was
 * left with is as it wrote it, and says both.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <exo/libexo.h>

static uint64_t stamp(uint32_t page)
{
	return 0xdeafdeaf00000000ULL + page;
}

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "deaf: %s: %s\n", what, exo_strerror(ret));
	exit(1);
}

static void hold(struct exo_env *env, uint32_t count, struct exo_view **out_view)
{
	struct exo_view *view;
	uint32_t *frames, i;

	frames = calloc(count, sizeof(*frames));
	if (!frames)
		exit(1);
	must(exo_view_create(env, &EXO_OPTS(exo_view, .pages = count), &view), "can't make a view");
	must(exo_mem_alloc_any(env, frames, count), "can't get the frames");
	for (i = 0; i < count; i++) {
		must(exo_view_bind1(view, i, frames[i], EXO_RIGHT_READ | EXO_RIGHT_WRITE),
		     "can't bind");
		*(volatile uint64_t *)exo_view_addr(view, i) = stamp(i);
	}
	free(frames);
	*out_view = view;
}

/* Every page is still there and untouched, or stands in the log. */
static int account(struct exo_env *env, struct exo_view *view, uint32_t count)
{
	struct exo_mem_taken entry, first = { 0 };
	uint32_t logged = 0, left = 0, wrong = 0, i;

	while (exo_mem_log(env, &entry, 1, NULL) == 1) {
		if (!logged++)
			first = entry;
		if (exo_view_page(view, (void *)(uintptr_t)entry.address) < 0)
			wrong++;
	}
	for (i = 0; i < count; i++) {
		if (!(exo_view_slot(view, i) & EXO_SLOT_BOUND))
			continue;
		left++;
		if (*(volatile uint64_t *)exo_view_addr(view, i) != stamp(i))
			wrong++;
	}
	printf("its log lists %" PRIu32 " frames", logged);
	if (logged)
		printf(", the first: frame %" PRIu32 " at address %#" PRIx64, first.frame,
		       (uint64_t)first.address);
	printf("; the %" PRIu32 " it kept are as it wrote them\n", left);
	if (wrong || left + logged != count)
		printf("but %" PRIu32 " are wrong, and %" PRIu32 " + %" PRIu32 " should be %" PRIu32
		       "\n",
		       wrong, logged, left, count);
	return wrong || left + logged != count;
}

int main(int argc, char **argv)
{
	struct exo_env *env;
	struct exo_view *view;
	sigset_t set;
	int ret, sig;
	uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;

	if (!count) {
		fprintf(stderr, "usage: deaf FRAMES\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ret = exo_env_open(&env, NULL);
	if (ret < 0) {
		fprintf(stderr, "deaf: %s\n", exo_open_hint(ret));
		return 1;
	}
	hold(env, count, &view);
	printf("holding %" PRIu32 "\n", count);
	fflush(stdout);
	sigwait(&set, &sig);
	return account(env, view, count);
}
