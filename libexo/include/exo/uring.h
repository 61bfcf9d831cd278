/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exo through the caller's own io_uring, in liburing's style: exo_prep_<verb>() fills an sqe and
 * the command's struct, which the caller provides and which must stay, like all that it points to,
 * until the completion. cqe->res is 0 or -errno; out_... fields of the struct are valid then. User
 * data is set by the caller, as with io_uring_prep_*().
 *
 * Every operation is here but those that need the calling thread (EXO_MEM_UPCALL, EXO_MEM_RESUME,
 * EXO_GRAFT_LOAD; unloading is left to the handle's owner) or CAP_SYS_ADMIN (EXO_MEM_POOL, EXO_MEM_REVOKE,
 * EXO_QUOTA_SET, what changes a disk as a whole): they are EOPNOTSUPP through
 * io_uring.
 */
#ifndef EXO_URING_H
#define EXO_URING_H

#include <liburing.h>
#include <string.h>

#include <exo/libexo.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any command: arg is its struct, size and all. */
static inline void exo_prep_cmd(struct io_uring_sqe *sqe, const struct exo_env *env, uint32_t cmd,
				void *arg)
{
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = 0;
	sqe->ioprio = 0;
	sqe->fd = exo_env_fd(env);
	sqe->off = 0;
	sqe->cmd_op = cmd;
	sqe->addr = 0;
	sqe->len = 0;
	sqe->rw_flags = 0;
	sqe->buf_index = 0;
	sqe->personality = 0;
	sqe->file_index = 0;
	/* The last 16 bytes of a 64-byte sqe are the command's: struct exo_uring_cmd. */
	sqe->addr3 = (uint64_t)(uintptr_t)arg;
	sqe->__pad2[0] = 0;
}

#define EXO_PREP_INIT(storage) \
	do { \
		memset((storage), 0, sizeof(*(storage))); \
		(storage)->size = sizeof(*(storage)); \
	} while (0)

static inline void exo_prep_info(struct io_uring_sqe *sqe, struct exo_env *env,
				 struct exo_info *storage)
{
	EXO_PREP_INIT(storage);
	exo_prep_cmd(sqe, env, EXO_INFO, storage);
}

static inline void exo_prep_env_eventfd(struct io_uring_sqe *sqe, struct exo_env *env, int fd,
					struct exo_env_eventfd *storage)
{
	EXO_PREP_INIT(storage);
	storage->fd = fd;
	exo_prep_cmd(sqe, env, EXO_ENV_EVENTFD, storage);
}

static inline void exo_prep_env_status(struct io_uring_sqe *sqe, struct exo_env *env,
				       struct exo_env_status *storage)
{
	EXO_PREP_INIT(storage);
	exo_prep_cmd(sqe, env, EXO_ENV_STATUS, storage);
}

static inline void exo_prep_env_list(struct io_uring_sqe *sqe, struct exo_env *env,
				     struct exo_env_status *rows, uint32_t count, uint64_t start,
				     struct exo_env_list *storage)
{
	EXO_PREP_INIT(storage);
	storage->envs = (uint64_t)(uintptr_t)rows;
	storage->count = count;
	storage->start = start;
	storage->row_size = sizeof(*rows);
	exo_prep_cmd(sqe, env, EXO_ENV_LIST, storage);
}

static inline void exo_prep_quota_get(struct io_uring_sqe *sqe, struct exo_env *env, uint32_t uid,
				      uint32_t flags, struct exo_quota *storage)
{
	EXO_PREP_INIT(storage);
	storage->uid = uid;
	storage->flags = flags;
	exo_prep_cmd(sqe, env, EXO_QUOTA_GET, storage);
}

static inline void exo_prep_cap_create(struct io_uring_sqe *sqe, struct exo_env *env, uint32_t kind,
				       uint64_t object, uint32_t rights,
				       struct exo_cap_create *storage)
{
	EXO_PREP_INIT(storage);
	storage->kind = (uint16_t)kind;
	storage->object = object;
	storage->rights = (uint16_t)rights;
	exo_prep_cmd(sqe, env, EXO_CAP_CREATE, storage);
}

static inline void exo_prep_cap_derive(struct io_uring_sqe *sqe, struct exo_env *env,
				       const struct exo_cap *cap, uint32_t rights,
				       struct exo_cap_derive *storage)
{
	EXO_PREP_INIT(storage);
	storage->cap = *cap;
	storage->rights = rights;
	exo_prep_cmd(sqe, env, EXO_CAP_DERIVE, storage);
}

static inline void exo_prep_cap_revoke(struct io_uring_sqe *sqe, struct exo_env *env,
				       const struct exo_cap *cap, struct exo_cap_revoke *storage)
{
	EXO_PREP_INIT(storage);
	storage->cap = *cap;
	exo_prep_cmd(sqe, env, EXO_CAP_REVOKE, storage);
}

