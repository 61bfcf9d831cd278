// SPDX-License-Identifier: GPL-2.0
/*
 * A view that is filled on demand, without an upcall: pages are touched, and a graft in the kernel
 * binds frames of a list that this program and the graft share.
 */
#include "embed.h"

#define PAGES 512
#define LENGTH 1024

EMBED(graft, "graft/fault.bpf.o");

int main(void)
{
	uint64_t *given, *filled;
	struct exo_graft_info info;
	uint32_t *frames, page;
	struct exo_graft *graft;
	struct exo_view *view;
	struct exo_env *env;
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("graft-fault", exo_open_hint(ret));
	graft = load(env, graft_start, graft_end, 0);
	frames = exo_graft_state_var(graft, "frames", NULL);
	given = exo_graft_state_var(graft, "given", NULL);
	filled = exo_graft_state_var(graft, "filled", NULL);

	ret = exo_mem_alloc_any(env, frames, PAGES);
	if (ret)
		die("graft-fault", ret == -ENOSPC ? "no free frames: 'exoctl pool grow 512' as root" :
						    exo_strerror(ret));
	__atomic_store_n(filled, PAGES, __ATOMIC_RELEASE);
	printf("%u frames in the list\n", PAGES);

	ret = exo_view_create(env, &EXO_OPTS(exo_view, .pages = PAGES), &view);
	if (!ret)
		ret = exo_graft_attach(env, graft, &EXO_OPTS(exo_graft_attach, .view = view));
	if (ret)
		die("graft-fault", exo_strerror(ret));
	for (page = 0; page < PAGES; page++)
		*(uint32_t *)exo_view_addr(view, page) = page * 7;
	for (page = 0; page < PAGES; page++)
		if (*(uint32_t *)exo_view_addr(view, page) != page * 7)
			die("graft-fault", "a page holds what it should not");

	exo_graft_status(env, exo_graft_id(graft), &info);
	printf("%u pages touched; the graft ran %llu times, was aborted %llu times, and gave %llu "
	       "frames\n", PAGES, (unsigned long long)info.out_runs,
	       (unsigned long long)info.out_aborts[EXO_GRAFT_ABORT_HELPER],
	       (unsigned long long)*given);
	printf("page 3 is frame %u, page 400 is frame %u: every value was the right one\n",
	       (uint32_t)EXO_SLOT_FRAME(exo_view_slot(view, 3)),
	       (uint32_t)EXO_SLOT_FRAME(exo_view_slot(view, 400)));
	exo_graft_detach(env, EXO_HOOK_FAULT, view);
	exo_graft_unload(graft);
	exo_view_destroy(view);
	return exo_env_close(env) != 0;
}
