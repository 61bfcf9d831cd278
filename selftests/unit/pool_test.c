// SPDX-License-Identifier: GPL-2.0
#include "core/pool.h"
#include "unit.h"

#define BLOCKS 70		/* more than one word of the summary bitmaps */
#define FRAMES (BLOCKS * EXO_HUGE_FRAMES)
#define COLOURS 16
#define NODES 2

/* A pool, and beside it the plainest description of what should be in it. */
struct world {
	struct exo_pool pool;
	struct exo_block *block[BLOCKS];
	struct exo_frame_entry entry[FRAMES];
	u64 some[2][2];
	u8 state[FRAMES];
	u32 pfn[FRAMES];	/* pretended; 0: none */
};

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	CHECK(w);
	w->pool.block = w->block;
	w->pool.nr_blocks = BLOCKS;
	w->pool.some[0] = w->some[0];
	w->pool.some[1] = w->some[1];
	return w;
}

static void world_free(struct world *w)
{
	u32 i;

	for (i = 0; i < BLOCKS; i++)
		free(w->block[i]);
	free(w);
}

static struct exo_block *open_block(struct world *w, u32 at, u8 order, u8 node)
{
	if (!w->block[at]) {
		w->block[at] = calloc(1, sizeof(*w->block[at]));
		CHECK(w->block[at]);
		w->block[at]->entry = &w->entry[at * EXO_HUGE_FRAMES];
	}
	if (!w->block[at]->nr_present) {
		w->block[at]->order = order;
		w->block[at]->node = node;
	}
	return w->block[at];
}

static void add(struct world *w, u32 nr, u32 pfn)
{
	bool after = nr && w->pfn[nr - 1] && w->pfn[nr - 1] + 1 == pfn;
	bool before = nr + 1 < FRAMES && w->pfn[nr + 1] == pfn + 1;

	exo_pool_add(&w->pool, nr, pfn % COLOURS, after, before);
	w->pfn[nr] = pfn;
	w->state[nr] = EXO_FRAME_TAKEN;
}

static u32 span_of(const struct world *w, u32 nr)
{
	return w->block[nr / EXO_HUGE_FRAMES]->order ? EXO_HUGE_FRAMES : 1;
}

static void set(struct world *w, u32 nr, u8 state)
{
	u32 i, span = span_of(w, nr);

	for (i = 0; i < span; i++) {
		w->state[nr + i] = state;
		if (state == EXO_FRAME_ABSENT)
			w->pfn[nr + i] = 0;
	}
}

static void put(struct world *w, u32 nr)
{
	exo_pool_put(&w->pool, nr);
	set(w, nr, EXO_FRAME_FREE);
}

/* A whole block; contiguous, or of single pages. */
static void fill(struct world *w, u32 at, u8 order, u8 node, u32 pfn, bool contiguous)
{
	u32 i, nr = at * EXO_HUGE_FRAMES;

	open_block(w, at, order, node);
	for (i = 0; i < EXO_HUGE_FRAMES; i++)
		add(w, nr + i, contiguous ? pfn + i : pfn + 2 * i);
	for (i = 0; i < EXO_HUGE_FRAMES; i += order ? EXO_HUGE_FRAMES : 1)
		put(w, nr + i);
}

static void check(struct world *w)
{
	u32 nr, kind, present[2] = { 0 }, nr_free[2] = { 0 };

	for (nr = 0; nr < FRAMES; nr++) {
		struct exo_block *block = w->block[nr / EXO_HUGE_FRAMES];
		bool link;

		if (!block)
			continue;
		kind = block->order ? 1 : 0;
		CHECK_EQ(w->entry[nr].state, w->state[nr]);
		present[kind] += w->state[nr] != EXO_FRAME_ABSENT;
		nr_free[kind] += w->state[nr] == EXO_FRAME_FREE;
		link = w->pfn[nr] && nr + 1 < FRAMES && w->pfn[nr + 1] == w->pfn[nr] + 1;
		CHECK_EQ(!!(w->entry[nr].flags & EXO_FRAME_CONTIG), link);
		if (w->state[nr] == EXO_FRAME_ABSENT)
			continue;
		CHECK_EQ(w->entry[nr].colour, w->pfn[nr] % COLOURS);
		CHECK_EQ(w->entry[nr].order, block->order);
		CHECK_EQ(w->entry[nr].node, block->node);
	}
	for (kind = 0; kind < 2; kind++) {
		CHECK_EQ(w->pool.present[kind], present[kind]);
		CHECK_EQ(w->pool.free[kind], nr_free[kind]);
	}
}

