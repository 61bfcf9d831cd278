// SPDX-License-Identifier: GPL-2.0
/*
 * appel-li: the seven primitives of "Virtual Memory Primitives for User Programs" (Appel and Li,
 * ASPLOS 1991) on exo, each in use: trap, prot1, protN, unprot, dirty, map2, pagesize.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <exo/libexo.h>

#define PAGES 100
#define RW (EXO_RIGHT_READ | EXO_RIGHT_WRITE)

static struct exo_env *env;
static struct exo_view *view;
static uint32_t frames[PAGES];
static volatile uint32_t traps, last_trap; /* by the handler, in the middle of a store */

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	if (ret == -ENOSPC)
		fprintf(stderr,
			"appel-li: the pool has not %d free frames; 'exoctl pool grow 512' as root adds some\n",
			PAGES);
	else
		fprintf(stderr, "appel-li: %s: %s\n", what, exo_strerror(ret));
	exit(1);
}

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "appel-li: %s: not what was expected\n", what);
	exit(1);
}

static volatile uint64_t *word(uint32_t page)
{
	return exo_view_addr(view, page);
}

static void protect(uint32_t page, uint32_t count, uint32_t rights)
{
	struct exo_mem_op op = exo_op(page, count, 0, rights);

	must(exo_view_protect(view, &op, 1, 0, NULL), "protect");
}

/* The handler of a garbage collector or a checkpointer: note the page, let the store go on. */
static int on_trap(struct exo_fault *fault, void *ctx)
{
	(void)ctx;
	traps++;
	last_trap = fault->page;
	if (!(fault->flags & EXO_FAULT_PROT))
		return -EFAULT;
	return exo_view_protect1(fault->view, fault->page, RW);
}

static void prot1_and_trap(void)
{
	protect(7, 1, EXO_RIGHT_READ);
	check(*word(7) == 7, "prot1: reading");
	*word(7) = 70;
	check(traps == 1 && last_trap == 7 && *word(7) == 70, "prot1 and trap");
	printf("prot1, trap   page 7 was write-protected; a store to it came to the handler, which let it through\n");
}

static void prot_n(void)
{
	uint32_t page;

	traps = 0;
	protect(0, PAGES, EXO_RIGHT_READ);
	for (page = 0; page < PAGES; page += 10)
		*word(page) = page;
	check(traps == PAGES / 10, "protN");
	printf("protN         %d pages write-protected in one call, %u stores, %u traps\n", PAGES,
	       PAGES / 10, traps);
}

static void unprot(void)
{
	uint32_t page;

	traps = 0;
	protect(0, PAGES, RW);
	for (page = 0; page < PAGES; page++)
		*word(page) = page + 1000;
	check(traps == 0, "unprot");
	printf("unprot        all of them unprotected in one call, %d stores, no trap\n", PAGES);
}

static void dirty(void)
{
	uint8_t bits[PAGES];
	uint32_t page, count;

	must(exo_view_harvest(view, 0, PAGES, EXO_HARVEST_CLEAR_DIRTY, bits, NULL, NULL),
	     "harvest");
	for (page = 3; page < PAGES; page += 25)
		*word(page) = page;
	must(exo_view_harvest(view, 0, PAGES, EXO_HARVEST_CLEAR_DIRTY, bits, NULL, &count),
	     "harvest");
	printf("dirty         stored to since the last call:");
	for (page = 0; page < PAGES; page++)
		if (bits[page] & EXO_OP_DIRTY)
			printf(" %u", page);
	printf("\n");
	check(count == 4 && (bits[3] & bits[28] & bits[53] & bits[78] & EXO_OP_DIRTY), "dirty");
}

static void map2(void)
{
	must(exo_view_bind1(view, 200, frames[5], RW), "bind a second time");
	protect(5, 1, EXO_RIGHT_READ);
	traps = 0;
	*word(200) = 555;
	check(*word(5) == 555 && !traps, "map2");
	printf("map2          frame %u at pages 5 (protected) and 200 (open): written at 200, %lu read at 5\n",
	       frames[5], (unsigned long)*word(5));
}

int main(void)
{
	uint32_t i;
	int ret = exo_env_open(&env, NULL);

	if (ret) {
		fprintf(stderr, "appel-li: %s\n", exo_open_hint(ret));
		return 1;
	}
	must(exo_mem_alloc_any(env, frames, PAGES), "frames");
	must(exo_view_create(env, &EXO_OPTS(exo_view, .pages = 512), &view), "view");
	for (i = 0; i < PAGES; i++) {
		must(exo_view_bind1(view, i, frames[i], RW), "bind");
		*word(i) = i;
	}
	must(exo_fault_register(env, on_trap, NULL, NULL), "fault handler");
	prot1_and_trap();
	prot_n();
	unprot();
	dirty();
	map2();
	printf("pagesize      %lu bytes; frames of 2 MiB, too: %s\n", EXO_PAGE_SIZE,
	       exo_env_info(env)->out_features & EXO_FEATURE_HUGE ? "yes" : "not here");
	must(exo_fault_unregister(env), "fault handler");
	must(exo_view_destroy(view), "view");
	must(exo_env_close(env), "close");
	return 0;
}
