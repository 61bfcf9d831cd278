// SPDX-License-Identifier: GPL-2.0
/*
 * A database that reads its pages in order, once: what it has read it won't need again, which the
 * kernel can't know. Frames are taken from it by force, first by exo's own policy, then by a graft's.
 */
#include <unistd.h>

#include "embed.h"

#define PAGES 256
#define READ 160	/* so far */
#define WANTED 64

EMBED(graft, "graft/victim.bpf.o");

static uint32_t frames[PAGES];

static bool has_been_read(uint32_t frame)
{
	uint32_t i;

	for (i = 0; i < READ; i++)
		if (frames[i] == frame)
			return true;
	return false;
}

/* Root asks, nobody answers, and at the deadline they are taken: which? */
static void lose(struct exo_env *env, const char *policy)
{
	struct exo_mem_taken taken[PAGES];
	uint32_t asked = 0, needed = 0;
	int n = 0, i, tries, ret;

	ret = exo_mem_revoke(env, exo_env_info(env)->out_env, WANTED, 50, &asked);
	if (ret)
		die("graft-victim", ret == -EPERM ? "run it as root: only root may ask for frames" :
						    exo_strerror(ret));
	for (tries = 0; tries < 1200 && n < (int)asked; tries++) {
		usleep(50000);
		ret = exo_mem_log(env, taken + n, PAGES - (uint32_t)n, NULL);
		n += ret > 0 ? ret : 0;
	}
	for (i = 0; i < n; i++)
		needed += !has_been_read(taken[i].frame);
	printf("%s: %d frames were taken, %u of them are still to be read\n", policy, n, needed);
}

/* The pages that are still to be read were the first to be allocated: exo would take the oldest. */
static void fill(struct exo_env *env)
{
	uint32_t i;
	int ret = exo_mem_alloc_any(env, frames + READ, PAGES - READ);

	if (!ret)
		ret = exo_mem_alloc_any(env, frames, READ);
	if (ret)
		die("graft-victim", ret == -ENOSPC ? "no free frames: 'exoctl pool grow 512' as root" :
						     exo_strerror(ret));
	printf("%u pages, %u of them read:", PAGES, READ);
	for (i = 0; i < 4; i++)
		printf(" frame %u", frames[i]);
	printf(" ...\n");
}

int main(void)
{
	struct exo_graft *graft;
	struct exo_env *env;
	uint8_t *done;
	size_t size;
	uint32_t i;
	int ret = exo_env_open(&env, NULL);

	if (ret)
		die("graft-victim", exo_open_hint(ret));
	fill(env);
	lose(env, "exo's own policy");
	exo_env_close(env);

	ret = exo_env_open(&env, NULL);
	if (ret)
		die("graft-victim", exo_open_hint(ret));
	fill(env);
	graft = load(env, graft_start, graft_end, 0);
	done = exo_graft_state_var(graft, "done", &size);
	for (i = 0; i < READ; i++)
		__atomic_store_n(&done[frames[i] % size], 1, __ATOMIC_RELAXED);
	ret = exo_graft_attach(env, graft, NULL);
	if (ret)
		die("graft-victim", exo_strerror(ret));
	lose(env, "the database's");
	exo_graft_unload(graft);
	return exo_env_close(env) != 0;
}