TEST(exo_pool_take_any__fills_low_blocks_first)
{
	struct world *w = world_new();
	u32 out[600];

	fill(w, 3, 0, 0, 1000, true);
	fill(w, 65, 0, 0, 9000, true);
	CHECK_EQ(exo_pool_take_any(&w->pool, EXO_POOL_NODE_ANY, 600, out), 600);
	CHECK_EQ(out[0], 3 * 512);
	CHECK_EQ(out[511], 3 * 512 + 511);
	CHECK_EQ(out[512], 65 * 512);
	put(w, out[5]);
	CHECK_EQ(exo_pool_take_any(&w->pool, EXO_POOL_NODE_ANY, 1, out + 1), 1);
	CHECK_EQ(out[1], out[5]);
	world_free(w);
}

/* What exo_pool_take_any() would take, if exo_pool_allow() lets it, and nothing else. */
TEST(exo_pool_take_one__the_lowest_if_allowed)
{
	struct world *w = world_new();
	u32 nr = ~0U, any, i;

	CHECK(!exo_pool_take_one(&w->pool, 0, 0, &nr));
	fill(w, 0, EXO_HUGE_ORDER, 0, 512, true);
	CHECK(!exo_pool_take_one(&w->pool, 0, 1, &nr));
	CHECK_EQ(nr, ~0U);
	fill(w, 65, 0, 0, 9000, true);
	fill(w, 3, 0, 0, 1000, true);
	for (i = 0; i < 700; i++) {
		CHECK_EQ(exo_pool_take_any(&w->pool, EXO_POOL_NODE_ANY, 1, &any), 1);
		put(w, any);
		CHECK(exo_pool_take_one(&w->pool, 0, 0, &nr));
		CHECK_EQ(nr, any);
		set(w, nr, EXO_FRAME_TAKEN);
	}
	/* 324 are free. */
	CHECK(!exo_pool_take_one(&w->pool, 324, 0, &nr));
	CHECK(exo_pool_take_one(&w->pool, 324, 1, &nr));
	set(w, nr, EXO_FRAME_TAKEN);
	CHECK(exo_pool_take_one(&w->pool, 322, 0, &nr));
	set(w, nr, EXO_FRAME_TAKEN);
	check(w);
	world_free(w);
}

TEST(exo_pool_take_any__never_breaks_a_2m_frame)
{
	struct world *w = world_new();
	u32 out[4];

	fill(w, 0, EXO_HUGE_ORDER, 0, 512, true);
	CHECK_EQ(exo_pool_take_any(&w->pool, EXO_POOL_NODE_ANY, 4, out), 0);
	CHECK_EQ(exo_pool_take_colour(&w->pool, 1, EXO_POOL_NODE_ANY, 4, out), 0);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 4, out), -ENOSPC);
	world_free(w);
}

TEST(exo_pool_take_any__node)
{
	struct world *w = world_new();
	u32 out[600];

	fill(w, 0, 0, 0, 1000, true);
	fill(w, 1, 0, 1, 5000, true);
	CHECK_EQ(exo_pool_take_any(&w->pool, 1, 600, out), 512);
	CHECK_EQ(out[0], 512);
	CHECK_EQ(exo_pool_take_any(&w->pool, 7, 1, out), 0);
	CHECK_EQ(exo_pool_take_any(&w->pool, EXO_POOL_NODE_ANY, 1, out), 1);
	CHECK_EQ(out[0], 0);
	world_free(w);
}

TEST(exo_pool_take_this__errors)
{
	struct world *w = world_new();

	fill(w, 0, 0, 0, 1000, true);
	fill(w, 1, EXO_HUGE_ORDER, 0, 4096, true);
	CHECK_EQ(exo_pool_take_this(&w->pool, 7), 0);
	CHECK_EQ(exo_pool_take_this(&w->pool, 7), -EBUSY);
	CHECK_EQ(exo_pool_take_this(&w->pool, 2 * 512), -ENOENT);
	CHECK_EQ(exo_pool_take_this(&w->pool, FRAMES), -ENOENT);
	CHECK_EQ(exo_pool_take_this(&w->pool, 512 + 1), -EINVAL);
	CHECK_EQ(exo_pool_take_this(&w->pool, 512), 0);
	CHECK_EQ(exo_pool_take_this(&w->pool, 512), -EBUSY);
	set(w, 7, EXO_FRAME_TAKEN);
	set(w, 512, EXO_FRAME_TAKEN);
	check(w);
	world_free(w);
}

