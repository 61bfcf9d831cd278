// SPDX-License-Identifier: GPL-2.0
/*
 * What Linux may have back when it is short of memory: idle frames at once, others by asking.
 *
 * Both functions here run in the middle of somebody's allocation. They take the pool lock, the list
 * of environments, and leaf locks, none of which is ever held across an allocation (INV-REV-5).
 */
#include <linux/jiffies.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>

#include "compat/shrinker.h"
#include "mem/pool.h"

/* At OOM: ask for so much of what there is, give it so long, and wait so long for the worker. */
#define OOM_PART 16
#define OOM_DEADLINE_MS 200
#define OOM_WAIT_MS 1000
#define OOM_LOOK_MS 10

static struct shrinker *shrinker;

static unsigned long count_objects(struct shrinker *unused, struct shrink_control *sc)
{
	unsigned long n = (unsigned long)exo_pool_idle() + exo_revoke_gently();

	return n ?: SHRINK_EMPTY;
}

/* Idle frames, single ones first: 2 MiB are harder to come by. */
static u32 give_idle(u32 n)
{
	u32 done = exo_pool_give_idle(EXO_POOL_SMALL, EXO_POOL_NODE_ANY, n, false);

	if (done < n)
		done += exo_pool_give_idle(EXO_POOL_HUGE_KIND, EXO_POOL_NODE_ANY,
					   DIV_ROUND_UP(n - done, EXO_BLOCK_FRAMES), false);
	return done;
}

/* What is asked for counts as looked at: it comes, but not now. */
static unsigned long scan_objects(struct shrinker *unused, struct shrink_control *sc)
{
	u32 want = min_t(unsigned long, sc->nr_to_scan, UINT_MAX);
	u32 freed = give_idle(want);

	if (freed < want)
		exo_revoke_ask_all(min(want - freed, exo_revoke_gently()), EXO_WHY_PRESSURE, 0);
	sc->nr_scanned = want;
	return freed;
}

/* Owners give, or the worker takes: wait until some frames came, or for a moment. */
static u32 wait_for_frames(void)
{
	unsigned long end = jiffies + msecs_to_jiffies(OOM_WAIT_MS);
	u32 got;

	while (!(got = exo_pool_tell_lent()) && time_before(jiffies, end))
		schedule_timeout_uninterruptible(msecs_to_jiffies(OOM_LOOK_MS));
	return got;
}

/*
 * The OOM killer is about to act, and will if *@arg stays 0. Frames that went to Linux since it
 * asked last count: whoever failed to allocate may have looked before they came. The wait is
 * bounded, since what the worker needs may be held by the very task that is out of memory.
 */
static int oom_notify(struct notifier_block *unused, unsigned long action, void *arg)
{
	unsigned long *freed = arg;
	u32 got;

	give_idle(UINT_MAX);
	got = exo_pool_tell_lent();
	if (!got) {
		exo_revoke_ask_all(exo_revoke_possible() / OOM_PART + 1, EXO_WHY_OOM,
				   OOM_DEADLINE_MS);
		if (exo_revoke_hurry(OOM_DEADLINE_MS))
			got = wait_for_frames();
	}
	*freed += got;
	return NOTIFY_OK;
}

static struct notifier_block oom_nb = {
	.notifier_call = oom_notify,
};

/**
 * exo_shrink_init() - from here on Linux may take frames back
 *
 * Return: 0 or an error.
 */
int exo_shrink_init(void)
{
	int ret;

	shrinker = shrinker_alloc(0, "exo");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_objects;
	shrinker->scan_objects = scan_objects;
	ret = exo_shrinker_register(shrinker, "exo");
	if (ret)
		goto err_free;
	ret = register_oom_notifier(&oom_nb);
	if (ret)
		goto err_free;
	return 0;

err_free:
	shrinker_free(shrinker);
	return ret;
}

/**
 * exo_shrink_exit() - from here on it may not
 */
void exo_shrink_exit(void)
{
	unregister_oom_notifier(&oom_nb);
	shrinker_free(shrinker);
}
