// SPDX-License-Identifier: GPL-2.0
#include "core/lend.h"

static bool lent_lately(const struct exo_lend *lend, u64 now_ns)
{
	return lend->at_ns && now_ns < lend->at_ns + EXO_LENT_NS;
}

/**
 * exo_lend_refill() - how many frames may be fetched back from Linux
 * @lend: what it borrowed
 * @target: frames that there should be
 * @present: frames that there are
 * @now_ns: now
 *
 * None for a while after it got some: else who allocates and frees in a loop has the frames go
 * back and forth, and each time the OOM killer believes that memory was found.
 *
 * Return: frames.
 */
u32 exo_lend_refill(const struct exo_lend *lend, u32 target, u32 present, u64 now_ns)
{
	return target <= present || lent_lately(lend, now_ns) ? 0 : target - present;
}

/**
 * exo_lend_out() - Linux was short of memory and got frames
 * @lend: what it borrowed
 * @n: how many more
 * @now_ns: now
 */
void exo_lend_out(struct exo_lend *lend, u32 n, u64 now_ns)
{
	if (!n)
		return;
	lend->untold = n > ~0U - lend->untold ? ~0U : lend->untold + n;
	lend->at_ns = now_ns;
}

/**
 * exo_lend_back() - frames were fetched from Linux
 * @lend: what it borrowed
 * @n: how many
 */
void exo_lend_back(struct exo_lend *lend, u32 n)
{
	lend->untold -= n < lend->untold ? n : lend->untold;
}

/**
 * exo_lend_tell() - what the OOM killer is told: frames that Linux got since it was told last
 * @lend: what it borrowed
 * @now_ns: now
 *
 * Whoever failed to allocate may have looked before they came, so those count that came between
 * two questions, but not what came long ago.
 *
 * Return: frames.
 */
u32 exo_lend_tell(struct exo_lend *lend, u64 now_ns)
{
	u32 n = lent_lately(lend, now_ns) ? lend->untold : 0;

	lend->untold = 0;
	return n;
}