TEST(exo_pool_take_colour__all_of_one)
{
	struct world *w = world_new();
	u32 i, n, out[100];

	fill(w, 0, 0, 0, 1000, true);
	fill(w, 1, 0, 0, 8000, false);	/* even colours only */
	n = exo_pool_take_colour(&w->pool, 3, EXO_POOL_NODE_ANY, 100, out);
	CHECK_EQ(n, 512 / COLOURS);
	for (i = 0; i < n; i++)
		CHECK_EQ(w->entry[out[i]].colour, 3);
	n = exo_pool_take_colour(&w->pool, 4, EXO_POOL_NODE_ANY, 100, out);
	CHECK_EQ(n, 512 / COLOURS + 512 / COLOURS * 2);
	for (i = 0; i < n; i++)
		CHECK_EQ(w->entry[out[i]].colour, 4);
	world_free(w);
}

TEST(exo_pool_take_contig__across_blocks)
{
	struct world *w = world_new();
	u32 first;

	fill(w, 4, 0, 0, 1000, true);
	fill(w, 5, 0, 0, 1512, true);
	fill(w, 6, 0, 0, 2024, true);
	CHECK_EQ(exo_pool_take_this(&w->pool, 4 * 512 + 9), 0);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 1527, &first), -ENOSPC);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 1526, &first), 0);
	CHECK_EQ(first, 4 * 512 + 10);
	world_free(w);
}

TEST(exo_pool_take_contig__neighbours_that_are_not_adjacent)
{
	struct world *w = world_new();
	u32 first;

	fill(w, 0, 0, 0, 1000, true);
	fill(w, 1, 0, 0, 5000, true);
	fill(w, 2, 0, 0, 9000, false);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 513, &first), -ENOSPC);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 512, &first), 0);
	CHECK_EQ(first, 0);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 512, &first), 0);
	CHECK_EQ(first, 512);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 2, &first), -ENOSPC);
	CHECK_EQ(exo_pool_take_contig(&w->pool, EXO_POOL_NODE_ANY, 1, &first), 0);
	CHECK_EQ(first, 1024);
	world_free(w);
}

TEST(exo_pool_take_idle__highest_first)
{
	struct world *w = world_new();
	u32 out[600];

	fill(w, 1, 0, 0, 1000, true);
	fill(w, 64, 0, 0, 5000, true);
	fill(w, 2, EXO_HUGE_ORDER, 0, 10240, true);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_SMALL, EXO_POOL_NODE_ANY, 600, out), 600);
	CHECK_EQ(out[0], 64 * 512);
	CHECK_EQ(out[512], 512);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_HUGE_KIND, EXO_POOL_NODE_ANY, 2, out), 1);
	CHECK_EQ(out[0], 1024);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_HUGE_KIND, EXO_POOL_NODE_ANY, 2, out), 0);
	world_free(w);
}

TEST(exo_pool_take_idle__node)
{
	struct world *w = world_new();
	u32 out[1200];

	fill(w, 1, 0, 0, 1000, true);
	fill(w, 2, 0, 1, 5000, true);
	fill(w, 3, 0, 0, 9000, true);
	fill(w, 64, 0, 1, 20480, true);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_SMALL, 0, 600, out), 600);
	CHECK_EQ(out[0], 3 * 512);
	CHECK_EQ(out[512], 512);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_SMALL, 0, 600, out), 424);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_SMALL, 1, 1200, out), 1024);
	CHECK_EQ(out[0], 64 * 512);
	CHECK_EQ(out[512], 2 * 512);
	CHECK_EQ(exo_pool_take_idle(&w->pool, EXO_POOL_SMALL, 7, 1, out), 0);
	world_free(w);
}

