// SPDX-License-Identifier: LGPL-2.1-or-later
/* Frames: allocation, sharing, the pool, revocation. Large batches are cut up. */
#include "lib.h"

/* How many of an array of frames one call may name. @order: EXO_HUGE_ORDER for 2 MiB ones, or 0. */
static uint32_t chunk_of(const struct exo_env *env, uint32_t order)
{
	uint32_t chunk = env->info.out_max_pages >> order;

	return chunk ? chunk : 1;
}

static int for_frames(struct exo_env *env, unsigned int cmd, const uint32_t *frames, uint32_t count,
		      uint32_t *out_done)
{
	uint32_t chunk = chunk_of(env, 0);
	uint32_t done = 0;
	int ret = 0;

	while (done < count && !ret) {
		struct exo_mem_frames arg = {
			.size = sizeof(arg),
			.count = count - done < chunk ? count - done : chunk,
			.frames_ptr = (uintptr_t)(frames + done),
		};

		ret = sys_ioctl(env->fd, cmd, &arg);
		done += arg.out_done;
	}
	if (out_done)
		*out_done = done;
	return ret;
}

/* Options as a caller of any age may have them. */
static void alloc_arg(struct exo_mem_alloc *arg, const struct exo_mem_alloc_opts *opts)
{
	if (!opts)
		return;
	if (OPTS_HAS(opts, sock)) {
		arg->flags = opts->flags;
		arg->colour = opts->colour;
		arg->node = opts->node;
		arg->rights = opts->rights;
		arg->caps_ptr = (uintptr_t)opts->caps;
		arg->sock = opts->sock;
		return;
	}
	arg->flags = OPTS_GET(opts, flags, 0U);
	arg->colour = OPTS_GET(opts, colour, 0U);
	arg->node = OPTS_GET(opts, node, 0U);
	arg->rights = OPTS_GET(opts, rights, 0U);
	arg->caps_ptr = (uintptr_t)OPTS_GET(opts, caps, NULL);
}

/* How the sending went: told, or, to who does not want to know, an error if not all was sent. */
static int alloc_sent(const struct exo_mem_alloc *arg, const struct exo_mem_alloc_opts *opts)
{
	if (OPTS_HAS(opts, out_sent) && opts->out_sent) {
		*opts->out_sent = arg->out_sent;
		return 0;
	}
	if (arg->out_sent < 0)
		return arg->out_sent;
	return (uint32_t)arg->out_sent < arg->count * sizeof(struct exo_cap) ? -EMSGSIZE : 0;
}

/* More frames than one call may name. */
static __attribute__((noinline)) int alloc_chunks(struct exo_env *env, struct exo_mem_alloc *arg, uint32_t chunk,
			uint32_t *out_done)
{
	uint32_t left = arg->count, n;
	int ret;

	*out_done = 0;
	do {
		arg->count = left < chunk ? left : chunk;
		ret = sys_ioctl(env->fd, EXO_MEM_ALLOC, arg);
		n = arg->out_done;
		arg->frames_ptr += n * sizeof(uint32_t);
		if (arg->caps_ptr)
			arg->caps_ptr += n * sizeof(struct exo_cap);
		left -= n;
		*out_done += n;
	} while (!ret && left);
	return ret;
}

/* As many as it takes; *out_done is set in any case. */
static inline int alloc_some(struct exo_env *env, struct exo_mem_alloc *arg, uint32_t *out_done)
{
	uint32_t how = arg->flags & EXO_ALLOC_HOW_MASK;
	uint32_t chunk = chunk_of(env, how == EXO_ALLOC_HUGE ? EXO_HUGE_ORDER : 0);
	int ret;

	/* One run can't be made of several; the module says whether it is too long. */
	if (arg->count > chunk && how != EXO_ALLOC_CONTIG)
		return alloc_chunks(env, arg, chunk, out_done);
	ret = sys_ioctl(env->fd, EXO_MEM_ALLOC, arg);
	*out_done = arg->out_done;
	return ret;
}

