// SPDX-License-Identifier: GPL-2.0
/*
 * The buffer registry: using an entry, its frame and its locks.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mem/frame.h"
#include "xn/xn.h"

/**
 * struct want - a frame that is wanted, and one that isn't
 * @keeper: of the caller
 * @have: @frame is taken, and in no entry
 * @frame: number
 * @generation: of it
 */
struct want {
	struct exo_xn_keeper *keeper;
	bool have;
	u32 frame;
	u64 generation;
};

enum { DONE, TAKE, WAIT, GIVE };

/*
 * May what was read ahead be had? It has the block's bytes, and these may be read. Asked in this order: a write that
 * completes makes the frame old first, and then the block readable. The other way round it could do both in between,
 * and the frame has what somebody else left in the block (INV-XN-22).
 */
static bool ahead_is_good(struct exo_xn_disk_dev *disk, struct exo_xn_page *page)
{
	return exo_xn_readable(disk->xn, page->block, 1) &&
	       exo_xn_state_valid(&page->state, atomic_read(&page->writes));
}

static void put_frame(struct exo_xn_page *page, struct want *want)
{
	page->keeper = want->keeper;
	page->frame = want->frame;
	page->generation = want->generation;
	want->have = false;
}

static void take_frame(struct exo_xn_page *page, struct want *old)
{
	*old = (struct want) { page->keeper, true, page->frame, page->generation };
	exo_xn_state_gone(&page->state);
}

/* The same where the frame is to be memory of those who have it. */
static int next_memory(struct exo_xn_reg *reg, struct exo_xn_page *page, struct want *want,
		       struct want *old)
{
	struct exo_xn_reg_state *state = &page->state;

	if (state->bits & EXO_XN_REG_MEMORY)
		return exo_xn_state_over(state) ? -ESTALE : DONE;
	if (state->bits & EXO_XN_REG_BUSY)
		return WAIT;
	if (state->bits & EXO_XN_REG_FRAME) {
		if (!exo_xn_state_to_memory(state))
			return -EBUSY;
		take_frame(page, old);
		return GIVE;
	}
	if (!want->have)
		return TAKE;
	put_frame(page, want);
	exo_xn_state_memory(state);
	WRITE_ONCE(reg->nr_blocks, reg->nr_blocks - 1);
	return DONE;
}

/* What is to be done until the entry has a frame that may be had, or an error. Under reg->lock. */
static int next_locked(struct exo_xn_disk_dev *disk, struct exo_xn_page *page,
		       struct want *want, struct want *old, bool memory)
{
	struct exo_xn_reg *reg = &disk->reg;
	struct exo_xn_reg_state *state = &page->state;

	exo_xn_page_look(reg, page);
	if (memory)
		return next_memory(reg, page, want, old);
	if (state->bits & EXO_XN_REG_MEMORY)
		return -EBUSY;
	if (state->bits & EXO_XN_REG_SPECULATIVE) {
		if (state->bits & EXO_XN_REG_BUSY)
			return WAIT;
		if (!ahead_is_good(disk, page)) {
			take_frame(page, old);
			return GIVE;
		}
		state->bits &= ~EXO_XN_REG_SPECULATIVE;
	}
	if (state->bits & EXO_XN_REG_FRAME)
		return DONE;
	/* What a read that is under way was to fill is gone. */
	if (state->bits & EXO_XN_REG_BUSY)
		return WAIT;
	if (!want->have)
		return TAKE;
	put_frame(page, want);
	exo_xn_state_frame(state);
	return DONE;
}

static void tell(struct exo_xn_reg *reg, struct exo_xn_page *page, struct exo_xn_entry *cmd)
{
	cmd->out_frame = page->frame;
	cmd->out_cap = (struct exo_cap) {
		.kind = EXO_CAP_FRAME,
		.rights = cmd->rights | EXO_RIGHT_WINDOW,
		.object = page->frame,
		.generation = page->generation,
	};
}

/* The binding is in flight: the disk stays attached, and no block is freed. */
static int get_frame(struct exo_xn_disk_dev *disk, struct exo_xn_binding *binding,
		     struct want *want, struct exo_xn_entry *cmd)
{
	bool memory = cmd->flags & EXO_XN_ENTRY_MEMORY;
	struct exo_xn_page *page = binding->hold->page;
	struct exo_xn_reg *reg = &disk->reg;
	struct want old;
	int ret = 0, step;

	do {
		spin_lock(&reg->lock);
		/* Another thread may have given the number up, and with it the entry. */
		ret = page->indexed ? 0 : -ENOENT;
		/* Who gives the root away does that first, and then takes all memory of its. */
		if (!ret && memory && !exo_xn_binding_current(binding))
			ret = -EAGAIN;
		step = ret ?: next_locked(disk, page, want, &old, memory);
		ret = min(step, 0);
		if (!ret)
			exo_xn_page_used(reg, page);
		if (!ret && step == DONE)
			tell(reg, page, cmd);
		spin_unlock(&reg->lock);
		if (step == WAIT) {
			exo_xn_page_wait(page);
		} else if (step == GIVE) {
			exo_frame_give(old.keeper->env, old.frame, old.generation);
		} else if (step == TAKE) {
			ret = exo_xn_keeper_take(want->keeper, &want->frame, &want->generation);
			want->have = !ret;
		}
	} while (!ret && step != DONE);
	if (want->have)
		exo_frame_give(want->keeper->env, want->frame, want->generation);
	if (!ret)
		exo_cap_seal(&cmd->out_cap);
	return ret;
}

