// SPDX-License-Identifier: GPL-2.0
/*
 * The repossession log: what was taken by force, and where it was bound.
 *
 * An entry is allocated when a frame is (and with each binding beyond its first), and waits in
 * mem->spare; so writing one can't fail, and the log can't overflow (INV-REV-3).
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dev.h"
#include "mem/pool.h"

/* Entries that are on their way to the reader at a time. */
#define READ_BATCH 16

static struct kmem_cache *entry_cache;

/**
 * exo_log_entry_alloc() - room for an entry
 *
 * Context: may sleep.
 * Return: the entry, charged to the caller's memcg, or NULL.
 */
struct exo_log_entry *exo_log_entry_alloc(void)
{
	return kmem_cache_alloc(entry_cache, GFP_KERNEL_ACCOUNT);
}

/**
 * exo_log_entries_free() - free entries
 * @entries: a list of them, empty afterwards
 *
 * Context: any but interrupts.
 */
void exo_log_entries_free(struct list_head *entries)
{
	struct exo_log_entry *entry, *tmp;

	list_for_each_entry_safe(entry, tmp, entries, node)
		kmem_cache_free(entry_cache, entry);
	INIT_LIST_HEAD(entries);
}

/**
 * exo_log_write() - add a line
 * @mem: whose log
 * @taken: the line
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_log_write(struct exo_mem_env *mem, const struct exo_mem_taken *taken)
{
	struct exo_log_entry *entry;

	spin_lock(&mem->revoke_lock);
	entry = list_first_entry_or_null(&mem->spare, struct exo_log_entry, node);
	if (!WARN_ON_ONCE(!entry)) {
		mem->nr_spare--;
		mem->nr_log++;
		entry->taken = *taken;
		list_move_tail(&entry->node, &mem->log);
	}
	spin_unlock(&mem->revoke_lock);
}

/* Take up to @n entries out of the log. */
static u32 log_cut(struct exo_mem_env *mem, u32 n, struct list_head *entries)
{
	u32 i;

	spin_lock(&mem->revoke_lock);
	for (i = 0; i < n && !list_empty(&mem->log); i++)
		list_move_tail(mem->log.next, entries);
	mem->nr_log -= i;
	spin_unlock(&mem->revoke_lock);
	return i;
}

/* What could not be told goes back to where it was. */
static void log_return(struct exo_mem_env *mem, u32 n, struct list_head *entries)
{
	spin_lock(&mem->revoke_lock);
	list_splice(entries, &mem->log);
	mem->nr_log += n;
	spin_unlock(&mem->revoke_lock);
}

static int log_step(struct exo_mem_env *mem, struct exo_mem_taken __user *user, u32 room, u32 *done)
{
	struct exo_mem_taken rows[READ_BATCH];
	struct exo_log_entry *entry;
	LIST_HEAD(entries);
	u32 n, i = 0;

	n = log_cut(mem, min_t(u32, room - *done, READ_BATCH), &entries);
	list_for_each_entry(entry, &entries, node)
		rows[i++] = entry->taken;
	if (copy_to_user(user + *done, rows, n * sizeof(*rows))) {
		log_return(mem, n, &entries);
		return -EFAULT;
	}
	exo_log_entries_free(&entries);
	*done += n;
	return n;
}

/**
 * exo_log_forget() - nobody will read the log of a keeper: empty it
 * @mem: the keeper's
 *
 * Context: any but interrupts; takes revoke_lock.
 */
void exo_log_forget(struct exo_mem_env *mem)
{
	LIST_HEAD(entries);

	if (!READ_ONCE(mem->nr_log))
		return;
	log_cut(mem, U32_MAX, &entries);
	exo_log_entries_free(&entries);
}

/**
 * exo_mem_log_op() - EXO_MEM_LOG
 * @env: whose log
 * @arg: struct exo_mem_log
 *
 * Return: 0, -EINVAL, -EFAULT or -EINTR; out_done entries are removed in any case.
 */
int exo_mem_log_op(struct exo_env *env, void *arg)
{
	struct exo_mem_env *mem = exo_mem(env);
	struct exo_mem_log *cmd = arg;
	int ret = 0;

	cmd->out_done = 0;
	cmd->out_left = 0;
	if (cmd->flags || cmd->reserved)
		return -EINVAL;
	while (cmd->out_done < cmd->count) {
		ret = log_step(mem, u64_to_user_ptr(cmd->entries), cmd->count, &cmd->out_done);
		if (ret <= 0)
			break;
		ret = 0;
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	cmd->out_left = READ_ONCE(mem->nr_log);
	return ret;
}

/**
 * exo_log_init() - at module load
 *
 * Return: 0 or -ENOMEM.
 */
int exo_log_init(void)
{
	entry_cache = kmem_cache_create("exo_log_entry", sizeof(struct exo_log_entry), 0,
					SLAB_ACCOUNT, NULL);
	return entry_cache ? 0 : -ENOMEM;
}

/**
 * exo_log_exit() - at unload
 */
void exo_log_exit(void)
{
	kmem_cache_destroy(entry_cache);
}
