// SPDX-License-Identifier: GPL-2.0
/* Views anywhere in memory, and a random walk over one against a model of it. */
#include "view_setup.h"

/* ---- places --------------------------------------------------------------------------------------------- */

/* Catches: a view that begins in the middle of a page table (mem.md: learned tables). */
TEST(place__unaligned)
{
	static const size_t at[] = { PAGE, 8 * PAGE, 256 * PAGE, 511 * PAGE };
	uint32_t i, k;
	struct view v;

	setup(0);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(t_view_create(fd, 1500, 0, 0, &v), 0);
		ASSERT_EQ(t_view_map(&v, NULL, at[i]), 0);
		ASSERT_EQ((uintptr_t)v.base % HUGE_PAGE, at[i]);
		for (k = 0; k < N; k++)
			ASSERT_EQ(t_bind(&v, k * 23, 1, frames[k], RW), 0);
		for (k = 0; k < N; k++)
			ASSERT_EQ(*t_page(&v, k * 23), 1000 + k);
		ASSERT_EQ(t_bind(&v, 1499, 1, frames[0], RW), 0);
		ASSERT_EQ(*t_page(&v, 1499), 1000);
		ASSERT_EQ(t_unbind(&v, 0, 1500), 0);
		for (k = 0; k < N; k++) {
			uint64_t value;

			ASSERT_EQ(t_load(t_page(&v, k * 23), &value), SIGBUS);
		}
		t_view_end(&v);
	}
}

/* Catches: page tables that were learned for a mapping that is gone (INV-VIEW-8). */
TEST(place__mapped_again)
{
	uint32_t i;
	struct view v;

	setup(0);
	ASSERT_EQ(t_view_create(fd, 600, 0, 0, &v), 0);
	for (i = 0; i < 20; i++) {
		uint64_t value;

		ASSERT_EQ(t_view_map(&v, NULL, (i % 3) * 100 * PAGE), 0);
		/* A mapping begins empty. */
		ASSERT_EQ(bound(), 0);
		ASSERT_EQ(t_load(t_page(&v, 0), &value), SIGBUS);
		ASSERT_EQ(t_bind(&v, 0, 1, frames[i], RW), 0);
		ASSERT_EQ(t_bind(&v, 599, 1, frames[i], RO), 0);
		ASSERT_EQ(*t_page(&v, 0), 1000 + i);
		ASSERT_EQ(*t_page(&v, 599), 1000 + i);
		ASSERT_EQ(munmap(v.base, v.length), 0);
		ASSERT_NE(t_bind(&v, 1, 1, frames[0], RW), 0);
		/* Something else is in its place now; a stale table would be written here. */
		{
			char *mem = mmap(v.base, v.length, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

			ASSERT_EQ((long)mem, (long)v.base);
			mem[0] = 1;
			munmap(mem, v.length);
		}
	}
}

/* Catches: the pages that the module keeps for itself (its sentinels) being readable, or the end. */
TEST(place__beyond_the_end)
{
	uint64_t at, value;

	setup(0);
	ASSERT_EQ(t_bind(&view, 2047, 1, frames[0], RW), 0);
	for (at = 2048 * PAGE; at < view.length; at += PAGE)
		ASSERT_EQ(t_load((void *)(view.base + at), &value), SIGBUS);
	/* After a batch big enough for a flush with sentinels as well. */
	ASSERT_EQ(t_unbind(&view, 0, 2048), 0);
	for (at = 2048 * PAGE; at < view.length; at += PAGE)
		ASSERT_EQ(t_load((void *)(view.base + at), &value), SIGBUS);
}

/* Catches: counts that are off in long, sparse views. */
TEST(place__sparse)
{
	struct exo_info info;
	uint64_t seed = test_seed();
	uint32_t i, page[N];
	struct view v;

	setup(0);
	t_info(fd, &info);
	ASSERT_EQ(t_view_create(fd, info.out_view_pages, 0, 0, &v), 0);
	ASSERT_EQ(t_view_map(&v, NULL, 0), 0);
	for (i = 0; i < N; i++) {
		do {
			page[i] = (uint32_t)(test_random(&seed) % info.out_view_pages);
		} while (t_bind(&v, page[i], 1, frames[i], RW));
	}
	for (i = 0; i < N; i++)
		ASSERT_EQ(*t_page(&v, page[i]), 1000 + i);
	ASSERT_EQ(bound(), N);
	for (i = 0; i < N; i++)
		ASSERT_EQ(t_unbind(&v, page[i], 1), 0);
	ASSERT_EQ(bound(), 0);
	t_view_end(&v);
}

/* ---- a random walk ------------------------------------------------------------------------------------------ */

/*
 * Catches: what nobody thought of. A model in user space does the same operations; after each, slots,
 * page contents and rights must be the model's.
 */
TEST_LONG(random__against_model, 60)
{
	static struct {
		uint32_t frame;		/* index + 1 */
		bool write;
	} model[256];
	uint64_t seed = test_seed();
	uint32_t rounds = test_rounds(6000, 6), i, done;

	setup(0);
	for (i = 0; i < rounds; i++) {
		struct exo_mem_op ops[8];
		uint32_t n = 1 + test_random(&seed) % 8, k, cmd = test_random(&seed) % 4, want_done = 0;
		uint32_t idx[8], page;
		int want = 0, ret;

		for (k = 0; k < n; k++) {
			idx[k] = (uint32_t)(test_random(&seed) % N);
			ops[k] = op((uint32_t)(test_random(&seed) % 256), 1, frames[idx[k]],
				    test_random(&seed) & 1 ? RW : RO);
			if (cmd == 1)
				ops[k].frame = ops[k].rights = 0;
			if (cmd == 3)
				ops[k].frame = 0;
		}
		for (k = 0; k < n && !want; k++) {
			page = ops[k].page;
			switch (cmd) {
			case 0:
				if (model[page].frame)
					want = -EBUSY;
				/* fall through */
			case 2:
				if (!want) {
					model[page].frame = idx[k] + 1;
					model[page].write = ops[k].rights == RW;
				}
				break;
			case 1:
				model[page].frame = 0;
				break;
			case 3:
				if (!model[page].frame)
					want = -ENOENT;
				else
					model[page].write = ops[k].rights == RW;
			}
			want_done += !want;
		}
		ret = t_batch(&view, cmd == 0 ? EXO_MEM_BIND : cmd == 1 ? EXO_MEM_UNBIND :
			      cmd == 2 ? EXO_MEM_REBIND : EXO_MEM_PROTECT, ops, n, 0, &done);
		ASSERT_EQ_FOR(ret, want, "round %u, command %u", i, cmd);
		ASSERT_EQ(done, want_done);
		for (k = 0; k < n; k++) {
			page = ops[k].page;
			if (!model[page].frame) {
				ASSERT_EQ(view.slots[page], 0);
				ASSERT_EQ(sig_load(page), SIGBUS);
				continue;
			}
			ASSERT_EQ(*t_page(&view, page), 1000 + model[page].frame - 1);
			ASSERT_EQ(t_store(t_page(&view, page) + 9, i), model[page].write ? 0 : SIGBUS);
			ASSERT_EQ(view.slots[page], EXO_SLOT_BOUND |
				  (model[page].write ? EXO_SLOT_WRITE : 0) |
				  frames[model[page].frame - 1]);
		}
	}
	for (i = done = 0; i < 256; i++)
		done += !!model[i].frame;
	ASSERT_EQ(bound(), done);
}
