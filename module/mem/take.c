// SPDX-License-Identifier: GPL-2.0
/*
 * Which frames a request gets: chosen under the pool lock, less what is kept for those who are
 * guaranteed some. They are taken then, but nobody's yet.
 */
#include "mem/pool.h"
#include "mem/take.h"

/*
 * How many of @n more one may take, in 4 KiB: the last ones are kept for those who are guaranteed
 * some. @mine: so many the caller is guaranteed of what it wanted; @got: so many it has.
 */
static u32 allow_locked(const struct exo_pool *pool, unsigned int kind, u32 n, u32 mine, u32 got)
{
	u32 kept = exo_user_unused_total();

	return exo_pool_allow(pool, kind, kept - min(kept, mine), n, mine - min(mine, got));
}

static int take_this_locked(struct exo_pool *pool, u32 nr, u32 span, u32 mine)
{
	unsigned int kind = exo_pool_kind(exo_frame(nr)->order);
	bool allowed = allow_locked(pool, kind, span, mine, 0) == span;
	int ret;

	/* Since it was charged, the block may have come back as another kind. */
	if (exo_frame_span(exo_frame(nr)) != span)
		return -EAGAIN;
	ret = exo_pool_take_this(pool, nr);
	if (!ret && !allowed) {
		exo_pool_put(pool, nr);
		ret = -ENOSPC;
	}
	return ret;
}

/* How many of @n more could be taken; *@err says why not all. @mine, @got: see above. */
static u32 take_locked(struct exo_pool *pool, const struct exo_take *want, u32 n, u32 mine, u32 got,
		       u32 *frames, int *err)
{
	unsigned int kind = want->how == EXO_ALLOC_HUGE ? EXO_POOL_HUGE_KIND : EXO_POOL_SMALL;
	u8 order = want->how == EXO_ALLOC_HUGE ? EXO_HUGE_ORDER : 0;
	u32 i;

	*err = -ENOSPC;
	if (want->how != EXO_ALLOC_THESE)
		n = allow_locked(pool, kind, n << order, mine, got << order) >> order;
	switch (want->how) {
	case EXO_ALLOC_ANY:
		return exo_pool_take_any(pool, want->node, n, frames);
	case EXO_ALLOC_COLOUR:
		return exo_pool_take_colour(pool, want->colour, want->node, n, frames);
	case EXO_ALLOC_HUGE:
		return exo_pool_take_huge(pool, want->node, n, frames);
	default:
		/* EXO_ALLOC_THESE; frames[] has been read from the caller. */
		for (i = 0; i < n; i++) {
			*err = take_this_locked(pool, frames[i], want->span, mine);
			if (*err)
				break;
		}
		return i;
	}
}

/**
 * exo_take() - frames out of the pool
 * @want: which
 * @n: how many
 * @mine: so many of them, in 4 KiB, the caller is guaranteed
 * @frames: their numbers; read, if they are EXO_ALLOC_THESE
 * @err: why there are not so many
 *
 * Others are asked for what one is guaranteed, if not so much is free: that it is free in another colour or
 * place, or in small pieces only, is nobody's guarantee (INV-ENV-6).
 *
 * Context: sleeps; takes grow_lock, with nothing held.
 * Return: how many there were.
 */
u32 exo_take(const struct exo_take *want, u32 n, u32 mine, u32 *frames, int *err)
{
	u8 order = want->how == EXO_ALLOC_HUGE ? EXO_HUGE_ORDER : 0;
	u32 got, missing, have, kept;
	struct exo_pool *pool;

	got = take_locked(exo_pool_begin(), want, n, mine, 0, frames, err);
	exo_pool_end();
	if (got == n || want->how == EXO_ALLOC_THESE)
		return got;

	exo_pool_refill(want->node, order, (n - got) << order);
	pool = exo_pool_begin();
	got += take_locked(pool, want, n - got, mine, got, frames + got, err);
	have = min(mine, got << order);
	kept = exo_user_unused_total();
	missing = exo_pool_missing(pool, kept - min(kept, have));
	exo_pool_end();
	exo_revoke_for_min(min(mine - have, missing));
	return got;
}

static int take_run_once(const struct exo_take *want, u32 count, u32 mine, u32 *first)
{
	struct exo_pool *pool = exo_pool_begin();
	int ret = -ENOSPC;

	if (allow_locked(pool, EXO_POOL_SMALL, count, mine, 0) == count)
		ret = exo_pool_take_contig(pool, want->node, count, first);
	exo_pool_end();
	return ret;
}

/**
 * exo_take_run() - one physically contiguous run out of the pool
 * @want: on which node
 * @count: how many frames
 * @mine: so many of them the caller is guaranteed
 * @first: out: number of the first
 *
 * Context: sleeps; takes grow_lock, with nothing held.
 * Return: 0, or -ENOSPC, and then nothing is taken.
 */
int exo_take_run(const struct exo_take *want, u32 count, u32 mine, u32 *first)
{
	int ret;

	ret = take_run_once(want, count, mine, first);
	if (!ret)
		return 0;
	exo_pool_refill(want->node, 0, count);
	return take_run_once(want, count, mine, first);
}
