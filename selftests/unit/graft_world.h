/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a graft runs in, in user memory: its window with guards, an invocation record, helpers whose
 * calls are hashed so that runs can be compared.
 */
#ifndef EXO_UNIT_GRAFT_WORLD_H
#define EXO_UNIT_GRAFT_WORLD_H

#include "core/graft.h"
#include "graft_vec.h"

#define WORLD_MAP (1024U * 1024)

struct world {
	struct exo_graft_prog prog;
	struct exo_graft_layout layout;
	struct exo_graft_error error;
	struct exo_insn insns[EXO_GRAFT_MAX_INSNS];
	u8 slots[EXO_GRAFT_MAX_INSNS];
	const u8 *consts;
	struct exo_graft_run *run;	/* with a context behind it, which only proved code would use */
	u8 *map;			/* WORLD_MAP bytes; virtual address 0 is EXO_GRAFT_GUARD behind */
	u32 data_size;
	u64 used;			/* of the map */
	u64 calls;			/* hash of the helper calls */
};

/* What a run is given. */
struct world_input {
	u64 arg[4];
	const u8 *data;
	u32 data_size;
	const u8 *state;		/* NULL: zeros */
	s64 budget;			/* before the entry is charged */
};

struct world *world_new(void);
void world_free(struct world *world);

/* Decodes; world->error has the reason if it fails. */
int world_load(struct world *world, u32 hook, const struct exo_insn *insns, u32 len, const u8 *consts,
	       u32 const_size, u32 state_size);

/* Fresh memory. Returns false if the budget doesn't even pay for the entry. */
bool world_start(struct world *world, const struct world_input *input);

u32 world_interpret(struct world *world);

/* A real address. */
u8 *world_at(const struct world *world, u64 address);
u8 *world_region(const struct world *world, u32 region);

extern const exo_helper_fn world_helpers[EXO_GRAFT_MAX_HELPERS];

void world_input_of(const struct vec *vec, struct world_input *input);

#endif
