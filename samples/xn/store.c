// SPDX-License-Identifier: GPL-2.0
/* See store.h. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "store.h"

int store_init(struct store *store, struct exo_env *env, struct exo_xn *xn)
{
	int ret;

	memset(store, 0, sizeof(*store));
	store->xn = xn;
	ret = exo_mem_alloc_any(env, &store->frame, 1);
	if (!ret)
		ret = exo_window_map(env, store->frame, 1, PROT_READ | PROT_WRITE, &store->window);
	if (!ret)
		store->memory = exo_window_addr(store->window, store->frame);
	return ret;
}

static int open_root(struct store *store, uint32_t root, uint64_t first)
{
	uint8_t bytes[EXO_XN_BLOCK];
	int ret;

	store->root = root;
	store->first = first;
	/* Units are read from the first one downwards, so that the kernel knows what each belongs to. */
	ret = exo_xn_read(store->xn, root, first, first, bytes, sizeof(bytes));
	return ret < 0 ? ret : exo_xn_change_begin(store->xn, root, &store->change);
}

int store_find(struct store *store, const char *name)
{
	struct exo_xn_root root;
	int ret = exo_xn_root_find(store->xn, name, &root);

	return ret ? ret : open_root(store, root.root, root.out_block);
}

int store_create(struct store *store, const char *name, const char *template_name, const void *elf,
		 size_t elf_size, const void *first)
{
	char error[512] = "";
	uint64_t block;
	int ret;

	ret = exo_xn_template_install_memory(store->xn, elf, elf_size,
					     &EXO_OPTS(exo_xn_template, .name = template_name,
						       .error = error,
						       .error_size = sizeof(error)));
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", template_name, error);
		return ret;
	}
	ret = exo_xn_root_create(store->xn, name, (uint32_t)ret, first, EXO_XN_BLOCK, NULL, &block);
	return ret < 0 ? ret : open_root(store, (uint32_t)ret, block);
}

void store_close(struct store *store)
{
	exo_xn_change_end(store->change);
	exo_window_unmap(store->window);
	exo_mem_free(exo_xn_env(store->xn), &store->frame, 1, NULL);
}

static int move(struct store *store, uint64_t unit, uint64_t block, uint32_t rights)
{
	uint32_t binding;
	int ret = exo_xn_bind(store->xn, store->root, unit, block, 1, rights, &binding);

	if (ret)
		return ret;
	if (rights & EXO_RIGHT_WRITE)
		ret = exo_xn_io_write(store->xn, binding, 0, &store->frame, 1, 0);
	else
		ret = exo_xn_io_read(store->xn, binding, 0, &store->frame, 1);
	exo_xn_unbind(store->xn, binding);
	return ret;
}

int store_read(struct store *store, uint64_t unit, uint64_t block)
{
	return move(store, unit, block, EXO_RIGHT_READ);
}

int store_write(struct store *store, uint64_t unit, uint64_t block)
{
	return move(store, unit, block, EXO_RIGHT_WRITE);
}
