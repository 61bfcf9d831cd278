// SPDX-License-Identifier: GPL-2.0
#include "core/revoke.h"

/**
 * exo_asks_add() - one more request
 * @asks: the environment's
 * @frames: how many; with what is wanted already it is no more than u32 holds
 * @deadline_ns: when they are taken
 * @why: EXO_WHY_*
 *
 * A full queue merges it with the one behind it, or with the last: neither is taken early.
 */
void exo_asks_add(struct exo_asks *asks, u32 frames, u64 deadline_ns, u32 why)
{
	u32 at = asks->nr;
	u32 i;

	if (!frames)
		return;
	asks->total += frames;
	while (at && asks->ask[at - 1].deadline_ns > deadline_ns)
		at--;

	if (at && asks->ask[at - 1].deadline_ns == deadline_ns && asks->ask[at - 1].why == why) {
		asks->ask[at - 1].frames += frames;
		return;
	}
	if (asks->nr == EXO_ASKS_MAX) {
		if (at == EXO_ASKS_MAX)
			asks->ask[--at].deadline_ns = deadline_ns;
		asks->ask[at].frames += frames;
		return;
	}
	for (i = asks->nr++; i > at; i--)
		asks->ask[i] = asks->ask[i - 1];
	asks->ask[at] = (struct exo_ask) {
		.deadline_ns = deadline_ns,
		.frames = frames,
		.why = why,
	};
}

/**
 * exo_asks_give() - frames are no longer wanted: given, taken, or withdrawn
 * @asks: the environment's
 * @frames: how many
 *
 * Return: how many of them were wanted.
 */
u32 exo_asks_give(struct exo_asks *asks, u32 frames)
{
	u32 done = 0, i, n, gone = 0;

	for (i = 0; i < asks->nr && done < frames; i++) {
		n = frames - done;
		if (n > asks->ask[i].frames)
			n = asks->ask[i].frames;
		asks->ask[i].frames -= n;
		done += n;
		if (!asks->ask[i].frames)
			gone++;
	}
	asks->total -= done;
	asks->nr -= gone;
	for (i = 0; gone && i < asks->nr; i++)
		asks->ask[i] = asks->ask[i + gone];
	return done;
}

/**
 * exo_asks_deadline() - when something is due
 * @asks: the environment's
 *
 * Return: the earliest deadline, 0 if nothing is wanted.
 */
u64 exo_asks_deadline(const struct exo_asks *asks)
{
	return asks->nr ? asks->ask[0].deadline_ns : 0;
}

/**
 * exo_asks_due() - is it time to take?
 * @asks: the environment's
 * @now_ns: now
 * @why: of the first request, if one is due
 *
 * Return: frames of the first request if its deadline is over, else 0.
 */
u32 exo_asks_due(const struct exo_asks *asks, u64 now_ns, u32 *why)
{
	if (!asks->nr || asks->ask[0].deadline_ns > now_ns)
		return 0;
	*why = asks->ask[0].why;
	return asks->ask[0].frames;
}

/**
 * exo_asks_cut() - cut every deadline short
 * @asks: the environment's
 * @now_ns: the new deadline of those that end later
 * @why: and their reason, if Linux asked
 *
 * Return: was there any?
 */
bool exo_asks_cut(struct exo_asks *asks, u64 now_ns, u32 why)
{
	bool any = false;
	u32 i;

	for (i = 0; i < asks->nr; i++)
		if (asks->ask[i].deadline_ns > now_ns) {
			asks->ask[i].deadline_ns = now_ns;
			/* What becomes of frames that somebody else asked for stays as it was. */
			if (exo_why_is_linux(asks->ask[i].why))
				asks->ask[i].why = why;
			any = true;
		}
	return any;
}

/**
 * exo_revocable() - how many frames may still be asked of an environment
 * @held: frames that it holds
 * @wanted: of these, wanted already
 * @uid_held: frames that all environments of its uid hold
 * @uid_wanted: of these, wanted already
 * @uid_min: frames that the uid keeps (INV-REV-2)
 *
 * The minimum is the uid's: each environment bears a part of it in proportion to what it has,
 * rounded so that together they keep no less.
 *
 * Return: frames.
 */
u32 exo_revocable(u32 held, u32 wanted, u32 uid_held, u32 uid_wanted, u32 uid_min)
{
	u32 mine = held > wanted ? held - wanted : 0;
	u32 all = uid_held > uid_wanted ? uid_held - uid_wanted : 0;

	if (all <= uid_min)
		return 0;
	/* The counters are read one after the other: the environment's may be ahead. */
	if (mine > all)
		mine = all;
	return (u64)mine * (all - uid_min) / all;
}

/**
 * exo_revoke_share() - a part of a request, in proportion
 * @frames: how many are asked of everybody
 * @mine: how many this one can give
 * @all: how many everybody can give, at least @mine
 *
 * Return: this one's part, rounded up, no more than @mine.
 */
u32 exo_revoke_share(u32 frames, u32 mine, u64 all)
{
	u64 product = (u64)frames * mine;

	if (!product)
		return 0;
	if (frames >= all)
		return mine;
	return product / all + !!(product % all);
}
