// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loaded grafts: code that the module has accepted. A handle keeps the environment from being
 * closed; the state window is mapped as long as the handle lives.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "graft.h"

/**
 * struct exo_graft - a loaded graft
 * @env: who loaded it
 * @said: the request, with what the module answered
 * @state: the state window, NULL if there is none
 * @state_size: bytes that are mapped there
 * @vars: the object's variables, a copy
 * @nr_vars: how many
 */
struct exo_graft {
	struct exo_env *env;
	struct exo_graft_load said;
	char *state;
	size_t state_size;
	struct exo_graft_var *vars;
	uint32_t nr_vars;
};

/* The names stand behind the array, in the same piece of memory. */
static int copy_vars(struct exo_graft *graft, const struct exo_graft_parts *parts)
{
	size_t size = parts->nr_vars * sizeof(*parts->vars), length;
	char *names;
	uint32_t i;

	for (i = 0; i < parts->nr_vars; i++)
		size += strlen(parts->vars[i].name) + 1;
	if (!parts->nr_vars)
		return 0;
	graft->vars = lib_zalloc(size);
	if (!graft->vars)
		return -ENOMEM;
	names = (char *)(graft->vars + parts->nr_vars);
	for (i = 0; i < parts->nr_vars; i++) {
		length = strlen(parts->vars[i].name) + 1;
		graft->vars[i] = parts->vars[i];
		graft->vars[i].name = memcpy(names, parts->vars[i].name, length);
		names += length;
	}
	graft->nr_vars = parts->nr_vars;
	return 0;
}

static int map_state(struct exo_graft *graft, const struct exo_graft_parts *parts)
{
	void *state;

	graft->state_size = graft->said.state_pages * EXO_PAGE_SIZE;
	if (!graft->state_size)
		return 0;
	state = sys_mmap(NULL, graft->state_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 graft->env->fd, graft->said.out_state);
	if (sys_is_err(state))
		return sys_err(state);
	graft->state = state;
	if (parts->state)
		memcpy(state, parts->state, parts->state_size);
	return 0;
}

static void unload(struct exo_graft *graft)
{
	struct exo_graft_unload cmd = { .size = sizeof(cmd), .graft = graft->said.out_graft };

	sys_ioctl(graft->env->fd, EXO_GRAFT_UNLOAD, &cmd);
}

/*
 * Which mode to ask for: with mode 0 a proof if there is one, else exactly what was said. A
 * certificate that came with the object is the module's to judge.
 */
static int choose_mode(struct exo_graft_object *object, uint32_t mode, struct exo_graft_load *cmd)
{
	const struct exo_graft_parts *parts = &object->parts;
	bool prove = !mode || (mode == EXO_GRAFT_PROOF && !parts->cert);

	if (prove) {
		int ret = graft_verify_locked(object);

		if (ret)
			return ret;
		if (!object->verdict.decoded || (mode && !object->verdict.proved))
			return -EINVAL;
	}
	cmd->mode = mode;
	if (!mode) {
		cmd->mode = object->verdict.proved ? EXO_GRAFT_PROOF : EXO_GRAFT_SANDBOX;
		cmd->flags |= EXO_GRAFT_LOAD_SANDBOX | EXO_GRAFT_LOAD_INTERP;
	}
	if (cmd->mode != EXO_GRAFT_PROOF)
		return 0;
	cmd->cert = (uintptr_t)parts->cert;
	cmd->cert_size = (uint32_t)parts->cert_size;
	return 0;
}

/* Why it wasn't loaded, or not as a proof. */
static void explain(const struct exo_graft_object *object, const struct exo_graft_load *cmd,
		    int ret, char *text, size_t size)
{
	const struct exo_graft_error *error = &cmd->out_error;

	if (!size)
		return;
	text[0] = 0;
	if (error->code == EXO_GRAFT_FINE && object->verified &&
	    (ret == -EINVAL || cmd->mode == EXO_GRAFT_SANDBOX))
		error = &object->verdict.error;
	if (error->code != EXO_GRAFT_FINE)
		exo_graft_error_text(object, error, text, size);
	else if (ret == -EOPNOTSUPP)
		snprintf(text, size, "grafts are switched off (module parameter grafts=0), or the "
			 "kernel can't translate this one; mode 0 would interpret it");
	else if (ret == -EDQUOT)
		snprintf(text, size, "the user has no room for it: see exoctl quota for grafts, their "
			 "instructions and their machine code");
	else if (ret < 0)
		snprintf(text, size, "%s", exo_strerror(ret));
}

