// SPDX-License-Identifier: GPL-2.0
/*
 * The hook "fault": a graft answers a fault on a view in the kernel, without an upcall.
 *
 * It runs under view->lock, so that it is right under the mmap lock and the VMA's lock alike, and
 * never in two threads at a time. What must be allocated is allocated before. It can name any frame
 * of its environment and any page of the view whose slots are there; what it names is staged, and
 * all of it is recorded at the commit or nothing is (INV-GRAFT-34). Only the page of the fault is
 * installed: the others are by faults of their own, as bound slots always are.
 */
#include "graft/graft.h"
#include "mem/graft.h"

/**
 * struct fault_run - an invocation
 * @view: locked
 * @spare: room for one binding of a frame that is bound elsewhere, or NULL
 */
struct fault_run {
	struct exo_view *view;
	struct exo_binding *spare;
};

/* What EXO_HELPER_BIND stages. */
enum { ARG_PAGE, ARG_FRAME, ARG_RIGHTS };

static bool rights_ok(u64 rights)
{
	return rights == EXO_RIGHT_READ || rights == (EXO_RIGHT_READ | EXO_RIGHT_WRITE);
}

static u64 helper_bind(u64 page, u64 frame, u64 rights, u64 d, struct exo_graft_run *run)
{
	struct exo_graft_window *win = run->priv;
	const struct fault_run *fault = win->priv;
	const struct exo_txn_effect effect = {
		.what = EXO_HELPER_BIND,
		.arg = { [ARG_PAGE] = page, [ARG_FRAME] = frame, [ARG_RIGHTS] = rights },
	};

	if (page >= fault->view->pages || frame >= exo_nr_frames || !rights_ok(rights))
		return (u64)-EINVAL;
	return (u64)(s64)exo_txn_stage(win->txn, &effect);
}

static u64 helper_owns(u64 nr, u64 b, u64 c, u64 d, struct exo_graft_run *run)
{
	const struct exo_graft_window *win = run->priv;
	struct exo_frame *frame = nr < exo_nr_frames ? exo_frame(nr) : NULL;

	return frame && READ_ONCE(frame->owner) == win->env;
}

/* Nothing is bound there, and nothing before this one is to be. */
static bool page_free(struct exo_view *view, const struct exo_txn *txn, u32 i)
{
	u32 j, page = txn->staged[i].arg[ARG_PAGE];
	const u64 *slot = exo_view_slot(view, page);

	if (!slot || *slot)
		return false;
	for (j = 0; j < i; j++)
		if (txn->staged[j].arg[ARG_PAGE] == page)
			return false;
	return true;
}

static int record_one(struct fault_run *fault, const struct exo_txn_effect *effect)
{
	struct exo_frame *frame = exo_frame(effect->arg[ARG_FRAME]);

	if (!frame || READ_ONCE(frame->owner) != fault->view->env)
		return -EACCES;
	return exo_slot_record_spare(fault->view, effect->arg[ARG_PAGE], effect->arg[ARG_FRAME],
				     effect->arg[ARG_RIGHTS] & EXO_RIGHT_WRITE, &fault->spare);
}

/* Check all that is staged, record it, and then show it. Preemption is disabled. */
static int commit(struct exo_graft_window *win)
{
	struct fault_run *fault = win->priv;
	struct exo_view *view = fault->view;
	const struct exo_txn *txn = win->txn;
	const struct exo_txn_effect *effect;
	u32 i, done;
	u64 slot;

	for (i = 0; i < txn->nr_staged; i++)
		if (!page_free(view, txn, i))
			return -EBUSY;
	for (done = 0; done < txn->nr_staged; done++)
		if (record_one(fault, &txn->staged[done]))
			goto err_records;
	for (i = 0; i < done; i++) {
		effect = &txn->staged[i];
		slot = exo_slot(effect->arg[ARG_FRAME], effect->arg[ARG_RIGHTS] & EXO_RIGHT_WRITE);
		WRITE_ONCE(*exo_view_slot(view, effect->arg[ARG_PAGE]), slot);
	}
	atomic64_add(done, &view->env->mem->nr_bound);
	return 0;

err_records:
	while (done--) {
		effect = &txn->staged[done];
		exo_slot_unrecord(view, effect->arg[ARG_PAGE], effect->arg[ARG_FRAME], 0);
	}
	return -EACCES;
}

static void fill_ctx(struct exo_ctx_fault *ctx, const struct exo_view *view, u32 page, u32 fault)
{
	ctx->page = page;
	ctx->fault = fault;
	ctx->view = view->number;
	ctx->cookie = view->graft->cookie;
}

/**
 * exo_fault_graft() - let the view's graft answer a fault on a page that isn't bound
 * @view: locked, with a graft
 * @page: below view->pages
 * @fault: EXO_FAULT_*
 *
 * Context: sleeps; in a fault handler.
 * Return: the slot, or 0 if somebody else must be asked.
 */
u64 exo_fault_graft(struct exo_view *view, u32 page, u32 fault)
{
	struct exo_graft_attachment *at = view->graft;
	struct fault_run run = { .view = view };
	struct exo_graft_window *win;
	u32 status, result;

	if (!exo_graft_attachment_good(at) || !exo_slots_chunk(view, page))
		return 0;
	if (!at->priv)
		at->priv = exo_binding_alloc(view->env);
	win = exo_graft_claim(at->graft);
	if (!win)
		return 0;
	run.spare = at->priv;
	win->env = view->env;
	win->priv = &run;
	fill_ctx(win->ctx, view, page, fault);
	status = exo_graft_run(win, commit, &result);
	exo_graft_release(win);
	at->priv = run.spare;
	if (unlikely(status && status != EXO_GRAFT_NOT_RUN))
		exo_graft_report(at->graft, status);
	return *exo_view_slot(view, page);
}

/* Take what is attached away. View locked. */
static struct exo_graft_attachment *take_locked(struct exo_view *view)
{
	struct exo_graft_attachment *at = view->graft;

	lockdep_assert_held(&view->lock);
	view->graft = NULL;
	if (at) {
		exo_binding_free(view->env, at->priv);
		at->priv = NULL;
	}
	return at;
}

static int set_locked(struct exo_view *view, struct exo_graft_attachment *at, bool replace,
		      struct exo_graft_attachment **old)
{
	if (view->dead || (!at && !view->graft))
		return -ENOENT;
	if (view->graft && !replace)
		return -EBUSY;
	*old = take_locked(view);
	view->graft = at;
	return 0;
}

static int fault_set(struct exo_env *env, u32 target, struct exo_graft_attachment *at, bool replace,
		     struct exo_graft_attachment **old)
{
	struct exo_view *view = exo_view_get(env, target);
	int ret;

	if (!view)
		return -ENOENT;
	mutex_lock(&view->lock);
	ret = set_locked(view, at, replace, old);
	mutex_unlock(&view->lock);
	exo_view_put(view);
	return ret;
}

static const struct exo_graft_place fault_place = { .set = fault_set };

/**
 * exo_fault_graft_drop() - a view dies, and with it what is attached
 * @view: locked
 */
void exo_fault_graft_drop(struct exo_view *view)
{
	exo_graft_attachment_free(take_locked(view));
}

/**
 * exo_fault_graft_init() - module load
 */
void exo_fault_graft_init(void)
{
	exo_graft_provide(EXO_HELPER_BIND, helper_bind);
	exo_graft_provide(EXO_HELPER_OWNS, helper_owns);
	exo_graft_place(EXO_HOOK_FAULT, &fault_place);
}
