// SPDX-License-Identifier: GPL-2.0
/*
 * Frames as objects of capabilities: which generation a frame has, whose it is, and how all
 * capabilities for it are revoked. A keeper names its frames in the same way, by number and generation.
 */
#include <linux/delay.h>
#include <linux/mm.h>

#include "mem/pool.h"

/* How often, and after how long, revocation looks for the end of a munmap. */
#define FLUSH_LOOKS 10
#define FLUSH_LOOK_MS 10

/**
 * exo_frame_object_lock() - the frame that a capability may name, locked
 * @object: what it names
 * @owner: out: the frame's owner
 *
 * Context: any but interrupts, under rcu_read_lock(); exo_frame_unlock() of @owner ends it.
 * Return: the frame, TAKEN; NULL if there is none, and then nothing is locked.
 */
struct exo_frame *exo_frame_object_lock(u64 object, struct exo_env **owner)
{
	struct exo_frame *frame = object < exo_nr_frames ? exo_frame(object) : NULL;

	if (!frame)
		return NULL;
	*owner = exo_frame_lock(frame);
	if (!*owner)
		return NULL;
	if (frame->phase == EXO_PHASE_TAKEN && exo_frame_head(object, frame) == object)
		return frame;
	exo_frame_unlock(*owner);
	return NULL;
}

/*
 * Without a lock: capabilities are made while the frame is TAKEN and name its first entry; LEAVING
 * begins with a new generation, and so does every entry. None that was given out ever comes back.
 */
static u64 frame_generation(u64 object)
{
	struct exo_frame *frame = object < exo_nr_frames ? exo_frame(object) : NULL;

	return frame ? READ_ONCE(frame->generation) : 0;
}

static int frame_owned(struct exo_env *env, u64 object, u64 *generation)
{
	struct exo_frame *frame;
	struct exo_env *owner;
	int ret = -EACCES;

	rcu_read_lock();
	frame = exo_frame_object_lock(object, &owner);
	if (frame) {
		if (owner == env) {
			*generation = frame->generation;
			ret = 0;
		}
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return ret;
}

/* The owner of a frame with this generation, with a reference, or NULL. */
static struct exo_env *owner_get(u64 object, u64 generation)
{
	struct exo_env *owner, *found = NULL;
	struct exo_frame *frame;

	rcu_read_lock();
	frame = exo_frame_object_lock(object, &owner);
	if (frame) {
		/* It owns a frame, so it isn't dead yet, and has references. */
		if (frame->generation == generation)
			found = exo_env_get(owner);
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return found;
}

/* Give the frame a new generation, if it is still the same one of the same owner. */
static int renew(struct exo_mem_env *mem, struct exo_frame *frame, u64 generation)
{
	int ret = -ESTALE;

	lockdep_assert_held(&mem->leave_lock);
	spin_lock(&mem->frames_lock);
	if (frame->owner == mem->env && frame->phase == EXO_PHASE_TAKEN &&
	    frame->generation == generation) {
		exo_frame_renew(frame);
		ret = 0;
	}
	spin_unlock(&mem->frames_lock);
	return ret;
}

/* A lazy view that is being unmapped keeps its old translations until the end: wait a moment. */
static int wait_for_flush(struct exo_mem_env *mem, const struct exo_frame *frame)
{
	u32 i, looks, span = exo_frame_span(frame);
	bool stale;

	for (looks = 0; looks < FLUSH_LOOKS; looks++) {
		stale = false;
		spin_lock(&mem->frames_lock);
		for (i = 0; i < span && !stale; i++)
			stale = exo_frame_is_stale(&frame[i], mem->env);
		spin_unlock(&mem->frames_lock);
		if (!stale)
			return 0;
		msleep(FLUSH_LOOK_MS);
	}
	return -EBUSY;
}

static int frame_revoke(struct exo_env *env, u64 object, u64 generation)
{
	struct exo_frame *frame = exo_frame(object);
	struct exo_env *owner = env ? exo_env_get(env) : owner_get(object, generation);
	struct exo_mem_env *mem;
	u32 nr = object;
	int ret;

	if (!owner)
		return -ESTALE;
	mem = exo_mem(owner);
	/* As long as this is held the frame can't come back and be somebody else's. */
	mutex_lock(&mem->leave_lock);
	ret = renew(mem, frame, generation);
	if (!ret && (frame->flags & EXO_FRAME_SHARED)) {
		exo_frames_unmap(&nr, 1, owner, NULL, NULL);
		ret = wait_for_flush(mem, frame);
	}
	mutex_unlock(&mem->leave_lock);
	exo_env_put(owner);
	return ret;
}

static const struct exo_cap_ops frame_cap_ops = {
	.generation = frame_generation,
	.owned = frame_owned,
	.revoke = frame_revoke,
};

/**
 * exo_frame_cap_init() - at module load: capabilities may name frames
 */
void exo_frame_cap_init(void)
{
	exo_cap_register(EXO_CAP_FRAME, &frame_cap_ops);
}

/**
 * exo_frame_pin() - the page of a keeper's frame
 * @env: keeper
 * @nr: frame
 * @generation: of it
 *
 * Context: any but interrupts; takes frames_lock.
 * Return: the page with a reference; NULL: the frame is gone.
 */
struct page *exo_frame_pin(struct exo_env *env, u32 nr, u64 generation)
{
	struct exo_frame *frame = exo_frame(nr);
	struct page *page = NULL;
	struct exo_env *owner;

	rcu_read_lock();
	owner = exo_frame_lock(frame);
	if (owner) {
		if (owner == env && frame->phase == EXO_PHASE_TAKEN &&
		    frame->generation == generation) {
			page = frame->page;
			get_page(page);
		}
		exo_frame_unlock(owner);
	}
	rcu_read_unlock();
	return page;
}

/**
 * exo_frame_shut() - a keeper's frame is reached by nobody any more but by the keeper itself
 * @env: keeper
 * @nr: frame
 * @generation: of it; written: the new one
 *
 * Context: sleeps; nothing is held that a fault takes.
 * Return: 0; -ESTALE: the frame is gone; -EBUSY: somebody who has it is just unmapping it.
 */
int exo_frame_shut(struct exo_env *env, u32 nr, u64 *generation)
{
	int ret = frame_revoke(env, nr, *generation);

	if (ret != -ESTALE)
		*generation = READ_ONCE(exo_frame(nr)->generation);
	return ret;
}