static int ask(struct exo_env *env, struct exo_graft_object *object,
	       const struct exo_graft_load_opts *opts, struct exo_graft_load *cmd)
{
	const struct exo_graft_parts *parts = &object->parts;
	const char *name = OPTS_GET(opts, name, NULL);
	int ret;

	cmd->size = sizeof(*cmd);
	cmd->flags = OPTS_GET(opts, flags, 0);
	cmd->hook = parts->hook;
	cmd->nr_insns = parts->nr_insns;
	cmd->const_size = parts->const_size;
	cmd->state_pages = (uint32_t)((parts->state_size + EXO_PAGE_SIZE - 1) / EXO_PAGE_SIZE);
	cmd->insns = (uintptr_t)parts->insns;
	cmd->consts = (uintptr_t)parts->consts;
	snprintf(cmd->name, sizeof(cmd->name), "%s", name ? name : parts->name);
	pthread_mutex_lock(&object->lock);
	ret = choose_mode(object, OPTS_GET(opts, mode, 0), cmd);
	if (!ret)
		ret = sys_ioctl(env->fd, EXO_GRAFT_LOAD, cmd);
	if (OPTS_HAS(opts, error_size) && opts->error)
		explain(object, cmd, ret, opts->error, opts->error_size);
	pthread_mutex_unlock(&object->lock);
	return ret;
}

/**
 * exo_graft_load() - have the module check a graft, and translate it
 * @env: owns it from now on
 * @object: what to load
 * @opts: may be NULL
 * @out_graft: the graft, until exo_graft_unload()
 *
 * Proving takes time in this process, once for an object. The state window has its first content
 * when this returns.
 *
 * Return: 0; -EINVAL: refused, @opts->error says why; -EDQUOT; -EPERM: EXO_GRAFT_LOAD_NO_BARRIERS
 * without CAP_PERFMON; -EOPNOTSUPP: grafts are switched off; -ENOMEM. Thread-safe.
 */
EXPORT int exo_graft_load(struct exo_env *env, struct exo_graft_object *object,
			  const struct exo_graft_load_opts *opts, struct exo_graft **out_graft)
{
	struct exo_graft *graft;
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	graft = lib_zalloc(sizeof(*graft));
	if (!graft)
		return -ENOMEM;
	graft->env = env;
	ret = copy_vars(graft, &object->parts);
	if (!ret)
		ret = ask(env, object, opts, &graft->said);
	if (ret)
		goto err_free;
	ret = map_state(graft, &object->parts);
	if (ret)
		goto err_unload;
	env_get(env);
	*out_graft = graft;
	return 0;

err_unload:
	unload(graft);
err_free:
	lib_free(graft->vars);
	lib_free(graft);
	return ret;
}

/**
 * exo_graft_unload() - give a graft up
 * @graft: not used afterwards, nor its state. It is detached wherever it is attached.
 *
 * Return: 0 or -errno. Thread-safe.
 */
EXPORT int exo_graft_unload(struct exo_graft *graft)
{
	if (!graft)
		return -EINVAL;
	if (graft->state)
		sys_munmap(graft->state, graft->state_size);
	unload(graft);
	env_put(graft->env);
	lib_free(graft->vars);
	lib_free(graft);
	return 0;
}

/**
 * exo_graft_id() - a graft's number
 * @graft: a graft
 *
 * Return: what exo_call(), exo_graft_status() and exoctl graft call it.
 */
EXPORT uint32_t exo_graft_id(const struct exo_graft *graft)
{
	return graft->said.out_graft;
}

/**
 * exo_graft_mode() - how a graft runs
 * @graft: a graft
 *
 * Return: enum exo_graft_mode.
 */
EXPORT uint32_t exo_graft_mode(const struct exo_graft *graft)
{
	return graft->said.out_mode;
}

/**
 * exo_graft_loaded() - what the module said when a graft was loaded
 * @graft: a graft
 *
 * Return: the request with its out_ fields; pointers in it mean nothing any more.
 */
EXPORT const struct exo_graft_load *exo_graft_loaded(const struct exo_graft *graft)
{
	return &graft->said;
}

/**
 * exo_graft_state() - the memory that a graft shares with this program
 * @graft: a graft
 * @out_size: bytes; may be NULL
 *
 * Return: the window, until exo_graft_unload(); NULL if the graft has no state. The graft may run
 * at any time: use atomic accesses.
 */
EXPORT void *exo_graft_state(const struct exo_graft *graft, size_t *out_size)
{
	if (out_size)
		*out_size = graft->state_size;
	return graft->state;
}

/**
 * exo_graft_state_var() - a variable of a graft's
 * @graft: a graft
 * @name: as in its source
 * @out_size: bytes; may be NULL
 *
 * Return: where it is in the state; NULL if the graft uses no state, or has no such variable.
 */
EXPORT void *exo_graft_state_var(const struct exo_graft *graft, const char *name, size_t *out_size)
{
	uint32_t i;

	for (i = 0; graft->state && i < graft->nr_vars; i++) {
		if (strcmp(graft->vars[i].name, name))
			continue;
		if (out_size)
			*out_size = graft->vars[i].size;
		return graft->state + graft->vars[i].offset;
	}
	return NULL;
}

/**
 * exo_graft_attach() - run a graft at its hook from now on
 * @env: whose hook; of the fault hook, the view's
 * @graft: an own graft; NULL: @opts->cap names it
 * @opts: @opts->view is required for the fault hook
 *
 * Return: 0; -EBUSY: another is attached there, and no @opts->replace; -EINVAL: not a hook that one
 * attaches to; -EACCES, -ESTALE: the capability. Thread-safe.
 */