TEST(exo_pool_hole__and_empty_block)
{
	struct world *w = world_new();
	u32 nr;

	CHECK_EQ(exo_pool_hole(&w->pool, EXO_POOL_NODE_ANY, &nr), -ENOSPC);
	CHECK_EQ(exo_pool_empty_block(&w->pool, &nr), 0);
	CHECK_EQ(nr, 0);
	fill(w, 0, 0, 1, 1000, true);
	CHECK_EQ(exo_pool_hole(&w->pool, EXO_POOL_NODE_ANY, &nr), -ENOSPC);
	CHECK_EQ(exo_pool_take_this(&w->pool, 77), 0);
	exo_pool_remove_taken(&w->pool, 77);
	set(w, 77, EXO_FRAME_ABSENT);
	CHECK_EQ(exo_pool_hole(&w->pool, 0, &nr), -ENOSPC);
	CHECK_EQ(exo_pool_hole(&w->pool, 1, &nr), 0);
	CHECK_EQ(nr, 77);
	CHECK_EQ(exo_pool_empty_block(&w->pool, &nr), 0);
	CHECK_EQ(nr, 1);
	check(w);
	world_free(w);
}

/* What a request got must be what it asked for, and only what was free. */
static void took(struct world *w, const u32 *out, u32 n, u32 node)
{
	u32 i;

	for (i = 0; i < n; i++) {
		CHECK(out[i] < FRAMES);
		CHECK_EQ(w->state[out[i]], EXO_FRAME_FREE);
		if (node != EXO_POOL_NODE_ANY)
			CHECK_EQ(w->entry[out[i]].node, node);
		set(w, out[i], EXO_FRAME_TAKEN);
	}
}

static bool run_is_free(const struct world *w, u32 nr, u32 n, u32 node)
{
	u32 i;

	for (i = 0; i < n; i++, nr++) {
		const struct exo_block *block = w->block[nr / EXO_HUGE_FRAMES];

		if (!block || block->order || w->state[nr] != EXO_FRAME_FREE)
			return false;
		if (node != EXO_POOL_NODE_ANY && block->node != node)
			return false;
		if (i && w->pfn[nr] != w->pfn[nr - 1] + 1)
			return false;
	}
	return true;
}

/* A run is refused only if there is none. */
static void random_contig(struct world *w, u32 node)
{
	u32 i, nr, n = 1 + unit_below(unit_below(4) ? 40 : 1500), first;

	if (!exo_pool_take_contig(&w->pool, node, n, &first)) {
		CHECK(first + n <= FRAMES);
		CHECK(run_is_free(w, first, n, node));
		for (i = 0; i < n; i++)
			set(w, first + i, EXO_FRAME_TAKEN);
		return;
	}
	for (nr = 0; nr + n <= FRAMES; nr++)
		CHECK(!run_is_free(w, nr, n, node));
}

static void random_grow(struct world *w, u32 *next_pfn)
{
	u32 at = unit_below(BLOCKS);

	if (w->block[at] && w->block[at]->nr_present)
		return;
	/* Often right behind the one before, to make runs that cross. */
	if (unit_below(3))
		*next_pfn += 3 + unit_below(1000);
	fill(w, at, unit_below(4) ? 0 : EXO_HUGE_ORDER, unit_below(NODES), *next_pfn,
	     unit_below(4));
	*next_pfn += 2 * EXO_HUGE_FRAMES;
	if (unit_below(2))
		*next_pfn -= EXO_HUGE_FRAMES;
}

static void random_release(struct world *w)
{
	u32 i, n, out[64];

	switch (unit_below(3)) {
	case 0:
		for (i = 0; i < 300; i++) {
			u32 nr = unit_below(FRAMES);

			if (w->state[nr] != EXO_FRAME_TAKEN)
				continue;
			put(w, nr & ~(span_of(w, nr) - 1));
		}
		break;
	case 1:
		n = exo_pool_take_idle(&w->pool, unit_below(2), EXO_POOL_NODE_ANY, unit_below(64), out);
		took(w, out, n, EXO_POOL_NODE_ANY);
		for (i = 0; i < n; i++) {
			u32 span = span_of(w, out[i]);

			exo_pool_remove_taken(&w->pool, out[i]);
			while (span--) {
				w->state[out[i] + span] = EXO_FRAME_ABSENT;
				w->pfn[out[i] + span] = 0;
			}
		}
		break;
	default:
		if (exo_pool_hole(&w->pool, EXO_POOL_NODE_ANY, &i))
			break;
		CHECK_EQ(w->state[i], EXO_FRAME_ABSENT);
		add(w, i, 0x40000000 + 2 * unit_below(1U << 28));
		put(w, i);
	}
}