/**
 * exo_mem_alloc() - allocate frames
 * @env: becomes their owner, until exo_mem_free() or its death
 * @opts: which frames (NULL: any), and whether with capabilities
 * @frames: written; read for EXO_ALLOC_THESE
 * @count: how many frames; 2 MiB frames for EXO_ALLOC_HUGE
 * @out_done: how many were allocated, also on failure, and they stay; NULL: all or nothing
 *
 * A frame that last belonged to somebody else is zeroed. What is free stands in the frame table
 * (exo_env_table()). Idea: S95 §3.1: the application requests specific physical pages.
 *
 * EXO_ALLOC_SEND gives the frames to another process in the same call, which exo_view_receive() takes:
 * see struct exo_mem_alloc_opts. If the allocation fails nothing is sent.
 *
 * Return: 0; -ENOSPC: nothing free fits; -EBUSY: one of these is taken; -EDQUOT; -EINVAL; with
 * EXO_ALLOC_SEND -EBADF, -ENOTSOCK, -EAFNOSUPPORT, -ENOMEM, and without @opts->out_sent as send(2).
 * Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc(struct exo_env *env, const struct exo_mem_alloc_opts *opts,
			 uint32_t *frames, uint32_t count, uint32_t *out_done)
{
	struct exo_mem_alloc arg = {
		.size = sizeof(arg),
		.count = count,
		.frames_ptr = (uintptr_t)frames,
	};
	uint32_t done = 0;
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (!ret) {
		alloc_arg(&arg, opts);
		ret = alloc_some(env, &arg, &done);
	}
	if (!ret && arg.flags & EXO_ALLOC_SEND) {
		ret = alloc_sent(&arg, opts);
		if (ret) {
			for_frames(env, EXO_MEM_FREE, frames, done, NULL);
			done = 0;
		}
	}
	if (out_done)
		*out_done = done;
	else if (ret && done)
		for_frames(env, EXO_MEM_FREE, frames, done, NULL);
	return ret;
}

/**
 * exo_mem_alloc_any() - allocate any frames, all or nothing
 * @env: becomes their owner
 * @frames: written
 * @count: how many
 *
 * Return: as exo_mem_alloc(). Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc_any(struct exo_env *env, uint32_t *frames, uint32_t count)
{
	return exo_mem_alloc(env, NULL, frames, count, NULL);
}

/**
 * exo_mem_alloc_these() - allocate the frames that are named, all or nothing
 * @env: becomes their owner
 * @frames: which
 * @count: how many
 *
 * Return: as exo_mem_alloc(); -EBUSY: one is taken. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc_these(struct exo_env *env, const uint32_t *frames, uint32_t count)
{
	struct exo_mem_alloc_opts opts = { .sz = sizeof(opts), .flags = EXO_ALLOC_THESE };

	/* Only read for EXO_ALLOC_THESE. */
	return exo_mem_alloc(env, &opts, (uint32_t *)frames, count, NULL);
}

/**
 * exo_mem_alloc_colour() - allocate frames of a page colour, all or nothing
 * @env: becomes their owner
 * @colour: below exo_info.out_colours
 * @frames: written
 * @count: how many
 *
 * Return: as exo_mem_alloc(). Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc_colour(struct exo_env *env, uint32_t colour, uint32_t *frames,
				uint32_t count)
{
	struct exo_mem_alloc_opts opts = {
		.sz = sizeof(opts),
		.flags = EXO_ALLOC_COLOUR,
		.colour = colour,
	};

	return exo_mem_alloc(env, &opts, frames, count, NULL);
}

/**
 * exo_mem_alloc_node() - allocate frames of a NUMA node, all or nothing
 * @env: becomes their owner
 * @node: below exo_info.out_nodes
 * @frames: written
 * @count: how many
 *
 * Return: as exo_mem_alloc(). Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc_node(struct exo_env *env, uint32_t node, uint32_t *frames, uint32_t count)
{
	struct exo_mem_alloc_opts opts = {
		.sz = sizeof(opts),
		.flags = EXO_ALLOC_ANY | EXO_ALLOC_NODE,
		.node = node,
	};

	return exo_mem_alloc(env, &opts, frames, count, NULL);
}

/**
 * exo_mem_alloc_contig() - allocate one physically contiguous run
 * @env: becomes its owner
 * @count: how many frames; exo_info.out_max_pages at most
 * @out_first: the first; the others have the numbers after it
 *
 * Return: as exo_mem_alloc(); -ENOMEM. Thread-safe.
 */
