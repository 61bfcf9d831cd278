// SPDX-License-Identifier: GPL-2.0
/*
 * The same graft in each of its modes: the stream comes out the same, and only the time differs.
 */
#include "embed.h"

#define SIZE 8192
#define TIMES 100
#define KEY 0x5eed5eed5eed5eedULL

EMBED(graft, "graft/encrypt.bpf.o");

static uint64_t run(struct exo_graft *graft, const void *from, void *to, uint32_t repeat)
{
	struct exo_graft_invoke invoke = {
		.repeat = repeat,
		.data = (uintptr_t)from,
		.data_out = (uintptr_t)to,
		.data_size = SIZE,
		.arg = { KEY },
	};
	int ret = exo_graft_run(graft, &invoke);

	if (ret || invoke.out_status != EXO_GRAFT_OK)
		die("graft-encrypt", ret ? exo_strerror(ret) :
					   exo_graft_status_text(invoke.out_status));
	if (invoke.out_result != SIZE / 8)
		die("graft-encrypt", "it did not encrypt all words");
	return invoke.out_ns / repeat;
}

int main(void)
{
	static char plain[SIZE], hidden[SIZE], first[SIZE], back[SIZE];
	struct exo_graft *graft;
	struct exo_env *env;
	uint32_t mode;
	uint64_t ns;
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("graft-encrypt", exo_open_hint(ret));
	snprintf(plain, SIZE, "attack at dawn");
	for (mode = EXO_GRAFT_PROOF; mode <= EXO_GRAFT_INTERP; mode++) {
		graft = load(env, graft_start, graft_end, mode);
		run(graft, plain, hidden, 1);
		run(graft, hidden, back, 1);
		ns = run(graft, plain, NULL, TIMES);
		if (memcmp(back, plain, SIZE) || !memcmp(hidden, plain, SIZE))
			die("graft-encrypt", "what was encrypted is not what comes back");
		if (mode == EXO_GRAFT_PROOF)
			memcpy(first, hidden, SIZE);
		if (memcmp(first, hidden, SIZE))
			die("graft-encrypt", "the modes differ");
		printf("  %d bytes: \"%s\" became %016llx..., and again \"%s\"; %llu ns\n", SIZE,
		       plain, *(unsigned long long *)hidden, back, (unsigned long long)ns);
		exo_graft_unload(graft);
	}
	printf("all modes gave the same\n");
	return exo_env_close(env) != 0;
}
