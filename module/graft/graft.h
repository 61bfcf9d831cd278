/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shell around the graft engine: loading, memory, translation, invocations, attachments.
 *
 * A graft belongs to the environment that loaded it. It is found through exo_grafts, by number.
 * References: the index has one (until EXO_GRAFT_UNLOAD or the environment's end), each attachment,
 * each mapping of its state, each operation. Its memory goes a grace period after the last, so
 * that whoever runs with preemption disabled may look at a graft that it found in the index.
 *
 * An invocation happens in a *window*: a graft's memory for one invocation at a time, with the
 * record of it. There is at most one a processor; a window is claimed by its mutex, from process
 * context. The invocation itself runs with preemption disabled; an interpreted one pauses now and then.
 *
 * Nouns that have hooks (mem) provide their helpers and the places where grafts are attached:
 * nothing here includes a header of theirs.
 */
#ifndef EXO_GRAFT_GRAFT_H
#define EXO_GRAFT_GRAFT_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "core/graft.h"
#include "core/txn.h"
#include "env/env.h"

struct bpf_insn;
struct bpf_prog;
struct page;
struct exo_graft;

#define EXO_GRAFTS_MAX 65535	/* numbers are global: they are part of the mmap offset */

/* How an invocation that was not even begun "ends". */
#define EXO_GRAFT_NOT_RUN (~0U)

/**
 * struct exo_graft_lock - one of an environment's locks for grafts
 * @guard: guards @holder; whoever aborts the holder has it, so that it hits this very run
 * @holder: window of the outermost invocation that has the lock, or NULL
 */
struct exo_graft_lock {
	spinlock_t guard;
	struct exo_graft_window *holder;
};

/**
 * struct exo_graft_env - what the graft noun keeps per environment
 * @lock: guards @grafts
 * @grafts: that it has loaded
 * @locks: for EXO_HELPER_LOCK; of all grafts that this environment loaded
 */
struct exo_graft_env {
	struct mutex lock;
	struct list_head grafts;
	struct exo_graft_lock locks[EXO_GRAFT_LOCKS];
};

/**
 * struct exo_graft_pages - pages that belong to a graft or to a window
 * @nr: how many
 * @page: each
 */
struct exo_graft_pages {
	u32 nr;
	struct page **page;
};

/**
 * struct exo_graft_window - memory and record of an invocation
 * @lock: claimed
 * @graft: whose
 * @env: on whose behalf it runs: who attached it
 * @priv: the hook's, during an invocation
 * @outer: of a nested invocation: the caller's; else NULL
 * @inner: the nested invocation that this one waits for, or NULL
 * @paused: it is interpreted, and lets others have the processor: preemption is enabled for once
 * @txn: of the outermost invocation; NULL if the hook has none
 * @own_txn: this window's own
 * @pages: that no other window has: context, stack, data
 * @area: vmap of everything, NULL if there is nothing
 * @ctx: where the context is filled in
 * @clear: what is zeroed before each run: what may be written of the context, and the stack
 * @nr_clear: words of it
 * @data: the data region
 * @data_at: its address as the graft sees it
 * @dirty: bytes of it that the last invocation of a function of xn had
 * @runs: invocations, under @lock
 * @aborts: by enum exo_graft_status
 * @charged: the most that one charged
 * @run: what JITed code sees; last, because the context stands behind it
 */
struct exo_graft_window {
	struct mutex lock;
	struct exo_graft *graft;
	struct exo_env *env;
	void *priv;
	struct exo_graft_window *outer;
	struct exo_graft_window *inner;
	bool paused;
	struct exo_txn *txn;
	struct exo_txn *own_txn;
	struct exo_graft_pages pages;
	void *area;
	void *ctx;
	u64 *clear;
	u32 nr_clear;
	void *data;
	u64 data_at;
	u32 dirty;
	u64 runs;
	u64 aborts[EXO_GRAFT_ABORT_HELPER + 1];
	u64 charged;
	struct exo_graft_run run;
};

#define EXO_GRAFT_STOP_KILLED (1U << 0)
#define EXO_GRAFT_STOP_UNLOADED (1U << 1)

/**
 * struct exo_graft - a graft
 * @ref: see the top of this file
 * @free_work: frees it a grace period after the last reference
 * @node: in its environment's list, or empty
 * @env: who loaded it, with a reference; NULL: a function of a template of xn, which is in no index
 * @number: in exo_grafts
 * @mode: enum exo_graft_mode
 * @blind: constants in its machine code are blinded
 * @barriers: it was lowered with speculation barriers
 * @stop: EXO_GRAFT_STOP_*: no invocation begins any more
 * @attached: places
 * @generation: of capabilities for it
 * @prog: decoded; its instructions stay for the interpreter
 * @layout: of its windows
 * @consts: pages of constants
 * @state: pages of state, shared with who maps them
 * @shared: proof: vmap of both, constants first; else NULL
 * @bpf: machine code, NULL if it is interpreted
 * @func: its entry: machine code, or exo_graft_interpreted()
 * @budget: of a run, after its entry was charged
 * @lowered: instructions, charged
 * @jit_bytes: bytes of machine code, charged
 * @windows: by processor; made when first needed
 * @log_lock: guards @log and @log_seq; a leaf
 * @log: EXO_GRAFT_TRACES entries, NULL if its hook can't trace
 * @log_seq: number of the next entry
 * @told: jiffies when an abort was last posted
 * @name: for people
 */
struct exo_graft {
	struct kref ref;
	struct rcu_work free_work;
	struct list_head node;
	struct exo_env *env;
	u32 number;
	u32 mode;
	bool blind;
	bool barriers;
	u32 stop;
	atomic_t attached;
	u64 generation;
	struct exo_graft_prog prog;
	struct exo_graft_layout layout;
	struct exo_graft_pages consts;
	struct exo_graft_pages state;
	void *shared;
	struct bpf_prog *bpf;
	unsigned int (*func)(const void *ctx, const struct bpf_insn *insn);
	s64 budget;
	u32 lowered;
	u32 jit_bytes;
	struct exo_graft_window **windows;
	spinlock_t log_lock;
	struct exo_graft_trace *log;
	u64 log_seq;
	unsigned long told;
	char name[EXO_GRAFT_NAME];
};

static inline int exo_graft_charge(const struct exo_graft *graft, u32 grafts, u32 insns, u32 jit)
{
	return graft->env ? exo_user_charge_graft(graft->env->user, grafts, insns, jit) : 0;
}

static inline void exo_graft_uncharge(const struct exo_graft *graft, u32 grafts, u32 insns, u32 jit)
{
	if (graft->env)
		exo_user_uncharge_graft(graft->env->user, grafts, insns, jit);
}

static inline bool exo_graft_has_txn(const struct exo_graft *graft)
{
	return graft->prog.hook->flags & EXO_HOOK_TRANSACTION;
}

/* Is it for EXO_GRAFT_RUN? */
static inline bool exo_graft_is_invoked(const struct exo_graft *graft)
{
	u32 hook = graft->prog.hook->id;

	return hook == EXO_HOOK_PURE || hook == EXO_HOOK_STREAM || hook == EXO_HOOK_TXN;
}

/**
 * struct exo_graft_attachment - a graft that is attached somewhere
 * @graft: with a reference
 * @cookie: for its context
 * @generation: of the capability that it was attached with, 0 if it is the environment's own
 * @priv: the place's
 */
struct exo_graft_attachment {
	struct exo_graft *graft;
	u64 cookie;
	u64 generation;
	void *priv;
};

/* May it still run there? */
static inline bool exo_graft_attachment_good(const struct exo_graft_attachment *at)
{
	return !READ_ONCE(at->graft->stop) &&
	       (!at->generation || at->generation == READ_ONCE(at->graft->generation));
}

/**
 * struct exo_graft_place - what a noun tells about a hook of its own
 * @set: attach @at at @target of @env, or detach if it is NULL. -EBUSY: something is attached, and
 *	not @replace; -ENOENT: no such target, or nothing to detach. What was attached is returned
 *	in *@old, and no run of it is under way there. Sleeps
 */
struct exo_graft_place {
	int (*set)(struct exo_env *env, u32 target, struct exo_graft_attachment *at, bool replace,
		   struct exo_graft_attachment **old);
};

/* graft.c */
extern struct xarray exo_grafts;
extern bool exo_grafts_on;
struct exo_graft *exo_graft_get(struct exo_env *env, u32 number);
struct exo_graft *exo_graft_get_any(u64 number);
void exo_graft_put(struct exo_graft *graft);
void exo_graft_flush(void);
int exo_graft_unload_op(struct exo_env *env, void *arg);

/* load.c */
int exo_graft_load_op(struct exo_env *env, void *arg);
void exo_graft_destroy(struct exo_graft *graft);
struct exo_graft *exo_graft_make_function(const struct exo_hook *hook, struct exo_graft_load *cmd);

/* jit.c */
int exo_graft_translate(struct exo_graft *graft, struct exo_graft_error *err);
void exo_graft_translation_free(struct exo_graft *graft);

/* window.c */
int exo_graft_pages_alloc(struct exo_graft_pages *pages, u32 nr);
void exo_graft_pages_free(struct exo_graft_pages *pages);
int exo_graft_windows_make(struct exo_graft *graft);
void exo_graft_windows_free(struct exo_graft *graft);
struct exo_graft_window *exo_graft_claim(struct exo_graft *graft);
struct exo_graft_window *exo_graft_claim_nested(struct exo_graft *graft);
void exo_graft_release(struct exo_graft_window *win);
int exo_graft_windows_init(void);
void exo_graft_windows_exit(void);

/* state.c */
int exo_graft_mmap(struct exo_env *env, struct vm_area_struct *vma);

/* run.c */
typedef int (*exo_graft_commit_fn)(struct exo_graft_window *win);
u32 exo_graft_run(struct exo_graft_window *win, exo_graft_commit_fn commit, u32 *result);
u32 exo_graft_run_nested(struct exo_graft_window *outer, struct exo_graft *graft, u64 arg);
void exo_graft_set_data(struct exo_graft_window *win, u32 size);
void exo_graft_report(struct exo_graft *graft, u32 status);
unsigned int exo_graft_interpreted(const void *ctx, const struct bpf_insn *insn);
u32 exo_graft_run_function(struct exo_graft *graft, const void *data, u32 size, const u64 *args,
			   u32 nr_args, void *priv, u32 *result, u64 *cost);
int exo_graft_run_op(struct exo_env *env, void *arg);

/* helper.c */
extern exo_helper_fn exo_graft_helpers[EXO_GRAFT_MAX_HELPERS];
void exo_graft_provide(u32 helper, exo_helper_fn fn);
u64 exo_graft_doom(struct exo_graft_run *run, u32 status);
void exo_graft_unlock(struct exo_graft_env *graft_env, u32 locks);

/* attach.c */
void exo_graft_place(u32 hook, const struct exo_graft_place *place);
void exo_graft_attachment_free(struct exo_graft_attachment *at);
int exo_graft_attach_op(struct exo_env *env, void *arg);
int exo_graft_detach_op(struct exo_env *env, void *arg);

/* list.c */
int exo_graft_status_op(struct exo_env *env, void *arg);
int exo_graft_list_op(struct exo_env *env, void *arg);
int exo_graft_log_op(struct exo_env *env, void *arg);
int exo_graft_kill_op(struct exo_env *env, void *arg);

#endif