EXPORT int exo_graft_attach(struct exo_env *env, struct exo_graft *graft,
			    const struct exo_graft_attach_opts *opts)
{
	struct exo_graft_attach cmd = { .size = sizeof(cmd) };
	const struct exo_view *view = OPTS_GET(opts, view, NULL);
	const struct exo_cap *cap = OPTS_GET(opts, cap, NULL);
	int ret = lib_opts_check(opts, sizeof(*opts));

	if (ret)
		return ret;
	if (!graft == !cap)
		return -EINVAL;
	cmd.flags = OPTS_GET(opts, replace, 0) ? EXO_GRAFT_ATTACH_REPLACE : 0;
	cmd.graft = graft ? exo_graft_id(graft) : 0;
	cmd.target = view ? view->id : 0;
	cmd.cookie = OPTS_GET(opts, cookie, 0);
	if (cap)
		cmd.cap = *cap;
	return sys_ioctl(env->fd, EXO_GRAFT_ATTACH, &cmd);
}

/**
 * exo_graft_detach() - have a hook do its default again
 * @env: whose hook
 * @hook: EXO_HOOK_FAULT or EXO_HOOK_VICTIM
 * @view: fault hook: of which view; else NULL
 *
 * When it returns no run is under way there.
 *
 * Return: 0; -ENOENT: nothing is attached. Thread-safe.
 */
EXPORT int exo_graft_detach(struct exo_env *env, uint32_t hook, struct exo_view *view)
{
	struct exo_graft_detach cmd = {
		.size = sizeof(cmd),
		.hook = hook,
		.target = view ? view->id : 0,
	};

	return sys_ioctl(env->fd, EXO_GRAFT_DETACH, &cmd);
}

/**
 * exo_graft_run() - run a graft in the kernel now
 * @graft: of the hooks pure, stream or txn
 * @invoke: input and output; size and graft are set here
 *
 * Return: 0, also if the run was aborted: @invoke->out_status; -EACCES: it was killed; -EINVAL;
 * -EFAULT. Thread-safe.
 */
EXPORT int exo_graft_run(struct exo_graft *graft, struct exo_graft_invoke *invoke)
{
	invoke->size = sizeof(*invoke);
	invoke->graft = exo_graft_id(graft);
	return sys_ioctl(graft->env->fd, EXO_GRAFT_RUN, invoke);
}

/**
 * exo_graft_status() - what a graft is, and how often it ran
 * @env: its owner, or any with CAP_SYS_ADMIN
 * @graft: its number
 * @out_info: the answer
 *
 * Return: 0; -ENOENT. Thread-safe.
 */
EXPORT int exo_graft_status(struct exo_env *env, uint32_t graft, struct exo_graft_info *out_info)
{
	memset(out_info, 0, sizeof(*out_info));
	out_info->size = sizeof(*out_info);
	out_info->graft = graft;
	return sys_ioctl(env->fd, EXO_GRAFT_STATUS, out_info);
}

/**
 * exo_graft_list() - the grafts that are loaded
 * @env: the caller's uid's are listed; all with CAP_SYS_ADMIN
 * @rows: room for @count
 * @count: at most
 * @start: only grafts with a number above this
 *
 * Return: rows written, or -errno. Thread-safe.
 */
EXPORT int exo_graft_list(struct exo_env *env, struct exo_graft_info *rows, uint32_t count,
			  uint64_t start)
{
	struct exo_graft_list cmd = {
		.size = sizeof(cmd),
		.count = count,
		.rows = (uintptr_t)rows,
		.start = start,
	};
	int ret = sys_ioctl(env->fd, EXO_GRAFT_LIST, &cmd);

	return ret < 0 ? ret : (int)cmd.out_done;
}

/**
 * exo_graft_log() - what a graft said with exo_trace()
 * @env: its owner
 * @graft: its number
 * @entries: room for @count, oldest first
 * @count: at most
 * @start: only entries with this number or a later one
 *
 * Return: entries written, or -errno. Thread-safe.
 */
EXPORT int exo_graft_log(struct exo_env *env, uint32_t graft, struct exo_graft_trace *entries,
			 uint32_t count, uint64_t start)
{
	struct exo_graft_log cmd = {
		.size = sizeof(cmd),
		.graft = graft,
		.count = count,
		.start = start,
		.entries = (uintptr_t)entries,
	};
	int ret = sys_ioctl(env->fd, EXO_GRAFT_LOG, &cmd);

	return ret < 0 ? ret : (int)cmd.out_done;
}

/**
 * exo_graft_kill() - abort what runs of a graft, and run it no more
 * @env: its owner, or any with CAP_SYS_ADMIN
 * @graft: its number
 *
 * Return: 0; -ENOENT. No run is under way when it returns. Thread-safe.
 */
EXPORT int exo_graft_kill(struct exo_env *env, uint32_t graft)
{
	struct exo_graft_kill cmd = { .size = sizeof(cmd), .graft = graft };

	return sys_ioctl(env->fd, EXO_GRAFT_KILL, &cmd);
}
