// SPDX-License-Identifier: GPL-2.0
/* M8 on a mapping of the device: no misses to handle, no policy, no prefetch. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "m8.h"

struct mapping {
	char *base;
	size_t length;
};

static inline void *mapping_page(const struct mapping *mapping, uint32_t page)
{
	return mapping->base + page * PAGE;
}

#define TREE_STORE struct mapping
#define TREE_PAGE(store, page) mapping_page(store, page)
#define TREE_NEW(store, out) (-EROFS)
#define TREE_PREFETCH(store, pages, n) 0
#include "tree.h"
#include "m8_ops.h"

struct mmap_store {
	struct mapping mapping;
	struct tree tree;
};

static void *open_store(struct m8 *m8)
{
	struct mmap_store *store = calloc(1, sizeof(*store));
	int fd = open(m8->path, O_RDONLY | O_CLOEXEC);

	if (!store || fd < 0)
		bench_fail("cannot open %s: %s", m8->path, strerror(errno));
	bench_write_file("/proc/sys/vm/drop_caches", "3");
	store->mapping.length = m8->pages * PAGE;
	store->mapping.base = mmap(NULL, store->mapping.length, PROT_READ, MAP_SHARED, fd,
				   (off_t)(m8->first * PAGE));
	if (store->mapping.base == MAP_FAILED)
		bench_fail("mmap of %s: %s", m8->path, strerror(errno));
	if (m8->random && madvise(store->mapping.base, store->mapping.length, MADV_RANDOM))
		bench_fail("MADV_RANDOM: %s", strerror(errno));
	close(fd);
	bench_must(tree_open(&store->tree, &store->mapping), "no tree on the device");
	return store;
}

static double run(void *handle, struct m8 *m8)
{
	return m8_ops(&((struct mmap_store *)handle)->tree, m8);
}

static void close_store(void *handle)
{
	struct mmap_store *store = handle;

	munmap(store->mapping.base, store->mapping.length);
	free(store);
}

const struct m8_store m8_mmap = {
	.name = "mmap",
	.open = open_store,
	.run = run,
	.close = close_store,
};