static bool any_free_of(const struct world *w, u16 colour)
{
	u32 nr;

	for (nr = 0; nr < FRAMES; nr++)
		if (w->state[nr] == EXO_FRAME_FREE && !w->entry[nr].order &&
		    w->entry[nr].colour == colour)
			return true;
	return false;
}

TEST(exo_pool__random_against_a_model)
{
	struct world *w = world_new();
	u32 i, k, n, want, node, next_pfn = 4096, out[700];
	u16 colour;

	for (i = 0; i < unit_rounds(4000); i++) {
		node = unit_below(3) ? EXO_POOL_NODE_ANY : unit_below(NODES);
		want = unit_below(unit_below(4) ? 20 : 700);
		switch (unit_below(7)) {
		case 0:
			random_grow(w, &next_pfn);
			break;
		case 1:
		case 2:
			random_release(w);
			break;
		case 3:
			n = exo_pool_take_any(&w->pool, node, want, out);
			took(w, out, n, node);
			if (n < want && node == EXO_POOL_NODE_ANY)
				CHECK_EQ(w->pool.free[EXO_POOL_SMALL], 0);
			break;
		case 4:
			colour = unit_below(COLOURS);
			n = exo_pool_take_colour(&w->pool, colour, node, want, out);
			took(w, out, n, node);
			for (k = 0; k < n; k++)
				CHECK_EQ(w->entry[out[k]].colour, colour);
			if (n < want && node == EXO_POOL_NODE_ANY)
				CHECK(!any_free_of(w, colour));
			break;
		case 5:
			random_contig(w, node);
			break;
		default:
			n = exo_pool_take_huge(&w->pool, node, want % 4, out);
			took(w, out, n, node);
			if (n < want % 4 && node == EXO_POOL_NODE_ANY)
				CHECK_EQ(w->pool.free[EXO_POOL_HUGE_KIND], 0);
		}
		check(w);
	}
	world_free(w);
}

static const struct exo_pool small_pool = {
	.free = { 100, 1024 }, .present = { 1000, 2048 },
};

/* Catches: a stranger who takes what others are guaranteed, and a guarantee that isn't one. */
TEST(exo_pool_allow__keeps_the_others_minima)
{
	const struct exo_pool *pool = &small_pool;

	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 0, 30, 0), 30);
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 0, 300, 0), 100);
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 80, 30, 0), 20);
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 100, 30, 0), 0);
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 200, 30, 0), 0);
	/* One's own part, even if the others' is not there. */
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 200, 30, 10), 10);
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 200, 30, 30), 30);
	/* What was charged already is not kept any more: nobody loses by it. */
	CHECK_EQ(exo_pool_allow(pool, EXO_POOL_SMALL, 70, 30, 30), 30);
}

TEST(exo_pool_spare__small_frames_first)
{
	const struct exo_pool *pool = &small_pool;

	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_SMALL, 40), 60);
	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_HUGE_KIND, 40), 1024);
	/* As many as are present, not as are free: the holders may be asked. */
	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_SMALL, 1000), 0);
	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_HUGE_KIND, 1000), 1024);
	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_HUGE_KIND, 1001), 1023);
	CHECK_EQ(exo_pool_spare(pool, EXO_POOL_HUGE_KIND, ~0U), 0);
	CHECK(!exo_pool_is_short(pool, EXO_POOL_SMALL, 100));
	CHECK(exo_pool_is_short(pool, EXO_POOL_SMALL, 101));
	CHECK(!exo_pool_is_short(pool, EXO_POOL_HUGE_KIND, 2024));
	CHECK(exo_pool_is_short(pool, EXO_POOL_HUGE_KIND, 2025));
}

/* Catches: others who are asked for more than what is guaranteed and not free. */
TEST(exo_pool_missing__what_is_not_free)
{
	const struct exo_pool *pool = &small_pool;

	CHECK_EQ(exo_pool_missing(pool, 0), 0);
	CHECK_EQ(exo_pool_missing(pool, 100), 0);
	CHECK_EQ(exo_pool_missing(pool, 164), 64);
	CHECK_EQ(exo_pool_missing(pool, 1000), 900);
	CHECK_EQ(exo_pool_missing(pool, 2024), 900);
	CHECK_EQ(exo_pool_missing(pool, 2034), 910);
}
