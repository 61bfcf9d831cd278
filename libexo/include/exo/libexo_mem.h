/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and windows. Include <exo/libexo.h>, not this. */
#ifndef EXO_LIBEXO_MEM_H
#define EXO_LIBEXO_MEM_H

/**
 * struct exo_mem_alloc_opts - options of exo_mem_alloc()
 * @sz: size of this struct
 * @flags: enum exo_alloc_how, EXO_ALLOC_NODE, and EXO_ALLOC_SEND; default: any frames
 * @colour: for EXO_ALLOC_COLOUR
 * @node: for EXO_ALLOC_NODE
 * @rights: EXO_RIGHT_*: make a capability with these of each frame; 0: none
 * @caps: where to: as many as frames; NULL without rights
 * @sock: for EXO_ALLOC_SEND: the capabilities go out through this connected AF_UNIX socket, as one
 *	message, EXO_MESSAGE_CAPS at most; it never waits for the receiver
 * @out_sent: bytes that were sent, or why none were (-EAGAIN: the socket is full, -EPIPE, ...); the
 *	frames stay. NULL: what could not be sent whole is freed, and that is the error
 */
struct exo_mem_alloc_opts {
	size_t sz;
	uint32_t flags;
	uint32_t colour;
	uint32_t node;
	uint32_t rights;
	struct exo_cap *caps;
	int sock;
	int *out_sent;
};

/*
 * count frames into frames (read for EXO_ALLOC_THESE). With out_done: how many were allocated, also
 * on failure, and they stay. Without (NULL): all or nothing.
 */
int exo_mem_alloc(struct exo_env *env, const struct exo_mem_alloc_opts *opts, uint32_t *frames,
		  uint32_t count, uint32_t *out_done);
/* All or nothing: */
int exo_mem_alloc_any(struct exo_env *env, uint32_t *frames, uint32_t count);
int exo_mem_alloc_these(struct exo_env *env, const uint32_t *frames, uint32_t count);
int exo_mem_alloc_colour(struct exo_env *env, uint32_t colour, uint32_t *frames, uint32_t count);
int exo_mem_alloc_node(struct exo_env *env, uint32_t node, uint32_t *frames, uint32_t count);
/* One physically contiguous run of count frames; its first frame. */
int exo_mem_alloc_contig(struct exo_env *env, uint32_t count, uint32_t *out_first);
/* count 2 MiB frames, each named by its first frame. */
int exo_mem_alloc_huge(struct exo_env *env, uint32_t *frames, uint32_t count);

/* Frees frames, a 2 MiB one by its first. out_done may be NULL. */
int exo_mem_free(struct exo_env *env, const uint32_t *frames, uint32_t count, uint32_t *out_done);
/* Presents a capability: the frame may then be bound here. Each out_... may be NULL. */
int exo_mem_import(struct exo_env *env, const struct exo_cap *cap, uint32_t *out_frame,
		   uint32_t *out_rights, uint32_t *out_order);

/**
 * struct exo_receive_opts - where exo_mem_receive() and exo_view_receive() get capabilities from
 * @sz: size of this struct
 * @sock: an AF_UNIX socket
 * @flags: 0, or EXO_IMPORT_DONTWAIT: -EAGAIN if nothing is there
 * @caps: written: what came, before any of it is imported
 * @count: how many at most, EXO_MESSAGE_CAPS at most
 * @out_received: bytes that came, also on failure; 0: the other end is closed; may be NULL
 */
struct exo_receive_opts {
	size_t sz;
	int sock;
	uint32_t flags;
	struct exo_cap *caps;
	uint32_t count;
	uint32_t *out_received;
};

/*
 * Receives capabilities through a socket and imports them. out_done (may be NULL): how many, also on
 * failure; 0 without an error: the other end is closed.
 */
int exo_mem_receive(struct exo_env *env, const struct exo_receive_opts *opts, uint32_t *out_done);
/* Gives up imported frames. out_done may be NULL. */
int exo_mem_drop(struct exo_env *env, const uint32_t *frames, uint32_t count, uint32_t *out_done);

/**
 * struct exo_mem_pool_opts - options of exo_mem_pool_grow() and exo_mem_pool_shrink()
 * @sz: size of this struct
 * @flags: EXO_POOL_HUGE, EXO_POOL_NODE
 * @node: for EXO_POOL_NODE
 */
struct exo_mem_pool_opts {
	size_t sz;
	uint32_t flags;
	uint32_t node;
};

/* CAP_SYS_ADMIN. frames is rounded up to blocks of 512; out_done (may be NULL): how many moved. */
int exo_mem_pool_grow(struct exo_env *env, uint32_t frames, const struct exo_mem_pool_opts *opts,
		      uint32_t *out_done);
int exo_mem_pool_shrink(struct exo_env *env, uint32_t frames, const struct exo_mem_pool_opts *opts,
			uint32_t *out_done);

/* CAP_SYS_ADMIN: asks environment target (0: all) for frames; deadline_ms 0: the uid's. */
int exo_mem_revoke(struct exo_env *env, uint64_t target, uint32_t frames, uint32_t deadline_ms,
		   uint32_t *out_asked);
/* Reads and removes entries of the repossession log: how many; out_left may be NULL. */
int exo_mem_log(struct exo_env *env, struct exo_mem_taken *entries, uint32_t count,
		uint32_t *out_left);
/* Rows written for frames from first on. */
int exo_mem_query(struct exo_env *env, uint32_t first, uint32_t count,
		  struct exo_frame_info *infos);

/* Windows: frames at fixed places, fit for O_DIRECT and registered buffers --------------- */

/* Maps frames first ... first + count - 1. prot: PROT_READ, with or without PROT_WRITE. */
int exo_window_map(struct exo_env *env, uint32_t first, uint32_t count, int prot,
		   struct exo_window **out_window);
/* Maps any frames side by side, in this order. Runs of consecutive numbers share a mapping. */
int exo_window_map_frames(struct exo_env *env, const uint32_t *frames, uint32_t count, int prot,
			  struct exo_window **out_window);
int exo_window_unmap(struct exo_window *window);
void *exo_window_base(const struct exo_window *window);
size_t exo_window_length(const struct exo_window *window);
/* Where a frame is; NULL if it is not in the window. */
void *exo_window_addr(const struct exo_window *window, uint32_t frame);

#endif
