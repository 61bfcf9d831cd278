/* SPDX-License-Identifier: GPL-2.0 */
/* What both formats need: a root on a disk, a frame for I/O, a change. */
#ifndef EXO_SAMPLES_XN_STORE_H
#define EXO_SAMPLES_XN_STORE_H

#include <exo/libexo.h>

/* How often blocks that were found free may turn out to be taken since. */
#define STORE_TRIES 64

/**
 * struct store - an open root
 * @xn: the disk
 * @root: number of the root
 * @first: its first unit
 * @frame: for I/O, one block
 * @window: shows @frame
 * @memory: where
 * @change: used again and again
 */
struct store {
	struct exo_xn *xn;
	uint32_t root;
	uint64_t first;
	uint32_t frame;
	struct exo_window *window;
	void *memory;
	struct exo_xn_change *change;
};

/* A frame, and no root yet. */
int store_init(struct store *store, struct exo_env *env, struct exo_xn *xn);
/* A root that is there. */
int store_find(struct store *store, const char *name);
/* A new root of a template that is in an ELF file in memory, with this first unit of one block. */
int store_create(struct store *store, const char *name, const char *template_name, const void *elf,
		 size_t elf_size, const void *first);
void store_close(struct store *store);

/* One data block, which unit points at, into or from store->memory. */
int store_read(struct store *store, uint64_t unit, uint64_t block);
int store_write(struct store *store, uint64_t unit, uint64_t block);

#endif