EXPORT int exo_mem_alloc_contig(struct exo_env *env, uint32_t count, uint32_t *out_first)
{
	struct exo_mem_alloc_opts opts = { .sz = sizeof(opts), .flags = EXO_ALLOC_CONTIG };
	uint32_t *frames;
	int ret;

	if (!count || count > env->info.out_max_pages)
		return -EINVAL;
	frames = lib_zalloc(count * sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	ret = exo_mem_alloc(env, &opts, frames, count, NULL);
	if (!ret)
		*out_first = frames[0];
	lib_free(frames);
	return ret;
}

/**
 * exo_mem_alloc_huge() - allocate 2 MiB frames, all or nothing
 * @env: becomes their owner
 * @frames: written: the first frame of each
 * @count: how many 2 MiB frames
 *
 * Return: as exo_mem_alloc(); -EOPNOTSUPP without EXO_FEATURE_HUGE. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_alloc_huge(struct exo_env *env, uint32_t *frames, uint32_t count)
{
	struct exo_mem_alloc_opts opts = { .sz = sizeof(opts), .flags = EXO_ALLOC_HUGE };

	return exo_mem_alloc(env, &opts, frames, count, NULL);
}

/**
 * exo_mem_free() - give frames back
 * @env: their owner
 * @frames: which; a 2 MiB frame by its first
 * @count: how many
 * @out_done: how many were done, the first ones; may be NULL
 *
 * Revokes every capability of a frame and unmaps it everywhere. A frame that I/O still pins is
 * quarantined and stays charged until the I/O ends.
 *
 * Return: 0; -EACCES: not the owner's. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_free(struct exo_env *env, const uint32_t *frames, uint32_t count,
			uint32_t *out_done)
{
	return for_frames(env, EXO_MEM_FREE, frames, count, out_done);
}

/**
 * exo_mem_import() - present a capability of a frame: it may then be bound and mapped here
 * @env: who may
 * @cap: from the frame's owner
 * @out_frame: the frame; may be NULL
 * @out_rights: what may be done with it here; may be NULL
 * @out_order: 0, or EXO_HUGE_ORDER; may be NULL
 *
 * Return: 0; -EACCES; -ESTALE: it was revoked. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_import(struct exo_env *env, const struct exo_cap *cap, uint32_t *out_frame,
			  uint32_t *out_rights, uint32_t *out_order)
{
	struct exo_mem_import arg = { .size = sizeof(arg), .cap = *cap };
	int ret;

	ret = sys_ioctl(env->fd, EXO_MEM_IMPORT, &arg);
	if (ret)
		return ret;
	if (out_frame)
		*out_frame = arg.out_frame;
	if (out_rights)
		*out_rights = arg.out_rights;
	if (out_order)
		*out_order = arg.out_order;
	return 0;
}

/* In one call: recv(2), then import. @arg says whether to bind. */
static int receive(struct exo_env *env, struct exo_mem_import *arg,
		   const struct exo_receive_opts *opts, uint32_t *out_done)
{
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	if (!OPTS_HAS(opts, count))
		return -EINVAL;
	arg->flags |= EXO_IMPORT_RECEIVE | opts->flags;
	arg->sock = opts->sock;
	arg->count = opts->count;
	arg->caps_ptr = (uintptr_t)opts->caps;
	ret = sys_ioctl(env->fd, EXO_MEM_IMPORT, arg);
	if (OPTS_HAS(opts, out_received) && opts->out_received)
		*opts->out_received = arg->out_received;
	if (out_done)
		*out_done = arg->out_done;
	return ret;
}

/**
 * exo_mem_receive() - receive capabilities through a socket and import them
 * @env: who may then bind the frames
 * @opts: the socket, and where what comes is written
 * @out_done: how many were imported, the first ones, also on failure; may be NULL
 *
 * As recv(2) and exo_mem_import() in one call. It waits until something comes, unless it was told not
 * to or the socket is O_NONBLOCK. What came stands in @opts->caps, whatever became of it; the number of a
 * frame is exo_cap.object.
 *
 * Return: 0, also if the other end is closed; -EACCES, -ESTALE: as exo_mem_import(), for the one after
 * *@out_done; -EAGAIN; -EINTR; -EMSGSIZE: a packet with more, or not a whole number of capabilities;
 * -EBADF, -ENOTSOCK, -EAFNOSUPPORT: no AF_UNIX socket; -EINVAL. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_receive(struct exo_env *env, const struct exo_receive_opts *opts,
			   uint32_t *out_done)
{
	struct exo_mem_import arg = { .size = sizeof(arg) };

	return receive(env, &arg, opts, out_done);
}

/**
 * exo_view_receive() - receive capabilities through a socket, import the frames and bind them
 * @view: the view
 * @page: where the first is bound; each other is bound behind the one before (a 2 MiB frame takes 512 pages)
 * @rights: EXO_RIGHT_READ, with or without EXO_RIGHT_WRITE
 * @opts: the socket, and where what comes is written
 * @out_done: how many were imported and bound, the first ones, also on failure; may be NULL
 *
 * As exo_mem_receive(), then exo_view_import() of each: both or neither.
 *
 * Return: as exo_mem_receive() and exo_view_import(). Thread-safe, async-signal-safe, and for fault
 * handlers.
 */
EXPORT int exo_view_receive(struct exo_view *view, uint32_t page, uint32_t rights,
			    const struct exo_receive_opts *opts, uint32_t *out_done)
{
	struct exo_mem_import arg = {
		.size = sizeof(arg),
		.flags = EXO_IMPORT_BIND,
		.view = view->id,
		.page = page,
		.rights = rights,
	};

	return receive(view->env, &arg, opts, out_done);
}

/**
 * exo_mem_drop() - give up what exo_mem_import() gave
 * @env: that imported
 * @frames: which
 * @count: how many
 * @out_done: how many were done, the first ones; may be NULL
 *
 * Return: 0; -ENOENT or -EACCES: not imported. Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_drop(struct exo_env *env, const uint32_t *frames, uint32_t count,
			uint32_t *out_done)
{
	return for_frames(env, EXO_MEM_DROP, frames, count, out_done);
}

static int pool(struct exo_env *env, uint32_t way, uint32_t frames,
		const struct exo_mem_pool_opts *opts, uint32_t *out_done)
{
	struct exo_mem_pool arg = { .size = sizeof(arg), .frames = frames };
	int ret;

	ret = lib_opts_check(opts, sizeof(*opts));
	if (ret)
		return ret;
	arg.flags = way | OPTS_GET(opts, flags, 0U);
	arg.node = OPTS_GET(opts, node, 0U);
	ret = sys_ioctl(env->fd, EXO_MEM_POOL, &arg);
	if (out_done)
		*out_done = arg.out_done;
	return ret;
}

/**
 * exo_mem_pool_grow() - take memory from Linux for the pool
 * @env: any environment
 * @frames: how many more, in 4 KiB; rounded up to blocks of 512
 * @opts: NULL, or node and 2 MiB frames
 * @out_done: how many came, also on failure; may be NULL
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN; -ENOMEM: Linux had not so many. Thread-safe.
 */
EXPORT int exo_mem_pool_grow(struct exo_env *env, uint32_t frames,
			     const struct exo_mem_pool_opts *opts, uint32_t *out_done)
{
	return pool(env, EXO_POOL_GROW, frames, opts, out_done);
}

/**
 * exo_mem_pool_shrink() - give memory of the pool back to Linux
 * @env: any environment
 * @frames: how many fewer, in 4 KiB; rounded up to blocks of 512
 * @opts: NULL, or node and 2 MiB frames
 * @out_done: how many free ones went now; the rest is asked from owners; may be NULL
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN. Thread-safe.
 */
EXPORT int exo_mem_pool_shrink(struct exo_env *env, uint32_t frames,
			       const struct exo_mem_pool_opts *opts, uint32_t *out_done)
{
	return pool(env, EXO_POOL_SHRINK, frames, opts, out_done);
}

/**
 * exo_mem_revoke() - ask an environment for frames
 * @env: any environment
 * @target: number of the environment that is asked; 0: all, in proportion to what they hold
 * @frames: how many
 * @deadline_ms: then they are taken; 0: the uid's own deadline
 * @out_asked: how many were asked for (the guaranteed minimum is left); may be NULL
 *
 * Return: 0; -EPERM without CAP_SYS_ADMIN; -ENOENT. Thread-safe.
 */
EXPORT int exo_mem_revoke(struct exo_env *env, uint64_t target, uint32_t frames,
			  uint32_t deadline_ms, uint32_t *out_asked)
{
	struct exo_mem_revoke arg = {
		.size = sizeof(arg),
		.env = target,
		.frames = frames,
		.deadline_ms = deadline_ms,
	};
	int ret;

	ret = sys_ioctl(env->fd, EXO_MEM_REVOKE, &arg);
	if (out_asked)
		*out_asked = arg.out_asked;
	return ret;
}

/**
 * exo_mem_log() - read and remove entries of the repossession log
 * @env: whose
 * @entries: written: which frames were taken by force, and where they were bound
 * @count: room in @entries
 * @out_left: entries left; may be NULL
 *
 * Idea: S95 §3.4, the repossession vector of the abort protocol.
 *
 * Return: how many entries were written, or -errno. Thread-safe; each entry goes to one caller.
 */
EXPORT int exo_mem_log(struct exo_env *env, struct exo_mem_taken *entries, uint32_t count,
		       uint32_t *out_left)
{
	struct exo_mem_log arg = {
		.size = sizeof(arg),
		.count = count,
		.entries = (uintptr_t)entries,
	};
	int ret;

	ret = sys_ioctl(env->fd, EXO_MEM_LOG, &arg);
	if (ret)
		return ret;
	if (out_left)
		*out_left = arg.out_left;
	return (int)arg.out_done;
}

/**
 * exo_mem_query() - rights, bindings and holders of a run of frames
 * @env: as this environment sees them
 * @first: first frame
 * @count: how many
 * @infos: written, one a frame
 *
 * Return: how many were written (fewer than @count if the module's limit is lower), or -errno.
 * Thread-safe, async-signal-safe.
 */
EXPORT int exo_mem_query(struct exo_env *env, uint32_t first, uint32_t count,
			 struct exo_frame_info *infos)
{
	struct exo_mem_query arg = {
		.size = sizeof(arg),
		.frame = first,
		.count = count < env->info.out_max_pages ? count : env->info.out_max_pages,
		.infos = (uintptr_t)infos,
	};
	int ret;

	ret = sys_ioctl(env->fd, EXO_MEM_QUERY, &arg);
	return ret ? ret : (int)arg.out_done;
}
