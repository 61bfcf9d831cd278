// SPDX-License-Identifier: GPL-2.0
/*
 * The hook "victim": when frames are taken by force, a graft of the environment says which.
 *
 * It runs in the worker that takes them, under leave_lock, never in the shrinker: that only asks.
 * Nothing is allocated for it. What it says is advice: frames that aren't its environment's are
 * passed over, and if it gives too few, the default policy gives the rest (INV-GRAFT-35).
 */
#include "graft/graft.h"
#include "mem/graft.h"
#include "mem/pool.h"

/* How many of the oldest frames it may choose from. */
#define CANDIDATES 1024U

/**
 * exo_victim_frame_locked() - a frame that a graft named
 * @mem: frames_lock is held
 * @nr: as it came from the graft
 *
 * Return: the frame, if it is the environment's to give; else NULL.
 */
struct exo_frame *exo_victim_frame_locked(struct exo_mem_env *mem, u32 nr)
{
	struct exo_frame *frame = exo_frame(nr);

	lockdep_assert_held(&mem->frames_lock);
	if (!frame || frame->owner != mem->env || frame->phase != EXO_PHASE_TAKEN ||
	    exo_frame_head(nr, frame) != nr)
		return NULL;
	return frame;
}

/* Records that are looked at under frames_lock at a time: a 2 MiB frame has 512. */
#define RECORDS 1024U

/* The oldest frames, oldest first. Returns how many. */
static u32 list_oldest(struct exo_mem_env *mem, struct exo_victim *list)
{
	struct exo_frame *frame;
	u32 n = 0;

	spin_lock(&mem->frames_lock);
	list_for_each_entry(frame, &mem->held, held) {
		if (n == CANDIDATES)
			break;
		list[n++] = (struct exo_victim) { .frame = frame->nr };
	}
	spin_unlock(&mem->frames_lock);
	return n;
}

static u32 bindings(const struct exo_frame *frame, u32 span)
{
	u32 i, n = 0;

	for (i = 0; i < span; i++)
		n += (frame[i].bpage != EXO_NO_PAGE) + frame[i].nr_more;
	return n;
}

/* How often they are bound, from entry *@at on, as many as one hold of the lock may look at. */
static void count_bindings(struct exo_mem_env *mem, struct exo_victim *list, u32 n, u32 *at)
{
	struct exo_frame *frame;
	u32 span, seen;

	spin_lock(&mem->frames_lock);
	for (seen = 0; *at < n && seen < RECORDS; seen += span, ++*at) {
		frame = exo_victim_frame_locked(mem, list[*at].frame);
		span = frame ? exo_frame_span(frame) : 1;
		list[*at].bound = frame ? bindings(frame, span) : 0;
	}
	spin_unlock(&mem->frames_lock);
}

static u32 list_candidates(struct exo_mem_env *mem, struct exo_victim *list)
{
	u32 at = 0, n = list_oldest(mem, list);

	while (at < n) {
		count_bindings(mem, list, n, &at);
		cond_resched();
	}
	return n;
}

/* Those that are to be given, those with small numbers first. Returns how many, at most @max. */
static u32 pick(const struct exo_victim *list, u32 n, u32 *nr, u32 max)
{
	u32 give[EXO_FRAME_BATCH];
	u32 i, at, chosen = 0;

	for (i = 0; i < n; i++) {
		if (!list[i].give || (chosen == max && list[i].give >= give[max - 1]))
			continue;
		if (chosen < max)
			chosen++;
		for (at = chosen - 1; at && give[at - 1] > list[i].give; at--) {
			give[at] = give[at - 1];
			nr[at] = nr[at - 1];
		}
		give[at] = list[i].give;
		nr[at] = list[i].frame;
	}
	return chosen;
}

/**
 * exo_victim_graft() - ask the environment's graft which frames to take
 * @mem: leave_lock is held
 * @want: frames wanted
 * @nr: room for the answer
 * @max: how much; at most EXO_FRAME_BATCH
 *
 * Context: sleeps, but not for memory.
 * Return: how many frames it named; 0 also if there is no graft, or it was aborted.
 */
u32 exo_victim_graft(struct exo_mem_env *mem, u32 want, u32 *nr, u32 max)
{
	struct exo_graft_attachment *at = mem->victim;
	struct exo_graft_window *win;
	struct exo_ctx_victim *ctx;
	u32 n, status, result, chosen = 0;

	BUILD_BUG_ON(CANDIDATES * sizeof(struct exo_victim) > 32768);

	lockdep_assert_held(&mem->leave_lock);
	if (!at || !exo_graft_attachment_good(at))
		return 0;
	win = exo_graft_claim(at->graft);
	if (!win)
		return 0;
	n = list_candidates(mem, win->data);
	exo_graft_set_data(win, n * sizeof(struct exo_victim));
	ctx = win->ctx;
	ctx->wanted = want;
	ctx->cookie = at->cookie;
	win->env = mem->env;
	status = exo_graft_run(win, NULL, &result);
	if (!status)
		chosen = pick(win->data, n, nr, max);
	/* The next environment's candidates are none of this one's business. */
	memset(win->data, 0, n * sizeof(struct exo_victim));
	exo_graft_release(win);
	if (status && status != EXO_GRAFT_NOT_RUN)
		exo_graft_report(at->graft, status);
	return chosen;
}

static int victim_set(struct exo_env *env, u32 target, struct exo_graft_attachment *at,
		      bool replace, struct exo_graft_attachment **old)
{
	struct exo_mem_env *mem = exo_mem(env);
	int ret = 0;

	if (target)
		return -EINVAL;
	mutex_lock(&mem->leave_lock);
	if (!at && !mem->victim)
		ret = -ENOENT;
	else if (mem->victim && !replace)
		ret = -EBUSY;
	if (!ret) {
		*old = mem->victim;
		mem->victim = at;
	}
	mutex_unlock(&mem->leave_lock);
	return ret;
}

static const struct exo_graft_place victim_place = { .set = victim_set };

/**
 * exo_victim_graft_drop() - an environment dies, and with it what is attached
 * @mem: no request of it runs
 *
 * Context: sleeps.
 */
void exo_victim_graft_drop(struct exo_mem_env *mem)
{
	struct exo_graft_attachment *at;

	mutex_lock(&mem->leave_lock);
	at = mem->victim;
	mem->victim = NULL;
	mutex_unlock(&mem->leave_lock);
	exo_graft_attachment_free(at);
}

/**
 * exo_victim_graft_init() - module load
 */
void exo_victim_graft_init(void)
{
	exo_graft_place(EXO_HOOK_VICTIM, &victim_place);
}