static void tell_state(struct exo_xn_reg *reg, struct exo_xn_page *page, struct exo_xn_entry *cmd)
{
	u32 index = page->index;

	cmd->out_index = index;
	exo_xn_state_valid(&page->state, atomic_read(&page->writes));
	exo_xn_page_changed(reg, page);
	cmd->out_state = READ_ONCE(exo_xn_table_row(reg, index)->state);
}

static int use(struct exo_env *env, struct exo_xn_disk_dev *disk, struct exo_xn_keeper *keeper,
	       struct exo_xn_entry *cmd)
{
	struct exo_xn_binding *binding = exo_xn_binding_begin(env, cmd->out_entry, false);
	struct want want = { .keeper = keeper };
	struct exo_xn_page *page;
	int ret = 0;

	if (IS_ERR(binding))
		return PTR_ERR(binding);
	/* Another thread may have put another one there. */
	if (binding->disk != disk || !binding->hold || !binding->count != !!(cmd->flags & EXO_XN_ENTRY_UNIT) ||
	    binding->block != cmd->block || (cmd->rights & ~binding->rights)) {
		exo_xn_binding_end(binding);
		return -ENOENT;
	}
	page = binding->hold->page;
	if (cmd->flags & (EXO_XN_ENTRY_FRAME | EXO_XN_ENTRY_MEMORY))
		ret = get_frame(disk, binding, &want, cmd);
	spin_lock(&disk->reg.lock);
	if (page->indexed)
		tell_state(&disk->reg, page, cmd);
	spin_unlock(&disk->reg.lock);
	exo_xn_binding_end(binding);
	return ret;
}

static struct exo_xn_hold *hold_new(u64 block, struct exo_xn_keeper *keeper)
{
	struct exo_xn_hold *hold = kzalloc(sizeof(*hold), GFP_KERNEL_ACCOUNT);

	if (!hold)
		return NULL;
	refcount_set(&hold->ref, 1);
	/* Until it is in the registry. */
	hold->over = true;
	hold->page = exo_xn_page_new(block, keeper);
	if (!hold->page) {
		kfree(hold);
		return NULL;
	}
	return hold;
}

/* Under reg->gate. @binding is new, and gone on an error. */
static int make(struct exo_env *env, struct exo_xn_disk_dev *disk, const struct exo_xn_bind *bind,
		struct exo_xn_binding *binding, struct exo_xn_entry *cmd)
{
	struct exo_xn_keeper *keeper = exo_xn_keeper_get(&disk->reg, env);
	struct exo_xn_hold *hold = IS_ERR(keeper) ? NULL : hold_new(cmd->block, keeper);
	int ret;

	if (!hold) {
		kfree(binding);
		return IS_ERR(keeper) ? PTR_ERR(keeper) : -ENOMEM;
	}
	ret = exo_xn_binding_make(env, bind, binding, hold, &cmd->out_entry);
	if (ret)
		return ret;
	do {
		ret = use(env, disk, keeper, cmd);
	} while (ret == -EAGAIN);
	if (ret) {
		exo_xn_binding_break(env, cmd->out_entry);
		memset_startat(cmd, 0, out_entry);
	}
	return ret;
}

/* With a table. The keys are copied in before the gate is taken: a detach waits for who has that (INV-XN-16). */
static int open_and_make(struct exo_env *env, struct exo_xn_disk_dev *disk, struct exo_xn_entry *cmd)
{
	const struct exo_xn_bind bind = {
		.disk = cmd->disk,
		.root = cmd->root,
		.block = cmd->block,
		.parent = cmd->parent,
		.count = cmd->flags & EXO_XN_ENTRY_UNIT ? 0 : 1,
		.rights = cmd->rights,
		.keys = cmd->keys,
		.nr_keys = cmd->nr_keys,
	};
	struct exo_xn_binding *binding;
	int ret;

	ret = exo_xn_reg_open(&disk->reg);
	if (ret)
		return ret;
	binding = exo_xn_binding_new(env, &bind);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	down_read(&disk->reg.gate);
	ret = make(env, disk, &bind, binding, cmd);
	up_read(&disk->reg.gate);
	return ret;
}

static int check_entry(const struct exo_xn_entry *cmd)
{
	u32 how = cmd->flags;

	if (how && how != EXO_XN_ENTRY_FRAME && how != EXO_XN_ENTRY_UNIT &&
	    how != EXO_XN_ENTRY_MEMORY)
		return -EINVAL;
	if (!cmd->root || cmd->root > EXO_XN_ROOTS || !cmd->rights ||
	    (cmd->rights & ~(EXO_RIGHT_READ | EXO_RIGHT_WRITE)) || cmd->block == U64_MAX)
		return -EINVAL;
	/* Who may only read would keep those who may write from their block (INV-XN-28). */
	if (how == EXO_XN_ENTRY_MEMORY && !(cmd->rights & EXO_RIGHT_WRITE))
		return -EINVAL;
	return how == EXO_XN_ENTRY_UNIT && cmd->block != cmd->parent ? -EINVAL : 0;
}