static inline void exo_prep_cap_revoke_object(struct io_uring_sqe *sqe, struct exo_env *env,
					      uint32_t kind, uint64_t object,
					      struct exo_cap_revoke *storage)
{
	EXO_PREP_INIT(storage);
	storage->kind = kind;
	storage->object = object;
	exo_prep_cmd(sqe, env, EXO_CAP_REVOKE, storage);
}

static inline void exo_prep_cap_check(struct io_uring_sqe *sqe, struct exo_env *env,
				      const struct exo_cap *cap, uint32_t rights,
				      struct exo_cap_check *storage)
{
	EXO_PREP_INIT(storage);
	storage->cap = *cap;
	storage->rights = rights;
	exo_prep_cmd(sqe, env, EXO_CAP_CHECK, storage);
}

/*
 * storage->out_done frames were allocated and stay, also on failure. With EXO_ALLOC_SEND
 * storage->out_sent says how the sending went.
 */
static inline void exo_prep_mem_alloc(struct io_uring_sqe *sqe, struct exo_env *env,
				      const struct exo_mem_alloc_opts *opts, uint32_t *frames,
				      uint32_t count, struct exo_mem_alloc *storage)
{
	EXO_PREP_INIT(storage);
	if (opts) {
		storage->flags = opts->flags;
		storage->colour = opts->colour;
		storage->node = opts->node;
		if (opts->sz >= offsetof(struct exo_mem_alloc_opts, sock)) {
			storage->rights = opts->rights;
			storage->caps_ptr = (uint64_t)(uintptr_t)opts->caps;
		}
		if (opts->sz >= sizeof(*opts))
			storage->sock = opts->sock;
	}
	storage->count = count;
	storage->frames_ptr = (uint64_t)(uintptr_t)frames;
	exo_prep_cmd(sqe, env, EXO_MEM_ALLOC, storage);
}

static inline void exo_prep_mem_free(struct io_uring_sqe *sqe, struct exo_env *env,
				     const uint32_t *frames, uint32_t count,
				     struct exo_mem_frames *storage)
{
	EXO_PREP_INIT(storage);
	storage->count = count;
	storage->frames_ptr = (uint64_t)(uintptr_t)frames;
	exo_prep_cmd(sqe, env, EXO_MEM_FREE, storage);
}

static inline void exo_prep_mem_drop(struct io_uring_sqe *sqe, struct exo_env *env,
				     const uint32_t *frames, uint32_t count,
				     struct exo_mem_frames *storage)
{
	EXO_PREP_INIT(storage);
	storage->count = count;
	storage->frames_ptr = (uint64_t)(uintptr_t)frames;
	exo_prep_cmd(sqe, env, EXO_MEM_DROP, storage);
}

static inline void exo_prep_mem_import(struct io_uring_sqe *sqe, struct exo_env *env,
				       const struct exo_cap *cap, struct exo_mem_import *storage)
{
	EXO_PREP_INIT(storage);
	storage->cap = *cap;
	exo_prep_cmd(sqe, env, EXO_MEM_IMPORT, storage);
}

/* As exo_view_import(). */
static inline void exo_prep_view_import(struct io_uring_sqe *sqe, struct exo_view *view,
					uint32_t page, const struct exo_cap *cap, uint32_t rights,
					struct exo_mem_import *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = EXO_IMPORT_BIND;
	storage->cap = *cap;
	storage->view = exo_view_id(view);
	storage->page = page;
	storage->rights = rights;
	exo_prep_cmd(sqe, exo_view_env(view), EXO_MEM_IMPORT, storage);
}

static inline void exo_prep_mem_log(struct io_uring_sqe *sqe, struct exo_env *env,
				    struct exo_mem_taken *entries, uint32_t count,
				    struct exo_mem_log *storage)
{
	EXO_PREP_INIT(storage);
	storage->entries = (uint64_t)(uintptr_t)entries;
	storage->count = count;
	exo_prep_cmd(sqe, env, EXO_MEM_LOG, storage);
}

static inline void exo_prep_mem_query(struct io_uring_sqe *sqe, struct exo_env *env, uint32_t first,
				      uint32_t count, struct exo_frame_info *infos,
				      struct exo_mem_query *storage)
{
	EXO_PREP_INIT(storage);
	storage->frame = first;
	storage->count = count;
	storage->infos = (uint64_t)(uintptr_t)infos;
	exo_prep_cmd(sqe, env, EXO_MEM_QUERY, storage);
}

