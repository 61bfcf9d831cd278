// SPDX-License-Identifier: GPL-2.0
/* hello: one frame of physical memory, at two addresses at once. For error checks see share.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <exo/libexo.h>

int main(void)
{
	struct exo_env *env;
	struct exo_view *view;
	uint32_t frame;
	int ret = exo_env_open(&env, NULL);

	if (ret || (ret = exo_mem_alloc_any(env, &frame, 1)))
		return fprintf(stderr, "hello: %s\n", ret == -ENOSPC ? "no free frame: 'exoctl pool grow 512' as root"
								 : exo_open_hint(ret)), 1;
	exo_view_create(env, &EXO_OPTS(exo_view, .pages = 512), &view);
	exo_view_bind1(view, 3, frame, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	exo_view_bind1(view, 77, frame, EXO_RIGHT_READ);
	strcpy(exo_view_addr(view, 3), "hello from physical memory");
	printf("frame %u, written at page 3, read at page 77: %s\n", frame, (char *)exo_view_addr(view, 77));
	exo_view_destroy(view);
	return exo_env_close(env) != 0;
}
