/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Users, their roots and their data on a simulated disk, and what must be true of them: a model in plain C
 * of what the engine (core/xn.h) promises, and a checker that looks at a disk after a crash with it.
 *
 * Of each root the model has three states: as it is now, as it was at the last commit that was acknowledged,
 * and, while a commit runs, the one that it may leave. Data is tagged by who wrote it, where, in which life
 * of the block (from allocation to free), and when.
 */
#ifndef EXO_XN_WORLD_H
#define EXO_XN_WORLD_H

#include "xn_sim.h"

#define W_BLOCKS 640U
#define W_ROOTS 6U
#define W_UNITS 32U
#define W_STEPS 96U
#define W_POINTERS 1024U
#define W_ADMIN 0U

/* What the checker can find. */
enum w_violation {
	W_FINE,
	W_ATTACH,	/* it can't be attached */
	W_QUARANTINE,	/* a root was quarantined */
	W_STATE,	/* a root isn't as it was at a commit: lost, torn, or mixed */
	W_TWICE,	/* two owners of a block */
	W_MAP,		/* the map says something else than the roots */
	W_LEAK,		/* what somebody else wrote, or wrote in an earlier life of the block, can be read */
	W_LOST,		/* acknowledged data isn't there */
	W_TORN,		/* data that nobody wrote */
	W_WALK,		/* the engine's own walk complains */
	W_AGAIN,	/* it can't go on after the recovery */
	W_VIOLATIONS,
};

extern const char *const w_violation_name[W_VIOLATIONS];

struct w_bytes {
	u32 refs;
	u32 length;
	u8 at[];
};

struct w_unit {
	u64 block;
	enum sim_format_kind kind;
	struct w_bytes *bytes;
};

struct w_state {
	bool exists;
	u32 nr;
	struct w_unit unit[W_UNITS];
	u32 life[W_BLOCKS];	/* of the data blocks that it owns; 0: none */
};

struct w_root {
	bool used;
	u32 uid;
	u32 number;
	u64 block;
	char name[EXO_XN_NAME];
	bool trying;
	bool waiting[W_BLOCKS];	/* freed since the last commit */
	struct w_state now;
	struct w_state acked;
	struct w_state tried;
};

/* The last write of a data block in its life. */
struct w_data {
	u32 life;
	bool fua;
	u64 submitted;
	u64 done;
	u64 acking;	/* by the operation that runs */
	u64 acked;
};

struct world {
	struct sim *sim;
	struct exo_xn *xn;
	u32 broken;
	u64 memory;	/* that the engine keeps from the next attach on; 0: as usual */
	bool unsure;	/* an I/O error: what was tried may be durable or not */
	bool system[W_BLOCKS];
	s64 leaked;
	u32 template[SIM_KINDS];
	struct w_root root[W_ROOTS];
	struct w_data data[W_BLOCKS];
	u32 life;
	u64 seq;
	u32 names;
	u64 points;
	u64 found[W_VIOLATIONS];
	bool expected;	/* violations: they are not printed */
	char why[256];
};

struct w_tx {
	struct world *w;
	struct w_root *root;
	struct w_state after;
	struct exo_xn_step_core step[W_STEPS];
	u8 *keep[W_STEPS];
	u32 nr;
	u32 nr_keep;
	u64 touched[W_UNITS];
	u32 nr_touched;
	u32 out_step;
	u64 out_block;
};

/* A formatted, attached disk with the three templates; NULL never. */
struct world *world_begin(u64 blocks, u32 log_blocks, u32 broken);
/* The same world once more: its disk as it would be after a power failure that loses nothing, attached. */
struct world *world_copy(const struct world *w, u32 broken);
void world_end(struct world *w);

/* Shared until somebody changes them. */
struct w_bytes *w_bytes_new(u32 length);
void w_bytes_put(struct w_bytes *bytes);
struct w_bytes *w_bytes_own(struct w_bytes *bytes);
void w_state_clear(struct w_state *s);
void w_state_copy(struct w_state *to, const struct w_state *from);
/* @to takes what @from has. */
void w_state_move(struct w_state *to, struct w_state *from);

struct exo_xn_who w_who(u32 uid);
struct w_unit *w_unit(struct w_state *s, u64 block);
const struct w_unit *w_root_unit(const struct w_root *root);
/* @out has room for W_POINTERS. */
u32 w_pointers(const struct w_unit *unit, struct exo_xn_extent *out);
u32 w_refs(const struct w_state *s, u64 block);
bool w_has(const struct w_state *s, u64 block);
bool w_is_free(const struct world *w, u64 block);
/* The lowest free run from @from on; 0: none. */
u64 w_find_free(const struct world *w, u64 from, u32 count);
u64 w_count_free(const struct world *w);

/* Change a root. Each returns false if it can't be asked for; apply returns what the engine does. */
void w_tx_begin(struct w_tx *tx, struct world *w, struct w_root *root);
bool w_tx_data(struct w_tx *tx, u64 parent, u64 block, u32 count);
bool w_tx_unit(struct w_tx *tx, u64 parent, u64 block, u32 blocks, u32 slot, u32 level);
bool w_tx_free(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e);
bool w_tx_free_part(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e, u32 at, u32 count);
bool w_tx_move(struct w_tx *tx, u64 from, u64 to, const struct exo_xn_extent *e);
bool w_tx_link(struct w_tx *tx, u64 from, u64 to, const struct exo_xn_extent *e);
bool w_tx_unlink(struct w_tx *tx, u64 parent, const struct exo_xn_extent *e);
bool w_tx_scribble(struct w_tx *tx, u64 unit);
struct exo_xn_step_core *w_tx_step(struct w_tx *tx, u32 kind, u64 parent, u64 block, u32 count,
				   u32 slot);
/* Mark a unit as changed, its bytes private: what differs is written by apply. */
struct w_unit *w_tx_change(struct w_tx *tx, u64 unit);
int w_tx_apply(struct w_tx *tx, u32 uid);
void w_tx_drop(struct w_tx *tx);

int w_create(struct world *w, u32 uid, u32 template_kind, struct w_root **out);
int w_delete(struct world *w, struct w_root *root);
int w_commit(struct world *w, struct w_root **roots, u32 nr);
int w_flush(struct world *w);
int w_checkpoint(struct world *w);
void w_write_begin(struct world *w, struct w_root *root, u64 block, bool fua);
void w_write_end(struct world *w, u64 block);
bool w_in_flight(const struct world *w, u64 block);
/* Detach, attach. */
int w_again(struct world *w);

/* The running engine is as the model. W_FINE, or what is wrong: @w->why. */
enum w_violation w_check_live(struct world *w);
/* The disk as a crash before event @upto leaves it. */
enum w_violation w_check_crash(struct world *w, u32 upto, enum sim_crash how, bool deep);
/* All crash points of the events since @from, the last operation; its end, too. Returns how many were wrong. */
u32 w_check_points(struct world *w, u32 from, u32 torn);
/*
 * A crash before each event of the recovery of this disk, and of the recovery after that, @depth times: how many of them end
 * in something wrong.
 */
u32 w_check_recovery(struct world *w, const struct sim_image *image, u32 depth);
/* Before an operation: where its events will begin. */
u32 w_mark(struct world *w);
/* What the last operation has acknowledged is so from now on. */
void w_finish(struct world *w);

#endif