/* opts->addr is not used here: give it to exo_view_attach(), with the completed storage. */
static inline void exo_prep_view_create(struct io_uring_sqe *sqe, struct exo_env *env,
					const struct exo_view_opts *opts,
					struct exo_mem_view_create *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = opts->flags;
	storage->pages = opts->pages;
	storage->stlb = opts->stlb;
	exo_prep_cmd(sqe, env, EXO_MEM_VIEW_CREATE, storage);
}

/* For a view that was made through io_uring and never attached. */
static inline void exo_prep_view_destroy(struct io_uring_sqe *sqe, struct exo_env *env,
					 uint32_t view, struct exo_mem_view *storage)
{
	EXO_PREP_INIT(storage);
	storage->view = view;
	exo_prep_cmd(sqe, env, EXO_MEM_VIEW_DESTROY, storage);
}

/* Batches are not split here: at most exo_info.out_max_ops operations, out_max_pages pages. */
static inline void exo_prep_batch(struct io_uring_sqe *sqe, uint32_t cmd, struct exo_view *view,
				  struct exo_mem_op *ops, uint32_t count, uint32_t flags,
				  struct exo_mem_batch *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = flags;
	storage->view = exo_view_id(view);
	storage->count = count;
	storage->ops = (uint64_t)(uintptr_t)ops;
	exo_prep_cmd(sqe, exo_view_env(view), cmd, storage);
}

static inline void exo_prep_bind(struct io_uring_sqe *sqe, struct exo_view *view,
				 struct exo_mem_op *ops, uint32_t count,
				 struct exo_mem_batch *storage)
{
	exo_prep_batch(sqe, EXO_MEM_BIND, view, ops, count, 0, storage);
}

static inline void exo_prep_unbind(struct io_uring_sqe *sqe, struct exo_view *view,
				   struct exo_mem_op *ops, uint32_t count, uint32_t flags,
				   struct exo_mem_batch *storage)
{
	exo_prep_batch(sqe, EXO_MEM_UNBIND, view, ops, count, flags, storage);
}

static inline void exo_prep_rebind(struct io_uring_sqe *sqe, struct exo_view *view,
				   struct exo_mem_op *ops, uint32_t count, uint32_t flags,
				   struct exo_mem_batch *storage)
{
	exo_prep_batch(sqe, EXO_MEM_REBIND, view, ops, count, flags, storage);
}

static inline void exo_prep_protect(struct io_uring_sqe *sqe, struct exo_view *view,
				    struct exo_mem_op *ops, uint32_t count, uint32_t flags,
				    struct exo_mem_batch *storage)
{
	exo_prep_batch(sqe, EXO_MEM_PROTECT, view, ops, count, flags, storage);
}

static inline void exo_prep_flush(struct io_uring_sqe *sqe, struct exo_view *view,
				  struct exo_mem_view *storage)
{
	EXO_PREP_INIT(storage);
	storage->view = exo_view_id(view);
	exo_prep_cmd(sqe, exo_view_env(view), EXO_MEM_FLUSH, storage);
}

static inline void exo_prep_harvest(struct io_uring_sqe *sqe, struct exo_view *view, uint32_t page,
				    uint32_t count, uint32_t flags, uint8_t *bits,
				    struct exo_mem_harvest *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = flags;
	storage->view = exo_view_id(view);
	storage->page = page;
	storage->count = count;
	storage->bits = (uint64_t)(uintptr_t)bits;
	exo_prep_cmd(sqe, exo_view_env(view), EXO_MEM_HARVEST, storage);
}

static inline void exo_prep_wake(struct io_uring_sqe *sqe, struct exo_view *view, uint32_t page,
				 uint32_t count, struct exo_mem_wake *storage)
{
	EXO_PREP_INIT(storage);
	storage->view = exo_view_id(view);
	storage->page = page;
	storage->count = count;
	exo_prep_cmd(sqe, exo_view_env(view), EXO_MEM_WAKE, storage);
}

/* invoke: its input is set by the caller, the rest here. */
static inline void exo_prep_graft_run(struct io_uring_sqe *sqe, struct exo_env *env,
				      const struct exo_graft *graft,
				      struct exo_graft_invoke *invoke)
{
	invoke->size = sizeof(*invoke);
	invoke->flags = 0;
	invoke->graft = exo_graft_id(graft);
	exo_prep_cmd(sqe, env, EXO_GRAFT_RUN, invoke);
}

/* view NULL: the hook has none. flags: 0 or EXO_GRAFT_ATTACH_REPLACE. */
static inline void exo_prep_graft_attach(struct io_uring_sqe *sqe, struct exo_env *env,
					 const struct exo_graft *graft, const struct exo_view *view,
					 uint64_t cookie, uint32_t flags,
					 struct exo_graft_attach *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = flags;
	storage->graft = exo_graft_id(graft);
	storage->target = view ? exo_view_id(view) : 0;
	storage->cookie = cookie;
	exo_prep_cmd(sqe, env, EXO_GRAFT_ATTACH, storage);
}

