/* SPDX-License-Identifier: GPL-2.0 */
/* A graft's file inside the program, so that the program is one file: EMBED(name, "name.bpf.o"). */
#ifndef EXO_SAMPLES_EMBED_H
#define EXO_SAMPLES_EMBED_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <exo/libexo.h>

#define EMBED(name, file) \
	__asm__(".section .rodata\n.balign 16\n" #name "_start:\n.incbin \"" file "\"\n" #name \
		"_end:\n.previous\n"); \
	extern const char name##_start[], name##_end[]

static inline void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* Loads it in the best mode that is possible (mode 0) or exactly that one, and says which it got. */
static inline struct exo_graft *load(struct exo_env *env, const char *start, const char *end,
				     uint32_t mode)
{
	static const char *const modes[] = { "", "proof", "sandbox", "interpreted" };
	struct exo_graft_object *object;
	struct exo_graft *graft;
	char error[512] = "";
	int ret;

	ret = exo_graft_open_memory(&object, start, (size_t)(end - start),
				    &EXO_OPTS(exo_graft_open, .error = error,
					      .error_size = sizeof(error)));
	if (ret)
		die("the graft can't be opened", error);
	ret = exo_graft_load(env, object, &EXO_OPTS(exo_graft_load, .mode = mode, .error = error,
						    .error_size = sizeof(error)), &graft);
	if (ret)
		die("the graft is not loaded", error[0] ? error : exo_strerror(ret));
	if (error[0])
		printf("not as a proof: %s\n", error);
	printf("graft %u \"%s\": %s%s\n", exo_graft_id(graft), exo_graft_loaded(graft)->name,
	       modes[exo_graft_mode(graft)],
	       exo_graft_loaded(graft)->out_mixed ? ", its budget counted" : "");
	exo_graft_close(object);
	return graft;
}

#endif