/**
 * exo_xn_entry_op() - EXO_XN_ENTRY
 * @env: whose number it will be
 * @arg: struct exo_xn_entry
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT: @parent wasn't read, or doesn't own it as data; -EACCES; -EDQUOT, -ENOSPC: no frame, or
 * too many entries of the uid; -EOVERFLOW: too many of the disk; -EBUSY: others have it as memory, or not so; -ESTALE: it was
 * their memory, and was taken; -ENOMEM; -EFAULT; -EIO.
 */
int exo_xn_entry_op(struct exo_env *env, void *arg)
{
	struct exo_xn_entry *cmd = arg;
	struct exo_xn_disk_dev *disk;
	int ret;

	memset_startat(cmd, 0, out_entry);
	ret = check_entry(cmd);
	if (ret)
		return ret;
	disk = exo_xn_disk_get(cmd->disk);
	if (!disk)
		return -ENOENT;
	ret = open_and_make(env, disk, cmd);
	exo_xn_disk_put(disk);
	return ret;
}

/* Locks -------------------------------------------------------------------------------------- */

static int try_locked(struct exo_xn_hold *hold, const struct exo_xn_entry_lock *cmd)
{
	struct exo_xn_page *page = hold->page;
	int ret;

	if (hold->over)
		return -ENOENT;
	if (!page->indexed)
		return -ESTALE;
	/* Bits that make others wait may become fewer. */
	ret = exo_xn_slots_set(&page->slots, &hold->held, cmd->slots, cmd->mode);
	if (!ret)
		wake_up_all(&page->wait);
	else if (!(cmd->flags & EXO_XN_LOCK_TRY) &&
		 !exo_xn_slots_upgrade(&hold->held, cmd->slots, cmd->mode))
		ret = -EAGAIN;
	return ret;
}

/* Whoever waits here holds nothing of the disk's. */
static int lock(struct exo_xn_reg *reg, struct exo_xn_hold *hold,
		const struct exo_xn_entry_lock *cmd)
{
	struct exo_xn_page *page = hold->page;
	DEFINE_WAIT(wait);
	int ret;

	for (;;) {
		spin_lock(&reg->lock);
		ret = try_locked(hold, cmd);
		if (!ret)
			exo_xn_page_used(reg, page);
		if (ret == -EAGAIN)
			prepare_to_wait(&page->wait, &wait, TASK_INTERRUPTIBLE);
		spin_unlock(&reg->lock);
		if (ret != -EAGAIN)
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		schedule();
	}
	finish_wait(&page->wait, &wait);
	return ret;
}

static int check_lock(const struct exo_xn_entry_lock *cmd)
{
	if ((cmd->flags & ~EXO_XN_LOCK_TRY) || cmd->reserved || !cmd->slots ||
	    (cmd->slots >> EXO_XN_SLOTS) || cmd->mode > EXO_XN_EXCLUSIVE)
		return -EINVAL;
	return 0;
}

/**
 * exo_xn_entry_lock_op() - EXO_XN_ENTRY_LOCK
 * @env: whose number it is
 * @arg: struct exo_xn_entry_lock
 *
 * To unlock one needs no right any more.
 *
 * Context: sleeps.
 * Return: 0; -EINVAL; -ENOENT: no such number; -EACCES; -EBUSY; -ESTALE; -EINTR.
 */
int exo_xn_entry_lock_op(struct exo_env *env, void *arg)
{
	const struct exo_xn_entry_lock *cmd = arg;
	struct exo_xn_binding *binding;
	struct exo_xn_disk_dev *disk;
	struct exo_xn_hold *hold;
	int ret;

	ret = check_lock(cmd);
	if (ret)
		return ret;
	if (cmd->mode == EXO_XN_UNLOCK)
		binding = exo_xn_binding_look(env, cmd->entry) ?: ERR_PTR(-ENOENT);
	else
		binding = exo_xn_binding_begin(env, cmd->entry, false);
	if (IS_ERR(binding))
		return PTR_ERR(binding);
	hold = binding->hold;
	if (!hold)
		ret = -EINVAL;
	else if (cmd->mode == EXO_XN_EXCLUSIVE && !(binding->rights & EXO_RIGHT_WRITE))
		ret = -EACCES;
	if (ret) {
		exo_xn_binding_end(binding);
		return ret;
	}
	/* Who waits is not in flight: whoever frees the block waits for that. */
	refcount_inc(&hold->ref);
	disk = binding->disk;
	kref_get(&disk->ref);
	exo_xn_binding_end(binding);
	ret = lock(&disk->reg, hold, cmd);
	exo_xn_hold_put(hold);
	exo_xn_disk_put(disk);
	return ret;
}