static inline void exo_prep_graft_detach(struct io_uring_sqe *sqe, struct exo_env *env,
					 uint32_t hook, const struct exo_view *view,
					 struct exo_graft_detach *storage)
{
	EXO_PREP_INIT(storage);
	storage->hook = hook;
	storage->target = view ? exo_view_id(view) : 0;
	exo_prep_cmd(sqe, env, EXO_GRAFT_DETACH, storage);
}

static inline void exo_prep_graft_status(struct io_uring_sqe *sqe, struct exo_env *env,
					 uint32_t graft, struct exo_graft_info *storage)
{
	EXO_PREP_INIT(storage);
	storage->graft = graft;
	exo_prep_cmd(sqe, env, EXO_GRAFT_STATUS, storage);
}

static inline void exo_prep_graft_list(struct io_uring_sqe *sqe, struct exo_env *env,
				       struct exo_graft_info *rows, uint32_t count, uint64_t start,
				       struct exo_graft_list *storage)
{
	EXO_PREP_INIT(storage);
	storage->count = count;
	storage->rows = (uint64_t)(uintptr_t)rows;
	storage->start = start;
	exo_prep_cmd(sqe, env, EXO_GRAFT_LIST, storage);
}

static inline void exo_prep_graft_log(struct io_uring_sqe *sqe, struct exo_env *env, uint32_t graft,
				      struct exo_graft_trace *entries, uint32_t count,
				      uint64_t start, struct exo_graft_log *storage)
{
	EXO_PREP_INIT(storage);
	storage->graft = graft;
	storage->count = count;
	storage->start = start;
	storage->entries = (uint64_t)(uintptr_t)entries;
	exo_prep_cmd(sqe, env, EXO_GRAFT_LOG, storage);
}

static inline void exo_prep_graft_kill(struct io_uring_sqe *sqe, struct exo_env *env, uint32_t graft,
				       struct exo_graft_kill *storage)
{
	EXO_PREP_INIT(storage);
	storage->graft = graft;
	exo_prep_cmd(sqe, env, EXO_GRAFT_KILL, storage);
}

/*
 * xn, as the functions of the same name. frames: one a block, NULL where there are none. kind:
 * EXO_XN_IO_READ ..., at most EXO_XN_IO_BLOCKS blocks of it; flags: 0 or EXO_XN_IO_DURABLE. EXO_XN_IO_FLUSH has
 * no offset and no count.
 */
static inline void exo_prep_xn_io(struct io_uring_sqe *sqe, struct exo_xn *xn, uint32_t kind,
				  uint32_t binding, uint32_t offset, const uint32_t *frames,
				  uint32_t count, uint32_t flags, struct exo_xn_io *storage)
{
	EXO_PREP_INIT(storage);
	storage->flags = flags;
	storage->kind = kind;
	storage->binding = binding;
	storage->offset = offset;
	storage->count = count;
	if (frames)
		storage->frames = count == 1 ? frames[0] : (uint64_t)(uintptr_t)frames;
	exo_prep_cmd(sqe, exo_xn_env(xn), EXO_XN_IO, storage);
}

/* The change stays as it is until the completion; exo_xn_change_clear() it then. Its command's error, else 0. */
static inline int exo_prep_xn_apply(struct io_uring_sqe *sqe, struct exo_xn *xn,
				    struct exo_xn_change *change, uint32_t flags,
				    struct exo_xn_apply *storage)
{
	int ret = exo_xn_change_command(change, flags, storage);

	exo_prep_cmd(sqe, exo_xn_env(xn), EXO_XN_APPLY, storage);
	return ret;
}

static inline void exo_prep_xn_commit(struct io_uring_sqe *sqe, struct exo_xn *xn, uint32_t root,
				      struct exo_xn_commit *storage)
{
	EXO_PREP_INIT(storage);
	storage->disk = exo_xn_number(xn);
	storage->root = root;
	exo_prep_cmd(sqe, exo_xn_env(xn), EXO_XN_COMMIT, storage);
}

/* Without keys. */
static inline void exo_prep_xn_read(struct io_uring_sqe *sqe, struct exo_xn *xn, uint32_t root,
				    uint64_t parent, uint64_t block, void *bytes, uint32_t length,
				    struct exo_xn_read *storage)
{
	EXO_PREP_INIT(storage);
	storage->disk = exo_xn_number(xn);
	storage->root = root;
	storage->parent = parent;
	storage->block = block;
	storage->bytes = (uint64_t)(uintptr_t)bytes;
	storage->length = length;
	exo_prep_cmd(sqe, exo_xn_env(xn), EXO_XN_READ, storage);
}

#undef EXO_PREP_INIT

#ifdef __cplusplus
}
#endif

#endif
